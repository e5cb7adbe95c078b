//! The component: the way in, an optional queue and retries before routing, and the order in which things end.
//!
//! Without `sending_queue` and `retry_on_failure` at this level, a batch is divided at once and each part goes into its
//! endpoint's own queue. With them, it waits in front of the router: every attempt divides what is left of it by the ring of
//! that moment, and what endpoints took is not sent again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use component::telemetry::{Metric, Observer};
use component::{
    Accepted, BoxFuture, BuildError, Component, ConsumeFuture, ConsumeResult, Consumer, Deadline, DeliveryError, Host,
    Level, Settings, ShutdownError, StartError,
};
use delivery::{Entry, MemoryQueue, PutRefusal, Queue, RetryConfig};
use otlp_client::GrpcTransport;
use pdata::account::RETRY_HINT;
use pdata::{Batch, Outcome, Signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::config::LoadBalancingConfig;
use crate::key::RoutingKey;
use crate::members::{Members, Running};
use crate::metrics::{REROUTED, SPLIT};
use crate::resolver::{self, Resolver};
use crate::router::Router;
use crate::splits::Splits;

const QUEUE_SIZE: Metric = Metric {
    name: "otelcol_exporter_queue_size",
    help: "What the queue holds, in its own unit",
    unit: "{batches}",
    level: Level::Basic,
};
const QUEUE_CAPACITY: Metric = Metric {
    name: "otelcol_exporter_queue_capacity",
    help: "What the queue can hold, in its own unit",
    unit: "{batches}",
    level: Level::Basic,
};

/// No delay is shorter.
const DELAY_MIN: Duration = Duration::from_millis(10);
/// Longest delay while draining.
const DRAIN_DELAY_MAX: Duration = Duration::from_secs(1);

/// See the module's head.
pub struct LoadBalancer {
    front: Arc<Front>,
    router: Arc<Router>,
    phase: Mutex<Phase>,
}

enum Phase {
    Built(Box<Members>),
    Running { members: Running, workers: JoinSet<()>, observers: Vec<Observer> },
    Ended,
}

impl fmt::Debug for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadBalancer").field("router", &self.router).finish_non_exhaustive()
    }
}

impl LoadBalancer {
    /// An exporter of `signal`. Does not resolve anything yet.
    ///
    /// # Errors
    /// A routing key that the signal does not have; certificates that cannot be read.
    pub fn new(settings: Settings, config: LoadBalancingConfig, signal: Signal) -> Result<Self, BuildError> {
        let Some(resolver) = resolver::of_config(&config.resolver) else {
            return Err(BuildError::at("resolver", "no resolvers specified for the exporter"));
        };
        Self::with_resolver(settings, config, signal, resolver)
    }

    /// As [`LoadBalancer::new`], with endpoints from elsewhere.
    ///
    /// # Errors
    /// A routing key that the signal does not have; certificates that cannot be read.
    pub fn with_resolver(
        settings: Settings,
        config: LoadBalancingConfig,
        signal: Signal,
        resolver: Box<dyn Resolver>,
    ) -> Result<Self, BuildError> {
        let routing = RoutingKey::parse(signal, &config.routing_key, &config.routing_attributes)
            .map_err(|message| BuildError::at("routing_key", message))?;
        // Settings that no endpoint could be talked to with are found before there is any.
        GrpcTransport::new(&config.protocol.otlp, &settings, signal)?;
        let telemetry = &settings.telemetry;
        let splits = (signal == Signal::Traces && routing == RoutingKey::TraceId).then(|| {
            let lag = config.reroute_after().max(resolver.interval()).unwrap_or_default();
            Splits::new(telemetry.counter(SPLIT, &[]), lag)
        });
        let router = Arc::new(Router::new(routing, telemetry.counter(REROUTED, &[]), splits));
        let queue = config.sending_queue.get().map(|queue| {
            let capacity = u64::try_from(queue.queue_size).unwrap_or(1);
            Queued {
                queue: MemoryQueue::new(capacity, queue.queue_sizer(), queue.block_on_overflow),
                consumers: usize::try_from(queue.num_consumers).unwrap_or(1).clamp(1, 1024),
            }
        });
        let front = Front {
            settings: settings.clone(),
            signal,
            queue,
            retry: config.retry_on_failure.clone(),
            timeout: config.timeout(),
            router: Arc::clone(&router),
            stop_at: watch::Sender::new(None),
            heir: OnceLock::new(),
        };
        let members = Members::new(settings, signal, config, resolver, Arc::clone(&router));
        Ok(Self { front: Arc::new(front), router, phase: Mutex::new(Phase::Built(Box::new(members))) })
    }

