//! Every policy type, case by case, through the processor.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use support::{MS, Rig, attribute, batch, event, lasting, pass, request, span, status, text, with};
use testkit::Subject;

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for yaml in [
        "{decision_wait: 1s, policies: [{name: all, type: always_sample}]}",
        "{decision_wait: 2s, memory_budget: 1MiB, policies: [{name: all, type: always_sample}]}",
    ] {
        let subject =
            Subject::new(processor_tail_sampling::factory()).with_config(yaml).with_invalid_default("policies");
        testkit::suite::contract(&subject).await.map_err(|error| format!("{yaml}: {error}")).unwrap();
    }
}

/// Whether a policy keeps a trace of these spans, which come in requests of their own.
async fn keeps_in(policy: &str, resource: &[(&str, Value)], spans: Vec<Span>) -> bool {
    let rig = Rig::new(&format!("{{decision_wait: 1s, policies: [{{name: p, {policy}}}]}}")).await;
    let count = spans.len();
    let resource: Vec<_> = resource.iter().map(|(key, value)| attribute(key, value.clone())).collect();
    for span in spans {
        rig.offer_batch(batch(request(resource.clone(), vec![span]))).await.unwrap();
    }
    pass(2500).await;
    let out = rig.spans().len();
    assert!(out == 0 || out == count, "a trace is kept whole");
    rig.stop().await;
    out > 0
}

async fn keeps(policy: &str, spans: Vec<Span>) -> bool {
    keeps_in(policy, &[], spans).await
}

#[tokio::test(start_paused = true)]
async fn latency() {
    for (policy, milliseconds, expected) in [
        ("{threshold_ms: 100}", 100, false),
        ("{threshold_ms: 100}", 101, true),
        ("{}", 0, false),
        ("{}", 1, true),
        ("{threshold_ms: 100, upper_threshold_ms: 200}", 100, false),
        ("{threshold_ms: 100, upper_threshold_ms: 200}", 101, true),
        ("{threshold_ms: 100, upper_threshold_ms: 200}", 200, true),
        ("{threshold_ms: 100, upper_threshold_ms: 200}", 201, false),
    ] {
        let spans = vec![lasting(span(1), milliseconds)];
        let policy = format!("type: latency, latency: {policy}");
        assert_eq!(keeps(&policy, spans).await, expected, "{policy} {milliseconds}");
    }
    // From the first start to the last end, over all spans.
    let mut late = span(1);
    late.start_time_unix_nano += 95 * MS;
    late.end_time_unix_nano += 95 * MS;
    assert!(keeps("type: latency, latency: {threshold_ms: 100}", vec![late.clone(), span(1)]).await);
    // Nothing is known of how long a trace lasts without a start or an end.
    for (start, end) in [(0, span(1).end_time_unix_nano), (span(1).start_time_unix_nano, 0), (0, 0)] {
        let unknown = Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span(1) };
        assert!(!keeps("type: latency, latency: {}", vec![unknown]).await, "{start} to {end}");
    }
    let half = Span { start_time_unix_nano: 0, ..late.clone() };
    assert!(keeps("type: latency, latency: {threshold_ms: 100}", vec![half, span(1)]).await, "another span has it");
    let policy = "type: latency, latency: {threshold_ms: 5, upper_threshold_ms: 50}";
    assert!(!keeps(policy, vec![span(1), late]).await, "the whole trace lasts longer");
}

