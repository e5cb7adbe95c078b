//! Own logs, through `tracing`. Level and form follow the configuration, also after a reload.

use std::sync::OnceLock;

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::{LogOverrides, TelemetryConfig};

type Output = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// Form and filter are replaced apart: a filtered layer cannot be swapped as a whole.
static INSTALLED: OnceLock<(reload::Handle<Output, Registry>, Filter)> = OnceLock::new();

type Filter = reload::Handle<EnvFilter, Registry>;

fn output(overrides: &LogOverrides) -> Output {
    if overrides.json.unwrap_or(false) {
        fmt::layer().json().with_writer(std::io::stderr).boxed()
    } else {
        let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
        fmt::layer().with_ansi(color).with_writer(std::io::stderr).boxed()
    }
}

fn filter(overrides: &LogOverrides) -> EnvFilter {
    let level = overrides.level.as_deref().unwrap_or("info");
    EnvFilter::try_new(level).unwrap_or_else(|_not_a_level| EnvFilter::new("info"))
}

/// Makes logs follow the configuration; the first call in the process installs the subscriber.
pub(super) fn apply(_config: &TelemetryConfig, overrides: &LogOverrides) {
    let (layer, filter) = (output(overrides), filter(overrides));
    if let Some((installed_layer, installed_filter)) = INSTALLED.get() {
        // Fails only when the subscriber is gone, which is for the life of the process.
        let _reloaded = installed_layer.reload(layer).and_then(|()| installed_filter.reload(filter));
        return;
    }
    let (layer, layer_handle) = reload::Layer::new(layer);
    let (filter, filter_handle) = reload::Layer::new(filter);
    // Fails when a test installed its own subscriber, whose output then counts.
    if tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().is_ok() {
        let _first = INSTALLED.set((layer_handle, filter_handle));
    }
}
