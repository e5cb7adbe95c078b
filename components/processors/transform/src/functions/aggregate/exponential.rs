//! Merging the points of exponential histograms: those of the same flags, and that have or lack minimum and maximum alike.
//!
//! Scales may differ, as the data model means them to: the coarsest is taken. Points that counted nothing add nothing.
//! The sum is left out if one of the points has none. Exemplars of all points are kept.

use pdata::view::ExponentialHistogramPointView;
use pdata::wire::{put_fixed64, put_varint_field, zigzag};

use super::super::exponential::Joined;
use super::super::fields::{copy_as, copy_without};
use super::super::metric::put_time;
use super::earliest;
use super::histogram::put_double;

/// Writes the content of the merged point.
pub(super) fn merge(points: &[&[u8]], out: &mut Vec<u8>) {
    let mut views: Vec<ExponentialHistogramPointView<'_>> =
        points.iter().map(|point| ExponentialHistogramPointView::new(point)).collect();
    if views.iter().any(|view| view.count() > 0) {
        views.retain(|view| view.count() > 0);
    } else {
        views.truncate(1);
    }
    let Some((first, others)) = views.split_first() else { return };
    copy_without(first.as_bytes(), &[2, 4, 5, 6, 7, 8, 9, 12, 13, 14], out);
    put_time(out, 2, earliest(views.iter().map(|view| view.start_time_unix_nano())));
    put_fixed64(out, 4, views.iter().map(|view| view.count()).fold(0, u64::saturating_add));
    put_double(out, 5, views.iter().map(|view| view.sum()).sum());
    let joined = Joined::of(&views);
    if joined.scale != 0 {
        put_varint_field(out, 6, zigzag(joined.scale.into()));
    }
    if joined.zero_count != 0 {
        put_fixed64(out, 7, joined.zero_count);
    }
    joined.positive.put(out, 8);
    joined.negative.put(out, 9);
    for other in others {
        copy_as(other.as_bytes(), 11, 11, out);
    }
    put_double(out, 12, views.iter().filter_map(|view| view.min()).reduce(f64::min));
    put_double(out, 13, views.iter().filter_map(|view| view.max()).reduce(f64::max));
    if joined.zero_threshold > 0.0 {
        put_fixed64(out, 14, joined.zero_threshold.to_bits());
    }
}
