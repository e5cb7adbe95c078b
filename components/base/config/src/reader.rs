//! Decoding of blocks (structs) and choices (unit enums): what `#[derive(Config)]` generates calls into this file.

use crate::{
    basic, codes,
    decode::{Decode, Decoder},
    nearest::nearest,
    node::{Key, Node, Value},
    schema::Schema,
    secret::Secret,
    validate::Validator,
};

/// Unknown keys that one message lists.
const UNKNOWN_KEYS_SHOWN_MAX: usize = 20;

/// A struct of settings. Derived; by hand only for maps whose keys depend on each other.
pub trait Block: Decode {
    /// Takes the settings it knows out of `map`, over itself.
    #[must_use]
    fn read(self, map: &mut MapReader<'_>, cx: &mut Decoder<'_>) -> Self;

    /// Its settings, flattened ones included.
    fn fields() -> Vec<Field>;

    /// Appends its settings as they would be written.
    fn encode_into(&self, entries: &mut Vec<(Key, Node)>);

    /// Validates the blocks inside it, then itself.
    fn validate_fields(&self, validator: &mut Validator<'_>);
}

/// The fixed properties of a setting.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldSpec {
    /// The key.
    pub key: &'static str,
    /// Other keys that mean the same.
    pub aliases: &'static [&'static str],
    /// Older keys that mean the same, with a warning.
    pub deprecated_aliases: &'static [&'static str],
    /// Must be written.
    pub required: bool,
    /// Why the setting is accepted and does nothing.
    pub no_effect: Option<&'static str>,
    /// Why the setting is refused.
    pub unsupported: Option<&'static str>,
    /// What to use instead of the setting, which still works.
    pub deprecated: Option<&'static str>,
}

/// A setting, for documentation, redaction and suggestions.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Key and properties.
    pub spec: &'static FieldSpec,
    /// The doc comment.
    pub doc: &'static str,
    /// What can be written; a function, since blocks may contain themselves.
    pub schema: fn() -> Schema,
}

/// The entries of a map node, and which of them have been read.
#[derive(Debug)]
pub struct MapReader<'n> {
    node: &'n Node,
    taken: Vec<bool>,
    also_known: Option<&'static str>,
}

impl<'n> MapReader<'n> {
    /// Opens a map; null is an empty one. For anything else an error is reported, and `None` returned.
    pub fn open(node: &'n Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let also_known = cx.also_known.take();
        match &node.value {
            Value::Map(entries) => Some(Self { node, taken: vec![false; entries.len()], also_known }),
            Value::Null => Some(Self { node, taken: Vec::new(), also_known }),
            _ => {
                let mut error = cx.wrong_type_error(node, "a map");
                if let (Value::String(text), None) = (&node.value, &node.expansion)
                    && let Some((key, rest)) = text.split_once(':')
                    && !rest.is_empty()
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                {
                    error = error.with_fix(format!("a space is missing after `{key}:`"));
                }
                cx.push(error);
                None
            }
        }
    }

    /// The map itself.
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// Key and value under `key`, which is then known.
    pub fn take(&mut self, key: &str) -> Option<(&'n Key, &'n Node)> {
        let index = self.node.entries().iter().position(|(candidate, _)| &*candidate.text == key)?;
        self.taken[index] = true;
        self.node.entries().get(index).map(|(key, node)| (key, node))
    }

    /// The entries that have not been read, which are then known.
    pub fn take_rest(&mut self) -> Vec<(&'n Key, &'n Node)> {
        let mut rest = Vec::new();
        for (taken, (key, node)) in self.taken.iter_mut().zip(self.node.entries()) {
            if !std::mem::replace(taken, true) {
                rest.push((key, node));
            }
        }
        rest
    }

    /// Reads one setting over its default.
    pub fn field<T: Decode>(&mut self, spec: &FieldSpec, base: T, cx: &mut Decoder<'_>) -> T {
        let mut found: Option<(&Key, &Node)> = None;
        let names = std::iter::once(&spec.key).chain(spec.aliases).chain(spec.deprecated_aliases);
        for name in names {
            let Some((key, node)) = self.take(name) else { continue };
            let place = Node::new(Value::Null, key.origin.clone());
            if let Some((first, _)) = found {
                let message = format!("`{}` and `{}` are the same setting, given twice", first.text, key.text);
                let error = cx.in_key(name, |cx| cx.error(&place, codes::GIVEN_TWICE, message));
                cx.push(error.with_related(&first.origin, "also given here"));
                continue;
            }
            found = Some((key, node));
            if spec.deprecated_aliases.contains(name) {
                let message = format!("`{name}` is called `{}` now", spec.key);
                let warning = cx.in_key(name, |cx| cx.warning(&place, codes::DEPRECATED, message));
                cx.push(warning.with_fix(format!("rename it to `{}`", spec.key)));
            }
        }
        let Some((key, node)) = found else {
            if spec.required {
                let message = format!("'{}' lacks `{}`", cx.quoted_path(), spec.key);
                let mut error = cx.error(self.node, codes::MISSING_KEY, message);
                error.setting = cx.in_key(spec.key, |cx| cx.full_path());
                cx.push(error.with_fix(format!("add `{}:`", spec.key)));
            }
            return base;
        };
        cx.in_key(&key.text, |cx| {
            let place = Node::new(Value::Null, key.origin.clone());
            if let Some(why) = spec.unsupported {
                if !asks_for_nothing(node) {
                    let message = format!("`{}` is not supported: {why}", cx.quoted_path());
                    let error = cx.error(&place, codes::UNSUPPORTED_KEY, message);
                    cx.push(error);
                }
                return base;
            }
            if let Some(why) = spec.no_effect {
                let message = format!("`{}` has no effect: {why}", cx.quoted_path());
                let warning = cx.warning(&place, codes::NO_EFFECT, message);
                cx.push(warning);
            }
            if let Some(instead) = spec.deprecated {
                let message = format!("`{}` is deprecated: {instead}", cx.quoted_path());
                let warning = cx.warning(&place, codes::DEPRECATED, message);
                cx.push(warning);
            }
            T::decode(node, base, cx)
        })
    }

