use std::net::SocketAddr;

use component::{BoxFuture, Deadline};
use http::{Response, StatusCode};
use parking_lot::Mutex;
use pdata::{Charge, Overloaded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::server::http::text;
use crate::server::{HttpHandler, HttpResponse, HttpServer, Refusal, RequestHead, RequestInfo, Route};
use crate::testing::*;

/// Remembers requests and answers with their bodies.
struct Mirror(Arc<Mutex<Vec<(RequestHead, RequestInfo)>>>);

impl HttpHandler for Mirror {
    fn route(&self, _: &RequestHead) -> Route {
        Route::Body { key: 0 }
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        pdata::ByteAccount::unlimited().try_charge(bytes)
    }

    fn refuse(&self, _: usize, _: &RequestHead, refusal: Refusal) -> HttpResponse {
        text(refusal.status(), refusal.to_string())
    }

    fn call(
        &self,
        _: usize,
        head: RequestHead,
        body: Vec<u8>,
        _: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse> {
        let status = head.path().trim_start_matches('/').parse().unwrap_or(200);
        self.0.lock().push((head, request));
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Box::pin(async { response })
    }
}

struct Running {
    server: HttpServer,
    seen: Arc<Mutex<Vec<(RequestHead, RequestInfo)>>>,
    host: Host,
}

async fn serve(yaml: &str) -> Running {
    let (host, seen) = (host(), Arc::default());
    let handler = Arc::new(Mirror(Arc::clone(&seen)));
    let server = HttpServer::start(&decoded(&with_endpoint(yaml)), &host, settings(&host), handler).await.unwrap();
    Running { server, seen, host }
}

fn client(yaml: &str) -> Arc<HttpClient> {
    HttpClient::new(&decoded(yaml), client_settings()).unwrap_or_else(|error| panic!("{error}"))
}

async fn post(client: &HttpClient, url: &str, body: &[Bytes]) -> Result<HttpReply, CallError> {
    let deadline = Some(Instant::now() + Duration::from_secs(10));
    client.post(url, "application/x-protobuf", body, &Context::default(), deadline).await
}

#[tokio::test]
async fn ropes_arrive_whole_with_every_compression_on_one_connection() {
    let server = serve("include_metadata: true").await;
    let url = format!("http://{}/v1/traces?a=b", server.server.local_addr().unwrap());
    let rope = [Bytes::from(vec![1; 10_000]), Bytes::new(), Bytes::from(vec![2; 40_000])];
    for compression in ["none", "gzip", "zlib", "deflate", "zstd", "snappy", "x-snappy-framed"] {
        let client = client(&format!("{{compression: {compression}, headers: {{X-Tenant: eu, user-agent: mine}}}}"));
        for _ in 0..3 {
            let reply = post(&client, &url, &rope).await.unwrap();
            assert!((reply.status, reply.truncated) == (200, false) && reply.body == rope.concat(), "{compression}");
            assert_eq!(reply.sent_bytes < 50_000, compression != "none");
        }
        let empty = post(&client, &url, &[]).await.unwrap();
        assert_eq!((empty.status, empty.sent_bytes), (200, 0));
        let mut seen = std::mem::take(&mut *server.seen.lock());
        let peers: Vec<_> = seen.iter().map(|(_, request)| request.peer).collect();
        assert!(peers.windows(2).all(|pair| pair[0] == pair[1]), "{peers:?}");
        let (head, request) = seen.remove(0);
        assert_eq!((head.path(), head.uri.query()), ("/v1/traces", Some("a=b")));
        assert_eq!(head.content_type(), "application/x-protobuf");
        assert_eq!((request.metadata.get("x-tenant"), request.metadata.get("user-agent")), (Some("eu"), Some("mine")));
        client.shutdown().await;
    }
    server.server.shutdown(Deadline::after(Duration::from_secs(5))).await;
    assert!(count(&server.host, "http_server_request_duration", "200") > 0.0);
}

#[tokio::test]
async fn any_status_is_an_answer_and_long_ones_are_cut() {
    let server = serve("{}").await;
    let base = format!("http://{}", server.server.local_addr().unwrap());
    let client = client("{}");
    for status in [204, 400, 429, 503] {
        assert_eq!(post(&client, &format!("{base}/{status}"), &[]).await.unwrap().status, status);
    }
    let reply = post(&client, &base, &[Bytes::from(vec![7; 200_000])]).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (REPLY_BYTES_MAX, true));
    let reply = post(&client, &base, &[Bytes::from_static(b"again")]).await.unwrap();
    assert_eq!(reply.body, "again");
    client.shutdown().await;
    let error = post(&client, &base, &[]).await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    server.server.shutdown(Deadline::after(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn connections_are_kept_closed_and_bounded_as_configured() {
    let server = serve("{}").await;
    let url = format!("http://{}", server.server.local_addr().unwrap());
    for (yaml, connections) in [("{}", 1), ("disable_keep_alives: true", 3), ("idle_conn_timeout: 1ms", 3)] {
        let client = client(yaml);
        server.seen.lock().clear();
        for _ in 0..3 {
            post(&client, &url, &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut peers: Vec<_> = server.seen.lock().iter().map(|(_, request)| request.peer).collect();
        peers.dedup();
        assert_eq!(peers.len(), connections, "{yaml}");
        client.shutdown().await;
    }
    let client = client("max_conns_per_host: 1");
    server.seen.lock().clear();
    let body = [Bytes::from_static(b"x")];
    let posts = (0..8).map(|_| post(&client, &url, &body));
    futures_util::future::try_join_all(posts).await.unwrap();
    let mut peers: Vec<_> = server.seen.lock().iter().map(|(_, request)| request.peer).collect();
    peers.dedup();
    assert_eq!(peers.len(), 1);
    client.shutdown().await;
    server.server.shutdown(Deadline::after(Duration::from_secs(5))).await;
}

/// Reads one request head, answers, and tells what it read.
async fn answer_once(answer: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer).await.unwrap();
        String::from_utf8(read).unwrap()
    });
    (address, task)
}

#[tokio::test]
async fn proxies_are_asked_in_their_own_form() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (address, proxy) = answer_once(ok).await;
    let plain = client(&format!("proxy_url: 'http://user:pw@{address}'"));
    assert_eq!(post(&plain, "http://server.test:4318/v1/logs", &[]).await.unwrap().status, 200);
    let head = proxy.await.unwrap();
    assert!(head.starts_with("POST http://server.test:4318/v1/logs HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("proxy-authorization: Basic dXNlcjpwdw==") && head.contains("host: server.test:4318"),
        "{head}"
    );
    let (address, proxy) = answer_once(b"HTTP/1.1 403 No\r\n\r\n").await;
    let secure = client(&format!("proxy_url: 'http://{address}'"));
    let error = post(&secure, "https://server.test/v1/logs", &[]).await.unwrap_err().to_string();
    assert!(error.contains("refused to connect to `server.test:443`: `HTTP/1.1 403 No`"), "{error}");
    assert!(proxy.await.unwrap().starts_with("CONNECT server.test:443 HTTP/1.1\r\nHost: server.test:443\r\n"));
}

#[tokio::test]
async fn failures_name_the_phase_and_a_remedy() {
    let client = client("timeout: 60ms");
    let (address, server) = answer_once(b"\x15\x03\x01\0\x02\x02\x28").await;
    let error = post(&client, &format!("http://{address}"), &[]).await.unwrap_err().to_string();
    assert!(error.contains("perhaps the port speaks TLS"), "{error}");
    server.await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = post(&client, &format!("http://{gone}"), &[]).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { phase: Phase::Connect, is_unprocessed: true, .. }), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = post(&client, &format!("http://{}", silent.local_addr().unwrap()), &[]).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Wait, .. }), "{error}");
    let error = post(&client, "ftp://x", &[]).await.unwrap_err();
    assert!(error.to_string().contains("unknown scheme `ftp`"), "{error}");
}

