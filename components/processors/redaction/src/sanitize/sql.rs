//! SQL with `?` in place of literals, and of digits in identifiers; comments, named parameters and layout stay.
//!
//! A lexer, not a parser: it never fails, and what it does not understand it copies.

/// Removes literals.
pub(super) fn obfuscate(query: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer { text: query.trim_ascii(), at: 0, out: Vec::with_capacity(query.len()) };
    while lexer.at < lexer.text.len() {
        lexer.token();
    }
    lexer.out
}

struct Lexer<'q> {
    text: &'q [u8],
    at: usize,
    out: Vec<u8>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.text.len());
        self.out.extend_from_slice(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn literal(&mut self, bytes: usize) {
        self.out.push(b'?');
        self.at = (self.at + bytes).min(self.text.len());
    }

    fn token(&mut self) {
        let (byte, next) = (self.peek(0), self.peek(1));
        match byte {
            b'\'' => self.literal(quoted(self.rest(), b'\'', true)),
            b'"' | b'`' => {
                let len = quoted(self.rest(), byte, false);
                self.identifier(len);
            }
            b'$' => self.dollar(),
            b'-' if next == b'-' => self.comment(b"\n"),
            b'#' if next == b' ' => self.comment(b"\n"),
            b'/' if next == b'*' => self.comment(b"*/"),
            b'0'..=b'9' => self.literal(number(self.rest())),
            // A sign that touches a number is part of it.
            b'-' | b'+' if next.is_ascii_digit() || next == b'.' && self.peek(2).is_ascii_digit() => {
                self.literal(1 + number(self.text.get(self.at + 1..).unwrap_or_default()));
            }
            b'@' | b':' if is_letter(next) => {
                let len = 1 + identifier(self.text.get(self.at + 1..).unwrap_or_default());
                self.copy(len);
            }
            _ if is_letter(byte) => {
                let len = identifier(self.rest());
                if self.rest().get(..len).is_some_and(is_literal_word) {
                    self.literal(len);
                } else {
                    self.identifier(len);
                }
            }
            _ => self.copy(1),
        }
    }

    /// Copies an identifier with its runs of digits replaced.
    fn identifier(&mut self, len: usize) {
        let end = (self.at + len).min(self.text.len());
        let mut in_digits = false;
        for byte in self.text.get(self.at..end).unwrap_or_default() {
            let digit = byte.is_ascii_digit();
            if !digit {
                self.out.push(*byte);
            } else if !in_digits {
                self.out.push(b'?');
            }
            in_digits = digit;
        }
        self.at = end;
    }

    fn comment(&mut self, end: &[u8]) {
        let rest = self.rest().get(2..).unwrap_or_default();
        let len = rest.windows(end.len()).position(|window| window == end);
        self.copy(len.map_or(usize::MAX - self.at, |len| 2 + len + end.len()));
    }

    /// `$1`, `$$text$$`, `$tag$text$tag$`; inside `$func$` is SQL.
    fn dollar(&mut self) {
        let rest = self.rest();
        let name = rest.get(1..).unwrap_or_default();
        let name_len = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(len) = name_len.filter(|len| digits == 0 && name.get(*len) == Some(&b'$')) {
            let tag = rest.get(..len + 2).unwrap_or_default();
            let inside = rest.get(tag.len()..).unwrap_or_default();
            let close = inside.windows(tag.len()).position(|window| window == tag);
            let (len, tag_len) = (close.unwrap_or(inside.len()), tag.len());
            if tag == b"$func$" && close.is_some() {
                let inner = obfuscate(inside.get(..len).unwrap_or_default());
                self.out.extend_from_slice(b"$func$");
                self.out.extend_from_slice(&inner);
                self.out.extend_from_slice(b"$func$");
                self.at += len + 2 * tag_len;
            } else {
                self.literal(len + 2 * tag_len);
            }
            return;
        }
        if digits > 0 { self.literal(1 + digits) } else { self.copy(1) }
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Length of the identifier in front.
fn identifier(text: &[u8]) -> usize {
    let inside =
        |byte: u8| is_letter(byte) || byte.is_ascii_digit() || matches!(byte, b'.' | b'$' | b'#' | b'@' | b'!' | b'/');
    let len = text.iter().position(|byte| !inside(*byte)).unwrap_or(text.len());
    // A comment may touch it.
    text.get(..len).unwrap_or_default().windows(2).position(|pair| pair == b"/*").unwrap_or(len).max(1)
}

/// Length of the number in front: `12`, `0x1f`, `1.5e-3`.
fn number(text: &[u8]) -> usize {
    let hex = matches!(text, [b'0', b'x' | b'X', ..]);
    let mut len = if hex { 2 } else { 0 };
    while let Some(byte) = text.get(len) {
        let exponent = !hex && matches!(byte, b'+' | b'-') && len > 0 && matches!(text.get(len - 1), Some(b'e' | b'E'));
        // Letters that touch a number (`12abc`, a UUID without quotes) are part of the value.
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent) {
            break;
        }
        len += 1;
    }
    len
}

/// Length of the quoted text in front, to its end if it is cut off.
fn quoted(text: &[u8], quote: u8, backslashes: bool) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        if backslashes && *byte == b'\\' {
            at += 2;
        } else if *byte != quote {
            at += 1;
        } else {
            return at + 1;
        }
    }
    text.len()
}

