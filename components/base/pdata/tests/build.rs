//! What builders write: valid, canonical, and what was put in, as the reference implementation reads it.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar, number_data_point};
use pdata::build::{
    AttributesWriter, Buckets, ExemplarFields, ExponentialHistogramFields, HistogramFields, LinkFields, LogFields,
    MetricFields, NumberFields, PayloadBuilder, PointWriter, SpanFields, SummaryFields, Temporality, ValueWriter,
};
use pdata::validate::{check, validate};
use pdata::view::Number;
use pdata::{ByteAccount, Payload, Signal, Utf8Policy};
use proptest::prelude::*;
use testkit::otlp_arbitrary::{Request, config, request};

/// Decodes what was built, having checked its form.
fn decode(payload: &Payload) -> Request {
    let mut body = payload.to_bytes().to_vec();
    assert_eq!(check(payload.signal(), &body).map(u64::from), Ok(payload.items()));
    assert!(!validate(payload.signal(), &mut body, Utf8Policy::Refuse).unwrap().repairs.rewritten);
    Request::decode(payload.signal(), &body).unwrap()
}

fn array<const N: usize>(id: &[u8]) -> [u8; N] {
    id.try_into().unwrap_or([0; N])
}

fn put_value(value: Option<&AnyValue>, out: ValueWriter<'_>) {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => out.str(text),
        Some(Value::BoolValue(flag)) => out.bool(*flag),
        Some(Value::IntValue(number)) => out.i64(*number),
        Some(Value::DoubleValue(number)) => out.f64(*number),
        Some(Value::BytesValue(bytes)) => out.bytes(bytes),
        Some(Value::ArrayValue(list)) => out.array(|array| {
            for value in &list.values {
                array.push(|out| put_value(Some(value), out));
            }
        }),
        Some(Value::KvlistValue(list)) => out.kvlist(|pairs| put_attributes(&list.values, pairs)),
        Some(Value::StringValueStrindex(_)) | None => {}
    }
}

fn put_attributes(attributes: &[KeyValue], out: &mut AttributesWriter<'_>) {
    for pair in attributes {
        match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => out.str(&pair.key, text),
            Some(Value::IntValue(number)) => out.i64(&pair.key, *number),
            Some(Value::DoubleValue(number)) => out.f64(&pair.key, *number),
            Some(Value::BoolValue(flag)) => out.bool(&pair.key, *flag),
            Some(Value::BytesValue(bytes)) => out.bytes(&pair.key, bytes),
            _ => out.value(&pair.key, |out| put_value(pair.value.as_ref(), out)),
        };
    }
}

fn put_exemplars(exemplars: &[Exemplar], out: &mut PointWriter<'_>) {
    for exemplar in exemplars {
        let fields = ExemplarFields {
            time_unix_nano: exemplar.time_unix_nano,
            value: exemplar.value.map(|value| match value {
                exemplar::Value::AsDouble(value) => Number::Double(value),
                exemplar::Value::AsInt(value) => Number::Int(value),
            }),
            trace_id: array(&exemplar.trace_id),
            span_id: array(&exemplar.span_id),
        };
        out.exemplar(&fields, |attributes| put_attributes(&exemplar.filtered_attributes, attributes));
    }
}

