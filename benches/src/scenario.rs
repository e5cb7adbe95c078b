//! The scenarios in which two programs are compared, each run on one subject at a time: sink, subject, load, figures, balance.
//!
//! The sink and the load generator run in this process; only the subject's own CPU time and memory are measured. Every scenario
//! that delivers ends with a comparison of counts: items acknowledged to the load generator against items counted by the sink.

mod sampling;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{Instant, sleep};

use crate::client::Endpoint;
use crate::latency::Latencies;
use crate::load::{self, LoadReport, LoadSettings, Unit, Window};
use crate::payload::{ITEMS_PER_REQUEST, POOL_REQUESTS, Pool};
use crate::process::ticks_per_second;
use crate::sampled::Sampled;
use crate::sink::{Sink, SinkSettings};
use crate::subject::{Limiter, Subject, Wiring};
use crate::wire::{Compression, Signal, Transport};
use crate::work::Work;

/// How long a subject may take to listen and to accept.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long what was accepted may take to arrive, counted from the last arrival.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);
/// How long the sink must stay silent before a surplus is ruled out.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a stalled subject is watched after the last offer.
const STALL_WATCHED: Duration = Duration::from_secs(2);
/// Memory limit of the stalled scenarios.
const STALL_LIMIT_MIB: u64 = 80;
/// What the stalled scenarios offer, as a multiple of the limit, in protobuf bytes.
const STALL_OFFERED_TIMES: u64 = 5;
/// A subject is idle after this long without a request.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// Answers later than this are errors.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What a scenario does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As much as the subject takes, from gRPC to gRPC.
    Forward(Signal, Compression),
    /// The same, uncompressed, with processors in between.
    Work(Signal, Work),
    /// As much as the subject takes, of which it passes a part on.
    Head(Signal),
    /// Whole traces, kept or dropped as such.
    Tail(sampling::Tail),
    /// Nothing, for five seconds.
    Idle,
    /// Five times what fits while the destination does not answer.
    Stalled(Transport),
    /// From launch to the first accepted request.
    Start,
}

/// A named scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What `--only` matches.
    pub name: &'static str,
    kind: Kind,
}

/// All scenarios in the order in which they are run.
pub const SCENARIOS: [Scenario; 21] = [
    Scenario { name: "forward-spans", kind: Kind::Forward(Signal::Traces, Compression::None) },
    Scenario { name: "forward-logs", kind: Kind::Forward(Signal::Logs, Compression::None) },
    Scenario { name: "forward-metrics", kind: Kind::Forward(Signal::Metrics, Compression::None) },
    Scenario { name: "gzip-spans", kind: Kind::Forward(Signal::Traces, Compression::Gzip) },
    Scenario { name: "gzip-logs", kind: Kind::Forward(Signal::Logs, Compression::Gzip) },
    Scenario { name: "attributes-spans", kind: Kind::Work(Signal::Traces, Work::Attributes) },
    Scenario { name: "attributes-logs", kind: Kind::Work(Signal::Logs, Work::Attributes) },
    Scenario { name: "transform-spans", kind: Kind::Work(Signal::Traces, Work::Transform) },
    Scenario { name: "transform-logs", kind: Kind::Work(Signal::Logs, Work::Transform) },
    Scenario { name: "redaction-spans", kind: Kind::Work(Signal::Traces, Work::Redaction) },
    Scenario { name: "redaction-logs", kind: Kind::Work(Signal::Logs, Work::Redaction) },
    Scenario { name: "redaction-long-logs", kind: Kind::Work(Signal::Logs, Work::RedactionOfLongLogs) },
    Scenario { name: "sampler-spans", kind: Kind::Head(Signal::Traces) },
    Scenario { name: "sampler-logs", kind: Kind::Head(Signal::Logs) },
    Scenario { name: "tail-sampling", kind: Kind::Tail(sampling::Tail::Steady) },
    Scenario { name: "tail-budget", kind: Kind::Tail(sampling::Tail::Budget) },
    Scenario { name: "tail-giant", kind: Kind::Tail(sampling::Tail::Giant) },
    Scenario { name: "idle", kind: Kind::Idle },
    Scenario { name: "stalled-grpc", kind: Kind::Stalled(Transport::Grpc) },
    Scenario { name: "stalled-http", kind: Kind::Stalled(Transport::Http) },
    Scenario { name: "start", kind: Kind::Start },
];