    fn turn(&self, to: Phase) -> Phase {
        std::mem::replace(&mut *self.phase.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    async fn end(&self, deadline: Deadline) {
        let heir = self.front.heir.get();
        if let Some(queued) = &self.front.queue {
            queued.queue.close();
        }
        self.front.stop_at.send_if_modified(|stop_at| {
            stop_at.get_or_insert(if heir.is_some() { Instant::now() } else { deadline.instant() });
            true
        });
        match self.turn(Phase::Ended) {
            Phase::Running { members, mut workers, observers } => {
                // What the workers still send is answered when the endpoints end; those need some time of their own.
                let early =
                    if heir.is_some() { Instant::now() } else { deadline.instant() - deadline.remaining() / 10 };
                let _late = timeout_at(early, async { while workers.join_next().await.is_some() {} }).await;
                self.router.stop();
                if let Some(members) = members.stop().await {
                    members.end(heir, deadline).await;
                }
                while workers.join_next().await.is_some() {}
                self.front.empty().await;
                drop(observers);
            }
            Phase::Built(_) | Phase::Ended => self.router.stop(),
        }
    }
}

impl Component for LoadBalancer {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let Phase::Built(members) = self.turn(Phase::Ended) else {
                return Err(StartError::plain(&self.front.settings.id, "start a second time"));
            };
            let members = members.start(host).await?;
            let (mut workers, mut observers) = (JoinSet::new(), Vec::new());
            if let Some(queued) = &self.front.queue {
                for _ in 0..queued.consumers {
                    let front = Arc::clone(&self.front);
                    workers.spawn(async move { front.work().await });
                }
                let label = [("data_type", self.front.signal.as_str())];
                for (metric, read) in
                    [(QUEUE_SIZE, Queue::used as fn(&MemoryQueue) -> u64), (QUEUE_CAPACITY, Queue::capacity)]
                {
                    let front = Arc::clone(&self.front);
                    let read = move || front.queue.as_ref().map_or(0.0, |queued| read(&queued.queue) as f64);
                    observers.push(self.front.settings.telemetry.gauge(metric, &label, read));
                }
            }
            self.turn(Phase::Running { members, workers, observers });
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            self.end(deadline).await;
            Ok(())
        })
    }

    fn hand_over(
        &self,
        successor: &Arc<dyn Consumer>,
        deadline: Deadline,
    ) -> Option<BoxFuture<'_, Result<(), ShutdownError>>> {
        // A second call changes nothing.
        let _first = self.front.heir.set(Arc::clone(successor));
        self.router.bequeath(successor);
        Some(self.shutdown(deadline))
    }
}

impl Consumer for LoadBalancer {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            if batch.items() == 0 {
                batch.settle(Outcome::Delivered);
                return Ok(Accepted::all());
            }
            self.front.consume(batch).await
        })
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let Some(queued) = &self.front.queue else { return self.router.inherit(batch).await };
            match (queued.queue.inherit(Entry::new(batch)).await, self.front.heir.get()) {
                (Ok(()), _) => Ok(Accepted::all()),
                (Err(error), Some(heir)) => heir.inherit(error.entry.batch).await,
                (Err(error), None) => Err(refused(&error.refusal, error.entry.batch)),
            }
        })
    }
}

/// What stands before the router.
struct Front {
    settings: Settings,
    signal: Signal,
    queue: Option<Queued>,
    retry: RetryConfig,
    timeout: Option<Duration>,
    router: Arc<Router>,
    /// When the last attempt ends, once the end has begun.
    stop_at: watch::Sender<Option<Instant>>,
    heir: OnceLock<Arc<dyn Consumer>>,
}

struct Queued {
    queue: MemoryQueue,
    consumers: usize,
}

fn refused(refusal: &PutRefusal, batch: Batch) -> DeliveryError {
    match refusal {
        PutRefusal::TooLarge { .. } => DeliveryError::permanent(refusal.to_string()).with_undelivered(batch),
        PutRefusal::Full { .. } | PutRefusal::Closed | PutRefusal::Storage(_) => {
            DeliveryError::retryable(refusal.to_string(), batch).with_retry_after(RETRY_HINT)
        }
    }
}

impl Front {
    async fn consume(&self, batch: Batch) -> ConsumeResult {
        let Some(queued) = &self.queue else { return self.attempt(batch).await };
        match (queued.queue.put(Entry::new(batch)).await, self.heir.get()) {
            (Ok(()), _) => Ok(Accepted::all()),
            (Err(error), Some(heir)) if error.refusal == PutRefusal::Closed => heir.consume(error.entry.batch).await,
            (Err(error), _) => Err(refused(&error.refusal, error.entry.batch)),
        }
    }

    /// Sends what waits, until the queue is closed and empty, or its time is over.
    async fn work(&self) {
        let Some(queued) = &self.queue else { return };
        loop {
            let record = tokio::select! {
                biased;
                () = self.stopped() => return,
                record = queued.queue.claim() => record,
            };
            let Some(record) = record else { return };
            let mut error = match self.attempt(record.entry.batch).await {
                Ok(_accepted) => {
                    queued.queue.commit(record.ticket);
                    continue;
                }
                Err(error) => error,
            };
            match error.take_undelivered() {
                Some(back) if error.is_retryable() && self.stop_at.borrow().is_some() => {
                    queued.queue.give_back(record.ticket, vec![back]);
                }
                back => {
                    queued.queue.commit(record.ticket);
                    self.give_up(back, &error);
                }
            }
        }
    }

