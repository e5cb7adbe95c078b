//! Log records that share the fate of their traces: they wait until the sampler of traces has decided.
//!
//! Of a batch, what can be decided is handed on in line. The rest waits as one batch until all of its traces are decided, or a
//! trace has not begun within `trace_wait`; then the whole is decided in one pass. Asked is every [`LOOK_EVERY`], of each
//! batch about one trace that is open, so waiting costs next to nothing. What waits is bounded in bytes: beyond that the oldest go
//! by what is known.
//!
//! What its acknowledgement means: what was handed on was taken by who comes next; what waits is in this process's memory and is
//! sent, with retries, through an outbox.
//!
//! Locks: the state, and under it those of the sampler of traces, which never asks back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use component::decisions::{Answer, Deciders, Decisions, Follows};
use component::outbox::Full;
use component::telemetry::Metric;
use component::{
    Accepted, BoxFuture, Component, ComponentId, ConsumeFuture, ConsumeResult, Consumer, Counter, Deadline,
    DeliveryError, Edge, Gauge, Host, Level, Outbox, OutboxSettings, Settings, ShutdownError, StartError,
};
use pdata::edit::OpenBatch;
use pdata::{Batch, Context, Outcome, Payload};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::SamplerConfig;
use crate::processor::{Answers, Sampler};

/// How often decisions are asked for.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a trace that is waited for costs beside the records, about.
const OPEN_BYTES: usize = 128;
/// Why records leave the books that could not be handed on at a shutdown.
const SHUTDOWN: &str = "shutdown";
/// Why records do to which nothing could be written.
const PERMANENT: &str = "permanent_error";

const WAITING: Metric = Metric {
    name: "weir_probabilistic_sampler_waiting_bytes",
    help: "Log records that wait for decisions about their traces.",
    unit: "By",
    level: Level::Basic,
};
const UNANSWERED: Metric = Metric {
    name: "weir_probabilistic_sampler_unanswered_traces",
    help: "Traces of waiting log records about which nothing was decided in time, by reason.",
    unit: "{traces}",
    level: Level::Basic,
};

/// Why there is no answer, as labels name it.
#[derive(Clone, Copy, Debug)]
enum Unanswered {
    /// The trace did not begin in time.
    Wait,
    /// Others needed the room.
    Room,
    /// The processor stopped.
    Shutdown,
}

/// Log records that wait.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    batch: Batch,
    /// Their traces that are not decided.
    open: Vec<[u8; 16]>,
    answers: Answers,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Decided, but the outbox is full.
    ready: VecDeque<Batch>,
    /// Of both, and of what is about to wait.
    bytes: usize,
}

