//! Metrics, their data points whatever their kind, and exemplars.

use super::AttributesView;
use super::fields::{Messages, Read, find, view};
use super::number::{ExponentialHistogramPointView, HistogramPointView, NumberPointView, SummaryPointView};
use crate::wire::{FIXED64, LEN, Scan};

/// What kind of data a metric holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Last values.
    Gauge,
    /// Sums.
    Sum,
    /// Histograms with explicit bounds.
    Histogram,
    /// Histograms with exponential buckets.
    ExponentialHistogram,
    /// Quantiles computed by the source.
    Summary,
}

impl MetricKind {
    /// The kind that field `number` of a metric stands for.
    #[must_use]
    pub const fn from_field(number: u32) -> Option<Self> {
        match number {
            5 => Some(Self::Gauge),
            7 => Some(Self::Sum),
            9 => Some(Self::Histogram),
            10 => Some(Self::ExponentialHistogram),
            11 => Some(Self::Summary),
            _ => None,
        }
    }

    /// The field of a metric that holds data of this kind.
    #[must_use]
    pub const fn field(self) -> u32 {
        match self {
            Self::Gauge => 5,
            Self::Sum => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 10,
            Self::Summary => 11,
        }
    }
}

view! {
    /// A metric: its description and data points.
    MetricView {
        /// Name.
        name: &'a str = 1;
        /// Description.
        description: &'a str = 2;
        /// Unit, in UCUM.
        unit: &'a str = 3;
        /// Metadata attributes.
        metadata: AttributesView<'a> = 12;
    }
}

impl<'a> MetricView<'a> {
    /// Kind and content of the data message; `None` when there is none.
    #[must_use]
    pub fn data(self) -> Option<(MetricKind, &'a [u8])> {
        let mut messages = Scan::new(self.0).filter(|field| field.wire_type() == LEN);
        messages.find_map(|field| MetricKind::from_field(field.number()).map(|kind| (kind, field.value)))
    }

    /// What kind of data it holds; `None` when it holds none.
    #[must_use]
    pub fn kind(self) -> Option<MetricKind> {
        self.data().map(|(kind, _)| kind)
    }

    /// Temporality, as in [`crate::schema::TEMPORALITY`]; 0 where the kind has none.
    #[must_use]
    pub fn temporality(self) -> i32 {
        match self.data() {
            Some((MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram, data)) => {
                Read::read(data, 2)
            }
            _ => 0,
        }
    }

    /// Whether a sum only grows; `false` for other kinds.
    #[must_use]
    pub fn is_monotonic(self) -> bool {
        matches!(self.data(), Some((MetricKind::Sum, data)) if Read::read(data, 3))
    }

    /// The data points in order.
    #[must_use]
    pub fn data_points(self) -> DataPoints<'a> {
        match self.data() {
            Some((kind, data)) => DataPoints { kind, points: Messages::new(data, 1) },
            None => DataPoints { kind: MetricKind::Gauge, points: Messages::none() },
        }
    }
}

/// The data points of a metric.
#[derive(Clone, Debug)]
pub struct DataPoints<'a> {
    kind: MetricKind,
    points: Messages<'a, &'a [u8]>,
}

impl<'a> Iterator for DataPoints<'a> {
    type Item = DataPointView<'a>;

    fn next(&mut self) -> Option<DataPointView<'a>> {
        self.points.next().map(|point| DataPointView::new(self.kind, point))
    }
}

/// A data point of any kind.
#[derive(Clone, Copy, Debug)]
pub enum DataPointView<'a> {
    /// Of a gauge or sum.
    Number(NumberPointView<'a>),
    /// Of a histogram.
    Histogram(HistogramPointView<'a>),
    /// Of an exponential histogram.
    ExponentialHistogram(ExponentialHistogramPointView<'a>),
    /// Of a summary.
    Summary(SummaryPointView<'a>),
}

/// Calls the method of the same name on the view inside.
macro_rules! each {
    ($self:ident, $point:ident => $call:expr) => {
        match $self {
            Self::Number($point) => $call,
            Self::Histogram($point) => $call,
            Self::ExponentialHistogram($point) => $call,
            Self::Summary($point) => $call,
        }
    };
}

impl<'a> DataPointView<'a> {
    /// A view of a data point with this content, of a metric of that kind.
    #[must_use]
    pub fn new(kind: MetricKind, point: &'a [u8]) -> Self {
        match kind {
            MetricKind::Gauge | MetricKind::Sum => Self::Number(NumberPointView::new(point)),
            MetricKind::Histogram => Self::Histogram(HistogramPointView::new(point)),
            MetricKind::ExponentialHistogram => Self::ExponentialHistogram(ExponentialHistogramPointView::new(point)),
            MetricKind::Summary => Self::Summary(SummaryPointView::new(point)),
        }
    }

    /// The content of the message.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        each!(self, point => point.as_bytes())
    }

    /// Attributes.
    #[must_use]
    pub fn attributes(self) -> AttributesView<'a> {
        each!(self, point => point.attributes())
    }

    /// Start of what it covers, in ns since the epoch; 0 when unknown.
    #[must_use]
    pub fn start_time_unix_nano(self) -> u64 {
        each!(self, point => point.start_time_unix_nano())
    }

    /// When it was taken, in ns since the epoch.
    #[must_use]
    pub fn time_unix_nano(self) -> u64 {
        each!(self, point => point.time_unix_nano())
    }

    /// Flags; bit 0 means that no value was recorded.
    #[must_use]
    pub fn flags(self) -> u32 {
        each!(self, point => point.flags())
    }

    /// Exemplars in order; a summary has none.
    #[must_use]
    pub fn exemplars(self) -> Messages<'a, ExemplarView<'a>> {
        match self {
            Self::Number(point) => point.exemplars(),
            Self::Histogram(point) => point.exemplars(),
            Self::ExponentialHistogram(point) => point.exemplars(),
            Self::Summary(_) => Messages::none(),
        }
    }
}

/// A number of a data point or exemplar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `as_double`.
    Double(f64),
    /// `as_int`.
    Int(i64),
}

/// The number in the members `double` and `int` of a message's oneof.
pub(super) fn number(message: &[u8], double: u32, int: u32) -> Option<Number> {
    let mut fixed = Scan::new(message).filter(|field| field.wire_type() == FIXED64);
    fixed.find_map(|field| match field.number() {
        number if number == double => Some(Number::Double(f64::from_bits(field.bits()))),
        number if number == int => Some(Number::Int(field.bits().cast_signed())),
        _ => None,
    })
}

view! {
    /// An exemplar.
    ExemplarView {
        /// When, in ns since the epoch.
        time_unix_nano: u64 = 2;
        /// Span ID; `None` when empty.
        span_id: Option<&'a [u8; 8]> = 4;
        /// Trace ID; `None` when empty.
        trace_id: Option<&'a [u8; 16]> = 5;
        /// Attributes that the aggregation removed from the data point.
        filtered_attributes: AttributesView<'a> = 7;
    }
}

impl ExemplarView<'_> {
    /// The value; `None` when absent.
    #[must_use]
    pub fn value(self) -> Option<Number> {
        number(self.0, 3, 6)
    }
}

/// The content of a submessage that may be absent.
pub(super) fn submessage<'a, V: From<&'a [u8]>>(message: &'a [u8], number: u32) -> Option<V> {
    find(message, number).map(|field| V::from(field.value))
}
