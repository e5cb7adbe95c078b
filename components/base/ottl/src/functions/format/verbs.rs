//! Single values under a verb, as Go's `fmt` writes them.

use crate::text::{duration_text, hex};
use crate::value::{Time, Value};

/// Flags, width and precision of a directive.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// In characters; 0 for none.
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
}

/// The name of the type in Go.
pub(super) fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::Bytes(_) => "[]uint8",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::TraceId(_) => "pcommon.TraceID",
        Value::SpanId(_) => "pcommon.SpanID",
    }
}

/// Writes a value under a verb. Recursion is bounded by how deep values nest.
pub(super) fn write_value(value: &Value<'_>, verb: char, style: &Style, out: &mut String) {
    if verb == 'T' {
        return write_text(type_name(value), 's', style, out);
    }
    let fits = match value {
        Value::Nil if verb == 'v' => {
            pad("<nil>", style, out);
            true
        }
        Value::Nil => {
            out.push_str(&format!("%!{verb}(<nil>)"));
            true
        }
        Value::Bool(truth) if matches!(verb, 't' | 'v') => {
            pad(if *truth { "true" } else { "false" }, style, out);
            true
        }
        Value::Int(int) => write_int(*int, verb, style, out),
        Value::Float(float) => write_float(*float, verb, style, out),
        Value::Str(text) => {
            is_of_text(verb) && {
                write_text(text, verb, style, out);
                true
            }
        }
        Value::Bytes(bytes) => write_bytes(bytes, verb, style, out),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_value(value, verb, style, out);
            }
            out.push(']');
            true
        }
        Value::Map(map) => {
            out.push_str("map[");
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_value(&Value::Str(key.into()), verb, style, out);
                out.push(':');
                write_value(value, verb, style, out);
            }
            out.push(']');
            true
        }
        Value::Time(time) => write_as_text(&time_text(time), verb, style, out),
        Value::Duration(nanos) => {
            write_as_text(&duration_text(*nanos), verb, style, out) || write_int(*nanos, verb, style, out)
        }
        Value::TraceId(id) => write_as_text(&hex(id), verb, style, out),
        Value::SpanId(id) => write_as_text(&hex(id), verb, style, out),
        Value::Bool(_) => false,
    };
    if !fits {
        out.push_str(&format!("%!{verb}({}=", type_name(value)));
        match value {
            // Under a verb that does not fit a type is shown by its number.
            Value::Duration(nanos) => out.push_str(&format!("{nanos}")),
            other => write_value(other, 'v', &Style::default(), out),
        }
        out.push(')');
    }
}

fn is_of_text(verb: char) -> bool {
    matches!(verb, 'v' | 's' | 'q' | 'x' | 'X')
}

fn write_as_text(text: &str, verb: char, style: &Style, out: &mut String) -> bool {
    if is_of_text(verb) {
        write_text(text, verb, style, out);
    }
    is_of_text(verb)
}

/// Fills up to the width.
fn pad(text: &str, style: &Style, out: &mut String) {
    let missing = style.width.saturating_sub(text.chars().count());
    let fill = if style.zero { '0' } else { ' ' };
    if !style.minus {
        out.extend(std::iter::repeat_n(fill, missing));
    }
    out.push_str(text);
    if style.minus {
        out.extend(std::iter::repeat_n(' ', missing));
    }
}

/// The same for numbers: zeros stand behind the sign.
fn pad_number(sign: &str, digits: &str, style: &Style, out: &mut String) {
    if style.zero {
        let length = sign.len() + digits.chars().count();
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', style.width.saturating_sub(length)));
        out.push_str(digits);
    } else {
        pad(&format!("{sign}{digits}"), style, out);
    }
}

