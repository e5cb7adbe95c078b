//! Keys of every signal, against values that the Collector's code (0.157) computes.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::{ByteAccount, Utf8Policy};
use prost::Message;

use super::*;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// Attributes of every type; the expected texts and identities are those of the same map in Go.
fn every_type() -> Vec<KeyValue> {
    vec![
        text("service.name", "shop"),
        pair("n", Value::IntValue(-7)),
        pair("d", Value::DoubleValue(1.5)),
        pair("t", Value::BoolValue(true)),
        pair("f", Value::BoolValue(false)),
        pair("b", Value::BytesValue(vec![1, 2])),
        KeyValue { key: "e".to_owned(), value: Some(AnyValue { value: None }), ..KeyValue::default() },
        pair("m", Value::KvlistValue(KeyValueList { values: vec![text("y", "1"), text("x", "2")] })),
        pair(
            "s",
            Value::ArrayValue(ArrayValue {
                values: vec![any(Value::StringValue("q".into())), any(Value::IntValue(3))],
            }),
        ),
    ]
}

fn payload(signal: Signal, body: Vec<u8>) -> Payload {
    let charge = ByteAccount::unlimited().charge(0);
    Payload::from_body(signal, body, charge, Utf8Policy::default()).unwrap().0
}

fn resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource { attributes, ..Resource::default() })
}

fn scope(attributes: Vec<KeyValue>) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "sc".into(), version: "1".into(), attributes, ..InstrumentationScope::default() })
}

