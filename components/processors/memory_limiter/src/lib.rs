//! The `memory_limiter` processor: refuses telemetry while memory is short, so that senders keep it and try again.
//!
//! One [`limiter::Limiter`] exists per component ID, whatever the number of pipelines. It opens and closes a
//! [`pdata::Gate`] that receivers ask before they read a body; the processor itself refuses what got past the gate
//! (bodies that grew by decompression, batches from connectors) with a retryable error that hands the batch back. It
//! never drops anything.
//!
//! Reading order: [`config`], [`limits`] (configuration to bytes), `component::memory` (what the kernel says), [`rule`] (when to
//! refuse: the heart of it), [`limiter`] (the task), [`processor`].

pub mod config;
pub mod limiter;
pub mod limits;
pub mod processor;
pub mod rule;

use std::sync::Arc;

use component::{BuildError, Factory, Processor, Stability};
use pdata::Signal;

use crate::config::MemoryLimiterConfig;
use crate::limiter::Limiter;
use crate::limits::Limits;
use crate::processor::MemoryLimiter;
use component::memory::Probe;

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
            let limits = Limits::resolve(&config, || probe.total_bytes())
                .map_err(|error| BuildError::at("limit_percentage", error))?;
            let interval = config.check_interval.as_std().unwrap_or_default();
            Ok::<_, BuildError>(Limiter::new(&settings, limits, interval, Arc::clone(&probe)))
        })?;
        Ok(Processor::Sync(Arc::new(MemoryLimiter::new(&settings, limiter, signal))))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
}
