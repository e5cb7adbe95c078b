//! What was found clean before. Exact: bytes are compared, not hashes alone, so that nothing passes by a collision.
//!
//! Direct-mapped tables; a newcomer takes the place of what was there.

use xxhash_rust::xxh3::xxh3_64;

use crate::rules::KeyRule;

const KEYS: usize = 1024;
const PAIRS: usize = 4096;
const MESSAGES: usize = 64;
/// Longest key that is remembered, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// Longest attribute that is remembered, in bytes.
const PAIR_BYTES_MAX: usize = 95;
/// Longest resource or scope that is remembered, in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Pair {
    len: u8,
    bytes: [u8; PAIR_BYTES_MAX],
}

/// Keys and what is decided about them, attributes and messages that are clean.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    keys: Vec<Option<(Box<[u8]>, KeyRule)>>,
    /// Empty until the first is put in.
    pairs: Vec<Pair>,
    messages: Vec<Box<[u8]>>,
}

fn place(bytes: &[u8], places: usize) -> usize {
    xxh3_64(bytes) as usize & (places - 1)
}

impl Cache {
    /// What is decided about a key that holds nothing personal itself.
    #[inline]
    pub(crate) fn key(&self, key: &[u8]) -> Option<KeyRule> {
        match self.keys.get(place(key, KEYS)) {
            Some(Some((known, rule))) if **known == *key => Some(*rule),
            _ => None,
        }
    }

    pub(crate) fn put_key(&mut self, key: &[u8], rule: KeyRule) {
        if key.len() > KEY_BYTES_MAX {
            return;
        }
        if self.keys.is_empty() {
            self.keys.resize_with(KEYS, || None);
        }
        if let Some(entry) = self.keys.get_mut(place(key, KEYS)) {
            *entry = Some((key.into(), rule));
        }
    }

    /// Where an attribute would be remembered; nothing if it is too long.
    #[inline]
    pub(crate) fn pair_place(pair: &[u8]) -> Option<usize> {
        (pair.len() <= PAIR_BYTES_MAX).then(|| place(pair, PAIRS))
    }

    #[inline]
    pub(crate) fn is_clean_pair(&self, place: usize, pair: &[u8]) -> bool {
        self.pairs
            .get(place)
            .is_some_and(|known| known.bytes.get(..usize::from(known.len)) == Some(pair) && known.len > 0)
    }

    #[inline]
    pub(crate) fn put_pair(&mut self, place: usize, pair: &[u8]) {
        if self.pairs.is_empty() {
            self.pairs.resize(PAIRS, Pair { len: 0, bytes: [0; PAIR_BYTES_MAX] });
        }
        if let Some(entry) = self.pairs.get_mut(place)
            && let Some(bytes) = entry.bytes.get_mut(..pair.len())
        {
            bytes.copy_from_slice(pair);
            entry.len = pair.len() as u8;
        }
    }

    pub(crate) fn is_clean_message(&self, message: &[u8]) -> bool {
        self.messages.get(place(message, MESSAGES)).is_some_and(|known| !known.is_empty() && **known == *message)
    }

    pub(crate) fn put_message(&mut self, message: &[u8]) {
        if message.len() > MESSAGE_BYTES_MAX {
            return;
        }
        if self.messages.is_empty() {
            self.messages.resize_with(MESSAGES, Box::default);
        }
        if let Some(entry) = self.messages.get_mut(place(message, MESSAGES)) {
            *entry = message.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_in_is_clean() {
        let mut cache = Cache::default();
        let clean = |cache: &Cache, pair: &[u8]| cache.is_clean_pair(Cache::pair_place(pair).unwrap(), pair);
        assert!(!clean(&cache, b"a") && !clean(&cache, b"") && !cache.is_clean_message(b""));
        cache.put_pair(Cache::pair_place(b"a").unwrap(), b"a");
        cache.put_message(b"resource");
        assert!(clean(&cache, b"a") && !clean(&cache, b"b") && !clean(&cache, b""));
        assert!(cache.is_clean_message(b"resource") && !cache.is_clean_message(b"other"));
        assert!(
            Cache::pair_place(&[0; PAIR_BYTES_MAX]).is_some() && Cache::pair_place(&[0; PAIR_BYTES_MAX + 1]).is_none()
        );
        // As many as there are places: whatever they throw out, none that was not put in appears.
        for number in 0..PAIRS as u32 {
            let pair = number.to_le_bytes();
            cache.put_pair(Cache::pair_place(&pair).unwrap(), &pair);
            assert!(clean(&cache, &pair));
        }
        assert!((PAIRS as u32..2 * PAIRS as u32).all(|number| !clean(&cache, &number.to_le_bytes())));
    }
}
