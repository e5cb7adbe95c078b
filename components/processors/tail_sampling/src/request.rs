//! A request, read once: where its spans are, which trace each belongs to, what each answers to conditions.

use std::sync::Arc;

use pdata::ledger::Stake;
use pdata::wire::{Fields, LEN};
use pdata::{Context, Payload};
use sampling::Randomness;
use smallvec::SmallVec;
use statements::Failures;

use crate::conditions::{Bits, Conditions};
use crate::envelope::{Envelope, Envelopes, Sender};
use crate::pages::Writer;
use crate::policy::{Facts, Policy, keeps_alone};
use crate::remembered::ByHash;
use crate::trace::{CHUNK_BYTES_MAX, Chunk, NOT_ALONE, Stored};

/// The groups (`ResourceSpans`) of a request, scopes of a group, spans of a scope.
const GROUPS: u32 = 1;
const SCOPES: u32 = 2;
const SPANS: u32 = 2;

/// No further span.
const END: u32 = u32::MAX;
/// Tag and length of a message around others, as a rule.
const FRAME_BYTES: usize = 3;

#[derive(Debug)]
struct SpanRef {
    /// The request, and where in it the span is, tag and length included.
    segment: u32,
    start: u32,
    end: u32,
    envelope: u32,
    /// The next span of the same trace.
    next: u32,
    /// See [`Chunk::alone`].
    alone: u16,
}

/// The spans of one trace in a request.
#[derive(Debug)]
pub struct Part {
    /// Its trace among all, see [`Envelopes::hash`].
    pub hash: u64,
    /// Its place among those of the request.
    pub place: u64,
    /// Whether a root span is among them.
    pub has_root: bool,
    /// What they say. `bytes` counts resources and scopes too, as if they were sent alone.
    pub facts: Facts,
    /// Their side of the books.
    pub stake: Stake,
    first: u32,
    last: u32,
}

/// A request that was read.
#[derive(Debug)]
pub struct Request {
    payload: Payload,
    envelopes: Vec<Arc<Envelope>>,
    spans: Vec<SpanRef>,
    /// Traces in order of their first span.
    pub parts: Vec<Part>,
}

/// What reading needs.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// What is asked.
    pub conditions: &'r Conditions,
    /// Where resources and scopes are kept.
    pub envelopes: &'r Envelopes,
    /// Who tells about failing conditions.
    pub failures: &'r Failures,
    /// Policies that are asked about each span alone.
    pub alone: &'r [Policy],
}

impl Request {
    /// Reads a payload of that sender. Its stake is divided among the traces.
    #[must_use]
    pub fn read(
        payload: Payload,
        context: &Context,
        mut stake: Stake,
        sender: &Arc<Sender>,
        reading: Reading<'_>,
    ) -> Self {
        let conditions = reading.conditions;
        let words = conditions.words();
        let items = usize::try_from(payload.items()).unwrap_or_default();
        let mut ottl_bits = Vec::new();
        if conditions.has_ottl() {
            ottl_bits.resize(items * words.max(1), 0);
            conditions.ask_ottl(payload.clone(), context, &mut ottl_bits, reading.failures);
        }
        let mut request = Self {
            payload: payload.clone(),
            envelopes: Vec::new(),
            spans: Vec::with_capacity(items),
            parts: Vec::new(),
        };
        let mut by_hash: ByHash<u32> = ByHash::default();
        let mut ottl = ottl_bits.chunks(words.max(1));
        let mut scratch = Bits::from_elem(0, words);
        let is_of_one_account = stake.is_of_one_account();
        for (number, segment) in payload.segments().iter().enumerate() {
            for_each_scope(segment.bytes(), |scope| {
                let mut envelope = None;
                for span in scope.spans() {
                    let (envelope, place) = envelope.get_or_insert_with(|| {
                        let resource = reading.envelopes.resource(scope.resource, conditions);
                        let envelope = reading.envelopes.envelope(&resource, &scope.bytes());
                        request.envelopes.push(Arc::clone(&envelope));
                        (envelope, request.envelopes.len() as u32 - 1)
                    });
                    scratch.fill(0);
                    if let Some(bits) = ottl.next() {
                        scratch.copy_from_slice(bits);
                    }
                    let bytes = segment.bytes().get(span.value.clone()).unwrap_or_default();
                    let mut fields: SmallVec<[u64; 1]> = SmallVec::from_elem(0, conditions.fields());
                    let read = conditions.read_span(bytes, &mut scratch, &mut fields);
                    let alone = if reading.alone.is_empty() {
                        NOT_ALONE
                    } else {
                        let (bits, spans, start, end) = (scratch.clone(), 1, read.start, read.end);
                        let mut facts = Facts { bits, spans, start, end, ..Facts::default() };
                        conditions.merge(&mut facts.bits, &envelope.resource.bits);
                        keeps_alone(reading.alone, &facts).unwrap_or(NOT_ALONE)
                    };
                    let own = SpanRef {
                        segment: number as u32,
                        start: span.start as u32,
                        end: span.end as u32,
                        envelope: *place,
                        next: END,
                        alone,
                    };
                    let part = part_of(&mut request.parts, &read.trace_id, sender, &mut by_hash, reading);
                    let last = request.spans.get(part.last as usize);
                    let is_new_envelope =
                        last.is_none_or(|last| (last.envelope, last.segment) != (own.envelope, own.segment));
                    let before = last.and_then(|last| request.envelopes.get(last.envelope as usize));
                    let is_new_resource =
                        before.is_none_or(|before| !Arc::ptr_eq(&before.resource, &envelope.resource));
                    let at = request.spans.len() as u32;
                    if let Some(last) = request.spans.get_mut(part.last as usize) {
                        last.next = at;
                    } else {
                        part.first = at;
                    }
                    part.last = at;
                    if is_new_envelope {
                        let resource = &envelope.resource;
                        conditions.merge(&mut part.facts.bits, &resource.bits);
                        first_of(&mut part.facts.fields, &resource.fields);
                        part.facts.bytes += (envelope.scope.len() + FRAME_BYTES) as u64;
                        if is_new_resource {
                            part.facts.bytes += (resource.bytes.len() + FRAME_BYTES) as u64;
                        }
                    }
                    conditions.merge(&mut part.facts.bits, &scratch);
                    first_of(&mut part.facts.fields, &fields);
                    part.has_root |= read.is_root;
                    part.facts.add(read.start, read.end, read.randomness);
                    part.facts.spans += 1;
                    part.facts.bytes += u64::from(own.end - own.start);
                    if !is_of_one_account {
                        part.stake.merge(stake.split_front(1));
                    }
                    request.spans.push(own);
                }
            });
        }
        if is_of_one_account {
            for part in &mut request.parts {
                part.stake = stake.split_front(part.facts.spans);
            }
        }
        debug_assert!(stake.items() == 0, "every item is in a trace");
        request
    }

