//! Policies that remember what went before: token buckets, shares of a second, rates.
//!
//! Times are counted from the start of the processor, so that tests can stop the clock.
//!
//! A successor goes on with them ([`State::inherit`]): what was used up stays used up, and what the successor itself gave before it
//! knew is taken off. Clocks of both differ, so each tells how far it is by its own.

use std::collections::HashMap;
use std::time::Duration;

use sampling::{Randomness, Threshold};

/// What policies remember.
#[derive(Debug, Default)]
pub struct State {
    /// Buckets of tokens.
    pub buckets: Vec<Owned<Bucket>>,
    /// Of composite policies.
    pub shares: Vec<Owned<Shares>>,
    /// Of `throughput` policies.
    pub rates: Vec<Owned<Rates>>,
}

/// A limit, and the policy that it belongs to.
#[derive(Debug)]
pub struct Owned<T> {
    /// Names and types of the policy and of those around it, and what the shape of its memory depends on.
    pub owner: Box<str>,
    /// The limit.
    pub limit: T,
}

/// What goes on with the memory of a predecessor, whose time is `then` when it is `now` here.
trait Inherits {
    fn inherit(&mut self, before: Self, then: Duration, now: Duration);
}

impl State {
    /// Goes on where the same policies of a predecessor ended. Rates and sizes are those of its own configuration.
    pub fn inherit(&mut self, before: Self, then: Duration, now: Duration) {
        fn all<T: Inherits>(own: &mut [Owned<T>], mut before: Vec<Owned<T>>, then: Duration, now: Duration) {
            for Owned { owner, limit } in own {
                if let Some(place) = before.iter().position(|before| before.owner == *owner) {
                    limit.inherit(before.remove(place).limit, then, now);
                }
            }
        }
        all(&mut self.buckets, before.buckets, then, now);
        all(&mut self.shares, before.shares, then, now);
        all(&mut self.rates, before.rates, then, now);
    }
}

/// Counts seconds, the first of which may begin within one of the clock's.
#[derive(Debug, Default)]
struct Seconds {
    /// When seconds begin, less than one.
    phase: Duration,
    current: u64,
}

impl Seconds {
    /// How many began since it was asked before.
    fn begun(&mut self, now: Duration) -> u64 {
        let second = now.saturating_sub(self.phase).as_secs();
        let begun = second.saturating_sub(self.current);
        self.current = self.current.max(second);
        begun
    }

    /// How much of the current one is over.
    fn over(&self, now: Duration) -> Duration {
        now.saturating_sub(self.phase).saturating_sub(Duration::from_secs(self.current))
    }

