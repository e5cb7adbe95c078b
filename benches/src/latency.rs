//! A latency histogram of fixed size: 64 steps per doubling, so that a percentile is at most 1.6 % too high.
//!
//! One per worker, merged at the end; nothing is shared while the clock runs.

use std::time::Duration;

const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
/// Up to 2^36 µs, which is 19 hours; longer ones land in the last bucket.
const DOUBLINGS: usize = 31;

/// Counts of durations in whole microseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; STEPS * DOUBLINGS], count: 0 }
    }
}

/// Which bucket holds `micros`: exact below 64, then the six bits below the leading one choose the step.
fn bucket_index(micros: u64) -> usize {
    let top = 63 - (micros | 1).leading_zeros();
    if top < STEP_BITS {
        return micros as usize;
    }
    let shift = top - STEP_BITS;
    let doubling = shift as usize + 1;
    (doubling * STEPS + ((micros >> shift) as usize & (STEPS - 1))).min(STEPS * DOUBLINGS - 1)
}

/// The largest value that falls into bucket `index`, in microseconds.
fn bucket_bound(index: usize) -> u64 {
    let (doubling, step) = (index / STEPS, (index % STEPS) as u64);
    if doubling == 0 { step } else { ((STEPS as u64 + step + 1) << (doubling - 1)) - 1 }
}

impl Latencies {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_index(micros)) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration that `share` (0 to 1) of the counted ones do not exceed, in milliseconds; 0 when nothing was counted.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, &bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return bucket_bound(index) as f64 / 1000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket() {
        for micros in (0..100_000u64).chain([1 << 20, (1 << 30) + 12345, (1 << 36) - 1]) {
            let index = bucket_index(micros);
            assert!(bucket_bound(index) >= micros, "{micros}");
            assert!(index == 0 || bucket_bound(index - 1) < micros, "{micros}");
            assert!(bucket_bound(index) as f64 <= micros as f64 * 1.016 + 1.0, "{micros}");
        }
        assert_eq!(bucket_index(u64::MAX), STEPS * DOUBLINGS - 1);
    }

    #[test]
    fn percentiles_follow_the_rank() {
        let mut latencies = Latencies::default();
        let mut other = Latencies::default();
        for millis in 1..=99 {
            latencies.record(Duration::from_millis(millis));
        }
        other.record(Duration::from_secs(10));
        latencies.merge(&other);
        assert_eq!(latencies.count(), 100);
        for (share, expected) in [(0.5, 50.0), (0.99, 99.0), (1.0, 10_000.0)] {
            let found = latencies.percentile_ms(share);
            assert!(found >= expected && found <= expected * 1.016, "{share}: {found}");
        }
        assert!(Latencies::default().percentile_ms(0.5) < 0.001);
    }
}
