//! Identities of resources and metric streams, as the Collector's `metrics/identity` computes them: FNV-1a over names and
//! over hashes of attributes that do not depend on their order.

use pdata::view::{AttributesView, DataPointView, MetricKind, MetricView, ResourceView, ScopeView, ValueView};
use xxhash_rust::xxh64::xxh64;

/// An identity under construction: FNV-1a, 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    /// A resource's.
    #[must_use]
    pub fn of_resource(resource: ResourceView<'_>) -> Self {
        Self(0xcbf2_9ce4_8422_2325).with(&attributes_hash(resource.attributes()))
    }

    /// A scope's, within its resource.
    #[must_use]
    pub fn scope(self, scope: ScopeView<'_>) -> Self {
        let named = self.with(scope.name().as_bytes()).with(scope.version().as_bytes());
        named.with(&attributes_hash(scope.attributes()))
    }

    /// A metric's, within its scope.
    #[must_use]
    pub fn metric(self, metric: MetricView<'_>) -> Self {
        let (kind, is_monotonic) = match metric.kind() {
            None => (0, false),
            Some(MetricKind::Gauge) => (1, false),
            Some(MetricKind::Sum) => (2, metric.is_monotonic()),
            Some(MetricKind::Histogram) => (3, true),
            Some(MetricKind::ExponentialHistogram) => (4, true),
            Some(MetricKind::Summary) => (5, false),
        };
        let temporality = metric.temporality().to_le_bytes()[0];
        self.with(metric.name().as_bytes()).with(metric.unit().as_bytes()).with(&[
            kind,
            u8::from(is_monotonic),
            temporality,
        ])
    }

    /// A stream's: a data point within its metric, whatever its time and value.
    #[must_use]
    pub fn stream(self, point: DataPointView<'_>) -> Self {
        self.with(&attributes_hash(point.attributes()))
    }

    /// As text after the name of what it identifies: `stream/8f2a…`.
    #[must_use]
    pub fn named(self, what: &str) -> String {
        format!("{what}/{:x}", self.0)
    }

    fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

/// Zeros without attributes, else two hashes of what [`put_map`] writes.
fn attributes_hash(attributes: AttributesView<'_>) -> [u8; 16] {
    let mut hash = [0; 16];
    if attributes.is_empty() {
        return hash;
    }
    let mut text = Vec::with_capacity(512);
    put_map(attributes, &mut text);
    let (first, second) = hash.split_at_mut(8);
    first.copy_from_slice(&xxh64(&text, 0).to_le_bytes());
    text.push(0xf3);
    second.copy_from_slice(&xxh64(&text, 0).to_le_bytes());
    hash
}

/// Pairs in the order of their keys. Of a key that occurs several times the first value counts, as often as it occurs.
fn put_map(map: AttributesView<'_>, out: &mut Vec<u8>) {
    let mut pairs: Vec<(&str, ValueView<'_>)> = map.iter().map(|pair| (pair.key(), pair.value())).collect();
    pairs.sort_by_key(|(key, _)| *key);
    let mut first: Option<(&str, ValueView<'_>)> = None;
    for (key, value) in pairs {
        let value = match first {
            Some((known, value)) if known == key => value,
            _ => value,
        };
        first = Some((key, value));
        out.push(0xf4);
        out.extend_from_slice(key.as_bytes());
        put_value(value, out);
    }
}

/// Recursion is bounded by validation, which bounds how deep values nest.
fn put_value(value: ValueView<'_>, out: &mut Vec<u8>) {
    match value {
        ValueView::Empty | ValueView::StrIndex(_) => out.push(0xf5),
        ValueView::Bytes(bytes) => {
            out.push(0xf6);
            out.extend_from_slice(bytes);
        }
        ValueView::Str(text) => {
            out.push(0xf7);
            out.extend_from_slice(text.as_bytes());
        }
        ValueView::Bool(flag) => out.push(if flag { 0xf8 } else { 0xf9 }),
        ValueView::I64(number) => {
            out.push(0xfa);
            out.extend_from_slice(&number.to_le_bytes());
        }
        ValueView::F64(number) => {
            out.push(0xfb);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        ValueView::KvList(map) => {
            out.push(0xfc);
            put_map(map, out);
            out.push(0xfd);
        }
        ValueView::Array(list) => {
            out.push(0xfe);
            list.iter().for_each(|value| put_value(value, out));
            out.push(0xff);
        }
    }
}
