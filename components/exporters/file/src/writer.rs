//! One file and its buffer.
//!
//! Invariant: the file's content followed by the buffer is a sequence of whole messages, whatever writes failed in
//! between, because what was not written stays at the front of the buffer.
//!
//! All writers of one path in this process share both: during a reload the exporter that drains and the one that follows
//! it are at work on one file, and each by itself would put the other's file aside, delete what the other still writes to,
//! and tear its messages.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::rotation::Rotator;

/// The buffer is written to the file when it has this many bytes. It holds at most one message more.
pub const BUFFER_BYTES: usize = 64 << 10;

/// What happens to a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is emptied.
    Truncate,
    /// It is continued.
    Append,
}

/// A path, and the open file that all writers of the path share.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

/// See the module's head.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    /// The one of the writer that came last.
    rotator: Option<Rotator>,
}

/// Always in append mode: another process may write to the file, and neither may write over the other.
fn open(path: &Path, existing: Existing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let file = options.append(true).create(true).open(path)?;
    if existing == Existing::Truncate && file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// The files that this process writes to.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Mutex<Shared>>>> = Mutex::new(BTreeMap::new());

/// One name for a path however it is written. Its directory exists if it can be opened at all.
fn name(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (std::fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(file)) => folder.join(file),
        _ => path.to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Opens `path`, creating it with mode 0644 if need be. A rotated file is continued, and so is one that another writer
    /// of this process has not closed yet; it is rotated as the last writer wants it.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(path: PathBuf, existing: Existing, rotator: Option<Rotator>) -> io::Result<Self> {
        let name = name(&path);
        // Held until it is open, so that two that come at a time do not both open it.
        let mut files = lock(&OPEN);
        files.retain(|_, file| file.strong_count() > 0);
        if let Some(shared) = files.get(&name).and_then(Weak::upgrade) {
            lock(&shared).take_over(rotator)?;
            return Ok(Self { path, shared });
        }
        let existing = if rotator.is_some() { Existing::Append } else { existing };
        let file = open(&path, existing)?;
        let written = file.metadata()?.len();
        let shared = Shared { path: path.clone(), file, buffer: Vec::new(), written, rotator };
        let shared = Arc::new(Mutex::new(shared));
        files.insert(name, Arc::downgrade(&shared));
        Ok(Self { path, shared })
    }

    /// Takes a message.
    ///
    /// # Errors
    /// Why nothing was taken: what is in the buffer cannot be written, or the file cannot be put aside.
    pub fn put(&mut self, message: &[u8]) -> io::Result<()> {
        lock(&self.shared).put(message)
    }

    /// Writes the buffer to the file.
    ///
    /// # Errors
    /// Why not all of it could be written; the rest stays.
    pub fn flush(&mut self) -> io::Result<()> {
        lock(&self.shared).flush()
    }

    /// Whether another writer goes on with the file, and with the buffer, when this one is dropped.
    #[must_use]
    pub fn has_company(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Bytes taken that are not in the file yet.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        lock(&self.shared).buffer.len()
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Shared {
    fn put(&mut self, message: &[u8]) -> io::Result<()> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        let size = self.written + self.buffer.len() as u64;
        if let Some(rotator) = &self.rotator
            && size > 0
            && size + message.len() as u64 > rotator.bytes_max
        {
            self.flush()?;
            self.rotate()?;
        }
        self.buffer.extend_from_slice(message);
        if self.buffer.len() >= BUFFER_BYTES
            && let Err(error) = self.flush()
        {
            // The message is taken; the next one meets the error.
            tracing::warn!(path = %self.path.display(), %error, "cannot write for now");
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            let Some(rest) = self.buffer.get(done..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
            match self.file.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.written += done as u64;
        self.buffer.drain(..done);
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        result
    }

    /// Goes on as the writer that came last wants it, in a new file if the file was moved or deleted by somebody else.
    fn take_over(&mut self, rotator: Option<Rotator>) -> io::Result<()> {
        if !self.path.try_exists()? {
            self.flush()?;
            self.file = open(&self.path, Existing::Append)?;
            self.written = 0;
        }
        self.rotator = rotator;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Some(rotator) = &mut self.rotator else { return Ok(()) };
        rotator.put_aside(&self.path)?;
        self.file = open(&self.path, Existing::Append)?;
        self.written = self.file.metadata()?.len();
        if let Err(error) = rotator.clean(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot delete files put aside");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rotation;

    #[test]
    fn a_successor_neither_empties_nor_overwrites_what_its_predecessor_still_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let open = || Writer::open(path.clone(), Existing::Truncate, None).unwrap();
        let mut old = open();
        old.put(b"one\n").unwrap();
        old.flush().unwrap();
        old.put(b"two\n").unwrap();
        assert!(!old.has_company());
        let mut new = open();
        new.put(b"three\n").unwrap();
        assert!(old.has_company() && new.has_company());
        drop(old);
        assert!(!new.has_company());
        new.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        drop(new);
        let _emptied = open();
        assert_eq!(std::fs::read(&path).unwrap(), b"", "nobody else writes: emptied as configured");
    }

    /// The contents of the files in `folder`.
    fn contents(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn a_file_that_was_moved_away_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("out"), folder.path().join("moved"));
        let mut old = Writer::open(path.clone(), Existing::Append, None).unwrap();
        old.put(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        let mut new = Writer::open(path.clone(), Existing::Append, None).unwrap();
        new.put(b"two\n").unwrap();
        new.flush().unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(moved), read(path)), ("one\n".to_owned(), "two\n".to_owned()));
    }

    fn rotator(bytes_max: u64, max_backups: i64) -> Option<Rotator> {
        let mut rotator = Rotator::new(&Rotation { max_backups, ..Rotation::default() });
        rotator.bytes_max = bytes_max;
        Some(rotator)
    }

    #[test]
    fn two_writers_of_one_path_rotate_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut old = Writer::open(path.clone(), Existing::Truncate, rotator(8, 0)).unwrap();
        let mut new = Writer::open(path.clone(), Existing::Truncate, rotator(8, 0)).unwrap();
        for n in 0..4 {
            for (writer, name) in [(&mut old, 'o'), (&mut new, 'n')] {
                writer.put(format!("{name}{n}\n").as_bytes()).unwrap();
                writer.flush().unwrap();
            }
        }
        let mut found = contents(folder.path());
        found.sort();
        assert_eq!(found, ["o0\nn0\n", "o1\nn1\n", "o2\nn2\n", "o3\nn3\n"]);
    }

    #[test]
    fn what_the_old_writer_takes_is_not_in_a_file_that_the_new_one_deleted() {
        let folder = tempfile::tempdir().unwrap();
        // The same file by another name.
        let (path, same) = (folder.path().join("out"), folder.path().join("./out"));
        let mut old = Writer::open(path, Existing::Truncate, rotator(4, 1)).unwrap();
        old.put(b"a\n").unwrap();
        old.flush().unwrap();
        let mut new = Writer::open(same, Existing::Truncate, rotator(4, 1)).unwrap();
        for message in [b"bbb\n", b"ccc\n", b"ddd\n"] {
            new.put(message).unwrap();
            new.flush().unwrap();
        }
        old.put(b"z\n").unwrap();
        old.flush().unwrap();
        let mut found = contents(folder.path());
        found.sort();
        assert_eq!(found, ["ddd\n", "z\n"]);
    }

    #[test]
    fn messages_reach_the_file_in_order_at_flush_or_when_the_buffer_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut writer = Writer::open(path.clone(), Existing::Truncate, None).unwrap();
        writer.put(b"one\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        writer.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
        let long = vec![b'x'; BUFFER_BYTES];
        writer.put(&long).unwrap();
        assert_eq!((writer.buffered_bytes(), std::fs::metadata(&path).unwrap().len()), (0, 4 + BUFFER_BYTES as u64));
    }

    #[test]
    fn a_file_is_emptied_or_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for (existing, expected) in [(Existing::Append, "oldnew"), (Existing::Truncate, "new")] {
            std::fs::write(&path, "old").unwrap();
            let mut writer = Writer::open(path.clone(), existing, None).unwrap();
            writer.put(b"new").unwrap();
            writer.flush().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_refuses_new_messages_and_keeps_those_taken() {
        let mut writer = Writer::open("/dev/full".into(), Existing::Append, None).unwrap();
        let long = vec![b'x'; BUFFER_BYTES];
        writer.put(&long).unwrap();
        assert!(writer.put(b"y").is_err());
        assert_eq!(writer.buffered_bytes(), BUFFER_BYTES, "bounded");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_created_with_mode_0644() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        Writer::open(path.clone(), Existing::Truncate, None).unwrap();
        // A stricter umask may take bits away, none may be added.
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o644, 0);
    }
}
