//! Splitting payloads and batches by items and bytes.
//!
//! Segments move whole where they can; only one that lies across a boundary is copied, into buffers of exactly the size
//! needed, charged to the account of the segment. Resources, scopes and metrics around a boundary are in both parts.
//!
//! What is around items can weigh a thousand times what they do, and is in every part. So [`Parts`] cuts one part when it
//! is asked for; [`Payload::split_max`], which cuts all at once, stops at [`COPIES_BYTES_MIN`] or twice the size of what it
//! splits; and items are not split off for bytes that what is around them takes up by itself.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::payload::{Payload, Segment};
use crate::select::Selection;
use crate::signal::Signal;

/// What [`Payload::split_max`] may always hand out beyond the size of what it splits, in bytes.
pub const COPIES_BYTES_MIN: usize = 1 << 20;

/// Items are split for bytes whatever is around them weighs up to this, in bytes.
pub const AROUND_BYTES_MIN: usize = 64 << 10;

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

    /// How many items from `from` on, up to `items_max`, go together although they are too large, because what is around
    /// them leaves them less than a sixteenth of `bytes_max`. At least 1.
    fn together(&self, signal: Signal, from: u32, items_max: u32, bytes_max: usize) -> u32 {
        let index = self.item_index(signal);
        let Some(item) = index.items().get(from as usize) else { return 1 };
        let one = Selection::part(self, signal, &(from..from + 1)).measure();
        let around = one.saturating_sub((item.end - item.start) as usize);
        if around <= AROUND_BYTES_MIN.max(bytes_max - bytes_max / 16) {
            return 1;
        }
        let innermost = index.levels().saturating_sub(1);
        let nodes = index.nodes(innermost).len();
        let mut inside = (0..nodes).map(|node| index.items_of(innermost, node));
        let end = inside.find(|items| items.contains(&from)).map_or(from + 1, |items| items.end);
        (end - from).min(items_max).max(1)
    }
}

/// Cuts the segments of a payload into parts, one at a time.
#[derive(Debug)]
struct Cutter {
    signal: Signal,
    items_max: u64,
    bytes_max: usize,
    /// The segment at which the next part begins, and at which of its items.
    current: Option<(Segment, u32)>,
    segments: smallvec::IntoIter<[Segment; 1]>,
}

impl Cutter {
    fn new(payload: Payload, items_max: Option<u64>, bytes_max: Option<usize>) -> Self {
        Self {
            signal: payload.signal(),
            items_max: items_max.filter(|max| *max > 0).unwrap_or(u64::MAX),
            bytes_max: bytes_max.filter(|max| *max > 0).unwrap_or(usize::MAX),
            current: None,
            segments: payload.into_segments().into_iter(),
        }
    }

    fn is_done(&self) -> bool {
        self.current.is_none() && self.segments.len() == 0
    }

    /// The next part; `None` when there is none.
    fn cut(&mut self) -> Option<Payload> {
        let signal = self.signal;
        let mut part = Payload::empty(signal);
        while let Some((segment, from)) = self.current.take().or_else(|| Some((self.segments.next()?, 0))) {
            let room_items = self.items_max - part.items();
            let room_bytes = self.bytes_max.saturating_sub(part.encoded_len());
            let left = segment.items() - from;
            if from == 0 && u64::from(left) <= room_items && segment.bytes().len() <= room_bytes {
                part.append(Payload::from_segments(signal, [segment]));
                continue;
            }
            let most = u32::try_from(room_items).map_or(left, |room| room.min(left));
            let is_empty = part.segments().is_empty();
            let mut taken = 0;
            if is_empty && self.bytes_max < usize::MAX && most > 1 {
                taken =
                    Some(segment.together(signal, from, most, self.bytes_max)).filter(|taken| *taken > 1).unwrap_or(0);
            }
            if taken == 0 {
                taken = segment.fitting(signal, from, most, room_bytes);
            }
            if taken == 0 && !is_empty {
                self.current = Some((segment, from));
                break;
            }
            // An item that is too large goes alone; a segment without items has nothing to split.
            taken = taken.max(1).min(left);
            if taken == segment.items() {
                part.append(Payload::from_segments(signal, [segment]));
                continue;
            }
            part.append(Payload::from_segments(signal, [segment.part(signal, from..from + taken)]));
            if from + taken < segment.items() {
                self.current = Some((segment, from + taken));
            }
        }
        Some(part).filter(|part| !part.segments().is_empty())
    }

