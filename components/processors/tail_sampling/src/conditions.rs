//! What policies ask of single spans and resources, answered once, when they arrive.
//!
//! Every distinct condition of a configuration has a bit. A trace's bits are those of its spans and resources together, so
//! that a decision looks at no span again, and a trace of a million spans costs what one of two costs. Conditions in OTTL
//! have two bits: it held, and it failed (`error_mode: propagate`); the first of both to happen counts.

use std::fmt;

use matching::Pattern;
use ottl::{Condition, Context as Records, Subject};
use pdata::edit::{Editor, Level, Walk};
use pdata::view::{KeyValueView, ValueView};
use pdata::wire::{FIXED32, FIXED64, Fields, LEN};
use pdata::{Context, Payload, RequestPart};
use sampling::{Randomness, TraceState};
use smallvec::SmallVec;
use statements::{ErrorMode, Failures, Placed};
use xxhash_rust::xxh3::xxh3_64;

use crate::trace_state;

/// Answers, one bit each.
pub type Bits = SmallVec<[u64; 2]>;

/// Whether a bit is set.
#[must_use]
pub fn has(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

fn set(bits: &mut [u64], bit: usize) {
    if let Some(word) = bits.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn clear(bits: &mut [u64], bit: usize) {
    if let Some(word) = bits.get_mut(bit / 64) {
        *word &= !(1 << (bit % 64));
    }
}

/// What is asked of the value of an attribute.
#[derive(Debug)]
pub enum Matcher {
    /// One of these texts.
    Texts(Vec<Box<str>>),
    /// Text in which one of these is found.
    Patterns(Vec<(Box<str>, Pattern)>),
    /// An integer between, both included. Anything else counts as 0, as in the Collector.
    Between(i64, i64),
    /// This boolean. Anything else counts as `false`, as in the Collector.
    Is(bool),
}

impl Matcher {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Texts(a), Self::Texts(b)) => a == b,
            (Self::Patterns(a), Self::Patterns(b)) => a.iter().map(|(text, _)| text).eq(b.iter().map(|(text, _)| text)),
            (Self::Between(a, b), Self::Between(c, d)) => (a, b) == (c, d),
            (Self::Is(a), Self::Is(b)) => a == b,
            _ => false,
        }
    }

    fn matches(&self, value: ValueView<'_>, of_span: bool) -> bool {
        match self {
            Self::Between(least, most) => (least..=most).contains(&&value.as_i64().unwrap_or_default()),
            Self::Is(truth) => value.as_bool().unwrap_or_default() == *truth,
            Self::Texts(_) | Self::Patterns(_) => {
                let text = value.as_str().unwrap_or_default();
                if of_span && text.is_empty() {
                    return false;
                }
                match self {
                    Self::Patterns(patterns) => patterns.iter().any(|(_, pattern)| pattern.is_match(text.as_bytes())),
                    Self::Texts(texts) => texts.iter().any(|wanted| **wanted == *text),
                    _ => false,
                }
            }
        }
    }
}

#[derive(Debug)]
struct Key {
    name: Box<str>,
    matchers: Vec<(usize, Matcher)>,
    /// Its place among the attributes whose values make kinds of traces.
    field: Option<usize>,
}

#[derive(Debug)]
struct Ottl {
    span: Vec<Placed<Condition>>,
    event: Vec<Placed<Condition>>,
    mode: ErrorMode,
    held: usize,
    failed: usize,
}

/// All conditions of a configuration.
#[derive(Default)]
pub struct Conditions {
    keys: Vec<Key>,
    /// Bit and set of codes.
    states: Vec<(usize, u8)>,
    trace_states: Vec<(usize, String, Vec<String>)>,
    flags: Option<usize>,
    ottl: Vec<Ottl>,
    bits: usize,
    fields: usize,
    /// Whether randomness is taken from tracestates.
    pub reads_randomness: bool,
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions").field("bits", &self.bits).field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// What a span says about its trace, beside its bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanFacts {
    /// Trace ID; zeros where there is none.
    pub trace_id: [u8; 16],
    /// Whether it has no parent.
    pub is_root: bool,
    /// Start in ns since the epoch, 0 for unknown.
    pub start: u64,
    /// End in ns since the epoch, 0 for unknown.
    pub end: u64,
    /// Randomness it carries, if that is read.
    pub randomness: Option<Randomness>,
}

impl Conditions {
    /// Words that the bits of a span take.
    #[must_use]
    pub fn words(&self) -> usize {
        self.bits.div_ceil(64)
    }

    /// Attributes whose values make kinds of traces.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// Whether there are conditions in OTTL.
    #[must_use]
    pub fn has_ottl(&self) -> bool {
        !self.ottl.is_empty()
    }

