//! User-info and query parameters of URLs.
//!
//! A parameter is a name on the list behind `?`, `&`, `;` or `#` (or at the start, where a text is known to be a query) and
//! before `=`; letter case and percent-escapes in the name do not count, and of `user[email]` the last part does. Its value
//! goes to the next `&`, `#`, space, quote, bracket of a tag or backslash, and to a `;` that begins another parameter.
//! User-info is all before the last `@` of an authority.

use crate::QUERY_PARAMETER_BYTES_MAX;
use crate::bytes::{at, before, is_alnum, run_end};

/// Names of parameters, in lower case.
#[derive(Debug)]
pub(crate) struct Names {
    /// By length, then in order.
    names: Vec<Vec<u8>>,
    /// Whether a name ends with this byte.
    last: [bool; 256],
}

impl Names {
    pub(crate) fn new(names: &[String]) -> Self {
        let mut names: Vec<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase().into_bytes()).collect();
        names.sort_unstable();
        names.dedup();
        let mut last = [false; 256];
        for &byte in names.iter().filter_map(|name| name.last()) {
            last[usize::from(byte)] = true;
            last[usize::from(byte.to_ascii_uppercase())] = true;
        }
        // A name may end with an escape or a bracket.
        last[usize::from(b']')] = true;
        Self { names, last }
    }

    fn contains(&self, name: &[u8]) -> bool {
        let mut lower = [0u8; QUERY_PARAMETER_BYTES_MAX];
        let Some(lower) = lower.get_mut(..name.len()) else { return false };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.names.binary_search_by(|other| other.as_slice().cmp(lower)).is_ok()
    }

    /// The range of the value behind the `=` at `sign`, if the name before it is on the list.
    pub(crate) fn value(&self, text: &[u8], sign: usize, from_start: bool) -> Option<(usize, usize)> {
        let escaped = before(text, sign, 3) == b'%';
        if !self.last[usize::from(before(text, sign, 1))] && !escaped {
            return None;
        }
        let mut start = sign;
        while sign - start <= QUERY_PARAMETER_BYTES_MAX * 3 && is_name(before(text, start, 1)) {
            start -= 1;
        }
        let mut name = text.get(start..sign)?;
        match before(text, start, 1) {
            b'?' | b'&' | b';' | b'#' => {}
            _ if start == 0 && from_start => {}
            _ => return None,
        }
        let mut plain = [0u8; QUERY_PARAMETER_BYTES_MAX];
        let mut length = 0;
        while let Some(&byte) = name.first() {
            let (byte, taken) = match crate::unescape::escape(name, 0) {
                Some(escape) => escape,
                None => (byte, 1),
            };
            *plain.get_mut(length)? = byte;
            length += 1;
            name = name.get(taken..)?;
        }
        let mut plain = plain.get(..length)?;
        plain = plain.strip_suffix(b"[]").unwrap_or(plain);
        if let Some(inner) = plain.strip_suffix(b"]") {
            plain = inner.iter().rposition(|&byte| byte == b'[').and_then(|open| inner.get(open + 1..))?;
        }
        if !self.contains(plain) {
            return None;
        }
        let end = value_end(text, sign + 1);
        (end > sign + 1).then_some((sign + 1, end))
    }
}

fn is_name(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'$' | b':' | b'%' | b'[' | b']')
}

fn value_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        end = run_end(text, end, |byte| {
            byte > b' ' && !matches!(byte, b'&' | b';' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
        });
        if at(text, end) != b';' {
            return end;
        }
        let mut name = end + 1;
        while name - end <= QUERY_PARAMETER_BYTES_MAX && is_name(at(text, name)) {
            name += 1;
        }
        if name > end + 1 && at(text, name) == b'=' || at(text, end + 1) <= b' ' {
            return end;
        }
        end += 1;
    }
}

/// The range of the user-info of the URL whose scheme ends at `colon`, and whose `//` follows.
pub(crate) fn userinfo(text: &[u8], colon: usize) -> Option<(usize, usize)> {
    let slashes = if at(text, colon + 1) == b'\\' { 4 } else { 2 };
    let prefix: &[u8] = if slashes == 4 { b"\\/\\/" } else { b"//" };
    let start = colon + 1 + slashes;
    if !is_alnum(before(text, colon, 1)) || text.get(colon + 1..start) != Some(prefix) {
        return None;
    }
    let end = run_end(text, start, |byte| {
        byte > b' ' && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
    });
    let sign = start + text.get(start..end)?.iter().rposition(|&byte| byte == b'@')?;
    (sign > start).then_some((start, sign))
}
