//! What users write for servers.

use std::time::Duration;

use component::{ComponentId, ExtensionRef, Role};
use config::{Config, Headers, Optional, Unsupported, Validator};

use crate::endpoint;
use crate::server::limits;
use crate::tls::ServerTlsConfig;

/// The kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    #[config(default)]
    Tcp,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A Unix socket; the endpoint is a path.
    Unix,
}

/// Accepted for compatibility.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct DialerConfig {
    /// Timeout of outgoing connections.
    #[config(no_effect = "a server opens no connections")]
    pub timeout: Duration,
}

/// Who checks requests.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct AuthConfig {
    /// Extension that checks each request.
    #[config(required)]
    pub authenticator: ComponentId,
}

/// Who checks HTTP requests.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct HttpAuthConfig {
    /// Extension that checks each request.
    #[config(required)]
    pub authenticator: ComponentId,
    /// Query parameters that the authenticator sees as headers; they win over headers of the same name.
    pub request_params: Vec<String>,
}

/// An extension in the way of requests.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct MiddlewareConfig {
    /// The extension.
    #[config(required)]
    pub id: ComponentId,
}

/// How long connections live.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ServerKeepaliveConfig {
    /// Bounds and pings.
    pub server_parameters: Optional<KeepaliveParametersConfig>,
    /// What clients may not do.
    #[config(unsupported = "pings of clients cannot be observed; weir bounds connections and streams by other means")]
    pub enforcement_policy: Unsupported,
}

/// Bounds and pings; 0 for the default.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct KeepaliveParametersConfig {
    /// Close a connection that had no request for this long; 0 for 30 minutes.
    pub max_connection_idle: Duration,
    /// Ask clients to connect again after this time; 0 for never.
    pub max_connection_age: Duration,
    /// Time for running requests after that; 0 for one minute.
    pub max_connection_age_grace: Duration,
    /// Ping a client after this silence; 0 for 2 hours.
    pub time: Duration,
    /// Close the connection when a ping is not answered in this time; 0 for 20 seconds.
    pub timeout: Duration,
}

/// A gRPC server.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = GrpcServerConfig::check)]
pub struct GrpcServerConfig {
    /// `host:port` to listen on, or the path of a Unix socket.
    pub endpoint: String,
    /// Kind of socket.
    pub transport: Transport,
    /// Accepted for compatibility.
    pub dialer: DialerConfig,
    /// TLS; plaintext without it.
    pub tls: Optional<ServerTlsConfig>,
    /// Who checks requests; nobody without it.
    pub auth: Optional<AuthConfig>,
    /// Extensions in the way of requests.
    pub middlewares: Vec<MiddlewareConfig>,
    /// Largest message in MiB, compressed and decompressed; 0 for 4.
    pub max_recv_msg_size_mib: i64,
    /// Requests of one connection at a time; 0 for 1000.
    pub max_concurrent_streams: u32,
    /// Size of read buffers in bytes.
    #[config(no_effect = "reads go into buffers of one HTTP/2 frame")]
    pub read_buffer_size: i64,
    /// Bytes of answers that a stream may have buffered; 0 for the default.
    pub write_buffer_size: i64,
    /// Make request metadata readable in pipelines.
    pub include_metadata: bool,
    /// How long connections live.
    pub keepalive: Optional<ServerKeepaliveConfig>,
}

impl GrpcServerConfig {
    fn check(&self, v: &mut Validator<'_>) {
        check_endpoint(v, &self.endpoint, self.transport);
        if self.max_recv_msg_size_mib < 0 {
            v.error(
                "max_recv_msg_size_mib",
                format!("invalid max_recv_msg_size_mib value, must be non-negative: {}", self.max_recv_msg_size_mib),
            );
        }
        for (key, value) in [("read_buffer_size", self.read_buffer_size), ("write_buffer_size", self.write_buffer_size)]
        {
            if value < 0 {
                v.error(key, format!("invalid {key} value, must be non-negative: {value}"));
            }
        }
    }

    /// Largest message in bytes.
    #[must_use]
    pub fn message_bytes_max(&self) -> usize {
        match usize::try_from(self.max_recv_msg_size_mib) {
            Ok(mib @ 1..) => mib.saturating_mul(1 << 20),
            _ => limits::GRPC_MESSAGE_BYTES_MAX,
        }
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        let auth = self.auth.get().map(|auth| &auth.authenticator);
        extension_refs((Role::ServerAuth, auth), (Role::ServerMiddleware, &self.middlewares))
    }
}

/// Cross-origin requests of browsers.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = CorsConfig::check)]
pub struct CorsConfig {
    /// Origins that may read answers; `*` stands for any characters.
    pub allowed_origins: Vec<String>,
    /// Request headers that scripts may set beside the safe ones; `*` for any.
    pub allowed_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Seconds that a preflight's answer may be kept; 0 leaves it to the browser.
    pub max_age: i64,
}

