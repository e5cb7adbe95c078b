//! What stands in place of a finding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use detectors::{Kind, render};
use sha2::digest::Digest;

use crate::config::Action;
use crate::hash::put_hex;
use crate::pseudonym::{Derived, Keys};
use crate::rules::Treatment;

/// What renders findings.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    /// Keys of the tenant that is being worked for.
    pub(crate) derived: Derived,
    decoded: Vec<u8>,
    canonical: Vec<u8>,
}

impl Renderer {
    /// Appends what stands in place of `found`. For [`Action::Drop`], which takes the whole attribute, the label.
    pub(crate) fn put(
        &mut self,
        kind: Kind,
        treatment: &Treatment,
        action: Action,
        keys: &Keys,
        found: &[u8],
        out: &mut Vec<u8>,
    ) {
        match action {
            Action::Mask | Action::Drop => out.extend_from_slice(&treatment.label),
            Action::Partial => {
                let plain = percent_decoded(found, &mut self.decoded);
                if !put_partial(kind, treatment.prefix, plain, out) {
                    out.extend_from_slice(&treatment.label);
                }
            }
            Action::Sha256 => {
                let canonical = self.canonical(kind, found);
                put_hex(out, &sha2::Sha256::digest(canonical));
            }
            Action::Hmac => {
                self.canonical(kind, found);
                keys.put(&mut self.derived, kind.name(), &self.canonical, out);
            }
        }
    }

    /// Appends what stands in place of a whole value that a key makes grave.
    pub(crate) fn put_whole(&mut self, action: Action, keys: &Keys, value: &[u8], out: &mut Vec<u8>) {
        match action {
            Action::Mask | Action::Partial | Action::Drop => out.extend_from_slice(b"<REDACTED>"),
            Action::Sha256 => put_hex(out, &sha2::Sha256::digest(value)),
            Action::Hmac => keys.put(&mut self.derived, "value", value, out),
        }
    }

    fn canonical(&mut self, kind: Kind, found: &[u8]) -> &[u8] {
        let plain = percent_decoded(found, &mut self.decoded);
        self.canonical.clear();
        render::canonical(kind, plain, &mut self.canonical);
        &self.canonical
    }
}

/// How often percent-escapes are undone.
const ROUNDS: usize = 3;

/// The bytes without percent-escapes, so that `jane%40x.org` and `jane@x.org` are one value.
fn percent_decoded<'a>(found: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if !found.contains(&b'%') {
        return found;
    }
    buffer.clear();
    buffer.extend_from_slice(found);
    for _ in 0..ROUNDS {
        let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        let (mut read, mut write) = (0, 0);
        while let Some(byte) = buffer.get(read).copied() {
            let escape = (byte == b'%').then(|| Some(digit(buffer.get(read + 1))? << 4 | digit(buffer.get(read + 2))?));
            let (byte, len) = match escape.flatten() {
                Some(code) => (code as u8, 3),
                None => (byte, 1),
            };
            if let Some(place) = buffer.get_mut(write) {
                *place = byte;
            }
            read += len;
            write += 1;
        }
        let done = write == read;
        buffer.truncate(write);
        if done {
            break;
        }
    }
    buffer
}

fn put_partial(kind: Kind, prefix: u8, found: &[u8], out: &mut Vec<u8>) -> bool {
    if !matches!(kind, Kind::Ipv4 | Kind::Ipv6) {
        return render::partial(kind, found, out);
    }
    let Some(address) = std::str::from_utf8(found).ok().and_then(|text| text.parse::<IpAddr>().ok()) else {
        return false;
    };
    out.extend_from_slice(network(address, prefix).to_string().as_bytes());
    true
}

/// The address with all bits behind the first `prefix` zero. IPv4 inside IPv6 counts as the latter's last 32 bits.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            // Of a mapped address the first 48 bits say nothing; what stays is the /24.
            Some(v4) => network(IpAddr::V4(v4), 24),
            None => {
                let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_keep_their_prefix() {
        for (address, prefix, expected) in [
            ("203.0.113.77", 24, "203.0.113.0"),
            ("203.0.113.77", 16, "203.0.0.0"),
            ("203.0.113.77", 32, "203.0.113.77"),
            ("2001:db8:1:2:3::4", 48, "2001:db8:1::"),
            ("2001:db8:1:2:3::4", 64, "2001:db8:1:2::"),
            ("::ffff:203.0.113.77", 48, "203.0.113.0"),
        ] {
            assert_eq!(network(address.parse().unwrap(), prefix).to_string(), expected, "{address}/{prefix}");
        }
    }

    #[test]
    fn escapes_do_not_hide_equality() {
        let mut buffer = Vec::new();
        for (text, expected) in
            [("jane%40x.org", "jane@x.org"), ("jane%2540x.org", "jane@x.org"), ("50%", "50%"), ("a%zzb", "a%zzb")]
        {
            assert_eq!(percent_decoded(text.as_bytes(), &mut buffer), expected.as_bytes());
        }
    }
}
