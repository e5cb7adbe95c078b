//! Cost of the comparison's processors on the comparison's telemetry, without sockets: each sample takes one request of
//! 512 items through a row of processors, opening and encoding included. `items/s` are items. What forwarding costs beside
//! is not in here.
//!
//! Run with `cargo bench -p weir-bench`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "bench")]

use std::sync::Arc;

use component::factory::{Create, Shared};
use component::{
    Accepted, ComponentId, ConsumeFuture, Consumer, Edge, Factory, Level, Process, Processor, Registry, Row, Settings,
    Telemetry,
};
use config::{Errors, Limits, Source};
use divan::Bencher;
use divan::counter::ItemsCount;
use pdata::{Batch, ByteAccount, Context, Outcome, Payload, Signal, Utf8Policy};
use weir_bench::payload::encode;
use weir_bench::wire;
use weir_bench::work::{Work, processors};

const ITEMS: u32 = 512;
/// As many as the load generator sends in turn.
const REQUESTS: u64 = 64;

fn main() {
    divan::main();
}

/// The end of the row.
struct Drain;

impl Consumer for Drain {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        batch.settle(Outcome::Delivered);
        Box::pin(async { Ok(Accepted::all()) })
    }
}

fn factory(kind: &str) -> Factory {
    match kind {
        "attributes" => processor_attributes::factory(),
        "filter" => processor_filter::factory(),
        "probabilistic_sampler" => processor_probabilistic_sampler::factory(),
        "transform" => processor_transform::factory(),
        other => panic!("no processor `{other}` here"),
    }
}

fn row(work: Work, signal: wire::Signal) -> Row {
    let (account, registry) = (ByteAccount::unlimited(), Registry::new(Level::Detailed));
    let edge = || Edge::new("end", Arc::new(Drain), Arc::clone(&account));
    let (yaml, chain) = processors(work, signal, true);
    let document = config::parse(&Source::new("bench.yaml", yaml), &Limits::default()).unwrap();
    let processors = chain.split(", ").map(|name| -> Arc<dyn Process> {
        let factory = factory(name);
        let mut errors = Errors::new();
        let node = document.get("processors").and_then(|all| all.get(name)).unwrap();
        let config = factory.decode(node, &format!("processors::{name}"), &mut errors);
        assert!(!errors.has_errors(), "{errors}");
        let settings = Settings {
            id: ComponentId::new(name),
            telemetry: Telemetry::new(Arc::clone(&registry), Vec::new()),
            account: Arc::clone(&account),
            shared: Shared::default(),
        };
        let Create::Processor(create) = factory.create() else { panic!("`{name}` is a processor") };
        match create(settings, &config, signal_of(signal), edge()).unwrap() {
            Processor::Sync(process) => process,
            Processor::Stateful(_) => panic!("`{name}` is stateless"),
        }
    });
    Row::new(processors.collect(), edge())
}

fn signal_of(signal: wire::Signal) -> Signal {
    match signal {
        wire::Signal::Traces => Signal::Traces,
        wire::Signal::Metrics => Signal::Metrics,
        wire::Signal::Logs => Signal::Logs,
    }
}

fn measure(bencher: Bencher<'_, '_>, work: Work, signal: wire::Signal) {
    let account = ByteAccount::unlimited();
    let bodies: Vec<Vec<u8>> = (1..=REQUESTS).map(|seed| encode(signal, seed, ITEMS as usize)).collect();
    let (row, context) = (row(work, signal), Arc::new(Context::default()));
    let mut next = bodies.iter().cycle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher
        .counter(ItemsCount::new(ITEMS))
        .with_inputs(|| {
            // As from a receiver: in a buffer of its own, and just validated.
            let body = next.next().unwrap().clone();
            let validated = Payload::from_body(signal_of(signal), body, account.charge(0), Utf8Policy::Refuse);
            Batch::new(validated.unwrap().0, Arc::clone(&context))
        })
        .bench_local_values(|batch| runtime.block_on(row.consume(batch)).unwrap());
}

#[divan::bench]
fn attributes_spans(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::Attributes, wire::Signal::Traces);
}

#[divan::bench]
fn attributes_logs(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::Attributes, wire::Signal::Logs);
}

#[divan::bench]
fn filter_and_transform_spans(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::Transform, wire::Signal::Traces);
}

#[divan::bench]
fn filter_and_transform_logs(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::Transform, wire::Signal::Logs);
}

#[divan::bench]
fn probabilistic_sampler_spans(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::HeadSampling, wire::Signal::Traces);
}

#[divan::bench]
fn probabilistic_sampler_logs(bencher: Bencher<'_, '_>) {
    measure(bencher, Work::HeadSampling, wire::Signal::Logs);
}
