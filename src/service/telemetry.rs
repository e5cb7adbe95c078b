//! What the program tells about itself: `service::telemetry`.

mod config;
pub mod ledger;

pub use config::TelemetryConfig;
