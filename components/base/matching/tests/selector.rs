//! Which items `include` and `exclude` choose, for every signal, and which configurations are refused.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use config::{Decode, Errors};
use matching::{LogFilters, MatchConfig, MetricFilters, Problem, Selector};
use pdata::build::{LogFields, MetricFields, NumberFields, PayloadBuilder, SpanFields, Temporality};
use pdata::edit::{Editor, Level, Walk};
use pdata::view::Number;
use pdata::{Payload, Signal};

fn decode<T: Decode + Default>(yaml: &str) -> Result<T, Errors> {
    config::decode_str::<T>(yaml).map(|(config, _)| config)
}

/// The places of a walk that are chosen, by number.
fn chosen(selector: &Selector, payload: Payload, level: Level) -> Vec<usize> {
    let mut editor = Editor::new(payload).unwrap();
    let (mut cursor, mut walk) = (selector.cursor(), Walk::new(&editor, level));
    let (mut chosen, mut number) = (Vec::new(), 0);
    while let Some(place) = walk.next(&mut editor) {
        if cursor.selects(&mut editor, &place) {
            chosen.push(number);
        }
        number += 1;
    }
    assert!(!editor.is_changed());
    chosen
}

/// Six spans: 0 and 1 of the service `shop`, library `http` 1.0; 2 of `shop`, library `sql` without a version; 3 of a
/// resource without attributes; 4 and 5 of the service `cart`, with an integer as its zone.
fn spans() -> Payload {
    let mut builder = PayloadBuilder::traces();
    let span = |name: &'static str, kind| SpanFields { name, kind, ..SpanFields::default() };
    builder.resource(
        "",
        |to| _ = to.str("service.name", "shop").str("zone", "a"),
        |scopes| {
            scopes
                .scope(
                    "http",
                    "1.0",
                    |_| {},
                    |spans| {
                        spans.span(&span("GET /a", 2), |to| _ = to.attributes().str("user", "ann").i64("status", 200));
                        spans
                            .span(&span("GET /b", 3), |to| _ = to.attributes().str("user", "bob").f64("status", 200.0));
                    },
                )
                .scope("sql", "", |_| {}, |spans| _ = spans.span(&span("SELECT", 3), |_| {}));
        },
    );
    builder.bare(|spans| _ = spans.span(&span("GET /a", 0), |to| _ = to.attributes().bool("ok", true)));
    builder.resource(
        "",
        |to| _ = to.str("service.name", "cart").i64("zone", 7),
        |scopes| {
            scopes.scope(
                "http",
                "2.0",
                |_| {},
                |spans| {
                    spans.span(&span("GET /a", 5), |to| _ = to.attributes().str("user", "ann").str("user", "eve"));
                    spans.span(&span("POST /c", 1), |to| {
                        _ = to.attributes().value("list", |to| to.array(|to| _ = to.push(|to| to.i64(1))))
                    });
                },
            );
        },
    );
    builder.finish(None)
}

