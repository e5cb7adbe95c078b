//! The `otlp_grpc` exporter: sends OTLP over gRPC, each request as the bytes it came in as.
//!
//! Takes batches of any signal through the onion of `delivery`. Configuration and sending are `otlp_client`'s, which the
//! `load_balancing` exporter uses too; the tests of both are here. It never looks inside a request.

use std::sync::Arc;

use component::{Factory, Stability};
use delivery::{Delivery, DeliverySettings};
use otlp_client::GrpcTransport;
pub use otlp_client::OtlpGrpcConfig;
use pdata::Signal;

/// The factory of `otlp_grpc` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<OtlpGrpcConfig>("otlp_grpc", |settings, config, signal| {
        let transport = GrpcTransport::new(&config, &settings, signal)?;
        let parts = DeliverySettings {
            timeout: config.timeout.clone(),
            config: config.delivery.clone(),
            sent_labels: transport.sent_labels(),
            place: String::new(),
        };
        Ok(Delivery::new(settings, signal, parts, Arc::new(transport)))
    })
    .with_aliases(&["otlp"])
    .with_signals(Stability::Stable, &Signal::ALL)
    .with_extension_refs(OtlpGrpcConfig::extension_refs)
    .with_request_reads(|config: &OtlpGrpcConfig, _signal| config.delivery.request_reads())
}

#[cfg(test)]
mod tests;
