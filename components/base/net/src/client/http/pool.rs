//! Connections of the HTTP client: leased for a request, kept for a while, bounded in number.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::lookup_host;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::client::config::HttpClientConfig;
use crate::client::connect::{Address, ClientStream, dial, secure};
use crate::client::error::{CallError, ConnectError, Phase};
use crate::client::http::bound;
use crate::client::http::proxy::Proxy;
use crate::client::http::url::Url;
use crate::client::rope::RopeBody;
use crate::endpoint::HostPort;
use crate::socket::Socket;
use crate::tls::ClientTls;

/// Idle connections per host where the setting is 0, as in Go.
const IDLE_PER_HOST: usize = 2;
/// Largest answer of a proxy to CONNECT, in bytes.
const CONNECT_ANSWER_BYTES_MAX: usize = 8 << 10;
/// Read buffer of a connection in bytes, unless configured: answers are small.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Least read buffer that hyper takes.
const READ_BUFFER_BYTES_MIN: usize = 8 << 10;
/// Answer to a ping, Go's default.
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How far a request came, seen from outside when it times out.
#[derive(Debug, Default)]
pub(super) struct Reached(AtomicU8);

impl Reached {
    pub(super) fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Phase {
        let phases = [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Auth, Phase::Send, Phase::Wait];
        let reached = self.0.load(Ordering::Relaxed);
        phases.into_iter().find(|phase| *phase as u8 == reached).unwrap_or(Phase::Wait)
    }
}

/// Server and proxy.
type Key = (bool, HostPort, Option<HostPort>);

/// All connections of a client.
#[derive(Debug)]
pub(super) struct Pool {
    tls: ClientTls,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    idle_max: usize,
    idle_per_host_max: usize,
    per_host_max: Option<usize>,
    idle_timeout: Option<Duration>,
    keeps: bool,
    hosts: Mutex<HashMap<Key, HostPool>>,
    reaping: AtomicBool,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct HostPool {
    idle: Vec<(http1::SendRequest<RopeBody>, Option<OwnedSemaphorePermit>, Instant)>,
    /// The shared connection, its permit, and when it was last asked for.
    h2: Option<(http2::SendRequest<RopeBody>, Option<OwnedSemaphorePermit>, Instant)>,
    connections: Option<Arc<Semaphore>>,
    /// Lets one request open an HTTP/2 connection while others wait for it.
    opening: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<RopeBody>),
    Http2(http2::SendRequest<RopeBody>),
}

/// A connection on loan for one request.
#[derive(Debug)]
pub(super) struct Lease {
    sender: Sender,
    pool: Arc<Pool>,
    key: Key,
    permit: Option<OwnedSemaphorePermit>,
    proxy_credentials: Option<HeaderValue>,
}

