//! Examples that change, drop or route telemetry: what must be gone is gone from the bytes that arrive, what must stay is
//! there, and the books say where the rest went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use component::Deadline;
use http::Request as HttpRequest;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::Signal;
use pdata::ledger::{AccountKey, Totals};
use testkit::otlp_arbitrary::Request;
use tokio::net::TcpStream;

use super::backend::{Arrived, Backend, Protocol};
use super::otlp::{count, gauge, joined, logs, record, records_of, span, spans_of, traces};
use super::{Running, ask, run};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const DEBUG: i32 = 5;
const INFO: i32 = 9;
const WARN: i32 = 13;
const ERROR: i32 = 17;

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

/// Posts a request, which must be taken; returns the answer's body.
pub async fn give(to: &Running, headers: &[(&str, &str)], request: &Request) -> bytes::Bytes {
    let (status, answer) = ask(to.otlp, path(request.signal()), headers, request.encode()).await;
    assert_eq!(status, 200);
    answer
}

/// Ends it, and returns its books, in which nothing is missing.
pub async fn books(running: Running) -> Books {
    let report = running.service.shutdown(Deadline::after(Duration::from_secs(20))).await;
    assert!(report.stopped.problems.is_empty(), "{:?}", report.stopped.problems);
    assert!(report.balances(), "{:?}", report.accounts);
    Books(report.accounts)
}

pub struct Books(Vec<(AccountKey, Totals)>);

