//! How much text there is in a request: what a redaction has to look at.

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;

use crate::wire::Signal;

/// Bytes of all strings that the generated requests have: bodies, names, keys, values. 0 for metrics.
pub(super) fn bytes(signal: Signal, message: &[u8]) -> usize {
    match signal {
        Signal::Logs => LogsData::decode(message).map_or(0, |data| of_logs(&data)),
        Signal::Traces => TracesData::decode(message).map_or(0, |data| of_traces(&data)),
        Signal::Metrics => 0,
    }
}

fn of_logs(data: &LogsData) -> usize {
    let resource = |group: &opentelemetry_proto::tonic::logs::v1::ResourceLogs| {
        group.resource.as_ref().map_or(0, |resource| of_pairs(&resource.attributes))
    };
    let records = |scope: &opentelemetry_proto::tonic::logs::v1::ScopeLogs| {
        let of = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
            let body = record.body.as_ref().and_then(|body| body.value.as_ref()).map_or(0, of_value);
            record.severity_text.len() + body + of_pairs(&record.attributes)
        };
        of_scope(scope.scope.as_ref()) + scope.log_records.iter().map(of).sum::<usize>()
    };
    let of_group = |group| resource(group) + group.scope_logs.iter().map(records).sum::<usize>();
    data.resource_logs.iter().map(of_group).sum()
}

fn of_traces(data: &TracesData) -> usize {
    let resource = |group: &opentelemetry_proto::tonic::trace::v1::ResourceSpans| {
        group.resource.as_ref().map_or(0, |resource| of_pairs(&resource.attributes))
    };
    let spans = |scope: &opentelemetry_proto::tonic::trace::v1::ScopeSpans| {
        let of = |span: &opentelemetry_proto::tonic::trace::v1::Span| span.name.len() + of_pairs(&span.attributes);
        of_scope(scope.scope.as_ref()) + scope.spans.iter().map(of).sum::<usize>()
    };
    let of_group = |group| resource(group) + group.scope_spans.iter().map(spans).sum::<usize>();
    data.resource_spans.iter().map(of_group).sum()
}

fn of_scope(scope: Option<&InstrumentationScope>) -> usize {
    scope.map_or(0, |scope| scope.name.len() + scope.version.len())
}

fn of_pairs(pairs: &[KeyValue]) -> usize {
    let value = |pair: &KeyValue| pair.value.as_ref().and_then(|value| value.value.as_ref()).map_or(0, of_value);
    pairs.iter().map(|pair| pair.key.len() + value(pair)).sum()
}

fn of_value(value: &Value) -> usize {
    if let Value::StringValue(text) = value { text.len() } else { 0 }
}
