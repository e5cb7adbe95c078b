//! The index of opened messages: nodes (messages) and slots (their fields), and where the bytes of a field are.
//!
//! Invariants: a node's slots lie together in [`Editor::slots`], in wire order, appended to and never reordered, so a
//! slot's place in its node is a stable name. A parent is opened before its children, so its number is smaller. The
//! bytes of segments never change; the arena of new bytes only grows.

use smallvec::SmallVec;

use crate::payload::Segment;
use crate::schema::Message;
use crate::wire::{FIXED32, FIXED64, Fields, LEN, VARINT, read_field};

/// A message that has been opened for reading and writing. Belongs to one [`Editor`](super::Editor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Msg(pub(super) u32);

/// One occurrence of a field in an opened message: an item, an event, an attribute. Stays valid while its message is
/// open, whatever is added or removed around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    pub(super) node: u32,
    pub(super) slot: u32,
}

impl At {
    /// The message that the field is in.
    #[must_use]
    pub fn message(self) -> Msg {
        Msg(self.node)
    }
}

/// The field's bytes are in the arena, not in its message's source.
pub(super) const NEW: u8 = 1;
/// The field is a message that has been opened: [`Slot::print`] is its node.
pub(super) const CHILD: u8 = 2;
/// The field has been removed.
pub(super) const REMOVED: u8 = 4;

/// One field. 16 bytes, because a batch that is edited throughout has one for each of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Where the field starts, at its tag.
    pub(super) start: u32,
    /// Length of tag, length and content.
    pub(super) len: u32,
    /// For attributes the fingerprint of the key, see [`fingerprint`]; for opened messages the node; for others [`NEVER`] or
    /// 0.
    pub(super) print: u32,
    /// Number of the field; 0 for unknown fields.
    pub(super) number: u8,
    /// Length of tag and length.
    pub(super) header: u8,
    /// [`NEW`], [`CHILD`], [`REMOVED`].
    pub(super) state: u8,
}

impl Slot {
    /// Neither removed nor unknown.
    #[inline]
    pub(super) fn is(&self, number: u8) -> bool {
        self.number == number && self.state & REMOVED == 0
    }
}

/// One opened message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) table: &'static Message,
    /// [`NO_PARENT`] for requests.
    pub(super) parent: u32,
    pub(super) parent_slot: u32,
    /// Its slots, and how many it may have before they must move.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) capacity: u32,
    /// How many slots it had when it was opened.
    pub(super) given: u32,
    /// Length of its content, set by the measuring pass.
    pub(super) len: u32,
    /// Buffer that slots without [`NEW`] refer to.
    pub(super) source: u32,
    /// Segment that it belongs to.
    pub(super) segment: u32,
    /// 1 for requests.
    pub(super) depth: u8,
    /// Depth of messages on the way to items, which they may hold; 0 for all others.
    pub(super) way: u8,
    /// It or a message in it differs from the source.
    pub(super) changed: bool,
    /// Items were removed from it.
    pub(super) lost_items: bool,
}

pub(super) const NO_PARENT: u32 = u32::MAX;

/// The buffer of new bytes, where a buffer is named; the others are segments.
pub(super) const ARENA: u32 = u32::MAX;

/// The bytes that slots refer to.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) segments: SmallVec<[Segment; 1]>,
    pub(super) arena: Vec<u8>,
}

impl Store {
    #[inline]
    pub(super) fn buffer(&self, source: u32) -> &[u8] {
        if source == ARENA {
            return &self.arena;
        }
        self.segments.get(source as usize).map_or(&[], |segment| segment.bytes())
    }

    #[inline]
    pub(super) fn bytes(&self, source: u32, start: u32, len: u32) -> &[u8] {
        self.buffer(source).get(start as usize..start as usize + len as usize).unwrap_or_default()
    }

    /// Appends bytes of some buffer to the arena.
    #[inline]
    pub(super) fn copy_to_arena(&mut self, source: u32, start: usize, end: usize) {
        if source == ARENA {
            if start <= end && end <= self.arena.len() {
                self.arena.extend_from_within(start..end);
            }
            return;
        }
        let segment = self.segments.get(source as usize).map_or(&[][..], |segment| segment.bytes());
        self.arena.extend_from_slice(segment.get(start..end).unwrap_or_default());
    }
}

/// What is compared before two keys are: never 0, which says that the key is not known yet (it is not first in its
/// attribute, or 128 bytes or longer). Length and last three bytes, since the first ones are often the same; of shorter
/// keys what stands before them in a serialized attribute is among the three, so that they are there always.
#[inline]
pub(super) fn fingerprint(key: &[u8]) -> u32 {
    let len = key.len() as u8 & 0x7f;
    let tail = match key {
        [.., a, b, c] => [*a, *b, *c],
        [a, b] => [len, *a, *b],
        [a] => [KEY_TAG, len, *a],
        [] => [0, KEY_TAG, len],
    };
    print_of(len, u32::from_le_bytes([0, tail[0], tail[1], tail[2]]))
}

/// Of a length, and of four bytes of which the last three count.
#[inline]
fn print_of(len: u8, tail: u32) -> u32 {
    1 << 31 | u32::from(len) << 24 | tail >> 8
}

/// In the place of a fingerprint where a field is no attribute: that of no key of up to 127 bytes.
const NEVER: u32 = 1 << 31;

/// Tag of the key in a `KeyValue`.
pub(super) const KEY_TAG: u8 = 1 << 3 | LEN;

