//! Requests of whole traces, for samplers: each trace has spans in several requests, and other trace IDs with every sending.
//!
//! A pool of such requests is one round of traces: the first third of the requests holds the first four spans of every trace,
//! the next third the next four, so that the spans of a trace are [`BLOCKS`] requests apart. One trace in fifty has an error, of
//! a hundred each one is slow, one is of a customer that is always kept, and one carries a flag. Before a request is sent again,
//! its trace IDs are written over in place.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message;

use super::{EPOCH_NANOS, Payload, Random, attribute, resource, scopes, traces};
use crate::count;
use crate::wire::GRPC_HEADER_BYTES;

/// Spans of a trace.
pub const SPANS_PER_TRACE: u64 = 12;
/// Requests over which the spans of a trace are spread.
pub const TRACE_PARTS: u64 = 3;

/// Requests that hold the same part of different traces.
const BLOCKS: u64 = 21;
/// Traces in a request.
const TRACES_PER_REQUEST: u64 = 128;
/// What makes the IDs of the giant's requests differ from all others.
const GIANT: u64 = 1 << 60;

/// What a sampler finds in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An error.
    Error,
    /// Three seconds between its first start and its last end.
    Slow,
    /// `user.id` begins with `u-vip`.
    Vip,
    /// `debug` is true.
    Flagged,
    /// Nothing.
    Plain,
}

/// Where trace IDs are in the requests of a pool, and what they are in each round.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// By request: offsets of IDs in the body, with the number of the trace in its round.
    places: Vec<Vec<(usize, u64)>>,
    /// Whether all spans of all rounds are of one trace.
    is_one_trace: bool,
}

impl Renewal {
    /// For the requests of [`requests`].
    pub(super) fn traces(payloads: &[Payload]) -> Self {
        Self::find(payloads, false)
    }

    /// For the requests of [`giant`].
    pub(super) fn one_trace(payloads: &[Payload]) -> Self {
        Self::find(payloads, true)
    }

    fn find(payloads: &[Payload], is_one_trace: bool) -> Self {
        let places = payloads.iter().map(|payload| {
            let start = payload.body.as_ptr() as usize;
            let mut places = Vec::new();
            let message = payload.body.get(GRPC_HEADER_BYTES..).unwrap_or_default();
            let mut note = |id: &[u8]| {
                // As they were encoded, IDs are numbers.
                let number = id.last_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                places.push((id.as_ptr() as usize - start, number));
            };
            count::for_each_trace_id(message, &mut note);
            places
        });
        Self { places: places.collect(), is_one_trace }
    }

    /// Traces in a round.
    #[must_use]
    pub fn round_traces(&self) -> u64 {
        BLOCKS * TRACES_PER_REQUEST
    }

    /// Requests in a round.
    #[must_use]
    pub fn round_requests(&self) -> u64 {
        BLOCKS * TRACE_PARTS
    }

    /// The ID of trace `number` in a round.
    #[must_use]
    pub fn trace_id(&self, round: u64, number: u64) -> [u8; 16] {
        let number = if self.is_one_trace { GIANT } else { round * self.round_traces() + number };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&mixed(2 * number + 1).to_be_bytes());
        id[8..].copy_from_slice(&mixed(2 * number + 2).to_be_bytes());
        id
    }

    /// What trace `number` of a round is like.
    #[must_use]
    pub fn class(&self, number: u64) -> Class {
        class(number)
    }

    /// The numbers of the requests that hold spans of trace `number` in a round.
    #[must_use]
    pub fn requests(&self, round: u64, number: u64) -> [u64; TRACE_PARTS as usize] {
        let block = number / TRACES_PER_REQUEST;
        [0, 1, 2].map(|part| round * BLOCKS * TRACE_PARTS + part * BLOCKS + block)
    }

    /// The body of the request at `place`, with the trace IDs of a round.
    pub(super) fn renew(&self, body: &Bytes, place: usize, round: u64) -> Bytes {
        let mut body = body.to_vec();
        for (offset, number) in self.places.get(place).into_iter().flatten() {
            if let Some(id) = body.get_mut(*offset..offset + 16) {
                id.copy_from_slice(&self.trace_id(round, *number));
            }
        }
        Bytes::from(body)
    }
}

/// Spreads numbers over 64 bits, one to one (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn class(number: u64) -> Class {
    match number % 100 {
        0 | 50 => Class::Error,
        1 => Class::Slow,
        2 => Class::Vip,
        3 => Class::Flagged,
        _ => Class::Plain,
    }
}

/// A round of requests.
pub(super) fn requests() -> Vec<Vec<u8>> {
    let places = (0..TRACE_PARTS).flat_map(|part| (0..BLOCKS).map(move |block| (part, block)));
    let request = |(place, (part, block)): (usize, (u64, u64))| {
        let mut random = Random::new(place as u64 + 1);
        let numbers = block * TRACES_PER_REQUEST..(block + 1) * TRACES_PER_REQUEST;
        let of_scope = |scope: u64, random: &mut Random| {
            let spans = numbers.clone().flat_map(|number| [(number, scope * 2), (number, scope * 2 + 1)]);
            spans.map(|(number, place)| span(random, number, part * 4 + place)).collect()
        };
        encode(&mut random, of_scope)
    };
    places.enumerate().map(request).collect()
}

