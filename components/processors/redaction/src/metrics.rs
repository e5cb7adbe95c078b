//! Own metrics.

use component::telemetry::Metric;
use component::{Counter, Level, Telemetry};
use detectors::Kinds;
use pdata::Signal;

use crate::rules::Rule;

const FINDINGS: Metric = Metric {
    name: "weir_redaction_findings",
    help: "What the redaction processor found, by detector or rule.",
    unit: "{findings}",
    level: Level::Basic,
};
const REFUSED: Metric = Metric {
    name: "weir_redaction_refused_items",
    help: "Items refused for a finding of the tier forbidden.",
    unit: "{items}",
    level: Level::Basic,
};
const FAILED: Metric = Metric {
    name: "weir_redaction_failed_items",
    help: "Items refused because their request could not be written.",
    unit: "{items}",
    level: Level::Basic,
};

/// The series of one instance.
#[derive(Debug)]
pub(crate) struct Metrics {
    findings: Vec<Counter>,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
}

impl Metrics {
    /// Creates the series; none for detectors that are off.
    pub(crate) fn new(telemetry: &Telemetry, signal: Signal, kinds: Kinds) -> Self {
        let signal = signal.as_str();
        let of = |rule: Rule| match rule {
            Rule::Detector(kind) if !kinds.contains(kind) => Counter::default(),
            rule => telemetry.counter(FINDINGS, &[("detector", rule.name()), ("otel.signal", signal)]),
        };
        Self {
            findings: Rule::all().map(of).collect(),
            refused: telemetry.counter(REFUSED, &[("otel.signal", signal)]),
            failed: telemetry.counter(FAILED, &[("otel.signal", signal)]),
        }
    }

    pub(crate) fn found(&self, rule: Rule, count: u64) {
        if let Some(counter) = self.findings.get(rule.index()) {
            counter.add(count);
        }
    }
}