#[test]
fn settings_are_checked_and_bad_ones_named() {
    for (yaml, part) in [
        ("endpoint: 'localhost:4318'", "lacks a scheme"),
        ("proxy_url: 'socks5://a:1'", "scheme `socks5` is not supported"),
        ("compression: lz4", "compression `lz4` is not supported"),
        ("{compression: gzip, compression_params: {level: 12}}", "unsupported compression level 12 for gzip"),
        ("{compression: snappy, compression_params: {level: 1}}", "this compression has none"),
        ("max_idle_conns: -1", "`max_idle_conns` must not be negative"),
        ("cookies: {}", "weir keeps no cookies"),
    ] {
        let error = refused::<HttpClientConfig>(yaml);
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

#[tokio::test]
async fn traces_are_passed_on_and_requests_are_measured() {
    let server = serve("include_metadata: true").await;
    let address = server.server.local_addr().unwrap();
    let client = client("{compression: gzip, headers: {b3: mine}}");
    client.start(&server.host).unwrap();
    server.host.set_trace_headers(component::lifecycle::TraceHeaders::B3ThenW3c);
    let trace = pdata::TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let context = Context { trace, ..Context::default() };
    let url = format!("http://{address}/503");
    client.post(&url, "application/x-protobuf", &[Bytes::from(vec![7; 1000])], &context, None).await.unwrap();
    let metadata = server.seen.lock().pop().unwrap().1.metadata;
    assert_eq!(metadata.get("traceparent"), trace.map(|trace| trace.traceparent()).as_deref());
    assert_eq!(metadata.get("b3"), Some("mine"), "what the configuration says stays");
    let readings = client.settings.telemetry.registry().read();
    let found: Vec<_> = readings.iter().map(|reading| (reading.metric.name, &reading.series[..])).collect();
    let [("http_client_request_body_size", [(labels, size)]), ("http_client_request_duration", [(same, _)])] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    let port = address.port().to_string();
    let expected = [
        ("http_request_method", "POST"),
        ("http_response_status_code", "503"),
        ("server_address", "127.0.0.1"),
        ("server_port", &port),
        ("url_scheme", "http"),
    ];
    assert_eq!(*labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(labels, same);
    assert!(matches!(size, component::telemetry::Value::Histogram { sum: 1000.0, .. }), "{size:?}");
    client.shutdown().await;
}
