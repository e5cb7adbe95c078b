//! The `load_balancing` exporter: telemetry of one trace, service, resource, metric or stream goes to one of several
//! endpoints, always the same one as long as the endpoints stay the same.
//!
//! Agents and Collectors (0.157) with the same endpoints agree: keys and ring are theirs, byte for byte. Every endpoint is an
//! OTLP exporter with its own queue, retries and health; when endpoints come or go, what waits for one that is gone goes to
//! the endpoints that own its keys now.
//!
//! Reading order: [`config`], [`ring`], [`key`] (with [`identity`] and [`text`]), [`endpoint`], [`router`] (dividing),
//! [`resolver`], [`members`] (who is in the ring), [`exporter`] (the component), [`metrics`].
//!
//! Deliberately absent: the onion around an endpoint (`delivery`), the protocol (`otlp_client`), resolvers that need a client of
//! Kubernetes or AWS.

pub mod config;
pub mod endpoint;
pub mod exporter;
pub mod identity;
pub mod key;
pub mod members;
pub mod metrics;
pub mod resolver;
pub mod ring;
pub mod router;
pub mod splits;

use std::sync::Arc;

use component::{Factory, Stability};
use pdata::Signal;

pub use crate::config::LoadBalancingConfig;
use crate::exporter::LoadBalancer;

/// The factory of `load_balancing` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<LoadBalancingConfig>("load_balancing", |settings, config, signal| {
        Ok(Arc::new(LoadBalancer::new(settings, (*config).clone(), signal)?))
    })
    .with_aliases(&["loadbalancing"])
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_extension_refs(LoadBalancingConfig::extension_refs)
    .with_request_reads(|config: &LoadBalancingConfig, _signal| config.protocol.otlp.delivery.request_reads())
}

#[cfg(test)]
mod tests;
