//! Dropping items without changing others.
//!
//! What a resource, scope or metric loses with its last item is itself; one that arrived without items stays, as long
//! as what is around it does. Segments that lose nothing are shared as they are, the others are copied once.

use std::ops::Range;

use crate::batch::Batch;
use crate::ledger::Outcome;
use crate::payload::{Payload, Segment};
use crate::select::Selection;
use crate::view::Item;

impl Payload {
    /// Keeps the items for which `keep` says so, in order. Returns how many were removed.
    pub fn retain(&mut self, keep: impl FnMut(Item<'_>) -> bool) -> u64 {
        self.retain_noting(keep, |_, _| {})
    }

    /// Calls `removed` with the first position and the number of each run of removed items, ascending.
    fn retain_noting(&mut self, mut keep: impl FnMut(Item<'_>) -> bool, mut removed: impl FnMut(u64, u64)) -> u64 {
        let signal = self.signal();
        let mut left = Vec::with_capacity(self.segments().len());
        let (mut position, mut total) = (0, 0);
        let mut changed = false;
        for segment in self.segments() {
            let kept = kept_ranges(segment, |visit| segment.for_each_item(signal, |item| visit(keep(item))));
            let count: u32 = kept.iter().map(|range| range.end - range.start).sum();
            if count == segment.items() {
                left.push(segment.clone());
            } else {
                changed = true;
                let mut at = 0;
                let end = segment.items();
                for (next, after) in kept.iter().map(|range| (range.start, range.end)).chain([(end, end)]) {
                    if next > at {
                        removed(position + u64::from(at), u64::from(next - at));
                    }
                    at = after;
                }
                total += u64::from(segment.items() - count);
                let body = Selection::rest(segment, signal, &kept).copy();
                if !body.is_empty() {
                    left.push(Segment::charged(body, count, segment.account()));
                }
            }
            position += u64::from(segment.items());
        }
        if changed {
            *self = Self::from_segments(signal, left);
        }
        total
    }
}

/// The positions of the items that are kept, as ranges. `walk` tells for each item in order.
fn kept_ranges(segment: &Segment, walk: impl FnOnce(&mut dyn FnMut(bool))) -> Vec<Range<u32>> {
    let mut kept: Vec<Range<u32>> = Vec::new();
    let mut position = 0_u32;
    walk(&mut |keep| {
        if keep {
            match kept.last_mut() {
                Some(last) if last.end == position => last.end += 1,
                _ => kept.push(position..position + 1),
            }
        }
        position += 1;
    });
    debug_assert_eq!(position, segment.items(), "a segment knows how many items it has");
    kept
}

impl Batch {
    /// Keeps the items for which `keep` says so and settles the others as dropped for `reason`. Returns how many those
    /// were.
    pub fn retain(&mut self, reason: &'static str, keep: impl FnMut(Item<'_>) -> bool) -> u64 {
        let mut runs = Vec::new();
        let mut payload = self.payload().clone();
        let removed = payload.retain_noting(keep, |at, items| runs.push((at, items)));
        if removed == 0 {
            return 0;
        }
        self.set_payload(payload);
        let outcome = Outcome::Dropped(reason);
        if self.stake().is_of_one_account() {
            self.stake_mut().split_front(removed).settle(outcome);
        } else {
            // From the back, so that positions stay true.
            for (at, items) in runs.into_iter().rev() {
                self.stake_mut().settle_range(at, items, outcome);
            }
        }
        removed
    }
}
