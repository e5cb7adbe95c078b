//! All traces of one instance: taking spans in, deciding, making room. Synchronous; [`crate::processor`] calls it.
//!
//! Locks are taken in this order: a shard, the policies' state; the outgoing batches and the log alone. What is freed or
//! encoded is so outside of shards' locks, and no lock is held for more than [`TURN`] decisions.

mod answers;
mod estate;
mod gate;
mod ingest;
mod ordered;
mod room;
mod ticks;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use component::outbox::Full;
use component::pressure::{Class, Pressure, Shed};
use component::{DeliveryError, Outbox, Settings};
use pdata::{Batch, Outcome, Signal};
use sampling::Threshold;
use statements::Failures;
use tokio::time::Instant;

use self::ticks::{tick_after, tick_at};
use crate::config::TailSamplingConfig;
use crate::envelope::{Envelopes, Sender};
use crate::limits::State;
use crate::log::{Cause, DecisionLog, Entry, Names};
use crate::metrics::{Metrics, TIMED_EVERY, Tally};
use crate::output::{Marking, Writer};
use crate::pages::{self, Pages};
use crate::plan::Plan;
use crate::policy::{Decision, Facts, Limits, Policy, Terms, Verdict, decide};
use crate::remembered::{ByHash, REMEMBERED_BYTES};
use crate::request::{Part, Reading, Request, first_of};
use crate::rules::Rules;
use crate::shard::{Shard, Taken};
use crate::trace::{Floor, Kept, Trace, process_began};

pub use self::estate::Estate;

/// Shares of all traces with locks of their own.
const SHARDS: usize = 8;
/// Decisions made under one lock.
pub const TURN: usize = 128;
/// How long before its making the clock of a sampler starts, so that what a predecessor knew has times too.
const EPOCH: Duration = Duration::from_secs(24 * 3600);
/// The share of the budget that each table of decisions, and the log, may take.
const TABLE_SHARE: usize = 32;

/// Bytes that a trace is expected to take at least: tables are not made for more of them than fit.
const EXPECTED_BYTES: usize = 1 << 10;
/// The share of the budget that a batch has which is not finished, at most.
const BEGUN_SHARE: usize = 64;

/// Why spans that were not kept leave the books.
pub const NOT_SAMPLED: &str = "not_sampled";
/// Why spans of traces beyond `maximum_trace_size_bytes` do.
pub const TOO_LARGE: &str = "trace_too_large";
/// Why spans do that chance would have kept without the degraded mode.
pub const THINNED: &str = "thinned";
/// Why spans do of traces that the degraded mode did not let wait.
pub const GATED: &str = "gated";
/// Why spans do that could not be handed on at a shutdown, or were not to be.
pub const SHUTDOWN: &str = "shutdown";

