//! Policies that remember what went before: token buckets, shares of a second, rates.
//!
//! Times are counted from the start of the processor, so that tests can stop the clock.

use std::collections::HashMap;
use std::time::Duration;

use sampling::{Randomness, Threshold};

/// A bucket of tokens, full at the start.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
    /// The randomness of the first trace of a round that found no room.
    rejected: Option<Randomness>,
}

impl Bucket {
    /// One that fills by `per_second` up to `burst`.
    #[must_use]
    pub fn new(per_second: i64, burst: i64) -> Self {
        let burst = burst as f64;
        Self { per_second: per_second as f64, burst, tokens: burst, at: Duration::ZERO, rejected: None }
    }

    /// Takes `count` tokens if there are so many.
    pub fn take(&mut self, count: u64, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = elapsed.mul_add(self.per_second, self.tokens).min(self.burst);
        let has_room = count as f64 <= self.tokens;
        if has_room {
            self.tokens -= count as f64;
        }
        has_room
    }

    /// Begins a round in which traces ask in order of their randomness, the highest first.
    pub fn begin_round(&mut self) {
        self.rejected = None;
    }

    /// Takes tokens in a round; none once there were too few for one. Whether it did.
    pub fn take_in_order(&mut self, count: u64, randomness: Randomness, now: Duration) -> bool {
        if self.rejected.is_some() {
            return false;
        }
        let has_room = self.take(count, now);
        if !has_room {
            self.rejected = Some(randomness);
        }
        has_room
    }

    /// What the randomness of a trace had to exceed in the last round to find room: that of the first that found none, whatever its
    /// own was. That makes the inverse probability an unbiased weight, as the bottom-k sketch does.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.rejected.map_or(Threshold::ALWAYS, |first| Threshold::rejecting(first.bits() + 1))
    }
}

/// How many spans of each policy in a composite one were kept in the current second.
#[derive(Debug)]
pub struct Shares {
    most: i64,
    /// What may be kept, and what was.
    policies: Vec<(i64, i64)>,
    second: u64,
}

impl Shares {
    /// With those allocations in spans per second, and what none of them may exceed.
    #[must_use]
    pub fn new(most: i64, allocations: impl IntoIterator<Item = i64>) -> Self {
        Self { most, policies: allocations.into_iter().map(|allocation| (allocation, 0)).collect(), second: 0 }
    }

    /// Takes `spans` of a policy's share if there is so much left of it.
    pub fn take(&mut self, policy: usize, spans: u64, now: Duration) -> bool {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.policies.iter_mut().for_each(|(_, kept)| *kept = 0);
        }
        let Some((allocation, kept)) = self.policies.get_mut(policy) else { return false };
        let then = kept.saturating_add(i64::try_from(spans).unwrap_or(i64::MAX));
        let has_room = then <= *allocation && then <= self.most;
        if has_room {
            *kept = then;
        }
        has_room
    }
}

/// Where kinds beyond the limit are counted together.
const OTHERS: u64 = 0;
/// How much a share may grow in a second.
const GROWTH: f64 = 1.2;
/// A kind whose rate is this small a part of the target is forgotten.
const FORGOTTEN: f64 = 0.001;

#[derive(Debug)]
struct Kind {
    /// Spans in the current second.
    count: u64,
    /// Smoothed rate in spans per second; none before the first second is over.
    rate: Option<f64>,
    share: f64,
}

/// Shares of kinds of traces, such that about so many spans per second of each are kept.
#[derive(Debug)]
pub struct Rates {
    target: f64,
    half_life: f64,
    kinds_max: usize,
    kinds: HashMap<u64, Kind>,
    second: u64,
}

impl Rates {
    /// For a target in spans per second. Rates lose half of their weight in `half_life`.
    #[must_use]
    pub fn new(target: f64, half_life: Duration, kinds_max: usize) -> Self {
        Self { target, half_life: half_life.as_secs_f64().max(1e-3), kinds_max, kinds: HashMap::new(), second: 0 }
    }

