//! The component around a transport: lifecycle, the way in, and the tasks that send.
//!
//! With a queue, one dispatcher task owns the `Feed`; it takes a slot (there are `num_consumers`), then the next request,
//! and spawns a task that brings it to its end. Without one, the sender's own task does that. `shutdown` closes the
//! queue, lets the dispatcher drain it, and settles what the deadline leaves.
//!
//! When a reload replaces the exporter, `hand_over` closes the queue too, but lets only attempts that run come to their
//! end. The rest passes into the successor's queue, in front and beyond its capacity: nothing is dropped, and new batches
//! are refused there until there is room. Senders that wait for their outcome take their batch to the successor
//! themselves. An exporter without a sending queue has one of capacity 0 for what it inherits.
//!
//! With a queue on disk, nothing further is sent once the end begins, be it a shutdown or a reload: what is left stays on disk,
//! where a successor with the same storage goes on with it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use component::pressure::{Reported, Source};
use component::telemetry::Observer;
use component::{
    Accepted, BoxFuture, Component, ConsumeFuture, ConsumeResult, Consumer, Deadline, DeliveryError, Host, Kind,
    Settings, ShutdownError, StartError, Storage, StorageClient,
};
use pdata::account::RETRY_HINT;
use pdata::batch::Pending;
use pdata::{Batch, Outcome, Signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::attempt::{Courier, Slot, Stop};
use crate::backoff::Retry;
use crate::claims::{Request, Tally, Waiter};
use crate::config::{DeliveryConfig, QueueConfig, Sizer, TimeoutConfig};
use crate::disk::DiskQueue;
use crate::feed::{Batching, Feed};
use crate::limit::SizeLimit;
use crate::memory::MemoryQueue;
use crate::metrics::{LAST_SUCCESS_AGE, Metrics, QUEUE_CAPACITY, QUEUE_SIZE};
use crate::queue::{Entry, PutError, PutRefusal, Queue, Record};
use crate::record;
use crate::report::Report;
use crate::transport::Transport;

/// Senders that send themselves at the same time, without a queue, at most.
const DIRECT_MAX: u32 = 1 << 16;

/// What an exporter passes besides its transport.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Limit of one attempt; `TimeoutConfig { timeout: 0 }` where the transport has its own.
    pub timeout: TimeoutConfig,
    /// Retrying and queueing.
    pub config: DeliveryConfig,
    /// Further labels of the counters of items sent: `server_address` and the like.
    pub sent_labels: Vec<(&'static str, String)>,
    /// Tells apart several of one exporter and signal (an endpoint's address); empty for the only one. Part of what its queue
    /// is called on disk.
    pub place: String,
}

/// An exporter: a [`Transport`] inside the onion.
pub struct Delivery {
    settings: Settings,
    signal: Signal,
    courier: Arc<Courier>,
    queue: Queued,
    /// Held by senders that send themselves.
    direct: Semaphore,
    /// Set when a successor takes its place.
    heir: OnceLock<Arc<dyn Consumer>>,
    running: Mutex<Running>,
}

struct Queued {
    /// `None` when senders send themselves. The queue then holds only what was inherited.
    config: Option<QueueConfig>,
    queue: Arc<dyn Queue>,
    /// The same, if it is on disk, and under which name.
    disk: Option<(DiskQueue, String)>,
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct Running {
    dispatcher: Option<JoinHandle<()>>,
    observers: Vec<Observer>,
    /// Tells the degraded mode how full the queue is.
    reported: Option<Reported>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("id", &self.settings.id).field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl Delivery {
    /// Wraps `transport`. Spawns nothing before it is started.
    #[must_use]
    pub fn new(
        settings: Settings,
        signal: Signal,
        parts: DeliverySettings,
        transport: Arc<dyn Transport>,
    ) -> Arc<Self> {
        let DeliverySettings { timeout, config, sent_labels, place } = parts;
        let queueing = config.sending_queue.get().cloned();
        let (capacity, sizer, waits_for_room) = queueing.as_ref().map_or((0, Sizer::Requests, false), |config| {
            (u64::try_from(config.queue_size).unwrap_or(1), config.queue_sizer(), config.block_on_overflow)
        });
        let disk = queueing.as_ref().filter(|config| config.storage.is_some()).map(|_| {
            let name = if place.is_empty() { signal.to_string() } else { format!("{signal}_{place}") };
            (DiskQueue::new(capacity, sizer, waits_for_room), name)
        });
        let queue: Arc<dyn Queue> = match &disk {
            Some((queue, _)) => Arc::new(queue.clone()),
            None => Arc::new(MemoryQueue::new(capacity, sizer, waits_for_room)),
        };
        let consumers = queueing.as_ref().map_or(QueueConfig::default().num_consumers, |config| config.num_consumers);
        let slots = usize::try_from(consumers).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
        let configured = queueing.as_ref().and_then(|queueing| {
            let batch = queueing.batch.get()?;
            let in_bytes = queueing.batch_sizer(batch) == Sizer::Bytes && batch.max_size > 0;
            in_bytes.then(|| usize::try_from(batch.max_size).unwrap_or(usize::MAX))
        });
        let report = Report::new(
            settings.id.clone(),
            signal,
            transport.destination(),
            queueing.is_some().then(|| Arc::clone(&queue)),
            queueing.as_ref().map_or("", |queueing| queueing.queue_sizer().noun()),
        );
        let labels: Vec<(&str, &str)> = sent_labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let courier = Courier {
            timeout: timeout.limit(),
            retry: Retry::from(&config.retry_on_failure),
            limit: SizeLimit::new(transport.request_limit(), configured),
            metrics: Metrics::new(&settings.telemetry, signal, &labels),
            report,
            stop: watch::Sender::new(None),
            transport,
        };
        Arc::new(Self {
            settings,
            signal,
            courier: Arc::new(courier),
            queue: Queued { config: queueing, queue, disk, slots: Arc::new(Semaphore::new(slots)) },
            direct: Semaphore::new(DIRECT_MAX as usize),
            heir: OnceLock::new(),
            running: Mutex::default(),
        })
    }

    /// Leaves the exporter's health to whoever owns several of these for one exporter. Logs and metrics stay.
    pub fn leave_health_to_owner(&self) {
        self.courier.report.replaced();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The storage that keeps the queue, if there is to be one.
    fn storage(&self, host: &Host) -> Result<Option<Arc<dyn Storage>>, StartError> {
        let Some(id) = self.queue.config.as_ref().and_then(|config| config.storage.as_ref()) else {
            return Ok(None);
        };
        let refused = |why: &str| {
            StartError::plain(&self.settings.id, format!("open `sending_queue::storage`: extension `{id}` {why}"))
        };
        let extension = host.extension(id).ok_or_else(|| refused("is not running"))?;
        extension.storage().map(Some).ok_or_else(|| refused("is not a storage extension"))
    }

    /// Opens the queue that `storage` keeps.
    async fn open(&self, storage: &dyn Storage, host: &Host) -> Result<(), StartError> {
        let Some((disk, name)) = &self.queue.disk else { return Ok(()) };
        let id = &self.settings.id;
        let client =
            StorageClient { kind: Kind::Exporter, id: id.clone(), name: name.clone(), content: record::CONTENT };
        let found = loop {
            let spool = storage.spool(&client).await;
            let spool = spool.map_err(|error| StartError::new(id, "open `sending_queue::storage`", error))?;
            let recovered = self.courier.metrics.recovered();
            if let Some(found) = disk.open(spool, host.account(), host.ledger(), recovered) {
                break found;
            }
        };
        if found.records > 0 {
            self.courier.report.found(found);
        }
        Ok(())
    }

    async fn enqueue(&self, config: &QueueConfig, batch: Batch) -> ConsumeResult {
        let (items, bytes) = (batch.items(), batch.encoded_len());
        let pending = batch.pending().clone();
        let mut outcome = None;
        let mut entry = Entry::new(batch);
        if config.wait_for_result {
            let (waiter, hear) = Waiter::new();
            entry.waiter = Some(waiter);
            outcome = Some(hear);
        }
        if let Err(PutError { refusal, entry }) = self.queue.queue.put(entry).await {
            if let (PutRefusal::Closed, Some(heir)) = (&refusal, self.heir.get()) {
                return heir.consume(entry.batch).await;
            }
            self.courier.metrics.enqueue_failed(items);
            return Err(refused(&refusal, entry.batch));
        }
        self.courier.metrics.enqueued(items, bytes);
        match outcome {
            None => Ok(Accepted::all()),
            Some(hear) => match hear.await {
                Ok(tally) => self.answer(tally, pending).await,
                Err(_) => Err(DeliveryError::permanent("sending ended without an outcome")),
            },
        }
    }

    async fn send_directly(&self, batch: Batch) -> ConsumeResult {
        let permit = match self.direct.try_acquire() {
            Ok(permit) => permit,
            Err(_) if self.courier.stop.borrow().is_some() => {
                return match self.heir.get() {
                    Some(heir) => heir.consume(batch).await,
                    None => Err(refused(&PutRefusal::Closed, batch)),
                };
            }
            Err(_) => {
                let (used, capacity, sizer) = (u64::from(DIRECT_MAX), u64::from(DIRECT_MAX), Sizer::Requests);
                return Err(refused(&PutRefusal::Full { used, capacity, sizer }, batch));
            }
        };
        let pending = batch.pending().clone();
        let (waiter, mut hear) = Waiter::new();
        self.courier.deliver(Request::direct(batch, waiter), Slot::unlimited()).await;
        drop(permit);
        match hear.try_recv() {
            Ok(tally) => self.answer(tally, pending).await,
            Err(_) => Err(DeliveryError::permanent("sending ended without an outcome")),
        }
    }

    /// The answer for a sender that waited. What was not sent because a successor took this exporter's place goes there.
    async fn answer(&self, mut tally: Tally, pending: Pending) -> ConsumeResult {
        if let Some(heir) = self.heir.get()
            && let Some((unsent, accepted)) = tally.take_unsent(&pending)
        {
            return heir.consume(unsent).await.map(|further| accepted.and(further));
        }
        tally.into_result(pending)
    }

    /// Drains until the deadline, or hands over.
    async fn end(&self, deadline: Deadline) {
        let heir = self.heir.get();
        self.queue.queue.close();
        self.courier.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            let hands_over = heir.is_some() || self.queue.queue.outlives_process();
            stop.get_or_insert(Stop { at: deadline.instant(), hands_over });
            first
        });
        let Running { dispatcher, observers, reported } = std::mem::take(&mut *self.running());
        if let Some(dispatcher) = dispatcher {
            // Ends by itself at the deadline.
            let _ended = dispatcher.await;
        }
        let left = self.queue.queue.take_left();
        match heir {
            Some(heir) => {
                self.pass_on(left, &**heir).await;
                self.pass_on_kept(&**heir, deadline).await;
            }
            None => self.settle(left),
        }
        let kept = self.queue.queue.finish().await;
        if kept.records > 0 {
            self.courier.report.kept(kept, heir.is_some());
        }
        if self.queue.config.is_none()
            && let Ok(all) = self.direct.acquire_many(DIRECT_MAX).await
        {
            // Senders that send themselves end by the deadline too. None comes after this.
            all.forget();
            self.direct.close();
        }
        drop((observers, reported));
        self.courier.report.untold("shut down");
        self.courier.transport.shutdown().await;
    }

    /// Gives the successor what was left in the queue. Senders that wait bring theirs.
    async fn pass_on(&self, left: Vec<Entry>, heir: &dyn Consumer) {
        let (mut items, mut batches) = (0, 0);
        let mut refused = Vec::new();
        for Entry { batch, waiter } in left {
            if let Some(waiter) = waiter {
                waiter.unsent(batch);
                continue;
            }
            items += batch.items();
            batches += 1;
            if let Err(mut error) = heir.inherit(batch).await
                && let Some(back) = error.take_undelivered()
            {
                items -= back.items();
                batches -= 1;
                refused.push(Entry::new(back));
            }
        }
        if items > 0 {
            self.courier.report.handed_over(items, batches);
        }
        // It has stopped as well.
        self.settle(refused);
    }

    /// Gives the successor what is on disk, if it does not find it there itself, one record after the other, and as far as
    /// memory reaches: it may keep what it gets in memory. The rest stays where it is.
    async fn pass_on_kept(&self, heir: &dyn Consumer, deadline: Deadline) {
        let (mut items, mut batches) = (0, 0);
        let account = &self.settings.account;
        while account.held() < account.cap() / 2
            && !deadline.has_passed()
            && let Some(Record { ticket, entry }) = self.queue.queue.next_kept().await
        {
            let passed = entry.batch.items();
            match heir.inherit(entry.batch).await {
                Ok(_) => self.queue.queue.commit(ticket),
                Err(mut error) => {
                    self.queue.queue.give_back(ticket, error.take_undelivered().into_iter().collect());
                    break;
                }
            }
            items += passed;
            batches += 1;
        }
        if items > 0 {
            self.courier.report.handed_over(items, batches);
        }
    }

    /// Settles what the deadline left in a queue that does not outlive the process.
    fn settle(&self, left: Vec<Entry>) {
        let batches = left.len();
        let mut lost_items = 0;
        for Entry { batch, waiter } in left {
            self.courier.metrics.send_failed(batch.items(), "Shutdown", false);
            match waiter {
                Some(waiter) => waiter.unsent(batch),
                None => {
                    lost_items += batch.items();
                    batch.settle(Outcome::Dropped("shutdown"));
                }
            }
        }
        if lost_items > 0 {
            self.courier.report.left_behind(lost_items, batches);
        }
    }
}

/// The answer to a batch that the queue did not take. It comes back in any case; what can never fit is not tried again.
fn refused(refusal: &PutRefusal, batch: Batch) -> DeliveryError {
    match refusal {
        PutRefusal::TooLarge { .. } => DeliveryError::permanent(refusal.to_string()).with_undelivered(batch),
        PutRefusal::Full { .. } | PutRefusal::Closed | PutRefusal::Storage(_) => {
            DeliveryError::retryable(refusal.to_string(), batch).with_retry_after(RETRY_HINT)
        }
    }
}

/// Sends what the feed gives until it ends, the drain's deadline passes or a successor takes over, then waits for the last
/// request.
async fn dispatch(mut feed: Feed, slots: Arc<Semaphore>, courier: Arc<Courier>) {
    let mut sending = JoinSet::new();
    let closing = courier.closing();
    tokio::pin!(closing);
    loop {
        while sending.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&slots).acquire_owned().await.ok()?;
            feed.next().await.map(|request| (request, permit))
        };
        let (request, permit) = tokio::select! {
            biased;
            () = &mut closing => break,
            next = next => match next {
                Some(next) => next,
                None => break,
            },
        };
        let (courier, slots) = (Arc::clone(&courier), Arc::clone(&slots));
        sending.spawn(async move { courier.deliver(request, Slot::taken(slots, permit)).await });
    }
    // Each ends by itself at the deadline. One that panicked left its items to the books.
    while sending.join_next().await.is_some() {}
    for request in feed.take_left() {
        courier.unsent(request);
    }
}

