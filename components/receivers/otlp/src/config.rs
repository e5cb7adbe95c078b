//! What users write for `otlp` receivers.

use std::time::Duration;

use component::ExtensionRef;
use config::{Config, Optional, Validator};
use net::server::{GrpcServerConfig, HttpServerConfig};
use pdata::{Signal, Utf8Policy};

/// Receives OTLP.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = OtlpConfig::check)]
pub struct OtlpConfig {
    /// What is listened on; at least one.
    pub protocols: ProtocolsConfig,
    /// What happens to strings that are not UTF-8. Of weir; not in the Collector.
    pub invalid_utf8: InvalidUtf8,
}

/// The protocols, each off until it is written.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ProtocolsConfig {
    /// OTLP/gRPC.
    #[config(default = Optional::default_off(default_grpc()))]
    pub grpc: Optional<GrpcServerConfig>,
    /// OTLP/HTTP.
    #[config(default = Optional::default_off(HttpConfig::default()))]
    pub http: Optional<HttpConfig>,
}

/// OTLP/HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HttpConfig::check)]
pub struct HttpConfig {
    /// The server.
    #[config(flatten, default = default_http())]
    pub server: HttpServerConfig,
    /// Path that traces are posted to.
    #[config(default = "/v1/traces")]
    pub traces_url_path: String,
    /// Path that metrics are posted to.
    #[config(default = "/v1/metrics")]
    pub metrics_url_path: String,
    /// Path that logs are posted to.
    #[config(default = "/v1/logs")]
    pub logs_url_path: String,
}

/// What happens to strings that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum InvalidUtf8 {
    /// Each offending byte becomes `?`, and `weir_receiver_repaired_strings` counts the string.
    #[config(default)]
    Repair,
    /// The request is refused as malformed.
    Refuse,
}

impl From<InvalidUtf8> for Utf8Policy {
    fn from(value: InvalidUtf8) -> Self {
        match value {
            InvalidUtf8::Repair => Self::Repair,
            InvalidUtf8::Refuse => Self::Refuse,
        }
    }
}

fn default_grpc() -> GrpcServerConfig {
    GrpcServerConfig { endpoint: "localhost:4317".to_owned(), read_buffer_size: 524_288, ..GrpcServerConfig::default() }
}

/// The Collector's receiver sets no timeouts where its HTTP block has some.
fn default_http() -> HttpServerConfig {
    HttpServerConfig {
        endpoint: "localhost:4318".to_owned(),
        read_header_timeout: Duration::ZERO,
        write_timeout: Duration::ZERO,
        idle_timeout: Duration::ZERO,
        ..HttpServerConfig::default()
    }
}

impl OtlpConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.protocols.grpc.is_on() && !self.protocols.http.is_on() {
            v.error_with("", "must specify at least one protocol when using the OTLP receiver", |error| {
                error.with_fix("add `protocols: {grpc: {}, http: {}}`, or one of the two")
            });
        }
    }

    /// Whether requests of some protocol keep their metadata.
    #[must_use]
    pub fn includes_metadata(&self) -> bool {
        let ProtocolsConfig { grpc, http } = &self.protocols;
        grpc.get().is_some_and(|grpc| grpc.include_metadata)
            || http.get().is_some_and(|http| http.server.include_metadata)
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        let grpc = self.protocols.grpc.get().map(GrpcServerConfig::extension_refs);
        let http = self.protocols.http.get().map(|http| http.server.extension_refs());
        grpc.into_iter().chain(http).flatten().collect()
    }
}

impl HttpConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (index, signal) in Signal::ALL.into_iter().enumerate() {
            let twin = Signal::ALL.into_iter().take(index).find(|other| self.path(*other) == self.path(signal));
            if let Some(twin) = twin {
                let (path, key) = (self.path(signal), format!("{signal}_url_path"));
                v.error(&key, format!("`{key}` and `{twin}_url_path` must differ, both are `{path}`"));
            }
        }
    }

    /// Path that `signal` is posted to; a missing leading `/` is added.
    #[must_use]
    pub fn path(&self, signal: Signal) -> String {
        let path = match signal {
            Signal::Traces => &self.traces_url_path,
            Signal::Metrics => &self.metrics_url_path,
            Signal::Logs => &self.logs_url_path,
        };
        if path.starts_with('/') { path.clone() } else { format!("/{path}") }
    }
}
