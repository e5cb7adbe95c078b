//! A gRPC channel for unary calls.
//!
//! Messages are ropes: uncompressed ones are sent from where they are. A call that certainly was not sent (the connection
//! had just closed) is sent again on another connection; everything else is for the caller to retry.

mod balance;
mod reply;
pub(crate) mod target;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use component::{BuildError, ClientAuth, Host, StartError};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::RwLock;
use pdata::Context;

use crate::client::ClientSettings;
use crate::client::config::GrpcClientConfig;
use crate::client::error::{CallError, Phase};
use crate::client::gather::Sources;
use crate::client::headers::{authorize, client_auth, configured, inject};
use crate::client::metrics::ClientMetrics;
use crate::client::rope::{Rope, RopeBody};
use crate::compression::{Algorithm, deflate};
use crate::grpc::{
    ACCEPT_ENCODING, CONTENT_TYPE_GRPC, GRPC_ACCEPT_ENCODING, GRPC_ENCODING, GRPC_TIMEOUT, format_timeout,
};
use crate::tls::ClientTls;

use balance::{Balancer, Dialer, Policy};
use target::Target;

/// Times an unsent call is sent again.
const RESENDS_MAX: usize = 3;
/// HTTP/2 windows for answers, in bytes: answers are small.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// gRPC's least time between pings, and its default for their answer.
const PING_TIME_MIN: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnaryReply {
    /// The message.
    pub message: Bytes,
    /// Bytes sent as the request's message, after compression.
    pub sent_bytes: usize,
}

/// Unary calls to one server, or to the addresses behind one name.
pub struct GrpcChannel {
    settings: ClientSettings,
    config: GrpcClientConfig,
    authority: Authority,
    scheme: Scheme,
    headers: HeaderMap,
    compression: Option<Algorithm>,
    /// Says how traces are passed on; none before the start.
    host: OnceLock<Host>,
    auth: RwLock<Option<Arc<dyn ClientAuth>>>,
    metrics: ClientMetrics,
    /// Buffers of calls under way.
    sources: Arc<Sources>,
    balancer: Arc<Balancer>,
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannel").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// How far a call came, seen from outside when it times out.
#[derive(Debug)]
struct Progress(AtomicU8);

impl Progress {
    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Phase {
        let phases = [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Auth, Phase::Send, Phase::Wait];
        let reached = self.0.load(Ordering::Relaxed);
        phases.into_iter().find(|phase| *phase as u8 == reached).unwrap_or(Phase::Wait)
    }
}

impl GrpcChannel {
    /// Reads certificates. Connects when first called.
    ///
    /// # Errors
    /// Endpoints and certificates that cannot be used.
    pub fn new(config: &GrpcClientConfig, settings: ClientSettings) -> Result<Arc<Self>, BuildError> {
        let target = Target::parse(&config.endpoint).map_err(|error| BuildError::at("endpoint", error))?;
        let tls = if target.forces_tls || !config.tls.is_plaintext() {
            let tls = ClientTls::new(&config.tls, &[b"h2"])
                .map_err(|error| BuildError::at(format!("tls::{}", error.key), error.report()))?;
            Some(tls)
        } else {
            None
        };
        let authority = if config.authority.is_empty() { target.authority() } else { config.authority.clone() };
        let authority = Authority::try_from(authority)
            .map_err(|error| BuildError::at("authority", format!("cannot be used as an authority: {error}")))?;
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        if let Ok(bytes @ 1..) = usize::try_from(config.write_buffer_size) {
            http.max_send_buf_size(bytes.min(u32::MAX as usize));
        }
        if let Some(keepalive) = config.keepalive.get() {
            http.keep_alive_interval(keepalive.time.max(PING_TIME_MIN))
                .keep_alive_timeout(if keepalive.timeout.is_zero() { PING_TIMEOUT } else { keepalive.timeout })
                .keep_alive_while_idle(keepalive.permit_without_stream);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(GRPC_ACCEPT_ENCODING, ACCEPT_ENCODING);
        let agent = if config.user_agent.is_empty() { &settings.user_agent } else { &config.user_agent };
        let agent = HeaderValue::try_from(agent)
            .map_err(|error| BuildError::at("user_agent", format!("cannot be used as a header: {error}")))?;
        headers.insert(USER_AGENT, agent);
        let compression = config.compression.grpc();
        if let Some((name, _)) = compression {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static(name));
        }
        for (name, value) in configured(&config.headers) {
            headers.insert(name, value);
        }
        let sources = Arc::new(Sources::default());
        let scheme = if tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let policy = if config.balancer_name == "pick_first" { Policy::PickFirst } else { Policy::RoundRobin };
        Ok(Arc::new(Self {
            metrics: ClientMetrics::new(&settings.telemetry),
            settings,
            config: config.clone(),
            authority,
            scheme,
            headers,
            compression: compression.map(|(_, algorithm)| algorithm),
            host: OnceLock::new(),
            auth: RwLock::new(None),
            balancer: Balancer::new(Dialer { target, tls, http, sources: Arc::clone(&sources) }, policy),
            sources,
        }))
    }