    /// The threshold for a trace of that kind with so many spans, which are counted by this.
    pub fn threshold(&mut self, kind: u64, spans: u64, now: Duration) -> Threshold {
        let elapsed = now.as_secs().saturating_sub(self.second);
        if elapsed > 0 {
            self.second = now.as_secs();
            self.roll(elapsed as f64);
        }
        let is_known = self.kinds.contains_key(&kind) || self.kinds.len() < self.kinds_max;
        let kind = if is_known { kind } else { OTHERS };
        let kind = self.kinds.entry(kind).or_insert(Kind { count: 0, rate: None, share: 1.0 });
        // Rates are those of whole seconds; what a second brings beyond twice the target is not waited for.
        let excess = kind.count as f64 / (2.0 * self.target);
        kind.count = kind.count.saturating_add(spans);
        let share = if excess > 1.0 { kind.share.min(1.0 / excess) } else { kind.share };
        Threshold::of_probability(share, 4).unwrap_or(Threshold::NEVER)
    }

    fn roll(&mut self, seconds: f64) {
        let weight = 1.0 - (-seconds / self.half_life).exp2();
        let forgotten = self.target * FORGOTTEN;
        for kind in self.kinds.values_mut() {
            let now = kind.count as f64 / seconds;
            kind.count = 0;
            let rate = kind.rate.map_or(now, |rate| weight.mul_add(now - rate, rate));
            kind.rate = Some(rate);
            // Down at once, up slowly.
            let wanted = (self.target / rate.max(now)).min(1.0);
            kind.share = wanted.min(kind.share * GROWTH.powf(seconds));
        }
        self.kinds.retain(|_, kind| kind.rate.is_some_and(|rate| rate > forgotten));
    }
}

#[cfg(test)]
mod tests {
    use sampling::Randomness;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_fills_up_to_its_burst() {
        let mut bucket = Bucket::new(10, 20);
        assert!(bucket.take(20, Duration::ZERO), "full at the start");
        assert!(!bucket.take(1, Duration::ZERO));
        assert!(!bucket.take(6, SECOND / 2));
        assert!(bucket.take(5, SECOND / 2));
        assert!(!bucket.take(21, SECOND * 100), "more than the burst never fits");
        assert!(bucket.take(20, SECOND * 100));
        assert!(!bucket.take(1, SECOND * 99), "a clock that goes back gives nothing");
    }

    #[test]
    fn shares_begin_anew_with_each_second() {
        let mut shares = Shares::new(10, [5, 100, 0]);
        assert!(shares.take(0, 5, Duration::ZERO));
        assert!(!shares.take(0, 1, Duration::ZERO));
        assert!(!shares.take(1, 11, Duration::ZERO), "beyond the total");
        assert!(shares.take(1, 10, Duration::ZERO), "each policy is compared with the total for itself");
        assert!(!shares.take(2, 1, Duration::ZERO), "no allocation");
        assert!(shares.take(0, 5, SECOND));
    }

    #[test]
    fn rates_approach_the_target() {
        let mut rates = Rates::new(100.0, Duration::from_secs(5), 2);
        let mut kept = [0.0; 2];
        let mut random = 0x1234_5678_9abc_def1_u64;
        for second in 0..40 {
            for n in 0..1000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // 10,000 spans/s of one kind, 50/s of another.
                let (kind, spans) = if n % 20 == 0 && n < 100 { (7, 10) } else { (8, 10) };
                let threshold = rates.threshold(kind, spans, SECOND * second);
                if second >= 20 && threshold.keeps(Randomness::new(random)) {
                    kept[kind as usize - 7] += spans as f64 / 20.0;
                }
            }
        }
        assert!(kept[0] > 49.9, "a rare kind is kept whole: {kept:?}");
        assert!((kept[1] - 100.0).abs() < 25.0, "{kept:?}");
        rates.threshold(9, 1, SECOND * 40);
        assert_eq!(rates.kinds.len(), 3, "a third kind goes to the others");
        assert!(rates.kinds.contains_key(&OTHERS));
    }
}
