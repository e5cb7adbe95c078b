//! The `file` exporter: writes OTLP to files, as JSON lines or framed protobuf.
//!
//! All signals and pipelines of one component ID share one [`writer::Writer`] (or one set of them, with `group_by`). A
//! batch is delivered once it is in the writer's buffer; the buffer goes to the file when it is full, at every
//! `flush_interval`, and at shutdown. What a killed process had in its buffers is lost, and there is no fsync.
//!
//! Nothing is half taken: while the buffer cannot be written (a full disk), batches are refused with a retryable error, and
//! a message that was begun is completed first. Disk work runs on tokio's threads for blocking work.
//!
//! Reading order: [`config`], [`message`] (a batch as bytes), [`writer`] (one file, its buffer), [`rotation`], [`groups`]
//! (a file per value of an attribute), [`files`] (what instances share), [`exporter`].

pub mod config;
pub mod exporter;
pub mod files;
pub mod groups;
pub mod message;
pub mod rotation;
pub mod writer;

use std::convert::Infallible;
use std::sync::Arc;

use component::{BuildError, Factory, Stability};
use delivery::{Delivery, DeliveryConfig, DeliverySettings, RetryConfig, TimeoutConfig};
use pdata::Signal;

use crate::config::FileConfig;
use crate::exporter::FileTransport;
use crate::files::Files;

/// The factory of `file` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<FileConfig>("file", |settings, config, signal| {
        let files = settings
            .shared
            .get_or_create(&format!("exporter {}", settings.id), || Ok::<_, Infallible>(Files::new(&config)))
            .map_err(|never| BuildError::new(never.to_string()))?;
        let parts = DeliverySettings {
            timeout: TimeoutConfig { timeout: ::config::GoDuration(0) },
            config: DeliveryConfig {
                retry_on_failure: RetryConfig { enabled: false, ..RetryConfig::default() },
                sending_queue: ::config::Optional::none(),
            },
            sent_labels: Vec::new(),
            place: String::new(),
        };
        let transport = Arc::new(FileTransport::new(&settings, &config, files));
        Ok(Delivery::new(settings, signal, parts, transport))
    })
    .with_signals(Stability::Alpha, &Signal::ALL)
    .with_references::<FileConfig>(|config| config.encoding.clone().into_iter().collect())
}
