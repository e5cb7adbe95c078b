//! `service::telemetry::logs`.

use std::time::Duration;

use config::{Config, Node, Unsupported};

/// What is logged, how, and where to.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct LogsConfig {
    /// Least severe lines that are written; any case.
    pub level: LogLevel,
    /// `console` for people, `json` for one object per line.
    pub encoding: Encoding,
    /// Go only.
    #[config(no_effect = "it changes how the Collector behaves on programming errors, which weir has no switch for")]
    pub development: bool,
    /// Go only.
    #[config(no_effect = "log lines of weir do not name callers")]
    pub disable_caller: bool,
    /// Go only.
    #[config(no_effect = "log lines of weir carry no stack traces")]
    pub disable_stacktrace: bool,
    /// Fewer lines with the same level and message.
    pub sampling: SamplingConfig,
    /// Where lines go: `stdout`, `stderr`, files (appended to; opened again on reload).
    #[config(default = vec!["stderr".to_owned()])]
    pub output_paths: Vec<String>,
    /// Where it is said that a line could not be written.
    #[config(default = vec!["stderr".to_owned()])]
    pub error_output_paths: Vec<String>,
    /// Fields of every line.
    pub initial_fields: Node,
    /// Log processors.
    #[config(
        unsupported = "own logs go to `output_paths`; to ship them, read that file (or the standard error of the process) with a receiver"
    )]
    pub processors: Unsupported,
    /// Leaves the resource out of JSON lines. Console lines never have it.
    pub disable_zap_resource: bool,
}

/// Severities by zap's names. zap's three levels above `error` end the process there; weir has no lines of that kind, so
/// with one of them nothing is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
#[config(ignore_case)]
pub enum LogLevel {
    /// Everything for developers.
    Debug,
    /// Lifecycle.
    #[config(default, alias = "")]
    Info,
    /// Odd but handled.
    #[config(alias = "warning")]
    Warn,
    /// Data was lost or somebody must act.
    Error,
    /// Nothing.
    #[config(rename = "dpanic", alias = "panic", alias = "fatal")]
    Off,
}

impl LogLevel {
    /// As a directive of `tracing`.
    #[must_use]
    pub fn directive(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Off => "off",
        }
    }
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Encoding {
    /// For people.
    #[config(default, alias = "")]
    Console,
    /// One object per line.
    Json,
}

/// Of lines with the same level and message, only the first `initial` in each `tick` are written, then every
/// `thereafter`th.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct SamplingConfig {
    /// Whether lines are left out at all.
    #[config(default = true)]
    pub enabled: bool,
    /// Lines written before any is left out.
    #[config(default = 10)]
    pub initial: u64,
    /// After those, one in so many; 0 for none.
    #[config(default = 100)]
    pub thereafter: u64,
    /// After which time counting begins anew.
    #[config(default = Duration::from_secs(10))]
    pub tick: Duration,
}
