//! `service::telemetry::metrics::views`: metrics left out, renamed, with fewer attributes, or
//! with other buckets.

use component::telemetry::{ExponentialLimits, SCALE_MAX, SCALE_MIN};
use config::{Config, Decode, Decoder, Node, Optional, Schema, Validator};

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
    /// Meter: the Collector's name of the library that records the metric, `weir` for weir's own metrics.
    pub meter_name: String,
    /// Meter's version: that of weir.
    pub meter_version: String,
    /// Meter's schema; meters here have none, so with any text nothing is selected.
    pub meter_schema_url: String,
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
#[config(validate = StreamConfig::check)]
pub struct StreamConfig {
    /// Its new name.
    pub name: String,
    /// Its new description.
    pub description: String,
    /// Attributes that stay; series that become the same are added up.
    pub attribute_keys: Option<AttributeKeys>,
    /// How values are put together.
    pub aggregation: Option<AggregationConfig>,
    /// Series, at most. Those that come when only one is left are put together in it, whose only attribute is
    /// `otel.metric.overflow`.
    pub aggregation_cardinality_limit: Option<usize>,
}

impl StreamConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.aggregation_cardinality_limit == Some(0) {
            v.error("aggregation_cardinality_limit", "`aggregation_cardinality_limit` must be greater than 0");
        }
    }
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
#[config(validate = AggregationConfig::check)]
pub struct AggregationConfig {
    /// Left out.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub drop: Optional<EmptyConfig>,
    /// As the instrument has it.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub default: Optional<EmptyConfig>,
    /// As a sum: of a histogram, the sum of its values; counters are sums, and gauges stay as they are.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub sum: Optional<EmptyConfig>,
    /// As the last value, which is what gauges are. As in the SDK, others do not go with it and are left out.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub last_value: Optional<EmptyConfig>,
    /// Histograms with these buckets; others stay as they are.
    #[config(default = Optional::default_off(BucketsConfig::default()))]
    pub explicit_bucket_histogram: Optional<BucketsConfig>,
    /// Histograms with exponential buckets; others stay as they are.
    #[config(default = Optional::default_off(ExponentialConfig::default()))]
    pub base2_exponential_bucket_histogram: Optional<ExponentialConfig>,
}

impl AggregationConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let given = [
            self.drop.is_on(),
            self.default.is_on(),
            self.sum.is_on(),
            self.last_value.is_on(),
            self.explicit_bucket_histogram.is_on(),
            self.base2_exponential_bucket_histogram.is_on(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            v.error("", "must not specify multiple aggregations");
        }
    }
}

/// Buckets of a histogram.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = BucketsConfig::check)]
pub struct BucketsConfig {
    /// Inclusive upper bounds, ascending.
    #[config(default = DEFAULT_BOUNDARIES.to_vec())]
    pub boundaries: Vec<f64>,
    /// Whether the least and the greatest value are recorded.
    #[config(default = true, no_effect = "weir's histograms have no minimum and maximum")]
    pub record_min_max: bool,
}

/// Buckets of an exponential histogram.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = ExponentialConfig::check)]
pub struct ExponentialConfig {
    /// Finest scale; a coarser one is taken when values spread.
    #[config(default = SCALE_MAX)]
    pub max_scale: i32,
    /// Buckets above and below 0 each, at most.
    #[config(default = 160)]
    pub max_size: usize,
    /// Whether the least and the greatest value are told (not with deltas).
    #[config(default = true)]
    pub record_min_max: bool,
}

/// Most buckets on either side of 0.
const EXPONENTIAL_BUCKETS_MAX: usize = 10_000;

impl ExponentialConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !(SCALE_MIN..=SCALE_MAX).contains(&self.max_scale) {
            let message = format!("`max_scale` must be from {SCALE_MIN} to {SCALE_MAX}, got {}", self.max_scale);
            v.error("max_scale", message);
        }
        if !(2..=EXPONENTIAL_BUCKETS_MAX).contains(&self.max_size) {
            let message = format!("`max_size` must be from 2 to {EXPONENTIAL_BUCKETS_MAX}, got {}", self.max_size);
            v.error("max_size", message);
        }
    }

    /// How fine it is.
    #[must_use]
    pub fn limits(&self) -> ExponentialLimits {
        ExponentialLimits { max_scale: self.max_scale, max_size: self.max_size }
    }
}

/// OpenTelemetry's default.
const DEFAULT_BOUNDARIES: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10_000.0];

/// Most boundaries of one view.
const BOUNDARIES_MAX: usize = 500;

impl BucketsConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let ascends = self.boundaries.windows(2).all(|pair| matches!(pair, [low, high] if low < high));
        if !ascends || !self.boundaries.iter().all(|bound| bound.is_finite()) {
            v.error("boundaries", "`boundaries` must be finite and ascending");
        }
        if self.boundaries.len() > BOUNDARIES_MAX {
            let message =
                format!("`boundaries` has {} entries; at most {BOUNDARIES_MAX} are possible", self.boundaries.len());
            v.error("boundaries", message);
        }
    }
}
