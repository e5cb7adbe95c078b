//! Components for tests of the whole service, in-process: they do simple things, and account for them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use component::factory::Outputs;
use component::{
    Accepted, BoxFuture, Component, ConsumeFuture, Consumer, Deadline, DeliveryError, Edge, Factory, Host, Outbox,
    OutboxSettings, Process, Processor, ShutdownError, Stability, Stage, StartError, outbox::Full,
};
use config::Config;
use delivery::{Delivery, DeliveryConfig, DeliverySettings, SendError, TimeoutConfig, Transport};
use pdata::{Batch, Context, Outcome, Payload, Segment, Signal};
use weir::catalog::Catalog;

/// A small seeded generator (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }
}

/// One log record as a request of its own.
const RECORD: &[u8] = &[0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];

/// `items` log records in segments of one.
pub fn logs(items: u32, tenant: &str) -> Batch {
    let segments = (0..items).map(|_| Segment::trusted(Bytes::from_static(RECORD), 1));
    let context = Context { tenant: (!tenant.is_empty()).then(|| tenant.into()), ..Context::default() };
    Batch::new(Payload::from_segments(Signal::Logs, segments), Arc::new(context))
}

/// Where tests hand batches to the receivers of the running configuration, and where exporters `queued` send them.
#[derive(Clone, Default)]
pub struct Feeds {
    outputs: Arc<Mutex<BTreeMap<String, Outputs>>>,
    pub destination: Arc<Destination>,
}

impl Feeds {
    pub fn edge(&self, id: &str, signal: Signal) -> Option<Edge> {
        self.outputs.lock().unwrap().get(id)?.get(signal).cloned()
    }
}

/// The destination of the exporters `queued`: takes what it is sent after 5 ms.
#[derive(Default)]
pub struct Destination {
    /// Refuses everything, retryably, instead.
    pub is_down: AtomicBool,
    /// Does not answer, instead.
    pub hangs: AtomicBool,
    /// Items of each request that was taken, in order.
    pub taken: Mutex<Vec<u64>>,
}

impl Transport for Destination {
    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        _: &'a Context,
        _: Option<tokio::time::Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            while self.hangs.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if self.is_down.load(Ordering::Relaxed) {
                return Err(SendError::retryable("UNAVAILABLE", "the destination is down"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.taken.lock().unwrap().push(payload.items());
            Ok(Accepted::all())
        })
    }

    fn destination(&self) -> String {
        "test:4317".to_owned()
    }
}

#[derive(Clone, Debug, Config)]
pub struct Empty {}

/// For components that a test replaces: another version is another component.
#[derive(Clone, Debug, Config)]
pub struct Versioned {
    #[config(default = 0)]
    version: i64,
}

#[derive(Clone, Debug, Config)]
pub struct Queued {
    #[config(default = 0)]
    version: i64,
    #[config(flatten)]
    timeout: TimeoutConfig,
    #[config(flatten)]
    delivery: DeliveryConfig,
}

struct Feed {
    id: String,
    outputs: Outputs,
    feeds: Feeds,
}

impl Component for Feed {
    fn start<'a>(&'a self, _: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.feeds.outputs.lock().unwrap().insert(self.id.clone(), self.outputs.clone());
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, _: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Works on batches with a function.
struct Synchronous(Box<dyn Fn(Batch) -> Result<Option<Batch>, DeliveryError> + Send + Sync>);

impl Component for Synchronous {}

impl Process for Synchronous {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        self.0(batch)
    }

    fn mutates(&self) -> bool {
        true
    }
}

/// Drops every other item, saying so.
fn dropping(mut batch: Batch) -> Result<Option<Batch>, DeliveryError> {
    let kept: Vec<Segment> = batch.payload().segments().iter().step_by(2).cloned().collect();
    for n in (1..batch.items()).rev().filter(|n| n % 2 == 1) {
        batch.stake_mut().settle_range(n, 1, Outcome::Dropped("every_other"));
    }
    batch.set_payload(Payload::from_segments(Signal::Logs, kept));
    Ok(Some(batch))
}

/// Loses the first item without saying so.
fn leaking(mut batch: Batch) -> Result<Option<Batch>, DeliveryError> {
    let kept: Vec<Segment> = batch.payload().segments().iter().skip(1).cloned().collect();
    batch.set_payload(Payload::from_segments(Signal::Logs, kept));
    Ok(Some(batch))
}

/// Answers first, sends later, as the batch processor does.
struct Holding(Outbox);

impl Component for Holding {
    fn start<'a>(&'a self, _: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.0.start();
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            self.0.drain(deadline).await;
            Ok(())
        })
    }

    fn hand_over(
        &self,
        successor: &Arc<dyn Consumer>,
        deadline: Deadline,
    ) -> Option<BoxFuture<'_, Result<(), ShutdownError>>> {
        let successor = Arc::clone(successor);
        Some(Box::pin(async move {
            self.0.hand_over(&successor, deadline).await;
            Ok(())
        }))
    }
}

impl Consumer for Holding {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        let answer = match self.0.try_send(batch) {
            Ok(()) => Ok(Accepted::all()),
            Err(Full(batch)) => Err(DeliveryError::retryable("outbox is full", batch)),
        };
        Box::pin(async move { answer })
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let answer = self.0.inherit(batch).await;
            answer.map(|()| Accepted::all()).map_err(|Full(batch)| DeliveryError::retryable("has stopped", batch))
        })
    }
}

/// An exporter or connector that answers with a function, after a while.
struct Answering<F>(F);

impl<F: Send + Sync + 'static> Component for Answering<F> {}

