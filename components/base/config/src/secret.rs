//! Text that no output shows, and header lists made of it.

use crate::{
    basic, codes,
    decode::{Decode, Decoder},
    node::{Key, Node, Value},
    schema::Schema,
};
use std::{fmt, sync::Arc};

/// What is shown in place of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// A password, token, or header value. `Debug`, `Display` and every dump show `[REDACTED]`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for use only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Decode for Secret {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        cx.mask(node);
        if node.is_null() && node.expansion.is_none() {
            return base;
        }
        let Some(text) = node.text() else {
            let message = format!("'{}' expected text, got {}", cx.quoted_path(), node.kind());
            let error = cx.error(node, codes::WRONG_TYPE, message);
            let scalar = !matches!(node.value, Value::List(_) | Value::Map(_));
            cx.push(if scalar { error.with_fix("put it in quotes") } else { error });
            return base;
        };
        Self::new(text)
    }

    fn schema() -> Schema {
        Schema::Secret
    }

    fn encode(&self) -> Value {
        if self.is_empty() { Value::string("") } else { Value::string(REDACTED) }
    }
}

/// Header names and values in the order written; written as a map or as a list of `{name, value}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Secret)>);

impl Headers {
    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a header; names are compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn set(&mut self, name: &str, value: Secret) {
        match self.0.iter_mut().find(|(candidate, _)| candidate == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl<N: Into<String>, V: Into<Secret>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Decode for Headers {
    fn decode(node: &Node, mut base: Self, cx: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::Null => base,
            Value::Map(entries) => {
                for (key, value) in entries {
                    let value = cx.in_key(&key.text, |cx| Secret::decode(value, Secret::default(), cx));
                    base.set(&key.text, value);
                }
                base
            }
            Value::List(items) => {
                let mut headers = Self::default();
                let mut seen: Vec<(&str, &Node)> = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    cx.in_index(index, |cx| header(item, &mut headers, &mut seen, cx));
                }
                headers
            }
            _ => {
                cx.wrong_type(node, "a map, or a list of {name, value}");
                base
            }
        }
    }

    fn schema() -> Schema {
        Schema::Headers
    }

    fn encode(&self) -> Value {
        let entry = |(name, value): &(String, Secret)| (Key::new(name.as_str()), Node::from(value.encode()));
        Value::Map(self.0.iter().map(entry).collect())
    }
}

fn header<'n>(item: &'n Node, headers: &mut Headers, seen: &mut Vec<(&'n str, &'n Node)>, cx: &mut Decoder<'_>) {
    let Value::Map(entries) = &item.value else { return cx.wrong_type(item, "a map with `name` and `value`") };
    let (mut name, mut value) = (None, Secret::default());
    for (key, node) in entries {
        match &*key.text {
            "name" => name = cx.in_key("name", |cx| basic::text(node, "text", cx)).map(|text| (text, node)),
            "value" => value = cx.in_key("value", |cx| Secret::decode(node, value.clone(), cx)),
            other => {
                cx.mask(node);
                let place = Node::new(Value::Null, key.origin.clone());
                let message = format!("'{}' has invalid keys: {other}", cx.quoted_path());
                let error = cx.error(&place, codes::UNKNOWN_KEY, message);
                cx.push(error.with_expected("`name` and `value`"));
            }
        }
    }
    let Some((name, node)) = name else {
        let error = cx.error(item, codes::MISSING_KEY, format!("'{}' lacks `name`", cx.quoted_path()));
        return cx.push(error);
    };
    if let Some((_, first)) = seen.iter().find(|(earlier, _)| *earlier == name) {
        let error = cx.error(node, codes::DUPLICATE_NAME, format!("duplicate header name `{name}`"));
        return cx.push(error.with_related(&first.origin, "first given here"));
    }
    seen.push((name, node));
    headers.set(name, value);
}
