//! Errors as text with quoted lines and carets, as JSON, and as annotations of GitHub Actions.
//!
//! Quoted lines are masked ([`crate::mask`]). Control characters are not passed on to a terminal.

use crate::{
    error::{ConfigError, Errors, Severity},
    mask::{Line, Masks},
    origin::{Origin, Source},
    print,
};
use std::{collections::HashMap, fmt::Write as _, sync::Arc};

/// Characters of a quoted line that are shown.
const LINE_CHARS_MAX: usize = 160;

impl Errors {
    /// All errors and warnings for a terminal, sorted by place, with quoted lines. `color` adds ANSI colours.
    pub fn render_text(&self, color: bool) -> String {
        let mut page = Page { out: String::new(), color, masks: Masks::new(&self.masks), lines: HashMap::new() };
        for error in self.sorted() {
            // writing to a string cannot fail
            page.error(error).unwrap_or_default();
        }
        if self.beyond_limit() > 0 {
            page.out.push_str(&format!("and {} more errors\n", self.beyond_limit()));
        }
        page.out
    }

    /// A JSON array with one object per error or warning, sorted by place.
    pub fn render_json(&self) -> String {
        let mut out = String::from("[");
        for (index, error) in self.sorted().into_iter().enumerate() {
            out.push_str(if index > 0 { ",\n  " } else { "\n  " });
            object(error, &mut out);
        }
        out.push_str(if self.is_empty() { "]\n" } else { "\n]\n" });
        out
    }

    /// Workflow commands of GitHub Actions, one line per error or warning, sorted by place.
    pub fn render_github(&self) -> String {
        let mut out = String::new();
        for error in self.sorted() {
            let mut parts = vec![error.headline()];
            parts.extend(label(error));
            parts.extend(error.fix.iter().map(|fix| format!("fix: {fix}")));
            let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
            let mut place = String::new();
            if error.origin.is_known() {
                let name = property(error.origin.source_name());
                place = format!("file={name},line={},col={},", error.origin.line, error.origin.column);
            }
            let message = data(&parts.join("\n"));
            out.push_str(&format!("::{} {place}title={}::{message}\n", error.severity.as_str(), error.code));
        }
        out
    }
}

/// What stands beside the caret.
fn label(error: &ConfigError) -> Option<String> {
    let expected = error.expected.iter().map(|expected| format!("expected {expected}"));
    let closest = error.suggestion.iter().map(|suggestion| format!("closest: {suggestion}"));
    let parts: Vec<String> = expected.chain(closest).collect();
    if parts.is_empty() { None } else { Some(parts.join("; ")) }
}

fn object(error: &ConfigError, out: &mut String) {
    let mut text = |name: &str, value: &str, first: bool| {
        out.push_str(if first { "{\"" } else { ", \"" });
        out.push_str(name);
        out.push_str("\": ");
        print::quoted(value, out);
    };
    text("severity", error.severity.as_str(), true);
    text("code", error.code, false);
    text("path", &error.path, false);
    text("setting", &error.setting, false);
    text("message", &error.message, false);
    for (name, value) in [("expected", &error.expected), ("suggestion", &error.suggestion), ("fix", &error.fix)] {
        if let Some(value) = value {
            text(name, value, false);
        }
    }
    if error.origin.is_known() {
        out.push_str(", \"place\": ");
        place(&error.origin, None, out);
    }
    if !error.notes.is_empty() {
        out.push_str(", \"notes\": [");
        for (index, note) in error.notes.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            print::quoted(note, out);
        }
        out.push(']');
    }
    if !error.related.is_empty() {
        out.push_str(", \"related\": [");
        for (index, (origin, part)) in error.related.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            place(origin, Some(part), out);
        }
        out.push(']');
    }
    out.push('}');
}

