//! Merging the points of histograms with explicit bounds: those of the same bounds, the same flags, and that have or lack
//! minimum and maximum alike.
//!
//! Points that counted nothing add nothing. The sum is left out if one of the points has none: it would not be the sum of
//! the values counted. Exemplars of all points are kept.

use pdata::view::HistogramPointView;
use pdata::wire::put_fixed64;

use super::super::fields::{copy_as, copy_without, put_fixed_list};
use super::super::metric::put_time;
use super::earliest;

/// Writes the content of the merged point.
pub(super) fn merge(points: &[&[u8]], out: &mut Vec<u8>) {
    let mut views: Vec<HistogramPointView<'_>> = points.iter().map(|point| HistogramPointView::new(point)).collect();
    if views.iter().any(|view| view.count() > 0) {
        views.retain(|view| view.count() > 0);
    } else {
        views.truncate(1);
    }
    let Some((first, others)) = views.split_first() else { return };
    copy_without(first.as_bytes(), &[2, 4, 5, 6, 11, 12], out);
    put_time(out, 2, earliest(views.iter().map(|view| view.start_time_unix_nano())));
    put_fixed64(out, 4, views.iter().map(|view| view.count()).fold(0, u64::saturating_add));
    put_double(out, 5, views.iter().map(|view| view.sum()).sum());
    let mut counts: Vec<u64> = first.bucket_counts().collect();
    for other in others {
        for (total, count) in counts.iter_mut().zip(other.bucket_counts()) {
            *total = total.saturating_add(count);
        }
    }
    put_fixed_list(out, 6, counts);
    for other in others {
        copy_as(other.as_bytes(), 8, 8, out);
    }
    put_double(out, 11, views.iter().filter_map(|view| view.min()).reduce(f64::min));
    put_double(out, 12, views.iter().filter_map(|view| view.max()).reduce(f64::max));
}

/// Appends a number that may be left out.
pub(super) fn put_double(out: &mut Vec<u8>, number: u32, value: Option<f64>) {
    if let Some(value) = value {
        put_fixed64(out, number, value.to_bits());
    }
}
