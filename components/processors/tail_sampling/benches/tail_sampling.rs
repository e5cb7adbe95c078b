//! What a span costs on its way in, and on its way out, with ten policies, of which one in a hundred traces is kept; and
//! what a waiting span occupies. Spans of about 570 bytes with 14 attributes, 12 of a trace, 512 in a request, resources of 14
//! attributes.
//!
//! Run with `cargo bench -p processor-tail-sampling`; with `-- --pressure` for a budget of 256 MiB that is offered ten times as
//! much.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "bench")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use component::factory::Shared;
use component::{
    Accepted, Component, ComponentId, ConsumeFuture, Consumer, Deadline, Edge, Host, Level, Outbox, OutboxSettings,
    Registry, Settings, Telemetry,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::view::ItemView;
use pdata::{Batch, ByteAccount, Context, Ledger, Outcome, Payload, Segment, Signal};
use processor_tail_sampling::config::TailSamplingConfig;
use processor_tail_sampling::log::Cause;
use processor_tail_sampling::plan::Plan;
use processor_tail_sampling::processor::TailSampling;
use processor_tail_sampling::sampler::{Sampler, TURN};
use prost::Message;

const SPANS: u64 = 512;
const REQUESTS: u64 = 48;

const POLICIES: &str = "
decision_wait: 5s
num_traces: 10000000
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: slow, type: latency, latency: {threshold_ms: 5000}}
  - {name: server-errors, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 500, max_value: 599}}
  - {name: vip, type: string_attribute, string_attribute: {key: user.id, values: ['^u-vip'], enabled_regex_matching: true}}
  - {name: debug, type: boolean_attribute, boolean_attribute: {key: debug, value: true}}
  - {name: many, type: span_count, span_count: {min_spans: 100}}
  - {name: base, type: probabilistic, probabilistic: {sampling_percentage: 1}}
  - {name: both, type: and, and: {and_sub_policy: [{name: a, type: string_attribute, string_attribute: {key: service.name, values: [pay]}}, {name: b, type: latency, latency: {threshold_ms: 1000}}]}}
  - {name: rate, type: and, and: {and_sub_policy: [{name: a, type: string_attribute, string_attribute: {key: http.route, values: [/rare]}}, {name: b, type: rate_limiting, rate_limiting: {spans_per_second: 10}}]}}
  - {name: health, type: drop, drop: {drop_sub_policy: [{name: a, type: string_attribute, string_attribute: {key: http.route, values: [/healthz]}}]}}
";

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Any::StringValue(value.into()))
}

fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Span `number` of all; traces are spread over neighbouring requests.
fn span(number: u64) -> Span {
    let (trace, random) = (number / 12, mixed(number));
    Span {
        trace_id: [mixed(trace).to_le_bytes(), mixed(trace + (1 << 40)).to_le_bytes()].concat(),
        span_id: random.to_le_bytes().to_vec(),
        parent_span_id: if number.is_multiple_of(12) { Vec::new() } else { vec![7; 8] },
        flags: 0x101,
        name: "GET /api/v2/customers/{id}/orders".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_793_491_200_000_000_000 + number,
        end_time_unix_nano: 1_793_491_200_080_000_000 + number,
        attributes: vec![
            text("http.request.method", "GET"),
            pair("http.response.status_code", Any::IntValue(200)),
            text("http.route", "/api/v2/customers/{id}/orders"),
            text("url.path", format!("/api/v2/customers/{}/orders", random % 100_000)),
            text("url.scheme", "https"),
            text("server.address", "orders.internal.example.org"),
            pair("server.port", Any::IntValue(8443)),
            text("client.address", format!("10.0.{}.{}", random >> 8 & 255, random & 255)),
            text("user_agent.original", "okhttp/4.12.0"),
            text("network.protocol.version", "2"),
            text("user.id", format!("u-{}", random % 1_000_000)),
            text("thread.name", "http-nio-8443-exec-17"),
            pair("thread.id", Any::IntValue(i64::from(random as u8))),
            text("deployment.ring", "blue"),
        ],
        status: (trace.is_multiple_of(100)).then(|| Status { code: 2, ..Status::default() }),
        ..Span::default()
    }
}

