//! Settings of components that can never do anything, given the pipelines that they are in. What they are, factories say
//! (`Factory::with_idle_settings`); those that are idle wherever the component stands, its own validation tells.

use component::Kind;
use config::{ConfigError, codes};
use pdata::Signal;

use super::Plan;
use crate::catalog::Catalog;

/// Warnings about processors, of a plan without errors.
pub(super) fn settings(plan: &Plan, catalog: &Catalog) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    for ((kind, id), component) in plan.components.iter().filter(|((kind, _), _)| *kind == Kind::Processor) {
        let is_in = |signal: &Signal| {
            let mut of_signal = plan.pipelines.iter().filter(|pipeline| pipeline.id.signal == *signal);
            of_signal.any(|pipeline| pipeline.processors.iter().any(|processor| processor.id == *id))
        };
        let signals: Vec<Signal> = Signal::ALL.into_iter().filter(is_in).collect();
        let Some(factory) = catalog.find(*kind, component.type_name).filter(|_| !signals.is_empty()) else { continue };
        for (key, why) in factory.idle_settings(&component.config, &signals) {
            let origin = component.node.entry(key).map_or(&component.origin, |(_, value)| &value.origin);
            let path = format!("{}::{id}", kind.section());
            let mut warning = ConfigError::warning(codes::IDLE_SETTING, why).at(origin).in_path(path);
            warning.setting = format!("{}::{key}", warning.path);
            warnings.push(warning);
        }
    }
    warnings
}
