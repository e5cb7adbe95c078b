//! The receiver over loopback, with a plain HTTP client: both protocols, both encodings, every kind of answer.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component::factory::Create;
use component::{
    Accepted, Code, Component, ComponentId, ConsumeFuture, ConsumeResult, Consumer, Deadline, DeliveryError, Kind,
    Outputs,
};
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::{Encoding, ExportResponse, Status, json, paths};
use pdata::{Batch, Outcome, Signal};
use receiver_otlp::{OtlpConfig, OtlpReceiver};
use testkit::{Answer, Sink, World, items};
use tokio::net::TcpStream;

/// Answers every batch the same way.
struct Fixed(Box<dyn Fn(Batch) -> ConsumeResult + Send + Sync>);

impl Consumer for Fixed {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        let answer = (self.0)(batch);
        Box::pin(async { answer })
    }
}

struct Running {
    world: World,
    receiver: OtlpReceiver,
}

const BOTH: &str = "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}";

impl Running {
    async fn start(yaml: &str, signals: &[Signal], next: Arc<dyn Consumer>) -> Self {
        Self::start_in(World::new(), yaml, signals, next).await
    }

    async fn start_in(world: World, yaml: &str, signals: &[Signal], next: Arc<dyn Consumer>) -> Self {
        let (config, _warnings) = config::decode_str::<OtlpConfig>(yaml).unwrap();
        let edge = world.edge(Arc::new(world.head(next)));
        let outputs = Outputs(signals.iter().map(|signal| (*signal, edge.clone())).collect());
        let settings = world.settings(Kind::Receiver, &ComponentId::new("otlp"));
        let receiver = OtlpReceiver::new(settings, Arc::new(config), outputs);
        receiver.start(&world.host).await.unwrap();
        Self { world, receiver }
    }

