//! What the exporter sends.

use std::sync::Arc;

use component::{AuthError, ClientAuth, ClientHeader, Component, Extension, HeaderAction};
use pdata::{Batch, Context, Metadata, Signal};
use testkit::server::{GrpcAnswer as Answer, Server};
use testkit::{World, items};

use super::{Bench, ONCE};

#[tokio::test]
async fn sends_every_signal_as_the_bytes_it_came_in() {
    for compression in ["gzip", "none"] {
        for signal in Signal::ALL {
            let server = Server::grpc(|_| Answer::ok()).await;
            let more = format!("compression: {compression}, headers: {{x-scope: team-a}}, {ONCE}");
            let bench = Bench::new(&server, signal, &more).await;
            let batch = items::batch(signal, 0, 100);
            let bytes = batch.payload().to_bytes();
            bench.send(batch).await.unwrap();
            let [call] = &server.calls()[..] else { panic!("one call") };
            assert_eq!(call.path, otlp::paths::grpc_method(signal));
            assert_eq!(call.body, bytes);
            assert_eq!(call.headers["x-scope"], "team-a");
            let agent = call.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("weir/") && agent.contains("(linux/"), "{agent}");
            assert_eq!(call.headers.contains_key("grpc-encoding"), compression == "gzip");
            let noun = signal.items_noun();
            assert_eq!(bench.world.metric(&format!("otelcol_exporter_sent_{noun}")), Some(100.0));
            assert_eq!(bench.finish(signal).await.delivered, 100);
        }
    }
}

#[tokio::test]
async fn merged_requests_are_one_request() {
    let server = Server::grpc(|_| Answer::ok()).await;
    let bench = Bench::new(&server, Signal::Logs, "sending_queue: {batch: {min_size: 30}}").await;
    for n in 0..3 {
        bench.send(items::batch(Signal::Logs, n * 10, 10)).await.unwrap();
    }
    assert_eq!(bench.finish(Signal::Logs).await.delivered, 30);
    let [call] = &server.calls()[..] else { panic!("one call") };
    let count = pdata::validate::check(Signal::Logs, &call.body).unwrap();
    assert_eq!(count, 30);
}

#[tokio::test]
async fn says_where_it_sent_to() {
    let server = Server::grpc(|_| Answer::ok()).await;
    let bench = Bench::new(&server, Signal::Traces, ONCE).await;
    bench.send(items::spans(1)).await.unwrap();
    let readings = bench.world.registry.read();
    let sent = readings.iter().find(|reading| reading.metric.name == "otelcol_exporter_sent_spans").unwrap();
    let label = |name: &str| sent.series[0].0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    assert_eq!(label("exporter").as_deref(), Some("otlp_grpc/test"));
    assert_eq!(label("server_address").as_deref(), Some("127.0.0.1"));
    assert_eq!(label("server_port"), Some(server.address.port().to_string()));
}

/// Copies `x-tenant` from the context; without one, there are no credentials.
struct Tenant;

impl Component for Tenant {}

impl Extension for Tenant {
    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        Some(self)
    }
}

impl ClientAuth for Tenant {
    fn headers(&self, context: &Context) -> Result<Vec<ClientHeader>, AuthError> {
        let value = context.metadata.get("x-tenant").ok_or_else(|| AuthError("no tenant".into()))?.to_owned();
        Ok(vec![ClientHeader { action: HeaderAction::Upsert, name: "x-tenant".into(), value }])
    }

    fn metadata_keys(&self) -> Vec<String> {
        vec!["X-Tenant".into()]
    }
}

#[tokio::test]
async fn what_an_authenticator_reads_is_not_merged() {
    let world = World::new();
    let extension: Arc<dyn Extension> = Arc::new(Tenant);
    world.host.set_extensions([("headers_setter".parse().unwrap(), extension)].into());
    let server = Server::grpc(|_| Answer::ok()).await;
    let yaml = format!(
        "{{endpoint: '{}', tls: {{insecure: true}}, auth: {{authenticator: headers_setter}}, sending_queue: {{batch: }}}}",
        server.address
    );
    let bench = Bench::with(&yaml, Signal::Traces, world).await;
    for tenant in ["a", "b", "a"] {
        let context = Context { metadata: Metadata::new([("x-tenant", tenant)]), ..Context::default() };
        let (payload, _, _) = items::spans(5).into_parts();
        bench.send(Batch::new(payload, Arc::new(context))).await.unwrap();
    }
    assert_eq!(bench.finish(Signal::Traces).await.delivered, 15);
    let mut sent: Vec<(String, u32)> = server
        .calls()
        .iter()
        .map(|call| {
            let tenant = call.headers["x-tenant"].to_str().unwrap().to_owned();
            (tenant, pdata::validate::check(Signal::Traces, &call.body).unwrap())
        })
        .collect();
    sent.sort();
    assert_eq!(sent, [("a".to_owned(), 10), ("b".to_owned(), 5)]);
}

#[tokio::test]
async fn missing_credentials_are_a_failure_that_may_pass() {
    let world = World::new();
    let extension: Arc<dyn Extension> = Arc::new(Tenant);
    world.host.set_extensions([("headers_setter".parse().unwrap(), extension)].into());
    let server = Server::grpc(|_| Answer::ok()).await;
    let yaml = format!(
        "{{endpoint: '{}', tls: {{insecure: true}}, auth: {{authenticator: headers_setter}}, {ONCE}}}",
        server.address
    );
    let bench = Bench::with(&yaml, Signal::Traces, world).await;
    let error = bench.send(items::spans(5)).await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains("no tenant"), "{error}");
    assert!(server.calls().is_empty());
    assert_eq!(bench.finish(Signal::Traces).await.refused, 5);
}