    /// Stores the spans of a part, in pieces.
    pub fn store(&self, part: &Part, writer: &mut Writer, mut push: impl FnMut(Stored)) {
        let mut at = part.first;
        while let Some(piece) = self.piece(at) {
            if let Some((first, envelope)) = self.first(at) {
                let (spans, alone) = (piece.spans, first.alone);
                let bytes = writer.add(piece.bytes, |out| self.write(at, &piece, out));
                push(Stored { piece: bytes, envelope, spans, alone });
            }
            at = piece.end;
        }
    }

    /// Copies the spans of a part, in pieces.
    pub fn chunks(&self, part: &Part, mut push: impl FnMut(Chunk)) {
        let mut at = part.first;
        while let Some(piece) = self.piece(at) {
            self.copy(at, &piece).into_iter().for_each(&mut push);
            at = piece.end;
        }
    }

    /// Divides a part: copies of spans that a policy keeps by themselves, each piece with its side of the books, and that of the
    /// others.
    pub fn alone(&self, mut part: Part) -> (Vec<(Chunk, Stake)>, Stake) {
        let (mut kept, mut others, mut at) = (Vec::new(), Stake::none(), part.first);
        while let Some(piece) = self.piece(at) {
            let stake = part.stake.split_front(piece.spans.into());
            let is_kept = self.spans.get(at as usize).is_some_and(|first| first.alone != NOT_ALONE);
            match is_kept.then(|| self.copy(at, &piece)).flatten() {
                Some(chunk) => kept.push((chunk, stake)),
                None => others.merge(stake),
            }
            at = piece.end;
        }
        (kept, others)
    }

    /// Spans of a part from `at` on: as many as are of one scope, are kept by themselves by the same policy, and fit.
    fn piece(&self, at: u32) -> Option<Piece> {
        let first = self.spans.get(at as usize)?;
        let (mut bytes, mut spans, mut end) = (0, 0, at);
        while let Some(span) = self.spans.get(end as usize) {
            let len = (span.end - span.start) as usize;
            if (span.envelope, span.segment, span.alone) != (first.envelope, first.segment, first.alone)
                || (spans > 0 && bytes + len > CHUNK_BYTES_MAX)
            {
                break;
            }
            (bytes, spans, end) = (bytes + len, spans + 1, span.next);
        }
        Some(Piece { bytes, spans, end })
    }

    fn first(&self, at: u32) -> Option<(&SpanRef, Arc<Envelope>)> {
        let first = self.spans.get(at as usize)?;
        Some((first, Arc::clone(self.envelopes.get(first.envelope as usize)?)))
    }

