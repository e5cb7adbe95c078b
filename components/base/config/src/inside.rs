//! Places inside texts that are a language of their own (statements, expressions): from an offset in the value of a
//! scalar to the line and column where its author wrote it.
//!
//! The value is laid beside the source character by character, over quotes, escapes, folded lines and `$$`. Where the two
//! part, as after a `${…}`, nobody can point: the whole scalar is the place then.

use std::iter::Peekable;
use std::ops::Range;
use std::str::Chars;

use crate::origin::Origin;

impl Origin {
    /// The place of the bytes `span` of `text`, which is the value of the scalar that this is the place of. The scalar's
    /// own place where that cannot be told.
    #[must_use]
    pub fn inside(&self, text: &str, span: Range<usize>) -> Self {
        self.find(text, &span).unwrap_or_else(|| self.clone())
    }

    fn find(&self, text: &str, span: &Range<usize>) -> Option<Self> {
        let source = self.source()?;
        let mut cursor = Cursor::new(self)?;
        let mut start = None;
        for (offset, c) in text.char_indices() {
            if offset >= span.end && start.is_some() {
                break;
            }
            if offset >= span.start && start.is_none() {
                cursor.settle(c);
                start = Some(cursor.place());
            }
            cursor.follow(c)?;
        }
        let (line, column) = start.unwrap_or_else(|| cursor.place());
        let length = text.get(span.clone()).map_or(1, |marked| marked.chars().count().max(1));
        Some(Self::new(source, line, column, u32::try_from(length).unwrap_or(u32::MAX)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

/// A position in the source, moving along with the value.
struct Cursor<'s> {
    rest: Peekable<Chars<'s>>,
    line: u32,
    column: u32,
    style: Style,
}

impl<'s> Cursor<'s> {
    fn new(origin: &'s Origin) -> Option<Self> {
        let (line, column) = (origin.line, origin.column);
        let rest = origin.source()?.text_from(line, column)?;
        let mut cursor = Self { rest: rest.chars().peekable(), line, column, style: Style::Plain };
        cursor.style = match cursor.rest.peek() {
            Some('\'') => Style::Single,
            Some('"') => Style::Double,
            Some('|' | '>') => Style::Block,
            _ => Style::Plain,
        };
        match cursor.style {
            Style::Plain => {}
            Style::Single | Style::Double => drop(cursor.take()),
            Style::Block => {
                while cursor.take()? != '\n' {}
                cursor.blanks();
            }
        }
        Some(cursor)
    }

    fn place(&self) -> (u32, u32) {
        (self.line, self.column)
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn blanks(&mut self) {
        while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
            self.take();
        }
    }

    /// Before a character that is no blank: skips the line break and indentation that stand before it.
    fn settle(&mut self, c: char) {
        if !c.is_whitespace() && self.rest.peek().is_some_and(|next| next.is_whitespace()) {
            self.blanks();
        }
    }

    /// Moves over what stands for a character of the value. `None` if something else stands there.
    fn follow(&mut self, c: char) -> Option<()> {
        if c.is_whitespace() && self.style != Style::Double {
            let next = *self.rest.peek()?;
            if !next.is_whitespace() {
                // A folded line had its break before, with other blanks.
                return Some(());
            }
            if self.take()? == '\n' || next == '\r' {
                self.blanks();
            }
            return Some(());
        }
        self.settle(c);
        let found = self.take()?;
        match (self.style, found) {
            (Style::Double, '\\') => {
                let escaped = self.take()?;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                for _ in 0..digits {
                    self.take()?;
                }
                Some(())
            }
            (Style::Double, '\n') if c.is_whitespace() => {
                self.blanks();
                Some(())
            }
            (Style::Single, '\'') if c == '\'' => self.take().filter(|second| *second == '\'').map(drop),
            (_, '$') if c == '$' => {
                if self.rest.peek() == Some(&'$') {
                    self.take();
                }
                Some(())
            }
            (_, found) => (found == c).then_some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Source, parse};

    #[test]
    fn places_in_every_style_of_scalar() {
        for (yaml, text, marked, expected) in [
            ("a: set(x, 1)", "set(x, 1)", "x", (1, 8)),
            ("a:\n  - set(x, 1) where y == 2 # c", "set(x, 1) where y == 2", "y", (2, 21)),
            ("a: 'set(x, ''q'', y)'", "set(x, 'q', y)", "y", (1, 19)),
            (r#"a: "set(x, \"q\", y)""#, r#"set(x, "q", y)"#, "y", (1, 19)),
            (r#"a: "\u00e9\t y""#, "é\t y", "y", (1, 14)),
            ("a: |\n  set(x,\n    y)\n  z", "set(x,\n  y)\nz", "y", (3, 5)),
            ("a: |-\n\n  é set(y)", "\né set(y)", "y", (3, 9)),
            ("a: >\n  set(x,\n  y)", "set(x, y)", "y", (3, 3)),
            ("a: set(x,\n    y)", "set(x, y)", "y", (2, 5)),
            ("{é: é, a: 'set(x, y)'}", "set(x, y)", "y", (1, 19)),
            ("a: f($$1, y)", "f($1, y)", "y", (1, 11)),
            // Nobody can point behind what was replaced.
            ("a: f(${env:X}, y)", "f(value, y)", "y", (1, 4)),
        ] {
            let source = Source::new("test.yaml", yaml);
            let node = parse(&source, &Limits::default()).unwrap();
            let node = node.get("a").unwrap();
            let node = node.items().first().unwrap_or(node);
            let at = text.find(marked).unwrap();
            let place = node.origin.inside(text, at..at + marked.len());
            assert_eq!((place.line, place.column), expected, "{yaml}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_a_place_too() {
        let source = Source::new("test.yaml", "a: set(x");
        let node = parse(&source, &Limits::default()).unwrap();
        let place = node.get("a").unwrap().origin.inside("set(x", 5..5);
        assert_eq!((place.line, place.column, place.length), (1, 9, 1));
    }
}
