//! The strategy `span-ingest`: what decides at once, what waits, what is gone in the end.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use component::decisions::Answer;
use component::pressure::{Reading, Step};
use component::{Consumer, Deadline};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::{Context, Signal};
use processor_tail_sampling::factory;
use support::{EPOCH_NS, MS, Rig, asked, attribute, batch, id, out_of, pass, request, span, status, text, with};
use testkit::{Sink, Subject};

const ERRORS: &str = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
const GOLD: &str = "{name: gold, type: string_attribute, string_attribute: {key: tier, values: [gold]}}";
const SLOW: &str = "{name: slow, type: latency, latency: {threshold_ms: 100}}";
const ALL: &str = "{name: all, type: always_sample}";

fn ingest(settings: &str, policies: &str) -> String {
    format!("{{sampling_strategy: span-ingest, decision_wait: 2s, {settings}policies: [{policies}]}}")
}

fn error(trace: u64) -> Span {
    status(span(trace), 2)
}

fn gold(trace: u64) -> Span {
    with(span(trace), "tier", text("gold"))
}

/// A span of 10 ms that begins so many milliseconds after others.
fn after(milliseconds: u64) -> Span {
    let start_time_unix_nano = EPOCH_NS + milliseconds * MS;
    Span { start_time_unix_nano, end_time_unix_nano: start_time_unix_nano + 10 * MS, ..span(1) }
}

fn and(subs: &[&str]) -> String {
    format!("{{name: and, type: and, and: {{and_sub_policy: [{}]}}}}", subs.join(", "))
}

fn drop_(subs: &[&str]) -> String {
    format!("{{name: drop, type: drop, drop: {{drop_sub_policy: [{}]}}}}", subs.join(", "))
}

