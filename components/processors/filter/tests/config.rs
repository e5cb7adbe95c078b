//! The configuration as users write it.

use processor_filter::config::FilterConfig;

#[test]
fn what_cannot_be_is_refused() {
    for (yaml, message) in [
        ("{trace_conditions: ['name == \"x\"']}", "the context cannot be inferred"),
        ("{trace_conditions: ['log.body == 1']}", "`log` is no context of `trace_conditions`"),
        ("{trace_conditions: [{context: log, conditions: []}]}", "unknown context `log`"),
        ("{trace_conditions: [{context: spn, conditions: []}]}", "`spanevent`; did you mean `span`?"),
        ("{trace_conditions: ['span.name == \"x\"', {context: span, conditions: []}]}", "cannot be in one list"),
        (
            "{trace_conditions: ['span.name == \"x\"'], traces: {span: ['true']}}",
            "cannot use `trace_conditions` and the older",
        ),
        ("{trace_conditions: ['span.nam == \"x\"']}", "did you mean `name`"),
        ("{traces: {span: ['name ==']}}", "traces"),
        (
            "{traces: {span: ['true']}, spans: {include: {match_type: strict, services: [a]}}}",
            "cannot use ottl conditions and include/exclude for spans at the same time",
        ),
        (
            "{logs: {log_record: ['true'], include: {match_type: strict, bodies: [a]}}}",
            "cannot use ottl conditions and include/exclude for logs at the same time",
        ),
        ("{logs: {include: {match_type: strict, severity_number: {min: LOUD}}}}", "LOUD"),
        ("{profiles: {}}", "profiles are not supported"),
        ("{metrics: {metric: ['HasAttrKeyOnDatapint(\"a\")']}}", "did you mean `HasAttrKeyOnDatapoint`"),
    ] {
        let errors = config::decode_str::<FilterConfig>(yaml).unwrap_err();
        let fixes: String = errors.iter().filter_map(|error| error.fix.clone()).collect();
        let shown = format!("{errors}; {fixes}");
        assert!(shown.contains(message), "{yaml}: {shown}");
    }
}

#[test]
fn tuning_of_gos_caches_has_no_effect() {
    let yaml = "{metrics: {regexp: {cacheenabled: true}, include: {match_type: regexp, metric_names: [a]}}}";
    let (_, warnings) = config::decode_str::<FilterConfig>(yaml).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_filter::factory()).unwrap();
}
