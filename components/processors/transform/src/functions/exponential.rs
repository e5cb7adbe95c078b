//! Buckets of exponential histograms: their bounds, and joining those of several points.

use pdata::view::{BucketsView, ExponentialHistogramPointView};
use pdata::wire::{put_len, put_varint, put_varint_field, zigzag};

use super::fields::put_message;

/// The most buckets that joining may make on one side of zero, unless one of the points has more: twice what SDKs keep. A
/// coarser scale is taken before that.
const BUCKETS_MAX: usize = 320;

/// The lower bound of the bucket at `index`, which may be a place within a bucket: `2 ^ (index * 2 ^ -scale)`. Infinite or
/// 0 where that is beyond what numbers can express.
pub(super) fn bound(index: f64, scale: i32) -> f64 {
    (index * (-f64::from(scale)).exp2()).exp2()
}

/// The index at a coarser scale of the bucket that holds the one at `index`.
fn coarser(index: i64, scale: i32, coarser: i64) -> i64 {
    index >> (i64::from(scale) - coarser).clamp(0, 62)
}

/// Buckets on one side of zero, without empty ones at either end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets {
    /// Index of the first one.
    pub(super) offset: i64,
    pub(super) counts: Vec<u64>,
}

impl Buckets {
    pub(super) fn read(view: Option<BucketsView<'_>>) -> Self {
        let Some(view) = view else { return Self::default() };
        let mut buckets = Self { offset: view.offset().into(), counts: view.bucket_counts().collect() };
        buckets.trim();
        buckets
    }

    fn trim(&mut self) {
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        self.offset = if self.counts.is_empty() { 0 } else { self.offset + empty as i64 };
    }

    /// Indices of the first and the last bucket of all of them, at that scale, which is none of their finer ones.
    fn ends(all: &[(i32, Self)], scale: i64) -> Option<(i64, i64)> {
        let ends = all.iter().filter(|(_, buckets)| !buckets.counts.is_empty()).map(|(of, buckets)| {
            let last = buckets.offset + buckets.counts.len() as i64 - 1;
            (coarser(buckets.offset, *of, scale), coarser(last, *of, scale))
        });
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// All of them in one, at that scale.
    fn join(all: &[(i32, Self)], scale: i64) -> Self {
        let Some((first, last)) = Self::ends(all, scale) else { return Self::default() };
        let mut counts = vec![0_u64; (last - first + 1) as usize];
        for (of, buckets) in all {
            for (index, count) in (buckets.offset..).zip(&buckets.counts) {
                if let Some(total) = counts.get_mut((coarser(index, *of, scale) - first) as usize) {
                    *total = total.saturating_add(*count);
                }
            }
        }
        Self { offset: first, counts }
    }

    /// Takes the buckets out that reach below a threshold, which grows to the end of the last of them; says how many
    /// values were in them.
    fn take_below(&mut self, threshold: &mut f64, scale: i32) -> u64 {
        let (mut taken, mut places) = (0_u64, 0);
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let index = (self.offset + place as i64) as f64;
            if bound(index, scale) >= *threshold {
                break;
            }
            *threshold = threshold.max(bound(index + 1.0, scale));
            (taken, places) = (taken.saturating_add(*count), place + 1);
        }
        self.counts.drain(..places);
        self.offset += places as i64;
        self.trim();
        taken
    }

    /// Appends the submessage of that number, if there are buckets.
    pub(super) fn put(&self, out: &mut Vec<u8>, number: u32) {
        if self.counts.is_empty() {
            return;
        }
        put_message(out, number, |message| {
            let offset = self.offset.clamp(i32::MIN.into(), i32::MAX.into());
            if offset != 0 {
                put_varint_field(message, 1, zigzag(offset));
            }
            let mut counts = Vec::with_capacity(self.counts.len());
            for count in &self.counts {
                put_varint(&mut counts, *count);
            }
            put_len(message, 2, &counts);
        });
    }
}

/// The buckets of several points in one.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Buckets,
    pub(super) negative: Buckets,
}

