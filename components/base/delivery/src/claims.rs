//! Which items of a request belong to which record, and what becomes of them.
//!
//! A [`Request`] is what one attempt sends: items of one or several records, in order. Whatever ends it ([`Request::delivered`]
//! and its siblings) settles the items in the ledger and answers their records; a record's last answer commits it, gives
//! it back, or wakes the sender that waits for the outcome.
//!
//! Invariant: the claims of a request cover its items exactly.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::{Accepted, Code, ConsumeResult, DeliveryError};
use pdata::batch::Pending;
use pdata::{Batch, Outcome};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::queue::{Queue, Record, Ticket};
use crate::transport::SendError;

/// Why a request ended without an answer that helps.
#[derive(Debug)]
struct Failure {
    message: String,
    code: Option<Code>,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(prefix: &str, error: &SendError) -> Self {
        Self { message: format!("{prefix}: {error}"), code: error.code(), retry_after: error.retry_after() }
    }
}

/// What became of a record's items, summed up for the sender that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    delivered_items: u64,
    rejected_items: u64,
    message: Option<Arc<str>>,
    /// The destination refused a whole request for good.
    rejection: Option<Failure>,
    /// Attempts ended.
    failure: Option<Failure>,
    undelivered: Option<Batch>,
    /// Some of that was not sent because the exporter ends.
    unsent: bool,
    /// Something ended without saying how (a panic).
    unanswered: bool,
}

impl Tally {
    /// The answer for the sender; `pending` is what its batch carried.
    pub(crate) fn into_result(self, pending: Pending) -> ConsumeResult {
        let with_code = |error: DeliveryError, code: Option<Code>| match code {
            Some(code) => error.with_code(code),
            None => error,
        };
        if let Some(mut undelivered) = self.undelivered {
            undelivered.restore_pending(pending);
            let failure = self.failure.unwrap_or_else(|| Failure {
                message: "sending ended before it was done".into(),
                code: None,
                retry_after: None,
            });
            let error = with_code(DeliveryError::retryable(failure.message, undelivered), failure.code);
            return Err(match failure.retry_after {
                Some(delay) => error.with_retry_after(delay),
                None => error,
            });
        }
        if self.unanswered {
            return Err(DeliveryError::permanent("sending ended without an outcome"));
        }
        match self.rejection {
            Some(rejection) if self.delivered_items == 0 => {
                Err(with_code(DeliveryError::permanent(rejection.message), rejection.code))
            }
            Some(rejection) => Ok(Accepted {
                rejected_items: self.rejected_items,
                message: self.message.or_else(|| Some(rejection.message.into())),
            }),
            None => Ok(Accepted { rejected_items: self.rejected_items, message: self.message }),
        }
    }

    /// When there are items that were not sent because the exporter ends: those, with the `pending` of their batch, and the
    /// answer about the others.
    pub(crate) fn take_unsent(&mut self, pending: &Pending) -> Option<(Batch, Accepted)> {
        let mut batch = self.undelivered.take_if(|_| self.unsent)?;
        batch.restore_pending(pending.clone());
        let rejection = self.rejection.take().map(|rejection| rejection.message.into());
        Some((batch, Accepted { rejected_items: self.rejected_items, message: self.message.take().or(rejection) }))
    }

    fn take_back(&mut self, batch: Batch, failure: Failure) {
        self.failure = Some(failure);
        match &mut self.undelivered {
            Some(earlier) => earlier.append(batch),
            none => *none = Some(batch),
        }
    }
}

/// The end at which a record's outcome is told.
#[derive(Debug)]
pub(crate) struct Waiter(oneshot::Sender<Tally>);

