//! Requests with given content, and what is in those that arrived, in the types of the reference implementation.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use testkit::items::attribute;
use testkit::otlp_arbitrary::Request;

use super::backend::Arrived;

pub fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| attribute(key, value)).collect()
}

pub fn span(name: &str, kind: i32, pairs: &[(&str, &str)]) -> Span {
    Span {
        trace_id: vec![0x5b; 16],
        span_id: vec![0xee; 8],
        name: name.to_owned(),
        kind,
        attributes: attributes(pairs),
        ..Span::default()
    }
}

pub fn record(severity: i32, body: &str, pairs: &[(&str, &str)]) -> LogRecord {
    LogRecord {
        severity_number: severity,
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        attributes: attributes(pairs),
        ..LogRecord::default()
    }
}

fn resource(pairs: &[(&str, &str)]) -> Option<Resource> {
    Some(Resource { attributes: attributes(pairs), ..Resource::default() })
}

pub fn traces(pairs: &[(&str, &str)], spans: Vec<Span>) -> Request {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(pairs), scope_spans, ..ResourceSpans::default() }];
    Request::Traces(ExportTraceServiceRequest { resource_spans })
}

pub fn logs(pairs: &[(&str, &str)], log_records: Vec<LogRecord>) -> Request {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(pairs), scope_logs, ..ResourceLogs::default() }];
    Request::Logs(ExportLogsServiceRequest { resource_logs })
}

/// One gauge with a data point for each of the given attributes.
pub fn gauge(pairs: &[(&str, &str)], points: &[&[(&str, &str)]]) -> Request {
    let point =
        |pairs: &&[(&str, &str)]| NumberDataPoint { attributes: attributes(pairs), ..NumberDataPoint::default() };
    let data = Some(Data::Gauge(Gauge { data_points: points.iter().map(point).collect() }));
    let metrics = vec![Metric { name: "requests".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(pairs), scope_metrics, ..ResourceMetrics::default() }];
    Request::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

/// Requests of the same signal as one.
pub fn joined(requests: Vec<Request>) -> Request {
    let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
    Request::decode(requests[0].signal(), &bytes).unwrap()
}

pub fn spans_of(arrived: &[Arrived]) -> Vec<Span> {
    let mut spans = Vec::new();
    for request in arrived {
        if let Request::Traces(request) = &request.telemetry {
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans.clone()));
        }
    }
    spans
}

pub fn records_of(arrived: &[Arrived]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for request in arrived {
        if let Request::Logs(request) = &request.telemetry {
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            records.extend(scopes.flat_map(|scope| scope.log_records.clone()));
        }
    }
    records
}

/// Where `text` occurs in the bytes that arrived, as often as it does.
pub fn count(arrived: &[Arrived], text: &str) -> usize {
    let text = text.as_bytes();
    arrived.iter().map(|request| request.bytes.windows(text.len()).filter(|window| *window == text).count()).sum()
}
