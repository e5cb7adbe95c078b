//! What receiving alone costs: a gRPC server that takes OTLP exports and drops them. Load it from outside
//! (`weir-load --endpoint …`); when its input closes, it prints requests, bytes and its own CPU seconds.

#![expect(clippy::print_stdout, reason = "a tool")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use component::{BoxFuture, ComponentId, Deadline, Host, Level, Registry, Telemetry};
use net::server::{GrpcServer, GrpcServerConfig, GrpcStatus, RequestInfo, ServerSettings, UnaryHandler};
use pdata::{ByteAccount, Charge, Ledger, Overloaded};

struct Drop {
    account: Arc<ByteAccount>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

struct Shared(Arc<Drop>);

impl UnaryHandler for Shared {
    fn method(&self, _: &str) -> Option<usize> {
        Some(0)
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.0.account.try_charge(bytes)
    }

    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus {
        GrpcStatus::new(component::Code::Unavailable, overloaded.to_string())
    }

    fn call(
        &self,
        _: usize,
        body: Vec<u8>,
        charge: Charge,
        _: RequestInfo,
    ) -> BoxFuture<'static, Result<Bytes, GrpcStatus>> {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let body = charge.freeze(body);
        Box::pin(async move {
            drop(body);
            Ok(Bytes::new())
        })
    }
}

/// User and system time of this process in seconds, from clock ticks of a hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[tokio::main]
async fn main() {
    let account = ByteAccount::unlimited();
    let registry = Registry::new(Level::Normal);
    let (host, _fatal) = Host::new(Arc::clone(&account), Ledger::new(), Arc::clone(&registry));
    let counts = Arc::new(Drop { account, requests: AtomicU64::new(0), bytes: AtomicU64::new(0) });
    let settings = ServerSettings { id: ComponentId::new("floor"), telemetry: Telemetry::new(registry, Vec::new()) };
    let config = GrpcServerConfig { endpoint: "127.0.0.1:0".to_owned(), ..GrpcServerConfig::default() };
    let started = GrpcServer::start(&config, &host, settings, Arc::new(Shared(Arc::clone(&counts)))).await;
    let server = started.expect("a free port on loopback");
    println!("{}", server.local_addr().expect("a TCP server has an address"));
    let _input = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
    let (requests, bytes, cpu) =
        (counts.requests.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed), cpu_seconds());
    println!("requests {requests} bytes {bytes} cpu {cpu:.2} s; {:.0} requests per CPU-second", requests as f64 / cpu);
    server.shutdown(Deadline::after(Duration::from_secs(1))).await;
}
