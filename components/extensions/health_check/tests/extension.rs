//! What it answers in each phase, its configuration, its documentation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component::factory::Create;
use component::lifecycle::Phase;
use component::{ComponentId, Deadline, Extension, Kind};
use config::{Errors, Limits, Source};
use extension_health_check::{HealthCheckConfig, factory};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
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

#[test]
fn settings_are_checked() {
    for (yaml, part) in [
        ("use_v2: true", "`use_v2` is not supported"),
        ("http: {endpoint: x}", "only the first version of the health check is served"),
        ("grpc: {}", "only the first version"),
        ("path: health", "path must start with /"),
        ("endpoint: localhost", "lacks a port"),
    ] {
        let error = config::decode_str::<HealthCheckConfig>(yaml).unwrap_err().to_string();
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let (config, warnings) =
        config::decode_str::<HealthCheckConfig>("{use_v2: false, check_collector_pipeline: {enabled: true}}").unwrap();
    assert_eq!((config.server.endpoint.as_str(), config.path.as_str(), warnings.len()), ("localhost:13133", "/", 1));
}
