//! `Time` and `FormatTime`: moments from and to text, in a format of `%` directives (the Collector's set, which is that
//! of strptime with some of its own). This file compiles formats and writes moments; [`parse`] reads them.
//!
//! `FormatTime` writes English names, `Time` reads those of its [`locale`].

mod locale;
mod parse;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use self::locale::Locale;
use self::parse::Parser;
use super::make::{digest_or_fail, function, unary_with, value};
use super::time::{local_zone, time, zoned};
use crate::error::RunError;
use crate::function::{Arguments, Built, Function, Param, ParamKind};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "Time",
        &[
            value("time"),
            Param::required("format", ParamKind::Text),
            Param::optional("location", ParamKind::Text),
            Param::optional("locale", ParamKind::Text),
        ],
        build_time,
    ),
    function("FormatTime", &[value("time"), Param::required("format", ParamKind::Text)], |arguments| {
        let items = compile(&arguments.text("format")?)?;
        unary_with(arguments, "time", items, |items, value| Ok(Value::text(written(items, &zoned(&time(value)?)?))))
    }),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn build_time(arguments: &mut Arguments) -> Result<Built, String> {
    let format = arguments.text("format")?;
    let items = compile(&format)?;
    let zone = match arguments.text_opt("location") {
        Some(location) if !location.is_empty() => zone(&location)?,
        _ if format.ends_with('Z') => TimeZone::UTC,
        _ => local_zone(),
    };
    let locale = arguments.text_opt("locale").map(|tag| find_locale(&tag, &items)).transpose()?;
    // Literals too are read anew each time: without a year they depend on the day.
    let parser = Parser { format, items, zone, locale };
    digest_or_fail(arguments, "time", move |text| {
        if text.is_empty() {
            return Err("there is no time in an empty string".into());
        }
        Ok(Value::Time(parser.parse(text, Timestamp::now())?))
    })
}

/// A locale that has names for everything in the format that is one.
fn find_locale(tag: &str, items: &[Item]) -> Result<Locale, String> {
    let locale = Locale::find(tag)?;
    for item in items {
        if let Item::Field(field) = item
            && !locale.knows(*field)
        {
            let what = if matches!(field, Field::MonthName { .. }) { "months" } else { "days" };
            return Err(format!("the locale `{tag}` has no names of {what}"));
        }
    }
    Ok(locale)
}

/// A zone by its name in the time zone database: the machine's, or where it has none, the one built in.
fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "UTC" => return Ok(TimeZone::UTC),
        "Local" => return Ok(local_zone()),
        _ => {}
    }
    TimeZone::get(name).map_err(|_error| format!("the location `{name}` is not in the time zone database"))
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Field(Field),
}

/// How a number is filled up when it is written; reading does not mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pad {
    Zero,
    Space,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    /// The last two digits, from 1969 to 2068.
    ShortYear,
    /// Written with four digits, read with four or two.
    AnyYear,
    Month(Pad),
    MonthName {
        is_short: bool,
    },
    Day(Pad),
    DayName {
        is_short: bool,
    },
    Hour,
    /// Of twelve.
    Hour12(Pad),
    Meridiem {
        is_upper: bool,
    },
    Minute,
    Second,
    /// With the point or comma before it, which stands only before digits. Reading takes as many digits as there are.
    Fraction {
        point: char,
        digits: usize,
    },
    ZoneName,
    /// Reading takes `Z`, and hours with or without minutes and colon.
    Offset,
    /// Exactly these parts of an offset.
    FixedOffset {
        colons: bool,
        parts: usize,
    },
}

/// # Errors
/// What is wrong with the format.
fn compile(format: &str) -> Result<Vec<Item>, String> {
    if format.is_empty() {
        return Err("a time format cannot be empty".to_owned());
    }
    if format.contains(|c: char| c.is_ascii_digit()) {
        return Err(format!("the time format `{format}` contains digits: parts of the time are written as `%Y`, `%m`"));
    }
    let mut items = Vec::new();
    push(format, format, &mut items)?;
    Ok(items)
}

