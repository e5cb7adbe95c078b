//! Forms of a found value: the canonical one, to be hashed for pseudonyms, and the partial one, that may stay in a text.
//!
//! Both take the bytes as they stand in the text, escapes included.

use crate::Kind;
use crate::unescape::{self, plain};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Appends to `out` the form of `found` that is equal for all spellings of one value: digits alone for cards, SSNs, ITINs
/// and phones (with the `+` if there is one), no separators for IBANs, lower-case domain for e-mail, the shortest form for
/// addresses. Escapes are undone for these kinds. For every other kind, and for a value that does not parse, the
/// bytes as they are.
pub fn canonical(kind: Kind, found: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::PaymentCard | Kind::UsSsn | Kind::UsItin | Kind::Phone => {
            let plain = unescaped(found);
            if plain.first() == Some(&b'+') {
                out.push(b'+');
            }
            out.extend(plain.iter().filter(|byte| byte.is_ascii_digit()));
        }
        Kind::Iban => out.extend(unescaped(found).iter().filter(|byte| byte.is_ascii_alphanumeric())),
        Kind::Email => {
            let plain = unescaped(found);
            let domain = memchr::memrchr(b'@', &plain).unwrap_or(plain.len());
            let (local, domain) = plain.split_at(domain);
            out.extend_from_slice(local);
            out.extend(domain.iter().map(u8::to_ascii_lowercase));
        }
        Kind::Ipv4 | Kind::Ipv6 => match address(found) {
            Some(address) => out.extend_from_slice(address.to_canonical().to_string().as_bytes()),
            None => out.extend_from_slice(found),
        },
        _ => out.extend_from_slice(found),
    }
}

/// Appends to `out` what may stay of `found` and returns true: the last four digits of a card behind `****`, the first
/// character and the domain of an e-mail address around `***`, the /24 or /48 of an address. Other kinds have no such form,
/// nor has a value that does not parse: nothing is appended, false.
pub fn partial(kind: Kind, found: &[u8], out: &mut Vec<u8>) -> bool {
    match kind {
        Kind::PaymentCard => {
            let mut digits = Vec::with_capacity(19);
            digits.extend(unescaped(found).iter().filter(|byte| byte.is_ascii_digit()));
            // More than a card's digits: the finding was joined with another one.
            let Some(last) = digits.last_chunk::<4>().filter(|_| (13..=19).contains(&digits.len())) else {
                return false;
            };
            out.extend_from_slice(b"****");
            out.extend_from_slice(last);
        }
        Kind::Email => {
            let plain = unescaped(found);
            let Ok(plain) = std::str::from_utf8(&plain) else { return false };
            let Some((local, domain)) = plain.rsplit_once('@') else { return false };
            let Some(first) = local.chars().next() else { return false };
            out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            out.extend_from_slice(b"***@");
            out.extend(domain.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        Kind::Ipv4 | Kind::Ipv6 => {
            let Some(address) = address(found) else { return false };
            out.extend_from_slice(mask_ip(address).to_string().as_bytes());
        }
        _ => return false,
    }
    true
}

/// The network that stays of an address: the first 24 bits of IPv4, the first 48 of IPv6; mapped IPv4 like IPv4.
#[must_use]
pub fn mask_ip(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
    }
}

fn address(found: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(&unescaped(found)).ok()?.parse().ok()
}

fn unescaped(found: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'\\', found).is_none() && !found.iter().any(|byte| unescape::LEADS.contains(byte)) {
        return Cow::Borrowed(found);
    }
    let mut undone = Vec::with_capacity(found.len());
    let mut from = 0;
    while let Some(&byte) = found.get(from) {
        let (byte, to) = plain(found, from).unwrap_or((Some(byte), from + 1));
        undone.extend(byte);
        from = to;
    }
    Cow::Owned(undone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_are_equal() {
        let same = |kind, spellings: &[&str], expected: &str| {
            for spelling in spellings {
                let mut out = b">".to_vec();
                canonical(kind, spelling.as_bytes(), &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), format!(">{expected}"), "{spelling}");
            }
        };
        same(
            Kind::PaymentCard,
            &[
                "4111111111111111",
                "4111 1111 1111 1111",
                "4111%201111%201111-1111",
                "4111\u{a0}1111\u{200b}１１１１1111",
            ],
            "4111111111111111",
        );
        same(Kind::UsSsn, &["536-22-1234", "536221234"], "536221234");
        same(Kind::Phone, &["+49 151 12345678", "+49-151-12345678", "%2B4915112345678"], "+4915112345678");
        same(Kind::Iban, &["DE89 3704 0044 0532 0130 00", "DE89370400440532013000"], "DE89370400440532013000");
        same(Kind::Email, &["Jane@X.Org", "Jane%40x.ORG", "Jane\u{200b}＠x.org"], "Jane@x.org");
        same(Kind::Ipv6, &["2001:DB8:0:0:0:0:0:1", "2001:db8::1", "2001%3Adb8%3A%3A1"], "2001:db8::1");
        same(Kind::Ipv4, &["10.1.2.3"], "10.1.2.3");
        same(Kind::Ipv6, &["::ffff:10.1.2.3", "::ffff:a01:203"], "10.1.2.3");
        same(Kind::SecretAssignment, &["a%20b"], "a%20b");
        same(Kind::Ipv4, &["joined, no address"], "joined, no address");
    }

    #[test]
    fn partial_forms_keep_little() {
        let part = |kind, found: &str| {
            let mut out = Vec::new();
            partial(kind, found.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(part(Kind::PaymentCard, "4111 1111 1111 1234").as_deref(), Some("****1234"));
        assert_eq!(part(Kind::PaymentCard, "4111 1111"), None);
        assert_eq!(part(Kind::Email, "jane@X.org").as_deref(), Some("j***@x.org"));
        assert_eq!(part(Kind::Email, "üwe%40x.org").as_deref(), Some("ü***@x.org"));
        assert_eq!(part(Kind::Email, "jane"), None);
        assert_eq!(part(Kind::Ipv4, "203.0.113.77").as_deref(), Some("203.0.113.0"));
        assert_eq!(part(Kind::Ipv6, "2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::"));
        assert_eq!(part(Kind::Ipv6, "::ffff:203.0.113.77").as_deref(), Some("203.0.113.0"));
        assert_eq!(part(Kind::Ipv6, "x"), None);
        assert_eq!(part(Kind::UsSsn, "536-22-1234"), None);
    }
}
