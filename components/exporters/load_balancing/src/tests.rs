//! The exporter against servers on loopback: what arrives where, and what happens when endpoints come and go.

mod settings;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{BoxFuture, Component, ComponentId, ConsumeResult, Consumer, Deadline, Health, Kind};
use pdata::{Payload, Segment, Signal};
use testkit::server::{GrpcAnswer, Server};
use testkit::{World, items};

use crate::exporter::LoadBalancer;
use crate::resolver::Resolver;
use crate::ring::Ring;
use crate::{LoadBalancingConfig, resolver};

/// Endpoints retry quickly and for ever, so that tests need not wait.
const QUICK: &str = "protocol: {otlp: {tls: {insecure: true}, retry_on_failure: {initial_interval: 10ms, \
                     max_interval: 20ms, max_elapsed_time: 0}}}";

/// A server that can be told to refuse for a while.
struct Backend {
    server: Server,
    refuses: Arc<AtomicBool>,
    name: String,
}

impl Backend {
    async fn new() -> Self {
        let refuses = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&refuses);
        let answer = move |_: &_| match switch.load(Ordering::Relaxed) {
            false => GrpcAnswer::ok(),
            true => GrpcAnswer::status(14, "away"),
        };
        let server = Server::grpc(answer).await;
        let name = server.address.to_string();
        Self { server, refuses, name }
    }

    async fn several(count: usize) -> Vec<Self> {
        let mut backends = Vec::new();
        for _ in 0..count {
            backends.push(Self::new().await);
        }
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        backends
    }

    fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Numbers of the spans it got in all calls, refused ones included, sorted.
    fn numbers(&self) -> Vec<u64> {
        let of_call = |body: Vec<u8>| {
            let payload = Payload::from_segments(Signal::Traces, [Segment::trusted(body.into(), 0)]);
            items::numbers(&payload).unwrap()
        };
        let mut numbers: Vec<u64> = self.server.calls().into_iter().flat_map(|call| of_call(call.body)).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Names what it was told to.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Option<Vec<String>>>>);

impl Told {
    fn tell(&self, backends: &[&Backend]) {
        *self.0.lock().unwrap() = Some(backends.iter().map(|backend| backend.name.clone()).collect());
    }
}

impl Resolver for Told {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    fn resolve(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async { self.0.lock().unwrap().clone().ok_or_else(|| "nobody knows".to_owned()) })
    }
}

/// An exporter of spans that was started.
struct Bench {
    world: World,
    exporter: Arc<LoadBalancer>,
}

fn exporter(world: &World, more: &str, resolver: Option<Box<dyn Resolver>>) -> Arc<LoadBalancer> {
    let (config, _) =
        config::decode_str::<LoadBalancingConfig>(more).unwrap_or_else(|errors| panic!("{more}: {errors}"));
    let settings = world.settings(Kind::Exporter, &ComponentId::with_name("load_balancing", "test"));
    let resolver = resolver.or_else(|| resolver::of_config(&config.resolver)).unwrap();
    Arc::new(LoadBalancer::with_resolver(settings, config, Signal::Traces, resolver).unwrap())
}

impl Bench {
    async fn told(more: &str, told: &Told) -> Self {
        let world = World::new();
        let more = format!("{{{more}, resolver: {{dns: {{hostname: told}}}}}}");
        let exporter = exporter(&world, &more, Some(Box::new(told.clone())));
        exporter.start(&world.host).await.unwrap();
        Self { world, exporter }
    }

    async fn of(more: &str, backends: &[Backend]) -> Self {
        let world = World::new();
        let names: Vec<String> = backends.iter().map(|backend| format!("'{}'", backend.name)).collect();
        let more = format!("{{{more}, resolver: {{static: {{hostnames: [{}]}}}}}}", names.join(", "));
        let exporter = exporter(&world, &more, None);
        exporter.start(&world.host).await.unwrap();
        Self { world, exporter }
    }

    async fn send(&self, first: u64, count: u64) -> ConsumeResult {
        self.exporter.consume(self.world.open(items::batch(Signal::Traces, first, count))).await
    }

    async fn delivered(&self, items: u64) {
        wait_for(|| self.world.totals(Signal::Traces).delivered >= items).await;
    }

    async fn finish(self) -> pdata::Totals {
        self.exporter.shutdown(Deadline::after(Duration::from_secs(10))).await.unwrap();
        self.world.check_settled().unwrap();
        self.world.totals(Signal::Traces)
    }
}

