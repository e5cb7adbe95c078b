//! The metric that a function works on, and metrics that are added beside it.

use ottl::{RunError, Subject};
use pdata::build::Temporality;
use pdata::edit::{At, Msg};
use pdata::view::{DataPointView, MetricKind, MetricView, Number};
use pdata::wire::{Fields, LEN, put_fixed64, put_len, put_varint_field};

use super::fields::{content, put_message, whole};

/// Number of the metrics in a scope group.
pub(super) const METRICS: u32 = 2;
/// Numbers of a metric's name, description and unit.
pub(super) const NAME: u32 = 1;
pub(super) const DESCRIPTION: u32 = 2;
pub(super) const UNIT: u32 = 3;

/// The opened metric.
pub(super) fn opened(on: &Subject<'_>) -> Result<Msg, RunError> {
    on.metric.ok_or_else(|| "there is no metric here".into())
}

/// The metric as it is now.
pub(super) fn view<'e>(on: &'e mut Subject<'_>) -> Result<MetricView<'e>, RunError> {
    let at = on.editor.at(opened(on)?).ok_or("there is no metric here")?;
    Ok(MetricView::new(on.editor.bytes(at)))
}

/// Kind and place of the metric's data; `None` when it has none.
pub(super) fn data(on: &Subject<'_>) -> Result<Option<(MetricKind, At)>, RunError> {
    use MetricKind::{ExponentialHistogram, Gauge, Histogram, Sum, Summary};
    let metric = opened(on)?;
    let kinds = [Gauge, Sum, Histogram, ExponentialHistogram, Summary];
    Ok(kinds.into_iter().find_map(|kind| Some((kind, on.editor.first(metric, kind.field())?))))
}

/// What a kind is called in messages.
pub(super) fn kind_name(kind: Option<MetricKind>) -> &'static str {
    match kind {
        None => "a metric without data",
        Some(MetricKind::Gauge) => "a gauge",
        Some(MetricKind::Sum) => "a sum",
        Some(MetricKind::Histogram) => "a histogram",
        Some(MetricKind::ExponentialHistogram) => "an exponential histogram",
        Some(MetricKind::Summary) => "a summary",
    }
}

/// Number of the attributes in a data point.
pub(super) fn attributes_number(kind: MetricKind) -> u32 {
    match kind {
        MetricKind::Gauge | MetricKind::Sum | MetricKind::Summary => 7,
        MetricKind::Histogram => 9,
        MetricKind::ExponentialHistogram => 1,
    }
}

/// The temporality of that name, as arguments give it.
pub(super) fn temporality(name: &str) -> Result<Temporality, String> {
    match name {
        "delta" => Ok(Temporality::Delta),
        "cumulative" => Ok(Temporality::Cumulative),
        other => Err(format!("`string_agg_temp` must be `delta` or `cumulative`, not `{other}`")),
    }
}

/// Appends what a sum has beside its points.
pub(super) fn put_sum_fields(out: &mut Vec<u8>, temporality: i32, is_monotonic: bool) {
    put_varint_field(out, 2, i64::from(temporality).cast_unsigned());
    if is_monotonic {
        put_varint_field(out, 3, 1);
    }
}

/// A metric to be added.
#[derive(Debug)]
pub(super) struct NewMetric {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) unit: String,
    pub(super) shape: Shape,
    /// Its data points, each a field 1.
    pub(super) points: Vec<u8>,
}

/// What kind of metric is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Gauge,
    Sum { temporality: i32, is_monotonic: bool },
}

impl NewMetric {
    /// Named after a metric, without points yet.
    pub(super) fn beside(metric: MetricView<'_>, suffix: &str, shape: Shape) -> Self {
        Self {
            name: [metric.name(), suffix].concat(),
            description: metric.description().to_owned(),
            unit: metric.unit().to_owned(),
            shape,
            points: Vec::new(),
        }
    }

    /// Adds a point with the attributes, times and flags of another one.
    pub(super) fn point(&mut self, from: DataPointView<'_>, kind: MetricKind, value: Number) {
        self.point_with(from, kind, value, None);
    }

    /// The same, with one attribute set.
    pub(super) fn point_with(
        &mut self,
        from: DataPointView<'_>,
        kind: MetricKind,
        value: Number,
        attribute: Option<(&str, f64)>,
    ) {
        put_message(&mut self.points, 1, |point| {
            put_time(point, 2, from.start_time_unix_nano());
            put_time(point, 3, from.time_unix_nano());
            put_number(point, value);
            let (message, number) = (from.as_bytes(), attributes_number(kind));
            for field in Fields::new(message).filter(|field| field.number == number && field.wire_type == LEN) {
                let pair = content(message, &field);
                let key = pdata::view::KeyValueView::new(pair).key_bytes();
                if attribute.is_none_or(|(set, _)| set.as_bytes() != key) {
                    put_len(point, 7, pair);
                }
            }
            if let Some((key, value)) = attribute {
                put_message(point, 7, |pair| {
                    put_len(pair, 1, key.as_bytes());
                    put_message(pair, 2, |any| put_fixed64(any, 4, value.to_bits()));
                });
            }
            if from.flags() != 0 {
                put_varint_field(point, 8, from.flags().into());
            }
        });
    }

    /// Puts it behind the metrics of the scope; nothing if it has no points.
    pub(super) fn append(self, on: &mut Subject<'_>) -> Result<(), RunError> {
        if self.points.is_empty() {
            return Ok(());
        }
        let scope = on.scope_group.ok_or("there is no scope here")?;
        let mut metric = Vec::with_capacity(self.points.len() + 64);
        for (number, text) in [(NAME, &self.name), (DESCRIPTION, &self.description), (UNIT, &self.unit)] {
            if !text.is_empty() {
                put_len(&mut metric, number, text.as_bytes());
            }
        }
        let mut data = self.points;
        let kind = match self.shape {
            Shape::Gauge => MetricKind::Gauge,
            Shape::Sum { temporality, is_monotonic } => {
                put_sum_fields(&mut data, temporality, is_monotonic);
                MetricKind::Sum
            }
        };
        put_len(&mut metric, kind.field(), &data);
        on.editor.append(scope, METRICS, &metric)?;
        Ok(())
    }
}

/// Appends a time in nanoseconds; nothing for 0, which is none.
pub(super) fn put_time(out: &mut Vec<u8>, number: u32, time: u64) {
    if time != 0 {
        put_fixed64(out, number, time);
    }
}

/// Appends the value of a number's data point.
pub(super) fn put_number(out: &mut Vec<u8>, value: Number) {
    match value {
        Number::Double(double) => put_fixed64(out, 4, double.to_bits()),
        Number::Int(int) => put_fixed64(out, 6, int.cast_unsigned()),
    }
}

/// The contents of the data points in a metric's data.
pub(super) fn points(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::new(data).filter(|field| field.number == 1 && field.wire_type == LEN).map(|field| content(data, &field))
}

/// Appends the fields of a metric's data that are no data points.
pub(super) fn copy_but_points(data: &[u8], out: &mut Vec<u8>) {
    for field in Fields::new(data).filter(|field| field.number != 1) {
        out.extend_from_slice(whole(data, &field));
    }
}
