//! Values, numbers, times and IDs as Go writes them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pdata::view::{AttributesView, ValueView};

/// `Str(text)`: a value with its type.
pub(crate) struct Typed<'a>(pub(crate) ValueView<'a>);

impl Display for Typed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            ValueView::Empty => "Empty",
            ValueView::Str(_) => "Str",
            ValueView::Bool(_) => "Bool",
            ValueView::I64(_) => "Int",
            ValueView::F64(_) => "Double",
            ValueView::Bytes(_) => "Bytes",
            ValueView::Array(_) => "Slice",
            ValueView::KvList(_) => "Map",
            ValueView::StrIndex(_) => "StrIndex",
        };
        write!(f, "{name}({})", Plain(self.0))
    }
}

/// A value without its type; lists and maps as JSON.
pub(crate) struct Plain<'a>(pub(crate) ValueView<'a>);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ValueView::Empty => Ok(()),
            ValueView::Str(text) => f.write_str(text),
            ValueView::Bool(flag) => write!(f, "{flag}"),
            ValueView::I64(number) => write!(f, "{number}"),
            ValueView::F64(number) if number.is_finite() => json_number(number, f),
            ValueView::F64(number) => write!(f, "json: unsupported value: {}", Shortest(number)),
            ValueView::Bytes(bytes) => f.write_str(&STANDARD.encode(bytes)),
            ValueView::StrIndex(index) => write!(f, "{index}"),
            // JSON has no infinities; Go then writes nothing at all.
            ValueView::Array(_) | ValueView::KvList(_) if !is_json(self.0) => Ok(()),
            ValueView::Array(_) | ValueView::KvList(_) => json(self.0, f),
        }
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
        ValueView::Bool(_) | ValueView::I64(_) | ValueView::StrIndex(_) => Plain(value).fmt(f),
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
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return exponential(number, 1, f);
    }
    write!(f, "{number}")
}

/// `1.5e+06`, the exponent with at least `digits_min` digits.
fn exponential(number: f64, digits_min: usize, f: &mut Formatter<'_>) -> fmt::Result {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    write!(f, "{mantissa}e{sign}{digits:0>digits_min$}")
}

/// A number with as few digits as tell it apart, in exponential form below 1e-4 and from 1e6 on (`%v`).
pub(crate) struct Shortest(pub(crate) f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if !self.0.is_finite() {
            return f.write_str(not_finite(self.0));
        }
        if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
            return exponential(self.0, 2, f);
        }
        write!(f, "{}", self.0)
    }
}

/// A number with six decimals (`%f`).
pub(crate) struct Fixed(pub(crate) f64);

impl Display for Fixed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:.6}", self.0) } else { f.write_str(not_finite(self.0)) }
    }
}

fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

/// A time in nanoseconds since the epoch: `2020-02-11 20:26:12.000000321 +0000 UTC`.
pub(crate) struct Time(pub(crate) u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The Collector takes the number as signed.
        let nanoseconds = self.0.cast_signed();
        let (seconds, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if fraction > 0 {
            write!(f, ".{}", format!("{fraction:09}").trim_end_matches('0'))?;
        }
        f.write_str(" +0000 UTC")
    }
}

/// Year, month and day of a day since the epoch. Source: <https://howardhinnant.github.io/date_algorithms.html>.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// An ID in lower-case hexadecimal; nothing for an absent one or one of zeros.
pub(crate) struct Hex<'a, const N: usize>(pub(crate) Option<&'a [u8; N]>);

impl<const N: usize> Display for Hex<'_, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let id = self.0.filter(|id| id.iter().any(|byte| *byte != 0));
        id.into_iter().flatten().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The word for `number` in a table of OTLP's enumerations, as Go writes it: `SPAN_KIND_SERVER` → `Server`.
pub(crate) fn word(table: &[(&'static str, i32)], prefix: &str, number: i32) -> String {
    let name = table.iter().find(|(_, value)| *value == number).map_or("", |(name, _)| name);
    let mut letters = name.strip_prefix(prefix).unwrap_or(name).chars();
    letters.next().map_or_else(String::new, |first| format!("{first}{}", letters.as_str().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        for (number, shortest, fixed) in [
            (0.0, "0", "0.000000"),
            (1.5, "1.5", "1.500000"),
            (-2.0, "-2", "-2.000000"),
            (1_234_567.0, "1.234567e+06", "1234567.000000"),
            (0.000_012, "1.2e-05", "0.000012"),
            (1e21, "1e+21", "1000000000000000000000.000000"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(Shortest(number).to_string(), shortest);
            assert_eq!(Fixed(number).to_string(), fixed);
        }
        for (number, json) in [(1e-7, "1e-7"), (1e21, "1e+21"), (123_456_789.0, "123456789"), (0.1, "0.1")] {
            assert_eq!(Plain(ValueView::F64(number)).to_string(), json);
        }
        assert_eq!(Typed(ValueView::F64(f64::NAN)).to_string(), "Double(json: unsupported value: NaN)");
    }

    #[test]
    fn times_read_as_in_go() {
        for (nanoseconds, text) in [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (1_581_452_772_000_000_321, "2020-02-11 20:26:12.000000321 +0000 UTC"),
            (1_709_164_800_500_000_000, "2024-02-29 00:00:00.5 +0000 UTC"),
            (u64::MAX, "1969-12-31 23:59:59.999999999 +0000 UTC"),
            (i64::MAX as u64, "2262-04-11 23:47:16.854775807 +0000 UTC"),
        ] {
            assert_eq!(Time(nanoseconds).to_string(), text);
        }
    }

    #[test]
    fn words_of_enumerations() {
        assert_eq!(word(pdata::schema::SPAN_KIND, "SPAN_KIND_", 2), "Server");
        assert_eq!(word(pdata::schema::SEVERITY, "SEVERITY_NUMBER_", 10), "Info2");
        assert_eq!(word(pdata::schema::STATUS_CODE, "STATUS_CODE_", 77), "");
    }
}
