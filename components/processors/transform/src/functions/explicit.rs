//! `convert_exponential_histogram_to_histogram`.
//!
//! The bucket `i` of a histogram holds what is above bound `i - 1` and not above bound `i`; the last one what is above all
//! bounds, so there is one more than there are bounds. An exponential bucket within one of them goes there. How one that
//! reaches over a bound is split is what the distributions differ in.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, RunError, Subject, Value};
use pdata::view::{BucketsView, ExponentialHistogramPointView, MetricKind};
use pdata::wire::{Fields, put_len};

use super::exponential::bound;
use super::fields::{copy_as, put_fixed_list, whole};
use super::metric::{copy_but_points, data, opened, points};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "convert_exponential_histogram_to_histogram",
    params: &[Param::required("distribution_fn", ParamKind::Text), Param::required("explicit_bounds", ParamKind::List)],
    contexts: &[Context::Metric],
    build: |arguments: &mut Arguments| {
        let distribution = match arguments.text("distribution_fn")?.as_str() {
            "upper" => Distribution::Upper,
            "midpoint" => Distribution::Midpoint,
            "uniform" => Distribution::Uniform,
            "random" | "" => Distribution::Random,
            other => {
                return Err(format!(
                    "`distribution_fn` must be `upper`, `midpoint`, `uniform` or `random`, not `{other}`"
                ));
            }
        };
        let bounds = arguments.list("explicit_bounds")?;
        let bounds = bounds.iter().map(|bound| match bound.literal() {
            Some(Value::Float(bound)) => Ok(*bound),
            Some(Value::Int(bound)) => Ok(*bound as f64),
            _ => Err("`explicit_bounds` must be literal numbers".to_owned()),
        });
        let bounds: Vec<f64> = bounds.collect::<Result<_, _>>()?;
        if bounds.is_empty() || !bounds.is_sorted_by(|a, b| a < b) {
            return Err("`explicit_bounds` must be numbers that ascend, at least one".to_owned());
        }
        Ok(Built::Editor(Box::new(ToExplicit { distribution, bounds })))
    },
}];

/// Where the values of an exponential bucket that reaches over a bound go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distribution {
    /// Where its upper bound is.
    Upper,
    /// Where the middle between its bounds is.
    Midpoint,
    /// In equal parts to all buckets it touches.
    Uniform,
    /// By chance to the buckets it reaches into. Of the same point it makes the same each time.
    Random,
}

struct ToExplicit {
    distribution: Distribution,
    bounds: Vec<f64>,
}

impl Change for ToExplicit {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let metric = opened(on)?;
        let Some((MetricKind::ExponentialHistogram, at)) = data(on)? else { return Ok(()) };
        let data = on.editor.bytes(at);
        let (mut content, mut point) = (Vec::with_capacity(data.len()), Vec::new());
        for exponential in points(data) {
            point.clear();
            self.point(exponential, &mut point);
            put_len(&mut content, 1, &point);
        }
        copy_but_points(data, &mut content);
        on.editor.set_whole(metric, MetricKind::Histogram.field(), &content)?;
        Ok(())
    }
}

impl ToExplicit {
    /// Writes the content of a histogram's point.
    fn point(&self, exponential: &[u8], out: &mut Vec<u8>) {
        // Start, time, count, sum, flags, min, max, exemplars, attributes.
        let same = [(2, 2), (3, 3), (4, 4), (5, 5), (10, 10), (12, 11), (13, 12), (11, 8), (1, 9)];
        for (number, other) in same {
            copy_as(exponential, number, other, out);
        }
        // What later versions of OTLP know.
        for field in Fields::new(exponential).filter(|field| field.number > 14) {
            out.extend_from_slice(whole(exponential, &field));
        }
        put_fixed_list(out, 6, self.counts(ExponentialHistogramPointView::new(exponential)));
        put_fixed_list(out, 7, self.bounds.iter().map(|bound| bound.to_bits()));
    }

    /// Values per bucket; as many in all as in the buckets of the point.
    fn counts(&self, point: ExponentialHistogramPointView<'_>) -> Vec<u64> {
        let mut counts = vec![0; self.bounds.len() + 1];
        let mut random = Random::of(point.as_bytes());
        add(&mut counts, self.bucket_of(0.0), point.zero_count());
        for (count, index) in filled(point.negative()) {
            let (near, far) = (bound(index as f64, point.scale()), bound((index + 1) as f64, point.scale()));
            self.distribute(count, -far, -near, &mut counts, &mut random);
        }
        for (count, index) in filled(point.positive()) {
            let (near, far) = (bound(index as f64, point.scale()), bound((index + 1) as f64, point.scale()));
            self.distribute(count, near, far, &mut counts, &mut random);
        }
        counts
    }

