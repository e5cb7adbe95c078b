//! One gathering of items that may be joined, and its timer.
//!
//! The timer runs continuously: it fires every `timeout` and starts anew after a batch was sent for its size. Nothing
//! happens when it fires on an empty gathering, so an empty one needs no wake-up; its phase is caught up with the next item.

use std::sync::Arc;
use std::time::Duration;

use pdata::split::Parts;
use pdata::{Batch, Context};
use tokio::time::Instant;

/// How long after a batch did not get into the outbox the next attempt is made.
pub const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A gathering is sent at this size even if it has few items, so that large items do not make requests that no
/// destination takes.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// When to send.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The timer; `None` sends everything at once.
    pub timeout: Option<Duration>,
    /// Items that make a batch be sent.
    pub trigger_items: u64,
    /// Most items in a batch.
    pub items_max: Option<u64>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Batcher {
    pending: Option<Batch>,
    items: u64,
    bytes: usize,
    due: Instant,
    /// When it was last found empty or became so.
    emptied: Instant,
}

impl Batcher {
    /// An empty gathering whose timer starts now.
    #[must_use]
    pub fn new(rules: &Rules, now: Instant) -> Self {
        Self { pending: None, items: 0, bytes: 0, due: now + rules.timeout.unwrap_or(RETRY_AFTER), emptied: now }
    }

    /// Bytes gathered.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When to look at it again; `None` while it is empty.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.pending.is_some().then_some(self.due)
    }

    /// For how long it has been empty; `None` while it is not.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Option<Duration> {
        self.pending.is_none().then(|| now.saturating_duration_since(self.emptied))
    }

    /// Whether there is something to send without waiting for the timer.
    #[must_use]
    pub fn is_ready(&self, rules: &Rules) -> bool {
        self.items > 0
            && (rules.timeout.is_none() || self.items >= rules.trigger_items || self.bytes >= BATCH_BYTES_MAX)
    }

    /// Appends `batch`. The first one gets the context that `context` makes.
    pub fn add(
        &mut self,
        mut batch: Batch,
        rules: &Rules,
        now: Instant,
        context: impl FnOnce(&Context) -> Arc<Context>,
    ) {
        self.items += batch.items();
        self.bytes += batch.encoded_len();
        match &mut self.pending {
            Some(pending) => pending.append(batch),
            None => {
                let kept = context(batch.context());
                batch.set_context(kept);
                self.pending = Some(batch);
                self.catch_up(rules, now);
            }
        }
    }

    /// Moves the timer to the first of its ticks after now.
    fn catch_up(&mut self, rules: &Rules, now: Instant) {
        let Some(timeout) = rules.timeout else { return };
        if self.due <= now {
            let late = now.duration_since(self.due).as_nanos();
            let ticks = late / timeout.as_nanos().max(1) + 1;
            // More ticks than fit are ages; one timeout from now is as good a tick as any.
            self.due = u32::try_from(ticks).map_or(now + timeout, |ticks| self.due + timeout * ticks);
        }
    }

    /// Takes everything when it is ready, to be cut to size.
    pub fn take_ready(&mut self, rules: &Rules, now: Instant) -> Option<Parts> {
        if self.is_ready(rules) { self.take_all(rules, now) } else { None }
    }

    /// Takes everything, to be cut to size, and starts the timer anew.
    pub fn take_all(&mut self, rules: &Rules, now: Instant) -> Option<Parts> {
        Some(self.take(rules, now)?.parts(rules.items_max, None))
    }

    /// Takes everything as it is, and starts the timer anew.
    pub fn take(&mut self, rules: &Rules, now: Instant) -> Option<Batch> {
        self.due = now + rules.timeout.unwrap_or(RETRY_AFTER);
        self.emptied = now;
        let pending = self.pending.take();
        self.set(None);
        pending
    }

    /// Keeps `rest` of what was taken until the timer fires or more comes.
    pub fn keep(&mut self, rest: Batch) {
        debug_assert!(self.pending.is_none(), "everything was taken");
        self.set(Some(rest));
    }

    /// Puts back parts that could not be sent, in front of what stayed.
    pub fn put_back(&mut self, parts: impl IntoIterator<Item = Batch>, now: Instant) {
        let stayed = self.pending.take();
        let joined = parts.into_iter().chain(stayed).reduce(|mut all, part| {
            all.append(part);
            all
        });
        self.set(joined);
        self.due = now + RETRY_AFTER;
    }

    fn set(&mut self, pending: Option<Batch>) {
        (self.items, self.bytes) = pending.as_ref().map_or((0, 0), |batch| (batch.items(), batch.encoded_len()));
        self.pending = pending;
    }
}
