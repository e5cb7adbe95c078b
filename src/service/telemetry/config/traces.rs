//! `service::telemetry::traces`.

use component::lifecycle::TraceHeaders;
use config::{Config, Node, Optional, Unsupported, Validator};

use super::metrics::ConsoleConfig;
use super::otlp::OtlpConfig;

/// Spans about batches on their way through.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = TracesConfig::check)]
pub struct TracesConfig {
    /// `none` for no spans.
    pub level: TracesLevel,
    /// Whose trace is continued: `tracecontext` takes that of a request's `traceparent`, `b3` that of its `b3` or `x-b3-…`
    /// headers; of both, the last one that is there. Exporters pass it on in the same headers (`b3` in its single form).
    /// Empty: nobody's, and nothing is passed on.
    pub propagators: Vec<String>,
    /// Where spans go; none, no spans.
    pub processors: Vec<SpanProcessorConfig>,
    /// Which traces are recorded.
    #[config(default = None)]
    pub sampler: Option<SamplerConfig>,
    /// Bounds of what a span may hold.
    #[config(no_effect = "spans of weir have a handful of attributes and neither events nor links")]
    pub limits: Node,
}

impl TracesConfig {
    /// Whether spans are recorded at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.level != TracesLevel::None && !self.processors.is_empty()
    }

    /// Whether traces of requests are continued.
    #[must_use]
    pub fn propagates(&self) -> bool {
        !self.propagators.is_empty()
    }

    /// Which headers carry them. Without processors for spans, traces are still passed through, as in the Collector.
    #[must_use]
    pub fn trace_headers(&self) -> TraceHeaders {
        let place = |name: &str| self.propagators.iter().rposition(|propagator| propagator == name);
        match (place("tracecontext"), place("b3")) {
            _ if self.level == TracesLevel::None => TraceHeaders::Off,
            (None, None) => TraceHeaders::Off,
            (Some(_), None) => TraceHeaders::W3c,
            (None, Some(_)) => TraceHeaders::B3,
            (Some(w3c), Some(b3)) if w3c < b3 => TraceHeaders::W3cThenB3,
            (Some(_), Some(_)) => TraceHeaders::B3ThenW3c,
        }
    }

    fn check(&self, v: &mut Validator<'_>) {
        for (index, name) in self.propagators.iter().enumerate() {
            if !matches!(name.as_str(), "tracecontext" | "b3") {
                let why = format!("unsupported trace propagator `{name}`; use `tracecontext` or `b3`");
                v.error(&format!("propagators::{index}"), why);
            }
        }
    }
}

/// How much is traced. The Collector knows only on and off, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
#[config(ignore_case)]
pub enum TracesLevel {
    /// Nothing.
    None,
    /// Batches.
    #[config(default, alias = "", alias = "normal", alias = "detailed")]
    Basic,
}

/// One processor: `batch` or `simple`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = SpanProcessorConfig::check)]
pub struct SpanProcessorConfig {
    /// Collects spans before they are sent.
    pub batch: Option<BatchConfig>,
    /// Sends each span when it ends.
    pub simple: Option<SimpleConfig>,
}

impl SpanProcessorConfig {
    fn check(&self, v: &mut Validator<'_>) {
        match (&self.batch, &self.simple) {
            (Some(_), Some(_)) => v.error("", "must not specify multiple span processor type"),
            (None, None) => v.error("", "no valid span processor: write `batch` or `simple`"),
            _ => {}
        }
    }
}

/// Collects spans before they are sent.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = BatchConfig::check)]
pub struct BatchConfig {
    /// Milliseconds between exports.
    #[config(default = 5000)]
    pub schedule_delay: u64,
    /// Milliseconds one export may take.
    #[config(default = 30_000)]
    pub export_timeout: u64,
    /// Spans that may wait; further ones are dropped and counted.
    #[config(default = 2048)]
    pub max_queue_size: usize,
    /// Spans in one export.
    #[config(default = 512)]
    pub max_export_batch_size: usize,
    /// Where to.
    pub exporter: SpanExporterConfig,
}

impl BatchConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let zero = [
            ("schedule_delay", self.schedule_delay == 0),
            ("export_timeout", self.export_timeout == 0),
            ("max_queue_size", self.max_queue_size == 0),
            ("max_export_batch_size", self.max_export_batch_size == 0),
        ];
        for (key, _) in zero.iter().filter(|(_, zero)| *zero) {
            v.error(key, format!("`{key}` must be greater than 0"));
        }
        if self.max_export_batch_size > self.max_queue_size {
            let message = format!(
                "`max_export_batch_size` ({}) must not be greater than `max_queue_size` ({})",
                self.max_export_batch_size, self.max_queue_size
            );
            v.error("max_export_batch_size", message);
        }
    }
}

