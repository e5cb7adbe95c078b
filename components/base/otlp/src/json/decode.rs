//! OTLP/JSON to wire bytes in one pass, driven by [`pdata::schema`]: no tree in between.
//!
//! What is written is canonical: fields once, lists packed, zeros of plain fields left out, lengths as short as they
//! can be. Where an object has a key twice, or two members of a oneof, the last one counts, as in a parser that builds
//! a tree; that is repaired when the object ends ([`last_wins`]), since it hardly ever happens.
//!
//! Rules (OTLP specification, "JSON Protobuf Encoding"; protobuf's JSON mapping): keys are lowerCamelCase, others are
//! skipped; `null` is absence (in a list of messages, an empty message); integers are numbers or strings, enumerations
//! numbers or names, IDs hexadecimal, bytes base64.
//!
//! Memory: the output's capacity is charged before it grows by more than the charge covers.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

use pdata::schema::{Field, Kind, Label, Message, NUMBER_MAX};
use pdata::validate::{DEPTH_MAX, Utf8Policy, repair_utf8};
use pdata::wire::{Fields, put_fixed32, put_fixed64, put_tag, put_varint, put_varint_field, varint_len, zigzag};
use pdata::{Charge, Overloaded};

use super::error::{Invalid, Problem, excerpt};
use super::reader::{RawString, Reader};
use super::scalar;

/// Why a body is not translated.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not OTLP/JSON.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no memory for the translation.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

type Result<T> = std::result::Result<T, DecodeError>;

/// What a translation yields.
pub(crate) struct Decoded {
    pub(crate) wire: Vec<u8>,
    pub(crate) items: u32,
    pub(crate) repaired_strings: u64,
    /// An object named a field twice, so items were written and taken back: `items` is too high then.
    pub(crate) recount: bool,
}

/// Translates `text` to a message of type `table`. `charge` covers what is written.
pub(crate) fn message(
    table: &'static Message,
    text: &[u8],
    charge: Option<&mut Charge>,
    policy: Utf8Policy,
) -> Result<Decoded> {
    let covered = charge.as_ref().map_or(usize::MAX, |_| 0);
    let mut decoder = Decoder {
        reader: Reader::new(text),
        out: Vec::new(),
        charge,
        covered,
        unchecked: simdutf8::basic::from_utf8(text).is_err(),
        policy,
        items: 0,
        repaired_strings: 0,
        recount: false,
    };
    // Spans and log records take about half their JSON; more is asked for when it is needed.
    decoder.reserve(text.len() / 2)?;
    decoder.message(table, DEPTH_MAX)?;
    decoder.reader.finish()?;
    let Decoder { out: wire, items, repaired_strings, recount, .. } = decoder;
    Ok(Decoded { wire, items, repaired_strings, recount })
}

struct Decoder<'a, 'c> {
    reader: Reader<'a>,
    out: Vec<u8>,
    charge: Option<&'c mut Charge>,
    /// Capacity of `out` that is charged.
    covered: usize,
    /// The text as a whole is not UTF-8, so each string has to be looked at.
    unchecked: bool,
    policy: Utf8Policy,
    items: u32,
    repaired_strings: u64,
    recount: bool,
}

/// What is known of an object's keys so far.
struct Seen {
    /// One bit per field number, bit 0 for the oneof.
    bits: u32,
    /// Length of the message when the last occurrence of the key of each field began.
    starts: [usize; NUMBER_MAX as usize + 1],
    ambiguous: bool,
}

impl Seen {
    #[inline]
    fn note(&mut self, field: &Field, is_null: bool, written: usize) {
        let mut bits = 1 << field.number;
        if field.label == Label::OneOf && !is_null {
            bits |= 1;
        }
        self.ambiguous |= self.bits & bits != 0;
        self.bits |= bits;
        if let Some(start) = self.starts.get_mut(field.number as usize) {
            *start = written;
        }
    }
}

impl Decoder<'_, '_> {
    /// Makes room for `more` bytes, charged.
    fn reserve(&mut self, more: usize) -> Result<()> {
        let wanted = self.out.len().saturating_add(more);
        if wanted > self.covered {
            // Doubling, as a vector does, so that both ask seldom.
            let target = wanted.max(self.covered.saturating_mul(2)).max(64);
            if let Some(charge) = self.charge.as_deref_mut() {
                charge.grow(target - self.covered)?;
            }
            self.covered = target;
            self.out.reserve_exact(target - self.out.len());
        }
        Ok(())
    }

