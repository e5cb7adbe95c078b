//! Errors of the contract: starting, building, shutting down, delivering.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use pdata::{Batch, Overloaded};

use crate::ComponentId;
use crate::status::Code;

/// The settings are well-formed, but no component can be built from them.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// What is wrong, in the user's words.
    pub message: String,
    /// Key path below the component's block that is to blame, `sending_queue::storage`; empty for the block itself.
    pub path: String,
}

impl BuildError {
    /// An error that blames the component's whole block.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: String::new() }
    }

    /// An error that blames one key.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), path: path.into() }
    }
}

/// A component could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {component}: {attempted}")]
pub struct StartError {
    /// Who.
    pub component: String,
    /// What was attempted, on what: ``listen on `localhost:4317` ``.
    pub attempted: String,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StartError {
    /// An error with its cause.
    pub fn new(
        id: &ComponentId,
        attempted: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { component: format!("`{id}`"), attempted: attempted.into(), source: Some(source.into()) }
    }

    /// An error whose text says it all.
    pub fn plain(id: &ComponentId, attempted: impl Into<String>) -> Self {
        Self { component: format!("`{id}`"), attempted: attempted.into(), source: None }
    }
}

/// A component could not shut down cleanly; it is stopped nevertheless.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ShutdownError(pub String);

/// A batch was not, or not wholly, delivered. Small: one pointer.
pub struct DeliveryError(Box<Inner>);

struct Inner {
    retryable: bool,
    retry_after: Option<Duration>,
    code: Option<Code>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    undelivered: Option<Batch>,
}

impl DeliveryError {
    fn new(retryable: bool, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            retryable,
            retry_after: None,
            code: None,
            message: message.into(),
            source: None,
            undelivered: None,
        }))
    }

    /// Sending the same bytes again must fail again. Whoever raises it has settled the items, or hands them back.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(false, message)
    }

    /// Sending the same bytes again may succeed; `undelivered` is what should be sent again.
    #[must_use]
    pub fn retryable(message: impl Into<String>, undelivered: Batch) -> Self {
        Self::new(true, message).with_undelivered(undelivered)
    }

    /// Retryable, for those who keep the batch themselves (a sender inside the delivery onion).
    #[must_use]
    pub fn retryable_kept(message: impl Into<String>) -> Self {
        Self::new(true, message)
    }

    /// Memory is over its limit.
    #[must_use]
    pub fn overloaded(overloaded: Overloaded, undelivered: Batch) -> Self {
        Self::retryable(overloaded.to_string(), undelivered).with_retry_after(overloaded.retry_after)
    }

    /// Adds how long to wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds the status that the destination answered.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the batch that was not delivered.
    #[must_use]
    pub fn with_undelivered(mut self, undelivered: Batch) -> Self {
        self.0.undelivered = Some(undelivered);
        self
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long to wait before it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The destination's status, when one answered.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.0.code
    }

    /// The status with which a receiver answers: the destination's own, else `UNAVAILABLE` for retryable errors and
    /// `INTERNAL` for permanent ones.
    #[must_use]
    pub fn answer_code(&self) -> Code {
        self.0.code.filter(|code| *code != Code::Ok).unwrap_or(if self.0.retryable {
            Code::Unavailable
        } else {
            Code::Internal
        })
    }

    /// What happened, without the cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Takes out the batch that was not delivered.
    #[must_use]
    pub fn take_undelivered(&mut self) -> Option<Batch> {
        self.0.undelivered.take()
    }

    /// Items handed back.
    #[must_use]
    pub fn undelivered_items(&self) -> u64 {
        self.0.undelivered.as_ref().map_or(0, Batch::items)
    }
}

impl fmt::Debug for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryError")
            .field("retryable", &self.0.retryable)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("undelivered_items", &self.undelivered_items())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = source.as_ref();
            source
        })
    }
}
