//! What a spool knows while it is open: its segments, which records are claimed, and what is to be done on disk.
//!
//! Memory: a fixed amount per segment, an entry per record of the segments being written and claimed from, and the records
//! that are claimed. It does not grow with what waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Resident;
use crate::disk::RestingFile;
use crate::error::SpoolError;
use crate::format::{Entry, Size};
use crate::segment::{Index, Segment, keep};

/// A record that waits to be written.
pub(crate) struct Pending<L> {
    pub(crate) put: crate::Put<L>,
    pub(crate) reply: oneshot::Sender<Result<u64, (SpoolError, L)>>,
}

/// What is to be done on disk.
pub(crate) struct Work<L> {
    pub(crate) puts: Vec<Pending<L>>,
    /// Cells as they shall be.
    pub(crate) cells: Vec<Cell>,
    pub(crate) gone: Vec<Segment>,
    pub(crate) seals: Vec<oneshot::Sender<()>>,
}

/// An acknowledgement cell to be written.
pub(crate) struct Cell {
    pub(crate) first: u64,
    pub(crate) cell: usize,
    pub(crate) file: Arc<RestingFile>,
    pub(crate) bytes: [u8; crate::format::CELL_BYTES],
}

/// A record to be read, or that is here.
pub(crate) struct Picked<L> {
    pub(crate) sequence: u64,
    pub(crate) run: u64,
    pub(crate) entry: Entry,
    pub(crate) file: Arc<RestingFile>,
    pub(crate) path: PathBuf,
    pub(crate) resident: Option<L>,
}

/// What claiming needs next.
pub(crate) enum Pick<L> {
    /// Nothing is there.
    None,
    /// The index of this segment.
    Index {
        first: u64,
        count: u32,
        run: u64,
        file: Arc<RestingFile>,
        path: PathBuf,
    },
    /// The record has to be read (and was not claimed, as only residents were wanted).
    OnDisk,
    Record(Picked<L>),
}

pub(crate) struct State<L: Resident> {
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// The one that grows.
    pub(crate) active: Option<u64>,
    /// The next record that nobody has claimed.
    pub(crate) cursor: u64,
    /// Records in front of the cursor that nobody has any more.
    returned: BTreeSet<u64>,
    claimed: HashMap<u64, Size>,
    /// Everything not committed, and what is being written.
    pub(crate) held: Size,
    pub(crate) residents: HashMap<u64, L>,
    pub(crate) resident_bytes: usize,
    /// Bytes of all files.
    pub(crate) file_bytes: u64,
    pub(crate) puts: Vec<Pending<L>>,
    dirty: BTreeSet<(u64, usize)>,
    gone: Vec<Segment>,
    seals: Vec<oneshot::Sender<()>>,
    /// Whether somebody does what there is to do.
    pub(crate) working: bool,
    pub(crate) users: usize,
    /// Whether the last user has left: nothing is written any more.
    pub(crate) is_closed: bool,
}

impl<L: Resident> State<L> {
    pub(crate) fn new() -> Self {
        Self {
            segments: BTreeMap::new(),
            active: None,
            cursor: 0,
            returned: BTreeSet::new(),
            claimed: HashMap::new(),
            held: Size::default(),
            residents: HashMap::new(),
            resident_bytes: 0,
            file_bytes: 0,
            puts: Vec::new(),
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            seals: Vec::new(),
            working: false,
            users: 0,
            is_closed: false,
        }
    }

    pub(crate) fn seal(&mut self, told: oneshot::Sender<()>) {
        self.seals.push(told);
    }

