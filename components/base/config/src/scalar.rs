//! What a plain YAML scalar means: null, boolean, integer, float, or text.
//!
//! The rules are those of the Collector's YAML library (go-yaml v3): YAML 1.2 core schema, plus underscores in numbers,
//! `0b`, and a leading `0` for octal. One departure: dates stay text, there they become a type that no setting takes.

use crate::node::Value;
use std::sync::Arc;

/// Resolves a plain (unquoted) scalar.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::String(Arc::from(text)))
}

/// An integer or float, if the text is one.
pub(crate) fn number(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) || text.len() > 400 {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    integer(&digits).or_else(|| is_float(&digits).then(|| digits.parse().ok().map(Value::Float))?)
}

fn integer(text: &str) -> Option<Value> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.trim_start_matches('0'))
    } else {
        (10, lower.as_str())
    };
    let digits = if digits.is_empty() && radix == 8 && !lower.starts_with("0o") { "0" } else { digits };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -value } else { value };
    i64::try_from(value).map(Value::Int).or_else(|_| u64::try_from(value).map(Value::UInt)).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::node::Value;

    #[test]
    fn resolves_as_the_collector_does() {
        let text = |t: &str| Value::string(t);
        for (plain, expected) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("nULL", text("nULL")),
            ("true", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("yes", text("yes")),
            ("on", text("on")),
            ("0", Value::Int(0)),
            ("00", Value::Int(0)),
            ("-1", Value::Int(-1)),
            ("+5", Value::Int(5)),
            ("1_000", Value::Int(1000)),
            ("0x1F", Value::Int(31)),
            ("0b101", Value::Int(5)),
            ("0o17", Value::Int(15)),
            ("0123", Value::Int(83)),
            ("089", Value::Float(89.0)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("9223372036854775808", Value::UInt(9_223_372_036_854_775_808)),
            ("18446744073709551616", Value::Float(18_446_744_073_709_551_616.0)),
            ("1.5", Value::Float(1.5)),
            (".5", Value::Float(0.5)),
            ("1.", Value::Float(1.0)),
            ("1e3", Value::Float(1000.0)),
            ("1e", text("1e")),
            (".", text(".")),
            ("-", text("-")),
            ("+", text("+")),
            ("0x", text("0x")),
            ("0o", text("0o")),
            ("_1", text("_1")),
            ("1.2.3", text("1.2.3")),
            ("2024-01-01", text("2024-01-01")),
            ("200ms", text("200ms")),
            ("infinity", text("infinity")),
            ("nan", text("nan")),
            (".inf", Value::Float(f64::INFINITY)),
            (".nan", Value::Float(f64::NAN)),
            ("-+5", text("-+5")),
            ("0x-5", text("0x-5")),
        ] {
            assert_eq!(resolve(plain), expected, "{plain}");
        }
    }
}
