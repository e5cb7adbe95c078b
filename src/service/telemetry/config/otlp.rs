//! `otlp:` exporters of readers and processors.

use std::time::Duration;

use config::{Config, Decode, Decoder, Headers, Node, Schema, Secret, Validator, codes};

/// Sends over OTLP.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = OtlpConfig::check)]
pub struct OtlpConfig {
    /// Which transport.
    pub protocol: Protocol,
    /// `http://host:port` or `https://host:port`, with a path for `http/protobuf` where it is not the signal's own. Without
    /// a scheme, `insecure` decides. Default: `http://localhost:4317` or `:4318`.
    pub endpoint: String,
    /// Headers of each request.
    pub headers: OtlpHeaders,
    /// Headers as one text, `a=1,b=2`. Those in `headers` count first.
    pub headers_list: Secret,
    /// Talk plaintext where the endpoint has no scheme.
    pub insecure: bool,
    /// File with the CA certificates (PEM) that the server is verified with.
    pub certificate: String,
    /// File with the own certificate chain (PEM).
    pub client_certificate: String,
    /// File with the own private key (PEM).
    pub client_key: String,
    /// How bodies are compressed.
    pub compression: Compression,
    /// Milliseconds one request may take.
    #[config(default = 10_000)]
    pub timeout: u64,
}

impl OtlpConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.timeout == 0 {
            v.error("timeout", "`timeout` must be greater than 0 milliseconds");
        }
        if self.client_certificate.is_empty() != self.client_key.is_empty() {
            v.error("client_certificate", "provide both `client_certificate` and `client_key`, or neither");
        }
        let (scheme, rest) = self.endpoint.split_once("://").unwrap_or(("", &self.endpoint));
        if !matches!(scheme, "" | "http" | "https") {
            v.error("endpoint", format!("unsupported scheme `{scheme}`: write http:// or https://"));
        }
        if !self.endpoint.is_empty() && rest.split('/').next().is_none_or(str::is_empty) {
            v.error("endpoint", format!("endpoint `{}` lacks a host", self.endpoint));
        }
        if let Some(part) = self.headers_list.expose().split(',').find(|part| !part.is_empty() && !part.contains('=')) {
            // The text may hold secrets, so only its shape is told.
            v.error("headers_list", format!("a part of {} characters lacks `=`", part.chars().count()));
        }
    }

    /// Names and values of all headers.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let listed = self.headers_list.expose().split(',').filter_map(|part| part.split_once('='));
        let listed = listed.map(|(name, value)| (name.trim(), value.trim()));
        let given = self.headers.0.iter().map(|(name, value)| (name, value.expose()));
        given.chain(listed.filter(|(name, _)| self.headers.0.get(name).is_none()))
    }

    /// The time one request may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

/// Transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    #[config(default, rename = "http/protobuf")]
    HttpProtobuf,
}

/// Compression of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Compression {
    /// None.
    #[config(default, alias = "")]
    None,
    /// gzip.
    Gzip,
}

/// A list of `{name, value}`; a map as in schema 0.2 is taken with a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpHeaders(pub Headers);

impl Decode for OtlpHeaders {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        if !node.entries().is_empty() {
            let message = format!("'{}' is a map, which is the form of schema 0.2", cx.quoted_path());
            let warning = cx.warning(node, codes::DEPRECATED, message);
            cx.push(warning.with_fix("write a list: `headers: [{name: …, value: …}]`"));
        }
        Self(Headers::decode(node, base.0, cx))
    }

    fn schema() -> Schema {
        Headers::schema()
    }

    fn encode(&self) -> config::Value {
        self.0.encode()
    }
}

/// Sends metrics over OTLP.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct OtlpMetricsConfig {
    /// Where and how.
    #[config(flatten)]
    pub otlp: OtlpConfig,
    /// Whether sums and histograms are sent since the start, or since the last export.
    pub temporality_preference: Temporality,
    /// Form of histograms that no view gives another.
    pub default_histogram_aggregation: HistogramAggregation,
}

/// Since when sums and histograms count. Values that go up and down are always cumulative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
#[config(ignore_case)]
pub enum Temporality {
    /// Since the start.
    #[config(default, alias = "")]
    Cumulative,
    /// Since the last export. `low_memory` asks for deltas where they cost the SDK no memory, which are the same
    /// instruments here.
    #[config(alias = "low_memory")]
    Delta,
}

/// Forms of histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum HistogramAggregation {
    /// Fixed buckets.
    #[config(default, rename = "explicit_bucket_histogram", alias = "")]
    Explicit,
    /// Exponential buckets.
    #[config(rename = "base2_exponential_bucket_histogram")]
    Exponential,
}
