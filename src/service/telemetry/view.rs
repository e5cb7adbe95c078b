//! What readers see of the registry: readings after the configured views, which leave metrics out, rename them, describe
//! them otherwise, take attributes away, bound the number of series, or give histograms other buckets.
//!
//! Every view that selects a metric makes a stream of it; a metric that no view selects stays as it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use component::telemetry::{Exponential, Fine, Labels, Metric, MetricKind, Reading, Value};

use super::config::{AggregationConfig, ExponentialConfig, InstrumentType, StreamConfig, ViewConfig};

/// The attribute of the series that holds what is beyond the limit.
const OVERFLOW: &str = "otel.metric.overflow";

/// A metric as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    /// Name without suffixes.
    pub(super) name: Cow<'static, str>,
    /// What it is about.
    pub(super) help: Cow<'static, str>,
    /// UCUM unit.
    pub(super) unit: &'static str,
    /// What it is.
    pub(super) kind: MetricKind,
    /// Bounds of its histograms.
    bounds: Vec<f64>,
    /// Its series; none where histograms are exponential.
    pub(super) series: Vec<(Labels, Value)>,
    /// Its exponential histograms. Those without a least and a greatest value do not tell them.
    pub(super) exponentials: Vec<(Labels, Exponential)>,
}

impl From<Reading> for Shown {
    fn from(reading: Reading) -> Self {
        Self {
            name: Cow::Borrowed(reading.metric.name),
            help: Cow::Borrowed(reading.metric.help),
            unit: reading.metric.unit,
            kind: reading.kind,
            bounds: reading.bounds,
            series: reading.series,
            exponentials: reading.exponentials,
        }
    }
}

impl Shown {
    /// Puts its histograms into the buckets of `bounds`, or into exponential ones.
    fn declare_buckets(&mut self, exponential: Option<&ExponentialConfig>) {
        match exponential {
            // A reading from before the registry was told of it cannot show them.
            Some(config) if self.exponentials.len() == self.series.len() => {
                self.series.clear();
                for (_, histogram) in &mut self.exponentials {
                    histogram.limit(config.limits());
                    if !config.record_min_max {
                        (histogram.min, histogram.max) = (f64::INFINITY, f64::NEG_INFINITY);
                    }
                }
            }
            _ => {
                self.exponentials.clear();
                let series = std::mem::take(&mut self.series).into_iter();
                self.series = series.map(|(labels, value)| (labels, value.in_buckets(&self.bounds))).collect();
            }
        }
    }
}

/// The views of one reader. They remember which series were there before the limit was reached: a series that changed
/// between standing for itself and being part of the overflow would look like counters that go back.
#[derive(Debug, Default)]
pub(super) struct Views {
    configs: Vec<ViewConfig>,
    /// Whether histograms that no view gives a form are exponential.
    is_exponential: bool,
    /// By number of the view and name of the metric.
    streams: Mutex<BTreeMap<(usize, &'static str), StreamState>>,
}

impl PartialEq for Views {
    fn eq(&self, other: &Self) -> bool {
        (&self.configs, self.is_exponential) == (&other.configs, other.is_exponential)
    }
}

#[derive(Debug, Default)]
struct StreamState {
    /// Series that stand for themselves under the limit.
    kept: BTreeSet<Labels>,
    was_refused: bool,
}

impl Views {
    pub(super) fn new(configs: &[ViewConfig], is_exponential: bool) -> Self {
        Self { configs: configs.to_vec(), is_exponential, streams: Mutex::default() }
    }

