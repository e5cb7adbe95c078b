//! What users write.

use component::{ComponentId, HeaderAction};
use config::{Config, Secret, Validator};

/// Headers to set.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HeadersSetterConfig::check)]
pub struct HeadersSetterConfig {
    /// Changes, in order.
    pub headers: Vec<HeaderConfig>,
    /// Authenticator whose changes come first.
    pub additional_auth: Option<ComponentId>,
}

/// What to do with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Action {
    /// Add unless present.
    Insert,
    /// Replace if present.
    Update,
    /// Add or replace.
    #[config(default)]
    Upsert,
    /// Remove.
    Delete,
}

impl From<Action> for HeaderAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Insert => Self::Insert,
            Action::Update => Self::Update,
            Action::Upsert => Self::Upsert,
            Action::Delete => Self::Delete,
        }
    }
}

/// One change. Exactly one source of the value, unless the header is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct HeaderConfig {
    /// What to do.
    pub action: Action,
    /// Name of the header.
    pub key: String,
    /// The value.
    pub value: Option<Secret>,
    /// File with the value; read again when it changes.
    pub value_file: Option<String>,
    /// Key of the incoming request's metadata.
    pub from_context: Option<String>,
    /// Attribute that the receiver's authenticator learned.
    pub from_attribute: Option<String>,
    /// Value where `from_context` or `from_attribute` finds none; without it the header is left alone then.
    pub default_value: Option<Secret>,
}

impl HeadersSetterConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.headers.is_empty() {
            v.error("headers", "missing headers configuration");
        }
        for (index, header) in self.headers.iter().enumerate() {
            let place = |key: &str| format!("headers::{index}::{key}");
            if header.key.is_empty() {
                v.error(&format!("headers::{index}"), "missing header name");
            } else if http::HeaderName::try_from(header.key.as_str()).is_err() {
                v.error(&place("key"), format!("`{}` cannot be the name of a header", header.key));
            }
            let sources = [
                header.value.is_some(),
                header.value_file.is_some(),
                header.from_context.is_some(),
                header.from_attribute.is_some(),
            ];
            let given = sources.into_iter().filter(|given| *given).count();
            let message = "must be one of 'value', 'value_file', 'from_context' and 'from_attribute'";
            match (header.action, given) {
                (Action::Delete, 0) | (Action::Insert | Action::Update | Action::Upsert, 1) => {}
                (Action::Delete, _) => v.error(&place("action"), "a header that is deleted takes no value"),
                (_, 0) => v.error(&format!("headers::{index}"), format!("missing header source, {message}")),
                (_, _) => v.error(&format!("headers::{index}"), format!("invalid header source, {message}")),
            }
            let value = header.value.as_ref().or(header.default_value.as_ref());
            if value.is_some_and(|value| http::HeaderValue::try_from(value.expose()).is_err()) {
                v.error(
                    &format!("headers::{index}"),
                    format!("the value of `{}` cannot be that of a header", header.key),
                );
            }
        }
    }
}
