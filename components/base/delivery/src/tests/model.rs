//! Random sequences against a destination of random moods, through exporters that replace each other: the books balance at
//! every step, and nothing is lost without being named, or delivered twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use component::{Component, Consumer, Deadline, Kind, Storage, StorageClient};
use pdata::{Context, Outcome};
use proptest::prelude::*;
use spool::Options;

use super::persistence::{Disk, with_disk};
use super::support::{Answer, Bench, Extra, ms, name, unavailable};
use crate::{SendError, SizeRefusal};

#[derive(Clone, Debug)]
enum Step {
    Send { items: u64, tenant: u8, pipeline: u8 },
    Wait { ms: u64 },
    Replace { yaml: String, within_ms: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Mood {
    Take,
    Slow,
    Refuse,
    Reject,
    Partly,
    TooLarge,
    Hang,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..40_u64, 0..3_u8, 0..2_u8).prop_map(|(items, tenant, pipeline)| Step::Send { items, tenant, pipeline }),
        3 => (0..3000_u64).prop_map(|ms| Step::Wait { ms }),
        1 => (yaml(), prop_oneof![Just(0), Just(5000_u64)]).prop_map(|(yaml, within_ms)| Step::Replace { yaml, within_ms }),
    ]
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Take),
        3 => Just(Mood::Slow),
        3 => Just(Mood::Refuse),
        1 => Just(Mood::Reject),
        1 => Just(Mood::Partly),
        1 => Just(Mood::TooLarge),
        1 => Just(Mood::Hang),
    ]
}

fn yaml() -> impl Strategy<Value = String> {
    let queue = prop_oneof![
        Just("enabled: false".to_owned()),
        Just("queue_size: 8".to_owned()),
        Just("queue_size: 60, sizer: items".to_owned()),
        Just("queue_size: 8, num_consumers: 2, block_on_overflow: true".to_owned()),
        Just("queue_size: 20, wait_for_result: true".to_owned()),
        Just("queue_size: 20, storage: disk".to_owned()),
        Just("queue_size: 60, sizer: items, storage: disk, block_on_overflow: true".to_owned()),
    ];
    let batch = prop_oneof![
        Just(""),
        Just(", batch: {min_size: 20}"),
        Just(", batch: {min_size: 5, max_size: 7}"),
        Just(", batch: {min_size: 100, max_size: 300, sizer: bytes}"),
    ];
    (queue, batch, any::<bool>()).prop_map(|(queue, batch, retries)| {
        format!(
            "{{timeout: 2s, sending_queue: {{{queue}{batch}}}, \
             retry_on_failure: {{enabled: {retries}, initial_interval: 100ms, max_interval: 1s, max_elapsed_time: 4s}}}}"
        )
    })
}

