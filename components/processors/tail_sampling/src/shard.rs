//! A share of all traces, behind one lock: what waits, in order of arrival, and what was decided.
//!
//! All traces wait equally long, so the order of arrival is the order of deadlines: two queues (from the first span, from
//! the root) stand for timers. Only what a predecessor passes on is older than what came before it. A queue may name traces that
//! are gone; they are passed over.

use std::collections::VecDeque;
use std::time::Duration;

use pdata::account::Charge;

use crate::log::Cause;
use crate::pages::Writer;
use crate::policy::{Decision, Verdict};
use crate::remembered::{ByHash, Decisions, Remembered};
use crate::trace::{Floor, Trace};

/// A trace in a queue: its hash, its number, the tick at which it is due.
type Waiting = (u64, u64, u64);

/// Adds a trace to those that are due no later, in all but few cases the last.
fn enqueue(queue: &mut VecDeque<Waiting>, (hash, number, due): Waiting) {
    if queue.back().is_none_or(|(_, _, last)| *last <= due) {
        return queue.push_back((hash, number, due));
    }
    let place = queue.partition_point(|(_, _, earlier)| *earlier <= due);
    queue.insert(place, (hash, number, due));
}

/// See the module's head.
#[derive(Debug)]
pub struct Shard {
    /// What waits.
    pub traces: ByHash<Box<Trace>>,
    by_arrival: VecDeque<Waiting>,
    by_root: VecDeque<Waiting>,
    kept: Decisions,
    dropped: Decisions,
    /// Where spans of traces go.
    pub writer: Writer,
    /// Bytes of all traces in `traces`, without their spans.
    trace_bytes: usize,
    /// What it occupies, on the account of all telemetry.
    charge: Charge,
}

/// A trace that was taken out.
#[derive(Debug)]
pub struct Taken {
    /// The trace.
    pub trace: Box<Trace>,
    /// What was decided.
    pub decision: Decision,
    /// Why then.
    pub cause: Cause,
}

impl Shard {
    /// An empty one that remembers so many decisions, made large enough for so many traces.
    #[must_use]
    pub fn new(kept: usize, dropped: usize, traces: usize, writer: Writer, charge: Charge) -> Self {
        let mut table = ByHash::default();
        table.reserve(traces);
        Self {
            traces: table,
            by_arrival: VecDeque::with_capacity(traces),
            by_root: VecDeque::new(),
            kept: Decisions::new(kept),
            dropped: Decisions::new(dropped),
            writer,
            trace_bytes: 0,
            charge,
        }
    }

    /// Adds a trace.
    pub fn insert(&mut self, hash: u64, trace: Box<Trace>) {
        enqueue(&mut self.by_arrival, (hash, trace.number, trace.due));
        self.trace_bytes += trace.held_bytes();
        self.traces.insert(hash, trace);
    }

    /// Adds to a trace; `None` if it is not there.
    pub fn with<T>(&mut self, hash: u64, work: impl FnOnce(&mut Trace, &mut Writer) -> T) -> Option<T> {
        let trace = self.traces.get_mut(&hash)?;
        let before = trace.held_bytes();
        let result = work(trace, &mut self.writer);
        self.trace_bytes = (self.trace_bytes + trace.held_bytes()).saturating_sub(before);
        Some(result)
    }

    /// Makes a trace due at `tick`, if that is earlier.
    pub fn hasten(&mut self, hash: u64, tick: u64) {
        let Some(trace) = self.traces.get_mut(&hash) else { return };
        if tick < trace.due {
            trace.due = tick;
            enqueue(&mut self.by_root, (hash, trace.number, tick));
        }
    }

    /// Makes a trace one that arrived earlier, and is due at `tick` if that is earlier.
    pub fn antedate(&mut self, hash: u64, arrived: Duration, tick: u64) {
        if let Some(trace) = self.traces.get_mut(&hash) {
            trace.arrived = trace.arrived.min(arrived);
        }
        self.hasten(hash, tick);
    }

    /// Takes out a trace.
    pub fn remove(&mut self, hash: u64) -> Option<Box<Trace>> {
        let trace = self.traces.remove(&hash)?;
        self.trace_bytes = self.trace_bytes.saturating_sub(trace.held_bytes());
        Some(trace)
    }

