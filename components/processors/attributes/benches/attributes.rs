//! Cost of the processor on 512 spans as instrumented web services send them (576 bytes, 14 attributes, 12 resource
//! attributes), in one request. `items/s` are spans. Opening and sealing, which neighbours in a row share, are included.
//!
//! Run with `cargo bench -p processor-attributes`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "bench")]

use std::sync::Arc;

use component::factory::Create;
use component::{ComponentId, Kind, Process, Processor};
use config::{Errors, Limits, Source};
use divan::Bencher;
use divan::counter::ItemsCount;
use pdata::build::{AttributesWriter, PayloadBuilder, SpanFields};
use pdata::{Batch, ByteAccount, Context, Payload, Segment, Signal};
use testkit::{Sink, World};

const SPANS: u32 = 512;
const START: u64 = 1_793_491_200_000_000_000;

fn main() {
    divan::main();
}

fn resource(attributes: &mut AttributesWriter<'_>) {
    attributes
        .str("service.name", "checkout")
        .str("service.namespace", "shop")
        .str("service.version", "2.14.3")
        .str("service.instance.id", "0b1c9a52-7f7e-4bd8-9a4f-2f9f3b7c1d10")
        .str("telemetry.sdk.name", "opentelemetry")
        .str("telemetry.sdk.language", "java")
        .str("telemetry.sdk.version", "1.44.1")
        .str("host.name", "ip-10-3-17-201.eu-central-1.compute.internal")
        .str("k8s.pod.name", "checkout-6b7d9f4c5-x2x9p")
        .str("k8s.namespace.name", "production")
        .str("deployment.environment.name", "production")
        .i64("process.pid", 4171);
}

fn id<const N: usize>(n: u64) -> [u8; N] {
    std::array::from_fn(|at| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 8 * 8)) as u8 | 1)
}

fn span(span: &mut AttributesWriter<'_>, n: u64) {
    span.str("http.request.method", "GET")
        .str("http.route", "/api/v1/orders/{id}")
        .str("url.path", &format!("/api/v1/orders/{:08}", n * 7919))
        .str("url.scheme", "https")
        .str("server.address", "shop.example.com")
        .i64("server.port", 443)
        .str("client.address", &format!("10.{}.{}.17", n % 256, n / 2 % 256))
        .i64("http.response.status_code", if n.is_multiple_of(50) { 500 } else { 200 })
        .str("network.protocol.version", "1.1")
        .str("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Chrome/128.0")
        .str("enduser.id", &format!("user-{}", n * 31 % 9973))
        .i64("thread.id", 30 + n.cast_signed() % 16)
        .str("thread.name", "http-nio-8080-exec-7")
        .bool("app.cache.hit", n.is_multiple_of(3));
}

/// Charged, as what receivers make.
fn payload() -> Payload {
    let mut builder = PayloadBuilder::traces();
    builder.resource("", resource, |scopes| {
        scopes.scope(
            "io.opentelemetry.jdbc",
            "2.9.0",
            |_| {},
            |spans| {
                for n in 0..u64::from(SPANS) {
                    let fields = SpanFields {
                        trace_id: id(n / 8),
                        span_id: id(n),
                        parent_span_id: id(n + 1),
                        name: "GET /api/v1/orders/{id}",
                        kind: 2,
                        start_time_unix_nano: START + n * 1_000_003,
                        end_time_unix_nano: START + n * 1_000_003 + 25_000_000,
                        flags: 0x101,
                        ..SpanFields::default()
                    };
                    spans.span(&fields, |writer| span(&mut writer.attributes(), n));
                }
            },
        );
    });
    let body = builder.finish(None).to_bytes().to_vec();
    Payload::from_segments(Signal::Traces, [Segment::charged(body, SPANS, Some(&ByteAccount::unlimited()))])
}

fn processor(yaml: &str) -> Arc<dyn Process> {
    let world = World::new();
    let factory = processor_attributes::factory();
    let node = config::parse(&Source::new("bench.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "processors::attributes", &mut errors);
    assert!(!errors.has_errors(), "{errors}");
    let settings = world.settings(Kind::Processor, &ComponentId::new("attributes"));
    let Create::Processor(create) = factory.create() else { panic!() };
    match create(settings, &config, Signal::Traces, world.edge(Sink::accepting())).unwrap() {
        Processor::Sync(process) => process,
        Processor::Stateful(_) => panic!(),
    }
}

fn measure(bencher: Bencher<'_, '_>, yaml: &str) {
    let (payload, processor, context) = (payload(), processor(yaml), Arc::new(Context::default()));
    bencher
        .counter(ItemsCount::new(SPANS))
        .with_inputs(|| Batch::new(payload.clone(), Arc::clone(&context)))
        .bench_local_values(|batch| processor.process(batch).unwrap());
}

/// What a receiver does with the same spans, as a measure of the machine.
#[divan::bench]
fn validate(bencher: Bencher<'_, '_>) {
    let bytes = payload().to_bytes();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| pdata::validate::check(Signal::Traces, &bytes).unwrap());
}

/// The scenario of the comparison with the Collector.
#[divan::bench]
fn hash_two_delete_one(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        "actions: [{key: enduser.id, action: hash}, {key: client.address, action: hash}, {key: url.path, action: delete}]",
    );
}

#[divan::bench]
fn delete_one(bencher: Bencher<'_, '_>) {
    measure(bencher, "actions: [{key: url.path, action: delete}]");
}

#[divan::bench]
fn upsert_one(bencher: Bencher<'_, '_>) {
    measure(bencher, "actions: [{key: deployment.environment, action: upsert, value: production}]");
}

#[divan::bench]
fn delete_by_pattern(bencher: Bencher<'_, '_>) {
    measure(bencher, "actions: [{pattern: '^enduser\\.', action: delete}]");
}

#[divan::bench]
fn extract_two(bencher: Bencher<'_, '_>) {
    measure(bencher, "actions: [{key: url.path, action: extract, pattern: '^/(?P<area>\\w+)/(?P<version>v\\d)/'}]");
}

#[divan::bench]
fn excluded_by_its_service(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        "{exclude: {match_type: strict, services: [checkout]}, actions: [{key: url.path, action: delete}]}",
    );
}

#[divan::bench]
fn one_in_fifty_by_attribute(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        "{include: {match_type: strict, attributes: [{key: http.response.status_code, value: 500}]}, \
         actions: [{key: url.path, action: delete}]}",
    );
}

#[divan::bench]
fn none_by_the_pattern_of_a_name(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        "{include: {match_type: regexp, span_names: ['^POST /api/v\\d+/']}, actions: [{key: url.path, action: delete}]}",
    );
}
