//! Settings that are valid and can never do anything, for warnings: as the Collector takes them, they are no errors.
//!
//! What is refused is told by [`crate::plan`]. Whether a block was written at all, the YAML says.

use config::{Node, Validator, codes};

use crate::config::{CompositeConfig, PolicyConfig, SubPolicy, TailSamplingConfig};
use crate::plan::KINDS;

/// Types that are accepted without their block, and what they do then.
const WITHOUT_BLOCK: [(&str, &str); 8] = [
    ("boolean_attribute", "no attribute has an empty key"),
    ("bytes_limiting", "it keeps nothing at 0 bytes a second"),
    ("latency", "it keeps every trace that lasts longer than 0 ms"),
    ("probabilistic", "it keeps nothing at 0 percent"),
    ("rate_limiting", "it keeps nothing at 0 spans a second"),
    ("span_count", "it keeps every trace"),
    ("string_attribute", "no attribute has an empty key"),
    ("trace_state", "no member has an empty key"),
];

/// Settings that can never do anything: the path of each, and why.
#[must_use]
pub fn settings(config: &TailSamplingConfig, node: Option<&Node>) -> Vec<(String, String)> {
    let mut idle = Idle::default();
    let second = std::time::Duration::from_secs(1);
    if config.decision_wait.as_std().is_some_and(|wait| wait < second) {
        idle.add("decision_wait", "below one second counts as one second");
    }
    let after_root = config.decision_wait_after_root_received.as_std();
    if after_root.is_some_and(|wait| !wait.is_zero() && wait < second) {
        idle.add("decision_wait_after_root_received", "below one second counts as 0s, which is off");
    }
    let policies = node.and_then(|node| node.get("policies"));
    for (index, policy) in config.policies.iter().enumerate() {
        idle.policy(&format!("policies::{index}"), policy, item(policies, index));
    }
    idle.0
}

/// Warns about all of them.
pub(crate) fn report(config: &TailSamplingConfig, v: &mut Validator<'_>) {
    for (field, why) in settings(config, v.node()) {
        v.warning(&field, codes::IDLE_SETTING, why);
    }
}

fn item(list: Option<&Node>, index: usize) -> Option<&Node> {
    list.and_then(|list| list.items().get(index))
}

#[derive(Default)]
struct Idle(Vec<(String, String)>);

impl Idle {
    fn add(&mut self, field: &str, why: impl Into<String>) {
        self.0.push((field.to_owned(), why.into()));
    }

    fn policy(&mut self, field: &str, policy: &PolicyConfig, node: Option<&Node>) {
        let kind = policy.kind.as_str();
        let written = |block: &str| node.is_some_and(|node| node.get(block).is_some());
        for block in KINDS.into_iter().filter(|block| *block != kind && written(block)) {
            self.add(&format!("{field}::{block}"), format!("`{block}` does nothing in a policy of type `{kind}`"));
        }
        let missing = WITHOUT_BLOCK.iter().find(|(of, _)| *of == kind && node.is_some() && !written(kind));
        if let Some((_, why)) = missing {
            return self.add(&format!("{field}::type"), format!("the policy lacks its block `{kind}`: {why}"));
        }
        self.content(&format!("{field}::{kind}"), policy, node.and_then(|node| node.get(kind)));
    }

    fn content(&mut self, block: &str, policy: &PolicyConfig, node: Option<&Node>) {
        match policy.kind.as_str() {
            "latency" => {
                let (least, most) = (policy.latency.threshold_ms, policy.latency.upper_threshold_ms);
                if most != 0 && most <= least {
                    let why = format!("no trace lasts longer than {least} ms and at most {most} ms");
                    self.add(&format!("{block}::upper_threshold_ms"), why);
                }
            }
            "numeric_attribute" => {
                let config = &policy.numeric_attribute;
                self.key(block, &config.key);
                self.range(&format!("{block}::max_value"), config.min_value, config.max_value, "value");
            }
            "span_count" => {
                let config = &policy.span_count;
                let field = format!("{block}::max_spans");
                self.range(&field, config.min_spans.into(), config.max_spans.into(), "number of spans");
            }
            "probabilistic" => {
                self.percentage(&format!("{block}::sampling_percentage"), policy.probabilistic.sampling_percentage);
            }
            "string_attribute" => {
                let config = &policy.string_attribute;
                self.key(block, &config.key);
                if config.values.is_empty()
                    || !config.enabled_regex_matching && config.values.iter().all(String::is_empty)
                {
                    self.add(&format!("{block}::values"), "no value is listed that an attribute could have");
                }
            }
            "boolean_attribute" => self.key(block, &policy.boolean_attribute.key),
            "trace_state" => {
                self.key(block, &policy.trace_state.key);
                if policy.trace_state.values.iter().all(String::is_empty) {
                    self.add(&format!("{block}::values"), "no value is listed that a member could have");
                }
            }
            "not" => {
                if let Some(SubPolicy(inner)) = &policy.not.not_sub_policy {
                    let node = node.and_then(|node| node.get("not_sub_policy"));
                    self.policy(&format!("{block}::not_sub_policy"), inner, node);
                }
            }
            "and" => self.all(block, "and_sub_policy", &policy.and.and_sub_policy, node),
            "drop" => self.all(block, "drop_sub_policy", &policy.drop.drop_sub_policy, node),
            "composite" => {
                self.all(block, "composite_sub_policy", &policy.composite.composite_sub_policy, node);
                self.shares(block, &policy.composite);
            }
            _ => {}
        }
    }

    fn all(&mut self, block: &str, setting: &str, policies: &[SubPolicy], node: Option<&Node>) {
        let nodes = node.and_then(|node| node.get(setting));
        for (index, SubPolicy(policy)) in policies.iter().enumerate() {
            self.policy(&format!("{block}::{setting}::{index}"), policy, item(nodes, index));
        }
    }

    fn key(&mut self, block: &str, key: &str) {
        if key.is_empty() {
            self.add(&format!("{block}::key"), "nothing has an empty key");
        }
    }

    /// 0 stands for no limit.
    fn range(&mut self, field: &str, least: i64, most: i64, what: &str) {
        if least != 0 && most != 0 && most < least {
            self.add(field, format!("no {what} is at least {least} and at most {most}"));
        }
    }

    fn percentage(&mut self, field: &str, percent: f64) {
        if !(0.0..=100.0).contains(&percent) {
            self.add(field, format!("a share is 0 to 100 percent, {percent} counts as the nearest of these"));
        }
    }

    fn shares(&mut self, block: &str, config: &CompositeConfig) {
        let list = format!("{block}::rate_allocation");
        let mut sum = 0_i64;
        for (index, allocation) in config.rate_allocation.iter().enumerate() {
            let name = &allocation.policy;
            if !config.composite_sub_policy.iter().any(|SubPolicy(policy)| policy.name == *name) {
                self.add(&format!("{list}::{index}::policy"), format!("no policy within this one is called `{name}`"));
            }
            if !(0..=100).contains(&allocation.percent) {
                let why = format!("a share is 0 to 100 percent, got {}", allocation.percent);
                self.add(&format!("{list}::{index}::percent"), why);
            }
            sum = sum.saturating_add(allocation.percent.max(0));
        }
        if sum > 100 {
            self.add(&list, format!("the shares add up to {sum} percent: the last policies find nothing left"));
        }
    }
}
