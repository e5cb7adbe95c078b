//! Item counters around nodes: what the Collector's helpers count for every component.
//!
//! The `otelcol.<kind>.consumed.items` and `produced.items` exist at level detailed alone; below it, nothing is wrapped.

use std::sync::Arc;
use std::time::Instant;

use component::telemetry::{Level, Metric, SECOND_BUCKETS};
use component::{
    Accepted, BoxFuture, Component, ComponentId, ConsumeFuture, Consumer, Counter, Deadline, DeliveryError, Edit,
    Histogram, Host, Kind, Process, Registry, ShutdownError, StartError, Telemetry,
};
use pdata::edit::OpenBatch;
use pdata::{Batch, Gate, Signal};

const fn items(name: &'static str, help: &'static str, level: Level) -> Metric {
    Metric { name, help, unit: "{items}", level }
}

const INCOMING: Metric = items("otelcol_processor_incoming_items", "Items passed to the processor", Level::Basic);
const OUTGOING: Metric = items("otelcol_processor_outgoing_items", "Items emitted by the processor", Level::Basic);
const DURATION: Metric = Metric {
    name: "otelcol_processor_internal_duration",
    help: "Duration of time taken to process a batch of telemetry data through the processor",
    unit: "s",
    level: Level::Detailed,
};

const RECEIVER_PRODUCED: Metric =
    items("otelcol.receiver.produced.items", "Items handed on by the receiver", Level::Detailed);
const PROCESSOR_CONSUMED: Metric =
    items("otelcol.processor.consumed.items", "Items handed to the processor", Level::Detailed);
const PROCESSOR_PRODUCED: Metric =
    items("otelcol.processor.produced.items", "Items handed on by the processor", Level::Detailed);
const CONNECTOR_CONSUMED: Metric =
    items("otelcol.connector.consumed.items", "Items handed to the connector", Level::Detailed);
const CONNECTOR_PRODUCED: Metric =
    items("otelcol.connector.produced.items", "Items handed on by the connector", Level::Detailed);
const EXPORTER_CONSUMED: Metric =
    items("otelcol.exporter.consumed.items", "Items handed to the exporter", Level::Detailed);

/// On which side of a component a consumer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It is the component.
    Consumed,
    /// It is what the component hands on to.
    Produced,
}

/// Items by how their hand-over ended.
struct Outcomes {
    success: Counter,
    refused: Counter,
    failure: Counter,
}

impl Outcomes {
    /// `None` for sides that have no metric.
    fn new(registry: &Registry, kind: Kind, side: Side, id: &ComponentId, at: (Signal, Option<&str>)) -> Option<Self> {
        let metric = match (kind, side) {
            (Kind::Receiver, Side::Produced) => RECEIVER_PRODUCED,
            (Kind::Processor, Side::Consumed) => PROCESSOR_CONSUMED,
            (Kind::Processor, Side::Produced) => PROCESSOR_PRODUCED,
            (Kind::Connector, Side::Consumed) => CONNECTOR_CONSUMED,
            (Kind::Connector, Side::Produced) => CONNECTOR_PRODUCED,
            (Kind::Exporter, Side::Consumed) => EXPORTER_CONSUMED,
            _ => return None,
        };
        let (signal, pipeline) = at;
        let counter = |outcome: &str| {
            let labels = [
                ("otelcol.component.id", Some(id.to_string())),
                ("otelcol.component.kind", Some(kind.to_string())),
                ("otelcol.signal", Some(signal.to_string())),
                ("otelcol.pipeline.id", pipeline.map(str::to_owned)),
                ("outcome", Some(outcome.to_owned())),
            ];
            let labels = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            registry.counter(metric, labels)
        };
        Some(Self { success: counter("success"), refused: counter("refused"), failure: counter("failure") })
    }

    fn add(&self, items: u64, error: Option<&DeliveryError>) {
        match error {
            None => self.success.add(items),
            Some(error) if error.is_retryable() => self.refused.add(items),
            Some(_) => self.failure.add(items),
        }
    }
}

/// `inner` with its items counted by outcome. `at` is the signal and, for processors, the pipeline.
pub(super) fn by_outcome(
    registry: &Registry,
    kind: Kind,
    side: Side,
    id: &ComponentId,
    at: (Signal, Option<&str>),
    inner: Arc<dyn Consumer>,
) -> Arc<dyn Consumer> {
    match Outcomes::new(registry, kind, side, id, at) {
        Some(outcomes) => Arc::new(ByOutcome { inner, outcomes }),
        None => inner,
    }
}

