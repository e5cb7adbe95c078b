//! What the user writes.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Config, GoDuration, Validator};

/// Gathers items into larger batches.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = BatchConfig::check)]
pub struct BatchConfig {
    /// Time after which a batch is sent whatever its size; 0 sends at once.
    #[config(default = GoDuration::from(Duration::from_millis(200)))]
    pub timeout: GoDuration,
    /// Items (spans, data points, log records) that make a batch be sent. No cap; 0 sends at once.
    #[config(default = 8192)]
    pub send_batch_size: u32,
    /// Most items in a batch; larger ones are split. 0 means no cap, else at least `send_batch_size`.
    pub send_batch_max_size: u32,
    /// Request metadata (names in any case) by whose values items are gathered apart, and which stay with the batch.
    pub metadata_keys: Vec<String>,
    /// Most combinations of metadata values; 0 means no limit.
    #[config(default = 1000)]
    pub metadata_cardinality_limit: u32,
}

impl BatchConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            v.error("send_batch_max_size", "send_batch_max_size must be greater or equal to send_batch_size");
        }
        let mut seen = BTreeSet::new();
        for (index, key) in self.metadata_keys.iter().enumerate() {
            let key = key.to_lowercase();
            if seen.contains(&key) {
                let message = format!("duplicate entry in metadata_keys: \"{key}\" (case-insensitive)");
                v.error(&format!("metadata_keys::{index}"), message);
            }
            seen.insert(key);
        }
        if self.timeout.is_negative() {
            v.error("timeout", "timeout must be greater or equal to 0");
        }
    }
}
