//! Random OTLP export requests as the types of the reference implementation, for property tests.
//!
//! Every field of every message occurs, defaults included; IDs have their proper size or are empty; numbers are never
//! NaN, so that values compare equal to themselves. Requests are small (a few hundred bytes to some KiB).
//! [`config`] gives the fixed seed that keeps property tests deterministic.

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
use pdata::Signal;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use prost::Message;

/// A proptest configuration with a fixed seed and no files of past failures.
#[must_use]
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x7e1e_3e72),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// An export request of any signal.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Metrics.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Request {
    /// Which signal.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Metrics(_) => Signal::Metrics,
            Self::Logs(_) => Signal::Logs,
        }
    }

    /// The serialized request, as the reference implementation writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Traces(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    /// Reads a serialized request by the reference implementation.
    ///
    /// # Errors
    /// That implementation's error when it refuses the bytes.
    pub fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(match signal {
            Signal::Traces => Self::Traces(ExportTraceServiceRequest::decode(bytes)?),
            Signal::Metrics => Self::Metrics(ExportMetricsServiceRequest::decode(bytes)?),
            Signal::Logs => Self::Logs(ExportLogsServiceRequest::decode(bytes)?),
        })
    }

    /// Spans, data points or log records in it.
    #[must_use]
    pub fn items(&self) -> u64 {
        let count = match self {
            Self::Traces(request) => {
                request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum::<usize>()
            }
            Self::Metrics(request) => {
                let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
                scopes.flat_map(|s| &s.metrics).map(points).sum()
            }
            Self::Logs(request) => {
                request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum()
            }
        };
        count as u64
    }
}

/// Data points of a metric.
#[must_use]
pub fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}

/// A request of any signal.
pub fn request() -> impl Strategy<Value = Request> {
    prop_oneof![request_of(Signal::Traces), request_of(Signal::Metrics), request_of(Signal::Logs)]
}

/// A request of `signal`.
pub fn request_of(signal: Signal) -> BoxedStrategy<Request> {
    match signal {
        Signal::Traces => vec(resource_spans(), 0..3)
            .prop_map(|resource_spans| Request::Traces(ExportTraceServiceRequest { resource_spans }))
            .boxed(),
        Signal::Metrics => vec(resource_metrics(), 0..3)
            .prop_map(|resource_metrics| Request::Metrics(ExportMetricsServiceRequest { resource_metrics }))
            .boxed(),
        Signal::Logs => vec(resource_logs(), 0..3)
            .prop_map(|resource_logs| Request::Logs(ExportLogsServiceRequest { resource_logs }))
            .boxed(),
    }
}

/// Text: empty, plain, beyond ASCII, and beyond 127 bytes.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        6 => "[a-z][a-z._]{0,12}",
        2 => "\\PC{1,8}",
        1 => "[a-zäö€]{60,180}",
    ]
}

/// Keys from a small set, so that they repeat within a list, and any other text.
pub fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(vec!["a", "b", "http.method", "service.name"]).prop_map(String::from), 1 => text()]
}

/// Any number but NaN.
pub fn double() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NORMAL, SUBNORMAL, ZERO};
    NORMAL | SUBNORMAL | ZERO | INFINITE
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..200_u64, any::<u64>()]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => any::<u32>()]
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => Just(Vec::new()), 4 => vec(any::<u8>(), len)]
}

/// A value, lists and maps nested up to three levels; sometimes none is set.
pub fn any_value() -> BoxedStrategy<AnyValue> {
    let scalar = prop_oneof![
        1 => Just(None),
        6 => text().prop_map(|text| Some(Value::StringValue(text))),
        2 => any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        3 => any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        2 => double().prop_map(|number| Some(Value::DoubleValue(number))),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        1 => any::<i32>().prop_map(|index| Some(Value::StringValueStrindex(index))),
    ];
    let scalar = scalar.prop_map(|value| AnyValue { value });
    let nested = scalar.prop_recursive(3, 12, 4, |inner| {
        let pair = (key(), prop::option::of(inner.clone()), small()).prop_map(|(key, value, index)| KeyValue {
            key,
            value,
            key_strindex: index.cast_signed(),
        });
        let value = prop_oneof![
            vec(inner, 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..4).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ];
        value.prop_map(|value| AnyValue { value: Some(value) })
    });
    nested.boxed()
}

