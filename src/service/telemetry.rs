//! What the program tells about itself: `service::telemetry`.

mod config;
pub mod ledger;
mod logs;

pub use config::TelemetryConfig;

/// What the command line says about logs, over the configuration.
#[derive(Clone, Debug, Default)]
pub struct LogOverrides {
    /// Least severe level.
    pub level: Option<String>,
    /// Whether lines are JSON.
    pub json: Option<bool>,
}

/// Own telemetry while the service runs.
#[derive(Debug)]
pub struct OwnTelemetry {
    overrides: LogOverrides,
    _observers: Vec<component::telemetry::Observer>,
}

impl OwnTelemetry {
    /// Sets up logs, and shows metrics.
    pub fn start(config: &TelemetryConfig, overrides: LogOverrides, host: &component::Host) -> Self {
        logs::apply(config, &overrides);
        Self { overrides, _observers: ledger::observe(host.ledger(), host.registry()) }
    }

    /// Takes over a changed configuration.
    pub fn apply(&mut self, config: &TelemetryConfig) {
        logs::apply(config, &self.overrides);
    }
}
