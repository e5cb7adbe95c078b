//! What a server learns of a request beside its body, and who checks it.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use component::lifecycle::TraceHeaders;
use component::{AuthError, BoxFuture, ComponentId, Host, RequestHeaders, Role, ServerAuth, StartError};
use futures_util::future::poll_fn;
use http::HeaderMap;
use pdata::{AuthData, ByteAccount, Charge, Gate, Metadata, Overloaded, TraceContext};
use tokio::sync::watch;

use crate::server::ServerSettings;
use crate::server::config::MiddlewareConfig;
use crate::server::connection::Stop;

/// What is known of a request beside its body.
#[derive(Clone, Debug, Default)]
pub struct RequestInfo {
    /// Who sent it; `None` on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// Request headers; empty unless `include_metadata`.
    pub metadata: Metadata,
    /// What the authenticator learned.
    pub auth: Option<Arc<AuthData>>,
    /// Trace context, from the headers that [`Host::trace_headers`] names.
    pub trace: Option<TraceContext>,
    /// When the sender stops waiting (`grpc-timeout`).
    pub deadline: Option<Instant>,
}

/// Every header as metadata, and the host under `host_name` (`:authority` in gRPC, `host` in HTTP). Values that are not
/// text are left out.
pub(crate) fn metadata(headers: &HeaderMap, host_name: &str, host: Option<&str>) -> Metadata {
    let pairs = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let host = host.filter(|_| !headers.contains_key(host_name));
    Metadata::new(host.map(|host| (host_name, host)).into_iter().chain(pairs))
}

/// The trace context, if the request carries one in these headers.
pub(crate) fn trace(headers: &HeaderMap, of: TraceHeaders) -> Option<TraceContext> {
    let w3c = || text(headers, "traceparent").and_then(TraceContext::parse);
    match of {
        TraceHeaders::W3c => w3c(),
        TraceHeaders::B3 => b3(headers),
        TraceHeaders::W3cThenB3 => b3(headers).or_else(w3c),
        TraceHeaders::B3ThenW3c => w3c().or_else(|| b3(headers)),
        TraceHeaders::Off => None,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The single header wins over the several.
fn b3(headers: &HeaderMap) -> Option<TraceContext> {
    text(headers, "b3").and_then(TraceContext::parse_b3).or_else(|| {
        let (sampled, flags) = (text(headers, "x-b3-sampled"), text(headers, "x-b3-flags"));
        TraceContext::parse_b3_parts(text(headers, "x-b3-traceid")?, text(headers, "x-b3-spanid")?, sampled, flags)
    })
}

/// Headers, and query parameters in front of them, as authenticators see them.
#[derive(Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// Names in lower case.
    pub(crate) params: Vec<(String, String)>,
}

impl RequestHeaders for Credentials<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let param = self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        param.or_else(|| self.headers.get(name).and_then(|value| value.to_str().ok()))
    }
}

/// Asks the authenticator, if there is one.
pub(crate) async fn authenticate(
    auth: Option<&Arc<dyn ServerAuth>>,
    credentials: &Credentials<'_>,
) -> Result<Option<Arc<AuthData>>, AuthError> {
    match auth {
        None => Ok(None),
        Some(auth) => auth.authenticate(credentials).await.map(Some),
    }
}

/// The running extension that `authenticator` names, as a server authenticator.
pub(crate) fn server_auth(
    authenticator: Option<&ComponentId>,
    host: &Host,
    settings: &ServerSettings,
) -> Result<Option<Arc<dyn ServerAuth>>, StartError> {
    let Some(id) = authenticator else { return Ok(None) };
    let fail =
        |why: &str| Err(StartError::plain(&settings.id, format!("`auth::authenticator`: extension `{id}` {why}")));
    let Some(extension) = host.extension(id) else { return fail("is not running: add it to `service::extensions`") };
    match extension.server_auth() {
        Some(auth) => Ok(Some(auth)),
        None => fail("cannot authenticate requests to a server"),
    }
}