/// Kept traces on their way out.
#[derive(Debug)]
struct Outgoing {
    writer: Writer,
    waiting: VecDeque<Batch>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Sampler {
    rules: Rules,
    plan: Plan,
    started: Instant,
    envelopes: Envelopes,
    pages: Arc<Pages>,
    shards: Vec<Mutex<Shard>>,
    /// The number of the oldest trace in each shard, at least.
    oldest: Vec<AtomicU64>,
    state: Mutex<State>,
    outgoing: Mutex<Outgoing>,
    outbox: Outbox,
    /// Whether thresholds are written to spans.
    writes_thresholds: bool,
    names: Arc<Names>,
    log: Arc<DecisionLog>,
    /// When traces that a predecessor passes on began, by hash.
    began: Mutex<ByHash<(Duration, Floor)>>,
    metrics: Metrics,
    failures: Failures,
    pressure: Arc<Pressure>,
    thinned: Shed,
    gated: Shed,
    numbers: AtomicU64,
    /// Traces that policies were asked about.
    decided: AtomicU64,
    traces: AtomicUsize,
    /// Bytes of shards, and of batches that wait for the outbox.
    shard_bytes: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a request or a round did, to be completed outside of locks.
struct Round {
    taken: Vec<Taken>,
    /// Late spans of kept traces.
    late: Vec<Kept>,
    tally: Tally,
    /// Traces that did not wait.
    gated: Vec<Entry>,
    /// Whether a predecessor passed on what is taken in.
    is_inherited: bool,
    /// What the randomness of new traces must reach, in the degraded mode.
    floor: Floor,
}

impl Sampler {
    /// An empty one.
    #[must_use]
    pub fn new(settings: &Settings, config: &TailSamplingConfig, mut plan: Plan, outbox: Outbox) -> Self {
        let rules = Rules::new(config, settings);
        let state = std::mem::take(&mut plan.state);
        let table_bytes = rules.budget / TABLE_SHARE;
        let remembered = |size: u64| {
            let fit = (table_bytes / REMEMBERED_BYTES) as u64;
            let size = if size == 0 { config.num_traces.min(fit) } else { size };
            usize::try_from(size).unwrap_or(usize::MAX).div_ceil(SHARDS)
        };
        let cache = &config.decision_cache;
        let _began = process_began();
        let (kept, dropped) = (remembered(cache.sampled_cache_size), remembered(cache.non_sampled_cache_size));
        let expected = config.expected_new_traces_per_sec.saturating_mul(rules.wait.as_secs()).min(config.num_traces);
        let traces = usize::try_from(expected).unwrap_or(usize::MAX).min(rules.budget / EXPECTED_BYTES) / SHARDS;
        let pages = Arc::new(Pages::new(rules.budget, Arc::clone(&settings.account)));
        let shard = || {
            let writer = pages::Writer::new(Arc::clone(&pages));
            Mutex::new(Shard::new(kept, dropped, traces, writer, settings.account.charge(0)))
        };
        let marking = Marking { reason_attribute: config.reason_attribute.clone(), thresholds: config.adjusted_counts };
        let writer = Writer::new(marking, Arc::clone(&settings.account));
        let log_size = usize::try_from(config.decision_log_size).unwrap_or(usize::MAX);
        let log_size = log_size.min(table_bytes / size_of::<Entry>());
        let names = Arc::new(Names::new(&plan.policies));
        Self {
            rules,
            started: Instant::now().checked_sub(EPOCH).unwrap_or_else(Instant::now),
            envelopes: Envelopes::new(Arc::clone(&settings.account)),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            pages,
            oldest: (0..SHARDS).map(|_| AtomicU64::new(u64::MAX)).collect(),
            state: Mutex::new(state),
            outgoing: Mutex::new(Outgoing { writer, waiting: VecDeque::new() }),
            outbox,
            log: Arc::new(DecisionLog::new(log_size, Arc::clone(&names), settings.account.charge(0))),
            writes_thresholds: config.adjusted_counts,
            names,
            began: Mutex::default(),
            metrics: Metrics::new(&settings.telemetry, settings.id.name(), &plan.policies),
            failures: Failures::new(settings),
            plan,
            pressure: Arc::clone(settings.pressure()),
            thinned: Shed::new(&settings.telemetry, Signal::Traces, THINNED),
            gated: Shed::new(&settings.telemetry, Signal::Traces, GATED),
            numbers: AtomicU64::new(0),
            decided: AtomicU64::new(0),
            traces: AtomicUsize::new(0),
            shard_bytes: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
        }
    }

    /// Its decisions.
    #[must_use]
    pub fn log(&self) -> &Arc<DecisionLog> {
        &self.log
    }

    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// Bytes that everything occupies: waiting traces, what is remembered, what is on its way out. Without spare pages, which
    /// what comes next goes to.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffered_bytes() + self.waiting_bytes.load(Ordering::Relaxed) + self.outbox.bytes()
    }

    /// How much of the budget is held, 0 to 1.
    #[must_use]
    pub fn fill(&self) -> f64 {
        (self.held_bytes() as f64 / self.rules.budget.max(1) as f64).min(1.0)
    }

    fn buffered_bytes(&self) -> usize {
        let tables = self.envelopes.held_bytes() + self.log.held_bytes();
        self.shard_bytes.load(Ordering::Relaxed) + self.pages.used_bytes() + tables
    }

    /// Takes responsibility for a batch of spans.
    ///
    /// # Errors
    /// Retryable, with the batch, when nothing more can be decided to make room for it.
    pub fn offer(&self, batch: Batch) -> Result<(), DeliveryError> {
        let is_full = self.rules.refuses_beyond && self.traces.load(Ordering::Relaxed) >= self.rules.traces_max;
        if is_full || !self.make_room(batch.encoded_len()) {
            self.metrics.refused.add(1);
            let held = self.held_bytes();
            let (traces, budget) = (self.traces.load(Ordering::Relaxed), self.rules.budget);
            let message = if is_full {
                format!("{traces} traces wait for a decision, which is the most that may")
            } else {
                format!("{held} of {budget} bytes are held, and nothing more can be decided to make room")
            };
            return Err(DeliveryError::retryable(message, batch).with_retry_after(Duration::from_secs(1)));
        }
        self.take(batch, false);
        self.make_room(0);
        Ok(())
    }

    /// Takes spans in, whatever they need. `is_inherited`: a predecessor passed them on.
    pub fn take(&self, batch: Batch, is_inherited: bool) {
        let (payload, context, stake) = batch.into_parts();
        if payload.items() == 0 {
            return stake.settle(Outcome::Delivered);
        }
        let sender = self.envelopes.sender(&context);
        let floor = self.floor(is_inherited);
        let asks_alone = is_inherited || floor != Floor::NONE;
        let reading = Reading {
            conditions: &self.plan.conditions,
            envelopes: &self.envelopes,
            failures: &self.failures,
            alone: if asks_alone { &self.plan.policies } else { &[] },
        };
        let mut request = Request::read(payload, &context, stake, &sender, reading);
        let mut parts: Vec<(usize, Part)> =
            request.parts.drain(..).map(|part| (shard_of(&part.facts.trace_id), part)).collect();
        parts.sort_by_key(|(shard, _)| *shard);
        let first_number = self.numbers.fetch_add(parts.len() as u64, Ordering::Relaxed);
        let mut round = Round { is_inherited, floor, ..self.round() };
        let mut parts = parts.into_iter().peekable();
        let (mut new, mut late) = (0, [0; 2]);
        while let Some((place, _)) = parts.peek() {
            let place = *place;
            let now = self.now();
            let Some(shard) = self.shards.get(place) else { break };
            let mut shard = lock(shard);
            while let Some((_, mut part)) = parts.next_if(|(shard, _)| *shard == place) {
                part.place += first_number;
                self.take_part(&mut shard, part, &request, &sender, now, &mut round, (&mut new, &mut late));
            }
            self.settle_shard(place, &mut shard);
        }
        self.metrics.new_traces.add(new);
        self.metrics.early_releases.iter().zip(late).for_each(|(counter, count)| counter.add(count));
        self.complete(round, true);
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one loop")]
    fn take_part(
        &self,
        shard: &mut Shard,
        mut part: Part,
        request: &Request,
        sender: &Arc<Sender>,
        now: Duration,
        round: &mut Round,
        (new, late): (&mut u64, &mut [u64; 2]),
    ) {
        let conditions = &self.plan.conditions;
        let mut hash = part.hash;
        let is_same = |trace: &Trace| trace.facts.trace_id == part.facts.trace_id && Arc::ptr_eq(&trace.sender, sender);
        while shard.traces.get(&hash).is_some_and(|trace| !is_same(trace)) {
            hash = hash.wrapping_add(1);
        }
        let began = if round.is_inherited { lock(&self.began).remove(&part.hash) } else { None };
        if began.is_some() && shard.decided(hash).is_some_and(|known| known.decision.verdict == Verdict::Gated) {
            // Its first spans wait: it is not new, as it seemed here before that was known.
            shard.forget(hash);
            self.metrics.split.add(1);
        }
        if shard.traces.contains_key(&hash) {
            shard.with(hash, |trace, writer| {
                let (facts, more) = (&mut trace.facts, &part.facts);
                conditions.merge(&mut facts.bits, &more.bits);
                first_of(&mut facts.fields, &more.fields);
                facts.add(more.start, more.end, more.randomness);
                facts.spans += more.spans;
                facts.bytes += more.bytes;
                request.store(&part, writer, |chunk| trace.push(chunk));
                trace.stake.merge(std::mem::take(&mut part.stake));
            });
            if let Some((began, _)) = began {
                shard.antedate(hash, began, tick_after(began + self.rules.wait));
            }
        } else if let Some(remembered) = shard.decided(hash) {
            if remembered.decision.verdict == Verdict::Gated {
                return self.settle_alone(part, request, sender, round);
            }
            self.metrics.late_age.record(now.as_secs().saturating_sub(remembered.at.into()) as f64);
            let [kept, dropped] = late;
            if remembered.decision.is_kept() {
                *kept += part.facts.spans;
                let mut chunks = Vec::new();
                request.chunks(&part, |chunk| chunks.push(chunk));
                let (sender, decision) = (Arc::clone(sender), Some(remembered.decision));
                round.late.push(Kept { sender, chunks, stake: part.stake, decision, floor: remembered.floor });
            } else {
                *dropped += part.facts.spans;
                part.stake.settle(Outcome::Dropped(NOT_SAMPLED));
            }
            return;
        } else if !round.floor.threshold().keeps(part.facts.randomness()) {
            *new += 1;
            return self.gate(shard, hash, part, request, sender, now, round);
        } else {
            *new += u64::from(began.is_none());
            let (arrived, floor) = began.unwrap_or((now, round.floor));
            self.traces.fetch_add(1, Ordering::Relaxed);
            let mut trace = Box::new(Trace {
                number: part.place,
                sender: Arc::clone(sender),
                arrived,
                due: tick_after(arrived + self.rules.wait),
                floor,
                so_far: Decision::NOT_SAMPLED,
                facts: part.facts.clone(),
                stake: pdata::ledger::Stake::none(),
                chunks: Vec::new(),
                chunk_bytes: 0,
            });
            request.store(&part, &mut shard.writer, |chunk| trace.push(chunk));
            trace.stake = std::mem::take(&mut part.stake);
            shard.insert(hash, trace);
        }
        if let Some(wait) = self.rules.wait_after_root
            && part.has_root
        {
            shard.hasten(hash, tick_after(now + wait));
        }
        let Some(trace) = shard.traces.get(&hash) else { return };
        let (spans, bytes) = (trace.facts.spans, trace.facts.bytes);
        if self.rules.trace_bytes_dropped.is_some_and(|max| bytes > max) {
            self.decide(shard, hash, Cause::TooLarge, now, round);
        } else if self.rules.at_ingest && self.is_decided_by(&part.facts, shard, hash, now, round) {
            self.decide(shard, hash, Cause::Ingest, now, round);
        } else if spans >= self.rules.trace_spans_decided {
            self.decide(shard, hash, Cause::Spans, now, round);
        } else if bytes >= self.rules.trace_bytes_decided {
            self.decide(shard, hash, Cause::Bytes, now, round);
        }
    }

    fn round(&self) -> Round {
        let tally = Tally::new(self.plan.policies.len());
        let (taken, late, gated) = (Vec::new(), Vec::new(), Vec::new());
        Round { taken, late, tally, gated, is_inherited: false, floor: Floor::NONE }
    }

    /// Decides about a trace and takes it out.
    fn decide(&self, shard: &mut Shard, hash: u64, cause: Cause, now: Duration, round: &mut Round) {
        self.decide_by(Limits::Arrival, shard, hash, cause, now, round);
    }

    fn decide_by(&self, limits: Limits, shard: &mut Shard, hash: u64, cause: Cause, now: Duration, round: &mut Round) {
        let Some(trace) = shard.remove(hash) else { return };
        self.traces.fetch_sub(1, Ordering::Relaxed);
        let decision = if cause == Cause::TooLarge {
            Decision::NOT_SAMPLED
        } else if self.rules.at_ingest {
            trace.so_far
        } else {
            self.ask(&self.plan.policies, &trace.facts, self.terms(now, limits), &mut round.tally)
        };
        round.tally.before_start += u64::from((1..process_began()).contains(&trace.facts.start));
        round.tally.decided(decision.verdict, cause, now.saturating_sub(trace.arrived));
        shard.remember(hash, decision, trace.floor, now);
        round.taken.push(Taken { trace, decision, cause });
    }

    /// Asks policies, and counts what they say.
    fn ask(&self, policies: &[Policy], facts: &Facts, terms: Terms, tally: &mut Tally) -> Decision {
        let mut asked =
            self.decided.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIMED_EVERY).then(std::time::Instant::now);
        let told = |policy, vote| {
            let took = asked.as_mut().map(|since| {
                let now = std::time::Instant::now();
                now.duration_since(std::mem::replace(since, now))
            });
            tally.vote(policy, vote, facts, took);
        };
        decide(policies, facts, &mut lock(&self.state), terms, told)
    }

    fn terms(&self, now: Duration, limits: Limits) -> Terms {
        let rejected = Threshold::rejecting(self.pressure.rejected(Class::Normal));
        Terms { now, rejected, first_match: self.rules.first_match, limits }
    }

    /// Notes what a shard occupies and which of its traces is the oldest.
    fn settle_shard(&self, place: usize, shard: &mut Shard) {
        let (before, now) = shard.settle_charge();
        if now > before {
            self.shard_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.shard_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
        if let Some(oldest) = self.oldest.get(place) {
            oldest.store(shard.oldest().map_or(u64::MAX, |(_, number)| number), Ordering::Relaxed);
        }
    }

    /// Frees what was dropped, writes what was kept, logs, counts. `finish`: the batch that this begins is not to wait
    /// for the next round.
    fn complete(&self, round: Round, finish: bool) {
        let Round { taken, mut late, tally, gated, .. } = round;
        if taken.is_empty() && late.is_empty() && gated.is_empty() {
            return;
        }
        self.metrics.add(&tally);
        let (at, now) = (SystemTime::now(), self.now());
        self.log.add(gated);
        self.log.add(taken.iter().map(|taken| Entry {
            trace_id: taken.trace.facts.trace_id,
            sender: Arc::clone(&taken.trace.sender),
            at,
            decision: taken.decision,
            cause: taken.cause,
            spans: taken.trace.facts.spans,
            bytes: taken.trace.facts.bytes,
            duration_ms: taken.trace.facts.duration_ms(),
            waited_s: now.saturating_sub(taken.trace.arrived).as_secs(),
        }));
        for Taken { trace, decision, cause } in taken {
            if decision.verdict == Verdict::Sampled {
                late.push(Kept::from((*trace, Some(decision))));
            } else {
                let reason = match cause {
                    Cause::TooLarge => TOO_LARGE,
                    _ if decision.is_thinned => THINNED,
                    _ => NOT_SAMPLED,
                };
                if reason == THINNED {
                    self.thinned.add(Class::Normal, trace.facts.spans);
                }
                trace.stake.settle(Outcome::Dropped(reason));
            }
        }
        if !late.is_empty() {
            self.send(late, finish);
        }
    }

    fn send(&self, kept: Vec<Kept>, finish: bool) {
        let mut outgoing = lock(&self.outgoing);
        for kept in kept {
            outgoing.writer.add(kept, &self.names);
        }
        if finish || outgoing.writer.begun_bytes() > self.rules.budget / BEGUN_SHARE {
            outgoing.writer.finish();
        }
        let Outgoing { writer, waiting } = &mut *outgoing;
        for batch in writer.batches.drain(..) {
            self.waiting_bytes.fetch_add(batch.encoded_len(), Ordering::Relaxed);
            waiting.push_back(batch);
        }
        self.pump_locked(&mut outgoing);
    }

    fn pump_locked(&self, outgoing: &mut Outgoing) {
        while let Some(batch) = outgoing.waiting.pop_front() {
            let bytes = batch.encoded_len();
            match self.outbox.try_send(batch) {
                Ok(()) => self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed),
                Err(Full(batch)) => return outgoing.waiting.push_front(batch),
            };
        }
    }

    /// Hands what waits to the outbox. Whether something waits still.
    pub fn pump(&self) -> bool {
        let mut outgoing = lock(&self.outgoing);
        self.pump_locked(&mut outgoing);
        !outgoing.waiting.is_empty()
    }

    /// Decides what is due, at most [`TURN`] traces of one shard. Whether there may be more there.
    pub fn decide_due(&self, place: usize) -> bool {
        let Some(shard) = self.shards.get(place) else { return false };
        let now = self.now();
        let (tick, ahead) = (tick_at(now), self.ahead());
        let mut round = self.round();
        {
            let mut shard = lock(shard);
            while round.taken.len() < TURN
                && let Some(hash) = shard.next_due(tick, ahead)
            {
                let is_due = shard.traces.get(&hash).is_some_and(|trace| trace.due <= tick);
                let cause = if is_due { Cause::Wait } else { Cause::Overload };
                self.decide(&mut shard, hash, cause, now, &mut round);
            }
            if round.taken.is_empty() {
                shard.shrink();
            }
            self.settle_shard(place, &mut shard);
        }
        let is_more = round.taken.len() == TURN;
        self.complete(round, false);
        is_more
    }

    /// Places of shards.
    #[must_use]
    pub fn shards(&self) -> std::ops::Range<usize> {
        0..self.shards.len()
    }

    /// After a round of decisions that took so long: forgets what is not needed, shows numbers.
    pub fn end_round(&self, took: Duration) {
        self.send(Vec::new(), true);
        self.envelopes.sweep();
        if self.pages.is_sparse() {
            for (place, shard) in self.shards.iter().enumerate() {
                let mut shard = lock(shard);
                shard.refresh();
                self.settle_shard(place, &mut shard);
            }
        }
        self.pages.trim();
        self.metrics.timer_latency.record(took.as_millis() as f64);
        self.show();
    }

    /// Shows how much is held.
    pub fn show(&self) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.on_memory.set(number(self.traces.load(Ordering::Relaxed)));
        self.metrics.held_bytes.set(number(self.held_bytes() + self.pages.spare_bytes()));
    }
}

/// Spreads trace IDs. Not keyed: who aims at one shard makes a lock busier, no more.
fn shard_of(trace_id: &[u8; 16]) -> usize {
    let folded = trace_id.iter().fold(0_u8, |all, byte| all.rotate_left(3) ^ byte);
    usize::from(folded) % SHARDS
}
