//! The `transform` processor: changes telemetry by OTTL statements.
//!
//! Groups of statements run one after another over the whole batch; within a group, all statements run on one record
//! before the next record. Everything is an edit on the wire ([`component::Edit`]): a row of editing processors opens and
//! encodes a batch once.
//!
//! Reading order: [`config`], [`plan`] (configuration to compiled groups), [`processor`], [`flatten`], [`functions`] (those
//! that only this processor has).

pub mod config;
pub mod flatten;
pub mod functions;
pub mod plan;
pub mod processor;

use std::sync::Arc;

use component::{BuildError, Factory, Processor, Stability};
use pdata::Signal;

use crate::config::TransformConfig;
use crate::flatten::Flattened;
use crate::processor::Transform;

/// The factory of `transform` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<TransformConfig>("transform", |settings, config, signal, _next| {
        let transform = Transform::new(&settings, &config, signal)
            .map_err(|problem| BuildError::at(problem.field, problem.wrong.to_string()))?;
        if config.flatten_data && signal == Signal::Logs {
            return Ok(Processor::Sync(Arc::new(Flattened(transform))));
        }
        Ok(Processor::editing(transform))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &TransformConfig, signal| {
        signal.map(|signal| plan::request_reads(config, signal)).unwrap_or_default()
    })
}
