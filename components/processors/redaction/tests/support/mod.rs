//! A `redaction` processor in front of a sink, fed with bytes.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;

use component::{Accepted, Component, Consumer};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::{Batch, Context, Payload, Segment, Signal, Utf8Policy};
use testkit::otlp_arbitrary::Request;
use testkit::{Sink, Subject, World};

/// The processor and what is around it.
pub struct Rig {
    runtime: tokio::runtime::Runtime,
    pub world: World,
    sink: Arc<Sink>,
    consumer: Arc<dyn Consumer>,
    /// Kept for its page.
    _component: Arc<dyn Component>,
}

impl Rig {
    pub fn new(yaml: &str, signal: Signal) -> Self {
        let (world, sink) = (World::new(), Sink::accepting());
        let subject = Subject::new(processor_redaction::factory()).with_config(yaml).with_signal(signal);
        let built = subject.build(&world, sink.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(built.component.start(&world.host)).unwrap();
        Self { runtime, world, sink, consumer: built.consumer.unwrap(), _component: built.component }
    }

    /// A request as it comes over the wire, through the processor. No bytes when nothing is left.
    pub fn pass(&self, signal: Signal, body: &[u8]) -> (Vec<u8>, Accepted) {
        self.pass_of(signal, body, None)
    }

    pub fn pass_of(&self, signal: Signal, body: &[u8], tenant: Option<&str>) -> (Vec<u8>, Accepted) {
        let mut body = body.to_vec();
        let validated = pdata::validate::validate(signal, &mut body, Utf8Policy::Repair).unwrap();
        let payload = Payload::from_segments(signal, [Segment::trusted(body.into(), validated.items)]);
        let context = Context { tenant: tenant.map(Into::into), ..Context::default() };
        let batch = Batch::new(payload, Arc::new(context));
        let before = self.sink.received().len();
        let head = self.world.head(Arc::clone(&self.consumer));
        let accepted = self.runtime.block_on(head.consume(batch)).unwrap();
        self.world.check_settled().unwrap();
        let out = self.sink.received().get(before).map(|received| received.payload.to_bytes().to_vec());
        let out = out.unwrap_or_default();
        let mut check = out.clone();
        pdata::validate::validate(signal, &mut check, Utf8Policy::Refuse).expect("what comes out is valid");
        (out, accepted)
    }

    pub fn request(&self, request: &Request) -> Request {
        Request::decode(request.signal(), &self.pass(request.signal(), &request.encode()).0).unwrap()
    }
}

pub fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

pub fn int(number: i64) -> AnyValue {
    AnyValue { value: Some(Value::IntValue(number)) }
}

pub fn double(number: f64) -> AnyValue {
    AnyValue { value: Some(Value::DoubleValue(number)) }
}

pub fn list(values: Vec<AnyValue>) -> AnyValue {
    AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
}

pub fn map(values: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
}

pub fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

pub fn pairs(list: &[(&str, &str)]) -> Vec<KeyValue> {
    list.iter().map(|(key, value)| pair(key, text(value))).collect()
}

/// What an attribute's value reads as.
pub fn shown(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BytesValue(bytes)) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Some(Value::ArrayValue(list)) => {
            format!("[{}]", list.values.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        Some(Value::KvlistValue(map)) => format!("{{{}}}", shown_pairs(&map.values)),
        _ => "nothing".to_owned(),
    }
}

pub fn shown_pairs(pairs: &[KeyValue]) -> String {
    let one = |pair: &KeyValue| format!("{}={}", pair.key, pair.value.as_ref().map(shown).unwrap_or_default());
    pairs.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub fn traces(resource: Vec<KeyValue>, spans: Vec<Span>) -> Request {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    Request::Traces(ExportTraceServiceRequest { resource_spans })
}

pub fn logs(log_records: Vec<LogRecord>) -> Request {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    Request::Logs(ExportLogsServiceRequest { resource_logs })
}

/// The attributes of a span after the processor.
pub fn of_span(yaml: &str, attributes: Vec<KeyValue>) -> String {
    shown_pairs(&span_after(yaml, Span { attributes, ..Span::default() }).attributes)
}

/// A span after the processor.
pub fn span_after(yaml: &str, span: Span) -> Span {
    let rig = Rig::new(yaml, Signal::Traces);
    let Request::Traces(out) = rig.request(&traces(Vec::new(), vec![span])) else { unreachable!("spans stay spans") };
    out.resource_spans[0].scope_spans[0].spans[0].clone()
}

/// A log record after the processor.
pub fn log_after(yaml: &str, record: LogRecord) -> LogRecord {
    let rig = Rig::new(yaml, Signal::Logs);
    let Request::Logs(out) = rig.request(&logs(vec![record])) else { unreachable!("logs stay logs") };
    out.resource_logs[0].scope_logs[0].log_records[0].clone()
}

/// A body after the processor, and what the summary says.
pub fn of_body(yaml: &str, body: AnyValue) -> (String, String) {
    let record = log_after(yaml, LogRecord { body: Some(body), ..LogRecord::default() });
    (shown(&record.body.unwrap_or_default()), shown_pairs(&record.attributes))
}