/// Fingerprint of the key of a serialized `KeyValue`, 0 when it is not where SDKs write it.
#[inline]
pub(super) fn pair_fingerprint(pair: &[u8]) -> u32 {
    let [KEY_TAG, len @ 0..=0x7f, rest @ ..] = pair else { return 0 };
    rest.get(..usize::from(*len)).map_or(0, fingerprint)
}

/// Key of a serialized `KeyValue`, empty when it has none.
pub(super) fn pair_key(pair: &[u8]) -> &[u8] {
    if let [0x0a, len @ 0..=0x7f, rest @ ..] = pair
        && let Some(key) = rest.get(..usize::from(*len))
    {
        return key;
    }
    content_of(pair, 1).unwrap_or_default()
}

/// Content of the first length-delimited field of that number.
pub(super) fn content_of(message: &[u8], number: u32) -> Option<&[u8]> {
    let field = Fields::new(message).find(|field| field.number == number && field.wire_type == LEN)?;
    message.get(field.value)
}

/// Appends the fields of the message in `start..end` of `buffer`, which has been validated.
pub(super) fn index(table: &'static Message, buffer: &[u8], start: u32, end: u32, state: u8, slots: &mut Vec<Slot>) {
    let message = buffer.get(..end as usize).unwrap_or_default();
    // 0, which is no tag, where the message has no attributes or writes their tag in two bytes.
    let pair_tag = match table.attributes_number() {
        number @ 1..16 => (number as u8) << 3 | LEN,
        _ => 0,
    };
    let mut rest = message.get(start as usize..).unwrap_or_default();
    while !rest.is_empty() {
        // What most of a message is: numbers, and attributes, IDs and strings of up to 127 bytes. What tells is read at once.
        let shape = match rest.first_chunk() {
            Some(&[tag, len, inner_tag, inner_len]) => match tag & 0x87 {
                LEN if len < 0x80 => Some((2, 2 + len, tag, inner_tag, inner_len)),
                FIXED64 => Some((1, 9, tag, 0, 0)),
                FIXED32 => Some((1, 5, tag, 0, 0)),
                VARINT if len < 0x80 => Some((1, 2, tag, 0, 0)),
                _ => None,
            },
            None => None,
        };
        let start = message.len() - rest.len();
        if let Some((header, len, tag, inner_tag, inner_len)) = shape
            && let Some((field, after)) = rest.split_at_checked(usize::from(len))
        {
            let mut print = NEVER;
            if tag == pair_tag {
                let key_at = usize::from(inner_len);
                // The four bytes that end with the key; those in front of it are tags and lengths.
                print = match field.get(key_at..).and_then(|tail| tail.first_chunk()) {
                    Some(tail) if inner_tag == KEY_TAG && inner_len < 0x80 => {
                        let tail = if inner_len == 0 { u32::from(KEY_TAG) << 16 } else { u32::from_le_bytes(*tail) };
                        print_of(inner_len, tail)
                    }
                    _ => 0,
                };
            }
            let number = if table.knows(u32::from(tag >> 3)) { tag >> 3 } else { 0 };
            slots.push(Slot { start: start as u32, len: u32::from(len), print, number, header, state });
            rest = after;
        } else {
            let at = index_other(table, message, start, state, slots);
            rest = message.get(at..).unwrap_or_default();
        }
    }
}

/// Appends a field of another form; returns where the next one starts.
#[inline(never)]
fn index_other(table: &'static Message, message: &[u8], at: usize, state: u8, slots: &mut Vec<Slot>) -> usize {
    let (mut number, mut print) = (0, NEVER);
    let (header, len) = match read_field(message, at) {
        Ok(field) => {
            number = field.number;
            if number == table.attributes_number() {
                print = pair_fingerprint(message.get(field.value.clone()).unwrap_or_default());
            }
            (field.value.start - at, field.end - at)
        }
        // Does not occur in what was validated; the bytes are kept all the same.
        Err(_) => (0, message.len() - at),
    };
    let number = if table.knows(number) { number as u8 } else { 0 };
    slots.push(Slot { start: at as u32, len: len as u32, print, number, header: header as u8, state });
    at + len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SPAN;
    use crate::wire::put_len;

    #[test]
    fn the_fingerprint_of_a_listed_attribute_is_that_of_its_key() {
        for len in 0..200 {
            let key: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
            for value in [&b""[..], b"v", &[b'v'; 200]] {
                let (mut pair, mut span) = (Vec::new(), Vec::new());
                put_len(&mut pair, 1, &key);
                if !value.is_empty() {
                    put_len(&mut pair, 2, value);
                }
                put_len(&mut span, 9, &pair);
                let mut slots = Vec::new();
                index(&SPAN, &span, 0, span.len() as u32, 0, &mut slots);
                let expected = if len < 0x80 { fingerprint(&key) } else { 0 };
                assert_eq!(slots.iter().map(|slot| slot.print).collect::<Vec<_>>(), [expected], "{len} bytes");
                assert_eq!(pair_fingerprint(&pair), expected);
            }
        }
        let (mut empty, mut slots) = (Vec::new(), Vec::new());
        put_len(&mut empty, 9, b"");
        index(&SPAN, &empty, 0, 2, 0, &mut slots);
        assert_eq!(slots.iter().map(|slot| slot.print).collect::<Vec<_>>(), [0], "no key");
    }
}
