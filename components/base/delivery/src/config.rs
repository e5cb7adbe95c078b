//! What users write about queueing, batching, retrying and timeouts.
//!
//! Keys, defaults and sentences are the Collector's. Numbers that have a message of their own when negative are signed.

use std::time::Duration;

use ::config::{ComponentId, Config, GoDuration, Optional, Validator};
use pdata::RequestPart;

const SECOND: i64 = 1_000_000_000;

/// The duration, or zero where validation has refused a negative one.
pub(crate) fn duration(value: GoDuration) -> Duration {
    value.as_std().unwrap_or_default()
}

/// Limit of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = TimeoutConfig::check)]
pub struct TimeoutConfig {
    /// Limit of one attempt to send, from connecting to the answer; 0 means none.
    #[config(default = GoDuration(5 * SECOND))]
    pub timeout: GoDuration,
}

impl TimeoutConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.timeout.is_negative() {
            v.error("timeout", "'timeout' must be non-negative");
        }
    }

    /// The limit, `None` for none.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        Some(duration(self.timeout)).filter(|timeout| !timeout.is_zero())
    }
}

/// The two blocks that every exporter with a network behind it has.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct DeliveryConfig {
    /// What happens after a failure that may pass.
    pub retry_on_failure: RetryConfig,
    /// The queue in front of the destination.
    #[config(default = Optional::some(QueueConfig::default()))]
    pub sending_queue: Optional<QueueConfig>,
}

impl DeliveryConfig {
    /// What it reads of requests.
    #[must_use]
    pub fn request_reads(&self) -> Vec<RequestPart> {
        self.sending_queue.get().into_iter().flat_map(QueueConfig::request_reads).collect()
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<component::ExtensionRef> {
        self.sending_queue.get().and_then(|queue| queue.storage_ref()).into_iter().collect()
    }
}

/// Repeating requests that failed for a reason that may pass: exponentially growing delays with jitter.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = RetryConfig::check)]
pub struct RetryConfig {
    /// Whether to retry at all; otherwise a failure is final after the first attempt.
    #[config(default = true)]
    pub enabled: bool,
    /// Delay after the first failure. Delays below 10ms are raised to that.
    #[config(default = GoDuration(5 * SECOND))]
    pub initial_interval: GoDuration,
    /// How far a delay is varied at random, as a share of it: from 0 to 1.
    #[config(default = 0.5)]
    pub randomization_factor: f64,
    /// By what the delay grows after every failure.
    #[config(default = 1.5)]
    pub multiplier: f64,
    /// Longest delay; a longer one that the destination asks for is kept.
    #[config(default = GoDuration(30 * SECOND))]
    pub max_interval: GoDuration,
    /// When to give up, counted from the first attempt; 0 means never.
    #[config(default = GoDuration(300 * SECOND))]
    pub max_elapsed_time: GoDuration,
}

impl RetryConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.enabled {
            return;
        }
        if self.initial_interval.is_negative() {
            v.error("initial_interval", "'initial_interval' must be non-negative");
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            v.error("randomization_factor", "'randomization_factor' must be within [0, 1]");
        }
        if self.multiplier.is_nan() || self.multiplier < 0.0 {
            v.error("multiplier", "'multiplier' must be non-negative");
        }
        if self.max_interval.is_negative() {
            v.error("max_interval", "'max_interval' must be non-negative");
        }
        if self.max_elapsed_time.is_negative() {
            v.error("max_elapsed_time", "'max_elapsed_time' must be non-negative");
        }
        if self.max_elapsed_time.0 > 0 {
            if self.max_elapsed_time < self.initial_interval {
                v.error("max_elapsed_time", "'max_elapsed_time' must not be less than 'initial_interval'");
            }
            if self.max_elapsed_time < self.max_interval {
                v.error("max_elapsed_time", "'max_elapsed_time' must not be less than 'max_interval'");
            }
        }
    }
}

/// In what a queue or batch is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Sizer {
    /// Requests as they came.
    #[config(default)]
    Requests,
    /// Spans, data points, log records.
    Items,
    /// Bytes of the serialized request, uncompressed.
    Bytes,
}

impl Sizer {
    /// As written.
    #[must_use]
    pub fn noun(self) -> &'static str {
        ::config::Choice::as_str(&self)
    }

    /// The size of `batch` in this unit.
    #[must_use]
    pub fn size(self, batch: &pdata::Batch) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Items => batch.items(),
            Self::Bytes => batch.encoded_len() as u64,
        }
    }
}

