//! Sending own telemetry: over OTLP through the clients that exporters use, or to the standard output.
//!
//! A refusal that may be retried is retried until the time of the export is over. Own telemetry takes part in no ledger.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use component::{BuildError, Host, StartError, Telemetry};
use net::client::{
    CallError, ClientSettings, GrpcChannel, GrpcClientConfig, HttpClient, HttpClientConfig, config::Compression as Zip,
};
use net::tls::{ClientTlsConfig, TlsMaterialConfig};
use otlp::{Encoding, ExportResponse, Refusal, paths};
use pdata::{Context, Payload, Signal};

use super::config::{Compression, OtlpConfig, Protocol};
use super::{id, start_error};

/// First wait before an export is tried again; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(500);

/// Sends payloads of one signal.
#[derive(Debug)]
pub(super) struct Sender {
    signal: Signal,
    timeout: Duration,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Grpc(Arc<GrpcChannel>),
    Http(Arc<HttpClient>, String),
    Console,
}

/// An endpoint, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    plaintext: bool,
    /// `host:port`.
    authority: String,
    /// With its slash; empty when there is none.
    path: String,
}

impl Endpoint {
    fn parse(config: &OtlpConfig) -> Self {
        let port = match config.protocol {
            Protocol::Grpc => 4317,
            Protocol::HttpProtobuf => 4318,
        };
        if config.endpoint.is_empty() {
            return Self { plaintext: true, authority: format!("localhost:{port}"), path: String::new() };
        }
        let (plaintext, rest) = match config.endpoint.split_once("://") {
            Some((scheme, rest)) => (scheme == "http", rest),
            None => (config.insecure, config.endpoint.as_str()),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        // The scheme's port, behind a host or a bracketed address without one.
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let port = if plaintext { 80 } else { 443 };
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        Self { plaintext, authority, path: if path == "/" { String::new() } else { path } }
    }

    fn url(&self, signal: Signal) -> String {
        let scheme = if self.plaintext { "http" } else { "https" };
        let path = if self.path.is_empty() { paths::http_path(signal) } else { &self.path };
        format!("{scheme}://{}{path}", self.authority)
    }
}

impl Sender {
    /// To the standard output.
    pub(super) fn console(signal: Signal) -> Self {
        Self { signal, timeout: Duration::MAX, target: Target::Console }
    }

