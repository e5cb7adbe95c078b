//! Judges what a sampler kept: which traces of a load should have arrived, and which of them did, whole.
//!
//! Only traces of which every request was acknowledged are judged; of the others nobody can say what should have become.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use crate::payload::{Class, Renewal, SPANS_PER_TRACE};

/// The books of a load through a sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The part that arrived of what chance alone decides about.
    pub share: f64,
    /// What it should be.
    pub expected: RangeInclusive<f64>,
    /// Traces that have to be kept, and those of them that arrived whole.
    pub certain: Pair,
    /// Those of them with errors.
    pub errors: Pair,
    /// Traces that arrived in part.
    pub split_traces: u64,
}

/// How many were sent, and how many of them arrived whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair {
    /// Sent.
    pub sent: u64,
    /// Arrived.
    pub arrived: u64,
}

impl Sampled {
    /// Books of items without traces.
    #[must_use]
    pub fn items(accepted: u64, arrived: u64, expected: RangeInclusive<f64>) -> Self {
        let share = arrived as f64 / accepted.max(1) as f64;
        Self { share, expected, certain: Pair::default(), errors: Pair::default(), split_traces: 0 }
    }

    /// Books of a load of whole traces: numbers of acknowledged requests, and what arrived by trace ID. `is_certain` tells
    /// which traces have to be kept.
    #[must_use]
    pub fn traces(
        renewal: &Renewal,
        acked_numbers: &[u64],
        arrived: &HashMap<[u8; 16], u32>,
        is_certain: impl Fn(Class) -> bool,
        expected: RangeInclusive<f64>,
    ) -> Self {
        let acked: HashSet<u64> = acked_numbers.iter().copied().collect();
        let mut sampled = Self::items(0, 0, expected);
        let mut by_chance = Pair::default();
        let rounds = acked_numbers.iter().max().map_or(0, |last| last / renewal.round_requests() + 1);
        for (round, number) in (0..rounds).flat_map(|round| (0..renewal.round_traces()).map(move |n| (round, n))) {
            if !renewal.requests(round, number).iter().all(|request| acked.contains(request)) {
                continue;
            }
            let spans = arrived.get(&renewal.trace_id(round, number)).copied().unwrap_or_default();
            let is_whole = u64::from(spans) == SPANS_PER_TRACE;
            sampled.split_traces += u64::from(spans > 0 && !is_whole);
            let class = renewal.class(number);
            let count = |pair: &mut Pair| {
                pair.sent += 1;
                pair.arrived += u64::from(is_whole);
            };
            count(if is_certain(class) { &mut sampled.certain } else { &mut by_chance });
            if class == Class::Error {
                count(&mut sampled.errors);
            }
        }
        sampled.share = by_chance.arrived as f64 / by_chance.sent.max(1) as f64;
        sampled
    }

    /// Whether what had to be kept was, everything in one piece, and of the rest as much as it should.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.expected.contains(&self.share) && self.certain.sent == self.certain.arrived && self.split_traces == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Pool;

    /// A round of which everything that `keeps` says arrived whole.
    fn round(renewal: &Renewal, keeps: impl Fn(u64) -> bool) -> HashMap<[u8; 16], u32> {
        let kept = (0..renewal.round_traces()).filter(|number| keeps(*number));
        kept.map(|number| (renewal.trace_id(0, number), 12)).collect()
    }

    #[test]
    fn certain_traces_must_arrive_whole_and_others_by_their_share() {
        let renewal = Pool::of_whole_traces().renewal.unwrap();
        let numbers: Vec<u64> = (0..renewal.round_requests()).collect();
        let judge = |arrived: &HashMap<_, _>, numbers: &[u64]| {
            Sampled::traces(&renewal, numbers, arrived, |class| class != Class::Plain, 0.05..=0.15)
        };
        let is_plain = |number| renewal.class(number) == Class::Plain;
        let mut arrived = round(&renewal, |number| !is_plain(number) || number % 10 == 5);
        let right = judge(&arrived, &numbers);
        assert!(right.is_even(), "{right:?}");
        assert!((right.share - 0.1).abs() < 0.01, "{right:?}");
        assert_eq!((right.errors.sent, right.errors.arrived), (54, 54));
        assert!(!judge(&round(&renewal, |number| !is_plain(number)), &numbers).is_even(), "nothing by chance");

        arrived.insert(renewal.trace_id(0, 5), 11);
        assert_eq!((judge(&arrived, &numbers).split_traces, judge(&arrived, &numbers).is_even()), (1, false));
        arrived.insert(renewal.trace_id(0, 5), 12);
        arrived.remove(&renewal.trace_id(0, 50));
        let lost = judge(&arrived, &numbers);
        assert_eq!((lost.errors.sent - lost.errors.arrived, lost.is_even()), (1, false));
        // Unless one of its requests was not accepted.
        let others: Vec<u64> = numbers.iter().copied().filter(|number| *number != renewal.requests(0, 50)[1]).collect();
        assert!(judge(&arrived, &others).is_even());
    }
}
