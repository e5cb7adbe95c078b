//! Converters of durations.

use super::make::{Apply, function, text, unary, unary_with, value};
use crate::error::RunError;
use crate::function::{Arguments, Built, Function, Param};
use crate::value::Value;

const DURATION: &[Param] = &[value("duration")];

pub(super) const FUNCTIONS: &[Function] = &[
    function("Duration", DURATION, |arguments| {
        unary(arguments, "duration", |value| Ok(Value::Duration(parse(&text(value)?)?)))
    }),
    function("Nanoseconds", DURATION, |arguments| unary(arguments, "duration", |value| Ok(Value::Int(nanos(&value)?)))),
    function("Microseconds", DURATION, |arguments| whole(arguments, 1_000)),
    function("Milliseconds", DURATION, |arguments| whole(arguments, 1_000_000)),
    function("Seconds", DURATION, |arguments| fraction(arguments, 1_000_000_000)),
    function("Minutes", DURATION, |arguments| fraction(arguments, 60_000_000_000)),
    function("Hours", DURATION, |arguments| fraction(arguments, 3_600_000_000_000)),
];

/// The nanoseconds of a duration.
pub(super) fn nanos(value: &Value<'_>) -> Result<i64, RunError> {
    match value {
        Value::Duration(nanos) => Ok(*nanos),
        other => Err(RunError::expected("a duration", other)),
    }
}

fn whole(arguments: &mut Arguments, unit: i64) -> Result<Built, String> {
    unary_with(arguments, "duration", unit, |unit, value| Ok(Value::Int(nanos(&value)? / unit)))
}

/// Whole units are kept exact.
fn fraction(arguments: &mut Arguments, unit: i64) -> Result<Built, String> {
    const RATIO: Apply<i64> = |unit, value| {
        let nanos = nanos(&value)?;
        Ok(Value::Float((nanos / unit) as f64 + (nanos % unit) as f64 / *unit as f64))
    };
    unary_with(arguments, "duration", unit, RATIO)
}

/// Go's syntax: a sign, then numbers with units (`1h30m`, `1.5s`, `-250ms`), or `0`.
fn parse(text: &str) -> Result<i64, RunError> {
    let wrong = || RunError::new(format!("`{text}` is not a duration: it is written as `1h30m` or `250ms`"));
    let too_long = || RunError::new(format!("`{text}` is longer than 64 bits of nanoseconds"));
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        rest = after;
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(wrong());
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_error| too_long())? };
        // Digits beyond the eighteenth are less than a nanosecond of any unit.
        let kept = fraction.get(..fraction.len().min(18)).unwrap_or_default();
        let scale = 10u128.pow(kept.len() as u32);
        let fraction = kept.parse::<u128>().unwrap_or(0) * u128::from(unit) / scale;
        total = whole
            .checked_mul(unit)
            .and_then(|nanos| nanos.checked_add(fraction as u64))
            .and_then(|nanos| total.checked_add(nanos))
            .filter(|total| *total <= i64::MAX.unsigned_abs() + 1)
            .ok_or_else(too_long)?;
    }
    let nanos = if is_negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    nanos.ok_or_else(too_long)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives};
    use super::*;

    #[test]
    fn parsing() {
        for (text, nanos) in [
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("-1us", -1_000),
            ("+1µs2ns", 1_002),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0", 0),
            ("-0", 0),
            ("0.1ms", 100_000),
            ("100ms10s", 10_100_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("0.3333333333333333333333h", 1_199_999_999_999),
        ] {
            gives(Call::to("Duration").arg("duration", text), Value::Duration(nanos));
        }
        for text in ["", "5", "h", ".s", "1.2.3s", "1d", "1h 30m", "-", "--1s", "1s1"] {
            fails(Call::to("Duration").arg("duration", text), "is not a duration");
        }
        for text in ["9223372036854775808ns", "2562048h", "99999999999999999999s", "9223372036s855ms"] {
            fails(Call::to("Duration").arg("duration", text), "is longer than 64 bits of nanoseconds");
        }
        fails(Call::to("Duration").arg("duration", 1), "expected a string, found int");
    }

    #[test]
    fn units() {
        let nanos = -5_400_000_123_456;
        for (name, expected) in [
            ("Nanoseconds", Value::Int(nanos)),
            ("Microseconds", Value::Int(-5_400_000_123)),
            ("Milliseconds", Value::Int(-5_400_000)),
            ("Seconds", Value::Float(-5_400.000_123_456)),
            ("Minutes", Value::Float(-90.000_002_057_6)),
            ("Hours", Value::Float(-1.500_000_034_293_333_2)),
        ] {
            gives(Call::to(name).arg("duration", Value::Duration(nanos)), expected);
            fails(Call::to(name).arg("duration", 5), "expected a duration, found int");
            fails(Call::to(name).arg("duration", Value::Nil), "expected a duration, found nil");
        }
        gives(Call::to("Minutes").arg("duration", Value::Duration(1_000_000_000)), 0.016_666_666_666_666_666);
    }
}
