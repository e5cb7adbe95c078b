//! Writing paths.

use std::borrow::Cow;

use pdata::edit::{Attributes, Editor, Msg, Scalar};
use pdata::schema::SPAN_KIND;

use crate::error::RunError;
use crate::expr::Replace;
use crate::subject::Subject;
use crate::value::{Map, Value};

use super::read::KINDS;
use super::table::{Field, Form};
use super::{Key, Path, Root, VALUE_BYTES_MAX, any, records, trace_state};

/// `AnyValue`: the list and the map.
const LIST: u32 = 5;
const MAP: u32 = 6;

impl Path {
    pub(super) fn set_keys(&self, on: &mut Subject<'_>, keys: &[Key], value: Value<'_>) -> Result<(), RunError> {
        bounded(&value)?;
        let field = match self.root {
            Root::Field(field) => field,
            Root::Cache(context) => {
                let cache = &mut on.caches[context as usize];
                let mut whole = Value::Map(std::mem::take(cache));
                let outcome = match (keys, value) {
                    ([], value @ Value::Map(_)) => {
                        whole = value.into_owned();
                        Ok(())
                    }
                    ([], other) => Err(RunError::expected("a map", &other)),
                    (keys, value) => any::set_held(&mut whole, keys, value.into_owned()),
                };
                if let Value::Map(map) = whole {
                    *cache = map;
                }
                return outcome;
            }
            Root::Local(_) | Root::Request(_) | Root::EventIndex => {
                return Err(RunError::new(format!("`{}` cannot be set", self.name)));
            }
        };
        let owner = field.owner.find_or_add(on)?;
        field.set(on.editor, owner, keys, value)
    }

    /// Replaces the text of an attribute of an opened message, looking for it once. `None`, and nothing done, for others.
    pub(super) fn replace_attribute(
        &self,
        on: &mut Subject<'_>,
        new: &mut String,
        replace: &mut Replace<'_>,
    ) -> Option<Result<(), RunError>> {
        let (Root::Field(field), [Key::Str(key)]) = (&self.root, &*self.keys) else { return None };
        if field.form != Form::Attributes || field.is_unopened(on) {
            return None;
        }
        let mut outcome = || {
            let Some(owner) = field.owner.find(on)? else { return Ok(()) };
            let mut attributes = on.editor.attributes(owner);
            let Some(at) = attributes.find(key) else { return Ok(()) };
            if let Value::Str(text) = any::value(attributes.value_of(at))
                && replace(&text, new)?
            {
                bounded(&Value::Str(Cow::Borrowed(new)))?;
                attributes.write_at(at, key, pdata::edit::Value::Str(new))?;
            }
            Ok(())
        };
        Some(outcome())
    }

    pub(super) fn open_map<'e>(
        &self,
        on: &'e mut Subject<'_>,
        keys: &[Key],
    ) -> Result<Option<Attributes<'e>>, RunError> {
        let Root::Field(field) = self.root else { return Ok(None) };
        if !matches!(field.form, Form::Attributes | Form::Any) {
            return Ok(None);
        }
        let Some(owner) = field.owner.find(on)? else { return Ok(None) };
        let editor = &mut *on.editor;
        let (mut value, keys) = match (field.form, keys.split_first()) {
            (Form::Attributes, None) => return Ok(Some(editor.attributes(owner))),
            (Form::Attributes, Some((first, keys))) => (editor.attributes(owner).open(first.as_str()?), keys),
            _ => (editor.sub(owner, u32::from(field.numbers[0])), keys),
        };
        for key in keys {
            let Some(message) = value else { return Ok(None) };
            value = if let Some(map) = editor.sub(message, MAP) {
                editor.attributes(map).open(key.as_str()?)
            } else if let Some(list) = editor.sub(message, LIST) {
                let index = key.as_index(editor.occurrences(list, 1).count())?;
                let at = editor.occurrences(list, 1).nth(index);
                at.and_then(|at| editor.open(at))
            } else {
                return Err(any::not_indexable(&any::value(editor.value(message))));
            };
        }
        let map = value.and_then(|value| editor.sub(value, MAP));
        Ok(map.map(|map| editor.attributes(map)))
    }
}

