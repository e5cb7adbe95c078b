//! One post, and what its answer means.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use component::{Accepted, BoxFuture, BuildError, Host, Settings, StartError};
use delivery::{SendError, SizeRefusal, Transport, user_agent};
use http::header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use net::client::{CallError, ClientSettings, HttpClient, HttpReply};
use otlp::{Encoding, ExportResponse, Refusal};
use pdata::{Context, Payload, Signal};
use smallvec::{SmallVec, smallvec};
use tokio::time::Instant;

use crate::config::{OtlpHttpConfig, parse};

/// Posts to one signal's URL.
#[derive(Debug)]
pub struct HttpTransport {
    client: Arc<HttpClient>,
    signal: Signal,
    url: String,
    encoding: Encoding,
}

impl HttpTransport {
    /// A transport for `signal`. Does not connect.
    ///
    /// # Errors
    /// No URL for the signal, or settings that no connection can be made from.
    pub fn new(config: &OtlpHttpConfig, settings: &Settings, signal: Signal) -> Result<Self, BuildError> {
        let url = config.url(signal).map_err(BuildError::new)?;
        let client =
            ClientSettings { id: settings.id.clone(), telemetry: settings.telemetry.clone(), user_agent: user_agent() };
        let client = HttpClient::new(&config.client, client)?;
        Ok(Self { client, signal, url, encoding: config.encoding.into() })
    }

    /// Labels of what was sent: host, port and path.
    pub(crate) fn sent_labels(&self) -> Vec<(&'static str, String)> {
        let Some(uri) = parse(&self.url) else { return Vec::new() };
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        vec![
            ("server_address", uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned()),
            ("server_port", uri.port_u16().unwrap_or(default_port).to_string()),
            ("url_path", uri.path().to_owned()),
        ]
    }

    fn body(&self, payload: &Payload) -> SmallVec<[Bytes; 4]> {
        match self.encoding {
            Encoding::Proto => payload.segments().iter().map(|segment| segment.bytes().clone()).collect(),
            Encoding::Json => {
                let mut text = String::with_capacity(payload.encoded_len() * 2);
                otlp::json::write_payload(payload, &mut text);
                smallvec![Bytes::from(text)]
            }
        }
    }

    fn answer(&self, reply: &HttpReply) -> Result<Accepted, SendError> {
        if (200..300).contains(&reply.status) {
            return accepted(self.signal, reply);
        }
        let refusal = Refusal::from_http(
            reply.status,
            header(reply, RETRY_AFTER),
            header(reply, CONTENT_TYPE),
            &reply.body,
            SystemTime::now(),
        );
        Err(refused(reply, refusal))
    }
}

impl Transport for HttpTransport {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async { self.client.start(host) })
    }

    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        context: &'a Context,
        deadline: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            let (body, content_type) = (self.body(payload), self.encoding.content_type());
            let deadline = deadline.map(Instant::into_std);
            match self.client.post(&self.url, content_type, &body, context, deadline).await {
                Ok(reply) => self.answer(&reply),
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn metadata_keys(&self) -> Vec<String> {
        self.client.metadata_keys()
    }

    fn destination(&self) -> String {
        self.url.clone()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.client.shutdown())
    }
}

fn header(reply: &HttpReply, name: HeaderName) -> Option<&str> {
    reply.headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a 2xx says. Only bodies that claim to be OTLP are read; one that is not could report a rejection, so it counts as
/// that. More than the client reads of an answer is no OTLP response either way, and is not looked into.
fn accepted(signal: Signal, reply: &HttpReply) -> Result<Accepted, SendError> {
    let encoding = match header(reply, CONTENT_TYPE) {
        Some("application/x-protobuf") => Encoding::Proto,
        Some("application/json") => Encoding::Json,
        _ => return Ok(Accepted::all()),
    };
    if reply.body.is_empty() || reply.truncated {
        return Ok(Accepted::all());
    }
    let response = ExportResponse::decode(signal, encoding, &reply.body).map_err(|error| {
        SendError::permanent("response", format!("HTTP {} with a body that cannot be read: {error}", reply.status))
    })?;
    let message = Some(response.message).filter(|message| !message.is_empty());
    Ok(Accepted { rejected_items: response.rejected_items, message: message.map(Into::into) })
}

/// An answer other than 2xx. 413 always means size.
fn refused(reply: &HttpReply, refusal: Refusal) -> SendError {
    let status = reply.status;
    let size = match (status, SizeRefusal::in_message(&refusal.message)) {
        (413, SizeRefusal::Named(limit)) => SizeRefusal::Named(limit),
        (413, _) => SizeRefusal::Named(None),
        _ => SizeRefusal::No,
    };
    let error = match refusal.retryable {
        true => SendError::retryable(cause(status), refusal.message),
        false => SendError::permanent(cause(status), refusal.message),
    };
    let mut error = error.with_code(refusal.code).with_size(size);
    if let Some(delay) = refusal.retry_after {
        error = error.with_retry_after(delay);
    }
    match header(reply, LOCATION) {
        Some(location) if (300..400).contains(&status) => {
            error.with_advice(format!("redirects are not followed: set the endpoint to where it leads, `{location}`"))
        }
        _ => error,
    }
}

/// No answer.
fn failed(error: CallError) -> SendError {
    let code = error.code();
    match error {
        CallError::Timeout { .. } => SendError::timeout(error.to_string()),
        CallError::Transport { phase, message, hint, .. } => {
            let failed = SendError::retryable(phase.as_str(), message).with_code(code);
            match hint {
                Some(hint) => failed.with_advice(hint),
                None => failed,
            }
        }
        CallError::Status(status) => SendError::retryable("status", status.message).with_code(code),
    }
}

/// The class of a failure with this status.
fn cause(status: u16) -> &'static str {
    match status {
        300..400 => "HTTP 3xx",
        400 => "HTTP 400",
        401 => "HTTP 401",
        403 => "HTTP 403",
        404 => "HTTP 404",
        413 => "HTTP 413",
        429 => "HTTP 429",
        402..500 => "HTTP 4xx",
        502 => "HTTP 502",
        503 => "HTTP 503",
        504 => "HTTP 504",
        _ => "HTTP 5xx",
    }
}
