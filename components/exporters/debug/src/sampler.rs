//! Sampling per second: the first so many batches, then every so many-th.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const TICK: Duration = Duration::from_secs(1);

/// Decides which batches are written.
#[derive(Debug)]
pub struct Sampler {
    initial: u64,
    thereafter: u64,
    state: Mutex<(Option<Instant>, u64)>,
}

impl Sampler {
    /// Lets `initial` through in each second, then every `thereafter`-th; 0 means none.
    #[must_use]
    pub fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, state: Mutex::new((None, 0)) }
    }

    /// Whether the batch at hand is written.
    #[must_use]
    pub fn admits(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = &mut *state;
        if began.is_none_or(|began| now.duration_since(began) >= TICK) {
            (*began, *count) = (Some(now), 0);
        }
        *count += 1;
        let beyond = count.saturating_sub(self.initial);
        beyond == 0 || (self.thereafter > 0 && beyond % self.thereafter == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(sampler: &Sampler, count: usize) -> Vec<bool> {
        (0..count).map(|_| sampler.admits()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_pass_then_every_nth_and_every_second_begins_anew() {
        let sampler = Sampler::new(2, 3);
        let expected = [true, true, false, false, true, false, false, true];
        assert_eq!(admitted(&sampler, 8), expected);
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert!(!sampler.admits());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(admitted(&sampler, 3), [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_lets_all_pass_and_zero_none() {
        assert_eq!(admitted(&Sampler::new(0, 1), 4), [true; 4]);
        assert_eq!(admitted(&Sampler::new(1, 0), 4), [true, false, false, false]);
    }
}
