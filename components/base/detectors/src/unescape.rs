//! Escapes: a second look at the parts of a text that have them, with the escapes undone.
//!
//! Escapes are those of URLs (`%40`; `%25` in front of one is part of it, however often repeated, so that what was escaped
//! twice is seen too) and of JSON within text (`\n`, `\r`, `\t`, and ASCII written as `\u003d`, as some writers do with `=`,
//! `&` and `<`): without them a line's first word would look like part of another, `\n4111…`. A part is what stands between
//! spaces and control bytes. Ranges found in the undone part lead back to the bytes of the escapes they came from.

use crate::bytes::at;

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
    /// For each escape: the place of its byte, and how many bytes more the original has up to its end.
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
            match escape(text, from) {
                Some((byte, to)) => {
                    let more = self.escapes.last().map_or(0, |&(_, more)| more) + to - from - 1;
                    self.escapes.push((self.text.len(), more));
                    self.text.push(byte);
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
    fn escapes_of_json_are_undone() {
        let mut part = Unescaped::default();
        let text = br"a\nb\u003dc\\td\u00e9\x";
        assert_eq!(part.read(text, 1, 0), text.len());
        assert_eq!(part.text, b"a\nb=c\\\td\\u00e9\\x");
    }
}
