//! Attributes and values.

use super::fields::{Messages, find, message, text, view};
use crate::wire::{LEN, Scan};

/// A list of attributes: the fields of one number in some message.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttributesView<'a> {
    message: &'a [u8],
    number: u32,
}

impl<'a> AttributesView<'a> {
    /// The attributes that `message` holds in its field `number`.
    #[must_use]
    pub fn new(message: &'a [u8], number: u32) -> Self {
        Self { message, number }
    }

    /// The value of the first attribute of that key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<ValueView<'a>> {
        self.iter().find(|pair| pair.has_key(key.as_bytes())).map(KeyValueView::value)
    }

    /// All of them, in order; keys may repeat.
    #[must_use]
    pub fn iter(self) -> Attributes<'a> {
        Messages::new(self.message, self.number)
    }

    /// How many there are. Walks over them.
    #[must_use]
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

/// An iterator over attributes.
pub type Attributes<'a> = Messages<'a, KeyValueView<'a>>;

impl<'a> IntoIterator for AttributesView<'a> {
    type Item = KeyValueView<'a>;
    type IntoIter = Attributes<'a>;

    fn into_iter(self) -> Attributes<'a> {
        self.iter()
    }
}

view! {
    /// An attribute.
    KeyValueView {
        /// Key.
        key: &'a str = 1;
        /// Reference into a table of strings, used by profiles only; 0 elsewhere.
        key_strindex: i32 = 3;
    }
}

impl<'a> KeyValueView<'a> {
    /// Key, as bytes: what to compare with.
    #[inline]
    #[must_use]
    pub fn key_bytes(self) -> &'a [u8] {
        // As SDKs write it: the key first, its length in one byte.
        if let [0x0a, len, rest @ ..] = self.0
            && *len < 0x80
            && let Some(key) = rest.get(..usize::from(*len))
        {
            return key;
        }
        message(self.0, 1)
    }

    /// Whether its key is `key`.
    #[inline(always)]
    #[must_use]
    pub fn has_key(self, key: &[u8]) -> bool {
        // Most differ in length.
        match self.0 {
            [0x0a, len @ ..0x80, rest @ ..] => usize::from(*len) == key.len() && rest.starts_with(key),
            _ => message(self.0, 1) == key,
        }
    }

    /// Value; [`ValueView::Empty`] when absent.
    #[must_use]
    pub fn value(self) -> ValueView<'a> {
        ValueView::new(message(self.0, 2))
    }

    /// Content of the `AnyValue`; `None` when the pair has none.
    #[must_use]
    pub fn value_bytes(self) -> Option<&'a [u8]> {
        find(self.0, 2).map(|field| field.value)
    }
}

/// A value of an attribute, of a log record's body, or within a list.
#[derive(Clone, Copy, Debug, Default)]
pub enum ValueView<'a> {
    /// None is set.
    #[default]
    Empty,
    /// Text.
    Str(&'a str),
    /// Flag.
    Bool(bool),
    /// Integer.
    I64(i64),
    /// Number.
    F64(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// List of values.
    Array(ArrayView<'a>),
    /// Map: keys may repeat.
    KvList(AttributesView<'a>),
    /// Reference into a table of strings, used by profiles only.
    StrIndex(i32),
}

view! {
    /// A list of values.
    ArrayView {
        /// The values in order.
        iter: Messages<'a, ValueView<'a>> = 1;
    }
}

impl<'a> ValueView<'a> {
    /// The value in an `AnyValue` with this content.
    #[must_use]
    pub fn new(any_value: &'a [u8]) -> Self {
        for field in Scan::new(any_value) {
            return match (field.number(), field.wire_type()) {
                (1, LEN) => Self::Str(text(field.value)),
                (2, _) => Self::Bool(field.bits() != 0),
                (3, _) => Self::I64(field.bits().cast_signed()),
                (4, _) => Self::F64(f64::from_bits(field.bits())),
                (5, LEN) => Self::Array(ArrayView::new(field.value)),
                (6, LEN) => Self::KvList(AttributesView::new(field.value, 1)),
                (7, LEN) => Self::Bytes(field.value),
                (8, _) => Self::StrIndex(field.bits() as i32),
                _ => continue,
            };
        }
        Self::Empty
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, when it is one.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::I64(number) => Some(number),
            _ => None,
        }
    }

    /// The flag, when it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

impl<'a> From<&'a [u8]> for ValueView<'a> {
    fn from(any_value: &'a [u8]) -> Self {
        Self::new(any_value)
    }
}
