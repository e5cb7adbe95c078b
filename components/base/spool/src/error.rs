//! What can go wrong on disk.

use std::io;
use std::path::PathBuf;

/// Why a spool could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A file or directory could not be used. Another attempt may succeed.
    #[error("{attempted} `{}`", path.display())]
    Io {
        /// What was attempted: `write to`.
        attempted: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file system has no room. Nothing was stored; another attempt succeeds once there is some.
    #[error("no space left on the device of `{}`", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The spool's own budget is used up.
    #[error("`{}` holds {held_bytes} bytes, {asked_bytes} more would exceed its limit of {limit_bytes}", path.display())]
    Budget {
        /// The spool's directory.
        path: PathBuf,
        /// Bytes of its files.
        held_bytes: u64,
        /// Bytes asked for.
        asked_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another process, or another part of this one, has it open.
    #[error("`{}` is in use by another process", path.display())]
    InUse {
        /// The spool's directory.
        path: PathBuf,
    },
    /// A file was written by another version.
    #[error("`{}` has format version {found}, and only {known} can be read", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What can be read.
        known: String,
    },
    /// A record is not what was written.
    #[error("record {sequence} in `{}` at byte {offset} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which record.
        sequence: u64,
        /// Where it begins.
        offset: u64,
    },
    /// The last one that used it has left.
    #[error("the spool is closed")]
    Closed,
}

impl SpoolError {
    /// `source`, which came of `attempted` on `path`.
    pub(crate) fn io(attempted: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path }
            }
            _ => Self::Io { attempted, path, source },
        }
    }

    /// With what caused it, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            other => other.to_string(),
        }
    }
}
