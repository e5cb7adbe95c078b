//! What happens on disk: one at a time takes everything there is to do, writes it, and makes it durable with one fsync.
//!
//! The worker is a blocking task of the runtime that lives while there is work: what arrives while it waits for the disk is
//! the next group. It alone writes to segments, creates and removes them. A write that fails is taken back by cutting the file
//! where the last durable record ends; a file whose fsync failed is not written to again, because what the system
//! says of it cannot be believed any more.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use xxhash_rust::xxh3::Xxh3;

use crate::disk::{Disk, DiskFile, RestingFile};
use crate::error::SpoolError;
use crate::format::{
    CELLS_BYTES, ENTRY_BYTES, Entry, Header, RECORD_BYTES, RECORDS_AT, RECORDS_MAX, RecordHeader, Size, TRAILER_BYTES,
    Trailer, index_hash,
};
use crate::segment::{Acks, HEAD_BYTES_MAX, Segment, cell_at};
use crate::spool::{Inner, Resident, Watch, put_aside, segment_path};
use crate::state::{Pending, Work};

/// Bytes of bodies written before one fsync, at most.
const GROUP_BYTES: u64 = 8 << 20;
/// Pieces up to this size are gathered before they are written.
const GATHER_BYTES: usize = 64 << 10;

/// What only the worker knows.
pub(crate) struct Writer {
    /// The next record's sequence number.
    next: u64,
    active: Option<Active>,
    buffer: Vec<u8>,
}

/// The segment that grows.
struct Active {
    first: u64,
    count: u32,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Where the last durable record ends.
    end: u64,
    /// Where the last written record ends.
    written: u64,
    index: Vec<u8>,
    total: Size,
}

/// Starts a worker; the caller has set `working`.
pub(crate) fn spawn<L: Resident>(inner: &Arc<Inner<L>>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let inner = Arc::clone(inner);
        runtime.spawn_blocking(move || inner.work());
    } else {
        // Whoever has work next starts it.
        inner.lock().working = false;
    }
}

/// Notes a worker's end by a panic.
struct Ended<'a, L: Resident>(&'a Inner<L>);

impl<L: Resident> Drop for Ended<'_, L> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().working = false;
        }
    }
}

impl<L: Resident> Inner<L> {
    fn work(&self) {
        // Those who wait for what a panic has dropped hear that; whoever comes next starts another worker.
        let _ended = Ended(self);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let work = {
                let mut state = self.lock();
                let Some(work) = state.take_work(GROUP_BYTES) else {
                    state.working = false;
                    return;
                };
                work
            };
            if !writer.round(self, work) {
                let mut state = self.lock();
                if state.only_cells_left() {
                    state.working = false;
                    return;
                }
            }
        }
    }
}

fn remove_all<L: Resident>(inner: &Inner<L>, gone: Vec<Segment>) {
    for segment in gone {
        let freed = remove(&*inner.disk, &*inner.watch, &segment);
        let mut state = inner.lock();
        state.file_bytes = state.file_bytes.saturating_sub(freed);
    }
}

/// Removes a segment of which nothing is waited for, or puts it aside. Returns the bytes that this freed.
pub(crate) fn remove(disk: &dyn Disk, watch: &dyn Watch, segment: &Segment) -> u64 {
    if segment.damaged {
        put_aside(disk, watch, &segment.path);
    } else if let Err(source) = disk.remove(&segment.path) {
        // The next opening finds that it is done with.
        watch.trouble(&SpoolError::io("remove", &segment.path, source));
        return 0;
    }
    segment.file_bytes
}

impl Writer {
    pub(crate) fn new(next: u64) -> Self {
        Self { next, active: None, buffer: Vec::new() }
    }