/// What waits, and how it is decided.
struct Core {
    sampler: Sampler,
    outbox: Outbox,
    decisions: Arc<Decisions>,
    of: ComponentId,
    wait: Duration,
    bytes_max: usize,
    state: Mutex<State>,
    waiting: Gauge,
    unanswered: [Counter; 3],
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        self.waiting.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }

    /// Divides a batch into what can be decided and what has to wait, with what is known of the traces.
    fn divide(&self, batch: Batch) -> (Option<Batch>, Option<Waiting>, Answers) {
        let (deciders, context) = (self.decisions.of(&self.of), Arc::clone(batch.context()));
        let (mut answers, mut open, mut hashed) = (Answers::new(), Vec::new(), Vec::new());
        let parts = batch.partition(2, |item| {
            let Some(trace_id) = self.sampler.followed(item.view.as_bytes(), &mut hashed) else { return 0 };
            let answer = *answers.entry(trace_id).or_insert_with(|| {
                let answer = deciders.decided(&context, &trace_id);
                if !answer.is_final() {
                    open.push(trace_id);
                }
                answer
            });
            usize::from(!answer.is_final())
        });
        let (mut now, mut later) = (None, None);
        for (part, batch) in parts {
            *if part == 0 { &mut now } else { &mut later } = Some(batch);
        }
        let later = later.map(|batch| Waiting::new(batch, std::mem::take(&mut open)));
        (now, later, answers)
    }

    /// Decides about all records of a batch. `None` if nothing is left of it.
    fn decide(&self, batch: Batch, answers: &Answers) -> Result<(Option<Batch>, Accepted), DeliveryError> {
        let mut open = OpenBatch::new(batch)
            .map_err(|(batch, error)| DeliveryError::permanent(error.to_string()).with_undelivered(batch))?;
        let outcome = self.sampler.retain(&mut open, Some(answers));
        let batch = open.seal();
        match outcome {
            Ok(accepted) => Ok(((batch.items() > 0).then_some(batch), accepted)),
            Err(error) => Err(error.with_undelivered(batch)),
        }
    }

    /// Decides about what waited, by what is known now.
    fn finish(&self, mut waiting: Waiting, reason: Unanswered) -> Option<Batch> {
        let deciders = self.decisions.of(&self.of);
        for trace_id in waiting.open.drain(..) {
            waiting.answers.insert(trace_id, deciders.decided(waiting.batch.context(), &trace_id));
        }
        let unanswered = waiting.answers.values().filter(|answer| !answer.is_final()).count() as u64;
        if let Some(counter) = self.unanswered.get(reason as usize).filter(|_| unanswered > 0) {
            counter.add(unanswered);
        }
        match self.decide(waiting.batch, &waiting.answers) {
            Ok((batch, _)) => batch,
            Err(mut error) => {
                let lost = error.take_undelivered()?;
                tracing::error!(error = %error, lost_items = lost.items(), "log records cannot be decided about");
                lost.settle(Outcome::Dropped(PERMANENT));
                None
            }
        }
    }

    /// Keeps room for what is to wait, at the cost of the oldest. Whether there is some.
    fn reserve(&self, bytes: usize) -> bool {
        loop {
            let oldest = {
                let mut state = self.lock();
                if state.bytes == 0 || state.bytes.saturating_add(bytes) <= self.bytes_max {
                    state.bytes = state.bytes.saturating_add(bytes);
                    self.show(&state);
                    return true;
                }
                self.pump(&mut state);
                if !state.ready.is_empty() {
                    return false;
                }
                // Where nothing waits, the room was promised to others.
                let Some(oldest) = state.waiting.pop_front() else { return false };
                oldest
            };
            self.put_ready([(oldest, Unanswered::Room)]);
        }
    }

    /// Room beyond the bound, for what a predecessor held.
    fn promise(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_add(bytes);
        self.show(&state);
    }

    fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        self.show(&state);
    }

    /// Decides about what was taken out of those that wait, and sends it as far as there is room in the outbox.
    fn put_ready(&self, taken: impl IntoIterator<Item = (Waiting, Unanswered)>) {
        for (waiting, reason) in taken {
            let bytes = waiting.bytes;
            let batch = self.finish(waiting, reason);
            let mut state = self.lock();
            state.bytes = state.bytes.saturating_sub(bytes);
            if let Some(batch) = batch {
                state.bytes = state.bytes.saturating_add(batch.encoded_len());
                state.ready.push_back(batch);
            }
            self.pump(&mut state);
        }
    }

    fn pump(&self, state: &mut State) {
        while let Some(batch) = state.ready.pop_front() {
            let bytes = batch.encoded_len();
            if let Err(Full(batch)) = self.outbox.try_send(batch) {
                state.ready.push_front(batch);
                break;
            }
            state.bytes = state.bytes.saturating_sub(bytes);
        }
        self.show(state);
    }

    /// Decides about what has waited enough, unless there is nowhere to put it. `is_last`: wherever it has to be put.
    fn look(&self, is_last: bool) {
        let deciders = self.decisions.of(&self.of);
        let now = Instant::now();
        let done: Vec<Waiting> = {
            let mut state = self.lock();
            self.pump(&mut state);
            if !state.ready.is_empty() && !is_last {
                return;
            }
            let mut done = Vec::new();
            for mut waiting in std::mem::take(&mut state.waiting) {
                if is_last {
                    waiting.note(&deciders);
                }
                if waiting.is_done(&deciders, now, self.wait) {
                    done.push(waiting);
                } else {
                    state.waiting.push_back(waiting);
                }
            }
            done
        };
        self.put_ready(done.into_iter().map(|waiting| (waiting, Unanswered::Wait)));
    }

    fn take_all(&self) -> (VecDeque<Waiting>, VecDeque<Batch>) {
        let mut state = self.lock();
        let State { waiting, ready, .. } = std::mem::take(&mut *state);
        self.show(&state);
        (waiting, ready)
    }
}

impl Follows for Core {
    fn last_call(&self) {
        self.look(true);
    }
}

