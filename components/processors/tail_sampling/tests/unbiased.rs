//! Requests, errors and durations, counted from what is kept and weighted by 1/p of `th`, are those of everything: over head
//! and tail samplers, tiers, policies by chance, and the degraded mode.
//!
//! Stated error: every estimate (spans, errors and each bucket of durations, by route) is within four standard deviations, estimated
//! from the sample itself. Decisions are a function of trace IDs, so a run is the same every time.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use component::Consumer;
use component::pressure::{Reading, Sensor, Step};
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::Signal;
use sampling::TraceState;
use support::{EPOCH_NS, MS, Rig, batch, lasting, number, pass, request, span, status, text, with};
use testkit::otlp_scramble::Random;
use testkit::{Sink, Subject, World};

const TRACES: u64 = 10_000;
/// Upper bounds of buckets of durations, in ms.
const BOUNDS: [u64; 5] = [10, 50, 200, 1000, u64::MAX];

const ERRORS: &str = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
const SLOW: &str = "{name: slow, type: latency, latency: {threshold_ms: 1000}}";
const BASE: &str = "{name: base, type: probabilistic, probabilistic: {sampling_percentage: 10}}";

/// Traces of one to four spans, in order of their arrival: one in fifty has an error, one in thirty a slow span. Roots come first, what
/// fails or lasts comes in a later request.
fn traffic() -> Vec<Vec<Span>> {
    let mut random = Random::new(7);
    let mut requests = Vec::new();
    for first in (0..TRACES).step_by(500) {
        let (mut early, mut late) = (Vec::new(), Vec::new());
        for trace in first..first + 500 {
            let route = ["/busy", "/busy", "/busy", "/rare"][random.below(4)];
            let mut spans = Vec::new();
            for n in 0..=random.below(4) {
                let milliseconds = if n > 0 && random.below(60) == 0 { 1500 } else { 1 + random.below(300) as u64 };
                let span = lasting(with(span(trace), "http.route", text(route)), milliseconds);
                let span = if n > 0 && random.below(75) == 0 { status(span, 2) } else { span };
                let span = Span { trace_state: "ot=th:0".to_owned(), ..span };
                spans.push(span);
            }
            let is_bad = |span: &Span| span.status.is_some() || span.end_time_unix_nano - EPOCH_NS > 1000 * MS;
            let kind = if spans.iter().any(is_bad) { "bad" } else { "good" };
            let mut spans = spans.into_iter().map(|span| with(span, "kind", text(kind)));
            early.extend(spans.next());
            late.extend(spans);
        }
        requests.extend([early, late]);
    }
    requests
}

/// Sums by what is counted.
#[derive(Default)]
struct Counts(BTreeMap<String, f64>);

impl Counts {
    fn add(&mut self, span: &Span, weight: f64) {
        let route = match &span.attributes[0].value.as_ref().unwrap().value {
            Some(value) => format!("{value:?}"),
            None => String::new(),
        };
        let milliseconds = (span.end_time_unix_nano - span.start_time_unix_nano) / MS;
        let bucket = BOUNDS.iter().find(|bound| milliseconds <= **bound).unwrap();
        let is_error = span.status.as_ref().is_some_and(|status| status.code == 2);
        // Spans beside those for which a trace is kept are the ones that are easily counted wrong.
        let is_beside =
            !is_error && milliseconds <= 1000 && span.attributes[1].value.as_ref().unwrap().value == Some(text("bad"));
        let kinds = [
            Some("spans".to_owned()),
            is_error.then(|| "errors".to_owned()),
            is_beside.then(|| "others in bad traces".to_owned()),
            Some(format!("≤ {bucket} ms")),
        ];
        for kind in kinds.into_iter().flatten() {
            *self.0.entry(format!("{kind} of {route}")).or_default() += weight;
        }
    }
}

