//! What users write, right and wrong.

use config::{Errors, decode_str};
use std::time::Duration;

use super::logs::LogLevel;
use super::metrics::MetricsLevel;
use super::traces::TracesLevel;
use super::*;

fn decoded(yaml: &str) -> (TelemetryConfig, Vec<String>) {
    let (config, warnings) = decode_str::<TelemetryConfig>(yaml).unwrap_or_else(|errors| panic!("{yaml}\n{errors}"));
    (config, warnings.into_iter().map(|warning| warning.message).collect())
}

fn errors(yaml: &str) -> Errors {
    decode_str::<TelemetryConfig>(yaml).map(drop).expect_err(yaml)
}

/// A list of readers with one periodic reader, whose exporter is `text`.
fn push(exporter: &str) -> String {
    format!("metrics: {{readers: [{{periodic: {{exporter: {exporter}}}}}]}}")
}

fn spans(processor: &str) -> String {
    format!("traces: {{processors: [{processor}]}}")
}

#[test]
fn the_default_is_a_page_on_8888_and_logs_on_stderr() {
    let (config, warnings) = decoded("");
    assert_eq!(warnings, [""; 0]);
    assert_eq!(config.logs.output_paths, ["stderr"]);
    assert_eq!((config.logs.level, config.logs.encoding), (LogLevel::Info, Encoding::Console));
    let sampling = SamplingConfig { enabled: true, initial: 10, thereafter: 100, tick: Duration::from_secs(10) };
    assert_eq!(config.logs.sampling, sampling);
    assert_eq!((config.metrics.level, config.metrics.readers.len()), (MetricsLevel::Normal, 1));
    let page = config.metrics.readers[0].prometheus().unwrap();
    assert_eq!((page.host.as_str(), page.port), ("localhost", 8888));
    assert!(page.without_scope_info && page.without_type_suffix && page.without_units);
    assert!(!config.traces.is_on());
}

#[test]
fn levels_are_read_in_any_case_and_by_the_names_of_zap() {
    for (text, level) in [
        ("debug", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("''", LogLevel::Info),
        ("Warn", LogLevel::Warn),
        ("WARNING", LogLevel::Warn),
        ("error", LogLevel::Error),
        ("dpanic", LogLevel::Off),
        ("PANIC", LogLevel::Off),
        ("fatal", LogLevel::Off),
    ] {
        assert_eq!(decoded(&format!("logs: {{level: {text}}}")).0.logs.level, level, "{text}");
    }
    assert_eq!(decoded("metrics: {level: Detailed}").0.metrics.level, MetricsLevel::Detailed);
    assert_eq!(decoded("metrics: {level: none, readers: []}").0.metrics.level, MetricsLevel::None);
    assert_eq!(decoded("traces: {level: NONE}").0.traces.level, TracesLevel::None);
}

#[test]
fn replaced_readers_keep_the_three_defaults() {
    let yaml =
        "metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9999, without_units: false}}}}]}";
    let (config, _) = decoded(yaml);
    let page = config.metrics.readers[0].prometheus().unwrap();
    assert!(page.without_scope_info && page.without_type_suffix && !page.without_units);
    assert_eq!((page.host.as_str(), page.port), ("0.0.0.0", 9999));
}

#[test]
fn periodic_readers_and_processors_take_everything_of_the_schema() {
    let (config, warnings) = decoded(
        "
logs: {level: WARN, encoding: json, output_paths: [stdout, /tmp/x.log], initial_fields: {a: 1}, disable_zap_resource: true}
metrics:
  level: detailed
  readers:
    - periodic:
        interval: 5000
        timeout: 1000
        exporter:
          otlp:
            protocol: grpc
            endpoint: https://collector:4317
            headers: [{name: api-key, value: s3cret}]
            headers_list: api-key=other,tenant=a
            certificate: /ca.pem
            client_certificate: /c.pem
            client_key: /k.pem
            compression: gzip
            timeout: 2000
            temporality_preference: delta
            default_histogram_aggregation: explicit_bucket_histogram
    - periodic: {exporter: {console: {}}}
    - periodic: {exporter: {console: }}
  views:
    - selector: {instrument_name: http.*, instrument_type: histogram, unit: s}
      stream: {description: d, attribute_keys: {included: [a], excluded: [b]}, aggregation: {drop: {}}}
traces:
  level: basic
  propagators: [tracecontext]
  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.1}}, remote_parent_sampled: {always_off: }}}
  processors:
    - batch: {schedule_delay: 100, export_timeout: 10, max_queue_size: 20, max_export_batch_size: 10, exporter: {otlp: {endpoint: 'http://localhost:4318'}}}
    - simple: {exporter: {console: {}}}
