//! Writing metrics and their data points.

use std::marker::PhantomData;

use super::{AttributesWriter, Buffer, Items, Metrics};
use crate::view::{MetricKind, Number};
use crate::wire::{LEN, put_fixed64, put_tag, put_varint, varint_len, zigzag};

/// Description of a metric; as in [`crate::view::MetricView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct MetricFields<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub unit: &'a str,
}

/// What the values of successive points have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Each is what was added since the one before.
    Delta,
    /// Each is the total since the start.
    Cumulative,
}

impl Temporality {
    /// The value on the wire, as in [`crate::schema::TEMPORALITY`].
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        match self {
            Self::Delta => 1,
            Self::Cumulative => 2,
        }
    }
}

impl Items<'_, Metrics> {
    /// Writes a gauge.
    pub fn gauge(
        &mut self,
        fields: &MetricFields<'_>,
        points: impl FnOnce(&mut Points<'_, NumberPoints>),
    ) -> &mut Self {
        self.metric(MetricKind::Gauge, fields, points, |_| {})
    }

    /// Writes a sum.
    pub fn sum(
        &mut self,
        fields: &MetricFields<'_>,
        temporality: Temporality,
        is_monotonic: bool,
        points: impl FnOnce(&mut Points<'_, NumberPoints>),
    ) -> &mut Self {
        self.metric(MetricKind::Sum, fields, points, |data| {
            data.int32(2, temporality.as_i32());
            data.varint(3, is_monotonic.into());
        })
    }

    /// Writes a histogram with explicit bounds.
    pub fn histogram(
        &mut self,
        fields: &MetricFields<'_>,
        temporality: Temporality,
        points: impl FnOnce(&mut Points<'_, HistogramPoints>),
    ) -> &mut Self {
        self.metric(MetricKind::Histogram, fields, points, |data| data.int32(2, temporality.as_i32()))
    }

    /// Writes an exponential histogram.
    pub fn exponential_histogram(
        &mut self,
        fields: &MetricFields<'_>,
        temporality: Temporality,
        points: impl FnOnce(&mut Points<'_, ExponentialHistogramPoints>),
    ) -> &mut Self {
        self.metric(MetricKind::ExponentialHistogram, fields, points, |data| data.int32(2, temporality.as_i32()))
    }

    /// Writes a summary.
    pub fn summary(
        &mut self,
        fields: &MetricFields<'_>,
        points: impl FnOnce(&mut Points<'_, SummaryPoints>),
    ) -> &mut Self {
        self.metric(MetricKind::Summary, fields, points, |_| {})
    }

    fn metric<P>(
        &mut self,
        kind: MetricKind,
        fields: &MetricFields<'_>,
        points: impl FnOnce(&mut Points<'_, P>),
        others: impl FnOnce(&mut Buffer),
    ) -> &mut Self {
        self.buffer.message(2, |metric| {
            metric.str(1, fields.name);
            metric.str(2, fields.description);
            metric.str(3, fields.unit);
            metric.message(kind.field(), |data| {
                points(&mut Points { buffer: data, kind: PhantomData });
                others(data);
            });
        });
        self
    }
}

/// Marks the points of gauges and sums.
#[derive(Debug)]
pub struct NumberPoints;
/// Marks the points of histograms.
#[derive(Debug)]
pub struct HistogramPoints;
/// Marks the points of exponential histograms.
#[derive(Debug)]
pub struct ExponentialHistogramPoints;
/// Marks the points of summaries.
#[derive(Debug)]
pub struct SummaryPoints;

/// Writes the data points of a metric.
#[derive(Debug)]
pub struct Points<'b, P> {
    buffer: &'b mut Buffer,
    kind: PhantomData<P>,
}

impl<P> Points<'_, P> {
    /// Writes a data point whose attributes and exemplars are the fields of those numbers.
    fn write(
        &mut self,
        attributes: u32,
        exemplars: Option<u32>,
        fields: impl FnOnce(&mut Buffer),
        inside: impl FnOnce(&mut PointWriter<'_>),
    ) -> &mut Self {
        self.buffer.item();
        self.buffer.message(1, |point| {
            fields(point);
            inside(&mut PointWriter { buffer: point, attributes, exemplars });
        });
        self
    }
}

/// A data point of a gauge or sum; as in [`crate::view::NumberPointView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct NumberFields {
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub value: Option<Number>,
    pub flags: u32,
}

impl Points<'_, NumberPoints> {
    /// Writes a data point; `inside` adds attributes and exemplars.
    pub fn point(&mut self, fields: &NumberFields, inside: impl FnOnce(&mut PointWriter<'_>)) -> &mut Self {
        let write = |point: &mut Buffer| {
            point.fixed64(2, fields.start_time_unix_nano);
            point.fixed64(3, fields.time_unix_nano);
            number(point, fields.value, 4, 6);
            point.varint(8, fields.flags.into());
        };
        self.write(7, Some(5), write, inside)
    }
}

/// A data point of a histogram; as in [`crate::view::HistogramPointView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct HistogramFields<'a> {
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub bucket_counts: &'a [u64],
    pub explicit_bounds: &'a [f64],
    pub flags: u32,
}

impl Points<'_, HistogramPoints> {
    /// Writes a data point; `inside` adds attributes and exemplars.
    pub fn point(&mut self, fields: &HistogramFields<'_>, inside: impl FnOnce(&mut PointWriter<'_>)) -> &mut Self {
        let write = |point: &mut Buffer| {
            point.fixed64(2, fields.start_time_unix_nano);
            point.fixed64(3, fields.time_unix_nano);
            point.fixed64(4, fields.count);
            optional(point, 5, fields.sum);
            packed(point, 6, fields.bucket_counts.iter().copied());
            packed(point, 7, fields.explicit_bounds.iter().map(|bound| bound.to_bits()));
            point.varint(10, fields.flags.into());
            optional(point, 11, fields.min);
            optional(point, 12, fields.max);
        };
        self.write(9, Some(8), write, inside)
    }
}

