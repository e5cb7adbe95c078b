//! What the user writes.

use config::{Config, Optional, Validator};
use delivery::QueueConfig;

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
#[config(ignore_case)]
pub enum Verbosity {
    /// A line per batch.
    #[config(default)]
    Basic,
    /// That, and about a line per item.
    Normal,
    /// That, and every field of every item.
    Detailed,
}

/// Writes telemetry as text.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = DebugConfig::check)]
pub struct DebugConfig {
    /// How much is written: a line per batch, about a line per item, or everything.
    pub verbosity: Verbosity,
    /// Batches written in each second before sampling begins. With the internal logger only.
    #[config(default = 2)]
    pub sampling_initial: i64,
    /// After those, every so many-th is written; 1 means all, 0 none. With the internal logger only.
    #[config(default = 1)]
    pub sampling_thereafter: i64,
    /// Whether to write to the program's own log, at level info.
    #[config(default = true)]
    pub use_internal_logger: bool,
    /// Where else to write to: `stdout`, `stderr`, or files, which are appended to. Without the internal logger only.
    #[config(default = vec!["stdout".to_owned()])]
    pub output_paths: Vec<String>,
    /// A queue in front of the output. Off unless written.
    #[config(default = Optional::default_off(QueueConfig::default()))]
    pub sending_queue: Optional<QueueConfig>,
}

impl DebugConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (field, value) in
            [("sampling_initial", self.sampling_initial), ("sampling_thereafter", self.sampling_thereafter)]
        {
            if value < 0 {
                v.error(field, format!("`{field}` must not be negative, got {value}"));
            }
        }
        if !self.use_internal_logger && self.output_paths.is_empty() {
            v.error("output_paths", "`output_paths` must name a destination when `use_internal_logger` is false");
        }
        for (index, path) in self.output_paths.iter().enumerate() {
            if path.is_empty() {
                v.error(&format!("output_paths::{index}"), "a path in `output_paths` is empty");
            }
        }
    }
}
