//! What is accepted, what is refused, and with which words.

use processor_tail_sampling::config::TailSamplingConfig;
use processor_tail_sampling::factory;

fn errors(yaml: &str) -> String {
    config::decode_str::<TailSamplingConfig>(yaml).map_or_else(|errors| errors.to_string(), |_| String::new())
}

fn policy(policy: &str) -> String {
    errors(&format!("policies: [{{name: p, {policy}}}]"))
}

#[test]
fn the_readme_lists_the_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[test]
fn every_policy_type_is_accepted() {
    for accepted in [
        "type: always_sample",
        "type: latency, latency: {threshold_ms: 10, upper_threshold_ms: 20}",
        "type: numeric_attribute, numeric_attribute: {key: k, min_value: 1, max_value: 2, invert_match: true}",
        "type: probabilistic, probabilistic: {hash_salt: s, sampling_percentage: 10}",
        "type: status_code, status_code: {status_codes: [OK, ERROR, UNSET]}",
        "type: string_attribute, string_attribute: {key: k, values: ['a.*'], enabled_regex_matching: true}",
        "type: trace_state, trace_state: {key: k, values: [a]}",
        "type: trace_flags",
        "type: rate_limiting, rate_limiting: {spans_per_second: 5}",
        "type: bytes_limiting, bytes_limiting: {bytes_per_second: 5, burst_capacity: 7}",
        "type: span_count, span_count: {min_spans: 2, max_spans: 3}",
        "type: boolean_attribute, boolean_attribute: {key: k, value: true}",
        "type: ottl_condition, ottl_condition: {span: ['attributes[\"a\"] == \"b\"'], spanevent: ['name == \"x\"']}",
        "type: ottl_condition, ottl_condition: {span: ['span.attributes[\"a\"] == resource.attributes[\"b\"]']}",
        "type: and, and: {and_sub_policy: [{name: a, type: always_sample}, {name: b, type: not, not: {not_sub_policy: {type: trace_flags}}}]}",
        "type: not, not: {not_sub_policy: {name: a, type: status_code, status_code: {status_codes: [OK]}}}",
        "type: drop, drop: {drop_sub_policy: [{name: a, type: always_sample}]}",
        "type: composite, composite: {max_total_spans_per_second: 10, composite_sub_policy: [{name: a, type: and, and: {and_sub_policy: [{type: always_sample}]}}], rate_allocation: [{policy: a, percent: 50}]}",
        "type: throughput, throughput: {spans_per_second: 10, key: [service.name]}",
    ] {
        assert_eq!(policy(accepted), "", "{accepted}");
        assert_eq!(idle(&format!("policies: [{{name: p, {accepted}}}]")), [], "{accepted}");
    }
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    for (refused, words) in [
        (
            "type: nonsense",
            "unknown sampling policy type nonsense: policies that extensions implement are not supported",
        ),
        ("type: my_policy, my_policy: {limit: 5}", "'policies[0]' has invalid keys: my_policy"),
        ("type: ''", "unknown sampling policy type"),
        ("type: numeric_attribute, numeric_attribute: {key: k}", "0 counts as not set"),
        ("type: status_code", "expected at least one status code to filter on"),
        (
            "type: status_code, status_code: {status_codes: [error]}",
            "supported: OK, ERROR, UNSET; did you mean `ERROR`?",
        ),
        (
            "type: latncy",
            "unknown sampling policy type latncy: policies that extensions implement are not supported; did you mean `latency`?",
        ),
        (
            "type: string_attribute, string_attribute: {values: ['('], enabled_regex_matching: true}",
            "error parsing regexp",
        ),
        ("type: ottl_condition", "expected at least one OTTL condition"),
        ("type: ottl_condition, ottl_condition: {span: ['nonsense(']}", "policies::0::ottl_condition::span"),
        ("type: and", "`and_sub_policy` must have at least one policy"),
        ("type: drop", "`drop_sub_policy` must have at least one policy"),
        ("type: not", "`not_sub_policy` must be set"),
        ("type: and, and: {and_sub_policy: [{type: and}]}", "unknown sampling policy type and: it cannot stand"),
        ("type: drop, drop: {drop_sub_policy: [{type: composite}]}", "unknown sampling policy type composite"),
        ("type: rate_limiting, rate_limiting: {spans_per_second: -1}", "must not be negative"),
        ("type: throughput", "`spans_per_second` must be positive"),
        (
            "type: throughput, throughput: {spans_per_second: 1, max_keys: 1000001}",
            "`max_keys` must be at most 1000000",
        ),
        ("type: always_sample, colour: red", "invalid keys: colour"),
    ] {
        let told = policy(refused);
        assert!(told.contains(words), "{refused}: {told}");
    }
    let always = "policies: [{name: a, type: always_sample}]";
    for (refused, words) in [
        ("policies: []".to_owned(), "at least one policy"),
        ("decision_wait: 5s".to_owned(), "policies"),
        ("policies: [{type: always_sample}]".to_owned(), "policy name cannot be empty"),
        (
            "policies: [{name: a, type: always_sample}, {name: a, type: trace_flags}]".to_owned(),
            "duplicate policy name \"a\"",
        ),
        (format!("{always}\nnum_traces: 0"), "`num_traces` must be positive"),
        (format!("{always}\ndecision_wait: -1s"), "`decision_wait` must be between"),
        (format!("{always}\ntail_storage: file_storage"), "`tail_storage` is not supported"),
        (format!("{always}\nsampling_strategy: at-random"), "sampling_strategy"),
        (format!("{always}\nmemory_budget: lots"), "not a size in bytes"),
        (format!("{always}\nmemory_budget: 1KiB"), "`memory_budget` must be at least 64KiB, or 0, got 1024 bytes"),
        (format!("{always}\nadjusted_counts: true\nsample_on_first_match: true"), "cannot be used with"),
        (
            "adjusted_counts: true\npolicies: [{name: a, type: probabilistic, probabilistic: {hash_salt: x}}]"
                .to_owned(),
            "`hash_salt` has no meaning",
        ),
    ] {
        let told = errors(&refused);
        assert!(told.contains(words), "{refused}: {told}");
    }
}

