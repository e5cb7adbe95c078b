//! Why text is not OTLP/JSON.

use std::fmt;

use pdata::validate::DEPTH_MAX;

/// What is wrong with a text, where, and in which field. Small: one pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    offset: usize,
    line: usize,
    column: usize,
    /// Innermost first.
    path: Vec<Step>,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Field(&'static str),
    Element(usize),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not JSON.
    #[error("expected {0}")]
    Syntax(&'static str),
    /// JSON, but of another type.
    #[error("{found} where {expected} is expected")]
    Type {
        /// As it stands.
        found: &'static str,
        /// As the field asks for.
        expected: &'static str,
    },
    /// A number that its field cannot hold, or text that is no number.
    #[error("`{found}` is no {expected}")]
    Number {
        /// As it stands, shortened.
        found: String,
        /// As the field asks for.
        expected: &'static str,
    },
    /// An ID of the wrong size.
    #[error("an ID of {found} characters where {expected} hexadecimal digits or none are expected")]
    IdLength {
        /// As it stands.
        found: usize,
        /// As OTLP says.
        expected: usize,
    },
    /// An ID with other characters.
    #[error("an ID that is not hexadecimal")]
    IdDigit,
    /// Bytes that are not base64.
    #[error("bytes that are not base64")]
    Base64,
    /// A name that the enumeration does not have.
    #[error("`{0}` is no value of the enumeration")]
    EnumName(String),
    /// Not UTF-8, where that is refused; half a surrogate pair counts as such.
    #[error("a string is not Unicode")]
    Unicode,
    /// Objects within objects beyond what [`pdata`] allows.
    #[error("values are nested more than {DEPTH_MAX} deep")]
    Depth,
    /// More items than can be counted.
    #[error("more items than can be counted")]
    Items,
}

impl Invalid {
    /// An error at `offset` of `text`.
    #[cold]
    pub(crate) fn new(text: &[u8], offset: usize, problem: Problem) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Self(Box::new(Detail {
            offset,
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.len() - line_start + 1,
            path: Vec::new(),
            problem,
        }))
    }

    #[cold]
    pub(crate) fn inside(mut self, field: &'static str) -> Self {
        self.0.path.push(Step::Field(field));
        self
    }

    #[cold]
    pub(crate) fn at_element(mut self, index: usize) -> Self {
        self.0.path.push(Step::Element(index));
        self
    }

    /// Where in the text, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Column in bytes, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// Which field, as `resourceSpans[0].scopeSpans[2].spans[7].traceId`; empty at the text itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Detail { offset, line, column, path, problem } = &*self.0;
        write!(f, "invalid OTLP/JSON at byte {offset} (line {line}, column {column})")?;
        if !path.is_empty() {
            write!(f, " in `{}`", self.path())?;
        }
        write!(f, ": {problem}")
    }
}

impl std::error::Error for Invalid {}

/// At most the first 40 characters of what a sender wrote, for messages.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..160).unwrap_or(text));
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
