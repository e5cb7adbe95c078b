//! What tests of both sides use: a host, a handler that records, an HTTP/2 client that sends exactly what it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component::{BoxFuture, Code, Component, ComponentId, Deadline, Extension, Host, Level, Registry, Telemetry};
use config::Decode;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use pdata::{ByteAccount, Charge, Gate, Ledger, Overloaded};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::server::{GrpcServer, GrpcServerConfig, GrpcStatus, RequestInfo, ServerSettings, UnaryHandler};

/// Decodes a configuration that must be good.
pub(crate) fn decoded<C: Decode + Default>(yaml: &str) -> C {
    config::decode_str(yaml).unwrap_or_else(|errors| panic!("{errors}")).0
}

/// The error text of a configuration that must be bad.
pub(crate) fn refused<C: Decode + Default + std::fmt::Debug>(yaml: &str) -> String {
    config::decode_str::<C>(yaml).expect_err(yaml).to_string()
}

pub(crate) fn host() -> Host {
    Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Detailed)).0
}

pub(crate) fn settings(host: &Host) -> ServerSettings {
    ServerSettings {
        id: ComponentId::with_name("otlp", "test"),
        telemetry: Telemetry::new(Arc::clone(host.registry()), vec![("receiver".into(), "otlp/test".into())]),
    }
}

/// An extension with or without a gate.
pub(crate) struct Limited(pub(crate) Option<Arc<Gate>>);

impl Component for Limited {}

impl Extension for Limited {
    fn server_gate(&self) -> Option<Arc<Gate>> {
        self.0.clone()
    }
}

/// Runs the extension `limiter`, whose gate is returned.
pub(crate) fn limited(host: &Host, soft_bytes: usize) -> Arc<Gate> {
    let gate = Gate::new(soft_bytes);
    let extension: Arc<dyn Extension> = Arc::new(Limited(Some(Arc::clone(&gate))));
    host.set_extensions([(ComponentId::new("limiter"), extension)].into());
    gate
}

/// The sum of a counter's series whose labels contain `value`.
pub(crate) fn count(host: &Host, name: &str, value: &str) -> f64 {
    let readings = host.registry().read();
    let series = readings.iter().filter(|reading| reading.metric.name == name).flat_map(|reading| &reading.series);
    series
        .filter(|(labels, _)| labels.iter().any(|(_, label)| label == value))
        .map(|(_, reading)| match reading {
            component::telemetry::Value::Number(number) => *number,
            component::telemetry::Value::Histogram { counts, .. } => counts.iter().sum::<u64>() as f64,
        })
        .sum()
}

/// Waits for something that other tasks bring about.
pub(crate) async fn eventually(mut what: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// Serves `/test.Service/Echo`, `/…/Fail`, `/…/Panic`, `/…/Slow` and remembers what came.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) account: Arc<ByteAccount>,
    pub(crate) calls: Mutex<Vec<(usize, Vec<u8>, RequestInfo)>>,
    pub(crate) admitted: Mutex<Vec<usize>>,
    pub(crate) finished: Mutex<usize>,
    pub(crate) gate: tokio::sync::Semaphore,
}

pub(crate) const METHODS: [&str; 4] =
    ["/test.Service/Echo", "/test.Service/Fail", "/test.Service/Panic", "/test.Service/Slow"];

impl Recorder {
    pub(crate) fn new(account_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            account: ByteAccount::new(account_bytes),
            calls: Mutex::default(),
            admitted: Mutex::default(),
            finished: Mutex::new(0),
            gate: tokio::sync::Semaphore::new(0),
        })
    }
}

/// The recorder behind a pointer that the server owns.
pub(crate) struct Shared(pub(crate) Arc<Recorder>);

impl UnaryHandler for Shared {
    fn method(&self, path: &str) -> Option<usize> {
        METHODS.iter().position(|method| *method == path)
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.0.admitted.lock().push(bytes);
        self.0.account.try_charge(bytes)
    }

    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus {
        GrpcStatus { code: Code::Unavailable, message: overloaded.to_string(), details: Bytes::from_static(b"retry") }
    }

    fn call(
        &self,
        method: usize,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, Result<Bytes, GrpcStatus>> {
        assert!(charge.bytes() >= body.len());
        self.0.calls.lock().push((method, body.clone(), request));
        let recorder = Arc::clone(&self.0);
        Box::pin(async move {
            let _charge = charge;
            match method {
                0 => Ok(Bytes::from(body)),
                1 => Err(GrpcStatus::new(Code::PermissionDenied, "no \u{fc}se")),
                2 => panic!("a handler that panics on purpose"),
                _ => {
                    let _permit = recorder.gate.acquire().await.expect("never closed");
                    *recorder.finished.lock() += 1;
                    Ok(Bytes::new())
                }
            }
        })
    }
}

/// Adds an endpoint on a port of the system's choice to a flow map that has none.
pub(crate) fn with_endpoint(yaml: &str) -> String {
    if yaml.contains("endpoint:") {
        return yaml.to_owned();
    }
    let inner = yaml.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(yaml);
    format!("{{endpoint: '127.0.0.1:0', {inner}}}")
}

pub(crate) async fn grpc_server(yaml: &str, host: &Host, recorder: &Arc<Recorder>) -> GrpcServer {
    let config: GrpcServerConfig = decoded(&with_endpoint(yaml));
    GrpcServer::start(&config, host, settings(host), Arc::new(Shared(Arc::clone(recorder)))).await.expect("starts")
}

pub(crate) async fn stop(server: &GrpcServer) {
    server.shutdown(Deadline::after(Duration::from_secs(5))).await;
}

/// A message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![flag];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed
}

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// What came back, headers and trailers together.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn grpc(&self) -> (Code, String) {
        let status = crate::grpc::read_status(&self.headers).expect("a gRPC status");
        (status.code, status.message)
    }
}

/// A body made of parts; never ends while the sender is held.
pub(crate) fn open_body() -> (mpsc::UnboundedSender<Bytes>, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let parts = futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|part| part.map(|part| Ok(http_body::Frame::data(part))))
    });
    (sender, StreamBody::new(parts).boxed())
}

pub(crate) fn whole_body(parts: Vec<Vec<u8>>) -> Body {
    let frames = parts.into_iter().map(|part| Ok(http_body::Frame::data(Bytes::from(part))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed()
}

/// An HTTP/2 connection in plaintext.
pub(crate) async fn h2(address: SocketAddr) -> http2::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move {
        // Ends with the test.
        let _ended = connection.await;
    });
    sender
}

/// Sends a request with gRPC's headers and these.
pub(crate) async fn send(
    sender: &mut http2::SendRequest<Body>,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Result<Reply, hyper::Error> {
    let mut request = Request::post(format!("http://test{path}")).body(body).unwrap();
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let mut headers = head.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    Ok(Reply { status: head.status, headers, body: collected.to_bytes() })
}

pub(crate) fn client_settings() -> crate::client::ClientSettings {
    crate::client::ClientSettings {
        id: ComponentId::with_name("otlp_grpc", "test"),
        telemetry: Telemetry::detached(),
        user_agent: "weir-test/1".into(),
    }
}
