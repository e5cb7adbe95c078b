//! Values: texts, numbers, bytes, and lists and maps of them to any depth.

use detectors::Place;
use pdata::edit::Value;
use pdata::view::ValueView;
use pdata::wire::{FIXED64, Fields, LEN, VARINT, read_varint};
use value_text::Text;

use super::{Mode, Outcome};
use crate::config::Fate;
use crate::path::Path;
use crate::rules::Rule;
use crate::sanitize::Applied;
use crate::text::{Reader, Refusal, Verdict};
use crate::writer::Field;

/// Fields of `AnyValue`.
pub(super) const STRING: u32 = 1;
pub(super) const TEXT_TAG: u8 = (STRING as u8) << 3 | LEN;
const BOOL: u32 = 2;
const INT: u32 = 3;
pub(super) const INT_TAG: u8 = (INT as u8) << 3 | VARINT;
const DOUBLE: u32 = 4;
const LIST: u32 = 5;
const MAP: u32 = 6;
const BYTES: u32 = 7;
const STRINDEX: u32 = 8;

/// The least number that detectors look at unless all types are redacted, or the key says what it is: nine digits.
const NUMBER_MIN: f64 = 1e8;

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
    /// Writes a value of type string in place of another, changed or not.
    pub(super) fn put_string(&mut self, start: usize, end: usize, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.writer.replace(start, end, |out| Value::Str(&text).encode(out));
    }

    /// Reads a value.
    pub(super) fn value(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Outcome {
        let source = self.writer.source().get(..end).unwrap_or_default();
        let before = self.writer.mark();
        let mut at = start;
        while let Some(field) = Field::read(source, at) {
            at = field.end();
            let (content, end) = (field.content(), field.end());
            let mark = self.writer.mark();
            let fate = match (field.number(), field.wire_type()) {
                (STRING, LEN) => {
                    let verdict = self.text(content, end, place, sanitizers, path)?;
                    self.fate(&verdict, mode, path)
                }
                (BOOL | INT, VARINT) | (DOUBLE, FIXED64) => {
                    let number = source.get(content..end).unwrap_or_default();
                    let verdict = self.number(field.number(), number, place, sanitizers, mode, path)?;
                    let fate = self.fate(&verdict, mode, path);
                    if let Verdict::Replaced(text) = verdict {
                        // A string takes the place of a number, and of all beside it.
                        self.writer.back_to(before);
                        self.put_string(start, source.len(), &text);
                        return Ok(Fate::Keep);
                    }
                    fate
                }
                (LIST, LEN) if self.enters(mode) => self.list(content, end, place, sanitizers, mode, path)?,
                (MAP, LEN) if self.enters(mode) => self.map(content, end, mode, path)?,
                (BYTES, LEN) => self.bytes(content, end, place, sanitizers, mode, path)?,
                (LIST | MAP, LEN) | (STRINDEX, VARINT) => Fate::Keep,
                _ => {
                    self.unknown(field, path);
                    continue;
                }
            };
            match fate {
                Fate::Keep => self.writer.close(mark, field),
                Fate::Remove => return Ok(Fate::Remove),
            }
        }
        self.unreadable(at, end);
        Ok(Fate::Keep)
    }

    /// Whether lists and maps are read. With `redact_all_types` always: the Collector looks at them as text then.
    fn enters(&self, mode: Mode) -> bool {
        self.rules.everywhere || self.rules.all_types || mode == Mode::Body
    }

    /// What becomes of a value by what becomes of its text, and what the summary says of that.
    #[inline]
    fn fate<T>(&mut self, verdict: &Verdict<T>, mode: Mode, path: &Path<'_>) -> Fate {
        match verdict {
            Verdict::Clean => {}
            Verdict::Allowed => self.tell_allowed(mode, path),
            Verdict::Replaced(_) => self.tell_body_masked(mode, path),
            Verdict::Removed => return Fate::Remove,
        }
        Fate::Keep
    }

    /// What becomes of a number: as text if the configuration wants that, otherwise by the detectors alone.
    fn number(
        &mut self,
        number: u32,
        content: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Verdict<Vec<u8>>, Refusal> {
        let all = self.rules.all_types || mode == Mode::Body;
        let size = match number {
            INT => read_varint(content, &mut 0).unwrap_or_default().cast_signed() as f64,
            DOUBLE => double(content),
            _ => 0.0,
        };
        let may_tell = size.abs() >= NUMBER_MIN || number != BOOL && place.is_telling();
        let is_read = may_tell && self.rules.scanner.is_some() && self.rules.everywhere;
        if !all && !is_read {
            return Ok(Verdict::Clean);
        }
        let text = number_text(number, content);
        let text = text.as_bytes();
        if all { self.read(text, place, sanitizers, path) } else { self.detect(text, place, path) }
    }

    fn bytes(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Outcome {
        if !self.rules.everywhere && !self.rules.all_types {
            return Ok(Fate::Keep);
        }
        let bytes = self.writer.source().get(start..end).unwrap_or_default();
        if self.rules.binary_values == Fate::Remove && std::str::from_utf8(bytes).is_err() {
            self.note(Rule::Binary, path);
            return Ok(Fate::Remove);
        }
        let verdict = self.text(start, end, place, sanitizers, path)?;
        Ok(self.fate(&verdict, mode, path))
    }

    fn list(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        mode: Mode,
        path: &Path<'_>,
    ) -> Outcome {
        let mode = if mode == Mode::Body { Mode::Body } else { Mode::Nested };
        self.entries(start, end, path, |reader, entry, index| {
            reader.value(entry.content(), entry.end(), place, sanitizers, mode, &path.index(index))
        })
    }

    fn map(&mut self, start: usize, end: usize, mode: Mode, path: &Path<'_>) -> Outcome {
        let mode = if mode == Mode::Body { Mode::Body } else { Mode::Nested };
        self.of_one_map(|reader| {
            reader.entries(start, end, path, |reader, entry, _| reader.pair(entry.content(), entry.end(), mode, path))
        })
    }

    /// The messages in field 1 of a list or map.
    fn entries(
        &mut self,
        start: usize,
        end: usize,
        path: &Path<'_>,
        mut entry: impl FnMut(&mut Self, Field, usize) -> Outcome,
    ) -> Outcome {
        const VALUES: u32 = 1;
        let source = self.writer.source().get(..end).unwrap_or_default();
        let (mut at, mut index) = (start, 0);
        while let Some(field) = Field::read(source, at) {
            at = field.end();
            if (field.number(), field.wire_type()) != (VALUES, LEN) {
                self.unknown(field, path);
                continue;
            }
            self.within(field, |reader| entry(reader, field, index))?;
            index += 1;
        }
        self.unreadable(at, end);
        Ok(Fate::Keep)
    }
}
