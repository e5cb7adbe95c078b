//! A program under test: weir or a Collector, started with a configuration written for it and killed when dropped.
//!
//! Both read the same YAML, so that nothing but the program differs. The exporter is written `otlp`, which both know.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{self, Memory};
use crate::wire::{Signal, Transport};
use crate::work::{self, Work};

/// How much of a subject's own output is shown when it fails.
const LOG_SHOWN_BYTES: usize = 2000;

/// A `memory_limiter` in the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    /// `limit_mib`; the spike limit stays at its default, a fifth of it.
    pub limit_mib: u64,
    /// `check_interval`.
    pub check_interval: Duration,
}

/// What a subject shall do: OTLP in, OTLP/gRPC out.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// The signal of the one pipeline.
    pub signal: Signal,
    /// Where to send.
    pub destination: SocketAddr,
    /// A limiter in front of the exporter.
    pub limiter: Option<Limiter>,
    /// Processors in front of the exporter, and whether they are for weir.
    pub work: Option<(Work, bool)>,
    /// Whether its own metrics are served.
    pub shows_metrics: bool,
}

/// The YAML for `wiring`, listening for OTLP/gRPC, OTLP/HTTP and, where asked for, requests for own metrics.
#[must_use]
pub fn configuration(wiring: &Wiring, [grpc, http, metrics]: [SocketAddr; 3]) -> String {
    let Wiring { signal, destination, limiter, work, shows_metrics } = wiring;
    let (processors, chain) = match (limiter, work) {
        (None, None) => (String::new(), String::new()),
        (None, Some((work, is_weir))) => {
            let (section, chain) = work::processors(*work, *signal, *is_weir);
            (section.into_owned(), format!("\n      processors: [{chain}]"))
        }
        (Some(Limiter { limit_mib, check_interval }), _) => (
            format!(
                "processors:\n  memory_limiter:\n    check_interval: {}ms\n    limit_mib: {limit_mib}\n",
                check_interval.as_millis()
            ),
            "\n      processors: [memory_limiter]".to_owned(),
        ),
    };
    // With a limiter the destination stalls; retry soon after, so that the check of the counts need not wait half a minute.
    let retry = match limiter {
        None => "",
        Some(_) => "\n    retry_on_failure: {initial_interval: 200ms, max_interval: 1s}",
    };
    let own_metrics = if *shows_metrics {
        format!(
            "{{level: normal, readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}",
            metrics.ip(),
            metrics.port()
        )
    } else {
        "{level: none}".to_owned()
    };
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"{grpc}\"}}
      http: {{endpoint: \"{http}\"}}
{processors}exporters:
  otlp:
    endpoint: \"{destination}\"
    compression: none
    tls: {{insecure: true}}{retry}
service:
  telemetry:
    metrics: {own_metrics}
  pipelines:
    {signal}:
      receivers: [otlp]{chain}
      exporters: [otlp]
",
        signal = signal.name()
    )
}

/// A running subject; dropping it kills the process and waits for its end.
#[derive(Debug)]
pub struct Subject {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    metrics: SocketAddr,
    log: PathBuf,
    /// When the process was asked for.
    pub started: Instant,
}

impl Subject {
    /// Writes the configuration into `folder` and starts `binary` with it.
    ///
    /// # Errors
    ///
    /// Files that cannot be written, a program that cannot be started.
    pub fn start(binary: &Path, wiring: &Wiring, folder: &Path) -> anyhow::Result<Self> {
        let addresses @ [grpc, http, metrics] = free_addresses()?;
        let config = folder.join("config.yaml");
        fs::write(&config, configuration(wiring, addresses)).context("write configuration")?;
        let log = folder.join("subject.log");
        let output = File::create(&log).context("create log")?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("start `{}`", binary.display()))?;
        Ok(Self { child, grpc, http, metrics, log, started })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Grpc => self.grpc,
            Transport::Http => self.http,
        }
    }

    /// CPU time so far.
    ///
    /// # Errors
    ///
    /// When the process has ended; the message carries the end of its output.
    pub fn cpu_time(&mut self, ticks_per_second: u64) -> anyhow::Result<Duration> {
        self.check_alive()?;
        process::cpu_time(self.child.id(), ticks_per_second).context("read CPU time of subject")
    }

    /// Memory now and at its peak.
    ///
    /// # Errors
    ///
    /// When the process has ended; the message carries the end of its output.
    pub fn memory(&mut self) -> anyhow::Result<Memory> {
        self.check_alive()?;
        process::memory(self.child.id()).context("read memory of subject")
    }

    /// The sum of the series of one of its own metrics; `None` where it serves none of that name.
    pub async fn own_metric(&self, name: &str) -> Option<f64> {
        let mut stream = tokio::net::TcpStream::connect(self.metrics).await.ok()?;
        // HTTP/1.0, so that the answer comes in one piece.
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let series = answer.lines().filter_map(|line| line.strip_prefix(name));
        let values = series.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse::<f64>().ok()).reduce(|sum, value| sum + value)
    }

    /// Fails when the process has ended.
    ///
    /// # Errors
    ///
    /// The exit status and the end of its output.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("ask for the state of subject")? {
            let log = fs::read(&self.log).unwrap_or_default();
            let shown = log.get(log.len().saturating_sub(LOG_SHOWN_BYTES)..).unwrap_or_default();
            bail!("subject ended by itself, {status}; the end of its output:\n{}", String::from_utf8_lossy(shown));
        }
        Ok(())
    }

    /// Waits until both ports take connections.
    ///
    /// # Errors
    ///
    /// When it ends, or `limit` is over.
    pub async fn wait_until_listening(&mut self, limit: Duration) -> anyhow::Result<()> {
        for address in [self.grpc, self.http] {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                self.check_alive()?;
                if self.started.elapsed() > limit {
                    bail!("subject did not listen on {address} within {} s", limit.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Both fail only when the process is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Three loopback addresses that were free a moment ago.
fn free_addresses() -> io::Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let [first, second, third] = [bind()?, bind()?, bind()?];
    Ok([first.local_addr()?, second.local_addr()?, third.local_addr()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wiring(limiter: Option<Limiter>) -> Wiring {
        Wiring {
            signal: Signal::Logs,
            destination: "127.0.0.1:9".parse().unwrap(),
            limiter,
            work: None,
            shows_metrics: false,
        }
    }

    fn addresses() -> [SocketAddr; 3] {
        [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn configuration_names_addresses_and_signal() {
        let text = configuration(&wiring(None), addresses());
        for part in
            ["grpc: {endpoint: \"127.0.0.1:1\"}", "http: {endpoint: \"127.0.0.1:2\"}", "endpoint: \"127.0.0.1:9\""]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.contains("    logs:\n      receivers: [otlp]\n      exporters: [otlp]\n"), "{text}");
        assert!(!text.contains("processors"), "{text}");
    }

    #[test]
    fn limiter_is_defined_and_used() {
        let limiter = Limiter { limit_mib: 80, check_interval: Duration::from_millis(100) };
        let text = configuration(&wiring(Some(limiter)), addresses());
        assert!(text.contains("  memory_limiter:\n    check_interval: 100ms\n    limit_mib: 80\n"), "{text}");
        assert!(text.contains("processors: [memory_limiter]"), "{text}");
    }

    #[test]
    fn work_is_defined_and_used() {
        let work = Wiring { work: Some((Work::Transform, true)), ..wiring(None) };
        let text = configuration(&work, addresses());
        assert!(text.contains("  filter:\n") && text.contains("    log_statements:\n"), "{text}");
        assert!(text.contains("      processors: [filter, transform]\n"), "{text}");
    }

    #[test]
    fn budget_is_for_weir_alone() {
        let work = Work::TailSampling { wait_seconds: 5, traces: 1000, budget_mib: Some(256) };
        for is_weir in [true, false] {
            let wiring =
                Wiring { signal: Signal::Traces, work: Some((work, is_weir)), shows_metrics: true, ..wiring(None) };
            let text = configuration(&wiring, addresses());
            assert!(text.contains("decision_wait: 5s\n    num_traces: 1000\n"), "{text}");
            assert_eq!(text.contains("    memory_budget: 256MiB\n    policies:\n"), is_weir, "{text}");
            assert!(text.contains("prometheus: {host: 127.0.0.1, port: 3}"), "{text}");
            assert!(text.contains("      processors: [tail_sampling]\n"), "{text}");
        }
    }

    #[test]
    fn dropped_subject_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        // `cat` does not know --config, ends, and leaves its complaint in the log.
        let mut subject = Subject::start(Path::new("cat"), &wiring(None), folder.path()).unwrap();
        let pid = subject.child.id();
        subject.child.wait().unwrap();
        let message = subject.check_alive().unwrap_err().to_string();
        assert!(message.contains("ended by itself") && message.contains("config"), "{message}");
        drop(subject);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
