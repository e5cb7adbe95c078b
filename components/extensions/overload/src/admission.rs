//! Which share of requests is let in: pure, with the time as an argument.
//!
//! At the step `refuse` the share is moved once a second until the pressure stays between the step's own and where the
//! step would be left: down at once, by what drains of what comes in and by a fifth at least, up by a tenth. Refusing everything until
//! the pressure is gone and nothing from then on would let senders swing. What is left of a share below 1 is given back
//! in the same steps after the level has fallen.

use std::time::Duration;

use component::pressure::Step;

use crate::config::OverloadConfig;

/// Time between two moves of the share.
const PACE: Duration = Duration::from_secs(1);
/// The most by which the share is multiplied when it goes down without anything being known of what drains.
const DOWN: f64 = 0.8;
/// By what it is multiplied when it goes up.
const UP: f64 = 1.1;
/// How far above the pressure at which the step is left the share begins to rise.
const MARGIN: f64 = 0.03;

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes of telemetry that ever came in.
    pub taken_bytes: u64,
    /// Bytes of telemetry in memory.
    pub held_bytes: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct Admission {
    share: f64,
    least: f64,
    refuse: f64,
    rise: f64,
    moved: Option<(Duration, Flow)>,
}

impl Admission {
    /// Lets everything in.
    #[must_use]
    pub fn new(config: &OverloadConfig) -> Self {
        let refuse = config.steps.refuse;
        let rise = (refuse - config.hysteresis + MARGIN).min(refuse);
        Self { share: 1.0, least: config.admitted_min, refuse, rise, moved: None }
    }

    /// The share of requests that is let in.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Whether no less can be let in and the pressure is still there.
    #[must_use]
    pub fn is_exhausted(&self, pressure: f64) -> bool {
        self.share <= self.least && pressure >= self.refuse
    }

    /// Moves the share when it is time to; what is let in from now on.
    pub fn judge(&mut self, now: Duration, step: Step, pressure: f64, flow: Flow) -> f64 {
        if step < Step::Refuse && self.share >= 1.0 {
            self.moved = None;
            return self.share;
        }
        let Some((moved, before)) = self.moved else {
            self.moved = Some((now, flow));
            return self.share;
        };
        if now.saturating_sub(moved) < PACE {
            return self.share;
        }
        self.moved = Some((now, flow));
        let taken = flow.taken_bytes.saturating_sub(before.taken_bytes) as f64;
        let grown = flow.held_bytes as f64 - before.held_bytes as f64;
        let drains = if taken > 0.0 { ((taken - grown) / taken).clamp(0.0, 1.0) } else { 1.0 };
        let factor = if pressure >= self.refuse {
            drains.min(DOWN)
        } else if pressure < self.rise || step < Step::Refuse {
            UP
        } else {
            drains
        };
        self.share = (self.share * factor).clamp(self.least, 1.0);
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn flow(taken_bytes: u64, held_bytes: u64) -> Flow {
        Flow { taken_bytes, held_bytes }
    }

    #[test]
    fn the_share_follows_what_drains_and_comes_back_by_tenths() {
        let mut admission = Admission::new(&OverloadConfig::default());
        assert!((admission.judge(SECOND, Step::Gate, 0.9, flow(0, 0)) - 1.0).abs() < 1e-9);
        assert!((admission.judge(SECOND, Step::Refuse, 1.0, flow(0, 0)) - 1.0).abs() < 1e-9);
        assert!((admission.judge(SECOND * 3 / 2, Step::Refuse, 1.0, flow(900, 900)) - 1.0).abs() < 1e-9, "too soon");
        // Of 1000 bytes, 600 stayed.
        assert!((admission.judge(SECOND * 2, Step::Refuse, 1.0, flow(1000, 600)) - 0.4).abs() < 1e-9);
        // All drains, but the pressure is still there: CPU.
        assert!((admission.judge(SECOND * 3, Step::Refuse, 1.0, flow(2000, 600)) - 0.32).abs() < 1e-9);
        // Just right.
        assert!((admission.judge(SECOND * 4, Step::Refuse, 0.9, flow(3000, 600)) - 0.32).abs() < 1e-9);
        assert!((admission.judge(SECOND * 5, Step::Refuse, 0.5, flow(4000, 600)) - 0.352).abs() < 1e-9);
        assert!((admission.judge(SECOND * 6, Step::Refuse, 1.0, flow(5000, 1600)) - 0.1).abs() < 1e-9, "the least");
        assert!(admission.is_exhausted(1.0) && !admission.is_exhausted(0.9));
        let shares = (7..40).map(|second| admission.judge(SECOND * second, Step::Trim, 0.0, flow(5000, 0)));
        let back = shares.take_while(|share| *share < 1.0).count();
        assert!(back <= 24, "{back} s");
    }
}
