//! `convert_sum_to_gauge`, `convert_gauge_to_sum`: the data points stay as they are.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, RunError, Subject};
use pdata::build::Temporality;
use pdata::view::MetricKind;

use super::fields::copy_points;
use super::metric::{data, opened, put_sum_fields, temporality};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "convert_sum_to_gauge",
        params: &[],
        contexts: &[Context::Metric],
        build: |_| Ok(Built::Editor(Box::new(SumToGauge))),
    },
    Function {
        name: "convert_gauge_to_sum",
        params: &[Param::required("string_agg_temp", ParamKind::Text), Param::required("monotonic", ParamKind::Bool)],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            let temporality = temporality(&arguments.text("string_agg_temp")?)?;
            Ok(Built::Editor(Box::new(GaugeToSum { temporality, is_monotonic: arguments.bool("monotonic")? })))
        },
    },
];

struct SumToGauge;

impl Change for SumToGauge {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        replace(on, MetricKind::Sum, MetricKind::Gauge, |_| {})
    }
}

struct GaugeToSum {
    temporality: Temporality,
    is_monotonic: bool,
}

impl Change for GaugeToSum {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        replace(on, MetricKind::Gauge, MetricKind::Sum, |data| {
            put_sum_fields(data, self.temporality.as_i32(), self.is_monotonic);
        })
    }
}

/// Puts the points of one kind under another, and what else there is about that. Nothing for metrics of other kinds.
fn replace(
    on: &mut Subject<'_>,
    from: MetricKind,
    to: MetricKind,
    others: impl FnOnce(&mut Vec<u8>),
) -> Result<(), RunError> {
    let metric = opened(on)?;
    let Some((kind, at)) = data(on)? else { return Ok(()) };
    if kind != from {
        return Ok(());
    }
    let mut content = Vec::new();
    copy_points(on.editor.bytes(at), &mut content);
    others(&mut content);
    on.editor.set_whole(metric, to.field(), &content)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, check_groups, refused};
    use ottl::Context::{DataPoint, Metric};

    #[test]
    fn sums_become_gauges() {
        let sum = Sample::sum("s", 2, true).int(1, 5, &[("a", "x")]).int(2, 7, &[]);
        check(Metric, &["convert_sum_to_gauge()"], &[sum], &["s gauge: {a=x}@1 5 | {}@2 7"]);
        let unchanged = [Sample::gauge("g").int(1, 5, &[]), Sample::histogram("h", 1).explicit(1, &[1, 2], &[5.0])];
        check(
            Metric,
            &["convert_sum_to_gauge()"],
            &unchanged,
            &["g gauge: {}@1 5", "h histogram 1: {}@1 n3 [1 (5) 2]"],
        );
        check(Metric, &["convert_sum_to_gauge()"], &[Sample::sum("none", 1, false)], &["none gauge:"]);
    }

    #[test]
    fn gauges_become_sums() {
        let gauge = Sample::gauge("g").double(1, 0.5, &[("a", "x")]).exemplar(9);
        for (statement, expected) in [
            ("convert_gauge_to_sum(\"delta\", false)", "g sum 1: {a=x}@1 0.5 ex9"),
            ("convert_gauge_to_sum(\"cumulative\", true)", "g sum 2 monotonic: {a=x}@1 0.5 ex9"),
            ("convert_gauge_to_sum(monotonic=true, string_agg_temp=\"delta\")", "g sum 1 monotonic: {a=x}@1 0.5 ex9"),
        ] {
            check(Metric, &[statement], std::slice::from_ref(&gauge), &[expected]);
        }
        let sum = Sample::sum("s", 2, true).int(1, 5, &[]);
        check(Metric, &["convert_gauge_to_sum(\"delta\", false)"], &[sum], &["s sum 2 monotonic: {}@1 5"]);
    }

    #[test]
    fn there_and_back_nothing_is_lost_of_a_point() {
        let gauge = Sample::gauge("g").double(1, 0.5, &[("a", "x")]).exemplar(9).unknown();
        let statements = ["convert_gauge_to_sum(\"delta\", false)", "set(name, \"n\")", "convert_sum_to_gauge()"];
        check(Metric, &statements, &[gauge], &["n gauge: {a=x}@1 0.5 ex9 unknown"]);
    }

    #[test]
    fn groups_of_statements_see_what_those_before_made() {
        let metric = Sample::sum("s", 2, true).int(1, 5, &[("a", "x")]).int(1, 7, &[("a", "y")]).unknown();
        let groups: &[(ottl::Context, &[&str])] = &[
            (DataPoint, &["set(attributes[\"b\"], attributes[\"a\"])", "set(value_int, 6) where value_int == 5"]),
            (
                Metric,
                &[
                    "copy_metric(name=\"copy\") where name == \"s\"",
                    "convert_sum_to_gauge() where name == \"copy\"",
                    "scale_metric(2.0) where name == \"copy\"",
                    "aggregate_on_attributes(\"sum\", []) where name == \"s\"",
                ],
            ),
            (DataPoint, &["set(attributes[\"c\"], \"z\")", "set(time_unix_nano, 2) where value_int == 13"]),
            (Metric, &["convert_gauge_to_sum(\"delta\", false)", "aggregate_on_attributes(\"max\", [\"c\"])"]),
        ];
        let expected = ["s sum 2 monotonic: {c=z}@2 13", "copy sum 1: {c=z}@1 14"];
        check_groups(groups, &[metric], &expected);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        refused(Metric, "convert_gauge_to_sum(\"rate\", true)", "not `rate`");
        refused(Metric, "convert_gauge_to_sum(\"delta\")", "monotonic");
        refused(DataPoint, "convert_sum_to_gauge()", "convert_sum_to_gauge");
    }
}
