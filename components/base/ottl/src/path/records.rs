//! Messages as maps and back, by the schema: events, links, exemplars, data points, buckets, quantiles, a span's status.
//!
//! Keys are the names in `.proto` files; fields that are absent are left out, as in OTLP.

use std::borrow::Cow;

use pdata::edit::{Editor, Msg, Scalar};
use pdata::schema::{ANY_VALUE, Field, Kind, Label, Message};

use crate::error::RunError;
use crate::value::{Map, Value};

use super::any;

/// An opened message as a map.
pub(super) fn read(editor: &mut Editor, message: Msg) -> Map<'static> {
    let table = editor.table(message);
    let mut map = Map::new();
    for field in table.fields {
        let is_attributes = field.number == table.attributes_number();
        let value = if is_attributes {
            let attributes = any::map(editor.attributes(message));
            if attributes.is_empty() {
                continue;
            }
            Value::Map(attributes)
        } else {
            if editor.first(message, field.number).is_none() {
                continue;
            }
            match (field.label, field.kind.message()) {
                (Label::Repeated, Some(_)) => read_all(editor, message, field.number),
                (Label::Repeated, None) => read_numbers(editor, message, field.number),
                (_, Some(inner)) => match editor.sub(message, field.number) {
                    Some(sub) if std::ptr::eq(inner, &raw const ANY_VALUE) => Value::from_wire(editor.value(sub)),
                    Some(sub) => Value::Map(read(editor, sub)),
                    None => continue,
                },
                (_, None) => match editor.get(message, field.number) {
                    Some(scalar) => scalar_value(field.kind, scalar),
                    None => continue,
                },
            }
        };
        map.insert(field.name, value);
    }
    map
}

/// Every message of a repeated field.
pub(super) fn read_all(editor: &mut Editor, message: Msg, number: u32) -> Value<'static> {
    let mut list = Vec::new();
    let mut next = editor.first(message, number);
    while let Some(at) = next {
        if let Some(inner) = editor.open(at) {
            list.push(Value::Map(read(editor, inner)));
        }
        next = editor.next(at);
    }
    Value::List(list)
}

/// Every number of a repeated field, packed or not.
pub(super) fn read_numbers(editor: &mut Editor, message: Msg, number: u32) -> Value<'static> {
    let Some(field) = editor.table(message).field(number) else { return Value::List(Vec::new()) };
    let mut list = Vec::new();
    let mut next = editor.first(message, number);
    while let Some(at) = next {
        match editor.scalar(at) {
            Some(scalar) => list.push(scalar_value(field.kind, scalar)),
            None => unpack(field.kind, editor.bytes(at), &mut list),
        }
        next = editor.next(at);
    }
    Value::List(list)
}

fn unpack(kind: Kind, packed: &[u8], list: &mut Vec<Value<'static>>) {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
            let (words, _) = packed.as_chunks::<8>();
            list.extend(words.iter().map(|word| match kind {
                Kind::Double => Value::Float(f64::from_le_bytes(*word)),
                _ => Value::Int(i64::from_le_bytes(*word)),
            }));
        }
        _ => {
            let mut at = 0;
            while let Some(number) = pdata::wire::read_varint(packed, &mut at) {
                list.push(Value::Int(number.cast_signed()));
            }
        }
    }
}

