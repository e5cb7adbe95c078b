//! Reads moments in a compiled format, as leniently as the Collector: numbers may have fewer digits or spaces before them,
//! names any case, seconds a fraction that the format does not mention. Without a year the time is of this one, or of the
//! last if it would be more than a week ahead.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use super::locale::Locale;
use super::{DAYS, Field, Item, MONTHS, mismatch};
use crate::error::RunError;
use crate::value::Time;

/// A compiled format, the zone of times that name none, and the language of names; English ones are Go's then.
#[derive(Debug)]
pub(super) struct Parser {
    pub(super) format: String,
    pub(super) items: Vec<Item>,
    pub(super) zone: TimeZone,
    pub(super) locale: Option<Locale>,
}

/// What has been read so far.
#[derive(Default)]
struct Parts<'t> {
    locale: Option<&'t Locale>,
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    is_afternoon: Option<bool>,
    offset: Option<i32>,
    zone_name: Option<&'t str>,
}

impl Parser {
    /// Reads a moment; `now` decides which year one without is of.
    pub(super) fn parse<'t>(&'t self, text: &'t str, now: Timestamp) -> Result<Time, RunError> {
        let wrong = |why: &str| mismatch(text, &self.format, why);
        let mut parts = Parts { locale: self.locale.as_ref(), ..Parts::default() };
        let mut rest = text;
        for (index, item) in self.items.iter().enumerate() {
            let after = match item {
                Item::Literal(literal) => skip(rest, literal).ok_or_else(|| format!("expected `{literal}`")),
                Item::Field(field) => {
                    let fraction_follows = *field == Field::Second && {
                        let mut following = self.items.iter().skip(index + 1);
                        let next = following.find_map(|item| match item {
                            Item::Field(field) => Some(field),
                            Item::Literal(_) => None,
                        });
                        matches!(next, Some(Field::Fraction { .. }))
                    };
                    parts.read(*field, rest, fraction_follows)
                }
            };
            rest = after.map_err(|expected| wrong(&format!("{expected}, found `{rest}`")))?;
        }
        if !rest.is_empty() {
            return Err(wrong(&format!("`{rest}` is left over")));
        }
        let civil = parts.civil().map_err(wrong)?;
        let zone = match (parts.offset, parts.zone_name) {
            (Some(0), _) | (None, Some("UTC" | "GMT")) => TimeZone::UTC,
            (Some(seconds), _) => {
                TimeZone::fixed(Offset::from_seconds(seconds).map_err(|_error| wrong("its offset is out of range"))?)
            }
            (None, Some(name)) => named_zone(name, civil, &self.zone).map_err(|why| wrong(&why))?,
            (None, None) => self.zone.clone(),
        };
        let civil = if parts.year <= 0 { in_this_year(civil, &zone, now) } else { Some(civil) };
        let timestamp =
            civil.and_then(|civil| timestamp(civil, &zone).ok()).ok_or_else(|| wrong("it is out of range"))?;
        Ok(Time { unix_nanos: timestamp.as_nanosecond(), zone })
    }
}

/// When a clock in that zone shows that time. Of times that it shows twice or leaves out, as Go has it: the offset there would
/// be if the time were UTC leads to a moment, and the offset at that moment counts.
fn timestamp(civil: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    let as_utc = TimeZone::UTC.to_timestamp(civil)?;
    let offset = |at: Timestamp| SignedDuration::from_secs(zone.to_offset(at).seconds().into());
    as_utc.checked_sub(offset(as_utc.checked_sub(offset(as_utc))?))
}

/// Takes a literal off the front. Spaces stand for one or more spaces, or the end.
fn skip<'t>(mut rest: &'t str, mut literal: &str) -> Option<&'t str> {
    while let Some(first) = literal.chars().next() {
        if first == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return None;
            }
            (literal, rest) = (literal.trim_start_matches(' '), rest.trim_start_matches(' '));
        } else {
            rest = rest.strip_prefix(first)?;
            literal = literal.strip_prefix(first)?;
        }
    }
    Some(rest)
}

/// Takes a number of `least` to `most` digits off the front, behind spaces.
fn number(rest: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let rest = rest.trim_start();
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(digits)?;
    Some((digits.parse().ok()?, rest))
}

/// Takes one of these names off the front, in any case.
fn name<'t>(rest: &'t str, names: &[&str], is_short: bool) -> Option<(i8, &'t str)> {
    names.iter().zip(0..).find_map(|(name, at)| {
        let name = if is_short { name.get(..3)? } else { name };
        let (head, rest) = rest.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some((at, rest))
    })
}

