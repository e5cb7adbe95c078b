//! Decoding through `#[derive(Config)]`: the Collector's traps, defaults, and every attribute.

use config::{
    Choice, ComponentId, Config, Decode, Errors, Headers, Optional, Secret, Severity, Unsupported, Validator,
};
use std::{collections::BTreeMap, time::Duration};

/// The kitchen sink.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = Exporter::check)]
struct Exporter {
    /// Where to send to.
    #[config(default = "localhost:4317")]
    endpoint: String,
    /// Limit of one attempt.
    #[config(default = Duration::from_secs(5))]
    timeout: Duration,
    /// Parallel requests.
    #[config(default = 10)]
    num_consumers: u16,
    ratio: f64,
    verbose: bool,
    #[config(default = vec!["a".to_owned(), "b".to_owned()])]
    names: Vec<String>,
    headers: Headers,
    password: Secret,
    #[config(default = Optional::default_off(Queue::default()))]
    sending_queue: Optional<Queue>,
    #[config(default = Optional::some(Queue { size: 7, ..Queue::default() }))]
    on: Optional<Queue>,
    none: Optional<Queue>,
    #[config(flatten)]
    tls: Tls,
    compression: Compression,
    tenants: BTreeMap<String, Queue>,
    queues: Vec<Queue>,
    storage: Option<ComponentId>,
    auth: BTreeMap<ComponentId, u8>,
    #[config(rename = "type", alias = "kind", deprecated_alias = "sort")]
    kind: String,
    #[config(no_effect = "there is no other way here")]
    reuse: bool,
    #[config(unsupported = "no TPM")]
    tpm: Unsupported,
    #[config(deprecated = "use `timeout`")]
    deadline: u32,
    #[config(skip)]
    computed: u8,
}

impl Exporter {
    fn check(&self, v: &mut Validator<'_>) {
        if self.endpoint.is_empty() {
            v.error("endpoint", "`endpoint` must be set");
        }
    }
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = Queue::check)]
struct Queue {
    /// How many.
    #[config(default = 1000)]
    size: i64,
    #[config(default = Optional::default_off(Batch::default()))]
    batch: Optional<Batch>,
}

impl Queue {
    fn check(&self, v: &mut Validator<'_>) {
        if self.size <= 0 {
            v.error("size", "`size` must be positive");
        }
    }
}

#[derive(Clone, Debug, PartialEq, Config)]
struct Batch {
    #[config(required)]
    min: u64,
}

#[derive(Clone, Debug, PartialEq, Config)]
struct Tls {
    insecure: bool,
    ca_file: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Config)]
#[config(ignore_case)]
enum Compression {
    #[config(default, alias = "")]
    None,
    Gzip,
    #[config(rename = "x-snappy-framed")]
    SnappyFramed,
}

fn decoded(yaml: &str) -> Exporter {
    config::decode_str(yaml).map_err(|errors| errors.render_text(false)).expect(yaml).0
}

fn errors(yaml: &str) -> Errors {
    config::decode_str::<Exporter>(yaml).expect_err(yaml)
}

/// `yaml` is refused with exactly these messages, in order of position.
fn refuses(yaml: &str, messages: &[&str]) {
    let errors = errors(yaml);
    let found: Vec<String> =
        errors.sorted().iter().filter(|e| e.severity == Severity::Error).map(|e| e.headline()).collect();
    assert_eq!(found, messages, "{yaml}");
}

#[test]
fn empty_blocks_are_the_default() {
    for yaml in ["", "{}", "null", "timeout:\nnames: ~\nheaders:\ntenants:\nverbose:\nqueues:"] {
        assert_eq!(decoded(yaml), Exporter::default(), "{yaml}");
    }
}

#[test]
fn reads_every_type() {
    let value = decoded(
        "endpoint: host:1
timeout: 1m30s
num_consumers: 3
ratio: 1
verbose: true
names: [x]
headers: {b: 1a, a: two}
password: hunter2
compression: GZIP
tenants: {x: {size: 5}}
queues: [{size: 1}, {}]
storage: file_storage/a
auth: {a/b : 1}
type: t
insecure: true
",
    );
    assert_eq!(value.timeout, Duration::from_secs(90));
    assert_eq!((value.num_consumers, value.ratio.to_bits(), value.verbose), (3, 1f64.to_bits(), true));
    assert_eq!(
        value.headers.iter().map(|(name, value)| (name, value.expose())).collect::<Vec<_>>(),
        [("b", "1a"), ("a", "two")]
    );
    assert_eq!(value.password.expose(), "hunter2");
    assert_eq!(value.compression.as_str(), "gzip");
    assert_eq!(value.tenants["x"].size, 5);
    assert_eq!(value.queues.iter().map(|queue| queue.size).collect::<Vec<_>>(), [1, 1000]);
    assert_eq!(value.storage.as_ref().map(ToString::to_string).as_deref(), Some("file_storage/a"));
    assert_eq!(value.auth.keys().map(ToString::to_string).collect::<Vec<_>>(), ["a/b"]);
    assert_eq!(value.kind, "t");
    assert!(value.tls.insecure);
    assert!(!format!("{value:?}").contains("hunter2"), "{value:?}");
}

