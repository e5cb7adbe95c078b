//! A scripted destination, batches whose items can be told apart, and the books.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::config::{ComponentId, Config};
use component::factory::Shared;
use component::telemetry::Value;
use component::{
    Accepted, BoxFuture, Component, ConsumeResult, Consumer, Deadline, Host, Level, Registry, Settings, Telemetry,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::{Batch, ByteAccount, Context, Ledger, Payload, Segment, Signal, Totals};
use prost::Message;
use tokio::time::Instant;

use crate::{Delivery, DeliveryConfig, DeliverySettings, SendError, TimeoutConfig, Transport};

/// What the destination does with an attempt.
pub(crate) enum Answer {
    Take,
    TakePartly(u64, &'static str),
    Fail(SendError),
    TakeAfter(Duration),
    Hang,
}

/// An attempt as the destination saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// From 0.
    pub(crate) n: usize,
    /// Since the start.
    pub(crate) at: Duration,
    pub(crate) names: Vec<String>,
    pub(crate) bytes: usize,
    pub(crate) tenant: Option<Arc<str>>,
    /// Whether it was answered with success.
    pub(crate) taken: bool,
}

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

/// A destination that follows a script.
pub(crate) struct Destination {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    started: Instant,
    limit: Option<usize>,
    metadata_keys: Vec<String>,
}

impl Transport for Destination {
    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        context: &'a Context,
        _: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            let (n, answer) = {
                let mut all = self.seen.lock().unwrap();
                let seen = Seen {
                    n: all.len(),
                    at: self.started.elapsed(),
                    names: names(payload),
                    bytes: payload.encoded_len(),
                    tenant: context.tenant.clone(),
                    taken: false,
                };
                let answer = (self.script)(&seen);
                all.push(seen);
                (all.len() - 1, answer)
            };
            let accepted = match answer {
                Answer::Take => Accepted::all(),
                Answer::TakePartly(rejected_items, message) => {
                    Accepted { rejected_items, message: Some(message.into()) }
                }
                Answer::Fail(error) => return Err(error),
                Answer::TakeAfter(delay) => {
                    tokio::time::sleep(delay).await;
                    Accepted::all()
                }
                Answer::Hang => std::future::pending().await,
            };
            self.seen.lock().unwrap()[n].taken = true;
            Ok(accepted)
        })
    }

    fn request_limit(&self) -> Option<usize> {
        self.limit
    }

    fn metadata_keys(&self) -> Vec<String> {
        self.metadata_keys.clone()
    }

    fn destination(&self) -> String {
        "test:4317".into()
    }
}

/// What an exporter's block looks like to the onion.
#[derive(Clone, Debug, Config)]
struct Block {
    #[config(flatten)]
    timeout: TimeoutConfig,
    #[config(flatten)]
    delivery: DeliveryConfig,
}

/// An onion around a scripted destination, and everything one looks at afterwards.
pub(crate) struct Bench {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) destination: Arc<Destination>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) host: Host,
    registry: Arc<Registry>,
}

/// Options of [`Bench::with`] that few tests need.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) limit: Option<usize>,
    pub(crate) metadata_keys: Vec<String>,
}

impl Bench {
    /// Started, with `yaml` as the exporter's block.
    pub(crate) async fn new(yaml: &str, script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(yaml, Extra::default(), script).await
    }

    pub(crate) async fn with(
        yaml: &str,
        extra: Extra,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let bench = Self::unstarted(yaml, extra, script);
        bench.delivery.start(&bench.host).await.unwrap();
        bench
    }

    pub(crate) fn unstarted(
        yaml: &str,
        extra: Extra,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let destination = Arc::new(Destination {
            script: Box::new(script),
            seen: Mutex::default(),
            started: Instant::now(),
            limit: extra.limit,
            metadata_keys: extra.metadata_keys,
        });
        let (ledger, registry, account) = (Ledger::new(), Registry::new(Level::Normal), ByteAccount::unlimited());
        let (host, _fatal) = Host::new(Arc::clone(&account), Arc::clone(&ledger), Arc::clone(&registry));
        let delivery = build(yaml, &registry, &account, &destination);
        Self { delivery, destination, ledger, host, registry }
    }

    /// Starts an exporter of the same ID and destination, with `yaml` as its block: what a reload puts in the place of
    /// another.
    pub(crate) async fn successor(&self, yaml: &str) -> Arc<Delivery> {
        let delivery = build(yaml, &self.registry, self.host.account(), &self.destination);
        delivery.start(&self.host).await.unwrap();
        delivery
    }

    /// A batch of pipeline `traces` with the spans `ids`.
    pub(crate) fn batch(&self, ids: std::ops::Range<u64>) -> Batch {
        self.batch_of("traces", ids, Context::default())
    }

    pub(crate) fn batch_of(&self, pipeline: &str, ids: std::ops::Range<u64>, context: Context) -> Batch {
        let payload = spans(ids, 8);
        let stake = self.ledger.account(&pipeline.into(), Signal::Traces, "").receive(payload.items());
        Batch::from_parts(payload, Arc::new(context), stake)
    }

    /// Sends the spans `ids` and says what a receiver would: what comes back is booked as refused.
    pub(crate) async fn send(&self, ids: std::ops::Range<u64>) -> ConsumeResult {
        self.delivery.consume(self.batch(ids)).await
    }

