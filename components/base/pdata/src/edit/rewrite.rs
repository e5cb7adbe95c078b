//! Attributes of items rewritten in one pass over their bytes, without opening anything: for edits that look at some keys,
//! each for itself.
//!
//! What stays is copied in runs as long as they are, over fields, items and groups; what changes is written between them.
//! The lengths of the messages around a change are put right where those end: mostly they take as many bytes as before.

use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use crate::payload::Segment;
use crate::schema::Message;
use crate::signal::Signal;
use crate::wire::{FIXED32, FIXED64, LEN, RawField, VARINT, read_field, varint_len};

use super::attributes::plain_parts;
use super::fields::{holds_items, leads_to_items};
use super::tree::{ARENA, At, CHILD, KEY_TAG, NEW, REMOVED, Slot, fingerprint, pair_key};
use super::value::{Value, ValueRef, put_short};
use super::{ARENA_BYTES_MAX, EditError, Editor, SEGMENT_BYTES_MAX};

/// Tag of the value in a `KeyValue`.
const VALUE_TAG: u8 = 2 << 3 | LEN;

/// Keys of attributes to look for.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Lengths that occur among those of up to 127 bytes, one bit each: what most other keys differ in.
    lengths: u128,
    keys: Vec<(u32, Box<[u8]>)>,
    ratio: Ratio,
}

/// What became of the last payload, in 1/1024 of its size; 0 before the first. Buffers of the right size are not only what
/// is charged: larger ones, given back in part, would be mapped and unmapped by the allocator each time.
#[derive(Debug, Default)]
struct Ratio(AtomicU32);

impl Clone for Ratio {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Ratio {
    /// How much to reserve for a payload.
    fn capacity(&self, len: usize) -> usize {
        let ratio = match self.0.load(Ordering::Relaxed) {
            0 => 1024,
            ratio => ratio as usize,
        };
        len / 1024 * ratio + len / 32 + 1024
    }

    fn learn(&self, before: usize, after: usize) {
        let ratio = (after / (before / 1024).max(1)).clamp(1, 4096);
        self.0.store(ratio as u32, Ordering::Relaxed);
    }
}

impl Keys {
    /// These keys, numbered in order.
    #[must_use]
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        let keys: Vec<_> = keys.into_iter().map(|key| (fingerprint(key.as_bytes()), key.as_bytes().into())).collect();
        let short = keys.iter().filter(|(_, key): &&(u32, Box<[u8]>)| key.len() < 0x80);
        let lengths = short.fold(0, |lengths, (_, key)| lengths | 1 << key.len());
        Self { lengths, keys, ratio: Ratio::default() }
    }

    /// The number of the key of a serialized `KeyValue`.
    #[inline]
    fn find(&self, pair: &[u8]) -> Option<usize> {
        let [KEY_TAG, len @ 0..=0x7f, rest @ ..] = pair else { return self.find_long(pair_key(pair)) };
        if self.lengths >> len & 1 == 0 {
            return None;
        }
        let key = rest.get(..usize::from(*len))?;
        let print = fingerprint(key);
        self.keys.iter().position(|(wanted, candidate)| *wanted == print && **candidate == *key)
    }

    #[cold]
    fn find_long(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|(_, candidate)| **candidate == *key)
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

impl Editor {
    /// Calls `rewrite` with every attribute of all items whose key is one of `keys`, given the number of the key and how
    /// often it came before in its item; adds to each item the attributes that `add` returns for keys that were not met.
    /// Whether anything changed.
    ///
    /// `None`, and nothing done, where something was opened or changed already, or has attributes that no SDK writes like
    /// that: then [`Editor::rewrite_attributes`] item by item.
    ///
    /// # Errors
    /// [`EditError::TooLarge`].
    pub fn rewrite_all_attributes<'v>(
        &mut self,
        keys: &Keys,
        mut rewrite: impl FnMut(usize, u32, ValueRef<'_>, &mut Vec<u8>) -> Rewrite,
        mut add: impl FnMut(usize) -> Option<(&'v str, Value<'v>)>,
    ) -> Option<Result<bool, EditError>> {
        if self.nodes.len() != self.items.len() || self.nodes.iter().any(|root| root.changed) {
            return None;
        }
        let mut rewritten = SmallVec::<[Option<Vec<u8>>; 1]>::new();
        for (segment, root) in self.store.segments.iter().zip(&self.nodes) {
            let mut body = Vec::with_capacity(keys.ratio.capacity(segment.bytes().len()));
            let mut pass = Pass::new(keys, segment.bytes(), 0, &mut body, &mut rewrite, &mut add);
            pass.container(self.signal, root.table, 1, 0, segment.bytes().len())?;
            let is_changed = pass.finish(segment.bytes().len());
            if body.len() > SEGMENT_BYTES_MAX {
                return Some(Err(EditError::TooLarge));
            }
            if is_changed {
                keys.ratio.learn(segment.bytes().len(), body.len());
                if body.capacity() - body.len() > body.len() / 8 + 2048 {
                    body.shrink_to_fit();
                }
            }
            rewritten.push(is_changed.then_some(body));
        }
        if rewritten.iter().all(Option::is_none) {
            return Some(Ok(false));
        }
        for (segment, body) in self.store.segments.iter_mut().zip(rewritten) {
            if let Some(body) = body {
                *segment = Segment::charged(body, segment.items(), segment.account());
            }
        }
        self.list_requests();
        self.changes += 1;
        Some(Ok(true))
    }

