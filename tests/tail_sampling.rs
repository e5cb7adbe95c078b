//! Tail sampling in the whole program: whole traces are kept or dropped, and a running weir says why, for all pipelines that
//! use the processor.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod http;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use component::Deadline;
use weir::catalog::Catalog;
use weir::service::{Service, ServiceOptions};

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
