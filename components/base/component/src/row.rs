//! Processors, and how a row of synchronous ones runs.
//!
//! Neighbours that [edit](Edit) share one edit: the payload is opened in front of the first and encoded behind the last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pdata::edit::OpenBatch;
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

    /// Itself, if it works on payloads under edit. A row then calls [`Edit::edit`] instead of [`Process::process`].
    fn as_edit(&self) -> Option<&dyn Edit> {
        None
    }

    /// The gate that receivers ask before they read a body for this processor's pipeline.
    fn gate(&self) -> Option<Arc<Gate>> {
        None
    }
}

/// A stateless processor that changes or drops items by editing them in place. Made a processor by
/// [`Processor::editing`].
pub trait Edit: Component {
    /// Works on `batch`. Items it drops it settles ([`OpenBatch::retain`] does); those that it refuses for good it
    /// settles as rejected and counts in its answer.
    ///
    /// # Errors
    /// A permanent [`DeliveryError`] when the batch as a whole cannot be processed. It carries no batch; the row hands
    /// back the batch as it came.
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError>;
}

/// An editing processor, standing alone.
struct Editing<E>(E);

impl<E: Edit> Component for Editing<E> {
    fn start<'a>(&'a self, host: &'a crate::Host) -> crate::BoxFuture<'a, Result<(), crate::StartError>> {
        self.0.start(host)
    }

    fn shutdown(&self, deadline: crate::Deadline) -> crate::BoxFuture<'_, Result<(), crate::ShutdownError>> {
        self.0.shutdown(deadline)
    }
}

impl<E: Edit> Process for Editing<E> {
    /// Rows call [`Edit::edit`]; what a batch alone cannot carry, the answer about rejected items, is lost here.
    fn process(&self, batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        let mut open = open(batch)?;
        let outcome = self.0.edit(&mut open);
        let batch = open.seal();
        match outcome {
            Ok(_) => Ok(some_items(batch)),
            Err(error) => Err(error.with_undelivered(batch)),
        }
    }

    fn mutates(&self) -> bool {
        true
    }

    fn as_edit(&self) -> Option<&dyn Edit> {
        Some(&self.0)
    }
}

/// Puts a batch under edit, or refuses it: over 2 GiB it cannot be edited, and must not get past a redaction unread.
fn open(batch: Batch) -> Result<OpenBatch, DeliveryError> {
    OpenBatch::new(batch).map_err(|(batch, error)| DeliveryError::permanent(error.to_string()).with_undelivered(batch))
}

fn some_items(batch: Batch) -> Option<Batch> {
    (batch.items() > 0).then_some(batch)
}

/// What a processor factory creates.
pub enum Processor {
    /// Stateless; the graph runs neighbours of this kind in one [`Row`].
    Sync(Arc<dyn Process>),
    /// Stateful: owns state and tasks, and hands on through the edge it was created with.
    Stateful(Arc<dyn crate::lifecycle::Stage>),
}

impl Processor {
    /// A processor that edits.
    #[must_use]
    pub fn editing(edit: impl Edit + 'static) -> Self {
        Self::Sync(Arc::new(Editing(edit)))
    }
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
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let original = self.mutates.then(|| (batch.payload().clone(), Arc::clone(batch.context())));
            let mut accepted = Accepted::all();
            let mut stage = Stage::Sealed(batch);
            let mut turn = Instant::now();
            for processor in &self.processors {
                if turn.elapsed() > TURN {
                    tokio::task::yield_now().await;
                    turn = Instant::now();
                }
                stage = match stage.through(&**processor, &mut accepted) {
                    Ok(Some(stage)) => stage,
                    Ok(None) => return Ok(accepted),
                    Err(error) => return Err(restore(error, original)),
                };
            }
            match self.next.consume(stage.seal()).await {
                Ok(further) => Ok(accepted.and(further)),
                Err(error) => Err(restore(error, original)),
            }
        })
    }
}

/// A batch between two processors of a row.
enum Stage {
    Sealed(Batch),
    Open(OpenBatch),
}

impl Stage {
    fn seal(self) -> Batch {
        match self {
            Self::Sealed(batch) => batch,
            Self::Open(open) => open.seal(),
        }
    }

    /// Through one processor. `None` when nothing is left.
    fn through(self, processor: &dyn Process, accepted: &mut Accepted) -> Result<Option<Self>, DeliveryError> {
        let Some(edit) = processor.as_edit() else {
            return Ok(processor.process(self.seal())?.map(Self::Sealed));
        };
        let mut open = match self {
            Self::Sealed(batch) => open(batch)?,
            Self::Open(open) => open,
        };
        match edit.edit(&mut open) {
            Ok(answer) => *accepted = std::mem::take(accepted).and(answer),
            Err(error) => return Err(error.with_undelivered(open.seal())),
        }
        Ok((open.editor().items() > 0).then_some(Self::Open(open)))
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
