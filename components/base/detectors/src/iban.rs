//! International bank account numbers (ISO 13616): a country's letters and length, and 97 as the checksum's modulus.
//!
//! Upper case, in one run or in groups of four joined by one and the same of space, `-`, `.` and `+` (a space in form data). The
//! length follows from the country, so a word after the number does not become part of it.

use crate::bytes::{at, is_alnum};

/// Lengths by country, from the IBAN registry.
const LENGTHS: &[(&[u8; 2], u8)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// The end of the number that starts at `start`; the byte before is no letter or digit.
pub(crate) fn iban_end(text: &[u8], start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?;
    let &(_, length) = LENGTHS.iter().find(|(name, _)| &name[..] == country)?;
    let check = crate::bytes::number(text.get(start + 2..start + 4).filter(|two| two.iter().all(u8::is_ascii_digit))?);
    let separator = at(text, start + 4);
    let grouped = matches!(separator, b' ' | b'-' | b'+' | b'.');
    let (mut end, mut account) = (start + 4, 0u32);
    for place in 4..length {
        if grouped && place % 4 == 0 {
            if at(text, end) != separator {
                return None;
            }
            end += 1;
        }
        account = append(account, at(text, end))?;
        end += 1;
    }
    let rearranged = country.iter().try_fold(account, |sum, &letter| append(sum, letter))?;
    let sum = (rearranged * 100 + check) % 97;
    (sum == 1 && (2..=98).contains(&check) && !is_alnum(at(text, end))).then_some(end)
}

/// The remainder modulo 97 with one more digit, or a letter's two (A is 10, Z is 35).
fn append(remainder: u32, byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => Some((remainder * 10 + u32::from(byte - b'0')) % 97),
        b'A'..=b'Z' => Some((remainder * 100 + u32::from(byte - b'A') + 10) % 97),
        _ => None,
    }
}
