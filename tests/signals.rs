//! What signals do to the process, above all while a reload runs: the binary itself, over loopback.
//!
//! A reload is made to last by taking away an exporter whose destination is not there: it goes on trying until the deadline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

mod wire;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pdata::Signal;
use wire::{Client, free_address};

/// A weir of its own.
struct Process {
    child: Child,
    configuration: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
    inlet: SocketAddr,
}

impl Process {
    /// Starts one that has a batch for a destination that is not there.
    async fn start(name: &str, shutdown_timeout: &str) -> Self {
        let configuration = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
        let inlet = free_address();
        std::fs::write(&configuration, yaml(inlet, "otlp")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg(format!("--config={}", configuration.display()))
            .arg(format!("--shutdown-timeout={shutdown_timeout}"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (lines, writer) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&told));
        std::thread::spawn(move || lines.for_each(|line| writer.lock().unwrap().push(line.unwrap())));
        let mut process = Self { child, configuration, told, inlet };
        process.wait_for("everything is ready", 1).await;
        let body = testkit::items::request(Signal::Logs, 0, 5).encode();
        let answer = Client::grpc(inlet).send(body).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
        process
    }

    /// How many lines say `text`.
    fn count(&self, text: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    async fn wait_for(&mut self, text: &str, count: usize) {
        let begun = Instant::now();
        while self.count(text) < count {
            let ended = self.child.try_wait().unwrap();
            let told = || self.told.lock().unwrap().join("\n");
            assert!(ended.is_none(), "ended without `{text}`: {}", told());
            assert!(begun.elapsed() < Duration::from_secs(30), "no `{text}` in\n{}", told());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Takes the exporter away, and waits until that is done but for what it holds.
    async fn remove_exporter(&mut self) {
        std::fs::write(&self.configuration, yaml(self.inlet, "nop")).unwrap();
        self.signal("HUP");
        self.wait_for("the new configuration is in use", 1).await;
        let answer = Client::grpc(self.inlet).send(testkit::items::request(Signal::Logs, 5, 1).encode()).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
    }

    /// Waits for its end, and says how it ended and after how long.
    async fn ended(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begun.elapsed());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
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
    let mut process = Process::start("second", "60s").await;
    process.remove_exporter().await;
    process.signal("TERM");
    process.wait_for("what the reload replaced goes on draining", 1).await;
    // It takes nothing any more.
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(process.inlet).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(process.child.try_wait().unwrap().is_none(), "what it holds is not lost yet");
    process.signal("TERM");
    let (status, took) = process.ended().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!status.success(), "something was lost");
    assert_eq!(process.count("reloaded the configuration"), 0);
}

#[tokio::test]
async fn what_a_reload_replaced_drains_until_the_deadline_of_the_shutdown() {
    let mut process = Process::start("deadline", "3s").await;
    let begun = Instant::now();
    process.remove_exporter().await;
    process.signal("TERM");
    let (status, _) = process.ended().await;
    let took = begun.elapsed();
    assert!((2..8).contains(&took.as_secs()), "{took:?}");
    let told = process.told.lock().unwrap().join("\n");
    assert!(status.success(), "the books balance\n{told}");
    assert!(told.contains("lost_items=5"), "{told}");
}

#[tokio::test]
async fn a_reload_that_is_asked_for_during_a_reload_runs_afterwards() {
    let mut process = Process::start("again", "2s").await;
    process.remove_exporter().await;
    process.signal("HUP");
    process.signal("HUP");
    process.wait_for("reloaded the configuration", 2).await;
    process.signal("TERM");
    let (status, _) = process.ended().await;
    assert!(status.success(), "{}", process.told.lock().unwrap().join("\n"));
    assert_eq!(process.count("reloaded the configuration"), 2);
}
