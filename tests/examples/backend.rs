//! A destination for tests: takes OTLP over gRPC or HTTP on a port the system chose, and keeps what it was sent.
//!
//! Written on hyper alone, so that it shares no code with what it receives from. Accepts everything; gzip is undone.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pdata::Signal;
use testkit::otlp_arbitrary;
use tokio::net::TcpListener;

/// Which protocol a backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP in protobuf.
    Http,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its headers.
    pub headers: HeaderMap,
    /// The serialized request, inflated.
    pub bytes: Vec<u8>,
    /// What it carried.
    pub telemetry: otlp_arbitrary::Request,
}

/// A running destination; it ends with the test's runtime.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Backend {
    /// Starts listening.
    pub async fn start(protocol: Protocol) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), protocol)
    }

    /// Starts serving a listener.
    pub fn on(listener: TcpListener, protocol: Protocol) -> Self {
        let backend = Self { address: listener.local_addr().unwrap(), arrived: Arc::default() };
        let arrived = Arc::clone(&backend.arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let arrived = Arc::clone(&arrived);
                let service = service_fn(move |request| answer(protocol, request, Arc::clone(&arrived)));
                // A connection that breaks off is the client's end of it.
                match protocol {
                    Protocol::Grpc => {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
                    }
                    Protocol::Http => {
                        let server = hyper::server::conn::http1::Builder::new();
                        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
                    }
                }
            }
        });
        backend
    }

    /// Everything that arrived.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Waits until at least `items` arrived, and returns everything that did.
    pub async fn wait_for(&self, items: u64) -> Vec<Arrived> {
        for _ in 0..1000 {
            let arrived = self.arrived();
            if arrived.iter().map(|request| request.telemetry.items()).sum::<u64>() >= items {
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let counts: Vec<u64> = self.arrived().iter().map(|request| request.telemetry.items()).collect();
        panic!("after ten seconds only {counts:?} arrived of {items} items");
    }
}

type Answer = Response<StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

async fn answer(
    protocol: Protocol,
    request: Request<Incoming>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let signal = match head.uri.path() {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        other => panic!("request for {other}"),
    };
    let message = match protocol {
        Protocol::Grpc => {
            let packed = body[0] == 1;
            assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, body.len() - 5, "one message");
            if packed { inflate(&body[5..]) } else { body[5..].to_vec() }
        }
        Protocol::Http if head.headers.get("content-encoding").is_some_and(|name| name == "gzip") => inflate(&body),
        Protocol::Http => body.to_vec(),
    };
    let telemetry = otlp_arbitrary::Request::decode(signal, &message).unwrap();
    arrived.lock().unwrap().push(Arrived { headers: head.headers, bytes: message, telemetry });
    Ok(match protocol {
        Protocol::Grpc => {
            let mut empty = BytesMut::new();
            empty.put_bytes(0, 5);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            respond("application/grpc", vec![Frame::data(empty.freeze()), Frame::trailers(trailers)])
        }
        Protocol::Http => respond("application/x-protobuf", Vec::new()),
    })
}

fn respond(content_type: &'static str, frames: Vec<Frame<Bytes>>) -> Answer {
    let frames: Vec<_> = frames.into_iter().map(Ok).collect();
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut message).unwrap();
    message
}
