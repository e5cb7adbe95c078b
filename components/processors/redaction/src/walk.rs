//! From a message to the same message without what must not leave: driven by the schema, over serialized bytes.
//!
//! Nothing is opened and nothing is copied as long as everything may stay. Whatever the schema calls a string is read as
//! text, wherever it is; attributes, values, lists and maps are read to their ends; fields that the schema does not know
//! go. Every occurrence of a field is read, so that none hides another.
//!
//! Recursion is bounded by validation, which bounds how deep messages nest.

mod value;

use detectors::Place;
use pdata::schema::{
    ANY_VALUE, EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, KEY_VALUE, Kind, LOG_RECORD, Label, Message,
    NUMBER_DATA_POINT, RESOURCE, SCOPE, SPAN, SPAN_EVENT, SUMMARY_DATA_POINT,
};
use pdata::wire::{
    FIXED64, Fields, LEN, RawField, VARINT, put_len, put_tag, put_varint, read_field, read_varint, varint_len,
};

use crate::cache::Cache;
use crate::config::{Action, Fate};
use crate::path::Path;
use crate::rebuild::{Buffer, Rebuild};
use crate::rules::{KeyFate, KeyRule, Rule};
use crate::sanitize::Applied;
use crate::summary;
use crate::text::{Reader, Refusal, Verdict};

/// What a map of attributes is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Resources, scopes, items, span events: what the Collector treats.
    Attributes,
    /// Links, exemplars, metadata.
    Further,
    /// A map inside an attribute's value.
    Nested,
    /// A log's body, or a map inside it.
    Body,
}

/// What becomes of a part of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Keep,
    Remove,
    Replace(Buffer),
}

/// The field at `at`; quick for what most of an item is: attributes and strings of up to 127 bytes, times, small numbers.
#[inline]
fn next_field(source: &[u8], at: usize) -> Option<RawField> {
    let [tag @ 0..=0x7f, rest @ ..] = source.get(at..)? else {
        return if at < source.len() { any_field(source, at) } else { None };
    };
    let (header, len) = match (tag & 7, rest) {
        (LEN, [len @ 0..=0x7f, rest @ ..]) if usize::from(*len) <= rest.len() => (2, usize::from(*len)),
        (FIXED64, [_, _, _, _, _, _, _, _, ..]) => (1, 8),
        (VARINT, [0..=0x7f, ..]) => (1, 1),
        _ => return any_field(source, at),
    };
    let value = at + header..at + header + len;
    let end = value.end;
    (tag >> 3 > 0).then_some(RawField { number: u32::from(tag >> 3), wire_type: tag & 7, start: at, value, end })
}

fn any_field(source: &[u8], at: usize) -> Option<RawField> {
    read_field(source, at).ok()
}