#[test]
fn nothing_is_converted_silently() {
    refuses("num_consumers: \"5\"", &["'num_consumers' expected an integer, got the text `5`"]);
    refuses("verbose: 1", &["'verbose' expected a boolean, got the integer `1`"]);
    refuses("verbose: yes", &["'verbose' expected a boolean, got the text `yes`"]);
    refuses("endpoint: 1", &["'endpoint' expected text, got the integer `1`"]);
    refuses("ratio: \"1\"", &["'ratio' expected a number, got the text `1`"]);
    refuses("num_consumers: 1.5", &["'num_consumers' expected an integer, got the number `1.5`"]);
    refuses("names: {a: b}", &["'names' expected a list, got a map"]);
    refuses("queues: abc", &["'queues' expected a list, got the text `abc`"]);
    refuses("names: [1]", &["'names[0]' expected text, got the integer `1`"]);
    assert_eq!(decoded("num_consumers: 1e3").num_consumers, 1000);
}

#[test]
fn values_out_of_references_take_the_type_of_their_target() {
    assert_eq!(decoded("endpoint: ${env:X:-0123}").endpoint, "0123");
    assert_eq!(decoded("num_consumers: \"${env:X:-5}\"").num_consumers, 5);
    assert_eq!(decoded("names: ${env:X:-a,b}").names, ["a", "b"]);
    assert_eq!(decoded("names: '${env:X:-[a, b]}'").names, ["a", "b"]);
    assert_eq!(decoded("names: ${env:X:-5}").names, ["5"]);
    assert_eq!(decoded("type: ${env:X}").kind.len(), 0, "as in the Collector, not the default");
}

#[test]
fn refuses_numbers_outside_of_their_range() {
    refuses("num_consumers: -1", &["'num_consumers' is out of range: the integer `-1` does not fit"]);
    refuses("num_consumers: 65536", &["'num_consumers' is out of range: the integer `65536` does not fit"]);
    refuses(
        "queues: [{size: 9223372036854775808}]",
        &["'queues[0].size' is out of range: the integer `9223372036854775808` does not fit"],
    );
    refuses("timeout: -1s", &["'timeout' must be greater or equal to 0, got -1s"]);
    refuses("timeout: 5 seconds", &["'timeout' is not a duration: the text `5 seconds`"]);
}

#[test]
fn a_bare_number_is_nanoseconds_and_warns() {
    let (value, warnings) = config::decode_str::<Exporter>("timeout: 30").unwrap();
    assert_eq!(value.timeout, Duration::from_nanos(30));
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].severity, warnings[0].code), (Severity::Warning, config::codes::BARE_DURATION));
    assert!(config::decode_str::<Exporter>("timeout: 0").unwrap().1.is_empty());
}

#[test]
fn text_for_a_list_is_split_at_commas() {
    assert_eq!(decoded("names: a,b, c").names, ["a", "b", " c"]);
    assert_eq!(decoded("names: ''").names, [""; 0]);
}

#[test]
fn lists_replace_and_null_keeps() {
    assert_eq!(decoded("names: []").names, [""; 0]);
    assert_eq!(decoded("names:").names, ["a", "b"]);
    assert_eq!(decoded("names: [c]").names, ["c"]);
}

#[test]
fn optional_blocks_have_three_states() {
    let size = |block: &Optional<Queue>| block.get().map(|queue| queue.size);
    for (written, none, off, on) in [
        (None, None, None, Some(7)),
        (Some(""), None, Some(1000), Some(7)),
        (Some("{}"), Some(1000), Some(1000), Some(7)),
        (Some("{size: 3}"), Some(3), Some(3), Some(3)),
        (Some("{enabled: false}"), None, None, None),
        (Some("{enabled: false, size: 3}"), None, None, None),
        (Some("{enabled: true}"), Some(1000), Some(1000), Some(7)),
    ] {
        let yaml = |key: &str| written.map_or_else(String::new, |written| format!("{key}: {written}"));
        assert_eq!(size(&decoded(&yaml("none")).none), none, "{written:?}");
        assert_eq!(size(&decoded(&yaml("sending_queue")).sending_queue), off, "{written:?}");
        assert_eq!(size(&decoded(&yaml("on")).on), on, "{written:?}");
    }
    refuses("on: {enabled: maybe}", &["'on.enabled' expected a boolean, got the text `maybe`"]);
    refuses("on: {enabled: false, sise: 1}", &["'on' has invalid keys: sise"]);
    refuses("on: {enable: false}", &["'on' has invalid keys: enable"]);
    assert_eq!(errors("on: {enable: false}").sorted()[0].suggestion.as_deref(), Some("enabled"));
}

