//! Cost of statements on 512 spans of about 570 bytes with 14 attributes each, in one request. Opening and sealing are
//! included; `items/s` are spans, and `ns/span` is the time divided by 512. The floor is `visit`, which opens each span
//! and does nothing.
//!
//! Run with `cargo bench -p ottl`.

#![expect(clippy::unwrap_used, reason = "bench")]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ottl::{Condition, Context, Mode, Parser, RunError, Statement, visit};
use pdata::build::{PayloadBuilder, SpanFields};
use pdata::{Editor, Payload};

const SPANS: u32 = 512;

fn main() {
    divan::main();
}

fn payload() -> Payload {
    let mut builder = PayloadBuilder::traces();
    builder.resource(
        "",
        |attributes| {
            for number in 0..12 {
                attributes.str(&format!("k8s.resource.{number}"), "some-value-of-it");
            }
        },
        |scopes| {
            scopes.scope(
                "bench",
                "",
                |_| {},
                |spans| {
                    for number in 0..SPANS {
                        let mixed = number.wrapping_mul(0x9e37_79b9);
                        let mut trace_id = [0; 16];
                        trace_id[..4].copy_from_slice(&(number / 8 + 1).to_le_bytes());
                        let fields = SpanFields {
                            trace_id,
                            span_id: u64::from(mixed | 1).to_le_bytes(),
                            parent_span_id: [7; 8],
                            flags: 0x101,
                            name: "GET /api/v2/customers/{id}/orders",
                            kind: 2,
                            start_time_unix_nano: 1_793_491_200_000_000_000 + u64::from(number),
                            end_time_unix_nano: 1_793_491_200_080_000_000 + u64::from(mixed),
                            ..SpanFields::default()
                        };
                        spans.span(&fields, |span| {
                            let id = mixed % 10_000_000;
                            span.attributes()
                                .str("http.request.method", "GET")
                                .i64("http.response.status_code", 200)
                                .str("http.route", "/api/v2/customers/{id}/orders")
                                .str(
                                    "url.full",
                                    &format!("https://shop.example.com/api/v2/customers/{id}/orders?page=3"),
                                )
                                .str("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0")
                                .str(
                                    "client.address",
                                    &format!("10.{}.{}.{}", mixed >> 24, mixed >> 16 & 255, mixed & 255),
                                )
                                .i64("client.port", i64::from(1024 + mixed % 60_000))
                                .str("server.address", "shop.example.com")
                                .str("db.system.name", "postgresql")
                                .str("db.query.text", &format!("SELECT id, state FROM orders WHERE id = {id} LIMIT 50"))
                                .str("enduser.id", &format!("u-{}", mixed % 1_000_000))
                                .i64("thread.id", i64::from(20 + mixed % 200))
                                .str("thread.name", &format!("http-exec-{}", mixed % 64))
                                .str("app.tier", "plus");
                        });
                    }
                },
            );
        },
    );
    builder.finish(None)
}

const MODE: Mode = Mode::Prefixed(Context::Span);

fn conditions(texts: &[&str]) -> Vec<Condition> {
    let parser = Parser::new(&[]);
    texts.iter().map(|text| parser.condition(text, MODE).unwrap()).collect()
}

fn statements(texts: &[&str]) -> Vec<Statement> {
    let parser = Parser::new(&[]);
    texts.iter().map(|text| parser.statement(text, MODE).unwrap()).collect()
}

/// What a filter for health checks asks.
const FILTER: &[&str] = &[r#"span.attributes["http.route"] == "/healthz""#];

/// A transformation as configurations have it: a constant, a copy, a removal, and one of a resource's attributes.
const TRANSFORM: &[&str] = &[
    r#"set(span.attributes["deployment.environment.name"], "production")"#,
    r#"set(span.name, span.attributes["http.route"]) where span.attributes["http.route"] != nil"#,
    r#"delete_key(span.attributes, "user_agent.original")"#,
    r#"set(span.status.code, 1) where span.attributes["http.response.status_code"] == 200"#,
];

fn run(bencher: Bencher<'_, '_>, conditions: &[Condition], statements: &[Statement]) {
    let payload = payload();
    let request = pdata::Context::default();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        let mut editor = Editor::new(payload.clone()).unwrap();
        let mut held = 0_u32;
        if !conditions.is_empty() {
            let visited: Result<(), RunError> = visit(&mut editor, &request, Context::Span, |on| {
                for condition in conditions {
                    held += u32::from(condition.holds(on)?);
                }
                Ok(())
            });
            visited.unwrap();
        }
        if !statements.is_empty() {
            let visited: Result<(), RunError> = visit(&mut editor, &request, Context::Span, |on| {
                for statement in statements {
                    held += u32::from(statement.run(on)?);
                }
                Ok(())
            });
            visited.unwrap();
        }
        (black_box(held), editor.seal())
    });
}

#[divan::bench]
fn visit_and_open(bencher: Bencher<'_, '_>) {
    let payload = payload();
    let request = pdata::Context::default();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        let mut editor = Editor::new(payload.clone()).unwrap();
        let visited: Result<(), RunError> = visit(&mut editor, &request, Context::Span, |on| on.item().map(drop));
        visited.unwrap();
        editor.seal()
    });
}

#[divan::bench]
fn one_condition(bencher: Bencher<'_, '_>) {
    run(bencher, &conditions(FILTER), &[]);
}

#[divan::bench]
fn one_condition_of_the_resource(bencher: Bencher<'_, '_>) {
    run(bencher, &conditions(&[r#"resource.attributes["k8s.resource.7"] == "other""#]), &[]);
}

#[divan::bench]
fn one_pattern(bencher: Bencher<'_, '_>) {
    run(bencher, &conditions(&[r#"IsMatch(span.attributes["url.full"], "/internal/")"#]), &[]);
}

#[divan::bench]
fn three_conditions(bencher: Bencher<'_, '_>) {
    let texts = [
        r#"span.attributes["http.route"] == "/healthz""#,
        r#"span.attributes["app.tier"] == "free" and span.kind == SPAN_KIND_CLIENT"#,
        r#"span.attributes["none"] != nil or span.end_time_unix_nano - span.start_time_unix_nano < 10"#,
    ];
    run(bencher, &conditions(&texts), &[]);
}

#[divan::bench]
fn four_statements(bencher: Bencher<'_, '_>) {
    run(bencher, &[], &statements(TRANSFORM));
}

#[divan::bench(args = [0, 1, 2, 3])]
fn statement(bencher: Bencher<'_, '_>, number: usize) {
    run(bencher, &[], &statements(&TRANSFORM[number..=number]));
}

#[divan::bench]
fn one_condition_and_four_statements(bencher: Bencher<'_, '_>) {
    run(bencher, &conditions(FILTER), &statements(TRANSFORM));
}
