//! Values as text, as `String`, `stringify_all` and `IsMatch` see them: scalars as one writes them, bytes in base64, lists
//! and maps as JSON, times in RFC 3339, durations as Go writes them, IDs in hexadecimal.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::value::Value;

impl Value<'_> {
    /// The value as text; nil is empty.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float_text(*float),
            Self::Str(text) => text.to_string(),
            Self::Bytes(bytes) => STANDARD.encode(bytes),
            Self::List(_) | Self::Map(_) => {
                let mut out = String::new();
                json(self, &mut out);
                out
            }
            Self::Time(time) => match time.zoned() {
                Some(zoned) if time.zone == jiff::tz::TimeZone::UTC => zoned.timestamp().to_string(),
                Some(zoned) => zoned.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
                None => String::new(),
            },
            Self::Duration(nanos) => duration_text(*nanos),
            Self::TraceId(id) => hex(id),
            Self::SpanId(id) => hex(id),
        }
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

/// A number as the Collector writes it in JSON: plain between 1e-6 and 1e21, with an exponent beyond.
#[must_use]
pub fn float_text(float: f64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail. In statements the Collector writes exponents with two digits.
    value_text::float(float, 1e-6..1e21, 2, &mut text).unwrap_or_default();
    text
}

/// A duration as Go writes it: `1h2m3.5s`, `250ms`, `0s`.
#[must_use]
pub fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let fraction = |unit: u64| {
        let whole = size / unit;
        let rest = format!("{:0width$}", size % unit, width = unit.ilog10() as usize);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let minutes = size / 60_000_000_000;
            let below = size % 60_000_000_000;
            let rest = format!("{:09}", below % 1_000_000_000);
            let rest = rest.trim_end_matches('0');
            let dot = if rest.is_empty() { "" } else { "." };
            let seconds = format!("{}{dot}{rest}s", below / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// Recursion is bounded by how deep values nest.
fn json(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(_) | Value::Int(_) => out.push_str(&value.to_text()),
        Value::Float(float) if float.is_finite() => out.push_str(&float_text(*float)),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(value, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            // Go's encoder sorts keys.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(key, out);
                out.push(':');
                json(value, out);
            }
            out.push('}');
        }
        other => quote(&other.to_text(), out),
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
            '\u{0}'..='\u{1f}' | '\u{7f}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Map, Time};

    #[test]
    fn values_as_text() {
        let map: Map<'_> = [("b".into(), Value::Int(1)), ("a".into(), Value::text("x\"\n"))].into_iter().collect();
        let cases = [
            (Value::Nil, ""),
            (Value::Bool(true), "true"),
            (Value::Int(-3), "-3"),
            (Value::Float(1.5), "1.5"),
            (Value::Float(100.0), "100"),
            (Value::Float(1e21), "1e+21"),
            (Value::Float(1.5e-7), "1.5e-07"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Bytes(vec![0, 1, 255].into()), "AAH/"),
            (Value::List(vec![Value::Int(1), Value::Nil, Value::text("a")]), "[1,null,\"a\"]"),
            (Value::Map(map), "{\"a\":\"x\\\"\\n\",\"b\":1}"),
            (Value::TraceId([0xab; 16]), "abababababababababababababababab"),
            (Value::Time(Time::utc(1_500_000_000)), "1970-01-01T00:00:01.5Z"),
        ];
        for (value, expected) in cases {
            assert_eq!(value.to_text(), expected);
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (4 * 60_000_000_000 + 5_000_000_000, "4m5s"),
            (5 * 3_600_000_000_000 + 6_001_000_000, "5h0m6.001s"),
            (-1_500_000, "-1.5ms"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(duration_text(nanos), expected);
        }
    }
}
