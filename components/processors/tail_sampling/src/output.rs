//! Kept traces to batches: traces of one sender together, spans of one resource and scope together, up to a size.
//!
//! A trace goes into one batch unless it alone exceeds the size. Spans of kept traces are copied as they are, unless
//! something is to be written to them: the threshold in the tracestate, the attribute with the reason.

use std::collections::HashMap;
use std::sync::Arc;

use pdata::ledger::Stake;
use pdata::view::KeyValueView;
use pdata::wire::{Fields, LEN, put_len, put_tag, put_varint, varint_len};
use pdata::{Batch, ByteAccount, Payload, Segment, Signal};
use sampling::{Randomness, Threshold, TraceState};

use crate::envelope::{Envelope, Sender};
use crate::log::Names;
use crate::policy::{Chance, Decision};
use crate::trace::{Chunk, Floor, Kept, NOT_ALONE};

/// A batch has at most so many bytes of spans, unless one piece of a trace has more.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

const SPANS: u32 = 2;

/// What is written to kept spans.
#[derive(Clone, Debug, Default)]
pub struct Marking {
    /// The attribute that names the policy; empty for none.
    pub reason_attribute: String,
    /// Whether thresholds are written.
    pub thresholds: bool,
}

/// Puts batches together.
#[derive(Debug)]
pub struct Writer {
    marking: Arc<Marking>,
    account: Arc<ByteAccount>,
    sender: Option<Arc<Sender>>,
    chunks: Vec<Chunk>,
    bytes: usize,
    stake: Stake,
    /// Finished batches.
    pub batches: Vec<Batch>,
}

impl Writer {
    /// An empty one. Batches are charged to `account`.
    #[must_use]
    pub fn new(marking: Marking, account: Arc<ByteAccount>) -> Self {
        let (chunks, stake, batches) = (Vec::new(), Stake::none(), Vec::new());
        Self { marking: Arc::new(marking), account, sender: None, chunks, bytes: 0, stake, batches }
    }

    /// Adds a trace.
    pub fn add(&mut self, kept: Kept, names: &Names) {
        let Kept { sender, chunks, mut stake, decision, floor } = kept;
        let total: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let is_another = self.sender.as_ref().is_some_and(|current| !Arc::ptr_eq(current, &sender));
        if is_another || self.bytes + total > BATCH_BYTES_MAX {
            self.finish();
        }
        let marking = Arc::clone(&self.marking);
        let mark = |decision| Some(Mark::of(decision, &marking, names)).filter(|mark| !mark.is_nothing());
        let of_others = decision.filter(|_| floor != Floor::NONE).map(|decision| decision.above(floor.threshold()));
        let (mark, of_others) = (decision.and_then(mark), of_others.map(mark));
        self.sender.get_or_insert(sender.clone());
        for mut chunk in chunks {
            let of_others = of_others.as_ref().filter(|_| chunk.alone == NOT_ALONE);
            if let Some(mark) = of_others.unwrap_or(&mark) {
                chunk.bytes = mark.rewrite(&chunk.bytes);
            }
            if self.bytes > 0 && self.bytes + chunk.bytes.len() > BATCH_BYTES_MAX && total > BATCH_BYTES_MAX {
                self.finish();
                self.sender = Some(sender.clone());
            }
            self.bytes += chunk.bytes.len();
            self.stake.merge(stake.split_front(chunk.spans.into()));
            self.chunks.push(chunk);
        }
        // Nothing is left unless the stake was none from the beginning.
        self.stake.merge(stake);
    }

    /// Bytes of spans in the batch that was begun.
    #[must_use]
    pub fn begun_bytes(&self) -> usize {
        self.bytes
    }

    /// Finishes the batch that was begun.
    pub fn finish(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        let chunks = std::mem::take(&mut self.chunks);
        let stake = std::mem::take(&mut self.stake);
        self.bytes = 0;
        if chunks.is_empty() {
            // No spans, so no stake either.
            return self.stake.merge(stake);
        }
        let items = chunks.iter().map(|chunk| chunk.spans).sum();
        let body = encode(&chunks);
        drop(chunks);
        let segment = Segment::charged(body, items, Some(&self.account));
        let payload = Payload::from_segments(Signal::Traces, [segment]);
        self.batches.push(Batch::from_parts(payload, Arc::clone(&sender.context), stake));
    }
}

struct Scope<'c> {
    envelope: &'c Arc<Envelope>,
    chunks: Vec<&'c [u8]>,
    len: usize,
}

struct Group<'c> {
    scopes: Vec<Scope<'c>>,
    len: usize,
}

const fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// A request with these spans, resources and scopes in order of their first.
fn encode(chunks: &[Chunk]) -> Vec<u8> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut resources: HashMap<usize, usize> = HashMap::new();
    let mut envelopes: HashMap<usize, (usize, usize)> = HashMap::new();
    for chunk in chunks {
        let envelope = &chunk.envelope;
        let (group, scope) = *envelopes.entry(Arc::as_ptr(envelope) as usize).or_insert_with(|| {
            let group = *resources.entry(Arc::as_ptr(&envelope.resource) as usize).or_insert_with(|| {
                groups.push(Group { scopes: Vec::new(), len: envelope.resource.bytes.len() });
                groups.len() - 1
            });
            let scopes = groups.get_mut(group).map(|group| &mut group.scopes);
            let scope = scopes.map_or(0, |scopes| {
                scopes.push(Scope { envelope, chunks: Vec::new(), len: envelope.scope.len() });
                scopes.len() - 1
            });
            (group, scope)
        });
        let scope = groups.get_mut(group).and_then(|group| group.scopes.get_mut(scope));
        if let Some(scope) = scope {
            scope.chunks.push(&chunk.bytes);
            scope.len += chunk.bytes.len();
        }
    }
    let mut total = 0;
    for group in &mut groups {
        group.len += group.scopes.iter().map(|scope| field_len(scope.len)).sum::<usize>();
        total += field_len(group.len);
    }
    let mut out = Vec::with_capacity(total);
    for group in &groups {
        put_tag(&mut out, 1, LEN);
        put_varint(&mut out, group.len as u64);
        if let Some(scope) = group.scopes.first() {
            out.extend_from_slice(&scope.envelope.resource.bytes);
        }
        for scope in &group.scopes {
            put_tag(&mut out, SPANS, LEN);
            put_varint(&mut out, scope.len as u64);
            out.extend_from_slice(&scope.envelope.scope);
            scope.chunks.iter().for_each(|chunk| out.extend_from_slice(chunk));
        }
    }
    out
}

/// What is written to the spans of one trace.
struct Mark<'m> {
    /// Key and serialized attribute.
    reason: Option<(&'m str, Vec<u8>)>,
    chance: Option<Chance>,
}

impl<'m> Mark<'m> {
    fn of(decision: Decision, marking: &'m Marking, names: &Names) -> Self {
        let key = marking.reason_attribute.as_str();
        let policy = decision.policy.filter(|_| !key.is_empty());
        let reason = policy.and_then(|policy| names.get(policy)).map(|name| {
            let (mut value, mut pair) = (Vec::new(), Vec::new());
            put_len(&mut value, 1, name.as_bytes());
            put_len(&mut pair, 1, key.as_bytes());
            put_len(&mut pair, 2, &value);
            (key, pair)
        });
        // A sure vote leaves thresholds as they are.
        let chance = Some(decision.chance).filter(|chance| *chance != Chance::Known(Threshold::ALWAYS));
        Self { reason, chance: chance.filter(|_| marking.thresholds) }
    }

    fn is_nothing(&self) -> bool {
        self.reason.is_none() && self.chance.is_none()
    }

    /// Spans with what is written to them.
    fn rewrite(&self, spans: &[u8]) -> Box<[u8]> {
        let mut out = Vec::with_capacity(spans.len() + spans.len() / 8);
        let (mut span, mut text) = (Vec::new(), String::new());
        for field in Fields::new(spans) {
            span.clear();
            self.rewrite_span(spans.get(field.value).unwrap_or_default(), &mut span, &mut text);
            put_len(&mut out, SPANS, &span);
        }
        out.into_boxed_slice()
    }

    fn rewrite_span(&self, span: &[u8], out: &mut Vec<u8>, text: &mut String) {
        let (mut before, mut id): (&str, Option<&[u8; 16]>) = ("", None);
        for field in Fields::new(span) {
            let value = span.get(field.value.clone()).unwrap_or_default();
            let goes = match (field.number, field.wire_type) {
                (1, LEN) => {
                    id = value.try_into().ok();
                    false
                }
                (3, LEN) if self.chance.is_some() => {
                    before = str::from_utf8(value).unwrap_or_default();
                    true
                }
                (9, LEN) => {
                    self.reason.as_ref().is_some_and(|(key, _)| KeyValueView::new(value).key_bytes() == key.as_bytes())
                }
                _ => false,
            };
            if !goes {
                out.extend_from_slice(span.get(field.start..field.end).unwrap_or_default());
            }
        }
        if let Some(chance) = self.chance {
            text.clear();
            match with_chance(before, chance, id, text) {
                true => put_text(out, 3, text),
                false => put_text(out, 3, before),
            }
        }
        if let Some((_, pair)) = &self.reason {
            put_len(out, 9, pair);
        }
    }
}

fn put_text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_len(out, field, text.as_bytes());
    }
}

/// Writes the tracestate with the threshold; `false` if `before` cannot be read, and stays.
fn with_chance(before: &str, chance: Chance, trace_id: Option<&[u8; 16]>, out: &mut String) -> bool {
    let Ok(mut state) = TraceState::parse(before) else { return false };
    let own = trace_id.map_or(Randomness::MAX, Randomness::of_trace_id);
    let randomness = state.randomness.unwrap_or(own);
    match chance {
        Chance::Known(threshold) if threshold.keeps(randomness) => {
            if state.threshold.is_some_and(|before| !before.keeps(randomness)) {
                // It should not have come this far, so its threshold says nothing.
                state.threshold = None;
            } else {
                // Left as it is where it is higher already.
                let _raised = state.raise(threshold);
            }
        }
        Chance::Known(_) | Chance::Unknown => state.threshold = None,
    }
    state.write(out);
    true
}
