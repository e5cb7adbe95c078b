//! Small files with credentials that are read again when they change.
//!
//! A file is looked at when its content is asked for, at most once per second; a change that cannot be read keeps the old
//! content. Nothing runs in the background.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Least time between two looks at a file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file and its content, which is a secret.
pub struct WatchedFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    content: Arc<str>,
    stamp: Option<(SystemTime, u64)>,
    looked: Instant,
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl WatchedFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Files that cannot be read, are no text, or are larger than [`FILE_BYTES_MAX`]; the message names the file.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let stamp = stamp(&path);
        let content = read(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display())))?;
        Ok(Self { path, state: Mutex::new(State { content, stamp, looked: Instant::now() }) })
    }

    /// The content, without white space at its end.
    pub fn content(&self) -> Arc<str> {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_INTERVAL {
            state.looked = Instant::now();
            let found = stamp(&self.path);
            if found != state.stamp {
                match read(&self.path) {
                    Ok(content) => {
                        state.content = content;
                        state.stamp = found;
                    }
                    Err(error) => {
                        tracing::warn!(path = %self.path.display(), %error, "file not read again, the old content stays");
                    }
                }
            }
        }
        Arc::clone(&state.content)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> io::Result<Arc<str>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        let text = format!("it has {bytes} bytes, more than {FILE_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(fs::read_to_string(path)?.trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_a_second_later_and_a_loss_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "one\n").unwrap();
        let file = WatchedFile::open(&path).unwrap();
        assert_eq!(&*file.content(), "one");
        fs::write(&path, "second\n").unwrap();
        assert_eq!(&*file.content(), "one");
        tokio::time::advance(LOOK_INTERVAL).await;
        assert_eq!(&*file.content(), "second");
        fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK_INTERVAL).await;
        assert_eq!(&*file.content(), "second");
        let error = WatchedFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
