//! What stands between two nodes of the graph.
//!
//! The graph owns edges; components hold clones and never their neighbours. An edge counts what passes, makes the
//! stake follow the batch, knows which memory limiters lie behind it, and has a target that a reload can swap. Batches
//! already handed over finish at the target they were given; [`Edge::swap`] returns a handle that tells when the last
//! of them has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use pdata::{Batch, ByteAccount, Charge, Gate, Overloaded};

use crate::consumer::{ConsumeFuture, Consumer};
use crate::lifecycle::Deadline;

/// A hand-over point. Cheap to clone; all clones share target and counters.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    name: Box<str>,
    target: ArcSwap<Target>,
    gates: ArcSwap<Vec<Arc<Gate>>>,
    account: Arc<ByteAccount>,
    counts: Counts,
}

struct Target(Arc<dyn Consumer>);

#[derive(Default)]
struct Counts {
    batches: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    failed_batches: AtomicU64,
    failed_items: AtomicU64,
}

/// A reading of an edge's counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounts {
    /// Batches handed over.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
    /// Serialized bytes in them.
    pub bytes: u64,
    /// Batches answered with an error.
    pub failed_batches: u64,
    /// Items in those.
    pub failed_items: u64,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("name", &self.0.name).field("counts", &self.counts()).finish()
    }
}

impl Edge {
    /// An edge to `target`. `name` shows in diagnostics: `traces/in: otlp -> batch`.
    pub fn new(name: impl Into<Box<str>>, target: Arc<dyn Consumer>, account: Arc<ByteAccount>) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            target: ArcSwap::from_pointee(Target(target)),
            gates: ArcSwap::default(),
            account,
            counts: Counts::default(),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Asks, before a body is read, whether `bytes` of it may be: first the memory limiters behind this edge, then the
    /// process-wide account. The charge grows with what arrives.
    ///
    /// # Errors
    /// [`Overloaded`], to be answered at once as a retryable refusal.
    pub fn admit(&self, bytes: usize) -> Result<Charge, Overloaded> {
        let mut limit = usize::MAX;
        for gate in self.0.gates.load().iter() {
            gate.check(&self.0.account, bytes)?;
            limit = limit.min(gate.soft_bytes());
        }
        Ok(self.0.account.try_charge(bytes)?.limited_to(limit))
    }

    /// The account that [`Edge::admit`] charges.
    #[must_use]
    pub fn account(&self) -> &Arc<ByteAccount> {
        &self.0.account
    }

    /// The memory limiters behind this edge; set by the graph.
    pub fn set_gates(&self, gates: Vec<Arc<Gate>>) {
        self.0.gates.store(Arc::new(gates));
    }

    /// Directs further batches to `target`.
    #[must_use]
    pub fn swap(&self, target: Arc<dyn Consumer>) -> Replaced {
        Replaced(self.0.target.swap(Arc::new(Target(target))))
    }

    /// A reading of its counters.
    #[must_use]
    pub fn counts(&self) -> EdgeCounts {
        let counts = &self.0.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EdgeCounts {
            batches: read(&counts.batches),
            items: read(&counts.items),
            bytes: read(&counts.bytes),
            failed_batches: read(&counts.failed_batches),
            failed_items: read(&counts.failed_items),
        }
    }
}

impl Consumer for Edge {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let items = batch.items();
            batch.stake_mut().reconcile(items);
            let counts = &self.0.counts;
            counts.batches.fetch_add(1, Ordering::Relaxed);
            counts.items.fetch_add(items, Ordering::Relaxed);
            counts.bytes.fetch_add(batch.encoded_len() as u64, Ordering::Relaxed);
            // Held until the answer is there: the strong count is what `Replaced` waits for.
            let target = self.0.target.load_full();
            let result = target.0.consume(batch).await;
            if result.is_err() {
                counts.failed_batches.fetch_add(1, Ordering::Relaxed);
                counts.failed_items.fetch_add(items, Ordering::Relaxed);
            }
            result
        })
    }
}

/// A target that was swapped out and may still be busy.
pub struct Replaced(Arc<Target>);

impl fmt::Debug for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaced").field("busy", &self.is_busy()).finish()
    }
}

impl Replaced {
    /// Whether batches handed to it have not been answered yet.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Waits until it is no longer busy. `false` when the deadline came first.
    pub async fn drained(&self, deadline: Deadline) -> bool {
        while self.is_busy() {
            if deadline.has_passed() {
                return false;
            }
            // Swaps are rare; polling keeps the hand-over itself free of bookkeeping.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }
}
