//! A message that is copied only when something in it changes, and the buffers that new bytes are written to.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use pdata::wire::{RawField, put_len};

/// New bytes. The allocation is used again by the same thread.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Buffer(Vec<u8>);

/// Most allocations that a thread keeps.
const KEPT_MAX: usize = 16;
/// Largest allocation that is kept, in bytes.
const KEPT_BYTES_MAX: usize = 16 << 10;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Buffer {
    pub(crate) fn new(bytes: usize) -> Self {
        let mut buffer = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
        buffer.reserve(bytes);
        Self(buffer)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES_MAX {
            return;
        }
        let keep = |kept: &RefCell<Vec<Vec<u8>>>| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                buffer.clear();
                kept.push(buffer);
            }
        };
        // Not at the end of a thread, when there is nothing to keep it in.
        KEPT.try_with(keep).unwrap_or_default();
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// Copies a message, field by field, from the first change on.
#[derive(Debug)]
pub(crate) struct Rebuild<'s> {
    source: &'s [u8],
    out: Option<Buffer>,
    copied: usize,
}

impl<'s> Rebuild<'s> {
    pub(crate) fn new(source: &'s [u8]) -> Self {
        Self { source, out: None, copied: 0 }
    }

    fn out(&mut self) -> &mut Buffer {
        self.out.get_or_insert_with(|| Buffer::new(self.source.len() + 32))
    }

    /// Leaves a field out.
    pub(crate) fn cut(&mut self, field: &RawField) {
        let (source, copied) = (self.source, self.copied);
        self.out().extend_from_slice(source.get(copied..field.start).unwrap_or_default());
        self.copied = field.end;
    }

    /// Puts other content in place of a length-delimited field.
    pub(crate) fn put(&mut self, field: &RawField, number: u32, content: &[u8]) {
        self.cut(field);
        put_len(self.out(), number, content);
    }

    /// The message, if it changed. What is behind `end`, where reading stopped, is left out.
    pub(crate) fn finish(mut self, end: usize) -> Option<Buffer> {
        if self.out.is_none() && end >= self.source.len() {
            return None;
        }
        let (source, copied) = (self.source, self.copied);
        self.out().extend_from_slice(source.get(copied..end).unwrap_or_default());
        self.out
    }
}