    /// What conditions in OTTL read of requests.
    pub fn request_reads(&self) -> impl Iterator<Item = RequestPart> {
        let conditions = self.ottl.iter().flat_map(|ottl| ottl.span.iter().chain(&ottl.event));
        conditions.flat_map(|condition| condition.facts().request_reads())
    }

    fn next_bit(&mut self) -> usize {
        self.bits += 1;
        self.bits - 1
    }

    fn key(&mut self, name: &str) -> usize {
        self.keys.iter().position(|key| &*key.name == name).unwrap_or_else(|| {
            self.keys.push(Key { name: name.into(), matchers: Vec::new(), field: None });
            self.keys.len() - 1
        })
    }

    /// The bit of a condition on an attribute.
    pub fn attribute(&mut self, name: &str, matcher: Matcher) -> usize {
        let key = self.key(name);
        let known = self.keys.get(key).and_then(|key| key.matchers.iter().find(|(_, known)| known.is_same(&matcher)));
        if let Some((bit, _)) = known {
            return *bit;
        }
        let bit = self.next_bit();
        if let Some(key) = self.keys.get_mut(key) {
            key.matchers.push((bit, matcher));
        }
        bit
    }

    /// The place of an attribute whose values make kinds of traces.
    pub fn field(&mut self, name: &str) -> usize {
        let key = self.key(name);
        let next = self.fields;
        let Some(key) = self.keys.get_mut(key) else { return 0 };
        let field = *key.field.get_or_insert(next);
        self.fields = self.fields.max(field + 1);
        field
    }

    /// The bit of a set of status codes (bit `n` for code `n`).
    pub fn status(&mut self, codes: u8) -> usize {
        let bit = self.next_bit();
        self.states.push((bit, codes));
        bit
    }

    /// The bit of a member of the tracestate.
    pub fn trace_state(&mut self, key: &str, values: Vec<String>) -> usize {
        let bit = self.next_bit();
        self.trace_states.push((bit, key.to_owned(), values));
        bit
    }

    /// The bit of the trace flag `sampled`.
    pub fn flags(&mut self) -> usize {
        if self.flags.is_none() {
            self.flags = Some(self.next_bit());
        }
        self.flags.unwrap_or_default()
    }

    /// The bits of conditions in OTTL: one held, one failed.
    pub fn ottl(
        &mut self,
        span: Vec<Placed<Condition>>,
        event: Vec<Placed<Condition>>,
        mode: ErrorMode,
    ) -> (usize, usize) {
        let (held, failed) = (self.next_bit(), self.next_bit());
        self.ottl.push(Ottl { span, event, mode, held, failed });
        (held, failed)
    }

    /// Reads a resource: sets bits, and notes values that make kinds of traces, as hashes that are not 0.
    pub fn read_resource(&self, resource: &[u8], bits: &mut [u64], fields: &mut [u64]) {
        let mut seen = Bits::from_elem(0, self.keys.len().div_ceil(64));
        for field in Fields::new(resource).filter(|field| field.number == 1 && field.wire_type == LEN) {
            let pair = KeyValueView::new(resource.get(field.value).unwrap_or_default());
            self.read_attribute(pair, false, &mut seen, bits, fields);
        }
    }

    fn read_attribute(
        &self,
        pair: KeyValueView<'_>,
        of_span: bool,
        seen: &mut [u64],
        bits: &mut [u64],
        fields: &mut [u64],
    ) {
        let name = pair.key_bytes();
        let Some(at) = self.keys.iter().position(|key| key.name.as_bytes() == name) else { return };
        // Of several attributes with one key, the first counts.
        if has(seen, at) {
            return;
        }
        set(seen, at);
        let Some(key) = self.keys.get(at) else { return };
        let value = pair.value();
        for (bit, matcher) in &key.matchers {
            if matcher.matches(value, of_span) {
                set(bits, *bit);
            }
        }
        if let Some(field) = key.field.and_then(|field| fields.get_mut(field))
            && *field == 0
        {
            *field = xxh3_64(pair.value_bytes().unwrap_or_default()).max(1);
        }
    }

