//! The `probabilistic_sampler` processor: keeps a share of spans or log records, by trace ID, so that all parts of a trace
//! share its fate, at every stage that samples alike.
//!
//! Takes traces and logs, hands on what is kept, with the threshold that kept it written down (tracestate of spans,
//! attributes of log records). What is dropped leaves the books with the reason `not_sampled`. It never changes anything
//! else, and holds nothing, but log records that follow a sampler of traces until that has decided ([`follower`]).
//!
//! Reading order: [`config`], [`decision`] (pure: what is known of an item to keep or drop), [`items`] (how spans and log
//! records tell that, and how the outcome is written), [`processor`], [`follower`].

pub mod config;
pub mod decision;
pub mod follower;
pub mod items;
pub mod processor;

use std::sync::Arc;

use component::{Factory, Processor, Stability};
use pdata::Signal;

use crate::config::SamplerConfig;
use crate::follower::Follower;
use crate::processor::Sampler;

/// The factory of `probabilistic_sampler` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<SamplerConfig>("probabilistic_sampler", |settings, config, signal, next| {
        let sampler = Sampler::new(&settings, &config, signal);
        Ok(match &config.trace_decisions {
            Some(of) if signal == Signal::Logs => {
                Processor::Stateful(Arc::new(Follower::new(&settings, &config, of, sampler, next)))
            }
            _ => Processor::editing(sampler),
        })
    })
    .with_followed(|config: &SamplerConfig| config.trace_decisions.clone())
    .with_idle_settings(|config: &SamplerConfig, signals| config.idle_for(signals))
    .with_signals(Stability::Beta, &[Signal::Traces, Signal::Logs])
}
