//! The load generator against the sink over loopback: what one says it sent, the other must have counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use weir_bench::client::Endpoint;
use weir_bench::load::{self, LoadReport, LoadSettings, Unit, Window};
use weir_bench::payload::Pool;
use weir_bench::sampled::Sampled;
use weir_bench::sink::{Sink, SinkSettings};
use weir_bench::wire::{Compression, GrpcCode, Signal, Transport};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const ITEMS: usize = 20;

#[expect(clippy::unwrap_used, reason = "test helper")]
async fn sink(settings: SinkSettings) -> Sink {
    Sink::start(settings, ANYWHERE, ANYWHERE).await.unwrap()
}

#[expect(clippy::unwrap_used, reason = "test helper")]
fn pool(signal: Signal, transport: Transport, compression: Compression) -> Arc<Pool> {
    Arc::new(Pool::build(signal, transport, compression, 3, ITEMS).unwrap())
}

#[expect(clippy::unwrap_used, reason = "test helper")]
fn settings(sink: &Sink, pool: &Pool, requests: u64) -> LoadSettings {
    let address = match pool.transport {
        Transport::Grpc => sink.grpc_address,
        Transport::Http => sink.http_address,
    };
    let endpoint = Endpoint::new(&address.to_string(), pool.transport, pool.signal, pool.compression, &[]).unwrap();
    LoadSettings {
        endpoint: Arc::new(endpoint),
        connection_count: 2,
        in_flight_count: 3,
        request_count_max: requests,
        duration: Duration::from_secs(60),
        rate: None,
        is_retrying: false,
        answer_timeout: Duration::from_secs(60),
        window: None,
        first_number: 0,
        stop: Arc::default(),
    }
}

async fn run(sink: &Sink, pool: &Arc<Pool>, requests: u64) -> LoadReport {
    load::run(settings(sink, pool, requests), Arc::clone(pool)).await
}

