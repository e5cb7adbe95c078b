//! The books balance: random graphs, failures, reloads and shutdowns end with difference 0, and a component that loses
//! items without saying so is found out.
//!
//! Strategy: a seed yields a configuration of pipelines over test components (`support/mod.rs`): processors that drop,
//! hold and refuse, connectors, exporters that fail for a while or for good, exporters with a real queue in front of a
//! destination that comes and goes. Batches are fed while the configuration is replaced by other random ones, in which
//! components come back changed and get what their predecessors held; then the service shuts down, every other time in the
//! middle of a reload. Invariants: at every cut the difference is 0 (batches in
//! flight are held); at the end nothing is held; a leaking component shows exactly what it lost.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{Consumer as _, Deadline};
use pdata::Signal;
use support::{Feeds, Random, catalog, logs};
use weir::service::{Service, ServiceOptions};

/// Tests run side by side, and there is one port 8888.
const QUIET: &str = "  telemetry:\n    metrics: {level: none}\n";

fn section(name: &str, ids: &[String], random: &mut Random) -> String {
    let mut entries = String::new();
    for id in ids {
        entries.push_str(&format!("  {id}: {}\n", block(id, random)));
    }
    if ids.is_empty() { String::new() } else { format!("{name}:\n{entries}") }
}

/// A random block for a component.
fn block(id: &str, random: &mut Random) -> String {
    match id.split('/').next() {
        Some("holding" | "steady" | "flaky" | "strict") => format!("{{version: {}}}", random.below(2)),
        Some("batch") => ["{timeout: 10ms}", "{timeout: 1s, send_batch_size: 20, send_batch_max_size: 30}"]
            [random.below(2)]
        .to_owned(),
        Some("queued") => {
            let queue = [
                "{num_consumers: 1}",
                "{queue_size: 3}",
                "{sizer: items, queue_size: 30}",
                "{batch: {min_size: 30, max_size: 50, flush_timeout: 50ms}}",
                "{wait_for_result: true}",
                "{block_on_overflow: true, queue_size: 2}",
                "{enabled: false}",
            ][random.below(7)];
            format!("{{sending_queue: {queue}, retry_on_failure: {{initial_interval: 20ms, max_interval: 100ms}}}}")
        }
        _ => String::new(),
    }
}

/// A random configuration: 1 to 3 pipelines in a line or apart, each with 0 to 3 processors and 1 to 3 exporters.
fn configuration(random: &mut Random, leak: bool) -> String {
    let pipelines = 1 + random.below(3);
    let (mut processors, mut exporters, mut connectors) = (Vec::new(), Vec::new(), Vec::new());
    let mut text = String::new();
    for n in 0..pipelines {
        let kinds = ["dropping", "holding", "refusing", "passing", "batch"];
        let chain: Vec<String> = (0..random.below(4)).map(|k| format!("{}/{n}{k}", kinds[random.below(5)])).collect();
        let mut ends: Vec<String> = (0..1 + random.below(3))
            .map(|k| format!("{}/{k}", ["steady", "flaky", "strict", "queued"][random.below(4)]))
            .collect();
        ends.sort();
        ends.dedup();
        let mut starts = vec!["feed".to_owned()];
        if n > 0 && random.below(2) == 0 {
            starts.push(format!("relay/{n}"));
        }
        exporters.extend(ends.clone());
        processors.extend(chain.clone());
        text.push_str(&format!(
            "    logs/{n}:\n      receivers: [{}]\n      processors: [{}]\n      exporters: [{}{}]\n",
            starts.join(", "),
            if leak && n == 0 { "leaking".to_owned() } else { chain.join(", ") },
            ends.join(", "),
            // The next pipeline may or may not take it; a relay that nobody takes would be refused, so it is decided here.
            format_args!("{{relay{}}}", n + 1),
        ));
    }
    // Resolve the placeholders: pipeline n feeds relay n+1 if pipeline n+1 starts with it.
    for n in 1..=pipelines {
        let taken = text.contains(&format!("relay/{n}]"));
        let replacement = if taken { format!(", relay/{n}") } else { String::new() };
        text = text.replace(&format!("{{relay{n}}}"), &replacement);
        if taken {
            connectors.push(format!("relay/{n}"));
        }
    }
    if leak {
        processors.push("leaking".to_owned());
    }
    exporters.sort();
    exporters.dedup();
    format!(
        "receivers:\n  feed:\n{}{}{}service:\n{QUIET}  pipelines:\n{text}",
        section("processors", &processors, random),
        section("exporters", &exporters, random),
        section("connectors", &connectors, random),
    )
}

