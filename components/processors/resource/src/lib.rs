//! The `resource` processor: changes the attributes of resources, with the actions of the `attributes` processor.
//!
//! Left to others: what is done (`actions`), the edit itself (`pdata::edit`).

pub mod config;

use actions::{Actions, Bound};
use component::{Accepted, BuildError, Component, DeliveryError, Edit, Factory, Processor, Stability};
use pdata::edit::{EditError, Level, OpenBatch, Walk};
use pdata::{Editor, Signal};

use crate::config::ResourceConfig;

/// Number of the resource in a group.
const RESOURCE: u32 = 1;

/// The factory of `resource` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<ResourceConfig>("resource", |_settings, config, _signal, _next| {
        let actions = Actions::new(&config.attributes, "attributes");
        let actions = actions.map_err(|problem| BuildError::at(problem.path, problem.message))?;
        Ok(Processor::editing(Resource { actions }))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &ResourceConfig, _signal| Actions::request_reads(&config.attributes))
}

/// The processor.
#[derive(Debug)]
struct Resource {
    actions: Actions,
}

impl Component for Resource {}

impl Edit for Resource {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let mut actions = self.actions.bind(batch.context());
        self.run(batch.editor_mut(), &mut actions)
            .map_err(|error| DeliveryError::permanent(format!("cannot change attributes of a resource: {error}")))?;
        Ok(Accepted::all())
    }
}

impl Resource {
    fn run(&self, editor: &mut Editor, actions: &mut Bound<'_>) -> Result<(), EditError> {
        let mut walk = Walk::new(editor, Level::Groups);
        while let Some(place) = walk.next(editor) {
            let Some(group) = editor.open(place.at()) else { continue };
            let resource = match editor.sub(group, RESOURCE) {
                Some(resource) => resource,
                None if self.actions.can_add() => editor.resource(group)?,
                None => continue,
            };
            actions.apply(editor, resource)?;
        }
        Ok(())
    }
}
