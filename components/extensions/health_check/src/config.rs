//! What users write.

use std::time::Duration;

use config::{Config, Optional, Unsupported, Validator};
use net::server::HttpServerConfig;

/// Where it listens and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HealthCheckConfig::check)]
pub struct HealthCheckConfig {
    /// The HTTP server.
    #[config(flatten, default = HttpServerConfig { endpoint: "localhost:13133".to_owned(), ..HttpServerConfig::default() })]
    pub server: HttpServerConfig,
    /// Path that is answered; one that ends in a slash covers what is below it.
    #[config(default = "/")]
    pub path: String,
    /// Texts in place of the JSON answer.
    pub response_body: Optional<ResponseBodyConfig>,
    /// Accepted for compatibility.
    pub check_collector_pipeline: PipelineCheckConfig,
    /// The second version of the extension.
    pub use_v2: bool,
    /// HTTP server of the second version.
    #[config(
        unsupported = "only the first version of the health check is served; `/livez`, `/readyz` and `/health` say more"
    )]
    pub http: Unsupported,
    /// gRPC server of the second version.
    #[config(unsupported = "only the first version of the health check is served")]
    pub grpc: Unsupported,
    /// Component health of the second version.
    #[config(unsupported = "only the first version of the health check is served")]
    pub component_health: Unsupported,
}

/// Texts in place of the JSON answer.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ResponseBodyConfig {
    /// When ready.
    pub healthy: String,
    /// When not.
    pub unhealthy: String,
}

/// A check that the Collector documents as not working.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct PipelineCheckConfig {
    /// Whether exporters' failures count.
    #[config(no_effect = "the Collector does not honour it either")]
    pub enabled: bool,
    /// Over which time.
    #[config(default = Duration::from_secs(300), no_effect = "the Collector does not honour it either")]
    pub interval: Duration,
    /// How many.
    #[config(default = 5, no_effect = "the Collector does not honour it either")]
    pub exporter_failure_threshold: i64,
}

impl HealthCheckConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.use_v2 {
            v.error("use_v2", "`use_v2` is not supported: only the first version of the health check is served");
        }
        if !self.path.starts_with('/') {
            v.error("path", "path must start with /");
        }
    }
}
