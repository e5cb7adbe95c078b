//! The processor: one pass over the batch for each context that has conditions, outermost first.

use component::telemetry::Metric;
use component::{Accepted, Component, Counter, DeliveryError, Edit, Level as Detail, Settings};
use ottl::{Subject, retain};
use pdata::edit::{Level, OpenBatch};
use pdata::{Outcome, Signal};
use statements::{Failures, Problem};

use crate::config::FilterConfig;
use crate::plan::{self, Pass, Plan};

/// Why items that were dropped leave the books.
pub const REASON: &str = "filtered";

const SPANS: Metric = Metric {
    name: "otelcol_processor_filter_spans_filtered",
    help: "Number of spans dropped by the filter processor",
    unit: "{spans}",
    level: Detail::Basic,
};
const POINTS: Metric = Metric {
    name: "otelcol_processor_filter_datapoints_filtered",
    help: "Number of metric data points dropped by the filter processor",
    unit: "{datapoints}",
    level: Detail::Basic,
};
const LOGS: Metric = Metric {
    name: "otelcol_processor_filter_logs_filtered",
    help: "Number of logs dropped by the filter processor",
    unit: "{records}",
    level: Detail::Basic,
};

/// Drops what a condition matches.
#[derive(Debug)]
pub struct Filter {
    plan: Plan,
    failures: Failures,
    dropped: Counter,
}

impl Filter {
    /// For a pipeline of that signal.
    ///
    /// # Errors
    /// The first thing that cannot be used; validation has told about all of them.
    pub fn new(settings: &Settings, config: &FilterConfig, signal: Signal) -> Result<Self, Problem> {
        let plan = plan::compile(config, signal).map_err(|mut problems| problems.remove(0))?;
        let metric = match signal {
            Signal::Traces => SPANS,
            Signal::Metrics => POINTS,
            Signal::Logs => LOGS,
        };
        let id = settings.id.to_string();
        let dropped = settings.telemetry.counter(metric, &[("filter", &id)]);
        Ok(Self { plan, failures: Failures::new(settings), dropped })
    }

    /// Whether no condition holds.
    fn keeps(&self, pass: &Pass, on: &mut Subject<'_>) -> Result<bool, String> {
        for rule in &pass.rules {
            match rule.condition.holds(on) {
                Ok(true) => return Ok(false),
                Ok(false) => {}
                Err(error) => self.failures.meet(rule.error_mode, &rule.condition, rule.condition.text(), &error)?,
            }
        }
        Ok(true)
    }

    fn run(&self, batch: &mut OpenBatch) -> Result<(), String> {
        let outcome = Outcome::Dropped(REASON);
        for pass in &self.plan.passes {
            retain(batch, pass.context, outcome, |on| self.keeps(pass, on))?;
        }
        if let Some(selector) = &self.plan.selector {
            let level = if batch.editor().signal() == Signal::Metrics { Level::Metrics } else { Level::Items };
            let mut cursor = selector.cursor();
            batch.retain(level, outcome, |editor, _, place| Ok::<_, String>(cursor.selects(editor, place)))?;
        }
        Ok(())
    }
}

impl Component for Filter {}

impl Edit for Filter {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let before = batch.editor().items();
        let outcome = self.run(batch);
        self.dropped.add(before - batch.editor().items());
        match outcome {
            Ok(()) => Ok(Accepted::all()),
            Err(message) => Err(DeliveryError::permanent(message)),
        }
    }
}
