//! What operators read.

use std::io;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use component::Code;
use component::lifecycle::Health;
use tracing::subscriber::DefaultGuard;

use super::support::{Answer, Bench, ms, unavailable};
use crate::SendError;

/// Collects the log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        // Without any, a line that another test's thread meets first can stay switched off for this one.
        static EVERYWHERE: Once = Once::new();
        EVERYWHERE.call_once(|| {
            let nowhere = tracing_subscriber::fmt().with_writer(io::sink).finish();
            tracing::subscriber::set_global_default(nowhere).unwrap();
        });
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

fn check(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_line_per_cause_and_interval_with_what_became_of_the_data() {
    let (log, _guard) = Log::capture();
    let bench = Bench::new("retry_on_failure: {randomization_factor: 0, max_elapsed_time: 61s}", |seen| {
        if seen.at < ms(100_000) { unavailable() } else { Answer::Take }
    })
    .await;
    for n in 0..5 {
        bench.send(n * 2..n * 2 + 2).await.unwrap();
    }
    tokio::time::sleep(ms(1000)).await;
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    check(
        &log.lines()[0],
        &[
            "WARN",
            "sending failed; the data is kept and retried",
            "exporter=test/1",
            "destination=test:4317",
            "error=try later",
            "cause=\"UNAVAILABLE\"",
            "queued=\"5 of 1000 requests\"",
            "lost_items=0",
            "retry_in=5s",
            "advice=\"check that the destination runs and can be reached\"",
        ],
    );
    assert_eq!(bench.host.health()["exporter `test/1` for traces"], Health::Recoverable("test:4317: try later".into()));
    assert!(last_success_age(&bench.host).is_nan(), "nothing was sent yet");
    tokio::time::sleep(Duration::from_secs(120)).await;
    // The attempts after 65 s are the last ones: a line for the first loss, the other four are summed up later.
    bench.send(90..91).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines = log.lines();
    let lost: u64 = lines.iter().filter(|line| line.contains("ERROR")).map(|line| field(line, "lost_items=")).sum();
    assert_eq!(lost, 10, "{lines:#?}");
    assert!(lines.len() <= 4, "{lines:#?}");
    check(lines.last().unwrap(), &["sending works again; data was lost"]);
    assert_eq!(bench.host.health()["exporter `test/1` for traces"], Health::Ok);
    let age = last_success_age(&bench.host);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!((last_success_age(&bench.host) - age - 7.0).abs() < 0.1, "{age}");
}

fn last_success_age(host: &component::Host) -> f64 {
    let readings = host.registry().read();
    let reading = readings.iter().find(|reading| reading.metric.name == "weir_exporter_last_success_age").unwrap();
    let (labels, value) = &reading.series[0];
    assert!(labels.contains(&("destination".to_owned(), "test:4317".to_owned())), "{labels:?}");
    let component::telemetry::Value::Number(age) = value else { panic!("{value:?}") };
    *age
}

fn field(line: &str, name: &str) -> u64 {
    let rest = line.split(name).nth(1).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_loss_for_good_is_an_error_with_advice() {
    let (log, _guard) = Log::capture();
    let bench = Bench::new("{}", |_| {
        let error = SendError::permanent("UNAUTHENTICATED", "who are you").with_code(Code::Unauthenticated);
        Answer::Fail(error.with_advice("set `auth`"))
    })
    .await;
    bench.send(0..7).await.unwrap();
    tokio::time::sleep(ms(100)).await;
    check(
        &log.lines()[0],
        &["ERROR", "sending failed; data is lost", "lost_items=7", "error=who are you", "advice=\"set `auth`\""],
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_says_in_numbers_what_is_lost() {
    let (log, _guard) = Log::capture();
    let bench = Bench::new("{}", |_| Answer::Hang).await;
    bench.send(0..7).await.unwrap();
    bench.send(7..10).await.unwrap();
    bench.shutdown(ms(100)).await;
    let lines = log.lines();
    check(lines.first().unwrap(), &["ERROR", "shutdown deadline passed", "lost_items=10", "batches=2"]);
}

#[tokio::test(start_paused = true)]
async fn partial_success_is_a_warning() {
    let (log, _guard) = Log::capture();
    let bench = Bench::new("{}", |_| Answer::TakePartly(2, "series limit")).await;
    bench.send(0..7).await.unwrap();
    tokio::time::sleep(ms(100)).await;
    check(&log.lines()[0], &["WARN", "partial success", "items=7", "lost_items=2", "answer=\"series limit\""]);
}
