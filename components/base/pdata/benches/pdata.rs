//! What a request costs on its way through: validation, index, views, splitting, merging, writing. Each benchmark does
//! one request of 512 items like those of instrumented web services (spans of about 570 bytes with 14 attributes, log
//! records of 350, data points of 185; 12 resource attributes), and divan's `items` are spans, records or points.
//!
//! `cargo bench -p pdata --bench pdata`

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use pdata::build::{AttributesWriter, LogFields, MetricFields, NumberFields, PayloadBuilder, SpanFields, Temporality};
use pdata::index::Index;
use pdata::validate::check;
use pdata::view::{ItemView, Number, ValueView};
use pdata::{ByteAccount, Payload, Segment, Signal};

const ITEMS: u32 = 512;
const START: u64 = 1_793_491_200_000_000_000;

fn main() {
    for signal in Signal::ALL {
        let payload = payload(signal);
        let each = payload.encoded_len() as u32 / ITEMS;
        #[expect(clippy::print_stdout, reason = "a benchmark says what it measures")]
        {
            println!("{signal}: {} items, {each} bytes each", payload.items());
        }
    }
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

fn spans() -> Payload {
    let mut builder = PayloadBuilder::traces();
    builder.resource("", resource, |scopes| {
        scopes.scope(
            "io.opentelemetry.jdbc",
            "2.9.0",
            |_| {},
            |spans| {
                for n in 0..u64::from(ITEMS) {
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
                    spans.span(&fields, |span| {
                        span.attributes()
                            .str("http.request.method", "GET")
                            .str("http.route", "/api/v1/orders/{id}")
                            .str("url.path", &format!("/api/v1/orders/{:08}", n * 7919))
                            .str("url.scheme", "https")
                            .str("server.address", "shop.example.com")
                            .i64("server.port", 443)
                            .str("client.address", &format!("10.{}.{}.17", n % 256, n / 2 % 256))
                            .i64("http.response.status_code", if n % 50 == 0 { 500 } else { 200 })
                            .str("network.protocol.version", "1.1")
                            .str("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Chrome/128.0")
                            .str("enduser.id", &format!("user-{}", n * 31 % 9973))
                            .i64("thread.id", 30 + n as i64 % 16)
                            .str("thread.name", "http-nio-8080-exec-7")
                            .bool("app.cache.hit", n % 3 == 0);
                    });
                }
            },
        );
    });
    builder.finish(None)
}

fn logs() -> Payload {
    let mut builder = PayloadBuilder::logs();
    builder.resource("", resource, |scopes| {
        scopes.scope(
            "com.example.checkout.OrderService",
            "",
            |_| {},
            |records| {
                for n in 0..u64::from(ITEMS) {
                    let fields = LogFields {
                        time_unix_nano: START + n * 1_000_003,
                        observed_time_unix_nano: START + n * 1_000_003 + 200,
                        severity_number: 9,
                        severity_text: "INFO",
                        trace_id: id(n / 8),
                        span_id: id(n),
                        flags: 1,
                        ..LogFields::default()
                    };
                    records.record(&fields, |record| {
                        let text =
                            format!("order {} accepted for customer {} in {} ms", n * 7919, n * 31 % 9973, n % 97);
                        record.body(|body| body.str(&text));
                        record
                            .attributes()
                            .str("thread.name", "http-nio-8080-exec-7")
                            .str("code.function.name", "com.example.checkout.OrderService.accept")
                            .i64("code.line.number", 214)
                            .str("order.id", &format!("{:08}", n * 7919))
                            .str("client.address", &format!("10.{}.{}.17", n % 256, n / 2 % 256))
                            .i64("order.items", n as i64 % 12);
                    });
                }
            },
        );
    });
    builder.finish(None)
}

fn points() -> Payload {
    let mut builder = PayloadBuilder::metrics();
    builder.resource("", resource, |scopes| {
        scopes.scope(
            "io.opentelemetry.tomcat",
            "2.9.0",
            |_| {},
            |metrics| {
                for metric in 0..ITEMS / 16 {
                    let name = format!("http.server.request.count.{metric}");
                    let fields = MetricFields { name: &name, description: "Requests served.", unit: "{request}" };
                    metrics.sum(&fields, Temporality::Cumulative, true, |points| {
                        for n in 0..16 {
                            let fields = NumberFields {
                                start_time_unix_nano: START,
                                time_unix_nano: START + 60_000_000_000,
                                value: Some(Number::Int(i64::from(metric * 1000 + n))),
                                flags: 0,
                            };
                            points.point(&fields, |point| {
                                point
                                    .attributes()
                                    .str("http.request.method", "GET")
                                    .str("http.route", "/api/v1/orders/{id}")
                                    .i64("http.response.status_code", 200 + i64::from(n))
                                    .str("url.scheme", "https");
                            });
                        }
                    });
                }
            },
        );
    });
    builder.finish(None)
}

/// Charged, as what receivers make.
fn payload(signal: Signal) -> Payload {
    let payload = match signal {
        Signal::Traces => spans(),
        Signal::Metrics => points(),
        Signal::Logs => logs(),
    };
    let body = payload.to_bytes().to_vec();
    let segment = Segment::charged(body, ITEMS, Some(&ByteAccount::unlimited()));
    Payload::from_segments(signal, [segment])
}

const SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

fn signal(name: &str) -> Signal {
    Signal::parse(name).unwrap_or(Signal::Traces)
}

/// The walk over a request that arrives.
#[divan::bench(args = SIGNALS)]
fn validate(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bytes = payload.to_bytes();
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| check(signal, black_box(&bytes)));
}

