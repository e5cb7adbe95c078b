//! What is written to kept spans: thresholds from which counts can be weighted, and the reason.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use opentelemetry_proto::tonic::trace::v1::Span;
use sampling::TraceState;
use support::{Rig, number, pass, span, status, text, with};

fn stated(span: Span, state: &str) -> Span {
    Span { trace_state: state.to_owned(), ..span }
}

/// How many spans a kept one stands for; none if it does not say.
fn adjusted(span: &Span) -> Option<f64> {
    TraceState::parse(&span.trace_state).unwrap().threshold.map(sampling::Threshold::adjusted_count)
}

const BASE: &str = "{name: base, type: probabilistic, probabilistic: {sampling_percentage: 10}}";
const ERRORS: &str = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";

#[tokio::test(start_paused = true)]
async fn weighted_counts_are_those_of_everything() {
    let yaml =
        format!("{{decision_wait: 1s, num_traces: 100000, adjusted_counts: true, policies: [{ERRORS}, {BASE}]}}");
    let rig = Rig::new(&yaml).await;
    let spans = (0..40_000).map(|trace| {
        let span = stated(span(trace), "ot=th:0");
        if trace % 20 == 0 { status(span, 2) } else { span }
    });
    for chunk in spans.collect::<Vec<_>>().chunks(5000) {
        rig.offer(chunk.to_vec()).await.unwrap();
    }
    pass(2500).await;
    let spans = rig.spans();
    let (errors, others): (Vec<_>, Vec<_>) = spans.iter().partition(|span| number(span).is_multiple_of(20));
    assert_eq!(errors.len(), 2000);
    assert!(errors.iter().all(|span| adjusted(span) == Some(1.0)), "errors stand for themselves");
    let estimate: f64 = others.iter().map(|span| adjusted(span).unwrap()).sum();
    // 38,000 at 10 %: a standard deviation of 585.
    assert!((estimate - 38_000.0).abs() < 3.0 * 585.0, "{estimate}");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn thresholds_are_raised_kept_or_erased() {
    // Randomness in the tracestate makes the decision certain: it is kept at 10 %.
    let kept = "rv:fffffffffffff0";
    for (policies, before, after) in [
        (BASE.to_owned(), format!("ot={kept}"), format!("ot={kept};th:e666")),
        (BASE.to_owned(), format!("ot=th:8;{kept},x=y"), format!("ot={kept};th:e666,x=y")),
        (BASE.to_owned(), format!("ot=th:f;{kept}"), format!("ot={kept};th:f")),
        (BASE.to_owned(), format!("ot=th:ffffffffffffff;{kept}"), format!("ot={kept}")),
        (format!("{BASE}, {ERRORS}"), format!("ot=th:8;{kept}"), format!("ot=th:8;{kept}")),
        (
            "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 100}}".to_owned(),
            format!("ot=th:8;{kept}"),
            format!("ot=th:8;{kept}"),
        ),
        (
            format!(
                "{{name: c, type: composite, composite: {{max_total_spans_per_second: 100, composite_sub_policy: [{ERRORS}], rate_allocation: [{{policy: errors, percent: 100}}]}}}}"
            ),
            format!("ot=th:8;{kept}"),
            format!("ot={kept}"),
        ),
        (
            format!("{{name: r, type: rate_limiting, rate_limiting: {{spans_per_second: 100}}}}, {ERRORS}"),
            format!("ot=th:8;{kept}"),
            format!("ot=th:8;{kept}"),
        ),
        (
            format!("{{name: a, type: and, and: {{and_sub_policy: [{ERRORS}, {BASE}]}}}}"),
            format!("ot={kept}"),
            format!("ot={kept};th:e666"),
        ),
        (
            format!(
                "{{name: d, type: drop, drop: {{drop_sub_policy: [{{name: n, type: not, not: {{not_sub_policy: {BASE}}}}}]}}}}, {ERRORS}"
            ),
            format!("ot=th:8;{kept}"),
            format!("ot={kept}"),
        ),
        (BASE.to_owned(), format!("ot={kept};broken"), format!("ot={kept};broken")),
    ] {
        let yaml = format!("{{decision_wait: 1s, adjusted_counts: true, policies: [{policies}]}}");
        let rig = Rig::new(&yaml).await;
        rig.offer(vec![status(stated(span(1), &before), 2)]).await.unwrap();
        pass(2500).await;
        let unreadable = before.ends_with("broken");
        let spans = rig.spans();
        // One whose tracestate cannot be read is decided by its trace ID.
        if !unreadable {
            assert_eq!(spans.len(), 1, "{policies} {before}");
        }
        assert!(spans.iter().all(|span| span.trace_state == after), "{policies}: {before} -> {}", spans[0].trace_state);
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_option_nothing_is_written() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, policies: [{BASE}, {ERRORS}]}}")).await;
    let before = status(stated(span(1), "ot=th:8,x=y"), 2);
    rig.offer(vec![before.clone()]).await.unwrap();
    pass(2500).await;
    assert_eq!(rig.spans(), [before]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_is_written_once() {
    let yaml = format!("{{decision_wait: 1s, reason_attribute: sampling.policy, policies: [{ERRORS}]}}");
    let rig = Rig::new(&yaml).await;
    let forged = with(with(span(1), "sampling.policy", text("forged")), "k", text("v"));
    rig.offer(vec![status(span(1), 2), forged]).await.unwrap();
    pass(2500).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(10).await;
    let spans = rig.spans();
    assert_eq!(spans.len(), 3);
    for span in &spans {
        let reasons: Vec<_> = span.attributes.iter().filter(|pair| pair.key == "sampling.policy").collect();
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].value.as_ref().unwrap().value, Some(text("errors")), "late spans too");
    }
    assert_eq!(spans[1].attributes[0].key, "k");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn throughput_keeps_about_the_target_of_each_kind_and_says_how_many_it_stands_for() {
    let yaml = "{decision_wait: 1s, num_traces: 100000, adjusted_counts: true, policies: [{name: t, type: throughput, throughput: \
                {spans_per_second: 100, key: [http.route], half_life: 5s}}]}";
    let rig = Rig::new(yaml).await;
    let mut trace = 0;
    let mut offered = 0.0;
    for second in 0..30 {
        if second == 15 {
            offered = trace as f64 - 15.0 * 20.0;
        }
        // 2000 spans/s of one route, 20 of another.
        let spans = (0..2020).map(|n| {
            trace += 1;
            with(stated(span(trace), "ot=th:0"), "http.route", text(if n < 2000 { "/busy" } else { "/rare" }))
        });
        rig.offer(spans.collect()).await.unwrap();
        pass(1000).await;
    }
    pass(2500).await;
    let route = |span: &Span| span.attributes[0].value.clone().unwrap().value == Some(text("/rare"));
    let (rare, busy): (Vec<Span>, Vec<Span>) = rig.spans().into_iter().partition(route);
    assert_eq!(rare.len(), 600);
    let late: Vec<&Span> = busy.iter().filter(|span| number(span) > 15 * 2020).collect();
    let rate = late.len() as f64 / 15.0;
    assert!((rate - 100.0).abs() < 20.0, "{rate} spans/s");
    let estimate: f64 = busy.iter().map(|span| adjusted(span).unwrap()).sum();
    assert!((estimate - 60_000.0).abs() < 6000.0, "{estimate}, {offered}");
    rig.stop().await;
}
