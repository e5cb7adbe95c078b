//! What a reload replaces passes on what it holds: queues of exporters, outboxes, senders that wait. Test components around
//! the real queue and the real `batch` processor, on a paused clock.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

mod support;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use component::Consumer as _;
use pdata::Signal;
use support::{Feeds, pipeline};
use wire::Running;

/// The destination is down while reloads replace the exporter again and again.
#[tokio::test(start_paused = true)]
async fn what_a_replaced_exporter_held_passes_to_its_successor() {
    let feeds = Feeds::default();
    let yaml = |exporter: &str| {
        let yaml = pipeline(&[]).replace("[steady]", "[queued]");
        yaml.replace("{steady: }", &format!("{{queued: {{retry_on_failure: {{max_interval: 1s}}, {exporter}}}}}"))
    };
    let mut running = Running::start(yaml("version: 1"), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    let state = || {
        let totals = ledger.read()[0].1.clone();
        (totals.delivered, totals.refused, totals.held, totals.dropped.len(), totals.difference())
    };
    feeds.destination.is_down.store(true, Ordering::Relaxed);
    let edge = feeds.edge("feed", Signal::Logs).unwrap();
    for items in 1..=20 {
        edge.consume(support::logs(items, "")).await.unwrap();
    }
    for exporter in [
        "version: 2",
        "sending_queue: {batch: {flush_timeout: 1h, min_size: 1000}}",
        // Smaller than what it gets: it takes nothing else then.
        "sending_queue: {queue_size: 3}",
        "sending_queue: {sizer: items, queue_size: 10}",
        "sending_queue: {wait_for_result: true}",
        "sending_queue: {enabled: false}",
        "sending_queue: {num_consumers: 1, queue_size: 4}",
    ] {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let begun = tokio::time::Instant::now();
        let report = running.reload(yaml(exporter)).await.unwrap();
        assert_eq!(report.created, 1);
        assert!(begun.elapsed() < Duration::from_secs(1), "{exporter}: {:?}", begun.elapsed());
        assert_eq!(state(), (0, 0, 210, 0, 0), "{exporter}");
    }
    let mut refused = edge.consume(support::logs(1, "")).await.unwrap_err();
    assert!(refused.message().contains("is full"), "{}", refused.message());
    refused.take_undelivered().unwrap().settle(pdata::Outcome::Refused);
    feeds.destination.is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(state(), (210, 1, 0, 0, 0));
    let taken = feeds.destination.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 20);
    assert_eq!(taken, (1..=20).collect::<Vec<u64>>(), "in order");
    edge.consume(support::logs(1, "")).await.unwrap();
    running.stop().await;
}

/// Attempts that run when their exporter is replaced go to their end; those that fail, and senders that wait, go on with
/// the successor.
#[tokio::test(start_paused = true)]
async fn attempts_and_senders_that_wait_outlive_their_exporter() {
    for kind in [
        "sending_queue: {num_consumers: 2}",
        "sending_queue: {wait_for_result: true}",
        "sending_queue: {enabled: false}",
    ] {
        let feeds = Feeds::default();
        let yaml = |version: u32| {
            let yaml = pipeline(&[]).replace("[steady]", "[queued]");
            yaml.replace("{steady: }", &format!("{{queued: {{version: {version}, timeout: 3s, {kind}}}}}"))
        };
        let mut running = Running::start(yaml(0), support::catalog(&feeds, 1)).await;
        let ledger = Arc::clone(running.service.host().ledger());
        feeds.destination.hangs.store(true, Ordering::Relaxed);
        let edge = feeds.edge("feed", Signal::Logs).unwrap();
        let senders: Vec<_> = (1..=5)
            .map(|items| {
                let edge = edge.clone();
                tokio::spawn(async move { edge.consume(support::logs(items, "")).await.is_ok() })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for version in 1..4 {
            let begun = tokio::time::Instant::now();
            running.reload(yaml(version)).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(4), "{kind}: {:?}", begun.elapsed());
            assert_eq!(ledger.read()[0].1.held, 15);
        }
        feeds.destination.hangs.store(false, Ordering::Relaxed);
        for sender in senders {
            assert!(sender.await.unwrap(), "{kind}: a sender was refused");
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let totals = ledger.read()[0].1.clone();
        assert_eq!((totals.delivered, totals.held, totals.difference()), (15, 0, 0), "{kind}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_removed_exporter_held_is_dropped_at_the_deadline() {
    let feeds = Feeds::default();
    let yaml = pipeline(&[]).replace("{steady: }", "{steady: , queued: }");
    let mut running = Running::start(yaml.replace("[steady]", "[queued]"), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    feeds.destination.is_down.store(true, Ordering::Relaxed);
    feeds.edge("feed", Signal::Logs).unwrap().consume(support::logs(7, "")).await.unwrap();
    let begun = tokio::time::Instant::now();
    running.reload(yaml.replace("{steady: , queued: }", "{steady: }")).await.unwrap();
    // It tries until there is no time for another attempt.
    assert!((18..=20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let totals = ledger.read()[0].1.clone();
    assert_eq!((totals.dropped.get("shutdown"), totals.held, totals.difference()), (Some(&7), 0, 0));
    running.stop().await;
}

/// A `batch` processor in front of an exporter that takes nothing, replaced again and again, in the end by none.
#[tokio::test(start_paused = true)]
async fn what_a_replaced_batch_processor_held_passes_to_its_successor() {
    let feeds = Feeds::default();
    let yaml = |batch: &str| {
        let yaml =
            pipeline(&["batch"]).replace("  batch:\n", &format!("  batch: {batch}\n")).replace("[steady]", "[queued]");
        let exporter = "{queued: {sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}}";
        yaml.replace("{steady: }", exporter)
    };
    let mut running = Running::start(yaml("{timeout: 100ms}"), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    let state = || {
        let totals = ledger.read()[0].1.clone();
        (totals.delivered, totals.held, totals.dropped.len(), totals.difference())
    };
    feeds.destination.is_down.store(true, Ordering::Relaxed);
    let edge = feeds.edge("feed", Signal::Logs).unwrap();
    let mut fed = 0;
    for batch in
        ["{timeout: 200ms}", "{timeout: 1h}", "{send_batch_size: 10, send_batch_max_size: 10}", "{timeout: 300ms}"]
    {
        for items in 1..=5 {
            edge.consume(support::logs(items, "")).await.unwrap();
            fed += u64::from(items);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let begun = tokio::time::Instant::now();
        running.reload(yaml(batch)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{batch}: {:?}", begun.elapsed());
        assert_eq!(state(), (0, fed, 0, 0), "{batch}");
    }
    feeds.destination.is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(state(), (fed, 0, 0, 0));
    running.stop().await;
}
