//! The way through a serialized message, and what is written of it: nothing until something changes, then everything once.
//!
//! What stays is copied in runs as long as they are, over fields, items and groups; what changes is written between them.
//! Lengths of the messages around a change are put right where those end: mostly they take as many bytes as before.

use std::num::NonZeroU32;

use pdata::wire::{FIXED32, FIXED64, LEN, VARINT, read_field, varint_len};

/// One field of the source, by its places in it. Small, so that it stays in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Number and wire type.
    tag: NonZeroU32,
    start: u32,
    content: u32,
    end: u32,
}

impl Field {
    /// The field at `at`; quick for what most of an item is: attributes and strings, times, IDs, small numbers. `None` at
    /// the end of the source, and where it cannot be read.
    #[inline]
    pub(crate) fn read(source: &[u8], at: usize) -> Option<Self> {
        let [tag @ 8..=0x7f, rest @ ..] = source.get(at..)? else { return Self::read_any(source, at) };
        let (header, len) = match (tag & 7, rest) {
            (LEN, [len @ 0..=0x7f, ..]) => (2, usize::from(*len)),
            (LEN, [low, high @ 0..=0x7f, ..]) => (3, usize::from(*low & 0x7f) | usize::from(*high) << 7),
            (FIXED64, _) => (1, 8),
            (FIXED32, _) => (1, 4),
            (VARINT, [0..=0x7f, ..]) => (1, 1),
            _ => return Self::read_any(source, at),
        };
        let content = at + header;
        let end = content + len;
        if end > source.len() {
            return None;
        }
        Self::new(u32::from(*tag), at, content, end)
    }

    #[cold]
    #[inline(never)]
    fn read_any(source: &[u8], at: usize) -> Option<Self> {
        if at >= source.len() {
            return None;
        }
        let field = read_field(source, at).ok()?;
        Self::new(field.number << 3 | u32::from(field.wire_type), field.start, field.value.start, field.end)
    }

    /// Payloads under edit are less than 4 GiB long.
    #[inline]
    fn new(tag: u32, start: usize, content: usize, end: usize) -> Option<Self> {
        u32::try_from(end).ok()?;
        Some(Self { tag: NonZeroU32::new(tag)?, start: start as u32, content: content as u32, end: end as u32 })
    }

    /// A length-delimited field whose number does not matter; `None` where positions are too large.
    #[inline]
    pub(crate) fn delimited(start: usize, content: usize, end: usize) -> Option<Self> {
        Self::new(u32::from(LEN), start, content, end)
    }

    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.tag.get() >> 3
    }

    #[inline]
    pub(crate) fn wire_type(self) -> u8 {
        (self.tag.get() & 7) as u8
    }

    /// Where its tag is.
    #[inline]
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// Where its content is: behind tag and length.
    #[inline]
    pub(crate) fn content(self) -> usize {
        self.content as usize
    }

    /// Where the next field starts.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.end as usize
    }
}

/// What became of the last source, in 1/1024 of its size, so that room for the next is reserved at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth(usize);

impl Default for Growth {
    fn default() -> Self {
        Self(1024)
    }
}

impl Growth {
    /// How much to reserve for what becomes of a source.
    pub(crate) fn capacity(self, len: usize) -> usize {
        len / 1024 * self.0 + len / 32 + 1024
    }

    pub(crate) fn learn(&mut self, before: usize, after: usize) {
        self.0 = (after / (before / 1024).max(1)).clamp(64, 4096);
    }
}

/// A moment on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    written: usize,
    copied: usize,
}

/// A source, and what is written of it.
#[derive(Debug, Default)]
pub(crate) struct Writer<'s> {
    source: &'s [u8],
    out: Vec<u8>,
    /// Up to where the source was copied or replaced.
    copied: usize,
    /// What the first change reserves.
    capacity: usize,
}

