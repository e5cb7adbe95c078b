//! The words of OTLP on the wire: signals, paths, gRPC's five-byte frame, status codes and their names.
//!
//! Sources: gRPC over HTTP/2 (framing, `grpc-status`), OTLP 1.10 (paths, which refusals may be sent again).

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes in front of every gRPC message: a compression flag and a big-endian length.
pub const GRPC_HEADER_BYTES: usize = 5;

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// The pipeline key in the Collector's YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What one item of the signal is called.
    #[must_use]
    pub fn item_name(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "data points",
            Self::Logs => "log records",
        }
    }

    /// The path of the `Export` call.
    #[must_use]
    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// The path of OTLP/HTTP.
    #[must_use]
    pub fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The signal that a request's path names, by either transport.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        [Self::Traces, Self::Metrics, Self::Logs]
            .into_iter()
            .find(|signal| path == signal.grpc_path() || path == signal.http_path())
    }
}

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// OTLP/gRPC: HTTP/2 without TLS.
    Grpc,
    /// OTLP/HTTP with protobuf bodies: HTTP/1.1 without TLS.
    Http,
}

/// How a request's body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// As it is.
    None,
    /// Gzip.
    Gzip,
}

/// `message` behind the frame header that gRPC asks for.
///
/// # Panics
///
/// When the message is 4 GiB or longer.
#[must_use]
pub fn grpc_frame(message: &[u8], compressed: bool) -> Bytes {
    let length = u32::try_from(message.len()).expect("a generated message is shorter than 4 GiB");
    let mut frame = BytesMut::with_capacity(GRPC_HEADER_BYTES + message.len());
    frame.put_u8(u8::from(compressed));
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// Compression flag and message of a body that holds one gRPC frame; `None` where the body is not exactly that.
#[must_use]
pub fn grpc_unframe(body: &[u8]) -> Option<(bool, &[u8])> {
    let (header, message) = body.split_first_chunk::<GRPC_HEADER_BYTES>()?;
    let [flag, length @ ..] = *header;
    (u32::from_be_bytes(length) as usize == message.len()).then_some((flag == 1, message))
}

const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A status code of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcCode(pub u8);

impl GrpcCode {
    /// Handled.
    pub const OK: Self = Self(0);
    /// Not what it should be; will never be accepted.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// Too large, or over a quota.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// No such method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// Not now.
    pub const UNAVAILABLE: Self = Self(14);

    /// The name in the gRPC specification; `UNKNOWN` for numbers it does not list.
    #[must_use]
    pub fn name(self) -> &'static str {
        GRPC_CODES.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }

    /// Reads a number or a name in any case, as given on a command line.
    ///
    /// # Errors
    ///
    /// A text that is neither, or OK, which is no refusal.
    pub fn parse_refusal(text: &str) -> Result<Self, String> {
        let named = GRPC_CODES.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = named.or_else(|| text.parse().ok().filter(|&number| number < GRPC_CODES.len()));
        match number.and_then(|number| u8::try_from(number).ok()) {
            Some(0) => Err("code `OK` is no refusal".to_owned()),
            Some(number) => Ok(Self(number)),
            None => Err(format!("`{text}` is no gRPC status code, expected a name such as UNAVAILABLE or 1 to 16")),
        }
    }

    /// The HTTP status that says the same over OTLP/HTTP.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self.0 {
            3 | 9 | 11 => 400,
            16 => 401,
            7 => 403,
            5 => 404,
            8 => 429,
            12 => 501,
            14 | 1 | 10 => 503,
            4 => 504,
            _ => 500,
        }
    }

    /// Whether OTLP lets a client send the request again.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self.0, 1 | 4 | 8 | 10 | 11 | 14 | 15)
    }
}

/// Whether OTLP/HTTP lets a client send the request again.
#[must_use]
pub fn is_http_status_retryable(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_and_unframe_are_inverse() {
        let frame = grpc_frame(b"abc", true);
        assert_eq!(&frame[..], [1, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(grpc_unframe(&frame), Some((true, &b"abc"[..])));
    }

    #[test]
    fn unframe_refuses_what_is_not_one_frame() {
        assert_eq!(grpc_unframe(&[]), None);
        assert_eq!(grpc_unframe(&[0, 0, 0, 0]), None);
        assert_eq!(grpc_unframe(&[0, 0, 0, 0, 2, 1]), None);
        assert_eq!(grpc_unframe(&[0, 0, 0, 0, 0, 1]), None);
    }

    #[test]
    fn refusal_codes_are_read_by_name_and_number() {
        assert_eq!(GrpcCode::parse_refusal("unavailable"), Ok(GrpcCode::UNAVAILABLE));
        assert_eq!(GrpcCode::parse_refusal("8"), Ok(GrpcCode::RESOURCE_EXHAUSTED));
        for wrong in ["OK", "0", "17", "-1", "nonsense"] {
            assert!(GrpcCode::parse_refusal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_name_their_signal() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            assert_eq!(Signal::from_path(signal.grpc_path()), Some(signal));
            assert_eq!(Signal::from_path(signal.http_path()), Some(signal));
        }
        assert_eq!(Signal::from_path("/v1/profiles"), None);
    }
}