/// Builds what `request` holds, as far as builders can say it.
fn build(request: &Request) -> Payload {
    match request {
        Request::Traces(request) => {
            let mut builder = PayloadBuilder::traces();
            for group in &request.resource_spans {
                let resource = group.resource.clone().unwrap_or_default();
                builder.resource(
                    &group.schema_url,
                    |attributes| put_attributes(&resource.attributes, attributes),
                    |scopes| {
                        for group in &group.scope_spans {
                            let scope = group.scope.clone().unwrap_or_default();
                            scopes.scope(
                                &scope.name,
                                &scope.version,
                                |attributes| put_attributes(&scope.attributes, attributes),
                                |spans| {
                                    for span in &group.spans {
                                        let status = span.status.clone().unwrap_or_default();
                                        let fields = SpanFields {
                                            trace_id: array(&span.trace_id),
                                            span_id: array(&span.span_id),
                                            parent_span_id: array(&span.parent_span_id),
                                            trace_state: &span.trace_state,
                                            name: &span.name,
                                            kind: span.kind,
                                            start_time_unix_nano: span.start_time_unix_nano,
                                            end_time_unix_nano: span.end_time_unix_nano,
                                            dropped_attributes_count: span.dropped_attributes_count,
                                            dropped_events_count: span.dropped_events_count,
                                            dropped_links_count: span.dropped_links_count,
                                            flags: span.flags,
                                            status_code: status.code,
                                            status_message: &status.message,
                                        };
                                        spans.span(&fields, |out| {
                                            put_attributes(&span.attributes, &mut out.attributes());
                                            for event in &span.events {
                                                out.event(event.time_unix_nano, &event.name, |attributes| {
                                                    put_attributes(&event.attributes, attributes);
                                                });
                                            }
                                            for link in &span.links {
                                                let fields = LinkFields {
                                                    trace_id: array(&link.trace_id),
                                                    span_id: array(&link.span_id),
                                                    trace_state: &link.trace_state,
                                                    dropped_attributes_count: link.dropped_attributes_count,
                                                    flags: link.flags,
                                                };
                                                out.link(&fields, |attributes| {
                                                    put_attributes(&link.attributes, attributes);
                                                });
                                            }
                                        });
                                    }
                                },
                            );
                        }
                    },
                );
            }
            builder.finish(None)
        }
        Request::Logs(request) => {
            let mut builder = PayloadBuilder::logs();
            for group in &request.resource_logs {
                let resource = group.resource.clone().unwrap_or_default();
                builder.resource(
                    &group.schema_url,
                    |attributes| put_attributes(&resource.attributes, attributes),
                    |scopes| {
                        for group in &group.scope_logs {
                            let scope = group.scope.clone().unwrap_or_default();
                            scopes.scope(
                                &scope.name,
                                &scope.version,
                                |attributes| put_attributes(&scope.attributes, attributes),
                                |records| {
                                    for record in &group.log_records {
                                        let fields = LogFields {
                                            time_unix_nano: record.time_unix_nano,
                                            observed_time_unix_nano: record.observed_time_unix_nano,
                                            severity_number: record.severity_number,
                                            severity_text: &record.severity_text,
                                            event_name: &record.event_name,
                                            dropped_attributes_count: record.dropped_attributes_count,
                                            flags: record.flags,
                                            trace_id: array(&record.trace_id),
                                            span_id: array(&record.span_id),
                                        };
                                        records.record(&fields, |out| {
                                            if record.body.is_some() {
                                                out.body(|body| put_value(record.body.as_ref(), body));
                                            }
                                            put_attributes(&record.attributes, &mut out.attributes());
                                        });
                                    }
                                },
                            );
                        }
                    },
                );
            }
            builder.finish(None)
        }
        Request::Metrics(request) => {
            let mut builder = PayloadBuilder::metrics();
            for group in &request.resource_metrics {
                let resource = group.resource.clone().unwrap_or_default();
                builder.resource(
                    &group.schema_url,
                    |attributes| put_attributes(&resource.attributes, attributes),
                    |scopes| {
                        for group in &group.scope_metrics {
                            let scope = group.scope.clone().unwrap_or_default();
                            scopes.scope(
                                &scope.name,
                                &scope.version,
                                |attributes| put_attributes(&scope.attributes, attributes),
                                |metrics| group.metrics.iter().for_each(|metric| put_metric(metric, metrics)),
                            );
                        }
                    },
                );
            }
            builder.finish(None)
        }
    }
}

type MetricsOut<'b> = pdata::build::Items<'b, pdata::build::Metrics>;

fn temporality(wire: i32) -> Temporality {
    if wire == 1 { Temporality::Delta } else { Temporality::Cumulative }
}

