//! When traces are decided, what late spans do, what happens when memory, traces or time run out.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use component::Deadline;
use component::pressure::{Reading, Source, Step};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::{AuthData, Context, Signal};
use support::{
    Rig, asked, attribute, batch, batch_with, id, number, pass, received, request, span, status, text, with,
};
use testkit::{Answer, Sink};

const ERRORS: &str = "policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]";
const ALL: &str = "policies: [{name: all, type: always_sample}]";

fn root(span: Span) -> Span {
    Span { parent_span_id: Vec::new(), ..span }
}

fn error(trace: u64) -> Span {
    status(span(trace), 2)
}

#[tokio::test(start_paused = true)]
async fn a_decision_falls_on_the_tick_after_the_wait_of_the_first_span() {
    let rig = Rig::new(&format!("{{decision_wait: 3900ms, {ALL}}}")).await;
    pass(600).await;
    rig.offer(vec![span(1)]).await.unwrap(); // at 0.6 s; due at 3.6 s, so at the tick of 3.75 s
    pass(2000).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(1100).await;
    assert_eq!(rig.out().len(), 0, "3.7 s");
    assert_eq!(rig.metric("new_trace_id_received"), 1);
    pass(100).await;
    assert_eq!(rig.out()[&1], 2, "3.8 s; later spans do not extend the wait, its fraction is cut off");
    assert_eq!(rig.metric("sampling_trace_removal_age"), 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn traces_that_began_before_the_process_are_counted() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {ERRORS}}}")).await;
    // An hour from now, unknown, long ago; one whose root began long ago and is not the first to arrive.
    let later = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let begun = |span: Span, at: u64| Span { start_time_unix_nano: at, ..span };
    let later = later.as_nanos() as u64;
    rig.offer(vec![begun(span(1), later), begun(span(2), 0), begun(span(3), 1), begun(error(4), later)]).await.unwrap();
    rig.offer(vec![begun(span(4), 1)]).await.unwrap();
    pass(2500).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [4]);
    assert_eq!(rig.world.metric("weir_tail_sampling_begun_before_start"), Some(2.0), "kept or not");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_root_brings_the_decision_forward_but_never_back() {
    let rig = Rig::new(&format!("{{decision_wait: 10s, decision_wait_after_root_received: 2s, {ALL}}}")).await;
    pass(100).await;
    rig.offer(vec![span(1), span(2)]).await.unwrap();
    pass(1000).await;
    rig.offer(vec![root(span(1))]).await.unwrap(); // 1.1 s: due at 3.25 s
    pass(2100).await;
    assert_eq!(rig.out().len(), 0, "3.2 s");
    pass(100).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [1], "3.3 s");
    pass(5800).await;
    rig.offer(vec![root(span(2))]).await.unwrap(); // 9.1 s: would be 11.25 s, due at 10.25 s
    pass(1100).await;
    assert_eq!(rig.out().get(&2), None, "10.2 s");
    pass(100).await;
    assert_eq!(rig.out()[&2], 2, "10.3 s");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn late_spans_follow_the_decision() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {ERRORS}}}")).await;
    rig.offer(vec![error(1), span(2)]).await.unwrap();
    pass(5100).await;
    rig.offer(vec![span(1), span(1), error(2)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out()[&1], 3, "at once");
    assert_eq!(rig.out().get(&2), None, "an error that comes late does not bring back what is gone");
    assert_eq!(rig.series("early_releases_from_cache_decision", &[("sampled", "true")]), 2);
    assert_eq!(rig.series("early_releases_from_cache_decision", &[("sampled", "false")]), 1);
    assert_eq!(rig.metric("sampling_late_span_age"), 2);
    assert_eq!(rig.metric("new_trace_id_received"), 2);
    let totals = rig.world.totals(Signal::Traces);
    assert_eq!((totals.delivered, totals.dropped.get("not_sampled")), (3, Some(&2)));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn decisions_are_forgotten_beyond_the_caches() {
    let yaml = format!(
        "{{decision_wait: 1s, decision_cache: {{sampled_cache_size: 8, non_sampled_cache_size: 800}}, {ERRORS}}}"
    );
    let rig = Rig::new(&yaml).await;
    for trace in 0..200 {
        rig.offer(vec![if trace % 2 == 0 { error(trace) } else { span(trace) }]).await.unwrap();
        pass(20).await;
    }
    pass(3000).await;
    let new = rig.metric("new_trace_id_received");
    rig.offer((0..200).map(span).collect()).await.unwrap();
    let forgotten = rig.metric("new_trace_id_received") - new;
    assert!(
        (100 - 16..=92).contains(&forgotten),
        "all that were dropped are known, 8 to 16 that were kept: {forgotten}"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_many_traces_decide_the_oldest_or_refuse() {
    let rig = Rig::new(&format!("{{decision_wait: 10s, num_traces: 10, {ERRORS}}}")).await;
    for trace in 0..25 {
        rig.offer(vec![if trace == 3 { error(trace) } else { span(trace) }]).await.unwrap();
    }
    pass(10).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [3], "decided early with what was known");
    assert_eq!(rig.world.metric("weir_tail_sampling_decided_early"), Some(15.0));
    assert_eq!(rig.metric("sampling_trace_dropped_too_early"), 0);
    assert_eq!(rig.world.totals(Signal::Traces).dropped.get("not_sampled"), Some(&14), "the oldest, and no more");
    rig.stop().await;

    let rig = Rig::new(&format!("{{decision_wait: 2s, num_traces: 10, block_on_overflow: true, {ALL}}}")).await;
    for trace in 0..10 {
        rig.offer(vec![span(trace)]).await.unwrap();
    }
    let refusal = rig.offer(vec![span(10)]).await.unwrap_err();
    assert!(refusal.is_retryable() && refusal.message().contains("10 traces wait"), "{refusal}");
    pass(2500).await;
    rig.offer(vec![span(10)]).await.unwrap();
    rig.stop().await;
    assert_eq!(rig.out().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn large_traces_are_dropped_or_decided_at_once() {
    let rig = Rig::new(&format!("{{decision_wait: 5s, maximum_trace_size_bytes: 2000, {ALL}}}")).await;
    rig.offer(vec![with(span(1), "k", text(&"x".repeat(900))), span(2)]).await.unwrap();
    rig.offer(vec![with(span(1), "k", text(&"x".repeat(1200)))]).await.unwrap();
    rig.offer(vec![span(1)]).await.unwrap();
    assert_eq!(rig.metric("traces_dropped_too_large"), 1);
    assert_eq!(rig.world.totals(Signal::Traces).dropped.get("trace_too_large"), Some(&2));
    assert_eq!(rig.world.totals(Signal::Traces).dropped.get("not_sampled"), Some(&1), "later spans too");
    pass(6000).await;
    assert_eq!(rig.out().into_keys().collect::<Vec<_>>(), [2]);
    rig.stop().await;

    let rig = Rig::new(&format!("{{decision_wait: 5s, max_spans_per_trace: 3, {ALL}}}")).await;
    rig.offer(vec![span(1), span(1)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out().len(), 0);
    rig.offer(vec![span(1), span(1)]).await.unwrap();
    rig.offer(vec![span(1)]).await.unwrap();
    pass(10).await;
    assert_eq!(rig.out()[&1], 5, "decided with the fourth, the fifth streams through");
    rig.stop().await;
}

/// Bytes that the sampler says it holds.
fn held(rig: &Rig) -> f64 {
    rig.world.metric("weir_tail_sampling_held_bytes").unwrap()
}

#[tokio::test(start_paused = true)]
async fn under_pressure_the_oldest_are_decided_and_errors_are_kept() {
    let rig = Rig::new(&format!("{{decision_wait: 100s, memory_budget: 2MiB, num_traces: 1000000, {ERRORS}}}")).await;
    let padded = |span: Span| with(span, "pad", text(&"x".repeat(400)));
    let mut traces = 0;
    for second in 0..20 {
        // About 20 MiB in all.
        for _ in 0..20 {
            let spans: Vec<Span> = (traces..traces + 100)
                .map(|trace| padded(if trace % 50 == 0 { error(trace) } else { span(trace) }))
                .collect();
            traces += 100;
            rig.offer(spans).await.unwrap();
        }
        pass(1000).await;
        assert!(held(&rig) <= 2.0 * 1024.0 * 1024.0, "second {second}: {}", held(&rig));
        rig.world.check_difference().unwrap();
    }
    assert!(held(&rig) > 1.4 * 1024.0 * 1024.0, "the budget is used: {}", held(&rig));
    let account = (rig.world.account.held() - received(&rig.sink)) as f64;
    assert!(account <= 2.0 * 1024.0 * 1024.0 && account > 1.2 * 1024.0 * 1024.0, "{account}");
    rig.stop().await;
    assert_eq!(rig.out().len() as u64, traces / 50, "all errors came out");
    assert_eq!(rig.world.metric("weir_tail_sampling_refused_requests"), Some(0.0));
    let totals = rig.world.totals(Signal::Traces);
    assert_eq!(totals.delivered + totals.dropped["not_sampled"], traces);
}

#[tokio::test(start_paused = true)]
async fn with_a_destination_that_stands_still_errors_stay_and_the_rest_goes() {
    let sink = Sink::answering(Answer::Stall);
    let rig =
        Rig::with_sink(&format!("{{decision_wait: 1s, memory_budget: 1MiB, num_traces: 100000, {ERRORS}}}"), sink)
            .await;
    let padded = |span: Span| with(span, "pad", text(&"x".repeat(1000)));
    let (mut offered, mut errors, mut refused) = (0_u64, 0, 0);
    for round in 0..200 {
        let spans = (0..20).map(|n| padded(if n == 0 { error(offered + n) } else { span(offered + n) })).collect();
        match rig.offer(spans).await {
            Ok(()) => errors += 1,
            Err(refusal) => {
                assert!(refusal.is_retryable() && refusal.message().contains("bytes are held"), "{refusal}");
                refused += 1;
            }
        }
        offered += 20;
        if round % 20 == 0 {
            pass(1000).await;
        }
    }
    // 200 errors of a KB fit, 4000 spans would not.
    assert_eq!((errors, refused), (200, 0));
    for _ in 0..2000 {
        if rig.offer((0..5).map(|n| padded(error(offered + n))).collect()).await.is_ok() {
            errors += 5;
        } else {
            refused += 1;
        }
        offered += 5;
    }
    assert!(refused > 0, "errors alone are refused when nothing else is left");
    assert!(errors > 600, "but not before the budget is used: {errors}");
    pass(1000).await;
    assert!(held(&rig) < 1.1 * 1024.0 * 1024.0, "{}", held(&rig));
    rig.sink.release();
    rig.sink.answer(Answer::Accept);
    pass(5000).await;
    rig.stop().await;
    assert_eq!(rig.out().len(), errors);
}

#[tokio::test(start_paused = true)]
async fn a_trace_of_very_many_spans_streams_and_hurts_nobody() {
    let rig = Rig::new(&format!("{{decision_wait: 5s, memory_budget: 4MiB, {ALL}}}")).await;
    let pad = |span: Span| with(span, "pad", text(&"x".repeat(200)));
    for round in 0..100 {
        let mut spans = vec![pad(span(1)); 1000];
        spans.push(pad(span(100 + round)));
        rig.offer(spans).await.unwrap();
        pass(20).await;
        rig.world.check_difference().unwrap();
    }
    pass(900).await;
    assert!(held(&rig) <= 4.0 * 1024.0 * 1024.0, "{}", held(&rig));
    assert!(rig.out()[&1] > 90_000, "it is not waited for");
    assert_eq!(rig.out().len(), 1, "the others wait as they should");
    pass(6000).await;
    rig.stop().await;
    assert_eq!((rig.out().len(), rig.out()[&1]), (101, 100_000));
    let largest = rig.sink.received().iter().map(|received| received.payload.encoded_len()).max().unwrap();
    assert!(largest < 2 << 20, "{largest}");
    assert_eq!(rig.series("count_traces_sampled", &[("policy", "test.all")]), 101);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_decides_or_drops_what_waits() {
    let rig = Rig::new(&format!("{{decision_wait: 10s, {ERRORS}}}")).await;
    rig.offer((0..50).map(|trace| if trace < 20 { error(trace) } else { span(trace) }).collect()).await.unwrap();
    rig.stop().await;
    let order: Vec<u64> = rig.spans().iter().map(number).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>(), "in order of arrival");
    assert_eq!(rig.world.account.held(), received(&rig.sink));
    let refusal = rig.offer(vec![span(1)]).await.unwrap_err();
    assert!(refusal.is_retryable());

    let rig = Rig::new(&format!("{{decision_wait: 10s, drop_pending_traces_on_shutdown: true, {ALL}}}")).await;
    rig.offer(vec![span(1), span(2)]).await.unwrap();
    rig.stop().await;
    assert_eq!(rig.out().len(), 0);
    assert_eq!(rig.world.totals(Signal::Traces).dropped.get("shutdown"), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_cannot_deliver_says_so() {
    let sink = Sink::answering(Answer::Retryable);
    let rig = Rig::with_sink(&format!("{{decision_wait: 10s, memory_budget: 4MiB, {ALL}}}"), sink).await;
    let pad = |span: Span| with(span, "pad", text(&"x".repeat(2000)));
    for trace in 0..1000 {
        rig.offer(vec![pad(span(trace))]).await.unwrap();
    }
    let error = rig.component.shutdown(Deadline::after(Duration::from_secs(3))).await.unwrap_err();
    assert!(error.to_string().contains("1000 spans were dropped"), "{error}");
    rig.world.check_settled().unwrap();
}

#[tokio::test(start_paused = true)]
async fn tenants_and_authentications_have_traces_of_their_own() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {ERRORS}}}")).await;
    let auth = |name: &str| Some(Arc::new(AuthData { attributes: vec![("username".into(), vec![name.into()])] }));
    let of = |tenant: &str, user: &str| Context {
        tenant: Some(tenant.into()),
        auth: auth(user),
        transport: "grpc",
        ..Context::default()
    };
    for (tenant, user, spans) in [
        ("a", "x", vec![error(1), span(1)]),
        ("b", "x", vec![span(1)]),
        ("a", "y", vec![span(1)]),
        ("a", "x", vec![span(1)]),
    ] {
        rig.offer_batch(batch_with(request(vec![], spans), of(tenant, user))).await.unwrap();
    }
    pass(2500).await;
    let received = rig.sink.received();
    assert_eq!(received.len(), 1);
    let context = &received[0].context;
    assert_eq!((received[0].payload.items(), context.tenant_name(), context.transport), (3, "a", ""));
    assert_eq!(context.auth.as_ref().unwrap().get("username"), Some("x"));
    assert_eq!(rig.metric("new_trace_id_received"), 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_around_spans_comes_out_as_it_went_in() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {ALL}}}")).await;
    let resource = |name: &str| vec![attribute("service.name", text(name))];
    for trace in 0..3 {
        rig.offer_batch(batch(request(resource("a"), vec![span(trace), span(trace + 1)]))).await.unwrap();
        rig.offer_batch(batch(request(resource("b"), vec![span(trace)]))).await.unwrap();
    }
    pass(2500).await;
    let requests = rig.requests();
    assert_eq!(requests.len(), 1, "traces go out together");
    let groups = &requests[0].resource_spans;
    assert_eq!(groups.len(), 2, "a resource stands there once");
    for (group, (name, spans)) in groups.iter().zip([("a", 6), ("b", 3)]) {
        assert_eq!(group.resource.as_ref().unwrap().attributes, resource(name));
        assert_eq!((group.schema_url.as_str(), group.scope_spans[0].schema_url.as_str()), ("resource", "scope"));
        assert_eq!((group.scope_spans.len(), group.scope_spans[0].spans.len()), (1, spans));
    }
    rig.stop().await;
}

/// Tables are made for traces that fit the budget, however many are expected.
#[tokio::test(start_paused = true)]
async fn what_is_expected_costs_no_more_than_the_budget() {
    let huge = format!("num_traces: {0}, expected_new_traces_per_sec: {0}", u64::MAX >> 1);
    let rig = Rig::new(&format!("{{memory_budget: 1MiB, decision_wait: 1s, {huge}, {ALL}}}")).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(2500).await;
    assert!(held(&rig) < 256.0 * 1024.0, "{}", held(&rig));
    assert_eq!(rig.out(), [(1, 1)].into());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn spans_without_a_trace_are_one_trace() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {ALL}}}")).await;
    let without = || Span { trace_id: Vec::new(), ..span(0) };
    rig.offer(vec![without(), without()]).await.unwrap();
    pass(2500).await;
    assert_eq!((rig.spans().len(), rig.metric("new_trace_id_received")), (2, 1));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn decisions_can_be_asked_for() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, decision_log_size: 2, {ERRORS}}}")).await;
    rig.offer(vec![span(1)]).await.unwrap();
    pass(1000).await;
    rig.offer(vec![error(2), span(2)]).await.unwrap();
    pass(1000).await;
    rig.offer(vec![span(3)]).await.unwrap();
    pass(2500).await;
    let ask = |trace: u64| -> serde_json::Value {
        let id: String = id(trace).iter().map(|byte| format!("{byte:02x}")).collect();
        let page =
            rig.world.registry.pages().answer("/tail_sampling/decisions", &format!("trace_id={id}")).unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&page).unwrap()["tail_sampling/test"].take()
    };
    assert_eq!(ask(1), serde_json::json!([]), "forgotten");
    rig.offer(vec![span(4), span(4)]).await.unwrap();
    let waits = &ask(4)[0];
    assert_eq!((&waits["decision"], &waits["spans"]), (&"waits".into(), &2.into()));
    let left = waits["left_s"].as_f64().unwrap();
    assert!((0.9..=1.3).contains(&left), "{waits}");
    let wrong =
        |query: &str| rig.world.registry.pages().answer("/tail_sampling/decisions", query).unwrap().unwrap_err();
    assert_eq!(wrong("trace_id=zz"), "`zz` is no trace ID: 32 hexadecimal digits are expected");
    assert!(wrong("trace_id=").contains("is no trace ID"));
    let kept = &ask(2)[0];
    assert_eq!(
        (&kept["decision"], &kept["policy"], &kept["cause"]),
        (&"sampled".into(), &"errors".into(), &"wait".into())
    );
    assert_eq!((&kept["spans"], &kept["duration_ms"], &kept["waited_s"]), (&2.into(), &10.into(), &1.into()));
    let dropped = &ask(3)[0];
    assert_eq!((&dropped["decision"], dropped["policy"].is_null()), (&"not_sampled".into(), true));
    let count = rig.world.registry.pages().render("/tail_sampling/decisions").unwrap();
    assert!(count.contains("\"decisions\":2"), "{count}");
    rig.stop().await;
    assert_eq!(rig.world.registry.pages().render("/tail_sampling/decisions"), None);
}

