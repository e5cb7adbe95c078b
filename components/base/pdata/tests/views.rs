//! Every accessor of every view held against the reference implementation: a request is read through views into the
//! reference types and must be what those decode to.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::view::{
    AttributesView, BucketsView, DataPointView, ExemplarView, ItemView, LogRecordView, MetricKind, MetricView, Number,
    ResourceGroup, ResourceView, ScopeGroup, ScopeView, SpanView, ValueView,
};
use pdata::wire::Fields;
use pdata::{ByteAccount, Payload, Signal, Utf8Policy};
use proptest::prelude::*;
use testkit::otlp_arbitrary::{Request, config, request};
use testkit::otlp_scramble::{Liberties, scramble};

fn id<const N: usize>(id: Option<&[u8; N]>) -> Vec<u8> {
    id.map(|id| id.to_vec()).unwrap_or_default()
}

/// Views do not tell an absent submessage from an empty one; the field tells.
fn present(message: &[u8], number: u32) -> bool {
    Fields::new(message).any(|field| field.number == number)
}

fn any_value(view: ValueView<'_>) -> AnyValue {
    let value = match view {
        ValueView::Empty => None,
        ValueView::Str(text) => Some(Value::StringValue(text.into())),
        ValueView::Bool(flag) => Some(Value::BoolValue(flag)),
        ValueView::I64(number) => Some(Value::IntValue(number)),
        ValueView::F64(number) => Some(Value::DoubleValue(number)),
        ValueView::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        ValueView::Array(list) => Some(Value::ArrayValue(ArrayValue { values: list.iter().map(any_value).collect() })),
        ValueView::KvList(pairs) => Some(Value::KvlistValue(KeyValueList { values: attributes(pairs) })),
        ValueView::StrIndex(index) => Some(Value::StringValueStrindex(index)),
    };
    AnyValue { value }
}

fn attributes(view: AttributesView<'_>) -> Vec<KeyValue> {
    let pairs: Vec<KeyValue> = view
        .into_iter()
        .map(|pair| {
            assert_eq!(pair.key_bytes(), pair.key().as_bytes());
            KeyValue {
                key: pair.key().into(),
                value: pair.value_bytes().map(|_| any_value(pair.value())),
                key_strindex: pair.key_strindex(),
            }
        })
        .collect();
    assert_eq!((view.len(), view.is_empty()), (pairs.len(), pairs.is_empty()));
    for pair in &pairs {
        let first = pairs.iter().find(|other| other.key == pair.key).unwrap();
        let got = view.get(&pair.key).map(any_value);
        assert_eq!(got, Some(first.value.clone().unwrap_or_default()));
    }
    assert!(view.get("no such key").is_none());
    pairs
}

fn resource(view: ResourceView<'_>) -> Resource {
    let entity_refs = view.entity_refs().map(|entity| EntityRef {
        schema_url: entity.schema_url().into(),
        r#type: entity.r#type().into(),
        id_keys: entity.id_keys().map(String::from).collect(),
        description_keys: entity.description_keys().map(String::from).collect(),
    });
    Resource {
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        entity_refs: entity_refs.collect(),
    }
}