impl Joined {
    /// Of the coarsest scale that one of them has, or coarser where they reach too far.
    pub(super) fn of(points: &[ExponentialHistogramPointView<'_>]) -> Self {
        let read = |side: fn(ExponentialHistogramPointView<'_>) -> Buckets| -> Vec<(i32, Buckets)> {
            points.iter().map(|point| (point.scale(), side(*point))).collect()
        };
        let sides = [read(|point| Buckets::read(point.positive())), read(|point| Buckets::read(point.negative()))];
        let coarsest = points.iter().map(|point| i64::from(point.scale())).min().unwrap_or(0);
        let longest = sides.iter().flatten().map(|(_, buckets)| buckets.counts.len()).max().unwrap_or(0);
        let mut scale = coarsest;
        let most = longest.max(BUCKETS_MAX) as i64;
        let reaches_too_far = |side: &Vec<(i32, Buckets)>, scale| {
            Buckets::ends(side, scale).is_some_and(|(first, last)| last - first >= most)
        };
        while scale > i64::from(i32::MIN) && sides.iter().any(|side| reaches_too_far(side, scale)) {
            scale -= 1;
        }
        let [positive, negative] = sides.map(|side| Buckets::join(&side, scale));
        let zeros = points.iter().map(|point| point.zero_count()).fold(0, u64::saturating_add);
        let thresholds = points.iter().map(|point| point.zero_threshold());
        let differ = points.windows(2).any(|pair| match pair {
            [a, b] => a.zero_threshold().to_bits() != b.zero_threshold().to_bits(),
            _ => false,
        });
        let mut joined = Self {
            scale: scale as i32,
            zero_count: zeros,
            zero_threshold: thresholds.fold(0.0, f64::max),
            positive,
            negative,
        };
        if differ {
            joined.widen_zero();
        }
        joined
    }

    /// Moves the buckets within the threshold to zero, which one of the points has done already. Moving one side's may
    /// widen the threshold for the other.
    fn widen_zero(&mut self) {
        loop {
            let before = self.zero_threshold;
            for side in [&mut self.positive, &mut self.negative] {
                let taken = side.take_below(&mut self.zero_threshold, self.scale);
                self.zero_count = self.zero_count.saturating_add(taken);
            }
            if self.zero_threshold <= before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(offset: i64, counts: &[u64]) -> Buckets {
        let mut buckets = Buckets { offset, counts: counts.to_vec() };
        buckets.trim();
        buckets
    }

    #[test]
    fn bounds_are_powers() {
        for (index, scale, expected) in [
            (0.0, 0, 1.0),
            (3.0, 0, 8.0),
            (-1.0, 0, 0.5),
            (1.0, -2, 16.0),
            (2.0, 1, 2.0),
            (8.0, 3, 2.0),
            (1e9, 0, f64::INFINITY),
        ] {
            assert_eq!(bound(index, scale).to_bits(), f64::to_bits(expected), "{index} {scale}");
        }
    }

    #[test]
    fn buckets_are_joined_where_they_are() {
        for (a, b, sum) in [
            (buckets(0, &[1, 2]), buckets(0, &[3, 4, 5]), buckets(0, &[4, 6, 5])),
            (buckets(2, &[1, 2]), buckets(-1, &[3]), buckets(-1, &[3, 0, 0, 1, 2])),
            (buckets(0, &[1, 2]), buckets(1, &[3, 0, 4]), buckets(0, &[1, 5, 0, 4])),
            (buckets(0, &[0, 0]), buckets(5, &[3]), buckets(5, &[3])),
            (buckets(7, &[0, 3]), buckets(0, &[]), buckets(8, &[3])),
            (buckets(0, &[]), buckets(0, &[]), buckets(0, &[])),
        ] {
            assert_eq!(Buckets::join(&[(3, a.clone()), (3, b.clone())], 3), sum);
            assert_eq!(Buckets::join(&[(3, b), (3, a)], 3), sum);
        }
    }

    #[test]
    fn coarser_buckets_hold_the_same() {
        for (fine, by, coarse) in [
            (buckets(0, &[1, 2, 3, 4]), 1, buckets(0, &[3, 7])),
            (buckets(-3, &[1, 2, 3, 4]), 1, buckets(-2, &[1, 5, 4])),
            (buckets(-3, &[1, 2, 3, 4]), 70, buckets(-1, &[6, 4])),
            (buckets(5, &[1]), 0, buckets(5, &[1])),
        ] {
            assert_eq!(Buckets::join(&[(2, fine)], 2 - by), coarse);
        }
    }
}
