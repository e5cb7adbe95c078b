//! JSON queries, one or several after another, with `"?"` in place of every value; keys and structure stay, layout goes.
//!
//! From where a text stops being JSON it is cut off, with `...` at its end.

/// Removes values.
pub(super) fn obfuscate(text: &[u8]) -> Vec<u8> {
    let mut walk = Walk { text, at: 0, out: Vec::with_capacity(text.len()) };
    if text.is_empty() {
        return Vec::new();
    }
    loop {
        walk.spaces();
        if walk.value(0).is_none() {
            walk.out.extend_from_slice(b"...");
            return walk.out;
        }
        walk.spaces();
        if walk.at == text.len() {
            return walk.out;
        }
    }
}

/// How deep values may nest.
const DEPTH_MAX: usize = 128;

struct Walk<'t> {
    text: &'t [u8],
    at: usize,
    out: Vec<u8>,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Takes a byte that must be there.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.spaces();
        if self.peek() != Some(byte) {
            return None;
        }
        self.at += 1;
        self.out.push(byte);
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.list(b'}', |walk| {
                let start = walk.at;
                walk.string()?;
                let key = walk.text.get(start..walk.at)?;
                walk.out.extend_from_slice(key);
                walk.expect(b':')?;
                walk.spaces();
                walk.value(depth + 1)
            }),
            b'[' => self.list(b']', |walk| walk.value(depth + 1)),
            b'"' => {
                self.out.extend_from_slice(b"\"?\"");
                self.string()
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.literal(),
            _ => None,
        }
    }

    fn list(&mut self, close: u8, mut entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.out.push(self.peek()?);
        self.at += 1;
        self.spaces();
        if self.peek() == Some(close) {
            return self.expect(close);
        }
        loop {
            self.spaces();
            entry(self)?;
            self.spaces();
            if self.peek() == Some(close) {
                return self.expect(close);
            }
            self.expect(b',')?;
        }
    }

    /// Skips a string.
    fn string(&mut self) -> Option<()> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }

    /// Skips a number or word.
    fn literal(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        self.out.extend_from_slice(b"\"?\"");
        let word = self.text.get(start..self.at).unwrap_or_default();
        let number = word.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
        (number || [&b"true"[..], b"false", b"null"].contains(&word)).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden() {
        for (text, expected) in [
            (r#"{"query": {"match": {"title": "te\"st"}}}"#, r#"{"query":{"match":{"title":"?"}}}"#),
            (r#"{"find":"users","filter":{"_id":"507f1f77bcf86cd799439011"}}"#, r#"{"find":"?","filter":{"_id":"?"}}"#),
            (r#"{"a": [1, true, {"b": null}], "c": {} }"#, r#"{"a":["?","?",{"b":"?"}],"c":{}}"#),
            (r#"{"a": "jane"#, r#"{"a":"?"..."#),
            (r#"{"a": 1} jane"#, r#"{"a":"?"}..."#),
            (r#"{"a": 1} {"b": 2}"#, r#"{"a":"?"}{"b":"?"}"#),
            ("jane", "..."),
            ("not json", "\"?\"..."),
            ("12", "\"?\""),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(obfuscate(text.as_bytes())).unwrap(), expected, "{text}");
        }
    }
}
