//! Decisions about traces that are gone, for their late spans.
//!
//! Two generations: what is decided or asked for goes to the younger one; when that is full, it becomes the older one, and
//! the older one is forgotten. At least the capacity is remembered, at most twice as much. Traces are known by a hash of
//! 64 bits that nobody outside can aim at.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::policy::Decision;
use crate::trace::Floor;

/// Takes hashes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not used for hashes; still a hash.
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A table by hashes.
pub type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

/// A decision, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remembered {
    /// Seconds since the start of the processor.
    pub at: u32,
    /// The gate's threshold when the trace was new.
    pub floor: Floor,
    /// What was decided.
    pub decision: Decision,
}

/// What a remembered decision occupies at most, in bytes: tables grow by doubling, and two generations are kept.
pub const REMEMBERED_BYTES: usize = (size_of::<(u64, Remembered)>() + 1) * 16 / 7 * 2;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Decisions {
    capacity: usize,
    younger: ByHash<Remembered>,
    older: ByHash<Remembered>,
}

impl Decisions {
    /// For so many traces at least.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), ..Self::default() }
    }

    /// Remembers a decision.
    pub fn insert(&mut self, hash: u64, remembered: Remembered) {
        if self.younger.len() >= self.capacity && !self.younger.contains_key(&hash) {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(hash, remembered);
    }

    /// The decision about a trace, which is not forgotten before others then.
    pub fn get(&mut self, hash: u64) -> Option<Remembered> {
        if let Some(found) = self.younger.get(&hash) {
            return Some(*found);
        }
        let found = self.older.remove(&hash)?;
        self.insert(hash, found);
        Some(found)
    }

    /// All that is remembered, what is forgotten first before the rest.
    pub fn into_all(self) -> impl Iterator<Item = (u64, Remembered)> {
        self.older.into_iter().chain(self.younger)
    }

    /// Forgets the decision about a trace, which is returned.
    pub fn forget(&mut self, hash: u64) -> Option<Remembered> {
        let (younger, older) = (self.younger.remove(&hash), self.older.remove(&hash));
        younger.or(older)
    }

    /// Bytes that it occupies.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        (self.younger.capacity() + self.older.capacity()) * (size_of::<(u64, Remembered)>() + 1) * 8 / 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays() {
        let mut decisions = Decisions::new(3);
        let remembered = Remembered { at: 0, floor: Floor::NONE, decision: Decision::NOT_SAMPLED };
        for hash in 0..3 {
            decisions.insert(hash, remembered);
        }
        for hash in 3..100 {
            decisions.insert(hash, remembered);
            assert_eq!(decisions.get(0), Some(remembered), "asked for again and again");
            assert_eq!(decisions.get(hash - 1), Some(remembered), "one of the last three");
        }
        assert_eq!(decisions.get(1), None);
        assert!(decisions.younger.len() <= 3 && decisions.older.len() <= 3);
        assert!(decisions.held_bytes() < 2000);
    }
}
