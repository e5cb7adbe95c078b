//! What flows through pipelines: telemetry, its context, and its stake in the ledger.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::context::Context;
use crate::ledger::{Outcome, Stake};
use crate::payload::Payload;
use crate::signal::Signal;

/// A group of items on its way. Not `Clone`: a further copy is a move in the books, see [`Batch::copy`].
#[derive(Debug)]
#[must_use = "dropping a batch is a loss in the books; settle it or pass it on"]
pub struct Batch {
    payload: Payload,
    context: Arc<Context>,
    stake: Stake,
    pending: Pending,
}

/// Which branches of which fan-outs still lack a batch that was handed back: pairs of fan-out and bit set.
pub type Pending = SmallVec<[(u32, u64); 1]>;

impl Batch {
    /// A batch that no account knows yet; entering a pipeline opens its stake.
    pub fn new(payload: Payload, context: Arc<Context>) -> Self {
        Self { payload, context, stake: Stake::none(), pending: Pending::new() }
    }

    /// A batch from its parts.
    pub fn from_parts(payload: Payload, context: Arc<Context>, stake: Stake) -> Self {
        Self { payload, context, stake, pending: Pending::new() }
    }

    /// The parts, for components that hold items in their own form. The stake must be settled or reunited with a batch.
    pub fn into_parts(self) -> (Payload, Arc<Context>, Stake) {
        (self.payload, self.context, self.stake)
    }

    /// What it carries.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.payload.signal()
    }

    /// Spans, data points or log records.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.payload.items()
    }

    /// Size of the serialized request in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.payload.encoded_len()
    }

    /// The telemetry.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Replaces the telemetry by what an edit made of it. Items must be the same in number; removing or adding some goes
    /// through [`Batch::stake_mut`] first.
    pub fn set_payload(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// Who sent it.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Replaces the context.
    pub fn set_context(&mut self, context: Arc<Context>) {
        self.context = context;
    }

    /// The ledger's side of the items.
    pub fn stake(&self) -> &Stake {
        &self.stake
    }

    /// The ledger's side of the items.
    pub fn stake_mut(&mut self) -> &mut Stake {
        &mut self.stake
    }

    /// The ledger's side of the items, and who sent it.
    pub(crate) fn stake_and_context(&mut self) -> (&mut Stake, &Context) {
        (&mut self.stake, &self.context)
    }

    /// Replaces the stake and returns the old one.
    pub fn replace_stake(&mut self, stake: Stake) -> Stake {
        std::mem::replace(&mut self.stake, stake)
    }

    /// A fan-out copy: shares the bytes, registered in the books.
    pub fn copy(&self) -> Self {
        Self {
            payload: self.payload.clone(),
            context: Arc::clone(&self.context),
            stake: self.stake.copy(),
            pending: self.pending.clone(),
        }
    }

    /// Appends the items of `other`, whose context must [merge](Context::merges_with); the first context stays, but for its
    /// trace when the other's is not the same. Moves no bytes.
    pub fn append(&mut self, other: Self) {
        if self.context.trace.is_some() && self.context.trace != other.context.trace {
            Arc::make_mut(&mut self.context).trace = None;
        }
        self.payload.append(other.payload);
        self.stake.merge(other.stake);
    }

    /// Puts back telemetry and context as they were before something changed or delivered part of them, for a retry of the
    /// whole. Items that come back without a stake enter the books as derived; excess stakes leave as refused.
    pub fn rewind(&mut self, payload: Payload, context: Arc<Context>) {
        let (items, known) = (payload.items(), self.stake.items());
        if known < items {
            let derived = self.stake.derive(items - known);
            self.stake.merge(derived);
        } else {
            self.stake.split_front(known - items).settle(Outcome::Refused);
        }
        self.payload = payload;
        self.context = context;
    }

    /// The fan-out branches that still lack this batch, when it was handed back.
    #[must_use]
    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Puts back what [`Batch::pending`] returned.
    pub fn restore_pending(&mut self, pending: Pending) {
        self.pending = pending;
    }

    /// Notes that only `branches` (a bit set) of `fanout` still lack it.
    pub fn set_pending(&mut self, fanout: u32, branches: u64) {
        self.pending.retain(|(id, _)| *id != fanout);
        self.pending.push((fanout, branches));
    }

    /// Takes the note for `fanout`.
    pub fn take_pending(&mut self, fanout: u32) -> Option<u64> {
        let at = self.pending.iter().position(|(id, _)| *id == fanout)?;
        Some(self.pending.remove(at).1)
    }

    /// Says where all its items went.
    pub fn settle(self, outcome: Outcome) {
        self.stake.settle(outcome);
    }
}
