//! A disk in memory that can be full, fail, and lose what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::{Disk, DiskFile};

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

fn apply(contents: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, bytes) => {
            let at = *at as usize;
            if contents.len() < at + bytes.len() {
                contents.resize(at + bytes.len(), 0);
            }
            contents[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Change::Cut(len) => contents.resize(*len as usize, 0),
    }
}

#[derive(Debug, Default)]
struct FileState {
    now: Vec<u8>,
    synced: Vec<u8>,
    since: Vec<Change>,
    /// Whether the directory knows it for good.
    entered: bool,
}

/// What can be told to go wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Bytes files can still grow by.
    pub(crate) space: AtomicU64,
    pub(crate) sync_fails: AtomicBool,
    pub(crate) cut_fails: AtomicBool,
    /// Counted: bytes read.
    pub(crate) bytes_read: AtomicU64,
    /// Counted: files that are open.
    pub(crate) open: AtomicU64,
    /// Counted: syncs of files.
    pub(crate) syncs: AtomicU64,
    /// Each sync takes that long, in microseconds.
    pub(crate) sync_takes_us: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct MemDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<FileState>>>>>,
    locked: Arc<AtomicBool>,
    pub(crate) faults: Arc<Faults>,
}

impl MemDisk {
    pub(crate) fn new() -> Self {
        Self::of(BTreeMap::new())
    }

    fn of(files: BTreeMap<PathBuf, Arc<Mutex<FileState>>>) -> Self {
        let faults = Faults {
            space: AtomicU64::new(u64::MAX),
            sync_fails: AtomicBool::new(false),
            cut_fails: AtomicBool::new(false),
            bytes_read: AtomicU64::new(0),
            open: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            sync_takes_us: AtomicU64::new(0),
        };
        Self { files: Arc::new(Mutex::new(files)), locked: Arc::default(), faults: Arc::new(faults) }
    }

    /// The disk as the next process finds it: after a kill everything that was written, after a loss of power what was
    /// synced and, as `chance` says, some of the rest, any change torn.
    pub(crate) fn after_crash(&self, power_loss: bool, mut chance: impl FnMut() -> u64) -> Self {
        let mut files = BTreeMap::new();
        for (path, file) in &*self.files.lock().unwrap() {
            let file = file.lock().unwrap();
            let mut contents = file.now.clone();
            if power_loss {
                if !file.entered && chance().is_multiple_of(2) {
                    continue;
                }
                contents = file.synced.clone();
                for change in &file.since {
                    match (chance() % 3, change) {
                        (0, _) => {}
                        (1, Change::Write(at, bytes)) => {
                            let torn = chance() as usize % (bytes.len() + 1);
                            apply(&mut contents, &Change::Write(*at, bytes[..torn].to_vec()));
                        }
                        _ => apply(&mut contents, change),
                    }
                }
            }
            let state = FileState { now: contents.clone(), synced: contents, since: Vec::new(), entered: true };
            files.insert(path.clone(), Arc::new(Mutex::new(state)));
        }
        Self::of(files)
    }

    pub(crate) fn paths(&self, extension: &str) -> Vec<PathBuf> {
        let files = self.files.lock().unwrap();
        files.keys().filter(|path| path.extension().is_some_and(|found| found == extension)).cloned().collect()
    }

    pub(crate) fn contents(&self, path: &Path) -> Vec<u8> {
        self.files.lock().unwrap()[path].lock().unwrap().now.clone()
    }

    pub(crate) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let files = self.files.lock().unwrap();
        let mut file = files[path].lock().unwrap();
        change(&mut file.now);
        file.synced = file.now.clone();
        file.since.clear();
    }
}

struct Open {
    state: Arc<Mutex<FileState>>,
    faults: Arc<Faults>,
}

impl Open {
    fn new(state: Arc<Mutex<FileState>>, faults: &Arc<Faults>) -> Box<Self> {
        faults.open.fetch_add(1, Ordering::SeqCst);
        Box::new(Self { state, faults: Arc::clone(faults) })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.faults.open.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Disk for MemDisk {
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.files.lock().unwrap();
        Ok(files.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = Arc::new(Mutex::new(FileState::default()));
        let mut files = self.files.lock().unwrap();
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(path.to_owned(), Arc::clone(&state));
        Ok(Open::new(state, &self.faults))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let files = self.files.lock().unwrap();
        let state = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Open::new(Arc::clone(state), &self.faults))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let gone = self.files.lock().unwrap().remove(path).ok_or(io::ErrorKind::NotFound)?;
        let freed = gone.lock().unwrap().now.len() as u64;
        let _space = self
            .faults
            .space
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |space| Some(space.saturating_add(freed)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.files.lock().unwrap().values().for_each(|file| file.lock().unwrap().entered = true);
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let was = self.locked.swap(true, Ordering::SeqCst);
        Ok((!was).then(|| Box::new(Unlock(Arc::clone(&self.locked))) as Box<dyn Send + Sync>))
    }
}

impl DiskFile for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().now.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let end = offset as usize + into.len();
        into.copy_from_slice(state.now.get(offset as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        self.faults.bytes_read.fetch_add(into.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let grows = (offset + bytes.len() as u64).saturating_sub(state.now.len() as u64);
        let space = self.faults.space.load(Ordering::SeqCst);
        let missing = grows.saturating_sub(space) as usize;
        self.faults.space.store(space - grows.min(space), Ordering::SeqCst);
        let change = Change::Write(offset, bytes[..bytes.len() - missing.min(bytes.len())].to_vec());
        apply(&mut state.now, &change);
        state.since.push(change);
        if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        if self.faults.cut_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("cannot cut"));
        }
        let mut state = self.state.lock().unwrap();
        let freed = (state.now.len() as u64).saturating_sub(len);
        let _space = self
            .faults
            .space
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |space| Some(space.saturating_add(freed)));
        apply(&mut state.now, &Change::Cut(len));
        state.since.push(Change::Cut(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let takes = self.faults.sync_takes_us.load(Ordering::SeqCst);
        if takes > 0 {
            std::thread::sleep(std::time::Duration::from_micros(takes));
        }
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        if self.faults.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the medium is gone"));
        }
        let mut state = self.state.lock().unwrap();
        state.synced = state.now.clone();
        state.since.clear();
        Ok(())
    }
}
