//! The binary as a process of its own, that is told signals and whose output is read while it runs.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "test helpers, of which each test uses some")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A weir that runs; killed when it is dropped.
pub struct Process {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts one, and waits until it is ready.
    pub async fn start(configuration: &Path, shutdown_timeout: &str) -> Self {
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
        let mut process = Self { child, told };
        process.wait_for("everything is ready", 1).await;
        process
    }

    /// What it told up to now.
    pub fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }

    /// How many lines say `text`.
    pub fn count(&self, text: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until as many lines say `text`.
    pub async fn wait_for(&mut self, text: &str, count: usize) {
        let begun = Instant::now();
        while self.count(text) < count {
            assert!(self.runs(), "ended without `{text}`: {}", self.told());
            assert!(begun.elapsed() < PATIENCE, "no `{text}` in\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it without a chance to do anything about it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Ends it in order. Returns what it told.
    pub async fn stop(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for its end. Returns what it told.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The thread that reads has the last lines in a moment.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return (status, self.told());
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.told());
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
