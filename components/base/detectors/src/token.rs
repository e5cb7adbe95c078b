//! Keys and tokens with their issuers' prefixes.
//!
//! A prefix counts where no letter or digit stands before it. What follows must be long enough in its alphabet, and not
//! be a placeholder: `ghp_xxxx…` has too little entropy. GitHub's tokens carry a checksum; one that fits is proof, one
//! that does not leaves the other tests to decide, since a mistyped or newer token is a secret too.

use crate::Kind;
use crate::bytes::{LOOK_BYTES, at, before, entropy, find, is_alnum, is_base64url, run_end};

/// What follows a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Base64 with padding.
    Base64,
    /// Lower-case hexadecimal digits, and no more than the length.
    Hex,
    /// Capitals and 2 to 7, and no more than the length.
    Base32,
}

impl Tail {
    fn holds(self, byte: u8) -> bool {
        match self {
            Self::Alnum => is_alnum(byte),
            Self::Url => is_base64url(byte),
            Self::Dotted => is_base64url(byte) || byte == b'.',
            Self::Base64 => is_alnum(byte) || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
        }
    }

    /// Whether a longer run is another thing.
    fn exact(self) -> bool {
        matches!(self, Self::Hex | Self::Base32)
    }
}

/// A prefix, what follows it, and the least length of that.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) prefix: &'static [u8],
    pub(crate) kind: Kind,
    tail: Tail,
    tail_bytes_min: usize,
}

const fn issuer(prefix: &'static [u8], kind: Kind, tail: Tail, tail_bytes_min: usize) -> Issuer {
    Issuer { prefix, kind, tail, tail_bytes_min }
}

