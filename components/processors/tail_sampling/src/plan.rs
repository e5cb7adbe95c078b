//! From the configuration to what decides: policies as trees over the bits of [`Conditions`], and the state of those that
//! remember ([`crate::limits`]).

use std::sync::OnceLock;

use matching::Pattern;
use ottl::{Context, Mode, ParseError, Parser};
use sampling::{PROBABILITY_MIN, Threshold};
use statements::{Placed, Problem};

use crate::conditions::{Conditions, Matcher};
use crate::config::{CompositeConfig, PolicyConfig, SamplingStrategy, SubPolicy, TailSamplingConfig};
use crate::limits::{Bucket, Owned, Rates, Shares, State};
use crate::policy::{Node, Policy};

/// The Collector's salt where none is configured.
const HASH_SALT: &str = "default-hash-seed";
/// Most kinds of traces that a `throughput` policy can tell apart.
const KINDS_MAX: u32 = 1_000_000;
/// Longest key and value of a member of a tracestate together, in bytes.
const MEMBER_BYTES_MAX: usize = 256;

/// What is asked and how it is decided.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is asked of spans and resources.
    pub conditions: Conditions,
    /// Policies in the order in which they are asked: those that drop first.
    pub policies: Vec<Policy>,
    /// What policies remember, at the start.
    pub state: State,
    /// Whether policies that limit rates keep traces in order of their randomness, so that it is known how likely that was.
    pub orders_limits: bool,
}

fn parser() -> &'static Parser {
    static PARSER: OnceLock<Parser> = OnceLock::new();
    PARSER.get_or_init(|| Parser::new(&[]))
}

/// Where a policy stands, which says what types it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Top,
    InComposite,
    InAndOrDrop,
    InNot,
}

impl Plan {
    /// Compiles the policies.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(config: &TailSamplingConfig) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler {
            plan: Self::default(),
            problems: Vec::new(),
            is_consistent: config.adjusted_counts,
            at_ingest: config.sampling_strategy == SamplingStrategy::SpanIngest,
            path: Vec::new(),
        };
        compiler.plan.conditions.reads_randomness = config.adjusted_counts;
        let (mut drops, mut others) = (Vec::new(), Vec::new());
        for (index, policy) in config.policies.iter().enumerate() {
            let field = format!("policies::{index}");
            if policy.name.is_empty() {
                compiler.refuse(&format!("{field}::name"), "policy name cannot be empty");
            } else if config.policies.iter().take(index).any(|other| other.name == policy.name) {
                compiler.refuse(&format!("{field}::name"), format!("duplicate policy name \"{}\"", policy.name));
            }
            let Some(node) = compiler.node(&field, policy, Level::Top) else { continue };
            let list = if matches!(node, Node::Drop(_)) { &mut drops } else { &mut others };
            list.push(Policy { name: policy.name.as_str().into(), node });
        }
        drops.append(&mut others);
        compiler.plan.policies = drops;
        compiler.plan.orders_limits = config.adjusted_counts && !compiler.plan.state.buckets.is_empty();
        if compiler.problems.is_empty() { Ok(compiler.plan) } else { Err(compiler.problems) }
    }
}

/// The types of policies. Each but `always_sample` and `trace_flags`, which the configuration does not let have one, has a block of
/// its name.
pub(crate) const KINDS: [&str; 18] = [
    "always_sample",
    "latency",
    "span_count",
    "numeric_attribute",
    "string_attribute",
    "boolean_attribute",
    "status_code",
    "trace_state",
    "trace_flags",
    "probabilistic",
    "rate_limiting",
    "bytes_limiting",
    "throughput",
    "ottl_condition",
    "not",
    "and",
    "drop",
    "composite",
];

struct Compiler {
    plan: Plan,
    problems: Vec<Problem>,
    is_consistent: bool,
    at_ingest: bool,
    /// Names and types of the policy at hand and those around it, the outermost first.
    path: Vec<(String, String)>,
}

