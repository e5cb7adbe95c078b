//! What servers tell about themselves: `rpc_server_*`, `http_server_*`, `weir_server_*`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use component::telemetry::{Metric, SECOND_BUCKETS};
use component::{Gauge, Histogram, Level, Telemetry};
use parking_lot::Mutex;

/// Connections that were closed or answered because the peer did not speak the port's protocol, or broke its rules.
const PROTOCOL_ERRORS: Metric = Metric {
    name: "weir_server_protocol_errors",
    help: "Connections and requests that did not follow the protocol of the port, by reason",
    unit: "{errors}",
    level: Level::Basic,
};

const CONNECTIONS: Metric =
    Metric { name: "weir_server_connections", help: "Open connections", unit: "{connections}", level: Level::Normal };

const RPC_DURATION: Metric =
    Metric { name: "rpc_server_duration", help: "Duration of inbound RPCs", unit: "ms", level: Level::Detailed };

const RPC_REQUEST_SIZE: Metric = Metric {
    name: "rpc_server_request_size",
    help: "Size of RPC request messages, decompressed",
    unit: "By",
    level: Level::Detailed,
};

const HTTP_DURATION: Metric = Metric {
    name: "http_server_request_duration",
    help: "Duration of HTTP server requests",
    unit: "s",
    level: Level::Detailed,
};

const HTTP_BODY_SIZE: Metric = Metric {
    name: "http_server_request_body_size",
    help: "Size of HTTP server request bodies, decompressed",
    unit: "By",
    level: Level::Detailed,
};

/// OpenTelemetry's default bounds, which is what the Collector's instrumentation uses for milliseconds.
pub(crate) const MILLISECOND_BUCKETS: &[f64] =
    &[0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10_000.0];

/// Seconds between two log lines about one kind of protocol error.
const LOG_INTERVAL_SECONDS: u64 = 10;

/// One server's metrics.
#[derive(Debug)]
pub(crate) struct ServerMetrics {
    telemetry: Telemetry,
    transport: &'static str,
    pub(crate) connections: Gauge,
    logged: AtomicU64,
    by_answer: Mutex<BTreeMap<(usize, u16), (Histogram, Histogram)>>,
}

impl ServerMetrics {
    /// `transport` is `grpc` or `http`.
    pub(crate) fn new(telemetry: &Telemetry, transport: &'static str) -> Self {
        Self {
            connections: telemetry.up_down_counter(CONNECTIONS, &[("transport", transport)]),
            telemetry: telemetry.clone(),
            transport,
            logged: AtomicU64::new(0),
            by_answer: Mutex::default(),
        }
    }

    /// Counts an error, and logs it unless one was logged just before.
    pub(crate) fn protocol_error(&self, reason: &'static str, peer: &str, text: &str) {
        self.telemetry.counter(PROTOCOL_ERRORS, &[("reason", reason), ("transport", self.transport)]).add(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last = self.logged.load(Ordering::Relaxed);
        if now >= last.saturating_add(LOG_INTERVAL_SECONDS)
            && self.logged.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::warn!(reason, peer, transport = self.transport, "{text}");
        }
    }

    /// Whether durations and sizes are worth measuring.
    pub(crate) fn is_detailed(&self) -> bool {
        self.telemetry.registry().level() >= Level::Detailed
    }

    /// Records an answered RPC.
    pub(crate) fn rpc(&self, method: usize, path: &str, code: u8, duration: Duration, request_bytes: usize) {
        let (durations, sizes) = self.histograms((method, u16::from(code)), || {
            let (service, name) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
            let code = code.to_string();
            let labels = [
                ("rpc_system", "grpc"),
                ("rpc_service", service),
                ("rpc_method", name),
                ("rpc_grpc_status_code", &code),
            ];
            (
                self.telemetry.histogram(RPC_DURATION, MILLISECOND_BUCKETS, &labels),
                self.telemetry.histogram(RPC_REQUEST_SIZE, component::telemetry::BYTE_BUCKETS, &labels),
            )
        });
        durations.record(duration.as_secs_f64() * 1e3);
        sizes.record(request_bytes as f64);
    }

    /// Records an answered HTTP request. `route` is bounded in number, `name` is its label.
    pub(crate) fn http(&self, route: usize, name: &str, status: u16, duration: Duration, request_bytes: usize) {
        let (durations, sizes) = self.histograms((route, status), || {
            let status = status.to_string();
            let labels =
                [("http_request_method", "POST"), ("http_route", name), ("http_response_status_code", &status)];
            (
                self.telemetry.histogram(HTTP_DURATION, SECOND_BUCKETS, &labels),
                self.telemetry.histogram(HTTP_BODY_SIZE, component::telemetry::BYTE_BUCKETS, &labels),
            )
        });
        durations.record(duration.as_secs_f64());
        sizes.record(request_bytes as f64);
    }

    fn histograms(&self, key: (usize, u16), make: impl FnOnce() -> (Histogram, Histogram)) -> (Histogram, Histogram) {
        self.by_answer.lock().entry(key).or_insert_with(make).clone()
    }
}
