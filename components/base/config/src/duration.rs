//! Durations in Go's notation (`1h30m`, `200ms`, `-1.5s`).
//!
//! Settings are `std::time::Duration`, which refuses negative values while decoding. Where a negative value has a meaning
//! (or a message of its own), use [`GoDuration`].

use crate::{
    codes,
    decode::{Decode, Decoder},
    node::{Node, Value},
    schema::Schema,
};
use std::{fmt, time::Duration};

/// A signed duration in nanoseconds, as Go has it (about ±292 years).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub i64);

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// Reads Go's notation: an optional sign, then numbers with units, or `0`. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at_checked(number_end)?;
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, next) = after.split_at_checked(unit_end)?;
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            total = total.checked_add(scale(number, *factor)?)?;
            rest = next;
        }
        let total = i128::try_from(total).ok()?;
        i64::try_from(if negative { -total } else { total }).ok().map(Self)
    }

    /// The duration, unless it is negative.
    pub fn as_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// `number` (digits with at most one dot) times `factor`, fractions of a nanosecond cut off.
fn scale(number: &str, factor: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { u128::from(whole.parse::<u64>().ok()?) };
    let mut value = whole * u128::from(factor);
    let mut part = u128::from(factor);
    let mut fraction_value: u128 = 0;
    let mut divisor: u128 = 1;
    for digit in fraction.chars().take(18) {
        fraction_value = fraction_value * 10 + u128::from(digit.to_digit(10)?);
        divisor *= 10;
    }
    part *= fraction_value;
    value += part / divisor;
    Some(value)
}

impl From<Duration> for GoDuration {
    /// Durations beyond 292 years become the largest value.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The shortest exact notation: `1h30m`, `200ms`, `1.5s`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("h", 3_600_000_000_000), ("m", 60_000_000_000)] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        for (unit, size, digits) in [("s", 1_000_000_000, 9), ("ms", 1_000_000, 6), ("us", 1_000, 3), ("ns", 1, 0)] {
            if rest >= size {
                write!(f, "{}", rest / size)?;
                let fraction = format!("{:0digits$}", rest % size);
                let fraction = fraction.trim_end_matches('0');
                if !fraction.is_empty() {
                    write!(f, ".{fraction}")?;
                }
                return f.write_str(unit);
            }
        }
        Ok(())
    }
}

impl Decode for GoDuration {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::Null => base,
            Value::Int(0) => Self(0),
            Value::Int(nanoseconds) => {
                let message = format!("'{}' is a number without unit: {nanoseconds} nanoseconds", cx.quoted_path());
                let warning = cx.warning(node, codes::BARE_DURATION, message);
                cx.push(warning.with_fix(format!("write the unit: `{nanoseconds}s`, `{nanoseconds}ms`")));
                Self(*nanoseconds)
            }
            Value::String(text) => Self::parse(text).unwrap_or_else(|| {
                let message = format!("'{}' is not a duration: {}", cx.quoted_path(), node.describe());
                let error = cx.error(node, codes::BAD_DURATION, message);
                cx.push(error.with_expected("numbers with units ns, us, ms, s, m, h, such as `1m30s`"));
                base
            }),
            _ => {
                cx.wrong_type(node, "a duration such as `5s`");
                base
            }
        }
    }

    fn schema() -> Schema {
        Schema::Duration
    }

    fn encode(&self) -> Value {
        Value::string(self.to_string())
    }
}

impl Decode for Duration {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let signed = GoDuration::decode(node, GoDuration::from(base), cx);
        signed.as_std().unwrap_or_else(|| {
            let message = format!("'{}' must be greater or equal to 0, got {signed}", cx.quoted_path());
            let error = cx.error(node, codes::OUT_OF_RANGE, message);
            cx.push(error);
            base
        })
    }

    fn schema() -> Schema {
        Schema::Duration
    }

    fn encode(&self) -> Value {
        GoDuration::from(*self).encode()
    }
}

#[cfg(test)]
mod tests {
    use super::GoDuration;

    #[test]
    fn parses_go_notation_and_prints_the_shortest() {
        for (text, nanoseconds, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("+5s", 5_000_000_000, "5s"),
            ("-5s", -5_000_000_000, "-5s"),
            ("1.5h", 5_400_000_000_000, "1h30m"),
            ("90s", 90_000_000_000, "1m30s"),
            (".5s", 500_000_000, "500ms"),
            ("1.s", 1_000_000_000, "1s"),
            ("1h1ms", 3_600_001_000_000, "1h1ms"),
            ("10us", 10_000, "10us"),
            ("10\u{b5}s", 10_000, "10us"),
            ("10\u{3bc}s", 10_000, "10us"),
            ("1500ns", 1500, "1.5us"),
            ("1s500ms", 1_500_000_000, "1.5s"),
            ("2562047h47m16.854775807s", i64::MAX, "2562047h47m16.854775807s"),
            ("-2562047h47m16.854775808s", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration::parse(text), Some(GoDuration(nanoseconds)), "{text}");
            assert_eq!(GoDuration(nanoseconds).to_string(), printed, "{text}");
            assert_eq!(GoDuration::parse(printed), Some(GoDuration(nanoseconds)), "{printed}");
        }
        for text in
            ["", "-", "+", "5", "s", ".s", "5 s", "5sec", "1.2.3s", "5d", "--5s", "2562048h", "99999999999999999999h"]
        {
            assert_eq!(GoDuration::parse(text), None, "{text}");
        }
    }
}