resource:
  service.name: gateway
  deployment.environment.name: prod
  service.instance.id:
",
    );
    assert_eq!(warnings, [""; 0]);
    let otlp = config.metrics.readers[0].periodic.as_ref().unwrap().exporter.otlp.as_ref().unwrap();
    assert_eq!(otlp.otlp.all_headers().collect::<Vec<_>>(), [("api-key", "s3cret"), ("tenant", "a")]);
    assert_eq!((otlp.otlp.protocol, otlp.temporality_preference), (Protocol::Grpc, Temporality::Delta));
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(config.traces.is_on() && config.traces.propagates());
    let attributes = config.resource.resolve(&[("service.name", "weir".into()), ("service.instance.id", "1".into())]);
    let text: Vec<String> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(text, ["deployment.environment.name=prod", "service.name=gateway"]);
}

#[test]
fn resources_may_be_declarative() {
    let yaml = "resource: {schema_url: 'https://x', attributes: [{name: service.name, value: a}, {name: n, value: 2}, {name: service.version, value: }]}";
    let (config, _) = decoded(yaml);
    assert_eq!(config.resource.schema_url, "https://x");
    let automatic = [("service.name", "weir".to_owned()), ("service.version", "1".to_owned())];
    let expected = [("n", AttributeValue::Int(2)), ("service.name", AttributeValue::Text("a".into()))];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(config.resource.resolve(&automatic), expected);
}

#[test]
fn older_forms_and_settings_without_effect_are_warned_about() {
    let (config, warnings) = decoded(&push("{otlp: {protocol: http/protobuf, headers: {api-key: k}}}"));
    let otlp = config.metrics.readers[0].periodic.as_ref().unwrap().exporter.otlp.as_ref().unwrap();
    assert_eq!(otlp.otlp.all_headers().collect::<Vec<_>>(), [("api-key", "k")]);
    let expected = "'metrics.readers[0].periodic.exporter.otlp.headers' is a map, which is the form of schema 0.2";
    assert_eq!(warnings, [expected]);
    let (_, warnings) = decoded("logs: {development: true, disable_caller: true, disable_stacktrace: true}");
    assert_eq!(warnings.len(), 3);
    assert!(warnings.iter().all(|warning| warning.contains("has no effect")), "{warnings:?}");
}