impl Consumer for Delivery {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            debug_assert_eq!(batch.signal(), self.signal, "the graph connects equal signals");
            if batch.items() == 0 {
                batch.settle(Outcome::Delivered);
                return Ok(Accepted::all());
            }
            match &self.queue.config {
                Some(config) => self.enqueue(config, batch).await,
                None => self.send_directly(batch).await,
            }
        })
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            if batch.items() == 0 {
                batch.settle(Outcome::Delivered);
                return Ok(Accepted::all());
            }
            match (self.queue.queue.inherit(Entry::new(batch)).await, self.heir.get()) {
                (Ok(()), _) => Ok(Accepted::all()),
                (Err(PutError { refusal: PutRefusal::Closed, entry }), Some(heir)) => heir.inherit(entry.batch).await,
                (Err(PutError { refusal, entry }), _) => Err(refused(&refusal, entry.batch)),
            }
        })
    }
}

impl Component for Delivery {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let storage = self.storage(host)?;
            self.courier.transport.start(host).await?;
            if let Some(storage) = storage
                && let Err(error) = self.open(&*storage, host).await
            {
                self.courier.transport.shutdown().await;
                return Err(error);
            }
            self.courier.report.started(host);
            let courier = Arc::clone(&self.courier);
            let labels = [("data_type", self.signal.as_str()), ("destination", courier.report.destination())];
            let age = Arc::clone(&courier);
            let age = move || age.report.last_success_age_seconds();
            let last_success = self.settings.telemetry.gauge(LAST_SUCCESS_AGE, &labels, age);
            let Queued { config, queue, slots, .. } = &self.queue;
            let batching = config.as_ref().and_then(|config| {
                let mut batching = Batching::of_config(config, config.batch.get()?);
                batching.metadata_keys.extend(self.courier.transport.metadata_keys());
                Some(batching)
            });
            let feed = Feed::new(Arc::clone(queue), batching);
            let mut observers = vec![last_success];
            if config.is_some() {
                let telemetry = &self.settings.telemetry;
                let data_type = &[("data_type", self.signal.as_str())];
                let (size, capacity) = (Arc::clone(queue), Arc::clone(queue));
                observers.push(telemetry.gauge(QUEUE_SIZE, data_type, move || size.used() as f64));
                observers.push(telemetry.gauge(QUEUE_CAPACITY, data_type, move || capacity.capacity() as f64));
            }
            let dispatcher = tokio::spawn(dispatch(feed, Arc::clone(slots), Arc::clone(&self.courier)));
            let filled = Arc::clone(queue);
            let fill = move || filled.used() as f64 / filled.capacity().max(1) as f64;
            let reported = config.is_some().then(|| self.settings.pressure().report(Source::Queue, fill));
            *self.running() = Running { dispatcher: Some(dispatcher), observers, reported };
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
        let _first = self.heir.set(Arc::clone(successor));
        self.courier.report.replaced();
        Some(self.shutdown(deadline))
    }
}
