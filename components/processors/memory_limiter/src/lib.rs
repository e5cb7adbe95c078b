//! The `memory_limiter` processor: refuses telemetry while memory is short, so that senders keep it and try again.
//!
//! One [`Limiter`] exists per component ID, whatever the number of pipelines. It opens and closes a
//! [`pdata::Gate`] that receivers ask before they read a body; the processor itself refuses what got past the gate
//! (bodies that grew by decompression, batches from connectors) with a retryable error that hands the batch back. It
//! never drops anything.
//!
//! Left to others: when to refuse (`limiter`, which the extension of the same name shares).

pub mod processor;

use std::sync::Arc;

use component::memory::Probe;
use component::{Factory, Processor, Stability};
use limiter::{Limiter, MemoryLimiterConfig};
use pdata::Signal;

use crate::processor::MemoryLimiter;

const REFUSED_REQUESTS: &str = "weir_processor_memory_limiter_refused_requests";

/// The factory of `memory_limiter` processors, measuring this process.
#[must_use]
pub fn factory() -> Factory {
    factory_with(Arc::new(Probe::default()))
}

/// A factory whose limiters measure by `probe`, for tests.
#[must_use]
pub fn factory_with(probe: Arc<Probe>) -> Factory {
    Factory::processor::<MemoryLimiterConfig>("memory_limiter", move |settings, config, signal, _next| {
        let limiter = settings.shared.get_or_create(&format!("processor {}", settings.id), || {
            Limiter::new(&settings, &config, REFUSED_REQUESTS, Arc::clone(&probe))
        })?;
        Ok(Processor::Sync(Arc::new(MemoryLimiter::new(&settings, limiter, signal))))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
}