impl Compiler {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(Problem::setting(field, message));
    }

    fn attribute(&mut self, key: &str, matcher: Matcher, inverted: bool) -> Node {
        Node::Bit { bit: self.plan.conditions.attribute(key, matcher), inverted }
    }

    /// Who remembers something, for a successor: the policy at hand by names and types, and what its memory depends on.
    fn owner(&self, shape: &str) -> Box<str> {
        let path: Vec<String> = self.path.iter().map(|(name, kind)| format!("{name:?} {kind}")).collect();
        format!("{} {shape}", path.join(" / ")).into()
    }

    /// Refuses a policy that is not to be asked about parts of a trace one by one. `why`: what stands against that.
    fn refuse_at_ingest(&mut self, field: &str, why: &str) {
        let name = self.path.first().map_or("", |(name, _)| name);
        let message = format!(
            "sampling_strategy \"span-ingest\" requires all policies to be stateless, but policy \"{name}\" is stateful: {why}"
        );
        self.refuse(field, message);
    }

    fn node(&mut self, field: &str, policy: &PolicyConfig, level: Level) -> Option<Node> {
        self.path.push((policy.name.clone(), policy.kind.clone()));
        if self.at_ingest {
            self.check_at_ingest(field, policy);
        }
        let node = self.node_of_kind(field, policy, level);
        self.path.pop();
        node
    }

    fn check_at_ingest(&mut self, field: &str, policy: &PolicyConfig) {
        let block = format!("{field}::{}", policy.kind);
        match policy.kind.as_str() {
            "rate_limiting" | "bytes_limiting" => {
                self.refuse_at_ingest(&format!("{field}::type"), "it counts what it keeps of whole traces");
            }
            "throughput" => {
                self.refuse_at_ingest(&format!("{field}::type"), "it counts the spans of whole traces");
            }
            "latency" if policy.latency.upper_threshold_ms != 0 => {
                let why = "with an upper threshold, later spans can change its answer";
                self.refuse_at_ingest(&format!("{block}::upper_threshold_ms"), why);
            }
            "span_count" if policy.span_count.max_spans != 0 => {
                let why = "with a largest number, later spans can change its answer";
                self.refuse_at_ingest(&format!("{block}::max_spans"), why);
            }
            "composite" if self.is_consistent => {
                let why = "with `adjusted_counts` it would count a trace again and again";
                self.refuse_at_ingest(&format!("{field}::type"), why);
            }
            _ => {}
        }
    }

    fn node_of_kind(&mut self, field: &str, policy: &PolicyConfig, level: Level) -> Option<Node> {
        let block = format!("{field}::{}", policy.kind);
        match policy.kind.as_str() {
            "always_sample" => Some(Node::Always),
            "latency" => {
                let (threshold, upper) = (policy.latency.threshold_ms, policy.latency.upper_threshold_ms);
                Some(Node::Latency { threshold, upper: (upper != 0).then_some(upper) })
            }
            "span_count" => {
                let count = |n: i32| u64::try_from(n).unwrap_or_default();
                let (least, most) = (policy.span_count.min_spans, policy.span_count.max_spans);
                Some(Node::SpanCount { least: count(least), most: (most != 0).then_some(count(most)) })
            }
            "numeric_attribute" => self.numeric(&block, policy),
            "string_attribute" => self.string(&block, policy),
            "boolean_attribute" => {
                let config = &policy.boolean_attribute;
                Some(self.attribute(&config.key, Matcher::Is(config.value), config.invert_match))
            }
            "status_code" => self.status(&block, policy),
            "trace_state" => {
                let config = &policy.trace_state;
                let fits = |value: &&String| !value.is_empty() && config.key.len() + value.len() < MEMBER_BYTES_MAX;
                let values = config.values.iter().filter(fits).cloned().collect();
                Some(Node::Bit { bit: self.plan.conditions.trace_state(&config.key, values), inverted: false })
            }
            "trace_flags" => Some(Node::Bit { bit: self.plan.conditions.flags(), inverted: false }),
            "probabilistic" => self.probabilistic(&block, policy),
            "rate_limiting" => {
                let config = &policy.rate_limiting;
                let bucket = self.bucket(&block, "spans_per_second", config.spans_per_second, config.burst_capacity)?;
                Some(Node::SpanRate(bucket))
            }
            "bytes_limiting" => {
                let config = &policy.bytes_limiting;
                let bucket = self.bucket(&block, "bytes_per_second", config.bytes_per_second, config.burst_capacity)?;
                Some(Node::ByteRate(bucket))
            }
            "throughput" => self.throughput(&block, policy),
            "ottl_condition" => self.ottl(&block, policy),
            "not" if matches!(level, Level::Top | Level::InAndOrDrop) => {
                let Some(SubPolicy(inner)) = &policy.not.not_sub_policy else {
                    self.refuse(&block, "`not_sub_policy` must be set");
                    return None;
                };
                let inner = self.node(&format!("{block}::not_sub_policy"), inner, Level::InNot)?;
                Some(Node::Not(Box::new(inner)))
            }
            "and" if matches!(level, Level::Top | Level::InComposite) => {
                Some(Node::And(self.all(&format!("{block}::and_sub_policy"), &policy.and.and_sub_policy)?))
            }
            "drop" if level == Level::Top => {
                Some(Node::Drop(self.all(&format!("{block}::drop_sub_policy"), &policy.drop.drop_sub_policy)?))
            }
            "composite" if level == Level::Top => self.composite(&block, &policy.composite),
            other => {
                let why = if ["and", "composite", "drop", "not"].contains(&other) {
                    "it cannot stand within this policy"
                } else {
                    "policies that extensions implement are not supported"
                };
                let meant = if KINDS.contains(&other) { String::new() } else { config::meant(other, KINDS) };
                self.refuse(&format!("{field}::type"), format!("unknown sampling policy type {other}: {why}{meant}"));
                None
            }
        }
    }

    fn all(&mut self, field: &str, policies: &[SubPolicy]) -> Option<Vec<Node>> {
        if policies.is_empty() {
            let setting = field.rsplit("::").next().unwrap_or(field);
            self.refuse(field, format!("`{setting}` must have at least one policy"));
        }
        let nodes = policies
            .iter()
            .enumerate()
            .map(|(index, SubPolicy(policy))| self.node(&format!("{field}::{index}"), policy, Level::InAndOrDrop));
        nodes.collect::<Vec<_>>().into_iter().collect()
    }

    fn numeric(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let config = &policy.numeric_attribute;
        if config.min_value == 0 && config.max_value == 0 {
            self.refuse(block, "at least one of `min_value` and `max_value` must be set; 0 counts as not set");
            return None;
        }
        let bound = |value: i64, unset: i64| if value == 0 { unset } else { value };
        let matcher = Matcher::Between(bound(config.min_value, i64::MIN), bound(config.max_value, i64::MAX));
        Some(self.attribute(&config.key, matcher, config.invert_match))
    }

    fn string(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let config = &policy.string_attribute;
        let matcher = if config.enabled_regex_matching {
            let mut patterns = Vec::new();
            for (index, text) in config.values.iter().enumerate() {
                match Pattern::new(text) {
                    Ok(pattern) => patterns.push((text.as_str().into(), pattern)),
                    Err(error) => self.refuse(&format!("{block}::values::{index}"), error.to_string()),
                }
            }
            if patterns.len() < config.values.len() {
                return None;
            }
            Matcher::Patterns(patterns)
        } else {
            let values = config.values.iter().filter(|value| !value.is_empty());
            Matcher::Texts(values.map(|value| value.as_str().into()).collect())
        };
        Some(self.attribute(&config.key, matcher, config.invert_match))
    }

    fn status(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let names = &policy.status_code.status_codes;
        if names.is_empty() {
            self.refuse(&format!("{block}::status_codes"), "expected at least one status code to filter on");
            return None;
        }
        let mut codes = 0;
        for (index, name) in names.iter().enumerate() {
            match ["UNSET", "OK", "ERROR"].iter().position(|known| known == name) {
                Some(code) => codes |= 1 << code,
                None => {
                    let meant = config::meant(name, ["OK", "ERROR", "UNSET"]);
                    let message = format!("unknown status code \"{name}\", supported: OK, ERROR, UNSET{meant}");
                    self.refuse(&format!("{block}::status_codes::{index}"), message);
                    return None;
                }
            }
        }
        Some(Node::Bit { bit: self.plan.conditions.status(codes), inverted: false })
    }

    fn probabilistic(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let config = &policy.probabilistic;
        let share = config.sampling_percentage / 100.0;
        if !self.is_consistent {
            let salt = if config.hash_salt.is_empty() { HASH_SALT } else { &config.hash_salt };
            return Some(Node::Hash { most: of_all(share), salt: salt.into() });
        }
        if !config.hash_salt.is_empty() {
            let message =
                "`hash_salt` has no meaning with `adjusted_counts`: all stages use the randomness of trace IDs";
            self.refuse(&format!("{block}::hash_salt"), message);
            return None;
        }
        let threshold = Threshold::of_probability(share.min(1.0), 4).unwrap_or(Threshold::NEVER);
        Some(Node::Share(if share < PROBABILITY_MIN { Threshold::NEVER } else { threshold }))
    }

    fn bucket(&mut self, block: &str, setting: &str, per_second: i64, burst: i64) -> Option<usize> {
        if per_second < 0 || burst < 0 {
            let setting = if burst < 0 { "burst_capacity" } else { setting };
            self.refuse(&format!("{block}::{setting}"), format!("`{setting}` must not be negative"));
            return None;
        }
        let burst = if burst == 0 { per_second.saturating_mul(2) } else { burst };
        let owner = self.owner("");
        self.plan.state.buckets.push(Owned { owner, limit: Bucket::new(per_second, burst) });
        Some(self.plan.state.buckets.len() - 1)
    }

    fn throughput(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let config = &policy.throughput;
        if !config.spans_per_second.is_finite() || config.spans_per_second <= 0.0 {
            self.refuse(&format!("{block}::spans_per_second"), "`spans_per_second` must be positive");
            return None;
        }
        let half_life = config.half_life.as_std().filter(|half_life| !half_life.is_zero());
        let Some(half_life) = half_life else {
            self.refuse(&format!("{block}::half_life"), "`half_life` must be positive");
            return None;
        };
        if config.max_keys > KINDS_MAX {
            self.refuse(&format!("{block}::max_keys"), format!("`max_keys` must be at most {KINDS_MAX}"));
            return None;
        }
        let fields = config.key.iter().map(|key| self.plan.conditions.field(key)).collect();
        let kinds_max = usize::try_from(config.max_keys.max(1)).unwrap_or(usize::MAX);
        let owner = self.owner(&format!("{:?}", config.key));
        let limit = Rates::new(config.spans_per_second, half_life, kinds_max);
        self.plan.state.rates.push(Owned { owner, limit });
        self.plan.conditions.reads_randomness = true;
        Some(Node::Throughput { rates: self.plan.state.rates.len() - 1, fields })
    }

    fn ottl(&mut self, block: &str, policy: &PolicyConfig) -> Option<Node> {
        let config = &policy.ottl_condition;
        if config.span.is_empty() && config.spanevent.is_empty() {
            self.refuse(block, "expected at least one OTTL condition to filter on");
            return None;
        }
        let mut compile = |setting: &str, texts: &[String], context: Context| {
            let mut conditions = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let field = format!("{block}::{setting}::{index}");
                match condition(text, context) {
                    Ok(condition) => conditions.push(Placed::new(condition, &field)),
                    Err(error) => {
                        self.problems.push(Problem::statement(field, error));
                    }
                }
            }
            conditions
        };
        let span = compile("span", &config.span, Context::Span);
        let event = compile("spanevent", &config.spanevent, Context::SpanEvent);
        let (held, failed) = self.plan.conditions.ottl(span, event, config.error_mode);
        Some(Node::Ottl { held, failed })
    }

    fn composite(&mut self, block: &str, config: &CompositeConfig) -> Option<Node> {
        let policies = &config.composite_sub_policy;
        if policies.is_empty() {
            self.refuse(
                &format!("{block}::composite_sub_policy"),
                "`composite_sub_policy` must have at least one policy",
            );
        }
        let most = config.max_total_spans_per_second;
        let mut nodes = Vec::new();
        let mut allocations = Vec::new();
        for (index, SubPolicy(policy)) in policies.iter().enumerate() {
            let node = self.node(&format!("{block}::composite_sub_policy::{index}"), policy, Level::InComposite);
            nodes.push((policy.name.as_str().into(), node?));
            let allocation = config.rate_allocation.iter().rev().find(|allocation| allocation.policy == policy.name);
            let allocation = match allocation.map(|allocation| allocation.percent) {
                None => 0,
                Some(percent) if percent > 0 => (percent as f64 / 100.0 * most as f64) as i64,
                Some(_) => most / i64::try_from(policies.len()).unwrap_or(i64::MAX).max(1),
            };
            allocations.push((policy.name.as_str().into(), allocation));
        }
        let owner = self.owner("");
        self.plan.state.shares.push(Owned { owner, limit: Shares::new(most, allocations) });
        Some(Node::Composite { shares: self.plan.state.shares.len() - 1, policies: nodes })
    }
}

