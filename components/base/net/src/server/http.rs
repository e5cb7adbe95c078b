//! HTTP/1.1 and HTTP/2 (by ALPN, or in plaintext by its preface) for handlers that take whole bodies.
//!
//! Order for a request: CORS, authentication, route, middlewares, limits, decompression, handler. Response headers from the configuration
//! are on every answer. A refused body is not read, except for a little of it on HTTP/1, so that the client gets to read
//! the answer.

mod cors;
mod receive;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use bytes::Bytes;
use component::{BoxFuture, Deadline, Host, StartError};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pdata::{Charge, Overloaded};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::server::accept::{Running as Accepting, Speaker};
use crate::server::body::BodyReader;
use crate::server::config::HttpServerConfig;
use crate::server::connection::{Activity, Bounds, End, Running, Stop, drive};
use crate::server::entrance::{Entrance, Guards};
use crate::server::metrics::ServerMetrics;
use crate::server::request::{Credentials, authenticate, metadata, run_to_end, trace};
use crate::server::sniff::Protocol;
use crate::server::stream::Stream;
use crate::server::{RequestInfo, ServerSettings, limits};

use cors::Cors;
use receive::Encodings;
pub(crate) use receive::form_decode;

/// An answer: small, and made at once.
pub type HttpResponse = Response<Bytes>;

/// Read buffer of an HTTP/1 connection, at most, in bytes.
const READ_BUFFER_BYTES_MAX: usize = 128 << 10;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers, names in lower case.
    pub headers: HeaderMap,
    /// `Content-Length`, if known.
    pub content_length: Option<u64>,
}

impl RequestHead {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The content type without parameters; empty if there is none. Compare without regard to case.
    #[must_use]
    pub fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }
}

/// How a request is to be treated, from its head.
#[derive(Debug)]
pub enum Route {
    /// Answer now, without reading a body.
    Answer(HttpResponse),
    /// Read the body, then call with this key.
    Body {
        /// Tells the handler what it decided; also bounds the label values of the server's metrics.
        key: usize,
    },
}

/// Why a request does not reach its handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No memory for it now: 503 or 429.
    Overloaded(Overloaded),
    /// The body is larger than the limit, as sent or decompressed: 413.
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The content encoding is unknown or switched off: 400.
    UnsupportedEncoding(String),
    /// The body is not in its content encoding: 400.
    Decompress(String),
    /// The body broke off or was too slow: 400.
    BodyRead(String),
    /// The authenticator refused: 401.
    Unauthenticated(String),
}

impl Refusal {
    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding(_) | Self::Decompress(_) | Self::BodyRead(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overloaded(overloaded) => overloaded.fmt(f),
            Self::TooLarge { limit } => write!(f, "request body is larger than the limit of {limit} bytes"),
            Self::UnsupportedEncoding(name) => write!(f, "unsupported Content-Encoding: {name}"),
            Self::Decompress(why) | Self::BodyRead(why) | Self::Unauthenticated(why) => f.write_str(why),
        }
    }
}

/// Serves the paths of one listener.
pub trait HttpHandler: Send + Sync + 'static {
    /// Decides before the body is read.
    fn route(&self, head: &RequestHead) -> Route;

    /// Asked before the body is read; `bytes` is its `Content-Length`, or 0 when unknown (the charge grows as it arrives).
    ///
    /// # Errors
    /// [`Overloaded`] when there is no memory for it now.
    fn admit(&self, key: usize, bytes: usize) -> Result<Charge, Overloaded>;

    /// The answer to a request that does not reach [`HttpHandler::call`], in the protocol's own form.
    fn refuse(&self, key: usize, head: &RequestHead, refusal: Refusal) -> HttpResponse;

    /// The whole decompressed body and its charge. Runs to its end even if the client goes away.
    fn call(
        &self,
        key: usize,
        head: RequestHead,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse>;
}

/// A text answer.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    let mut response = Response::new(Bytes::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The refusal of a request without a body by a middleware.
fn busy(overloaded: &Overloaded) -> HttpResponse {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("{overloaded}\n"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(overloaded.retry_after.as_secs().max(1)));
    response
}

/// A running HTTP server. Dropping it cuts its connections.
#[derive(Debug)]
pub struct HttpServer(Accepting);

