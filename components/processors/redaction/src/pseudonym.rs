//! Keyed pseudonyms: `email:k1:mfrggzdfmztwq2lk`.
//!
//! A pseudonym is the kind, the key's id and the first bits of HMAC-SHA-256 over the value's canonical form, in base 32.
//! The key is derived from the configured one for each kind and tenant (one block of HKDF-Expand, RFC 5869), so that
//! equal values of different kinds or tenants do not meet. With two keys, values get a pseudonym of each, newest first,
//! joined by a dot: what was written under the old key can be found for as long as both are configured.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::HmacConfig;
use crate::hash::keyed;

/// What the derivation is for; changing it changes every pseudonym.
const PURPOSE: &[u8] = b"weir redaction pseudonym v1";

/// The configured keys.
#[derive(Clone)]
pub(crate) struct Keys {
    masters: Vec<(Box<str>, Hmac<Sha256>)>,
    /// Of the hash, shown.
    bytes: usize,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// Keys of one tenant, derived when they are needed.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    tenant: Box<str>,
    keys: Vec<(&'static str, Vec<Hmac<Sha256>>)>,
}

impl Derived {
    /// Forgets keys of another tenant.
    pub(crate) fn enter(&mut self, tenant: &str) {
        if *self.tenant != *tenant {
            *self = Self { tenant: tenant.into(), keys: Vec::new() };
        }
    }
}

impl Keys {
    pub(crate) fn new(config: &HmacConfig) -> Self {
        let master = |key: &crate::config::HmacKeyConfig| (key.id.as_str().into(), keyed(key.key.expose().as_bytes()));
        Self { masters: config.keys.iter().map(master).collect(), bytes: config.truncate_bits as usize / 8 }
    }

    fn derive(&self, tenant: &str, kind: &str) -> Vec<Hmac<Sha256>> {
        let derive = |(_, master): &(Box<str>, Hmac<Sha256>)| {
            let mut mac = master.clone();
            for part in [PURPOSE, tenant.as_bytes(), kind.as_bytes()] {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            mac.update(&[1]);
            keyed(&mac.finalize().into_bytes())
        };
        self.masters.iter().map(derive).collect()
    }

    /// Appends the pseudonym of a value in canonical form.
    pub(crate) fn put(&self, derived: &mut Derived, kind: &'static str, canonical: &[u8], out: &mut Vec<u8>) {
        let known = derived.keys.iter().position(|(known, _)| *known == kind);
        let known = known.unwrap_or_else(|| {
            derived.keys.push((kind, self.derive(&derived.tenant, kind)));
            derived.keys.len() - 1
        });
        out.extend_from_slice(kind.as_bytes());
        let keys = derived.keys.get(known).map_or(&[][..], |(_, keys)| keys);
        for (number, ((id, _), key)) in self.masters.iter().zip(keys).enumerate() {
            out.push(if number == 0 { b':' } else { b'.' });
            out.extend_from_slice(id.as_bytes());
            out.push(b':');
            let hash = key.clone().chain_update(canonical).finalize().into_bytes();
            put_base32(out, hash.get(..self.bytes).unwrap_or(&hash));
        }
    }

    /// Whether `text` is a pseudonym under the first key: what another instance has replaced already stays.
    pub(crate) fn is_pseudonym(&self, kind: &str, text: &[u8]) -> bool {
        let Some((id, _)) = self.masters.first() else { return false };
        let hash = text
            .strip_prefix(kind.as_bytes())
            .and_then(|rest| rest.strip_prefix(b":"))
            .and_then(|rest| rest.strip_prefix(id.as_bytes()))
            .and_then(|rest| rest.strip_prefix(b":"));
        let chars = (self.bytes * 8).div_ceil(5);
        hash.is_some_and(|hash| hash.len() == chars && hash.iter().all(|byte| ALPHABET.contains(byte)))
    }
}

/// RFC 4648, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn put_base32(out: &mut Vec<u8>, bytes: &[u8]) {
    let (mut bits, mut count) = (0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(ALPHABET[(bits >> count & 31) as usize]);
        }
    }
    if count > 0 {
        out.push(ALPHABET[(bits << (5 - count) & 31) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HmacKeyConfig;
    use config::Secret;

    fn keys(ids: &[&str]) -> Keys {
        let key = |id: &&str| HmacKeyConfig { id: (*id).to_owned(), key: Secret::from(format!("{id:0>32}")) };
        Keys::new(&HmacConfig { keys: ids.iter().map(key).collect(), ..HmacConfig::default() })
    }

    fn pseudonym(keys: &Keys, tenant: &str, kind: &'static str, text: &str) -> String {
        let (mut derived, mut out) = (Derived::default(), Vec::new());
        derived.enter(tenant);
        keys.put(&mut derived, kind, text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pseudonyms_join_within_kind_and_tenant_only() {
        let keys = keys(&["k1"]);
        let one = pseudonym(&keys, "", "email", "jane@x.org");
        assert!(one.starts_with("email:k1:") && one.len() == "email:k1:".len() + 16, "{one}");
        assert_eq!(one, pseudonym(&keys, "", "email", "jane@x.org"));
        let hash = |text: &str| text.rsplit(':').next().unwrap().to_owned();
        for (tenant, kind, text) in
            [("a", "email", "jane@x.org"), ("", "phone", "jane@x.org"), ("", "email", "joe@x.org")]
        {
            assert_ne!(hash(&one), hash(&pseudonym(&keys, tenant, kind, text)));
        }
        assert!(keys.is_pseudonym("email", one.as_bytes()));
        for other in ["email:k1:short", "email:k2:mfrggzdfmztwq2lk", "phone:k1:mfrggzdfmztwq2lk", "jane@x.org"] {
            assert!(!keys.is_pseudonym("email", other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_rotation_shows_both_keys() {
        let (old, both, new) = (keys(&["k1"]), keys(&["k2", "k1"]), keys(&["k2"]));
        let both = pseudonym(&both, "t", "email", "jane@x.org");
        let (first, second) = both.split_once('.').unwrap();
        assert_eq!(first, pseudonym(&new, "t", "email", "jane@x.org"));
        assert_eq!(format!("email:{second}"), pseudonym(&old, "t", "email", "jane@x.org"));
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (text, expected) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")] {
            let mut out = Vec::new();
            put_base32(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
