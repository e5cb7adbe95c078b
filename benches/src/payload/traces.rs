//! Spans of a web service: server spans and the database calls below them, in traces of about eight.

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message;

use super::{EPOCH_NANOS, METHODS, ROUTES, Random, divide, int, resource, scopes, text};

const SPANS_PER_TRACE: u64 = 8;
const AGENTS: [&str; 3] = ["okhttp/4.12.0", "Go-http-client/2.0", "curl/8.15.0"];
const TABLES: [&str; 4] = ["orders", "order_items", "customers", "stock_levels"];

pub(super) fn encode(random: &mut Random, items: usize) -> Vec<u8> {
    let resource = resource(random);
    let mut trace_id = random.bytes(16);
    let mut parent_span_id = Vec::new();
    let mut scope_spans = Vec::new();
    for (scope, count) in scopes().into_iter().zip(divide(items)) {
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            if random.below(SPANS_PER_TRACE) == 0 {
                trace_id = random.bytes(16);
                parent_span_id = random.bytes(8);
            }
            spans.push(span(random, &trace_id, &parent_span_id));
        }
        scope_spans.push(ScopeSpans { scope: Some(scope), spans, schema_url: String::new() });
    }
    TracesData { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

pub(super) fn span(random: &mut Random, trace_id: &[u8], parent_span_id: &[u8]) -> Span {
    let method = random.pick(&METHODS);
    let route = random.pick(&ROUTES);
    let start = EPOCH_NANOS + random.below(3_600_000_000_000);
    let failed = random.below(50) == 0;
    let url = route.replace("{id}", &random.below(10_000_000).to_string());
    let table = random.pick(&TABLES);
    Span {
        trace_id: trace_id.to_vec(),
        span_id: random.bytes(8),
        parent_span_id: parent_span_id.to_vec(),
        flags: 0x101,
        name: format!("{method} {route}"),
        kind: if random.below(2) == 0 { 2 } else { 3 },
        start_time_unix_nano: start,
        end_time_unix_nano: start + 200_000 + random.below(80_000_000),
        attributes: vec![
            text("http.request.method", method),
            int("http.response.status_code", if failed { 503 } else { 200 }),
            text("http.route", route),
            text("url.full", format!("https://example.com{url}?p={}", random.below(40))),
            text("user_agent.original", random.pick(&AGENTS)),
            text("client.address", random.ipv4()),
            int("client.port", 1024 + random.below(60_000) as i64),
            text("server.address", "example.com"),
            text("db.system.name", "postgresql"),
            text("db.query.text", format!("SELECT total FROM {table} WHERE id = {}", random.below(10_000_000))),
            text("user.id", format!("u-{}", random.below(1_000_000))),
            int("thread.id", 20 + random.below(200) as i64),
            text("thread.name", format!("exec-{}", random.below(64))),
            text("tier", random.pick(&["free", "plus", "pro"])),
        ],
        status: failed.then(|| Status { message: "upstream is overloaded".to_owned(), code: 2 }),
        ..Default::default()
    }
}
