//! Commands that look at configurations and at the binary without running anything.

use std::fmt::Write as _;

use component::{Host, Kind, Level, Registry};
use config::{Errors, Node, ProcessEnv, Value, print};
use pdata::{ByteAccount, Ledger};

use super::{ConfigArgs, ConfigMode, DataFormat, ErrorFormat, Failure};
use crate::catalog::Catalog;
use crate::gates::{GATES, Stage};
use crate::service::graph::{Graph, redact};
use crate::service::prepare;

/// Checks a configuration as a start would.
pub(super) fn validate(args: &ConfigArgs, format: ErrorFormat) -> Result<(), Failure> {
    let options = args.options()?;
    let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::None));
    let prepared = prepare(&options, &ProcessEnv, &Catalog::default(), &host, &Graph::default());
    match prepared {
        Ok((_, plan, _)) => {
            if !plan.warnings.is_empty() {
                let mut warnings = Errors::new();
                plan.warnings.into_iter().for_each(|warning| warnings.push(warning));
                super::diagnose(super::render(&warnings, format).trim_end());
            }
            Ok(())
        }
        Err(errors) => Err(Failure::Config(Box::new(errors), format)),
    }
}

/// The merged and expanded configuration.
pub(super) fn print_config(
    args: &ConfigArgs,
    mode: ConfigMode,
    format: DataFormat,
    origin: bool,
) -> Result<String, Failure> {
    let options = args.options()?;
    let loaded = config::load(&options.uris, &options.sets, &ProcessEnv, &options.load)
        .map_err(|errors| Failure::Config(Box::new(errors), ErrorFormat::Text))?;
    let root = match mode {
        ConfigMode::Unredacted => loaded.root,
        ConfigMode::Redacted => redact(loaded.root, &Catalog::default()),
    };
    match (format, origin) {
        (DataFormat::Yaml, true) => Ok(print::to_yaml_with_origins(&root)),
        (DataFormat::Yaml, false) => Ok(print::to_yaml(&root)),
        (DataFormat::Json, false) => Ok(print::to_json(&root)),
        (DataFormat::Json, true) => Err(Failure::Usage("--origin is shown in YAML only, as comments".to_owned())),
    }
}

/// The components in this binary, in the Collector's form.
pub(super) fn components(format: DataFormat) -> String {
    let catalog = Catalog::default();
    let text = |text: &str| Value::string(text);
    let mut entries = vec![(
        "buildinfo".to_owned(),
        Value::map([
            ("command", text("weir")),
            ("description", text(env!("CARGO_PKG_DESCRIPTION"))),
            ("version", text(env!("CARGO_PKG_VERSION"))),
        ]),
    )];
    for kind in [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension] {
        let list = catalog.of_kind(kind).map(|factory| {
            let mut entry = vec![("name", text(factory.type_name))];
            if !factory.aliases.is_empty() {
                entry.push(("deprecated_names", list(factory.aliases.iter().map(|alias| text(alias)))));
            }
            let stability = factory.signals.iter().map(|(signal, level)| (signal.as_str(), text(level.as_str())));
            entry.push((
                "stability",
                if kind == Kind::Extension { text("Beta") } else { Value::map(stability.collect::<Vec<_>>()) },
            ));
            Value::map(entry)
        });
        entries.push((kind.section().to_owned(), self::list(list)));
    }
    let providers = ["env", "file", "yaml"].map(|scheme| Value::map([("scheme", text(scheme))]));
    entries.push(("providers".to_owned(), list(providers)));
    let node = Node::new(Value::map(entries), config::Origin::default());
    match format {
        DataFormat::Yaml => print::to_yaml(&node),
        DataFormat::Json => print::to_json(&node),
    }
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().map(|value| Node::new(value, config::Origin::default())).collect())
}

/// A table of feature gates.
pub(super) fn feature_gates(id: Option<&str>) -> Result<String, Failure> {
    let gates: Vec<_> = GATES.iter().filter(|gate| id.is_none_or(|id| id == gate.id)).collect();
    if let (Some(id), true) = (id, gates.is_empty()) {
        return Err(Failure::Usage(format!("no such feature gate `{id}`")));
    }
    let width = gates.iter().map(|gate| gate.id.len()).max().unwrap_or_default();
    let mut out = format!("{:<width$}  {:<7}  {:<8}  DESCRIPTION\n", "ID", "ENABLED", "STAGE");
    for gate in gates {
        let stage = match gate.stage {
            Stage::Alpha => "Alpha",
            Stage::Beta => "Beta",
            Stage::Stable => "Stable",
        };
        let supported = if gate.supported { "" } else { " (not supported)" };
        let enabled = gate.stage != Stage::Alpha;
        let _infallible =
            writeln!(out, "{:<width$}  {enabled:<7}  {stage:<8}  {}{supported}", gate.id, gate.description);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_own_telemetry_are_not_printed() {
        let yaml = "service:\n  telemetry:\n    metrics:\n      readers:\n        - periodic:\n            exporter:\n              \
                    otlp: {endpoint: 'http://a', headers: [{name: k, value: hunter2}], headers_list: k=hunter2}\n";
        let source = config::Source::new("a.yaml", yaml);
        let printed =
            print::to_yaml(&redact(config::parse(&source, &config::Limits::default()).unwrap(), &Catalog::default()));
        assert!(printed.contains("http://a") && !printed.contains("hunter2"), "{printed}");
    }
}
