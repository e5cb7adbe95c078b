//! Prometheus' text format 0.0.4.
//!
//! Names follow the OpenTelemetry exporter for Prometheus: dots become underscores, and the suffixes for units and counters
//! are added unless the configuration leaves them out, which is the Collector's default.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use component::telemetry::{Labels, MetricKind, Value};

use super::config::PrometheusConfig;
use super::resource::Resource;
use super::view::Shown;

/// The type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Coarsest scale of Prometheus' histograms; the exporter leaves out those that are coarser.
const NATIVE_SCALE_MIN: i32 = -4;

/// Renders `metrics`.
#[must_use]
pub(super) fn render(metrics: &[Shown], config: &PrometheusConfig, resource: &Resource) -> String {
    let mut out = String::with_capacity(16 << 10);
    let mut constant = match &config.with_resource_constant_labels {
        Some(names) => labels_of(resource, |name| names.contains(name)),
        None => Labels::new(),
    };
    if !config.without_scope_info {
        constant.push(("otel_scope_name".to_owned(), resource.scope_name().to_owned()));
        constant.push(("otel_scope_version".to_owned(), resource.scope_version().to_owned()));
    }
    for metric in metrics {
        let name = metric_name(metric, config);
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge | MetricKind::UpDownCounter => "gauge",
            MetricKind::Histogram => "histogram",
        };
        head(&mut out, &name, &metric.help, kind);
        for (labels, value) in &metric.series {
            let labels = joined(labels, &constant);
            match value {
                Value::Number(number) => line(&mut out, &name, "", &labels, None, &number_text(*number)),
                Value::Histogram { bounds, counts, sum } => histogram(&mut out, &name, &labels, bounds, counts, *sum),
            }
        }
        for (labels, value) in metric.exponentials.iter().filter(|(_, value)| value.scale >= NATIVE_SCALE_MIN) {
            // The text format has no exponential buckets, so what is left is the one that holds everything.
            histogram(&mut out, &name, &joined(labels, &constant), &[], &[value.count()], value.sum);
        }
    }
    if !config.without_scope_info {
        head(&mut out, "otel_scope_info", "Instrumentation Scope metadata", "gauge");
        line(&mut out, "otel_scope_info", "", &joined(&constant, &Labels::new()), None, "1");
    }
    head(&mut out, "target_info", "Target metadata", "gauge");
    line(&mut out, "target_info", "", &joined(&labels_of(resource, |_| true), &Labels::new()), None, "1");
    out
}

fn labels_of(resource: &Resource, keep: impl Fn(&str) -> bool) -> Labels {
    let kept = resource.attributes.iter().filter(|(name, _)| keep(name));
    kept.map(|(name, value)| (name.clone(), value.to_string())).collect()
}

fn metric_name(metric: &Shown, config: &PrometheusConfig) -> String {
    let mut name = valid_name(&metric.name);
    let mut suffix = |text: &str| {
        if !text.is_empty() && !name.ends_with(&format!("_{text}")) {
            name.push('_');
            name.push_str(text);
        }
    };
    if !config.without_units {
        suffix(unit_suffix(metric.unit, metric.kind));
    }
    if !config.without_type_suffix && metric.kind == MetricKind::Counter {
        suffix("total");
    }
    name
}

/// The suffix for a UCUM unit; annotations in braces have none.
fn unit_suffix(unit: &str, kind: MetricKind) -> &'static str {
    match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        "1" if kind == MetricKind::Gauge => "ratio",
        _ => "",
    }
}

/// A name in Prometheus' alphabet.
fn valid_name(name: &str) -> String {
    let valid = |(n, c): (usize, char)| match c {
        'a'..='z' | 'A'..='Z' | '_' => c,
        '0'..='9' if n > 0 => c,
        _ => '_',
    };
    name.chars().enumerate().map(valid).collect()
}

/// Labels by their valid names. Where two names become the same, their values are joined by `;`; constant labels give way.
fn joined(labels: &Labels, constant: &Labels) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in labels {
        all.entry(valid_name(name)).and_modify(|all| *all = format!("{all};{value}")).or_insert_with(|| value.clone());
    }
    for (name, value) in constant {
        all.entry(valid_name(name)).or_insert_with(|| value.clone());
    }
    all
}

