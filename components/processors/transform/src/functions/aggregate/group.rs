//! Which points belong together.

use std::collections::HashMap;

use pdata::view::{AttributesView, DataPointView, MetricKind, ValueView};

/// The indices of points that belong together, in the order of the first of each.
pub(super) fn by_key<P: AsRef<[u8]>>(kind: MetricKind, points: &[P], is_delta: bool) -> Vec<Vec<usize>> {
    let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(points.len());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let next = groups.len();
        let place = *places.entry(key(DataPointView::new(kind, point.as_ref()), is_delta)).or_insert(next);
        match groups.get_mut(place) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// Equal for points that are merged, and for no others.
fn key(point: DataPointView<'_>, is_delta: bool) -> Vec<u8> {
    let mut key = point.time_unix_nano().to_le_bytes().to_vec();
    if is_delta {
        key.extend_from_slice(&point.start_time_unix_nano().to_le_bytes());
    }
    let mut extremes = |has_min: bool, has_max: bool, flags: u32| {
        key.extend_from_slice(&[u8::from(has_min), u8::from(has_max)]);
        key.extend_from_slice(&flags.to_le_bytes());
    };
    match point {
        DataPointView::Histogram(point) => {
            extremes(point.min().is_some(), point.max().is_some(), point.flags());
            put_count(point.bucket_counts().count(), &mut key);
            put_count(point.explicit_bounds().count(), &mut key);
            for bound in point.explicit_bounds() {
                key.extend_from_slice(&bound.to_bits().to_le_bytes());
            }
        }
        DataPointView::ExponentialHistogram(point) => {
            extremes(point.min().is_some(), point.max().is_some(), point.flags());
        }
        DataPointView::Number(_) | DataPointView::Summary(_) => {}
    }
    put_map(point.attributes(), &mut key);
    key
}

/// Appends a map so that equal ones are equal in any order of their keys. Of a repeated key the first counts.
fn put_map(map: AttributesView<'_>, out: &mut Vec<u8>) {
    let mut pairs: Vec<_> = map.iter().map(|pair| (pair.key_bytes(), pair)).collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs.dedup_by_key(|(key, _)| *key);
    put_count(pairs.len(), out);
    for (key, pair) in pairs {
        put_bytes(key, out);
        put_value(pair.value(), out);
    }
}

/// Recursion is bounded by how deep values nest.
fn put_value(value: ValueView<'_>, out: &mut Vec<u8>) {
    let (kind, bytes) = match value {
        ValueView::Empty => (0, &[][..]),
        ValueView::Str(text) => (1, text.as_bytes()),
        ValueView::Bytes(bytes) => (2, bytes),
        ValueView::Bool(truth) => (3, if truth { &[1][..] } else { &[0][..] }),
        ValueView::I64(int) => return put_bits(4, int.cast_unsigned(), out),
        ValueView::F64(float) => return put_bits(5, float.to_bits(), out),
        ValueView::StrIndex(index) => return put_bits(6, i64::from(index).cast_unsigned(), out),
        ValueView::Array(list) => {
            out.push(7);
            put_count(list.iter().count(), out);
            return list.iter().for_each(|value| put_value(value, out));
        }
        ValueView::KvList(map) => {
            out.push(8);
            return put_map(map, out);
        }
    };
    out.push(kind);
    put_bytes(bytes, out);
}

fn put_bits(kind: u8, bits: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&bits.to_le_bytes());
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}