impl<'s> Writer<'s> {
    /// At the start of a source that becomes about as large as `capacity`, in bytes.
    pub(crate) fn new(source: &'s [u8], capacity: usize) -> Self {
        Self { source, out: Vec::new(), copied: 0, capacity }
    }

    pub(crate) fn source(&self) -> &'s [u8] {
        self.source
    }

    /// Before a part: what [`Writer::close`] and [`Writer::back_to`] take.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark { written: self.out.len(), copied: self.copied }
    }

    /// Whether anything that was there at the mark is changed now.
    #[inline]
    pub(crate) fn is_changed_since(&self, mark: Mark) -> bool {
        // Every change moves this, since it takes at least one byte of the source.
        self.copied != mark.copied
    }

    /// Undoes what was done since.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.out.truncate(mark.written);
        self.copied = mark.copied;
    }

    /// Copies the source up to a place.
    #[inline]
    pub(crate) fn copy_to(&mut self, at: usize) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.capacity);
        }
        self.out.extend_from_slice(self.source.get(self.copied..at).unwrap_or_default());
        self.copied = at;
    }

    /// Writes other bytes in place of a part of the source, all in front of which is done.
    #[inline]
    pub(crate) fn replace(&mut self, start: usize, end: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.copy_to(start);
        write(&mut self.out);
        self.copied = end;
    }

    /// Leaves a part of the source out.
    pub(crate) fn cut(&mut self, start: usize, end: usize) {
        self.replace(start, end, |_| {});
    }

    /// At the end of a length-delimited field: puts its length right, if something in it changed since the mark in front
    /// of it.
    #[inline]
    pub(crate) fn close(&mut self, mark: Mark, field: Field) {
        if self.is_changed_since(mark) {
            self.put_length(mark, field);
        }
    }

    #[inline]
    fn put_length(&mut self, mark: Mark, field: Field) {
        // A field with a tag and a length of one byte each, as most are, before and behind.
        let place = mark.written + (field.start() + 1 - mark.copied);
        let length = self.out.len() + (field.end() - self.copied) - place - 1;
        if field.content() == field.start() + 2
            && length < 0x80
            && let Some(place) = self.out.get_mut(place)
        {
            *place = length as u8;
        } else {
            self.put_any_length(mark, field);
        }
    }

    #[inline(never)]
    fn put_any_length(&mut self, mark: Mark, field: Field) {
        let tag = self.source.get(field.start()..).unwrap_or_default();
        let at = field.start() + tag.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let width = field.content() - at;
        // Everything between the mark and the first change was copied as it was.
        let place = mark.written + (at - mark.copied);
        let length = self.out.len() + (field.end() - self.copied) - place - width;
        let needed = varint_len(length as u64);
        if needed != width {
            self.out.splice(place..place + width, std::iter::repeat_n(0, needed));
        }
        let mut rest = length;
        for byte in self.out.get_mut(place..place + needed).unwrap_or_default() {
            *byte = (rest & 0x7f) as u8 | if rest < 0x80 { 0 } else { 0x80 };
            rest >>= 7;
        }
    }

    /// At the end of the message whose content is `start..end` of the source: rewrites it as a whole, given what has
    /// become of it since the mark in front of it. `None` leaves that.
    pub(crate) fn rewrite(
        &mut self,
        mark: Mark,
        start: usize,
        end: usize,
        rewrite: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) {
        self.copy_to(end);
        let from = mark.written + (start - mark.copied);
        if let Some(new) = rewrite(self.out.get(from..).unwrap_or_default()) {
            self.out.truncate(from);
            self.out.extend_from_slice(&new);
        }
    }

    /// What the source up to `end`, where reading stopped, has become, if it changed.
    pub(crate) fn finish(mut self, end: usize) -> Option<Vec<u8>> {
        if self.copied == 0 && end >= self.source.len() {
            return None;
        }
        self.copy_to(end);
        if self.out.capacity() - self.out.len() > self.out.len() / 8 + 2048 {
            self.out.shrink_to_fit();
        }
        Some(self.out)
    }
}