/// Requests with spans of one trace, one after another; how many spans are out after each, and after the wait.
#[tokio::test(start_paused = true)]
async fn each_request_is_looked_at_alone_and_what_it_decides_is_final() {
    let plain = || span(1);
    let inverted = GOLD.replace("[gold]", "[gold], invert_match: true");
    let not = format!("{{name: not, type: not, not: {{not_sub_policy: {ERRORS}}}}}");
    let three = "{name: three, type: span_count, span_count: {min_spans: 3}}".to_owned();
    let errors = || ERRORS.to_owned();
    let drops = |other: &str| format!("{other}, {}", drop_(&[ERRORS]));
    for (name, policies, requests, expected) in [
        ("what comes first waits", errors(), vec![vec![plain()], vec![error(1)], vec![plain()]], vec![0, 2, 3, 3]),
        ("at once, later ones too", errors(), vec![vec![error(1)], vec![plain()]], vec![1, 2, 2]),
        ("in one request", errors(), vec![vec![plain(), error(1), plain()]], vec![3, 3]),
        ("no reason to keep", errors(), vec![vec![plain()], vec![plain()]], vec![0, 0, 0]),
        ("halves of `and` apart", and(&[GOLD, ERRORS]), vec![vec![gold(1)], vec![error(1)]], vec![0, 0, 0]),
        ("halves of `and` together", and(&[GOLD, ERRORS]), vec![vec![gold(1), error(1)]], vec![2, 2]),
        ("both halves, late", and(&[GOLD, ERRORS]), vec![vec![plain()], vec![status(gold(1), 2)]], vec![0, 2, 2]),
        ("far apart in time", SLOW.to_owned(), vec![vec![after(0)], vec![after(500)]], vec![0, 0, 0]),
        ("far apart, together", SLOW.to_owned(), vec![vec![after(0), after(500)]], vec![2, 2]),
        ("spans are counted over all", three, vec![vec![plain(), plain()], vec![plain()]], vec![0, 3, 3]),
        ("inverted, at once", inverted.clone(), vec![vec![plain()], vec![gold(1)]], vec![1, 2, 2]),
        ("inverted, not at first", inverted, vec![vec![gold(1)], vec![plain()]], vec![0, 2, 2]),
        ("`not`, at once", not, vec![vec![plain()], vec![error(1)]], vec![1, 2, 2]),
        ("the first that keeps", format!("{ERRORS}, {ALL}"), vec![vec![plain()]], vec![1, 1]),
        ("something may be dropped yet", drops(ALL), vec![vec![plain()], vec![plain()]], vec![0, 0, 2]),
        ("dropped later", drops(ALL), vec![vec![plain()], vec![error(1)], vec![plain()]], vec![0, 0, 0, 0]),
        ("dropped at once", drops(ALL), vec![vec![error(1)], vec![gold(1)]], vec![0, 0, 0]),
        ("kept by the second", drops(GOLD), vec![vec![plain()], vec![gold(1)], vec![plain()]], vec![0, 0, 0, 3]),
        ("neither kept nor dropped", drops(GOLD), vec![vec![plain()]], vec![0, 0]),
        (
            "halves of `drop` apart",
            format!("{ALL}, {}", drop_(&[GOLD, ERRORS])),
            vec![vec![gold(1)], vec![error(1)]],
            vec![0, 0, 2],
        ),
    ] {
        let rig = Rig::new(&ingest("", &policies)).await;
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        for spans in requests {
            let spans: Vec<Span> = spans
                .into_iter()
                .map(|span| {
                    let span = Span { name: format!("s{}", sent.len()), ..span };
                    sent.push(span.name.clone());
                    span
                })
                .collect();
            rig.offer(spans).await.unwrap();
            pass(10).await;
            out.push(rig.spans().len());
        }
        pass(3000).await;
        out.push(rig.spans().len());
        assert_eq!(out, expected, "{name}");
        let names: Vec<String> = rig.spans().into_iter().map(|span| span.name).collect();
        assert!(names.is_empty() || names == sent, "{name}: whole, in order of arrival: {names:?}");
        // Decisions hold for what comes still later.
        rig.offer(vec![error(1)]).await.unwrap();
        pass(10).await;
        assert_eq!(rig.spans().len() > out[out.len() - 1], out[out.len() - 1] > 0, "{name}");
        let decisions = rig.metric("global_count_traces_sampled");
        assert_eq!((decisions, rig.metric("new_trace_id_received")), (1, 1), "{name}");
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn decisions_are_counted_logged_and_named() {
    let policies = format!("{ERRORS}, {GOLD}");
    let rig = Rig::new(&ingest("reason_attribute: why, ", &policies)).await;
    let spans = vec![span(1), error(2), gold(3), span(4), status(gold(5), 2)];
    rig.offer(spans).await.unwrap();
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    pass(10).await;
    let reason = |span: &Span| format!("{:?}", span.attributes.last().unwrap());
    assert_eq!(rig.out(), [(1, 2), (2, 2), (3, 1), (5, 1)].into());
    assert!(rig.spans().iter().all(|span| reason(span).contains(if span.trace_id == id(3) {
        "gold"
    } else {
        "errors"
    })));
    pass(3000).await;
    for (trace, decision, policy, cause, spans, waited) in [
        (1, "sampled", Some("errors"), "ingest", 2, 0),
        (2, "sampled", Some("errors"), "ingest", 1, 0),
        (3, "sampled", Some("gold"), "ingest", 1, 0),
        (4, "not_sampled", None, "wait", 1, 2),
        (5, "sampled", Some("errors"), "ingest", 1, 0),
    ] {
        let told = &asked(&rig.world, trace)[0];
        assert_eq!((&told["decision"], &told["cause"]), (&decision.into(), &cause.into()), "{trace}");
        assert_eq!((told["policy"].as_str(), &told["spans"]), (policy, &spans.into()), "{trace}");
        assert_eq!(told["waited_s"], waited, "{trace}");
    }
    // Each request is asked about once, up to the first vote to keep, and never again.
    for (policy, decision, count) in
        [("errors", "sampled", 3), ("errors", "not_sampled", 3), ("gold", "sampled", 1), ("gold", "not_sampled", 2)]
    {
        let policy = format!("test.{policy}");
        let labels = [("policy", policy.as_str()), ("decision", decision)];
        assert_eq!(rig.series("count_traces_sampled", &labels), count, "{labels:?}");
    }
    assert_eq!(rig.series("global_count_traces_sampled", &[("decision", "sampled")]), 4);
    assert_eq!(rig.series("global_count_traces_sampled", &[("decision", "not_sampled")]), 1);
    assert_eq!(rig.world.metric("weir_tail_sampling_decided_early"), Some(0.0));
    assert_eq!(rig.series("early_releases_from_cache_decision", &[("sampled", "true")]), 1);
    assert_eq!(rig.world.totals(Signal::Traces).dropped.get("not_sampled"), Some(&1));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_wait_comes_sooner_after_a_root() {
    let rig = Rig::new(&ingest("decision_wait_after_root_received: 1s, ", ERRORS)).await;
    rig.offer(vec![Span { parent_span_id: Vec::new(), ..span(1) }, span(2)]).await.unwrap();
    pass(1300).await;
    rig.offer(vec![error(1), error(2)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out(), [(2, 2)].into(), "1.3 s: the first was not kept, the second waited still");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait() {
    let policies = format!("{ERRORS}, {}", drop_(&[GOLD]));
    for (settings, out, dropped) in [("", 1, "not_sampled"), ("drop_pending_traces_on_shutdown: true, ", 0, "shutdown")]
    {
        let rig = Rig::new(&ingest(settings, &policies)).await;
        rig.offer(vec![error(1), span(2), gold(3)]).await.unwrap();
        pass(10).await;
        assert_eq!(rig.out().len(), 0, "one might have been dropped");
        rig.stop().await;
        assert_eq!(rig.out().len(), out, "{settings}");
        assert!(rig.world.totals(Signal::Traces).dropped[dropped] > 0, "{settings}");
    }
}

/// What is decided takes no room; what is not goes first when there is none.
#[tokio::test(start_paused = true)]
async fn only_undecided_traces_take_room() {
    let rig = Rig::new(&ingest("num_traces: 10, block_on_overflow: true, ", ERRORS)).await;
    rig.offer((0..500).map(error).collect()).await.unwrap();
    rig.offer((1000..1010).map(span).collect()).await.unwrap();
    assert_eq!(rig.metric("sampling_traces_on_memory"), 0, "shown at the next tick");
    pass(300).await;
    assert_eq!((rig.out().len(), rig.metric("sampling_traces_on_memory")), (500, 10));
    rig.offer(vec![error(2000)]).await.unwrap_err();
    rig.stop().await;

    let rig = Rig::new(&ingest("num_traces: 10, ", ERRORS)).await;
    for trace in 0..30 {
        rig.offer(vec![if trace % 2 == 0 { error(trace) } else { span(trace) }]).await.unwrap();
    }
    assert_eq!(rig.world.metric("weir_tail_sampling_decided_early"), Some(5.0), "15 undecided, 5 too many");
    assert_eq!(asked(&rig.world, 1)[0]["cause"], "num_traces");
    rig.offer(vec![error(1), error(29)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out().len(), 16, "the oldest is gone for good, the youngest is kept with what it had");
    assert_eq!(rig.out()[&29], 2);
    rig.stop().await;

    let pad = |span: Span| with(span, "pad", text(&"x".repeat(1000)));
    let rig = Rig::new(&ingest("maximum_trace_size_bytes: 2500, ", ERRORS)).await;
    rig.offer(vec![pad(span(1)), pad(span(2))]).await.unwrap();
    rig.offer(vec![pad(span(1)), pad(error(2))]).await.unwrap();
    rig.offer(vec![pad(error(1)), pad(span(2))]).await.unwrap();
    pass(10).await;
    assert_eq!(
        (rig.out(), rig.metric("traces_dropped_too_large")),
        ([(2, 3)].into(), 1),
        "size counts until a decision"
    );
    rig.stop().await;
}

/// The budget holds while what is decided flows, and no error is lost.
#[tokio::test(start_paused = true)]
async fn the_budget_holds() {
    let rig = Rig::new(&ingest("memory_budget: 1MiB, num_traces: 1000000, ", ERRORS)).await;
    let pad = |span: Span| with(span, "pad", text(&"x".repeat(500)));
    for round in 0..100 {
        let spans = (0..100).map(|n| pad(if n == 0 { error(round * 100) } else { span(round * 100 + n) }));
        rig.offer(spans.collect()).await.unwrap();
        pass(5).await;
        rig.world.check_difference().unwrap();
        assert!(rig.world.metric("weir_tail_sampling_held_bytes").unwrap() <= 1_048_576.0);
    }
    assert_eq!(rig.out().len(), 100);
    assert!(rig.world.metric("weir_tail_sampling_decided_early").unwrap() > 5000.0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn chance_decides_last_where_it_is_written_down() {
    // Randomness of the trace ID: all of it, or none.
    let of = |trace: u64, randomness: u64, span: Span| Span {
        trace_id: [trace.to_be_bytes(), randomness.to_be_bytes()].concat(),
        ..span
    };
    let (lucky, unlucky) = ((1 << 56) - 1, 0);
    let half = "{name: half, type: probabilistic, probabilistic: {sampling_percentage: 50}}";
    let not = format!("{{name: not, type: not, not: {{not_sub_policy: {half}}}}}");
    let mixed = and(&[ERRORS, &not.replace("name: not", "name: inner")]);
    let states = |rig: &Rig| {
        let mut states: Vec<(u64, String)> =
            rig.spans().iter().map(|span| (support::number(span), span.trace_state.clone())).collect();
        states.sort();
        states
    };
    let kept = |trace: u64, state: &str| (trace, state.to_owned());
    let rig = Rig::new(&ingest("adjusted_counts: true, ", &format!("{ERRORS}, {half}"))).await;
    let batch = |span: fn(u64) -> Span| vec![of(1, lucky, span(1)), of(2, unlucky, span(2))];
    rig.offer([batch(span), vec![of(3, lucky, span(3))]].concat()).await.unwrap();
    pass(10).await;
    assert_eq!(states(&rig), [], "half of them are kept, but with which weight?");
    rig.offer(batch(error)).await.unwrap();
    pass(10).await;
    assert_eq!(states(&rig), [kept(1, ""), kept(1, ""), kept(2, ""), kept(2, "")], "all of them stand for one");
    pass(3000).await;
    assert_eq!(states(&rig)[4..], [kept(3, "ot=th:8")]);
    rig.stop().await;

    // A vote whose chance nobody knows makes that of the whole trace unknown, whichever request it came with.
    let policies = format!("{mixed}, {half}");
    for order in [[span(1), error(1)], [error(1), span(1)]] {
        let rig = Rig::new(&ingest("adjusted_counts: true, ", &policies)).await;
        for span in order {
            rig.offer(vec![Span { trace_state: "ot=th:4".to_owned(), ..of(1, lucky, span) }]).await.unwrap();
        }
        pass(3000).await;
        assert_eq!(states(&rig), [kept(1, ""), kept(1, "")]);
        rig.stop().await;
    }

    // Nothing is written down: nothing to wait for.
    let rig =
        Rig::new(&ingest("", "{name: all, type: probabilistic, probabilistic: {sampling_percentage: 100}}")).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out().len(), 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn followers_learn_what_was_decided() {
    let rig = Rig::new(&ingest("", ERRORS)).await;
    let registry = &rig.world.registry;
    let answer = |trace: u64| {
        let id = "tail_sampling/test".parse().unwrap();
        registry.decisions().of(&id).decided(&Context::default(), &support::id(trace).try_into().unwrap())
    };
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    assert!(matches!(answer(1), Answer::Kept(_)), "at once");
    assert_eq!((answer(2), answer(3)), (Answer::Waits, Answer::Unknown));
    pass(3000).await;
    assert_eq!(answer(2), Answer::Dropped);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_degraded_mode() {
    let rig = Rig::new(&ingest("", ERRORS)).await;
    let sensor = rig.world.host.pressure().sense();
    let reading = |step: Step, rejected: u64| Reading { step, value: 0.8, rejected: [rejected, rejected, 0] };
    sensor.set(&reading(Step::Trim, 0));
    rig.offer(vec![span(1)]).await.unwrap();
    pass(1100).await;
    assert_eq!(asked(&rig.world, 1)[0]["cause"], "overload", "a third of the wait, at least a second");
    // No randomness passes: nothing waits, spans are kept by themselves.
    sensor.set(&reading(Step::Gate, 1 << 56));
    rig.offer(vec![error(2), span(2)]).await.unwrap();
    rig.offer(vec![span(2), error(2)]).await.unwrap();
    pass(10).await;
    assert_eq!((rig.out(), rig.metric("sampling_traces_on_memory")), ([(2, 2)].into(), 0));
    rig.stop().await;
}

/// What waits at a reload is one arrival for the successor; either strategy can follow the other.
#[tokio::test(start_paused = true)]
async fn a_successor_asks_again() {
    let complete = format!("{{decision_wait: 2s, policies: [{GOLD}]}}");
    let here = ingest("", ERRORS);
    for (before, then, at_once, in_the_end) in [
        (&here, &here, &[][..], &[][..]),
        (&here, &ingest("", &format!("{ERRORS}, {GOLD}")), &[1, 2], &[1, 2]),
        (&here, &complete, &[], &[1, 2]),
        (&complete, &here, &[], &[]),
        // Golden and slow in two requests, which are one now.
        (&here, &ingest("", &and(&[GOLD, SLOW])), &[1], &[1]),
    ] {
        let rig = Rig::new(before).await;
        let sink = Sink::accepting();
        rig.offer(vec![gold(1), gold(2), span(3)]).await.unwrap();
        rig.offer(vec![after(500)]).await.unwrap();
        pass(1000).await;
        let successor = Subject::new(factory()).with_config(then).build(&rig.world, sink.clone()).unwrap();
        successor.component.start(&rig.world.host).await.unwrap();
        let heir: Arc<dyn Consumer> = successor.consumer.unwrap();
        rig.component.hand_over(&heir, Deadline::after(Duration::from_secs(5))).unwrap().await.unwrap();
        pass(10).await;
        let traces = || out_of(&sink).into_keys().collect::<Vec<u64>>();
        assert_eq!(traces(), at_once, "{before}, then {then}");
        pass(1200).await;
        assert_eq!(traces(), in_the_end, "{before}, then {then}");
        successor.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        rig.world.check_settled().unwrap();
    }
}

/// Resources belong to the spans that arrive with them.
#[tokio::test(start_paused = true)]
async fn resources_count_where_they_stand() {
    let rig = Rig::new(&ingest("", &and(&[GOLD, ERRORS]))).await;
    let resource = || vec![attribute("tier", text("gold"))];
    rig.offer_batch(batch(request(resource(), vec![span(1), error(2)]))).await.unwrap();
    rig.offer(vec![error(1)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out(), [(2, 1)].into());
    rig.stop().await;
}
