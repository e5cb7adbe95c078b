//! What a spool costs on this machine's disk: `cargo bench -p spool`, or `cargo bench -p spool -- DIRECTORY` for another disk.
//!
//! Latency of appending with an fsync, alone and with many at the same time; CPU time and throughput without one; time to open
//! an empty spool, and one with a gigabyte in it, and to drain that.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spool::{Options, OsDisk, Put, Resident, Size, Spool, Watch};

#[derive(Debug)]
struct Unwatched;

impl Watch for Unwatched {}

struct Nothing;

impl Resident for Nothing {
    fn bytes(&self) -> usize {
        1 << 30
    }

    fn release(self) {}
}

fn open(directory: &Path, fsync: bool) -> Spool<Nothing> {
    let options = Options { fsync, run: 1, ..Options::default() };
    Spool::open(directory, Arc::new(OsDisk), options, Arc::new(Unwatched)).unwrap()
}

async fn put(spool: &Spool<Nothing>, body: Bytes) {
    let size = Size::of(100, body.len() as u64);
    spool.reserve(size, |_| true).unwrap();
    let put = Put { head: vec![7; 100], body: vec![body], size, live: Nothing };
    assert!(spool.append(put).await.is_ok());
}

/// Milliseconds at 50 and 99 %, and records per second, of `tasks` that append `each` records of 64 KiB.
async fn latency(spool: &Spool<Nothing>, tasks: usize, each: usize) -> (f64, f64, f64) {
    let body = Bytes::from(vec![42; 64 << 10]);
    let begun = Instant::now();
    let tasks = (0..tasks).map(|_| {
        let (spool, body) = (spool.clone(), body.clone());
        tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..each {
                let begun = Instant::now();
                put(&spool, body.clone()).await;
                took.push(begun.elapsed());
            }
            took
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    took.sort_unstable();
    let ms = |at: usize| took.get(took.len() * at / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
    (ms(50), ms(99), took.len() as f64 / begun.elapsed().as_secs_f64())
}

fn drain(spool: &Spool<Nothing>, records: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..records {
        let claimed = spool.claim().unwrap().unwrap();
        spool.commit(claimed.sequence);
    }
    begun.elapsed()
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

#[tokio::main]
async fn main() {
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = match directory {
        Some(directory) => tempfile::tempdir_in(directory).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    for (tasks, each) in [(1, 300), (32, 100), (256, 20)] {
        let spool = open(&folder.path().join(format!("latency-{tasks}")), true);
        let (p50, p99, rate) = latency(&spool, tasks, each).await;
        println!(
            "append 64 KiB with fsync, {tasks:3} at a time: p50 {p50:6.2} ms, p99 {p99:6.2} ms, {rate:7.0} records/s"
        );
        spool.flush().await;
    }
    let begun = Instant::now();
    drop(open(&folder.path().join("empty"), true));
    println!("open an empty spool: {:?}", begun.elapsed());
    let large = folder.path().join("large");
    let spool = open(&large, false);
    let records = 16 << 10;
    let (_, _, rate) = latency(&spool, 32, records / 32).await;
    println!("append 1 GiB without fsync: {:.2} GB/s", rate * 65536.0 / 1e9);
    assert!(spool.join());
    spool.leave().await;
    let before = resident_mib();
    let begun = Instant::now();
    let spool = open(&large, true);
    let took = begun.elapsed();
    println!(
        "open a spool of {} records, 1 GiB: {took:?}, {:.1} MiB more memory",
        spool.held().records,
        resident_mib() - before
    );
    let took = drain(&spool, records);
    let rate = f64::from(1 << 30) / took.as_secs_f64() / 1e9;
    println!("read and commit them: {took:?}, {rate:.2} GB/s, {:.1} MiB more memory", resident_mib() - before);
    spool.flush().await;
    println!("files left: {}", std::fs::read_dir(&large).unwrap().count());
}