#[test]
fn wrong_configurations_are_refused_with_a_reason() {
    let view = |view: &str| format!("metrics: {{level: detailed, views: [{view}]}}");
    let table: Vec<(String, &str)> = vec![
        (
            "metrics: {readers: []}".into(),
            "collector telemetry metrics reader should exist when metric level is not none",
        ),
        ("metrics: {address: 'localhost:8888'}".into(), "'metrics' has invalid keys: address"),
        ("metrics: {levl: none}".into(), "'metrics' has invalid keys: levl"),
        ("metrics: {level: loud}".into(), "'metrics.level' does not know the text `loud`"),
        ("metrics: {readers: [{}]}".into(), "no valid metric reader"),
        ("metrics: {readers: [{pull: {exporter: {}}}]}".into(), "no valid metric exporter"),
        (
            "metrics: {readers: [{pull: {exporter: {prometheus: {}}}, periodic: {exporter: {console: {}}}}]}".into(),
            "must not specify multiple metric reader type",
        ),
        (
            "metrics: {readers: [{pull: {exporter: {prometheus: {}}}}, {pull: {exporter: {prometheus: {}}}}]}".into(),
            "two readers listen on `localhost:8888`",
        ),
        ("metrics: {readers: [{pull: {exporter: {prometheus: {host: ''}}}}]}".into(), "`host` must be set"),
        (push("{}"), "no valid metric exporter"),
        (push("{otlp: {}, console: {}}"), "must not specify multiple exporters"),
        (push("{otlp: {protocol: http/json}}"), "does not know the text `http/json`"),
        (push("{otlp: {endpoint: 'ftp://x'}}"), "unsupported scheme `ftp`"),
        (push("{otlp: {endpoint: 'http:///v1'}}"), "lacks a host"),
        (push("{otlp: {timeout: 0}}"), "`timeout` must be greater than 0"),
        (push("{otlp: {client_key: /k.pem}}"), "provide both `client_certificate` and `client_key`"),
        (push("{otlp: {headers_list: secret}}"), "a part of 6 characters lacks `=`"),
        (
            "metrics: {readers: [{periodic: {interval: 0, exporter: {console: {}}}}]}".into(),
            "`interval` must be greater",
        ),
        (
            "metrics: {views: [{selector: {unit: s}}]}".into(),
            "service::telemetry::metrics::views can only be set when service::telemetry::metrics::level is detailed",
        ),
        (view("{stream: {description: a}}"), "a view must select by"),
        (view("{selector: {instrument_name: 'a*'}, stream: {name: b}}"), "`name` needs a selector"),
        (
            view("{stream: {aggregation: {drop: , sum: }}, selector: {unit: s}}"),
            "must not specify multiple aggregations",
        ),
        (
            view("{selector: {unit: s}, stream: {aggregation: {last_value: , base2_exponential_bucket_histogram: }}}"),
            "must not specify multiple aggregations",
        ),
        (
            view("{selector: {unit: s}, stream: {aggregation: {base2_exponential_bucket_histogram: {max_scale: 21}}}}"),
            "`max_scale` must be from -10 to 20, got 21",
        ),
        (
            view("{selector: {unit: s}, stream: {aggregation: {base2_exponential_bucket_histogram: {max_size: 1}}}}"),
            "`max_size` must be from 2 to 10000, got 1",
        ),
        (
            view("{selector: {unit: s}, stream: {aggregation_cardinality_limit: 0}}"),
            "`aggregation_cardinality_limit` must be greater than 0",
        ),
        (
            view("{selector: {unit: s}, stream: {aggregation: {explicit_bucket_histogram: {boundaries: [2, 1]}}}}"),
            "`boundaries` must be finite and ascending",
        ),
        ("logs: {processors: [{batch: {}}]}".into(), "`logs.processors` is not supported"),
        ("logs: {level: loud}".into(), "'logs.level' does not know the text `loud`"),
        ("logs: {encoding: xml}".into(), "'logs.encoding' does not know the text `xml`"),
        ("traces: {propagators: [jaeger]}".into(), "unsupported trace propagator `jaeger`"),
        (spans("{}"), "no valid span processor"),
        (
            spans("{batch: {exporter: {console: {}}}, simple: {exporter: {console: {}}}}"),
            "multiple span processor type",
        ),
        (spans("{simple: {exporter: {}}}"), "no valid span exporter"),
        (spans("{simple: {exporter: {zipkin: {endpoint: x}}}}"), "zipkin` is not supported"),
        (
            spans("{batch: {max_queue_size: 5, exporter: {console: {}}}}"),
            "`max_export_batch_size` (512) must not be greater than `max_queue_size` (5)",
        ),
        ("traces: {sampler: {}}".into(), "no valid sampler"),
        ("traces: {sampler: {always_on: {}, always_off: {}}}".into(), "must not specify multiple samplers"),
        ("traces: {sampler: {trace_id_ratio_based: {ratio: 2}}}".into(), "`ratio` must be from 0 to 1, got 2"),
        ("resource: {attributes: [{value: a}]}".into(), "'resource.attributes[0]' lacks `name`"),
        ("resource: {attributes: [], host: a}".into(), "'resource' has invalid keys: host"),
        ("resource: {a: [1]}".into(), "'resource.a' expected text, a boolean, a number"),
        ("resource: {attributes_list: 'a=b'}".into(), "attributes_list` is not supported"),
        ("resource: {detection/development: {detectors: [{hots: }]}}".into(), "has invalid keys: hots"),
    ];
    for (yaml, message) in table {
        let errors = errors(&yaml);
        assert!(errors.iter().any(|error| error.message.contains(message)), "{yaml}\n{errors}");
        assert_eq!(errors.error_count(), 1, "{yaml}\n{errors}");
    }
    let removed = errors("metrics: {address: 'localhost:8888'}");
    assert!(removed.sorted()[0].fix.as_deref().unwrap().contains("port: 8888"));
}

