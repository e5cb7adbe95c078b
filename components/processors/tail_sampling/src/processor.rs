//! The processor: takes requests in, runs the task that decides at every tick, drains at the end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use component::decisions::Decisions;
use component::outbox::Full;
use component::pages::Page;
use component::pressure::{Reported, Source};
use component::{
    Accepted, BoxFuture, Component, ComponentId, ConsumeFuture, Consumer, Deadline, DeliveryError, Edge, Host, Memory,
    Outbox, OutboxSettings, Settings, ShutdownError, StartError,
};
use pdata::{Batch, Outcome};
use statements::Problem;
use tokio::task::JoinHandle;

use crate::config::TailSamplingConfig;
use crate::log::{Cause, Logs};
use crate::plan::Plan;
use crate::rules::{budget, outbox_bytes};
use crate::sampler::{Estate, SHUTDOWN, Sampler, TURN};

/// Where decisions can be asked for.
pub const DECISIONS_PAGE: &str = "/tail_sampling/decisions";
/// How often batches are offered to a full outbox.
const PUMP_EVERY: Duration = Duration::from_millis(50);

/// One per pipeline.
#[derive(Debug)]
pub struct TailSampling {
    id: ComponentId,
    decisions: Arc<Decisions>,
    sampler: Arc<Sampler>,
    outbox: Outbox,
    drops_pending: bool,
    ticker: Mutex<Option<JoinHandle<()>>>,
    page: Mutex<Option<Page>>,
    logs: Arc<Logs>,
    reported: Mutex<Option<Reported>>,
    /// Whether it is closed. Held for reading while a batch is taken in.
    closed: RwLock<bool>,
    /// Set when a successor takes its place.
    heir: OnceLock<Heir>,
}

struct Heir(Arc<dyn Consumer>);

impl std::fmt::Debug for Heir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heir")
    }
}

impl TailSampling {
    /// An instance in front of `next`.
    ///
    /// # Errors
    /// The first policy that cannot be used; validation has told about all of them.
    pub fn new(settings: &Settings, config: &TailSamplingConfig, next: Edge) -> Result<Self, Problem> {
        let plan = Plan::compile(config).map_err(|mut problems| problems.remove(0))?;
        let bytes_max = outbox_bytes(budget(config, settings));
        let outbox = Outbox::new(next, OutboxSettings { bytes_max, ..OutboxSettings::default() });
        let sampler = Arc::new(Sampler::new(settings, config, plan, outbox.clone()));
        let logs = settings.shared.get_or_create(&format!("decisions of {}", settings.id), || {
            Ok::<_, std::convert::Infallible>(Arc::new(Logs::default()))
        });
        let Ok(logs) = logs;
        logs.add(&sampler);
        settings.decisions().answer_as(&settings.id, &sampler);
        Ok(Self {
            id: settings.id.clone(),
            decisions: Arc::clone(settings.decisions()),
            sampler,
            logs,
            reported: Mutex::default(),
            outbox,
            drops_pending: config.drop_pending_traces_on_shutdown,
            ticker: Mutex::default(),
            page: Mutex::default(),
            closed: RwLock::default(),
            heir: OnceLock::new(),
        })
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
        drop(self.page.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.reported.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Sends what is decided, drops what does not go in time. The number of dropped spans.
    async fn drain(&self, deadline: Deadline) -> u64 {
        let mut dropped = 0;
        for batch in self.sampler.take_waiting() {
            if let Err(Full(batch)) = self.outbox.send(batch, deadline).await {
                dropped += batch.items();
                batch.settle(Outcome::Dropped(SHUTDOWN));
            }
        }
        dropped += self.outbox.drain(deadline).await;
        self.sampler.clear();
        self.sampler.show();
        dropped
    }

    fn take(&self, batch: Batch, can_refuse: bool) -> Result<Accepted, DeliveryError> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(DeliveryError::retryable("the tail_sampling processor has stopped", batch));
        }
        if can_refuse {
            self.sampler.offer(batch)?;
        } else {
            self.sampler.take(batch, true);
        }
        Ok(Accepted::all())
    }

