//! What it answers in each phase, its configuration, its documentation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component::factory::Create;
use component::lifecycle::{Layout, Part, Phase};
use component::{ComponentId, Deadline, Extension, Health, Kind};
use config::{Errors, Limits, Source};
use extension_health_check::{HealthCheckConfig, factory};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use testkit::{Subject, World};

fn create(world: &World, yaml: &str) -> Arc<dyn Extension> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::health_check", &mut errors);
    assert!(!errors.has_errors(), "{errors}");
    let settings = world.settings(Kind::Extension, &ComponentId::new("health_check"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).unwrap()
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn get(port: u16, method: &str, path: &str) -> (u16, String, String) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "x");
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    drop(sender);
    driver.await.unwrap().unwrap();
    (head.status.as_u16(), head.headers["content-type"].to_str().unwrap().to_owned(), body)
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let subject = Subject::new(factory()).with_config("endpoint: '127.0.0.1:0'");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test]
async fn answers_by_phase() {
    let (world, port) = (World::new(), free_port().await);
    let extension = create(&world, &format!("endpoint: '127.0.0.1:{port}'"));
    extension.start(&world.host).await.unwrap();
    let down = r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#;
    assert_eq!(get(port, "GET", "/").await, (503, "application/json".to_owned(), down.to_owned()));
    world.host.set_phase(Phase::Running);
    for (method, path) in [("GET", "/"), ("GET", "/anything/below"), ("POST", "/")] {
        let (status, _, body) = get(port, method, path).await;
        assert_eq!(status, 200);
        assert!(body.starts_with(r#"{"status":"Server available","upSince":"20"#), "{body}");
        assert!(body.contains(r#","uptime":""#) && body.ends_with(r#"s"}"#), "{body}");
    }
    world.host.set_phase(Phase::Stopping);
    assert_eq!(get(port, "GET", "/").await.0, 503);
    extension.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn path_and_texts_can_be_chosen() {
    let (world, port) = (World::new(), free_port().await);
    let yaml =
        format!("{{endpoint: '127.0.0.1:{port}', path: /health, response_body: {{healthy: fine, unhealthy: wait}}}}");
    let extension = create(&world, &yaml);
    extension.start(&world.host).await.unwrap();
    let plain = "text/plain; charset=utf-8".to_owned();
    assert_eq!(get(port, "GET", "/health").await, (503, plain.clone(), "wait".to_owned()));
    world.host.set_phase(Phase::Running);
    assert_eq!(get(port, "GET", "/health").await, (200, plain, "fine".to_owned()));
    assert_eq!(get(port, "GET", "/other").await.0, 404);
    assert_eq!(get(port, "GET", "/health/more").await.0, 404);
    extension.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
}

/// A service with one pipeline, whose exporter is `exporter`.
fn lay_out(world: &World) {
    let part = |kind, health_name: &str| Part { kind, id: "a/b".to_owned(), health_name: health_name.to_owned() };
    let layout = Layout {
        pipelines: [("traces/x".to_owned(), vec![part("receiver", "in"), part("exporter", "out")])].into(),
        extensions: vec![part("extension", "extension")],
        config_json: r#"{"exporters":{"a":{"token":"[REDACTED]"}}}"#.to_owned(),
    };
    world.host.set_layout(Arc::new(layout));
    for name in ["in", "out", "extension"] {
        world.host.report_health(name, Health::Ok);
    }
}

#[tokio::test]
async fn the_second_version_tells_pipelines_and_components() {
    let (world, port) = (World::new(), free_port().await);
    let yaml = format!(
        "{{use_v2: true, component_health: {{include_permanent_errors: true}}, \
         http: {{endpoint: '127.0.0.1:{port}', config: {{enabled: true}}, status: {{include_attributes: true}}}}}}"
    );
    let extension = create(&world, &yaml);
    extension.start(&world.host).await.unwrap();
    let status = async |query: &str| {
        let (code, kind, body) = get(port, "GET", &format!("/status{query}")).await;
        assert_eq!(kind, "application/json");
        (code, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (code, body) = status("?verbose").await;
    assert_eq!((code, &body["status"], &body["healthy"]), (503, &json!("StatusStarting"), &json!(false)));
    assert_eq!(get(port, "GET", "/config").await.0, 503);
    assert_eq!(status("?pipeline=traces/x").await.0, 503);

    lay_out(&world);
    world.host.set_phase(Phase::Running);
    let (code, body) = status("").await;
    assert_eq!((code, &body["status"], &body["healthy"]), (200, &json!("StatusOK"), &json!(true)));
    assert!(body["start_time"].as_str().unwrap().starts_with("20") && body.get("components").is_none(), "{body}");
    assert_eq!(get(port, "GET", "/config").await.2, r#"{"exporters":{"a":{"token":"[REDACTED]"}}}"#);

    world.host.report_health("out", Health::Recoverable("away".to_owned()));
    let (code, body) = status("?verbose").await;
    assert_eq!((code, &body["status"], &body["error"]), (200, &json!("StatusRecoverableError"), &json!("away")));
    let components = &body["components"]["pipeline:traces/x"]["components"];
    assert_eq!(components["receiver:a/b"]["status"], json!("StatusOK"));
    assert_eq!(components["exporter:a/b"]["error"], json!("away"));
    let attributes =
        json!({"otelcol.component.id": "a/b", "otelcol.component.kind": "exporter", "otelcol.pipeline.id": "traces/x"});
    assert_eq!(components["exporter:a/b"]["attributes"], attributes);
    assert_eq!(body["components"]["extensions"]["components"]["extension:a/b"]["healthy"], json!(true));

    world.host.report_health("out", Health::Permanent("gone".to_owned()));
    let (code, body) = status("?pipeline=traces%2Fx&verbose").await;
    assert_eq!((code, &body["status"], &body["healthy"]), (500, &json!("StatusPermanentError"), &json!(false)));
    assert_eq!(body["components"]["exporter:a/b"]["error"], json!("gone"));
    assert_eq!(status("").await.0, 500);
    assert_eq!(get(port, "GET", "/status?pipeline=logs").await.0, 404);
    assert_eq!(get(port, "GET", "/").await.0, 404);
    assert_eq!(get(port, "POST", "/status").await.0, 405);
    world.host.set_phase(Phase::Stopping);
    assert_eq!(status("").await.0, 503);
    extension.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
}

/// A call of `Watch`.
struct Watching {
    body: hyper::body::Incoming,
    _sender: http2::SendRequest<Full<Bytes>>,
}

impl Watching {
    async fn begin(port: u16, service: &str) -> Self {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request("Watch", service)).await.unwrap();
        assert_eq!(response.headers().get("grpc-status"), None);
        Self { body: response.into_body(), _sender: sender }
    }

    /// The next status, or the code that ends the stream.
    async fn next(&mut self) -> Result<u8, String> {
        let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.unwrap().unwrap().unwrap();
        match frame.into_data() {
            Ok(data) => {
                assert_eq!(data[..6], [0, 0, 0, 0, 2, 8]);
                Ok(data[6])
            }
            Err(frame) => Err(frame.trailers_ref().unwrap()["grpc-status"].to_str().unwrap().to_owned()),
        }
    }
}

const SERVING: Result<u8, String> = Ok(1);
const NOT_SERVING: Result<u8, String> = Ok(2);
const UNKNOWN: Result<u8, String> = Ok(3);

#[tokio::test]
async fn watchers_are_told_of_changes_and_of_the_end() {
    let (world, port) = (World::new(), free_port().await);
    let yaml = format!(
        "{{use_v2: true, grpc: {{endpoint: '127.0.0.1:{port}'}}, component_health: \
         {{include_permanent_errors: true, include_recoverable_errors: true, recovery_duration: 50ms}}}}"
    );
    let extension = create(&world, &yaml);
    extension.start(&world.host).await.unwrap();
    let mut all = Watching::begin(port, "").await;
    let mut pipeline = Watching::begin(port, "traces/x").await;
    assert_eq!((all.next().await, pipeline.next().await), (NOT_SERVING, UNKNOWN));
    lay_out(&world);
    assert_eq!(pipeline.next().await, SERVING, "the pipeline came");
    world.host.set_phase(Phase::Running);
    assert_eq!(all.next().await, SERVING);
    world.host.report_health("out", Health::Permanent("broken".into()));
    assert_eq!((all.next().await, pipeline.next().await), (NOT_SERVING, NOT_SERVING));
    world.host.report_health("out", Health::Ok);
    assert_eq!((all.next().await, pipeline.next().await), (SERVING, SERVING));
    world.host.report_health("out", Health::Recoverable("slow".into()));
    assert_eq!((all.next().await, pipeline.next().await), (NOT_SERVING, NOT_SERVING), "it lasted too long");
    world.host.report_health("out", Health::Ok);
    assert_eq!((all.next().await, pipeline.next().await), (SERVING, SERVING));
    world.host.set_phase(Phase::Stopping);
    assert_eq!(all.next().await, NOT_SERVING);
    extension.shutdown(Deadline::after(Duration::from_secs(30))).await.unwrap();
    assert_eq!((all.next().await, pipeline.next().await), (Err("1".to_owned()), Err("1".to_owned())));
}

#[tokio::test]
async fn watchers_are_bounded_and_leave_room_when_they_go() {
    let (world, port) = (World::new(), free_port().await);
    let extension = create(&world, &format!("{{use_v2: true, grpc: {{endpoint: '127.0.0.1:{port}'}}}}"));
    extension.start(&world.host).await.unwrap();
    let mut watching = Vec::new();
    for _ in 0..100 {
        watching.push(Watching::begin(port, "").await);
    }
    assert_eq!(check(port, "Watch", "").await, ("8".to_owned(), None));
    assert_eq!(check(port, "Check", "").await, ("0".to_owned(), Some(2)));
    watching.pop();
    let mut again = loop {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request("Watch", "")).await.unwrap();
        if !response.headers().contains_key("grpc-status") {
            break Watching { body: response.into_body(), _sender: sender };
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(again.next().await, NOT_SERVING);
    extension.shutdown(Deadline::after(Duration::from_secs(30))).await.unwrap();
}

fn request(method: &str, service: &str) -> http::Request<Full<Bytes>> {
    let length = u8::try_from(service.len()).unwrap();
    let mut message = vec![0, 0, 0, 0, length + 2, 10, length];
    message.extend_from_slice(service.as_bytes());
    let request = http::Request::post(format!("http://x/grpc.health.v1.Health/{method}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.body(Full::new(Bytes::from(message))).unwrap()
}

/// The gRPC status and the serving status of an answer.
async fn check(port: u16, method: &str, service: &str) -> (String, Option<u8>) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request(method, service)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let status = trailers["grpc-status"].to_str().unwrap().to_owned();
    drop(sender);
    driver.abort();
    (status, body.to_bytes().get(6).copied())
}

#[tokio::test]
async fn the_second_version_answers_grpc_checks() {
    let (world, port) = (World::new(), free_port().await);
    let extension = create(&world, &format!("{{use_v2: true, grpc: {{endpoint: '127.0.0.1:{port}'}}}}"));
    extension.start(&world.host).await.unwrap();
    assert_eq!(check(port, "Check", "").await, ("0".to_owned(), Some(2)));
    lay_out(&world);
    world.host.set_phase(Phase::Running);
    assert_eq!(check(port, "Check", "").await, ("0".to_owned(), Some(1)));
    assert_eq!(check(port, "Check", "traces/x").await, ("0".to_owned(), Some(1)));
    assert_eq!(check(port, "Check", "logs").await, ("5".to_owned(), None));
    assert_eq!(check(port, "List", "").await, ("12".to_owned(), None));
    world.host.report_health("out", Health::Stopped);
    assert_eq!(check(port, "Check", "traces/x").await, ("0".to_owned(), Some(2)));
    extension.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_listen_takes_the_other_one_with_it() {
    let (world, port) = (World::new(), free_port().await);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = taken.local_addr().unwrap().port();
    let yaml =
        format!("{{use_v2: true, http: {{endpoint: '127.0.0.1:{port}'}}, grpc: {{endpoint: '127.0.0.1:{other}'}}}}");
    let extension = create(&world, &yaml);
    extension.start(&world.host).await.unwrap_err();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[test]
fn settings_are_checked() {
    for (yaml, part) in [
        ("use_v2: true", "`use_v2` needs `http` or `grpc`"),
        ("{use_v2: true, http: {status: {path: status}}}", "path must start with /"),
        ("{use_v2: true, http: {config: {enabled: true, path: /status}}}", "cannot both have the path `/status`"),
        ("{use_v2: true, grpc: {endpoint: localhost}}", "lacks a port"),
        ("path: health", "path must start with /"),
        ("endpoint: localhost", "lacks a port"),
    ] {
        let error = config::decode_str::<HealthCheckConfig>(yaml).unwrap_err().to_string();
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let (config, warnings) =
        config::decode_str::<HealthCheckConfig>("{use_v2: false, check_collector_pipeline: {enabled: true}}").unwrap();
    assert_eq!((config.server.endpoint.as_str(), config.path.as_str(), warnings.len()), ("localhost:13133", "/", 1));
    let (config, warnings) = config::decode_str::<HealthCheckConfig>("{use_v2: true, http: , grpc: }").unwrap();
    assert_eq!(config.http.get().unwrap().server.endpoint, "localhost:13133");
    assert_eq!((config.grpc.get().unwrap().endpoint.as_str(), warnings.len()), ("localhost:13132", 0));
    let (_, warnings) =
        config::decode_str::<HealthCheckConfig>("{http: , component_health: {recovery_duration: 1s}}").unwrap();
    assert_eq!(warnings.len(), 2);
}