    /// As [`Bench::send`], in a task.
    pub(crate) fn spawn(&self, batch: Batch) -> tokio::task::JoinHandle<ConsumeResult> {
        let delivery = Arc::clone(&self.delivery);
        tokio::spawn(async move { delivery.consume(batch).await })
    }

    pub(crate) async fn shutdown(&self, within: Duration) {
        self.delivery.shutdown(Deadline::after(within)).await.unwrap();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.destination.seen.lock().unwrap().clone()
    }

    /// Names of all spans in requests that were answered with success, sorted.
    pub(crate) fn taken(&self) -> Vec<String> {
        let seen = self.seen();
        let mut names: Vec<String> = seen.into_iter().filter(|seen| seen.taken).flat_map(|seen| seen.names).collect();
        names.sort();
        names
    }

    /// The books of `pipeline`, after checking that all books balance.
    pub(crate) fn books(&self, pipeline: &str) -> Totals {
        let books: BTreeMap<_, _> =
            self.ledger.read().into_iter().map(|(key, totals)| (key.pipeline.to_string(), totals)).collect();
        for (pipeline, totals) in &books {
            assert_eq!(totals.difference(), 0, "{pipeline}: {totals:?}");
        }
        books.get(pipeline).cloned().unwrap_or_default()
    }

    /// Sum over all series of a metric.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let readings = self.registry.read();
        let series = readings.iter().filter(|reading| reading.metric.name == name).flat_map(|reading| &reading.series);
        series
            .map(|(labels, value)| {
                assert!(labels.contains(&("exporter".into(), "test/1".into())), "{labels:?}");
                match value {
                    Value::Number(number) => format!("{number}").parse().unwrap(),
                    Value::Histogram { counts, .. } => counts.iter().sum::<u64>(),
                }
            })
            .sum()
    }
}

fn build(
    yaml: &str,
    registry: &Arc<Registry>,
    account: &Arc<ByteAccount>,
    destination: &Arc<Destination>,
) -> Arc<Delivery> {
    let block = match ::config::decode_str::<Block>(yaml) {
        Ok((block, _)) => block,
        Err(errors) => panic!("{yaml}: {errors}"),
    };
    let id: ComponentId = "test/1".parse().unwrap();
    let labels = vec![("exporter".to_owned(), id.to_string())];
    let telemetry = Telemetry::new(Arc::clone(registry), labels);
    let settings = Settings { id, telemetry, account: Arc::clone(account), shared: Shared::default() };
    let parts = DeliverySettings {
        timeout: block.timeout,
        config: block.delivery,
        sent_labels: vec![("server_address", "test".into())],
        place: String::new(),
    };
    let transport: Arc<dyn Transport> = Arc::<Destination>::clone(destination);
    Delivery::new(settings, Signal::Traces, parts, transport)
}

/// Refuses what comes back, as a receiver does with a sender that it answers with an error.
pub(crate) fn refuse(result: ConsumeResult) -> Option<(bool, String, u64)> {
    let mut error = result.err()?;
    let items = error.undelivered_items();
    if let Some(back) = error.take_undelivered() {
        back.settle(pdata::Outcome::Refused);
    }
    Some((error.is_retryable(), error.message().to_owned(), items))
}

/// Lets every task run until it waits for time or for others.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn unavailable() -> Answer {
    Answer::Fail(SendError::retryable("UNAVAILABLE", "try later").with_code(component::Code::Unavailable))
}

/// A request whose spans are named after `ids`, padded to at least `name_bytes`, in scopes of up to three.
pub(crate) fn spans(ids: std::ops::Range<u64>, name_bytes: usize) -> Payload {
    let items = u32::try_from(ids.end - ids.start).unwrap();
    let ids: Vec<u64> = ids.collect();
    let scope = |ids: &[u64]| ScopeSpans {
        scope: Some(InstrumentationScope { name: "scope".into(), ..Default::default() }),
        spans: ids.iter().map(|id| Span { name: name(*id, name_bytes), ..Default::default() }).collect(),
        schema_url: String::new(),
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource::default()),
            scope_spans: ids.chunks(3).map(scope).collect(),
            schema_url: "r".into(),
        }],
    };
    Payload::from_segments(Signal::Traces, [Segment::trusted(request.encode_to_vec().into(), items)])
}

pub(crate) fn name(id: u64, name_bytes: usize) -> String {
    format!("{id:0name_bytes$}")
}

/// The names of the spans `ids`, as [`Bench::taken`] gives them.
pub(crate) fn expected(ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut names: Vec<String> = ids.into_iter().map(|id| name(id, 8)).collect();
    names.sort();
    names
}

/// The names of all spans, each checked to be still what it was: with its resource and scope.
fn names(payload: &Payload) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(payload.to_bytes()).unwrap();
    let mut names = Vec::new();
    for resource in request.resource_spans {
        assert_eq!(resource.schema_url, "r");
        for scope in resource.scope_spans {
            assert_eq!(scope.scope.unwrap().name, "scope");
            names.extend(scope.spans.into_iter().map(|span| span.name));
        }
    }
    assert_eq!(names.len() as u64, payload.items());
    names
}
