//! Names of OTLP's services: gRPC methods and HTTP paths.

use pdata::Signal;

/// Path of the gRPC method that exports `signal`.
#[must_use]
pub const fn grpc_method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// The signal that the gRPC method at `path` exports.
#[must_use]
pub fn grpc_signal(path: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| grpc_method(*signal) == path)
}

/// Path to which `signal` is posted over HTTP unless configured otherwise; exporters append it to their endpoint.
#[must_use]
pub const fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_lead_back_to_their_signals() {
        for signal in Signal::ALL {
            assert_eq!(grpc_signal(grpc_method(signal)), Some(signal));
        }
        assert_eq!(grpc_signal("/opentelemetry.proto.collector.trace.v1.TraceService/Exports"), None);
    }
}
