//! `extract_percentile_metric`: a gauge of a percentile that the buckets of a histogram tell.
//!
//! Within a bucket, values are taken to be spread evenly: over the numbers for explicit bounds, over their logarithms for
//! exponential ones.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, RunError, Subject};
use pdata::view::{BucketsView, DataPointView, ExponentialHistogramPointView, HistogramPointView, MetricKind, Number};

use super::exponential::bound;
use super::metric::{self, NewMetric, Shape};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "extract_percentile_metric",
    params: &[Param::required("percentile", ParamKind::Float), Param::optional("suffix", ParamKind::Text)],
    contexts: &[Context::Metric],
    build: |arguments: &mut Arguments| {
        let percentile = arguments.float("percentile")?;
        if !(percentile > 0.0 && percentile < 100.0) {
            return Err(format!("`percentile` must be above 0 and below 100, not {percentile}"));
        }
        let suffix = arguments.text_opt("suffix").filter(|suffix| !suffix.is_empty());
        let suffix = suffix.unwrap_or_else(|| format!("_p{percentile}"));
        Ok(Built::Editor(Box::new(Percentile { percentile, suffix })))
    },
}];

struct Percentile {
    percentile: f64,
    suffix: String,
}

impl Change for Percentile {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let metric = metric::view(on)?;
        let Some(kind @ (MetricKind::Histogram | MetricKind::ExponentialHistogram)) = metric.kind() else {
            return Ok(());
        };
        let mut gauge = NewMetric::beside(metric, &self.suffix, Shape::Gauge);
        gauge.description = match metric.description() {
            "" => format!("p{}", self.percentile),
            description => format!("{description} (p{})", self.percentile),
        };
        for point in metric.data_points() {
            let value = match point {
                DataPointView::Histogram(point) => self.explicit(point)?,
                DataPointView::ExponentialHistogram(point) => self.exponential(point)?,
                _ => None,
            };
            if let Some(value) = value {
                gauge.point(point, kind, Number::Double(value));
            }
        }
        gauge.append(on)
    }
}

impl Percentile {
    /// The rank of the value that is looked for, from 1.
    fn rank(&self, count: u64) -> u64 {
        ((count as f64 * (self.percentile / 100.0)).ceil() as u64).max(1)
    }

    /// `None` for points without buckets or values.
    fn explicit(&self, point: HistogramPointView<'_>) -> Result<Option<f64>, RunError> {
        let (counts, bounds): (Vec<u64>, Vec<f64>) =
            (point.bucket_counts().collect(), point.explicit_bounds().collect());
        if point.count() == 0 || counts.is_empty() {
            return Ok(None);
        }
        if counts.len() != bounds.len() + 1 {
            return Err(RunError::new(format!(
                "a histogram has {} buckets for {} bounds, expected one more than bounds",
                counts.len(),
                bounds.len()
            )));
        }
        let Some((bucket, ratio)) = find(counts.iter().copied(), self.rank(point.count()), 0) else {
            return Err(too_few(counts.iter().copied(), point.count()));
        };
        let below = bucket.checked_sub(1).and_then(|below| bounds.get(below)).copied();
        let (lower, upper) = match (below, bounds.get(bucket).copied()) {
            (None, None) => match (point.min(), point.max()) {
                (Some(min), Some(max)) => (min, max),
                _ => return Ok(None),
            },
            (None, Some(upper)) => match point.min().filter(|min| *min < upper) {
                Some(min) => (min, upper),
                None if upper < 0.0 => return Ok(Some(upper)),
                None => (0.0, upper),
            },
            (Some(lower), Some(upper)) => (lower, upper),
            (Some(lower), None) => match point.max().filter(|max| *max > lower) {
                Some(max) => (lower, max),
                None => return Ok(Some(lower)),
            },
        };
        Ok(Some(lower + ratio * (upper - lower)))
    }

