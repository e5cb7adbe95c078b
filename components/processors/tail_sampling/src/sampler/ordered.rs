//! Rounds in which policies that limit rates keep what has the highest randomness, as far as there is room, so that it is known
//! how likely that was: every trace above the first that found no room was kept, whatever the order in which they arrived. For
//! that, everything that is due is looked at together, twice: once to find where each limit ends, once to decide.
//!
//! Only with `adjusted_counts`, and only what is due by time. What is decided early is decided by arrival.

use std::time::Duration;

use super::{Sampler, TURN, lock, tick_at};
use crate::log::Cause;
use crate::policy::{Facts, Limits, decide};

/// Traces looked at under one lock in the rehearsal.
const REHEARSED: usize = 1024;

#[derive(Debug)]
struct Due {
    place: usize,
    hash: u64,
    number: u64,
    cause: Cause,
    facts: Facts,
}

/// What is due at a tick.
#[derive(Debug)]
pub struct DueRound {
    now: Duration,
    /// The highest randomness first.
    due: Vec<Due>,
    rehearsed: usize,
    decided: usize,
}

impl Sampler {
    /// Whether rounds are to be made.
    #[must_use]
    pub fn orders_limits(&self) -> bool {
        self.plan.orders_limits
    }

    /// Begins a round with all traces that are due. They stay where they are.
    #[must_use]
    pub fn begin_round(&self) -> DueRound {
        let now = self.now();
        let (tick, ahead) = (tick_at(now), self.ahead());
        let mut due = Vec::new();
        for (place, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            while let Some(hash) = shard.next_due(tick, ahead) {
                let Some(trace) = shard.traces.get(&hash) else { continue };
                let cause = if trace.due <= tick { Cause::Wait } else { Cause::Overload };
                due.push(Due { place, hash, number: trace.number, cause, facts: trace.facts.clone() });
            }
        }
        due.sort_by_key(|due| std::cmp::Reverse(due.facts.randomness()));
        lock(&self.state).buckets.iter_mut().for_each(|bucket| bucket.limit.begin_round());
        DueRound { now, due, rehearsed: 0, decided: 0 }
    }

    /// Finds where limits end, of some traces. Whether there are more.
    pub fn rehearse(&self, round: &mut DueRound) -> bool {
        let terms = self.terms(round.now, Limits::Rehearsed);
        let mut state = lock(&self.state);
        let next = round.due.iter().skip(round.rehearsed).take(REHEARSED);
        for due in next {
            decide(&self.plan.policies, &due.facts, &mut state, terms, |_, _| {});
        }
        round.rehearsed += REHEARSED;
        round.rehearsed < round.due.len()
    }

    /// Decides about some traces. Whether there are more.
    pub fn decide_round(&self, due_round: &mut DueRound) -> bool {
        let mut round = self.round();
        for due in due_round.due.iter().skip(due_round.decided).take(TURN) {
            let Some(shard) = self.shards.get(due.place) else { continue };
            let mut shard = lock(shard);
            // It may have been decided early meanwhile.
            if shard.traces.get(&due.hash).is_some_and(|trace| trace.number == due.number) {
                self.decide_by(Limits::Known, &mut shard, due.hash, due.cause, due_round.now, &mut round);
            }
            self.settle_shard(due.place, &mut shard);
        }
        due_round.decided += TURN;
        self.complete(round, false);
        due_round.decided < due_round.due.len()
    }

    /// Gives back room that shards do not need.
    pub fn shrink(&self) {
        for (place, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            shard.shrink();
            self.settle_shard(place, &mut shard);
        }
    }
}
