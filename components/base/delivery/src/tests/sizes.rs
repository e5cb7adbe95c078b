//! Requests that are too large for the destination.

use std::time::Duration;

use component::{Code, Consumer};
use pdata::{Batch, Context, Payload, Segment, Signal};

use super::support::{Answer, Bench, Extra, Seen, expected, ms, name, spans};
use crate::{SendError, SizeRefusal};

fn too_large(size: SizeRefusal) -> Answer {
    let error = SendError::permanent("RESOURCE_EXHAUSTED", "message larger than max");
    Answer::Fail(error.with_code(Code::ResourceExhausted).with_size(size))
}

/// A destination that takes up to `max` bytes and says so with `size`.
fn takes(max: usize, size: SizeRefusal) -> impl Fn(&Seen) -> Answer + Send + Sync {
    move |seen| if seen.bytes > max { too_large(size) } else { Answer::Take }
}

async fn send_big(bench: &Bench, ids: std::ops::Range<u64>, name_bytes: usize) {
    let payload = spans(ids, name_bytes);
    let stake = bench.ledger.account(&"traces".into(), Signal::Traces, "").receive(payload.items());
    bench.delivery.consume(Batch::from_parts(payload, Context::default().into(), stake)).await.unwrap();
    tokio::time::sleep(ms(1000)).await;
}

#[tokio::test(start_paused = true)]
async fn splits_before_sending_what_the_destination_would_refuse() {
    let extra = Extra { limit: Some(1000), ..Extra::default() };
    let bench = Bench::with("{}", extra, takes(1000, SizeRefusal::No)).await;
    bench.send(0..500).await.unwrap();
    tokio::time::sleep(ms(1000)).await;
    assert!(bench.seen().iter().all(|seen| seen.taken), "no request was refused");
    assert!(bench.seen().len() > 5);
    assert_eq!(bench.taken(), expected(0..500));
    assert_eq!(bench.books("traces").delivered, 500);
}

