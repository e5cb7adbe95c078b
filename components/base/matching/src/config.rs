//! What the user writes: `include` and `exclude` of processors, and of the `filter` processor's older keys.
//!
//! `match_type` is `strict` or `regexp` (for metrics also `expr`). It may be left out where nothing is compared.

use config::{Config, Node, Validator};

use crate::properties::Properties;

/// Which items are worked on: those that `include` matches, if there is one, and `exclude` does not.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = MatchConfig::check)]
pub struct MatchConfig {
    /// Only items with all of these properties are worked on.
    pub include: Option<MatchProperties>,
    /// Items with all of these properties are left alone, though `include` matches them.
    pub exclude: Option<MatchProperties>,
}

/// Properties to compare with. All kinds that are given must match; of a kind, one of its list, except `attributes` and
/// `resources`: all of theirs.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct MatchProperties {
    /// `strict` (equal) or `regexp` (found anywhere in the text).
    pub match_type: String,
    /// Cache of results of regular expressions.
    #[config(no_effect = "matching is fast without a cache")]
    pub regexp: Option<RegexpConfig>,
    /// Spans: the resource's `service.name`.
    pub services: Vec<String>,
    /// Spans: the name.
    pub span_names: Vec<String>,
    /// Spans: the kind, as `SPAN_KIND_SERVER`.
    pub span_kinds: Vec<String>,
    /// Log records: the body's text.
    pub log_bodies: Vec<String>,
    /// Log records: the severity text.
    pub log_severity_texts: Vec<String>,
    /// Log records: the severity number.
    pub log_severity_number: Option<SeverityNumberMatch>,
    /// Data points: the metric's name.
    pub metric_names: Vec<String>,
    /// Spans and log records: their attributes.
    pub attributes: Vec<AttributeMatch>,
    /// Attributes of the resource.
    pub resources: Vec<AttributeMatch>,
    /// Spans and log records: the instrumentation scope.
    pub libraries: Vec<LibraryMatch>,
}

/// Tuning of the Collector's regular expressions.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct RegexpConfig {
    /// Whether results are cached.
    pub cacheenabled: bool,
    /// Most entries of the cache; 0 means no limit.
    pub cachemaxnumentries: i64,
}

/// An attribute to compare with.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct AttributeMatch {
    /// The key.
    pub key: String,
    /// The value: of the same type when strict, a pattern otherwise. Without one, the key must be there.
    pub value: Node,
}

/// An instrumentation scope to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct LibraryMatch {
    /// The name.
    pub name: String,
    /// The version. Any if left out; `""` is none.
    pub version: Option<String>,
}

/// Severity of log records, as a number.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct SeverityNumberMatch {
    /// The lowest number that matches: 9 is INFO, 17 is ERROR.
    pub min: i32,
    /// Whether records without a severity number match.
    pub match_undefined: bool,
}

/// `metrics` of the `filter` processor: which metrics are kept.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = MetricFilters::check)]
pub struct MetricFilters {
    /// Metrics without these properties are dropped.
    pub include: Option<MetricMatchProperties>,
    /// Metrics with one of these properties are dropped.
    pub exclude: Option<MetricMatchProperties>,
}

/// Properties of metrics to compare with.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct MetricMatchProperties {
    /// `strict` (equal), `regexp` (found anywhere in the text) or `expr` (`expressions` decide).
    pub match_type: String,
    /// Cache of results of regular expressions.
    #[config(no_effect = "matching is fast without a cache")]
    pub regexp: Option<RegexpConfig>,
    /// The metric's name.
    pub metric_names: Vec<String>,
    /// With `expr`: conditions, of which one must hold for one data point.
    pub expressions: Vec<String>,
    /// Attributes of the resource; all must match.
    pub resource_attributes: Vec<AttributeMatch>,
}

/// `logs` of the `filter` processor: which log records are kept.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = LogFilters::check)]
pub struct LogFilters {
    /// Records without these properties are dropped.
    pub include: Option<LogMatchProperties>,
    /// Records with these properties are dropped.
    pub exclude: Option<LogMatchProperties>,
}

/// Properties of log records to compare with.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct LogMatchProperties {
    /// `strict` (equal) or `regexp` (found anywhere in the text).
    pub match_type: String,
    /// Attributes of the resource; all must match.
    pub resource_attributes: Vec<AttributeMatch>,
    /// Attributes of the record; all must match.
    pub record_attributes: Vec<AttributeMatch>,
    /// The severity text.
    pub severity_texts: Vec<String>,
    /// The severity number.
    pub severity_number: Option<SeverityMatch>,
    /// The body's text.
    pub bodies: Vec<String>,
}

/// Severity of log records, as a word.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct SeverityMatch {
    /// The lowest severity that matches: `INFO`, `warn2`, `"9"`.
    pub min: String,
    /// Whether records without a severity number match.
    pub match_undefined: bool,
}

impl MatchConfig {
    /// The blocks that are there, with their keys; `true` for `include`.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&'static str, bool, &MatchProperties)> {
        let include = self.include.as_ref().map(|block| ("include", true, block));
        include.into_iter().chain(self.exclude.as_ref().map(|block| ("exclude", false, block)))
    }

    /// Reports what is wrong whatever the signal.
    pub fn check(&self, v: &mut Validator<'_>) {
        for (key, _, block) in self.blocks() {
            let _compiled = Properties::of(block, key, &mut |problem| v.error(&problem.path, problem.message));
        }
    }
}

impl MetricFilters {
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&'static str, bool, &MetricMatchProperties)> {
        let include = self.include.as_ref().map(|block| ("include", true, block));
        include.into_iter().chain(self.exclude.as_ref().map(|block| ("exclude", false, block)))
    }

    /// Reports what is wrong.
    pub fn check(&self, v: &mut Validator<'_>) {
        for (key, _, block) in self.blocks() {
            let _compiled = Properties::of_metrics(block, key, &mut |problem| v.error(&problem.path, problem.message));
        }
    }
}

impl LogFilters {
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&'static str, bool, &LogMatchProperties)> {
        let include = self.include.as_ref().map(|block| ("include", true, block));
        include.into_iter().chain(self.exclude.as_ref().map(|block| ("exclude", false, block)))
    }

    /// Reports what is wrong.
    pub fn check(&self, v: &mut Validator<'_>) {
        for (key, _, block) in self.blocks() {
            let _compiled = Properties::of_logs(block, key, &mut |problem| v.error(&problem.path, problem.message));
        }
    }
}
