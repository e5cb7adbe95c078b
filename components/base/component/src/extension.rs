//! Extensions and the capabilities other components find in them.

use std::sync::Arc;

use pdata::{AuthData, Context};

use crate::lifecycle::{BoxFuture, Component};

/// A service beside the pipelines. What else it can do is asked for by capability.
pub trait Extension: Component {
    /// As a server authenticator (`auth.authenticator` of receivers).
    fn server_auth(self: Arc<Self>) -> Option<Arc<dyn ServerAuth>> {
        None
    }

    /// As a client authenticator (`auth.authenticator` of exporters).
    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        None
    }
}

/// Read access to a request's headers (HTTP headers, gRPC metadata; query parameters where they were asked for).
pub trait RequestHeaders: Sync {
    /// First value of `name`, which is in lower case; `None` if absent or not text.
    fn get(&self, name: &str) -> Option<&str>;
}

/// Why a request is not let in. Answered with 401 / `UNAUTHENTICATED`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(pub String);

/// Decides whether a request may enter.
pub trait ServerAuth: Send + Sync {
    /// Checks the request's headers. Runs before its body is read.
    fn authenticate<'a>(&'a self, headers: &'a dyn RequestHeaders) -> BoxFuture<'a, Result<Arc<AuthData>, AuthError>>;
}

/// What to do with a header of an outgoing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderAction {
    /// Add unless present.
    Insert,
    /// Replace if present.
    Update,
    /// Add or replace.
    Upsert,
    /// Remove.
    Delete,
}

/// One change to the headers of an outgoing request.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHeader {
    /// What to do.
    pub action: HeaderAction,
    /// Name in lower case.
    pub name: String,
    /// Value; empty for [`HeaderAction::Delete`]. A secret.
    pub value: String,
}

impl std::fmt::Debug for ClientHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientHeader").field("action", &self.action).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Adds credentials to outgoing requests.
pub trait ClientAuth: Send + Sync {
    /// The changes for a request that carries a batch of `context`, in order.
    ///
    /// # Errors
    /// [`AuthError`] when there are no credentials at the moment; the request counts as failed and is retried.
    fn headers(&self, context: &Context) -> Result<Vec<ClientHeader>, AuthError>;

    /// Metadata keys it reads from the context; batches that differ in them are not merged.
    fn metadata_keys(&self) -> Vec<String> {
        Vec::new()
    }
}
