//! Findings that are a bare number of a text that is JSON: what takes their place needs quotes, or the text is JSON no more.
//!
//! A text that begins with a brace or bracket and ends with its pair counts as JSON. JSON within its strings does not: the
//! quotes would have to be escaped.

/// A text, read from finding to finding.
#[derive(Debug)]
pub(crate) struct JsonText<'t> {
    /// Empty if it is no JSON.
    text: &'t [u8],
    /// How far quotes were counted, and whether that place is within a string.
    read: usize,
    in_string: bool,
}

impl<'t> JsonText<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        let is_json = matches!(text.trim_ascii(), [b'{', .., b'}'] | [b'[', .., b']']);
        Self { text: if is_json { text } else { &[] }, read: 0, in_string: false }
    }

    /// Whether a range is a bare number. Ranges come in their order: the text is read once.
    pub(crate) fn is_number(&mut self, start: usize, end: usize) -> bool {
        let (Some(before), Some(number), Some(behind)) =
            (self.text.get(..start), self.text.get(start..end), self.text.get(end..))
        else {
            return false;
        };
        let is_number = number.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let begins = matches!(before.trim_ascii_end().last(), Some(b':' | b',' | b'['));
        let ends = matches!(behind.trim_ascii_start().first(), Some(b',' | b'}' | b']'));
        is_number && begins && ends && !self.is_in_string(start)
    }

    fn is_in_string(&mut self, place: usize) -> bool {
        while self.read < place {
            match self.text.get(self.read) {
                // What a backslash escapes is no end.
                Some(b'\\') if self.in_string => self.read += 1,
                Some(b'"') => self.in_string = !self.in_string,
                _ => {}
            }
            self.read += 1;
        }
        self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_told_from_those_in_strings() {
        for (text, expected) in [
            (r#"{"card":4111, "n":1}"#, true),
            (r#" [1, 4111 ] "#, true),
            (r#"{"m":"card:4111,x"}"#, false),
            (r#"{"m":"a\"b:4111,x"}"#, false),
            (r#"{"m":"a\\","n":4111}"#, true),
            (r#"{"m":"4111"}"#, false),
            (r#"x {"m":4111}"#, false),
            (r#"{"m":4111"#, false),
        ] {
            let start = text.find("4111").unwrap();
            assert_eq!(JsonText::new(text.as_bytes()).is_number(start, start + 4), expected, "{text}");
        }
    }
}
