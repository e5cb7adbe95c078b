//! The two tiers of sampling, run together: whoever gets a span, its whole trace meets on one sampler, its logs too.

use std::collections::{BTreeMap, BTreeSet};

use component::Deadline;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::Signal;

use super::backend::{Backend, Protocol};
use super::otlp::{logs, record, records_of, span, spans_of, traces};
use super::processing::books;
use super::{HOUR, free_port, local, post, run};

const TRACES: u8 = 40;
const SERVER: i32 = 2;
const INFO: i32 = 9;

/// The `part`-th span of a trace.
fn part_of(trace: u8, part: u8) -> Span {
    let mut span = span(&format!("{trace}/{part}"), SERVER, &[]);
    span.trace_id = vec![trace.wrapping_mul(37); 16];
    span.trace_id[0] = trace;
    span.span_id = vec![part + 1; 8];
    (span.start_time_unix_nano, span.end_time_unix_nano) = (1_767_225_600_000_000_000, 1_767_225_600_001_000_000);
    // Every fourth trace fails, which its last span alone says.
    if trace.is_multiple_of(4) && part == 2 {
        span.status = Some(Status { code: 2, ..Status::default() });
    }
    span
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samplers_behind_agents_see_whole_traces() {
    let backend = Backend::start(Protocol::Http).await;
    let listening = [local(free_port()), local(free_port())];
    let mut samplers = Vec::new();
    for listen in &listening {
        let variables = [
            ("TIER_LISTEN", listen.clone()),
            ("BACKEND_ENDPOINT", format!("http://{}", backend.address)),
            ("DECISION_WAIT", "2s".to_owned()),
            ("SHARE_PERCENT", "0".to_owned()),
        ];
        samplers.push(run("sampling-tier.yaml", &variables).await);
    }
    let list = ("SAMPLERS", format!("[{}]", listening.join(", ")));
    let settings = [list];
    let agents = [run("balancing-agent.yaml", &settings).await, run("balancing-agent.yaml", &settings).await];
    // The parts of a trace come in different requests, to different agents.
    for part in 0..3 {
        let spans = (0..TRACES).map(|trace| part_of(trace, part)).collect();
        let agent = &agents[usize::from(part % 2)];
        assert_eq!(post(agent.otlp, "/v1/traces", &[], traces(&[], spans).encode()).await, 200);
    }
    let failed = (0..TRACES).filter(|trace| trace.is_multiple_of(4));
    let expected: BTreeSet<String> =
        failed.flat_map(|trace| (0..3).map(move |part| format!("{trace}/{part}"))).collect();
    let arrived = backend.wait_for(expected.len() as u64).await;
    let names: Vec<String> = spans_of(&arrived).into_iter().map(|span| span.name).collect();
    assert_eq!(names.len(), expected.len());
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
    for agent in agents {
        let report = agent.service.shutdown(Deadline::after(HOUR)).await;
        assert!(report.balances(), "{:?}", report.accounts);
    }
    let mut received = BTreeMap::new();
    for (number, sampler) in samplers.into_iter().enumerate() {
        let report = sampler.service.shutdown(Deadline::after(HOUR)).await;
        assert!(report.balances(), "{:?}", report.accounts);
        let of_traces = report.accounts.iter().filter(|(key, _)| key.signal == Signal::Traces);
        received.insert(number, of_traces.map(|(_, totals)| totals.received).sum::<u64>());
    }
    assert_eq!(received.values().sum::<u64>(), u64::from(TRACES) * 3);
    assert!(received.values().all(|spans| *spans > 0), "each sampler has its share: {received:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_records_meet_the_spans_of_their_trace_behind_agents() {
    let backend = Backend::start(Protocol::Grpc).await;
    let listening = [local(free_port()), local(free_port())];
    let mut samplers = Vec::new();
    for listen in &listening {
        let variables = [
            ("OTLP_GRPC_ENDPOINT", listen.clone()),
            ("BACKEND_ENDPOINT", backend.address.to_string()),
            ("DECISION_WAIT", "2s".to_owned()),
            // A record that comes to the wrong sampler waits until this test has failed.
            ("TRACE_WAIT", "1h".to_owned()),
        ];
        samplers.push(run("tail-sampling-logs.yaml", &variables).await);
    }
    let settings = [("SAMPLERS", format!("[{}]", listening.join(", ")))];
    let agents = [run("balancing-agent.yaml", &settings).await, run("balancing-agent.yaml", &settings).await];
    // From 1 on: an ID of zeros is none.
    let numbers = 1..=TRACES;
    let said = |trace: u8| LogRecord { trace_id: part_of(trace, 0).trace_id, ..record(INFO, "said", &[]) };
    let records: Vec<LogRecord> = numbers.clone().map(said).collect();
    assert_eq!(post(agents[0].otlp, "/v1/logs", &[], logs(&[], records).encode()).await, 200);
    for part in 0..3 {
        let spans = numbers.clone().map(|trace| part_of(trace, part)).collect();
        assert_eq!(post(agents[1].otlp, "/v1/traces", &[], traces(&[], spans).encode()).await, 200);
    }
    // Those that fail, with one record each; more may be kept by their share of one percent.
    let failed = u64::from(TRACES / 4);
    let arrived = backend.wait_for(failed * 4).await;
    let spans: BTreeSet<Vec<u8>> = spans_of(&arrived).into_iter().map(|span| span.trace_id).collect();
    let records: BTreeSet<Vec<u8>> = records_of(&arrived).into_iter().map(|record| record.trace_id).collect();
    assert_eq!(records, spans);
    for agent in agents {
        assert_eq!(books(agent).await.of("logs", "").2, []);
    }
    let mut received = Vec::new();
    for sampler in samplers {
        let report = sampler.service.shutdown(Deadline::after(HOUR)).await;
        assert!(report.balances(), "{:?}", report.accounts);
        let of_logs = report.accounts.iter().filter(|(key, _)| key.signal == Signal::Logs);
        received.push(of_logs.map(|(_, totals)| totals.received).sum::<u64>());
    }
    assert_eq!(received.iter().sum::<u64>(), u64::from(TRACES));
    assert!(received.iter().all(|records| *records > 0), "each sampler has its share: {received:?}");
}
