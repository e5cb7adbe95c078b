//! Values of attributes and bodies: seen as OTTL's values, and indexed.

use std::borrow::Cow;

use pdata::edit::{self, Attributes, ValueRef};

use crate::error::RunError;
use crate::value::{Map, Value};

use super::Key;

/// The value; its text and bytes stay where they are.
#[inline]
pub(super) fn value(value: ValueRef<'_>) -> Value<'_> {
    // As nearly all are written: one field, text or an int.
    match value.bytes() {
        [] => return Value::Nil,
        [0x0a, ..] => {
            if let Some(Ok(text)) = value.str_bytes().map(std::str::from_utf8) {
                return Value::Str(Cow::Borrowed(text));
            }
        }
        [0x18, int @ ..] => {
            let mut len = 0;
            if let Some(found) = pdata::wire::read_varint(int, &mut len)
                && len == int.len()
            {
                return Value::Int(found.cast_signed());
            }
        }
        _ => {}
    }
    match value.get() {
        edit::Value::Empty | edit::Value::Encoded(_) => Value::Nil,
        edit::Value::Str(text) => Value::Str(Cow::Borrowed(text)),
        edit::Value::Bool(truth) => Value::Bool(truth),
        edit::Value::Int(int) => Value::Int(int),
        edit::Value::Double(float) => Value::Float(float),
        edit::Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        edit::Value::List(_) | edit::Value::Map(_) => Value::from_wire(value),
    }
}

/// All attributes. Of equal keys the first is taken.
pub(super) fn map(mut attributes: Attributes<'_>) -> Map<'static> {
    let mut map = Map::new();
    let done: Result<(), RunError> = attributes.for_each(|attribute| {
        let key = String::from_utf8_lossy(attribute.key()).into_owned();
        if map.get(&key).is_none() {
            let value = Value::from_wire(attribute.value());
            map.entries_mut().push((Cow::Owned(key), value));
        }
        Ok(())
    });
    debug_assert!(done.is_ok(), "reading does not fail");
    map
}

/// Follows keys. `None` when a map does not have one of them.
pub(super) fn index<'a>(value: ValueRef<'a>, keys: &[Key]) -> Result<Option<ValueRef<'a>>, RunError> {
    let mut value = value;
    for key in keys {
        value = match value.get() {
            edit::Value::Map(map) => match map.get(key.as_str()?) {
                Some(found) => found,
                None => return Ok(None),
            },
            edit::Value::List(list) => {
                let index = key.as_index(list.iter().count())?;
                match list.iter().nth(index) {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
            _ => return Err(not_indexable(&self::value(value))),
        };
    }
    Ok(Some(value))
}

/// The same in a value that is held.
pub(super) fn index_held<'v, 'c>(value: &'v Value<'c>, keys: &[Key]) -> Result<Option<&'v Value<'c>>, RunError> {
    let mut value = value;
    for key in keys {
        value = match value {
            Value::Map(map) => match map.get(key.as_str()?) {
                Some(found) => found,
                None => return Ok(None),
            },
            Value::List(list) => match list.get(key.as_index(list.len())?) {
                Some(found) => found,
                None => return Ok(None),
            },
            other => return Err(not_indexable(other)),
        };
    }
    Ok(Some(value))
}

/// The same, taking what is found out of the value.
pub(crate) fn index_value<'c>(value: Value<'c>, keys: &[Key]) -> Result<Value<'c>, RunError> {
    let mut value = value;
    for key in keys {
        value = match value {
            Value::Map(mut map) => match map.remove(key.as_str()?) {
                Some(found) => found,
                None => return Ok(Value::Nil),
            },
            Value::List(mut list) => {
                let index = key.as_index(list.len())?;
                list.swap_remove(index)
            }
            other => return Err(not_indexable(&other)),
        };
    }
    Ok(value)
}

/// Sets what keys lead to in a value that is held; maps and lists are added on the way where there is nothing.
pub(super) fn set_held(value: &mut Value<'static>, keys: &[Key], new: Value<'static>) -> Result<(), RunError> {
    let mut place = value;
    for key in keys {
        if matches!(place, Value::Nil) {
            *place = match key {
                Key::Int(int) => Value::List(vec![Value::Nil; padding(*int)? + 1]),
                Key::Str(_) | Key::Computed(_) => Value::Map(Map::new()),
            };
        }
        place = match place {
            Value::Map(map) => {
                let key = key.as_str()?;
                if map.get(key).is_none() {
                    map.insert(key.to_owned(), Value::Nil);
                }
                map.get_mut(key).ok_or("a key that was just added is gone")?
            }
            Value::List(list) => {
                let index = key.as_index(list.len())?;
                list.get_mut(index).ok_or("an index that was just found is gone")?
            }
            other => return Err(not_indexable(other)),
        };
    }
    *place = new;
    Ok(())
}

/// How many empty entries come before an index in a new list.
pub(super) fn padding(index: i64) -> Result<usize, RunError> {
    if !(0..super::PADDING_MAX).contains(&index) {
        let most = super::PADDING_MAX - 1;
        return Err(RunError::new(format!(
            "index {index} of a list that does not exist yet is not within 0 to {most}"
        )));
    }
    usize::try_from(index).map_err(|_out_of_range| "an index is out of range".into())
}

pub(super) fn not_indexable(value: &Value<'_>) -> RunError {
    RunError::new(format!("a {} cannot be indexed", value.type_name()))
}

/// Hex digits in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
