//! What the user writes: conditions with inferred contexts, conditions by context (the older way), and properties to
//! include and exclude by (the oldest).

use config::{Config, Unsupported, Validator};
use matching::{LogMatchProperties, MatchConfig, MetricMatchProperties, RegexpConfig};
use pdata::Signal;
use statements::{Entry, ErrorMode, Groups};

use crate::plan;

/// Conditions with a context and error mode of their own.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ConditionGroup {
    /// What the conditions are about: `resource`, `scope`, `span`, `spanevent`, `metric`, `datapoint`, `exemplar` or `log`.
    /// Inferred from the paths where it is not given.
    pub context: String,
    /// Records for which one of them holds are dropped.
    pub conditions: Vec<String>,
    /// What follows when a condition fails: `ignore`, `silent` or `propagate`.
    pub error_mode: Option<ErrorMode>,
}

/// Conditions about traces, paths without prefixes.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct TraceConditions {
    /// Resources for which one holds are dropped, with all their spans.
    pub resource: Vec<String>,
    /// Spans for which one holds are dropped.
    pub span: Vec<String>,
    /// Events of spans for which one holds are dropped; their span stays.
    pub spanevent: Vec<String>,
}

/// Conditions about metrics, paths without prefixes; or properties to include and exclude by.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct MetricConditions {
    /// Resources for which one holds are dropped, with all their metrics.
    pub resource: Vec<String>,
    /// Metrics for which one holds are dropped.
    pub metric: Vec<String>,
    /// Data points for which one holds are dropped; a metric goes with its last one.
    pub datapoint: Vec<String>,
    /// Metrics without these properties are dropped.
    pub include: Option<MetricMatchProperties>,
    /// Metrics with one of these properties are dropped.
    pub exclude: Option<MetricMatchProperties>,
    /// Cache of results of regular expressions.
    #[config(no_effect = "matching is fast without a cache")]
    pub regexp: Option<RegexpConfig>,
}

/// Conditions about log records, paths without prefixes; or properties to include and exclude by.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct LogConditions {
    /// Resources for which one holds are dropped, with all their records.
    pub resource: Vec<String>,
    /// Records for which one holds are dropped.
    pub log_record: Vec<String>,
    /// Records without these properties are dropped.
    pub include: Option<LogMatchProperties>,
    /// Records with these properties are dropped.
    pub exclude: Option<LogMatchProperties>,
}

/// Drops what a condition matches.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = FilterConfig::check)]
pub struct FilterConfig {
    /// What follows when a condition fails: `ignore` (it does not hold, and that is logged), `silent` or `propagate`.
    pub error_mode: ErrorMode,
    /// Conditions, or groups of them, about traces.
    pub trace_conditions: Groups<ConditionGroup>,
    /// Conditions, or groups of them, about metrics.
    pub metric_conditions: Groups<ConditionGroup>,
    /// Conditions, or groups of them, about log records.
    pub log_conditions: Groups<ConditionGroup>,
    /// Conditions about profiles.
    #[config(unsupported = "profiles are not supported")]
    pub profile_conditions: Unsupported,
    /// The older way for traces.
    pub traces: TraceConditions,
    /// The older way for metrics.
    pub metrics: MetricConditions,
    /// The older way for log records.
    pub logs: LogConditions,
    /// The older way for profiles.
    #[config(unsupported = "profiles are not supported")]
    pub profiles: Unsupported,
    /// The oldest way for spans: properties to include and exclude by.
    pub spans: MatchConfig,
}

/// Conditions of one context, and the key they stand under.
pub(crate) type ByContext<'c> = (&'static str, &'static str, &'c [String]);

impl FilterConfig {
    /// The setting with inferred contexts of a signal.
    pub(crate) fn conditions(&self, signal: Signal) -> (&'static str, &[Entry<ConditionGroup>]) {
        match signal {
            Signal::Traces => ("trace_conditions", &self.trace_conditions),
            Signal::Metrics => ("metric_conditions", &self.metric_conditions),
            Signal::Logs => ("log_conditions", &self.log_conditions),
        }
    }

    /// The older setting of a signal: its block, and the conditions by context: key, context, texts.
    pub(crate) fn by_context(&self, signal: Signal) -> (&'static str, Vec<ByContext<'_>>) {
        match signal {
            Signal::Traces => {
                let TraceConditions { resource, span, spanevent } = &self.traces;
                let lists: [(_, _, &[String]); 3] =
                    [("resource", "resource", resource), ("span", "span", span), ("spanevent", "spanevent", spanevent)];
                ("traces", lists.to_vec())
            }
            Signal::Metrics => {
                let MetricConditions { resource, metric, datapoint, .. } = &self.metrics;
                let lists: [(_, _, &[String]); 3] = [
                    ("resource", "resource", resource),
                    ("metric", "metric", metric),
                    ("datapoint", "datapoint", datapoint),
                ];
                ("metrics", lists.to_vec())
            }
            Signal::Logs => {
                let LogConditions { resource, log_record, .. } = &self.logs;
                let lists: [(_, _, &[String]); 2] =
                    [("resource", "resource", resource), ("log_record", "log", log_record)];
                ("logs", lists.to_vec())
            }
        }
    }

    /// Whether the oldest way is used for a signal.
    pub(crate) fn has_properties(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.spans.include.is_some() || self.spans.exclude.is_some(),
            Signal::Metrics => self.metrics.include.is_some() || self.metrics.exclude.is_some(),
            Signal::Logs => self.logs.include.is_some() || self.logs.exclude.is_some(),
        }
    }

    fn check(&self, v: &mut Validator<'_>) {
        for signal in Signal::ALL {
            for problem in plan::compile(self, signal).err().unwrap_or_default() {
                problem.report(v);
            }
        }
    }
}
