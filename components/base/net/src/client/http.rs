//! An HTTP client with a pool: HTTP/1.1, and HTTP/2 where TLS negotiates it; through a proxy where one is configured.
//!
//! Bodies are ropes, sent from where they are unless compressed. An answer is read up to 64 KiB. A request that certainly
//! was not sent (an idle connection had just closed) is sent again on another connection.

mod pool;
pub(crate) mod proxy;
pub(crate) mod url;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use component::{BuildError, ClientAuth, Host, StartError};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use parking_lot::RwLock;
use pdata::Context;

use crate::client::ClientSettings;
use crate::client::config::{Compression, HttpClientConfig};
use crate::client::error::{CallError, Phase};
use crate::client::headers::{authorize, client_auth, configured, inject};
use crate::client::metrics::ClientMetrics;
use crate::client::rope::{Rope, RopeBody};
use crate::compression::{Algorithm, deflate};
use crate::tls::ClientTls;

use pool::Pool;
use proxy::Proxies;
use url::Url;

/// Bytes of an answer that are read.
pub const REPLY_BYTES_MAX: usize = 64 << 10;
/// Times an unsent request is sent again.
const RESENDS_MAX: usize = 3;

/// A server's answer.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, up to [`REPLY_BYTES_MAX`].
    pub body: Bytes,
    /// Whether there was more of it.
    pub truncated: bool,
    /// Bytes sent as the request's body, after compression.
    pub sent_bytes: usize,
}

