//! Operations, and what they mean for the structs of the reference implementation.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::edit::Write;
use proptest::prelude::*;
use testkit::otlp_arbitrary::{Request, any_value, double, key, points, text};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// In a map of attributes around or in the item of that number.
    Map { item: usize, place: Place, nested: Vec<String>, act: Act },
    /// A field, told by a number from a list per signal.
    Field { item: usize, which: usize, text: String, number: u32, double: f64 },
    /// A log's body, or an attribute's value from within.
    Body { item: usize, value: AnyValue },
    /// The item.
    Remove { item: usize },
    /// An event, link, exemplar.
    RemoveSub { item: usize, sub: usize },
    /// The whole resource around it.
    RemoveGroup { item: usize },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Resource,
    Scope,
    Metadata,
    Item,
    Sub(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(String, AnyValue, Write),
    Copy(String, String),
    Delete(String),
    Rename(String, String),
    /// Keeps those whose key is of even length.
    Retain,
    /// Overwrites every string, appends to every key, removes every integer.
    Visit,
    Clear,
}

impl Op {
    pub(crate) const NAMES: [&str; 6] = ["map", "field", "body", "remove", "remove sub", "remove group"];

    pub(crate) fn name(&self) -> &'static str {
        let [map, field, body, remove, sub, group] = Self::NAMES;
        match self {
            Self::Map { .. } => map,
            Self::Field { .. } => field,
            Self::Body { .. } => body,
            Self::Remove { .. } => remove,
            Self::RemoveSub { .. } => sub,
            Self::RemoveGroup { .. } => group,
        }
    }
}

/// Values that edits can write: without references to string tables.
fn value() -> impl Strategy<Value = AnyValue> {
    any_value().prop_map(plain)
}

fn plain(value: AnyValue) -> AnyValue {
    let value = value.value.map(|value| match value {
        Value::StringValueStrindex(index) => Value::IntValue(i64::from(index)),
        Value::ArrayValue(mut list) => {
            list.values = list.values.into_iter().map(plain).collect();
            Value::ArrayValue(list)
        }
        Value::KvlistValue(mut map) => {
            for pair in &mut map.values {
                pair.key_strindex = 0;
                pair.value = Some(plain(pair.value.take().unwrap_or_default()));
            }
            Value::KvlistValue(map)
        }
        scalar => scalar,
    });
    AnyValue { value }
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let place = prop_oneof![
        1 => Just(Place::Resource),
        1 => Just(Place::Scope),
        1 => Just(Place::Metadata),
        3 => Just(Place::Item),
        2 => (0..3_usize).prop_map(Place::Sub),
    ];
    let how = prop_oneof![Just(Write::Insert), Just(Write::Update), Just(Write::Upsert)];
    let act = prop_oneof![
        4 => (key(), value(), how).prop_map(|(key, value, how)| Act::Write(key, value, how)),
        1 => (key(), key()).prop_map(|(to, from)| Act::Copy(to, from)),
        2 => key().prop_map(Act::Delete),
        1 => (key(), key()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => Just(Act::Retain),
        1 => Just(Act::Visit),
        1 => Just(Act::Clear),
    ];
    let nested = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(key(), 1..3)];
    let item = || 0..6_usize;
    prop_oneof![
        8 => (item(), place, nested, act).prop_map(|(item, place, nested, act)| Op::Map { item, place, nested, act }),
        4 => (item(), 0..12_usize, text(), prop_oneof![Just(0), 0..30_u32], double())
            .prop_map(|(item, which, text, number, double)| Op::Field { item, which, text, number, double }),
        2 => (item(), value()).prop_map(|(item, value)| Op::Body { item, value }),
        1 => item().prop_map(|item| Op::Remove { item }),
        1 => (item(), 0..3_usize).prop_map(|(item, sub)| Op::RemoveSub { item, sub }),
        1 => item().prop_map(|item| Op::RemoveGroup { item }),
    ]
}

pub(crate) fn traces(spans: Vec<Span>) -> Request {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    Request::Traces(ExportTraceServiceRequest { resource_spans })
}

/// Group, scope group, item or metric, data point of the item of that number.
type Path = [usize; 4];

