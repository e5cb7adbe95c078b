//! Appending, claiming and committing, without crashes: groups, order, room, memory.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::disk::MemDisk;
use crate::spool::Found;
use crate::{Disk, Options, OsDisk, Put, Resident, Size, Spool, SpoolError, Watch};

/// Counts what is in memory and what was released.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) bytes: usize,
    pub(crate) released: Arc<AtomicU64>,
}

impl Resident for Live {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn release(self) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }
}

/// Notes what it is told.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) truncated_bytes: AtomicU64,
    pub(crate) damaged_records: AtomicU64,
    pub(crate) put_aside: AtomicU64,
    pub(crate) troubles: Mutex<Vec<String>>,
}

impl Watch for Noted {
    fn truncated(&self, bytes: u64) {
        self.truncated_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn damaged(&self, records: u64) {
        self.damaged_records.fetch_add(records, Ordering::SeqCst);
    }

    fn put_aside(&self, _: &Path) {
        self.put_aside.fetch_add(1, Ordering::SeqCst);
    }

    fn trouble(&self, error: &SpoolError) {
        self.troubles.lock().unwrap().push(error.in_full());
    }
}

/// A spool, and everything one looks at.
pub(crate) struct Bench {
    pub(crate) spool: Spool<Live>,
    pub(crate) noted: Arc<Noted>,
    pub(crate) released: Arc<AtomicU64>,
}

impl Bench {
    pub(crate) fn open(disk: &MemDisk, options: Options) -> Self {
        Self::try_open(disk, options).unwrap()
    }

    pub(crate) fn try_open(disk: &MemDisk, options: Options) -> Result<Self, SpoolError> {
        Self::on(Arc::new(disk.clone()), Path::new("/spool"), options)
    }

    pub(crate) fn on(disk: Arc<dyn Disk>, directory: &Path, options: Options) -> Result<Self, SpoolError> {
        let noted = Arc::<Noted>::default();
        let spool = Spool::open(directory, disk, options, Arc::<Noted>::clone(&noted))?;
        Ok(Self { spool, noted, released: Arc::default() })
    }

    /// Appends the record `number` of `len` bytes.
    pub(crate) async fn put(&self, number: u64, len: usize) -> Result<u64, SpoolError> {
        let body = body(number, len);
        let size = Size::of(number % 5 + 1, len as u64);
        self.spool.reserve(size, |_| true).unwrap();
        let half = len / 2;
        let live = Live { bytes: len.max(1), released: Arc::clone(&self.released) };
        let put =
            Put { head: number.to_le_bytes().to_vec(), body: vec![body.slice(..half), body.slice(half..)], size, live };
        self.spool.append(put).await.map_err(|(error, _)| error)
    }

    /// Claims the next record. Returns its sequence and its number, after checking every byte that was stored.
    pub(crate) fn claim(&self) -> Option<(u64, Option<u64>)> {
        let claimed = self.spool.claim()?.unwrap();
        let number = match claimed.found {
            Found::Resident(_) => None,
            Found::Stored(stored) => {
                let number = u64::from_le_bytes(stored.head[..].try_into().unwrap());
                assert_eq!(stored.body, body(number, stored.body.len()));
                Some(number)
            }
        };
        Some((claimed.sequence, number))
    }

    /// Ends it when nothing is being written.
    pub(crate) async fn close(self) {
        self.idle().await;
    }

    pub(crate) async fn idle(&self) {
        while !self.spool.is_idle() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
}

/// `len` bytes that belong to `number`.
pub(crate) fn body(number: u64, len: usize) -> Bytes {
    (0..len as u64).map(|n| (n.wrapping_mul(31) ^ number.wrapping_mul(0x9e37_79b9)) as u8).collect::<Vec<_>>().into()
}

pub(crate) fn small() -> Options {
    Options { segment_bytes: 9000, resident_bytes: 0, run: 7, ..Options::default() }
}

#[tokio::test]
async fn all_who_wait_share_an_fsync() {
    let disk = MemDisk::new();
    disk.faults.sync_takes_us.store(20_000, Ordering::SeqCst);
    let bench = Arc::new(Bench::open(&disk, Options { resident_bytes: 0, ..Options::default() }));
    bench.put(0, 10).await.unwrap();
    let before = disk.faults.syncs.load(Ordering::SeqCst);
    let puts = (1..=100).map(|number| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.put(number, 100).await.unwrap() })
    });
    let puts: Vec<_> = puts.collect();
    let mut sequences = Vec::new();
    for put in puts {
        sequences.push(put.await.unwrap());
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=100).collect::<Vec<_>>());
    let syncs = disk.faults.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs <= 3, "{syncs} for 100 records");
}

