//! The processor on whole batches: which items it works on, which of their attributes, and on whose behalf.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;

use component::factory::Create;
use component::{BuildError, ComponentId, Consumer, Kind, Process, Processor, Row};
use config::{Errors, Limits, Source};
use pdata::build::{
    ExponentialHistogramFields, HistogramFields, MetricFields, NumberFields, PayloadBuilder, SpanFields, SummaryFields,
    Temporality,
};
use pdata::view::ValueView;
use pdata::{Batch, Context, Metadata, Payload, Signal};
use processor_attributes::factory;
use testkit::{Answer, Sink, Subject, World, items};

const CONFIG: &str = "actions: [{key: item, action: convert, converted_type: string}]";

fn create(world: &World, signal: Signal, yaml: &str) -> Result<Arc<dyn Process>, BuildError> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "processors::attributes", &mut errors);
    assert!(!errors.has_errors(), "{errors}");
    let settings = world.settings(Kind::Processor, &ComponentId::new("attributes"));
    let Create::Processor(create) = factory.create() else { panic!() };
    match create(settings, &config, signal, world.edge(Sink::accepting()))? {
        Processor::Sync(process) => Ok(process),
        Processor::Stateful(_) => panic!(),
    }
}

fn processed(yaml: &str, payload: Payload, context: Context) -> Payload {
    let process = create(&World::new(), payload.signal(), yaml).unwrap();
    assert!(process.mutates());
    let batch = process.process(Batch::new(payload, Arc::new(context))).unwrap().unwrap();
    let payload = batch.payload().clone();
    assert_eq!(
        pdata::validate::check(payload.signal(), &payload.to_bytes()).map(u64::from),
        Ok(payload.items()),
        "what leaves is valid"
    );
    payload
}

/// The attributes of each item: `a=1 b=x`.
fn attributes(payload: &Payload) -> Vec<String> {
    let mut shown = Vec::new();
    payload.for_each_item(|item| {
        let pairs = item.view.attributes().iter().map(|pair| match pair.value() {
            ValueView::Str(text) => format!("{}={text}", pair.key()),
            ValueView::I64(number) => format!("{}={number}", pair.key()),
            value => format!("{}={value:?}", pair.key()),
        });
        shown.push(pairs.collect::<Vec<_>>().join(" "));
    });
    shown
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        let subject = Subject::new(factory()).with_config(CONFIG).with_signal(signal);
        testkit::suite::contract(&subject.with_invalid_default("missing required field \"actions\"")).await.unwrap();
    }
}

#[test]
fn items_of_every_signal_are_changed() {
    for (signal, before) in [
        (Signal::Traces, ["item=0 http.request.method=GET", "item=1 http.request.method=GET"]),
        (Signal::Logs, ["item=0", "item=1"]),
        (Signal::Metrics, ["item=0", "item=1"]),
    ] {
        assert_eq!(attributes(&items::payload(signal, 0, 2)), before);
        let yaml = "actions: [{key: item, action: upsert, value: x}, {key: http.request.method, action: delete}]";
        let after = processed(yaml, items::payload(signal, 0, 2), Context::default());
        assert_eq!(attributes(&after), ["item=x", "item=x"], "{signal}");
    }
}

#[test]
fn points_of_every_kind_of_metric_are_changed() {
    let mut builder = PayloadBuilder::metrics();
    builder.bare(|metrics| {
        let fields = MetricFields::default();
        metrics.gauge(&fields, |points| {
            points.point(&NumberFields::default(), |to| _ = to.attributes().i64("a", 1));
        });
        metrics.sum(&fields, Temporality::Delta, true, |points| {
            points.point(&NumberFields::default(), |to| _ = to.attributes().i64("a", 2));
            points.point(&NumberFields::default(), |to| _ = to.attributes().i64("a", 3));
        });
        metrics.histogram(&fields, Temporality::Delta, |points| {
            points.point(&HistogramFields::default(), |to| _ = to.attributes().i64("a", 4));
        });
        metrics.exponential_histogram(&fields, Temporality::Delta, |points| {
            points.point(&ExponentialHistogramFields::default(), |to| _ = to.attributes().i64("a", 5));
        });
        metrics.summary(&fields, |points| {
            points.point(&SummaryFields::default(), |to| _ = to.attributes().i64("a", 6));
        });
    });
    let yaml = "actions: [{key: b, action: insert, from_attribute: a}, {key: a, action: delete}]";
    let after = processed(yaml, builder.finish(None), Context::default());
    assert_eq!(attributes(&after), ["b=1", "b=2", "b=3", "b=4", "b=5", "b=6"]);
}

