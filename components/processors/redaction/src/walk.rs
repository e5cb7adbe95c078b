//! From a message to the same message without what must not leave: driven by the schema, over serialized bytes.
//!
//! Nothing is opened and nothing is copied as long as everything may stay; what changes is written where it stands, see
//! [`crate::writer`]. Whatever the schema calls a string is read as text, wherever it is; attributes, values, lists and
//! maps are read to their ends; fields that the schema does not know go. Every occurrence of a field is read, so that none
//! hides another.
//!
//! Recursion is bounded by validation, which bounds how deep messages nest.

mod value;

use detectors::Place;
use pdata::schema::{
    ANY_VALUE, EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, KEY_VALUE, Kind, LOG_RECORD, Label, Message,
    NUMBER_DATA_POINT, RESOURCE, SCOPE, SPAN, SPAN_EVENT, SUMMARY_DATA_POINT,
};
use pdata::wire::{Fields, LEN, VARINT, put_len, read_varint};

use crate::cache::{Cache, KeyPlace};
use crate::config::{Action, Fate};
use crate::path::Path;
use crate::rules::{KeyFate, KeyRule, Rule};
use crate::same::SHORT_BYTES_MAX;
use crate::sanitize::Applied;
use crate::summary;
use crate::text::{Reader, Refusal, Verdict};
use crate::writer::Field;

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

/// What becomes of a part whose content is written by then.
type Outcome = Result<Fate, Refusal>;

