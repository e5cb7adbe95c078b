//! Converters of text: parts, joints, tests. Positions and lengths are bytes, as in Go.

use std::borrow::Cow;

use super::make::{
    Outcome, TARGET, TEXT_BYTES_MAX, VALUES_MAX, binary, check_count, converter, function, part, text, text_like,
    unary_with, value,
};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Arguments, Built, Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("HasPrefix", &[TARGET, value("prefix")], |arguments| {
        test(arguments, "prefix", |text, prefix| text.starts_with(prefix))
    }),
    function("HasSuffix", &[TARGET, value("suffix")], |arguments| {
        test(arguments, "suffix", |text, suffix| text.ends_with(suffix))
    }),
    function("Trim", &[TARGET, Param::optional("replacement", ParamKind::Text)], |arguments| {
        let cut: Vec<char> = arguments.text_opt("replacement").map_or(vec![' '], |cut| cut.chars().collect());
        unary_with(arguments, "target", cut, |cut, value| Ok(part(text(value)?, |text| text.trim_matches(&**cut))))
    }),
    function("TrimPrefix", &[TARGET, value("prefix")], |arguments| {
        binary(arguments, ["target", "prefix"], |target, prefix| {
            let prefix = text(prefix)?;
            Ok(part(text(target)?, |text| text.strip_prefix(&*prefix).unwrap_or(text)))
        })
    }),
    function("TrimSuffix", &[TARGET, value("suffix")], |arguments| {
        binary(arguments, ["target", "suffix"], |target, suffix| {
            let suffix = text(suffix)?;
            Ok(part(text(target)?, |text| text.strip_suffix(&*suffix).unwrap_or(text)))
        })
    }),
    function("Split", &[TARGET, value("delimiter")], |arguments| {
        binary(arguments, ["target", "delimiter"], |target, delimiter| {
            let (target, delimiter) = (text(target)?, text(delimiter)?);
            Ok(Value::List(match target {
                Cow::Borrowed(target) => {
                    split(target, &delimiter)?.into_iter().map(|part| Value::Str(part.into())).collect()
                }
                Cow::Owned(target) => split(&target, &delimiter)?.into_iter().map(Value::text).collect(),
            }))
        })
    }),
    function(
        "Substring",
        &[TARGET, value("start"), value("length"), Param::optional("utf8_safe", ParamKind::Bool)],
        |arguments| {
            converter(Substring {
                target: arguments.value("target")?,
                start: arguments.value("start")?,
                length: arguments.value("length")?,
                whole_characters: arguments.bool_opt("utf8_safe").unwrap_or(false),
            })
        },
    ),
    function("Concat", &[Param::required("vals", ParamKind::List), value("delimiter")], |arguments| {
        converter(Concat { values: arguments.list("vals")?, delimiter: arguments.value("delimiter")? })
    }),
];

struct Test {
    target: Expr,
    other: Expr,
    holds: fn(&str, &str) -> bool,
}

impl Convert for Test {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let other = text(self.other.eval(on)?)?;
        let holds = self.target.with_str(on, |target| target.map(|target| (self.holds)(target, &other)))?;
        holds.map(Value::Bool).ok_or_else(|| RunError::expected("a string", &Value::Nil))
    }
}

fn test(arguments: &mut Arguments, name: &'static str, holds: fn(&str, &str) -> bool) -> Result<Built, String> {
    converter(Test { target: arguments.value("target")?, other: arguments.value(name)?, holds })
}

/// Without a delimiter, into characters.
fn split<'t>(text: &'t str, delimiter: &str) -> Result<Vec<&'t str>, RunError> {
    let most = VALUES_MAX + 1;
    let parts: Vec<&str> = if delimiter.is_empty() {
        text.split_inclusive(|_: char| true).take(most).collect()
    } else {
        text.split(delimiter).take(most).collect()
    };
    check_count(parts.len())?;
    Ok(parts)
}

struct Substring {
    target: Expr,
    start: Expr,
    length: Expr,
    /// Leave out characters that would be cut. Otherwise what is left of them becomes U+FFFD, since text is UTF-8.
    whole_characters: bool,
}

impl Convert for Substring {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let start = self.start.eval(on)?.as_int()?;
        let length = self.length.eval(on)?.as_int()?;
        let target = text(self.target.eval(on)?)?;
        let range = usize::try_from(start).ok().zip(usize::try_from(length).ok());
        let range = range.and_then(|(start, length)| Some((start, start.checked_add(length)?)));
        let Some((mut start, mut end)) = range.filter(|(start, end)| start < end && *end <= target.len()) else {
            return Err(RunError::new(format!(
                "there is no substring from {start} of length {length} in a string of {} bytes",
                target.len()
            )));
        };
        if self.whole_characters {
            while !target.is_char_boundary(start) {
                start += 1;
            }
            while end > start && !target.is_char_boundary(end) {
                end -= 1;
            }
            end = end.max(start);
        }
        if target.is_char_boundary(start) && target.is_char_boundary(end) {
            return Ok(part(target, |text| text.get(start..end).unwrap_or_default()));
        }
        Ok(Value::text(String::from_utf8_lossy(target.as_bytes().get(start..end).unwrap_or_default())))
    }
}

struct Concat {
    values: Vec<Expr>,
    delimiter: Expr,
}