fn scope(view: ScopeView<'_>) -> InstrumentationScope {
    InstrumentationScope {
        name: view.name().into(),
        version: view.version().into(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
    }
}

fn span(view: SpanView<'_>) -> Span {
    let events = view.events().map(|event| Event {
        time_unix_nano: event.time_unix_nano(),
        name: event.name().into(),
        attributes: attributes(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count(),
    });
    let links = view.links().map(|link| Link {
        trace_id: id(link.trace_id()),
        span_id: id(link.span_id()),
        trace_state: link.trace_state().into(),
        attributes: attributes(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count(),
        flags: link.flags(),
    });
    let status = Status { message: view.status().message().into(), code: view.status().code() };
    Span {
        trace_id: id(view.trace_id()),
        span_id: id(view.span_id()),
        trace_state: view.trace_state().into(),
        parent_span_id: id(view.parent_span_id()),
        flags: view.flags(),
        name: view.name().into(),
        kind: view.kind(),
        start_time_unix_nano: view.start_time_unix_nano(),
        end_time_unix_nano: view.end_time_unix_nano(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        events: events.collect(),
        dropped_events_count: view.dropped_events_count(),
        links: links.collect(),
        dropped_links_count: view.dropped_links_count(),
        status: view.has_status().then_some(status),
    }
}

fn log_record(view: LogRecordView<'_>) -> LogRecord {
    LogRecord {
        time_unix_nano: view.time_unix_nano(),
        observed_time_unix_nano: view.observed_time_unix_nano(),
        severity_number: view.severity_number(),
        severity_text: view.severity_text().into(),
        body: view.body_bytes().map(|_| any_value(view.body())),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        flags: view.flags(),
        trace_id: id(view.trace_id()),
        span_id: id(view.span_id()),
        event_name: view.event_name().into(),
    }
}

fn exemplar(view: ExemplarView<'_>) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(view.filtered_attributes()),
        time_unix_nano: view.time_unix_nano(),
        span_id: id(view.span_id()),
        trace_id: id(view.trace_id()),
        value: view.value().map(|value| match value {
            Number::Double(value) => exemplar::Value::AsDouble(value),
            Number::Int(value) => exemplar::Value::AsInt(value),
        }),
    }
}

fn buckets(view: BucketsView<'_>) -> Buckets {
    Buckets { offset: view.offset(), bucket_counts: view.bucket_counts().collect() }
}

fn exemplars(point: DataPointView<'_>) -> Vec<Exemplar> {
    point.exemplars().map(exemplar).collect()
}

fn number_point(point: DataPointView<'_>) -> NumberDataPoint {
    let DataPointView::Number(view) = point else { unreachable!("{point:?}") };
    NumberDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        exemplars: exemplars(point),
        flags: point.flags(),
        value: view.value().map(|value| match value {
            Number::Double(value) => number_data_point::Value::AsDouble(value),
            Number::Int(value) => number_data_point::Value::AsInt(value),
        }),
    }
}

fn histogram_point(point: DataPointView<'_>) -> HistogramDataPoint {
    let DataPointView::Histogram(view) = point else { unreachable!("{point:?}") };
    HistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: view.count(),
        sum: view.sum(),
        bucket_counts: view.bucket_counts().collect(),
        explicit_bounds: view.explicit_bounds().collect(),
        exemplars: exemplars(point),
        flags: point.flags(),
        min: view.min(),
        max: view.max(),
    }
}

fn exponential_point(point: DataPointView<'_>) -> ExponentialHistogramDataPoint {
    let DataPointView::ExponentialHistogram(view) = point else { unreachable!("{point:?}") };
    ExponentialHistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: view.count(),
        sum: view.sum(),
        scale: view.scale(),
        zero_count: view.zero_count(),
        positive: view.positive().map(buckets),
        negative: view.negative().map(buckets),
        flags: point.flags(),
        exemplars: exemplars(point),
        min: view.min(),
        max: view.max(),
        zero_threshold: view.zero_threshold(),
    }
}

fn summary_point(point: DataPointView<'_>) -> SummaryDataPoint {
    let DataPointView::Summary(view) = point else { unreachable!("{point:?}") };
    let quantiles = view.quantile_values().map(|q| ValueAtQuantile { quantile: q.quantile(), value: q.value() });
    assert_eq!(exemplars(point), []);
    SummaryDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: view.count(),
        sum: view.sum(),
        quantile_values: quantiles.collect(),
        flags: point.flags(),
    }
}

fn metric(view: MetricView<'_>) -> Metric {
    let aggregation_temporality = view.temporality();
    let points = view.data_points();
    let data = view.kind().map(|kind| match kind {
        MetricKind::Gauge => Data::Gauge(Gauge { data_points: points.map(number_point).collect() }),
        MetricKind::Sum => Data::Sum(Sum {
            data_points: points.map(number_point).collect(),
            aggregation_temporality,
            is_monotonic: view.is_monotonic(),
        }),
        MetricKind::Histogram => {
            Data::Histogram(Histogram { data_points: points.map(histogram_point).collect(), aggregation_temporality })
        }
        MetricKind::ExponentialHistogram => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: points.map(exponential_point).collect(),
            aggregation_temporality,
        }),
        MetricKind::Summary => Data::Summary(Summary { data_points: points.map(summary_point).collect() }),
    });
    Metric {
        name: view.name().into(),
        description: view.description().into(),
        unit: view.unit().into(),
        metadata: attributes(view.metadata()),
        data,
    }
}

fn group_resource(group: ResourceGroup<'_>) -> Option<Resource> {
    present(group.as_bytes(), 1).then(|| resource(group.resource()))
}

fn group_scope(group: ScopeGroup<'_>) -> Option<InstrumentationScope> {
    present(group.as_bytes(), 1).then(|| scope(group.scope()))
}

fn through_views(payload: &Payload) -> Request {
    match payload.signal() {
        Signal::Traces => {
            let scope_spans = |group: ScopeGroup<'_>| ScopeSpans {
                scope: group_scope(group),
                spans: group.spans().map(span).collect(),
                schema_url: group.schema_url().into(),
            };
            let groups = payload.resources().map(|group| ResourceSpans {
                resource: group_resource(group),
                scope_spans: group.scopes().map(scope_spans).collect(),
                schema_url: group.schema_url().into(),
            });
            Request::Traces(ExportTraceServiceRequest { resource_spans: groups.collect() })
        }
        Signal::Metrics => {
            let scope_metrics = |group: ScopeGroup<'_>| ScopeMetrics {
                scope: group_scope(group),
                metrics: group.metrics().map(metric).collect(),
                schema_url: group.schema_url().into(),
            };
            let groups = payload.resources().map(|group| ResourceMetrics {
                resource: group_resource(group),
                scope_metrics: group.scopes().map(scope_metrics).collect(),
                schema_url: group.schema_url().into(),
            });
            Request::Metrics(ExportMetricsServiceRequest { resource_metrics: groups.collect() })
        }
        Signal::Logs => {
            let scope_logs = |group: ScopeGroup<'_>| ScopeLogs {
                scope: group_scope(group),
                log_records: group.log_records().map(log_record).collect(),
                schema_url: group.schema_url().into(),
            };
            let groups = payload.resources().map(|group| ResourceLogs {
                resource: group_resource(group),
                scope_logs: group.scopes().map(scope_logs).collect(),
                schema_url: group.schema_url().into(),
            });
            Request::Logs(ExportLogsServiceRequest { resource_logs: groups.collect() })
        }
    }
}

