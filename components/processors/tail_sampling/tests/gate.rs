//! The degraded mode's step `gate`: who waits, what is kept alone, what it says.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use component::Consumer;
use component::pressure::{Reading, Sensor, Step};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::{Context, Signal};
use support::{Rig, attribute, batch, batch_with, lasting, pass, request, span, status, text, with};

/// Three quarters of all randomness do not pass.
const REJECTED: u64 = 3 << 54;

fn gate(rig: &Rig) -> Sensor {
    let sensor = rig.world.host.pressure().sense();
    sensor.set(&Reading { step: Step::Gate, value: 0.8, rejected: [REJECTED, REJECTED, 0] });
    sensor
}

/// Randomness just below or at the gate.
fn of(trace: u64, randomness: u64) -> Span {
    let mut trace_id = trace.to_be_bytes().to_vec();
    trace_id.extend(randomness.to_be_bytes());
    Span { trace_id, ..span(trace) }
}

fn below(trace: u64) -> Span {
    of(trace, REJECTED - (1 << 30))
}

fn above(trace: u64) -> Span {
    of(trace, REJECTED)
}

fn error(span: Span) -> Span {
    status(span, 2)
}

fn states(rig: &Rig) -> Vec<(u64, i32, String)> {
    let spans = rig.spans();
    let state =
        |span: &Span| (support::number(span), span.status.as_ref().map_or(0, |s| s.code), span.trace_state.clone());
    let mut states: Vec<_> = spans.iter().map(state).collect();
    states.sort();
    states
}

