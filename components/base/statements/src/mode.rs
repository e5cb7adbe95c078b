//! What follows when a statement or condition fails on a record.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use component::telemetry::Metric;
use component::{Counter, Level, Settings, Telemetry};
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

/// How often failures of one statement are told about.
const INTERVAL: Duration = Duration::from_secs(10);

const FAILURES: Metric = Metric {
    name: "weir_statement_failures",
    help: "Records on which a statement or condition failed, by its place in the component's configuration",
    unit: "{records}",
    level: Level::Basic,
};

/// A statement or condition with its place in the configuration, and what is known of its failures.
#[derive(Debug)]
pub struct Placed<T> {
    what: T,
    /// `log_statements[0].statements[2]`.
    place: String,
    counter: OnceLock<Counter>,
    /// Failures since the last message.
    silent: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl<T> Placed<T> {
    /// At a setting, which is a path from the component's block: `log_statements::0::statements::2`.
    #[must_use]
    pub fn new(what: T, field: &str) -> Self {
        let mut place = String::new();
        for segment in field.split("::") {
            if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
                place.extend(["[", segment, "]"]);
            } else {
                place.extend([if place.is_empty() { "" } else { "." }, segment]);
            }
        }
        Self { what, place, counter: OnceLock::new(), silent: AtomicU64::new(0), last: Mutex::new(None) }
    }

    /// Whether a failure is to be told about, and then how many were not since the last that was.
    fn is_due(&self, now: Instant) -> Option<u64> {
        // Whoever does not get the lock is one of many at this moment.
        let is_due = self.last.try_lock().is_ok_and(|mut last| {
            let is_due = last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
            if is_due {
                *last = Some(now);
            }
            is_due
        });
        if is_due {
            return Some(self.silent.swap(0, Ordering::Relaxed));
        }
        self.silent.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// Counts the failures of a component's statements, and tells about them: of each statement the first at once, then at
/// most one in ten seconds with how many there were meanwhile.
#[derive(Debug)]
pub struct Failures {
    component: String,
    telemetry: Telemetry,
}

impl Failures {
    /// Of a component.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { component: settings.id.to_string(), telemetry: settings.telemetry.clone() }
    }

    /// What follows from a failure of a statement with that text.
    ///
    /// # Errors
    /// What refuses the batch, where the mode says so.
    #[cold]
    pub fn meet<T>(&self, mode: ErrorMode, of: &Placed<T>, text: &str, error: &RunError) -> Result<(), String> {
        of.counter.get_or_init(|| self.telemetry.counter(FAILURES, &[("statement", &of.place)])).add(1);
        match mode {
            ErrorMode::Silent => Ok(()),
            ErrorMode::Propagate => Err(format!("`{text}` failed: {error}")),
            ErrorMode::Ignore => {
                if let Some(more) = of.is_due(Instant::now()) {
                    let (component, place) = (&self.component, &of.place);
                    tracing::warn!(%component, %place, statement = text, %error, more, "statement failed, data unchanged by it");
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_is_told_about_for_itself() {
        let (first, second) = (Placed::new((), "log_statements::0"), Placed::new((), "log_statements::1"));
        let start = Instant::now();
        assert_eq!(first.is_due(start), Some(0));
        assert_eq!(first.is_due(start), None);
        assert_eq!(first.is_due(start + INTERVAL / 2), None);
        assert_eq!(second.is_due(start + INTERVAL / 2), Some(0), "another statement is not held back");
        assert_eq!(first.is_due(start + INTERVAL), Some(2));
        assert_eq!(second.is_due(start + INTERVAL), None);
    }

    #[test]
    fn places_are_written_as_people_do() {
        for (field, place) in [
            ("log_statements::0::statements::12", "log_statements[0].statements[12]"),
            (
                "policies::3::and::and_sub_policy::0::ottl_condition::span::1",
                "policies[3].and.and_sub_policy[0].ottl_condition.span[1]",
            ),
            ("table::0::condition", "table[0].condition"),
        ] {
            assert_eq!(Placed::new((), field).place, place);
        }
    }
}
