//! Log records that follow a sampler of traces: what waits, for how long, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

use std::sync::Arc;
use std::time::Duration;

use component::pressure::{Reading, Step};
use component::{Component, Consumer, Deadline, DeliveryError};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::{Batch, Context, Payload, Segment, Signal};
use processor_probabilistic_sampler::factory;
use prost::Message;
use testkit::otlp_scramble::Random;
use testkit::{Answer, Sink, Subject, World};

const INFO: i32 = 9;
const ERROR: i32 = 17;

struct Stage {
    component: Arc<dyn Component>,
    consumer: Arc<dyn Consumer>,
    sink: Arc<Sink>,
}

impl Stage {
    async fn new(world: &World, subject: Subject) -> Self {
        let sink = Sink::accepting();
        let built = subject.build(world, sink.clone()).unwrap();
        built.component.start(&world.host).await.unwrap();
        Self { component: built.component, consumer: built.consumer.unwrap(), sink }
    }

    async fn stop(&self) {
        self.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
    }
}

/// A sampler of traces that keeps errors, after five seconds, and a follower.
struct Rig {
    world: World,
    traces: Stage,
    logs: Stage,
}

impl Rig {
    async fn new(yaml: &str) -> Self {
        Self::with_policies(yaml, "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}").await
    }

    async fn with_policies(yaml: &str, policies: &str) -> Self {
        let world = World::new();
        let policies = format!("{{decision_wait: 5s, adjusted_counts: true, policies: [{policies}]}}");
        let tail = Subject::new(processor_tail_sampling::factory()).with_config(&policies);
        let traces = Stage::new(&world, tail.with_signal(Signal::Traces)).await;
        let logs = Stage::new(&world, follower(yaml)).await;
        Self { world, traces, logs }
    }

    async fn spans(&self, spans: Vec<Span>) {
        let items = spans.len() as u32;
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans };
        let batch = batch(Signal::Traces, request.encode_to_vec(), items);
        self.world.head(Arc::clone(&self.traces.consumer)).consume(batch).await.unwrap();
    }

    async fn offer(&self, records: Vec<LogRecord>) -> Result<(), DeliveryError> {
        self.world.head(Arc::clone(&self.logs.consumer)).consume(log_batch(records)).await.map(drop)
    }

    async fn records(&self, records: Vec<LogRecord>) {
        self.offer(records).await.unwrap();
        self.world.check_difference().unwrap();
    }

    fn out(&self) -> Vec<String> {
        out_of(&self.logs.sink)
    }

    async fn stop(&self) {
        self.traces.stop().await;
        self.logs.stop().await;
        self.world.check_settled().unwrap();
        assert_eq!(self.world.metric("weir_probabilistic_sampler_waiting_bytes"), Some(0.0));
    }

    fn dropped(&self) -> u64 {
        self.world.totals(Signal::Logs).dropped.get("not_sampled").copied().unwrap_or_default()
    }

    fn unanswered(&self) -> usize {
        self.world.metric("weir_probabilistic_sampler_unanswered_traces").unwrap() as usize
    }
}

fn follower(yaml: &str) -> Subject {
    // Every component of a test has the name part `test`.
    let yaml = format!("{{mode: equalizing, trace_decisions: tail_sampling/test, fail_closed: false, {yaml}}}");
    Subject::new(factory()).with_config(&yaml).with_signal(Signal::Logs)
}

fn batch(signal: Signal, bytes: Vec<u8>, items: u32) -> Batch {
    Batch::new(Payload::from_segments(signal, [Segment::trusted(bytes.into(), items)]), Context::default().into())
}

