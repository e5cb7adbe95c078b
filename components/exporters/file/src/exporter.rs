//! One instance in front of the shared files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::{Accepted, BoxFuture, ComponentId, Host, Settings, StartError};
use delivery::{SendError, Transport};
use pdata::{Context, Payload};
use tokio::time::Instant;

use crate::config::FileConfig;
use crate::files::{Files, Unwritten};

/// The part of a `file` exporter that writes.
#[derive(Debug)]
pub struct FileTransport {
    id: ComponentId,
    path: String,
    encoding: Option<ComponentId>,
    attribute: String,
    files: Arc<Files>,
    started: AtomicBool,
}

impl FileTransport {
    /// One that has opened nothing yet.
    #[must_use]
    pub fn new(settings: &Settings, config: &FileConfig, files: Arc<Files>) -> Self {
        Self {
            id: settings.id.clone(),
            path: config.path.clone(),
            encoding: config.encoding.clone(),
            attribute: config.group_by.resource_attribute.clone(),
            files,
            started: AtomicBool::new(false),
        }
    }
}

impl Transport for FileTransport {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            if let Some(encoding) = &self.encoding {
                let what = match host.extension(encoding) {
                    None => "is not running",
                    Some(_) => "is not an encoding extension",
                };
                return Err(StartError::plain(&self.id, format!("use `encoding`: extension `{encoding}` {what}")));
            }
            if !self.started.swap(true, Ordering::AcqRel)
                && let Err(error) = self.files.start()
            {
                self.started.store(false, Ordering::Release);
                return Err(StartError::new(&self.id, format!("open `{}` to write to", self.path), error));
            }
            Ok(())
        })
    }

    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        _context: &'a Context,
        _deadline: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            let (files, payload) = (Arc::clone(&self.files), payload.clone());
            match tokio::task::spawn_blocking(move || files.write(&payload)).await {
                Ok(Ok(0)) => Ok(Accepted::all()),
                Ok(Ok(lost_items)) => {
                    let message = format!("resources lack the attribute `{}`, a text", self.attribute);
                    Ok(Accepted { rejected_items: lost_items, message: Some(message.into()) })
                }
                Ok(Err(Unwritten { path, error, is_retryable })) => {
                    let message = format!("cannot write to `{}`: {error}", path.display());
                    Err(match is_retryable {
                        true => SendError::retryable("_OTHER", message),
                        false => SendError::permanent("_OTHER", message),
                    })
                }
                Err(error) => Err(SendError::permanent("_OTHER", format!("writing was cut off: {error}"))),
            }
        })
    }

    fn destination(&self) -> String {
        self.path.clone()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.started.swap(false, Ordering::AcqRel) {
                for (path, error) in self.files.stop().await {
                    tracing::error!(id = %self.id, path = %path.display(), %error, "data lost: cannot write at the end");
                }
            }
        })
    }
}
