//! Maps of attributes, wherever they are: resources, scopes, metrics' metadata, items, events, links, exemplars, and
//! lists of pairs inside values.
//!
//! Keys may occur twice. The first is read. Deleting deletes all of them; writing leaves one, in the place of the
//! first; [`Attributes::for_each`] and [`Attributes::retain`] visit every one.

use smallvec::SmallVec;

use crate::wire::{Fields, LEN, put_len, read_varint, varint_len};

use super::fields::Scalar;
use super::tree::{ARENA, At, CHILD, Msg, NEW, REMOVED, Slot, fingerprint, pair_fingerprint, pair_key};
use super::value::{Value, ValueRef, put_head, put_short};
use super::{EditError, Editor};

/// Number of the key in a `KeyValue`.
const KEY: u32 = 1;
/// Number of the value in a `KeyValue`.
const VALUE: u32 = 2;

/// What a write does about the key being there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing if the key is there.
    Insert,
    /// Nothing if the key is not there.
    Update,
    /// Either.
    Upsert,
}

/// The attributes of an opened message.
#[derive(Debug)]
pub struct Attributes<'e> {
    editor: &'e mut Editor,
    node: u32,
    number: u8,
}

/// One attribute, key and value.
#[derive(Debug)]
pub struct Attribute<'e> {
    editor: &'e mut Editor,
    at: At,
}