impl Waiting {
    fn new(batch: Batch, open: Vec<[u8; 16]>) -> Self {
        let bytes = batch.encoded_len() + open.len() * OPEN_BYTES;
        Self { since: Instant::now(), batch, open, answers: Answers::new(), bytes }
    }

    /// One that has nothing to wait for.
    fn decided(batch: Batch, answers: Answers) -> Self {
        Self { answers, ..Self::new(batch, Vec::new()) }
    }

    /// Notes all decisions there are.
    fn note(&mut self, deciders: &Deciders) {
        let Self { open, answers, batch, .. } = self;
        open.retain(|trace_id| {
            let answer = deciders.decided(batch.context(), trace_id);
            if answer.is_final() {
                answers.insert(*trace_id, answer);
            }
            !answer.is_final()
        });
    }

    /// Whether every trace is decided or has not begun in time. Asks about one that is not, at most.
    fn is_done(&mut self, deciders: &Deciders, now: Instant, wait: Duration) -> bool {
        while let Some(trace_id) = self.open.last() {
            let answer = deciders.decided(self.batch.context(), trace_id);
            let waits_on = match answer {
                Answer::Kept(_) | Answer::Dropped => false,
                Answer::Waits => true,
                Answer::Unknown => now.saturating_duration_since(self.since) < wait,
            };
            if waits_on {
                return false;
            }
            self.answers.insert(*trace_id, answer);
            self.open.pop();
        }
        true
    }
}

/// See the module's head.
pub struct Follower {
    core: Arc<Core>,
    next: Edge,
    outbox: Outbox,
    ticker: Mutex<Option<JoinHandle<()>>>,
    /// Whether it is closed. Held for reading while a batch is put among those that wait.
    closed: RwLock<bool>,
    /// Set when a successor takes its place.
    heir: OnceLock<Arc<dyn Consumer>>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("of", &self.core.of).finish_non_exhaustive()
    }
}

impl Follower {
    /// One that follows `of`, and decides by `sampler` about what has nothing to follow.
    #[must_use]
    pub fn new(settings: &Settings, config: &SamplerConfig, of: &ComponentId, sampler: Sampler, next: Edge) -> Self {
        let bytes_max = usize::try_from(config.max_waiting_bytes).unwrap_or(usize::MAX);
        let outbox = Outbox::new(next.clone(), OutboxSettings { bytes_max, ..OutboxSettings::default() });
        let telemetry = &settings.telemetry;
        let core = Core {
            sampler,
            outbox: outbox.clone(),
            decisions: Arc::clone(settings.decisions()),
            of: of.clone(),
            wait: config.trace_wait.as_std().unwrap_or_default(),
            bytes_max,
            state: Mutex::default(),
            waiting: telemetry.up_down_counter(WAITING, &[]),
            unanswered: ["wait", "room", "shutdown"].map(|reason| telemetry.counter(UNANSWERED, &[("reason", reason)])),
        };
        let (ticker, closed, heir) = (Mutex::default(), RwLock::default(), OnceLock::new());
        let core = Arc::new(core);
        settings.decisions().follow(of, &core);
        Self { core, next, outbox, ticker, closed, heir }
    }

