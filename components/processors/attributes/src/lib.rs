//! The `attributes` processor: changes the attributes of spans, log records and data points.
//!
//! Of spans these are the span's own attributes, not those of its events and links; of metrics, those of all data points.
//! Items that `include` and `exclude` leave alone are not touched.
//!
//! Left to others: which items (`matching`), what is done (`actions`), the edit itself (`pdata::edit`).

pub mod config;

use actions::{Actions, Bound};
use component::{Accepted, BuildError, Component, DeliveryError, Edit, Factory, Processor, Stability};
use matching::{Problem, Selector};
use pdata::edit::{EditError, OpenBatch, Walk};
use pdata::{Editor, Signal};

use crate::config::AttributesConfig;

/// The factory of `attributes` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<AttributesConfig>("attributes", |_settings, config, signal, _next| {
        let blame = |problem: Problem| BuildError::at(problem.path, problem.message);
        let processor = Attributes {
            selector: Selector::new(signal, &config.matching).map_err(blame)?,
            actions: Actions::new(&config.actions, "actions").map_err(blame)?,
        };
        Ok(Processor::editing(processor))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &AttributesConfig, _signal| Actions::request_reads(&config.actions))
}

/// The processor, for one signal.
#[derive(Debug)]
struct Attributes {
    selector: Selector,
    actions: Actions,
}

impl Component for Attributes {}

impl Edit for Attributes {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let mut actions = self.actions.bind(batch.context());
        self.run(batch.editor_mut(), &mut actions)
            .map_err(|error| DeliveryError::permanent(format!("cannot change attributes: {error}")))?;
        Ok(Accepted::all())
    }
}

impl Attributes {
    fn run(&self, editor: &mut Editor, actions: &mut Bound<'_>) -> Result<(), EditError> {
        if self.selector.is_everything() {
            return actions.apply_to_items(editor);
        }
        let mut cursor = self.selector.cursor();
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            if cursor.selects(editor, &place) {
                actions.apply_at(editor, place.at())?;
            }
        }
        Ok(())
    }
}
