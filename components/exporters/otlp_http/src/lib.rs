//! The `otlp_http` exporter: posts OTLP over HTTP, as protobuf or JSON.
//!
//! Takes batches of any signal through the onion of `delivery`, posts through `net`'s client. What a status means is
//! decided in `otlp`; this crate puts them together, knows where each signal goes, and how HTTP servers refuse for size.
//!
//! Reading order: [`config`], [`transport`].

pub mod config;
pub mod transport;

use std::sync::Arc;

use component::{Factory, Stability};
use delivery::{Delivery, DeliverySettings};
use pdata::Signal;

pub use crate::config::OtlpHttpConfig;
use crate::transport::HttpTransport;

/// The factory of `otlp_http` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<OtlpHttpConfig>("otlp_http", |settings, config, signal| {
        let transport = HttpTransport::new(&config, &settings, signal)?;
        let parts = DeliverySettings {
            timeout: config.attempt_timeout(),
            config: config.delivery.clone(),
            sent_labels: transport.sent_labels(),
            place: String::new(),
        };
        Ok(Delivery::new(settings, signal, parts, Arc::new(transport)))
    })
    .with_aliases(&["otlphttp"])
    .with_signals(Stability::Stable, &Signal::ALL)
    .with_extension_refs(OtlpHttpConfig::extension_refs)
    .with_request_reads(|config: &OtlpHttpConfig, _signal| config.delivery.request_reads())
}

#[cfg(test)]
mod tests;
