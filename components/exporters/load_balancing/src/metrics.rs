//! The Collector's metrics of this exporter, and ours.

use component::Level;
use component::telemetry::Metric;

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Basic }
}

/// By `resolver` and `success`.
pub const RESOLUTIONS: Metric =
    metric("otelcol_loadbalancer_num_resolutions", "Times that endpoints were resolved", "{resolutions}");
/// By `resolver`.
pub const BACKENDS: Metric = metric("otelcol_loadbalancer_num_backends", "Endpoints there are", "{backends}");
/// By `resolver`.
pub const UPDATES: Metric =
    metric("otelcol_loadbalancer_num_backend_updates", "Times that the list of endpoints changed", "{updates}");
/// By `endpoint`, in milliseconds.
pub const LATENCY: Metric =
    metric("otelcol_loadbalancer_backend_latency", "Time until the endpoint or its queue had taken a batch", "ms");
/// By `endpoint` and `success`.
pub const OUTCOME: Metric = metric(
    "otelcol_loadbalancer_backend_outcome",
    "Batches that the endpoint or its queue took or refused",
    "{outcomes}",
);
/// By `endpoint`: 1, or 0 while nothing can be sent there.
pub const HEALTHY: Metric =
    metric("weir_loadbalancer_endpoint_healthy", "Whether the last attempt to send to the endpoint was answered", "1");
/// Items that waited for an endpoint and went to another one.
pub const REROUTED: Metric = metric(
    "weir_loadbalancer_rerouted_items",
    "Items that passed from one endpoint's queue to the owners of their keys",
    "{items}",
);
/// Traces that ran when the owner of their key changed.
pub const SPLIT: Metric = metric(
    "weir_loadbalancer_split_traces",
    "Traces whose key passed to another endpoint while they ran, so that their spans may be on two",
    "{traces}",
);

/// Bounds of [`LATENCY`].
pub const LATENCY_BUCKETS: &[f64] = &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
