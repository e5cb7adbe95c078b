//! Values of names that say they are secret: `password=…`, `"api_key": "…"`, `token => …`, `--password …`, and telephone numbers of
//! names that say so.
//!
//! A name counts by its ending, separators and letter case aside (`dbPassword`, `X-Api-Key`, `spring.datasource.password`).
//! Between name and `=` or `:` there may be a quote, also an escaped one, and spaces. A quoted value ends at its quote, a
//! bare one at a space or a delimiter. `&` is one in queries: behind a name that follows `?`, `&` or `#`, in texts that are
//! known to be URLs, and in front of another parameter (`&user=…`); elsewhere it is part of the secret.
//!
//! No secret: fewer than four bytes (of passwords in quotes or under a key of their own: one), placeholders (`${…}`, `***`,
//! `<…>`), words such as `null`, calls, and behind `:` without quotes anything that reads like words (`token: expired`), unless
//! that is a password's whole line (`password: swordfish`).

use crate::bytes::{LOOK_BYTES, at, before, is_alnum, reads_like_words};

/// Endings of names, without separators, in lower case.
const SECRETS: [&[u8]; 26] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"secretkeybase",
    b"privatekey",
    b"signingkey",
    b"encryptionkey",
    b"accountkey",
    b"sharedkey",
    b"authkey",
    b"masterkey",
    b"storagekey",
    b"credential",
    b"credentials",
    b"sessionkey",
    b"sessionid",
    b"pass",
    b"pgpass",
    b"sharedaccesssignature",
];

/// Endings that hold one of the above and are no secrets: places in a listing, and signals.
const NO_SECRETS: [&[u8]; 7] =
    [b"pagetoken", b"nexttoken", b"continuationtoken", b"cancellationtoken", b"synctoken", b"stoptoken", b"tokentoken"];

/// Those of them that name nothing else.
const PASSWORDS: [&[u8]; 5] = [b"password", b"passwd", b"passphrase", b"passcode", b"pwd"];

const PHONES: [&[u8]; 8] = [b"phone", b"phonenumber", b"mobile", b"mobilenumber", b"tel", b"fax", b"msisdn", b"cell"];

/// Endings that are endings of other words too (`bypass`, `hotel`, `cancell`): no letter joins them.
const SHORT: [&[u8]; 3] = [b"pass", b"tel", b"cell"];

/// Values that are none, in lower case.
const NO_VALUES: [&[u8]; 26] = [
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"example",
    b"changeme",
    b"redacted",
    b"[redacted]",
    b"<redacted>",
    b"(redacted)",
    b"hidden",
    b"[hidden]",
    b"masked",
    b"[masked]",
    b"filtered",
    b"[filtered]",
    b"empty",
    b"required",
    b"missing",
    b"invalid",
    b"expired",
    b"string",
    b"n/a",
    b"(null)",
];

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Says {
    Secret,
    /// A secret that is nothing else: quoted or as a whole value it may be short, and a word.
    Password,
    Phone,
    /// `name=value; name=value`.
    Cookies,
    /// `name=value`, and settings.
    SetCookie,
    /// A scheme and what it takes. Keys alone say this: in texts the scheme itself is met.
    Authorization,
}

impl Says {
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Password)
    }
}

/// Longest ending that counts, and what may be read of a name to see it, in bytes.
const NAME_BYTES: usize = 32;

