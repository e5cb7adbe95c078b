//! What a successor is handed over at a reload: undecided traces, decisions, the log, limits; and what becomes of spans that it gets
//! before.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component::pressure::{Reading, Sensor, Step};
use component::{Component, Consumer, Deadline};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::Signal;
use processor_tail_sampling::factory;
use support::{Rig, asked, batch, out_of, pass, received, request, span, status, text, with};
use testkit::{Sink, Subject, World};

const ERRORS: &str = "policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]";
const ALL: &str = "policies: [{name: all, type: always_sample}]";

fn error(trace: u64) -> Span {
    status(span(trace), 2)
}

#[tokio::test(start_paused = true)]
async fn a_successor_gets_what_is_undecided() {
    let world = World::new();
    let (sink, next) = (Sink::accepting(), Sink::accepting());
    let rig = Rig::in_world(&format!("{{decision_wait: 4s, {ERRORS}}}"), sink, world).await;
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    pass(5000).await;
    rig.offer(vec![error(3), span(4)]).await.unwrap();
    let successor = Subject::new(factory()).with_config(&format!("{{decision_wait: 2s, {ERRORS}}}"));
    let successor = successor.build(&rig.world, next.clone()).unwrap();
    successor.component.start(&rig.world.host).await.unwrap();
    let heir: Arc<dyn Consumer> = successor.consumer.unwrap();
    rig.component.hand_over(&heir, Deadline::after(Duration::from_secs(5))).unwrap().await.unwrap();
    // What still comes here goes there.
    rig.offer(vec![span(3), error(5)]).await.unwrap();
    rig.world.check_difference().unwrap();
    pass(3100).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [1]);
    let mut numbers: Vec<u64> = Vec::new();
    for received in next.received() {
        received.payload.for_each_item(|item| {
            if let pdata::view::ItemView::Span(span) = item.view {
                numbers.push(u64::from_be_bytes(span.trace_id().unwrap()[..8].try_into().unwrap()));
            }
        });
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 3, 5]);
    successor.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
    rig.world.check_settled().unwrap();
    assert_eq!(rig.world.account.held(), received(&rig.sink) + received(&next));
}

#[tokio::test(start_paused = true)]
async fn a_successor_follows_decisions_goes_on_waiting_and_knows_why() {
    let (sink, next) = (Sink::accepting(), Sink::accepting());
    let before = format!("{{decision_wait: 4s, reason_attribute: why, {ERRORS}}}");
    let rig = Rig::in_world(&before, sink, World::new()).await;
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    pass(5000).await;
    rig.offer(vec![error(3), span(4)]).await.unwrap();
    pass(3000).await;
    // Other policies, another configuration: nothing is shared but what is handed over.
    let after = "{decision_wait: 4s, reason_attribute: why, policies: [{name: slow, type: latency, latency: {threshold_ms: \
                 1000}}, {name: broken, type: status_code, status_code: {status_codes: [ERROR]}}]}";
    let successor = Subject::new(factory()).with_config(after).build(&rig.world, next.clone()).unwrap();
    successor.component.start(&rig.world.host).await.unwrap();
    let heir: Arc<dyn Consumer> = successor.consumer.unwrap();
    // Spans that come to the successor before it knows: of a kept, a dropped, a waiting and a new trace.
    let head = rig.world.head(Arc::clone(&heir));
    head.consume(batch(request(vec![], vec![span(1), error(2), span(3), error(5)]))).await.unwrap();
    rig.component.hand_over(&heir, Deadline::after(Duration::from_secs(5))).unwrap().await.unwrap();
    rig.world.check_difference().unwrap();
    pass(10).await;
    assert_eq!(out_of(&next), [(1, 1)].into(), "at once");
    head.consume(batch(request(vec![], vec![span(1), error(2)]))).await.unwrap();
    pass(10).await;
    assert_eq!(out_of(&next), [(1, 2)].into(), "late spans follow what was decided before");
    assert_eq!(rig.world.totals(Signal::Traces).dropped["not_sampled"], 3);
    pass(1200).await;
    assert_eq!(out_of(&next), [(1, 2), (3, 2)].into(), "4.2 s from its first span, which came to the predecessor");
    pass(3000).await;
    assert_eq!(out_of(&next), [(1, 2), (3, 2), (5, 1)].into());
    assert_eq!(rig.metric("new_trace_id_received"), 5 + 3, "three came to the successor before it knew");
    for (trace, policy) in [(1, "errors"), (3, "broken")] {
        assert_eq!(asked(&rig.world, trace)[0]["policy"], policy);
    }
    assert_eq!(asked(&rig.world, 2)[0]["decision"], "not_sampled");
    let reasons: Vec<Option<String>> = next.received().iter().flat_map(|received| reasons(&received.payload)).collect();
    assert_eq!(reasons.iter().filter(|reason| reason.as_deref() == Some("errors")).count(), 2, "{reasons:?}");
    successor.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
    rig.world.check_settled().unwrap();
    assert_eq!(rig.world.account.held(), received(&rig.sink) + received(&next));
}