impl Editor {
    /// The attributes of a message, or the pairs of a `KeyValueList`. For messages that have none it is empty, and
    /// writes are errors.
    #[inline]
    pub fn attributes(&mut self, message: Msg) -> Attributes<'_> {
        let number = self.node(message.0).table.attributes_number() as u8;
        Attributes { editor: self, node: message.0, number }
    }

    /// One attribute found before.
    #[inline]
    pub fn attribute(&mut self, at: At) -> Attribute<'_> {
        Attribute { editor: self, at }
    }

    fn find_key(&self, node: u32, number: u8, key: &[u8], from: u32) -> Option<At> {
        if number == 0 {
            return None;
        }
        let wanted = fingerprint(key);
        let slots = self.slots_of(node);
        let mut at = from as usize;
        loop {
            // Mostly nothing but this comparison is made.
            at += slots.get(at..)?.iter().position(|slot| could_be(slot.print, wanted))?;
            let slot = slots.get(at)?;
            if slot.is(number) && self.key(node, slot) == key {
                return Some(At { node, slot: at as u32 });
            }
            at += 1;
        }
    }

    fn key(&self, node: u32, slot: &Slot) -> &[u8] {
        if slot.state & CHILD == 0 {
            return pair_key(self.content(node, slot));
        }
        match self.first(Msg(slot.print), KEY) {
            Some(key) => self.content(key.node, self.slot(key)),
            None => &[],
        }
    }

    /// The serialized `AnyValue` of an attribute; empty when it has none.
    fn value_of(&mut self, at: At) -> &[u8] {
        let slot = *self.slot(at);
        if slot.state & CHILD != 0 {
            return match self.first(Msg(slot.print), VALUE) {
                Some(value) => self.bytes(value),
                None => &[],
            };
        }
        let pair = self.content(at.node, &slot);
        match plain_parts(pair) {
            Some((_, value)) => value.unwrap_or_default(),
            None => super::tree::content_of(pair, VALUE).unwrap_or_default(),
        }
    }

    /// Overwrites the value of an attribute. Whether that changed anything.
    fn set_value_of(&mut self, at: At, value: Value<'_>) -> Result<bool, EditError> {
        let slot = *self.slot(at);
        if slot.state & REMOVED != 0 {
            return Ok(false);
        }
        if slot.state & CHILD != 0 {
            let before = self.changes;
            let opened = self.sub_or_add(Msg(slot.print), VALUE)?;
            self.set_value(opened, value)?;
            return Ok(self.changes != before);
        }
        let (source, content) = (self.source_of(at.node, &slot), slot.start as usize + usize::from(slot.header));
        let new = match plain_parts(self.content(at.node, &slot)) {
            Some((key_field, _)) => {
                self.put_pair(at.node, slot.number, Rest::Copy(source, content, content + key_field), Some(value))?
            }
            None => {
                let rest = self.without(at, VALUE);
                let new = self.put_pair(at.node, slot.number, Rest::Bytes(&rest), Some(value));
                self.scratch = rest;
                new?
            }
        };
        Ok(self.replace(at, new))
    }

    /// Overwrites the key of an attribute.
    fn rename_at(&mut self, at: At, key: &str) -> Result<bool, EditError> {
        let slot = *self.slot(at);
        if slot.state & REMOVED != 0 {
            return Ok(false);
        }
        if slot.state & CHILD != 0 {
            let before = self.changes;
            self.set(Msg(slot.print), KEY, Scalar::Str(key))?;
            return Ok(self.changes != before);
        }
        let mut pair = Vec::with_capacity(key.len() + slot.len as usize);
        put_len(&mut pair, KEY, key.as_bytes());
        pair.append(&mut self.without(at, KEY));
        let new = self.put_pair(at.node, slot.number, Rest::Bytes(&pair), None)?;
        Ok(self.replace(at, new))
    }

    /// The fields of a serialized pair but one, in the scratch buffer, which is taken.
    fn without(&mut self, at: At, number: u32) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.scratch);
        rest.clear();
        let pair = self.content(at.node, self.slot(at));
        for field in Fields::new(pair).filter(|field| field.number != number) {
            rest.extend_from_slice(pair.get(field.start..field.end).unwrap_or_default());
        }
        rest
    }

    /// Encodes an attribute to the arena: fields that it has already, then the value.
    fn put_pair(&mut self, node: u32, number: u8, rest: Rest<'_>, value: Option<Value<'_>>) -> Result<Slot, EditError> {
        let mut content = match rest {
            Rest::Copy(_, start, end) => end - start,
            Rest::Bytes(bytes) => bytes.len(),
            Rest::Key(key) => 1 + varint_len(key.len() as u64) + key.len(),
        };
        let value_len = value.map_or(0, |value| value.encoded_len());
        if let Some(value) = value {
            self.check_depth(u32::from(self.node(node).depth) + 1, &value)?;
            content += 1 + varint_len(value_len as u64) + value_len;
        }
        self.room(content + 16)?;
        self.store.arena.reserve(content + 16);
        let start = self.store.arena.len();
        put_head(&mut self.store.arena, number << 3 | LEN, content);
        let header = self.store.arena.len() - start;
        match rest {
            Rest::Copy(source, start, end) => self.store.copy_to_arena(source, start, end),
            Rest::Bytes(bytes) => self.store.arena.extend_from_slice(bytes),
            Rest::Key(key) => put_short(&mut self.store.arena, (KEY as u8) << 3 | LEN, key),
        }
        if let Some(value) = value {
            put_head(&mut self.store.arena, (VALUE as u8) << 3 | LEN, value_len);
            value.encode(&mut self.store.arena);
        }
        let pair = self.store.arena.get(start + header..).unwrap_or_default();
        let (print, len) = (pair_fingerprint(pair), (pair.len() + header) as u32);
        Ok(Slot { start: start as u32, len, print, number, header: header as u8, state: NEW })
    }

    /// Puts a field just encoded in the place of another, unless they are equal.
    fn replace(&mut self, at: At, new: Slot) -> bool {
        if self.whole(at.node, self.slot(at)) == self.store.bytes(ARENA, new.start, new.len) {
            self.store.arena.truncate(new.start as usize);
            return false;
        }
        *self.slot_mut(at) = new;
        self.touch(at.node);
        true
    }
}

/// Whether an attribute could have the key of that fingerprint: its own is the same, or its key is not known here. Then
/// [`Slot::print`] is 0 or a node, and lacks the highest bit, which fingerprints have. One comparison for what a search
/// meets mostly, another key.
#[inline]
fn could_be(print: u32, wanted: u32) -> bool {
    (print ^ wanted).wrapping_sub(1) >= i32::MAX as u32
}

