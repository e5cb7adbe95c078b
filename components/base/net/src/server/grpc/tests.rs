use std::time::Duration;

use component::{Code, ComponentId, Deadline, Extension};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::compression::{Algorithm, deflate};
use crate::testing::*;

const ECHO: &str = METHODS[0];

#[tokio::test]
async fn a_message_comes_and_goes_whole_in_any_framing() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let big = vec![7; 3_000_000];
    let message = framed(0, &big);
    let bytewise = framed(0, b"hello").into_iter().map(|byte| vec![byte]).collect();
    for (parts, expected) in [
        (vec![framed(0, b"")], &b""[..]),
        (vec![framed(0, b"hello")], b"hello"),
        (bytewise, b"hello"),
        (vec![message[..3].to_vec(), message[3..].to_vec()], &big),
        (vec![framed(0, b"x"), vec![]], b"x"),
    ] {
        let reply = send(&mut client, ECHO, &[], whole_body(parts)).await.unwrap();
        assert_eq!((reply.status, reply.grpc()), (StatusCode::OK, (Code::Ok, String::new())));
        assert!(reply.body == framed(0, expected));
        let (_, body, request) = recorder.calls.lock().pop().unwrap();
        assert_eq!(body.capacity(), expected.len());
        assert!(request.peer.is_some() && request.metadata.is_empty() && request.trace.is_none());
    }
    assert_eq!(recorder.account.held(), 0);
    assert!(count(&host, "rpc_server_duration", "Echo") >= 5.0);
    stop(&server).await;
}

#[tokio::test]
async fn compressed_messages_are_inflated_within_the_limit() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("max_recv_msg_size_mib: 1", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let (good, bomb) = (vec![b'a'; 500_000], vec![0; 2 << 20]);
    for (name, algorithm) in [
        ("gzip", Algorithm::Gzip),
        ("zstd", Algorithm::Zstd),
        ("snappy", Algorithm::SnappyFramed),
        ("snappy", Algorithm::SnappyBlock),
    ] {
        let headers = [("grpc-encoding", name)];
        let packed = deflate(algorithm, None, &[good.clone().into()]).await.unwrap();
        let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(1, &packed)])).await.unwrap();
        assert!(reply.body == framed(0, &good), "{name}");
        assert_eq!(recorder.admitted.lock().last(), Some(&packed.len()));
        let packed = deflate(algorithm, None, &[bomb.clone().into()]).await.unwrap();
        let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(1, &packed)])).await.unwrap();
        let (code, message) = reply.grpc();
        assert_eq!(code, Code::ResourceExhausted, "{name}");
        assert_eq!(message, "grpc: received message after decompression larger than max 1048576");
        let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(1, b"not compressed")])).await.unwrap();
        assert_eq!(reply.grpc().0, Code::Internal, "{name}");
        // Not flagged as compressed: taken as it is.
        let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(0, b"plain")])).await.unwrap();
        assert_eq!(reply.body, framed(0, b"plain"));
    }
    stop(&server).await;
}

