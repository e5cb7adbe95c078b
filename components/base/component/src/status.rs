//! gRPC status codes, which of them may be tried again, and how they read in HTTP. The one table for both directions.
//!
//! Source: OTLP specification, sections "Failures" (gRPC and HTTP); the Collector's mapping for the rest.

use std::fmt;

/// A gRPC status code (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// Every code, by number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of that number; unknown numbers are [`Code::Unknown`].
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n)).copied().unwrap_or(Self::Unknown)
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name as in the gRPC documentation: `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether an OTLP client may send the same request again after this gRPC status. `has_retry_info` says whether the
    /// status carried `RetryInfo`, which is what makes `RESOURCE_EXHAUSTED` retryable.
    #[must_use]
    pub const fn is_retryable(self, has_retry_info: bool) -> bool {
        match self {
            Self::Cancelled
            | Self::DeadlineExceeded
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unavailable
            | Self::DataLoss => true,
            Self::ResourceExhausted => has_retry_info,
            _ => false,
        }
    }

    /// The HTTP status with which the OTLP receiver answers this code.
    #[must_use]
    pub const fn to_http(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Cancelled
            | Self::DeadlineExceeded
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unavailable
            | Self::DataLoss => 503,
            Self::ResourceExhausted => 429,
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::Unimplemented => 404,
            _ => 500,
        }
    }

    /// The code that the body of an HTTP error names.
    #[must_use]
    pub const fn from_http(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            400 | 413 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 => Self::ResourceExhausted,
            502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// Whether an OTLP client may send the same request again after this HTTP status.
    #[must_use]
    pub const fn http_is_retryable(status: u16) -> bool {
        matches!(status, 429 | 502..=504)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// number, name, retryable without and with `RetryInfo`, HTTP status: OTLP's and the Collector's tables.
    #[test]
    fn every_code_maps_as_the_specification_says() {
        let table = [
            (0, "OK", false, false, 200),
            (1, "CANCELLED", true, true, 503),
            (2, "UNKNOWN", false, false, 500),
            (3, "INVALID_ARGUMENT", false, false, 400),
            (4, "DEADLINE_EXCEEDED", true, true, 503),
            (5, "NOT_FOUND", false, false, 500),
            (6, "ALREADY_EXISTS", false, false, 500),
            (7, "PERMISSION_DENIED", false, false, 403),
            (8, "RESOURCE_EXHAUSTED", false, true, 429),
            (9, "FAILED_PRECONDITION", false, false, 500),
            (10, "ABORTED", true, true, 503),
            (11, "OUT_OF_RANGE", true, true, 503),
            (12, "UNIMPLEMENTED", false, false, 404),
            (13, "INTERNAL", false, false, 500),
            (14, "UNAVAILABLE", true, true, 503),
            (15, "DATA_LOSS", true, true, 503),
            (16, "UNAUTHENTICATED", false, false, 401),
        ];
        for (number, name, plain, with_info, http) in table {
            let code = Code::from_number(number);
            assert_eq!((u32::from(code.number()), code.name()), (number, name));
            assert_eq!((code.is_retryable(false), code.is_retryable(true), code.to_http()), (plain, with_info, http));
        }
        assert_eq!(Code::from_number(99), Code::Unknown);
        assert!((0..1000).filter(|status| Code::http_is_retryable(*status)).eq([429, 502, 503, 504]));
    }
}
