//! New sums and gauges from what histograms and summaries hold: `extract_count_metric`, `extract_sum_metric`,
//! `convert_summary_count_val_to_sum`, `convert_summary_sum_val_to_sum`, `convert_summary_quantile_val_to_gauge`.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, RunError, Subject};
use pdata::build::Temporality;
use pdata::view::{DataPointView, MetricKind, MetricView, Number};

use super::metric::{self, METRICS, NewMetric, Shape, kind_name, opened};

const MONOTONIC: Param = Param::required("monotonic", ParamKind::Bool);
const TEMPORALITY: Param = Param::required("string_agg_temp", ParamKind::Text);
const SUFFIX: Param = Param::optional("suffix", ParamKind::Text);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "extract_count_metric",
        params: &[MONOTONIC, SUFFIX],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| extract(arguments, What::Count),
    },
    Function {
        name: "extract_sum_metric",
        params: &[MONOTONIC, SUFFIX],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| extract(arguments, What::Sum),
    },
    Function {
        name: "convert_summary_count_val_to_sum",
        params: &[TEMPORALITY, MONOTONIC, SUFFIX],
        contexts: &[Context::Metric, Context::DataPoint],
        build: |arguments: &mut Arguments| from_summary(arguments, What::Count),
    },
    Function {
        name: "convert_summary_sum_val_to_sum",
        params: &[TEMPORALITY, MONOTONIC, SUFFIX],
        contexts: &[Context::Metric, Context::DataPoint],
        build: |arguments: &mut Arguments| from_summary(arguments, What::Sum),
    },
    Function {
        name: "convert_summary_quantile_val_to_gauge",
        params: &[Param::optional("attribute_key", ParamKind::Text), SUFFIX],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            let key = arguments.text_opt("attribute_key").unwrap_or_else(|| "quantile".to_owned());
            let suffix = arguments.text_opt("suffix").unwrap_or_else(|| ".quantiles".to_owned());
            Ok(Built::Editor(Box::new(Quantiles { key, suffix })))
        },
    },
];

#[derive(Clone, Copy, Debug)]
enum What {
    Count,
    Sum,
}

impl What {
    fn suffix(self, given: Option<String>) -> String {
        given.unwrap_or_else(|| {
            match self {
                Self::Count => "_count",
                Self::Sum => "_sum",
            }
            .to_owned()
        })
    }

    /// Of a point that has one; `None` for sums that are not there.
    fn of(self, point: DataPointView<'_>) -> Option<Number> {
        use DataPointView::{ExponentialHistogram, Histogram, Number as Plain, Summary};
        let count = |count: u64| Some(Number::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        match (self, point) {
            (_, Plain(_)) => None,
            (Self::Count, Histogram(point)) => count(point.count()),
            (Self::Count, ExponentialHistogram(point)) => count(point.count()),
            (Self::Count, Summary(point)) => count(point.count()),
            (Self::Sum, Histogram(point)) => point.sum().map(Number::Double),
            (Self::Sum, ExponentialHistogram(point)) => point.sum().map(Number::Double),
            (Self::Sum, Summary(point)) => Some(Number::Double(point.sum())),
        }
    }

    /// A sum of this of every point of a metric.
    fn metric(self, metric: MetricView<'_>, kind: MetricKind, suffix: &str, shape: Shape) -> NewMetric {
        let mut sum = NewMetric::beside(metric, suffix, shape);
        for point in metric.data_points() {
            if let Some(value) = self.of(point) {
                sum.point(point, kind, value);
            }
        }
        sum
    }
}

fn extract(arguments: &mut Arguments, what: What) -> Result<Built, String> {
    let suffix = what.suffix(arguments.text_opt("suffix"));
    Ok(Built::Editor(Box::new(Extract { what, is_monotonic: arguments.bool("monotonic")?, suffix })))
}

fn from_summary(arguments: &mut Arguments, what: What) -> Result<Built, String> {
    let temporality = metric::temporality(&arguments.text("string_agg_temp")?)?;
    let suffix = what.suffix(arguments.text_opt("suffix"));
    Ok(Built::Editor(Box::new(FromSummary { what, temporality, is_monotonic: arguments.bool("monotonic")?, suffix })))
}

/// A sum of the counts or sums of a histogram or summary; of its temporality.
struct Extract {
    what: What,
    is_monotonic: bool,
    suffix: String,
}

impl Change for Extract {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let metric = metric::view(on)?;
        let temporality = match metric.kind() {
            // What OpenMetrics says of summaries.
            Some(MetricKind::Summary) => Temporality::Cumulative.as_i32(),
            Some(MetricKind::Histogram | MetricKind::ExponentialHistogram) => metric.temporality(),
            _ => 0,
        };
        let Some(kind) = metric.kind().filter(|_| temporality != 0) else {
            let function = match self.what {
                What::Count => "extract_count_metric",
                What::Sum => "extract_sum_metric",
            };
            return Err(RunError::new(format!(
                "`{function}` needs a summary, or a histogram of known temporality, found {}",
                kind_name(metric.kind())
            )));
        };
        let shape = Shape::Sum { temporality, is_monotonic: self.is_monotonic };
        let mut sum = self.what.metric(metric, kind, &self.suffix, shape);
        if matches!(self.what, What::Count) {
            "1".clone_into(&mut sum.unit);
        }
        sum.append(on)
    }
}