/// An attribute, mostly a scalar as SDKs write it.
pub fn key_value() -> BoxedStrategy<KeyValue> {
    let plain = (key(), "[a-z0-9]{0,20}").prop_map(|(key, text)| KeyValue {
        key,
        value: Some(AnyValue { value: Some(Value::StringValue(text)) }),
        key_strindex: 0,
    });
    let number = (key(), any::<i64>()).prop_map(|(key, number)| KeyValue {
        key,
        value: Some(AnyValue { value: Some(Value::IntValue(number)) }),
        key_strindex: 0,
    });
    let other = (key(), prop::option::of(any_value()), small()).prop_map(|(key, value, index)| KeyValue {
        key,
        value,
        key_strindex: index.cast_signed(),
    });
    prop_oneof![2 => plain, 1 => number, 2 => other].boxed()
}

/// A list of attributes; keys may repeat.
pub fn attributes() -> BoxedStrategy<Vec<KeyValue>> {
    vec(key_value(), 0..5).boxed()
}

prop_compose! {
    fn entity_ref()(
        schema_url in text(), r#type in text(), id_keys in vec(text(), 0..3), description_keys in vec(text(), 0..3),
    ) -> EntityRef {
        EntityRef { schema_url, r#type, id_keys, description_keys }
    }
}

prop_compose! {
    /// A resource.
    pub fn resource()(
        attributes in attributes(), dropped_attributes_count in small(), entity_refs in vec(entity_ref(), 0..2),
    ) -> Resource {
        Resource { attributes, dropped_attributes_count, entity_refs }
    }
}

prop_compose! {
    /// An instrumentation scope.
    pub fn scope()(
        name in text(), version in text(), attributes in attributes(), dropped_attributes_count in small(),
    ) -> InstrumentationScope {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn event()(
        time_unix_nano in number(), name in text(), attributes in attributes(), dropped_attributes_count in small(),
    ) -> Event {
        Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn link()(
        trace_id in id(16), span_id in id(8), trace_state in text(), attributes in attributes(),
        dropped_attributes_count in small(), flags in small(),
    ) -> Link {
        Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    /// A span.
    pub fn span()(
        (trace_id, span_id, parent_span_id, trace_state) in (id(16), id(8), id(8), text()),
        (name, kind, flags) in (text(), -1..7_i32, small()),
        (start_time_unix_nano, end_time_unix_nano) in (number(), number()),
        (attributes, dropped_attributes_count) in (attributes(), small()),
        (events, dropped_events_count) in (vec(event(), 0..3), small()),
        (links, dropped_links_count) in (vec(link(), 0..3), small()),
        status in prop::option::of((text(), 0..4_i32).prop_map(|(message, code)| Status { message, code })),
    ) -> Span {
        Span {
            trace_id, span_id, parent_span_id, trace_state, name, kind, flags, start_time_unix_nano, end_time_unix_nano,
            attributes, dropped_attributes_count, events, dropped_events_count, links, dropped_links_count, status,
        }
    }
}

prop_compose! {
    fn scope_spans()(
        scope in prop::option::of(scope()), spans in vec(span(), 0..4), schema_url in text(),
    ) -> ScopeSpans {
        ScopeSpans { scope, spans, schema_url }
    }
}

prop_compose! {
    fn resource_spans()(
        resource in prop::option::of(resource()), scope_spans in vec(scope_spans(), 0..3), schema_url in text(),
    ) -> ResourceSpans {
        ResourceSpans { resource, scope_spans, schema_url }
    }
}

prop_compose! {
    /// A log record.
    pub fn log_record()(
        (time_unix_nano, observed_time_unix_nano) in (number(), number()),
        (severity_number, severity_text, event_name) in (-1..26_i32, text(), text()),
        body in prop::option::of(any_value()),
        (attributes, dropped_attributes_count) in (attributes(), small()),
        (flags, trace_id, span_id) in (small(), id(16), id(8)),
    ) -> LogRecord {
        LogRecord {
            time_unix_nano, observed_time_unix_nano, severity_number, severity_text, event_name, body, attributes,
            dropped_attributes_count, flags, trace_id, span_id,
        }
    }
}

prop_compose! {
    fn scope_logs()(
        scope in prop::option::of(scope()), log_records in vec(log_record(), 0..4), schema_url in text(),
    ) -> ScopeLogs {
        ScopeLogs { scope, log_records, schema_url }
    }
}

prop_compose! {
    fn resource_logs()(
        resource in prop::option::of(resource()), scope_logs in vec(scope_logs(), 0..3), schema_url in text(),
    ) -> ResourceLogs {
        ResourceLogs { resource, scope_logs, schema_url }
    }
}

prop_compose! {
    fn exemplar()(
        filtered_attributes in attributes(), time_unix_nano in number(), span_id in id(8), trace_id in id(16),
        value in prop::option::of(prop_oneof![
            double().prop_map(exemplar::Value::AsDouble),
            any::<i64>().prop_map(exemplar::Value::AsInt),
        ]),
    ) -> Exemplar {
        Exemplar { filtered_attributes, time_unix_nano, span_id, trace_id, value }
    }
}

prop_compose! {
    fn number_point()(
        attributes in attributes(), start_time_unix_nano in number(), time_unix_nano in number(),
        exemplars in vec(exemplar(), 0..2), flags in small(),
        value in prop::option::of(prop_oneof![
            double().prop_map(number_data_point::Value::AsDouble),
            any::<i64>().prop_map(number_data_point::Value::AsInt),
        ]),
    ) -> NumberDataPoint {
        NumberDataPoint { attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value }
    }
}

prop_compose! {
    fn histogram_point()(
        (attributes, exemplars, flags) in (attributes(), vec(exemplar(), 0..2), small()),
        (start_time_unix_nano, time_unix_nano, count) in (number(), number(), number()),
        (sum, min, max) in (prop::option::of(double()), prop::option::of(double()), prop::option::of(double())),
        (bucket_counts, explicit_bounds) in (vec(number(), 0..6), vec(double(), 0..6)),
    ) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes, exemplars, flags, start_time_unix_nano, time_unix_nano, count, sum, min, max, bucket_counts,
            explicit_bounds,
        }
    }
}

fn buckets() -> impl Strategy<Value = Option<Buckets>> {
    prop::option::of(
        (any::<i32>(), vec(number(), 0..6)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }),
    )
}

prop_compose! {
    fn exponential_point()(
        (attributes, exemplars, flags) in (attributes(), vec(exemplar(), 0..2), small()),
        (start_time_unix_nano, time_unix_nano, count, zero_count) in (number(), number(), number(), number()),
        (sum, min, max) in (prop::option::of(double()), prop::option::of(double()), prop::option::of(double())),
        (scale, positive, negative, zero_threshold) in (-10..20_i32, buckets(), buckets(), double()),
    ) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes, exemplars, flags, start_time_unix_nano, time_unix_nano, count, zero_count, sum, min, max, scale,
            positive, negative, zero_threshold,
        }
    }
}

