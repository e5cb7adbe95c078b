//! Cost of reading everything with all detectors on: 512 log records of about 350 bytes, and 512 spans of about 570 bytes
//! with 14 attributes, in one request. `clean` has nothing to find; in `busy` one item in ten has an e-mail address, and
//! every item a client's address. `served` are the log records of `weir-load`: two addresses in each, three attributes
//! that differ from record to record. `long` are the same with a body of about 1 KB. `items/s` are items; bytes are those of all strings, keys included. Requests take turns,
//! so that what differs from item to item (URLs, users, bodies) is not remembered from the turn before.
//!
//! Run with `cargo bench -p processor-redaction`.

#![expect(clippy::unwrap_used, reason = "bench")]

use bytes::Bytes;
use component::factory::{Create, Shared};
use component::{ComponentId, Edge, Process, Processor, Settings, Telemetry};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use pdata::schema::{self, Kind, Message as Table};
use pdata::wire::Fields;
use pdata::{Batch, ByteAccount, Context, Payload, Segment, Signal};
use prost::Message;
use std::sync::Arc;
use testkit::Sink;

const ITEMS: u32 = 512;

fn main() {
    divan::main();
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Any::StringValue(value.into()))
}

fn mixed(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b9)
}

fn span(number: u32, busy: bool) -> Span {
    let mixed = mixed(number);
    let address = format!("{}.{}.{}.{}", 100 + (mixed >> 25), mixed >> 16 & 255, mixed >> 8 & 255, mixed & 255);
    let user =
        if number.is_multiple_of(10) { format!("u{mixed}@example.org") } else { format!("u-{}", mixed % 1_000_000) };
    Span {
        trace_id: (number / 8).to_le_bytes().repeat(4),
        span_id: u64::from(mixed).to_le_bytes().to_vec(),
        parent_span_id: vec![7; 8],
        flags: 0x101,
        name: "GET /api/v2/customers/{id}/orders".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_793_491_200_000_000_000 + u64::from(number),
        end_time_unix_nano: 1_793_491_200_080_000_000 + u64::from(mixed),
        attributes: vec![
            text("http.request.method", "GET"),
            pair("http.response.status_code", Any::IntValue(200)),
            text("http.route", "/api/v2/customers/{id}/orders"),
            text("url.full", format!("https://shop.example.com/api/v2/customers/{}/orders?page=3", mixed % 10_000_000)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0"),
            text("client.address", if busy { address } else { format!("gw-{}", mixed % 32) }),
            pair("client.port", Any::IntValue(i64::from(1024 + mixed % 60_000))),
            text("server.address", "shop.example.com"),
            text("db.system.name", "postgresql"),
            text("db.query.text", "SELECT id, state FROM orders WHERE id = $1 LIMIT $2"),
            text("enduser.id", if busy { user } else { format!("u-{}", mixed % 1_000_000) }),
            pair("thread.id", Any::IntValue(i64::from(20 + mixed % 200))),
            text("thread.name", format!("http-exec-{}", mixed % 64)),
            text("app.tier", "plus"),
        ],
        ..Span::default()
    }
}

fn record(number: u32, busy: bool) -> LogRecord {
    let mixed = mixed(number);
    let user = if busy && number.is_multiple_of(10) { format!("u{mixed}@example.org") } else { format!("u-{mixed}") };
    let peer = if busy { format!("{}.9.8.{}", 100 + (mixed >> 25), mixed & 255) } else { format!("gw-{}", mixed % 32) };
    let body = format!(
        "2026-11-21 12:34:56.{:03} INFO [http-exec-{}] c.e.shop.OrderController - order {} of user {user} accepted from {peer}: \
         3 positions, total 129.90 EUR, warehouse ham-2, took {} ms",
        mixed % 1000,
        mixed % 64,
        mixed % 10_000_000,
        mixed % 400
    );
    LogRecord {
        time_unix_nano: 1_793_491_200_000_000_000 + u64::from(number),
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Any::StringValue(body)) }),
        trace_id: (number / 8).to_le_bytes().repeat(4),
        span_id: u64::from(mixed).to_le_bytes().to_vec(),
        attributes: vec![
            text("log.logger", "com.example.shop.OrderController"),
            text("thread.name", format!("http-exec-{}", mixed % 64)),
            pair("order.positions", Any::IntValue(3)),
        ],
        ..LogRecord::default()
    }
}

/// As the load generator of `benches/` makes them.
fn served(number: u32, long: bool) -> LogRecord {
    let (mixed, other) = (mixed(number), mixed(number ^ 0x5555_5555));
    let client = format!("{}.{}.{}.{}", 1 + (mixed >> 24) % 223, mixed >> 16 & 255, mixed >> 8 & 255, mixed & 255);
    let mut line = format!(
        "GET /api/v2/orders/{} from {client} answered with 200 in {} ms, {} rows read",
        other % 10_000_000,
        mixed % 400,
        other % 5000
    );
    if long {
        for frame in 0..14 {
            let place = mixed.rotate_left(frame);
            line.push_str(&format!(
                "\n\tat com.example.shop.{}.handle(Handler.java:{})",
                LONG_WORDS[place as usize % LONG_WORDS.len()],
                place % 900
            ));
        }
    }
    LogRecord {
        time_unix_nano: 1_793_491_200_000_000_000 + u64::from(mixed),
        observed_time_unix_nano: 1_793_491_200_000_000_000 + u64::from(other),
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Any::StringValue(line)) }),
        attributes: vec![
            text("log.logger", ["c.e.shop.OrderController", "c.e.shop.PaymentClient"][number as usize % 2]),
            text("thread.name", format!("http-exec-{}", mixed % 64)),
            pair("code.line.number", Any::IntValue(i64::from(20 + mixed % 900))),
            text("client.address", client),
            text("enduser.id", format!("u-{}", other % 1_000_000)),
            text("http.request.id", format!("{mixed:08x}{other:08x}{:08x}{:08x}", !mixed, !other)),
        ],
        flags: 1,
        trace_id: [mixed, other, !mixed, !other].iter().flat_map(|part| part.to_le_bytes()).collect(),
        span_id: u64::from(other).to_le_bytes().to_vec(),
        ..LogRecord::default()
    }
}