    /// Does `work`. `false` when cells could not be written, and trying at once would be in vain.
    fn round<L: Resident>(&mut self, inner: &Inner<L>, work: Work<L>) -> bool {
        let Work { puts, cells, gone, seals } = work;
        // First what makes room.
        remove_all(inner, gone);
        let mut all_written = true;
        for cell in cells {
            if let Err(source) = cell.file.write_at(&cell.bytes, cell_at(cell.cell)) {
                inner.watch.trouble(&SpoolError::io("write to", segment_path(&inner.directory, cell.first), source));
                inner.lock().dirty_again(cell.first, cell.cell);
                all_written = false;
            }
        }
        self.put_all(inner, puts);
        if !seals.is_empty() {
            self.seal(inner);
            let gone = inner.lock().take_gone();
            remove_all(inner, gone);
            for told in seals {
                let _nobody_waits = told.send(());
            }
        }
        all_written
    }

    fn put_all<L: Resident>(&mut self, inner: &Inner<L>, puts: Vec<Pending<L>>) {
        let mut group: Vec<(Pending<L>, Entry)> = Vec::new();
        for pending in puts {
            let bytes = record_bytes(&pending);
            let needs_new = self.active.as_ref().is_none_or(|active| {
                active.count > 0
                    && (active.count == RECORDS_MAX || active.written + bytes > inner.options.segment_bytes)
            });
            if needs_new {
                self.settle(inner, std::mem::take(&mut group));
                self.seal(inner);
            }
            match self.ready_for(inner, bytes).and_then(|()| self.write(inner, &pending)) {
                Ok(entry) => group.push((pending, entry)),
                Err(error) => {
                    // What was written before it is whole.
                    self.settle(inner, std::mem::take(&mut group));
                    self.undo();
                    refuse(inner, pending, error);
                }
            }
        }
        self.settle(inner, group);
    }

    /// Whether there is a segment to write `bytes` to, and a budget.
    fn ready_for<L: Resident>(&mut self, inner: &Inner<L>, bytes: u64) -> Result<(), SpoolError> {
        let (limit_bytes, unsynced) =
            (inner.bytes_max.load(Ordering::Relaxed), self.active.as_ref().map_or(0, |a| a.written - a.end));
        let needed =
            bytes + if self.active.is_none() { RECORDS_AT + TRAILER_BYTES as u64 } else { 0 } + ENTRY_BYTES as u64;
        let held_bytes = inner.lock().file_bytes + unsynced;
        if limit_bytes > 0 && held_bytes + needed > limit_bytes {
            let path = inner.directory.clone();
            return Err(SpoolError::Budget { path, held_bytes, asked_bytes: needed, limit_bytes });
        }
        if self.active.is_some() {
            return Ok(());
        }
        let path = segment_path(&inner.directory, self.next);
        let io = |source| SpoolError::io("write to", &path, source);
        let header = Header { content: inner.options.content, first: self.next, run: inner.options.run };
        let mut bytes = header.encode().to_vec();
        bytes.resize(bytes.len() + CELLS_BYTES, 0);
        let file: Arc<dyn DiskFile> = match inner.disk.create(&path) {
            // What an attempt that failed has left.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => inner.disk.open(&path).map_err(io)?,
            created => created.map_err(|source| SpoolError::io("create", &path, source))?,
        }
        .into();
        file.cut(0).and_then(|()| file.write_at(&bytes, 0)).map_err(io)?;
        if inner.fsync.load(Ordering::Relaxed) {
            inner
                .disk
                .sync_directory(&inner.directory)
                .map_err(|source| SpoolError::io("make durable the files of", &inner.directory, source))?;
        }
        let segment = Segment {
            path: path.clone(),
            file: RestingFile::new(&inner.disk, &path, Arc::clone(&file)),
            first: self.next,
            count: 0,
            run: inner.options.run,
            acks: Acks::none(),
            left: Size::default(),
            file_bytes: RECORDS_AT,
            entries: Some(Vec::new()),
            sealed: false,
            damaged: false,
        };
        self.active = Some(Active {
            first: self.next,
            count: 0,
            file,
            path,
            end: RECORDS_AT,
            written: RECORDS_AT,
            index: Vec::new(),
            total: Size::default(),
        });
        let mut state = inner.lock();
        state.active = Some(self.next);
        state.file_bytes += RECORDS_AT;
        state.segments.insert(self.next, segment);
        Ok(())
    }

