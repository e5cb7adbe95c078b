//! The one pass over a request that arrives: wire types, lengths, ID sizes, UTF-8, nesting; items are counted on the way.
//!
//! After it nothing downstream can fail on form. What it does about oddities:
//! - malformed bytes are refused, naming byte offset and field;
//! - bytes that are not UTF-8 inside strings become `?`, in place and counted ([`Utf8Policy`]);
//! - legal encodings that would let data hide from a view (a singular field given twice, two members of a oneof, a
//!   submessage in pieces) are rewritten as protobuf's rules resolve them ([`crate::validate::canonical`]);
//! - unknown fields stay.
//!
//! The walk is driven by [`crate::schema`]; attributes in the form in which every SDK writes them take a short cut that
//! checks the same things with a few comparisons. Cost: see `benches/pdata.rs`.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

pub mod canonical;

use std::fmt;
use std::ops::Range;

use crate::schema::{self, Field, Form, Kind, Label, Message};
use crate::signal::Signal;
use crate::wire::{self, FIXED32, FIXED64, Fields, LEN, Malformed, VARINT, read_varint};

/// How deep messages may nest below the request. An attribute value nests two levels per list or map; protobuf's own
/// implementations stop at 100.
pub const DEPTH_MAX: u32 = 100;

/// The largest request in bytes: indexes hold offsets of 32 bits.
pub const BYTES_MAX: usize = u32::MAX as usize;

/// What to do about strings that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8Policy {
    /// Replace each offending byte by `?`.
    #[default]
    Repair,
    /// Refuse the request.
    Refuse,
}

/// What was changed while validating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Strings that were not UTF-8 and had bytes replaced.
    pub utf8_strings: u64,
    /// Whether the request was rewritten into canonical form.
    pub rewritten: bool,
}

/// Outcome of a validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validated {
    /// Spans, data points or log records.
    pub items: u32,
    /// What was changed.
    pub repairs: Repairs,
}

/// Why a request is refused. Answered as 400 / `INVALID_ARGUMENT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    offset: usize,
    path: Vec<&'static str>,
    problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a sequence of protobuf fields.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A known field with another wire type.
    #[error("wire type {found} where {expected} is expected")]
    WireType {
        /// As it stands.
        found: u8,
        /// As the schema says.
        expected: u8,
    },
    /// An ID of the wrong size.
    #[error("an ID of {found} bytes where {expected} or none are expected")]
    IdLength {
        /// As it stands, in bytes.
        found: usize,
        /// As OTLP says, in bytes.
        expected: usize,
    },
    /// Messages within messages beyond [`DEPTH_MAX`].
    #[error("values are nested more than {DEPTH_MAX} messages deep")]
    Depth,
    /// Not UTF-8, under [`Utf8Policy::Refuse`].
    #[error("a string is not UTF-8")]
    Utf8,
    /// A packed list of fixed-size values whose length is no multiple of that size.
    #[error("a packed list of {found} bytes is no multiple of its element's size")]
    Packed {
        /// As it stands, in bytes.
        found: usize,
    },
    /// More items than can be counted.
    #[error("more items than can be counted")]
    Items,
    /// A request beyond [`BYTES_MAX`], which indexes could not address.
    #[error("a request of {found} bytes where at most {BYTES_MAX} are handled")]
    Size {
        /// As it stands, in bytes.
        found: usize,
    },
}

impl Invalid {
    #[cold]
    fn new(offset: usize, problem: impl Into<Problem>) -> Self {
        Self(Box::new(Detail { offset, path: Vec::new(), problem: problem.into() }))
    }

    #[cold]
    fn inside(mut self, field: &'static str) -> Self {
        self.0.path.push(field);
        self
    }

    /// Where in the request, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Which field, as `resource_spans.scope_spans.spans.trace_id`; empty at the request itself.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.path.iter().rev().copied().collect::<Vec<_>>().join(".")
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid OTLP at byte {}", self.0.offset)?;
        if !self.0.path.is_empty() {
            write!(f, " in `{}`", self.path())?;
        }
        write!(f, ": {}", self.0.problem)
    }
}

impl std::error::Error for Invalid {}

