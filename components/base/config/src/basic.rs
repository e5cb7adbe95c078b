//! Decoding of the basic types: booleans, numbers, text, lists, maps, and what wraps them.

use crate::{
    codes,
    decode::{Decode, Decoder},
    id::ComponentId,
    node::{Key, Node, Value},
    schema::Schema,
    validate::Validator,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

impl Decode for bool {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        match node.value {
            Value::Null => base,
            Value::Bool(value) => value,
            _ => {
                let mut error = cx.wrong_type_error(node, "a boolean");
                let text =
                    if let Value::String(text) = &node.value { text.to_ascii_lowercase() } else { String::new() };
                if matches!(text.as_str(), "true" | "yes" | "on") {
                    error = error.with_fix("write `true`");
                } else if matches!(text.as_str(), "false" | "no" | "off") {
                    error = error.with_fix("write `false`");
                }
                cx.push(error);
                base
            }
        }
    }

    fn schema() -> Schema {
        Schema::Bool
    }

    fn encode(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! integers {
    ($($int:ty),+) => {$(
        impl Decode for $int {
            fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
                if node.is_null() {
                    return base;
                }
                let Some(wide) = integer(node, cx) else { return base };
                <$int>::try_from(wide).unwrap_or_else(|_| {
                    out_of_range(node, wide, &format!("from {} to {}", <$int>::MIN, <$int>::MAX), cx);
                    base
                })
            }

            fn schema() -> Schema {
                Schema::Int
            }

            fn encode(&self) -> Value {
                let wide = i128::try_from(*self).unwrap_or(i128::MAX);
                i64::try_from(wide).map(Value::Int).or_else(|_| u64::try_from(wide).map(Value::UInt)).unwrap_or_default()
            }
        }
    )+};
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// An integer as written, or as a float without fraction (`1e6`).
fn integer(node: &Node, cx: &mut Decoder<'_>) -> Option<i128> {
    match &node.value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        #[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "whole numbers below 2^64 are exact")]
        Value::Float(value) if value.trunc() == *value && value.abs() <= 18_446_744_073_709_551_616.0 => {
            Some(*value as i128)
        }
        _ => {
            let mut error = cx.wrong_type_error(node, "an integer");
            if let (Value::String(text), None) = (&node.value, &node.expansion)
                && matches!(crate::scalar::number(text), Some(Value::Int(_) | Value::UInt(_)))
            {
                error = error.with_fix(format!("write `{text}` without quotes"));
            }
            cx.push(error);
            None
        }
    }
}

fn out_of_range(node: &Node, value: i128, range: &str, cx: &mut Decoder<'_>) {
    let shown = if node.expansion.is_some() { String::new() } else { format!(" `{value}`") };
    let message = format!("'{}' is out of range: the integer{shown} does not fit", cx.quoted_path());
    let error = cx.error(node, codes::OUT_OF_RANGE, message).with_expected(format!("an integer {range}"));
    cx.push(error);
}

impl Decode for f64 {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        match node.value {
            Value::Null => base,
            Value::Float(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "a float setting takes the nearest float")]
            Value::Int(value) => value as Self,
            #[expect(clippy::cast_precision_loss, reason = "a float setting takes the nearest float")]
            Value::UInt(value) => value as Self,
            _ => {
                cx.wrong_type(node, "a number");
                base
            }
        }
    }

    fn schema() -> Schema {
        Schema::Float
    }

    fn encode(&self) -> Value {
        Value::Float(*self)
    }
}

/// The text of a node for a string setting; reports an error if there is none. Null is for the caller.
pub(crate) fn text<'n>(node: &'n Node, expected: &str, cx: &mut Decoder<'_>) -> Option<&'n str> {
    let text = node.text();
    if text.is_none() {
        let mut error = cx.wrong_type_error(node, expected);
        if let Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) = node.value {
            error = error.with_fix("put it in quotes");
        }
        cx.push(error);
    }
    text
}

macro_rules! texts {
    ($($text:ty),+) => {$(
        impl Decode for $text {
            const SPLIT_SCALAR: bool = true;

            fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
                if node.is_null() && node.expansion.is_none() {
                    return base;
                }
                text(node, "text", cx).map_or(base, Self::from)
            }

            fn schema() -> Schema {
                Schema::String
            }

            fn encode(&self) -> Value {
                let text: &std::ffi::OsStr = AsRef::<std::path::Path>::as_ref(&**self).as_os_str();
                Value::string(text.to_string_lossy().as_ref())
            }
        }
    )+};
}

texts!(String, PathBuf);

impl Decode for Arc<str> {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        if node.is_null() && node.expansion.is_none() {
            return base;
        }
        text(node, "text", cx).map_or(base, Self::from)
    }

    fn schema() -> Schema {
        Schema::String
    }

    fn encode(&self) -> Value {
        Value::String(Self::clone(self))
    }
}