#[tokio::test]
async fn counts_agree_for_every_signal_transport_and_compression() {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        for transport in [Transport::Grpc, Transport::Http] {
            for compression in [Compression::None, Compression::Gzip] {
                let case = format!("{signal:?} {transport:?} {compression:?}");
                let sink = sink(SinkSettings::default()).await;
                let pool = pool(signal, transport, compression);
                let report = run(&sink, &pool, 10).await;
                assert_eq!(report.errors.len() + report.refused.len(), 0, "{case}: {report:?}");
                assert_eq!((report.sent_requests, report.acked_requests), (10, 10), "{case}");
                assert_eq!((report.acked_items, sink.items()), (200, 200), "{case}");
                assert_eq!(sink.counters.body_bytes.load(Relaxed), report.sent_bytes, "{case}");
                assert_eq!(report.acked_latencies.count(), 10, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn refusals_are_counted_by_code_and_not_as_items() {
    let failing = SinkSettings { fail_ratio: 0.3, ..SinkSettings::default() };
    for (transport, code) in [(Transport::Grpc, "UNAVAILABLE"), (Transport::Http, "HTTP 503")] {
        let sink = sink(failing.clone()).await;
        let report = run(&sink, &pool(Signal::Logs, transport, Compression::None), 100).await;
        assert_eq!(report.refused.get(code), Some(&30), "{report:?}");
        assert_eq!((report.acked_requests, sink.items()), (70, 70 * ITEMS as u64));
        assert_eq!(report.refused_latencies.count(), 30);
    }
}

#[tokio::test]
async fn refused_requests_are_sent_again_only_when_asked_and_allowed() {
    let run_retrying = async |code| {
        let sink = sink(SinkSettings { fail_ratio: 0.5, fail_code: code, ..SinkSettings::default() }).await;
        let pool = pool(Signal::Traces, Transport::Grpc, Compression::None);
        let settings = LoadSettings { is_retrying: true, ..settings(&sink, &pool, 10) };
        load::run(settings, pool).await
    };
    let retryable = run_retrying(GrpcCode::UNAVAILABLE).await;
    assert_eq!(retryable.acked_requests, 10, "{retryable:?}");
    assert_eq!(retryable.sent_requests, 10 + retryable.refused_requests());
    assert!(retryable.refused_requests() > 0);
    let permanent = run_retrying(GrpcCode::INVALID_ARGUMENT).await;
    assert_eq!((permanent.sent_requests, permanent.acked_requests), (10, 5), "{permanent:?}");
}

#[tokio::test]
async fn larger_requests_than_allowed_are_refused() {
    for (transport, code) in [(Transport::Grpc, "RESOURCE_EXHAUSTED"), (Transport::Http, "HTTP 413")] {
        let sink = sink(SinkSettings { body_bytes_max: 1000, ..SinkSettings::default() }).await;
        let report = run(&sink, &pool(Signal::Traces, transport, Compression::None), 4).await;
        assert_eq!(report.refused.get(code), Some(&4), "{report:?}");
        assert_eq!(sink.items(), 0);
    }
}

#[tokio::test]
async fn stalled_sink_answers_nothing_until_released() {
    let sink = sink(SinkSettings { is_stalled: true, ..SinkSettings::default() }).await;
    let pool = pool(Signal::Traces, Transport::Grpc, Compression::None);
    let impatient = LoadSettings { answer_timeout: Duration::from_millis(50), ..settings(&sink, &pool, 6) };
    let report = load::run(impatient, Arc::clone(&pool)).await;
    assert_eq!((report.acked_requests, report.error_requests()), (0, 6), "{report:?}");
    assert_eq!(sink.items(), 0);
    sink.release();
    assert_eq!(run(&sink, &pool, 6).await.acked_requests, 6);
}

#[tokio::test]
async fn nobody_listening_is_an_error_and_the_load_still_ends() {
    let sink = sink(SinkSettings::default()).await;
    let pool = pool(Signal::Traces, Transport::Http, Compression::None);
    let settings = settings(&sink, &pool, 6);
    drop(sink);
    let report = load::run(settings, pool).await;
    assert_eq!((report.acked_requests, report.error_requests()), (0, 6), "{report:?}");
}

#[tokio::test]
async fn window_holds_the_load_back_while_nothing_arrives() {
    let sink = sink(SinkSettings::default()).await;
    let pool = pool(Signal::Logs, Transport::Grpc, Compression::None);
    // A count that never moves stands for a subject that acknowledges and forwards nothing.
    let mut settings = settings(&sink, &pool, 1000);
    settings.duration = Duration::from_secs(1);
    // One worker, so that none passes the window beside another.
    (settings.connection_count, settings.in_flight_count) = (1, 1);
    for (unit, max) in [(Unit::Items, 5 * ITEMS as u64), (Unit::Requests, 5)] {
        settings.window = Some(Window { unit, arrived: Arc::default(), max });
        assert_eq!(load::run(settings.clone(), Arc::clone(&pool)).await.acked_requests, 5, "{unit:?}");
    }
    let arrived = Arc::clone(&sink.counters.items);
    settings.window = Some(Window { unit: Unit::Items, arrived, max: 5 * ITEMS as u64 });
    settings.duration = Duration::from_secs(60);
    settings.request_count_max = 50;
    assert_eq!(load::run(settings, pool).await.acked_requests, 50);
}

#[tokio::test]
async fn rate_spreads_requests_over_time() {
    let sink = sink(SinkSettings::default()).await;
    let pool = pool(Signal::Logs, Transport::Grpc, Compression::None);
    let settings = LoadSettings { rate: Some(2000.0), ..settings(&sink, &pool, 21) };
    let report = load::run(settings, pool).await;
    // The last of 21 requests of 20 items is due at 200 ms; how much later it comes depends on the machine.
    assert_eq!(report.acked_requests, 21);
    assert!(report.elapsed >= Duration::from_millis(200), "{:?}", report.elapsed);
}

#[tokio::test]
async fn first_accept_waits_for_a_listener_and_gives_up_at_its_limit() {
    let pool = pool(Signal::Traces, Transport::Grpc, Compression::None);
    let reserved = sink(SinkSettings::default()).await;
    let endpoint = settings(&reserved, &pool, 1).endpoint;
    let address = reserved.grpc_address;
    drop(reserved);
    let payload = &pool.payloads[0];
    let refused = load::until_first_accept(Arc::clone(&endpoint), payload, Duration::from_millis(50)).await;
    let reason = refused.unwrap_err();
    assert!(reason.contains("no request was accepted in 0.05 s") && reason.contains("connect"), "{reason}");
    let listening = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Sink::start(SinkSettings::default(), address, ANYWHERE).await.unwrap()
    };
    let started = std::time::Instant::now();
    let (accepted, _sink) =
        tokio::join!(load::until_first_accept(endpoint, payload, Duration::from_secs(60)), listening);
    assert!(accepted.unwrap() >= started + Duration::from_millis(50));
}

#[tokio::test]
async fn whole_traces_arrive_under_new_ids_in_each_round() {
    let sink = sink(SinkSettings { is_counting_traces: true, ..SinkSettings::default() }).await;
    let pool = Arc::new(Pool::of_whole_traces());
    let renewal = pool.renewal.as_ref().unwrap();
    let requests = 2 * renewal.round_requests();
    let first = LoadSettings { request_count_max: 100, ..settings(&sink, &pool, 0) };
    let second = LoadSettings { first_number: 100, request_count_max: requests - 100, ..first.clone() };
    let mut acked = load::run(first, Arc::clone(&pool)).await.acked_numbers;
    acked.extend(load::run(second, Arc::clone(&pool)).await.acked_numbers);
    acked.sort_unstable();
    assert_eq!(acked, (0..requests).collect::<Vec<_>>());
    let traces = sink.traces();
    assert_eq!(traces.len() as u64, 2 * renewal.round_traces());
    let sampled = Sampled::traces(renewal, &acked, &traces, |_| true, 0.0..=0.0);
    assert!(sampled.is_even() && sampled.certain.sent == 2 * renewal.round_traces(), "{sampled:?}");
}

#[tokio::test]
async fn a_load_that_is_stopped_ends() {
    let sink = sink(SinkSettings::default()).await;
    let pool = pool(Signal::Logs, Transport::Grpc, Compression::None);
    let settings = LoadSettings { rate: Some(1000.0), ..settings(&sink, &pool, u64::MAX) };
    let stop = Arc::clone(&settings.stop);
    let load = tokio::spawn(load::run(settings, pool));
    while sink.items() == 0 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Relaxed);
    let report = load.await.unwrap();
    assert!(report.acked_requests > 0 && report.elapsed < Duration::from_secs(60), "{report:?}");
}
