//! `service::telemetry::metrics::views`: metrics left out, renamed, or with fewer attributes.

use config::{Config, Decode, Decoder, Node, Optional, Schema, Unsupported, Validator};

use super::metrics::IncludeExclude;
use super::traces::EmptyConfig;
use super::wildcard;

/// One view: which metrics, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = ViewConfig::check)]
pub struct ViewConfig {
    /// Which metrics.
    pub selector: SelectorConfig,
    /// What becomes of them.
    pub stream: StreamConfig,
}

impl ViewConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.selector == SelectorConfig::default() {
            v.error("selector", "a view must select by `instrument_name`, `instrument_type` or `unit`");
        }
        let pattern = &self.selector.instrument_name;
        if !self.stream.name.is_empty() && (pattern.is_empty() || pattern.contains(['*', '?'])) {
            v.error("stream::name", "`name` needs a selector with one `instrument_name` and without wildcards");
        }
    }
}

/// Which metrics: all that is given must match.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct SelectorConfig {
    /// Name, with `*` and `?`; dots and underscores are the same.
    pub instrument_name: String,
    /// Kind of instrument.
    pub instrument_type: Option<InstrumentType>,
    /// Unit.
    pub unit: String,
    /// Meter.
    #[config(unsupported = "metrics of weir are not grouped by meters; select by `instrument_name`")]
    pub meter_name: Unsupported,
    /// Meter's version.
    #[config(unsupported = "metrics of weir are not grouped by meters; select by `instrument_name`")]
    pub meter_version: Unsupported,
    /// Meter's schema.
    #[config(unsupported = "metrics of weir are not grouped by meters; select by `instrument_name`")]
    pub meter_schema_url: Unsupported,
}

impl SelectorConfig {
    /// Whether a metric of that name matches by name.
    #[must_use]
    pub fn matches_name(&self, name: &str) -> bool {
        let plain = |text: &str| text.replace('.', "_");
        self.instrument_name.is_empty() || wildcard(&plain(&self.instrument_name), &plain(name))
    }
}

/// Kinds of instruments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum InstrumentType {
    /// Monotonic sum.
    #[default]
    #[config(alias = "observable_counter")]
    Counter,
    /// Distribution.
    Histogram,
    /// Current value.
    #[config(rename = "observable_gauge", alias = "gauge")]
    Gauge,
    /// Sum that goes up and down.
    #[config(alias = "observable_up_down_counter")]
    UpDownCounter,
}

/// What becomes of a metric.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct StreamConfig {
    /// Its new name.
    pub name: String,
    /// Its new description.
    pub description: String,
    /// Attributes that stay; series that become the same are added up.
    pub attribute_keys: Option<AttributeKeys>,
    /// `drop` leaves the metric out.
    pub aggregation: Option<AggregationConfig>,
    /// Bound of series.
    #[config(unsupported = "series of weir's own metrics are bounded by its configuration")]
    pub aggregation_cardinality_limit: Unsupported,
}

/// `{included, excluded}`, or a list of names that stay (schema 0.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeKeys(pub IncludeExclude);

impl Decode for AttributeKeys {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        if matches!(node.value, config::Value::List(_)) {
            let included = Vec::<String>::decode(node, Vec::new(), cx);
            // An empty list of what stays leaves nothing.
            let excluded = if included.is_empty() { vec!["*".to_owned()] } else { Vec::new() };
            return Self(IncludeExclude { included, excluded });
        }
        Self(IncludeExclude::decode(node, base.0, cx))
    }

    fn schema() -> Schema {
        IncludeExclude::schema()
    }

    fn encode(&self) -> config::Value {
        self.0.encode()
    }
}

/// How values are put together.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct AggregationConfig {
    /// Left out.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub drop: Optional<EmptyConfig>,
    /// As the instrument has it.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub default: Optional<EmptyConfig>,
    /// As a sum.
    #[config(unsupported = "the form of weir's metrics is fixed; only `drop` and `default` are possible")]
    pub sum: Unsupported,
    /// As the last value.
    #[config(unsupported = "the form of weir's metrics is fixed; only `drop` and `default` are possible")]
    pub last_value: Unsupported,
    /// With other buckets.
    #[config(unsupported = "buckets of weir's histograms are fixed; only `drop` and `default` are possible")]
    pub explicit_bucket_histogram: Unsupported,
    /// As an exponential histogram.
    #[config(unsupported = "buckets of weir's histograms are fixed; only `drop` and `default` are possible")]
    pub base2_exponential_bucket_histogram: Unsupported,
}
