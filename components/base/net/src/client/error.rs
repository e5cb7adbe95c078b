//! What can go wrong between here and a server, by phase, with a hint where the cause is known.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use component::Code;

use crate::server::GrpcStatus;

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the host.
    Resolve,
    /// Connecting, to the server or a proxy.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Getting credentials.
    Auth,
    /// Sending the request.
    Send,
    /// Waiting for the answer.
    Wait,
}

impl Phase {
    /// Its name, as the class of a failure without an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Send => "send",
            Self::Wait => "wait",
        }
    }

    /// What was being done, for messages.
    #[must_use]
    pub const fn attempted(self) -> &'static str {
        match self {
            Self::Resolve => "resolve the host",
            Self::Connect => "connect",
            Self::Tls => "complete the TLS handshake",
            Self::Auth => "get credentials",
            Self::Send => "send the request",
            Self::Wait => "get an answer",
        }
    }
}

/// A connection that could not be opened, shared by the calls that waited for it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectError {
    pub(crate) phase: Phase,
    /// Without hint.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Why a call failed.
#[derive(Debug)]
pub enum CallError {
    /// The server answered with a gRPC status other than `OK`.
    Status(GrpcStatus),
    /// No answer came.
    Transport {
        /// How far it came.
        phase: Phase,
        /// What happened, on what, with its causes.
        message: String,
        /// What to do about it, where that is known: ``the server does not speak TLS: set `tls::insecure` to true``.
        hint: Option<String>,
        /// The server certainly did not process the request.
        is_unprocessed: bool,
    },
    /// The deadline passed.
    Timeout {
        /// How far it came.
        phase: Phase,
        /// Time since the call began.
        elapsed: Duration,
    },
}

impl CallError {
    pub(crate) fn transport(phase: Phase, message: impl Into<String>) -> Self {
        let is_unprocessed = !matches!(phase, Phase::Send | Phase::Wait);
        Self::Transport { phase, message: message.into(), hint: None, is_unprocessed }
    }

    /// The code that comes closest: a status' own, `DEADLINE_EXCEEDED` for timeouts, else `UNAVAILABLE`.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Status(status) => status.code,
            Self::Timeout { .. } => Code::DeadlineExceeded,
            Self::Transport { phase: Phase::Auth, .. } => Code::Unauthenticated,
            Self::Transport { .. } => Code::Unavailable,
        }
    }
}

impl From<ConnectError> for CallError {
    fn from(error: ConnectError) -> Self {
        Self::Transport { phase: error.phase, message: error.message, hint: error.hint, is_unprocessed: true }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered {status}"),
            Self::Transport { message, hint, .. } => {
                f.write_str(message)?;
                hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
            }
            Self::Timeout { phase, elapsed } => {
                write!(f, "timed out after {} ms while trying to {}", elapsed.as_millis(), phase.attempted())
            }
        }
    }
}

impl Error for CallError {}

/// What to do about a failed TLS handshake.
pub(crate) fn tls_hint(error: &io::Error) -> Option<String> {
    use rustls::{AlertDescription, CertificateError, Error as Tls};
    let hint = match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
        Some(Tls::InvalidMessage(_)) => {
            "the server does not speak TLS: set `tls::insecure` to true (or use `http://`), or use its TLS port"
        }
        Some(Tls::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "the server's certificate is not signed by a known CA: give the CA in `tls::ca_file`"
        }
        Some(Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "the server's certificate is for another name: give that name in `tls::server_name_override`",
        Some(Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "the server's certificate has expired"
        }
        Some(Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown,
        )) => "the server wants a client certificate that it trusts: give one in `tls::cert_file` and `tls::key_file`",
        Some(Tls::AlertReceived(AlertDescription::HandshakeFailure)) => {
            "the server does not speak TLS on this port, or allows none of our versions and suites"
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset => {
            "the server closed the connection: perhaps it does not speak TLS on this port"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do when a server's first bytes are not HTTP/2.
pub(crate) fn not_h2(first: &[u8]) -> (String, Option<String>) {
    let (message, hint) = match first {
        [0x15, 0x03, ..] => (
            "the server answered with a TLS alert",
            Some("the server speaks TLS: set `tls::insecure` to false, or use its plaintext port"),
        ),
        _ if first.starts_with(b"HTTP/1") => (
            "the server answered in HTTP/1",
            Some("this port does not speak gRPC: OTLP over gRPC is usually on port 4317, over HTTP on 4318"),
        ),
        [] => {
            ("the server closed the connection without an answer", Some("perhaps it speaks TLS, or is no gRPC server"))
        }
        _ => ("the server does not speak HTTP/2", Some("this port does not speak gRPC")),
    };
    (message.to_owned(), hint.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_attempted_and_what_to_do() {
        let (message, hint) = not_h2(b"HTTP/1.1 400");
        let error = CallError::from(ConnectError { phase: Phase::Connect, message, hint });
        assert!(error.to_string().starts_with("the server answered in HTTP/1 (this port does not speak gRPC"));
        let error = CallError::Timeout { phase: Phase::Wait, elapsed: Duration::from_millis(5001) };
        assert_eq!(error.to_string(), "timed out after 5001 ms while trying to get an answer");
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(CallError::transport(Phase::Auth, "x").code(), Code::Unauthenticated);
    }
}
