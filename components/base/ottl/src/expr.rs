//! Compiled expressions.

use std::borrow::Cow;
use std::fmt;

use crate::error::RunError;
use crate::function::Convert;
use crate::path::{Path, Raw};
use crate::subject::Subject;
use crate::value::Value;

/// The most bytes of the buffer for copied text that are kept between records.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// A compiled value expression.
#[non_exhaustive]
pub enum Expr {
    /// A literal.
    Literal(Value<'static>),
    /// A path: read where it is, without a copy, by [`Expr::with`].
    Path(Box<Path>),
    /// Anything else that is computed on each record: converters, arithmetic, lists, indexing.
    Computed(Box<dyn Convert>),
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => value.fmt(f),
            Self::Path(path) => path.fmt(f),
            Self::Computed(_) => f.write_str("Computed"),
        }
    }
}

impl Expr {
    /// Its value on a record.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    #[inline]
    pub fn eval<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        match self {
            Self::Literal(value) => Ok(value.by_ref()),
            Self::Path(path) => path.get(on),
            Self::Computed(convert) => convert.convert(on),
        }
    }

    /// Its value if that is known before any record is.
    #[must_use]
    pub fn literal(&self) -> Option<&Value<'static>> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Path(_) | Self::Computed(_) => None,
        }
    }

    /// Calls `read` with its value, without copying text and bytes out of the telemetry where it is a path.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    #[inline]
    pub fn with<T>(&self, on: &mut Subject<'_>, read: impl FnOnce(&Value<'_>) -> T) -> Result<T, RunError> {
        match self {
            Self::Literal(value) => Ok(read(value)),
            Self::Path(path) => path.with(on, |raw| read(&raw.into_value())),
            Self::Computed(convert) => convert.convert(on).map(|value| read(&value)),
        }
    }

    /// Calls `read` with the bytes of its text where it is a path to text on the wire, which are not looked at for being
    /// UTF-8 again. `None` where it is anything else.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    #[inline]
    pub(crate) fn with_wire_text<T>(
        &self,
        on: &mut Subject<'_>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, RunError> {
        match self {
            Self::Path(path) => path.with(on, |raw| match raw {
                Raw::Wire(value) => value.str_bytes().map(read),
                Raw::Value(_) => None,
            }),
            Self::Literal(_) | Self::Computed(_) => Ok(None),
        }
    }

    /// Calls `read` with its text, without copying it out of the telemetry where it is a path. `None` for nil.
    ///
    /// # Errors
    /// [`RunError`] when it is something else than text or nil.
    #[inline]
    pub fn with_str<T>(&self, on: &mut Subject<'_>, read: impl FnOnce(Option<&str>) -> T) -> Result<T, RunError> {
        self.with(on, |value| match value {
            Value::Str(text) => Ok(read(Some(text))),
            Value::Nil => Ok(read(None)),
            other => Err(RunError::expected("a string", other)),
        })?
    }
}

/// A compiled path that can be written: the first argument of most editors.
pub struct Target(pub Box<dyn Access>);

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

impl Target {
    /// Sets the path to the value of an expression; nil sets nothing. Text of another path is not given an allocation of
    /// its own on the way.
    ///
    /// # Errors
    /// [`RunError`] when there is no value, or the path cannot hold it.
    pub fn set_from(&self, value: &Expr, on: &mut Subject<'_>) -> Result<(), RunError> {
        let path = match value {
            Expr::Path(path) => path,
            Expr::Literal(Value::Nil) => return Ok(()),
            Expr::Literal(value) => return self.0.set(on, value.by_ref()),
            Expr::Computed(convert) => {
                return match convert.convert(on)? {
                    Value::Nil => Ok(()),
                    value => self.0.set(on, value),
                };
            }
        };
        let mut text = std::mem::take(&mut on.scratch);
        text.clear();
        let other = path.with(on, |raw| match raw.into_value() {
            Value::Str(found) => {
                text.push_str(&found);
                None
            }
            other => Some(other.into_owned()),
        });
        let outcome = match other {
            Ok(None) => self.0.set(on, Value::Str(Cow::Borrowed(&text))),
            Ok(Some(Value::Nil)) => Ok(()),
            Ok(Some(other)) => self.0.set(on, other),
            Err(error) => Err(error),
        };
        keep(on, text);
        outcome
    }

    /// Replaces its text by what `replace` writes to the empty buffer that it is given; leaves it where that returns
    /// false, and what is no text. Text is read where it lies.
    ///
    /// # Errors
    /// As for reading and setting, and of `replace`.
    pub fn replace_text(
        &self,
        on: &mut Subject<'_>,
        mut replace: impl FnMut(&str, &mut String) -> Result<bool, RunError>,
    ) -> Result<(), RunError> {
        let mut new = std::mem::take(&mut on.scratch);
        new.clear();
        let outcome = self.0.replace_text(on, &mut new, &mut replace);
        keep(on, new);
        outcome
    }
}

/// Keeps a buffer for the next text. What was once long is not kept.
fn keep(on: &mut Subject<'_>, text: String) {
    if text.capacity() <= SCRATCH_BYTES_MAX {
        on.scratch = text;
    }
}

/// Writes what comes in the place of a text; false where that stays.
pub type Replace<'r> = dyn FnMut(&str, &mut String) -> Result<bool, RunError> + 'r;

/// Reads and writes one path.
pub trait Access: Convert {
    /// Replaces its text by what `replace` writes to the empty buffer `new`; see [`Target::replace_text`].
    ///
    /// # Errors
    /// As there.
    fn replace_text(&self, on: &mut Subject<'_>, new: &mut String, replace: &mut Replace<'_>) -> Result<(), RunError> {
        let is_replaced = match self.convert(on)? {
            Value::Str(text) => replace(&text, new)?,
            _ => false,
        };
        if is_replaced { self.set(on, Value::Str(Cow::Borrowed(new))) } else { Ok(()) }
    }

    /// Sets it. Callers have seen to nil, which sets nothing.
    ///
    /// # Errors
    /// [`RunError`] when the path cannot hold the value.
    fn set(&self, on: &mut Subject<'_>, value: Value<'_>) -> Result<(), RunError>;

    /// Where the path is a map on the wire (`attributes`, `attributes["k"]`, `body` that holds a map): the map, opened.
    /// `None` where it is no map, or absent, or kept elsewhere (`cache`): use reading and setting then.
    ///
    /// # Errors
    /// [`RunError`] when it cannot be reached.
    fn map<'e>(&self, on: &'e mut Subject<'_>) -> Result<Option<pdata::edit::Attributes<'e>>, RunError>;
}
