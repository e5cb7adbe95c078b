//! Fields of opened messages: read, set, clear, append, remove; values of the schema's kinds.

use crate::schema::{Field, Kind, Label, Message};
use crate::signal::Signal;
use crate::wire::{Fields, LEN, put_fixed32, put_fixed64, put_len, put_varint_field, unzigzag, zigzag};

use super::tree::{ARENA, At, CHILD, Msg, NEW, REMOVED, Slot};
use super::value::{Value, ValueRef, fixed64, varint};
use super::{EditError, Editor};

/// A single value of a field that is no message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `bool`.
    Bool(bool),
    /// Signed integers and enumerations.
    Int(i64),
    /// Unsigned integers; times in nanoseconds since 1970.
    Uint(u64),
    /// `double`.
    Double(f64),
    /// `string`.
    Str(&'a str),
    /// `bytes`, IDs among them.
    Bytes(&'a [u8]),
}

impl Editor {
    /// Reads a field that is no message and no list. `None` when it is absent, which for most fields means zero.
    #[must_use]
    pub fn get(&self, message: Msg, number: u32) -> Option<Scalar<'_>> {
        let at = self.first(message, number)?;
        self.scalar(at)
    }

    /// Reads the text of a string field; empty when it is absent or no string.
    #[must_use]
    pub fn text(&self, message: Msg, number: u32) -> &str {
        match self.get(message, number) {
            Some(Scalar::Str(text)) => text,
            _ => "",
        }
    }

    /// Reads one occurrence of a field. `None` for messages and for packed lists (see [`Editor::bytes`] for those).
    #[must_use]
    pub fn scalar(&self, at: At) -> Option<Scalar<'_>> {
        let slot = self.slot(at);
        let field = self.node(at.node).table.field(u32::from(slot.number))?;
        let wire_type = self.whole(at.node, slot).first()? & 7;
        if slot.state & (REMOVED | CHILD) != 0 || wire_type != field.kind.wire_type() {
            return None;
        }
        scalar_of(field.kind, self.content(at.node, slot))
    }

    /// Sets a field that is no message and no list. Setting a field to its zero, where that is the same as leaving it
    /// out, removes it; setting a member of a oneof removes the others.
    ///
    /// # Errors
    /// [`EditError`] when there is no such field, or the value does not fit it.
    pub fn set(&mut self, message: Msg, number: u32, value: Scalar<'_>) -> Result<(), EditError> {
        let field = self.node(message.0).table.field(number).ok_or(EditError::Field)?;
        if field.label == Label::Repeated {
            return Err(EditError::Field);
        }
        let Some(slot) = self.encode_field(field, value)? else {
            self.clear(message, number);
            return Ok(());
        };
        match self.first(message, number) {
            Some(at) => {
                let old = self.slot(at);
                if self.whole(at.node, old) == self.store.bytes(ARENA, slot.start, slot.len) {
                    self.store.arena.truncate(slot.start as usize);
                    return Ok(());
                }
                *self.slot_mut(at) = slot;
            }
            None => {
                self.clear_others(message, field);
                self.push_slot(message.0, slot);
            }
        }
        self.touch(message.0);
        Ok(())
    }

    /// Appends a value to a list of strings or numbers.
    ///
    /// # Errors
    /// [`EditError`] when there is no such list, or the value does not fit it.
    pub fn push(&mut self, message: Msg, number: u32, value: Scalar<'_>) -> Result<(), EditError> {
        let field = self.node(message.0).table.field(number).ok_or(EditError::Field)?;
        if field.label != Label::Repeated {
            return Err(EditError::Field);
        }
        if let Some(slot) = self.encode_field(field, value)? {
            self.push_slot(message.0, slot);
            self.touch(message.0);
        }
        Ok(())
    }

    /// Replaces a list of numbers; an empty one leaves nothing. Written packed, as OTLP's lists are.
    ///
    /// # Errors
    /// [`EditError`] when there is no such list of numbers, or a value does not fit it. The list is as it was then.
    pub fn set_packed<'a>(
        &mut self,
        message: Msg,
        number: u32,
        values: impl IntoIterator<Item = Scalar<'a>>,
    ) -> Result<(), EditError> {
        let field = self.node(message.0).table.field(number).ok_or(EditError::Field)?;
        if field.label != Label::Repeated || field.kind.wire_type() == LEN {
            return Err(EditError::Field);
        }
        let mut content = Vec::new();
        for value in values {
            // Encoded as a field of its own, from which the tag is taken off again.
            let Some(slot) = self.encode_field(field, value)? else { continue };
            let tag = usize::from(slot.number > 15) + 1;
            content.extend_from_slice(self.store.bytes(ARENA, slot.start, slot.len).get(tag..).unwrap_or_default());
            self.store.arena.truncate(slot.start as usize);
        }
        self.room(content.len() + 16)?;
        self.clear(message, number);
        if content.is_empty() {
            return Ok(());
        }
        let start = self.store.arena.len();
        put_len(&mut self.store.arena, number, &content);
        let len = (self.store.arena.len() - start) as u32;
        let header = (len as usize - content.len()) as u8;
        self.push_slot(
            message.0,
            Slot { start: start as u32, len, print: 0, number: number as u8, header, state: NEW },
        );
        self.touch(message.0);
        Ok(())
    }

    /// Removes every occurrence of a field; says how many there were.
    pub fn clear(&mut self, message: Msg, number: u32) -> u32 {
        let mut removed = 0;
        let mut next = self.first(message, number);
        while let Some(at) = next {
            removed += u32::from(self.remove(at));
            next = self.next(at);
        }
        removed
    }

    /// Removes one occurrence of a field: an item, an event, an attribute, a whole resource with what is in it. Groups,
    /// scopes and metrics that are left without items by removals go too. `false` if it was gone already.
    pub fn remove(&mut self, at: At) -> bool {
        let slot = *self.slot(at);
        if slot.state & REMOVED != 0 {
            return false;
        }
        let node = *self.node(at.node);
        if self.leads_to_items(node.way, slot.number) {
            let lost = self.items_below(at);
            if lost > 0 {
                if let Some(items) = self.items.get_mut(node.segment as usize) {
                    *items = items.saturating_sub(lost);
                }
                self.node_mut(at.node).lost_items = true;
            }
        }
        self.remove_slot(at);
        true
    }

    /// Removes a field that does not lead to items.
    #[inline]
    pub(super) fn remove_slot(&mut self, at: At) {
        self.slot_mut(at).state |= REMOVED;
        self.touch(at.node);
    }

    /// Removes the fields of the message that this program does not know; says how many there were. Those of messages
    /// inside it stay.
    pub fn remove_unknown(&mut self, message: Msg) -> u32 {
        let node = *self.node(message.0);
        let mut removed = 0;
        for slot in &mut self.slots[node.first as usize..(node.first + node.count) as usize] {
            if slot.is(0) {
                slot.state |= REMOVED;
                removed += 1;
            }
        }
        if removed > 0 {
            self.touch(message.0);
        }
        removed
    }

    /// Like [`Editor::remove_unknown`], in a field that is a message and in all messages inside it. Opens only those in
    /// which there are some.
    pub fn remove_unknown_below(&mut self, at: At) -> u32 {
        let slot = *self.slot(at);
        let table = self.node(at.node).table.field(u32::from(slot.number)).and_then(|field| field.kind.message());
        let (Some(table), 0) = (table, slot.state & REMOVED) else { return 0 };
        if slot.state & CHILD == 0 && !has_unknown(table, self.content(at.node, &slot)) {
            return 0;
        }
        let Some(message) = self.open(at) else { return 0 };
        let mut removed = self.remove_unknown(message);
        for slot in 0..self.node(message.0).count {
            removed += self.remove_unknown_below(At { node: message.0, slot });
        }
        removed
    }

    /// Reads an opened `AnyValue`: a log's body, a value in a list.
    pub fn value(&mut self, message: Msg) -> ValueRef<'_> {
        let node = self.node(message.0);
        ValueRef(self.bytes(At { node: node.parent, slot: node.parent_slot }))
    }

    /// Reads an `AnyValue` in a field of a message, opened or not: a log's body. Fields of other types read as empty.
    pub fn value_at(&mut self, at: At) -> ValueRef<'_> {
        let table =
            self.node(at.node).table.field(u32::from(self.slot(at).number)).and_then(|field| field.kind.message());
        match table {
            Some(table) if std::ptr::eq(table, &raw const crate::schema::ANY_VALUE) => ValueRef(self.bytes(at)),
            _ => ValueRef(&[]),
        }
    }

    /// Replaces an opened `AnyValue`: a log's body, a value in a list.
    ///
    /// # Errors
    /// [`EditError::Field`] if the message is no `AnyValue`, [`EditError::Depth`], [`EditError::TooLarge`].
    pub fn set_value(&mut self, message: Msg, value: Value<'_>) -> Result<(), EditError> {
        let node = *self.node(message.0);
        if !std::ptr::eq(node.table, &raw const crate::schema::ANY_VALUE) {
            return Err(EditError::Field);
        }
        self.check_depth(u32::from(node.depth) - 1, &value)?;
        self.room(value.encoded_len())?;
        if !matches!(value, Value::Encoded(_)) && self.value(message).get() == value {
            return Ok(());
        }
        let start = self.store.arena.len();
        value.encode(&mut self.store.arena);
        let (start, end) = (start as u32, self.store.arena.len() as u32);
        for slot in 0..node.count {
            self.remove(At { node: message.0, slot });
        }
        let mut fields = Vec::new();
        super::tree::index(node.table, &self.store.arena, start, end, NEW, &mut fields);
        for slot in fields {
            self.push_slot(message.0, slot);
        }
        self.touch(message.0);
        Ok(())
    }

    /// Refuses a value that nests too deeply inside a message of `depth`.
    pub(super) fn check_depth(&self, depth: u32, value: &Value<'_>) -> Result<(), EditError> {
        if depth + value.depth() > crate::validate::DEPTH_MAX { Err(EditError::Depth) } else { Ok(()) }
    }

    /// Before a member of a oneof is added: removes the others.
    pub(super) fn clear_others(&mut self, message: Msg, field: &Field) {
        if field.label != Label::OneOf {
            return;
        }
        for other in self.node(message.0).table.fields {
            if other.label == Label::OneOf && other.number != field.number {
                self.clear(message, other.number);
            }
        }
    }

    /// Encodes a field to the arena. `None` for zeros that are the same as nothing.
    fn encode_field(&mut self, field: &'static Field, value: Scalar<'_>) -> Result<Option<Slot>, EditError> {
        let content = match value {
            Scalar::Str(text) => text.len(),
            Scalar::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.room(content + 16)?;
        let (out, number) = (&mut self.store.arena, field.number);
        let start = out.len();
        match (field.kind, value) {
            (Kind::Bool, Scalar::Bool(truth)) => put_varint_field(out, number, u64::from(truth)),
            (Kind::Double, Scalar::Double(double)) => put_fixed64(out, number, double.to_bits()),
            (Kind::String, Scalar::Str(text)) => put_len(out, number, text.as_bytes()),
            (Kind::Bytes, Scalar::Bytes(bytes)) => put_len(out, number, bytes),
            (Kind::TraceId, Scalar::Bytes(id)) => put_len(out, number, id_of(id, 16)?),
            (Kind::SpanId, Scalar::Bytes(id)) => put_len(out, number, id_of(id, 8)?),
            (kind, Scalar::Int(int)) => put_integer(out, number, kind, i128::from(int))?,
            (kind, Scalar::Uint(uint)) => put_integer(out, number, kind, i128::from(uint))?,
            _ => return Err(EditError::Field),
        }
        if field.label == Label::Singular && is_zero(value) {
            out.truncate(start);
            return Ok(None);
        }
        let len = (out.len() - start) as u32;
        let header = if content > 0 || field.kind.wire_type() == LEN {
            len - content as u32
        } else {
            1 + u32::from(number > 15)
        };
        Ok(Some(Slot { start: start as u32, len, print: 0, number: number as u8, header: header as u8, state: NEW }))
    }

    /// See [`leads_to_items`].
    pub(super) fn leads_to_items(&self, way: u8, number: u8) -> bool {
        leads_to_items(self.signal, way, number)
    }

    /// Items in a group, scope group, metric or item; 0 for what was removed, and for other fields.
    #[must_use]
    pub fn items_at(&self, at: At) -> u32 {
        self.items_below(at)
    }

    /// Items in a field that leads to items.
    fn items_below(&self, at: At) -> u32 {
        let (node, slot) = (self.node(at.node), self.slot(at));
        if slot.state & REMOVED != 0 || !self.leads_to_items(node.way, slot.number) {
            return 0;
        }
        if holds_items(self.signal, node.way) {
            return 1;
        }
        if slot.state & CHILD == 0 {
            let table = node.table.field(u32::from(slot.number)).and_then(|field| field.kind.message());
            return table.map_or(0, |table| count_items(table, self.content(at.node, slot)));
        }
        let child = slot.print;
        (0..self.node(child).count).map(|slot| self.items_below(At { node: child, slot })).sum()
    }
}

