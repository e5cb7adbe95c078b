//! What signals do to the process, above all while a reload runs: the binary itself, over loopback.
//!
//! A reload is made to last by taking away an exporter whose destination is not there: it goes on trying until the deadline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

mod process;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pdata::Signal;
use process::Process;
use wire::{Client, free_address};

/// A weir that has a batch for a destination that is not there.
struct Stuck {
    process: Process,
    configuration: PathBuf,
    inlet: SocketAddr,
}

impl Stuck {
    async fn start(name: &str, shutdown_timeout: &str) -> Self {
        let configuration = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
        let inlet = free_address();
        std::fs::write(&configuration, yaml(inlet, "otlp")).unwrap();
        let process = Process::start(&configuration, shutdown_timeout).await;
        let answer = Client::grpc(inlet).send(testkit::items::request(Signal::Logs, 0, 5).encode()).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
        Self { process, configuration, inlet }
    }

    /// Takes the exporter away, and waits until that is done but for what it holds.
    async fn remove_exporter(&mut self) {
        std::fs::write(&self.configuration, yaml(self.inlet, "nop")).unwrap();
        self.process.signal("HUP");
        self.process.wait_for("the new configuration is in use", 1).await;
        let answer = Client::grpc(self.inlet).send(testkit::items::request(Signal::Logs, 5, 1).encode()).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
    }
}

fn yaml(inlet: SocketAddr, exporter: &str) -> String {
    // Nothing listens on port 9 (discard) of a loopback address that is nobody's.
    let exporters = match exporter {
        "nop" => "{nop: }",
        _ => "{otlp_grpc: {endpoint: '127.80.90.9:9', tls: {insecure: true}}}",
    };
    let exporter = exporter.replace("otlp", "otlp_grpc");
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{inlet}'}}}}}}}}\nexporters: {exporters}\nservice:\n  telemetry: \
         {{metrics: {{level: none}}}}\n  pipelines:\n    logs: {{receivers: [otlp], exporters: [{exporter}]}}\n"
    )
}

#[tokio::test]
async fn a_signal_during_a_reload_shuts_down_and_a_second_one_ends_at_once() {
    let mut stuck = Stuck::start("second", "60s").await;
    stuck.remove_exporter().await;
    let Stuck { mut process, inlet, .. } = stuck;
    process.signal("TERM");
    process.wait_for("what the reload replaced goes on draining", 1).await;
    // It takes nothing any more.
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(inlet).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(process.runs(), "what it holds is not lost yet");
    let begun = Instant::now();
    let (status, told) = process.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!status.success(), "something was lost");
    assert!(!told.contains("reloaded the configuration"), "{told}");
}

#[tokio::test]
async fn what_a_reload_replaced_drains_until_the_deadline_of_the_shutdown() {
    let mut stuck = Stuck::start("deadline", "3s").await;
    let begun = Instant::now();
    stuck.remove_exporter().await;
    let (status, told) = stuck.process.stop().await;
    let took = begun.elapsed();
    assert!((2..8).contains(&took.as_secs()), "{took:?}");
    assert!(status.success(), "the books balance\n{told}");
    assert!(told.contains("lost_items=5"), "{told}");
}

#[tokio::test]
async fn a_reload_that_is_asked_for_during_a_reload_runs_afterwards() {
    let mut stuck = Stuck::start("again", "2s").await;
    stuck.remove_exporter().await;
    let mut process = stuck.process;
    process.signal("HUP");
    process.signal("HUP");
    process.wait_for("reloaded the configuration", 2).await;
    let (status, told) = process.stop().await;
    assert!(status.success(), "{told}");
    assert_eq!(told.matches("reloaded the configuration").count(), 2, "{told}");
}
