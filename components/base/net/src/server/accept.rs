//! The accept loop: one per listener. It bounds the number of connections, does the TLS handshake, finds out which protocol a
//! peer speaks, and hands the connection over.
//!
//! Every connection and every call that outlives its connection holds a receiver of the stop channel, so the channel's last
//! receiver marks the server's end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use component::{BoxFuture, Deadline};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::server::connection::{Bounds, End, Stop};
use crate::server::limits;
use crate::server::listen::Listener;
use crate::server::metrics::ServerMetrics;
use crate::server::sniff::{self, Protocol};
use crate::server::stream::{Ahead, Stream};
use crate::socket::Socket;
use crate::tls::ServerTls;

/// Pause after an accept that failed for lack of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections of one kind of server.
pub(crate) trait Speaker: Send + Sync + 'static {
    /// Whether only gRPC is spoken.
    fn grpc_only(&self) -> bool;

    /// Bounds on connections.
    fn bounds(&self) -> Bounds;

    /// Serves one connection of `protocol` (HTTP/1 or HTTP/2) to its end.
    fn serve(
        self: Arc<Self>,
        stream: Stream,
        protocol: Protocol,
        peer: Option<SocketAddr>,
        stop: watch::Receiver<Stop>,
    ) -> BoxFuture<'static, End>;
}

/// A running accept loop and its connections.
#[derive(Debug)]
pub(crate) struct Running {
    local_addr: Option<SocketAddr>,
    stop: watch::Sender<Stop>,
}

struct Acceptor {
    tls: Option<ServerTls>,
    speaker: Arc<dyn Speaker>,
    metrics: Arc<ServerMetrics>,
    open: AtomicUsize,
    connections_max: usize,
}

impl Running {
    pub(crate) fn start(
        listener: Listener,
        tls: Option<ServerTls>,
        speaker: Arc<dyn Speaker>,
        metrics: Arc<ServerMetrics>,
        connections_max: usize,
    ) -> Self {
        let (stop, stopped) = watch::channel(Stop::Run);
        let local_addr = listener.local_addr();
        let acceptor = Arc::new(Acceptor { tls, speaker, metrics, open: AtomicUsize::new(0), connections_max });
        tokio::spawn(accept(listener, acceptor, stopped));
        Self { local_addr, stop }
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Stops accepting, lets running requests finish until the deadline, then cuts.
    pub(crate) async fn shutdown(&self, deadline: Deadline) {
        self.stop.send_if_modified(|stop| *stop == Stop::Run && std::mem::replace(stop, Stop::Drain) == Stop::Run);
        if deadline.bound(self.stop.closed()).await.is_none() {
            self.stop.send_replace(Stop::Cut);
            self.stop.closed().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(Stop::Cut);
    }
}

async fn accept(listener: Listener, acceptor: Arc<Acceptor>, mut stop: watch::Receiver<Stop>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop != Stop::Run) => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_connections_fault(&error) => continue,
            Err(error) => {
                acceptor.metrics.protocol_error("accept_failed", "", &format!("cannot accept connections: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if acceptor.open.fetch_add(1, Ordering::Relaxed) >= acceptor.connections_max {
            acceptor.open.fetch_sub(1, Ordering::Relaxed);
            let text = format!("more than {} connections: a new one was closed", acceptor.connections_max);
            acceptor.metrics.protocol_error("too_many_connections", &peer_text(peer), &text);
            continue;
        }
        acceptor.metrics.connections.add(1);
        let open = Open(Arc::clone(&acceptor));
        let stop = stop.clone();
        tokio::spawn(async move { open.0.connection(socket, peer, stop).await });
    }
}

/// A connection that is counted as open.
struct Open(Arc<Acceptor>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.connections.add(-1);
    }
}

fn is_connections_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn peer_text(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string())
}

