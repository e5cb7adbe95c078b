//! Converters of moments: their parts, their distance from 1970, and back. `Time` and `FormatTime`, which need a format,
//! are [`super::strptime`]'s.
//!
//! Moments read from telemetry are in UTC; those of `Now` and `Unix` are in the zone of this machine, as in the
//! Collector, which matters to their day and hour.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::duration::nanos;
use super::make::{Outcome, binary, converter, function, unary_with, value};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Arguments, Built, Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::{Time, Value};

const TIME: &[Param] = &[value("time")];

pub(super) const FUNCTIONS: &[Function] = &[
    function("Now", &[], |_| converter(Now(local_zone()))),
    function("Unix", &[value("seconds"), Param::optional("nanoseconds", ParamKind::Value)], |arguments| {
        converter(Unix {
            seconds: arguments.value("seconds")?,
            nanoseconds: arguments.value_opt("nanoseconds"),
            zone: local_zone(),
        })
    }),
    function("UnixNano", TIME, |arguments| since_1970(arguments, 1)),
    function("UnixMicro", TIME, |arguments| since_1970(arguments, 1_000)),
    function("UnixMilli", TIME, |arguments| since_1970(arguments, 1_000_000)),
    function("UnixSeconds", TIME, |arguments| since_1970(arguments, 1_000_000_000)),
    function("Year", TIME, |arguments| part(arguments, |time| time.year().into())),
    function("Month", TIME, |arguments| part(arguments, |time| time.month().into())),
    function("Day", TIME, |arguments| part(arguments, |time| time.day().into())),
    function("Weekday", TIME, |arguments| part(arguments, |time| time.weekday().to_sunday_zero_offset().into())),
    function("Hour", TIME, |arguments| part(arguments, |time| time.hour().into())),
    function("Minute", TIME, |arguments| part(arguments, |time| time.minute().into())),
    function("Second", TIME, |arguments| part(arguments, |time| time.second().into())),
    function("Nanosecond", TIME, |arguments| part(arguments, |time| time.subsec_nanosecond().into())),
    function("TruncateTime", &[value("time"), value("duration")], |arguments| {
        binary(arguments, ["time", "duration"], |at, duration| {
            let (at, duration) = (time(at)?, nanos(&duration)?);
            Ok(Value::Time(Time { unix_nanos: truncated(at.unix_nanos, duration.into()), zone: at.zone }))
        })
    }),
];

/// The zone of this machine, UTC if it says none.
pub(super) fn local_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// The moment that a value is.
pub(super) fn time(value: Value<'_>) -> Result<Time, RunError> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(RunError::expected("a time", &other)),
    }
}

/// The moment with its calendar.
pub(super) fn zoned(time: &Time) -> Result<Zoned, RunError> {
    time.zoned().ok_or_else(|| "the time is outside of the years -9999 to 9999".into())
}

/// Multiples are counted from the start of the year 1, so that weeks begin on Mondays.
fn truncated(unix_nanos: i128, step: i128) -> i128 {
    const YEAR_1: i128 = -62_135_596_800 * 1_000_000_000;
    if step <= 0 { unix_nanos } else { unix_nanos - (unix_nanos - YEAR_1).rem_euclid(step) }
}

fn since_1970(arguments: &mut Arguments, unit: i128) -> Result<Built, String> {
    unary_with(arguments, "time", unit, |unit, value| {
        let count = time(value)?.unix_nanos.div_euclid(*unit);
        let count = i64::try_from(count).or(Err("the time does not fit into 64 bits of that unit"))?;
        Ok(Value::Int(count))
    })
}

fn part(arguments: &mut Arguments, part: fn(&Zoned) -> i64) -> Result<Built, String> {
    unary_with(arguments, "time", part, |part, value| Ok(Value::Int(part(&zoned(&time(value)?)?))))
}

struct Now(TimeZone);

