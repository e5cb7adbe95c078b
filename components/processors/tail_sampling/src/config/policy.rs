//! The blocks of policies.

use std::time::Duration;

use config::{Config, Decode, Decoder, GoDuration, Node, Schema, Validator, Value};
use statements::ErrorMode;

/// A policy. `type` says which of the blocks counts.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct PolicyConfig {
    /// Its name, unique in its list.
    pub name: String,
    /// Its type: `always_sample`, `and`, `boolean_attribute`, `bytes_limiting`, `composite`, `drop`, `latency`, `not`,
    /// `numeric_attribute`, `ottl_condition`, `probabilistic`, `rate_limiting`, `span_count`, `status_code`,
    /// `string_attribute`, `throughput`, `trace_flags` or `trace_state`.
    #[config(rename = "type")]
    pub kind: String,
    /// Keeps traces by how long they last, from the first start to the last end.
    pub latency: LatencyConfig,
    /// Keeps traces by integer attributes of resources or spans.
    pub numeric_attribute: NumericAttributeConfig,
    /// Keeps a share of all traces.
    pub probabilistic: ProbabilisticConfig,
    /// Keeps traces in which a span has one of these states.
    pub status_code: StatusCodeConfig,
    /// Keeps traces by text attributes of resources or spans.
    pub string_attribute: StringAttributeConfig,
    /// Keeps traces in which a span has such a member in its tracestate.
    pub trace_state: TraceStateConfig,
    /// Keeps traces as long as there are not too many spans in a second.
    pub rate_limiting: RateLimitingConfig,
    /// Keeps traces as long as there are not too many bytes in a second.
    pub bytes_limiting: BytesLimitingConfig,
    /// Keeps traces by their number of spans.
    pub span_count: SpanCountConfig,
    /// Keeps traces by boolean attributes of resources or spans.
    pub boolean_attribute: BooleanAttributeConfig,
    /// Keeps traces in which a condition in OTTL holds for a span or an event.
    pub ottl_condition: OttlConditionConfig,
    /// Keeps traces that all of several policies keep.
    pub and: AndConfig,
    /// Keeps traces that another policy does not keep.
    pub not: NotConfig,
    /// Drops traces that all of several policies keep, whatever other policies say.
    pub drop: DropConfig,
    /// Shares a number of spans per second among policies.
    pub composite: CompositeConfig,
    /// Keeps about so many spans per second of each kind of trace, by lowering the share of those there are many of. An
    /// addition of weir.
    pub throughput: ThroughputConfig,
}

/// A policy inside another one. The same settings; which types it can have depends on where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubPolicy(pub Box<PolicyConfig>);

impl Decode for SubPolicy {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        Self(Box::new(PolicyConfig::decode(node, *base.0, cx)))
    }

    /// Not that of a policy, which would repeat it without end.
    fn schema() -> Schema {
        Schema::Any
    }

    fn encode(&self) -> Value {
        self.0.encode()
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        self.0.validate(validator);
    }
}

/// Settings of `latency`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct LatencyConfig {
    /// Traces that last longer are kept, in milliseconds.
    pub threshold_ms: i64,
    /// Traces that last longer than that are not, in milliseconds; 0 for no such limit.
    pub upper_threshold_ms: i64,
}

/// Settings of `numeric_attribute`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct NumericAttributeConfig {
    /// Key of the attribute.
    pub key: String,
    /// Least value; 0 for no limit.
    pub min_value: i64,
    /// Largest value; 0 for no limit.
    pub max_value: i64,
    /// Keeps traces without such a value.
    pub invert_match: bool,
}

/// Settings of `probabilistic`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ProbabilisticConfig {
    /// Goes into the hash of trace IDs: other salts keep other traces. Empty for the Collector's default.
    pub hash_salt: String,
    /// Share to keep, in percent.
    pub sampling_percentage: f64,
}

/// Settings of `status_code`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct StatusCodeConfig {
    /// `OK`, `ERROR` or `UNSET`.
    pub status_codes: Vec<String>,
}