#[test]
fn spans_are_chosen_by_what_they_and_their_surroundings_are() {
    for (yaml, expected) in [
        ("{}", vec![0, 1, 2, 3, 4, 5]),
        ("include: {match_type: strict, services: [shop, none]}", vec![0, 1, 2]),
        ("exclude: {match_type: strict, services: [shop]}", vec![3, 4, 5]),
        ("include: {match_type: regexp, services: ['^s']}", vec![0, 1, 2]),
        // A resource without a service has a name that can be compared with.
        ("include: {match_type: regexp, services: ['nil']}", vec![3]),
        ("include: {match_type: strict, span_names: [GET /a]}", vec![0, 3, 4]),
        ("include: {match_type: regexp, span_names: [ET, OST]}", vec![0, 1, 3, 4, 5]),
        ("include: {match_type: strict, span_kinds: [SPAN_KIND_SERVER, SPAN_KIND_CONSUMER]}", vec![0, 4]),
        ("include: {match_type: regexp, span_kinds: [CLIENT]}", vec![1, 2]),
        // Unspecified kinds have an empty name.
        ("include: {match_type: regexp, span_kinds: [UNSPECIFIED]}", vec![3]),
        ("include: {match_type: strict, attributes: [{key: user}]}", vec![0, 1, 4]),
        // The first of two counts.
        ("include: {match_type: strict, attributes: [{key: user, value: ann}]}", vec![0, 4]),
        ("include: {match_type: strict, attributes: [{key: user, value: eve}]}", vec![]),
        ("include: {match_type: strict, attributes: [{key: status, value: 200}]}", vec![0]),
        ("include: {match_type: strict, attributes: [{key: status, value: 200.0}]}", vec![1]),
        ("include: {match_type: strict, attributes: [{key: status, value: '200'}]}", vec![]),
        ("include: {match_type: regexp, attributes: [{key: status, value: '^2.0$'}]}", vec![0, 1]),
        ("include: {match_type: regexp, attributes: [{key: ok, value: ru}]}", vec![3]),
        ("include: {match_type: strict, attributes: [{key: list, value: [1]}]}", vec![5]),
        ("include: {match_type: regexp, attributes: [{key: list, value: '1'}]}", vec![]),
        // All attributes, one of the others.
        ("include: {match_type: strict, attributes: [{key: user, value: ann}, {key: status}]}", vec![0]),
        ("include: {match_type: strict, resources: [{key: zone}]}", vec![0, 1, 2, 4, 5]),
        ("include: {match_type: strict, resources: [{key: zone, value: 7}]}", vec![4, 5]),
        ("include: {match_type: regexp, resources: [{key: zone, value: '[a-z]'}, {key: service.name}]}", vec![0, 1, 2]),
        ("include: {match_type: strict, libraries: [{name: http}]}", vec![0, 1, 4, 5]),
        (
            "include: {match_type: strict, libraries: [{name: http, version: '1.0'}, {name: sql, version: ''}]}",
            vec![0, 1, 2],
        ),
        ("include: {match_type: strict, libraries: [{name: http, version: ''}]}", vec![]),
        ("include: {match_type: regexp, libraries: [{name: '^(sql|)$'}]}", vec![2, 3]),
        // All kinds that are given; then what is excluded.
        ("include: {match_type: strict, services: [shop], span_kinds: [SPAN_KIND_CLIENT]}", vec![1, 2]),
        (
            "{include: {match_type: strict, services: [shop]}, exclude: {match_type: regexp, span_names: [GET]}}",
            vec![2],
        ),
        ("exclude: {match_type: strict, services: [shop], attributes: [{key: user}]}", vec![2, 3, 4, 5]),
        // Nothing is compared, so nobody asks how.
        ("include: {attributes: [{key: user}]}", vec![0, 1, 4]),
    ] {
        let selector = Selector::new(Signal::Traces, &decode::<MatchConfig>(yaml).unwrap()).unwrap();
        assert_eq!(selector.is_everything(), yaml == "{}");
        assert_eq!(chosen(&selector, spans(), Level::Items), expected, "{yaml}");
    }
}

/// Five log records; the last of a resource of its own.
fn logs() -> Payload {
    let mut builder = PayloadBuilder::logs();
    let record = |severity_number, severity_text| LogFields { severity_number, severity_text, ..LogFields::default() };
    builder.resource(
        "",
        |to| _ = to.str("zone", "a"),
        |scopes| {
            scopes.scope(
                "lib",
                "",
                |_| {},
                |records| {
                    records.record(&record(9, "INFO"), |to| _ = to.body(|to| to.str("it works")));
                    records.record(&record(13, "Warn"), |to| _ = to.body(|to| to.i64(42)));
                    records.record(&record(0, ""), |to| {
                        to.body(|to| to.kvlist(|to| _ = to.str("k", "v"))).attributes().str("user", "ann");
                    });
                    records.record(&record(21, "INFO"), |_| {});
                },
            );
        },
    );
    builder.resource(
        "",
        |to| _ = to.str("zone", "b"),
        |scopes| {
            scopes.scope("lib", "", |_| {}, |records| _ = records.record(&record(17, "ERROR"), |_| {}));
        },
    );
    builder.finish(None)
}

