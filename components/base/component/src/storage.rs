//! What storage extensions are for: queues that outlive the process.
//!
//! An extension answers [`Extension::storage`](crate::Extension::storage) with a [`Storage`], which opens a spool (`base/spool`)
//! for each of its clients. Receivers that remember how far they have read will want a few small values instead; that is
//! another method of the same trait, with a default that refuses, once there is one of them.

use std::path::Path;
use std::{fmt, io};

use pdata::Batch;
use spool::{Resident, Spool, SpoolError};

use crate::ComponentId;
use crate::factory::Kind;
use crate::lifecycle::BoxFuture;

/// A batch beside its record on disk. Its items are [persisted](pdata::Stake::persist) when it goes.
#[derive(Debug)]
pub struct Stored(pub Batch);

impl Resident for Stored {
    fn bytes(&self) -> usize {
        self.0.encoded_len()
    }

    fn release(self) {
        let (_, _, stake) = self.0.into_parts();
        stake.persist();
    }
}

/// Whose records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClient {
    /// Its kind.
    pub kind: Kind,
    /// Its ID as written.
    pub id: ComponentId,
    /// Which of its records: `traces`.
    pub name: String,
    /// Version of what its records contain; others are refused.
    pub content: u16,
}

impl fmt::Display for StorageClient {
    /// `exporter_otlp_grpc_backend_traces`: what the Collector calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.to_string();
        let (type_name, name) = id.split_once('/').unwrap_or((&id, ""));
        write!(f, "{}_{type_name}_{name}_{}", self.kind, self.name)
    }
}

/// Keeps records for components, each by itself.
pub trait Storage: Send + Sync {
    /// Opens the records of `client`. While somebody of this process has them open, another gets the same spool: a component and
    /// the one that replaces it share it.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn spool<'a>(&'a self, client: &'a StorageClient) -> BoxFuture<'a, Result<Spool<Stored>, SpoolError>>;
}

/// Creates a directory and those it is in, with these rights less the umask; nothing for an empty path.
///
/// # Errors
/// The system's.
pub fn create_directories(path: &Path, mode: u32) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    #[cfg(not(unix))]
    let _ = mode;
    if path.as_os_str().is_empty() { Ok(()) } else { builder.create(path) }
}
