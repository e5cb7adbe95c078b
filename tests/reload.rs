//! Reloads under load lose nothing: while several clients send, a real configuration changes in every way that a reload
//! can, and each item that was acknowledged arrives once.
//!
//! The service, its catalog and its OTLP receiver and exporter are the real ones; the destination and the clients share no
//! code with them. Neighbours of kept components are checked with test components, without a network.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers")]
#![allow(unreachable_pub, reason = "test helpers")]

#[expect(dead_code, reason = "shared with the tests of examples")]
#[path = "examples/backend.rs"]
mod backend;
mod support;
mod wire;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backend::{Backend, Protocol};
use component::{Consumer as _, Health};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use pdata::Signal;
use support::{Feeds, pipeline};
use testkit::otlp_arbitrary::Request;
use tokio::task::JoinSet;
use weir::catalog::Catalog;
use wire::{Client, Running, check_books, free_address};

/// Log records in each request.
const RECORDS: u64 = 10;

/// What the tests change about a gateway.
#[derive(Clone, Debug)]
struct Gateway {
    grpc: SocketAddr,
    http: SocketAddr,
    to: SocketAddr,
    message_mib: u32,
    limit_mib: u32,
    /// Of the `batch` processor, when there is one.
    batch_size: Option<u32>,
    exporter_timeout_s: u32,
    /// Where a second pipeline behind a connector exports to.
    side: Option<SocketAddr>,
    /// A further receiver.
    second: Option<SocketAddr>,
}

impl Gateway {
    fn new(to: SocketAddr) -> Self {
        Self {
            grpc: free_address(),
            http: free_address(),
            to,
            message_mib: 4,
            limit_mib: 4000,
            batch_size: Some(100),
            exporter_timeout_s: 5,
            side: None,
            second: None,
        }
    }

    fn yaml(&self) -> String {
        let Self { grpc, http, to, message_mib, limit_mib, exporter_timeout_s, .. } = self;
        let exporter = |name: &str, to: &SocketAddr, timeout_s: &u32| {
            format!(
                "  {name}: {{endpoint: '{to}', tls: {{insecure: true}}, timeout: {timeout_s}s, sending_queue: \
                 {{queue_size: 100000}}, retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms}}}}\n"
            )
        };
        let mut receivers = format!(
            "  otlp: {{protocols: {{grpc: {{endpoint: '{grpc}', max_recv_msg_size_mib: {message_mib}}}, http: \
             {{endpoint: '{http}'}}}}}}\n"
        );
        let mut processors = format!("  memory_limiter: {{check_interval: 1s, limit_mib: {limit_mib}}}\n");
        let mut exporters = exporter("otlp", to, exporter_timeout_s);
        let (mut starts, mut row, mut ends) = ("otlp".to_owned(), "memory_limiter".to_owned(), "otlp".to_owned());
        if let Some(size) = self.batch_size {
            processors.push_str(&format!("  batch: {{timeout: 20ms, send_batch_size: {size}}}\n"));
            row.push_str(", batch");
        }
        if let Some(second) = self.second {
            receivers.push_str(&format!("  otlp/second: {{protocols: {{grpc: {{endpoint: '{second}'}}}}}}\n"));
            starts.push_str(", otlp/second");
        }
        let (mut connectors, mut pipelines) = (String::new(), String::new());
        if let Some(side) = &self.side {
            exporters.push_str(&exporter("otlp/side", side, &5));
            connectors.push_str("connectors: {forward: }\n");
            ends.push_str(", forward");
            pipelines.push_str("    logs/side: {receivers: [forward], exporters: [otlp/side]}\n");
        }
        format!(
            "receivers:\n{receivers}processors:\n{processors}exporters:\n{exporters}{connectors}service:\n  telemetry: \
             {{metrics: {{level: none}}, logs: {{level: error}}}}\n  pipelines:\n    logs: {{receivers: [{starts}], \
             processors: [{row}], exporters: [{ends}]}}\n{pipelines}"
        )
    }
}

