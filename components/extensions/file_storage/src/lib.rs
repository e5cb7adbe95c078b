//! The `file_storage` extension: sending queues on disk, each a spool (`base/spool`) in a directory of its own.
//!
//! It decides where they are and how they behave, opens them once per process, and shows how they are doing. What is in them,
//! and when it leaves, is the matter of the exporters' queues (`base/delivery`).
//!
//! Reading order: [`config`], [`place`] (names), [`shown`] (metrics and log).

pub mod config;
pub mod place;
pub mod shown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use component::storage::create_directories;
use component::telemetry::Observer;
use component::{BoxFuture, Component, Extension, Factory, Host, Settings, StartError, Storage, StorageClient, Stored};
use spool::{Options, OsDisk, Spool, SpoolError, WeakSpool};
use tokio::time::{Instant, sleep};

use crate::config::FileStorageConfig;
use crate::shown::Shown;

/// The factory of `file_storage` extensions.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("file_storage", |settings, config: Arc<FileStorageConfig>| {
        let spools = Arc::<Mutex<BTreeMap<String, WeakSpool<Stored>>>>::default();
        Ok(Arc::new(FileStorage { settings, config, spools, observer: Mutex::default(), run: OnceLock::new() }))
    })
}

/// Spools by name.
pub(crate) type Spools = Arc<Mutex<BTreeMap<String, WeakSpool<Stored>>>>;

/// The extension.
#[derive(Debug)]
pub struct FileStorage {
    settings: Settings,
    config: Arc<FileStorageConfig>,
    /// Those it has opened.
    spools: Spools,
    observer: Mutex<Option<Observer>>,
    /// The [`Ledger::run`](pdata::Ledger::run) of the books, once it is started.
    run: OnceLock<u64>,
}

/// Spools that this process has open, whichever extension has opened them: a reload may replace an extension while queues of
/// the one before are in use.
static OPEN: tokio::sync::Mutex<BTreeMap<PathBuf, WeakSpool<Stored>>> = tokio::sync::Mutex::const_new(BTreeMap::new());

/// Time between two attempts to open what another process has.
const AGAIN: Duration = Duration::from_millis(20);

impl FileStorage {
    fn options(&self, content: u16) -> Options {
        let FileStorageConfig { fsync, max_size, .. } = *self.config;
        let run = self.run.get().copied().unwrap_or_default();
        Options { content, run, bytes_max: max_size, fsync, ..Options::default() }
    }

    async fn open(&self, client: &StorageClient) -> Result<Spool<Stored>, SpoolError> {
        let configured = Path::new(&self.config.directory);
        let directory = configured.canonicalize().map_err(|source| SpoolError::Io {
            attempted: "find the directory",
            path: configured.to_owned(),
            source,
        })?;
        let name = place::file_name(&client.to_string());
        if directory.join(&name).is_file() {
            let file = directory.join(&name).display().to_string();
            tracing::warn!(
                id = %self.settings.id, file,
                "a file as the Collector's queues have it: weir cannot read it, what is in there is not sent"
            );
        }
        let path = directory.join(format!("{name}{}", place::SUFFIX));
        let mut open = OPEN.lock().await;
        let spool = match open.get(&path).and_then(WeakSpool::upgrade) {
            Some(spool) => {
                spool.set(self.config.fsync, self.config.max_size);
                spool
            }
            None => self.open_new(&path, &name, client.content).await?,
        };
        open.retain(|_, spool| spool.upgrade().is_some());
        open.insert(path, spool.downgrade());
        self.spools.lock().unwrap_or_else(PoisonError::into_inner).insert(name, spool.downgrade());
        Ok(spool)
    }

    async fn open_new(&self, path: &Path, name: &str, content: u16) -> Result<Spool<Stored>, SpoolError> {
        let give_up = self.config.wait().and_then(|wait| Instant::now().checked_add(wait));
        loop {
            let (path, options) = (path.to_owned(), self.options(content));
            let shown = Arc::new(Shown::new(&self.settings, name));
            let opening = tokio::task::spawn_blocking(move || Spool::open(&path, Arc::new(OsDisk), options, shown));
            match opening.await.unwrap_or(Err(SpoolError::Closed)) {
                Err(SpoolError::InUse { .. }) if give_up.is_none_or(|at| Instant::now() < at) => sleep(AGAIN).await,
                opened => return opened,
            }
        }
    }
}

impl Component for FileStorage {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let FileStorageConfig { directory, create_directory, .. } = &*self.config;
            if *create_directory {
                create_directories(Path::new(directory), self.config.directory_mode()).map_err(|error| {
                    StartError::new(&self.settings.id, format!("create the directory `{directory}`"), error)
                })?;
            }
            // A second start finds the same books.
            let _same = self.run.set(host.ledger().run());
            let observer = shown::observe_bytes(&self.settings, Arc::clone(&self.spools));
            *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
            Ok(())
        })
    }
}

impl Extension for FileStorage {
    fn storage(self: Arc<Self>) -> Option<Arc<dyn Storage>> {
        Some(self)
    }
}

impl Storage for FileStorage {
    fn spool<'a>(&'a self, client: &'a StorageClient) -> BoxFuture<'a, Result<Spool<Stored>, SpoolError>> {
        Box::pin(self.open(client))
    }
}
