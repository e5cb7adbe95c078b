//! Converters that take a regular expression: `IsMatch` and `ExtractPatterns`.

use super::make::{Entries, Outcome, TARGET, converter, function, text, text_like, value};
use crate::expr::Expr;
use crate::function::{Convert, Function};
use crate::pattern::Pattern;
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("IsMatch", &[TARGET, value("pattern")], |arguments| {
        let pattern = Pattern::from_expr(arguments.value("pattern")?)?;
        converter(IsMatch { target: arguments.value("target")?, pattern })
    }),
    function("ExtractPatterns", &[TARGET, value("pattern")], |arguments| {
        let pattern = Pattern::from_expr(arguments.value("pattern")?)?;
        if pattern.as_regex().is_some_and(|regex| regex.capture_names().flatten().next().is_none()) {
            return Err(NO_GROUP.to_owned());
        }
        converter(ExtractPatterns { target: arguments.value("target")?, pattern })
    }),
];

const NO_GROUP: &str = "the pattern names no group: at least one `(?P<name>…)` is needed";

struct IsMatch {
    target: Expr,
    pattern: Pattern,
}

impl Convert for IsMatch {
    /// Values other than text are matched as `String` writes them; nil never matches.
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        if let Some(pattern) = self.pattern.as_matcher() {
            if let Ok(Some(matches)) = self.target.with_wire_text(on, |text| pattern.is_match(text)) {
                return Ok(Value::Bool(matches));
            }
            let matches = self.target.with_str(on, |text| text.is_some_and(|text| pattern.is_match(text.as_bytes())));
            if let Ok(matches) = matches {
                return Ok(Value::Bool(matches));
            }
        }
        let target = text_like(self.target.eval(on)?);
        let matches = self.pattern.with(on, |regex| target.is_some_and(|target| regex.is_match(&target)))?;
        Ok(Value::Bool(matches))
    }
}

struct ExtractPatterns {
    target: Expr,
    pattern: Pattern,
}

impl Convert for ExtractPatterns {
    /// Named groups that took no part are empty; without a match there is no entry at all.
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let target = text(self.target.eval(on)?)?;
        self.pattern.with(on, |regex| {
            if regex.capture_names().flatten().next().is_none() {
                return Err(NO_GROUP.into());
            }
            let mut entries = Entries::default();
            if let Some(captures) = regex.captures(&target) {
                for name in regex.capture_names().flatten() {
                    entries.put_text(name.to_owned(), captures.name(name).map_or("", |group| group.as_str()));
                }
            }
            Ok(entries.finish())
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map, refused_or_fails};
    use super::*;

    #[test]
    fn matching() {
        for (target, pattern, expected) in [
            ("hello world".into(), "hello.*", true),
            ("hello world".into(), "^world", false),
            ("hello".into(), "l+", true),
            ("".into(), "^$", true),
            (1.into(), r"^\d$", true),
            (1.0.into(), r"^\d\.\d$", false),
            (1.5.into(), r"^\d\.\d$", true),
            (true.into(), "true", true),
            (Value::Bytes(vec![0, 255].into()), "^00ff$", true),
            (map([("a", "b".into())]), "\"a\":\"b\"", true),
            (list([1, 2]), r"^\[1,2\]$", true),
            (Value::Nil, ".*", false),
            ("é".into(), "^.$", true),
            ("٣".into(), r"\d", false),
        ] {
            gives(Call::to("IsMatch").arg("target", target).arg("pattern", pattern), expected);
        }
        refused_or_fails(Call::to("IsMatch").arg("target", "a").arg("pattern", "("), "unclosed group");
        refused_or_fails(Call::to("IsMatch").arg("target", "a").arg("pattern", 1), "found int");
    }

    #[test]
    fn extracting() {
        let call = |target: &'static str, pattern: &'static str| {
            Call::to("ExtractPatterns").arg("target", target).arg("pattern", pattern)
        };
        gives(call("a=1 b=2", r"a=(?P<a>\w+)( b=(?P<b>\w+))?"), map([("a", "1".into()), ("b", "2".into())]));
        gives(call("a=1", r"a=(?P<a>\w+)( b=(?P<b>\w+))?"), map([("a", "1".into()), ("b", "".into())]));
        gives(call("x", r"a=(?P<a>\w+)"), map([]));
        refused_or_fails(call("x", "a(b)"), "the pattern names no group");
        refused_or_fails(call("x", "(?P<a>"), "unclosed group");
        fails(Call::to("ExtractPatterns").arg("target", 1).arg("pattern", "(?P<a>.)"), "expected a string, found int");
        fails(
            Call::to("ExtractPatterns").arg("target", Value::Nil).arg("pattern", "(?P<a>.)"),
            "expected a string, found nil",
        );
    }
}