fn spans(groups: Vec<(Vec<KeyValue>, Vec<KeyValue>, Vec<Span>)>) -> Payload {
    let groups = groups.into_iter().map(|(attributes, of_scope, spans)| ResourceSpans {
        resource: resource(attributes),
        scope_spans: vec![ScopeSpans { scope: scope(of_scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    payload(Signal::Traces, ExportTraceServiceRequest { resource_spans: groups.collect() }.encode_to_vec())
}

fn logs(groups: Vec<(Vec<KeyValue>, Vec<LogRecord>)>) -> Payload {
    let groups = groups.into_iter().map(|(attributes, log_records)| ResourceLogs {
        resource: resource(attributes),
        scope_logs: vec![ScopeLogs { scope: scope(vec![]), log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    });
    payload(Signal::Logs, ExportLogsServiceRequest { resource_logs: groups.collect() }.encode_to_vec())
}

fn metrics(groups: Vec<(Vec<KeyValue>, Vec<Metric>)>) -> Payload {
    let groups = groups.into_iter().map(|(attributes, metrics)| ResourceMetrics {
        resource: resource(attributes),
        scope_metrics: vec![ScopeMetrics { scope: scope(vec![text("k", "v")]), metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    });
    payload(Signal::Metrics, ExportMetricsServiceRequest { resource_metrics: groups.collect() }.encode_to_vec())
}

fn point(attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint { attributes, ..NumberDataPoint::default() }
}

fn three_metrics() -> Vec<Metric> {
    let sum =
        Sum { data_points: vec![point(vec![text("route", "/")])], aggregation_temporality: 2, is_monotonic: true };
    let histogram = Histogram { data_points: vec![HistogramDataPoint::default()], aggregation_temporality: 1 };
    let gauge = Gauge { data_points: vec![point(vec![])] };
    let metric = |name: &str, unit: &str, data| Metric {
        name: name.into(),
        unit: unit.into(),
        data: Some(data),
        ..Metric::default()
    };
    vec![
        metric("hits", "1", Data::Sum(sum)),
        metric("lat", "s", Data::Histogram(histogram)),
        metric("g", "", Data::Gauge(gauge)),
    ]
}

/// The keys of all items, as text; `-` for none.
fn keys(payload: &Payload, name: &str, attributes: &[&str]) -> Vec<String> {
    let attributes: Vec<String> = attributes.iter().map(|name| (*name).to_owned()).collect();
    let routing = RoutingKey::parse(payload.signal(), name, &attributes).unwrap();
    let mut keys = Vec::new();
    Keys::for_each(payload, &routing, |key| {
        keys.push(key.map_or_else(|| "-".to_owned(), |key| String::from_utf8_lossy(key).into_owned()));
    });
    keys
}

#[test]
fn spans_and_log_records_of_a_trace_meet_by_the_bytes_of_its_id() {
    let id = b"0123456789abcdef".to_vec();
    let span = |trace_id: &[u8]| Span { trace_id: trace_id.to_vec(), span_id: vec![1; 8], ..Span::default() };
    let payload = spans(vec![(vec![], vec![], vec![span(&id), span(&id)])]);
    assert_eq!(keys(&payload, "", &[]), ["0123456789abcdef"; 2]);
    assert_eq!(keys(&payload, "traceID", &[]), ["0123456789abcdef"; 2]);
    let record = |trace_id: &[u8]| LogRecord { trace_id: trace_id.to_vec(), ..LogRecord::default() };
    let payload = logs(vec![(vec![], vec![record(&id), record(&[]), record(&[])])]);
    let keys = keys(&payload, "traceID", &[]);
    assert_eq!(keys[0], "0123456789abcdef", "that of its spans");
    assert_ne!(keys[1], keys[2], "records without a trace are spread");
}

#[test]
fn services_and_resources() {
    let span = || Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() };
    let payload =
        spans(vec![(vec![text("service.name", "shop")], vec![], vec![span(), span()]), (vec![], vec![], vec![span()])]);
    assert_eq!(keys(&payload, "service", &[]), ["service.name=shop|", "service.name=shop|", "service.name=|"]);
    let two = || vec![LogRecord::default(), LogRecord::default()];
    let payload = logs(vec![(vec![text("service.name", "shop")], two()), (vec![], two())]);
    assert_eq!(keys(&payload, "", &[]), ["shop", "shop", "", ""]);
    let payload = metrics(vec![
        (vec![], three_metrics()),
        (vec![text("service.name", "shop")], three_metrics()),
        (vec![pair("service.name", Value::IntValue(1))], three_metrics()),
    ]);
    assert_eq!(keys(&payload, "", &[]), ["-", "-", "-", "shop", "shop", "shop", "", "", ""]);
    let payload = logs(vec![(vec![], two()), (every_type(), two())]);
    let (none, every) = ("resource/88201fb960ff6465", "resource/da08ab8b81b9f718");
    assert_eq!(keys(&payload, "resource", &[]), [none, none, every, every]);
    let mut reversed = every_type();
    reversed.reverse();
    assert_eq!(keys(&logs(vec![(reversed, two())]), "resource", &[]), [every; 2], "order does not matter");
}

#[test]
fn metrics_and_streams() {
    let payload = metrics(vec![(every_type(), three_metrics()), (vec![], three_metrics())]);
    assert_eq!(keys(&payload, "metric", &[]), ["hits", "lat", "g", "hits", "lat", "g"]);
    let streams = keys(&payload, "streamID", &[]);
    let expected = ["stream/5247476e5e7056bc", "stream/926d2dc897bb9ab7", "stream/da6c0fa7173b2cea"];
    assert_eq!(streams[..3], expected);
    assert!(streams[3..].iter().zip(expected).all(|(stream, other)| stream != other), "{streams:?}");
}

#[test]
fn attributes_of_spans_stand_in_the_order_of_the_configuration() {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "GET /".into(),
        kind: 2,
        attributes: vec![text("own", "o"), text("of.scope", "hidden")],
        ..Span::default()
    };
    let payload = spans(vec![(every_type(), vec![text("of.scope", "s")], vec![span])]);
    let names = ["own", "of.scope", "n", "span.name", "span.kind", "missing", "m"];
    let expected = "own=o|of.scope=s|n=-7|span.name=GET /|span.kind=Server|missing=|m={\"x\":\"2\",\"y\":\"1\"}|";
    assert_eq!(keys(&payload, "attributes", &names), [expected]);
}

#[test]
fn attributes_of_other_items_stand_after_those_around_them() {
    let record = LogRecord {
        severity_text: "WARN".into(),
        body: Some(any(Value::StringValue("full".into()))),
        attributes: vec![text("own", "o")],
        ..LogRecord::default()
    };
    let payload = logs(vec![(every_type(), vec![record.clone(), LogRecord::default()]), (vec![], vec![record])]);
    assert_eq!(
        keys(&payload, "attributes", &["own", "log.body", "n", "log.severity"]),
        [
            "n=-7|own=o|log.body=full|log.severity=WARN|",
            "n=-7|own=|log.body=|log.severity=|",
            "own=o|log.body=full|n=|log.severity=WARN|"
        ]
    );
    let payload = metrics(vec![(every_type(), three_metrics())]);
    assert_eq!(
        keys(&payload, "attributes", &["route", "k", "d"]),
        ["d=1.5|k=v|route=/|", "d=1.5|k=v|route=|", "d=1.5|k=v|route=|"]
    );
}

#[test]
fn values_are_written_as_go_writes_them() {
    let odd = vec![
        text("k<", "a\"\\\n\u{1}&\u{2028}é"),
        pair("z", Value::DoubleValue(1e21)),
        pair("y", Value::DoubleValue(1e-7)),
        pair("w", Value::DoubleValue(-0.5)),
        pair("by", Value::BytesValue(vec![255])),
        KeyValue { key: "nil".to_owned(), value: Some(AnyValue { value: None }), ..KeyValue::default() },
    ];
    for (value, expected) in [
        (
            Value::KvlistValue(KeyValueList { values: odd }),
            r#"{"by":"/w==","k\u003c":"a\"\\\n\u0001\u0026\u2028é","nil":null,"w":-0.5,"y":1e-7,"z":1e+21}"#,
        ),
        (Value::DoubleValue(1e21), "1e+21"),
        (Value::DoubleValue(1e-7), "1e-7"),
        (Value::DoubleValue(123_456_789.0), "123456789"),
        (Value::DoubleValue(0.1), "0.1"),
        (Value::DoubleValue(100.0), "100"),
        (Value::DoubleValue(f64::NEG_INFINITY), "json: unsupported value: -Inf"),
        (Value::BytesValue(vec![1, 2]), "AQI="),
        (Value::BoolValue(false), "false"),
        (Value::ArrayValue(ArrayValue { values: vec![any(Value::DoubleValue(f64::NAN))] }), ""),
    ] {
        let payload = logs(vec![(vec![pair("a", value)], vec![LogRecord::default()])]);
        assert_eq!(keys(&payload, "attributes", &["a"]), [format!("a={expected}|")]);
    }
}

#[test]
fn wrong_combinations_are_refused() {
    for (signal, name) in [
        (Signal::Traces, "metric"),
        (Signal::Traces, "streamID"),
        (Signal::Traces, "resource"),
        (Signal::Metrics, "traceID"),
        (Signal::Logs, "metric"),
        (Signal::Logs, "streamID"),
        (Signal::Logs, "traceId"),
    ] {
        let error = RoutingKey::parse(signal, name, &[]).unwrap_err();
        assert!(error.starts_with(&format!("unsupported routing_key: \"{name}\"")), "{error}");
    }
}
