//! One file of the log: opening what an earlier run left, and reading records and indexes.
//!
//! A sealed segment is opened by its two ends, whatever it holds. Only one that was not sealed (the last before a crash) is
//! read through: a tail that was being written is cut off, damage in front of whole records is left out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::{DiskFile as _, RestingFile};
use crate::error::SpoolError;
use crate::format::{
    CELL_BYTES, CELL_RECORDS, CELLS, CELLS_AT, CELLS_BYTES, Entry, FoundHeader, HEADER_BYTES, Header, RECORD_BYTES,
    RECORD_MAGIC, RECORDS_AT, RECORDS_MAX, RecordHeader, Size, TRAILER_BYTES, Trailer, decode_cell, encode_cell,
    index_hash,
};

/// Longest head of a record, in bytes; more is damage.
pub(crate) const HEAD_BYTES_MAX: u32 = 1 << 24;

/// Which records of a segment are committed.
#[derive(Clone, Debug)]
pub(crate) struct Acks {
    cells: Option<Box<[u32; CELLS]>>,
    count: u32,
}

impl Acks {
    pub(crate) fn none() -> Self {
        Self { cells: None, count: 0 }
    }

    fn place(index: u32) -> (usize, u32) {
        ((index / CELL_RECORDS) as usize, 1 << (index % CELL_RECORDS))
    }

    /// How many are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn has(&self, index: u32) -> bool {
        let (cell, bit) = Self::place(index);
        self.cells.as_ref().and_then(|cells| cells.get(cell)).is_some_and(|bits| bits & bit != 0)
    }

    /// Notes one. Returns the cell it is in, unless it was noted before.
    pub(crate) fn set(&mut self, index: u32) -> Option<usize> {
        let (cell, bit) = Self::place(index);
        let bits = self.cells.get_or_insert_with(|| Box::new([0; CELLS])).get_mut(cell)?;
        if *bits & bit != 0 {
            return None;
        }
        *bits |= bit;
        self.count += 1;
        Some(cell)
    }

    /// A cell as it stands in the file.
    pub(crate) fn encode(&self, cell: usize, first: u64) -> [u8; CELL_BYTES] {
        let bits = self.cells.as_ref().and_then(|cells| cells.get(cell)).copied().unwrap_or_default();
        encode_cell(bits, cell, first)
    }

    /// Those of the first `count` records that are.
    fn read(bytes: &[u8], first: u64, count: u32) -> Self {
        let mut acks = Self::none();
        for (cell, bytes) in bytes.chunks_exact(CELL_BYTES).enumerate() {
            // A damaged cell costs a second delivery of its records.
            let bits = bytes.first_chunk().and_then(|bytes| decode_cell(*bytes, cell, first)).unwrap_or_default();
            let records = (cell as u32).saturating_mul(CELL_RECORDS)..;
            for (bit, index) in (0..CELL_RECORDS).zip(records) {
                if bits & (1 << bit) != 0 && index < count {
                    acks.set(index);
                }
            }
        }
        acks
    }
}

/// Where cell `cell` is in the file.
pub(crate) fn cell_at(cell: usize) -> u64 {
    CELLS_AT + (cell * CELL_BYTES) as u64
}

/// A segment as the spool knows it.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<RestingFile>,
    /// Sequence number of the first record.
    pub(crate) first: u64,
    /// Sequence numbers it has.
    pub(crate) count: u32,
    pub(crate) run: u64,
    pub(crate) acks: Acks,
    /// What is not committed.
    pub(crate) left: Size,
    /// Bytes of the file.
    pub(crate) file_bytes: u64,
    /// Where the records are, while somebody needs it, and always if it is not in the file.
    pub(crate) entries: Option<Vec<Entry>>,
    /// Whether its index is in the file.
    pub(crate) sealed: bool,
    /// Whether it holds something damaged, and is put aside instead of being removed.
    pub(crate) damaged: bool,
}

impl Segment {
    /// The sequence number after its last.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(crate) fn index_of(&self, sequence: u64) -> Option<u32> {
        u32::try_from(sequence.checked_sub(self.first)?).ok().filter(|index| *index < self.count)
    }

    /// Whether nothing in it is waited for.
    pub(crate) fn is_done(&self) -> bool {
        self.acks.count() >= self.count
    }
}

