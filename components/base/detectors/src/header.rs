//! Headers whose values are credentials: cookies, and the whole value of an `Authorization`.
//!
//! Of cookies the names stay (`sid=…; theme=…`), and the settings behind what a server sets (`Path`, `HttpOnly`, …). In a text
//! a header without quotes goes on as long as `;` leads to more of it. Values of fewer than four bytes are none.

use crate::bytes::{at, reads_like_words, run_end};
use crate::secret::{Says, is_secret, opening, quoted_end};

/// Least length of a cookie's value or a credential, in bytes.
const BYTES_MIN: usize = 4;

/// The cookies behind `from` in a text: their range.
pub(crate) fn cookies(text: &[u8], from: usize) -> (usize, usize) {
    let open = opening(text, from);
    if let Some(quote) = open.quote {
        return (open.start, quoted_end(text, open.start, quote, open.escapes));
    }
    let mut end = open.start;
    loop {
        end = run_end(text, end, |byte| byte > b' ' && !matches!(byte, b';' | b'"' | b'\'' | b'`' | b'\\'));
        if at(text, end) != b';' {
            return (open.start, end);
        }
        end += 1;
        if at(text, end) == b' ' {
            end += 1;
        }
    }
}

/// Gives the range of each value of the cookies in a range of the text to `found`. What has no name is a value only where it
/// is `sure` that these are cookies.
pub(crate) fn values(
    text: &[u8],
    (start, end): (usize, usize),
    says: Says,
    sure: bool,
    mut found: impl FnMut(usize, usize),
) {
    let mut from = start;
    for cookie in text.get(start..end).unwrap_or_default().split(|&byte| byte == b';') {
        crate::bytes::looked_at(cookie.len());
        let value = match cookie.iter().position(|&byte| byte == b'=') {
            Some(sign) => cookie.get(sign + 1..).map(|value| (from + sign + 1, value)),
            None => Some((from, cookie)).filter(|_| sure),
        };
        from += cookie.len() + 1;
        if let Some((place, value)) = value {
            let place = place + value.len() - value.trim_ascii_start().len();
            let value = value.trim_ascii();
            if is_secret(value, BYTES_MIN, true) {
                found(place, place + value.len());
            }
        }
        if says == Says::SetCookie {
            return;
        }
    }
}

/// Schemes of HTTP authentication, in lower case.
const SCHEMES: [&[u8]; 12] = [
    b"bearer",
    b"basic",
    b"digest",
    b"negotiate",
    b"ntlm",
    b"token",
    b"apikey",
    b"oauth",
    b"hawk",
    b"hmac",
    b"dpop",
    b"aws4-hmac-sha256",
];

/// The range of the credentials in a whole text whose key says `authorization`: what follows a scheme, otherwise the text
/// without spaces around it, unless all of that reads like words (`authorization: denied by policy`).
pub(crate) fn authorization(text: &[u8]) -> Option<(usize, usize)> {
    let start = text.len() - text.trim_ascii_start().len();
    let value = text.trim_ascii();
    let length = run_end(value, 0, |byte| !byte.is_ascii_whitespace());
    let first = value.get(..length)?;
    let is_scheme = SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(first));
    let (start, value) = if is_scheme {
        let rest = value.get(length..)?;
        let gap = rest.len() - rest.trim_ascii_start().len();
        (start + length + gap, rest.get(gap..)?)
    } else {
        (start, value)
    };
    let words = !is_scheme && value.split(u8::is_ascii_whitespace).all(reads_like_words);
    crate::bytes::looked_at(text.len());
    (!words && is_secret(value, BYTES_MIN, true)).then_some((start, start + value.len()))
}
