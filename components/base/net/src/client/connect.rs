//! Opening one connection: TCP or Unix, with or without TLS, and what the server said first.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

use crate::client::error::{ConnectError, Phase, tls_hint};
use crate::client::gather::{Gather, Sources};
use crate::socket::Socket;
use crate::tls::ClientTls;

/// Time for one address to accept a connection, TLS included; gRPC's default.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a server's first words that are looked at: an HTTP/2 frame head.
const FIRST_BYTES: usize = 9;

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Connects a socket.
pub(crate) async fn dial(address: &Address) -> Result<Socket, ConnectError> {
    let fail = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => Some("nothing listens there".to_owned()),
            io::ErrorKind::NotFound => Some("there is no such socket".to_owned()),
            _ => None,
        };
        ConnectError { phase: Phase::Connect, message: format!("cannot connect to `{address}`: {error}"), hint }
    };
    let connect = async {
        match address {
            Address::Tcp(tcp) => {
                let stream = TcpStream::connect(tcp).await?;
                // Without these a connection is slower or lives longer, not wrong.
                let _slower = stream.set_nodelay(true);
                let _longer = SockRef::from(&stream).set_keepalive(true);
                Ok(Socket::Tcp(stream))
            }
            Address::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(connected) => connected.map_err(fail),
        Err(_) => Err(fail(io::Error::new(io::ErrorKind::TimedOut, "no answer within 20 s"))),
    }
}

/// Puts TLS on a socket.
pub(crate) async fn secure(socket: Socket, tls: &ClientTls, host: &str) -> Result<ClientStream, ConnectError> {
    let fail = |message: String, hint| ConnectError { phase: Phase::Tls, message, hint };
    let name = tls.server_name(host).map_err(|error| fail(error.report(), None))?;
    let handshake = tls.connector().connect(name, socket);
    match tokio::time::timeout(CONNECT_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(ClientStream::new(Inner::Tls(Box::new(stream)))),
        Ok(Err(error)) => {
            let hint = tls_hint(&error);
            Err(fail(format!("TLS handshake with `{host}` failed: {error}"), hint))
        }
        Err(_) => Err(fail(format!("TLS handshake with `{host}` did not end within 20 s"), None)),
    }
}

/// A connection below HTTP.
#[derive(Debug)]
pub(crate) struct ClientStream {
    inner: Inner,
    first: Vec<u8>,
    watcher: Option<oneshot::Sender<Vec<u8>>>,
    gather: Option<Gather>,
}

#[derive(Debug)]
enum Inner {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl ClientStream {
    fn new(inner: Inner) -> Self {
        Self { inner, first: Vec::new(), watcher: None, gather: None }
    }

    pub(crate) fn plain(socket: Socket) -> Self {
        Self::new(Inner::Plain(socket))
    }

    /// Whether TLS negotiated HTTP/2.
    pub(crate) fn is_h2(&self) -> bool {
        match &self.inner {
            Inner::Plain(_) => false,
            Inner::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Tells the first bytes the server sends, up to nine, fewer when it closes; the sender is dropped with the stream.
    pub(crate) fn first_bytes(&mut self) -> oneshot::Receiver<Vec<u8>> {
        let (sender, receiver) = oneshot::channel();
        self.watcher = Some(sender);
        receiver
    }

    /// Gathers writes into larger ones, see [`Gather`]; for HTTP/2 without TLS, which makes records of its own.
    pub(crate) fn gather_writes(&mut self, sources: Arc<Sources>) {
        if matches!(self.inner, Inner::Plain(_)) {
            self.gather = Some(Gather::new(sources));
        }
    }

    fn watch(&mut self, read: &[u8], ended: bool) {
        if self.watcher.is_none() {
            return;
        }
        let room = FIRST_BYTES.saturating_sub(self.first.len());
        self.first.extend(read.iter().take(room));
        if (ended || self.first.len() == FIRST_BYTES)
            && let Some(watcher) = self.watcher.take()
        {
            // Nobody may be waiting any more.
            let _unheard = watcher.send(std::mem::take(&mut self.first));
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        });
        let new = buf.filled().get(before..).unwrap_or_default();
        self.watch(new, new.is_empty());
        Poll::Ready(read)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match (&mut this.inner, &mut this.gather) {
            (Inner::Plain(stream), Some(gather)) => gather.poll_take(Pin::new(stream), cx, bufs),
            (Inner::Plain(stream), None) => Pin::new(stream).poll_write_vectored(cx, bufs),
            (Inner::Tls(stream), _) => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match (&mut this.inner, &mut this.gather) {
            (Inner::Plain(stream), Some(gather)) => gather.poll_flush(Pin::new(stream), cx),
            (Inner::Plain(stream), None) => Pin::new(stream).poll_flush(cx),
            (Inner::Tls(stream), _) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match (&mut this.inner, &mut this.gather) {
            (Inner::Plain(stream), gather) => {
                if let Some(gather) = gather {
                    ready!(gather.poll_write_out(Pin::new(&mut *stream), cx))?;
                }
                Pin::new(stream).poll_shutdown(cx)
            }
            (Inner::Tls(stream), _) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
