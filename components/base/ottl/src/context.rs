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

    /// All of them, those around others first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Resource,
        Self::Scope,
        Self::Span,
        Self::SpanEvent,
        Self::Metric,
        Self::DataPoint,
        Self::Exemplar,
        Self::Log,
    ];

    /// The context of that name, as paths and configurations write it; `None` for other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "instrumentation_scope" => Some(Self::Scope),
            _ => Self::ALL.into_iter().find(|context| context.as_str() == name),
        }
    }

    /// The context around it, whose paths its statements may use too.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Resource => None,
            Self::Scope => Some(Self::Resource),
            Self::Span | Self::Metric | Self::Log => Some(Self::Scope),
            Self::SpanEvent => Some(Self::Span),
            Self::DataPoint => Some(Self::Metric),
            Self::Exemplar => Some(Self::DataPoint),
        }
    }

    /// It and all around it, innermost first.
    pub fn chain(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |context| context.parent())
    }

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