impl Waiter {
    /// A waiter and where it gets the outcome.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Tally>) {
        let (tell, hear) = oneshot::channel();
        (Self(tell), hear)
    }

    /// Tells that nothing of `batch` was sent, because the exporter ends.
    pub(crate) fn unsent(self, batch: Batch) {
        let mut tally = Tally { unsent: true, ..Tally::default() };
        let message = "shutdown deadline passed before it could be sent".to_owned();
        tally.take_back(batch, Failure { message, code: None, retry_after: None });
        self.tell(tally);
    }

    fn tell(self, tally: Tally) {
        // Nobody hears it when the task that waited is gone: then nobody is left to try again either.
        if let Err(Tally { undelivered: Some(batch), .. }) = self.0.send(tally) {
            batch.settle(Outcome::Dropped("sender_gone"));
        }
    }
}

/// A record some of whose items are not answered yet.
struct Open {
    /// `None` for a request that never was in a queue.
    source: Option<(Arc<dyn Queue>, Ticket)>,
    outstanding: AtomicU64,
    waits: bool,
    state: Mutex<OpenState>,
}

#[derive(Default)]
struct OpenState {
    waiter: Option<Waiter>,
    tally: Tally,
    given_back: Vec<Batch>,
}

impl Open {
    fn new(source: Option<(Arc<dyn Queue>, Ticket)>, items: u64, waiter: Option<Waiter>) -> Arc<Self> {
        let waits = waiter.is_some();
        let state = Mutex::new(OpenState { waiter, ..OpenState::default() });
        Arc::new(Self { source, outstanding: AtomicU64::new(items), waits, state })
    }

    fn lock(&self) -> MutexGuard<'_, OpenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `items` more are answered.
    fn answered(&self, items: u64) {
        if self.outstanding.fetch_sub(items, Ordering::AcqRel) > items {
            return;
        }
        let OpenState { waiter, tally, given_back } = std::mem::take(&mut *self.lock());
        if let Some((queue, ticket)) = &self.source {
            if given_back.is_empty() {
                queue.commit(*ticket);
            } else {
                queue.give_back(*ticket, given_back);
            }
        }
        if let Some(waiter) = waiter {
            waiter.tell(tally);
        }
    }
}

struct Claim {
    record: Arc<Open>,
    items: u64,
}

/// Runs of items and the records they belong to, in the order of the items. What is dropped without an answer counts as
/// answered, so that a queue does not lose room to a panic.
#[derive(Default)]
struct Claims(SmallVec<[Claim; 1]>);

impl Claims {
    fn split_front(&mut self, items: u64) -> Self {
        let mut front = Self::default();
        let mut wanted = items;
        while wanted > 0
            && let Some(claim) = self.0.first_mut()
        {
            let taken = wanted.min(claim.items);
            claim.items -= taken;
            wanted -= taken;
            front.0.push(Claim { record: Arc::clone(&claim.record), items: taken });
            if claim.items == 0 {
                self.0.remove(0);
            }
        }
        front
    }

    /// Answers every claim after `note` has noted in its record's state what happened.
    fn answer(mut self, mut note: impl FnMut(&Claim, &mut OpenState)) {
        for claim in std::mem::take(&mut self.0) {
            note(&claim, &mut claim.record.lock());
            claim.record.answered(claim.items);
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        for claim in std::mem::take(&mut self.0) {
            claim.record.lock().tally.unanswered = true;
            claim.record.answered(claim.items);
        }
    }
}

/// What became of the items of a request that ended without success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Dropped or rejected.
    pub(crate) lost_items: u64,
    /// Handed back to senders that wait.
    pub(crate) handed_back_items: u64,
    /// Given back to the queue.
    pub(crate) kept_items: u64,
}

/// Items on their way to the destination, in one request.
pub(crate) struct Request {
    batch: Batch,
    claims: Claims,
    deadline: Option<Instant>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("items", &self.batch.items()).field("records", &self.claims.0.len()).finish()
    }
}

impl Request {
    /// The whole of a record of `queue`.
    pub(crate) fn of_record(record: Record, queue: &Arc<dyn Queue>) -> Self {
        let Record { ticket, entry } = record;
        let items = entry.batch.items();
        let open = Open::new(Some((Arc::clone(queue), ticket)), items, entry.waiter);
        Self {
            batch: entry.batch,
            claims: Claims(SmallVec::from_iter([Claim { record: open, items }])),
            deadline: None,
        }
    }

