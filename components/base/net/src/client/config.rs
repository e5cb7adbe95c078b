//! What users write for clients.

use std::time::Duration;

use component::{ExtensionRef, Role};
use config::{Config, Headers, Optional, Unsupported, Validator};

use crate::client::grpc::target::Target;
use crate::compression::Algorithm;
use crate::server::config::{AuthConfig, MiddlewareConfig, extension_refs};
use crate::tls::ClientTlsConfig;

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Compression {
    /// Not, unless the component's default says otherwise.
    #[config(default, rename = "")]
    Unset,
    /// Not.
    None,
    /// gzip.
    Gzip,
    /// zlib.
    Zlib,
    /// zlib, by HTTP's name for it.
    Deflate,
    /// Snappy.
    Snappy,
    /// Snappy in frames.
    #[config(rename = "x-snappy-framed")]
    XSnappyFramed,
    /// Zstandard.
    Zstd,
    /// Not supported.
    Lz4,
}

impl Compression {
    /// Name and algorithm for `Content-Encoding`.
    pub(crate) fn http(self) -> Option<(&'static str, Algorithm)> {
        match self {
            Self::Unset | Self::None | Self::Lz4 => None,
            Self::Gzip => Some(("gzip", Algorithm::Gzip)),
            Self::Zlib => Some(("zlib", Algorithm::Zlib)),
            Self::Deflate => Some(("deflate", Algorithm::Zlib)),
            Self::Snappy => Some(("snappy", Algorithm::SnappyBlock)),
            Self::XSnappyFramed => Some(("x-snappy-framed", Algorithm::SnappyFramed)),
            Self::Zstd => Some(("zstd", Algorithm::Zstd)),
        }
    }

    /// Name and algorithm for `grpc-encoding`; gRPC's snappy is the framed one.
    pub(crate) fn grpc(self) -> Option<(&'static str, Algorithm)> {
        match self {
            Self::Gzip => Some(("gzip", Algorithm::Gzip)),
            Self::Snappy => Some(("snappy", Algorithm::SnappyFramed)),
            Self::Zstd => Some(("zstd", Algorithm::Zstd)),
            _ => None,
        }
    }
}

/// Pings to silent servers.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ClientKeepaliveConfig {
    /// Ping after this silence; less than 10s counts as 10s.
    pub time: Duration,
    /// Close the connection when a ping is not answered in this time; 0 for 20s.
    pub timeout: Duration,
    /// Ping also while there is no request.
    pub permit_without_stream: bool,
}

/// A gRPC client.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = GrpcClientConfig::check)]
pub struct GrpcClientConfig {
    /// Server: `host:port`, `http(s)://host:port`, `dns:///host:port`, `unix:///path`.
    pub endpoint: String,
    /// TLS; verified with the system's CAs unless told otherwise.
    pub tls: ClientTlsConfig,
    /// `gzip`, `snappy`, `zstd` or `none`.
    pub compression: Compression,
    /// Pings to silent servers; none without it.
    pub keepalive: Optional<ClientKeepaliveConfig>,
    /// Size of read buffers in bytes.
    #[config(no_effect = "reads go into buffers of one HTTP/2 frame")]
    pub read_buffer_size: i64,
    /// Bytes of requests that a stream may have buffered; 0 for the default.
    pub write_buffer_size: i64,
    /// Wait for a connection, until the call's deadline, instead of failing when none can be opened.
    pub wait_for_ready: bool,
    /// Headers of every request.
    pub headers: Headers,
    /// How requests are spread over the addresses of the host: `round_robin` or `pick_first`.
    #[config(default = "round_robin")]
    pub balancer_name: String,
    /// Host name that the server is told (`:authority`), instead of the endpoint's.
    pub authority: String,
    /// `User-Agent`; empty for name and version of the program.
    pub user_agent: String,
    /// Who adds credentials.
    pub auth: Optional<AuthConfig>,
    /// Extensions in the way of requests.
    pub middlewares: Vec<MiddlewareConfig>,
}

impl GrpcClientConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.endpoint.is_empty() {
            v.error("endpoint", "requires a non-empty \"endpoint\"");
        } else if let Err(error) = Target::parse(&self.endpoint) {
            v.error("endpoint", error);
        }
        if !matches!(self.balancer_name.as_str(), "round_robin" | "pick_first") {
            let message =
                format!("invalid balancer_name: {}; known are round_robin and pick_first", self.balancer_name);
            v.error("balancer_name", message);
        }
        if matches!(
            self.compression,
            Compression::Zlib | Compression::Deflate | Compression::XSnappyFramed | Compression::Lz4
        ) {
            v.error(
                "compression",
                format!("unsupported compression type `{}` for gRPC: use gzip, snappy or zstd", name(self.compression)),
            );
        }
        if !self.authority.is_empty() && http::uri::Authority::try_from(self.authority.as_str()).is_err() {
            v.error("authority", format!("`{}` cannot be an authority", self.authority));
        }
        if self.write_buffer_size < 0 {
            v.error(
                "write_buffer_size",
                format!("`write_buffer_size` must not be negative: {}", self.write_buffer_size),
            );
        }
        check_headers(v, &self.headers);
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        let auth = self.auth.get().map(|auth| &auth.authenticator);
        extension_refs((Role::ClientAuth, auth), (Role::ClientMiddleware, &self.middlewares))
    }
}

