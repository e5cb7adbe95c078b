//! From what is known of an item to keeping or dropping it. Pure.
//!
//! All modes decide alike: an item is kept when its randomness reaches the threshold. `hash_seed` makes a randomness of
//! 56 bits from its hash of 14, so that stages that know only tracestate decide as it did.

use component::decisions::{Answer, Weight};
use sampling::{PROBABILITY_MIN, Randomness, Threshold};

use crate::config::{AttributeSource, Mode, SamplerConfig};

/// Buckets of `hash_seed`, as a power of two.
const BUCKET_BITS: u32 = 14;
const BUCKETS: u32 = 1 << BUCKET_BITS;

/// Where the randomness came from; the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A hash of the trace ID.
    TraceIdHash,
    /// The trace ID's own randomness.
    TraceIdW3c,
    /// `rv`, or `sampling.randomness`.
    SamplingRandomness,
    /// The priority decided.
    SamplingPriority,
    /// There was none.
    MissingRandomness,
    /// A hash of the attribute `from_attribute`.
    Attribute,
    /// The decision about its trace.
    TraceDecision,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TraceIdHash,
        Self::TraceIdW3c,
        Self::SamplingRandomness,
        Self::SamplingPriority,
        Self::MissingRandomness,
        Self::Attribute,
        Self::TraceDecision,
    ];

    /// The label.
    #[must_use]
    pub fn label(self, from_attribute: &str) -> &str {
        match self {
            Self::TraceIdHash => "trace_id_hash",
            Self::TraceIdW3c => "trace_id_w3c",
            Self::SamplingRandomness => "sampling_randomness",
            Self::SamplingPriority => "sampling_priority",
            Self::MissingRandomness => "missing_randomness",
            Self::Attribute => from_attribute,
            Self::TraceDecision => "trace_decision",
        }
    }
}

/// What an item asks for by its priority.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Priority {
    /// Nothing.
    #[default]
    None,
    /// A share of its own.
    Threshold(Threshold),
}

/// What is known of an item.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Trace ID, if it has one.
    pub trace_id: Option<&'a [u8; 16]>,
    /// What is hashed in place of a trace ID, if there is anything.
    pub attribute: Option<&'a [u8]>,
    /// Randomness that it carries.
    pub randomness: Option<Randomness>,
    /// Threshold that earlier stages wrote down.
    pub threshold: Option<Threshold>,
    /// Whether what it carries could be read; if not, nothing is written to it.
    pub is_readable: bool,
    /// Its priority.
    pub priority: Priority,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is kept.
    pub is_kept: bool,
    /// Whether it is dropped only because of the degraded mode.
    pub is_shed: bool,
    /// Where the randomness came from.
    pub policy: Policy,
    /// What a kept item carries from now on; `None` where it could not be read and stays as it is.
    pub carries: Option<Carried>,
}

/// Sampling information of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Randomness, where it is not the trace ID's own.
    pub randomness: Option<Randomness>,
    /// Threshold; [`Threshold::NEVER`] stands for none.
    pub threshold: Threshold,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Share {
    Nothing,
    Hashed { threshold: Threshold },
    Equalizing { threshold: Threshold },
    Proportional { ratio: f64, precision: u32 },
}

/// Decides about items.
#[derive(Clone, Copy, Debug)]
pub struct Decider {
    share: Share,
    /// FNV-1a of the seed: what hashes go on from.
    seeded: u32,
    fails_closed: bool,
    hashes_trace_id: bool,
    hashes_attribute: bool,
}

