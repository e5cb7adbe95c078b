//! Why a statement could not be run on a record.

use std::borrow::Cow;

use pdata::edit::EditError;

/// A statement failed on a record. The components' `error_mode` says what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub Cow<'static, str>);

impl RunError {
    /// An error with a text made at run time.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(Cow::Owned(message.into()))
    }

    /// A value of another type than expected: ``expected a string, found `int` ``.
    #[must_use]
    pub fn expected(what: &'static str, found: &crate::Value<'_>) -> Self {
        Self::new(format!("expected {what}, found {}", found.type_name()))
    }
}

impl From<&'static str> for RunError {
    fn from(message: &'static str) -> Self {
        Self(Cow::Borrowed(message))
    }
}

impl From<EditError> for RunError {
    fn from(error: EditError) -> Self {
        Self::new(error.to_string())
    }
}
