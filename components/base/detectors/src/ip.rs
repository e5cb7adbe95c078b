//! IPv4 and IPv6 addresses.
//!
//! IPv4: four numbers up to 255 without leading zeros, no further number joined by a point, not in a place where versions
//! stand (`v1.2.3.4`, `version 1.2.3.4`, `Chrome/120.0.0.0`, `lib-1.2.3.4.jar`). IPv6: the longest run of hexadecimal
//! digits and colons, with a dotted tail if there is one, that has `::` or all its groups and at least one digit; times of
//! day, MAC addresses and eight-byte hardware ids are none, nor are paths such as `f64::consts`.

use crate::bytes::{at, before, digits_end, is_alnum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A run of numbers joined by points.
pub(crate) struct Dotted {
    /// The byte after the last number.
    pub(crate) end: usize,
    /// The address, if it is one by form.
    pub(crate) address: Option<Ipv4Addr>,
    /// Whether it has the lengths 3, 2 and 4.
    pub(crate) like_ssn: bool,
}

/// The run of numbers that starts at `start`, whose first number ends at `first_end`.
pub(crate) fn dotted(text: &[u8], start: usize, first_end: usize) -> Dotted {
    let (mut from, mut end) = (start, first_end);
    let (mut bits, mut count, mut plain) = (0u32, 0usize, true);
    let mut like_ssn = true;
    loop {
        let length = end - from;
        like_ssn &= matches!((count, length), (0, 3) | (1, 2) | (2, 4));
        plain &= length <= 3 && (length == 1 || at(text, from) != b'0');
        if plain {
            let part = crate::bytes::number(text.get(from..end).unwrap_or_default());
            plain = part < 256 && count < 4;
            bits = bits << 8 | part & 0xff;
        }
        count += 1;
        if at(text, end) != b'.' || !at(text, end + 1).is_ascii_digit() {
            break;
        }
        from = end + 1;
        end = digits_end(text, from);
    }
    let alone = !is_alnum(at(text, end));
    let address = (plain && count == 4 && alone).then(|| Ipv4Addr::from_bits(bits));
    Dotted { end, address, like_ssn: like_ssn && count == 3 && alone }
}

/// How many bytes are looked at to tell quickly: an address, and a point and a digit behind it.
pub(crate) const DOTTED_BITS: usize = 17;

/// What numbers joined by points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quick {
    /// An address by form, and the byte after its last number.
    Address(usize, Ipv4Addr),
    /// Neither an address nor of the lengths 3, 2 and 4.
    Neither,
}

/// What [`dotted`] would tell of the run of numbers that starts at `start`, of which it is known which of the next
/// [`DOTTED_BITS`] bytes are digits, and which are points. Nothing if it takes more than that.
#[inline]
pub(crate) fn dotted_in_block(text: &[u8], start: usize, digits: u64, dots: u64) -> Option<Quick> {
    /// The least number of so many digits without a leading zero.
    const LEAST: [u32; 4] = [u32::MAX, 0, 10, 100];
    /// What the second and the third digit from the end count in a number of so many.
    const WEIGHTS: [[u32; 2]; 4] = [[0, 0], [0, 0], [10, 0], [10, 100]];
    const LENGTH_MAX: u32 = (DOTTED_BITS - 2) as u32;
    let joined = dots & digits >> 1;
    let (mut ends, mut lengths, mut from) = ([0; 4], [0; 4], 0);
    for count in 0..4 {
        let length = (!(digits >> from)).trailing_zeros();
        let end = from + length;
        if end > LENGTH_MAX {
            return None;
        }
        ends[count] = end;
        lengths[count] = length;
        from = end + 1;
        if joined >> end & 1 == 0 {
            return match (count, lengths) {
                // No point with a digit behind it, or a number like those of social security.
                (0, _) | (2, [3, 2, 4, _]) => None,
                (1 | 2, _) => Some(Quick::Neither),
                _ => {
                    let mut bits = 0;
                    for (end, length) in ends.into_iter().zip(lengths) {
                        // Without branches for the lengths, which nobody can foresee.
                        let digit = |back: usize| u32::from(before(text, start + end as usize, back) & 0xf);
                        let [tens, hundreds] = WEIGHTS.get(length as usize).copied().unwrap_or_default();
                        let number = digit(1) + tens * digit(2) + hundreds * digit(3);
                        let length = length as usize;
                        if number > 255 || number < *LEAST.get(length).unwrap_or(&u32::MAX) {
                            return Some(Quick::Neither);
                        }
                        bits = bits << 8 | number;
                    }
                    let end = start + end as usize;
                    let alone = !is_alnum(at(text, end));
                    Some(if alone { Quick::Address(end, Ipv4Addr::from_bits(bits)) } else { Quick::Neither })
                }
            };
        }
    }
    // Five numbers or more.
    Some(Quick::Neither)
}

