//! Editors that replace text: `replace_pattern`, `replace_all_patterns`, `replace_match`, `replace_all_matches`.
//!
//! All take a `function` (a converter's bare name) that the replacement goes through, and a `replacement_format` for
//! what comes out of it, with one `%s`.

use std::borrow::Cow;

use regex::{Captures, Regex};

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Arguments, Built, ByName, Change, Function, Param, ParamKind};
use crate::pattern::{Matcher, Pattern};
use crate::subject::Subject;
use crate::value::Value;

use super::{Step, TEXT_BYTES_MAX, each_entry, glob};

const TARGET: Param = Param::required("target", ParamKind::Target);
const REPLACEMENT: Param = Param::required("replacement", ParamKind::Value);
const FUNCTION: Param = Param::optional("function", ParamKind::Function);
const FORMAT: Param = Param::optional("replacement_format", ParamKind::Value);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "replace_pattern",
        params: &[TARGET, Param::required("regex_pattern", ParamKind::Value), REPLACEMENT, FUNCTION, FORMAT],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, pattern) =
                (arguments.target("target")?, Pattern::from_expr(arguments.value("regex_pattern")?)?);
            let with = Replacement::take(arguments)?;
            Ok(Built::Editor(Box::new(ReplacePattern { target, pattern, with })))
        },
    },
    Function {
        name: "replace_all_patterns",
        params: &[
            TARGET,
            Param::required("mode", ParamKind::Text),
            Param::required("regex_pattern", ParamKind::Value),
            REPLACEMENT,
            FUNCTION,
            FORMAT,
        ],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, pattern) =
                (arguments.target("target")?, Pattern::from_expr(arguments.value("regex_pattern")?)?);
            let keys = match arguments.text("mode")?.as_str() {
                "key" => true,
                "value" => false,
                other => return Err(format!("the mode must be `key` or `value`, not `{other}`")),
            };
            let with = Replacement::take(arguments)?;
            Ok(Built::Editor(Box::new(ReplaceAllPatterns { target, keys, pattern, with })))
        },
    },
    Function {
        name: "replace_match",
        params: &[TARGET, Param::required("pattern", ParamKind::Value), REPLACEMENT, FUNCTION, FORMAT],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, pattern) = (arguments.target("target")?, Glob::new(arguments.value("pattern")?)?);
            let with = Replacement::take(arguments)?;
            Ok(Built::Editor(Box::new(ReplaceMatch { target, pattern, with })))
        },
    },
    Function {
        name: "replace_all_matches",
        params: &[TARGET, Param::required("pattern", ParamKind::Value), REPLACEMENT, FUNCTION, FORMAT],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, pattern) = (arguments.target("target")?, Glob::new(arguments.value("pattern")?)?);
            let with = Replacement::take(arguments)?;
            Ok(Built::Editor(Box::new(ReplaceAllMatches { target, pattern, with })))
        },
    },
];

/// A shell pattern, compiled beforehand where it is a literal.
enum Glob {
    Literal(Regex),
    Dynamic(Expr),
}

impl Glob {
    fn new(expr: Expr) -> Result<Self, String> {
        match expr.literal() {
            Some(Value::Str(pattern)) => Ok(Self::Literal(glob::compile(pattern)?)),
            Some(other) => Err(format!("the pattern must be a string, not a {}", other.type_name())),
            None => Ok(Self::Dynamic(expr)),
        }
    }

    fn regex(&self, on: &mut Subject<'_>) -> Result<Cow<'_, Regex>, RunError> {
        match self {
            Self::Literal(regex) => Ok(Cow::Borrowed(regex)),
            Self::Dynamic(expr) => glob::compile(expr.eval(on)?.as_str()?).map(Cow::Owned).map_err(RunError::new),
        }
    }
}

/// What comes in the place of a match.
struct Replacement {
    template: Expr,
    function: Option<ByName>,
    format: Option<Expr>,
}

/// The same, on one record.
struct Prepared<'c> {
    template: Value<'c>,
    function: Option<&'c ByName>,
    format: Option<Value<'c>>,
}

impl Replacement {
    fn take(arguments: &mut Arguments) -> Result<Self, String> {
        let format = arguments.value_opt("replacement_format");
        if let Some(Value::Str(format)) = format.as_ref().and_then(Expr::literal) {
            split_format(format).map_err(str::to_owned)?;
        }
        Ok(Self { template: arguments.value("replacement")?, function: arguments.function_opt("function"), format })
    }

    fn prepare(&self, on: &mut Subject<'_>) -> Result<Prepared<'_>, RunError> {
        let template = self.template.eval(on)?;
        template.as_str()?;
        let format = self.format.as_ref().map(|format| format.eval(on)).transpose()?;
        Ok(Prepared { template, function: self.function.as_ref(), format })
    }
}

/// The parts of a format around its `%s`.
fn split_format(format: &str) -> Result<(&str, &str), &'static str> {
    let wrong = "the replacement format must contain one `%s` and no other directive";
    let (before, after) = format.split_once("%s").ok_or(wrong)?;
    if before.contains('%') || after.contains('%') { Err(wrong) } else { Ok((before, after)) }
}

