//! What the user writes.

use config::{ComponentId, Config, Validator};
use statements::ErrorMode;

use crate::table;

/// What becomes of telemetry that a route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Action {
    /// It is the route's; later routes do not see it.
    #[config(default, alias = "")]
    Move,
    /// The route gets a copy; later routes and the default pipelines see it still.
    Copy,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct RouteConfig {
    /// What the condition is about: `resource`, `span`, `metric`, `datapoint`, `log` or `request`. Where it is not given,
    /// the context that its paths name, else `resource`.
    pub context: String,
    /// An OTTL condition; for `request` a comparison `request["name"] == "value"`, or with `!=`.
    pub condition: String,
    /// In place of a condition: `route() where …`, or `delete_key(attributes, "…") where …`, which also changes what it
    /// routes.
    pub statement: String,
    /// Pipelines that get what matches. They must have this connector among their receivers.
    pub pipelines: Vec<ComponentId>,
    /// `move` or `copy`.
    pub action: Action,
}

/// Sends telemetry to pipelines by content or request.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = RoutingConfig::check)]
pub struct RoutingConfig {
    /// Pipelines that get what no route took; without any, that is dropped.
    pub default_pipelines: Vec<ComponentId>,
    /// What follows when a condition fails: `ignore` (it does not hold, and that is logged), `silent` or `propagate`.
    pub error_mode: ErrorMode,
    /// The routes, asked in order.
    pub table: Vec<RouteConfig>,
}

impl RoutingConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.table.is_empty() {
            v.error("table", "invalid routing table: the routing table is empty");
        }
        if self.table.len() > table::ROUTES_MAX {
            let (len, most) = (self.table.len(), table::ROUTES_MAX);
            v.error("table", format!("a routing table has at most {most} routes, this has {len}"));
        }
        for (index, route) in self.table.iter().enumerate() {
            let at = format!("table::{index}");
            match (route.condition.is_empty(), route.statement.is_empty()) {
                (true, true) => {
                    v.error(&at, "invalid route: no condition or statement provided");
                }
                (false, false) => {
                    v.error(&at, "invalid route: both condition and statement provided");
                }
                _ => {}
            }
            if route.pipelines.is_empty() {
                v.error(&at, "invalid route: no pipelines defined");
            }
            if let Err(mut problem) = table::test(route) {
                problem.field = format!("{at}::{}", problem.field);
                problem.report(v);
            }
            let same = |other: &&RouteConfig| {
                (&other.context, &other.condition, &other.statement)
                    == (&route.context, &route.condition, &route.statement)
            };
            if self.table.iter().take(index).any(|other| same(&other)) {
                let message = "an earlier route has the same condition, so this one is ignored";
                v.warning(&at, config::codes::INVALID_VALUE, message);
            }
        }
    }
}
