//! With a queue on disk: what was acknowledged survives the process, an exporter's end and its replacement.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{BoxFuture, Component, Consumer, Deadline, Extension, Storage, StorageClient, Stored};
use pdata::{AuthData, Context, Metadata};
use spool::{Options, OsDisk, Spool, SpoolError, Watch, WeakSpool};

use super::support::{Answer, Bench, Extra, Seen, expected, ms, refuse, settle, spans, unavailable};
use crate::Delivery;

#[derive(Debug)]
struct Unwatched;

impl Watch for Unwatched {}

/// A storage extension: spools in a directory, shared while they are open.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    options: Options,
    open: Mutex<Vec<(PathBuf, WeakSpool<Stored>)>>,
}

/// Each time another process.
static RUNS: AtomicU64 = AtomicU64::new(1);

impl Disk {
    pub(crate) fn new(folder: &Path, options: Options) -> Arc<Self> {
        let options = Options { fsync: false, run: RUNS.fetch_add(1, Ordering::Relaxed), ..options };
        Arc::new(Self { folder: folder.to_owned(), options, open: Mutex::default() })
    }

    fn open(&self, path: &Path, content: u16) -> Result<Spool<Stored>, SpoolError> {
        let mut open = self.open.lock().unwrap();
        open.retain(|(_, spool)| spool.upgrade().is_some());
        if let Some(spool) = open.iter().find(|(known, _)| known == path).and_then(|(_, spool)| spool.upgrade()) {
            return Ok(spool);
        }
        let options = Options { content, ..self.options.clone() };
        let spool = Spool::open(path, Arc::new(OsDisk), options, Arc::new(Unwatched))?;
        open.push((path.to_owned(), spool.downgrade()));
        Ok(spool)
    }

    /// Items on disk.
    pub(crate) fn items(&self) -> u64 {
        let open = self.open.lock().unwrap();
        open.iter().filter_map(|(_, spool)| spool.upgrade()).map(|spool| spool.held().items).sum()
    }
}

impl Component for Disk {}

impl Extension for Disk {
    fn storage(self: Arc<Self>) -> Option<Arc<dyn Storage>> {
        Some(self)
    }
}

impl Storage for Disk {
    fn spool<'a>(&'a self, client: &'a StorageClient) -> BoxFuture<'a, Result<Spool<Stored>, SpoolError>> {
        Box::pin(async move {
            let path = self.folder.join(client.to_string().replace('/', "~"));
            // One that is being closed is let go of in a moment.
            for _ in 0..50 {
                match self.open(&path, client.content) {
                    Err(SpoolError::InUse { .. }) => {}
                    opened => return opened,
                }
                let a_moment = || std::thread::sleep(Duration::from_millis(1));
                // Holds the paused clock.
                tokio::task::spawn_blocking(a_moment).await.unwrap();
            }
            Err(SpoolError::InUse { path })
        })
    }
}

pub(crate) fn with_disk(bench: &Bench, disk: &Arc<Disk>) {
    let extension: Arc<dyn Extension> = Arc::<Disk>::clone(disk);
    bench.host.set_extensions([("disk".parse().unwrap(), extension)].into());
}

/// A process: an exporter whose queue is in `folder`.
async fn process(
    folder: &Path,
    yaml: &str,
    options: Options,
    script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
) -> (Bench, Arc<Disk>) {
    let bench = Bench::unstarted(yaml, Extra::default(), script);
    let disk = Disk::new(folder, options);
    with_disk(&bench, &disk);
    bench.delivery.start(&bench.host).await.unwrap();
    (bench, disk)
}

const DISK: &str = "sending_queue: {storage: disk}";

/// Nothing beside the disk.
fn cold() -> Options {
    Options { resident_bytes: 0, ..Options::default() }
}

/// What a process leaves behind that is killed now.
fn killed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for queue in std::fs::read_dir(folder).unwrap() {
        let queue = queue.unwrap();
        let to = copy.path().join(queue.file_name());
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(queue.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    copy
}

/// The story: the gateway is away, the agent is killed, and comes back after the gateway.
#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_kill() {
    for options in [Options::default(), cold()] {
        let folder = tempfile::tempdir().unwrap();
        let (before, _disk) = process(folder.path(), DISK, options.clone(), |_| unavailable()).await;
        for n in 0..30 {
            before.send(n..n + 1).await.unwrap();
        }
        settle().await;
        let books = before.books("traces");
        assert_eq!((books.received, books.left(), books.held + books.persisted), (30, 0, 30));
        assert!(before.host.account().held() < 1 << 20);
        let left = killed(folder.path());
        let (after, _disk) = process(left.path(), DISK, options, |_| Answer::Take).await;
        settle().await;
        assert_eq!(after.taken(), expected(0..30));
        let books = after.books("traces");
        assert_eq!((books.recovered, books.received, books.delivered), (30, 0, 30));
        assert_eq!(after.metric("weir_exporter_recovered_items"), 30);
        assert_eq!(after.metric("otelcol_exporter_queue_size"), 0);
        after.shutdown(ms(100)).await;
        before.shutdown(ms(100)).await;
    }
}