    /// Over OTLP. Reads certificates; connects when first used.
    ///
    /// # Errors
    /// Certificates, headers and endpoints that cannot be used.
    pub(super) fn otlp(config: &OtlpConfig, signal: Signal, host: &Host) -> Result<Self, StartError> {
        let endpoint = Endpoint::parse(config);
        let labels = vec![("exporter".to_owned(), format!("{}/{signal}", id()))];
        let settings = ClientSettings {
            id: id(),
            telemetry: Telemetry::new(Arc::clone(host.registry()), labels),
            user_agent: concat!("weir/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let material = TlsMaterialConfig {
            ca_file: config.certificate.clone(),
            cert_file: config.client_certificate.clone(),
            key_file: config.client_key.clone(),
            ..TlsMaterialConfig::default()
        };
        let material = if endpoint.plaintext { TlsMaterialConfig::default() } else { material };
        let tls = ClientTlsConfig { material, insecure: endpoint.plaintext, ..ClientTlsConfig::default() };
        let headers = config.all_headers().collect();
        let compression = match config.compression {
            Compression::None => Zip::None,
            Compression::Gzip => Zip::Gzip,
        };
        let unusable = |error: BuildError| {
            start_error(format!("send own {signal} to `{}`", endpoint.authority), std::io::Error::other(error))
        };
        let target = match config.protocol {
            Protocol::Grpc => {
                let endpoint = endpoint.authority.clone();
                let config = GrpcClientConfig { endpoint, tls, headers, compression, ..GrpcClientConfig::default() };
                let channel = GrpcChannel::new(&config, settings).map_err(unusable)?;
                channel.start(host)?;
                Target::Grpc(channel)
            }
            Protocol::HttpProtobuf => {
                let url = endpoint.url(signal);
                let config = HttpClientConfig {
                    endpoint: url.clone(),
                    tls,
                    headers,
                    compression,
                    ..HttpClientConfig::default()
                };
                let client = HttpClient::new(&config, settings).map_err(unusable)?;
                client.start(host)?;
                Target::Http(client, url)
            }
        };
        Ok(Self { signal, timeout: config.timeout(), target })
    }

    /// Sends within `time`. Items that were refused for good are logged.
    ///
    /// # Errors
    /// Why it was not delivered.
    pub(super) async fn send(&self, payload: &Payload, time: Duration) -> Result<(), String> {
        let deadline = Instant::now().checked_add(time.min(Duration::from_secs(86_400)));
        let mut backoff = BACKOFF_MIN;
        loop {
            let refusal = match self.attempt(payload, deadline).await {
                Ok(answer) => {
                    if !answer.is_full_success() {
                        let rejected = answer.rejected_items;
                        tracing::warn!(signal = %self.signal, rejected, answer.message, "own telemetry was refused in part");
                    }
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            let wait = refusal.retry_after.unwrap_or(backoff);
            backoff *= 2;
            let left = deadline.map_or(time, |deadline| deadline.saturating_duration_since(Instant::now()));
            if !refusal.retryable || wait >= left {
                return Err(refusal.message);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, payload: &Payload, deadline: Option<Instant>) -> Result<ExportResponse, Refusal> {
        let context = Context::default();
        let body = [payload.to_bytes()];
        let own = Instant::now().checked_add(self.timeout);
        let deadline = [deadline, own].into_iter().flatten().min();
        match &self.target {
            Target::Grpc(channel) => {
                match channel.unary(paths::grpc_method(self.signal), &body, &context, deadline).await {
                    Ok(reply) => Ok(self.response(&reply.message)),
                    Err(CallError::Status(status)) => {
                        Err(Refusal::from_grpc(status.code, &status.message, &status.details))
                    }
                    Err(error) => Err(unanswered(&error)),
                }
            }
            Target::Http(client, url) => {
                let content_type = Encoding::Proto.content_type();
                let reply =
                    client.post(url, content_type, &body, &context, deadline).await.map_err(|e| unanswered(&e))?;
                if (200..300).contains(&reply.status) {
                    return Ok(self.response(&reply.body));
                }
                let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
                let (retry_after, content_type) = (header("retry-after"), header("content-type"));
                Err(Refusal::from_http(reply.status, retry_after, content_type, &reply.body, SystemTime::now()))
            }
            Target::Console => {
                let mut text = String::new();
                otlp::json::write_payload(payload, &mut text);
                text.push('\n');
                std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Refusal {
                    code: component::Code::Internal,
                    retryable: false,
                    retry_after: None,
                    message: format!("cannot write to the standard output: {error}"),
                })?;
                Ok(ExportResponse::default())
            }
        }
    }

    /// What the answer says; an unreadable answer to a delivered request is no failure.
    fn response(&self, body: &[u8]) -> ExportResponse {
        ExportResponse::decode(self.signal, Encoding::Proto, body).unwrap_or_default()
    }

    /// Closes connections.
    pub(super) async fn close(&self) {
        match &self.target {
            Target::Grpc(channel) => channel.shutdown().await,
            Target::Http(client, _) => client.shutdown().await,
            Target::Console => {}
        }
    }
}

fn unanswered(error: &CallError) -> Refusal {
    Refusal { code: error.code(), retryable: true, retry_after: None, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use config::decode_str;

    use super::*;

    #[test]
    fn endpoints_mean_what_the_sdk_means_by_them() {
        for (yaml, plaintext, authority, url) in [
            ("", true, "localhost:4318", "http://localhost:4318/v1/metrics"),
            ("protocol: grpc", true, "localhost:4317", "http://localhost:4317/v1/metrics"),
            ("endpoint: 'https://x.example'", false, "x.example:443", "https://x.example:443/v1/metrics"),
            ("endpoint: 'http://x.example/'", true, "x.example:80", "http://x.example:80/v1/metrics"),
            ("endpoint: 'http://[::1]'", true, "[::1]:80", "http://[::1]:80/v1/metrics"),
            ("endpoint: 'http://[::1]:9/otlp/m'", true, "[::1]:9", "http://[::1]:9/otlp/m"),
            ("endpoint: x:1", false, "x:1", "https://x:1/v1/metrics"),
            ("{endpoint: 'x:1', insecure: true}", true, "x:1", "http://x:1/v1/metrics"),
            ("{endpoint: 'https://x:1', insecure: true}", false, "x:1", "https://x:1/v1/metrics"),
        ] {
            let endpoint = Endpoint::parse(&decode_str::<OtlpConfig>(yaml).unwrap().0);
            assert_eq!((endpoint.plaintext, endpoint.authority.as_str()), (plaintext, authority), "{yaml}");
            assert_eq!(endpoint.url(Signal::Metrics), url, "{yaml}");
        }
    }
}