impl<F> Consumer for Answering<F>
where
    F: Fn(Batch) -> ConsumeFuture<'static> + Send + Sync + 'static,
{
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        self.0(batch)
    }
}

fn exporter(
    name: &'static str,
    answer: impl Fn(u64, Batch) -> Result<Accepted, DeliveryError> + Clone + Send + Sync + 'static,
    seed: u64,
) -> Factory {
    let calls = Arc::new(AtomicU64::new(seed));
    Factory::exporter::<Versioned>(name, move |_, _, _| {
        let (answer, calls) = (answer.clone(), Arc::clone(&calls));
        let stage: Arc<dyn Stage> = Arc::new(Answering(move |batch| -> ConsumeFuture<'static> {
            let random = Random::new(calls.fetch_add(1, Ordering::Relaxed)).next();
            let answer = answer.clone();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(random % 30)).await;
                answer(random, batch)
            })
        }));
        Ok(stage)
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
}

fn deliver(batch: Batch) -> Result<Accepted, DeliveryError> {
    batch.settle(Outcome::Delivered);
    Ok(Accepted::all())
}

/// Takes a minute to deliver, and keeps its sender waiting.
fn slow() -> Factory {
    Factory::exporter::<Versioned>("slow", |_, _, _| {
        let stage: Arc<dyn Stage> = Arc::new(Answering(|batch| -> ConsumeFuture<'static> {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                deliver(batch)
            })
        }));
        Ok(stage)
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
}

/// An exporter as the real ones are, in front of a scripted destination.
fn queued(destination: &Arc<Destination>) -> Factory {
    let destination = Arc::clone(destination);
    Factory::exporter::<Queued>("queued", move |settings, config, signal| {
        let Queued { timeout, delivery, .. } = Queued::clone(&config);
        let parts = DeliverySettings { timeout, config: delivery, sent_labels: Vec::new(), place: String::new() };
        let transport: Arc<dyn Transport> = Arc::<Destination>::clone(&destination);
        let stage: Arc<dyn Stage> = Delivery::new(settings, signal, parts, transport);
        Ok(stage)
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
}

fn processor(
    name: &'static str,
    process: impl Fn(Batch) -> Result<Option<Batch>, DeliveryError> + Clone + Send + Sync + 'static,
) -> Factory {
    Factory::processor::<Empty>(name, move |_, _, _, _| {
        Ok(Processor::Sync(Arc::new(Synchronous(Box::new(process.clone())))))
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
}

/// Test components: see their names.
pub fn catalog(feeds: &Feeds, seed: u64) -> Catalog {
    let feeds = feeds.clone();
    let queued = queued(&feeds.destination);
    let refusals = AtomicU64::new(seed);
    let refusals = Arc::new(refusals);
    Catalog::of(vec![
        Factory::receiver::<Empty>("feed", move |settings, _, outputs| {
            Ok(Arc::new(Feed { id: settings.id.to_string(), outputs, feeds: feeds.clone() }))
        })
        .with_signals(Stability::Alpha, &Signal::ALL),
        processor("passing", |batch| Ok(Some(batch))),
        Factory::processor::<Empty>("logs_only", |_, _, _, _| {
            Ok(Processor::Sync(Arc::new(Synchronous(Box::new(|batch| Ok(Some(batch)))))))
        })
        .with_signals(Stability::Alpha, &[Signal::Logs]),
        processor("dropping", dropping),
        processor("leaking", leaking),
        processor("refusing", move |batch| {
            if refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                Err(DeliveryError::retryable("not now", batch))
            } else {
                Ok(Some(batch))
            }
        }),
        Factory::processor::<Versioned>("holding", |_, _, _, next| {
            let settings = OutboxSettings { bytes_max: 600, workers: 2, ..OutboxSettings::default() };
            Ok(Processor::Stateful(Arc::new(Holding(Outbox::new(next, settings)))))
        })
        .with_signals(Stability::Alpha, &Signal::ALL),
        processor_batch::factory(),
        queued,
        slow(),
        exporter("steady", |_, batch| deliver(batch), seed),
        // Named like the connector, for IDs that clash.
        exporter("relay", |_, batch| deliver(batch), seed),
        exporter(
            "flaky",
            |random, batch| match random % 3 {
                0 => Err(DeliveryError::retryable("try again", batch)),
                _ => deliver(batch),
            },
            seed,
        ),
        exporter(
            "strict",
            |random, batch| {
                if random % 4 == 0 {
                    batch.settle(Outcome::Rejected);
                    Err(DeliveryError::permanent("never"))
                } else {
                    deliver(batch)
                }
            },
            seed,
        ),
        Factory::connector::<Empty>("relay", &[(Signal::Logs, Signal::Logs)], |_, _, _, outputs| {
            let all = outputs.all;
            let stage: Arc<dyn Stage> = Arc::new(Answering(move |batch| -> ConsumeFuture<'static> {
                let all = all.clone();
                Box::pin(async move { all.consume(batch).await })
            }));
            Ok(stage)
        })
        .with_signals(Stability::Alpha, &[Signal::Logs]),
    ])
}

/// A pipeline over test components, `processors` in the middle.
pub fn pipeline(processors: &[&str]) -> String {
    let defined: String = processors.iter().map(|id| format!("  {id}:\n")).collect();
    let section = if processors.is_empty() { String::new() } else { format!("processors:\n{defined}") };
    format!(
        "receivers: {{feed: }}\n{section}exporters: {{steady: }}\nservice:\n  telemetry: {{metrics: {{level: none}}}}\n  \
         pipelines:\n    logs: {{receivers: [feed], processors: [{}], exporters: [steady]}}\n",
        processors.join(", ")
    )
}
