//! Tail sampling in the whole program: whole traces are kept or dropped, and a running weir says why, for all pipelines that
//! use the processor.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod http;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use component::Deadline;
use weir::catalog::Catalog;
use weir::service::{Service, ServiceOptions};
use wire::Running;

/// The body of the answer to a request, which is a good one.
async fn ask(address: SocketAddr, request: &str, body: &str) -> String {
    let (status, head, body) = http::ask(address, request, body).await;
    assert_eq!(status, 200, "{head} {body}");
    body
}

/// A request with two spans of a trace, the second with that status.
fn trace(digit: char, status: u32) -> String {
    let id: String = std::iter::repeat_n(digit, 32).collect();
    let span = |number: u32, code: u32| {
        format!(
            r#"{{"traceId":"{id}","spanId":"000000000000000{number}","name":"s{digit}","status":{{"code":{code}}}}}"#
        )
    };
    let spans = [span(1, 0), span(2, status)].join(",");
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

#[tokio::test]
async fn traces_are_kept_or_dropped_and_can_be_asked_for() {
    let file = std::env::temp_dir().join(format!("weir-tail-sampling-{}.json", std::process::id()));
    // The receivers' ports have to be known beforehand.
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let [one, two] = listeners.map(|listener| listener.local_addr().unwrap().port());
    let yaml = format!(
        "receivers:
  otlp/one: {{protocols: {{http: {{endpoint: '127.0.0.1:{one}'}}}}}}
  otlp/two: {{protocols: {{http: {{endpoint: '127.0.0.1:{two}'}}}}}}
processors:
  tail_sampling:
    max_spans_per_trace: 2
    policies: [{{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}]
exporters: {{file: {{path: '{}'}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0}}}}}}}}]}}}}
  pipelines:
    traces/one: {{receivers: [otlp/one], processors: [tail_sampling], exporters: [file]}}
    traces/two: {{receivers: [otlp/two], processors: [tail_sampling], exporters: [file]}}
",
        file.display()
    );
    let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
    let env = move |_: &str| Some(yaml.clone());
    let service = Service::start(options, Arc::new(Catalog::default()), &env).await.unwrap();
    for (port, digit, status) in [(one, 'a', 2), (one, 'b', 0), (two, 'c', 2), (two, 'd', 1)] {
        ask((Ipv4Addr::LOCALHOST, port).into(), "POST /v1/traces", &trace(digit, status)).await;
    }
    let page = service.telemetry().page_addrs().first().copied().unwrap();
    for (digit, expected) in [
        ('a', r#""decision":"sampled","policy":"errors","cause":"spans""#),
        ('b', r#""decision":"not_sampled","policy":null,"cause":"spans""#),
        ('c', r#""decision":"sampled","policy":"errors","cause":"spans""#),
        ('d', r#""decision":"not_sampled","policy":null,"cause":"spans""#),
        ('e', r#"{"tail_sampling":[]}"#),
    ] {
        let id: String = std::iter::repeat_n(digit, 32).collect();
        let answer = ask(page, &format!("GET /tail_sampling/decisions?trace_id={id}"), "").await;
        assert!(answer.contains(expected), "{digit}: {answer}");
    }
    let report = service.shutdown(Deadline::after(Duration::from_secs(10))).await;
    assert!(report.balances(), "{report:?}");
    let out = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    for (name, count) in [("sa", 2), ("sb", 0), ("sc", 2), ("sd", 0)] {
        assert_eq!(out.matches(&format!("\"name\":\"{name}\"")).count(), count, "{name}: {out}");
    }
}

/// A pipeline of one sampler with these settings, which writes to a file.
struct Rig {
    inlet: SocketAddr,
    file: std::path::PathBuf,
    running: Running,
}

fn yaml(inlet: SocketAddr, file: &std::path::Path, settings: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{inlet}'}}}}}}}}
processors: {{tail_sampling: {{{settings}}}}}
exporters: {{file: {{path: '{}'}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0}}}}}}}}]}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [tail_sampling], exporters: [file]}}}}
",
        file.display()
    )
}

