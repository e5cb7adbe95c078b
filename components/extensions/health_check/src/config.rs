//! What users write.

use std::time::Duration;

use component::ExtensionRef;
use config::{Config, Optional, Validator, codes};
use net::server::{GrpcServerConfig, HttpServerConfig};

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
    /// Serve what `http` and `grpc` say in place of the answer above.
    pub use_v2: bool,
    /// HTTP server of the second version.
    #[config(default = Optional::default_off(HttpHealthConfig::default()))]
    pub http: Optional<HttpHealthConfig>,
    /// gRPC server of the second version: `Check` and `Watch` of `grpc.health.v1.Health`.
    #[config(default = Optional::default_off(GrpcServerConfig { endpoint: "localhost:13132".to_owned(), ..GrpcServerConfig::default() }))]
    pub grpc: Optional<GrpcServerConfig>,
    /// Whether components in trouble make the second version's answers bad.
    pub component_health: ComponentHealthConfig,
}

/// HTTP server of the second version.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = HttpHealthConfig::check)]
pub struct HttpHealthConfig {
    /// The HTTP server.
    #[config(flatten, default = HttpServerConfig { endpoint: "localhost:13133".to_owned(), ..HttpServerConfig::default() })]
    pub server: HttpServerConfig,
    /// How the pipelines are doing.
    pub status: StatusConfig,
    /// The running configuration, as JSON and without its secrets.
    pub config: RunningConfigConfig,
}

/// Where status is told.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct StatusConfig {
    /// Whether it is.
    #[config(default = true)]
    pub enabled: bool,
    /// Path.
    #[config(default = "/status")]
    pub path: String,
    /// Add kind, ID and pipeline to each component, under `attributes`.
    pub include_attributes: bool,
}

/// Where the configuration is told.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct RunningConfigConfig {
    /// Whether it is.
    pub enabled: bool,
    /// Path.
    #[config(default = "/config")]
    pub path: String,
}

/// Which troubles of components count.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ComponentHealthConfig {
    /// Errors that will not go away by themselves.
    pub include_permanent_errors: bool,
    /// Errors that components expect to recover from, once they last longer than `recovery_duration`.
    pub include_recoverable_errors: bool,
    /// Time to recover in.
    #[config(default = Duration::from_secs(300))]
    pub recovery_duration: Duration,
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
        if !self.path.starts_with('/') {
            v.error("path", "path must start with /");
        }
        if self.use_v2 {
            if !self.http.is_on() && !self.grpc.is_on() {
                v.error("use_v2", "`use_v2` needs `http` or `grpc`");
            }
            return;
        }
        let given = [
            ("http", self.http.is_on()),
            ("grpc", self.grpc.is_on()),
            ("component_health", self.component_health != ComponentHealthConfig::default()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            v.warning(key, codes::NO_EFFECT, format!("`{key}` has no effect without `use_v2: true`"));
        }
    }

    /// The extensions it refers to.
    pub(crate) fn extension_refs(&self) -> Vec<ExtensionRef> {
        if !self.use_v2 {
            return self.server.extension_refs();
        }
        let http = self.http.get().map(|http| http.server.extension_refs());
        let grpc = self.grpc.get().map(GrpcServerConfig::extension_refs);
        http.into_iter().chain(grpc).flatten().collect()
    }
}

impl HttpHealthConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (key, path) in [("status::path", &self.status.path), ("config::path", &self.config.path)] {
            if !path.starts_with('/') {
                v.error(key, "path must start with /");
            }
        }
        if self.status.enabled && self.config.enabled && self.status.path == self.config.path {
            v.error("config::path", format!("`config` and `status` cannot both have the path `{}`", self.config.path));
        }
    }
}
