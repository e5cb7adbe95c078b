//! OTLP/HTTP: one path per signal, protobuf and JSON.

use std::sync::Arc;

use component::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use net::server::{HttpHandler, HttpResponse, Refusal, RequestHead, RequestInfo, Route};
use otlp::{Encoding, ExportResponse, HttpAnswer};
use pdata::{Charge, Overloaded, Signal};

use crate::config::HttpConfig;
use crate::context;
use crate::intake::Intake;
use crate::metrics::Reason;

/// Serves the paths of the signals that pipelines take from the receiver; others are not found.
#[derive(Debug)]
pub(crate) struct HttpIntake {
    intake: Arc<Intake>,
    paths: Vec<(String, Signal)>,
}

/// What a request is about: the key of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    signal: Signal,
    encoding: Encoding,
}

const ENCODINGS: [Encoding; 2] = [Encoding::Proto, Encoding::Json];

impl Kind {
    fn key(self) -> usize {
        let signal = Signal::ALL.iter().position(|signal| *signal == self.signal).unwrap_or_default();
        signal * ENCODINGS.len() + usize::from(self.encoding == Encoding::Json)
    }

    fn from_key(key: usize) -> Self {
        let signal = Signal::ALL.get(key / ENCODINGS.len()).copied().unwrap_or(Signal::Traces);
        let encoding = if key % ENCODINGS.len() == 1 { Encoding::Json } else { Encoding::Proto };
        Self { signal, encoding }
    }
}

impl HttpIntake {
    pub(crate) fn new(intake: Arc<Intake>, config: &HttpConfig) -> Self {
        let paths = Signal::ALL.into_iter().map(|signal| (config.path(signal), signal)).collect();
        Self { intake, paths }
    }

    fn find(&self, head: &RequestHead) -> Result<Kind, (Reason, HttpResponse)> {
        let path = head.path();
        let Some(signal) = self.paths.iter().find(|(known, _)| known == path).map(|(_, signal)| *signal) else {
            return Err((Reason::Path, text(StatusCode::NOT_FOUND, "404 page not found")));
        };
        if !self.intake.takes(signal) {
            let message = format!("404 no pipeline takes {signal} from this receiver");
            return Err((Reason::Path, text(StatusCode::NOT_FOUND, &message)));
        }
        if head.method != Method::POST {
            let message = "405 method not allowed, supported: [POST]";
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, message);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return Err((Reason::Method, response));
        }
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match content_type.and_then(Encoding::from_content_type) {
            Some(encoding) => Ok(Kind { signal, encoding }),
            None => {
                let message = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
                Err((Reason::ContentType, text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)))
            }
        }
    }
}

impl HttpHandler for HttpIntake {
    fn route(&self, head: &RequestHead) -> Route {
        match self.find(head) {
            Ok(kind) => Route::Body { key: kind.key() },
            Err((reason, response)) => {
                self.intake.metrics.invalid(reason);
                Route::Answer(response)
            }
        }
    }

    fn admit(&self, key: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.intake.admit(Kind::from_key(key).signal, bytes)
    }

    fn refuse(&self, key: usize, _head: &RequestHead, refusal: Refusal) -> HttpResponse {
        let reason = match &refusal {
            Refusal::Overloaded(overloaded) => {
                let answer = HttpAnswer::from_status(self.intake.refuse(overloaded));
                return failure(&answer, Kind::from_key(key).encoding);
            }
            Refusal::TooLarge { .. } => Reason::TooLarge,
            Refusal::UnsupportedEncoding(_) => Reason::ContentEncoding,
            Refusal::Decompress(_) | Refusal::BodyRead(_) => Reason::Body,
            Refusal::Unauthenticated(_) => Reason::Unauthenticated,
        };
        self.intake.metrics.invalid(reason);
        let answer = HttpAnswer::refuse(refusal.status().as_u16(), refusal.to_string());
        failure(&answer, Kind::from_key(key).encoding)
    }

    fn call(
        &self,
        key: usize,
        _head: RequestHead,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, HttpResponse> {
        let (intake, Kind { signal, encoding }) = (Arc::clone(&self.intake), Kind::from_key(key));
        Box::pin(async move {
            let context = || context::of_request(request, intake.transport());
            match intake.take(signal, encoding, body, charge, context).await {
                Ok(accepted) => {
                    let body = ExportResponse::from(&accepted).encode(signal, encoding);
                    response(StatusCode::OK, encoding.content_type(), body)
                }
                Err(status) => failure(&HttpAnswer::from_status(status), encoding),
            }
        })
    }
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn text(status: StatusCode, message: &str) -> HttpResponse {
    response(status, "text/plain", format!("{message}\n").into_bytes())
}

fn failure(answer: &HttpAnswer, encoding: Encoding) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, encoding.content_type(), answer.body.encode(encoding));
    if let Some(seconds) = answer.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