    /// A batch that goes out while its sender waits.
    pub(crate) fn direct(batch: Batch, waiter: Waiter) -> Self {
        let items = batch.items();
        let deadline = batch.context().deadline.map(Instant::from_std);
        let open = Open::new(None, items, Some(waiter));
        Self { batch, claims: Claims(SmallVec::from_iter([Claim { record: open, items }])), deadline }
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    pub(crate) fn items(&self) -> u64 {
        self.batch.items()
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.batch.encoded_len()
    }

    /// When its sender stops waiting; `None` for what comes from a queue.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Appends the items of `other`, whose context must merge.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.claims.0.append(&mut other.claims.0);
        self.batch.append(other.batch);
    }

    /// Splits it so that each part has at most that many items and bytes (bytes: at least one item each).
    pub(crate) fn split(self, items_max: Option<u64>, bytes_max: Option<usize>) -> Vec<Self> {
        let Self { batch, mut claims, deadline } = self;
        let parts = batch.split_max(items_max, bytes_max).into_iter();
        parts.map(|batch| Self { claims: claims.split_front(batch.items()), batch, deadline }).collect()
    }

    /// The destination took it, but for the items it refused. It does not say which, so they are booked on the first.
    pub(crate) fn delivered(self, accepted: &Accepted) {
        let (_, _, mut stake) = self.batch.into_parts();
        let mut rejected_left = accepted.rejected_items;
        self.claims.answer(|claim, state| {
            let rejected = rejected_left.min(claim.items);
            rejected_left -= rejected;
            stake.split_front(rejected).settle(Outcome::Rejected);
            stake.split_front(claim.items - rejected).settle(Outcome::Delivered);
            if claim.record.waits {
                state.tally.delivered_items += claim.items - rejected;
                state.tally.rejected_items += rejected;
                state.tally.message = state.tally.message.take().or_else(|| accepted.message.clone());
            }
        });
    }

    /// The destination refused all of it for good.
    pub(crate) fn rejected(self, error: &SendError) -> Ended {
        let lost_items = self.items();
        self.batch.settle(Outcome::Rejected);
        self.claims.answer(|claim, state| {
            if claim.record.waits {
                state.tally.rejected_items += claim.items;
                state.tally.rejection = Some(Failure::new("not retryable error", error));
            }
        });
        Ended { lost_items, ..Ended::default() }
    }

    /// No further attempt: senders that wait get their items back, the others' are dropped with `reason`.
    pub(crate) fn failed(self, error: &SendError, why: &str, reason: &'static str) -> Ended {
        self.end(|claim, state, batch, ended| {
            if claim.record.waits {
                ended.handed_back_items += batch.items();
                state.tally.take_back(batch, Failure::new(why, error));
            } else {
                ended.lost_items += batch.items();
                batch.settle(Outcome::Dropped(reason));
            }
        })
    }

    /// The exporter ends before they were sent: senders that wait get their items back, the others' go back to the queue.
    pub(crate) fn unsent(self) -> Ended {
        self.end(|claim, state, batch, ended| {
            if claim.record.waits {
                ended.handed_back_items += batch.items();
                let message = "shutdown deadline passed before it was delivered".to_owned();
                state.tally.unsent = true;
                state.tally.take_back(batch, Failure { message, code: None, retry_after: None });
            } else {
                ended.kept_items += batch.items();
                state.given_back.push(batch);
            }
        })
    }

    /// Gives each claim its part of the batch.
    fn end(self, mut each: impl FnMut(&Claim, &mut OpenState, Batch, &mut Ended)) -> Ended {
        let mut ended = Ended::default();
        let mut rest = Some(self.batch);
        let mut claims_left = self.claims.0.len();
        self.claims.answer(|claim, state| {
            claims_left -= 1;
            let part = match &mut rest {
                Some(batch) if claims_left > 0 => Some(batch.split_front_items(claim.items)),
                last => last.take(),
            };
            if let Some(part) = part {
                each(claim, state, part, &mut ended);
            }
        });
        ended
    }
}
