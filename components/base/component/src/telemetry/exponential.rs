//! Base-2 exponential histograms: buckets whose bounds grow by a constant factor, which becomes coarser when values spread
//! further than the buckets reach.
//!
//! At scale `s`, bucket `i` holds values above `2^(i / 2^s)` up to and including `2^((i + 1) / 2^s)`. Going one scale down merges
//! pairs of buckets, which is exact, so histograms of any scales can be put together.
//! Source: OpenTelemetry's data model for metrics.

use std::f64::consts::LN_2;

/// Finest scale.
pub const SCALE_MAX: i32 = 20;
/// Coarsest scale: one bucket for all values above 1.
pub const SCALE_MIN: i32 = -10;

/// How fine an exponential histogram may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExponentialLimits {
    /// Scale to begin with, at most; from [`SCALE_MIN`] to [`SCALE_MAX`].
    pub max_scale: i32,
    /// Buckets on either side of 0, at most; at least 2.
    pub max_size: usize,
}

/// OpenTelemetry's default.
impl Default for ExponentialLimits {
    fn default() -> Self {
        Self { max_scale: SCALE_MAX, max_size: 160 }
    }
}

/// Neighbouring buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExponentialBuckets {
    /// Index of the first one.
    pub offset: i32,
    /// Values in each.
    pub counts: Vec<u64>,
}

/// An exponential histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    /// Its scale.
    pub scale: i32,
    /// Values that are 0.
    pub zero_count: u64,
    /// Values above 0.
    pub positive: ExponentialBuckets,
    /// Values below 0, by their amount.
    pub negative: ExponentialBuckets,
    /// Sum of all values.
    pub sum: f64,
    /// Least value; infinite when there is none.
    pub min: f64,
    /// Greatest value; negative infinite when there is none.
    pub max: f64,
}

impl Exponential {
    /// One without values.
    #[must_use]
    pub fn new(max_scale: i32) -> Self {
        Self {
            scale: max_scale,
            zero_count: 0,
            positive: ExponentialBuckets::default(),
            negative: ExponentialBuckets::default(),
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.zero_count + self.positive.counts.iter().sum::<u64>() + self.negative.counts.iter().sum::<u64>()
    }

    /// Records a value, and goes to a coarser scale where it must. Values that are not finite are not recorded.
    pub fn record(&mut self, value: f64, max_size: usize) {
        if !value.is_finite() {
            return;
        }
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zero_count += 1;
            return;
        }
        let mut index = index(value.abs(), self.scale);
        let side = if value > 0.0 { &self.positive } else { &self.negative };
        let (mut low, mut high) = side.span().unwrap_or((index, index));
        (low, high) = (low.min(index), high.max(index));
        let steps = steps_to_fit(low, high, max_size, self.scale);
        if steps > 0 {
            self.coarsen(steps);
            index >>= steps;
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.reach(index, index);
        side.add(index, 1);
    }

    /// Goes that many scales down.
    fn coarsen(&mut self, steps: i32) {
        self.scale -= steps;
        self.positive.coarsen(steps);
        self.negative.coarsen(steps);
    }

    /// Makes it as coarse as the limits ask for.
    pub fn limit(&mut self, limits: ExponentialLimits) {
        self.coarsen((self.scale - limits.max_scale).max(0));
        let spans = [self.positive.span(), self.negative.span()].into_iter().flatten();
        let steps = spans.map(|(low, high)| steps_to_fit(low, high, limits.max_size, self.scale)).max();
        self.coarsen(steps.unwrap_or(0));
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self, max_size: usize) {
        let mut other = other.clone();
        let scale = self.scale.min(other.scale);
        self.coarsen(self.scale - scale);
        other.coarsen(other.scale - scale);
        let united = |ours: &ExponentialBuckets, others: &ExponentialBuckets| match (ours.span(), others.span()) {
            (Some((low, high)), Some((other_low, other_high))) => {
                steps_to_fit(low.min(other_low), high.max(other_high), max_size, scale)
            }
            _ => 0,
        };
        let steps = united(&self.positive, &other.positive).max(united(&self.negative, &other.negative));
        self.coarsen(steps);
        other.coarsen(steps);
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.zero_count += other.zero_count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What was recorded since `before` was read of it; `None` if it began anew in between. Its least and greatest value are
    /// not known.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        let (mut added, mut before) = (self.clone(), before.clone());
        before.coarsen((before.scale - self.scale).max(0));
        if before.scale != self.scale {
            return None;
        }
        added.zero_count = self.zero_count.checked_sub(before.zero_count)?;
        added.positive.subtract(&before.positive)?;
        added.negative.subtract(&before.negative)?;
        added.sum -= before.sum;
        (added.min, added.max) = (f64::INFINITY, f64::NEG_INFINITY);
        Some(added)
    }
}

impl ExponentialBuckets {
    /// First and last index.
    fn span(&self) -> Option<(i32, i32)> {
        let more = i32::try_from(self.counts.len()).unwrap_or(i32::MAX).checked_sub(1).filter(|more| *more >= 0)?;
        Some((self.offset, self.offset.saturating_add(more)))
    }

