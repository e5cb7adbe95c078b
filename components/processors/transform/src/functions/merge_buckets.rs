//! `merge_histogram_buckets`: fewer buckets with explicit bounds, with the same count in all.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, Expr, RunError, Subject, Value};
use pdata::edit::{At, Scalar};
use pdata::schema::HISTOGRAM_DATA_POINT;
use pdata::view::HistogramPointView;

/// Numbers of the counts and bounds of a histogram's data point.
const COUNTS: u32 = 6;
const BOUNDS: u32 = 7;
/// How far from the given one a bound may be.
const TOLERANCE: f64 = 1e-12;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "merge_histogram_buckets",
    params: &[
        Param::optional("target_value", ParamKind::Value),
        Param::optional("method", ParamKind::Text),
        // The name of the first parameter before there was a method.
        Param::optional("bound", ParamKind::Value),
    ],
    contexts: &[Context::DataPoint],
    build: |arguments: &mut Arguments| {
        let target = match (arguments.value_opt("target_value"), arguments.value_opt("bound")) {
            (Some(target), None) | (None, Some(target)) => target,
            (None, None) => return Err("the argument `target_value` is missing".to_owned()),
            (Some(_), Some(_)) => return Err("`bound` is another name of `target_value`: give one of them".to_owned()),
        };
        let limits = match arguments.text_opt("method").as_deref() {
            None | Some("remove_explicit_bound") => false,
            Some("limit_buckets") => true,
            Some(other) => {
                return Err(format!("`method` must be `remove_explicit_bound` or `limit_buckets`, not `{other}`"));
            }
        };
        if let Some(value) = target.literal() {
            number(value).and_then(|number| if limits { most(number).map(drop) } else { Ok(()) })?;
        }
        Ok(Built::Editor(Box::new(Merge { target, limits })))
    },
}];

/// A number, or what can be taken for one.
fn number(value: &Value<'_>) -> Result<f64, String> {
    match value {
        Value::Float(float) => Ok(*float),
        Value::Int(int) => Ok(*int as f64),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::Str(text) => text.parse().map_err(|_no_number| format!("`target_value` is no number: `{text}`")),
        other => Err(format!("`target_value` must be a number, not {}", other.type_name())),
    }
}

/// The most buckets.
fn most(number: f64) -> Result<usize, String> {
    if number >= 1.0 && number.fract() == 0.0 && number <= i64::MAX as f64 {
        return Ok(number as usize);
    }
    Err(format!("`target_value` must be an integer above 0 with the method `limit_buckets`, not {number}"))
}

struct Merge {
    target: Expr,
    /// Whether the target is a number of buckets, not a bound.
    limits: bool,
}

impl Change for Merge {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let item = on.item()?;
        if !std::ptr::eq(on.editor.table(item), &raw const HISTOGRAM_DATA_POINT) {
            return Ok(());
        }
        let target = number(&self.target.eval(on)?).map_err(RunError::new)?;
        let at: At = on.item.ok_or("there is no record here")?;
        let point = HistogramPointView::new(on.editor.bytes(at));
        let (counts, bounds): (Vec<u64>, Vec<f64>) =
            (point.bucket_counts().collect(), point.explicit_bounds().collect());
        if counts.len() != bounds.len() + 1 {
            return Ok(());
        }
        let merged = if self.limits {
            limited(&counts, &bounds, most(target).map_err(RunError::new)?)
        } else {
            without(counts, bounds, target)
        };
        if let Some((counts, bounds)) = merged {
            on.editor.set_packed(item, COUNTS, counts.into_iter().map(Scalar::Uint))?;
            on.editor.set_packed(item, BOUNDS, bounds.into_iter().map(Scalar::Double))?;
        }
        Ok(())
    }
}

/// Counts and bounds without the first one that is `bound`; `None` if there is none.
fn without(mut counts: Vec<u64>, mut bounds: Vec<f64>, bound: f64) -> Option<(Vec<u64>, Vec<f64>)> {
    let at = bounds.iter().position(|found| (found - bound).abs() < TOLERANCE)?;
    bounds.remove(at);
    let count = counts.remove(at);
    let next = counts.get_mut(at)?;
    *next = next.saturating_add(count);
    Some((counts, bounds))
}