fn log_batch(log_records: Vec<LogRecord>) -> Batch {
    let items = log_records.len() as u32;
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "a")], ..Resource::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    batch(Signal::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec(), items)
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Bodies of what came out, with the threshold where there is one.
fn out_of(sink: &Sink) -> Vec<String> {
    let requests = sink.received();
    let requests =
        requests.iter().map(|received| ExportLogsServiceRequest::decode(received.payload.to_bytes()).unwrap());
    let groups = requests.flat_map(|request| request.resource_logs);
    let records = groups.flat_map(|group| group.scope_logs).flat_map(|scope| scope.log_records);
    let named = records.map(|record| {
        let threshold = record.attributes.iter().find(|pair| pair.key == "sampling.threshold");
        let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            _ => String::new(),
        };
        let threshold = threshold.map(|pair| format!(" th:{}", text(pair.value.as_ref()))).unwrap_or_default();
        format!("{}{threshold}", text(record.body.as_ref()))
    });
    let mut named: Vec<String> = named.collect();
    named.sort_unstable();
    named
}

/// Of an ID whose randomness is about 1/16 for each unit of the number.
fn span(trace: u8, code: i32) -> Span {
    let status = Some(Status { code, ..Status::default() });
    Span { trace_id: vec![trace; 16], span_id: vec![1; 8], status, ..Span::default() }
}

fn record(name: &str, trace: u8, severity_number: i32) -> LogRecord {
    let body = Some(AnyValue { value: Some(Value::StringValue(name.to_owned())) });
    let trace_id = if trace == 0 { Vec::new() } else { vec![trace; 16] };
    LogRecord { body, trace_id, severity_number, ..LogRecord::default() }
}

