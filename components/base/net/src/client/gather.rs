//! Fewer, larger writes from an HTTP/2 connection, without copying bodies.
//!
//! h2 hands over one DATA frame (16 KiB with most peers) per write and flushes after each, so a request of 300 KiB costs
//! eighteen system calls and as many pushes through the network stack. [`Gather`] keeps what it is given until h2 has no
//! more to send in this turn, then writes it with as few calls as possible. Pieces of bodies are not copied: a piece is
//! recognised by its address inside the buffers that calls under way have listed in [`Sources`], and kept as a slice of
//! them; everything else (frame heads, small frames) is copied.
//!
//! When h2 has no more to send: its loop (`Prioritize::poll_complete`) flushes after each DATA frame that it does not copy
//! itself, and once more when no frame is left. The flush right after a large write is therefore not the last one and is
//! passed over; any other flush writes everything.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

/// Bytes kept at most before they are written.
const GATHERED_BYTES_MAX: usize = 512 << 10;
/// A write of at least this is a DATA frame that h2 flushes once more after.
const LARGE_WRITE_BYTES: usize = 8 << 10;
/// Pieces below this are copied rather than looked up.
const COPIED_BYTES_MAX: usize = 1 << 10;
/// Pieces in one write; `IOV_MAX` is 1024 on Linux.
const SLICES_MAX: usize = 64;

/// The buffers of calls under way on a channel.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<Vec<Bytes>>);

impl Sources {
    /// Lists the buffers of a call until the guard is dropped.
    pub(crate) fn list(self: &Arc<Self>, parts: &[Bytes]) -> Listed {
        let large = || parts.iter().filter(|part| part.len() >= COPIED_BYTES_MAX);
        self.0.lock().extend(large().cloned());
        Listed { sources: Arc::clone(self), starts: large().map(|part| part.as_ptr().addr()).collect() }
    }

    /// `piece` as a slice of the listed buffer it lies in.
    fn find(&self, piece: &[u8]) -> Option<Bytes> {
        let start = piece.as_ptr().addr();
        self.0.lock().iter().find_map(|part| {
            let at = start.checked_sub(part.as_ptr().addr())?;
            let end = at.checked_add(piece.len()).filter(|end| *end <= part.len())?;
            Some(part.slice(at..end))
        })
    }
}

/// Buffers listed in [`Sources`].
#[derive(Debug)]
pub(crate) struct Listed {
    sources: Arc<Sources>,
    starts: Vec<usize>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut listed = self.sources.0.lock();
        for start in &self.starts {
            // The same buffer may be listed by several calls; each takes one away.
            if let Some(at) = listed.iter().position(|part| part.as_ptr().addr() == *start) {
                listed.swap_remove(at);
            }
        }
    }
}

/// What a connection was given to write and has not written yet.
#[derive(Debug)]
pub(super) struct Gather {
    sources: Arc<Sources>,
    pieces: VecDeque<Bytes>,
    copied: BytesMut,
    bytes: usize,
    /// Whether the last thing that happened was a large write.
    more_is_coming: bool,
}

impl Gather {
    pub(super) fn new(sources: Arc<Sources>) -> Self {
        Self { sources, pieces: VecDeque::new(), copied: BytesMut::new(), bytes: 0, more_is_coming: false }
    }

    /// Takes what `bufs` hold, after making room if need be.
    pub(super) fn poll_take(
        &mut self,
        mut socket: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.bytes >= GATHERED_BYTES_MAX {
            ready!(self.poll_write_out(socket.as_mut(), cx))?;
        }
        let mut taken = 0;
        for piece in bufs {
            let room = GATHERED_BYTES_MAX.saturating_sub(self.bytes);
            let piece = piece.get(..piece.len().min(room)).unwrap_or_default();
            self.take(piece);
            taken += piece.len();
        }
        self.more_is_coming = taken >= LARGE_WRITE_BYTES;
        Poll::Ready(Ok(taken))
    }

    fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        match (piece.len() >= COPIED_BYTES_MAX).then(|| self.sources.find(piece)).flatten() {
            Some(slice) => {
                self.end_copied();
                self.pieces.push_back(slice);
            }
            None => self.copied.extend_from_slice(piece),
        }
    }

    fn end_copied(&mut self) {
        if !self.copied.is_empty() {
            self.pieces.push_back(self.copied.split().freeze());
        }
    }

    /// At a flush: passes over one that another will follow.
    pub(super) fn poll_flush(
        &mut self,
        mut socket: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.more_is_coming) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_write_out(socket.as_mut(), cx))?;
        socket.poll_flush(cx)
    }

    /// Writes everything.
    pub(super) fn poll_write_out(
        &mut self,
        mut socket: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.end_copied();
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut filled = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                filled += 1;
            }
            let written = ready!(socket.as_mut().poll_write_vectored(cx, slices.get(..filled).unwrap_or_default()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A socket that takes a few bytes at a time and remembers how often it was asked.
    #[derive(Default)]
    struct Socket {
        written: Vec<u8>,
        writes: usize,
        at_most: usize,
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.writes += 1;
            let (mut taken, at_most) = (0, self.at_most);
            for buf in bufs {
                let part = &buf[..buf.len().min(at_most - taken)];
                taken += part.len();
                self.written.extend_from_slice(part);
            }
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn body(bytes: usize) -> Bytes {
        (0..bytes).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn frames_are_written_together_in_order_and_without_copying_bodies() {
        for at_most in [1000, 100_000, usize::MAX] {
            let (sources, message) = (Arc::new(Sources::default()), body(50_000));
            let listed = sources.list(std::slice::from_ref(&message));
            let mut gather = Gather::new(Arc::clone(&sources));
            let mut socket = Socket { at_most, ..Socket::default() };
            let mut cx = Context::from_waker(Waker::noop());
            let mut expected = Vec::new();
            for frame in message.chunks(16_384) {
                let bufs = [IoSlice::new(b"frame head"), IoSlice::new(frame)];
                let mut taken = 0;
                while taken < 10 + frame.len() {
                    let rest = [
                        IoSlice::new(&b"frame head"[taken.min(10)..]),
                        IoSlice::new(&frame[taken.saturating_sub(10)..]),
                    ];
                    let bufs = if taken == 0 { &bufs } else { &rest };
                    let Poll::Ready(Ok(more)) = gather.poll_take(Pin::new(&mut socket), &mut cx, bufs) else {
                        panic!()
                    };
                    taken += more;
                }
                expected.extend_from_slice(b"frame head");
                expected.extend_from_slice(frame);
                assert!(gather.poll_flush(Pin::new(&mut socket), &mut cx).is_ready());
            }
            let copied =
                gather.pieces.iter().filter(|piece| piece.len() > 1000 && sources.find(piece).is_none()).count();
            assert_eq!(copied, 0, "bodies are slices of the call's buffers");
            assert!(gather.poll_flush(Pin::new(&mut socket), &mut cx).is_ready());
            assert_eq!((socket.written == expected, gather.bytes, gather.pieces.len()), (true, 0, 0));
            if at_most == usize::MAX {
                assert_eq!(socket.writes, 1);
            }
            drop(listed);
            assert!(sources.0.lock().is_empty());
        }
    }

    #[test]
    fn small_writes_are_written_at_their_first_flush_and_unlisted_bodies_are_copied() {
        let mut gather = Gather::new(Arc::default());
        let mut socket = Socket { at_most: usize::MAX, ..Socket::default() };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(gather.poll_take(Pin::new(&mut socket), &mut cx, &[IoSlice::new(b"ping")]).is_ready());
        assert!(gather.poll_flush(Pin::new(&mut socket), &mut cx).is_ready());
        assert_eq!(socket.written, b"ping");
        let stranger = body(20_000);
        assert!(gather.poll_take(Pin::new(&mut socket), &mut cx, &[IoSlice::new(&stranger)]).is_ready());
        drop(stranger);
        for _ in 0..2 {
            assert!(gather.poll_flush(Pin::new(&mut socket), &mut cx).is_ready());
        }
        assert_eq!(&socket.written[4..], &body(20_000)[..]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut gather = Gather::new(Arc::default());
        let mut socket = Socket { at_most: usize::MAX, ..Socket::default() };
        let mut cx = Context::from_waker(Waker::noop());
        let large = body(GATHERED_BYTES_MAX + 100);
        let first = gather.poll_take(Pin::new(&mut socket), &mut cx, &[IoSlice::new(&large)]);
        assert!(matches!(first, Poll::Ready(Ok(GATHERED_BYTES_MAX))));
        let rest = gather.poll_take(Pin::new(&mut socket), &mut cx, &[IoSlice::new(&large[GATHERED_BYTES_MAX..])]);
        assert!(matches!(rest, Poll::Ready(Ok(100))));
        assert_eq!((socket.written.len(), gather.bytes), (GATHERED_BYTES_MAX, 100));
    }
}
