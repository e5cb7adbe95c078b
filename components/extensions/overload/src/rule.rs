//! From pressure to steps: pure, with the time as an argument.
//!
//! Pressure attacks at once and is released with a half-life. Two measurements have to agree before it counts, so that a
//! blip of one interval does nothing and a flash crowd is answered after two. A step is taken as soon as the pressure
//! reaches it, at most one rise a second, and left when the pressure is [`hysteresis`](OverloadConfig::hysteresis) below
//! it, and has been so without its memory for the [`dwell`](OverloadConfig::dwell): two changes are further apart than what
//! they cause takes to be seen. On the way down `trim` is passed over when nothing but memory holds it.

use std::time::Duration;

use component::pressure::{Class, Reading, Step};
use sampling::Threshold;

use crate::config::OverloadConfig;

/// Least time between two rises: what is seen of a crowd at first is not all of it.
const SETTLING: Duration = Duration::from_secs(1);

/// Hexadecimal digits of thresholds: enough for the shares meant here, and short in every tracestate.
const PRECISION: u32 = 2;

/// See the module's head. Times are since any one instant.
#[derive(Debug)]
pub struct Rule {
    config: OverloadConfig,
    step: Step,
    /// The smoothed pressure.
    value: f64,
    measured_before: f64,
    confirmed: f64,
    judged: Option<Duration>,
    /// When the step was last taken, or the pressure by itself was last too high to leave it.
    needed: Duration,
    /// When the pressure by itself was last too high to leave the first step.
    pressed: Duration,
    risen: Option<Duration>,
}

impl Rule {
    /// A rule that goes on from `step` and `value` (0 to 1), those of whoever measured before.
    #[must_use]
    pub fn new(config: &OverloadConfig, step: Step, value: f64) -> Self {
        Self {
            config: config.clone(),
            step,
            value,
            measured_before: value,
            confirmed: value,
            judged: None,
            needed: Duration::ZERO,
            pressed: Duration::ZERO,
            risen: None,
        }
    }

    fn enters(&self, step: Step) -> f64 {
        let steps = &self.config.steps;
        match step {
            Step::Calm => f64::NEG_INFINITY,
            Step::Trim => steps.trim,
            Step::Thin => steps.thin,
            Step::Gate => steps.gate,
            Step::Refuse => steps.refuse,
        }
    }

    /// The pressure of the last two measurements that counts, as it is, not smoothed.
    #[must_use]
    pub fn confirmed(&self) -> f64 {
        self.confirmed
    }

    /// Takes a measurement of the pressure, 0 to 1, at `now`; the step from now on.
    pub fn judge(&mut self, now: Duration, measured: f64) -> Step {
        let pressure = measured.min(self.measured_before);
        (self.measured_before, self.confirmed) = (measured, pressure);
        let elapsed = now.saturating_sub(self.judged.unwrap_or(now));
        self.judged = Some(now);
        if pressure >= self.value {
            self.value = pressure;
        } else {
            let kept = (-elapsed.as_secs_f64() / self.config.half_life.as_secs_f64()).exp2();
            self.value = pressure + (self.value - pressure) * kept;
        }
        let reached = Step::ALL.into_iter().rev().find(|step| self.value >= self.enters(*step)).unwrap_or_default();
        let has_settled = self.risen.is_none_or(|risen| now.saturating_sub(risen) >= SETTLING);
        let leaves = self.enters(self.step) - self.config.hysteresis;
        if pressure >= leaves {
            self.needed = now;
        }
        if pressure >= self.enters(Step::Trim) - self.config.hysteresis {
            self.pressed = now;
        }
        let has_dwelt = now.saturating_sub(self.needed) >= self.config.dwell;
        if reached > self.step && has_settled {
            self.risen = Some(now);
        } else if !(reached < self.step && has_dwelt && self.value < leaves) {
            return self.step;
        }
        let is_over = reached == Step::Trim && now.saturating_sub(self.pressed) >= self.config.dwell;
        self.step = if is_over { Step::Calm } else { reached };
        self.needed = now;
        self.step
    }

    /// What everybody is to read. `is_last_resort` says that as few requests are let in as may be, and that it does not help.
    #[must_use]
    pub fn reading(&self, is_last_resort: bool) -> Reading {
        let thin = self.config.steps.thin;
        let reach = if thin < 1.0 { ((self.value - thin) / (1.0 - thin)).clamp(0.0, 1.0) } else { 0.0 };
        let halvings = &self.config.halvings;
        let rejected = Class::ALL.map(|class| {
            let halvings = match class {
                Class::Debug if self.step >= Step::Gate => return Threshold::NEVER.rejected(),
                Class::Debug => halvings.debug,
                Class::Normal => halvings.normal,
                Class::Critical if is_last_resort && self.step == Step::Refuse => halvings.critical,
                Class::Critical => return 0,
            };
            if self.step < Step::Thin {
                return 0;
            }
            // Cannot fail: at most 50 halvings.
            Threshold::of_probability((-halvings * reach).exp2(), PRECISION).unwrap_or(Threshold::NEVER).rejected()
        });
        Reading { step: self.step, value: self.value, rejected }
    }
}

