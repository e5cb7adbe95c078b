//! Making room: the oldest traces are decided early, until what is held fits the budget and the number of traces.

use std::sync::atomic::Ordering;

use super::{Sampler, TURN, lock};
use crate::log::Cause;
use crate::rules::{OUT_SHARE, Rules};

/// Traces that one request decides at most to make room.
const MADE_ROOM_MAX: usize = 32 << 10;

impl Sampler {
    /// Decides traces, the oldest first, until there is room for `more_bytes`. Whether there is.
    pub(super) fn make_room(&self, more_bytes: usize) -> bool {
        let Rules { budget, traces_max, .. } = self.rules;
        let inside = budget - budget / OUT_SHARE;
        self.envelopes.sweep_if_grown();
        for decided in 0..MADE_ROOM_MAX / TURN + 1 {
            let (buffered, held) = (self.buffered_bytes(), self.held_bytes());
            let traces = self.traces.load(Ordering::Relaxed);
            let excess = (buffered.saturating_add(more_bytes).saturating_sub(inside))
                .max(held.saturating_add(more_bytes).saturating_sub(budget));
            if excess == 0 && traces <= traces_max {
                return true;
            }
            if traces == 0 {
                // What is left are tables, and what is on its way out.
                self.envelopes.sweep();
                self.pump();
                let is_empty = self.waiting_bytes.load(Ordering::Relaxed) == 0 && self.outbox.bytes() == 0;
                return is_empty || self.held_bytes().saturating_add(more_bytes) <= budget;
            }
            if decided == MADE_ROOM_MAX / TURN {
                break;
            }
            let cause = if excess == 0 { Cause::Traces } else { Cause::Budget };
            let too_many = traces.saturating_sub(traces_max).min(TURN);
            self.decide_oldest(excess, too_many, cause);
        }
        more_bytes == 0 || self.held_bytes().saturating_add(more_bytes) <= budget
    }

    /// Decides up to [`TURN`] traces, the oldest first, until `bytes` are taken out of shards and `count` traces.
    pub fn decide_oldest(&self, bytes: usize, count: usize, cause: Cause) -> bool {
        let mut round = self.round();
        let mut taken_bytes = 0;
        while round.taken.len() < TURN && (taken_bytes < bytes || round.taken.len() < count) {
            let oldest = self.oldest.iter().enumerate().min_by_key(|(_, oldest)| oldest.load(Ordering::Relaxed));
            let Some((place, _)) = oldest.filter(|(_, oldest)| oldest.load(Ordering::Relaxed) < u64::MAX) else {
                break;
            };
            let Some(shard) = self.shards.get(place) else { break };
            let mut shard = lock(shard);
            if let Some((hash, _)) = shard.oldest() {
                self.decide(&mut shard, hash, cause, self.now(), &mut round);
                taken_bytes += round.taken.last().map_or(0, |taken| taken.trace.held_bytes() + taken.trace.chunk_bytes);
            }
            self.settle_shard(place, &mut shard);
        }
        let is_something = !round.taken.is_empty();
        // For memory, a few are decided with every request: their batch waits for more.
        self.complete(round, cause != Cause::Budget);
        is_something
    }
}
