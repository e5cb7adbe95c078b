//! The located tree: what the YAML said, where it said it, and which `${…}` it came out of.
//!
//! Maps keep the order of the file. Two nodes are equal when they decode to the same configuration; where they were
//! written does not count.

use crate::origin::Origin;
use std::sync::Arc;

/// A value with its place.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where it was written; for expanded values, the place of the `${…}`.
    pub origin: Origin,
    /// Set when the value came out of a `${…}`.
    pub expansion: Option<Arc<Expansion>>,
}

/// What is remembered of a `${…}` that a value came out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The original text; targets of type string use it instead of the parsed value.
    pub text: Arc<str>,
    /// The reference as written, for example `${env:PORT}`.
    pub reference: String,
}

/// What a node holds.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`, `~`, or nothing after the colon.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer beyond `i64` that fits `u64`.
    UInt(u64),
    /// A number with fraction or exponent, `.inf`, `.nan`.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in file order; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map with its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key's text.
    pub text: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
}

impl Key {
    /// A key made by code.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), origin: Origin::default() }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let text = |node: &Self| node.expansion.as_ref().map(|expansion| Arc::clone(&expansion.text));
        self.value == other.value && text(self) == text(other)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::UInt(a), Self::UInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Value {
    /// Text.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A map made by code.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (Key::new(key), Node::from(value))).collect())
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, origin: Origin::default(), expansion: None }
    }
}

impl Node {
    /// A value at a place.
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, expansion: None }
    }

    /// Whether nothing was written.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text a string target takes: the original text of a `${…}`, else the text itself; `None` for other values.
    pub fn text(&self) -> Option<&str> {
        match (&self.expansion, &self.value) {
            (Some(expansion), _) => Some(&expansion.text),
            (None, Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map; empty for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// Key and value under `key`, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(candidate, _)| &*candidate.text == key)
    }

    /// The value at a path such as `a::b::0::c`.
    pub fn get_path(&self, path: &str) -> Option<&Node> {
        path.split("::").filter(|segment| !segment.is_empty()).try_fold(self, |node, segment| match &node.value {
            Value::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => node.get(segment),
        })
    }

    /// The value at a path of keys, made (with empty maps on the way) where it is missing. Whatever stood in the way
    /// of the path is replaced.
    pub fn get_path_mut_or_insert(&mut self, path: &[&str]) -> &mut Node {
        let mut node = self;
        for segment in path {
            if !matches!(node.value, Value::Map(_)) {
                node.value = Value::Map(Vec::new());
            }
            let origin = node.origin.clone();
            let Value::Map(entries) = &mut node.value else { unreachable!("made a map above") };
            let index = entries.iter().position(|(key, _)| &*key.text == *segment).unwrap_or_else(|| {
                let key = Key { text: Arc::from(*segment), origin: origin.clone() };
                entries.push((key, Node::new(Value::Null, origin)));
                entries.len() - 1
            });
            node = &mut entries[index].1;
        }
        node
    }

    /// What kind of value this is, in the words of error messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::UInt(_) => "an integer",
            Value::Float(_) => "a decimal number",
            Value::String(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value in the words of error messages. What came out of a `${…}` is not repeated: it may be a secret that
    /// went to the wrong place.
    pub fn describe(&self) -> String {
        if self.expansion.is_some() {
            return self.kind().to_owned();
        }
        match &self.value {
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Int(value) => format!("the integer `{value}`"),
            Value::UInt(value) => format!("the integer `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::String(text) => format!("the text `{}`", shorten(text)),
            Value::Null | Value::List(_) | Value::Map(_) => self.kind().to_owned(),
        }
    }
}

/// Cuts long text for messages.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}
