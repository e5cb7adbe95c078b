//! Writing attributes and values.

use super::Buffer;
use crate::wire::{put_fixed64, put_len, put_varint_field};

/// Writes attributes into a message. Keys are not looked at: who writes one twice has it twice.
#[derive(Debug)]
pub struct AttributesWriter<'b> {
    buffer: &'b mut Buffer,
    field: u32,
}

impl<'b> AttributesWriter<'b> {
    pub(super) fn new(buffer: &'b mut Buffer, field: u32) -> Self {
        Self { buffer, field }
    }

    /// Writes an attribute; a value that `value` does not write is empty.
    pub fn value(&mut self, key: &str, value: impl FnOnce(ValueWriter<'_>)) -> &mut Self {
        self.buffer.message(self.field, |pair| {
            pair.str(1, key);
            pair.message(2, |any| value(ValueWriter { buffer: any }));
        });
        self
    }

    /// Writes text.
    pub fn str(&mut self, key: &str, text: &str) -> &mut Self {
        self.value(key, |value| value.str(text))
    }

    /// Writes an integer.
    pub fn i64(&mut self, key: &str, number: i64) -> &mut Self {
        self.value(key, |value| value.i64(number))
    }

    /// Writes a number.
    pub fn f64(&mut self, key: &str, number: f64) -> &mut Self {
        self.value(key, |value| value.f64(number))
    }

    /// Writes a flag.
    pub fn bool(&mut self, key: &str, flag: bool) -> &mut Self {
        self.value(key, |value| value.bool(flag))
    }

    /// Writes bytes.
    pub fn bytes(&mut self, key: &str, bytes: &[u8]) -> &mut Self {
        self.value(key, |value| value.bytes(bytes))
    }

    /// Copies the `AnyValue` with this content, as [`crate::view::KeyValueView::value_bytes`] gives it.
    pub fn encoded(&mut self, key: &str, any_value: &[u8]) -> &mut Self {
        self.value(key, |value| value.buffer.out.extend_from_slice(any_value))
    }
}

/// Writes one value; its methods consume it, so that there is one.
#[derive(Debug)]
pub struct ValueWriter<'b> {
    buffer: &'b mut Buffer,
}

impl<'b> ValueWriter<'b> {
    pub(super) fn new(buffer: &'b mut Buffer) -> Self {
        Self { buffer }
    }

    /// Writes text.
    pub fn str(self, text: &str) {
        put_len(&mut self.buffer.out, 1, text.as_bytes());
    }

    /// Writes a flag.
    pub fn bool(self, flag: bool) {
        put_varint_field(&mut self.buffer.out, 2, flag.into());
    }

    /// Writes an integer.
    pub fn i64(self, number: i64) {
        put_varint_field(&mut self.buffer.out, 3, number.cast_unsigned());
    }

    /// Writes a number.
    pub fn f64(self, number: f64) {
        put_fixed64(&mut self.buffer.out, 4, number.to_bits());
    }

    /// Writes bytes.
    pub fn bytes(self, bytes: &[u8]) {
        put_len(&mut self.buffer.out, 7, bytes);
    }

    /// Writes a list.
    pub fn array(self, values: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.buffer.message(5, |list| values(&mut ArrayWriter { buffer: list }));
    }

    /// Writes a map.
    pub fn kvlist(self, pairs: impl FnOnce(&mut AttributesWriter<'_>)) {
        self.buffer.message(6, |list| pairs(&mut list.attributes(1)));
    }
}

/// Writes the values of a list.
#[derive(Debug)]
pub struct ArrayWriter<'b> {
    buffer: &'b mut Buffer,
}

impl ArrayWriter<'_> {
    /// Writes a value; one that `value` does not write is empty.
    pub fn push(&mut self, value: impl FnOnce(ValueWriter<'_>)) -> &mut Self {
        self.buffer.message(1, |any| value(ValueWriter { buffer: any }));
        self
    }
}
