//! Extensions and the capabilities other components find in them.

use std::sync::Arc;

use pdata::{AuthData, Context, Gate};

use crate::ComponentId;
use crate::lifecycle::{BoxFuture, Component};
use crate::storage::Storage;

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

    /// As a middleware of servers (`middlewares` of receivers): asked before a request's body is read.
    fn server_gate(&self) -> Option<Arc<Gate>> {
        None
    }

    /// As a storage (`storage` of sending queues).
    fn storage(self: Arc<Self>) -> Option<Arc<dyn Storage>> {
        None
    }

    /// As a guard of the whole program: asked by every receiver before a request's body is read, without being referred to.
    fn admission_gate(&self) -> Option<Arc<Gate>> {
        None
    }
}

/// What a configuration wants of an extension it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `auth.authenticator` of a server.
    ServerAuth,
    /// `auth.authenticator` of a client.
    ClientAuth,
    /// `middlewares` of a server.
    ServerMiddleware,
    /// `middlewares` of a client.
    ClientMiddleware,
    /// `storage`.
    Storage,
    /// Something that only the component itself can tell.
    Other,
}

impl Role {
    /// Whether `extension` can be that. No extension can be a middleware of a client yet.
    #[must_use]
    pub fn suits(self, extension: &Arc<dyn Extension>) -> bool {
        match self {
            Self::ServerAuth => Arc::clone(extension).server_auth().is_some(),
            Self::ClientAuth => Arc::clone(extension).client_auth().is_some(),
            Self::ServerMiddleware => extension.server_gate().is_some(),
            Self::ClientMiddleware => false,
            Self::Storage => Arc::clone(extension).storage().is_some(),
            Self::Other => true,
        }
    }

    /// What is wrong when extension `id` does not suit, in the words of configuration errors.
    #[must_use]
    pub fn mismatch(self, id: &ComponentId) -> String {
        let (key, what) = match self {
            Self::ServerAuth => ("auth::authenticator", "cannot authenticate requests to a server"),
            Self::ClientAuth => ("auth::authenticator", "cannot authenticate requests of a client"),
            Self::ServerMiddleware => ("middlewares", "cannot be a middleware of a server"),
            Self::ClientMiddleware => ("middlewares", "cannot be a middleware of a client"),
            Self::Storage => ("storage", "is not a storage extension"),
            Self::Other => ("", "is not what it is referred to for"),
        };
        if key.is_empty() { format!("extension `{id}` {what}") } else { format!("`{key}`: extension `{id}` {what}") }
    }
}

/// A reference to an extension in a component's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionRef {
    /// Which.
    pub id: ComponentId,
    /// What for.
    pub role: Role,
}

impl From<ComponentId> for ExtensionRef {
    fn from(id: ComponentId) -> Self {
        Self { id, role: Role::Other }
    }
}

impl std::fmt::Display for ExtensionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
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
