//! What users write about an OTLP destination over gRPC.

use ::config::Config;
use component::ExtensionRef;
use delivery::{DeliveryConfig, TimeoutConfig};
use net::client::GrpcClientConfig;
use net::client::config::Compression;

/// Sends OTLP over gRPC.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct OtlpGrpcConfig {
    /// The connection.
    #[config(flatten, default = client())]
    pub client: GrpcClientConfig,
    /// Limit of one attempt.
    #[config(flatten)]
    pub timeout: TimeoutConfig,
    /// Retrying and queueing.
    #[config(flatten)]
    pub delivery: DeliveryConfig,
}

/// The client's defaults in this exporter.
fn client() -> GrpcClientConfig {
    GrpcClientConfig { compression: Compression::Gzip, write_buffer_size: 512 << 10, ..GrpcClientConfig::default() }
}

impl OtlpGrpcConfig {
    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        [self.client.extension_refs(), self.delivery.extension_refs()].concat()
    }
}