    async fn send_http(&self, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
        let stream = TcpStream::connect(self.receiver.http_addr().unwrap()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        connection.await.unwrap().unwrap();
        (head.status, head.headers, body)
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> (StatusCode, HeaderMap, Bytes) {
        let request = Request::post(path).header("host", "weir").header(CONTENT_TYPE, content_type);
        self.send_http(request.body(Full::new(body.into())).unwrap()).await
    }

    async fn export_http(&self, signal: Signal, encoding: Encoding, body: Vec<u8>) -> (StatusCode, HeaderMap, Bytes) {
        let answer = self.post(paths::http_path(signal), encoding.content_type(), body).await;
        assert_eq!(answer.1.get(CONTENT_TYPE).unwrap(), encoding.content_type());
        answer
    }

    /// Code, message, details and body of a unary call.
    async fn export_grpc(&self, path: &str, message: &[u8]) -> (Code, String, Option<Status>, Bytes) {
        let stream = TcpStream::connect(self.receiver.grpc_addr().unwrap()).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        let request = Request::post(format!("http://weir{path}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response: Response<hyper::body::Incoming> = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or(head.headers);
        let body = body.to_bytes();
        drop(sender);
        connection.await.unwrap().unwrap();
        let header = |name: &str| trailers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let code = Code::from_number(header("grpc-status").unwrap().parse().unwrap());
        let details = header("grpc-status-details-bin").map(|text| unbase64(&text));
        let details = details.map(|details| Status::decode(Encoding::Proto, &details).unwrap());
        (code, header("grpc-message").unwrap_or_default(), details, body)
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let readings = self.world.registry.read();
        let reading = readings.iter().find(|reading| reading.metric.name == name).unwrap();
        let has = |series: &[(String, String)]| {
            labels.iter().all(|(name, value)| series.iter().any(|(n, v)| n == name && v == value))
        };
        let values = reading.series.iter().filter(|(series, _)| has(series)).map(|(_, value)| match value {
            component::telemetry::Value::Number(number) => *number as u64,
            component::telemetry::Value::Histogram { .. } => 0,
        });
        values.sum()
    }

    async fn stop(self) {
        self.receiver.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        let Self { world, receiver } = self;
        // With it go its edges, and with them the sink and what it recorded.
        drop(receiver);
        world.check_settled().unwrap();
        assert_eq!(world.account.held(), 0);
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    let json = format!(r#"{{"bytesValue":"{text}"}}"#);
    let wire = json::to_wire(&pdata::schema::ANY_VALUE, json.as_bytes(), pdata::Utf8Policy::Refuse).unwrap();
    let field = pdata::wire::Fields::new(&wire).next().unwrap();
    wire[field.value].to_vec()
}

fn body(signal: Signal, encoding: Encoding, count: u64) -> Vec<u8> {
    let payload = items::payload(signal, 0, count);
    match encoding {
        Encoding::Proto => payload.to_bytes().to_vec(),
        Encoding::Json => {
            let mut text = String::new();
            json::write_payload(&payload, &mut text);
            text.into_bytes()
        }
    }
}

const ENCODINGS: [Encoding; 2] = [Encoding::Proto, Encoding::Json];

#[tokio::test]
async fn every_signal_arrives_over_both_protocols_in_both_encodings() {
    let sink = Sink::accepting();
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    for signal in Signal::ALL {
        for encoding in ENCODINGS {
            let (status, _, answer) = running.export_http(signal, encoding, body(signal, encoding, 7)).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(&answer[..], if encoding == Encoding::Json { &b"{}"[..] } else { b"" });
        }
        let request = body(signal, Encoding::Proto, 7);
        let (code, _, _, answer) = running.export_grpc(paths::grpc_method(signal), &request).await;
        assert_eq!((code, &answer[..]), (Code::Ok, &[0, 0, 0, 0, 0][..]));
    }
    let received = sink.received();
    assert_eq!(received.len(), 9);
    for (index, batch) in received.iter().enumerate() {
        let expected = items::payload(Signal::ALL[index / 3], 0, 7);
        assert_eq!(batch.payload.to_bytes(), expected.to_bytes(), "{index}");
        assert_eq!(batch.context.transport, if index % 3 == 2 { "grpc" } else { "http" });
        assert_eq!(batch.context.peer.unwrap().ip().to_string(), "127.0.0.1");
        assert!(batch.context.metadata.is_empty());
    }
    for (metric, signal) in [("spans", "grpc"), ("metric_points", "grpc"), ("log_records", "grpc")] {
        assert_eq!(running.count(&format!("otelcol_receiver_accepted_{metric}"), &[("transport", signal)]), 7);
    }
    assert_eq!(running.count("otelcol_receiver_accepted_spans", &[("transport", "http"), ("receiver", "otlp")]), 14);
    assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "success")]), 9);
    drop((received, sink));
    running.stop().await;
}

#[tokio::test]
async fn unmodified_bytes_and_context_reach_the_pipeline() {
    let sink = Sink::accepting();
    let yaml = "{protocols: {http: {endpoint: '127.0.0.1:0', include_metadata: true, logs_url_path: in/logs}}}";
    let running = Running::start(yaml, &[Signal::Logs], sink.clone()).await;
    let request = Request::post("/in/logs?x=1")
        .header("host", "weir.example")
        .header(CONTENT_TYPE, "Application/JSON; charset=utf-8")
        .header("x-scope-orgid", "acme")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Full::new(Bytes::from(body(Signal::Logs, Encoding::Json, 1))))
        .unwrap();
    assert_eq!(running.send_http(request).await.0, StatusCode::OK);
    let received = sink.received();
    assert_eq!(received[0].context.metadata.get("x-scope-orgid"), Some("acme"));
    assert!(received[0].context.trace.unwrap().sampled);
    assert!(received[0].context.arrival.elapsed().unwrap() < Duration::from_secs(60));
    drop((received, sink));
    running.stop().await;
}

#[tokio::test]
async fn requests_without_items_succeed_without_the_pipeline() {
    let sink = Sink::answering(Answer::Permanent);
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    for empty in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{"resource":{}}]}"#] {
        let (status, _, answer) = running.export_http(Signal::Traces, Encoding::Json, empty.into()).await;
        assert_eq!((status, &answer[..]), (StatusCode::OK, &b"{}"[..]));
    }
    let (status, ..) = running.export_http(Signal::Metrics, Encoding::Proto, Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(running.export_grpc(paths::grpc_method(Signal::Logs), &[]).await.0, Code::Ok);
    assert_eq!(sink.attempts(), 0);
    assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "success")]), 5);
    running.stop().await;
}

