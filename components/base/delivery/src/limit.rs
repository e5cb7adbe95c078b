//! How large a request the destination takes: assumed, configured, or learned from refusals.
//!
//! What was learned is forgotten after ten minutes, so that a destination that was reconfigured is found out; asking
//! again costs one refused request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::transport::{SendError, SizeRefusal};

/// How long a learned limit is believed.
const LEARNED_FOR: Duration = Duration::from_secs(600);

/// Below this nothing is learned from halving: a destination that refuses everything for size would otherwise get every
/// item in a request of its own.
const LEARNED_BYTES_MIN: usize = 64 << 10;

/// The limit of one destination.
#[derive(Debug)]
pub(crate) struct SizeLimit {
    /// What destinations of this kind take as a rule.
    assumed: Option<usize>,
    /// What the user says this one takes.
    configured: Option<usize>,
    learned: Mutex<Option<(usize, Instant)>>,
}

impl SizeLimit {
    pub(crate) fn new(assumed: Option<usize>, configured: Option<usize>) -> Self {
        Self { assumed, configured, learned: Mutex::default() }
    }

    fn learned(&self) -> MutexGuard<'_, Option<(usize, Instant)>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most bytes a request should have; `None` for any number.
    pub(crate) fn bytes_max(&self) -> Option<usize> {
        let mut learned = self.learned();
        if learned.is_some_and(|(_, at)| at.elapsed() >= LEARNED_FOR) {
            *learned = None;
        }
        learned.map(|(bytes, _)| bytes).or(self.configured).or(self.assumed)
    }

    /// A request of `bytes` failed. If for its size: the most bytes its parts should have, which is remembered.
    pub(crate) fn refused(&self, error: &SendError, bytes: usize) -> Option<usize> {
        let parts_max = match error.size() {
            SizeRefusal::Named(Some(limit)) if (1..bytes).contains(&limit) => limit,
            SizeRefusal::Named(_) => bytes / 2,
            SizeRefusal::Unclear => self.assumed.filter(|assumed| bytes > *assumed)?,
            SizeRefusal::No => return None,
        };
        *self.learned() = Some((parts_max.max(LEARNED_BYTES_MIN), Instant::now()));
        Some(parts_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(size: SizeRefusal) -> SendError {
        SendError::permanent("RESOURCE_EXHAUSTED", "no").with_size(size)
    }

    #[tokio::test(start_paused = true)]
    async fn learns_what_is_named_else_half_and_forgets() {
        let limit = SizeLimit::new(Some(4 << 20), None);
        assert_eq!(limit.bytes_max(), Some(4 << 20));
        assert_eq!(limit.refused(&refusal(SizeRefusal::Named(Some(1 << 20))), 3 << 20), Some(1 << 20));
        assert_eq!(limit.bytes_max(), Some(1 << 20));
        assert_eq!(limit.refused(&refusal(SizeRefusal::Named(None)), 1 << 20), Some(1 << 19));
        assert_eq!(limit.bytes_max(), Some(1 << 19));
        tokio::time::advance(LEARNED_FOR).await;
        assert_eq!(limit.bytes_max(), Some(4 << 20));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unclear_refusal_counts_above_the_assumed_limit_only() {
        let limit = SizeLimit::new(Some(100), Some(1000));
        assert_eq!(limit.bytes_max(), Some(1000));
        assert_eq!(limit.refused(&refusal(SizeRefusal::Unclear), 100), None);
        assert_eq!(limit.refused(&refusal(SizeRefusal::Unclear), 101), Some(100));
        assert_eq!(limit.refused(&refusal(SizeRefusal::No), 101), None);
        assert_eq!(SizeLimit::new(None, None).refused(&refusal(SizeRefusal::Unclear), usize::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn halving_below_the_floor_is_not_remembered() {
        let limit = SizeLimit::new(None, None);
        assert_eq!(limit.refused(&refusal(SizeRefusal::Named(None)), 1000), Some(500));
        assert_eq!(limit.bytes_max(), Some(LEARNED_BYTES_MIN));
    }
}
