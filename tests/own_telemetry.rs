//! What the program tells about itself, from outside: the page is scraped over loopback, metrics and spans arrive at an OTLP
//! server, and a reload changes all of it in place.
//!
//! Batches are fed by test components (`support/mod.rs`); the OTLP server shares no code with the senders.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

#[path = "examples/backend.rs"]
#[expect(dead_code, reason = "shared with the examples, which look at raw bytes")]
mod backend;
mod http;
mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend::{Arrived, Backend, Protocol};
use component::{Consumer as _, Deadline};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::{Batch, Context, Signal, TraceContext};
use support::{Feeds, catalog, logs};
use testkit::otlp_arbitrary::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use weir::service::{Service, ServiceOptions};

const HOUR: Duration = Duration::from_secs(3600);

/// A service over test components whose `telemetry` block can be changed.
struct Running {
    service: Service,
    feeds: Feeds,
    text: Arc<Mutex<String>>,
}

fn configuration(telemetry: &str) -> String {
    format!(
        "receivers: {{feed: }}\nprocessors: {{passing: }}\nexporters: {{steady: , strict: }}\nservice:\n  telemetry: {telemetry}\n  \
         pipelines:\n    logs: {{receivers: [feed], processors: [passing], exporters: [steady]}}\n"
    )
}

async fn start(telemetry: &str) -> Result<Running, String> {
    let feeds = Feeds::default();
    let text = Arc::new(Mutex::new(configuration(telemetry)));
    let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
    let env = env(&text);
    let service = Service::start(options, Arc::new(catalog(&feeds, 1)), &env).await.map_err(|error| match &error {
        weir::service::ServiceError::Config(errors) => errors.to_string(),
        weir::service::ServiceError::Start(error) => net::report(error),
    })?;
    Ok(Running { service, feeds, text })
}

fn env(text: &Arc<Mutex<String>>) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    let text = Arc::clone(text);
    move |_: &str| Some(text.lock().unwrap().clone())
}

impl Running {
    async fn feed(&self, batch: Batch) {
        self.feeds.edge("feed", Signal::Logs).unwrap().consume(batch).await.unwrap();
    }

    async fn reload(&mut self, telemetry: &str) -> Result<(), String> {
        *self.text.lock().unwrap() = configuration(telemetry);
        let env = env(&self.text);
        self.service.reload(&env, Deadline::after(HOUR)).await.map(drop).map_err(|error| net::report(&error))
    }

    fn page(&self) -> SocketAddr {
        self.service.telemetry().page_addrs()[0]
    }

    async fn stop(self) {
        let report = self.service.shutdown(Deadline::after(HOUR)).await;
        assert!(report.balances(), "{report:?}");
    }
}

/// Status, head and body of an answer to `GET path`.
async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    http::ask(address, &format!("GET {path}"), "").await
}

fn page_on(port: u16, more: &str) -> String {
    format!(
        "{{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {port}{more}}}}}}}}}]}}}}"
    )
}

fn pushing(to: SocketAddr, protocol: &str, more: &str) -> String {
    format!(
        "{{metrics: {{readers: [{{periodic: {{interval: 50, exporter: {{otlp: {{protocol: {protocol}, \
         endpoint: 'http://{to}', compression: gzip, headers: [{{name: api-key, value: k}}]{more}}}}}}}}}]}}}}"
    )
}

