//! Counts the items of an OTLP request by walking lengths: resource → scope → item, and metric → data point for metrics.
//!
//! Nothing below an item is looked at (but trace IDs, for whoever asks for them), so counting costs next to nothing beside receiving. It judges form only as far as it
//! walks: a length that leaves its parent, an unknown wire type or a broken varint makes the count `None`.

use crate::wire::Signal;

const LENGTH_DELIMITED: u64 = 2;

/// Items in the encoded `Export…ServiceRequest`; `None` where the walk meets something that is not protobuf.
#[must_use]
pub fn items(signal: Signal, request: &[u8]) -> Option<u64> {
    // The three signals use the same numbers: resources are field 1, scopes field 2 in them, items field 2 in those.
    sum(request, |field| field == 1, &|resource| {
        sum(resource, |field| field == 2, &|scope| {
            sum(scope, |field| field == 2, &|item| match signal {
                Signal::Traces | Signal::Logs => Some(1),
                Signal::Metrics => metric_points(item),
            })
        })
    })
}

/// Calls `visit` with the trace ID of each span of an encoded `ExportTraceServiceRequest`; `None` as with [`items`].
pub fn for_each_trace_id<'a>(request: &'a [u8], visit: &mut dyn FnMut(&'a [u8])) -> Option<()> {
    for_each(request, 1, &mut |resource| {
        for_each(resource, 2, &mut |scope| {
            for_each(scope, 2, &mut |span| {
                for_each(span, 1, &mut |id| {
                    visit(id);
                    Some(())
                })
            })
        })
    })
}

/// Data points of one `Metric`: gauge 5, sum 7, histogram 9, exponential histogram 10, summary 11; each has its points in field 1.
fn metric_points(metric: &[u8]) -> Option<u64> {
    sum(metric, |field| matches!(field, 5 | 7 | 9 | 10 | 11), &|data| sum(data, |field| field == 1, &|_| Some(1)))
}

/// The sum of `count` over the submessages of `message` whose field number is `wanted`.
fn sum(message: &[u8], wanted: fn(u64) -> bool, count: &dyn Fn(&[u8]) -> Option<u64>) -> Option<u64> {
    let mut total = 0_u64;
    walk(message, &mut |field, value| {
        if wanted(field) {
            total = total.checked_add(count(value)?)?;
        }
        Some(())
    })?;
    Some(total)
}

/// Visits the submessages of `message` with that field number.
fn for_each<'a>(message: &'a [u8], number: u64, visit: &mut dyn FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    walk(message, &mut |field, value| if field == number { visit(value) } else { Some(()) })
}

/// Visits the length-delimited fields of `message` with their numbers.
fn walk<'a>(mut message: &'a [u8], visit: &mut dyn FnMut(u64, &'a [u8]) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let skip = match key & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            LENGTH_DELIMITED => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(skip)?;
        message = rest;
        if key & 7 == LENGTH_DELIMITED {
            visit(key >> 3, value)?;
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::payload;

    #[test]
    fn agrees_with_the_generator_for_every_signal() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            for wanted in [1, 7, 512] {
                assert_eq!(items(signal, &payload::encode(signal, 3, wanted)), Some(wanted as u64), "{signal:?}");
            }
        }
    }

    #[test]
    fn counts_every_kind_of_metric() {
        use opentelemetry_proto::tonic::metrics::v1 as m;
        let metric = |data| m::Metric { data: Some(data), ..Default::default() };
        let scope = m::ScopeMetrics {
            metrics: vec![
                metric(m::metric::Data::Gauge(m::Gauge { data_points: vec![m::NumberDataPoint::default(); 2] })),
                metric(m::metric::Data::ExponentialHistogram(m::ExponentialHistogram {
                    data_points: vec![m::ExponentialHistogramDataPoint::default(); 3],
                    aggregation_temporality: 1,
                })),
                metric(m::metric::Data::Summary(m::Summary { data_points: vec![m::SummaryDataPoint::default(); 5] })),
            ],
            schema_url: "s".into(),
            ..Default::default()
        };
        let request = m::MetricsData {
            resource_metrics: vec![m::ResourceMetrics { scope_metrics: vec![scope], ..Default::default() }],
        };
        assert_eq!(items(Signal::Metrics, &request.encode_to_vec()), Some(10));
    }

    #[test]
    fn refuses_what_is_cut_off_or_not_protobuf() {
        let request = payload::encode(Signal::Traces, 1, 2);
        assert_eq!(items(Signal::Traces, &request[..request.len() - 1]), None);
        assert_eq!(items(Signal::Traces, &[0x0f]), None, "wire type 7");
        assert_eq!(items(Signal::Traces, &[0x80; 11]), None, "endless varint");
        assert_eq!(items(Signal::Traces, &[]), Some(0));
    }
}