/// Takes `.5` or `,123456789` off the front: as many digits as there are, to the nanosecond.
fn fraction(rest: &str) -> Option<(i32, &str)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = digits.split_at_checked(count).filter(|(digits, _)| !digits.is_empty())?;
    let nanos =
        digits.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Some((nanos, rest))
}

/// Takes an offset of `parts` parts (hours, minutes, seconds) off the front, in seconds.
fn offset(rest: &str, colons: bool, parts: usize) -> Option<(i32, &str)> {
    let (sign, mut rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+')?),
    };
    let mut seconds = 0;
    for (index, (unit, most)) in [(3600, 24), (60, 60), (1, 60)].into_iter().take(parts).enumerate() {
        if index > 0 && colons {
            rest = rest.strip_prefix(':')?;
        }
        if !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (value, after) = number(rest, 2, 2).filter(|(value, _)| *value <= most)?;
        (seconds, rest) = (seconds + value * unit, after);
    }
    Some((sign * seconds, rest))
}

/// Takes an abbreviation of a zone off the front: `UTC`, `CEST`, `GMT+3`.
fn zone_name(rest: &str) -> Option<(&str, &str)> {
    let letters = rest.bytes().take_while(u8::is_ascii_uppercase).count();
    let fits = match letters {
        3 => true,
        4 => rest.as_bytes().get(3) == Some(&b'T') || rest.starts_with("WITA"),
        5 => rest.as_bytes().get(4) == Some(&b'T'),
        _ => false,
    };
    if !fits {
        return None;
    }
    let (name, after) = rest.split_at_checked(letters)?;
    let digits = match after.strip_prefix(['+', '-']) {
        Some(hours) if name == "GMT" => hours.bytes().take(2).take_while(u8::is_ascii_digit).count(),
        _ => 0,
    };
    if digits == 0 { Some((name, after)) } else { rest.split_at_checked(letters + 1 + digits) }
}

