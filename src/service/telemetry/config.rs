//! The keys of `service::telemetry`.
//!
//! Readers, views, processors and the resource follow the SDK's declarative configuration (schema 0.3), whose older forms
//! are taken with a warning. What weir cannot honour is refused by name.

mod detection;
mod logs;
mod metrics;
mod otlp;
mod resource;
mod traces;
mod views;

use config::Config;

pub(super) use logs::{Encoding, LogsConfig, SamplingConfig};
pub(super) use metrics::{MetricsConfig, PeriodicConfig, PrometheusConfig, ReaderConfig};
pub(super) use otlp::{Compression, HistogramAggregation, OtlpConfig, Protocol, Temporality};
pub(super) use resource::{AttributeValue, ResourceConfig};
pub(super) use traces::{SamplerConfig, SpanProcessorConfig, TracesConfig};
pub(super) use views::{AggregationConfig, ExponentialConfig, InstrumentType, StreamConfig, ViewConfig};

/// Own logs, metrics and traces.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct TelemetryConfig {
    /// What is logged, how, and where to.
    pub logs: LogsConfig,
    /// Own metrics and who reads them.
    pub metrics: MetricsConfig,
    /// Spans about batches on their way through.
    pub traces: TracesConfig,
    /// Attributes of this process in everything it tells about itself. `service.name`, `service.version` and
    /// `service.instance.id` are set unless they are given; a null value removes one.
    pub resource: ResourceConfig,
}

/// Whether `name` matches `pattern`, in which `*` stands for any text and `?` for one character.
#[must_use]
pub(super) fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                // Let the last star take one character more.
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
