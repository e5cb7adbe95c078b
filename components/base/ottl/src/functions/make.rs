//! What converters are made of: declarations in one line, and the shapes that most of them share.
//!
//! A converter of one value is a function from that value to another ([`unary`]); values pass through it by move, so
//! that text borrowed from the statement stays borrowed. Where all arguments are literals, the value is computed once,
//! with the statement; errors are left to the run, so that a statement fails where it is met, as others do.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::context::Context;
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Arguments, Built, Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::{Map, Value};

/// The most bytes of a text that a converter makes of smaller ones.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;
/// How deep lists and maps may nest that are parsed or built up by converters.
pub(super) const DEPTH_MAX: usize = 64;

/// The most values that are made of one text: each takes more memory than the text that it stands for.
pub(super) const VALUES_MAX: usize = 1 << 18;

/// The first parameter of most.
pub(super) const TARGET: Param = value("target");

/// What a converter yields.
pub(super) type Outcome<'v> = Result<Value<'v>, RunError>;

pub(super) const fn value(name: &'static str) -> Param {
    Param::required(name, ParamKind::Value)
}

pub(super) const fn function(
    name: &'static str,
    params: &'static [Param],
    build: fn(&mut Arguments) -> Result<Built, String>,
) -> Function {
    Function { name, params, contexts: &[], build }
}

/// One that exists in some contexts only.
pub(super) const fn function_in(
    contexts: &'static [Context],
    name: &'static str,
    params: &'static [Param],
    build: fn(&mut Arguments) -> Result<Built, String>,
) -> Function {
    Function { name, params, contexts, build }
}

/// Boxes a converter.
pub(super) fn converter(convert: impl Convert + 'static) -> Result<Built, String> {
    Ok(Built::Converter(Box::new(convert)))
}

/// A value known with the statement.
struct Constant(Value<'static>);

impl Convert for Constant {
    fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Outcome<'c> {
        Ok(self.0.by_ref())
    }
}

/// From a value, and what was made of literal arguments, to a value.
pub(super) type Apply<S> = for<'v> fn(&'v S, Value<'v>) -> Outcome<'v>;

struct Unary<S> {
    target: Expr,
    state: S,
    apply: Apply<S>,
}

impl<S: Send + Sync> Convert for Unary<S> {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        (self.apply)(&self.state, self.target.eval(on)?)
    }
}

/// A converter of the value of one argument.
pub(super) fn unary_with<S: Send + Sync + 'static>(
    arguments: &mut Arguments,
    name: &'static str,
    state: S,
    apply: Apply<S>,
) -> Result<Built, String> {
    let target = arguments.value(name)?;
    let known = target.literal().and_then(|literal| Some(apply(&state, literal.by_ref()).ok()?.into_owned()));
    match known {
        Some(known) => converter(Constant(known)),
        None => converter(Unary { target, state, apply }),
    }
}

/// The same, without literal arguments beside.
pub(super) fn unary(
    arguments: &mut Arguments,
    name: &'static str,
    apply: for<'v> fn(Value<'v>) -> Outcome<'v>,
) -> Result<Built, String> {
    unary_with(arguments, name, apply, |apply, value| apply(value))
}

/// A converter of the text of `target`.
pub(super) fn of_text(
    arguments: &mut Arguments,
    apply: for<'v> fn(Cow<'v, str>) -> Outcome<'v>,
) -> Result<Built, String> {
    unary_with(arguments, "target", apply, |apply, value| apply(text(value)?))
}

/// From two values, and what was made of literal arguments, to a value.
pub(super) type ApplyBoth<S> = for<'v> fn(&'v S, Value<'v>, Value<'v>) -> Outcome<'v>;

struct Binary<S> {
    left: Expr,
    right: Expr,
    state: S,
    apply: ApplyBoth<S>,
}

impl<S: Send + Sync> Convert for Binary<S> {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let left = self.left.eval(on)?;
        (self.apply)(&self.state, left, self.right.eval(on)?)
    }
}

/// A converter of the values of two arguments.
pub(super) fn binary_with<S: Send + Sync + 'static>(
    arguments: &mut Arguments,
    names: [&'static str; 2],
    state: S,
    apply: ApplyBoth<S>,
) -> Result<Built, String> {
    let (left, right) = (arguments.value(names[0])?, arguments.value(names[1])?);
    converter(Binary { left, right, state, apply })
}

/// The same, without literal arguments beside.
pub(super) fn binary(
    arguments: &mut Arguments,
    names: [&'static str; 2],
    apply: for<'v> fn(Value<'v>, Value<'v>) -> Outcome<'v>,
) -> Result<Built, String> {
    binary_with(arguments, names, apply, |apply, left, right| apply(left, right))
}

struct Digest<F> {
    target: Expr,
    digest: F,
}

impl<F: Fn(&str) -> Outcome<'static> + Send + Sync> Convert for Digest<F> {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        self.target
            .with_str(on, |text| text.map(&self.digest))?
            .unwrap_or_else(|| Err(RunError::expected("a string", &Value::Nil)))
    }
}

