//! A consumer at the end of a test: records what it takes, answers as told.
//!
//! Items it takes are settled as delivered. What it records holds no stake, so records do not disturb the books.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::{Accepted, ConsumeFuture, Consumer, DeliveryError};
use pdata::{Batch, Context, Outcome, Payload};
use tokio::sync::watch;

use crate::items;

/// What a [`Sink`] does with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Accept,
    /// Takes it after a while.
    AcceptAfter(Duration),
    /// A retryable error that hands it back.
    Retryable,
    /// A retryable error that hands it back and names a delay.
    RetryAfter(Duration),
    /// A permanent error; the items are settled as rejected.
    Permanent,
    /// A permanent error that hands it back.
    PermanentHandBack,
    /// Takes it, and settles this many of its items as rejected.
    Reject(u64),
    /// Waits until [`Sink::release`], then takes it.
    Stall,
}

/// A batch that a [`Sink`] took.
#[derive(Clone, Debug)]
pub struct Received {
    /// The telemetry.
    pub payload: Payload,
    /// What came with it.
    pub context: Arc<Context>,
}

impl Received {
    /// Numbers of its items, see [`items::numbers`]. Empty when the reference implementation cannot read it.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        items::numbers(&self.payload).unwrap_or_default()
    }
}

/// See the module's head.
#[derive(Debug)]
pub struct Sink {
    state: Mutex<State>,
    /// Items taken so far; wakes those who wait.
    taken_items: watch::Sender<u64>,
    released: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    then: Answer,
    received: Vec<Received>,
    attempts: u64,
}

impl Sink {
    /// Takes everything.
    #[must_use]
    pub fn accepting() -> Arc<Self> {
        Self::scripted([], Answer::Accept)
    }

    /// Always answers the same.
    #[must_use]
    pub fn answering(answer: Answer) -> Arc<Self> {
        Self::scripted([], answer)
    }

    /// Answers `script` one by one, `then` for ever.
    #[must_use]
    pub fn scripted(script: impl IntoIterator<Item = Answer>, then: Answer) -> Arc<Self> {
        let state = State { script: script.into_iter().collect(), then, received: Vec::new(), attempts: 0 };
        Arc::new(Self {
            state: Mutex::new(state),
            taken_items: watch::Sender::new(0),
            released: watch::Sender::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what it answers from now on.
    pub fn answer(&self, then: Answer) {
        let mut state = self.lock();
        state.script.clear();
        state.then = then;
    }

    /// Lets stalled batches through, now and later.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// Batches it took, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// Numbers of the items it took, batch by batch.
    #[must_use]
    pub fn numbers(&self) -> Vec<Vec<u64>> {
        self.received().iter().map(Received::numbers).collect()
    }

    /// Sizes in items of the batches it took.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        self.lock().received.iter().map(|received| received.payload.items()).collect()
    }

    /// Items it took.
    #[must_use]
    pub fn items(&self) -> u64 {
        *self.taken_items.borrow()
    }

    /// Batches handed to it, whatever it answered.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.lock().attempts
    }

    /// Waits until it has taken at least `items` items.
    pub async fn wait_for_items(&self, items: u64) {
        // The sender lives in self, so the channel cannot be closed.
        let mut taken = self.taken_items.subscribe();
        let _seen = taken.wait_for(|taken| *taken >= items).await;
    }

    fn take(&self, mut batch: Batch, rejected: u64) {
        let received = Received { payload: batch.payload().clone(), context: Arc::clone(batch.context()) };
        let items = batch.items();
        self.lock().received.push(received);
        batch.stake_mut().settle_range(0, rejected, Outcome::Rejected);
        batch.settle(Outcome::Delivered);
        self.taken_items.send_modify(|taken| *taken += items);
    }
}

impl Consumer for Sink {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let answer = {
                let mut state = self.lock();
                state.attempts += 1;
                let next = state.script.pop_front();
                next.unwrap_or_else(|| state.then.clone())
            };
            match answer {
                Answer::Accept => self.take(batch, 0),
                Answer::AcceptAfter(delay) => {
                    tokio::time::sleep(delay).await;
                    self.take(batch, 0);
                }
                Answer::Stall => {
                    let mut released = self.released.subscribe();
                    // The sender lives in self, so the channel cannot be closed.
                    drop(released.wait_for(|released| *released).await);
                    self.take(batch, 0);
                }
                Answer::Reject(rejected_items) => {
                    self.take(batch, rejected_items);
                    return Ok(Accepted { rejected_items, message: Some("the sink rejects some".into()) });
                }
                Answer::Retryable => return Err(DeliveryError::retryable("the sink is busy", batch)),
                Answer::RetryAfter(delay) => {
                    return Err(DeliveryError::retryable("the sink is busy", batch).with_retry_after(delay));
                }
                Answer::Permanent => {
                    batch.settle(Outcome::Rejected);
                    return Err(DeliveryError::permanent("the sink refuses for good"));
                }
                Answer::PermanentHandBack => {
                    return Err(DeliveryError::permanent("the sink refuses for good").with_undelivered(batch));
                }
            }
            Ok(Accepted::all())
        })
    }
}
