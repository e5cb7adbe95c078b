//! The bytes of a segment, as `FORMAT.md` describes them: encoding and decoding, no I/O.
//!
//! Whatever the bytes are, decoding answers with a value or says that there is none.
#![warn(clippy::indexing_slicing, clippy::expect_used, clippy::arithmetic_side_effects)]

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Version of the segment format.
pub(crate) const VERSION: u16 = 1;
/// Records in a segment, at most.
pub(crate) const RECORDS_MAX: u32 = 1 << 15;
/// Records per acknowledgement cell.
pub(crate) const CELL_RECORDS: u32 = 32;
/// Acknowledgement cells of a segment.
pub(crate) const CELLS: usize = (RECORDS_MAX / CELL_RECORDS) as usize;
/// Bytes of a cell.
pub(crate) const CELL_BYTES: usize = 8;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 64;
/// Where the cells begin.
pub(crate) const CELLS_AT: u64 = HEADER_BYTES as u64;
/// Bytes of all cells.
pub(crate) const CELLS_BYTES: usize = CELLS * CELL_BYTES;
/// Where the records begin.
pub(crate) const RECORDS_AT: u64 = CELLS_AT + CELLS_BYTES as u64;
/// Bytes of a record's header.
pub(crate) const RECORD_BYTES: usize = 48;
/// Bytes of an entry of the index.
pub(crate) const ENTRY_BYTES: usize = 16;
/// Bytes of the trailer.
pub(crate) const TRAILER_BYTES: usize = 64;

const SEGMENT_MAGIC: [u8; 8] = *b"weirseg\0";
/// First bytes of a record, and of a trailer.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"wRec";
const TRAILER_MAGIC: [u8; 4] = *b"wEnd";

const _: () = assert!(RECORDS_AT == 8256);

/// Reads little-endian numbers, one after another.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// `bytes` followed by their hash fill `N`.
fn sealed<const N: usize>(bytes: &[u8], more: &[u8], seed: u64) -> [u8; N] {
    let mut out = [0; N];
    let hashed = N.saturating_sub(8);
    let filled = bytes.len().min(hashed);
    if let (Some(into), Some(from)) = (out.get_mut(..filled), bytes.get(..filled)) {
        into.copy_from_slice(from);
    }
    let hash = hash_of(out.get(..hashed).unwrap_or_default(), more, seed);
    if let Some(into) = out.get_mut(hashed..) {
        into.copy_from_slice(&hash.to_le_bytes());
    }
    out
}

fn hash_of(bytes: &[u8], more: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(more, xxh3_64_with_seed(bytes, seed))
}

/// Whether `bytes` end with the hash of what is before, and of `more`.
fn is_whole<const N: usize>(bytes: &[u8; N], more: &[u8], seed: u64) -> bool {
    let hashed = N.saturating_sub(8);
    let found = bytes.get(hashed..).unwrap_or_default();
    found == hash_of(bytes.get(..hashed).unwrap_or_default(), more, seed).to_le_bytes()
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Version of what the records contain.
    pub(crate) content: u16,
    /// Sequence number of the first record.
    pub(crate) first: u64,
    /// Which run of the program wrote it.
    pub(crate) run: u64,
}

/// What was found where a header should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundHeader {
    /// A header.
    Known(Header),
    /// That of another version.
    Version(u16),
    /// Something else.
    Damaged,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        self.encode_as(VERSION)
    }

    /// As another version would.
    pub(crate) fn encode_as(&self, version: u16) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(version.to_le_bytes());
        bytes.extend(self.content.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.run.to_le_bytes());
        sealed(&bytes, &[], 0)
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> FoundHeader {
        let mut reader = Reader(bytes);
        let mut found = || -> Option<(u16, Self)> {
            if reader.take::<8>()? != SEGMENT_MAGIC {
                return None;
            }
            let (version, content) = (reader.u16()?, reader.u16()?);
            reader.u32()?;
            Some((version, Self { content, first: reader.u64()?, run: reader.u64()? }))
        };
        match found() {
            _ if !is_whole(bytes, &[], 0) => FoundHeader::Damaged,
            // All versions have this header in common.
            Some((version, _)) if version != VERSION => FoundHeader::Version(version),
            Some((_, header)) => FoundHeader::Known(header),
            None => FoundHeader::Damaged,
        }
    }
}

