//! Edits as patches: changing telemetry that stays on the wire.
//!
//! An [`Editor`] owns a payload while it goes through a row of processors. The first write to a message (an item, its
//! resource, its scope, its metric, an event, a value) *opens* it: its fields are listed once, and from then on each is
//! the bytes it was, new bytes in one arena, an opened message, or removed. Reads see the writes, whoever made them and
//! in whichever item of the same group. [`Editor::seal`] encodes what changed, once, copying runs of unchanged fields;
//! a segment in which nothing changed leaves as the very `Bytes` it came in as.
//!
//! [`Editor::rewrite_all_attributes`] does without opening: it writes a payload anew of which nothing is open, and that is
//! the payload under edit from then on. [`Editor::rewrite_segments`] leaves all of the writing to the caller.
//!
//! Everything is driven by [`crate::schema`]: a message is a [`Msg`], a field of it is named by its number. There are
//! no types per signal.
//!
//! Ways through a payload: [`Walk`] visits groups, scopes, metrics or items. Ways around in a message:
//! [`Editor::get`], [`Editor::set`], [`Editor::occurrences`], [`Editor::open`], [`Editor::sub`], [`Editor::attributes`].
//! [`Editor::bytes`] gives any part as contiguous bytes, for views.
//!
//! A payload under edit is a type of its own (as is [`OpenBatch`]), so that nobody can read, or send, bytes from before
//! an edit, a redaction for example.
//!
//! Left to others: what to change, and saying in the ledger what was removed.

mod attributes;
mod batch;
mod fields;
mod nodes;
mod peek;
mod rewrite;
mod seal;
mod segments;
mod tree;
mod value;
mod walk;
mod whole;

use smallvec::SmallVec;

use crate::payload::{Payload, Segment};
use crate::schema;
use crate::signal::Signal;

pub use self::attributes::{Attribute, Attributes, Write};
pub use self::batch::OpenBatch;
pub use self::fields::Scalar;
pub use self::peek::Peek;
pub use self::rewrite::{Keys, Rewrite};
pub use self::segments::Rewritten;
pub use self::tree::{At, Msg};
pub use self::value::{Value, ValueBuf, ValueList, ValueMap, ValueRef};
pub use self::walk::{Level, Place, Walk};

use self::nodes::Spare;
use self::tree::{NO_PARENT, Node, Slot, Store, index};

/// The most bytes of a segment that can be edited: what any protobuf implementation accepts.
const SEGMENT_BYTES_MAX: usize = i32::MAX as usize;
/// The most new bytes that the edits of one payload may make. Together with the above, positions fit 32 bits.
const ARENA_BYTES_MAX: usize = 1 << 30;

/// Why an edit was not made. The payload is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The message has no such field, or it is of another type.
    #[error("the message has no field of that number and type")]
    Field,
    /// The number does not fit the field.
    #[error("the number is out of the field's range")]
    Range,
    /// An ID of another size than OTLP says.
    #[error("an ID of {found} bytes where {expected} or none are expected")]
    IdLength {
        /// As given, in bytes.
        found: usize,
        /// As OTLP says, in bytes.
        expected: usize,
    },
    /// The result would nest too deeply.
    #[error("values would be nested more than {} messages deep", crate::validate::DEPTH_MAX)]
    Depth,
    /// The payload, or what edits add to it, is too large.
    #[error("a payload or its edits are too large")]
    TooLarge,
}

/// A payload under edit. See the [module](self).
#[derive(Debug)]
pub struct Editor {
    signal: Signal,
    store: Store,
    nodes: Vec<Node>,
    slots: Vec<Slot>,
    /// Where messages are encoded before they go to the arena.
    scratch: Vec<u8>,
    /// Items left in each segment.
    items: SmallVec<[u32; 1]>,
    /// Counts changes, so that a walk can tell whether anything happened since a moment.
    changes: u64,
}

impl Editor {
    /// Puts a payload under edit. Reads the list of its groups, nothing below.
    ///
    /// # Errors
    /// [`EditError::TooLarge`] when a segment is larger than 2 GiB.
    pub fn new(payload: Payload) -> Result<Self, EditError> {
        let signal = payload.signal();
        if payload.segments().iter().any(|segment| segment.bytes().len() > SEGMENT_BYTES_MAX) {
            return Err(EditError::TooLarge);
        }
        let spare = Spare::take();
        let mut editor = Self {
            signal,
            store: Store { segments: payload.into_segments(), arena: spare.arena },
            nodes: spare.nodes,
            slots: spare.slots,
            scratch: spare.scratch,
            items: SmallVec::new(),
            changes: 0,
        };
        editor.items.extend(editor.store.segments.iter().map(Segment::items));
        editor.list_requests();
        Ok(editor)
    }

    /// Begins anew: lists the groups of each request, with nothing opened.
    fn list_requests(&mut self) {
        self.nodes.clear();
        self.slots.clear();
        let table = schema::request(self.signal);
        for (number, segment) in self.store.segments.iter().enumerate() {
            let first = self.slots.len() as u32;
            index(table, segment.bytes(), 0, segment.bytes().len() as u32, 0, &mut self.slots);
            let count = self.slots.len() as u32 - first;
            self.nodes.push(Node {
                table,
                parent: NO_PARENT,
                parent_slot: 0,
                first,
                count,
                capacity: count,
                given: count,
                len: 0,
                source: number as u32,
                segment: number as u32,
                depth: 1,
                way: 1,
                changed: false,
                lost_items: false,
            });
        }
    }

    /// What it carries.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Spans, data points or log records that are left.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items.iter().copied().map(u64::from).sum()
    }

    /// Whether anything differs from the payload that came in.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changes > 0
    }

    /// Bytes that edits occupy beside the payload.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.store.arena.capacity()
            + self.slots.capacity() * size_of::<Slot>()
            + self.nodes.capacity() * size_of::<Node>()
    }

    /// The requests, one for each segment.
    pub fn requests(&self) -> impl Iterator<Item = Msg> + use<> {
        (0..self.items.len() as u32).map(Msg)
    }
}

#[cfg(test)]
mod tests;