/// Settings of `string_attribute`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct StringAttributeConfig {
    /// Key of the attribute.
    pub key: String,
    /// Values, or regular expressions.
    pub values: Vec<String>,
    /// Whether `values` are regular expressions, found anywhere in a value.
    pub enabled_regex_matching: bool,
    /// Cache of results of regular expressions.
    #[config(no_effect = "matching is fast without a cache")]
    pub cache_max_size: i64,
    /// Keeps traces without such a value.
    pub invert_match: bool,
}

/// Settings of `boolean_attribute`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct BooleanAttributeConfig {
    /// Key of the attribute.
    pub key: String,
    /// Its value.
    pub value: bool,
    /// Keeps traces without that value.
    pub invert_match: bool,
}

/// Settings of `trace_state`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct TraceStateConfig {
    /// Key of the member.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

/// Settings of `rate_limiting`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct RateLimitingConfig {
    /// Spans that are kept per second in the long run.
    pub spans_per_second: i64,
    /// Spans that can be kept at once; 0 for twice `spans_per_second`.
    pub burst_capacity: i64,
}

/// Settings of `bytes_limiting`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct BytesLimitingConfig {
    /// Bytes of spans that are kept per second in the long run.
    pub bytes_per_second: i64,
    /// Bytes that can be kept at once; 0 for twice `bytes_per_second`.
    pub burst_capacity: i64,
}

/// Settings of `span_count`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct SpanCountConfig {
    /// Least number of spans.
    pub min_spans: i32,
    /// Largest number of spans; 0 for no limit.
    pub max_spans: i32,
}

/// Settings of `ottl_condition`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct OttlConditionConfig {
    /// What follows when a condition fails: it does not hold (`ignore`, `silent`), or the policy has no vote (`propagate`).
    pub error_mode: ErrorMode,
    /// Conditions about spans.
    pub span: Vec<String>,
    /// Conditions about events of spans.
    pub spanevent: Vec<String>,
}

/// Settings of `and`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct AndConfig {
    /// The policies, `not` and those that look at the trace alone.
    pub and_sub_policy: Vec<SubPolicy>,
}

/// Settings of `not`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct NotConfig {
    /// The policy, one that looks at the trace alone.
    pub not_sub_policy: Option<SubPolicy>,
}

/// Settings of `drop`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct DropConfig {
    /// The policies, `not` and those that look at the trace alone.
    pub drop_sub_policy: Vec<SubPolicy>,
}

/// Settings of `composite`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct CompositeConfig {
    /// Spans per second that no policy in it may exceed.
    pub max_total_spans_per_second: i64,
    /// Names of policies.
    #[config(no_effect = "policies are asked in the order of `composite_sub_policy`, as in the Collector")]
    pub policy_order: Vec<String>,
    /// The policies: `and` and those that look at the trace alone. The first that keeps a trace decides.
    pub composite_sub_policy: Vec<SubPolicy>,
    /// The share of each policy; one that is not listed keeps nothing.
    pub rate_allocation: Vec<RateAllocationConfig>,
}

/// The share of a policy in a composite one.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct RateAllocationConfig {
    /// Name of the policy.
    pub policy: String,
    /// Share of `max_total_spans_per_second` in percent; 0 for an equal share.
    pub percent: i64,
}

/// Settings of `throughput`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ThroughputConfig {
    /// Spans per second to keep of each kind of trace.
    pub spans_per_second: f64,
    /// Attributes of resources or spans that make a kind, such as `service.name` or `http.route`: of each the first value
    /// that arrives. The tenant always counts. None: all traces of a tenant are of one kind.
    pub key: Vec<String>,
    /// Time in which an old rate loses half of its weight.
    #[config(default = GoDuration::from(Duration::from_secs(30)))]
    pub half_life: GoDuration,
    /// Most kinds, up to a million; further ones share one.
    #[config(default = 4096)]
    pub max_keys: u32,
}