#[test]
fn events_links_scopes_and_resources_are_left_alone() {
    let mut builder = PayloadBuilder::traces();
    builder.resource(
        "",
        |to| _ = to.str("a", "resource"),
        |scopes| {
            scopes.scope(
                "",
                "",
                |to| _ = to.str("a", "scope"),
                |spans| {
                    spans.span(&SpanFields::default(), |span| {
                        span.attributes().str("a", "span");
                        span.event(1, "", |to| _ = to.str("a", "event"));
                        span.link(&Default::default(), |to| _ = to.str("a", "link"));
                    });
                },
            );
        },
    );
    let after = processed("actions: [{key: a, action: delete}]", builder.finish(None), Context::default());
    let bytes = after.to_bytes();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for (place, kept) in [("resource", true), ("scope", true), ("span", false), ("event", true), ("link", true)] {
        assert_eq!(has(place), kept, "{place}");
    }
}

#[test]
fn only_items_that_are_chosen_are_changed() {
    for (signal, matching) in [
        (Signal::Traces, "{match_type: regexp, span_names: ['-[02]$']}"),
        (Signal::Logs, "{match_type: regexp, log_bodies: ['-[02]$']}"),
        (Signal::Traces, "{match_type: regexp, attributes: [{key: item, value: '[02]'}]}"),
    ] {
        let first = |yaml: String| -> Vec<String> {
            let after = processed(&yaml, items::payload(signal, 0, 4), Context::default());
            attributes(&after).iter().map(|text| text.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        let actions = "actions: [{key: item, action: update, value: x}]";
        assert_eq!(first(format!("{{include: {matching}, {actions}}}")), ["item=x", "item=1", "item=x", "item=3"]);
        assert_eq!(first(format!("{{exclude: {matching}, {actions}}}")), ["item=0", "item=x", "item=2", "item=x"]);
    }
    // Two metrics of four points each.
    let yaml = "{include: {match_type: strict, metric_names: [metric-4]}, actions: [{key: item, action: delete}]}";
    let after = processed(yaml, items::payload(Signal::Metrics, 0, 8), Context::default());
    assert_eq!(attributes(&after), ["item=0", "item=1", "item=2", "item=3", "", "", "", ""]);
}

#[test]
fn what_nothing_changes_leaves_as_the_bytes_it_came_in() {
    let before = items::payload(Signal::Traces, 0, 3);
    let yaml = "{exclude: {match_type: strict, services: [testkit]}, actions: [{key: item, action: delete}]}";
    for yaml in [yaml, "actions: [{key: none, action: delete}, {key: item, action: insert, value: 1}]"] {
        let after = processed(yaml, before.clone(), Context::default());
        assert_eq!(after.segments()[0].bytes().as_ptr(), before.segments()[0].bytes().as_ptr(), "{yaml}");
    }
}

#[test]
fn values_are_taken_from_the_request_of_each_batch() {
    let yaml = "actions: [{key: item, action: upsert, from_context: metadata.x-tenant, default_value: nobody}]";
    let from = |tenants: &[&str]| Context {
        metadata: Metadata::new(tenants.iter().map(|tenant| ("X-Tenant", *tenant))),
        ..Context::default()
    };
    let after = |context| attributes(&processed(yaml, items::payload(Signal::Logs, 0, 2), context));
    assert_eq!(after(from(&["a", "b"])), ["item=a;b", "item=a;b"]);
    assert_eq!(after(from(&["c"])), ["item=c", "item=c"]);
    assert_eq!(after(from(&[])), ["item=nobody", "item=nobody"]);
}

#[tokio::test]
async fn a_batch_that_comes_back_is_as_it_came_so_that_a_retry_does_not_hash_a_hash() {
    let world = World::new();
    let sink = Sink::scripted([Answer::Retryable], Answer::Accept);
    let process = create(&world, Signal::Traces, "actions: [{key: http.request.method, action: hash}]").unwrap();
    let row = Row::new(vec![Arc::clone(&process), process], world.edge(sink.clone()));
    let mut error = row.consume(world.open(items::spans(1))).await.unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!(attributes(back.payload()), ["item=0 http.request.method=GET"]);
    row.consume(back).await.unwrap();
    // The SHA-256 of the SHA-256 of `GET`: two processors.
    let hashed = "http.request.method=0958266263b4f7a76628f951e44d0e0a229fd22b93dc5c596023a46dddcf04c7";
    let arrived: Vec<String> = sink.received().iter().map(|batch| attributes(&batch.payload)[0].clone()).collect();
    assert_eq!(arrived.last().unwrap(), &format!("item=0 {hashed}"));
}

#[test]
fn properties_of_another_signal_are_refused_by_their_place() {
    let yaml = "{include: {match_type: strict, services: [a]}, actions: [{key: a, action: delete}]}";
    let refused = |signal| create(&World::new(), signal, yaml).map(|_| ()).unwrap_err();
    let error = refused(Signal::Logs);
    assert_eq!(error.path, "include::services");
    assert_eq!(error.message, "services, span_names, and span_kinds are not valid for log records");
    assert_eq!(refused(Signal::Metrics).message, "services should not be specified for metrics");
    assert!(create(&World::new(), Signal::Traces, yaml).is_ok());
}
