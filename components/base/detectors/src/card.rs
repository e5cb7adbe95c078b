//! Payment card numbers: ISO/IEC 7812 issuer ranges with their lengths, and Luhn's sum.
//!
//! Shapes: 13 to 19 digits in one run, or groups as cards print them, joined by one and the same of space, `-` and `+` (a
//! space in form data): fours with 1 to 5 digits at the end, 4-6-4, 4-6-5, and 6 with 7 to 13. Of the possible ends the
//! furthest that passes is taken. Traps met: no issuer begins with 1, so epoch timestamps in ms, µs and ns fall out; bare
//! runs of 17 to 19 digits (block ids, snowflakes) and other lengths unusual for the issuer need a word such as `card`
//! before them or in the key, and so do those that a letter touches at the end; a letter before them is one of such a word; fractions of decimal numbers and groups of a UUID do not count.

use crate::bytes::{at, before, digits_end, in_context, is_alnum};

const WORDS: &[&[u8]] = &[
    b"card",
    b"cards",
    b"pan",
    b"cc",
    b"ccn",
    b"credit",
    b"debit",
    b"visa",
    b"mastercard",
    b"maestro",
    b"amex",
    b"unionpay",
];

/// The end of the card number that starts at `start`, the first digit of the run that ends at `first_end`. The byte
/// before is no letter or digit, nor a point with a digit before it.
pub(crate) fn card_end(text: &[u8], start: usize, first_end: usize, key: &[u8]) -> Option<usize> {
    match first_end - start {
        13..=19 => {
            let digits = text.get(start..first_end)?;
            // A letter may touch the end of what a word calls a card.
            let glued = at(text, first_end).is_ascii_alphabetic();
            let fits = is_card(digits) && (glued || ends_well(text, first_end));
            (fits && (!glued && is_usual(digits) || in_context(text, start, key, WORDS))).then_some(first_end)
        }
        4 | 6 => grouped(text, start, first_end),
        _ => None,
    }
}

/// Words that touch the number they announce: `card4111…`, `ccn4111…`.
const TOUCHING: &[&[u8]] = &[b"card", b"cards", b"cardno", b"cardnumber", b"cc", b"ccn", b"pan", b"visa"];

/// The range of the number behind the word at `start`, which no letter or digit precedes.
pub(crate) fn behind_word(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let from = crate::bytes::run_end(text.get(..start + 16).unwrap_or(text), start, |byte| byte.is_ascii_alphabetic());
    let word = text.get(start..from)?;
    if !TOUCHING.iter().any(|touching| touching.eq_ignore_ascii_case(word)) {
        return None;
    }
    let end = digits_end(text, from);
    let digits = text.get(from..end).filter(|digits| digits.len() <= 19)?;
    (is_card(digits) && (at(text, end).is_ascii_alphabetic() || ends_well(text, end))).then_some((from, end))
}

fn grouped(text: &[u8], start: usize, first_end: usize) -> Option<usize> {
    let separator = at(text, first_end);
    if !matches!(separator, b' ' | b'-' | b'+') || !matches!(at(text, start), b'2'..=b'6') {
        return None;
    }
    let mut digits = [0u8; 19];
    let mut count = 0;
    let (mut from, mut end, mut best) = (start, first_end, None);
    loop {
        let group = text.get(from..end)?;
        let Some(room) = digits.get_mut(count..count + group.len()) else { break };
        room.copy_from_slice(group);
        count += group.len();
        if digits.get(..count).is_some_and(is_card) && ends_well(text, end) {
            best = Some(end);
        }
        let before_last = count == group.len() || group.len() == 4 || count == 10 && group.len() == 6;
        if !before_last || at(text, end) != separator || !at(text, end + 1).is_ascii_digit() {
            break;
        }
        from = end + 1;
        end = digits_end(text, from);
        let printed = match (count, first_end - start, end - from) {
            (4, 4, 6) | (10, 4, 4 | 5) => true,
            (10, 4, _) => false,
            (_, 4, length) => length <= 5,
            (_, _, length) => count == 6 && length >= 7,
        };
        if !printed || is_alnum(at(text, end)) {
            break;
        }
    }
    best.filter(|&end| separator != b'-' || !in_uuid(text, start, end))
}

fn ends_well(text: &[u8], end: usize) -> bool {
    !(is_alnum(at(text, end)) || at(text, end) == b'.' && at(text, end + 1).is_ascii_digit())
}

/// Whether the range lies in a UUID (8-4-4-4-12 hexadecimal digits).
fn in_uuid(text: &[u8], start: usize, end: usize) -> bool {
    let inside = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let mut from = start;
    while start - from < 36 && inside(before(text, from, 1)) {
        from -= 1;
    }
    let mut to = end;
    while to - end < 36 && inside(at(text, to)) {
        to += 1;
    }
    text.get(from..to).is_some_and(|token| {
        token.len() == 36 && token.iter().enumerate().all(|(i, &b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23))
    })
}

/// Whether `digits` (ASCII) are a card number: issuer, length, Luhn, not all alike.
pub(crate) fn is_card(digits: &[u8]) -> bool {
    digits.len() >= 13 && issued(digits) && luhn(digits) && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn issued(digits: &[u8]) -> bool {
    let length = digits.len();
    let first = |count: usize| crate::bytes::number(digits.get(..count).unwrap_or_default());
    match first(4) {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => length == 16,
        3400..=3499 | 3700..=3799 => length == 15,
        3528..=3589 | 2200..=2204 => (16..=19).contains(&length),
        3000..=3059 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&length),
        // UnionPay and Discover lie within Maestro's range, which has more lengths.
        5000..=5099 | 5600..=6999 => (13..=19).contains(&length),
        _ => false,
    }
}

/// Whether cards of the issuer usually have this many digits. The ranges of Maestro and Diners Club allow nearly any
/// length, and with the others every tenth number there is.
pub(crate) fn is_usual(digits: &[u8]) -> bool {
    matches!(
        (digits.len(), at(digits, 0), at(digits, 1)),
        (16, ..) | (13, b'4', _) | (14, b'3', _) | (15, b'3', b'4' | b'7')
    )
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (u32::from(digit & 0xf), place % 2) {
            (digit, 0) => digit,
            (digit, _) => digit * 2 - if digit > 4 { 9 } else { 0 },
        })
        .sum();
    sum.is_multiple_of(10)
}