fn locate(request: &Request, item: usize) -> Option<Path> {
    let mut paths = Vec::new();
    let mut scopes = |group: usize, counts: Vec<Vec<usize>>| {
        for (scope, counts) in counts.into_iter().enumerate() {
            for (entry, points) in counts.into_iter().enumerate() {
                paths.extend((0..points).map(|point| [group, scope, entry, point]));
            }
        }
    };
    match request {
        Request::Traces(request) => request.resource_spans.iter().enumerate().for_each(|(group, g)| {
            scopes(group, g.scope_spans.iter().map(|s| vec![1; s.spans.len()]).collect());
        }),
        Request::Logs(request) => request.resource_logs.iter().enumerate().for_each(|(group, g)| {
            scopes(group, g.scope_logs.iter().map(|s| vec![1; s.log_records.len()]).collect());
        }),
        Request::Metrics(request) => request.resource_metrics.iter().enumerate().for_each(|(group, g)| {
            scopes(group, g.scope_metrics.iter().map(|s| s.metrics.iter().map(points).collect()).collect());
        }),
    }
    paths.get(item).copied()
}

/// Evaluates `$body` with the group and scope group of the path, whatever their types.
macro_rules! with_scope {
    ($request:expr, $path:expr, $group:ident, $scopes:ident, $body:expr) => {{
        let [at, _, _, _] = $path;
        match $request {
            Request::Traces(request) => {
                let ($group, $scopes) =
                    parts(&mut request.resource_spans[at], |g| (&mut g.resource, &mut g.scope_spans));
                $body
            }
            Request::Logs(request) => {
                let ($group, $scopes) = parts(&mut request.resource_logs[at], |g| (&mut g.resource, &mut g.scope_logs));
                $body
            }
            Request::Metrics(request) => {
                let ($group, $scopes) =
                    parts(&mut request.resource_metrics[at], |g| (&mut g.resource, &mut g.scope_metrics));
                $body
            }
        }
    }};
}

fn parts<'a, G, R, S>(
    group: &'a mut G,
    split: impl FnOnce(&'a mut G) -> (&'a mut Option<R>, &'a mut Vec<S>),
) -> (&'a mut Option<R>, &'a mut Vec<S>) {
    split(group)
}

fn metric(request: &mut Request, path: Path) -> Option<&mut Metric> {
    let Request::Metrics(request) = request else { return None };
    Some(&mut request.resource_metrics[path[0]].scope_metrics[path[1]].metrics[path[2]])
}

fn point_parts(metric: &mut Metric, at: usize) -> (&mut Vec<KeyValue>, Option<&mut Vec<Exemplar>>) {
    macro_rules! with_exemplars {
        ($data:expr) => {{
            let point = &mut $data.data_points[at];
            (&mut point.attributes, Some(&mut point.exemplars))
        }};
    }
    match metric.data.as_mut().unwrap() {
        Data::Gauge(data) => with_exemplars!(data),
        Data::Sum(data) => with_exemplars!(data),
        Data::Histogram(data) => with_exemplars!(data),
        Data::ExponentialHistogram(data) => with_exemplars!(data),
        Data::Summary(data) => (&mut data.data_points[at].attributes, None),
    }
}

fn map(request: &mut Request, path: Path, place: Place) -> Option<&mut Vec<KeyValue>> {
    let [group, scope, entry, point] = path;
    match place {
        Place::Resource => {
            Some(with_scope!(request, path, resource, _s, &mut resource.get_or_insert_default().attributes))
        }
        Place::Scope => {
            Some(with_scope!(request, path, _r, scopes, &mut scopes[scope].scope.get_or_insert_default().attributes))
        }
        Place::Metadata => metric(request, path).map(|metric| &mut metric.metadata),
        Place::Item => match request {
            Request::Traces(r) => Some(&mut r.resource_spans[group].scope_spans[scope].spans[entry].attributes),
            Request::Logs(r) => Some(&mut r.resource_logs[group].scope_logs[scope].log_records[entry].attributes),
            Request::Metrics(_) => metric(request, path).map(|metric| point_parts(metric, point).0),
        },
        Place::Sub(sub) => match request {
            Request::Traces(r) => {
                let span = &mut r.resource_spans[group].scope_spans[scope].spans[entry];
                if sub % 2 == 0 {
                    span.events.get_mut(sub / 2).map(|event| &mut event.attributes)
                } else {
                    span.links.get_mut(sub / 2).map(|link| &mut link.attributes)
                }
            }
            Request::Logs(_) => None,
            Request::Metrics(_) => {
                let exemplars = metric(request, path).and_then(|metric| point_parts(metric, point).1);
                exemplars?.get_mut(sub).map(|exemplar| &mut exemplar.filtered_attributes)
            }
        },
    }
}