#[tokio::test]
async fn what_was_rejected_is_answered_as_partial_success() {
    let next = Fixed(Box::new(|mut batch: Batch| {
        batch.stake_mut().settle_range(0, 2, Outcome::Rejected);
        batch.settle(Outcome::Delivered);
        Ok(Accepted { rejected_items: 2, message: Some("too old".into()) })
    }));
    let running = Running::start(BOTH, &Signal::ALL, Arc::new(next)).await;
    let expected = ExportResponse { rejected_items: 2, message: "too old".into() };
    for signal in Signal::ALL {
        for encoding in ENCODINGS {
            let (status, _, answer) = running.export_http(signal, encoding, body(signal, encoding, 5)).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(ExportResponse::decode(signal, encoding, &answer).unwrap(), expected);
        }
        let request = body(signal, Encoding::Proto, 5);
        let (code, _, _, answer) = running.export_grpc(paths::grpc_method(signal), &request).await;
        assert_eq!(code, Code::Ok);
        assert_eq!(ExportResponse::decode(signal, Encoding::Proto, &answer[5..]).unwrap(), expected);
    }
    assert_eq!(running.count("otelcol_receiver_accepted_spans", &[]), 9);
    assert_eq!(running.count("otelcol_receiver_refused_spans", &[]), 6);
    running.stop().await;
}

