use std::net::SocketAddr;

use component::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::testing::*;

const ECHO: &str = METHODS[0];

fn channel(yaml: &str) -> Arc<GrpcChannel> {
    GrpcChannel::new(&decoded(yaml), client_settings()).unwrap_or_else(|error| panic!("{error}"))
}

fn to(address: SocketAddr, more: &str) -> Arc<GrpcChannel> {
    channel(&format!("{{endpoint: '{address}', tls: {{insecure: true}}, {more}}}"))
}

async fn echo(channel: &GrpcChannel, message: &[Bytes]) -> Result<UnaryReply, CallError> {
    channel.unary(ECHO, message, &Context::default(), Some(Instant::now() + Duration::from_secs(10))).await
}

#[tokio::test]
async fn ropes_arrive_whole_with_every_compression() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("include_metadata: true", &host, &recorder).await;
    let rope =
        [Bytes::from(vec![1; 100_000]), Bytes::new(), Bytes::from(vec![2; 1_000_000]), Bytes::from_static(b"end")];
    for compression in ["none", "gzip", "zstd", "snappy", "''"] {
        let more = format!("compression: {compression}, headers: {{X-Tenant: eu}}, authority: other.name");
        let channel = to(server.local_addr().unwrap(), &more);
        for message in [&rope[..], &[]] {
            let reply = echo(&channel, message).await.unwrap();
            let (_, received, request) = recorder.calls.lock().pop().unwrap();
            assert!(reply.message == received && received == message.concat(), "{compression}");
            assert_eq!(request.metadata.get("x-tenant"), Some("eu"));
            assert_eq!(request.metadata.get("user-agent"), Some("weir-test/1"));
            assert_eq!(request.metadata.get(":authority"), Some("other.name"));
            assert!(request.deadline.is_some());
            let is_smaller = reply.sent_bytes < 100_000;
            assert_eq!(is_smaller, message.is_empty() || !matches!(compression, "none" | "''"), "{compression}");
        }
        channel.shutdown().await;
    }
    stop(&server).await;
}

