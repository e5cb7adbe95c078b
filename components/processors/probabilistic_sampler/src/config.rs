//! What the user writes.

use std::time::Duration;

use config::{ComponentId, Config, GoDuration, Validator, codes};
use pdata::Signal;
use sampling::PROBABILITY_MIN;

/// The type of the processor that decides about traces.
const DECIDER: &str = "tail_sampling";
/// How long a record waits for its trace to begin unless configured otherwise, and at most.
const TRACE_WAIT: Duration = Duration::from_secs(10);
const TRACE_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Hexadecimal digits of thresholds unless configured otherwise.
const PRECISION: i64 = 4;
const WAITS_FOR: &str = "without `trace_decisions`, no record waits";
/// Bytes of records that wait, unless configured otherwise.
const WAITING_BYTES_MAX: u64 = 64 << 20;

/// How randomness and threshold of an item come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Mode {
    /// By a hash of the trace ID with a seed, in 2^14 steps.
    #[config(default, alias = "")]
    HashSeed,
    /// By the trace ID's own randomness; reduces what earlier stages left to the configured share, whatever theirs was.
    Equalizing,
    /// By the trace ID's own randomness; keeps the configured share of what earlier stages left.
    Proportional,
}

/// Where log records have their randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum AttributeSource {
    /// In the trace ID, and in `from_attribute` where there is none.
    #[config(default, rename = "traceID")]
    TraceId,
    /// In `from_attribute`.
    Record,
}

/// Keeps another share of the log records that it describes. All that is given has to hold.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct Rule {
    /// Severity number from which on records belong to it, 1 to 24; 9 is INFO, 17 ERROR. 0 for any.
    pub severity_min: i64,
    /// Severity number up to which records belong to it; 0 for any.
    pub severity_max: i64,
    /// Event name; empty for any.
    pub event_name: String,
    /// Key of an attribute that records must have; empty for none.
    pub attribute: String,
    /// Values, one of which the attribute must have as text; none for any.
    pub values: Vec<String>,
    /// Share to keep, in percent.
    #[config(required)]
    pub sampling_percentage: f64,
}

/// Keeps a share of spans or log records.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = SamplerConfig::check)]
pub struct SamplerConfig {
    /// Share to keep, in percent. 100 and more keep everything, 0 drops everything.
    pub sampling_percentage: f64,
    /// How randomness and threshold come about: `hash_seed`, `equalizing` or `proportional`.
    pub mode: Mode,
    /// Seed of the hash, for `hash_seed`. Stages with equal seeds keep the same traces.
    pub hash_seed: u32,
    /// Whether items whose sampling information is missing or contradicts itself are dropped.
    #[config(default = true)]
    pub fail_closed: bool,
    /// Hexadecimal digits of thresholds, 1 to 14.
    #[config(default = PRECISION)]
    pub sampling_precision: i64,
    /// Logs: where the randomness is, `traceID` or `record`.
    pub attribute_source: AttributeSource,
    /// Logs: attribute to take randomness from, where there is no trace ID or `attribute_source` is `record`.
    pub from_attribute: String,
    /// Logs: attribute with the share, in percent, at which its record is to be kept.
    pub sampling_priority: String,
    /// Logs: shares for some of them; the first rule that fits counts. An addition of weir.
    pub rules: Vec<Rule>,
    /// Logs: the `tail_sampling` processor, such as `tail_sampling/a`, whose decision about a trace its log records follow. An
    /// addition of weir.
    pub trace_decisions: Option<ComponentId>,
    /// Logs: how long a record waits for its trace to begin, if the sampler knows nothing of it. Then it waits until the trace
    /// is decided.
    #[config(default = GoDuration::from(TRACE_WAIT))]
    pub trace_wait: GoDuration,
    /// Logs: bytes of records that may wait for decisions. Beyond that, the oldest go by what is known.
    #[config(default = WAITING_BYTES_MAX)]
    pub max_waiting_bytes: u64,
}

