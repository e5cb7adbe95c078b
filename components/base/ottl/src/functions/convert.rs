//! Converters between types, and tests of types.

use std::borrow::Cow;

use super::make::{Outcome, TARGET, binary, converter, function, text, text_like, unary, value};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::text::hex;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("Int", &[TARGET], |arguments| unary(arguments, "target", int)),
    function("Double", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(float(value)?.map_or(Value::Nil, Value::Float)))
    }),
    function("Bool", &[TARGET], |arguments| unary(arguments, "target", truth)),
    function("String", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(text_like(value).map_or(Value::Nil, Value::Str)))
    }),
    function("Hex", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::text(hex(&bytes_like(value, "Hex")?))))
    }),
    function("Log", &[TARGET], |arguments| unary(arguments, "target", log)),
    function("ParseInt", &[TARGET, value("base")], |arguments| {
        binary(arguments, ["target", "base"], |target, base| parse_int(&text(target)?, base.as_int()?))
    }),
    function("IsValidLuhn", &[TARGET], |arguments| unary(arguments, "target", luhn)),
    function("Len", &[TARGET], |arguments| unary(arguments, "target", len)),
    function("Coalesce", &[Param::required("values", ParamKind::List)], |arguments| {
        let values = arguments.list("values")?;
        if values.is_empty() {
            return Err("argument `values` is empty: give at least one value".to_owned());
        }
        converter(Coalesce(values))
    }),
    function("IsString", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::Str(_)))))
    }),
    function("IsInt", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::Int(_)))))
    }),
    function("IsDouble", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::Float(_)))))
    }),
    function("IsBool", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::Bool(_)))))
    }),
    function("IsMap", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::Map(_)))))
    }),
    function("IsList", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::Bool(matches!(value, Value::List(_)))))
    }),
    function("IsEmpty", &[TARGET], |arguments| unary(arguments, "target", |value| Ok(Value::Bool(is_empty(&value))))),
];

/// Text that is no integer is nil.
fn int(value: Value<'_>) -> Outcome<'_> {
    Ok(match value {
        Value::Nil => Value::Nil,
        Value::Int(int) => Value::Int(int),
        Value::Float(float) => Value::Int(float as i64),
        Value::Bool(truth) => Value::Int(truth.into()),
        Value::Str(text) => text.parse().map_or(Value::Nil, Value::Int),
        other => return Err(RunError::expected("a string or number", &other)),
    })
}

/// Nil is `None`. Text that is no number is an error.
fn float(value: Value<'_>) -> Result<Option<f64>, RunError> {
    Ok(match value {
        Value::Nil => None,
        Value::Int(int) => Some(int as f64),
        Value::Float(float) => Some(float),
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        Value::Str(text) => Some(parse_float(&text).ok_or_else(|| RunError::new(format!("`{text}` is not a number")))?),
        other => return Err(RunError::expected("a string or number", &other)),
    })
}

/// A number, in which an underscore may stand between digits. Digits that do not fit are no number; `inf` is.
fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let separates = |at: usize| {
        let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1))
    };
    let number: f64 = match text.contains('_') {
        true if text.match_indices('_').all(|(at, _)| separates(at)) => text.replace('_', "").parse().ok()?,
        true => return None,
        false => text.parse().ok()?,
    };
    (number.is_finite() || !text.bytes().any(|byte| byte.is_ascii_digit())).then_some(number)
}

/// Text that is no truth is an error.
fn truth(value: Value<'_>) -> Outcome<'_> {
    Ok(match value {
        Value::Nil => Value::Nil,
        Value::Bool(truth) => Value::Bool(truth),
        Value::Int(int) => Value::Bool(int != 0),
        Value::Float(float) => Value::Bool(float != 0.0),
        Value::Str(text) => match &*text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => return Err(RunError::new(format!("`{text}` is neither true nor false"))),
        },
        other => return Err(RunError::expected("a string, number or bool", &other)),
    })
}