#[test]
fn policies_that_need_whole_traces_are_refused_at_ingest() {
    let at_ingest = |policy: &str, more: &str| {
        let stateless = "{name: first, type: always_sample}";
        errors(&format!(
            "{more}\nsampling_strategy: span-ingest\npolicies: [{stateless}, {{name: \"my policy\", {policy}}}]"
        ))
    };
    let spans = "type: rate_limiting, rate_limiting: {spans_per_second: 5}";
    let within = |field: &str, inner: &str| match field {
        "not" => format!("type: not, not: {{not_sub_policy: {{name: sub, {inner}}}}}"),
        "composite" => format!("type: composite, composite: {{composite_sub_policy: [{{name: sub, {inner}}}]}}"),
        kind => format!("type: {kind}, {kind}: {{{kind}_sub_policy: [{{name: sub, {inner}}}]}}"),
    };
    let upper = "type: latency, latency: {threshold_ms: 1, upper_threshold_ms: 5}";
    for (refused, field) in [
        (spans.to_owned(), "policies::1: "),
        ("type: bytes_limiting, bytes_limiting: {bytes_per_second: 5}".to_owned(), "policies::1: "),
        ("type: throughput, throughput: {spans_per_second: 5}".to_owned(), "policies::1: "),
        (upper.to_owned(), "policies::1::latency: "),
        ("type: span_count, span_count: {max_spans: 5}".to_owned(), "policies::1::span_count: "),
        (within("and", spans), "policies::1::and::and_sub_policy::0: "),
        (within("not", upper), "policies::1::not::not_sub_policy::latency: "),
        (within("drop", spans), "policies::1::drop::drop_sub_policy::0: "),
        (within("composite", upper), "policies::1::composite::composite_sub_policy::0::latency: "),
        (
            within("composite", &within("and", spans)),
            "policies::1::composite::composite_sub_policy::0::and::and_sub_policy::0: ",
        ),
    ] {
        let told = at_ingest(&refused, "");
        let sentence = "sampling_strategy \"span-ingest\" requires all policies to be stateless, but policy \"my policy\" is stateful: ";
        assert!(told.contains(sentence) && told.contains(field), "{refused}: {told}");
        assert_eq!(policy(&refused), "", "{refused}: as ever with whole traces");
    }
    let all = "type: always_sample";
    for accepted in ["type: latency, latency: {threshold_ms: 1}", "type: span_count, span_count: {min_spans: 5}"] {
        for policy in [accepted.to_owned(), within("and", accepted), within("drop", accepted), within("not", accepted)]
        {
            assert_eq!(at_ingest(&policy, ""), "", "{policy}");
        }
    }
    assert_eq!(at_ingest(&within("composite", all), ""), "");
    assert!(at_ingest(&within("composite", all), "adjusted_counts: true").contains("\"my policy\" is stateful"));
}