/// Whether numbers joined by points over this range stand where versions do.
pub(crate) fn is_version(text: &[u8], start: usize, end: usize) -> bool {
    let word_back = |from: usize| {
        let mut word = from;
        while from - word < 32
            && (before(text, word, 1).is_ascii_alphanumeric() || matches!(before(text, word, 1), b'_' | b'-'))
        {
            word -= 1;
        }
        word
    };
    match before(text, start, 1) {
        // `Chrome/120.0.0.0`: a product's name has a capital; with a port behind it is `Host/10.1.2.3:80`.
        b'/' => {
            let word = word_back(start - 1);
            let product = at(text, word).is_ascii_uppercase() && !matches!(before(text, word, 1), b'/' | b'.' | b':');
            word < start - 1 && product && !(at(text, end) == b':' && at(text, end + 1).is_ascii_digit())
        }
        // `guava-31.1.0.2.jar`
        b'-' | b'_' => {
            before(text, start, 2).is_ascii_alphabetic()
                && matches!(at(text, end), b'.' | b'-')
                && at(text, end + 1).is_ascii_alphabetic()
        }
        _ => {
            let mut word_end = start;
            while start - word_end < 4 && matches!(before(text, word_end, 1), b' ' | b'=' | b':' | b'"' | b'\'' | b'.')
            {
                word_end -= 1;
            }
            let names: [&[u8]; 7] = [b"v", b"ver", b"version", b"versions", b"release", b"revision", b"build"];
            // Most words are done here.
            if !matches!(before(text, word_end, 1) | 0x20, b'v' | b'r' | b'n' | b's' | b'e' | b'd') {
                return false;
            }
            let mut word = word_end;
            while word_end - word < 12 && before(text, word, 1).is_ascii_alphabetic() {
                word -= 1;
            }
            let word = text.get(word..word_end).unwrap_or_default();
            names.iter().any(|name| word.eq_ignore_ascii_case(name) || ends_with_hump(word, name))
        }
    }
}

/// Whether `word` ends with `name` as a hump of camel case (`appVersion`).
fn ends_with_hump(word: &[u8], name: &[u8]) -> bool {
    name.len() > 2
        && word.len() > name.len()
        && word.split_at_checked(word.len() - name.len()).is_some_and(|(_, tail)| {
            tail.eq_ignore_ascii_case(name)
                && at(tail, 0).is_ascii_uppercase()
                && tail.iter().skip(1).all(u8::is_ascii_lowercase)
        })
}

/// Longest text of an IPv6 address.
const V6_BYTES_MAX: usize = 45;

