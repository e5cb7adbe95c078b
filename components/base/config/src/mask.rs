//! Lines of a source as they may be quoted: without the places that decoding marked as secret, and without whatever follows
//! a key that sounds like one, for what was never decoded (comments, misspelt keys, text in text).

use crate::{
    origin::{Origin, Source},
    schema::sounds_secret,
};
use std::{collections::HashMap, ops::Range, sync::Arc};

/// A line as it may be shown, character by character.
pub(crate) type Line = Arc<[char]>;

/// The character ranges of each source that must not be shown.
pub(crate) struct Masks {
    ranges: HashMap<*const Source, Vec<(u32, u32, u32)>>,
}

impl Masks {
    pub(crate) fn new(origins: &[Origin]) -> Self {
        let mut ranges: HashMap<*const Source, Vec<(u32, u32, u32)>> = HashMap::new();
        for origin in origins {
            if let Some(source) = origin.source() {
                ranges.entry(Arc::as_ptr(source)).or_default().push((origin.line, origin.column, origin.length));
            }
        }
        Self { ranges }
    }

    /// A line, masked and without control characters, as many characters as it has.
    pub(crate) fn line(&self, source: &Arc<Source>, number: u32) -> Option<Line> {
        let line = source.line(number)?;
        let mut chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        mask_by_name(&mut chars);
        for (first, column, length) in self.ranges.get(&Arc::as_ptr(source)).into_iter().flatten() {
            if *first > number {
                continue;
            }
            // walk from the start of the secret to this line
            let mut left = usize::try_from(*length).unwrap_or(usize::MAX);
            let mut start = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            for earlier in *first..number {
                if left == 0 {
                    break;
                }
                let passed = source.line(earlier).map_or(0, |line| line.chars().count()).saturating_sub(start) + 1;
                left = left.saturating_sub(passed);
                start = 0;
            }
            let end = start.saturating_add(left).min(chars.len());
            chars.get_mut(start.min(end)..end).into_iter().flatten().filter(|c| **c != ' ').for_each(|c| *c = '*');
        }
        Some(chars.into())
    }
}

/// Masks what follows `password:`, `token=` and the like, unless it is a reference: a quoted value, a plain one of a
/// map or list in flow style, else everything up to the end of the line.
fn mask_by_name(chars: &mut [char]) {
    let (mut from, mut style) = (0, Style::default());
    while let Some(separator) = (from..chars.len()).find(|at| follows_secret_name(chars, *at)) {
        let start = separator + 1;
        style.read(chars, from..start);
        from = value_end(chars, start, &style);
        let value: String = chars[start..from].iter().filter(|c| !matches!(c, ' ' | '"' | '\'')).collect();
        if !(value.starts_with("${") && value.find('}') == Some(value.len() - 1)) {
            chars[start..from].iter_mut().filter(|c| **c != ' ').for_each(|c| *c = '*');
        }
    }
}

/// Whether a `:` or `=` stands there, with a name before it that sounds like one of a secret.
fn follows_secret_name(chars: &[char], at: usize) -> bool {
    matches!(chars[at], ':' | '=') && {
        let name: String = chars[..at]
            .iter()
            .rev()
            .skip_while(|c| matches!(c, ' ' | '"' | '\'' | '\\'))
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        sounds_secret(&name.chars().rev().collect::<String>())
    }
}

/// Where the value ends that begins behind `start`; in doubt, with the line.
fn value_end(chars: &[char], start: usize, style: &Style) -> usize {
    let line = chars.len();
    let Some(first) = (start..line).find(|at| chars[*at] != ' ') else { return line };
    let quote = chars[first];
    if quote == '"' || quote == '\'' {
        let mut at = first + 1;
        while let Some(c) = chars.get(at) {
            match *c {
                '\\' if quote == '"' => at += 1,
                c if c == quote && quote == '\'' && chars.get(at + 1) == Some(&quote) => at += 1,
                c if c == quote => return at + 1,
                _ => {}
            }
            at += 1;
        }
        return line;
    }
    if !style.is_flow() || matches!(quote, '[' | '{' | '\\' | '|' | '>' | '&' | '*' | '!') {
        return line;
    }
    // A reference ends with its own brace.
    let plain = if chars[first..].starts_with(&['$', '{']) {
        (first..line).find(|at| chars[*at] == '}').map_or(line, |brace| brace + 1)
    } else {
        first
    };
    (plain..line).find(|at| matches!(chars[*at], ',' | '}' | ']')).unwrap_or(line)
}

/// What the part of a line means that was read so far.
#[derive(Default)]
struct Style {
    /// Maps and lists in flow style that are open.
    depth: usize,
    quote: Option<char>,
    is_comment: bool,
}

impl Style {
    fn read(&mut self, chars: &[char], part: Range<usize>) {
        for at in part {
            match (self.quote, chars[at]) {
                (Some(open), c) if c == open => self.quote = None,
                (Some(_), _) => {}
                (None, c @ ('"' | '\'')) => self.quote = Some(c),
                (None, '{' | '[') => self.depth += 1,
                (None, '}' | ']') => self.depth = self.depth.saturating_sub(1),
                (None, '#') => self.is_comment |= at == 0 || chars[at - 1] == ' ',
                (None, _) => {}
            }
        }
    }

    fn is_flow(&self) -> bool {
        self.depth > 0 && self.quote.is_none() && !self.is_comment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_by_name_up_to_their_end() {
        for (line, expected) in [
            ("password: a, b", "password: ** *"),
            ("  api_key: 'a, b' # c", "  api_key: *** ** # c"),
            ("a: {password: x y, b: 1}", "a: {password: * *, b: 1}"),
            ("a: {password: \"x, \\\"y\", token: 'it''s', b: 1}", "a: {password: *** ****, token: *******, b: 1}"),
            ("a: {password: ${env:P}, token: t}", "a: {password: ${env:P}, token: *}"),
            ("a: {password: ${env:P}x, b: 1}", "a: {password: *********, b: 1}"),
            ("password: ${env:P}", "password: ${env:P}"),
            // In doubt up to the end.
            ("a: {tokens: [x, y], b: 1}", "a: {tokens: *** *** ** **"),
            ("# {password: x, y", "# {password: ** *"),
            ("a: 'x {' # don't: {password: x, y}", "a: 'x {' # don't: {password: ** **"),
            ("run: \"curl {token=x, y\"", "run: \"curl {token=** **"),
            (r#"a: "{\"password\": \"x\", y}""#, r#"a: "{\"password\": ****** ***"#),
            ("a: {password: \"x", "a: {password: **"),
        ] {
            let mut chars: Vec<char> = line.chars().collect();
            mask_by_name(&mut chars);
            assert_eq!(chars.into_iter().collect::<String>(), expected);
        }
    }
}