impl HttpServer {
    /// Reads certificates, listens, and serves.
    ///
    /// # Errors
    /// Addresses that cannot be listened on, certificates that cannot be used, extensions that are not there.
    pub async fn start(
        config: &HttpServerConfig,
        host: &Host,
        settings: ServerSettings,
        handler: Arc<dyn HttpHandler>,
    ) -> Result<Self, StartError> {
        let entrance = Entrance {
            endpoint: &config.endpoint,
            transport: config.transport,
            tls: &config.tls,
            authenticator: config.auth.get().map(|auth| &auth.authenticator),
            middlewares: &config.middlewares,
            alpn: &[b"h2", b"http/1.1"],
            name: "http",
        };
        let service = |guards, metrics| Service::new(config, host, handler, guards, metrics);
        entrance.open(host, &settings, service).await.map(Self)
    }

    /// The address it listens on; `None` for Unix sockets.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }

    /// Stops accepting, lets running requests finish until the deadline, then closes.
    pub async fn shutdown(&self, deadline: Deadline) {
        self.0.shutdown(deadline).await;
    }
}

/// What the connections of one server share.
struct Service {
    host: Host,
    handler: Arc<dyn HttpHandler>,
    guards: Guards,
    auth_params: Vec<String>,
    metrics: Arc<ServerMetrics>,
    body_bytes_max: usize,
    include_metadata: bool,
    encodings: Encodings,
    cors: Option<Cors>,
    response_headers: Vec<(HeaderName, HeaderValue)>,
    read_timeout: Duration,
    write_timeout: Duration,
    bounds: Bounds,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Service {
    fn new(
        config: &HttpServerConfig,
        host: &Host,
        handler: Arc<dyn HttpHandler>,
        guards: Guards,
        metrics: Arc<ServerMetrics>,
    ) -> Self {
        let or = |configured: Duration, default| if configured.is_zero() { default } else { configured };
        let mut http1 = http1::Builder::new();
        // The driver bounds heads and idle time; hyper's own timer cannot tell the two apart.
        http1
            .keep_alive(config.keep_alives_enabled)
            .max_buf_size(READ_BUFFER_BYTES_MAX)
            .timer(TokioTimer::new())
            .header_read_timeout(None);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX)
            .max_header_list_size(limits::HEADER_BYTES_MAX)
            .max_concurrent_streams(limits::STREAMS_MAX)
            .keep_alive_interval(limits::KEEPALIVE_TIME)
            .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT);
        let header = |(name, value): (&str, &config::Secret)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.expose()).ok()?))
        };
        Self {
            host: host.clone(),
            handler,
            guards,
            auth_params: config.auth.get().map(|auth| auth.request_params.clone()).unwrap_or_default(),
            metrics,
            body_bytes_max: config.body_bytes_max(),
            include_metadata: config.include_metadata,
            encodings: Encodings::new(&config.compression_algorithms),
            cors: config.cors.get().and_then(Cors::new),
            // Validation has refused those that are not headers.
            response_headers: config.response_headers.iter().filter_map(header).collect(),
            read_timeout: or(config.read_timeout, limits::BODY_TIMEOUT),
            write_timeout: config.write_timeout,
            bounds: Bounds {
                idle: or(config.idle_timeout, limits::IDLE_TIMEOUT),
                head: or(config.read_header_timeout, limits::HEADER_TIMEOUT),
                age: None,
                grace: limits::GRACE,
            },
            http1,
            http2,
        }
    }

    /// The answer without the headers that are on every one. The body is taken only where it is read.
    async fn answer(
        &self,
        head: RequestHead,
        body: &mut Option<Incoming>,
        peer: Option<SocketAddr>,
        stop: &watch::Receiver<Stop>,
        measured: &mut Measured,
    ) -> HttpResponse {
        let credentials = Credentials { headers: &head.headers, params: self.params(&head.uri) };
        let auth = match authenticate(self.guards.auth.as_ref(), &credentials).await {
            Ok(auth) => auth,
            Err(error) => {
                let refusal = Refusal::Unauthenticated(error.to_string());
                return match self.handler.route(&head) {
                    Route::Body { key } => self.handler.refuse(key, &head, refusal),
                    Route::Answer(_) => text(StatusCode::UNAUTHORIZED, format!("{refusal}\n")),
                };
            }
        };
        let key = match self.handler.route(&head) {
            Route::Answer(response) => {
                return self.guards.middlewares.check(0).map_or_else(|overloaded| busy(&overloaded), |()| response);
            }
            Route::Body { key } => key,
        };
        measured.route = Some((key, head.path().to_owned()));
        let reader = |body: Incoming| {
            BodyReader::new(body, limits::BODY_STALL_TIMEOUT.min(self.read_timeout), Instant::now() + self.read_timeout)
        };
        let admit = |bytes| self.guards.middlewares.admit(bytes, |bytes| self.handler.admit(key, bytes));
        let received =
            receive::receive(&self.encodings, &head, || body.take().map(reader), self.body_bytes_max, admit).await;
        let (bytes, charge) = match received {
            Ok(received) => received,
            Err(refusal) => return self.handler.refuse(key, &head, refusal),
        };
        measured.bytes = bytes.len();
        let request = RequestInfo {
            peer,
            metadata: if self.include_metadata {
                let host = head.uri.authority().map(http::uri::Authority::as_str);
                metadata(&head.headers, HOST.as_str(), host)
            } else {
                pdata::Metadata::default()
            },
            auth,
            trace: trace(&head.headers, self.host.trace_headers()),
            deadline: None,
        };
        let work = run_to_end(self.handler.call(key, head, bytes, charge, request), stop);
        let done = if self.write_timeout.is_zero() {
            work.await
        } else {
            match tokio::time::timeout(self.write_timeout, work).await {
                Ok(done) => done,
                Err(_) => {
                    return text(StatusCode::SERVICE_UNAVAILABLE, "the answer took longer than `write_timeout`\n");
                }
            }
        };
        done.unwrap_or_else(|| {
            let is_cut = *stop.borrow() == Stop::Cut;
            let status = if is_cut { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
            text(status, if is_cut { "the server is shutting down\n" } else { "the request's handler failed\n" })
        })
    }

    /// The query parameters that authenticators may see.
    fn params(&self, uri: &Uri) -> Vec<(String, String)> {
        if self.auth_params.is_empty() {
            return Vec::new();
        }
        let pairs = uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .map(|(name, value)| (form_decode(name), form_decode(value)))
            .filter(|(name, _)| self.auth_params.iter().any(|wanted| wanted == name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect()
    }
}

#[derive(Default)]
struct Measured {
    route: Option<(usize, String)>,
    bytes: usize,
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
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<HttpBody>, Infallible> {
        let started = self.service.metrics.is_detailed().then(StdInstant::now);
        let (head, body) = request.into_parts();
        let version = head.version;
        let content_length = head
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .or_else(|| body.is_end_stream().then_some(0));
        let origin = self.service.cors.as_ref().and_then(|_| head.headers.get(http::header::ORIGIN).cloned());
        let head = RequestHead { method: head.method, uri: head.uri, headers: head.headers, content_length };
        let mut body = Some(body);
        let mut measured = Measured::default();
        let preflight = self.service.cors.as_ref().and_then(|cors| cors.preflight(&head));
        let mut response = match preflight {
            Some(response) => response,
            None => {
                let answer = self.service.answer(head, &mut body, self.peer, &self.stop, &mut measured);
                let mut response = answer.await;
                if let Some(cors) = &self.service.cors {
                    cors.actual(origin.as_ref(), response.headers_mut());
                }
                response
            }
        };
        for (name, value) in &self.service.response_headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        if let Some(unread) = body
            && !unread.is_end_stream()
            && version < Version::HTTP_2
        {
            receive::discard(unread);
        }
        if let (Some(started), Some((key, path))) = (started, measured.route) {
            self.service.metrics.http(key, &path, response.status().as_u16(), started.elapsed(), measured.bytes);
        }
        self.running.answering();
        Ok(response.map(|data| HttpBody { data: Some(data).filter(|data| !data.is_empty()), _running: self.running }))
    }
}

/// The body of an answer. The request runs until it is sent.
#[derive(Debug)]
struct HttpBody {
    data: Option<Bytes>,
    _running: Running,
}

impl Body for HttpBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX)))
    }
}

impl Speaker for Service {
    fn grpc_only(&self) -> bool {
        false
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn serve(
        self: Arc<Self>,
        mut stream: Stream,
        protocol: Protocol,
        peer: Option<SocketAddr>,
        mut stop: watch::Receiver<Stop>,
    ) -> BoxFuture<'static, End> {
        Box::pin(async move {
            let is_http1 = protocol == Protocol::Http1;
            let activity = Activity::new(is_http1);
            if is_http1 {
                stream.watch(Arc::clone(&activity));
            }
            let (http1, http2, bounds) = (self.http1.clone(), self.http2.clone(), self.bounds);
            let service = service_fn({
                let (activity, stop) = (Arc::clone(&activity), stop.clone());
                move |request| {
                    let call = Call { service: Arc::clone(&self), running: activity.begin(), peer, stop: stop.clone() };
                    call.answer(request)
                }
            });
            let io = TokioIo::new(stream);
            if is_http1 {
                drive(http1.serve_connection(io, service), bounds, &activity, &mut stop).await
            } else {
                drive(http2.serve_connection(io, service), bounds, &activity, &mut stop).await
            }
        })
    }
}

#[cfg(test)]
mod tests;
