//! The `otlp` receiver: takes OTLP/gRPC and OTLP/HTTP (protobuf and JSON), hands batches of wire bytes to its pipelines,
//! and answers with what they answered.
//!
//! Its servers are `net`'s; what bodies and answers look like is `otlp`'s; this crate routes, counts and hands over. It
//! holds nothing: a request is answered when the pipeline has answered, and what is refused is the sender's again.
//!
//! Reading order: [`config`], [`receiver`] (its life), `grpc` and `http` (one transport each), `intake` (from body to
//! answer, for both), [`metrics`].

pub mod config;
mod context;
mod grpc;
mod http;
mod intake;
pub mod metrics;
pub mod receiver;

use std::sync::Arc;

use component::{Factory, Stability};
use pdata::Signal;

pub use config::OtlpConfig;
pub use receiver::OtlpReceiver;

/// The factory of `otlp` receivers.
#[must_use]
pub fn factory() -> Factory {
    Factory::receiver::<OtlpConfig>("otlp", |settings, config, outputs| {
        Ok(Arc::new(OtlpReceiver::new(settings, config, outputs)))
    })
    .with_signals(Stability::Stable, &Signal::ALL)
    .with_references(OtlpConfig::extension_refs)
}
