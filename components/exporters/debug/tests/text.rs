//! The text, against what the Collector writes for the same requests (`testdata/<signal>.<verbosity>.txt`, written by
//! version 0.145 with `use_internal_logger: false`).

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use component::{Consumer, Deadline};
use exporter_debug::factory;
use pdata::{Batch, Payload, Signal, Utf8Policy};
use testkit::{Sink, Subject, World};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn request(world: &World, signal: Signal) -> Payload {
    let text = std::fs::read(testdata(&format!("{signal}.json"))).unwrap();
    let charge = world.account.charge(text.len());
    otlp::json::decode_payload(signal, text, charge, Utf8Policy::Repair).unwrap().0
}

async fn written(signal: Signal, verbosity: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.txt");
    let world = World::new();
    let yaml =
        format!("{{verbosity: {verbosity}, use_internal_logger: false, output_paths: [\"{}\"]}}", path.display());
    let subject = Subject::new(factory()).with_config(&yaml).with_signal(signal);
    let built = subject.build(&world, Sink::accepting()).unwrap();
    built.component.start(&world.host).await.unwrap();
    let batch = Batch::new(request(&world, signal), Arc::default());
    built.consumer.unwrap().consume(world.open(batch)).await.unwrap();
    built.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
    world.check_settled().unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn every_verbosity_reads_as_the_collectors() {
    for signal in Signal::ALL {
        for verbosity in ["basic", "normal", "detailed"] {
            let expected = std::fs::read_to_string(testdata(&format!("{signal}.{verbosity}.txt"))).unwrap();
            let found = written(signal, verbosity).await;
            for (n, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
                assert_eq!(found, expected, "{signal}.{verbosity}.txt:{}", n + 1);
            }
            assert_eq!(found, expected, "{signal}.{verbosity}.txt");
        }
    }
}