/// Requests of one trace.
pub(super) fn giant(items: usize) -> Vec<Vec<u8>> {
    let request = |seed| {
        let mut random = Random::new(seed);
        let of_scope = |_, random: &mut Random| {
            let mut spans: Vec<_> = (0..items.div_ceil(2)).map(|_| span(random, 10, 5)).collect();
            spans.truncate(items / 2 + items % 2);
            spans
        };
        encode(&mut random, of_scope)
    };
    (100..116).map(request).collect()
}

fn encode(random: &mut Random, of_scope: impl Fn(u64, &mut Random) -> Vec<Span>) -> Vec<u8> {
    let resource = resource(random);
    let scope_spans = (0..).zip(scopes()).map(|(number, scope)| {
        let spans = of_scope(number, random);
        ScopeSpans { scope: Some(scope), spans, ..Default::default() }
    });
    let scope_spans = scope_spans.collect();
    TracesData { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

/// Span `place` of 12 of a trace.
fn span(random: &mut Random, number: u64, place: u64) -> Span {
    let parent = if place == 0 { Vec::new() } else { random.bytes(8) };
    let id = [[0; 8], number.to_be_bytes()].concat();
    let mut span = traces::span(random, &id, &parent);
    // Traces last 120 ms at most.
    span.start_time_unix_nano = EPOCH_NANOS + number * 1_000_000 + place * 3_000_000;
    span.end_time_unix_nano = span.start_time_unix_nano + 200_000 + random.below(80_000_000);
    let class = class(number);
    let is_failed = class == Class::Error && place == 6;
    span.status = is_failed.then(|| Status { message: "upstream is overloaded".to_owned(), code: 2 });
    for pair in &mut span.attributes {
        let value = match (pair.key.as_str(), class) {
            ("http.response.status_code", _) => Value::IntValue(if is_failed { 503 } else { 200 }),
            ("user.id", Class::Vip) if place == 9 => Value::StringValue("u-vip-1742".to_owned()),
            _ => continue,
        };
        pair.value = Some(AnyValue { value: Some(value) });
    }
    match class {
        Class::Slow if place == 11 => span.end_time_unix_nano = span.start_time_unix_nano + 3_000_000_000,
        Class::Flagged if place == 3 => span.attributes.push(attribute("debug", Value::BoolValue(true))),
        _ => {}
    }
    span
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::payload::{ITEMS_PER_REQUEST, Pool};
    use crate::wire::Signal;

    /// Spans by trace ID in those requests.
    fn census(pool: &Pool, numbers: impl IntoIterator<Item = u64>) -> HashMap<Vec<u8>, u64> {
        let mut found = HashMap::new();
        for number in numbers {
            let (payload, body) = pool.request(number).unwrap();
            assert_eq!(count::items(Signal::Traces, &body[5..]), Some(payload.item_count));
            count::for_each_trace_id(&body[5..], &mut |id| *found.entry(id.to_vec()).or_default() += 1).unwrap();
        }
        found
    }

    #[test]
    fn a_round_is_of_whole_traces_and_the_next_of_others() {
        let pool = Pool::of_whole_traces();
        let renewal = pool.renewal.as_ref().unwrap();
        let requests = pool.payloads.len() as u64;
        assert_eq!((requests, pool.payloads[0].item_count), (63, ITEMS_PER_REQUEST as u64));
        let first = census(&pool, 0..requests);
        assert_eq!(first.len() as u64, renewal.round_traces());
        assert!(first.values().all(|spans| *spans == SPANS_PER_TRACE), "{first:?}");
        let ids: HashSet<_> = (0..renewal.round_traces()).map(|number| renewal.trace_id(0, number).to_vec()).collect();
        assert_eq!(ids, first.keys().cloned().collect());
        assert!(census(&pool, requests..2 * requests).keys().all(|id| !first.contains_key(id)));
        // A trace is in the requests that it is said to be in.
        let of_one = census(&pool, renewal.requests(1, 700));
        assert_eq!(of_one.get(&renewal.trace_id(1, 700)[..]), Some(&SPANS_PER_TRACE));
    }

    #[test]
    fn spans_keep_their_size() {
        let bytes = Pool::of_whole_traces().item_bytes();
        assert!((550.0..600.0).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_giant_is_one_trace() {
        let pool = Pool::of_one_trace(512);
        let found = census(&pool, 0..40);
        let id = pool.renewal.as_ref().unwrap().trace_id(3, 4);
        assert_eq!(found, HashMap::from([(id.to_vec(), 40 * 512)]));
        assert!(!census(&Pool::of_whole_traces(), 0..63).contains_key(&id[..]));
    }
}
