//! The processor: consumes into the gathering, runs the task that flushes it, drains at the end. When a reload replaces it,
//! what it gathered and what its outbox holds pass into the successor's outbox.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use component::outbox::Full;
use component::{
    Accepted, BoxFuture, Component, ConsumeFuture, Consumer, Deadline, DeliveryError, Edge, Host, Outbox,
    OutboxSettings, Settings, ShutdownError, StartError,
};
use pdata::{Batch, Outcome};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::batcher::Rules;
use crate::config::BatchConfig;
pub use crate::gathering::GATHERED_BYTES_MAX;
use crate::gathering::Gathering;
use crate::metrics::Metrics;

/// Batches handed on at once when there are metadata keys. Without them it is one at a time, which keeps their order.
const WORKERS_WITH_KEYS: usize = 4;

/// One per pipeline.
pub struct BatchProcessor {
    gathering: Arc<Gathering>,
    outbox: Outbox,
    flusher: Mutex<Option<JoinHandle<()>>>,
    items_max: Option<u64>,
    /// Set when a successor takes its place.
    heir: OnceLock<Arc<dyn Consumer>>,
}

impl std::fmt::Debug for BatchProcessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchProcessor").field("gathering", &self.gathering).finish_non_exhaustive()
    }
}

impl BatchProcessor {
    /// An instance in front of `next`.
    #[must_use]
    pub fn new(settings: &Settings, config: &BatchConfig, next: Edge) -> Self {
        let workers = if config.metadata_keys.is_empty() { 1 } else { WORKERS_WITH_KEYS };
        let outbox = Outbox::new(next, OutboxSettings { workers, ..OutboxSettings::default() });
        let timeout = config.timeout.as_std().filter(|timeout| !timeout.is_zero() && config.send_batch_size > 0);
        let rules = Rules {
            timeout,
            trigger_items: u64::from(config.send_batch_size),
            items_max: (config.send_batch_max_size > 0).then_some(u64::from(config.send_batch_max_size)),
        };
        let cardinality_max = (!config.metadata_keys.is_empty() && config.metadata_cardinality_limit > 0)
            .then(|| usize::try_from(config.metadata_cardinality_limit).unwrap_or(usize::MAX));
        let metrics = Metrics::new(&settings.telemetry);
        let keys = config.metadata_keys.iter().map(|key| key.to_lowercase()).collect();
        let gathering = Gathering::new(rules, keys, cardinality_max, metrics, outbox.clone());
        let items_max = rules.items_max;
        Self { gathering: Arc::new(gathering), outbox, flusher: Mutex::default(), items_max, heir: OnceLock::new() }
    }

    /// Takes nothing any more, and gives up what was gathered.
    async fn close(&self) -> Vec<Batch> {
        let flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(flusher) = flusher {
            // It holds no batch while it waits, which is where an abort takes effect.
            flusher.abort();
            let _aborted = flusher.await;
        }
        self.gathering.close()
    }

    async fn pass_on(&self, heir: &Arc<dyn Consumer>, deadline: Deadline) -> Result<(), ShutdownError> {
        let gathered = self.close().await;
        let mut dropped_items = self.outbox.hand_over(heir, deadline).await;
        for batch in gathered {
            let (items, bytes) = (batch.items(), batch.encoded_len());
            match heir.inherit(batch).await {
                Ok(_accepted) => self.gathering.note_flushed(items, bytes),
                Err(mut error) => {
                    let Some(back) = error.take_undelivered() else { continue };
                    dropped_items += back.items();
                    back.settle(Outcome::Dropped("shutdown"));
                }
            }
        }
        dropped(dropped_items)
    }
}

fn dropped(items: u64) -> Result<(), ShutdownError> {
    if items == 0 {
        return Ok(());
    }
    Err(ShutdownError(format!("{items} items were dropped: they could not be handed on in time")))
}

impl Component for BatchProcessor {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.outbox.start();
        let gathering = Arc::clone(&self.gathering);
        let mut flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner);
        flusher.get_or_insert_with(|| tokio::spawn(async move { flush(&gathering).await }));
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            let mut dropped_items = 0;
            for batch in self.close().await {
                let (items, bytes) = (batch.items(), batch.encoded_len());
                match self.outbox.send(batch, deadline).await {
                    Ok(()) => self.gathering.note_flushed(items, bytes),
                    Err(Full(batch)) => {
                        dropped_items += items;
                        batch.settle(Outcome::Dropped("shutdown"));
                    }
                }
            }
            dropped_items += self.outbox.drain(deadline).await;
            dropped(dropped_items)
        })
    }

    fn hand_over(
        &self,
        successor: &Arc<dyn Consumer>,
        deadline: Deadline,
    ) -> Option<BoxFuture<'_, Result<(), ShutdownError>>> {
        // A second call changes nothing.
        let heir = self.heir.get_or_init(|| Arc::clone(successor));
        Some(Box::pin(self.pass_on(heir, deadline)))
    }
}

impl Consumer for BatchProcessor {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        let answer = self.gathering.offer(batch).map(|()| Accepted::all());
        let Err(mut error) = answer else { return Box::pin(std::future::ready(answer)) };
        match (self.heir.get(), error.take_undelivered()) {
            (Some(heir), Some(back)) => heir.consume(back),
            (_, Some(back)) => Box::pin(std::future::ready(Err(error.with_undelivered(back)))),
            (_, None) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// Into the outbox, cut to size, for it has waited long enough.
    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let mut refused: Option<Batch> = None;
            for part in batch.split_max(self.items_max, None) {
                match (self.outbox.inherit(part).await, &mut refused) {
                    (Ok(()), _) => {}
                    (Err(Full(part)), Some(refused)) => refused.append(part),
                    (Err(Full(part)), none) => *none = Some(part),
                }
            }
            match refused {
                None => Ok(Accepted::all()),
                Some(refused) => Err(DeliveryError::retryable("the batch processor has stopped", refused)),
            }
        })
    }
}

async fn flush(gathering: &Gathering) {
    loop {
        let woken = gathering.wake.notified();
        match gathering.flush_due(Instant::now()) {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = woken => {}
            },
            None => woken.await,
        }
    }
}
