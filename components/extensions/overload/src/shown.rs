//! The extension's own metrics.

use std::sync::{Arc, Mutex, PoisonError};

use component::pressure::{Class, Reading};
use component::telemetry::{Labels, Metric, MetricKind, Observer};
use component::{Level, Telemetry};
use pdata::Gate;

use crate::rule;

/// Names of the monitors, in the order of [`Pressures`].
pub const MONITORS: [&str; 6] = ["memory", "telemetry", "cpu", "cpu_stall", "queue", "trace_buffer"];

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Basic }
}

const PRESSURE: Metric = metric("weir_overload_pressure", "Pressure by monitor, 0 to 1.", "1");
const SMOOTHED: Metric =
    metric("weir_overload_smoothed_pressure", "The highest pressure, remembered with a half-life, 0 to 1.", "1");
const STEP: Metric = metric("weir_overload_degraded_level", "0 calm, 1 trim, 2 thin, 3 gate, 4 refuse.", "{level}");
const KEPT: Metric = metric(
    "weir_overload_effective_probability",
    "Share that is kept at most of what only chance would keep, by class.",
    "1",
);
const ADMITTED: Metric = metric("weir_overload_admitted_share", "Share of requests that is let in.", "1");
const REFUSED: Metric =
    metric("weir_overload_refused_requests", "Requests refused before their body was read.", "{requests}");

/// The pressure by each monitor, 0 to 1; `None` where nothing is known or the monitor is disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressures(pub [Option<f64>; MONITORS.len()]);

impl Pressures {
    /// The highest, and by which monitor.
    #[must_use]
    pub fn highest(&self) -> (&'static str, f64) {
        let known = MONITORS.into_iter().zip(self.0).filter_map(|(name, pressure)| Some((name, pressure?)));
        known.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or(("nothing", 0.0))
    }
}

/// A further label, if there is one, and a value.
type Series = (Option<(&'static str, &'static str)>, f64);

#[derive(Debug)]
struct State {
    pressures: Pressures,
    reading: Reading,
    share: f64,
}

/// What is shown, for as long as it lives.
#[derive(Debug)]
pub struct Shown {
    state: Arc<Mutex<State>>,
    _observers: [Observer; 6],
}

impl Shown {
    /// Shows that all is calm, and the requests that `gate` refuses.
    #[must_use]
    pub fn new(telemetry: &Telemetry, gate: &Arc<Gate>) -> Self {
        let state = State { pressures: Pressures::default(), reading: Reading::default(), share: 1.0 };
        let state = Arc::new(Mutex::new(state));
        let observe = |metric, read: fn(&State) -> Vec<Series>| {
            let (state, labels) = (Arc::clone(&state), telemetry.clone());
            telemetry.registry().observe(metric, MetricKind::Gauge, move || {
                let series = read(&state.lock().unwrap_or_else(PoisonError::into_inner));
                series.into_iter().map(|(label, value)| (labels.labels(label.as_slice()), value)).collect()
            })
        };
        let (labels, gate): (Labels, _) = (telemetry.labels(&[]), Arc::clone(gate));
        let refused = telemetry
            .registry()
            .observe(REFUSED, MetricKind::Counter, move || vec![(labels.clone(), gate.refused_requests() as f64)]);
        let observers = [
            observe(PRESSURE, |state| {
                let known = MONITORS.into_iter().zip(state.pressures.0);
                known.filter_map(|(name, pressure)| Some((Some(("monitor", name)), pressure?))).collect()
            }),
            observe(SMOOTHED, |state| vec![(None, state.reading.value)]),
            observe(STEP, |state| vec![(None, f64::from(state.reading.step as u8))]),
            observe(KEPT, |state| {
                let shares = Class::ALL.into_iter().zip(rule::kept_shares(&state.reading));
                shares.map(|(class, share)| (Some(("class", class.as_str())), share)).collect()
            }),
            observe(ADMITTED, |state| vec![(None, state.share)]),
            refused,
        ];
        Self { state, _observers: observers }
    }

    /// Shows the outcome of a round.
    pub fn set(&self, pressures: Pressures, reading: &Reading, share: f64) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { pressures, reading: *reading, share };
    }
}
