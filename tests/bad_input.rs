//! Input that is wrong, hostile or slow costs its sender an answer and nobody else anything: every case is answered as its
//! protocol says, counted, and leaves other clients and the books alone.
//!
//! The service and its OTLP receiver are the real ones; the destination is `nop`. While the cases run, two clients, one per
//! protocol, send well-formed requests, each of which must succeed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]

mod wire;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use pdata::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use weir::catalog::Catalog;
use wire::{Answer, Client, LOGS_PATH, Running, framed, free_address, grpc_request, http_request};

const MIB: usize = 1 << 20;
const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");

struct Gateway {
    running: Running,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Gateway {
    async fn start() -> Self {
        let (grpc, http) = (free_address(), free_address());
        let configuration = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{endpoint: '{grpc}', max_recv_msg_size_mib: 1}}\n      http: \
             {{endpoint: '{http}', max_request_body_size: {MIB}, read_header_timeout: 2s}}\nexporters: {{nop: }}\nservice:\n  \
             telemetry:\n    logs: {{level: error}}\n    metrics: {{level: none}}\n  pipelines:\n    logs: {{receivers: \
             [otlp], exporters: [nop]}}\n"
        );
        let running = Running::start(configuration, Catalog::default()).await;
        // Own metrics count at every level; those that are off are only not shown.
        running.service.host().registry().set_level(component::Level::Normal);
        Self { running, grpc, http }
    }

    fn invalid(&self, transport: &str, reason: &str) -> u64 {
        self.running.metric("weir_receiver_invalid_requests", &[transport, reason])
    }

    fn protocol_errors(&self, transport: &str, reason: &str) -> u64 {
        self.running.metric("weir_server_protocol_errors", &[transport, reason])
    }
}

/// Clients that do everything right.
struct Others {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Others {
    fn start(gateway: &Gateway) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for mut client in [Client::grpc(gateway.grpc), Client::http(gateway.http)] {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer = client.send(records(3)).await.unwrap();
                    assert!(answer.is_success(), "{answer:?}");
                    assert!(begun.elapsed() < Duration::from_secs(5), "answered after {:?}", begun.elapsed());
                    sent.fetch_add(3, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(client.reconnects, 0, "nobody else's connection is closed");
            });
        }
        Self { stop, sent, clients }
    }

    /// Waits until more requests were answered.
    async fn go_on(&self) {
        let until = self.sent.load(Ordering::Relaxed) + 300;
        while self.sent.load(Ordering::Relaxed) < until {
            assert!(!self.clients.is_empty());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many items they sent; all of them were accepted.
    async fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.sent.load(Ordering::Relaxed)
    }
}

fn records(count: u64) -> Vec<u8> {
    testkit::items::request(Signal::Logs, 0, count).encode()
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

/// A request with one log record.
fn record(content: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, content)))
}

/// Arrays within arrays.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..depth {
        value = field(5, &field(1, &value));
    }
    record(&field(5, &value))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 64 MiB of zeros in 64 KiB.
fn bomb() -> Vec<u8> {
    let bomb = gzip(&vec![0; 64 * MIB]);
    assert!(bomb.len() < MIB / 4);
    bomb
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 7);
    bytes
}

struct Case {
    name: &'static str,
    request: Request<Full<Bytes>>,
    /// HTTP's status and gRPC's.
    status: (u16, Option<u32>),
    /// What the message says, among other things.
    says: &'static [&'static str],
    reason: &'static str,
}

