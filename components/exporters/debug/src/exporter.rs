//! One batch: counted, perhaps sampled away, turned into text, written.

use std::sync::{Arc, Mutex, PoisonError};

use component::{Accepted, BoxFuture, ComponentId, Host, Settings, StartError};
use delivery::{SendError, Transport};
use pdata::{Context, Payload, Signal};
use tokio::time::Instant;

use crate::config::{DebugConfig, Verbosity};
use crate::output::Output;
use crate::sampler::Sampler;
use crate::text::{self, Counts};

/// The part of a `debug` exporter behind its queue.
#[derive(Debug)]
pub struct Debug {
    id: ComponentId,
    verbosity: Verbosity,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Log(Sampler),
    Own { paths: Vec<String>, open: Mutex<Option<Arc<Output>>> },
}

impl Debug {
    /// One that has opened nothing yet.
    #[must_use]
    pub fn new(settings: &Settings, config: &DebugConfig) -> Self {
        let target = if config.use_internal_logger {
            let number = |value: i64| u64::try_from(value).unwrap_or(0);
            Target::Log(Sampler::new(number(config.sampling_initial), number(config.sampling_thereafter)))
        } else {
            Target::Own { paths: config.output_paths.clone(), open: Mutex::default() }
        };
        Self { id: settings.id.clone(), verbosity: config.verbosity, target }
    }

    fn body(&self, payload: &Payload) -> Option<String> {
        match self.verbosity {
            Verbosity::Basic => None,
            Verbosity::Normal => Some(text::normal(payload)),
            Verbosity::Detailed => Some(text::detailed(payload)),
        }
    }

    fn log(&self, payload: &Payload) {
        let (id, Counts { resources, metrics, items }) = (&self.id, Counts::of(payload));
        match payload.signal() {
            Signal::Traces => tracing::info!(%id, "resource spans" = resources, spans = items, "Traces"),
            Signal::Metrics => tracing::info!(
                %id,
                "resource metrics" = resources,
                metrics = metrics,
                "data points" = items,
                "Metrics"
            ),
            Signal::Logs => tracing::info!(%id, "resource logs" = resources, "log records" = items, "Logs"),
        }
        if let Some(body) = self.body(payload) {
            tracing::info!(%id, "{body}");
        }
    }

    fn own_text(&self, payload: &Payload) -> String {
        let mut text = Counts::of(payload).line(payload.signal());
        if let Some(body) = self.body(payload) {
            text.push_str(&body);
            text.push('\n');
        }
        text
    }
}

impl Transport for Debug {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async {
            if let Target::Own { paths, open } = &self.target {
                let output = Output::open(paths)
                    .map_err(|(path, error)| StartError::new(&self.id, format!("open `{path}` to write to"), error))?;
                *open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(output));
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
            match &self.target {
                Target::Log(sampler) => {
                    if sampler.admits() {
                        self.log(payload);
                    }
                }
                Target::Own { open, .. } => {
                    let output = open.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let Some(output) = output else {
                        return Err(SendError::permanent("Shutdown", "the debug exporter is not running"));
                    };
                    let text = self.own_text(payload);
                    match tokio::task::spawn_blocking(move || output.write(&text)).await {
                        Ok(Ok(())) => {}
                        Ok(Err((path, error))) => {
                            return Err(SendError::permanent("_OTHER", format!("cannot write to `{path}`: {error}")));
                        }
                        Err(error) => {
                            return Err(SendError::permanent("_OTHER", format!("writing text was cut off: {error}")));
                        }
                    }
                }
            }
            Ok(Accepted::all())
        })
    }

    fn destination(&self) -> String {
        match &self.target {
            Target::Log(_) => "the log".to_owned(),
            Target::Own { paths, .. } => paths.join(", "),
        }
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Target::Own { open, .. } = &self.target {
                open.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        })
    }
}
