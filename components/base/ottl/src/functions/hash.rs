//! Converters from text to a hash of it, in lower-case hexadecimal; `FNV` alone yields a number. The text is not copied.

use sha1::Sha1;
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha512};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::make::{TARGET, digest, function};
use crate::function::Function;
use crate::text::hex;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("MD5", &[TARGET], |arguments| digest(arguments, |text| Value::text(hex(&md5::Md5::digest(text))))),
    function("SHA1", &[TARGET], |arguments| digest(arguments, |text| Value::text(hex(&Sha1::digest(text))))),
    function("SHA256", &[TARGET], |arguments| digest(arguments, |text| Value::text(hex(&Sha256::digest(text))))),
    function("SHA512", &[TARGET], |arguments| digest(arguments, |text| Value::text(hex(&Sha512::digest(text))))),
    function("FNV", &[TARGET], |arguments| digest(arguments, |text| Value::Int(fnv_1a(text.as_bytes()).cast_signed()))),
    function("Murmur3Hash", &[TARGET], |arguments| {
        digest(arguments, |text| Value::text(hex(&murmur3_32(text.as_bytes()).to_le_bytes())))
    }),
    function("Murmur3Hash128", &[TARGET], |arguments| {
        digest(arguments, |text| Value::text(hex(&murmur3_128(text.as_bytes()))))
    }),
    function("XXH3", &[TARGET], |arguments| {
        digest(arguments, |text| Value::text(hex(&xxh3_64(text.as_bytes()).to_be_bytes())))
    }),
    function("XXH128", &[TARGET], |arguments| {
        digest(arguments, |text| Value::text(hex(&xxh3_128(text.as_bytes()).to_be_bytes())))
    }),
];

/// FNV-1a of 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Up to eight bytes, the first one lowest.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// MurmurHash3 `x86_32` with seed 0.
fn murmur3_32(bytes: &[u8]) -> u32 {
    let mix = |chunk: &[u8]| {
        let word = little_endian(chunk) as u32;
        word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
    };
    let mut chunks = bytes.chunks_exact(4);
    let mut hash = chunks
        .by_ref()
        .fold(0u32, |hash, chunk| (hash ^ mix(chunk)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64));
    hash ^= mix(chunks.remainder());
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// MurmurHash3 `x64_128` with seed 0, both halves little-endian.
fn murmur3_128(bytes: &[u8]) -> [u8; 16] {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let first = |word: u64| word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let second = |word: u64| word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let finish = |mut hash: u64| {
        hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    };
    let (mut low, mut high) = (0u64, 0u64);
    let mut chunks = bytes.chunks_exact(16);
    for chunk in chunks.by_ref() {
        let (left, right) = chunk.split_at(8);
        low ^= first(little_endian(left));
        low = low.rotate_left(27).wrapping_add(high).wrapping_mul(5).wrapping_add(0x52dc_e729);
        high ^= second(little_endian(right));
        high = high.rotate_left(31).wrapping_add(low).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let rest = chunks.remainder();
    let (left, right) = rest.split_at(rest.len().min(8));
    high ^= second(little_endian(right));
    low ^= first(little_endian(left));
    let length = bytes.len() as u64;
    (low, high) = (low ^ length, high ^ length);
    low = low.wrapping_add(high);
    high = high.wrapping_add(low);
    (low, high) = (finish(low), finish(high));
    low = low.wrapping_add(high);
    high = high.wrapping_add(low);
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives};
    use crate::value::Value;

    #[test]
    fn known_hashes() {
        for (name, text, expected) in [
            ("MD5", "hello world", "5eb63bbbe01eeed093cb22bb8f5acdc3"),
            ("MD5", "", "d41d8cd98f00b204e9800998ecf8427e"),
            ("SHA1", "hello world", "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"),
            ("SHA256", "hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
            (
                "SHA512",
                "",
                "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                 47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            ),
            ("Murmur3Hash", "Hello World", "ce837619"),
            ("Murmur3Hash", "", "00000000"),
            ("Murmur3Hash", "abc", "fa93ddb3"),
            ("Murmur3Hash128", "Hello World", "dbc2a0c1ab26631a27b4c09fcf1fe683"),
            ("Murmur3Hash128", "the quick brown fox jumps over the lazy dog", "b386ade2fee9e4bc7f4b6e4074e3e20a"),
            ("Murmur3Hash128", "0123456789abcde", "5123bfc0f6d52da6f04c547c0cf5cc4f"),
            ("Murmur3Hash128", "", "00000000000000000000000000000000"),
            ("XXH3", "hello world", "d447b1ea40e6988b"),
            ("XXH3", "", "2d06800538d394c2"),
            ("XXH128", "hello world", "df8d09e93f874900a99b8775cc15b6c7"),
            ("XXH128", "", "99aa06d3014798d86001c324468d497f"),
        ] {
            gives(Call::to(name).arg("target", text), expected);
        }
        gives(Call::to("FNV").arg("target", "hello world"), 8_618_312_879_776_256_743);
        gives(Call::to("FNV").arg("target", ""), -3_750_763_034_362_895_579);
    }

    #[test]
    fn only_text_is_hashed() {
        for name in ["MD5", "SHA1", "SHA256", "SHA512", "FNV", "Murmur3Hash", "Murmur3Hash128", "XXH3", "XXH128"] {
            fails(Call::to(name).arg("target", 1), "expected a string, found int");
            fails(Call::to(name).arg("target", Value::Nil), "expected a string, found nil");
        }
    }
}