fn http_cases() -> Vec<Case> {
    let post = |headers: &[(&str, &str)], body| http_request("POST", "/v1/logs", headers, body);
    let gzipped = &[PROTO, ("content-encoding", "gzip")];
    let case = |name, request, status, says, reason| Case { name, request, status: (status, None), says, reason };
    vec![
        case("truncated", post(&[PROTO], cut(records(3))), 400, &["invalid OTLP at byte "], "malformed"),
        case("noise", post(&[PROTO], vec![0xff; 1000]), 400, &["invalid OTLP at byte 0"], "malformed"),
        case(
            "trace ID of 15 bytes",
            post(&[PROTO], record(&field(9, &[1; 15]))),
            400,
            &["at byte 6", "resource_logs.scope_logs.log_records.trace_id", "15 bytes"],
            "malformed",
        ),
        case("nesting", post(&[PROTO], nested(5000)), 400, &["nested more than"], "malformed"),
        case("oversized", post(&[PROTO], vec![0; MIB + 1]), 413, &["1048576"], "too_large"),
        case("bomb", post(gzipped, bomb()), 413, &["1048576"], "too_large"),
        case("not gzip", post(gzipped, records(3)), 400, &["gzip"], "body"),
        case("cut gzip", post(gzipped, cut(gzip(&records(3)))), 400, &["decompress"], "body"),
        case(
            "unknown encoding",
            post(&[PROTO, ("content-encoding", "br")], records(3)),
            400,
            &["br"],
            "content_encoding",
        ),
        case(
            "text",
            post(&[("content-type", "text/plain")], records(3)),
            415,
            &["application/x-protobuf"],
            "content_type",
        ),
        case("no content type", post(&[], records(3)), 415, &["application/x-protobuf"], "content_type"),
        case("GET", http_request("GET", "/v1/logs", &[], Vec::new()), 405, &["POST"], "method"),
        case("path", http_request("POST", "/v2/logs", &[PROTO], records(3)), 404, &[], "path"),
        case("unused signal", http_request("POST", "/v1/traces", &[PROTO], Vec::new()), 404, &["traces"], "path"),
        case(
            "broken JSON",
            post(&[("content-type", "application/json")], b"{\"resourceLogs\": [{\"scopeLogs\"".to_vec()),
            400,
            &[],
            "malformed",
        ),
        case(
            "nested JSON",
            post(&[("content-type", "application/json")], [&b"["[..]].concat().repeat(100_000)),
            400,
            &[],
            "malformed",
        ),
    ]
}