#[tokio::test(start_paused = true)]
async fn what_chance_would_not_keep_does_not_wait_and_spans_are_kept_alone() {
    let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
    let base = "{name: base, type: probabilistic, probabilistic: {sampling_percentage: 100}}";
    let yaml =
        format!("{{decision_wait: 2s, adjusted_counts: true, reason_attribute: why, policies: [{errors}, {base}]}}");
    let rig = Rig::new(&yaml).await;
    rig.offer(vec![below(1)]).await.unwrap();
    let sensor = gate(&rig);
    let incoming = |span: Span, state: &str| Span { trace_state: state.to_owned(), ..span };
    rig.offer(vec![below(2), error(below(2)), incoming(error(below(3)), "ot=th:8"), below(4), below(1)]).await.unwrap();
    rig.offer(vec![above(5), error(above(5)), above(6)]).await.unwrap();
    pass(10).await;
    let kept = |code, trace, state: &str| (trace, code, state.to_owned());
    assert_eq!(states(&rig), [kept(2, 2, ""), kept(2, 3, "ot=th:8")], "at once");
    // Later spans of traces that did not wait.
    rig.offer(vec![below(2), error(below(4))]).await.unwrap();
    pass(3000).await;
    let mut all = vec![kept(2, 2, ""), kept(2, 3, "ot=th:8"), kept(2, 4, "")];
    // `1` began before, so its wait counts; chance keeps it no more: it is thinned.
    all.extend([kept(0, 5, "ot=th:c"), kept(2, 5, ""), kept(0, 6, "ot=th:c")]);
    assert_eq!(states(&rig), all, "spans with an error stand for themselves on both sides of the gate");
    let totals = rig.world.totals(Signal::Traces);
    assert_eq!((totals.dropped["gated"], totals.dropped["thinned"]), (3, 2));
    assert_eq!(rig.world.metric("weir_tail_sampling_gated_spans"), Some(6.0));
    assert_eq!(rig.world.metric("weir_overload_shed_items"), Some(5.0));
    assert_eq!(rig.series("global_count_traces_sampled", &[("decision", "not_sampled")]), 4);
    assert_eq!(rig.metric("new_trace_id_received"), 6);
    // Late spans, of both.
    rig.offer(vec![error(above(5)), above(5), error(below(2))]).await.unwrap();
    drop(sensor);
    // Nobody is asked alone any more: what is kept carries the gate's threshold, what is not is dropped.
    rig.offer(vec![error(above(6)), error(below(2)), below(7)]).await.unwrap();
    pass(10).await;
    all.extend([kept(2, 2, ""), kept(2, 5, ""), kept(0, 5, "ot=th:c"), kept(2, 6, "ot=th:c")]);
    all.sort();
    assert_eq!(states(&rig), all);
    assert_eq!(rig.world.totals(Signal::Traces).dropped["gated"], 4);
    pass(3000).await;
    assert_eq!(rig.out()[&7], 1, "waits again");
    let reason =
        |span: &Span| span.attributes.iter().any(|pair| pair.value.as_ref().unwrap().value == Some(text("errors")));
    assert!(rig.spans().iter().filter(|span| span.status.is_some() && support::number(span) < 5).all(reason));
    let asked = |span: Span| {
        let id: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let page =
            rig.world.registry.pages().answer("/tail_sampling/decisions", &format!("trace_id={id}")).unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&page).unwrap()["tail_sampling/test"][0].take()
    };
    for (trace, policy) in [(2, Some("errors")), (4, None)] {
        let answer = asked(below(trace));
        assert_eq!((&answer["decision"], &answer["cause"]), (&"gated".into(), &"gate".into()));
        assert_eq!(answer["policy"].as_str(), policy);
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_keeps_a_span_alone_when_nothing_that_comes_can_change_its_mind() {
    let and = |subs: &str| format!("{{type: and, and: {{and_sub_policy: [{subs}]}}, name: p}}");
    let slow = "{name: s, type: latency, latency: {threshold_ms: 100}}";
    let gold = "{name: g, type: string_attribute, string_attribute: {key: tier, values: [gold]}}";
    let long = || lasting(below(1), 200);
    let golden = || with(below(1), "tier", text("gold"));
    for (policy, span, is_kept) in [
        ("{name: p, type: always_sample}".to_owned(), below(1), true),
        (slow.to_owned(), long(), true),
        (slow.to_owned(), below(1), false),
        ("{name: p, type: latency, latency: {threshold_ms: 100, upper_threshold_ms: 300}}".to_owned(), long(), false),
        (gold.to_owned(), golden(), true),
        (gold.replace("[gold]", "[gold], invert_match: true"), below(1), false),
        (and(&format!("{gold}, {slow}")), with(long(), "tier", text("gold")), true),
        (and(&format!("{gold}, {slow}")), golden(), false),
        (and(&format!("{gold}, {{name: n, type: not, not: {{not_sub_policy: {slow}}}}}")), golden(), false),
        ("{name: p, type: span_count, span_count: {min_spans: 1}}".to_owned(), below(1), true),
        ("{name: p, type: span_count, span_count: {min_spans: 2}}".to_owned(), below(1), false),
        ("{name: p, type: span_count, span_count: {min_spans: 1, max_spans: 5}}".to_owned(), below(1), false),
        ("{name: p, type: rate_limiting, rate_limiting: {spans_per_second: 1000}}".to_owned(), below(1), false),
        ("{name: p, type: probabilistic, probabilistic: {sampling_percentage: 100}}".to_owned(), below(1), false),
        (
            "{name: p, type: ottl_condition, ottl_condition: {span: ['attributes[\"tier\"] == \"gold\"']}}".to_owned(),
            golden(),
            true,
        ),
        (
            "{name: p, type: ottl_condition, ottl_condition: {span: ['attributes[\"tier\"] == \"gold\"']}}".to_owned(),
            below(1),
            false,
        ),
        (format!("{gold}, {{name: d, type: drop, drop: {{drop_sub_policy: [{slow}]}}}}"), golden(), true),
        (
            format!("{gold}, {{name: d, type: drop, drop: {{drop_sub_policy: [{slow}]}}}}"),
            with(long(), "tier", text("gold")),
            false,
        ),
    ] {
        for consistent in [false, true] {
            let rig =
                Rig::new(&format!("{{decision_wait: 1s, adjusted_counts: {consistent}, policies: [{policy}]}}")).await;
            let sensor = gate(&rig);
            rig.offer(vec![span.clone()]).await.unwrap();
            pass(10).await;
            assert_eq!(rig.out().len(), usize::from(is_kept), "{policy}: {span:?}");
            drop(sensor);
            rig.stop().await;
        }
    }
    let rig = Rig::new(&format!("{{decision_wait: 1s, policies: [{gold}]}}")).await;
    let _sensor = gate(&rig);
    let gold = vec![attribute("tier", text("gold"))];
    rig.offer_batch(batch(request(gold, vec![below(1), below(1), above(2)]))).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out(), [(1, 2)].into(), "resources count");
    rig.stop().await;
}

/// Spans of several accounts, of traces that do not wait: each settles in its own.
#[tokio::test(start_paused = true)]
async fn accounts_stay_apart() {
    let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
    let rig = Rig::new(&format!("{{decision_wait: 1s, policies: [{errors}]}}")).await;
    let _sensor = gate(&rig);
    let of = |pipeline: &str, spans: Vec<Span>| {
        let mut batch = batch_with(request(vec![], spans), Context::default());
        let account = rig.world.ledger.account(&pipeline.into(), Signal::Traces, "");
        let _none = batch.replace_stake(account.receive(batch.items()));
        batch
    };
    let mut batch = of("a", vec![error(below(1)), below(1), below(2)]);
    batch.append(of("b", vec![below(1), error(below(2)), error(below(1))]));
    rig.consumer.consume(batch).await.unwrap();
    pass(10).await;
    for (pipeline, delivered, dropped) in [("a", 1, 2), ("b", 2, 1)] {
        let totals = rig.world.ledger.account(&pipeline.into(), Signal::Traces, "").read();
        assert_eq!((totals.delivered, totals.dropped["gated"]), (delivered, dropped), "{pipeline}");
    }
    rig.stop().await;
}