fn is_table(table: &Message, known: &[&'static Message]) -> bool {
    known.iter().any(|known| std::ptr::eq(*known, table))
}

fn is_treated_by_the_collector(table: &Message) -> bool {
    is_table(
        table,
        &[
            &SPAN,
            &LOG_RECORD,
            &NUMBER_DATA_POINT,
            &HISTOGRAM_DATA_POINT,
            &EXPONENTIAL_HISTOGRAM_DATA_POINT,
            &SUMMARY_DATA_POINT,
            &RESOURCE,
            &SCOPE,
            &SPAN_EVENT,
        ],
    )
}

impl Reader<'_> {
    /// What becomes of a message; nothing if it stays as it is.
    pub(crate) fn message(
        &mut self,
        table: &'static Message,
        source: &[u8],
        path: &Path<'_>,
    ) -> Result<Option<Buffer>, Refusal> {
        if !self.summarizes() || !is_treated_by_the_collector(table) {
            return self.fields(table, source, path);
        }
        let around = (std::mem::take(&mut self.lists), std::mem::take(&mut self.body));
        let outcome = self.fields(table, source, path);
        let (lists, body) = (std::mem::replace(&mut self.lists, around.0), std::mem::replace(&mut self.body, around.1));
        let changed = outcome?;
        let told =
            summary::apply(table, changed.as_deref().map_or(source, Vec::as_slice), lists, body, self.rules.summary);
        Ok(told.map(Buffer::from).or(changed))
    }

    fn fields(&mut self, table: &'static Message, source: &[u8], path: &Path<'_>) -> Result<Option<Buffer>, Refusal> {
        let mut out = Rebuild::new(source);
        let mut end = 0;
        let pairs = table.attributes_number();
        let in_pairs = path.name(table.field(pairs).map_or("", |field| field.name).as_bytes());
        let is_read = self.rules.everywhere || is_treated_by_the_collector(table);
        let mode = if is_treated_by_the_collector(table) { Mode::Attributes } else { Mode::Further };
        while let Some(field) = next_field(source, end) {
            end = field.end;
            let content = source.get(field.value.clone()).unwrap_or_default();
            if field.number == pairs && field.wire_type == LEN {
                if !is_read {
                    continue;
                }
                match self.pair(content, mode, &in_pairs)? {
                    Outcome::Keep => {}
                    Outcome::Remove => out.cut(&field),
                    Outcome::Replace(new) => out.put(&field, field.number, &new),
                }
                continue;
            }
            let known = table.field(field.number).filter(|known| {
                let packed = known.label == Label::Repeated && field.wire_type == LEN;
                packed || field.wire_type == known.kind.wire_type()
            });
            let Some(known) = known else {
                if self.rules.unknown_fields == Fate::Remove {
                    self.note(Rule::UnknownField, path);
                    out.cut(&field);
                }
                continue;
            };
            let outcome = match known.kind {
                Kind::String => {
                    let sanitizers = self.sanitizers_of_field(table, field.number, source, content);
                    self.string(content, sanitizers, &path.name(known.name.as_bytes()))?
                }
                Kind::Message(inner) | Kind::Item(inner) => {
                    let path = path.name(known.name.as_bytes());
                    if std::ptr::eq(inner, &raw const ANY_VALUE) {
                        self.body(content, &path)?
                    } else {
                        debug_assert!(
                            !std::ptr::eq(inner, &raw const KEY_VALUE),
                            "attributes are told by their number"
                        );
                        self.message(inner, content, &path)?.map_or(Outcome::Keep, Outcome::Replace)
                    }
                }
                // IDs, numbers, enumerations.
                _ => Outcome::Keep,
            };
            match outcome {
                Outcome::Keep => {}
                Outcome::Remove => out.cut(&field),
                Outcome::Replace(new) => out.put(&field, field.number, &new),
            }
        }
        Ok(out.finish(end))
    }

    /// What becomes of a string that is no attribute: a name, a message, a unit, a URL of a schema, …
    pub(crate) fn string(&mut self, text: &[u8], sanitizers: Applied, path: &Path<'_>) -> Result<Outcome, Refusal> {
        if !self.rules.everywhere {
            return Ok(self.sanitized(text, sanitizers, path));
        }
        Ok(match self.text(text, Place::text(), sanitizers, path)? {
            Verdict::Clean | Verdict::Allowed => Outcome::Keep,
            Verdict::Replaced(new) => Outcome::Replace(utf8(new)),
            Verdict::Removed => Outcome::Remove,
        })
    }

    /// As the Collector does it: names of spans meet the sanitizers and nothing else.
    fn sanitized(&mut self, text: &[u8], sanitizers: Applied, path: &Path<'_>) -> Outcome {
        let rules = self.rules;
        if sanitizers.is_none() || rules.allowed_values.iter().any(|pattern| pattern.is_match(text)) {
            return Outcome::Keep;
        }
        let mut changed = None;
        if sanitizers.url
            && let Some(new) = crate::sanitize::Sanitizers::url(text)
        {
            self.note(Rule::Url, path);
            changed = Some(new);
        }
        if let Some(new) = rules.sanitizers.query(changed.as_deref().unwrap_or(text), sanitizers.databases) {
            self.note(Rule::Database, path);
            changed = Some(new);
        }
        changed.map_or(Outcome::Keep, |new| Outcome::Replace(utf8(new.into())))
    }

    /// The sanitizers for names of client and server spans.
    fn sanitizers_of_field(&self, table: &Message, number: u32, source: &[u8], name: &[u8]) -> Applied {
        const NAME: u32 = 5;
        const KIND: u32 = 6;
        const SERVER_CLIENT: std::ops::RangeInclusive<u64> = 2..=3;
        if number != NAME || !self.rules.sanitizers.has_span_names() || !std::ptr::eq(table, &raw const SPAN) {
            return Applied::default();
        }
        let kinds = Fields::new(source).filter(|field| field.number == KIND && field.wire_type == VARINT);
        let kind = kinds.last().and_then(|field| read_varint(source, &mut field.value.start.clone()));
        if kind.is_some_and(|kind| SERVER_CLIENT.contains(&kind)) {
            self.rules.sanitizers.of_span_name(name)
        } else {
            Applied::default()
        }
    }

    /// What is decided about a key, and the key that takes its place. `None` in place of the rule: it goes.
    fn key(&mut self, key: &[u8], path: &Path<'_>) -> Result<(Option<KeyRule>, Option<Buffer>), Refusal> {
        if let Some(rule) = self.state.cache.key(key) {
            return Ok((Some(rule), None));
        }
        let rule = self.rules.key(key);
        let is_read = self.rules.everywhere && !rule.is_vouched && self.rules.reads_values();
        if is_read {
            // The path must not name the key.
            match self.text(key, Place::text(), Applied::default(), &path.name(b"(key)"))? {
                Verdict::Clean | Verdict::Allowed => {}
                Verdict::Replaced(new) => return Ok((Some(rule), Some(utf8(new)))),
                Verdict::Removed => return Ok((None, None)),
            }
        }
        self.state.cache.put_key(key, rule);
        Ok((Some(rule), None))
    }

    /// What becomes of an attribute, or of an entry of a map.
    pub(crate) fn pair(&mut self, pair: &[u8], mode: Mode, path: &Path<'_>) -> Result<Outcome, Refusal> {
        if !self.summarizes()
            && let Some(plain) = Plain::of(pair)
            && let Some(rule) = self.state.cache.key(plain.key)
            && rule.fate == KeyFate::Read
            && mode != Mode::Body
        {
            return self.plain_pair(&plain, rule, path);
        }
        self.read_pair(pair, mode, path)
    }

    /// An attribute as every SDK writes it, under a key that may stay: most of all attributes.
    fn plain_pair(&mut self, plain: &Plain<'_>, rule: KeyRule, path: &Path<'_>) -> Result<Outcome, Refusal> {
        let Plain { pair, key, text } = *plain;
        let costly = text.len() > COSTLY_BYTES || rule.sense.is_sql();
        let place = if costly { Cache::pair_place(pair) } else { None };
        if place.is_some_and(|place| self.state.cache.is_clean_pair(place, pair)) {
            return Ok(Outcome::Keep);
        }
        let noted = self.noted;
        let text_place = Place::of_known_key(key, rule.sense);
        match self.text(text, text_place, rule.sanitizers, &path.name(key))? {
            Verdict::Clean | Verdict::Allowed => {
                if let Some(place) = place
                    && self.noted == noted
                {
                    self.state.cache.put_pair(place, pair);
                }
                Ok(Outcome::Keep)
            }
            Verdict::Replaced(new) => Ok(Outcome::Replace(text_pair(key, &utf8(new)))),
            Verdict::Removed => Ok(Outcome::Remove),
        }
    }

    fn read_pair(&mut self, pair: &[u8], mode: Mode, path: &Path<'_>) -> Result<Outcome, Refusal> {
        let parts = Parts::of(pair);
        let key = parts.key(pair);
        let (rule, new_key) = self.key(key, path)?;
        let shown = new_key.as_deref().map_or(key, Vec::as_slice);
        let here = path.name(shown);
        let Some(rule) = rule else {
            self.tell_removed(mode, b"(key)", path);
            return Ok(Outcome::Remove);
        };
        match rule.fate {
            KeyFate::Ignored => {
                if self.summarizes() {
                    match mode {
                        Mode::Attributes => self.lists.ignored += 1,
                        Mode::Body => self.body.ignored += 1,
                        Mode::Further | Mode::Nested => {}
                    }
                }
                return Ok(Outcome::Keep);
            }
            KeyFate::NotAllowed if mode != Mode::Nested => {
                self.note(Rule::NotAllowedKey, path);
                self.tell_removed(mode, shown, &here);
                return Ok(Outcome::Remove);
            }
            KeyFate::Forbidden => {
                self.note(Rule::ForbiddenKey, &here);
                return Err(Refusal::Key);
            }
            _ => {}
        }
        let mut out = Rebuild::new(pair);
        let mut end = 0;
        let mut changed = new_key.is_some();
        for field in Fields::new(pair) {
            end = field.end;
            match (field.number, field.wire_type) {
                (KEY, LEN) => {
                    if let Some(key) = &new_key {
                        out.put(&field, KEY, key);
                    }
                }
                (VALUE, LEN) => {
                    let value = pair.get(field.value.clone()).unwrap_or_default();
                    match self.value_of_key(value, key, rule, mode, &here)? {
                        Outcome::Keep => {}
                        Outcome::Remove => {
                            self.tell_removed(mode, shown, &here);
                            return Ok(Outcome::Remove);
                        }
                        Outcome::Replace(new) => {
                            changed = true;
                            out.put(&field, VALUE, &new);
                        }
                    }
                }
                (KEY_STRINDEX, VARINT) => {}
                _ => {
                    if self.rules.unknown_fields == Fate::Remove {
                        self.note(Rule::UnknownField, &here);
                        out.cut(&field);
                    }
                }
            }
        }
        if changed && mode == Mode::Attributes && self.summarizes() {
            self.lists.masked.push(String::from_utf8_lossy(shown).into_owned());
        }
        Ok(out.finish(end).map_or(Outcome::Keep, Outcome::Replace))
    }

    /// What becomes of the value of an attribute, by what is decided about its key.
    fn value_of_key(
        &mut self,
        value: &[u8],
        key: &[u8],
        rule: KeyRule,
        mode: Mode,
        path: &Path<'_>,
    ) -> Result<Outcome, Refusal> {
        match rule.fate {
            KeyFate::High => {
                self.note(Rule::HighKey, path);
                if self.rules.default_action == Action::Drop {
                    return Ok(Outcome::Remove);
                }
                let mut text = Vec::new();
                let whole = value::text_of(value);
                let rules = self.rules;
                self.state.renderer.put_whole(rules.default_action, &rules.keys, &whole, &mut text);
                Ok(Outcome::Replace(value::string(&text).into()))
            }
            KeyFate::Blocked => {
                let all = self.rules.all_types && mode != Mode::Body;
                let text = if all { value::text_of(value) } else { value::str_of(value) };
                // Of a value in several pieces the text is that of one.
                let whole = Fields::new(value).nth(1).is_none();
                if mode != Mode::Body
                    && whole
                    && self.rules.allowed_values.iter().any(|pattern| pattern.is_match(&text))
                {
                    self.tell_allowed(mode, path);
                    return Ok(Outcome::Keep);
                }
                self.note(Rule::BlockedKey, path);
                self.tell_body_masked(mode, path);
                // Line by line, as the Collector's `.*` does.
                let mut masked = Vec::new();
                for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
                    if index > 0 {
                        masked.push(b'\n');
                    }
                    self.rules.masker.put(line, &mut masked);
                }
                Ok(Outcome::Replace(value::string(&masked).into()))
            }
            _ => {
                let sanitizers = if mode == Mode::Body { self.rules.sanitizers.of_body() } else { rule.sanitizers };
                let outcome = self.value(value, Place::of_known_key(key, rule.sense), sanitizers, mode, path)?;
                Ok(outcome)
            }
        }
    }

    /// What becomes of a log's body.
    fn body(&mut self, value: &[u8], path: &Path<'_>) -> Result<Outcome, Refusal> {
        self.value(value, Place::text(), self.rules.sanitizers.of_body(), Mode::Body, path)
    }

    fn tell_removed(&mut self, mode: Mode, key: &[u8], path: &Path<'_>) {
        if !self.summarizes() {
            return;
        }
        match mode {
            Mode::Attributes => self.lists.redacted.push(String::from_utf8_lossy(key).into_owned()),
            Mode::Body => self.body.redacted.push(in_body(path)),
            Mode::Further | Mode::Nested => {}
        }
    }

    pub(crate) fn tell_allowed(&mut self, mode: Mode, path: &Path<'_>) {
        if !self.summarizes() {
            return;
        }
        match mode {
            Mode::Attributes => self.lists.allowed.push(path.last()),
            // Of a body that is allowed as a whole nothing is told, as in the Collector.
            Mode::Body if path.in_body().is_empty() => {}
            Mode::Body => self.body.allowed.push(in_body(path)),
            Mode::Further | Mode::Nested => {}
        }
    }

    pub(crate) fn tell_body_masked(&mut self, mode: Mode, path: &Path<'_>) {
        if mode == Mode::Body && self.summarizes() {
            self.body.masked.push(in_body(path));
        }
    }
}

