//! Values: texts, numbers, bytes, and lists and maps of them to any depth.

use detectors::Place;
use pdata::edit::Value;
use pdata::view::ValueView;
use pdata::wire::{FIXED64, Fields, LEN, VARINT, read_varint};
use value_text::Text;

use super::{Mode, Outcome, next_field, utf8};
use crate::config::Fate;
use crate::path::Path;
use crate::rebuild::{Buffer, Rebuild};
use crate::rules::Rule;
use crate::sanitize::Applied;
use crate::text::{Reader, Refusal, Verdict};

/// Fields of `AnyValue`.
pub(super) const STRING: u32 = 1;
pub(super) const TEXT_TAG: u8 = (STRING as u8) << 3 | LEN;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const LIST: u32 = 5;
const MAP: u32 = 6;
const BYTES: u32 = 7;
const STRINDEX: u32 = 8;

/// The least number that detectors look at unless all types are redacted: nine digits.
const NUMBER_MIN: f64 = 1e8;

/// A serialized value of type string.
pub(super) fn string(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut out = Vec::with_capacity(text.len() + 6);
    Value::Str(&text).encode(&mut out);
    out
}

/// The text of a value of type string; empty for others.
pub(super) fn str_of(value: &[u8]) -> Vec<u8> {
    let field = Fields::new(value).find(|field| field.number == STRING && field.wire_type == LEN);
    field.and_then(|field| value.get(field.value)).unwrap_or_default().to_vec()
}

/// What a value reads as in the Collector.
pub(super) fn text_of(value: &[u8]) -> Vec<u8> {
    Text(ValueView::new(value)).to_string().into_bytes()
}

/// What a number or boolean reads as.
fn number_text(number: u32, content: &[u8]) -> String {
    let integer = || read_varint(content, &mut 0).unwrap_or_default();
    let value = match number {
        BOOL => ValueView::Bool(integer() != 0),
        INT => ValueView::I64(integer().cast_signed()),
        _ => ValueView::F64(double(content)),
    };
    Text(value).to_string()
}

fn double(content: &[u8]) -> f64 {
    content.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
}

impl Reader<'_> {
    /// What becomes of a value.
    pub(super) fn value(
        &mut self,
        source: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Outcome, Refusal> {
        let mut out = Rebuild::new(source);
        let mut end = 0;
        while let Some(field) = next_field(source, end) {
            end = field.end;
            let content = source.get(field.value.clone()).unwrap_or_default();
            let outcome = match (field.number, field.wire_type) {
                (STRING, LEN) => {
                    let verdict = self.text(content, place, sanitizers, path)?;
                    self.verdict(verdict, mode, path, utf8)
                }
                (BOOL | INT, VARINT) | (DOUBLE, FIXED64) => {
                    match self.number(field.number, content, place, sanitizers, mode, path)? {
                        // A string takes the place of a number.
                        Outcome::Replace(text) => return Ok(Outcome::Replace(string(&text).into())),
                        other => other,
                    }
                }
                (LIST, LEN) if self.enters(mode) => self.list(content, place, sanitizers, mode, path)?,
                (MAP, LEN) if self.enters(mode) => self.map(content, mode, path)?,
                (BYTES, LEN) => self.bytes(content, place, sanitizers, mode, path)?,
                (LIST | MAP, LEN) | (STRINDEX, VARINT) => Outcome::Keep,
                _ if self.rules.unknown_fields == Fate::Keep => Outcome::Keep,
                _ => {
                    self.note(Rule::UnknownField, path);
                    out.cut(&field);
                    continue;
                }
            };
            match outcome {
                Outcome::Keep => {}
                Outcome::Remove => return Ok(Outcome::Remove),
                Outcome::Replace(new) => out.put(&field, field.number, &new),
            }
        }
        Ok(out.finish(end).map_or(Outcome::Keep, Outcome::Replace))
    }

    /// Whether lists and maps are read. With `redact_all_types` always: the Collector looks at them as text then.
    fn enters(&self, mode: Mode) -> bool {
        self.rules.everywhere || self.rules.all_types || mode == Mode::Body
    }

    fn verdict(
        &mut self,
        verdict: Verdict,
        mode: Mode,
        path: &Path<'_>,
        tidy: impl FnOnce(Buffer) -> Buffer,
    ) -> Outcome {
        match verdict {
            Verdict::Clean => Outcome::Keep,
            Verdict::Allowed => {
                self.tell_allowed(mode, path);
                Outcome::Keep
            }
            Verdict::Replaced(new) => {
                self.tell_body_masked(mode, path);
                Outcome::Replace(tidy(new))
            }
            Verdict::Removed => Outcome::Remove,
        }
    }

    /// A number: as text if the configuration wants that, otherwise by the detectors alone.
    fn number(
        &mut self,
        number: u32,
        content: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Outcome, Refusal> {
        let all = self.rules.all_types || mode == Mode::Body;
        let size = match number {
            INT => read_varint(content, &mut 0).unwrap_or_default().cast_signed() as f64,
            DOUBLE => double(content),
            _ => 0.0,
        };
        let is_large = size.abs() >= NUMBER_MIN && self.rules.scanner.is_some() && self.rules.everywhere;
        if !all && !is_large {
            return Ok(Outcome::Keep);
        }
        let text = number_text(number, content);
        let text = text.as_bytes();
        let verdict = if all { self.text(text, place, sanitizers, path)? } else { self.detect(text, place, path)? };
        Ok(self.verdict(verdict, mode, path, utf8))
    }

    fn bytes(
        &mut self,
        content: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Outcome, Refusal> {
        if !self.rules.everywhere && !self.rules.all_types {
            return Ok(Outcome::Keep);
        }
        if self.rules.binary_values == Fate::Remove && std::str::from_utf8(content).is_err() {
            self.note(Rule::Binary, path);
            return Ok(Outcome::Remove);
        }
        let verdict = self.text(content, place, sanitizers, path)?;
        Ok(self.verdict(verdict, mode, path, |new| new))
    }

    fn list(
        &mut self,
        source: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Outcome, Refusal> {
        let mode = if mode == Mode::Body { Mode::Body } else { Mode::Nested };
        self.entries(source, path, |reader, content, index| {
            reader.value(content, place, sanitizers, mode, &path.index(index))
        })
    }

    fn map(&mut self, source: &[u8], mode: Mode, path: &Path<'_>) -> Result<Outcome, Refusal> {
        let mode = if mode == Mode::Body { Mode::Body } else { Mode::Nested };
        self.entries(source, path, |reader, content, _| reader.pair(content, mode, path))
    }

    /// The messages in field 1 of a list or map.
    fn entries(
        &mut self,
        source: &[u8],
        path: &Path<'_>,
        mut entry: impl FnMut(&mut Self, &[u8], usize) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        const VALUES: u32 = 1;
        let mut out = Rebuild::new(source);
        let (mut end, mut index) = (0, 0);
        for field in Fields::new(source) {
            end = field.end;
            if (field.number, field.wire_type) != (VALUES, LEN) {
                if self.rules.unknown_fields == Fate::Remove {
                    self.note(Rule::UnknownField, path);
                    out.cut(&field);
                }
                continue;
            }
            match entry(self, source.get(field.value.clone()).unwrap_or_default(), index)? {
                Outcome::Keep => {}
                Outcome::Remove => out.cut(&field),
                Outcome::Replace(new) => out.put(&field, VALUES, &new),
            }
            index += 1;
        }
        Ok(out.finish(end).map_or(Outcome::Keep, Outcome::Replace))
    }
}