/// Validates, repairs and counts an export request of `signal` in place.
///
/// # Errors
/// [`Invalid`]; the body is unchanged then.
pub fn validate(signal: Signal, body: &mut Vec<u8>, policy: Utf8Policy) -> Result<Validated, Invalid> {
    let table = schema::request(signal);
    let mut walk = Walk::new(body);
    walk.request(table)?;
    let Walk { items, bad_strings, duplicates, .. } = walk;
    if policy == Utf8Policy::Refuse
        && let Some(first) = bad_strings.first()
    {
        return Err(not_utf8(table, body, first.start));
    }
    for range in &bad_strings {
        if let Some(text) = body.get_mut(range.clone()) {
            repair_utf8(text);
        }
    }
    let mut items = items;
    if duplicates {
        *body = canonical::rewrite(table, body);
        let mut again = Walk::new(body);
        again.request(table)?;
        items = again.items;
    }
    let repairs = Repairs { utf8_strings: bad_strings.len() as u64, rewritten: duplicates };
    Ok(Validated { items, repairs })
}

/// Checks bytes that this program made itself (or stored after validation): counts items, changes nothing.
///
/// # Errors
/// [`Invalid`], also for what [`validate`] would repair.
pub fn check(signal: Signal, body: &[u8]) -> Result<u32, Invalid> {
    let table = schema::request(signal);
    let mut walk = Walk::new(body);
    walk.request(table)?;
    match walk.bad_strings.first() {
        Some(first) => Err(not_utf8(table, body, first.start)),
        None => Ok(walk.items),
    }
}

/// Replaces each byte that is not part of a UTF-8 character by `?`.
pub fn repair_utf8(mut text: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(text) {
        let from = error.valid_up_to();
        let bad = error.error_len().unwrap_or(text.len().saturating_sub(from));
        let Some(rest) = text.get_mut(from..) else { return };
        for byte in rest.iter_mut().take(bad) {
            *byte = b'?';
        }
        text = rest.get_mut(bad..).unwrap_or_default();
    }
}

/// Names the string that starts at `offset`; the walk notes strings that are not UTF-8 without their paths.
#[cold]
fn not_utf8(table: &'static Message, body: &[u8], offset: usize) -> Invalid {
    let mut invalid = Invalid::new(offset, Problem::Utf8);
    let (mut table, mut message, mut base) = (table, body, 0);
    while let Some(raw) = Fields::new(message).find(|raw| offset < base + raw.end)
        && let Some(field) = table.field(raw.number)
    {
        invalid.0.path.insert(0, field.name);
        let (Some(inner), Some(content)) = (field.kind.message(), message.get(raw.value.clone())) else { break };
        (table, message, base) = (inner, content, base + raw.value.start);
    }
    invalid
}

struct Walk<'a> {
    buf: &'a [u8],
    items: u32,
    bad_strings: Vec<Range<usize>>,
    duplicates: bool,
}

/// Bit in a message's set of seen fields that stands for its oneof.
const ONEOF_SEEN: u32 = 1 << 31;

impl<'a> Walk<'a> {
    fn new(buf: &'a [u8]) -> Self {
        Self { buf, items: 0, bad_strings: Vec::new(), duplicates: false }
    }

    /// Walks the whole buffer.
    fn request(&mut self, table: &'static Message) -> Result<(), Invalid> {
        let found = self.buf.len();
        if found > BYTES_MAX {
            return Err(Invalid::new(BYTES_MAX, Problem::Size { found }));
        }
        // The request itself takes one level of the budget.
        self.message(table, 0, found, DEPTH_MAX + 1)
    }

    /// Walks the message in `start..end`. `end` never exceeds the buffer.
    fn message(&mut self, table: &'static Message, start: usize, end: usize, depth: u32) -> Result<(), Invalid> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Invalid::new(start, Problem::Depth)) };
        let buf = self.buf.get(..end).unwrap_or_default();
        let mut at = start;
        // Fields that were there, and those that were there twice.
        let (mut seen, mut again) = (0_u32, 0_u32);
        while at < end {
            if let Some((bit, after)) = self.plain_field(table, buf, at) {
                again |= seen & bit;
                seen |= bit;
                at = after;
                continue;
            }
            let field_start = at;
            // Tags of known fields take one byte, but for field 16.
            let Some(tag) = read_varint(buf, &mut at) else {
                return Err(Invalid::new(field_start, Malformed::Varint));
            };
            let wire_type = (tag & 7) as u8;
            let Some(field) = u32::try_from(tag >> 3).ok().and_then(|number| table.field(number)) else {
                at = self.unknown(buf, field_start)?;
                continue;
            };
            match field.label {
                Label::Repeated => {
                    if depth >= 2 && is_key_values(field) {
                        let after = self.plain_key_values(buf, field_start);
                        if after > field_start {
                            at = after;
                            continue;
                        }
                    }
                }
                Label::OneOf => {
                    again |= seen & ONEOF_SEEN;
                    seen |= ONEOF_SEEN;
                }
                Label::Singular | Label::Optional => {
                    let bit = 1 << field.number;
                    again |= seen & bit;
                    seen |= bit;
                }
            }
            at = self.value(buf, field, wire_type, field_start, at, depth)?;
        }
        self.duplicates |= again != 0;
        Ok(())
    }

