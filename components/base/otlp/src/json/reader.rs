//! Reading JSON (RFC 8259) piece by piece, strictly: what is not JSON is an error with its place.
//!
//! Knows nothing of OTLP. Strings are handed out as they stand between their quotes; whoever needs their value asks
//! [`Reader::unescape`]. Bytes inside strings are not checked to be UTF-8 here.

use std::borrow::Cow;

use super::error::{Invalid, Problem, excerpt};
use super::scalar::integer;

/// How deep values that nobody reads may nest.
const SKIPPED_DEPTH_MAX: u32 = 128;

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// A string as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawString<'a> {
    /// Between the quotes.
    pub(crate) bytes: &'a [u8],
    /// Whether escapes are in it.
    pub(crate) escaped: bool,
    /// Where its first byte stands.
    pub(crate) at: usize,
}

type Result<T> = std::result::Result<T, Invalid>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next byte to read stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[cold]
    pub(crate) fn fail<T>(&self, at: usize, problem: Problem) -> Result<T> {
        Err(Invalid::new(self.text, at, problem))
    }

    #[cold]
    fn syntax<T>(&self, expected: &'static str) -> Result<T> {
        self.fail(self.at, Problem::Syntax(expected))
    }

    /// The next value is of another type than `expected`, or no value at all.
    #[cold]
    pub(crate) fn wrong_type<T>(&mut self, expected: &'static str) -> Result<T> {
        let found = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a string",
            Some(b'0'..=b'9' | b'-') => "a number",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => return self.syntax(expected),
        };
        self.fail(self.at, Problem::Type { found, expected })
    }

    /// The next byte that is no white space, without taking it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `{`.
    pub(crate) fn begin_object(&mut self) -> Result<()> {
        if self.take(b'{') { Ok(()) } else { self.wrong_type("an object") }
    }

    /// Takes `[`.
    pub(crate) fn begin_list(&mut self) -> Result<()> {
        if self.take(b'[') { Ok(()) } else { self.wrong_type("a list") }
    }

    /// Takes the next key and its colon, or the end of the object. `first` is true before the first key.
    #[inline]
    pub(crate) fn next_key(&mut self, first: &mut bool) -> Result<Option<RawString<'a>>> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::replace(first, false) && !self.take(b',') {
            return self.syntax("`,` or `}`");
        }
        if self.peek() != Some(b'"') {
            return self.syntax("a key in quotes");
        }
        let key = self.string()?;
        if !self.take(b':') {
            return self.syntax("`:` after a key");
        }
        Ok(Some(key))
    }

    /// Moves to the next element and is true, or takes the end of the list.
    #[inline]
    pub(crate) fn next_element(&mut self, first: &mut bool) -> Result<bool> {
        if self.take(b']') {
            return Ok(false);
        }
        if !std::mem::replace(first, false) && !self.take(b',') {
            return self.syntax("`,` or `]`");
        }
        Ok(true)
    }

    /// Takes `null` if that is next.
    #[inline]
    pub(crate) fn take_null(&mut self) -> Result<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    /// Takes `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't') => self.word(b"true").map(|()| true),
            Some(b'f') => self.word(b"false").map(|()| false),
            _ => self.wrong_type("a boolean"),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<()> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        self.syntax("a value")
    }

    /// Takes a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawString<'a>> {
        if !self.take(b'"') {
            return self.wrong_type("a string");
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at += plain_len(rest);
            match self.text.get(self.at) {
                Some(b'"') => {
                    let bytes = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(RawString { bytes, escaped, at: start });
                }
                Some(b'\\') => {
                    escaped = true;
                    // What is escaped is looked at when the value is asked for; here it only must not end the string.
                    self.at += 2;
                }
                Some(_) => return self.syntax("control characters in strings to be escaped"),
                None => {
                    self.at = self.text.len();
                    return self.syntax("the end of a string");
                }
            }
        }
    }

    /// Appends the value of a string to `out`. `true` when half a surrogate pair was in it, which has become `?`.
    pub(crate) fn unescape(&self, raw: RawString<'_>, out: &mut Vec<u8>) -> Result<bool> {
        let mut replaced = false;
        let mut rest = raw.bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
            let (plain, escape) = rest.split_at(at);
            out.extend_from_slice(plain);
            let (unescaped, after) = match escape {
                [_, b'u', after @ ..] => match self.code_unit(raw, after)? {
                    (high @ 0xd800..=0xdbff, after) => match after {
                        [b'\\', b'u', low @ ..] => match self.code_unit(raw, low)? {
                            (low @ 0xdc00..=0xdfff, after) => {
                                (char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), after)
                            }
                            _ => (None, after),
                        },
                        _ => (None, after),
                    },
                    (unit, after) => (char::from_u32(unit), after),
                },
                [_, b'n', after @ ..] => (Some('\n'), after),
                [_, b't', after @ ..] => (Some('\t'), after),
                [_, b'r', after @ ..] => (Some('\r'), after),
                [_, b'b', after @ ..] => (Some('\u{8}'), after),
                [_, b'f', after @ ..] => (Some('\u{c}'), after),
                [_, byte @ (b'"' | b'\\' | b'/'), after @ ..] => (Some(char::from(*byte)), after),
                _ => return self.fail(raw.at + (raw.bytes.len() - escape.len()), Problem::Syntax("a known escape")),
            };
            replaced |= unescaped.is_none();
            let mut utf8 = [0; 4];
            out.extend_from_slice(unescaped.unwrap_or('?').encode_utf8(&mut utf8).as_bytes());
            rest = after;
        }
        out.extend_from_slice(rest);
        Ok(replaced)
    }

    fn code_unit<'b>(&self, raw: RawString<'_>, after: &'b [u8]) -> Result<(u32, &'b [u8])> {
        if let Some((digits, rest)) = after.split_at_checked(4)
            && let Some(unit) =
                digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
        {
            return Ok((unit, rest));
        }
        self.fail(raw.at + (raw.bytes.len() - after.len()), Problem::Syntax("four hexadecimal digits"))
    }

    /// The value of a string; borrowed where nothing is escaped.
    pub(crate) fn value_of(&self, raw: RawString<'a>) -> Result<Cow<'a, [u8]>> {
        if !raw.escaped {
            return Ok(Cow::Borrowed(raw.bytes));
        }
        let mut value = Vec::with_capacity(raw.bytes.len());
        self.unescape(raw, &mut value)?;
        Ok(Cow::Owned(value))
    }

    /// Takes a number, as it stands.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a [u8]> {
        if !matches!(self.peek(), Some(b'0'..=b'9' | b'-')) {
            return self.wrong_type("a number");
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        match number_len(rest) {
            Some(len) => {
                self.at += len;
                Ok(rest.get(..len).unwrap_or_default())
            }
            None => self.syntax("a number"),
        }
    }

    /// Takes a 64-bit integer, as a number or in a string.
    pub(crate) fn int64(&mut self) -> Result<i64> {
        let (text, at) = if self.peek() == Some(b'"') {
            let raw = self.string()?;
            (self.value_of(raw)?, raw.at)
        } else {
            let number = self.number()?;
            (Cow::Borrowed(number), self.at - number.len())
        };
        match integer(&text, i64::MIN.into(), i64::MAX.into()).and_then(|value| i64::try_from(value).ok()) {
            Some(value) => Ok(value),
            None => self.fail(at, Problem::Number { found: excerpt(&text), expected: "64-bit integer" }),
        }
    }

    /// Takes any value.
    pub(crate) fn skip(&mut self) -> Result<()> {
        self.skip_nested(SKIPPED_DEPTH_MAX)
    }

    fn skip_nested(&mut self, depth: u32) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return self.fail(self.at, Problem::Depth) };
        let mut first = true;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                while self.next_key(&mut first)?.is_some() {
                    self.skip_nested(depth)?;
                }
            }
            Some(b'[') => {
                self.at += 1;
                while self.next_element(&mut first)? {
                    self.skip_nested(depth)?;
                }
            }
            Some(b'"') => {
                self.string()?;
            }
            Some(b't' | b'f') => {
                self.boolean()?;
            }
            Some(b'0'..=b'9' | b'-') => {
                self.number()?;
            }
            Some(b'n') => self.word(b"null")?,
            _ => return self.syntax("a value"),
        }
        Ok(())
    }

    /// Nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.peek().is_some() { self.syntax("nothing after the value") } else { Ok(()) }
    }
}

