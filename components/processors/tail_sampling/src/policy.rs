//! From what is known of a trace to keeping or dropping it.
//!
//! All policies are asked, those that drop first: one that drops ends it; else one that keeps is enough. A policy that
//! cannot tell (an OTTL condition failed) has no vote.
//!
//! A vote to keep says how likely it was. Policies that look at content are sure; shares and rates by the randomness of the
//! trace ID have a threshold, and because they all use the same randomness, the least threshold of those that keep is that
//! of the whole. Limits (`rate_limiting`, `bytes_limiting`) have one where all that is due is looked at together ([`Limits`],
//! [`crate::sampler`]). By arrival, and within `composite` always, they have none that anybody could know: unless a sure vote
//! decides, what they had a part in is kept without a threshold.

use std::time::Duration;

use sampling::{Randomness, Threshold};
use smallvec::SmallVec;

use crate::conditions::{Bits, has};
use crate::limits::{Owned, State};

/// A policy.
#[derive(Debug)]
pub struct Policy {
    /// Its name.
    pub name: Box<str>,
    /// What it asks.
    pub node: Node,
}

/// What a policy asks.
#[derive(Debug)]
pub enum Node {
    /// Nothing.
    Always,
    /// A condition, or that it never held.
    Bit {
        /// The condition.
        bit: usize,
        /// That it never held.
        inverted: bool,
    },
    /// A condition in OTTL.
    Ottl {
        /// It held.
        held: usize,
        /// It failed.
        failed: usize,
    },
    /// The time from the first start to the last end, in milliseconds.
    Latency {
        /// It is longer.
        threshold: i64,
        /// It is at most so long.
        upper: Option<i64>,
    },
    /// The number of spans.
    SpanCount {
        /// At least.
        least: u64,
        /// At most.
        most: Option<u64>,
    },
    /// A hash of salt and trace ID, as the Collector does it.
    Hash {
        /// The largest hash that keeps.
        most: u64,
        /// Salt.
        salt: Box<str>,
    },
    /// Randomness that reaches a threshold.
    Share(Threshold),
    /// Tokens for its spans, in that bucket.
    SpanRate(usize),
    /// Tokens for its bytes, in that bucket.
    ByteRate(usize),
    /// All of them.
    And(Vec<Node>),
    /// The opposite.
    Not(Box<Node>),
    /// All of them; drops then.
    Drop(Vec<Node>),
    /// The first that keeps, if it has room in its share.
    Composite {
        /// The shares.
        shares: usize,
        /// Names and policies.
        policies: Vec<(Box<str>, Node)>,
    },
    /// Randomness that reaches what the rate of its kind allows.
    Throughput {
        /// The rates.
        rates: usize,
        /// Attributes that make kinds.
        fields: SmallVec<[usize; 2]>,
    },
}

/// What is known of a trace.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Trace ID.
    pub trace_id: [u8; 16],
    /// Hash of the tenant.
    pub tenant: u64,
    /// Randomness that its spans carry.
    pub randomness: Option<Randomness>,
    /// Answers to conditions.
    pub bits: Bits,
    /// Hashes of values that make kinds; 0 for absent ones.
    pub fields: SmallVec<[u64; 1]>,
    /// Least start in ns since the epoch; 0 for unknown.
    pub start: u64,
    /// Largest end in ns since the epoch; 0 for unknown.
    pub end: u64,
    /// Spans.
    pub spans: u64,
    /// Bytes of spans.
    pub bytes: u64,
}

impl Facts {
    /// Its randomness: what its spans carry, or the trace ID's.
    #[must_use]
    pub fn randomness(&self) -> Randomness {
        self.randomness.unwrap_or_else(|| Randomness::of_trace_id(&self.trace_id))
    }

    /// Milliseconds from the first start to the last end; 0 while one of both is unknown. What is added to a trace never makes it less.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        if self.start == 0 || self.end == 0 {
            return 0;
        }
        let nanoseconds = i128::from(self.end) - i128::from(self.start);
        i64::try_from(nanoseconds / 1_000_000).unwrap_or_default()
    }
}

/// How likely a trace was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    /// As likely as randomness reaches this threshold.
    Known(Threshold),
    /// Nobody can tell.
    Unknown,
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// Keep.
    Sampled(Chance),
    /// It has no reason to keep.
    NotSampled,
    /// Drop, whatever others say.
    Dropped,
    /// It cannot tell.
    Error,
}

const SURE: Vote = Vote::Sampled(Chance::Known(Threshold::ALWAYS));