/// What opening a segment found.
pub(crate) enum Opened {
    Segment {
        segment: Segment,
        /// Bytes cut off at its end.
        truncated_bytes: u64,
        /// Records that are there no more.
        damaged_records: u64,
    },
    /// Its creation was not finished, so that nothing in it was ever acknowledged.
    Unfinished { bytes: u64 },
    /// It says nothing one could believe.
    Damaged,
}

/// Opens the file at `path`, of `content`'s version. Records from sequence number `until` on are not its own.
pub(crate) fn open(
    path: &Path,
    file: Arc<RestingFile>,
    content: u16,
    until: Option<u64>,
) -> Result<Opened, SpoolError> {
    let io = |source| SpoolError::io("read", path, source);
    let len = file.size().map_err(io)?;
    if len < RECORDS_AT {
        return Ok(Opened::Unfinished { bytes: len });
    }
    let mut bytes = vec![0; HEADER_BYTES + CELLS_BYTES];
    file.read_at(&mut bytes, 0).map_err(io)?;
    let Some((header, cells)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Ok(Opened::Damaged) };
    let version = |found: String, known: String| SpoolError::Version { path: path.to_owned(), found, known };
    let header = match Header::decode(header) {
        FoundHeader::Known(header) if header.content != content => {
            return Err(version(format!("{} of its records", header.content), content.to_string()));
        }
        FoundHeader::Known(header) => header,
        FoundHeader::Version(found) => return Err(version(found.to_string(), crate::format::VERSION.to_string())),
        FoundHeader::Damaged if header.iter().all(|byte| *byte == 0) => return Ok(Opened::Unfinished { bytes: len }),
        FoundHeader::Damaged => return Ok(Opened::Damaged),
    };
    let mut segment = Segment {
        path: path.to_owned(),
        file,
        first: header.first,
        count: 0,
        run: header.run,
        acks: Acks::none(),
        left: Size::default(),
        file_bytes: len,
        entries: None,
        sealed: false,
        damaged: false,
    };
    let limit = until.map_or(RECORDS_MAX, |until| {
        u32::try_from(until.saturating_sub(header.first)).unwrap_or(RECORDS_MAX).min(RECORDS_MAX)
    });
    let (mut truncated_bytes, mut damaged_records) = (0, 0);
    let trailer = read_trailer(&segment).map_err(io)?.filter(|trailer| trailer.count <= limit);
    segment.left = match trailer {
        Some(trailer) => {
            segment.count = trailer.count;
            segment.sealed = true;
            segment.acks = Acks::read(cells, segment.first, segment.count);
            match segment.acks.count() {
                0 => trailer.total,
                some if some == segment.count => Size::default(),
                // Some of its records were committed: their index says what the others weigh.
                _ => load(&mut segment)?,
            }
        }
        None => {
            let Scanned { entries, end, damaged } = scan(&segment, limit).map_err(io)?;
            segment.count = u32::try_from(entries.len()).unwrap_or(RECORDS_MAX);
            segment.acks = Acks::read(cells, segment.first, segment.count);
            damaged_records = damaged;
            segment.damaged = damaged > 0;
            if end < len {
                truncated_bytes = len - end;
                // What cannot be cut off is overwritten by the index, or found again the next time.
                if segment.file.cut(end).is_ok() {
                    segment.file_bytes = end;
                }
            }
            keep(&mut segment, entries)
        }
    };
    Ok(Opened::Segment { segment, truncated_bytes, damaged_records })
}

fn read_trailer(segment: &Segment) -> std::io::Result<Option<Trailer>> {
    let Some(at) = segment.file_bytes.checked_sub(TRAILER_BYTES as u64).filter(|at| *at >= RECORDS_AT) else {
        return Ok(None);
    };
    let mut bytes = [0; TRAILER_BYTES];
    segment.file.read_at(&mut bytes, at)?;
    let fits = |trailer: &Trailer| {
        trailer.first == segment.first
            && at.checked_sub(trailer.index_bytes() as u64).is_some_and(|at| at >= RECORDS_AT)
    };
    Ok(Trailer::decode(&bytes).filter(fits))
}