/// The issuers; each prefix has at least three bytes. A longer prefix stands before its own beginning.
pub(crate) const ISSUERS: &[Issuer] = &[
    // AWS access key ids
    issuer(b"AKIA", Kind::CloudKey, Tail::Base32, 16),
    issuer(b"ASIA", Kind::CloudKey, Tail::Base32, 16),
    issuer(b"ABIA", Kind::CloudKey, Tail::Base32, 16),
    issuer(b"ACCA", Kind::CloudKey, Tail::Base32, 16),
    issuer(b"A3T", Kind::CloudKey, Tail::Base32, 17),
    // Google: API keys, access tokens, client secrets
    issuer(b"AIza", Kind::CloudKey, Tail::Url, 35),
    issuer(b"ya29.", Kind::CloudKey, Tail::Dotted, 20),
    issuer(b"GOCSPX-", Kind::CloudKey, Tail::Url, 20),
    // DigitalOcean
    issuer(b"dop_v1_", Kind::CloudKey, Tail::Hex, 64),
    // GitHub
    issuer(b"ghp_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"gho_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"ghu_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"ghs_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"ghr_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"github_pat_", Kind::ApiToken, Tail::Url, 60),
    // GitLab
    issuer(b"glpat-", Kind::ApiToken, Tail::Dotted, 20),
    issuer(b"gldt-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"glrt-", Kind::ApiToken, Tail::Dotted, 20),
    issuer(b"glptt-", Kind::ApiToken, Tail::Url, 20),
    // Slack
    issuer(b"xoxa-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xoxb-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xoxe-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xoxe.", Kind::ApiToken, Tail::Dotted, 10),
    issuer(b"xoxp-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xoxr-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xoxs-", Kind::ApiToken, Tail::Url, 10),
    issuer(b"xapp-", Kind::ApiToken, Tail::Url, 10),
    // Stripe
    issuer(b"sk_live_", Kind::ApiToken, Tail::Alnum, 10),
    issuer(b"sk_test_", Kind::ApiToken, Tail::Alnum, 10),
    issuer(b"rk_live_", Kind::ApiToken, Tail::Alnum, 10),
    issuer(b"rk_test_", Kind::ApiToken, Tail::Alnum, 10),
    issuer(b"whsec_", Kind::ApiToken, Tail::Base64, 24),
    // Anthropic, OpenAI, OpenRouter, Hugging Face
    issuer(b"sk-ant-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"sk-proj-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"sk-svcacct-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"sk-admin-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"sk-or-", Kind::ApiToken, Tail::Url, 20),
    issuer(b"sk-", Kind::ApiToken, Tail::Alnum, 20),
    issuer(b"hf_", Kind::ApiToken, Tail::Alnum, 30),
    // package registries
    issuer(b"npm_", Kind::ApiToken, Tail::Alnum, 36),
    issuer(b"pypi-", Kind::ApiToken, Tail::Url, 50),
    issuer(b"rubygems_", Kind::ApiToken, Tail::Hex, 48),
    issuer(b"dckr_pat_", Kind::ApiToken, Tail::Url, 27),
    // Databricks, Grafana, Vault, SendGrid, Shopify, New Relic, Sentry, age
    issuer(b"dapi", Kind::ApiToken, Tail::Hex, 32),
    issuer(b"glsa_", Kind::ApiToken, Tail::Url, 32),
    issuer(b"glc_", Kind::ApiToken, Tail::Base64, 32),
    issuer(b"hvs.", Kind::ApiToken, Tail::Url, 24),
    issuer(b"SG.", Kind::ApiToken, Tail::Dotted, 60),
    issuer(b"shpat_", Kind::ApiToken, Tail::Alnum, 32),
    issuer(b"shpss_", Kind::ApiToken, Tail::Alnum, 32),
    issuer(b"NRAK-", Kind::ApiToken, Tail::Alnum, 27),
    issuer(b"sntrys_", Kind::ApiToken, Tail::Base64, 40),
    issuer(b"AGE-SECRET-KEY-1", Kind::ApiToken, Tail::Alnum, 58),
];

impl Issuer {
    /// The end of the token whose prefix stands at `start`.
    pub(crate) fn token_end(&self, text: &[u8], start: usize) -> Option<usize> {
        let tail_start = start + self.prefix.len();
        if text.get(start..tail_start) != Some(self.prefix) {
            return None;
        }
        let look = text.get(tail_start..)?;
        let look = look.get(..LOOK_BYTES).unwrap_or(look);
        let length = run_end(look, 0, |byte| self.tail.holds(byte));
        if length < self.tail_bytes_min {
            return None;
        }
        let tail = look.get(..length)?;
        let checked = self.prefix.starts_with(b"gh") && tail.len() == 36 && has_crc(tail);
        if !checked && !is_varied(tail, self.tail == Tail::Base32) {
            return None;
        }
        let mut end = tail_start + length;
        if self.tail.exact() {
            end = tail_start + self.tail_bytes_min;
            // Databricks numbers some: `dapi…-2`.
            if self.prefix == b"dapi" && at(text, end) == b'-' && at(text, end + 1).is_ascii_digit() {
                end += 2;
            }
            return (!is_alnum(at(text, end))).then_some(end);
        }
        if length == LOOK_BYTES {
            end = run_end(text, end, |byte| self.tail.holds(byte));
        }
        while matches!(before(text, end, 1), b'.' | b'-') {
            end -= 1;
        }
        Some(end)
    }
}

/// Whether what follows a prefix looks drawn at random. Of 16 random characters out of 32 one sample in two hundred has less
/// than 3 bits; longer ones out of more have them always, and a digit or both letter cases.
pub(crate) fn is_varied(tail: &[u8], base32: bool) -> bool {
    let any = |inside: fn(&u8) -> bool| tail.iter().any(inside);
    let mixed = any(u8::is_ascii_digit) || any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    if base32 { entropy(tail) >= 2.5 } else { mixed && entropy(tail) >= 3.0 }
}

/// Whether the last six of 36 characters are the CRC-32 of the others, in base 62.
fn has_crc(tail: &[u8]) -> bool {
    let Some((random, check)) = tail.split_at_checked(30) else { return false };
    let stated = check.iter().try_fold(0u64, |sum, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(sum * 62 + u64::from(digit))
    });
    stated == Some(u64::from(crc32(random)))
}

/// CRC-32 as in Ethernet and zip, bit by bit: it runs over thirty bytes, and seldom.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1)))
    })
}

