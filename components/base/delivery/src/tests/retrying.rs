//! Failures: when they are retried, and how they end.

use std::time::Duration;

use component::Code;

use super::support::{Answer, Bench, expected, ms, unavailable};
use crate::SendError;

fn seconds(bench: &Bench) -> Vec<f64> {
    bench.seen().iter().map(|seen| (seen.at.as_secs_f64() * 100.0).round() / 100.0).collect()
}

#[tokio::test(start_paused = true)]
async fn attempts_follow_the_table_and_the_last_delivers() {
    let bench = Bench::new("retry_on_failure: {randomization_factor: 0}", |seen| match seen.n {
        0..5 => unavailable(),
        _ => Answer::Take,
    })
    .await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(seconds(&bench), [0.0, 5.0, 12.5, 23.75, 40.63, 65.94]);
    assert_eq!(bench.taken(), expected(0..4));
    assert_eq!(bench.books("traces").delivered, 4);
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_servers_delay_is_kept_when_longer() {
    let bench = Bench::new("retry_on_failure: {randomization_factor: 0}", |seen| match seen.n {
        0 => Answer::Fail(SendError::retryable("UNAVAILABLE", "busy").with_retry_after(ms(20_000))),
        1 => Answer::Fail(SendError::retryable("UNAVAILABLE", "busy").with_retry_after(ms(1))),
        _ => Answer::Take,
    })
    .await;
    bench.send(0..1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(seconds(&bench), [0.0, 20.0, 27.5]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_when_the_elapsed_time_would_pass() {
    let yaml = "retry_on_failure: {randomization_factor: 0, max_elapsed_time: 30s}";
    let bench = Bench::new(yaml, |_| unavailable()).await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(seconds(&bench), [0.0, 5.0, 12.5, 23.75]);
    let books = bench.books("traces");
    assert_eq!((books.dropped.get("retries_exhausted"), books.held), (Some(&4), 0));
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 4);
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_not_retried() {
    let bench = Bench::new("{}", |_| {
        Answer::Fail(SendError::permanent("INVALID_ARGUMENT", "bad").with_code(Code::InvalidArgument))
    })
    .await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(bench.seen().len(), 1);
    let books = bench.books("traces");
    assert_eq!((books.rejected, books.held), (4, 0));
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 4);
    assert_eq!(bench.metric("weir_exporter_rejected_items"), 4);
}

#[tokio::test(start_paused = true)]
async fn disabled_retrying_means_one_attempt() {
    let bench = Bench::new("retry_on_failure: {enabled: false}", |_| unavailable()).await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(bench.seen().len(), 1);
    assert_eq!(bench.books("traces").dropped.get("retry_disabled"), Some(&4));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_cut_and_retried() {
    let yaml = "{timeout: 2s, retry_on_failure: {randomization_factor: 0}}";
    let bench = Bench::new(yaml, |seen| if seen.n == 0 { Answer::Hang } else { Answer::Take }).await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(seconds(&bench), [0.0, 7.0]);
    assert_eq!(bench.taken(), expected(0..4));
    let bench = Bench::new("timeout: 0s", |_| Answer::TakeAfter(ms(3_600_000))).await;
    bench.send(0..4).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!((bench.seen().len(), bench.taken().len()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn partial_success_is_final_and_booked_apart() {
    let bench = Bench::new("{}", |_| Answer::TakePartly(3, "no such tenant")).await;
    bench.send(0..10).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(bench.seen().len(), 1);
    let books = bench.books("traces");
    assert_eq!((books.delivered, books.rejected, books.held), (7, 3, 0));
    assert_eq!(bench.metric("otelcol_exporter_sent_spans"), 10);
    assert_eq!(bench.metric("weir_exporter_rejected_items"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_retry_holds_its_consumer_and_not_the_others() {
    let yaml = "{sending_queue: {num_consumers: 2}, retry_on_failure: {randomization_factor: 0}}";
    let bench = Bench::new(yaml, |seen| {
        if seen.names[0].ends_with("00") && seen.at < ms(4000) { unavailable() } else { Answer::Take }
    })
    .await;
    bench.send(0..1).await.unwrap();
    for id in 1..50 {
        bench.send(id..id + 1).await.unwrap();
    }
    tokio::time::sleep(ms(100)).await;
    assert_eq!(bench.taken(), expected(1..50));
    tokio::time::sleep(ms(6000)).await;
    assert_eq!(bench.taken(), expected(0..50));
}
