//! The processor: decides about every item of a batch, removes what is dropped, marks what is kept.

use std::collections::HashMap;
use std::sync::Arc;

use component::decisions::Answer;
use component::pressure::{Class, Pressure, Shed, Step};
use component::telemetry::Metric;
use component::{Accepted, Component, Counter, DeliveryError, Edit, Level as Detail, Settings};
use pdata::Outcome;
use pdata::Signal;
use pdata::edit::{EditError, Level, OpenBatch};
use pdata::view::{LogRecordView, SpanView};
use sampling::Threshold;

use crate::config::{Rule, SamplerConfig};
use crate::decision::{Decider, Decision, Known, Policy, Priority, follow};
use crate::items::{self, LogKeys};

/// Why items that were not kept leave the books.
pub const REASON: &str = "not_sampled";

const TRACES: Metric = Metric {
    name: "otelcol_processor_probabilistic_sampler_count_traces_sampled",
    help: "Spans by decision, and where their randomness came from.",
    unit: "{spans}",
    level: Detail::Normal,
};
const LOGS: Metric = Metric {
    name: "otelcol_processor_probabilistic_sampler_count_logs_sampled",
    help: "Log records by decision, and where their randomness came from.",
    unit: "{records}",
    level: Detail::Normal,
};

/// Keeps a share of spans or log records.
pub struct Sampler {
    decider: Decider,
    rules: Vec<(Rule, Decider)>,
    keys: LogKeys,
    /// Dropped and kept, by policy.
    counters: [[Counter; 2]; Policy::ALL.len()],
    pressure: Arc<Pressure>,
    shed: Shed,
}

/// What is known of the traces that log records follow.
pub(crate) type Answers = HashMap<[u8; 16], Answer>;

/// The least thresholds of each class in the degraded mode, as they are when a batch comes; `None` outside of it.
type Floors = Option<[Threshold; Class::ALL.len()]>;

fn decide(decider: &Decider, known: &Known<'_>, floors: Floors, class: impl FnOnce() -> Class) -> (Decision, Class) {
    let Some([debug, normal, critical]) = floors else { return (decider.decide(known), Class::Normal) };
    let class = class();
    let floor = match class {
        Class::Debug => debug,
        Class::Normal => normal,
        Class::Critical => critical,
    };
    (decider.decide_above(known, floor), class)
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("decider", &self.decider).finish_non_exhaustive()
    }
}

impl Sampler {
    /// A sampler for a pipeline of that signal.
    #[must_use]
    pub fn new(settings: &Settings, config: &SamplerConfig, signal: Signal) -> Self {
        let metric = if signal == Signal::Logs { LOGS } else { TRACES };
        let counters = Policy::ALL.map(|policy| {
            ["false", "true"].map(|sampled| {
                let labels = [("policy", policy.label(&config.from_attribute)), ("sampled", sampled)];
                settings.telemetry.counter(metric, &labels)
            })
        });
        let with = |rule: &Rule| (rule.clone(), Decider::of_rule(config, rule.sampling_percentage));
        Self {
            decider: Decider::new(config, config.sampling_percentage),
            rules: if signal == Signal::Logs { config.rules.iter().map(with).collect() } else { Vec::new() },
            keys: LogKeys {
                from_attribute: config.from_attribute.clone(),
                sampling_priority: config.sampling_priority.clone(),
                precision: u32::try_from(config.sampling_precision).unwrap_or(4),
            },
            counters,
            pressure: Arc::clone(settings.pressure()),
            shed: Shed::new(&settings.telemetry, signal, "thinned"),
        }
    }

    fn floors(&self) -> Floors {
        let is_thin = self.pressure.step() >= Step::Thin;
        is_thin.then(|| Class::ALL.map(|class| Threshold::rejecting(self.pressure.rejected(class))))
    }

    fn rule(&self, record: LogRecordView<'_>) -> Option<&(Rule, Decider)> {
        self.rules.iter().find(|(rule, _)| items::fits(rule, record))
    }

