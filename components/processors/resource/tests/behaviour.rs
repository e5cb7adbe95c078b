//! The processor on whole batches, and its configuration.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;

use component::factory::Create;
use component::{ComponentId, Kind, Process, Processor};
use config::{Errors, Limits, Source};
use pdata::build::{LogFields, PayloadBuilder};
use pdata::view::ValueView;
use pdata::{Batch, Context, Payload, Signal};
use processor_resource::config::ResourceConfig;
use processor_resource::factory;
use testkit::{Sink, Subject, World, items};

fn processor(signal: Signal, yaml: &str) -> Arc<dyn Process> {
    let (world, factory) = (World::new(), factory());
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "processors::resource", &mut errors);
    assert!(!errors.has_errors(), "{errors}");
    let settings = world.settings(Kind::Processor, &ComponentId::new("resource"));
    let Create::Processor(create) = factory.create() else { panic!() };
    match create(settings, &config, signal, world.edge(Sink::accepting())).unwrap() {
        Processor::Sync(process) => process,
        Processor::Stateful(_) => panic!(),
    }
}

/// The attributes of each resource behind the processor: `a=1 b=x`.
fn resources(yaml: &str, payload: Payload) -> Vec<String> {
    let signal = payload.signal();
    let batch = Batch::new(payload, Arc::new(Context::default()));
    let batch = processor(signal, yaml).process(batch).unwrap().unwrap();
    let payload = batch.payload();
    assert_eq!(
        pdata::validate::check(signal, &payload.to_bytes()).map(u64::from),
        Ok(payload.items()),
        "what leaves is valid"
    );
    let show = |value: ValueView<'_>| match value {
        ValueView::Str(text) => text.to_owned(),
        ValueView::I64(number) => number.to_string(),
        value => format!("{value:?}"),
    };
    let resource = |attributes: pdata::view::AttributesView<'_>| {
        attributes.iter().map(|pair| format!("{}={}", pair.key(), show(pair.value()))).collect::<Vec<_>>().join(" ")
    };
    payload.resources().map(|group| resource(group.resource().attributes())).collect()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        let yaml = "attributes: [{key: service.name, action: hash}, {key: a, action: upsert, value: 1}]";
        let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
        testkit::suite::contract(&subject.with_invalid_default("missing required field \"attributes\"")).await.unwrap();
    }
}

#[test]
fn resources_of_every_signal_are_changed_and_items_are_not() {
    let yaml = "attributes: [{key: item, action: delete}, {key: name, action: insert, from_attribute: service.name}, \
                {key: service.name, action: delete}, {key: zone, action: upsert, value: 7}]";
    for signal in Signal::ALL {
        assert_eq!(resources(yaml, items::payload(signal, 0, 3)), ["name=testkit zone=7"], "{signal}");
        let batch = processor(signal, yaml).process(items::batch(signal, 0, 3)).unwrap().unwrap();
        assert_eq!(items::numbers(batch.payload()).unwrap(), [0, 1, 2], "{signal}");
    }
}

/// Three groups: a resource with an attribute, one without, one that is absent.
fn three_groups() -> Payload {
    let mut builder = PayloadBuilder::logs();
    for zone in ["a", ""] {
        let attributes = |to: &mut pdata::build::AttributesWriter<'_>| {
            if !zone.is_empty() {
                to.str("zone", zone);
            }
        };
        builder.resource("", attributes, |scopes| {
            scopes.bare(|records| _ = records.record(&LogFields::default(), |_| {}));
        });
    }
    let mut bytes = builder.finish(None).to_bytes().to_vec();
    // A group with nothing but a scope with a record.
    let mut scope = Vec::new();
    pdata::wire::put_len(&mut scope, 2, &[]);
    let mut group = Vec::new();
    pdata::wire::put_len(&mut group, 2, &scope);
    pdata::wire::put_len(&mut bytes, 1, &group);
    let items = pdata::validate::check(Signal::Logs, &bytes).unwrap();
    Payload::from_segments(Signal::Logs, [pdata::Segment::trusted(bytes.into(), items)])
}

#[test]
fn a_resource_that_is_absent_gets_attributes() {
    let after = resources("attributes: [{key: k, action: insert, value: v}]", three_groups());
    assert_eq!(after, ["zone=a k=v", "k=v", "k=v"]);
    let after = resources("attributes: [{key: zone, action: update, value: v}]", three_groups());
    assert_eq!(after, ["zone=v", "", ""]);
}

#[test]
fn what_nothing_changes_leaves_as_the_bytes_it_came_in() {
    let before = three_groups();
    let process = processor(Signal::Logs, "attributes: [{key: none, action: delete}]");
    let batch = Batch::new(before.clone(), Arc::new(Context::default()));
    let after = process.process(batch).unwrap().unwrap();
    assert_eq!(after.payload().segments()[0].bytes().as_ptr(), before.segments()[0].bytes().as_ptr());
}

#[test]
fn errors_point_at_the_setting() {
    let yaml = "attributes:\n  - key: a\n    action: convert\n    converted_type: float\n";
    let errors = config::decode_str::<ResourceConfig>(yaml).unwrap_err();
    let expected = r#"error[E0120] attributes::0: error creating AttrProc due to invalid value "float" in field "converted_type" for action "convert" at the 0-th action
  test.yaml:4:21
    3 |     action: convert
    4 |     converted_type: float
      |                     ^^^^^
  more: weir explain E0120
"#;
    assert_eq!(errors.render_text(false), expected);
    let errors = config::decode_str::<ResourceConfig>("actions: []").unwrap_err().to_string();
    assert!(errors.contains("'' has invalid keys: actions"), "{errors}");
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}