    /// Checks the field at `at` if it is what most are: one that may occur once, with tag and length in a byte each and a
    /// value without fields of its own. Returns the bit of its number, and where the next field starts. `None` says nothing:
    /// the general walk decides then.
    #[inline(always)]
    fn plain_field(&mut self, table: &'static Message, buf: &[u8], at: usize) -> Option<(u32, usize)> {
        let &[tag, next] = buf.get(at..)?.first_chunk()?;
        let form = table.form(tag);
        let after = match form {
            Form::Other => return None,
            Form::Fixed64 => at + 9,
            Form::Fixed32 => at + 5,
            Form::Varint if next < 0x80 => at + 2,
            Form::TraceId if next == 16 => at + 18,
            Form::SpanId if next == 8 => at + 10,
            Form::Text if next < 0x80 => at + 2 + usize::from(next),
            _ => return None,
        };
        if after > buf.len() {
            return None;
        }
        if form == Form::Text {
            self.string(at + 2, after);
        }
        Some((1 << (tag >> 3), after))
    }

    #[inline]
    fn value(
        &mut self,
        buf: &[u8],
        field: &'static Field,
        wire_type: u8,
        field_start: usize,
        mut at: usize,
        depth: u32,
    ) -> Result<usize, Invalid> {
        if wire_type == LEN {
            let Some(len) = read_varint(buf, &mut at) else {
                return Err(Invalid::new(field_start, Malformed::Varint).inside(field.name));
            };
            let Some(end) =
                usize::try_from(len).ok().and_then(|len| at.checked_add(len)).filter(|end| *end <= buf.len())
            else {
                return Err(Invalid::new(field_start, Malformed::Truncated).inside(field.name));
            };
            self.len_value(buf, field, field_start, at, end, depth).map_err(|invalid| invalid.inside(field.name))?;
            return Ok(end);
        }
        let expected = field.kind.wire_type();
        if wire_type != expected {
            return Err(Invalid::new(field_start, Problem::WireType { found: wire_type, expected }).inside(field.name));
        }
        let end = match wire_type {
            VARINT => read_varint(buf, &mut at).map(|_| at),
            FIXED64 => Some(at + 8),
            FIXED32 => Some(at + 4),
            _ => None,
        };
        match end {
            Some(end) if end <= buf.len() => Ok(end),
            Some(_) => Err(Invalid::new(field_start, Malformed::Truncated).inside(field.name)),
            None => Err(Invalid::new(field_start, Malformed::Varint).inside(field.name)),
        }
    }

    #[inline]
    fn len_value(
        &mut self,
        buf: &[u8],
        field: &'static Field,
        field_start: usize,
        at: usize,
        end: usize,
        depth: u32,
    ) -> Result<(), Invalid> {
        match field.kind {
            Kind::Message(message) => self.message(message, at, end, depth),
            Kind::Item(message) => {
                self.items = self.items.checked_add(1).ok_or_else(|| Invalid::new(field_start, Problem::Items))?;
                self.message(message, at, end, depth)
            }
            Kind::String => {
                self.string(at, end);
                Ok(())
            }
            Kind::Bytes => Ok(()),
            Kind::TraceId => id_length(field_start, end - at, 16),
            Kind::SpanId => id_length(field_start, end - at, 8),
            Kind::Fixed32 if field.label == Label::Repeated => packed(field_start, end - at, 4),
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double if field.label == Label::Repeated => {
                packed(field_start, end - at, 8)
            }
            _ if field.label == Label::Repeated => {
                let mut at = at;
                let buf = buf.get(..end).unwrap_or_default();
                while at < end {
                    let value_start = at;
                    if read_varint(buf, &mut at).is_none() {
                        return Err(Invalid::new(value_start, Malformed::Varint));
                    }
                }
                Ok(())
            }
            kind => Err(Invalid::new(field_start, Problem::WireType { found: LEN, expected: kind.wire_type() })),
        }
    }

    fn string(&mut self, at: usize, end: usize) {
        let text = self.buf.get(at..end).unwrap_or_default();
        if !is_ascii(text) && simdutf8::basic::from_utf8(text).is_err() {
            self.bad_strings.push(at..end);
        }
    }