impl Decider {
    /// With the configured share, or that of a rule.
    #[must_use]
    pub fn new(config: &SamplerConfig, percentage: f64) -> Self {
        // The Collector reads the percentage in single precision, which moves thresholds of full precision.
        let percentage = (percentage as f32).min(100.0);
        let ratio = (f64::from(percentage) / 100.0).max(PROBABILITY_MIN);
        let precision = u32::try_from(config.sampling_precision).unwrap_or(4);
        let share = match config.mode {
            _ if percentage <= 0.0 => Share::Nothing,
            Mode::HashSeed => match (percentage * (BUCKETS as f32 / 100.0)) as u32 {
                0 => Share::Nothing,
                kept => {
                    let rejected = u64::from(BUCKETS.saturating_sub(kept));
                    Share::Hashed { threshold: Threshold::rejecting(rejected << (56 - BUCKET_BITS)) }
                }
            },
            Mode::Equalizing => Share::Equalizing {
                // Cannot fail, the ratio is in range.
                threshold: Threshold::of_probability(ratio, precision).unwrap_or(Threshold::NEVER),
            },
            Mode::Proportional => Share::Proportional { ratio, precision },
        };
        Self {
            share,
            seeded: fnv1a(FNV_BASIS, &config.hash_seed.to_le_bytes()),
            fails_closed: config.fail_closed,
            hashes_trace_id: config.attribute_source == AttributeSource::TraceId,
            hashes_attribute: !config.from_attribute.is_empty(),
        }
    }

    /// With the share of a rule for log records: one of 100 percent keeps what it describes whatever is known of it.
    #[must_use]
    pub fn of_rule(config: &SamplerConfig, percentage: f64) -> Self {
        let decider = Self::new(config, percentage);
        if percentage < 100.0 {
            return decider;
        }
        let share = match decider.share {
            // No precision may come between.
            Share::Proportional { .. } => Share::Equalizing { threshold: Threshold::ALWAYS },
            share => share,
        };
        Self { share, fails_closed: false, ..decider }
    }

    /// Decides about one.
    #[must_use]
    pub fn decide(&self, known: &Known<'_>) -> Decision {
        self.decide_above(known, Threshold::ALWAYS)
    }

    /// Decides about one whose threshold is to be `floor` at least: the degraded mode's. Items whose randomness is missing or
    /// whose sampling information contradicts itself are decided on as without it: no threshold could tell of them what
    /// they stand for.
    #[must_use]
    pub fn decide_above(&self, known: &Known<'_>, floor: Threshold) -> Decision {
        let (mut policy, randomness) = self.randomness(known);
        let mut carried = known.is_readable.then_some((known.randomness, known.threshold));
        let mut is_sound = known.is_readable;
        if let Share::Hashed { .. } = self.share {
            if known.randomness.is_some() || known.threshold.is_some() {
                // Another scheme is at work; what it wrote stays as it is.
                (is_sound, carried) = (false, None);
            } else if let Some((carries, _)) = &mut carried {
                *carries = randomness;
            }
        }
        let reached = randomness.unwrap_or(Randomness::MAX);
        if policy == Policy::MissingRandomness {
            is_sound = false;
        } else if let Some((_, Some(before))) = carried
            && is_sound
            && self.share != Share::Nothing
            && !before.keeps(reached)
        {
            // It should not have come this far, so its threshold says nothing.
            is_sound = false;
            carried = carried.map(|(randomness, _)| (randomness, None));
        }
        let mut threshold = match (is_sound, self.share) {
            (false, _) if self.share == Share::Nothing => Threshold::NEVER,
            (false, _) if self.fails_closed => Threshold::NEVER,
            (false, _) => Threshold::ALWAYS,
            (true, Share::Nothing) => Threshold::NEVER,
            (true, Share::Hashed { threshold }) => threshold,
            (true, Share::Equalizing { threshold }) => {
                known.threshold.map_or(threshold, |before| before.max(threshold))
            }
            (true, Share::Proportional { ratio, precision }) => {
                let before = known.threshold.map_or(1.0, Threshold::probability);
                // Below what can be expressed, nothing is kept.
                Threshold::of_probability(before * ratio, precision).unwrap_or(Threshold::NEVER)
            }
        };
        if let Priority::Threshold(asked) = known.priority {
            (threshold, policy) = (asked, Policy::SamplingPriority);
        }
        let without = threshold;
        if is_sound && randomness.is_some() {
            threshold = threshold.max(floor);
        }
        let carries = carried.map(|(randomness, before)| Carried {
            randomness,
            // A kept item cannot come to stand for fewer than it does.
            threshold: before.map_or(threshold, |before| before.max(threshold)),
        });
        let is_kept = threshold.keeps(reached);
        Decision { is_kept, is_shed: !is_kept && without.keeps(reached), policy, carries }
    }