/// Keeps `entries` with the segment; what is not there counts as committed. Returns what is not committed.
pub(crate) fn keep(segment: &mut Segment, entries: Vec<Entry>) -> Size {
    let mut left = Size::default();
    for (index, entry) in (0..).zip(&entries) {
        if entry.at == 0 {
            segment.acks.set(index);
        } else if !segment.acks.has(index) {
            left.add(Size::of_entry(entry));
        }
    }
    segment.entries = Some(entries);
    left
}

/// Loads the index, from what was read of the file. Returns what is not committed.
fn load(segment: &mut Segment) -> Result<Size, SpoolError> {
    let Index { entries, is_damaged } =
        read_index(&segment.file, &segment.path, (segment.first, segment.count, segment.run))?;
    segment.damaged |= is_damaged;
    Ok(keep(segment, entries))
}

/// The index of a segment.
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    /// Whether it had to be made anew, from the records.
    pub(crate) is_damaged: bool,
}

/// Reads the index of a sealed segment: `count` entries.
pub(crate) fn read_index(
    file: &Arc<RestingFile>,
    path: &Path,
    (first, count, run): (u64, u32, u64),
) -> Result<Index, SpoolError> {
    let io = |source| SpoolError::io("read", path, source);
    let bare = Segment {
        path: path.to_owned(),
        file: Arc::clone(file),
        first,
        count,
        run,
        acks: Acks::none(),
        left: Size::default(),
        file_bytes: file.size().map_err(io)?,
        entries: None,
        sealed: true,
        damaged: false,
    };
    if let Some(trailer) = read_trailer(&bare).map_err(io)? {
        let mut bytes = vec![0; trailer.index_bytes()];
        let at = bare.file_bytes - (TRAILER_BYTES + bytes.len()) as u64;
        file.read_at(&mut bytes, at).map_err(io)?;
        if index_hash(&bytes) == trailer.index_hash && trailer.count == count {
            return Ok(Index { entries: Entry::decode_all(&bytes), is_damaged: false });
        }
    }
    let mut entries = scan(&bare, count).map_err(io)?.entries;
    entries.resize(count as usize, Entry::default());
    Ok(Index { entries, is_damaged: true })
}

struct Scanned {
    entries: Vec<Entry>,
    /// After the last whole record.
    end: u64,
    /// Records that should have been there.
    damaged: u64,
}

/// Reads all records, at most `limit`. In front of a whole record, anything may be damaged.
fn scan(segment: &Segment, limit: u32) -> std::io::Result<Scanned> {
    let mut found = Scanned { entries: Vec::new(), end: RECORDS_AT, damaged: 0 };
    let mut at = RECORDS_AT;
    while (found.entries.len() as u64) < u64::from(limit) {
        let next = segment.first + found.entries.len() as u64;
        let step = match read_header(segment, at)? {
            Some((header, end)) if header.sequence >= next && header.sequence - next < u64::from(limit) => {
                Some((at, header, end))
            }
            _ => next_whole(segment, at + 1, next, limit)?,
        };
        let Some((found_at, header, end)) = step else { break };
        let missing = header.sequence - next;
        if found.entries.len() as u64 + missing >= u64::from(limit) {
            break;
        }
        found.damaged += missing;
        found.entries.extend((0..missing).map(|_| Entry::default()));
        let Ok(found_at) = u32::try_from(found_at) else { break };
        let entry = Entry { at: found_at, items: header.items, body_bytes: header.body_bytes };
        if is_body_whole(segment, &header, u64::from(found_at))? {
            found.entries.push(entry);
            found.end = end;
        } else if next_whole(segment, end, header.sequence + 1, limit)?.is_some() {
            // Whole records follow, so it was written to its end, and changed later.
            found.damaged += 1;
            found.entries.push(Entry::default());
        } else {
            break;
        }
        at = end;
    }
    while found.entries.last().is_some_and(|entry| entry.at == 0) {
        found.entries.pop();
    }
    Ok(found)
}

/// The header of the record at `at`, if it is whole and the record ends in the file, and where that is.
fn read_header(segment: &Segment, at: u64) -> std::io::Result<Option<(RecordHeader, u64)>> {
    if at + RECORD_BYTES as u64 > segment.file_bytes {
        return Ok(None);
    }
    let mut bytes = [0; RECORD_BYTES];
    segment.file.read_at(&mut bytes, at)?;
    let Some(header) = RecordHeader::decode(&bytes).filter(|header| header.head_bytes <= HEAD_BYTES_MAX) else {
        return Ok(None);
    };
    let end = header.record_bytes().and_then(|len| at.checked_add(len)).filter(|end| *end <= segment.file_bytes);
    let Some(end) = end else { return Ok(None) };
    let mut head = vec![0; header.head_bytes as usize];
    segment.file.read_at(&mut head, at + RECORD_BYTES as u64)?;
    Ok(RecordHeader::is_whole(&bytes, &head, segment.run).then_some((header, end)))
}

