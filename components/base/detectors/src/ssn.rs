//! Social security numbers and taxpayer numbers of the United States.
//!
//! Three, two and four digits with equal delimiters (`-`, space, `+` for a space in form data); with points, or as nine
//! bare digits, only with a word such as `ssn` before them or in the key. Since 2011 numbers are random: no table of
//! areas applies, only the ones never given out do.

use crate::Kind;
use crate::bytes::{at, before, in_context, is_alnum, number};

const SSN_WORDS: &[&[u8]] = &[
    b"ssn",
    b"social security",
    b"social_security",
    b"social-security",
    b"socialsecurity",
    b"soc sec",
    b"soc_sec",
    b"socsec",
];
const ITIN_WORDS: &[&[u8]] = &[b"itin", b"taxpayer", b"tax id", b"tax_id", b"taxid"];

/// The number whose area, three digits, starts at `start`: its kind and end. The byte before is no letter or digit.
pub(crate) fn delimited(text: &[u8], start: usize, key: &[u8]) -> Option<(Kind, usize)> {
    let found = text.get(start..start + 11)?;
    let delimiter = at(found, 3);
    if at(found, 6) != delimiter || !matches!(delimiter, b'-' | b' ' | b'+' | b'.') {
        return None;
    }
    let mut digits = [0u8; 9];
    for (digit, &byte) in
        digits.iter_mut().zip(found.iter().enumerate().filter_map(|(i, b)| (i != 3 && i != 6).then_some(b)))
    {
        if !byte.is_ascii_digit() {
            return None;
        }
        *digit = byte;
    }
    let kind = kind_of(&digits)?;
    let end = start + 11;
    let goes_on = at(text, end) == delimiter && at(text, end + 1).is_ascii_digit()
        || at(text, end) == b'.' && at(text, end + 1).is_ascii_digit()
        || is_alnum(at(text, end))
        || before(text, start, 1) == delimiter && before(text, start, 2).is_ascii_digit();
    (!goes_on && (delimiter != b'.' || named(text, start, key, kind))).then_some((kind, end))
}

/// The number of nine bare digits at `start`, if a word says what it is.
pub(crate) fn bare(text: &[u8], start: usize, key: &[u8]) -> Option<(Kind, usize)> {
    let kind = kind_of(text.get(start..start + 9)?)?;
    named(text, start, key, kind).then_some((kind, start + 9))
}

fn named(text: &[u8], start: usize, key: &[u8], kind: Kind) -> bool {
    in_context(text, start, key, SSN_WORDS) || kind == Kind::UsItin && in_context(text, start, key, ITIN_WORDS)
}

/// What nine digits can be.
fn kind_of(digits: &[u8]) -> Option<Kind> {
    let (area, group, serial) = (number(digits.get(..3)?), number(digits.get(3..5)?), number(digits.get(5..)?));
    match (area, group, serial) {
        (900..=999, 50..=65 | 70..=88 | 90..=92 | 94..=99, _) => Some(Kind::UsItin),
        (0 | 666 | 900..=999, ..) | (_, 0, _) | (.., 0) => None,
        // Printed on cards that came with wallets, and in forms as an example.
        (78, 5, 1120) | (123, 45, 6789) => None,
        _ => Some(Kind::UsSsn),
    }
}
