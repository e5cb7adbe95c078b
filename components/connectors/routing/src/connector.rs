//! The connector: divides a batch, hands the parts on, puts the answers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::{
    BoxFuture, BuildError, Component, ConnectorOutputs, ConsumeFuture, ConsumeResult, Consumer, Deadline,
    DeliveryError, Fanout, Settings, ShutdownError, parts,
};
use config::ComponentId;
use futures_util::future::join_all;
use pdata::edit::Editor;
use pdata::{Batch, Outcome, Payload, Signal, Stake};
use statements::{ErrorMode, Failures, contexts};

use crate::assign::{self, Run};
use crate::config::RoutingConfig;
use crate::table::{self, Route};

/// Why items that nobody gets leave the books.
pub const REASON: &str = "no_route";

/// Sends telemetry to pipelines by content or request.
pub struct Routing {
    routes: Vec<Route>,
    /// Where each route leads.
    pipelines: Vec<Arc<dyn Consumer>>,
    default: Option<Arc<dyn Consumer>>,
    mode: ErrorMode,
    failures: Failures,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Routing {
    /// Between pipelines of that signal.
    ///
    /// # Errors
    /// A pipeline that does not have this connector among its receivers; a context that the signal does not have.
    pub fn new(
        settings: &Settings,
        config: &RoutingConfig,
        signal: Signal,
        outputs: &ConnectorOutputs,
    ) -> Result<Self, BuildError> {
        let compiled = table::compile(config).map_err(|problem| BuildError::at("table", problem.wrong.to_string()))?;
        let (mut routes, mut pipelines) = (Vec::new(), Vec::new());
        for (index, route) in compiled {
            let context = route.test.context();
            if !contexts::has(signal, context) {
                let message = format!("{} have no context `{}`", signal.as_str(), context.as_str());
                return Err(BuildError::at(format!("table::{index}"), message));
            }
            let ids = config.table.get(index).map(|route| route.pipelines.as_slice()).unwrap_or_default();
            pipelines.push(to(ids, outputs, &format!("table::{index}::pipelines"))?);
            routes.push(route);
        }
        let default = match config.default_pipelines.as_slice() {
            [] => None,
            ids => Some(to(ids, outputs, "default_pipelines")?),
        };
        let failures = Failures::new(settings);
        Ok(Self { routes, pipelines, default, mode: config.error_mode, failures, stopped: AtomicBool::new(false) })
    }

    /// What the routes say about a batch, and the payload as their statements left it.
    fn assign(&self, batch: &Batch) -> Result<(Payload, Vec<Run>), String> {
        let mut editor = Editor::new(batch.payload().clone()).map_err(|error| error.to_string())?;
        let runs = assign::assign(&mut editor, batch.context(), &self.routes, self.mode, &self.failures)?;
        Ok((editor.seal(), runs))
    }

    async fn route(&self, batch: Batch) -> ConsumeResult {
        let (payload, runs) = match self.assign(&batch) {
            Ok(assigned) => assigned,
            Err(message) => return Err(DeliveryError::permanent(message).with_undelivered(batch)),
        };
        let (original, context, stake) = batch.into_parts();
        let stakes = self.divide(stake, &runs);
        let targets = self.pipelines.iter().enumerate().map(|(number, next)| (Some(number), next));
        let targets: Vec<_> = targets.chain(self.default.iter().map(|next| (None, next))).collect();
        let (mut called, mut calls) = (Vec::new(), Vec::new());
        for ((route, next), stake) in targets.iter().zip(stakes) {
            if runs.iter().any(|run| run.goes_to(*route)) {
                let part = assign::part(&payload, &runs, *route);
                let batch = Batch::from_parts(part, Arc::clone(&context), stake);
                called.push(*route);
                calls.push(next.consume(batch));
            }
        }
        let answers = join_all(calls).await;
        parts::combine(answers, |number, back| {
            // A statement may have changed it; what is tried again is asked about again, from the start.
            let before = assign::part(&original, &runs, called.get(number).copied().flatten());
            if before.items() == back.items() {
                back.rewind(before, Arc::clone(&context));
            }
        })
    }

    /// The stakes of each route's items, then those of the default pipelines'. What nobody gets is settled.
    fn divide(&self, mut stake: Stake, runs: &[Run]) -> Vec<Stake> {
        let mut stakes: Vec<Stake> = std::iter::repeat_with(Stake::none).take(self.routes.len() + 1).collect();
        for run in runs {
            let piece = stake.split_front(run.items);
            for (number, route) in stakes.iter_mut().enumerate().take(self.routes.len()) {
                if run.copies >> number & 1 == 1 {
                    route.merge(piece.copy());
                }
            }
            let default = self.default.as_ref().map(|_| self.routes.len());
            match run.taken_by.or(default).and_then(|number| stakes.get_mut(number)) {
                Some(taken) => taken.merge(piece),
                None => piece.settle(Outcome::Dropped(REASON)),
            }
        }
        stakes
    }
}

/// The pipelines of a route, as one consumer.
fn to(ids: &[ComponentId], outputs: &ConnectorOutputs, field: &str) -> Result<Arc<dyn Consumer>, BuildError> {
    let mut edges: Vec<Arc<dyn Consumer>> = Vec::new();
    for id in ids {
        let Some(edge) = outputs.pipelines.get(&id.to_string()) else {
            let known: Vec<String> = outputs.pipelines.keys().map(|id| format!("`{id}`")).collect();
            let message = format!(
                "pipeline not found: `{id}` does not have this connector among its receivers; those that do: {}",
                known.join(", ")
            );
            return Err(BuildError::at(field, message));
        };
        edges.push(Arc::new(edge.clone()));
    }
    Ok(Fanout::over(edges))
}

impl Component for Routing {
    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        self.stopped.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

impl Consumer for Routing {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(DeliveryError::retryable("the `routing` connector has stopped", batch));
            }
            self.route(batch).await
        })
    }
}
