//! The strategy `span-ingest`: whenever spans of a trace arrive, policies are asked about those alone. What follows is final at
//! once if nothing that may come can change it; else it is noted ([`Trace::so_far`]) and waits for the end of `decision_wait`, or
//! for what comes earlier.
//!
//! What can change a vote to keep: a policy that drops, which looks at later spans too; and with `adjusted_counts` a vote that
//! is more certain. A trace that chance kept at once, and a failing span keeps later, would carry the weight of the one or the
//! other, depending on its randomness: together too much. So chance decides last.
//!
//! [`Trace::so_far`]: crate::trace::Trace::so_far

use std::time::Duration;

use sampling::Threshold;

use super::{Round, Sampler};
use crate::policy::{Chance, Decision, Facts, Limits, Node, Verdict};
use crate::shard::Shard;

impl Sampler {
    /// Asks policies about spans that arrived and were added to that trace, `arrived` being what those say alone. Whether that
    /// decides. Spans are counted over the whole trace, as in the Collector.
    pub(super) fn is_decided_by(
        &self,
        arrived: &Facts,
        shard: &mut Shard,
        hash: u64,
        now: Duration,
        round: &mut Round,
    ) -> bool {
        let Some(trace) = shard.traces.get_mut(&hash) else { return false };
        let Facts { spans, bytes, randomness, .. } = trace.facts;
        let facts = Facts { spans, bytes, randomness, ..arrived.clone() };
        let all = &self.plan.policies;
        let drops = all.iter().take_while(|policy| matches!(policy.node, Node::Drop(_))).count();
        // Where one more vote to keep says nothing new, those that drop are asked alone.
        let asked = if trace.so_far.is_kept() && !self.writes_thresholds { all.get(..drops) } else { None };
        let next = self.ask(asked.unwrap_or(all), &facts, self.terms(now, Limits::Arrival), &mut round.tally);
        trace.so_far = trace.so_far.joined(next);
        match trace.so_far {
            Decision { verdict: Verdict::Dropped, .. } => true,
            Decision { verdict: Verdict::Sampled, chance, .. } => {
                drops == 0 && (!self.writes_thresholds || chance == Chance::Known(Threshold::ALWAYS))
            }
            _ => false,
        }
    }
}
