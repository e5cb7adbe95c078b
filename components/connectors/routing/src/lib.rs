//! The `routing` connector: sends telemetry to pipelines by what it says or by the request it came with.
//!
//! Takes every signal and hands it, whole or in parts, to pipelines of the same signal. Called in line: it answers what
//! the pipelines answered, so acknowledgement, backpressure and errors pass through it. What no route takes and no default
//! pipeline gets leaves the books with the reason `no_route`.
//!
//! Reading order: [`config`], [`table`] (the routes, compiled), [`assign`] (which items go where), [`connector`].

pub mod assign;
pub mod config;
pub mod connector;
pub mod table;

use std::sync::Arc;

use component::{Factory, Stability};
use pdata::Signal;

use crate::config::RoutingConfig;
use crate::connector::Routing;

/// Every signal to itself.
const PAIRS: &[(Signal, Signal)] =
    &[(Signal::Traces, Signal::Traces), (Signal::Metrics, Signal::Metrics), (Signal::Logs, Signal::Logs)];

/// The factory of `routing` connectors.
#[must_use]
pub fn factory() -> Factory {
    Factory::connector::<RoutingConfig>("routing", PAIRS, |settings, config, signal, outputs| {
        Ok(Arc::new(Routing::new(&settings, &config, signal, &outputs)?))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
    .with_request_reads(|config: &RoutingConfig, _signal| table::request_reads(config))
}