    /// Lets a batch wait for which room is reserved; gives it back if the processor has stopped.
    fn wait(&self, waiting: Waiting) -> Option<Batch> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            self.core.release(waiting.bytes);
            return Some(waiting.batch);
        }
        self.core.lock().waiting.push_back(waiting);
        None
    }

    async fn take(&self, batch: Batch) -> ConsumeResult {
        let original = (batch.payload().clone(), Arc::clone(batch.context()));
        let (now, later, answers) = self.core.divide(batch);
        if let Some(waiting) = &later
            && !self.core.reserve(waiting.bytes)
        {
            let held = self.core.bytes_max;
            let message = format!("{held} bytes of log records wait, and the next component takes none of them");
            let error = DeliveryError::retryable_kept(message).with_retry_after(Duration::from_secs(1));
            return Err(restored(error, now, later.map(|waiting| waiting.batch), original));
        }
        let answer = match now {
            None => Ok(Accepted::all()),
            Some(now) => self.hand_on(now, &answers).await,
        };
        match (answer, later) {
            // The sender will send all of it again.
            (Err(mut error), Some(waiting)) if error.is_retryable() => {
                self.core.release(waiting.bytes);
                let back = error.take_undelivered();
                Err(restored(error, back, Some(waiting.batch), original))
            }
            (Err(mut error), None) => {
                let back = error.take_undelivered();
                Err(restored(error, back, None, original))
            }
            (answer, Some(waiting)) => match self.wait(waiting) {
                None => answer,
                Some(batch) => component::parts::combine([answer, self.stopped(batch).await], |_, _| {}),
            },
            (answer, None) => answer,
        }
    }

    /// Decides about a batch and hands on what is left of it.
    async fn hand_on(&self, batch: Batch, answers: &Answers) -> ConsumeResult {
        let (batch, accepted) = self.core.decide(batch, answers)?;
        match batch {
            Some(batch) => self.next.consume(batch).await.map(|further| accepted.and(further)),
            None => Ok(accepted),
        }
    }

    /// Where a batch goes that came too late.
    async fn stopped(&self, batch: Batch) -> ConsumeResult {
        match self.heir.get() {
            Some(heir) => heir.inherit(batch).await,
            None => Err(DeliveryError::retryable("the probabilistic_sampler processor has stopped", batch)),
        }
    }

    /// Takes nothing any more and ends the task.
    async fn close(&self) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            // It holds nothing while it waits, which is where an abort takes effect.
            ticker.abort();
            let _aborted = ticker.await;
        }
    }

    fn is_closed(&self) -> bool {
        *self.closed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is decided, drops what does not go in time. The number of dropped records.
    async fn drain(&self, ready: VecDeque<Batch>, deadline: Deadline) -> u64 {
        let mut dropped = 0;
        for batch in ready {
            if let Err(Full(batch)) = self.outbox.send(batch, deadline).await {
                dropped += lost(batch);
            }
        }
        dropped + self.outbox.drain(deadline).await
    }

    async fn pass_on(&self, heir: &Arc<dyn Consumer>, deadline: Deadline) -> Result<(), ShutdownError> {
        self.close().await;
        let (waiting, ready) = self.core.take_all();
        let mut dropped = 0;
        for waiting in waiting {
            if let Err(mut error) = heir.inherit(waiting.batch).await {
                dropped += error.take_undelivered().map_or(0, lost);
            }
        }
        // What is decided must not be decided again, so it is sent from here.
        told(dropped + self.drain(ready, deadline).await)
    }
}

/// Settles records that could not be handed on in time. How many.
fn lost(batch: Batch) -> u64 {
    let items = batch.items();
    batch.settle(Outcome::Dropped(SHUTDOWN));
    items
}

fn told(dropped: u64) -> Result<(), ShutdownError> {
    if dropped == 0 {
        return Ok(());
    }
    Err(ShutdownError(format!("{dropped} log records were dropped: they could not be handed on in time")))
}

/// Hands everything back that did not go, as it came where all of it comes back.
fn restored(
    error: DeliveryError,
    now: Option<Batch>,
    later: Option<Batch>,
    (payload, context): (Payload, Arc<Context>),
) -> DeliveryError {
    match (now, later) {
        (Some(mut now), later) => {
            if let Some(later) = later {
                now.append(later);
            }
            now.rewind(payload, context);
            error.with_undelivered(now)
        }
        // The next component kept the other part, or there was none.
        (None, Some(later)) => error.with_undelivered(later),
        (None, None) => error,
    }
}

impl Component for Follower {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.outbox.start();
        let core = Arc::clone(&self.core);
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        ticker.get_or_insert_with(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    core.look(false);
                }
            })
        });
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            self.close().await;
            let (waiting, mut ready) = self.core.take_all();
            ready.extend(waiting.into_iter().filter_map(|waiting| self.core.finish(waiting, Unanswered::Shutdown)));
            told(self.drain(ready, deadline).await)
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

impl Consumer for Follower {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            match self.heir.get() {
                _ if !self.is_closed() => self.take(batch).await,
                Some(heir) => heir.consume(batch).await,
                None => self.stopped(batch).await,
            }
        })
    }

    /// Waits here as it did there; the time for a trace to begin starts anew.
    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let (now, later, answers) = self.core.divide(batch);
            let (now, later) = (now.map(|batch| Waiting::decided(batch, answers)), later);
            let mut answer = Ok(Accepted::all());
            for waiting in [now, later].into_iter().flatten() {
                self.core.promise(waiting.bytes);
                if let Some(batch) = self.wait(waiting) {
                    answer = component::parts::combine([answer, self.stopped(batch).await], |_, _| {});
                }
            }
            answer
        })
    }
}
