//! Sends OTLP requests as fast as they are answered, or at a rate, and tells what came of them.
//!
//! Arguments and output only; the work is in `weir_bench::load`.

use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use weir_bench::client::Endpoint;
use weir_bench::load::{self, LoadReport, LoadSettings};
use weir_bench::payload::{ITEMS_PER_REQUEST, POOL_REQUESTS, Pool};
use weir_bench::wire::{Compression, Signal, Transport};

/// OTLP load generator: requests are built first, then sent until a number or a time is reached.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to send, `host:port` [default: 127.0.0.1:4317 for gRPC, 127.0.0.1:4318 for HTTP]
    #[arg(long)]
    endpoint: Option<String>,
    /// How requests travel
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Transport,
    /// What they carry
    #[arg(long, value_enum, default_value = "traces")]
    signal: Signal,
    /// How bodies are packed, before the clock starts
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// Connections; over HTTP/1 times `--in-flight`
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Requests under way per connection
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: u16,
    /// Items per request
    #[arg(long, default_value_t = ITEMS_PER_REQUEST as u32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    items: u32,
    /// Distinct requests to build
    #[arg(long, default_value_t = POOL_REQUESTS as u16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pool: u16,
    /// Send spans of whole traces over gRPC, each of 12 spans in three requests, with other trace IDs each time
    #[arg(long, conflicts_with_all = ["protocol", "signal", "compression", "items", "pool"])]
    whole_traces: bool,
    /// Stop after this many requests
    #[arg(long, default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Stop after this many seconds
    #[arg(long, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// Items per second at most
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Send refused requests again where OTLP allows it, until the duration is over
    #[arg(long)]
    retry: bool,
    /// Seconds to wait for an answer
    #[arg(long, default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// A header for every request, `name: value`; may be repeated
    #[arg(long, value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Tell how long it took from launch until one request was accepted, trying every millisecond, and stop; `--duration` bounds it
    #[arg(long)]
    until_first_accept: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// With --until-first-accept: a program to launch; the time counts from its launch and it is killed at the end
    #[arg(last = true, requires = "until_first_accept")]
    launch: Vec<String>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("`{text}` is no number above 0"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    Some(seconds)
        .filter(|seconds| *seconds <= 86_400.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("`{text}` seconds are more than a day, 86400"))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is not `name: value`"))?;
    let name = name.trim().parse().map_err(|error| format!("`{name}` is no header name: {error}"))?;
    let value = value.trim().parse().map_err(|error| format!("`{value}` is no header value: {error}"))?;
    Ok((name, value))
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
async fn main() -> ExitCode {
    let launched = Instant::now();
    match run(&Arguments::parse(), launched).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
async fn run(arguments: &Arguments, launched: Instant) -> anyhow::Result<()> {
    let default_endpoint = match arguments.protocol {
        Transport::Grpc => "127.0.0.1:4317",
        Transport::Http => "127.0.0.1:4318",
    };
    let authority = arguments.endpoint.as_deref().unwrap_or(default_endpoint);
    let endpoint =
        Endpoint::new(authority, arguments.protocol, arguments.signal, arguments.compression, &arguments.header)
            .with_context(|| format!("use `{authority}` as endpoint"))?;
    let endpoint = Arc::new(endpoint);
    let requests = if arguments.until_first_accept { 1 } else { usize::from(arguments.pool) };
    let pool = if arguments.whole_traces {
        Pool::of_whole_traces()
    } else {
        Pool::build(arguments.signal, arguments.protocol, arguments.compression, requests, arguments.items as usize)
            .context("build requests")?
    };
    if arguments.until_first_accept {
        let taken = first_accept(arguments, endpoint, &pool, launched).await?.as_secs_f64() * 1000.0;
        if arguments.json {
            println!("{}", json!({ "first_accept_ms": taken }));
        } else {
            println!("first request accepted {taken:.1} ms after launch");
        }
        return Ok(());
    }
    let settings = LoadSettings {
        endpoint,
        connection_count: arguments.connections.into(),
        in_flight_count: arguments.in_flight.into(),
        request_count_max: arguments.requests,
        duration: arguments.duration,
        rate: arguments.rate,
        is_retrying: arguments.retry,
        answer_timeout: arguments.timeout,
        window: None,
        first_number: 0,
        stop: Arc::default(),
    };
    let report = load::run(settings, Arc::new(pool)).await;
    if arguments.json {
        println!("{:#}", as_json(&report));
    } else {
        println!("{}", as_text(&report, arguments.signal));
    }
    if report.sent_requests > 0 && report.acked_requests + report.refused_requests() == 0 {
        bail!("no request was answered");
    }
    Ok(())
}

async fn first_accept(
    arguments: &Arguments,
    endpoint: Arc<Endpoint>,
    pool: &Pool,
    mut launched: Instant,
) -> anyhow::Result<Duration> {
    let mut child = None;
    if let Some((program, rest)) = arguments.launch.split_first() {
        launched = Instant::now();
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null()).stdout(Stdio::null());
        child = Some(command.spawn().with_context(|| format!("start `{program}`"))?);
    }
    let payload = pool.payloads.first().context("pool is empty")?;
    let accepted = tokio::select! {
        accepted = load::until_first_accept(endpoint, payload, arguments.duration) => accepted.map_err(|reason| anyhow!(reason)),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    if let Some(mut child) = child {
        // Fails only when it has ended by itself.
        drop(child.kill());
        child.wait().context("wait for the launched program")?;
    }
    Ok(accepted?.duration_since(launched))
}

fn as_json(report: &LoadReport) -> Value {
    let latency = |latencies: &weir_bench::latency::Latencies| {
        json!({
            "count": latencies.count(),
            "p50_ms": latencies.percentile_ms(0.5),
            "p90_ms": latencies.percentile_ms(0.9),
            "p99_ms": latencies.percentile_ms(0.99),
        })
    };
    json!({
        "elapsed_seconds": report.elapsed.as_secs_f64(),
        "sent_requests": report.sent_requests,
        "sent_bytes": report.sent_bytes,
        "acked_requests": report.acked_requests,
        "acked_items": report.acked_items,
        "rejected_items": report.rejected_items,
        "refused_requests": report.refused,
        "errors": report.errors,
        "items_per_second": report.items_per_second(),
        "acked_latency": latency(&report.acked_latencies),
        "refused_latency": latency(&report.refused_latencies),
    })
}

fn as_text(report: &LoadReport, signal: Signal) -> String {
    let latency = |latencies: &weir_bench::latency::Latencies| {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| latencies.percentile_ms(share));
        format!("p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms")
    };
    let mut lines = vec![
        format!(
            "sent     {} requests, {:.1} MiB in {:.2} s",
            report.sent_requests,
            report.sent_bytes as f64 / f64::from(1 << 20),
            report.elapsed.as_secs_f64()
        ),
        format!("acked    {} requests, {} {}", report.acked_requests, report.acked_items, signal.item_name()),
        format!("rate     {:.0} {}/s", report.items_per_second(), signal.item_name()),
        format!("latency  {}", latency(&report.acked_latencies)),
    ];
    if report.rejected_items > 0 {
        lines.push(format!("rejected {} {} by partial success", report.rejected_items, signal.item_name()));
    }
    for (code, count) in &report.refused {
        lines.push(format!("refused  {count} requests with {code}"));
    }
    if report.refused_requests() > 0 {
        lines.push(format!("         after {}", latency(&report.refused_latencies)));
    }
    for (reason, count) in &report.errors {
        lines.push(format!("failed   {count} requests: {reason}"));
    }
    lines.join("\n")
}
