//! Who takes batches.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use pdata::Batch;

use crate::error::DeliveryError;

/// The answer of a consumer that took responsibility.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Items refused for good, already settled as such. Answered as OTLP partial success.
    pub rejected_items: u64,
    /// Why, or a warning when nothing was rejected; empty for neither.
    pub message: Option<Arc<str>>,
}

impl Accepted {
    /// Everything was taken.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Adds what another branch or part answered.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rejected_items += other.rejected_items;
        self.message = match (self.message, other.message) {
            (Some(mine), Some(theirs)) if mine != theirs => Some(format!("{mine}; {theirs}").into()),
            (mine, theirs) => mine.or(theirs),
        };
        self
    }
}

/// What comes back from handing over a batch.
pub type ConsumeResult = Result<Accepted, DeliveryError>;

/// The future of a hand-over.
pub type ConsumeFuture<'a> = Pin<Box<dyn Future<Output = ConsumeResult> + Send + 'a>>;

/// What a component knows beside the batches it holds, for a successor of the same type.
pub type Memory = Box<dyn Any + Send>;

/// Takes batches. Processors, connectors and exporters are consumers; they are reached through an
/// [`Edge`](crate::Edge).
pub trait Consumer: Send + Sync {
    /// Takes `batch`, or hands back what it does not take inside the error. Not to be dropped before it ends.
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_>;

    /// Takes what a predecessor (see [`Component::hand_over`](crate::Component::hand_over)) had acknowledged and still
    /// holds. There is nobody left to refuse: it is taken beyond the component's own bounds, which then refuses other input
    /// until it is back within them. What the predecessor held was within the predecessor's bounds, so bounds can be
    /// exceeded, but not pile up. Does not wait for the outcome.
    ///
    /// An error that hands the batch back says that this component has stopped.
    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        self.consume(batch)
    }

    /// Takes what a predecessor knows beside its batches, such as decisions that later input has to follow. Comes before
    /// the batches of [`Consumer::inherit`]. What the component does not recognise, it forgets, and by default everything.
    fn inherit_memory(&self, memory: Memory) {
        drop(memory);
    }
}

impl<C: Consumer + ?Sized> Consumer for Arc<C> {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        (**self).consume(batch)
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        (**self).inherit(batch)
    }

    fn inherit_memory(&self, memory: Memory) {
        (**self).inherit_memory(memory);
    }
}

/// Runs `work` in a task of its own, so that a client that goes away (HTTP servers drop a request's future when the
/// peer resets the stream) cannot stop it half way; only its answer is discarded then. A panic inside becomes `None`.
pub async fn run_to_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}
