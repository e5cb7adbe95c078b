//! Unary gRPC on hyper's HTTP/2: raw bytes in and out; and methods that answer one request with a stream of messages.
//!
//! A message's length prefix tells its size, so it is admitted before its body is read, and read into one buffer of that
//! size. Refusals are answered without reading the rest. A handler's work runs to its end, whatever the client does.
//! Sources: gRPC over HTTP/2 (`PROTOCOL-HTTP2.md`), compression (`compression.md`); texts as in grpc-go.

mod answer;
mod message;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as StdInstant};

use bytes::Bytes;
use component::{BoxFuture, Code, Deadline, Host, StartError};
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pdata::{Charge, Overloaded};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::grpc::{parse_timeout, request_encoding};
use crate::server::accept::{Running as Accepting, Speaker};
use crate::server::body::BodyReader;
use crate::server::config::{GrpcServerConfig, KeepaliveParametersConfig};
use crate::server::connection::{Activity, Bounds, End, Running, Stop, drive};
use crate::server::entrance::{Entrance, Guards};
use crate::server::metrics::ServerMetrics;
use crate::server::request::{Credentials, authenticate, metadata, run_to_end, trace};
use crate::server::sniff::Protocol;
use crate::server::stream::Stream;
use crate::server::{RequestInfo, ServerSettings, limits};

use answer::GrpcBody;

/// Serves the methods of one listener.
pub trait UnaryHandler: Send + Sync + 'static {
    /// Index of the method served at `path`; `None` is answered with `UNIMPLEMENTED`.
    fn method(&self, path: &str) -> Option<usize>;

    /// Asked before the body is read, with its length from the gRPC prefix: the compressed size where it is compressed, the
    /// charge grows with inflation.
    ///
    /// # Errors
    /// [`Overloaded`] when there is no memory for it now.
    fn admit(&self, method: usize, bytes: usize) -> Result<Charge, Overloaded>;

    /// The status for a request that was not admitted.
    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus;

    /// Told of a request that is answered without a [`UnaryHandler::call`] because of what it is, for counting.
    fn invalid(&self, reason: Invalid) {
        let _ = reason;
    }

    /// The whole decompressed message in a buffer of its size, and its charge. Runs to its end even if the client goes away.
    fn call(
        &self,
        method: usize,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, Result<Bytes, GrpcStatus>>;

    /// The answer of a method that streams; `None` (the default) for those that [`UnaryHandler::call`] answers. The stream
    /// ends with the sender, or with a status. It must end by itself when the server is about to be shut down, and when the
    /// receiver is gone.
    fn stream(&self, method: usize, body: &[u8]) -> Option<Result<Messages, GrpcStatus>> {
        let _ = (method, body);
        None
    }
}

/// Messages of a streaming method, and the status that ends it unless it is `OK`.
pub type Messages = mpsc::Receiver<Result<Bytes, GrpcStatus>>;

enum Answer {
    Message(Bytes),
    Stream(Messages),
}

/// What is wrong with a request that is answered below its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is not a POST request.
    HttpMethod,
    /// Its content type is not gRPC's.
    ContentType,
    /// Nothing is served at its path.
    Path,
    /// Its encoding is not read here.
    Encoding,
    /// It was not let in.
    Unauthenticated,
    /// It exceeds the limit, compressed or not.
    TooLarge,
    /// It has no whole message, or more than one, or does not decompress.
    Message,
}

/// Why a call failed, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStatus {
    /// Status code.
    pub code: Code,
    /// For people.
    pub message: String,
    /// A serialized `google.rpc.Status` for `grpc-status-details-bin`; may be empty.
    pub details: Bytes,
}

impl GrpcStatus {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Bytes::new() }
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// A running gRPC server. Dropping it cuts its connections.
#[derive(Debug)]
pub struct GrpcServer(Accepting);

impl GrpcServer {
    /// Reads certificates, listens, and serves.
    ///
    /// # Errors
    /// Addresses that cannot be listened on, certificates that cannot be used, extensions that are not there.
    pub async fn start(
        config: &GrpcServerConfig,
        host: &Host,
        settings: ServerSettings,
        handler: Arc<dyn UnaryHandler>,
    ) -> Result<Self, StartError> {
        let entrance = Entrance {
            endpoint: &config.endpoint,
            transport: config.transport,
            tls: &config.tls,
            authenticator: config.auth.get().map(|auth| &auth.authenticator),
            middlewares: &config.middlewares,
            alpn: &[b"h2"],
            name: "grpc",
        };
        let service = |guards, metrics| Service::new(config, host, handler, guards, metrics);
        entrance.open(host, &settings, service).await.map(Self)
    }