/// Acknowledgements of 32 records, number `cell` of the segment that begins with record `first`.
pub(crate) fn encode_cell(bits: u32, cell: usize, first: u64) -> [u8; CELL_BYTES] {
    (u64::from(bits) | u64::from(cell_check(bits, cell, first)) << 32).to_le_bytes()
}

/// The acknowledgements in a cell; `None` if it is damaged. A cell that was never written has none.
pub(crate) fn decode_cell(bytes: [u8; CELL_BYTES], cell: usize, first: u64) -> Option<u32> {
    let both = u64::from_le_bytes(bytes);
    let (bits, check) = (both as u32, (both >> 32) as u32);
    (both == 0 || check == cell_check(bits, cell, first)).then_some(bits)
}

fn cell_check(bits: u32, cell: usize, first: u64) -> u32 {
    let mut bytes = [0; 12];
    let (left, right) = bytes.split_at_mut(4);
    left.copy_from_slice(&bits.to_le_bytes());
    right.copy_from_slice(&(cell as u64).to_le_bytes());
    xxh3_64_with_seed(&bytes, first) as u32
}

/// What stands in front of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) items: u32,
    pub(crate) head_bytes: u32,
    pub(crate) body_bytes: u64,
    pub(crate) sequence: u64,
    pub(crate) body_hash: u64,
}

impl RecordHeader {
    /// `head` is what follows the header, and is covered by its hash. So is `run`, which is random: what somebody writes
    /// into a body cannot be taken for a record.
    pub(crate) fn encode(&self, head: &[u8], run: u64) -> [u8; RECORD_BYTES] {
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        bytes.extend(RECORD_MAGIC);
        bytes.extend(self.items.to_le_bytes());
        bytes.extend(self.head_bytes.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.body_bytes.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.body_hash.to_le_bytes());
        sealed(&bytes, head, run)
    }

    /// What it says, to be believed only if [`RecordHeader::is_whole`].
    pub(crate) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take()? != RECORD_MAGIC {
            return None;
        }
        let (items, head_bytes, _) = (reader.u32()?, reader.u32()?, reader.u32()?);
        Some(Self { items, head_bytes, body_bytes: reader.u64()?, sequence: reader.u64()?, body_hash: reader.u64()? })
    }

    pub(crate) fn is_whole(bytes: &[u8; RECORD_BYTES], head: &[u8], run: u64) -> bool {
        is_whole(bytes, head, run)
    }

    /// Bytes of the whole record.
    pub(crate) fn record_bytes(&self) -> Option<u64> {
        (RECORD_BYTES as u64).checked_add(u64::from(self.head_bytes))?.checked_add(self.body_bytes)
    }
}

/// Where a record is and what it weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins; 0 for a record that is not there.
    pub(crate) at: u32,
    pub(crate) items: u32,
    pub(crate) body_bytes: u64,
}

impl Entry {
    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        let (numbers, body_bytes) = out.split_at_mut(8);
        numbers.copy_from_slice(&(u64::from(self.at) | u64::from(self.items) << 32).to_le_bytes());
        body_bytes.copy_from_slice(&self.body_bytes.to_le_bytes());
        out
    }

    /// The entries of an index, in order.
    pub(crate) fn decode_all(bytes: &[u8]) -> Vec<Self> {
        let entry = |bytes: &[u8]| {
            let mut reader = Reader(bytes);
            Some(Self { at: reader.u32()?, items: reader.u32()?, body_bytes: reader.u64()? })
        };
        bytes.chunks_exact(ENTRY_BYTES).filter_map(entry).collect()
    }
}

