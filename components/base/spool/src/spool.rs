//! The spool as its users see it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified, oneshot};

use crate::disk::{Disk, RestingFile};
use crate::error::SpoolError;
use crate::format::Size;
use crate::segment::{self, Opened, Stored, read_index, read_record};
use crate::state::{Pending, Pick, State};
use crate::worker::{self, Writer};

/// What is kept in memory beside a record for as long as there is room, so that it need not be read back.
pub trait Resident: Send + 'static {
    /// Bytes of memory it takes.
    fn bytes(&self) -> usize;

    /// The record is on disk, and this goes. Called before anybody can read the record.
    fn release(self);
}

/// Is told what there is to count.
pub trait Watch: fmt::Debug + Send + Sync + 'static {
    /// An fsync took that long.
    fn synced(&self, took: Duration) {
        let _ = took;
    }

    /// Bytes of a tail that was being written were cut off.
    fn truncated(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Records were found damaged and left out.
    fn damaged(&self, records: u64) {
        let _ = records;
    }

    /// A file was put aside under this name.
    fn put_aside(&self, path: &Path) {
        let _ = path;
    }

    /// Something that does not concern anybody who waits went wrong.
    fn trouble(&self, error: &SpoolError) {
        let _ = error;
    }
}

/// How a spool behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Version of what its records contain. A spool with another one is refused.
    pub content: u16,
    /// Distinguishes this run of the program from others. Random, so that nobody can write a body that looks like a record.
    pub run: u64,
    /// A segment is sealed before it exceeds this, in bytes, unless it has a single record.
    pub segment_bytes: u64,
    /// Bytes of all files together; more is refused. 0 for any.
    pub bytes_max: u64,
    /// Bytes of records kept in memory at most, beside the disk.
    pub resident_bytes: usize,
    /// Whether appending waits until records are on the medium, or only until the system has them.
    pub fsync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { content: 0, run: 0, segment_bytes: 16 << 20, bytes_max: 0, resident_bytes: 4 << 20, fsync: true }
    }
}

/// A record to be appended.
#[derive(Debug)]
pub struct Put<L> {
    /// What describes it; at most 16 MiB.
    pub head: Vec<u8>,
    /// What it is, in pieces.
    pub body: Vec<Bytes>,
    /// As it was reserved.
    pub size: Size,
    /// What may stay in memory beside it.
    pub live: L,
}

/// A claimed record.
#[derive(Debug)]
pub struct Claimed<L> {
    /// Its sequence number.
    pub sequence: u64,
    /// The run of the program that appended it.
    pub run: u64,
    /// What it is.
    pub found: Found<L>,
}

/// Where a claimed record was.
#[derive(Debug)]
pub enum Found<L> {
    /// Still in memory.
    Resident(L),
    /// On disk.
    Stored(Stored),
}

/// A record that cannot be read. It is committed; what is damaged is put aside with its segment.
#[derive(Debug)]
pub struct Unreadable {
    /// The run of the program that appended it.
    pub run: u64,
    /// Items in it.
    pub items: u64,
    /// What describes it, if that can be read.
    pub head: Option<Bytes>,
    /// What was found.
    pub error: SpoolError,
}

pub(crate) struct Inner<L: Resident> {
    pub(crate) directory: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) fsync: AtomicBool,
    pub(crate) bytes_max: AtomicU64,
    pub(crate) watch: Arc<dyn Watch>,
    pub(crate) state: Mutex<State<L>>,
    /// Owned by whoever works.
    pub(crate) writer: Mutex<Writer>,
    /// Something can be claimed, or there is room.
    pub(crate) changed: Notify,
    /// Until it is closed.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl<L: Resident> Inner<L> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Resident> Drop for Inner<L> {
    fn drop(&mut self) {
        self.lock().release_residents();
    }
}

/// See the crate's head. Cheap to clone.
pub struct Spool<L: Resident>(Arc<Inner<L>>);

/// A spool that somebody else keeps open.
pub struct WeakSpool<L: Resident>(Weak<Inner<L>>);

impl<L: Resident> WeakSpool<L> {
    /// The spool, while it is open.
    #[must_use]
    pub fn upgrade(&self) -> Option<Spool<L>> {
        self.0.upgrade().map(Spool).filter(|spool| !spool.is_closed())
    }
}