    /// Reports every key that was not read. `fields` is asked only if there is one.
    pub fn finish(self, fields: impl FnOnce() -> Vec<Field>, cx: &mut Decoder<'_>) {
        let untaken = self.taken.iter().zip(self.node.entries()).filter(|(taken, _)| !**taken);
        let mut unknown: Vec<&(Key, Node)> = untaken.map(|(_, entry)| entry).collect();
        if unknown.is_empty() {
            return;
        }
        unknown.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
        let fields = fields();
        let usable = fields.iter().filter(|field| field.spec.unsupported.is_none());
        let known: Vec<&str> = self.also_known.into_iter().chain(usable.map(|field| field.spec.key)).collect();
        for (key, node) in &unknown {
            let meant = nearest(&key.text, known.iter().copied());
            if !meant.is_some_and(|meant| is_harmless(meant, &fields)) {
                mask_scalars(node, cx);
            }
        }
        let names: Vec<&str> = unknown.iter().take(UNKNOWN_KEYS_SHOWN_MAX).map(|(key, _)| &*key.text).collect();
        let more = unknown.len().saturating_sub(names.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let message = format!("'{}' has invalid keys: {}{more}", cx.quoted_path(), names.join(", "));
        let mut first = unknown.iter().take(UNKNOWN_KEYS_SHOWN_MAX).collect::<Vec<_>>();
        first.sort_by_key(|(key, _)| (key.origin.line, key.origin.column));
        let Some(((key, _), others)) = first.split_first() else { return };
        let place = Node::new(Value::Null, key.origin.clone());
        let suggestion = nearest(&key.text, known.iter().copied());
        let mut error = cx.error(&place, codes::UNKNOWN_KEY, message).with_suggestion(suggestion);
        error.setting = cx.in_key(&key.text, |cx| cx.full_path());
        let list = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        error = error.with_fix(match suggestion {
            Some(suggestion) => format!("rename `{}` to `{suggestion}`; valid here: {list}", key.text),
            None => format!("remove it; valid here: {list}"),
        });
        for (key, _) in others {
            let part = match nearest(&key.text, known.iter().copied()) {
                Some(suggestion) => format!("`{}`; closest: {suggestion}", key.text),
                None => format!("`{}`", key.text),
            };
            error = error.with_related(&key.origin, part);
        }
        cx.push(error);
    }
}

/// Whether a setting is as good as absent, so that it does not matter that it is not supported: nothing, an empty list,
/// or a block that is switched off.
fn asks_for_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(_) => node.get("enabled").is_some_and(|enabled| matches!(enabled.value, Value::Bool(false))),
        _ => false,
    }
}

/// Whether the setting that was probably meant is one whose value may be shown.
fn is_harmless(key: &str, fields: &[Field]) -> bool {
    fields.iter().find(|field| field.spec.key == key).is_some_and(|field| {
        matches!(
            (field.schema)(),
            Schema::Bool | Schema::Int | Schema::Float | Schema::String | Schema::Duration | Schema::Choice(_)
        )
    })
}

/// A value whose key is not known may be a secret with a mistyped name, so quoted lines do not show it.
fn mask_scalars(node: &Node, cx: &mut Decoder<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| mask_scalars(item, cx)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| mask_scalars(value, cx)),
        Value::Null | Value::Bool(_) => {}
        _ => cx.mask(node),
    }
}

/// A value of a choice.
#[derive(Clone, Copy, Debug)]
pub struct ChoiceValue {
    /// As written.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The doc comment.
    pub doc: &'static str,
}

/// A setting with a fixed set of values. Derived for unit enums.
pub trait Choice: Sized {
    /// The values, in the order of the enum.
    const VALUES: &'static [ChoiceValue];

    /// The value as written.
    fn as_str(&self) -> &'static str;
}

/// Finds the choice that a node names: its index in `values`. `None` for null, and for anything else after an error.
pub fn decode_choice(node: &Node, values: &[ChoiceValue], ignore_case: bool, cx: &mut Decoder<'_>) -> Option<usize> {
    if node.is_null() {
        return None;
    }
    let names = || values.iter().map(|value| value.name).filter(|name| !name.is_empty());
    let expected = || format!("one of {}", names().collect::<Vec<_>>().join(", "));
    let text = basic::text(node, &expected(), cx)?;
    let same = |name: &str| if ignore_case { name.eq_ignore_ascii_case(text) } else { name == text };
    let found = values.iter().position(|value| same(value.name) || value.aliases.iter().any(|alias| same(alias)));
    if found.is_none() {
        let message = format!("'{}' does not know {}", cx.quoted_path(), node.describe());
        let error = cx.error(node, codes::NOT_A_CHOICE, message).with_expected(expected());
        cx.push(error.with_suggestion(nearest(text, names())));
    }
    found
}

/// A setting that weir refuses: the type of fields marked `#[config(unsupported = "…")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsupported;

impl Decode for Unsupported {
    fn decode(_: &Node, base: Self, _: &mut Decoder<'_>) -> Self {
        base
    }

    fn schema() -> Schema {
        Schema::Any
    }
}

impl Secret {
    /// The secret of a setting that may be absent.
    pub fn expose_if_set(&self) -> Option<&str> {
        Some(self.expose()).filter(|text| !text.is_empty())
    }
}