/// The end of the PEM block whose `BEGIN` stands at `begin`: behind its `END` line, or the end of the text when it was
/// cut short. Returns the block's start too.
pub(crate) fn pem_block(text: &[u8], begin: usize) -> Option<(usize, usize)> {
    let start = begin.checked_sub(5)?;
    let label = text.get(begin..)?.strip_prefix(b"BEGIN ")?;
    let label = label.get(..64).unwrap_or(label);
    let length = run_end(label, 0, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let label = label.get(..length)?;
    if text.get(start..begin) != Some(b"-----")
        || !(label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK"))
        || !text.get(begin + 6 + length..)?.starts_with(b"-----")
    {
        return None;
    }
    let body = begin + 11 + length;
    let end = find(text.get(body..)?, b"-----END ").map_or(text.len(), |found| {
        let label = body + found + 9;
        let rest = text.get(label..label + 64).or(text.get(label..)).unwrap_or_default();
        find(rest, b"-----").map_or(label, |dashes| label + dashes + 5)
    });
    Some((start, end))
}

/// The end of the JSON web token that starts at `start`: a header that decodes to a JSON object with `alg`, and up to
/// four more parts in base64url, of which the payload must not be empty.
pub(crate) fn jwt_end(text: &[u8], start: usize) -> Option<usize> {
    if is_base64url(before(text, start, 1)) {
        return None;
    }
    let part_end = |from: usize| run_end(text, from, is_base64url);
    let header_end = part_end(start);
    if at(text, header_end) != b'.' || !is_base64url(at(text, header_end + 1)) {
        return None;
    }
    let header = crate::bytes::base64_decode(text.get(start..header_end)?, 8192)?;
    let names_alg = memchr::memmem::find_iter(&header, b"\"alg\"").any(|found| {
        let colon = run_end(&header, found + 5, |byte| byte.is_ascii_whitespace());
        at(&header, colon) == b':'
    });
    if header.last() != Some(&b'}') || !names_alg || std::str::from_utf8(&header).is_err() {
        return None;
    }
    let mut end = part_end(header_end + 1);
    for _ in 2..5 {
        // An unsigned token ends with a point; a sentence may too.
        if at(text, end) != b'.' {
            break;
        }
        let part = part_end(end + 1);
        if part == end + 1 {
            break;
        }
        end = part;
    }
    Some(end)
}

/// The token behind `Bearer ` or `Basic ` at `start`, letter case aside. In prose (`bearer authentication`) a word is none;
/// behind a name that says `authorization` it is.
pub(crate) fn credentials(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let is_scheme =
        |name: &[u8]| text.get(start..start + name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let (basic, scheme_end) = match (is_scheme(b"bearer"), is_scheme(b"basic")) {
        (true, _) => (false, start + 6),
        (_, true) => (true, start + 5),
        _ => return None,
    };
    // `%20` was undone in a second look; form data has `+`.
    let mut token = scheme_end;
    while token - scheme_end < 8 && matches!(at(text, token), b' ' | b'\t' | b'+') {
        token += 1;
    }
    if token == scheme_end {
        return None;
    }
    let mut end =
        run_end(text, token, |byte| is_alnum(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'));
    end = run_end(text, end, |byte| byte == b'=');
    let value = text.get(token..end)?;
    let fits = value.len() >= 8
        && if basic {
            crate::bytes::base64_decode(value, 8192).is_some_and(|decoded| {
                decoded.contains(&b':')
                    && std::str::from_utf8(&decoded).is_ok_and(|pair| !pair.chars().any(char::is_control))
            })
        } else {
            value.len() >= 24 || !crate::bytes::reads_like_words(value)
        };
    (fits || value.len() >= AUTHORIZED_BYTES_MIN && is_authorization(text, start)).then_some((token, end))
}

/// Shortest token of a header that is known to be one, in bytes.
const AUTHORIZED_BYTES_MIN: usize = 4;

/// Whether the scheme at `start` is the beginning of a value that a name ending with `authorization` leads to.
fn is_authorization(text: &[u8], start: usize) -> bool {
    let back = |from: usize, of: &[u8]| {
        let mut place = from;
        while from - place < 8 && of.contains(&before(text, place, 1)) {
            place -= 1;
        }
        place
    };
    let mut sign = back(start, b" \t\"'`\\[");
    sign -= usize::from(before(text, sign, 1) == b'>');
    if !matches!(before(text, sign, 1), b':' | b'=') {
        return false;
    }
    let end = back(sign - 1, b" \t\"'`\\]");
    let name = end.checked_sub(13).and_then(|start| text.get(start..end));
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"authorization"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn prefixes_are_long_enough_for_the_filter_and_longer_ones_come_first() {
        for (place, issuer) in ISSUERS.iter().enumerate() {
            assert!(issuer.prefix.len() >= 3);
            let earlier = ISSUERS.get(..place).unwrap();
            assert!(!earlier.iter().any(|other| issuer.prefix.starts_with(other.prefix)), "{:?}", issuer.prefix);
        }
        assert!(ISSUERS.len() < 56, "one bit each, and a few for others");
    }
}