impl SamplerConfig {
    fn check(&self, v: &mut Validator<'_>) {
        check_percentage(v, "sampling_percentage", self.sampling_percentage);
        match self.sampling_precision {
            0 => v.error("sampling_precision", "invalid sampling precision: 0"),
            1..=14 => {}
            other => v.error("sampling_precision", format!("sampling precision must be 1 to 14, got {other}")),
        }
        if let Some(decider) = self.trace_decisions.as_ref().filter(|decider| decider.type_name() != DECIDER) {
            let message = format!("`trace_decisions` must name a `{DECIDER}` processor, got `{decider}`");
            v.error("trace_decisions", message);
        }
        if self.trace_wait.is_negative() || self.trace_wait.as_std().is_some_and(|wait| wait > TRACE_WAIT_MAX) {
            v.error("trace_wait", "`trace_wait` must be between 0s and 24h");
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let at = |field: &str| format!("rules::{index}::{field}");
            check_percentage(v, &at("sampling_percentage"), rule.sampling_percentage);
            for (field, severity) in [("severity_min", rule.severity_min), ("severity_max", rule.severity_max)] {
                if !(0..=24).contains(&severity) {
                    v.error(&at(field), format!("`{field}` must be 1 to 24, or 0 for any, got {severity}"));
                }
            }
            if rule.severity_max != 0 && rule.severity_max < rule.severity_min {
                v.error(&at("severity_max"), "`severity_max` is below `severity_min`, so no record can fit");
            }
            if rule.attribute.is_empty() && !rule.values.is_empty() {
                v.error(&at("values"), "`values` needs `attribute`, the key whose value it is");
            }
        }
        for (field, why) in self.idle() {
            v.warning(field, codes::IDLE_SETTING, why);
        }
    }

    /// Settings that can never do anything beside the others.
    fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let hashes = self.mode == Mode::HashSeed;
        let is_followed = self.trace_decisions.is_some();
        let all = [
            (self.hash_seed != 0 && !hashes, "hash_seed", "only `mode: hash_seed` has a seed"),
            (
                self.sampling_precision != PRECISION && hashes && self.sampling_priority.is_empty(),
                "sampling_precision",
                "thresholds of `mode: hash_seed` have the precision of its hash",
            ),
            (
                !self.from_attribute.is_empty() && !hashes,
                "from_attribute",
                "only `mode: hash_seed` takes randomness from an attribute",
            ),
            (
                self.attribute_source == AttributeSource::Record && !hashes,
                "attribute_source",
                "only `mode: hash_seed` takes randomness from an attribute",
            ),
            (
                self.attribute_source == AttributeSource::Record && hashes && self.from_attribute.is_empty(),
                "attribute_source",
                "`record` needs `from_attribute`: without it, no record has randomness",
            ),
            (self.trace_wait != GoDuration::from(TRACE_WAIT) && !is_followed, "trace_wait", WAITS_FOR),
            (self.max_waiting_bytes != WAITING_BYTES_MAX && !is_followed, "max_waiting_bytes", WAITS_FOR),
        ];
        all.into_iter().filter(|(is_idle, ..)| *is_idle).map(|(_, field, why)| (field, why)).collect()
    }

    /// Settings that do nothing in pipelines of `signals`: those for log records where there are none.
    #[must_use]
    pub fn idle_for(&self, signals: &[Signal]) -> Vec<(&'static str, String)> {
        if signals.contains(&Signal::Logs) {
            return Vec::new();
        }
        let all = [
            (self.attribute_source == AttributeSource::Record, "attribute_source"),
            (!self.from_attribute.is_empty(), "from_attribute"),
            (!self.sampling_priority.is_empty(), "sampling_priority"),
            (!self.rules.is_empty(), "rules"),
            (self.trace_decisions.is_some(), "trace_decisions"),
            (self.trace_wait != GoDuration::from(TRACE_WAIT), "trace_wait"),
        ];
        let idle = all.into_iter().filter(|(is_set, _)| *is_set);
        idle.map(|(_, field)| (field, format!("`{field}` is for log records, and is in no pipeline of logs"))).collect()
    }
}

fn check_percentage(v: &mut Validator<'_>, field: &str, percentage: f64) {
    if !percentage.is_finite() {
        v.error(field, format!("sampling rate is invalid: {percentage}%"));
    } else if percentage < 0.0 {
        v.error(field, format!("sampling rate is negative: {percentage}%"));
    } else if percentage > 0.0 && percentage / 100.0 < PROBABILITY_MIN {
        v.error(field, format!("sampling rate is too small: {percentage}%"));
    }
}
