//! How long to wait between attempts.
//!
//! In service: exponential with jitter, as the Collector does it, at least as long as the destination asked for. While
//! draining: short, because what is not delivered by the deadline is lost.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{RetryConfig, duration};

/// No delay is shorter, whatever the configuration says: a refusing destination is not asked in a tight loop.
const DELAY_MIN: Duration = Duration::from_millis(10);

/// Delays while draining: from, and at most.
const DRAIN_DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// With less than this left until the drain's deadline no further attempt is made.
const LAST_ATTEMPT: Duration = Duration::from_millis(20);

/// How failures are retried.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    enabled: bool,
    initial: Duration,
    jitter: f64,
    multiplier: f64,
    max: Duration,
    elapsed_max: Option<Duration>,
}

impl From<&RetryConfig> for Retry {
    fn from(config: &RetryConfig) -> Self {
        Self {
            enabled: config.enabled,
            initial: duration(config.initial_interval),
            jitter: config.randomization_factor.clamp(0.0, 1.0),
            multiplier: config.multiplier.max(0.0),
            max: duration(config.max_interval),
            elapsed_max: Some(duration(config.max_elapsed_time)).filter(|elapsed| !elapsed.is_zero()),
        }
    }
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// Retrying is off.
    Disabled,
    /// `max_elapsed_time` would pass.
    Exhausted,
    /// The sender's own deadline would pass.
    SenderDeadline,
}

impl GiveUp {
    /// How the error text begins.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Disabled => "sending failed and retrying is disabled",
            Self::Exhausted => "no more retries left",
            Self::SenderDeadline => "request will be cancelled before next retry",
        }
    }

    /// The reason in the ledger.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Disabled => "retry_disabled",
            Self::Exhausted | Self::SenderDeadline => "retries_exhausted",
        }
    }
}

/// The attempts of one request.
#[derive(Debug)]
pub(crate) struct Backoff<'a> {
    retry: &'a Retry,
    interval: Duration,
    drain_interval: Duration,
    is_draining: bool,
    started: Instant,
    sender_deadline: Option<Instant>,
}

impl<'a> Backoff<'a> {
    /// Counts from now; the first attempt is about to be made.
    pub(crate) fn new(retry: &'a Retry, sender_deadline: Option<Instant>) -> Self {
        let (interval, drain_interval) = (retry.initial, DRAIN_DELAY.0);
        Self { retry, interval, drain_interval, is_draining: false, started: Instant::now(), sender_deadline }
    }

    /// Draining has begun: from now on its deadline counts instead of `max_elapsed_time`.
    pub(crate) fn drain(&mut self) {
        self.is_draining = true;
    }

    /// The delay before the next attempt, at least what the destination `asked` for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Result<Duration, GiveUp> {
        if !self.retry.enabled {
            return Err(GiveUp::Disabled);
        }
        let delay = jittered(self.interval, self.retry.jitter).max(asked.unwrap_or_default()).max(DELAY_MIN);
        let grown = (self.interval.as_secs_f64() * self.retry.multiplier).min(self.retry.max.as_secs_f64());
        self.interval = Duration::try_from_secs_f64(grown).unwrap_or(self.retry.max);
        if self.is_draining {
            return match self.sender_deadline {
                Some(deadline) if Instant::now() + self.drain_interval > deadline => Err(GiveUp::SenderDeadline),
                _ => Ok(delay),
            };
        }
        let next = Instant::now().checked_add(delay);
        let passes = |limit: Instant| next.is_none_or(|next| next > limit);
        if self.retry.elapsed_max.and_then(|elapsed| self.started.checked_add(elapsed)).is_some_and(passes) {
            return Err(GiveUp::Exhausted);
        }
        if self.sender_deadline.is_some_and(passes) {
            return Err(GiveUp::SenderDeadline);
        }
        Ok(delay)
    }

    /// The delay while draining until `stop_at`; `None` when it is too late. What the destination `asked` for is
    /// respected while that leaves time, else halved into what is left: a last attempt is better than a loss.
    pub(crate) fn next_in_drain(&mut self, asked: Option<Duration>, stop_at: Instant) -> Option<Duration> {
        let left = stop_at.saturating_duration_since(Instant::now());
        if left < LAST_ATTEMPT {
            return None;
        }
        let delay = jittered(self.drain_interval, 0.5).max(asked.unwrap_or_default());
        self.drain_interval = (self.drain_interval * 2).min(DRAIN_DELAY.1);
        Some(if delay < left { delay } else { left / 2 })
    }
}

