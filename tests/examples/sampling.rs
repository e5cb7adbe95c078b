//! Examples that sample by what is in a trace: all errors and slow traces stay, of the rest about the share that is said,
//! and what is kept says how many it stands for.
//!
//! Trace IDs are drawn from a fixed seed, and bounds are five standard deviations of what is drawn.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::backend::{Arrived, Backend, Protocol};
use super::local;
use super::otlp::{span, spans_of, traces};
use super::processing::{books, give, trace_ids};
use super::{free_port, run};

const TRACES: u64 = 20_000;
/// Spans of each trace; they come in different requests.
const SPANS: u64 = 2;
const SERVER: i32 = 2;

/// What is in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Failed,
    Slow,
    Ordinary,
}

impl Kind {
    /// One of thirty fails, one of thirty is slow.
    fn of(number: u64) -> Self {
        match number % 30 {
            0 => Self::Failed,
            1 => Self::Slow,
            _ => Self::Ordinary,
        }
    }

    fn count(self) -> u64 {
        (0..TRACES).filter(|number| Self::of(*number) == self).count() as u64
    }
}

fn part(number: u64, trace_id: [u8; 16], part: u64) -> Span {
    let kind = Kind::of(number);
    let mut span = span(&format!("{kind:?} {part}"), SERVER, &[]);
    span.trace_id = trace_id.to_vec();
    span.span_id = (number * SPANS + part + 1).to_be_bytes().to_vec();
    // Together three seconds, where either alone lasts less than two.
    let second = 1_000_000_000;
    let (begin, long) = if kind == Kind::Slow { (part * 3 * second / 2, 3 * second / 2) } else { (0, second / 2) };
    span.start_time_unix_nano = 1_767_225_600_000_000_000 + begin;
    span.end_time_unix_nano = span.start_time_unix_nano + long;
    if kind == Kind::Failed && part + 1 == SPANS {
        span.status = Some(Status { code: 2, ..Status::default() });
    }
    span
}

/// The traces of each kind that arrived, whole, by the tracestate they carry.
fn kept(arrived: &[Arrived]) -> BTreeMap<(Kind, String), u64> {
    let mut of_trace: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    for span in spans_of(arrived) {
        of_trace.entry(span.trace_id.clone()).or_default().push(span);
    }
    let mut kept = BTreeMap::new();
    for spans in of_trace.values() {
        let distinct: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.span_id).collect();
        assert_eq!((spans.len() as u64, distinct.len() as u64), (SPANS, SPANS), "whole: {spans:?}");
        let kinds = [Kind::Failed, Kind::Slow, Kind::Ordinary];
        let kind = kinds.into_iter().find(|kind| spans[0].name.starts_with(&format!("{kind:?}"))).unwrap();
        assert!(spans.iter().all(|span| span.trace_state == spans[0].trace_state), "{spans:?}");
        *kept.entry((kind, spans[0].trace_state.clone())).or_default() += 1;
    }
    kept
}

/// How many traces a kept one stands for.
fn weight(trace_state: &str) -> f64 {
    let digits = trace_state.strip_prefix("ot=th:").unwrap();
    let threshold = u64::from_str_radix(digits, 16).unwrap() << (4 * (14 - digits.len()));
    1.0 / (1.0 - threshold as f64 / (1_u64 << 56) as f64)
}

/// Whether `found` is what drawing each of `count` with this share gives, within five standard deviations.
fn is_likely(found: u64, count: u64, share: f64) -> bool {
    let (expected, deviation) = (count as f64 * share, (count as f64 * share * (1.0 - share)).sqrt());
    (found as f64 - expected).abs() <= 5.0 * deviation
}

/// Sends all traces through an example, `behind` an agent that balances if it takes gRPC alone, and returns those that were kept.
async fn through(example: &str, behind: Option<&str>) -> BTreeMap<(Kind, String), u64> {
    let backend = Backend::start(Protocol::Http).await;
    let listen = local(free_port());
    let variables = [
        ("BACKEND_ENDPOINT", format!("http://{}", backend.address)),
        ("DECISION_WAIT", "2s".to_owned()),
        ("TIER_LISTEN", listen.clone()),
    ];
    let sampler = run(example, &variables).await;
    let agent = match behind {
        Some(agent) => Some(run(agent, &[("SAMPLERS", format!("[{listen}]"))]).await),
        None => None,
    };
    let ids = trace_ids(TRACES);
    let numbers: Vec<(u64, [u8; 16])> = (0..TRACES).zip(ids).collect();
    for place in 0..SPANS {
        for some in numbers.chunks(2000) {
            let spans = some.iter().map(|(number, id)| part(*number, *id, place)).collect();
            give(agent.as_ref().unwrap_or(&sampler), &[], &traces(&[], spans)).await;
        }
    }
    if let Some(agent) = agent {
        assert_eq!(books(agent).await.of("traces", ""), (TRACES * SPANS, TRACES * SPANS, vec![]));
    }
    // What waits is decided now.
    let books = books(sampler).await;
    let kept = kept(&backend.arrived());
    let spans = kept.values().sum::<u64>() * SPANS;
    assert_eq!(books.of("traces", ""), (TRACES * SPANS, spans, vec![("not_sampled", TRACES * SPANS - spans)]));
    kept
}

fn of_kind(kept: &BTreeMap<(Kind, String), u64>, kind: Kind) -> u64 {
    kept.iter().filter(|((of, _), _)| *of == kind).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sampling_tier_keeps_errors_and_slow_ones_and_a_hundredth_of_the_rest() {
    let kept = through("sampling-tier.yaml", Some("balancing-agent.yaml")).await;
    assert_eq!(of_kind(&kept, Kind::Failed), Kind::Failed.count());
    assert_eq!(of_kind(&kept, Kind::Slow), Kind::Slow.count());
    let rest = of_kind(&kept, Kind::Ordinary);
    assert!(is_likely(rest, Kind::Ordinary.count(), 0.01), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hybrid_sampling_looks_at_a_tenth_and_says_what_is_kept_stands_for() {
    let kept = through("hybrid-sampling.yaml", None).await;
    for (kind, share, threshold) in
        [(Kind::Failed, 0.1, "ot=th:e666"), (Kind::Slow, 0.1, "ot=th:e666"), (Kind::Ordinary, 0.01, "ot=th:fd70a")]
    {
        let count = of_kind(&kept, kind);
        assert!(is_likely(count, kind.count(), share), "{kind:?}: {count} of {}", kind.count());
        // Those that chance alone would keep as well stand for no more because of it.
        let said: Vec<_> = kept.iter().filter(|((of, _), _)| *of == kind).map(|((_, said), _)| said.as_str()).collect();
        assert!(said.iter().all(|said| said.starts_with(threshold)), "{kind:?}: {said:?}");
        let estimate: f64 =
            kept.iter().filter(|((of, _), _)| *of == kind).map(|((_, said), count)| weight(said) * *count as f64).sum();
        let deviation = (kind.count() as f64 * (1.0 - share) / share).sqrt();
        assert!((estimate - kind.count() as f64).abs() <= 5.0 * deviation, "{kind:?}: {estimate} of {}", kind.count());
    }
}