    /// Goes on in a second of which so much is over.
    fn go_on(&mut self, over: Duration, now: Duration) {
        let began = now.saturating_sub(over);
        *self = Self { phase: Duration::from_nanos(began.subsec_nanos().into()), current: began.as_secs() };
    }
}

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

    fn fill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = elapsed.mul_add(self.per_second, self.tokens).min(self.burst);
    }

    /// Takes `count` tokens if there are so many.
    pub fn take(&mut self, count: u64, now: Duration) -> bool {
        self.fill(now);
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

impl Inherits for Bucket {
    fn inherit(&mut self, mut before: Self, then: Duration, now: Duration) {
        before.fill(then);
        self.fill(now);
        // It was full when the predecessor was not: what it gave meanwhile is a debt.
        let given = self.burst - self.tokens;
        self.tokens = before.tokens.min(self.burst) - given;
    }
}

/// The part of a policy in a composite one.
#[derive(Debug)]
struct Share {
    name: Box<str>,
    /// Spans that may be kept in a second.
    allocation: i64,
    /// Spans that were kept in the current one.
    kept: i64,
}

/// How many spans of each policy in a composite one were kept in the current second.
#[derive(Debug)]
pub struct Shares {
    most: i64,
    policies: Vec<Share>,
    seconds: Seconds,
}

impl Shares {
    /// For policies of those names and allocations in spans per second, and with what none of them may exceed.
    #[must_use]
    pub fn new(most: i64, policies: impl IntoIterator<Item = (Box<str>, i64)>) -> Self {
        let policies = policies.into_iter().map(|(name, allocation)| Share { name, allocation, kept: 0 });
        Self { most, policies: policies.collect(), seconds: Seconds::default() }
    }

    fn roll(&mut self, now: Duration) {
        if self.seconds.begun(now) > 0 {
            self.policies.iter_mut().for_each(|share| share.kept = 0);
        }
    }

    /// Takes `spans` of a policy's share if there is so much left of it.
    pub fn take(&mut self, policy: usize, spans: u64, now: Duration) -> bool {
        self.roll(now);
        let Some(share) = self.policies.get_mut(policy) else { return false };
        let then = share.kept.saturating_add(i64::try_from(spans).unwrap_or(i64::MAX));
        let has_room = then <= share.allocation && then <= self.most;
        if has_room {
            share.kept = then;
        }
        has_room
    }
}

impl Inherits for Shares {
    fn inherit(&mut self, mut before: Self, then: Duration, now: Duration) {
        before.roll(then);
        self.roll(now);
        for share in &mut self.policies {
            let same = before.policies.iter().find(|before| before.name == share.name);
            share.kept = share.kept.saturating_add(same.map_or(0, |before| before.kept));
        }
        self.seconds.go_on(before.seconds.over(then), now);
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
    seconds: Seconds,
}

impl Rates {
    /// For a target in spans per second. Rates lose half of their weight in `half_life`.
    #[must_use]
    pub fn new(target: f64, half_life: Duration, kinds_max: usize) -> Self {
        let half_life = half_life.as_secs_f64().max(1e-3);
        Self { target, half_life, kinds_max, kinds: HashMap::new(), seconds: Seconds::default() }
    }

    /// The threshold for a trace of that kind with so many spans, which are counted by this.
    pub fn threshold(&mut self, kind: u64, spans: u64, now: Duration) -> Threshold {
        self.roll(now);
        let target = self.target;
        let kind = self.kind(kind);
        // Rates are those of whole seconds; what a second brings beyond twice the target is not waited for.
        let excess = kind.count as f64 / (2.0 * target);
        kind.count = kind.count.saturating_add(spans);
        let share = if excess > 1.0 { kind.share.min(1.0 / excess) } else { kind.share };
        Threshold::of_probability(share, 4).unwrap_or(Threshold::NEVER)
    }

    /// The kind of that hash, or that of all others.
    fn kind(&mut self, kind: u64) -> &mut Kind {
        let is_known = self.kinds.contains_key(&kind) || self.kinds.len() < self.kinds_max;
        let kind = if is_known { kind } else { OTHERS };
        self.kinds.entry(kind).or_insert(Kind { count: 0, rate: None, share: 1.0 })
    }

    fn roll(&mut self, now: Duration) {
        let begun = self.seconds.begun(now);
        if begun == 0 {
            return;
        }
        let seconds = begun as f64;
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

impl Inherits for Rates {
    fn inherit(&mut self, mut before: Self, then: Duration, now: Duration) {
        before.roll(then);
        self.roll(now);
        let more = self.target / before.target;
        let mut kinds: Vec<(u64, Kind)> = before.kinds.into_iter().collect();
        kinds.sort_unstable_by_key(|(kind, _)| *kind);
        for (kind, before) in kinds {
            let own = self.kind(kind);
            own.count = own.count.saturating_add(before.count);
            // Several, where there is less room for kinds than there was.
            own.rate = match (own.rate, before.rate) {
                (Some(own), Some(before)) => Some(own + before),
                (own, before) => own.or(before),
            };
            own.share = own.share.min(before.share * more);
        }
        self.seconds.go_on(before.seconds.over(then), now);
    }
}

#[cfg(test)]
mod tests {
    use sampling::Randomness;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn shares<const N: usize>(most: i64, allocations: [i64; N]) -> Shares {
        let names = ["a", "b", "c"].map(Box::from);
        Shares::new(most, names.into_iter().zip(allocations))
    }

    /// How many tokens can be taken one by one.
    fn room(bucket: &mut Bucket, now: Duration) -> usize {
        (0..1000).take_while(|_| bucket.take(1, now)).count()
    }

    #[test]
    fn a_bucket_goes_on_with_what_another_left() {
        for (given_before, given_here, changed, expected) in [
            (0, 0, (10, 20), 20),
            (20, 0, (10, 20), 0),
            (15, 0, (10, 20), 5),
            (15, 3, (10, 20), 2),
            (15, 0, (100, 200), 5),
            (15, 0, (1, 2), 2),
            (0, 0, (100, 200), 20),
        ] {
            let mut before = Bucket::new(10, 20);
            let mut bucket = Bucket::new(changed.0, changed.1);
            // The clocks differ; one of both stands still.
            assert!(before.take(given_before, SECOND * 50));
            assert!(bucket.take(given_here, SECOND * 7));
            bucket.inherit(before, SECOND * 50, SECOND * 7);
            let case = (given_before, given_here, changed);
            assert_eq!(room(&mut bucket, SECOND * 7), expected, "{case:?}");
            let more = changed.0.min(changed.1) as usize;
            assert_eq!(room(&mut bucket, SECOND * 8), more, "{case:?}: then it fills by its own rate");
        }
        let (mut before, mut bucket) = (Bucket::new(10, 20), Bucket::new(10, 20));
        assert!(before.take(20, SECOND) && bucket.take(20, SECOND));
        bucket.inherit(before, SECOND, SECOND);
        assert_eq!(room(&mut bucket, SECOND * 2), 0, "what both gave has to be made up for");
        assert_eq!(room(&mut bucket, SECOND * 4), 10);
    }

    #[test]
    fn shares_go_on_in_the_same_second() {
        let mut before = shares(10, [5, 5, 5]);
        assert!(before.take(0, 5, SECOND * 3 / 2));
        // The first is there, with more; another has its name no more.
        let names = ["b", "a", "x"].map(Box::from);
        let mut own = Shares::new(10, names.into_iter().zip([5, 6, 5]));
        let now = SECOND * 100;
        own.inherit(before, SECOND * 17 / 10, now);
        assert!(!own.take(1, 2, now) && own.take(1, 1, now) && !own.take(1, 1, now));
        assert!(own.take(0, 5, now) && own.take(2, 5, now));
        assert!(!own.take(1, 1, now + SECOND / 4), "the second that began 0.7 s before is not over");
        assert!(own.take(1, 6, now + SECOND / 3));
        // A second that is over counts no more.
        let (mut before, mut own) = (shares(10, [5, 5, 5]), shares(10, [5, 5, 5]));
        assert!(before.take(0, 5, SECOND * 3 / 2));
        own.inherit(before, SECOND * 2, now);
        assert!(own.take(0, 5, now));
    }

    #[test]
    fn rates_go_on_with_the_shares_that_were_found() {
        let grown = || {
            let mut rates = Rates::new(10.0, SECOND * 5, 8);
            for second in 0..20 {
                assert!((0..100).all(|_| rates.threshold(7, 1, SECOND * second) < Threshold::NEVER));
            }
            rates
        };
        let (then, now) = (SECOND * 39 / 2, SECOND * 500);
        let mut fresh = Rates::new(10.0, SECOND * 5, 8);
        assert_eq!(fresh.threshold(7, 1, now), Threshold::ALWAYS, "what a reload could be used for");
        for (target, expected) in [(10.0, 0.1), (20.0, 0.2), (5.0, 0.05), (1000.0, 1.0)] {
            let mut rates = Rates::new(target, SECOND * 60, 8);
            rates.inherit(grown(), then, now);
            let probability = rates.threshold(7, 1, now).probability();
            assert!((probability - expected).abs() < 0.01, "{target}: {probability}");
            assert_eq!(rates.threshold(8, 1, now), Threshold::ALWAYS, "another kind");
        }
        // Room for no kind but that of all others.
        let mut rates = Rates::new(10.0, SECOND * 5, 0);
        rates.inherit(grown(), then, now);
        assert!(rates.threshold(1, 1, now).probability() < 0.11);
    }

    #[test]
    fn limits_go_by_owner() {
        let owned = |owner: &str, spent: u64| {
            let mut limit = Bucket::new(1, 10);
            assert!(limit.take(spent, SECOND));
            Owned { owner: owner.into(), limit }
        };
        let state = |buckets: Vec<Owned<Bucket>>| State { buckets, ..State::default() };
        let mut own = state(vec![owned("b", 0), owned("c", 0), owned("a", 0), owned("a", 0)]);
        own.inherit(state(vec![owned("a", 10), owned("b", 5), owned("gone", 10), owned("a", 7)]), SECOND, SECOND);
        let rooms: Vec<usize> = own.buckets.iter_mut().map(|owned| room(&mut owned.limit, SECOND)).collect();
        assert_eq!(rooms, [5, 10, 0, 3], "those of one name in order");
    }

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
        let mut shares = shares(10, [5, 100, 0]);
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