/// Whether a field of a message with that [`way`](super::tree::Node::way) holds items, or groups, scopes or metrics that
/// do.
pub(super) fn leads_to_items(signal: Signal, way: u8, number: u8) -> bool {
    match (signal, way) {
        (_, 1) => number == 1,
        (_, 2 | 3) => number == 2,
        (Signal::Metrics, 4) => matches!(number, 5 | 7 | 9 | 10 | 11),
        (Signal::Metrics, 5) => number == 1,
        _ => false,
    }
}

/// Whether such a field is an item itself.
pub(super) fn holds_items(signal: Signal, way: u8) -> bool {
    way == if signal == Signal::Metrics { 5 } else { 3 }
}

/// The value in the content of a field of that kind; `None` for messages.
pub(super) fn scalar_of(kind: Kind, content: &[u8]) -> Option<Scalar<'_>> {
    Some(match kind {
        Kind::Bool => Scalar::Bool(varint(content) != 0),
        Kind::Int32 | Kind::Enum(_) => Scalar::Int(i64::from(varint(content) as i32)),
        Kind::Int64 => Scalar::Int(varint(content).cast_signed()),
        Kind::Sint32 => Scalar::Int(unzigzag(varint(content))),
        Kind::Uint32 => Scalar::Uint(u64::from(varint(content) as u32)),
        Kind::Uint64 => Scalar::Uint(varint(content)),
        Kind::Fixed32 => Scalar::Uint(u64::from(u32::from_le_bytes(*content.first_chunk()?))),
        Kind::Fixed64 => Scalar::Uint(fixed64(content)),
        Kind::Sfixed64 => Scalar::Int(fixed64(content).cast_signed()),
        Kind::Double => Scalar::Double(f64::from_bits(fixed64(content))),
        Kind::String => Scalar::Str(std::str::from_utf8(content).unwrap_or_default()),
        Kind::Bytes | Kind::TraceId | Kind::SpanId => Scalar::Bytes(content),
        Kind::Message(_) | Kind::Item(_) => return None,
    })
}

