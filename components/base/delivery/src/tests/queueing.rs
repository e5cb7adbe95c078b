//! The way in: refusing, waiting, answering, and doing without a queue.

use std::sync::Arc;

use component::{Accepted, Code, Component, Consumer, Extension};
use pdata::Context;

use super::support::{Answer, Bench, Extra, expected, ms, refuse, settle, spans, unavailable};
use crate::SendError;

#[tokio::test(start_paused = true)]
async fn acknowledges_on_enqueue_and_refuses_when_full() {
    let bench = Bench::new("sending_queue: {queue_size: 2, num_consumers: 1}", |_| Answer::TakeAfter(ms(1000))).await;
    assert_eq!(bench.send(0..3).await.unwrap(), Accepted::all());
    assert_eq!(bench.send(3..5).await.unwrap(), Accepted::all());
    settle().await;
    assert_eq!((bench.metric("otelcol_exporter_queue_size"), bench.metric("otelcol_exporter_queue_capacity")), (2, 2));
    let error = bench.send(5..9).await.unwrap_err();
    assert_eq!(error.message(), "sending queue is full: 2 of 2 requests");
    assert!(error.retry_after().is_some());
    assert_eq!(error.answer_code(), Code::Unavailable);
    assert_eq!(refuse(Err(error)).unwrap().2, 4);
    assert_eq!(bench.metric("otelcol_exporter_enqueue_failed_spans"), 4);
    tokio::time::sleep(ms(1500)).await;
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 1);
    bench.send(5..9).await.unwrap();
    bench.shutdown(ms(5000)).await;
    assert_eq!(bench.taken(), expected(0..9));
    let books = bench.books("traces");
    assert_eq!((books.delivered, books.refused, books.held), (9, 4, 0));
    assert_eq!(bench.metric("otelcol_exporter_sent_spans"), 9);
    assert_eq!(bench.metric("otelcol_exporter_queue_batch_send_size"), 3);
    assert_eq!(bench.metric("otelcol_exporter_in_flight_requests"), 0);
}