    /// Steps over pairs at `at` that follow one another with the same one-byte tag and have the plain form. Returns where
    /// it stopped: at `at` itself when the first pair is not plain. The short cut stands for two levels of depth, the pair
    /// and its value.
    #[inline]
    fn plain_key_values(&mut self, buf: &[u8], mut at: usize) -> usize {
        let Some(&tag) = buf.get(at) else { return at };
        // From here on nothing was looked at yet but tags and lengths, all of them below 0x80: what is between them is text.
        let mut unread = at;
        while let Some((value, end)) = plain_key_value(buf, tag, at) {
            if buf.get(value) != Some(&PLAIN_TEXT) {
                self.texts_of_pairs(buf, unread, value);
                unread = end;
            }
            at = end;
        }
        self.texts_of_pairs(buf, unread, at);
        at
    }

    /// Checks the texts of plain pairs that fill `start..end`; the last one may be cut off before its value.
    #[inline]
    fn texts_of_pairs(&mut self, buf: &[u8], start: usize, end: usize) {
        if !is_ascii(buf.get(start..end).unwrap_or_default()) {
            self.each_text_of_pairs(buf, start, end);
        }
    }

    #[inline(never)]
    fn each_text_of_pairs(&mut self, buf: &[u8], start: usize, end: usize) {
        let Some(&tag) = buf.get(start) else { return };
        let mut at = start;
        while at < end
            && let Some((value, next)) = plain_key_value(buf, tag, at)
        {
            self.string(at + 4, value - 2);
            if value < end {
                self.string(value + 2, next);
            }
            at = next;
        }
    }

    #[cold]
    fn unknown(&mut self, buf: &[u8], field_start: usize) -> Result<usize, Invalid> {
        match wire::read_field(buf, field_start) {
            Ok(field) => Ok(field.end),
            Err(malformed) => Err(Invalid::new(field_start, malformed)),
        }
    }
}

/// First byte of a plain value that is text.
const PLAIN_TEXT: u8 = 1 << 3 | LEN;

/// Where the value's content and the next field start, if at `at` there is a `KeyValue` of that tag as SDKs write it: key, then a
/// value holding one scalar, all lengths in one byte. Everything that the general walk checks is, but for the texts. `None`
/// says nothing: the general walk decides then.
#[inline(always)]
fn plain_key_value(buf: &[u8], tag: u8, at: usize) -> Option<(usize, usize)> {
    let &[found, len, 0x0a, key_len] = buf.get(at..)?.first_chunk()? else { return None };
    // The smallest value takes two bytes, behind two of its tag and length.
    let value = at + 6 + usize::from(key_len);
    let end = at + 2 + usize::from(len);
    let &[0x12, value_len, first, second] = buf.get(value - 2..end)?.first_chunk()? else { return None };
    // With the first, the other two are below 0x80, too.
    let is_whole = len < 0x80 && value + usize::from(value_len) == end;
    let is_plain = match first {
        PLAIN_TEXT => usize::from(second) + 2 == usize::from(value_len),
        0x18 => match buf.get(value + 1..end)? {
            [middle @ .., last] => *last < 0x80 && middle.len() < 9 && middle.iter().all(|byte| *byte >= 0x80),
            [] => false,
        },
        0x21 => value_len == 9,
        0x10 => value_len == 2 && second < 0x80,
        _ => false,
    };
    (found == tag && is_whole && is_plain).then_some((value, end))
}

fn is_key_values(field: &Field) -> bool {
    matches!(field.kind, Kind::Message(message) if std::ptr::eq(message, &schema::KEY_VALUE))
}

fn id_length(field_start: usize, found: usize, expected: usize) -> Result<(), Invalid> {
    if found == expected || found == 0 {
        return Ok(());
    }
    Err(Invalid::new(field_start, Problem::IdLength { found, expected }))
}

fn packed(field_start: usize, found: usize, size: usize) -> Result<(), Invalid> {
    if found.is_multiple_of(size) {
        return Ok(());
    }
    Err(Invalid::new(field_start, Problem::Packed { found }))
}

/// Like `<[u8]>::is_ascii`, tuned for the 10 to 100 bytes that keys and values have.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = text.as_chunks::<8>();
    let bits = words.iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word));
    let tail_bits = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => u64::from(tail.iter().fold(0, |bits, byte| bits | byte)),
    };
    (bits | tail_bits) & HIGH == 0
}

#[cfg(test)]
mod tests;