/// Bytes of a value: numbers highest byte first, nil none.
pub(super) fn bytes_like<'v>(value: Value<'v>, name: &'static str) -> Result<Cow<'v, [u8]>, RunError> {
    Ok(match value {
        Value::Nil => Cow::Borrowed(&[]),
        Value::Bytes(bytes) => bytes,
        Value::Str(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Value::Str(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Value::Int(int) => Cow::Owned(int.to_be_bytes().to_vec()),
        Value::Float(float) => Cow::Owned(float.to_be_bytes().to_vec()),
        Value::Bool(truth) => Cow::Owned(vec![truth.into()]),
        Value::TraceId(id) => Cow::Owned(id.to_vec()),
        Value::SpanId(id) => Cow::Owned(id.to_vec()),
        other => return Err(RunError::new(format!("{name} takes no {}", other.type_name()))),
    })
}

fn log(value: Value<'_>) -> Outcome<'_> {
    let number = float(value)?.ok_or("the logarithm needs a number")?;
    if number > 0.0 || number.is_nan() {
        Ok(Value::Float(number.ln()))
    } else {
        Err(RunError::new(format!("there is no logarithm of {number}, which is not greater than 0")))
    }
}

/// Base 0 reads the base off the prefix (`0x`, `0o`, `0`, `0b`) and allows `_` between digits.
fn parse_int(text: &str, base: i64) -> Outcome<'static> {
    let wrong = || RunError::new(format!("`{text}` is not an integer in base {base}"));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match base {
        0 => {
            let prefix: String = digits.chars().take(2).collect::<String>().to_ascii_lowercase();
            let (radix, prefix) = match prefix.as_str() {
                "0x" => (16, 2),
                "0o" => (8, 2),
                "0b" => (2, 2),
                octal if octal.len() == 2 && octal.starts_with('0') => (8, 1),
                _ => (10, 0),
            };
            let digits = digits.get(prefix..).unwrap_or_default();
            // An underscore stands between digits, or between prefix and digits.
            let first = if prefix == 0 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
            if first.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
                return Err(wrong());
            }
            (radix, digits.replace('_', ""))
        }
        2..=36 => (base as u32, digits.to_owned()),
        _ => return Err(RunError::new(format!("there is no base {base}: it is 0, or from 2 to 36"))),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(wrong());
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let number = i64::from_str_radix(&format!("{sign}{digits}"), radix);
    number.map(Value::Int).map_err(|_error| RunError::new(format!("`{text}` does not fit into 64 bits")))
}

/// Whether the last digit is the check digit of those before it. Spaces do not count.
fn luhn(value: Value<'_>) -> Outcome<'_> {
    let text = text_like(value).ok_or_else(|| RunError::expected("a string or int", &Value::Nil))?;
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().rev().filter(|c| *c != ' ') {
        let digit =
            c.to_digit(10).ok_or_else(|| RunError::new(format!("`{text}` contains `{c}`, which is not a digit")))?;
        digits.push(if digits.len() % 2 == 1 { digit * 2 - if digit > 4 { 9 } else { 0 } } else { digit });
    }
    Ok(Value::Bool(!digits.is_empty() && digits.iter().map(|digit| u64::from(*digit)).sum::<u64>().is_multiple_of(10)))
}

/// Of text and bytes, how many bytes; of lists and maps, how many elements.
fn len(value: Value<'_>) -> Outcome<'_> {
    let len = match &value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) => values.len(),
        Value::Map(map) => map.len(),
        other => return Err(RunError::expected("a string, list or map", other)),
    };
    Ok(Value::Int(len as i64))
}

/// Nothing, zero, or without content. A time never is.
fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Nil => true,
        Value::Bool(truth) => !truth,
        Value::Int(int) => *int == 0,
        Value::Float(float) => *float == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(values) => values.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Time(_) => false,
        Value::Duration(nanos) => *nanos == 0,
        Value::TraceId(id) => *id == [0; 16],
        Value::SpanId(id) => *id == [0; 8],
    }
}

struct Coalesce(Vec<Expr>);

impl Convert for Coalesce {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        for value in &self.0 {
            match value.eval(on)? {
                Value::Nil => {}
                found => return Ok(found),
            }
        }
        Ok(Value::Nil)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;
    use crate::value::Time;