    /// Writes a record behind those that were written.
    fn write<L: Resident>(&mut self, inner: &Inner<L>, pending: &Pending<L>) -> Result<Entry, SpoolError> {
        let put = &pending.put;
        let Some(active) = &mut self.active else { return Err(SpoolError::Closed) };
        let io = |source| SpoolError::io("write to", &active.path, source);
        let mut hasher = Xxh3::new();
        put.body.iter().for_each(|piece| hasher.update(piece));
        let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
        let head_bytes = u32::try_from(put.head.len()).ok().filter(|len| *len <= HEAD_BYTES_MAX);
        let header = RecordHeader {
            items: u32::try_from(put.size.items).map_err(|_too_many| io(too_large()))?,
            head_bytes: head_bytes.ok_or_else(|| io(too_large()))?,
            body_bytes: put.body.iter().map(|piece| piece.len() as u64).sum(),
            sequence: self.next,
            body_hash: hasher.digest(),
        };
        let at = u32::try_from(active.written).map_err(|_too_far| io(too_large()))?;
        self.buffer.clear();
        self.buffer.extend(header.encode(&put.head, inner.options.run));
        self.buffer.extend(&put.head);
        let mut to = active.written;
        for piece in &put.body {
            if piece.len() > GATHER_BYTES {
                active.file.write_at(&self.buffer, to).map_err(io)?;
                to += self.buffer.len() as u64;
                self.buffer.clear();
                active.file.write_at(piece, to).map_err(io)?;
                to += piece.len() as u64;
            } else {
                self.buffer.extend_from_slice(piece);
                if self.buffer.len() > GATHER_BYTES {
                    active.file.write_at(&self.buffer, to).map_err(io)?;
                    to += self.buffer.len() as u64;
                    self.buffer.clear();
                }
            }
        }
        active.file.write_at(&self.buffer, to).map_err(io)?;
        active.written = to + self.buffer.len() as u64;
        self.next += 1;
        active.count += 1;
        let entry = Entry { at, items: header.items, body_bytes: header.body_bytes };
        active.index.extend(entry.encode());
        active.total.add(Size::of_entry(&entry));
        Ok(entry)
    }

    /// Makes the group durable, publishes it, and answers; or takes it back.
    fn settle<L: Resident>(&mut self, inner: &Inner<L>, group: Vec<(Pending<L>, Entry)>) {
        let Some(active) = self.active.as_mut().filter(|_| !group.is_empty()) else { return };
        if inner.fsync.load(Ordering::Relaxed) {
            let started = Instant::now();
            if let Err(source) = active.file.sync() {
                let (path, kind, text) = (active.path.clone(), source.kind(), source.to_string());
                self.take_back(&group);
                self.undo();
                // Nothing more is written to a file of which the system has lost something.
                self.abandon(inner);
                for (pending, _) in group {
                    let source = io::Error::new(kind, text.clone());
                    refuse(inner, pending, SpoolError::io("make durable", &path, source));
                }
                return;
            }
            inner.watch.synced(started.elapsed());
        }
        let grown = active.written - active.end;
        active.end = active.written;
        let first = active.first;
        let sequence = first + u64::from(active.count) - group.len() as u64;
        let mut answers = Vec::with_capacity(group.len());
        {
            let mut state = inner.lock();
            let state = &mut *state;
            state.file_bytes += grown;
            if let Some(segment) = state.segments.get_mut(&first) {
                segment.file_bytes += grown;
                segment.count += u32::try_from(group.len()).unwrap_or_default();
                segment.entries.get_or_insert_default().extend(group.iter().map(|(_, entry)| *entry));
                group.iter().for_each(|(_, entry)| segment.left.add(Size::of_entry(entry)));
            }
            for (sequence, (Pending { put, reply }, _)) in (sequence..).zip(group) {
                let bytes = put.live.bytes();
                if !state.is_closed && state.resident_bytes + bytes <= inner.options.resident_bytes {
                    state.resident_bytes += bytes;
                    state.residents.insert(sequence, put.live);
                } else {
                    put.live.release();
                }
                answers.push((reply, sequence));
            }
        }
        inner.changed.notify_waiters();
        for (reply, sequence) in answers {
            // Whoever waited may be gone; the record stays.
            drop(reply.send(Ok(sequence)));
        }
    }

