//! What the user writes.

use std::time::Duration;

use config::{Config, Validator};

/// Where a monitor's pressure begins and where it is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Config)]
pub struct Monitor {
    /// Whether it counts.
    #[config(default = true)]
    pub enabled: bool,
    /// Share up to which there is no pressure, 0 to 1.
    pub low: f64,
    /// Share from which on the pressure is 1; above `low`.
    pub high: f64,
}

impl Monitor {
    const fn between(low: f64, high: f64) -> Self {
        Self { enabled: true, low, high }
    }

    /// The pressure, 0 to 1, that `measured` means; 0 if it does not count.
    #[must_use]
    pub fn pressure(&self, measured: f64) -> f64 {
        if !self.enabled || measured.is_nan() {
            return 0.0;
        }
        ((measured - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Config)]
pub struct Monitors {
    /// Memory in use (file cache that can go excepted) of the control group's limit; without a limit, resident memory of the
    /// process of the machine's memory.
    #[config(default = Monitor::between(0.7, 0.92))]
    pub memory: Monitor,
    /// Telemetry in memory of what may be.
    #[config(default = Monitor::between(0.7, 1.0))]
    pub telemetry: Monitor,
    /// CPU time of the process in the last second, of what its threads and its control group's quota allow.
    #[config(default = Monitor::between(0.8, 0.98))]
    pub cpu: Monitor,
    /// Time in which something waited for a CPU (`some avg10` of the kernel's pressure stall information) in the process's own
    /// control group (version 2, not the root). Without one it is not watched: neighbours cause the machine's.
    #[config(default = Monitor::between(0.1, 0.6))]
    pub cpu_stall: Monitor,
    /// The fullest sending queue. Disabled unless enabled: a destination that is gone fills its queue for as long as it is
    /// gone, and would make everything else suffer.
    #[config(default = Monitor { enabled: false, ..Monitor::between(0.5, 0.95) })]
    pub queue: Monitor,
    /// The fullest buffer of waiting traces, of its budget.
    #[config(default = Monitor::between(0.7, 1.0))]
    pub trace_buffer: Monitor,
}

/// Pressures, 0 to 1, from which on each step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Config)]
pub struct Steps {
    /// Cut costs that lose nothing.
    #[config(default = 0.35)]
    pub trim: f64,
    /// Keep less of the random baseline.
    #[config(default = 0.55)]
    pub thin: f64,
    /// Do not buffer what the baseline would not keep; drop log records below INFO.
    #[config(default = 0.8)]
    pub gate: f64,
    /// Refuse requests.
    #[config(default = 0.97)]
    pub refuse: f64,
}

/// How often the kept share of a class is halved between the step `thin` and a pressure of 1.
#[derive(Clone, Copy, Debug, PartialEq, Config)]
pub struct Halvings {
    /// Log records below INFO.
    #[config(default = 10.0)]
    pub debug: f64,
    /// Everything else.
    #[config(default = 5.0)]
    pub normal: f64,
    /// Errors, slow spans, what asks to be kept: only while requests are refused, as many as may be, and that does not help.
    #[config(default = 1.0)]
    pub critical: f64,
}

/// Senses CPU and memory pressure and steps through trim, thin, gate, refuse.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = OverloadConfig::check)]
pub struct OverloadConfig {
    /// Time between measurements, 10ms to 10s.
    #[config(default = Duration::from_millis(100))]
    pub interval: Duration,
    /// What is watched, and from where to where each counts.
    pub monitors: Monitors,
    /// Pressures from which on each step is taken.
    pub steps: Steps,
    /// How far the pressure must be below a step's before the step is left.
    #[config(default = 0.15)]
    pub hysteresis: f64,
    /// Least time before a step is left.
    #[config(default = Duration::from_secs(10))]
    pub dwell: Duration,
    /// Time in which pressure that is over is remembered by half.
    #[config(default = Duration::from_secs(10))]
    pub half_life: Duration,
    /// How much less of each class is kept.
    pub halvings: Halvings,
    /// Share of requests that is let in at least, above 0 to 1.
    #[config(default = 0.1)]
    pub admitted_min: f64,
    /// What refused senders are told to wait, ±50 %.
    #[config(default = Duration::from_secs(2))]
    pub retry_after: Duration,
}

impl OverloadConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&self.interval) {
            v.error("interval", format!("`interval` must be 10ms to 10s, got {:?}", self.interval));
        }
        let Monitors { memory, telemetry, cpu, cpu_stall, queue, trace_buffer } = &self.monitors;
        let monitors = [
            ("memory", memory),
            ("telemetry", telemetry),
            ("cpu", cpu),
            ("cpu_stall", cpu_stall),
            ("queue", queue),
            ("trace_buffer", trace_buffer),
        ];
        for (name, Monitor { low, high, .. }) in monitors {
            if !(0.0..1.0).contains(low) || !(0.0..=1.0).contains(high) || low >= high {
                let message =
                    format!("`low` and `high` must be shares of 0 to 1, `low` the lower; got {low} and {high}");
                v.error(&format!("monitors::{name}"), message);
            }
        }
        if monitors.iter().all(|(_, monitor)| !monitor.enabled) {
            v.error("monitors", "every monitor is disabled, so nothing would ever be sensed");
        }
        let Steps { trim, thin, gate, refuse } = self.steps;
        if !(0.0 < trim && trim < thin && thin < gate && gate < refuse && refuse <= 1.0) {
            let message = format!(
                "steps must rise from trim over thin and gate to refuse, above 0 to 1; got {trim}, {thin}, {gate}, {refuse}"
            );
            v.error("steps", message);
        }
        if !(self.hysteresis > 0.0 && self.hysteresis < trim) {
            let message =
                format!("`hysteresis` must be above 0 and below `steps::trim` ({trim}), got {}", self.hysteresis);
            v.error("hysteresis", message);
        }
        if self.half_life.is_zero() {
            v.error("half_life", "`half_life` must be above 0s");
        }
        let Halvings { debug, normal, critical } = self.halvings;
        for (name, halvings) in [("debug", debug), ("normal", normal), ("critical", critical)] {
            if !(0.0..=50.0).contains(&halvings) {
                v.error(&format!("halvings::{name}"), format!("`{name}` must be 0 to 50, got {halvings}"));
            }
        }
        if !(self.admitted_min > 0.0 && self.admitted_min <= 1.0) {
            let message = format!("`admitted_min` must be above 0 and at most 1, got {}", self.admitted_min);
            v.error("admitted_min", message);
        }
    }
}