/// The queue in front of a destination. It counts what waits and what is being sent.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = QueueConfig::check)]
pub struct QueueConfig {
    /// Requests being sent at the same time; one that waits for its next attempt counts.
    #[config(default = 10)]
    pub num_consumers: i64,
    /// How much it holds, in units of `sizer`.
    #[config(default = 1000)]
    pub queue_size: i64,
    /// The unit of `queue_size`: `requests` (the default), `items` or `bytes`.
    pub sizer: Option<Sizer>,
    /// Whether senders wait for room while it is full, instead of being refused.
    pub block_on_overflow: bool,
    /// Whether senders wait until the destination has answered, and get that answer.
    pub wait_for_result: bool,
    /// Extension that keeps the queue on disk; without it, the queue is in memory.
    pub storage: Option<ComponentId>,
    /// Merging and splitting of what waits, before it is sent. Off unless written.
    #[config(default = Optional::default_off(BatchConfig::default()))]
    pub batch: Optional<BatchConfig>,
}

impl QueueConfig {
    /// What it reads of requests: metadata that batches are kept apart by.
    pub fn request_reads(&self) -> impl Iterator<Item = RequestPart> {
        let partitions = self.batch.get().into_iter().map(|batch| &batch.partition);
        partitions.flat_map(|partition| partition.metadata_keys.iter().cloned().map(RequestPart::Metadata))
    }

    fn check(&self, v: &mut Validator<'_>) {
        if self.num_consumers <= 0 {
            v.error("num_consumers", "`num_consumers` must be positive");
        }
        if self.queue_size <= 0 {
            v.error("queue_size", "`queue_size` must be positive");
        }
        if self.storage.is_some() && self.wait_for_result {
            v.error(
                "wait_for_result",
                "`wait_for_result` is not supported with a persistent queue configured with `storage`",
            );
        }
        let Some(batch) = self.batch.get() else { return };
        let sizer = self.batch_sizer(batch);
        if sizer == Sizer::Requests {
            let field = if batch.sizer.is_some() { "batch::sizer" } else { "sizer" };
            v.error(field, "`batch` supports only `items` or `bytes` sizer");
        }
        if sizer == self.queue_sizer() && batch.min_size > self.queue_size {
            v.error("batch::min_size", "`min_size` must be less than or equal to `queue_size`");
        }
    }

    /// The extension that keeps it on disk.
    #[must_use]
    pub fn storage_ref(&self) -> Option<component::ExtensionRef> {
        self.storage.clone().map(|id| component::ExtensionRef { id, role: component::Role::Storage })
    }

    /// The unit of the queue.
    #[must_use]
    pub fn queue_sizer(&self) -> Sizer {
        self.sizer.unwrap_or_default()
    }

    /// The unit of batches: their own, else the queue's where it was written, else items.
    #[must_use]
    pub fn batch_sizer(&self, batch: &BatchConfig) -> Sizer {
        batch.sizer.or(self.sizer).unwrap_or(Sizer::Items)
    }
}

/// Merging and splitting of what waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = BatchConfig::check)]
pub struct BatchConfig {
    /// How long the first items of a batch wait at most for others.
    #[config(default = GoDuration(SECOND / 5))]
    pub flush_timeout: GoDuration,
    /// A batch of at least this size is sent at once.
    #[config(default = 8192)]
    pub min_size: i64,
    /// A larger batch is split; 0 means never. In bytes, it also says what the destination takes.
    pub max_size: i64,
    /// The unit of both: `items` or `bytes`; by default the `sizer` of the queue if that is written, else `items`.
    pub sizer: Option<Sizer>,
    /// What is kept in separate batches.
    pub partition: PartitionConfig,
}

impl BatchConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.flush_timeout.0 <= 0 {
            v.error("flush_timeout", "`flush_timeout` must be positive");
        }
        if self.min_size < 0 {
            v.error("min_size", "`min_size` must be non-negative");
        }
        if self.max_size < 0 {
            v.error("max_size", "`max_size` must be non-negative");
        }
        if self.max_size > 0 && self.max_size < self.min_size {
            v.error("max_size", "`max_size` must be greater or equal to `min_size`");
        }
    }
}

/// What is kept in separate batches, besides tenants and authenticated senders.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = PartitionConfig::check)]
pub struct PartitionConfig {
    /// Keys of the request metadata (any case): one batch per distinct set of their values. Receivers keep metadata only
    /// with `include_metadata: true`.
    pub metadata_keys: Vec<String>,
}