    fn give_up(&self, batch: Option<Batch>, error: &DeliveryError) {
        let lost_items = batch.as_ref().map_or(0, Batch::items);
        tracing::error!(exporter = %self.settings.id, signal = %self.signal, %error, lost_items, "sending failed; data is lost");
        if let Some(batch) = batch {
            batch.settle(match (error.is_retryable(), self.retry.enabled) {
                (false, _) => Outcome::Rejected,
                (true, true) => Outcome::Dropped("retries_exhausted"),
                (true, false) => Outcome::Dropped("retry_disabled"),
            });
        }
    }

    /// Attempts until everything is answered, or there is no further attempt.
    async fn attempt(&self, mut batch: Batch) -> ConsumeResult {
        let started = Instant::now();
        let std = |duration: config::GoDuration| duration.as_std().unwrap_or_default();
        let mut interval = std(self.retry.initial_interval);
        let elapsed_max = Some(std(self.retry.max_elapsed_time)).filter(|elapsed| !elapsed.is_zero());

        loop {
            let mut error = match self.route(batch).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            if !self.retry.enabled || !error.is_retryable() {
                return Err(error);
            }
            let Some(back) = error.take_undelivered() else { return Err(error) };
            let delay = self.delay(interval).max(error.retry_after().unwrap_or_default()).max(DELAY_MIN);
            if elapsed_max.is_some_and(|elapsed_max| started.elapsed() + delay > elapsed_max)
                || back.context().deadline.is_some_and(|deadline| Instant::from_std(deadline) < Instant::now() + delay)
            {
                return Err(error.with_undelivered(back));
            }
            interval = interval.mul_f64(self.retry.multiplier.max(0.0)).min(std(self.retry.max_interval));
            if !self.wait(delay).await {
                return match self.heir.get() {
                    Some(heir) if self.queue.is_none() => heir.consume(back).await,
                    _ => Err(error.with_undelivered(back)),
                };
            }
            batch = back;
        }
    }

    /// One attempt. Endpoints without a queue of their own see the limit as the sender's.
    async fn route(&self, mut batch: Batch) -> ConsumeResult {
        let Some(limit) = self.timeout else { return self.router.consume(batch).await };
        let context = Arc::clone(batch.context());
        let mut limited = (*context).clone();
        let deadline = (Instant::now() + limit).into_std();
        limited.deadline = Some(limited.deadline.map_or(deadline, |own| own.min(deadline)));
        batch.set_context(Arc::new(limited));
        self.router.consume(batch).await.map_err(|mut error| match error.take_undelivered() {
            Some(mut back) => {
                back.set_context(context);
                error.with_undelivered(back)
            }
            None => error,
        })
    }

    fn delay(&self, interval: Duration) -> Duration {
        let jitter = self.retry.randomization_factor.clamp(0.0, 1.0);
        let random = (RandomState::new().hash_one(0_u8) % 2001) as f64 / 1000.0 - 1.0;
        interval.mul_f64(1.0 + jitter * random)
    }

    /// Sits out `delay`, shorter while draining. `false`: there is no time for another attempt.
    async fn wait(&self, delay: Duration) -> bool {
        let mut stop = self.stop_at.subscribe();
        tokio::select! {
            () = sleep(delay), if stop.borrow().is_none() => return true,
            () = async { drop(stop.wait_for(Option::is_some).await) } => {}
        }
        let Some(stop_at) = *self.stop_at.borrow() else { return true };
        let at = Instant::now() + delay.min(DRAIN_DELAY_MAX);
        if at >= stop_at {
            return false;
        }
        sleep_until(at).await;
        true
    }

    /// Waits for the time when every attempt has ended.
    async fn stopped(&self) {
        // The sender is `self`, which outlives this.
        let stop_at = self.stop_at.subscribe().wait_for(Option::is_some).await.ok().and_then(|stop_at| *stop_at);
        match stop_at {
            Some(stop_at) => sleep_until(stop_at).await,
            None => std::future::pending().await,
        }
    }

    /// After the workers have ended: passes what is left to the successor, or drops it.
    async fn empty(&self) {
        let Some(queued) = &self.queue else { return };
        let mut lost_items = 0;
        for Entry { batch, .. } in queued.queue.take_left() {
            let back = match self.heir.get() {
                Some(heir) => match heir.inherit(batch).await {
                    Ok(_accepted) => continue,
                    Err(mut error) => error.take_undelivered(),
                },
                None => Some(batch),
            };
            if let Some(back) = back {
                lost_items += back.items();
                back.settle(Outcome::Dropped("shutdown"));
            }
        }
        if lost_items > 0 {
            tracing::error!(
                exporter = %self.settings.id, signal = %self.signal, lost_items,
                "shutdown deadline passed before everything was sent; the rest is lost"
            );
        }
    }
}
