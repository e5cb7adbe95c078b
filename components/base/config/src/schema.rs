//! What can be written where: for option tables in READMEs and for redaction.
//!
//! Schemas are walked lazily (fields hold functions), so that blocks may contain themselves; walks are bounded by depth.

use crate::{
    node::{Key, Node, Value},
    print,
    reader::{ChoiceValue, Field},
    secret::REDACTED,
};
use std::fmt::Write as _;

/// Levels of blocks that a table shows.
const TABLE_DEPTH_MAX: usize = 8;

/// What a setting takes.
#[derive(Clone, Debug)]
pub enum Schema {
    /// `true` or `false`.
    Bool,
    /// An integer.
    Int,
    /// A number.
    Float,
    /// Text.
    String,
    /// A duration such as `5s`.
    Duration,
    /// Text that is never shown.
    Secret,
    /// Header names and secret values.
    Headers,
    /// `type[/name]`.
    ComponentId,
    /// One of a few words.
    Choice(&'static [ChoiceValue]),
    /// A list.
    List(fn() -> Schema),
    /// A map with free keys.
    Map(fn() -> Schema),
    /// A block that may be off.
    Optional(fn() -> Schema),
    /// A struct.
    Block(BlockSchema),
    /// Anything.
    Any,
}

/// The settings of a struct.
#[derive(Clone, Debug)]
pub struct BlockSchema {
    /// The doc comment of the struct.
    pub doc: &'static str,
    /// Its settings in order, flattened ones included.
    pub fields: Vec<Field>,
    /// The default of every setting, as a map.
    pub defaults: Value,
}

impl Schema {
    /// The name of the type in tables.
    pub fn type_name(&self) -> String {
        match self {
            Self::Bool => "bool".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Float => "float".to_owned(),
            Self::String => "string".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Secret => "secret string".to_owned(),
            Self::Headers => "headers".to_owned(),
            Self::ComponentId => "component ID".to_owned(),
            Self::Choice(values) => {
                let names: Vec<String> = values
                    .iter()
                    .map(|value| format!("`{}`", if value.name.is_empty() { "\"\"" } else { value.name }))
                    .collect();
                names.join(", ")
            }
            Self::List(item) => format!("list of {}", item().short_name()),
            Self::Map(value) => format!("map to {}", value().short_name()),
            Self::Optional(_) => "block, optional".to_owned(),
            Self::Block(_) => "block".to_owned(),
            Self::Any => "any".to_owned(),
        }
    }

    fn short_name(&self) -> String {
        match self {
            Self::Choice(_) => "string".to_owned(),
            Self::Block(_) => "blocks".to_owned(),
            other => other.type_name(),
        }
    }

    /// A Markdown table of all settings, nested ones with their path (`a.b`, `list[].c`, `map.*.d`).
    pub fn to_markdown(&self) -> String {
        let mut table = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
        self.rows("", None, 0, &mut table);
        table
    }

    fn rows(&self, path: &str, defaults: Option<&Value>, depth: usize, table: &mut String) {
        if depth > TABLE_DEPTH_MAX {
            return;
        }
        match self {
            Self::Block(block) => block.rows(path, defaults, depth, table),
            Self::Optional(inner) => {
                let enabled = defaults.is_some_and(|value| get(value, "enabled") == Some(&Value::Bool(true)));
                if !path.is_empty() {
                    let meaning = "turns the block on or off; on as soon as the block is written";
                    row(table, &join(path, "enabled"), "bool", &format!("`{enabled}`"), meaning);
                }
                inner().rows(path, defaults, depth, table);
            }
            Self::List(item) => item().rows(&format!("{path}[]"), None, depth + 1, table),
            Self::Map(value) => value().rows(&join(path, "*"), None, depth + 1, table),
            _ => {}
        }
    }

