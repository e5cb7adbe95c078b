//! Values written in the configuration, with the type that YAML gives them.

use config::{Node, Value as Yaml};
use pdata::edit::{EditError, Value, ValueBuf};
use pdata::validate::DEPTH_MAX;
use pdata::view::ValueView;

/// The deepest attributes are those of data points: request, resource, scope, metric, data, point, pair.
const ATTRIBUTE_DEPTH: u32 = 7;

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `null` inside a list or map.
    Empty,
    /// Text.
    Str(Box<str>),
    /// Truth.
    Bool(bool),
    /// Integer; those beyond 63 bits wrap, as in the Collector.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// A list.
    List(Vec<Self>),
    /// A map in the file's order; keys are unique.
    Map(Vec<(Box<str>, Self)>),
}

impl Constant {
    /// The value of a setting; `None` when it is absent or null.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        (!node.is_null()).then(|| Self::of_value(&node.value))
    }

    fn of_value(value: &Yaml) -> Self {
        match value {
            Yaml::Null => Self::Empty,
            Yaml::Bool(truth) => Self::Bool(*truth),
            Yaml::Int(int) => Self::Int(*int),
            Yaml::UInt(int) => Self::Int(int.cast_signed()),
            Yaml::Float(float) => Self::Double(*float),
            Yaml::String(text) => Self::Str((**text).into()),
            Yaml::List(items) => Self::List(items.iter().map(|item| Self::of_value(&item.value)).collect()),
            Yaml::Map(entries) => {
                Self::Map(entries.iter().map(|(key, node)| ((*key.text).into(), Self::of_value(&node.value))).collect())
            }
        }
    }

    /// Its type in the Collector's words.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Str(_) => "Str",
            Self::Bool(_) => "Bool",
            Self::Int(_) => "Int",
            Self::Double(_) => "Double",
            Self::List(_) => "Slice",
            Self::Map(_) => "Map",
        }
    }

    /// It as a value that can be written to an attribute of any item.
    ///
    /// # Errors
    /// [`EditError::Depth`] when it nests too deeply for that.
    pub fn to_buf(&self) -> Result<ValueBuf, EditError> {
        if self.depth() > DEPTH_MAX - ATTRIBUTE_DEPTH { Err(EditError::Depth) } else { self.encode() }
    }

    /// How many messages deep it nests, itself included.
    fn depth(&self) -> u32 {
        match self {
            Self::List(items) => 2 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(entries) => 3 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 1,
        }
    }

    fn encode(&self) -> Result<ValueBuf, EditError> {
        Ok(match self {
            Self::Empty => Value::Empty.into(),
            Self::Str(text) => Value::Str(text).into(),
            Self::Bool(truth) => Value::Bool(*truth).into(),
            Self::Int(int) => Value::Int(*int).into(),
            Self::Double(double) => Value::Double(*double).into(),
            Self::List(items) => ValueBuf::list(items.iter().map(Self::encode).collect::<Result<Vec<_>, _>>()?)?,
            Self::Map(entries) => {
                let pairs = entries.iter().map(|(key, value)| Ok((&**key, value.encode()?)));
                ValueBuf::map(pairs.collect::<Result<Vec<_>, EditError>>()?)?
            }
        })
    }

    /// Whether a value is of the same type and equal. The order of a map's keys does not count.
    #[must_use]
    pub fn equals(&self, value: ValueView<'_>) -> bool {
        match (self, value) {
            (Self::Empty, ValueView::Empty) => true,
            (Self::Str(a), ValueView::Str(b)) => **a == *b,
            (Self::Bool(a), ValueView::Bool(b)) => *a == b,
            (Self::Int(a), ValueView::I64(b)) => *a == b,
            #[expect(clippy::float_cmp, reason = "equal is what was asked for")]
            (Self::Double(a), ValueView::F64(b)) => *a == b,
            (Self::List(items), ValueView::Array(values)) => {
                let mut values = values.iter();
                items.iter().all(|item| values.next().is_some_and(|value| item.equals(value)))
                    && values.next().is_none()
            }
            (Self::Map(entries), ValueView::KvList(pairs)) => {
                entries.len() == pairs.len()
                    && entries.iter().all(|(key, item)| pairs.get(key).is_some_and(|value| item.equals(value)))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use config::{Limits, Source};

    use super::*;

    fn constant(yaml: &str) -> Constant {
        Constant::of(&config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap()).unwrap()
    }

    #[test]
    fn types_are_those_of_yaml_and_equal_themselves_only() {
        let all = ["a", "'1'", "1", "1.5", "true", "[1, b]", "[1]", "[]", "{k: 1, l: [x]}", "{k: 1}", "[null]", "{}"];
        for (n, yaml) in all.iter().enumerate() {
            let mut bytes = Vec::new();
            constant(yaml).to_buf().unwrap().value().encode(&mut bytes);
            for (m, other) in all.iter().enumerate() {
                assert_eq!(constant(other).equals(ValueView::new(&bytes)), n == m, "{yaml} {other}");
            }
        }
        let mut bytes = Vec::new();
        constant("{l: [x], k: 1}").to_buf().unwrap().value().encode(&mut bytes);
        assert!(constant("{k: 1, l: [x]}").equals(ValueView::new(&bytes)));
        assert_eq!(constant("18446744073709551615"), Constant::Int(-1));
        assert_eq!(Constant::of(&Node::default()), None);
    }

    #[test]
    fn too_deep_a_value_cannot_be_written() {
        let nested = |times: usize| constant(&format!("{}1{}", "[".repeat(times), "]".repeat(times))).to_buf();
        let most = (DEPTH_MAX - ATTRIBUTE_DEPTH - 1) as usize / 2;
        assert!(nested(most).is_ok());
        assert_eq!(nested(most + 1), Err(EditError::Depth));
    }
}