    /// The bucket that holds a value.
    fn bucket_of(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    /// Adds the values of a bucket from `lower` (exclusive) to `upper`.
    fn distribute(&self, count: u64, lower: f64, upper: f64, counts: &mut [u64], random: &mut Random) {
        let first = self.bounds.partition_point(|bound| *bound <= lower);
        let last = self.bucket_of(upper).max(first);
        if first == last {
            return add(counts, first, count);
        }
        match self.distribution {
            Distribution::Upper => add(counts, last, count),
            Distribution::Midpoint => add(counts, self.bucket_of(lower + (upper - lower) / 2.0), count),
            Distribution::Uniform => {
                // A bound on the lower end is touched.
                let first = self.bucket_of(lower);
                let parts = (last - first + 1) as u64;
                for (bucket, part) in (first..=last).zip(0..) {
                    add(counts, bucket, count / parts + u64::from(part < count % parts));
                }
            }
            Distribution::Random => self.at_random(count, (lower, upper), first..=last, counts, random),
        }
    }

    /// To each bucket up to as much as its part in the range, the rest to any of them.
    fn at_random(
        &self,
        count: u64,
        (lower, upper): (f64, f64),
        buckets: std::ops::RangeInclusive<usize>,
        counts: &mut [u64],
        random: &mut Random,
    ) {
        let (first, number) = (*buckets.start(), (buckets.end() - buckets.start() + 1) as u64);
        let mut left = count;
        for bucket in buckets.clone() {
            let from =
                bucket.checked_sub(1).and_then(|below| self.bounds.get(below)).map_or(lower, |from| from.max(lower));
            let to = self.bounds.get(bucket).map_or(upper, |to| to.min(upper));
            let part = Some((to - from) / (upper - lower)).filter(|part| part.is_finite()).unwrap_or(0.0);
            let share = ((count as f64 * part * random.fraction()) as u64).min(left);
            add(counts, bucket, share);
            left -= share;
        }
        // A large rest is even but for the last thousand draws.
        let even = left.saturating_sub(1000) / number;
        for bucket in buckets {
            add(counts, bucket, even);
        }
        for _ in 0..left - even * number {
            add(counts, first + (random.fraction() * number as f64) as usize, 1);
        }
    }
}

/// The counts of buckets that hold something, with their indices.
fn filled(buckets: Option<BucketsView<'_>>) -> impl Iterator<Item = (u64, i64)> {
    let offset = buckets.map_or(0, |buckets| i64::from(buckets.offset()));
    let counts = buckets.into_iter().flat_map(|buckets| buckets.bucket_counts());
    counts.zip(offset..).filter(|(count, _)| *count > 0)
}

fn add(counts: &mut [u64], bucket: usize, count: u64) {
    if let Some(total) = counts.get_mut(bucket) {
        *total = total.saturating_add(count);
    }
}

/// Chance that repeats itself for the same point, so that a batch that is processed again comes out the same.
struct Random(u64);

impl Random {
    /// FNV-1a.
    fn of(bytes: &[u8]) -> Self {
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// At least 0, below 1. `SplitMix64`.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as f64 / u64::MAX as f64 * (1.0 - f64::EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::testing::{Sample, check, refused, run};
    use ottl::Context::Metric;

    type Side<'a> = (i32, &'a [u64]);

    fn metric(scale: i32, zeros: u64, positive: Side<'_>, negative: Side<'_>) -> Sample {
        Sample::exponential("e", 2).unit("s").buckets(1, scale, zeros, positive, negative)
    }

    /// The buckets as they are after a conversion.
    fn converted(distribution: &str, bounds: &str, metric: Sample) -> String {
        let statement = format!("convert_exponential_histogram_to_histogram(\"{distribution}\", {bounds})");
        let (metrics, errors) = run(Metric, &[&statement], &[metric]);
        assert_eq!(errors, [""; 0]);
        let (_, buckets) = metrics[0].split_once('[').and_then(|(_, rest)| rest.split_once('[')).unwrap();
        buckets.split(']').next().unwrap().to_owned()
    }

    #[test]
    fn whatever_is_known_of_a_point_stays() {
        let sample = metric(0, 2, (0, &[3]), (0, &[]))
            .attributes(&[("a", "x")])
            .start(7)
            .sum_min_max(4.0, 0.0, 2.0)
            .flags(2)
            .exemplar(1.5)
            .unknown()
            .buckets(2, 0, 0, (0, &[]), (0, &[]));
        let statement = "convert_exponential_histogram_to_histogram(\"upper\", [0, 1.0, 10])";
        let expected = "e[s] histogram 2: {a=x}@7-1 n5 sum4 min0 max2 [2 (0) 0 (1) 3 (10) 0] flags2 ex1.5 unknown \
                        | {}@2 n0 [0 (0) 0 (1) 0 (10) 0]";
        check(Metric, &[statement], &[sample], &[expected]);
        let others = [Sample::exponential("none", 1), Sample::gauge("g").int(1, 2, &[])];
        check(Metric, &[statement], &others, &["none histogram 1:", "g gauge: {}@1 2"]);
    }