/// What the name that ends at `end` says.
pub(crate) fn name_says(text: &[u8], end: usize) -> Option<Says> {
    // The last letters of all endings: most names are done here.
    let last = [before(text, end, 3) | 0x20, before(text, end, 2) | 0x20, before(text, end, 1) | 0x20];
    if !matches!(
        &last,
        b"ord"
            | b"swd"
            | b"pwd"
            | b"ase"
            | b"ode"
            | b"ret"
            | b"ken"
            | b"key"
            | b"ial"
            | b"als"
            | b"nid"
            | [_, b'i', b'd']
            | b"ass"
            | b"ure"
            | b"one"
            | b"ber"
            | b"ile"
            | b"tel"
            | b"fax"
            | b"sdn"
            | b"ell"
            | b"kie"
    ) {
        return None;
    }
    let mut name = [0u8; NAME_BYTES];
    // For each place of `name`: whether the byte before it in the text is a letter that joins it into one word.
    let mut joined = [false; NAME_BYTES];
    let mut length = 0;
    for back in 1..=NAME_BYTES {
        let byte = before(text, end, back);
        if is_alnum(byte) {
            let place = NAME_BYTES - 1 - length;
            let previous = before(text, end, back + 1);
            *name.get_mut(place)? = byte.to_ascii_lowercase();
            *joined.get_mut(place)? =
                previous.is_ascii_alphabetic() && !(byte.is_ascii_uppercase() && previous.is_ascii_lowercase());
            length += 1;
        } else if !matches!(byte, b'_' | b'-' | b'.') {
            break;
        }
    }
    let name = name.get(NAME_BYTES - length..)?;
    let ends_with = |ending: &[u8]| {
        name.ends_with(ending)
            && !(SHORT.contains(&ending) && joined.get(NAME_BYTES - ending.len()).copied().unwrap_or(false))
    };
    if SECRETS.iter().any(|ending| ends_with(ending)) && !NO_SECRETS.iter().any(|ending| ends_with(ending)) {
        let password = PASSWORDS.iter().any(|ending| ends_with(ending));
        return Some(if password { Says::Password } else { Says::Secret });
    }
    if ends_with(b"cookie") {
        return Some(if ends_with(b"setcookie") { Says::SetCookie } else { Says::Cookies });
    }
    PHONES.iter().any(|ending| ends_with(ending)).then_some(Says::Phone)
}

/// What the whole of an attribute's key says.
pub(crate) fn key_says(key: &[u8]) -> Option<Says> {
    const AUTHORIZATION: &[u8] = b"authorization";
    let end = key.len().checked_sub(AUTHORIZATION.len()).and_then(|start| key.get(start..));
    if end.is_some_and(|end| end.eq_ignore_ascii_case(AUTHORIZATION)) {
        return Some(Says::Authorization);
    }
    name_says(key, key.len())
}

/// What the name before the `=` or `:` at `sign` says, and where the value may start.
pub(crate) fn assigned(text: &[u8], sign: usize) -> Option<(Says, usize)> {
    let next = at(text, sign + 1);
    let mut end = sign;
    let mut value = sign + 1;
    if at(text, sign) == b':' {
        // A path, a scheme, or `:=`, which is met at its `=`.
        if matches!(next, b':' | b'=') || next == b'/' && at(text, sign + 2) == b'/' || before(text, sign, 1) == b':' {
            return None;
        }
    } else {
        match before(text, sign, 1) {
            b'=' | b'!' | b'<' | b'>' | b'~' => return None,
            b':' => end -= 1,
            _ => {}
        }
        match next {
            b'=' | b'~' => return None,
            b'>' => value += 1,
            // `password= user=jane`: the value is empty.
            b' ' | b'\t' if !matches!(before(text, end, 1), b' ' | b'\t') => return None,
            _ => {}
        }
    }
    let mut back = |step: usize, of: &[u8]| {
        let mut steps = 0;
        while steps < step && of.contains(&before(text, end, 1)) {
            end -= 1;
            steps += 1;
        }
    };
    back(4, b" ");
    back(1, b"\"'`]");
    back(3, b"\\");
    back(1, b"\"']");
    name_says(text, end).map(|says| (says, value))
}

/// The range of the value behind the option of a command line whose first dash is at `dash`: `--password …`. What reads
/// like words is none, since options are written about too.
pub(crate) fn option(text: &[u8], dash: usize) -> Option<(usize, usize)> {
    let begins = matches!(before(text, dash, 1), 0..=b' ' | b'"' | b'\'' | b'`');
    if !begins || at(text, dash + 1) != b'-' || !at(text, dash + 2).is_ascii_alphabetic() {
        return None;
    }
    let end = crate::bytes::run_end(text, dash + 2, |byte| is_alnum(byte) || matches!(byte, b'-' | b'_' | b'.'));
    if at(text, end) != b' ' || at(text, end + 1) == b'-' {
        return None;
    }
    let says = name_says(text, end).filter(|says| says.is_secret())?;
    value(text, end, Lead::Option, says)
}

/// What leads from a name to its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// `:`. What reads like words is no value then.
    Colon,
    /// The space behind an option. Neither is it here.
    Option,
    /// `=`.
    Equals,
    /// `=` in the query of a URL or in form data.
    Query,
}

/// Longest name of a parameter that is looked for in front of `=`, in bytes.
const PARAMETER_BYTES: usize = 64;

fn is_parameter_byte(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | b'~' | b'$')
}