    /// The trace whose fate a record shares: not where a rule keeps or drops all that fit, where the record asks for a share
    /// of its own, or where the degraded mode sheds it.
    fn shared_fate(&self, record: LogRecordView<'_>, rule: Option<&Rule>, known: &Known<'_>) -> Option<[u8; 16]> {
        let is_by_chance = rule.is_none_or(|rule| rule.sampling_percentage > 0.0 && rule.sampling_percentage < 100.0);
        let is_free = is_by_chance && known.priority == Priority::None;
        let is_shed = self.pressure.step() >= Step::Gate && items::log_class(record, known) == Class::Debug;
        known.trace_id.copied().filter(|id| is_free && !is_shed && *id != [0; 16])
    }

    /// The trace whose decision a log record is to follow.
    pub(crate) fn followed(&self, record: &[u8], hashed: &mut Vec<u8>) -> Option<[u8; 16]> {
        let view = LogRecordView::new(record);
        let known = items::log(record, &self.keys, hashed);
        self.shared_fate(view, self.rule(view).map(|(rule, _)| rule), &known)
    }

    fn decide_log(
        &self,
        record: &[u8],
        hashed: &mut Vec<u8>,
        floors: Floors,
        answers: Option<&Answers>,
    ) -> (Decision, Class) {
        let view = LogRecordView::new(record);
        let rule = self.rule(view);
        let decider = rule.map_or(&self.decider, |(_, decider)| decider);
        let known = items::log(record, &self.keys, hashed);
        if let Some(answers) = answers
            && let Some(trace_id) = self.shared_fate(view, rule.map(|(rule, _)| rule), &known)
            && let Some(decision) = answers.get(&trace_id).and_then(|answer| follow(&known, *answer))
        {
            return (decision, Class::Normal);
        }
        decide(decider, &known, floors, || items::log_class(view, &known))
    }

    fn decide_span(&self, span: &[u8], floors: Floors) -> (Decision, Class) {
        let known = items::span(span);
        decide(&self.decider, &known, floors, || items::span_class(SpanView::new(span), &known))
    }
}

impl Component for Sampler {}

impl Edit for Sampler {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        self.retain(batch, None)
    }
}

impl Sampler {
    /// Removes what is dropped, marks what is kept. Log records follow `answers` where there are some.
    ///
    /// # Errors
    /// Permanent, without the batch, when nothing can be written to it.
    pub(crate) fn retain(&self, batch: &mut OpenBatch, answers: Option<&Answers>) -> Result<Accepted, DeliveryError> {
        let is_logs = batch.editor().signal() == Signal::Logs;
        let mut counts = [[0_u64; 2]; Policy::ALL.len()];
        let (floors, mut shed) = (self.floors(), [0_u64; Class::ALL.len()]);
        let (mut text, mut hashed) = (String::new(), Vec::new());
        let outcome = batch.retain(Level::Items, Outcome::Dropped(REASON), |editor, _, place| {
            let item = editor.bytes(place.at());
            let (decision, class) = match is_logs {
                true => self.decide_log(item, &mut hashed, floors, answers),
                false => self.decide_span(item, floors),
            };
            if let (true, Some(shed)) = (decision.is_shed, shed.get_mut(class as usize)) {
                *shed += 1;
            }
            let by_policy = Policy::ALL.iter().zip(&mut counts).find(|(policy, _)| **policy == decision.policy);
            if let Some((_, [dropped, kept])) = by_policy {
                *if decision.is_kept { kept } else { dropped } += 1;
            }
            if let (true, Some(carried)) = (decision.is_kept, &decision.carries)
                && let Some(item) = editor.open(place.at())
            {
                if is_logs {
                    items::write_log(editor, item, carried)?;
                } else {
                    items::write_span(editor, item, carried, &mut text)?;
                }
            }
            Ok::<_, EditError>(decision.is_kept)
        });
        for (counters, counts) in self.counters.iter().zip(counts) {
            for (counter, count) in counters.iter().zip(counts).filter(|(_, count)| *count > 0) {
                counter.add(count);
            }
        }
        for (class, items) in Class::ALL.into_iter().zip(shed) {
            self.shed.add(class, items);
        }
        match outcome {
            Ok(_) => Ok(Accepted::all()),
            Err(error) => Err(DeliveryError::permanent(format!("cannot write sampling information: {error}"))),
        }
    }
}
