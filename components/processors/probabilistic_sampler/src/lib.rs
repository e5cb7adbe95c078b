//! The `probabilistic_sampler` processor: keeps a share of spans or log records, by trace ID, so that all parts of a trace
//! share its fate, at every stage that samples alike.
//!
//! Takes traces and logs, hands on what is kept, with the threshold that kept it written down (tracestate of spans,
//! attributes of log records). What is dropped leaves the books with the reason `not_sampled`. It never changes anything
//! else, and holds nothing.
//!
//! Reading order: [`config`], [`decision`] (pure: what is known of an item to keep or drop), [`items`] (how spans and log
//! records tell that, and how the outcome is written), [`processor`].

pub mod config;
pub mod decision;
pub mod items;
pub mod processor;

use component::{Factory, Processor, Stability};
use pdata::Signal;

use crate::config::SamplerConfig;
use crate::processor::Sampler;

/// The factory of `probabilistic_sampler` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<SamplerConfig>("probabilistic_sampler", |settings, config, signal, _next| {
        Ok(Processor::editing(Sampler::new(&settings, &config, signal)))
    })
    .with_signals(Stability::Beta, &[Signal::Traces, Signal::Logs])
}