/// Whatever was written, undecoded.
impl Decode for Node {
    fn decode(node: &Node, base: Self, _: &mut Decoder<'_>) -> Self {
        if node.is_null() { base } else { node.clone() }
    }

    fn schema() -> Schema {
        Schema::Any
    }

    fn encode(&self) -> Value {
        self.value.clone()
    }
}

/// Null leaves the base, which is `None` unless the default says otherwise.
impl<T: Decode + Default> Decode for Option<T> {
    const SPLIT_SCALAR: bool = T::SPLIT_SCALAR;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        if node.is_null() && node.expansion.is_none() {
            return base;
        }
        Some(T::decode(node, base.unwrap_or_default(), cx))
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn encode(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::encode)
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        if let Some(value) = self {
            value.validate(validator);
        }
    }
}

impl<T: Decode> Decode for Box<T> {
    const SPLIT_SCALAR: bool = T::SPLIT_SCALAR;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        Self::new(T::decode(node, *base, cx))
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn encode(&self) -> Value {
        T::encode(self)
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        T::validate(self, validator);
    }
}

/// A list replaces the default; text is split at commas where the elements are text; null keeps the default.
impl<T: Decode + Default> Decode for Vec<T> {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let split: Vec<Node>;
        let items = match (&node.value, node.text()) {
            (Value::Null, _) => return base,
            (Value::List(items), _) => items,
            (Value::Map(_), _) => {
                cx.wrong_type(node, "a list");
                return base;
            }
            (_, Some(text)) if T::SPLIT_SCALAR => {
                split = split_at_commas(node, text);
                &split
            }
            _ => {
                cx.wrong_type(node, "a list");
                return base;
            }
        };
        let decode = |(index, item)| cx.in_index(index, |cx| T::decode(item, T::default(), cx));
        items.iter().enumerate().map(decode).collect()
    }

    fn schema() -> Schema {
        Schema::List(T::schema)
    }

    fn encode(&self) -> Value {
        Value::List(self.iter().map(|item| Node::from(item.encode())).collect())
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        for (index, item) in self.iter().enumerate() {
            validator.enter(&index.to_string(), |v| item.validate(v));
        }
    }
}

fn split_at_commas(node: &Node, text: &str) -> Vec<Node> {
    if text.is_empty() {
        return Vec::new();
    }
    let part = |part: &str| Node { value: Value::string(part), origin: node.origin.clone(), expansion: None };
    text.split(',').map(part).collect()
}

/// A type that can be the key of a map.
pub trait MapKey: Ord + Sized {
    /// Reads a key.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse_key(text: &str) -> Result<Self, String>;

    /// The key as written.
    fn key_text(&self) -> String;
}

impl MapKey for String {
    fn parse_key(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn key_text(&self) -> String {
        self.clone()
    }
}

impl MapKey for ComponentId {
    fn parse_key(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::id::IdError| error.to_string())
    }

    fn key_text(&self) -> String {
        self.to_string()
    }
}

/// Keys are laid over the default's; each value is decoded over the default's value of that key.
impl<K: MapKey, T: Decode + Default> Decode for BTreeMap<K, T> {
    fn decode(node: &Node, mut base: Self, cx: &mut Decoder<'_>) -> Self {
        let Value::Map(entries) = &node.value else {
            if !node.is_null() {
                cx.wrong_type(node, "a map");
            }
            return base;
        };
        let mut seen: BTreeMap<String, &Key> = BTreeMap::new();
        for (key, value) in entries {
            let place = Node::new(Value::Null, key.origin.clone());
            match K::parse_key(&key.text) {
                Err(message) => {
                    let error = cx.error(&place, codes::BAD_COMPONENT_ID, message);
                    cx.push(error);
                }
                Ok(parsed) => {
                    let text = parsed.key_text();
                    if let Some(first) = seen.insert(text.clone(), key) {
                        let error = cx.error(&place, codes::DUPLICATE_NAME, format!("duplicate name `{text}`"));
                        cx.push(error.with_related(&first.origin, "first given here"));
                    }
                    let under = base.remove(&parsed).unwrap_or_default();
                    let value = cx.in_key(&text, |cx| T::decode(value, under, cx));
                    base.insert(parsed, value);
                }
            }
        }
        base
    }

    fn schema() -> Schema {
        Schema::Map(T::schema)
    }

    fn encode(&self) -> Value {
        Value::map(self.iter().map(|(key, value)| (key.key_text(), value.encode())))
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        for (key, value) in self {
            validator.enter(&key.key_text(), |v| value.validate(v));
        }
    }
}
