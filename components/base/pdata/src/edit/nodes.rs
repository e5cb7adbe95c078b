//! Opening, reading and closing of messages: the operations on the tree that the others are made of.

use std::cell::Cell;

use crate::schema::{Label, Message};
use crate::validate::DEPTH_MAX;
use crate::wire::varint_len;

use super::tree::{ARENA, At, CHILD, Msg, NEW, NO_PARENT, Node, REMOVED, Slot, index, pair_fingerprint};
use super::{ARENA_BYTES_MAX, EditError, Editor};

/// Allocations of a sealed editor, kept for the next one of the same thread.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) nodes: Vec<Node>,
    pub(super) slots: Vec<Slot>,
    pub(super) arena: Vec<u8>,
    pub(super) scratch: Vec<u8>,
}

/// The most bytes of each allocation that a thread keeps.
const SPARE_BYTES_MAX: usize = 512 << 10;

thread_local! {
    static SPARE: Cell<Option<Spare>> = const { Cell::new(None) };
}

impl Spare {
    pub(super) fn take() -> Self {
        SPARE.take().unwrap_or_default()
    }

    fn keep(mut self) {
        fn trim<T>(list: &mut Vec<T>) {
            list.clear();
            list.shrink_to(SPARE_BYTES_MAX / size_of::<T>());
        }
        trim(&mut self.nodes);
        trim(&mut self.slots);
        trim(&mut self.arena);
        trim(&mut self.scratch);
        SPARE.set(Some(self));
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let spare = Spare {
            nodes: std::mem::take(&mut self.nodes),
            slots: std::mem::take(&mut self.slots),
            arena: std::mem::take(&mut self.store.arena),
            scratch: std::mem::take(&mut self.scratch),
        };
        spare.keep();
    }
}

impl Editor {
    #[inline]
    pub(super) fn node(&self, id: u32) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    pub(super) fn node_mut(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    #[inline]
    pub(super) fn slots_of(&self, id: u32) -> &[Slot] {
        let node = self.node(id);
        &self.slots[node.first as usize..(node.first + node.count) as usize]
    }

    #[inline]
    pub(super) fn slot(&self, at: At) -> &Slot {
        &self.slots_of(at.node)[at.slot as usize]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, at: At) -> &mut Slot {
        let first = self.node(at.node).first;
        &mut self.slots[(first + at.slot) as usize]
    }

    /// The buffer that the field's bytes are in. Not for opened messages that changed.
    #[inline]
    pub(super) fn source_of(&self, node: u32, slot: &Slot) -> u32 {
        if slot.state & NEW == 0 { self.node(node).source } else { ARENA }
    }

    /// Content of a field that is not an opened message.
    #[inline]
    pub(super) fn content(&self, node: u32, slot: &Slot) -> &[u8] {
        let header = u32::from(slot.header);
        self.store.bytes(self.source_of(node, slot), slot.start + header, slot.len.saturating_sub(header))
    }

    /// Tag, length and content of a field that is not an opened message.
    #[inline]
    pub(super) fn whole(&self, node: u32, slot: &Slot) -> &[u8] {
        self.store.bytes(self.source_of(node, slot), slot.start, slot.len)
    }

    /// Marks a message and those around it as changed.
    #[inline]
    pub(super) fn touch(&mut self, id: u32) {
        self.changes += 1;
        let mut id = id;
        while let Some(node) = self.nodes.get_mut(id as usize)
            && !node.changed
        {
            node.changed = true;
            id = node.parent;
        }
    }

    /// Refuses new bytes beyond what positions can express.
    pub(super) fn room(&self, more: usize) -> Result<(), EditError> {
        if self.store.arena.len().saturating_add(more) > ARENA_BYTES_MAX || self.slots.len() > ARENA_BYTES_MAX {
            return Err(EditError::TooLarge);
        }
        Ok(())
    }

    /// Adds a field at the end of a message.
    pub(super) fn push_slot(&mut self, id: u32, slot: Slot) -> At {
        let end = self.slots.len() as u32;
        let node = &mut self.nodes[id as usize];
        let at = At { node: id, slot: node.count };
        if node.first + node.count == end {
            self.slots.push(slot);
            node.capacity = node.count + 1;
        } else if node.count < node.capacity {
            self.slots[(node.first + node.count) as usize] = slot;
        } else {
            let old = node.first as usize;
            let spare = (node.count / 2).max(4);
            self.slots.extend_from_within(old..old + node.count as usize);
            self.slots.extend(std::iter::repeat_n(slot, spare as usize));
            node.first = end;
            node.capacity = node.count + spare;
        }
        node.count += 1;
        at
    }

    /// Number of the field; `None` for an unknown one.
    #[must_use]
    pub fn number(&self, at: At) -> Option<u32> {
        match self.slot(at).number {
            0 => None,
            number => Some(u32::from(number)),
        }
    }

    /// The type of an opened message.
    #[inline]
    #[must_use]
    pub fn table(&self, message: Msg) -> &'static Message {
        self.node(message.0).table
    }

