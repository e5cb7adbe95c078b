//! The first version's answer: whether every pipeline runs, and since when.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use component::BoxFuture;
use component::lifecycle::Phase;
use config::GoDuration;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use net::server::http::text;
use net::server::{HttpHandler, HttpResponse, Refusal, RequestHead, RequestInfo, Route};
use pdata::{ByteAccount, Charge, Overloaded};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::HealthCheckConfig;
use crate::time;

/// When the service became ready; `None` while it is not.
pub(crate) type Since = Arc<std::sync::Mutex<Option<(SystemTime, Instant)>>>;

/// Notes when the service became ready.
pub(crate) async fn follow(mut phase: watch::Receiver<Phase>, since: Since) {
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

/// Serves the path of the configuration.
pub(crate) struct Handler {
    pub(crate) config: Arc<HealthCheckConfig>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) since: Since,
    /// Bodies are not read, so nothing is ever charged.
    pub(crate) account: Arc<ByteAccount>,
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