/// How many bytes from the start of `bytes` are neither a quote nor a backslash nor a control character.
#[inline]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of every byte that is zero; bits above the lowest one may be wrong, which is not looked at.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special =
            zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | (word.wrapping_sub(ONES * 0x20) & !word);
        if special & HIGH != 0 {
            return index * 8 + (special & HIGH).trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

/// Length of the JSON number at the start of `text`; `None` if there is none.
#[inline]
pub(crate) fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match text.get(at) {
        Some(b'0') => 1,
        _ => digits(at),
    };
    if !text.get(at.checked_sub(1)?)?.is_ascii_digit() {
        return None;
    }
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        at += (fraction > 0).then_some(fraction + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        at += (exponent > 0).then_some(exponent + 1 + sign)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &[u8]) -> bool {
        let mut reader = Reader::new(text);
        reader.skip().and_then(|()| reader.finish()).is_ok()
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for good in ["0", "-0", "10", "-1.5", "1e5", "1.25E-3", "0.0e+1"] {
            assert_eq!(number_len(good.as_bytes()), Some(good.len()), "{good}");
        }
        for bad in ["", "-", ".5", "1.", "1e", "1e+", "+1", "-a"] {
            assert_eq!(number_len(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(number_len(b"012"), Some(1));
    }

    #[test]
    fn same_verdict_as_the_reference_parser() {
        for text in [
            "{}",
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":}",
            "nul",
            "nulll",
            "true",
            " \n\t\r1 ",
            "1 1",
            "012",
            "\"\u{1}\"",
            "\"a\\\"\"",
            "\"a\\\\\"",
            "\"a\\",
            "\"",
            "{\"a\":{\"b\":[1,{\"c\":null}]}}",
            "[",
            "{",
            "",
            "-",
        ] {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(accepts(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(testkit::otlp_arbitrary::config(512))]

        #[test]
        fn strings_have_their_values(value: String) {
            let text = serde_json::to_string(&value).unwrap();
            let mut reader = Reader::new(text.as_bytes());
            let raw = reader.string().unwrap();
            prop_assert_eq!(&*reader.value_of(raw).unwrap(), value.as_bytes());
        }

        #[test]
        fn plain_runs_end_where_they_should(bytes: Vec<u8>) {
            let expected = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_len(&bytes), expected);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            accepts(&bytes);
        }
    }

    #[test]
    fn skipped_values_nest_boundedly() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(accepts(&nested(SKIPPED_DEPTH_MAX as usize)));
        assert!(!accepts(&nested(SKIPPED_DEPTH_MAX as usize + 1)));
        assert!(!accepts(&vec![b'['; 1 << 20]));
    }
}