    /// Takes what is to be done; puts of up to `puts_bytes`, at least one.
    pub(crate) fn take_work(&mut self, puts_bytes: u64) -> Option<Work<L>> {
        let mut bytes = 0;
        let taken = self.puts.iter().take_while(|pending| {
            let fits = bytes == 0 || bytes + pending.put.size.bytes <= puts_bytes;
            bytes += pending.put.size.bytes.max(1);
            fits
        });
        let taken = taken.count();
        let puts: Vec<_> = self.puts.drain(..taken).collect();
        let dirty = std::mem::take(&mut self.dirty);
        let cells = dirty.into_iter().filter_map(|(first, cell)| {
            let segment = self.segments.get(&first)?;
            let bytes = segment.acks.encode(cell, first);
            Some(Cell { first, cell, file: Arc::clone(&segment.file), bytes })
        });
        let cells: Vec<_> = cells.collect();
        // Only when nothing is left to be written before.
        let seals = if self.puts.is_empty() { std::mem::take(&mut self.seals) } else { Vec::new() };
        let work = Work { puts, cells, gone: self.take_gone(), seals };
        let is_idle = work.puts.is_empty() && work.cells.is_empty() && work.gone.is_empty() && work.seals.is_empty();
        (!is_idle).then_some(work)
    }