/// Sends each span when it ends.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct SimpleConfig {
    /// Where to.
    pub exporter: SpanExporterConfig,
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = SpanExporterConfig::check)]
pub struct SpanExporterConfig {
    /// Over OTLP.
    pub otlp: Option<OtlpConfig>,
    /// To the standard output, as OTLP/JSON.
    #[config(default = Optional::default_off(ConsoleConfig::default()))]
    pub console: Optional<ConsoleConfig>,
    /// To Zipkin.
    #[config(unsupported = "send over `otlp`, which Zipkin's successors take")]
    pub zipkin: Unsupported,
}

impl SpanExporterConfig {
    fn check(&self, v: &mut Validator<'_>) {
        match (&self.otlp, self.console.is_on()) {
            (Some(_), true) => v.error("", "must not specify multiple exporters"),
            (None, false) => v.error("", "no valid span exporter: write `otlp` or `console`"),
            _ => {}
        }
    }
}

/// Which traces are recorded. Default: what the parent says, everything without a parent.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = SamplerConfig::check)]
pub struct SamplerConfig {
    /// All.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub always_on: Optional<EmptyConfig>,
    /// None.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub always_off: Optional<EmptyConfig>,
    /// By trace ID.
    pub trace_id_ratio_based: Option<RatioConfig>,
    /// What the parent says.
    pub parent_based: Option<Box<ParentConfig>>,
    /// Asks a server.
    #[config(unsupported = "use trace_id_ratio_based")]
    pub jaeger_remote: Unsupported,
}

impl SamplerConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let given = [
            self.always_on.is_on(),
            self.always_off.is_on(),
            self.trace_id_ratio_based.is_some(),
            self.parent_based.is_some(),
        ];
        match given.iter().filter(|given| **given).count() {
            0 => v.error(
                "",
                "no valid sampler: write `always_on`, `always_off`, `trace_id_ratio_based` or `parent_based`",
            ),
            1 => {}
            _ => v.error("", "must not specify multiple samplers"),
        }
    }
}

/// Nothing to set.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct EmptyConfig {}

/// A share of traces.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = RatioConfig::check)]
pub struct RatioConfig {
    /// From 0 to 1.
    #[config(default = 1.0)]
    pub ratio: f64,
}

impl RatioConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !(0.0..=1.0).contains(&self.ratio) {
            v.error("ratio", format!("`ratio` must be from 0 to 1, got {}", self.ratio));
        }
    }
}

/// What the parent says.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ParentConfig {
    /// For traces that begin here. Default: all.
    pub root: Option<SamplerConfig>,
    /// For traces whose sender records them. Default: all.
    pub remote_parent_sampled: Option<SamplerConfig>,
    /// For traces whose sender does not. Default: none.
    pub remote_parent_not_sampled: Option<SamplerConfig>,
    /// For children of recorded spans of this process.
    #[config(unsupported = "spans of one batch are recorded together")]
    pub local_parent_sampled: Unsupported,
    /// For children of spans of this process that are not recorded.
    #[config(unsupported = "spans of one batch are recorded together")]
    pub local_parent_not_sampled: Unsupported,
}

impl SamplerConfig {
    /// Whether a trace is recorded, given what the sender says if there is one.
    #[must_use]
    pub fn decide(&self, trace_id: [u8; 16], parent_sampled: Option<bool>) -> bool {
        if let Some(ratio) = &self.trace_id_ratio_based {
            return below(trace_id, ratio.ratio);
        }
        if let Some(parent) = &self.parent_based {
            let (sampler, otherwise) = match parent_sampled {
                None => (&parent.root, true),
                Some(true) => (&parent.remote_parent_sampled, true),
                Some(false) => (&parent.remote_parent_not_sampled, false),
            };
            return sampler.as_ref().map_or(otherwise, |sampler| sampler.decide(trace_id, parent_sampled));
        }
        self.always_on.is_on()
    }
}

/// Whether the trace ID lies in the sampled share: its last 7 bytes, which W3C asks to be random, as a fraction.
fn below(trace_id: [u8; 16], ratio: f64) -> bool {
    let random = trace_id.iter().skip(9).fold(0_u64, |random, byte| random << 8 | u64::from(*byte));
    // Compared as integers: 56 bits do not fit a float.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^56")]
    let bound = (ratio * (1_u64 << 56) as f64) as u64;
    random < bound
}