impl Convert for Concat {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let delimiter = text(self.delimiter.eval(on)?)?;
        let mut out = String::new();
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                out.push_str(&delimiter);
            }
            match value.eval(on)? {
                Value::Str(text) => out.push_str(&text),
                other => out.push_str(&text_like(other).unwrap_or(Cow::Borrowed("<nil>"))),
            }
            if out.len() > TEXT_BYTES_MAX {
                return Err(RunError::new(format!("the joined text is longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(Value::Str(Cow::Owned(out)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;

    #[test]
    fn prefixes_and_suffixes() {
        for (name, with, text, other, expected) in [
            ("HasPrefix", "prefix", "hello world", "hello", true),
            ("HasPrefix", "prefix", "hello", "", true),
            ("HasPrefix", "prefix", "", "a", false),
            ("HasSuffix", "suffix", "hello world", "world", true),
            ("HasSuffix", "suffix", "hello world", "hello", false),
        ] {
            gives(Call::to(name).arg("target", text).arg(with, other), expected);
            fails(Call::to(name).arg("target", 1).arg(with, other), "expected a string, found int");
            fails(Call::to(name).arg("target", Value::Nil).arg(with, other), "expected a string, found nil");
            fails(Call::to(name).arg("target", text).arg(with, true), "expected a string, found bool");
        }
    }

    #[test]
    fn trimming() {
        gives(Call::to("Trim").arg("target", "  a b "), "a b");
        gives(Call::to("Trim").arg("target", "\ta "), "\ta");
        gives(Call::to("Trim").arg("target", "xyaxx").text("replacement", "xy"), "a");
        gives(Call::to("Trim").arg("target", " a ").text("replacement", ""), " a ");
        gives(Call::to("TrimPrefix").arg("target", "aab").arg("prefix", "a"), "ab");
        gives(Call::to("TrimPrefix").arg("target", "aab").arg("prefix", "b"), "aab");
        gives(Call::to("TrimSuffix").arg("target", "abb").arg("suffix", "b"), "ab");
        gives(Call::to("TrimSuffix").arg("target", "").arg("suffix", "b"), "");
        fails(Call::to("Trim").arg("target", Value::Nil), "expected a string, found nil");
        fails(Call::to("TrimPrefix").arg("target", "a").arg("prefix", 1), "expected a string, found int");
    }

    #[test]
    fn splitting() {
        for (text, delimiter, expected) in [
            ("a|b|c", "|", list(["a", "b", "c"])),
            ("a||", "|", list(["a", "", ""])),
            ("abc", "|", list(["abc"])),
            ("héy", "", list(["h", "é", "y"])),
            ("", "|", list([""])),
            ("", "", Value::List(Vec::new())),
        ] {
            gives(Call::to("Split").arg("target", text).arg("delimiter", delimiter), expected);
        }
        let many = "a,".repeat(VALUES_MAX);
        fails(Call::to("Split").arg("target", many).arg("delimiter", ","), "the text holds more than 262144 values");
        fails(Call::to("Split").arg("target", 1).arg("delimiter", ","), "expected a string, found int");
    }

    #[test]
    fn substrings_count_bytes() {
        let call = |text: &'static str, start, length| {
            Call::to("Substring").arg("target", text).arg("start", start).arg("length", length)
        };
        gives(call("123456789", 3, 3), "456");
        gives(call("123456789", 0, 9), "123456789");
        gives(call("héllo", 0, 2), "h\u{fffd}");
        gives(call("héllo", 0, 2).flag("utf8_safe", true), "h");
        gives(call("héllo", 2, 3).flag("utf8_safe", true), "ll");
        gives(call("é", 1, 1).flag("utf8_safe", true), "");
        for (start, length) in [(3, 20), (-1, 3), (3, -2), (3, 0), (10, 1), (i64::MAX, i64::MAX)] {
            fails(call("123456789", start, length), "there is no substring");
        }
        fails(call("123456789", 3, 20), "from 3 of length 20 in a string of 9 bytes");
        fails(
            Call::to("Substring").arg("target", 123).arg("start", 0).arg("length", 1),
            "expected a string, found int",
        );
        fails(
            Call::to("Substring").arg("target", "a").arg("start", "0").arg("length", 1),
            "expected an int, found string",
        );
    }

    #[test]
    fn concatenation_takes_anything() {
        let values = vec![
            "a".into(),
            Value::Nil,
            1.into(),
            2.0.into(),
            true.into(),
            Value::Bytes(vec![0, 255].into()),
            map([("z", 1.into()), ("a", "b".into())]),
            list([1, 2]),
        ];
        let call = Call::to("Concat").list("vals", values).arg("delimiter", "|");
        gives(call, "a|<nil>|1|2|true|00ff|{\"a\":\"b\",\"z\":1}|[1,2]");
        gives(Call::to("Concat").list("vals", vec!["a".into(), "b".into()]).arg("delimiter", ""), "ab");
        gives(Call::to("Concat").list("vals", Vec::new()).arg("delimiter", ","), "");
        fails(Call::to("Concat").list("vals", vec!["a".into()]).arg("delimiter", 1), "expected a string, found int");
        let long = Value::text("x".repeat(TEXT_BYTES_MAX / 2 + 1));
        let call = Call::to("Concat").list("vals", vec![long.clone(), long]).arg("delimiter", "");
        fails(call, "the joined text is longer than 4194304 bytes");
    }
}
