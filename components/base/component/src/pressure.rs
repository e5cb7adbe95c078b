//! How short the machine is of CPU and memory, and what everybody does about it: the degraded mode.
//!
//! An extension (`overload`) measures and writes here; components read, in one relaxed load, and act by themselves.
//! Without such an extension the [`Step`] is [`Step::Calm`] for ever and nothing is shed.
//!
//! # Who does what
//! Steps include those before them. "Shed" means dropped, with a reason in the books and counted by [`Shed`].
//!
//! | step | what is done | by whom |
//! |---|---|---|
//! | [`Trim`](Step::Trim) | what costs but loses nothing: decide sooner (after a third of the waiting time), begin no own traces | stateful samplers, own telemetry |
//! | [`Thin`](Step::Thin) | the random baseline is kept with less probability: an item or trace that only chance would keep is kept when its randomness reaches `max(its threshold, rejected(class))`, and carries that threshold | samplers |
//! | [`Gate`](Step::Gate) | traces that are new and whose randomness is below [`Pressure::rejected`] of [`Class::Normal`] are settled as they arrive, without being buffered: spans that a rule keeps by themselves are kept alone, the others shed; logs of [`Class::Debug`] are shed | stateful samplers, samplers of logs |
//! | [`Refuse`](Step::Refuse) | a share of requests is refused before the body is read, retryable and with a delay | receivers, by the extension's [`admission_gate`](crate::Extension::admission_gate) |
//!
//! Weights at the gate: a span that a rule keeps by itself is kept on both sides and carries what it did; every other span of a
//! trace that began then is kept only above, and carries at least the gate's threshold, whatever its trace is kept for.
//!
//! Of the classes, [`Class::Debug`] goes first and [`Class::Critical`] last: [`Pressure::rejected`] of the latter is 0 unless
//! refusing alone does not help any more. The class must be known of the item by itself, or of the trace as it is decided
//! on. An item that asks to be kept (`sampling.priority`) is [`Class::Critical`]. Thresholds only rise by this, so
//! adjusted counts stay right; and since they are the same for all samplers of a process, the sets that they keep nest.
//!
//! Never shed: redaction, authentication, what is counted. A component that redacts does not look here.
//!
//! # What components tell
//! Whoever buffers reports how full it is ([`Pressure::report`]); the extension weighs that with its own measurements.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use pdata::Signal;
use tokio::sync::watch;

use crate::telemetry::{Counter, Level, Metric, Telemetry};

/// How far the degraded mode goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// Not degraded.
    #[default]
    Calm,
    /// Costs that lose nothing are cut.
    Trim,
    /// The random baseline gets smaller.
    Thin,
    /// What the baseline would not keep is not buffered.
    Gate,
    /// Requests are refused.
    Refuse,
}

impl Step {
    /// All of them, calm first.
    pub const ALL: [Self; 5] = [Self::Calm, Self::Trim, Self::Thin, Self::Gate, Self::Refuse];

    /// `calm`, `trim`, `thin`, `gate`, `refuse`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Trim => "trim",
            Self::Thin => "thin",
            Self::Gate => "gate",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much an item would be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Log records below INFO (severity numbers 1 to 8).
    Debug,
    /// Everything else.
    Normal,
    /// Errors (spans of that status, log records from ERROR on), spans of a second and more, and what asks to be kept.
    Critical,
}

impl Class {
    /// All of them, the first to go first.
    pub const ALL: [Self; 3] = [Self::Debug, Self::Normal, Self::Critical];

    /// `debug`, `normal`, `critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }
}

/// What components report about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// How full a sending queue is.
    Queue,
    /// How full the buffer of waiting traces is.
    TraceBuffer,
}

/// What the extension decided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The step.
    pub step: Step,
    /// The pressure behind it, 0 to 1, as smoothed.
    pub value: f64,
    /// For each class, of how many of 2^56 equal parts of randomness the lowest are rejected.
    pub rejected: [u64; Class::ALL.len()],
}

type Fill = dyn Fn() -> f64 + Send + Sync;