/// How the scenarios are run.
#[derive(Debug, Clone)]
pub struct Measure {
    /// How long a forwarding load is measured.
    pub duration: Duration,
    /// How long it runs before that, unmeasured.
    pub warm_up: Duration,
    /// Connections of the load generator.
    pub connection_count: usize,
    /// Requests under way per connection.
    pub in_flight_count: usize,
    /// Requests between the load generator and the sink's count, forwarding scenarios; 0 for no bound.
    pub window_request_count: u64,
    /// `check_interval` of the limiter.
    pub limiter_check_interval: Duration,
}

/// One number of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What was measured, with its unit.
    pub name: &'static str,
    /// The number.
    pub value: f64,
}

/// The books of a run.
#[derive(Debug, Clone, Default)]
pub struct Balance {
    /// Items acknowledged to the load generator, warm-up included.
    pub accepted_items: u64,
    /// Items that the sink counted.
    pub arrived_items: u64,
    /// Refused requests by code, and requests without an answer by what happened.
    pub turned_away: Vec<(String, u64)>,
    /// What a sampler kept, where there is one.
    pub sampled: Option<Sampled>,
    /// What else is to be said.
    pub note: Option<String>,
}

impl Balance {
    /// Whether the sink got exactly what was accepted, or what a sampler should have kept of it.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.sampled.as_ref().map_or(self.accepted_items == self.arrived_items, Sampled::is_even)
    }

    fn add(&mut self, report: &LoadReport) {
        self.accepted_items += report.acked_items;
        for (reason, count) in report.refused.iter().chain(&report.errors) {
            match self.turned_away.iter_mut().find(|(known, _)| known == reason) {
                Some((_, sum)) => *sum += count,
                None => self.turned_away.push((reason.clone(), *count)),
            }
        }
    }
}

/// What a run of a scenario gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Always the same figures in the same order for a scenario.
    pub figures: Vec<Figure>,
    /// The books, where the scenario sends anything.
    pub balance: Option<Balance>,
}

impl Scenario {
    /// The requests that the scenario sends; build them once and share them between runs.
    ///
    /// # Errors
    ///
    /// When building fails.
    pub fn pool(&self) -> anyhow::Result<Arc<Pool>> {
        if let Kind::Head(Signal::Traces) | Kind::Tail(_) = self.kind {
            return Ok(Arc::new(Pool::of_whole_traces()));
        }
        if let Kind::Work(_, Work::RedactionOfLongLogs) = self.kind {
            return Ok(Arc::new(Pool::of_long_logs().context("build requests")?));
        }
        let (signal, transport, compression, requests) = match self.kind {
            Kind::Forward(signal, compression) => (signal, Transport::Grpc, compression, POOL_REQUESTS),
            Kind::Work(signal, _) | Kind::Head(signal) => (signal, Transport::Grpc, Compression::None, POOL_REQUESTS),
            Kind::Stalled(transport) => (Signal::Traces, transport, Compression::None, POOL_REQUESTS),
            Kind::Idle | Kind::Start | Kind::Tail(_) => (Signal::Traces, Transport::Grpc, Compression::None, 1),
        };
        let pool = Pool::build(signal, transport, compression, requests, ITEMS_PER_REQUEST);
        Ok(Arc::new(pool.context("build requests")?))
    }

    /// Runs the scenario once on `binary`, which is weir or a Collector. Everything it starts has ended when it returns.
    ///
    /// # Errors
    ///
    /// A subject that does not start, dies, or cannot be measured. Uneven books are no error but in the outcome.
    pub async fn run(
        &self,
        (binary, is_weir): (&Path, bool),
        pool: &Arc<Pool>,
        measure: &Measure,
    ) -> anyhow::Result<Outcome> {
        let folder = tempfile::tempdir().context("create folder for the run")?;
        let is_stalled = matches!(self.kind, Kind::Stalled(_));
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let is_counting_traces = pool.renewal.is_some();
        let settings = SinkSettings { is_stalled, is_counting_traces, ..SinkSettings::default() };
        let sink = Sink::start(settings, anywhere, anywhere).await.context("start sink")?;
        let limiter = is_stalled
            .then_some(Limiter { limit_mib: STALL_LIMIT_MIB, check_interval: measure.limiter_check_interval });
        let work = match self.kind {
            Kind::Work(_, work) => Some((work, is_weir)),
            Kind::Head(_) => Some((Work::HeadSampling, is_weir)),
            Kind::Tail(tail) => Some((tail.work(), is_weir)),
            _ => None,
        };
        let shows_metrics = matches!(self.kind, Kind::Tail(sampling::Tail::Budget | sampling::Tail::Giant));
        let wiring = Wiring { signal: pool.signal, destination: sink.grpc_address, limiter, work, shows_metrics };
        let subject = Subject::start(binary, &wiring, folder.path())?;
        let endpoint = Endpoint::new(
            &subject.address(pool.transport).to_string(),
            pool.transport,
            pool.signal,
            pool.compression,
            &[],
        )?;
        let mut run = Run { sink, subject, endpoint: Arc::new(endpoint), pool: Arc::clone(pool), measure };
        match self.kind {
            Kind::Work(_, Work::Redaction | Work::RedactionOfLongLogs) => run.redact().await,
            Kind::Forward(..) | Kind::Work(..) => run.forward().await,
            Kind::Head(_) => run.head().await,
            Kind::Tail(tail) => run.tail(tail).await,
            Kind::Idle => run.idle().await,
            Kind::Stalled(_) => run.stalled().await,
            Kind::Start => run.start().await,
        }
    }
}

