//! What operators see: metrics, and a line in the log when something was damaged.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use component::telemetry::{Metric, MetricKind, Observer};
use component::{Counter, Histogram, Level, Settings};
use spool::{SpoolError, Watch, WeakSpool};

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Basic }
}

const FSYNC: Metric =
    metric("weir_extension_file_storage_fsync_duration", "How long the system took to make records durable", "s");
const TRUNCATED: Metric = metric(
    "weir_extension_file_storage_truncated_bytes",
    "Bytes of records that were being written when the process before ended; nobody was told that they were stored",
    "By",
);
const DAMAGED_RECORDS: Metric = metric(
    "weir_extension_file_storage_damaged_records",
    "Records that are not what was written, and are left out",
    "{records}",
);
const DAMAGED_FILES: Metric = metric(
    "weir_extension_file_storage_damaged_files",
    "Files put aside because something in them is damaged",
    "{files}",
);
const BYTES: Metric = metric("weir_extension_file_storage_bytes", "Bytes of the files of open queues", "By");

/// Bounds of durations of an fsync, in seconds.
const FSYNC_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Time between two lines about trouble.
const INTERVAL: Duration = Duration::from_secs(60);

/// Shows one queue.
#[derive(Debug)]
pub struct Shown {
    id: String,
    queue: String,
    fsync: Histogram,
    truncated: Counter,
    damaged_records: Counter,
    damaged_files: Counter,
    told: Mutex<Option<Instant>>,
}

impl Shown {
    /// Shows the queue of that name.
    #[must_use]
    pub fn new(settings: &Settings, queue: &str) -> Self {
        let (telemetry, labels) = (&settings.telemetry, &[("queue", queue)]);
        Self {
            id: settings.id.to_string(),
            queue: queue.to_owned(),
            fsync: telemetry.histogram(FSYNC, FSYNC_BUCKETS, labels),
            truncated: telemetry.counter(TRUNCATED, labels),
            damaged_records: telemetry.counter(DAMAGED_RECORDS, labels),
            damaged_files: telemetry.counter(DAMAGED_FILES, labels),
            told: Mutex::default(),
        }
    }
}

impl Watch for Shown {
    fn synced(&self, took: Duration) {
        self.fsync.record(took.as_secs_f64());
    }

    fn truncated(&self, bytes: u64) {
        self.truncated.add(bytes);
        let Self { id, queue, .. } = self;
        tracing::info!(id, queue, bytes, "cut off what was being written when the process before ended");
    }

    fn damaged(&self, records: u64) {
        self.damaged_records.add(records);
        let Self { id, queue, .. } = self;
        tracing::error!(id, queue, records, "stored records are damaged and left out; the rest is used");
    }

    fn put_aside(&self, path: &Path) {
        self.damaged_files.add(1);
        let Self { id, queue, .. } = self;
        let file = path.display().to_string();
        tracing::error!(id, queue, file, "a file of the queue is damaged and was put aside; it can be removed");
    }

    fn trouble(&self, error: &SpoolError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        let (Self { id, queue, .. }, error) = (self, error.in_full());
        tracing::warn!(id, queue, error, "a queue on disk is in trouble; nothing is lost by that");
    }
}

/// Shows the bytes of those of `spools` that are open.
pub fn observe_bytes(settings: &Settings, spools: crate::Spools) -> Observer {
    let telemetry = settings.telemetry.clone();
    let registry = Arc::clone(telemetry.registry());
    registry.observe(BYTES, MetricKind::Gauge, move || {
        let spools = spools.lock().unwrap_or_else(PoisonError::into_inner);
        let open = spools.iter().filter_map(|(name, spool)| Some((name, WeakSpool::upgrade(spool)?)));
        open.map(|(name, spool)| (telemetry.labels(&[("queue", name.as_str())]), spool.file_bytes() as f64)).collect()
    })
}