/// A converter from the text of `target` to a value that keeps nothing of the text, which is not copied.
pub(super) fn digest(arguments: &mut Arguments, digest: fn(&str) -> Value<'static>) -> Result<Built, String> {
    digest_or_fail(arguments, "target", move |text| Ok(digest(text)))
}

/// The same for other arguments, and texts that may be wrong.
pub(super) fn digest_or_fail(
    arguments: &mut Arguments,
    name: &'static str,
    digest: impl Fn(&str) -> Outcome<'static> + Send + Sync + 'static,
) -> Result<Built, String> {
    converter(Digest { target: arguments.value(name)?, digest })
}

/// Whether a text may be made into so many values.
///
/// # Errors
/// When it may not.
pub(super) fn check_count(values: usize) -> Result<(), RunError> {
    if values <= VALUES_MAX {
        return Ok(());
    }
    Err(RunError::new(format!("the text holds more than {VALUES_MAX} values")))
}

/// The text of a value.
pub(super) fn text(value: Value<'_>) -> Result<Cow<'_, str>, RunError> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(RunError::expected("a string", &other)),
    }
}

/// The elements of a list.
pub(super) fn list(value: Value<'_>) -> Result<Vec<Value<'_>>, RunError> {
    match value {
        Value::List(values) => Ok(values),
        other => Err(RunError::expected("a list", &other)),
    }
}

/// The entries of a map.
pub(super) fn map(value: Value<'_>) -> Result<Map<'_>, RunError> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(RunError::expected("a map", &other)),
    }
}

/// A part of a text that borrows where the text does.
pub(super) fn part<'v>(text: Cow<'v, str>, cut: impl for<'t> FnOnce(&'t str) -> &'t str) -> Value<'v> {
    Value::Str(match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(text) => {
            let kept = cut(&text);
            if kept.len() == text.len() { Cow::Owned(text) } else { Cow::Owned(kept.to_owned()) }
        }
    })
}

/// The text of a value that may be anything: bytes in hexadecimal, the others as [`Value::to_text`] has them. `None` for
/// nil.
pub(super) fn text_like(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Nil => None,
        Value::Str(text) => Some(text),
        Value::Bytes(bytes) => Some(Cow::Owned(crate::text::hex(&bytes))),
        other => Some(Cow::Owned(other.to_text())),
    }
}

/// The texts of a list of literal strings.
pub(super) fn literal_texts(name: &'static str, exprs: Vec<Expr>) -> Result<Vec<String>, String> {
    exprs
        .iter()
        .map(|expr| match expr.literal() {
            Some(Value::Str(text)) => Ok(text.to_string()),
            _ => Err(format!("argument `{name}` takes a list of literal strings")),
        })
        .collect()
}

/// Entries of a map as they are met; of equal keys the last wins, in the place of the first. Adding is cheap however
/// many there are, since the text that is parsed may come from anyone.
#[derive(Default)]
pub(super) struct Entries {
    entries: Vec<(Cow<'static, str>, Value<'static>)>,
    places: HashMap<String, usize>,
}

impl Entries {
    /// From here on keys are looked up by hash.
    const SCANNED_MAX: usize = 16;

    pub(super) fn put(&mut self, key: impl Into<Cow<'static, str>>, value: Value<'static>) {
        *self.slot(key.into()) = value;
    }

    pub(super) fn put_text(&mut self, key: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.put(key, Value::text(text));
    }

    /// The value of a key, nil if it is new.
    pub(super) fn slot(&mut self, key: Cow<'static, str>) -> &mut Value<'static> {
        let known = if self.entries.len() < Self::SCANNED_MAX {
            self.entries.iter().position(|(found, _)| *found == key)
        } else {
            if self.places.is_empty() {
                self.places = self.entries.iter().enumerate().map(|(at, (key, _))| (key.to_string(), at)).collect();
            }
            self.places.get(&*key).copied()
        };
        let at = known.unwrap_or_else(|| {
            if !self.places.is_empty() {
                self.places.insert(key.to_string(), self.entries.len());
            }
            self.entries.push((key, Value::Nil));
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }

    pub(super) fn finish(self) -> Value<'static> {
        let mut map = Map::new();
        *map.entries_mut() = self.entries;
        Value::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_keys_unique_however_many() {
        let mut entries = Entries::default();
        for round in 0..3 {
            for key in 0..100 {
                entries.put(key.to_string(), Value::Int(round));
            }
        }
        let Value::Map(map) = entries.finish() else { panic!("a map") };
        assert_eq!(map.len(), 100);
        assert!(map.iter().zip(0..).all(|((key, value), at)| *key == at.to_string() && matches!(value, Value::Int(2))));
    }
}
