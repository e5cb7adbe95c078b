//! JSON inside strings: a text with its backslash escapes undone, and the way back to where each byte came from.

/// A text without its escapes.
#[derive(Debug, Default)]
pub(crate) struct Unescaped {
    pub(crate) text: Vec<u8>,
    /// For each byte of `text` where its escape starts in the original, and at the end the original's length.
    origin: Vec<u32>,
}

/// How often escapes are undone: JSON in JSON in JSON.
pub(crate) const ROUNDS: usize = 3;

impl Unescaped {
    /// Undoes the escapes of `text` once; `false` if there are none.
    pub(crate) fn read(&mut self, text: &[u8]) -> bool {
        self.text.clear();
        self.origin.clear();
        let mut from = 0;
        let mut undone = false;
        while from < text.len() {
            let Some(offset) = memchr::memchr(b'\\', text.get(from..).unwrap_or_default()) else { break };
            self.copy(text, from, from + offset);
            from += offset;
            let (is_escape, end) = self.escape(text, from);
            undone |= is_escape;
            from = end;
        }
        if !undone {
            return false;
        }
        self.copy(text, from, text.len());
        self.origin.push(text.len() as u32);
        true
    }

    fn copy(&mut self, text: &[u8], from: usize, to: usize) {
        self.text.extend_from_slice(text.get(from..to).unwrap_or_default());
        self.origin.extend(from as u32..to as u32);
    }

    /// Undoes the escape at `at`. Whether it is one, and where it ends.
    fn escape(&mut self, text: &[u8], at: usize) -> (bool, usize) {
        let simple = match text.get(at + 1) {
            Some(b'n') => Some(b'\n'),
            Some(b'r') => Some(b'\r'),
            Some(b't') => Some(b'\t'),
            Some(b'b' | b'f') => Some(b' '),
            Some(byte @ (b'/' | b'"' | b'\\')) => Some(*byte),
            _ => None,
        };
        if let Some(byte) = simple {
            self.text.push(byte);
            self.origin.push(at as u32);
            return (true, at + 2);
        }
        let Some(first) = unit(text, at) else {
            self.copy(text, at, at + 1);
            return (false, at + 1);
        };
        let pair = (0xd800..0xdc00).contains(&first).then(|| unit(text, at + 6)).flatten();
        let (code, end) = match pair.filter(|second| (0xdc00..0xe000).contains(second)) {
            Some(second) => (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), at + 12),
            None => (first, at + 6),
        };
        let mut buffer = [0; 4];
        let bytes = char::from_u32(code).unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes();
        self.text.extend_from_slice(bytes);
        self.origin.extend(std::iter::repeat_n(at as u32, bytes.len()));
        (true, end)
    }

    /// The range in the original of a range in `text`.
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let at = |index: usize| self.origin.get(index).map_or(0, |origin| *origin as usize);
        (at(start), at(end).max(at(start)))
    }
}

/// The number in a `\u` and four hexadecimal digits.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text.get(at..at + 6)? else { return None };
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_lead_back() {
        let original = br#"{\"m\":\"jane\u0040x.org \ud83d\ude00\/\"}"#;
        let mut undone = Unescaped::default();
        assert!(undone.read(original));
        assert_eq!(undone.text, "{\"m\":\"jane@x.org 😀/\"}".as_bytes());
        let start = undone.text.windows(4).position(|window| window == b"jane").unwrap();
        let (start, end) = undone.origin(start, start + "jane@x.org".len());
        assert_eq!(&original[start..end], br"jane\u0040x.org");
        assert_eq!(undone.origin(0, undone.text.len()), (0, original.len()));
    }

    #[test]
    fn text_without_escapes_is_told() {
        let mut undone = Unescaped::default();
        for text in [r"", r"C:\Users\d", r"a\", r"\d+\s", r"\u12", "plain"] {
            assert!(!undone.read(text.as_bytes()), "{text}");
        }
        assert!(undone.read(br"\d \u0041"));
        assert_eq!(undone.text, br"\d A");
    }
}