/// Buckets of an exponential histogram; as in [`crate::view::BucketsView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct Buckets<'a> {
    pub offset: i32,
    pub bucket_counts: &'a [u64],
}

/// A data point of an exponential histogram; as in [`crate::view::ExponentialHistogramPointView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct ExponentialHistogramFields<'a> {
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: Option<Buckets<'a>>,
    pub negative: Option<Buckets<'a>>,
    pub flags: u32,
}

impl Points<'_, ExponentialHistogramPoints> {
    /// Writes a data point; `inside` adds attributes and exemplars.
    pub fn point(
        &mut self,
        fields: &ExponentialHistogramFields<'_>,
        inside: impl FnOnce(&mut PointWriter<'_>),
    ) -> &mut Self {
        let write = |point: &mut Buffer| {
            point.fixed64(2, fields.start_time_unix_nano);
            point.fixed64(3, fields.time_unix_nano);
            point.fixed64(4, fields.count);
            optional(point, 5, fields.sum);
            point.varint(6, zigzag32(fields.scale));
            point.fixed64(7, fields.zero_count);
            buckets(point, 8, fields.positive);
            buckets(point, 9, fields.negative);
            point.varint(10, fields.flags.into());
            optional(point, 12, fields.min);
            optional(point, 13, fields.max);
            point.fixed64(14, fields.zero_threshold.to_bits());
        };
        self.write(1, Some(11), write, inside)
    }
}

/// A data point of a summary; as in [`crate::view::SummaryPointView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct SummaryFields<'a> {
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: f64,
    /// Pairs of quantile and value.
    pub quantile_values: &'a [(f64, f64)],
    pub flags: u32,
}

impl Points<'_, SummaryPoints> {
    /// Writes a data point; `inside` adds attributes.
    pub fn point(&mut self, fields: &SummaryFields<'_>, inside: impl FnOnce(&mut PointWriter<'_>)) -> &mut Self {
        let write = |point: &mut Buffer| {
            point.fixed64(2, fields.start_time_unix_nano);
            point.fixed64(3, fields.time_unix_nano);
            point.fixed64(4, fields.count);
            point.fixed64(5, fields.sum.to_bits());
            for (quantile, value) in fields.quantile_values {
                point.message(6, |pair| {
                    pair.fixed64(1, quantile.to_bits());
                    pair.fixed64(2, value.to_bits());
                });
            }
            point.varint(8, fields.flags.into());
        };
        self.write(7, None, write, inside)
    }
}

/// Writes what repeats in a data point.
#[derive(Debug)]
pub struct PointWriter<'b> {
    buffer: &'b mut Buffer,
    attributes: u32,
    exemplars: Option<u32>,
}

/// Scalar fields of an exemplar; as in [`crate::view::ExemplarView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct ExemplarFields {
    pub time_unix_nano: u64,
    pub value: Option<Number>,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

impl PointWriter<'_> {
    /// The attributes.
    pub fn attributes(&mut self) -> AttributesWriter<'_> {
        self.buffer.attributes(self.attributes)
    }

    /// Writes an exemplar and its filtered attributes. Summaries have none: nothing is written then.
    pub fn exemplar(
        &mut self,
        fields: &ExemplarFields,
        attributes: impl FnOnce(&mut AttributesWriter<'_>),
    ) -> &mut Self {
        if let Some(field) = self.exemplars {
            self.buffer.message(field, |exemplar| {
                exemplar.fixed64(2, fields.time_unix_nano);
                number(exemplar, fields.value, 3, 6);
                exemplar.id(4, &fields.span_id);
                exemplar.id(5, &fields.trace_id);
                attributes(&mut exemplar.attributes(7));
            });
        }
        self
    }
}

fn optional(out: &mut Buffer, field: u32, value: Option<f64>) {
    if let Some(value) = value {
        put_fixed64(&mut out.out, field, value.to_bits());
    }
}

fn number(out: &mut Buffer, value: Option<Number>, double: u32, int: u32) {
    match value {
        Some(Number::Double(value)) => put_fixed64(&mut out.out, double, value.to_bits()),
        Some(Number::Int(value)) => put_fixed64(&mut out.out, int, value.cast_unsigned()),
        None => {}
    }
}

fn packed(out: &mut Buffer, field: u32, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() == 0 {
        return;
    }
    put_tag(&mut out.out, field, LEN);
    put_varint(&mut out.out, values.len() as u64 * 8);
    for value in values {
        out.out.extend_from_slice(&value.to_le_bytes());
    }
}

fn zigzag32(value: i32) -> u64 {
    zigzag(value.into()) & u64::from(u32::MAX)
}

fn buckets(out: &mut Buffer, field: u32, buckets: Option<Buckets<'_>>) {
    let Some(buckets) = buckets else { return };
    out.message(field, |out| {
        out.varint(1, zigzag32(buckets.offset));
        let counts = buckets.bucket_counts;
        if !counts.is_empty() {
            put_tag(&mut out.out, 2, LEN);
            put_varint(&mut out.out, counts.iter().map(|count| varint_len(*count) as u64).sum());
            for count in counts {
                put_varint(&mut out.out, *count);
            }
        }
    });
}
