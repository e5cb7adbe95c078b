//! Divides batches among the endpoints that own their keys now.
//!
//! Endpoints live behind a pointer that membership changes swap; a batch goes by one reading of it. What an endpoint
//! that was taken out still gets, or held, comes back here and is routed anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use component::{ConsumeFuture, ConsumeResult, Consumer, Counter, DeliveryError, parts};
use futures_util::future::join_all;
use pdata::Batch;
use pdata::account::RETRY_HINT;

use crate::endpoint::Endpoint;
use crate::key::{Keys, RoutingKey};
use crate::ring::Ring;
use crate::splits::Splits;

/// Who owns which keys.
#[derive(Debug)]
pub struct Table {
    /// Owners are positions in `endpoints`.
    pub ring: Ring,
    /// One for each name in the ring; names may share one.
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Router {
    routing: RoutingKey,
    table: ArcSwapOption<Table>,
    rerouted: Counter,
    /// For traces that are routed whole.
    splits: Option<Splits>,
    stopped: AtomicBool,
    /// Who gets everything, once a reload has replaced this exporter.
    heir: OnceLock<Heir>,
}

struct Heir(Arc<dyn Consumer>);

impl std::fmt::Debug for Heir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heir")
    }
}

impl Router {
    /// Without endpoints.
    #[must_use]
    pub fn new(routing: RoutingKey, rerouted: Counter, splits: Option<Splits>) -> Self {
        let (table, heir) = (ArcSwapOption::empty(), OnceLock::new());
        Self { routing, table, rerouted, splits, stopped: AtomicBool::new(false), heir }
    }

    /// From now on batches go by `table`.
    pub fn set(&self, table: Table) {
        if let (Some(splits), Some(former)) = (&self.splits, self.table.load_full()) {
            splits.left(&former);
        }
        self.table.store(Some(Arc::new(table)));
    }

    /// From now on everything goes to `heir`.
    pub fn bequeath(&self, heir: &Arc<dyn Consumer>) {
        // A second call changes nothing.
        let _first = self.heir.set(Heir(Arc::clone(heir)));
    }

    /// From now on batches are refused; what is inherited still goes to its endpoints.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    async fn route(&self, batch: Batch, inherits: bool) -> ConsumeResult {
        if let Some(Heir(heir)) = self.heir.get() {
            return if inherits { heir.inherit(batch).await } else { heir.consume(batch).await };
        }
        if self.stopped.load(Ordering::Relaxed) && !inherits {
            return Err(DeliveryError::retryable("the exporter has stopped", batch).with_retry_after(RETRY_HINT));
        }
        let Some(table) = self.table.load_full() else {
            let message = "no endpoints: the resolver has not found any yet";
            return Err(DeliveryError::retryable(message, batch).with_retry_after(RETRY_HINT));
        };
        let nobody = table.endpoints.len();
        if inherits {
            self.rerouted.add(batch.items());
        }
        let parts = {
            // Views of the items live as long as the payload: this one shares its bytes.
            let payload = batch.payload().clone();
            let mut owners = Vec::with_capacity(usize::try_from(payload.items()).unwrap_or_default());
            Keys::for_each(&payload, &self.routing, |key| {
                owners.push(key.and_then(|key| table.ring.owner(key)).unwrap_or(nobody));
            });
            if let Some(splits) = &self.splits {
                splits.look(&payload, &owners, &table);
            }
            let mut owners = owners.into_iter();
            batch.partition(nobody + 1, move |_| owners.next().unwrap_or(nobody))
        };
        let calls = parts.into_iter().map(|(owner, part)| {
            let endpoint = table.endpoints.get(owner);
            async move {
                match endpoint {
                    Some(endpoint) if inherits => endpoint.inherit(part).await,
                    Some(endpoint) => endpoint.consume(part).await,
                    None => Err(keyless(part)),
                }
            }
        });
        parts::combine(join_all(calls).await, |_, _| {})
    }
}

/// The answer to items that nothing says where to send.
fn keyless(part: Batch) -> DeliveryError {
    let message = format!("unable to get service name from the resource of {} data points", part.items());
    DeliveryError::permanent(message).with_undelivered(part)
}

impl Consumer for Router {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(self.route(batch, false))
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(self.route(batch, true))
    }
}