    /// `None` for points without buckets or values.
    fn exponential(&self, point: ExponentialHistogramPointView<'_>) -> Result<Option<f64>, RunError> {
        let side = |buckets: Option<BucketsView<'_>>| -> (i64, Vec<u64>) {
            buckets.map_or((0, Vec::new()), |side| (side.offset().into(), side.bucket_counts().collect()))
        };
        let ((negative_offset, negative), (positive_offset, positive)) =
            (side(point.negative()), side(point.positive()));
        let zeros = point.zero_count();
        if point.count() == 0 || (negative.is_empty() && positive.is_empty() && zeros == 0) {
            return Ok(None);
        }
        let rank = self.rank(point.count());
        let at = |index: i64, ratio: f64| {
            let value = bound(index as f64 + ratio, point.scale());
            if value.is_finite() && value > 0.0 {
                return Ok(value);
            }
            Err(RunError::new(format!("bucket {index} of scale {} is beyond what numbers can express", point.scale())))
        };
        // From the most negative values up.
        if let Some((behind, ratio)) = find(negative.iter().rev().copied(), rank, 0) {
            let index = negative_offset + (negative.len() - 1 - behind) as i64;
            return Ok(Some(-at(index, 1.0 - ratio)?));
        }
        let before = total(negative.iter().copied());
        if let Some((_, ratio)) = find([zeros], rank, before) {
            let threshold = point.zero_threshold();
            let (lower, upper) = match (negative.is_empty(), positive.is_empty()) {
                (true, false) => (0.0, threshold),
                (false, true) => (-threshold, 0.0),
                _ => (-threshold, threshold),
            };
            return Ok(Some(lower + ratio * (upper - lower)));
        }
        match find(positive.iter().copied(), rank, before.saturating_add(zeros)) {
            Some((bucket, ratio)) => Ok(Some(at(positive_offset + bucket as i64, ratio)?)),
            None => Err(too_few(negative.into_iter().chain([zeros]).chain(positive), point.count())),
        }
    }
}

fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The bucket in which the value of that rank is, and how much of the bucket is up to it, above 0 and up to 1.
fn find(counts: impl IntoIterator<Item = u64>, rank: u64, before: u64) -> Option<(usize, f64)> {
    let mut below = before;
    for (bucket, count) in counts.into_iter().enumerate() {
        let up_to = below.saturating_add(count);
        if up_to >= rank {
            return Some((bucket, rank.saturating_sub(below) as f64 / count as f64));
        }
        below = up_to;
    }
    None
}

