//! The Collector's metrics of an exporter, in one table.

use component::telemetry::{BYTE_BUCKETS, ITEM_BUCKETS, Metric};
use component::{Counter, Gauge, Histogram, Level, Telemetry};
use pdata::{Batch, Signal};

const fn metric(name: &'static str, help: &'static str, unit: &'static str, level: Level) -> Metric {
    Metric { name, help, unit, level }
}

macro_rules! per_signal {
    ($function:ident, $prefix:literal, $help:literal) => {
        const fn $function(signal: Signal) -> Metric {
            match signal {
                Signal::Traces => metric(
                    concat!("otelcol_exporter_", $prefix, "_spans"),
                    concat!("Number of spans ", $help),
                    "{spans}",
                    Level::Basic,
                ),
                Signal::Metrics => metric(
                    concat!("otelcol_exporter_", $prefix, "_metric_points"),
                    concat!("Number of metric points ", $help),
                    "{datapoints}",
                    Level::Basic,
                ),
                Signal::Logs => metric(
                    concat!("otelcol_exporter_", $prefix, "_log_records"),
                    concat!("Number of log records ", $help),
                    "{records}",
                    Level::Basic,
                ),
            }
        }
    };
}

per_signal!(sent, "sent", "successfully sent to the destination");
per_signal!(send_failed, "send_failed", "given up after the last attempt to send them");
per_signal!(enqueue_failed, "enqueue_failed", "that the sending queue did not take");

const REJECTED: Metric = metric(
    "weir_exporter_rejected_items",
    "Items that the destination refused for good, partial successes included",
    "{items}",
    Level::Basic,
);
const RECOVERED: Metric = metric(
    "weir_exporter_recovered_items",
    "Items read from a queue on disk that an earlier process left there",
    "{items}",
    Level::Basic,
);
const IN_FLIGHT: Metric =
    metric("otelcol_exporter_in_flight_requests", "Requests being sent", "{requests}", Level::Normal);
const SEND_SIZE: Metric =
    metric("otelcol_exporter_queue_batch_send_size", "Items per request sent", "{items}", Level::Normal);
const SEND_BYTES: Metric =
    metric("otelcol_exporter_queue_batch_send_size_bytes", "Bytes per request sent", "By", Level::Detailed);
const ENQUEUE_SIZE: Metric =
    metric("otelcol_exporter_enqueue_size", "Items per batch put into the queue", "{items}", Level::Detailed);
const ENQUEUE_BYTES: Metric =
    metric("otelcol_exporter_enqueue_size_bytes", "Bytes per batch put into the queue", "By", Level::Detailed);

/// Age of the last success.
pub(crate) const LAST_SUCCESS_AGE: Metric = metric(
    "weir_exporter_last_success_age",
    "Time since the destination last took something; not a number before the first time",
    "s",
    Level::Basic,
);

/// Room taken in the queue.
pub(crate) const QUEUE_SIZE: Metric =
    metric("otelcol_exporter_queue_size", "What the queue holds, in its own unit", "{batches}", Level::Basic);
/// All room of the queue.
pub(crate) const QUEUE_CAPACITY: Metric =
    metric("otelcol_exporter_queue_capacity", "What the queue can hold, in its own unit", "{batches}", Level::Basic);

/// The metrics of one exporter and signal.
#[derive(Debug)]
pub(crate) struct Metrics {
    telemetry: Telemetry,
    signal: Signal,
    sent: Counter,
    send_failed: Counter,
    enqueue_failed: Counter,
    rejected: Counter,
    in_flight: Gauge,
    send_size: Histogram,
    send_bytes: Histogram,
    enqueue_size: Histogram,
    enqueue_bytes: Histogram,
}

impl Metrics {
    /// `sent_labels` are further labels of the counter of items sent: where to.
    pub(crate) fn new(telemetry: &Telemetry, signal: Signal, sent_labels: &[(&str, &str)]) -> Self {
        let data_type = &[("data_type", signal.as_str())];
        Self {
            telemetry: telemetry.clone(),
            signal,
            sent: telemetry.counter(sent(signal), sent_labels),
            send_failed: telemetry.counter(send_failed(signal), &[]),
            enqueue_failed: telemetry.counter(enqueue_failed(signal), &[]),
            rejected: telemetry.counter(REJECTED, data_type),
            in_flight: telemetry.up_down_counter(IN_FLIGHT, data_type),
            send_size: telemetry.histogram(SEND_SIZE, ITEM_BUCKETS, &[]),
            send_bytes: telemetry.histogram(SEND_BYTES, BYTE_BUCKETS, &[]),
            enqueue_size: telemetry.histogram(ENQUEUE_SIZE, ITEM_BUCKETS, &[]),
            enqueue_bytes: telemetry.histogram(ENQUEUE_BYTES, BYTE_BUCKETS, &[]),
        }
    }

    pub(crate) fn sent(&self, items: u64) {
        self.sent.add(items);
    }

    /// Items given up. At level detailed, the series says why instead.
    pub(crate) fn send_failed(&self, items: u64, error_type: &str, permanent: bool) {
        if self.telemetry.registry().level() < Level::Detailed {
            self.send_failed.add(items);
            return;
        }
        let permanent = if permanent { "true" } else { "false" };
        let labels = [("error_type", error_type), ("error_permanent", permanent)];
        self.telemetry.counter(send_failed(self.signal), &labels).add(items);
    }

    /// Items that an earlier process left on disk.
    pub(crate) fn recovered(&self) -> Counter {
        self.telemetry.counter(RECOVERED, &[("data_type", self.signal.as_str())])
    }

    pub(crate) fn rejected(&self, items: u64) {
        self.rejected.add(items);
    }

    pub(crate) fn enqueued(&self, items: u64, bytes: usize) {
        self.enqueue_size.record(items as f64);
        self.enqueue_bytes.record(bytes as f64);
    }

    pub(crate) fn enqueue_failed(&self, items: u64) {
        self.enqueue_failed.add(items);
    }

    /// A request is about to be sent; it is in flight until the guard is dropped.
    pub(crate) fn sending(&self, batch: &Batch) -> InFlight {
        self.send_size.record(batch.items() as f64);
        self.send_bytes.record(batch.encoded_len() as f64);
        self.in_flight.add(1);
        InFlight(self.in_flight.clone())
    }
}

/// Counts a request as being in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