struct ByOutcome {
    inner: Arc<dyn Consumer>,
    outcomes: Outcomes,
}

impl Consumer for ByOutcome {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let items = batch.items();
            let answer = self.inner.consume(batch).await;
            self.outcomes.add(items, answer.as_ref().err());
            answer
        })
    }
}

/// The counters of a processor.
pub(super) struct Counts {
    incoming: Counter,
    outgoing: Counter,
    duration: Histogram,
}

impl Counts {
    pub(super) fn new(telemetry: &Telemetry, signal: Signal) -> Self {
        let labels = [("otel.signal", signal.as_str())];
        Self {
            incoming: telemetry.counter(INCOMING, &labels),
            outgoing: telemetry.counter(OUTGOING, &labels),
            duration: telemetry.histogram(DURATION, SECOND_BUCKETS, &labels),
        }
    }

    /// A stateful processor, and what it hands on to, with their items counted.
    pub(super) fn around(
        self,
        stage: Arc<dyn Consumer>,
        onward: Arc<dyn Consumer>,
    ) -> (Arc<dyn Consumer>, Arc<dyn Consumer>) {
        let incoming = Passing { inner: stage, items: self.incoming, only_taken: false };
        let outgoing = Passing { inner: onward, items: self.outgoing, only_taken: true };
        (Arc::new(incoming), Arc::new(outgoing))
    }

    /// A synchronous processor with its items counted; by outcome too where a registry for that is given.
    pub(super) fn inside(
        self,
        inner: Arc<dyn Process>,
        detailed: Option<&Registry>,
        id: &ComponentId,
        at: (Signal, Option<&str>),
    ) -> Arc<dyn Process> {
        let outcomes = |side| Outcomes::new(detailed?, Kind::Processor, side, id, at);
        let (consumed, produced) = (outcomes(Side::Consumed), outcomes(Side::Produced));
        Arc::new(Counted { inner, counts: self, consumed, produced })
    }
}

/// Counts the items that go into a stateful processor, or those that come out of it and are taken.
struct Passing {
    inner: Arc<dyn Consumer>,
    items: Counter,
    only_taken: bool,
}

impl Consumer for Passing {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let items = batch.items();
            let answer = self.inner.consume(batch).await;
            if answer.is_ok() || !self.only_taken {
                self.items.add(items);
            }
            answer
        })
    }
}

/// A synchronous processor with its item counters.
struct Counted {
    inner: Arc<dyn Process>,
    counts: Counts,
    consumed: Option<Outcomes>,
    produced: Option<Outcomes>,
}

impl Component for Counted {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.inner.start(host)
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        self.inner.shutdown(deadline)
    }
}

impl Counted {
    /// Counts one call that took `items`; `left` tells what came out of it.
    fn count<T>(
        &self,
        items: u64,
        call: impl FnOnce() -> Result<T, DeliveryError>,
        left: impl FnOnce(&T) -> u64,
    ) -> Result<T, DeliveryError> {
        self.counts.incoming.add(items);
        let begun = Instant::now();
        let processed = call();
        self.counts.duration.record(begun.elapsed().as_secs_f64());
        let left = processed.as_ref().map_or(0, left);
        self.counts.outgoing.add(left);
        if let Some(consumed) = &self.consumed {
            consumed.add(items, processed.as_ref().err());
        }
        if let Some(produced) = &self.produced {
            produced.add(left, None);
        }
        processed
    }
}

impl Process for Counted {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        self.count(batch.items(), || self.inner.process(batch), |left| left.as_ref().map_or(0, Batch::items))
    }

    fn mutates(&self) -> bool {
        self.inner.mutates()
    }

    fn as_edit(&self) -> Option<&dyn Edit> {
        self.inner.as_edit().is_some().then_some(self)
    }

    fn gate(&self) -> Option<Arc<Gate>> {
        self.inner.gate()
    }
}

impl Edit for Counted {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let Some(inner) = self.inner.as_edit() else { return Ok(Accepted::all()) };
        let items = batch.editor().items();
        let call = || Ok((inner.edit(batch)?, batch.editor().items()));
        self.count(items, call, |(_, left)| *left).map(|(answer, _)| answer)
    }
}