    fn write(&self, mut at: u32, piece: &Piece, out: &mut Vec<u8>) {
        while at != piece.end
            && let Some(span) = self.spans.get(at as usize)
        {
            let source = self.payload.segments().get(span.segment as usize).map(|segment| segment.bytes());
            let range = span.start as usize..span.end as usize;
            out.extend_from_slice(source.and_then(|source| source.get(range)).unwrap_or_default());
            at = span.next;
        }
    }

    fn copy(&self, at: u32, piece: &Piece) -> Option<Chunk> {
        let (first, envelope) = self.first(at)?;
        let mut copy = Vec::with_capacity(piece.bytes);
        self.write(at, piece, &mut copy);
        Some(Chunk { bytes: copy.into_boxed_slice(), envelope, spans: piece.spans, alone: first.alone })
    }
}

/// Neighbouring spans of a part.
struct Piece {
    bytes: usize,
    spans: u32,
    /// The span behind them.
    end: u32,
}

/// The part of that trace, made if it is not there.
fn part_of<'p>(
    parts: &'p mut Vec<Part>,
    trace_id: &[u8; 16],
    sender: &Sender,
    by_hash: &mut ByHash<u32>,
    reading: Reading<'_>,
) -> &'p mut Part {
    // Spans of one trace are often together.
    let mut place = parts.len().wrapping_sub(1);
    if parts.last().is_none_or(|last| last.facts.trace_id != *trace_id) {
        let mut hash = reading.envelopes.hash(trace_id, sender);
        place = loop {
            match by_hash.get(&hash) {
                Some(place) if parts.get(*place as usize).is_some_and(|part| part.facts.trace_id == *trace_id) => {
                    break *place as usize;
                }
                // Two traces of one hash.
                Some(_) => hash = hash.wrapping_add(1),
                None => {
                    by_hash.insert(hash, parts.len() as u32);
                    let facts = Facts {
                        trace_id: *trace_id,
                        tenant: sender.tenant,
                        bits: Bits::from_elem(0, reading.conditions.words()),
                        fields: SmallVec::from_elem(0, reading.conditions.fields()),
                        ..Facts::default()
                    };
                    let stake = Stake::none();
                    let place = parts.len() as u64;
                    parts.push(Part { hash, place, has_root: false, facts, stake, first: END, last: END });
                    break parts.len() - 1;
                }
            }
        };
    }
    // It was found or made above.
    &mut parts[place]
}

/// Takes values that are not there yet.
pub fn first_of(into: &mut [u64], from: &[u64]) {
    for (into, from) in into.iter_mut().zip(from) {
        if *into == 0 {
            *into = *from;
        }
    }
}

impl Facts {
    /// Adds a span, or what another part of the trace says, to times and randomness.
    pub fn add(&mut self, start: u64, end: u64, randomness: Option<Randomness>) {
        if start != 0 && (self.start == 0 || start < self.start) {
            self.start = start;
        }
        self.end = self.end.max(end);
        self.randomness = self.randomness.or(randomness);
    }
}

/// A `ScopeSpans` with its resource.
struct ScopeRef<'a> {
    request: &'a [u8],
    /// Where its content is in the request.
    content: std::ops::Range<usize>,
    /// All fields of its `ResourceSpans` but scopes.
    resource: &'a [u8],
}

impl ScopeRef<'_> {
    /// Its spans, by places in the request.
    fn spans(&self) -> impl Iterator<Item = pdata::wire::RawField> {
        let base = self.content.start;
        let content = self.request.get(self.content.clone()).unwrap_or_default();
        let spans = Fields::new(content).filter(|field| field.number == SPANS && field.wire_type == LEN);
        spans.map(move |mut span| {
            (span.start, span.end) = (span.start + base, span.end + base);
            span.value = span.value.start + base..span.value.end + base;
            span
        })
    }

    /// All its fields but spans.
    fn bytes(&self) -> Vec<u8> {
        without(self.request.get(self.content.clone()).unwrap_or_default(), SPANS)
    }
}

/// All fields of a message but those of that number.
fn without(message: &[u8], number: u32) -> Vec<u8> {
    let fields = Fields::new(message).filter(|field| field.number != number);
    fields.filter_map(|field| message.get(field.start..field.end)).flatten().copied().collect()
}

fn for_each_scope(request: &[u8], mut visit: impl FnMut(&ScopeRef<'_>)) {
    for group in Fields::new(request).filter(|field| field.number == GROUPS && field.wire_type == LEN) {
        let base = group.value.start;
        let content = request.get(group.value).unwrap_or_default();
        let resource = without(content, SCOPES);
        for scope in Fields::new(content).filter(|field| field.number == SCOPES && field.wire_type == LEN) {
            let content = scope.value.start + base..scope.value.end + base;
            visit(&ScopeRef { request, content, resource: &resource });
        }
    }
}
