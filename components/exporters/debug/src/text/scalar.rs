//! Values, numbers, times and IDs as Go writes them.

use std::fmt::{self, Display, Formatter};

use pdata::view::ValueView;
use value_text::Text;

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
        write!(f, "{name}({})", Text(self.0))
    }
}

/// A number with as few digits as tell it apart, in exponential form below 1e-4 and from 1e6 on (`%v`).
pub(crate) struct Shortest(pub(crate) f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        value_text::float(self.0, 1e-4..1e6, 2, f)
    }
}

/// A number with six decimals (`%f`).
pub(crate) struct Fixed(pub(crate) f64);

impl Display for Fixed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:.6}", self.0) } else { f.write_str(value_text::not_finite(self.0)) }
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
            assert_eq!(Text(ValueView::F64(number)).to_string(), json);
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