/// What is not committed, counted in every way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Records.
    pub records: u64,
    /// Items in them.
    pub items: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Size {
    /// One record.
    #[must_use]
    pub fn of(items: u64, bytes: u64) -> Self {
        Self { records: 1, items, bytes }
    }

    #[must_use]
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        if entry.at == 0 { Self::default() } else { Self::of(u64::from(entry.items), entry.body_bytes) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.items = self.items.saturating_add(other.items);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(crate) fn sub(&mut self, other: Self) {
        self.records = self.records.saturating_sub(other.records);
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// The end of a segment to which nothing is added any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Entries of the index, which is directly in front of the trailer.
    pub(crate) count: u32,
    /// Sum of the records.
    pub(crate) total: Size,
    pub(crate) index_hash: u64,
    pub(crate) first: u64,
}

impl Trailer {
    pub(crate) fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend(TRAILER_MAGIC);
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.total.records.to_le_bytes());
        bytes.extend(self.total.items.to_le_bytes());
        bytes.extend(self.total.bytes.to_le_bytes());
        bytes.extend(self.index_hash.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        sealed(&bytes, &[], 0)
    }

    pub(crate) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take()? != TRAILER_MAGIC || !is_whole(bytes, &[], 0) {
            return None;
        }
        let count = reader.u32().filter(|count| *count <= RECORDS_MAX)?;
        let total = Size { records: reader.u64()?, items: reader.u64()?, bytes: reader.u64()? };
        Some(Self { count, total, index_hash: reader.u64()?, first: reader.u64()? })
    }

    /// Bytes of the index.
    pub(crate) fn index_bytes(&self) -> usize {
        usize::try_from(self.count).unwrap_or_default().saturating_mul(ENTRY_BYTES)
    }
}

/// The hash of an index.
pub(crate) fn index_hash(index: &[u8]) -> u64 {
    xxh3_64(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everything_written_is_read_and_no_flipped_bit_is(
            first: u64, run: u64, content: u16, items: u32, head in prop::collection::vec(any::<u8>(), 0..40), flip: usize
        ) {
            let header = Header { content, first, run };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes), FoundHeader::Known(header));
            bytes[flip % HEADER_BYTES] ^= 1 << (flip % 8);
            prop_assert!(!matches!(Header::decode(&bytes), FoundHeader::Known(_)));

            let record = RecordHeader {
                items, head_bytes: head.len() as u32, body_bytes: run, sequence: first, body_hash: run ^ first,
            };
            let mut bytes = record.encode(&head, run);
            prop_assert_eq!(RecordHeader::decode(&bytes), Some(record));
            prop_assert!(RecordHeader::is_whole(&bytes, &head, run));
            prop_assert!(!RecordHeader::is_whole(&bytes, &head, run.wrapping_add(1)));
            bytes[flip % RECORD_BYTES] ^= 1 << (flip % 8);
            prop_assert!(!RecordHeader::is_whole(&bytes, &head, run));

            let trailer = Trailer {
                count: items % (RECORDS_MAX + 1), total: Size::of(first, run), index_hash: run, first,
            };
            let mut bytes = trailer.encode();
            prop_assert_eq!(Trailer::decode(&bytes), Some(trailer));
            bytes[flip % TRAILER_BYTES] ^= 1 << (flip % 8);
            prop_assert_eq!(Trailer::decode(&bytes), None);

            let entry = Entry { at: items, items: run as u32, body_bytes: first };
            prop_assert_eq!(Entry::decode_all(&[entry.encode(), entry.encode()].concat()), [entry, entry]);

            let cell = flip % CELLS;
            let bytes = encode_cell(items, cell, first);
            prop_assert_eq!(decode_cell(bytes, cell, first), Some(items));
            let mut flipped = bytes;
            flipped[flip % CELL_BYTES] ^= 1 << (flip % 8);
            prop_assert!(decode_cell(flipped, cell, first).is_none_or(|bits| bits == 0));
        }

        #[test]
        fn outside_bytes_never_panic(bytes: [u8; 64], cell in 0..CELLS, first: u64) {
            let _found = Header::decode(&bytes);
            let _found = Trailer::decode(&bytes);
            let _found = RecordHeader::decode(bytes.first_chunk().unwrap()).map(|header| header.record_bytes());
            let _found = decode_cell(*bytes.first_chunk().unwrap(), cell, first);
            let _found = Entry::decode_all(&bytes[..first as usize % 64]);
        }
    }
}
