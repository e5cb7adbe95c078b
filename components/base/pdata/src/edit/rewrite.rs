//! Attributes of an item rewritten in one pass over its bytes, without opening it: for edits that look at some keys, each
//! for itself. Cheaper than opening where an item is edited once.

use smallvec::SmallVec;

use crate::wire::{LEN, put_len, put_tag, put_varint, read_field, varint_len};

use super::attributes::plain_parts;
use super::nodes::header_len;
use super::tree::{ARENA, At, CHILD, NEW, REMOVED, Slot, fingerprint, pair_fingerprint, pair_key};
use super::value::{Value, ValueRef};
use super::{EditError, Editor};

/// Number of the value in a `KeyValue`, and its tag.
const VALUE: u32 = 2;
const VALUE_TAG: u8 = (VALUE as u8) << 3 | LEN;

/// Keys of attributes to look for.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<(u32, Box<[u8]>)>);

impl Keys {
    /// These keys, numbered in order.
    #[must_use]
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        Self(keys.into_iter().map(|key| (fingerprint(key.as_bytes()), key.as_bytes().into())).collect())
    }

    #[inline]
    fn find(&self, pair: &[u8]) -> Option<usize> {
        let print = pair_fingerprint(pair);
        self.0.iter().position(|(wanted, key)| (print == *wanted || print == 0) && pair_key(pair) == &**key)
    }
}

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
    /// Its value is what was appended to the buffer: a serialized `AnyValue`, see [`Value::encode`].
    Set,
}