async fn wait_for(condition: impl Fn() -> bool) {
    let limit = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    limit.await.expect("what is waited for happens within 20s");
}

/// The numbers of `range` that each backend owns.
fn shares(backends: &[&Backend], range: std::ops::Range<u64>) -> Vec<Vec<u64>> {
    let names: Vec<&str> = backends.iter().map(|backend| backend.name.as_str()).collect();
    let ring = Ring::new(&names);
    let mut shares = vec![Vec::new(); backends.len()];
    for number in range {
        let mut id = [0x11; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        shares[ring.owner(&id).unwrap()].push(number);
    }
    shares
}

#[tokio::test]
async fn every_trace_goes_to_its_owner() {
    let backends = Backend::several(3).await;
    let bench = Bench::of(QUICK, &backends).await;
    for first in (0..600).step_by(100) {
        bench.send(first, 100).await.unwrap();
    }
    bench.delivered(600).await;
    let all: Vec<&Backend> = backends.iter().collect();
    for (backend, share) in backends.iter().zip(shares(&all, 0..600)) {
        assert!(share.len() > 100, "{}", share.len());
        assert_eq!(backend.numbers(), share);
    }
    let metric = |name: &str| bench.world.metric(name);
    assert_eq!(metric("otelcol_loadbalancer_num_backends"), Some(3.0));
    assert_eq!(metric("otelcol_loadbalancer_num_backend_updates"), Some(1.0));
    assert_eq!(metric("otelcol_loadbalancer_num_resolutions"), Some(1.0));
    assert_eq!(metric("otelcol_loadbalancer_backend_outcome"), Some(18.0));
    assert_eq!(metric("otelcol_loadbalancer_backend_latency"), Some(18.0));
    assert_eq!(metric("weir_loadbalancer_endpoint_healthy"), Some(3.0));
    assert_eq!(metric("otelcol_exporter_sent_spans"), Some(600.0));
    let totals = bench.finish().await;
    assert_eq!((totals.delivered, totals.dropped.values().sum::<u64>()), (600, 0));
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_goes_goes_to_the_others_and_its_keys_come_back() {
    let backends = Backend::several(3).await;
    let [a, b, c] = [&backends[0], &backends[1], &backends[2]];
    let told = Told::default();
    told.tell(&[a, b, c]);
    let bench = Bench::told(QUICK, &told).await;
    b.refuse(true);
    bench.send(0, 300).await.unwrap();
    let before = shares(&[a, b, c], 0..300);
    bench.delivered((before[0].len() + before[2].len()) as u64).await;
    told.tell(&[a, c]);
    bench.delivered(300).await;
    // What was b's went to the owners in the ring without b; everything else had gone to its owner before.
    let after = shares(&[a, c], 0..300);
    for (backend, first, second) in [(a, &before[0], &after[0]), (c, &before[2], &after[1])] {
        let taken_over = second.iter().filter(|number| before[1].contains(number));
        let mut expected: Vec<u64> = first.iter().chain(taken_over).copied().collect();
        expected.sort_unstable();
        assert_eq!(backend.numbers(), expected);
    }
    assert_eq!(bench.world.metric("weir_loadbalancer_rerouted_items"), Some(before[1].len() as f64));
    // Their spans began long ago, so others of the same traces may have gone to b.
    let split = || bench.world.metric("weir_loadbalancer_split_traces");
    assert_eq!(split(), Some(before[1].len() as f64));
    bench.send(0, 300).await.unwrap();
    bench.delivered(600).await;
    assert_eq!(split(), Some(before[1].len() as f64), "a trace counts once");
    // It returns.
    b.refuse(false);
    let refused = b.numbers().len();
    told.tell(&[a, b, c]);
    wait_for(|| bench.world.metric("otelcol_loadbalancer_num_backends") == Some(3.0)).await;
    bench.send(1000, 300).await.unwrap();
    bench.delivered(900).await;
    let again = shares(&[a, b, c], 1000..1300);
    assert_eq!(b.numbers()[refused..], again[1]);
    assert_eq!(split(), Some((before[1].len() + again[1].len()) as f64), "they may have been the others' meanwhile");
    assert_eq!(bench.finish().await.delivered, 900);
}

/// Spans that begin now, or an hour from now, of traces of their own.
fn spans_that_begin(numbers: std::ops::Range<u64>, later: Duration) -> pdata::Batch {
    let began = std::time::SystemTime::now() + later;
    let began = began.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let count = numbers.end - numbers.start;
    let testkit::otlp_arbitrary::Request::Traces(mut request) = items::request(Signal::Traces, numbers.start, count)
    else {
        panic!("a request of spans")
    };
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    scopes.flat_map(|scope| &mut scope.spans).for_each(|span| span.start_time_unix_nano = began);
    let body = testkit::otlp_arbitrary::Request::Traces(request).encode();
    let payload = Payload::from_segments(Signal::Traces, [Segment::trusted(body.into(), count as u32)]);
    pdata::Batch::new(payload, Arc::default())
}

#[tokio::test]
async fn a_trace_that_begins_after_its_owner_failed_is_not_split() {
    let backends = Backend::several(2).await;
    let [a, b] = [&backends[0], &backends[1]];
    let bench = Bench::of(&format!("{QUICK}, reroute_after: 200ms"), &backends).await;
    let split = || bench.world.metric("weir_loadbalancer_split_traces");
    let share = shares(&[a, b], 0..100);
    let later = Duration::from_secs(3600);
    let send = |batch| bench.exporter.consume(bench.world.open(batch));
    b.refuse(true);
    // These ran when b failed; the others had not begun.
    send(spans_that_begin(0..100, Duration::ZERO)).await.unwrap();
    send(spans_that_begin(500..600, later)).await.unwrap();
    bench.delivered(200).await;
    assert_eq!(split(), Some(share[1].len() as f64));
    assert_eq!(bench.finish().await.delivered, 200);
}

#[tokio::test]
async fn a_resolver_that_fails_leaves_the_endpoints_as_they_are() {
    let backends = Backend::several(2).await;
    let told = Told::default();
    let bench = Bench::told(QUICK, &told).await;
    let mut error = bench.send(0, 10).await.unwrap_err();
    assert!(error.is_retryable() && error.message().starts_with("no endpoints"), "{error:?}");
    error.take_undelivered().unwrap().settle(pdata::Outcome::Refused);
    told.tell(&[&backends[0], &backends[1]]);
    wait_for(|| bench.world.metric("otelcol_loadbalancer_num_backends") == Some(2.0)).await;
    *told.0.lock().unwrap() = None;
    let failures = || {
        let readings = bench.world.registry.read();
        let reading = readings.iter().find(|reading| reading.metric.name == "otelcol_loadbalancer_num_resolutions")?;
        let failed = |labels: &Vec<(String, String)>| labels.contains(&("success".to_owned(), "false".to_owned()));
        reading.series.iter().find(|(labels, _)| failed(labels)).map(|(_, value)| format!("{value:?}"))
    };
    let before = failures();
    wait_for(|| failures() != before).await;
    bench.send(0, 100).await.unwrap();
    bench.delivered(100).await;
    assert_eq!(bench.finish().await.delivered, 100);
}

#[tokio::test]
async fn an_endpoint_that_fails_for_long_loses_its_keys_and_gets_them_back() {
    let backends = Backend::several(2).await;
    let [a, b] = [&backends[0], &backends[1]];
    let bench = Bench::of(&format!("{QUICK}, reroute_after: 100ms"), &backends).await;
    let health = || bench.world.host.health().get("exporter `load_balancing/test` for traces").cloned();
    b.refuse(true);
    bench.send(0, 200).await.unwrap();
    bench.delivered(200).await;
    let share = shares(&[a, b], 0..200);
    assert!(!share[0].is_empty() && !share[1].is_empty());
    assert_eq!(a.numbers(), (0..200).collect::<Vec<_>>());
    assert!(matches!(health(), Some(Health::Recoverable(_))), "{:?}", health());
    // Both fail: neither is left out, and nothing is lost.
    a.refuse(true);
    bench.send(200, 100).await.unwrap();
    b.refuse(false);
    wait_for(|| !b.numbers().is_empty() && health() != Some(Health::Ok)).await;
    a.refuse(false);
    bench.delivered(300).await;
    wait_for(|| health() == Some(Health::Ok)).await;
    let (before_a, before_b) = (a.numbers().len(), b.numbers().len());
    bench.send(1000, 200).await.unwrap();
    bench.delivered(500).await;
    let share = shares(&[a, b], 1000..1200);
    assert_eq!(
        (a.numbers()[before_a..].to_vec(), b.numbers()[before_b..].to_vec()),
        (share[0].clone(), share[1].clone())
    );
    assert_eq!(bench.finish().await.delivered, 500);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_connected_to_stays_out_until_it_can() {
    let backend = Backend::new().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let world = World::new();
    let names = format!("['{}', '{address}']", backend.name);
    let more = format!("{{{QUICK}, reroute_after: 100ms, resolver: {{static: {{hostnames: {names}}}}}}}");
    let exporter = exporter(&world, &more, None);
    exporter.start(&world.host).await.unwrap();
    let bench = Bench { world, exporter };
    bench.send(0, 200).await.unwrap();
    bench.delivered(200).await;
    assert_eq!(backend.numbers(), (0..200).collect::<Vec<_>>());
    let health = || bench.world.host.health().get("exporter `load_balancing/test` for traces").cloned();
    let left_out = Health::Recoverable(format!("1 of 2 endpoints are left out: {address}"));
    wait_for(|| health() == Some(left_out.clone())).await;
    // Only endpoints in the ring tell whether they are healthy.
    wait_for(|| bench.world.metric("weir_loadbalancer_endpoint_healthy") == Some(1.0)).await;
    let _back = std::net::TcpListener::bind(address).unwrap();
    wait_for(|| bench.world.metric("weir_loadbalancer_endpoint_healthy") == Some(2.0)).await;
    wait_for(|| health() == Some(Health::Ok)).await;
    assert_eq!(bench.finish().await.delivered, 200);
}

#[tokio::test]
async fn what_no_endpoint_could_be_talked_to_with_is_refused_at_once() {
    let world = World::new();
    let more = "{protocol: {otlp: {auth: {authenticator: missing}}}, resolver: {static: {hostnames: ['127.0.0.1:1']}}}";
    let error = exporter(&world, more, None).start(&world.host).await.unwrap_err().to_string();
    assert!(error.contains("`missing`"), "{error}");
    let more = "{protocol: {otlp: {tls: {ca_file: /nowhere}}}, resolver: {dns: {hostname: a}}}";
    let (config, _) = config::decode_str::<LoadBalancingConfig>(more).unwrap();
    let settings = world.settings(Kind::Exporter, &ComponentId::with_name("load_balancing", "test"));
    let error = LoadBalancer::new(settings, config, Signal::Traces).unwrap_err().to_string();
    assert!(error.contains("/nowhere"), "{error}");
}

#[tokio::test]
async fn a_reload_hands_everything_to_the_successor() {
    let backends = Backend::several(3).await;
    let all: Vec<&Backend> = backends.iter().collect();
    let told = Told::default();
    told.tell(&all[..2]);
    for front in [
        "",
        ", sending_queue: {num_consumers: 2}, retry_on_failure: {enabled: true, initial_interval: 1h, max_interval: 1h, max_elapsed_time: 0}",
    ] {
        let quick = if front.is_empty() {
            QUICK
        } else {
            "protocol: {otlp: {tls: {insecure: true}, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}}"
        };
        all[0].refuse(true);
        all[1].refuse(true);
        let bench = Bench::told(&format!("{quick}{front}"), &told).await;
        for first in (0..100).step_by(10) {
            bench.send(first, 10).await.unwrap();
        }
        wait_for(|| !all[0].numbers().is_empty() || !all[1].numbers().is_empty()).await;
        let told = Told::default();
        told.tell(&all[2..]);
        let more = format!("{{{QUICK}, resolver: {{dns: {{hostname: told}}}}}}");
        let successor = exporter(&bench.world, &more, Some(Box::new(told)));
        successor.start(&bench.world.host).await.unwrap();
        let heir: Arc<dyn Consumer> = Arc::<LoadBalancer>::clone(&successor);
        bench.exporter.hand_over(&heir, Deadline::after(Duration::from_secs(10))).unwrap().await.unwrap();
        // What still arrives at the old one goes on too.
        bench.send(100, 10).await.unwrap();
        bench.delivered(110).await;
        successor.shutdown(Deadline::after(Duration::from_secs(10))).await.unwrap();
        bench.world.check_settled().unwrap();
    }
    let mut twice: Vec<u64> = (0..110).chain(0..110).collect();
    twice.sort_unstable();
    assert_eq!(all[2].numbers(), twice);
}

#[tokio::test]
async fn attempts_before_routing_send_only_what_is_left_and_route_anew() {
    let backends = Backend::several(3).await;
    let [a, b, c] = [&backends[0], &backends[1], &backends[2]];
    let told = Told::default();
    told.tell(&[a, b]);
    let plain = "protocol: {otlp: {tls: {insecure: true}, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}}";
    let front = "sending_queue: {}, timeout: 10s, retry_on_failure: {enabled: true, initial_interval: 10ms, max_interval: 10ms}";
    let bench = Bench::told(&format!("{plain}, {front}"), &told).await;
    b.refuse(true);
    bench.send(0, 100).await.unwrap();
    let share = shares(&[a, b], 0..100);
    bench.delivered(share[0].len() as u64).await;
    told.tell(&[a, c]);
    bench.delivered(100).await;
    let mut numbers: Vec<u64> = a.numbers().into_iter().chain(c.numbers()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "each span arrived once");
    assert!(!c.numbers().is_empty() && bench.world.metric("otelcol_exporter_queue_capacity") == Some(1000.0));
    assert_eq!(bench.finish().await.delivered, 100);
}

#[tokio::test]
async fn what_is_not_sent_by_the_deadline_is_dropped_and_counted() {
    let backends = Backend::several(2).await;
    let plain = "protocol: {otlp: {tls: {insecure: true}, sending_queue: {enabled: false}}}";
    for more in [QUICK.to_owned(), format!("{plain}, sending_queue: {{num_consumers: 1}}")] {
        let bench = Bench::of(&more, &backends).await;
        backends.iter().for_each(|backend| backend.refuse(true));
        for first in [0, 10, 20] {
            bench.send(first, 10).await.unwrap();
        }
        bench.exporter.shutdown(Deadline::after(Duration::from_millis(300))).await.unwrap();
        bench.world.check_settled().unwrap();
        let totals = bench.world.totals(Signal::Traces);
        assert_eq!((totals.delivered, totals.dropped.values().sum::<u64>()), (0, 30), "{more}");
        let mut error = bench.send(30, 1).await.unwrap_err();
        error.take_undelivered().unwrap().settle(pdata::Outcome::Refused);
    }
}

#[tokio::test]
async fn points_without_a_service_are_rejected_and_the_others_sent() {
    let server = Server::grpc(|_| GrpcAnswer::ok()).await;
    let world = World::new();
    let yaml =
        format!("{{{QUICK}, routing_key: service, resolver: {{static: {{hostnames: ['{}']}}}}}}", server.address);
    let (config, _) = config::decode_str::<LoadBalancingConfig>(&yaml).unwrap();
    let settings = world.settings(Kind::Exporter, &ComponentId::with_name("load_balancing", "test"));
    let exporter = LoadBalancer::new(settings, config, Signal::Metrics).unwrap();
    exporter.start(&world.host).await.unwrap();
    // A resource without attributes, a gauge with one point.
    let keyless: Vec<u8> = {
        let wrap = |field: u8, inner: Vec<u8>| [vec![field << 3 | 2, inner.len() as u8], inner].concat();
        let point = [vec![0x19], 1_u64.to_le_bytes().to_vec()].concat();
        wrap(1, wrap(2, wrap(2, wrap(5, wrap(1, point)))))
    };
    let keyless = || Payload::from_segments(Signal::Metrics, [Segment::trusted(keyless.clone().into(), 1)]);
    let mut mixed = items::batch(Signal::Metrics, 0, 5).payload().clone();
    mixed.append(keyless());
    let batch = |payload| world.open(pdata::Batch::new(payload, Arc::default()));
    let accepted = exporter.consume(batch(mixed)).await.unwrap();
    assert_eq!(accepted.rejected_items, 1);
    assert!(accepted.message.unwrap().contains("unable to get service name"));
    let error = exporter.consume(batch(keyless())).await.unwrap_err();
    assert!(!error.is_retryable(), "{error:?}");
    exporter.shutdown(Deadline::after(Duration::from_secs(10))).await.unwrap();
    world.check_settled().unwrap();
    let totals = world.totals(Signal::Metrics);
    assert_eq!((totals.delivered, totals.rejected), (5, 2));
    let calls: BTreeMap<String, usize> = server.calls().iter().map(|call| (call.path.clone(), 1)).collect();
    assert_eq!(calls.len(), 1);
}
