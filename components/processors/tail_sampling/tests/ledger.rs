//! Whatever comes in, however little room and time there is: every span is settled once, bytes are given back.

#![allow(clippy::unwrap_used, reason = "tests, and what they share")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use component::pressure::{Reading, Step};
use component::{Consumer, Deadline};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use pdata::{AuthData, Context, Signal};
use processor_tail_sampling::factory;
use support::{Rig, attribute, batch_with, number, pass, request, span, status, text, with};
use testkit::otlp_scramble::Random;
use testkit::{Answer, Sink, Subject};

const POLICIES: [&str; 8] = [
    "policies: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]",
    "policies: [{name: a, type: always_sample}]",
    "adjusted_counts: true, reason_attribute: why, policies: [{name: p, type: probabilistic, probabilistic: {sampling_percentage: 50}}]",
    "policies: [{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 20}}, {name: t, type: throughput, throughput: {spans_per_second: 5, key: [k]}}]",
    "policies: [{name: o, type: ottl_condition, ottl_condition: {span: ['attributes[\"k\"] == \"1\"']}}, {name: d, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}]",
    "adjusted_counts: true, policies: [{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 20}}, {name: b, type: bytes_limiting, bytes_limiting: {bytes_per_second: 3000}}]",
    "sampling_strategy: span-ingest, policies: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}, {name: p, type: probabilistic, probabilistic: {sampling_percentage: 20}}]",
    "sampling_strategy: span-ingest, adjusted_counts: true, policies: [{name: p, type: probabilistic, probabilistic: {sampling_percentage: 50}}, {name: d, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}]",
];

fn settings(random: &mut Random) -> String {
    let mut settings = vec![
        format!("decision_wait: {}s", 1 + random.below(5)),
        format!("decision_wait_after_root_received: {}s", random.below(3)),
        format!("num_traces: {}", [3, 20, 1000][random.below(3)]),
        format!("memory_budget: {}", ["64KiB", "300KiB", "16MiB"][random.below(3)]),
        format!("max_spans_per_trace: {}", [0, 0, 7][random.below(3)]),
        format!("maximum_trace_size_bytes: {}", [0, 0, 5000][random.below(3)]),
        format!("block_on_overflow: {}", random.below(4) == 0),
        format!("drop_pending_traces_on_shutdown: {}", random.below(4) == 0),
        format!(
            "decision_cache: {{sampled_cache_size: {}, non_sampled_cache_size: {}}}",
            random.below(20),
            random.below(20)
        ),
    ];
    settings.push(POLICIES[random.below(POLICIES.len())].to_owned());
    format!("{{{}}}", settings.join(", "))
}

fn a_span(random: &mut Random) -> Span {
    let mut one = span(random.below(40) as u64);
    if random.below(5) == 0 {
        one = status(one, 2);
    }
    if random.below(5) == 0 {
        one.parent_span_id.clear();
    }
    if random.below(20) == 0 {
        one.trace_id.clear();
    }
    if random.below(10) == 0 {
        one.trace_state = ["ot=th:8", "ot=rv:ffffffffffffff", "broken", "a=b"][random.below(4)].to_owned();
    }
    let one = with(one, "k", text(["1", "2"][random.below(2)]));
    let pad = [0, 10, 1000, 9000][random.below(4)];
    with(one, "pad", Value::BytesValue(vec![0; random.below(pad + 1)]))
}

fn a_context(random: &mut Random) -> Context {
    let auth = (random.below(3) == 0).then(|| {
        Arc::new(AuthData { attributes: vec![("username".into(), vec![format!("u{}", random.below(2)).into()])] })
    });
    Context { tenant: [None, None, Some("a".into())][random.below(3)].clone(), auth, ..Context::default() }
}

fn an_answer(random: &mut Random) -> Answer {
    match random.below(7) {
        0 => Answer::Retryable,
        1 => Answer::Permanent,
        2 => Answer::PermanentHandBack,
        3 => Answer::Reject(1),
        4 => Answer::AcceptAfter(Duration::from_secs(2)),
        _ => Answer::Accept,
    }
}

