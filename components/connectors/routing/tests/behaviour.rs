//! The connector in front of sinks, one for each pipeline.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use component::factory::Create;
use component::{ComponentId, ConnectorOutputs, Consumer, Kind, Stage};
use connector_routing::factory;
use pdata::{Context, Metadata, Outcome, Signal};
use testkit::{Answer, Sink, Subject, World, items};

struct Bench {
    world: World,
    sinks: BTreeMap<String, Arc<Sink>>,
    signal: Signal,
}

impl Bench {
    fn new(signal: Signal, names: &[&str]) -> Self {
        let sinks = names.iter().map(|name| (format!("{signal}/{name}"), Sink::accepting())).collect();
        Self { world: World::new(), sinks, signal }
    }

    fn connector(&self, yaml: &str) -> Result<Arc<dyn Stage>, String> {
        let factory = factory();
        let node = config::parse(&config::Source::new("test.yaml", yaml), &config::Limits::default()).unwrap();
        let mut errors = config::Errors::new();
        let config = factory.decode(&node, "connectors::routing", &mut errors);
        if errors.has_errors() {
            return Err(errors.to_string());
        }
        let Create::Connector(_, create) = factory.create() else { panic!("a connector") };
        let pipelines: BTreeMap<_, _> =
            self.sinks.iter().map(|(name, sink)| (name.clone(), self.world.edge(sink.clone()))).collect();
        let all = self.world.edge(Sink::accepting());
        let outputs = ConnectorOutputs { signal: self.signal, all, pipelines };
        let settings = self.world.settings(Kind::Connector, &ComponentId::with_name("routing", "test"));
        create(settings, &config, self.signal, outputs).map_err(|error| format!("{}: {}", error.path, error.message))
    }

    fn received(&self, name: &str) -> Vec<u64> {
        self.sinks[&format!("{}/{name}", self.signal)].numbers().concat()
    }
}

/// What each of the pipelines `a`, `b`, `c` gets of items 0 to 3, and what is dropped.
async fn routed(signal: Signal, yaml: &str, context: Context) -> ([Vec<u64>; 3], u64) {
    let bench = Bench::new(signal, &["a", "b", "c"]);
    let connector = bench.connector(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let mut batch = bench.world.open(items::batch(signal, 0, 4));
    batch.set_context(Arc::new(context));
    connector.consume(batch).await.unwrap();
    bench.world.check_settled().unwrap();
    let dropped = bench.world.totals(signal).dropped.get("no_route").copied().unwrap_or_default();
    (["a", "b", "c"].map(|name| bench.received(name)), dropped)
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        let yaml = format!(
            "{{default_pipelines: [{signal}/out], table: [{{condition: 'attributes[\"x\"] == 1', pipelines: [{signal}/out]}}]}}"
        );
        let subject = Subject::new(factory())
            .with_config(&yaml)
            .with_signal(signal)
            .with_invalid_default("the routing table is empty");
        testkit::suite::contract(&subject).await.unwrap();
    }
}

#[tokio::test]
async fn routes_take_what_they_match_and_leave_the_rest() {
    let cases: [(Signal, &str, [&[u64]; 3], u64); 9] = [
        (
            Signal::Traces,
            "{default_pipelines: [traces/c], table: [
                {context: span, condition: 'name == \"span-1\"', pipelines: [traces/a]},
                {condition: 'span.attributes[\"item\"] >= 1', pipelines: [traces/b]}]}",
            [&[1], &[2, 3], &[0]],
            0,
        ),
        (
            Signal::Traces,
            "{table: [{context: span, condition: 'name == \"span-1\"', action: copy, pipelines: [traces/a]},
                {context: span, condition: 'attributes[\"item\"] <= 1', pipelines: [traces/b, traces/c]}]}",
            [&[1], &[0, 1], &[0, 1]],
            2,
        ),
        (
            Signal::Logs,
            "{default_pipelines: [logs/b], table: [{condition: 'attributes[\"service.name\"] == \"testkit\"', pipelines: [logs/a]}]}",
            [&[0, 1, 2, 3], &[], &[]],
            0,
        ),
        (
            Signal::Logs,
            "{default_pipelines: [logs/b], table: [{statement: 'route() where IsMatch(log.body, \"[02]$\")', pipelines: [logs/a]}]}",
            [&[0, 2], &[1, 3], &[]],
            0,
        ),
        (
            Signal::Logs,
            "{default_pipelines: [logs/c], table: [{condition: 'true', action: copy, pipelines: [logs/a]},
                {condition: 'resource.attributes[\"service.name\"] != nil', action: copy, pipelines: [logs/b]}]}",
            [&[0, 1, 2, 3], &[0, 1, 2, 3], &[0, 1, 2, 3]],
            0,
        ),
        (
            Signal::Metrics,
            "{default_pipelines: [metrics/b], table: [{context: metric, condition: 'name == \"metric-0\"', pipelines: [metrics/a]}]}",
            [&[0, 1, 2, 3], &[], &[]],
            0,
        ),
        (
            Signal::Metrics,
            "{table: [{context: datapoint, condition: 'value_int > 1', pipelines: [metrics/a]}]}",
            [&[2, 3], &[], &[]],
            2,
        ),
        (
            Signal::Logs,
            "{default_pipelines: [logs/b], table: [{condition: '1 / (log.severity_number - 9) == 1', pipelines: [logs/a]}]}",
            [&[], &[0, 1, 2, 3], &[]],
            0,
        ),
        (
            Signal::Logs,
            "{default_pipelines: [logs/b], table: [{context: log, condition: 'body == \"log-0\"', pipelines: [logs/a]},
                {context: log, condition: 'body == \"log-0\"', pipelines: [logs/c]}]}",
            [&[0], &[1, 2, 3], &[]],
            0,
        ),
    ];
    for (signal, yaml, expected, dropped) in cases {
        let found = routed(signal, yaml, Context::default()).await;
        assert_eq!((found.0.each_ref().map(Vec::as_slice), found.1), (expected, dropped), "{yaml}");
    }
}