#[tokio::test(start_paused = true)]
async fn counts_room_in_its_sizer() {
    let bytes = spans(0..3, 8).encoded_len();
    for (yaml, full) in [
        ("sending_queue: {queue_size: 5, sizer: items}".to_owned(), "3 of 5 items".to_owned()),
        (
            format!("sending_queue: {{queue_size: {}, sizer: bytes}}", 2 * bytes - 1),
            format!("{bytes} of {} bytes", 2 * bytes - 1),
        ),
    ] {
        let bench = Bench::new(&yaml, |_| Answer::Hang).await;
        bench.send(0..3).await.unwrap();
        let (retryable, message, back) = refuse(bench.send(3..6).await).unwrap();
        assert_eq!((retryable, back), (true, 3));
        assert_eq!(message, format!("sending queue is full: {full}"));
        bench.shutdown(ms(0)).await;
        assert_eq!(bench.books("traces").dropped.get("shutdown"), Some(&3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_refused_for_good() {
    let bench = Bench::new("sending_queue: {queue_size: 5, sizer: items}", |_| Answer::Take).await;
    let (retryable, message, back) = refuse(bench.send(0..6).await).unwrap();
    assert_eq!((retryable, back), (false, 6));
    assert_eq!(message, "element size too large: 6 items, the whole sending queue holds 5");
    bench.books("traces");
}

#[tokio::test(start_paused = true)]
async fn waits_for_room_in_order_until_the_senders_deadline() {
    let yaml = "sending_queue: {queue_size: 1, num_consumers: 1, block_on_overflow: true}";
    let bench = Bench::new(yaml, |_| Answer::TakeAfter(ms(1000))).await;
    bench.send(0..1).await.unwrap();
    let second = bench.spawn(bench.batch(1..2));
    settle().await;
    let deadline = (tokio::time::Instant::now() + ms(500)).into_std();
    let context = Context { deadline: Some(deadline), ..Context::default() };
    let third = bench.spawn(bench.batch_of("traces", 2..3, context));
    let fourth = bench.spawn(bench.batch(3..4));
    let (retryable, message, _) = refuse(third.await.unwrap()).unwrap();
    assert!(retryable && message.contains("sending queue is full"), "{message}");
    second.await.unwrap().unwrap();
    fourth.await.unwrap().unwrap();
    bench.shutdown(ms(5000)).await;
    let order: Vec<String> = bench.seen().into_iter().flat_map(|seen| seen.names).collect();
    assert_eq!(order, expected([0, 1, 3]));
    let books = bench.books("traces");
    assert_eq!((books.delivered, books.refused), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_are_refused_at_shutdown() {
    let yaml = "sending_queue: {queue_size: 1, block_on_overflow: true}";
    let bench = Bench::new(yaml, |_| Answer::TakeAfter(ms(1000))).await;
    bench.send(0..1).await.unwrap();
    let waiting = bench.spawn(bench.batch(1..2));
    settle().await;
    bench.shutdown(ms(5000)).await;
    let (retryable, message, _) = refuse(waiting.await.unwrap()).unwrap();
    assert!(retryable, "{message}");
    assert_eq!(message, "sending queue is shut down");
    assert_eq!(bench.books("traces").delivered, 1);
    assert_eq!(refuse(bench.send(5..6).await).unwrap().1, "sending queue is shut down");
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_result_and_passes_it_on() {
    for yaml in ["sending_queue: {wait_for_result: true}", "sending_queue: {enabled: false}"] {
        let yaml = format!("{{{yaml}, retry_on_failure: {{randomization_factor: 0, max_elapsed_time: 30s}}}}");
        let bench = Bench::new(&yaml, |seen| match seen.names.len() {
            1 => Answer::TakeAfter(ms(2000)),
            2 => Answer::TakePartly(1, "one is bad"),
            3 => Answer::Fail(SendError::permanent("INVALID_ARGUMENT", "cannot read").with_code(Code::InvalidArgument)),
            _ => unavailable(),
        })
        .await;
        let started = tokio::time::Instant::now();
        assert_eq!(bench.send(0..1).await.unwrap(), Accepted::all());
        assert!(started.elapsed() >= ms(2000));
        let partial = bench.send(1..3).await.unwrap();
        assert_eq!((partial.rejected_items, partial.message.as_deref()), (1, Some("one is bad")));
        let error = bench.send(3..6).await.unwrap_err();
        assert_eq!((error.is_retryable(), error.code()), (false, Some(Code::InvalidArgument)));
        assert_eq!(error.message(), "not retryable error: cannot read");
        assert_eq!(error.undelivered_items(), 0);
        let error = bench.send(6..10).await.unwrap_err();
        assert_eq!(error.message(), "no more retries left: try later");
        assert_eq!((error.is_retryable(), error.code()), (true, Some(Code::Unavailable)));
        assert_eq!(refuse(Err(error)).unwrap().2, 4);
        let books = bench.books("traces");
        assert_eq!((books.delivered, books.rejected, books.refused, books.held), (2, 4, 4, 0), "{yaml}");
        assert_eq!(bench.metric("otelcol_exporter_sent_spans"), 3);
        assert_eq!(bench.metric("otelcol_exporter_send_failed_spans"), 7);
        bench.shutdown(ms(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_senders_deadline_ends_the_retries() {
    let bench = Bench::new("sending_queue: {enabled: false}", |_| unavailable()).await;
    let deadline = (tokio::time::Instant::now() + ms(2000)).into_std();
    let context = Context { deadline: Some(deadline), ..Context::default() };
    let result = bench.delivery.consume(bench.batch_of("traces", 0..2, context)).await;
    let (retryable, message, back) = refuse(result).unwrap();
    assert_eq!((retryable, back, bench.seen().len()), (true, 2, 1));
    assert_eq!(message, "request will be cancelled before next retry: try later");
    assert_eq!(bench.books("traces").refused, 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_handed_back_remembers_its_fanout() {
    let bench =
        Bench::new("{sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}", |_| unavailable()).await;
    let mut batch = bench.batch(0..2);
    batch.set_pending(7, 0b101);
    let mut error = bench.delivery.consume(batch).await.unwrap_err();
    let mut back = error.take_undelivered().unwrap();
    assert_eq!(back.take_pending(7), Some(0b101));
    back.settle(pdata::Outcome::Refused);
    bench.books("traces");
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_items_is_taken_and_not_sent() {
    let bench = Bench::new("{}", |_| Answer::Take).await;
    assert_eq!(bench.send(0..0).await.unwrap(), Accepted::all());
    bench.shutdown(ms(100)).await;
    assert!(bench.seen().is_empty());
}

struct NoStorage;

impl Component for NoStorage {}

impl Extension for NoStorage {}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_none_is_refused_at_start() {
    let bench = Bench::unstarted("sending_queue: {storage: health_check}", Extra::default(), |_| Answer::Take);
    let error = bench.delivery.start(&bench.host).await.unwrap_err();
    let expected = "cannot start `test/1`: open `sending_queue::storage`: extension `health_check` is not running";
    assert_eq!(error.to_string(), expected);
    let extension: Arc<dyn Extension> = Arc::new(NoStorage);
    bench.host.set_extensions([("health_check".parse().unwrap(), extension)].into());
    let error = bench.delivery.start(&bench.host).await.unwrap_err();
    assert!(error.to_string().ends_with("extension `health_check` is not a storage extension"), "{error}");
}