/// What stands in an attribute before its value.
#[derive(Clone, Copy)]
enum Rest<'a> {
    Copy(u32, usize, usize),
    Bytes(&'a [u8]),
    Key(&'a [u8]),
}

/// Length of the key's field, and the value, of a pair that is a short key and then a value or nothing, as SDKs write it.
pub(super) fn plain_parts(pair: &[u8]) -> Option<(usize, Option<&[u8]>)> {
    let [0x0a, len @ 0..=0x7f, rest @ ..] = pair else { return None };
    let rest = rest.get(usize::from(*len)..)?;
    let key_field = pair.len() - rest.len();
    match rest {
        [] => Some((key_field, None)),
        [0x12, ..] => {
            let mut at = 1;
            let len = read_varint(rest, &mut at)?;
            let value = rest.get(at..)?;
            (value.len() as u64 == len).then_some((key_field, Some(value)))
        }
        _ => None,
    }
}

impl Attributes<'_> {
    /// How many there are, duplicates included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.editor.slots_of(self.node).iter().filter(|slot| self.number != 0 && slot.is(self.number)).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first attribute of that key.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &str) -> Option<At> {
        self.editor.find_key(self.node, self.number, key.as_bytes(), 0)
    }

    /// The next attribute of that key, behind one found before.
    #[inline]
    #[must_use]
    pub fn find_next(&self, key: &str, after: At) -> Option<At> {
        self.editor.find_key(self.node, self.number, key.as_bytes(), after.slot + 1)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The value of the first attribute of that key.
    pub fn get(&mut self, key: &str) -> Option<ValueRef<'_>> {
        let at = self.find(key)?;
        Some(ValueRef(self.editor.value_of(at)))
    }

    /// Writes if the key is not there. Whether anything changed.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn insert(&mut self, key: &str, value: Value<'_>) -> Result<bool, EditError> {
        self.write(key, value, Write::Insert)
    }

    /// Writes if the key is there. Whether anything changed.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn update(&mut self, key: &str, value: Value<'_>) -> Result<bool, EditError> {
        self.write(key, value, Write::Update)
    }

    /// Writes. Whether anything changed.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn upsert(&mut self, key: &str, value: Value<'_>) -> Result<bool, EditError> {
        self.write(key, value, Write::Upsert)
    }

    /// Writes a value, and removes further attributes of the same key. Whether anything changed.
    ///
    /// # Errors
    /// [`EditError::Depth`], [`EditError::TooLarge`]; [`EditError::Field`] when the message has no attributes.
    pub fn write(&mut self, key: &str, value: Value<'_>, how: Write) -> Result<bool, EditError> {
        match self.find(key) {
            Some(_) if how == Write::Insert => Ok(false),
            Some(first) => self.write_at(first, key, value),
            None if how == Write::Update => Ok(false),
            None if self.number == 0 => Err(EditError::Field),
            None => {
                let new = self.editor.put_pair(self.node, self.number, Rest::Key(key.as_bytes()), Some(value))?;
                self.editor.push_slot(self.node, new);
                self.editor.touch(self.node);
                Ok(true)
            }
        }
    }

    /// The same where the first attribute of the key, which is there, was found before.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn write_at(&mut self, first: At, key: &str, value: Value<'_>) -> Result<bool, EditError> {
        let changed = self.editor.set_value_of(first, value)?;
        Ok(self.delete_from(key, first.slot + 1) > 0 || changed)
    }

    /// The value of an attribute found before.
    pub fn value_of(&mut self, at: At) -> ValueRef<'_> {
        ValueRef(self.editor.value_of(at))
    }

    /// Writes the value of another attribute, which may be anywhere in the same payload. Whether anything changed.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn copy(&mut self, key: &str, from: At, how: Write) -> Result<bool, EditError> {
        let value = SmallVec::<[u8; 256]>::from_slice(self.editor.value_of(from));
        self.write(key, Value::Encoded(ValueRef(&value)), how)
    }

    /// Removes every attribute of that key; says how many there were.
    pub fn delete(&mut self, key: &str) -> u32 {
        self.delete_from(key, 0)
    }

    fn delete_from(&mut self, key: &str, mut from: u32) -> u32 {
        let mut deleted = 0;
        while let Some(at) = self.editor.find_key(self.node, self.number, key.as_bytes(), from) {
            self.editor.remove_slot(at);
            deleted += 1;
            from = at.slot + 1;
        }
        deleted
    }

    /// Gives every attribute of one key another key. Whether that is there already is up to the caller.
    ///
    /// # Errors
    /// [`EditError::TooLarge`].
    pub fn rename(&mut self, from: &str, to: &str) -> Result<u32, EditError> {
        let (mut renamed, mut slot) = (0, 0);
        while let Some(at) = self.editor.find_key(self.node, self.number, from.as_bytes(), slot) {
            renamed += u32::from(self.editor.rename_at(at, to)?);
            slot = at.slot + 1;
        }
        Ok(renamed)
    }

    /// Removes those of which `keep` says so, given key and value; says how many.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], ValueRef<'_>) -> bool) -> u32 {
        let mut removed = 0;
        self.each(|attribute| {
            // The key is copied only where key and value cannot be had at once: from opened values.
            let opened = attribute.editor.slot(attribute.at).state & CHILD != 0;
            let kept = if opened {
                let key = attribute.key().to_vec();
                keep(&key, attribute.value())
            } else {
                let editor = &*attribute.editor;
                let pair = editor.content(attribute.at.node, editor.slot(attribute.at));
                let value = match plain_parts(pair) {
                    Some((_, value)) => value,
                    None => super::tree::content_of(pair, VALUE),
                };
                keep(pair_key(pair), ValueRef(value.unwrap_or_default()))
            };
            if !kept {
                attribute.remove();
                removed += 1;
            }
        });
        removed
    }

    /// Visits every attribute, to be read, changed, renamed or removed. Those added meanwhile are not visited.
    ///
    /// # Errors
    /// The first that `visit` returns; it is not called again then.
    pub fn for_each<E>(&mut self, mut visit: impl FnMut(&mut Attribute<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut outcome = Ok(());
        self.each(|attribute| {
            if outcome.is_ok() {
                outcome = visit(attribute);
            }
        });
        outcome
    }

    fn each(&mut self, mut visit: impl FnMut(&mut Attribute<'_>)) {
        for slot in 0..self.editor.node(self.node).count {
            let at = At { node: self.node, slot };
            if self.number != 0 && self.editor.slot(at).is(self.number) {
                visit(&mut Attribute { editor: self.editor, at });
            }
        }
    }

    /// Removes all of them; says how many there were.
    pub fn clear(&mut self) -> u32 {
        self.retain(|_, _| false)
    }

    /// Opens the value of the first attribute of that key, to edit inside it.
    pub fn open(&mut self, key: &str) -> Option<Msg> {
        let at = self.find(key)?;
        self.editor.attribute(at).open()
    }

    /// Opens the value of the first attribute of that key, which is added, empty, if it is absent.
    ///
    /// # Errors
    /// As [`Attributes::write`].
    pub fn open_or_add(&mut self, key: &str) -> Result<Msg, EditError> {
        self.insert(key, Value::Empty)?;
        self.open(key).ok_or(EditError::Field)
    }
}

impl Attribute<'_> {
    /// The key. Known to be UTF-8, but given as bytes, which is how keys are compared.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.editor.key(self.at.node, self.editor.slot(self.at))
    }

    /// The value.
    #[inline]
    pub fn value(&mut self) -> ValueRef<'_> {
        ValueRef(self.editor.value_of(self.at))
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> At {
        self.at
    }

    /// Overwrites the value. Whether that changed anything.
    ///
    /// # Errors
    /// [`EditError::Depth`], [`EditError::TooLarge`].
    #[inline]
    pub fn set(&mut self, value: Value<'_>) -> Result<bool, EditError> {
        self.editor.set_value_of(self.at, value)
    }

    /// Overwrites the key. Whether that changed anything.
    ///
    /// # Errors
    /// [`EditError::TooLarge`].
    pub fn rename(&mut self, key: &str) -> Result<bool, EditError> {
        self.editor.rename_at(self.at, key)
    }

    /// Removes it.
    pub fn remove(&mut self) {
        self.editor.remove_slot(self.at);
    }

    /// Opens the value, to edit inside it; adds an empty one if there is none. `None` if the attribute was removed.
    pub fn open(&mut self) -> Option<Msg> {
        let pair = self.editor.open(self.at)?;
        self.editor.sub_or_add(pair, VALUE).ok()
    }

    /// The editor, to edit inside the opened value.
    pub fn editor(&mut self) -> &mut Editor {
        self.editor
    }
}
