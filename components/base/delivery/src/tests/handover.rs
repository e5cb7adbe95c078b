//! Being replaced: what is not sent passes to the successor, in order, and stays in the books as held.

use std::sync::Arc;
use std::time::Duration;

use component::{Component, Consumer, Deadline};
use pdata::{Batch, Context};

use super::support::{Answer, Bench, Extra, expected, ms, refuse, settle, spans, unavailable};
use crate::config::Sizer;
use crate::{Delivery, Entry, MemoryQueue, Queue, SendError};

async fn replace(old: &Delivery, successor: &Arc<Delivery>, within: Duration) -> Duration {
    let begun = tokio::time::Instant::now();
    let heir: Arc<dyn Consumer> = Arc::<Delivery>::clone(successor);
    old.hand_over(&heir, Deadline::after(within)).unwrap().await.unwrap();
    begun.elapsed()
}

/// Some wait in the queue, some for others in a batch, some for another attempt: all of it goes out through the successor,
/// in the order in which it came.
#[tokio::test(start_paused = true)]
async fn what_waits_passes_on_in_order() {
    let yaml = "sending_queue: {num_consumers: 2, batch: {min_size: 4, flush_timeout: 1h}}";
    let bench = Bench::new(yaml, |seen| if seen.at < ms(1000) { unavailable() } else { Answer::Take }).await;
    for n in 0..20 {
        bench.send(n..n + 1).await.unwrap();
    }
    settle().await;
    assert_eq!(bench.seen().len(), 2);
    let successor = bench.successor("sending_queue: {num_consumers: 1, queue_size: 5}").await;
    successor.consume(bench.batch(20..21)).await.unwrap();
    tokio::time::sleep(ms(900)).await;
    let took = replace(&bench.delivery, &successor, Duration::from_secs(5)).await;
    assert!(took < ms(5), "{took:?}");
    let books = bench.books("traces");
    assert_eq!((books.held, books.dropped.len()), (21, 0));
    let (_, message, _) = refuse(successor.consume(bench.batch(21..22)).await).unwrap();
    assert_eq!(message, "sending queue is full: 21 of 5 requests");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let taken: Vec<String> = bench.seen().into_iter().filter(|seen| seen.taken).flat_map(|seen| seen.names).collect();
    // The one that was put into the successor's queue first was being sent already.
    assert_eq!(taken.len(), 21);
    assert_eq!(taken.into_iter().filter(|name| *name != "00000020").collect::<Vec<_>>(), expected(0..20));
    successor.consume(bench.batch(21..22)).await.unwrap();
    successor.shutdown(Deadline::after(ms(100))).await.unwrap();
    assert_eq!((bench.books("traces").delivered, bench.books("traces").held), (22, 0));
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 0);
}

/// An attempt that runs is not sent again by the successor while its answer may still come.
#[tokio::test(start_paused = true)]
async fn attempts_that_run_come_to_their_end() {
    for (answers_after, within, passed_on) in [(2, 5, 0), (2, 1, 3), (60, 10, 3)] {
        let yaml = "sending_queue: {num_consumers: 1}";
        let bench = Bench::new(yaml, move |seen| match seen.n {
            0 => Answer::TakeAfter(Duration::from_secs(answers_after)),
            _ => Answer::Take,
        })
        .await;
        bench.send(0..3).await.unwrap();
        settle().await;
        let successor = bench.successor("{}").await;
        let took = replace(&bench.delivery, &successor, Duration::from_secs(within)).await;
        // The exporter's own timeout is five seconds.
        let expected_ms = 1000 * answers_after.min(within).min(5);
        assert!((expected_ms - 1..=expected_ms).contains(&(took.as_millis() as u64)), "{took:?}");
        assert_eq!(bench.books("traces").held, passed_on);
        settle().await;
        assert_eq!(bench.taken(), expected(0..3));
        successor.shutdown(Deadline::after(ms(100))).await.unwrap();
        assert_eq!((bench.books("traces").delivered, bench.books("traces").held), (3, 0));
    }
}

/// Senders that wait take what was not sent to the successor themselves, and get one answer about everything.
#[tokio::test(start_paused = true)]
async fn senders_that_wait_go_on_with_the_successor() {
    for yaml in ["sending_queue: {wait_for_result: true, num_consumers: 1}", "sending_queue: {enabled: false}"] {
        // Parts of two spans: one is taken, but for a span; the next one has to wait.
        let bench = Bench::with(
            yaml,
            Extra { limit: Some(spans(0..2, 8).encoded_len()), ..Extra::default() },
            |seen| match seen.n {
                0 => Answer::TakePartly(1, "one is bad"),
                1 => Answer::Fail(SendError::retryable("UNAVAILABLE", "busy").with_retry_after(ms(60_000))),
                _ => Answer::TakePartly(1, "one more"),
            },
        )
        .await;
        let sender = bench.spawn(bench.batch(0..6));
        settle().await;
        let successor = bench.successor("sending_queue: {wait_for_result: true}").await;
        replace(&bench.delivery, &successor, Duration::from_secs(5)).await;
        let late = bench.spawn(bench.batch(6..8));
        let accepted = sender.await.unwrap().unwrap();
        assert_eq!(accepted.message.as_deref(), Some("one is bad; one more"), "{yaml}");
        assert!(late.await.unwrap().is_ok());
        successor.shutdown(Deadline::after(ms(100))).await.unwrap();
        let books = bench.books("traces");
        assert_eq!((books.delivered + books.rejected, books.refused, books.held), (8, 0, 0), "{yaml}");
        assert_eq!(books.rejected, bench.metric("weir_exporter_rejected_items"));
    }
}

/// A successor that has stopped, too, cannot take anything.
#[tokio::test(start_paused = true)]
async fn what_finds_no_successor_is_dropped_and_named() {
    let bench = Bench::new("{}", |_| unavailable()).await;
    bench.send(0..3).await.unwrap();
    settle().await;
    let successor = bench.successor("{}").await;
    successor.shutdown(Deadline::after(ms(0))).await.unwrap();
    replace(&bench.delivery, &successor, Duration::from_secs(1)).await;
    let books = bench.books("traces");
    assert_eq!((books.dropped.get("shutdown"), books.held), (Some(&3), 0));
    assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_queue_pays_off_what_it_inherited_beyond_its_capacity() {
    for sizer in [Sizer::Requests, Sizer::Items] {
        let queue = Arc::new(MemoryQueue::new(4, sizer, true));
        let entry = |id: u64| Entry::new(Batch::new(spans(id..id + 1, 8), Arc::new(Context::default())));
        queue.put(entry(10)).await.unwrap();
        for id in 0..6 {
            queue.inherit(entry(id)).await.unwrap();
        }
        assert_eq!((queue.used(), queue.capacity()), (7, 4));
        let waiting = tokio::spawn({
            let (queue, entry) = (Arc::clone(&queue), entry(11));
            async move { queue.put(entry).await.is_ok() }
        });
        for n in 0..4 {
            settle().await;
            assert!(!waiting.is_finished(), "{n}");
            let record = queue.claim().await.unwrap();
            assert_eq!(record.ticket.id, n);
            queue.commit(record.ticket);
        }
        assert!(waiting.await.unwrap());
        assert_eq!(queue.used(), 4);
        queue.close();
        assert!(queue.inherit(entry(12)).await.is_err());
        assert_eq!(queue.take_left().len(), 4);
    }
}
