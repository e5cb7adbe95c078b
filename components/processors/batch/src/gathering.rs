//! All batchers of one instance, behind one lock, in front of the outbox.
//!
//! Taking a batch costs one uncontended lock (and the outbox's when something is sent). Everything here is synchronous;
//! the task that looks at timers is in [`crate::processor`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::outbox::Full;
use component::{DeliveryError, Outbox};
use pdata::split::Parts;
use pdata::{Batch, Outcome};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::batcher::{BATCH_BYTES_MAX, Batcher, Rules};
use crate::key::Key;
use crate::metrics::{Metrics, Trigger};

/// Bytes that all batchers of an instance gather at most; one batch larger than that is taken when there is nothing.
pub const GATHERED_BYTES_MAX: usize = 32 << 20;

/// Batchers at most where no `metadata_cardinality_limit` says so (tenants and authentications multiply them too).
pub const BATCHERS_MAX: usize = 10_000;

/// A batcher that was empty for so long may be forgotten when another one is needed.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

/// What the Collector answers beyond `metadata_cardinality_limit`.
pub const TOO_MANY: &str = "too many batcher metadata-value combinations";

/// See the module's head.
#[derive(Debug)]
pub struct Gathering {
    rules: Rules,
    metadata_keys: Vec<String>,
    /// Batchers at most, and whether it is the user's limit.
    batchers_max: (usize, bool),
    metrics: Metrics,
    outbox: Outbox,
    state: Mutex<State>,
    /// Wakes the flusher: something is due earlier than it thinks.
    pub wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    batchers: HashMap<Key, Batcher>,
    bytes: usize,
    /// What the flusher sleeps until.
    wake_at: Option<Instant>,
    closed: bool,
}