/// Refuses what is too large to be a value.
fn bounded(value: &Value<'_>) -> Result<(), RunError> {
    fn size(value: &Value<'_>) -> usize {
        match value {
            Value::Str(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(values) => values.iter().map(|value| size(value) + 2).sum(),
            Value::Map(map) => map.iter().map(|(key, value)| key.len() + size(value) + 4).sum(),
            _ => 8,
        }
    }
    let size = size(value);
    if size > VALUE_BYTES_MAX {
        return Err(RunError::new(format!("a value of {size} bytes is larger than the {VALUE_BYTES_MAX} allowed")));
    }
    Ok(())
}

impl Field {
    fn set(&self, editor: &mut Editor, owner: Msg, keys: &[Key], value: Value<'_>) -> Result<(), RunError> {
        let Some(number) = self.number(editor, owner) else {
            let message = format!("a {} has no such field", editor.table(owner).name);
            return Err(RunError::new(message));
        };
        match self.form {
            Form::Attributes => return set_attributes(editor, owner, keys, &value),
            Form::Any => {
                if !keys.is_empty() {
                    return set_in_body(editor, owner, number, keys, &value);
                }
                let body = editor.sub_or_add(owner, number)?;
                return value.to_wire(|value| Ok(editor.set_value(body, value)?));
            }
            Form::AnyText => {
                let body = editor.sub_or_add(owner, number)?;
                return Ok(editor.set_value(body, pdata::edit::Value::Str(value.as_str()?))?);
            }
            Form::Message | Form::Messages | Form::Packed if !keys.is_empty() => {
                // Read, changed and written as a whole.
                let mut whole = match self.form {
                    Form::Message => {
                        Value::Map(editor.sub(owner, number).map_or_else(Map::new, |sub| records::read(editor, sub)))
                    }
                    Form::Messages => records::read_all(editor, owner, number),
                    _ => {
                        let message = self.message(editor, owner)?;
                        records::read_numbers(editor, message, number)
                    }
                };
                any::set_held(&mut whole, keys, value.into_owned())?;
                return self.set(editor, owner, &[], whole);
            }
            Form::Message | Form::Messages => return records::write(editor, owner, number, &value),
            Form::MetricType => return Err("the type of a metric cannot be set".into()),
            _ => {}
        }
        let scalar_owner = |editor: &mut Editor| self.message(editor, owner);
        match (self.form, &value) {
            (Form::Packed, Value::List(values)) => {
                let message = scalar_owner(editor)?;
                records::write_numbers(editor, message, number, values)
            }
            (Form::Text | Form::TraceState, Value::Str(text)) => {
                let message = scalar_owner(editor)?;
                if let Some(key) = keys.first() {
                    let state = trace_state::set(editor.text(message, number), key.as_str()?, text)?;
                    return Ok(editor.set(message, number, Scalar::Str(&state))?);
                }
                Ok(editor.set(message, number, Scalar::Str(text))?)
            }
            (form, value) => {
                let id;
                let scalar = match (form, value) {
                    (Form::Int | Form::Nanos, Value::Int(int)) => Scalar::Int(*int),
                    (Form::Bool, Value::Bool(truth)) => Scalar::Bool(*truth),
                    (Form::Float, Value::Float(float)) => Scalar::Double(*float),
                    (Form::Time, Value::Time(time)) => Scalar::Uint(
                        u64::try_from(time.unix_nanos)
                            .map_err(|_out_of_range| "a time outside of the years 1970 to 2554")?,
                    ),
                    (Form::TraceId, Value::TraceId(id)) => Scalar::Bytes(id),
                    (Form::TraceId, Value::Bytes(id)) if id.len() == 16 => Scalar::Bytes(id),
                    (Form::SpanId, Value::SpanId(id)) => Scalar::Bytes(id),
                    (Form::SpanId, Value::Bytes(id)) if id.len() == 8 => Scalar::Bytes(id),
                    (Form::TraceIdHex, Value::Str(text)) => {
                        id = unhex(text, 16).ok_or("a trace ID is written in 32 hex digits")?;
                        Scalar::Bytes(&id)
                    }
                    (Form::SpanIdHex, Value::Str(text)) => {
                        id = unhex(text, 8).ok_or("a span ID is written in 16 hex digits")?;
                        Scalar::Bytes(&id)
                    }
                    (Form::KindText, Value::Str(text)) => {
                        let kind = KINDS.iter().position(|kind| kind == text);
                        let kind = kind.ok_or_else(|| RunError::new(format!("unknown span kind `{text}`")))?;
                        Scalar::Int(kind as i64)
                    }
                    (Form::KindName, Value::Str(text)) => {
                        let kind = SPAN_KIND.iter().find(|(name, _)| name == text);
                        let kind = kind.ok_or_else(|| RunError::new(format!("unknown span kind `{text}`")))?;
                        Scalar::Int(i64::from(kind.1))
                    }
                    (form, other) => return Err(RunError::expected(form.expects(), other)),
                };
                let message = scalar_owner(editor)?;
                // An ID of zeros is none.
                if let (Scalar::Bytes(id), Form::TraceId | Form::TraceIdHex | Form::SpanId | Form::SpanIdHex) =
                    (scalar, form)
                    && id.iter().all(|byte| *byte == 0)
                {
                    editor.clear(message, number);
                    return Ok(());
                }
                Ok(editor.set(message, number, scalar)?)
            }
        }
    }

    /// The message that the field itself is in.
    fn message(&self, editor: &mut Editor, owner: Msg) -> Result<Msg, RunError> {
        if self.sub == 0 {
            return Ok(owner);
        }
        Ok(editor.sub_or_add(owner, u32::from(self.sub))?)
    }
}

impl Form {
    fn expects(self) -> &'static str {
        match self {
            Self::Attributes | Self::Message => "a map",
            Self::Text
            | Self::TraceState
            | Self::AnyText
            | Self::TraceIdHex
            | Self::SpanIdHex
            | Self::KindText
            | Self::KindName => "a string",
            Self::Int | Self::Nanos | Self::MetricType => "an int",
            Self::Bool => "a bool",
            Self::Float => "a float",
            Self::Time => "a time",
            Self::TraceId => "a trace ID",
            Self::SpanId => "a span ID",
            Self::Any => "a value",
            Self::Messages => "a list of maps",
            Self::Packed => "a list of numbers",
        }
    }
}