/// A shutdown does not wait for a destination that is away: what is left is there the next time, and is in the books.
#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_what_is_not_sent() {
    for (yaml, options) in [
        (DISK, Options::default()),
        (DISK, cold()),
        (
            "sending_queue: {storage: disk, num_consumers: 1, batch: {min_size: 4, max_size: 5, flush_timeout: 1h}}",
            cold(),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (first, disk) = process(folder.path(), yaml, options.clone(), |_| unavailable()).await;
        for n in 0..10 {
            first.send(3 * n..3 * n + 3).await.unwrap();
        }
        settle().await;
        let begun = tokio::time::Instant::now();
        first.shutdown(Duration::from_secs(20)).await;
        assert!(begun.elapsed() < ms(50), "{:?}", begun.elapsed());
        let books = first.books("traces");
        assert_eq!((books.persisted, books.held, books.left()), (30, 0, 0), "{yaml}");
        assert_eq!(first.metric("otelcol_exporter_send_failed_spans"), 0);
        assert_eq!(disk.items(), 0, "closed");
        assert!(first.send(99..100).await.is_err());
        let (second, _disk) = process(folder.path(), yaml, options, |_| Answer::Take).await;
        settle().await;
        second.shutdown(ms(100)).await;
        let (third, _disk) = process(folder.path(), DISK, cold(), |_| Answer::Take).await;
        settle().await;
        third.shutdown(ms(100)).await;
        let mut taken = [second.taken(), third.taken()].concat();
        taken.sort();
        assert_eq!(taken, expected(0..30), "{yaml}");
    }
}