fn payload(signal: Signal, body: Vec<u8>) -> Payload {
    let charge = ByteAccount::unlimited().charge(body.len());
    Payload::from_body(signal, body, charge, Utf8Policy::Refuse).unwrap().0
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn views_read_what_the_reference_implementation_decodes(request in request(), seed: u64) {
        let plain = payload(request.signal(), request.encode());
        prop_assert_eq!(&through_views(&plain), &request);
        let scrambled = scramble(request.signal(), &request.encode(), Liberties::ALL, seed);
        prop_assert_eq!(&through_views(&payload(request.signal(), scrambled)), &request);
    }

    #[test]
    fn the_flat_way_and_the_index_find_the_same_items(request in request(), seed: u64) {
        let signal = request.signal();
        let payload = payload(signal, scramble(signal, &request.encode(), Liberties::ALL, seed));
        let mut flat = Vec::new();
        payload.for_each_item(|item| flat.push((item.resource.as_bytes(), item.scope.as_bytes(), item.view.as_bytes())));
        let mut nested = Vec::new();
        for resource in payload.resources() {
            for scope in resource.scopes() {
                let spans = scope.spans().map(SpanView::as_bytes);
                let records = scope.log_records().map(LogRecordView::as_bytes);
                let points = scope.metrics().flat_map(MetricView::data_points).map(DataPointView::as_bytes);
                nested.extend(spans.chain(records).chain(points).map(|item| (resource.as_bytes(), scope.as_bytes(), item)));
            }
        }
        prop_assert_eq!(&flat, &nested);
        prop_assert_eq!(flat.len() as u64, request.items());

        let segment = &payload.segments()[0];
        let index = segment.item_index(signal);
        let whole = |start: u32, end: u32| &segment.bytes()[start as usize..end as usize];
        let content = |bytes| pdata::wire::read_field(bytes, 0).map(|field| &bytes[field.value]).unwrap();
        let indexed: Vec<&[u8]> = index.items().iter().map(|item| content(whole(item.start, item.end))).collect();
        prop_assert_eq!(indexed, flat.iter().map(|(_, _, item)| *item).collect::<Vec<_>>());
        let mut items = 0;
        for (number, group) in payload.resources().enumerate() {
            let node = index.nodes(0)[number];
            prop_assert_eq!(whole(node.content, node.end), group.as_bytes());
            prop_assert_eq!(content(whole(node.start, node.end)), group.as_bytes());
            let scopes: Vec<&[u8]> = group.scopes().map(ScopeGroup::as_bytes).collect();
            let children = index.children(0, number);
            prop_assert_eq!(index.nodes(1)[children].iter().map(|n| whole(n.content, n.end)).collect::<Vec<_>>(), scopes);
            prop_assert_eq!(index.items_of(0, number).start, items);
            items = index.items_of(0, number).end;
        }
        prop_assert_eq!(u64::from(items), request.items());
        prop_assert_eq!(index.levels(), if signal == Signal::Metrics { 4 } else { 2 });
    }

    #[test]
    fn views_of_any_bytes_do_not_panic(bytes: Vec<u8>, number in 0..12_u32) {
        drop(span(SpanView::new(&bytes)));
        drop(log_record(LogRecordView::new(&bytes)));
        let kinds = [MetricKind::Gauge, MetricKind::Histogram, MetricKind::ExponentialHistogram, MetricKind::Summary];
        let points = kinds.map(|kind| DataPointView::new(kind, &bytes));
        drop((number_point(points[0]), histogram_point(points[1]), exponential_point(points[2]), summary_point(points[3])));
        prop_assert_eq!(MetricKind::from_field(number).is_none_or(|kind| kind.field() == number), true);
    }
}

#[test]
fn the_first_of_duplicate_keys_is_read() {
    let pair = |text: &str| KeyValue {
        key: "k".into(),
        value: Some(AnyValue { value: Some(Value::StringValue(text.into())) }),
        ..KeyValue::default()
    };
    let record = LogRecord { attributes: vec![pair("first"), pair("second")], ..LogRecord::default() };
    let logs = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![logs], ..ResourceLogs::default() }],
    };
    let payload = payload(Signal::Logs, Request::Logs(request).encode());
    let mut seen = 0;
    payload.for_each_item(|item| {
        seen += 1;
        assert!(matches!(item.view, ItemView::LogRecord(_)));
        assert_eq!(item.view.attributes().get("k").and_then(ValueView::as_str), Some("first"));
        assert_eq!(item.view.attributes().iter().count(), 2);
    });
    assert_eq!(seen, 1);
}
