//! The end of a sampler: what it holds is taken out, and what one that is replaced leaves to its successor beside undecided spans:
//! decisions that late spans follow, the log, what policies remember, and since when undecided traces wait.
//!
//! Both know traces by the same hashes and have the same shards. Policies go by name: the successor may have others.
//!
//! The successor took spans in before it knew. Those of traces that were decided before follow the earlier decision, and so does
//! what comes later; where the successor had decided otherwise, the trace is torn apart, which is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pdata::{Batch, Outcome};
use tokio::time::Instant;

use super::{NOT_SAMPLED, Sampler, lock};
use crate::limits::State;
use crate::log::Entry;
use crate::policy::{Decision, Verdict};
use crate::remembered::{Decisions, Remembered};
use crate::trace::{Floor, Kept, Trace};

/// See the module's head.
#[derive(Debug)]
pub struct Estate {
    started: Instant,
    /// Names of policies, by number.
    names: Vec<Arc<str>>,
    /// Kept and dropped traces, by shard.
    decisions: Vec<[Decisions; 2]>,
    log: VecDeque<Entry>,
    /// What policies remember, and when that was on the sampler's clock.
    limits: (State, Duration),
    /// Traces that are passed on undecided, by hash: when they began, and what the gate was then.
    began: Vec<(u64, Instant, Floor)>,
}

impl Sampler {
    /// Takes out what is left beside `traces`, which are about to be passed on undecided.
    #[must_use]
    pub fn bequeath(&self, traces: &[Box<Trace>]) -> Estate {
        let began = |trace: &Trace| {
            let hash = self.envelopes.hash(&trace.facts.trace_id, &trace.sender);
            (hash, self.started + trace.arrived, trace.floor)
        };
        let decisions = self.shards.iter().enumerate().map(|(place, shard)| {
            let mut shard = lock(shard);
            let decisions = shard.take_decisions();
            self.settle_shard(place, &mut shard);
            decisions
        });
        Estate {
            started: self.started,
            names: self.names.all(),
            decisions: decisions.collect(),
            log: self.log.take(),
            limits: (std::mem::take(&mut *lock(&self.state)), self.now()),
            began: traces.iter().map(|trace| began(trace)).collect(),
        }
    }

    /// Goes on where a predecessor ended. Spans that arrived here meanwhile, of traces it had decided, follow it.
    pub fn inherit(&self, estate: Estate) {
        let numbers: Vec<Option<u16>> = estate.names.iter().map(|name| self.names.number(name)).collect();
        let own = |decision: Decision| {
            let policy = decision.policy.and_then(|policy| numbers.get(usize::from(policy)).copied().flatten());
            Decision { policy, ..decision }
        };
        let since = estate.started.saturating_duration_since(self.started).as_secs();
        let before = self.started.saturating_duration_since(estate.started).as_secs();
        let (limits, then) = estate.limits;
        lock(&self.state).inherit(limits, then, self.now());
        let mut round = self.round();
        let (mut late, mut split) = ([0; 2], 0);
        for (place, decisions) in estate.decisions.into_iter().enumerate() {
            let Some(shard) = self.shards.get(place) else { break };
            let mut shard = lock(shard);
            for (hash, remembered) in decisions.into_iter().flat_map(Decisions::into_all) {
                let at = (u64::from(remembered.at) + since).saturating_sub(before);
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                let remembered = Remembered { at, decision: own(remembered.decision), ..remembered };
                let is_kept = remembered.decision.is_kept();
                let before = shard.inherit(hash, remembered);
                split += u64::from(before.is_some_and(|before| before.decision.is_kept() != is_kept));
            }
            let waiting: Vec<u64> = shard.traces.keys().copied().collect();
            for hash in waiting {
                let Some(remembered) = shard.decided(hash) else { continue };
                let Some(mut trace) = shard.remove(hash) else { continue };
                self.traces.fetch_sub(1, Ordering::Relaxed);
                let [kept, dropped] = &mut late;
                if remembered.decision.verdict == Verdict::Gated {
                    self.settle_waiting_alone(*trace, &mut round);
                } else if remembered.decision.is_kept() {
                    *kept += trace.facts.spans;
                    trace.floor = remembered.floor;
                    round.late.push(Kept::from((*trace, Some(remembered.decision))));
                } else {
                    *dropped += trace.facts.spans;
                    trace.stake.settle(Outcome::Dropped(NOT_SAMPLED));
                }
            }
            self.settle_shard(place, &mut shard);
        }
        self.metrics.early_releases.iter().zip(late).for_each(|(counter, count)| counter.add(count));
        self.metrics.split.add(split);
        self.complete(round, true);
        let entry = |entry: Entry| {
            let sender = self.envelopes.sender(&entry.sender.context);
            Entry { decision: own(entry.decision), sender, ..entry }
        };
        self.log.inherit(estate.log.into_iter().map(entry).collect());
        let since = |at: Instant| at.saturating_duration_since(self.started);
        lock(&self.began).extend(estate.began.into_iter().map(|(hash, at, floor)| (hash, (since(at), floor))));
    }

    /// Takes out all traces undecided, the oldest first.
    #[must_use]
    pub fn take_all(&self) -> Vec<Box<Trace>> {
        let mut all = Vec::new();
        for place in self.shards() {
            let Some(shard) = self.shards.get(place) else { break };
            let mut shard = lock(shard);
            let hashes: Vec<u64> = shard.traces.keys().copied().collect();
            all.extend(hashes.into_iter().filter_map(|hash| shard.remove(hash)));
            self.settle_shard(place, &mut shard);
        }
        self.traces.fetch_sub(all.len(), Ordering::Relaxed);
        all.sort_unstable_by_key(|trace| trace.number);
        all
    }

    /// Batches of undecided traces.
    #[must_use]
    pub fn undecided(&self, traces: Vec<Box<Trace>>) -> Vec<Batch> {
        // What is decided must not get into them.
        self.send(Vec::new(), true);
        let mut outgoing = lock(&self.outgoing);
        for trace in traces {
            outgoing.writer.add(Kept::from((*trace, None)), &self.names);
        }
        outgoing.writer.finish();
        std::mem::take(&mut outgoing.writer.batches)
    }

    /// Forgets everything; traces must have been taken out.
    pub fn clear(&self) {
        for (place, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            shard.clear();
            self.settle_shard(place, &mut shard);
        }
        self.log.clear();
        self.pages.clear();
        lock(&self.began).clear();
        self.envelopes.sweep();
    }

    /// Takes the batches that wait for the outbox.
    #[must_use]
    pub fn take_waiting(&self) -> VecDeque<Batch> {
        self.send(Vec::new(), true);
        self.waiting_bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut lock(&self.outgoing).waiting)
    }
}