/// Requests to any server, by URL.
pub struct HttpClient {
    settings: ClientSettings,
    config: HttpClientConfig,
    /// Replace others of the same name.
    headers: Vec<(HeaderName, HeaderValue)>,
    agent: HeaderValue,
    compression: Option<(HeaderValue, Algorithm, Option<i32>)>,
    proxies: Proxies,
    /// Says how traces are passed on; none before the start.
    host: OnceLock<Host>,
    auth: RwLock<Option<Arc<dyn ClientAuth>>>,
    metrics: ClientMetrics,
    pool: Arc<Pool>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("id", &self.settings.id).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Reads certificates and the environment's proxies. Connects when first used.
    ///
    /// # Errors
    /// Proxies and certificates that cannot be used.
    pub fn new(config: &HttpClientConfig, settings: ClientSettings) -> Result<Arc<Self>, BuildError> {
        let alpn: &[&[u8]] = if config.force_attempt_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let tls = ClientTls::new(&config.tls, alpn)
            .map_err(|error| BuildError::at(format!("tls::{}", error.key), error.report()))?;
        let proxies = Proxies::new(&config.proxy_url, |name| std::env::var(name).ok())
            .map_err(|error| BuildError::at("proxy_url", error))?;
        let agent = HeaderValue::try_from(&settings.user_agent)
            .map_err(|error| BuildError::new(format!("user agent cannot be used as a header: {error}")))?;
        let level = match (config.compression, config.compression_params.level) {
            (_, 0) => None,
            // Go's names for Huffman only and for the default.
            (Compression::Gzip | Compression::Zlib | Compression::Deflate, -2) => Some(1),
            (_, level) => Some(level),
        };
        let compression =
            config.compression.http().map(|(name, algorithm)| (HeaderValue::from_static(name), algorithm, level));
        Ok(Arc::new(Self {
            headers: configured(&config.headers),
            agent,
            compression,
            proxies,
            host: OnceLock::new(),
            auth: RwLock::new(None),
            pool: Pool::new(config, tls),
            metrics: ClientMetrics::new(&settings.telemetry),
            settings,
            config: config.clone(),
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

    /// Posts the body that the buffers make up. The configured `timeout` holds too.
    ///
    /// # Errors
    /// [`CallError`]; answers of any status are no errors.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: &[Bytes],
        context: &Context,
        deadline: Option<Instant>,
    ) -> Result<HttpReply, CallError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        self.request(Method::POST, url, headers, body, context, deadline).await
    }

    /// Sends a request with these headers. The configured ones, compression and credentials are added.
    ///
    /// # Errors
    /// [`CallError`]; answers of any status are no errors.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: &[Bytes],
        context: &Context,
        deadline: Option<Instant>,
    ) -> Result<HttpReply, CallError> {
        let url = Url::parse(url).map_err(|error| CallError::transport(Phase::Resolve, error))?;
        let began = Instant::now();
        let own = (!self.config.timeout.is_zero()).then(|| began.checked_add(self.config.timeout)).flatten();
        let deadline = deadline.into_iter().chain(own).min();
        let reached = pool::Reached::default();
        let measured = self.metrics.is_detailed().then(|| method.clone());
        let call = self.call(method, &url, headers, body, context, &reached);
        let result = match deadline {
            None => call.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), call).await {
                Ok(result) => result,
                Err(_) => Err(CallError::Timeout { phase: reached.get(), elapsed: began.elapsed() }),
            },
        };
        if let Some(method) = measured {
            self.metrics.http(&method, &url, result.as_ref(), began.elapsed(), body.iter().map(Bytes::len).sum());
        }
        result
    }

    async fn call(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: &[Bytes],
        context: &Context,
        reached: &pool::Reached,
    ) -> Result<HttpReply, CallError> {
        headers.entry(USER_AGENT).or_insert_with(|| self.agent.clone());
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        reached.set(Phase::Auth);
        if let Some(host) = self.host.get() {
            inject(context.trace, host.trace_headers(), &mut headers);
        }
        let auth = self.auth.read().clone();
        authorize(auth.as_ref(), context, &mut headers)?;
        reached.set(Phase::Send);
        let rope = match &self.compression {
            Some((name, algorithm, level)) if body.iter().any(|part| !part.is_empty()) => {
                let packed = deflate(*algorithm, *level, body).await.map_err(|error| {
                    CallError::transport(Phase::Send, format!("cannot compress the request: {error}"))
                })?;
                headers.insert(CONTENT_ENCODING, name.clone());
                Rope::new(&[Bytes::from(packed)])
            }
            _ => Rope::new(body),
        };
        let sent_bytes = bytes::Buf::remaining(&rope);
        let mut request = Request::new(RopeBody::new(rope));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let (response, lease) = self.send(request, url, reached).await?;
        let (head, body) = response.into_parts();
        let (body, truncated) = read(body, url).await?;
        lease.done(!truncated);
        Ok(HttpReply { status: head.status.as_u16(), headers: head.headers, body, truncated, sent_bytes })
    }

    async fn send(
        &self,
        mut request: Request<RopeBody>,
        url: &Url,
        reached: &pool::Reached,
    ) -> Result<(http::Response<Incoming>, pool::Lease), CallError> {
        let proxy = self.proxies.of(url);
        let mut resends = 0;
        loop {
            let mut lease = self.pool.lease(url, proxy, reached).await?;
            self.address(&mut request, url, &lease)?;
            reached.set(Phase::Wait);
            let mut failed = match lease.send(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if resends < RESENDS_MAX => {
                    resends += 1;
                    request = unsent;
                }
                unsent => {
                    let text = crate::report(failed.error());
                    let is_unprocessed = unsent.is_some() || text.contains("refused stream");
                    return Err(CallError::Transport {
                        phase: Phase::Wait,
                        message: format!("the request to `{}` failed: {text}", url.authority()),
                        hint: hint(failed.error(), url),
                        is_unprocessed,
                    });
                }
            }
        }
    }

    /// Says in the request where it goes, in the form that the connection needs.
    fn address(&self, request: &mut Request<RopeBody>, url: &Url, lease: &pool::Lease) -> Result<(), CallError> {
        let failed = |error: http::Error| CallError::transport(Phase::Send, error.to_string());
        let builder = Uri::builder();
        let uri = if lease.is_h2() || lease.is_plain_proxy() {
            builder.scheme(url.scheme()).authority(url.authority()).path_and_query(url.path_and_query()).build()
        } else {
            builder.path_and_query(url.path_and_query()).build()
        };
        *request.uri_mut() = uri.map_err(failed)?;
        if lease.is_h2() {
            request.headers_mut().remove(HOST);
        } else if !request.headers().contains_key(HOST) {
            let host = HeaderValue::try_from(url.authority()).map_err(|error| failed(error.into()))?;
            request.headers_mut().insert(HOST, host);
        }
        if let Some(credentials) = lease.proxy_credentials() {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, credentials.clone());
        }
        if self.config.disable_keep_alives && !lease.is_h2() {
            request.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(())
    }

    /// Metadata keys that the authenticator reads from contexts.
    #[must_use]
    pub fn metadata_keys(&self) -> Vec<String> {
        self.auth.read().as_ref().map(|auth| auth.metadata_keys()).unwrap_or_default()
    }

    /// Closes every connection. Requests that run fail.
    pub async fn shutdown(&self) {
        self.pool.shutdown().await;
    }
}

/// What to do about an answer that is not HTTP.
fn hint(error: &hyper::Error, url: &Url) -> Option<String> {
    let is_foreign = error.is_parse() || error.is_incomplete_message();
    (is_foreign && url.scheme() == "http").then(|| {
        "the server does not answer in HTTP/1 here: perhaps the port speaks TLS (use `https://`) or gRPC".to_owned()
    })
}

/// The body, as far as it is wanted.
async fn read(mut body: Incoming, url: &Url) -> Result<(Bytes, bool), CallError> {
    let mut data = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let text = format!("the answer of `{}` broke off: {}", url.authority(), crate::report(&error));
            CallError::transport(Phase::Wait, text)
        })?;
        if let Ok(part) = frame.into_data() {
            let room = REPLY_BYTES_MAX - data.len();
            data.extend_from_slice(part.get(..room).unwrap_or(&part));
            if part.len() > room {
                return Ok((data.freeze(), true));
            }
        }
    }
    Ok((data.freeze(), false))
}

/// The duration, or `None` for 0.
fn bound(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests;
