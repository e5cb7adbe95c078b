//! OTLP clients for tests that say exactly what was answered, and a service over loopback to talk to.
//!
//! Written on hyper alone. A connection that the server has closed is opened again, as every client does; being refused
//! one is an error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use component::Deadline;
use component::telemetry::Value;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use weir::catalog::Catalog;
use weir::service::{ReloadReport, Service, ServiceError, ServiceOptions};

pub const LOGS_PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A port that was free a moment ago: a reload has to name the address again, so that the system cannot choose at bind.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A service whose configuration can be changed.
pub struct Running {
    pub service: Service,
    text: Arc<Mutex<String>>,
}

fn env(text: &Arc<Mutex<String>>) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    let text = Arc::clone(text);
    move |_: &str| Some(text.lock().unwrap().clone())
}

/// Everything that an error and its causes say.
pub fn text_of(error: &ServiceError) -> String {
    match error {
        ServiceError::Config(errors) => errors.to_string(),
        ServiceError::Start(error) => net::report(error),
    }
}

impl Running {
    pub async fn start(configuration: String, catalog: Catalog) -> Self {
        let text = Arc::new(Mutex::new(configuration));
        let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
        let service = Service::start(options, Arc::new(catalog), &env(&text)).await;
        Self { service: service.unwrap_or_else(|error| panic!("{}", text_of(&error))), text }
    }

    pub async fn reload(&mut self, configuration: String) -> Result<ReloadReport, String> {
        *self.text.lock().unwrap() = configuration;
        let env = env(&self.text);
        let done = self.service.reload(&env, Deadline::after(Duration::from_secs(20))).await;
        done.map_err(|error| text_of(&error))
    }

    /// Shuts down, and says how many items were received and delivered in all pipelines.
    pub async fn stop(self) -> (u64, u64) {
        let report = self.service.shutdown(Deadline::after(Duration::from_secs(20))).await;
        assert!(report.stopped.problems.is_empty(), "{:?}", report.stopped.problems);
        assert!(report.balances(), "{:#?}", report.accounts);
        let sum = |read: fn(&pdata::Totals) -> u64| report.accounts.iter().map(|(_, totals)| read(totals)).sum();
        (sum(|totals| totals.received), sum(|totals| totals.delivered))
    }

    /// The sum of a metric's series whose labels contain all of `values`.
    pub fn metric(&self, name: &str, values: &[&str]) -> u64 {
        let readings = self.service.host().registry().read();
        let series = readings.iter().filter(|reading| reading.metric.name == name).flat_map(|reading| &reading.series);
        let has = |labels: &[(String, String)], value: &&str| labels.iter().any(|(_, label)| label == value);
        series
            .filter(|(labels, _)| values.iter().all(|value| has(labels, value)))
            .map(|(_, value)| match value {
                Value::Number(number) => *number as u64,
                Value::Histogram { counts, .. } => counts.iter().sum(),
            })
            .sum()
    }

    /// Panics when the books do not balance right now.
    pub fn check_books(&self) {
        check_books(self.service.host().ledger());
    }
}

/// Panics when the books do not balance right now.
pub fn check_books(ledger: &pdata::Ledger) {
    for (key, totals) in ledger.read() {
        assert_eq!(totals.difference(), 0, "{key:?} {totals:?}");
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// gRPC's, when there is one.
    pub grpc: Option<u32>,
    /// gRPC's message, or the body.
    pub message: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.grpc.is_none_or(|code| code == 0)
    }
}

enum Sender {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

/// A client with one connection, kept open.
pub struct Client {
    to: SocketAddr,
    is_grpc: bool,
    sender: Option<Sender>,
    /// How often a connection was found closed.
    pub reconnects: u64,
}

impl Client {
    pub fn grpc(to: SocketAddr) -> Self {
        Self { to, is_grpc: true, sender: None, reconnects: 0 }
    }

    pub fn http(to: SocketAddr) -> Self {
        Self { to, is_grpc: false, sender: None, reconnects: 0 }
    }

    /// Sends log records.
    ///
    /// # Errors
    /// A connection that is refused, and one that breaks without an answer again and again.
    pub async fn send(&mut self, body: Vec<u8>) -> Result<Answer, String> {
        let request = if self.is_grpc {
            grpc_request(self.to, LOGS_PATH, &[], &framed(0, &body))
        } else {
            http_request("POST", "/v1/logs", &[("content-type", "application/x-protobuf")], body)
        };
        self.call(request).await
    }

    /// Sends `request`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let mut last = String::new();
        for _ in 0..5 {
            let mut sender = match self.sender.take() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let answered = match &mut sender {
                Sender::Grpc(sender) => sender.send_request(request.clone()).await,
                Sender::Http(sender) => sender.send_request(request.clone()).await,
            };
            match answered {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = body.collect().await.map_err(|error| format!("body of {head:?}: {error}"))?;
                    let empty = HeaderMap::new();
                    let trailers = body.trailers().unwrap_or(&empty);
                    let field = |name| {
                        let value: Option<&http::HeaderValue> = head.headers.get(name).or(trailers.get(name));
                        value.map(|value| value.to_str().unwrap().to_owned())
                    };
                    let grpc = field("grpc-status").map(|code| code.parse().unwrap());
                    let message =
                        field("grpc-message").unwrap_or_else(|| String::from_utf8_lossy(&body.to_bytes()).into_owned());
                    self.sender = Some(sender);
                    return Ok(Answer { status: head.status.as_u16(), grpc, message });
                }
                Err(error) => {
                    self.reconnects += 1;
                    last = format!("{error:?}");
                }
            }
        }
        Err(last)
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream = TcpStream::connect(self.to).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).unwrap();
        if self.is_grpc {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            Ok(Sender::Grpc(sender))
        } else {
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            Ok(Sender::Http(sender))
        }
    }
}

/// A gRPC message.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

pub fn grpc_request(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::post(format!("http://{to}{path}")).header("content-type", "application/grpc");
    for (name, value) in headers.iter().chain(&[("te", "trailers")]) {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

pub fn http_request(method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "weir");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::from(body))).unwrap()
}
