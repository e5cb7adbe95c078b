//! The processor: one per pipeline, in front of the shared limiter.

use std::sync::Arc;

use component::telemetry::Metric;
use component::{
    BoxFuture, Component, Counter, Deadline, DeliveryError, Host, Level, Process, Settings, ShutdownError, StartError,
};
use limiter::{Limiter, User};
use pdata::account::RETRY_HINT;
use pdata::{Batch, Gate, Signal};

/// What a refused sender reads.
pub const REFUSED: &str = "data refused due to high memory usage";

fn metrics(signal: Signal) -> (Metric, Metric) {
    let (accepted, refused, unit) = match signal {
        Signal::Traces => (
            "otelcol_processor_memory_limiter_accepted_spans",
            "otelcol_processor_memory_limiter_refused_spans",
            "{spans}",
        ),
        Signal::Metrics => (
            "otelcol_processor_memory_limiter_accepted_metric_points",
            "otelcol_processor_memory_limiter_refused_metric_points",
            "{datapoints}",
        ),
        Signal::Logs => (
            "otelcol_processor_memory_limiter_accepted_log_records",
            "otelcol_processor_memory_limiter_refused_log_records",
            "{records}",
        ),
    };
    let metric = |name, help| Metric { name, help, unit, level: Level::Basic };
    (
        metric(accepted, "Items passed on to the next component."),
        metric(refused, "Items handed back because memory was short."),
    )
}

/// See the module's head.
#[derive(Debug)]
pub struct MemoryLimiter {
    user: User,
    accepted_items: Counter,
    refused_items: Counter,
}

impl MemoryLimiter {
    /// One for a pipeline of `signal`.
    #[must_use]
    pub fn new(settings: &Settings, limiter: Arc<Limiter>, signal: Signal) -> Self {
        let (accepted, refused) = metrics(signal);
        Self {
            user: User::new(limiter),
            accepted_items: settings.telemetry.counter(accepted, &[]),
            refused_items: settings.telemetry.counter(refused, &[]),
        }
    }
}

impl Component for MemoryLimiter {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.user.start();
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async {
            self.user.stop().await;
            Ok(())
        })
    }
}

impl Process for MemoryLimiter {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        if self.user.limiter().must_refuse() {
            self.refused_items.add(batch.items());
            return Err(DeliveryError::retryable(REFUSED, batch).with_retry_after(RETRY_HINT));
        }
        self.accepted_items.add(batch.items());
        Ok(Some(batch))
    }

    fn mutates(&self) -> bool {
        false
    }

    fn gate(&self) -> Option<Arc<Gate>> {
        Some(Arc::clone(self.user.limiter().gate()))
    }
}
