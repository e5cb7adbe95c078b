//! What a sampler tells others about its decisions: log records follow them.

use component::decisions::{Answer, Decides, Weight};
use pdata::Context;
use sampling::Threshold;

use super::{Sampler, lock, shard_of};
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