impl Rig {
    async fn start(name: &str, settings: &str) -> Self {
        let file = std::env::temp_dir().join(format!("weir-tail-sampling-{name}-{}.json", std::process::id()));
        let inlet = wire::free_address();
        let running = Running::start(yaml(inlet, &file, settings), Catalog::default()).await;
        Self { inlet, file, running }
    }

    async fn reload(&mut self, settings: &str) {
        let report = self.running.reload(yaml(self.inlet, &self.file, settings)).await.unwrap();
        assert_eq!(report.created, 1, "the sampler alone: {report:?}");
    }

    async fn send(&self, traces: &str, status: u32) {
        for digit in traces.chars() {
            ask(self.inlet, "POST /v1/traces", &trace(digit, status)).await;
        }
    }

    async fn explain(&self, digit: char) -> String {
        let page = self.running.service.telemetry().page_addrs().first().copied().unwrap();
        let id: String = std::iter::repeat_n(digit, 32).collect();
        ask(page, &format!("GET /tail_sampling/decisions?trace_id={id}"), "").await
    }

    /// The traces that came out, whole.
    async fn stop(self) -> String {
        self.running.stop().await;
        let out = std::fs::read_to_string(&self.file).unwrap();
        std::fs::remove_file(&self.file).unwrap();
        let spans = |digit: &char| out.matches(&format!("\"name\":\"s{digit}\"")).count();
        let kept: String = "0123456789abcdef".chars().filter(|digit| spans(digit) > 0).collect();
        assert!(kept.chars().all(|digit| spans(&digit) == 2), "whole: {out}");
        kept
    }
}

/// Ten spans may be kept, ever; reloads give no others.
#[tokio::test]
async fn a_reload_gives_no_second_burst() {
    let settings = |log: u32, burst: u32| {
        let limit = format!("rate_limiting: {{spans_per_second: 0, burst_capacity: {burst}}}");
        format!(
            "max_spans_per_trace: 2, decision_log_size: {log}, policies: [{{name: some, type: rate_limiting, {limit}}}]"
        )
    };
    let mut rig = Rig::start("limits", &settings(10, 10)).await;
    rig.send("012", 0).await;
    rig.reload(&settings(11, 10)).await;
    rig.send("3456", 0).await;
    rig.reload(&settings(11, 50)).await;
    rig.send("789", 0).await;
    rig.reload(&settings(12, 10).replace("name: some", "name: another")).await;
    rig.send("a", 0).await;
    assert_eq!(rig.stop().await, "01234a");
}

#[tokio::test]
async fn what_arrives_decides_and_what_waits_is_decided_by_who_comes_next() {
    let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
    let mut rig =
        Rig::start("ingest", &format!("sampling_strategy: span-ingest, decision_wait: 24h, policies: [{errors}]"))
            .await;
    rig.send("a", 2).await;
    rig.send("bd", 0).await;
    let told = rig.explain('a').await;
    assert!(told.contains(r#""decision":"sampled","policy":"errors","cause":"ingest""#), "{told}");
    let told = rig.explain('b').await;
    assert!(told.contains(r#""decision":"waits""#), "{told}");
    rig.send("c", 2).await;
    // Traces of two spans wait for nothing there.
    rig.reload("max_spans_per_trace: 2, policies: [{name: all, type: always_sample}]").await;
    let told = rig.explain('b').await;
    assert!(told.contains(r#""decision":"sampled","policy":"all","cause":"spans""#), "{told}");
    let told = rig.explain('c').await;
    assert!(told.contains(r#""policy":"errors","cause":"ingest""#), "{told}");
    assert_eq!(rig.running.metric("weir_tail_sampling_split_traces", &[]), 0);
    assert_eq!(rig.stop().await, "abcd");
}