    /// The address it listens on; `None` for Unix sockets.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }

    /// Stops accepting, sends GOAWAY, lets running calls finish until the deadline, then closes.
    pub async fn shutdown(&self, deadline: Deadline) {
        self.0.shutdown(deadline).await;
    }
}

/// What the connections of one server share.
struct Service {
    host: Host,
    handler: Arc<dyn UnaryHandler>,
    guards: Guards,
    metrics: Arc<ServerMetrics>,
    message_bytes_max: usize,
    include_metadata: bool,
    bounds: Bounds,
    http: http2::Builder<TokioExecutor>,
}

impl Service {
    fn new(
        config: &GrpcServerConfig,
        host: &Host,
        handler: Arc<dyn UnaryHandler>,
        guards: Guards,
        metrics: Arc<ServerMetrics>,
    ) -> Self {
        let default = KeepaliveParametersConfig::default();
        let keepalive = config.keepalive.get().and_then(|keepalive| keepalive.server_parameters.get());
        let keepalive = keepalive.unwrap_or(&default);
        let or = |configured: Duration, default| if configured.is_zero() { default } else { configured };
        let mut http = http2::Builder::new(TokioExecutor::new());
        let streams =
            if config.max_concurrent_streams == 0 { limits::STREAMS_MAX } else { config.max_concurrent_streams };
        http.timer(TokioTimer::new())
            .auto_date_header(false)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX)
            .max_header_list_size(limits::HEADER_BYTES_MAX)
            .max_concurrent_streams(streams)
            .keep_alive_interval(or(keepalive.time, limits::KEEPALIVE_TIME))
            .keep_alive_timeout(or(keepalive.timeout, limits::KEEPALIVE_TIMEOUT));
        if let Ok(bytes @ 1..) = usize::try_from(config.write_buffer_size) {
            http.max_send_buf_size(bytes.min(u32::MAX as usize));
        }
        let age = keepalive.max_connection_age;
        Self {
            host: host.clone(),
            handler,
            guards,
            metrics,
            message_bytes_max: config.message_bytes_max(),
            include_metadata: config.include_metadata,
            bounds: Bounds {
                idle: or(keepalive.max_connection_idle, limits::IDLE_TIMEOUT),
                head: limits::HEADER_TIMEOUT,
                age: (!age.is_zero()).then(|| jittered(age)),
                grace: or(keepalive.max_connection_age_grace, limits::GRACE),
            },
            http,
        }
    }
}

/// Spreads reconnects over ±10 %, as gRPC does, so that clients do not come back all at once.
fn jittered(age: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(age) % 2000;
    age.mul_f64(0.9 + random as f64 / 10_000.0)
}

impl Speaker for Service {
    fn grpc_only(&self) -> bool {
        true
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn serve(
        self: Arc<Self>,
        stream: Stream,
        _: Protocol,
        peer: Option<SocketAddr>,
        mut stop: watch::Receiver<Stop>,
    ) -> BoxFuture<'static, End> {
        Box::pin(async move {
            let activity = Activity::new(false);
            let bounds = self.bounds;
            let http = self.http.clone();
            let service = service_fn({
                let (activity, stop) = (Arc::clone(&activity), stop.clone());
                move |request| {
                    let call = Call { service: Arc::clone(&self), running: activity.begin(), peer, stop: stop.clone() };
                    call.answer(request)
                }
            });
            drive(http.serve_connection(TokioIo::new(stream), service), bounds, &activity, &mut stop).await
        })
    }
}

/// One request.
struct Call {
    service: Arc<Service>,
    running: Running,
    peer: Option<SocketAddr>,
    stop: watch::Receiver<Stop>,
}

