//! Equality of short bytes, without the call that comparing slices is.

/// Whether both are the same bytes; quick for keys, names and paths.
#[inline]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match (words(one), words(other)) {
        (Some(ends), Some(other_ends)) => {
            ends == other_ends && (one.len() <= 16 || one.get(8..one.len() - 8) == other.get(8..other.len() - 8))
        }
        _ => short(one) == short(other),
    }
}

/// The first and the last eight bytes.
#[inline]
fn words(bytes: &[u8]) -> Option<[u64; 2]> {
    Some([u64::from_le_bytes(*bytes.first_chunk()?), u64::from_le_bytes(*bytes.last_chunk()?)])
}

/// Up to seven bytes as a number.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32,
        _ => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

/// A number in which most short bytes differ: of both ends and the length.
#[inline]
pub(crate) fn print(bytes: &[u8]) -> u64 {
    let [first, last] = words(bytes).unwrap_or_else(|| [short(bytes), 0]);
    let mixed = first ^ last.rotate_left(29) ^ bytes.len() as u64;
    let wide = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
    wide as u64 ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_same() {
        let text: Vec<u8> = (0..100).collect();
        for len in 0..text.len() {
            let one = &text[..len];
            let copy = one.to_vec();
            assert!(is_same(one, &copy) && !is_same(one, &text[..len + 1]) && !is_same(&text[..len + 1], one));
            for at in 0..len {
                let mut other = one.to_vec();
                other[at] ^= 0x80;
                assert!(!is_same(one, &other), "{at} of {len}");
            }
        }
    }

    #[test]
    fn keys_differ_in_their_prints() {
        let keys = ["", "a", "b", "client.address", "client.port", "server.address", "url.full", "url.path", "id"];
        for (at, key) in keys.iter().enumerate() {
            for other in &keys[..at] {
                assert_ne!(print(key.as_bytes()), print(other.as_bytes()), "{key} {other}");
            }
        }
    }
}