fn options() -> ServiceOptions {
    ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() }
}

/// Runs one seed; returns the difference summed over all accounts.
async fn run(seed: u64, leak: bool) -> i128 {
    let mut random = Random::new(seed);
    let feeds = Feeds::default();
    let text = Arc::new(Mutex::new(configuration(&mut random, leak)));
    let env = {
        let text = Arc::clone(&text);
        move |_: &str| Some(text.lock().unwrap().clone())
    };
    let mut service = Service::start(options(), Arc::new(catalog(&feeds, seed)), &env).await.unwrap_or_else(|error| {
        panic!("seed {seed}: {error:?}\n{}", text.lock().unwrap());
    });
    let ledger = Arc::clone(service.host().ledger());
    let mut tasks = Vec::new();
    for round in 0..30 {
        let items = 1 + random.below(20) as u32;
        let tenant = ["", "a", "b"][random.below(3)];
        if let Some(edge) = feeds.edge("feed", Signal::Logs) {
            let batch = logs(items, tenant);
            tasks.push(tokio::spawn(async move {
                // The sender's own copy: what is handed back was settled by the pipeline's head.
                let _answer = edge.consume(batch).await;
            }));
        }
        if !leak {
            for (key, totals) in ledger.read() {
                assert_eq!(totals.difference(), 0, "seed {seed} round {round} {key:?} {totals:?}");
            }
        }
        feeds.destination.is_down.store(random.below(2) == 0, Ordering::Relaxed);
        if !leak && round % 5 == 4 {
            *text.lock().unwrap() = configuration(&mut random, false);
            let deadline = Duration::from_millis([20_000, 50, 0][random.below(3)]);
            service.reload(&env, Deadline::after(deadline)).await.unwrap_or_else(|error| {
                panic!("seed {seed}: {error:?}\n{}", text.lock().unwrap());
            });
        }
        tokio::time::sleep(Duration::from_millis(random.below(40) as u64)).await;
    }
    feeds.destination.is_down.store(false, Ordering::Relaxed);
    if !leak && random.below(2) == 0 {
        *text.lock().unwrap() = configuration(&mut random, false);
        let _unfinished = service.begin_reload(&env, Deadline::after(Duration::from_secs(20))).await.unwrap();
    }
    let report = service.shutdown(Deadline::after(Duration::from_secs(20))).await;
    for task in tasks {
        task.await.unwrap();
    }
    let accounts = ledger.read();
    // A flaky exporter may refuse until the deadline; what is dropped then stands in the books.
    let unclean = report.stopped.problems.iter().find(|(_, problem)| !problem.contains("items were dropped"));
    assert!(unclean.is_none(), "seed {seed}: {unclean:?}");
    assert!(accounts.iter().all(|(_, totals)| totals.held == 0), "seed {seed}: {accounts:#?}");
    assert!(accounts.iter().map(|(_, totals)| totals.received).sum::<u64>() > 0, "seed {seed} moved nothing");
    accounts.iter().map(|(_, totals)| totals.difference()).sum()
}

#[tokio::test(start_paused = true)]
async fn random_graphs_with_reloads_balance() {
    for seed in 0..150 {
        assert_eq!(run(seed, false).await, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leaking_component_is_found_out() {
    for seed in 0..10 {
        assert!(run(seed, true).await > 0, "seed {seed}");
    }
}
