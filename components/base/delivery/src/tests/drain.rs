//! Shutting down: what was accepted is delivered, or named.

use std::time::Duration;

use component::{Component, Deadline};

use super::support::{Answer, Bench, Extra, expected, ms, refuse, settle, unavailable};
use crate::SendError;

/// A destination refuses 30 % of the requests while the process is told to stop. Everything that was acknowledged has to
/// arrive all the same, even with the defaults (10 consumers, 5 s first delay) and however long the destination asks to
/// wait, as long as the deadline leaves room.
#[tokio::test(start_paused = true)]
async fn a_destination_that_refuses_a_third_loses_nothing() {
    for asked in [None, Some(ms(1000))] {
        for yaml in ["{}", "sending_queue: {batch: {min_size: 10}}"] {
            let bench = Bench::new(yaml, move |seen| {
                if seen.n % 10 < 3 {
                    let error = SendError::retryable("UNAVAILABLE", "busy");
                    return Answer::Fail(match asked {
                        Some(delay) => error.with_retry_after(delay),
                        None => error,
                    });
                }
                Answer::TakeAfter(ms(5))
            })
            .await;
            for n in 0..900_u64 {
                bench.send(n * 3..n * 3 + 3).await.unwrap();
            }
            let started = tokio::time::Instant::now();
            bench.shutdown(Duration::from_secs(15)).await;
            let took = started.elapsed();
            assert!(took < Duration::from_secs(15), "{asked:?} {yaml}: {took:?}");
            assert_eq!(bench.taken(), expected(0..2700), "{asked:?} {yaml}");
            let books = bench.books("traces");
            assert_eq!((books.delivered, books.held), (2700, 0));
        }
    }
}

/// The delay before the drain counts for nothing once the drain begins.
#[tokio::test(start_paused = true)]
async fn waiting_retries_are_woken_when_draining_begins() {
    let yaml = "retry_on_failure: {initial_interval: 30s}";
    let bench = Bench::new(yaml, |seen| if seen.n == 0 { unavailable() } else { Answer::Take }).await;
    bench.send(0..5).await.unwrap();
    settle().await;
    let started = tokio::time::Instant::now();
    bench.shutdown(Duration::from_secs(5)).await;
    assert!(started.elapsed() < ms(100));
    assert_eq!(bench.taken(), expected(0..5));
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_leaves_is_named_in_the_ledger() {
    // One request hangs, one is refused again and again, others never leave the queue.
    let yaml = "{timeout: 0s, sending_queue: {num_consumers: 2}}";
    let bench = Bench::new(yaml, |seen| match seen.names[0].as_str() {
        "00000000" => Answer::Hang,
        "00000004" => unavailable(),
        _ => Answer::Hang,
    })
    .await;
    for n in 0..5 {
        bench.send(n * 4..n * 4 + 4).await.unwrap();
    }
    let started = tokio::time::Instant::now();
    bench.shutdown(Duration::from_secs(3)).await;
    assert_eq!(started.elapsed().as_secs(), 3);
    let books = bench.books("traces");
    assert_eq!((books.dropped.get("shutdown"), books.delivered, books.held), (Some(&20), 0, 0));
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 20);
}

#[tokio::test(start_paused = true)]
async fn partial_batches_are_flushed_at_once() {
    let bench = Bench::new("sending_queue: {batch: {flush_timeout: 1h}}", |_| Answer::Take).await;
    bench.send(0..5).await.unwrap();
    bench.send(5..7).await.unwrap();
    settle().await;
    assert!(bench.seen().is_empty());
    bench.shutdown(Duration::from_secs(3)).await;
    assert_eq!((bench.seen().len(), bench.taken()), (1, expected(0..7)));
    assert_eq!(bench.books("traces").delivered, 7);
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_get_their_batches_back_at_the_deadline() {
    for yaml in [
        "{timeout: 0s, sending_queue: {wait_for_result: true, num_consumers: 1}}",
        "{timeout: 0s, sending_queue: {enabled: false}}",
    ] {
        let bench = Bench::new(yaml, |_| Answer::Hang).await;
        let senders = [bench.spawn(bench.batch(0..3)), bench.spawn(bench.batch(3..5))];
        settle().await;
        bench.shutdown(Duration::from_secs(2)).await;
        let mut back = 0;
        for sender in senders {
            let (retryable, message, items) = refuse(sender.await.unwrap()).unwrap();
            assert!(retryable && message.starts_with("shutdown deadline passed"), "{message}");
            back += items;
        }
        assert_eq!(back, 5, "{yaml}");
        let books = bench.books("traces");
        assert_eq!((books.refused, books.held), (5, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_works_without_a_start_and_twice() {
    for yaml in ["{}", "sending_queue: {enabled: false}"] {
        let bench = Bench::unstarted(yaml, Extra::default(), |_| Answer::Take);
        if yaml == "{}" {
            bench.send(0..3).await.unwrap();
        }
        bench.shutdown(Duration::from_secs(1)).await;
        bench.delivery.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
        let books = bench.books("traces");
        assert_eq!(books.held, 0);
        let (retryable, _, items) = refuse(bench.send(3..6).await).unwrap();
        assert_eq!((retryable, items), (true, 3), "{yaml}");
    }
}
