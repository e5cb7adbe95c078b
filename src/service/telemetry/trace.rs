//! Own traces: spans about batches, from the receiver to the answer.
//!
//! The graph puts a [`Traced`] in front of a receiver's pipelines, of each pipeline, and of each exporter, but only when the
//! configuration has processors for spans; otherwise nothing of this is on the way of a batch. A span becomes the parent
//! of the next ones through the batch's context, whose trace it replaces; a batch that is handed back gets its own context
//! again.
//!
//! Processors are tasks behind bounded queues. A span that finds its queue full is dropped and counted: telemetry about
//! telemetry must not hold it up.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use component::pressure::{Pressure, Step};
use component::{Accepted, ConsumeFuture, Consumer, Counter, Deadline, DeliveryError, Host, StartError};
use pdata::build::{PayloadBuilder, SpanFields};
use pdata::{Batch, Context, Payload, Signal, TraceContext};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::config::{SamplerConfig, SpanProcessorConfig, TracesConfig};
use super::push::{over, unix_nano};
use super::resource::{Resource, random};
use super::send::Sender;
use super::{DROPPED_SPANS, FAILED_EXPORTS, attributes};

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const KIND_INTERNAL: i32 = 1;
const KIND_SERVER: i32 = 2;
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: i32 = 2;
/// Spans that wait for a `simple` processor, at most.
const SIMPLE_QUEUE_SPANS_MAX: usize = 2048;
/// Time for one export of a `simple` processor.
const SIMPLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the graph finds the tracer of the running configuration.
#[derive(Debug, Default)]
pub struct SpanSlot(RwLock<Option<Arc<Tracer>>>);

impl SpanSlot {
    fn get(&self) -> Option<Arc<Tracer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, tracer: Option<Arc<Tracer>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tracer;
    }
}

