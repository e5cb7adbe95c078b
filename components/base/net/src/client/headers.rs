//! Headers of requests: those of the configuration, and those that an authenticator changes.

use std::sync::Arc;

use component::{ClientAuth, ClientHeader, ComponentId, HeaderAction, Host, StartError};
use config::Headers;
use http::{HeaderMap, HeaderName, HeaderValue};
use pdata::Context;

use crate::client::{CallError, Phase};
use crate::server::config::MiddlewareConfig;

/// The configured headers. Values are marked as sensitive. Validation has refused those that are not headers.
pub(crate) fn configured(headers: &Headers) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): (&str, &config::Secret)| {
        let mut value = HeaderValue::try_from(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    headers.iter().filter_map(header).collect()
}

/// Lets the authenticator change the headers.
pub(crate) fn authorize(
    auth: Option<&Arc<dyn ClientAuth>>,
    context: &Context,
    headers: &mut HeaderMap,
) -> Result<(), CallError> {
    let Some(auth) = auth else { return Ok(()) };
    let changes = auth.headers(context).map_err(|error| CallError::transport(Phase::Auth, error.to_string()))?;
    for ClientHeader { action, name, value } in changes {
        let (Ok(key), Ok(mut value)) = (HeaderName::try_from(&name), HeaderValue::try_from(value)) else {
            let message = format!("the authenticator's header `{name}` is not valid");
            return Err(CallError::transport(Phase::Auth, message));
        };
        value.set_sensitive(true);
        let is_there = headers.contains_key(&key);
        match action {
            HeaderAction::Insert if is_there => {}
            HeaderAction::Update if !is_there => {}
            HeaderAction::Insert | HeaderAction::Update | HeaderAction::Upsert => {
                headers.insert(key, value);
            }
            HeaderAction::Delete => {
                headers.remove(key);
            }
        }
    }
    Ok(())
}

/// The running extension that `authenticator` names, as a client authenticator.
pub(crate) fn client_auth(
    authenticator: Option<&ComponentId>,
    middlewares: &[MiddlewareConfig],
    host: &Host,
    id: &ComponentId,
) -> Result<Option<Arc<dyn ClientAuth>>, StartError> {
    let missing = "is not running: add it to `service::extensions`";
    if let Some(MiddlewareConfig { id: middleware }) = middlewares.first() {
        let why = if host.extension(middleware).is_none() { missing } else { "cannot be a middleware of a client" };
        return Err(StartError::plain(id, format!("`middlewares`: extension `{middleware}` {why}")));
    }
    let Some(authenticator) = authenticator else { return Ok(None) };
    let fail =
        |why: &str| Err(StartError::plain(id, format!("`auth::authenticator`: extension `{authenticator}` {why}")));
    let Some(extension) = host.extension(authenticator) else { return fail(missing) };
    match extension.client_auth() {
        Some(auth) => Ok(Some(auth)),
        None => fail("cannot authenticate requests of a client"),
    }
}
