//! What the process uses: `otelcol_process_*` and the account of telemetry bytes. Linux only; elsewhere what `/proc` knows
//! is left out.
//!
//! The Collector's names of Go's runtime are kept with the nearest thing there is: `runtime_heap_alloc_bytes` is the
//! private memory that is resident (heap and stacks), `runtime_total_sys_memory_bytes` the private memory asked of the
//! system, and `runtime_total_alloc_bytes` the bytes ever taken for telemetry.

use std::fs;
use std::sync::Arc;

use component::telemetry::{Labels, Metric, MetricKind, Observer};
use component::{Host, Level};

/// Clock ticks per second in `/proc`: the kernel's interface has used this value on every architecture for decades.
const TICKS_PER_SECOND: f64 = 100.0;

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Basic }
}

const UPTIME: Metric = metric("otelcol_process_uptime", "Uptime of the process", "s");
const CPU: Metric = metric("otelcol_process_cpu_seconds", "Total CPU user and system time in seconds", "s");
const RSS: Metric = metric("otelcol_process_memory_rss", "Total physical memory (resident set size)", "By");
const HEAP: Metric = metric(
    "otelcol_process_runtime_heap_alloc_bytes",
    "Private memory in use: heap and stacks that are resident",
    "By",
);
const TOTAL_ALLOC: Metric = metric(
    "otelcol_process_runtime_total_alloc_bytes",
    "Cumulative bytes taken for telemetry; see weir_bytes_held for those in use",
    "By",
);
const SYS: Metric = metric(
    "otelcol_process_runtime_total_sys_memory_bytes",
    "Private memory obtained from the system, resident or not",
    "By",
);
const HELD: Metric = metric("weir_bytes_held", "Bytes of telemetry held in memory", "By");
const PEAK: Metric = metric("weir_bytes_peak", "The most bytes of telemetry ever held at once", "By");
const LIMIT: Metric = metric("weir_bytes_limit", "Bytes of telemetry that may be held at once", "By");
const REFUSED: Metric = metric(
    "weir_refused_for_memory_requests",
    "Requests refused because the bytes held would have exceeded the limit",
    "{requests}",
);

/// Shows them in the host's registry for as long as the observers live.
pub(super) fn observe(host: &Host) -> Vec<Observer> {
    let registry = host.registry();
    let started = registry.started();
    let one = |metric: Metric, kind: MetricKind, read: Box<dyn Fn() -> Option<f64> + Send + Sync>| {
        registry.observe(metric, kind, move || read().map(|value| (Labels::new(), value)).into_iter().collect())
    };
    let account = |read: fn(&pdata::ByteAccount) -> u64| -> Box<dyn Fn() -> Option<f64> + Send + Sync> {
        let account = Arc::clone(host.account());
        Box::new(move || Some(read(&account) as f64))
    };
    let (counter, gauge) = (MetricKind::Counter, MetricKind::Gauge);
    vec![
        one(UPTIME, counter, Box::new(move || Some(started.elapsed().unwrap_or_default().as_secs_f64()))),
        one(CPU, counter, Box::new(cpu_seconds)),
        one(RSS, gauge, Box::new(|| component::memory::Probe::default().resident_bytes().map(|bytes| bytes as f64))),
        one(HEAP, gauge, Box::new(|| status_bytes("RssAnon:"))),
        one(SYS, gauge, Box::new(|| status_bytes("VmData:"))),
        one(TOTAL_ALLOC, counter, account(pdata::ByteAccount::taken)),
        one(HELD, gauge, account(|account| account.held() as u64)),
        one(PEAK, gauge, account(|account| account.peak() as u64)),
        one(LIMIT, gauge, account(|account| account.cap() as u64)),
        one(REFUSED, counter, account(pdata::ByteAccount::refused_requests)),
    ]
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |n: usize| fields.split_ascii_whitespace().nth(n)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / TICKS_PER_SECOND)
}

/// A line of `/proc/self/status` in kB, as bytes.
fn status_bytes(key: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes as f64 * 1024.0)
}

#[cfg(test)]
mod tests {
    use component::Registry;
    use component::telemetry::Value;
    use pdata::{ByteAccount, Ledger};

    use super::*;

    #[test]
    fn every_metric_has_a_plausible_value() {
        let account = ByteAccount::new(1000);
        let (host, _fatal) = Host::new(Arc::clone(&account), Ledger::new(), Registry::new(Level::Basic));
        let observers = observe(&host);
        let held = account.try_charge(600).unwrap();
        account.try_charge(500).unwrap_err();
        drop(account.try_charge(100).unwrap());
        let read = host.registry().read();
        let value = |metric: Metric| {
            let reading = read.iter().find(|reading| reading.metric == metric).unwrap();
            let Value::Number(number) = reading.series[0].1 else { panic!("a histogram") };
            number
        };
        assert_eq!(read.len(), observers.len());
        let account = [HELD, PEAK, LIMIT, REFUSED, TOTAL_ALLOC].map(|metric| value(metric) as u64);
        assert_eq!(account, [600, 700, 1000, 1, 700]);
        assert!(value(RSS) > 1e6 && value(HEAP) > 1e5 && value(SYS) > 1e5);
        assert!((0.0..1e6).contains(&value(CPU)) && (0.0..600.0).contains(&value(UPTIME)));
        drop(held);
    }
}
