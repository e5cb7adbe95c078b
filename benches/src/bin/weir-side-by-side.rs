//! Runs weir and an OpenTelemetry Collector on the same load and puts what they cost side by side.
//!
//! Arguments, order of runs and output only; the work is in `weir_bench::scenario`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use weir_bench::scenario::{Measure, SCENARIOS, Scenario};
use weir_bench::table::{self, Runs};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subjects {
    Weir,
    Collector,
    Both,
}

/// Compares weir with an OpenTelemetry Collector: items per CPU-second, latency, memory, start. Exit code 1 when accepted items
/// are missing at the destination.
#[derive(Debug, Parser)]
struct Arguments {
    /// weir's binary
    #[arg(long, default_value = "target/release/weir")]
    weir: PathBuf,
    /// The Collector's binary
    #[arg(long)]
    collector: Option<PathBuf>,
    /// Who is measured
    #[arg(long, value_enum, default_value = "both")]
    subject: Subjects,
    /// Run only scenarios whose name contains this; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Runs of each scenario on each subject, in turn; medians are reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of measured load per run
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before that
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    warm_up: u64,
    /// Connections of the load generator
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Requests under way per connection
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: u16,
    /// Requests that may be between load generator and sink in the forwarding scenarios; 0: no bound, queues may overflow
    #[arg(long, default_value_t = 256)]
    window: u32,
    /// Milliseconds for `check_interval` of the memory limiter in the stalled scenarios
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    limiter_check: u64,
    /// Also write every run, medians and ratios to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whatever ends the runs, the futures are dropped and with them the subjects that they started.
    let ended = tokio::select! {
        ended = run(&arguments) => ended,
        interrupted = interruption() => interrupted,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn interruption() -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => bail!("terminated"),
        _ = interrupt.recv() => bail!("interrupted"),
    }
}

/// The subjects to measure, in the order in which they take turns.
fn subjects(arguments: &Arguments) -> anyhow::Result<Vec<(&'static str, &Path)>> {
    let mut subjects = Vec::new();
    if arguments.subject != Subjects::Collector {
        subjects.push(("weir", arguments.weir.as_path()));
    }
    if arguments.subject != Subjects::Weir {
        let collector = arguments.collector.as_deref();
        subjects.push(("collector", collector.context("--collector is needed unless `--subject weir` is given")?));
    }
    for (name, binary) in &subjects {
        if !binary.is_file() {
            bail!("`{}` is no file, needed as the binary of {name}", binary.display());
        }
    }
    Ok(subjects)
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let is_chosen = |scenario: &Scenario| only.is_empty() || only.iter().any(|part| scenario.name.contains(part));
    let chosen: Vec<_> = SCENARIOS.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!("no scenario matches, there are: {}", names.join(", "));
    }
    Ok(chosen)
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is this program's output, progress its company"
)]
async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let subjects = subjects(arguments)?;
    let measure = Measure {
        duration: Duration::from_secs(arguments.seconds),
        warm_up: Duration::from_secs(arguments.warm_up),
        connection_count: arguments.connections.into(),
        in_flight_count: arguments.in_flight.into(),
        window_request_count: arguments.window.into(),
        limiter_check_interval: Duration::from_millis(arguments.limiter_check),
    };
    let mut all = Vec::new();
    for scenario in chosen(&arguments.only)? {
        let pool = scenario.pool()?;
        let mut runs: Vec<Runs> = subjects
            .iter()
            .map(|(subject, _)| Runs { scenario: scenario.name, subject, outcomes: Vec::new() })
            .collect();
        for round in 1..=arguments.rounds {
            for ((name, binary), runs) in subjects.iter().zip(&mut runs) {
                eprintln!("{} round {round} of {}: {name}", scenario.name, arguments.rounds);
                let outcome = scenario.run((binary, *name == "weir"), &pool, &measure).await;
                runs.outcomes.push(outcome.with_context(|| format!("run {} on {name}", scenario.name))?);
            }
        }
        all.append(&mut runs);
    }
    println!("{}", table::text(&all));
    if let Some(path) = &arguments.json {
        let settings = json!({
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "warm_up_seconds": arguments.warm_up,
            "connections": arguments.connections,
            "in_flight_per_connection": arguments.in_flight,
            "window_requests": arguments.window,
            "limiter_check_ms": arguments.limiter_check,
            "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        });
        let text = format!("{:#}\n", table::json(&all, &settings));
        fs::write(path, text).with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(if all.iter().all(Runs::is_even) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