#[test]
fn samplers_decide_as_the_specification_says() {
    let sampler = |yaml: &str| decode_str::<SamplerConfig>(yaml).unwrap().0;
    let (low, high) = ([0; 16], [0xff; 16]);
    let ratio = sampler("trace_id_ratio_based: {ratio: 0.5}");
    assert!(ratio.decide(low, Some(false)) && !ratio.decide(high, Some(true)));
    assert!(sampler("trace_id_ratio_based: {}").decide(high, None));
    assert!(!sampler("trace_id_ratio_based: {ratio: 0}").decide(low, None));
    let parent = sampler("parent_based: {root: {always_off: {}}}");
    assert_eq!([None, Some(true), Some(false)].map(|said| parent.decide(low, said)), [false, true, false]);
    let parent = sampler("parent_based: {remote_parent_not_sampled: {always_on: {}}}");
    assert_eq!([None, Some(true), Some(false)].map(|said| parent.decide(low, said)), [true, true, true]);
    assert!(!sampler("always_off: ").decide(low, Some(true)));
}

#[test]
fn wildcards_match_whole_names() {
    for (pattern, name, matches) in [
        ("a*c", "abc", true),
        ("a*c", "abcd", false),
        ("*", "", true),
        ("?", "", false),
        ("a?c*", "abcabc", true),
        ("*b*b*", "abab", true),
        ("*b*b*", "aba", false),
        ("http.*", "http.server", true),
        ("http.*", "http", false),
    ] {
        assert_eq!(wildcard(pattern, name), matches, "{pattern} {name}");
    }
}

#[test]
fn propagators_name_the_headers_that_carry_a_trace() {
    use component::lifecycle::TraceHeaders;
    for (propagators, expected) in [
        ("[]", TraceHeaders::Off),
        ("[tracecontext]", TraceHeaders::W3c),
        ("[b3]", TraceHeaders::B3),
        ("[tracecontext, b3]", TraceHeaders::W3cThenB3),
        ("'b3,tracecontext'", TraceHeaders::B3ThenW3c),
    ] {
        let config = decode_str::<TelemetryConfig>(&format!("traces: {{propagators: {propagators}}}")).unwrap().0;
        assert_eq!(config.traces.propagates(), expected != TraceHeaders::Off);
        assert_eq!(config.traces.trace_headers(), expected, "{propagators}");
        let off = format!("traces: {{level: none, propagators: {propagators}}}");
        let config = decode_str::<TelemetryConfig>(&off).unwrap().0;
        assert_eq!(config.traces.trace_headers(), TraceHeaders::Off, "{propagators}");
    }
    assert!(!TelemetryConfig::default().traces.propagates());
}
