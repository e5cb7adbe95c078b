//! Merging and splitting behind the queue.

use std::sync::Arc;
use std::time::Duration;

use pdata::{Context, Metadata};

use super::support::{Answer, Bench, Extra, expected, ms, settle, spans};

fn sizes(bench: &Bench) -> Vec<usize> {
    bench.seen().iter().map(|seen| seen.names.len()).collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_batch_block_each_record_goes_on_its_own() {
    let bench = Bench::new("sending_queue: {num_consumers: 1}", |_| Answer::Take).await;
    for n in 0..3 {
        bench.send(n * 10..n * 10 + n).await.unwrap();
    }
    bench.send(90..95).await.unwrap();
    settle().await;
    assert_eq!(sizes(&bench), [1, 2, 5]);
}

#[tokio::test(start_paused = true)]
async fn flushes_at_the_minimum_size_or_by_time() {
    let bench = Bench::new("sending_queue: {batch: {min_size: 10, flush_timeout: 1s}}", |_| Answer::Take).await;
    for n in 0..5 {
        bench.send(n * 4..n * 4 + 4).await.unwrap();
    }
    settle().await;
    assert_eq!(sizes(&bench), [12]);
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 2);
    tokio::time::sleep(ms(990)).await;
    assert_eq!(sizes(&bench), [12]);
    tokio::time::sleep(ms(20)).await;
    assert_eq!(sizes(&bench), [12, 8]);
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 0);
    assert_eq!(bench.taken(), expected(0..20));
}

#[tokio::test(start_paused = true)]
async fn splits_exactly_at_the_maximum() {
    let yaml = "sending_queue: {num_consumers: 1, batch: {min_size: 7, max_size: 7, flush_timeout: 1s}}";
    let bench = Bench::new(yaml, |_| Answer::TakeAfter(ms(100))).await;
    bench.send(0..20).await.unwrap();
    bench.send(20..22).await.unwrap();
    settle().await;
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 2, "a record commits with its last item");
    tokio::time::sleep(ms(3000)).await;
    assert_eq!(sizes(&bench), [7, 7, 7, 1]);
    assert_eq!(bench.taken(), expected(0..22));
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 0);
    assert_eq!(bench.books("traces").delivered, 22);
}

#[tokio::test(start_paused = true)]
async fn splits_by_bytes_as_well_as_items_allow() {
    let item = spans(0..2, 8).encoded_len() - spans(0..1, 8).encoded_len();
    let max = spans(0..1, 8).encoded_len() + 3 * item;
    let yaml = format!("sending_queue: {{batch: {{min_size: {max}, max_size: {max}, sizer: bytes}}}}");
    let bench = Bench::new(&yaml, |_| Answer::Take).await;
    bench.send(0..40).await.unwrap();
    tokio::time::sleep(ms(1000)).await;
    assert!(bench.seen().iter().all(|seen| seen.bytes <= max), "{:?}", bench.seen());
    assert!(bench.seen().len() <= 20, "{:?}", sizes(&bench));
    assert_eq!(bench.taken(), expected(0..40));
}

#[tokio::test(start_paused = true)]
async fn keeps_apart_what_something_reads_later() {
    let with = |tenant: Option<&str>, pairs: &[(&str, &str)]| Context {
        tenant: tenant.map(Into::into),
        metadata: Metadata::new(pairs.iter().copied()),
        ..Context::default()
    };
    let yaml = "sending_queue: {batch: {partition: {metadata_keys: [X-Region]}}}";
    let extra = Extra { metadata_keys: vec!["x-token".into()], ..Extra::default() };
    let bench = Bench::with(yaml, extra, |_| Answer::Take).await;
    let contexts = [
        with(None, &[]),
        with(Some("a"), &[]),
        with(None, &[("x-region", "eu")]),
        with(None, &[("x-region", "us")]),
        with(None, &[("x-token", "1")]),
        with(None, &[("x-other", "1")]),
    ];
    for (id, context) in (0..).zip(contexts.iter().chain(&contexts)) {
        bench.delivery_consume("traces", id..id + 1, context.clone()).await;
    }
    tokio::time::sleep(ms(1000)).await;
    // The last context differs from the first only in what nobody reads.
    assert_eq!(sizes(&bench), [4, 2, 2, 2, 2]);
    assert_eq!(bench.seen().iter().filter(|seen| seen.tenant == Some(Arc::from("a"))).count(), 1);
    assert_eq!(bench.taken(), expected(0..12));
    bench.books("traces");
}

#[tokio::test(start_paused = true)]
async fn merges_across_pipelines_and_books_each() {
    let bench = Bench::new("sending_queue: {batch: {min_size: 9, max_size: 9}}", |seen| {
        if seen.n == 0 { Answer::TakePartly(2, "two are bad") } else { Answer::Take }
    })
    .await;
    bench.delivery_consume("a", 0..4, Context::default()).await;
    bench.delivery_consume("b", 4..10, Context::default()).await;
    tokio::time::sleep(ms(1000)).await;
    assert_eq!(sizes(&bench), [9, 1]);
    let (a, b) = (bench.books("a"), bench.books("b"));
    assert_eq!((a.delivered, a.rejected, b.delivered, b.rejected), (2, 2, 6, 0));
}

#[tokio::test(start_paused = true)]
async fn each_sender_gets_its_own_part_back() {
    let yaml = "{retry_on_failure: {enabled: false}, \
                sending_queue: {wait_for_result: true, batch: {min_size: 6, max_size: 6}}}";
    let bench = Bench::new(yaml, |seen| if seen.n == 0 { super::support::unavailable() } else { Answer::Take }).await;
    let first = bench.spawn(bench.batch_of("a", 0..4, Context::default()));
    settle().await;
    let second = bench.spawn(bench.batch_of("b", 4..9, Context::default()));
    let mut error = first.await.unwrap().unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!((back.items(), back.stake().items(), back.payload().to_bytes()), (4, 4, spans(0..4, 8).to_bytes()));
    back.settle(pdata::Outcome::Refused);
    let mut error = second.await.unwrap().unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!(back.items(), 2);
    back.settle(pdata::Outcome::Refused);
    assert_eq!(bench.taken(), expected(6..9));
    let b = bench.books("b");
    assert_eq!((b.delivered, b.refused), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_does_not_hold_up_due_partitions() {
    let yaml = "sending_queue: {batch: {min_size: 1000, flush_timeout: 100ms}}";
    let bench = Bench::new(yaml, |_| Answer::Take).await;
    for id in 0..50 {
        bench.send(id..id + 1).await.unwrap();
        tokio::time::sleep(ms(10)).await;
    }
    assert!((4..=5).contains(&bench.seen().len()), "{:?}", sizes(&bench));
    bench.shutdown(Duration::from_secs(1)).await;
    assert_eq!(bench.taken(), expected(0..50));
}

impl Bench {
    async fn delivery_consume(&self, pipeline: &str, ids: std::ops::Range<u64>, context: Context) {
        use component::Consumer;
        self.delivery.consume(self.batch_of(pipeline, ids, context)).await.unwrap();
    }
}