/// Makes the change; says whether the place it is about exists.
pub(crate) fn apply(request: &mut Request, op: &Op) -> bool {
    let (Op::Map { item, .. }
    | Op::Field { item, .. }
    | Op::Body { item, .. }
    | Op::Remove { item }
    | Op::RemoveSub { item, .. }
    | Op::RemoveGroup { item }) = op;
    let Some(path) = locate(request, *item) else { return false };
    let [group, scope, entry, point] = path;
    match op {
        Op::Map { place, nested, act, .. } => {
            let Some(map) = map(request, path, *place) else { return false };
            run(nested.iter().fold(map, |map, key| inner_map(map, key)), act);
        }
        Op::Field { which, text, number, double, .. } => set_field(request, path, *which, text, *number, *double),
        Op::Body { value, .. } => match request {
            Request::Logs(r) => {
                r.resource_logs[group].scope_logs[scope].log_records[entry].body = Some(value.clone());
            }
            _ => return false,
        },
        Op::Remove { .. } => remove_item(request, path),
        Op::RemoveGroup { .. } => match request {
            Request::Traces(r) => drop(r.resource_spans.remove(group)),
            Request::Logs(r) => drop(r.resource_logs.remove(group)),
            Request::Metrics(r) => drop(r.resource_metrics.remove(group)),
        },
        Op::RemoveSub { sub, .. } => match request {
            Request::Traces(r) => {
                let span = &mut r.resource_spans[group].scope_spans[scope].spans[entry];
                if sub % 2 == 0 {
                    return remove_at(&mut span.events, sub / 2);
                }
                return remove_at(&mut span.links, sub / 2);
            }
            Request::Logs(_) => return false,
            Request::Metrics(_) => {
                let exemplars = metric(request, path).and_then(|metric| point_parts(metric, point).1);
                return exemplars.is_some_and(|exemplars| remove_at(exemplars, *sub));
            }
        },
    }
    true
}

fn remove_at<T>(list: &mut Vec<T>, at: usize) -> bool {
    let there = at < list.len();
    if there {
        list.remove(at);
    }
    there
}

fn remove_item(request: &mut Request, [group, scope, entry, point]: Path) {
    macro_rules! remove {
        ($groups:expr, $scopes:ident, $items:ident) => {{
            let scopes = &mut $groups[group].$scopes;
            scopes[scope].$items.remove(entry);
            if scopes[scope].$items.is_empty() {
                scopes.remove(scope);
                if scopes.is_empty() {
                    $groups.remove(group);
                }
            }
        }};
    }
    match request {
        Request::Traces(r) => remove!(r.resource_spans, scope_spans, spans),
        Request::Logs(r) => remove!(r.resource_logs, scope_logs, log_records),
        Request::Metrics(r) => {
            let metric = &mut r.resource_metrics[group].scope_metrics[scope].metrics[entry];
            match metric.data.as_mut().unwrap() {
                Data::Gauge(data) => drop(data.data_points.remove(point)),
                Data::Sum(data) => drop(data.data_points.remove(point)),
                Data::Histogram(data) => drop(data.data_points.remove(point)),
                Data::ExponentialHistogram(data) => drop(data.data_points.remove(point)),
                Data::Summary(data) => drop(data.data_points.remove(point)),
            }
            if points(metric) == 0 {
                remove!(r.resource_metrics, scope_metrics, metrics);
            }
        }
    }
}

/// The map that is the value of the first attribute of that key; made one if it is not.
fn inner_map<'a>(map: &'a mut Vec<KeyValue>, key: &str) -> &'a mut Vec<KeyValue> {
    let at = map.iter().position(|pair| pair.key == key).unwrap_or_else(|| {
        map.push(KeyValue { key: key.to_owned(), ..Default::default() });
        map.len() - 1
    });
    let value = &mut map[at].value.get_or_insert_default().value;
    if !matches!(value, Some(Value::KvlistValue(_))) {
        *value = Some(Value::KvlistValue(KeyValueList::default()));
    }
    match value {
        Some(Value::KvlistValue(list)) => &mut list.values,
        _ => unreachable!("made above"),
    }
}

fn write(map: &mut Vec<KeyValue>, key: &str, value: AnyValue, how: Write) {
    match map.iter().position(|pair| pair.key == key) {
        Some(_) if how == Write::Insert => {}
        None if how == Write::Update => {}
        Some(at) => {
            map[at].value = Some(value);
            let mut first = true;
            map.retain(|pair| pair.key != key || std::mem::take(&mut first));
        }
        None => map.push(KeyValue { key: key.to_owned(), value: Some(value), ..Default::default() }),
    }
}

