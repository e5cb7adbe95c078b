//! Everything about a metric: description, data points, exemplars.

use pdata::schema;
use pdata::view::{
    DataPointView, ExemplarView, ExponentialHistogramPointView, HistogramPointView, MetricKind, MetricView, Number,
    SummaryPointView,
};

use super::detailed::attributes;
use super::scalar::{Fixed, Hex, Time, word};
use super::{Text, line};

pub(super) fn metric(text: &mut Text, metric: MetricView<'_>) {
    let kind = metric.kind();
    line!(text, "Descriptor:");
    line!(text, "     -> Name: {}", metric.name());
    line!(text, "     -> Description: {}", metric.description());
    line!(text, "     -> Unit: {}", metric.unit());
    let (name, points) = match kind {
        None => ("Empty", ""),
        Some(MetricKind::Gauge) => ("Gauge", "NumberDataPoints"),
        Some(MetricKind::Sum) => ("Sum", "NumberDataPoints"),
        Some(MetricKind::Histogram) => ("Histogram", "HistogramDataPoints"),
        Some(MetricKind::ExponentialHistogram) => ("ExponentialHistogram", "ExponentialHistogramDataPoints"),
        Some(MetricKind::Summary) => ("Summary", "SummaryDataPoints"),
    };
    line!(text, "     -> DataType: {name}");
    if kind == Some(MetricKind::Sum) {
        line!(text, "     -> IsMonotonic: {}", metric.is_monotonic());
    }
    if matches!(kind, Some(MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram)) {
        let temporality = word(schema::TEMPORALITY, "AGGREGATION_TEMPORALITY_", metric.temporality());
        line!(text, "     -> AggregationTemporality: {temporality}");
    }
    for (n, point) in metric.data_points().enumerate() {
        line!(text, "{points} #{n}");
        attributes(text, "", "Data point attributes:", point.attributes());
        line!(text, "StartTimestamp: {}", Time(point.start_time_unix_nano()));
        line!(text, "Timestamp: {}", Time(point.time_unix_nano()));
        match point {
            DataPointView::Number(point) => number(text, "", point.value()),
            DataPointView::Histogram(point) => histogram(text, point),
            DataPointView::ExponentialHistogram(point) => exponential(text, point),
            DataPointView::Summary(point) => summary(text, point),
        }
        for (n, item) in point.exemplars().enumerate() {
            if n == 0 {
                line!(text, "Exemplars:");
            }
            exemplar(text, n, item);
        }
    }
}

fn number(text: &mut Text, lead: &str, value: Option<Number>) {
    match value {
        Some(Number::Int(value)) => line!(text, "{lead}Value: {value}"),
        Some(Number::Double(value)) => line!(text, "{lead}Value: {}", Fixed(value)),
        None => {}
    }
}

fn aggregates(text: &mut Text, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
    line!(text, "Count: {count}");
    for (name, value) in [("Sum", sum), ("Min", min), ("Max", max)] {
        if let Some(value) = value {
            line!(text, "{name}: {}", Fixed(value));
        }
    }
}

fn histogram(text: &mut Text, point: HistogramPointView<'_>) {
    aggregates(text, point.count(), point.sum(), point.min(), point.max());
    for (n, bound) in point.explicit_bounds().enumerate() {
        line!(text, "ExplicitBounds #{n}: {}", Fixed(bound));
    }
    for (n, count) in point.bucket_counts().enumerate() {
        line!(text, "Buckets #{n}, Count: {count}");
    }
}

fn exponential(text: &mut Text, point: ExponentialHistogramPointView<'_>) {
    aggregates(text, point.count(), point.sum(), point.min(), point.max());
    let factor = std::f64::consts::LN_2 * (-f64::from(point.scale())).exp2();
    let bound = |index: f64| Fixed((index * factor).exp());
    let negative: Vec<u64> = point.negative().into_iter().flat_map(|buckets| buckets.bucket_counts()).collect();
    let offset = point.negative().map_or(0.0, |buckets| f64::from(buckets.offset()));
    for (position, count) in negative.iter().enumerate().rev() {
        let index = offset + position as f64;
        let (lower, upper) = (Fixed(-bound(index + 1.0).0), Fixed(-bound(index).0));
        line!(text, "Bucket [{lower}, {upper}), Count: {count}");
    }
    if point.zero_count() != 0 {
        line!(text, "Bucket [0, 0], Count: {}", point.zero_count());
    }
    let offset = point.positive().map_or(0.0, |buckets| f64::from(buckets.offset()));
    for (position, count) in point.positive().into_iter().flat_map(|buckets| buckets.bucket_counts()).enumerate() {
        let index = offset + position as f64;
        line!(text, "Bucket ({}, {}], Count: {count}", bound(index), bound(index + 1.0));
    }
}

fn summary(text: &mut Text, point: SummaryPointView<'_>) {
    line!(text, "Count: {}", point.count());
    line!(text, "Sum: {}", Fixed(point.sum()));
    for (n, quantile) in point.quantile_values().enumerate() {
        let (quantile, value) = (Fixed(quantile.quantile()), Fixed(quantile.value()));
        line!(text, "QuantileValue #{n}: Quantile {quantile}, Value {value}");
    }
}

fn exemplar(text: &mut Text, n: usize, exemplar: ExemplarView<'_>) {
    line!(text, "Exemplar #{n}");
    line!(text, "     -> Trace ID: {}", Hex(exemplar.trace_id()));
    line!(text, "     -> Span ID: {}", Hex(exemplar.span_id()));
    line!(text, "     -> Timestamp: {}", Time(exemplar.time_unix_nano()));
    number(text, "     -> ", exemplar.value());
    attributes(text, "     ", "-> FilteredAttributes:", exemplar.filtered_attributes());
}