#[tokio::test]
async fn bad_requests_get_the_answer_a_grpc_client_expects() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("max_recv_msg_size_mib: 1", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let good = framed(0, b"x");
    let mut two = good.clone();
    two.extend(framed(0, b"y"));
    let oversized = [&[0][..], &(1_048_577_u32).to_be_bytes()].concat();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>, Code, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (METHODS[1], &[], good.clone(), Code::PermissionDenied, "no \u{fc}se"),
        (METHODS[2], &[], good.clone(), Code::Internal, "the request's handler failed"),
        ("/a.B/C", &[], good.clone(), Code::Unimplemented, "unknown service a.B or unknown method C"),
        (ECHO, &[], vec![], Code::Internal, "received no request message from a unary RPC"),
        (ECHO, &[], vec![0, 0, 0], Code::Internal, "unexpected end of the message prefix"),
        (
            ECHO,
            &[],
            framed(0, b"hello")[..8].to_vec(),
            Code::Internal,
            "unexpected end of the message: 3 of 5 bytes came",
        ),
        (ECHO, &[], framed(2, b"x"), Code::Internal, "grpc: received unexpected payload format 2"),
        (ECHO, &[], framed(1, b"x"), Code::Internal, "grpc: compressed flag set with identity or empty encoding"),
        (ECHO, &[], oversized, Code::ResourceExhausted, "grpc: received message larger than max (1048577 vs. 1048576)"),
        (ECHO, &[], two, Code::Internal, "received more than one request message in a unary RPC"),
        (
            ECHO,
            &[("grpc-encoding", "lz4")],
            good.clone(),
            Code::Unimplemented,
            "grpc: Decompressor is not installed for grpc-encoding \"lz4\"",
        ),
        (ECHO, &[("grpc-timeout", "soon")], good.clone(), Code::Internal, "malformed grpc-timeout: `soon`"),
    ];
    for (path, headers, body, code, message) in cases {
        let reply = send(&mut client, path, headers, whole_body(vec![body])).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.headers["content-type"], "application/grpc");
        assert_eq!(reply.grpc(), (code, message.to_owned()));
        assert_eq!(reply.headers.contains_key("grpc-accept-encoding"), code == Code::Unimplemented);
    }
    for (content_type, status) in [
        ("application/json", 415),
        ("application/grpc-web", 415),
        ("application/grpcx", 415),
        ("application/grpc+proto", 200),
        ("application/grpc; x=y", 200),
    ] {
        let reply =
            send(&mut client, ECHO, &[("content-type", content_type)], whole_body(vec![good.clone()])).await.unwrap();
        assert_eq!(reply.status, status, "{content_type}");
    }
    assert_eq!(recorder.account.held(), 0);
    stop(&server).await;
}

#[tokio::test]
async fn a_request_that_is_not_admitted_is_refused_before_its_body_comes() {
    let (host, recorder) = (host(), Recorder::new(1000));
    let server = grpc_server("{}", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    for _ in 0..20 {
        let (part, body) = open_body();
        part.send(framed(0, &[0; 1001])[..5].to_vec().into()).unwrap();
        let started = std::time::Instant::now();
        let reply = send(&mut client, ECHO, &[], body).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
        let (code, message) = reply.grpc();
        assert_eq!(code, Code::Unavailable);
        assert!(message.starts_with("data refused due to high memory usage"), "{message}");
        assert_eq!(reply.headers["grpc-status-details-bin"], "cmV0cnk");
        drop(part);
    }
    // The connection goes on.
    let reply = send(&mut client, ECHO, &[], whole_body(vec![framed(0, b"fits")])).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Ok);
    // What does not fit only once inflated is refused too.
    let packed = deflate(Algorithm::Gzip, None, &[vec![0; 100_000].into()]).await.unwrap();
    let headers = [("grpc-encoding", "gzip")];
    let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(1, &packed)])).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Unavailable);
    assert_eq!(recorder.account.held(), 0);
    stop(&server).await;
}

#[tokio::test]
async fn a_middleware_refuses_before_the_handler_is_asked() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let gate = limited(&host, 1000);
    let server = grpc_server("middlewares: [{id: limiter}]", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let (part, body) = open_body();
    part.send(framed(0, &[0; 1000])[..5].to_vec().into()).unwrap();
    let reply = send(&mut client, ECHO, &[], body).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Unavailable);
    assert_eq!(reply.headers["grpc-status-details-bin"], "cmV0cnk", "the handler's words");
    assert_eq!((recorder.admitted.lock().len(), gate.refused_requests()), (0, 1));
    let reply = send(&mut client, ECHO, &[], whole_body(vec![framed(0, b"fits")])).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Ok);
    // What the handler admits may not grow past the gate.
    let packed = deflate(Algorithm::Gzip, None, &[vec![0; 100_000].into()]).await.unwrap();
    let headers = [("grpc-encoding", "gzip")];
    let reply = send(&mut client, ECHO, &headers, whole_body(vec![framed(1, &packed)])).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Unavailable);
    assert_eq!(recorder.account.held(), 0);
    stop(&server).await;
}

