//! Own metrics: the Collector's by its names, and weir's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use component::telemetry::Metric;
use component::{Counter, Gauge, Histogram, Level, Telemetry};

use crate::log::Cause;
use crate::policy::{Facts, Policy, Verdict, Vote};

/// Milliseconds of a round of decisions.
const LATENCY_BUCKETS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0, 2000.0, 5000.0];
/// Seconds.
const AGE_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Basic }
}

const POLICY_DECISIONS: Metric = metric(
    "otelcol_processor_tail_sampling_count_traces_sampled",
    "Count of traces that were sampled or not per sampling policy",
    "{traces}",
);
const POLICY_SPANS: Metric = metric(
    "otelcol_processor_tail_sampling_count_spans_sampled",
    "Count of spans that were sampled or not per sampling policy",
    "{spans}",
);
const POLICY_BYTES: Metric = metric(
    "otelcol_processor_tail_sampling_count_bytes_sampled",
    "Count of bytes that were sampled or not per sampling policy",
    "By",
);
const EXECUTION_TIME: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_policy_execution_time_sum",
    "Time in which a policy was asked about traces, estimated from one decision in 64; conditions are answered before, when spans arrive",
    "us",
);
const DECISIONS: Metric = metric(
    "otelcol_processor_tail_sampling_global_count_traces_sampled",
    "Global count of traces that were sampled or not by at least one policy",
    "{traces}",
);
const EARLY_RELEASES: Metric = metric(
    "otelcol_processor_tail_sampling_early_releases_from_cache_decision",
    "Number of spans that followed a decision made before they arrived",
    "{spans}",
);
const NEW_TRACES: Metric =
    metric("otelcol_processor_tail_sampling_new_trace_id_received", "Counts the arrival of new traces", "{traces}");
const TIMER_LATENCY: Metric =
    metric("otelcol_processor_tail_sampling_sampling_decision_timer_latency", "Time of a round of decisions", "ms");
const LATE_AGE: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_late_span_age",
    "Time from the sampling decision to the arrival of a late span",
    "s",
);
const ERRORS: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_policy_evaluation_error",
    "Count of sampling policy evaluation errors",
    "{errors}",
);
const EXECUTIONS: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_policy_execution_count",
    "Number of times a policy was asked",
    "{executions}",
);
const TOO_EARLY: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
    "Count of traces that were dropped before the configured wait; weir decides them instead",
    "{traces}",
);
const REMOVAL_AGE: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_trace_removal_age",
    "Time from the arrival of a new trace until its removal from memory",
    "s",
);
const ON_MEMORY: Metric = metric(
    "otelcol_processor_tail_sampling_sampling_traces_on_memory",
    "Number of traces that wait for a decision",
    "{traces}",
);
const TOO_LARGE: Metric = metric(
    "otelcol_processor_tail_sampling_traces_dropped_too_large",
    "Count of traces that were dropped because they were larger than maximum_trace_size_bytes",
    "{traces}",
);
const DECIDED_EARLY: Metric =
    metric("weir_tail_sampling_decided_early", "Traces that were decided before their wait was over", "{traces}");
const BEFORE_START: Metric = metric(
    "weir_tail_sampling_begun_before_start",
    "Traces that began before the process did, so that earlier spans of theirs may have been decided or lost elsewhere",
    "{traces}",
);
const HELD_BYTES: Metric = metric(
    "weir_tail_sampling_held_bytes",
    "Memory that waiting traces, remembered decisions and kept traces on their way out occupy",
    "By",
);
const GATED: Metric = metric(
    "weir_tail_sampling_gated_spans",
    "Spans of traces that the degraded mode did not let wait: kept by themselves, or not",
    "{spans}",
);
const SPLIT: Metric = metric(
    "weir_tail_sampling_split_traces",
    "Traces about which a sampler decided otherwise than its predecessor had, before it was handed over what that had decided",
    "{traces}",
);
const REFUSED: Metric = metric(
    "weir_tail_sampling_refused_requests",
    "Requests that were refused because nothing more could be decided to make room",
    "{requests}",
);

/// One decision in so many is timed, policy by policy.
pub const TIMED_EVERY: u64 = 64;

/// What one policy was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Votes {
    /// Sampled, not sampled, dropped: traces, their spans, their bytes.
    votes: [[u64; 3]; 3],
    errors: u64,
    /// Nanoseconds, of one decision in [`TIMED_EVERY`].
    timed_ns: u64,
}

/// What a round of decisions counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By policy.
    pub votes: Vec<Votes>,
    /// Decisions: sampled, not sampled, dropped.
    pub verdicts: [u64; 3],
    /// Decided early, by place in [`Cause::EARLY`].
    pub early: [u64; Cause::EARLY.len()],
    /// Larger than `maximum_trace_size_bytes`.
    pub too_large: u64,
    /// Began before the process.
    pub before_start: u64,
    /// Ages of traces that were removed.
    pub ages: Vec<Duration>,
}

impl Tally {
    /// For so many policies.
    #[must_use]
    pub fn new(policies: usize) -> Self {
        Self { votes: vec![Votes::default(); policies], ..Self::default() }
    }

    /// Counts a vote about a trace, and the time it took if that was measured.
    pub fn vote(&mut self, policy: usize, vote: Vote, facts: &Facts, took: Option<Duration>) {
        let Some(votes) = self.votes.get_mut(policy) else { return };
        if let Some(took) = took {
            votes.timed_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        }
        let [sampled, not, dropped] = &mut votes.votes;
        let [traces, spans, bytes] = match vote {
            Vote::Sampled(_) => sampled,
            Vote::NotSampled => not,
            Vote::Dropped => dropped,
            Vote::Error => return votes.errors += 1,
        };
        *traces += 1;
        *spans += facts.spans;
        *bytes += facts.bytes;
    }