/// Every kind of error: with and without a code, a delay, the class; and what either client is told.
#[tokio::test]
async fn errors_of_the_pipeline_are_answered_in_both_protocols() {
    struct Case {
        error: fn(Batch) -> DeliveryError,
        grpc: Code,
        http: u16,
        retry_after: Option<Duration>,
    }
    fn settled(batch: Batch, error: DeliveryError) -> DeliveryError {
        batch.settle(Outcome::Rejected);
        error
    }
    let delay = Duration::from_millis(2500);
    let mut cases = vec![
        Case {
            error: |batch| settled(batch, DeliveryError::permanent("no")),
            grpc: Code::Internal,
            http: 500,
            retry_after: None,
        },
        Case {
            error: |batch| DeliveryError::retryable("no", batch),
            grpc: Code::Unavailable,
            http: 503,
            retry_after: None,
        },
        Case {
            error: |batch| DeliveryError::retryable("no", batch).with_retry_after(Duration::from_millis(2500)),
            grpc: Code::Unavailable,
            http: 503,
            retry_after: Some(delay),
        },
        Case {
            error: |batch| DeliveryError::permanent("no").with_undelivered(batch),
            grpc: Code::Internal,
            http: 500,
            retry_after: None,
        },
        Case {
            error: |batch| {
                DeliveryError::retryable("no", batch)
                    .with_code(Code::ResourceExhausted)
                    .with_retry_after(Duration::from_millis(2500))
            },
            grpc: Code::ResourceExhausted,
            http: 429,
            retry_after: Some(delay),
        },
        Case {
            error: |batch| DeliveryError::retryable("no", batch).with_code(Code::ResourceExhausted),
            grpc: Code::ResourceExhausted,
            http: 429,
            retry_after: Some(Duration::from_secs(1)),
        },
        Case {
            error: |batch| settled(batch, DeliveryError::permanent("no").with_code(Code::Unavailable)),
            grpc: Code::Internal,
            http: 500,
            retry_after: None,
        },
    ];
    macro_rules! permanent {
        ($($code:ident $http:literal),*) => { $(cases.push(Case {
            error: |batch| settled(batch, DeliveryError::permanent("no").with_code(Code::$code)),
            grpc: Code::$code, http: $http, retry_after: None,
        });)* };
    }
    macro_rules! retryable {
        ($($code:ident),*) => { $(cases.push(Case {
            error: |batch| DeliveryError::retryable("no", batch).with_code(Code::$code),
            grpc: Code::$code, http: 503, retry_after: None,
        });)* };
    }
    permanent!(Unknown 500, InvalidArgument 400, NotFound 500, AlreadyExists 500, PermissionDenied 403);
    permanent!(ResourceExhausted 429, FailedPrecondition 500, Unimplemented 404, Internal 500, Unauthenticated 401);
    retryable!(Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss);

    for (index, case) in cases.into_iter().enumerate() {
        let next = Arc::new(Fixed(Box::new(move |batch| Err((case.error)(batch)))));
        let running = Running::start(BOTH, &[Signal::Traces], next).await;
        let request = body(Signal::Traces, Encoding::Proto, 3);
        let (code, message, details, _) = running.export_grpc(paths::grpc_method(Signal::Traces), &request).await;
        assert_eq!((code, message.as_str()), (case.grpc, "no"), "case {index}");
        assert_eq!(details.and_then(|details| details.retry_after), case.retry_after, "case {index}");
        for encoding in ENCODINGS {
            let (status, headers, answer) =
                running.export_http(Signal::Traces, encoding, body(Signal::Traces, encoding, 3)).await;
            assert_eq!(status.as_u16(), case.http, "case {index}");
            let expected = Status { code: case.grpc, message: "no".into(), retry_after: case.retry_after };
            assert_eq!(Status::decode(encoding, &answer), Some(expected), "case {index}");
            let seconds = headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
            let expected: Option<u64> = case.retry_after.map(|delay| delay.as_secs_f64().ceil() as u64);
            assert_eq!(seconds, expected, "case {index}");
        }
        assert_eq!(running.count("otelcol_receiver_refused_spans", &[]), 9);
        assert_eq!(running.count("otelcol_receiver_accepted_spans", &[]), 0);
        assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "refused")]), 3);
        running.stop().await;
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_naming_place_and_field() {
    let sink = Sink::accepting();
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    // resource_spans { scope_spans { spans { trace_id of 3 bytes } } }
    let bad = [0x0a, 9, 0x12, 7, 0x12, 5, 0x0a, 3, 1, 2, 3];
    let expected = "invalid OTLP at byte 6 in `resource_spans.scope_spans.spans.trace_id`: an ID of 3 bytes where 16 or none \
                    are expected";
    let (status, _, answer) = running.export_http(Signal::Traces, Encoding::Proto, bad.to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(Status::decode(Encoding::Proto, &answer), Some(Status::new(Code::InvalidArgument, expected)));
    let (code, message, ..) = running.export_grpc(paths::grpc_method(Signal::Traces), &bad).await;
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(message.replace("%20", " "), expected);
    let text = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"soon"}]}]}]}"#;
    let (status, _, answer) = running.export_http(Signal::Logs, Encoding::Json, text.to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["code"], 3);
    assert_eq!(
        answer["message"],
        "invalid OTLP/JSON at byte 63 (line 1, column 64) in `resourceLogs[0].scopeLogs[0].logRecords[0].timeUnixNano`: \
         `soon` is no unsigned 64-bit integer"
    );
    assert_eq!(sink.attempts(), 0);
    assert_eq!(running.count("weir_receiver_invalid_requests", &[("reason", "malformed")]), 3);
    assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "failure")]), 3);
    running.stop().await;
}