    /// Where an opened message is in the one around it: what [`Editor::bytes`] and [`Editor::replace_whole`] take. `None`
    /// for a request.
    #[must_use]
    pub fn at(&self, message: Msg) -> Option<At> {
        let node = self.node(message.0);
        (node.parent != NO_PARENT).then_some(At { node: node.parent, slot: node.parent_slot })
    }

    /// How many fields a message had when it was opened, and how many were put behind those since; both count what was
    /// removed. For bounds on what edits add.
    #[must_use]
    pub fn growth(&self, message: Msg) -> (u32, u32) {
        let node = self.node(message.0);
        (node.given, node.count - node.given)
    }

    /// Opens a message for reading and writing; again gives the same one. `None` if the field is no message, or was
    /// removed.
    #[inline]
    pub fn open(&mut self, at: At) -> Option<Msg> {
        let slot = *self.slot(at);
        if slot.state & (CHILD | REMOVED) != 0 {
            return (slot.state & REMOVED == 0).then_some(Msg(slot.print));
        }
        self.open_first(at, slot)
    }

    fn open_first(&mut self, at: At, slot: Slot) -> Option<Msg> {
        let parent = *self.node(at.node);
        let table = parent.table.field(u32::from(slot.number))?.kind.message()?;
        let source = self.source_of(at.node, &slot);
        let (id, first) = (self.nodes.len() as u32, self.slots.len() as u32);
        let content = slot.start + u32::from(slot.header);
        index(table, self.store.buffer(source), content, slot.start + slot.len, slot.state & NEW, &mut self.slots);
        let count = self.slots.len() as u32 - first;
        let way = if self.leads_to_items(parent.way, slot.number) { parent.depth + 1 } else { 0 };
        self.nodes.push(Node {
            table,
            parent: at.node,
            parent_slot: at.slot,
            first,
            count,
            capacity: count,
            given: count,
            len: 0,
            source,
            segment: parent.segment,
            depth: parent.depth + 1,
            way,
            changed: false,
            lost_items: false,
        });
        let slot = self.slot_mut(at);
        slot.state |= CHILD;
        slot.print = id;
        Some(Msg(id))
    }

    /// Opens the only submessage of that number: a resource, a scope, a status, a log's body, a value's list. `None` if
    /// it is absent.
    #[inline]
    pub fn sub(&mut self, message: Msg, number: u32) -> Option<Msg> {
        let at = self.first(message, number)?;
        self.open(at)
    }

    /// Opens the only submessage of that number, which is added if it is absent. Other members of its oneof are removed.
    ///
    /// # Errors
    /// [`EditError::Field`] if there is no such submessage, [`EditError::Depth`].
    pub fn sub_or_add(&mut self, message: Msg, number: u32) -> Result<Msg, EditError> {
        match self.sub(message, number) {
            Some(sub) => Ok(sub),
            None => self.add(message, number),
        }
    }