    /// Counts a decision.
    pub fn decided(&mut self, verdict: Verdict, cause: Cause, age: Duration) {
        self.ages.push(age);
        if cause == Cause::TooLarge {
            self.too_large += 1;
            return;
        }
        let [sampled, not, dropped] = &mut self.verdicts;
        *match verdict {
            Verdict::Sampled => sampled,
            Verdict::NotSampled | Verdict::Gated => not,
            Verdict::Dropped => dropped,
        } += 1;
        let place = Cause::EARLY.iter().position(|early| *early == cause);
        if let Some(count) = place.and_then(|place| self.early.get_mut(place)) {
            *count += 1;
        }
    }
}

const DECISION_LABELS: [(&str, &str); 3] = [("true", "sampled"), ("false", "not_sampled"), ("false", "dropped")];

struct OfPolicy {
    /// By decision: traces, spans, bytes.
    decisions: [[Counter; 3]; 3],
    executions: Counter,
    time_us: Counter,
    /// What is not a whole microsecond yet.
    time_ns: AtomicU64,
}

/// The series of one instance.
pub struct Metrics {
    policies: Vec<OfPolicy>,
    decisions: [Counter; 3],
    early: [Counter; Cause::EARLY.len()],
    /// Spans that followed a decision: kept, dropped.
    pub early_releases: [Counter; 2],
    /// Spans that the gate settled: kept by themselves, dropped.
    pub gated: [Counter; 2],
    /// New traces.
    pub new_traces: Counter,
    /// Time of a round, in ms.
    pub timer_latency: Histogram,
    /// Age of decisions that late spans followed, in s.
    pub late_age: Histogram,
    errors: Counter,
    removal_age: Histogram,
    /// Traces that wait.
    pub on_memory: Gauge,
    too_large: Counter,
    before_start: Counter,
    /// Bytes held.
    pub held_bytes: Gauge,
    /// Requests refused.
    pub refused: Counter,
    /// Traces of which parts were decided differently.
    pub split: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Creates the series. `name` is the name part of the component's ID.
    #[must_use]
    pub fn new(telemetry: &Telemetry, name: &str, policies: &[Policy]) -> Self {
        let policies = policies.iter().map(|policy| {
            let label = if name.is_empty() { policy.name.to_string() } else { format!("{name}.{}", policy.name) };
            let decisions = DECISION_LABELS.map(|(sampled, decision)| {
                let labels = [("policy", label.as_str()), ("sampled", sampled), ("decision", decision)];
                [POLICY_DECISIONS, POLICY_SPANS, POLICY_BYTES].map(|metric| telemetry.counter(metric, &labels))
            });
            let [executions, time_us] =
                [EXECUTIONS, EXECUTION_TIME].map(|metric| telemetry.counter(metric, &[("policy", &label)]));
            OfPolicy { decisions, executions, time_us, time_ns: AtomicU64::new(0) }
        });
        let decisions = DECISION_LABELS
            .map(|(sampled, decision)| telemetry.counter(DECISIONS, &[("sampled", sampled), ("decision", decision)]));
        // The Collector's counter of losses that do not happen here: shown, and 0.
        telemetry.counter(TOO_EARLY, &[]).add(0);
        Self {
            policies: policies.collect(),
            decisions,
            early: Cause::EARLY.map(|cause| telemetry.counter(DECIDED_EARLY, &[("reason", cause.label())])),
            early_releases: ["true", "false"].map(|sampled| telemetry.counter(EARLY_RELEASES, &[("sampled", sampled)])),
            gated: ["true", "false"].map(|kept| telemetry.counter(GATED, &[("kept", kept)])),
            new_traces: telemetry.counter(NEW_TRACES, &[]),
            timer_latency: telemetry.histogram(TIMER_LATENCY, LATENCY_BUCKETS, &[]),
            late_age: telemetry.histogram(LATE_AGE, AGE_BUCKETS, &[]),
            errors: telemetry.counter(ERRORS, &[]),
            removal_age: telemetry.histogram(REMOVAL_AGE, AGE_BUCKETS, &[]),
            on_memory: telemetry.up_down_counter(ON_MEMORY, &[]),
            too_large: telemetry.counter(TOO_LARGE, &[]),
            before_start: telemetry.counter(BEFORE_START, &[]),
            held_bytes: telemetry.up_down_counter(HELD_BYTES, &[]),
            refused: telemetry.counter(REFUSED, &[]),
            split: telemetry.counter(SPLIT, &[]),
        }
    }

    /// Adds what a round counted.
    pub fn add(&self, tally: &Tally) {
        for (policy, Votes { votes, errors, timed_ns }) in self.policies.iter().zip(&tally.votes) {
            policy.executions.add(votes.iter().map(|[traces, ..]| traces).sum::<u64>() + errors);
            self.errors.add(*errors);
            let counters = policy.decisions.iter().flatten().zip(votes.iter().flatten());
            counters.for_each(|(counter, count)| counter.add(*count));
            if *timed_ns > 0 {
                let all_ns = timed_ns.saturating_mul(TIMED_EVERY);
                let ns = policy.time_ns.fetch_add(all_ns, Ordering::Relaxed).saturating_add(all_ns);
                policy.time_ns.fetch_sub(ns / 1000 * 1000, Ordering::Relaxed);
                policy.time_us.add(ns / 1000);
            }
        }
        self.decisions.iter().zip(tally.verdicts).for_each(|(counter, count)| counter.add(count));
        self.early.iter().zip(tally.early).for_each(|(counter, count)| counter.add(count));
        self.too_large.add(tally.too_large);
        self.before_start.add(tally.before_start);
        tally.ages.iter().for_each(|age| self.removal_age.record(age.as_secs() as f64));
    }
}
