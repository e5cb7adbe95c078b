//! Data points by kind, and lists of numbers, packed or not.

use std::marker::PhantomData;

use super::fields::{Messages, find, view};
use super::metric::{number, submessage};
use super::{AttributesView, ExemplarView, Number};
use crate::wire::{self, FIXED64, LEN, Scan, VARINT};

view! {
    /// A data point of a gauge or sum.
    NumberPointView {
        /// Start of what it covers, in ns since the epoch; 0 when unknown.
        start_time_unix_nano: u64 = 2;
        /// When it was taken, in ns since the epoch.
        time_unix_nano: u64 = 3;
        /// Exemplars in order.
        exemplars: Messages<'a, ExemplarView<'a>> = 5;
        /// Attributes.
        attributes: AttributesView<'a> = 7;
        /// Flags; bit 0 means that no value was recorded.
        flags: u32 = 8;
    }
}

impl NumberPointView<'_> {
    /// The value; `None` when absent.
    #[must_use]
    pub fn value(self) -> Option<Number> {
        number(self.0, 4, 6)
    }
}

view! {
    /// A data point of a histogram with explicit bounds.
    HistogramPointView {
        /// Start of what it covers, in ns since the epoch; 0 when unknown.
        start_time_unix_nano: u64 = 2;
        /// When it was taken, in ns since the epoch.
        time_unix_nano: u64 = 3;
        /// Values counted.
        count: u64 = 4;
        /// Sum of the values.
        sum: Option<f64> = 5;
        /// Exemplars in order.
        exemplars: Messages<'a, ExemplarView<'a>> = 8;
        /// Attributes.
        attributes: AttributesView<'a> = 9;
        /// Flags; bit 0 means that no value was recorded.
        flags: u32 = 10;
        /// Smallest value.
        min: Option<f64> = 11;
        /// Largest value.
        max: Option<f64> = 12;
    }
}

impl<'a> HistogramPointView<'a> {
    /// Values per bucket: one more than bounds, or none at all.
    #[must_use]
    pub fn bucket_counts(self) -> Numbers<'a, u64> {
        Numbers::new(self.0, 6, FIXED64)
    }

    /// Upper bounds of all buckets but the last, ascending.
    #[must_use]
    pub fn explicit_bounds(self) -> Numbers<'a, f64> {
        Numbers::new(self.0, 7, FIXED64)
    }
}

view! {
    /// A data point of an exponential histogram.
    ExponentialHistogramPointView {
        /// Attributes.
        attributes: AttributesView<'a> = 1;
        /// Start of what it covers, in ns since the epoch; 0 when unknown.
        start_time_unix_nano: u64 = 2;
        /// When it was taken, in ns since the epoch.
        time_unix_nano: u64 = 3;
        /// Values counted.
        count: u64 = 4;
        /// Sum of the values.
        sum: Option<f64> = 5;
        /// Values too close to zero for a bucket.
        zero_count: u64 = 7;
        /// Flags; bit 0 means that no value was recorded.
        flags: u32 = 10;
        /// Exemplars in order.
        exemplars: Messages<'a, ExemplarView<'a>> = 11;
        /// Smallest value.
        min: Option<f64> = 12;
        /// Largest value.
        max: Option<f64> = 13;
        /// Distance from zero within which values go to `zero_count`.
        zero_threshold: f64 = 14;
    }
}

impl<'a> ExponentialHistogramPointView<'a> {
    /// Resolution: bucket bounds are powers of `2^(2^-scale)`.
    #[must_use]
    pub fn scale(self) -> i32 {
        signed(self.0, 6)
    }

    /// Buckets of positive values; `None` when absent.
    #[must_use]
    pub fn positive(self) -> Option<BucketsView<'a>> {
        submessage(self.0, 8)
    }

    /// Buckets of negative values; `None` when absent.
    #[must_use]
    pub fn negative(self) -> Option<BucketsView<'a>> {
        submessage(self.0, 9)
    }
}

view! {
    /// Buckets of an exponential histogram on one side of zero.
    BucketsView {}
}

impl<'a> BucketsView<'a> {
    /// Index of the first bucket.
    #[must_use]
    pub fn offset(self) -> i32 {
        signed(self.0, 1)
    }

    /// Values per bucket.
    #[must_use]
    pub fn bucket_counts(self) -> Numbers<'a, u64> {
        Numbers::new(self.0, 2, VARINT)
    }
}

view! {
    /// A data point of a summary.
    SummaryPointView {
        /// Start of what it covers, in ns since the epoch; 0 when unknown.
        start_time_unix_nano: u64 = 2;
        /// When it was taken, in ns since the epoch.
        time_unix_nano: u64 = 3;
        /// Values counted.
        count: u64 = 4;
        /// Sum of the values.
        sum: f64 = 5;
        /// Quantiles in order.
        quantile_values: Messages<'a, QuantileView<'a>> = 6;
        /// Attributes.
        attributes: AttributesView<'a> = 7;
        /// Flags; bit 0 means that no value was recorded.
        flags: u32 = 8;
    }
}

view! {
    /// A quantile of a summary.
    QuantileView {
        /// Which, 0 to 1.
        quantile: f64 = 1;
        /// Its value.
        value: f64 = 2;
    }
}

/// A `sint32` field.
fn signed(message: &[u8], number: u32) -> i32 {
    let raw = find(message, number).and_then(|field| wire::read_varint(field.value, &mut 0));
    // Parsers take the low 32 bits first.
    raw.map_or(0, |raw| wire::unzigzag(u64::from(raw as u32)) as i32)
}

/// A type that 64 bits on the wire can stand for.
pub trait FromBits {
    /// The value of these bits.
    fn from_bits(bits: u64) -> Self;
}

impl FromBits for u64 {
    fn from_bits(bits: u64) -> Self {
        bits
    }
}

impl FromBits for f64 {
    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

/// A repeated field of numbers, in order; packed, element by element, or both.
#[derive(Clone, Debug)]
pub struct Numbers<'a, T> {
    fields: Scan<'a>,
    /// What is left of the list being read.
    list: &'a [u8],
    number: u32,
    element: u8,
    value: PhantomData<fn() -> T>,
}

impl<'a, T> Numbers<'a, T> {
    fn new(message: &'a [u8], number: u32, element: u8) -> Self {
        Self { fields: Scan::new(message), list: &[], number, element, value: PhantomData }
    }
}

impl<T: FromBits> Iterator for Numbers<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // An element that is not packed is a list of one.
        while self.list.is_empty() {
            let (number, element) = (self.number, self.element);
            let is_list = |wire_type| wire_type == LEN || wire_type == element;
            self.list = self.fields.find(|field| field.number() == number && is_list(field.wire_type()))?.value;
        }
        let bits = if self.element == VARINT {
            let mut at = 0;
            let value = wire::read_varint(self.list, &mut at)?;
            self.list = self.list.get(at..).unwrap_or_default();
            value
        } else {
            let (bytes, rest) = self.list.split_first_chunk()?;
            self.list = rest;
            u64::from_le_bytes(*bytes)
        };
        Some(T::from_bits(bits))
    }
}
