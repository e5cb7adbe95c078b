//! Own logs, through `tracing`. Level and form follow the configuration, also after a reload.

use std::sync::OnceLock;

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::{LogOverrides, TelemetryConfig};

type Output = Box<dyn Layer<Registry> + Send + Sync>;

static OUTPUT: OnceLock<reload::Handle<Output, Registry>> = OnceLock::new();

fn output(_config: &TelemetryConfig, overrides: &LogOverrides) -> Output {
    let level = overrides.level.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_not_a_level| EnvFilter::new("info"));
    if overrides.json.unwrap_or(false) {
        fmt::layer().json().with_writer(std::io::stderr).with_filter(filter).boxed()
    } else {
        let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
        fmt::layer().with_ansi(color).with_writer(std::io::stderr).with_filter(filter).boxed()
    }
}

/// Makes logs follow the configuration; the first call in the process installs the subscriber.
pub(super) fn apply(config: &TelemetryConfig, overrides: &LogOverrides) {
    let layer = output(config, overrides);
    match OUTPUT.get() {
        Some(handle) => {
            // Fails only when the subscriber is gone, which is for the life of the process.
            let _reloaded = handle.reload(layer);
        }
        None => {
            let (layer, handle) = reload::Layer::new(layer);
            // Fails when a test installed its own subscriber, whose output then counts.
            if tracing_subscriber::registry().with(layer).try_init().is_ok() {
                let _first = OUTPUT.set(handle);
            }
        }
    }
}