/// A server that answers every call with the same compressed message, as Go's do to a compressed request.
async fn compressing_server(encoding: &'static str, message: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = framed(1, &message);
            let service = hyper::service::service_fn(move |_request| {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let frames = [http_body::Frame::data(Bytes::from(body.clone())), http_body::Frame::trailers(trailers)];
                let frames = frames.map(Ok::<_, std::convert::Infallible>);
                let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
                let mut response = http::Response::new(body);
                response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                response.headers_mut().insert("grpc-encoding", HeaderValue::from_static(encoding));
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(hyper_util::rt::TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn compressed_answers_are_inflated() {
    use crate::compression::Algorithm;
    for (name, algorithm) in [("gzip", Algorithm::Gzip), ("zstd", Algorithm::Zstd), ("snappy", Algorithm::SnappyFramed)]
    {
        for message in [&b""[..], b"an answer"] {
            let packed = deflate(algorithm, None, &[Bytes::from_static(message)]).await.unwrap();
            let channel = to(compressing_server(name, packed).await, "");
            assert_eq!(echo(&channel, &[]).await.unwrap().message, message, "{name}");
        }
    }
    for (name, said) in [("identity", "does not say how"), ("lz4", "not installed"), ("gzip", "cannot decompress")] {
        let channel = to(compressing_server(name, b"no gzip".to_vec()).await, "");
        let error = echo(&channel, &[]).await.unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
}

#[tokio::test]
async fn statuses_come_back_with_details() {
    let (host, recorder) = (host(), Recorder::new(100));
    let server = grpc_server("{}", &host, &recorder).await;
    let channel = to(server.local_addr().unwrap(), "");
    let error = echo(&channel, &[Bytes::from(vec![0; 101])]).await.unwrap_err();
    let CallError::Status(status) = error else { panic!("{error}") };
    assert_eq!((status.code, &*status.details), (Code::Unavailable, &b"retry"[..]));
    let error = channel.unary(METHODS[1], &[], &Context::default(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered PERMISSION_DENIED: no \u{fc}se");
    let error = channel.unary("/no.Such/Method", &[], &Context::default(), None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    stop(&server).await;
}

#[tokio::test]
async fn a_deadline_says_how_far_the_call_came() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let channel = to(server.local_addr().unwrap(), "");
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let error = channel.unary(METHODS[3], &[], &Context::default(), deadline).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Wait, .. }), "{error}");
    recorder.gate.add_permits(1);
    // A server that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = to(silent.local_addr().unwrap(), "");
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let error = channel.unary(ECHO, &[], &Context::default(), deadline).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Connect, .. }), "{error}");
    channel.shutdown().await;
    stop(&server).await;
}

#[tokio::test]
async fn failures_name_the_phase_and_a_remedy() {
    // A port that was free a moment ago.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = echo(&to(gone, ""), &[]).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { phase: Phase::Connect, is_unprocessed: true, .. }), "{error}");
    assert!(error.to_string().contains("nothing listens there"), "{error}");
    let error = echo(&channel("{endpoint: 'nowhere.invalid:1', tls: {insecure: true}}"), &[]).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { phase: Phase::Resolve, .. }), "{error}");
    for (answer, part) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak gRPC: OTLP over gRPC is usually on port 4317"),
        (&[21, 3, 1, 0, 2, 2, 40, 0, 0], "the server speaks TLS: set `tls::insecure` to false"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9", "does not speak HTTP/2"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let error = echo(&to(address, ""), &[]).await.unwrap_err().to_string();
        assert!(error.contains(part), "{answer:?}: {error}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn reconnects_after_the_server_came_back_and_waits_for_it_when_asked() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let address = server.local_addr().unwrap();
    let (hasty, patient) = (to(address, "balancer_name: pick_first"), to(address, "wait_for_ready: true"));
    echo(&hasty, &[]).await.unwrap();
    stop(&server).await;
    drop(server);
    let error = echo(&hasty, &[]).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { phase: Phase::Connect, .. }), "{error}");
    let waiting = tokio::spawn({
        let patient = Arc::clone(&patient);
        async move { echo(&patient, &[Bytes::from_static(b"late")]).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    let server = grpc_server(&format!("endpoint: '{address}'"), &host, &recorder).await;
    assert_eq!(waiting.await.unwrap().unwrap().message, "late");
    let mut attempts = 0;
    while let Err(error) = echo(&hasty, &[]).await {
        attempts += 1;
        assert!(attempts < 200, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(&server).await;
}

#[tokio::test]
async fn calls_survive_connections_that_are_asked_to_go() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let yaml = "keepalive: {server_parameters: {max_connection_age: 30ms, max_connection_age_grace: 5s}}";
    let server = grpc_server(yaml, &host, &recorder).await;
    let channel = to(server.local_addr().unwrap(), "");
    let end = Instant::now() + Duration::from_millis(500);
    let mut calls = 0;
    while Instant::now() < end {
        echo(&channel, &[Bytes::from_static(b"x")]).await.unwrap_or_else(|error| panic!("call {calls}: {error}"));
        calls += 1;
    }
    assert!(calls > 20, "{calls}");
    stop(&server).await;
}

#[tokio::test]
async fn round_robin_uses_every_address_and_unix_sockets_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server(&format!("{{endpoint: {}, transport: unix}}", path.display()), &host, &recorder).await;
    let client = channel(&format!("{{endpoint: 'unix://{}', tls: {{insecure: true}}}}", path.display()));
    assert_eq!(echo(&client, &[Bytes::from_static(b"x")]).await.unwrap().message, "x");
    client.shutdown().await;
    stop(&server).await;
    let error = echo(&client, &[]).await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
}

#[test]
fn settings_are_checked_and_bad_ones_named() {
    for (yaml, part) in [
        ("{}", "requires a non-empty \"endpoint\""),
        ("endpoint: localhost", "lacks a port"),
        ("{endpoint: 'a:1', balancer_name: grpclb}", "invalid balancer_name: grpclb"),
        ("{endpoint: 'a:1', compression: deflate}", "unsupported compression type `deflate` for gRPC"),
        ("{endpoint: 'a:1', compression: lz4}", "unsupported compression type `lz4` for gRPC"),
        ("{endpoint: 'a:1', compression: br}", "does not know the text `br`"),
        ("{endpoint: 'a:1', headers: {'a b': c}}", "`a b` is not a valid header"),
        ("{endpoint: 'a:1', tls: {ca_file: a, ca_pem: b}}", "provide either the CA file or the CA PEM-encoded string"),
        ("{endpoint: 'a:1', tls: {cert_file: a}}", "provide both certificate and key, or neither"),
        ("{endpoint: 'a:1', tls: {min_version: '1.1'}}", "TLS 1.1 is not supported"),
        ("{endpoint: 'a:1', tls: {min_version: '1.3', max_version: '1.2'}}", "min_version cannot be greater"),
        (
            "{endpoint: 'a:1', tls: {cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]}}",
            "`TLS_RSA_WITH_AES_128_CBC_SHA` is not supported",
        ),
        ("{endpoint: 'a:1', tls: {curve_preferences: [P521]}}", "curve `P521` is not supported"),
        ("{endpoint: 'a:1', tls: {tpm: {enabled: true}}}", "keys in a TPM cannot be used"),
    ] {
        let error = refused::<GrpcClientConfig>(yaml);
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let error =
        GrpcChannel::new(&decoded("{endpoint: 'a:1', tls: {ca_file: /nowhere.pem}}"), client_settings()).unwrap_err();
    assert_eq!(error.path, "tls::ca_file");
    assert!(error.message.contains("cannot read CA `/nowhere.pem`"), "{error}");
    let host = host();
    let channel = channel("{endpoint: 'a:1', auth: {authenticator: nobody}}");
    let error = channel.start(&host).unwrap_err().to_string();
    assert!(error.contains("`nobody` is not running"), "{error}");
    for ineffective in ["read_buffer_size: 5", "tls: {curve_preferences: [P521, X25519]}"] {
        let (_, warnings) =
            config::decode_str::<GrpcClientConfig>(&format!("{{endpoint: 'a:1', {ineffective}}}")).unwrap();
        assert_eq!(warnings.len(), 1, "{ineffective}");
    }
}

/// Labels (without those of the component) and count of a histogram's only series.
fn measured(telemetry: &component::Telemetry, name: &str) -> (Vec<(String, String)>, u64, f64) {
    let reading = telemetry.registry().read().into_iter().find(|reading| reading.metric.name == name).unwrap();
    let [(labels, component::telemetry::Value::Histogram { counts, sum, .. })] = &reading.series[..] else { panic!() };
    (labels.clone(), counts.iter().sum(), *sum)
}

#[tokio::test]
async fn traces_are_passed_on_as_the_host_says_and_calls_are_measured() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("include_metadata: true", &host, &recorder).await;
    let channel = to(server.local_addr().unwrap(), "compression: gzip");
    let context = Context {
        trace: pdata::TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..Context::default()
    };
    let call = async |context: &Context| {
        channel.unary(ECHO, &[Bytes::from(vec![7; 1000])], context, None).await.unwrap();
        let metadata = recorder.calls.lock().pop().unwrap().2.metadata;
        ["traceparent", "b3"].map(|name| metadata.get(name).map(str::to_owned))
    };
    let w3c = context.trace.map(|trace| trace.traceparent());
    assert_eq!(call(&context).await, [None, None], "not started");
    channel.start(&host).unwrap();
    assert_eq!(call(&context).await, [w3c.clone(), None]);
    assert_eq!(call(&Context::default()).await, [None, None]);
    host.set_trace_headers(component::lifecycle::TraceHeaders::W3cThenB3);
    assert_eq!(call(&context).await, [w3c, context.trace.map(|trace| trace.b3())]);
    host.set_trace_headers(component::lifecycle::TraceHeaders::Off);
    assert_eq!(call(&context).await, [None, None]);
    let telemetry = &channel.settings.telemetry;
    let (labels, count, bytes) = measured(telemetry, "rpc_client_request_size");
    let (service, method) = ECHO.trim_start_matches('/').split_once('/').unwrap();
    let expected =
        [("rpc_grpc_status_code", "0"), ("rpc_method", method), ("rpc_service", service), ("rpc_system", "grpc")];
    assert_eq!(labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((count, bytes), (5, 5000.0));
    assert_eq!(measured(telemetry, "rpc_client_duration").1, 5);
    channel.shutdown().await;
    stop(&server).await;
    telemetry.registry().set_level(component::Level::Normal);
    assert!(telemetry.registry().read().is_empty());
}

#[tokio::test]
async fn calls_that_fail_are_measured_by_their_code() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = to(closed, "compression: none");
    echo(&channel, &[]).await.unwrap_err();
    let (labels, count, _) = measured(&channel.settings.telemetry, "rpc_client_duration");
    assert!(labels.contains(&("rpc_grpc_status_code".to_owned(), "14".to_owned())), "{labels:?}");
    assert_eq!(count, 1);
}
