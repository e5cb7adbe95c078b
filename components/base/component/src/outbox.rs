//! Sending on behalf of a component that has already answered its own sender.
//!
//! Whoever acknowledges before forwarding (`batch`, samplers, connectors) has nobody left to refuse. It puts its batches
//! into an [`Outbox`], bounded in bytes, whose workers hand them on and retry retryable errors with exponential backoff
//! and jitter (honouring the destination's delay), during drain too. While the outbox is full, the component refuses its
//! own input. What is left at the drain's deadline is settled as dropped, reason `shutdown`; a batch that the next
//! component has not answered by then is settled when it is. A component that is replaced passes the contents on to its
//! successor ([`Outbox::hand_over`]).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pdata::{Batch, Outcome};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::consumer::Consumer;
use crate::edge::Edge;
use crate::lifecycle::Deadline;

/// How an outbox behaves.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// Bytes of serialized telemetry it holds at most, those being sent included. One batch larger than that is taken
    /// when the outbox is empty.
    pub bytes_max: usize,
    /// Batches handed on at once.
    pub workers: usize,
    /// First delay after a retryable error.
    pub backoff_min: Duration,
    /// Longest delay.
    pub backoff_max: Duration,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            workers: 4,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// How long after a drain's deadline the workers' last attempts, made at the deadline, are waited for.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

/// See the module's head. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    settings: OutboxSettings,
    next: Edge,
    state: Mutex<State>,
    /// Wakes workers: something to send, or the end.
    work: Notify,
    /// Wakes those who wait for room or for emptiness.
    progress: Notify,
    /// Wakes workers that sit out a delay when the drain begins.
    draining: Notify,
    dropped_items: AtomicU64,
}

#[derive(Default)]
struct State {
    /// From a predecessor; sent first.
    inherited: VecDeque<Batch>,
    waiting: VecDeque<Batch>,
    bytes: usize,
    busy: usize,
    closed: bool,
    stop_at: Option<Instant>,
    /// Who gets what is not sent.
    heir: Option<Arc<dyn Consumer>>,
    workers: Vec<JoinHandle<()>>,
}

impl State {
    fn next(&mut self) -> Option<Batch> {
        self.inherited.pop_front().or_else(|| self.waiting.pop_front())
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// The outbox has no room (or is closed); the batch comes back.
#[derive(Debug)]
pub struct Full(pub Batch);

impl Outbox {
    /// An outbox in front of `next`. Spawns nothing before [`Outbox::start`].
    #[must_use]
    pub fn new(next: Edge, settings: OutboxSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            next,
            state: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            draining: Notify::new(),
            dropped_items: AtomicU64::new(0),
        }))
    }

    /// Starts the workers. Must be called inside a tokio runtime.
    pub fn start(&self) {
        let mut state = self.0.lock();
        while state.workers.len() < self.0.settings.workers.max(1) {
            let inner = Arc::clone(&self.0);
            state.workers.push(tokio::spawn(async move { inner.run().await }));
        }
    }

    /// Bytes waiting or being sent.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.lock().bytes
    }

    /// Whether a batch of `bytes` would be taken now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let state = self.0.lock();
        !state.closed && (state.bytes == 0 || state.bytes.saturating_add(bytes) <= self.0.settings.bytes_max)
    }

    /// Items given up so far: permanent errors downstream that handed items back, and what was left at shutdown.
    #[must_use]
    pub fn dropped_items(&self) -> u64 {
        self.0.dropped_items.load(Ordering::Relaxed)
    }

    /// Takes responsibility for `batch`.
    ///
    /// # Errors
    /// [`Full`] with the batch when there is no room.
    pub fn try_send(&self, batch: Batch) -> Result<(), Full> {
        let bytes = batch.encoded_len();
        let mut state = self.0.lock();
        if state.closed || (state.bytes > 0 && state.bytes.saturating_add(bytes) > self.0.settings.bytes_max) {
            return Err(Full(batch));
        }
        state.bytes = state.bytes.saturating_add(bytes);
        state.waiting.push_back(batch);
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// Waits for room, then takes responsibility. For flushing during shutdown, where there is nobody to refuse.
    ///
    /// # Errors
    /// [`Full`] with the batch when the deadline passes or the outbox is closed.
    pub async fn send(&self, mut batch: Batch, deadline: Deadline) -> Result<(), Full> {
        loop {
            let progress = self.0.progress.notified();
            batch = match self.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(Full(batch)) => batch,
            };
            if self.0.lock().closed || deadline.bound(progress).await.is_none() {
                return Err(Full(batch));
            }
        }
    }

    /// Takes what a predecessor held, in front of what was sent since and beyond the bound; see [`Consumer::inherit`].
    ///
    /// # Errors
    /// [`Full`] with the batch after the end.
    pub async fn inherit(&self, batch: Batch) -> Result<(), Full> {
        let heir = {
            let mut state = self.0.lock();
            if !state.closed {
                state.bytes = state.bytes.saturating_add(batch.encoded_len());
                state.inherited.push_back(batch);
                drop(state);
                self.0.work.notify_one();
                return Ok(());
            }
            state.heir.clone()
        };
        match heir {
            Some(heir) => pass_on(&*heir, batch).await.map_err(Full),
            None => Err(Full(batch)),
        }
    }

    /// Stops taking, goes on sending and retrying until the deadline, drops what is left (reason `shutdown`), and ends
    /// the workers. Returns the number of items dropped by this call. Ends at the deadline also when the next component
    /// does not answer: what that hands back later is dropped then, for the same reason.
    pub async fn drain(&self, deadline: Deadline) -> u64 {
        let before = self.dropped_items();
        self.close(deadline, None).await;
        let left: Vec<Batch> = {
            let mut state = self.0.lock();
            let left: Vec<Batch> = std::iter::from_fn(|| state.next()).collect();
            state.bytes = state.bytes.saturating_sub(left.iter().map(Batch::encoded_len).sum());
            left
        };
        for batch in left {
            self.0.give_up(batch, "shutdown");
        }
        self.dropped_items() - before
    }

    /// Stops taking and sending, and passes everything on to `heir`. What is being handed on at this moment is waited for
    /// until the deadline, so that the order stays; if it comes back, then or later, it goes to the heir too. Returns the
    /// number of items dropped because the heir had stopped.
    pub async fn hand_over(&self, heir: &Arc<dyn Consumer>, deadline: Deadline) -> u64 {
        let before = self.dropped_items();
        self.close(deadline, Some(heir)).await;
        loop {
            let Some(batch) = self.0.lock().next() else { break };
            let bytes = batch.encoded_len();
            self.0.pass_on(&**heir, batch).await;
            let mut state = self.0.lock();
            state.bytes = state.bytes.saturating_sub(bytes);
        }
        self.dropped_items() - before
    }

    /// Ends the workers, at most until the deadline.
    async fn close(&self, deadline: Deadline, heir: Option<&Arc<dyn Consumer>>) {
        let mut workers = {
            let mut state = self.0.lock();
            state.closed = true;
            state.stop_at = Some(deadline.instant());
            state.heir = heir.cloned();
            std::mem::take(&mut state.workers)
        };
        self.0.draining.notify_waiters();
        self.0.work.notify_waiters();
        // A permit for a worker that was between its check and its wait.
        self.0.work.notify_one();
        let ended = tokio::time::timeout_at(deadline.instant() + LAST_ANSWERS, async {
            for worker in &mut workers {
                // A panicked one leaves its batch to the books.
                let _ended = worker.await;
            }
        });
        if ended.await.is_err() {
            let batches = self.0.lock().busy;
            tracing::warn!(batches, "the next component has not answered by the deadline");
        }
    }
}

