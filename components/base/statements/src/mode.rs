//! What follows when a statement or condition fails on a record.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use config::Config;
use ottl::RunError;

/// What follows when a statement or condition fails on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum ErrorMode {
    /// The failure is logged, and the next statement follows; a condition that failed does not hold.
    #[config(default)]
    Ignore,
    /// The same without a log.
    Silent,
    /// The batch is refused for good.
    Propagate,
}

/// How often failures are told about.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells about failures: the first at once, then at most one in ten seconds with how many there were meanwhile.
#[derive(Debug)]
pub struct Failures {
    component: String,
    silent: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Failures {
    /// Of a component.
    #[must_use]
    pub fn new(component: impl Into<String>) -> Self {
        Self { component: component.into(), silent: AtomicU64::new(0), last: Mutex::new(None) }
    }

    /// What follows from a failure of `text`.
    ///
    /// # Errors
    /// What refuses the batch, where the mode says so.
    #[cold]
    pub fn meet(&self, mode: ErrorMode, text: &str, error: &RunError) -> Result<(), String> {
        match mode {
            ErrorMode::Silent => Ok(()),
            ErrorMode::Propagate => Err(format!("`{text}` failed: {error}")),
            ErrorMode::Ignore => {
                self.tell(text, error);
                Ok(())
            }
        }
    }

    fn tell(&self, text: &str, error: &RunError) {
        let now = Instant::now();
        // Whoever does not get the lock is one of many at this moment.
        let is_due = self.last.try_lock().is_ok_and(|mut last| {
            let is_due = last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
            if is_due {
                *last = Some(now);
            }
            is_due
        });
        if is_due {
            let more = self.silent.swap(0, Ordering::Relaxed);
            tracing::warn!(component = %self.component, statement = text, %error, more, "statement failed, data unchanged by it");
        } else {
            self.silent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
