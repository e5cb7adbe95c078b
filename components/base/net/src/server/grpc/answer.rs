//! Answers: a message with trailers, a stream of messages with trailers, or trailers only.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use component::Code;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::{Body, Frame};

use crate::grpc::{ACCEPT_ENCODING, CONTENT_TYPE_GRPC, GRPC_ACCEPT_ENCODING, GRPC_STATUS, status_headers};
use crate::server::connection::Running;
use crate::server::grpc::{GrpcStatus, Messages};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum GrpcBody {
    /// Trailers only, which are in the head.
    Empty,
    /// The message, then the trailers. The request runs until both are sent.
    Message { data: Option<Bytes>, trailers: Option<HeaderMap>, _running: Running },
    /// Messages as they come, then the trailers.
    Stream { messages: Messages, is_over: bool, _running: Running },
    /// Text, for clients that do not speak gRPC.
    Text(Option<Bytes>),
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.get_mut() {
            Self::Empty => None,
            Self::Message { data, trailers, .. } => {
                data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers))
            }
            Self::Stream { is_over: true, .. } => None,
            Self::Stream { messages, is_over, .. } => Some(match ready!(messages.poll_recv(cx)) {
                Some(Ok(message)) => Frame::data(framed(&message)),
                end => {
                    *is_over = true;
                    let status = end.and_then(Result::err).unwrap_or_else(|| GrpcStatus::new(Code::Ok, ""));
                    let mut trailers = HeaderMap::new();
                    status_headers(&mut trailers, &status);
                    Frame::trailers(trailers)
                }
            }),
            Self::Text(text) => text.take().map(Frame::data),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Message { data, trailers, .. } => data.is_none() && trailers.is_none(),
            Self::Stream { is_over, .. } => *is_over,
            Self::Text(text) => text.is_none(),
        }
    }
}

/// Success.
pub(super) fn message(message: &Bytes, running: Running) -> Response<GrpcBody> {
    let data = if message.is_empty() {
        // What most exports are answered with.
        Bytes::from_static(&[0; 5])
    } else {
        framed(message)
    };
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response =
        Response::new(GrpcBody::Message { data: Some(data), trailers: Some(trailers), _running: running });
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}

/// Success, so far.
pub(super) fn stream(messages: Messages, running: Running) -> Response<GrpcBody> {
    let mut response = Response::new(GrpcBody::Stream { messages, is_over: false, _running: running });
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}

/// The message with its prefix, uncompressed.
fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    framed.freeze()
}

/// Failure.
pub(super) fn status(status: &GrpcStatus) -> Response<GrpcBody> {
    let mut response = Response::new(GrpcBody::Empty);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    status_headers(headers, status);
    if status.code == Code::Unimplemented {
        headers.insert(GRPC_ACCEPT_ENCODING, ACCEPT_ENCODING);
    }
    response
}

/// The status for a method that nobody serves, in grpc-go's words.
pub(super) fn unknown(path: &str) -> GrpcStatus {
    let shown: String = path.trim_start_matches('/').chars().take(200).collect();
    let (service, method) = shown.rsplit_once('/').unwrap_or((&shown, ""));
    GrpcStatus::new(Code::Unimplemented, format!("unknown service {service} or unknown method {method}"))
}

/// An answer below gRPC.
pub(super) fn http_error(status: u16, text: &'static str) -> Response<GrpcBody> {
    let mut response = Response::new(GrpcBody::Text(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == 405 {
        headers.insert(HeaderName::from_static("allow"), HeaderValue::from_static("POST"));
    }
    response
}