/// Items in a message, at most five levels down.
fn count_items(table: &'static Message, message: &[u8]) -> u32 {
    let mut items = 0;
    for field in Fields::new(message).filter(|field| field.wire_type == LEN) {
        match table.field(field.number).map(|field| (field.kind, field.label)) {
            Some((Kind::Item(_), _)) => items += 1,
            Some((Kind::Message(inner), Label::Repeated | Label::OneOf)) => {
                items += count_items(inner, message.get(field.value).unwrap_or_default());
            }
            _ => {}
        }
    }
    items
}

/// Whether there is an unknown field in a message or below. Recursion is bounded by validation.
fn has_unknown(table: &'static Message, message: &[u8]) -> bool {
    Fields::new(message).any(|raw| match table.field(raw.number) {
        None => true,
        Some(field) => field.kind.message().is_some_and(|inner| {
            raw.wire_type == LEN && has_unknown(inner, message.get(raw.value).unwrap_or_default())
        }),
    })
}

fn id_of(id: &[u8], expected: usize) -> Result<&[u8], EditError> {
    if id.len() == expected || id.is_empty() {
        return Ok(id);
    }
    Err(EditError::IdLength { found: id.len(), expected })
}

fn is_zero(value: Scalar<'_>) -> bool {
    match value {
        Scalar::Bool(truth) => !truth,
        Scalar::Int(int) => int == 0,
        Scalar::Uint(uint) => uint == 0,
        // Minus zero is a number of its own.
        Scalar::Double(double) => double.to_bits() == 0,
        Scalar::Str(text) => text.is_empty(),
        Scalar::Bytes(bytes) => bytes.is_empty(),
    }
}

