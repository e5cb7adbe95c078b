//! Small valid requests with numbered items.
//!
//! Every item carries the integer attribute [`ITEM`]; [`numbers`] reads them back in order, so a test can say which items
//! went where. One resource (`service.name` = `testkit`) and one scope; metrics have [`POINTS_PER_METRIC`] points each,
//! so that splitting cuts through a metric.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::{Batch, ByteAccount, Context, Payload, Segment, Signal};

use crate::otlp_arbitrary::Request;

/// The attribute that numbers an item.
pub const ITEM: &str = "item";

/// Data points in each metric.
pub const POINTS_PER_METRIC: u64 = 4;

/// 2026-01-01T00:00:00Z, the time of item 0; further items are a millisecond apart.
pub const EPOCH_NS: u64 = 1_767_225_600_000_000_000;

/// A batch of spans numbered from 0, charged to no account.
pub fn spans(count: u64) -> Batch {
    batch(Signal::Traces, 0, count)
}

/// A batch of log records numbered from 0, charged to no account.
pub fn logs(count: u64) -> Batch {
    batch(Signal::Logs, 0, count)
}

/// A batch of data points numbered from 0, charged to no account.
pub fn points(count: u64) -> Batch {
    batch(Signal::Metrics, 0, count)
}

/// A batch of items numbered from `first`, with an empty context, charged to no account.
pub fn batch(signal: Signal, first: u64, count: u64) -> Batch {
    Batch::new(payload(signal, first, count), Arc::new(Context::default()))
}

/// As [`batch`], with its bytes charged to `account` as a receiver would.
pub fn charged(account: &Arc<ByteAccount>, signal: Signal, first: u64, count: u64) -> Batch {
    let body = request(signal, first, count).encode();
    let bytes = account.charge(body.len()).freeze(body);
    Batch::new(of_bytes(signal, bytes, count), Arc::new(Context::default()))
}

/// The telemetry of [`batch`].
#[must_use]
pub fn payload(signal: Signal, first: u64, count: u64) -> Payload {
    of_bytes(signal, request(signal, first, count).encode().into(), count)
}

fn of_bytes(signal: Signal, bytes: bytes::Bytes, count: u64) -> Payload {
    let items = u32::try_from(count).unwrap_or(u32::MAX);
    Payload::from_segments(signal, [Segment::trusted(bytes, items)])
}

/// The request of [`batch`], as the reference implementation's types.
#[must_use]
pub fn request(signal: Signal, first: u64, count: u64) -> Request {
    let numbers = first..first + count;
    match signal {
        Signal::Traces => {
            let spans = numbers.map(span).collect();
            let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
            let resource_spans =
                vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
            Request::Traces(ExportTraceServiceRequest { resource_spans })
        }
        Signal::Logs => {
            let log_records = numbers.map(log_record).collect();
            let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
            let resource_logs =
                vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
            Request::Logs(ExportLogsServiceRequest { resource_logs })
        }
        Signal::Metrics => {
            let numbers: Vec<u64> = numbers.collect();
            let metrics = numbers
                .chunks(usize::try_from(POINTS_PER_METRIC).unwrap_or(1))
                .map(|numbers| Metric {
                    name: format!("metric-{}", numbers.first().copied().unwrap_or_default()),
                    unit: "1".to_owned(),
                    data: Some(Data::Gauge(Gauge { data_points: numbers.iter().copied().map(point).collect() })),
                    ..Metric::default()
                })
                .collect();
            let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
            let resource_metrics =
                vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
            Request::Metrics(ExportMetricsServiceRequest { resource_metrics })
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "testkit".to_owned(), version: "1".to_owned(), ..InstrumentationScope::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![attribute("service.name", "testkit")], ..Resource::default() }
}

/// A string attribute.
#[must_use]
pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn number_attribute(number: u64) -> KeyValue {
    let value = AnyValue { value: Some(Value::IntValue(number.cast_signed())) };
    KeyValue { key: ITEM.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn time_ns(number: u64) -> u64 {
    EPOCH_NS + number * 1_000_000
}

fn span(number: u64) -> Span {
    let mut trace_id = vec![0x11; 16];
    trace_id.splice(8.., number.to_be_bytes());
    Span {
        trace_id,
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span-{number}"),
        kind: 2,
        start_time_unix_nano: time_ns(number),
        end_time_unix_nano: time_ns(number) + 500_000,
        attributes: vec![number_attribute(number), attribute("http.request.method", "GET")],
        ..Span::default()
    }
}

fn log_record(number: u64) -> LogRecord {
    LogRecord {
        time_unix_nano: time_ns(number),
        observed_time_unix_nano: time_ns(number),
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(format!("log-{number}"))) }),
        attributes: vec![number_attribute(number)],
        ..LogRecord::default()
    }
}

fn point(number: u64) -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: time_ns(number),
        attributes: vec![number_attribute(number)],
        value: Some(number_data_point::Value::AsInt(number.cast_signed())),
        ..NumberDataPoint::default()
    }
}

/// The numbers of the items in `payload`, in order. Items without a number (or of other metric types than gauges) count
/// as `u64::MAX`.
///
/// # Errors
/// The reference implementation's error when it cannot read the bytes.
pub fn numbers(payload: &Payload) -> Result<Vec<u64>, prost::DecodeError> {
    let mut numbers = Vec::new();
    for segment in payload.segments() {
        match Request::decode(payload.signal(), segment.bytes())? {
            Request::Traces(request) => numbers.extend(
                (request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans))
                    .map(|span| number(&span.attributes)),
            ),
            Request::Logs(request) => numbers.extend(
                (request.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records))
                    .map(|record| number(&record.attributes)),
            ),
            Request::Metrics(request) => {
                for metric in request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics) {
                    match &metric.data {
                        Some(Data::Gauge(gauge)) => {
                            numbers.extend(gauge.data_points.iter().map(|point| number(&point.attributes)));
                        }
                        _ => numbers.push(u64::MAX),
                    }
                }
            }
        }
    }
    Ok(numbers)
}

fn number(attributes: &[KeyValue]) -> u64 {
    attributes
        .iter()
        .find(|attribute| attribute.key == ITEM)
        .and_then(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
            Value::IntValue(number) => u64::try_from(*number).ok(),
            _ => None,
        })
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_numbered_and_valid() {
        for signal in Signal::ALL {
            let payload = payload(signal, 7, 10);
            assert_eq!(numbers(&payload).unwrap(), (7..17).collect::<Vec<_>>());
            assert_eq!(pdata::validate::check(signal, &payload.to_bytes()), Ok(10));
        }
    }

    #[test]
    fn charged_items_are_on_the_account_until_dropped() {
        let account = ByteAccount::unlimited();
        let batch = charged(&account, Signal::Logs, 0, 3);
        assert!(account.held() >= batch.encoded_len());
        drop(batch);
        assert_eq!(account.held(), 0);
    }
}