#[tokio::test]
async fn metadata_trace_and_deadline_reach_the_handler_when_asked_for() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("include_metadata: true", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let headers = [
        ("x-tenant", "eu"),
        ("grpc-timeout", "10S"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    send(&mut client, ECHO, &headers, whole_body(vec![framed(0, b"x")])).await.unwrap();
    let (_, _, request) = recorder.calls.lock().pop().unwrap();
    assert_eq!((request.metadata.get("X-Tenant"), request.metadata.get(":authority")), (Some("eu"), Some("test")));
    assert!(request.trace.unwrap().sampled);
    let left = request.deadline.unwrap().duration_since(std::time::Instant::now());
    assert!(left > Duration::from_secs(5) && left <= Duration::from_secs(10));
    stop(&server).await;
}

#[tokio::test]
async fn work_runs_to_its_end_when_the_client_goes_away_and_shutdown_waits_for_it() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = Arc::new(grpc_server("{}", &host, &recorder).await);
    let mut client = h2(server.local_addr().unwrap()).await;
    let slow = tokio::spawn(async move { send(&mut client, METHODS[3], &[], whole_body(vec![framed(0, b"x")])).await });
    eventually(|| recorder.calls.lock().len() == 1).await;
    slow.abort();
    let stopping = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.shutdown(Deadline::after(Duration::from_secs(60))).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_finished());
    recorder.gate.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(*recorder.finished.lock(), 1);
    assert_eq!(recorder.account.held(), 0);
}

#[tokio::test]
async fn shutdown_cuts_what_does_not_end_by_the_deadline() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let slow = tokio::spawn(async move { send(&mut client, METHODS[3], &[], whole_body(vec![framed(0, b"x")])).await });
    eventually(|| recorder.calls.lock().len() == 1).await;
    server.shutdown(Deadline::after(Duration::from_millis(20))).await;
    assert_eq!((*recorder.finished.lock(), recorder.account.held()), (0, 0));
    let cut = slow.await.unwrap();
    assert!(cut.is_err() || cut.unwrap().grpc().0 == Code::Unavailable);
    server.shutdown(Deadline::after(Duration::from_millis(20))).await;
}

#[tokio::test]
async fn wrong_protocols_are_answered_readably_and_counted() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let address = server.local_addr().unwrap();
    for (sent, answer, reason) in [
        (
            &b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"[..],
            &b"HTTP/1.1 415 Unsupported Media Type\r\n"[..],
            "http1_on_grpc_port",
        ),
        (b"\x16\x03\x01\0\x05hello", &[21, 3, 1, 0, 2, 2, 40], "tls_on_plaintext_port"),
        (b"\0\x01\x02garbage", b"", "garbage"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"", "http2"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut received = Vec::new();
        // A reset is as good as an end for those who get no answer.
        let read = stream.read_to_end(&mut received).await;
        assert!(received.starts_with(answer), "{reason}: {:?} {read:?}", String::from_utf8_lossy(&received));
        eventually(|| count(&host, "weir_server_protocol_errors", reason) > 0.0).await;
    }
    // A connection that closes without a word is a health check.
    drop(TcpStream::connect(address).await.unwrap());
    stop(&server).await;
    assert!(count(&host, "weir_server_protocol_errors", "grpc") <= 4.0);
}

#[tokio::test]
async fn idle_and_old_connections_are_asked_to_go() {
    for yaml in [
        "keepalive: {server_parameters: {max_connection_idle: 60ms}}",
        "keepalive: {server_parameters: {max_connection_age: 60ms, max_connection_age_grace: 50ms}}",
    ] {
        let (host, recorder) = (host(), Recorder::new(usize::MAX));
        let server = grpc_server(yaml, &host, &recorder).await;
        let mut client = h2(server.local_addr().unwrap()).await;
        let reply = send(&mut client, ECHO, &[], whole_body(vec![framed(0, b"x")])).await.unwrap();
        assert_eq!(reply.grpc().0, Code::Ok);
        eventually(|| client.is_closed()).await;
        stop(&server).await;
    }
}