    /// What is left, uncut.
    fn rest(self) -> Payload {
        let signal = self.signal;
        let current = self.current.map(|(segment, from)| match from {
            0 => segment,
            from => segment.part(signal, from..segment.items()),
        });
        Payload::from_segments(signal, current.into_iter().chain(self.segments))
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
    ///
    /// Each part is filled before the next one is begun: a segment that fits is shared, one that does not is cut. Without
    /// any segment the result is empty. `bytes_max` is exceeded by a part of a single item, and by items around which a
    /// resource, scope or metric of more than [`AROUND_BYTES_MIN`] takes up more than fifteen sixteenths of it.
    ///
    /// The parts together weigh at most twice as much as the whole, or [`COPIES_BYTES_MIN`] more, if that is more (plus one
    /// part); when more would be needed, the last part is what is left, above the limits, to be split when the others are
    /// gone.
    #[must_use]
    pub fn split_max(self, items_max: Option<u64>, bytes_max: Option<usize>) -> Vec<Self> {
        let whole = self.encoded_len();
        let budget = whole.saturating_add(whole.max(COPIES_BYTES_MIN));
        let mut cutter = Cutter::new(self, items_max, bytes_max);
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while let Some(part) = cutter.cut() {
            bytes += part.encoded_len();
            parts.push(part);
            if bytes > budget && !cutter.is_done() {
                parts.push(cutter.rest());
                break;
            }
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

    /// The parts of [`Batch::split_max`], none above the limits for want of memory, each cut when it is asked for.
    pub fn parts(mut self, items_max: Option<u64>, bytes_max: Option<usize>) -> Parts {
        let signal = self.signal();
        let payload = self.payload().clone();
        self.set_payload(Payload::empty(signal));
        Parts { batch: Some(self), cutter: Cutter::new(payload, items_max, bytes_max) }
    }

    /// A batch of the same origin.
    fn beside(&self, payload: Payload, stake: crate::ledger::Stake) -> Self {
        let mut batch = Self::from_parts(payload, Arc::clone(self.context()), stake);
        batch.restore_pending(self.pending().clone());
        batch
    }
}

/// The parts of a batch, cut one at a time: memory is that of the whole and of the parts that are still there.
#[derive(Debug)]
#[must_use = "dropping what is left is a loss in the books; take the parts, or the rest"]
pub struct Parts {
    /// With the stake of what is left and no telemetry; `None` at the end.
    batch: Option<Batch>,
    cutter: Cutter,
}

impl Parts {
    /// Items that are left.
    #[must_use]
    pub fn items(&self) -> u64 {
        let cutter = &self.cutter;
        let current = cutter.current.as_ref().map_or(0, |(segment, from)| segment.items() - from);
        let behind = cutter.segments.as_slice().iter().map(|segment| u64::from(segment.items()));
        u64::from(current) + behind.sum::<u64>()
    }

    /// What is left, uncut; `None` when all parts were taken.
    pub fn rest(self) -> Option<Batch> {
        let mut batch = self.batch?;
        batch.set_payload(self.cutter.rest());
        Some(batch)
    }
}

impl Iterator for Parts {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = self.batch.take()?;
        // Without any segment the batch is its only part.
        let Some(payload) = self.cutter.cut() else { return Some(batch) };
        if self.cutter.is_done() {
            batch.set_payload(payload);
            return Some(batch);
        }
        let stake = batch.stake_mut().split_front(payload.items());
        let part = batch.beside(payload, stake);
        self.batch = Some(batch);
        Some(part)
    }
}