/// The numbers of the log records that arrived.
fn numbers(backend: &Backend) -> Vec<u64> {
    let mut numbers = Vec::new();
    for arrived in backend.arrived() {
        let Request::Logs(request) = arrived.telemetry else { panic!("only logs are sent") };
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        for record in scopes.flat_map(|scope| &scope.log_records) {
            let item = record.attributes.iter().find(|attribute| attribute.key == testkit::items::ITEM).unwrap();
            let Some(Value::IntValue(number)) = item.value.clone().unwrap().value else { panic!("an integer") };
            numbers.push(number as u64);
        }
    }
    numbers
}

/// Clients that send until told otherwise, and somebody who reads the books meanwhile.
struct Load {
    stop: Arc<AtomicBool>,
    /// Number of the next item.
    next: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(gateway: &Gateway, running: &Running) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for client in [Client::grpc_of, Client::http_of, Client::grpc_of, Client::http_of] {
            let (mut client, stop, next) = (client(gateway), Arc::clone(&stop), Arc::clone(&next));
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let first = next.fetch_add(RECORDS, Ordering::Relaxed);
                    let body = testkit::items::request(Signal::Logs, first, RECORDS).encode();
                    let answer = client.send(body).await.unwrap();
                    assert!(answer.is_success(), "{answer:?}");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        let (ledger, stopped) = (Arc::clone(running.service.host().ledger()), Arc::clone(&stop));
        clients.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                check_books(&ledger);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { stop, next, clients }
    }

    /// Waits until some more requests were answered.
    async fn go_on(&self) {
        let until = self.next.load(Ordering::Relaxed) + 40 * RECORDS;
        let begun = Instant::now();
        while self.next.load(Ordering::Relaxed) < until {
            assert!(begun.elapsed() < Duration::from_secs(30), "the clients are stuck");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends it; every client succeeded with everything. The number of items sent.
    async fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.next.load(Ordering::Relaxed)
    }
}

impl Client {
    fn grpc_of(gateway: &Gateway) -> Self {
        Self::grpc(gateway.grpc)
    }

