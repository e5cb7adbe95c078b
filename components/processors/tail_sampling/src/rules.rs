//! What the configuration says beside policies, in numbers.

use std::time::Duration;

use component::Settings;

use crate::config::{SamplingStrategy, TailSamplingConfig};

/// Bounds of what the outbox holds.
const OUTBOX_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=64 << 20;
/// The share of the budget of one trace, unless configured otherwise.
const TRACE_SHARE: u64 = 16;
/// The share of the budget that is for kept traces on their way out.
pub const OUT_SHARE: usize = 8;

/// The rules that are not policies.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// From the first span to the decision.
    pub wait: Duration,
    /// From a root span to the decision.
    pub wait_after_root: Option<Duration>,
    /// Most traces that wait.
    pub traces_max: usize,
    /// Whether input is refused beyond them.
    pub refuses_beyond: bool,
    /// Whether the first policy that keeps ends it.
    pub first_match: bool,
    /// Whether policies are asked whenever spans arrive, about those alone.
    pub at_ingest: bool,
    /// Larger traces are dropped.
    pub trace_bytes_dropped: Option<u64>,
    /// Traces with so many spans are decided.
    pub trace_spans_decided: u64,
    /// Traces with so many bytes are decided.
    pub trace_bytes_decided: u64,
    /// Memory in bytes.
    pub budget: usize,
}

/// Bytes that kept traces may occupy on their way out, of a budget.
#[must_use]
pub fn outbox_bytes(budget: usize) -> usize {
    (budget / OUT_SHARE).clamp(*OUTBOX_BYTES.start(), *OUTBOX_BYTES.end())
}

/// The memory budget in bytes.
#[must_use]
pub fn budget(config: &TailSamplingConfig, settings: &Settings) -> usize {
    match usize::try_from(config.memory_budget.0).unwrap_or(usize::MAX) {
        0 => settings.account.cap() / 2,
        bytes => bytes,
    }
}

impl Rules {
    /// From the configuration.
    #[must_use]
    pub fn new(config: &TailSamplingConfig, settings: &Settings) -> Self {
        let seconds =
            |duration: config::GoDuration| Duration::from_secs(duration.as_std().unwrap_or_default().as_secs());
        let limit = |value: u64| if value == 0 { u64::MAX } else { value };
        let budget = budget(config, settings);
        let at_ingest = config.sampling_strategy == SamplingStrategy::SpanIngest;
        let trace_bytes = match config.max_bytes_per_trace.0 {
            0 => budget as u64 / TRACE_SHARE,
            bytes => bytes,
        };
        Self {
            wait: seconds(config.decision_wait).max(Duration::from_secs(1)),
            wait_after_root: Some(seconds(config.decision_wait_after_root_received)).filter(|wait| !wait.is_zero()),
            traces_max: usize::try_from(config.num_traces).unwrap_or(usize::MAX),
            refuses_beyond: config.block_on_overflow,
            // What is final with the first vote needs no second one, unless it says how likely that was.
            first_match: config.sample_on_first_match || at_ingest && !config.adjusted_counts,
            at_ingest,
            trace_bytes_dropped: Some(config.maximum_trace_size_bytes).filter(|bytes| *bytes > 0),
            trace_spans_decided: limit(config.max_spans_per_trace),
            trace_bytes_decided: trace_bytes,
            budget,
        }
    }
}
