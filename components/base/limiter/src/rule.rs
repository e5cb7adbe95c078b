//! When to refuse: a pure function of measurements.
//!
//! The Collector compares Go's live heap with its limits. The nearest thing here is the account of telemetry bytes, which
//! is exact, at hand without a measurement, and falls as soon as telemetry leaves. Resident memory (RSS) counts
//! everything else too, but an allocator keeps freed memory for later: after a burst RSS stays high for good, and a
//! limiter that refuses by RSS alone would refuse for ever. Hence:
//!
//! 1. Telemetry at the soft limit or above: refuse. Refusing is sure to help, since telemetry drains.
//! 2. RSS at the hard limit or above **and** telemetry at [half](TELEMETRY_SHARE) the soft limit or above: refuse.
//!    Telemetry is a good part of what is resident, so that refusing helps; below half it opens again, and new telemetry
//!    fills memory that the allocator kept.
//! 3. RSS at the hard limit or above **and** larger than at the last measurement (by more than [`GROWTH_SHARE`] of the
//!    hard limit): refuse until the next measurement. What grows past the limit is new memory, whoever asked for it.
//!
//! With rules 2 and 3 a process above its hard limit only accepts while that does not make it larger; and it always
//! accepts again once telemetry has drained and growth has stopped.

use crate::limits::Limits;

/// Rule 2 looks at the soft limit divided by this.
pub const TELEMETRY_SHARE: u64 = 2;

/// Rule 3 ignores growth below the hard limit divided by this.
pub const GROWTH_SHARE: u64 = 100;

/// What was measured at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of telemetry on the process-wide account.
    pub telemetry_bytes: u64,
    /// Resident bytes of the process, where the system says.
    pub resident_bytes: Option<u64>,
}

/// Why telemetry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Rule 1.
    Telemetry,
    /// Rule 2.
    Resident,
    /// Rule 3.
    Growth,
}

impl Reason {
    /// For the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry is at the soft limit",
            Self::Resident => "the process is at the hard limit and telemetry is a good part of it",
            Self::Growth => "the process is at the hard limit and grows",
        }
    }
}

/// The rule and the one thing it remembers.
#[derive(Debug)]
pub struct Rule {
    limits: Limits,
    resident_before: Option<u64>,
}

impl Rule {
    /// A rule that has not seen a measurement yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, resident_before: None }
    }

    /// Whether to refuse from this measurement to the next, and why.
    pub fn judge(&mut self, measured: Measured) -> Option<Reason> {
        let before = std::mem::replace(&mut self.resident_before, measured.resident_bytes);
        if measured.telemetry_bytes >= self.limits.soft {
            return Some(Reason::Telemetry);
        }
        let resident = measured.resident_bytes.filter(|resident| *resident >= self.limits.hard)?;
        if measured.telemetry_bytes >= self.limits.soft / TELEMETRY_SHARE {
            return Some(Reason::Resident);
        }
        // Without an earlier measurement it has grown from next to nothing.
        let growth = resident.saturating_sub(before.unwrap_or(0));
        (growth > self.limits.hard / GROWTH_SHARE).then_some(Reason::Growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { soft: 8000, hard: 10_000 };

    /// Telemetry, RSS, and what is expected, measurement after measurement.
    fn check(steps: &[(u64, Option<u64>, Option<Reason>)]) {
        let mut rule = Rule::new(LIMITS);
        for (step, (telemetry_bytes, resident_bytes, expected)) in steps.iter().enumerate() {
            let measured = Measured { telemetry_bytes: *telemetry_bytes, resident_bytes: *resident_bytes };
            assert_eq!(rule.judge(measured), *expected, "step {step}: {measured:?}");
        }
    }

    #[test]
    fn telemetry_refuses_from_its_limit_on_and_not_below() {
        check(&[
            (7999, Some(9999), None),
            (8000, Some(9999), Some(Reason::Telemetry)),
            (7999, Some(9999), None),
            (8000, None, Some(Reason::Telemetry)),
            (7999, None, None),
        ]);
    }

    #[test]
    fn a_large_process_refuses_while_telemetry_is_a_good_part_of_it() {
        check(&[
            (3999, Some(9999), None),
            (4000, Some(10_000), Some(Reason::Resident)),
            (4000, Some(9999), None),
            (6000, Some(12_000), Some(Reason::Resident)),
            (3999, Some(12_000), None),
        ]);
    }

    #[test]
    fn memory_that_the_allocator_keeps_does_not_refuse_for_ever() {
        check(&[
            (8000, Some(15_000), Some(Reason::Telemetry)),
            (0, Some(15_000), None),
            (3000, Some(15_000), None),
            (0, Some(15_000), None),
        ]);
    }

    #[test]
    fn growth_past_the_limit_refuses_until_it_stops() {
        check(&[
            (10, Some(9000), None),
            (10, Some(10_500), Some(Reason::Growth)),
            (10, Some(11_000), Some(Reason::Growth)),
            (10, Some(11_100), None),
            (10, Some(11_201), Some(Reason::Growth)),
            (10, Some(11_201), None),
        ]);
        check(&[(10, Some(12_000), Some(Reason::Growth)), (10, Some(12_000), None)]);
    }
}