impl Gathering {
    /// An empty one. `cardinality_max` is the user's limit of batchers.
    #[must_use]
    pub fn new(
        rules: Rules,
        metadata_keys: Vec<String>,
        cardinality_max: Option<usize>,
        metrics: Metrics,
        outbox: Outbox,
    ) -> Self {
        let batchers_max = cardinality_max.map_or((BATCHERS_MAX, false), |max| (max, true));
        Self { rules, metadata_keys, batchers_max, metrics, outbox, state: Mutex::default(), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes responsibility for `batch`.
    ///
    /// # Errors
    /// Retryable when there is no room or it was closed, permanent beyond the limit of combinations; both hand it back.
    pub fn offer(&self, batch: Batch) -> Result<(), DeliveryError> {
        if batch.items() == 0 {
            batch.settle(Outcome::Delivered);
            return Ok(());
        }
        let now = Instant::now();
        let key = Key::of(batch.context(), &self.metadata_keys);
        let more_bytes = batch.encoded_len();
        let mut state = self.lock();
        if state.closed {
            return Err(DeliveryError::retryable("the batch processor has stopped", batch));
        }
        if state.bytes > 0 && state.bytes.saturating_add(more_bytes) > GATHERED_BYTES_MAX {
            self.send_everything(&mut state, now);
            if state.bytes > 0 && state.bytes.saturating_add(more_bytes) > GATHERED_BYTES_MAX {
                return Err(full(state.bytes, batch));
            }
        }
        if !state.batchers.contains_key(&key) && !self.make_room(&mut state, now) {
            return Err(match self.batchers_max {
                (_, true) => DeliveryError::permanent(TOO_MANY).with_undelivered(batch),
                (_, false) => full(state.bytes, batch),
            });
        }
        let State { batchers, bytes, wake_at, .. } = &mut *state;
        let batcher = batchers.entry(key.clone()).or_insert_with(|| {
            self.metrics.cardinality.add(1);
            Batcher::new(&self.rules, now)
        });
        // What was ready before this batch is there because the outbox was full.
        if batcher.is_ready(&self.rules) && !self.send_ready(batcher, bytes, now) {
            return Err(full(*bytes, batch));
        }
        batcher.add(batch, &self.rules, now, |first| key.context(first, &self.metadata_keys));
        *bytes += more_bytes;
        self.send_ready(batcher, bytes, now);
        if let Some(due) = batcher.due()
            && wake_at.is_none_or(|wake_at| due < wake_at)
        {
            *wake_at = Some(due);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Sends what is due. Returns when to call again; `None` means after [`Gathering::wake`] only.
    pub fn flush_due(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let State { batchers, bytes, wake_at, .. } = &mut *state;
        // With several batchers, those that are due a little later go too: a thousand of them are no thousand wake-ups.
        let slack = match self.rules.timeout {
            Some(timeout) if batchers.len() > 1 => timeout / 16,
            _ => Duration::ZERO,
        };
        for batcher in batchers.values_mut().filter(|batcher| batcher.due().is_some_and(|due| due <= now + slack)) {
            let before = batcher.bytes();
            let parts = batcher.take_all(&self.rules, now);
            self.send(batcher, parts, Trigger::Timeout, false, now);
            *bytes = *bytes - before + batcher.bytes();
        }
        *wake_at = batchers.values().filter_map(Batcher::due).min();
        *wake_at
    }

    /// Takes nothing any more, and gives up what was gathered, cut to size as far as there is memory for it (see
    /// [`Batch::split_max`]). Empty when it was closed before.
    #[must_use]
    pub fn close(&self) -> Vec<Batch> {
        let now = Instant::now();
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        let batchers = std::mem::take(&mut state.batchers);
        self.metrics.cardinality.add(-(batchers.len() as i64));
        let all = batchers.into_values().filter_map(|mut batcher| batcher.take(&self.rules, now));
        all.flat_map(|batch| batch.split_max(self.rules.items_max, None)).collect()
    }

    /// Notes a batch that left because of the shutdown.
    pub fn note_flushed(&self, items: u64, bytes: usize) {
        self.metrics.sent(items, bytes, Trigger::Timeout);
    }

    /// Whether a batcher can be added, after forgetting idle ones if it must be.
    fn make_room(&self, state: &mut State, now: Instant) -> bool {
        let (max, is_users) = self.batchers_max;
        if state.batchers.len() < max {
            return true;
        }
        let forget = |state: &mut State, idle_min: Duration| {
            let before = state.batchers.len();
            state.batchers.retain(|_, batcher| batcher.idle(now).is_none_or(|idle| idle < idle_min));
            self.metrics.cardinality.add(state.batchers.len() as i64 - before as i64);
            state.batchers.len() < max
        };
        if is_users {
            return forget(state, IDLE_MAX);
        }
        forget(state, Duration::ZERO) || {
            self.send_everything(state, now);
            forget(state, Duration::ZERO)
        }
    }

    fn send_everything(&self, state: &mut State, now: Instant) {
        let State { batchers, bytes, .. } = state;
        for batcher in batchers.values_mut() {
            let before = batcher.bytes();
            let parts = batcher.take_all(&self.rules, now);
            self.send(batcher, parts, Trigger::Size, false, now);
            *bytes = *bytes - before + batcher.bytes();
        }
    }

    fn send_ready(&self, batcher: &mut Batcher, bytes: &mut usize, now: Instant) -> bool {
        let before = batcher.bytes();
        let parts = batcher.take_ready(&self.rules, now);
        let all_sent = self.send(batcher, parts, Trigger::Size, true, now);
        *bytes = *bytes - before + batcher.bytes();
        all_sent
    }

    /// Puts the parts into the outbox, each cut when there is room for it; those that do not fit go back into the batcher.
    /// So does, if `keeps_rest`, a last one below the trigger.
    fn send(
        &self,
        batcher: &mut Batcher,
        parts: Option<Parts>,
        trigger: Trigger,
        mut keeps_rest: bool,
        now: Instant,
    ) -> bool {
        let Some(mut parts) = parts else { return true };
        keeps_rest &= self.rules.timeout.is_some();
        let mut is_first = true;
        loop {
            // As few as that are one part.
            if keeps_rest && !is_first && parts.items() < self.rules.trigger_items {
                let Some(rest) = parts.rest() else { return true };
                if rest.encoded_len() < BATCH_BYTES_MAX {
                    batcher.keep(rest);
                    return true;
                }
                keeps_rest = false;
                parts = rest.parts(None, None);
            }
            let Some(part) = parts.next() else { return true };
            is_first = false;
            let (items, bytes) = (part.items(), part.encoded_len());
            match self.outbox.try_send(part) {
                Ok(()) => self.metrics.sent(items, bytes, trigger),
                Err(Full(part)) => {
                    batcher.put_back(std::iter::once(part).chain(parts.rest()), now);
                    return false;
                }
            }
        }
    }
}

fn full(bytes: usize, batch: Batch) -> DeliveryError {
    let message = format!(
        "the batch processor is full: {bytes} bytes gathered while the next component does not take what was sent"
    );
    DeliveryError::retryable(message, batch)
}
