//! Every file of `config-examples/` is valid as it stands, and does what it says: run over loopback with its addresses set
//! through the environment, what goes in comes out at a destination, and the books balance. Examples that only pass
//! telemetry on are here, those that change, drop or route it in `examples/processing.rs`, those that sample by whole traces
//! in `examples/sampling.rs` and `examples/balancing.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

#[path = "examples/backend.rs"]
mod backend;
#[path = "examples/balancing.rs"]
mod balancing;
#[path = "examples/otlp.rs"]
mod otlp;
#[path = "examples/processing.rs"]
mod processing;
#[path = "examples/sampling.rs"]
mod sampling;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backend::{Arrived, Backend, Protocol};
use bytes::Bytes;
use component::{Deadline, Host, Level, Registry};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use pdata::{ByteAccount, Ledger, Signal};
use testkit::otlp_arbitrary;
use tokio::net::TcpStream;
use weir::catalog::Catalog;
use weir::service::graph::Graph;
use weir::service::{Service, ServiceOptions, prepare};

/// Items of each signal that go through an example.
const ITEMS: u64 = 60;
const HOUR: Duration = Duration::from_secs(3600);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples")
}

fn options(name: &str) -> ServiceOptions {
    ServiceOptions { uris: vec![folder().join(name).display().to_string()], ..ServiceOptions::default() }
}

/// A port that was free a moment ago; the examples name their ports, so that the system cannot choose at bind.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A running example.
struct Running {
    service: Service,
    otlp: SocketAddr,
}

/// Runs the example `name` with the given variables, listening on ports of its own.
async fn run(name: &str, variables: &[(&str, String)]) -> Running {
    let otlp: SocketAddr = local(free_port()).parse().unwrap();
    let mut env: BTreeMap<&str, String> = BTreeMap::from([
        ("OTLP_HTTP_ENDPOINT", otlp.to_string()),
        ("GATEWAY_LISTEN", otlp.to_string()),
        ("OTLP_GRPC_ENDPOINT", local(free_port())),
        ("HEALTH_ENDPOINT", local(free_port())),
        ("METRICS_HOST", "127.0.0.1".to_owned()),
        ("METRICS_PORT", free_port().to_string()),
    ]);
    env.extend(variables.iter().cloned());
    let variables = move |name: &str| env.get(name).cloned();
    let service = Service::start(options(name), Arc::new(Catalog::default()), &variables).await.unwrap();
    Running { service, otlp }
}

/// Posts `ITEMS` of every signal, in requests of a few, and returns what was sent.
async fn send(to: SocketAddr, headers: &[(&str, &str)]) -> Vec<otlp_arbitrary::Request> {
    let mut sent = Vec::new();
    for (signal, path) in [(Signal::Traces, "/v1/traces"), (Signal::Metrics, "/v1/metrics"), (Signal::Logs, "/v1/logs")]
    {
        for first in (0..ITEMS).step_by(20) {
            let request = testkit::items::request(signal, first, 20);
            assert_eq!(post(to, path, headers, request.encode()).await, 200);
            sent.push(request);
        }
    }
    sent
}

async fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> u16 {
    ask(to, path, headers, body).await.0
}

/// Posts, and returns status and body of the answer.
async fn ask(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Bytes) {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request =
        Request::post(path).header("host", to.to_string()).header("content-type", "application/x-protobuf");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

/// Every item as a text of its own, so that it does not matter how items were batched.
fn items<'a>(requests: impl IntoIterator<Item = &'a otlp_arbitrary::Request>) -> BTreeSet<String> {
    let mut items = BTreeSet::new();
    for request in requests {
        match request {
            otlp_arbitrary::Request::Traces(request) => {
                for resource in &request.resource_spans {
                    for scope in &resource.scope_spans {
                        items.extend(
                            scope.spans.iter().map(|i| format!("{:?} {:?} {i:?}", resource.resource, scope.scope)),
                        );
                    }
                }
            }
            otlp_arbitrary::Request::Logs(request) => {
                for resource in &request.resource_logs {
                    for scope in &resource.scope_logs {
                        let records = &scope.log_records;
                        items
                            .extend(records.iter().map(|i| format!("{:?} {:?} {i:?}", resource.resource, scope.scope)));
                    }
                }
            }
            otlp_arbitrary::Request::Metrics(request) => {
                for resource in &request.resource_metrics {
                    for scope in &resource.scope_metrics {
                        items.extend(
                            scope.metrics.iter().map(|i| format!("{:?} {:?} {i:?}", resource.resource, scope.scope)),
                        );
                    }
                }
            }
        }
    }
    items
}

fn compare(sent: &[otlp_arbitrary::Request], arrived: &[Arrived]) {
    assert_eq!(items(sent), items(arrived.iter().map(|request| &request.telemetry)));
    let count: u64 = arrived.iter().map(|request| request.telemetry.items()).sum();
    assert_eq!(count, 3 * ITEMS, "nothing arrives twice");
}

async fn stop(running: Running) {
    let report = running.service.shutdown(Deadline::after(Duration::from_secs(20))).await;
    assert!(report.stopped.problems.is_empty(), "{:?}", report.stopped.problems);
    assert!(report.balances(), "{:?}", report.accounts);
    let received: u64 = report.accounts.iter().map(|(_, totals)| totals.received).sum();
    let delivered: u64 = report.accounts.iter().map(|(_, totals)| totals.delivered).sum();
    assert_eq!((received, delivered), (3 * ITEMS, 3 * ITEMS));
}

