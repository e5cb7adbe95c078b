//! Splitting payloads and batches by items and bytes.
//!
//! Segments move whole where they can; only one that lies across a boundary is copied, into buffers of exactly the size
//! needed, charged to the account of the segment. Resources, scopes and metrics around a boundary are in both parts.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::payload::{Payload, Segment};
use crate::select::Selection;
use crate::signal::Signal;

impl Segment {
    /// A copy of the items at `items`, with what is around them.
    fn part(&self, signal: Signal, items: Range<u32>) -> Self {
        let body = Selection::part(self, signal, &items).copy();
        Self::charged(body, items.end - items.start, self.account())
    }

    /// How many items from `from` on, up to `items_max`, go into a part of at most `bytes_max` bytes.
    fn fitting(&self, signal: Signal, from: u32, items_max: u32, bytes_max: usize) -> u32 {
        if items_max == 0 || bytes_max == usize::MAX {
            return items_max;
        }
        let fits = |items: u32| Selection::part(self, signal, &(from..from + items)).measure() <= bytes_max;
        // Doubling finds the magnitude, so that the cost follows what is taken, not what is left.
        let (mut good, mut bad) = (0, 1);
        while fits(bad) {
            good = bad;
            if good == items_max {
                return good;
            }
            bad = bad.saturating_mul(2).min(items_max);
        }
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if fits(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        good
    }
}

impl Payload {
    /// Removes and returns the first `items` items; all of them when there are fewer.
    #[must_use]
    pub fn split_front_items(&mut self, items: u64) -> Self {
        let signal = self.signal();
        let (mut front, mut back) = (Vec::new(), Vec::new());
        let mut left = items;
        for segment in std::mem::replace(self, Self::empty(signal)).into_segments() {
            let count = u64::from(segment.items());
            if left == 0 {
                back.push(segment);
            } else if count <= left {
                left -= count;
                front.push(segment);
            } else {
                front.push(segment.part(signal, 0..left as u32));
                back.push(segment.part(signal, left as u32..segment.items()));
                left = 0;
            }
        }
        *self = Self::from_segments(signal, back);
        Self::from_segments(signal, front)
    }

    /// Splits into parts of at most `items_max` items and `bytes_max` bytes each, in order. `None` and 0 are no limit.
    /// Only a part that consists of a single item may exceed `bytes_max`.
    ///
    /// Each part is filled before the next one is begun: a segment that fits is shared, one that does not is cut. Without
    /// any segment the result is empty.
    #[must_use]
    pub fn split_max(self, items_max: Option<u64>, bytes_max: Option<usize>) -> Vec<Self> {
        let signal = self.signal();
        let items_max = items_max.filter(|max| *max > 0).unwrap_or(u64::MAX);
        let bytes_max = bytes_max.filter(|max| *max > 0).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        let mut part = Self::empty(signal);
        for segment in self.into_segments() {
            let mut from = 0;
            loop {
                let room_items = items_max - part.items();
                let room_bytes = bytes_max.saturating_sub(part.encoded_len());
                let left = segment.items() - from;
                if from == 0 && u64::from(left) <= room_items && segment.bytes().len() <= room_bytes {
                    part.append(Self::from_segments(signal, [segment]));
                    break;
                }
                let most = u32::try_from(room_items).map_or(left, |room| room.min(left));
                let mut taken = segment.fitting(signal, from, most, room_bytes);
                if taken == 0 && !part.segments().is_empty() {
                    parts.push(std::mem::replace(&mut part, Self::empty(signal)));
                    continue;
                }
                // An item that is too large goes alone; a segment without items has nothing to split.
                taken = taken.max(1).min(left);
                if taken == segment.items() {
                    part.append(Self::from_segments(signal, [segment]));
                    break;
                }
                part.append(Self::from_segments(signal, [segment.part(signal, from..from + taken)]));
                from += taken;
                if from == segment.items() {
                    break;
                }
            }
        }
        if !part.segments().is_empty() {
            parts.push(part);
        }
        parts
    }
}

impl Batch {
    /// Removes and returns the first `items` items, with their stake; all of them when there are fewer.
    pub fn split_front_items(&mut self, items: u64) -> Self {
        let mut payload = self.payload().clone();
        let front = payload.split_front_items(items);
        self.set_payload(payload);
        let stake = self.stake_mut().split_front(front.items());
        self.beside(front, stake)
    }

    /// Splits into parts as [`Payload::split_max`] does, each with its stake. A batch without any segment is one part.
    #[must_use = "dropping a batch is a loss in the books; settle it or pass it on"]
    pub fn split_max(mut self, items_max: Option<u64>, bytes_max: Option<usize>) -> Vec<Self> {
        let mut parts = self.payload().clone().split_max(items_max, bytes_max);
        if parts.len() <= 1 {
            return vec![self];
        }
        let Some(last) = parts.pop() else { return vec![self] };
        let mut batches: Vec<Self> = Vec::with_capacity(parts.len() + 1);
        for payload in parts {
            let stake = self.stake_mut().split_front(payload.items());
            batches.push(self.beside(payload, stake));
        }
        self.set_payload(last);
        batches.push(self);
        batches
    }

    /// A batch of the same origin.
    fn beside(&self, payload: Payload, stake: crate::ledger::Stake) -> Self {
        let mut batch = Self::from_parts(payload, Arc::clone(self.context()), stake);
        batch.restore_pending(self.pending().clone());
        batch
    }
}
