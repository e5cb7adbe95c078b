//! A counting OTLP destination: accepts everything, or misbehaves as told.
//!
//! Arguments and output only; the work is in `weir_bench::sink`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use weir_bench::sink::{BODY_BYTES_HARD_MAX, Sink, SinkSettings};
use weir_bench::wire::GrpcCode;

/// Counting OTLP sink. Totals as JSON on GET /stats of the admin address, and on standard output at SIGTERM or SIGINT.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of OTLP/gRPC
    #[arg(long, default_value = "127.0.0.1:14317")]
    grpc: SocketAddr,
    /// Address of OTLP/HTTP
    #[arg(long, default_value = "127.0.0.1:14318")]
    http: SocketAddr,
    /// Address of GET /stats
    #[arg(long, default_value = "127.0.0.1:14319")]
    admin: SocketAddr,
    /// Do not look into bodies: no items, no decompression
    #[arg(long)]
    no_count: bool,
    /// Accept requests and never answer
    #[arg(long)]
    stall: bool,
    /// The share of requests to refuse, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = ratio)]
    fail_ratio: f64,
    /// What to refuse them with: a gRPC code by name or number
    #[arg(long, default_value = "UNAVAILABLE", value_parser = GrpcCode::parse_refusal)]
    fail_code: GrpcCode,
    /// Refuse longer bodies with RESOURCE_EXHAUSTED (413 over HTTP)
    #[arg(long, default_value_t = BODY_BYTES_HARD_MAX, value_parser = clap::value_parser!(u64).range(1..=BODY_BYTES_HARD_MAX))]
    max_bytes: u64,
    /// Milliseconds to wait before each answer
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    delay: u64,
    /// The largest HTTP/2 frame that clients may send, in bytes
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(16_384..=16_777_215))]
    max_frame_bytes: u32,
}

fn ratio(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "totals are this program's output, addresses its greeting"
)]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = SinkSettings {
        is_counting: !arguments.no_count,
        is_counting_traces: false,
        is_stalled: arguments.stall,
        fail_ratio: arguments.fail_ratio,
        fail_code: arguments.fail_code,
        body_bytes_max: arguments.max_bytes,
        delay: Duration::from_millis(arguments.delay),
        frame_bytes_max: arguments.max_frame_bytes,
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut sink = Sink::start(settings, arguments.grpc, arguments.http)
        .await
        .with_context(|| format!("listen on {} and {}", arguments.grpc, arguments.http))?;
    let admin = sink.serve_stats(arguments.admin).await.with_context(|| format!("listen on {}", arguments.admin))?;
    eprintln!("gRPC on {}, HTTP on {}, GET /stats on {admin}", sink.grpc_address, sink.http_address);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("{:#}", sink.counters.to_json());
    Ok(())
}
