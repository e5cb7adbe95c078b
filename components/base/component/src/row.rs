//! Processors, and how a row of synchronous ones runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pdata::{Batch, Gate};

use crate::consumer::{Accepted, ConsumeFuture, Consumer};
use crate::edge::Edge;
use crate::error::DeliveryError;
use crate::lifecycle::Component;

/// A stateless processor: synchronous, without I/O.
pub trait Process: Component {
    /// Works on `batch`. `Ok(None)`: everything in it was dropped and settled.
    ///
    /// # Errors
    /// A [`DeliveryError`] that hands the batch back (refused), or says that its items were settled as dropped.
    fn process(&self, batch: Batch) -> Result<Option<Batch>, DeliveryError>;

    /// Whether it may change telemetry. Rows hand back the batch as it came when something behind them fails, and need
    /// to keep it for that only if something changed it.
    fn mutates(&self) -> bool;

    /// The gate that receivers ask before they read a body for this processor's pipeline.
    fn gate(&self) -> Option<Arc<Gate>> {
        None
    }
}

/// What a processor factory creates.
pub enum Processor {
    /// Stateless; the graph runs neighbours of this kind in one [`Row`].
    Sync(Arc<dyn Process>),
    /// Stateful: owns state and tasks, and hands on through the edge it was created with.
    Stateful(Arc<dyn crate::lifecycle::Stage>),
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sync(_) => "Processor::Sync",
            Self::Stateful(_) => "Processor::Stateful",
        })
    }
}

/// No worker thread is held longer than about this before others get a turn.
const TURN: Duration = Duration::from_millis(2);

/// Runs processors one after another, without task or channel in between, then hands on.
pub struct Row {
    processors: Vec<Arc<dyn Process>>,
    mutates: bool,
    next: Edge,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("processors", &self.processors.len()).field("next", &self.next).finish()
    }
}

impl Row {
    /// A row in front of `next`.
    #[must_use]
    pub fn new(processors: Vec<Arc<dyn Process>>, next: Edge) -> Self {
        let mutates = processors.iter().any(|processor| processor.mutates());
        Self { processors, mutates, next }
    }
}

impl Consumer for Row {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let original = self.mutates.then(|| (batch.payload().clone(), Arc::clone(batch.context())));
            let mut turn = Instant::now();
            for processor in &self.processors {
                if turn.elapsed() > TURN {
                    tokio::task::yield_now().await;
                    turn = Instant::now();
                }
                batch = match processor.process(batch) {
                    Ok(Some(batch)) => batch,
                    Ok(None) => return Ok(Accepted::all()),
                    Err(error) => return Err(restore(error, original)),
                };
            }
            self.next.consume(batch).await.map_err(|error| restore(error, original))
        })
    }
}

type Original = (pdata::Payload, Arc<pdata::Context>);

/// Puts back the telemetry as it came: a retry runs through the row again, and processing twice would hash a hash.
fn restore(mut error: DeliveryError, original: Option<Original>) -> DeliveryError {
    let Some((payload, context)) = original else { return error };
    let Some(mut back) = error.take_undelivered() else { return error };
    back.rewind(payload, context);
    error.with_undelivered(back)
}
