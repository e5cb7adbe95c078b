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

use component::{BuildError, Factory, RequestKept, Stability};
use net::tls::ServerTls;
use pdata::Signal;

pub use config::OtlpConfig;
pub use receiver::OtlpReceiver;

/// The factory of `otlp` receivers.
#[must_use]
pub fn factory() -> Factory {
    Factory::receiver::<OtlpConfig>("otlp", |settings, config, outputs| {
        check_certificates(&config)?;
        Ok(Arc::new(OtlpReceiver::new(settings, config, outputs)))
    })
    .with_signals(Stability::Stable, &Signal::ALL)
    .with_extension_refs(OtlpConfig::extension_refs)
    .with_request_kept(|config: &OtlpConfig| RequestKept {
        address: true,
        metadata: (!config.includes_metadata()).then(Vec::new),
        remedy: "set `include_metadata: true` for the protocols of",
    })
}

/// Reads the certificates of each protocol, so that `validate` and a reload find out about bad ones before anything is
/// bound. The servers read them again when they start.
fn check_certificates(config: &OtlpConfig) -> Result<(), BuildError> {
    let grpc = config.protocols.grpc.get().and_then(|grpc| grpc.tls.get());
    let http = config.protocols.http.get().and_then(|http| http.server.tls.get());
    for (protocol, tls) in [("grpc", grpc), ("http", http)] {
        if let Some(tls) = tls {
            ServerTls::new(tls, &[]).map_err(|error| {
                BuildError::at(format!("protocols::{protocol}::tls::{}", error.key), error.report())
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_cannot_be_read_are_found_before_anything_is_bound() {
        for (protocol, file) in [("grpc", "/nonexistent/a.pem"), ("http", "/nonexistent/a.pem"), ("grpc", "Cargo.toml")]
        {
            let yaml = format!("protocols: {{{protocol}: {{tls: {{cert_file: {file}, key_file: Cargo.toml}}}}}}");
            let config = ::config::decode_str::<OtlpConfig>(&yaml).unwrap().0;
            let error = check_certificates(&config).unwrap_err();
            assert_eq!(error.path, format!("protocols::{protocol}::tls::cert_file"));
            assert!(error.message.contains(file), "{error:?}");
        }
        let plain = ::config::decode_str::<OtlpConfig>("protocols: {grpc: , http: }").unwrap().0;
        check_certificates(&plain).unwrap();
    }
}