fn histogram(
    out: &mut String,
    name: &str,
    labels: &BTreeMap<String, String>,
    bounds: &[f64],
    counts: &[u64],
    sum: f64,
) {
    let mut cumulative = 0;
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    for (bound, count) in bounds.zip(counts) {
        cumulative += count;
        line(out, name, "_bucket", labels, Some(&number_text(bound)), &cumulative.to_string());
    }
    line(out, name, "_sum", labels, None, &number_text(sum));
    line(out, name, "_count", labels, None, &cumulative.to_string());
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _infallible = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &BTreeMap<String, String>,
    bound: Option<&str>,
    value: &str,
) {
    out.push_str(name);
    out.push_str(suffix);
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(bound.map(|le| ("le", le)));
    let mut separator = '{';
    for (name, value) in pairs {
        out.push(separator);
        separator = ',';
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if separator == ',' {
        out.push('}');
    }
    let _infallible = writeln!(out, " {value}");
}

fn number_text(number: f64) -> String {
    if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        // Rust writes `NaN` as Prometheus does, and never an exponent.
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use component::telemetry::{Fine, Metric, Registry};
    use component::{Level, Telemetry};
    use config::decode_str;

    use super::*;
    use crate::service::telemetry::view::Views;

    const SENT: Metric = Metric {
        name: "otelcol_exporter_sent_spans",
        help: "Number of spans\nsent \\o/",
        unit: "{spans}",
        level: Level::Basic,
    };
    const UPTIME: Metric = Metric { name: "otelcol_process_uptime", help: "Uptime", unit: "s", level: Level::Basic };
    const SIZE: Metric = Metric { name: "batch.size", help: "Sizes", unit: "By", level: Level::Basic };

    fn page(yaml: &str) -> String {
        let registry = Registry::new(Level::Detailed);
        let telemetry = Telemetry::new(registry.clone(), vec![("exporter".to_owned(), "otlp/\"2\"\\".to_owned())]);
        telemetry.counter(SENT, &[]).add(1_200_000);
        let _uptime = registry.observe(UPTIME, MetricKind::Counter, || vec![(Labels::new(), 1.5)]);
        let sizes = telemetry.histogram(SIZE, &[10.0, 100_000.0], &[("otel.signal", "traces")]);
        for size in [1.0, 10.0, 11.0, 1e9] {
            sizes.record(size);
        }
        let config = decode_str::<PrometheusConfig>(yaml).unwrap().0;
        let resource = Resource::test(&[("service.name", "weir"), ("host.name", "a")]);
        render(&Views::default().apply(registry.read_fine()), &config, &resource)
    }

    #[test]
    fn exponential_histograms_are_count_and_sum() {
        let registry = Registry::new(Level::Detailed);
        let limits = |metric: &Metric| component::telemetry::ExponentialLimits {
            max_scale: if metric.name == "batch.size" { 20 } else { -5 },
            max_size: 160,
        };
        registry.set_fine_bounds(move |metric| Fine { bounds: Vec::new(), exponential: Some(limits(metric)) });
        for metric in [SIZE, UPTIME] {
            for value in [1.5, 100.0] {
                registry.histogram(metric, &[10.0], vec![("a".to_owned(), "b".to_owned())]).record(value);
            }
        }
        let (config, resource) = (PrometheusConfig::default(), Resource::test(&[]));
        let page = render(&Views::new(&[], true).apply(registry.read_fine()), &config, &resource);
        let expected = "# HELP batch_size Sizes\n# TYPE batch_size histogram\nbatch_size_bucket{a=\"b\",le=\"+Inf\"} 2\n\
                        batch_size_sum{a=\"b\"} 101.5\nbatch_size_count{a=\"b\"} 2\n# HELP otelcol_process_uptime Uptime\n\
                        # TYPE otelcol_process_uptime histogram\n# HELP target_info";
        assert!(page.starts_with(expected), "{page}");
    }

    #[test]
    fn default_names_are_those_of_the_collector() {
        assert_eq!(
            page(""),
            r#"# HELP batch_size Sizes
# TYPE batch_size histogram
batch_size_bucket{exporter="otlp/\"2\"\\",otel_signal="traces",le="10"} 2
batch_size_bucket{exporter="otlp/\"2\"\\",otel_signal="traces",le="100000"} 3
batch_size_bucket{exporter="otlp/\"2\"\\",otel_signal="traces",le="+Inf"} 4
batch_size_sum{exporter="otlp/\"2\"\\",otel_signal="traces"} 1000000022
batch_size_count{exporter="otlp/\"2\"\\",otel_signal="traces"} 4
# HELP otelcol_exporter_sent_spans Number of spans\nsent \\o/
# TYPE otelcol_exporter_sent_spans counter
otelcol_exporter_sent_spans{exporter="otlp/\"2\"\\"} 1200000
# HELP otelcol_process_uptime Uptime
# TYPE otelcol_process_uptime counter
otelcol_process_uptime 1.5
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{host_name="a",service_name="weir"} 1
"#
        );
    }

    #[test]
    fn suffixes_labels_and_scope_follow_the_configuration() {
        let page = page(
            "{without_units: false, without_type_suffix: false, without_scope_info: false, \
             with_resource_constant_labels: {included: ['service.*']}}",
        );
        for line in [
            "otelcol_process_uptime_seconds_total{otel_scope_name=\"weir\",otel_scope_version=\"1\",service_name=\"weir\"} 1.5",
            "# TYPE otelcol_exporter_sent_spans_total counter",
            "# TYPE batch_size_bytes histogram",
            "otel_scope_info{otel_scope_name=\"weir\",otel_scope_version=\"1\",service_name=\"weir\"} 1",
            "target_info{host_name=\"a\",service_name=\"weir\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
