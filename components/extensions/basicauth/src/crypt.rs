//! `crypt`-style hashes: `$apr1$` and `$1$` (MD5, Poul-Henning Kamp), `$5$` and `$6$` (SHA-2, Ulrich Drepper's specification).

use ring::digest::{self, Algorithm, SHA256, SHA512};

use crate::md5;

/// What hashes of this file begin with.
pub(crate) const PREFIXES: [&str; 4] = ["$apr1$", "$1$", "$5$", "$6$"];

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Rounds where the hash names none, and the bounds of what it may name. The specification allows 999 999 999; that much would
/// be a way to keep this machine busy.
const ROUNDS: usize = 5000;
const ROUNDS_MIN: usize = 1000;
const ROUNDS_MAX: usize = 1_000_000;

/// The hash of `password` with the kind, salt and rounds of `like`; `None` if that is no hash of a known kind.
pub(crate) fn hash(password: &[u8], like: &str) -> Option<String> {
    if let Some(rest) = like.strip_prefix("$apr1$") {
        return md5_crypt(password, "$apr1$", rest.split('$').next()?);
    }
    if let Some(rest) = like.strip_prefix("$1$") {
        return md5_crypt(password, "$1$", rest.split('$').next()?);
    }
    let (prefix, algorithm) = if like.starts_with("$5$") { ("$5$", &SHA256) } else { ("$6$", &SHA512) };
    let rest = like.strip_prefix(prefix)?;
    let (named, rest) = match rest.strip_prefix("rounds=") {
        Some(named) => {
            let (named, rest) = named.split_once('$')?;
            (Some(named.parse::<usize>().ok()?), rest)
        }
        None => (None, rest),
    };
    if named.is_some_and(|rounds| rounds > ROUNDS_MAX) {
        return None;
    }
    let rounds = named.map(|rounds| rounds.max(ROUNDS_MIN));
    sha_crypt(algorithm, password, prefix, rest.split('$').next()?, rounds)
}

/// Writes the low `characters` times six bits of `bits`.
fn encode(mut bits: u32, characters: usize, into: &mut String) {
    for _ in 0..characters {
        into.push(char::from(ALPHABET[bits as usize & 63]));
        bits >>= 6;
    }
}

fn md5_crypt(password: &[u8], magic: &str, salt: &str) -> Option<String> {
    let salt = salt.get(..8).unwrap_or(salt);
    let inner = md5::digest(&[password, salt.as_bytes(), password]);
    let mut start = [password, magic.as_bytes(), salt.as_bytes()].concat();
    start.extend(inner.iter().cycle().take(password.len()));
    let mut length = password.len();
    while length > 0 {
        start.push(if length & 1 == 1 { 0 } else { password.first().copied().unwrap_or(0) });
        length >>= 1;
    }
    let mut sum = md5::digest(&[&start]);
    for round in 0..1000 {
        let odd = round % 2 == 1;
        let first: &[u8] = if odd { password } else { &sum };
        let salted: &[u8] = if round % 3 == 0 { b"" } else { salt.as_bytes() };
        let again: &[u8] = if round % 7 == 0 { b"" } else { password };
        let last: &[u8] = if odd { &sum } else { password };
        sum = md5::digest(&[first, salted, again, last]);
    }
    let mut text = format!("{magic}{salt}$");
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        encode(u32::from_be_bytes([0, sum[a], sum[b], sum[c]]), 4, &mut text);
    }
    encode(u32::from(sum[11]), 2, &mut text);
    Some(text)
}

fn sha_crypt(
    algorithm: &'static Algorithm,
    password: &[u8],
    prefix: &str,
    salt: &str,
    rounds: Option<usize>,
) -> Option<String> {
    let salt = salt.get(..16).unwrap_or(salt);
    let sum_of = |parts: &[&[u8]]| {
        let mut context = digest::Context::new(algorithm);
        parts.iter().for_each(|part| context.update(part));
        context.finish().as_ref().to_vec()
    };
    let repeat = |sum: &[u8], bytes: usize| sum.iter().copied().cycle().take(bytes).collect::<Vec<u8>>();
    let inner = sum_of(&[password, salt.as_bytes(), password]);
    let mut start = [password, salt.as_bytes(), &repeat(&inner, password.len())].concat();
    let mut length = password.len();
    while length > 0 {
        start.extend_from_slice(if length & 1 == 1 { &inner } else { password });
        length >>= 1;
    }
    let mut sum = sum_of(&[&start]);
    let passwords = repeat(&sum_of(&[&password.repeat(password.len())]), password.len());
    let salts = sum_of(&[&salt.as_bytes().repeat(16 + usize::from(*sum.first()?))]);
    let salts = repeat(&salts, salt.len());
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let odd = round % 2 == 1;
        let first: &[u8] = if odd { &passwords } else { &sum };
        let salted: &[u8] = if round % 3 == 0 { b"" } else { &salts };
        let again: &[u8] = if round % 7 == 0 { b"" } else { &passwords };
        let last: &[u8] = if odd { &sum } else { &passwords };
        sum = sum_of(&[first, salted, again, last]);
    }
    let rounds = rounds.map(|rounds| format!("rounds={rounds}$")).unwrap_or_default();
    let mut text = format!("{prefix}{rounds}{salt}$");
    // Triples of bytes a third apart, each starting one later than the last, in an order that turns.
    let third = sum.len() / 3;
    let step = if sum.len() == 32 { [0, 10, 20] } else { [0, 21, 42] };
    let mut triple = step;
    for _ in 0..third {
        let [a, b, c] = triple.map(|index| sum.get(index).copied().unwrap_or(0));
        encode(u32::from_be_bytes([0, a, b, c]), 4, &mut text);
        let [a, b, c] = triple;
        triple = if sum.len() == 32 { [c + 1, a + 1, b + 1] } else { [b + 1, c + 1, a + 1] };
    }
    if sum.len() == 32 {
        encode(u32::from_be_bytes([0, 0, sum[31], sum[30]]), 3, &mut text);
    } else {
        encode(u32::from(sum[63]), 2, &mut text);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn hashes_are_those_of_other_implementations() {
        for (password, expected) in [
            ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            ("Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
            ("myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"),
        ] {
            assert_eq!(hash(password.as_bytes(), expected).as_deref(), Some(expected));
            assert_ne!(hash(b"other", expected).as_deref(), Some(expected));
        }
        for bad in ["", "$2y$x", "$5$rounds=x$s$", "$6$rounds=999999999$s$"] {
            assert_eq!(hash(b"x", bad), None, "{bad}");
        }
    }
}