fn grpc_cases(to: SocketAddr) -> Vec<Case> {
    let call = |headers: &[(&str, &str)], body: &[u8]| grpc_request(to, LOGS_PATH, headers, body);
    let gzipped = &[("grpc-encoding", "gzip")];
    let case = |name, request, code, says, reason| Case { name, request, status: (200, Some(code)), says, reason };
    let mut typed = call(&[], &framed(0, &records(3)));
    typed.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let mut got = call(&[], &[]);
    *got.method_mut() = http::Method::GET;
    let mut too_long = framed(0, &records(3));
    too_long.extend_from_slice(&framed(0, &records(3)));
    vec![
        case("truncated", call(&[], &framed(0, &cut(records(3)))), 3, &["invalid OTLP at byte "], "malformed"),
        case("noise", call(&[], &framed(0, &[0xff; 1000])), 3, &["invalid OTLP at byte 0"], "malformed"),
        case(
            "span ID of 9 bytes",
            call(&[], &framed(0, &record(&field(10, &[1; 9])))),
            3,
            &["at byte 6", "resource_logs.scope_logs.log_records.span_id", "9 bytes"],
            "malformed",
        ),
        case("nesting", call(&[], &framed(0, &nested(5000))), 3, &["nested more than"], "malformed"),
        case("oversized", call(&[], &framed(0, &vec![0; MIB + 1])), 8, &["1048577 vs. 1048576"], "too_large"),
        case("a length of 4 GiB", call(&[], &[0, 0xff, 0xff, 0xff, 0xff]), 8, &["4294967295"], "too_large"),
        case("bomb", call(gzipped, &framed(1, &bomb())), 8, &["1048576"], "too_large"),
        case("not gzip", call(gzipped, &framed(1, &records(3))), 13, &["decompress"], "body"),
        case("short message", call(&[], &cut(framed(0, &records(3)))), 13, &["unexpected end"], "body"),
        case("two messages", call(&[], &too_long), 13, &["more than one"], "body"),
        case("no message", call(&[], &[]), 13, &["no request message"], "body"),
        case("unknown flag", call(&[], &framed(7, &records(3))), 13, &["payload format 7"], "body"),
        case(
            "unknown encoding",
            call(&[("grpc-encoding", "br")], &framed(1, &records(3))),
            12,
            &["br"],
            "content_encoding",
        ),
        case(
            "unknown method",
            grpc_request(to, "/opentelemetry.proto.collector.logs.v1.LogsService/Import", &[], &framed(0, &records(3))),
            12,
            &["unknown method Import"],
            "path",
        ),
        Case { status: (415, None), ..case("JSON", typed, 0, &["application/grpc"], "content_type") },
        Case { status: (405, None), ..case("GET", got, 0, &["POST"], "method") },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_answered_and_counted() {
    let gateway = Gateway::start().await;
    let others = Others::start(&gateway);
    for (transport, client, cases) in [
        ("http", Client::http as fn(SocketAddr) -> Client, http_cases()),
        ("grpc", Client::grpc, grpc_cases(gateway.grpc)),
    ] {
        for Case { name, request, status, says, reason } in cases {
            let before = gateway.invalid(transport, reason);
            // A connection of its own: the server may close it after a refused body.
            let to = if transport == "http" { gateway.http } else { gateway.grpc };
            let answer = client(to).call(request).await.unwrap_or_else(|error| panic!("{transport} {name}: {error}"));
            let Answer { status: found, grpc, message } = &answer;
            assert_eq!((*found, *grpc), status, "{transport} {name}: {answer:?}");
            for said in says {
                assert!(message.contains(said), "{transport} {name}: {said} in {message}");
            }
            assert_eq!(gateway.invalid(transport, reason), before + 1, "{transport} {name} is counted as {reason}");
        }
    }
    gateway.running.check_books();
    let sent = others.finish().await;
    assert_eq!(gateway.running.stop().await, (sent, sent), "nothing of the rest got in");
}

/// Sends bytes and reads until the server closes.
async fn talk(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server keeps {bytes:?} waiting");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_protocols_are_told_so_and_counted() {
    const HELLO: &[u8] = &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3];
    const ALERT: &[u8] = &[21, 3, 1, 0, 2];
    const GARBAGE: &[u8] = b"\0\x01\x02 what a wonderful protocol this is";
    const HTTP1: &[u8] = b"POST /v1/logs HTTP/1.1\r\nHost: weir\r\nContent-Length: 0\r\n\r\n";
    const REQUEST_LINE: &[u8] = b"POST /v1/logs\r\n\r\n";
    // An HTTP/2 preface, then a DATA frame on stream 0, which HTTP/2 forbids.
    const BROKEN_H2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0x";
    let gateway = Gateway::start().await;
    let others = Others::start(&gateway);
    type Case = (&'static str, SocketAddr, &'static [u8], &'static [u8], &'static str);
    let cases: [Case; 8] = [
        ("grpc", gateway.grpc, HTTP1, b"HTTP/1.1 415 ", "http1_on_grpc_port"),
        ("grpc", gateway.grpc, HELLO, ALERT, "tls_on_plaintext_port"),
        ("grpc", gateway.grpc, GARBAGE, b"", "garbage"),
        ("grpc", gateway.grpc, BROKEN_H2, b"", "http2"),
        ("http", gateway.http, HELLO, ALERT, "tls_on_plaintext_port"),
        ("http", gateway.http, GARBAGE, b"HTTP/1.1 400 ", "garbage"),
        ("http", gateway.http, REQUEST_LINE, b"HTTP/1.1 400 ", "malformed"),
        ("http", gateway.http, BROKEN_H2, b"", "http2"),
    ];
    for (transport, to, bytes, answer, reason) in cases {
        for round in 1..=3 {
            let found = talk(to, bytes).await;
            assert!(found.starts_with(answer), "{transport} {reason}: {}", String::from_utf8_lossy(&found));
            let counted = || gateway.protocol_errors(transport, reason) >= round;
            let begun = Instant::now();
            while !counted() {
                assert!(begun.elapsed() < Duration::from_secs(5), "{transport} {reason} is counted");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
    // gRPC on the port of HTTP speaks HTTP/2, which is served there; the path is not.
    let mut client = Client::grpc(gateway.http);
    let answer = client.call(grpc_request(gateway.http, LOGS_PATH, &[], &framed(0, &records(3)))).await.unwrap();
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(gateway.invalid("http", "path") >= 1);
    others.go_on().await;
    let sent = others.finish().await;
    gateway.running.check_books();
    assert_eq!(gateway.running.stop().await, (sent, sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_tiny_requests() {
    const REQUESTS: u64 = 5000;
    let gateway = Gateway::start().await;
    let mut clients = JoinSet::new();
    for mut client in [Client::grpc, Client::grpc].map(|client| client(gateway.grpc)) {
        clients.spawn(async move { tiny(&mut client, REQUESTS).await });
    }
    for mut client in [Client::http, Client::http].map(|client| client(gateway.http)) {
        clients.spawn(async move { tiny(&mut client, REQUESTS).await });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    for transport in ["grpc", "http"] {
        assert_eq!(gateway.invalid(transport, "malformed"), REQUESTS);
        let succeeded = gateway.running.metric("otelcol_receiver_requests", &[transport, "success"]);
        assert_eq!(succeeded, REQUESTS);
        assert_eq!(gateway.running.metric("otelcol_receiver_accepted_log_records", &[transport]), REQUESTS);
    }
    assert_eq!(gateway.running.service.host().account().held(), 0);
    assert_eq!(gateway.running.stop().await, (2 * REQUESTS, 2 * REQUESTS));
}

/// One record and a wrong byte, in turns.
async fn tiny(client: &mut Client, requests: u64) {
    for n in 0..requests {
        let body = if n % 2 == 0 { record(&[]) } else { vec![0xff] };
        let answer = client.send(body).await.unwrap();
        assert_eq!(answer.is_success(), n % 2 == 0, "{answer:?}");
    }
    assert_eq!(client.reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_connections_hold_up_nobody() {
    let gateway = Gateway::start().await;
    let others = Others::start(&gateway);
    let head = b"POST /v1/logs HTTP/1.1\r\nHost: weir\r\nContent-Type: application/x-protobuf\r\n";
    let body = [&head[..], b"Content-Length: 1000000\r\n\r\n\x0a"].concat();
    let mut slow = Vec::new();
    for n in 0..300 {
        let (to, bytes): (_, &[u8]) = match n % 6 {
            0 => (gateway.http, b""),
            1 => (gateway.http, b"PO"),
            2 => (gateway.http, head),
            3 => (gateway.http, &body),
            4 => (gateway.grpc, b""),
            _ => (gateway.grpc, b"PRI * HTTP/2.0\r\n\r\nSM"),
        };
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        slow.push((n % 6, stream));
    }
    others.go_on().await;
    // A claimed length is no memory taken: charges follow what arrives.
    assert!(gateway.running.service.host().account().held() < 50 * MIB);
    // Those whose head does not come are closed in time, those of the port without such a setting stay.
    let begun = Instant::now();
    for (kind, stream) in &mut slow {
        if *kind < 3 {
            let mut rest = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
            assert!(read.is_ok(), "kind {kind} is still open after {:?}", begun.elapsed());
        }
    }
    // Those without a byte, with a part of the method, and with a part of the head.
    assert!(
        gateway.protocol_errors("http", "header_timeout") >= 150,
        "{}",
        gateway.protocol_errors("http", "header_timeout")
    );
    others.go_on().await;
    gateway.running.check_books();
    let sent = others.finish().await;
    // Bodies that do not come would be waited for until the deadline; heads that do not come are not.
    slow.retain(|(kind, _)| *kind > 3);
    let begun = Instant::now();
    assert_eq!(gateway.running.stop().await, (sent, sent));
    assert!(begun.elapsed() < Duration::from_secs(10), "stopped after {:?}", begun.elapsed());
    assert_eq!(slow.len(), 100);
}
