//! The degraded mode's step `gate`: new traces that chance would not keep anyway do not wait. Spans of theirs that a policy
//! keeps by themselves are kept, the others dropped, and so are their later spans.
//!
//! Weights stay right. A span that a policy keeps by itself is kept on both sides of the gate, so it stands for as many as it
//! did. Another span is kept only where its trace reaches the gate, so it carries at least the gate's threshold ([`Floor`]),
//! whatever its trace is kept for. Who is not asked whether it is kept by itself, because the step is over, counts as the
//! latter on both sides.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use component::pressure::{Class, Step};
use pdata::Outcome;
use pdata::ledger::Stake;
use sampling::Threshold;

use super::{GATED, Round, Sampler};
use crate::envelope::Sender;
use crate::log::{Cause, Entry};
use crate::policy::{Chance, Decision, Verdict};
use crate::request::{Part, Request};
use crate::shard::Shard;
use crate::trace::{Chunk, Floor, Kept, NOT_ALONE, Trace};

impl Sampler {
    /// What new traces must reach now to wait. Those that a predecessor passes on have waited already.
    pub(super) fn floor(&self, is_inherited: bool) -> Floor {
        if is_inherited || self.pressure.step() < Step::Gate {
            return Floor::NONE;
        }
        Floor::rejecting(self.pressure.rejected(Class::Normal))
    }

    /// Settles a new trace as it arrives.
    #[expect(clippy::too_many_arguments, reason = "the state of one loop")]
    pub(super) fn gate(
        &self,
        shard: &mut Shard,
        hash: u64,
        part: Part,
        request: &Request,
        sender: &Arc<Sender>,
        now: Duration,
        round: &mut Round,
    ) {
        let chance = Chance::Known(round.floor.threshold());
        let decision = Decision { verdict: Verdict::Gated, chance, ..Decision::NOT_SAMPLED };
        shard.remember(hash, decision, round.floor, now);
        round.tally.decided(Verdict::Gated, Cause::Gate, Duration::ZERO);
        let facts = &part.facts;
        let (trace_id, spans, bytes, duration_ms) = (facts.trace_id, facts.spans, facts.bytes, facts.duration_ms());
        let kept = round.late.len();
        self.settle_alone(part, request, sender, round);
        // What kept some of its spans, if anything did.
        let policy = round.late.get(kept).and_then(|kept| kept.decision).and_then(|decision| decision.policy);
        let (sender, at, decision) = (Arc::clone(sender), SystemTime::now(), Decision { policy, ..decision });
        let cause = Cause::Gate;
        round.gated.push(Entry { trace_id, sender, at, decision, cause, spans, bytes, duration_ms, waited_s: 0 });
    }

    /// Settles spans of a trace that does not wait.
    pub(super) fn settle_alone(&self, part: Part, request: &Request, sender: &Arc<Sender>, round: &mut Round) {
        let (kept, others) = request.alone(part);
        self.settle_divided(sender, kept, others, round);
    }

    /// The same for spans that waited here until it was known that a predecessor had not let their trace wait.
    pub(super) fn settle_waiting_alone(&self, trace: Trace, round: &mut Round) {
        let Trace { sender, chunks, mut stake, .. } = trace;
        let (mut kept, mut others) = (Vec::new(), Stake::none());
        for stored in chunks {
            let stake = stake.split_front(stored.spans.into());
            if stored.alone == NOT_ALONE {
                others.merge(stake);
            } else {
                kept.push((Chunk::from(stored), stake));
            }
        }
        self.settle_divided(&sender, kept, others, round);
    }

    fn settle_divided(&self, sender: &Arc<Sender>, kept: Vec<(Chunk, Stake)>, others: Stake, round: &mut Round) {
        let [counted_kept, counted_dropped] = &self.metrics.gated;
        for (chunk, stake) in kept {
            counted_kept.add(chunk.spans.into());
            let (verdict, policy, chance) = (Verdict::Sampled, Some(chunk.alone), Chance::Known(Threshold::ALWAYS));
            let decision = Some(Decision { verdict, policy, chance, is_thinned: false });
            let (sender, chunks) = (Arc::clone(sender), vec![chunk]);
            round.late.push(Kept { sender, chunks, stake, decision, floor: Floor::NONE });
        }
        counted_dropped.add(others.items());
        self.gated.add(Class::Normal, others.items());
        others.settle(Outcome::Dropped(GATED));
    }
}
