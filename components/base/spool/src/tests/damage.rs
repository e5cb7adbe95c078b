//! Bits that flipped: what is damaged is left out, counted and put aside, and the rest is used.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::disk::MemDisk;
use super::durable::{Bench, small};
use crate::spool::Found;

/// Every record that can be read, and how many cannot.
fn drain(bench: &Bench) -> (Vec<u64>, u64) {
    let (mut numbers, mut unreadable) = (Vec::new(), 0);
    while let Some(claimed) = bench.spool.claim() {
        match claimed {
            Ok(claimed) => {
                let Found::Stored(stored) = claimed.found else { panic!("nothing is in memory") };
                let number = u64::from_le_bytes(stored.head[..].try_into().unwrap());
                assert_eq!(stored.body, super::durable::body(number, stored.body.len()));
                numbers.push(number);
                bench.spool.commit(claimed.sequence);
            }
            Err(_) => unreadable += 1,
        }
    }
    (numbers, unreadable)
}

async fn written(seals: bool) -> MemDisk {
    let disk = MemDisk::new();
    let bench = Bench::open(&disk, small());
    for number in 0..12 {
        bench.put(number, 90).await.unwrap();
    }
    if seals {
        bench.spool.flush().await;
    }
    bench.close().await;
    disk
}

#[tokio::test]
async fn a_damaged_record_costs_itself_alone() {
    let record = 48 + 8 + 90;
    // Of the first segment, which is sealed, and of the last, which is not, and in which nothing is behind record 11.
    for (number, within, has_head) in
        [(0, 60, true), (1, 20, false), (3, 2, false), (2, 130, true), (2, 50, false), (10, 60, false), (10, 3, false)]
    {
        let disk = written(false).await;
        let (path, first, is_sealed) = match number {
            0..5 => (disk.paths("seg").remove(0), 0, true),
            _ => (disk.paths("seg").pop().unwrap(), 10, false),
        };
        disk.change(&path, |contents| contents[8256 + (number - first) * record + within] ^= 0x10);
        let bench = Bench::open(&disk, small());
        let (mut numbers, mut unreadable) = (Vec::new(), Vec::new());
        while let Some(claimed) = bench.spool.claim() {
            match claimed {
                Ok(claimed) => {
                    let Found::Stored(stored) = claimed.found else { panic!("nothing is in memory") };
                    numbers.push(u64::from_le_bytes(stored.head[..].try_into().unwrap()));
                    bench.spool.commit(claimed.sequence);
                }
                Err(found) => {
                    assert!(found.error.to_string().contains(&format!("record {number} in")), "{}", found.error);
                    unreadable.push(found.head.is_some());
                }
            }
        }
        let expected: Vec<u64> = (0..12).filter(|expected| *expected != number as u64).collect();
        assert_eq!(numbers, expected, "{number} {within}");
        assert_eq!(bench.noted.damaged_records.load(Ordering::SeqCst), 1);
        // Those of an unsealed segment are found when it is opened.
        assert_eq!(unreadable, if is_sealed { vec![has_head] } else { Vec::new() }, "{number} {within}");
        bench.spool.flush().await;
        bench.idle().await;
        assert_eq!((disk.paths("seg").len(), disk.paths("damaged").len()), (0, 1));
        assert_eq!(bench.spool.held().records, 0);
    }
}

#[tokio::test]
async fn a_segment_without_a_header_is_put_aside_and_the_others_are_used() {
    let disk = written(true).await;
    let paths = disk.paths("seg");
    disk.change(&paths[1], |contents| contents[3] ^= 1);
    let bench = Bench::open(&disk, small());
    let (numbers, unreadable) = drain(&bench);
    assert!(numbers.len() >= 6 && numbers.len() < 12 && unreadable == 0, "{numbers:?}");
    assert_eq!(disk.paths("damaged"), [paths[1].with_extension("damaged")]);
    assert_eq!(bench.noted.put_aside.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn few_damaged_files_are_kept() {
    let disk = written(true).await;
    for _ in 0..4 {
        let bench = Bench::open(&disk, small());
        for number in 0..12 {
            bench.put(number, 90).await.unwrap();
        }
        bench.spool.flush().await;
        bench.close().await;
        disk.paths("seg").iter().for_each(|path| disk.change(path, |contents| contents[3] ^= 1));
        Bench::open(&disk, small()).close().await;
    }
    assert_eq!((disk.paths("damaged").len(), disk.paths("seg").len()), (4, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any bytes anywhere: no panic, no hang, nothing invented, and everything the damage did not touch is there.
    #[test]
    fn random_damage_invents_nothing(
        seals: bool, hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..200_usize), 1..4)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let disk = written(seals).await;
            let paths = disk.paths("seg");
            for (at, byte, len) in &hits {
                let path = &paths[at.index(paths.len())];
                disk.change(path, |contents| {
                    let from = at.index(contents.len());
                    let to = (from + len).min(contents.len());
                    contents[from..to].fill(*byte);
                });
            }
            let bench = Bench::open(&disk, small());
            let (numbers, _) = drain(&bench);
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            assert!(numbers.iter().all(|number| *number < 12));
            bench.put(99, 50).await.unwrap();
            assert_eq!(drain(&bench).0, [99]);
            bench.spool.flush().await;
            assert_eq!(bench.spool.held().records, 0);
        });
    }
}
