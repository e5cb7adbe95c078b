//! A `tail_sampling` processor between a head and a sink, and traces to give it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    reason = "test helpers, not all of which every test uses"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component::{Component, Consumer, Deadline, DeliveryError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::{Batch, Context, Payload, Segment, Signal};
use processor_tail_sampling::factory;
use prost::Message;
use testkit::{Sink, Subject, World};

/// 2026-01-01.
pub const EPOCH_NS: u64 = 1_767_225_600_000_000_000;
/// A millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;

pub struct Rig {
    pub world: World,
    pub sink: Arc<Sink>,
    pub component: Arc<dyn Component>,
    pub consumer: Arc<dyn Consumer>,
}

impl Rig {
    pub async fn new(yaml: &str) -> Self {
        Self::with_sink(yaml, Sink::accepting()).await
    }

    pub async fn with_sink(yaml: &str, sink: Arc<Sink>) -> Self {
        let world = World::new();
        Self::in_world(yaml, sink, world).await
    }

    pub async fn in_world(yaml: &str, sink: Arc<Sink>, world: World) -> Self {
        let subject = Subject::new(factory()).with_config(yaml).with_signal(Signal::Traces);
        let built = subject.build(&world, sink.clone()).unwrap();
        built.component.start(&world.host).await.unwrap();
        Self { world, sink, component: built.component, consumer: built.consumer.unwrap() }
    }

    pub async fn offer(&self, spans: Vec<Span>) -> Result<(), DeliveryError> {
        self.offer_batch(batch(request(vec![], spans))).await
    }

    pub async fn offer_batch(&self, batch: Batch) -> Result<(), DeliveryError> {
        self.world.head(Arc::clone(&self.consumer)).consume(batch).await.map(drop)
    }

    /// IDs of the traces that came out, with the number of their spans.
    pub fn out(&self) -> BTreeMap<u64, usize> {
        let mut out = BTreeMap::new();
        for span in self.spans() {
            *out.entry(number(&span)).or_default() += 1;
        }
        out
    }

    pub fn spans(&self) -> Vec<Span> {
        self.requests()
            .into_iter()
            .flat_map(|r| r.resource_spans)
            .flat_map(|r| r.scope_spans)
            .flat_map(|s| s.spans)
            .collect()
    }

    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.sink.received();
        received.iter().map(|r| ExportTraceServiceRequest::decode(r.payload.to_bytes()).unwrap()).collect()
    }

    pub async fn stop(&self) {
        self.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        self.world.check_settled().unwrap();
        assert_eq!(self.metric("sampling_traces_on_memory"), 0, "after a shutdown");
    }

    pub fn metric(&self, name: &str) -> u64 {
        self.world.metric(&format!("otelcol_processor_tail_sampling_{name}")).unwrap() as u64
    }

    /// A series of a counter.
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let name = format!("otelcol_processor_tail_sampling_{name}");
        let readings = self.world.registry.read();
        let reading = readings.iter().find(|reading| reading.metric.name == name).unwrap();
        let wanted = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        let has_all = |found: &[(String, String)]| labels.iter().all(|label| found.contains(&wanted(label)));
        let series = reading.series.iter().filter(|(found, _)| has_all(found));
        series.map(|(_, value)| if let component::telemetry::Value::Number(n) = value { *n as u64 } else { 0 }).sum()
    }
}

pub async fn pass(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    // Lets the outbox' workers run.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A trace ID whose low 56 bits are spread.
pub fn id(number: u64) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    [number.to_be_bytes(), (mixed ^ (mixed >> 32)).to_be_bytes()].concat()
}

/// The number that [`id`] was made of.
pub fn number(span: &Span) -> u64 {
    u64::from_be_bytes(span.trace_id[..8].try_into().unwrap())
}

/// A span of 10 ms of trace `trace` that is no root.
pub fn span(trace: u64) -> Span {
    Span {
        trace_id: id(trace),
        span_id: vec![1; 8],
        parent_span_id: vec![2; 8],
        name: "s".to_owned(),
        start_time_unix_nano: EPOCH_NS,
        end_time_unix_nano: EPOCH_NS + 10 * MS,
        ..Span::default()
    }
}

pub fn with(mut span: Span, key: &str, value: Value) -> Span {
    span.attributes.push(attribute(key, value));
    span
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub fn status(mut span: Span, code: i32) -> Span {
    span.status = Some(Status { code, ..Status::default() });
    span
}

pub fn lasting(mut span: Span, milliseconds: u64) -> Span {
    span.end_time_unix_nano = span.start_time_unix_nano + milliseconds * MS;
    span
}

pub fn event(mut span: Span, name: &str) -> Span {
    span.events.push(Event { name: name.to_owned(), ..Event::default() });
    span
}

pub fn request(resource: Vec<KeyValue>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, schema_url: "scope".to_owned(), ..ScopeSpans::default() }];
    let group = ResourceSpans { resource, scope_spans, schema_url: "resource".to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

pub fn batch(request: ExportTraceServiceRequest) -> Batch {
    batch_with(request, Context::default())
}

pub fn batch_with(request: ExportTraceServiceRequest, context: Context) -> Batch {
    let groups = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
    let items = groups.map(|scope| scope.spans.len() as u32).sum();
    let segment = Segment::trusted(request.encode_to_vec().into(), items);
    Batch::new(Payload::from_segments(Signal::Traces, [segment]), Arc::new(context))
}

/// Bytes that a sink keeps.
pub fn received(sink: &Sink) -> usize {
    sink.received().iter().map(|received| received.payload.encoded_len()).sum()
}

/// Traces that came out of a sink, with the number of their spans.
pub fn out_of(sink: &Sink) -> BTreeMap<u64, usize> {
    let mut out = BTreeMap::new();
    for received in sink.received() {
        received.payload.for_each_item(|item| {
            if let pdata::view::ItemView::Span(span) = item.view {
                *out.entry(u64::from_be_bytes(span.trace_id().unwrap()[..8].try_into().unwrap())).or_default() += 1;
            }
        });
    }
    out
}

/// What a page says about a trace.
pub fn asked(world: &World, trace: u64) -> serde_json::Value {
    let id: String = id(trace).iter().map(|byte| format!("{byte:02x}")).collect();
    let page = world.registry.pages().answer("/tail_sampling/decisions", &format!("trace_id={id}")).unwrap().unwrap();
    serde_json::from_str::<serde_json::Value>(&page).unwrap()["tail_sampling/test"].take()
}
