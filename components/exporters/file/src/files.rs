//! What all instances of one component ID share: the open files and the task that flushes them.
//!
//! Opened by the first start, closed by the last shutdown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::storage::create_directories;
use pdata::Payload;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::FileConfig;
use crate::groups::{Pattern, Writers, split};
use crate::message::Encoder;
use crate::rotation::Rotator;
use crate::writer::{Existing, Writer};

/// See the module's head.
#[derive(Debug)]
pub struct Files {
    config: FileConfig,
    encoder: Encoder,
    pattern: Pattern,
    state: Mutex<State>,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    One(Writer),
    Grouped(Writers),
}

impl State {
    /// Whether another writer goes on with the file at `path`.
    fn has_company(&mut self, path: &Path) -> bool {
        match self {
            Self::Closed => false,
            Self::One(writer) => writer.has_company(),
            Self::Grouped(writers) => writers.iter_mut().any(|writer| writer.path() == path && writer.has_company()),
        }
    }
}

#[derive(Debug, Default)]
struct Life {
    users: usize,
    flusher: Option<JoinHandle<()>>,
}

/// Why a batch was not written.
#[derive(Debug)]
pub struct Unwritten {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
    /// Whether another attempt may succeed. Not when a part of the batch was written already.
    pub is_retryable: bool,
}

impl Files {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(config: &FileConfig) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            encoder: Encoder::new(config),
            pattern: Pattern::new(&config.path),
            state: Mutex::default(),
            life: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a user; the first one opens the file and starts the flushing.
    ///
    /// # Errors
    /// Why the file or its directory cannot be opened.
    pub fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut life = self.life();
        if life.users == 0 {
            *self.lock() = self.open()?;
            let (files, interval) = (Arc::clone(self), self.config.flush_interval());
            life.flusher = Some(tokio::spawn(async move { files.flush_at(interval).await }));
        }
        life.users += 1;
        Ok(())
    }

    fn open(&self) -> io::Result<State> {
        let config = &self.config;
        if config.group_by.enabled {
            let open_max = usize::try_from(config.group_by.max_open_files).unwrap_or(1).max(1);
            return Ok(State::Grouped(Writers::new(open_max, config.append, config.directory_mode())));
        }
        let path = Path::new(&config.path);
        if config.create_directory
            && let Some(folder) = path.parent()
        {
            create_directories(folder, config.directory_mode())?;
        }
        let existing = if config.append { Existing::Append } else { Existing::Truncate };
        Writer::open(path.to_owned(), existing, config.rotation.as_ref().map(Rotator::new)).map(State::One)
    }

    /// Takes a user away; the last one flushes and closes. Returns errors of that.
    pub async fn stop(self: &Arc<Self>) -> Vec<(PathBuf, io::Error)> {
        let flusher = {
            let mut life = self.life();
            life.users = life.users.saturating_sub(1);
            if life.users > 0 {
                return Vec::new();
            }
            life.flusher.take()
        };
        if let Some(flusher) = flusher {
            flusher.abort();
            let _aborted = flusher.await;
        }
        let files = Arc::clone(self);
        let closed = tokio::task::spawn_blocking(move || {
            let mut errors = files.flush();
            let mut state = files.lock();
            // What another exporter goes on with is not lost.
            errors.retain(|(path, _)| !state.has_company(path));
            *state = State::Closed;
            errors
        });
        closed.await.unwrap_or_default()
    }

    async fn flush_at(self: Arc<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let files = Arc::clone(&self);
            let errors = tokio::task::spawn_blocking(move || files.flush()).await.unwrap_or_default();
            for (path, error) in errors {
                tracing::warn!(path = %path.display(), %error, "cannot write for now");
            }
        }
    }

    /// Writes all buffers. Blocks.
    pub fn flush(&self) -> Vec<(PathBuf, io::Error)> {
        let flush = |writer: &mut Writer| writer.flush().err().map(|error| (writer.path().to_owned(), error));
        match &mut *self.lock() {
            State::Closed => Vec::new(),
            State::One(writer) => flush(writer).into_iter().collect(),
            State::Grouped(writers) => writers.iter_mut().filter_map(flush).collect(),
        }
    }

    /// Takes a payload. Returns how many items had no attribute to group them by. Blocks.
    ///
    /// # Errors
    /// Which file did not take it, and why.
    pub fn write(&self, payload: &Payload) -> Result<u64, Unwritten> {
        let unwritten = |path: &Path, error| Unwritten { path: path.to_owned(), error, is_retryable: true };
        let invalid = |path: &Path, error| Unwritten { path: path.to_owned(), error, is_retryable: false };
        let path = Path::new(&self.config.path);
        if !self.config.group_by.enabled {
            let message = self.encoder.encode(payload).map_err(|error| invalid(path, error))?;
            return match &mut *self.lock() {
                State::One(writer) => writer.put(&message).map(|()| 0).map_err(|error| unwritten(path, error)),
                _ => Err(unwritten(path, io::Error::other("the file is closed"))),
            };
        }
        let (groups, lost_items) = split(payload, &self.config.group_by.resource_attribute);
        let mut is_begun = false;
        for (value, payload) in groups {
            let path = self.pattern.path(&value);
            let message = self.encoder.encode(&payload).map_err(|error| invalid(&path, error))?;
            let written = match &mut *self.lock() {
                State::Grouped(writers) => writers.get(path.clone()).and_then(|writer| writer.put(&message)),
                _ => Err(io::Error::other("the file is closed")),
            };
            // A second attempt would write the groups twice that are written already.
            written.map_err(|error| Unwritten { is_retryable: !is_begun, ..unwritten(&path, error) })?;
            is_begun = true;
        }
        Ok(lost_items)
    }
}
