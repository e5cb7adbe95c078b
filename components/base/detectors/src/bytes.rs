//! Looking at single bytes of a text without minding its ends, and at words near a place.
//!
//! Letters and digits are ASCII's. Other scripts' digits are no digits here: no system that issues the numbers found writes
//! them so, and every byte of such a character ends a word like punctuation does. Full-width ones are ASCII's in the second
//! look, see [`crate::unescape`].

#[cfg(test)]
std::thread_local! {
    /// How many bytes were looked at by this thread: tests hold it against the length of a text.
    pub(crate) static WORK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes for tests that `bytes` were looked at. Every look whose length the text decides says so.
#[inline]
pub(crate) fn looked_at(bytes: usize) {
    #[cfg(test)]
    WORK.set(WORK.get() + bytes as u64);
    #[cfg(not(test))]
    let _ = bytes;
}

/// The byte at `index`, 0 behind the end.
#[inline]
pub(crate) fn at(text: &[u8], index: usize) -> u8 {
    looked_at(1);
    text.get(index).copied().unwrap_or(0)
}

/// The byte `back` places before `index`, 0 before the start.
#[inline]
pub(crate) fn before(text: &[u8], index: usize, back: usize) -> u8 {
    index.checked_sub(back).map_or(0, |index| at(text, index))
}

/// The end of the run of bytes that are `inside`, starting at `start`.
#[inline]
pub(crate) fn run_end(text: &[u8], start: usize, inside: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().position(|&byte| !inside(byte)).unwrap_or(rest.len());
    looked_at(length + 1);
    start + length
}

/// The end of the run of digits at `start`.
#[inline]
pub(crate) fn digits_end(text: &[u8], start: usize) -> usize {
    run_end(text, start, |byte| byte.is_ascii_digit())
}

/// The first place of `what` in `text`.
pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let found = memchr::memmem::find(text, what);
    looked_at(found.unwrap_or(text.len()));
    found
}

/// The first place of a byte in `text`.
pub(crate) fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    let found = memchr::memchr(byte, text);
    looked_at(found.unwrap_or(text.len()));
    found
}

/// The value of up to nine ASCII digits.
pub(crate) fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, &digit| sum * 10 + u32::from(digit & 0xf))
}

pub(crate) fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(crate) fn is_base64url(byte: u8) -> bool {
    is_alnum(byte) || byte == b'_' || byte == b'-'
}

/// Whether one of `words` (lower-case) stands in `text` as a word: no letter touches it, unless a hump of camel case
/// parts them (`userSsn`, `ssnNumber`).
pub(crate) fn has_word(text: &[u8], words: &[&[u8]]) -> bool {
    looked_at(text.len());
    words.iter().any(|word| {
        text.windows(word.len()).enumerate().any(|(start, window)| {
            window.eq_ignore_ascii_case(word) && {
                let left = before(text, start, 1);
                let right = at(text, start + word.len());
                let hump = at(window, 0).is_ascii_uppercase() && left.is_ascii_lowercase();
                (hump || !left.is_ascii_alphabetic()) && !right.is_ascii_lowercase()
            }
        })
    })
}

/// How far before a value a word counts as its context, in bytes.
const CONTEXT_BYTES: usize = 40;

/// Whether one of `words` stands shortly before `start` or in the `key` the text belongs to.
pub(crate) fn in_context(text: &[u8], start: usize, key: &[u8], words: &[&[u8]]) -> bool {
    let near = text.get(start.saturating_sub(CONTEXT_BYTES)..start).unwrap_or_default();
    has_word(near, words) || has_word(key, words)
}

/// Shannon entropy of the bytes' distribution, in bits per byte; of the first [`LOOK_BYTES`] bytes at most.
pub(crate) fn entropy(text: &[u8]) -> f64 {
    let text = text.get(..LOOK_BYTES).unwrap_or(text);
    let mut counts = [0u16; 256];
    for &byte in text {
        counts[usize::from(byte)] += 1;
    }
    let total = text.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / total).map(|p| -p * p.log2()).sum()
}

/// How much of a value is looked at to decide whether it is a value, in bytes. Bounds the work per place.
pub(crate) const LOOK_BYTES: usize = 256;

/// Whether a value reads like words of a language: no digit, capitals only at the start of a word or throughout, joined
/// by nothing but `-`, `_`, `.` and `/`.
pub(crate) fn reads_like_words(value: &[u8]) -> bool {
    let capitals = value.iter().all(|byte| !byte.is_ascii_lowercase());
    let mut previous = b'-';
    value.iter().all(|&byte| {
        let plain = match byte {
            b'a'..=b'z' | b'-' | b'_' | b'.' | b'/' | b':' | b'!' => true,
            b'A'..=b'Z' => capitals || !previous.is_ascii_alphabetic(),
            _ => false,
        };
        previous = byte;
        plain
    })
}

/// Decodes base64 of either alphabet, with or without padding, at most `bytes_max` bytes of text. Nothing if there is
/// another byte or no such length.
pub(crate) fn base64_decode(text: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let text = text.get(..end).filter(|text| text.len() <= bytes_max && text.len() % 4 != 1)?;
    looked_at(text.len());
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0u32);
    for &byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone() {
        let words: &[&[u8]] = &[b"ssn"];
        for text in ["ssn", "SSN: ", "userSsn", "user_ssn=", "ssnNumber", "x.ssn.y"] {
            assert!(has_word(text.as_bytes(), words), "{text}");
        }
        for text in ["className", "classname", "CLASSNAME", "ssns", "ss", ""] {
            assert!(!has_word(text.as_bytes(), words), "{text}");
        }
    }

    #[test]
    fn words_are_told_from_values() {
        for text in ["authentication", "Authentication", "token-based", "REQUIRED", "auth/login", "Not-Found"] {
            assert!(reads_like_words(text.as_bytes()), "{text}");
        }
        for text in ["hunter2", "aBcDeF", "abc def", "p@ss"] {
            assert!(!reads_like_words(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn base64_reads_both_alphabets() {
        assert_eq!(base64_decode(b"YTpi", 99).as_deref(), Some(&b"a:b"[..]));
        assert_eq!(base64_decode(b"YQ==", 99).as_deref(), Some(&b"a"[..]));
        assert_eq!(base64_decode(b"-_8", 99), base64_decode(b"+/8=", 99));
        assert_eq!(base64_decode(b"YTpiY", 99), None);
        assert_eq!(base64_decode(b"Y*pi", 99), None);
        assert_eq!(base64_decode(b"YTpi", 3), None);
    }
}