/// `delay` varied at random by up to `share` of itself, so that senders do not retry in step.
fn jittered(delay: Duration, share: f64) -> Duration {
    if share <= 0.0 {
        return delay;
    }
    // 53 random bits make a float in [0, 1).
    let random = (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64;
    Duration::try_from_secs_f64(delay.as_secs_f64() * (1.0 - share + 2.0 * share * random)).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::config::GoDuration;

    fn retry(yaml: &str) -> Retry {
        Retry::from(&::config::decode_str::<RetryConfig>(yaml).unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn delays_grow_to_the_maximum_and_end_before_the_elapsed_time_passes() {
        let retry = retry("{randomization_factor: 0, max_elapsed_time: 100s}");
        let mut backoff = Backoff::new(&retry, None);
        let mut delays = Vec::new();
        let give_up = loop {
            match backoff.next(None) {
                Ok(delay) => {
                    delays.push(GoDuration::from(delay).to_string());
                    tokio::time::advance(delay).await;
                }
                Err(give_up) => break give_up,
            }
        };
        assert_eq!(delays, ["5s", "7.5s", "11.25s", "16.875s", "25.3125s", "30s"]);
        assert_eq!(give_up, GiveUp::Exhausted);
    }

    #[tokio::test(start_paused = true)]
    async fn the_destinations_delay_counts_when_it_is_longer() {
        let retry = retry("randomization_factor: 0");
        let mut backoff = Backoff::new(&retry, None);
        assert_eq!(backoff.next(Some(Duration::from_secs(1))), Ok(Duration::from_secs(5)));
        assert_eq!(backoff.next(Some(Duration::from_secs(60))), Ok(Duration::from_secs(60)));
        assert_eq!(backoff.next(Some(Duration::from_secs(301))), Err(GiveUp::Exhausted));
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_stays_within_its_share() {
        let retry = retry("{multiplier: 1, max_elapsed_time: 0}");
        let mut backoff = Backoff::new(&retry, None);
        let delays: Vec<f64> = (0..200).map(|_| backoff.next(None).unwrap().as_secs_f64()).collect();
        assert!(delays.iter().all(|delay| (2.5..=7.5).contains(delay)), "{delays:?}");
        assert!(delays.iter().any(|delay| *delay < 4.0) && delays.iter().any(|delay| *delay > 6.0), "{delays:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn zero_intervals_do_not_make_a_tight_loop_and_off_means_off() {
        let retry_always = retry("{initial_interval: 0s, max_interval: 0s, max_elapsed_time: 0}");
        assert_eq!(Backoff::new(&retry_always, None).next(None), Ok(DELAY_MIN));
        assert_eq!(Backoff::new(&retry("enabled: false"), None).next(None), Err(GiveUp::Disabled));
        let deadline = Instant::now() + Duration::from_secs(1);
        assert_eq!(Backoff::new(&retry("{}"), Some(deadline)).next(None), Err(GiveUp::SenderDeadline));
    }

    #[tokio::test(start_paused = true)]
    async fn the_elapsed_time_does_not_count_while_draining() {
        let retry = retry("{max_elapsed_time: 30s, randomization_factor: 0}");
        let mut backoff = Backoff::new(&retry, None);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(backoff.next(None), Err(GiveUp::Exhausted));
        backoff.drain();
        assert!(backoff.next(None).is_ok());
        let mut backoff = Backoff::new(&retry, Some(Instant::now() + Duration::from_millis(10)));
        backoff.drain();
        assert_eq!(backoff.next(None), Err(GiveUp::SenderDeadline));
    }

    #[tokio::test(start_paused = true)]
    async fn draining_is_quick_and_keeps_a_last_attempt() {
        let retry = retry("{}");
        let mut backoff = Backoff::new(&retry, None);
        let stop_at = Instant::now() + Duration::from_secs(10);
        assert!(backoff.next_in_drain(None, stop_at).unwrap() <= Duration::from_millis(75));
        assert_eq!(backoff.next_in_drain(Some(Duration::from_secs(3)), stop_at), Some(Duration::from_secs(3)));
        assert_eq!(backoff.next_in_drain(Some(Duration::from_secs(60)), stop_at), Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_millis(9985)).await;
        assert_eq!(backoff.next_in_drain(None, stop_at), None);
    }
}