/// A run of hexadecimal digits and colons around the colon at `colon`, none before it: its end, and the range and value
/// of the address in it.
pub(crate) fn v6(text: &[u8], colon: usize) -> (usize, Option<(usize, usize, Ipv6Addr)>) {
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    let mut start = colon;
    while colon - start < 5 && hex(before(text, start, 1)) {
        start -= 1;
    }
    let run_end = crate::bytes::run_end(text, colon, |byte| hex(byte) || byte == b':');
    if run_end - start > V6_BYTES_MAX + 6 {
        return (run_end, None);
    }
    // A word that ends in letters like these (`id:2001:db8::1`) is not part of the address.
    let previous = before(text, start, 1);
    let fraction = previous == b'.' && before(text, start, 2).is_ascii_digit();
    let touched = is_alnum(previous) || previous == b'_' || fraction || colon - start > 4;
    if touched {
        if at(text, colon + 1) == b':' {
            return (run_end, None);
        }
        start = colon + 1;
    }
    let mut end = run_end;
    if at(text, end) == b'.' && at(text, end + 1).is_ascii_digit() {
        // A dotted tail: the run ends within its first number.
        let first_end = end;
        let mut from = end;
        while from > start && before(text, from, 1).is_ascii_digit() {
            from -= 1;
        }
        let tail = dotted(text, from, first_end);
        if from > start && before(text, from, 1) == b':' && tail.address.is_some() {
            end = tail.end;
        }
    } else if is_alnum(at(text, end)) || at(text, end) == b'_' {
        // The last group belongs to a word: `fe80::1:eth`, `f64::consts`.
        while end > start && before(text, end, 1) != b':' {
            end -= 1;
        }
        if before(text, end, 2) == b':' {
            return (run_end, None);
        }
    }
    if before(text, end, 1) == b':' && before(text, end, 2) != b':' {
        end -= 1;
    }
    let Some(found) = text.get(start..end.max(start)) else { return (run_end, None) };
    (run_end.max(end), parse_v6(found).map(|address| (start, end, address)))
}

fn parse_v6(found: &[u8]) -> Option<Ipv6Addr> {
    if found.len() < 3 || found.len() > V6_BYTES_MAX || !found.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let compressed = found.windows(2).any(|pair| pair == b"::");
    let pairs_only = !compressed && found.split(|&byte| byte == b':').all(|group| group.len() == 2);
    if pairs_only || found.iter().filter(|&&byte| byte == b':').count() < if compressed { 2 } else { 6 } {
        return None;
    }
    std::str::from_utf8(found).ok()?.parse().ok()
}

/// Whether an address names no one on the Internet: private, shared, loopback, link-local, multicast, unspecified,
/// broadcast, documentation.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => {
                let [a, b, ..] = v6.segments();
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || a & 0xfe00 == 0xfc00
                    || a & 0xffc0 == 0xfe80
                    || (a == 0x2001 && b == 0xdb8)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_quickly_is_what_is_told_slowly() {
        let numbers = ["0", "7", "00", "07", "10", "99", "100", "255", "256", "007", "1234", "123456789"];
        let mut state = 1_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut addresses = 0;
        for _ in 0..200_000 {
            let mut text = vec![b' '; random(3)];
            let start = text.len();
            let count = 1 + random(6);
            for place in 0..count {
                if place > 0 {
                    text.push(b'.');
                }
                // Mostly short, so that there are addresses.
                let below = if random(4) == 0 { numbers.len() } else { 8 };
                text.extend_from_slice(numbers[random(below)].as_bytes());
            }
            text.extend_from_slice([&b""[..], b".", b" x", b"a", b".x", b"-"][random(6)]);
            let bits = |is: fn(u8) -> bool| {
                let bytes = text.iter().skip(start).take(DOTTED_BITS).enumerate();
                bytes.fold(0, |bits, (place, byte)| bits | u64::from(is(*byte)) << place)
            };
            let quick = dotted_in_block(&text, start, bits(|byte| byte.is_ascii_digit()), bits(|byte| byte == b'.'));
            let slow = dotted(&text, start, digits_end(&text, start));
            let shown = text.escape_ascii();
            match quick {
                Some(Quick::Address(end, address)) => {
                    assert_eq!((slow.end, slow.address), (end, Some(address)), "{shown}");
                    addresses += 1;
                }
                Some(Quick::Neither) => assert_eq!((slow.address, slow.like_ssn), (None, false), "{shown}"),
                None => {
                    let one = at(&text, digits_end(&text, start)) != b'.' || count == 1;
                    let like_ssn = text.len() >= start + 11 && text[start + 3] == b'.' && text[start + 6] == b'.';
                    assert!(one || like_ssn || text.len() - start > 15, "{shown}");
                }
            }
        }
        assert!(addresses > 1000);
    }
}
