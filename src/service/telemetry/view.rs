//! What readers see of the registry: readings after the configured views, which leave metrics out, rename them, describe
//! them otherwise, or take attributes away.
//!
//! Every view that selects a metric makes a stream of it; a metric that no view selects stays as it is.

use std::borrow::Cow;

use component::telemetry::{Labels, Metric, MetricKind, Reading, Value};

use super::config::{InstrumentType, StreamConfig, ViewConfig};

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
    /// Its series.
    pub(super) series: Vec<(Labels, Value)>,
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
        }
    }
}

impl Shown {
    /// Puts its histograms into the buckets of `bounds`.
    fn declare_buckets(&mut self) {
        let series = std::mem::take(&mut self.series).into_iter();
        self.series = series.map(|(labels, value)| (labels, value.in_buckets(&self.bounds))).collect();
    }
}

/// What readers see of `readings`, which are [fine](component::Registry::read_fine).
#[must_use]
pub(super) fn apply(readings: Vec<Reading>, views: &[ViewConfig]) -> Vec<Shown> {
    let mut all = Vec::with_capacity(readings.len());
    for reading in readings {
        let shown = Shown::from(reading);
        let mut selecting = views.iter().filter(|view| selects(view, &shown)).peekable();
        if selecting.peek().is_none() {
            let mut shown = shown;
            shown.declare_buckets();
            all.push(shown);
        } else {
            all.extend(selecting.filter_map(|view| stream(&view.stream, &shown)));
        }
    }
    all
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

/// The bounds that views want of the histograms of `metric`, beside those it has.
#[must_use]
pub(super) fn fine_bounds(views: &[ViewConfig], metric: &Metric) -> Vec<f64> {
    let selecting = views.iter().filter(|view| selects_identity(view, metric.name, metric.unit));
    selecting.filter_map(|view| boundaries(&view.stream)).flatten().copied().collect()
}

fn boundaries(config: &StreamConfig) -> Option<&Vec<f64>> {
    Some(&config.aggregation.as_ref()?.explicit_bucket_histogram.get()?.boundaries)
}

/// `None` when the stream is dropped.
fn stream(config: &StreamConfig, shown: &Shown) -> Option<Shown> {
    if config.aggregation.as_ref().is_some_and(|aggregation| aggregation.drop.is_on()) {
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
    let is_sum = config.aggregation.as_ref().is_some_and(|aggregation| aggregation.sum.is_on());
    stream.declare_buckets();
    if is_sum && stream.kind == MetricKind::Histogram {
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
    if let Some(keys) = &config.attribute_keys {
        let mut series: Vec<(Labels, Value)> = Vec::new();
        for (mut labels, value) in std::mem::take(&mut stream.series) {
            labels.retain(|(name, _)| keys.0.contains(name));
            match series.iter_mut().find(|(same, _)| *same == labels) {
                Some((_, sum)) => add(sum, value, stream.kind),
                None => series.push((labels, value)),
            }
        }
        stream.series = series;
    }
    Some(stream)
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
        registry.set_fine_bounds(move |metric| fine_bounds(&known, metric));
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
        apply(registry.read_fine(), &views)
            .iter()
            .map(|shown| format!("{} {}", shown.name, shown.series.iter().map(text).collect::<Vec<_>>().join(" ")))
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
}
