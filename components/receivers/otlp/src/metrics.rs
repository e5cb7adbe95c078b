//! The receiver's own metrics. Labels besides the receiver's ID: `transport`, and `outcome` or `reason`.

use component::telemetry::Metric;
use component::{Counter, Level, Telemetry};
use pdata::Signal;

macro_rules! per_signal {
    ($prefix:literal, $help:literal, $level:ident) => {
        [
            Metric { name: concat!($prefix, "spans"), help: $help, unit: "{spans}", level: Level::$level },
            Metric { name: concat!($prefix, "metric_points"), help: $help, unit: "{datapoints}", level: Level::$level },
            Metric { name: concat!($prefix, "log_records"), help: $help, unit: "{records}", level: Level::$level },
        ]
    };
}

/// Items the pipeline took responsibility for. In the order of [`Signal::ALL`], as the next two.
pub const ACCEPTED: [Metric; 3] = per_signal!("otelcol_receiver_accepted_", "Items that the pipeline took over", Basic);
/// Items the pipeline did not take, because it answered an error or rejected them for good.
pub const REFUSED: [Metric; 3] =
    per_signal!("otelcol_receiver_refused_", "Items that the pipeline did not take over", Basic);
/// Items lost to a fault of the receiver itself.
pub const FAILED: [Metric; 3] =
    per_signal!("otelcol_receiver_failed_", "Items that were not handed over because the receiver failed", Basic);
/// Requests by outcome: `success`, `refused` (by the pipeline or for want of memory), `failure` (invalid, or a fault).
pub const REQUESTS: Metric =
    Metric { name: "otelcol_receiver_requests", help: "Requests by outcome", unit: "{requests}", level: Level::Basic };
/// Requests that no retry would help: see [`Reason`].
pub const INVALID_REQUESTS: Metric = Metric {
    name: "weir_receiver_invalid_requests",
    help: "Requests that were refused because of what they are, by reason",
    unit: "{requests}",
    level: Level::Basic,
};
/// Requests for which there was no room: before their body was read, or while it was; `reason` is `memory`.
pub const REFUSED_REQUESTS: Metric = Metric {
    name: "weir_receiver_refused_requests",
    help: "Requests that were refused for want of room, by reason",
    unit: "{requests}",
    level: Level::Basic,
};
/// Strings in which bytes that were not UTF-8 became `?`.
pub const REPAIRED_STRINGS: Metric = Metric {
    name: "weir_receiver_repaired_strings",
    help: "Strings that were not UTF-8 and were repaired",
    unit: "{strings}",
    level: Level::Basic,
};

/// Why a request is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The body is not the signal's export request.
    Malformed,
    /// The content type is not one of OTLP's.
    ContentType,
    /// Not a POST.
    Method,
    /// Nothing is served at the path.
    Path,
    /// The body is compressed in a way that is not read.
    ContentEncoding,
    /// The body does not decompress, or broke off.
    Body,
    /// The body exceeds the limit.
    TooLarge,
    /// The authenticator did not let it in.
    Unauthenticated,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Malformed,
        Self::ContentType,
        Self::Method,
        Self::Path,
        Self::ContentEncoding,
        Self::Body,
        Self::TooLarge,
        Self::Unauthenticated,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ContentType => "content_type",
            Self::Method => "method",
            Self::Path => "path",
            Self::ContentEncoding => "content_encoding",
            Self::Body => "body",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// Items of one signal.
#[derive(Debug)]
pub(crate) struct ItemMetrics {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
}

impl ItemMetrics {
    pub(crate) fn new(telemetry: &Telemetry, transport: &'static str, signal: Signal) -> Self {
        let index = match signal {
            Signal::Traces => 0,
            Signal::Metrics => 1,
            Signal::Logs => 2,
        };
        let counter = |metrics: [Metric; 3]| telemetry.counter(metrics[index], &[("transport", transport)]);
        Self { accepted: counter(ACCEPTED), refused: counter(REFUSED), failed: counter(FAILED) }
    }
}

/// Requests of one transport.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    pub(crate) succeeded: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused_for_memory: Counter,
    pub(crate) repaired_strings: Counter,
    invalid: [Counter; Reason::ALL.len()],
}

impl RequestMetrics {
    pub(crate) fn new(telemetry: &Telemetry, transport: &'static str) -> Self {
        let outcome = |outcome| telemetry.counter(REQUESTS, &[("transport", transport), ("outcome", outcome)]);
        let labels = [("transport", transport), ("reason", "memory")];
        Self {
            succeeded: outcome("success"),
            refused: outcome("refused"),
            failed: outcome("failure"),
            refused_for_memory: telemetry.counter(REFUSED_REQUESTS, &labels),
            repaired_strings: telemetry.counter(REPAIRED_STRINGS, &[("transport", transport)]),
            invalid: Reason::ALL.map(|reason| {
                telemetry.counter(INVALID_REQUESTS, &[("transport", transport), ("reason", reason.as_str())])
            }),
        }
    }

    /// Counts a request that is invalid for `reason`.
    pub(crate) fn invalid(&self, reason: Reason) {
        self.failed.add(1);
        let index = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = index.and_then(|index| self.invalid.get(index)) {
            counter.add(1);
        }
    }

    /// Counts a request for which there is no memory.
    pub(crate) fn overloaded(&self) {
        self.refused.add(1);
        self.refused_for_memory.add(1);
    }
}
