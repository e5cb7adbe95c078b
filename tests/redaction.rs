//! Redaction in the whole program: what is sent over HTTP arrives in a file without personal data, the sender is told what
//! was refused, and the inventory can be read where metrics are.
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

#[tokio::test]
async fn personal_data_stays_behind_and_is_accounted_for() {
    let file = std::env::temp_dir().join(format!("weir-redaction-{}.json", std::process::id()));
    // The receiver's port has to be known beforehand.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let yaml = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
processors: {{redaction: {{allow_all_keys: true, detectors: all, tiers: {{forbidden: [iban]}}}}}}
exporters: {{file: {{path: '{}'}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0}}}}}}}}]}}}}
  pipelines: {{logs: {{receivers: [otlp], processors: [redaction], exporters: [file]}}}}
",
        file.display()
    );
    let options = ServiceOptions { uris: vec!["env:CONFIGURATION".to_owned()], ..ServiceOptions::default() };
    let env = move |_: &str| Some(yaml.clone());
    let service = Service::start(options, Arc::new(Catalog::default()), &env).await.unwrap();
    let record = |body: &str| format!(r#"{{"body":{{"stringValue":"{body}"}}}}"#);
    let records =
        [record("order of jane@example.org"), record("pay DE89370400440532013000"), record("from 203.0.113.77")];
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;
    let logs = records.join(",");
    let body = format!(r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":[{{"logRecords":[{logs}]}}]}}]}}"#);
    let answer = ask((Ipv4Addr::LOCALHOST, port).into(), "POST /v1/logs", &body).await;
    assert!(answer.contains(r#""rejectedLogRecords":"1""#), "{answer}");
    assert!(answer.contains("`redaction` refuses 1 items as forbidden: iban"), "{answer}");
    let page = service.telemetry().page_addrs().first().copied().unwrap();
    let inventory = ask(page, "GET /redaction/inventory", "").await;
    for expected in [
        r#"{"redaction":[{"detector":"#,
        r#"{"detector":"email","path":"log.body","service":"shop","findings":1,"#,
        r#"{"detector":"ipv4","path":"log.body","service":"shop","findings":1,"#,
        r#"{"detector":"iban","path":"log.body","service":"shop","findings":1,"#,
    ] {
        assert!(inventory.contains(expected), "{expected}: {inventory}");
    }
    let metrics = ask(page, "GET /metrics", "").await;
    let line = "weir_redaction_findings{detector=\"email\",otel_signal=\"logs\",processor=\"redaction\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let report = service.shutdown(Deadline::after(Duration::from_secs(10))).await;
    assert!(report.balances(), "{report:?}");
    let out = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(out.contains("order of <REDACTED_EMAIL>") && out.contains("from <REDACTED_IP>"), "{out}");
    assert!(!out.contains("jane") && !out.contains("DE89") && !out.contains("203.0"), "{out}");
}
