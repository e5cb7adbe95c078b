//! The connections of a channel: one per address of the host, opened when needed, picked by policy.
//!
//! An address is idle, connecting, ready, or resting after a failure. Calls wait while something is connecting, and fail
//! with the last error when everything rests. Names are looked up again after a connection failed or ended.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::connect::{Address, CONNECT_TIMEOUT, ClientStream, dial, secure};
use crate::client::error::{ConnectError, Phase, not_h2};
use crate::client::gather::Sources;
use crate::client::grpc::target::{Place, Target};
use crate::client::rope::RopeBody;
use crate::tls::ClientTls;

/// Least time between two lookups of a name.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// Rest after the first failure; each further one makes it longer by half.
const REST_FIRST: Duration = Duration::from_millis(200);
/// Longest rest: a server that comes back is found within this time.
const REST_MAX: Duration = Duration::from_secs(10);
/// Addresses of a host that are used.
const ADDRESSES_MAX: usize = 100;

/// How an address is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    RoundRobin,
    PickFirst,
}

/// How connections are opened.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) target: Target,
    pub(super) tls: Option<ClientTls>,
    pub(super) http: http2::Builder<TokioExecutor>,
    pub(super) sources: Arc<Sources>,
}

impl Dialer {
    /// Opens a connection and waits for the server's first words, so that a server of another kind is noticed here.
    async fn open(
        &self,
        address: &Address,
    ) -> Result<(SendRequest<RopeBody>, impl Future<Output = hyper::Result<()>> + Send + use<>), ConnectError> {
        let fail = |message: String, hint| ConnectError { phase: Phase::Connect, message, hint };
        let socket = dial(address).await?;
        let mut stream = match &self.tls {
            None => ClientStream::plain(socket),
            Some(tls) => secure(socket, tls, self.target.host()).await?,
        };
        let first = stream.first_bytes();
        stream.gather_writes(Arc::clone(&self.sources));
        let handshake = self.http.handshake::<_, RopeBody>(TokioIo::new(stream));
        let (sender, connection) = handshake
            .await
            .map_err(|error| fail(format!("HTTP/2 with `{address}` failed: {}", crate::report(&error)), None))?;
        let mut connection = Box::pin(connection);
        let greeting = async {
            tokio::select! {
                biased;
                first = first => first.unwrap_or_default(),
                ended = connection.as_mut() => {
                    // The stream is gone with what it read; the reason is in the error.
                    tracing::debug!(?ended, %address, "connection ended before the server spoke");
                    Vec::new()
                }
            }
        };
        let Ok(greeting) = timeout(CONNECT_TIMEOUT, greeting).await else {
            let message = format!("the server at `{address}` took the connection and said nothing for 20 s");
            return Err(fail(message, Some("perhaps it is no gRPC server".to_owned())));
        };
        // A SETTINGS frame on stream 0 comes first.
        if !matches!(greeting.as_slice(), [_, _, _, 4, _, 0, 0, 0, 0]) {
            let (message, hint) = not_h2(&greeting);
            return Err(fail(format!("cannot talk to `{address}`: {message}"), hint));
        }
        Ok((sender, connection))
    }

    async fn resolve(&self) -> Result<Vec<Address>, ConnectError> {
        match &self.target.place {
            Place::Unix(path) => Ok(vec![Address::Unix(path.into())]),
            Place::Tcp(place) => match lookup_host((place.host.as_str(), place.port)).await {
                Ok(found) => {
                    let mut addresses: Vec<Address> = found.map(Address::Tcp).take(ADDRESSES_MAX).collect();
                    addresses.dedup();
                    Ok(addresses)
                }
                Err(error) => Err(ConnectError {
                    phase: Phase::Resolve,
                    message: format!("cannot resolve `{}`: {error}", place.host),
                    hint: None,
                }),
            },
        }
    }
}

