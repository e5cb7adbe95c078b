//! Extensions in the way of requests, over loopback, and what validation says of components that cannot be built: the whole
//! program with its real components.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]

mod wire;

use std::net::SocketAddr;

use component::{Host, Level, Registry};
use http_body_util::BodyExt as _;
use pdata::{ByteAccount, Ledger};
use weir::catalog::Catalog;
use weir::service::graph::Graph;
use weir::service::{ServiceOptions, prepare};
use wire::{Client, LOGS_PATH, Running, framed, free_address, grpc_request, http_request};

const MIB: usize = 1 << 20;

/// One log record as a request of its own.
const RECORD: &[u8] = &[0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];

fn limited(grpc: SocketAddr, http: SocketAddr) -> String {
    format!(
        "extensions: {{memory_limiter: {{check_interval: 1h, limit_mib: 10, spike_limit_mib: 2}}}}\nreceivers:\n  otlp:\n    \
         protocols:\n      grpc: {{endpoint: '{grpc}', middlewares: [{{id: memory_limiter}}]}}\n      http: {{endpoint: \
         '{http}', middlewares: [{{id: memory_limiter}}]}}\nexporters: {{nop: }}\nservice:\n  extensions: \
         [memory_limiter]\n  telemetry: {{logs: {{level: error}}, metrics: {{level: none}}}}\n  pipelines: {{logs: \
         {{receivers: [otlp], exporters: [nop]}}}}\n"
    )
}

#[tokio::test]
async fn a_limiter_in_the_way_refuses_retryably_and_lets_in_again() {
    let (grpc_address, http_address) = (free_address(), free_address());
    let running = Running::start(limited(grpc_address, http_address), Catalog::default()).await;
    running.service.host().registry().set_level(Level::Normal);
    let (mut grpc, mut http) = (Client::grpc(grpc_address), Client::http(http_address));
    for client in [&mut grpc, &mut http] {
        assert!(client.send(RECORD.to_vec()).await.unwrap().is_success());
    }
    let held = running.service.host().account().charge(8 * MIB);
    // The answer does not wait for a body that is announced and never comes.
    let announced = framed(0, &[0; 100])[..5].to_vec();
    let answer = grpc.call(grpc_request(grpc_address, LOGS_PATH, &[], &announced)).await.unwrap();
    assert_eq!(answer.grpc, Some(14), "UNAVAILABLE: {answer:?}");
    assert!(answer.message.starts_with("data refused due to high memory usage"), "{answer:?}");
    let answer = http.send(RECORD.to_vec()).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    // The hints without which a client may not know that it is to try again.
    let asked = tokio::net::TcpStream::connect(http_address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(asked)).await.unwrap();
    tokio::spawn(connection);
    for (method, path) in [("POST", "/v1/logs"), ("GET", "/nowhere")] {
        let request = http_request(method, path, &[("content-type", "application/x-protobuf")], RECORD.to_vec());
        let response = sender.send_request(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
        let _read = response.into_body().collect().await.unwrap();
    }
    assert_eq!(running.metric("weir_extension_memory_limiter_refused_requests", &["memory_limiter"]), 4);
    assert_eq!(running.metric("weir_receiver_refused_requests", &["grpc"]), 1);
    assert_eq!(running.metric("weir_receiver_refused_requests", &["http"]), 2);
    drop(held);
    for client in [&mut grpc, &mut http] {
        assert!(client.send(RECORD.to_vec()).await.unwrap().is_success());
    }
    assert_eq!(running.stop().await, (4, 4));
}

/// The errors of a configuration over the real components, as `line: path: message`.
fn problems(yaml: &str) -> Vec<String> {
    let options = ServiceOptions { uris: vec![format!("yaml:{yaml}")], ..ServiceOptions::default() };
    let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::None));
    match prepare(&options, &|_: &str| None, &Catalog::default(), &host, &Graph::default()) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            errors.sorted().into_iter().map(|error| format!("{}: {}", error.origin.line, error.headline())).collect()
        }
    }
}

#[test]
fn a_mistake_is_told_once_however_many_pipelines_meet_it() {
    let yaml = "receivers: {nop: }\nexporters:\n  otlp_grpc: {endpoint: 'localhost:1', tls: {ca_file: /nowhere.pem}}\n\
                service: {pipelines: {logs: {receivers: [nop], exporters: [otlp_grpc]}, traces: {receivers: [nop], \
                exporters: [otlp_grpc]}}}\n";
    let problems = problems(yaml);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("3: exporters::otlp_grpc::tls::ca_file: cannot read CA"), "{problems:?}");
}

#[test]
fn validation_refuses_extensions_that_cannot_do_what_they_are_named_for() {
    let yaml = |receiver: &str, exporter: &str| {
        format!(
            "extensions: {{memory_limiter: {{check_interval: 1s, limit_mib: 10}}, health_check: , bearertokenauth: {{token: t}}}}\n\
             receivers:\n  otlp: {{protocols: {{grpc: {{{receiver}}}}}}}\nexporters:\n  otlp_grpc: {{endpoint: 'localhost:1', \
             {exporter}}}\nservice:\n  extensions: [memory_limiter, health_check, bearertokenauth]\n  pipelines: {{logs: \
             {{receivers: [otlp], exporters: [otlp_grpc]}}, traces: {{receivers: [otlp], exporters: [otlp_grpc]}}}}\n"
        )
    };
    for (receiver, exporter, expected) in [
        ("middlewares: [{id: memory_limiter}], auth: {authenticator: bearertokenauth}", "", vec![]),
        (
            "middlewares: [{id: memory_limiter}, {id: health_check}]",
            "",
            vec!["3: receivers::otlp: `middlewares`: extension `health_check` cannot be a middleware of a server"],
        ),
        (
            "auth: {authenticator: memory_limiter}",
            "auth: {authenticator: health_check}, middlewares: [{id: memory_limiter}]",
            vec![
                "3: receivers::otlp: `auth::authenticator`: extension `memory_limiter` cannot authenticate requests to a server",
                "5: exporters::otlp_grpc: `auth::authenticator`: extension `health_check` cannot authenticate requests of a client",
                "5: exporters::otlp_grpc: `middlewares`: extension `memory_limiter` cannot be a middleware of a client",
            ],
        ),
    ] {
        assert_eq!(problems(&yaml(receiver, exporter)), expected, "{receiver} {exporter}");
    }
}