async fn run(seed: u64) {
    let mut random = Random::new(seed);
    let yaml = settings(&mut random);
    let (mut offered, mut refused) = (0_u64, 0_u64);
    let mut rig = Rig::new(&yaml).await;
    let mut former = Vec::new();
    let sensor = rig.world.registry.pressure().sense();
    for _ in 0..60 {
        if random.below(8) == 0 {
            let step = [Step::Calm, Step::Trim, Step::Thin, Step::Gate][random.below(4)];
            let rejected = if step >= Step::Thin { (random.below(1 << 20) as u64) << 36 } else { 0 };
            sensor.set(&Reading { step, value: 0.5, rejected: [rejected, rejected, 0] });
        }
        rig.sink.answer(an_answer(&mut random));
        let spans: Vec<Span> = (0..random.below(40)).map(|_| a_span(&mut random)).collect();
        let resource = vec![attribute("service.name", text(["a", "b", "c"][random.below(3)]))];
        let count = spans.len() as u64;
        offered += count;
        if rig.offer_batch(batch_with(request(resource, spans), a_context(&mut random))).await.is_err() {
            refused += count;
        }
        rig.world.check_difference().unwrap();
        match random.below(6) {
            0 => pass(1000 * random.below(4) as u64).await,
            1 => pass(random.below(900) as u64).await,
            2 if random.below(8) == 0 => {
                let sink = Sink::accepting();
                let successor = Subject::new(factory()).with_config(&settings(&mut random));
                let successor = successor.build(&rig.world, sink.clone()).unwrap();
                successor.component.start(&rig.world.host).await.unwrap();
                let heir: Arc<dyn Consumer> = successor.consumer.unwrap();
                let deadline = Deadline::after(Duration::from_secs(random.below(3) as u64));
                let _handed_over = rig.component.hand_over(&heir, deadline).unwrap().await;
                former.push((std::mem::replace(&mut rig.component, successor.component), rig.sink.clone()));
                (rig.consumer, rig.sink) = (heir, sink);
            }
            _ => {}
        }
        rig.world.check_difference().unwrap();
    }
    let deadline = Deadline::after(Duration::from_secs(random.below(5) as u64));
    let _stopped = rig.component.shutdown(deadline).await;
    pass(10_000).await;
    rig.world.check_settled().map_err(|error| format!("seed {seed}: {error}\n{yaml}")).unwrap();
    let kept: usize = former.iter().map(|(_, sink)| sink).chain([&rig.sink]).map(|sink| bytes(sink)).sum();
    assert_eq!(rig.world.account.held(), kept, "seed {seed}: bytes are given back");
    let read = rig.world.ledger.read();
    let entered: u64 = read.iter().map(|(_, totals)| totals.received).sum();
    let back: u64 = read.iter().map(|(_, totals)| totals.refused).sum();
    assert_eq!((entered, back), (offered, refused), "seed {seed}: nothing is made, only what was refused comes back");
}

fn bytes(sink: &Sink) -> usize {
    sink.received().iter().map(|received| received.payload.encoded_len()).sum()
}

#[tokio::test(start_paused = true)]
async fn the_books_balance_whatever_happens() {
    for seed in 0..150 {
        run(seed).await;
    }
}

/// Spans of several accounts in one batch, as a gathering in front of the sampler makes them.
#[tokio::test(start_paused = true)]
async fn spans_of_several_accounts_settle_in_their_own() {
    let rig = Rig::new(&format!("{{decision_wait: 1s, {}}}", POLICIES[0])).await;
    let of = |pipeline: &str, spans: Vec<Span>| {
        let mut batch = batch_with(request(vec![], spans), Context::default());
        let account = rig.world.ledger.account(&pipeline.into(), Signal::Traces, "");
        let _none = batch.replace_stake(account.receive(batch.items()));
        batch
    };
    let mut batch = of("a", vec![status(span(1), 2), span(2), span(1)]);
    batch.append(of("b", vec![span(2), span(1)]));
    batch.append(of("a", vec![span(2)]));
    rig.consumer.consume(batch).await.unwrap();
    pass(2500).await;
    assert!(rig.spans().iter().all(|span| number(span) == 1));
    for (pipeline, delivered, dropped) in [("a", 2, 2), ("b", 1, 1)] {
        let totals = rig.world.ledger.account(&pipeline.into(), Signal::Traces, "").read();
        assert_eq!((totals.delivered, totals.dropped["not_sampled"]), (delivered, dropped), "{pipeline}");
    }
    rig.stop().await;
}
