//! `service::telemetry::metrics`.

use component::Level;
use config::{Config, ConfigError, Decode, Decoder, Node, Optional, Schema, Unsupported, Validator, codes};

use super::otlp::OtlpMetricsConfig;
use super::views::ViewConfig;
use super::wildcard;

/// Own metrics and who reads them.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = MetricsConfig::check)]
pub struct MetricsConfig {
    /// How much is told; any case.
    pub level: MetricsLevel,
    /// Who reads: pages to be scraped, periodic exports.
    #[config(default = vec![ReaderConfig::page()])]
    pub readers: Vec<ReaderConfig>,
    /// Changes to metrics before they are read; only at level `detailed`.
    pub views: Vec<ViewConfig>,
    /// Gone from the Collector, too.
    address: Removed,
}

impl MetricsConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.level != MetricsLevel::None && self.readers.is_empty() {
            v.error("readers", "collector telemetry metrics reader should exist when metric level is not none");
        }
        if !self.views.is_empty() && self.level != MetricsLevel::Detailed {
            v.error(
                "views",
                "service::telemetry::metrics::views can only be set when service::telemetry::metrics::level is detailed",
            );
        }
        let pages: Vec<(usize, &PrometheusConfig)> =
            self.readers.iter().enumerate().filter_map(|(n, reader)| Some((n, reader.prometheus()?))).collect();
        for (n, (index, page)) in pages.iter().enumerate() {
            let same = |(_, other): &(usize, &PrometheusConfig)| other.host == page.host && other.port == page.port;
            if page.port != 0 && pages.iter().take(n).any(same) {
                let message = format!("two readers listen on `{}:{}`", page.host, page.port);
                v.error(&format!("readers::{index}::pull::exporter::prometheus::port"), message);
            }
        }
    }
}

/// How much the program tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
#[config(ignore_case)]
pub enum MetricsLevel {
    /// Nothing; nobody reads.
    None,
    /// The essential.
    Basic,
    /// The usual.
    #[config(default, alias = "")]
    Normal,
    /// Everything.
    Detailed,
}

impl MetricsConfig {
    /// Whether everything is counted.
    pub(crate) fn is_detailed(&self) -> bool {
        self.level == MetricsLevel::Detailed
    }
}

impl From<MetricsLevel> for Level {
    fn from(level: MetricsLevel) -> Self {
        match level {
            MetricsLevel::None => Self::None,
            MetricsLevel::Basic => Self::Basic,
            MetricsLevel::Normal => Self::Normal,
            MetricsLevel::Detailed => Self::Detailed,
        }
    }
}

/// A key that the Collector had until v0.123.
#[derive(Clone, Debug, Default, PartialEq)]
struct Removed;

impl Decode for Removed {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let quoted = cx.quoted_path();
        let (block, key) = quoted.rsplit_once('.').unwrap_or(("", &quoted));
        let error: ConfigError = cx.error(node, codes::UNKNOWN_KEY, format!("'{block}' has invalid keys: {key}"));
        cx.push(error.with_fix(
            "`address` was removed; write \
             `readers: [{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]`",
        ));
        base
    }

    fn schema() -> Schema {
        Schema::Any
    }
}

/// One reader: `pull` or `periodic`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = ReaderConfig::check)]
pub struct ReaderConfig {
    /// Waits to be read.
    pub pull: Option<PullConfig>,
    /// Sends by itself.
    pub periodic: Option<PeriodicConfig>,
}

impl ReaderConfig {
    /// The default: the page on `localhost:8888`.
    fn page() -> Self {
        let exporter = PullExporterConfig { prometheus: Optional::some(PrometheusConfig::default()) };
        Self { pull: Some(PullConfig { exporter, ..PullConfig::default() }), periodic: None }
    }

    /// Its page, if it is one.
    #[must_use]
    pub fn prometheus(&self) -> Option<&PrometheusConfig> {
        self.pull.as_ref()?.exporter.prometheus.get()
    }

