//! `scale_metric`: values are multiplied where they are, since scaled numbers are as long as before.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, Expr, RunError, Subject};
use pdata::edit::Scalar;
use pdata::view::MetricKind;
use pdata::wire::{Fields, LEN, RawField};

use super::fields::patch;
use super::metric::{UNIT, data, kind_name, opened};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "scale_metric",
    params: &[Param::required("multiplier", ParamKind::Float), Param::optional("unit", ParamKind::Value)],
    contexts: &[Context::Metric],
    build: |arguments: &mut Arguments| {
        let factor = arguments.float("multiplier")?;
        Ok(Built::Editor(Box::new(Scale { factor, unit: arguments.value_opt("unit") })))
    },
}];

/// Multiplies what a metric measures.
struct Scale {
    factor: f64,
    unit: Option<Expr>,
}

impl Change for Scale {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let metric = opened(on)?;
        let unit = self.unit.as_ref().map(|unit| unit.eval(on)).transpose()?;
        let unit = unit.as_ref().map(|unit| unit.as_str()).transpose()?;
        let found = data(on)?;
        let Some((kind, at)) = found.filter(|(kind, _)| *kind != MetricKind::ExponentialHistogram) else {
            let kind = kind_name(found.map(|(kind, _)| kind));
            return Err(RunError::new(format!("`scale_metric` does not scale {kind}")));
        };
        if kind == MetricKind::Histogram && self.factor <= 0.0 {
            return Err(RunError::new(format!(
                "`scale_metric` scales a histogram by numbers above 0 only, not by {}: its bounds have to ascend",
                self.factor
            )));
        }
        let mut content = on.editor.bytes(at).to_vec();
        each(&mut content, 1, |point| self.point(kind, point));
        on.editor.replace_whole(at, &content)?;
        if let Some(unit) = unit {
            on.editor.set(metric, UNIT, Scalar::Str(unit))?;
        }
        Ok(())
    }
}

impl Scale {
    fn double(&self, bits: u64) -> u64 {
        (f64::from_bits(bits) * self.factor).to_bits()
    }

    /// An integer stays one: what is behind the point is cut off.
    fn int(&self, bits: u64) -> u64 {
        ((bits.cast_signed() as f64 * self.factor) as i64).cast_unsigned()
    }

    fn point(&self, kind: MetricKind, point: &mut [u8]) {
        let exemplars = match kind {
            MetricKind::Histogram => 8,
            _ => 5,
        };
        for field in fields(point) {
            match (kind, field.number) {
                (MetricKind::Gauge | MetricKind::Sum, 4)
                | (MetricKind::Histogram, 5 | 7 | 11 | 12)
                | (MetricKind::Summary, 5) => patch(point, &field, |bits| self.double(bits)),
                (MetricKind::Gauge | MetricKind::Sum, 6) => patch(point, &field, |bits| self.int(bits)),
                _ => {}
            }
        }
        match kind {
            MetricKind::Summary => each(point, 6, |quantile| {
                for field in fields(quantile).into_iter().filter(|field| field.number == 2) {
                    patch(quantile, &field, |bits| self.double(bits));
                }
            }),
            _ => each(point, exemplars, |exemplar| {
                for field in fields(exemplar) {
                    match field.number {
                        3 => patch(exemplar, &field, |bits| self.double(bits)),
                        6 => patch(exemplar, &field, |bits| self.int(bits)),
                        _ => {}
                    }
                }
            }),
        }
    }
}

/// Calls `change` with the content of each submessage of that number.
fn each(message: &mut [u8], number: u32, mut change: impl FnMut(&mut [u8])) {
    for field in fields(message).into_iter().filter(|field| field.number == number && field.wire_type == LEN) {
        if let Some(content) = message.get_mut(field.value) {
            change(content);
        }
    }
}

fn fields(message: &[u8]) -> Vec<RawField> {
    Fields::new(message).collect()
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, fails, refused};
    use ottl::Context::Metric;

    #[test]
    fn all_that_is_measured_is_scaled() {
        let cases = [
            (
                Sample::gauge("g").int(1, 10, &[("a", "x")]).int(2, -15, &[]).double(3, 1.5, &[]).exemplar(4).unknown(),
                "g gauge: {a=x}@1 1 | {}@2 -1 | {}@3 0.15 ex0.4 unknown",
            ),
            (Sample::sum("s", 1, true).double(1, 2.0, &[]), "s sum 1 monotonic: {}@1 0.2"),
            (
                Sample::histogram("h", 2)
                    .explicit(1, &[1, 2, 0], &[5.0, 20.0])
                    .sum_min_max(50.0, 2.0, 10.0)
                    .exemplar(7),
                "h histogram 2: {}@1 n3 sum5 min0.2 max1 [1 (0.5) 2 (2) 0] ex0.7",
            ),
            (Sample::histogram("h", 2).explicit(1, &[3], &[]), "h histogram 2: {}@1 n3 [3]"),
            (
                Sample::summary("q").quantiles(1, 4, 20.0, &[(0.5, 3.0), (0.9, 8.0)], &[]),
                "q summary: {}@1 n4 sum2 0.5:0.3 0.9:0.8",
            ),
            (Sample::gauge("none"), "none gauge:"),
        ];
        for (metric, expected) in cases {
            check(Metric, &["scale_metric(0.1)"], &[metric], &[expected]);
        }
    }

    #[test]
    fn the_unit_follows() {
        let gauge = || Sample::gauge("g").double(1, 1.5, &[]);
        check(Metric, &["scale_metric(10.0, \"kWh\")"], &[gauge()], &["g[kWh] gauge: {}@1 15"]);
        check(Metric, &["scale_metric(-1, unit=name)"], &[gauge()], &["g[g] gauge: {}@1 -1.5"]);
    }

    #[test]
    fn what_cannot_be_scaled_stays() {
        let exponential = Sample::exponential("e", 1).buckets(1, 0, 0, (0, &[1]), (0, &[]));
        fails(Metric, "scale_metric(2.0)", &[exponential], "does not scale an exponential histogram");
        fails(Metric, "scale_metric(2.0)", &[Sample::empty("m")], "does not scale a metric without data");
        let histogram = || Sample::histogram("h", 2).explicit(1, &[1, 2], &[5.0]);
        fails(Metric, "scale_metric(-2.0)", &[histogram()], "above 0 only, not by -2");
        fails(Metric, "scale_metric(0)", &[histogram()], "above 0 only, not by 0");
        fails(Metric, "scale_metric(2.0, unit=metadata[\"none\"])", &[histogram()], "expected a string");
        refused(Metric, "scale_metric(\"2\")", "multiplier");
    }
}