impl<L: Resident> fmt::Debug for WeakSpool<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSpool").finish_non_exhaustive()
    }
}

impl<L: Resident> Clone for Spool<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: Resident> fmt::Debug for Spool<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}

/// End of the names of segments, and of those that were put aside.
const SEGMENT: &str = "seg";
const DAMAGED: &str = "damaged";
/// Files put aside that are kept, at most.
const DAMAGED_MAX: usize = 4;

/// What records of a segment are called that begins with `first`.
pub(crate) fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.{SEGMENT}"))
}

impl<L: Resident> Spool<L> {
    /// Opens the spool in `directory`, which is created if need be. Blocks: it reads and writes files.
    ///
    /// # Errors
    /// [`SpoolError::InUse`], [`SpoolError::Version`], and what the system answers.
    pub fn open(
        directory: &Path,
        disk: Arc<dyn Disk>,
        options: Options,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SpoolError> {
        let io = |attempted| move |source| SpoolError::io(attempted, directory, source);
        disk.create_directory(directory).map_err(io("create the directory"))?;
        let lock = disk.lock(&directory.join("lock")).map_err(io("lock"))?;
        let Some(lock) = lock else { return Err(SpoolError::InUse { path: directory.to_owned() }) };
        let mut state = State::new();
        let files = disk.list(directory).map_err(io("list"))?;
        let mut firsts: Vec<u64> = files.iter().filter_map(|path| first_of(path)).collect();
        firsts.sort_unstable();
        let ends = firsts.iter().skip(1).map(|next| Some(*next)).chain([None]);
        let mut damaged: u64 = 0;
        let mut cursor = None;
        for (first, end) in firsts.iter().zip(ends) {
            let path = segment_path(directory, *first);
            let file = disk.open(&path).map_err(|source| SpoolError::io("open", &path, source))?;
            let file = RestingFile::new(&disk, &path, file.into());
            match segment::open(&path, file, options.content, end)? {
                Opened::Segment { segment, .. } if segment.first != *first => put_aside(&*disk, &*watch, &path),
                Opened::Segment { segment, truncated_bytes, damaged_records } => {
                    damaged += damaged_records;
                    if truncated_bytes > 0 {
                        watch.truncated(truncated_bytes);
                    }
                    if segment.is_done() {
                        state.file_bytes += segment.file_bytes - worker::remove(&*disk, &*watch, &segment);
                        continue;
                    }
                    segment.file.rest();
                    state.held.add(segment.left);
                    state.file_bytes += segment.file_bytes;
                    cursor.get_or_insert(segment.first);
                    state.segments.insert(segment.first, segment);
                }
                Opened::Unfinished { bytes } => {
                    watch.truncated(bytes);
                    disk.remove(&path).map_err(|source| SpoolError::io("remove", &path, source))?;
                }
                Opened::Damaged => put_aside(&*disk, &*watch, &path),
            }
        }
        if damaged > 0 {
            watch.damaged(damaged);
        }
        let after_all = state.segments.last_key_value().map(|(_, segment)| segment.end());
        // A file name is used once, whatever was in the file.
        let used = files.iter().filter_map(|path| number_of(path)).max().map(|number| number.saturating_add(1));
        let next = after_all.into_iter().chain(used).max().unwrap_or_default();
        state.cursor = cursor.unwrap_or(next);
        let (fsync, bytes_max) = (AtomicBool::new(options.fsync), AtomicU64::new(options.bytes_max));
        for segment in state.segments.values_mut() {
            // Without an index in the file it stays in memory, and the next opening reads the segment again.
            if !segment.sealed
                && let Err(error) = Writer::seal_recovered(segment, options.fsync)
            {
                watch.trouble(&error);
            }
            segment.entries = segment.entries.take().filter(|_| !segment.sealed);
            segment.file.rest();
        }
        Ok(Self(Arc::new(Inner {
            directory: directory.to_owned(),
            disk,
            options,
            fsync,
            bytes_max,
            watch,
            state: Mutex::new(state),
            writer: Mutex::new(Writer::new(next)),
            changed: Notify::new(),
            lock: Mutex::new(Some(lock)),
        })))
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// From now on appending waits for the medium if `fsync`, and all files together may have `bytes_max` bytes, 0 for any.
    pub fn set(&self, fsync: bool, bytes_max: u64) {
        self.0.fsync.store(fsync, Ordering::Relaxed);
        self.0.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Which run of the program this is.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.0.options.run
    }

    /// A handle that does not keep it open.
    #[must_use]
    pub fn downgrade(&self) -> WeakSpool<L> {
        WeakSpool(Arc::downgrade(&self.0))
    }

    /// How many use it.
    #[must_use]
    pub fn users(&self) -> usize {
        self.0.lock().users
    }

    /// One more uses it. `false` if the last one that did has left: it is closed then.
    #[must_use]
    pub fn join(&self) -> bool {
        let mut state = self.0.lock();
        if !state.is_closed {
            state.users += 1;
        }
        !state.is_closed
    }

    /// One less uses it: everything is made durable, nothing stays in memory, and if nobody is left it is closed, so that another
    /// process can have it. Returns what stays on disk.
    pub async fn leave(&self) -> Size {
        {
            let mut state = self.0.lock();
            state.users = state.users.saturating_sub(1);
            state.is_closed = state.users == 0;
        }
        let stays = self.flush().await;
        if self.is_closed() {
            *self.0.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        stays
    }

    /// Whether the last one that used it has left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    /// Everything that is not committed, and what is being appended.
    #[must_use]
    pub fn held(&self) -> Size {
        self.0.lock().held
    }

    /// Bytes of its files.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.0.lock().file_bytes
    }

    /// Takes room for a record if `fits` says so of everything held without it. Appending it, or [`Spool::cancel`], settles that.
    ///
    /// # Errors
    /// What is held, when it does not fit.
    pub fn reserve(&self, size: Size, fits: impl FnOnce(Size) -> bool) -> Result<(), Size> {
        let mut state = self.0.lock();
        if !fits(state.held) {
            return Err(state.held);
        }
        state.held.add(size);
        Ok(())
    }

    /// Gives back what [`Spool::reserve`] took.
    pub fn cancel(&self, size: Size) {
        self.0.lock().held.sub(size);
        self.0.changed.notify_waiters();
    }

    /// Appends a record that was [reserved](Spool::reserve). Answers with its sequence number when it is durable.
    /// Must be called in a runtime. Dropping the future does not take it back.
    ///
    /// # Errors
    /// Why it is not stored, and what was to be kept in memory, unless that is lost (the worker panicked). The reservation is
    /// gone then.
    pub async fn append(&self, put: Put<L>) -> Result<u64, (SpoolError, Option<L>)> {
        let (reply, answer) = oneshot::channel();
        let starts = {
            let mut state = self.0.lock();
            if state.is_closed {
                state.held.sub(put.size);
                return Err((SpoolError::Closed, Some(put.live)));
            }
            state.puts.push(Pending { put, reply });
            !std::mem::replace(&mut state.working, true)
        };
        if starts {
            worker::spawn(&self.0);
        }
        match answer.await {
            Ok(answer) => answer.map_err(|(error, live)| (error, Some(live))),
            // A panic, or the end of the runtime.
            Err(_) => Err((SpoolError::Closed, None)),
        }
    }

    /// Whether nothing is being written.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.0.lock();
        !state.working && !state.has_work() && Arc::strong_count(&self.0) == 1
    }

    /// Entries of indexes that are in memory.
    #[cfg(test)]
    pub(crate) fn entries_in_memory(&self) -> usize {
        let state = self.0.lock();
        state.segments.values().filter_map(|segment| segment.entries.as_ref()).map(Vec::len).sum()
    }

    /// Tells when something can be claimed, or there is room. To be [enabled](Notified::enable) before looking.
    pub fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Claims the oldest record that nobody has, if it is in memory. `Err` when it is on disk. Does not block.
    ///
    /// # Errors
    /// The oldest record has to be read: [`Spool::claim`].
    #[expect(clippy::result_unit_err, reason = "there is nothing to say")]
    pub fn claim_resident(&self) -> Result<Option<Claimed<L>>, ()> {
        match self.0.lock().pick(false) {
            Pick::None => Ok(None),
            Pick::Record(picked) => match picked.resident {
                Some(live) => {
                    let (sequence, run) = (picked.sequence, picked.run);
                    Ok(Some(Claimed { sequence, run, found: Found::Resident(live) }))
                }
                None => Err(()),
            },
            Pick::OnDisk | Pick::Index { .. } => Err(()),
        }
    }

    /// Claims the oldest record that nobody has. Blocks: it reads files.
    pub fn claim(&self) -> Option<Result<Claimed<L>, Unreadable>> {
        loop {
            let picked = match self.0.lock().pick(true) {
                Pick::None | Pick::OnDisk => return None,
                Pick::Index { first, count, run, file, path } => Err((first, count, run, file, path)),
                Pick::Record(picked) => Ok(picked),
            };
            let picked = match picked {
                Ok(picked) => picked,
                Err((first, count, run, file, path)) => {
                    match read_index(&file, &path, (first, count, run)) {
                        Ok(index) => {
                            let missing = self.0.lock().keep_index(first, index);
                            if missing > 0 {
                                self.0.watch.damaged(missing);
                            }
                        }
                        Err(error) => {
                            self.0.watch.trouble(&error);
                            self.0.lock().skip_segment(first);
                        }
                    }
                    continue;
                }
            };
            let (sequence, run) = (picked.sequence, picked.run);
            if let Some(live) = picked.resident {
                return Some(Ok(Claimed { sequence, run, found: Found::Resident(live) }));
            }
            return Some(match read_record(&picked.file, &picked.path, picked.entry, sequence, run) {
                Ok(stored) => Ok(Claimed { sequence, run, found: Found::Stored(stored) }),
                Err((error, head)) => {
                    self.damaged(sequence);
                    Err(Unreadable { run, items: u64::from(picked.entry.items), head, error })
                }
            });
        }
    }

    /// A claimed record is not what it should be: it is committed, and its segment put aside when it is done with.
    pub fn damaged(&self, sequence: u64) {
        self.0.watch.damaged(1);
        {
            let mut state = self.0.lock();
            if let Some((_, segment)) = state.segments.range_mut(..=sequence).next_back() {
                segment.damaged = true;
            }
        }
        self.commit(sequence);
    }

    /// A claimed record is done with: it is forgotten.
    pub fn commit(&self, sequence: u64) {
        let starts = {
            let mut state = self.0.lock();
            state.commit(sequence) && state.has_work() && !std::mem::replace(&mut state.working, true)
        };
        self.0.changed.notify_waiters();
        if starts {
            worker::spawn(&self.0);
        }
    }

    /// A claimed record is to be claimed again, before younger ones.
    pub fn give_back(&self, sequence: u64) {
        if self.0.lock().give_back(sequence) {
            self.0.changed.notify_waiters();
        }
    }

    /// Releases what is kept in memory, writes what is known, and seals what was written. Returns what stays on disk. The spool
    /// can be used on afterwards.
    pub async fn flush(&self) -> Size {
        let (tell, told) = oneshot::channel();
        let starts = {
            let mut state = self.0.lock();
            // Under the lock, so that nobody reads a record in between.
            state.release_residents();
            state.seal(tell);
            !std::mem::replace(&mut state.working, true)
        };
        if starts {
            worker::spawn(&self.0);
        }
        // Without an answer the runtime is being shut down.
        let _sealed = told.await;
        self.0.lock().stays()
    }
}

/// The number that a file of the spool is called after, a segment or one that was put aside.
fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str().filter(|digits| digits.len() == 20)?.parse().ok()
}

fn first_of(path: &Path) -> Option<u64> {
    path.extension().filter(|extension| *extension == SEGMENT).and_then(|_| number_of(path))
}

/// Gives a damaged file another name. Of those that were put aside before, only the youngest are kept.
pub(crate) fn put_aside(disk: &dyn Disk, watch: &dyn Watch, path: &Path) {
    let aside = path.with_extension(DAMAGED);
    match disk.rename(path, &aside) {
        Ok(()) => watch.put_aside(&aside),
        Err(source) => watch.trouble(&SpoolError::io("rename", path, source)),
    }
    let Some(files) = path.parent().and_then(|directory| disk.list(directory).ok()) else { return };
    let is_aside = |path: &PathBuf| path.extension().is_some_and(|extension| extension == DAMAGED);
    let mut aside: BTreeMap<PathBuf, ()> = files.into_iter().filter(is_aside).map(|path| (path, ())).collect();
    while aside.len() > DAMAGED_MAX {
        if let Some((oldest, ())) = aside.pop_first()
            && let Err(source) = disk.remove(&oldest)
        {
            watch.trouble(&SpoolError::io("remove", oldest, source));
        }
    }
}
