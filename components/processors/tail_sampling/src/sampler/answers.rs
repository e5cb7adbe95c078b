//! What a sampler tells others about its decisions: log records follow them, people ask for them.

use std::sync::Arc;

use component::decisions::{Answer, Decides, Weight};
use pdata::Context;
use sampling::Threshold;

use super::ticks::time_of;
use super::{Sampler, lock, shard_of};
use crate::log::Undecided;
use crate::policy::Chance;

impl Decides for Sampler {
    fn decided(&self, context: &Context, trace_id: &[u8; 16]) -> Answer {
        let sender = self.envelopes.sender(context);
        let hash = self.envelopes.hash(trace_id, &sender);
        let Some(shard) = self.shards.get(shard_of(trace_id)) else { return Answer::Unknown };
        let mut shard = lock(shard);
        if shard.traces.contains_key(&hash) {
            return Answer::Waits;
        }
        let Some(remembered) = shard.decided(hash) else { return Answer::Unknown };
        match remembered.decision.chance {
            _ if !remembered.decision.is_kept() => Answer::Dropped,
            Chance::Known(threshold) if threshold > Threshold::ALWAYS && self.writes_thresholds => {
                Answer::Kept(Weight::Rejected(threshold.rejected()))
            }
            Chance::Unknown if self.writes_thresholds => Answer::Kept(Weight::Unknown),
            Chance::Known(_) | Chance::Unknown => Answer::Kept(Weight::Same),
        }
    }
}

impl Sampler {
    /// What waits of a trace: one for each tenant and authentication.
    #[must_use]
    pub fn waiting(&self, trace_id: &[u8; 16]) -> Vec<Undecided> {
        let now = self.now();
        let Some(shard) = self.shards.get(shard_of(trace_id)) else { return Vec::new() };
        let shard = lock(shard);
        let of_trace = shard.traces.values().filter(|trace| trace.facts.trace_id == *trace_id);
        let undecided = of_trace.map(|trace| Undecided {
            trace_id: *trace_id,
            sender: Arc::clone(&trace.sender),
            waited: now.saturating_sub(trace.arrived),
            left: time_of(trace.due).saturating_sub(now),
            spans: trace.facts.spans,
            bytes: trace.facts.bytes,
            duration_ms: trace.facts.duration_ms(),
        });
        undecided.collect()
    }
}
