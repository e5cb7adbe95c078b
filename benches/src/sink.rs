//! A destination that accepts everything and counts it: OTLP/gRPC on one port, OTLP/HTTP (protobuf) on another, no TLS.
//!
//! It is meant to cost little beside what is measured: bodies are read into one buffer and walked by `count`. It can also
//! misbehave on purpose: stall, refuse a share, refuse large requests, answer late. A request is counted when it is answered, so
//! that one which the client gave up is not.

mod body;
mod handle;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::body::Answer;
use crate::wire::{GrpcCode, Transport};

/// Bytes of a request body, before and after decompression, above which it is refused whatever the settings say.
pub const BODY_BYTES_HARD_MAX: u64 = 256 << 20;

const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const STREAM_COUNT_MAX: u32 = 10_000;

/// How the sink behaves.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Count items, for which compressed bodies are decompressed.
    pub is_counting: bool,
    /// Also count spans by trace; needs `is_counting`.
    pub is_counting_traces: bool,
    /// Start stalled: read requests and do not answer them.
    pub is_stalled: bool,
    /// The share of requests to refuse, 0 to 1, evenly spread.
    pub fail_ratio: f64,
    /// What they are refused with.
    pub fail_code: GrpcCode,
    /// Refuse bodies longer than this, as they travel.
    pub body_bytes_max: u64,
    /// Wait this long before each answer.
    pub delay: Duration,
    /// The largest HTTP/2 frame that clients may send.
    pub frame_bytes_max: u32,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            is_counting: true,
            is_counting_traces: false,
            is_stalled: false,
            fail_ratio: 0.0,
            fail_code: GrpcCode::UNAVAILABLE,
            body_bytes_max: BODY_BYTES_HARD_MAX,
            delay: Duration::ZERO,
            frame_bytes_max: 16_384,
        }
    }
}

/// What the sink has seen.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that were accepted; shared so that a load can watch it.
    pub accepted_requests: Arc<AtomicU64>,
    /// Requests that were refused, on purpose or for their form.
    pub refused_requests: AtomicU64,
    /// Body bytes of accepted requests as they travelled.
    pub body_bytes: AtomicU64,
    /// Items of accepted requests; shared so that a load can watch it.
    pub items: Arc<AtomicU64>,
    /// Accepted connections.
    pub connections: AtomicU64,
    /// Spans of accepted requests by trace ID, where they are counted.
    traces: Mutex<HashMap<[u8; 16], u32>>,
}

impl Counters {
    /// Counts one span for each of those traces.
    fn count_traces(&self, ids: &[[u8; 16]]) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| *traces.entry(*id).or_default() += 1);
    }

    /// The counts, for `/stats` and the end of the program.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "accepted_requests": self.accepted_requests.load(Relaxed),
            "refused_requests": self.refused_requests.load(Relaxed),
            "body_bytes": self.body_bytes.load(Relaxed),
            "items": self.items.load(Relaxed),
            "connections": self.connections.load(Relaxed),
        })
    }
}

/// What every connection of a sink shares.
#[derive(Debug)]
struct Shared {
    settings: SinkSettings,
    counters: Arc<Counters>,
    stalled: watch::Receiver<bool>,
    /// Requests that took their turn at `fail_ratio`.
    fail_turns: AtomicU64,
}

/// A running sink; dropping it closes its ports and connections.
#[derive(Debug)]
pub struct Sink {
    /// What it has seen.
    pub counters: Arc<Counters>,
    /// Where OTLP/gRPC is served.
    pub grpc_address: SocketAddr,
    /// Where OTLP/HTTP is served.
    pub http_address: SocketAddr,
    stall: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Sink {
    /// Binds both ports (0: any) and serves until dropped.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound.
    pub async fn start(settings: SinkSettings, grpc: SocketAddr, http: SocketAddr) -> io::Result<Self> {
        let (stall, stalled) = watch::channel(settings.is_stalled);
        let counters = Arc::<Counters>::default();
        let shared =
            Arc::new(Shared { settings, counters: Arc::clone(&counters), stalled, fail_turns: AtomicU64::new(0) });
        let (grpc, http) = (TcpListener::bind(grpc).await?, TcpListener::bind(http).await?);
        let (grpc_address, http_address) = (grpc.local_addr()?, http.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(grpc, Transport::Grpc, Arc::clone(&shared)));
        tasks.spawn(accept(http, Transport::Http, shared));
        Ok(Self { counters, grpc_address, http_address, stall, tasks })
    }

    /// Serves `GET /stats` on `address` (port 0: any); returns where.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound.
    pub async fn serve_stats(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let counters = Arc::clone(&self.counters);
        self.tasks.spawn(accept_each(listener, move |stream| {
            let counters = Arc::clone(&counters);
            async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = handle::stats(&request, &counters);
                    async move { Ok::<_, Infallible>(answer) }
                });
                // A client that goes away in the middle is its own affair.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            }
        }));
        Ok(address)
    }

    /// Items counted so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.counters.items.load(Relaxed)
    }

    /// Spans by trace ID so far; empty unless they are counted.
    #[must_use]
    pub fn traces(&self) -> HashMap<[u8; 16], u32> {
        self.counters.traces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a stalled sink answer, what it holds included.
    pub fn release(&self) {
        self.stall.send_replace(false);
    }
}

/// Accepts connections and serves each in a task that ends with this one.
async fn accept_each<S, F>(listener: TcpListener, serve: S)
where
    S: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await
            && stream.set_nodelay(true).is_ok()
        {
            connections.spawn(serve(stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn accept(listener: TcpListener, transport: Transport, shared: Arc<Shared>) {
    let serve = move |stream| {
        let shared = Arc::clone(&shared);
        async move {
            shared.counters.connections.fetch_add(1, Relaxed);
            let frame_bytes_max = shared.settings.frame_bytes_max;
            let service = service_fn(move |request| answer(request, transport, Arc::clone(&shared)));
            // How a connection ends is its client's affair: what was answered is counted.
            match transport {
                Transport::Grpc => {
                    let served = http2::Builder::new(TokioExecutor::new())
                        .initial_stream_window_size(STREAM_WINDOW_BYTES)
                        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                        .max_concurrent_streams(STREAM_COUNT_MAX)
                        .max_frame_size(frame_bytes_max)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    drop(served);
                }
                Transport::Http => drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await),
            }
        }
    };
    accept_each(listener, serve).await;
}

async fn answer(
    request: Request<Incoming>,
    transport: Transport,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, hyper::Error> {
    handle::handle(request, transport, &shared).await
}
