//! Where a piece of configuration was written: the text it came from and the place in it.
//!
//! Sources keep their whole text, so that an error can show lines long after parsing; every node holds its source by
//! reference count.

use std::{fmt, sync::Arc};

/// A text that configuration was read from.
#[derive(PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Byte offsets at which lines start.
    line_starts: Vec<usize>,
}

impl Source {
    /// Names a text: a path for files, else what the user typed (`env:X`, `yaml:…`, `--set`). A byte order mark is removed.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let line_starts = line_starts(&text);
        Arc::new(Self { name: name.into(), text, line_starts })
    }

    /// The name shown before line and column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line with this number (the first is 1), without its line break.
    pub fn line(&self, number: u32) -> Option<&str> {
        let start = self.line_start(number)?;
        let end = number.checked_add(1).and_then(|next| self.line_start(next)).unwrap_or(self.text.len());
        self.text.get(start..end).map(|line| line.trim_end_matches(['\n', '\r']))
    }

    /// The text from a line and column on (the first are 1).
    pub(crate) fn text_from(&self, line: u32, column: u32) -> Option<&str> {
        let rest = self.text.get(self.line_start(line)?..)?;
        let column = usize::try_from(column).ok()?.checked_sub(1)?;
        // As many bytes as characters, mostly.
        match rest.split_at_checked(column) {
            Some((before, rest)) if before.is_ascii() => Some(rest),
            _ => rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column).and_then(|at| rest.get(at..)),
        }
    }

    fn line_start(&self, number: u32) -> Option<usize> {
        self.line_starts.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }
}

/// The name only: the text may hold secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Lines end with LF, CR LF, or CR alone, as in YAML.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (index, byte) in bytes.iter().enumerate() {
        let ends = *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
        if ends && index + 1 < bytes.len() {
            starts.push(index + 1);
        }
    }
    starts
}

/// A place in a [`Source`]; the default is "written nowhere", as for values made by code.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origin {
    source: Option<Arc<Source>>,
    /// First line is 1; 0 where there is no source.
    pub line: u32,
    /// First column is 1, counted in characters.
    pub column: u32,
    /// Characters from start to end, line breaks included.
    pub length: u32,
}

impl Origin {
    /// A place in `source`.
    pub fn new(source: &Arc<Source>, line: u32, column: u32, length: u32) -> Self {
        Self { source: Some(Arc::clone(source)), line, column, length }
    }

    /// The text this place is in; `None` for values made by code.
    pub fn source(&self) -> Option<&Arc<Source>> {
        self.source.as_ref()
    }

    /// Whether this is a place at all.
    pub fn is_known(&self) -> bool {
        self.source.is_some()
    }

    /// The source's name; empty for values made by code.
    pub fn source_name(&self) -> &str {
        self.source.as_ref().map_or("", |source| source.name())
    }

    /// A key to sort by: source, line, column.
    pub(crate) fn order(&self) -> (&str, u32, u32) {
        (self.source_name(), self.line, self.column)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}:{}:{}", source.name, self.line, self.column),
            None => f.write_str("(built in)"),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
