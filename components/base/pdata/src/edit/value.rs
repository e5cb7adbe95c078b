//! Attribute values and log bodies (`AnyValue`) on their way into and out of an edit.

use std::fmt;

use crate::schema::{ANY_VALUE, Message};
use crate::wire::{
    FIXED64, Fields, LEN, VARINT, put_fixed64, put_len, put_varint, put_varint_field, read_varint, varint_len,
};

use super::EditError;

/// A value to write, or one that was read. Lists and maps are their serialized selves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An `AnyValue` in which nothing is set.
    Empty,
    /// Text.
    Str(&'a str),
    /// Truth.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list: the content of a serialized `ArrayValue`.
    List(ValueList<'a>),
    /// A map: the content of a serialized `KeyValueList`.
    Map(ValueMap<'a>),
    /// Any of them, serialized; or one of a kind that this program does not know.
    Encoded(ValueRef<'a>),
}

/// A serialized `AnyValue` that is known to be valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a>(pub(super) &'a [u8]);

/// The content of a serialized `ArrayValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueList<'a>(&'a [u8]);

/// The content of a serialized `KeyValueList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueMap<'a>(&'a [u8]);

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Value::Encoded(_) => f.debug_tuple("ValueRef").field(&self.0).finish(),
            value => value.fmt(f),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The serialized `AnyValue`.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value. Strings are checked for UTF-8 again; [`ValueRef::str_bytes`] does without.
    #[must_use]
    pub fn get(self) -> Value<'a> {
        // After validation at most one member of the oneof is there; fields of other versions may stand around it.
        for field in Fields::new(self.0) {
            let content = self.0.get(field.value).unwrap_or_default();
            let value = match (field.number, field.wire_type) {
                (1, LEN) => std::str::from_utf8(content).map(Value::Str).unwrap_or(Value::Encoded(self)),
                (2, VARINT) => Value::Bool(varint(content) != 0),
                (3, VARINT) => Value::Int(varint(content).cast_signed()),
                (4, FIXED64) => Value::Double(f64::from_bits(fixed64(content))),
                (5, LEN) => Value::List(ValueList(content)),
                (6, LEN) => Value::Map(ValueMap(content)),
                (7, LEN) => Value::Bytes(content),
                _ => continue,
            };
            return value;
        }
        if self.0.is_empty() { Value::Empty } else { Value::Encoded(self) }
    }

    /// The bytes of the text if it is text.
    #[inline]
    #[must_use]
    pub fn str_bytes(self) -> Option<&'a [u8]> {
        if let [0x0a, len @ 0..=0x7f, text @ ..] = self.0
            && text.len() == usize::from(*len)
        {
            return Some(text);
        }
        super::tree::content_of(self.0, 1)
    }
}

impl<'a> ValueList<'a> {
    /// The values in order.
    pub fn iter(self) -> impl Iterator<Item = ValueRef<'a>> {
        contents(self.0).map(ValueRef)
    }
}

impl<'a> ValueMap<'a> {
    /// The pairs in order, duplicates included: key and value.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], ValueRef<'a>)> {
        contents(self.0)
            .map(|pair| (super::tree::pair_key(pair), ValueRef(super::tree::content_of(pair, 2).unwrap_or_default())))
    }

    /// The value of the first pair of that key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
    }
}

/// Contents of the messages in field 1.
fn contents(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::new(message)
        .filter(|field| field.number == 1 && field.wire_type == LEN)
        .map(|field| message.get(field.value).unwrap_or_default())
}

/// Appends a length-delimited field whose tag takes one byte; quick where its length does too.
#[inline]
pub(super) fn put_short(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    put_head(out, tag, content.len());
    out.extend_from_slice(content);
}

/// Appends tag and length of a length-delimited field whose tag takes one byte.
#[inline]
pub(super) fn put_head(out: &mut Vec<u8>, tag: u8, len: usize) {
    if len < 0x80 {
        out.extend_from_slice(&[tag, len as u8]);
    } else {
        out.push(tag);
        put_varint(out, len as u64);
    }
}

pub(super) fn varint(content: &[u8]) -> u64 {
    read_varint(content, &mut 0).unwrap_or_default()
}

