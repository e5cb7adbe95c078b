//! The queue on disk, with the binary itself: destinations that are away, processes that are killed, disks that are full.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]
#![allow(unreachable_pub, dead_code, reason = "test helpers")]

#[path = "examples/backend.rs"]
mod backend;
mod process;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backend::{Arrived, Backend, Protocol};
use pdata::{Payload, Segment, Signal};
use process::Process;
use wire::{Client, free_address};

/// Where a test has its files, what it listens on, and where it sends to.
struct Place {
    folder: PathBuf,
    inlet: SocketAddr,
    destination: SocketAddr,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("persistence-{name}"));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, inlet: free_address(), destination: free_address() }
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("weir.yaml")
    }

    fn write(&self, storage: &str, queue: &str) {
        let Self { inlet, destination, folder } = self;
        let yaml = format!(
            "extensions: {{file_storage: {{directory: '{}/queue', create_directory: true{storage}}}}}\nreceivers: {{otlp: {{protocols: \
             {{grpc: {{endpoint: '{inlet}'}}}}}}}}\nexporters:\n  otlp_grpc:\n    endpoint: '{destination}'\n    tls: {{insecure: \
             true}}\n    sending_queue: {{storage: file_storage{queue}}}\n    retry_on_failure: {{initial_interval: 50ms, \
             max_interval: 100ms, max_elapsed_time: 0s}}\nservice:\n  extensions: [file_storage]\n  telemetry: {{metrics: {{level: \
             none}}}}\n  pipelines:\n    logs: {{receivers: [otlp], exporters: [otlp_grpc]}}\n",
            folder.display()
        );
        std::fs::write(self.configuration(), yaml).unwrap();
    }

    async fn start(&self) -> Process {
        Process::start(&self.configuration(), "20s").await
    }

    async fn backend(&self) -> Backend {
        Backend::on(tokio::net::TcpListener::bind(self.destination).await.unwrap(), Protocol::Grpc)
    }
}

fn request(first: u64, count: u64) -> Vec<u8> {
    testkit::items::request(Signal::Logs, first, count).encode()
}

/// How often each item arrived.
fn counts(arrived: &[Arrived]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for Arrived { bytes, telemetry, .. } in arrived {
        let segment = Segment::trusted(bytes.clone().into(), u32::try_from(telemetry.items()).unwrap());
        let payload = Payload::from_segments(Signal::Logs, [segment]);
        for number in testkit::items::numbers(&payload).unwrap() {
            *counts.entry(number).or_default() += 1;
        }
    }
    counts
}

/// The last column of the ledger's only line.
fn difference(told: &str) -> String {
    let line = told.lines().find(|line| line.starts_with("logs ")).unwrap_or_else(|| panic!("no ledger in\n{told}"));
    line.split_whitespace().last().unwrap().to_owned()
}