/// Words that are values.
fn is_literal_word(word: &[u8]) -> bool {
    [&b"true"[..], b"false", b"null"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_question_marks() {
        for (query, expected) in [
            ("SELECT * FROM users where id = 0x124af", "SELECT * FROM users where id = ?"),
            ("SELECT * FROM users where id = 'j\\'s' ", "SELECT * FROM users where id = ?"),
            ("SELECT * FROM \"users table\" where id = 1", "SELECT * FROM \"users table\" where id = ?"),
            ("SELECT * FROM users123ab where id12 = 1", "SELECT * FROM users?ab where id? = ?"),
            (
                "SELECT * FROM users where id = 1 -- this is a comment",
                "SELECT * FROM users where id = ? -- this is a comment",
            ),
            ("SELECT * FROM users where id = 'Joh", "SELECT * FROM users where id = ?"),
            (
                "SELECT $func$INSERT INTO t VALUES ('a', 1, 2)$func$ FROM users where id = 1",
                "SELECT $func$INSERT INTO t VALUES (?, ?, ?)$func$ FROM users where id = ?",
            ),
            ("SELECT * FROM users where id = $tag$test$tag$", "SELECT * FROM users where id = ?"),
            ("SELECT * FROM users where id = $$te$st", "SELECT * FROM users where id = ?"),
            ("SELECT 1.2, 1.2e3, 1.2e-3, 1.2E3, 1.2E-3 FROM users", "SELECT ?, ?, ?, ?, ? FROM users"),
            ("SELECT * FROM \"世界\" where name = '🌊'", "SELECT * FROM \"世界\" where name = ?"),
            ("id in (1, '2', 3, 1.5, '12')", "id in (?, ?, ?, ?, ?)"),
            ("(c1, c2) = (c1 + 1, c2 - 1)", "(c?, c?) = (c? + ?, c? - ?)"),
            ("id = -1 OR id = +01 OR id = -.018 OR id = 1e-1", "id = ? OR id = ? OR id = ? OR id = ?"),
            ("USING $1 SELECT - SELECT", "USING ? SELECT - SELECT"),
            ("id IS NULL AND active = TRUE AND nullable = a-1", "id IS ? AND active = ? AND nullable = a?"),
            ("id = :user AND n = @limit", "id = :user AND n = @limit"),
            ("id = '{\"a\": 1}'::jsonb -> 'a'", "id = ?::jsonb -> ?"),
            ("WHERE id = 1 or /*!obfuscation*/ 1 = 1", "WHERE id = ? or /*!obfuscation*/ ? = ?"),
            ("SET user:123 john", "SET user:? john"),
            ("name = 'it''s' and x = .5", "name = ?? and x = .?"),
            ("/api/users/*", "/api/users/*"),
            ("SELECT count(*) FROM orders WHERE status = 'pending'", "SELECT count(*) FROM orders WHERE status = ?"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(obfuscate(query.as_bytes())).unwrap(), expected, "{query}");
        }
    }
}
