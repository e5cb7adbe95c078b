//! What the user writes.

use actions::{ActionConfig, Actions};
use config::{Config, Validator};
use matching::MatchConfig;

/// Changes attributes of spans, log records and data points.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = AttributesConfig::check)]
pub struct AttributesConfig {
    /// Which items are worked on.
    #[config(flatten)]
    pub matching: MatchConfig,
    /// What is done to the attributes of each item, in this order. At least one.
    pub actions: Vec<ActionConfig>,
}

impl AttributesConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.actions.is_empty() {
            v.error("", "missing required field \"actions\"");
        }
        Actions::compile(&self.actions, "actions", &mut |problem| v.error(&problem.path, problem.message));
    }
}
