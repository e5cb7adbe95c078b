//! What readers see of the registry: readings after the configured views, which leave metrics out, rename them, describe
//! them otherwise, or take attributes away.
//!
//! Every view that selects a metric makes a stream of it; a metric that no view selects stays as it is.

use std::borrow::Cow;

use component::telemetry::{Labels, MetricKind, Reading, Value};

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
            series: reading.series,
        }
    }
}

/// What readers see of `readings`.
#[must_use]
pub(super) fn apply(readings: Vec<Reading>, views: &[ViewConfig]) -> Vec<Shown> {
    let mut all = Vec::with_capacity(readings.len());
    for reading in readings {
        let shown = Shown::from(reading);
        let mut selecting = views.iter().filter(|view| selects(view, &shown)).peekable();
        if selecting.peek().is_none() {
            all.push(shown);
        } else {
            all.extend(selecting.filter_map(|view| stream(&view.stream, &shown)));
        }
    }
    all
}

fn selects(view: &ViewConfig, shown: &Shown) -> bool {
    let selector = &view.selector;
    let kind = match shown.kind {
        MetricKind::Counter => InstrumentType::Counter,
        MetricKind::Gauge => InstrumentType::Gauge,
        MetricKind::UpDownCounter => InstrumentType::UpDownCounter,
        MetricKind::Histogram => InstrumentType::Histogram,
    };
    selector.matches_name(&shown.name)
        && selector.instrument_type.is_none_or(|selected| selected == kind)
        && (selector.unit.is_empty() || selector.unit == shown.unit)
}

/// `None` when the stream is dropped.
fn stream(config: &StreamConfig, shown: &Shown) -> Option<Shown> {
    if config.aggregation.as_ref().is_some_and(|aggregation| aggregation.drop.is_on()) {
        return None;
    }
    let mut stream = shown.clone();
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
    use component::telemetry::Metric;
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
            registry.histogram(SIZES, &[1.0], labels(path, code)).record(3.0);
        }
        let views = decode_str::<Vec<ViewConfig>>(views).unwrap().0;
        let text = |(labels, value): &(Labels, Value)| {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let value = match value {
                Value::Number(number) => number.to_string(),
                Value::Histogram { counts, sum, .. } => format!("{counts:?}/{sum}"),
            };
            format!("{}:{value}", labels.join(","))
        };
        apply(registry.read(), &views)
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
}
