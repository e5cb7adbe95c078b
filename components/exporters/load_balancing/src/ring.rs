//! Which endpoint owns a key: consistent hashing, as the Collector places points and keys since 0.157.
//!
//! Every name stands at [`POINTS`] places of a ring of [`PLACES`]: the CRC-32 (IEEE) of the name followed by the point's
//! number (four bytes, little-endian), modulo the ring's size. All points are ordered by place, hash and name before any is
//! placed, so the order of the names does not matter; one whose place is taken goes to the next free one, and is left out
//! when there is none within [`PROBES_MAX`]. A key belongs to the first point at or behind the CRC-32 of its bytes.

/// Points of each name.
pub const POINTS: u32 = 200;
/// Places in the ring.
pub const PLACES: u32 = 131_071;
/// A point that finds this many places taken, counted from its own, is left out.
pub const PROBES_MAX: u32 = 10;

/// An immutable ring. Owners are numbers: positions in the list of names it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Place and owner, ascending by place; no place twice.
    points: Vec<(u32, usize)>,
}

impl Ring {
    /// The ring of these names. A name that occurs twice stands at twice as many places.
    #[must_use]
    pub fn new<N: AsRef<str>>(names: &[N]) -> Self {
        Self::with_points(names, POINTS)
    }

    fn with_points<N: AsRef<str>>(names: &[N], points: u32) -> Self {
        let mut wanted: Vec<(u32, u32, &str, usize)> = Vec::with_capacity(names.len() * points as usize);
        for (owner, name) in names.iter().enumerate() {
            let name = name.as_ref();
            let hash = Crc32::default().with(name.as_bytes());
            let hashes = (0..points).map(|number| hash.with(&number.to_le_bytes()).sum());
            wanted.extend(hashes.map(|hash| (hash % PLACES, hash, name, owner)));
        }
        wanted.sort_unstable();
        let mut taken = vec![false; PLACES as usize];
        let mut points = Vec::with_capacity(wanted.len());
        for (place, _, _, owner) in wanted {
            let places = (0..PROBES_MAX).map(|probe| (place + probe) % PLACES);
            for place in places {
                if let Some(taken @ false) = taken.get_mut(place as usize) {
                    *taken = true;
                    points.push((place, owner));
                    break;
                }
            }
        }
        points.sort_unstable();
        Self { points }
    }

    /// Who owns `key`; `None` in a ring without names.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        let place = Crc32::default().with(key).sum() % PLACES;
        let at = self.points.partition_point(|(at, _)| *at < place);
        self.points.get(at).or_else(|| self.points.first()).map(|(_, owner)| *owner)
    }
}

/// CRC-32 as in IEEE 802.3, reflected.
#[derive(Clone, Copy, Debug)]
struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32 {
    fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |state, byte| {
            let entry = TABLE.get(usize::from(state.to_le_bytes()[0] ^ byte)).copied().unwrap_or_default();
            (state >> 8) ^ entry
        }))
    }

    fn sum(self) -> u32 {
        !self.0
    }
}

const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut entry = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 { (entry >> 1) ^ 0xedb8_8320 } else { entry >> 1 };
            bit += 1;
        }
        table[byte] = entry;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests;