fn too_few(counts: impl IntoIterator<Item = u64>, count: u64) -> RunError {
    RunError::new(format!("the buckets of a histogram hold {} values, its count says {count}", total(counts)))
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, fails, refused, run};
    use ottl::Context::Metric;

    /// The value of a percentile; `None` when there is no metric of it.
    fn percentile(percentile: &str, metric: Sample) -> Option<String> {
        let (metrics, errors) = run(Metric, &[&format!("extract_percentile_metric({percentile})")], &[metric]);
        assert_eq!(errors, [""; 0]);
        let gauge = metrics.get(1)?;
        Some(gauge.rsplit(' ').next().unwrap().to_owned())
    }

    #[test]
    fn explicit_buckets_are_interpolated() {
        let histogram = |counts: &[u64], bounds: &[f64]| Sample::histogram("h", 1).explicit(1, counts, bounds);
        for (p, metric, expected) in [
            ("50", histogram(&[60, 40], &[1.0]), "0.833333"),
            ("99.0", histogram(&[50, 35, 50], &[1.0, 5.0]).count(115), "5"),
            ("95.0", histogram(&[50, 35, 50, 15], &[1.0, 3.0, 5.0]).count(115), "4"),
            ("99.5", histogram(&[100, 400, 400, 95, 5], &[0.1, 0.5, 1.0, 5.0]), "5"),
            ("99", histogram(&[25, 50, 25], &[100.0, 500.0]).max(750.0), "740"),
            ("75", histogram(&[40, 1], &[100.0]), "77.5"),
            ("90", histogram(&[50, 100, 200, 300, 200, 100, 50], &[10.0, 25.0, 50.0, 100.0, 250.0, 500.0]), "375"),
            ("50", histogram(&[40, 60], &[10.0]), "10"),
            ("50", histogram(&[100], &[]).min(5.0).max(25.0), "15"),
            ("50", histogram(&[100, 0], &[-5.0]), "-5"),
            ("50", histogram(&[100, 0], &[-5.0]).min(-10.0), "-7.5"),
            ("99", histogram(&[1, 1], &[7.0]).max(3.0), "7"),
        ] {
            assert_eq!(percentile(p, metric.clone()).as_deref(), Some(expected), "{p} {metric:?}");
        }
        for metric in [
            histogram(&[0, 0], &[1.0]),
            histogram(&[], &[]).count(10),
            histogram(&[100], &[]),
            histogram(&[100], &[]).min(1.0),
            Sample::histogram("none", 1),
            Sample::gauge("g").int(1, 2, &[]),
            Sample::summary("q").quantiles(1, 4, 20.0, &[(0.5, 3.0)], &[]),
            Sample::empty("m"),
        ] {
            assert_eq!(percentile("50", metric.clone()), None, "{metric:?}");
        }
    }

    #[test]
    fn exponential_buckets_are_interpolated_by_logarithm() {
        type Side<'a> = (i32, &'a [u64]);
        let metric = |scale: i32, zeros: u64, positive: Side<'_>, negative: Side<'_>| {
            Sample::exponential("e", 1).buckets(1, scale, zeros, positive, negative)
        };
        for (p, metric, expected) in [
            // Four values from 1 to 16: the second ends its bucket at 4.
            ("50", metric(0, 0, (0, &[1, 1, 1, 1]), (0, &[])), "4"),
            ("75", metric(-1, 0, (0, &[2, 2]), (0, &[])), "8"),
            ("50", metric(1, 0, (2, &[2]), (0, &[])), "2.378414"),
            ("25", metric(0, 0, (0, &[1, 1]), (0, &[1, 1])), "-2"),
            ("50", metric(0, 0, (0, &[1, 1]), (0, &[1, 1])), "-1"),
            ("50", metric(0, 4, (0, &[]), (0, &[])).zero_threshold(0.5), "0"),
            ("50", metric(0, 4, (0, &[1]), (0, &[])).zero_threshold(0.5), "0.375"),
            ("50", metric(0, 4, (0, &[]), (0, &[1])).zero_threshold(0.5), "-0.25"),
            ("0.0001", metric(0, 0, (0, &[]), (3, &[1, 0])), "-8"),
        ] {
            assert_eq!(percentile(p, metric.clone()).as_deref(), Some(expected), "{p} {metric:?}");
        }
        assert_eq!(percentile("50", metric(0, 0, (0, &[]), (0, &[])).count(3)), None);
        assert_eq!(percentile("50", Sample::exponential("none", 1)), None);
    }

    #[test]
    fn gauges_are_named_after_the_percentile() {
        let metric = || {
            let metric = Sample::histogram("h", 1).unit("s").explicit(3, &[2, 0], &[8.0]);
            metric.attributes(&[("a", "x")]).start(2).explicit(4, &[0, 0], &[8.0])
        };
        let kept = "h[s] histogram 1: {a=x}@2-3 n2 [2 (8) 0] | {}@4 n0 [0 (8) 0]";
        for (arguments, gauge) in [
            ("50", "h_p50[s](p50) gauge: {a=x}@2-3 4"),
            ("99.9", "h_p99.9[s](p99.9) gauge: {a=x}@2-3 8"),
            ("50.0, \".median\"", "h.median[s](p50) gauge: {a=x}@2-3 4"),
            ("suffix=\"\", percentile=50.0", "h_p50[s](p50) gauge: {a=x}@2-3 4"),
        ] {
            check(Metric, &[&format!("extract_percentile_metric({arguments})")], &[metric()], &[kept, gauge]);
        }
        let described = "h[s](d) histogram 1: {a=x}@2-3 n2 [2 (8) 0] | {}@4 n0 [0 (8) 0]";
        let statement = "extract_percentile_metric(50.0)";
        check(Metric, &[statement], &[metric().description("d")], &[described, "h_p50[s](d (p50)) gauge: {a=x}@2-3 4"]);
    }

    #[test]
    fn what_makes_no_sense_fails() {
        let statement = "extract_percentile_metric(99)";
        let histogram = |counts: &[u64], bounds: &[f64]| Sample::histogram("h", 1).explicit(1, counts, bounds);
        fails(Metric, statement, &[histogram(&[1, 2], &[])], "2 buckets for 0 bounds");
        fails(Metric, statement, &[histogram(&[1, 2], &[1.0]).count(9)], "hold 3 values, its count says 9");
        let exponential = |scale, offset| Sample::exponential("e", 1).buckets(1, scale, 0, (offset, &[1]), (0, &[]));
        fails(Metric, statement, &[exponential(0, 0).count(9)], "hold 1 values, its count says 9");
        fails(Metric, statement, &[exponential(-10, i32::MAX)], "beyond what numbers can express");
        for text in ["0", "100", "-1", "100.5"] {
            refused(Metric, &format!("extract_percentile_metric({text})"), "above 0 and below 100");
        }
    }
}