/// The share of spans that is kept, after every estimate was compared.
fn compare(name: &str, everything: &[Vec<Span>], kept: &[Span]) -> f64 {
    let (mut truth, mut estimate, mut plain) = (Counts::default(), Counts::default(), Counts::default());
    everything.iter().flatten().for_each(|span| truth.add(span, 1.0));
    // Spans of one trace are kept together, so they err together: the variance is that of traces.
    let mut of_traces: BTreeMap<u64, (Counts, f64)> = BTreeMap::new();
    for span in kept {
        let threshold = TraceState::parse(&span.trace_state).unwrap().threshold;
        assert!(threshold.is_some(), "{name}: {span:?} has no weight");
        let weight = threshold.unwrap().adjusted_count();
        estimate.add(span, weight);
        plain.add(span, 1.0);
        let (counts, least) = of_traces.entry(number(span)).or_insert((Counts::default(), 0.0));
        counts.add(span, weight);
        *least = least.max(1.0 - 1.0 / weight);
    }
    let mut variance: BTreeMap<&str, f64> = BTreeMap::new();
    for (counts, rejected) in of_traces.values() {
        for (what, sum) in &counts.0 {
            *variance.entry(what).or_default() += sum * sum * rejected;
        }
    }
    let mut biased = 0;
    for (what, truth) in &truth.0 {
        let found = estimate.0.get(what).copied().unwrap_or_default();
        let deviation = variance.get(what.as_str()).copied().unwrap_or_default().sqrt();
        // Thresholds have four digits.
        let allowed = 4.0 * deviation + 0.001 * truth;
        assert!(
            (found - truth).abs() <= allowed,
            "{name}: {found:.0} {what}, in truth {truth}, allowed ± {allowed:.0}"
        );
        if what.starts_with("spans") {
            assert!(deviation < 0.1 * truth, "{name}: {what} says little: ± {deviation:.0} of {truth}");
        }
        biased += usize::from((plain.0.get(what).copied().unwrap_or_default() - truth).abs() > allowed);
    }
    assert!(biased > truth.0.len() / 2, "{name}: without weights most would be wrong");
    kept.len() as f64 / everything.iter().flatten().count() as f64
}

fn tail(policies: &[&str]) -> String {
    let policies = policies.join(", ");
    format!("{{decision_wait: 2s, num_traces: 1000000, adjusted_counts: true, policies: [{policies}]}}")
}

/// Through a tail sampler, behind a head sampler where one is given; the spans that come out.
async fn through(
    head: Option<&str>,
    tail: &str,
    requests: &[Vec<Span>],
    under: impl Fn(&World) -> Option<Sensor>,
) -> Vec<Span> {
    let world = World::new();
    let sensor = under(&world);
    let rig = Rig::in_world(tail, Sink::accepting(), world).await;
    let first: Arc<dyn Consumer> = match head {
        None => Arc::clone(&rig.consumer),
        Some(yaml) => {
            let head = Subject::new(processor_probabilistic_sampler::factory()).with_config(yaml);
            let head = head.with_signal(Signal::Traces).build(&rig.world, Arc::clone(&rig.consumer)).unwrap();
            head.consumer.unwrap()
        }
    };
    for spans in requests {
        rig.world.head(Arc::clone(&first)).consume(batch(request(vec![], spans.clone()))).await.unwrap();
        pass(200).await;
    }
    pass(5000).await;
    rig.stop().await;
    drop(sensor);
    rig.spans()
}

fn calm(_world: &World) -> Option<Sensor> {
    None
}

fn pressed(world: &World, step: Step, share_rejected: f64) -> Option<Sensor> {
    let sensor = world.host.pressure().sense();
    let rejected = (share_rejected * (1_u64 << 56) as f64) as u64;
    sensor.set(&Reading { step, value: 0.9, rejected: [rejected, rejected, 0] });
    Some(sensor)
}

