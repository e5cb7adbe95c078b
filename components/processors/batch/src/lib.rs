//! The `batch` processor: gathers items until there are enough of them or enough time has passed.
//!
//! It exists for compatibility; batching behind an exporter's queue (`sending_queue::batch`) does the same without
//! acknowledging early. What its acknowledgement means: the items are in this process's memory. From there on it retries
//! what can be retried, and what is lost (permanent errors downstream, a shutdown that ran out of time, a crash) the sender
//! does not learn.
//!
//! Gathering moves no bytes: batches are ropes of requests ([`pdata::Batch::append`]). Only batches of one tenant, one
//! authentication and equal values of `metadata_keys` are joined. What waits is bounded in bytes twice: in the batchers
//! ([`processor::GATHERED_BYTES_MAX`]) and in the outbox; beyond that, input is refused with a retryable error.
//!
//! Reading order: [`config`], [`key`] (what may be joined), [`batcher`] (one gathering and its timer), [`gathering`] (all of
//! them, behind one lock), [`processor`] (life, outbox, flusher), [`metrics`].

pub mod batcher;
pub mod config;
pub mod gathering;
pub mod key;
pub mod metrics;
pub mod processor;

use std::sync::Arc;

use component::{Factory, Processor, RequestKept, Stability};
use pdata::{RequestPart, Signal};

use crate::config::BatchConfig;
use crate::processor::BatchProcessor;

/// The factory of `batch` processors.
#[must_use]
pub fn factory() -> Factory {
    Factory::processor::<BatchConfig>("batch", |settings, config, _signal, next| {
        Ok(Processor::Stateful(Arc::new(BatchProcessor::new(&settings, &config, next))))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &BatchConfig, _signal| {
        config.metadata_keys.iter().cloned().map(RequestPart::Metadata).collect()
    })
    .with_request_kept(|config: &BatchConfig| RequestKept {
        address: false,
        metadata: Some(config.metadata_keys.clone()),
        remedy: "list it in the `metadata_keys` of",
    })
}