async fn pass(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    testkit::suite::contract(&follower("sampling_percentage: 100")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn records_share_the_fate_of_their_trace_whenever_they_come() {
    let rig = Rig::new("sampling_percentage: 100").await;
    rig.records(vec![record("early kept", 0x21, INFO), record("early dropped", 0x22, INFO), record("alone", 0, INFO)])
        .await;
    assert_eq!(rig.out(), ["alone th:0"], "what has no trace goes at once");
    pass(3000).await;
    rig.spans(vec![span(0x21, 2), span(0x22, 1)]).await;
    rig.records(vec![record("kept", 0x21, ERROR), record("dropped", 0x22, ERROR)]).await;
    pass(4800).await;
    assert_eq!(rig.out().len(), 1, "waits for the trace longer than for its beginning");
    pass(1500).await;
    let kept = ["alone th:0", "early kept", "kept"];
    assert_eq!(rig.out(), kept, "a trace that is certain leaves thresholds as they are");
    rig.records(vec![record("late kept", 0x21, INFO), record("late dropped", 0x22, INFO)]).await;
    assert_eq!(rig.out().len(), 4, "at once");
    assert_eq!((rig.dropped(), rig.unanswered()), (3, 0));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_is_sure_of_does_not_wait_and_without_a_decision_shares_count() {
    let rules = "sampling_percentage: 50, trace_wait: 4s, rules: [{severity_min: 17, sampling_percentage: 100}, {severity_min: \
                 1, severity_max: 8, sampling_percentage: 0}, {event_name: audit, sampling_percentage: 100}, {severity_min: 13, \
                 sampling_percentage: 90}], sampling_priority: ask";
    let rig = Rig::new(rules).await;
    rig.spans(vec![span(0x22, 1), span(0xf1, 2)]).await;
    let asks = LogRecord {
        attributes: vec![KeyValue {
            key: "ask".to_owned(),
            value: Some(AnyValue { value: Some(Value::IntValue(100)) }),
            ..KeyValue::default()
        }],
        ..record("asks", 0x22, INFO)
    };
    rig.records(vec![
        record("error of a dropped trace", 0x22, ERROR),
        record("debug of a kept trace", 0xf1, 5),
        LogRecord { event_name: "audit".to_owned(), ..record("event of a dropped trace", 0x22, INFO) },
        asks,
        record("unknown low", 0x11, INFO),
        record("unknown low warning", 0x30, 13),
        record("unknown high", 0xee, INFO),
        record("kept", 0xf1, INFO),
    ])
    .await;
    let sure = ["asks th:0", "error of a dropped trace th:0", "event of a dropped trace th:0"];
    assert_eq!(rig.out(), sure);
    pass(7000).await;
    let mut all = sure.to_vec();
    all.extend(["kept", "unknown high th:8", "unknown low warning th:199a"]);
    assert_eq!(rig.out(), all);
    assert_eq!(rig.unanswered(), 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn records_stand_for_as_many_as_their_trace() {
    let policies = "{name: base, type: probabilistic, probabilistic: {sampling_percentage: 25}}";
    let rig = Rig::with_policies("sampling_percentage: 100", policies).await;
    rig.spans(vec![span(0xd1, 0), span(0x11, 0)]).await;
    let carrying = |name: &str, threshold| LogRecord {
        attributes: vec![attribute("sampling.threshold", threshold)],
        ..record(name, 0xd1, INFO)
    };
    let records =
        vec![record("new", 0xd1, INFO), carrying("half", "8"), carrying("tenth", "d"), record("no", 0x11, INFO)];
    rig.records(records).await;
    pass(7000).await;
    assert_eq!(rig.out(), ["half th:c", "new th:c", "tenth th:d"]);
    rig.stop().await;
    let limit = "{name: c, type: composite, composite: {max_total_spans_per_second: 10, composite_sub_policy: [{name: all, type: \
                 always_sample}], rate_allocation: [{policy: all, percent: 100}]}}";
    let rig = Rig::with_policies("sampling_percentage: 100", limit).await;
    rig.spans(vec![span(0xd1, 0)]).await;
    rig.records(vec![record("new", 0xd1, INFO), carrying("half", "8")]).await;
    pass(7000).await;
    assert_eq!(rig.out(), ["half", "new"], "of a limit nobody knows");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_the_oldest_go_first() {
    let rig = Rig::new("sampling_percentage: 100, max_waiting_bytes: 20000, trace_wait: 60s").await;
    let long = |n: usize| format!("{n:04}{}", "x".repeat(996));
    for n in 0..100 {
        rig.records(vec![record(&long(n), 0x41, INFO)]).await;
        let waiting = rig.world.metric("weir_probabilistic_sampler_waiting_bytes").unwrap();
        assert!(waiting <= 20_000.0 && (n < 20 || waiting > 15_000.0), "{n}: {waiting}");
        pass(1).await;
    }
    let out = rig.out().len();
    assert!((80..90).contains(&out), "{out}");
    assert!(rig.out().iter().zip(0..).all(|(name, n)| name.starts_with(&format!("{n:04}"))), "the oldest");
    assert_eq!(rig.unanswered(), out);
    rig.logs.sink.answer(Answer::Stall);
    let mut refused = 0;
    for n in 100..200 {
        match rig.offer(vec![record(&long(n), 0x41, INFO)]).await {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_retryable() && error.message().contains("wait"), "{error}");
                refused += 1;
            }
        }
        rig.world.check_difference().unwrap();
        pass(1).await;
    }
    assert!((50..90).contains(&refused), "{refused}: refused when nothing goes on");
    rig.logs.sink.release();
    rig.logs.sink.answer(Answer::Accept);
    rig.stop().await;
    assert_eq!(rig.out().len(), 200 - refused);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_behind_brings_all_of_a_batch_back() {
    let rig = Rig::new("sampling_percentage: 100").await;
    rig.logs.sink.answer(Answer::Retryable);
    let records = || vec![record("alone", 0, INFO), record("waits", 0x21, INFO)];
    assert!(rig.offer(records()).await.unwrap_err().is_retryable());
    assert_eq!(rig.world.metric("weir_probabilistic_sampler_waiting_bytes"), Some(0.0));
    rig.world.check_settled().unwrap();
    rig.logs.sink.answer(Answer::Accept);
    rig.records(records()).await;
    pass(11_000).await;
    assert_eq!(rig.out(), ["alone th:0", "waits th:0"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_waits_on() {
    let rig = Rig::new("sampling_percentage: 0").await;
    rig.spans(vec![span(0x21, 2), span(0x22, 1)]).await;
    rig.records(vec![record("kept", 0x21, INFO), record("dropped", 0x22, INFO)]).await;
    pass(1000).await;
    let successor = Stage::new(&rig.world, follower("sampling_percentage: 100")).await;
    let deadline = Deadline::after(Duration::from_secs(5));
    rig.logs.component.hand_over(&successor.consumer, deadline).unwrap().await.unwrap();
    rig.records(vec![record("kept too", 0x21, INFO)]).await;
    pass(6000).await;
    assert_eq!(out_of(&successor.sink), ["kept", "kept too"]);
    assert!(rig.out().is_empty());
    successor.stop().await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn at_a_shutdown_what_is_decided_last_is_followed() {
    let rig = Rig::new("sampling_percentage: 100").await;
    rig.spans(vec![span(0x21, 2), span(0x22, 1)]).await;
    rig.records(vec![record("kept", 0x21, INFO), record("dropped", 0x22, INFO)]).await;
    rig.records(vec![record("unknown", 0x23, INFO), record("with unknown", 0x22, INFO)]).await;
    // The sampler of traces ends first, decides, and forgets.
    rig.stop().await;
    assert_eq!(rig.out(), ["kept", "unknown th:0"]);
    assert_eq!((rig.dropped(), rig.unanswered()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn in_the_degraded_mode_records_below_info_do_not_wait() {
    let rig = Rig::new("sampling_percentage: 100").await;
    let sensor = rig.world.registry.pressure().sense();
    sensor.set(&Reading { step: Step::Gate, value: 0.8, rejected: [1 << 56, 0, 0] });
    rig.spans(vec![span(0xf1, 2)]).await;
    rig.records(vec![record("debug", 0xf1, 5), record("info", 0xf1, INFO)]).await;
    assert_eq!(rig.dropped(), 1);
    assert_eq!(rig.world.metric("weir_overload_shed_items"), Some(1.0));
    pass(7000).await;
    assert_eq!(rig.out(), ["info"]);
    rig.stop().await;
}

/// Whatever comes in whichever order: nothing is lost unsaid, and records of decided traces follow.
#[tokio::test(start_paused = true)]
async fn the_books_balance_whatever_happens() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let yaml = format!(
            "sampling_percentage: {}, trace_wait: {}s, max_waiting_bytes: {}",
            [0, 50, 100][random.below(3)],
            random.below(8),
            [500, 5000, 100_000][random.below(3)]
        );
        let mut rig = Rig::new(&yaml).await;
        let (mut offered, mut refused) = (0_u64, 0_u64);
        let mut former = Vec::new();
        for _ in 0..60 {
            let answers = [Answer::Accept, Answer::Accept, Answer::Retryable, Answer::Permanent, Answer::Reject(1)];
            rig.logs.sink.answer(answers[random.below(answers.len())].clone());
            if random.below(3) == 0 {
                rig.spans((0..5).map(|_| span(1 + random.below(20) as u8, 2 * random.below(2) as i32)).collect()).await;
            }
            let records: Vec<LogRecord> =
                (0..random.below(20)).map(|n| record(&n.to_string(), random.below(21) as u8, INFO)).collect();
            let count = records.len() as u64;
            offered += count;
            if rig.offer(records).await.is_err() {
                refused += count;
            }
            rig.world.check_difference().map_err(|error| format!("seed {seed}: {error}")).unwrap();
            match random.below(5) {
                0 => pass(1000 * random.below(4) as u64).await,
                1 if random.below(6) == 0 => {
                    let successor = Stage::new(&rig.world, follower(&yaml)).await;
                    let deadline = Deadline::after(Duration::from_secs(random.below(3) as u64));
                    let _ended = rig.logs.component.hand_over(&successor.consumer, deadline).unwrap().await;
                    former.push(std::mem::replace(&mut rig.logs, successor));
                }
                _ => {}
            }
        }
        let deadline = Deadline::after(Duration::from_secs(random.below(5) as u64));
        let _stopped = rig.traces.component.shutdown(deadline).await;
        let _stopped = rig.logs.component.shutdown(deadline).await;
        pass(10_000).await;
        rig.world.check_settled().map_err(|error| format!("seed {seed}: {error}\n{yaml}")).unwrap();
        let totals = rig.world.totals(Signal::Logs);
        assert_eq!(totals.received, offered, "seed {seed}");
        assert!(totals.refused <= refused, "seed {seed}: what comes back was offered");
    }
}