/// The settings that are warned about, with the reasons.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn idle(yaml: &str) -> Vec<(String, String)> {
    let (_, warnings) = config::decode_str::<TailSamplingConfig>(yaml).unwrap();
    let idle = warnings.iter().filter(|warning| warning.code == config::codes::IDLE_SETTING);
    idle.map(|warning| (warning.setting.clone(), warning.message.clone())).collect()
}

#[test]
fn what_can_never_do_anything_is_told_where_it_stands() {
    for (policy, field, words) in [
        (
            "type: latency, latency: {threshold_ms: 1}, status_code: {status_codes: [ERROR]}",
            "status_code",
            "does nothing in a policy of type `latency`",
        ),
        ("type: latency", "type", "lacks its block `latency`: it keeps every trace"),
        ("type: string_attribute", "type", "lacks its block"),
        ("type: probabilistic", "type", "keeps nothing at 0 percent"),
        (
            "type: latency, latency: {threshold_ms: 20, upper_threshold_ms: 10}",
            "latency::upper_threshold_ms",
            "longer than 20 ms and at most 10 ms",
        ),
        (
            "type: numeric_attribute, numeric_attribute: {key: k, min_value: 2, max_value: 1}",
            "numeric_attribute::max_value",
            "no value is at least 2 and at most 1",
        ),
        ("type: span_count, span_count: {min_spans: 3, max_spans: 2}", "span_count::max_spans", "at least 3 and at most 2"),
        (
            "type: probabilistic, probabilistic: {sampling_percentage: 101}",
            "probabilistic::sampling_percentage",
            "0 to 100 percent, 101",
        ),
        (
            "type: probabilistic, probabilistic: {sampling_percentage: -1}",
            "probabilistic::sampling_percentage",
            "0 to 100 percent, -1",
        ),
        ("type: string_attribute, string_attribute: {values: [a]}", "string_attribute::key", "empty key"),
        ("type: string_attribute, string_attribute: {key: k, values: ['']}", "string_attribute::values", "no value is listed"),
        ("type: boolean_attribute, boolean_attribute: {value: true}", "boolean_attribute::key", "empty key"),
        ("type: trace_state, trace_state: {key: k}", "trace_state::values", "no value is listed"),
        (
            "type: not, not: {not_sub_policy: {type: latency, latency: {threshold_ms: 2, upper_threshold_ms: 1}}}",
            "not::not_sub_policy::latency::upper_threshold_ms",
            "at most 1 ms",
        ),
        (
            "type: and, and: {and_sub_policy: [{type: trace_flags, latency: {threshold_ms: 2}}]}",
            "and::and_sub_policy::0::latency",
            "policy of type `trace_flags`",
        ),
        (
            "type: composite, composite: {max_total_spans_per_second: 9, composite_sub_policy: [{name: a, type: always_sample}],
                rate_allocation: [{policy: a, percent: 50}, {policy: b, percent: 50}]}",
            "composite::rate_allocation::1::policy",
            "called `b`",
        ),
        (
            "type: composite, composite: {max_total_spans_per_second: 9, composite_sub_policy: [{name: a, type: always_sample},
                {name: b, type: always_sample}], rate_allocation: [{policy: a, percent: 60}, {policy: b, percent: 50}]}",
            "composite::rate_allocation",
            "add up to 110 percent",
        ),
    ] {
        let found = idle(&format!("policies: [{{name: p, {policy}}}]"));
        let [(setting, why)] = &found[..] else { panic!("{policy}: {found:?}") };
        assert_eq!(*setting, format!("policies::0::{field}"), "{policy}");
        assert!(why.contains(words), "{policy}: {why}");
    }
    let always = "policies: [{name: p, type: always_sample}]";
    for (more, field) in [
        ("decision_wait: 500ms", "decision_wait"),
        ("decision_wait_after_root_received: 500ms", "decision_wait_after_root_received"),
        ("memory_budget: 512KiB", "memory_budget"),
    ] {
        let found = idle(&format!("{always}\n{more}"));
        assert!(matches!(&found[..], [(setting, _)] if setting == field), "{more}: {found:?}");
    }
    assert_eq!(idle(&format!("{always}\ndecision_wait: 1s\nmemory_budget: 1MiB")), []);
}
