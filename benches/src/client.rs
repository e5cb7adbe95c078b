//! Sends ready-made OTLP requests: unary gRPC straight on HTTP/2 frames, or OTLP/HTTP on HTTP/1.1, both without TLS.
//!
//! Nothing is encoded or copied here: a body is handed to the connection as it is. A connection that failed is opened again by
//! the next send. Refusals are told apart from failures of the transport.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::wire::{Compression, GrpcCode, Signal, Transport, grpc_unframe, is_http_status_retryable};

/// An answer larger than this is a failure; OTLP's are empty or a sentence.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// HTTP/2 windows for answers; they are small, so the default would do, but must never be what is measured.
const WINDOW_BYTES: u32 = 1 << 20;

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Taken; the number of items that a partial success names as rejected.
    Acked {
        /// Items that the answer says are lost.
        rejected_item_count: u64,
    },
    /// Answered with a refusal.
    Refused {
        /// gRPC code name or HTTP status.
        code: Cow<'static, str>,
        /// Whether OTLP allows to send it again.
        is_retryable: bool,
    },
    /// No answer: connecting, sending or reading failed.
    Failed(String),
}

/// Where requests go and what they look like apart from their body.
#[derive(Debug, Clone)]
pub struct Endpoint {
    authority: String,
    transport: Transport,
    uri: Uri,
    headers: HeaderMap,
}

impl Endpoint {
    /// `authority` is `host:port`; `extra` headers are sent with every request.
    ///
    /// # Errors
    ///
    /// An authority that cannot stand in a URI or header.
    pub fn new(
        authority: &str,
        transport: Transport,
        signal: Signal,
        compression: Compression,
        extra: &[(HeaderName, HeaderValue)],
    ) -> Result<Self, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("weir-load"));
        let uri = match transport {
            Transport::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                if compression == Compression::Gzip {
                    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
                }
                Uri::builder().scheme("http").authority(authority).path_and_query(signal.grpc_path()).build()?
            }
            Transport::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                headers.insert(HOST, HeaderValue::from_str(authority)?);
                if compression == Compression::Gzip {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                Uri::builder().path_and_query(signal.http_path()).build()?
            }
        };
        headers.extend(extra.iter().cloned());
        Ok(Self { authority: authority.to_owned(), transport, uri, headers })
    }
}

#[derive(Debug, Clone)]
enum Sender {
    Http2(http2::SendRequest<Full<Bytes>>),
    Http1(Arc<Mutex<http1::SendRequest<Full<Bytes>>>>),
}

impl Sender {
    fn is_open(&self) -> bool {
        match self {
            Self::Http2(sender) => !sender.is_closed(),
            Self::Http1(sender) => sender.try_lock().is_ok_and(|sender| !sender.is_closed()),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http1(sender) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// One user of a connection. Clones share the HTTP/2 connection; over HTTP/1 they would wait for each other, so give each worker
/// a channel of its own there.
#[derive(Debug, Clone)]
pub struct Channel {
    endpoint: Arc<Endpoint>,
    shared: Arc<Mutex<Option<Sender>>>,
    mine: Option<Sender>,
}

impl Channel {
    /// A channel that connects with its first send.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, shared: Arc::default(), mine: None }
    }

    /// Opens the connection, or joins the one that a clone has opened.
    ///
    /// # Errors
    ///
    /// What connecting or the HTTP/2 preface ran into.
    pub async fn connect(&mut self) -> io::Result<()> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| sender.is_open()) {
            self.mine = Some(sender.clone());
            return Ok(());
        }
        let stream = TcpStream::connect(&self.endpoint.authority).await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        let sender = match self.endpoint.transport {
            Transport::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW_BYTES)
                    .initial_connection_window_size(WINDOW_BYTES)
                    .handshake(stream)
                    .await
                    .map_err(io::Error::other)?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
            Transport::Http => {
                let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Sender::Http1(Arc::new(Mutex::new(sender)))
            }
        };
        *shared = Some(sender.clone());
        self.mine = Some(sender);
        Ok(())
    }

    /// Sends `body` and reads the answer to its end. Not to be cancelled half-way on HTTP/1: drop the channel then.
    pub async fn send(&mut self, body: Bytes) -> Outcome {
        if self.mine.is_none()
            && let Err(error) = self.connect().await
        {
            return Outcome::Failed(format!("connect: {error}"));
        }
        let Some(sender) = self.mine.as_mut() else { return Outcome::Failed("connect: no connection".to_owned()) };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri.clone();
        *request.headers_mut() = self.endpoint.headers.clone();
        match sender.send(request).await {
            Ok(response) => match self.endpoint.transport {
                Transport::Grpc => grpc_outcome(response).await,
                Transport::Http => http_outcome(response).await,
            },
            Err(error) => {
                self.mine = None;
                Outcome::Failed(format!("send: {}", with_cause(&error)))
            }
        }
    }

    /// Forgets the connection, so that the next send opens another one.
    pub fn abandon(&mut self) {
        self.mine = None;
        if self.endpoint.transport == Transport::Http {
            self.shared = Arc::default();
        }
    }
}

