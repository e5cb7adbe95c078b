//! Regular expressions in statements: written for Go's RE2, run by the `regex` crate.
//!
//! [`compile`] translates what the two spell differently ([`translate`]) and bounds what a pattern may cost. A
//! [`Pattern`] is an argument that is a pattern: a literal is compiled with its statement, so that a bad one is an error
//! at start; anything else is compiled when it is met, through a small cache of recent ones.

mod matches;
mod plain;
mod translate;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Captures, Regex, RegexBuilder};

use crate::error::RunError;
use crate::expr::Expr;
use crate::subject::Subject;
use crate::value::Value;

use self::matches::{CountedOnce, Matches};
use self::plain::Plain;

pub use self::translate::translate;

/// Longest text of a pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Most memory of a compiled pattern that stands in a statement, in bytes.
const LITERAL_BYTES_MAX: usize = 10 << 20;
/// The same for one that is computed from telemetry.
const COMPUTED_BYTES_MAX: usize = 1 << 20;
/// Most computed patterns that one argument remembers.
const REMEMBERED_MAX: usize = 16;

/// An argument that is a regular expression.
pub struct Pattern(Kind);

/// A compiled pattern that is only asked where it matches, not where its groups do.
#[derive(Clone, Debug)]
pub struct Matcher {
    regex: Regex,
    /// The same, where that needs no automaton.
    plain: Option<Arc<Plain>>,
    /// The same, for texts in which what searches look at is counted.
    counted: Arc<CountedOnce>,
}

impl Matcher {
    fn new(regex: Regex) -> Self {
        let plain = Plain::of(regex.as_str()).map(Arc::new);
        Self { regex, plain, counted: Arc::default() }
    }

    /// One that is made while telemetry waits.
    fn computed(regex: Regex) -> Self {
        Self { regex, plain: None, counted: Arc::default() }
    }

    /// The automaton.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether it matches somewhere in a text. What is not UTF-8, which no text of telemetry is, matches nothing.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        match self.plain.as_ref().map(|plain| plain.find_at(text, 0, &mut Plain::budget(text.len()))) {
            Some(Ok(found)) => found.is_some(),
            _ => std::str::from_utf8(text).is_ok_and(|text| self.regex.is_match(text)),
        }
    }

    /// Calls `visit` with the place of every match, as `Regex::find_iter` finds them.
    ///
    /// # Errors
    /// [`RunError`] when the searches looked at too much of the text ([`matches`]); the first that `visit` returns.
    pub fn each_match(
        &self,
        text: &str,
        mut visit: impl FnMut(Range<usize>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut matches = Matches::new(self, text);
        while let Some(found) = matches.next()? {
            visit(found)?;
        }
        Ok(())
    }

    /// Calls `visit` with the groups of every match, as `Regex::captures_iter` finds them.
    ///
    /// # Errors
    /// As [`Matcher::each_match`].
    pub fn each_captures(
        &self,
        text: &str,
        mut visit: impl FnMut(&Captures<'_>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut matches = Matches::new(self, text);
        while let Some(found) = matches.next()? {
            visit(&found)?;
        }
        Ok(())
    }
}

enum Kind {
    Literal(Box<Matcher>),
    Computed {
        text: Expr,
        /// The most recently used last.
        recent: Mutex<Vec<(Box<str>, Matcher)>>,
    },
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Literal(matcher) => f.debug_tuple("Pattern").field(&matcher.regex.as_str()).finish(),
            Kind::Computed { .. } => f.write_str("Pattern"),
        }
    }
}

impl Pattern {
    /// Compiles it if it is a literal.
    ///
    /// # Errors
    /// What is wrong with the literal.
    pub fn from_expr(expr: Expr) -> Result<Self, String> {
        Ok(Self(match expr.literal() {
            Some(Value::Str(text)) => Kind::Literal(Box::new(Matcher::new(compile(text)?))),
            Some(other) => return Err(format!("a pattern must be a string, found {}", other.type_name())),
            None => Kind::Computed { text: expr, recent: Mutex::new(Vec::new()) },
        }))
    }