async fn run(yaml: String, steps: Vec<Step>, moods: Vec<Mood>, limit: Option<usize>, drain_ms: u64) {
    let moods = Mutex::new(moods.into_iter().cycle());
    let rejected_partly = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&rejected_partly);
    let extra = Extra { limit, ..Extra::default() };
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path(), Options { resident_bytes: 400, segment_bytes: 10_000, ..Options::default() });
    let bench = Bench::unstarted(&yaml, extra, move |seen| match moods.lock().unwrap().next().unwrap_or(Mood::Take) {
        Mood::Take => Answer::Take,
        Mood::Slow => Answer::TakeAfter(ms(300)),
        Mood::Refuse => unavailable(),
        Mood::Reject => Answer::Fail(SendError::permanent("INVALID_ARGUMENT", "bad")),
        Mood::Partly => {
            let half = seen.names.len() as u64 / 2;
            counter.fetch_add(half, Ordering::Relaxed);
            Answer::TakePartly(half, "half")
        }
        Mood::TooLarge => {
            Answer::Fail(SendError::permanent("RESOURCE_EXHAUSTED", "big").with_size(SizeRefusal::Named(None)))
        }
        Mood::Hang => Answer::Hang,
    });
    with_disk(&bench, &disk);
    bench.delivery.start(&bench.host).await.unwrap();
    let (mut senders, mut replaced) = (Vec::new(), Vec::new());
    let mut current = Arc::clone(&bench.delivery);
    let mut next_id = 0;
    for step in steps {
        match step {
            Step::Send { items, tenant, pipeline } => {
                let ids = next_id..next_id + items;
                next_id += items;
                let tenant = (tenant > 0).then(|| tenant.to_string().into());
                let deadline = Some((tokio::time::Instant::now() + ms(1500)).into_std());
                let context = Context { tenant, deadline, ..Context::default() };
                let batch = bench.batch_of(["a", "b"][usize::from(pipeline)], ids, context);
                let delivery = Arc::clone(&current);
                senders.push(tokio::spawn(async move {
                    let Err(mut error) = delivery.consume(batch).await else { return 0 };
                    let Some(back) = error.take_undelivered() else { return 0 };
                    let items = back.items();
                    assert_eq!(items, back.stake().items());
                    back.settle(Outcome::Refused);
                    items
                }));
            }
            Step::Wait { ms: time } => tokio::time::sleep(ms(time)).await,
            Step::Replace { yaml, within_ms } => {
                let successor = bench.successor(&yaml).await;
                let old = std::mem::replace(&mut current, Arc::clone(&successor));
                replaced.push(tokio::spawn(async move {
                    let (begun, heir): (_, Arc<dyn Consumer>) = (tokio::time::Instant::now(), successor);
                    old.hand_over(&heir, Deadline::after(ms(within_ms))).unwrap().await.unwrap();
                    assert!(begun.elapsed() <= ms(within_ms + 5), "{:?}", begun.elapsed());
                }));
            }
        }
        bench.books("a");
    }
    let started = tokio::time::Instant::now();
    current.shutdown(Deadline::after(ms(drain_ms))).await.unwrap();
    assert!(started.elapsed() <= ms(drain_ms + 5), "{:?}", started.elapsed());
    for replaced in replaced {
        replaced.await.unwrap();
    }
    let mut handed_back = 0;
    for sender in senders {
        handed_back += sender.await.unwrap();
    }
    let (a, b) = (bench.books("a"), bench.books("b"));
    assert_eq!(a.held + b.held, 0);
    assert_eq!(a.refused + b.refused, handed_back);
    assert_eq!(a.rejected + b.rejected, bench.metric("weir_exporter_rejected_items"));
    let taken = bench.taken();
    assert_eq!(a.delivered + b.delivered + rejected_partly.load(Ordering::Relaxed), taken.len() as u64);
    // No item was taken twice but those of records on disk that had been delivered in part, and each is one that was sent.
    let mut counts = BTreeMap::new();
    taken.iter().for_each(|name| *counts.entry(name.clone()).or_insert(0_u64) += 1);
    let twice: u64 = counts.values().map(|count| count - 1).sum();
    let (derived, persisted) = (a.derived + b.derived, a.persisted + b.persisted);
    let client = StorageClient {
        kind: Kind::Exporter,
        id: "test/1".parse().unwrap(),
        name: "traces".to_owned(),
        content: crate::record::CONTENT,
    };
    let on_disk = disk.spool(&client).await.unwrap().held().items;
    assert!(persisted <= on_disk && twice <= derived + on_disk - persisted, "{twice} {derived} {on_disk} {persisted}");
    assert!(counts.keys().all(|taken| *taken < name(next_id, 8)));
    let named: u64 = [&a, &b].iter().map(|books| books.left()).sum();
    assert_eq!(named + persisted, next_id + derived);
    assert_eq!(bench.metric("otelcol_exporter_in_flight_requests"), 0);
    assert_eq!(bench.metric("otelcol_exporter_queue_size"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_answered_once(
        yaml in yaml(),
        steps in prop::collection::vec(step(), 1..40),
        moods in prop::collection::vec(mood(), 1..20),
        limit in prop_oneof![Just(None), Just(Some(150_usize))],
        drain_ms in prop_oneof![Just(0), Just(500), Just(20_000_u64)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(yaml, steps, moods, limit, drain_ms));
    }
}