    #[test]
    fn buckets_within_a_bucket_go_there_whatever_the_distribution() {
        for distribution in ["upper", "midpoint", "uniform", "random", ""] {
            for (bounds, sample, expected) in [
                ("[1.0, 2.0, 4.0, 8.0]", metric(0, 0, (0, &[1, 2, 3, 4]), (0, &[])), "0 (1) 1 (2) 2 (4) 3 (8) 4"),
                ("[100.0]", metric(0, 5, (0, &[1, 2]), (0, &[3])), "11 (100) 0"),
                ("[0.5]", metric(0, 5, (0, &[1, 2]), (0, &[3])), "8 (0.5) 3"),
                ("[-1.0, 0.0]", metric(0, 5, (0, &[1, 2]), (0, &[3])), "3 (-1) 5 (0) 3"),
                ("[-4.0, -2.0, -1.0]", metric(0, 0, (0, &[]), (0, &[7, 9])), "0 (-4) 9 (-2) 7 (-1) 0"),
            ] {
                assert_eq!(converted(distribution, bounds, sample), expected, "{distribution} {bounds}");
            }
        }
    }

    #[test]
    fn buckets_over_bounds_are_split() {
        // From 8 to 16.
        let sample = || metric(0, 0, (3, &[10]), (0, &[]));
        for (distribution, bounds, expected) in [
            ("upper", "[5, 10, 15, 20, 25]", "0 (5) 0 (10) 0 (15) 10 (20) 0 (25) 0"),
            ("upper", "[5, 10, 15]", "0 (5) 0 (10) 0 (15) 10"),
            ("midpoint", "[5, 10, 15, 20, 25]", "0 (5) 0 (10) 10 (15) 0 (20) 0 (25) 0"),
            ("midpoint", "[10, 11]", "0 (10) 0 (11) 10"),
            ("uniform", "[5, 10, 15, 20, 25]", "0 (5) 4 (10) 3 (15) 3 (20) 0 (25) 0"),
            // As documented: a bound on the lower end counts as touched.
            ("uniform", "[5, 8, 12, 16, 20]", "0 (5) 4 (8) 3 (12) 3 (16) 0 (20) 0"),
            ("uniform", "[10]", "5 (10) 5"),
        ] {
            assert_eq!(converted(distribution, bounds, sample()), expected, "{distribution} {bounds}");
        }
        // From -16 to -8.
        let below = || metric(0, 0, (0, &[]), (3, &[10]));
        assert_eq!(converted("upper", "[-12, -6]", below()), "0 (-12) 10 (-6) 0");
        assert_eq!(converted("midpoint", "[-13, -6]", below()), "0 (-13) 10 (-6) 0");
        assert_eq!(converted("uniform", "[-12, -6]", below()), "5 (-12) 5 (-6) 0");
    }

    #[test]
    fn all_values_are_kept() {
        let counts = [u64::MAX / 8, 1_000_000_007, 3];
        let bounds = [-3.0, 0.0, 0.3, 1.0, 5.0, 7.5, 40.0];
        let mut spread = false;
        for distribution in [Distribution::Upper, Distribution::Midpoint, Distribution::Uniform, Distribution::Random] {
            let convert = ToExplicit { distribution, bounds: bounds.to_vec() };
            for scale in [-12, -3, 0, 1, 4, 20] {
                for offset in [-40, -3, 0, 5, i32::MAX - 9] {
                    let sample = metric(scale, 9, (offset, &counts), (offset, &counts));
                    let point = sample.points[0].clone();
                    let converted = convert.counts(ExponentialHistogramPointView::new(&point));
                    let expected = 2 * counts.iter().sum::<u64>() + 9;
                    assert_eq!(converted.iter().sum::<u64>(), expected, "{distribution:?} {scale} {offset}");
                    let again = convert.counts(ExponentialHistogramPointView::new(&point));
                    assert_eq!(converted, again, "the same each time");
                    spread |= converted.iter().filter(|count| **count > 1000).count() > 4;
                }
            }
        }
        assert!(spread, "values were split");
    }

    #[test]
    fn chance_stays_within_the_range() {
        let sample = metric(0, 0, (3, &[1_000_000]), (0, &[]));
        let buckets = converted("random", "[5, 10, 15, 20, 25]", sample);
        let counts: Vec<u64> = buckets.split(' ').step_by(2).map(|count| count.parse().unwrap()).collect();
        assert_eq!((counts[0], counts[4], counts[5]), (0, 0, 0), "{buckets}");
        assert!(counts[1..4].iter().all(|count| *count > 10_000), "{buckets}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (arguments, error) in [
            ("\"lower\", [1.0]", "not `lower`"),
            ("\"upper\", []", "at least one"),
            ("\"upper\", [1.0, 1.0]", "ascend"),
            ("\"upper\", [2.0, 1.0]", "ascend"),
            ("\"upper\", [\"a\"]", "literal numbers"),
            ("\"upper\", 1.0", "explicit_bounds"),
            ("\"upper\"", "explicit_bounds"),
        ] {
            refused(Metric, &format!("convert_exponential_histogram_to_histogram({arguments})"), error);
        }
    }
}
