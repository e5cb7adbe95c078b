//! The `redaction` processor: keeps personal data and secrets out of what leaves.
//!
//! Takes and gives traces, metrics and logs. It never passes on what it could not read: fields unknown to the schema go,
//! texts that are too long are replaced, requests that cannot be written are refused.
//!
//! It is the Collector's processor with its keys, and weir's detectors beside them ([`detectors`] finds, this crate acts).
//!
//! Reading order: [`config`] (what users write), `rules` (the same, compiled), `processor` (a batch), `pass` (a request), `walk` (a
//! message, as bytes), `text` (a text), `finding` and `pseudonym` (what takes a finding's place), `sanitize` (URLs and
//! queries), `summary`, `tally`, `inventory` and `metrics` (what is told about it), `cache`, `same`, `writer`.
//!
//! Left to others: what personal data looks like (`detectors`), telemetry under edit (`pdata::edit`).

pub mod config;

mod cache;
mod escapes;
mod finding;
mod hash;
mod inventory;
mod json_number;
mod metrics;
mod pass;
mod path;
mod pattern;
mod processor;
mod pseudonym;
mod rules;
mod same;
mod sanitize;
mod summary;
mod tally;
mod text;
mod walk;
mod writer;

use component::{BuildError, Factory, Processor, Stability};
use pdata::Signal;

use crate::config::RedactionConfig;
use crate::processor::Redaction;

pub use crate::processor::INVENTORY_PAGE;

/// The factory of `redaction` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<RedactionConfig>("redaction", |settings, config, signal, _next| {
        let redaction = Redaction::new(&settings, &config, signal).map_err(BuildError::new)?;
        Ok(Processor::editing(redaction))
    })
    .with_signals(Stability::Alpha, &[Signal::Metrics, Signal::Logs])
    .with_signals(Stability::Beta, &[Signal::Traces])
}