impl Prepared<'_> {
    fn template(&self) -> &str {
        self.template.as_str().unwrap_or_default()
    }

    /// What the function and the format make of a text.
    fn dress(&self, text: String) -> Result<String, RunError> {
        let Some(function) = self.function else { return Ok(text) };
        let dressed = (function.0)(Value::text(text))?;
        let dressed = dressed.as_str()?;
        match &self.format {
            None => Ok(dressed.to_owned()),
            Some(format) => {
                let (before, after) = split_format(format.as_str()?)?;
                Ok([before, dressed, after].concat())
            }
        }
    }

    /// `text` with its matches replaced; `None` when there are none.
    fn replaced(&self, pattern: &Matcher, text: &str) -> Result<Option<String>, RunError> {
        let mut new = String::new();
        Ok(self.replace_into(pattern, text, &mut new)?.then_some(new))
    }

    /// Writes `text` with its matches replaced to an empty buffer. Whether there are any; if not, nothing is written.
    fn replace_into(&self, pattern: &Matcher, text: &str, new: &mut String) -> Result<bool, RunError> {
        let mut out = Replacing { text, new, done: 0, is_match: false };
        // Where no group is asked for, finding them, which is slower, is not needed.
        if self.function.is_none() && !self.template().contains('$') {
            pattern.each_match(text, |found| out.put(found, self.template()))?;
        } else {
            pattern.each_captures(text, |found| out.put(found.get_match().range(), &self.expand(found)?))?;
        }
        Ok(out.finish())
    }

    fn expand(&self, captures: &Captures<'_>) -> Result<String, RunError> {
        let mut expanded = String::new();
        captures.expand(self.template(), &mut expanded);
        self.dress(expanded)
    }
}

/// A text whose matches are being replaced.
struct Replacing<'t> {
    text: &'t str,
    new: &'t mut String,
    done: usize,
    is_match: bool,
}

impl Replacing<'_> {
    fn put(&mut self, place: std::ops::Range<usize>, with: &str) -> Result<(), RunError> {
        if !self.is_match {
            self.new.reserve(self.text.len());
            self.is_match = true;
        }
        self.new.push_str(self.text.get(self.done..place.start).unwrap_or_default());
        self.new.push_str(with);
        self.done = place.end;
        let most = TEXT_BYTES_MAX.max(self.text.len());
        if self.new.len() > most {
            return Err(RunError::new(format!("the replacement would make a text of more than {most} bytes")));
        }
        Ok(())
    }

    /// Whether anything matched.
    fn finish(self) -> bool {
        if self.is_match {
            self.new.push_str(self.text.get(self.done..).unwrap_or_default());
        }
        self.is_match
    }
}

/// Replaces the matches in a text.
struct ReplacePattern {
    target: Target,
    pattern: Pattern,
    with: Replacement,
}

impl Change for ReplacePattern {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let pattern = self.pattern.matcher(on)?;
        let with = self.with.prepare(on)?;
        self.target.replace_text(on, |text, new| with.replace_into(&pattern, text, new))
    }
}

/// Replaces the matches in all keys or all texts of a map.
struct ReplaceAllPatterns {
    target: Target,
    keys: bool,
    pattern: Pattern,
    with: Replacement,
}

impl Change for ReplaceAllPatterns {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let pattern = self.pattern.matcher(on)?;
        let with = self.with.prepare(on)?;
        each_entry(&self.target, on, |key, value| {
            if self.keys {
                return Ok(with.replaced(&pattern, key)?.map_or(Step::Keep, Step::Rename));
            }
            let replaced = value.as_str().map(|text| with.replaced(&pattern, text)).transpose()?.flatten();
            Ok(replaced.map_or(Step::Keep, |text| Step::Set(Value::text(text))))
        })
    }
}

/// Replaces a text that matches as a whole.
struct ReplaceMatch {
    target: Target,
    pattern: Glob,
    with: Replacement,
}

impl Change for ReplaceMatch {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let regex = self.pattern.regex(on)?;
        let matches = match self.target.0.convert(on)? {
            Value::Str(text) => regex.is_match(&text),
            _ => false,
        };
        if !matches {
            return Ok(());
        }
        let with = self.with.prepare(on)?;
        let text = with.dress(with.template().to_owned())?;
        self.target.0.set(on, Value::text(text))
    }
}

/// Replaces all texts of a map that match as a whole.
struct ReplaceAllMatches {
    target: Target,
    pattern: Glob,
    with: Replacement,
}

impl Change for ReplaceAllMatches {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let regex = self.pattern.regex(on)?;
        let with = self.with.prepare(on)?;
        let text = with.dress(with.template().to_owned())?;
        each_entry(&self.target, on, |_, value| match value.as_str() {
            Some(found) if regex.is_match(found) => Ok(Step::Set(Value::text(text.clone()))),
            _ => Ok(Step::Keep),
        })
    }
}