#[tokio::test]
async fn hands_out_the_oldest_first_and_forgets_what_is_committed() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    for number in 0..40 {
        bench.put(number, 100).await.unwrap();
    }
    assert!(disk.paths("seg").len() > 5);
    assert_eq!(bench.spool.held().records, 40);
    let first: Vec<_> = (0..10).map(|_| bench.claim().unwrap()).collect();
    assert!(first.iter().zip(0..).all(|((_, number), expected)| *number == Some(expected)), "{first:?}");
    for (sequence, _) in &first[2..8] {
        bench.spool.commit(*sequence);
    }
    bench.spool.give_back(first[9].0);
    bench.spool.give_back(first[0].0);
    assert_eq!(bench.claim().unwrap().1, Some(0));
    assert_eq!(bench.claim().unwrap().1, Some(9));
    assert_eq!(bench.claim().unwrap().1, Some(10));
    // Twice changes nothing.
    bench.spool.commit(first[3].0);
    assert_eq!(bench.spool.held().records, 34);
    for sequence in [0, 1, 8, 9, 10] {
        bench.spool.commit(sequence);
    }
    while let Some((sequence, _)) = bench.claim() {
        bench.spool.commit(sequence);
    }
    assert_eq!(bench.spool.held(), Size::default());
    assert_eq!(bench.spool.flush().await, Size::default());
    bench.idle().await;
    assert_eq!(disk.paths("seg").len(), 0);
    assert_eq!(bench.spool.file_bytes(), 0);
}

#[tokio::test]
async fn keeps_some_in_memory_and_releases_the_others() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, Options { resident_bytes: 250, ..small() });
    for number in 0..5 {
        bench.put(number, 100).await.unwrap();
    }
    assert_eq!(bench.released.load(Ordering::SeqCst), 3);
    assert!(bench.spool.claim_resident().unwrap().is_some());
    assert_eq!(bench.claim().unwrap(), (1, None));
    assert!(bench.spool.claim_resident().is_err(), "on disk");
    assert_eq!(bench.claim().unwrap(), (2, Some(2)));
    bench.put(5, 100).await.unwrap();
    assert_eq!(bench.released.load(Ordering::SeqCst), 3);
    bench.spool.flush().await;
    assert_eq!(bench.released.load(Ordering::SeqCst), 4);
    assert_eq!(bench.claim().unwrap(), (3, Some(3)));
    bench.put(6, 100).await.unwrap();
    let released = Arc::clone(&bench.released);
    bench.close().await;
    assert_eq!(released.load(Ordering::SeqCst), 5, "a resident does not go unsaid");
}

#[tokio::test]
async fn a_full_disk_refuses_whole_records_and_takes_others_when_there_is_room() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    bench.put(0, 100).await.unwrap();
    for space in 0..200 {
        disk.faults.space.store(space, Ordering::SeqCst);
        let error = bench.put(1, 200).await.unwrap_err();
        assert!(matches!(error, SpoolError::Full { .. }), "{error}");
        assert_eq!(bench.spool.held().records, 1);
    }
    // What is there can be claimed and committed, and makes room.
    disk.faults.space.store(0, Ordering::SeqCst);
    let (sequence, number) = bench.claim().unwrap();
    assert_eq!(number, Some(0));
    bench.spool.commit(sequence);
    bench.idle().await;
    disk.faults.space.store(u64::MAX, Ordering::SeqCst);
    bench.put(2, 200).await.unwrap();
    bench.spool.flush().await;
    let next = disk.after_crash(false, || 0);
    bench.close().await;
    let bench = Bench::open(&next, small());
    assert_eq!(bench.claim().unwrap().1, Some(2));
    assert_eq!(bench.claim(), None);
    assert_eq!(bench.noted.damaged_records.load(Ordering::SeqCst), 0);
}