    /// The same for one item, in whatever state the others are.
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
        if slot.state & (CHILD | REMOVED) != 0 || source == ARENA {
            return None;
        }
        if let Err(error) = self.room(slot.len as usize) {
            return Some(Err(error));
        }
        let arena = &mut self.store.arena;
        let segment = self.store.segments.get(source as usize)?.bytes();
        let (from, to) = (slot.start as usize, (slot.start + slot.len) as usize);
        let start = arena.len();
        let mut pass = Pass::new(keys, segment, from, arena, &mut rewrite, &mut add);
        let seen = read_field(segment, from).ok().and_then(|field| pass.item(table, &field));
        let is_changed = seen.is_some() && pass.finish(to);
        if !is_changed || arena.len() > ARENA_BYTES_MAX {
            let is_too_large = is_changed;
            arena.truncate(start);
            return seen.map(|()| if is_too_large { Err(EditError::TooLarge) } else { Ok(false) });
        }
        let whole = arena.get(start..).unwrap_or_default();
        let header = read_field(whole, 0).map_or(0, |field| field.value.start as u8);
        *self.slot_mut(at) = Slot {
            start: start as u32,
            len: (self.store.arena.len() - start) as u32,
            print: 0,
            number: slot.number,
            header,
            state: NEW,
        };
        self.touch(at.node);
        Some(Ok(true))
    }
}

/// A message around the current place.
struct Frame {
    /// Where its length stands in the source, and how many bytes that takes.
    length: usize,
    width: usize,
    /// Where its length stands in what was written; `None` while nothing in the message changed.
    place: Option<usize>,
}

/// A request, its group, scope group, metric and data, and the item; the request has no length.
const FRAMES: usize = 5;

/// A way through a source that has been validated, and what was written of it.
struct Pass<'a, R, A> {
    keys: &'a Keys,
    rewrite: R,
    add: A,
    source: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Up to where the source has been copied or replaced.
    copied: usize,
    is_changed: bool,
    frames: SmallVec<[Frame; FRAMES]>,
    /// How often each key was met in the current item.
    met: SmallVec<[u32; 8]>,
}

