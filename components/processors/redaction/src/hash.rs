//! What stands in place of what the Collector's rules match: `****`, or a hash in hexadecimal.

use hmac::{Hmac, KeyInit, Mac};
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use crate::config::{HashFunction, RedactionConfig};

/// Replaces matches.
#[derive(Clone)]
pub(crate) enum Masker {
    Stars,
    Sha1,
    Sha3,
    Md5,
    HmacSha256(Hmac<Sha256>),
    HmacSha512(Hmac<Sha512>),
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker")
    }
}

impl Masker {
    pub(crate) fn new(config: &RedactionConfig) -> Self {
        let key = config.hmac_key.expose().as_bytes();
        match config.hash_function {
            HashFunction::None => Self::Stars,
            HashFunction::Sha1 => Self::Sha1,
            HashFunction::Sha3 => Self::Sha3,
            HashFunction::Md5 => Self::Md5,
            HashFunction::HmacSha256 => Self::HmacSha256(keyed(key)),
            HashFunction::HmacSha512 => Self::HmacSha512(keyed_512(key)),
        }
    }

    /// Appends what stands in place of `found`.
    pub(crate) fn put(&self, found: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Stars => out.extend_from_slice(b"****"),
            Self::Sha1 => put_hex(out, &sha1::Sha1::digest(found)),
            Self::Sha3 => put_hex(out, &sha3::Sha3_256::digest(found)),
            Self::Md5 => put_hex(out, &md5::Md5::digest(found)),
            Self::HmacSha256(mac) => put_hex(out, &mac.clone().chain_update(found).finalize().into_bytes()),
            Self::HmacSha512(mac) => put_hex(out, &mac.clone().chain_update(found).finalize().into_bytes()),
        }
    }
}

/// HMAC-SHA-256 under a key of any length.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn keyed_512(key: &[u8]) -> Hmac<Sha512> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Appends bytes as lower-case hexadecimal.
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Secret;

    #[test]
    fn hashes_are_those_of_the_standards() {
        let check = |hash_function, key: &str, expected: &str| {
            let config = RedactionConfig { hash_function, hmac_key: Secret::from(key), ..RedactionConfig::default() };
            let mut out = Vec::new();
            Masker::new(&config).put(b"abc", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(HashFunction::None, "", "****");
        check(HashFunction::Md5, "", "900150983cd24fb0d6963f7d28e17f72");
        check(HashFunction::Sha1, "", "a9993e364706816aba3e25717850c26c9cd0d89d");
        check(HashFunction::Sha3, "", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
        // Computed by another implementation (Python's hmac).
        check(HashFunction::HmacSha256, "key", "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab");
        let long = "3926a207c8c42b0c41792cbd3e1a1aaaf5f7a25704f62dfc939c4987dd7ce060009c5bb1c2447355b3216f10b537e9afa7b64a4e5391b0d631172d07939e087a";
        check(HashFunction::HmacSha512, "key", long);
    }
}
