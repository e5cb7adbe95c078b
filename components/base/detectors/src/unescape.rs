//! Escapes: a second look at the parts of a text that have them, with the escapes undone, and characters beyond ASCII that
//! look like one of ASCII or like nothing.
//!
//! Such characters are spaces that do not break and other widths of spaces, dashes, full-width forms, and what has no width at
//! all; not the ideographic space, whose first byte every letter of Japanese has.
//!
//! Escapes are those of URLs (`%40`; `%25` in front of one is part of it, however often repeated, so that what was escaped
//! twice is seen too) and of JSON within text (`\n`, `\r`, `\t`, and ASCII written as `\u003d`, as some writers do with `=`,
//! `&` and `<`): without them a line's first word would look like part of another, `\n4111…`. A part is what stands between
//! spaces and control bytes. Ranges found in the undone part lead back to the bytes of the escapes they came from.

use crate::bytes::at;

/// First bytes of characters that look like others.
pub(crate) const LEADS: [u8; 3] = [0xc2, 0xe2, 0xef];

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

/// A part of a text without its escapes.
#[derive(Debug, Default)]
pub(crate) struct Unescaped {
    /// The bytes.
    pub(crate) text: Vec<u8>,
    start: usize,
    /// For each escape: the place of its byte, or of the one behind it if it has none, and how many bytes more the original
    /// has up to its end.
    escapes: Vec<(usize, usize)>,
}

impl Unescaped {
    /// Undoes the escapes of the part around the one at `sign`; returns the part's end.
    pub(crate) fn read(&mut self, text: &[u8], sign: usize, not_before: usize) -> usize {
        self.text.clear();
        self.escapes.clear();
        let inside = |byte: u8| byte > b' ';
        let known = text.get(not_before..sign).unwrap_or_default();
        crate::bytes::looked_at(known.len());
        self.start = not_before + known.iter().rposition(|&byte| !inside(byte)).map_or(0, |last| last + 1);
        let end = crate::bytes::run_end(text, sign, inside);
        let mut from = self.start;
        while from < end {
            match plain(text, from) {
                Some((byte, to)) => {
                    let more = self.escapes.last().map_or(0, |&(_, more)| more) + to - from;
                    self.escapes.push((self.text.len(), more - usize::from(byte.is_some())));
                    self.text.extend(byte);
                    from = to;
                }
                None => {
                    self.text.push(at(text, from));
                    from += 1;
                }
            }
        }
        end
    }

    /// The range in the original text of a range in the undone part.
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let more_before = |place: usize| {
            let count = self.escapes.partition_point(|&(escape, _)| escape < place);
            count.checked_sub(1).and_then(|last| self.escapes.get(last)).map_or(0, |&(_, more)| more)
        };
        (self.start + start + more_before(start), self.start + end + more_before(end))
    }
}

/// What stands for the escape or the character at `place`, if anything, and its end.
pub(crate) fn plain(text: &[u8], place: usize) -> Option<(Option<u8>, usize)> {
    match at(text, place) {
        b'%' | b'\\' => escape(text, place).map(|(byte, end)| (Some(byte), end)),
        _ => look_alike(text.get(place..)?).map(|(byte, length)| (byte, place + length)),
    }
}

/// What the character at the start of `rest` looks like, and its length.
fn look_alike(rest: &[u8]) -> Option<(Option<u8>, usize)> {
    Some(match *rest {
        [0xc2, 0xa0, ..] => (Some(b' '), 2),
        // The soft hyphen.
        [0xc2, 0xad, ..] => (None, 2),
        [0xe2, second, third, ..] => match (second, third) {
            (0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf) | (0x81, 0x9f) => (Some(b' '), 3),
            // No width; directions of writing.
            (0x80, 0x8b..=0x8f | 0xaa..=0xae) | (0x81, 0xa0..=0xa9) => (None, 3),
            (0x80, 0x90..=0x95) | (0x88, 0x92) => (Some(b'-'), 3),
            _ => return None,
        },
        [0xef, second, third, ..] => match (second, third) {
            (0xbb, 0xbf) => (None, 3),
            (0xb9, 0x98 | 0xa3) => (Some(b'-'), 3),
            (0xb9, 0xab) => (Some(b'@'), 3),
            // Full width: U+FF01 to U+FF5E.
            (0xbc, 0x81..=0xbf) => (Some(third - 0x81 + b'!'), 3),
            (0xbd, 0x80..=0x9e) => (Some(third - 0x80 + b'`'), 3),
            _ => return None,
        },
        _ => return None,
    })
}

/// The byte and the end of the escape at `sign`, which is a `%` or a backslash.
pub(crate) fn escape(text: &[u8], sign: usize) -> Option<(u8, usize)> {
    match (at(text, sign), at(text, sign + 1)) {
        (b'%', _) => {
            let mut from = sign + 1;
            while text.get(from..from + 2) == Some(b"25") && byte(at(text, from + 2), at(text, from + 3)).is_some() {
                from += 2;
            }
            byte(at(text, from), at(text, from + 1)).map(|byte| (byte, from + 2))
        }
        (b'\\', b'n') => Some((b'\n', sign + 2)),
        (b'\\', b'r') => Some((b'\r', sign + 2)),
        (b'\\', b't') => Some((b'\t', sign + 2)),
        (b'\\', b'u') if text.get(sign + 2..sign + 4) == Some(b"00") => {
            byte(at(text, sign + 4), at(text, sign + 5)).filter(u8::is_ascii).map(|byte| (byte, sign + 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lead_back_to_escapes() {
        let text = b"GET /a?q=%6Aane%2540x.org&z=100% HTTP";
        let mut part = Unescaped::default();
        let end = part.read(text, 9, 4);
        assert_eq!(text.get(end..), Some(&b" HTTP"[..]));
        assert_eq!(part.text, b"/a?q=jane@x.org&z=100%");
        let (start, end) = part.origin(5, 15);
        assert_eq!(text.get(start..end), Some(&b"%6Aane%2540x.org"[..]));
        let (start, end) = part.origin(6, 9);
        assert_eq!(text.get(start..end), Some(&b"ane"[..]));
    }

    #[test]
    fn look_alikes_are_what_they_look_like() {
        let mut part = Unescaped::default();
        let text = "x４１\u{a0}1\u{200b}\u{2011}1＠~\u{feff}\u{2060}é".as_bytes();
        assert_eq!(part.read(text, 1, 0), text.len());
        assert_eq!(part.text, "x41 1-1@~é".as_bytes());
        for (range, expected) in [((1, 3), "４１"), ((3, 4), "\u{a0}"), ((4, 6), "1\u{200b}\u{2011}"), ((8, 9), "~")]
        {
            let (start, end) = part.origin(range.0, range.1);
            assert_eq!(text.get(start..end), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn escapes_of_json_are_undone() {
        let mut part = Unescaped::default();
        let text = br"a\nb\u003dc\\td\u00e9\x";
        assert_eq!(part.read(text, 1, 0), text.len());
        assert_eq!(part.text, b"a\nb=c\\\td\\u00e9\\x");
    }
}
