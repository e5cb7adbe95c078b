//! Reading the answer of a unary call.

use bytes::{Buf, Bytes, BytesMut};
use component::Code;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use pdata::ByteAccount;

use crate::client::{CallError, Phase};
use crate::compression::{Algorithm, inflate};
use crate::grpc::{read_status, request_encoding};
use crate::server::GrpcStatus;

/// Largest answer in bytes, gRPC's default.
pub(super) const REPLY_BYTES_MAX: usize = 4 << 20;

/// Text of a foreign answer that is quoted, in bytes.
const QUOTED_BYTES_MAX: usize = 300;

/// The message, or why there is none.
pub(super) async fn read(response: Response<Incoming>) -> Result<Bytes, CallError> {
    let (head, mut body) = response.into_parts();
    if let Some(status) = read_status(&head.headers)
        && (status.code != Code::Ok || http_body::Body::is_end_stream(&body))
    {
        // Trailers only.
        return if status.code == Code::Ok { Ok(Bytes::new()) } else { Err(CallError::Status(status)) };
    }
    let content_type = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_grpc = content_type.is_some_and(|kind| kind.starts_with("application/grpc"));
    if head.status != StatusCode::OK || !is_grpc {
        return Err(foreign(head.status, content_type.unwrap_or_default(), body).await);
    }
    // Go's servers answer in the compression of the request, asked for or not.
    let encoding = request_encoding(&head.headers);
    let mut data = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            CallError::transport(Phase::Wait, format!("the answer broke off: {}", crate::report(&error)))
        })?;
        match frame.into_data() {
            Ok(part) => {
                if data.len() + part.len() > REPLY_BYTES_MAX + 5 {
                    let message = format!("grpc: received message larger than max ({REPLY_BYTES_MAX} bytes)");
                    return Err(CallError::Status(GrpcStatus::new(Code::ResourceExhausted, message)));
                }
                data.extend_from_slice(&part);
            }
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    match trailers.as_ref().and_then(read_status) {
        None => Err(CallError::transport(Phase::Wait, "the answer ended without a gRPC status")),
        Some(status) if status.code != Code::Ok => Err(CallError::Status(status)),
        Some(_) => message(data.freeze(), encoding).await,
    }
}

/// Takes the message out of its frame. `encoding` is what the headers announced.
async fn message(mut data: Bytes, encoding: Result<Option<Algorithm>, GrpcStatus>) -> Result<Bytes, CallError> {
    let internal = |text: String| CallError::Status(GrpcStatus::new(Code::Internal, text));
    if data.len() < 5 {
        return Err(internal("the answer has no message".to_owned()));
    }
    let (flag, bytes) = (data.get_u8(), usize::try_from(data.get_u32()).unwrap_or(usize::MAX));
    if bytes != data.len() {
        return Err(internal(format!("the answer announced {bytes} bytes and has {}", data.len())));
    }
    if flag == 0 {
        return Ok(data);
    }
    let Some(algorithm) = encoding.map_err(CallError::Status)? else {
        return Err(internal("the answer is compressed, and does not say how".to_owned()));
    };
    // Answers are small and short-lived; the limit bounds them, not the account.
    let mut charge = ByteAccount::unlimited().charge(data.len());
    let inflated = inflate(algorithm, data.into(), REPLY_BYTES_MAX, &mut charge).await;
    inflated.map(Bytes::from).map_err(|error| internal(format!("cannot decompress the answer: {error}")))
}

/// An answer that is not gRPC's, by gRPC's table of HTTP statuses.
async fn foreign(status: StatusCode, content_type: &str, mut body: Incoming) -> CallError {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let mut text = String::new();
    if let Some(Ok(frame)) = body.frame().await
        && let Some(data) = frame.data_ref()
    {
        text = String::from_utf8_lossy(data.get(..QUOTED_BYTES_MAX).unwrap_or(data)).trim().to_owned();
    }
    let message = format!("the server answered HTTP {status} with content type `{content_type}`: `{text}`");
    CallError::Status(GrpcStatus::new(code, message))
}