    async fn pass_on(&self, heir: &Arc<dyn Consumer>, deadline: Deadline) -> Result<(), ShutdownError> {
        self.close().await;
        let mut dropped = 0;
        let traces = self.sampler.take_all();
        heir.inherit_memory(Box::new(self.sampler.bequeath(&traces)));
        for batch in self.sampler.undecided(traces) {
            let Err(mut error) = heir.inherit(batch).await else { continue };
            if let Some(back) = error.take_undelivered() {
                dropped += back.items();
                back.settle(Outcome::Dropped(SHUTDOWN));
            }
        }
        // What is decided must not be decided again, so it is sent from here.
        dropped += self.drain(deadline).await;
        told(dropped)
    }
}

fn told(dropped: u64) -> Result<(), ShutdownError> {
    if dropped == 0 {
        return Ok(());
    }
    Err(ShutdownError(format!("{dropped} spans were dropped: they could not be handed on in time")))
}

async fn run(sampler: &Sampler) {
    loop {
        let tick = sampler.next_tick();
        while sampler.pump() {
            let pump = tokio::time::Instant::now() + PUMP_EVERY;
            if pump >= tick {
                break;
            }
            tokio::time::sleep_until(pump).await;
        }
        tokio::time::sleep_until(tick).await;
        let began = std::time::Instant::now();
        if sampler.orders_limits() {
            let mut round = sampler.begin_round();
            while sampler.rehearse(&mut round) {
                tokio::task::yield_now().await;
            }
            while sampler.decide_round(&mut round) {
                tokio::task::yield_now().await;
            }
            sampler.shrink();
        } else {
            for shard in sampler.shards() {
                while sampler.decide_due(shard) {
                    tokio::task::yield_now().await;
                }
            }
        }
        sampler.end_round(began.elapsed());
    }
}

impl Component for TailSampling {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.outbox.start();
        let logs = Arc::clone(&self.logs);
        let page = host
            .registry()
            .pages()
            .publish_answers(DECISIONS_PAGE, &self.id.to_string(), move |query| logs.to_json(query));
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
        let filled = Arc::clone(&self.sampler);
        let reported = host.pressure().report(Source::TraceBuffer, move || filled.fill());
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner) = Some(reported);
        let sampler = Arc::clone(&self.sampler);
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        ticker.get_or_insert_with(|| tokio::spawn(async move { run(&sampler).await }));
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            self.close().await;
            if self.drops_pending {
                for trace in self.sampler.take_all() {
                    trace.stake.settle(Outcome::Dropped(SHUTDOWN));
                }
            } else {
                while self.sampler.decide_oldest(usize::MAX, TURN, Cause::Shutdown) {
                    tokio::task::yield_now().await;
                }
            }
            // Log records that follow learn what became of their traces while it is still known.
            self.decisions.last_call(&self.id);
            told(self.drain(deadline).await)
        })
    }

    fn hand_over(
        &self,
        successor: &Arc<dyn Consumer>,
        deadline: Deadline,
    ) -> Option<BoxFuture<'_, Result<(), ShutdownError>>> {
        // A second call changes nothing.
        let Heir(heir) = self.heir.get_or_init(|| Heir(Arc::clone(successor)));
        Some(Box::pin(self.pass_on(heir, deadline)))
    }
}

impl Consumer for TailSampling {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        let answer = self.take(batch, true);
        let Err(mut error) = answer else { return Box::pin(std::future::ready(answer)) };
        match (self.heir.get(), error.take_undelivered()) {
            (Some(Heir(heir)), Some(back)) => heir.consume(back),
            (_, Some(back)) => Box::pin(std::future::ready(Err(error.with_undelivered(back)))),
            (_, None) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        let answer = self.take(batch, false);
        let Err(mut error) = answer else { return Box::pin(std::future::ready(answer)) };
        match (self.heir.get(), error.take_undelivered()) {
            // It was replaced itself before it had everything.
            (Some(Heir(heir)), Some(back)) => heir.inherit(back),
            (_, Some(back)) => Box::pin(std::future::ready(Err(error.with_undelivered(back)))),
            (_, None) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn inherit_memory(&self, memory: Memory) {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        match self.heir.get() {
            Some(Heir(heir)) if *closed => heir.inherit_memory(memory),
            _ if *closed => {}
            _ => {
                if let Ok(estate) = memory.downcast::<Estate>() {
                    self.sampler.inherit(*estate);
                }
            }
        }
    }
}