    /// Forgets the entries of a group that did not become durable.
    fn take_back<T>(&mut self, group: &[(T, Entry)]) {
        let Some(active) = &mut self.active else { return };
        for (_, entry) in group {
            active.count -= 1;
            self.next -= 1;
            active.total.sub(Size::of_entry(entry));
            active.index.truncate(active.index.len() - ENTRY_BYTES);
        }
    }

    /// Cuts the active segment where its last durable record ends. Where that fails, the next record is written over what is
    /// there.
    fn undo(&mut self) {
        if let Some(active) = &mut self.active {
            active.written = active.end;
            let _overwritten = active.file.cut(active.end);
        }
    }

    /// Lets go of the active segment without sealing it.
    fn abandon<L: Resident>(&mut self, inner: &Inner<L>) {
        let Some(active) = self.active.take() else { return };
        // A file's name is used once.
        self.next += 1;
        let mut state = inner.lock();
        state.active = None;
        if let Some(segment) = state.segments.get(&active.first) {
            segment.file.rest();
        }
        state.retire(active.first);
    }

    /// Seals the active segment, if there is one: the next record gets a new one.
    fn seal<L: Resident>(&mut self, inner: &Inner<L>) {
        let Some(active) = self.active.take() else { return };
        if active.count == 0 {
            // A file's name is used once.
            self.next += 1;
        }
        let fsync = inner.fsync.load(Ordering::Relaxed);
        let end = write_index(&*active.file, &active.index, active.end, active.first, active.total, fsync);
        let mut state = inner.lock();
        state.active = None;
        match end {
            Ok(end) => {
                state.file_bytes += end - active.end;
                if let Some(segment) = state.segments.get_mut(&active.first) {
                    segment.file_bytes += end - active.end;
                }
                state.sealed(active.first);
            }
            Err(source) => {
                // It is read through at the next opening instead.
                let _found_again = active.file.cut(active.end);
                state.retire(active.first);
                drop(state);
                inner.watch.trouble(&SpoolError::io("write the index of", &active.path, source));
            }
        }
    }

    /// Writes the index of a segment that an earlier run did not seal.
    pub(crate) fn seal_recovered(segment: &mut Segment, fsync: bool) -> Result<(), SpoolError> {
        let Some(entries) = &segment.entries else { return Ok(()) };
        let index: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        let mut total = Size::default();
        entries.iter().for_each(|entry| total.add(Size::of_entry(entry)));
        let end = write_index(&*segment.file, &index, segment.file_bytes, segment.first, total, fsync);
        let end = end.map_err(|source| {
            let _found_again = segment.file.cut(segment.file_bytes);
            SpoolError::io("write the index of", &segment.path, source)
        })?;
        segment.file_bytes = end;
        segment.sealed = true;
        Ok(())
    }
}

/// Writes index and trailer at `end`. Returns where the file ends then.
fn write_index(file: &dyn DiskFile, index: &[u8], end: u64, first: u64, total: Size, fsync: bool) -> io::Result<u64> {
    let count = u32::try_from(index.len() / ENTRY_BYTES).unwrap_or(RECORDS_MAX);
    let trailer = Trailer { count, total, index_hash: index_hash(index), first };
    file.write_at(&[index, &trailer.encode()].concat(), end)?;
    if fsync {
        file.sync()?;
    }
    Ok(end + (index.len() + TRAILER_BYTES) as u64)
}

fn record_bytes<L>(pending: &Pending<L>) -> u64 {
    (RECORD_BYTES + pending.put.head.len()) as u64
        + pending.put.body.iter().map(|piece| piece.len() as u64).sum::<u64>()
}

fn refuse<L: Resident>(inner: &Inner<L>, pending: Pending<L>, error: SpoolError) {
    inner.lock().held.sub(pending.put.size);
    inner.changed.notify_waiters();
    // Whoever waited may be gone, and what it gave with it.
    if let Err(Err((_, live))) = pending.reply.send(Err((error, pending.put.live))) {
        drop(live);
    }
}