    fn message(&mut self, table: &'static Message, depth: u32) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(self.reader.fail(self.reader.at(), Problem::Depth)?) };
        let base = self.out.len();
        let mut seen = Seen { bits: 0, starts: [0; NUMBER_MAX as usize + 1], ambiguous: false };
        let mut first = true;
        let mut expected = 0;
        self.reader.begin_object()?;
        while let Some(key) = self.reader.next_key(&mut first)? {
            let Some(index) = self.find(table, key, expected)? else {
                self.reader.skip()?;
                continue;
            };
            expected = index + 1;
            let Some(field) = table.fields.get(index) else { continue };
            let is_null = self.reader.take_null()?;
            seen.note(field, is_null, self.out.len() - base);
            if !is_null {
                self.field(field, depth).map_err(|error| inside(error, field))?;
            }
        }
        if seen.ambiguous {
            last_wins(table, &mut self.out, base, &seen);
            self.recount = true;
        }
        Ok(())
    }

    /// Index of the field that `key` names. Senders write fields in order, so the one after the last is looked at first.
    #[inline]
    fn find(&self, table: &'static Message, key: RawString<'_>, expected: usize) -> Result<Option<usize>> {
        if key.escaped {
            let mut name = Vec::new();
            self.reader.unescape(key, &mut name)?;
            return Ok(table.fields.iter().position(|field| field.json.as_bytes() == name));
        }
        if table.fields.get(expected).is_some_and(|field| field.json.as_bytes() == key.bytes) {
            return Ok(Some(expected));
        }
        Ok(table.fields.iter().position(|field| field.json.as_bytes() == key.bytes))
    }

    fn field(&mut self, field: &'static Field, depth: u32) -> Result<()> {
        if field.label != Label::Repeated {
            return match field.kind {
                Kind::Message(message) | Kind::Item(message) => self.submessage(field, message, depth),
                Kind::String => self.string(field),
                Kind::Bytes => self.bytes(field),
                Kind::TraceId => self.id::<16>(field),
                Kind::SpanId => self.id::<8>(field),
                _ => self.scalar(field),
            };
        }
        self.reader.begin_list()?;
        let (mut first, mut index) = (true, 0);
        let packed = match field.kind {
            Kind::Message(_) | Kind::Item(_) | Kind::String | Kind::Bytes | Kind::TraceId | Kind::SpanId => None,
            _ => Some(self.open(field.number)?),
        };
        while self.reader.next_element(&mut first)? {
            self.element(field, depth).map_err(|error| match error {
                DecodeError::Invalid(invalid) => invalid.at_element(index).into(),
                other => other,
            })?;
            index += 1;
        }
        match packed {
            // The tag and the length's first byte are taken back.
            Some(content) if content == self.out.len() => self.out.truncate(content - 2),
            Some(content) => self.close(content)?,
            None => {}
        }
        Ok(())
    }

    #[inline]
    fn element(&mut self, field: &'static Field, depth: u32) -> Result<()> {
        match field.kind {
            Kind::Item(message) => {
                let Some(items) = self.items.checked_add(1) else {
                    return Ok(self.reader.fail(self.reader.at(), Problem::Items)?);
                };
                self.items = items;
                self.element_message(field, message, depth)
            }
            Kind::Message(message) => self.element_message(field, message, depth),
            Kind::String => self.string(field),
            Kind::Bytes => self.bytes(field),
            Kind::TraceId => self.id::<16>(field),
            Kind::SpanId => self.id::<8>(field),
            kind => {
                self.reserve(10)?;
                match self.number(kind)? {
                    Number::Varint(value) => put_varint(&mut self.out, value),
                    Number::Fixed32(value) => self.out.extend_from_slice(&value.to_le_bytes()),
                    Number::Fixed64(value) => self.out.extend_from_slice(&value.to_le_bytes()),
                }
                Ok(())
            }
        }
    }

    /// A list's element that is null keeps its place, as an empty message.
    fn element_message(&mut self, field: &Field, message: &'static Message, depth: u32) -> Result<()> {
        if self.reader.take_null()? {
            let content = self.open(field.number)?;
            return self.close(content);
        }
        self.submessage(field, message, depth)
    }

