//! What the exporter makes of answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component::{BoxFuture, Code, Deadline};
use net::server::{GrpcServer, GrpcServerConfig, GrpcStatus, RequestInfo, ServerSettings, UnaryHandler};
use otlp::{Encoding, ExportResponse, Status};
use pdata::{ByteAccount, Charge, Overloaded, Signal};
use testkit::server::{GrpcAnswer as Answer, Server};
use testkit::{World, items};

use super::{Bench, ONCE};

#[tokio::test]
async fn every_status_ends_as_the_specification_says() {
    for code in Code::ALL.into_iter().skip(1) {
        for retry_info in [None, Some(Duration::from_millis(1500))] {
            let details = Status { code, message: "no".into(), retry_after: retry_info }.encode(Encoding::Proto);
            let answer = Answer { details, ..Answer::status(code.number(), "no") };
            let server = Server::grpc(move |_| answer.clone()).await;
            let bench = Bench::new(&server, Signal::Traces, ONCE).await;
            let error = bench.send(items::spans(3)).await.unwrap_err();
            assert_eq!(error.is_retryable(), code.is_retryable(retry_info.is_some()), "{code} {retry_info:?}");
            assert_eq!(error.code(), Some(code));
            assert!(error.message().contains(code.name()) && error.message().contains("no"), "{}", error.message());
            if error.is_retryable() {
                assert_eq!(error.retry_after(), retry_info, "{code}");
            }
            let retryable = error.is_retryable();
            let books = bench.finish(Signal::Traces).await;
            assert_eq!((books.refused, books.rejected), if retryable { (3, 0) } else { (0, 3) }, "{code}");
        }
    }
}

#[tokio::test]
async fn the_delay_of_retry_info_is_kept() {
    let details =
        Status { code: Code::Unavailable, message: String::new(), retry_after: Some(Duration::from_millis(300)) };
    let busy = Answer { details: details.encode(Encoding::Proto), ..Answer::status(14, "busy") };
    let first = std::sync::atomic::AtomicBool::new(true);
    let server =
        Server::grpc(
            move |_| {
                if first.swap(false, std::sync::atomic::Ordering::Relaxed) { busy.clone() } else { Answer::ok() }
            },
        )
        .await;
    let more = "sending_queue: {wait_for_result: true}, retry_on_failure: {initial_interval: 10ms, max_interval: 10ms}";
    let bench = Bench::new(&server, Signal::Logs, more).await;
    let began = std::time::Instant::now();
    bench.send(items::logs(2)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.calls().len(), 2);
    assert_eq!(bench.finish(Signal::Logs).await.delivered, 2);
}