    /// Segments of which nothing is waited for.
    pub(crate) fn take_gone(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.gone)
    }

    /// A cell could not be written; it is tried again with what is done next.
    pub(crate) fn dirty_again(&mut self, first: u64, cell: usize) {
        self.dirty.insert((first, cell));
    }

    pub(crate) fn has_work(&self) -> bool {
        !(self.puts.is_empty() && self.dirty.is_empty() && self.gone.is_empty() && self.seals.is_empty())
    }

    /// Keeps nothing in memory of what is on disk.
    pub(crate) fn release_residents(&mut self) {
        self.resident_bytes = 0;
        self.residents.drain().for_each(|(_, live)| live.release());
    }

    /// Whether nothing but cells that could not be written is to be done.
    pub(crate) fn only_cells_left(&self) -> bool {
        self.puts.is_empty() && self.gone.is_empty() && self.seals.is_empty()
    }

    fn segment_of(&mut self, sequence: u64) -> Option<&mut Segment> {
        self.segments.range_mut(..=sequence).next_back().map(|(_, segment)| segment)
    }

    /// Chooses the oldest record that nobody has; one that has to be read only if `reads`.
    pub(crate) fn pick(&mut self, reads: bool) -> Pick<L> {
        loop {
            let returned = self.returned.first().copied();
            let sequence = returned.unwrap_or(self.cursor);
            let Some(segment) = self.segments.range(..=sequence).next_back().map(|(_, segment)| segment) else {
                // In front of all segments: those it was in are gone.
                match self.segments.first_key_value() {
                    Some((first, _)) if returned.is_none() && *first > sequence => self.cursor = *first,
                    _ if returned.is_some() => drop(self.returned.pop_first()),
                    _ => return Pick::None,
                }
                continue;
            };
            let Some(index) = segment.index_of(sequence) else {
                if returned.is_some() {
                    self.returned.pop_first();
                    continue;
                }
                let first = segment.first;
                match self.segments.range(sequence..).find(|(next, _)| **next > first) {
                    Some((next, _)) => {
                        self.cursor = *next;
                        self.forget_index(first);
                        continue;
                    }
                    None => return Pick::None,
                }
            };
            if segment.acks.has(index) {
                self.pass(sequence);
                continue;
            }
            let resident = self.residents.contains_key(&sequence);
            let Some(entries) = &segment.entries else {
                if !reads && !resident {
                    return Pick::OnDisk;
                }
                let (file, path) = (Arc::clone(&segment.file), segment.path.clone());
                return Pick::Index { first: segment.first, count: segment.count, run: segment.run, file, path };
            };
            let entry = entries.get(index as usize).copied().unwrap_or_default();
            if entry.at == 0 {
                // Not there: its place was found to be damaged.
                self.pass(sequence);
                if let Some(segment) = self.segment_of(sequence) {
                    segment.acks.set(index);
                }
                continue;
            }
            if !reads && !resident {
                return Pick::OnDisk;
            }
            let (file, path, run) = (Arc::clone(&segment.file), segment.path.clone(), segment.run);
            self.pass(sequence);
            self.claimed.insert(sequence, Size::of_entry(&entry));
            let resident = self.residents.remove(&sequence);
            self.resident_bytes = self.resident_bytes.saturating_sub(resident.as_ref().map_or(0, Resident::bytes));
            return Pick::Record(Picked { sequence, run, entry, file, path, resident });
        }
    }

    /// Nobody else gets `sequence`.
    fn pass(&mut self, sequence: u64) {
        if !self.returned.remove(&sequence) {
            self.cursor = sequence + 1;
        }
    }

    /// Keeps an index that was read. Returns how many records turned out not to be there.
    pub(crate) fn keep_index(&mut self, first: u64, index: Index) -> u64 {
        let Some(segment) = self.segments.get_mut(&first).filter(|segment| segment.entries.is_none()) else { return 0 };
        segment.file.wake();
        if !index.is_damaged {
            segment.entries = Some(index.entries);
            return 0;
        }
        segment.damaged = true;
        let before = segment.left;
        segment.left = keep(segment, index.entries);
        self.held.sub(before);
        self.held.add(segment.left);
        let missing = before.records.saturating_sub(segment.left.records);
        self.retire(first);
        missing
    }

    /// An index that cannot be read: its records stay where they are, for another start.
    pub(crate) fn skip_segment(&mut self, first: u64) {
        if let Some(segment) = self.segments.get_mut(&first) {
            segment.damaged = true;
            let end = segment.end();
            self.cursor = self.cursor.max(end);
            self.returned.retain(|sequence| !(first..end).contains(sequence));
        }
    }

    /// Frees the memory of an index that nobody needs now.
    fn forget_index(&mut self, first: u64) {
        if let Some(segment) = self.segments.get_mut(&first).filter(|segment| segment.sealed) {
            segment.entries = None;
            segment.file.rest();
        }
    }

    /// The segment was sealed: its index is needed only while it is claimed from.
    pub(crate) fn sealed(&mut self, first: u64) {
        let cursor = self.cursor;
        if let Some(segment) = self.segments.get_mut(&first) {
            segment.sealed = true;
            if !(segment.first..segment.end()).contains(&cursor) {
                segment.entries = None;
                segment.file.rest();
            }
        }
        self.retire(first);
    }

    /// A claimed record is done with.
    pub(crate) fn commit(&mut self, sequence: u64) -> bool {
        let Some(size) = self.claimed.remove(&sequence).filter(|_| !self.is_closed) else { return false };
        self.held.sub(size);
        let Some(segment) = self.segment_of(sequence) else { return true };
        let first = segment.first;
        segment.left.sub(size);
        let cell = segment.index_of(sequence).and_then(|index| segment.acks.set(index));
        if let Some(cell) = cell {
            self.dirty.insert((first, cell));
        }
        self.retire(first);
        true
    }

    /// Lets a segment go of which nothing is waited for.
    pub(crate) fn retire(&mut self, first: u64) {
        let is_done = self.segments.get(&first).is_some_and(Segment::is_done);
        if is_done
            && self.active != Some(first)
            && let Some(segment) = self.segments.remove(&first)
        {
            self.dirty.retain(|(of, _)| *of != first);
            segment.file.rest();
            self.gone.push(segment);
        }
    }

    /// A claimed record is to be claimed again.
    pub(crate) fn give_back(&mut self, sequence: u64) -> bool {
        let known = self.claimed.remove(&sequence).is_some();
        if known {
            self.returned.insert(sequence);
        }
        known
    }

    /// What is not committed, those being written apart.
    pub(crate) fn stays(&self) -> Size {
        let mut stays = self.held;
        self.puts.iter().for_each(|pending| stays.sub(pending.put.size));
        stays
    }
}
