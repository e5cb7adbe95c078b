//! What was found clean before. Exact: bytes are compared, not hashes alone, so that nothing passes by a collision.
//!
//! Tables in which a newcomer takes the place of what was there; keys have two places each. Small ones: reading a short text
//! again costs less than waiting for memory. So the last few short texts under a key stand beside the key, which was looked
//! for in any case; longer attributes have a table of their own, and are remembered when they come again.

use xxhash_rust::xxh3::xxh3_64;

use crate::rules::KeyRule;
use crate::same::{Short, is_same, print};

const KEYS: usize = 256;
/// Short texts that are remembered under a key.
const UNDER_KEY: usize = 4;
/// Short texts that are remembered without a key.
const TEXTS: usize = 32;
const PAIRS: usize = 256;
const MESSAGES: usize = 64;
/// Longest key that is remembered, in bytes.
const KEY_BYTES_MAX: usize = 47;
/// Longest attribute that is remembered, in bytes.
const PAIR_BYTES_MAX: usize = 247;
/// Longest resource or scope that is remembered, in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Key {
    len: u8,
    bytes: [u8; KEY_BYTES_MAX],
    rule: Option<KeyRule>,
    clean: [Short; UNDER_KEY],
}

impl Key {
    const NONE: Self = Self { len: 0, bytes: [0; KEY_BYTES_MAX], rule: None, clean: [Short::NONE; UNDER_KEY] };

    #[inline]
    fn is(&self, key: &[u8]) -> bool {
        self.bytes.get(..usize::from(self.len)).is_some_and(|known| is_same(known, key))
    }
}

/// Where a key is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPlace(usize);

#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Of the last that came to this place, remembered or not.
    hash: u32,
    len: u8,
    bytes: [u8; PAIR_BYTES_MAX],
}

/// Where an attribute would be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairPlace {
    place: usize,
    hash: u32,
}

/// Keys and what is decided about them, attributes and messages that are clean.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// These are empty until the first is put in.
    keys: Vec<Key>,
    texts: Vec<Short>,
    pairs: Vec<Pair>,
    messages: Vec<Box<[u8]>>,
}

fn place(bytes: &[u8], places: usize) -> usize {
    xxh3_64(bytes) as usize & (places - 1)
}

#[inline]
fn key_place(key: &[u8]) -> usize {
    print(key) as usize & (KEYS - 1)
}

impl Cache {
    /// What is decided about a key that holds nothing personal itself, and where that stands.
    #[inline]
    pub(crate) fn key(&self, key: &[u8]) -> Option<(KeyPlace, KeyRule)> {
        let place = key_place(key);
        match self.key_at(place, key) {
            None => self.key_at(place ^ 1, key),
            found => found,
        }
    }

    #[inline]
    fn key_at(&self, place: usize, key: &[u8]) -> Option<(KeyPlace, KeyRule)> {
        let known = self.keys.get(place)?;
        if known.is(key) { Some((KeyPlace(place), known.rule?)) } else { None }
    }

    pub(crate) fn put_key(&mut self, key: &[u8], rule: KeyRule) {
        if key.len() > KEY_BYTES_MAX {
            return;
        }
        if self.keys.is_empty() {
            self.keys.resize(KEYS, Key::NONE);
        }
        // Two keys of one place do not throw each other out.
        let place = key_place(key);
        self.keys.swap(place, place ^ 1);
        if let Some(entry) = self.keys.get_mut(place) {
            *entry = Key { len: key.len() as u8, rule: Some(rule), ..Key::NONE };
            for (byte, known) in key.iter().zip(&mut entry.bytes) {
                *known = *byte;
            }
        }
    }

    /// Whether a text is known to be clean under the key there.
    #[inline]
    pub(crate) fn is_clean_under(&self, KeyPlace(place): KeyPlace, text: &[u8]) -> bool {
        Short::of(text).is_some_and(|text| {
            let known = self.keys.get(place).and_then(|key| key.clean.get(text.place(UNDER_KEY)));
            known.is_some_and(|known| text == *known)
        })
    }

    /// Remembers a text that is clean under the key, if that still stands there and the text is short.
    #[inline]
    pub(crate) fn put_under(&mut self, KeyPlace(place): KeyPlace, key: &[u8], text: &[u8]) {
        if let Some(text) = Short::of(text)
            && let Some(known) = self.keys.get_mut(place)
            && known.is(key)
            && let Some(entry) = known.clean.get_mut(text.place(UNDER_KEY))
        {
            *entry = text;
        }
    }

    /// Whether a text without a key is known to be clean.
    #[inline]
    pub(crate) fn is_clean_text(&self, text: &[u8]) -> bool {
        Short::of(text).is_some_and(|text| self.texts.get(text.place(TEXTS)).is_some_and(|known| text == *known))
    }

    /// Remembers a clean text without a key, if it is short.
    #[inline]
    pub(crate) fn put_text(&mut self, text: &[u8]) {
        let Some(text) = Short::of(text) else { return };
        if self.texts.is_empty() {
            self.texts.resize(TEXTS, Short::NONE);
        }
        if let Some(entry) = self.texts.get_mut(text.place(TEXTS)) {
            *entry = text;
        }
    }

    /// Where an attribute would be remembered; nothing if it is too long.
    #[inline]
    pub(crate) fn pair_place(pair: &[u8]) -> Option<PairPlace> {
        let hash = xxh3_64(pair);
        let found = PairPlace { place: hash as usize & (PAIRS - 1), hash: (hash >> 32) as u32 };
        (pair.len() <= PAIR_BYTES_MAX).then_some(found)
    }