fn put_numbers(
    points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint],
    out: &mut pdata::build::Points<'_, pdata::build::NumberPoints>,
) {
    for point in points {
        let fields = NumberFields {
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: point.value.map(|value| match value {
                number_data_point::Value::AsDouble(value) => Number::Double(value),
                number_data_point::Value::AsInt(value) => Number::Int(value),
            }),
            flags: point.flags,
        };
        out.point(&fields, |out| {
            put_attributes(&point.attributes, &mut out.attributes());
            put_exemplars(&point.exemplars, out);
        });
    }
}

fn put_metric(metric: &opentelemetry_proto::tonic::metrics::v1::Metric, out: &mut MetricsOut<'_>) {
    let fields = MetricFields { name: &metric.name, description: &metric.description, unit: &metric.unit };
    match &metric.data {
        Some(Data::Gauge(data)) => out.gauge(&fields, |points| put_numbers(&data.data_points, points)),
        Some(Data::Sum(data)) => {
            out.sum(&fields, temporality(data.aggregation_temporality), data.is_monotonic, |points| {
                put_numbers(&data.data_points, points);
            })
        }
        Some(Data::Histogram(data)) => out.histogram(&fields, temporality(data.aggregation_temporality), |out| {
            for point in &data.data_points {
                let fields = HistogramFields {
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    count: point.count,
                    sum: point.sum,
                    min: point.min,
                    max: point.max,
                    bucket_counts: &point.bucket_counts,
                    explicit_bounds: &point.explicit_bounds,
                    flags: point.flags,
                };
                out.point(&fields, |out| {
                    put_attributes(&point.attributes, &mut out.attributes());
                    put_exemplars(&point.exemplars, out);
                });
            }
        }),
        Some(Data::ExponentialHistogram(data)) => {
            out.exponential_histogram(&fields, temporality(data.aggregation_temporality), |out| {
                for point in &data.data_points {
                    let buckets = |buckets: &Option<_>| {
                        let buckets: Option<
                            &opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets,
                        > = buckets.as_ref();
                        buckets.map(|b| (b.offset, b.bucket_counts.clone()))
                    };
                    let (positive, negative) = (buckets(&point.positive), buckets(&point.negative));
                    let fields = ExponentialHistogramFields {
                        start_time_unix_nano: point.start_time_unix_nano,
                        time_unix_nano: point.time_unix_nano,
                        count: point.count,
                        sum: point.sum,
                        min: point.min,
                        max: point.max,
                        scale: point.scale,
                        zero_count: point.zero_count,
                        zero_threshold: point.zero_threshold,
                        positive: positive.as_ref().map(|(offset, c)| Buckets { offset: *offset, bucket_counts: c }),
                        negative: negative.as_ref().map(|(offset, c)| Buckets { offset: *offset, bucket_counts: c }),
                        flags: point.flags,
                    };
                    out.point(&fields, |out| {
                        put_attributes(&point.attributes, &mut out.attributes());
                        put_exemplars(&point.exemplars, out);
                    });
                }
            })
        }
        Some(Data::Summary(data)) => out.summary(&fields, |out| {
            for point in &data.data_points {
                let quantiles: Vec<_> = point.quantile_values.iter().map(|q| (q.quantile, q.value)).collect();
                let fields = SummaryFields {
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    count: point.count,
                    sum: point.sum,
                    quantile_values: &quantiles,
                    flags: point.flags,
                };
                out.point(&fields, |out| put_attributes(&point.attributes, &mut out.attributes()));
            }
        }),
        None => out,
    };
}