#[tokio::test]
async fn partial_success_rejects_items_and_is_not_sent_again() {
    let response = ExportResponse { rejected_items: 2, message: "too old".into() };
    let message = response.encode(Signal::Metrics, Encoding::Proto);
    let server = Server::grpc(move |_| Answer { message: message.clone(), ..Answer::ok() }).await;
    let bench = Bench::new(&server, Signal::Metrics, "sending_queue: {wait_for_result: true}").await;
    let accepted = bench.send(items::points(7)).await.unwrap();
    assert_eq!((accepted.rejected_items, accepted.message.as_deref()), (2, Some("too old")));
    assert_eq!(server.calls().len(), 1);
    assert_eq!(bench.world.metric("otelcol_exporter_sent_metric_points"), Some(7.0));
    let books = bench.finish(Signal::Metrics).await;
    assert_eq!((books.delivered, books.rejected), (5, 2));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_final() {
    let server = Server::grpc(|_| Answer { message: vec![0x0a, 99, 1], ..Answer::ok() }).await;
    let bench = Bench::new(&server, Signal::Traces, ONCE).await;
    let error = bench.send(items::spans(3)).await.unwrap_err();
    assert!(!error.is_retryable() && error.message().contains("response is malformed"), "{error}");
    assert_eq!(bench.finish(Signal::Traces).await.rejected, 3);
}

#[tokio::test]
async fn servers_that_refuse_for_size_get_parts() {
    type Refuse = fn(usize) -> Answer;
    let words: [Refuse; 3] = [
        |bytes| Answer::status(8, &format!("grpc: received message larger than max ({bytes} vs. 20000)")),
        |bytes| {
            Answer::status(
                11,
                &format!("Error, decoded message length too large: found {bytes} bytes, the limit is: 20000 bytes"),
            )
        },
        |_| Answer::status(8, "message too large"),
    ];
    for refuse in words {
        let server =
            Server::grpc(move |call| if call.body.len() > 20_000 { refuse(call.body.len()) } else { Answer::ok() })
                .await;
        let bench = Bench::new(&server, Signal::Traces, "sending_queue: {wait_for_result: true}").await;
        bench.send(items::spans(1000)).await.unwrap();
        let taken: Vec<_> = server.calls().into_iter().filter(|call| call.body.len() <= 20_000).collect();
        assert!(taken.len() > 4);
        let mut numbers = Vec::new();
        for call in taken {
            let count = pdata::validate::check(Signal::Traces, &call.body).unwrap();
            let segment = pdata::Segment::trusted(call.body.into(), count);
            numbers.extend(items::numbers(&pdata::Payload::from_segments(Signal::Traces, [segment])).unwrap());
        }
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        assert_eq!(bench.finish(Signal::Traces).await.delivered, 1000);
    }
}

/// A quota is no matter of size: nothing is split, and without `RetryInfo` nothing is sent again.
#[tokio::test]
async fn a_quota_is_not_taken_for_a_size() {
    let server = Server::grpc(|_| Answer::status(8, "ingestion rate limit (local: 15000000 bytes) exceeded")).await;
    let bench = Bench::new(&server, Signal::Traces, ONCE).await;
    let error = bench.send(items::spans(1000)).await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(server.calls().len(), 1);
    let readings = bench.world.registry.read();
    let failed = readings.iter().find(|reading| reading.metric.name == "otelcol_exporter_send_failed_spans").unwrap();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let labels = vec![
        label("error_permanent", "true"),
        label("error_type", "RESOURCE_EXHAUSTED"),
        label("exporter", "otlp_grpc/test"),
    ];
    assert!(failed.series.contains(&(labels, component::telemetry::Value::Number(1000.0))), "{failed:?}");
    assert_eq!(bench.finish(Signal::Traces).await.rejected, 1000);
}

#[tokio::test]
async fn no_server_and_no_answer_are_retryable_and_named() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let yaml = format!("{{endpoint: '{address}', tls: {{insecure: true}}, {ONCE}}}");
    let bench = Bench::with(&yaml, Signal::Traces, World::new()).await;
    let error = bench.send(items::spans(3)).await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains(&address.to_string()), "{error}");
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert_eq!(bench.finish(Signal::Traces).await.refused, 3);

    let server = Server::grpc(|_| Answer { delay: Duration::from_secs(60), ..Answer::ok() }).await;
    let bench = Bench::new(&server, Signal::Traces, &format!("timeout: 200ms, {ONCE}")).await;
    let error = bench.send(items::spans(3)).await.unwrap_err();
    assert_eq!((error.is_retryable(), error.code()), (true, Some(Code::DeadlineExceeded)));
    assert!(error.message().contains("ms while trying to get an answer"), "{error}");
    assert!(server.calls()[0].headers.contains_key("grpc-timeout"));
    assert_eq!(bench.finish(Signal::Traces).await.refused, 3);
}

/// A server of our own, with a limit below the one that is assumed.
struct Counting {
    account: Arc<ByteAccount>,
}

impl UnaryHandler for Counting {
    fn method(&self, path: &str) -> Option<usize> {
        otlp::paths::grpc_signal(path).map(|_| 0)
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.account.try_charge(bytes)
    }

    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus {
        GrpcStatus { code: Code::Unavailable, message: overloaded.to_string(), details: Bytes::new() }
    }

    fn call(&self, _: usize, _: Vec<u8>, _: Charge, _: RequestInfo) -> BoxFuture<'static, Result<Bytes, GrpcStatus>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
}

#[tokio::test]
async fn our_own_server_takes_what_it_refused_for_size_in_parts() {
    let yaml = "{endpoint: '127.0.0.1:0', max_recv_msg_size_mib: 1}";
    let (config, _) = config::decode_str::<GrpcServerConfig>(yaml).unwrap();
    let world = World::new();
    let settings = ServerSettings { id: "otlp".parse().unwrap(), telemetry: component::Telemetry::detached() };
    let handler = Arc::new(Counting { account: Arc::clone(&world.account) });
    let server = GrpcServer::start(&config, &world.host, settings, handler).await.unwrap();
    let yaml = format!(
        "{{endpoint: '{}', tls: {{insecure: true}}, sending_queue: {{wait_for_result: true}}}}",
        server.local_addr().unwrap()
    );
    let bench = Bench::with(&yaml, Signal::Traces, world).await;
    bench.send(items::spans(20_000)).await.unwrap();
    let requests = bench.world.metric("otelcol_exporter_queue_batch_send_size").unwrap();
    assert!(requests > 2.0, "{requests}");
    assert_eq!(bench.finish(Signal::Traces).await.delivered, 20_000);
    server.shutdown(Deadline::after(Duration::from_secs(1))).await;
}