#[test]
fn every_example_is_valid_as_it_stands() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    let tested = [
        "agent-durable.yaml",
        "agent-scrubbing.yaml",
        "agent-sidecar.yaml",
        "balancing-agent.yaml",
        "chain-agent.yaml",
        "chain-gateway.yaml",
        "drop-noise.yaml",
        "gateway.yaml",
        "head-sampling.yaml",
        "hybrid-sampling.yaml",
        "pii-gateway.yaml",
        "sampling-tier.yaml",
        "tail-sampling-logs.yaml",
        "tenant-routing.yaml",
    ];
    assert_eq!(names, tested, "add a test");
    for name in &names {
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Normal));
        let nothing = |_: &str| None;
        let prepared = prepare(&options(name), &nothing, &Catalog::default(), &host, &Graph::default());
        let (_, plan, _) = prepared.unwrap_or_else(|errors| panic!("{}", errors.render_text(false)));
        assert!(plan.warnings.is_empty(), "{name}: {:?}", plan.warnings);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_sidecar_passes_on_to_a_gateway() {
    let gateway = Backend::start(Protocol::Grpc).await;
    let agent = run("agent-sidecar.yaml", &[("GATEWAY_ENDPOINT", gateway.address.to_string())]).await;
    let sent = send(agent.otlp, &[]).await;
    compare(&sent, &gateway.wait_for(3 * ITEMS).await);
    stop(agent).await;
}

/// The gateway is away, the agent ends; another agent finds the queue, and the gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_durable_survives_its_end_and_the_gateways_absence() {
    let queue = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent-durable");
    drop(std::fs::remove_dir_all(&queue));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = listener.local_addr().unwrap();
    drop(listener);
    let variables = [("GATEWAY_ENDPOINT", gateway.to_string()), ("QUEUE_DIRECTORY", queue.display().to_string())];
    let agent = run("agent-durable.yaml", &variables).await;
    let sent = send(agent.otlp, &[]).await;
    let report = agent.service.shutdown(Deadline::after(HOUR)).await;
    assert!(report.balances(), "{:?}", report.accounts);
    let persisted: u64 = report.accounts.iter().map(|(_, totals)| totals.persisted).sum();
    assert_eq!(persisted, 3 * ITEMS);
    let gateway = Backend::on(tokio::net::TcpListener::bind(gateway).await.unwrap(), Protocol::Grpc);
    let agent = run("agent-durable.yaml", &variables).await;
    compare(&sent, &gateway.wait_for(3 * ITEMS).await);
    let report = agent.service.shutdown(Deadline::after(HOUR)).await;
    assert!(report.balances(), "{:?}", report.accounts);
    let sum = |of: fn(&pdata::Totals) -> u64| report.accounts.iter().map(|(_, totals)| of(totals)).sum::<u64>();
    assert_eq!((sum(|t| t.recovered), sum(|t| t.delivered), sum(|t| t.persisted)), (3 * ITEMS, 3 * ITEMS, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_passes_on_to_a_backend() {
    let backend = Backend::start(Protocol::Grpc).await;
    let gateway = run("gateway.yaml", &[("BACKEND_ENDPOINT", backend.address.to_string())]).await;
    let sent = send(gateway.otlp, &[]).await;
    compare(&sent, &backend.wait_for(3 * ITEMS).await);
    stop(gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chain_carries_tenants_and_lets_only_its_agents_in() {
    let backend = Backend::start(Protocol::Http).await;
    let to_backend = ("BACKEND_ENDPOINT", format!("http://{}", backend.address));
    let gateway = run("chain-gateway.yaml", &[to_backend, ("GATEWAY_TOKENS", "[old, secret]".to_owned())]).await;
    let record = || testkit::items::request(Signal::Logs, 0, 1).encode();
    assert_eq!(post(gateway.otlp, "/v1/logs", &[], record()).await, 401, "no token");
    assert_eq!(post(gateway.otlp, "/v1/logs", &[("authorization", "Bearer wrong")], record()).await, 401);
    let variables = [
        ("GATEWAY_ENDPOINT", format!("http://{}", gateway.otlp)),
        ("GATEWAY_TOKEN", "secret".to_owned()),
        ("TENANT", "team-b".to_owned()),
    ];
    let agent = run("chain-agent.yaml", &variables).await;
    let sent = send(agent.otlp, &[]).await;
    let arrived = backend.wait_for(3 * ITEMS).await;
    compare(&sent, &arrived);
    for request in &arrived {
        assert_eq!(request.headers.get("x-scope-orgid").unwrap(), "team-b");
    }
    stop(agent).await;
    stop(gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chain_gateway_keeps_tenants_apart() {
    let backend = Backend::start(Protocol::Http).await;
    let to_backend = ("BACKEND_ENDPOINT", format!("http://{}", backend.address));
    let gateway = run("chain-gateway.yaml", &[to_backend]).await;
    for (tenant, first) in [("a", 0), ("b", 10), ("a", 20), ("b", 30)] {
        let headers = [("authorization", "Bearer change-me"), ("x-scope-orgid", tenant)];
        let body = testkit::items::request(Signal::Logs, first, 10).encode();
        assert_eq!(post(gateway.otlp, "/v1/logs", &headers, body).await, 200);
    }
    let arrived = backend.wait_for(40).await;
    for (tenant, firsts) in [("a", [0, 20]), ("b", [10, 30])] {
        let of_tenant = arrived.iter().filter(|request| request.headers.get("x-scope-orgid").unwrap() == tenant);
        let expected: Vec<_> = firsts.iter().map(|first| testkit::items::request(Signal::Logs, *first, 10)).collect();
        assert_eq!(items(of_tenant.map(|request| &request.telemetry)), items(&expected), "tenant {tenant}");
    }
    let report = gateway.service.shutdown(Deadline::after(HOUR)).await;
    assert!(report.balances(), "{:?}", report.accounts);
}
