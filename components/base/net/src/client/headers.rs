//! Headers of requests: those of the configuration, the trace's, and those that an authenticator changes.

use std::sync::Arc;

use component::lifecycle::TraceHeaders;
use component::{ClientAuth, ClientHeader, ComponentId, HeaderAction, Host, StartError};
use config::Headers;
use http::{HeaderMap, HeaderName, HeaderValue};
use pdata::{Context, TraceContext};

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

/// Passes the trace on. Headers of the configuration stay as they are.
pub(crate) fn inject(trace: Option<TraceContext>, of: TraceHeaders, headers: &mut HeaderMap) {
    let Some(trace) = trace else { return };
    let (w3c, b3) = match of {
        TraceHeaders::W3c => (true, false),
        TraceHeaders::B3 => (false, true),
        TraceHeaders::W3cThenB3 | TraceHeaders::B3ThenW3c => (true, true),
        TraceHeaders::Off => (false, false),
    };
    let mut add = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.entry(name).or_insert(value);
        }
    };
    if w3c {
        add("traceparent", trace.traceparent());
    }
    if b3 {
        add("b3", trace.b3());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_passed_on_in_the_headers_that_are_wanted() {
        let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let names = |of| {
            let mut headers = HeaderMap::from_iter([(HeaderName::from_static("b3"), HeaderValue::from_static("mine"))]);
            inject(trace, of, &mut headers);
            assert_eq!(headers["b3"], "mine", "what the configuration says stays");
            headers.remove("b3");
            inject(trace, of, &mut headers);
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text("traceparent"), text("b3"))
        };
        let w3c = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".to_owned());
        let b3 = Some("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0".to_owned());
        assert_eq!(names(TraceHeaders::Off), (None, None));
        assert_eq!(names(TraceHeaders::W3c), (w3c.clone(), None));
        assert_eq!(names(TraceHeaders::B3), (None, b3.clone()));
        assert_eq!(names(TraceHeaders::W3cThenB3), (w3c.clone(), b3.clone()));
        assert_eq!(names(TraceHeaders::B3ThenW3c), (w3c, b3));
        let mut headers = HeaderMap::new();
        inject(None, TraceHeaders::W3cThenB3, &mut headers);
        assert!(headers.is_empty());
    }
}
