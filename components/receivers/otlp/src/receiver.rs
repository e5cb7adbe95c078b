//! The receiver's life: its servers start together and stop together.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use component::{BoxFuture, Component, Deadline, Host, Outputs, Settings, ShutdownError, StartError};
use net::server::{GrpcServer, HttpServer, ServerSettings};

use crate::config::OtlpConfig;
use crate::grpc::GrpcHandler;
use crate::http::HttpIntake;
use crate::intake::Intake;

/// One instance serves all its signals.
#[derive(Debug)]
pub struct OtlpReceiver {
    settings: Settings,
    config: Arc<OtlpConfig>,
    outputs: Outputs,
    servers: Mutex<Servers>,
}

#[derive(Clone, Debug, Default)]
struct Servers {
    grpc: Option<Arc<GrpcServer>>,
    http: Option<Arc<HttpServer>>,
}

impl OtlpReceiver {
    /// A receiver that hands its batches to `outputs`.
    #[must_use]
    pub fn new(settings: Settings, config: Arc<OtlpConfig>, outputs: Outputs) -> Self {
        Self { settings, config, outputs, servers: Mutex::default() }
    }

    /// Where gRPC is served, once started.
    #[must_use]
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).grpc.as_ref()?.local_addr()
    }

    /// Where HTTP is served, once started.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).http.as_ref()?.local_addr()
    }

    async fn serve(&self, host: &Host, servers: &mut Servers) -> Result<(), StartError> {
        let intake = |transport| {
            Intake::new(transport, self.config.invalid_utf8.into(), &self.outputs, &self.settings.telemetry)
        };
        let settings = || ServerSettings { id: self.settings.id.clone(), telemetry: self.settings.telemetry.clone() };
        if let Some(config) = self.config.protocols.grpc.get() {
            let handler = Arc::new(GrpcHandler(intake("grpc")));
            servers.grpc = Some(Arc::new(GrpcServer::start(config, host, settings(), handler).await?));
        }
        if let Some(config) = self.config.protocols.http.get() {
            let handler = Arc::new(HttpIntake::new(intake("http"), config));
            servers.http = Some(Arc::new(HttpServer::start(&config.server, host, settings(), handler).await?));
        }
        Ok(())
    }
}

impl Servers {
    async fn shutdown(self, deadline: Deadline) {
        let grpc = async {
            if let Some(server) = &self.grpc {
                server.shutdown(deadline).await;
            }
        };
        let http = async {
            if let Some(server) = &self.http {
                server.shutdown(deadline).await;
            }
        };
        tokio::join!(grpc, http);
    }
}

impl Component for OtlpReceiver {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let mut servers = Servers::default();
            let result = self.serve(host, &mut servers).await;
            if result.is_err() {
                // A receiver that did not start leaves no listener behind.
                servers.shutdown(Deadline::after(std::time::Duration::ZERO)).await;
                return result;
            }
            *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        let servers = std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            servers.shutdown(deadline).await;
            Ok(())
        })
    }
}