/// What `request` is when everything is left out that builders cannot say.
fn sayable(mut request: Request) -> Request {
    fn value(value: &mut AnyValue) {
        match &mut value.value {
            Some(Value::StringValueStrindex(_)) => value.value = None,
            Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(value_of),
            Some(Value::KvlistValue(list)) => attributes(&mut list.values),
            _ => {}
        }
    }
    fn value_of(any: &mut AnyValue) {
        value(any);
    }
    fn attributes(list: &mut [KeyValue]) {
        for pair in list {
            pair.key_strindex = 0;
            value(pair.value.get_or_insert_default());
        }
    }
    macro_rules! groups {
        ($groups:expr, $scopes:ident) => {
            for group in $groups {
                let resource = group.resource.get_or_insert_default();
                (resource.dropped_attributes_count, resource.entity_refs) = (0, Vec::new());
                attributes(&mut resource.attributes);
                for group in &mut group.$scopes {
                    group.schema_url.clear();
                    let scope = group.scope.get_or_insert_default();
                    scope.dropped_attributes_count = 0;
                    attributes(&mut scope.attributes);
                }
            }
        };
    }
    match &mut request {
        Request::Traces(r) => {
            groups!(&mut r.resource_spans, scope_spans);
            for span in r.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
                span.status = span.status.take().filter(|status| *status != Default::default());
                attributes(&mut span.attributes);
                for event in &mut span.events {
                    event.dropped_attributes_count = 0;
                    attributes(&mut event.attributes);
                }
                span.links.iter_mut().for_each(|link| attributes(&mut link.attributes));
            }
        }
        Request::Logs(r) => {
            groups!(&mut r.resource_logs, scope_logs);
            for record in r.resource_logs.iter_mut().flat_map(|r| &mut r.scope_logs).flat_map(|s| &mut s.log_records) {
                attributes(&mut record.attributes);
                record.body.iter_mut().for_each(value);
            }
        }
        Request::Metrics(r) => {
            groups!(&mut r.resource_metrics, scope_metrics);
            for scope in r.resource_metrics.iter_mut().flat_map(|r| &mut r.scope_metrics) {
                scope.metrics.retain(|metric| metric.data.is_some());
                for metric in &mut scope.metrics {
                    metric.metadata.clear();
                    macro_rules! points {
                        ($data:expr, $exemplars:tt) => {
                            for point in &mut $data.data_points {
                                attributes(&mut point.attributes);
                                points!(@exemplars point $exemplars);
                            }
                        };
                        (@exemplars $point:ident yes) => {
                            $point.exemplars.iter_mut().for_each(|e| attributes(&mut e.filtered_attributes))
                        };
                        (@exemplars $point:ident no) => {};
                    }
                    let says = |wire: &mut i32| *wire = temporality(*wire).as_i32();
                    match metric.data.as_mut().unwrap() {
                        Data::Gauge(data) => points!(data, yes),
                        Data::Sum(data) => {
                            says(&mut data.aggregation_temporality);
                            points!(data, yes);
                        }
                        Data::Histogram(data) => {
                            says(&mut data.aggregation_temporality);
                            points!(data, yes);
                        }
                        Data::ExponentialHistogram(data) => {
                            says(&mut data.aggregation_temporality);
                            points!(data, yes);
                        }
                        Data::Summary(data) => points!(data, no),
                    }
                }
            }
        }
    }
    request
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_is_built_is_what_was_put_in(request in request()) {
        let built = build(&request);
        prop_assert_eq!(decode(&built), sayable(request));
    }
}

#[test]
fn a_built_payload_is_charged_to_its_last_byte() {
    let account = ByteAccount::unlimited();
    let mut builder = PayloadBuilder::logs();
    assert_eq!((builder.items(), builder.encoded_len()), (0, 0));
    builder.bare(|records| {
        for n in 0..300 {
            records.record(&LogFields::default(), |record| {
                record.attributes().i64("n", n).encoded("copied", &[0x0a, 1, b'x']);
            });
        }
    });
    assert_eq!(builder.items(), 300);
    let len = builder.encoded_len();
    let payload = builder.finish(Some(&account));
    assert_eq!((payload.items(), payload.encoded_len(), account.held()), (300, len, len));
    let mut copied = 0;
    payload.for_each_item(|item| {
        let value = item.view.attributes().get("copied").and_then(pdata::view::ValueView::as_str);
        copied += usize::from(value == Some("x"));
    });
    assert_eq!(copied, 300);
    drop(payload);
    assert_eq!(account.held(), 0);
}

#[test]
fn nothing_built_is_an_empty_payload() {
    let payload = PayloadBuilder::traces().finish(None);
    assert_eq!((payload.signal(), payload.items(), payload.segments().len()), (Signal::Traces, 0, 0));
}
