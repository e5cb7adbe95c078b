//! The configuration as users write it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use processor_transform::config::TransformConfig;

fn errors(yaml: &str) -> String {
    let errors = config::decode_str::<TransformConfig>(yaml).unwrap_err();
    let fixes: String = errors.iter().filter_map(|error| error.fix.clone()).collect();
    format!("{errors}; {fixes}")
}

#[test]
fn every_form_of_a_list_is_taken() {
    for yaml in [
        "{}",
        "{error_mode: propagate, trace_statements: ['set(span.name, \"x\")', 'set(resource.attributes[\"a\"], 1)']}",
        "{metric_statements: [{context: datapoint, statements: ['set(attributes[\"a\"], 1)']}]}",
        "{log_statements: [{statements: ['set(log.body, 1)'], conditions: ['log.body != nil'], error_mode: silent}]}",
        "{log_statements: [{statements: ['set(log.body, 1)']}, 'set(log.body, 2)']}",
        "{flatten_data: true}",
        "{log_statements: [{context: log, statements: []}]}",
        "{metric_statements: ['convert_sum_to_gauge() where resource.attributes[\"a\"] == 1']}",
        "{trace_statements: [{conditions: ['IsRootSpan()'], statements: ['set(resource.attributes[\"a\"], 1)']}]}",
    ] {
        config::decode_str::<TransformConfig>(yaml).unwrap();
    }
}

#[test]
fn errors_point_into_the_statement() {
    let shown = errors("trace_statements:\n  - set(span.nme, \"x\")\n  - context: span\n");
    assert!(shown.contains("test.yaml:2:"), "{shown}");
    assert!(shown.contains("did you mean `name`"), "{shown}");
    assert!(shown.contains("a group cannot follow statements that stand alone"), "{shown}");
}

#[test]
fn what_cannot_be_is_refused() {
    for (yaml, message) in [
        ("{trace_statements: ['set(name, \"x\")']}", "the context cannot be inferred"),
        ("{trace_statements: ['set(log.body, 1)']}", "`log` is no context of `trace_statements`"),
        ("{trace_statements: [{context: datapoint, statements: []}]}", "unknown context `datapoint`"),
        ("{trace_statements: [{context: spn, statements: []}]}", "`spanevent`; did you mean `span`?"),
        ("{trace_statements: ['']}", ""),
        ("{trace_statements: [null]}", "an item of this list is empty"),
        ("{profile_statements: ['x']}", "profiles are not supported"),
        ("{trace_statements: ['frobnicate(span.name)']}", "unknown function `frobnicate`"),
    ] {
        let shown = errors(yaml);
        assert!(shown.contains(message), "{yaml}: {shown}");
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_transform::factory()).unwrap();
}
