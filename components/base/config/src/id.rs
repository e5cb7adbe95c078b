//! Component IDs: `type` or `type/name`.

use crate::{
    basic, codes,
    decode::{Decode, Decoder},
    node::{Node, Value},
    schema::Schema,
};
use std::{fmt, str::FromStr, sync::Arc};

const TYPE_CHARS_MAX: usize = 63;
const NAME_CHARS_MAX: usize = 1024;

/// The ID of a component: a type, and a name that may be empty. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ComponentId {
    type_name: Arc<str>,
    name: Arc<str>,
}

/// Why a text is not a component ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError(String);

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IdError {}

impl ComponentId {
    /// An ID without name. `type_name` is not checked; use [`str::parse`] for text from outside.
    pub fn new(type_name: &str) -> Self {
        Self { type_name: Arc::from(type_name), name: Arc::from("") }
    }

    /// An ID with a name. Neither is checked; use [`str::parse`] for text from outside.
    pub fn with_name(type_name: &str, name: &str) -> Self {
        Self { type_name: Arc::from(type_name), name: Arc::from(name) }
    }

    /// The part before the slash.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The part after the slash; empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

impl fmt::Debug for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Spaces around the slash and at the ends are removed.
impl FromStr for ComponentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = |why: String| Err(IdError(why));
        if text.trim().is_empty() {
            return fail("id must not be empty".to_owned());
        }
        let (type_name, name) = match text.split_once('/') {
            Some((type_name, name)) => (type_name.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let shown = crate::node::shorten(text);
        if type_name.is_empty() {
            return fail(format!("in \"{shown}\" id: the part before / should not be empty"));
        }
        if name.is_some_and(str::is_empty) {
            return fail(format!("in \"{shown}\" id: the part after / should not be empty"));
        }
        if !is_type(type_name) {
            return fail(format!(
                "in \"{shown}\" id: invalid character(s) in type \"{}\"",
                crate::node::shorten(type_name)
            ));
        }
        let name = name.unwrap_or("");
        if name.chars().count() > NAME_CHARS_MAX {
            return fail(format!("in \"{shown}\" id: the name is longer than {NAME_CHARS_MAX} characters"));
        }
        if let Some(bad) = name.chars().find(|c| !is_name_char(*c)) {
            return fail(format!("in \"{shown}\" id: invalid character {bad:?} in name"));
        }
        Ok(Self::with_name(type_name, name))
    }
}

/// `^[a-zA-Z][0-9a-zA-Z_]{0,62}$`
fn is_type(text: &str) -> bool {
    text.len() <= TYPE_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[^\pZ\pC\pS]`; of the symbols (`\pS`) beyond Latin-1 the common blocks.
fn is_name_char(c: char) -> bool {
    let symbol = matches!(c, '$' | '+' | '<'..='>' | '^' | '`' | '|' | '~')
        || matches!(c, '\u{a2}'..='\u{a6}' | '\u{a8}' | '\u{a9}' | '\u{ac}' | '\u{ae}'..='\u{b1}' | '\u{b4}' | '\u{b8}' | '\u{d7}' | '\u{f7}')
        || matches!(c, '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{e000}'..='\u{f8ff}');
    !(c.is_whitespace() || c.is_control() || symbol || invisible)
}

impl Decode for ComponentId {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        if node.is_null() {
            return base;
        }
        let Some(text) = basic::text(node, "a component ID such as `otlp` or `otlp/eu`", cx) else { return base };
        text.parse().unwrap_or_else(|error: IdError| {
            let error = cx.error(node, codes::BAD_COMPONENT_ID, error.to_string());
            cx.push(error);
            base
        })
    }

    fn schema() -> Schema {
        Schema::ComponentId
    }

    fn encode(&self) -> Value {
        if self.type_name.is_empty() { Value::Null } else { Value::string(self.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::ComponentId;

    #[test]
    fn follows_the_rules_for_type_and_name() {
        for (text, shown) in [
            ("otlp", "otlp"),
            ("otlp/eu", "otlp/eu"),
            (" otlp / eu ", "otlp/eu"),
            ("a/b/c", "a/b/c"),
            ("otlp/\u{fc}ber-1.2,x", "otlp/\u{fc}ber-1.2,x"),
        ] {
            assert_eq!(text.parse::<ComponentId>().unwrap().to_string(), shown);
        }
        let long = "t".repeat(64);
        for (text, part) in [
            ("", "must not be empty"),
            ("/x", "the part before /"),
            ("x/", "the part after /"),
            ("x/ ", "the part after /"),
            ("1x", "invalid character(s) in type"),
            ("a-b", "invalid character(s) in type"),
            ("a b", "invalid character(s) in type"),
            (&long, "invalid character(s) in type"),
            ("a/b c", "invalid character ' ' in name"),
            ("a/b$", "invalid character '$' in name"),
            ("a/\u{20ac}", "in name"),
            ("a/\u{1f600}", "in name"),
        ] {
            let error = text.parse::<ComponentId>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