/// A part of an item that changes: its place, and what comes in its place, in the scratch buffer.
struct Change {
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

impl Editor {
    /// Calls `rewrite` with every attribute of an item whose key is one of `keys`, given the number of the key and how
    /// often it came before; adds the attributes that `add` returns, given whether each key was met. Whether anything
    /// changed.
    ///
    /// `None`, and nothing done, where the item was opened or has attributes that no SDK writes like that: open it.
    ///
    /// # Errors
    /// [`EditError::TooLarge`].
    pub fn rewrite_attributes<'v>(
        &mut self,
        at: At,
        keys: &Keys,
        mut rewrite: impl FnMut(usize, u32, ValueRef<'_>, &mut Vec<u8>) -> Rewrite,
        mut add: impl FnMut(usize) -> Option<(&'v str, Value<'v>)>,
    ) -> Option<Result<bool, EditError>> {
        let slot = *self.slot(at);
        let source = self.source_of(at.node, &slot);
        let table = self.node(at.node).table.field(u32::from(slot.number))?.kind.message()?;
        let number = table.attributes_number();
        if slot.state & (CHILD | REMOVED) != 0 || source == ARENA || number == 0 || number > 15 {
            return None;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let item = self.content(at.node, &slot);
        let mut changes = SmallVec::<[Change; 8]>::new();
        let mut met = SmallVec::<[u32; 8]>::from_elem(0, keys.0.len());
        let tag = (number as u8) << 3 | LEN;
        let mut from = 0;
        while let Some(&first) = item.get(from) {
            // Fields of up to 127 bytes, which most are, are passed by their length.
            let (end, content) = match item.get(from + 1) {
                Some(&len @ 0..=0x7f) if first & 0x87 == LEN => {
                    let start = from + 2;
                    (start + usize::from(len), start..start + usize::from(len))
                }
                _ => match read_field(item, from) {
                    Ok(field) => (field.end, field.value),
                    Err(_) => break,
                },
            };
            if first == tag
                && let Some(pair) = item.get(content)
                && let Some(key) = keys.find(pair)
            {
                let Some((key_field, value)) = plain_parts(pair) else {
                    self.scratch = scratch;
                    return None;
                };
                let times = met.get_mut(key).map_or(0, |times| std::mem::replace(times, *times + 1));
                let start = scratch.len();
                match rewrite(key, times, ValueRef(value.unwrap_or_default()), &mut scratch) {
                    Rewrite::Keep => scratch.truncate(start),
                    Rewrite::Delete => {
                        scratch.truncate(start);
                        changes.push(Change { old: from..end, new: start..start });
                    }
                    Rewrite::Set => {
                        if scratch.get(start..) == value {
                            scratch.truncate(start);
                        } else {
                            wrap(&mut scratch, start, tag, pair.get(..key_field).unwrap_or_default());
                            changes.push(Change { old: from..end, new: start..scratch.len() });
                        }
                    }
                }
            }
            from = end;
        }
        let added = scratch.len();
        for (key, times) in met.iter().enumerate() {
            if *times == 0
                && let Some((key, value)) = add(key)
            {
                let start = scratch.len();
                value.encode(&mut scratch);
                let mut key_field = Vec::with_capacity(key.len() + 2);
                put_len(&mut key_field, 1, key.as_bytes());
                wrap(&mut scratch, start, tag, &key_field);
            }
        }
        if changes.is_empty() && scratch.len() == added {
            self.scratch = scratch;
            return Some(Ok(false));
        }
        let outcome = self.put_changed(at, source, slot, &changes, &scratch, added);
        self.scratch = scratch;
        Some(outcome)
    }

    /// Writes the item with its changes to the arena, in the place of the old one.
    fn put_changed(
        &mut self,
        at: At,
        source: u32,
        slot: Slot,
        changes: &[Change],
        new: &[u8],
        added: usize,
    ) -> Result<bool, EditError> {
        let content = (slot.len - u32::from(slot.header)) as usize;
        let shrunk: usize = changes.iter().map(|change| change.old.len()).sum();
        let len = content - shrunk + new.len();
        self.room(len + 16)?;
        let (mut from, end) = (slot.start as usize + usize::from(slot.header), (slot.start + slot.len) as usize);
        let base = from;
        let start = self.store.arena.len();
        self.store.arena.reserve(len + 16);
        put_tag(&mut self.store.arena, u32::from(slot.number), LEN);
        put_varint(&mut self.store.arena, len as u64);
        for change in changes {
            self.store.copy_to_arena(source, from, base + change.old.start);
            self.store.arena.extend_from_slice(new.get(change.new.clone()).unwrap_or_default());
            from = base + change.old.end;
        }
        self.store.copy_to_arena(source, from, end);
        self.store.arena.extend_from_slice(new.get(added..).unwrap_or_default());
        let whole = (self.store.arena.len() - start) as u32;
        let header = header_len(slot.number, len as u32) as u8;
        debug_assert_eq!(whole, len as u32 + u32::from(header), "what was measured is what was written");
        *self.slot_mut(at) =
            Slot { start: start as u32, len: whole, print: 0, number: slot.number, header, state: NEW };
        self.touch(at.node);
        Ok(true)
    }
}

/// Puts key and framing in front of the value at the end of the buffer, making it an attribute.
fn wrap(out: &mut Vec<u8>, start: usize, tag: u8, key_field: &[u8]) {
    let value = out.len() - start;
    let pair = key_field.len() + 1 + varint_len(value as u64) + value;
    // Short keys, which these are, need no allocation.
    let mut head = SmallVec::<[u8; 96]>::new();
    push_head(&mut head, tag, pair);
    head.extend_from_slice(key_field);
    push_head(&mut head, VALUE_TAG, value);
    out.resize(out.len() + head.len(), 0);
    out.copy_within(start..start + value, start + head.len());
    if let Some(place) = out.get_mut(start..start + head.len()) {
        place.copy_from_slice(&head);
    }
}

fn push_head(head: &mut SmallVec<[u8; 96]>, tag: u8, mut len: usize) {
    head.push(tag);
    while len >= 0x80 {
        head.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    head.push(len as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::{PayloadBuilder, SpanFields};
    use crate::edit::{Walk, Write};
    use crate::{Payload, Signal};

    const KEYS: [&str; 4] = ["a", "user.id", "gone", "added"];

    /// A span with these attributes, a name before and a time behind them.
    fn span(attributes: &[(String, String)]) -> Payload {
        let mut builder = PayloadBuilder::traces();
        builder.bare(|items| {
            let fields = SpanFields { name: "name", end_time_unix_nano: 7, ..SpanFields::default() };
            items.span(&fields, |span| {
                for (key, value) in attributes {
                    span.attributes().str(key, value);
                }
            });
        });
        builder.finish(None)
    }

    fn attributes(payload: &Payload) -> Vec<(String, String)> {
        let mut found = Vec::new();
        payload.for_each_item(|item| {
            if let crate::view::ItemView::Span(span) = item.view {
                assert_eq!((span.name(), span.end_time_unix_nano()), ("name", 7));
                for pair in span.attributes() {
                    let value = pair.value().as_str().unwrap_or_default();
                    found.push((pair.key().to_owned(), value.to_owned()));
                }
            }
        });
        found
    }

    /// Doubles values of the first two keys, deletes the third, adds the fourth where it is absent.
    fn in_one_pass(payload: Payload) -> Option<Payload> {
        let mut editor = Editor::new(payload).unwrap();
        let keys = Keys::new(KEYS);
        let mut walk = Walk::items(&editor);
        while let Some(place) = walk.next(&mut editor) {
            let rewrite = |key: usize, _: u32, value: ValueRef<'_>, out: &mut Vec<u8>| match key {
                0 | 1 => {
                    let text = std::str::from_utf8(value.str_bytes().unwrap_or_default()).unwrap().repeat(2);
                    Value::Str(&text).encode(out);
                    Rewrite::Set
                }
                2 => Rewrite::Delete,
                _ => Rewrite::Keep,
            };
            let add = |key: usize| (key == 3).then_some((KEYS[3], Value::Str("new")));
            editor.rewrite_attributes(place.at(), &keys, rewrite, add)?.unwrap();
        }
        Some(editor.seal())
    }

    fn by_opening(payload: Payload) -> Payload {
        let mut editor = Editor::new(payload).unwrap();
        let mut walk = Walk::items(&editor);
        while let Some(place) = walk.next(&mut editor) {
            let span = editor.open(place.at()).unwrap();
            let mut attributes = editor.attributes(span);
            attributes
                .for_each(|attribute| {
                    if KEYS[..2].iter().any(|key| attribute.key() == key.as_bytes()) {
                        let text = String::from_utf8(attribute.value().str_bytes().unwrap().to_vec()).unwrap();
                        attribute.set(Value::Str(&text.repeat(2)))?;
                    }
                    Ok::<_, EditError>(())
                })
                .unwrap();
            attributes.delete(KEYS[2]);
            attributes.write(KEYS[3], Value::Str("new"), Write::Insert).unwrap();
        }
        editor.seal()
    }

    proptest! {
        #[test]
        fn one_pass_is_the_same_as_opening(
            given in prop::collection::vec(("(a|user.id|gone|added|other|[a-z]{0,3}|x{125,130})", "[a-z]{0,140}"), 0..12),
        ) {
            let payload = span(&given);
            if let Some(rewritten) = in_one_pass(payload.clone()) {
                prop_assert_eq!(rewritten.items(), 1);
                prop_assert_eq!(attributes(&rewritten), attributes(&by_opening(payload)));
                let mut body = rewritten.to_bytes().to_vec();
                crate::validate::validate(Signal::Traces, &mut body, crate::Utf8Policy::Refuse).unwrap();
            }
        }
    }

    #[test]
    fn what_does_not_change_is_not_touched() {
        let payload = span(&[("a".to_owned(), String::new()), ("b".to_owned(), "x".to_owned())]);
        let mut editor = Editor::new(payload.clone()).unwrap();
        let place = Walk::items(&editor).next(&mut editor).unwrap();
        let keys = Keys::new(["a", "c"]);
        let same = |_: usize, _: u32, value: ValueRef<'_>, out: &mut Vec<u8>| {
            out.extend_from_slice(value.bytes());
            Rewrite::Set
        };
        assert_eq!(editor.rewrite_attributes(place.at(), &keys, same, |_| None), Some(Ok(false)));
        assert!(!editor.is_changed());
        editor.open(place.at()).unwrap();
        assert_eq!(
            editor.rewrite_attributes(place.at(), &keys, same, |_| None),
            None,
            "opened items are edited opened"
        );
        assert_eq!(editor.seal().to_bytes(), payload.to_bytes());
    }
}