    /// Has buckets from `low` to `high`, at least.
    fn reach(&mut self, low: i32, high: i32) {
        let Some((first, last)) = self.span() else {
            self.offset = low;
            self.counts = vec![0; length(low, high)];
            return;
        };
        if low < first {
            let more = vec![0; length(low, first) - 1];
            self.counts.splice(0..0, more);
            self.offset = low;
        }
        if high > last {
            self.counts.resize(length(self.offset, high), 0);
        }
    }

    fn add(&mut self, index: i32, count: u64) {
        if let Some(bucket) = self.bucket(index) {
            *bucket += count;
        }
    }

    fn bucket(&mut self, index: i32) -> Option<&mut u64> {
        let at = usize::try_from(i64::from(index) - i64::from(self.offset)).ok()?;
        self.counts.get_mut(at)
    }

    /// Index and count of each bucket.
    fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        (self.offset..).zip(self.counts.iter().copied())
    }

    fn coarsen(&mut self, steps: i32) {
        if steps == 0 {
            return;
        }
        let Some((low, high)) = self.span() else { return };
        let mut coarse = Self::default();
        coarse.reach(low >> steps, high >> steps);
        for (index, count) in self.iter() {
            coarse.add(index >> steps, count);
        }
        *self = coarse;
    }

    fn merge(&mut self, other: &Self) {
        let Some((low, high)) = other.span() else { return };
        self.reach(low, high);
        for (index, count) in other.iter() {
            self.add(index, count);
        }
    }

    fn subtract(&mut self, other: &Self) -> Option<()> {
        for (index, count) in other.iter().filter(|(_, count)| *count > 0) {
            let bucket = self.bucket(index)?;
            *bucket = bucket.checked_sub(count)?;
        }
        Some(())
    }
}

fn length(low: i32, high: i32) -> usize {
    usize::try_from(i64::from(high) - i64::from(low) + 1).unwrap_or(1)
}

/// How many scales coarser buckets from `low` to `high` must be to be at most `max_size`, as far as there are scales.
fn steps_to_fit(mut low: i32, mut high: i32, max_size: usize, scale: i32) -> i32 {
    let mut steps = 0;
    while length(low, high) > max_size && scale - steps > SCALE_MIN {
        low >>= 1;
        high >>= 1;
        steps += 1;
    }
    steps
}

