//! What both kinds of servers do before they serve: find extensions, read certificates, listen.

use std::sync::Arc;

use component::{ComponentId, Host, ServerAuth, StartError};
use config::Optional;

use crate::server::accept::{Running, Speaker};
use crate::server::config::{MiddlewareConfig, Transport};
use crate::server::listen::Listener;
use crate::server::metrics::ServerMetrics;
use crate::server::request::{Middlewares, server_auth};
use crate::server::{ServerSettings, limits};
use crate::tls::{ServerTls, ServerTlsConfig};

/// The configuration that both kinds of servers have.
#[derive(Debug)]
pub(crate) struct Entrance<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) transport: Transport,
    pub(crate) tls: &'a Optional<ServerTlsConfig>,
    pub(crate) authenticator: Option<&'a ComponentId>,
    pub(crate) middlewares: &'a [MiddlewareConfig],
    /// Protocols that TLS offers, best first.
    pub(crate) alpn: &'a [&'a [u8]],
    /// `grpc` or `http`, in metrics.
    pub(crate) name: &'static str,
}

/// Who is asked about each request.
pub(crate) struct Guards {
    pub(crate) auth: Option<Arc<dyn ServerAuth>>,
    pub(crate) middlewares: Middlewares,
}

impl Entrance<'_> {
    /// Listens, and serves what `service` makes of the guards.
    ///
    /// # Errors
    /// Addresses that cannot be listened on, certificates that cannot be used, extensions that are not there.
    pub(crate) async fn open<S: Speaker>(
        self,
        host: &Host,
        settings: &ServerSettings,
        service: impl FnOnce(Guards, Arc<ServerMetrics>) -> S,
    ) -> Result<Running, StartError> {
        let middlewares = Middlewares::of(self.middlewares, host, settings)?;
        let auth = server_auth(self.authenticator, host, settings)?;
        let tls = match self.tls.get() {
            Some(tls) => Some(
                ServerTls::new(tls, self.alpn)
                    .map_err(|error| StartError::new(&settings.id, format!("use `tls::{}`", error.key), error))?,
            ),
            None => None,
        };
        let listener = Listener::open(self.endpoint, self.transport, host, settings).await?;
        let metrics = Arc::new(ServerMetrics::new(&settings.telemetry, self.name));
        let service = Arc::new(service(Guards { auth, middlewares }, Arc::clone(&metrics)));
        Ok(Running::start(listener, tls, service, metrics, limits::CONNECTIONS_MAX))
    }
}