fn put_integer(out: &mut Vec<u8>, number: u32, kind: Kind, int: i128) -> Result<(), EditError> {
    let out_of_range = |_| EditError::Range;
    match kind {
        Kind::Int32 | Kind::Enum(_) => {
            let int = i64::from(i32::try_from(int).map_err(out_of_range)?);
            put_varint_field(out, number, int.cast_unsigned());
        }
        Kind::Sint32 => {
            let int = i64::from(i32::try_from(int).map_err(out_of_range)?);
            put_varint_field(out, number, zigzag(int));
        }
        Kind::Int64 => put_varint_field(out, number, i64::try_from(int).map_err(out_of_range)?.cast_unsigned()),
        Kind::Sfixed64 => put_fixed64(out, number, i64::try_from(int).map_err(out_of_range)?.cast_unsigned()),
        Kind::Uint32 => put_varint_field(out, number, u64::from(u32::try_from(int).map_err(out_of_range)?)),
        Kind::Uint64 => put_varint_field(out, number, u64::try_from(int).map_err(out_of_range)?),
        Kind::Fixed64 => put_fixed64(out, number, u64::try_from(int).map_err(out_of_range)?),
        Kind::Fixed32 => put_fixed32(out, number, u32::try_from(int).map_err(out_of_range)?),
        _ => return Err(EditError::Field),
    }
    Ok(())
}
