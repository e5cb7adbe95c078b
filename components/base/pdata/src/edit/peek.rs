//! Looking into a message without opening it: cheaper than opening for one or two reads, dearer for more.

use crate::schema::Message;
use crate::wire::{FIXED64, LEN, read_field};

use super::Editor;
use super::fields::{Scalar, scalar_of};
use super::tree::{At, CHILD, REMOVED, content_of, pair_key};
use super::value::ValueRef;

/// A message that nobody has opened.
#[derive(Clone, Copy, Debug)]
pub struct Peek<'e> {
    table: &'static Message,
    message: &'e [u8],
}

impl Editor {
    /// The message in a field, if it has not been opened. `None` if it has been, so that what was written to it is not
    /// overlooked; if the field is no message; if it was removed.
    #[inline]
    #[must_use]
    pub fn peek(&self, at: At) -> Option<Peek<'_>> {
        let slot = self.slot(at);
        if slot.state & (CHILD | REMOVED) != 0 {
            return None;
        }
        let table = self.node(at.node).table.field(u32::from(slot.number))?.kind.message()?;
        Some(Peek { table, message: self.content(at.node, slot) })
    }
}

impl<'e> Peek<'e> {
    /// The type of the message.
    #[must_use]
    pub fn table(self) -> &'static Message {
        self.table
    }

    /// The value of the first attribute of that key.
    #[must_use]
    pub fn attribute(self, key: &str) -> Option<ValueRef<'e>> {
        let number = self.table.attributes_number();
        if number == 0 {
            return None;
        }
        let mut from = 0;
        while let Some((content, next)) = self.find(number, LEN, from) {
            if pair_key(content) == key.as_bytes() {
                return Some(ValueRef(content_of(content, 2).unwrap_or_default()));
            }
            from = next;
        }
        None
    }

    /// A field that is no message and no list. `None` when it is absent.
    #[must_use]
    pub fn get(self, number: u32) -> Option<Scalar<'e>> {
        let kind = self.table.field(number)?.kind;
        let (content, _) = self.find(number, kind.wire_type(), 0)?;
        scalar_of(kind, content)
    }

    /// The content of the first field of that number and wire type from an offset on, and where the next one starts.
    #[inline]
    fn find(self, number: u32, wire_type: u8, from: usize) -> Option<(&'e [u8], usize)> {
        let message = self.message;
        let wanted = (number << 3) as u8 | wire_type;
        let mut at = from;
        while let Some(&tag) = message.get(at) {
            // What most of a message is, as in `index`.
            let (start, end) = if tag & 0x87 == LEN
                && let Some(&len @ 0..=0x7f) = message.get(at + 1)
            {
                (at + 2, at + 2 + usize::from(len))
            } else if tag & 0x87 == FIXED64 {
                (at + 1, at + 9)
            } else {
                let field = read_field(message, at).ok()?;
                if field.number == number && field.wire_type == wire_type {
                    return Some((message.get(field.value)?, field.end));
                }
                at = field.end;
                continue;
            };
            if tag == wanted {
                return Some((message.get(start..end)?, end));
            }
            at = end;
        }
        None
    }
}
