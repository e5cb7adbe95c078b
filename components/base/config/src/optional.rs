//! Blocks that can be off: the Collector's `configoptional` with its three states.

use crate::{
    decode::{Decode, Decoder},
    node::{Key, Node, Value},
    schema::Schema,
    validate::Validator,
};

/// A block that may be off. `enabled: false` inside turns it off in every state, `enabled: true` turns it on; its other
/// settings are decoded and checked in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optional<T> {
    state: State<T>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State<T> {
    None,
    Off(T),
    On(T),
}

impl<T> Optional<T> {
    /// Off, without defaults: `block:` (null) does nothing, `block: {}` turns it on with `T::default()`.
    pub fn none() -> Self {
        Self { state: State::None }
    }

    /// Off until the key appears: `block:` (null) and `block: {}` turn it on with these values.
    pub fn default_off(value: T) -> Self {
        Self { state: State::Off(value) }
    }

    /// On unless turned off.
    pub fn some(value: T) -> Self {
        Self { state: State::On(value) }
    }

    /// The block, if it is on.
    pub fn get(&self) -> Option<&T> {
        match &self.state {
            State::On(value) => Some(value),
            State::None | State::Off(_) => None,
        }
    }

    /// The block to change, if it is on.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        match &mut self.state {
            State::On(value) => Some(value),
            State::None | State::Off(_) => None,
        }
    }

    /// The block, if it is on.
    pub fn into_inner(self) -> Option<T> {
        match self.state {
            State::On(value) => Some(value),
            State::None | State::Off(_) => None,
        }
    }

    /// Whether the block is on.
    pub fn is_on(&self) -> bool {
        self.get().is_some()
    }
}

/// Off, without defaults.
impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T: Decode + Default> Decode for Optional<T> {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let (value, had_default) = match base.state {
            State::None => (T::default(), false),
            State::Off(value) | State::On(value) => (value, true),
        };
        if node.is_null() {
            return if had_default { Self::some(value) } else { Self::none() };
        }
        let mut enabled = true;
        let mut without = None;
        if let Some((_, switch)) = node.entry("enabled") {
            enabled = cx.in_key("enabled", |cx| bool::decode(switch, true, cx));
            let rest = node.entries().iter().filter(|(key, _)| &*key.text != "enabled").cloned().collect();
            without =
                Some(Node { value: Value::Map(rest), origin: node.origin.clone(), expansion: node.expansion.clone() });
        }
        cx.also_known = Some("enabled");
        let value = T::decode(without.as_ref().unwrap_or(node), value, cx);
        cx.also_known = None;
        if enabled { Self::some(value) } else { Self::default_off(value) }
    }

    fn schema() -> Schema {
        Schema::Optional(T::schema)
    }

    fn encode(&self) -> Value {
        let (enabled, value) = match &self.state {
            State::None => return Value::Null,
            State::Off(value) => (false, value.encode()),
            State::On(value) => (true, value.encode()),
        };
        match value {
            Value::Map(entries) => {
                let mut all = vec![(Key::new("enabled"), Node::from(Value::Bool(enabled)))];
                all.extend(entries);
                Value::Map(all)
            }
            other => other,
        }
    }

    fn validate(&self, validator: &mut Validator<'_>) {
        if let Some(value) = self.get() {
            value.validate(validator);
        }
    }
}