#[tokio::test(start_paused = true)]
async fn numeric_attribute() {
    for (policy, value, expected) in [
        ("min_value: 5, max_value: 7", Some(Value::IntValue(5)), true),
        ("min_value: 5, max_value: 7", Some(Value::IntValue(7)), true),
        ("min_value: 5, max_value: 7", Some(Value::IntValue(8)), false),
        ("min_value: 5", Some(Value::IntValue(i64::MAX)), true),
        ("max_value: 5", Some(Value::IntValue(i64::MIN)), true),
        ("min_value: 0, max_value: 5", Some(Value::IntValue(-3)), true),
        ("max_value: 5", Some(text("text counts as 0")), true),
        ("min_value: 5", Some(Value::DoubleValue(6.0)), false),
        ("min_value: 5", None, false),
        ("min_value: 5, invert_match: true", Some(Value::IntValue(6)), false),
        ("min_value: 5, invert_match: true", Some(Value::IntValue(4)), true),
        ("min_value: 5, invert_match: true", None, true),
    ] {
        let policy = format!("type: numeric_attribute, numeric_attribute: {{key: k, {policy}}}");
        let with_it = value.clone().map_or(span(1), |value| with(span(1), "k", value));
        assert_eq!(keeps(&policy, vec![span(1), with_it]).await, expected, "{policy} {value:?}");
        if let Some(value) = value {
            assert_eq!(keeps_in(&policy, &[("k", value)], vec![span(1)]).await, expected, "{policy}, resource");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn string_attribute() {
    for (policy, value, expected) in [
        ("values: [a, b]", Some(text("b")), true),
        ("values: [a, b]", Some(text("ab")), false),
        ("values: ['']", Some(text("")), false),
        ("values: [a]", None, false),
        ("values: ['5']", Some(Value::IntValue(5)), false),
        ("values: ['b+'], enabled_regex_matching: true", Some(text("abbc")), true),
        ("values: ['^b'], enabled_regex_matching: true", Some(text("ab")), false),
        ("values: ['.*'], enabled_regex_matching: true", Some(text("")), false),
        ("values: [a], invert_match: true", Some(text("a")), false),
        ("values: [a], invert_match: true", Some(text("b")), true),
        ("values: [a], invert_match: true", None, true),
    ] {
        let policy = format!("type: string_attribute, string_attribute: {{key: k, {policy}}}");
        let with_it = value.clone().map_or(span(1), |value| with(span(1), "k", value));
        assert_eq!(keeps(&policy, vec![with_it, span(1)]).await, expected, "{policy} {value:?}");
    }
    let any = "type: string_attribute, string_attribute: {key: k, values: ['.*'], enabled_regex_matching: true}";
    assert!(keeps_in(any, &[("k", Value::IntValue(5))], vec![span(1)]).await, "a resource's other values read as \"\"");
    let exact = "type: string_attribute, string_attribute: {key: k, values: [a]}";
    assert!(keeps_in(exact, &[("k", text("a"))], vec![with(span(1), "k", text("b"))]).await);
    let twice = with(with(span(1), "k", text("b")), "k", text("a"));
    assert!(!keeps(exact, vec![twice]).await, "of attributes with one key the first counts");
}

#[tokio::test(start_paused = true)]
async fn boolean_attribute() {
    for (policy, value, expected) in [
        ("value: true", Some(Value::BoolValue(true)), true),
        ("value: true", Some(Value::BoolValue(false)), false),
        ("value: true", Some(text("true")), false),
        ("value: false", Some(Value::BoolValue(false)), true),
        ("value: false", None, false),
        ("value: true, invert_match: true", Some(Value::BoolValue(true)), false),
        ("value: true, invert_match: true", None, true),
    ] {
        let policy = format!("type: boolean_attribute, boolean_attribute: {{key: k, {policy}}}");
        let with_it = value.clone().map_or(span(1), |value| with(span(1), "k", value));
        assert_eq!(keeps(&policy, vec![with_it]).await, expected, "{policy} {value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_flags_and_tracestate() {
    let states = |codes: &str| format!("type: status_code, status_code: {{status_codes: [{codes}]}}");
    assert!(keeps(&states("ERROR"), vec![span(1), status(span(1), 2)]).await);
    assert!(!keeps(&states("ERROR"), vec![span(1), status(span(1), 1)]).await);
    assert!(keeps(&states("OK, ERROR"), vec![status(span(1), 1)]).await);
    assert!(keeps(&states("UNSET"), vec![span(1)]).await);
    assert!(!keeps(&states("UNSET"), vec![status(span(1), 1)]).await);

    let flagged = |flags| Span { flags, ..span(1) };
    assert!(keeps("type: trace_flags", vec![span(1), flagged(0x301)]).await);
    assert!(!keeps("type: trace_flags", vec![flagged(0x300)]).await);

    let stated = |state: &str| Span { trace_state: state.to_owned(), ..span(1) };
    let policy = "type: trace_state, trace_state: {key: k, values: [a, b]}";
    assert!(keeps(policy, vec![span(1), stated("x=1, k=b")]).await);
    for other in ["k=c", "kk=a", "", "x=a"] {
        assert!(!keeps(policy, vec![stated(other)]).await, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn span_count() {
    for (policy, spans, expected) in [
        ("min_spans: 2", 1, false),
        ("min_spans: 2", 2, true),
        ("min_spans: 2, max_spans: 3", 3, true),
        ("min_spans: 2, max_spans: 3", 4, false),
        ("{}", 1, true),
    ] {
        let policy = format!("type: span_count, span_count: {{{}}}", policy.trim_matches(['{', '}']));
        assert_eq!(keeps(&policy, vec![span(1); spans]).await, expected, "{policy} {spans}");
    }
}

#[tokio::test(start_paused = true)]
async fn ottl_condition() {
    let policy = |rest: &str| format!("type: ottl_condition, ottl_condition: {{{rest}}}");
    let named = |name: &str| Span { name: name.to_owned(), ..span(1) };
    let by_name = policy("span: ['name == \"a\"', 'name == \"b\"']");
    assert!(keeps(&by_name, vec![named("x"), named("b")]).await);
    assert!(!keeps(&by_name, vec![named("x")]).await);
    let by_event = policy("spanevent: ['name == \"boom\"']");
    assert!(keeps(&by_event, vec![span(1), event(event(span(1), "x"), "boom")]).await);
    assert!(!keeps(&by_event, vec![event(span(1), "x")]).await);
    let prefixed = policy("span: ['resource.attributes[\"k\"] == span.name']");
    assert!(keeps_in(&prefixed, &[("k", text("b"))], vec![named("a"), named("b")]).await);
    assert!(!keeps_in(&prefixed, &[("k", text("c"))], vec![named("a"), named("b")]).await);
    // A list cannot be an integer.
    let failing = "span: ['Int(attributes[\"k\"]) > ParseJSON(name)[\"x\"]']";
    let json = named("{");
    assert!(!keeps(&policy(&format!("{failing}, error_mode: ignore")), vec![json.clone()]).await);
    let rig = Rig::new(&format!(
        "{{decision_wait: 1s, policies: [{{name: p, {}}}, {{name: all, type: always_sample}}]}}",
        policy(&format!("{failing}, error_mode: propagate"))
    ))
    .await;
    rig.offer(vec![json]).await.unwrap();
    pass(2500).await;
    assert_eq!(rig.out().len(), 1, "a policy that fails has no vote");
    assert_eq!(rig.metric("sampling_policy_evaluation_error"), 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn and_not_drop_and_precedence() {
    let ok = "{name: a, type: status_code, status_code: {status_codes: [ERROR]}}";
    let long = "{name: b, type: latency, latency: {threshold_ms: 100}}";
    let both = vec![status(lasting(span(1), 200), 2)];
    let one = vec![status(span(1), 2)];
    let and = format!("type: and, and: {{and_sub_policy: [{ok}, {long}]}}");
    assert!(keeps(&and, both.clone()).await);
    assert!(!keeps(&and, one.clone()).await);
    let not = format!("type: not, not: {{not_sub_policy: {ok}}}");
    assert!(keeps(&not, vec![span(1)]).await);
    assert!(!keeps(&not, one.clone()).await);
    let and_not =
        format!("type: and, and: {{and_sub_policy: [{ok}, {{name: n, type: not, not: {{not_sub_policy: {long}}}}}]}}");
    assert!(keeps(&and_not, one.clone()).await);
    assert!(!keeps(&and_not, both.clone()).await);

    let yaml = format!(
        "{{decision_wait: 1s, policies: [{{name: all, type: always_sample}}, {{name: d, type: drop, drop: {{drop_sub_policy: \
         [{ok}, {long}]}}}}]}}"
    );
    let rig = Rig::new(&yaml).await;
    rig.offer(vec![status(lasting(span(1), 200), 2), status(span(2), 2)]).await.unwrap();
    pass(2500).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [2], "what a policy drops, no other keeps");
    assert_eq!(rig.series("global_count_traces_sampled", &[("decision", "dropped"), ("sampled", "false")]), 1);
    assert_eq!(rig.series("count_traces_sampled", &[("policy", "test.d"), ("decision", "dropped")]), 1);
    assert_eq!(rig.series("count_traces_sampled", &[("policy", "test.d"), ("decision", "not_sampled")]), 1);
    assert_eq!(
        rig.series("count_traces_sampled", &[("policy", "test.all"), ("sampled", "true")]),
        1,
        "not asked for the dropped"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_inverted_policy_is_no_veto() {
    let yaml = "{decision_wait: 1s, policies: [{name: inverted, type: string_attribute, string_attribute: {key: k, values: [a], \
                invert_match: true}}, {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]}";
    let rig = Rig::new(yaml).await;
    rig.offer(vec![status(with(span(1), "k", text("a")), 2), with(span(2), "k", text("a")), span(3)]).await.unwrap();
    pass(2500).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [1, 3]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_match_ends_it() {
    let policies = "policies: [{name: one, type: always_sample}, {name: two, type: always_sample}]";
    for (first, asked) in [(false, 1), (true, 0)] {
        let rig = Rig::new(&format!("{{decision_wait: 1s, sample_on_first_match: {first}, {policies}}}")).await;
        rig.offer(vec![span(1)]).await.unwrap();
        pass(2500).await;
        assert_eq!(rig.series("sampling_policy_execution_count", &[("policy", "test.two")]), asked);
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rates_of_spans_and_bytes() {
    let yaml = "{decision_wait: 1s, policies: [{name: p, type: rate_limiting, rate_limiting: {spans_per_second: 10, \
                burst_capacity: 25}}]}";
    let rig = Rig::new(yaml).await;
    for trace in 0..10 {
        rig.offer(vec![span(trace); 5]).await.unwrap();
    }
    pass(2000).await;
    assert_eq!(rig.out().len(), 5, "a burst of 25 spans");
    rig.offer(vec![span(99); 26]).await.unwrap();
    pass(60_000).await;
    assert_eq!(rig.out().get(&99), None, "larger than the burst");
    rig.stop().await;

    let yaml =
        "{decision_wait: 1s, policies: [{name: p, type: bytes_limiting, bytes_limiting: {bytes_per_second: 1000}}]}";
    let rig = Rig::new(yaml).await;
    let padded = |trace| with(span(trace), "pad", text(&"x".repeat(300)));
    for trace in 0..10 {
        rig.offer(vec![padded(trace)]).await.unwrap();
    }
    pass(2000).await;
    assert!((4..=6).contains(&rig.out().len()), "2000 bytes at once, a trace has about 400: {:?}", rig.out());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn composite_shares_a_rate() {
    let yaml = "{decision_wait: 1s, policies: [{name: c, type: composite, composite: {max_total_spans_per_second: 100, \
                composite_sub_policy: [\
                {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}, \
                {name: unlisted, type: boolean_attribute, boolean_attribute: {key: u, value: true}}, \
                {name: all, type: always_sample}], \
                rate_allocation: [{policy: errors, percent: 30}, {policy: all, percent: 0}]}}]}";
    let rig = Rig::new(yaml).await;
    let mut spans: Vec<Span> = (0..10).flat_map(|trace| vec![status(span(trace), 2); 10]).collect();
    spans.extend((10..20).flat_map(|trace| vec![span(trace); 10]));
    spans.extend((20..30).map(|trace| with(span(trace), "u", Value::BoolValue(true))));
    rig.offer(spans).await.unwrap();
    pass(2500).await;
    let out = rig.out();
    let count = |range: std::ops::Range<u64>| out.keys().filter(|trace| range.contains(trace)).count();
    assert_eq!(count(0..10), 3, "30 %");
    assert_eq!(count(10..20), 3, "a third of the total, 33 spans");
    assert_eq!(count(20..30), 0, "no allocation, and no falling through");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn probabilistic_keeps_the_share_the_collector_keeps() {
    let yaml = |salt: &str| {
        format!(
            "{{decision_wait: 1s, num_traces: 100000, policies: [{{name: p, type: probabilistic, probabilistic: \
             {{sampling_percentage: 20{salt}}}}}]}}"
        )
    };
    let mut kept = Vec::new();
    for salt in ["", ", hash_salt: other"] {
        let rig = Rig::new(&yaml(salt)).await;
        rig.offer((0..20_000).map(span).collect()).await.unwrap();
        pass(2500).await;
        let out = rig.out();
        // 4000 expected, a standard deviation of 57.
        assert!((3800..4200).contains(&out.len()), "{}", out.len());
        kept.push(out);
        rig.stop().await;
    }
    let both = kept[0].keys().filter(|trace| kept[1].contains_key(trace)).count();
    assert!((650..950).contains(&both), "other salts keep other traces: {both}");
}
