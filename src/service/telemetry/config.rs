//! The keys of `service::telemetry`.

use config::Config;

/// Own logs, metrics and traces.
#[derive(Clone, Debug, Config)]
pub struct TelemetryConfig {}