fn sure(holds: bool) -> Vote {
    if holds { SURE } else { Vote::NotSampled }
}

/// What is decided about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Which policy decided, by place; none when no policy kept it.
    pub policy: Option<u16>,
    /// How likely it was kept.
    pub chance: Chance,
    /// Whether chance would have kept it if the degraded mode had not lowered the share.
    pub is_thinned: bool,
}

/// What becomes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Sampled,
    /// No policy wanted it.
    NotSampled,
    /// A policy dropped it.
    Dropped,
    /// The degraded mode did not let it wait: spans that a policy keeps by themselves are kept, the others dropped.
    Gated,
}

impl Decision {
    /// No policy wanted it.
    pub const NOT_SAMPLED: Self = Self {
        verdict: Verdict::NotSampled,
        policy: None,
        chance: Chance::Known(Threshold::ALWAYS),
        is_thinned: false,
    };

    /// The same of a trace that had to reach a threshold to wait at all.
    #[must_use]
    pub fn above(self, floor: Threshold) -> Self {
        let chance = match self.chance {
            Chance::Known(threshold) => Chance::Known(threshold.max(floor)),
            Chance::Unknown => Chance::Unknown,
        };
        Self { chance, ..self }
    }

    /// What follows from this one and from one about other spans of the same trace, both of which looked at theirs alone: as if
    /// the votes of both had been given at once.
    #[must_use]
    pub fn joined(self, next: Self) -> Self {
        let (first, second) = match (self.verdict, next.verdict) {
            (Verdict::Dropped, _) => return self,
            (_, Verdict::Dropped) => return next,
            (Verdict::Sampled, _) => (self, next),
            (_, Verdict::Sampled) => (next, self),
            _ => {
                let chance = if self.chance == Chance::Unknown { self.chance } else { next.chance };
                return Self { chance, is_thinned: self.is_thinned || next.is_thinned, ..self };
            }
        };
        let least = [first, second].into_iter().filter(Self::is_kept).filter_map(|one| match one.chance {
            Chance::Known(threshold) => Some(threshold),
            Chance::Unknown => None,
        });
        let chance = match least.min() {
            Some(Threshold::ALWAYS) => Chance::Known(Threshold::ALWAYS),
            Some(least) if first.chance != Chance::Unknown && second.chance != Chance::Unknown => Chance::Known(least),
            _ => Chance::Unknown,
        };
        Self { chance, ..first }
    }

    /// Whether it is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.verdict == Verdict::Sampled
    }
}

/// How policies that limit rates answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// By the order of arrival: how likely that was, nobody can tell.
    #[default]
    Arrival,
    /// Everything that asks in this round takes tokens, in order of randomness; nothing else is counted, nobody votes.
    Rehearsed,
    /// By the thresholds that the rehearsal found.
    Known,
}

/// What stays the same while a trace is decided.
struct Asking<'a> {
    facts: &'a Facts,
    state: &'a mut State,
    now: Duration,
    limits: Limits,
    /// Whether an answer depended on what else arrived, or was the opposite of one that depended on randomness.
    is_tainted: bool,
    /// What randomness must reach where nothing but chance keeps: the degraded mode's.
    rejected: Threshold,
    /// Whether that made a difference.
    is_thinned: bool,
}

/// How is decided.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// When, since the start.
    pub now: Duration,
    /// What randomness must reach too, where only chance would keep.
    pub rejected: Threshold,
    /// Whether the first policy that keeps ends it.
    pub first_match: bool,
    /// How policies that limit rates answer.
    pub limits: Limits,
}

/// Decides about a trace. `told` hears the vote of every policy that was asked, by place.
pub fn decide(
    policies: &[Policy],
    facts: &Facts,
    state: &mut State,
    Terms { now, rejected, first_match, limits }: Terms,
    mut told: impl FnMut(usize, Vote),
) -> Decision {
    let mut asking = Asking { facts, state, now, limits, is_tainted: false, rejected, is_thinned: false };
    let (mut kept, mut least, mut drops_by_chance): (Option<u16>, Option<Threshold>, bool) = (None, None, false);
    for (place, policy) in policies.iter().enumerate() {
        let vote = policy.node.ask(&mut asking);
        told(place, vote);
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        match vote {
            Vote::Dropped => {
                return Decision { verdict: Verdict::Dropped, policy: Some(place), ..Decision::NOT_SAMPLED };
            }
            Vote::Sampled(chance) => {
                kept = kept.or(Some(place));
                match chance {
                    Chance::Known(threshold) => {
                        least = Some(least.map_or(threshold, |least: Threshold| least.min(threshold)));
                    }
                    Chance::Unknown => asking.is_tainted = true,
                }
                if first_match {
                    break;
                }
            }
            Vote::NotSampled | Vote::Error => {}
        }
        drops_by_chance |= matches!(policy.node, Node::Drop(_)) && policy.node.is_by_chance();
    }
    let Some(policy) = kept else {
        // What comes later may keep it, whose chance is as unknown.
        let chance = if asking.is_tainted { Chance::Unknown } else { Decision::NOT_SAMPLED.chance };
        return Decision { chance, is_thinned: asking.is_thinned, ..Decision::NOT_SAMPLED };
    };
    let chance = match least {
        Some(Threshold::ALWAYS) if !drops_by_chance => Chance::Known(Threshold::ALWAYS),
        Some(threshold) if !asking.is_tainted && !drops_by_chance => Chance::Known(threshold),
        _ => Chance::Unknown,
    };
    Decision { verdict: Verdict::Sampled, policy: Some(policy), chance, is_thinned: false }
}

