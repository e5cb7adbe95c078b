//! Reading paths.

use std::borrow::Cow;

use pdata::edit::{Editor, Msg, Scalar, ValueRef};

use crate::error::RunError;
use crate::subject::Subject;
use crate::value::{Map, Time, Value};

use super::any::{self, index_value};
use super::table::{Field, Form, Owner, POINTS};
use super::{Key, Path, Root, records, trace_state};

/// A value where it lies.
#[derive(Debug)]
pub enum Raw<'a> {
    /// An attribute's value or a log's body.
    Wire(ValueRef<'a>),
    /// Anything else.
    Value(Value<'a>),
}

impl<'a> Raw<'a> {
    /// The value; text and bytes stay where they are.
    #[inline]
    #[must_use]
    pub fn into_value(self) -> Value<'a> {
        match self {
            Self::Wire(value) => any::value(value),
            Self::Value(value) => value,
        }
    }

    /// Whether it is this text.
    #[inline]
    #[must_use]
    pub fn is_str(&self, text: &str) -> bool {
        match self {
            Self::Wire(value) => value.str_bytes() == Some(text.as_bytes()),
            Self::Value(Value::Str(found)) => found == text,
            Self::Value(_) => false,
        }
    }

    /// The int if it is one.
    #[inline]
    #[must_use]
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Wire(value) => match value.bytes() {
                [0x18, ..] => match any::value(*value) {
                    Value::Int(int) => Some(int),
                    _ => None,
                },
                _ => None,
            },
            Self::Value(Value::Int(int)) => Some(*int),
            Self::Value(_) => None,
        }
    }

    /// Whether it is nil.
    #[inline]
    #[must_use]
    pub fn is_nil(&self) -> bool {
        match self {
            // Text is most of what there is, and not decoded for this.
            Self::Wire(value) => match value.bytes() {
                [] => true,
                [0x0a, ..] => false,
                _ => matches!(any::value(*value), Value::Nil),
            },
            Self::Value(value) => matches!(value, Value::Nil),
        }
    }
}

/// How many reads look into an item without opening it; whoever reads more is quicker with an opened one.
const PEEKS_MAX: u8 = 2;

/// Names of span kinds as `kind.string` has them, by number.
pub(super) const KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];

/// Numbers of a metric's data, in the order of `METRIC_DATA_TYPE_…` from 1 on.
pub(super) const DATA: [u32; 5] = [5, 7, 9, 10, 11];

impl Owner {
    /// The opened message, if there is one. Adds nothing.
    #[inline]
    pub(super) fn find(self, on: &mut Subject<'_>) -> Result<Option<Msg>, RunError> {
        Ok(match self {
            Self::Item | Self::Point => Some(on.item()?),
            Self::Resource => on.group.and_then(|group| on.editor.sub(group, 1)),
            Self::Group => on.group,
            Self::Scope => on.scope_group.and_then(|group| on.editor.sub(group, 1)),
            Self::ScopeGroup => on.scope_group,
            Self::Metric => on.metric,
            Self::Data => match (on.data, on.metric) {
                (Some(data), _) => Some(data),
                (None, Some(metric)) => DATA.iter().find_map(|number| on.editor.sub(metric, *number)),
                (None, None) => None,
            },
            Self::Child => on.child.and_then(|(at, _)| on.editor.open(at)),
        })
    }

    /// The opened message, which is added where OTLP lets it be left out.
    pub(super) fn find_or_add(self, on: &mut Subject<'_>) -> Result<Msg, RunError> {
        match self {
            Self::Resource => on.resource(),
            Self::Scope => on.scope(),
            Self::Data => self.find(on)?.ok_or_else(|| "the metric has no data".into()),
            _ => self.find(on)?.ok_or_else(|| "there is no such record here".into()),
        }
    }
}

impl Field {
    /// Whether it is in an item that is looked into without opening it.
    #[inline]
    pub(super) fn is_unopened(&self, on: &Subject<'_>) -> bool {
        self.owner == Owner::Item && on.peeks < PEEKS_MAX && on.item.is_some_and(|at| on.editor.peek(at).is_some())
    }

    /// Its number in this message; `None` where data points of this kind have no such field.
    #[inline]
    pub(super) fn number(&self, editor: &Editor, owner: Msg) -> Option<u32> {
        if self.owner != Owner::Point {
            // Gauges have no temporality, and only sums are monotonic.
            let number = u32::from(self.numbers[0]);
            return (self.owner != Owner::Data || editor.table(owner).knows(number)).then_some(number);
        }
        let table = editor.table(owner);
        let kind = POINTS.iter().position(|point| std::ptr::eq(*point, table))?;
        Some(u32::from(self.numbers[kind])).filter(|number| *number != 0)
    }
}