impl Reader<'_> {
    /// Reads the content of a field, and puts its length right or takes it out.
    #[inline]
    pub(crate) fn within(&mut self, field: Field, read: impl FnOnce(&mut Self) -> Outcome) -> Result<(), Refusal> {
        let mark = self.writer.mark();
        match read(self)? {
            Fate::Keep => self.writer.close(mark, field),
            Fate::Remove => {
                self.writer.back_to(mark);
                self.writer.cut(field.start(), field.end());
            }
        }
        Ok(())
    }

    /// Takes out a field that the schema does not know, if such fields go.
    pub(crate) fn unknown(&mut self, field: Field, path: &Path<'_>) {
        if self.rules.unknown_fields == Fate::Remove {
            self.note(Rule::UnknownField, path);
            self.writer.cut(field.start(), field.end());
        }
    }

    /// What cannot be read to the end of a message, which validation has seen to, does not stay.
    #[inline]
    pub(crate) fn unreadable(&mut self, at: usize, end: usize) {
        if at < end {
            self.writer.cut(at, end);
        }
    }

    /// Reads the message between two places of the source.
    pub(crate) fn message(
        &mut self,
        table: &'static Message,
        start: usize,
        end: usize,
        path: &Path<'_>,
    ) -> Result<(), Refusal> {
        if !self.summarizes() || !is_treated_by_the_collector(table) {
            return self.of_one_map(|reader| reader.fields(table, start, end, path));
        }
        let around = (std::mem::take(&mut self.lists), std::mem::take(&mut self.body));
        let mark = self.writer.mark();
        let outcome = self.of_one_map(|reader| reader.fields(table, start, end, path));
        let (lists, body) = (std::mem::replace(&mut self.lists, around.0), std::mem::replace(&mut self.body, around.1));
        outcome?;
        if lists.told() + body.told() > 0 {
            let how = self.rules.summary;
            self.writer.rewrite(mark, start, end, |message| summary::apply(table, message, lists, body, how));
        }
        Ok(())
    }

    /// Reads attributes or a map, among whose keys no two new ones become alike.
    #[inline]
    pub(crate) fn of_one_map<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let around = std::mem::take(&mut self.new_keys);
        let read = read(self);
        self.new_keys = around;
        read
    }

    /// The key that is written in place of another: `new`, with a number if it stands in the map already.
    fn distinct(&mut self, new: Vec<u8>) -> Vec<u8> {
        let same = self.new_keys.iter().filter(|known| **known == new).count();
        let shown = if same == 0 { new.clone() } else { [&new[..], format!("_{}", same + 1).as_bytes()].concat() };
        self.new_keys.push(new);
        shown
    }

    fn fields(&mut self, table: &'static Message, start: usize, end: usize, path: &Path<'_>) -> Result<(), Refusal> {
        let source = self.writer.source().get(..end).unwrap_or_default();
        let pairs = table.attributes_number();
        let in_pairs = path.name(table.field(pairs).map_or("", |field| field.name).as_bytes());
        let is_treated = is_treated_by_the_collector(table);
        let is_read = self.rules.everywhere || is_treated;
        let mode = if is_treated { Mode::Attributes } else { Mode::Further };
        let mut at = start;
        while let Some(field) = Field::read(source, at) {
            at = field.end();
            if field.number() == pairs && field.wire_type() == LEN {
                if is_read {
                    self.within(field, |reader| reader.pair(field.content(), field.end(), mode, &in_pairs))?;
                }
                continue;
            }
            let Some(known) = known(table, field) else {
                self.unknown(field, path);
                continue;
            };
            match known.kind {
                Kind::String => {
                    let name = source.get(field.content()..field.end()).unwrap_or_default();
                    let message = source.get(start..).unwrap_or_default();
                    let sanitizers = self.sanitizers_of_field(table, field.number(), message, name);
                    self.string(field, sanitizers, &path.name(known.name.as_bytes()))?;
                }
                Kind::Message(inner) | Kind::Item(inner) => {
                    let path = path.name(known.name.as_bytes());
                    self.within(field, |reader| {
                        if std::ptr::eq(inner, &raw const ANY_VALUE) {
                            return reader.body(field.content(), field.end(), &path);
                        }
                        debug_assert!(
                            !std::ptr::eq(inner, &raw const KEY_VALUE),
                            "attributes are told by their number"
                        );
                        reader.message(inner, field.content(), field.end(), &path)?;
                        Ok(Fate::Keep)
                    })?;
                }
                // IDs, numbers, enumerations.
                _ => {}
            }
        }
        self.unreadable(at, end);
        Ok(())
    }

    /// Reads a string that is no attribute: a name, a message, a unit, a URL of a schema, …
    pub(crate) fn string(&mut self, field: Field, sanitizers: Applied, path: &Path<'_>) -> Result<(), Refusal> {
        self.within(field, |reader| {
            if !reader.rules.everywhere {
                reader.sanitized(field.content(), field.end(), sanitizers, path);
                return Ok(Fate::Keep);
            }
            let text = reader.writer.source().get(field.content()..field.end()).unwrap_or_default();
            let is_plain = sanitizers.is_none();
            if is_plain && reader.state.cache.is_clean_text(text) {
                return Ok(Fate::Keep);
            }
            let noted = reader.noted;
            let verdict = reader.text(field.content(), field.end(), Place::text(), sanitizers, path)?;
            if verdict == Verdict::Removed {
                return Ok(Fate::Remove);
            }
            if is_plain && verdict == Verdict::Clean && reader.noted == noted {
                reader.state.cache.put_text(text);
            }
            Ok(Fate::Keep)
        })
    }

    /// As the Collector does it: names of spans meet the sanitizers and nothing else.
    fn sanitized(&mut self, start: usize, end: usize, sanitizers: Applied, path: &Path<'_>) {
        let rules = self.rules;
        let text = self.writer.source().get(start..end).unwrap_or_default();
        if sanitizers.is_none() || rules.allowed_values.iter().any(|pattern| pattern.is_match(text)) {
            return;
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
        if let Some(new) = changed {
            let new = String::from_utf8_lossy(&new);
            self.writer.replace(start, end, |out| out.extend_from_slice(new.as_bytes()));
        }
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
    fn key(&mut self, key: &[u8], path: &Path<'_>) -> Result<(Option<KeyRule>, Option<Vec<u8>>), Refusal> {
        if let Some((_, rule)) = self.state.cache.key(key) {
            return Ok((Some(rule), None));
        }
        let rule = self.rules.key(key);
        let is_read = self.rules.everywhere && !rule.is_vouched && self.rules.reads_values();
        if is_read {
            // The path must not name the key.
            match self.read(key, Place::text(), Applied::default(), &path.name(b"(key)"))? {
                Verdict::Clean | Verdict::Allowed => {}
                Verdict::Replaced(new) => return Ok((Some(rule), Some(new))),
                Verdict::Removed => return Ok((None, None)),
            }
        }
        self.state.cache.put_key(key, rule);
        Ok((Some(rule), None))
    }

    /// Reads an attribute, or an entry of a map.
    #[inline]
    pub(crate) fn pair(&mut self, start: usize, end: usize, mode: Mode, path: &Path<'_>) -> Outcome {
        let pair = self.writer.source().get(start..end).unwrap_or_default();
        if !self.summarizes()
            && let Some(plain) = Plain::of(pair)
            && let Some((key, rule)) = self.state.cache.key(plain.key)
            && rule.fate == KeyFate::Read
            && mode != Mode::Body
        {
            match plain.value {
                PlainValue::Text(text) => return self.plain_pair(&plain, text, start, end, (key, rule), path),
                PlainValue::SmallNumber if !self.rules.all_types && !rule.sense.is_telling() => return Ok(Fate::Keep),
                PlainValue::SmallNumber => {}
            }
        }
        self.read_pair(start, end, mode, path)
    }

    /// An attribute as every SDK writes it, under a key that may stay: most of all attributes.
    #[inline]
    fn plain_pair(
        &mut self,
        plain: &Plain<'_>,
        text: &[u8],
        start: usize,
        end: usize,
        (key_place, rule): (KeyPlace, KeyRule),
        path: &Path<'_>,
    ) -> Outcome {
        let Plain { pair, key, .. } = *plain;
        if self.state.cache.is_clean_under(key_place, text) {
            return Ok(Fate::Keep);
        }
        let place = if text.len() > SHORT_BYTES_MAX { Cache::pair_place(pair) } else { None };
        if place.is_some_and(|place| self.state.cache.is_clean_pair(place, pair)) {
            return Ok(Fate::Keep);
        }
        let (noted, mark) = (self.noted, self.writer.mark());
        let content = end - text.len();
        let text_place = Place::of_known_key(key, rule.sense);
        match self.text(content, end, text_place, rule.sanitizers, &path.name(key))? {
            Verdict::Clean | Verdict::Allowed => {
                if self.noted == noted {
                    match place {
                        Some(place) => self.state.cache.put_pair(place, pair),
                        None => self.state.cache.put_under(key_place, key, text),
                    }
                }
                Ok(Fate::Keep)
            }
            Verdict::Replaced(()) => {
                let value = start + 2 + key.len();
                let around = [Field::delimited(value + 2, content, end), Field::delimited(value, value + 2, end)];
                for field in around.into_iter().flatten() {
                    self.writer.close(mark, field);
                }
                Ok(Fate::Keep)
            }
            Verdict::Removed => Ok(Fate::Remove),
        }
    }

    #[inline(never)]
    fn read_pair(&mut self, start: usize, end: usize, mode: Mode, path: &Path<'_>) -> Outcome {
        let source = self.writer.source().get(..end).unwrap_or_default();
        let pair = source.get(start..).unwrap_or_default();
        let parts = Parts::of(pair);
        let key = parts.key(pair);
        let (rule, new_key) = self.key(key, path)?;
        let shown = new_key.as_deref().unwrap_or(key);
        let here = path.name(shown);
        let Some(rule) = rule else {
            self.tell_removed(mode, b"(key)", path);
            return Ok(Fate::Remove);
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
                return Ok(Fate::Keep);
            }
            KeyFate::NotAllowed if mode != Mode::Nested => {
                self.note(Rule::NotAllowedKey, path);
                self.tell_removed(mode, shown, &here);
                return Ok(Fate::Remove);
            }
            KeyFate::Forbidden => {
                self.note(Rule::ForbiddenKey, &here);
                return Err(Refusal::Key(self.rules.forbidden_by(key)));
            }
            _ => {}
        }
        let mut changed = new_key.is_some();
        let written_key = new_key.clone().map(|key| self.distinct(key));
        let mut at = start;
        while let Some(field) = Field::read(source, at) {
            at = field.end();
            match (field.number(), field.wire_type()) {
                (KEY, LEN) => {
                    if let Some(key) = &written_key {
                        self.writer.replace(field.start(), field.end(), |out| put_len(out, KEY, key));
                    }
                }
                (VALUE, LEN) => {
                    let mark = self.writer.mark();
                    match self.value_of_key(field.content(), field.end(), key, rule, mode, &here)? {
                        Fate::Keep => {
                            changed |= self.writer.is_changed_since(mark);
                            self.writer.close(mark, field);
                        }
                        Fate::Remove => {
                            self.tell_removed(mode, shown, &here);
                            return Ok(Fate::Remove);
                        }
                    }
                }
                (KEY_STRINDEX, VARINT) => {}
                _ => self.unknown(field, &here),
            }
        }
        self.unreadable(at, end);
        if changed && mode == Mode::Attributes && self.summarizes() {
            self.lists.masked.push(String::from_utf8_lossy(shown).into_owned());
        }
        Ok(Fate::Keep)
    }

    /// Reads the value of an attribute, by what is decided about its key.
    fn value_of_key(
        &mut self,
        start: usize,
        end: usize,
        key: &[u8],
        rule: KeyRule,
        mode: Mode,
        path: &Path<'_>,
    ) -> Outcome {
        let value = self.writer.source().get(start..end).unwrap_or_default();
        let masked = match rule.fate {
            KeyFate::High => {
                self.note(Rule::HighKey, path);
                if self.rules.default_action == Action::Drop {
                    return Ok(Fate::Remove);
                }
                let mut text = Vec::new();
                let whole = value::text_of(value);
                let rules = self.rules;
                self.state.renderer.put_whole(rules.default_action, &rules.keys, &whole, &mut text);
                text
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
                    return Ok(Fate::Keep);
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
                masked
            }
            _ => {
                let sanitizers = if mode == Mode::Body { self.rules.sanitizers.of_body() } else { rule.sanitizers };
                return self.value(start, end, Place::of_known_key(key, rule.sense), sanitizers, mode, path);
            }
        };
        self.put_string(start, end, &masked);
        Ok(Fate::Keep)
    }

    /// Reads a log's body.
    fn body(&mut self, start: usize, end: usize, path: &Path<'_>) -> Outcome {
        self.value(start, end, Place::text(), self.rules.sanitizers.of_body(), Mode::Body, path)
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

/// An attribute in the form every SDK writes: key, then value, nothing else, lengths of one byte.
struct Plain<'p> {
    pair: &'p [u8],
    key: &'p [u8],
    value: PlainValue<'p>,
}

enum PlainValue<'p> {
    Text(&'p [u8]),
    /// An integer so small that detectors do not look at it.
    SmallNumber,
}

impl<'p> Plain<'p> {
    #[inline]
    fn of(pair: &'p [u8]) -> Option<Self> {
        let [KEY_TAG, key_len @ 0..=0x7f, rest @ ..] = pair else { return None };
        let (key, value) = rest.split_at_checked(usize::from(*key_len))?;
        let [VALUE_TAG, value_len @ 0..=0x7f, value @ ..] = value else { return None };
        if usize::from(*value_len) != value.len() {
            return None;
        }
        let value = match value {
            [value::TEXT_TAG, len @ 0..=0x7f, text @ ..] if usize::from(*len) == text.len() => PlainValue::Text(text),
            [value::INT_TAG, 0..=0x7f] | [value::INT_TAG, 0x80..=0xff, 0..=0x7f] => PlainValue::SmallNumber,
            _ => return None,
        };
        Some(Self { pair, key, value })
    }
}

const KEY_TAG: u8 = (KEY as u8) << 3 | LEN;
const VALUE_TAG: u8 = (VALUE as u8) << 3 | LEN;

/// The schema's field, if the field is of its type.
#[inline]
pub(crate) fn known(table: &'static Message, field: Field) -> Option<&'static pdata::schema::Field> {
    table.field(field.number()).filter(|known| {
        let packed = known.label == Label::Repeated && field.wire_type() == LEN;
        packed || field.wire_type() == known.kind.wire_type()
    })
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