/// An error of hyper's with its cause: the outer one alone says little.
fn with_cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn grpc_outcome(response: Response<Incoming>) -> Outcome {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return refused_by_http(head.status);
    }
    let in_headers = grpc_status(&head.headers);
    let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => body,
        Err(error) => return Outcome::Failed(format!("read answer: {error}")),
    };
    let in_trailers = body.trailers().and_then(grpc_status);
    match in_headers.or(in_trailers) {
        Some(GrpcCode::OK) => match grpc_message(&body.to_bytes()) {
            Ok(message) => acked(&message),
            Err(reason) => Outcome::Failed(reason),
        },
        Some(code) => Outcome::Refused { code: Cow::Borrowed(code.name()), is_retryable: code.is_retryable() },
        None => Outcome::Failed("read answer: no grpc-status".to_owned()),
    }
}

async fn http_outcome(response: Response<Incoming>) -> Outcome {
    let (head, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) if head.status.is_success() => acked(&body.to_bytes()),
        Ok(_) => refused_by_http(head.status),
        Err(error) => Outcome::Failed(format!("read answer: {error}")),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<GrpcCode> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok().map(GrpcCode)
}

fn refused_by_http(status: StatusCode) -> Outcome {
    let code = Cow::Owned(format!("HTTP {}", status.as_u16()));
    Outcome::Refused { code, is_retryable: is_http_status_retryable(status.as_u16()) }
}

/// The message in a gRPC answer. Servers may pack it as the request was packed, so that gzip has to be understood.
fn grpc_message(body: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match grpc_unframe(body) {
        Some((false, message)) => Ok(Cow::Borrowed(message)),
        Some((true, packed)) => {
            let mut message = Vec::new();
            match GzDecoder::new(packed).take(ANSWER_BYTES_MAX as u64).read_to_end(&mut message) {
                Ok(_) => Ok(Cow::Owned(message)),
                Err(error) => Err(format!("decompress answer: {error}")),
            }
        }
        None => Err("read answer: not one gRPC message".to_owned()),
    }
}

/// The three signals number the fields of their partial success alike, so that one type reads them all.
fn acked(answer: &[u8]) -> Outcome {
    match ExportTraceServiceResponse::decode(answer) {
        Ok(answer) => {
            let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
            Outcome::Acked { rejected_item_count: u64::try_from(rejected).unwrap_or(0) }
        }
        Err(error) => Outcome::Failed(format!("decode answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;
    use crate::wire::grpc_frame;

    #[test]
    fn partial_success_is_read_from_plain_and_gzipped_answers() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".into() };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&message).unwrap();
        let packed = encoder.finish().unwrap();
        for frame in [grpc_frame(&message, false), grpc_frame(&packed, true)] {
            let outcome = acked(&grpc_message(&frame).unwrap());
            assert!(matches!(outcome, Outcome::Acked { rejected_item_count: 3 }), "{outcome:?}");
        }
    }

    #[test]
    fn broken_answers_are_failures_not_acknowledgements() {
        assert!(grpc_message(&[]).is_err());
        assert!(grpc_message(&grpc_frame(b"no gzip", true)).is_err());
        assert!(matches!(acked(&[0xff]), Outcome::Failed(_)));
    }
}
