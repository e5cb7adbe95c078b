//! Servers for tests of exporters, written by hand on hyper, so that an exporter is not tested against its own ideas of the
//! protocol: unary gRPC, and HTTP/1.
//!
//! Both listen on a loopback port of the system's choice, remember what arrives, decompress gzip, and answer by a function.
//! What breaks the protocol panics in the server, so that the client gets no answer.

#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "test helpers")]

use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body or gRPC message, decompressed.
    pub body: Vec<u8>,
}

/// What a gRPC call is answered with.
#[derive(Clone, Debug, Default)]
pub struct GrpcAnswer {
    /// Status code.
    pub code: u8,
    /// The status' message.
    pub text: String,
    /// The status' details, serialized.
    pub details: Vec<u8>,
    /// The answer's message, where the code is 0.
    pub message: Vec<u8>,
    /// Time before it is sent.
    pub delay: Duration,
}

impl GrpcAnswer {
    /// An empty message.
    #[must_use]
    pub fn ok() -> Self {
        Self::default()
    }

    /// A failure.
    #[must_use]
    pub fn status(code: u8, text: &str) -> Self {
        Self { code, text: text.to_owned(), ..Self::default() }
    }

    fn response(self) -> Response<Reply> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(u16::from(self.code)));
        if !self.text.is_empty() {
            trailers.insert("grpc-message", HeaderValue::try_from(self.text.replace('%', "%25")).unwrap());
        }
        if !self.details.is_empty() {
            let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&self.details);
            trailers.insert("grpc-status-details-bin", HeaderValue::try_from(text).unwrap());
        }
        let mut reply = Reply { data: None, trailers: None };
        let mut response = Response::builder().header("content-type", "application/grpc");
        if self.code == 0 {
            let mut data = vec![0];
            data.extend_from_slice(&u32::try_from(self.message.len()).unwrap().to_be_bytes());
            data.extend_from_slice(&self.message);
            reply = Reply { data: Some(data.into()), trailers: Some(trailers) };
        } else {
            response.headers_mut().unwrap().extend(trailers);
        }
        response.body(reply).unwrap()
    }
}

/// What an HTTP request is answered with.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Time before it is sent.
    pub delay: Duration,
}

impl HttpAnswer {
    /// An empty answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO }
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    fn response(self) -> Response<Reply> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let data = Some(Bytes::from(self.body)).filter(|data| !data.is_empty());
        response.body(Reply { data, trailers: None }).unwrap()
    }
}

/// A running server. Ends when it is dropped; open connections end with the runtime.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a call, of which there were so many before, and when to give it.
type Answer = dyn Fn(&Call, usize) -> (Duration, Response<Reply>) + Send + Sync;

impl Server {
    /// A gRPC server.
    pub async fn grpc(answer: impl Fn(&Call) -> GrpcAnswer + Send + Sync + 'static) -> Self {
        let answer = move |call: &Call, _: usize| {
            let answer = answer(call);
            (answer.delay, answer.response())
        };
        Self::start(true, Arc::new(answer)).await
    }

    /// An HTTP/1 server. `answer` gets each post and how many were before it.
    pub async fn http(answer: impl Fn(&Call, usize) -> HttpAnswer + Send + Sync + 'static) -> Self {
        let answer = move |call: &Call, before: usize| {
            let answer = answer(call, before);
            (answer.delay, answer.response())
        };
        Self::start(false, Arc::new(answer)).await
    }

    async fn start(is_grpc: bool, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let call = if is_grpc { grpc_call(request).await } else { http_call(request).await };
                        let before = {
                            let mut log = log.lock().unwrap();
                            log.push(call.clone());
                            log.len() - 1
                        };
                        let (delay, response) = answer(&call, before);
                        tokio::time::sleep(delay).await;
                        Ok::<_, Infallible>(response)
                    }
                });
                let stream = TokioIo::new(stream);
                tokio::spawn(async move {
                    // A client that goes away is none of the test's business.
                    if is_grpc {
                        let server = http2::Builder::new(TokioExecutor::new());
                        let _ended = server.serve_connection(stream, service).await;
                    } else {
                        let _ended = http1::Builder::new().serve_connection(stream, service).await;
                    }
                });
            }
        });
        Self { address, calls, task }
    }

    /// Everything that arrived.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn grpc_call(request: Request<Incoming>) -> Call {
    let (head, body) = request.into_parts();
    assert_eq!(head.method, "POST");
    assert_eq!(head.headers["content-type"], "application/grpc");
    assert_eq!(head.headers["te"], "trailers");
    let body = body.collect().await.unwrap().to_bytes();
    let (prefix, message) = body.split_at(5);
    assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, message.len());
    let body = match prefix[0] {
        0 => message.to_vec(),
        _ => {
            assert_eq!(head.headers["grpc-encoding"], "gzip");
            gunzip(message)
        }
    };
    Call { path: head.uri.path().to_owned(), headers: head.headers, body }
}

async fn http_call(request: Request<Incoming>) -> Call {
    let (head, body) = request.into_parts();
    assert_eq!(head.method, "POST");
    let packed = body.collect().await.unwrap().to_bytes();
    let body = match head.headers.get("content-encoding").map(|encoding| encoding.to_str().unwrap()) {
        None => packed.to_vec(),
        Some("gzip") => gunzip(&packed),
        Some(other) => panic!("{other}"),
    };
    Call { path: head.uri.path().to_owned(), headers: head.headers, body }
}

fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
    plain
}

/// A body, then trailers.
struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }
}