    /// Remembers a decision.
    pub fn remember(&mut self, hash: u64, decision: Decision, floor: Floor, at: Duration) {
        let decisions = if decision.verdict == Verdict::Sampled { &mut self.kept } else { &mut self.dropped };
        let at = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        decisions.insert(hash, Remembered { at, floor, decision });
    }

    /// The decision about a trace that is gone.
    pub fn decided(&mut self, hash: u64) -> Option<Remembered> {
        self.kept.get(hash).or_else(|| self.dropped.get(hash))
    }

    /// Takes out what is remembered: kept and dropped traces.
    pub fn take_decisions(&mut self) -> [Decisions; 2] {
        [&mut self.kept, &mut self.dropped].map(|decisions| std::mem::replace(decisions, Decisions::new(1)))
    }

    /// Forgets the decision about a trace, which is returned.
    pub fn forget(&mut self, hash: u64) -> Option<Remembered> {
        let (kept, dropped) = (self.kept.forget(hash), self.dropped.forget(hash));
        kept.or(dropped)
    }

    /// Remembers a decision that a predecessor made. Returns one that was made here without knowing of it, and is forgotten: the
    /// earlier one counts.
    pub fn inherit(&mut self, hash: u64, remembered: Remembered) -> Option<Remembered> {
        let own = self.forget(hash);
        let decisions = if remembered.decision.is_kept() { &mut self.kept } else { &mut self.dropped };
        decisions.insert(hash, remembered);
        own
    }

    /// The oldest trace: its hash and number.
    pub fn oldest(&mut self) -> Option<(u64, u64)> {
        while let Some((hash, number, _)) = self.by_arrival.front() {
            if self.traces.get(hash).is_some_and(|trace| trace.number == *number) {
                return Some((*hash, *number));
            }
            self.by_arrival.pop_front();
        }
        None
    }

    /// Takes a trace that is due from the queues: its hash. Those that wait since their first span are due up to `ahead` ticks
    /// before their time.
    pub fn next_due(&mut self, tick: u64, ahead: u64) -> Option<u64> {
        for (queue, tick) in [(&mut self.by_root, tick), (&mut self.by_arrival, tick + ahead)] {
            while let Some((hash, number, due)) = queue.front().copied()
                && due <= tick
            {
                queue.pop_front();
                if self.traces.get(&hash).is_some_and(|trace| trace.number == number) {
                    return Some(hash);
                }
            }
        }
        None
    }

    /// Gives room of queues back that much fewer traces need.
    pub fn shrink(&mut self) {
        for queue in [&mut self.by_arrival, &mut self.by_root] {
            if queue.capacity() > 1024 && queue.len() < queue.capacity() / 8 {
                queue.shrink_to(queue.len() * 2);
            }
        }
        if self.traces.capacity() > 1024 && self.traces.len() < self.traces.capacity() / 8 {
            self.traces.shrink_to(self.traces.len() * 2);
        }
    }

    /// Moves spans out of pages in which there is little else.
    pub fn refresh(&mut self) {
        for trace in self.traces.values_mut() {
            trace.chunks.iter_mut().for_each(|chunk| self.writer.refresh(&mut chunk.piece));
        }
    }

    /// Forgets everything; traces must have been taken out.
    pub fn clear(&mut self) {
        (self.by_arrival, self.by_root, self.traces) = (VecDeque::new(), VecDeque::new(), ByHash::default());
        (self.kept, self.dropped) = (Decisions::new(1), Decisions::new(1));
        self.writer.close();
    }

    /// Bytes that it occupies beside pages.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let queues = (self.by_arrival.capacity() + self.by_root.capacity()) * size_of::<Waiting>();
        let table = self.traces.capacity() * (size_of::<(u64, Box<Trace>)>() + 1) * 8 / 7;
        self.trace_bytes + queues + table + self.kept.held_bytes() + self.dropped.held_bytes()
    }

    /// Charges what it occupies. What that was before, and is now.
    pub fn settle_charge(&mut self) -> (usize, usize) {
        let (before, now) = (self.charge.bytes(), self.held_bytes());
        self.charge.resize(now);
        (before, now)
    }
}