#[tokio::test]
async fn the_page_can_be_scraped_and_tells_of_health() {
    let running = start(&page_on(0, "")).await.unwrap();
    running.feed(logs(7, "")).await;
    let (status, head, body) = get(running.page(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    for line in [
        "otelcol_processor_incoming_items{otel_signal=\"logs\",processor=\"passing\"} 7",
        "# TYPE otelcol_processor_outgoing_items counter",
        "weir_ledger_items{data_type=\"logs\",pipeline=\"logs\",state=\"delivered\"} 7",
        "weir_ledger_difference{data_type=\"logs\",pipeline=\"logs\"} 0",
        "# TYPE otelcol_process_uptime counter",
        "# TYPE otelcol_process_memory_rss gauge",
        "# TYPE target_info gauge",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\n{body}");
    }
    assert!(!body.contains("weir_edge_"), "only at level detailed\n{body}");
    let target = body.lines().find(|line| line.starts_with("target_info{")).unwrap();
    assert!(target.contains("service_instance_id=\"") && target.contains("service_name=\"weir\""), "{target}");
    assert_eq!(get(running.page(), "/livez").await.0, 200);
    assert_eq!(get(running.page(), "/readyz").await.0, 200);
    let registry = running.service.host().registry().clone();
    let page = registry.pages().publish_answers("/some/page", "some", |query| match query {
        "" => Ok("1".to_owned()),
        wrong => Err(format!("`{wrong}` is wrong")),
    });
    for (path, expected, body) in [
        ("/some/page", 200, "{\"some\":1}\n"),
        ("/some/page?x=1", 400, "`x=1` is wrong\n"),
        ("/nowhere", 404, "not found; try /metrics, /livez, /readyz, /health, /some/page\n"),
    ] {
        let (status, _, found) = get(running.page(), path).await;
        assert_eq!((status, found.as_str()), (expected, body), "{path}");
    }
    drop(page);
    assert_eq!(get(running.page(), "/").await.0, 404);
    let (status, _, body) = get(running.page(), "/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &health["status"], &health["ledger_difference"]), (200, &"ok".into(), &0.into()));
    let components = health["components"].as_array().unwrap();
    assert_eq!(components.len(), 3, "{body}");
    assert!(components.iter().all(|component| component["status"] == "ok"), "{body}");
    running.stop().await;
}

/// Every kind of component tells at level detailed what it consumed and produced, and how that ended.
#[tokio::test]
async fn level_detailed_counts_items_by_outcome() {
    let telemetry = page_on(0, "").replace("readers", "level: detailed, readers");
    let text = configuration(&telemetry)
        .replace("processors: {passing: }", "processors: {passing: , holding: }\nconnectors: {relay/x: }")
        .replace("processors: [passing], exporters: [steady]", "processors: [passing, holding], exporters: [relay/x]")
        + "    logs/2: {receivers: [relay/x], exporters: [steady]}\n";
    let (feeds, text) = (Feeds::default(), Arc::new(Mutex::new(text)));
    let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
    let service = Service::start(options, Arc::new(catalog(&feeds, 1)), &env(&text)).await.unwrap();
    let running = Running { service, feeds, text };
    running.feed(logs(7, "")).await;
    let registry = Arc::clone(running.service.host().registry());
    running.stop().await;
    let success = |name: &str, id: &str| {
        let reading = registry.read().into_iter().find(|reading| reading.metric.name == name)?;
        let wanted = [("otelcol.component.id", id), ("outcome", "success")];
        let is_wanted = |labels: &Vec<(String, String)>| {
            wanted.iter().all(|(name, value)| labels.iter().any(|(n, v)| n == name && v == value))
        };
        reading.series.into_iter().find(|(labels, _)| is_wanted(labels)).map(|(_, value)| value)
    };
    for (name, id) in [
        ("otelcol.receiver.produced.items", "feed"),
        ("otelcol.processor.consumed.items", "passing"),
        ("otelcol.processor.produced.items", "passing"),
        ("otelcol.processor.consumed.items", "holding"),
        ("otelcol.processor.produced.items", "holding"),
        ("otelcol.connector.consumed.items", "relay/x"),
        ("otelcol.connector.produced.items", "relay/x"),
        ("otelcol.exporter.consumed.items", "steady"),
    ] {
        assert_eq!(success(name, id), Some(component::telemetry::Value::Number(7.0)), "{name} {id}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_and_nothing_runs() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = start(&page_on(port, "")).await.err().unwrap();
    assert!(error.starts_with(&format!("cannot start `telemetry`: listen on `127.0.0.1:{port}`: ")), "{error}");
}

#[tokio::test]
async fn a_reload_keeps_the_socket_and_changes_the_page() {
    let mut running = start(&page_on(0, "")).await.unwrap();
    let address = running.page();
    running.feed(logs(3, "")).await;
    let detailed = page_on(0, ", without_type_suffix: false").replace("readers", "level: detailed, readers");
    running.reload(&detailed).await.unwrap();
    assert_eq!(running.page(), address);
    let body = get(address, "/metrics").await.2;
    assert!(
        body.contains("otelcol_processor_incoming_items_total{otel_signal=\"logs\",processor=\"passing\"} 3"),
        "{body}"
    );
    assert!(body.contains("weir_edge_items_total{edge=\"logs: in\"} 3"), "{body}");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = running.reload(&page_on(port, "")).await.unwrap_err();
    assert!(error.contains(&format!("listen on `127.0.0.1:{port}`")), "{error}");
    assert!(get(address, "/metrics").await.2.contains("weir_edge_items_total"), "the old page goes on");
    running.reload("{metrics: {level: none}}").await.unwrap();
    assert!(running.service.telemetry().page_addrs().is_empty());
    assert!(TcpStream::connect(address).await.is_err());
    running.stop().await;
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.clone()?;
    match value {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn metrics(arrived: &Arrived) -> Vec<Metric> {
    let Request::Metrics(request) = &arrived.telemetry else { panic!("{arrived:?}") };
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("weir"));
    request.resource_metrics[0].scope_metrics[0].metrics.clone()
}

/// The first point of the sum `name`: its temporality and value.
fn sum(arrived: &Arrived, name: &str) -> Option<(i32, i64)> {
    let found = metrics(arrived).into_iter().find(|metric| metric.name == name)?;
    let Some(metric::Data::Sum(sum)) = found.data else { panic!("{found:?}") };
    assert!(sum.is_monotonic);
    match sum.data_points[0].value {
        Some(number_data_point::Value::AsInt(value)) => Some((sum.aggregation_temporality, value)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn metrics_are_sent_periodically_and_at_the_end() {
    for (protocol, name) in [(Protocol::Grpc, "grpc"), (Protocol::Http, "http/protobuf")] {
        let backend = Backend::start(protocol).await;
        let running = start(&pushing(backend.address, name, "")).await.unwrap();
        backend.wait_for(1).await;
        running.feed(logs(5, "")).await;
        running.feed(logs(6, "")).await;
        running.stop().await;
        let arrived = backend.arrived();
        assert_eq!(arrived[0].headers.get("api-key").unwrap(), "k");
        let last = arrived.last().unwrap();
        assert_eq!(sum(last, "otelcol_processor_incoming_items"), Some((2, 11)), "{name}");
    }
}

#[tokio::test]
async fn deltas_add_up_across_exports_failures_and_reloads() {
    // Nobody listens there until the first batches have passed.
    let reserved = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nowhere = reserved.local_addr().unwrap();
    drop(reserved);
    let delta = ", temporality_preference: delta";
    let mut running = start(&pushing(nowhere, "grpc", delta)).await.unwrap();
    running.feed(logs(5, "")).await;
    let backend = Backend::start(Protocol::Grpc).await;
    // The reader that could not send is replaced, and hands over what it has not told.
    *running.text.lock().unwrap() = configuration(&pushing(backend.address, "grpc", delta));
    let env = env(&running.text);
    running.service.reload(&env, Deadline::after(Duration::from_millis(200))).await.unwrap();
    running.feed(logs(6, "")).await;
    backend.wait_for(1).await;
    running.reload(&pushing(backend.address, "grpc", ", temporality_preference: delta, timeout: 9000")).await.unwrap();
    running.feed(logs(7, "")).await;
    running.stop().await;
    let sums: Vec<(i32, i64)> =
        backend.arrived().iter().filter_map(|arrived| sum(arrived, "otelcol_processor_incoming_items")).collect();
    assert!(sums.iter().all(|(temporality, _)| *temporality == 1), "{sums:?}");
    assert_eq!(sums.iter().map(|(_, value)| value).sum::<i64>(), 18, "{sums:?}");
}

fn tracing_to(to: SocketAddr, processor: &str, more: &str) -> String {
    format!(
        "{{metrics: {{level: none}}, traces: {{processors: [{{{processor}exporter: {{otlp: {{protocol: grpc, endpoint: 'http://{to}'}}}}}}}}]{more}}}}}"
    )
}

fn spans(arrived: &[Arrived]) -> BTreeMap<String, Span> {
    let spans = arrived.iter().flat_map(|arrived| {
        let Request::Traces(request) = &arrived.telemetry else { panic!("{arrived:?}") };
        request.resource_spans[0].scope_spans[0].spans.clone()
    });
    spans.map(|span| (span.name.clone(), span)).collect()
}

#[tokio::test]
async fn a_batch_leaves_one_span_per_place_below_its_senders_trace() {
    let parent = TraceContext { trace_id: [7; 16], span_id: [3; 8], sampled: true };
    for processor in ["batch: {schedule_delay: 1, ", "simple: {"] {
        let backend = Backend::start(Protocol::Grpc).await;
        let running = start(&tracing_to(backend.address, processor, ", propagators: [tracecontext]")).await.unwrap();
        let mut batch = logs(4, "");
        batch.set_context(Arc::new(Context { trace: Some(parent), transport: "grpc", ..Context::default() }));
        running.feed(batch).await;
        running.stop().await;
        let spans = spans(&backend.arrived());
        let names: Vec<&str> = spans.keys().map(String::as_str).collect();
        assert_eq!(names, ["exporter/steady/logs", "pipeline/logs", "receiver/feed/logs"]);
        let [exporter, pipeline, receiver] = names.map_spans(&spans);
        assert!(spans.values().all(|span| span.trace_id == parent.trace_id), "{spans:?}");
        assert_eq!(receiver.parent_span_id, parent.span_id);
        assert_eq!(pipeline.parent_span_id, receiver.span_id);
        assert_eq!(exporter.parent_span_id, pipeline.span_id);
        assert_eq!(receiver.kind, 2);
        assert!(receiver.start_time_unix_nano <= exporter.start_time_unix_nano);
        assert!(receiver.end_time_unix_nano >= exporter.end_time_unix_nano);
        for (key, value) in [
            ("otelcol.component.id", "feed"),
            ("otelcol.component.kind", "receiver"),
            ("otelcol.signal", "logs"),
            ("outcome", "success"),
            ("items", "4"),
        ] {
            assert_eq!(text(&receiver.attributes, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(text(&pipeline.attributes, "otelcol.pipeline.id").as_deref(), Some("logs"));
    }
}

trait MapSpans {
    fn map_spans<const N: usize>(&self, spans: &BTreeMap<String, Span>) -> [Span; N];
}

impl MapSpans for Vec<&str> {
    fn map_spans<const N: usize>(&self, spans: &BTreeMap<String, Span>) -> [Span; N] {
        std::array::from_fn(|n| spans[self[n]].clone())
    }
}

#[tokio::test]
async fn spans_say_what_failed_and_samplers_are_followed() {
    let backend = Backend::start(Protocol::Grpc).await;
    let telemetry = tracing_to(backend.address, "simple: {", "");
    let mut running = start(&telemetry).await.unwrap();
    *running.text.lock().unwrap() = configuration(&telemetry).replace("exporters: [steady]", "exporters: [strict]");
    running.service.reload(&env(&running.text), Deadline::after(HOUR)).await.unwrap();
    let parent = TraceContext { trace_id: [7; 16], span_id: [3; 8], sampled: false };
    let mut refused = 0;
    for _ in 0..40 {
        let mut batch = logs(2, "");
        batch.set_context(Arc::new(Context { trace: Some(parent), ..Context::default() }));
        let answer = running.feeds.edge("feed", Signal::Logs).unwrap().consume(batch).await;
        refused += usize::from(answer.is_err());
    }
    assert!(refused > 0 && refused < 40, "{refused}");
    running.reload(&tracing_to(backend.address, "simple: {", ", sampler: {always_off: }")).await.unwrap();
    let before = backend.arrived().len();
    running.feed(logs(2, "")).await;
    running.stop().await;
    let arrived = backend.arrived();
    assert_eq!((before, arrived.len()), (3 * 40, 3 * 40));
    let exported: Vec<Span> = arrived.iter().flat_map(|one| spans(std::slice::from_ref(one)).into_values()).collect();
    assert!(exported.iter().all(|span| span.trace_id != parent.trace_id), "without propagators traces begin here");
    let failed: Vec<&Span> =
        exported.iter().filter(|span| text(&span.attributes, "outcome").as_deref() == Some("failure")).collect();
    assert_eq!(failed.len(), 3 * refused);
    assert!(
        failed
            .iter()
            .all(|span| span.status.as_ref().is_some_and(|status| status.code == 2 && status.message == "never"))
    );
}

/// Gateways of the real components: a request's trace goes on in what is sent because of it.
#[tokio::test]
async fn the_trace_goes_on_in_the_outgoing_request() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let spans_to = Backend::start(Protocol::Grpc).await;
    let recorded = format!(
        ", processors: [{{simple: {{exporter: {{otlp: {{protocol: grpc, endpoint: 'http://{}'}}}}}}}}]",
        spans_to.address
    );
    for (traces, protocol, exporter) in [
        ("{propagators: []}".to_owned(), Protocol::Grpc, "otlp_grpc"),
        ("{level: none, propagators: [tracecontext, b3]}".to_owned(), Protocol::Http, "otlp_http"),
        ("{propagators: [tracecontext]}".to_owned(), Protocol::Grpc, "otlp_grpc"),
        ("{propagators: [tracecontext, b3]}".to_owned(), Protocol::Http, "otlp_http"),
        (format!("{{propagators: [tracecontext]{recorded}}}"), Protocol::Grpc, "otlp_grpc"),
        (format!("{{propagators: [b3, tracecontext]{recorded}}}"), Protocol::Http, "otlp_http"),
    ] {
        let backend = Backend::start(protocol).await;
        let inlet = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let endpoint =
            if protocol == Protocol::Http { "http://" } else { "" }.to_owned() + &backend.address.to_string();
        let text = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{inlet}'}}}}}}}}\n\
             exporters: {{{exporter}: {{endpoint: '{endpoint}', tls: {{insecure: true}}}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}, traces: {traces}}}\n  \
             pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter}]}}}}\n"
        );
        let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
        let env = move |_: &str| Some(text.clone());
        let service = Service::start(options, Arc::new(weir::catalog::Catalog::default()), &env).await.unwrap();
        post_span(inlet, parent).await;
        let report = service.shutdown(Deadline::after(HOUR)).await;
        assert!(report.balances(), "{report:?}");
        let [arrived] = &backend.arrived()[..] else { panic!("{:?}", backend.arrived()) };
        let header = |name: &str| arrived.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (w3c, b3) = (header("traceparent"), header("b3"));
        if traces.contains("level: none") || traces.contains("[]") {
            assert_eq!((w3c, b3), (None, None), "{traces}");
            continue;
        }
        let w3c = w3c.unwrap();
        assert_eq!(b3.is_some(), traces.contains("b3"), "{traces}");
        if let Some(b3) = b3 {
            assert_eq!(TraceContext::parse_b3(&b3), TraceContext::parse(&w3c), "{traces}");
        }
        if !traces.contains("processors") {
            assert_eq!(w3c, parent, "passed through: {traces}");
            continue;
        }
        let own = spans(&spans_to.arrived());
        let sending = &own[&format!("exporter/{exporter}/traces")];
        let sent = TraceContext::parse(&w3c).unwrap();
        let received = TraceContext::parse(parent).unwrap();
        assert_eq!((sent.trace_id, sent.sampled), (received.trace_id, true));
        assert_eq!((sending.trace_id.as_slice(), sending.span_id.as_slice()), (&sent.trace_id[..], &sent.span_id[..]));
        assert_eq!(own["receiver/otlp/traces"].parent_span_id, received.span_id);
    }
}

/// Posts one span in a request of that trace.
async fn post_span(to: SocketAddr, traceparent: &str) {
    let body = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\
                \"spanId\":\"eee19b7ec3c1b174\",\"name\":\"one\"}]}]}]}";
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\ntraceparent: {traceparent}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A reader sends exponential histograms where a view asks for them, and the page tells their count and sum.
#[tokio::test]
async fn views_give_readers_exponential_histograms_and_bounded_series() {
    let backend = Backend::start(Protocol::Http).await;
    let telemetry = pushing(backend.address, "http/protobuf", "").replace(
        "metrics: {readers: [",
        "metrics: {level: detailed, views: [\
         {selector: {instrument_name: otelcol_processor_internal_duration}, stream: {aggregation: \
         {base2_exponential_bucket_histogram: {max_size: 20}}}}, \
         {selector: {instrument_name: weir_edge_items}, stream: {aggregation_cardinality_limit: 2}}], \
         readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}, ",
    );
    let running = start(&telemetry).await.unwrap();
    for _ in 0..3 {
        running.feed(logs(5, "")).await;
    }
    let body = get(running.page(), "/metrics").await.2;
    let lines = |start: &str| body.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let buckets = lines("otelcol_processor_internal_duration_bucket");
    assert!(matches!(&buckets[..], [one] if one.contains("le=\"+Inf\"") && one.ends_with(" 3")), "{buckets:?}");
    let edges = lines("weir_edge_items{");
    assert_eq!(edges.len(), 2, "{edges:?}");
    assert!(edges.iter().any(|line| line.starts_with("weir_edge_items{otel_metric_overflow=\"true\"}")), "{edges:?}");
    running.stop().await;
    let last = metrics(backend.arrived().last().unwrap());
    let duration = last.into_iter().find(|metric| metric.name == "otelcol_processor_internal_duration").unwrap();
    let Some(metric::Data::ExponentialHistogram(histogram)) = duration.data else { panic!("{duration:?}") };
    let point = &histogram.data_points[0];
    let positive = point.positive.as_ref().unwrap();
    assert_eq!((point.count, positive.bucket_counts.iter().sum::<u64>()), (3, 3));
    assert!(positive.bucket_counts.len() <= 20, "{positive:?}");
    assert!(point.min.unwrap() <= point.max.unwrap() && point.sum.unwrap() > 0.0);
}
