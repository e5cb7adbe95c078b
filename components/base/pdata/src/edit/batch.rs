//! A batch in a row of processors, its payload under edit.

use std::sync::Arc;

use crate::batch::Batch;
use crate::context::Context;
use crate::ledger::{Outcome, Stake};
use crate::payload::Payload;

use super::{EditError, Editor, Level, Place, Walk};

/// A [`Batch`] whose payload is under edit. Whoever removes items settles them in [`OpenBatch::stake_mut`], from the
/// place of each among the items that were left before.
#[derive(Debug)]
#[must_use = "dropping a batch is a loss in the books; seal it"]
pub struct OpenBatch {
    editor: Editor,
    /// Everything but the telemetry.
    rest: Batch,
}

impl OpenBatch {
    /// Puts the payload of a batch under edit.
    ///
    /// # Errors
    /// [`EditError::TooLarge`], with the batch, when a segment is larger than 2 GiB.
    pub fn new(mut batch: Batch) -> Result<Self, (Batch, EditError)> {
        // Segments are handles; the copy is for handing the batch back.
        match Editor::new(batch.payload().clone()) {
            Ok(editor) => {
                batch.set_payload(Payload::empty(batch.signal()));
                Ok(Self { editor, rest: batch })
            }
            Err(error) => Err((batch, error)),
        }
    }

    /// Ends the edit, see [`Editor::seal`].
    pub fn seal(mut self) -> Batch {
        self.rest.set_payload(self.editor.seal());
        self.rest
    }

    /// Visits every group, scope group, metric or item, in order, and removes those of which `keep` says so; their
    /// items are settled with `outcome`. Returns how many items that were.
    ///
    /// # Errors
    /// The first that `keep` returns. What was removed before stays removed.
    pub fn retain<E>(
        &mut self,
        level: Level,
        outcome: Outcome,
        mut keep: impl FnMut(&mut Editor, &Context, &Place) -> Result<bool, E>,
    ) -> Result<u64, E> {
        let context = Arc::clone(self.rest.context());
        let mut walk = Walk::new(&self.editor, level);
        // Items next to each other leave the books in one move.
        let (mut position, mut pending, mut removed) = (0, 0, 0);
        let mut result = Ok(());
        while let Some(place) = walk.next(&mut self.editor) {
            let kept = match keep(&mut self.editor, &context, &place) {
                Ok(kept) => kept,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let items = u64::from(self.editor.items_at(place.at()));
            if kept {
                self.rest.stake_mut().settle_range(position, std::mem::take(&mut pending), outcome);
                position += items;
            } else if self.editor.remove(place.at()) {
                pending += items;
                removed += items;
            }
        }
        self.rest.stake_mut().settle_range(position, pending, outcome);
        result.map(|()| removed)
    }

    /// The telemetry.
    #[must_use]
    pub fn editor(&self) -> &Editor {
        &self.editor
    }

    /// The telemetry, to be changed.
    pub fn editor_mut(&mut self) -> &mut Editor {
        &mut self.editor
    }

    /// Who sent it.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        self.rest.context()
    }

    /// Replaces the context.
    pub fn set_context(&mut self, context: Arc<Context>) {
        self.rest.set_context(context);
    }

    /// The telemetry, the ledger's side of the items, and who sent it, all at once.
    pub fn parts_mut(&mut self) -> (&mut Editor, &mut Stake, &Context) {
        let (stake, context) = self.rest.stake_and_context();
        (&mut self.editor, stake, context)
    }

    /// The ledger's side of the items.
    pub fn stake_mut(&mut self) -> &mut Stake {
        self.rest.stake_mut()
    }
}