impl Path {
    #[inline]
    pub(super) fn with_keys<T>(
        &self,
        on: &mut Subject<'_>,
        keys: &[Key],
        read: impl FnOnce(Raw<'_>) -> T,
    ) -> Result<T, RunError> {
        let field = match &self.root {
            Root::Field(field) => field,
            other => return other.with(on, keys, read),
        };
        if let (Owner::Item, Some(at)) = (field.owner, on.item)
            && on.peeks < PEEKS_MAX
            && let Some(peek) = on.editor.peek(at)
        {
            on.peeks += 1;
            match (field.form, keys.split_first()) {
                (Form::Attributes, Some((first, keys))) => {
                    let value = match peek.attribute(first.as_str()?) {
                        Some(value) => any::index(value, keys)?,
                        None => None,
                    };
                    return Ok(read(value.map_or(Raw::Value(Value::Nil), Raw::Wire)));
                }
                (Form::Any, _) => {
                    let value = match peek.value(u32::from(field.numbers[0])) {
                        Some(value) => any::index(value, keys)?,
                        None => None,
                    };
                    return Ok(read(value.map_or(Raw::Value(Value::Nil), Raw::Wire)));
                }
                (form, None) if form.is_scalar() && field.sub == 0 => {
                    let value =
                        peek.get(u32::from(field.numbers[0])).map_or_else(|| form.zero(), |scalar| form.of(scalar));
                    return Ok(read(Raw::Value(value)));
                }
                _ => {}
            }
        }
        let owner = field.owner.find(on)?;
        let editor = &mut *on.editor;
        if field.form == Form::Attributes {
            let Some((first, keys)) = keys.split_first() else {
                let map = owner.map_or_else(Map::new, |owner| any::map(editor.attributes(owner)));
                return Ok(read(Raw::Value(Value::Map(map))));
            };
            let Some(owner) = owner else { return Ok(read(Raw::Value(Value::Nil))) };
            let mut attributes = editor.attributes(owner);
            let Some(value) = attributes.get(first.as_str()?) else { return Ok(read(Raw::Value(Value::Nil))) };
            if keys.is_empty() {
                return Ok(read(Raw::Wire(value)));
            }
            return any::index(value, keys).map(|found| read(found.map_or(Raw::Value(Value::Nil), Raw::Wire)));
        }
        field.with(editor, owner, keys, read)
    }
}

impl Field {
    fn with<T>(
        &self,
        editor: &mut Editor,
        owner: Option<Msg>,
        keys: &[Key],
        read: impl FnOnce(Raw<'_>) -> T,
    ) -> Result<T, RunError> {
        let number = match owner {
            // Of a resource or scope that is absent everything is zero.
            None if matches!(self.owner, Owner::Data | Owner::Metric | Owner::Child) => None,
            None => return Ok(read(Raw::Value(self.form.zero()))),
            Some(owner) => self.number(editor, owner),
        };
        let (Some(number), Some(mut message)) = (number, owner) else { return Ok(read(Raw::Value(Value::Nil))) };
        if self.sub != 0 {
            match editor.sub(message, u32::from(self.sub)) {
                Some(sub) => message = sub,
                None => return Ok(read(Raw::Value(self.form.zero()))),
            }
        }
        let value = match self.form {
            Form::Text => Value::Str(Cow::Borrowed(editor.text(message, number))),
            Form::Any => {
                let Some(body) = editor.first(message, number) else { return Ok(read(Raw::Value(Value::Nil))) };
                let value = editor.value_at(body);
                return match keys {
                    [] => Ok(read(Raw::Wire(value))),
                    keys => any::index(value, keys).map(|found| read(found.map_or(Raw::Value(Value::Nil), Raw::Wire))),
                };
            }
            Form::AnyText => match editor.first(message, number) {
                Some(body) => match any::value(editor.value_at(body)) {
                    Value::Str(text) => Value::Str(text),
                    other => Value::text(other.to_text()),
                },
                None => Value::Str(Cow::Borrowed("")),
            },
            Form::TraceState => {
                let text = editor.text(message, number);
                match keys {
                    [] => Value::Str(Cow::Borrowed(text)),
                    [key] => Value::Str(trace_state::get(text, key.as_str()?).unwrap_or_default().into()),
                    _ => return Err("a trace state takes one key".into()),
                }
            }
            Form::MetricType => {
                match owner.and_then(|metric| DATA.iter().position(|data| editor.first(metric, *data).is_some())) {
                    Some(kind) => Value::Int(kind as i64 + 1),
                    None => Value::Int(0),
                }
            }
            Form::Message => {
                let value = match editor.sub(message, number) {
                    Some(sub) => Value::Map(records::read(editor, sub)),
                    None => Value::Map(Map::new()),
                };
                index_value(value, keys)?
            }
            Form::Messages => index_value(records::read_all(editor, message, number), keys)?,
            Form::Packed => index_value(records::read_numbers(editor, message, number), keys)?,
            form => match editor.get(message, number) {
                Some(scalar) => form.of(scalar),
                None => form.zero(),
            },
        };
        Ok(read(Raw::Value(value)))
    }
}

impl Form {
    fn of(self, scalar: Scalar<'_>) -> Value<'_> {
        match (self, scalar) {
            (Self::KindText, Scalar::Int(kind)) => {
                let name = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind));
                Value::Str(Cow::Borrowed(name.copied().unwrap_or_default()))
            }
            (Self::KindName, Scalar::Int(kind)) => {
                let names = pdata::schema::SPAN_KIND;
                let name = names.iter().find(|(_, number)| i64::from(*number) == kind);
                Value::Str(Cow::Borrowed(name.map_or("", |(name, _)| name)))
            }
            (Self::Time, Scalar::Uint(nanos)) => Value::Time(Time::utc(i128::from(nanos))),
            (Self::TraceId, Scalar::Bytes(id)) => Value::TraceId(id.try_into().unwrap_or_default()),
            (Self::SpanId, Scalar::Bytes(id)) => Value::SpanId(id.try_into().unwrap_or_default()),
            (Self::TraceIdHex, Scalar::Bytes(id)) if id.len() == 16 => Value::text(any::hex(id)),
            (Self::SpanIdHex, Scalar::Bytes(id)) if id.len() == 8 => Value::text(any::hex(id)),
            (Self::TraceIdHex | Self::SpanIdHex, _) => self.zero(),
            (_, Scalar::Bool(truth)) => Value::Bool(truth),
            (_, Scalar::Int(int)) => Value::Int(int),
            (_, Scalar::Uint(uint)) => Value::Int(uint.cast_signed()),
            (_, Scalar::Double(float)) => Value::Float(float),
            (_, Scalar::Str(text)) => Value::Str(Cow::Borrowed(text)),
            (_, Scalar::Bytes(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
        }
    }

    /// Whether it is one value of the message itself.
    fn is_scalar(self) -> bool {
        !matches!(
            self,
            Self::Attributes
                | Self::Any
                | Self::AnyText
                | Self::Message
                | Self::Messages
                | Self::Packed
                | Self::MetricType
        )
    }

    /// What an absent field reads as.
    fn zero(self) -> Value<'static> {
        match self {
            Self::Attributes | Self::Message => Value::Map(Map::new()),
            Self::Text | Self::TraceState | Self::AnyText => Value::Str(Cow::Borrowed("")),
            Self::Int | Self::Nanos | Self::MetricType => Value::Int(0),
            Self::Bool => Value::Bool(false),
            Self::Float => Value::Float(0.0),
            Self::Time => Value::Time(Time::utc(0)),
            Self::TraceId => Value::TraceId([0; 16]),
            Self::SpanId => Value::SpanId([0; 8]),
            Self::TraceIdHex => Value::Str(Cow::Borrowed("00000000000000000000000000000000")),
            Self::SpanIdHex => Value::Str(Cow::Borrowed("0000000000000000")),
            Self::KindText => Value::Str(Cow::Borrowed(KINDS[0])),
            Self::KindName => Value::Str(Cow::Borrowed("SPAN_KIND_UNSPECIFIED")),
            Self::Any => Value::Nil,
            Self::Messages | Self::Packed => Value::List(Vec::new()),
        }
    }
}

impl Root {
    fn with<T>(&self, on: &Subject<'_>, keys: &[Key], read: impl FnOnce(Raw<'_>) -> T) -> Result<T, RunError> {
        let value = match self {
            Self::Cache(context) => {
                let cache = &on.caches[*context as usize];
                match keys.split_first() {
                    None => Value::Map(cache.iter().map(|(key, value)| (Cow::Borrowed(key), value.by_ref())).collect()),
                    Some((first, keys)) => match cache.get(first.as_str()?) {
                        None => Value::Nil,
                        Some(value) => any::index_held(value, keys)?.map_or(Value::Nil, Value::by_ref),
                    },
                }
            }
            Self::Local(number) => match on.locals.get(*number) {
                None => Value::Nil,
                Some(value) => any::index_held(value, keys)?.map_or(Value::Nil, Value::by_ref),
            },
            Self::Request(request) => match request.get(on.request, keys)? {
                // What was not sent has no values either.
                Value::Nil => Value::Nil,
                value => index_value(value, request.rest(keys))?,
            },
            Self::EventIndex => on.child.map_or(Value::Nil, |(_, number)| Value::Int(i64::from(number))),
            // Handled where fields are.
            Self::Field(_) => Value::Nil,
        };
        Ok(read(Raw::Value(value)))
    }
}