#[tokio::test(start_paused = true)]
async fn its_context_but_for_the_deadline_survives() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _disk) = process(folder.path(), DISK, cold(), |_| unavailable()).await;
    let auth = AuthData { attributes: vec![("subject".into(), vec!["me".into()])] };
    let context = Context {
        tenant: Some("acme".into()),
        metadata: Metadata::new([("x-team", "a")]),
        auth: Some(Arc::new(auth)),
        deadline: Some((tokio::time::Instant::now() + ms(10)).into_std()),
        ..Context::default()
    };
    let batch = first.batch_of("traces/in", 0..2, context);
    first.delivery.consume(batch).await.unwrap();
    first.shutdown(ms(10)).await;
    let (second, _disk) = process(folder.path(), DISK, cold(), |_| Answer::TakeAfter(ms(500))).await;
    tokio::time::sleep(ms(600)).await;
    assert_eq!(second.taken(), expected(0..2));
    assert_eq!(second.seen()[0].tenant.as_deref(), Some("acme"));
    assert_eq!((second.books("traces/in").recovered, second.books("traces/in").delivered), (2, 2));
    second.shutdown(ms(10)).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_in_every_unit_a_backlog_of_before_included() {
    let bytes = spans(0..3, 8).encoded_len();
    for (yaml, refusal) in [
        ("queue_size: 4".to_owned(), "sending queue is full: 4 of 4 requests".to_owned()),
        ("queue_size: 13, sizer: items".to_owned(), "sending queue is full: 12 of 13 items".to_owned()),
        (
            format!("queue_size: {}, sizer: bytes", 5 * bytes - 1),
            format!("sending queue is full: {} of {} bytes", 4 * bytes, 5 * bytes - 1),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!("sending_queue: {{storage: disk, {yaml}}}");
        let (first, _disk) = process(folder.path(), &yaml, cold(), |_| unavailable()).await;
        for n in 0..4 {
            first.send(3 * n..3 * n + 3).await.unwrap();
        }
        let (is_retryable, message, back) = refuse(first.send(12..15).await).unwrap();
        assert_eq!((is_retryable, message, back), (true, refusal.clone(), 3));
        let (is_retryable, message, _) = refuse(first.send(0..100).await).unwrap_or_default();
        assert!(message.is_empty() || !is_retryable || yaml.contains("size: 4"), "{message}");
        first.shutdown(ms(10)).await;
        let (second, _disk) = process(folder.path(), &yaml, cold(), |seen| match seen.at {
            at if at < ms(1000) => unavailable(),
            _ => Answer::Take,
        })
        .await;
        assert_eq!(refuse(second.send(12..15).await).unwrap().1, refusal);
        tokio::time::sleep(Duration::from_secs(20)).await;
        second.send(12..15).await.unwrap();
        settle().await;
        second.shutdown(ms(10)).await;
        assert_eq!(second.taken(), expected(0..15));
    }
}

#[tokio::test(start_paused = true)]
async fn senders_wait_for_room_in_order_or_until_their_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "sending_queue: {storage: disk, queue_size: 2, num_consumers: 1, block_on_overflow: true}";
    let (bench, _disk) = process(folder.path(), yaml, cold(), |_| Answer::TakeAfter(ms(100))).await;
    let mut senders = Vec::new();
    for n in 0..6 {
        senders.push(bench.spawn(bench.batch(n..n + 1)));
        settle().await;
    }
    let deadline = Some((tokio::time::Instant::now() + ms(20)).into_std());
    let hurried = bench.batch_of("traces", 6..7, Context { deadline, ..Context::default() });
    let (is_retryable, message, _) = refuse(bench.delivery.consume(hurried).await).unwrap();
    assert_eq!((is_retryable, message.as_str()), (true, "sending queue is full: 2 of 2 requests"));
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
    tokio::time::sleep(ms(300)).await;
    let taken: Vec<String> = bench.seen().into_iter().flat_map(|seen| seen.names).collect();
    assert_eq!(taken, expected(0..6), "in order");
    bench.shutdown(ms(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_is_a_refusal_that_may_pass() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { bytes_max: 9000, ..cold() };
    let (bench, _disk) = process(folder.path(), DISK, options, |_| unavailable()).await;
    let mut taken = 0;
    let (is_retryable, message, back) = loop {
        match refuse(bench.send(taken..taken + 1).await) {
            Some(refusal) => break refusal,
            None => taken += 1,
        }
    };
    assert!(taken > 1 && is_retryable && back == 1, "{taken}");
    assert!(message.starts_with("cannot store in the sending queue: `"), "{message}");
    assert!(message.ends_with("more would exceed its limit of 9000"), "{message}");
    assert_eq!(bench.metric("otelcol_exporter_enqueue_failed_spans"), 1);
    bench.shutdown(ms(10)).await;
    let books = bench.books("traces");
    assert_eq!((books.persisted, books.refused), (taken, 1));
}

async fn replace(old: &Delivery, successor: &Arc<Delivery>, within: Duration) {
    let heir: Arc<dyn Consumer> = Arc::<Delivery>::clone(successor);
    old.hand_over(&heir, Deadline::after(within)).unwrap().await.unwrap();
}

/// A reload: the successor finds the same queue, and what is resident, claimed or waiting for another attempt goes on there.
#[tokio::test(start_paused = true)]
async fn a_successor_goes_on_with_the_same_queue() {
    for options in [Options::default(), cold()] {
        let folder = tempfile::tempdir().unwrap();
        let script = |seen: &Seen| if seen.at < ms(2000) { unavailable() } else { Answer::Take };
        let (bench, _disk) = process(folder.path(), DISK, options, script).await;
        for n in 0..40 {
            bench.send(n..n + 1).await.unwrap();
        }
        settle().await;
        let successor = bench.successor("sending_queue: {storage: disk, queue_size: 41, sizer: items}").await;
        replace(&bench.delivery, &successor, Duration::from_secs(5)).await;
        // What comes late to the one that was replaced goes on.
        bench.delivery.consume(bench.batch(40..41)).await.unwrap();
        let refusal = refuse(successor.consume(bench.batch(41..42)).await).unwrap().1;
        assert_eq!(refusal, "sending queue is full: 41 of 41 items");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.taken(), expected(0..41));
        successor.shutdown(Deadline::after(ms(10))).await.unwrap();
        let books = bench.books("traces");
        assert_eq!((books.delivered, books.refused, books.held, books.persisted), (41, 1, 0, 0));
        assert_eq!((books.recovered, books.derived), (0, 0), "it never left the books");
    }
}

/// `storage` is added or removed by a reload: what waits goes over to the other kind of queue.
#[tokio::test(start_paused = true)]
async fn a_successor_with_another_kind_of_queue_gets_what_waits() {
    for (from, to) in [(DISK, "{}"), ("{}", DISK)] {
        let folder = tempfile::tempdir().unwrap();
        let script = |seen: &Seen| if seen.at < ms(2000) { unavailable() } else { Answer::Take };
        let (bench, disk) = process(folder.path(), from, cold(), script).await;
        for n in 0..100 {
            bench.send(n..n + 1).await.unwrap();
        }
        settle().await;
        let successor = bench.successor(to).await;
        replace(&bench.delivery, &successor, Duration::from_secs(5)).await;
        assert_eq!(disk.items(), if to == DISK { 100 } else { 0 });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.taken(), expected(0..100), "{from} {to}");
        successor.shutdown(Deadline::after(ms(10))).await.unwrap();
        let books = bench.books("traces");
        assert_eq!((books.delivered, books.held, books.persisted, books.derived), (100, 0, 0, 0), "{from} {to}");
    }
}

