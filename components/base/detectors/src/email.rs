//! E-mail addresses.
//!
//! The local part has 1 to 64 bytes: ASCII letters and digits, `.`, `_`, `+`, `-`, `~`, and the letters of Latin scripts
//! beyond ASCII (U+00C0 to U+027F), not the rest of RFC 5322's, which in logs are punctuation around an address. The domain
//! has labels of ASCII and of letters of two bytes (Latin, Greek, Cyrillic and other scripts to U+07FF), a top level of letters
//! of one of the two, 255 bytes at most; the furthest end of that form counts. Not taken:
//! `user@host`, `git@…` (how repositories are addressed), packages with a version (`lodash@4.17.21.tgz`), and top levels
//! that are endings of files and units (`icon@2x.png`, `user@1000.service`).

use crate::bytes::{at, before, is_alnum};

const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// Last labels that are no top-level domains but met in names with an `@`.
const NO_TOP_LEVEL: [&[u8]; 32] = [
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"json", b"html", b"htm", b"php", b"xml", b"tgz",
    b"gz", b"jar", b"tar", b"log", b"txt", b"conf", b"yaml", b"yml", b"service", b"timer", b"target", b"socket",
    b"mount", b"slice", b"scope", b"device", b"path", b"swap",
];

/// The range of the address around the `@` at `sign`.
pub(crate) fn address(text: &[u8], sign: usize) -> Option<(usize, usize)> {
    let start = local_start(text, sign)?;
    let end = domain_end(text, sign + 1)?;
    (text.get(start..sign) != Some(b"git")).then_some((start, end))
}

fn local_start(text: &[u8], sign: usize) -> Option<usize> {
    let mut start = sign;
    loop {
        start -= match before(text, start, 1) {
            b'.' | b'_' | b'+' | b'-' | b'~' => 1,
            byte if is_alnum(byte) => 1,
            0x80..=0xbf if is_latin(before(text, start, 2), before(text, start, 1)) => 2,
            _ => break,
        };
        if sign - start > LOCAL_BYTES_MAX + 3 {
            return None;
        }
    }
    // What an escape in front of the address stands for is not part of it: `%22jane@…`, `\njane@…`.
    if let escaping @ (b'%' | b'\\') = before(text, start, 1)
        && let Some((byte, end)) = crate::unescape::escape(text, start - 1)
        && (escaping == b'\\' || byte.is_ascii())
        && !is_alnum(byte)
        && !matches!(byte, b'.' | b'_' | b'+' | b'-' | b'~')
    {
        start = end;
    }
    while start < sign && matches!(at(text, start), b'.' | b'-') {
        start += 1;
    }
    (1..=LOCAL_BYTES_MAX).contains(&(sign.checked_sub(start)?)).then_some(start)
}

/// Letters of Latin-1 to IPA, without the signs of multiplication and division.
fn is_latin(lead: u8, trail: u8) -> bool {
    matches!(lead, 0xc3..=0xc9) && !(lead == 0xc3 && matches!(trail, 0x97 | 0xb7))
}

/// The end of the label at `start`.
fn label_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    // What is encoded is ASCII.
    let encoded = text.get(start..start + 4).is_some_and(|tag| tag.eq_ignore_ascii_case(b"xn--"));
    loop {
        end = crate::bytes::run_end(text, end, |byte| is_alnum(byte) || byte == b'-');
        let (lead, trail) = (at(text, end), at(text, end + 1));
        let is_letter = matches!(lead, 0xc3..=0xdf) && matches!(trail, 0x80..=0xbf) && !encoded;
        if !is_letter || lead == 0xc3 && matches!(trail, 0x97 | 0xb7) || end - start > DOMAIN_BYTES_MAX {
            return end;
        }
        end += 2;
    }
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut from, mut best, mut numeric) = (start, None, 0);
    for place in 0.. {
        let end = label_end(text, from);
        let label = text.get(from..end)?;
        let letters = from + label.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(label.len());
        // `jane@x.org-backup` ends with `org`, and so does one that a letter of another script touches.
        let cut = letters < end && (at(text, letters) == b'-' || at(text, letters) >= 0x80 && letters > from);
        let top_end = if cut { letters } else { end };
        let top = text.get(from..top_end)?;
        let foreign = top.len() >= 4 && top.iter().all(|&byte| byte >= 0x80);
        let named = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic) || foreign;
        let international = label.len() > 4 && label.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case(b"xn--"));
        if place > 0 && (named || international) {
            let top_end = if international { end } else { top_end };
            if top_end - start <= DOMAIN_BYTES_MAX {
                best = Some((from, top_end));
            }
        }
        numeric += usize::from(place < 2 && label.iter().all(u8::is_ascii_digit));
        let well_formed = (1..=63).contains(&label.len()) && at(label, 0) != b'-' && label.last() != Some(&b'-');
        if !well_formed || at(text, end) != b'.' || end - start > DOMAIN_BYTES_MAX {
            break;
        }
        from = end + 1;
    }
    let (top, end) = best?;
    let top = text.get(top..end)?;
    (numeric < 2 && !NO_TOP_LEVEL.iter().any(|name| name.eq_ignore_ascii_case(top))).then_some(end)
}
