//! The processor in front of a sink.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use component::Consumer;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use pdata::Signal;
use processor_transform::factory;
use prost::Message;
use testkit::{Sink, Subject, World, items};

async fn through(yaml: &str, signal: Signal, count: u64) -> Result<(Vec<u8>, World), String> {
    let (world, sink) = (World::new(), Sink::accepting());
    let built = Subject::new(factory()).with_config(yaml).with_signal(signal).build(&world, sink.clone())?;
    let batch = world.open(items::batch(signal, 0, count));
    let answer = built.consumer.unwrap().consume(batch).await;
    if let Err(mut error) = answer {
        error.take_undelivered().unwrap().settle(pdata::Outcome::Refused);
        world.check_settled().unwrap();
        return Err(error.to_string());
    }
    world.check_settled().unwrap();
    let bytes = sink.received().iter().flat_map(|received| received.payload.to_bytes().to_vec()).collect();
    Ok((bytes, world))
}

async fn logs(yaml: &str, count: u64) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(&*through(yaml, Signal::Logs, count).await.unwrap().0).unwrap()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let yaml = "
trace_statements: ['set(span.attributes[\"a\"], 1)']
metric_statements: ['set(datapoint.attributes[\"a\"], 1)']
log_statements: ['set(log.attributes[\"a\"], 1)']
";
    for signal in Signal::ALL {
        let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
        testkit::suite::contract(&subject).await.unwrap();
    }
    let flat = Subject::new(factory()).with_config("{flatten_data: true}").with_signal(Signal::Logs);
    testkit::suite::contract(&flat).await.unwrap();
}

#[tokio::test]
async fn groups_run_one_after_another_and_statements_record_by_record() {
    let yaml = r#"
log_statements:
  - context: log
    statements:
      - set(log.cache["seen"], body)
      - set(attributes["first"], log.cache["seen"]) where attributes["first"] == nil
      - set(resource.attributes["last"], body)
  - context: resource
    conditions: ['attributes["last"] == "log-2"', 'attributes["never"] != nil']
    statements: ['set(attributes["all"], "seen")']
  - conditions: ['log.body == "log-1"']
    statements: ['set(log.severity_text, "chosen")']
"#;
    let request = logs(yaml, 3).await;
    let group = &request.resource_logs[0];
    let keys: Vec<_> = group.resource.as_ref().unwrap().attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "last", "all"]);
    let texts: Vec<_> = group.scope_logs[0].log_records.iter().map(|record| record.severity_text.as_str()).collect();
    assert_eq!(texts, ["INFO", "chosen", "INFO"]);
}

#[tokio::test]
async fn flattened_records_have_resources_of_their_own() {
    let statement = "['set(resource.attributes[\"odd\"], log.body) where log.body == \"log-1\"']";
    let shared = logs(&format!("log_statements: {statement}"), 3).await;
    assert_eq!(shared.resource_logs.len(), 1);
    let apart = logs(&format!("{{flatten_data: true, log_statements: {statement}}}"), 3).await;
    let sizes: Vec<_> = apart.resource_logs.iter().map(|group| group.scope_logs[0].log_records.len()).collect();
    assert_eq!(sizes, [2, 1], "equal resources are together again");
}

#[tokio::test]
async fn failures_follow_the_error_mode() {
    let failing = "set(span.attributes[\"a\"], 1 / (span.kind - 2))";
    let of = |mode: &str| {
        format!("{{error_mode: {mode}, trace_statements: ['{failing}', 'set(span.attributes[\"b\"], true)']}}")
    };
    for mode in ["ignore", "silent"] {
        let (bytes, world) = through(&of(mode), Signal::Traces, 2).await.unwrap();
        let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[1];
        assert!(span.attributes.iter().any(|pair| pair.key == "b"), "the next statement follows");
        let failures =
            world.registry.read().into_iter().find(|reading| reading.metric.name == "weir_statement_failures");
        let series = failures.unwrap().series;
        assert!(
            series.iter().any(|(labels, value)| {
                let statement = ("statement".to_owned(), "trace_statements[0]".to_owned());
                labels.contains(&statement) && *value == component::telemetry::Value::Number(2.0)
            }),
            "{series:?}"
        );
        assert_eq!(series.len(), 1, "what does not fail has no series: {series:?}");
    }
    let error = through(&of("propagate"), Signal::Traces, 2).await.unwrap_err();
    assert!(error.contains("1 / (span.kind - 2))` failed"), "{error}");
}