/// Memory is short: what does not fit stays on disk, instead of being taken into memory.
#[tokio::test(start_paused = true)]
async fn what_a_successor_has_no_memory_for_stays_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, _disk) = process(folder.path(), DISK, cold(), |_| unavailable()).await;
    for n in 0..100 {
        bench.send(n..n + 1).await.unwrap();
    }
    bench.host.account().set_cap(3000);
    let successor = bench.successor("{}").await;
    replace(&bench.delivery, &successor, Duration::from_secs(5)).await;
    let books = bench.books("traces");
    assert!(books.persisted > 20 && books.held > 20, "{books:?}");
    assert_eq!(books.persisted + books.held, 100);
    bench.host.account().set_cap(usize::MAX);
    let again = bench.successor(DISK).await;
    replace(&successor, &again, Duration::from_secs(5)).await;
    assert_eq!(bench.books("traces").persisted + bench.books("traces").held, 100);
    again.shutdown(Deadline::after(ms(10))).await.unwrap();
    let (next, _disk) = process(folder.path(), DISK, cold(), |_| Answer::Take).await;
    settle().await;
    assert_eq!(next.taken(), expected(0..100));
    next.shutdown(ms(10)).await;
}

/// A record of which a part was delivered is sent again as a whole: at least once, and the books say so.
#[tokio::test(start_paused = true)]
async fn a_record_delivered_in_part_is_sent_again_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "sending_queue: {storage: disk, batch: {min_size: 4, max_size: 4}}";
    let (first, _disk) = process(folder.path(), yaml, cold(), |seen| match seen.n {
        0 => Answer::Take,
        _ => unavailable(),
    })
    .await;
    first.send(0..12).await.unwrap();
    settle().await;
    first.shutdown(ms(10)).await;
    let books = first.books("traces");
    assert_eq!((books.delivered, books.persisted), (4, 8));
    let (second, _disk) = process(folder.path(), yaml, cold(), |_| Answer::Take).await;
    settle().await;
    assert_eq!(second.taken(), expected(0..12));
    assert_eq!((second.books("traces").recovered, second.books("traces").delivered), (12, 12));
    second.shutdown(ms(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_dropped_by_name_and_the_others_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _disk) = process(folder.path(), DISK, cold(), |_| unavailable()).await;
    for n in 0..10 {
        first.send(n..n + 1).await.unwrap();
    }
    first.shutdown(ms(10)).await;
    let queue = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let file = queue.join("00000000000000000000.seg");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(8).position(|window| window == b"00000003").unwrap();
    bytes[at] = b'9';
    std::fs::write(&file, bytes).unwrap();
    let (second, _disk) = process(folder.path(), DISK, cold(), |_| Answer::Take).await;
    settle().await;
    assert_eq!(second.taken(), expected((0..10).filter(|n| *n != 3)));
    let books = second.books("traces");
    assert_eq!((books.recovered, books.delivered, books.dropped.get("damaged_on_disk")), (10, 9, Some(&1)));
    second.shutdown(ms(10)).await;
    assert!(queue.join("00000000000000000000.damaged").exists());
}

/// Two exporters, or one of this and one of another process.
#[tokio::test(start_paused = true)]
async fn a_queue_that_somebody_else_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _disk) = process(folder.path(), DISK, cold(), |_| Answer::Take).await;
    let second = Bench::unstarted(DISK, Extra::default(), |_| Answer::Take);
    with_disk(&second, &Disk::new(folder.path(), cold()));
    let error = second.delivery.start(&second.host).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `test/1`: open `sending_queue::storage`");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.ends_with("exporter_test_1_traces` is in use by another process"), "{source}");
    first.shutdown(ms(10)).await;
    second.delivery.start(&second.host).await.unwrap();
    second.shutdown(ms(10)).await;
}
