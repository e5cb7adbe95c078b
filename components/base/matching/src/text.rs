//! What values read as: the Collector's canonical text of any value.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pdata::view::{AttributesView, ValueView};

/// Any value as text: strings as they are, bytes in base64, lists and maps as JSON, nothing for an empty value.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub ValueView<'a>);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ValueView::Empty => Ok(()),
            ValueView::Str(text) => f.write_str(text),
            ValueView::Bool(flag) => write!(f, "{flag}"),
            ValueView::I64(number) => write!(f, "{number}"),
            ValueView::F64(number) if number.is_finite() => json_number(number, f),
            ValueView::F64(number) => write!(f, "json: unsupported value: {}", not_finite(number)),
            ValueView::Bytes(bytes) => f.write_str(&STANDARD.encode(bytes)),
            ValueView::StrIndex(index) => write!(f, "{index}"),
            // JSON has no infinities; Go then writes nothing at all.
            ValueView::Array(_) | ValueView::KvList(_) if !is_json(self.0) => Ok(()),
            ValueView::Array(_) | ValueView::KvList(_) => json(self.0, f),
        }
    }
}

/// The text of a value; `scratch` holds it if it has to be made.
pub fn of<'t>(value: ValueView<'t>, scratch: &'t mut String) -> &'t str {
    if let ValueView::Str(text) = value {
        return text;
    }
    write_to(scratch, Text(value))
}

/// What regular expressions of attributes are held against: scalars, numbers without exponent. `None` for others.
pub(crate) fn of_scalar<'t>(value: ValueView<'t>, scratch: &'t mut String) -> Option<&'t str> {
    match value {
        ValueView::Str(text) => Some(text),
        ValueView::Bool(flag) => Some(if flag { "true" } else { "false" }),
        ValueView::I64(number) => Some(write_to(scratch, number)),
        ValueView::F64(number) if number.is_finite() => Some(write_to(scratch, number)),
        ValueView::F64(number) => Some(not_finite(number)),
        _ => None,
    }
}

fn write_to(scratch: &mut String, text: impl Display) -> &str {
    scratch.clear();
    // Writing to a string cannot fail.
    write!(scratch, "{text}").unwrap_or_default();
    scratch
}

fn not_finite(number: f64) -> &'static str {
    match (number.is_nan(), number > 0.0) {
        (true, _) => "NaN",
        (false, true) => "+Inf",
        (false, false) => "-Inf",
    }
}

/// Keys in order; of keys that occur twice, the last.
fn sorted(map: AttributesView<'_>) -> BTreeMap<&str, ValueView<'_>> {
    map.iter().map(|pair| (pair.key(), pair.value())).collect()
}

fn is_json(value: ValueView<'_>) -> bool {
    match value {
        ValueView::F64(number) => number.is_finite(),
        ValueView::Array(values) => values.iter().all(is_json),
        ValueView::KvList(map) => sorted(map).into_values().all(is_json),
        _ => true,
    }
}

/// Nesting is bounded by what validation lets in ([`pdata::validate::DEPTH_MAX`]).
fn json(value: ValueView<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        ValueView::Empty => f.write_str("null"),
        ValueView::Str(text) => json_text(text, f),
        ValueView::Bytes(bytes) => json_text(&STANDARD.encode(bytes), f),
        ValueView::F64(number) => json_number(number, f),
        ValueView::Bool(_) | ValueView::I64(_) | ValueView::StrIndex(_) => Text(value).fmt(f),
        ValueView::Array(values) => {
            f.write_char('[')?;
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    f.write_char(',')?;
                }
                json(value, f)?;
            }
            f.write_char(']')
        }
        ValueView::KvList(map) => {
            f.write_char('{')?;
            for (n, (key, value)) in sorted(map).into_iter().enumerate() {
                if n > 0 {
                    f.write_char(',')?;
                }
                json_text(key, f)?;
                f.write_char(':')?;
                json(value, f)?;
            }
            f.write_char('}')
        }
    }
}

/// A JSON string as Go's encoder writes it: safe inside HTML.
fn json_text(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// A finite number as JavaScript writes it.
fn json_number(number: f64, f: &mut Formatter<'_>) -> fmt::Result {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return write!(f, "{number}");
    }
    let text = format!("{number:e}");
    match text.split_once("e-") {
        Some(_) => f.write_str(&text),
        None => f.write_str(&text.replace('e', "e+")),
    }
}

#[cfg(test)]
mod tests {
    use pdata::edit::{Value, ValueBuf};

    use super::*;

    fn text(value: &ValueBuf) -> String {
        let mut bytes = Vec::new();
        value.value().encode(&mut bytes);
        Text(ValueView::new(&bytes)).to_string()
    }

    #[test]
    fn values_read_as_in_the_collector() {
        let buf = |value: Value<'_>| ValueBuf::from(value);
        for (value, expected) in [
            (Value::Empty, ""),
            (Value::Str("a\"b"), "a\"b"),
            (Value::Bool(true), "true"),
            (Value::Int(-7), "-7"),
            (Value::Double(1.0), "1"),
            (Value::Double(0.1), "0.1"),
            (Value::Double(1e20), "100000000000000000000"),
            (Value::Double(1.5e21), "1.5e+21"),
            (Value::Double(1e-7), "1e-7"),
            (Value::Double(0.000_001), "0.000001"),
            (Value::Double(-0.0), "-0"),
            (Value::Double(f64::NAN), "json: unsupported value: NaN"),
            (Value::Double(f64::NEG_INFINITY), "json: unsupported value: -Inf"),
            (Value::Bytes(&[1, 2, 250]), "AQL6"),
        ] {
            assert_eq!(text(&buf(value)), expected);
        }
        let list = ValueBuf::list([buf(Value::Empty), buf(Value::Str("<é\u{1}\n")), buf(Value::Bytes(b"ab"))]).unwrap();
        assert_eq!(text(&list), "[null,\"\\u003cé\\u0001\\n\",\"YWI=\"]");
        let map = ValueBuf::map([("b", list), ("a", buf(Value::Double(1e-7)))]).unwrap();
        assert_eq!(text(&map), "{\"a\":1e-7,\"b\":[null,\"\\u003cé\\u0001\\n\",\"YWI=\"]}");
        assert_eq!(text(&ValueBuf::list([buf(Value::Double(f64::INFINITY))]).unwrap()), "");
    }

    #[test]
    fn patterns_see_numbers_without_exponents() {
        let scratch = &mut String::new();
        assert_eq!(of_scalar(ValueView::F64(1e22), scratch), Some("10000000000000000000000"));
        assert_eq!(of_scalar(ValueView::F64(f64::INFINITY), scratch), Some("+Inf"));
        assert_eq!(of_scalar(ValueView::I64(5), scratch), Some("5"));
        assert_eq!(of_scalar(ValueView::Bool(false), scratch), Some("false"));
        assert_eq!(of_scalar(ValueView::Bytes(b"a"), scratch), None);
        assert_eq!(of_scalar(ValueView::Empty, scratch), None);
    }
}
