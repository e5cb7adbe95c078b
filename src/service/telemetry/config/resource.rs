//! `service::telemetry::resource`: a map of attributes, or `{schema_url, attributes: [{name, value}]}` and the like.

use std::fmt;
use std::path::Path;

use config::{Decode, Decoder, Key, Node, Schema, Value, codes};

use super::detection::DetectionConfig;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
        }
    }
}

/// Attributes as written: a value, or `None` to remove the automatic one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceConfig {
    /// URL of the schema that the attributes follow; may be empty.
    pub schema_url: String,
    attributes: Vec<(String, Option<AttributeValue>)>,
    /// Attributes that are looked up.
    detection: DetectionConfig,
}

/// Keys of the declarative form.
const DECLARATIVE: [&str; 4] = ["schema_url", "attributes", "attributes_list", "detection/development"];

impl ResourceConfig {
    /// All attributes, sorted by name: the written ones over those that were looked up, these over `automatic` ones.
    #[must_use]
    pub fn resolve(&self, automatic: &[(&str, String)]) -> Vec<(String, AttributeValue)> {
        let written = self.attributes.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let found = self.detection.find(Path::new("/")).into_iter().map(|(name, value)| (name, Some(value)));
        let automatic = automatic.iter().map(|(name, value)| (*name, Some(AttributeValue::Text(value.clone()))));
        let mut all: Vec<(&str, Option<AttributeValue>)> = written.chain(found).chain(automatic).collect();
        // The sort is stable: of each name, the first of these counts.
        all.sort_by_key(|(name, _)| *name);
        all.dedup_by(|(later, _), (first, _)| later == first);
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn set(&mut self, name: &str, value: Option<AttributeValue>) {
        self.attributes.retain(|(written, _)| written != name);
        self.attributes.push((name.to_owned(), value));
    }

    fn decode_list(&mut self, list: &Node, cx: &mut Decoder<'_>) {
        if !list.is_null() && !matches!(list.value, Value::List(_)) {
            return cx.wrong_type(list, "a list of {name, value}");
        }
        for (index, item) in list.items().iter().enumerate() {
            cx.in_index(index, |cx| {
                let Some(name) = item.get("name").and_then(Node::text) else {
                    let error = cx.error(item, codes::MISSING_KEY, format!("'{}' lacks `name`", cx.quoted_path()));
                    return cx.push(error);
                };
                for (key, _) in item.entries().iter().filter(|(key, _)| !matches!(&*key.text, "name" | "value")) {
                    let place = Node::new(Value::Null, key.origin.clone());
                    let message = format!("'{}' has invalid keys: {}", cx.quoted_path(), key.text);
                    let error = cx.error(&place, codes::UNKNOWN_KEY, message).with_expected("`name` and `value`");
                    cx.push(error);
                }
                let value = item.get("value");
                let value = cx.in_key("value", |cx| value.and_then(|value| attribute(value, cx)));
                self.set(name, value);
            });
        }
    }
}

fn attribute(node: &Node, cx: &mut Decoder<'_>) -> Option<AttributeValue> {
    if let (Some(text), Value::String(_) | Value::Null) = (node.text(), &node.value) {
        return Some(AttributeValue::Text(text.to_owned()));
    }
    match &node.value {
        Value::Null => None,
        Value::Bool(value) => Some(AttributeValue::Bool(*value)),
        Value::Int(value) => Some(AttributeValue::Int(*value)),
        Value::Float(value) => Some(AttributeValue::Double(*value)),
        _ => {
            cx.wrong_type(node, "text, a boolean, a number, or nothing to remove the attribute");
            None
        }
    }
}

impl Decode for ResourceConfig {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let mut resource = base;
        if node.is_null() {
            return resource;
        }
        let Value::Map(entries) = &node.value else {
            cx.wrong_type(node, "a map of attributes");
            return resource;
        };
        let declarative = entries.iter().any(|(key, _)| DECLARATIVE.contains(&&*key.text));
        for (key, value) in entries {
            cx.in_key(&key.text, |cx| match &*key.text {
                "schema_url" => resource.schema_url = String::decode(value, String::new(), cx),
                "attributes" => resource.decode_list(value, cx),
                "detection/development" => {
                    resource.detection = DetectionConfig::decode(value, DetectionConfig::default(), cx);
                }
                "attributes_list" if value.is_null() => {}
                "attributes_list" => refuse(key, cx),
                name if declarative => {
                    let place = Node::new(Value::Null, key.origin.clone());
                    let message = format!("'resource' has invalid keys: {name}");
                    let error = cx.error(&place, codes::UNKNOWN_KEY, message);
                    cx.push(error.with_fix(format!("write it below `attributes`: `- {{name: {name}, value: …}}`")));
                }
                name => {
                    let value = attribute(value, cx);
                    resource.set(name, value);
                }
            });
        }
        resource
    }

    fn schema() -> Schema {
        Schema::Map(|| Schema::Any)
    }

    fn encode(&self) -> Value {
        let entry = |(name, value): &(String, Option<AttributeValue>)| {
            let value = match value {
                None => Value::Null,
                Some(AttributeValue::Text(text)) => Value::string(text.as_str()),
                Some(AttributeValue::Bool(value)) => Value::Bool(*value),
                Some(AttributeValue::Int(value)) => Value::Int(*value),
                Some(AttributeValue::Double(value)) => Value::Float(*value),
            };
            (Key::new(name.as_str()), Node::from(value))
        };
        Value::Map(self.attributes.iter().map(entry).collect())
    }
}

fn refuse(key: &Key, cx: &mut Decoder<'_>) {
    let place = Node::new(Value::Null, key.origin.clone());
    let message = format!("`{}` is not supported: write the attributes below `attributes`", cx.quoted_path());
    let error = cx.error(&place, codes::UNSUPPORTED_KEY, message);
    cx.push(error);
}