impl<'a, 'v, R, A> Pass<'a, R, A>
where
    R: FnMut(usize, u32, ValueRef<'_>, &mut Vec<u8>) -> Rewrite,
    A: FnMut(usize) -> Option<(&'v str, Value<'v>)>,
{
    fn new(keys: &'a Keys, source: &'a [u8], from: usize, out: &'a mut Vec<u8>, rewrite: R, add: A) -> Self {
        let met = SmallVec::from_elem(0, keys.keys.len());
        Self { keys, rewrite, add, source, out, copied: from, is_changed: false, frames: SmallVec::new(), met }
    }

    /// Copies what is left. Whether anything changed; if not, nothing that was written is of use.
    fn finish(self, end: usize) -> bool {
        if self.is_changed {
            self.out.extend_from_slice(self.source.get(self.copied..end).unwrap_or_default());
        }
        self.is_changed
    }

    /// Through a message on the way to items. `None` where an item cannot be rewritten like this.
    fn container(&mut self, signal: Signal, table: &Message, way: u8, start: usize, end: usize) -> Option<()> {
        let source = self.source.get(..end)?;
        let mut at = start;
        while at < end {
            let field = read_field(source, at).ok()?;
            at = field.end;
            if field.wire_type != LEN || field.number > 15 || !leads_to_items(signal, way, field.number as u8) {
                continue;
            }
            let inner = table.field(field.number)?.kind.message()?;
            if holds_items(signal, way) {
                self.item(inner, &field)?;
            } else {
                self.enter(&field);
                self.container(signal, inner, way + 1, field.value.start, field.value.end)?;
                self.leave(field.value.end);
            }
        }
        Some(())
    }

    /// Through an item.
    fn item(&mut self, table: &Message, field: &RawField) -> Option<()> {
        let number = table.attributes_number();
        if number == 0 || number > 15 {
            return None;
        }
        self.enter(field);
        self.met.fill(0);
        let tag = (number as u8) << 3 | LEN;
        let (item, mut from) = (self.source.get(..field.value.end)?, field.value.start);
        while let Some(&first) = item.get(from) {
            // What most of an item is, as in `index`.
            let (start, end) = match item.get(from + 1) {
                Some(&len @ 0..=0x7f) if first & 0x87 == LEN => (from + 2, from + 2 + usize::from(len)),
                _ if first & 0x87 == FIXED64 => (from + 1, from + 9),
                _ if first & 0x87 == FIXED32 => (from + 1, from + 5),
                Some(0..=0x7f) if first & 0x87 == VARINT => (from + 1, from + 2),
                _ => {
                    let field = read_field(item, from).ok()?;
                    (field.value.start, field.end)
                }
            };
            if first == tag
                && let Some(pair) = item.get(start..end)
                && let Some(key) = self.keys.find(pair)
            {
                self.attribute(key, tag, from, start, end)?;
            }
            from = end;
        }
        self.added(tag, field.value.end);
        self.leave(field.value.end);
        Some(())
    }

    /// An attribute whose key is looked for.
    fn attribute(&mut self, key: usize, tag: u8, from: usize, content: usize, end: usize) -> Option<()> {
        let pair = self.source.get(content..end)?;
        let (key_field, value) = plain_parts(pair)?;
        let times = self.met.get_mut(key).map_or(0, |times| std::mem::replace(times, *times + 1));
        self.copy_to(from);
        let start = self.out.len();
        // Lengths of one byte, until they are known.
        self.out.extend_from_slice(&[tag, 0]);
        self.out.extend_from_slice(pair.get(..key_field).unwrap_or_default());
        self.out.extend_from_slice(&[VALUE_TAG, 0]);
        let value_start = self.out.len();
        match (self.rewrite)(key, times, ValueRef(value.unwrap_or_default()), self.out) {
            Rewrite::Set if value.is_none() || self.out.get(value_start..) != value => {
                end_pair(self.out, start, value_start);
                self.change_to(end);
            }
            Rewrite::Keep | Rewrite::Set => self.out.truncate(start),
            Rewrite::Delete => {
                self.out.truncate(start);
                self.change_to(end);
            }
        }
        Some(())
    }

    /// Adds attributes at the end of an item.
    fn added(&mut self, tag: u8, end: usize) {
        for key in 0..self.met.len() {
            if self.met.get(key) == Some(&0)
                && let Some((key, value)) = (self.add)(key)
            {
                self.copy_to(end);
                let start = self.out.len();
                self.out.extend_from_slice(&[tag, 0]);
                put_short(self.out, KEY_TAG, key.as_bytes());
                self.out.extend_from_slice(&[VALUE_TAG, 0]);
                let value_start = self.out.len();
                value.encode(self.out);
                end_pair(self.out, start, value_start);
                self.change_to(end);
            }
        }
    }

    fn enter(&mut self, field: &RawField) {
        let tag =
            self.source.get(field.start..).map_or(0, |tag| tag.iter().take_while(|byte| **byte >= 0x80).count()) + 1;
        let length = field.start + tag;
        self.frames.push(Frame { length, width: field.value.start - length, place: None });
    }

    fn leave(&mut self, end: usize) {
        if let Some(Frame { width, place: Some(place), .. }) = self.frames.pop() {
            let end = self.out.len() + (end - self.copied);
            put_length(self.out, place, width, end - place - width);
        }
    }

    /// Copies the source up to a place that may change.
    fn copy_to(&mut self, at: usize) {
        for frame in self.frames.iter_mut().rev() {
            if frame.place.is_some() {
                break;
            }
            frame.place = Some(self.out.len() + (frame.length - self.copied));
        }
        self.out.extend_from_slice(self.source.get(self.copied..at).unwrap_or_default());
        self.copied = at;
    }

    /// What is written stands for the source up to here.
    fn change_to(&mut self, end: usize) {
        self.copied = end;
        self.is_changed = true;
    }
}

/// Puts right the lengths of an attribute that was written with one byte for each: its own, and the one in front of its
/// value.
fn end_pair(out: &mut Vec<u8>, start: usize, value_start: usize) {
    let value = out.len() - value_start;
    put_length(out, value_start - 1, 1, value);
    let pair = out.len() - start - 2;
    put_length(out, start + 1, 1, pair);
}

/// Writes a length in the place of one of `width` bytes, moving what is behind it where that takes more or fewer.
fn put_length(out: &mut Vec<u8>, place: usize, width: usize, length: usize) {
    let needed = varint_len(length as u64);
    if needed != width {
        out.splice(place..place + width, std::iter::repeat_n(0, needed));
    }
    let mut rest = length;
    for byte in out.get_mut(place..place + needed).unwrap_or_default() {
        *byte = (rest & 0x7f) as u8 | if rest < 0x80 { 0 } else { 0x80 };
        rest >>= 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::{HistogramFields, MetricFields, NumberFields, PayloadBuilder, SpanFields, Temporality};
    use crate::edit::{Walk, Write};
    use crate::view::Number;
    use crate::{Payload, Signal};

    const KEYS: [&str; 4] = ["a", "user.id", "gone", "added"];

    type Pairs = Vec<(String, String)>;

    /// Spans with these attributes, a name before and a time behind them; two in each scope, two scopes in each resource.
    fn spans(all: &[Pairs]) -> Payload {
        let mut builder = PayloadBuilder::traces();
        for group in all.chunks(4) {
            builder.resource(
                "",
                |attributes| _ = attributes.str("a", "of the resource"),
                |scopes| {
                    for scope in group.chunks(2) {
                        scopes.scope(
                            "",
                            "",
                            |attributes| _ = attributes.str("user.id", "of the scope"),
                            |items| {
                                for attributes in scope {
                                    let fields =
                                        SpanFields { name: "name", end_time_unix_nano: 7, ..SpanFields::default() };
                                    items.span(&fields, |span| {
                                        for (key, value) in attributes {
                                            span.attributes().str(key, value);
                                        }
                                    });
                                }
                            },
                        );
                    }
                },
            );
        }
        builder.finish(None)
    }

    fn attributes(payload: &Payload) -> Vec<Pairs> {
        let mut found = Vec::new();
        payload.for_each_item(|item| {
            if let crate::view::ItemView::Span(span) = item.view {
                assert_eq!((span.name(), span.end_time_unix_nano()), ("name", 7));
                let pairs = span.attributes().into_iter();
                let pairs =
                    pairs.map(|pair| (pair.key().to_owned(), pair.value().as_str().unwrap_or_default().to_owned()));
                found.push(pairs.collect());
            }
        });
        found
    }

    /// Doubles values of the first two keys, deletes the third, adds the fourth where it is absent.
    fn in_one_pass(payload: Payload, item_by_item: bool) -> Option<Payload> {
        let mut editor = Editor::new(payload).unwrap();
        let keys = Keys::new(KEYS);
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
        if !item_by_item {
            let is_changed = editor.rewrite_all_attributes(&keys, rewrite, add)?.unwrap();
            assert_eq!(editor.is_changed(), is_changed);
            return Some(editor.seal());
        }
        let mut walk = Walk::items(&editor);
        while let Some(place) = walk.next(&mut editor) {
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

    /// Keys and values around the lengths at which a length takes another byte.
    fn pairs() -> impl Strategy<Value = Pairs> {
        let key = "(a|user.id|gone|added|other|[a-z]{0,3}|x{125,130})";
        prop::collection::vec((key, "([a-z]{0,140}|z{8190,8200})"), 0..8)
    }

    proptest! {
        #[test]
        fn one_pass_is_the_same_as_opening(given in prop::collection::vec(pairs(), 0..6)) {
            let payload = spans(&given);
            let by_item = in_one_pass(payload.clone(), true);
            let at_once = in_one_pass(payload.clone(), false);
            prop_assert_eq!(by_item.as_ref().map(Payload::to_bytes), at_once.as_ref().map(Payload::to_bytes));
            if let Some(rewritten) = at_once {
                prop_assert_eq!(rewritten.items(), given.len() as u64);
                prop_assert_eq!(attributes(&rewritten), attributes(&by_opening(payload)));
                let mut body = rewritten.to_bytes().to_vec();
                crate::validate::validate(Signal::Traces, &mut body, crate::Utf8Policy::Refuse).unwrap();
                prop_assert_eq!(body, rewritten.to_bytes());
            }
        }
    }

    #[test]
    fn data_points_are_below_metrics_of_all_kinds() {
        let mut builder = PayloadBuilder::metrics();
        builder.bare(|items| {
            let fields = MetricFields { name: "user.id", ..MetricFields::default() };
            let number = NumberFields { value: Some(Number::Int(1)), ..NumberFields::default() };
            items.gauge(&fields, |data| {
                data.point(&number, |point| _ = point.attributes().str("a", "1").str("gone", ""));
            });
            items.histogram(&fields, Temporality::Delta, |data| {
                data.point(&HistogramFields::default(), |point| _ = point.attributes().str("a", "2"));
            });
        });
        let rewritten = in_one_pass(builder.finish(None), false).unwrap();
        let mut found: Vec<Vec<String>> = Vec::new();
        rewritten.for_each_item(|item| {
            if let crate::view::ItemView::DataPoint(metric, point) = item.view {
                assert_eq!(metric.name(), "user.id");
                let pairs = point.attributes().into_iter();
                found.push(pairs.map(|pair| format!("{}={}", pair.key(), pair.value().as_str().unwrap())).collect());
            }
        });
        let expected: [Vec<String>; 2] =
            [["a=11", "added=new"], ["a=22", "added=new"]].map(|point| point.map(str::to_owned).to_vec());
        assert_eq!(found, expected);
        assert_eq!(crate::validate::check(Signal::Metrics, &rewritten.to_bytes()), Ok(2));
    }

    #[test]
    fn what_was_opened_is_not_rewritten_at_once() {
        let (payload, keys) = (spans(&[vec![("gone".to_owned(), String::new())]]), Keys::new(["gone"]));
        let delete = |_: usize, _: u32, _: ValueRef<'_>, _: &mut Vec<u8>| Rewrite::Delete;
        let mut editor = Editor::new(payload).unwrap();
        let mut walk = Walk::items(&editor);
        let group = walk.next(&mut editor).and_then(|place| place.group()).unwrap();
        assert_eq!(editor.rewrite_all_attributes(&keys, delete, |_| None), None, "on the way");
        assert_eq!(walk.next(&mut editor), None);
        assert_eq!(editor.rewrite_all_attributes(&keys, delete, |_| None), Some(Ok(true)), "nothing is open any more");
        assert_eq!(editor.rewrite_all_attributes(&keys, delete, |_| None), Some(Ok(false)), "again");
        let place = Walk::items(&editor).next(&mut editor).unwrap();
        assert_eq!(place.group(), Some(group));
        let resource = editor.resource(group).unwrap();
        editor.attributes(resource).upsert("a", Value::Int(1)).unwrap();
        assert_eq!(editor.rewrite_all_attributes(&keys, delete, |_| None), None, "changed");
        assert_eq!(attributes(&editor.seal()), [[]]);
    }

    #[test]
    fn what_does_not_change_is_not_touched() {
        let payload = spans(&[vec![("a".to_owned(), String::new()), ("b".to_owned(), "x".to_owned())]]);
        let mut editor = Editor::new(payload.clone()).unwrap();
        let place = Walk::items(&editor).next(&mut editor).unwrap();
        let keys = Keys::new(["a", "c"]);
        let same = |_: usize, _: u32, value: ValueRef<'_>, out: &mut Vec<u8>| {
            out.extend_from_slice(value.bytes());
            Rewrite::Set
        };
        assert_eq!(editor.rewrite_attributes(place.at(), &keys, same, |_| None), Some(Ok(false)));
        let mut editor = Editor::new(payload.clone()).unwrap();
        assert_eq!(editor.rewrite_all_attributes(&keys, same, |_| None), Some(Ok(false)));
        let place = Walk::items(&editor).next(&mut editor).unwrap();
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