impl<'t> Parts<'t> {
    /// Takes a field off the front.
    fn read(&mut self, field: Field, rest: &'t str, fraction_follows: bool) -> Result<&'t str, String> {
        self.try_read(field, rest, fraction_follows).ok_or_else(|| {
            let what = match field {
                Field::Year => "a year of four digits",
                Field::ShortYear => "a year of two digits",
                Field::AnyYear => "a year",
                Field::Month(_) => "a month from 1 to 12",
                Field::MonthName { .. } => "the name of a month",
                Field::Day(_) => "a day from 1 to 31",
                Field::DayName { .. } => "the name of a day",
                Field::Hour => "an hour from 0 to 23",
                Field::Hour12(_) => "an hour from 0 to 12",
                Field::Meridiem { .. } if self.locale.is_some() => "a name for morning or afternoon",
                Field::Meridiem { is_upper: true } => "`AM` or `PM`",
                Field::Meridiem { is_upper: false } => "`am` or `pm`",
                Field::Minute => "a minute from 0 to 59",
                Field::Second => "a second from 0 to 59",
                Field::Fraction { .. } => "a fraction of a second",
                Field::ZoneName => "the abbreviation of a zone",
                Field::Offset | Field::FixedOffset { .. } => "an offset from UTC",
            };
            format!("expected {what}")
        })
    }

    fn try_read(&mut self, field: Field, rest: &'t str, fraction_follows: bool) -> Option<&'t str> {
        let small = |rest: &'t str, least: i32, most: i32| {
            let (value, rest) = number(rest, 1, 2).filter(|(value, _)| (least..=most).contains(value))?;
            Some((i8::try_from(value).ok()?, rest))
        };
        let rest = match field {
            Field::Year => {
                let (year, rest) = number(rest, 4, 4)?;
                self.year = i16::try_from(year).ok()?;
                rest
            }
            Field::ShortYear => {
                let (year, rest) = number(rest, 2, 2)?;
                self.year = i16::try_from(if year >= 69 { 1900 + year } else { 2000 + year }).ok()?;
                rest
            }
            Field::AnyYear => {
                let has_four = number(rest, 4, 4).is_some();
                return self.try_read(if has_four { Field::Year } else { Field::ShortYear }, rest, false);
            }
            Field::Month(_) => {
                let (month, rest) = small(rest, 1, 12)?;
                self.month = Some(month);
                rest
            }
            Field::MonthName { is_short } => {
                let (at, rest) = match self.locale {
                    Some(locale) => locale.take(field, rest)?,
                    None => name(rest, &MONTHS, is_short)?,
                };
                self.month = Some(at + 1);
                rest
            }
            Field::Day(_) => {
                let (day, rest) = small(rest, 1, 31)?;
                self.day = Some(day);
                rest
            }
            // It follows from the date, and is not held against it.
            Field::DayName { is_short } => match self.locale {
                Some(locale) => locale.take(field, rest)?.1,
                None => name(rest, &DAYS, is_short)?.1,
            },
            Field::Hour => {
                let (hour, rest) = small(rest, 0, 23)?;
                self.hour = hour;
                rest
            }
            Field::Hour12(_) => {
                let (hour, rest) = small(rest, 0, 12)?;
                self.hour = hour;
                rest
            }
            Field::Meridiem { .. } if let Some(locale) = self.locale => {
                let (half, rest) = locale.take(field, rest)?;
                self.is_afternoon = Some(half == 1);
                rest
            }
            Field::Meridiem { is_upper } => {
                let (am, pm) = if is_upper { ("AM", "PM") } else { ("am", "pm") };
                let afternoon = rest.strip_prefix(pm);
                self.is_afternoon = Some(afternoon.is_some());
                afternoon.or_else(|| rest.strip_prefix(am))?
            }
            Field::Minute => {
                let (minute, rest) = small(rest, 0, 59)?;
                self.minute = minute;
                rest
            }
            Field::Second => {
                let (second, rest) = small(rest, 0, 59)?;
                self.second = second;
                if fraction_follows {
                    rest
                } else {
                    let (nanos, rest) = fraction(rest).unwrap_or((self.nanosecond, rest));
                    self.nanosecond = nanos;
                    rest
                }
            }
            Field::Fraction { .. } => {
                let (nanos, rest) = fraction(rest).unwrap_or((0, rest));
                self.nanosecond = nanos;
                rest
            }
            Field::ZoneName => {
                let (name, rest) = zone_name(rest)?;
                self.zone_name = Some(name);
                rest
            }
            Field::Offset => {
                let rest = rest.trim_start();
                let zulu = rest.strip_prefix('Z').map(|rest| (0, rest));
                let (seconds, rest) = zulu
                    .or_else(|| offset(rest, false, 2))
                    .or_else(|| offset(rest, true, 2))
                    .or_else(|| offset(rest, false, 1))?;
                self.offset = Some(seconds);
                rest
            }
            Field::FixedOffset { colons, parts } => {
                let (seconds, rest) = offset(rest, colons, parts)?;
                self.offset = Some(seconds);
                rest
            }
        };
        Some(rest)
    }

    /// Date and time of day. Without a year it is of year 0, a leap year.
    fn civil(&self) -> Result<DateTime, &'static str> {
        let hour = match (self.is_afternoon, self.hour) {
            (Some(true), hour @ 0..12) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        let date = Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1));
        let date = date.or(Err("its month has no such day"))?;
        Ok(date.at(hour, self.minute, self.second, self.nanosecond))
    }
}

/// A zone by its abbreviation: one that `around` uses at some time of the year, or one of that name.
fn named_zone(name: &str, civil: DateTime, around: &TimeZone) -> Result<TimeZone, String> {
    if let Some(hours) = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i8>().ok()) {
        let offset = Offset::from_hours(hours).or(Err("its offset is out of range"))?;
        return Ok(TimeZone::fixed(offset));
    }
    if let Ok(near) = around.to_timestamp(civil) {
        for days in [0, -91, 91, 182] {
            let Ok(at) = near.checked_add(Span::new().hours(days * 24)) else { continue };
            let info = around.to_offset_info(at);
            if info.abbreviation() == name {
                return Ok(if days == 0 { around.clone() } else { TimeZone::fixed(info.offset()) });
            }
        }
    }
    TimeZone::get(name).map_err(|_error| format!("the zone `{name}` is not known; an offset (`%z`) always is"))
}