/// A condition, its paths with or without prefixes.
fn condition(text: &str, context: Context) -> Result<ottl::Condition, ParseError> {
    let plain = parser().condition(text, Mode::Plain(context));
    match plain {
        Ok(condition) => Ok(condition),
        Err(plain) => parser().condition(text, Mode::Prefixed(context)).map_err(|_unprefixed_is_the_rule| plain),
    }
}

/// A share of 2^64 - 1, rounded down.
fn of_all(share: f64) -> u64 {
    if share >= 1.0 {
        return u64::MAX;
    }
    let bits = share.to_bits();
    if share <= 0.0 || share.is_nan() {
        return 0;
    }
    // share = mantissa / 2^shift, exactly.
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = if exponent == 0 { 0 } else { bits & ((1 << 52) - 1) | 1 << 52 };
    let shift = (1075 - exponent).clamp(0, 127).cast_unsigned();
    ((u128::from(mantissa) * u128::from(u64::MAX)) >> shift) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_all_hashes_are_exact() {
        assert_eq!(of_all(0.5), u64::MAX / 2);
        assert_eq!(of_all(0.0), 0);
        assert_eq!(of_all(-1.0), 0);
        assert_eq!(of_all(2.0), u64::MAX);
        assert_eq!(of_all(0.25), u64::MAX / 4);
        let one_percent = of_all(0.01) as f64 / u64::MAX as f64;
        assert!((one_percent - 0.01).abs() < 1e-15, "{one_percent}");
    }
}