impl CorsConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.allowed_origins.is_empty() && !self.allowed_headers.is_empty() {
            let message = "`allowed_headers` has no effect without `allowed_origins`";
            v.warning("allowed_headers", config::codes::NO_EFFECT, message);
        }
        if self.max_age < 0 {
            v.error("max_age", format!("`max_age` must not be negative: {}", self.max_age));
        }
    }
}

/// Encodings that a server decompresses unless told otherwise; the empty one is no encoding. The Collector's list is this and
/// `lz4`.
pub const COMPRESSION_ALGORITHMS: [&str; 7] = ["", "gzip", "zstd", "zlib", "snappy", "deflate", "x-snappy-framed"];

/// An HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HttpServerConfig::check)]
pub struct HttpServerConfig {
    /// `host:port` to listen on, or the path of a Unix socket.
    pub endpoint: String,
    /// Kind of socket.
    pub transport: Transport,
    /// Accepted for compatibility.
    pub dialer: DialerConfig,
    /// TLS; plaintext without it.
    pub tls: Optional<ServerTlsConfig>,
    /// Who checks requests; nobody without it.
    pub auth: Optional<HttpAuthConfig>,
    /// Cross-origin requests of browsers; refused without it.
    pub cors: Optional<CorsConfig>,
    /// Extensions in the way of requests.
    pub middlewares: Vec<MiddlewareConfig>,
    /// Largest body in bytes, compressed and decompressed; 0 for 20 MiB.
    pub max_request_body_size: i64,
    /// Make request headers readable in pipelines.
    pub include_metadata: bool,
    /// Headers of every response.
    pub response_headers: Headers,
    /// Encodings of bodies that are decompressed; an empty list decompresses nothing.
    #[config(default = COMPRESSION_ALGORITHMS.map(str::to_owned).to_vec())]
    pub compression_algorithms: Vec<String>,
    /// Time for a whole request to arrive; 0 bounds only the time between two parts of it.
    pub read_timeout: Duration,
    /// Time for the head of a request to arrive; 0 for one minute.
    #[config(default = Duration::from_secs(60))]
    pub read_header_timeout: Duration,
    /// Time to answer a request once its head arrived; 0 for no bound.
    #[config(default = Duration::from_secs(30))]
    pub write_timeout: Duration,
    /// Time a connection may stay without a request; 0 for 30 minutes.
    #[config(default = Duration::from_secs(60))]
    pub idle_timeout: Duration,
    /// Serve more than one request per connection.
    #[config(default = true)]
    pub keep_alives_enabled: bool,
}

impl HttpServerConfig {
    fn check(&self, v: &mut Validator<'_>) {
        check_endpoint(v, &self.endpoint, self.transport);
        for name in &self.compression_algorithms {
            if name == "lz4" {
                v.error("compression_algorithms", "compression `lz4` is not supported");
            } else if !COMPRESSION_ALGORITHMS.contains(&name.as_str()) {
                v.error("compression_algorithms", format!("unsupported compression type: {name:?}"));
            }
        }
        for (name, value) in self.response_headers.iter() {
            if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value.expose()).is_err() {
                v.error("response_headers", format!("`{name}` is not a valid header"));
            }
        }
    }

    /// Largest body in bytes.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        match usize::try_from(self.max_request_body_size) {
            Ok(bytes @ 1..) => bytes,
            _ => limits::HTTP_BODY_BYTES_MAX,
        }
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        let auth = self.auth.get().map(|auth| &auth.authenticator);
        extension_refs((Role::ServerAuth, auth), (Role::ServerMiddleware, &self.middlewares))
    }
}

/// The references of a server or client.
pub(crate) fn extension_refs(
    auth: (Role, Option<&ComponentId>),
    middlewares: (Role, &[MiddlewareConfig]),
) -> Vec<ExtensionRef> {
    let auth = auth.1.map(|id| ExtensionRef { id: id.clone(), role: auth.0 });
    let middleware = |middleware: &MiddlewareConfig| ExtensionRef { id: middleware.id.clone(), role: middlewares.0 };
    auth.into_iter().chain(middlewares.1.iter().map(middleware)).collect()
}

fn check_endpoint(v: &mut Validator<'_>, endpoint: &str, transport: Transport) {
    if transport == Transport::Unix {
        if endpoint.is_empty() {
            v.error("endpoint", "`endpoint` must be the path of a Unix socket");
        }
    } else if let Err(error) = endpoint::HostPort::parse(endpoint) {
        v.error("endpoint", error.to_string());
    }
}