    fn check(&self, v: &mut Validator<'_>) {
        match (&self.pull, &self.periodic) {
            (Some(_), Some(_)) => v.error("", "must not specify multiple metric reader type"),
            (None, None) => v.error("", "no valid metric reader: write `pull` or `periodic`"),
            _ => {}
        }
    }
}

/// A reader that waits to be read.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = PullConfig::check)]
pub struct PullConfig {
    /// In which form.
    pub exporter: PullExporterConfig,
    /// Bridges from other libraries.
    #[config(unsupported = "weir has no metrics of OpenCensus to add")]
    pub producers: Unsupported,
}

impl PullConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.exporter.prometheus.is_on() {
            v.error("exporter", "no valid metric exporter: write `prometheus`");
        }
    }
}

/// Forms in which metrics can be read.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct PullExporterConfig {
    /// A page in Prometheus' text format.
    #[config(default = Optional::default_off(PrometheusConfig::default()))]
    pub prometheus: Optional<PrometheusConfig>,
}

/// A page at `/metrics` in Prometheus' text format 0.0.4, with `/livez`, `/readyz` and `/health` beside it.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = PrometheusConfig::check)]
pub struct PrometheusConfig {
    /// Host name or address to listen on.
    #[config(default = "localhost")]
    pub host: String,
    /// TCP port to listen on; 0 lets the system choose.
    #[config(default = 8888)]
    pub port: u16,
    /// Leaves out `otel_scope_info` and the scope's labels.
    #[config(default = true)]
    pub without_scope_info: bool,
    /// Leaves out unit suffixes (`_seconds`, `_bytes`).
    #[config(default = true)]
    pub without_units: bool,
    /// Leaves out `_total` on counters.
    #[config(default = true)]
    pub without_type_suffix: bool,
    /// Attributes of the resource that become labels of every series.
    pub with_resource_constant_labels: Option<IncludeExclude>,
}

impl PrometheusConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.host.is_empty() {
            v.error_with("host", "`host` must be set", |error| error.with_fix("write `0.0.0.0` for every address"));
        }
    }
}

/// Names by wildcards (`*`, `?`): those that match `included` (all, when it is not given) and not `excluded`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct IncludeExclude {
    /// Names that count; all of them when empty.
    pub included: Vec<String>,
    /// Names that do not, even if included.
    pub excluded: Vec<String>,
}

impl IncludeExclude {
    /// Whether `name` counts.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| wildcard(pattern, name));
        (self.included.is_empty() || any(&self.included)) && !any(&self.excluded)
    }
}

/// A reader that sends by itself.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = PeriodicConfig::check)]
pub struct PeriodicConfig {
    /// Milliseconds between exports.
    #[config(default = 60_000)]
    pub interval: u64,
    /// Milliseconds one export may take.
    #[config(default = 30_000)]
    pub timeout: u64,
    /// Where to.
    pub exporter: PushExporterConfig,
    /// Bridges from other libraries.
    #[config(unsupported = "weir has no metrics of OpenCensus to add")]
    pub producers: Unsupported,
}

impl PeriodicConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (key, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if value == 0 {
                v.error(key, format!("`{key}` must be greater than 0 milliseconds"));
            }
        }
        match (&self.exporter.otlp, self.exporter.console.is_on()) {
            (Some(_), true) => v.error("exporter", "must not specify multiple exporters"),
            (None, false) => v.error("exporter", "no valid metric exporter: write `otlp` or `console`"),
            _ => {}
        }
    }
}

/// Where metrics are sent.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct PushExporterConfig {
    /// Over OTLP.
    pub otlp: Option<OtlpMetricsConfig>,
    /// To the standard output, one object of OTLP/JSON per export.
    #[config(default = Optional::default_off(ConsoleConfig::default()))]
    pub console: Optional<ConsoleConfig>,
}

/// The standard output.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ConsoleConfig {}
