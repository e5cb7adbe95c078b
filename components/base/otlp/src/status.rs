//! `google.rpc.Status` with `RetryInfo`, and what statuses mean: the way from a destination's answer to a
//! [`DeliveryError`], and from a [`DeliveryError`] to the answer a sender gets.
//!
//! The codes themselves are tabled in [`component::status`]. On top of them this module keeps one promise in both
//! directions: what is retryable is answered as retryable, and what is not is not, whatever the code says.
//!
//! Source: OTLP specification, "Failures"; `google/rpc/status.proto`, `google/rpc/error_details.proto`.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

mod codec;

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use component::{Code, DeliveryError};
use pdata::account::RETRY_HINT;
use pdata::{Batch, Overloaded};

use crate::encoding::Encoding;

/// The longest delay that is believed when a destination asks for one.
pub const RETRY_DELAY_MAX: Duration = Duration::from_hours(24);

/// The longest message taken over from a destination, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A `google.rpc.Status`: the body of HTTP errors, and the details of gRPC errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What happened.
    pub message: String,
    /// The delay of its `RetryInfo` detail; other details are not read.
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without `RetryInfo`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// How a request is answered that memory limits keep out.
    #[must_use]
    pub fn overloaded(overloaded: &Overloaded) -> Self {
        let retry_after = Some(overloaded.retry_after);
        Self { code: Code::Unavailable, message: overloaded.to_string(), retry_after }
    }

    /// How a gRPC client is answered.
    ///
    /// The destination's own code where it answered with one, else `UNAVAILABLE` or `INTERNAL`. Where that code would
    /// tell a client the opposite of what the error is: `RESOURCE_EXHAUSTED` gets a `RetryInfo` when sending again may
    /// help; other codes become `UNAVAILABLE` or `INTERNAL`.
    #[must_use]
    pub fn from_error(error: &DeliveryError) -> Self {
        let mut code = error.answer_code();
        let mut retry_after = error.retry_after().filter(|_| error.is_retryable());
        match (error.is_retryable(), code) {
            (true, Code::ResourceExhausted) => retry_after = Some(retry_after.unwrap_or(RETRY_HINT)),
            (true, code_now) if !code_now.is_retryable(false) => code = Code::Unavailable,
            (false, code_now) if code_now.is_retryable(false) => code = Code::Internal,
            _ => {}
        }
        Self { code, message: with_causes(error), retry_after }
    }

    /// Serialized, also as the value of `grpc-status-details-bin`.
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Proto => codec::encode_proto(self),
            Encoding::Json => codec::encode_json(self),
        }
    }

    /// Reads a serialized status; `None` if `bytes` are none.
    #[must_use]
    pub fn decode(encoding: Encoding, bytes: &[u8]) -> Option<Self> {
        match encoding {
            Encoding::Proto => codec::decode_proto(bytes).ok(),
            Encoding::Json => codec::decode_json(bytes).ok(),
        }
    }
}

/// The error and its causes, from the outside in.
fn with_causes(error: &DeliveryError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// How an HTTP client is answered when an export failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// Value of `Retry-After` in whole seconds, rounded up; only with 429 and 503.
    pub retry_after_seconds: Option<u64>,
    /// The body, to be encoded as the request was.
    pub body: Status,
}

impl HttpAnswer {
    /// The answer that goes with a status.
    #[must_use]
    pub fn from_status(body: Status) -> Self {
        let status = body.code.to_http();
        let retry_after_seconds = body
            .retry_after
            .filter(|_| matches!(status, 429 | 503))
            .map(|delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0));
        Self { status, retry_after_seconds, body }
    }

    /// The answer to an error of the pipeline.
    #[must_use]
    pub fn from_error(error: &DeliveryError) -> Self {
        Self::from_status(Status::from_error(error))
    }

    /// The answer to a request that is refused with this HTTP status before the pipeline sees it.
    #[must_use]
    pub fn refuse(status: u16, message: impl Into<String>) -> Self {
        Self { status, retry_after_seconds: None, body: Status::new(Code::from_http(status), message) }
    }
}

/// What a destination's refusal means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code; for HTTP the one that stands for the status.
    pub code: Code,
    /// Whether the same request may be sent again.
    pub retryable: bool,
    /// How long to wait before that, when the destination said so; at most [`RETRY_DELAY_MAX`].
    pub retry_after: Option<Duration>,
    /// What it answered, at most 1 KiB of its own words.
    pub message: String,
}

impl Refusal {
    /// Reads a gRPC status. `details` is the decoded value of `grpc-status-details-bin`, empty if there was none.
    /// `RESOURCE_EXHAUSTED` is retryable only if it carries `RetryInfo`.
    #[must_use]
    pub fn from_grpc(code: Code, message: &str, details: &[u8]) -> Self {
        let retry_info = Status::decode(Encoding::Proto, details).and_then(|status| status.retry_after);
        Self {
            code,
            retryable: code.is_retryable(retry_info.is_some()),
            retry_after: retry_info.map(|delay| delay.min(RETRY_DELAY_MAX)),
            message: answered(code.name(), message),
        }
    }

    /// Reads an HTTP answer that is not 2xx. `retry_after` is that header's value (seconds or a date), `body` what there
    /// was of a body; `now` is what a date is compared with.
    #[must_use]
    pub fn from_http(
        status: u16,
        retry_after: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
        now: SystemTime,
    ) -> Self {
        let message = match content_type.and_then(Encoding::from_content_type) {
            Some(encoding) => Status::decode(encoding, body).map(|status| status.message),
            None => std::str::from_utf8(body).ok().map(str::to_owned),
        };
        let retry_after = retry_after.filter(|_| matches!(status, 429 | 503));
        Self {
            code: Code::from_http(status),
            retryable: Code::http_is_retryable(status),
            retry_after: retry_after.and_then(|value| retry_delay(value, now)),
            message: answered(&format!("HTTP {status}"), message.as_deref().unwrap_or_default()),
        }
    }

    /// The error for a batch that met this refusal, to be handed back if it is retryable.
    #[must_use]
    pub fn into_error(self, undelivered: Option<Batch>) -> DeliveryError {
        let mut error = match self.retryable {
            true => DeliveryError::retryable_kept(self.message),
            false => DeliveryError::permanent(self.message),
        };
        error = error.with_code(self.code);
        if let Some(delay) = self.retry_after {
            error = error.with_retry_after(delay);
        }
        match undelivered {
            Some(batch) => error.with_undelivered(batch),
            None => error,
        }
    }
}

fn answered(status: &str, message: &str) -> String {
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    match message.get(..end).map(str::trim) {
        None | Some("") => format!("the destination answered {status}"),
        Some(message) => format!("the destination answered {status}: {message}"),
    }
}

/// The delay that a `Retry-After` header asks for: seconds, or an HTTP date.
fn retry_delay(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let delay = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(delay.min(RETRY_DELAY_MAX))
}

#[cfg(test)]
mod tests;
