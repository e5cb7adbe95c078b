//! What values read as: the Collector's canonical text of any value, and numbers as Go writes them.
//!
//! OTTL writes values by rules of its own (`ottl::Value::to_text`); it shares only numbers with this.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};
use std::ops::Range;

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
            ValueView::F64(number) if number.is_finite() => Number(number).fmt(f),
            ValueView::F64(number) => write!(f, "json: unsupported value: {}", Number(number)),
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

fn write_to(scratch: &mut String, text: impl Display) -> &str {
    scratch.clear();
    // Writing to a string cannot fail.
    write!(scratch, "{text}").unwrap_or_default();
    scratch
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
        ValueView::Bool(_) | ValueView::I64(_) | ValueView::F64(_) | ValueView::StrIndex(_) => Text(value).fmt(f),
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

/// A number as JSON has it, without exponent between 1e-6 and 1e21; `NaN`, `+Inf` and `-Inf`, which JSON does not know.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        float(self.0, 1e-6..1e21, 1, f)
    }
}

/// Writes a number without exponent if its magnitude is 0 or `plain`, otherwise as `1.5e+06`, the exponent with at
/// least `digits_min` digits. As few digits as tell it apart; `NaN`, `+Inf`, `-Inf`.
///
/// # Errors
/// None but those of what is written to.
pub fn float(number: f64, plain: Range<f64>, digits_min: usize, out: &mut impl Write) -> fmt::Result {
    let magnitude = number.abs();
    if !number.is_finite() {
        return out.write_str(not_finite(number));
    }
    if magnitude == 0.0 || plain.contains(&magnitude) {
        return write!(out, "{number}");
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    write!(out, "{mantissa}e{sign}{digits:0>digits_min$}")
}

/// `NaN`, `+Inf` or `-Inf`.
#[must_use]
pub const fn not_finite(number: f64) -> &'static str {
    match (number.is_nan(), number > 0.0) {
        (true, _) => "NaN",
        (false, true) => "+Inf",
        (false, false) => "-Inf",
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
}