fn set_attributes(editor: &mut Editor, owner: Msg, keys: &[Key], value: &Value<'_>) -> Result<(), RunError> {
    match keys {
        [] => {
            let Value::Map(map) = value else { return Err(RunError::expected("a map", value)) };
            // Made first, so that what no attribute can hold changes nothing.
            for (_, value) in map.iter() {
                value.to_wire(|_| Ok(()))?;
            }
            let mut attributes = editor.attributes(owner);
            attributes.clear();
            for (key, value) in map.iter() {
                value.to_wire(|value| Ok(attributes.upsert(key, value)?))?;
            }
            Ok(())
        }
        [key] => {
            let key = key.as_str()?;
            value.to_wire(|value| Ok(editor.attributes(owner).upsert(key, value)?)).map(drop)
        }
        [first, keys @ ..] => {
            value.to_wire(|_| Ok(()))?;
            let message = editor.attributes(owner).open_or_add(first.as_str()?)?;
            set_inside(editor, message, keys, value)
        }
    }
}

fn set_in_body(editor: &mut Editor, owner: Msg, number: u32, keys: &[Key], value: &Value<'_>) -> Result<(), RunError> {
    value.to_wire(|_| Ok(()))?;
    // A body that is neither map nor list is not replaced by one.
    let body = editor.sub(owner, number).ok_or("a log without a body cannot be indexed")?;
    if editor.first(body, MAP).is_none() && editor.first(body, LIST).is_none() {
        return Err(any::not_indexable(&any::value(editor.value(body))));
    }
    set_inside(editor, body, keys, value)
}

/// Sets what keys lead to in an opened `AnyValue`; maps and lists are added on the way where there is nothing.
fn set_inside(editor: &mut Editor, value: Msg, keys: &[Key], new: &Value<'_>) -> Result<(), RunError> {
    let mut place = value;
    for key in keys {
        let is_empty = editor.table(place).fields.iter().all(|field| editor.first(place, field.number).is_none());
        place = if let Some(map) = editor.sub(place, MAP) {
            editor.attributes(map).open_or_add(key.as_str()?)?
        } else if let Some(list) = editor.sub(place, LIST) {
            let index = key.as_index(editor.occurrences(list, 1).count())?;
            let at = editor.occurrences(list, 1).nth(index);
            at.and_then(|at| editor.open(at)).ok_or("an index that was just found is gone")?
        } else if !is_empty {
            return Err(any::not_indexable(&any::value(editor.value(place))));
        } else if let Key::Int(index) = key {
            let before = any::padding(*index)?;
            let list = editor.add(place, LIST)?;
            for _ in 0..before {
                editor.add(list, 1)?;
            }
            editor.add(list, 1)?
        } else {
            let map = editor.add(place, MAP)?;
            editor.attributes(map).open_or_add(key.as_str()?)?
        };
    }
    new.to_wire(|value| Ok(editor.set_value(place, value)?))
}

fn unhex(text: &str, len: usize) -> Option<Vec<u8>> {
    if text.len() != len * 2 {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_hex() {
        assert_eq!(unhex("00ffAb", 3), Some(vec![0, 255, 0xab]));
        assert_eq!(unhex("00ffA", 3), None);
        assert_eq!(unhex("00ffgg", 3), None);
        assert_eq!(unhex("é0ffg", 3), None);
    }
}