const LONG_WORDS: [&str; 5] =
    ["OrderController", "payment.Client", "stock.Repository", "cart.CartService", "web.Filter"];

fn resource() -> Option<Resource> {
    let attributes = vec![
        text("service.name", "shop"),
        text("service.version", "2.14.3"),
        text("host.name", "node-17.eu-central.internal"),
        text("k8s.pod.name", "shop-7d9c6b5f4-x2x7k"),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Items {
    Clean,
    Busy,
    Served,
    Long,
}

/// Different requests: together they have more values than are remembered.
const REQUESTS: u32 = 32;

fn body(signal: Signal, kind: Items, request: u32) -> Bytes {
    let busy = kind == Items::Busy;
    let numbers = request * ITEMS..(request + 1) * ITEMS;
    match signal {
        Signal::Traces => {
            let spans = numbers.map(|number| span(number, busy)).collect();
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
            TracesData { resource_spans }.encode_to_vec().into()
        }
        _ => {
            let log_records = numbers
                .map(|number| match kind {
                    Items::Clean | Items::Busy => record(number, busy),
                    Items::Served | Items::Long => served(number, kind == Items::Long),
                })
                .collect();
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
            LogsData { resource_logs }.encode_to_vec().into()
        }
    }
}

/// Bytes of all strings, keys included.
fn text_bytes(table: &Table, message: &[u8]) -> usize {
    let of = |field: pdata::wire::RawField| {
        let content = message.get(field.value.clone()).unwrap_or_default();
        match table.field(field.number).map(|known| known.kind) {
            Some(Kind::String) => content.len(),
            Some(Kind::Message(inner) | Kind::Item(inner)) => text_bytes(inner, content),
            _ => 0,
        }
    };
    Fields::new(message).map(of).sum()
}

fn processor(yaml: &str, signal: Signal) -> Arc<dyn Process> {
    let factory = processor_redaction::factory();
    let node = config::parse(&config::Source::new("bench.yaml", yaml), &config::Limits::default()).unwrap();
    let mut errors = config::Errors::new();
    let config = factory.decode(&node, "processors::redaction", &mut errors);
    assert!(!errors.has_errors(), "{errors}");
    let account = ByteAccount::unlimited();
    let settings = Settings {
        id: ComponentId::with_name("redaction", "bench"),
        telemetry: Telemetry::detached(),
        account: Arc::clone(&account),
        shared: Shared::default(),
    };
    let next = Edge::new("bench", Sink::accepting(), account);
    let Create::Processor(create) = factory.create() else { unreachable!("redaction is a processor") };
    let Processor::Sync(process) = create(settings, &config, signal, next).unwrap() else {
        unreachable!("redaction is synchronous")
    };
    process
}

#[divan::bench(args = [
    ("logs clean", Signal::Logs, Items::Clean),
    ("logs busy", Signal::Logs, Items::Busy),
    ("logs served", Signal::Logs, Items::Served),
    ("logs served long", Signal::Logs, Items::Long),
    ("spans clean", Signal::Traces, Items::Clean),
    ("spans busy", Signal::Traces, Items::Busy),
])]
fn all_detectors(bencher: Bencher<'_, '_>, (_, signal, kind): (&str, Signal, Items)) {
    run(bencher, "{allow_all_keys: true, detectors: all}", signal, kind);
}

#[divan::bench(args = [("logs", Signal::Logs), ("spans", Signal::Traces)])]
fn two_blocked_values(bencher: Bencher<'_, '_>, (_, signal): (&str, Signal)) {
    let yaml = "{allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '(5[1-5][0-9]{14})']}";
    run(bencher, yaml, signal, Items::Clean);
}

#[divan::bench(args = [("logs", Signal::Logs), ("spans", Signal::Traces)])]
fn nothing(bencher: Bencher<'_, '_>, (_, signal): (&str, Signal)) {
    run(bencher, "{allow_all_keys: true}", signal, Items::Clean);
}

fn run(bencher: Bencher<'_, '_>, yaml: &str, signal: Signal, kind: Items) {
    let process = processor(yaml, signal);
    let bodies: Vec<Bytes> = (0..REQUESTS).map(|request| body(signal, kind, request)).collect();
    let bytes = bodies.iter().map(|body| text_bytes(schema::request(signal), body)).sum::<usize>() / bodies.len();
    let context = Arc::new(Context::default());
    let mut turn = bodies.iter().cycle();
    bencher.counter(ItemsCount::new(ITEMS)).counter(BytesCount::new(bytes)).bench_local(|| {
        let body = turn.next().cloned().unwrap_or_default();
        let payload = Payload::from_segments(signal, [Segment::trusted(body, ITEMS)]);
        black_box(process.process(Batch::new(payload, Arc::clone(&context)))).unwrap()
    });
}