    /// Adds an empty submessage and opens it: at the end of a list of them, otherwise in place of the one that is there.
    ///
    /// # Errors
    /// [`EditError::Field`] if the message has no such submessages, or they are items or hold such; [`EditError::Depth`].
    pub fn add(&mut self, message: Msg, number: u32) -> Result<Msg, EditError> {
        let parent = *self.node(message.0);
        let field = parent.table.field(number).ok_or(EditError::Field)?;
        let table = field.kind.message().ok_or(EditError::Field)?;
        if self.leads_to_items(parent.way, field.number as u8) {
            return Err(EditError::Field);
        }
        if u32::from(parent.depth) >= DEPTH_MAX {
            return Err(EditError::Depth);
        }
        self.room(0)?;
        if field.label != Label::Repeated {
            self.clear(message, number);
            self.clear_others(message, field);
        }
        let at = self.push_slot(
            message.0,
            Slot {
                start: 0,
                len: 0,
                print: self.nodes.len() as u32,
                number: number as u8,
                header: 0,
                state: NEW | CHILD,
            },
        );
        let first = self.slots.len() as u32;
        self.nodes.push(Node {
            table,
            parent: message.0,
            parent_slot: at.slot,
            first,
            count: 0,
            capacity: 0,
            given: 0,
            len: 0,
            source: ARENA,
            segment: parent.segment,
            depth: parent.depth + 1,
            way: 0,
            changed: true,
            lost_items: false,
        });
        self.touch(message.0);
        Ok(Msg(self.slot(at).print))
    }

    /// The first occurrence of a field.
    #[inline]
    #[must_use]
    pub fn first(&self, message: Msg, number: u32) -> Option<At> {
        self.occurrence_from(message.0, number as u8, 0)
    }

    /// The next occurrence of the same field.
    #[must_use]
    pub fn next(&self, at: At) -> Option<At> {
        self.occurrence_from(at.node, self.slot(at).number, at.slot + 1)
    }

    #[inline]
    pub(super) fn occurrence_from(&self, node: u32, number: u8, from: u32) -> Option<At> {
        let slots = self.slots_of(node).get(from as usize..)?;
        let found = slots.iter().position(|slot| slot.is(number))?;
        Some(At { node, slot: from + found as u32 })
    }

    /// All occurrences of a field, for those who do not edit meanwhile; others go by [`Editor::first`] and
    /// [`Editor::next`].
    pub fn occurrences(&self, message: Msg, number: u32) -> impl Iterator<Item = At> {
        self.slots_of(message.0)
            .iter()
            .enumerate()
            .filter(move |(_, slot)| slot.is(number as u8))
            .map(move |(slot, _)| At { node: message.0, slot: slot as u32 })
    }

    /// The content of a field as contiguous bytes, for views: the bytes as they came if nothing in it changed. What
    /// did change is encoded for it each time, which costs a copy.
    pub fn bytes(&mut self, at: At) -> &[u8] {
        let slot = *self.slot(at);
        if slot.state & REMOVED != 0 {
            return &[];
        }
        if slot.state & CHILD == 0 || !self.node(slot.print).changed {
            return self.content(at.node, &slot);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        if self.measure(slot.print) {
            self.emit(slot.print, &mut scratch);
        }
        self.scratch = scratch;
        &self.scratch
    }

    /// Fingerprint of the key if the field is an attribute.
    pub(super) fn print_of(&self, node: u32, slot: &Slot) -> u32 {
        if u32::from(slot.number) == self.node(node).table.attributes_number() {
            pair_fingerprint(self.content(node, slot))
        } else {
            0
        }
    }
}

/// Length of tag and length of a submessage. Numbers up to 15 take one byte with their wire type.
#[inline]
pub(super) fn header_len(number: u8, content: u32) -> u32 {
    1 + u32::from(number > 15) + varint_len(u64::from(content)) as u32
}