    /// A copy of the tree in which everything that is secret reads `[REDACTED]`: by schema, and where the schema is
    /// [`Schema::Any`] or lacks the key, by the key's name.
    #[must_use]
    pub fn redact(&self, node: &Node) -> Node {
        let value =
            match (self, &node.value) {
                (_, Value::Null) => Value::Null,
                (Self::Secret, Value::String(text)) if text.is_empty() => Value::string(""),
                (Self::Secret, _) => Value::string(REDACTED),
                (Self::Headers, Value::Map(entries)) => map(entries, |_, value| Self::Secret.redact(value)),
                (Self::Headers, Value::List(items)) => list(items, |item| match &item.value {
                    Value::Map(entries) => Node {
                        value: map(entries, |key, value| {
                            if &*key.text == "name" { value.clone() } else { Self::Secret.redact(value) }
                        }),
                        ..item.clone()
                    },
                    _ => Self::Secret.redact(item),
                }),
                (Self::List(item), Value::List(items)) => {
                    let schema = item();
                    list(items, |item| schema.redact(item))
                }
                (Self::Map(item), Value::Map(entries)) => {
                    let schema = item();
                    map(entries, |_, value| schema.redact(value))
                }
                (Self::List(item) | Self::Map(item), _) => return item().redact(node),
                (Self::Optional(inner), _) => return inner().redact(node),
                (Self::Block(block), Value::Map(entries)) => map(entries, |key, value| block.redact(key, value)),
                (_, Value::Map(entries)) => map(entries, redact_by_name),
                (_, Value::List(items)) => list(items, |item| Self::Any.redact(item)),
                (_, value) => value.clone(),
            };
        let expansion = if value == node.value { node.expansion.clone() } else { None };
        Node { value, origin: node.origin.clone(), expansion }
    }
}

fn redact_by_name(key: &Key, value: &Node) -> Node {
    let leaf = !matches!(value.value, Value::Map(_) | Value::List(_));
    if leaf && sounds_secret(&key.text) { Schema::Secret.redact(value) } else { Schema::Any.redact(value) }
}

fn map(entries: &[(Key, Node)], f: impl Fn(&Key, &Node) -> Node) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (key.clone(), f(key, value))).collect())
}

fn list(items: &[Node], f: impl Fn(&Node) -> Node) -> Value {
    Value::List(items.iter().map(f).collect())
}

impl BlockSchema {
    fn redact(&self, key: &Key, value: &Node) -> Node {
        let names = |field: &&Field| {
            let spec = field.spec;
            let name = &*key.text;
            spec.key == name || spec.aliases.contains(&name) || spec.deprecated_aliases.contains(&name)
        };
        match self.fields.iter().find(names) {
            Some(field) => (field.schema)().redact(value),
            None => redact_by_name(key, value),
        }
    }

    fn rows(&self, path: &str, defaults: Option<&Value>, depth: usize, table: &mut String) {
        for field in self.fields.iter().filter(|field| field.spec.unsupported.is_none()) {
            let key = join(path, field.spec.key);
            let default =
                defaults.and_then(|value| get(value, field.spec.key)).or_else(|| get(&self.defaults, field.spec.key));
            let schema = (field.schema)();
            let nested = matches!(schema, Schema::Block(_) | Schema::Optional(_));
            let shown = match default {
                _ if field.spec.required => "required".to_owned(),
                None | Some(Value::Null) => "—".to_owned(),
                Some(Value::Map(_)) if nested => "—".to_owned(),
                Some(Value::String(text)) if text.is_empty() => "`\"\"`".to_owned(),
                Some(value) => format!("`{}`", print::to_flow(value)),
            };
            row(table, &key, &schema.type_name(), &shown, &meaning(field));
            schema.rows(&key, default, depth + 1, table);
        }
    }
}

fn meaning(field: &Field) -> String {
    let mut text = field.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut add = |remark: String| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&remark);
    };
    if let Some(why) = field.spec.no_effect {
        add(format!("No effect: {why}."));
    }
    if let Some(instead) = field.spec.deprecated {
        add(format!("Deprecated: {instead}."));
    }
    text
}

fn row(table: &mut String, key: &str, kind: &str, default: &str, meaning: &str) {
    let escape = |text: &str| text.replace('|', "\\|");
    let line = format!("| `{key}` | {} | {} | {} |", escape(kind), escape(default), escape(meaning));
    // writing to a string cannot fail
    writeln!(table, "{line}").unwrap_or_default();
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn get<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Map(entries) => entries.iter().find(|(name, _)| &*name.text == key).map(|(_, node)| &node.value),
        _ => None,
    }
}

/// Whether a key's name suggests that its value is a secret.
pub(crate) fn sounds_secret(key: &str) -> bool {
    let key: String = key.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let words = [
        "passw",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "authorization",
        "credential",
        "privatekey",
        "keypem",
        "accesskey",
    ];
    words.iter().any(|word| key.contains(word))
}