impl PartitionConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (index, key) in self.metadata_keys.iter().enumerate() {
            if self.metadata_keys.iter().take(index).any(|earlier| earlier.eq_ignore_ascii_case(key)) {
                let message =
                    format!("duplicate entry in metadata_keys: \"{}\" (case-insensitive)", key.to_lowercase());
                v.error(&format!("metadata_keys::{index}"), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(yaml: &str) -> DeliveryConfig {
        match ::config::decode_str::<DeliveryConfig>(yaml) {
            Ok((config, _)) => config,
            Err(errors) => panic!("{yaml}: {errors}"),
        }
    }

    #[test]
    fn defaults_are_the_collectors() {
        let config = DeliveryConfig::default();
        let retry = &config.retry_on_failure;
        assert!(retry.enabled);
        let intervals = [retry.initial_interval, retry.max_interval, retry.max_elapsed_time];
        assert_eq!(intervals.map(|interval| interval.to_string()), ["5s", "30s", "5m"]);
        assert!((retry.randomization_factor - 0.5).abs() < 1e-9 && (retry.multiplier - 1.5).abs() < 1e-9);
        let queue = config.sending_queue.get().unwrap();
        assert_eq!((queue.num_consumers, queue.queue_size, queue.queue_sizer()), (10, 1000, Sizer::Requests));
        assert!(!queue.block_on_overflow && !queue.wait_for_result && !queue.batch.is_on());
        assert_eq!(TimeoutConfig::default().limit(), Some(Duration::from_secs(5)));
        let config = decode("sending_queue: {batch: }");
        let batch = config.sending_queue.get().unwrap().batch.get().unwrap();
        assert_eq!((batch.flush_timeout.to_string().as_str(), batch.min_size, batch.max_size), ("200ms", 8192, 0));
    }

    #[test]
    fn batches_inherit_a_sizer_only_if_it_was_written() {
        for (yaml, expected) in [
            ("sending_queue: {batch: {}}", Sizer::Items),
            ("sending_queue: {sizer: bytes, queue_size: 9000, batch: {}}", Sizer::Bytes),
            ("sending_queue: {sizer: bytes, batch: {sizer: items}}", Sizer::Items),
            ("sending_queue: {sizer: requests, batch: {sizer: bytes}}", Sizer::Bytes),
        ] {
            let config = decode(yaml);
            let queue = config.sending_queue.get().unwrap();
            assert_eq!(queue.batch_sizer(queue.batch.get().unwrap()), expected, "{yaml}");
        }
    }

    #[test]
    fn refuses_what_the_collector_refuses_in_its_words() {
        for (yaml, expected) in [
            ("sending_queue: {num_consumers: 0}", "sending_queue: `num_consumers` must be positive"),
            ("sending_queue: {queue_size: 0}", "sending_queue: `queue_size` must be positive"),
            (
                "sending_queue: {storage: file_storage, wait_for_result: true}",
                "`wait_for_result` is not supported with a persistent queue configured with `storage`",
            ),
            ("sending_queue: {sizer: requests, batch: {}}", "`batch` supports only `items` or `bytes` sizer"),
            ("sending_queue: {batch: {sizer: requests}}", "`batch` supports only `items` or `bytes` sizer"),
            ("sending_queue: {sizer: items, batch: {}}", "`min_size` must be less than or equal to `queue_size`"),
            ("sending_queue: {batch: {flush_timeout: 0}}", "sending_queue::batch: `flush_timeout` must be positive"),
            ("sending_queue: {batch: {min_size: -1}}", "`min_size` must be non-negative"),
            ("sending_queue: {batch: {max_size: -1}}", "`max_size` must be non-negative"),
            ("sending_queue: {batch: {max_size: 5}}", "`max_size` must be greater or equal to `min_size`"),
            (
                "sending_queue: {batch: {partition: {metadata_keys: [a, A]}}}",
                "duplicate entry in metadata_keys: \"a\" (case-insensitive)",
            ),
            ("retry_on_failure: {initial_interval: -1s}", "'initial_interval' must be non-negative"),
            ("retry_on_failure: {randomization_factor: 1.1}", "'randomization_factor' must be within [0, 1]"),
            ("retry_on_failure: {multiplier: -1}", "'multiplier' must be non-negative"),
            ("retry_on_failure: {max_interval: -1s}", "'max_interval' must be non-negative"),
            ("retry_on_failure: {max_elapsed_time: -1s}", "'max_elapsed_time' must be non-negative"),
            ("retry_on_failure: {max_elapsed_time: 4s}", "'max_elapsed_time' must not be less than 'initial_interval'"),
            ("retry_on_failure: {max_elapsed_time: 20s}", "'max_elapsed_time' must not be less than 'max_interval'"),
        ] {
            let errors = ::config::decode_str::<DeliveryConfig>(yaml).unwrap_err().to_string();
            assert!(errors.contains(expected), "{yaml}: {errors}");
        }
        let errors = ::config::decode_str::<TimeoutConfig>("timeout: -1s").unwrap_err().to_string();
        assert!(errors.contains("'timeout' must be non-negative"), "{errors}");
    }

    #[test]
    fn blocks_that_are_off_are_not_validated() {
        assert!(!decode("sending_queue: {enabled: false, queue_size: 0}").sending_queue.is_on());
        assert!(!decode("retry_on_failure: {enabled: false, multiplier: -1}").retry_on_failure.enabled);
    }

    #[test]
    fn zero_means_no_timeout() {
        let (config, _) = ::config::decode_str::<TimeoutConfig>("timeout: 0s").unwrap();
        assert_eq!(config.limit(), None);
    }
}