#[tokio::test]
async fn requests_that_are_no_exports_are_told_so() {
    let running = Running::start(BOTH, &[Signal::Traces], Sink::accepting()).await;
    let json = "application/json";
    let (status, headers, answer) = running.post("/v1/traces", "text/plain", "x").await;
    assert_eq!(
        (status, headers.get(CONTENT_TYPE).unwrap().to_str().unwrap()),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "text/plain")
    );
    assert_eq!(&answer[..], b"415 unsupported media type, supported: [application/json, application/x-protobuf]\n");
    assert_eq!(running.post("/v1/metrics", json, "{}").await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.post("/v1/traces/", json, "{}").await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.post("/v1development/profiles", json, "{}").await.0, StatusCode::NOT_FOUND);
    for method in [Method::GET, Method::PUT, Method::HEAD] {
        let request = Request::builder().method(method.clone()).uri("/v1/traces").header("host", "weir");
        let (status, headers, _) = running.send_http(request.body(Full::default()).unwrap()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(headers.get("allow").unwrap(), "POST");
    }
    let (code, ..) = running.export_grpc(paths::grpc_method(Signal::Metrics), &[]).await;
    assert_eq!(code, Code::Unimplemented);
    let (code, ..) = running.export_grpc("/opentelemetry.proto.collector.trace.v1.TraceService/Import", &[]).await;
    assert_eq!(code, Code::Unimplemented);
    for (reason, count) in [("content_type", 1), ("path", 5), ("method", 3)] {
        assert_eq!(running.count("weir_receiver_invalid_requests", &[("reason", reason)]), count, "{reason}");
    }
    running.stop().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_in_the_requests_encoding() {
    let yaml = "{protocols: {http: {endpoint: '127.0.0.1:0', max_request_body_size: 100, compression_algorithms: ['', gzip]}}}";
    let running = Running::start(yaml, &Signal::ALL, Sink::accepting()).await;
    let (status, _, answer) = running.export_http(Signal::Logs, Encoding::Json, vec![b' '; 101]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(Status::decode(Encoding::Json, &answer).unwrap().code, Code::InvalidArgument);
    for (encoding, reason) in [("br", "content_encoding"), ("zstd", "content_encoding"), ("gzip", "body")] {
        let request = Request::post("/v1/logs")
            .header("host", "weir")
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header("content-encoding", encoding)
            .body(Full::new(Bytes::from_static(b"not compressed")))
            .unwrap();
        let before = running.count("weir_receiver_invalid_requests", &[("reason", reason)]);
        let (status, _, answer) = running.send_http(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{encoding}");
        assert_eq!(Status::decode(Encoding::Proto, &answer).unwrap().code, Code::InvalidArgument, "{encoding}");
        assert_eq!(running.count("weir_receiver_invalid_requests", &[("reason", reason)]), before + 1, "{encoding}");
    }
    assert_eq!(running.count("weir_receiver_invalid_requests", &[("reason", "too_large")]), 1);
    running.stop().await;
}

#[tokio::test]
async fn without_memory_requests_are_refused_at_once_with_a_hint() {
    let sink = Sink::accepting();
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    running.world.account.set_cap(10);
    let request = body(Signal::Traces, Encoding::Proto, 3);
    let (code, message, details, _) = running.export_grpc(paths::grpc_method(Signal::Traces), &request).await;
    assert_eq!(code, Code::Unavailable);
    assert!(message.replace("%20", " ").starts_with("data refused due to high memory usage"), "{message}");
    assert_eq!(details.unwrap().retry_after, Some(Duration::from_secs(1)));
    let (status, headers, answer) =
        running.export_http(Signal::Traces, Encoding::Json, body(Signal::Traces, Encoding::Json, 3)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers.get(RETRY_AFTER).unwrap(), "1");
    assert_eq!(Status::decode(Encoding::Json, &answer).unwrap().code, Code::Unavailable);
    assert_eq!(sink.attempts(), 0);
    assert_eq!(running.count("weir_receiver_refused_requests", &[("reason", "memory")]), 2);
    assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "refused")]), 2);
    running.stop().await;
}

