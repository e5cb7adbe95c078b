//! The body of an answer: at most one chunk, then at most one set of trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use crate::wire::GRPC_HEADER_BYTES;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Answer {
    chunk: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Answer {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn chunk(chunk: impl Into<Bytes>) -> Self {
        Self { chunk: Some(chunk.into()), trailers: None }
    }

    /// An empty gRPC message and the trailers that say OK.
    pub(super) fn grpc_ok() -> Self {
        let trailers =
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        Self { chunk: Some(Bytes::from_static(&[0; GRPC_HEADER_BYTES])), trailers: Some(trailers) }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunk.take().map(Frame::data);
        Poll::Ready(chunk.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunk.as_ref().map_or(0, |chunk| chunk.len() as u64))
    }
}
