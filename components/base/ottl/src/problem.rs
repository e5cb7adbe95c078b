//! What is wrong with a statement, said to the person who wrote it.

use std::fmt;
use std::ops::Range;

/// A statement, condition or value expression that cannot be used.
///
/// `Display` gives the message, the line of the statement with a caret under the place, and the help:
///
/// ```text
/// unknown function `sett`
///   sett(span.name, "x")
///   ^^^^
/// help: did you mean `set`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The whole statement.
    pub text: String,
    /// The place in it, in bytes.
    pub span: Range<usize>,
    /// One line.
    pub message: String,
    /// What to do about it, one line.
    pub help: Option<String>,
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// An error at a place; the text is added by [`ParseError::of`].
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { text: String::new(), span, message: message.into(), help: None }
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Suggests the nearest of `names` to what was written, if any is near.
    #[must_use]
    pub(crate) fn nearest<'n>(self, written: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(written, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    #[must_use]
    pub(crate) fn of(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// Message and help in one line, for places that show the statement themselves.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        let start = self.text.floor_char_boundary(self.span.start);
        let line_start = cut(&self.text, 0, start).rfind('\n').map_or(0, |newline| newline + 1);
        let line_end =
            cut(&self.text, start, self.text.len()).find('\n').map_or(self.text.len(), |newline| start + newline);
        let end = self.text.ceil_char_boundary(self.span.end.clamp(start, line_end));
        let line = cut(&self.text, line_start, line_end);
        let shown: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before = cut(&self.text, line_start, start).chars().count();
        let marked = cut(&self.text, start, end).chars().count().max(1);
        if !self.text.is_empty() {
            write!(f, "\n  {shown}\n  {:before$}{}", "", "^".repeat(marked))?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// A part of a text between boundaries of characters.
fn cut(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

/// The name that differs from what was written in the fewest letters, if those are few.
pub(crate) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Names are short; what is long is no slip of the pen.
    if written.len() > 64 {
        return None;
    }
    let folded = written.to_ascii_lowercase();
    let most = (written.len() / 3).max(1);
    names
        .into_iter()
        .filter(|name| name.len() <= 64)
        .map(|name| (distance(&folded, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_with_a_caret() {
        let error = ParseError::at(7..9, "no `é` here").help("leave it out").of("a\nbcédé fg\nh");
        assert_eq!(error.to_string(), "no `é` here\n  bcédé fg\n      ^\nhelp: leave it out");
        assert_eq!(error.summary(), "no `é` here; leave it out");
        let end = ParseError::at(3..3, "more expected").of("abc");
        assert_eq!(end.to_string(), "more expected\n  abc\n     ^");
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["set", "delete_key", "delete_matching_keys", "IsMatch"];
        for (written, expected) in [
            ("sett", Some("set")),
            ("delet_key", Some("delete_key")),
            ("ismatch", Some("IsMatch")),
            ("IsMacth", Some("IsMatch")),
            ("frobnicate", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }
}
