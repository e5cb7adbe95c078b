//! What a connection reads from and writes to: a socket, with or without TLS, with bytes that were read ahead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::server::connection::Activity;
use crate::socket::Socket;

/// A connection below HTTP. Bytes read ahead come first; what is read is noted in the connection's activity.
#[derive(Debug)]
pub(crate) struct Stream {
    inner: Inner,
    ahead: Bytes,
    activity: Option<Arc<Activity>>,
}

#[derive(Debug)]
enum Inner {
    Plain(Ahead),
    Tls(Box<TlsStream<Ahead>>),
}

/// A socket with bytes that were read ahead of a TLS handshake.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) socket: Socket,
    pub(crate) bytes: Bytes,
}

impl AsyncRead for Ahead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if take_ahead(&mut self.bytes, buf) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

fn take_ahead(ahead: &mut Bytes, buf: &mut ReadBuf<'_>) -> bool {
    if ahead.is_empty() || buf.remaining() == 0 {
        return false;
    }
    let taken = ahead.len().min(buf.remaining());
    buf.put_slice(&ahead[..taken]);
    ahead.advance(taken);
    if ahead.is_empty() {
        // Lets go of the buffer.
        *ahead = Bytes::new();
    }
    true
}

impl Stream {
    pub(crate) fn plain(socket: Ahead) -> Self {
        Self { inner: Inner::Plain(socket), ahead: Bytes::new(), activity: None }
    }

    pub(crate) fn tls(stream: TlsStream<Ahead>) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), ahead: Bytes::new(), activity: None }
    }

    /// Puts back what was read ahead.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    /// Notes reads in `activity` from now on.
    pub(crate) fn watch(&mut self, activity: Arc<Activity>) {
        self.activity = Some(activity);
    }

    /// Whether TLS negotiated HTTP/2; `None` when nothing was negotiated.
    pub(crate) fn negotiated_h2(&self) -> Option<bool> {
        match &self.inner {
            Inner::Plain(_) => None,
            Inner::Tls(stream) => stream.get_ref().1.alpn_protocol().map(|protocol| protocol == b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if !take_ahead(&mut self.ahead, buf) {
            ready!(match &mut self.inner {
                Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
                Inner::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
            })?;
        }
        if buf.filled().len() > before
            && let Some(activity) = &self.activity
        {
            activity.note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