/// The policy, by place, that keeps a span whatever else its trace holds. `facts` are those of the span alone, with its
/// resource.
#[must_use]
pub fn keeps_alone(policies: &[Policy], facts: &Facts) -> Option<u16> {
    for (place, policy) in policies.iter().enumerate() {
        match &policy.node {
            Node::Drop(nodes) if nodes.iter().all(|node| node.holds_alone(facts)) => return None,
            node if node.holds_alone(facts) => return u16::try_from(place).ok(),
            _ => {}
        }
    }
    None
}

impl Node {
    /// Whether it keeps whatever else comes: what it asks is content, and stays true once it is.
    fn holds_alone(&self, facts: &Facts) -> bool {
        match self {
            Self::Always => true,
            Self::Bit { bit, inverted } => !inverted && has(&facts.bits, *bit),
            Self::Ottl { held, failed } => has(&facts.bits, *held) && !has(&facts.bits, *failed),
            Self::Latency { threshold, upper } => upper.is_none() && facts.duration_ms() > *threshold,
            Self::SpanCount { least, most } => most.is_none() && facts.spans >= *least,
            Self::And(nodes) => nodes.iter().all(|node| node.holds_alone(facts)),
            _ => false,
        }
    }

    /// Whether it depends on anything but content.
    fn is_by_chance(&self) -> bool {
        match self {
            Self::Hash { .. } | Self::Share(_) | Self::SpanRate(_) | Self::ByteRate(_) => true,
            Self::Composite { .. } | Self::Throughput { .. } => true,
            Self::And(nodes) | Self::Drop(nodes) => nodes.iter().any(Self::is_by_chance),
            Self::Not(node) => node.is_by_chance(),
            Self::Always | Self::Bit { .. } | Self::Ottl { .. } | Self::Latency { .. } | Self::SpanCount { .. } => {
                false
            }
        }
    }

    fn ask(&self, asking: &mut Asking<'_>) -> Vote {
        let facts = asking.facts;
        match self {
            Self::Always => SURE,
            Self::Bit { bit, inverted } => sure(has(&facts.bits, *bit) != *inverted),
            Self::Ottl { held, failed } => {
                if has(&facts.bits, *failed) {
                    Vote::Error
                } else {
                    sure(has(&facts.bits, *held))
                }
            }
            Self::Latency { threshold, upper } => {
                let duration = facts.duration_ms();
                sure(duration > *threshold && upper.is_none_or(|upper| duration <= upper))
            }
            Self::SpanCount { least, most } => {
                sure(facts.spans >= *least && most.is_none_or(|most| facts.spans <= most))
            }
            Self::Hash { most, salt } => {
                // Its randomness is not that of the trace ID, so no threshold can tell how likely it was.
                asking.is_tainted |= *most < u64::MAX;
                if hash(salt, &facts.trace_id) > *most {
                    return Vote::NotSampled;
                }
                match asking.by_randomness(Threshold::ALWAYS) {
                    Vote::Sampled(_) => Vote::Sampled(Chance::Unknown),
                    other => other,
                }
            }
            Self::Share(threshold) => asking.by_randomness(*threshold),
            Self::SpanRate(bucket) => asking.limited(*bucket, facts.spans),
            Self::ByteRate(bucket) => asking.limited(*bucket, facts.bytes),
            Self::And(nodes) => all(nodes, asking),
            Self::Drop(nodes) => match asking.unthinned(|asking| all(nodes, asking)) {
                Vote::Sampled(_) => Vote::Dropped,
                other => other,
            },
            Self::Not(node) => {
                let is_by_chance = node.is_by_chance();
                asking.is_tainted |= is_by_chance;
                match asking.unthinned(|asking| node.ask(asking)) {
                    Vote::Sampled(_) => Vote::NotSampled,
                    Vote::NotSampled if is_by_chance => Vote::Sampled(Chance::Unknown),
                    Vote::NotSampled => SURE,
                    other => other,
                }
            }
            Self::Composite { .. } if asking.limits == Limits::Rehearsed => Vote::NotSampled,
            Self::Composite { shares, policies } => {
                asking.is_tainted = true;
                // Its parts go by arrival as it does itself.
                let limits = std::mem::take(&mut asking.limits);
                let vote = Self::first_with_room(*shares, policies, asking);
                asking.limits = limits;
                vote
            }
            Self::Throughput { rates, fields } => {
                let values = fields.iter().map(|field| facts.fields.get(*field).copied().unwrap_or_default());
                let kind = values.fold(facts.tenant, |kind, value| mix(kind ^ value)).max(1);
                let Some(Owned { limit: rates, .. }) = asking.state.rates.get_mut(*rates) else { return Vote::Error };
                let spans = if asking.limits == Limits::Rehearsed { 0 } else { facts.spans };
                let threshold = rates.threshold(kind, spans, asking.now);
                asking.by_randomness(threshold)
            }
        }
    }
}

