//! The processor: runs the groups of a signal over a batch.

use std::sync::Arc;

use component::{Accepted, Component, DeliveryError, Edit, Settings};
use ottl::{Subject, visit};
use pdata::edit::OpenBatch;
use pdata::{Outcome, Signal};
use statements::{Failures, Problem};

use crate::config::TransformConfig;
use crate::plan::{self, Group};

/// Why data points that statements aggregated away leave the books.
pub const REASON: &str = "aggregated";

/// Changes telemetry by statements.
#[derive(Debug)]
pub struct Transform {
    groups: Vec<Group>,
    failures: Failures,
}

impl Transform {
    /// For a pipeline of that signal.
    ///
    /// # Errors
    /// The first statement that cannot be used; validation has told about all of them.
    pub fn new(settings: &Settings, config: &TransformConfig, signal: Signal) -> Result<Self, Problem> {
        let groups = plan::compile(config, signal).map_err(|mut problems| problems.remove(0))?;
        Ok(Self { groups, failures: Failures::new(settings) })
    }

    fn run(&self, group: &Group, on: &mut Subject<'_>) -> Result<(), String> {
        if !group.conditions.is_empty() && !self.any(group, on)? {
            return Ok(());
        }
        if group.opens_record {
            on.opens_item();
        }
        for statement in &group.statements {
            if let Err(error) = statement.run(on) {
                self.failures.meet(group.error_mode, statement, statement.text(), &error)?;
            }
        }
        Ok(())
    }

    fn any(&self, group: &Group, on: &mut Subject<'_>) -> Result<bool, String> {
        for condition in &group.conditions {
            match condition.holds(on) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => self.failures.meet(group.error_mode, condition, condition.text(), &error)?,
            }
        }
        Ok(false)
    }
}

impl Component for Transform {}

impl Edit for Transform {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let before = batch.editor().items();
        let request = Arc::clone(batch.context());
        let mut outcome = Ok(());
        for group in &self.groups {
            outcome = visit(batch.editor_mut(), &request, group.context, |on| self.run(group, on));
            if outcome.is_err() {
                break;
            }
        }
        reconcile(batch, before);
        match outcome {
            Ok(()) => Ok(Accepted::all()),
            Err(message) => Err(DeliveryError::permanent(message)),
        }
    }
}

/// Puts into the books what statements added (copies, extractions) or aggregated away. Which of several senders' points
/// they were is not known any more; the first ones' books take what was added, the last ones' what is gone.
fn reconcile(batch: &mut OpenBatch, before: u64) {
    let after = batch.editor().items();
    let stake = batch.stake_mut();
    if after > before {
        let more = stake.derive(after - before);
        stake.merge(more);
    } else {
        stake.settle_range(after, before - after, Outcome::Dropped(REASON));
    }
}
