//! What an exporter adds to the onion: sending one request once.

use std::fmt;
use std::time::Duration;

use component::{Accepted, BoxFuture, Code, Host, StartError};
use pdata::{Context, Payload};
use tokio::time::Instant;

/// Sends requests to a destination. The onion does everything else: queueing, merging, splitting, retrying, limiting
/// attempts in time, counting, reporting.
pub trait Transport: Send + Sync + 'static {
    /// Prepares for sending: resolves extensions, opens what must be open. Connecting may happen later.
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        let _ = host;
        Box::pin(async { Ok(()) })
    }

    /// One attempt to send `payload`, which came with `context`. The onion stops waiting at `deadline`; a transport that
    /// tells others about it (a header) or explains a timeout better uses it too.
    ///
    /// `Ok` is the destination's answer: how many items it refused for good, and why. Dropping the future gives up.
    ///
    /// # Errors
    /// [`SendError`].
    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        context: &'a Context,
        deadline: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>>;

    /// The largest serialized request, in bytes and uncompressed, that destinations of this kind are known to take.
    /// `None` if any size may be tried.
    fn request_limit(&self) -> Option<usize> {
        None
    }

    /// Keys of the request metadata that sending reads (client authenticators): requests that differ in them are not
    /// merged. Asked after [`Transport::start`].
    fn metadata_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where it sends to, for logs: `tempo.monitoring:4317`.
    fn destination(&self) -> String;

    /// Closes connections. Nothing is being sent any more.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Whether a request was refused for its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SizeRefusal {
    /// For another reason.
    #[default]
    No,
    /// The status does not say. Taken for a refusal for size if the request exceeds [`Transport::request_limit`].
    Unclear,
    /// For its size. The limit in bytes, when the destination named it.
    Named(Option<usize>),
}

impl SizeRefusal {
    /// Reads what a destination says when it refuses: [`SizeRefusal::Named`] if the message speaks of the size of the
    /// message, request, body or payload, with the smallest plausible number in it as the limit; else
    /// [`SizeRefusal::Unclear`].
    ///
    /// Seen: `received message larger than max (5242880 vs. 4194304)`, `message length too large: found 5000000 bytes, the
    /// limit is: 4194304 bytes`, `gRPC message exceeds maximum size 4194304: 5242880`, `request body too large`.
    #[must_use]
    pub fn in_message(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let names_subject = has(&["message", "request", "body", "payload", "entity"]);
        if !names_subject
            || !has(&[
                "larger than",
                "too large",
                "too big",
                "size exceeds",
                "exceeds maximum size",
                "exceeds the maximum",
            ])
        {
            return Self::Unclear;
        }
        let numbers = message.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<usize>().ok());
        Self::Named(numbers.filter(|number| *number >= NAMED_LIMIT_MIN).min())
    }
}

/// Smaller numbers in a message are no limits.
const NAMED_LIMIT_MIN: usize = 1024;

/// `User-Agent` of exporters: `weir/0.1.0 (linux/amd64)`.
#[must_use]
pub fn user_agent() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("weir/{} ({}/{arch})", env!("CARGO_PKG_VERSION"), std::env::consts::OS)
}

/// An attempt that failed.
pub struct SendError {
    permanent: bool,
    code: Option<Code>,
    retry_after: Option<Duration>,
    size: SizeRefusal,
    cause: &'static str,
    message: String,
    advice: Option<String>,
}

impl SendError {
    fn new(permanent: bool, cause: &'static str, message: impl Into<String>) -> Self {
        Self {
            permanent,
            code: None,
            retry_after: None,
            size: SizeRefusal::No,
            cause,
            message: message.into(),
            advice: None,
        }
    }

    /// Sending the same bytes again must fail again. `cause` is a class of failures for logs and metrics, such as the name
    /// of a status; there are few of them per transport.
    #[must_use]
    pub fn permanent(cause: &'static str, message: impl Into<String>) -> Self {
        Self::new(true, cause, message)
    }

    /// Sending the same bytes again may succeed.
    #[must_use]
    pub fn retryable(cause: &'static str, message: impl Into<String>) -> Self {
        Self::new(false, cause, message)
    }

    /// An attempt that took longer than it may.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::retryable("Deadline_Exceeded", message).with_code(Code::DeadlineExceeded)
    }

    /// Adds the status that the destination answered.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds how long the destination asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds whether the size was refused.
    #[must_use]
    pub fn with_size(mut self, size: SizeRefusal) -> Self {
        self.size = size;
        self
    }

    /// Adds what the operator can do about it.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Whether another attempt must fail.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// The destination's status.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.code
    }

    /// How long the destination asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the size was refused.
    #[must_use]
    pub fn size(&self) -> SizeRefusal {
        self.size
    }

    /// The class of the failure.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.cause
    }

    /// The value of the label `error.type`: the status' name, the Collector's names for those that clients make themselves.
    pub(crate) fn error_type(&self) -> &'static str {
        match self.code {
            Some(Code::DeadlineExceeded) => "Deadline_Exceeded",
            Some(Code::Cancelled) => "Canceled",
            Some(code) => code.name(),
            None => "_OTHER",
        }
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("permanent", &self.permanent)
            .field("code", &self.code)
            .field("cause", &self.cause)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_for_size_are_told_from_others() {
        for (message, expected) in [
            (
                "RESOURCE_EXHAUSTED: grpc: received message larger than max (5242880 vs. 4194304)",
                SizeRefusal::Named(Some(4_194_304)),
            ),
            ("grpc: received message after decompression larger than max 1048576", SizeRefusal::Named(Some(1_048_576))),
            (
                "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
                SizeRefusal::Named(Some(4_194_304)),
            ),
            ("gRPC message exceeds maximum size 4194304: 5242880", SizeRefusal::Named(Some(4_194_304))),
            ("HTTP 413: Request Entity Too Large", SizeRefusal::Named(None)),
            ("request body is larger than the limit of 20971520 bytes", SizeRefusal::Named(Some(20_971_520))),
            ("ingestion rate limit (local: 15000000 bytes) exceeded while adding 5 bytes", SizeRefusal::Unclear),
            ("TRACE_TOO_LARGE: max size of trace (5000000) exceeded while adding 100 bytes", SizeRefusal::Unclear),
            ("too many requests", SizeRefusal::Unclear),
            ("", SizeRefusal::Unclear),
        ] {
            assert_eq!(SizeRefusal::in_message(message), expected, "{message}");
        }
    }

    #[test]
    fn the_user_agent_has_the_collectors_form() {
        let agent = user_agent();
        assert!(agent.starts_with("weir/") && agent.contains(" (linux/") && agent.ends_with(')'), "{agent}");
    }
}