/// Clients that send requests of ten items until they are refused, and note what was acknowledged.
struct Load {
    acknowledged: Arc<Mutex<Vec<u64>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(to: SocketAddr, clients: usize, next: &Arc<AtomicU64>) -> Self {
        let acknowledged = Arc::<Mutex<Vec<u64>>>::default();
        let client = |_| {
            let (acknowledged, next) = (Arc::clone(&acknowledged), Arc::clone(next));
            tokio::spawn(async move {
                let mut client = Client::grpc(to);
                loop {
                    let first = next.fetch_add(10, Ordering::Relaxed);
                    match client.send(request(first, 10)).await {
                        Ok(answer) if answer.is_success() => acknowledged.lock().unwrap().extend(first..first + 10),
                        _ => return,
                    }
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { acknowledged, clients }
    }

    async fn acknowledged(&self, items: usize) {
        let begun = Instant::now();
        while self.acknowledged.lock().unwrap().len() < items {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", self.acknowledged.lock().unwrap().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ended(self) -> Vec<u64> {
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

/// The story: a gateway is away, its agent is killed under load, again and again, the last time while the gateway is back and the
/// backlog drains. Everything that was acknowledged arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_nothing_that_was_acknowledged() {
    for queue in ["", ", batch: {min_size: 50, max_size: 70, flush_timeout: 50ms}"] {
        let place = Place::new(if queue.is_empty() { "kill" } else { "kill-batch" });
        place.write("", &format!(", queue_size: 1000000{queue}"));
        let (next, mut acknowledged) = (Arc::new(AtomicU64::new(0)), Vec::new());
        for _ in 0..2 {
            let mut process = place.start().await;
            let load = Load::start(place.inlet, 8, &next);
            load.acknowledged(3000).await;
            process.kill();
            acknowledged.extend(load.ended().await);
        }
        let backend = place.backend().await;
        let mut process = place.start().await;
        let load = Load::start(place.inlet, 8, &next);
        load.acknowledged(1000).await;
        process.kill();
        acknowledged.extend(load.ended().await);
        let process = place.start().await;
        let begun = Instant::now();
        let missing = loop {
            let counts = counts(&backend.arrived());
            let missing = acknowledged.iter().filter(|number| !counts.contains_key(number)).count();
            if missing == 0 || begun.elapsed() > Duration::from_secs(30) {
                break missing;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(missing, 0, "of {} acknowledged, of {} sent", acknowledged.len(), next.load(Ordering::Relaxed));
        let (status, told) = process.stop().await;
        assert!(status.success(), "{told}");
        assert_eq!(difference(&told), "0", "{told}");
    }
}

/// A shutdown is quick, says what stays, and what stays arrives once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_keeps_what_is_not_sent_and_says_so() {
    let place = Place::new("shutdown");
    place.write("", "");
    let process = place.start().await;
    let mut client = Client::grpc(place.inlet);
    for n in 0..50 {
        assert!(client.send(request(10 * n, 10)).await.unwrap().is_success());
    }
    let begun = Instant::now();
    let (status, told) = process.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(status.success(), "{told}");
    assert!(told.contains("what was not sent stays on disk for the next start"), "{told}");
    let header = told.lines().find(|line| line.starts_with("pipeline")).unwrap();
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["pipeline", "received", "persisted", "difference"]);
    let books = told.lines().find(|line| line.starts_with("logs ")).unwrap();
    assert_eq!(books.split_whitespace().collect::<Vec<_>>(), ["logs", "500", "500", "0"]);
    let backend = place.backend().await;
    let process = place.start().await;
    let counts = counts(&backend.wait_for(500).await);
    assert!(counts.len() == 500 && counts.values().all(|count| *count == 1), "{counts:?}");
    let (status, told) = process.stop().await;
    assert!(status.success(), "{told}");
    let books = told.lines().find(|line| line.starts_with("logs ")).unwrap();
    assert_eq!(books.split_whitespace().collect::<Vec<_>>(), ["logs", "0", "500", "500", "0"]);
}

/// Reloads under load, that change the queue and the storage, with the destination coming and going: each item arrives once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_go_on_with_the_same_queue() {
    let place = Place::new("reload");
    place.write("", ", queue_size: 1000000");
    let mut process = place.start().await;
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(place.inlet, 4, &next);
    let mut backend = None;
    for (n, (storage, queue)) in [
        (", fsync: false", ", queue_size: 1000000"),
        (", fsync: false", ", queue_size: 900000, num_consumers: 3"),
        ("", ", queue_size: 900000, batch: {min_size: 100, flush_timeout: 20ms}"),
        ("", ", queue_size: 1000000"),
    ]
    .into_iter()
    .enumerate()
    {
        load.acknowledged(500 * (n + 1)).await;
        place.write(storage, queue);
        process.signal("HUP");
        process.wait_for("reloaded the configuration", n + 1).await;
        if n == 1 {
            backend = Some(place.backend().await);
        }
    }
    let backend = backend.unwrap();
    // Clients end when they are refused.
    process.signal("TERM");
    let acknowledged = load.ended().await;
    let (status, told) = process.ended().await;
    assert!(status.success(), "{told}");
    assert_eq!(difference(&told), "0", "{told}");
    let process = place.start().await;
    let counts = counts(&backend.wait_for(acknowledged.len() as u64).await);
    assert!(acknowledged.iter().all(|number| counts.contains_key(number)));
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let (status, told) = process.stop().await;
    assert!(status.success(), "{told}");
}

/// A queue that another process has, and one that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let place = Place::new("refused");
    place.write(", timeout: 100ms", "");
    let _process = place.start().await;
    let second = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg(format!("--config={}", place.configuration().display()))
        .output()
        .unwrap();
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("exporter_otlp_grpc__logs.queue` is in use by another process"), "{told}");
    let yaml = std::fs::read_to_string(place.configuration()).unwrap();
    for (from, to, expected) in [
        (", create_directory: true", "/nowhere", "extensions::file_storage: directory must exist: stat "),
        (
            "extensions: [file_storage]",
            "extensions: []",
            "references extension \"file_storage\": it is configured, but not listed",
        ),
        ("storage: file_storage", "storage: file_storage, wait_for_result: true", "`wait_for_result` is not supported"),
    ] {
        let wrong = place.folder.join("wrong.yaml");
        let changed = if to == "/nowhere" {
            yaml.replace("/queue'", "/nowhere'").replace(from, "")
        } else {
            yaml.replace(from, to)
        };
        std::fs::write(&wrong, changed).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["validate", &format!("--config={}", wrong.display())])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
}