fn scalar_value(kind: Kind, scalar: Scalar<'_>) -> Value<'static> {
    match (kind, scalar) {
        (Kind::TraceId, Scalar::Bytes(id)) => Value::TraceId(id.try_into().unwrap_or_default()),
        (Kind::SpanId, Scalar::Bytes(id)) => Value::SpanId(id.try_into().unwrap_or_default()),
        (_, Scalar::Bool(truth)) => Value::Bool(truth),
        (_, Scalar::Int(int)) => Value::Int(int),
        (_, Scalar::Uint(uint)) => Value::Int(uint.cast_signed()),
        (_, Scalar::Double(float)) => Value::Float(float),
        (_, Scalar::Str(text)) => Value::text(text),
        (_, Scalar::Bytes(bytes)) => Value::Bytes(Cow::Owned(bytes.to_vec())),
    }
}

/// Replaces every message of a field by those of a list of maps, or of a single map where the field is not repeated.
/// Nothing changes if one of them does not fit.
pub(super) fn write(editor: &mut Editor, message: Msg, number: u32, value: &Value<'_>) -> Result<(), RunError> {
    let table = editor.table(message);
    let field = table.field(number).ok_or("the message has no such field")?;
    let inner = field.kind.message().ok_or("the field is no message")?;
    let single;
    let maps: &[Value<'_>] = match (field.label, value) {
        (Label::Repeated, Value::List(list)) => list,
        (Label::Repeated, other) => return Err(RunError::expected("a list of maps", other)),
        (_, map @ Value::Map(_)) => {
            single = [map.by_ref()];
            &single
        }
        (_, other) => return Err(RunError::expected("a map", other)),
    };
    // Checked before anything is written, so that what does not fit changes nothing.
    for map in maps {
        check(inner, map)?;
    }
    editor.clear(message, number);
    for map in maps {
        let Value::Map(map) = map else { continue };
        let added = if field.label == Label::Repeated {
            // Data points are counted, as only whole messages are when they are put in.
            let at = editor.append(message, number, &[])?;
            editor.open(at).ok_or("a message that was just added is gone")?
        } else {
            editor.add(message, number)?
        };
        write_fields(editor, added, map)?;
    }
    Ok(())
}

fn check(table: &'static Message, value: &Value<'_>) -> Result<(), RunError> {
    let Value::Map(map) = value else { return Err(RunError::expected("a map", value)) };
    for (name, value) in map.iter() {
        let field = field_of(table, name)?;
        let wrong = |what| Err(RunError::new(format!("`{name}`: {}", RunError::expected(what, value))));
        if field.number == table.attributes_number() {
            let Value::Map(attributes) = value else { return wrong("a map") };
            attributes.iter().try_for_each(|(_, value)| value.to_wire(|_| Ok(())))?;
            continue;
        }
        match (field.label, field.kind.message(), value) {
            (_, Some(inner), _) if std::ptr::eq(inner, &raw const ANY_VALUE) => value.to_wire(|_| Ok(()))?,
            (Label::Repeated, Some(inner), Value::List(list)) => list.iter().try_for_each(|map| check(inner, map))?,
            (Label::Repeated, None, Value::List(list)) => {
                list.iter().try_for_each(|value| scalar_of(field.kind, value).map(drop))?;
            }
            (Label::Repeated, ..) => return wrong("a list"),
            (_, Some(inner), map) => check(inner, map)?,
            (_, None, value) => drop(scalar_of(field.kind, value)?),
        }
    }
    Ok(())
}

fn field_of(table: &'static Message, name: &str) -> Result<&'static Field, RunError> {
    let field = table.fields.iter().find(|field| field.name == name);
    field.ok_or_else(|| RunError::new(format!("`{}` has no field `{name}`", table.name)))
}

fn write_fields(editor: &mut Editor, message: Msg, map: &Map<'_>) -> Result<(), RunError> {
    let table = editor.table(message);
    for (name, value) in map.iter() {
        let field = field_of(table, name)?;
        if field.number == table.attributes_number() {
            if let Value::Map(map) = value {
                let mut attributes = editor.attributes(message);
                for (key, value) in map.iter() {
                    value.to_wire(|value| Ok(attributes.upsert(key, value)?))?;
                }
            }
            continue;
        }
        match (field.label, field.kind.message(), value) {
            (_, Some(inner), _) if std::ptr::eq(inner, &raw const ANY_VALUE) => {
                let any = editor.sub_or_add(message, field.number)?;
                value.to_wire(|value| Ok(editor.set_value(any, value)?))?;
            }
            (_, Some(_), Value::List(_) | Value::Map(_)) => write(editor, message, field.number, value)?,
            (Label::Repeated, None, Value::List(list)) => write_numbers(editor, message, field.number, list)?,
            (_, None, value) => editor.set(message, field.number, scalar_of(field.kind, value)?)?,
            (_, Some(_), other) => return Err(RunError::expected("a map", other)),
        }
    }
    Ok(())
}

/// Replaces a list of numbers.
pub(super) fn write_numbers(
    editor: &mut Editor,
    message: Msg,
    number: u32,
    values: &[Value<'_>],
) -> Result<(), RunError> {
    let field = editor.table(message).field(number).ok_or("the message has no such field")?;
    let scalars = values.iter().map(|value| scalar_of(field.kind, value)).collect::<Result<Vec<_>, _>>()?;
    Ok(editor.set_packed(message, number, scalars)?)
}

/// A value as a field of that kind holds it.
fn scalar_of<'v>(kind: Kind, value: &'v Value<'_>) -> Result<Scalar<'v>, RunError> {
    Ok(match (kind, value) {
        (Kind::Bool, Value::Bool(truth)) => Scalar::Bool(*truth),
        (Kind::Double, Value::Float(float)) => Scalar::Double(*float),
        #[expect(clippy::cast_precision_loss, reason = "ints are written to fields of floats as floats")]
        (Kind::Double, Value::Int(int)) => Scalar::Double(*int as f64),
        (Kind::Bool | Kind::String | Kind::Bytes | Kind::TraceId | Kind::SpanId, Value::Int(_)) => {
            return Err(RunError::expected("another type than an int", value));
        }
        (kind, Value::Int(int)) => {
            let is_in_range = match kind {
                Kind::Int32 | Kind::Sint32 | Kind::Enum(_) => i32::try_from(*int).is_ok(),
                Kind::Uint32 | Kind::Fixed32 => u32::try_from(*int).is_ok(),
                Kind::Uint64 | Kind::Fixed64 => *int >= 0,
                _ => true,
            };
            if !is_in_range {
                return Err(RunError::new(format!("{int} is out of the range of its field")));
            }
            Scalar::Int(*int)
        }
        (Kind::String, Value::Str(text)) => Scalar::Str(text),
        (Kind::Bytes, Value::Bytes(bytes)) => Scalar::Bytes(bytes),
        (Kind::TraceId, Value::TraceId(id)) => Scalar::Bytes(id),
        (Kind::TraceId, Value::Bytes(id)) if id.len() == 16 => Scalar::Bytes(id),
        (Kind::SpanId, Value::SpanId(id)) => Scalar::Bytes(id),
        (Kind::SpanId, Value::Bytes(id)) if id.len() == 8 => Scalar::Bytes(id),
        (Kind::Bool, other) => return Err(RunError::expected("a bool", other)),
        (Kind::Double, other) => return Err(RunError::expected("a float", other)),
        (Kind::String, other) => return Err(RunError::expected("a string", other)),
        (Kind::Bytes, other) => return Err(RunError::expected("bytes", other)),
        (Kind::TraceId, other) => return Err(RunError::expected("a trace ID", other)),
        (Kind::SpanId, other) => return Err(RunError::expected("a span ID", other)),
        (_, other) => return Err(RunError::expected("an int", other)),
    })
}
