//! One file and its buffer.
//!
//! Invariant: the file's content followed by the buffer is a sequence of whole messages, whatever writes failed in
//! between, because what was not written stays at the front of the buffer.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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

/// See the module's head.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    rotator: Option<Rotator>,
    _noted: Noted,
}

/// Always in append mode: during a reload two writers may be at work on one file, and neither may write over the other.
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

/// Paths that this process writes to, with the number of writers.
static WRITTEN: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

/// A path noted in [`WRITTEN`].
#[derive(Debug)]
struct Noted(PathBuf);

impl Noted {
    /// Notes `path`. Whether another writer has it too.
    fn new(path: &Path) -> (Self, bool) {
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        let writers = written.entry(path.to_owned()).or_default();
        *writers += 1;
        (Self(path.to_owned()), *writers > 1)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writers) = written.get_mut(&self.0) {
            *writers -= 1;
            if *writers == 0 {
                written.remove(&self.0);
            }
        }
    }
}

impl Writer {
    /// Opens `path`, creating it with mode 0644 if need be. A rotated file is continued, and so is one that another writer
    /// of this process has not closed yet (a reload replaces an exporter that still drains).
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(path: PathBuf, existing: Existing, rotator: Option<Rotator>) -> io::Result<Self> {
        let (noted, is_shared) = Noted::new(&path);
        let existing = if rotator.is_some() || is_shared { Existing::Append } else { existing };
        let file = open(&path, existing)?;
        let written = file.metadata()?.len();
        Ok(Self { path, file, buffer: Vec::new(), written, rotator, _noted: noted })
    }

    /// Takes a message.
    ///
    /// # Errors
    /// Why nothing was taken: what is in the buffer cannot be written, or the file cannot be put aside.
    pub fn put(&mut self, message: &[u8]) -> io::Result<()> {
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

    /// Writes the buffer to the file.
    ///
    /// # Errors
    /// Why not all of it could be written; the rest stays.
    pub fn flush(&mut self) -> io::Result<()> {
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

    fn rotate(&mut self) -> io::Result<()> {
        let Some(rotator) = &self.rotator else { return Ok(()) };
        rotator.put_aside(&self.path)?;
        self.file = open(&self.path, Existing::Append)?;
        self.written = self.file.metadata()?.len();
        if let Err(error) = rotator.clean(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot delete files put aside");
        }
        Ok(())
    }

    /// Bytes taken that are not in the file yet.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_neither_empties_nor_overwrites_what_its_predecessor_still_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let open = || Writer::open(path.clone(), Existing::Truncate, None).unwrap();
        let mut old = open();
        old.put(b"one\n").unwrap();
        old.flush().unwrap();
        old.put(b"two\n").unwrap();
        let mut new = open();
        new.put(b"three\n").unwrap();
        new.flush().unwrap();
        old.flush().unwrap();
        drop(old);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\nthree\ntwo\n");
        drop(new);
        let _emptied = open();
        assert_eq!(std::fs::read(&path).unwrap(), b"", "nobody else writes: emptied as configured");
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
