//! Wire bytes to OTLP/JSON, driven by [`pdata::schema`].
//!
//! Fields appear in the order in which they first stand on the wire; what is absent there is absent here. IDs are lower
//! case hexadecimal, 64-bit integers strings, enumerations numbers, bytes base64, doubles that JSON has no number for
//! strings. Unknown fields are left out: JSON has no way to carry them.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

use std::fmt::Write as _;

use pdata::Payload;
use pdata::schema::{self, Field, Kind, Label, Message};
use pdata::validate::DEPTH_MAX;
use pdata::wire::{FIXED32, FIXED64, Fields, LEN, RawField, VARINT, read_varint, unzigzag};

use super::reader::plain_len;
use super::scalar::put_base64;

/// Appends a payload as one export request, without white space or a newline.
pub fn write_payload(payload: &Payload, out: &mut String) {
    // An export request consists of one list, whose elements stand in any number of segments.
    let [list] = schema::request(payload.signal()).fields else { return };
    let (mut open, mut separator) = ('{', '[');
    write_key(list, &mut open, out);
    for segment in payload.segments() {
        for raw in Fields::new(segment.bytes()).filter(|raw| raw.number == list.number) {
            write_elements(list.kind, segment.bytes(), raw, &mut separator, out, DEPTH_MAX - 1);
        }
    }
    out.push_str(if separator == '[' { "[]}" } else { "]}" });
}

/// Appends a message of type `table` that passed [`pdata::validate()`]. Bytes that did not are written as far as they
/// make sense.
pub fn write_message(table: &'static Message, message: &[u8], out: &mut String) {
    write_nested(table, message, out, DEPTH_MAX);
}

fn write_nested(table: &'static Message, message: &[u8], out: &mut String, depth: u32) {
    let Some(depth) = depth.checked_sub(1) else { return out.push_str("{}") };
    let mut open = '{';
    let mut lists_done = 0_u32;
    let mut fields = Fields::new(message);
    while let Some(raw) = fields.next() {
        let Some(field) = table.field(raw.number) else { continue };
        if field.label != Label::Repeated {
            if raw.wire_type == field.kind.wire_type() {
                write_key(field, &mut open, out);
                write_value(field.kind, raw.wire_type, message.get(raw.value).unwrap_or_default(), out, depth);
            }
            continue;
        }
        let bit = 1 << field.number;
        if lists_done & bit != 0 {
            continue;
        }
        lists_done |= bit;
        write_key(field, &mut open, out);
        let mut separator = '[';
        for raw in std::iter::once(raw).chain(fields.clone().filter(|raw| raw.number == field.number)) {
            write_elements(field.kind, message, raw, &mut separator, out, depth);
        }
        out.push_str(if separator == '[' { "[]" } else { "]" });
    }
    let is_list = std::ptr::eq(table, &schema::ARRAY_VALUE) || std::ptr::eq(table, &schema::KEY_VALUE_LIST);
    out.push_str(match open {
        // Readers in use insist on the list, though it may be left out.
        '{' if is_list => "{\"values\":[]}",
        '{' => "{}",
        _ => "}",
    });
}

fn write_key(field: &Field, open: &mut char, out: &mut String) {
    out.push(std::mem::replace(open, ','));
    out.push('"');
    out.push_str(field.json);
    out.push_str("\":");
}

/// Writes the element, or the elements of a packed run, that stand in one field.
fn write_elements(kind: Kind, message: &[u8], raw: RawField, separator: &mut char, out: &mut String, depth: u32) {
    let value = message.get(raw.value).unwrap_or_default();
    let single = kind.wire_type();
    if raw.wire_type == single {
        out.push(std::mem::replace(separator, ','));
        return write_value(kind, single, value, out, depth);
    }
    if raw.wire_type != LEN {
        return;
    }
    let mut at = 0;
    while at < value.len() {
        let from = at;
        match single {
            FIXED64 => at += 8,
            FIXED32 => at += 4,
            _ => {
                if read_varint(value, &mut at).is_none() {
                    return;
                }
            }
        }
        let Some(element) = value.get(from..at) else { return };
        out.push(std::mem::replace(separator, ','));
        write_value(kind, single, element, out, depth);
    }
}

/// Writes one value; `bytes` are its content as [`RawField::value`] has it.
fn write_value(kind: Kind, wire_type: u8, bytes: &[u8], out: &mut String, depth: u32) {
    let varint = || if wire_type == VARINT { read_varint(bytes, &mut 0).unwrap_or_default() } else { 0 };
    let fixed64 = || bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    match kind {
        Kind::Bool => out.push_str(if varint() == 0 { "false" } else { "true" }),
        Kind::Enum(_) | Kind::Int32 => put(out, format_args!("{}", varint().cast_signed() as i32)),
        Kind::Uint32 => put(out, format_args!("{}", varint() as u32)),
        Kind::Sint32 => put(out, format_args!("{}", unzigzag(varint() & u64::from(u32::MAX)) as i32)),
        Kind::Int64 => put(out, format_args!("\"{}\"", varint().cast_signed())),
        Kind::Uint64 => put(out, format_args!("\"{}\"", varint())),
        Kind::Fixed32 => put(out, format_args!("{}", bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)))),
        Kind::Fixed64 => put(out, format_args!("\"{}\"", fixed64())),
        Kind::Sfixed64 => put(out, format_args!("\"{}\"", fixed64().cast_signed())),
        Kind::Double => write_double(f64::from_bits(fixed64()), out),
        Kind::String => write_string(&String::from_utf8_lossy(bytes), out),
        Kind::Bytes => {
            out.push('"');
            put_base64(out, bytes);
            out.push('"');
        }
        Kind::TraceId | Kind::SpanId => {
            out.push('"');
            for byte in bytes {
                for nibble in [byte >> 4, byte & 0xf] {
                    out.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
                }
            }
            out.push('"');
        }
        Kind::Message(table) | Kind::Item(table) => write_nested(table, bytes, out, depth),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = out.write_fmt(text);
}

fn write_double(value: f64, out: &mut String) {
    let magnitude = value.abs();
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else if magnitude.to_bits() == 0 || (1e-5..1e17).contains(&magnitude) {
        put(out, format_args!("{value}"));
    } else {
        // Both forms have the fewest digits that read back as the same number.
        put(out, format_args!("{value:e}"));
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_len(rest.as_bytes()));
        out.push_str(plain);
        let Some(byte) = special.bytes().next() else { break };
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ => put(out, format_args!("\\u{byte:04x}")),
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.push('"');
}
