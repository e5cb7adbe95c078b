//! What users write for an `otlp_http` exporter, and where each signal goes.

use std::time::Duration;

use ::config::{Config, GoDuration, Validator};
use component::ExtensionRef;
use delivery::{DeliveryConfig, TimeoutConfig};
use http::Uri;
use net::client::HttpClientConfig;
use net::client::config::Compression;
use pdata::Signal;

/// How requests are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum EncodingConfig {
    /// Binary protobuf.
    #[config(default)]
    Proto,
    /// OTLP/JSON.
    Json,
}

impl From<EncodingConfig> for otlp::Encoding {
    fn from(encoding: EncodingConfig) -> Self {
        match encoding {
            EncodingConfig::Proto => Self::Proto,
            EncodingConfig::Json => Self::Json,
        }
    }
}

/// Sends OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = OtlpHttpConfig::check)]
pub struct OtlpHttpConfig {
    /// The connection. `endpoint` is the base URL, to which `/v1/traces` and the like are appended.
    #[config(flatten, default = client())]
    pub client: HttpClientConfig,
    /// URL for traces, used as it stands, instead of `endpoint` with `/v1/traces`.
    pub traces_endpoint: String,
    /// URL for metrics, used as it stands, instead of `endpoint` with `/v1/metrics`.
    pub metrics_endpoint: String,
    /// URL for logs, used as it stands, instead of `endpoint` with `/v1/logs`.
    pub logs_endpoint: String,
    /// URL for profiles.
    #[config(no_effect = "weir has no profiles")]
    pub profiles_endpoint: String,
    /// How requests are encoded: `proto` or `json`.
    pub encoding: EncodingConfig,
    /// Retrying and queueing.
    #[config(flatten)]
    pub delivery: DeliveryConfig,
}

/// The client's defaults in this exporter.
fn client() -> HttpClientConfig {
    HttpClientConfig {
        timeout: Duration::from_secs(30),
        compression: Compression::Gzip,
        write_buffer_size: 512 << 10,
        ..HttpClientConfig::default()
    }
}

impl OtlpHttpConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let own = [
            ("traces_endpoint", &self.traces_endpoint),
            ("metrics_endpoint", &self.metrics_endpoint),
            ("logs_endpoint", &self.logs_endpoint),
            ("profiles_endpoint", &self.profiles_endpoint),
        ];
        if self.client.endpoint.is_empty() && own.iter().all(|(_, url)| url.is_empty()) {
            v.error("", "at least one endpoint must be specified");
        }
        for (key, url) in own {
            if !url.is_empty() && parse(url).is_none() {
                v.error(key, format!("{key} must be a valid URL: `{url}` lacks `http://` or `https://`, or a host"));
            }
        }
    }

    /// The URL to which `signal` is posted.
    ///
    /// # Errors
    /// That there is none, in the Collector's words.
    pub fn url(&self, signal: Signal) -> Result<String, String> {
        let own = match signal {
            Signal::Traces => &self.traces_endpoint,
            Signal::Metrics => &self.metrics_endpoint,
            Signal::Logs => &self.logs_endpoint,
        };
        match (own.as_str(), self.client.endpoint.as_str()) {
            ("", "") => Err(format!("either endpoint or {signal}_endpoint must be specified")),
            ("", base) => Ok(format!("{}{}", base.strip_suffix('/').unwrap_or(base), otlp::paths::http_path(signal))),
            (own, _) => Ok(own.to_owned()),
        }
    }

    /// The client's timeout, as that of an attempt.
    #[must_use]
    pub fn attempt_timeout(&self) -> TimeoutConfig {
        TimeoutConfig { timeout: GoDuration::from(self.client.timeout) }
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        [self.client.extension_refs(), self.delivery.extension_refs()].concat()
    }
}

/// An absolute `http://` or `https://` URL.
pub(crate) fn parse(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_http && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}