#[tokio::test(start_paused = true)]
async fn the_degraded_mode_decides_sooner_and_thins_what_only_chance_keeps() {
    let policies = "policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}, {name: base, type: \
                    probabilistic, probabilistic: {sampling_percentage: 50}}]";
    for consistent in [false, true] {
        let rig = Rig::new(&format!("{{decision_wait: 9s, adjusted_counts: {consistent}, {policies}}}")).await;
        let pressure = rig.world.host.pressure();
        let sensor = pressure.sense();
        rig.offer((0..1000).map(|trace| if trace < 100 { error(trace) } else { span(trace) }).collect()).await.unwrap();
        assert!(pressure.fullest(Source::TraceBuffer).unwrap() > 0.0);
        // Three quarters of all randomness are rejected.
        sensor.set(&Reading { step: Step::Thin, value: 0.6, rejected: [3 << 54, 3 << 54, 0] });
        pass(3100).await;
        let out = rig.out();
        assert_eq!(out.keys().filter(|trace| **trace < 100).count(), 100, "errors stay, after a third of the wait");
        // 225 where both have the same randomness, 112 where not.
        let (least, most) = if consistent { (180, 270) } else { (80, 145) };
        assert!((least..most).contains(&(out.len() - 100)), "{consistent}: {}", out.len());
        let shed = rig.world.metric("weir_overload_shed_items").unwrap();
        assert_eq!(Some(&(shed as u64)), rig.world.totals(Signal::Traces).dropped.get("thinned"));
        assert!(shed > 150.0, "{shed}");
        assert_eq!(rig.world.metric("weir_tail_sampling_decided_early"), Some(1000.0));
        drop(sensor);
        rig.offer((2000..3000).map(span).collect()).await.unwrap();
        pass(4000).await;
        assert_eq!(rig.out().len(), out.len(), "calm again");
        rig.stop().await;
        assert_eq!(pressure.fullest(Source::TraceBuffer), None);
    }
}

