//! The exporter around the text: contract, log, configuration, failing outputs.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{Consumer, Deadline};
use exporter_debug::config::{DebugConfig, Verbosity};
use exporter_debug::factory;
use pdata::Signal;
use testkit::{Sink, Subject, World, items};
use tracing_subscriber::fmt::MakeWriter;

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        for yaml in ["{}", "{verbosity: detailed}", "{sending_queue: {queue_size: 5}}"] {
            testkit::suite::contract(&Subject::new(factory()).with_config(yaml).with_signal(signal)).await.unwrap();
        }
    }
}

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_sampled_per_second() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let subject = Subject::new(factory()).with_config("{sampling_initial: 2, sampling_thereafter: 3}");
    let built = subject.with_signal(Signal::Logs).build(&world, Sink::accepting()).unwrap();
    built.component.start(&world.host).await.unwrap();
    let head = world.head(built.consumer.unwrap());
    for _ in 0..6 {
        head.consume(items::logs(4)).await.unwrap();
    }
    let lines = log.text();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.contains("INFO") && lines.contains("Logs"), "{lines}");
    assert!(lines.contains("resource logs=1 log records=4"), "{lines}");
    assert_eq!(world.totals(Signal::Logs).delivered, 24, "what is sampled away is delivered all the same");
    assert_eq!(world.metric("otelcol_exporter_sent_log_records"), Some(24.0));
}

#[tokio::test]
async fn an_output_that_cannot_be_opened_stops_the_start() {
    let world = World::new();
    let yaml = "{use_internal_logger: false, output_paths: [/no/such/folder/out.txt]}";
    let built = Subject::new(factory()).with_config(yaml).build(&world, Sink::accepting()).unwrap();
    let error = built.component.start(&world.host).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `debug/test`: open `/no/such/folder/out.txt` to write to");
}

#[tokio::test]
async fn an_output_that_fails_is_a_permanent_error() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let world = World::new();
    let yaml = "{use_internal_logger: false, output_paths: [/dev/full]}";
    let built = Subject::new(factory()).with_config(yaml).build(&world, Sink::accepting()).unwrap();
    built.component.start(&world.host).await.unwrap();
    let error = world.head(built.consumer.unwrap()).consume(items::spans(2)).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("cannot write to `/dev/full`"), "{error}");
    built.component.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
    world.check_settled().unwrap();
}

#[test]
fn configuration() {
    let (config, warnings) = config::decode_str::<DebugConfig>("{}").unwrap();
    assert!(warnings.is_empty());
    assert_eq!((config.verbosity, config.sampling_initial, config.sampling_thereafter), (Verbosity::Basic, 2, 1));
    assert!(config.use_internal_logger && !config.sending_queue.is_on());
    assert_eq!(config.output_paths, ["stdout"]);
    let (config, _) = config::decode_str::<DebugConfig>("{verbosity: Detailed, sending_queue: }").unwrap();
    assert_eq!(config.verbosity, Verbosity::Detailed);
    assert!(config.sending_queue.is_on());
    for (yaml, message) in [
        ("{verbosity: none}", "'verbosity' does not know the text `none`"),
        ("{loglevel: info}", "'' has invalid keys: loglevel"),
        ("{sampling_initial: -1}", "`sampling_initial` must not be negative, got -1"),
        ("{use_internal_logger: false, output_paths: []}", "`output_paths` must name a destination"),
        ("{output_paths: ['']}", "a path in `output_paths` is empty"),
        ("{sending_queue: {queue_size: 0}}", "`queue_size` must be positive"),
    ] {
        let errors = config::decode_str::<DebugConfig>(yaml).expect_err(yaml).to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}
