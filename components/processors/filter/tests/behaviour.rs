//! The processor in front of a sink: what is dropped, and what the books say.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use component::Consumer;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use pdata::{Outcome, Signal};
use processor_filter::factory;
use prost::Message;
use testkit::{Sink, Subject, World, items};

/// The numbers of the items that are left of `count`; the message when the batch is refused.
async fn left(yaml: &str, signal: Signal, count: u64) -> Result<Vec<u64>, String> {
    let (world, sink) = (World::new(), Sink::accepting());
    let built = Subject::new(factory()).with_config(yaml).with_signal(signal).build(&world, sink.clone())?;
    let batch = world.open(items::batch(signal, 0, count));
    if let Err(mut error) = built.consumer.unwrap().consume(batch).await {
        error.take_undelivered().unwrap().settle(Outcome::Refused);
        world.check_settled().unwrap();
        return Err(error.to_string());
    }
    world.check_settled().unwrap();
    let (numbers, totals) = (sink.numbers().concat(), world.totals(signal));
    let dropped = totals.dropped.get("filtered").copied().unwrap_or_default();
    assert_eq!((totals.delivered, dropped), (numbers.len() as u64, count - numbers.len() as u64));
    let metric = match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "datapoints",
        Signal::Logs => "logs",
    };
    let counted = world.metric(&format!("otelcol_processor_filter_{metric}_filtered")).unwrap_or_default();
    assert!((counted - dropped as f64).abs() < 0.5, "{counted} is not {dropped}");
    Ok(numbers)
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        let yaml = "{trace_conditions: ['span.name == \"x\"'], logs: {log_record: ['body == 1']}, metrics: {metric: ['name == \"x\"']}}";
        let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
        testkit::suite::contract(&subject).await.unwrap();
    }
}

#[tokio::test]
async fn any_condition_of_any_form_drops() {
    let cases: [(Signal, &str, &[u64]); 17] = [
        (Signal::Traces, "{trace_conditions: ['span.name == \"span-1\"', 'span.attributes[\"item\"] == 3']}", &[0, 2]),
        (Signal::Traces, "{trace_conditions: [{context: span, conditions: ['name == \"span-1\"']}]}", &[0, 2, 3]),
        (Signal::Traces, "{trace_conditions: ['resource.attributes[\"service.name\"] == \"testkit\"']}", &[]),
        (Signal::Traces, "{trace_conditions: ['scope.name == \"testkit\"']}", &[]),
        (Signal::Traces, "{traces: {span: ['name == \"span-0\"', 'kind == 3']}}", &[1, 2, 3]),
        (Signal::Traces, "{traces: {resource: ['attributes[\"service.name\"] != \"testkit\"']}}", &[0, 1, 2, 3]),
        (Signal::Traces, "{traces: {spanevent: ['true']}}", &[0, 1, 2, 3]),
        (Signal::Traces, "{traces: {span: ['IsRootSpan()']}}", &[]),
        (Signal::Traces, "{spans: {exclude: {match_type: regexp, span_names: ['[13]$']}}}", &[0, 2]),
        (
            Signal::Logs,
            "{log_conditions: ['log.severity_number >= SEVERITY_NUMBER_ERROR', 'log.body == \"log-2\"']}",
            &[0, 1, 3],
        ),
        (Signal::Logs, "{logs: {log_record: ['IsMatch(body, \"[01]\")']}}", &[2, 3]),
        (Signal::Logs, "{logs: {include: {match_type: strict, bodies: [log-3]}}}", &[3]),
        (Signal::Logs, "{logs: {include: {match_type: strict, severity_number: {min: WARN}}}}", &[]),
        (Signal::Metrics, "{metric_conditions: ['datapoint.attributes[\"item\"] == 2']}", &[0, 1, 3]),
        (Signal::Metrics, "{metrics: {metric: ['name == \"metric-0\"']}}", &[]),
        (
            Signal::Metrics,
            "{metrics: {datapoint: ['value_int > 1'], metric: ['type == METRIC_DATA_TYPE_SUM']}}",
            &[0, 1],
        ),
        (Signal::Metrics, "{metrics: {include: {match_type: strict, metric_names: [other]}}}", &[]),
    ];
    for (signal, yaml, expected) in cases {
        assert_eq!(left(yaml, signal, 4).await.unwrap(), expected, "{yaml}");
    }
}

#[tokio::test]
async fn functions_about_data_points() {
    for (condition, is_kept) in [
        ("HasAttrKeyOnDatapoint(\"item\")", false),
        ("HasAttrKeyOnDatapoint(\"other\")", true),
        ("HasAttrOnDatapoint(\"item\", \"x\")", true),
        ("HasAttrOnDatapoint(\"item\", \"\")", false),
    ] {
        let yaml = format!("{{metrics: {{metric: ['{condition}']}}}}");
        assert_eq!(left(&yaml, Signal::Metrics, 2).await.unwrap().is_empty(), !is_kept, "{condition}");
    }
}

#[tokio::test]
async fn a_metric_goes_with_its_last_point() {
    let (world, sink) = (World::new(), Sink::accepting());
    let yaml = "{metrics: {datapoint: ['metric.name == \"metric-0\"']}}";
    let built =
        Subject::new(factory()).with_config(yaml).with_signal(Signal::Metrics).build(&world, sink.clone()).unwrap();
    built.consumer.unwrap().consume(world.open(items::batch(Signal::Metrics, 0, 200))).await.unwrap();
    let bytes = sink.received()[0].payload.to_bytes();
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    assert!(!metrics.is_empty() && metrics.iter().all(|metric| metric.name != "metric-0"));
}

#[tokio::test]
async fn failures_follow_the_error_mode() {
    let failing = "1 / (span.kind - 2) == 1";
    for mode in ["ignore", "silent"] {
        let yaml = format!("{{error_mode: {mode}, trace_conditions: ['{failing}', 'span.name == \"span-0\"']}}");
        assert_eq!(left(&yaml, Signal::Traces, 2).await.unwrap(), [1]);
    }
    let yaml = format!("{{trace_conditions: [{{error_mode: propagate, conditions: ['{failing}']}}]}}");
    let error = left(&yaml, Signal::Traces, 2).await.unwrap_err();
    assert!(error.contains("(span.kind - 2) == 1` failed"), "{error}");
}