prop_compose! {
    fn summary_point()(
        attributes in attributes(), start_time_unix_nano in number(), time_unix_nano in number(), count in number(),
        sum in double(), flags in small(),
        quantile_values in vec(
            (double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value }), 0..4),
    ) -> SummaryDataPoint {
        SummaryDataPoint { attributes, start_time_unix_nano, time_unix_nano, count, sum, flags, quantile_values }
    }
}

fn metric_data() -> impl Strategy<Value = Option<Data>> {
    prop_oneof![
        1 => Just(None),
        3 => vec(number_point(), 0..4).prop_map(|data_points| Some(Data::Gauge(Gauge { data_points }))),
        3 => (vec(number_point(), 0..4), 0..4_i32, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
            }
        ),
        3 => (vec(histogram_point(), 0..4), 0..4_i32).prop_map(|(data_points, aggregation_temporality)| {
            Some(Data::Histogram(Histogram { data_points, aggregation_temporality }))
        }),
        3 => (vec(exponential_point(), 0..3), 0..4_i32).prop_map(|(data_points, aggregation_temporality)| {
            Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
        }),
        3 => vec(summary_point(), 0..3).prop_map(|data_points| Some(Data::Summary(Summary { data_points }))),
    ]
}

prop_compose! {
    /// A metric of any type.
    pub fn metric()(
        name in text(), description in text(), unit in text(), metadata in attributes(), data in metric_data(),
    ) -> Metric {
        Metric { name, description, unit, metadata, data }
    }
}

prop_compose! {
    fn scope_metrics()(
        scope in prop::option::of(scope()), metrics in vec(metric(), 0..4), schema_url in text(),
    ) -> ScopeMetrics {
        ScopeMetrics { scope, metrics, schema_url }
    }
}

prop_compose! {
    fn resource_metrics()(
        resource in prop::option::of(resource()), scope_metrics in vec(scope_metrics(), 0..3), schema_url in text(),
    ) -> ResourceMetrics {
        ResourceMetrics { resource, scope_metrics, schema_url }
    }
}