impl Books {
    /// Received, delivered, and lost by reason, in the books of one pipeline and tenant.
    pub fn of(&self, pipeline: &str, tenant: &str) -> (u64, u64, Vec<(&'static str, u64)>) {
        let is_it = |key: &AccountKey| (&*key.pipeline, &*key.tenant) == (pipeline, tenant);
        let Some((_, totals)) = self.0.iter().find(|(key, _)| is_it(key)) else {
            panic!("no books of `{pipeline}` for `{tenant}`: {:?}", self.0);
        };
        let rejected = (totals.rejected > 0).then_some(("rejected", totals.rejected));
        let dropped = totals.dropped.iter().map(|(reason, items)| (*reason, *items));
        (totals.received, totals.delivered, rejected.into_iter().chain(dropped).collect())
    }
}

/// For each detector a text, and what of it must not leave.
const PLANTS: [(&str, &str, &str); 17] = [
    ("payment_card", "paid with 4111 1111 1111 1111.", "4111 1111"),
    ("us_ssn", "her ssn: 536-22-8726", "536-22-8726"),
    ("us_itin", "her itin: 912-70-1234", "912-70-1234"),
    ("iban", "account DE89370400440532013000 at", "370400440532"),
    ("email", "write to jane.plant@example.org today", "jane.plant"),
    ("ipv4", "from 203.0.113.77 port", "203.0.113.77"),
    ("ipv6", "via 2001:db8:85a3::8a2e:370:7334 now", "8a2e:370"),
    ("phone", "call +14155552671 or", "4155552671"),
    (
        "jwt",
        "jwt eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    ),
    ("cloud_key", "key AKIAQYLPMN5HIT6TRW3X used", "AKIAQYLPMN5HIT6TRW3X"),
    ("api_token", "pushed with glpat-aBcDeFgHiJ0123456789", "aBcDeFgHiJ0123456789"),
    ("private_key", PRIVATE_KEY, "c2VjcmV0IG9mIHRoZSBwbGFudA"),
    ("credentials", "Authorization: Bearer mF_9.B5f-4.1JqM", "mF_9.B5f"),
    ("url_userinfo", "https://jane:hunter2hunter@db.internal/x", "hunter2hunter"),
    ("url_query", "GET https://x.org/a?page=2&access_token=Zm9vYmFyYmF6cXV4&z=1", "Zm9vYmFyYmF6cXV4"),
    ("secret_assignment", "password=tr0ub4dor3", "tr0ub4dor3"),
    ("sql_literal", "SELECT * FROM people WHERE name = 'Plantova'", "Plantova"),
];
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IG9mIHRoZSBwbGFudA==\n-----END PRIVATE KEY-----\n";

/// Everywhere a text can stand in a span, or nearly.
fn planted_span(text: &str) -> Span {
    Span {
        events: vec![opentelemetry_proto::tonic::trace::v1::span::Event {
            name: text.to_owned(),
            attributes: super::otlp::attributes(&[("exception.message", text)]),
            ..Default::default()
        }],
        status: Some(Status { message: text.to_owned(), code: 2 }),
        ..span(text, SERVER, &[("note", text)])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pii_gateway_lets_no_personal_data_through() {
    let backend = Backend::start(Protocol::Grpc).await;
    let gateway = run("pii-gateway.yaml", &[("BACKEND_ENDPOINT", backend.address.to_string())]).await;
    let service = [("service.name", "shop")];
    let spans = PLANTS.iter().map(|(_, text, _)| planted_span(text));
    let cookie = [("http.request.header.cookie", "chocolate-cookie"), ("page", "3")];
    let plain = span("charge order 66", SERVER, &cookie);
    give(&gateway, &[], &traces(&service, spans.chain([plain]).collect())).await;
    let points: Vec<[(&str, &str); 1]> = PLANTS.iter().map(|(_, text, _)| [("note", *text)]).collect();
    let points: Vec<&[(&str, &str)]> = points.iter().map(|point| point.as_slice()).collect();
    give(&gateway, &[], &gauge(&service, &points)).await;
    let records = PLANTS.iter().map(|(_, text, _)| record(INFO, text, &[("note", text)]));
    let plain = record(INFO, "order 66 shipped from 203.0.113.77", &[]);
    let answer = give(&gateway, &[], &logs(&service, records.chain([plain]).collect())).await;
    // OTLP's partial success: the count, 1, and the reason.
    assert_eq!(answer.get(2..4), Some([0x08, 1].as_slice()), "{answer:?}");
    assert!(String::from_utf8_lossy(&answer).contains("forbidden: private_key"), "{answer:?}");

    // One span and one record are refused for their private key; in the data point it is masked.
    let sent = PLANTS.len() as u64;
    let arrived = backend.wait_for(3 * sent).await;
    for (detector, _, secret) in PLANTS {
        assert_eq!(count(&arrived, secret), 0, "{detector}");
    }
    assert_eq!(count(&arrived, "chocolate"), 0, "blocked by its key");
    for (text, times) in [
        ("write to <REDACTED_EMAIL> today", 5 + 1 + 2),
        ("from 203.0.113.0 port", 5 + 1 + 2),
        ("SELECT * FROM people WHERE name = ?", 5 + 1 + 2),
        ("<REDACTED_PRIVATE_KEY>", 1),
        ("charge order 66", 1),
        ("order 66 shipped from 203.0.113.0", 1),
        ("redaction.masked.count", 0),
    ] {
        let found = count(&arrived, text);
        assert!(if times == 0 { found > 0 } else { found == times }, "`{text}` stands there {found} times");
    }

    let page = gateway.service.telemetry().page_addrs()[0];
    let inventory = get(page, "/redaction/inventory").await;
    let found: BTreeSet<&str> = inventory
        .split(r#""detector":""#)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|name| *name != "blocked_key_patterns")
        .collect();
    assert_eq!(found, PLANTS.iter().map(|(detector, _, _)| *detector).collect());
    assert!(PLANTS.iter().all(|(_, _, secret)| !inventory.contains(secret)), "{inventory}");

    let books = books(gateway).await;
    for pipeline in ["traces", "logs"] {
        assert_eq!(books.of(pipeline, ""), (sent + 1, sent, vec![("rejected", 1)]), "{pipeline}");
    }
    assert_eq!(books.of("metrics", ""), (sent, sent, vec![]));
}

async fn get(from: std::net::SocketAddr, path: &str) -> String {
    let stream = TcpStream::connect(from).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = HttpRequest::get(path).header("host", from.to_string()).body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_scrubbing_takes_values_out_of_sql_and_urls() {
    let gateway = Backend::start(Protocol::Grpc).await;
    let agent = run("agent-scrubbing.yaml", &[("GATEWAY_ENDPOINT", gateway.address.to_string())]).await;
    let query = "SELECT * FROM users WHERE mail = 'plant@example.org' AND id = 4711007";
    let url = "https://jane:plantpass@shop.example.com/cart?token=planttoken&page=2";
    let spans = vec![
        span("SELECT users", CLIENT, &[("db.system.name", "postgresql"), ("db.query.text", query)]),
        span(query, CLIENT, &[("db.system", "mysql"), ("db.statement", query)]),
        span(
            "GET /users/4711007/orders",
            SERVER,
            &[
                ("url.path", "/users/4711007/orders"),
                ("http.target", "/users/4711007/orders?q=plant"),
                ("url.full", url),
            ],
        ),
    ];
    give(&agent, &[], &traces(&[], spans)).await;
    give(&agent, &[], &gauge(&[], &[&[("url.full", url)], &[("db.query.text", query)]])).await;
    let records = vec![
        record(INFO, &format!("GET {url}"), &[]),
        record(INFO, query, &[("db.query.text", query)]),
        record(INFO, "order 66/7 shipped to 'Anna' in 3 days", &[]),
    ];
    give(&agent, &[], &logs(&[], records)).await;

    let arrived = gateway.wait_for(8).await;
    for secret in ["plant", "4711007"] {
        assert_eq!(count(&arrived, secret), 0, "{secret}");
    }
    for (text, times) in [
        ("SELECT * FROM users WHERE mail = ? AND id = ?", 6),
        ("https://REDACTED@shop.example.com/cart?token=REDACTED&page=2", 3),
        ("GET /users/*/orders", 1),
        ("/users/*/orders", 3),
        ("SELECT users", 1),
        ("order 66/7 shipped to 'Anna' in 3 days", 1),
    ] {
        assert_eq!(count(&arrived, text), times, "{text}");
    }
    let books = books(agent).await;
    for (pipeline, items) in [("traces", 3), ("metrics", 2), ("logs", 3)] {
        assert_eq!(books.of(pipeline, ""), (items, items, vec![]), "{pipeline}");
    }
}

/// `items` of a signal, each of which says `marker`.
fn marked(signal: Signal, resource: &[(&str, &str)], marker: &str, items: usize) -> Request {
    let pair: &[(&str, &str)] = &[("marker", marker)];
    match signal {
        Signal::Traces => traces(resource, vec![span("work", SERVER, pair); items]),
        Signal::Metrics => gauge(resource, &vec![pair; items]),
        Signal::Logs => logs(resource, vec![record(INFO, "work", pair); items]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenant_routing_keeps_teams_apart() {
    let mut backends = BTreeMap::new();
    let mut variables = Vec::new();
    for (name, variable) in [("acme", "ACME_ENDPOINT"), ("globex", "GLOBEX_ENDPOINT"), ("shared", "SHARED_ENDPOINT")] {
        let backend = Backend::start(Protocol::Http).await;
        variables.push((variable, format!("http://{}", backend.address)));
        backends.insert(name, backend);
    }
    let gateway = run("tenant-routing.yaml", &variables).await;
    let of = |tenant| [("tenant.id", tenant)];
    for signal in Signal::ALL {
        give(&gateway, &[("x-scope-orgid", "acme")], &marked(signal, &[], "for-acme", 5)).await;
        // The header is asked first.
        give(&gateway, &[("x-scope-orgid", "globex")], &marked(signal, &of("acme"), "for-globex", 4)).await;
        let mixed = vec![
            marked(signal, &of("acme"), "for-acme", 3),
            marked(signal, &of("globex"), "for-globex", 2),
            marked(signal, &of("initech"), "for-shared", 2),
            marked(signal, &[], "for-shared", 1),
        ];
        give(&gateway, &[], &joined(mixed)).await;
    }
    for (name, items) in [("acme", 8), ("globex", 6), ("shared", 3)] {
        let arrived = backends[name].wait_for(3 * items).await;
        for marker in ["acme", "globex", "shared"] {
            let expected = if marker == name { 3 * items } else { 0 };
            assert_eq!(count(&arrived, &format!("for-{marker}")) as u64, expected, "for {marker} at {name}");
        }
        for request in &arrived {
            let text = format!("{:?}", request.telemetry);
            let tenants = ["acme", "globex", "initech"].map(|tenant| text.contains(&format!("{tenant:?}")));
            assert!(tenants.iter().filter(|is_there| **is_there).count() <= 1, "teams are merged in one request");
        }
    }
    let books = books(gateway).await;
    for signal in ["traces", "metrics", "logs"] {
        for (tenant, pipeline, items) in
            [("acme", "acme", 8), ("globex", "globex", 6), ("initech", "shared", 2), ("unnamed", "shared", 1)]
        {
            assert_eq!(books.of(signal, tenant), (items, items, vec![]), "{signal} of {tenant}");
            let routed = format!("{signal}/{pipeline}");
            assert_eq!(books.of(&routed, tenant), (items, items, vec![]), "{routed} of {tenant}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drop_noise_drops_health_checks_and_debug_logs() {
    let gateway = Backend::start(Protocol::Grpc).await;
    let agent = run("drop-noise.yaml", &[("GATEWAY_ENDPOINT", gateway.address.to_string())]).await;
    let spans = vec![
        span("noise", SERVER, &[("url.path", "/healthz")]),
        span("noise", SERVER, &[("http.target", "/readyz?verbose")]),
        span("noise", SERVER, &[("url.path", "/"), ("user_agent.original", "kube-probe/1.31")]),
        span("wanted", SERVER, &[("url.path", "/healthz-of-users"), ("user_agent.original", "curl")]),
        span("wanted", SERVER, &[]),
    ];
    give(&agent, &[], &traces(&[], spans)).await;
    let points: [&[(&str, &str)]; 3] =
        [&[("http.route", "/livez"), ("noise", "")], &[("http.route", "/cart"), ("wanted", "")], &[("wanted", "")]];
    give(&agent, &[], &gauge(&[], &points)).await;
    let noise = [(1, "noise"), (DEBUG, "noise"), (8, "noise"), (INFO, r#"1.2.3.4 "GET /healthz HTTP/1.1" 200 noise"#)];
    let wanted =
        [(0, "wanted"), (INFO, "wanted"), (ERROR, "wanted: /healthz answered 500"), (INFO, "wanted \"GET /a\"")];
    let records = noise.iter().chain(&wanted).map(|(severity, body)| record(*severity, body, &[]));
    give(&agent, &[], &logs(&[], records.collect())).await;

    let arrived = gateway.wait_for(8).await;
    assert_eq!((count(&arrived, "wanted"), count(&arrived, "noise")), (8, 0));
    let books = books(agent).await;
    for (pipeline, received, dropped) in [("traces", 5, 3), ("metrics", 3, 1), ("logs", 8, 4)] {
        let expected = (received, received - dropped, vec![("filtered", dropped)]);
        assert_eq!(books.of(pipeline, ""), expected, "{pipeline}");
    }
}

/// Trace IDs at random, the same in every run (SplitMix64).
pub fn trace_ids(many: u64) -> Vec<[u8; 16]> {
    let next = |n: u64| {
        let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (1..=many).map(|n| (u128::from(next(2 * n)) << 64 | u128::from(next(2 * n + 1))).to_be_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_sampling_keeps_a_tenth_and_whatever_is_grave() {
    let gateway = Backend::start(Protocol::Grpc).await;
    let agent = run("head-sampling.yaml", &[("GATEWAY_ENDPOINT", gateway.address.to_string())]).await;
    let ids = trace_ids(1000);
    // 10 % of 2^56 random numbers, those above `th:e666`.
    let is_kept = |id: &&[u8; 16]| u128::from_be_bytes(**id) & ((1 << 56) - 1) >= 0xe6_6600_0000_0000;
    let kept: BTreeSet<Vec<u8>> = ids.iter().filter(is_kept).map(|id| id.to_vec()).collect();
    let tenth = kept.len() as u64;
    assert!((80..120).contains(&tenth), "{tenth}");

    let of_trace = |id: &[u8; 16]| Span { trace_id: id.to_vec(), ..span("work", SERVER, &[]) };
    // Two spans of each trace, in requests of their own.
    for _ in 0..2 {
        give(&agent, &[], &traces(&[], ids.iter().map(of_trace).collect())).await;
    }
    let said = |severity, id: &[u8]| LogRecord { trace_id: id.to_vec(), ..record(severity, "said", &[]) };
    let severities = [DEBUG, INFO, WARN, ERROR];
    let mut records: Vec<LogRecord> = ids.iter().flat_map(|id| severities.map(|severity| said(severity, id))).collect();
    records.extend(severities.map(|severity| said(severity, &[])));
    give(&agent, &[], &logs(&[], records)).await;
    give(&agent, &[], &marked(Signal::Metrics, &[], "point", 7)).await;

    let (spans, logs) = (2 * tenth, 2 * tenth + 2 * 1000 + 4);
    let arrived = gateway.wait_for(spans + logs + 7).await;
    let arrived_spans = spans_of(&arrived);
    assert_eq!(arrived_spans.len() as u64, spans);
    assert_eq!(arrived_spans.iter().map(|span| span.trace_id.clone()).collect::<BTreeSet<_>>(), kept);
    assert!(arrived_spans.iter().all(|span| span.trace_state == "ot=th:e666"), "{:?}", arrived_spans[0]);
    let arrived_records = records_of(&arrived);
    for severity in severities {
        let of_severity = arrived_records.iter().filter(|record| record.severity_number == severity);
        let mut traces: BTreeSet<Vec<u8>> = of_severity.map(|record| record.trace_id.clone()).collect();
        assert!(traces.remove(&Vec::new()), "the record without a trace stays");
        let expected = if severity >= WARN { ids.iter().map(|id| id.to_vec()).collect() } else { kept.clone() };
        assert_eq!(traces, expected, "severity {severity}");
    }
    let books = books(agent).await;
    assert_eq!(books.of("traces", ""), (2000, spans, vec![("not_sampled", 2000 - spans)]));
    assert_eq!(books.of("logs", ""), (4004, logs, vec![("not_sampled", 4004 - logs)]));
    assert_eq!(books.of("metrics", ""), (7, 7, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_follow_the_decision_about_their_trace() {
    let backend = Backend::start(Protocol::Grpc).await;
    let variables = [
        ("BACKEND_ENDPOINT", backend.address.to_string()),
        ("DECISION_WAIT", "2s".to_owned()),
        ("TRACE_WAIT", "1s".to_owned()),
    ];
    let gateway = run("tail-sampling-logs.yaml", &variables).await;
    // Randomness too low for a share, but for the last: of a trace that never comes, at 10 %.
    let [failed, fine, never, lucky] = [[1; 16], [2; 16], [3; 16], [0xff; 16]];
    let said = |severity, id: [u8; 16]| LogRecord { trace_id: id.to_vec(), ..record(severity, "said", &[]) };
    let records =
        [failed, fine, never, lucky].into_iter().flat_map(|id| [DEBUG, INFO, ERROR].map(|severity| said(severity, id)));
    let first: Vec<LogRecord> = records.collect();
    give(&gateway, &[], &logs(&[], first)).await;
    let of_trace = |id: [u8; 16], code| Span {
        trace_id: id.to_vec(),
        status: Some(Status { code, ..Status::default() }),
        ..span("work", SERVER, &[])
    };
    give(&gateway, &[], &traces(&[], vec![of_trace(failed, 0), of_trace(failed, 2), of_trace(fine, 0)])).await;
    let arrived = backend.wait_for(2 + 4 + 2).await;
    // One that comes when all is decided.
    give(&gateway, &[], &logs(&[], vec![said(INFO, failed), said(INFO, fine), record(INFO, "alone", &[])])).await;
    let late = backend.wait_for(2 + 4 + 2 + 2).await;
    assert_eq!(spans_of(&arrived).len(), 2);
    let of = |arrived: &[Arrived], id: [u8; 16]| {
        let mut severities: Vec<i32> = records_of(arrived)
            .iter()
            .filter(|record| record.trace_id == id)
            .map(|record| record.severity_number)
            .collect();
        severities.sort_unstable();
        severities
    };
    for (id, severities) in
        [(failed, vec![INFO, ERROR]), (fine, vec![ERROR]), (never, vec![ERROR]), (lucky, vec![INFO, ERROR])]
    {
        assert_eq!(of(&arrived, id), severities, "{id:?}");
    }
    assert_eq!(of(&late, failed), [INFO, INFO, ERROR]);
    let books = books(gateway).await;
    assert_eq!(books.of("traces", ""), (3, 2, vec![("not_sampled", 1)]));
    assert_eq!(books.of("logs", ""), (15, 8, vec![("not_sampled", 7)]));
}