    #[inline]
    pub(crate) fn is_clean_pair(&self, PairPlace { place, hash }: PairPlace, pair: &[u8]) -> bool {
        self.pairs.get(place).is_some_and(|known| {
            known.hash == hash && known.len > 0 && known.bytes.get(..usize::from(known.len)) == Some(pair)
        })
    }

    /// Remembers a clean attribute, if it came here last, too.
    pub(crate) fn put_pair(&mut self, PairPlace { place, hash }: PairPlace, pair: &[u8]) {
        if self.pairs.is_empty() {
            self.pairs.resize(PAIRS, Pair { hash: 0, len: 0, bytes: [0; PAIR_BYTES_MAX] });
        }
        let Some(entry) = self.pairs.get_mut(place) else { return };
        if entry.hash != hash {
            entry.hash = hash;
            return;
        }
        if let Some(bytes) = entry.bytes.get_mut(..pair.len()) {
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
    use crate::config::RedactionConfig;
    use crate::rules::{KeyFate, Rules};

    #[test]
    fn only_what_was_put_in_is_clean() {
        let mut cache = Cache::default();
        let clean = |cache: &Cache, pair: &[u8]| cache.is_clean_pair(Cache::pair_place(pair).unwrap(), pair);
        let put = |cache: &mut Cache, pair: &[u8]| cache.put_pair(Cache::pair_place(pair).unwrap(), pair);
        assert!(!clean(&cache, b"a") && !clean(&cache, b"") && !cache.is_clean_message(b""));
        put(&mut cache, b"a");
        assert!(!clean(&cache, b"a"), "once is not enough");
        put(&mut cache, b"a");
        cache.put_message(b"resource");
        assert!(clean(&cache, b"a") && !clean(&cache, b"b") && !clean(&cache, b""));
        assert!(cache.is_clean_message(b"resource") && !cache.is_clean_message(b"other"));
        assert!(
            Cache::pair_place(&[0; PAIR_BYTES_MAX]).is_some() && Cache::pair_place(&[0; PAIR_BYTES_MAX + 1]).is_none()
        );
        // More than there are places: whatever they throw out, none that was not put in appears.
        for number in 0..10 * PAIRS as u32 {
            let pair = number.to_le_bytes();
            put(&mut cache, &pair);
            put(&mut cache, &pair);
            assert!(clean(&cache, &pair));
        }
        assert!((10 * PAIRS as u32..20 * PAIRS as u32).all(|number| !clean(&cache, &number.to_le_bytes())));
    }

    #[test]
    fn only_the_same_hash_twice_and_the_same_bytes_count() {
        let mut cache = Cache::default();
        let place = PairPlace { place: 7, hash: 7 };
        cache.put_pair(place, b"a");
        cache.put_pair(place, b"b");
        assert!(
            cache.is_clean_pair(place, b"b") && !cache.is_clean_pair(place, b"a") && !cache.is_clean_pair(place, b"c")
        );
    }

    #[test]
    fn keys_are_told_apart_by_their_bytes() {
        let (config, _) = config::decode_str::<RedactionConfig>("{ignored_keys: ['']}").unwrap();
        let rules = Rules::new(&config).unwrap();
        let mut cache = Cache::default();
        assert!(cache.key(b"").is_none() && cache.key(b"a").is_none());
        let keys: Vec<Vec<u8>> = (0..10 * KEYS).map(|number| number.to_string().into_bytes()).collect();
        for key in &keys {
            cache.put_key(key, rules.key(key));
            assert!(cache.key(key).is_some());
        }
        assert!(cache.key(b"").is_none() && cache.key(b"a").is_none());
        cache.put_key(b"", rules.key(b""));
        assert_eq!(cache.key(b"").map(|(_, rule)| rule.fate), Some(KeyFate::Ignored));
        let long = [b'k'; KEY_BYTES_MAX + 1];
        cache.put_key(&long, rules.key(&long));
        assert!(cache.key(&long).is_none());
    }
    #[test]
    fn texts_are_clean_under_their_key_alone() {
        let (config, _) = config::decode_str::<RedactionConfig>("{}").unwrap();
        let rules = Rules::new(&config).unwrap();
        let mut cache = Cache::default();
        let short = |text: &'static str| text.as_bytes();
        for key in [&b"a"[..], b"b"] {
            cache.put_key(key, rules.key(key));
        }
        let place = |cache: &Cache, key: &[u8]| cache.key(key).unwrap().0;
        let (a, b) = (place(&cache, b"a"), place(&cache, b"b"));
        cache.put_under(a, b"a", short("GET"));
        assert!(cache.is_clean_under(a, short("GET")) && !cache.is_clean_under(b, short("GET")));
        assert!(!cache.is_clean_under(a, short("POST")) && !cache.is_clean_text(short("GET")));
        cache.put_text(short("GET"));
        assert!(cache.is_clean_text(short("GET")) && !cache.is_clean_text(short("get")));
        // Another key in the place of the first.
        cache.put_under(a, b"b", short("POST"));
        assert!(!cache.is_clean_under(a, short("POST")), "the key is no longer there");
        for number in 0..10 * KEYS {
            cache.put_key(number.to_string().as_bytes(), rules.key(b""));
        }
        assert!(!cache.is_clean_under(a, short("GET")), "what was under the key went with it");
    }
}