/// The index, on first use.
#[divan::bench(args = SIGNALS)]
fn build_index(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bytes = payload.to_bytes();
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| Index::new(signal, black_box(&bytes), ITEMS));
}

/// Visiting all items, reading nothing.
#[divan::bench(args = SIGNALS)]
fn visit_items(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| {
        let mut bytes = 0;
        payload.for_each_item(|item| bytes += item.view.as_bytes().len());
        bytes
    });
}

/// Three attributes of each item: one of the first, one in the middle, one that is absent.
#[divan::bench(args = SIGNALS)]
fn read_three_attributes(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| {
        let mut found = 0;
        payload.for_each_item(|item| {
            let attributes = item.view.attributes();
            for key in ["http.request.method", "http.response.status_code", "no.such.key"] {
                found += match attributes.get(black_box(key)) {
                    Some(ValueView::Str(text)) => text.len(),
                    Some(_) => 1,
                    None => 0,
                };
            }
        });
        found
    });
}

/// Names, times and IDs of each item, from their messages.
#[divan::bench(args = SIGNALS)]
fn read_fields(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| {
        let mut sum = 0;
        payload.for_each_item(|item| {
            sum += match item.view {
                ItemView::Span(span) => {
                    span.name().len() as u64 + span.start_time_unix_nano() + u64::from(span.trace_id().is_some())
                }
                ItemView::LogRecord(record) => {
                    record.severity_text().len() as u64
                        + record.time_unix_nano()
                        + u64::from(record.trace_id().is_some())
                }
                ItemView::DataPoint(_, point) => {
                    point.start_time_unix_nano() + point.time_unix_nano() + u64::from(point.flags())
                }
            };
        });
        sum
    });
}

/// One request in two, both copied; the index is there.
#[divan::bench(args = SIGNALS)]
fn split_in_half(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.with_inputs(|| payload.clone()).bench_local_values(|mut payload| payload.split_front_items(256));
}

/// Parts of at most 16 KiB; the index is there.
#[divan::bench(args = SIGNALS)]
fn split_by_bytes(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.with_inputs(|| payload.clone()).bench_local_values(|payload| payload.split_max(None, Some(16 << 10)));
}

/// Every other item removed.
#[divan::bench(args = SIGNALS)]
fn retain_half(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.with_inputs(|| payload.clone()).bench_local_values(|mut payload| {
        let mut odd = false;
        payload.retain(|_| {
            odd = !odd;
            odd
        });
        payload
    });
}

/// Divided among ten, neighbours apart; the index is there.
#[divan::bench(args = SIGNALS)]
fn divide_among_ten(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.bench_local(|| {
        let mut number = 0;
        payload.partition(10, |_| {
            number += 7;
            number % 10
        })
    });
}

/// Sixteen requests appended, then cut at 8192 items: no byte moves.
#[divan::bench(args = SIGNALS)]
fn merge_and_split(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.with_inputs(|| payload.clone()).bench_local_values(|mut payload| {
        let one = payload.clone();
        for _ in 0..15 {
            payload.append(one.clone());
        }
        payload.split_max(Some(8192), None)
    });
}

/// Two requests of the same resource and scope brought together.
#[divan::bench(args = SIGNALS)]
fn regroup_two(bencher: Bencher<'_, '_>, name: &str) {
    let signal = signal(name);
    let payload = payload(signal);
    let bencher = bencher.counter(ItemsCount::new(payload.items())).counter(BytesCount::new(payload.encoded_len()));
    bencher.with_inputs(|| payload.clone()).bench_local_values(|mut payload| {
        payload.append(payload.clone());
        payload.regroup();
        payload
    });
}

/// A request written by a builder.
#[divan::bench(args = SIGNALS)]
fn build(bencher: Bencher<'_, '_>, name: &str) {
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| match signal(name) {
        Signal::Traces => spans(),
        Signal::Metrics => points(),
        Signal::Logs => logs(),
    });
}