impl Lead {
    /// What the `=` or `:` at `sign` leads to; `is_url` says that the whole text is a URL or a part of one.
    pub(crate) fn at(text: &[u8], sign: usize, is_url: bool) -> Self {
        if at(text, sign) == b':' {
            return Self::Colon;
        }
        let mut start = sign;
        while sign - start < PARAMETER_BYTES && is_parameter_byte(before(text, start, 1)) {
            start -= 1;
        }
        if is_url || matches!(before(text, start, 1), b'?' | b'&' | b'#') { Self::Query } else { Self::Equals }
    }
}

/// Whether another parameter follows the `&` at `sign`: `&user=`, `&amp;user=`.
fn parameter_follows(text: &[u8], sign: usize) -> bool {
    let rest = text.get(sign + 1..).unwrap_or_default();
    let rest = rest.strip_prefix(b"amp;").unwrap_or(rest);
    let length = crate::bytes::run_end(rest.get(..PARAMETER_BYTES).unwrap_or(rest), 0, is_parameter_byte);
    length > 0 && at(rest, length) == b'='
}

/// The range of the value that starts behind `from`, for a name that says it is secret. Only short values are refused, so
/// that looks for values overlap little.
pub(crate) fn value(text: &[u8], from: usize, lead: Lead, says: Says) -> Option<(usize, usize)> {
    let open = opening(text, from);
    let end = match open.quote {
        Some(quote) => quoted_end(text, open.start, quote, open.escapes),
        None => bare_end(text, open.start, lead),
    };
    let value = text.get(open.start..end)?;
    let quoted = open.quote.is_some();
    let bytes_min = if quoted { bytes_min(says) } else { BYTES_MIN };
    let words = !quoted && matches!(lead, Lead::Colon | Lead::Option) && reads_like_words(value);
    let spared = words && !(lead == Lead::Colon && says == Says::Password && is_line(text, from, end, value));
    (!spared && is_secret(value, bytes_min, quoted)).then_some((open.start, end))
}

/// Least length of a value, in bytes.
const BYTES_MIN: usize = 4;

/// The same for one whose ends are sure.
fn bytes_min(says: Says) -> usize {
    if says == Says::Password { 2 } else { BYTES_MIN }
}

/// What is said of passwords rather than being one, in lower case.
const REMARKS: [&[u8]; 24] = [
    b"incorrect",
    b"wrong",
    b"mismatch",
    b"unchanged",
    b"changed",
    b"updated",
    b"reset",
    b"unset",
    b"denied",
    b"failed",
    b"failure",
    b"rejected",
    b"accepted",
    b"disabled",
    b"enabled",
    b"optional",
    b"provided",
    b"unknown",
    b"forgotten",
    b"present",
    b"absent",
    b"valid",
    b"verified",
    b"weak",
];

