//! The `overload` extension: senses sustained CPU and memory pressure and steps through trim, thin, gate and refuse.
//!
//! From start to shutdown one task measures, judges, and writes what everybody reads (`component::pressure`, which says who
//! does what at which step). Its only own deed is the gate in front of all receivers. Left to others: shedding (samplers),
//! the words in which receivers refuse. It never touches telemetry, and holds nothing.
//!
//! Reading order: [`config`], [`probe`] (what the kernel says), [`rule`] (pressure to steps: the heart of it),
//! [`admission`] (which share of requests is let in), [`shown`] (metrics).

pub mod admission;
pub mod config;
pub mod probe;
pub mod rule;
pub mod shown;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::pressure::{Sensor, Source, Step};
use component::{
    BoxFuture, Component, Deadline, Extension, Factory, Health, Host, Settings, ShutdownError, StartError,
};
use pdata::Gate;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::admission::{Admission, Flow};
use crate::config::{Monitor, Monitors, OverloadConfig};
use crate::probe::{Measured, Place, Probe};
use crate::rule::Rule;
use crate::shown::{Pressures, Shown};

/// The factory of `overload` extensions, measuring this process.
#[must_use]
pub fn factory() -> Factory {
    factory_at(Place::default())
}

/// A factory whose extensions measure at `place`, for tests.
#[must_use]
pub fn factory_at(place: Place) -> Factory {
    Factory::extension("overload", move |settings, config: Arc<OverloadConfig>| {
        Ok(Arc::new(Overload::new(settings, config, place.clone())))
    })
}

/// The extension.
#[derive(Debug)]
pub struct Overload {
    settings: Settings,
    config: Arc<OverloadConfig>,
    place: Place,
    gate: Arc<Gate>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Overload {
    fn new(settings: Settings, config: Arc<OverloadConfig>, place: Place) -> Self {
        Self { settings, config, place, gate: Gate::new(usize::MAX), running: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component for Overload {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        let mut running = self.lock();
        if running.is_none() {
            if host.pressure().is_sensed() {
                tracing::info!(id = %self.settings.id, "takes the place of an overload extension that is at work");
            }
            *running = Some(tokio::spawn(Watch::new(self, host).run()));
        }
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        let task = self.lock().take();
        Box::pin(async move {
            if let Some(task) = task {
                task.abort();
                // Aborted on purpose; there is nothing to learn from the join.
                let _aborted = task.await;
            }
            self.gate.set_admitted(1.0, self.config.retry_after);
            Ok(())
        })
    }
}

impl Extension for Overload {
    fn admission_gate(&self) -> Option<Arc<Gate>> {
        Some(Arc::clone(&self.gate))
    }
}

/// What the task owns.
struct Watch {
    name: String,
    config: Arc<OverloadConfig>,
    host: Host,
    sensor: Sensor,
    gate: Arc<Gate>,
    shown: Shown,
    probe: Probe,
    rule: Rule,
    admission: Admission,
    step: Step,
}

impl Watch {
    fn new(extension: &Overload, host: &Host) -> Self {
        let (config, pressure) = (&extension.config, host.pressure());
        let probe = Probe::new(extension.place.clone());
        if config.monitors.cpu_stall.enabled && !probe.knows_stalls() {
            tracing::info!(
                id = %extension.settings.id,
                "`cpu_stall` is not watched: the process has no control group of its own whose stalls the kernel tells"
            );
        }
        Self {
            name: format!("extension `{}`", extension.settings.id),
            config: Arc::clone(config),
            host: host.clone(),
            rule: Rule::new(config, pressure.step(), pressure.value()),
            step: pressure.step(),
            sensor: pressure.sense(),
            gate: Arc::clone(&extension.gate),
            shown: Shown::new(&extension.settings.telemetry, &extension.gate),
            probe,
            admission: Admission::new(config),
        }
    }

    async fn run(mut self) {
        let started = Instant::now();
        let mut ticks = tokio::time::interval_at(started + self.config.interval, self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await.saturating_duration_since(started);
            self.round(now);
        }
    }

    fn round(&mut self, now: Duration) {
        let pressures = self.pressures(now);
        let (monitor, measured) = pressures.highest();
        let step = self.rule.judge(now, measured);
        let confirmed = self.rule.confirmed();
        let account = self.host.account();
        let flow = Flow { taken_bytes: account.taken(), held_bytes: account.held() as u64 };
        let share = self.admission.judge(now, step, confirmed, flow);
        self.gate.set_admitted(share, self.config.retry_after);
        let reading = self.rule.reading(self.admission.is_exhausted(confirmed));
        self.sensor.set(&reading);
        self.shown.set(pressures, &reading, share);
        if step != self.step {
            self.report(step, reading.value, monitor);
            self.step = step;
        }
    }

    /// The pressure by each monitor.
    fn pressures(&mut self, now: Duration) -> Pressures {
        let Monitors { memory, telemetry, cpu, cpu_stall, queue, trace_buffer } = &self.config.monitors;
        let measured: Measured = self.probe.measure(now, memory.low);
        let account = self.host.account();
        let held = account.held() as f64 / account.cap().max(1) as f64;
        let pressure = self.host.pressure();
        let found = [
            (memory, measured.memory),
            (telemetry, Some(held)),
            (cpu, measured.cpu),
            (cpu_stall, measured.cpu_stall),
            (queue, pressure.fullest(Source::Queue)),
            (trace_buffer, pressure.fullest(Source::TraceBuffer)),
        ];
        let known = |(monitor, share): (&Monitor, Option<f64>)| {
            share.filter(|_| monitor.enabled).map(|share| monitor.pressure(share))
        };
        Pressures(found.map(known))
    }

    fn report(&self, step: Step, pressure: f64, monitor: &'static str) {
        let (name, before) = (self.name.as_str(), self.step.as_str());
        let pressure = format!("{pressure:.2}");
        if step > self.step {
            tracing::warn!(name, %step, before, pressure, monitor, "overload: another step is taken");
        } else {
            tracing::info!(name, %step, before, pressure, "overload: a step is left");
        }
        let health = match step {
            Step::Calm => Health::Ok,
            step => Health::Recoverable(format!("overload: step `{step}`, pressure {pressure} by {monitor}")),
        };
        self.host.report_health(name, health);
    }
}