#[cfg(test)]
mod tests {
    use pdata::wire::{Fields, put_len};

    use super::*;

    fn nested(text: &[u8], depth: usize) -> Vec<u8> {
        (0..depth).fold(text.to_vec(), |inner, _| {
            let mut out = Vec::new();
            pdata::wire::put_varint_field(&mut out, 4, 7);
            // A tag of more bytes than it needs keeps them.
            out.extend_from_slice(&[0x8a, 0x80, 0x00]);
            pdata::wire::put_varint(&mut out, inner.len() as u64);
            out.extend_from_slice(&inner);
            put_len(&mut out, 3, b"behind");
            out
        })
    }

    /// Replaces the innermost by `new`.
    fn replace(writer: &mut Writer<'_>, start: usize, end: usize, depth: usize, new: &[u8]) {
        if depth == 0 {
            return writer.replace(start, end, |out| out.extend_from_slice(new));
        }
        let mut at = start;
        while let Some(field) = Field::read(writer.source().get(..end).unwrap(), at) {
            at = field.end();
            if field.number() == 1 {
                let mark = writer.mark();
                replace(writer, field.content(), field.end(), depth - 1, new);
                writer.close(mark, field);
            }
        }
    }

    #[test]
    fn lengths_around_a_change_are_put_right() {
        for (old, new) in [(1, 1), (1, 0), (100, 20_000), (20_000, 100), (120, 130), (16_380, 16_390), (130, 5)] {
            for depth in 1..6 {
                let (source, expected) = (nested(&vec![b'a'; old], depth), nested(&vec![b'b'; new], depth));
                let mut writer = Writer::new(&source, 0);
                replace(&mut writer, 0, source.len(), depth, &vec![b'b'; new]);
                assert!(writer.finish(source.len()).as_deref() == Some(&expected[..]), "{old} to {new} in {depth}");
            }
        }
    }

    #[test]
    fn what_did_not_change_is_not_copied_and_what_was_done_can_be_undone() {
        let source = b"0123456789";
        assert_eq!(Writer::new(source, 10).finish(10), None);
        assert_eq!(Writer::new(source, 10).finish(9).as_deref(), Some(&b"012345678"[..]), "the rest is unreadable");
        let mut writer = Writer::new(source, 10);
        writer.cut(1, 3);
        let mark = writer.mark();
        assert!(!writer.is_changed_since(mark));
        writer.replace(3, 4, |out| out.push(b'x'));
        writer.cut(7, 8);
        assert!(writer.is_changed_since(mark));
        writer.back_to(mark);
        assert!(!writer.is_changed_since(mark));
        writer.replace(5, 6, |out| out.extend_from_slice(b"yy"));
        writer.rewrite(mark, 4, 8, |new| {
            assert_eq!(new, b"4yy67");
            Some(b"z".to_vec())
        });
        assert_eq!(writer.finish(10).as_deref(), Some(&b"03z89"[..]));
    }

    #[test]
    fn fields_are_read_as_the_wire_format_reads_them() {
        let mut message = nested(&nested(b"text", 1), 2);
        pdata::wire::put_fixed64(&mut message, 900, 1);
        pdata::wire::put_fixed32(&mut message, 5, 1);
        pdata::wire::put_varint_field(&mut message, 6, u64::MAX);
        put_len(&mut message, 2, &[0; 300]);
        for cut in 0..=message.len() {
            let message = &message[..cut];
            let (mut at, mut found) = (0, Vec::new());
            while let Some(field) = Field::read(message, at) {
                at = field.end();
                found.push((field.number(), field.wire_type(), field.start(), field.content()..field.end()));
            }
            let expected = Fields::new(message).map(|field| (field.number, field.wire_type, field.start, field.value));
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
        assert_eq!(Field::read(&[0, 0], 0), None, "there is no field 0");
        assert_eq!(Field::read(&[0x1b, 0x08, 0x05, 0x1c], 0).map(|group| (group.content(), group.end())), Some((1, 4)));
    }
}
