//! What the user writes: the Collector's keys, and weir's own beside them.
//!
//! Policies are checked by compiling them ([`crate::plan`]), so that what validates can be built.

mod policy;
mod size;

use std::time::Duration;

use config::{Config, GoDuration, Unsupported, Validator, codes};

pub use self::policy::{
    AndConfig, BooleanAttributeConfig, BytesLimitingConfig, CompositeConfig, DropConfig, LatencyConfig, NotConfig,
    NumericAttributeConfig, OttlConditionConfig, PolicyConfig, ProbabilisticConfig, RateAllocationConfig,
    RateLimitingConfig, SpanCountConfig, StatusCodeConfig, StringAttributeConfig, SubPolicy, ThroughputConfig,
    TraceStateConfig,
};
pub use self::size::ByteSize;

use crate::idle;
use crate::plan::Plan;

/// The longest wait for a decision.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// The least memory that tables and a few spans need, and that requests need.
const BUDGET_MIN: u64 = 64 << 10;
const BUDGET_USEFUL: u64 = 1 << 20;
/// Decisions in the log unless configured otherwise.
pub const DECISION_LOG_SIZE: u64 = 10_000;

/// Keeps or drops whole traces by what is in them.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = TailSamplingConfig::check)]
pub struct TailSamplingConfig {
    /// What traces are kept for; a trace is kept when one of them votes for it and none drops it.
    #[config(required)]
    pub policies: Vec<PolicyConfig>,
    /// Time from the first span of a trace to the decision about it; whole seconds, at least one.
    #[config(default = GoDuration::from(Duration::from_secs(30)))]
    pub decision_wait: GoDuration,
    /// Time from a root span to the decision, where that is earlier; whole seconds, 0 for off.
    pub decision_wait_after_root_received: GoDuration,
    /// Most traces that wait for a decision.
    #[config(default = 50_000)]
    pub num_traces: u64,
    /// What happens beyond `num_traces`: the oldest trace is decided early, or (`true`) input is refused for a retry.
    pub block_on_overflow: bool,
    /// New traces per second that tables are made large enough for at the start.
    pub expected_new_traces_per_sec: u64,
    /// How many decisions are remembered for late spans.
    pub decision_cache: DecisionCacheConfig,
    /// Ends the evaluation of policies with the first that keeps.
    pub sample_on_first_match: bool,
    /// When policies are evaluated: once, with the whole trace (`trace-complete`), or whenever spans of it arrive, with those
    /// alone (`span-ingest`), which some policies do not go with.
    pub sampling_strategy: SamplingStrategy,
    /// Drops what waits at a shutdown, in place of deciding with what is there.
    pub drop_pending_traces_on_shutdown: bool,
    /// Traces with more bytes than that are dropped; 0 for no limit.
    pub maximum_trace_size_bytes: u64,
    /// An extension that keeps waiting spans elsewhere, which the Collector has behind a feature gate.
    #[config(unsupported = "waiting spans are kept in memory, within `memory_budget`")]
    pub tail_storage: Unsupported,
    /// Memory that waiting traces, remembered decisions and kept traces on their way out may occupy, such as `256MiB`.
    /// Beyond it the oldest traces are decided early. 0 for half of what the process may hold.
    pub memory_budget: ByteSize,
    /// A trace is decided when it has so many spans; 0 for no limit. Later spans follow the decision.
    pub max_spans_per_trace: u64,
    /// A trace is decided when it has so many bytes; 0 for a sixteenth of the memory budget.
    pub max_bytes_per_trace: ByteSize,
    /// Samples consistently by the randomness of trace IDs, and writes into the tracestate of kept spans (`ot=th:…`) what
    /// share was kept, so that what is counted later can be weighted.
    pub adjusted_counts: bool,
    /// Attribute of kept spans that names the policy which kept them; empty for none.
    pub reason_attribute: String,
    /// Decisions that can be asked for afterwards, dropped traces included, as far as they fit a 32nd of the memory budget;
    /// 0 for none.
    #[config(default = DECISION_LOG_SIZE)]
    pub decision_log_size: u64,
}

/// When policies are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum SamplingStrategy {
    /// Once, with the whole trace.
    #[default]
    #[config(rename = "trace-complete")]
    TraceComplete,
    /// Whenever spans of a trace arrive, with those alone. To keep or to drop is final at once; what is undecided at the end of
    /// `decision_wait` is not kept.
    #[config(rename = "span-ingest")]
    SpanIngest,
}

/// How many decisions are remembered for late spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub struct DecisionCacheConfig {
    /// Kept traces that are remembered at least; 0 for `num_traces`, or what fits a 32nd of the memory budget.
    pub sampled_cache_size: u64,
    /// Dropped traces that are remembered at least; 0 for `num_traces`, or what fits a 32nd of the memory budget.
    pub non_sampled_cache_size: u64,
}

impl TailSamplingConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (field, value) in [
            ("decision_wait", self.decision_wait),
            ("decision_wait_after_root_received", self.decision_wait_after_root_received),
        ] {
            if value.is_negative() || value.as_std().is_some_and(|wait| wait > WAIT_MAX) {
                v.error(field, format!("`{field}` must be between 0s and 24h"));
            }
        }
        if self.num_traces == 0 {
            v.error("num_traces", "`num_traces` must be positive");
        }
        if self.policies.is_empty() {
            v.error("policies", "`policies` must have at least one policy: without any, nothing would be kept");
        }
        if self.adjusted_counts && self.sample_on_first_match {
            let message = "`sample_on_first_match` cannot be used with `adjusted_counts`: how likely a trace was kept is \
                           known only after all policies were asked";
            v.error("sample_on_first_match", message);
        }
        let ByteSize(budget) = self.memory_budget;
        if (1..BUDGET_MIN).contains(&budget) {
            let message =
                format!("`memory_budget` must be at least {}, or 0, got {budget} bytes", ByteSize(BUDGET_MIN));
            v.error("memory_budget", message);
        } else if (1..BUDGET_USEFUL).contains(&budget) {
            let message = "below 1MiB, a single large request is more than may wait, and is decided at once";
            v.warning("memory_budget", codes::IDLE_SETTING, message);
        }
        for problem in Plan::compile(self).err().unwrap_or_default() {
            problem.report(v);
        }
        idle::report(self, v);
    }
}
