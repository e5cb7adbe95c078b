//! One request of the sink: read, judge, wait, count, answer.

use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;

use flate2::bufread::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Answer, BODY_BYTES_HARD_MAX, Counters, Shared};
use crate::count;
use crate::wire::{GrpcCode, Signal, Transport, grpc_unframe};

/// Why a request is refused, in the words of both transports.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    code: GrpcCode,
    status: u16,
    reason: &'static str,
}

impl Refusal {
    const NO_METHOD: Self = Self { code: GrpcCode::UNIMPLEMENTED, status: 404, reason: "no such method" };
    const TOO_LARGE: Self =
        Self { code: GrpcCode::RESOURCE_EXHAUSTED, status: 413, reason: "request is larger than the limit" };

    fn malformed(reason: &'static str) -> Self {
        Self { code: GrpcCode::INVALID_ARGUMENT, status: 400, reason }
    }

    fn on_purpose(code: GrpcCode) -> Self {
        Self { code, status: code.http_status(), reason: "refused on purpose" }
    }
}

/// Room made for a body before its first bytes are there; larger ones grow.
const BODY_BYTES_EXPECTED_MAX: u64 = 4 << 20;

/// Answers one OTLP request.
///
/// # Errors
///
/// Only where the client's body breaks off: there is nobody left to answer then.
pub(super) async fn handle(
    request: Request<Incoming>,
    transport: Transport,
    shared: &Shared,
) -> Result<Response<Answer>, hyper::Error> {
    let refuse = |refusal| {
        shared.counters.refused_requests.fetch_add(1, Relaxed);
        Ok(refused(transport, refusal))
    };
    let (head, body) = request.into_parts();
    let Some(signal) = Signal::from_path(head.uri.path()).filter(|_| head.method == Method::POST) else {
        return refuse(Refusal::NO_METHOD);
    };
    let bytes_max = shared.settings.body_bytes_max.min(BODY_BYTES_HARD_MAX);
    let Some(body) = read(&head.headers, body, bytes_max).await? else {
        return refuse(Refusal::TOO_LARGE);
    };
    let found = if shared.settings.is_counting {
        let is_counting_traces = shared.settings.is_counting_traces && signal == Signal::Traces;
        look(signal, transport, &head.headers, &body, is_counting_traces)
    } else {
        Ok(Found::default())
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => return refuse(Refusal::malformed(reason)),
    };
    if !shared.settings.delay.is_zero() {
        tokio::time::sleep(shared.settings.delay).await;
    }
    if *shared.stalled.borrow() {
        // The sender lives as long as the sink; without it nothing is served, so that its loss needs no answer.
        drop(shared.stalled.clone().wait_for(|stalled| !stalled).await);
    }
    if takes_failing_turn(shared) {
        return refuse(Refusal::on_purpose(shared.settings.fail_code));
    }
    shared.counters.accepted_requests.fetch_add(1, Relaxed);
    shared.counters.body_bytes.fetch_add(body.len() as u64, Relaxed);
    if !found.trace_ids.is_empty() {
        shared.counters.count_traces(&found.trace_ids);
    }
    shared.counters.items.fetch_add(found.items, Relaxed);
    Ok(acceptance(transport))
}

/// The counts as JSON.
pub(super) fn stats(request: &Request<Incoming>, counters: &Counters) -> Response<Answer> {
    let mut response = Response::new(Answer::empty());
    if request.method() == Method::GET && request.uri().path() == "/stats" {
        *response.body_mut() = Answer::chunk(counters.to_json().to_string());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// The whole body; `None` when it is longer than `bytes_max`.
async fn read(headers: &HeaderMap, mut body: Incoming, bytes_max: u64) -> Result<Option<Vec<u8>>, hyper::Error> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let expected = announced.or(body.size_hint().exact()).unwrap_or(512 << 10);
    if announced.is_some_and(|announced| announced > bytes_max) {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(expected.min(BODY_BYTES_EXPECTED_MAX) as usize);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() as u64 + data.len() as u64 > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Some(bytes))
}

/// What a request holds.
#[derive(Default)]
struct Found {
    items: u64,
    /// One for each span, if they are wanted.
    trace_ids: Vec<[u8; 16]>,
}

fn look(
    signal: Signal,
    transport: Transport,
    headers: &HeaderMap,
    body: &[u8],
    is_counting_traces: bool,
) -> Result<Found, &'static str> {
    let (is_compressed, message) = match transport {
        Transport::Grpc => grpc_unframe(body).ok_or("body is not one gRPC message")?,
        Transport::Http => (headers.contains_key(CONTENT_ENCODING), body),
    };
    let unpacked;
    let message = if is_compressed {
        let encoding = match transport {
            Transport::Grpc => headers.get("grpc-encoding"),
            Transport::Http => headers.get(CONTENT_ENCODING),
        };
        if encoding.is_none_or(|encoding| encoding != "gzip") {
            return Err("body is compressed with something other than gzip");
        }
        unpacked = gunzip(message).map_err(|_cut_or_too_long| "body is not gzip, or too long")?;
        unpacked.as_slice()
    } else {
        message
    };
    let mut found = Found { items: count::items(signal, message).ok_or(MALFORMED)?, ..Found::default() };
    if is_counting_traces {
        let mut note = |id: &[u8]| found.trace_ids.extend(id.try_into().ok() as Option<[u8; 16]>);
        count::for_each_trace_id(message, &mut note).ok_or(MALFORMED)?;
    }
    Ok(found)
}

const MALFORMED: &str = "message is not OTLP protobuf";

fn gunzip(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(8).min(BODY_BYTES_EXPECTED_MAX as usize));
    let read = MultiGzDecoder::new(packed).take(BODY_BYTES_HARD_MAX + 1).read_to_end(&mut unpacked)?;
    if read as u64 > BODY_BYTES_HARD_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(unpacked) }
}

/// Spreads refusals evenly: turn n fails where n × ratio passes a whole number.
fn takes_failing_turn(shared: &Shared) -> bool {
    let ratio = shared.settings.fail_ratio;
    if ratio <= 0.0 {
        return false;
    }
    let turn = shared.fail_turns.fetch_add(1, Relaxed) as f64;
    ((turn + 1.0) * ratio).floor() > (turn * ratio).floor()
}

fn acceptance(transport: Transport) -> Response<Answer> {
    let (answer, content_type) = match transport {
        Transport::Grpc => (Answer::grpc_ok(), "application/grpc"),
        Transport::Http => (Answer::empty(), "application/x-protobuf"),
    };
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refused(transport: Transport, refusal: Refusal) -> Response<Answer> {
    let mut response = Response::new(Answer::empty());
    match transport {
        Transport::Grpc => {
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from(u16::from(refusal.code.0)));
            headers.insert("grpc-message", HeaderValue::from_static(refusal.reason));
        }
        Transport::Http => {
            *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            *response.body_mut() = Answer::chunk(refusal.reason);
        }
    }
    response
}
