//! The sampler in front of a sink: what is kept, what it carries, what the books say.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use component::Consumer;
use component::pressure::{Reading, Step};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::{Batch, Context, Payload, Segment, Signal};
use processor_probabilistic_sampler::factory;
use prost::Message;
use sampling::Threshold;
use testkit::{Sink, Subject, World};

fn batch(signal: Signal, bytes: Vec<u8>, items: u32) -> Batch {
    Batch::new(Payload::from_segments(signal, [Segment::trusted(bytes.into(), items)]), Context::default().into())
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

/// What comes out of a sampler with that configuration, and the counter's value for a policy and decision.
async fn through(signal: Signal, yaml: &str, bytes: Vec<u8>, items: u32) -> (Vec<u8>, World) {
    through_in(World::new(), signal, yaml, bytes, items).await
}

/// As [`through`], in a world that is made ready before.
async fn through_in(world: World, signal: Signal, yaml: &str, bytes: Vec<u8>, items: u32) -> (Vec<u8>, World) {
    let sink = Sink::accepting();
    let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
    let built = subject.build(&world, sink.clone()).unwrap();
    let batch = world.open(batch(signal, bytes, items));
    built.consumer.unwrap().consume(batch).await.unwrap();
    world.check_settled().unwrap();
    let received = sink.received();
    (received.iter().flat_map(|received| received.payload.to_bytes().to_vec()).collect(), world)
}

async fn spans(yaml: &str, spans: Vec<Span>) -> Vec<Span> {
    let items = spans.len() as u32;
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    let (bytes, _) = through(Signal::Traces, yaml, request.encode_to_vec(), items).await;
    let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    request.resource_spans.into_iter().flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).collect()
}

async fn logs(yaml: &str, log_records: Vec<LogRecord>) -> Vec<LogRecord> {
    let items = log_records.len() as u32;
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let request =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let (bytes, _) = through(Signal::Logs, yaml, request.encode_to_vec(), items).await;
    let request = ExportLogsServiceRequest::decode(&*bytes).unwrap();
    request.resource_logs.into_iter().flat_map(|group| group.scope_logs).flat_map(|scope| scope.log_records).collect()
}

fn span(id: u8, trace_state: &str, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![id; 16],
        span_id: vec![1; 8],
        trace_state: trace_state.to_owned(),
        attributes,
        ..Span::default()
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in [Signal::Traces, Signal::Logs] {
        // Kept: the suite's log records have no trace ID.
        let yaml = "{sampling_percentage: 100, fail_closed: false}";
        let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
        testkit::suite::contract(&subject).await.unwrap();
    }
}

#[tokio::test]
async fn kept_spans_carry_threshold_and_randomness_and_the_rest_of_their_state() {
    let given = vec![span(0xff, "", Vec::new()), span(0x01, "", Vec::new()), span(0xfe, "a=b,ot=k:v", Vec::new())];
    let kept = spans("{mode: equalizing, sampling_percentage: 10}", given.clone()).await;
    let states: Vec<_> = kept.iter().map(|span| (span.trace_id[0], span.trace_state.as_str())).collect();
    assert_eq!(states, [(0xff, "ot=th:e666"), (0xfe, "ot=th:e666;k:v,a=b")]);
    let hashed = spans("{sampling_percentage: 100}", given).await;
    assert_eq!(hashed.len(), 3);
    for span in hashed {
        let randomness = span.trace_state.strip_prefix("ot=rv:").unwrap();
        assert!(randomness.get(14..).unwrap().starts_with(";th:0"), "{}", span.trace_state);
    }
}

#[tokio::test]
async fn priorities_of_spans_come_in_every_type() {
    let priority = |value| vec![attribute("sampling.priority", value)];
    let cases = [
        (Value::IntValue(1), true),
        (Value::DoubleValue(0.5), true),
        (text("2"), true),
        (Value::IntValue(0), false),
        (text("0"), false),
        (Value::DoubleValue(0.0), false),
    ];
    for (value, is_kept) in cases {
        for percentage in [0, 100] {
            let yaml = format!("{{sampling_percentage: {percentage}}}");
            let kept = spans(&yaml, vec![span(7, "", priority(value.clone()))]).await;
            assert_eq!(!kept.is_empty(), is_kept, "{value:?} at {percentage} %");
        }
    }
    for value in [Value::IntValue(-1), text("yes"), Value::BoolValue(true)] {
        assert!(spans("{sampling_percentage: 0}", vec![span(7, "", priority(value))]).await.is_empty());
    }
}