fn sign(is_negative: bool, style: &Style) -> &'static str {
    match (is_negative, style.plus, style.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn write_int(int: i64, verb: char, style: &Style, out: &mut String) -> bool {
    let size = int.unsigned_abs();
    let (prefix, mut digits) = match verb {
        'd' | 'v' => ("", size.to_string()),
        'b' => (if style.sharp { "0b" } else { "" }, format!("{size:b}")),
        'o' => (if style.sharp { "0" } else { "" }, format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'x' => (if style.sharp { "0x" } else { "" }, format!("{size:x}")),
        'X' => (if style.sharp { "0X" } else { "" }, format!("{size:X}")),
        'c' | 'q' | 'U' => {
            let character = u32::try_from(int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            let text = match verb {
                'c' => character.to_string(),
                'q' => quoted(&character.to_string(), '\'', style.plus),
                _ if style.sharp => format!("U+{size:04X} '{character}'"),
                _ => format!("U+{size:04X}"),
            };
            pad(&text, &Style { zero: false, ..style.clone() }, out);
            return true;
        }
        _ => return false,
    };
    if let Some(precision) = style.precision {
        if precision == 0 && int == 0 {
            pad("", &Style { zero: false, ..style.clone() }, out);
            return true;
        }
        digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
    }
    let style = Style { zero: style.zero && style.precision.is_none(), ..style.clone() };
    pad_number(&format!("{}{prefix}", sign(int < 0, &style)), &digits, &style, out);
    true
}

fn write_float(float: f64, verb: char, style: &Style, out: &mut String) -> bool {
    let size = float.abs();
    if !matches!(verb, 'v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G') {
        return false;
    }
    if !size.is_finite() {
        let name = if float.is_nan() { "NaN" } else { "Inf" };
        let always_signed = Style { plus: style.plus || !float.is_nan(), ..style.clone() };
        let text = format!("{}{name}", sign(float < 0.0, &always_signed));
        pad(&text, &Style { zero: false, ..style.clone() }, out);
        return true;
    }
    let precision = style.precision.unwrap_or(6);
    let digits = match verb {
        'f' | 'F' => format!("{size:.precision$}"),
        'e' | 'E' => with_exponent(&format!("{size:.precision$e}")),
        _ => shortest(size, style.precision),
    };
    let digits = if verb.is_ascii_uppercase() { digits.to_ascii_uppercase() } else { digits };
    pad_number(sign(float.is_sign_negative(), style), &digits, style, out);
    true
}

/// `1.5e7` as `1.5e+07`.
fn with_exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// `%g`: as many digits as are needed, or at most this many; with an exponent where that is large.
fn shortest(size: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        None => format!("{size:e}"),
        Some(digits) => format!("{size:.*e}", digits.max(1) - 1),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let count = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let limit = match precision {
        None => 6,
        Some(digits) => {
            let digits = digits.max(1) as i32;
            if digits > count && count > exponent { count } else { digits }
        }
    };
    if exponent < -4 || exponent >= limit {
        with_exponent(&format!("{mantissa}e{exponent}"))
    } else {
        let decimals = (count - 1 - exponent).max(0) as usize;
        format!("{size:.decimals$}")
    }
}

fn write_bytes(bytes: &[u8], verb: char, style: &Style, out: &mut String) -> bool {
    match verb {
        's' | 'q' => write_text(&String::from_utf8_lossy(bytes), verb, style, out),
        'x' | 'X' => write_hex(bytes, verb, style, out),
        _ => {
            out.push('[');
            for (index, byte) in bytes.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                if !write_int((*byte).into(), verb, style, out) {
                    out.push_str(&format!("%!{verb}(uint8={byte})"));
                }
            }
            out.push(']');
        }
    }
    true
}

fn write_text(text: &str, verb: char, style: &Style, out: &mut String) {
    if matches!(verb, 'x' | 'X') {
        return write_hex(text.as_bytes(), verb, style, out);
    }
    let end =
        style.precision.and_then(|characters| text.char_indices().nth(characters)).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or(text);
    if verb != 'q' {
        return pad(text, style, out);
    }
    let is_raw = style.sharp && !text.contains(|c: char| c == '`' || (c.is_control() && c != '\t'));
    pad(&if is_raw { format!("`{text}`") } else { quoted(text, '"', style.plus) }, style, out);
}

/// Precision counts bytes; a space parts them.
fn write_hex(bytes: &[u8], verb: char, style: &Style, out: &mut String) {
    let bytes = bytes.get(..style.precision.unwrap_or(bytes.len()).min(bytes.len())).unwrap_or_default();
    let prefix = match (style.sharp && !bytes.is_empty(), verb) {
        (true, 'x') => "0x",
        (true, _) => "0X",
        (false, _) => "",
    };
    let mut text = prefix.to_owned();
    for (index, byte) in bytes.iter().enumerate() {
        if style.space && index > 0 {
            text.push(' ');
            text.push_str(prefix);
        }
        text.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
    }
    pad(&text, style, out);
}

/// Between quotes, with Go's escapes.
fn quoted(text: &str, quote: char, only_ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            '\0'..='\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if !only_ascii && !c.is_control() && !c.is_whitespace() => out.push(c),
            '\0'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// As Go writes a time: date, time with what there is of a fraction, offset and zone.
fn time_text(time: &Time) -> String {
    let Some(zoned) = time.zoned() else { return format!("{} ns", time.unix_nanos) };
    let zone = match zoned.time_zone().to_fixed_offset() {
        Ok(_) if zoned.time_zone() != &jiff::tz::TimeZone::UTC => zoned.strftime("%z").to_string(),
        _ => zoned.strftime("%Z").to_string(),
    };
    format!("{} {zone}", zoned.strftime("%Y-%m-%d %H:%M:%S%.f %z"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Call, gives, list, map};
    use super::*;

    fn check(cases: Vec<(&str, Value<'static>, &str)>) {
        for (format, value, expected) in cases {
            gives(Call::to("Format").text("format", format).list("vals", vec![value]), expected.to_owned());
        }
    }

    #[test]
    fn integers() {
        check(vec![
            ("%6d|", (-42).into(), "   -42|"),
            ("%-6d|", 42.into(), "42    |"),
            ("%06d", (-42).into(), "-00042"),
            ("%-010d|", 5.into(), "5         |"),
            ("% d", 42.into(), " 42"),
            ("%+d", 5.into(), "+5"),
            ("%x", (-255).into(), "-ff"),
            ("%#x", 255.into(), "0xff"),
            ("%X", 255.into(), "FF"),
            ("%o", 8.into(), "10"),
            ("%O", (-8).into(), "-0o10"),
            ("%#o", 8.into(), "010"),
            ("%08b", 5.into(), "00000101"),
            ("%5.3d", 7.into(), "  007"),
            ("%.0d|", 0.into(), "|"),
            ("%+.3d", 5.into(), "+005"),
            ("%c", 65.into(), "A"),
            ("%3c|", 65.into(), "  A|"),
            ("%c", (-1).into(), "\u{fffd}"),
            ("%q", 67.into(), "'C'"),
            ("%U", 8984.into(), "U+2318"),
            ("%#U", 128_512.into(), "U+1F600 '😀'"),
            ("%d", i64::MIN.into(), "-9223372036854775808"),
            ("%s", 5.into(), "%!s(int64=5)"),
        ]);
    }

    #[test]
    fn floats() {
        check(vec![
            ("%f", 2.0.into(), "2.000000"),
            ("%08.3f", 1.234_56.into(), "0001.235"),
            ("%-8.2f|", 2.5.into(), "2.50    |"),
            ("%+.1f", 1.25.into(), "+1.2"),
            ("% f", 1.5.into(), " 1.500000"),
            ("%+08.2f", (-2.5).into(), "-0002.50"),
            ("%.0f", 2.5.into(), "2"),
            ("%e", 1234.5.into(), "1.234500e+03"),
            ("%.2e", 0.0.into(), "0.00e+00"),
            ("%E", 1.5e-9.into(), "1.500000E-09"),
            ("%v", 1_000_000.0.into(), "1e+06"),
            ("%v", 123_456.0.into(), "123456"),
            ("%v", 12_345_678.9.into(), "1.23456789e+07"),
            ("%v", 1e21.into(), "1e+21"),
            ("%v", 3.0.into(), "3"),
            ("%v", 0.0001.into(), "0.0001"),
            ("%v", 0.000_01.into(), "1e-05"),
            ("%g", 100_000.0.into(), "100000"),
            ("%.3g", 123_456.0.into(), "1.23e+05"),
            ("%.10g", 0.5.into(), "0.5"),
            ("%.4g", 100.0.into(), "100"),
            ("%G", 1e-7.into(), "1E-07"),
            ("%6v", 1.5.into(), "   1.5"),
            ("%v", f64::NEG_INFINITY.into(), "-Inf"),
            ("%5.1f", f64::NAN.into(), "  NaN"),
            ("%f", f64::INFINITY.into(), "+Inf"),
            ("%d", 1.5.into(), "%!d(float64=1.5)"),
        ]);
    }

    #[test]
    fn texts_and_bytes() {
        check(vec![
            ("%5s|", "cd".into(), "   cd|"),
            ("%-5s|", "ab".into(), "ab   |"),
            ("%.2s", "héllo".into(), "hé"),
            ("%x", "hé".into(), "68c3a9"),
            ("%X", "hello".into(), "68656C6C6F"),
            ("%#x", "hi".into(), "0x6869"),
            ("% x", "hi".into(), "68 69"),
            ("%.2x", "abc".into(), "6162"),
            ("%q", "a\n\t\\\"".into(), "\"a\\n\\t\\\\\\\"\""),
            ("%#q", "a\"b".into(), "`a\"b`"),
            ("%#q", "a`b".into(), "\"a`b\""),
            ("%+q", "é☺😀".into(), "\"\\u00e9\\u263a\\U0001f600\""),
            ("%q", "é☺\u{a0}\u{1}".into(), "\"é☺\\u00a0\\x01\""),
            ("%d", "x".into(), "%!d(string=x)"),
            ("%v", Value::Bytes(vec![10, 255].into()), "[10 255]"),
            ("%s", Value::Bytes(b"AB".to_vec().into()), "AB"),
            ("% X", Value::Bytes(vec![10, 255].into()), "0A FF"),
            ("%t", Value::Bytes(vec![1].into()), "[%!t(uint8=1)]"),
        ]);
    }

    #[test]
    fn other_values() {
        let nested = || Value::List(vec![1.into(), Value::Nil, "a".into()]);
        check(vec![
            ("%t", true.into(), "true"),
            ("%6v|", true.into(), "  true|"),
            ("%d", true.into(), "%!d(bool=true)"),
            ("%s", Value::Nil, "%!s(<nil>)"),
            ("%v", nested(), "[1 <nil> a]"),
            ("%d", nested(), "[1 %!d(<nil>) %!d(string=a)]"),
            ("%q", list(["a", "b"]), "[\"a\" \"b\"]"),
            ("%v", map([("b", 1.into()), ("a", nested())]), "map[a:[1 <nil> a] b:1]"),
            ("%s", Value::Duration(3_600_000_000_000), "1h0m0s"),
            ("%d", Value::Duration(1_000_000), "1000000"),
            ("%x", Value::Duration(1), "316e73"),
            ("%t", Value::Duration(1_000_000_000), "%!t(time.Duration=1000000000)"),
            ("%v", Value::SpanId([1, 2, 3, 4, 5, 6, 7, 0xff]), "01020304050607ff"),
            ("%d", Value::SpanId([1; 8]), "%!d(pcommon.SpanID=0101010101010101)"),
            ("%v", Value::Time(Time::utc(1_700_000_000_000_000_000)), "2023-11-14 22:13:20 +0000 UTC"),
            ("%s", Value::Time(Time::utc(1_500_000_000)), "1970-01-01 00:00:01.5 +0000 UTC"),
            ("%T", 1.into(), "int64"),
            ("%T", Value::Nil, "<nil>"),
            ("%T", list([1]), "[]interface {}"),
        ]);
    }
}