#[tokio::test]
async fn strings_that_are_not_utf8_are_repaired_or_refused_as_configured() {
    // resource_logs { scope_logs { log_records { severity_text "a\xff" } } }
    let bad = [0x0a, 8, 0x12, 6, 0x12, 4, 0x1a, 2, b'a', 0xff];
    let sink = Sink::accepting();
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    assert_eq!(running.export_grpc(paths::grpc_method(Signal::Logs), &bad).await.0, Code::Ok);
    let text =
        [&br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a"#[..], &[0xff], br#""}]}]}]}"#].concat();
    assert_eq!(running.export_http(Signal::Logs, Encoding::Json, text).await.0, StatusCode::OK);
    for received in sink.received() {
        assert_eq!(received.payload.to_bytes()[8..], *b"a?");
    }
    assert_eq!(running.count("weir_receiver_repaired_strings", &[("transport", "grpc")]), 1);
    assert_eq!(running.count("weir_receiver_repaired_strings", &[]), 2);
    drop(sink);
    running.stop().await;

    let yaml = "{protocols: {grpc: {endpoint: '127.0.0.1:0'}}, invalid_utf8: refuse}";
    let running = Running::start(yaml, &Signal::ALL, Sink::accepting()).await;
    assert_eq!(running.export_grpc(paths::grpc_method(Signal::Logs), &bad).await.0, Code::InvalidArgument);
    running.stop().await;
}

/// Large JSON takes another path than small JSON.
#[tokio::test]
async fn large_json_arrives() {
    let sink = Sink::accepting();
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    let request = body(Signal::Metrics, Encoding::Json, 20_000);
    assert!(request.len() > 1 << 20, "{}", request.len());
    assert_eq!(running.export_http(Signal::Metrics, Encoding::Json, request.clone()).await.0, StatusCode::OK);
    assert_eq!(sink.items(), 20_000);
    let broken = request[..request.len() - 5].to_vec();
    assert_eq!(running.export_http(Signal::Metrics, Encoding::Json, broken).await.0, StatusCode::BAD_REQUEST);
    drop(sink);
    running.stop().await;
}

/// A client that goes away does not stop what the pipeline began.
#[tokio::test]
async fn a_reset_stream_does_not_stop_the_hand_over() {
    let sink = Sink::answering(Answer::Stall);
    let running = Running::start(BOTH, &Signal::ALL, sink.clone()).await;
    let stream = TcpStream::connect(running.receiver.http_addr().unwrap()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("/v1/logs")
        .header("host", "weir")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body(Signal::Logs, Encoding::Json, 4))))
        .unwrap();
    let mut answer = Box::pin(sender.send_request(request));
    while sink.attempts() == 0 {
        tokio::select! {
            _ = &mut answer => panic!("answered while the pipeline stalls"),
            () = tokio::task::yield_now() => {}
        }
    }
    connection.abort();
    drop(answer);
    sink.release();
    sink.wait_for_items(4).await;
    drop(sink);
    running.stop().await;
}

/// A panic in the pipeline is an answer to the client, and shows in the counters.
#[tokio::test]
async fn a_fault_in_the_pipeline_is_internal_and_counted() {
    let next = Fixed(Box::new(|batch| {
        batch.settle(Outcome::Dropped("fault"));
        panic!("a fault, on purpose")
    }));
    let running = Running::start(BOTH, &Signal::ALL, Arc::new(next)).await;
    let request = body(Signal::Traces, Encoding::Proto, 3);
    assert_eq!(running.export_grpc(paths::grpc_method(Signal::Traces), &request).await.0, Code::Internal);
    let (status, ..) = running.post("/v1/traces", "application/x-protobuf", request).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(running.count("otelcol_receiver_failed_spans", &[]), 6);
    assert_eq!(running.count("otelcol_receiver_requests", &[("outcome", "failure")]), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_cannot_listen_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = format!(
        "{{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '{}'}}}}}}",
        taken.local_addr().unwrap()
    );
    let world = World::new();
    let (config, _) = config::decode_str::<OtlpConfig>(&yaml).unwrap();
    let settings = world.settings(Kind::Receiver, &ComponentId::new("otlp"));
    let receiver = OtlpReceiver::new(settings, Arc::new(config), Outputs::default());
    let error = receiver.start(&world.host).await.unwrap_err().to_string();
    assert!(error.contains("listen on `127.0.0.1:"), "{error}");
    assert_eq!(receiver.grpc_addr(), None);
}

#[test]
fn the_factory_makes_receivers_of_all_signals() {
    let factory = receiver_otlp::factory();
    assert!(matches!(factory.create(), Create::Receiver(_)));
    assert!(Signal::ALL.into_iter().all(|signal| factory.supports(signal)));
}
