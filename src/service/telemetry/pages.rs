//! The listeners of `pull` readers: `/metrics`, `/livez`, `/readyz`, `/health`.
//!
//! A page keeps its socket across a reload while its host and port stay the same; how it renders is swapped.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use component::{BoxFuture, Deadline, Host, StartError, Telemetry};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use net::server::http::{HttpHandler, HttpResponse, HttpServer, Refusal, RequestHead, Route, text};
use net::server::{HttpServerConfig, RequestInfo, ServerSettings};
use pdata::{Charge, Overloaded};

use super::config::PrometheusConfig;
use super::resource::Resource;
use super::view::Views;
use super::{health, id, page};

/// How a page renders.
#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) config: PrometheusConfig,
    pub(super) views: Arc<Views>,
    pub(super) resource: Arc<Resource>,
}

/// A page that is being served.
#[derive(Debug)]
pub(super) struct Page {
    place: (String, u16),
    server: HttpServer,
    handler: Arc<Handler>,
}

impl Page {
    /// Listens and serves.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub(super) async fn open(rendering: Rendering, host: &Host) -> Result<Self, StartError> {
        let place = (rendering.config.host.clone(), rendering.config.port);
        let bracketed = place.0.contains(':') && !place.0.starts_with('[');
        let endpoint =
            if bracketed { format!("[{}]:{}", place.0, place.1) } else { format!("{}:{}", place.0, place.1) };
        let config = HttpServerConfig { endpoint, ..HttpServerConfig::default() };
        let labels = vec![("server".to_owned(), id().to_string())];
        let settings = ServerSettings { id: id(), telemetry: Telemetry::new(Arc::clone(host.registry()), labels) };
        let handler = Arc::new(Handler { host: host.clone(), rendering: RwLock::new(Arc::new(rendering)) });
        let serving: Arc<dyn HttpHandler> = handler.clone();
        let server = HttpServer::start(&config, host, settings, serving).await?;
        Ok(Self { place, server, handler })
    }

    /// Whether it is where `config` wants a page.
    pub(super) fn serves(&self, config: &PrometheusConfig) -> bool {
        self.place.0 == config.host && self.place.1 == config.port
    }

    /// Renders otherwise from now on.
    pub(super) fn set(&self, mut rendering: Rendering) {
        let mut current = self.handler.rendering.write().unwrap_or_else(PoisonError::into_inner);
        if current.views == rendering.views {
            // They remember series.
            rendering.views = Arc::clone(&current.views);
        }
        *current = Arc::new(rendering);
    }

    /// Where it listens.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.server.local_addr()
    }

    /// Stops listening, lets running requests finish.
    pub(super) async fn close(self, deadline: Deadline) {
        self.server.shutdown(deadline).await;
    }
}

#[derive(Debug)]
struct Handler {
    host: Host,
    rendering: RwLock<Arc<Rendering>>,
}

fn answer(code: u16, body: String, content_type: &'static str) -> HttpResponse {
    let mut response = text(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What is served beside the pages that components publish.
const OWN_PATHS: [&str; 4] = ["/metrics", "/livez", "/readyz", "/health"];
const PLAIN: &str = "text/plain; charset=utf-8";

impl HttpHandler for Handler {
    fn route(&self, head: &RequestHead) -> Route {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Route::Answer(response);
        }
        Route::Answer(match head.path() {
            "/metrics" => {
                let rendering = Arc::clone(&self.rendering.read().unwrap_or_else(PoisonError::into_inner));
                let metrics = rendering.views.apply(self.host.registry().read_fine());
                let body = page::render(&metrics, &rendering.config, &rendering.resource);
                answer(200, body, page::CONTENT_TYPE)
            }
            "/livez" => answer(200, "ok\n".to_owned(), PLAIN),
            "/readyz" => {
                let (code, text) = health::ready(&self.host);
                answer(code, text.to_owned(), PLAIN)
            }
            "/health" => {
                let (code, body) = health::health(&self.host);
                answer(code, body, "application/json")
            }
            path => match self.host.registry().pages().answer(path, head.uri.query().unwrap_or_default()) {
                Some(Ok(body)) => answer(200, body, "application/json"),
                Some(Err(wrong)) => answer(400, format!("{wrong}\n"), PLAIN),
                None => {
                    let published = self.host.registry().pages().paths();
                    let paths: Vec<&str> = OWN_PATHS.into_iter().chain(published).collect();
                    answer(404, format!("not found; try {}\n", paths.join(", ")), PLAIN)
                }
            },
        })
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.host.account().try_charge(bytes)
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
        // No route here takes a body.
        Box::pin(async { text(StatusCode::NOT_FOUND, "not found\n") })
    }
}