/// One run: what it started and what it goes by.
struct Run<'a> {
    sink: Sink,
    subject: Subject,
    endpoint: Arc<Endpoint>,
    pool: Arc<Pool>,
    measure: &'a Measure,
}

impl Run<'_> {
    async fn forward(&mut self) -> anyhow::Result<Outcome> {
        let ticks = ticks_per_second();
        let mut balance = Balance::default();
        self.subject.wait_until_listening(START_LIMIT).await?;
        balance.add(&load::run(self.forward_load(self.measure.warm_up), Arc::clone(&self.pool)).await);
        self.wait_for_arrival(&mut balance).await?;

        let cpu_before = self.subject.cpu_time(ticks)?;
        let arrived_before = self.sink.items();
        let report = load::run(self.forward_load(self.measure.duration), Arc::clone(&self.pool)).await;
        balance.add(&report);
        self.wait_for_arrival(&mut balance).await?;
        let cpu = self.subject.cpu_time(ticks)?.saturating_sub(cpu_before);
        let arrived = self.sink.items() - arrived_before;
        let memory = self.subject.memory()?;
        let mut figures = vec![
            Figure { name: "items per CPU-second", value: arrived as f64 / cpu.as_secs_f64().max(0.01) },
            Figure { name: "items per second", value: report.items_per_second() },
            Figure { name: WIRE, value: arrived as f64 * self.pool.item_bytes() / 1e6 / cpu.as_secs_f64().max(0.01) },
        ];
        figures.extend(percentiles(["latency p50, ms", "latency p99, ms"], &report.acked_latencies));
        figures.push(Figure { name: "peak RSS, MiB", value: mib(memory.peak_bytes) });
        Ok(Outcome { figures, balance: Some(balance) })
    }

    /// Forwarding, and how much text that is.
    async fn redact(&mut self) -> anyhow::Result<Outcome> {
        let mut outcome = self.forward().await?;
        let share = self.pool.item_text_bytes() / self.pool.item_bytes();
        let wire = outcome.figures.iter().position(|figure| figure.name == WIRE).context("no bytes on the wire")?;
        let text = Figure { name: "text MB per CPU-second", value: outcome.figures[wire].value * share };
        outcome.figures.insert(wire + 1, text);
        Ok(outcome)
    }

    async fn idle(&mut self) -> anyhow::Result<Outcome> {
        self.subject.wait_until_listening(START_LIMIT).await?;
        sleep(IDLE_AFTER).await;
        let memory = self.subject.memory()?;
        let figures = vec![Figure { name: "idle RSS, MiB", value: mib(memory.resident_bytes) }];
        Ok(Outcome { figures, balance: None })
    }

    async fn stalled(&mut self) -> anyhow::Result<Outcome> {
        let mut balance = Balance::default();
        self.subject.wait_until_listening(START_LIMIT).await?;
        let idle = self.subject.memory()?;
        let offered_bytes = STALL_OFFERED_TIMES * (STALL_LIMIT_MIB << 20);
        let mut settings = self.load_settings(Duration::from_secs(60));
        settings.request_count_max = offered_bytes.div_ceil(self.pool.request_bytes());
        let report = load::run(settings, Arc::clone(&self.pool)).await;
        balance.add(&report);
        sleep(STALL_WATCHED).await;
        let stalled = self.subject.memory()?;
        self.sink.release();
        self.wait_for_arrival(&mut balance).await?;
        let drained = self.subject.memory()?;
        let accepted_bytes = report.acked_requests * self.pool.request_bytes();
        let mut figures = vec![
            Figure { name: "peak RSS while stalled, MiB", value: mib(stalled.peak_bytes) },
            Figure {
                name: "of it above start, MiB",
                value: mib(stalled.peak_bytes.saturating_sub(idle.resident_bytes)),
            },
            Figure { name: "accepted while stalled, MiB", value: mib(accepted_bytes) },
            Figure { name: "peak RSS with drain, MiB", value: mib(drained.peak_bytes) },
        ];
        figures.extend(percentiles(REFUSAL_LATENCIES, &report.refused_latencies));
        Ok(Outcome { figures, balance: Some(balance) })
    }

    async fn start(&mut self) -> anyhow::Result<Outcome> {
        let payload = self.pool.payloads.first().context("pool is empty")?;
        let accepted = load::until_first_accept(Arc::clone(&self.endpoint), payload, START_LIMIT).await;
        self.subject.check_alive()?;
        let taken = accepted.map_err(|reason| anyhow!(reason))?.duration_since(self.subject.started);
        let mut balance = Balance { accepted_items: payload.item_count, ..Balance::default() };
        self.wait_for_arrival(&mut balance).await?;
        let figures = vec![Figure { name: "start to first accept, ms", value: taken.as_secs_f64() * 1000.0 }];
        Ok(Outcome { figures, balance: Some(balance) })
    }

    fn load_settings(&self, duration: Duration) -> LoadSettings {
        LoadSettings {
            endpoint: Arc::clone(&self.endpoint),
            connection_count: self.measure.connection_count,
            in_flight_count: self.measure.in_flight_count,
            request_count_max: u64::MAX,
            duration,
            rate: None,
            is_retrying: false,
            answer_timeout: ANSWER_TIMEOUT,
            window: None,
            first_number: 0,
            stop: Arc::default(),
        }
    }

    fn forward_load(&self, duration: Duration) -> LoadSettings {
        let max = self.measure.window_request_count * ITEMS_PER_REQUEST as u64;
        let arrived = Arc::clone(&self.sink.counters.items);
        LoadSettings {
            window: (max > 0).then_some(Window { unit: Unit::Items, arrived, max }),
            ..self.load_settings(duration)
        }
    }

    /// Waits until what was accepted has arrived or no longer moves, and a moment more, which would show a surplus.
    async fn wait_for_arrival(&mut self, balance: &mut Balance) -> anyhow::Result<()> {
        let mut arrived = self.sink.items();
        let mut moved = Instant::now();
        loop {
            let limit = if arrived >= balance.accepted_items { SILENCE } else { ARRIVAL_LIMIT };
            if moved.elapsed() >= limit {
                break;
            }
            sleep(Duration::from_millis(10)).await;
            self.subject.check_alive()?;
            let now = self.sink.items();
            if now != arrived {
                (arrived, moved) = (now, Instant::now());
            }
        }
        balance.arrived_items = arrived;
        Ok(())
    }
}

