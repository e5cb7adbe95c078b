use std::time::Duration;

use component::Deadline;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1 as client1;
use parking_lot::Mutex;
use pdata::ByteAccount;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::compression::{Algorithm, deflate};
use crate::testing::*;

/// Echoes bodies posted to `/echo`; panics on `/panic`; waits on `/slow`; answers GET on its own.
struct Echo {
    account: Arc<ByteAccount>,
    seen: Arc<Mutex<Vec<RequestInfo>>>,
}

impl HttpHandler for Echo {
    fn route(&self, head: &RequestHead) -> Route {
        match (head.method.as_str(), head.path()) {
            ("POST", "/echo") => Route::Body { key: 0 },
            ("POST", "/panic") => Route::Body { key: 1 },
            ("POST", "/slow") => Route::Body { key: 2 },
            ("GET", _) => Route::Answer(text(StatusCode::OK, "hello")),
            _ => Route::Answer(text(StatusCode::NOT_FOUND, "not here")),
        }
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.account.try_charge(bytes)
    }

    fn refuse(&self, _: usize, _: &RequestHead, refusal: Refusal) -> HttpResponse {
        text(refusal.status(), format!("refused: {refusal}"))
    }

    fn call(
        &self,
        key: usize,
        _: RequestHead,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse> {
        assert_eq!(charge.bytes(), body.capacity());
        self.seen.lock().push(request);
        Box::pin(async move {
            let _charge = charge;
            match key {
                0 => Response::new(body.into()),
                1 => panic!("a handler that panics on purpose"),
                _ => std::future::pending().await,
            }
        })
    }
}

struct Running {
    server: HttpServer,
    host: Host,
    account: Arc<ByteAccount>,
    seen: Arc<Mutex<Vec<RequestInfo>>>,
}

async fn serve(yaml: &str) -> Running {
    serve_on(host(), yaml).await
}

async fn serve_on(host: Host, yaml: &str) -> Running {
    let (account, seen) = (ByteAccount::new(10 << 20), Arc::default());
    let handler = Arc::new(Echo { account: Arc::clone(&account), seen: Arc::clone(&seen) });
    let config: HttpServerConfig = decoded(&with_endpoint(yaml));
    let server = HttpServer::start(&config, &host, settings(&host), handler).await.expect("starts");
    Running { server, host, account, seen }
}

impl Running {
    fn address(&self) -> SocketAddr {
        self.server.local_addr().unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (http::response::Parts, Bytes) {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let (mut sender, connection) = client1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            // Ends with the test.
            let _ended = connection.await;
        });
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (http::response::Parts, Bytes) {
        let mut request = Request::post(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Writes bytes as they are; what came back until the server closed.
    async fn raw(&self, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut received = Vec::new();
        // A reset ends it too.
        let _end = stream.read_to_end(&mut received).await;
        String::from_utf8_lossy(&received).into_owned()
    }

    async fn stop(self) {
        assert_eq!(self.account.held(), 0);
        self.server.shutdown(Deadline::after(Duration::from_secs(5))).await;
    }
}

#[tokio::test]
async fn every_encoding_is_decompressed_and_bombs_are_not() {
    let server = serve("max_request_body_size: 100000").await;
    let (good, bomb) = (vec![b'a'; 50_000], vec![0; 4 << 20]);
    for (name, algorithm) in [
        ("gzip", Algorithm::Gzip),
        ("GZIP", Algorithm::Gzip),
        ("zstd", Algorithm::Zstd),
        ("zlib", Algorithm::Zlib),
        ("deflate", Algorithm::Zlib),
        ("snappy", Algorithm::SnappyBlock),
        ("snappy", Algorithm::SnappyFramed),
        ("x-snappy-framed", Algorithm::SnappyFramed),
    ] {
        let headers = [("content-encoding", name)];
        let packed = deflate(algorithm, None, &[good.clone().into()]).await.unwrap();
        let (head, body) = server.post("/echo", &headers, packed).await;
        assert!(head.status == 200 && body == good, "{name} {algorithm:?}");
        let mut packed = deflate(algorithm, None, &[bomb.clone().into()]).await.unwrap();
        packed.truncate(100_000);
        let (head, body) = server.post("/echo", &headers, packed).await;
        assert_eq!(
            (head.status.as_u16(), &*body),
            (413, &b"refused: request body is larger than the limit of 100000 bytes"[..]),
            "{name}"
        );
        let (head, body) = server.post("/echo", &headers, "not compressed at all").await;
        assert_eq!(head.status, 400, "{name}");
        assert!(body.starts_with(b"refused: "), "{name}");
    }
    for name in ["lz4", "br", "gzip, zstd"] {
        let (head, body) = server.post("/echo", &[("content-encoding", name)], "x").await;
        assert_eq!(
            (head.status.as_u16(), body),
            (400, format!("refused: unsupported Content-Encoding: {name}").into())
        );
    }
    let (head, body) = server.post("/echo", &[("content-encoding", "identity")], "x").await;
    assert_eq!((head.status.as_u16(), &*body), (200, &b"x"[..]));
    server.stop().await;
    let server = serve("compression_algorithms: []").await;
    let (_, body) = server.post("/echo", &[("content-encoding", "gzip")], "as it is").await;
    assert_eq!(&*body, b"as it is");
    server.stop().await;
    let server = serve("compression_algorithms: ['', zstd]").await;
    let (head, _) = server.post("/echo", &[("content-encoding", "gzip")], "x").await;
    assert_eq!(head.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_middleware_refuses_requests_with_and_without_a_body() {
    let host = host();
    let gate = limited(&host, 1000);
    let server = serve_on(host, "middlewares: [{id: limiter}]").await;
    for (sent, expected) in [(999, 200), (1000, 503)] {
        let (head, _) = server.post("/echo", &[], vec![0; sent]).await;
        assert_eq!(head.status, expected);
    }
    let get = || Request::get("/").header("host", "test").body(Full::default()).unwrap();
    assert_eq!(server.send(get()).await.0.status, 200, "it takes no room");
    gate.set_closed(true);
    let (head, body) = server.send(get()).await;
    assert_eq!((head.status.as_u16(), head.headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(body.starts_with(b"data refused due to high memory usage"), "{body:?}");
    gate.set_closed(false);
    let packed = deflate(Algorithm::Gzip, None, &[vec![0; 100_000].into()]).await.unwrap();
    let (head, _) = server.post("/echo", &[("content-encoding", "gzip")], packed).await;
    assert_eq!(head.status, 503, "it may not grow past the gate");
    assert_eq!(server.account.refused_requests(), 1, "the handler admitted it");
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_is_sent() {
    let server = serve("max_request_body_size: 1000").await;
    let (head, _) = server.post("/echo", &[], vec![0; 1000]).await;
    assert_eq!(head.status, 200);
    // A client that sends much more than is read still gets to see the answer.
    let (head, body) = server.post("/echo", &[], vec![0; 600_000]).await;
    assert_eq!(
        (head.status.as_u16(), &*body),
        (413, &b"refused: request body is larger than the limit of 1000 bytes"[..])
    );
    let mut chunked =
        b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        chunked.extend(b"1f4\r\n");
        chunked.extend(vec![b'a'; 500]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert!(server.raw(&chunked).await.starts_with("HTTP/1.1 413"));
    server.stop().await;
}

#[tokio::test]
async fn refusals_do_not_wait_for_the_body() {
    let server = serve("{}").await;
    let big = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n";
    let started = std::time::Instant::now();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(big.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 503");
    assert!(started.elapsed() < Duration::from_secs(1));
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn routes_panics_metadata_and_response_headers() {
    let server = serve("{include_metadata: true, response_headers: {X-Served-By: weir}}").await;
    let (head, body) = server.send(Request::get("/x").header("host", "test").body(Full::default()).unwrap()).await;
    assert_eq!(
        (head.status.as_u16(), &*body, &head.headers["x-served-by"]),
        (200, &b"hello"[..], &HeaderValue::from_static("weir"))
    );
    let (head, _) = server.post("/nowhere", &[], "x").await;
    assert_eq!((head.status.as_u16(), &head.headers["x-served-by"]), (404, &HeaderValue::from_static("weir")));
    let (head, _) = server.post("/panic", &[], "x").await;
    assert_eq!(head.status, 500);
    server.seen.lock().clear();
    server.post("/echo", &[("X-Tenant", "eu")], "x").await;
    let request = server.seen.lock().pop().unwrap();
    assert_eq!((request.metadata.get("x-tenant"), request.metadata.get("host")), (Some("eu"), Some("test")));
    assert!(count(&server.host, "http_server_request_duration", "/echo") >= 1.0);
    server.stop().await;
}

#[tokio::test]
async fn speaks_http2_in_plaintext() {
    let server = serve("include_metadata: true").await;
    let mut client = h2(server.address()).await;
    let reply = send(&mut client, "/echo", &[], whole_body(vec![vec![1; 100_000], vec![2; 7]])).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 100_007));
    assert_eq!(server.seen.lock()[0].metadata.get("host"), Some("test"));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn cors_answers_preflights_and_marks_answers() {
    let server = serve("cors: {allowed_origins: ['https://*.example.com'], allowed_headers: [X-Custom], exposed_headers: [X-A], max_age: 600}").await;
    let preflight = |origin: &str, method: &str, headers: &str| {
        Request::options("/echo")
            .header("host", "test")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", headers)
            .body(Full::default())
            .unwrap()
    };
    let (head, _) = server.send(preflight("https://App.example.com", "POST", "x-custom")).await;
    assert_eq!(head.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://App.example.com"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "x-custom"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(head.headers[name], value);
    }
    for bad in [
        preflight("https://example.org", "POST", "x-custom"),
        preflight("https://a.example.com", "DELETE", "x-custom"),
        preflight("https://a.example.com", "POST", "x-other"),
    ] {
        let (head, _) = server.send(bad).await;
        assert!(head.status == 204 && !head.headers.contains_key("access-control-allow-origin"));
    }
    let (head, _) = server.post("/echo", &[("origin", "https://a.example.com")], "x").await;
    assert_eq!(head.headers["access-control-allow-origin"], "https://a.example.com");
    assert_eq!(
        (&head.headers["access-control-expose-headers"], &head.headers["vary"]),
        (&HeaderValue::from_static("X-A"), &HeaderValue::from_static("Origin"))
    );
    let (head, _) = server.post("/echo", &[("origin", "https://b.org")], "x").await;
    assert!(!head.headers.contains_key("access-control-allow-origin"));
    server.stop().await;
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_idle_connections_end() {
    let server = serve("{read_header_timeout: 60ms, read_timeout: 80ms, idle_timeout: 100ms}").await;
    assert_eq!(server.raw(b"").await, "");
    assert_eq!(server.raw(b"POST /echo HT").await, "");
    let answer = server.raw(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("did not arrive in time"), "{answer}");
    // A whole request, then silence, then half of the next head.
    let whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(server.raw(whole).await.starts_with("HTTP/1.1 200"));
    assert!(server.raw(&[&whole[..], b"GET /"].concat()).await.starts_with("HTTP/1.1 200"));
    assert!(count(&server.host, "weir_server_protocol_errors", "header_timeout") >= 2.0);
    server.stop().await;
}

#[tokio::test]
async fn write_timeout_bounds_the_answer_and_keep_alive_can_be_off() {
    let server = serve("{write_timeout: 40ms, keep_alives_enabled: false}").await;
    let slow = server.raw(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na").await;
    assert!(slow.starts_with("HTTP/1.1 503") && slow.contains("write_timeout"), "{slow}");
    let answer = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    server.server.shutdown(Deadline::after(Duration::from_millis(10))).await;
    assert_eq!(server.account.held(), 0);
}

#[tokio::test]
async fn garbage_is_answered_and_counted() {
    let server = serve("{}").await;
    for (sent, answer, reason) in [
        (&b"\0\0\0\0\0\0\0\0\0\0\0\0"[..], "HTTP/1.1 400 Bad Request", "garbage"),
        (b"POST /echo HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400", "malformed"),
        (b"\x16\x03\x01\0\x05hello", "\u{15}\u{3}\u{1}", "tls_on_plaintext_port"),
    ] {
        let received = server.raw(sent).await;
        assert!(received.starts_with(answer), "{reason}: {received:?}");
        eventually(|| count(&server.host, "weir_server_protocol_errors", reason) > 0.0).await;
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let received = server.raw(huge.as_bytes()).await;
    assert!(received.is_empty() || received.starts_with("HTTP/1.1 431"), "{received}");
    server.stop().await;
}

#[test]
fn settings_are_checked_and_bad_ones_named() {
    for (yaml, part) in [
        ("{endpoint: 'localhost:1', compression_algorithms: [lz4]}", "compression `lz4` is not supported"),
        ("{endpoint: 'localhost:1', compression_algorithms: [br]}", "unsupported compression type: \"br\""),
        ("{endpoint: 'localhost:1', cors: {max_age: -1}}", "`max_age` must not be negative"),
        ("{endpoint: 'localhost:1', response_headers: {'a b': c}}", "`a b` is not a valid header"),
        ("{transport: unix, endpoint: ''}", "must be the path of a Unix socket"),
    ] {
        let error = refused::<HttpServerConfig>(yaml);
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let config: HttpServerConfig = decoded("{endpoint: 'localhost:1', max_request_body_size: -5}");
    assert_eq!(config.body_bytes_max(), 20 << 20);
}