/// The place of acknowledgements exists from the beginning.
#[tokio::test]
async fn commits_and_removals_need_no_space() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    for number in 0..20 {
        bench.put(number, 200).await.unwrap();
    }
    disk.faults.space.store(0, Ordering::SeqCst);
    let claimed: Vec<_> = (0..19).map(|_| bench.claim().unwrap().0).collect();
    claimed.iter().for_each(|sequence| bench.spool.commit(*sequence));
    bench.idle().await;
    assert_eq!(disk.paths("seg").len(), 1);
    let next = disk.after_crash(false, || 0);
    bench.close().await;
    let bench = Bench::open(&next, small());
    assert_eq!((bench.claim().unwrap().1, bench.claim()), (Some(19), None));
    assert!(bench.noted.troubles.lock().unwrap().is_empty());
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_more_goes_into_that_file() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    bench.put(0, 50).await.unwrap();
    disk.faults.sync_fails.store(true, Ordering::SeqCst);
    for number in 1..4 {
        let error = bench.put(number, 50).await.unwrap_err();
        assert!(error.in_full().ends_with("the medium is gone"), "{}", error.in_full());
    }
    disk.faults.sync_fails.store(false, Ordering::SeqCst);
    bench.put(4, 50).await.unwrap();
    bench.put(5, 50).await.unwrap();
    bench.idle().await;
    assert_eq!(disk.paths("seg").len(), 2, "the first one, and a new one");
    let numbers: Vec<_> = std::iter::from_fn(|| bench.claim()).map(|(_, number)| number.unwrap()).collect();
    assert_eq!(numbers, [0, 4, 5]);
    let next = disk.after_crash(true, || 0);
    bench.close().await;
    let bench = Bench::open(&next, small());
    let numbers: Vec<_> = std::iter::from_fn(|| bench.claim()).map(|(_, number)| number.unwrap()).collect();
    assert_eq!(numbers, [0, 4, 5]);
}

#[tokio::test]
async fn a_budget_bounds_the_files() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, Options { bytes_max: 30_000, ..small() });
    let mut taken = 0;
    let error = loop {
        match bench.put(taken, 400).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Budget { limit_bytes: 30_000, .. }), "{error}");
    let on_disk: usize = disk.paths("seg").iter().map(|path| disk.contents(path).len()).sum();
    assert!(on_disk <= 30_000 && taken > 2, "{on_disk}");
    assert_eq!(bench.spool.file_bytes(), on_disk as u64);
    while let Some((sequence, _)) = bench.claim() {
        bench.spool.commit(sequence);
    }
    bench.spool.flush().await;
    bench.put(0, 400).await.unwrap();
}

#[tokio::test]
async fn one_has_it_at_a_time_and_files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a/queue");
    let open = || Bench::on(Arc::new(OsDisk), &directory, small());
    let bench = open().unwrap();
    let error = open().err().unwrap();
    assert_eq!(error.to_string(), format!("`{}` is in use by another process", directory.display()));
    for number in 0..30 {
        bench.put(number, 300).await.unwrap();
    }
    assert_eq!(bench.claim().unwrap().1, Some(0));
    bench.spool.commit(0);
    bench.spool.flush().await;
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    bench.close().await;
    let bench = open().unwrap();
    let numbers: Vec<_> = std::iter::from_fn(|| bench.claim()).map(|(_, number)| number.unwrap()).collect();
    assert_eq!(numbers, (1..30).collect::<Vec<_>>());
}

/// Opening reads the two ends of each segment, and draining keeps the index of one or two segments.
#[tokio::test]
async fn neither_opening_nor_draining_grows_with_what_waits() {
    let disk = MemDisk::new();
    let options = Options { segment_bytes: 100_000, resident_bytes: 0, fsync: false, ..Options::default() };
    let bench = Bench::open(&disk, options.clone());
    for number in 0..3000 {
        bench.put(number, 200).await.unwrap();
    }
    bench.spool.flush().await;
    bench.close().await;
    let (segments, next) = (disk.paths("seg").len() as u64, disk.after_crash(false, || 0));
    let bench = Bench::open(&next, options);
    let read = next.faults.bytes_read.load(Ordering::SeqCst);
    assert!(read <= segments * (8256 + 64), "{read} bytes of {segments} segments");
    assert_eq!((bench.spool.held().records, bench.spool.entries_in_memory()), (3000, 0));
    assert_eq!(next.faults.open.load(Ordering::SeqCst), 0);
    let per_segment = 3000 / segments as usize + 50;
    while let Some((sequence, _)) = bench.claim() {
        assert!(bench.spool.entries_in_memory() <= per_segment, "{}", bench.spool.entries_in_memory());
        // One that is claimed from, and one that is written to.
        assert!(next.faults.open.load(Ordering::SeqCst) <= 3);
        bench.spool.commit(sequence);
    }
    assert_eq!(bench.spool.held(), Size::default());
}