/// The bucket of a finite value above 0.
fn index(value: f64, scale: i32) -> i32 {
    // Numbers that are too small for the usual form are made larger first.
    let (value, shift) = if value < f64::MIN_POSITIVE { (value * 2_f64.powi(60), 60) } else { (value, 0) };
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023 - shift;
    let mantissa = bits & ((1 << 52) - 1);
    if mantissa == 0 {
        // A power of two is the upper bound of its bucket.
        return if scale >= 0 { (exponent << scale) - 1 } else { (exponent - 1) >> -scale };
    }
    if scale <= 0 {
        return exponent >> -scale;
    }
    let fraction = f64::from_bits(mantissa | 1023 << 52);
    let parts = f64::from(1 << scale);
    // Between two powers of two, whatever rounding says.
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^20")]
    let part = ((fraction.ln() / LN_2 * parts).ceil() as i32 - 1).clamp(0, (1 << scale) - 1);
    (exponent << scale) + part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], limits: ExponentialLimits) -> Exponential {
        let mut histogram = Exponential::new(limits.max_scale);
        values.iter().for_each(|value| histogram.record(*value, limits.max_size));
        histogram
    }

    fn limits(max_scale: i32, max_size: usize) -> ExponentialLimits {
        ExponentialLimits { max_scale, max_size }
    }

    #[test]
    fn buckets_hold_what_is_above_their_lower_and_up_to_their_upper_bound() {
        for (value, scale, expected) in [
            (1.0, 0, -1),
            (1.5, 0, 0),
            (2.0, 0, 0),
            (2.1, 0, 1),
            (4.0, 0, 1),
            (0.5, 0, -2),
            (4.0, 1, 3),
            (4.1, 1, 4),
            (3.0, 1, 3),
            (2.5, 1, 2),
            (4.0, -1, 0),
            (4.1, -1, 1),
            (1.0, -1, -1),
            (16.0, -2, 0),
            (f64::MAX, 0, 1023),
            (f64::MAX, -10, 0),
            (f64::MIN_POSITIVE, 0, -1023),
            (f64::from_bits(1), 0, -1075),
            (1.0 + f64::EPSILON, 20, 0),
        ] {
            assert_eq!(index(value, scale), expected, "{value} at {scale}");
        }
        for scale in [3, 10, 20] {
            for value in [1.1_f64, 7.3, 1000.1, 0.001] {
                let index = f64::from(index(value, scale)) / f64::from(1 << scale);
                let (below, above) = (index.exp2(), (index + 1.0 / f64::from(1 << scale)).exp2());
                let slack = value * 1e-12;
                assert!(below - slack < value && value <= above + slack, "{below} {value} {above}");
            }
        }
    }

    #[test]
    fn it_becomes_coarser_when_values_spread() {
        let histogram = of(&[1.0, 2.0, 4.0, 8.0, 0.0, -3.0], limits(20, 4));
        assert_eq!((histogram.scale, histogram.zero_count, histogram.count()), (0, 1, 6));
        assert_eq!(histogram.positive, ExponentialBuckets { offset: -1, counts: vec![1, 1, 1, 1] });
        assert_eq!(histogram.negative, ExponentialBuckets { offset: 1, counts: vec![1] });
        assert_eq!((histogram.sum, histogram.min, histogram.max), (12.0, -3.0, 8.0));
        let wide = of(&[f64::MIN_POSITIVE, f64::MAX, f64::NAN, f64::INFINITY], limits(20, 2));
        assert_eq!((wide.scale, wide.positive.counts.as_slice()), (-10, &[1, 1][..]));
    }

    #[test]
    fn limits_merges_and_differences_are_exact() {
        let values: Vec<f64> = (1..200).map(|n| f64::from(n * n) / 7.0 - 900.0).collect();
        let fine = of(&values, ExponentialLimits::default());
        for coarse in [limits(2, 1000), limits(20, 10), limits(0, 3)] {
            let mut limited = fine.clone();
            limited.limit(coarse);
            let direct = of(&values, coarse);
            assert_eq!((limited.count(), limited.sum), (direct.count(), direct.sum));
            assert!(
                limited.positive.counts.len() <= coarse.max_size && limited.negative.counts.len() <= coarse.max_size
            );
            assert!(limited.scale <= coarse.max_scale);
        }
        let (first, second) = values.split_at(90);
        let (mut merged, more) = (of(first, limits(20, 20)), of(second, limits(20, 20)));
        let before = merged.clone();
        merged.merge(&more, 20);
        assert_eq!(merged.count(), 199);
        assert!(merged.positive.counts.len() <= 20);
        let added = merged.since(&before).unwrap();
        assert_eq!(added.count(), more.count());
        assert!((added.sum - more.sum).abs() < 1e-6);
        assert_eq!(before.since(&merged), None, "fewer than before");
        assert_eq!(merged.since(&Exponential::new(20)).unwrap().count(), 199);
    }
}