fn reasons(payload: &pdata::Payload) -> Vec<Option<String>> {
    let mut reasons = Vec::new();
    payload.for_each_item(|item| {
        if let pdata::view::ItemView::Span(span) = item.view {
            reasons.push(span.attributes().get("why").and_then(|value| value.as_str().map(ToOwned::to_owned)));
        }
    });
    reasons
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_is_passed_on_is_decided_when_it_would_have_been() {
    let (sink, next) = (Sink::accepting(), Sink::accepting());
    let rig = Rig::in_world(&format!("{{decision_wait: 4s, {ALL}}}"), sink, World::new()).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(3000).await;
    let successor = Subject::new(factory()).with_config(&format!("{{decision_wait: 6s, {ALL}}}"));
    let successor = successor.build(&rig.world, next.clone()).unwrap();
    successor.component.start(&rig.world.host).await.unwrap();
    let heir: Arc<dyn Consumer> = successor.consumer.unwrap();
    rig.component.hand_over(&heir, Deadline::after(Duration::from_secs(5))).unwrap().await.unwrap();
    pass(2900).await;
    assert_eq!(out_of(&next), BTreeMap::new(), "5.9 s");
    pass(200).await;
    assert_eq!(out_of(&next), [(1, 1)].into(), "6.1 s");
    assert_eq!(asked(&rig.world, 1)[0]["waited_s"], 6);
    assert_eq!(rig.metric("new_trace_id_received"), 1, "counted once");
    successor.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
}

/// A successor in the same world, started.
struct Successor {
    sink: Arc<Sink>,
    component: Arc<dyn Component>,
    consumer: Arc<dyn Consumer>,
}

impl Successor {
    async fn of(rig: &Rig, yaml: &str) -> Self {
        let sink = Sink::accepting();
        let built = Subject::new(factory()).with_config(yaml).build(&rig.world, sink.clone()).unwrap();
        built.component.start(&rig.world.host).await.unwrap();
        Self { sink, component: built.component, consumer: built.consumer.unwrap() }
    }

    async fn offer(&self, rig: &Rig, spans: Vec<Span>) {
        rig.world.head(Arc::clone(&self.consumer)).consume(batch(request(vec![], spans))).await.unwrap();
        pass(10).await;
    }

    /// Lets it take over.
    async fn follow(&self, rig: &Rig) {
        rig.component.hand_over(&self.consumer, Deadline::after(Duration::from_secs(5))).unwrap().await.unwrap();
        pass(10).await;
        rig.world.check_difference().unwrap();
    }

    async fn stop(&self, rig: &Rig) {
        self.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        rig.world.check_settled().unwrap();
    }
}

/// Traces are decided as they arrive, so that no time passes in which a limit would recover.
fn at_once(policies: &str) -> String {
    format!("{{max_spans_per_trace: 1, policies: [{policies}]}}")
}

/// Of each limit: a second's worth is used up, then the configuration changes, and as much is offered again.
#[tokio::test(start_paused = true)]
async fn a_reload_gives_nothing_that_was_used_up() {
    let spans = |count: u64, burst: u64| {
        format!("type: rate_limiting, rate_limiting: {{spans_per_second: {count}, burst_capacity: {burst}}}")
    };
    let composite = |most: u64, of_a: u64| {
        let subs = "{name: a, type: status_code, status_code: {status_codes: [ERROR]}}, {name: b, type: always_sample}";
        let shares = format!("{{policy: a, percent: {of_a}}}, {{policy: b, percent: 10}}");
        let rest = format!("composite_sub_policy: [{subs}], rate_allocation: [{shares}]");
        format!("type: composite, composite: {{max_total_spans_per_second: {most}, {rest}}}")
    };
    let throughput =
        |count: u64, key: &str| format!("type: throughput, throughput: {{spans_per_second: {count}, key: [{key}]}}");
    let within = |inner: &str| format!("type: and, and: {{and_sub_policy: [{{name: sub, {inner}}}]}}");
    let bytes = "type: bytes_limiting, bytes_limiting: {bytes_per_second: 1000, burst_capacity: 4000}";
    for (before, after, least, most) in [
        // Control: another name begins anew.
        (format!("name: l, {}", spans(10, 20)), format!("name: m, {}", spans(10, 20)), 20, 20),
        (format!("name: l, {}", spans(10, 20)), format!("name: l, {bytes}"), 20, 60),
        (format!("name: l, {}", spans(10, 20)), format!("name: l, {}", spans(10, 20)), 0, 0),
        (format!("name: l, {}", spans(10, 20)), format!("name: l, {}", spans(90, 2000)), 0, 0),
        (format!("name: l, {}", spans(10, 500)), format!("name: l, {}", spans(90, 510)), 100, 100),
        (format!("name: l, {bytes}"), format!("name: l, {bytes}"), 0, 1),
        (format!("name: l, {}", within(&spans(10, 20))), format!("name: l, {}", within(&spans(10, 20))), 0, 0),
        (format!("name: l, {}", within(&spans(10, 20))), format!("name: l, {}", spans(10, 20)), 20, 20),
        (format!("name: l, {}", composite(100, 20)), format!("name: l, {}", composite(100, 20)), 0, 0),
        (format!("name: l, {}", composite(100, 20)), format!("name: l, {}", composite(100, 30)), 10, 10),
        (format!("name: l, {}", throughput(5, "k")), format!("name: l, {}", throughput(5, "k")), 0, 9),
        (format!("name: l, {}", throughput(5, "k")), format!("name: l, {}", throughput(6, "k")), 0, 9),
        (format!("name: l, {}", throughput(5, "k")), format!("name: l, {}", throughput(5, "other")), 10, 100),
    ] {
        let rig = Rig::new(&at_once(&format!("{{{before}}}"))).await;
        let traces = |from: u64| (from..from + 200).map(|trace| with(error(trace), "k", text("v"))).collect::<Vec<_>>();
        rig.offer(traces(0)).await.unwrap();
        rig.offer(traces(200)).await.unwrap();
        pass(0).await;
        let used = rig.out().len();
        assert!((10..=400).contains(&used), "{before}: {used}");
        let successor = Successor::of(&rig, &at_once(&format!("{{{after}}}"))).await;
        successor.follow(&rig).await;
        let consumer = rig.world.head(Arc::clone(&successor.consumer));
        consumer.consume(batch(request(vec![], traces(1000)))).await.unwrap();
        pass(10).await;
        let again = out_of(&successor.sink).len();
        assert!((least..=most).contains(&again), "{before}, then {after}: {used}, then {again}");
        successor.stop(&rig).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_rate_applies_from_the_reload_on() {
    let limit =
        |rate: u64| at_once(&format!("{{name: l, type: rate_limiting, rate_limiting: {{spans_per_second: {rate}}}}}"));
    let rig = Rig::new(&limit(10)).await;
    rig.offer((0..50).map(span).collect()).await.unwrap();
    let successor = Successor::of(&rig, &limit(40)).await;
    // What it keeps before it knows is taken off what follows.
    successor.offer(&rig, (100..110).map(span).collect()).await;
    successor.follow(&rig).await;
    assert_eq!((rig.out().len(), out_of(&successor.sink).len()), (20, 10));
    pass(500).await;
    successor.offer(&rig, (200..300).map(span).collect()).await;
    let kept = out_of(&successor.sink).len();
    assert!((20..=22).contains(&kept), "10 before, and 40 a second for half of one, less those 10: {kept}");
    pass(10_000).await;
    successor.offer(&rig, (300..500).map(span).collect()).await;
    assert_eq!(out_of(&successor.sink).len() - kept, 80, "its own burst");
    successor.stop(&rig).await;
}

/// Three quarters of all randomness do not pass.
const REJECTED: u64 = 3 << 54;

fn press(rig: &Rig, rejected: u64) -> Sensor {
    let sensor = rig.world.host.pressure().sense();
    sensor.set(&Reading { step: Step::Gate, value: 0.8, rejected: [rejected, rejected, 0] });
    sensor
}

/// Of randomness just below the gate.
fn below(span: Span) -> Span {
    let trace_id = [&span.trace_id[..8], &(REJECTED - (1 << 30)).to_be_bytes()].concat();
    Span { trace_id, ..span }
}

/// Spans of a trace that the predecessor did not let wait, and that waits at the successor until that is known.
#[tokio::test(start_paused = true)]
async fn a_trace_that_was_gated_is_so_for_the_successor() {
    for is_calm in [false, true] {
        let rig = Rig::new(&format!("{{decision_wait: 4s, {ERRORS}}}")).await;
        let sensor = press(&rig, REJECTED);
        rig.offer(vec![below(span(1)), below(error(1))]).await.unwrap();
        let successor = Successor::of(&rig, &format!("{{decision_wait: 4s, {ERRORS}}}")).await;
        // Less pressure: here the trace waits.
        match is_calm {
            true => sensor.set(&Reading::default()),
            false => sensor.set(&Reading { step: Step::Gate, value: 0.7, rejected: [1 << 54, 1 << 54, 0] }),
        }
        successor.offer(&rig, vec![below(span(1)), below(error(1)), below(error(1)), below(span(1))]).await;
        assert_eq!(out_of(&successor.sink), BTreeMap::new());
        successor.follow(&rig).await;
        let totals = rig.world.totals(Signal::Traces);
        // Who is not asked whether spans are kept by themselves, because the step is over, keeps none.
        let kept = if is_calm { 0 } else { 2 };
        assert_eq!(out_of(&successor.sink).get(&1).copied().unwrap_or_default(), kept, "{is_calm}");
        assert_eq!((totals.dropped.get("gated"), totals.dropped.get("not_sampled")), (Some(&(5 - kept as u64)), None));
        assert_eq!(rig.world.metric("weir_tail_sampling_gated_spans"), Some(6.0));
        assert_eq!(rig.world.metric("weir_tail_sampling_split_traces"), Some(0.0));
        successor.offer(&rig, vec![below(span(1)), below(error(1))]).await;
        let later = if is_calm { 0 } else { 3 };
        assert_eq!(out_of(&successor.sink).get(&1).copied().unwrap_or_default(), later, "later spans as well");
        successor.stop(&rig).await;
    }
}

/// The successor does not let a trace wait which waits at the predecessor, or was kept there.
#[tokio::test(start_paused = true)]
async fn what_began_before_the_gate_is_not_gated_by_a_successor() {
    for is_decided in [false, true] {
        let rig = Rig::new(&format!("{{decision_wait: 4s, {ERRORS}}}")).await;
        rig.offer(vec![below(span(1)), below(error(1))]).await.unwrap();
        pass(if is_decided { 5000 } else { 1000 }).await;
        let _sensor = press(&rig, REJECTED);
        let successor = Successor::of(&rig, &format!("{{decision_wait: 4s, {ERRORS}}}")).await;
        successor.offer(&rig, vec![below(span(1)), below(error(1))]).await;
        assert_eq!(out_of(&successor.sink), [(1, 1)].into(), "all that could be known");
        successor.follow(&rig).await;
        successor.offer(&rig, vec![below(span(1))]).await;
        pass(4000).await;
        let kept = out_of(&rig.sink).get(&1).copied().unwrap_or_default() + out_of(&successor.sink)[&1];
        assert_eq!(kept, 4, "all but the one that was gone before it was known, {is_decided}");
        assert_eq!(rig.world.totals(Signal::Traces).dropped.get("gated"), Some(&1));
        assert_eq!(rig.world.metric("weir_tail_sampling_split_traces"), Some(1.0), "{is_decided}");
        successor.stop(&rig).await;
    }
}

/// Decided in two parts: the earlier decision is followed from the hand-over on.
#[tokio::test(start_paused = true)]
async fn traces_that_are_decided_twice_are_counted() {
    let yaml = format!("{{max_spans_per_trace: 1, {ERRORS}}}");
    let rig = Rig::new(&yaml).await;
    rig.offer(vec![error(1), span(2), error(3), span(4)]).await.unwrap();
    let successor = Successor::of(&rig, &yaml).await;
    successor.offer(&rig, vec![span(1), error(2), error(3), span(4)]).await;
    assert_eq!(out_of(&successor.sink), [(2, 1), (3, 1)].into());
    successor.follow(&rig).await;
    assert_eq!(rig.world.metric("weir_tail_sampling_split_traces"), Some(2.0));
    successor.offer(&rig, vec![span(1), error(2), span(3), error(4)]).await;
    assert_eq!(out_of(&successor.sink), [(1, 1), (2, 1), (3, 2)].into());
    successor.stop(&rig).await;
}

/// What comes to the successor before the hand-over does not hold up what has waited longer.
#[tokio::test(start_paused = true)]
async fn what_is_passed_on_is_due_before_what_came_later() {
    let yaml = format!("{{decision_wait: 10s, {ALL}}}");
    let rig = Rig::new(&yaml).await;
    rig.offer((0..50).map(span).collect()).await.unwrap();
    pass(8000).await;
    let successor = Successor::of(&rig, &yaml).await;
    successor.offer(&rig, (100..150).map(span).collect()).await;
    successor.follow(&rig).await;
    pass(2300).await;
    assert_eq!(out_of(&successor.sink).into_keys().collect::<Vec<_>>(), (0..50).collect::<Vec<_>>(), "10.3 s");
    pass(8000).await;
    assert_eq!(out_of(&successor.sink).len(), 100);
    successor.stop(&rig).await;
}

/// A trace that waits on both sides is due when its first span has waited long enough, its root included.
#[tokio::test(start_paused = true)]
async fn parts_of_a_trace_that_waits_on_both_sides_meet() {
    let yaml = format!("{{decision_wait: 8s, decision_wait_after_root_received: 2s, {ERRORS}}}");
    let rig = Rig::new(&yaml).await;
    let root = |span: Span| Span { parent_span_id: Vec::new(), ..span };
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    pass(6900).await;
    let successor = Successor::of(&rig, &yaml).await;
    successor.offer(&rig, vec![span(1), root(error(2))]).await; // 6.9 s
    successor.follow(&rig).await;
    pass(900).await;
    assert_eq!(out_of(&successor.sink), BTreeMap::new(), "7.8 s");
    pass(600).await;
    assert_eq!(out_of(&successor.sink), [(1, 2), (2, 2)].into(), "8.4 s, both for their first spans");
    successor.stop(&rig).await;
}