#[tokio::test]
async fn requests_are_told_apart_by_metadata() {
    let yaml = "{default_pipelines: [traces/c], table: [
        {context: request, condition: 'request[\"X-Tenant\"] == \"acme\"', pipelines: [traces/a]},
        {context: request, condition: 'request[\"x-tenant\"] != \"acme\"', pipelines: [traces/b]}]}";
    for (value, place) in [(Some("acme"), 0), (Some("other"), 1), (None, 2)] {
        let metadata = Metadata::new(value.map(|value| ("x-tenant", value)));
        let (found, _) = routed(Signal::Traces, yaml, Context { metadata, ..Context::default() }).await;
        assert_eq!(found[place].len(), 4, "{value:?}");
    }
}

#[tokio::test]
async fn a_statement_changes_what_it_routes() {
    let bench = Bench::new(Signal::Traces, &["a", "b"]);
    let yaml = "{default_pipelines: [traces/b], table: [{
        statement: 'delete_key(attributes, \"service.name\") where attributes[\"service.name\"] == \"testkit\"',
        pipelines: [traces/a]}]}";
    let connector = bench.connector(yaml).unwrap();
    connector.consume(bench.world.open(items::spans(2))).await.unwrap();
    let bytes = bench.sinks["traces/a"].received()[0].payload.to_bytes();
    assert!(!bytes.windows(12).any(|window| window == b"service.name"));
    // When that fails, what goes back is as it came, so that it is routed the same way again.
    bench.sinks["traces/a"].answer(Answer::Retryable);
    let batch = items::spans(2);
    let before = batch.payload().to_bytes();
    let mut error = connector.consume(bench.world.open(batch)).await.unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!(back.payload().to_bytes(), before);
    back.settle(Outcome::Refused);
    bench.world.check_settled().unwrap();
}

#[tokio::test]
async fn parts_that_fail_go_back_alone() {
    let bench = Bench::new(Signal::Logs, &["a", "b"]);
    let yaml =
        "{default_pipelines: [logs/b], table: [{context: log, condition: 'body == \"log-1\"', pipelines: [logs/a]}]}";
    let connector = bench.connector(yaml).unwrap();
    bench.sinks["logs/a"].answer(Answer::Retryable);
    let mut error = connector.consume(bench.world.open(items::logs(4))).await.unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!(items::numbers(back.payload()).unwrap(), [1]);
    bench.sinks["logs/a"].answer(Answer::Accept);
    connector.consume(back).await.unwrap();
    assert_eq!((bench.received("a"), bench.received("b")), (vec![1], vec![0, 2, 3]));
    bench.world.check_settled().unwrap();
}

#[test]
fn what_cannot_be_is_refused() {
    let bench = Bench::new(Signal::Traces, &["a"]);
    let refused = |yaml: &str| bench.connector(yaml).err().unwrap_or_else(|| panic!("{yaml} is taken"));
    for (yaml, message) in [
        ("{}", "the routing table is empty"),
        ("{table: [{pipelines: [traces/a]}]}", "no condition or statement provided"),
        ("{table: [{condition: 'true', statement: 'route()', pipelines: [traces/a]}]}", "both condition and statement"),
        ("{table: [{condition: 'true'}]}", "no pipelines defined"),
        ("{table: [{condition: 'true', pipelines: [traces/x]}]}", "pipeline not found: `traces/x`"),
        ("{table: [{condition: 'true', pipelines: [traces/a]}], default_pipelines: [traces/y]}", "`traces/y`"),
        ("{table: [{context: log, condition: 'true', pipelines: [traces/a]}]}", "have no context `log`"),
        ("{table: [{context: body, condition: 'true', pipelines: [traces/a]}]}", "invalid context: body"),
        ("{table: [{context: request, statement: 'route()', pipelines: [traces/a]}]}", "needs a `condition`"),
        (
            "{table: [{context: request, condition: 'request.x == 1', pipelines: [traces/a]}]}",
            "a condition on requests reads",
        ),
        ("{table: [{statement: 'set(attributes[\"a\"], 1)', pipelines: [traces/a]}]}", "`set` cannot be used to route"),
        ("{table: [{condition: 'attributes[', pipelines: [traces/a]}]}", "table"),
        ("{table: [{condition: 'true', action: drop, pipelines: [traces/a]}]}", "action"),
    ] {
        let error = refused(yaml);
        assert!(error.contains(message), "{yaml}: {error}");
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}
