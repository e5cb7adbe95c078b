//! The index of opened messages: nodes (messages) and slots (their fields), and where the bytes of a field are.
//!
//! Invariants: a node's slots lie together in [`Editor::slots`], in wire order, appended to and never reordered, so a
//! slot's place in its node is a stable name. A parent is opened before its children, so its number is smaller. The
//! bytes of segments never change; the arena of new bytes only grows.

use smallvec::SmallVec;

use crate::payload::Segment;
use crate::schema::Message;
use crate::wire::{FIXED64, Fields, LEN, VARINT, read_field};

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
    /// For attributes the fingerprint of the key, see [`fingerprint`]; for opened messages the node.
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
/// attribute, or 128 bytes or longer). Length and last three bytes, since the first ones are often the same.
#[inline]
pub(super) fn fingerprint(key: &[u8]) -> u32 {
    let tail = match key {
        [.., a, b, c] => u32::from_le_bytes([*a, *b, *c, 0]),
        [a, b] => u32::from_le_bytes([*a, *b, 0, 0]),
        [a] => u32::from(*a),
        [] => 0,
    };
    1 << 31 | (key.len() as u32 & 0x7f) << 24 | tail
}

/// Fingerprint of the key of a serialized `KeyValue`, 0 when it is not where SDKs write it.
#[inline]
pub(super) fn pair_fingerprint(pair: &[u8]) -> u32 {
    let [0x0a, len, rest @ ..] = pair else { return 0 };
    if *len >= 0x80 {
        return 0;
    }
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
    let pairs = table.attributes_number();
    let mut at = start as usize;
    while let Some(&tag) = message.get(at) {
        let (mut number, mut print) = (u32::from(tag >> 3), 0);
        let (header, len) = if tag & 0x87 == LEN
            && let Some(&len @ 0..=0x7f) = message.get(at + 1)
            && let Some(content) = message.get(at + 2..at + 2 + usize::from(len))
        {
            // What most of a message is: attributes, IDs and strings of up to 127 bytes.
            if number == pairs {
                print = pair_fingerprint(content);
            }
            (2, 2 + usize::from(len))
        } else if tag & 0x87 == FIXED64 && message.len() - at >= 9 {
            (1, 9)
        } else if tag & 0x87 == VARINT && matches!(message.get(at + 1), Some(0..=0x7f)) {
            (1, 2)
        } else {
            match read_field(message, at) {
                Ok(field) => {
                    number = field.number;
                    if number == pairs {
                        print = pair_fingerprint(message.get(field.value.clone()).unwrap_or_default());
                    }
                    (field.value.start - at, field.end - at)
                }
                // Does not occur in what was validated; the bytes are kept all the same.
                Err(_) => {
                    number = 0;
                    (0, message.len() - at)
                }
            }
        };
        let number = if table.knows(number) { number as u8 } else { 0 };
        slots.push(Slot { start: at as u32, len: len as u32, print, number, header: header as u8, state });
        at += len;
    }
}
