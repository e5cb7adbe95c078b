//! What a statement runs on.

/// The kind of record that a statement is run on, once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// A resource, with the telemetry of it.
    Resource,
    /// An instrumentation scope within a resource.
    Scope,
    /// A span.
    Span,
    /// An event of a span.
    SpanEvent,
    /// A metric.
    Metric,
    /// A data point of a metric.
    DataPoint,
    /// An exemplar of a data point.
    Exemplar,
    /// A log record.
    Log,
}

impl Context {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// The name that paths and configurations use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Exemplar => "exemplar",
            Self::Log => "log",
        }
    }
}
