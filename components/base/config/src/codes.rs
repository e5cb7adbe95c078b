//! Every error and warning code with its explanation: cause, example, fix.
//!
//! Codes are stable: a retired one is never given a new meaning. `E00xx` reading, `E01xx` decoding and validation of a
//! component, `E02xx` how components are wired, `W…` warnings.

/// A stable code such as `E0102`.
pub type Code = &'static str;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $cause:literal, $example:literal, $fix:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: Code = $code;)+

        /// Every code, in the order of the table.
        pub const ALL: &[Code] = &[$($code),+];

        /// The explanation of a code (any case), for `weir explain`; `None` for an unknown one.
        pub fn explain(code: &str) -> Option<&'static str> {
            $(if code.eq_ignore_ascii_case($code) {
                return Some(concat!($code, ": ", $cause, "\n\nExample:\n\n", $example, "\n\nFix: ", $fix, "\n"));
            })+
            None
        }
    };
}

codes! {
    /// The text is not YAML.
    YAML_SYNTAX = "E0001",
    "the text is not well-formed YAML, so nothing after this place could be read.",
    "    receivers:\n      otlp:\n    \tprotocols:      # a tab indents",
    "indent with spaces, put a space after every colon, close brackets and quotes; quote text that starts with one of @ ` % & * ! | > [ { or contains ': '.";

    /// A map has the same key twice.
    DUPLICATE_KEY = "E0002",
    "a map has the same key twice. Other parsers keep one of them silently, which loses half of a configuration.",
    "    exporters:\n      debug:\n      debug:\n        verbosity: detailed",
    "merge the two blocks, or rename one: components take names, as in debug/second.";

    /// Blocks are nested too deep.
    TOO_DEEP = "E0003",
    "maps and lists are nested deeper than the reader allows (100 levels). No real configuration comes near this.",
    "    [[[[[[[[[[ … ]]]]]]]]]]",
    "check how the file was generated.";

    /// Aliases multiply, or an alias contains itself.
    ALIAS_LIMIT = "E0004",
    "YAML aliases (*name) expand to more values than the reader allows, or an alias stands inside the value it names.",
    "    a: &a [x, x, x]\n    b: &b [*a, *a, *a]\n    c: [*b, *b, *b]        # and so on: three times as much with every line",
    "write the values out, or split the configuration over several --config files.";

    /// The text is too long.
    TOO_LARGE = "E0005",
    "a source of configuration is larger than the reader allows, in bytes or in number of values.",
    "    weir --config=/var/log/syslog",
    "check that the path names a configuration file.";

    /// A part of YAML that configurations have no use for.
    YAML_UNSUPPORTED = "E0006",
    "the text uses a part of YAML that has no meaning in a configuration: several documents in a file, a key that is a list or map, an unknown tag, bytes that are not UTF-8.",
    "    receivers: {}\n    ---\n    exporters: {}",
    "put each document into its own file and pass --config once for each; write keys and values as plain text.";

    /// The top of a configuration is not a map.
    NOT_A_MAP = "E0007",
    "a source of configuration must be a map at its top (receivers, processors, exporters, service, …).",
    "    - receivers\n    - exporters",
    "write the sections as keys, each followed by a colon.";

    /// A source cannot be read.
    UNREADABLE = "E0008",
    "a file named by --config or by ${file:…} cannot be read.",
    "    weir --config=/etc/weir/confg.yaml",
    "check path and permissions; relative paths start at the working directory of the process.";

    /// A scheme that is not supported.
    UNKNOWN_SCHEME = "E0009",
    "a location or a ${…} names a scheme that weir does not read from. Supported are file, env and yaml; http and https are refused, because a configuration fetched over the network can change without anybody looking at it.",
    "    weir --config=https://example.com/config.yaml",
    "fetch the file first and pass its path. For a variable with a default, write the scheme: ${env:NAME:-default}.";

    /// `--set` is not key=value.
    BAD_SET = "E0010",
    "--set takes a dotted key, an equal sign and a value.",
    "    weir --config=a.yaml --set=exporters.debug.verbosity",
    "write --set=exporters.debug.verbosity=detailed. Keys that contain a dot cannot be addressed; use --config=yaml:… for them.";

    /// A variable name with characters it cannot have.
    BAD_VARIABLE = "E0011",
    "the name in ${…} is not a name that an environment variable can have: letters, digits and underscores, not starting with a digit.",
    "    replacement: ${1}",
    "correct the name. A literal ${1} or $1, as in replacements of regular expressions, is written with two dollar signs: $${1}, $$1.";

    /// A `$` inside a reference.
    DOLLAR_IN_REFERENCE = "E0012",
    "a reference ${…} still contains a dollar sign after everything inside it was expanded.",
    "    endpoint: ${env:HOST$}",
    "remove the dollar sign, or escape the reference as $${…} if it is meant literally.";

    /// Expansion does not come to an end.
    ENDLESS_EXPANSION = "E0013",
    "expanding ${…} does not come to an end: a reference leads back to itself, takes more than 1000 rounds, or grows beyond the size limit.",
    "    A='${env:B}' B='${env:A}' weir --config=yaml:'receivers: ${env:A}'",
    "give one of the variables or files a value of its own.";

    /// A variable is not set, under `--strict`.
    UNSET_VARIABLE = "E0014",
    "a ${env:…} without default names a variable that is not set, and --strict was given.",
    "    endpoint: ${env:ENDPOINT}",
    "set the variable, or write a default: ${env:ENDPOINT:-localhost:4317}.";

    /// A value has the wrong type.
    WRONG_TYPE = "E0101",
    "a value is not of the type that the setting takes. Nothing is converted silently: \"5\" in quotes is text, 5 is a number; only values out of ${…} take the type of their target.",
    "    sending_queue:\n      queue_size: \"5000\"",
    "write the value as the message says: text in quotes, numbers and booleans without.";

    /// A key that the block does not have.
    UNKNOWN_KEY = "E0102",
    "a block has a key that is not one of its settings. It is refused because a mistyped setting would otherwise be ignored without a word.",
    "    exporters:\n      otlp:\n        queue_settings: {queue_size: 5000}",
    "rename the key to the suggested one or to one from the list of known keys, or move it to the block it belongs to.";

    /// A setting without default is missing.
    MISSING_KEY = "E0103",
    "a block lacks a setting that has no default.",
    "    exporters:\n      otlp_grpc: {}",
    "add the setting.";

    /// A number outside of its range.
    OUT_OF_RANGE = "E0104",
    "a number does not fit the setting's range.",
    "    num_consumers: -1",
    "choose a number in the range that the message names.";

    /// Text that is not a duration.
    BAD_DURATION = "E0105",
    "a duration is written as numbers with units: ns, us, ms, s, m, h.",
    "    timeout: 5 seconds",
    "write 5s, 1m30s, 200ms, 24h. A bare number means nanoseconds.";

    /// Text that is not one of the choices.
    NOT_A_CHOICE = "E0106",
    "a setting takes one of a list of values, and this is not one of them.",
    "    compression: gzipp",
    "choose from the values that the message lists.";

    /// A setting of the Collector that weir refuses.
    UNSUPPORTED_KEY = "E0107",
    "the OpenTelemetry Collector has this setting, weir does not, and ignoring it would change what the configuration does.",
    "    tls:\n      tpm: {enabled: true}",
    "remove the setting; the message says why it is refused and what to use instead.";

    /// Text that is not a component ID.
    BAD_COMPONENT_ID = "E0108",
    "a component ID is a type, optionally followed by a slash and a name: otlp, otlp/eu. The type is letters, digits and underscores; the name has no spaces, control characters or symbols.",
    "    receivers:\n      otlp/:",
    "correct the ID at every place that uses it.";

    /// The same setting under two names.
    GIVEN_TWICE = "E0109",
    "a setting is given twice, once under its name and once under an older one.",
    "    mapping:\n      mode: ecs\n      mapping_mode: ecs",
    "remove the older one.";

    /// Two entries with the same name.
    DUPLICATE_NAME = "E0110",
    "two entries have the same name, possibly after spaces around a slash were removed.",
    "    headers:\n      - {name: x-tenant, value: a}\n      - {name: x-tenant, value: b}",
    "remove one of them.";

    /// A value that the component refuses.
    INVALID_VALUE = "E0120",
    "the value has the right type, but the component cannot work with it, alone or together with its other settings.",
    "    sending_queue:\n      queue_size: 0",
    "follow the message.";

    /// A component type that does not exist.
    UNKNOWN_COMPONENT = "E0201",
    "a component ID begins with a type that this program does not contain.",
    "    exporters:\n      logging:",
    "correct the type; weir components lists all.";

    /// A reference to a component that is not configured.
    UNDEFINED_REFERENCE = "E0202",
    "a pipeline, service::extensions or a setting refers to a component that is not configured.",
    "    service:\n      pipelines:\n        traces:\n          receivers: [otlp/eu]     # only otlp is configured",
    "configure the component, or refer to one that is.";

    /// A pipeline without receivers or exporters.
    EMPTY_PIPELINE = "E0203",
    "a pipeline needs at least one receiver and one exporter; connectors count as either.",
    "    service:\n      pipelines:\n        traces:\n          receivers: [otlp]",
    "add the missing list.";

    /// A processor twice in a pipeline.
    DUPLICATE_REFERENCE = "E0204",
    "a pipeline lists the same processor twice.",
    "    processors: [batch, batch]",
    "remove one, or configure a second one under another name (batch/second).";

    /// A connector ID that is also a receiver or exporter.
    AMBIGUOUS_ID = "E0205",
    "an ID is configured as a connector and also as a receiver or exporter, so a reference to it has two meanings.",
    "    receivers: {x: }\n    connectors: {x: }",
    "rename one, for example x/connector.";

    /// Pipelines that feed each other in a circle.
    CYCLE = "E0206",
    "connectors lead from a pipeline back to itself, so data would circulate for ever.",
    "    traces/a exports to forward/x, traces/b receives it and exports to forward/y, traces/a receives that",
    "break the circle at one of the connectors.";

    /// A component in a pipeline of a signal that it does not take.
    WRONG_SIGNAL = "E0207",
    "a component is used in a pipeline whose signal it does not support.",
    "    pipelines:\n      logs:\n        processors: [tail_sampling]",
    "use it in a pipeline of a signal it supports.";

    /// A pipeline whose name is not a signal.
    BAD_PIPELINE = "E0208",
    "a pipeline's ID is a signal, optionally followed by a slash and a name. Signals are traces, metrics and logs.",
    "    pipelines:\n      trace:",
    "write traces, metrics or logs.";

    /// Nothing to run.
    NO_PIPELINES = "E0209",
    "the configuration lacks a section without which nothing can run: service::pipelines, receivers or exporters.",
    "    service: {}",
    "add at least one receiver, one exporter, and a pipeline that connects them.";

    /// A connector with only one end.
    HALF_WIRED_CONNECTOR = "E0210",
    "a connector is the exporter of one pipeline and the receiver of another; one of the ends is missing, or the signals at its ends do not fit it.",
    "    pipelines:\n      logs/out:\n        receivers: [forward]       # no pipeline exports to forward",
    "list the connector under exporters of one pipeline and under receivers of another.";

    /// Variables that are not set.
    UNSET_VARIABLES = "W0001",
    "${env:…} without default names variables that are not set; text settings become empty, others keep their default.",
    "    endpoint: ${env:ENDPOINT}",
    "set the variable, or write a default: ${env:ENDPOINT:-localhost:4317}. With --strict this is an error.";

    /// A setting that does nothing here.
    NO_EFFECT = "W0002",
    "the OpenTelemetry Collector has this setting; weir accepts it, checks its type, and does nothing with it, because its effect has no counterpart here.",
    "    logs:\n      disable_caller: true",
    "nothing needs to be done; remove the setting to silence the warning.";

    /// A setting or value with an old name.
    DEPRECATED = "W0003",
    "a setting, value or component type has a newer name or a replacement; it still works.",
    "    exporters:\n      otlphttp:",
    "change to what the message names.";

    /// A duration without a unit.
    BARE_DURATION = "W0004",
    "a duration is written as a number without a unit. As in the OpenTelemetry Collector it means nanoseconds, which is hardly ever intended.",
    "    timeout: 30",
    "write the unit: 30s.";

    /// Something of the request is read where it is gone.
    LOST_REQUEST = "W0005",
    "a component reads metadata or the address of the request that telemetry came with, but something before it does not keep that: a receiver without include_metadata, or a component that puts requests together, as batch does. It finds nothing.",
    "    receivers: {otlp: {protocols: {grpc: }}}\n    processors:\n      attributes: {actions: [{key: tenant, action: insert, from_context: metadata.x-tenant}]}",
    "let the receiver include metadata, list the name under metadata_keys of the batch processor, or put the component in front of it.";

    /// A setting that can never do anything beside the others.
    IDLE_SETTING = "W0006",
    "a setting, as it stands, can never do anything: another one takes its place, what it needs is missing, or nothing can meet it.",
    "    policies:\n      - name: slow\n        type: latency\n        status_code: {status_codes: [ERROR]}   # of another type",
    "remove the setting, or change what the message names.";
}

#[cfg(test)]
mod tests {
    use super::{ALL, explain};
    use std::collections::BTreeSet;

    #[test]
    fn explains_every_code_once() {
        let distinct: BTreeSet<_> = ALL.iter().collect();
        assert_eq!(distinct.len(), ALL.len());
        for code in ALL {
            let text = explain(code).unwrap();
            assert!(
                text.starts_with(code) && text.contains("\n\nExample:\n\n    ") && text.contains("\n\nFix: "),
                "{text}"
            );
        }
        assert_eq!(explain("e0102"), explain("E0102"));
        assert_eq!(explain("E9999"), None);
    }
}