fn name(compression: Compression) -> &'static str {
    config::Choice::as_str(&compression)
}

fn check_headers(v: &mut Validator<'_>, headers: &Headers) {
    for (name, value) in headers.iter() {
        if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value.expose()).is_err() {
            v.error("headers", format!("`{name}` is not a valid header"));
        }
    }
}

/// How hard to compress.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct CompressionParamsConfig {
    /// The codec's own level: -2 to 9 for gzip, zlib and deflate, any for zstd; 0 for the codec's default.
    pub level: i32,
}

/// An HTTP client.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HttpClientConfig::check)]
pub struct HttpClientConfig {
    /// URL of the server.
    pub endpoint: String,
    /// URL of a proxy (`http://`); the environment's (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`) without it.
    pub proxy_url: String,
    /// TLS for `https://` URLs.
    pub tls: ClientTlsConfig,
    /// Bound of a whole request; 0 for none.
    pub timeout: Duration,
    /// Size of read buffers in bytes; 0 for the default.
    pub read_buffer_size: i64,
    /// Size of write buffers in bytes.
    #[config(no_effect = "bodies are written from where they are")]
    pub write_buffer_size: i64,
    /// Headers of every request; they replace others of the same name.
    pub headers: Headers,
    /// Who adds credentials.
    pub auth: Optional<AuthConfig>,
    /// `gzip`, `zlib`, `deflate`, `snappy`, `x-snappy-framed`, `zstd` or `none`.
    pub compression: Compression,
    /// How hard to compress.
    pub compression_params: CompressionParamsConfig,
    /// Idle connections kept, in all; 0 for no bound.
    #[config(default = 100)]
    pub max_idle_conns: i64,
    /// Idle connections kept per host; 0 for 2.
    pub max_idle_conns_per_host: i64,
    /// Connections per host, idle or not; 0 for no bound.
    pub max_conns_per_host: i64,
    /// Time after which an idle connection is closed; 0 for never.
    #[config(default = Duration::from_secs(90))]
    pub idle_conn_timeout: Duration,
    /// Open a connection for every request.
    pub disable_keep_alives: bool,
    /// Ping an HTTP/2 server after this silence; 0 for never.
    pub http2_read_idle_timeout: Duration,
    /// Close the connection when a ping is not answered in this time; 0 for 15s.
    pub http2_ping_timeout: Duration,
    /// Offer HTTP/2 to TLS servers.
    #[config(default = true)]
    pub force_attempt_http2: bool,
    /// Cookies.
    #[config(unsupported = "weir keeps no cookies")]
    pub cookies: Unsupported,
    /// Extensions in the way of requests.
    pub middlewares: Vec<MiddlewareConfig>,
}

impl HttpClientConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.endpoint.is_empty()
            && let Err(error) = crate::client::http::url::Url::parse(&self.endpoint)
        {
            v.error("endpoint", error);
        }
        if !self.proxy_url.is_empty()
            && let Err(error) = crate::client::http::proxy::Proxy::parse(&self.proxy_url)
        {
            v.error("proxy_url", error);
        }
        let level = self.compression_params.level;
        match self.compression {
            Compression::Lz4 => v.error("compression", "compression `lz4` is not supported"),
            Compression::Gzip | Compression::Zlib | Compression::Deflate if !(-2..=9).contains(&level) => {
                v.error(
                    "compression_params::level",
                    format!("unsupported compression level {level} for {}: it is from -2 to 9", name(self.compression)),
                );
            }
            Compression::Snappy | Compression::XSnappyFramed | Compression::None | Compression::Unset if level != 0 => {
                v.error(
                    "compression_params::level",
                    format!("unsupported compression level {level}: this compression has none"),
                );
            }
            _ => {}
        }
        for (key, value) in [
            ("max_idle_conns", self.max_idle_conns),
            ("max_idle_conns_per_host", self.max_idle_conns_per_host),
            ("max_conns_per_host", self.max_conns_per_host),
            ("read_buffer_size", self.read_buffer_size),
            ("write_buffer_size", self.write_buffer_size),
        ] {
            if value < 0 {
                v.error(key, format!("`{key}` must not be negative: {value}"));
            }
        }
        check_headers(v, &self.headers);
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        let auth = self.auth.get().map(|auth| &auth.authenticator);
        extension_refs((Role::ClientAuth, auth), (Role::ClientMiddleware, &self.middlewares))
    }
}