impl Convert for Now {
    fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Outcome<'c> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).or(Err("the clock is before 1970"))?;
        Ok(Value::Time(Time { unix_nanos: since.as_nanos().cast_signed(), zone: self.0.clone() }))
    }
}

struct Unix {
    seconds: Expr,
    nanoseconds: Option<Expr>,
    zone: TimeZone,
}

impl Convert for Unix {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let seconds = self.seconds.eval(on)?.as_int()?;
        let nanoseconds = self.nanoseconds.as_ref().map_or(Ok(0), |expr| expr.eval(on)?.as_int())?;
        let unix_nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Ok(Value::Time(Time { unix_nanos, zone: self.zone.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives};
    use super::*;

    fn at(unix_nanos: i128) -> Value<'static> {
        Value::Time(Time::utc(unix_nanos))
    }

    #[test]
    fn parts() {
        // 2023-11-14T22:13:20.123456789Z, a Tuesday.
        let moment = 1_700_000_000_123_456_789;
        for (name, expected) in [
            ("Year", 2023),
            ("Month", 11),
            ("Day", 14),
            ("Weekday", 2),
            ("Hour", 22),
            ("Minute", 13),
            ("Second", 20),
            ("Nanosecond", 123_456_789),
            ("UnixNano", 1_700_000_000_123_456_789),
            ("UnixMicro", 1_700_000_000_123_456),
            ("UnixMilli", 1_700_000_000_123),
            ("UnixSeconds", 1_700_000_000),
        ] {
            gives(Call::to(name).arg("time", at(moment)), expected);
            fails(Call::to(name).arg("time", "2023"), "expected a time, found string");
            fails(Call::to(name).arg("time", Value::Nil), "expected a time, found nil");
        }
        let zone = TimeZone::fixed(jiff::tz::offset(3));
        gives(Call::to("Day").arg("time", Value::Time(Time { unix_nanos: moment, zone })), 15);
        gives(Call::to("UnixMilli").arg("time", at(-999_999_500)), -1000);
        gives(Call::to("Weekday").arg("time", at(1_699_747_200_000_000_000)), 0);
        fails(Call::to("UnixNano").arg("time", at(i128::from(i64::MAX) + 1)), "does not fit into 64 bits");
        fails(Call::to("Year").arg("time", at(i128::MAX)), "outside of the years -9999 to 9999");
    }

    #[test]
    fn truncation() {
        let second = 1_000_000_000_i64;
        for (moment, step, expected) in [
            (1_700_000_000_123_456_789, 3600 * second, 1_699_999_200_000_000_000),
            // A Monday.
            (1_700_000_000_123_456_789, 168 * 3600 * second, 1_699_833_600_000_000_000),
            (-4_999_999_999, 60 * second, -60_000_000_000),
            (5_000_000_001, 0, 5_000_000_001),
            (5_000_000_001, -1, 5_000_000_001),
        ] {
            let call = Call::to("TruncateTime").arg("time", at(moment)).arg("duration", Value::Duration(step));
            gives(call, at(expected));
        }
        fails(Call::to("TruncateTime").arg("time", at(0)).arg("duration", 5), "expected a duration, found int");
        fails(Call::to("TruncateTime").arg("time", 5).arg("duration", 5), "expected a time, found int");
    }

    #[test]
    fn from_1970() {
        let unix = |call: Call| match call.run().unwrap() {
            Value::Time(time) => time.unix_nanos,
            other => panic!("{other:?}"),
        };
        assert_eq!(unix(Call::to("Unix").arg("seconds", 5)), 5_000_000_000);
        assert_eq!(unix(Call::to("Unix").arg("seconds", -1).arg("nanoseconds", 500)), -999_999_500);
        assert_eq!(unix(Call::to("Unix").arg("seconds", i64::MAX)), i128::from(i64::MAX) * 1_000_000_000);
        fails(Call::to("Unix").arg("seconds", "5"), "expected an int, found string");
        assert!(unix(Call::to("Now")) > 1_700_000_000_000_000_000);
    }
}