/// How the Collector names a place in a body.
fn in_body(path: &Path<'_>) -> String {
    let text = path.in_body();
    if text.is_empty() { "body".to_owned() } else { text }
}

/// Fields of `KeyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const KEY_STRINDEX: u32 = 3;

/// Texts of attributes that are longer than this are worth remembering.
const COSTLY_BYTES: usize = 32;

/// An attribute whose value is a text, in the form every SDK writes: key, then value, nothing else, lengths of one byte.
struct Plain<'p> {
    pair: &'p [u8],
    key: &'p [u8],
    text: &'p [u8],
}

impl<'p> Plain<'p> {
    #[inline]
    fn of(pair: &'p [u8]) -> Option<Self> {
        let [KEY_TAG, key_len @ 0..=0x7f, rest @ ..] = pair else { return None };
        let (key, value) = rest.split_at_checked(usize::from(*key_len))?;
        let [VALUE_TAG, value_len @ 0..=0x7f, value::TEXT_TAG, text_len @ 0..=0x7f, text @ ..] = value else {
            return None;
        };
        let whole = usize::from(*value_len) == text.len() + 2 && usize::from(*text_len) == text.len();
        whole.then_some(Self { pair, key, text })
    }
}

const KEY_TAG: u8 = (KEY as u8) << 3 | LEN;
const VALUE_TAG: u8 = (VALUE as u8) << 3 | LEN;