impl Call {
    /// Answers always; errors are statuses.
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<GrpcBody>, std::convert::Infallible> {
        let started = self.service.metrics.is_detailed().then(StdInstant::now);
        let (head, body) = request.into_parts();
        let handler = Arc::clone(&self.service.handler);
        if head.method != Method::POST {
            handler.invalid(Invalid::HttpMethod);
            return Ok(answer::http_error(405, "gRPC requests are POST requests"));
        }
        if !is_grpc(&head.headers) {
            handler.invalid(Invalid::ContentType);
            return Ok(answer::http_error(415, "this port speaks gRPC: the content type must be application/grpc"));
        }
        let path = head.uri.path();
        let Some(method) = handler.method(path) else {
            handler.invalid(Invalid::Path);
            return Ok(answer::status(&answer::unknown(path)));
        };
        let mut request_bytes = 0;
        let result = self.run(method, &head, body, &mut request_bytes).await;
        if !matches!(result, Ok(Answer::Stream(_))) {
            // A stream may be quiet for as long as it likes.
            self.running.answering();
        }
        if let Some(started) = started {
            let code = result.as_ref().map_or_else(|status| status.code.number(), |_| 0);
            self.service.metrics.rpc(method, path, code, started.elapsed(), request_bytes);
        }
        Ok(match result {
            Ok(Answer::Message(message)) => answer::message(&message, self.running),
            Ok(Answer::Stream(messages)) => answer::stream(messages, self.running),
            Err(status) => answer::status(&status),
        })
    }

    async fn run(
        &self,
        method: usize,
        head: &http::request::Parts,
        body: Incoming,
        request_bytes: &mut usize,
    ) -> Result<Answer, GrpcStatus> {
        let handler = &self.service.handler;
        let invalid = |reason| {
            move |status: GrpcStatus| {
                handler.invalid(reason);
                status
            }
        };
        let encoding = request_encoding(&head.headers).map_err(invalid(Invalid::Encoding))?;
        let timeout = parse_timeout(&head.headers).map_err(invalid(Invalid::Message))?;
        let credentials = Credentials { headers: &head.headers, params: Vec::new() };
        let auth = authenticate(self.service.guards.auth.as_ref(), &credentials)
            .await
            .map_err(|error| GrpcStatus::new(Code::Unauthenticated, error.to_string()))
            .map_err(invalid(Invalid::Unauthenticated))?;
        let bound = timeout.map_or(limits::BODY_TIMEOUT, |timeout| timeout.min(limits::BODY_TIMEOUT));
        let reader = BodyReader::new(body, limits::BODY_STALL_TIMEOUT, Instant::now() + bound);
        let is_overload = AtomicBool::new(false);
        let received = message::receive(
            reader,
            encoding,
            self.service.message_bytes_max,
            |bytes| self.service.guards.middlewares.admit(bytes, |bytes| handler.admit(method, bytes)),
            |overloaded| {
                is_overload.store(true, Ordering::Relaxed);
                handler.refuse(overloaded)
            },
        );
        let (body, charge) = received.await.inspect_err(|status| match status.code {
            _ if is_overload.load(Ordering::Relaxed) => {}
            Code::ResourceExhausted => handler.invalid(Invalid::TooLarge),
            _ => handler.invalid(Invalid::Message),
        })?;
        *request_bytes = body.len();
        if let Some(messages) = handler.stream(method, &body) {
            return messages.map(Answer::Stream);
        }
        let request = RequestInfo {
            peer: self.peer,
            metadata: if self.service.include_metadata {
                metadata(&head.headers, ":authority", head.uri.authority().map(http::uri::Authority::as_str))
            } else {
                pdata::Metadata::default()
            },
            auth,
            trace: trace(&head.headers, self.service.host.trace_headers()),
            deadline: timeout.and_then(|timeout| StdInstant::now().checked_add(timeout)),
        };
        let work = handler.call(method, body, charge, request);
        match run_to_end(work, &self.stop).await {
            Some(result) => result.map(Answer::Message),
            None if *self.stop.borrow() == Stop::Cut => {
                Err(GrpcStatus::new(Code::Unavailable, "the server is shutting down"))
            }
            None => Err(GrpcStatus::new(Code::Internal, "the request's handler failed")),
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return false };
    let kind = value.as_bytes();
    let Some((prefix, rest)) = kind.split_at_checked("application/grpc".len()) else { return false };
    prefix.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';'))
}

#[cfg(test)]
mod tests;