    /// A pattern known in advance.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn literal(text: &str) -> Result<Self, String> {
        compile(text).map(|regex| Self(Kind::Literal(Box::new(Matcher::new(regex)))))
    }

    /// The compiled pattern if it is a literal: known before any record is.
    #[must_use]
    pub fn as_regex(&self) -> Option<&Regex> {
        match &self.0 {
            Kind::Literal(matcher) => Some(&matcher.regex),
            Kind::Computed { .. } => None,
        }
    }

    /// The same, for those who do not ask for groups.
    #[must_use]
    pub fn as_matcher(&self) -> Option<&Matcher> {
        match &self.0 {
            Kind::Literal(matcher) => Some(matcher),
            Kind::Computed { .. } => None,
        }
    }

    /// The pattern for the duration of a change.
    ///
    /// # Errors
    /// As [`Pattern::with`].
    pub fn matcher(&self, on: &mut Subject<'_>) -> Result<Cow<'_, Matcher>, RunError> {
        match &self.0 {
            Kind::Literal(matcher) => Ok(Cow::Borrowed(matcher)),
            Kind::Computed { .. } => self.with_matcher(on, |matcher| Cow::Owned(matcher.clone())),
        }
    }

    /// Calls `use_it` with the compiled pattern.
    ///
    /// # Errors
    /// [`RunError`] when it is computed, and not text or not a pattern.
    pub fn with<T>(&self, on: &mut Subject<'_>, use_it: impl FnOnce(&Regex) -> T) -> Result<T, RunError> {
        self.with_matcher(on, |matcher| use_it(&matcher.regex))
    }

    fn with_matcher<T>(&self, on: &mut Subject<'_>, use_it: impl FnOnce(&Matcher) -> T) -> Result<T, RunError> {
        let (text, recent) = match &self.0 {
            Kind::Literal(matcher) => return Ok(use_it(matcher)),
            Kind::Computed { text, recent } => (text.eval(on)?, recent),
        };
        let text = text.as_str()?;
        let known = {
            let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
            let found = recent.iter().position(|(known, _)| **known == *text);
            if let Some(found) = found {
                recent[found..].rotate_left(1);
            }
            found.and(recent.last()).map(|(_, matcher)| matcher.clone())
        };
        if let Some(matcher) = known {
            return Ok(use_it(&matcher));
        }
        let matcher = Matcher::computed(bounded(text, COMPUTED_BYTES_MAX).map_err(RunError::new)?);
        let outcome = use_it(&matcher);
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED_MAX {
            recent.remove(0);
        }
        recent.push((text.into(), matcher));
        Ok(outcome)
    }
}

/// Compiles a pattern written for RE2.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn compile(text: &str) -> Result<Regex, String> {
    bounded(text, LITERAL_BYTES_MAX)
}

fn bounded(text: &str, bytes_max: usize) -> Result<Regex, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern of {} bytes is longer than the {PATTERN_BYTES_MAX} allowed", text.len()));
    }
    let translated = translate(text).map_err(|problem| format!("the pattern `{text}` is refused: {problem}"))?;
    RegexBuilder::new(&translated).size_limit(bytes_max).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the pattern `{text}` is refused: compiled it would take more than {limit} bytes")
        }
        // The crate draws the pattern with a caret over several lines; its last line is the reason.
        other => {
            let drawn = other.to_string();
            let reason = drawn.lines().last().unwrap_or_default().trim();
            format!("the pattern `{text}` is refused: {}", reason.strip_prefix("error: ").unwrap_or(reason))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Convert;
    use pdata::edit::Editor;
    use pdata::{Payload, Signal};

    struct Texts(Mutex<Vec<&'static str>>);

    impl Convert for Texts {
        fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
            Ok(self.0.lock().unwrap().pop().map_or(Value::Nil, |text| Value::Str(text.into())))
        }
    }

    #[test]
    fn computed_patterns_are_compiled_when_met_and_remembered() {
        let mut editor = Editor::new(Payload::empty(Signal::Logs)).unwrap();
        let request = pdata::Context::default();
        let mut on = Subject::new(&mut editor, &request);
        let texts = Expr::Computed(Box::new(Texts(Mutex::new(vec!["(", "b", "a", "b"]))));
        let pattern = Pattern::from_expr(texts).unwrap();
        assert_eq!(pattern.with(&mut on, |regex| regex.as_str().to_owned()).unwrap(), "b");
        assert_eq!(pattern.with(&mut on, |regex| regex.as_str().to_owned()).unwrap(), "a");
        assert_eq!(pattern.with(&mut on, |regex| regex.as_str().to_owned()).unwrap(), "b");
        let Kind::Computed { recent, .. } = &pattern.0 else { panic!("it is computed") };
        let order: Vec<_> = recent.lock().unwrap().iter().map(|(text, _)| text.to_string()).collect();
        assert_eq!(order, ["a", "b"]);
        let refused = pattern.with(&mut on, |_| ()).unwrap_err().to_string();
        assert!(refused.contains("unclosed group"), "{refused}");
        assert_eq!(pattern.with(&mut on, |_| ()).unwrap_err().to_string(), "expected a string, found nil");
    }

    #[test]
    fn bad_and_large_patterns_are_refused() {
        for (text, reason) in [
            ("a(b", "the pattern `a(b` is refused: unclosed group"),
            (r"(a)\1", r"the pattern `(a)\1` is refused: backreferences are not supported"),
            (r"\C", r"the pattern `\C` is refused: `\C`, a single byte, is not supported"),
            ("((a{1000}){1000}){1000}", "compiled it would take more than"),
        ] {
            let error = compile(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(compile(&"a".repeat(PATTERN_BYTES_MAX + 1)).unwrap_err().contains("longer than"));
        let number = Pattern::from_expr(Expr::Literal(Value::Int(1))).unwrap_err();
        assert_eq!(number, "a pattern must be a string, found int");
    }
}
