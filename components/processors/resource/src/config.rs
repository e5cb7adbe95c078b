//! What the user writes.

use actions::{ActionConfig, Actions};
use config::{Config, Validator};

/// Changes attributes of resources.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = ResourceConfig::check)]
pub struct ResourceConfig {
    /// What is done to the attributes of each resource, in this order. At least one.
    pub attributes: Vec<ActionConfig>,
}

impl ResourceConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.attributes.is_empty() {
            v.error("", "missing required field \"attributes\"");
        }
        Actions::compile(&self.attributes, "attributes", &mut |problem| v.error(&problem.path, problem.message));
    }
}
