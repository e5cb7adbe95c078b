//! Which items of a payload are worked on.

use pdata::edit::{Level, Msg, Place};
use pdata::{Editor, Signal};
use smallvec::SmallVec;

use crate::config::{LogFilters, MatchConfig, MetricFilters};
use crate::properties::{Properties, refuse_for_logs, refuse_for_metrics, refuse_for_spans};
use crate::{Problem, Report};

/// `include` and `exclude`, compiled for a signal.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// Whether items that match are worked on, or those that do not.
    include: bool,
    properties: Properties,
}

/// A way through one payload.
#[derive(Debug)]
pub struct Cursor<'s> {
    rules: &'s [Rule],
    /// Whether each rule matches so far, by what is around the current place.
    around: SmallVec<[Around; 4]>,
    scratch: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Around {
    group: bool,
    scope: bool,
    metric: bool,
}

impl Selector {
    /// For the items of a signal: spans, log records, data points.
    ///
    /// # Errors
    /// The first problem.
    pub fn new(signal: Signal, config: &MatchConfig) -> Result<Self, Problem> {
        let refuse = match signal {
            Signal::Traces => refuse_for_spans,
            Signal::Logs => refuse_for_logs,
            Signal::Metrics => refuse_for_metrics,
        };
        if let Some(problem) = config.blocks().find_map(|(key, _, block)| refuse(block, key)) {
            return Err(problem);
        }
        Self::compile(|report| {
            let rules = config.blocks();
            rules
                .map(|(key, include, block)| Rule { include, properties: Properties::of(block, key, report) })
                .collect()
        })
    }

    /// For the metrics that a filter keeps.
    ///
    /// # Errors
    /// The first problem.
    pub fn of_metrics(config: &MetricFilters) -> Result<Self, Problem> {
        Self::compile(|report| {
            let rules = config.blocks().flat_map(|(key, include, block)| {
                let properties = Properties::of_metrics(block, key, report).into_iter().flatten();
                properties.map(|properties| Rule { include, properties }).collect::<Vec<_>>()
            });
            rules.collect()
        })
    }

    /// For the log records that a filter keeps.
    ///
    /// # Errors
    /// The first problem.
    pub fn of_logs(config: &LogFilters) -> Result<Self, Problem> {
        Self::compile(|report| {
            let rules = config.blocks().filter_map(|(key, include, block)| {
                Properties::of_logs(block, key, report).map(|properties| Rule { include, properties })
            });
            rules.collect()
        })
    }

    fn compile(rules: impl FnOnce(&mut Report<'_>) -> Vec<Rule>) -> Result<Self, Problem> {
        let mut first = None;
        let rules = rules(&mut |problem| _ = first.get_or_insert(problem));
        match first {
            Some(problem) => Err(problem),
            None => Ok(Self { rules }),
        }
    }

    /// Whether it takes everything, so that there is no need to ask.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.rules.is_empty()
    }

    /// For one walk through a payload of the signal.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor {
            rules: &self.rules,
            around: SmallVec::from_elem(Around::default(), self.rules.len()),
            scratch: String::new(),
        }
    }
}

impl Cursor<'_> {
    /// Whether the item (or, in a walk of [`Level::Metrics`], the metric) at a place is worked on. To be asked for every
    /// place of a walk, in order: what is the same around the next one is not compared again.
    pub fn selects(&mut self, editor: &mut Editor, place: &Place) -> bool {
        self.follow(editor, place);
        let mut item = None;
        for (rule, around) in self.rules.iter().zip(&self.around) {
            let matches = around.metric
                && (!rule.properties.looks_at_items() || {
                    if item.is_none() {
                        item = editor.open(place.at());
                    }
                    item.is_some_and(|item| rule.properties.match_item(editor, item, &mut self.scratch))
                });
            if matches != rule.include {
                return false;
            }
        }
        true
    }

    /// Compares what is around the place and was not around the one before.
    fn follow(&mut self, editor: &mut Editor, place: &Place) {
        let entered = place.entered();
        let metric = metric(editor, place);
        if entered.is_none() && metric.is_none_or(|(_, is_around)| is_around) {
            return;
        }
        for (rule, around) in self.rules.iter().zip(&mut self.around) {
            let properties = &rule.properties;
            if entered == Some(Level::Groups) {
                let group = place.group();
                around.group = group.is_some_and(|group| properties.match_group(editor, group, &mut self.scratch));
            }
            if matches!(entered, Some(Level::Groups | Level::Scopes)) {
                let scope = place.scope_group();
                around.scope = around.group && scope.is_some_and(|scope| properties.match_scope(editor, scope));
            }
            around.metric = around.scope && metric.is_none_or(|(metric, _)| properties.match_metric(editor, metric));
        }
    }
}

/// The metric of a place, and whether it is around it (or at it).
fn metric(editor: &mut Editor, place: &Place) -> Option<(Msg, bool)> {
    if editor.signal() != Signal::Metrics {
        return None;
    }
    match place.metric() {
        Some(metric) => Some((metric, true)),
        None => editor.open(place.at()).map(|metric| (metric, false)),
    }
}