/// To a successor. What comes back was refused because that has stopped.
async fn pass_on(heir: &dyn Consumer, batch: Batch) -> Result<(), Batch> {
    match heir.inherit(batch).await {
        Ok(_accepted) => Ok(()),
        Err(mut error) => error.take_undelivered().map_or(Ok(()), Err),
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, batch: Batch, reason: &'static str) {
        self.dropped_items.fetch_add(batch.items(), Ordering::Relaxed);
        batch.settle(Outcome::Dropped(reason));
    }

    async fn pass_on(&self, heir: &dyn Consumer, batch: Batch) {
        if let Err(back) = pass_on(heir, batch).await {
            self.give_up(back, "shutdown");
        }
    }

    async fn run(&self) {
        loop {
            let work = self.work.notified();
            let (taken, closed) = {
                let mut state = self.lock();
                let taken = if state.heir.is_some() { None } else { state.next() };
                state.busy += usize::from(taken.is_some());
                (taken, state.closed)
            };
            match taken {
                Some(batch) => {
                    let bytes = batch.encoded_len();
                    self.deliver(batch).await;
                    let mut state = self.lock();
                    state.bytes = state.bytes.saturating_sub(bytes);
                    state.busy -= 1;
                    drop(state);
                    self.progress.notify_waiters();
                }
                None if closed => {
                    // Let the next waiting worker see the end too.
                    self.work.notify_one();
                    return;
                }
                None => work.await,
            }
        }
    }

    async fn deliver(&self, mut batch: Batch) {
        let mut backoff = self.settings.backoff_min;
        loop {
            let mut error = match self.next.consume(batch).await {
                Ok(_accepted) => return,
                Err(error) => error,
            };
            let Some(back) = error.take_undelivered() else {
                tracing::warn!(error = %error, data = "settled downstream", "sender failed");
                return;
            };
            if !error.is_retryable() {
                tracing::error!(error = %error, lost_items = back.items(), "sender failed for good");
                return self.give_up(back, "permanent_error");
            }
            let delay = jitter(backoff).max(error.retry_after().unwrap_or_default());
            let (stop_at, heir) = {
                let state = self.lock();
                (state.stop_at, state.heir.clone())
            };
            if let Some(heir) = heir {
                return self.pass_on(&*heir, back).await;
            }
            let now = Instant::now();
            if let Some(stop_at) = stop_at
                && now >= stop_at
            {
                tracing::error!(error = %error, lost_items = back.items(), "shutdown deadline reached while retrying");
                return self.give_up(back, "shutdown");
            }
            let until = stop_at.map_or(now + delay, |stop_at| stop_at.min(now + delay));
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                // Drain begins: the wait is shortened so that it counts from the drain's deadline.
                () = self.drain_began(), if stop_at.is_none() => {}
            }
            let (is_draining, heir) = {
                let state = self.lock();
                (state.stop_at.is_some(), state.heir.clone())
            };
            if let Some(heir) = heir {
                return self.pass_on(&*heir, back).await;
            }
            // The drain has little time: delays begin anew with it.
            let drain_begins = is_draining && stop_at.is_none();
            backoff =
                if drain_begins { self.settings.backoff_min } else { (backoff * 2).min(self.settings.backoff_max) };
            batch = back;
        }
    }

    async fn drain_began(&self) {
        let draining = self.draining.notified();
        if self.lock().stop_at.is_none() {
            draining.await;
        }
    }
}

/// Between half of `delay` and all of it, so that senders do not retry in step.
fn jitter(delay: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};

    let random = RandomState::new().hash_one(0_u8);
    delay.mul_f64(0.5 + (random % 1024) as f64 / 2048.0)
}