#[test]
fn log_records_are_chosen_by_body_and_severity() {
    for (yaml, expected) in [
        ("include: {match_type: strict, log_bodies: [it works]}", vec![0]),
        ("include: {match_type: regexp, log_bodies: [works, '^42$']}", vec![0, 1]),
        ("include: {match_type: strict, log_bodies: ['{\"k\":\"v\"}']}", vec![2]),
        ("include: {match_type: strict, log_bodies: ['']}", vec![3, 4]),
        ("include: {match_type: strict, log_severity_texts: [INFO]}", vec![0, 3]),
        ("include: {match_type: regexp, log_severity_texts: ['(?i)warn', ERR]}", vec![1, 4]),
        ("include: {log_severity_number: {min: 13}}", vec![1, 3, 4]),
        ("include: {log_severity_number: {min: 13, match_undefined: true}}", vec![1, 2, 3, 4]),
        ("exclude: {log_severity_number: {min: 1, match_undefined: false}}", vec![2]),
        ("include: {match_type: strict, resources: [{key: zone, value: b}]}", vec![4]),
        ("include: {match_type: strict, attributes: [{key: user, value: ann}]}", vec![2]),
        ("exclude: {match_type: strict, libraries: [{name: lib}]}", vec![]),
    ] {
        let selector = Selector::new(Signal::Logs, &decode::<MatchConfig>(yaml).unwrap()).unwrap();
        assert_eq!(chosen(&selector, logs(), Level::Items), expected, "{yaml}");
    }
}

#[test]
fn a_filters_older_keys_choose_log_records() {
    for (yaml, expected) in [
        ("{}", vec![0, 1, 2, 3, 4]),
        ("{include: {match_type: strict}, exclude: {}}", vec![0, 1, 2, 3, 4]),
        ("include: {match_type: regexp, bodies: [works]}", vec![0]),
        ("exclude: {match_type: strict, severity_texts: [INFO]}", vec![1, 2, 4]),
        ("include: {severity_number: {min: WARN}}", vec![1, 3, 4]),
        ("include: {severity_number: {min: error, match_undefined: true}}", vec![2, 3, 4]),
        ("include: {severity_number: {min: '21'}}", vec![3]),
        ("include: {severity_number: {match_undefined: true}}", vec![0, 1, 2, 3, 4]),
        ("include: {severity_number: {}}", vec![0, 1, 3, 4]),
        ("include: {match_type: strict, record_attributes: [{key: user, value: ann}]}", vec![2]),
        (
            "exclude: {match_type: strict, resource_attributes: [{key: zone, value: a}], severity_texts: [INFO]}",
            vec![1, 2, 4],
        ),
    ] {
        let selector = Selector::of_logs(&decode::<LogFilters>(yaml).unwrap()).unwrap();
        assert_eq!(chosen(&selector, logs(), Level::Items), expected, "{yaml}");
    }
}

/// Four metrics, the last of a resource of its own: 0 a sum of two points, 1 a gauge of one, 2 a gauge without points,
/// 3 a sum of one.
fn metrics() -> Payload {
    let mut builder = PayloadBuilder::metrics();
    let metric = |name| MetricFields { name, ..MetricFields::default() };
    let point = || NumberFields { value: Some(Number::Int(1)), ..NumberFields::default() };
    builder.resource(
        "",
        |to| _ = to.str("zone", "a"),
        |scopes| {
            scopes.bare(|metrics| {
                metrics.sum(&metric("http.requests"), Temporality::Delta, true, |points| {
                    points.point(&point(), |to| _ = to.attributes().str("code", "200"));
                    points.point(&point(), |to| _ = to.attributes().str("code", "500"));
                });
                metrics.gauge(&metric("memory"), |points| {
                    _ = points.point(&point(), |to| _ = to.attributes().i64("code", 500))
                });
                metrics.gauge(&metric("empty"), |_| {});
            });
        },
    );
    builder.resource(
        "",
        |to| _ = to.str("zone", "b"),
        |scopes| {
            scopes.bare(|metrics| {
                metrics
                    .sum(&metric("http.errors"), Temporality::Delta, true, |points| _ = points.point(&point(), |_| {}));
            });
        },
    );
    builder.finish(None)
}