/// Name of how many bytes a subject passes on.
const WIRE: &str = "wire MB per CPU-second";

/// Names of how fast a stalled subject refuses: at the median and at the 99th percentile.
const REFUSAL_LATENCIES: [&str; 2] = ["refusal latency p50, ms", "refusal latency p99, ms"];

/// The median and the 99th percentile under those names.
fn percentiles(names: [&'static str; 2], latencies: &Latencies) -> [Figure; 2] {
    let [p50, p99] = names;
    [
        Figure { name: p50, value: latencies.percentile_ms(0.5) },
        Figure { name: p99, value: latencies.percentile_ms(0.99) },
    ]
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{self, Runs};

    #[test]
    fn refusals_are_shown_at_the_median_and_at_the_99th_percentile() {
        let mut latencies = Latencies::default();
        for _ in 0..98 {
            latencies.record(Duration::from_millis(2));
        }
        latencies.record(Duration::from_millis(300));
        latencies.record(Duration::from_millis(300));
        let figures = percentiles(REFUSAL_LATENCIES, &latencies).to_vec();
        let outcome = Outcome { figures, balance: None };
        let all = [Runs { scenario: "stalled-grpc", subject: "weir", outcomes: vec![outcome] }];
        let shown = table::text(&all);
        let value = |line: usize| shown.lines().nth(line).unwrap().split_whitespace().rev().nth(2).unwrap();
        assert!(shown.contains("refusal latency p50, ms") && shown.contains("refusal latency p99, ms"), "{shown}");
        let (p50, p99): (f64, f64) = (value(1).parse().unwrap(), value(2).parse().unwrap());
        assert!((2.0..2.1).contains(&p50) && (300.0..306.0).contains(&p99), "{shown}");
        let median = &table::json(&all, &serde_json::Value::Null)["scenarios"][0]["weir"]["median"];
        assert!(median["refusal latency p50, ms"].as_f64().unwrap() < 10.0, "{median}");
    }
}