impl Pool {
    pub(super) fn new(config: &HttpClientConfig, tls: ClientTls) -> Arc<Self> {
        let count = |value: i64| usize::try_from(value).ok().filter(|value| *value > 0);
        let mut http1 = http1::Builder::new();
        let buffer = count(config.read_buffer_size).unwrap_or(READ_BUFFER_BYTES);
        http1.max_buf_size(buffer.max(READ_BUFFER_BYTES_MIN));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new());
        if let Some(silence) = bound(config.http2_read_idle_timeout) {
            http2
                .keep_alive_interval(silence)
                .keep_alive_timeout(bound(config.http2_ping_timeout).unwrap_or(PING_TIMEOUT))
                .keep_alive_while_idle(true);
        }
        Arc::new(Self {
            tls,
            http1,
            http2,
            idle_max: count(config.max_idle_conns).unwrap_or(usize::MAX),
            idle_per_host_max: count(config.max_idle_conns_per_host).unwrap_or(IDLE_PER_HOST),
            per_host_max: count(config.max_conns_per_host),
            idle_timeout: bound(config.idle_conn_timeout),
            keeps: !config.disable_keep_alives,
            hosts: Mutex::default(),
            reaping: AtomicBool::new(false),
            closed: watch::Sender::new(false),
        })
    }

    /// A connection for a request to `url`: an idle one, or a new one.
    pub(super) async fn lease(
        self: &Arc<Self>,
        url: &Url,
        proxy: Option<&Proxy>,
        reached: &Reached,
    ) -> Result<Lease, CallError> {
        let key = (url.is_https(), url.place().clone(), proxy.map(|proxy| proxy.place.clone()));
        let is_plain_proxy = proxy.is_some() && !url.is_https();
        let lease = |sender, permit| Lease {
            sender,
            pool: Arc::clone(self),
            key: key.clone(),
            permit,
            proxy_credentials: proxy.filter(|_| is_plain_proxy).and_then(|proxy| proxy.credentials.clone()),
        };
        if *self.closed.borrow() {
            return Err(CallError::transport(Phase::Connect, "the client is shut down"));
        }
        reached.set(Phase::Connect);
        if let Some((sender, permit)) = self.idle(&key) {
            return Ok(lease(sender, permit));
        }
        let (connections, opening) = {
            let mut hosts = self.hosts.lock();
            let host = hosts.entry(key.clone()).or_default();
            if let Some(max) = self.per_host_max {
                host.connections.get_or_insert_with(|| Arc::new(Semaphore::new(max)));
            }
            (host.connections.clone(), Arc::clone(&host.opening))
        };
        // Whoever waited may find what another one opened or gave back.
        let _turn = if url.is_https() { Some(opening.lock().await) } else { None };
        if let Some((sender, permit)) = self.idle(&key) {
            return Ok(lease(sender, permit));
        }
        let permit = match connections {
            None => None,
            Some(connections) => loop {
                match tokio::time::timeout(Duration::from_millis(20), Arc::clone(&connections).acquire_owned()).await {
                    Ok(permit) => break permit.ok(),
                    Err(_) => {
                        // An idle connection holds its permit.
                        if let Some((sender, permit)) = self.idle(&key) {
                            return Ok(lease(sender, permit));
                        }
                    }
                }
            },
        };
        let sender = self.open(url, proxy, reached).await?;
        match &sender {
            Sender::Http2(shared) if self.keeps => {
                self.hosts.lock().entry(key.clone()).or_default().h2 = Some((shared.clone(), permit, Instant::now()));
                self.reap();
                Ok(lease(sender, None))
            }
            _ => Ok(lease(sender, permit)),
        }
    }

    fn idle(&self, key: &Key) -> Option<(Sender, Option<OwnedSemaphorePermit>)> {
        if !self.keeps {
            return None;
        }
        let mut hosts = self.hosts.lock();
        self.expire(&mut hosts);
        let host = hosts.get_mut(key)?;
        if let Some((sender, _, used)) = host.h2.as_mut().filter(|(sender, ..)| !sender.is_closed()) {
            *used = Instant::now();
            return Some((Sender::Http2(sender.clone()), None));
        }
        host.h2 = None;
        while let Some((sender, permit, _)) = host.idle.pop() {
            if sender.is_ready() {
                return Some((Sender::Http1(sender), permit));
            }
        }
        None
    }

    /// Drops what was idle for too long. Dropping the sender closes the connection.
    fn expire(&self, hosts: &mut HashMap<Key, HostPool>) {
        let Some(timeout) = self.idle_timeout else { return };
        for host in hosts.values_mut() {
            host.idle.retain(|(sender, _, since)| since.elapsed() < timeout && !sender.is_closed());
            // A connection with running requests lives on until they end.
            if host.h2.as_ref().is_some_and(|(sender, _, used)| used.elapsed() >= timeout || sender.is_closed()) {
                host.h2 = None;
            }
        }
    }

    /// Makes sure that a task closes what is idle for too long, while there is something to close.
    fn reap(self: &Arc<Self>) {
        let Some(timeout) = self.idle_timeout else { return };
        if self.reaping.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::clone(self);
        let mut closed = self.closed.subscribe();
        tokio::spawn(async move {
            let reap = async {
                loop {
                    tokio::time::sleep(timeout).await;
                    let mut hosts = pool.hosts.lock();
                    pool.expire(&mut hosts);
                    if hosts.values().all(|host| host.idle.is_empty() && host.h2.is_none()) {
                        pool.reaping.store(false, Ordering::Relaxed);
                        break;
                    }
                }
            };
            tokio::select! {
                () = reap => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
    }

    fn give_back(
        self: &Arc<Self>,
        key: Key,
        sender: http1::SendRequest<RopeBody>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let mut hosts = self.hosts.lock();
        self.expire(&mut hosts);
        let idle: usize = hosts.values().map(|host| host.idle.len()).sum();
        let host = hosts.entry(key).or_default();
        if idle < self.idle_max && host.idle.len() < self.idle_per_host_max && !*self.closed.borrow() {
            host.idle.push((sender, permit, Instant::now()));
            drop(hosts);
            self.reap();
        }
    }

    async fn open(&self, url: &Url, proxy: Option<&Proxy>, reached: &Reached) -> Result<Sender, CallError> {
        let place = proxy.map_or(url.place(), |proxy| &proxy.place);
        reached.set(Phase::Resolve);
        let found = lookup_host((place.host.as_str(), place.port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| CallError::transport(Phase::Resolve, format!("cannot resolve `{}`: {error}", place.host)))?
            .collect();
        reached.set(Phase::Connect);
        let mut last = None;
        for address in addresses {
            match dial(&Address::Tcp(address)).await {
                Ok(socket) => return self.over(socket, url, proxy, reached).await.map_err(CallError::from),
                Err(error) => last = Some(error),
            }
        }
        let missing = || CallError::transport(Phase::Resolve, format!("`{}` has no address", place.host));
        Err(last.map_or_else(missing, CallError::from))
    }

    /// Makes a connected socket an HTTP connection, and drives it in a task.
    async fn over(
        &self,
        mut socket: Socket,
        url: &Url,
        proxy: Option<&Proxy>,
        reached: &Reached,
    ) -> Result<Sender, ConnectError> {
        let stream = if url.is_https() {
            if let Some(proxy) = proxy {
                tunnel(&mut socket, url.place(), proxy).await?;
            }
            reached.set(Phase::Tls);
            secure(socket, &self.tls, &url.place().host).await?
        } else {
            ClientStream::plain(socket)
        };
        let fail = |error: hyper::Error| ConnectError {
            phase: Phase::Connect,
            message: format!("HTTP with `{}` failed: {}", url.authority(), crate::report(&error)),
            hint: None,
        };
        let mut closed = self.closed.subscribe();
        let is_h2 = stream.is_h2();
        let io = TokioIo::new(stream);
        if is_h2 {
            let (sender, connection) = self.http2.handshake(io).await.map_err(fail)?;
            tokio::spawn(async move {
                tokio::select! {
                    ended = connection => log_end(ended),
                    _ = closed.wait_for(|closed| *closed) => {}
                }
            });
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = self.http1.handshake(io).await.map_err(fail)?;
            tokio::spawn(async move {
                tokio::select! {
                    ended = connection => log_end(ended),
                    _ = closed.wait_for(|closed| *closed) => {}
                }
            });
            Ok(Sender::Http1(sender))
        }
    }

    /// Closes every connection and waits for their tasks.
    pub(super) async fn shutdown(&self) {
        self.closed.send_replace(true);
        self.hosts.lock().clear();
        self.closed.closed().await;
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(error = %crate::report(&error), "connection ended");
    }
}

/// Asks a proxy for a connection to the server (CONNECT, RFC 9110, section 9.3.6).
async fn tunnel(socket: &mut Socket, place: &HostPort, proxy: &Proxy) -> Result<(), ConnectError> {
    let fail = |message: String| ConnectError { phase: Phase::Connect, message, hint: None };
    let name = format!("proxy `{}`", proxy.place);
    let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
    if let Some(credentials) = &proxy.credentials {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    socket.write_all(&request).await.map_err(|error| fail(format!("{name} closed: {error}")))?;
    // Byte by byte: what follows the head belongs to the tunnel.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= CONNECT_ANSWER_BYTES_MAX {
            return Err(fail(format!("{name} answered more than {CONNECT_ANSWER_BYTES_MAX} bytes to CONNECT")));
        }
        let byte = socket.read_u8().await.map_err(|error| fail(format!("{name} closed: {error}")))?;
        answer.push(byte);
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.lines().next().unwrap_or_default();
    if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Ok(());
    }
    Err(fail(format!("{name} refused to connect to `{place}`: `{status}`")))
}

impl Lease {
    pub(super) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether the request goes to a proxy that forwards it.
    pub(super) fn is_plain_proxy(&self) -> bool {
        self.key.2.is_some() && !self.key.0
    }

    /// Credentials for such a proxy.
    pub(super) fn proxy_credentials(&self) -> Option<&HeaderValue> {
        self.proxy_credentials.as_ref()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<RopeBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RopeBody>>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    /// Gives the connection back once the answer was read; `is_read` says whether all of it was.
    pub(super) fn done(self, is_read: bool) {
        let Self { sender, pool, key, permit, .. } = self;
        let Sender::Http1(mut sender) = sender else { return };
        if !is_read || !pool.keeps {
            return;
        }
        if sender.is_ready() {
            return pool.give_back(key, sender, permit);
        }
        // The connection's task has to see the answer's end first.
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.give_back(key, sender, permit);
            }
        });
    }
}
