//! A gRPC server written by hand on hyper, so that the exporter is not tested against its own ideas of the protocol.

use std::convert::Infallible;
use std::io::Read;
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
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// Decompressed.
    pub(super) message: Vec<u8>,
}

/// What a call is answered with.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) text: String,
    pub(super) details: Vec<u8>,
    pub(super) message: Vec<u8>,
    pub(super) delay: Duration,
}

impl Answer {
    pub(super) fn ok() -> Self {
        Self::default()
    }

    pub(super) fn status(code: u8, text: &str) -> Self {
        Self { code, text: text.to_owned(), ..Self::default() }
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&calls));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let call = read(request).await;
                        log.lock().unwrap().push(call.clone());
                        let answer = answer(&call);
                        tokio::time::sleep(answer.delay).await;
                        Ok::<_, Infallible>(write(answer))
                    }
                });
                let connection =
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    // A client that goes away is none of the test's business.
                    let _ended = connection.await;
                });
            }
        });
        Self { address, calls, task }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn read(request: Request<Incoming>) -> Call {
    let (head, body) = request.into_parts();
    assert_eq!(head.method, "POST");
    assert_eq!(head.headers["content-type"], "application/grpc");
    assert_eq!(head.headers["te"], "trailers");
    let body = body.collect().await.unwrap().to_bytes();
    let (prefix, message) = body.split_at(5);
    assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, message.len());
    let message = match prefix[0] {
        0 => message.to_vec(),
        _ => {
            assert_eq!(head.headers["grpc-encoding"], "gzip");
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(message).read_to_end(&mut plain).unwrap();
            plain
        }
    };
    Call { path: head.uri.path().to_owned(), headers: head.headers, message }
}

fn write(answer: Answer) -> Response<Reply> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(answer.code)));
    if !answer.text.is_empty() {
        trailers.insert("grpc-message", HeaderValue::try_from(answer.text.replace('%', "%25")).unwrap());
    }
    if !answer.details.is_empty() {
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&answer.details);
        trailers.insert("grpc-status-details-bin", HeaderValue::try_from(text).unwrap());
    }
    let mut reply = Reply { data: None, trailers: None };
    let mut response = Response::builder().header("content-type", "application/grpc");
    if answer.code == 0 {
        let mut data = vec![0];
        data.extend_from_slice(&u32::try_from(answer.message.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&answer.message);
        reply = Reply { data: Some(data.into()), trailers: Some(trailers) };
    } else {
        response.headers_mut().unwrap().extend(trailers);
    }
    response.body(reply).unwrap()
}

/// A message, then trailers.
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