    #[inline]
    fn submessage(&mut self, field: &Field, message: &'static Message, depth: u32) -> Result<()> {
        let content = self.open(field.number)?;
        self.message(message, depth)?;
        self.close(content)
    }

    /// Begins a length-delimited field; returns where its content starts.
    #[inline]
    fn open(&mut self, number: u32) -> Result<usize> {
        self.reserve(4)?;
        put_tag(&mut self.out, number, pdata::wire::LEN);
        self.out.push(0);
        Ok(self.out.len())
    }

    /// Writes the length of the field whose content starts at `content`, which moves if the length takes several bytes.
    #[inline]
    fn close(&mut self, content: usize) -> Result<()> {
        let len = self.out.len() - content;
        let more = varint_len(len as u64) - 1;
        if more > 0 {
            self.reserve(more)?;
            let end = self.out.len();
            self.out.resize(end + more, 0);
            self.out.copy_within(content..end, content + more);
        }
        let mut value = len;
        for (index, byte) in self.out.iter_mut().skip(content - 1).take(more + 1).enumerate() {
            *byte = (value & 0x7f) as u8 | if index < more { 0x80 } else { 0 };
            value >>= 7;
        }
        Ok(())
    }

    fn string(&mut self, field: &Field) -> Result<()> {
        let raw = self.reader.string()?;
        if raw.bytes.is_empty() && field.label == Label::Singular {
            return Ok(());
        }
        self.reserve(raw.bytes.len() + 12)?;
        if !raw.escaped && !self.unchecked {
            pdata::wire::put_len(&mut self.out, field.number, raw.bytes);
            return Ok(());
        }
        let content = self.open(field.number)?;
        let mut bad = if raw.escaped {
            self.reader.unescape(raw, &mut self.out)?
        } else {
            self.out.extend_from_slice(raw.bytes);
            false
        };
        if self.unchecked
            && let Some(text) = self.out.get_mut(content..)
            && std::str::from_utf8(text).is_err()
        {
            repair_utf8(text);
            bad = true;
        }
        if bad && self.policy == Utf8Policy::Refuse {
            return Ok(self.reader.fail(raw.at, Problem::Unicode)?);
        }
        self.repaired_strings += u64::from(bad);
        self.close(content)
    }

    fn bytes(&mut self, field: &Field) -> Result<()> {
        let raw = self.reader.string()?;
        if raw.bytes.is_empty() && field.label == Label::Singular {
            return Ok(());
        }
        self.reserve(raw.bytes.len() + 12)?;
        let text = self.reader.value_of(raw)?;
        let content = self.open(field.number)?;
        if scalar::base64(&text, &mut self.out).is_none() {
            return Ok(self.reader.fail(raw.at, Problem::Base64)?);
        }
        self.close(content)
    }

    fn id<const N: usize>(&mut self, field: &Field) -> Result<()> {
        let raw = self.reader.string()?;
        let digits = self.reader.value_of(raw)?;
        if digits.is_empty() {
            return Ok(());
        }
        if digits.len() != N * 2 {
            let problem = Problem::IdLength { found: digits.len(), expected: N * 2 };
            return Ok(self.reader.fail(raw.at, problem)?);
        }
        let mut id = [0; N];
        if scalar::hex(&digits, &mut id).is_none() {
            return Ok(self.reader.fail(raw.at, Problem::IdDigit)?);
        }
        self.reserve(N + 4)?;
        pdata::wire::put_len(&mut self.out, field.number, &id);
        Ok(())
    }