fn run(map: &mut Vec<KeyValue>, act: &Act) {
    match act {
        Act::Write(key, value, how) => write(map, key, value.clone(), *how),
        Act::Copy(to, from) => {
            if let Some(pair) = map.iter().find(|pair| pair.key == *from) {
                let value = pair.value.clone().unwrap_or_default();
                write(map, to, value, Write::Upsert);
            }
        }
        Act::Delete(key) => map.retain(|pair| pair.key != *key),
        Act::Rename(from, to) => {
            map.iter_mut().filter(|pair| pair.key == *from).for_each(|pair| pair.key.clone_from(to));
        }
        Act::Retain => map.retain(|pair| pair.key.len() % 2 == 0),
        Act::Visit => {
            let int = |pair: &KeyValue| matches!(pair.value, Some(AnyValue { value: Some(Value::IntValue(_)) }));
            map.retain(|pair| !int(pair));
            for pair in map {
                pair.key.push('+');
                if let Some(Value::StringValue(text)) = pair.value.as_mut().and_then(|value| value.value.as_mut()) {
                    *text = format!("<{text}>");
                }
            }
        }
        Act::Clear => map.clear(),
    }
}

fn set_field(request: &mut Request, path: Path, which: usize, text: &str, number: u32, double: f64) {
    let [group, scope, entry, point] = path;
    let (text, int, long) = (text.to_owned(), number as i32, u64::from(number));
    let id = if number == 0 { Vec::new() } else { vec![number as u8; 16] };
    match which {
        0 => {
            with_scope!(request, path, resource, _s, resource.get_or_insert_default().dropped_attributes_count = number)
        }
        1 => with_scope!(request, path, _r, scopes, scopes[scope].scope.get_or_insert_default().version = text),
        2 => with_scope!(request, path, _r, scopes, scopes[scope].schema_url = text),
        _ => match request {
            Request::Traces(r) => {
                let span = &mut r.resource_spans[group].scope_spans[scope].spans[entry];
                match which {
                    3 => span.name = text,
                    4 => span.kind = int,
                    5 => span.end_time_unix_nano = long,
                    6 => span.status.get_or_insert_default().code = int,
                    7 => span.status.get_or_insert_default().message = text,
                    8 => span.flags = number,
                    9 => span.trace_id = id,
                    10 => span.status = None,
                    _ => span.dropped_links_count = number,
                }
            }
            Request::Logs(r) => {
                let log = &mut r.resource_logs[group].scope_logs[scope].log_records[entry];
                match which {
                    3 => log.severity_text = text,
                    4 => log.severity_number = int,
                    5 => log.time_unix_nano = long,
                    6 => log.event_name = text,
                    7 => log.flags = number,
                    8 => log.trace_id = id,
                    9 => log.body = None,
                    _ => log.dropped_attributes_count = number,
                }
            }
            Request::Metrics(_) => {
                let metric = metric(request, path).unwrap();
                match which {
                    3 => metric.name = text,
                    4 => metric.unit = text,
                    5 | 6 => match metric.data.as_mut().unwrap() {
                        Data::Gauge(data) => data.data_points[point].flags = number,
                        Data::Sum(data) => data.data_points[point].flags = number,
                        Data::Histogram(data) => data.data_points[point].flags = number,
                        Data::ExponentialHistogram(data) => data.data_points[point].flags = number,
                        Data::Summary(data) => data.data_points[point].flags = number,
                    },
                    7 => match metric.data.as_mut().unwrap() {
                        Data::Sum(data) => data.is_monotonic = number > 0,
                        Data::ExponentialHistogram(data) => data.data_points[point].scale = -int,
                        _ => {}
                    },
                    _ => match metric.data.as_mut().unwrap() {
                        Data::Gauge(data) => {
                            data.data_points[point].value = Some(number_data_point::Value::AsInt(-i64::from(int)));
                        }
                        Data::Sum(data) => {
                            data.data_points[point].value = Some(number_data_point::Value::AsDouble(double));
                        }
                        Data::Histogram(data) => {
                            data.data_points[point].sum = Some(double);
                            data.data_points[point].bucket_counts.push(long);
                        }
                        Data::ExponentialHistogram(data) => {
                            data.data_points[point].positive.get_or_insert_default().bucket_counts.push(long);
                        }
                        Data::Summary(data) => data.data_points[point].sum = double,
                    },
                }
            }
        },
    }
}
