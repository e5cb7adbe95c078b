//! Which items a processor works on: `include` and `exclude` as the Collector has them, for spans, log records, metrics
//! and data points.
//!
//! - [`config`] is what users write: [`MatchConfig`] (processors such as `attributes`, `filter`'s `spans`),
//!   [`MetricFilters`] and [`LogFilters`] (`filter`'s older keys).
//! - [`Selector`] is that, compiled for a signal. Its [`Cursor`] is asked for each place of a [`pdata::edit::Walk`]; what a
//!   resource, a scope or a metric decides is worked out once for each of them.
//! - [`expression`] is the part of the language `expr` that such configurations are written in.
//! - [`Pattern`] is a regular expression in Go's syntax, [`Constant`] a value of the configuration, [`text`] what any
//!   value reads as.
//!
//! Whatever is wrong comes as a [`Problem`] that names the setting, with the Collector's sentences: [`MatchConfig::check`]
//! reports what is wrong for any signal, to the validator; compiling for a signal finds the rest.
//!
//! Deliberately absent: OTTL (`ottl`), what is done with the items (`actions`, the processors).
//!
//! Source of the behaviour: the Collector's `internal/filter` (contrib, 0.145); the readme of a component says where it
//! departs.

pub mod config;
mod constant;
pub mod expression;
mod pattern;
mod properties;
mod rules;
mod scalar;
mod selector;

pub use crate::config::{
    AttributeMatch, LibraryMatch, LogFilters, LogMatchProperties, MatchConfig, MatchProperties, MetricFilters,
    MetricMatchProperties, RegexpConfig, SeverityMatch, SeverityNumberMatch,
};
pub use crate::constant::Constant;
pub use crate::pattern::{Pattern, PatternError};
pub use crate::selector::{Cursor, Selector};

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as a path below the block that was compiled: `include::services::0`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Where problems go.
pub type Report<'r> = dyn FnMut(Problem) + 'r;

impl Problem {
    /// A problem of the setting at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}
