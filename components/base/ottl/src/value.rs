//! What expressions yield.
//!
//! Text and bytes borrow from the compiled statement where they are literals, so that evaluating one allocates nothing.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use pdata::edit::{self, ValueBuf, ValueRef};

use crate::error::RunError;

/// A value during evaluation.
#[derive(Clone, Debug, Default)]
pub enum Value<'c> {
    /// Nothing: an absent key, an unset field.
    #[default]
    Nil,
    /// Truth.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Floating point.
    Float(f64),
    /// Text.
    Str(Cow<'c, str>),
    /// Bytes.
    Bytes(Cow<'c, [u8]>),
    /// A list.
    List(Vec<Value<'c>>),
    /// A map.
    Map(Map<'c>),
    /// A moment.
    Time(Time),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A trace ID.
    TraceId([u8; 16]),
    /// A span ID.
    SpanId([u8; 8]),
}

/// A map that keeps the order of its keys. Keys are unique.
#[derive(Clone, Debug, Default)]
pub struct Map<'c>(Vec<(Cow<'c, str>, Value<'c>)>);

/// A moment, and the zone in which its day and hour are told.
#[derive(Clone, Debug)]
pub struct Time {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_nanos: i128,
    /// UTC unless said otherwise.
    pub zone: TimeZone,
}

impl Time {
    /// In UTC.
    #[must_use]
    pub fn utc(unix_nanos: i128) -> Self {
        Self { unix_nanos, zone: TimeZone::UTC }
    }

    /// With its calendar; `None` outside of the years -9999 to 9999.
    #[must_use]
    pub fn zoned(&self) -> Option<jiff::Zoned> {
        jiff::Timestamp::from_nanosecond(self.unix_nanos).ok().map(|timestamp| timestamp.to_zoned(self.zone.clone()))
    }
}

impl<'c> Map<'c> {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'c>> {
        self.0.iter().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'c>> {
        self.0.iter_mut().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// Sets the value of a key, in its place or at the end.
    pub fn insert(&mut self, key: impl Into<Cow<'c, str>>, value: Value<'c>) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(old) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value<'c>> {
        let at = self.0.iter().position(|(found, _)| found == key)?;
        Some(self.0.remove(at).1)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'c>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The entries, to be changed, added, removed. Whoever does keeps keys unique.
    pub fn entries_mut(&mut self) -> &mut Vec<(Cow<'c, str>, Value<'c>)> {
        &mut self.0
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'c> FromIterator<(Cow<'c, str>, Value<'c>)> for Map<'c> {
    /// Of equal keys the last wins.
    fn from_iter<I: IntoIterator<Item = (Cow<'c, str>, Value<'c>)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<'c> IntoIterator for Map<'c> {
    type Item = (Cow<'c, str>, Value<'c>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'c> Value<'c> {
    /// The name of its type, for error messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::TraceId(_) => "trace ID",
            Self::SpanId(_) => "span ID",
        }
    }

    /// The same value, borrowing its text and bytes. Lists and maps are rebuilt around borrowed parts.
    #[must_use]
    pub fn by_ref(&self) -> Value<'_> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(int) => Value::Int(*int),
            Self::Float(float) => Value::Float(*float),
            Self::Str(text) => Value::Str(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Self::List(values) => Value::List(values.iter().map(Value::by_ref).collect()),
            Self::Map(map) => {
                Value::Map(Map(map.0.iter().map(|(key, value)| (Cow::Borrowed(&**key), value.by_ref())).collect()))
            }
            Self::Time(time) => Value::Time(time.clone()),
            Self::Duration(duration) => Value::Duration(*duration),
            Self::TraceId(id) => Value::TraceId(*id),
            Self::SpanId(id) => Value::SpanId(*id),
        }
    }

    /// The same value, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(truth) => Value::Bool(truth),
            Self::Int(int) => Value::Int(int),
            Self::Float(float) => Value::Float(float),
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::List(values) => Value::List(values.into_iter().map(Value::into_owned).collect()),
            Self::Map(map) => Value::Map(Map(map
                .0
                .into_iter()
                .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                .collect())),
            Self::Time(time) => Value::Time(time),
            Self::Duration(duration) => Value::Duration(duration),
            Self::TraceId(id) => Value::TraceId(id),
            Self::SpanId(id) => Value::SpanId(id),
        }
    }

    /// Text made at run time.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Str(Cow::Owned(text.into()))
    }

    /// The text.
    ///
    /// # Errors
    /// [`RunError`] when it is something else.
    pub fn as_str(&self) -> Result<&str, RunError> {
        match self {
            Self::Str(text) => Ok(text),
            other => Err(RunError::expected("a string", other)),
        }
    }

    /// The integer.
    ///
    /// # Errors
    /// [`RunError`] when it is something else.
    pub fn as_int(&self) -> Result<i64, RunError> {
        match self {
            Self::Int(int) => Ok(*int),
            other => Err(RunError::expected("an int", other)),
        }
    }

    /// From an attribute's value or a log's body. Of equal keys in a map the first is taken.
    #[must_use]
    pub fn from_wire(value: ValueRef<'_>) -> Value<'static> {
        match value.get() {
            edit::Value::Empty | edit::Value::Encoded(_) => Value::Nil,
            edit::Value::Str(text) => Value::text(text),
            edit::Value::Bool(truth) => Value::Bool(truth),
            edit::Value::Int(int) => Value::Int(int),
            edit::Value::Double(float) => Value::Float(float),
            edit::Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
            edit::Value::List(values) => Value::List(values.iter().map(Value::from_wire).collect()),
            edit::Value::Map(pairs) => {
                let mut map = Map::new();
                for (key, value) in pairs.iter() {
                    let key = String::from_utf8_lossy(key);
                    if map.get(&key).is_none() {
                        map.0.push((Cow::Owned(key.into_owned()), Value::from_wire(value)));
                    }
                }
                Value::Map(map)
            }
        }
    }

    /// Calls `write` with the value as an attribute's value or a log's body. Lists and maps are built; text, numbers and
    /// bytes are handed on without a copy.
    ///
    /// # Errors
    /// [`RunError`] when no attribute can hold it (times, durations, IDs by themselves; those in lists and maps become
    /// hexadecimal text), or it nests too deeply; what `write` returns.
    pub fn to_wire<T>(&self, write: impl FnOnce(edit::Value<'_>) -> Result<T, RunError>) -> Result<T, RunError> {
        match self {
            Self::Nil => write(edit::Value::Empty),
            Self::Bool(truth) => write(edit::Value::Bool(*truth)),
            Self::Int(int) => write(edit::Value::Int(*int)),
            Self::Float(float) => write(edit::Value::Double(*float)),
            Self::Str(text) => write(edit::Value::Str(text)),
            Self::Bytes(bytes) => write(edit::Value::Bytes(bytes)),
            Self::List(_) | Self::Map(_) => write(self.to_buf()?.value()),
            other => Err(RunError::new(format!("an attribute cannot hold a {}", other.type_name()))),
        }
    }

    fn to_buf(&self) -> Result<ValueBuf, RunError> {
        Ok(match self {
            Self::List(values) => {
                let values: Vec<ValueBuf> = values.iter().map(Value::to_buf).collect::<Result<_, _>>()?;
                ValueBuf::list(values)?
            }
            Self::Map(map) => {
                let pairs = map.iter().map(|(key, value)| Ok((key, value.to_buf()?)));
                ValueBuf::map(pairs.collect::<Result<Vec<_>, RunError>>()?)?
            }
            // As in events, links and exemplars, which are maps here.
            Self::TraceId(_) | Self::SpanId(_) => ValueBuf::from(edit::Value::Str(&self.to_text())),
            scalar => scalar.to_wire(|value| Ok(ValueBuf::from(value)))?,
        })
    }
}