/// A serialized attribute whose value is a text.
fn text_pair(key: &[u8], text: &[u8]) -> Buffer {
    let mut out = Buffer::new(key.len() + text.len() + 24);
    put_len(&mut out, KEY, key);
    put_tag(&mut out, VALUE, LEN);
    put_varint(&mut out, (1 + varint_len(text.len() as u64) + text.len()) as u64);
    put_len(&mut out, value::STRING, text);
    out
}

/// Where the key of a pair is.
struct Parts(std::ops::Range<usize>);

impl Parts {
    fn of(pair: &[u8]) -> Self {
        if let [0x0a, len @ 0..=0x7f, rest @ ..] = pair
            && usize::from(*len) <= rest.len()
        {
            return Self(2..2 + usize::from(*len));
        }
        let keys = Fields::new(pair).filter(|field| field.number == KEY && field.wire_type == LEN);
        Self(keys.last().map_or(0..0, |field| field.value))
    }

    fn key<'p>(&self, pair: &'p [u8]) -> &'p [u8] {
        pair.get(self.0.clone()).unwrap_or_default()
    }
}

/// Text that is certainly UTF-8: a pattern may cut through a character.
pub(crate) fn utf8(text: Buffer) -> Buffer {
    if std::str::from_utf8(&text).is_ok() {
        text
    } else {
        String::from_utf8_lossy(&text).into_owned().into_bytes().into()
    }
}