#[tokio::test]
async fn broken_state_is_dropped_or_kept_untouched() {
    for state in ["ot=th:zz", "=", "ot=rv:1"] {
        let given = vec![span(0xff, state, Vec::new())];
        assert!(spans("{mode: proportional, sampling_percentage: 100}", given.clone()).await.is_empty());
        let open = "{mode: proportional, sampling_percentage: 1, fail_closed: false}";
        assert_eq!(spans(open, given.clone()).await, given);
    }
}

#[tokio::test]
async fn log_records_carry_what_spans_have_in_tracestate() {
    let record = |id: u8, attributes| LogRecord { trace_id: vec![id; 16], attributes, ..LogRecord::default() };
    let given = vec![record(0xff, Vec::new()), record(1, Vec::new())];
    let kept = logs("{mode: equalizing, sampling_percentage: 10}", given).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].attributes, [attribute("sampling.threshold", text("e666"))]);
    let earlier =
        vec![attribute("sampling.threshold", text("8")), attribute("sampling.randomness", text("c0000000000000"))];
    let kept = logs("{mode: proportional, sampling_percentage: 50}", vec![record(1, earlier)]).await;
    assert_eq!(kept[0].attributes[0], attribute("sampling.threshold", text("c")));
}

#[tokio::test]
async fn log_records_without_a_trace_go_by_an_attribute() {
    let record = |value| LogRecord { attributes: vec![attribute("user", value)], ..LogRecord::default() };
    let given: Vec<_> = (0..400).map(|user| record(text(&format!("u-{user}")))).collect();
    let yaml = "{sampling_percentage: 30, attribute_source: record, from_attribute: user}";
    let kept = logs(yaml, given.clone()).await;
    assert!((80..160).contains(&kept.len()), "{}", kept.len());
    let again = logs(yaml, given.into_iter().rev().collect()).await;
    assert_eq!(again.len(), kept.len(), "the same users are kept");
    assert!(logs(yaml, vec![LogRecord::default()]).await.is_empty(), "without the attribute nothing is known");
    let asks = |share| LogRecord { attributes: vec![attribute("share", share)], ..LogRecord::default() };
    let yaml = "{sampling_percentage: 0, sampling_priority: share}";
    let kept = logs(yaml, vec![asks(Value::IntValue(100)), asks(Value::IntValue(0)), asks(text("100"))]).await;
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn rules_give_some_records_a_share_of_their_own() {
    let record = |severity_number, event_name: &str, path: &str| LogRecord {
        trace_id: vec![0x40; 16],
        severity_number,
        event_name: event_name.to_owned(),
        attributes: vec![attribute("url.path", text(path))],
        ..LogRecord::default()
    };
    let yaml = "
mode: equalizing
sampling_percentage: 10
rules:
  - {severity_min: 17, sampling_percentage: 100}
  - {event_name: login, sampling_percentage: 100}
  - {attribute: url.path, values: [/healthz, /readyz], sampling_percentage: 0}
  - {attribute: url.path, severity_min: 9, severity_max: 12, sampling_percentage: 100}
";
    let cases = [
        (record(17, "", "/healthz"), true),
        (record(5, "login", "/healthz"), true),
        (record(9, "", "/healthz"), false),
        (record(9, "", "/cart"), true),
        (record(13, "", "/cart"), false),
    ];
    for (record, is_kept) in cases {
        assert_eq!(logs(yaml, vec![record.clone()]).await.len(), usize::from(is_kept), "{record:?}");
    }
}

#[tokio::test]
async fn rules_of_all_and_of_nothing_hold_whatever_is_known_of_a_record() {
    let with = |trace: u8, severity_number: i32, attributes: Vec<KeyValue>| LogRecord {
        trace_id: if trace == 0 { Vec::new() } else { vec![trace; 16] },
        severity_number,
        attributes,
        ..LogRecord::default()
    };
    let threshold = |value: &str| vec![attribute("sampling.threshold", text(value))];
    // No randomness, randomness that the threshold excludes, a threshold that cannot be read, one with more digits than are written.
    let kinds = [(0, vec![]), (1, threshold("fd")), (1, threshold("zz")), (0xff, threshold("fd70a3d70a3d"))];
    for mode in ["hash_seed", "equalizing", "proportional"] {
        for fail_closed in [true, false] {
            let yaml = format!(
                "{{mode: {mode}, fail_closed: {fail_closed}, sampling_percentage: 50, rules: [
                    {{severity_min: 17, sampling_percentage: 100}}, {{severity_max: 8, sampling_percentage: 0}}]}}"
            );
            for (trace, attributes) in &kinds {
                let records = [17, 5].map(|severity| with(*trace, severity, attributes.clone()));
                let kept: Vec<i32> = logs(&yaml, records.to_vec()).await.iter().map(|r| r.severity_number).collect();
                assert_eq!(kept, [17], "{yaml}: {trace}, {attributes:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_dropped_has_a_reason_and_everything_is_counted() {
    let request = testkit::items::request(Signal::Traces, 0, 50).encode();
    let yaml = "{sampling_percentage: 40, hash_seed: 3}";
    let (bytes, world) = through(Signal::Traces, yaml, request, 50).await;
    let kept = ExportTraceServiceRequest::decode(&*bytes).unwrap().resource_spans[0].scope_spans[0].spans.len() as u64;
    let totals = world.totals(Signal::Traces);
    assert_eq!((totals.delivered, totals.dropped["not_sampled"], totals.difference()), (kept, 50 - kept, 0));
    let counted = world.metric("otelcol_processor_probabilistic_sampler_count_traces_sampled").unwrap();
    assert!((counted - 50.0).abs() < 0.5);
}

#[tokio::test]
async fn under_pressure_the_baseline_goes_first_and_errors_and_what_asks_last() {
    let status = |code| opentelemetry_proto::tonic::trace::v1::Status { code, ..Default::default() };
    let low = |attributes| span(0x10, "", attributes);
    let lasting = |nanos: u64| Span { start_time_unix_nano: 7, end_time_unix_nano: 7 + nanos, ..low(Vec::new()) };
    let spans = vec![
        low(Vec::new()),
        Span { status: Some(status(2)), ..low(Vec::new()) },
        Span { status: Some(status(1)), ..low(Vec::new()) },
        low(vec![attribute("sampling.priority", Value::IntValue(1))]),
        span(0xf0, "", Vec::new()),
        lasting(1_000_000_000),
        lasting(999_999_999),
    ];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let bytes =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
            .encode_to_vec();
    let quarter = Threshold::parse("c").unwrap().rejected();
    for (step, rejected, kept) in [
        (Step::Trim, [quarter; 3], &[""; 7][..]),
        (Step::Thin, [quarter, quarter, 0], &["0", "0", "c", "0"]),
        (Step::Refuse, [quarter; 3], &["c"]),
    ] {
        let world = World::new();
        let sensor = world.registry.pressure().sense();
        sensor.set(&Reading { step, value: 0.7, rejected });
        let yaml = "{mode: equalizing, sampling_percentage: 100}";
        let (out, world) = through_in(world, Signal::Traces, yaml, bytes.clone(), 7).await;
        let out = ExportTraceServiceRequest::decode(&*out).unwrap();
        let states = out.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.trace_state.clone());
        let thresholds: Vec<String> =
            states.map(|state| state.strip_prefix("ot=th:").unwrap_or_default().to_owned()).collect();
        let shed = 7 - kept.len();
        if step == Step::Trim {
            assert_eq!(thresholds.len(), 7, "thresholds are not looked at yet");
            assert_eq!(world.metric("weir_overload_shed_items"), None);
        } else {
            assert_eq!(thresholds, kept, "{step}");
            assert_eq!(world.metric("weir_overload_shed_items"), Some(shed as f64));
        }
        assert_eq!(world.totals(Signal::Traces).dropped.get("not_sampled").copied().unwrap_or_default(), shed as u64);
        drop(sensor);
    }
}

#[tokio::test]
async fn under_pressure_records_below_info_go_before_others_and_errors_last() {
    let record = |severity_number| LogRecord { trace_id: vec![0x90; 16], severity_number, ..LogRecord::default() };
    let log_records = vec![record(5), record(0), record(9), record(17), record(21)];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let bytes =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
            .encode_to_vec();
    let world = World::new();
    let sensor = world.registry.pressure().sense();
    let (never, half) = (Threshold::NEVER.rejected(), Threshold::parse("8").unwrap().rejected());
    sensor.set(&Reading { step: Step::Gate, value: 0.8, rejected: [never, half, 0] });
    let yaml = "{mode: equalizing, sampling_percentage: 100}";
    let (out, world) = through_in(world, Signal::Logs, yaml, bytes, 5).await;
    let out = ExportLogsServiceRequest::decode(&*out).unwrap();
    let kept = out.resource_logs[0].scope_logs[0].log_records.iter();
    let kept: Vec<_> = kept.map(|record| (record.severity_number, record.attributes[0].clone())).collect();
    let with = |severity, th: &str| (severity, attribute("sampling.threshold", text(th)));
    assert_eq!(kept, [with(0, "8"), with(9, "8"), with(17, "0"), with(21, "0")]);
    assert_eq!(world.metric("weir_overload_shed_items"), Some(1.0));
}
