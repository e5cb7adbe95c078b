//! Lists in which statements or conditions stand alone or in groups.

use config::{Block, Decode, Decoder, Node, Schema, Validator, Value, codes};

/// A text, or a group of texts with settings of their own.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<G> {
    /// A statement or condition.
    Text(String),
    /// A group.
    Group(G),
}

/// A list of either; mixing is up to the component.
pub type Groups<G> = Vec<Entry<G>>;

impl<G: Default> Default for Entry<G> {
    fn default() -> Self {
        Self::Group(G::default())
    }
}

impl<G: Decode + Default + Block> Decode for Entry<G> {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::Map(_) => Self::Group(G::decode(node, G::default(), cx)),
            Value::Null if node.expansion.is_none() => {
                cx.push(cx.error(node, codes::INVALID_VALUE, "an item of this list is empty"));
                base
            }
            _ => match node.text() {
                Some(text) => Self::Text(text.to_owned()),
                None => {
                    cx.wrong_type(node, "a statement or a group of them");
                    base
                }
            },
        }
    }

    fn schema() -> Schema {
        G::schema()
    }

    fn encode(&self) -> Value {
        match self {
            Self::Text(text) => Value::string(text.as_str()),
            Self::Group(group) => group.encode(),
        }
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        if let Self::Group(group) = self {
            group.validate(validator);
        }
    }
}