fn request(number: u64) -> Batch {
    let spans = (number * SPANS..(number + 1) * SPANS).map(span).collect();
    let resource = (0..14).map(|n| text(&format!("resource.attribute.{n}"), format!("value-{n}-{}", number % 10)));
    let group = ResourceSpans {
        resource: Some(Resource { attributes: resource.collect(), ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let body = ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec();
    let payload = Payload::from_segments(Signal::Traces, [Segment::trusted(body.into(), SPANS as u32)]);
    Batch::new(payload, Arc::new(Context::default()))
}

struct Nowhere;

impl Consumer for Nowhere {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        batch.settle(Outcome::Delivered);
        Box::pin(std::future::ready(Ok(Accepted::all())))
    }
}

fn sampler(extra: &str) -> Sampler {
    let (config, _) = config::decode_str::<TailSamplingConfig>(&format!("{POLICIES}\n{extra}")).unwrap();
    let settings = Settings {
        id: ComponentId::new("tail_sampling"),
        telemetry: Telemetry::detached(),
        account: ByteAccount::unlimited(),
        shared: Shared::default(),
    };
    let edge = Edge::new("bench", Arc::new(Nowhere), Arc::clone(&settings.account));
    let outbox = Outbox::new(edge, OutboxSettings::default());
    Sampler::new(&settings, &config, Plan::compile(&config).unwrap(), outbox)
}

fn requests(count: u64) -> Vec<Batch> {
    (0..count).map(request).collect()
}

fn offer(sampler: &Sampler, requests: Vec<Batch>) {
    for batch in requests {
        sampler.offer(batch).unwrap();
    }
}

#[divan::bench]
fn ingest(bencher: Bencher<'_, '_>) {
    let inputs = || (sampler(""), requests(REQUESTS));
    bencher.counter(ItemsCount::new(SPANS * REQUESTS)).with_inputs(inputs).bench_values(|(sampler, requests)| {
        offer(&sampler, requests);
        sampler
    });
}

#[divan::bench(args = ["", "adjusted_counts: true\nreason_attribute: reason"])]
fn decide_and_emit(bencher: Bencher<'_, '_>, extra: &str) {
    let inputs = || {
        let sampler = sampler(extra);
        offer(&sampler, requests(REQUESTS));
        sampler
    };
    bencher.counter(ItemsCount::new(SPANS * REQUESTS)).with_inputs(inputs).bench_values(|sampler| {
        while black_box(sampler.decide_oldest(usize::MAX, TURN, Cause::Shutdown)) {}
        sampler
    });
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Bytes of a waiting span.
fn occupied() {
    const MANY: u64 = 1000;
    let sampler = sampler("");
    // What making requests leaves behind in the allocator does not count.
    drop(requests(8));
    let before = resident();
    let mut wire = 0;
    for number in 0..MANY {
        let batch = request(number);
        wire += batch.encoded_len();
        sampler.offer(batch).unwrap();
    }
    let spans = (MANY * SPANS) as usize;
    let (held, resident) = (sampler.held_bytes() / spans, (resident() - before) / spans);
    println!("a waiting span: {} bytes on the wire, {held} counted, {resident} resident", wire / spans);
}

/// A processor with a budget of 256 MiB that is offered ten times as much within its wait: how long requests take, what is
/// resident, what becomes of errors.
fn pressure() {
    const BUDGET: u64 = 256 << 20;
    let (config, _) = config::decode_str::<TailSamplingConfig>(
        &format!("{POLICIES}\nmemory_budget: {BUDGET}\ndecision_wait: 60s").replacen("decision_wait: 5s\n", "", 1),
    )
    .unwrap();
    let account = ByteAccount::unlimited();
    let registry = Registry::new(Level::Detailed);
    let (host, _fatal) = Host::new(Arc::clone(&account), Ledger::new(), Arc::clone(&registry));
    let settings = Settings {
        id: ComponentId::new("tail_sampling"),
        telemetry: Telemetry::new(registry, Vec::new()),
        account: Arc::clone(&account),
        shared: Shared::default(),
    };
    let arrived = Arc::new(Counted::default());
    let edge = Edge::new("bench", Arc::<Counted>::clone(&arrived), account);
    let processor = TailSampling::new(&settings, &config, edge).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut times, mut largest, mut number) = (Vec::new(), 0, 0);
    let before = resident();
    runtime.block_on(async {
        processor.start(&host).await.unwrap();
        let requests = 10 * BUDGET / (SPANS * 564);
        while number < requests {
            let batch = request(number);
            number += 1;
            let began = Instant::now();
            processor.consume(batch).await.unwrap();
            times.push(began.elapsed());
            if number.is_multiple_of(50) {
                largest = largest.max(resident() - before);
            }
        }
        processor.shutdown(Deadline::after(Duration::from_secs(10))).await.unwrap();
    });
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let total: Duration = times.iter().sum();
    println!(
        "under pressure, requests of {SPANS} spans: p50 {:?}, p99 {:?}, longest {:?}, {:.0} ns per span; {} MiB resident at most; errors kept: {} of {}",
        at(0.5),
        at(0.99),
        at(1.0 - f64::EPSILON),
        total.as_nanos() as f64 / (number * SPANS) as f64,
        largest >> 20,
        arrived.errors.load(Ordering::Relaxed),
        (0..number * SPANS).filter(|span| (span / 12).is_multiple_of(100)).count(),
    );
}

/// Counts errors.
#[derive(Default)]
struct Counted {
    errors: AtomicUsize,
}

impl Consumer for Counted {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        batch.payload().for_each_item(|item| {
            if let ItemView::Span(span) = item.view
                && span.status().code() == 2
            {
                self.errors.fetch_add(1, Ordering::Relaxed);
            }
        });
        batch.settle(Outcome::Delivered);
        Box::pin(std::future::ready(Ok(Accepted::all())))
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--pressure") {
        return pressure();
    }
    occupied();
    divan::main();
}