    #[test]
    fn numbers_and_truths() {
        let nil = || Value::Nil;
        for (value, int, float, truth) in [
            (Value::Nil, nil(), nil(), nil()),
            (5.into(), 5.into(), 5.0.into(), true.into()),
            (0.into(), 0.into(), 0.0.into(), false.into()),
            ((-1.9).into(), (-1).into(), (-1.9).into(), true.into()),
            (f64::NAN.into(), 0.into(), f64::NAN.into(), true.into()),
            (true.into(), 1.into(), 1.0.into(), true.into()),
            (false.into(), 0.into(), 0.0.into(), false.into()),
        ] {
            gives(Call::to("Int").arg("target", value.clone()), int);
            gives(Call::to("Double").arg("target", value.clone()), float);
            gives(Call::to("Bool").arg("target", value), truth);
        }
        for (text, int, float) in [
            ("50", 50.into(), Some(50.0)),
            ("1.5", nil(), Some(1.5)),
            ("1e3", nil(), Some(1000.0)),
            ("1_000.5", nil(), Some(1000.5)),
            ("+Inf", nil(), Some(f64::INFINITY)),
            ("9223372036854775808", nil(), Some(9_223_372_036_854_775_808.0)),
            ("0x10", nil(), None),
            ("1e999", nil(), None),
            ("1_", nil(), None),
            ("1__0", nil(), None),
            ("", nil(), None),
            ("abc", nil(), None),
        ] {
            gives(Call::to("Int").arg("target", text), int);
            match float {
                Some(float) => gives(Call::to("Double").arg("target", text), float),
                None => fails(Call::to("Double").arg("target", text), "is not a number"),
            }
            fails(Call::to("Bool").arg("target", text), "is neither true nor false");
        }
        for (text, truth) in [("False", false), ("t", true), ("1", true)] {
            gives(Call::to("Bool").arg("target", text), truth);
        }
        for name in ["Int", "Double", "Bool"] {
            fails(Call::to(name).arg("target", map([])), "found map");
            fails(Call::to(name).arg("target", Value::Bytes(vec![1].into())), "found bytes");
        }
    }

    #[test]
    fn text_of_anything() {
        gives(Call::to("String").arg("target", Value::Nil), Value::Nil);
        for (value, expected) in [
            (Value::from("<a&b>"), "<a&b>"),
            (1.into(), "1"),
            (1.0.into(), "1"),
            (true.into(), "true"),
            (Value::Bytes(vec![0, 255].into()), "00ff"),
            (list([1, 2]), "[1,2]"),
            (map([("b", 1.into()), ("a", Value::Bytes(vec![1, 2].into()))]), "{\"a\":\"AQI=\",\"b\":1}"),
            (Value::SpanId([1; 8]), "0101010101010101"),
        ] {
            gives(Call::to("String").arg("target", value), expected);
        }
    }

    #[test]
    fn hexadecimal() {
        for (value, expected) in [
            (Value::Nil, ""),
            (1.5.into(), "3ff8000000000000"),
            (12.into(), "000000000000000c"),
            (true.into(), "01"),
            ("1".into(), "31"),
            (Value::Bytes(vec![2, 0xfe].into()), "02fe"),
        ] {
            gives(Call::to("Hex").arg("target", value), expected);
        }
        fails(Call::to("Hex").arg("target", map([])), "Hex takes no map");
    }

    #[test]
    fn logarithms() {
        gives(Call::to("Log").arg("target", 1), 0.0);
        gives(Call::to("Log").arg("target", "2.5"), 0.916_290_731_874_155_1);
        gives(Call::to("Log").arg("target", true), 0.0);
        fails(Call::to("Log").arg("target", 0), "there is no logarithm of 0, which is not greater than 0");
        fails(Call::to("Log").arg("target", false), "there is no logarithm of 0");
        fails(Call::to("Log").arg("target", -1.5), "there is no logarithm of -1.5");
        fails(Call::to("Log").arg("target", Value::Nil), "the logarithm needs a number");
        fails(Call::to("Log").arg("target", "x"), "`x` is not a number");
    }