    fn http_of(gateway: &Gateway) -> Self {
        Self::http(gateway.http)
    }
}

fn assert_each_once(mut numbers: Vec<u64>, sent: u64) {
    let count = numbers.len() as u64;
    numbers.sort_unstable();
    numbers.dedup();
    let missing: Vec<u64> = (0..sent).filter(|number| numbers.binary_search(number).is_err()).take(20).collect();
    assert!(missing.is_empty(), "missing: {missing:?} of {sent}");
    assert_eq!((count, numbers.len() as u64), (sent, sent), "arrived, different ones among them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_changes_under_load_and_each_item_arrives_once() {
    let (main, side) = (Backend::start(Protocol::Grpc).await, Backend::start(Protocol::Grpc).await);
    let mut gateway = Gateway::new(main.address);
    let mut running = Running::start(gateway.yaml(), Catalog::default()).await;
    let load = Load::start(&gateway, &running);
    load.go_on().await;
    type Change = fn(&mut Gateway, SocketAddr);
    // The change, and how many components it creates.
    let changes: [(Change, usize); 8] = [
        (|gateway, _| gateway.batch_size = Some(gateway.batch_size.unwrap() + 50), 1),
        (|gateway, _| gateway.exporter_timeout_s += 1, 1),
        (|gateway, _| gateway.limit_mib += 100, 1),
        (|gateway, side| gateway.side = Some(side), 2),
        (|gateway, _| gateway.message_mib += 1, 1),
        (|gateway, _| gateway.batch_size = None, 0),
        (|gateway, _| gateway.side = None, 0),
        (|gateway, _| gateway.batch_size = Some(100), 1),
    ];
    for round in 0..2 {
        for (n, (change, created)) in changes.iter().enumerate() {
            change(&mut gateway, side.address);
            let report = running.reload(gateway.yaml()).await.unwrap();
            assert!(report.stopped.problems.is_empty(), "round {round} change {n}: {report:?}");
            assert_eq!(report.created, *created, "round {round} change {n}: {report:?}");
            load.go_on().await;
        }
    }
    let sent = load.finish().await;
    let health = running.service.host().health();
    let unwell: Vec<_> = health.iter().filter(|(_, health)| !matches!(health, Health::Ok | Health::Stopped)).collect();
    assert!(unwell.is_empty(), "{unwell:?}");
    assert_eq!(health["exporter `otlp` for logs"], Health::Ok);
    assert_eq!(health["receiver `otlp`"], Health::Ok);
    running.stop().await;
    assert_each_once(numbers(&main), sent);
    let aside = numbers(&side);
    assert!(!aside.is_empty());
    assert_eq!(aside.iter().collect::<BTreeSet<_>>().len(), aside.len(), "nothing arrives twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_stays_when_its_exporter_does() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut gateway = Gateway::new(listener.local_addr().unwrap());
    gateway.batch_size = None;
    let mut running = Running::start(gateway.yaml(), Catalog::default()).await;
    let mut client = Client::grpc(gateway.grpc);
    for first in (0..100).step_by(10) {
        let answer = client.send(testkit::items::request(Signal::Logs, first, 10).encode()).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
    }
    let ledger = Arc::clone(running.service.host().ledger());
    let held = || ledger.read().iter().map(|(_, totals)| totals.held).sum::<u64>();
    for _ in 0..3 {
        assert_eq!(held(), 100, "the destination does not answer");
        gateway.limit_mib += 1;
        gateway.message_mib += 1;
        let report = running.reload(gateway.yaml()).await.unwrap();
        assert_eq!((report.created, report.kept), (2, 1), "{report:?}");
    }
    let backend = Backend::on(listener, Protocol::Grpc);
    backend.wait_for(100).await;
    running.check_books();
    running.stop().await;
    assert_each_once(numbers(&backend), 100);
}

/// Somebody mistyped the endpoint. What came in meanwhile is held through every attempt to mend it, and arrives once at the
/// right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_passes_on_when_its_exporter_is_replaced() {
    let backend = Backend::start(Protocol::Grpc).await;
    let mut gateway = Gateway::new(free_address());
    let mut running = Running::start(gateway.yaml(), Catalog::default()).await;
    let mut client = Client::grpc(gateway.grpc);
    for first in (0..100).step_by(10) {
        let answer = client.send(testkit::items::request(Signal::Logs, first, 10).encode()).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
    }
    let (ledger, account) = (Arc::clone(running.service.host().ledger()), Arc::clone(running.service.host().account()));
    let held = || ledger.read().iter().map(|(_, totals)| totals.held).sum::<u64>();
    let bytes = account.held();
    assert!(bytes > 0);
    for change in 0..4 {
        gateway.exporter_timeout_s += 1;
        gateway.batch_size = [Some(50), None, Some(1000), Some(1000)][change];
        running.reload(gateway.yaml()).await.unwrap();
        assert_eq!((held(), account.held()), (100, bytes), "change {change}");
        running.check_books();
    }
    gateway.to = backend.address;
    running.reload(gateway.yaml()).await.unwrap();
    backend.wait_for(100).await;
    running.check_books();
    running.stop().await;
    assert_eq!(account.held(), 0);
    assert_each_once(numbers(&backend), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_fails_changes_nothing_and_says_why() {
    let backend = Backend::start(Protocol::Grpc).await;
    let good = Gateway::new(backend.address);
    let mut running = Running::start(good.yaml(), Catalog::default()).await;
    let load = Load::start(&good, &running);
    load.go_on().await;
    let health = running.service.host().health();
    let foreign = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = foreign.local_addr().unwrap();
    for _ in 0..3 {
        let error = running.reload(good.yaml().replace("timeout: 20ms", "timeoutt: 20ms")).await.unwrap_err();
        assert!(error.contains("timeoutt"), "{error}");
        load.go_on().await;
        // Everything else changes too, so that most components have been started when one cannot be.
        let mut bad = good.clone();
        bad.message_mib += 1;
        bad.limit_mib += 1;
        bad.batch_size = Some(7);
        bad.exporter_timeout_s += 1;
        bad.second = Some(taken);
        let error = running.reload(bad.yaml()).await.unwrap_err();
        assert!(error.contains("otlp/second") && error.contains(&format!("listen on `{taken}`")), "{error}");
        assert!(error.contains("in use"), "{error}");
        load.go_on().await;
        let mut now = running.service.host().health();
        assert_eq!(now.remove("receiver `otlp/second`"), Some(Health::Stopped));
        assert_eq!(now, health, "what runs is as well as before");
    }
    let report = running.reload(good.yaml()).await.unwrap();
    assert_eq!(report.created, 0, "the old graph is what runs: {report:?}");
    let sent = load.finish().await;
    running.stop().await;
    assert_each_once(numbers(&backend), sent);
}

#[tokio::test]
async fn two_components_cannot_come_to_share_an_address() {
    let backend = Backend::start(Protocol::Grpc).await;
    let mut gateway = Gateway::new(backend.address);
    let mut running = Running::start(gateway.yaml(), Catalog::default()).await;
    gateway.second = Some(gateway.grpc);
    let error = running.reload(gateway.yaml()).await.unwrap_err();
    assert!(error.contains("otlp/second") && error.contains("in use"), "{error}");
    gateway.second = None;
    assert_eq!(running.reload(gateway.yaml()).await.unwrap().created, 0);
    running.stop().await;
}

/// `holding` owns state and is kept by every reload; what stands behind it changes: nothing, a synchronous processor
/// that drops every other item, another stateful one.
#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_kept_processor_can_change() {
    let feeds = Feeds::default();
    let mut running = Running::start(pipeline(&["holding"]), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    let totals = || ledger.read()[0].1.clone();
    let mut expected = (0, 0);
    let rows: [&[&str]; 9] = [
        &["holding"],
        &["holding", "dropping"],
        &["holding", "holding/2", "dropping"],
        &["holding", "dropping", "holding/2"],
        &["holding", "holding/2"],
        &["holding", "dropping", "dropping/2"],
        &["passing", "holding"],
        &["holding", "dropping/2"],
        &["holding"],
    ];
    for row in rows {
        running.reload(pipeline(row)).await.unwrap();
        let droppers = row.iter().filter(|id| id.starts_with("dropping")).count();
        let delivered = 16 >> droppers;
        expected = (expected.0 + delivered, expected.1 + 16 - delivered);
        feeds.edge("feed", Signal::Logs).unwrap().consume(support::logs(16, "")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let totals = totals();
        let dropped: u64 = totals.dropped.values().sum();
        assert_eq!(
            (totals.delivered, dropped, totals.held, totals.difference()),
            (expected.0, expected.1, 0, 0),
            "{row:?}"
        );
    }
    running.stop().await;
}

/// Batches wait for another attempt at the branch that refused them while reloads change what stands before, replace the
/// branches, put something around them (counters, own traces), and take another branch away and back. The branch that has
/// them does not get them again.
#[tokio::test(start_paused = true)]
async fn a_reload_does_not_forget_which_branch_has_a_batch() {
    let plain = "metrics: {level: none}".to_owned();
    let detailed =
        "metrics: {level: detailed, readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]}";
    let traces = "metrics: {level: none}, traces: {processors: [{batch: {exporter: {otlp: {protocol: grpc, endpoint: 'http://127.80.90.9:9'}}}}]}";
    let ends = |more: &str, version: u32| {
        format!(
            "exporters: [steady, flaky{more}]@exporters: {{steady: {{version: {version}}}, flaky: {{version: {version}}}, strict: }}"
        )
    };
    // Telemetry, processors, exporters.
    let changes: Vec<(String, &[&str], String)> = vec![
        (plain.clone(), &["passing", "holding"], ends("", 0)),
        (plain.clone(), &["holding"], ends("", 1)),
        (detailed.to_owned(), &["holding"], ends("", 1)),
        (traces.to_owned(), &["holding"], ends("", 1)),
        (plain.clone(), &["holding"], ends("", 2)),
        (plain, &["holding"], ends("", 0)),
    ];
    let feeds = Feeds::default();
    let yaml = |(telemetry, processors, ends): &(String, &[&str], String)| {
        let (ends, defined) = ends.split_once('@').unwrap();
        let yaml = pipeline(processors).replace("exporters: [steady]", ends);
        yaml.replace("exporters: {steady: }", defined).replace("metrics: {level: none}", telemetry)
    };
    let mut running = Running::start(yaml(&changes[5]), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    let mut fed = 0;
    for round in 0..4 {
        for (n, change) in changes.iter().enumerate() {
            for _ in 0..20 {
                feeds.edge("feed", Signal::Logs).unwrap().consume(support::logs(4, "")).await.unwrap();
                fed += 4;
            }
            tokio::time::sleep(Duration::from_millis(70)).await;
            running.reload(yaml(change)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(120)).await;
            let totals = ledger.read()[0].1.clone();
            let counted = (totals.copies, totals.delivered, totals.held, totals.difference());
            assert_eq!(counted, (fed, 2 * fed, 0, 0), "round {round}, change {n}");
        }
    }
    running.stop().await;
}

/// While batches wait for one branch, another is taken away, so that the fan-out has one branch alone; then it comes back.
#[tokio::test(start_paused = true)]
async fn a_branch_that_comes_and_goes_does_not_double_what_the_others_have() {
    let feeds = Feeds::default();
    let yaml = |ends: &str| {
        pipeline(&["holding"]).replace("[steady]", ends).replace(
            "{steady: }",
            "{steady: , queued: {sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}}",
        )
    };
    let both = yaml("[steady, queued]");
    let mut running = Running::start(both.clone(), support::catalog(&feeds, 1)).await;
    let ledger = Arc::clone(running.service.host().ledger());
    feeds.destination.is_down.store(true, Ordering::Relaxed);
    feeds.edge("feed", Signal::Logs).unwrap().consume(support::logs(4, "")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for ends in [yaml("[queued]"), both.clone(), yaml("[queued, steady]")] {
        running.reload(ends).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let totals = ledger.read()[0].1.clone();
        assert_eq!((totals.delivered, totals.held, totals.difference()), (4, 4, 0));
    }
    // The branch that lacks it goes.
    running.reload(yaml("[steady]")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let totals = ledger.read()[0].1.clone();
    assert_eq!((totals.delivered, totals.held, totals.difference()), (4, 0, 0));
    assert_eq!(totals.dropped.get("branch_removed"), Some(&4), "{totals:?}");
    running.stop().await;
}

/// A reload that takes a component away does not wait for batches that are elsewhere.
#[tokio::test(start_paused = true)]
async fn a_reload_waits_only_for_what_leads_to_replaced_components() {
    let feeds = Feeds::default();
    let yaml = |side: &str| {
        format!(
            "receivers: {{feed: , feed/side: }}\nprocessors: {{passing: }}\nexporters: {{slow: , steady: , steady/side: \
             }}\nservice:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n    logs: {{receivers: [feed], processors: \
             [passing], exporters: [slow, steady]}}\n    logs/side: {{receivers: [feed/side], processors: [], exporters: \
             [{side}]}}\n"
        )
    };
    let mut running = Running::start(yaml("steady, steady/side"), support::catalog(&feeds, 1)).await;
    let edge = feeds.edge("feed", Signal::Logs).unwrap();
    let waiting = tokio::spawn(async move { edge.consume(support::logs(4, "")).await.is_ok() });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    running.reload(yaml("steady")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(!waiting.is_finished());
    // It does wait for those that are inside what it replaces.
    let begun = tokio::time::Instant::now();
    running.reload(yaml("steady").replace("slow: ", "slow: {version: 1}")).await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(waiting.await.unwrap());
    running.check_books();
    running.stop().await;
}