/// The middlewares of a server: gates that are asked before a body is read.
#[derive(Debug)]
pub(crate) struct Middlewares {
    gates: Vec<Arc<Gate>>,
    account: Arc<ByteAccount>,
}

impl Middlewares {
    /// The running extensions that `middlewares` names.
    pub(crate) fn of(
        middlewares: &[MiddlewareConfig],
        host: &Host,
        settings: &ServerSettings,
    ) -> Result<Self, StartError> {
        let gate = |MiddlewareConfig { id }: &MiddlewareConfig| {
            let why = match host.extension(id) {
                None => format!("`middlewares`: extension `{id}` is not running: add it to `service::extensions`"),
                Some(extension) => match extension.server_gate() {
                    Some(gate) => return Ok(gate),
                    None => Role::ServerMiddleware.mismatch(id),
                },
            };
            Err(StartError::plain(&settings.id, why))
        };
        let gates = middlewares.iter().map(gate).collect::<Result<_, _>>()?;
        Ok(Self { gates, account: Arc::clone(host.account()) })
    }

    /// Whether `bytes` of a body may come; then asks `admit`. The charge grows only as far as the gates allow.
    pub(crate) fn admit(
        &self,
        bytes: usize,
        admit: impl FnOnce(usize) -> Result<Charge, Overloaded>,
    ) -> Result<Charge, Overloaded> {
        self.check(bytes)?;
        let charge = admit(bytes)?;
        Ok(self.gates.iter().fold(charge, |charge, gate| charge.limited_to(gate.soft_bytes())))
    }

    /// Whether a request may come that has no body to be admitted.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), Overloaded> {
        self.gates.iter().try_for_each(|gate| gate.check(&self.account, bytes))
    }
}

/// Runs `work` to its end even if the caller is dropped (a peer that resets its stream), except when the server is cut off.
/// The first step runs in the caller's own task: work that never waits costs no task. `None` after a panic or a cut.
pub(crate) async fn run_to_end<T: Send + 'static>(
    mut work: BoxFuture<'static, T>,
    stop: &watch::Receiver<Stop>,
) -> Option<T> {
    let first = poll_fn(|cx| Poll::Ready(catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))))).await;
    match first {
        Ok(Poll::Ready(done)) => return Some(done),
        Ok(Poll::Pending) => {}
        // The panic was reported by the hook.
        Err(_) => return None,
    }
    let mut stop = stop.clone();
    let rest = async move {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = stop.wait_for(|stop| *stop == Stop::Cut) => None,
        }
    };
    tokio::spawn(rest).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_from_the_headers_that_are_wanted() {
        let (a, b) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let mut headers = HeaderMap::new();
        headers.insert("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7".parse().unwrap());
        let first = |headers: &HeaderMap, of| trace(headers, of).map(|trace| trace.trace_id[0]);
        assert_eq!(first(&headers, TraceHeaders::B3), None, "no span");
        headers.insert("x-b3-spanid", b.parse().unwrap());
        headers.insert("traceparent", format!("00-{a}-{b}-01").parse().unwrap());
        assert_eq!(first(&headers, TraceHeaders::Off), None);
        assert_eq!(first(&headers, TraceHeaders::W3c), Some(0x0a));
        assert_eq!(first(&headers, TraceHeaders::B3), Some(0x80));
        assert_eq!(first(&headers, TraceHeaders::W3cThenB3), Some(0x80));
        assert_eq!(first(&headers, TraceHeaders::B3ThenW3c), Some(0x0a));
        headers.insert("b3", format!("{b}{b}-{b}-0").parse().unwrap());
        assert_eq!(first(&headers, TraceHeaders::B3), Some(0xb7), "the single header wins");
        headers.insert("traceparent", "00-0-0-0".parse().unwrap());
        assert_eq!(first(&headers, TraceHeaders::W3c), None);
        assert_eq!(first(&headers, TraceHeaders::B3ThenW3c), Some(0xb7));
    }
}
