//! A message that is copied only when something in it changes.

use pdata::wire::{RawField, put_len};

/// Copies a message, field by field, from the first change on.
#[derive(Debug)]
pub(crate) struct Rebuild<'s> {
    source: &'s [u8],
    out: Vec<u8>,
    copied: usize,
    changed: bool,
}

impl<'s> Rebuild<'s> {
    pub(crate) fn new(source: &'s [u8]) -> Self {
        Self { source, out: Vec::new(), copied: 0, changed: false }
    }

    /// Leaves a field out.
    pub(crate) fn cut(&mut self, field: &RawField) {
        if !self.changed {
            self.out.reserve(self.source.len() + 32);
        }
        self.out.extend_from_slice(self.source.get(self.copied..field.start).unwrap_or_default());
        self.copied = field.end;
        self.changed = true;
    }

    /// Puts other content in place of a length-delimited field.
    pub(crate) fn put(&mut self, field: &RawField, number: u32, content: &[u8]) {
        self.cut(field);
        put_len(&mut self.out, number, content);
    }

    /// The message, if it changed. What is behind `end`, where reading stopped, is left out.
    pub(crate) fn finish(mut self, end: usize) -> Option<Vec<u8>> {
        if !self.changed && end >= self.source.len() {
            return None;
        }
        self.out.extend_from_slice(self.source.get(self.copied..end).unwrap_or_default());
        Some(self.out)
    }
}