/// At most so many, by merging neighbours in groups of one size; `None` if nothing has to be merged, or the bounds do not
/// ascend.
fn limited(counts: &[u64], bounds: &[f64], most: usize) -> Option<(Vec<u64>, Vec<f64>)> {
    if counts.len() <= most || !bounds.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let size = counts.len().div_ceil(most);
    let counts = counts.chunks(size).map(|group| group.iter().copied().fold(0, u64::saturating_add));
    Some((counts.collect(), bounds.iter().skip(size - 1).step_by(size).copied().collect()))
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{Sample, check, fails, refused};
    use ottl::Context::{DataPoint, Metric};

    fn buckets(counts: &[u64], bounds: &[f64]) -> Sample {
        Sample::histogram("h", 1).explicit(1, counts, bounds).attributes(&[("n", "5")]).unknown()
    }

    #[test]
    fn a_bound_is_removed() {
        let bounds = [0.1, 0.5, 1.0];
        for (arguments, expected) in [
            ("0.5", "n17 [5 (0.1) 11 (1) 1]"),
            ("bound=0.5", "n17 [5 (0.1) 11 (1) 1]"),
            ("0.1", "n17 [13 (0.5) 3 (1) 1]"),
            ("1", "n17 [5 (0.1) 8 (0.5) 4]"),
            ("0.5000000000001", "n17 [5 (0.1) 11 (1) 1]"),
            ("\"0.5\", method=\"remove_explicit_bound\"", "n17 [5 (0.1) 11 (1) 1]"),
            ("2.0", "n17 [5 (0.1) 8 (0.5) 3 (1) 1]"),
        ] {
            let statement = format!("merge_histogram_buckets({arguments})");
            let expected = format!("h histogram 1: {{n=5}}@1 {expected} unknown");
            check(DataPoint, &[&statement], &[buckets(&[5, 8, 3, 1], &bounds)], &[&expected]);
        }
        let statement = "merge_histogram_buckets(0.5)";
        for (metric, expected) in [
            (buckets(&[10, 5], &[0.5]), "n15 [15]"),
            (buckets(&[0], &[]), "n0 [0]"),
            (buckets(&[5, 8, 3, 1, 2], &[0.1, 0.5]), "n19 [5,8,3,1,2;0.1,0.5]"),
        ] {
            check(DataPoint, &[statement], &[metric], &[&format!("h histogram 1: {{n=5}}@1 {expected} unknown")]);
        }
        let other = Sample::gauge("g").int(1, 2, &[]);
        check(DataPoint, &[statement], &[other], &["g gauge: {}@1 2"]);
    }

    #[test]
    fn buckets_are_limited() {
        let ten: Vec<u64> = (1..=10).collect();
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        let bounds = [0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        for (most, metric, expected) in [
            ("5", buckets(&[80, 4, 6, 120, 3, 2, 40, 10, 1], &bounds), "n266 [84 (0.2) 126 (1) 5 (5) 50 (30) 1]"),
            ("4", buckets(&ten, &nine), "n55 [6 (3) 15 (6) 24 (9) 10]"),
            ("3.0", buckets(&[5, 8, 3, 1], &[0.1, 0.5, 1.0]), "n17 [13 (0.5) 4]"),
            ("1", buckets(&[1, 2, 3], &[1.0, 2.0]), "n6 [6]"),
            ("4", buckets(&[5, 8, 3, 1], &[0.1, 0.5, 1.0]), "n17 [5 (0.1) 8 (0.5) 3 (1) 1]"),
            ("2", buckets(&[5, 8, 3, 1], &[0.5, 0.1, 1.0]), "n17 [5 (0.5) 8 (0.1) 3 (1) 1]"),
            ("attributes[\"n\"]", buckets(&ten, &nine), "n55 [3 (2) 7 (4) 11 (6) 15 (8) 19]"),
        ] {
            let statement = format!("merge_histogram_buckets({most}, method=\"limit_buckets\")");
            check(DataPoint, &[&statement], &[metric], &[&format!("h histogram 1: {{n=5}}@1 {expected} unknown")]);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        refused(DataPoint, "merge_histogram_buckets(2.5, \"limit_buckets\")", "an integer above 0");
        refused(DataPoint, "merge_histogram_buckets(0, \"limit_buckets\")", "an integer above 0");
        refused(DataPoint, "merge_histogram_buckets(1, \"half\")", "not `half`");
        refused(DataPoint, "merge_histogram_buckets(nil)", "must be a number, not nil");
        refused(DataPoint, "merge_histogram_buckets(\"x\")", "is no number: `x`");
        refused(DataPoint, "merge_histogram_buckets()", "target_value");
        refused(DataPoint, "merge_histogram_buckets(1, bound=1)", "give one of them");
        refused(Metric, "merge_histogram_buckets(1)", "merge_histogram_buckets");
        let metric = buckets(&[1, 2, 3], &[1.0, 2.0]);
        for (target, error) in [("attributes[\"none\"]", "not nil"), ("1.5 * count", "an integer above 0")] {
            let statement = format!("merge_histogram_buckets({target}, \"limit_buckets\")");
            let metric = metric.clone().count(3);
            fails(DataPoint, &statement, &[metric], error);
        }
    }
}