/// A sum of the counts or sums of a summary. Nothing for other metrics.
struct FromSummary {
    what: What,
    temporality: Temporality,
    is_monotonic: bool,
    suffix: String,
}

impl Change for FromSummary {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let shape = Shape::Sum { temporality: self.temporality.as_i32(), is_monotonic: self.is_monotonic };
        let metric = metric::view(on)?;
        if metric.kind() != Some(MetricKind::Summary) {
            return Ok(());
        }
        let head = NewMetric::beside(metric, &self.suffix, shape);
        // In the context of data points this is run for each point, and yet takes all of them.
        if on.item.is_some() && is_there(on, &head)? {
            return Ok(());
        }
        self.what.metric(metric::view(on)?, MetricKind::Summary, &self.suffix, shape).append(on)
    }
}

/// Whether the sum of all points of the metric at hand was added already, for an earlier point of it.
fn is_there(on: &mut Subject<'_>, sum: &NewMetric) -> Result<bool, RunError> {
    let scope = on.scope_group.ok_or("there is no scope here")?;
    let (_, added) = on.editor.growth(scope);
    let items = on.editor.at(opened(on)?).map_or(0, |at| on.editor.items_at(at));
    let first = metric::view(on)?.data_points().next().map(|point| times(point));
    let metrics: Vec<_> = on.editor.occurrences(scope, METRICS).collect();
    let from = metrics.len().saturating_sub(added as usize);
    for at in metrics.into_iter().skip(from).rev() {
        if on.editor.items_at(at) != items {
            continue;
        }
        let metric = MetricView::new(on.editor.bytes(at));
        let shape = Shape::Sum { temporality: metric.temporality(), is_monotonic: metric.is_monotonic() };
        if metric.name() == sum.name
            && metric.kind() == Some(MetricKind::Sum)
            && shape == sum.shape
            && (metric.unit(), metric.description()) == (&sum.unit, &sum.description)
            && metric.data_points().next().map(|point| times(point)) == first
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn times(point: DataPointView<'_>) -> (u64, u64) {
    (point.start_time_unix_nano(), point.time_unix_nano())
}

/// A gauge with a point for each quantile of each point of a summary. Nothing for other metrics.
struct Quantiles {
    key: String,
    suffix: String,
}

impl Change for Quantiles {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let metric = metric::view(on)?;
        let mut gauge = NewMetric::beside(metric, &self.suffix, Shape::Gauge);
        for point in metric.data_points() {
            let DataPointView::Summary(summary) = point else { return Ok(()) };
            for pair in summary.quantile_values() {
                let attribute = Some((self.key.as_str(), pair.quantile()));
                gauge.point_with(point, MetricKind::Summary, Number::Double(pair.value()), attribute);
            }
        }
        gauge.append(on)
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, fails, refused};
    use ottl::Context::{DataPoint, Metric};

    fn histogram() -> Sample {
        let histogram = Sample::histogram("h", 1).unit("s").description("d");
        histogram
            .explicit(2, &[1, 2], &[5.0])
            .attributes(&[("a", "x")])
            .start(1)
            .sum_min_max(7.5, 1.0, 6.0)
            .exemplar(3)
            .explicit(3, &[0, 4], &[5.0])
            .flags(1)
    }

    const HISTOGRAM: &str =
        "h[s](d) histogram 1: {a=x}@1-2 n3 sum7.5 min1 max6 [1 (5) 2] ex3 | {}@3 n4 [0 (5) 4] flags1";

    fn exponential() -> Sample {
        let metric = Sample::exponential("e", 2).unit("s");
        metric.buckets(1, 0, 2, (0, &[3]), (0, &[])).attributes(&[("a", "x")]).sum_min_max(4.0, 0.0, 2.0)
    }

    const EXPONENTIAL: &str = "e[s] exponential 2: {a=x}@1 n5 sum4 min0 max2 s0 z2 +0[3]";

    fn summary() -> Sample {
        let metric = Sample::summary("q").unit("s").description("d");
        metric.quantiles(1, 4, 20.0, &[(0.5, 3.0), (0.99, 8.0)], &[("a", "x")]).start(9).quantiles(2, 1, 2.5, &[], &[])
    }

    const SUMMARY: &str = "q[s](d) summary: {a=x}@9-1 n4 sum20 0.5:3 0.99:8 | {}@2 n1 sum2.5";

    #[test]
    fn counts_are_extracted() {
        for (metric, kept, arguments, count) in [
            (histogram(), HISTOGRAM, "true", "h_count[1](d) sum 1 monotonic: {a=x}@1-2 3 | {}@3 4 flags1"),
            (histogram(), HISTOGRAM, "false, \".n\"", "h.n[1](d) sum 1: {a=x}@1-2 3 | {}@3 4 flags1"),
            (histogram(), HISTOGRAM, "suffix=\"\", monotonic=false", "h[1](d) sum 1: {a=x}@1-2 3 | {}@3 4 flags1"),
            (exponential(), EXPONENTIAL, "true", "e_count[1] sum 2 monotonic: {a=x}@1 5"),
            (summary(), SUMMARY, "true", "q_count[1](d) sum 2 monotonic: {a=x}@9-1 4 | {}@2 1"),
        ] {
            // What was added is visited, too.
            let statement = format!("extract_count_metric({arguments}) where type != METRIC_DATA_TYPE_SUM");
            check(Metric, &[&statement], &[metric], &[kept, count]);
        }
    }

    #[test]
    fn sums_are_extracted_where_there_are_some() {
        for (metric, kept, arguments, sum) in [
            (histogram(), HISTOGRAM, "true", "h_sum[s](d) sum 1 monotonic: {a=x}@1-2 7.5"),
            (exponential(), EXPONENTIAL, "false, \".total\"", "e.total[s] sum 2: {a=x}@1 4"),
            (summary(), SUMMARY, "true", "q_sum[s](d) sum 2 monotonic: {a=x}@9-1 20 | {}@2 2.5"),
        ] {
            let statement = format!("extract_sum_metric({arguments}) where type != METRIC_DATA_TYPE_SUM");
            check(Metric, &[&statement], &[metric], &[kept, sum]);
        }
        let none = Sample::histogram("h", 1).explicit(1, &[1], &[]);
        check(Metric, &["extract_sum_metric(true)"], &[none], &["h histogram 1: {}@1 n1 [1]"]);
    }

    #[test]
    fn nothing_is_extracted_from_nothing() {
        let empty = [Sample::histogram("h", 1), Sample::exponential("e", 2), Sample::summary("q")];
        let same = ["h histogram 1:", "e exponential 2:", "q summary:"];
        check(Metric, &["extract_count_metric(true)"], &empty, &same);
        check(Metric, &["extract_sum_metric(true)"], &empty, &same);
        check(Metric, &["convert_summary_count_val_to_sum(\"delta\", true)"], &empty, &same);
        check(Metric, &["convert_summary_quantile_val_to_gauge()"], &empty, &same);
        for function in ["extract_count_metric", "extract_sum_metric"] {
            let statement = format!("{function}(true)");
            for (metric, found) in [
                (Sample::gauge("g").int(1, 2, &[]), "found a gauge"),
                (Sample::sum("s", 1, true).int(1, 2, &[]), "found a sum"),
                (Sample::empty("m"), "found a metric without data"),
                (Sample::histogram("h", 0).explicit(1, &[1], &[]), "known temporality, found a histogram"),
            ] {
                fails(Metric, &statement, &[metric], found);
            }
        }
    }

    #[test]
    fn summaries_are_taken_apart() {
        for (statement, sum) in [
            (
                "convert_summary_count_val_to_sum(\"delta\", true)",
                "q_count[s](d) sum 1 monotonic: {a=x}@9-1 4 | {}@2 1",
            ),
            (
                "convert_summary_count_val_to_sum(\"cumulative\", false, \".n\")",
                "q.n[s](d) sum 2: {a=x}@9-1 4 | {}@2 1",
            ),
            (
                "convert_summary_sum_val_to_sum(\"cumulative\", true)",
                "q_sum[s](d) sum 2 monotonic: {a=x}@9-1 20 | {}@2 2.5",
            ),
        ] {
            // Once, not once for each point.
            check(Metric, &[statement], &[summary()], &[SUMMARY, sum]);
            check(DataPoint, &[statement], &[summary()], &[SUMMARY, sum]);
            let other = Sample::gauge("g").int(1, 5, &[]);
            check(DataPoint, &[statement], &[other.clone(), summary()], &["g gauge: {}@1 5", SUMMARY, sum]);
            check(Metric, &[statement], &[other], &["g gauge: {}@1 5"]);
        }
        refused(Metric, "convert_summary_sum_val_to_sum(\"none\", true)", "not `none`");
    }

    #[test]
    fn summaries_with_one_name_are_each_taken_apart() {
        let one = |time: u64| Sample::summary("q").quantiles(time, 4, 20.0, &[], &[]);
        let statement =
            "convert_summary_sum_val_to_sum(\"delta\", false) where metric.type == METRIC_DATA_TYPE_SUMMARY";
        let expected =
            ["q summary: {}@1 n4 sum20", "q summary: {}@2 n4 sum20", "q_sum sum 1: {}@1 20", "q_sum sum 1: {}@2 20"];
        check(DataPoint, &[statement], &[one(1), one(2)], &expected);
    }

    #[test]
    fn quantiles_become_points() {
        for (arguments, gauge) in [
            ("", "q.quantiles[s](d) gauge: {a=x,quantile=0.5}@9-1 3 | {a=x,quantile=0.99}@9-1 8"),
            ("\"a\"", "q.quantiles[s](d) gauge: {a=0.5}@9-1 3 | {a=0.99}@9-1 8"),
            ("suffix=\".p\", attribute_key=\"p\"", "q.p[s](d) gauge: {a=x,p=0.5}@9-1 3 | {a=x,p=0.99}@9-1 8"),
        ] {
            let statement = format!("convert_summary_quantile_val_to_gauge({arguments})");
            check(Metric, &[&statement], &[summary()], &[SUMMARY, gauge]);
        }
        let others = [Sample::gauge("g").int(1, 5, &[]), Sample::empty("m")];
        check(Metric, &["convert_summary_quantile_val_to_gauge()"], &others, &["g gauge: {}@1 5", "m empty"]);
    }
}
