//! What clients tell about their requests at level `detailed`: `rpc_client_*`, `http_client_*`.
//!
//! Sizes are those of bodies before compression. Series are made when first needed and are bounded in number: whoever sends
//! to ever new servers is not measured further.

use std::collections::BTreeMap;
use std::time::Duration;

use component::telemetry::{BYTE_BUCKETS, Metric, SECOND_BUCKETS};
use component::{Histogram, Level, Telemetry};
use http::Method;
use parking_lot::Mutex;

use crate::client::http::url::Url;
use crate::client::{CallError, HttpReply};
use crate::server::metrics::MILLISECOND_BUCKETS;

const RPC_DURATION: Metric =
    Metric { name: "rpc_client_duration", help: "Duration of outbound RPCs", unit: "ms", level: Level::Detailed };

const RPC_REQUEST_SIZE: Metric = Metric {
    name: "rpc_client_request_size",
    help: "Size of RPC request messages, before compression",
    unit: "By",
    level: Level::Detailed,
};

const HTTP_DURATION: Metric = Metric {
    name: "http_client_request_duration",
    help: "Duration of HTTP client requests",
    unit: "s",
    level: Level::Detailed,
};

const HTTP_BODY_SIZE: Metric = Metric {
    name: "http_client_request_body_size",
    help: "Size of HTTP client request bodies, before compression",
    unit: "By",
    level: Level::Detailed,
};

/// Most different answers (by server, method and status) of one client that are told apart.
const SERIES_MAX: usize = 1000;

/// Which answers go together. HTTP: method, scheme, `host:port` and status; gRPC: the path and the code.
type Key = (String, &'static str, String, u16);

/// One client's metrics.
#[derive(Debug)]
pub(crate) struct ClientMetrics {
    telemetry: Telemetry,
    by_answer: Mutex<BTreeMap<Key, (Histogram, Histogram)>>,
}

impl ClientMetrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), by_answer: Mutex::default() }
    }

    /// Whether durations and sizes are worth measuring.
    pub(crate) fn is_detailed(&self) -> bool {
        self.telemetry.registry().level() >= Level::Detailed
    }

    /// Records a call that ended with `code`.
    pub(crate) fn rpc(&self, path: &'static str, code: u8, duration: Duration, request_bytes: usize) {
        let histograms = self.histograms((String::new(), path, String::new(), u16::from(code)), || {
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
                self.telemetry.histogram(RPC_REQUEST_SIZE, BYTE_BUCKETS, &labels),
            )
        });
        record(histograms, duration.as_secs_f64() * 1e3, request_bytes);
    }

    /// Records a request, answered or not.
    pub(crate) fn http(
        &self,
        method: &Method,
        url: &Url,
        result: Result<&HttpReply, &CallError>,
        duration: Duration,
        request_bytes: usize,
    ) {
        let status = result.map_or(0, |reply| reply.status);
        let place = url.place();
        let key = (method.to_string(), url.scheme(), format!("{}:{}", place.host, place.port), status);
        let histograms = self.histograms(key, || {
            let (status, port) = (status.to_string(), place.port.to_string());
            let outcome = match result {
                Ok(_) => ("http_response_status_code", status.as_str()),
                // Without an answer there is no status.
                Err(_) => ("error_type", "_OTHER"),
            };
            let labels = [
                ("http_request_method", method.as_str()),
                ("server_address", place.host.as_str()),
                ("server_port", &port),
                ("url_scheme", url.scheme()),
                outcome,
            ];
            (
                self.telemetry.histogram(HTTP_DURATION, SECOND_BUCKETS, &labels),
                self.telemetry.histogram(HTTP_BODY_SIZE, BYTE_BUCKETS, &labels),
            )
        });
        record(histograms, duration.as_secs_f64(), request_bytes);
    }

    fn histograms(&self, key: Key, make: impl FnOnce() -> (Histogram, Histogram)) -> Option<(Histogram, Histogram)> {
        let mut known = self.by_answer.lock();
        if known.len() >= SERIES_MAX && !known.contains_key(&key) {
            return None;
        }
        Some(known.entry(key).or_insert_with(make).clone())
    }
}

fn record(histograms: Option<(Histogram, Histogram)>, duration: f64, request_bytes: usize) {
    if let Some((durations, sizes)) = histograms {
        durations.record(duration);
        sizes.record(request_bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded() {
        let telemetry = Telemetry::detached();
        let metrics = ClientMetrics::new(&telemetry);
        let error = CallError::Timeout { phase: crate::client::Phase::Connect, elapsed: Duration::ZERO };
        for port in 1..=SERIES_MAX + 5 {
            let url = Url::parse(&format!("http://a:{port}/")).unwrap();
            metrics.http(&Method::POST, &url, Err(&error), Duration::from_secs(1), 7);
        }
        let readings = telemetry.registry().read();
        assert_eq!(readings.iter().map(|reading| reading.series.len()).collect::<Vec<_>>(), [SERIES_MAX; 2]);
        let (labels, _) = &readings[0].series[0];
        assert!(labels.contains(&("error_type".to_owned(), "_OTHER".to_owned())), "{labels:?}");
    }
}