    fn randomness(&self, known: &Known<'_>) -> (Policy, Option<Randomness>) {
        let missing = (Policy::MissingRandomness, None);
        match self.share {
            // Not used, and not missed.
            Share::Nothing => (Policy::SamplingPriority, None),
            Share::Hashed { .. } => {
                let trace_id = known.trace_id.filter(|_| self.hashes_trace_id);
                let attribute = known.attribute.filter(|bytes| self.hashes_attribute && !bytes.is_empty());
                match (trace_id, attribute) {
                    (Some(id), _) => (Policy::TraceIdHash, Some(hashed(id, self.seeded))),
                    (None, Some(bytes)) => (Policy::Attribute, Some(hashed(bytes, self.seeded))),
                    (None, None) => missing,
                }
            }
            _ if !known.is_readable => missing,
            _ => match (known.randomness, known.trace_id) {
                (Some(randomness), _) => (Policy::SamplingRandomness, Some(randomness)),
                (None, Some(id)) => (Policy::TraceIdW3c, Some(Randomness::of_trace_id(id))),
                (None, None) => missing,
            },
        }
    }
}

/// What becomes of a record that follows the decision about its trace; `None` where there is none.
#[must_use]
pub fn follow(known: &Known<'_>, answer: Answer) -> Option<Decision> {
    let policy = Policy::TraceDecision;
    let weight = match answer {
        Answer::Kept(weight) => weight,
        Answer::Dropped => return Some(Decision { is_kept: false, is_shed: false, policy, carries: None }),
        Answer::Waits | Answer::Unknown => return None,
    };
    let own = known.trace_id.map_or(Randomness::MAX, Randomness::of_trace_id);
    let randomness = known.randomness.unwrap_or(own);
    let threshold = match weight {
        Weight::Same => None,
        Weight::Unknown => known.threshold.map(|_| Threshold::NEVER),
        Weight::Rejected(rejected) => {
            let threshold = known.threshold.map_or(Threshold::ALWAYS, |before| before);
            let threshold = threshold.max(Threshold::rejecting(rejected));
            // What does not reach it was not kept by it, so nobody can tell.
            Some(if threshold.keeps(randomness) { threshold } else { Threshold::NEVER })
        }
    };
    let carried = |threshold| Carried { randomness: known.randomness, threshold };
    let carries = threshold.filter(|_| known.is_readable).map(carried);
    Some(Decision { is_kept: true, is_shed: false, policy, carries })
}

/// What FNV-1a starts with, for 32 bits.
const FNV_BASIS: u32 = 0x811c_9dc5;

/// FNV-1a of more bytes, after those that `hash` is of.
fn fnv1a(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Randomness whose first 14 bits are those of the FNV-1a hash of seed and bytes, upside down: the hash is compared by
/// "below", randomness by "reaches". The other bits fill up what the hash has left.
fn hashed(bytes: &[u8], seeded: u32) -> Randomness {
    let hash = fnv1a(seeded, bytes);
    let bucket = u64::from(hash & (BUCKETS - 1));
    // The reference takes the first 14 bits here, not all 18 that are left.
    let unused = u64::from(hash >> (u32::BITS - BUCKET_BITS));
    let mixed = unused ^ unused << 10;
    Randomness::new((u64::from(BUCKETS) - 1 - bucket) << 42 | mixed << 14 | bucket)
}

#[cfg(test)]
mod tests;