#[test]
fn unknown_keys_are_errors_at_every_depth() {
    refuses("zeta: 1\nalpha: 2", &["'' has invalid keys: alpha, zeta"]);
    refuses("queues:\n- size: 1\n- sise: 1", &["'queues[1]' has invalid keys: sise"]);
    refuses("tenants: {x: {batch: {min: 1, max: 2}}}", &["'tenants.x.batch' has invalid keys: max"]);
    refuses("Endpoint: x", &["'' has invalid keys: Endpoint"]);
    assert_eq!(errors("Endpoint: x").sorted()[0].suggestion.as_deref(), Some("endpoint"));
    assert_eq!(errors("ca_fil: x").sorted()[0].suggestion.as_deref(), Some("ca_file"), "flattened keys are known");
}

#[test]
fn all_errors_are_found_in_one_run() {
    refuses(
        "num_consumers: x\nqueues:\n- size: y\n- sise: 1\ntimeout: z\ncompression: gzipp",
        &[
            "'num_consumers' expected an integer, got the text `x`",
            "'queues[0].size' expected an integer, got the text `y`",
            "'queues[1]' has invalid keys: sise",
            "'timeout' is not a duration: the text `z`",
            "'compression' does not know the text `gzipp`",
        ],
    );
}

#[test]
fn header_lists_and_maps() {
    let value = decoded("headers: [{name: b, value: x}, {name: a, value: y}]");
    assert_eq!(value.headers.get("B").map(Secret::expose), Some("x"));
    refuses("headers: [{name: a, value: x}, {name: a, value: y}]", &["duplicate header name `a`"]);
    refuses("headers: [{value: x}]", &["'headers[0]' lacks `name`"]);
    refuses("headers: {a: 1}", &["'headers.a' expected text, got an integer"]);
    refuses("headers: [{name: a, valeu: x}]", &["'headers[0]' has invalid keys: valeu"]);
    refuses("headers: text", &["'headers' expected a map, or a list of {name, value}, got the text `text`"]);
}

#[test]
fn attributes_of_keys() {
    assert_eq!(decoded("kind: a").kind, "a");
    let (value, warnings) = config::decode_str::<Exporter>("sort: a\nreuse: true\ndeadline: 5").unwrap();
    assert_eq!((value.kind.as_str(), value.reuse, value.deadline), ("a", true, 5));
    let mut texts: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(
        texts,
        [
            "`deadline` is deprecated: use `timeout`",
            "`reuse` has no effect: there is no other way here",
            "`sort` is called `type` now",
        ]
    );
    refuses("type: a\nkind: b", &["`type` and `kind` are the same setting, given twice"]);
    refuses("tpm: {enabled: true}", &["`tpm` is not supported: no TPM"]);
    refuses("tpm: {}", &["`tpm` is not supported: no TPM"]);
    for absent in ["tpm: {enabled: false, path: /dev/tpm0}", "tpm: []", "tpm:"] {
        assert_eq!(decoded(absent), Exporter::default(), "{absent}");
    }
    refuses("reuse: 5", &["'reuse' expected a boolean, got the integer `5`"]);
    refuses("computed: 5", &["'' has invalid keys: computed"]);
    refuses("on: {batch: {}}", &["'on.batch' lacks `min`"]);
}

#[test]
fn component_ids_as_keys_are_compared_after_trimming() {
    refuses("auth: {a/b: 1, 'a / b': 2}", &["duplicate name `a/b`"]);
    refuses("auth: {a/: 1}", &["in \"a/\" id: the part after / should not be empty"]);
    refuses("storage: 1x", &["in \"1x\" id: invalid character(s) in type \"1x\""]);
}

#[test]
fn a_missing_space_after_a_colon_is_recognised() {
    let errors = errors("on:\n  size:5");
    assert_eq!(errors.sorted()[0].message, "'on' expected a map, got the text `size:5`");
    assert_eq!(errors.sorted()[0].fix.as_deref(), Some("a space is missing after `size:`"));
}

