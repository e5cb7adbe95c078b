//! The `filter` processor: drops what a condition matches.
//!
//! Takes all signals, hands on what no condition matched. What is dropped leaves the books with the reason `filtered`. It
//! changes nothing else and holds nothing.
//!
//! Reading order: [`config`], [`plan`] (configuration to compiled conditions), [`processor`], [`functions`] (those that only
//! this processor has).

pub mod config;
pub mod functions;
pub mod plan;
pub mod processor;

use component::{BuildError, Factory, Processor, Stability};
use pdata::Signal;

use crate::config::FilterConfig;
use crate::processor::Filter;

/// The factory of `filter` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<FilterConfig>("filter", |settings, config, signal, _next| {
        let filter = Filter::new(&settings, &config, signal)
            .map_err(|problem| BuildError::at(problem.field, problem.wrong.to_string()))?;
        Ok(Processor::editing(filter))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &FilterConfig, signal| {
        signal.map(|signal| plan::request_reads(config, signal)).unwrap_or_default()
    })
}
