//! What the user writes.

use config::{Config, Unsupported, Validator};
use pdata::Signal;
use statements::{Entry, ErrorMode, Groups};

use crate::plan;

/// Statements with a context, conditions and error mode of their own.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct StatementGroup {
    /// What the statements run on: `resource`, `scope`, `span`, `spanevent`, `metric`, `datapoint`, `exemplar` or `log`.
    /// Inferred from the paths where it is not given.
    pub context: String,
    /// One of them has to hold for a record, or the statements are not run on it.
    pub conditions: Vec<String>,
    /// What is run, in order.
    pub statements: Vec<String>,
    /// What follows when a condition or statement fails: `ignore`, `silent` or `propagate`.
    pub error_mode: Option<ErrorMode>,
}

/// Changes telemetry by statements.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = TransformConfig::check)]
pub struct TransformConfig {
    /// What follows when a condition or statement fails: `ignore`, `silent` or `propagate`.
    pub error_mode: ErrorMode,
    /// Statements, or groups of them, that run on traces.
    pub trace_statements: Groups<StatementGroup>,
    /// Statements, or groups of them, that run on metrics.
    pub metric_statements: Groups<StatementGroup>,
    /// Statements, or groups of them, that run on log records.
    pub log_statements: Groups<StatementGroup>,
    /// Statements that run on profiles.
    #[config(unsupported = "profiles are not supported")]
    pub profile_statements: Unsupported,
    /// Whether log records are taken out of their resources and scopes before, and put together again by equal ones after,
    /// so that a change of a resource is for one record only.
    pub flatten_data: bool,
}

impl TransformConfig {
    /// The statements for a signal, and the setting they stand under.
    #[must_use]
    pub fn statements(&self, signal: Signal) -> (&'static str, &[Entry<StatementGroup>]) {
        match signal {
            Signal::Traces => ("trace_statements", &self.trace_statements),
            Signal::Metrics => ("metric_statements", &self.metric_statements),
            Signal::Logs => ("log_statements", &self.log_statements),
        }
    }

    fn check(&self, v: &mut Validator<'_>) {
        for signal in Signal::ALL {
            for problem in plan::compile(self, signal).err().unwrap_or_default() {
                problem.report(v);
            }
        }
    }
}