#[tokio::test]
async fn a_slow_body_ends_with_the_callers_deadline() {
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let server = grpc_server("{}", &host, &recorder).await;
    let mut client = h2(server.local_addr().unwrap()).await;
    let (part, body) = open_body();
    part.send(framed(0, b"hello")[..7].to_vec().into()).unwrap();
    let reply = send(&mut client, ECHO, &[("grpc-timeout", "50m")], body).await.unwrap();
    assert_eq!(reply.grpc(), (Code::DeadlineExceeded, "the body did not arrive in time".to_owned()));
    assert_eq!(recorder.account.held(), 0);
    stop(&server).await;
}

#[tokio::test]
async fn settings_are_checked_and_bad_ones_named() {
    for (yaml, part) in [
        ("endpoint: localhost", "lacks a port"),
        (
            "{endpoint: 'localhost:1', max_recv_msg_size_mib: -1}",
            "invalid max_recv_msg_size_mib value, must be non-negative: -1",
        ),
        ("{endpoint: 'localhost:1', transport: udp}", "does not know the text `udp`"),
        (
            "{endpoint: 'localhost:1', tls: {}}",
            "TLS configuration must include both certificate and key for server connections",
        ),
        ("{endpoint: 'localhost:1', keepalive: {enforcement_policy: {min_time: 1s}}}", "enforcement_policy"),
        ("{endpoint: 'localhost:1', auth: {}}", "authenticator"),
    ] {
        let error = refused::<GrpcServerConfig>(yaml);
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let config: GrpcServerConfig = decoded(
        "{endpoint: 'localhost:1', auth: {authenticator: basicauth}, middlewares: [{id: memory_limiter}], tls: null}",
    );
    assert_eq!(config.extension_refs().len(), 2);
    let host = host();
    host.set_extensions([(ComponentId::new("idle"), Arc::new(Limited(None)) as Arc<dyn Extension>)].into());
    for (yaml, part) in [
        ("{endpoint: '127.0.0.1:0', auth: {authenticator: nobody}}", "`nobody` is not running"),
        ("{endpoint: '127.0.0.1:0', middlewares: [{id: limiter}]}", "`limiter` is not running"),
        (
            "{endpoint: '127.0.0.1:0', middlewares: [{id: idle}]}",
            "`middlewares`: extension `idle` cannot be a middleware of a server",
        ),
        (
            "{endpoint: '127.0.0.1:0', tls: {cert_file: /nowhere.pem, key_file: /nowhere.key}}",
            "cannot read certificate `/nowhere.pem`",
        ),
        ("endpoint: 'nowhere.invalid:0'", "listen on `nowhere.invalid:0`"),
        ("{endpoint: '[::1]:0', transport: tcp4}", "listen on"),
    ] {
        let handler = Arc::new(Shared(Recorder::new(0)));
        let error = GrpcServer::start(&decoded(yaml), &host, settings(&host), handler).await.unwrap_err();
        let error = crate::report(&error);
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

#[tokio::test]
async fn serves_on_a_unix_socket_and_takes_over_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (host, recorder) = (host(), Recorder::new(usize::MAX));
    let yaml = format!("{{endpoint: {}, transport: unix}}", path.display());
    let server = grpc_server(&yaml, &host, &recorder).await;
    assert_eq!(server.local_addr(), None);
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Body>(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    let reply = send(&mut client, ECHO, &[], whole_body(vec![framed(0, b"x")])).await.unwrap();
    assert_eq!(reply.grpc().0, Code::Ok);
    assert_eq!(recorder.calls.lock().pop().unwrap().2.peer, None);
    drop(client);
    driver.await.unwrap().unwrap();
    stop(&server).await;
    drop(server);
    eventually(|| !path.exists()).await;
}