impl Node {
    /// The vote of a composite policy.
    fn first_with_room(shares: usize, policies: &[(Box<str>, Self)], asking: &mut Asking<'_>) -> Vote {
        for (place, (_, policy)) in policies.iter().enumerate() {
            match policy.ask(asking) {
                Vote::Sampled(_) => {
                    let (spans, now) = (asking.facts.spans, asking.now);
                    let shares = asking.state.shares.get_mut(shares);
                    let has_room = shares.is_some_and(|shares| shares.limit.take(place, spans, now));
                    return if has_room { Vote::Sampled(Chance::Unknown) } else { Vote::NotSampled };
                }
                Vote::Error => return Vote::Error,
                Vote::NotSampled | Vote::Dropped => {}
            }
        }
        Vote::NotSampled
    }
}

impl Asking<'_> {
    fn by_randomness(&mut self, threshold: Threshold) -> Vote {
        let (randomness, raised) = (self.facts.randomness(), threshold.max(self.rejected));
        if raised.keeps(randomness) {
            return Vote::Sampled(Chance::Known(raised));
        }
        self.is_thinned |= threshold.keeps(randomness);
        Vote::NotSampled
    }

    /// Asks what is turned round: where less is kept inside, more would be outside.
    fn unthinned(&mut self, ask: impl FnOnce(&mut Self) -> Vote) -> Vote {
        let rejected = std::mem::replace(&mut self.rejected, Threshold::ALWAYS);
        let vote = ask(self);
        self.rejected = rejected;
        vote
    }

    fn limited(&mut self, bucket: usize, count: u64) -> Vote {
        let randomness = self.facts.randomness();
        let Some(Owned { limit: bucket, .. }) = self.state.buckets.get_mut(bucket) else { return Vote::Error };
        let has_room = match self.limits {
            Limits::Arrival => {
                self.is_tainted = true;
                bucket.take(count, self.now)
            }
            // What is thinned anyway takes no tokens.
            Limits::Rehearsed => self.rejected.keeps(randomness) && bucket.take_in_order(count, randomness, self.now),
            Limits::Known => {
                let threshold = bucket.threshold();
                return self.by_randomness(threshold);
            }
        };
        if has_room { Vote::Sampled(Chance::Unknown) } else { Vote::NotSampled }
    }
}

/// Keeps if all keep; what stands behind one that does not is not asked.
fn all(nodes: &[Node], asking: &mut Asking<'_>) -> Vote {
    let mut chance = Chance::Known(Threshold::ALWAYS);
    for node in nodes {
        match (node.ask(asking), chance) {
            (Vote::Sampled(Chance::Known(next)), Chance::Known(before)) => chance = Chance::Known(before.max(next)),
            (Vote::Sampled(_), _) => chance = Chance::Unknown,
            (Vote::Error, _) => return Vote::Error,
            (Vote::NotSampled | Vote::Dropped, _) => return Vote::NotSampled,
        }
    }
    Vote::Sampled(chance)
}

/// FNV-1a of salt and trace ID.
fn hash(salt: &str, trace_id: &[u8; 16]) -> u64 {
    let bytes = salt.bytes().chain(*trace_id);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The finalizer of SplitMix64.
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