/// Shares of items of each class that are kept, of a reading.
#[must_use]
pub fn kept_shares(reading: &Reading) -> [f64; Class::ALL.len()] {
    reading.rejected.map(|rejected| Threshold::rejecting(rejected).probability())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of a rule over measurements every 100 ms: those that begin at the given interval, with its number.
    fn changes(pressures: impl IntoIterator<Item = f64>) -> Vec<(usize, Step)> {
        let mut rule = Rule::new(&OverloadConfig::default(), Step::Calm, 0.0);
        let mut last = Step::Calm;
        let mut changes = Vec::new();
        for (tick, pressure) in pressures.into_iter().enumerate() {
            let step = rule.judge(Duration::from_millis(100) * tick as u32, pressure);
            if step != last {
                changes.push((tick, step));
            }
            last = step;
        }
        changes
    }

    fn lasting(seconds: usize, pressure: f64) -> impl Iterator<Item = f64> {
        std::iter::repeat_n(pressure, seconds * 10)
    }

    #[test]
    fn a_blip_does_nothing() {
        assert_eq!(changes(lasting(1, 0.0).chain([1.0]).chain(lasting(1, 0.0)).chain([1.0, 0.3, 1.0, 0.3])), []);
    }

    #[test]
    fn a_burst_takes_two_measurements_to_rise_and_half_a_minute_at_most_to_be_over() {
        let changes = changes(lasting(1, 0.0).chain(lasting(60, 1.0)).chain(lasting(60, 0.0)));
        assert_eq!(changes, [(11, Step::Refuse), (609 + 100, Step::Calm)], "two measurements, and the dwell");
        let rest = lasting(1, 0.0).chain(lasting(60, 1.0)).chain(lasting(60, 0.3));
        let steps: Vec<_> = self::changes(rest).into_iter().map(|(_, step)| step).collect();
        assert_eq!(steps, [Step::Refuse, Step::Thin, Step::Trim], "there is pressure left");
    }

    #[test]
    fn a_step_is_left_only_well_below_it_and_after_its_dwell() {
        // Swings between two sides of a step, faster and slower than the half-life.
        for period in [1, 3, 8] {
            let swings = (0..120 / period).flat_map(|turn| lasting(period, if turn % 2 == 0 { 0.58 } else { 0.45 }));
            assert_eq!(changes(swings), [(1, Step::Thin)], "{period} s");
        }
        let short = changes(lasting(1, 0.4).chain(lasting(30, 0.0)));
        let [(1, Step::Trim), (109..=111, Step::Calm)] = short[..] else { panic!("{short:?}") };
    }

    #[test]
    fn rises_wait_for_what_they_did() {
        let ramp = (0..20).map(|tick| f64::from(tick) * 0.06).chain(lasting(3, 1.0));
        let steps: Vec<Step> = changes(ramp).into_iter().map(|(_, step)| step).collect();
        assert_eq!(steps, [Step::Trim, Step::Gate, Step::Refuse]);
    }

    #[test]
    fn the_baseline_goes_first_and_errors_last() {
        let at = |step, value, is_last_resort| {
            kept_shares(&Rule::new(&OverloadConfig::default(), step, value).reading(is_last_resort))
        };
        let close = |found: [f64; 3], expected: [f64; 3]| {
            let near = |(found, expected): (f64, f64)| (found - expected).abs() <= expected * 0.02;
            assert!(found.into_iter().zip(expected).all(near), "{found:?} instead of {expected:?}");
        };
        close(at(Step::Trim, 0.54, false), [1.0, 1.0, 1.0]);
        close(at(Step::Thin, 0.55, false), [1.0, 1.0, 1.0]);
        close(at(Step::Thin, 0.5, false), [1.0, 1.0, 1.0]);
        close(at(Step::Thin, 0.775, false), [0.5_f64.powi(5), 0.5_f64.powf(2.5), 1.0]);
        close(at(Step::Gate, 0.775, false), [0.0, 0.5_f64.powf(2.5), 1.0]);
        close(at(Step::Refuse, 1.0, false), [0.0, 0.5_f64.powi(5), 1.0]);
        close(at(Step::Refuse, 1.0, true), [0.0, 0.5_f64.powi(5), 0.5]);
        close(at(Step::Gate, 1.0, true), [0.0, 0.5_f64.powi(5), 1.0]);
    }
}