fn in_this_year(civil: DateTime, zone: &TimeZone, now: Timestamp) -> Option<DateTime> {
    let now = now.to_zoned(zone.clone()).datetime();
    let of_year = |year: i16| {
        // 29 February is 1 March where there is none.
        let date = Date::new(year, civil.month(), civil.day()).or_else(|_| Date::new(year, 3, 1));
        Some(date.ok()?.to_datetime(civil.time()))
    };
    let this = of_year(now.year())?;
    if this > now.checked_add(Span::new().days(7)).ok()? { of_year(now.year() - 1) } else { Some(this) }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Call, fails, gives};
    use super::super::compile;
    use super::*;
    use crate::value::Value;

    /// Reads it in central Europe, and writes it in UTC.
    fn read(text: &str, format: &str) -> String {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let parser = Parser { format: format.to_owned(), items: compile(format).unwrap(), zone, locale: None };
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        match parser.parse(text, now) {
            Ok(time) => Timestamp::from_nanosecond(time.unix_nanos).unwrap().to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn reading() {
        for (text, format, expected) in [
            ("2023-05-26 12:34:56", "%Y-%m-%d %H:%M:%S", "2023-05-26T10:34:56Z"),
            ("2023-5-6 1:2:3", "%Y-%m-%d %H:%M:%S", "2023-05-05T23:02:03Z"),
            ("2023-01-06 12:00:00.5", "%Y-%m-%d %H:%M:%S", "2023-01-06T11:00:00.5Z"),
            ("2023-01-06 12:00:00,123456", "%Y-%m-%d %H:%M:%S,%L", "2023-01-06T11:00:00.123456Z"),
            ("2023-01-06 12:00:00", "%Y-%m-%d %H:%M:%S.%L", "2023-01-06T11:00:00Z"),
            ("2023-05-26T12:34:56Z", "%Y-%m-%dT%H:%M:%S%z", "2023-05-26T12:34:56Z"),
            ("2023-05-26T12:34:56+02:00", "%Y-%m-%dT%H:%M:%S%z", "2023-05-26T10:34:56Z"),
            ("2023-05-26T12:34:56-0230", "%Y-%m-%dT%H:%M:%S%z", "2023-05-26T15:04:56Z"),
            ("2023-05-26T12:34:56-07", "%Y-%m-%dT%H:%M:%S%z", "2023-05-26T19:34:56Z"),
            ("2023-05-26T12:34:56-07", "%FT%T%i", "2023-05-26T19:34:56Z"),
            ("2023-05-26T12:34:56-07:30", "%FT%T%j", "2023-05-26T20:04:56Z"),
            ("2023-05-26T12:34:56-073012", "%FT%T%w", "2023-05-26T20:05:08Z"),
            ("2023-05-26T12:34:56-07:30:12", "%FT%T%k", "2023-05-26T20:05:08Z"),
            ("Mon Jan  2 15:04:05 2006", "%c", "2006-01-02T14:04:05Z"),
            ("tue jan 2 15:04:05 2006", "%a %b %e %T %Y", "2006-01-02T14:04:05Z"),
            ("Monday, January 2 2006 3:04 PM", "%A, %B %d %Y %I:%M %p", "2006-01-02T14:04:00Z"),
            ("02 Jan 06 12:04 am", "%d %b %y %l:%M %P", "2006-01-01T23:04:00Z"),
            ("09/06/2022", "%D", "2022-09-05T22:00:00Z"),
            ("09/06/22", "%D", "2022-09-05T22:00:00Z"),
            (" 9  6 2022", "%o %e %Y", "2022-09-05T22:00:00Z"),
            ("2022  05", "%Y %m", "2022-04-30T22:00:00Z"),
            ("202205", "%Y%m", "2022-04-30T22:00:00Z"),
            ("70", "%y", "1969-12-31T23:00:00Z"),
            ("68", "%y", "2067-12-31T23:00:00Z"),
            ("%2022", "%%%Y", "2021-12-31T23:00:00Z"),
            // An hour that summer time skips, and one that it repeats.
            ("2023-03-26 02:30:00", "%F %T", "2023-03-26T01:30:00Z"),
            ("2023-10-29 02:30:00", "%F %T", "2023-10-29T01:30:00Z"),
        ] {
            assert_eq!(read(text, format), expected, "{text} {format}");
        }
    }

    #[test]
    fn names_of_other_languages() {
        for (locale, text, format, expected) in [
            ("de", "5. März 2024 13:05", "%e. %B %Y %H:%M", Some(1_709_643_900)),
            ("de", "5. MÄRZ 2024 13:05", "%e. %B %Y %H:%M", Some(1_709_643_900)),
            ("de-AT", "5. Jänner 2024 13:05", "%e. %B %Y %H:%M", Some(1_704_459_900)),
            ("de", "5. Jänner 2024 13:05", "%e. %B %Y %H:%M", None),
            ("fr", "mardi 5 mars 2024", "%A %e %B %Y", Some(1_709_596_800)),
            ("fr", "mar. 5 mars 2024", "%a %e %b %Y", Some(1_709_596_800)),
            ("ru", "вторник, 5 марта 2024", "%A, %e %B %Y", Some(1_709_596_800)),
            ("ja", "2024年3月5日(火) 午後1:05", "%Y年%B%e日(%a) %p%l:%M", Some(1_709_643_900)),
            ("ar", "٥ مارس", "%e %B", None),
            ("ar", "05 مارس 2024 1:05 م", "%d %B %Y %l:%M %p", Some(1_709_643_900)),
            ("es", "martes, 5 de marzo de 2024, 1:05 p.m.", "%A, %e de %B de %Y, %l:%M %p", Some(1_709_643_900)),
            ("en", "Tue Mar 5 2024 1:05 pm", "%a %b %e %Y %l:%M %p", Some(1_709_643_900)),
        ] {
            let call = Call::to("Time").arg("time", text).text("format", format);
            let call = call.text("location", "UTC").text("locale", locale);
            match expected {
                Some(seconds) => gives(call, Value::Time(Time::utc(seconds * 1_000_000_000))),
                None => fails(call, "is not a time in the format"),
            }
        }
        let call = Call::to("Time").arg("time", "3 xm").text("format", "%l %p").text("locale", "es");
        fails(call, "expected a name for morning or afternoon, found `xm`");
    }

    #[test]
    fn zones_by_name() {
        for (text, expected) in [
            ("26 Sep 2022 UTC", "2022-09-26T00:00:00Z"),
            ("26 Sep 2022 GMT", "2022-09-26T00:00:00Z"),
            ("26 Sep 2022 CEST", "2022-09-25T22:00:00Z"),
            ("26 Sep 2022 GMT+3", "2022-09-25T21:00:00Z"),
            ("26 Sep 2022 QQQ", "the zone `QQQ` is not known; an offset (`%z`) always is"),
            ("26 Sep 2022 cest", "expected the abbreviation of a zone, found `cest`"),
        ] {
            let found = read(text, "%d %b %Y %Z");
            assert!(found.ends_with(expected), "{found}");
        }
        // Winter time said in summer.
        assert_eq!(read("26 Sep 2022 CET", "%d %b %Y %Z"), "2022-09-25T23:00:00Z");
    }

    #[test]
    fn without_a_year_it_is_this_one_or_the_last() {
        for (text, expected) in [
            ("Nov 20 10:00:00", "2026-11-20T09:00:00Z"),
            ("Nov 28 10:00:00", "2026-11-28T09:00:00Z"),
            ("Nov 29 10:00:00", "2025-11-29T09:00:00Z"),
            ("Dec 24 10:00:00", "2025-12-24T09:00:00Z"),
            ("Feb 29 10:00:00", "2026-03-01T09:00:00Z"),
        ] {
            assert_eq!(read(text, "%b %d %H:%M:%S"), expected);
        }
    }

    #[test]
    fn mismatches_say_where() {
        for (text, format, expected) in [
            ("2023-02-30", "%F", "its month has no such day"),
            ("2023-13-01", "%F", "expected a month from 1 to 12, found `13-01`"),
            ("2023-05-26 24:00:00", "%F %T", "expected an hour from 0 to 23, found `24:00:00`"),
            ("13:00 PM", "%I:%M %p", "expected an hour from 0 to 12, found `13:00 PM`"),
            ("12:34:60", "%T", "expected a second from 0 to 59, found `60`"),
            ("20221", "%Y", "`1` is left over"),
            ("2022 ", "%Y", "` ` is left over"),
            ("22", "%Y", "expected a year of four digits, found `22`"),
            ("2022/1", "%Y-%m", "expected `-`, found `/1`"),
            ("Foo", "%b", "expected the name of a month, found `Foo`"),
            ("10 xm", "%I %P", "expected `am` or `pm`, found `xm`"),
            ("+2", "%z", "expected an offset from UTC, found `+2`"),
            ("ééé", "%B", "expected the name of a month, found `ééé`"),
        ] {
            let found = read(text, format);
            let whole = format!("error: `{text}` is not a time in the format `{format}`: {expected}");
            assert_eq!(found, whole);
        }
    }

    #[test]
    fn through_the_function() {
        let call = |text: Value<'static>, format: &str| Call::to("Time").arg("time", text).text("format", format);
        gives(call("1970-01-02Z".into(), "%FZ"), Value::Time(Time::utc(86_400_000_000_000)));
        gives(call("1970-01-02 UTC".into(), "%F %Z"), Value::Time(Time::utc(86_400_000_000_000)));
        fails(call("".into(), "%F"), "there is no time in an empty string");
        fails(call(1.into(), "%F"), "expected a string, found int");
        fails(call(Value::Nil, "%F"), "expected a string, found nil");
    }
}
