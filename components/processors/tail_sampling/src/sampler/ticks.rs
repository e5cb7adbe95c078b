//! When traces are decided: at ticks, so many in a second since the start.

use std::time::Duration;

use component::pressure::Step;
use tokio::time::Instant;

use super::Sampler;

/// How often in a second traces are decided.
const TICKS: u64 = 4;
/// In a second.
const NANOS: u64 = 1_000_000_000;

impl Sampler {
    /// Ticks before their time at which traces are due: the degraded mode waits for a third of it.
    pub(super) fn ahead(&self) -> u64 {
        let wait = self.rules.wait.as_secs();
        if self.pressure.step() >= Step::Trim { (wait - wait.div_ceil(3)) * TICKS } else { 0 }
    }

    /// When the next tick is.
    #[must_use]
    pub fn next_tick(&self) -> Instant {
        let next = tick_at(self.now()) + 1;
        self.started + time_of(next)
    }
}

/// When a tick is, since the start.
pub(super) fn time_of(tick: u64) -> Duration {
    Duration::from_nanos(tick.saturating_mul(NANOS / TICKS))
}

/// The last tick at or before a time since the start.
pub(super) fn tick_at(time: Duration) -> u64 {
    time.as_secs() * TICKS + u64::from(time.subsec_nanos()) * TICKS / NANOS
}

/// The first tick at or after a time since the start.
pub(super) fn tick_after(time: Duration) -> u64 {
    time.as_secs() * TICKS + (u64::from(time.subsec_nanos()) * TICKS).div_ceil(NANOS)
}