/// Whether the name before the sign in front of `from` and the word that ends at `end` are a whole line: `password: swordfish`.
fn is_line(text: &[u8], from: usize, end: usize, word: &[u8]) -> bool {
    if !matches!(at(text, end), 0 | b'\n' | b'\r') || REMARKS.iter().any(|remark| remark.eq_ignore_ascii_case(word)) {
        return false;
    }
    let sign = from.saturating_sub(1);
    let mut start = sign;
    while sign - start < PARAMETER_BYTES
        && matches!(before(text, start, 1), b'_' | b'-' | b'.' | b'"' | b'\'' | b' ' | b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9')
    {
        start -= 1;
    }
    // One name, and not the last word of a sentence.
    let name = text.get(start..sign).unwrap_or_default().trim_ascii();
    matches!(before(text, start, 1), 0 | b'\n') && !name.strip_prefix(b"- ").unwrap_or(name).contains(&b' ')
}

/// The range of the secret in a whole text whose key says that it is one: the text without spaces around it.
pub(crate) fn whole(text: &[u8], says: Says) -> Option<(usize, usize)> {
    let start = text.len() - text.trim_ascii_start().len();
    let value = text.trim_ascii();
    is_secret(value, bytes_min(says), true).then_some((start, start + value.len()))
}

/// The range of the national telephone number that is the value behind `from`.
pub(crate) fn phone(text: &[u8], from: usize) -> Option<(usize, usize)> {
    crate::phone::national(text, opening(text, from).start)
}

pub(crate) struct Opening {
    pub(crate) start: usize,
    pub(crate) quote: Option<u8>,
    /// How many backslashes stand before the quote.
    pub(crate) escapes: usize,
}

/// Where a value starts behind `from`: spaces and an opening quote are passed over.
pub(crate) fn opening(text: &[u8], from: usize) -> Opening {
    let mut start = from;
    while start - from < 8 && matches!(at(text, start), b' ' | b'\t') {
        start += 1;
    }
    // The first of a list, as headers are written: `"x-api-key":["…"]`.
    if at(text, start) == b'[' && matches!(at(text, start + 1), b'"' | b'\'' | b'\\') {
        start += 1;
    }
    let mut quote = start;
    while quote - start < 7 && at(text, quote) == b'\\' {
        quote += 1;
    }
    match at(text, quote) {
        byte @ (b'"' | b'\'' | b'`') => Opening { start: quote + 1, quote: Some(byte), escapes: quote - start },
        _ => Opening { start, quote: None, escapes: 0 },
    }
}

/// The end of a value behind an opening quote that `escapes` backslashes precede. A value without a closing quote ends
/// with its line.
pub(crate) fn quoted_end(text: &[u8], start: usize, quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (place, &byte) in text.get(start..).unwrap_or_default().iter().enumerate() {
        let place = start + place;
        crate::bytes::looked_at(1);
        if byte == b'\\' {
            backslashes += 1;
            continue;
        }
        let closes = if escapes == 0 { backslashes % 2 == 0 } else { backslashes <= escapes };
        if byte == quote && closes {
            return if escapes == 0 { place } else { place - backslashes };
        }
        if byte == b'\n' {
            return place;
        }
        backslashes = 0;
    }
    text.len()
}

fn bare_end(text: &[u8], start: usize, lead: Lead) -> usize {
    let mut end = start;
    loop {
        end = crate::bytes::run_end(text, end, |byte| {
            byte > b' '
                && !matches!(
                    byte,
                    b',' | b';' | b'&' | b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'|' | b'<' | b'>' | b'\\'
                )
        });
        match at(text, end) {
            b'&' if lead != Lead::Query && !parameter_follows(text, end) => end += 1,
            // `<redacted>`, `${A}`, `[MASKED]` are whole values.
            b'<' if end == start => end += 1,
            b'>' if at(text, start) == b'<' => return end + 1,
            b'}' if text.get(start..start + 2).is_some_and(|two| matches!(two, b"${" | b"{{" | b"#{")) => {
                return end + 1;
            }
            b']' if at(text, start) == b'[' => return end + 1,
            b')' if at(text, start) == b'(' => return end + 1,
            b'\\' if !matches!(at(text, end + 1), b'n' | b'r' | b't' | b'"' | b'\'' | b'`' | b'\\' | 0) => end += 1,
            _ => return end,
        }
    }
}

pub(crate) fn is_secret(value: &[u8], bytes_min: usize, quoted: bool) -> bool {
    if value.len() > LOOK_BYTES {
        return true;
    }
    if value.len() < bytes_min || value.iter().all(|byte| Some(byte) == value.first()) {
        return false;
    }
    let placeholder = matches!(value.get(..2), Some(b"${" | b"{{" | b"#{" | b"$(" | b"%(" | b"**"))
        || at(value, 0) == b'<' && value.contains(&b'>')
        || at(value, 0) == b'[' && value.last() == Some(&b']') && !value.iter().any(u8::is_ascii_digit)
        || NO_VALUES.iter().any(|none| none.eq_ignore_ascii_case(value));
    let call = !quoted
        && value.iter().position(|&byte| byte == b'(').is_some_and(|open| {
            open > 0 && value.iter().take(open).all(|&byte| is_alnum(byte) || matches!(byte, b'_' | b'.' | b':'))
        });
    !(placeholder || call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_passes_the_short_look() {
        for name in SECRETS.iter().chain(&PHONES) {
            assert!(name_says(name, name.len()).is_some(), "{}", String::from_utf8_lossy(name));
        }
        assert_eq!(name_says(b"Session_Id", 10), Some(Says::Secret));
        assert_eq!(name_says(b"dbPassword", 10), Some(Says::Password));
        assert_eq!(name_says(b"http.response.header.set-cookie", 31), Some(Says::SetCookie));
        assert_eq!(name_says(b"x.API-key", 9), Some(Says::Secret));
        assert_eq!(name_says(b"hotel", 5), None);
        assert_eq!(name_says(b"nextPageToken", 13), None);
        assert_eq!(name_says(b"", 0), None);
    }
}
