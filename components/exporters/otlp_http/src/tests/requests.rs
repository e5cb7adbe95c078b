//! What the exporter posts.

use pdata::Signal;
use testkit::items;
use testkit::server::{HttpAnswer as Answer, Server};

use super::{Bench, ONCE};

#[tokio::test]
async fn posts_every_signal_to_its_path() {
    for (compression, is_gzip) in [("gzip", true), ("none", false)] {
        for signal in Signal::ALL {
            let server = Server::http(|_, _| Answer::status(200)).await;
            let more = format!("compression: {compression}, headers: {{x-scope: team-a}}, {ONCE}");
            let bench = Bench::new(&server, signal, &more).await;
            let batch = items::batch(signal, 0, 100);
            let bytes = batch.payload().to_bytes();
            bench.send(batch).await.unwrap();
            let [post] = &server.calls()[..] else { panic!("one post") };
            assert_eq!(post.path, format!("/v1/{signal}"));
            assert_eq!(post.body, bytes);
            assert_eq!(post.headers["content-type"], "application/x-protobuf");
            assert_eq!(post.headers["x-scope"], "team-a");
            assert_eq!(post.headers.contains_key("content-encoding"), is_gzip);
            let agent = post.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("weir/") && agent.contains("(linux/"), "{agent}");
            let noun = signal.items_noun();
            assert_eq!(bench.world.metric(&format!("otelcol_exporter_sent_{noun}")), Some(100.0));
            assert_eq!(bench.finish(signal).await.delivered, 100);
        }
    }
}

#[tokio::test]
async fn json_is_what_the_reference_reads() {
    for signal in Signal::ALL {
        let server = Server::http(|_, _| Answer::status(200)).await;
        let bench = Bench::new(&server, signal, "encoding: json, sending_queue: {batch: {min_size: 20}}").await;
        for n in 0..2 {
            bench.send(items::batch(signal, n * 10, 10)).await.unwrap();
        }
        assert_eq!(bench.finish(signal).await.delivered, 20);
        let [post] = &server.calls()[..] else { panic!("one post") };
        assert_eq!(post.headers["content-type"], "application/json");
        let value: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
        let list = match signal {
            Signal::Traces => "resourceSpans",
            Signal::Metrics => "resourceMetrics",
            Signal::Logs => "resourceLogs",
        };
        assert_eq!(value[list].as_array().unwrap().len(), 2, "one per merged request");
        let account = pdata::ByteAccount::unlimited();
        let charge = account.charge(post.body.len());
        let policy = pdata::Utf8Policy::Repair;
        let (payload, _) = otlp::json::decode_payload(signal, post.body.clone(), charge, policy).unwrap();
        assert_eq!(items::numbers(&payload).unwrap(), (0..20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_signals_own_endpoint_is_used_as_it_stands() {
    let server = Server::http(|_, _| Answer::status(200)).await;
    let address = server.address;
    for (yaml, path) in [
        (format!("endpoint: 'http://{address}/'"), "/v1/logs"),
        (format!("endpoint: 'http://{address}/otlp'"), "/otlp/v1/logs"),
        (format!("endpoint: 'http://{address}/otlp/'"), "/otlp/v1/logs"),
        (format!("logs_endpoint: 'http://{address}/in/logs/'"), "/in/logs/"),
        (format!("endpoint: 'http://unused', logs_endpoint: 'http://{address}/x'"), "/x"),
    ] {
        let bench = Bench::with(&format!("{{{yaml}, {ONCE}}}"), Signal::Logs).await;
        bench.send(items::logs(1)).await.unwrap();
        assert_eq!(server.calls().last().unwrap().path, path, "{yaml}");
        let readings = bench.world.registry.read();
        let sent = readings.iter().find(|reading| reading.metric.name == "otelcol_exporter_sent_log_records").unwrap();
        assert!(sent.series[0].0.contains(&("url_path".to_owned(), path.to_owned())), "{:?}", sent.series);
        assert!(sent.series[0].0.contains(&("server_port".to_owned(), address.port().to_string())));
        bench.finish(Signal::Logs).await;
    }
}