fn place(origin: &Origin, part: Option<&str>, out: &mut String) {
    out.push_str("{\"file\": ");
    print::quoted(origin.source_name(), out);
    let (line, column, length) = (origin.line, origin.column, origin.length);
    out.push_str(&format!(", \"line\": {line}, \"column\": {column}, \"length\": {length}"));
    if let Some(part) = part {
        out.push_str(", \"part\": ");
        print::quoted(part, out);
    }
    out.push('}');
}

struct Page {
    out: String,
    color: bool,
    masks: Masks,
    /// Lines quoted so far: a file in flow style can have a thousand errors on one.
    lines: HashMap<(*const Source, u32), Option<Line>>,
}

impl Page {
    fn error(&mut self, error: &ConfigError) -> std::fmt::Result {
        let word = format!("{}[{}]", error.severity.as_str(), error.code);
        let word = self.paint(if error.severity == Severity::Error { "1;31" } else { "1;33" }, &word);
        let headline = printable(&error.headline());
        writeln!(self.out, "{word} {}", self.paint("1", &headline))?;
        let label = label(error);
        if error.origin.is_known() {
            self.quote(&error.origin, label.as_deref())?;
        } else if let Some(label) = label {
            writeln!(self.out, "  {}", printable(&label))?;
        }
        if let Some(fix) = &error.fix {
            let word = self.paint("32", "fix:");
            writeln!(self.out, "  {word} {}", printable(fix))?;
        }
        for note in &error.notes {
            writeln!(self.out, "  note: {}", printable(note))?;
        }
        for (origin, part) in &error.related {
            writeln!(self.out, "  see {}: {}", printable(&origin.to_string()), printable(part))?;
        }
        writeln!(self.out, "  more: weir explain {}", error.code)
    }

    /// The place, the line before it, the line, and carets below.
    fn quote(&mut self, origin: &Origin, label: Option<&str>) -> std::fmt::Result {
        writeln!(self.out, "  {}", printable(&origin.to_string()))?;
        let Some(source) = origin.source() else { return Ok(()) };
        let Some(line) = self.line(source, origin.line) else { return Ok(()) };
        let width = origin.line.to_string().len().max(4);
        if let Some(before) = origin.line.checked_sub(1).and_then(|number| self.line(source, number))
            && before.iter().any(|c| !c.is_whitespace())
        {
            writeln!(self.out, " {:>width$} | {}", origin.line - 1, cut(&before, 0))?;
        }
        let column = usize::try_from(origin.column.saturating_sub(1)).unwrap_or(0);
        let skipped = if column > LINE_CHARS_MAX * 3 / 4 { column - LINE_CHARS_MAX / 2 } else { 0 };
        writeln!(self.out, " {:>width$} | {}", origin.line, cut(&line, skipped))?;
        let shown = line.len().min(skipped + LINE_CHARS_MAX).saturating_sub(column);
        let carets = usize::try_from(origin.length).unwrap_or(1).clamp(1, shown.max(1));
        let indent = column - skipped + usize::from(skipped > 0);
        let carets = format!("{}{}", " ".repeat(indent), "^".repeat(carets));
        let tail = label.map_or_else(String::new, |label| format!(" {}", printable(label)));
        let painted = self.paint("1;31", &format!("{carets}{tail}"));
        writeln!(self.out, " {:>width$} | {painted}", "")
    }

    fn line(&mut self, source: &Arc<Source>, number: u32) -> Option<Line> {
        let masks = &self.masks;
        let line = self.lines.entry((Arc::as_ptr(source), number));
        line.or_insert_with(|| masks.line(source, number)).clone()
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// At most [`LINE_CHARS_MAX`] characters after the skipped ones, dots where something is missing.
fn cut(line: &[char], skipped: usize) -> String {
    let rest = line.get(skipped..).unwrap_or_default();
    let mut shown = String::from(if skipped > 0 { "…" } else { "" });
    shown.extend(rest.iter().take(LINE_CHARS_MAX));
    if rest.len() > LINE_CHARS_MAX {
        shown.push('…');
    }
    shown.trim_end().to_owned()
}

/// Control characters (terminal escapes too) as spaces.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