    /// Finds the authenticator. Does not connect.
    ///
    /// # Errors
    /// Extensions that are not there.
    pub fn start(&self, host: &Host) -> Result<(), StartError> {
        let authenticator = self.config.auth.get().map(|auth| &auth.authenticator);
        *self.auth.write() = client_auth(authenticator, &self.config.middlewares, host, &self.settings.id)?;
        // A client that is started again has the same host.
        let _host = self.host.get_or_init(|| host.clone());
        Ok(())
    }

    /// Calls the method at `path` (`/package.Service/Method`) with the message that the buffers make up.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn unary(
        &self,
        path: &'static str,
        message: &[Bytes],
        context: &Context,
        deadline: Option<Instant>,
    ) -> Result<UnaryReply, CallError> {
        let began = Instant::now();
        let result = self.bounded(path, message, context, deadline, began).await;
        if self.metrics.is_detailed() {
            let code = result.as_ref().map_or_else(|error| error.code().number(), |_| 0);
            self.metrics.rpc(path, code, began.elapsed(), message.iter().map(Bytes::len).sum());
        }
        result
    }

    async fn bounded(
        &self,
        path: &'static str,
        message: &[Bytes],
        context: &Context,
        deadline: Option<Instant>,
        began: Instant,
    ) -> Result<UnaryReply, CallError> {
        let progress = Progress(AtomicU8::new(Phase::Send as u8));
        let call = self.call(path, message, context, deadline, &progress);
        let Some(deadline) = deadline else { return call.await };
        match tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), call).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout { phase: progress.get(), elapsed: began.elapsed() }),
        }
    }

    async fn call(
        &self,
        path: &'static str,
        message: &[Bytes],
        context: &Context,
        deadline: Option<Instant>,
        progress: &Progress,
    ) -> Result<UnaryReply, CallError> {
        let mut headers = self.headers.clone();
        progress.set(Phase::Auth);
        if let Some(host) = self.host.get() {
            inject(context.trace, host.trace_headers(), &mut headers);
        }
        let auth = self.auth.read().clone();
        authorize(auth.as_ref(), context, &mut headers)?;
        progress.set(Phase::Send);
        let packed;
        let (is_compressed, parts) = match self.compression {
            None => (false, message),
            Some(algorithm) => {
                packed = [Bytes::from(deflate(algorithm, None, message).await.map_err(|error| {
                    CallError::transport(Phase::Send, format!("cannot compress the request: {error}"))
                })?)];
                (true, &packed[..])
            }
        };
        let _listed = self.sources.list(parts);
        let rope = Rope::framed(is_compressed, parts);
        let sent_bytes = bytes::Buf::remaining(&rope) - 5;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(PathAndQuery::from_static(path));
        let uri = Uri::from_parts(uri).map_err(|error| CallError::transport(Phase::Send, error.to_string()))?;
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            headers.insert(GRPC_TIMEOUT, format_timeout(left));
        }
        let mut request = Request::new(RopeBody::new(rope));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = self.send(request, progress).await?;
        let message = reply::read(response).await?;
        Ok(UnaryReply { message, sent_bytes })
    }

    async fn send(
        &self,
        mut request: Request<RopeBody>,
        progress: &Progress,
    ) -> Result<http::Response<hyper::body::Incoming>, CallError> {
        let mut resends = 0;
        loop {
            progress.set(Phase::Connect);
            let mut sender = self.balancer.pick(self.config.wait_for_ready).await?;
            progress.set(Phase::Wait);
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if resends < RESENDS_MAX => {
                    resends += 1;
                    request = unsent;
                }
                unsent => {
                    let text = crate::report(failed.error());
                    // REFUSED_STREAM promises that nothing was processed (RFC 9113, section 8.7).
                    let is_unprocessed = unsent.is_some() || text.contains("refused stream");
                    return Err(CallError::Transport {
                        phase: Phase::Wait,
                        message: format!("the call to `{}` failed: {text}", self.authority),
                        hint: None,
                        is_unprocessed,
                    });
                }
            }
        }
    }

    /// Metadata keys that the authenticator reads from contexts.
    #[must_use]
    pub fn metadata_keys(&self) -> Vec<String> {
        self.auth.read().as_ref().map(|auth| auth.metadata_keys()).unwrap_or_default()
    }

    /// Closes every connection. Calls that run fail.
    pub async fn shutdown(&self) {
        self.balancer.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
