//! A request body made of buffers that are not copied: one frame that HTTP/2 or HTTP/1 cuts as it likes.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// Buffers read one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    /// In reverse order, none empty.
    parts: Vec<Bytes>,
    remaining: usize,
}

impl Rope {
    /// A message with gRPC's prefix.
    pub(crate) fn framed(is_compressed: bool, parts: &[Bytes]) -> Self {
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        let [a, b, c, d] = u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
        let mut rope = Self::new(parts);
        rope.parts.push(Bytes::copy_from_slice(&[u8::from(is_compressed), a, b, c, d]));
        rope.remaining += 5;
        rope
    }

    pub(crate) fn new(parts: &[Bytes]) -> Self {
        let mut reversed = Vec::with_capacity(parts.len() + 1);
        reversed.extend(parts.iter().rev().filter(|part| !part.is_empty()).cloned());
        let remaining = reversed.iter().map(Bytes::len).sum();
        Self { parts: reversed, remaining }
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.parts.last().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, part) in into.iter_mut().zip(self.parts.iter().rev()) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut bytes: usize) {
        self.remaining -= bytes;
        while let Some(part) = self.parts.last_mut() {
            if bytes < part.len() {
                part.advance(bytes);
                break;
            }
            bytes -= part.len();
            self.parts.pop();
        }
    }
}

/// A body of one rope.
#[derive(Debug, Default)]
pub(crate) struct RopeBody(Option<Rope>);

impl RopeBody {
    pub(crate) fn new(rope: Rope) -> Self {
        Self(Some(rope).filter(Buf::has_remaining))
    }
}

impl Body for RopeBody {
    type Data = Rope;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Rope>, Infallible>>> {
        Poll::Ready(self.0.take().map(|rope| Ok(Frame::data(rope))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |rope| u64::try_from(rope.remaining).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_buffer_however_it_is_cut() {
        let parts = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cde")];
        let whole = b"\x01\0\0\0\x05abcde";
        for step in 1..=whole.len() {
            let mut rope = Rope::framed(true, &parts);
            let mut read = Vec::new();
            while rope.has_remaining() {
                let taken = step.min(rope.remaining());
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = rope.chunks_vectored(&mut slices);
                let visible: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
                assert_eq!(visible, rope.remaining());
                read.extend_from_slice(&rope.copy_to_bytes(taken));
            }
            assert_eq!(read, whole);
        }
        assert!(RopeBody::new(Rope::new(&[])).is_end_stream());
    }
}
