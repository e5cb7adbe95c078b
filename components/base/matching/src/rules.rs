//! The parts of properties: lists of texts, and lists of attributes.

use pdata::Editor;
use pdata::edit::Msg;
use pdata::view::ValueView;

use crate::config::AttributeMatch;
use crate::{Constant, Pattern, Problem, Report, scalar};

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchType {
    Strict,
    Regexp,
}

impl MatchType {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "strict" => Ok(Self::Strict),
            "regexp" => Ok(Self::Regexp),
            _ => {
                let meant = config::meant(text, ["regexp", "strict"]);
                Err(format!("unrecognized match_type: '{text}', valid types are: [regexp strict]{meant}"))
            }
        }
    }
}

/// Where a part of properties stands, and how its problems begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    /// The block: `include`.
    pub(crate) block: &'p str,
    /// The key in it: `services`.
    pub(crate) key: &'p str,
    /// `error creating service name filters: `.
    pub(crate) words: &'p str,
}

impl Place<'_> {
    fn problem(&self, path: &str, message: impl std::fmt::Display) -> Problem {
        Problem::new(format!("{}::{}{path}", self.block, self.key), format!("{}{message}", self.words))
    }

    fn match_type(&self, message: &str) -> Problem {
        Problem::new(format!("{}::match_type", self.block), format!("{}{message}", self.words))
    }
}

/// A list of texts, one of which must match.
#[derive(Clone, Debug)]
pub(crate) enum Texts {
    Strict(Vec<Box<str>>),
    Regexp(Vec<Pattern>),
}

impl Texts {
    /// `None` for an empty list, and after a problem.
    pub(crate) fn compile(
        match_type: &str,
        list: &[String],
        place: Place<'_>,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        if list.is_empty() {
            return None;
        }
        match MatchType::parse(match_type) {
            Ok(MatchType::Strict) => Some(Self::Strict(list.iter().map(|text| text.as_str().into()).collect())),
            Ok(MatchType::Regexp) => {
                let mut patterns = Vec::with_capacity(list.len());
                for (index, text) in list.iter().enumerate() {
                    match Pattern::new(text) {
                        Ok(pattern) => patterns.push(pattern),
                        Err(error) => report(place.problem(&format!("::{index}"), error)),
                    }
                }
                Some(Self::Regexp(patterns))
            }
            Err(message) => {
                report(place.match_type(&message));
                None
            }
        }
    }

    /// A single text. `None` after a problem.
    pub(crate) fn compile_one(match_type: &str, text: &str, place: Place<'_>, report: &mut Report<'_>) -> Option<Self> {
        match MatchType::parse(match_type) {
            Ok(MatchType::Strict) => Some(Self::Strict(vec![text.into()])),
            Ok(MatchType::Regexp) => match Pattern::new(text) {
                Ok(pattern) => Some(Self::Regexp(vec![pattern])),
                Err(error) => {
                    report(place.problem("", error));
                    None
                }
            },
            Err(message) => {
                report(place.match_type(&message));
                None
            }
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Strict(texts) => texts.iter().any(|wanted| **wanted == *text),
            Self::Regexp(patterns) => patterns.iter().any(|pattern| pattern.is_match(text.as_bytes())),
        }
    }
}

/// Attributes, all of which must match.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeRules(Vec<AttributeRule>);

#[derive(Clone, Debug)]
struct AttributeRule {
    key: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    IsThere,
    Equals(Constant),
    Matches(Pattern),
}

impl AttributeRules {
    pub(crate) fn compile(
        match_type: &str,
        list: &[AttributeMatch],
        place: Place<'_>,
        report: &mut Report<'_>,
    ) -> Self {
        let mut rules = Vec::with_capacity(list.len());
        for (index, attribute) in list.iter().enumerate() {
            if attribute.key.is_empty() {
                report(place.problem(&format!("::{index}"), "can't have empty key in the list of attributes"));
                continue;
            }
            let test = match (Constant::of(&attribute.value), MatchType::parse(match_type)) {
                (None, _) => Test::IsThere,
                (Some(value), Ok(MatchType::Strict)) => Test::Equals(value),
                (Some(Constant::Str(text)), Ok(MatchType::Regexp)) => match Pattern::new(&text) {
                    Ok(pattern) => Test::Matches(pattern),
                    Err(error) => {
                        report(place.problem(&format!("::{index}::value"), error));
                        continue;
                    }
                },
                (Some(value), Ok(MatchType::Regexp)) => {
                    let (key, found) = (&attribute.key, value.type_name());
                    let message = format!("match_type=regexp for \"{key}\" only supports Str, but found {found}");
                    report(place.problem(&format!("::{index}::value"), message));
                    continue;
                }
                (Some(_), Err(message)) => {
                    report(place.match_type(&message));
                    break;
                }
            };
            rules.push(AttributeRule { key: attribute.key.clone(), test });
        }
        Self(rules)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a resource or item has all of them. `None` is a resource that is absent.
    pub(crate) fn match_message(&self, editor: &mut Editor, message: Option<Msg>, scratch: &mut String) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(message) = message else { return false };
        let mut attributes = editor.attributes(message);
        self.0.iter().all(|rule| {
            let Some(value) = attributes.get(&rule.key) else { return false };
            match &rule.test {
                Test::IsThere => true,
                Test::Equals(wanted) => match wanted {
                    Constant::Str(wanted) => value.str_bytes() == Some(wanted.as_bytes()),
                    wanted => wanted.equals(ValueView::new(value.bytes())),
                },
                Test::Matches(pattern) => match value.str_bytes() {
                    Some(text) => pattern.is_match(text),
                    None => scalar::text_of(ValueView::new(value.bytes()), scratch)
                        .is_some_and(|text| pattern.is_match(text.as_bytes())),
                },
            }
        })
    }
}
