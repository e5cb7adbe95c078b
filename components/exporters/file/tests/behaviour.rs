//! What stands in the files.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use component::{Component, Consumer, Deadline, DeliveryError};
use exporter_file::factory;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use pdata::{Batch, Payload, Segment, Signal};
use prost::Message;
use tempfile::TempDir;
use testkit::otlp_arbitrary::Request;
use testkit::{Sink, Subject, World, items};

/// Exporters of one component ID that write into a folder.
struct Bench {
    folder: TempDir,
    world: World,
    yaml: String,
    running: Vec<Running>,
}

struct Running {
    signal: Signal,
    component: Arc<dyn Component>,
    consumer: Arc<dyn Consumer>,
}

impl Bench {
    /// `yaml` with `DIR` for the folder.
    fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let yaml = yaml.replace("DIR", folder.path().to_str().unwrap());
        Self { folder, world: World::new(), yaml, running: Vec::new() }
    }

    async fn start(&mut self, signals: &[Signal]) {
        for signal in signals {
            let subject = Subject::new(factory()).with_config(&self.yaml).with_signal(*signal);
            let built = subject.build(&self.world, Sink::accepting()).unwrap();
            built.component.start(&self.world.host).await.unwrap();
            let consumer = built.consumer.unwrap();
            self.running.push(Running { signal: *signal, component: built.component, consumer });
        }
    }

    async fn offer(&self, batch: Batch) -> Result<u64, DeliveryError> {
        let running = self.running.iter().find(|running| running.signal == batch.signal()).unwrap();
        self.world.head(Arc::clone(&running.consumer)).consume(batch).await.map(|accepted| accepted.rejected_items)
    }

    async fn stop(&mut self) {
        for running in self.running.drain(..) {
            running.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        }
        self.world.check_settled().unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// The messages of a framed file.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let content = fs::read(path).unwrap();
    let (mut rest, mut frames) = (content.as_slice(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(message.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    frames
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for signal in Signal::ALL {
        let yaml = format!("{{path: \"{}\"}}", folder.path().join("out").display());
        let subject = Subject::new(factory()).with_config(&yaml).with_signal(signal);
        testkit::suite::contract(&subject.with_invalid_default("path must be non-empty")).await.unwrap();
    }
}

#[tokio::test]
async fn signals_of_one_id_share_a_file_of_json_lines() {
    let mut bench = Bench::new("{path: DIR/out.json}");
    fs::write(bench.path("out.json"), "old\n").unwrap();
    bench.start(&Signal::ALL).await;
    for n in 0..2 {
        for signal in Signal::ALL {
            assert_eq!(bench.offer(items::batch(signal, n * 3, 3)).await.unwrap(), 0);
        }
    }
    bench.stop().await;
    let text = bench.text("out.json");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<&String> = lines.iter().map(|line| line.as_object().unwrap().keys().next().unwrap()).collect();
    let expected = ["resourceSpans", "resourceMetrics", "resourceLogs"];
    assert_eq!(keys, [expected, expected].concat());
    assert_eq!(lines[3]["resourceSpans"][0]["scopeSpans"][0]["spans"][2]["name"], "span-5");
    assert_eq!(lines[2]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"]["stringValue"], "log-0");
    assert_eq!(bench.world.metric("otelcol_exporter_sent_spans"), Some(6.0));
}

#[tokio::test]
async fn protobuf_stands_after_its_length() {
    let mut bench = Bench::new("{path: DIR/out.bin, format: proto}");
    bench.start(&[Signal::Logs]).await;
    let merged = {
        let mut batch = items::batch(Signal::Logs, 2, 2);
        batch.append(items::batch(Signal::Logs, 4, 1));
        batch
    };
    bench.offer(items::logs(2)).await.unwrap();
    bench.offer(merged).await.unwrap();
    bench.stop().await;
    let requests: Vec<ExportLogsServiceRequest> =
        frames(&bench.path("out.bin")).iter().map(|frame| Message::decode(frame.as_slice()).unwrap()).collect();
    assert_eq!(requests.iter().map(|request| request.resource_logs.len()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(Request::Logs(requests[0].clone()), items::request(Signal::Logs, 0, 2));
}

#[tokio::test]
async fn messages_are_compressed_one_by_one() {
    for (format, starts_with) in [("json", &b"{\"resourceSpans\""[..]), ("proto", &[0x0a])] {
        let mut bench = Bench::new(&format!(
            "{{path: DIR/out, format: {format}, compression: zstd, compression_params: {{level: 7}}}}"
        ));
        bench.start(&[Signal::Traces]).await;
        for _ in 0..3 {
            bench.offer(items::spans(50)).await.unwrap();
        }
        bench.stop().await;
        let frames = frames(&bench.path("out"));
        assert_eq!(frames.len(), 3);
        for frame in frames {
            let message = zstd::bulk::decompress(&frame, 1 << 20).unwrap();
            assert!(message.starts_with(starts_with) && message.len() > frame.len());
        }
    }
}

#[tokio::test]
async fn append_continues_a_file() {
    let mut bench = Bench::new("{path: DIR/out.json, append: true}");
    fs::write(bench.path("out.json"), "old\n").unwrap();
    bench.start(&[Signal::Logs]).await;
    bench.offer(items::logs(1)).await.unwrap();
    bench.stop().await;
    let text = bench.text("out.json");
    assert!(text.starts_with("old\n{") && text.lines().count() == 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn buffers_are_written_at_every_flush_interval() {
    let mut bench = Bench::new("{path: DIR/out.json, flush_interval: 10s}");
    bench.start(&[Signal::Logs]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    bench.offer(items::logs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(bench.text("out.json"), "");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.text("out.json").lines().count(), 1);
    bench.stop().await;
}

/// Offers log records that make about so much JSON. Returns how many.
async fn offer_mib(bench: &Bench, mib: u64) -> u64 {
    let (mut bytes, mut offered) = (0, 0);
    while bytes < mib << 20 {
        let batch = items::batch(Signal::Logs, offered, 500);
        bytes += batch.encoded_len() as u64 * 2;
        bench.offer(batch).await.unwrap();
        offered += 500;
    }
    offered
}

#[tokio::test]
async fn rotation_puts_full_files_aside_and_loses_nothing() {
    let mut bench = Bench::new("{path: DIR/out.json, rotation: {max_megabytes: 1, max_backups: 2}}");
    bench.start(&[Signal::Logs]).await;
    let offered = offer_mib(&bench, 1).await;
    let names = |bench: &Bench| {
        let mut names: Vec<String> = fs::read_dir(bench.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    bench.stop().await;
    let all: String = names(&bench).iter().map(|name| bench.text(name)).collect();
    assert!(names(&bench).len() > 1, "{:?}", names(&bench));
    assert!(names(&bench).iter().all(|name| fs::metadata(bench.path(name)).unwrap().len() <= 1 << 20));
    let seen: Vec<String> = (all.lines())
        .flat_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let records = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().clone();
            records.into_iter().map(|record| record["body"]["stringValue"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected: Vec<String> = (0..offered).map(|n| format!("log-{n}")).collect();
    assert!(seen == expected, "{} of {offered} records, or in another order", seen.len());

    bench.start(&[Signal::Logs]).await;
    offer_mib(&bench, 8).await;
    bench.stop().await;
    assert_eq!(names(&bench).len(), 3, "two put aside and the current one: {:?}", names(&bench));
}

/// Log records of resources with this value of `app`, one each.
fn of_apps(apps: &[Option<&str>]) -> Batch {
    let Request::Logs(template) = items::request(Signal::Logs, 0, 1) else { unreachable!() };
    let mut resource_logs = Vec::new();
    for app in apps {
        let mut resource = template.resource_logs[0].clone();
        if let Some(app) = app {
            resource.resource.as_mut().unwrap().attributes.push(items::attribute("app", app));
        }
        resource_logs.push(resource);
    }
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let segment = Segment::trusted(bytes.into(), u32::try_from(apps.len()).unwrap());
    Batch::new(Payload::from_segments(Signal::Logs, [segment]), Arc::default())
}

#[tokio::test]
async fn groups_have_their_own_files_and_items_without_the_attribute_are_rejected() {
    let mut bench =
        Bench::new("{path: DIR/out/*.json, group_by: {enabled: true, resource_attribute: app, max_open_files: 2}}");
    bench.start(&[Signal::Logs]).await;
    assert_eq!(bench.offer(of_apps(&[Some("a"), Some("b"), None, Some("a")])).await.unwrap(), 1);
    // More than may be open: files that were closed are continued, not emptied.
    for _ in 0..3 {
        bench.offer(of_apps(&[Some("a"), Some("b"), Some("c/d"), Some("../../../e")])).await.unwrap();
    }
    bench.stop().await;
    let counts = ["a", "b", "c/d", "e"].map(|app| bench.text(&format!("out/{app}.json")).lines().count());
    assert_eq!(counts, [4, 4, 3, 3]);
    let first = bench.text("out/a.json").lines().next().unwrap().to_owned();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["resourceLogs"].as_array().unwrap().len(), 2, "one message per group and batch");
    let totals = bench.world.totals(Signal::Logs);
    assert_eq!((totals.delivered, totals.rejected), (15, 1));
}

#[cfg(unix)]
#[tokio::test]
async fn directories_are_created_when_asked_for() {
    use std::os::unix::fs::PermissionsExt;

    let mut bench = Bench::new("{path: DIR/a/b/out.json, create_directory: true, directory_permissions: '0700'}");
    bench.start(&[Signal::Logs]).await;
    bench.stop().await;
    assert!(bench.path("a/b/out.json").exists());
    assert_eq!(fs::metadata(bench.path("a/b")).unwrap().permissions().mode() & 0o777, 0o700);

    let bench = Bench::new("{path: DIR/a/b/out.json}");
    let built = Subject::new(factory()).with_config(&bench.yaml).build(&bench.world, Sink::accepting()).unwrap();
    let error = built.component.start(&bench.world.host).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot start `file/test`: open `") && error.ends_with("` to write to"), "{error}");
}

#[tokio::test]
async fn an_encoding_needs_an_extension() {
    let world = World::new();
    let subject = Subject::new(factory()).with_config("{path: x, encoding: otlp_encoding/a}");
    let error = subject.build(&world, Sink::accepting()).unwrap().component.start(&world.host).await.unwrap_err();
    assert!(error.to_string().contains("extension `otlp_encoding/a` is not running"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_hands_batches_back() {
    let mut bench = Bench::new("{path: /dev/full, append: true}");
    bench.start(&[Signal::Logs]).await;
    let mut taken = 0;
    let error = loop {
        match bench.offer(items::logs(500)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "what waits is bounded");
    };
    assert!(error.is_retryable() && error.to_string().contains("cannot write to `/dev/full`"), "{error}");
    assert_eq!(bench.world.totals(Signal::Logs).refused, 500);
    bench.stop().await;
}
