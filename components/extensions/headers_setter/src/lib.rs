//! Sets headers of outgoing requests: fixed values, files, or what came with the request that brought the data.
//!
//! `from_context` reads request metadata, which receivers keep only with `include_metadata`; `from_attribute` reads what an
//! authenticator of the receiver learned. Another authenticator can come first (`additional_auth`); its changes are applied
//! before these.

mod config;

use std::sync::Arc;

use ::config::Secret;
use component::{
    AuthError, BoxFuture, BuildError, ClientAuth, ClientHeader, Component, ComponentId, Extension, Factory,
    HeaderAction, Host, StartError,
};
use net::watched::WatchedFile;
use parking_lot::RwLock;
use pdata::{Context, RequestPart};

pub use crate::config::{Action, HeaderConfig, HeadersSetterConfig};

/// The extension's factory.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("headers_setter", |_, config: Arc<HeadersSetterConfig>| {
        Ok(Arc::new(HeadersSetter::new(&config)?))
    })
    .with_references(|config: &HeadersSetterConfig| config.additional_auth.iter().cloned().collect())
    .with_request_reads(|config: &HeadersSetterConfig, _signal| {
        let names = config.headers.iter().filter_map(|header| header.from_context.clone());
        names.map(RequestPart::Metadata).collect()
    })
}

/// The extension.
#[derive(Debug)]
pub struct HeadersSetter {
    rules: Vec<Rule>,
    additional_auth: Option<ComponentId>,
    /// Where the other authenticator is looked up when it is first needed: it may start later than this one.
    host: RwLock<Option<Host>>,
}

#[derive(Debug)]
struct Rule {
    action: HeaderAction,
    /// In lower case.
    name: String,
    value: Value,
    default_value: Option<Secret>,
}

#[derive(Debug)]
enum Value {
    Nothing,
    Fixed(Secret),
    File(WatchedFile),
    Context(String),
    Attribute(String),
}

impl HeadersSetter {
    fn new(config: &HeadersSetterConfig) -> Result<Self, BuildError> {
        let mut rules = Vec::new();
        for (index, header) in config.headers.iter().enumerate() {
            let value = if header.action == Action::Delete {
                Value::Nothing
            } else if let Some(value) = &header.value {
                Value::Fixed(value.clone())
            } else if let Some(path) = &header.value_file {
                let at = format!("headers::{index}::value_file");
                Value::File(WatchedFile::open(path).map_err(|error| BuildError::at(at, error.to_string()))?)
            } else if let Some(key) = &header.from_context {
                Value::Context(key.clone())
            } else {
                Value::Attribute(header.from_attribute.clone().unwrap_or_default())
            };
            rules.push(Rule {
                action: header.action.into(),
                name: header.key.to_ascii_lowercase(),
                value,
                default_value: header.default_value.clone(),
            });
        }
        Ok(Self { rules, additional_auth: config.additional_auth.clone(), host: RwLock::new(None) })
    }

    /// The other authenticator.
    fn additional(&self) -> Result<Option<Arc<dyn ClientAuth>>, AuthError> {
        let Some(id) = &self.additional_auth else { return Ok(None) };
        let extension = self.host.read().as_ref().and_then(|host| host.extension(id));
        match extension.and_then(Extension::client_auth) {
            Some(auth) => Ok(Some(auth)),
            None => Err(AuthError(format!(
                "`additional_auth`: extension `{id}` does not run or cannot authenticate clients"
            ))),
        }
    }
}

impl Rule {
    /// The change for a request; `None` when there is no value.
    fn change(&self, context: &Context) -> Result<Option<ClientHeader>, AuthError> {
        let found = match &self.value {
            Value::Nothing => Some(String::new()),
            Value::Fixed(value) => Some(value.expose().to_owned()),
            Value::File(file) => Some(file.content().to_string()),
            Value::Context(key) => {
                let mut values = context.metadata.values(key);
                let first = values.next().map(str::to_owned);
                let more = values.count();
                if more > 0 {
                    return Err(AuthError(format!("1 value expected for key {key:?}, {} found", more + 1)));
                }
                first
            }
            Value::Attribute(name) => context.auth.as_ref().and_then(|auth| auth.get(name)).map(str::to_owned),
        };
        let default = || self.default_value.as_ref().map(|value| value.expose().to_owned());
        let value = found.or_else(default);
        Ok(value.map(|value| ClientHeader { action: self.action, name: self.name.clone(), value }))
    }
}

impl Component for HeadersSetter {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        *self.host.write() = Some(host.clone());
        Box::pin(async { Ok(()) })
    }
}

impl Extension for HeadersSetter {
    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        Some(self)
    }
}

impl ClientAuth for HeadersSetter {
    fn headers(&self, context: &Context) -> Result<Vec<ClientHeader>, AuthError> {
        let mut changes = match self.additional()? {
            Some(auth) => auth.headers(context)?,
            None => Vec::new(),
        };
        for rule in &self.rules {
            changes.extend(rule.change(context)?);
        }
        Ok(changes)
    }

    fn metadata_keys(&self) -> Vec<String> {
        let own = self.rules.iter().filter_map(|rule| match &rule.value {
            Value::Context(key) => Some(key.clone()),
            _ => None,
        });
        let others = self.additional().ok().flatten().map(|auth| auth.metadata_keys()).unwrap_or_default();
        own.chain(others).collect()
    }
}