/// A connection that ended before it was one: counted under the name, and logged with the text.
type Reject = (&'static str, String);

impl Acceptor {
    async fn connection(&self, socket: Socket, peer: Option<SocketAddr>, stop: watch::Receiver<Stop>) {
        let mut cut = stop.clone();
        let opened = tokio::select! {
            biased;
            _ = cut.wait_for(|stop| *stop != Stop::Run) => return,
            opened = self.open(socket) => opened,
        };
        let rejected = match opened {
            Ok(None) => None,
            Err(reject) => Some(reject),
            Ok(Some((stream, protocol))) => match Arc::clone(&self.speaker).serve(stream, protocol, peer, stop).await {
                End::Closed | End::Cut("shutdown" | "grace_over") => None,
                End::Cut(reason) => Some((reason, "a connection was too slow and was closed".to_owned())),
                End::Failed(error) if error.is_parse() => {
                    Some(("malformed", format!("a request could not be read: {}", crate::report(&error))))
                }
                End::Failed(error) if is_h2_fault(&error) => {
                    Some(("http2", format!("a connection broke HTTP/2's rules: {}", crate::report(&error))))
                }
                End::Failed(error) => {
                    tracing::debug!(error = %crate::report(&error), peer = %peer_text(peer), "connection failed");
                    None
                }
            },
        };
        if let Some((reason, text)) = rejected {
            self.metrics.protocol_error(reason, &peer_text(peer), &text);
        }
    }

    /// Gets a connection to where HTTP begins. `None` when the peer left.
    async fn open(&self, mut socket: Socket) -> Result<Option<(Stream, Protocol)>, Reject> {
        let head = self.speaker.bounds().head;
        let slow = || ("header_timeout", "a connection sent no request in time and was closed".to_owned());
        let Ok(sniffed) = timeout(head, sniff::sniff(&mut socket)).await else { return Err(slow()) };
        let Ok((protocol, ahead)) = sniffed else { return Ok(None) };
        if protocol == Protocol::Nothing {
            return Ok(None);
        }
        let Some(tls) = &self.tls else {
            let stream = Stream::plain(Ahead { socket, bytes: ahead });
            return self.admit(stream, protocol).await;
        };
        if protocol != Protocol::Tls {
            return Err(plaintext_on_tls(&mut socket, protocol).await);
        }
        let accepting = tls.acceptor().accept(Ahead { socket, bytes: ahead });
        let mut stream = match timeout(limits::TLS_HANDSHAKE_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => Stream::tls(stream),
            Ok(Err(error)) => return Err(("tls_handshake", format!("a TLS handshake failed: {error}"))),
            Err(_) => return Err(("tls_handshake_timeout", "a TLS handshake took too long".to_owned())),
        };
        if stream.negotiated_h2() == Some(true) {
            return Ok(Some((stream, Protocol::H2)));
        }
        let Ok(sniffed) = timeout(head, sniff::sniff(&mut stream)).await else { return Err(slow()) };
        let Ok((protocol, ahead)) = sniffed else { return Ok(None) };
        stream.unread(ahead);
        if protocol == Protocol::Nothing { Ok(None) } else { self.admit(stream, protocol).await }
    }

    /// Lets the protocols in that the server speaks.
    async fn admit(&self, mut stream: Stream, protocol: Protocol) -> Result<Option<(Stream, Protocol)>, Reject> {
        match protocol {
            Protocol::H2 => Ok(Some((stream, protocol))),
            Protocol::Http1 if !self.speaker.grpc_only() => Ok(Some((stream, protocol))),
            Protocol::Http1 => {
                stream.unread(Bytes::new());
                let text = "this port speaks gRPC (HTTP/2); OTLP over HTTP/1.1 has a port of its own, usually 4318\n";
                let answer = sniff::http1_answer("415 Unsupported Media Type", text);
                sniff::answer_and_close(&mut stream, &answer).await;
                Err(("http1_on_grpc_port", "a client speaks HTTP/1 to a gRPC port".to_owned()))
            }
            Protocol::Tls => {
                sniff::answer_and_close(&mut stream, sniff::TLS_ALERT).await;
                Err(("tls_on_plaintext_port", "a client speaks TLS to a plaintext port".to_owned()))
            }
            Protocol::Garbage | Protocol::Nothing => {
                if !self.speaker.grpc_only() {
                    let answer = sniff::http1_answer("400 Bad Request", "this port speaks HTTP\n");
                    sniff::answer_and_close(&mut stream, &answer).await;
                }
                Err(("garbage", "a client speaks neither HTTP nor TLS".to_owned()))
            }
        }
    }
}

async fn plaintext_on_tls(socket: &mut Socket, protocol: Protocol) -> Reject {
    let text = "this port speaks TLS; the request came in plaintext\n";
    match protocol {
        Protocol::Http1 => sniff::answer_and_close(socket, &sniff::http1_answer("400 Bad Request", text)).await,
        Protocol::H2 => sniff::answer_and_close(socket, &sniff::h2_answer(text.trim_end())).await,
        _ => return ("garbage", "a client does not speak TLS".to_owned()),
    }
    ("plaintext_on_tls_port", "a client speaks plaintext to a TLS port".to_owned())
}

/// Whether the peer broke HTTP/2's rules, rather than just going away.
fn is_h2_fault(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    !error.is_incomplete_message()
        && !error.is_canceled()
        && !error.is_closed()
        && !error.source().is_some_and(|source| source.is::<io::Error>() || source.to_string().contains("broken pipe"))
        && error.to_string().contains("http2")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::server::config::Transport;
    use crate::testing::{count, eventually, host, settings};

    /// Holds every connection until the server stops.
    struct Holder;

    impl Speaker for Holder {
        fn grpc_only(&self) -> bool {
            false
        }

        fn bounds(&self) -> Bounds {
            let hour = Duration::from_secs(3600);
            Bounds { idle: hour, head: hour, age: None, grace: hour }
        }

        fn serve(
            self: Arc<Self>,
            _: Stream,
            _: Protocol,
            _: Option<SocketAddr>,
            _: watch::Receiver<Stop>,
        ) -> BoxFuture<'static, End> {
            Box::pin(async { End::Closed })
        }
    }

    #[tokio::test]
    async fn connections_over_the_limit_are_closed_and_places_come_free() {
        let host = host();
        let settings = settings(&host);
        let listener = Listener::open("127.0.0.1:0", Transport::Tcp, &host, &settings).await.unwrap();
        let metrics = Arc::new(ServerMetrics::new(&settings.telemetry, "http"));
        let server = Running::start(listener, None, Arc::new(Holder), Arc::clone(&metrics), 2);
        let connect = || TcpStream::connect(server.local_addr().unwrap());
        let (first, _second) = (connect().await.unwrap(), connect().await.unwrap());
        eventually(|| metrics.connections.get() == 2).await;
        // Closed by the server; a reset is as good as an end.
        let closed = connect().await.unwrap().read(&mut [0]).await;
        assert!(!matches!(closed, Ok(1..)));
        eventually(|| count(&host, "weir_server_protocol_errors", "too_many_connections") > 0.0).await;
        drop(first);
        eventually(|| metrics.connections.get() == 1).await;
        let _third = connect().await.unwrap();
        eventually(|| metrics.connections.get() == 2).await;
        server.shutdown(Deadline::after(Duration::from_secs(1))).await;
        assert_eq!(metrics.connections.get(), 0);
    }
}