    /// What the reader sees of `readings`, which are [fine](component::Registry::read_fine).
    #[must_use]
    pub(super) fn apply(&self, readings: Vec<Reading>) -> Vec<Shown> {
        let mut all = Vec::with_capacity(readings.len());
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let default = self.is_exponential.then(ExponentialConfig::default);
        for reading in readings {
            let name = reading.metric.name;
            let mut shown = Shown::from(reading);
            let selecting = self.configs.iter().enumerate().filter(|(_, view)| selects(view, &shown));
            let mut selecting = selecting.peekable();
            if selecting.peek().is_none() {
                shown.declare_buckets(default.as_ref());
                all.push(shown);
            } else {
                all.extend(selecting.filter_map(|(index, view)| {
                    let state = streams.entry((index, name)).or_default();
                    stream(&view.stream, &shown, default.as_ref(), state)
                }));
            }
        }
        all
    }
}

fn selects(view: &ViewConfig, shown: &Shown) -> bool {
    let selector = &view.selector;
    selects_identity(view, &shown.name, shown.unit)
        && selector.instrument_type.is_none_or(|selected| selected == instrument(shown.kind))
}

fn instrument(kind: MetricKind) -> InstrumentType {
    match kind {
        MetricKind::Counter => InstrumentType::Counter,
        MetricKind::Gauge => InstrumentType::Gauge,
        MetricKind::UpDownCounter => InstrumentType::UpDownCounter,
        MetricKind::Histogram => InstrumentType::Histogram,
    }
}

/// Whether a view selects metrics of that name and unit, whatever their kind.
fn selects_identity(view: &ViewConfig, name: &str, unit: &str) -> bool {
    let selector = &view.selector;
    selector.matches_name(name)
        && (selector.unit.is_empty() || selector.unit == unit)
        && (selector.meter_name.is_empty() || selector.meter_name == meter(name))
        && (selector.meter_version.is_empty() || selector.meter_version == super::resource::SCOPE_VERSION)
        && selector.meter_schema_url.is_empty()
}

/// The meter of a metric: in the Collector, the library that records it.
fn meter(name: &str) -> &'static str {
    let meters = [
        ("otelcol_processor_batch_", "go.opentelemetry.io/collector/processor/batchprocessor"),
        ("otelcol_processor_memory_limiter_", "go.opentelemetry.io/collector/processor/memorylimiterprocessor"),
        ("otelcol_processor_incoming_items", "go.opentelemetry.io/collector/processor/processorhelper"),
        ("otelcol_processor_outgoing_items", "go.opentelemetry.io/collector/processor/processorhelper"),
        ("otelcol_receiver_", "go.opentelemetry.io/collector/receiver/receiverhelper"),
        ("otelcol_scraper_", "go.opentelemetry.io/collector/scraper/scraperhelper"),
        ("otelcol_exporter_", "go.opentelemetry.io/collector/exporter/exporterhelper"),
        ("otelcol_process_", "go.opentelemetry.io/collector/service"),
        ("otelcol.", "go.opentelemetry.io/collector/service"),
        ("rpc_", "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"),
        ("http_", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"),
    ];
    let found = meters.iter().find(|(prefix, _)| name.starts_with(prefix));
    found.map_or(env!("CARGO_PKG_NAME"), |(_, meter)| meter)
}

/// What views want of the histograms of `metric`, beside the buckets they are declared with. `is_exponential` says that some
/// reader wants exponential ones of every metric.
#[must_use]
pub(super) fn fine(views: &[ViewConfig], is_exponential: bool, metric: &Metric) -> Fine {
    let selecting = || views.iter().filter(|view| selects_identity(view, metric.name, metric.unit));
    let bounds = selecting().filter_map(|view| boundaries(&view.stream)).flatten().copied().collect();
    let wanted = selecting().filter_map(|view| exponential(&view.stream)).cloned();
    // The finest is recorded; readers make of it what they want.
    let limits = wanted.chain(is_exponential.then(ExponentialConfig::default)).map(|config| config.limits());
    let exponential = limits.reduce(|mut finest, limits| {
        finest.max_scale = finest.max_scale.max(limits.max_scale);
        finest.max_size = finest.max_size.max(limits.max_size);
        finest
    });
    Fine { bounds, exponential }
}

fn boundaries(config: &StreamConfig) -> Option<&Vec<f64>> {
    Some(&config.aggregation.as_ref()?.explicit_bucket_histogram.get()?.boundaries)
}

fn exponential(config: &StreamConfig) -> Option<&ExponentialConfig> {
    config.aggregation.as_ref()?.base2_exponential_bucket_histogram.get()
}

/// `None` when the stream is dropped.
fn stream(
    config: &StreamConfig,
    shown: &Shown,
    default: Option<&ExponentialConfig>,
    state: &mut StreamState,
) -> Option<Shown> {
    let nothing = AggregationConfig::default();
    let aggregation = config.aggregation.as_ref().unwrap_or(&nothing);
    if aggregation.drop.is_on() {
        return None;
    }
    if aggregation.last_value.is_on() && shown.kind != MetricKind::Gauge {
        if !std::mem::replace(&mut state.was_refused, true) {
            let (metric, kind) = (&*shown.name, shown.kind);
            tracing::warn!(metric, ?kind, "left out: the aggregation `last_value` of a view is for gauges");
        }
        return None;
    }
    let mut stream = shown.clone();
    let wanted = boundaries(config).filter(|wanted| {
        // A reading from before the registry was told of the boundaries cannot show them.
        stream.series.iter().all(|(_, value)| match value {
            Value::Histogram { bounds, .. } => wanted.iter().all(|bound| bounds.contains(bound)),
            Value::Number(_) => true,
        })
    });
    if let Some(wanted) = wanted {
        stream.bounds.clone_from(wanted);
    }
    let has_form = boundaries(config).is_some() || aggregation.sum.is_on();
    let buckets = exponential(config).or(default.filter(|_| !has_form && !aggregation.default.is_on()));
    stream.declare_buckets(buckets.filter(|_| shown.kind == MetricKind::Histogram));
    if aggregation.sum.is_on() && stream.kind == MetricKind::Histogram {
        stream.kind = MetricKind::Counter;
        for (_, value) in &mut stream.series {
            if let Value::Histogram { sum, .. } = value {
                *value = Value::Number(*sum);
            }
        }
    }
    if !config.name.is_empty() {
        stream.name = Cow::Owned(config.name.clone());
    }
    if !config.description.is_empty() {
        stream.help = Cow::Owned(config.description.clone());
    }
    let kind = stream.kind;
    stream.series = regroup(stream.series, config, state, |sum, value| add(sum, value, kind));
    // A stream has either; the other one is empty.
    if !stream.exponentials.is_empty() {
        let size = buckets.map_or(usize::MAX, |config| config.max_size);
        stream.exponentials = regroup(stream.exponentials, config, state, |all, histogram| all.merge(&histogram, size));
    }
    Some(stream)
}

/// Takes attributes away and bounds the number of series; those that become the same are put together by `add`.
fn regroup<T>(
    mut series: Vec<(Labels, T)>,
    config: &StreamConfig,
    state: &mut StreamState,
    add: impl Fn(&mut T, T),
) -> Vec<(Labels, T)> {
    if let Some(keys) = &config.attribute_keys {
        let mut groups: BTreeMap<Labels, T> = BTreeMap::new();
        for (mut labels, value) in series {
            labels.retain(|(name, _)| keys.0.contains(name));
            put(&mut groups, labels, value, &add);
        }
        series = groups.into_iter().collect();
    }
    let Some(limit) = config.aggregation_cardinality_limit else { return series };
    if series.is_empty() {
        return series;
    }
    // Series that are gone leave room.
    let there: BTreeSet<&Labels> = series.iter().map(|(labels, _)| labels).collect();
    state.kept.retain(|labels| there.contains(labels));
    let mut groups = BTreeMap::new();
    for (labels, value) in series {
        let is_kept = state.kept.contains(&labels) || state.kept.len() + 1 < limit && state.kept.insert(labels.clone());
        let labels = if is_kept { labels } else { vec![(OVERFLOW.to_owned(), "true".to_owned())] };
        put(&mut groups, labels, value, &add);
    }
    groups.into_iter().collect()
}

fn put<T>(groups: &mut BTreeMap<Labels, T>, labels: Labels, value: T, add: &impl Fn(&mut T, T)) {
    use std::collections::btree_map::Entry;
    match groups.entry(labels) {
        Entry::Occupied(mut known) => add(known.get_mut(), value),
        Entry::Vacant(new) => {
            new.insert(value);
        }
    }
}

/// Puts two series together: sums and histograms add up, of gauges the last one stays.
fn add(sum: &mut Value, value: Value, kind: MetricKind) {
    match (sum, value) {
        (Value::Number(sum), Value::Number(more)) if kind == MetricKind::Gauge => *sum = more,
        (Value::Number(sum), Value::Number(more)) => *sum += more,
        (
            Value::Histogram { bounds, counts, sum },
            Value::Histogram { bounds: others, counts: more, sum: more_sum },
        ) if *bounds == others => {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            *sum += more_sum;
        }
        // Histograms of one metric have the same bounds.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use component::{Level, Registry};
    use config::decode_str;

    use super::*;

    const REQUESTS: Metric = Metric { name: "http_requests", help: "h", unit: "{requests}", level: Level::Basic };
    const SIZES: Metric = Metric { name: "http_sizes", help: "h", unit: "By", level: Level::Basic };

    fn shown(views: &str) -> Vec<String> {
        let registry = Registry::new(Level::Detailed);
        let labels = |path: &str, code: &str| vec![("code".into(), code.into()), ("path".into(), path.into())];
        for (path, code) in [("/a", "200"), ("/b", "200"), ("/b", "500")] {
            registry.counter(REQUESTS, labels(path, code)).add(2);
        }
        let views = decode_str::<Vec<ViewConfig>>(views).unwrap().0;
        let known = views.clone();
        registry.set_fine_bounds(move |metric| fine(&known, false, metric));
        for (path, code) in [("/a", "200"), ("/b", "200"), ("/b", "500")] {
            registry.histogram(SIZES, &[1.0], labels(path, code)).record(3.0);
        }
        let text = |(labels, value): &(Labels, Value)| {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let value = match value {
                Value::Number(number) => number.to_string(),
                Value::Histogram { counts, sum, .. } => format!("{counts:?}/{sum}"),
            };
            format!("{}:{value}", labels.join(","))
        };
        let exponential = |(labels, histogram): &(Labels, Exponential)| {
            let buckets = (histogram.scale, histogram.positive.offset, &histogram.positive.counts);
            let (count, sum, max) = (histogram.count(), histogram.sum, histogram.max);
            format!("{}:{buckets:?} {count}/{sum}/{max}", labels.iter().map(|(_, value)| &**value).collect::<String>())
        };
        Views::new(&views, false)
            .apply(registry.read_fine())
            .iter()
            .map(|shown| {
                let series = shown.series.iter().map(text).chain(shown.exponentials.iter().map(exponential));
                format!("{} {}", shown.name, series.collect::<Vec<_>>().join(" "))
            })
            .collect()
    }

    #[test]
    fn views_drop_rename_and_take_attributes_away() {
        let requests = "http_requests code=200,path=/a:2 code=200,path=/b:2 code=500,path=/b:2";
        assert_eq!(shown("[{selector: {instrument_name: http.siz?s}, stream: {aggregation: {drop: {}}}}]"), [requests]);
        assert_eq!(
            shown("[{selector: {unit: By}, stream: {attribute_keys: {excluded: [path]}}}]"),
            [requests, "http_sizes code=200:[0, 2]/6 code=500:[0, 1]/3"]
        );
        assert_eq!(
            shown(
                "[{selector: {instrument_name: http_requests}, stream: {name: all, attribute_keys: []}}, \
                 {selector: {instrument_type: histogram}, stream: {aggregation: {drop: }}}]"
            ),
            ["all :6"]
        );
        assert_eq!(
            shown(
                "[{selector: {instrument_type: counter}, stream: {name: '', attribute_keys: [path]}}, \
                 {selector: {instrument_name: http_requests}, stream: {name: again, attribute_keys: {included: [c*]}}}, \
                 {selector: {instrument_name: http_sizes}, stream: {aggregation: {drop: }}}]"
            ),
            ["http_requests path=/a:2 path=/b:4", "again code=200:4 code=500:2"],
            "two views, two streams"
        );
    }

    #[test]
    fn views_choose_buckets_sums_and_meters() {
        let requests = "http_requests code=200,path=/a:2 code=200,path=/b:2 code=500,path=/b:2";
        let buckets = "stream: {attribute_keys: [], aggregation: {explicit_bucket_histogram: {boundaries: [2, 3, 4]}}}";
        assert_eq!(
            shown(&format!(
                "[{{selector: {{instrument_name: http_sizes}}, {buckets}}}, {{selector: {{instrument_name: http_sizes}}, stream: {{name: declared, attribute_keys: []}}}}]"
            )),
            [requests, "http_sizes :[0, 3, 0, 0]/9", "declared :[0, 3]/9"]
        );
        assert_eq!(
            shown("[{selector: {unit: By}, stream: {attribute_keys: [], aggregation: {sum: }}}]"),
            [requests, "http_sizes :9"]
        );
        let otelhttp = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp";
        let dropped =
            |selector: &str| shown(&format!("[{{selector: {{{selector}}}, stream: {{aggregation: {{drop: }}}}}}]"));
        assert_eq!(dropped(&format!("meter_name: '{otelhttp}', instrument_type: histogram")), [requests]);
        assert_eq!(dropped(&format!("meter_name: '{otelhttp}', meter_version: '1'")), Vec::<String>::new());
        assert_eq!(dropped("meter_name: weir").len(), 2);
        assert_eq!(dropped(&format!("meter_name: '{otelhttp}', meter_version: '0'")).len(), 2);
        assert_eq!(dropped("meter_schema_url: 'x'").len(), 2);
    }

    #[test]
    fn views_choose_exponential_buckets_and_last_values() {
        let requests = "http_requests code=200,path=/a:2 code=200,path=/b:2 code=500,path=/b:2";
        let view = |more: &str| {
            shown(&format!(
                "[{{selector: {{unit: By}}, stream: {{attribute_keys: [code], aggregation: \
                 {{base2_exponential_bucket_histogram: {{{more}}}}}}}}}]"
            ))
        };
        // 3 lies in (2, 4]; at scale 3 that is bucket 12 of 8 per power of two.
        assert_eq!(
            view("max_scale: 3"),
            [requests.to_owned(), "http_sizes 200:(3, 12, [2]) 2/6/3 500:(3, 12, [1]) 1/3/3".to_owned()]
        );
        assert_eq!(
            view("max_scale: -1, record_min_max: false"),
            [requests.to_owned(), "http_sizes 200:(-1, 0, [2]) 2/6/-inf 500:(-1, 0, [1]) 1/3/-inf".to_owned()]
        );
        let last = "stream: {aggregation: {last_value: }}";
        assert_eq!(shown(&format!("[{{selector: {{instrument_name: 'http_*'}}, {last}}}]")), Vec::<String>::new());
        let registry = Registry::new(Level::Detailed);
        let _age = registry.observe(REQUESTS, MetricKind::Gauge, || vec![(Labels::new(), 3.0)]);
        let views =
            decode_str::<Vec<ViewConfig>>(&format!("[{{selector: {{unit: '{{requests}}'}}, {last}}}]")).unwrap().0;
        assert_eq!(
            Views::new(&views, false).apply(registry.read_fine())[0].series,
            [(Labels::new(), Value::Number(3.0))]
        );
    }

    #[test]
    fn histograms_are_exponential_where_the_reader_wants_them_so() {
        let registry = Registry::new(Level::Detailed);
        let views = decode_str::<Vec<ViewConfig>>(
            "[{selector: {instrument_name: http_requests}, stream: {aggregation: {explicit_bucket_histogram: }}}]",
        );
        let views = views.unwrap().0;
        let known = views.clone();
        registry.set_fine_bounds(move |metric| fine(&known, true, metric));
        registry.histogram(SIZES, &[1.0], Labels::new()).record(3.0);
        registry.histogram(REQUESTS, &[1.0], Labels::new()).record(3.0);
        let counted = |is_exponential| {
            let shown = Views::new(&views, is_exponential).apply(registry.read_fine());
            shown.iter().map(|shown| (shown.series.len(), shown.exponentials.len())).collect::<Vec<_>>()
        };
        assert_eq!(counted(true), [(1, 0), (0, 1)]);
        assert_eq!(counted(false), [(1, 0), (1, 0)]);
    }

    #[test]
    fn series_beyond_the_limit_overflow_and_stay_there() {
        let registry = Registry::new(Level::Detailed);
        let series = |path: &str, n| registry.counter(REQUESTS, vec![("path".into(), path.into())]).add(n);
        let views = "[{selector: {instrument_name: http_*}, stream: {aggregation_cardinality_limit: 3}}]";
        let views = Views::new(&decode_str::<Vec<ViewConfig>>(views).unwrap().0, false);
        let read = || {
            let shown = views.apply(registry.read_fine()).remove(0);
            let text = |(labels, value): (Labels, Value)| format!("{}={} {value:?}", labels[0].0, labels[0].1);
            shown.series.into_iter().map(text).collect::<Vec<_>>()
        };
        series("/d", 1);
        series("/e", 2);
        assert_eq!(read(), ["path=/d Number(1.0)", "path=/e Number(2.0)"]);
        series("/a", 4);
        series("/b", 8);
        let overflow = "otel.metric.overflow=true Number(12.0)";
        assert_eq!(read(), [overflow, "path=/d Number(1.0)", "path=/e Number(2.0)"], "the first ones stay");
        let all = registry.read_fine();
        let only = decode_str::<Vec<ViewConfig>>(
            "[{selector: {unit: '{requests}'}, stream: {aggregation_cardinality_limit: 1}}]",
        );
        let shown = Views::new(&only.unwrap().0, false).apply(all).remove(0);
        assert_eq!(shown.series, [(vec![(OVERFLOW.to_owned(), "true".to_owned())], Value::Number(15.0))]);
    }
}