#[test]
fn validation_has_the_path_of_the_block_and_the_place_of_the_setting() {
    let mut errors = Errors::new();
    let source = config::Source::new("a.yaml", "endpoint: ''\nqueues:\n  - {}\n  - size: 0\ntenants: {t: {size: -1}}");
    let node = config::parse(&source, &config::Limits::default()).unwrap();
    config::decode(&node, Exporter::default(), "exporters::x", &mut errors);
    let found: Vec<String> = errors.sorted().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "a.yaml:1:11: exporters::x: `endpoint` must be set",
            "a.yaml:4:11: exporters::x::queues::1: `size` must be positive",
            "a.yaml:5:21: exporters::x::tenants::t: `size` must be positive",
        ]
    );
    assert_eq!(errors.sorted()[1].setting, "exporters::x::queues::1::size");
}

#[test]
fn what_cannot_be_decoded_hides_no_other_mistake_and_makes_none() {
    let size = "queues::1: `size` must be positive";
    let range = "'num_consumers' is out of range: the integer `-1` does not fit";
    refuses("num_consumers: -1\nqueues: [{}, {size: 0}]", &[range, size]);
    refuses("othre: 1\nqueues: [{}, {size: 0}]", &["'' has invalid keys: othre", size]);
    // What stands in its place, holds it, or may have been meant is not judged.
    let many = "'queues[0].size' is out of range: the integer `9223372036854775808` does not fit";
    refuses("queues: [{size: 9223372036854775808}, {size: 0}]", &[many]);
    refuses("endpoint: ''\nendpont: x", &["'' has invalid keys: endpont"]);
    refuses(
        "queues: {}\ntenants: {t: {size: 0}}",
        &["'queues' expected a list, got a map", "tenants::t: `size` must be positive"],
    );

    /// Two that have to fit each other.
    #[derive(Clone, Debug, PartialEq, Config)]
    #[config(validate = Range::check)]
    struct Range {
        #[config(default = 10u64)]
        min: u64,
        #[config(default = 20u64)]
        max: u64,
    }

    impl Range {
        fn check(&self, v: &mut Validator<'_>) {
            if self.max < self.min {
                v.error("max", "`max` must not be less than `min`");
            }
        }
    }

    let of = |yaml: &str| config::decode_str::<Range>(yaml).unwrap_err().len();
    assert_eq!(of("min: 3\nmax: 2"), 1);
    assert_eq!(of("min: x\nmax: 2"), 1, "`max` may well be more than what was meant for `min`");
}

#[test]
fn defaults_encode_and_decode_to_themselves() {
    let value = Exporter { password: Secret::default(), ..decoded("none: {size: 2}\ncompression: x-snappy-framed") };
    let yaml = config::print::to_yaml(&value.encode().into());
    let quiet = Exporter { computed: 0, ..decoded(&yaml.replace("tpm: null\n", "")) };
    assert_eq!(quiet, value, "{yaml}");
}

/// Whatever stands at whatever key, decoding ends with a value, and rendering the errors does not panic.
#[test]
fn any_value_at_any_key_is_decoded_or_refused() {
    let keys = [
        "endpoint",
        "timeout",
        "num_consumers",
        "ratio",
        "verbose",
        "names",
        "headers",
        "password",
        "sending_queue",
        "on",
        "none",
        "ca_file",
        "compression",
        "tenants",
        "queues",
        "storage",
        "auth",
        "type",
        "reuse",
        "tpm",
        "deadline",
        "other",
    ];
    let values = [
        "null",
        "true",
        "1",
        "-1",
        "18446744073709551615",
        "1.5",
        ".nan",
        ".inf",
        "1e300",
        "''",
        "text",
        "a,b",
        "5s",
        "[]",
        "[1]",
        "[null]",
        "[[]]",
        "[{}]",
        "[{name: a}]",
        "[{name: [], value: {}}]",
        "{}",
        "{a: b}",
        "{a: null}",
        "{a: {}}",
        "{enabled: x}",
        "{enabled: true}",
        "{'': ''}",
        "{batch: {min: -1}}",
        "${env:X}",
        "${env:X:-[a]}",
        "x${env:X:-1}",
    ];
    for key in keys {
        for value in values {
            let yaml =
                format!("{key}: {}", if value.contains('$') { format!("\"{value}\"") } else { value.to_owned() });
            if let Err(errors) = config::decode_str::<Exporter>(&yaml) {
                assert!(errors.error_count() > 0 && !errors.render_text(false).is_empty(), "{yaml}");
            }
        }
    }
}
