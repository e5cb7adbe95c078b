//! Attribute values as text in routing keys, as the Collector's `AsString` writes them: scalars as one writes them, bytes
//! in base64, lists and maps as Go's JSON (keys sorted; `<`, `>` and `&` escaped).

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pdata::view::ValueView;

/// Appends `value`; nothing for an empty one.
pub fn put(value: ValueView<'_>, out: &mut String) {
    match value {
        ValueView::Empty | ValueView::StrIndex(_) => {}
        ValueView::Str(text) => out.push_str(text),
        ValueView::Bytes(bytes) => STANDARD.encode_string(bytes, out),
        ValueView::F64(number) if number.is_nan() => out.push_str("json: unsupported value: NaN"),
        ValueView::F64(number) if number.is_infinite() => {
            let sign = if number > 0.0 { '+' } else { '-' };
            out.push_str("json: unsupported value: ");
            out.push(sign);
            out.push_str("Inf");
        }
        ValueView::Bool(_) | ValueView::I64(_) | ValueView::F64(_) => json(value, out),
        // Go's encoder gives up on a number that JSON does not know, wherever it is.
        ValueView::Array(_) | ValueView::KvList(_) if !is_finite(value) => {}
        ValueView::Array(_) | ValueView::KvList(_) => json(value, out),
    }
}

fn is_finite(value: ValueView<'_>) -> bool {
    match value {
        ValueView::F64(number) => number.is_finite(),
        ValueView::Array(list) => list.iter().all(is_finite),
        ValueView::KvList(map) => map.iter().all(|pair| is_finite(pair.value())),
        _ => true,
    }
}

/// Recursion is bounded by validation, which bounds how deep values nest.
fn json(value: ValueView<'_>, out: &mut String) {
    // Writing to a string does not fail.
    match value {
        ValueView::Empty | ValueView::StrIndex(_) => out.push_str("null"),
        ValueView::Bool(flag) => out.push_str(if flag { "true" } else { "false" }),
        ValueView::I64(number) => {
            let _written = write!(out, "{number}");
        }
        ValueView::F64(number) => put_float(number, out),
        ValueView::Str(text) => quote(text, out),
        ValueView::Bytes(bytes) => quote(&STANDARD.encode(bytes), out),
        ValueView::Array(list) => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(value, out);
            }
            out.push(']');
        }
        ValueView::KvList(map) => {
            let sorted: BTreeMap<&str, ValueView<'_>> = map.iter().map(|pair| (pair.key(), pair.value())).collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(key, out);
                out.push(':');
                json(value, out);
            }
            out.push('}');
        }
    }
}

/// Plain between 1e-6 and 1e21, with an exponent beyond.
fn put_float(number: f64, out: &mut String) {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        {
            let _written = write!(out, "{number}");
        };
        return;
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => {
            let _written = write!(out, "{digits}e+{exponent}");
        }
        _ => out.push_str(&text),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                {
                    let _written = write!(out, "\\u{:04x}", u32::from(c));
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
