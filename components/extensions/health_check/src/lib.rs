//! Answers over HTTP whether the service is ready, as the Collector's extension does.
//!
//! Ready means that every pipeline runs. Failing components do not make it unready: whoever restarts a process because its
//! destination is down makes things worse. The extension listens while the service starts, and until it has stopped.

mod config;
mod time;

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use ::config::GoDuration;
use component::lifecycle::Phase;
use component::{BoxFuture, Component, Deadline, Extension, Factory, Host, Settings, ShutdownError, StartError};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use net::server::http::text;
use net::server::{HttpHandler, HttpResponse, HttpServer, Refusal, RequestHead, RequestInfo, Route, ServerSettings};
use parking_lot::Mutex;
use pdata::{ByteAccount, Charge, Overloaded};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use crate::config::HealthCheckConfig;

/// The extension's factory.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("health_check", |settings, config: Arc<HealthCheckConfig>| {
        Ok(Arc::new(HealthCheck { settings, config, running: Mutex::default() }))
    })
    .with_references(|config: &HealthCheckConfig| config.server.extension_refs())
}

/// The extension.
#[derive(Debug)]
pub struct HealthCheck {
    settings: Settings,
    config: Arc<HealthCheckConfig>,
    running: Mutex<Option<(Arc<HttpServer>, JoinHandle<()>)>>,
}

impl HealthCheck {
    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.running.lock().as_ref().and_then(|(server, _)| server.local_addr())
    }

    async fn serve(&self, host: &Host) -> Result<(), StartError> {
        let since: Arc<std::sync::Mutex<Option<(SystemTime, Instant)>>> = Arc::default();
        let handler = Arc::new(Handler {
            config: Arc::clone(&self.config),
            phase: host.phase(),
            since: Arc::clone(&since),
            account: ByteAccount::new(0),
        });
        let settings = ServerSettings { id: self.settings.id.clone(), telemetry: self.settings.telemetry.clone() };
        let server = Arc::new(HttpServer::start(&self.config.server, host, settings, handler).await?);
        let follow = tokio::spawn(follow(host.phase(), since));
        *self.running.lock() = Some((server, follow));
        Ok(())
    }
}

/// Notes when the service became ready.
async fn follow(mut phase: watch::Receiver<Phase>, since: Arc<std::sync::Mutex<Option<(SystemTime, Instant)>>>) {
    loop {
        let is_running = *phase.borrow_and_update() == Phase::Running;
        {
            let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_running {
                *since = None;
            } else if since.is_none() {
                *since = Some((SystemTime::now(), Instant::now()));
            }
        }
        if phase.changed().await.is_err() {
            return;
        }
    }
}

impl Component for HealthCheck {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(self.serve(host))
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async move {
            let running = self.running.lock().take();
            if let Some((server, follow)) = running {
                server.shutdown(deadline).await;
                follow.abort();
                // It was aborted, or its sender is gone.
                let _aborted = follow.await;
            }
            Ok(())
        })
    }
}

impl Extension for HealthCheck {}

struct Handler {
    config: Arc<HealthCheckConfig>,
    phase: watch::Receiver<Phase>,
    since: Arc<std::sync::Mutex<Option<(SystemTime, Instant)>>>,
    /// Bodies are not read, so nothing is ever charged.
    account: Arc<ByteAccount>,
}

impl Handler {
    fn answer(&self) -> HttpResponse {
        let is_ready = *self.phase.borrow() == Phase::Running;
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if let Some(bodies) = self.config.response_body.get() {
            let body = if is_ready { &bodies.healthy } else { &bodies.unhealthy };
            return text(status, body.as_str());
        }
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, up_since, uptime) = match since.filter(|_| is_ready) {
            Some((began, instant)) => {
                let nanos = i64::try_from(instant.elapsed().as_nanos()).unwrap_or(i64::MAX);
                ("Server available", time::rfc3339(began), GoDuration(nanos).to_string())
            }
            // Between the change and the note of its time.
            None if is_ready => ("Server available", time::rfc3339(SystemTime::now()), "0s".to_owned()),
            None => ("Server not available", "0001-01-01T00:00:00Z".to_owned(), String::new()),
        };
        let body = format!(r#"{{"status":"{text}","upSince":"{up_since}","uptime":"{uptime}"}}"#);
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl HttpHandler for Handler {
    fn route(&self, head: &RequestHead) -> Route {
        let path = self.config.path.as_str();
        // As in Go, a path that ends in a slash covers what is below it.
        let covers = head.path() == path || (path.ends_with('/') && head.path().starts_with(path));
        Route::Answer(if covers { self.answer() } else { text(StatusCode::NOT_FOUND, "404 page not found\n") })
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.account.try_charge(bytes)
    }

    fn refuse(&self, _: usize, _: &RequestHead, refusal: Refusal) -> HttpResponse {
        text(refusal.status(), format!("{refusal}\n"))
    }

    fn call(
        &self,
        _: usize,
        _: RequestHead,
        _: Vec<u8>,
        _: Charge,
        _: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse> {
        let answer = self.answer();
        Box::pin(async { answer })
    }
}
