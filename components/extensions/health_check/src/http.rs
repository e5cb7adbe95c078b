//! The second version over HTTP: status of the service or of one pipeline, and the running configuration.

use std::sync::Arc;

use component::BoxFuture;
use component::lifecycle::{Part, Phase};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use net::server::http::text;
use net::server::{HttpHandler, HttpResponse, Refusal, RequestHead, RequestInfo, Route};
use pdata::{ByteAccount, Charge, Overloaded};
use serde_json::{Map, Value as Json, json};

use crate::config::HttpHealthConfig;
use crate::time;
use crate::verdict::{Group, Judge, Verdict};

/// Serves the paths of the configuration.
pub(crate) struct Handler {
    config: HttpHealthConfig,
    judge: Arc<Judge>,
    account: Arc<ByteAccount>,
}

impl Handler {
    pub(crate) fn new(config: HttpHealthConfig, judge: Arc<Judge>, account: Arc<ByteAccount>) -> Self {
        Self { config, judge, account }
    }

    fn answer(&self, head: &RequestHead) -> HttpResponse {
        let config = &self.config;
        let path = head.path();
        let is_status = config.status.enabled && path == config.status.path;
        let is_config = config.config.enabled && path == config.config.path;
        if !is_status && !is_config {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if is_status {
            return self.status(head.uri.query().unwrap_or_default());
        }
        match self.judge.phase() {
            Phase::Running => answer(200, self.judge.layout().config_json.clone()),
            Phase::Starting | Phase::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "not running\n"),
        }
    }

    /// `?pipeline=ID` asks for one pipeline, `?verbose` for what is inside.
    fn status(&self, query: &str) -> HttpResponse {
        let (mut pipeline, mut is_verbose) = (None, false);
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("pipeline", value) if !value.is_empty() => pipeline = Some(unescaped(value)),
                ("verbose", value) => is_verbose = value != "false",
                _ => {}
            }
        }
        let (extensions, pipelines) = self.judge.groups();
        let (verdict, mut body) = match pipeline {
            Some(wanted) => match pipelines.iter().find(|(id, _)| *id == wanted) {
                Some((id, group)) => (group.verdict.clone(), self.group(Some(id), group, is_verbose)),
                None if self.judge.phase() == Phase::Starting => {
                    let verdict = self.judge.service(extensions.as_ref(), &pipelines);
                    let body = self.object(&verdict);
                    (verdict, body)
                }
                None => return text(StatusCode::NOT_FOUND, format!("no pipeline `{wanted}`\n")),
            },
            None => {
                let verdict = self.judge.service(extensions.as_ref(), &pipelines);
                let mut body = self.object(&verdict);
                if is_verbose {
                    let extensions =
                        extensions.iter().map(|group| ("extensions".to_owned(), self.group(None, group, true)));
                    let pipelines = pipelines
                        .iter()
                        .map(|(id, group)| (format!("pipeline:{id}"), self.group(Some(id), group, true)));
                    let all: Map<String, Json> =
                        extensions.chain(pipelines).map(|(name, object)| (name, Json::Object(object))).collect();
                    body.insert("components".to_owned(), all.into());
                }
                (verdict, body)
            }
        };
        body.insert("start_time".to_owned(), time::rfc3339(self.judge.started).into());
        answer(self.judge.http_code(&verdict), Json::Object(body).to_string())
    }

    fn object(&self, verdict: &Verdict) -> Map<String, Json> {
        let mut object = Map::new();
        object.insert("healthy".to_owned(), self.judge.is_healthy(verdict).into());
        object.insert("status".to_owned(), verdict.status.name().into());
        if let Some(error) = &verdict.error {
            object.insert("error".to_owned(), error.as_str().into());
        }
        object.insert("status_time".to_owned(), time::rfc3339(verdict.since).into());
        object
    }

    fn group(&self, pipeline: Option<&str>, group: &Group, is_verbose: bool) -> Map<String, Json> {
        let mut object = self.object(&group.verdict);
        if is_verbose {
            let parts = group.parts.iter().map(|(part, verdict)| {
                let mut object = self.object(verdict);
                if self.config.status.include_attributes {
                    object.insert("attributes".to_owned(), attributes(pipeline, part));
                }
                (format!("{}:{}", part.kind, part.id), Json::Object(object))
            });
            object.insert("components".to_owned(), parts.collect::<Map<_, _>>().into());
        }
        object
    }
}

/// `%2F` and the like as what they stand for; what is not text becomes U+FFFD, which is in no pipeline's ID.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn attributes(pipeline: Option<&str>, part: &Part) -> Json {
    let mut attributes = json!({"otelcol.component.id": part.id, "otelcol.component.kind": part.kind});
    if let (Some(pipeline), Some(attributes)) = (pipeline, attributes.as_object_mut()) {
        attributes.insert("otelcol.pipeline.id".to_owned(), pipeline.into());
    }
    attributes
}

fn answer(code: u16, body: String) -> HttpResponse {
    let mut response = text(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl HttpHandler for Handler {
    fn route(&self, head: &RequestHead) -> Route {
        Route::Answer(self.answer(head))
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
        head: RequestHead,
        _: Vec<u8>,
        _: Charge,
        _: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse> {
        let answer = self.answer(&head);
        Box::pin(async { answer })
    }
}