/// The degraded mode of the process. One per registry; see the module's head.
pub struct Pressure {
    step: AtomicU8,
    /// Bits of an `f64`.
    value: AtomicU64,
    rejected: [AtomicU64; Class::ALL.len()],
    steps: watch::Sender<Step>,
    reports: Mutex<Vec<(Source, Weak<Fill>)>>,
    /// The number of the sensor that writes; 0 if there is none.
    sensor: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    given: u64,
    taken: Option<u64>,
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            step: AtomicU8::new(0),
            value: AtomicU64::new(0),
            rejected: Default::default(),
            steps: watch::Sender::new(Step::Calm),
            reports: Mutex::default(),
            sensor: Mutex::default(),
        }
    }
}

impl fmt::Debug for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pressure").field("step", &self.step()).field("value", &self.value()).finish_non_exhaustive()
    }
}

impl Pressure {
    /// How far the degraded mode goes now.
    #[must_use]
    pub fn step(&self) -> Step {
        Step::ALL.get(usize::from(self.step.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// The pressure behind it: 0 for none, 1 for all there is.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }

    /// The least threshold, in parts of 2^56, that items of `class` have to reach with their randomness where nothing but
    /// chance would keep them; 0 while none has to.
    #[must_use]
    pub fn rejected(&self, class: Class) -> u64 {
        match (class, &self.rejected) {
            (Class::Debug, [debug, _, _]) => debug.load(Ordering::Relaxed),
            (Class::Normal, [_, normal, _]) => normal.load(Ordering::Relaxed),
            (Class::Critical, [_, _, critical]) => critical.load(Ordering::Relaxed),
        }
    }

    /// Tells when the step changes, for tasks that wait.
    #[must_use]
    pub fn steps(&self) -> watch::Receiver<Step> {
        self.steps.subscribe()
    }

    /// Whether an extension measures.
    #[must_use]
    pub fn is_sensed(&self) -> bool {
        self.seats().taken.is_some()
    }

    /// Reports how full something is: `fill` gives 0 for empty to 1 for full, quickly and without waiting; it is asked up
    /// to ten times a second. The report ends when the guard is dropped.
    pub fn report(&self, source: Source, fill: impl Fn() -> f64 + Send + Sync + 'static) -> Reported {
        let fill: Arc<Fill> = Arc::new(fill);
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.retain(|(_, report)| report.strong_count() > 0);
        reports.push((source, Arc::downgrade(&fill)));
        Reported(fill)
    }

    /// The fullest of what is reported; `None` if nothing is.
    #[must_use]
    pub fn fullest(&self, source: Source) -> Option<f64> {
        // A report may take other locks, so it is asked after this one is released.
        let live: Vec<Arc<Fill>> = {
            let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.iter().filter(|(of, _)| *of == source).filter_map(|(_, report)| report.upgrade()).collect()
        };
        live.iter().map(|fill| fill()).max_by(f64::total_cmp)
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.sensor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of who measures, for the extension. Whoever had it before is not heard any more.
    pub fn sense(self: &Arc<Self>) -> Sensor {
        let mut seats = self.seats();
        seats.given += 1;
        seats.taken = Some(seats.given);
        Sensor { pressure: Arc::clone(self), seat: seats.given }
    }

    fn store(&self, reading: &Reading) {
        for (stored, rejected) in self.rejected.iter().zip(reading.rejected) {
            stored.store(rejected, Ordering::Relaxed);
        }
        self.value.store(reading.value.to_bits(), Ordering::Relaxed);
        self.step.store(reading.step as u8, Ordering::Relaxed);
        self.steps.send_if_modified(|step| std::mem::replace(step, reading.step) != reading.step);
    }
}

/// Writes the degraded mode. When the last one is dropped, all is calm.
#[derive(Debug)]
pub struct Sensor {
    pressure: Arc<Pressure>,
    seat: u64,
}

impl Sensor {
    /// Sets what everybody reads. Does nothing once another has taken the place.
    pub fn set(&self, reading: &Reading) {
        let seats = self.pressure.seats();
        if seats.taken == Some(self.seat) {
            self.pressure.store(reading);
        }
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let mut seats = self.pressure.seats();
        if seats.taken == Some(self.seat) {
            seats.taken = None;
            self.pressure.store(&Reading::default());
        }
    }
}

/// Keeps a report alive; dropping it ends it.
#[must_use = "a report lives as long as its registration"]
pub struct Reported(#[expect(dead_code, reason = "held for its drop")] Arc<Fill>);

impl fmt::Debug for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reported")
    }
}

/// Items that the degraded mode cost, by signal, class and reason (how: `thinned`, `gated`).
pub const SHED_ITEMS: Metric = Metric {
    name: "weir_overload_shed_items",
    help: "Items dropped by the degraded mode: thinned would have been kept otherwise, gated might have been.",
    unit: "{items}",
    level: Level::Basic,
};

/// A component's counters of [`SHED_ITEMS`]. Series appear with the first item, so that they cost nothing before.
#[derive(Debug)]
pub struct Shed {
    telemetry: Telemetry,
    signal: Signal,
    reason: &'static str,
    counters: [OnceLock<Counter>; Class::ALL.len()],
}

impl Shed {
    /// Counters for `signal` and `reason`.
    #[must_use]
    pub fn new(telemetry: &Telemetry, signal: Signal, reason: &'static str) -> Self {
        Self { telemetry: telemetry.clone(), signal, reason, counters: Default::default() }
    }

    /// Counts `items` of `class`.
    pub fn add(&self, class: Class, items: u64) {
        let Some(counter) = self.counters.get(class as usize).filter(|_| items > 0) else { return };
        let series = || {
            let labels = [("signal", self.signal.as_str()), ("class", class.as_str()), ("reason", self.reason)];
            self.telemetry.counter(SHED_ITEMS, &labels)
        };
        counter.get_or_init(series).add(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIN: Reading = Reading { step: Step::Thin, value: 0.6, rejected: [3, 2, 1] };

    #[tokio::test]
    async fn readers_see_what_the_last_sensor_says_until_it_goes() {
        let pressure = Arc::new(Pressure::default());
        let mut steps = pressure.steps();
        assert_eq!((pressure.step(), pressure.is_sensed()), (Step::Calm, false));
        let first = pressure.sense();
        first.set(&THIN);
        assert!(steps.has_changed().unwrap());
        assert_eq!(*steps.borrow_and_update(), Step::Thin);
        assert_eq!(Class::ALL.map(|class| pressure.rejected(class)), THIN.rejected);
        assert!((pressure.value() - 0.6).abs() < 1e-9);
        first.set(&Reading { value: 0.7, ..THIN });
        assert!(!steps.has_changed().unwrap(), "the step is the same");
        let second = pressure.sense();
        assert_eq!(pressure.step(), Step::Thin, "until it says something else");
        second.set(&Reading { step: Step::Gate, ..THIN });
        first.set(&THIN);
        drop(first);
        assert_eq!((pressure.step(), pressure.is_sensed()), (Step::Gate, true), "the first is not heard any more");
        drop(second);
        assert_eq!((pressure.step(), pressure.is_sensed()), (Step::Calm, false));
        assert_eq!(pressure.rejected(Class::Debug), 0);
    }

    #[test]
    fn the_fullest_of_a_source_counts_while_it_reports() {
        let pressure = Pressure::default();
        assert_eq!(pressure.fullest(Source::Queue), None);
        let half = pressure.report(Source::Queue, || 0.5);
        let full = pressure.report(Source::Queue, || 1.0);
        let _other = pressure.report(Source::TraceBuffer, || 0.1);
        assert_eq!(pressure.fullest(Source::Queue), Some(1.0));
        drop(full);
        assert_eq!(pressure.fullest(Source::Queue), Some(0.5));
        drop(half);
        assert_eq!(pressure.fullest(Source::Queue), None);
    }

    #[test]
    fn series_of_what_is_shed_appear_with_the_first_item() {
        let telemetry = Telemetry::detached();
        let shed = Shed::new(&telemetry, Signal::Logs, "thinned");
        shed.add(Class::Normal, 0);
        assert!(telemetry.registry().read().is_empty());
        shed.add(Class::Normal, 2);
        shed.add(Class::Normal, 3);
        let labels = [("signal", "logs"), ("class", "normal"), ("reason", "thinned")];
        assert_eq!(telemetry.counter(SHED_ITEMS, &labels).get(), 5);
    }
}