#[tokio::test(start_paused = true)]
async fn of_a_tail_sampler() {
    let requests = traffic();
    let throughput =
        "{name: t, type: throughput, throughput: {spans_per_second: 200, key: [http.route], half_life: 5s}}";
    let rare = "{name: r, type: string_attribute, string_attribute: {key: http.route, values: [/rare]}}";
    let half = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 50}}";
    let and = format!("{{name: a, type: and, and: {{and_sub_policy: [{rare}, {half}]}}}}");
    let limit = "{name: m, type: rate_limiting, rate_limiting: {spans_per_second: 400}}";
    let limited = format!("{{name: b, type: and, and: {{and_sub_policy: [{rare}, {limit}]}}}}");
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{rare}]}}}}");
    for (name, policies, share) in [
        ("errors, slow, a tenth", &[ERRORS, SLOW, BASE][..], 0.05..0.3),
        ("throughput", &[ERRORS, throughput], 0.05..0.6),
        ("a half of some, a tenth of all", &[&and, BASE], 0.05..0.3),
        (
            "so many spans",
            &[ERRORS, SLOW, "{name: l, type: rate_limiting, rate_limiting: {spans_per_second: 600}}"],
            0.1..0.3,
        ),
        (
            "so many bytes",
            &[ERRORS, "{name: l, type: bytes_limiting, bytes_limiting: {bytes_per_second: 90000}}"],
            0.1..0.4,
        ),
        (
            "so many of some, or of all, and a share",
            &[&limited, "{name: l, type: rate_limiting, rate_limiting: {spans_per_second: 200}}", BASE],
            0.05..0.3,
        ),
    ] {
        let kept = through(None, &tail(policies), &requests, calm).await;
        let found = compare(name, &requests, &kept);
        assert!(share.contains(&found), "{name}: {found}");
    }
    // What is dropped for its content is not part of the truth.
    let kept = through(None, &tail(&[&drop, ERRORS, BASE]), &requests, calm).await;
    let is_busy = |span: &Span| span.attributes[0].value.as_ref().unwrap().value == Some(text("/busy"));
    let busy: Vec<Vec<Span>> =
        requests.iter().map(|spans| spans.iter().filter(|span| is_busy(span)).cloned().collect()).collect();
    compare("some dropped", &busy, &kept);
}

/// Failing and slow spans arrive after others of their traces, which chance may have kept before.
#[tokio::test(start_paused = true)]
async fn of_what_is_decided_at_ingest() {
    let requests = traffic();
    let half = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 50}}";
    for (name, policies, step) in [
        ("errors, slow, a tenth", &[ERRORS, SLOW, BASE][..], Step::Calm),
        ("at thin", &[ERRORS, SLOW, half], Step::Thin),
        ("at gate", &[ERRORS, SLOW, half], Step::Gate),
    ] {
        let yaml = tail(policies).replacen('{', "{sampling_strategy: span-ingest, ", 1);
        let kept = through(None, &yaml, &requests, |world| match step {
            Step::Calm => None,
            step => pressed(world, step, 0.75),
        });
        let share = compare(name, &requests, &kept.await);
        assert!((0.05..0.35).contains(&share), "{name}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_head_and_tail_sampler() {
    let requests = traffic();
    for mode in ["equalizing", "proportional"] {
        let head = format!("{{mode: {mode}, sampling_percentage: 50}}");
        let kept = through(Some(&head), &tail(&[ERRORS, SLOW, BASE]), &requests, calm).await;
        let share = compare(mode, &requests, &kept);
        assert!((0.05..0.25).contains(&share), "{mode}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_tiers() {
    let requests = traffic();
    let half = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 40}}";
    let first = through(None, &tail(&[ERRORS, half]), &requests, calm).await;
    let first: Vec<Vec<Span>> = first.chunks(1000).map(<[Span]>::to_vec).collect();
    let kept = through(None, &tail(&[ERRORS, SLOW, BASE]), &first, calm).await;
    let share = compare("two tiers", &requests, &kept);
    assert!((0.05..0.3).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn in_the_degraded_mode() {
    let requests = traffic();
    let throughput = "{name: t, type: throughput, throughput: {spans_per_second: 400, key: [http.route]}}";
    let half = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 50}}";
    for step in [Step::Thin, Step::Gate] {
        let limit = "{name: l, type: rate_limiting, rate_limiting: {spans_per_second: 1000}}";
        for (name, policies) in [
            ("shares", &[ERRORS, SLOW, half][..]),
            ("throughput", &[ERRORS, SLOW, throughput]),
            ("so many spans", &[ERRORS, limit]),
        ] {
            let name = format!("{name} at {step}");
            let kept = through(None, &tail(policies), &requests, |world| pressed(world, step, 0.75)).await;
            let share = compare(&name, &requests, &kept);
            assert!((0.05..0.35).contains(&share), "{name}: {share}");
        }
    }
    let head = "{mode: equalizing, sampling_percentage: 50}";
    let kept = through(Some(head), &tail(&[ERRORS, half]), &requests, |world| pressed(world, Step::Gate, 0.875)).await;
    compare("head and gate", &requests, &kept);
}