#[test]
fn data_points_are_chosen_by_metric_and_resource() {
    for (yaml, points, metrics_chosen) in [
        ("include: {match_type: strict, metric_names: [http.requests, http.errors]}", vec![0, 1, 3], vec![0, 3]),
        ("exclude: {match_type: regexp, metric_names: ['^http\\.']}", vec![2], vec![1, 2]),
        ("include: {match_type: strict, resources: [{key: zone, value: b}]}", vec![3], vec![3]),
        (
            "include: {match_type: regexp, metric_names: [http], resources: [{key: zone, value: a}]}",
            vec![0, 1],
            vec![0],
        ),
    ] {
        let selector = Selector::new(Signal::Metrics, &decode::<MatchConfig>(yaml).unwrap()).unwrap();
        assert_eq!(chosen(&selector, metrics(), Level::Items), points, "{yaml}");
        assert_eq!(chosen(&selector, metrics(), Level::Metrics), metrics_chosen, "{yaml}");
    }
}

#[test]
fn a_filters_older_keys_choose_metrics() {
    for (yaml, expected) in [
        ("{}", vec![0, 1, 2, 3]),
        ("include: {match_type: strict}", vec![0, 1, 2, 3]),
        ("include: {match_type: strict, metric_names: [memory, empty]}", vec![1, 2]),
        ("exclude: {match_type: regexp, metric_names: [mem]}", vec![0, 2, 3]),
        ("include: {match_type: regexp, metric_names: [http], resource_attributes: [{key: zone, value: a}]}", vec![0]),
        // What either matches is excluded.
        (
            "exclude: {match_type: strict, metric_names: [memory], resource_attributes: [{key: zone, value: b}]}",
            vec![0, 2],
        ),
        ("include: {match_type: expr, expressions: ['MetricType == \"Sum\"']}", vec![0, 3]),
        (
            "include: {match_type: expr, expressions: ['Label(\"code\") == \"500\"', 'MetricName endsWith \"errors\"']}",
            vec![0, 3],
        ),
        // Without data points there is nothing to hold.
        ("include: {match_type: expr, expressions: ['true']}", vec![0, 1, 3]),
        (
            "exclude: {match_type: expr, expressions: ['HasLabel(\"code\")'], resource_attributes: [{key: none}]}",
            vec![2, 3],
        ),
        ("exclude: {match_type: expr}", vec![0, 1, 2, 3]),
    ] {
        let selector = Selector::of_metrics(&decode::<MetricFilters>(yaml).unwrap()).unwrap();
        assert_eq!(chosen(&selector, metrics(), Level::Metrics), expected, "{yaml}");
    }
}

#[test]
fn changes_made_before_are_seen() {
    // A processor in front has renamed the service, and a span.
    let mut editor = Editor::new(spans()).unwrap();
    let mut walk = Walk::items(&editor);
    while let Some(place) = walk.next(&mut editor) {
        let resource = editor.resource(place.group().unwrap()).unwrap();
        editor.attributes(resource).upsert("service.name", pdata::edit::Value::Str("new")).unwrap();
        let span = editor.open(place.at()).unwrap();
        if editor.text(span, 5) == "SELECT" {
            editor.set(span, 5, pdata::edit::Scalar::Str("QUERY")).unwrap();
        }
    }
    let config = decode::<MatchConfig>("include: {match_type: strict, services: [new], span_names: [QUERY]}").unwrap();
    let selector = Selector::new(Signal::Traces, &config).unwrap();
    let (mut cursor, mut walk) = (selector.cursor(), Walk::items(&editor));
    let mut chosen = Vec::new();
    while let Some(place) = walk.next(&mut editor) {
        chosen.push(cursor.selects(&mut editor, &place));
    }
    assert_eq!(chosen, [false, false, true, false, false, false]);
}

