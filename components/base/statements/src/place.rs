//! Where in the YAML a part of a statement stands.

use std::ops::Range;

use config::{Origin, Validator};
use ottl::ParseError;

/// Lines of a block scalar that are searched.
const LINES_MAX: u32 = 1000;

/// Reports what is wrong with the statement written at the setting `field`, a path from the validator's block.
pub fn report(v: &mut Validator<'_>, field: &str, error: &ParseError) {
    v.error_with(field, error.message.clone(), |mut config_error| {
        if let Some(exact) = place(&config_error.origin, &error.text, &error.span) {
            config_error = config_error.at(&exact);
        }
        match &error.help {
            Some(help) => config_error.with_fix(help.clone()),
            None => config_error,
        }
    });
}

/// The place of a part (in bytes) of the text that the scalar at `origin` holds. `None` where text and YAML cannot be
/// brought together.
#[must_use]
pub fn place(origin: &Origin, text: &str, part: &Range<usize>) -> Option<Origin> {
    let source = origin.source()?;
    let start = text.floor_char_boundary(part.start.min(text.len()));
    let end = text.ceil_char_boundary(part.end.clamp(start, text.len()));
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..)?.lines().next().unwrap_or_default();
    let length = u32::try_from(text.get(start..end)?.chars().count().max(1)).ok()?;
    let before = text.get(line_start..start)?.chars().count();
    let at = |number: u32, column: u32| Some(Origin::new(source, number, column, length));
    let first: String = source.line(origin.line)?.chars().skip(origin.column.checked_sub(1)? as usize).collect();
    if let Some(offset) = aligned(&first, line, before) {
        return at(origin.line, origin.column + u32::try_from(offset).ok()?);
    }
    // A scalar of several lines: the line that holds the text, indented.
    let trimmed = line.trim_start();
    if trimmed.is_empty() {
        return None;
    }
    let indent = line.chars().count() - trimmed.chars().count();
    for number in origin.line..origin.line.saturating_add(LINES_MAX) {
        let written = source.line(number)?;
        let written_trimmed = written.trim_start();
        if written_trimmed.starts_with(trimmed.trim_end()) {
            let written_indent = written.chars().count() - written_trimmed.chars().count();
            let column = written_indent + before.checked_sub(indent)? + 1;
            return at(number, u32::try_from(column).ok()?);
        }
    }
    None
}

/// How many characters of the YAML stand before the character number `wanted` of the text: quotes and what they escape
/// take more room there. `None` if the YAML is not this text.
fn aligned(yaml: &str, text: &str, wanted: usize) -> Option<usize> {
    let mut written = yaml.chars().enumerate().peekable();
    let quote = written.next_if(|(_, c)| matches!(c, '"' | '\'')).map(|(_, quote)| quote);
    let mut found = None;
    for (index, c) in text.chars().enumerate() {
        let (place, mut shown) = written.next()?;
        if index == wanted {
            found = Some(place);
        }
        match (quote, shown) {
            (Some('"'), '\\') => shown = unescaped(written.next()?.1),
            (Some('\''), '\'') | (_, '$') => {
                written.next_if(|(_, next)| *next == shown);
            }
            _ => {}
        }
        if shown != c {
            return None;
        }
    }
    if wanted >= text.chars().count() {
        found = Some(written.next().map_or_else(|| yaml.chars().count(), |(place, _)| place));
    }
    found
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use config::Source;

    use super::*;

    /// Line, column and length of `needle` in the statement that the YAML holds at the given place.
    fn found(yaml: &str, line: u32, column: u32, text: &str, needle: &str) -> Option<(u32, u32, u32)> {
        let source = Source::new("test.yaml", yaml);
        let start = text.find(needle).unwrap();
        let place = place(&Origin::new(&source, line, column, 1), text, &(start..start + needle.len()))?;
        Some((place.line, place.column, place.length))
    }

    #[test]
    fn places_are_found_in_every_style() {
        let text = r#"set(name, "x") where kindd == 2"#;
        assert_eq!(found(&format!("- {text}"), 1, 3, text, "kindd"), Some((1, 24, 5)));
        assert_eq!(found(&format!("  - '{text}'"), 1, 5, text, "kindd"), Some((1, 27, 5)));
        let escaped = text.replace('"', "\\\"");
        assert_eq!(found(&format!("- \"{escaped}\""), 1, 3, text, "kindd"), Some((1, 27, 5)));
        assert_eq!(found(&format!("- |\n    {text}\n"), 1, 3, text, "kindd"), Some((2, 26, 5)));
        let dollars = r#"replace_pattern(name, "(a)", "$1")"#;
        let written = dollars.replace('$', "$$");
        assert_eq!(found(&format!("- {written}"), 1, 3, dollars, "\")"), Some((1, 36, 2)));
        let quoted = "set(name, 'x')";
        assert_eq!(found("- 'set(name, ''x'')'", 1, 3, quoted, "x"), Some((1, 16, 1)));
    }

    #[test]
    fn what_does_not_fit_has_no_place() {
        assert_eq!(found("- ${env:STATEMENT}", 1, 3, "set(name, 1)", "name"), None);
        assert_eq!(found("", 1, 1, "set(name, 1)", "name"), None);
    }

    #[test]
    fn the_end_of_a_text_is_a_place() {
        let source = Source::new("test.yaml", "- set(name");
        let end = place(&Origin::new(&source, 1, 3, 8), "set(name", &(8..8)).unwrap();
        assert_eq!((end.line, end.column, end.length), (1, 11, 1));
    }
}
