//! What samplers of traces decided, for those who follow: samplers of log records.
//!
//! A sampler of traces answers under its component ID ([`Decisions::answer_as`]), once for each pipeline it is in; a follower
//! asks by that ID. One handle for the process, reached through the registry of metrics as the degraded mode is.
//! Nothing is told unasked: a follower holds what waits, and asks again. Only before it ends and forgets, a sampler lets its
//! followers ask once more ([`Decisions::last_call`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pdata::Context;

use crate::ComponentId;

/// What a kept trace says of how likely it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It was certain, or it is not to be written down: what is written stays.
    Same,
    /// As likely as randomness reaches this threshold, in parts of 2^56.
    Rejected(u64),
    /// Nobody can tell: what is written is not true any more.
    Unknown,
}

/// What is known of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It was kept.
    Kept(Weight),
    /// It was dropped.
    Dropped,
    /// It waits for its decision.
    Waits,
    /// Nothing.
    Unknown,
}

impl Answer {
    /// Whether it is decided.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Kept(_) | Self::Dropped)
    }
}

/// A sampler of traces.
pub trait Decides: Send + Sync {
    /// What is known of a trace of that sender, quickly and without waiting.
    fn decided(&self, context: &Context, trace_id: &[u8; 16]) -> Answer;
}

/// Who follows a sampler.
pub trait Follows: Send + Sync {
    /// Everything that waits for that sampler is to be asked for now.
    fn last_call(&self);
}

#[derive(Default)]
struct OfId {
    samplers: Vec<Weak<dyn Decides>>,
    followers: Vec<Weak<dyn Follows>>,
}

/// The samplers of traces of the process.
#[derive(Default)]
pub struct Decisions(Mutex<HashMap<ComponentId, OfId>>);

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decisions")
    }
}

impl Decisions {
    /// Lets a sampler answer under that ID for as long as it lives.
    pub fn answer_as<D: Decides + 'static>(&self, id: &ComponentId, sampler: &Arc<D>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samplers = &mut all.entry(id.clone()).or_default().samplers;
        samplers.retain(|sampler| sampler.strong_count() > 0);
        let sampler: Weak<D> = Arc::downgrade(sampler);
        samplers.push(sampler);
    }

    /// Lets a follower hear of the end of samplers of that ID for as long as it lives.
    pub fn follow<F: Follows + 'static>(&self, id: &ComponentId, follower: &Arc<F>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let followers = &mut all.entry(id.clone()).or_default().followers;
        followers.retain(|follower| follower.strong_count() > 0);
        let follower: Weak<F> = Arc::downgrade(follower);
        followers.push(follower);
    }

    /// Says that a sampler of that ID has decided about everything, and is about to forget.
    pub fn last_call(&self, id: &ComponentId) {
        let followers: Vec<Arc<dyn Follows>> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let of_id = all.get(id).into_iter().flat_map(|of_id| &of_id.followers);
            of_id.filter_map(Weak::upgrade).collect()
        };
        followers.iter().for_each(|follower| follower.last_call());
    }

    /// The samplers of that ID: one for each pipeline, and those that are being replaced.
    #[must_use]
    pub fn of(&self, id: &ComponentId) -> Deciders {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_id = all.get(id).into_iter().flat_map(|of_id| &of_id.samplers);
        Deciders(of_id.filter_map(Weak::upgrade).collect())
    }
}

/// The samplers of one ID.
pub struct Deciders(Vec<Arc<dyn Decides>>);

impl fmt::Debug for Deciders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deciders").field(&self.0.len()).finish()
    }
}

impl Deciders {
    /// What they know of a trace together: it is kept when one of them kept it.
    #[must_use]
    pub fn decided(&self, context: &Context, trace_id: &[u8; 16]) -> Answer {
        self.0.iter().map(|sampler| sampler.decided(context, trace_id)).min().unwrap_or(Answer::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(Answer);

    impl Decides for Always {
        fn decided(&self, _context: &Context, _trace_id: &[u8; 16]) -> Answer {
            self.0
        }
    }

    #[test]
    fn a_trace_is_kept_when_one_of_several_kept_it() {
        let decisions = Decisions::default();
        let id: ComponentId = "tail_sampling/a".parse().unwrap();
        let asked = || decisions.of(&id).decided(&Context::default(), &[1; 16]);
        assert_eq!(asked(), Answer::Unknown);
        let order = [Answer::Unknown, Answer::Waits, Answer::Dropped, Answer::Kept(Weight::Same)];
        let samplers: Vec<_> = order.map(|answer| Arc::new(Always(answer))).into();
        for sampler in &samplers {
            decisions.answer_as(&id, sampler);
            assert_eq!(asked(), sampler.0);
        }
        drop(samplers);
        assert_eq!(asked(), Answer::Unknown, "they are gone");
    }
}