#[tokio::test(start_paused = true)]
async fn a_configured_maximum_in_bytes_says_what_the_destination_takes() {
    let extra = Extra { limit: Some(1000), ..Extra::default() };
    let yaml = "sending_queue: {batch: {sizer: bytes, min_size: 10, max_size: 100000}}";
    let bench = Bench::with(yaml, extra, |_| Answer::Take).await;
    bench.send(0..500).await.unwrap();
    tokio::time::sleep(ms(1000)).await;
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn learns_the_limit_that_is_named() {
    let max = 100_000;
    let bench = Bench::new("{}", takes(max, SizeRefusal::Named(Some(max)))).await;
    send_big(&bench, 0..300, 1000).await;
    let refused = |bench: &Bench| bench.seen().iter().filter(|seen| !seen.taken).count();
    assert_eq!((refused(&bench), bench.taken().len()), (1, 300));
    send_big(&bench, 300..600, 1000).await;
    assert_eq!((refused(&bench), bench.taken().len()), (1, 600), "the second time it knew");
    tokio::time::sleep(Duration::from_secs(601)).await;
    send_big(&bench, 600..900, 1000).await;
    assert_eq!((refused(&bench), bench.taken().len()), (2, 900), "and forgets after a while");
    assert_eq!(bench.books("traces").delivered, 900);
}

#[tokio::test(start_paused = true)]
async fn halves_when_the_limit_is_not_named() {
    let bench = Bench::new("{}", takes(100_000, SizeRefusal::Named(None))).await;
    send_big(&bench, 0..300, 1000).await;
    assert_eq!(bench.taken().len(), 300);
    let refused = bench.seen().iter().filter(|seen| !seen.taken).count();
    assert!(refused <= 3, "{refused}");
    let books = bench.books("traces");
    assert_eq!((books.delivered, books.rejected), (300, 0));
}

#[tokio::test(start_paused = true)]
async fn only_the_item_that_is_too_large_is_lost() {
    let bench = Bench::new("sending_queue: {batch: {min_size: 11}}", takes(2000, SizeRefusal::Named(None))).await;
    send_big(&bench, 0..5, 10).await;
    send_big(&bench, 5..6, 5000).await;
    send_big(&bench, 6..11, 10).await;
    let mut taken: Vec<String> = (0..11).filter(|id| *id != 5).map(|id| name(id, 10)).collect();
    taken.sort();
    assert_eq!(bench.taken(), taken);
    let books = bench.books("traces");
    assert_eq!((books.delivered, books.rejected, books.held), (10, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unclear_refusal_is_split_only_above_the_assumed_limit() {
    let yaml = "sending_queue: {batch: {sizer: bytes, min_size: 10, max_size: 100000}}";
    let extra = || Extra { limit: Some(10_000), ..Extra::default() };
    let bench = Bench::with(yaml, extra(), takes(10_000, SizeRefusal::Unclear)).await;
    send_big(&bench, 0..30, 1000).await;
    assert_eq!(bench.books("traces").delivered, 30);
    let bench = Bench::with(yaml, extra(), takes(0, SizeRefusal::Unclear)).await;
    send_big(&bench, 0..3, 1000).await;
    assert_eq!((bench.seen().len(), bench.books("traces").rejected), (1, 3), "a quota, not a size");
}

/// `OUT_OF_RANGE` may be retried as a rule, but not when it means the size of one item: that would go on for ever.
#[tokio::test(start_paused = true)]
async fn a_single_item_that_is_too_large_is_not_retried() {
    let bench = Bench::new("{}", |_| {
        Answer::Fail(SendError::retryable("OUT_OF_RANGE", "too large").with_size(SizeRefusal::Named(None)))
    })
    .await;
    send_big(&bench, 0..1, 10).await;
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!((bench.seen().len(), bench.books("traces").rejected), (1, 1));
}

/// Spans with names of `name_bytes` below a resource of `resource_bytes`, on `bench`'s account.
fn below_a_heavy_resource(
    bench: &Bench,
    resource_bytes: usize,
    ids: std::ops::Range<u64>,
    name_bytes: usize,
) -> Payload {
    use pdata::wire::put_len;
    let items = u32::try_from(ids.end - ids.start).unwrap();
    let (mut value, mut attribute, mut resource) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut value, 1, &vec![b'x'; resource_bytes]);
    put_len(&mut attribute, 1, b"key");
    put_len(&mut attribute, 2, &value);
    put_len(&mut resource, 1, &attribute);
    let (mut scope, mut group, mut body) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut scope, 1, &[&[0x0a, 5], &b"scope"[..]].concat());
    for id in ids {
        let mut span = Vec::new();
        put_len(&mut span, 5, name(id, name_bytes).as_bytes());
        put_len(&mut scope, 2, &span);
    }
    put_len(&mut group, 1, &resource);
    put_len(&mut group, 2, &scope);
    put_len(&mut group, 3, b"r");
    put_len(&mut body, 1, &group);
    Payload::from_segments(Signal::Traces, [Segment::charged(body, items, Some(bench.host.account()))])
}

async fn send_payload(bench: &Bench, payload: Payload) {
    let stake = bench.ledger.account(&"traces".into(), Signal::Traces, "").receive(payload.items());
    bench.delivery.consume(Batch::from_parts(payload, Context::default().into(), stake)).await.unwrap();
    tokio::time::sleep(ms(60_000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_too_large_is_not_sent_again_with_every_item() {
    for size in [SizeRefusal::Named(None), SizeRefusal::Named(Some(1 << 19))] {
        let bench = Bench::new("{}", takes(1 << 19, size)).await;
        let payload = below_a_heavy_resource(&bench, 1 << 20, 0..500, 8);
        let whole = payload.encoded_len();
        send_payload(&bench, payload).await;
        let books = bench.books("traces");
        assert_eq!((books.rejected, books.delivered, books.held), (500, 0, 0));
        assert!(bench.seen().len() <= 3, "{} requests", bench.seen().len());
        assert!(bench.host.account().peak() <= 4 * whole, "{}", bench.host.account().peak());
    }
}

#[tokio::test(start_paused = true)]
async fn what_fits_with_its_resource_in_a_few_requests_is_delivered() {
    let bench = Bench::new("{}", takes(400 << 10, SizeRefusal::Named(None))).await;
    let payload = below_a_heavy_resource(&bench, 300 << 10, 0..300, 1000);
    send_payload(&bench, payload).await;
    assert_eq!(bench.books("traces").delivered, 300);
    assert!(bench.seen().len() <= 20, "{} requests", bench.seen().len());
}

#[tokio::test(start_paused = true)]
async fn batches_of_a_heavy_resource_are_cut_as_they_are_sent() {
    let yaml = "sending_queue: {num_consumers: 1, batch: {min_size: 1, max_size: 1, flush_timeout: 1s}}";
    let bench = Bench::new(yaml, |_| Answer::Take).await;
    let payload = below_a_heavy_resource(&bench, 1 << 20, 0..200, 8);
    let whole = payload.encoded_len();
    send_payload(&bench, payload).await;
    assert!(bench.seen().len() == 200 && bench.seen().iter().all(|seen| seen.names.len() == 1));
    assert_eq!(bench.taken(), expected(0..200));
    assert!(bench.host.account().peak() <= 6 * whole, "{} of {whole}", bench.host.account().peak());
}