    /// Reads a span: sets bits but those of OTTL, and notes values that make kinds of traces.
    pub fn read_span(&self, span: &[u8], bits: &mut [u64], fields: &mut [u64]) -> SpanFacts {
        let mut facts = SpanFacts { is_root: true, ..SpanFacts::default() };
        let mut seen = Bits::from_elem(0, self.keys.len().div_ceil(64));
        let mut code = 0_u64;
        let fixed64 = |value: &[u8]| value.try_into().map(u64::from_le_bytes).unwrap_or_default();
        for field in Fields::new(span) {
            let (number, wire_type) = (field.number, field.wire_type);
            let value = span.get(field.value).unwrap_or_default();
            match (number, wire_type) {
                (1, LEN) => facts.trace_id = value.try_into().unwrap_or_default(),
                (3, LEN) if !value.is_empty() => self.read_trace_state(value, bits, &mut facts),
                (4, LEN) => facts.is_root = value.iter().all(|byte| *byte == 0),
                (7, FIXED64) => facts.start = fixed64(value),
                (8, FIXED64) => facts.end = fixed64(value),
                (9, LEN) if !self.keys.is_empty() => {
                    self.read_attribute(KeyValueView::new(value), true, &mut seen, bits, fields);
                }
                (15, LEN) if !self.states.is_empty() => {
                    code = pdata::view::StatusView::new(value).code().unsigned_abs().into();
                }
                (16, FIXED32) => {
                    if let Some(bit) = self.flags
                        && value.first().is_some_and(|flags| flags & 1 == 1)
                    {
                        set(bits, bit);
                    }
                }
                _ => {}
            }
        }
        for (bit, codes) in &self.states {
            if code < 8 && codes >> code & 1 == 1 {
                set(bits, *bit);
            }
        }
        facts
    }

    fn read_trace_state(&self, text: &[u8], bits: &mut [u64], facts: &mut SpanFacts) {
        if self.trace_states.is_empty() && !self.reads_randomness {
            return;
        }
        let text = str::from_utf8(text).unwrap_or_default();
        if self.reads_randomness {
            facts.randomness = TraceState::parse(text).ok().and_then(|state| state.randomness);
        }
        for (bit, key, values) in &self.trace_states {
            let value = trace_state::member(text, key);
            if value.is_some_and(|value| values.iter().any(|wanted| wanted == value)) {
                set(bits, *bit);
            }
        }
    }

    /// Asks the conditions in OTTL about every span of a payload, in order. `bits` are those of all spans, one after another,
    /// [`words`](Self::words) for each.
    pub fn ask_ottl(&self, payload: Payload, request: &Context, bits: &mut [u64], failures: &Failures) {
        let words = self.words().max(1);
        let Ok(mut editor) = Editor::new(payload) else {
            for bits in bits.chunks_mut(words) {
                self.ottl.iter().for_each(|ottl| set(bits, ottl.failed));
            }
            return;
        };
        let mut walk = Walk::new(&editor, Level::Items);
        let mut on = Subject::new(&mut editor, request);
        for bits in bits.chunks_mut(words) {
            let Some(place) = walk.next(on.editor) else { break };
            on.at(&place, Level::Items);
            for ottl in &self.ottl {
                match ottl.holds(&mut on, failures) {
                    Ok(true) => set(bits, ottl.held),
                    Ok(false) => {}
                    Err(()) => set(bits, ottl.failed),
                }
            }
        }
    }

    /// Adds what a span or resource says to what its trace says so far.
    pub fn merge(&self, into: &mut [u64], from: &[u64]) {
        if self.ottl.is_empty() {
            into.iter_mut().zip(from).for_each(|(into, from)| *into |= from);
            return;
        }
        let mut from = Bits::from_slice(from);
        for ottl in &self.ottl {
            if has(into, ottl.held) || has(into, ottl.failed) {
                clear(&mut from, ottl.held);
                clear(&mut from, ottl.failed);
            }
        }
        into.iter_mut().zip(&from).for_each(|(into, from)| *into |= from);
    }
}

impl Ottl {
    fn holds(&self, on: &mut Subject<'_>, failures: &Failures) -> Result<bool, ()> {
        if any(&self.span, self.mode, on, failures)? {
            return Ok(true);
        }
        if self.event.is_empty() {
            return Ok(false);
        }
        let Ok(span) = on.item() else { return Ok(false) };
        let (mut next, mut index) = (on.editor.first(span, 11), 0);
        let mut found = Ok(false);
        while let Some(at) = next {
            on.child = Some((at, index));
            on.clear_cache(Records::SpanEvent);
            found = any(&self.event, self.mode, on, failures);
            if found != Ok(false) {
                break;
            }
            (next, index) = (on.editor.next(at), index + 1);
        }
        on.child = None;
        found
    }
}

fn any(
    conditions: &[Placed<Condition>],
    mode: ErrorMode,
    on: &mut Subject<'_>,
    failures: &Failures,
) -> Result<bool, ()> {
    for condition in conditions {
        match condition.holds(on) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failures.meet(mode, condition, condition.text(), &error).map_err(|_told_by_a_metric| ())?,
        }
    }
    Ok(false)
}