fn push(mut rest: &str, format: &str, items: &mut Vec<Item>) -> Result<(), String> {
    while let Some((literal, after)) = rest.split_once('%') {
        push_literal(literal, items);
        let mut characters = after.chars();
        let Some(directive) = characters.next() else {
            push_literal("%", items);
            return Ok(());
        };
        rest = characters.as_str();
        let field = match directive {
            'Y' => Field::Year,
            'y' => Field::ShortYear,
            'm' => Field::Month(Pad::Zero),
            'o' => Field::Month(Pad::Space),
            'q' => Field::Month(Pad::None),
            'b' | 'h' => Field::MonthName { is_short: true },
            'B' => Field::MonthName { is_short: false },
            'd' => Field::Day(Pad::Zero),
            'e' => Field::Day(Pad::Space),
            'g' => Field::Day(Pad::None),
            'a' => Field::DayName { is_short: true },
            'A' => Field::DayName { is_short: false },
            'H' => Field::Hour,
            'l' => Field::Hour12(Pad::None),
            'I' => Field::Hour12(Pad::Zero),
            'p' => Field::Meridiem { is_upper: true },
            'P' => Field::Meridiem { is_upper: false },
            'M' => Field::Minute,
            'S' => Field::Second,
            'L' | 'f' | 's' => {
                let digits = match directive {
                    'L' => 3,
                    'f' => 6,
                    _ => 9,
                };
                Field::Fraction { point: take_point(items, directive, format)?, digits }
            }
            'Z' => Field::ZoneName,
            'z' => Field::Offset,
            'w' => Field::FixedOffset { colons: false, parts: 3 },
            'i' => Field::FixedOffset { colons: false, parts: 1 },
            'j' => Field::FixedOffset { colons: true, parts: 2 },
            'k' => Field::FixedOffset { colons: true, parts: 3 },
            'n' | 't' | '%' => {
                push_literal(
                    if directive == 'n' {
                        "\n"
                    } else if directive == 't' {
                        "\t"
                    } else {
                        "%"
                    },
                    items,
                );
                continue;
            }
            'D' | 'x' => {
                push("%m/%d/", format, items)?;
                Field::AnyYear
            }
            'F' => {
                push("%Y-%m-%d", format, items)?;
                continue;
            }
            'T' | 'X' => {
                push("%H:%M:%S", format, items)?;
                continue;
            }
            'r' => {
                push("%I:%M:%S %P", format, items)?;
                continue;
            }
            'R' => {
                push("%H:%M", format, items)?;
                continue;
            }
            'c' => {
                push("%a %b %d %T %Y", format, items)?;
                continue;
            }
            other => return Err(format!("the time format `{format}` has no directive `%{other}`")),
        };
        items.push(Item::Field(field));
    }
    push_literal(rest, items);
    Ok(())
}

fn push_literal(text: &str, items: &mut Vec<Item>) {
    match items.last_mut() {
        _ if text.is_empty() => {}
        Some(Item::Literal(last)) => last.push_str(text),
        _ => items.push(Item::Literal(text.to_owned())),
    }
}

/// The point before a fraction belongs to it.
fn take_point(items: &mut Vec<Item>, directive: char, format: &str) -> Result<char, String> {
    let point = match items.last_mut() {
        Some(Item::Literal(last)) if last.ends_with(['.', ',']) => last.pop(),
        _ => None,
    };
    if matches!(items.last(), Some(Item::Literal(last)) if last.is_empty()) {
        items.pop();
    }
    point.ok_or_else(|| format!("`%{directive}` must stand behind `.` or `,` in the time format `{format}`"))
}

/// Writes a moment. Trailing zeros of a fraction are left out, and the point with them.
fn written(items: &[Item], time: &Zoned) -> String {
    let mut out = String::new();
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Field(field) => write_field(*field, time, &mut out),
        }
    }
    out
}

fn write_field(field: Field, time: &Zoned, out: &mut String) {
    let mut number = |number: i8, pad: Pad| {
        out.push_str(&match pad {
            Pad::Zero => format!("{number:02}"),
            Pad::Space => format!("{number:2}"),
            Pad::None => number.to_string(),
        });
    };
    let name = |names: &[&'static str], at: usize, is_short: bool| {
        let name = names.get(at).copied().unwrap_or_default();
        if is_short { name.get(..3).unwrap_or(name) } else { name }
    };
    match field {
        Field::Year | Field::AnyYear => out.push_str(&format!("{:04}", time.year())),
        Field::ShortYear => out.push_str(&format!("{:02}", time.year().rem_euclid(100))),
        Field::Month(pad) => number(time.month(), pad),
        Field::MonthName { is_short } => {
            out.push_str(name(&MONTHS, usize::from(time.month().unsigned_abs()) - 1, is_short));
        }
        Field::Day(pad) => number(time.day(), pad),
        Field::DayName { is_short } => {
            let at = time.weekday().to_sunday_zero_offset().unsigned_abs();
            out.push_str(name(&DAYS, at.into(), is_short));
        }
        Field::Hour => number(time.hour(), Pad::Zero),
        Field::Hour12(pad) => number((time.hour() + 11) % 12 + 1, pad),
        Field::Meridiem { is_upper } => out.push_str(match (time.hour() >= 12, is_upper) {
            (true, true) => "PM",
            (true, false) => "pm",
            (false, true) => "AM",
            (false, false) => "am",
        }),
        Field::Minute => number(time.minute(), Pad::Zero),
        Field::Second => number(time.second(), Pad::Zero),
        Field::Fraction { point, digits } => {
            let all = format!("{:09}", time.subsec_nanosecond());
            let kept = all.get(..digits).unwrap_or(&all).trim_end_matches('0');
            if !kept.is_empty() {
                out.push(point);
                out.push_str(kept);
            }
        }
        Field::ZoneName => match time.time_zone().to_fixed_offset() {
            Ok(offset) if *time.time_zone() != TimeZone::UTC => push_offset(offset.seconds(), false, 2, out),
            _ => out.push_str(time.time_zone().to_offset_info(time.timestamp()).abbreviation()),
        },
        Field::Offset => match time.offset().seconds() {
            0 => out.push('Z'),
            seconds => push_offset(seconds, false, 2, out),
        },
        Field::FixedOffset { colons, parts } => push_offset(time.offset().seconds(), colons, parts, out),
    }
}

