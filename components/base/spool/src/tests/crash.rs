//! What the next process finds.

use std::sync::atomic::Ordering;

use super::disk::MemDisk;
use super::durable::{Bench, small};
use crate::format::Header;
use crate::{Options, SpoolError};

fn numbers(bench: &Bench) -> Vec<u64> {
    std::iter::from_fn(|| bench.claim()).map(|(_, number)| number.unwrap()).collect()
}

/// The story: a process is killed while it writes a record. Whatever byte it had come to, the records before are there, and
/// the spool goes on.
#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    for number in 0..3 {
        bench.put(number, 40).await.unwrap();
    }
    let path = disk.paths("seg").remove(0);
    let durable = disk.contents(&path).len();
    bench.put(3, 60).await.unwrap();
    let whole = disk.contents(&path).len();
    for len in durable..whole {
        let torn = disk.after_crash(false, || 0);
        torn.change(&path, |contents| contents.truncate(len));
        let bench = Bench::open(&torn, small());
        assert_eq!(numbers(&bench), [0, 1, 2], "{len}");
        assert_eq!(bench.noted.truncated_bytes.load(Ordering::SeqCst), (len - durable) as u64);
        assert_eq!(bench.noted.damaged_records.load(Ordering::SeqCst), 0);
        bench.put(9, 40).await.unwrap();
        bench.spool.flush().await;
        bench.close().await;
        let bench = Bench::open(&torn.after_crash(true, || 0), small());
        assert_eq!(numbers(&bench), [0, 1, 2, 9], "{len}");
    }
}

/// A new segment that was not finished holds nothing that was acknowledged.
#[tokio::test]
async fn a_segment_torn_while_it_was_created_is_nothing() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    bench.put(0, 40).await.unwrap();
    let path = disk.paths("seg").remove(0);
    for len in [0, 1, 63, 64, 8000, 8255, 8256] {
        let torn = disk.after_crash(false, || 0);
        torn.change(&path, |contents| contents.truncate(len));
        let bench = Bench::open(&torn, small());
        assert_eq!(numbers(&bench), [0_u64; 0], "{len}");
        assert_eq!(bench.noted.put_aside.load(Ordering::SeqCst), 0);
        bench.put(5, 40).await.unwrap();
        assert_eq!(numbers(&bench), [5]);
    }
}

/// An index that was being written when the power went: the segment is read through instead.
#[tokio::test]
async fn an_index_torn_at_any_byte_is_made_anew() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    for number in 0..4 {
        bench.put(number, 40).await.unwrap();
    }
    let path = disk.paths("seg").remove(0);
    let unsealed = disk.contents(&path).len();
    bench.spool.flush().await;
    let sealed = disk.contents(&path).len();
    assert_eq!(sealed - unsealed, 4 * 16 + 64);
    for len in unsealed..sealed {
        let torn = disk.after_crash(false, || 0);
        torn.change(&path, |contents| contents.truncate(len));
        let bench = Bench::open(&torn, small());
        assert_eq!(numbers(&bench), [0, 1, 2, 3], "{len}");
        assert_eq!(torn.contents(&path).len(), sealed);
    }
}

#[tokio::test]
async fn records_of_another_version_are_refused_by_name() {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    bench.put(0, 40).await.unwrap();
    bench.close().await;
    let error = Bench::try_open(&disk, Options { content: 2, ..small() }).err().unwrap();
    assert!(matches!(error, SpoolError::Version { .. }));
    let expected = "`/spool/00000000000000000000.seg` has format version 0 of its records, and only 2 can be read";
    assert_eq!(error.to_string(), expected);
    let path = disk.paths("seg").remove(0);
    let header = Header { content: 0, first: 0, run: 7 }.encode_as(9);
    disk.change(&path, |contents| contents[..header.len()].copy_from_slice(&header));
    let error = Bench::try_open(&disk, small()).err().unwrap();
    assert_eq!(error.to_string(), "`/spool/00000000000000000000.seg` has format version 9, and only 1 can be read");
}