    fn scalar(&mut self, field: &Field) -> Result<()> {
        let number = self.number(field.kind)?;
        self.reserve(12)?;
        // Zero is absence, except where presence is told apart.
        let written = field.label != Label::Singular;
        match number {
            Number::Varint(value) if written || value != 0 => put_varint_field(&mut self.out, field.number, value),
            Number::Fixed32(value) if written || value != 0 => put_fixed32(&mut self.out, field.number, value),
            Number::Fixed64(value) if written || value != 0 => put_fixed64(&mut self.out, field.number, value),
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, kind: Kind) -> Result<Number> {
        Ok(match kind {
            Kind::Bool => Number::Varint(u64::from(self.reader.boolean()?)),
            Kind::Double => Number::Fixed64(self.double()?.to_bits()),
            Kind::Enum(names) => Number::Varint(i64::from(self.enumeration(names)?).cast_unsigned()),
            Kind::Int32 => Number::Varint(self.integer::<i64>(i32::MIN, i32::MAX, "32-bit integer")?.cast_unsigned()),
            Kind::Sint32 => Number::Varint(zigzag(self.integer::<i64>(i32::MIN, i32::MAX, "32-bit integer")?)),
            Kind::Uint32 => Number::Varint(self.integer::<u64>(0, u32::MAX, "unsigned 32-bit integer")?),
            Kind::Fixed32 => Number::Fixed32(self.integer::<u32>(0, u32::MAX, "unsigned 32-bit integer")?),
            Kind::Int64 => Number::Varint(self.integer::<i64>(i64::MIN, i64::MAX, "64-bit integer")?.cast_unsigned()),
            Kind::Sfixed64 => {
                Number::Fixed64(self.integer::<i64>(i64::MIN, i64::MAX, "64-bit integer")?.cast_unsigned())
            }
            Kind::Uint64 => Number::Varint(self.integer::<u64>(0, u64::MAX, "unsigned 64-bit integer")?),
            Kind::Fixed64 => Number::Fixed64(self.integer::<u64>(0, u64::MAX, "unsigned 64-bit integer")?),
            // Messages, strings and bytes have methods of their own.
            _ => self.reader.wrong_type("a number")?,
        })
    }

    fn integer<T: TryFrom<i128>>(
        &mut self,
        min: impl Into<i128>,
        max: impl Into<i128>,
        expected: &'static str,
    ) -> Result<T> {
        let quoted = self.reader.peek() == Some(b'"');
        let value;
        let (text, at) = if quoted {
            let raw = self.reader.string()?;
            value = self.reader.value_of(raw)?;
            (&*value, raw.at)
        } else {
            let text = self.reader.number()?;
            (text, self.reader.at() - text.len())
        };
        match scalar::integer(text, min.into(), max.into()).and_then(|value| T::try_from(value).ok()) {
            Some(value) => Ok(value),
            None => Ok(self.reader.fail(at, Problem::Number { found: excerpt(text), expected })?),
        }
    }

    fn double(&mut self) -> Result<f64> {
        let (found, text, at);
        if self.reader.peek() == Some(b'"') {
            let raw = self.reader.string()?;
            let value = self.reader.value_of(raw)?;
            (found, text, at) = (scalar::double_in_string(&value), excerpt(&value), raw.at);
        } else {
            let number = self.reader.number()?;
            if let Some(value) = scalar::double(number) {
                return Ok(value);
            }
            (found, text, at) = (None, excerpt(number), self.reader.at() - number.len());
        }
        match found {
            Some(value) => Ok(value),
            None => Ok(self.reader.fail(at, Problem::Number { found: text, expected: "double" })?),
        }
    }

    fn enumeration(&mut self, names: &'static [(&'static str, i32)]) -> Result<i32> {
        if self.reader.peek() != Some(b'"') {
            return self.integer(i32::MIN, i32::MAX, "32-bit integer");
        }
        let raw = self.reader.string()?;
        let name = self.reader.value_of(raw)?;
        match names.iter().find(|(known, _)| known.as_bytes() == &*name) {
            Some((_, value)) => Ok(*value),
            None => Ok(self.reader.fail(raw.at, Problem::EnumName(excerpt(&name)))?),
        }
    }
}

enum Number {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

#[cold]
fn inside(error: DecodeError, field: &Field) -> DecodeError {
    match error {
        DecodeError::Invalid(invalid) => invalid.inside(field.json).into(),
        DecodeError::Overloaded(_) => error,
    }
}

/// Removes from the message that starts at `base` what earlier occurrences of a key wrote, and all members of a oneof
/// but the last.
#[cold]
fn last_wins(table: &Message, out: &mut Vec<u8>, base: usize, seen: &Seen) {
    let content = out.split_off(base);
    let is_current = |number: u32, start: usize| seen.starts.get(number as usize).is_some_and(|last| start >= *last);
    let is_member = |number: u32| table.field(number).is_some_and(|field| field.label == Label::OneOf);
    let current = || Fields::new(&content).filter(|raw| is_current(raw.number, raw.start));
    let last_member = current().filter(|raw| is_member(raw.number)).map(|raw| raw.start).last();
    for raw in current() {
        if !is_member(raw.number) || Some(raw.start) == last_member {
            out.extend_from_slice(content.get(raw.start..raw.end).unwrap_or_default());
        }
    }
}