#[tokio::test(start_paused = true)]
async fn votes_are_counted_in_traces_spans_and_bytes() {
    let policies = "policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}, {name: dropped, type: drop, \
                    drop: {drop_sub_policy: [{name: k, type: string_attribute, string_attribute: {key: k, values: [v]}}]}}]";
    let rig = Rig::new(&format!("{{decision_wait: 1s, {policies}}}")).await;
    rig.offer(vec![error(1), span(1), span(1), span(2), with(error(3), "k", text("v")), span(3)]).await.unwrap();
    pass(2500).await;
    let bytes = |trace: u64| -> u64 {
        let page = asked(&rig.world, trace);
        page[0]["bytes"].as_u64().unwrap()
    };
    for (policy, decision, traces) in [
        ("errors", "sampled", &[1_u64][..]),
        ("errors", "not_sampled", &[2]),
        ("dropped", "dropped", &[3]),
        ("dropped", "not_sampled", &[1, 2]),
    ] {
        let labels = [("policy", &*format!("test.{policy}")), ("decision", decision)];
        let spans = |trace: &u64| [0, 3, 1, 2][*trace as usize];
        let counts = [
            ("count_traces_sampled", traces.len() as u64),
            ("count_spans_sampled", traces.iter().map(spans).sum()),
            ("count_bytes_sampled", traces.iter().map(|trace| bytes(*trace)).sum()),
        ];
        for (name, count) in counts {
            assert_eq!(rig.series(name, &labels), count, "{name} {labels:?}");
        }
    }
    assert_eq!(
        rig.series("sampling_policy_execution_count", &[("policy", "test.errors")]),
        2,
        "not asked when one dropped"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_policies_is_shown() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, num_traces: 100000, {ERRORS}}}")).await;
    rig.offer((0..20_000).map(span).collect()).await.unwrap();
    pass(2500).await;
    // 313 of the decisions were timed, each counts for 64: that is more than a clock tick.
    assert!(rig.metric("sampling_policy_execution_time_sum") > 0);
    rig.stop().await;
}
