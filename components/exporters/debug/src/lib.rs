//! The `debug` exporter: writes telemetry as text, for people who want to see what passes.
//!
//! One line per batch (`basic`), about one per item (`normal`), or everything (`detailed`), in the shape that the
//! Collector writes. Goes to the program's own log, or to files and standard streams of its own. Reads telemetry in
//! place; only the text is built.
//!
//! Reading order: [`config`], [`exporter`] (one batch), [`sampler`], [`output`], [`text`] (the three shapes).

pub mod config;
pub mod exporter;
pub mod output;
pub mod sampler;
pub mod text;

use std::sync::Arc;

use component::{Factory, Stability};
use delivery::{Delivery, DeliveryConfig, DeliverySettings, QueueConfig, RetryConfig, TimeoutConfig};
use pdata::Signal;

use crate::config::DebugConfig;
use crate::exporter::Debug;

/// The factory of `debug` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<DebugConfig>("debug", |settings, config, signal| {
        let parts = DeliverySettings {
            timeout: TimeoutConfig { timeout: ::config::GoDuration(0) },
            config: DeliveryConfig {
                retry_on_failure: RetryConfig { enabled: false, ..RetryConfig::default() },
                sending_queue: config.sending_queue.clone(),
            },
            sent_labels: Vec::new(),
            place: String::new(),
        };
        let transport = Arc::new(Debug::new(&settings, &config));
        Ok(Delivery::new(settings, signal, parts, transport))
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
    .with_extension_refs::<DebugConfig>(|config| {
        config.sending_queue.get().and_then(|queue| queue.storage_ref()).into_iter().collect()
    })
    .with_request_reads(|config: &DebugConfig, _signal| {
        config.sending_queue.get().into_iter().flat_map(QueueConfig::request_reads).collect()
    })
}
