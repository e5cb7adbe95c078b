//! The `tail_sampling` processor: keeps or drops whole traces by what is in them.
//!
//! Spans wait, as the bytes they came in as, until their trace is decided: `decision_wait` after its first span, or earlier
//! when memory is needed. What its acknowledgement means: the spans are in this process's memory. From there on a trace is
//! kept or dropped by decision, and a kept one is sent, with retries; what a crash or a shutdown that ran out of time costs,
//! the sender does not learn.
//!
//! # The way of a span
//! 1. A request is read once ([`request`]): every span is assigned to its trace and answers the conditions of all policies
//!    ([`conditions`]), one bit each. Resources and scopes are kept once ([`envelope`]).
//! 2. Under its shard's lock ([`shard`]) the spans are copied to pages ([`pages`]) for the trace ([`trace`]), its bits joined. Spans of a trace that
//!    was decided already follow the decision ([`remembered`]).
//! 3. Four times a second, or with `span-ingest` as spans arrive, the traces that are due are decided ([`policy`], compiled by [`plan`], with memory in [`limits`]) from
//!    their bits and a few numbers; no span is looked at again.
//! 4. Kept traces are put into batches ([`output`]) and go through an outbox; dropped ones leave the books with the reason
//!    `not_sampled`. Every decision goes to a bounded [`log`](mod@log).
//!
//! # Invariants
//! - Everything held is counted in bytes as allocated, on the account of all telemetry, against one budget. When it is
//!   reached, the oldest traces are decided early ([`sampler`]); input is refused only when nothing is left to decide.
//! - A trace is in its shard's table or it is decided; the change is made under the shard's lock.
//! - A trace's stake goes where its spans go. Traces of different tenants or authentications are different traces.
//!
//! Reading order: [`config`], [`rules`], [`plan`], [`policy`], [`conditions`], [`request`], [`sampler`], [`processor`].

pub mod conditions;
pub mod config;
pub mod envelope;
pub mod idle;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod output;
pub mod pages;
pub mod plan;
pub mod policy;
pub mod processor;
pub mod remembered;
pub mod request;
pub mod rules;
pub mod sampler;
pub mod shard;
pub mod trace;
pub mod trace_state;

use std::sync::Arc;

use component::{BuildError, Factory, Processor, RequestKept, Stability};
use pdata::Signal;

use crate::config::TailSamplingConfig;
use crate::plan::Plan;
use crate::processor::TailSampling;

/// The factory of `tail_sampling` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<TailSamplingConfig>("tail_sampling", |settings, config, _signal, next| {
        let processor = TailSampling::new(&settings, &config, next)
            .map_err(|problem| BuildError::at(problem.field, problem.wrong.to_string()))?;
        Ok(Processor::Stateful(Arc::new(processor)))
    })
    .with_signals(Stability::Beta, &[Signal::Traces])
    .with_request_reads(|config: &TailSamplingConfig, _signal| {
        Plan::compile(config).map(|plan| plan.conditions.request_reads().collect()).unwrap_or_default()
    })
    .with_request_kept(|_: &TailSamplingConfig| RequestKept {
        address: false,
        metadata: Some(Vec::new()),
        remedy: "",
    })
}
