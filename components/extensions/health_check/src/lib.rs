//! Answers over HTTP and gRPC whether the service is ready, as the Collector's extension does in both of its versions.
//!
//! In the first version, ready means that every pipeline runs. Failing components do not make it unready: whoever restarts a
//! process because its destination is down makes things worse. The second version (`use_v2`) tells how each pipeline and
//! component is doing, and lets their troubles count when asked to. The extension listens while the service starts, and
//! until it has stopped.
//!
//! `config` (what users write), `simple` (first version), `verdict` (status of components, pipelines and the service),
//! `http` and `grpc` (second version), `time`.

mod config;
mod grpc;
mod http;
mod simple;
mod time;
mod verdict;

use std::sync::Arc;

use component::{BoxFuture, Component, Deadline, Extension, Factory, Host, Settings, ShutdownError, StartError};
use net::server::{GrpcServer, HttpHandler, HttpServer, HttpServerConfig, ServerSettings};
use parking_lot::Mutex;
use pdata::ByteAccount;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use crate::config::{
    ComponentHealthConfig, HealthCheckConfig, HttpHealthConfig, PipelineCheckConfig, ResponseBodyConfig,
    RunningConfigConfig, StatusConfig,
};
use crate::verdict::Judge;

/// The extension's factory.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("health_check", |settings, config: Arc<HealthCheckConfig>| {
        Ok(Arc::new(HealthCheck { settings, config, running: Mutex::default() }))
    })
    .with_aliases(&["healthcheckv2"])
    .with_extension_refs(HealthCheckConfig::extension_refs)
}

/// The extension.
#[derive(Debug)]
pub struct HealthCheck {
    settings: Settings,
    config: Arc<HealthCheckConfig>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    http: Option<HttpServer>,
    grpc: Option<GrpcServer>,
    follow: Option<JoinHandle<()>>,
    /// Ends the watchers.
    watching: watch::Sender<bool>,
}

impl Running {
    async fn stop(self, deadline: Deadline) {
        self.watching.send_replace(true);
        if let Some(server) = self.http {
            server.shutdown(deadline).await;
        }
        if let Some(server) = self.grpc {
            server.shutdown(deadline).await;
        }
        if let Some(follow) = self.follow {
            follow.abort();
            // It was aborted, or its sender is gone.
            let _aborted = follow.await;
        }
    }
}

impl HealthCheck {
    fn server_settings(&self) -> ServerSettings {
        ServerSettings { id: self.settings.id.clone(), telemetry: self.settings.telemetry.clone() }
    }

    async fn http(
        &self,
        config: &HttpServerConfig,
        host: &Host,
        handler: Arc<dyn HttpHandler>,
    ) -> Result<HttpServer, StartError> {
        HttpServer::start(config, host, self.server_settings(), handler).await
    }

    async fn serve(&self, host: &Host, running: &mut Running) -> Result<(), StartError> {
        // Bodies of requests are a few bytes or not read at all.
        let account = ByteAccount::new(grpc::REQUESTS_BYTES_MAX);
        if !self.config.use_v2 {
            let since = simple::Since::default();
            running.follow = Some(tokio::spawn(simple::follow(host.phase(), Arc::clone(&since))));
            let handler =
                Arc::new(simple::Handler { config: Arc::clone(&self.config), phase: host.phase(), since, account });
            running.http = Some(self.http(&self.config.server, host, handler).await?);
            return Ok(());
        }
        let judge = Arc::new(Judge::new(host, &self.config.component_health));
        if let Some(config) = self.config.http.get() {
            let handler = http::Handler::new(config.clone(), Arc::clone(&judge), Arc::clone(&account));
            running.http = Some(self.http(&config.server, host, Arc::new(handler)).await?);
        }
        if let Some(config) = self.config.grpc.get() {
            let handler = Arc::new(grpc::Handler::new(judge, account, running.watching.subscribe()));
            running.grpc = Some(GrpcServer::start(config, host, self.server_settings(), handler).await?);
        }
        Ok(())
    }
}

impl Component for HealthCheck {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let mut running = Running::default();
            let started = self.serve(host, &mut running).await;
            match &started {
                Ok(()) => *self.running.lock() = Some(running),
                Err(_) => running.stop(Deadline::after(std::time::Duration::ZERO)).await,
            }
            started
        })
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            let running = self.running.lock().take();
            if let Some(running) = running {
                running.stop(deadline).await;
            }
            Ok(())
        })
    }
}

impl Extension for HealthCheck {}