fn is_body_whole(segment: &Segment, header: &RecordHeader, at: u64) -> std::io::Result<bool> {
    // In pieces: a record may be large, and nobody has asked for it yet.
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = at + RECORD_BYTES as u64 + u64::from(header.head_bytes);
    let mut left = header.body_bytes;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(piece) = piece.get_mut(..len) else { break };
        segment.file.read_at(piece, at)?;
        hasher.update(piece);
        at += len as u64;
        left -= len as u64;
    }
    Ok(hasher.digest() == header.body_hash)
}

const PIECE_BYTES: usize = 1 << 16;

/// A record from a later place in the file.
type Found = Option<(u64, RecordHeader, u64)>;

/// The first record from `from` on with a whole header whose sequence number is at least `next`.
fn next_whole(segment: &Segment, from: u64, next: u64, limit: u32) -> std::io::Result<Found> {
    let finder = memmem::Finder::new(&RECORD_MAGIC);
    let mut at = from;
    let mut piece = vec![0; PIECE_BYTES];
    while at < segment.file_bytes {
        let len = usize::try_from(segment.file_bytes - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(piece) = piece.get_mut(..len) else { break };
        segment.file.read_at(piece, at)?;
        for offset in finder.find_iter(piece) {
            let candidate = at + offset as u64;
            let fits = |header: &RecordHeader| {
                header.sequence.checked_sub(next).is_some_and(|missing| missing < u64::from(limit))
            };
            if let Some((header, end)) = read_header(segment, candidate)?.filter(|(header, _)| fits(header)) {
                return Ok(Some((candidate, header, end)));
            }
        }
        // The magic may stand across the end of a piece.
        let overlap = RECORD_MAGIC.len() - 1;
        at += if len == PIECE_BYTES { (len - overlap) as u64 } else { len as u64 };
    }
    Ok(None)
}

/// The head and the body of a record, each in a buffer of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What describes it.
    pub head: Bytes,
    /// What it is.
    pub body: Vec<u8>,
}

/// Reads the record `sequence`, checking every byte. When its head is whole and its body is not, the error's second part is
/// the head.
pub(crate) fn read_record(
    file: &Arc<RestingFile>,
    path: &Path,
    entry: Entry,
    sequence: u64,
    run: u64,
) -> Result<Stored, (SpoolError, Option<Bytes>)> {
    let offset = u64::from(entry.at);
    let io = |source: std::io::Error| {
        let error = match source.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(path, sequence, offset),
            _ => SpoolError::io("read", path, source),
        };
        (error, None)
    };
    let mut bytes = [0; RECORD_BYTES];
    file.read_at(&mut bytes, offset).map_err(io)?;
    let header = RecordHeader::decode(&bytes).filter(|header| {
        header.sequence == sequence && header.body_bytes == entry.body_bytes && header.head_bytes <= HEAD_BYTES_MAX
    });
    let Some(header) = header else { return Err((damaged(path, sequence, offset), None)) };
    let mut head = vec![0; header.head_bytes as usize];
    let head_at = offset + RECORD_BYTES as u64;
    file.read_at(&mut head, head_at).map_err(io)?;
    if !RecordHeader::is_whole(&bytes, &head, run) {
        return Err((damaged(path, sequence, offset), None));
    }
    let head = Bytes::from(head);
    let with_head = |(error, _)| (error, Some(head.clone()));
    let mut body = vec![0; usize::try_from(header.body_bytes).unwrap_or(usize::MAX)];
    file.read_at(&mut body, head_at + u64::from(header.head_bytes)).map_err(io).map_err(with_head)?;
    if xxh3_64(&body) != header.body_hash {
        return Err((damaged(path, sequence, offset), Some(head)));
    }
    Ok(Stored { head, body })
}

fn damaged(path: &Path, sequence: u64, offset: u64) -> SpoolError {
    SpoolError::Damaged { path: path.to_owned(), sequence, offset }
}
