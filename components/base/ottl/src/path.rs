//! Paths: where in a record and its surroundings something stands, compiled to field numbers.
//!
//! [`table`] knows the names; [`read`] and [`write`] go by what it says. Text is handed out where it lies in the
//! telemetry ([`Path::with`]). Reading changes nothing: what is absent reads as OTLP's default (empty text and maps,
//! zeros), and only keys that are not there, and fields that other kinds of data points have, are nil.

mod any;
mod read;
mod records;
mod request;
pub(crate) mod table;
mod trace_state;
mod write;

use std::borrow::Cow;
use std::fmt;

use crate::context::Context;
use crate::error::RunError;
use crate::expr::{Access, Expr, Replace};
use crate::function::Convert;
use crate::subject::Subject;
use crate::value::Value;

pub(crate) use self::any::index_value;
pub use self::read::Raw;
pub(crate) use self::request::Request;
pub(crate) use self::table::{Field, Form};

/// Most bytes of a value that a statement may write.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Most entries of a list that are added to make an index exist.
const PADDING_MAX: i64 = 1024;

/// A compiled path.
pub struct Path {
    pub(crate) name: Box<str>,
    pub(crate) root: Root,
    pub(crate) keys: Box<[Key]>,
    /// Whether a key is computed.
    pub(crate) is_dynamic: bool,
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The scratch map of a context.
    Cache(Context),
    /// A parameter of a lambda.
    Local(usize),
    /// What is known of the request.
    Request(Request),
    /// The number of an event among those of its span.
    EventIndex,
    /// A field of a message.
    Field(Field),
}

/// `["k"]`, `[0]`, `[expression]`.
#[derive(Debug)]
pub(crate) enum Key {
    Str(Box<str>),
    Int(i64),
    Computed(Expr),
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Path {
    pub(crate) fn new(name: impl Into<Box<str>>, root: Root, keys: Vec<Key>) -> Self {
        let is_dynamic = keys.iter().any(|key| matches!(key, Key::Computed(_)));
        Self { name: name.into(), root, keys: keys.into(), is_dynamic }
    }

    /// As written in the statement.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, copied.
    ///
    /// # Errors
    /// [`RunError`] when an index does not fit, or what is indexed is neither map nor list.
    pub fn get(&self, on: &mut Subject<'_>) -> Result<Value<'static>, RunError> {
        self.with(on, |raw| raw.into_value().into_owned())
    }

    /// Calls `read` with its value where it lies.
    ///
    /// # Errors
    /// As [`Path::get`].
    #[inline]
    pub fn with<T>(&self, on: &mut Subject<'_>, read: impl FnOnce(Raw<'_>) -> T) -> Result<T, RunError> {
        if self.is_dynamic {
            let keys = computed_keys(&self.keys, on)?;
            return self.with_keys(on, &keys, read);
        }
        self.with_keys(on, &self.keys, read)
    }
}

/// The keys, with those that are computed replaced by what they are on this record.
pub(crate) fn computed_keys(keys: &[Key], on: &mut Subject<'_>) -> Result<Vec<Key>, RunError> {
    keys.iter()
        .map(|key| match key {
            Key::Str(text) => Ok(Key::Str(text.clone())),
            Key::Int(int) => Ok(Key::Int(*int)),
            Key::Computed(expr) => match expr.eval(on)? {
                Value::Str(text) => Ok(Key::Str(text.into())),
                Value::Int(int) => Ok(Key::Int(int)),
                other => Err(RunError::expected("a string or an int as the key", &other)),
            },
        })
        .collect()
}

impl Key {
    fn as_str(&self) -> Result<&str, RunError> {
        match self {
            Self::Str(text) => Ok(text),
            Self::Int(int) => Err(RunError::new(format!("a map is indexed with a string, not with {int}"))),
            Self::Computed(_) => Err("a key is not known yet".into()),
        }
    }

    /// A place among `len`.
    fn as_index(&self, len: usize) -> Result<usize, RunError> {
        match self {
            Self::Int(int) => match usize::try_from(*int) {
                Ok(index) if index < len => Ok(index),
                _ => Err(RunError::new(format!("index {int} is out of a list of {len}"))),
            },
            Self::Str(text) => Err(RunError::new(format!("a list is indexed with an int, not with `{text}`"))),
            Self::Computed(_) => Err("a key is not known yet".into()),
        }
    }
}

impl Convert for Path {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        self.get(on)
    }
}

impl Access for Path {
    fn replace_text(&self, on: &mut Subject<'_>, new: &mut String, replace: &mut Replace<'_>) -> Result<(), RunError> {
        if let Some(done) = self.replace_attribute(on, new, replace) {
            return done;
        }
        let is_replaced = self.with(on, |raw| match raw.into_value() {
            Value::Str(text) => replace(&text, new),
            _ => Ok(false),
        })??;
        if is_replaced { self.set(on, Value::Str(Cow::Borrowed(new))) } else { Ok(()) }
    }

    fn set(&self, on: &mut Subject<'_>, value: Value<'_>) -> Result<(), RunError> {
        if self.is_dynamic {
            let keys = computed_keys(&self.keys, on)?;
            return self.set_keys(on, &keys, value);
        }
        self.set_keys(on, &self.keys, value)
    }

    fn map<'e>(&self, on: &'e mut Subject<'_>) -> Result<Option<pdata::edit::Attributes<'e>>, RunError> {
        if self.is_dynamic {
            let keys = computed_keys(&self.keys, on)?;
            return self.open_map(on, &keys);
        }
        self.open_map(on, &self.keys)
    }
}