fn push_offset(seconds: i32, colons: bool, parts: usize, out: &mut String) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = seconds.unsigned_abs();
    for (index, part) in [seconds / 3600, seconds / 60 % 60, seconds % 60].into_iter().take(parts).enumerate() {
        if colons && index > 0 {
            out.push(':');
        }
        out.push_str(&format!("{part:02}"));
    }
}

/// An error of reading a time.
fn mismatch(text: &str, format: &str, why: &str) -> RunError {
    RunError::new(format!("`{text}` is not a time in the format `{format}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives};
    use super::*;
    use crate::value::Time;

    fn at(unix_nanos: i128, zone: TimeZone) -> Value<'static> {
        Value::Time(Time { unix_nanos, zone })
    }

    #[test]
    fn writing() {
        let utc = |nanos: i128| at(1_700_000_000_000_000_000 + nanos, TimeZone::UTC);
        let india = TimeZone::fixed(jiff::tz::offset(5).checked_add(jiff::Span::new().minutes(30)).unwrap());
        let east = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        for (time, format, expected) in [
            (utc(120_000_000), "%Y-%m-%d %H:%M:%S.%L %y %m %o %q", "2023-11-14 22:13:20.12 23 11 11 11"),
            (utc(0), "%b %h %B %d %e %g %a %A", "Nov Nov November 14 14 14 Tue Tuesday"),
            (utc(123_456_789), "%H %l %I %p %P %M %S.%f,%s", "22 10 10 PM pm 13 20.123456,123456789"),
            (utc(0), "%Z %z %w %i %j %k", "UTC Z +000000 +00 +00:00 +00:00:00"),
            (utc(0), "%S.%L|%D|%x|%F|%T|%X", "20|11/14/2023|11/14/2023|2023-11-14|22:13:20|22:13:20"),
            (utc(0), "%r|%R|%n|%t|%%|%c|", "10:13:20 pm|22:13|\n|\t|%|Tue Nov 14 22:13:20 2023|"),
            (utc(0), "literal T Z", "literal T Z"),
            (
                at(1_683_315_123_000_000_000, india),
                "%Z %z %w %i %j %k %o|%e|%l|%I",
                "+0530 +0530 +053000 +05 +05:30 +05:30:00  5| 6|1|01",
            ),
            (at(1_683_349_323_000_000_000, east), "%T %Z %z %j", "01:02:03 EDT -0400 -04:00"),
        ] {
            gives(Call::to("FormatTime").arg("time", time).text("format", format), expected);
        }
        fails(Call::to("FormatTime").arg("time", 1).text("format", "%Y"), "expected a time, found int");
        fails(Call::to("FormatTime").arg("time", Value::Nil).text("format", "%Y"), "expected a time, found nil");
    }

    #[test]
    fn bad_formats_are_refused() {
        for (format, error) in [
            ("", "a time format cannot be empty"),
            ("2006-%m", "the time format `2006-%m` contains digits"),
            ("%E", "the time format `%E` has no directive `%E`"),
            ("%S%L", "`%L` must stand behind `.` or `,` in the time format `%S%L`"),
            ("%L", "`%L` must stand behind"),
            ("%S|%f", "`%f` must stand behind"),
        ] {
            let call = Call::to("FormatTime").arg("time", 1).text("format", format);
            assert!(call.build().unwrap_err().contains(error), "{format}");
            let call = Call::to("Time").arg("time", "1").text("format", format);
            assert!(call.build().unwrap_err().contains(error), "{format}");
        }
    }

    #[test]
    fn locations_and_locales_are_looked_up_at_start() {
        let call = || Call::to("Time").arg("time", "May 2022").text("format", "%B %Y");
        let error = call().text("location", "Nowhere/Here").build().unwrap_err();
        assert!(error.contains("the location `Nowhere/Here` "), "{error}");
        for (location, expected) in [
            ("America/New_York", 1_651_377_600_000_000_000),
            ("Europe/Berlin", 1_651_356_000_000_000_000),
            ("Asia/Kolkata", 1_651_343_400_000_000_000),
        ] {
            gives(call().text("location", location), at(expected, zone(location).unwrap()));
        }
        let error = call().text("location", "UTC").text("locale", "fr_FR").build().unwrap_err();
        assert!(error.contains("did you mean `fr-FR`?"), "{error}");
        let error = Call::to("Time").arg("time", "").text("format", "%b").text("locale", "sid").build().unwrap_err();
        assert!(error.contains("the locale `sid` has no names of months"), "{error}");
        gives(call().text("location", "UTC").text("locale", "en-US"), at(1_651_363_200_000_000_000, TimeZone::UTC));
    }
}
