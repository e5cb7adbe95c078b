//! Own logs, through `tracing`. Level, form and outputs follow the configuration, also after a reload, which opens files
//! again.
//!
//! One subscriber is installed per process; what it does is swapped. Spans of `tracing` are not shown: nothing here makes
//! any.

mod line;
mod outputs;
mod sampling;

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use component::StartError;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::config::{Encoding, LogsConfig};
use super::resource::Resource;
use super::{LogOverrides, start_error};
use line::{Form, Line};
use outputs::Outputs;
use sampling::Sampler;

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    filter: reload::Handle<EnvFilter, Registry>,
    writer: Writer,
}

/// Logs as a configuration wants them, outputs open, not in use yet.
#[derive(Debug)]
pub(super) struct Logs {
    filter: EnvFilter,
    lines: Lines,
}

impl Logs {
    /// Opens the outputs.
    ///
    /// # Errors
    /// Files that cannot be opened, a level on the command line that is none.
    pub(super) fn prepare(
        config: &LogsConfig,
        overrides: &LogOverrides,
        resource: &Resource,
    ) -> Result<Self, StartError> {
        let level = overrides.level.as_deref().unwrap_or(config.level.directive());
        let filter = filter(level)?;
        let outputs = Outputs::open(&config.output_paths)
            .map_err(|(path, error)| start_error(format!("open the log output `{path}`"), error))?;
        let errors = Outputs::open(&config.error_output_paths)
            .map_err(|(path, error)| start_error(format!("open the output for log errors `{path}`"), error))?;
        let json = overrides.json.unwrap_or(config.encoding == Encoding::Json);
        let form = if json {
            let resource = (!config.disable_zap_resource).then_some(resource);
            Form::json(&config.initial_fields, resource)
        } else {
            let plain = std::env::var_os("NO_COLOR").is_some();
            let color = !plain
                && match config.output_paths.as_slice() {
                    [path] if path == "stderr" => std::io::stderr().is_terminal(),
                    [path] if path == "stdout" => std::io::stdout().is_terminal(),
                    _ => false,
                };
            Form::console(&config.initial_fields, color)
        };
        let sampler = config.sampling.enabled.then(|| Sampler::new(&config.sampling));
        Ok(Self { filter, lines: Lines { form, outputs, errors, sampler } })
    }

    /// Makes logs follow it; the first call in the process installs the subscriber.
    pub(super) fn install(self) {
        match INSTALLED.get() {
            Some(installed) => {
                installed.writer.replace(self.lines);
                // Fails only when the subscriber is gone, which is for the life of the process.
                let _reloaded = installed.filter.reload(self.filter);
            }
            None => {
                let (filter, handle) = reload::Layer::new(self.filter);
                let writer = Writer::new(self.lines);
                // Fails when a test installed its own subscriber, whose output then counts.
                if tracing_subscriber::registry().with(filter).with(writer.clone()).try_init().is_ok() {
                    let _first = INSTALLED.set(Installed { filter: handle, writer });
                }
            }
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter, StartError> {
    // A single word that is no level would be taken for the name of a crate.
    let word = !level.contains(['=', ',', '[']);
    let attempted = || format!("log at level `{level}`");
    if word && level.parse::<LevelFilter>().is_err() {
        return Err(start_error(
            attempted(),
            std::io::Error::other("levels are error, warn, info, debug, trace and off"),
        ));
    }
    EnvFilter::try_new(level).map_err(|error| start_error(attempted(), error))
}

/// What becomes of an event.
#[derive(Debug)]
struct Lines {
    form: Form,
    outputs: Outputs,
    errors: Outputs,
    sampler: Option<Sampler>,
}

/// The subscriber's layer. All clones share what they do.
#[derive(Clone, Debug)]
struct Writer {
    lines: Arc<RwLock<Arc<Lines>>>,
    started: Instant,
}

impl Writer {
    fn new(lines: Lines) -> Self {
        Self { lines: Arc::new(RwLock::new(Arc::new(lines))), started: Instant::now() }
    }

    fn replace(&self, lines: Lines) {
        *self.lines.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lines);
    }
}

impl<S: Subscriber> Layer<S> for Writer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let lines = Arc::clone(&self.lines.read().unwrap_or_else(PoisonError::into_inner));
        let line = Line::of(event);
        if let Some(sampler) = &lines.sampler
            && !sampler.admits(line.level, &line.message, self.started.elapsed())
        {
            return;
        }
        let mut text = lines.form.render(&line);
        text.push('\n');
        lines.outputs.write(text.as_bytes(), &lines.errors);
    }
}

#[cfg(test)]
mod tests;
