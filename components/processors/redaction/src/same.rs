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

/// Longest bytes that are a [`Short`].
pub(crate) const SHORT_BYTES_MAX: usize = 32;

/// Up to 32 bytes as numbers, exactly: the same numbers are the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    words: [u64; 4],
    len: u64,
}

impl PartialEq for Short {
    /// Number by number: put together in memory first, they would be waited for.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        self.len == other.len && a == e && d == h && b == f && c == g
    }
}

impl Short {
    /// No bytes: what no text is.
    pub(crate) const NONE: Self = Self { words: [0; 4], len: 0 };

    /// `None` of more bytes, and of none at all.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let len = bytes.len();
        let words = match len {
            0 => return None,
            1..8 => [short(bytes), 0, 0, 0],
            8..=16 => [word(0), word(len - 8), 0, 0],
            17..=SHORT_BYTES_MAX => [word(0), word(8), word(len - 16), word(len - 8)],
            _ => return None,
        };
        Some(Self { words, len: len as u64 })
    }

    /// A number below `places`, a power of two, in which many differ.
    #[inline]
    pub(crate) fn place(&self, places: usize) -> usize {
        let [first, second, third, last] = self.words;
        let mixed = first ^ second.rotate_left(21) ^ third.rotate_left(42) ^ last ^ self.len;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (places - 1)
    }
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
    fn only_the_same_bytes_are_the_same_numbers() {
        let text: Vec<u8> = (1..=SHORT_BYTES_MAX as u8).chain([0; 8]).collect();
        assert_eq!((Short::of(b""), Short::of(&text[..SHORT_BYTES_MAX + 1])), (None, None));
        for len in 1..=SHORT_BYTES_MAX {
            let one = Short::of(&text[..len]).unwrap();
            assert_ne!(Some(one), Short::of(&text[..len - 1]));
            for at in 0..len {
                for bit in [1, 0x80] {
                    let mut other = text[..len].to_vec();
                    other[at] ^= bit;
                    assert_ne!(Some(one), Short::of(&other), "{at} of {len}");
                }
            }
            // Zeros are bytes, too.
            let zeros = [0; SHORT_BYTES_MAX + 1];
            assert_ne!(Short::of(&zeros[..len]), Short::of(&zeros[..len + 1]));
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