#[test]
fn properties_of_another_signal_are_refused() {
    let logs_need = "at least one of \"attributes\", \"libraries\", \"span_kinds\", \"resources\", \"log_bodies\", \
                     \"log_severity_texts\" or \"log_severity_number\" field must be specified";
    let spans_need = "at least one of \"attributes\", \"libraries\",  or \"resources\" field must be specified";
    let not_for_logs = "services, span_names, and span_kinds are not valid for log records";
    for (signal, yaml, path, message) in [
        (Signal::Traces, "include: {}", "include", spans_need),
        (Signal::Traces, "exclude: {match_type: strict, services: []}", "exclude", spans_need),
        (
            Signal::Traces,
            "include: {match_type: strict, log_bodies: [x]}",
            "include::log_bodies",
            "log_bodies should not be specified for trace spans",
        ),
        (
            Signal::Traces,
            "include: {match_type: strict, services: [x], log_severity_number: {}}",
            "include::log_severity_number",
            "log_severity_number should not be specified for trace spans",
        ),
        (
            Signal::Traces,
            "include: {match_type: strict, services: [x], metric_names: [y]}",
            "include::metric_names",
            "metric_names should not be specified for trace spans",
        ),
        (
            Signal::Traces,
            "include: {match_type: strict, span_kinds: [SERVER]}",
            "include::span_kinds",
            "span_kinds string must match one of the standard span kinds when match_type=strict: [SPAN_KIND_CLIENT \
             SPAN_KIND_CONSUMER SPAN_KIND_INTERNAL SPAN_KIND_PRODUCER SPAN_KIND_SERVER]",
        ),
        (Signal::Logs, "include: {match_type: strict}", "include", logs_need),
        (Signal::Logs, "exclude: {match_type: strict, span_names: [x]}", "exclude::span_names", not_for_logs),
        (
            Signal::Metrics,
            "include: {match_type: strict, attributes: [{key: x}]}",
            "include::attributes",
            "attributes should not be specified for metrics",
        ),
        (
            Signal::Metrics,
            "include: {match_type: strict}",
            "include",
            "at least one of \"metric_names\" or \"resources\" field must be specified",
        ),
    ] {
        let problem = Selector::new(signal, &decode::<MatchConfig>(yaml).unwrap()).unwrap_err();
        assert_eq!(problem, Problem::new(path, message), "{yaml}");
    }
}

#[test]
fn what_is_wrong_for_every_signal_is_found_when_the_configuration_is_read() {
    for (yaml, message) in [
        (
            "include: {services: [a]}",
            "include: error creating service name filters: unrecognized match_type: '', valid types are: [regexp strict]",
        ),
        (
            "include: {match_type: glob, attributes: [{key: a, value: b}]}",
            "include: error creating attribute filters: unrecognized match_type: 'glob', valid types are: [regexp strict]",
        ),
        (
            "exclude: {match_type: regexp, span_names: [a, '(']}",
            "exclude::span_names: error creating span name filters: error parsing regexp: unclosed group: `(`",
        ),
        (
            "include: {match_type: regexp, libraries: [{name: a, version: '*'}]}",
            "include::libraries::0: error creating library version filters: error parsing regexp: repetition operator \
             missing expression: `*`",
        ),
        (
            "include: {match_type: regexp, resources: [{key: a, value: 5}]}",
            "include::resources::0: error creating resource filters: match_type=regexp for \"a\" only supports Str, but \
             found Int",
        ),
        (
            "include: {match_type: strict, attributes: [{value: 5}]}",
            "include::attributes: error creating attribute filters: can't have empty key in the list of attributes",
        ),
    ] {
        let errors = decode::<MatchConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
    for (yaml, message) in [
        (
            "include: {match_type: regexp, metric_names: ['[']}",
            "include::metric_names: error parsing regexp: missing closing ]: `[`",
        ),
        (
            "include: {match_type: expr, expressions: ['len(MetricName) > 3']}",
            "include::expressions: expression `len(MetricName) > 3`, character 1: the function `len` is not supported",
        ),
        (
            "include: {match_type: expr, resource_attributes: [{key: a, value: b}]}",
            "include: unrecognized match_type: 'expr', valid types are: [regexp strict]",
        ),
        ("include: {match_type: expr, metric_names: [a]}", "\"metric_names\" are not compared with match_type=expr"),
        ("include: {match_type: strict, expressions: [a]}", "\"expressions\" need match_type=expr, but found 'strict'"),
    ] {
        let errors = decode::<MetricFilters>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
    let errors = decode::<LogFilters>("include: {severity_number: {min: LOUD}}").unwrap_err().to_string();
    assert!(errors.contains("include::severity_number: 'LOUD' is not a valid severity"), "{errors}");
}

#[test]
fn a_cache_of_results_has_no_effect() {
    let yaml = "include: {match_type: regexp, regexp: {cacheenabled: true, cachemaxnumentries: 5}, services: [a]}";
    let (_, warnings) = config::decode_str::<MatchConfig>(yaml).unwrap();
    let warnings: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["`include.regexp` has no effect: matching is fast without a cache"]);
}