    #[test]
    fn integers_in_a_base() {
        let call = |text: &'static str, base: i64| Call::to("ParseInt").arg("target", text).arg("base", base);
        for (text, base, expected) in [
            ("0x1F", 0, 31),
            ("1_000", 0, 1000),
            ("0x_1f", 0, 31),
            ("-ff", 16, -255),
            ("0b11", 0, 3),
            ("0o17", 0, 15),
            ("017", 0, 15),
            ("0", 0, 0),
            ("zz", 36, 1295),
            ("+5", 10, 5),
            ("-9223372036854775808", 10, i64::MIN),
        ] {
            gives(call(text, base), expected);
        }
        for (text, base, error) in [
            ("1_000", 10, "`1_000` is not an integer in base 10"),
            ("_1", 0, "`_1` is not an integer in base 0"),
            ("12", 1, "there is no base 1"),
            ("12", 37, "there is no base 37"),
            ("12", -1, "there is no base -1"),
            ("", 10, "`` is not an integer in base 10"),
            ("0x", 0, "is not an integer"),
            ("--1", 10, "is not an integer"),
            ("9223372036854775808", 10, "does not fit into 64 bits"),
        ] {
            fails(call(text, base), error);
        }
        fails(Call::to("ParseInt").arg("target", 1).arg("base", 10), "expected a string, found int");
        fails(Call::to("ParseInt").arg("target", "1").arg("base", "10"), "expected an int, found string");
    }

    #[test]
    fn check_digits() {
        for (number, expected) in [
            (Value::from("17893729974"), true),
            ("1789 3729 974".into(), true),
            (17_893_729_975.into(), false),
            (17_893_729_974.into(), true),
            ("0".into(), true),
            ("1".into(), false),
            ("".into(), false),
            ("  ".into(), false),
        ] {
            gives(Call::to("IsValidLuhn").arg("target", number), expected);
        }
        fails(Call::to("IsValidLuhn").arg("target", "12a"), "`12a` contains `a`, which is not a digit");
        fails(Call::to("IsValidLuhn").arg("target", -5), "which is not a digit");
        fails(Call::to("IsValidLuhn").arg("target", Value::Nil), "expected a string or int, found nil");
    }

    #[test]
    fn lengths() {
        gives(Call::to("Len").arg("target", "héllo"), 6);
        gives(Call::to("Len").arg("target", list([1, 2])), 2);
        gives(Call::to("Len").arg("target", map([("a", 1.into())])), 1);
        gives(Call::to("Len").arg("target", Value::Bytes(vec![0; 3].into())), 3);
        fails(Call::to("Len").arg("target", 5), "expected a string, list or map, found int");
        fails(Call::to("Len").arg("target", Value::Nil), "found nil");
        fails(Call::to("Len").arg("target", Value::TraceId([0; 16])), "found trace ID");
    }

    #[test]
    fn the_first_that_is_something() {
        gives(Call::to("Coalesce").list("values", vec![Value::Nil, "a".into(), "b".into()]), "a");
        gives(Call::to("Coalesce").list("values", vec![Value::Nil, "".into()]), "");
        gives(Call::to("Coalesce").list("values", vec![Value::Nil]), Value::Nil);
        assert!(Call::to("Coalesce").list("values", vec![]).build().unwrap_err().contains("`values` is empty"));
    }

    #[test]
    fn types() {
        let values = [
            ("IsString", Value::from("")),
            ("IsInt", 0.into()),
            ("IsDouble", 0.0.into()),
            ("IsBool", false.into()),
            ("IsMap", map([])),
            ("IsList", Value::List(Vec::new())),
        ];
        for (name, _) in &values {
            for (of, value) in &values {
                gives(Call::to(name).arg("target", value.clone()), name == of);
            }
            gives(Call::to(name).arg("target", Value::Nil), false);
        }
        gives(Call::to("IsList").arg("target", Value::Bytes(vec![].into())), false);
    }

    #[test]
    fn emptiness() {
        for value in [
            Value::Nil,
            0.into(),
            0.0.into(),
            false.into(),
            "".into(),
            map([]),
            Value::List(Vec::new()),
            Value::Bytes(vec![].into()),
            Value::Duration(0),
            Value::TraceId([0; 16]),
            Value::SpanId([0; 8]),
        ] {
            gives(Call::to("IsEmpty").arg("target", value), true);
        }
        for value in
            [1.into(), "0".into(), true.into(), list([Value::Nil]), Value::Time(Time::utc(0)), Value::SpanId([1; 8])]
        {
            gives(Call::to("IsEmpty").arg("target", value), false);
        }
    }
}