/// A span that has ended.
#[derive(Clone, Debug)]
struct Span {
    context: TraceContext,
    parent_span_id: [u8; 8],
    name: Arc<str>,
    kind: i32,
    attributes: Arc<[(&'static str, String)]>,
    begin: u64,
    end: u64,
    items: u64,
    bytes: usize,
    rejected_items: u64,
    /// Why it failed, and whether the batch may be sent again.
    error: Option<(String, bool)>,
}

/// Makes spans, and owns the processors that send them.
#[derive(Debug)]
pub struct Tracer {
    sampler: Option<SamplerConfig>,
    propagates: bool,
    queues: Vec<mpsc::Sender<Span>>,
    dropped: Counter,
    stop: watch::Sender<Option<Deadline>>,
    pressure: Arc<Pressure>,
}

/// The tasks of a tracer.
#[derive(Debug)]
pub(super) struct Processors {
    pub(super) config: TracesConfig,
    pub(super) resource: Arc<Resource>,
    tracer: Arc<Tracer>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Processors {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The senders of `config`, one for each processor.
///
/// # Errors
/// Certificates, headers and endpoints that cannot be used.
pub(super) fn senders(config: &TracesConfig, host: &Host) -> Result<Vec<Sender>, StartError> {
    let sender = |processor: &SpanProcessorConfig| {
        let exporter = processor.batch.as_ref().map(|batch| &batch.exporter);
        match exporter.or(processor.simple.as_ref().map(|simple| &simple.exporter)).and_then(|e| e.otlp.as_ref()) {
            Some(otlp) => Sender::otlp(otlp, Signal::Traces, host),
            None => Ok(Sender::console(Signal::Traces)),
        }
    };
    config.processors.iter().filter(|_| config.is_on()).map(sender).collect()
}

impl Processors {
    /// Starts a task for each of `senders`.
    pub(super) fn start(config: &TracesConfig, senders: Vec<Sender>, resource: &Arc<Resource>, host: &Host) -> Self {
        let (stop, stopped) = watch::channel(None);
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        let failures = host.registry().counter(FAILED_EXPORTS, vec![("signal".to_owned(), "traces".to_owned())]);
        let dropped = host.registry().counter(DROPPED_SPANS, Vec::new());
        for (processor, sender) in config.processors.iter().zip(senders) {
            let limits = Limits::of(processor);
            let (queue, spans) = mpsc::channel(limits.queue);
            queues.push(queue);
            let work = Work {
                limits,
                sender,
                resource: Arc::clone(resource),
                failures: failures.clone(),
                dropped: dropped.clone(),
            };
            tasks.push(tokio::spawn(work.run(spans, stopped.clone())));
        }
        let (sampler, pressure) = (config.sampler.clone(), Arc::clone(host.pressure()));
        let tracer = Tracer { sampler, propagates: config.propagates(), queues, dropped, stop, pressure };
        Self { config: config.clone(), resource: Arc::clone(resource), tracer: Arc::new(tracer), tasks }
    }

    /// What makes the spans.
    pub(super) fn tracer(&self) -> Arc<Tracer> {
        Arc::clone(&self.tracer)
    }

    /// Sends what waits, within the deadline, and ends.
    pub(super) async fn close(mut self, deadline: Deadline) {
        self.tracer.stop.send_replace(Some(deadline));
        for task in &mut self.tasks {
            // The task bounds its sending by the deadline; a panic has been told already.
            let _ended = task.await;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    queue: usize,
    batch: usize,
    delay: Duration,
    timeout: Duration,
}

impl Limits {
    fn of(processor: &SpanProcessorConfig) -> Self {
        match &processor.batch {
            Some(batch) => Self {
                queue: batch.max_queue_size,
                batch: batch.max_export_batch_size,
                delay: Duration::from_millis(batch.schedule_delay),
                timeout: Duration::from_millis(batch.export_timeout),
            },
            None => Self { queue: SIMPLE_QUEUE_SPANS_MAX, batch: 1, delay: Duration::ZERO, timeout: SIMPLE_TIMEOUT },
        }
    }
}

struct Work {
    limits: Limits,
    sender: Sender,
    resource: Arc<Resource>,
    failures: Counter,
    dropped: Counter,
}

impl Work {
    async fn run(self, mut spans: mpsc::Receiver<Span>, mut stop: watch::Receiver<Option<Deadline>>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                more = self.gather(&mut spans, &mut batch) => if !more { break },
                _ = stop.changed() => break,
            }
            self.export(&mut batch, self.limits.timeout, &stop).await;
        }
        loop {
            while batch.len() < self.limits.batch
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                break;
            }
            let left = (*stop.borrow()).map_or(Duration::ZERO, Deadline::remaining);
            self.export(&mut batch, self.limits.timeout.min(left), &stop).await;
        }
        self.sender.close().await;
    }

    /// Fills the batch, or waits for as long as it may. What it took is in `batch` even when it is cancelled. `false` when no
    /// span can come any more.
    async fn gather(&self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> bool {
        let Some(first) = spans.recv().await else { return false };
        batch.push(first);
        let until = tokio::time::Instant::now() + self.limits.delay;
        while batch.len() < self.limits.batch {
            match tokio::time::timeout_at(until, spans.recv()).await {
                Ok(Some(span)) => batch.push(span),
                Ok(None) | Err(_) => break,
            }
        }
        true
    }

    async fn export(&self, batch: &mut Vec<Span>, time: Duration, stop: &watch::Receiver<Option<Deadline>>) {
        let payload = encode(batch, &self.resource);
        let sent = tokio::select! {
            sent = self.sender.send(&payload, time) => sent,
            () = over(stop.clone()) => Err("the time to shut down in is over".to_owned()),
        };
        if let Err(error) = sent {
            self.failures.add(1);
            self.dropped.add(batch.len() as u64);
            tracing::warn!(error, lost_spans = batch.len(), "cannot send own spans");
        }
        batch.clear();
    }
}

fn encode(spans: &[Span], resource: &Resource) -> Payload {
    let mut builder = PayloadBuilder::traces();
    builder.resource(
        &resource.schema_url,
        |writer| attributes(writer, resource),
        |scopes| {
            scopes.scope(
                resource.scope_name(),
                resource.scope_version(),
                |_| {},
                |items| {
                    for span in spans {
                        let (status_code, status_message) = match &span.error {
                            Some((message, _)) => (STATUS_ERROR, message.as_str()),
                            None => (0, ""),
                        };
                        let fields = SpanFields {
                            trace_id: span.context.trace_id,
                            span_id: span.context.span_id,
                            parent_span_id: span.parent_span_id,
                            name: &span.name,
                            kind: span.kind,
                            start_time_unix_nano: span.begin,
                            end_time_unix_nano: span.end,
                            flags: 1,
                            status_code,
                            status_message,
                            ..SpanFields::default()
                        };
                        items.span(&fields, |writer| {
                            let mut attributes = writer.attributes();
                            for (name, value) in &*span.attributes {
                                attributes.str(name, value);
                            }
                            let outcome = match &span.error {
                                None => "success",
                                Some((_, true)) => "refused",
                                Some((_, false)) => "failure",
                            };
                            attributes.str("outcome", outcome).i64("items", span.items.cast_signed());
                            attributes.i64("bytes", i64::try_from(span.bytes).unwrap_or(i64::MAX));
                            if span.rejected_items > 0 {
                                attributes.i64("items.rejected", span.rejected_items.cast_signed());
                            }
                        });
                    }
                },
            );
        },
    );
    builder.finish(None)
}

impl Tracer {
    /// The context of a new span below `parent`, and its parent's ID. `is_first` says that the parent, if any, is a sender's.
    fn begin(&self, parent: Option<TraceContext>, is_first: bool) -> (TraceContext, [u8; 8]) {
        let parent = parent.filter(|_| !is_first || self.propagates);
        let trace_id = parent.map_or_else(new_trace_id, |parent| parent.trace_id);
        let said = parent.map(|parent| parent.sampled);
        let sampled = match (&self.sampler, said) {
            // Inside, everything follows what was decided at the beginning.
            (_, Some(sampled)) if !is_first => sampled,
            // Traces that others began go on: they would be torn apart.
            (_, None) if self.pressure.step() >= Step::Trim => false,
            (Some(sampler), said) => sampler.decide(trace_id, said),
            (None, said) => said.unwrap_or(true),
        };
        let context = TraceContext { trace_id, span_id: random().max(1).to_be_bytes(), sampled };
        (context, parent.map_or([0; 8], |parent| parent.span_id))
    }

    fn end(&self, span: &Span) {
        for queue in &self.queues {
            if queue.try_send(span.clone()).is_err() {
                self.dropped.add(1);
            }
        }
    }
}

fn new_trace_id() -> [u8; 16] {
    (u128::from(random()) << 64 | u128::from(random().max(1))).to_be_bytes()
}

/// Makes a span of every batch on its way to `next`.
pub struct Traced {
    slot: Arc<SpanSlot>,
    name: Arc<str>,
    attributes: Arc<[(&'static str, String)]>,
    is_first: bool,
    next: Arc<dyn Consumer>,
}

impl std::fmt::Debug for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traced").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Traced {
    /// One in front of `next`. The name of the spans is `kind/id`; `is_first` says that batches come from outside.
    #[must_use]
    pub fn before(
        slot: &Arc<SpanSlot>,
        kind: &str,
        id: &str,
        signal: Signal,
        is_first: bool,
        next: Arc<dyn Consumer>,
    ) -> Arc<dyn Consumer> {
        let key = if kind == "pipeline" { "otelcol.pipeline.id" } else { "otelcol.component.id" };
        let attributes =
            [(key, id.to_owned()), ("otelcol.component.kind", kind.to_owned()), ("otelcol.signal", signal.to_string())];
        let attributes = attributes.into_iter().filter(|(_, value)| value != "pipeline").collect();
        let name = if kind == "pipeline" { format!("{kind}/{id}") } else { format!("{kind}/{id}/{signal}") };
        Arc::new(Self { slot: Arc::clone(slot), name: name.into(), attributes, is_first, next })
    }
}

impl Consumer for Traced {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let Some(tracer) = self.slot.get() else { return self.next.consume(batch).await };
            let original = Arc::clone(batch.context());
            let (context, parent_span_id) = tracer.begin(original.trace, self.is_first);
            batch.set_context(Arc::new(Context { trace: Some(context), ..Context::clone(&original) }));
            let (begin, items, bytes) = (unix_nano(SystemTime::now()), batch.items(), batch.encoded_len());
            let answer = self.next.consume(batch).await.map_err(|error| hand_back(error, &original));
            if context.sampled {
                let from_outside = self.is_first && !original.transport.is_empty();
                tracer.end(&Span {
                    context,
                    parent_span_id,
                    name: Arc::clone(&self.name),
                    kind: if from_outside { KIND_SERVER } else { KIND_INTERNAL },
                    attributes: Arc::clone(&self.attributes),
                    begin,
                    end: unix_nano(SystemTime::now()),
                    items,
                    bytes,
                    rejected_items: answer.as_ref().map_or(0, |accepted: &Accepted| accepted.rejected_items),
                    error: answer.as_ref().err().map(|error| (error.to_string(), error.is_retryable())),
                });
            }
            answer
        })
    }
}

/// A batch that comes back has its own context again.
fn hand_back(mut error: DeliveryError, original: &Arc<Context>) -> DeliveryError {
    match error.take_undelivered() {
        Some(mut batch) => {
            batch.set_context(Arc::clone(original));
            error.with_undelivered(batch)
        }
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use component::pressure::Reading;
    use component::{Level, Registry};

    use super::*;

    #[test]
    fn from_the_step_trim_on_no_traces_are_begun_and_those_of_senders_go_on() {
        let registry = Registry::new(Level::Basic);
        let tracer = Tracer {
            sampler: None,
            propagates: true,
            queues: Vec::new(),
            dropped: registry.counter(DROPPED_SPANS, Vec::new()),
            stop: watch::channel(None).0,
            pressure: Arc::clone(registry.pressure()),
        };
        let sent = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
        let begun = |parent, is_first| tracer.begin(parent, is_first).0.sampled;
        assert_eq!([begun(None, true), begun(Some(sent), true), begun(Some(sent), false)], [true; 3]);
        let sensor = registry.pressure().sense();
        sensor.set(&Reading { step: Step::Trim, ..Reading::default() });
        assert_eq!([begun(None, true), begun(Some(sent), true), begun(Some(sent), false)], [false, true, true]);
    }
}
