//! Fewer lines of the same kind, as zap samples them: messages are counted per level in a fixed table by their hash.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Level;

use crate::service::telemetry::config::SamplingConfig;

/// Counters per level; two messages that share one are sampled together.
const COUNTERS: usize = 1024;
const LEVELS: usize = 5;

/// Decides which lines are written.
#[derive(Debug)]
pub(super) struct Sampler {
    initial: u64,
    thereafter: u64,
    tick_ns: u64,
    hash: RandomState,
    counters: Vec<Counter>,
}

#[derive(Debug, Default)]
struct Counter {
    reset_at_ns: AtomicU64,
    count: AtomicU64,
}

impl Sampler {
    pub(super) fn new(config: &SamplingConfig) -> Self {
        Self {
            initial: config.initial,
            thereafter: config.thereafter,
            tick_ns: u64::try_from(config.tick.as_nanos()).unwrap_or(u64::MAX),
            hash: RandomState::new(),
            counters: std::iter::repeat_with(Counter::default).take(COUNTERS * LEVELS).collect(),
        }
    }

    /// Whether the next line of `level` with this message is written; `now` is the time since some fixed instant.
    pub(super) fn admits(&self, level: Level, message: &str, now: Duration) -> bool {
        let level = match level {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => 4,
        };
        let slot = usize::try_from(self.hash.hash_one(message) % COUNTERS as u64).unwrap_or_default();
        let Some(counter) = self.counters.get(level * COUNTERS + slot) else { return true };
        let n = counter.next(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), self.tick_ns);
        // Nothing is a multiple of 0 but 0 itself.
        n <= self.initial || (n - self.initial).is_multiple_of(self.thereafter)
    }
}

impl Counter {
    /// The number of this line within its tick, from 1.
    fn next(&self, now_ns: u64, tick_ns: u64) -> u64 {
        let reset_at = self.reset_at_ns.load(Ordering::Relaxed);
        if now_ns >= reset_at {
            let next = now_ns.saturating_add(tick_ns);
            if self.reset_at_ns.compare_exchange(reset_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.count.store(1, Ordering::Relaxed);
                return 1;
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_then_every_so_many_then_a_new_tick() {
        let config = SamplingConfig { initial: 2, thereafter: 3, tick: Duration::from_secs(10), ..Default::default() };
        let sampler = Sampler::new(&config);
        let written = |level, message, seconds| sampler.admits(level, message, Duration::from_secs(seconds));
        let first: Vec<bool> = (0..8).map(|_| written(Level::INFO, "a", 5)).collect();
        assert_eq!(first, [true, true, false, false, true, false, false, true]);
        assert!(written(Level::WARN, "a", 5), "levels are counted apart");
        assert!(!written(Level::INFO, "a", 14));
        assert!(written(Level::INFO, "a", 15), "a new tick");
        let none = Sampler::new(&SamplingConfig { initial: 1, thereafter: 0, ..config });
        let times: Vec<bool> = (0..300).map(|_| none.admits(Level::INFO, "b", Duration::ZERO)).collect();
        assert_eq!(times.iter().filter(|written| **written).count(), 1);
    }
}