pub(super) fn fixed64(content: &[u8]) -> u64 {
    content.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Value<'_> {
    /// Size of the serialized `AnyValue` in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let delimited = |len: usize| 1 + varint_len(len as u64) + len;
        match self {
            Self::Empty => 0,
            Self::Str(text) => delimited(text.len()),
            Self::Bool(_) => 2,
            Self::Int(number) => 1 + varint_len(number.cast_unsigned()),
            Self::Double(_) => 9,
            Self::Bytes(bytes) | Self::List(ValueList(bytes)) | Self::Map(ValueMap(bytes)) => delimited(bytes.len()),
            Self::Encoded(ValueRef(bytes)) => bytes.len(),
        }
    }

    /// Appends the serialized `AnyValue`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Empty => {}
            Self::Str(text) => put_short(out, 0x0a, text.as_bytes()),
            Self::Bool(truth) => out.extend_from_slice(&[0x10, u8::from(truth)]),
            Self::Int(number) => put_varint_field(out, 3, number.cast_unsigned()),
            Self::Double(number) => put_fixed64(out, 4, number.to_bits()),
            Self::List(ValueList(content)) => put_len(out, 5, content),
            Self::Map(ValueMap(content)) => put_len(out, 6, content),
            Self::Bytes(bytes) => put_len(out, 7, bytes),
            Self::Encoded(ValueRef(bytes)) => out.extend_from_slice(bytes),
        }
    }

    /// How many messages deep it nests, itself included.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::List(ValueList(content)) => 2 + contents(content).map(nesting).max().unwrap_or(0),
            Self::Map(ValueMap(content)) => 2 + contents(content).map(pair_nesting).max().unwrap_or(0),
            Self::Encoded(ValueRef(bytes)) => nesting(bytes),
            _ => 1,
        }
    }
}

fn nesting(value: &[u8]) -> u32 {
    depth_of(&ANY_VALUE, value)
}

fn pair_nesting(pair: &[u8]) -> u32 {
    depth_of(&crate::schema::KEY_VALUE, pair)
}

/// Recursion is bounded: what was validated nests at most [`crate::validate::DEPTH_MAX`] messages, and so does what
/// [`ValueBuf`] builds.
fn depth_of(table: &'static Message, message: &[u8]) -> u32 {
    let inner = Fields::new(message).filter_map(|field| {
        let inner = table.field(field.number)?.kind.message()?;
        (field.wire_type == LEN).then(|| depth_of(inner, message.get(field.value).unwrap_or_default()))
    });
    1 + inner.max().unwrap_or(0)
}

/// A value built from parts: the way to write new lists and maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueBuf {
    bytes: Vec<u8>,
    depth: u32,
}

impl From<Value<'_>> for ValueBuf {
    fn from(value: Value<'_>) -> Self {
        let mut bytes = Vec::with_capacity(value.encoded_len());
        value.encode(&mut bytes);
        Self { bytes, depth: value.depth() }
    }
}

impl ValueBuf {
    /// A list.
    ///
    /// # Errors
    /// [`EditError::Depth`] when it nests deeper than a request may.
    pub fn list(values: impl IntoIterator<Item = Self>) -> Result<Self, EditError> {
        let (mut content, mut depth) = (Vec::new(), 0);
        for value in values {
            depth = depth.max(value.depth);
            put_len(&mut content, 1, &value.bytes);
        }
        Self::wrap(5, &content, depth + 2)
    }

    /// A map. Keys should be unique; nothing checks that.
    ///
    /// # Errors
    /// [`EditError::Depth`] when it nests deeper than a request may.
    pub fn map<K: AsRef<str>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Result<Self, EditError> {
        let (mut content, mut pair, mut depth) = (Vec::new(), Vec::new(), 0);
        for (key, value) in pairs {
            depth = depth.max(value.depth + 1);
            pair.clear();
            put_len(&mut pair, 1, key.as_ref().as_bytes());
            put_len(&mut pair, 2, &value.bytes);
            put_len(&mut content, 1, &pair);
        }
        Self::wrap(6, &content, depth + 2)
    }

    fn wrap(number: u32, content: &[u8], depth: u32) -> Result<Self, EditError> {
        if depth > crate::validate::DEPTH_MAX {
            return Err(EditError::Depth);
        }
        let mut bytes = Vec::with_capacity(content.len() + 6);
        put_len(&mut bytes, number, content);
        Ok(Self { bytes, depth })
    }

    /// To be written or read.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value::Encoded(ValueRef(&self.bytes))
    }
}
