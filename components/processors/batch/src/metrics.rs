//! Own metrics, under the Collector's names.

use component::telemetry::{BYTE_BUCKETS, ITEM_BUCKETS, Metric};
use component::{Counter, Gauge, Histogram, Level, Telemetry};

const SEND_SIZE: Metric = Metric {
    name: "otelcol_processor_batch_batch_send_size",
    help: "Number of units in the batch.",
    unit: "{units}",
    level: Level::Basic,
};
const SEND_SIZE_BYTES: Metric = Metric {
    name: "otelcol_processor_batch_batch_send_size_bytes",
    help: "Number of bytes in batch that was sent.",
    unit: "By",
    level: Level::Detailed,
};
const SIZE_TRIGGER: Metric = Metric {
    name: "otelcol_processor_batch_batch_size_trigger_send",
    help: "Number of times the batch was sent due to a size trigger.",
    unit: "{times}",
    level: Level::Basic,
};
const TIMEOUT_TRIGGER: Metric = Metric {
    name: "otelcol_processor_batch_timeout_trigger_send",
    help: "Number of times the batch was sent due to a timeout trigger.",
    unit: "{times}",
    level: Level::Basic,
};
const CARDINALITY: Metric = Metric {
    name: "otelcol_processor_batch_metadata_cardinality",
    help: "Number of distinct metadata value combinations being processed.",
    unit: "{combinations}",
    level: Level::Basic,
};

/// Why a batch was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Enough items, or enough bytes.
    Size,
    /// Enough time; also the flush at shutdown.
    Timeout,
}

/// The series of one instance.
#[derive(Debug)]
pub struct Metrics {
    send_items: Histogram,
    send_bytes: Histogram,
    size_triggers: Counter,
    timeout_triggers: Counter,
    /// Batchers that exist.
    pub cardinality: Gauge,
}

impl Metrics {
    /// Creates the series.
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> Self {
        Self {
            send_items: telemetry.histogram(SEND_SIZE, ITEM_BUCKETS, &[]),
            send_bytes: telemetry.histogram(SEND_SIZE_BYTES, BYTE_BUCKETS, &[]),
            size_triggers: telemetry.counter(SIZE_TRIGGER, &[]),
            timeout_triggers: telemetry.counter(TIMEOUT_TRIGGER, &[]),
            cardinality: telemetry.up_down_counter(CARDINALITY, &[]),
        }
    }

    /// Notes a batch that goes out.
    pub fn sent(&self, items: u64, bytes: usize, trigger: Trigger) {
        self.send_items.record(items as f64);
        self.send_bytes.record(bytes as f64);
        match trigger {
            Trigger::Size => self.size_triggers.add(1),
            Trigger::Timeout => self.timeout_triggers.add(1),
        }
    }
}