/// The connection to one address.
#[derive(Debug)]
struct Subchannel {
    address: Address,
    state: Mutex<State>,
    /// Whether the current connection was given to a call.
    is_used: AtomicBool,
    /// Length of the last rest.
    rest: Mutex<Duration>,
}

impl Subchannel {
    fn new(address: Address) -> Self {
        Self { address, state: Mutex::new(State::Idle), is_used: AtomicBool::new(false), rest: Mutex::default() }
    }
}

#[derive(Debug)]
enum State {
    Idle,
    Connecting,
    Ready(SendRequest<RopeBody>),
    Resting { error: ConnectError, until: Instant },
    Closed,
}

/// All connections of a channel.
#[derive(Debug)]
pub(super) struct Balancer {
    dialer: Dialer,
    policy: Policy,
    subchannels: Mutex<Arc<[Arc<Subchannel>]>>,
    /// When the name was last looked up, and whether it should be again.
    resolved: tokio::sync::Mutex<Option<Instant>>,
    resolve_again: AtomicBool,
    next: AtomicUsize,
    /// Counts changes of states.
    changes: watch::Sender<u64>,
    /// Connections hold receivers, so its closing marks their end.
    closed: watch::Sender<bool>,
}

impl Balancer {
    pub(super) fn new(dialer: Dialer, policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            policy,
            subchannels: Mutex::new(Arc::from([])),
            resolved: tokio::sync::Mutex::new(None),
            resolve_again: AtomicBool::new(true),
            next: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        })
    }

    /// A connection to send on. Without `wait`, fails as soon as every address has failed.
    pub(super) async fn pick(self: &Arc<Self>, wait: bool) -> Result<SendRequest<RopeBody>, ConnectError> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if *self.closed.borrow() {
                let message = "the client is shut down".to_owned();
                return Err(ConnectError { phase: Phase::Connect, message, hint: None });
            }
            let resolved = self.resolve().await;
            let subchannels = Arc::clone(&self.subchannels.lock());
            if subchannels.is_empty() {
                match resolved {
                    Err(error) if !wait => return Err(error),
                    _ => tokio::time::sleep(RESOLVE_INTERVAL).await,
                }
                continue;
            }
            if let Some(sender) = self.ready(&subchannels) {
                return Ok(sender);
            }
            let mut error = None;
            let mut rested = None;
            let mut connecting = false;
            for subchannel in subchannels.iter() {
                match &*subchannel.state.lock() {
                    State::Resting { error: last, until } => {
                        error.get_or_insert_with(|| last.clone());
                        rested = Some(rested.map_or(*until, |earliest: Instant| earliest.min(*until)));
                    }
                    _ => connecting = true,
                }
            }
            if !connecting
                && !wait
                && let Some(error) = error
            {
                return Err(error);
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = async { match rested { Some(until) => sleep_until(until).await, None => pending().await } } => {}
            }
        }
    }

    /// A ready connection by policy. Opens those that should be.
    fn ready(self: &Arc<Self>, subchannels: &[Arc<Subchannel>]) -> Option<SendRequest<RopeBody>> {
        let start = match self.policy {
            Policy::RoundRobin => self.next.fetch_add(1, Ordering::Relaxed) % subchannels.len(),
            Policy::PickFirst => 0,
        };
        let mut found = None;
        for subchannel in subchannels.iter().cycle().skip(start).take(subchannels.len()) {
            let mut state = subchannel.state.lock();
            match &*state {
                State::Ready(sender) if !sender.is_closed() => {
                    found.get_or_insert_with(|| {
                        subchannel.is_used.store(true, Ordering::Relaxed);
                        sender.clone()
                    });
                }
                State::Resting { until, .. } if *until > Instant::now() => {}
                State::Connecting | State::Closed => {}
                State::Ready(_) | State::Idle | State::Resting { .. } => {
                    if self.policy == Policy::PickFirst && found.is_some() {
                        break;
                    }
                    *state = State::Connecting;
                    tokio::spawn(Arc::clone(self).run(Arc::clone(subchannel)));
                }
            }
            // The first address that may work is the one to wait for.
            if self.policy == Policy::PickFirst && (found.is_some() || matches!(&*state, State::Connecting)) {
                break;
            }
        }
        found
    }

    /// Opens a connection and drives it to its end.
    async fn run(self: Arc<Self>, subchannel: Arc<Subchannel>) {
        let mut closed = self.closed.subscribe();
        let life = async {
            subchannel.is_used.store(false, Ordering::Relaxed);
            let failure = match self.dialer.open(&subchannel.address).await {
                Ok((sender, connection)) => {
                    if !self.set(&subchannel, State::Ready(sender)) {
                        return;
                    }
                    let ended = connection.await;
                    let text =
                        ended.as_ref().err().map_or_else(|| "it closed".to_owned(), |error| crate::report(error));
                    tracing::debug!(address = %subchannel.address, error = text, "connection ended");
                    if subchannel.is_used.load(Ordering::Relaxed) {
                        *subchannel.rest.lock() = Duration::ZERO;
                        None
                    } else {
                        // A server that greets and hangs up must not be called again and again.
                        let message = format!("`{}` ended the connection at once: {text}", subchannel.address);
                        let hint = (self.dialer.tls.is_none() && text.contains("security properties")).then(|| {
                            "the server speaks TLS: set `tls::insecure` to false, or use its plaintext port".to_owned()
                        });
                        Some(ConnectError { phase: Phase::Connect, message, hint })
                    }
                }
                Err(error) => {
                    tracing::debug!(address = %subchannel.address, error = %error.message, "cannot connect");
                    Some(error)
                }
            };
            self.resolve_again.store(true, Ordering::Relaxed);
            let state = match failure {
                None => State::Idle,
                Some(error) => {
                    let mut rest = subchannel.rest.lock();
                    *rest = rest.mul_f64(1.5).clamp(REST_FIRST, REST_MAX);
                    State::Resting { error, until: Instant::now() + *rest }
                }
            };
            self.set(&subchannel, state);
        };
        tokio::select! {
            () = life => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    /// Changes a state unless the address is no longer used.
    fn set(&self, subchannel: &Subchannel, new: State) -> bool {
        {
            let mut state = subchannel.state.lock();
            if matches!(&*state, State::Closed) {
                return false;
            }
            *state = new;
        }
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        true
    }

    /// Looks the name up if it is time to. Addresses that stay keep their connections.
    async fn resolve(&self) -> Result<(), ConnectError> {
        if !self.resolve_again.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut resolved = self.resolved.lock().await;
        let is_early = resolved.is_some_and(|last| last.elapsed() < RESOLVE_INTERVAL);
        if !self.resolve_again.load(Ordering::Relaxed) || (is_early && !self.subchannels.lock().is_empty()) {
            return Ok(());
        }
        let addresses = self.dialer.resolve().await?;
        *resolved = Some(Instant::now());
        self.resolve_again.store(false, Ordering::Relaxed);
        let mut subchannels = self.subchannels.lock();
        let kept = |address: Address| {
            let known = subchannels.iter().find(|subchannel| subchannel.address == address);
            known.cloned().unwrap_or_else(|| Arc::new(Subchannel::new(address)))
        };
        let new: Arc<[Arc<Subchannel>]> = addresses.into_iter().map(kept).collect();
        for old in subchannels.iter().filter(|old| !new.iter().any(|new| Arc::ptr_eq(new, old))) {
            // Without a sender the connection ends when its last call does.
            *old.state.lock() = State::Closed;
        }
        *subchannels = new;
        Ok(())
    }

    /// Closes every connection and waits for their tasks.
    pub(super) async fn shutdown(&self) {
        self.closed.send_replace(true);
        for subchannel in self.subchannels.lock().iter() {
            *subchannel.state.lock() = State::Closed;
        }
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        self.closed.closed().await;
    }
}
