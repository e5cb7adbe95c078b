//! Merging the points of gauges and sums.
//!
//! Integers make an integer (means and medians are cut off), unless the sum is beyond what one can hold; if one of the
//! numbers is floating point, so is what is made of them. Points without a value do not count. Everything else is the
//! first point's with a value, exemplars too.

use pdata::view::{Number, NumberPointView};

use super::super::fields::copy_without;
use super::super::metric::{put_number, put_time};
use super::{Aggregation, earliest};

/// Writes the content of the merged point.
pub(super) fn merge(points: &[&[u8]], how: Aggregation, out: &mut Vec<u8>) {
    let views = points.iter().map(|point| NumberPointView::new(point));
    let valued: Vec<(NumberPointView<'_>, Number)> = views.filter_map(|view| Some((view, view.value()?))).collect();
    let Some((first, _)) = valued.first() else {
        out.extend_from_slice(points.first().copied().unwrap_or_default());
        return;
    };
    let numbers: Vec<Number> = valued.iter().map(|(_, number)| *number).collect();
    copy_without(first.as_bytes(), &[2, 4, 6], out);
    put_time(out, 2, earliest(valued.iter().map(|(point, _)| point.start_time_unix_nano())));
    put_number(out, aggregate(&numbers, how));
}

fn aggregate(numbers: &[Number], how: Aggregation) -> Number {
    let ints: Option<Vec<i64>> = numbers.iter().map(|number| as_int(*number)).collect();
    match ints {
        Some(ints) => of_ints(ints, how),
        None => Number::Double(of_doubles(numbers.iter().map(|number| as_double(*number)).collect(), how)),
    }
}

fn as_int(number: Number) -> Option<i64> {
    match number {
        Number::Int(int) => Some(int),
        Number::Double(_) => None,
    }
}

fn as_double(number: Number) -> f64 {
    match number {
        Number::Int(int) => int as f64,
        Number::Double(double) => double,
    }
}

fn of_ints(mut ints: Vec<i64>, how: Aggregation) -> Number {
    let sum: i128 = ints.iter().copied().map(i128::from).sum();
    let number = ints.len() as i128;
    let result = match how {
        Aggregation::Sum => sum,
        Aggregation::Mean => sum / number.max(1),
        Aggregation::Count => number,
        Aggregation::Max => ints.into_iter().max().unwrap_or(0).into(),
        Aggregation::Min => ints.into_iter().min().unwrap_or(0).into(),
        Aggregation::Median => {
            ints.sort_unstable();
            let (low, high) = middle(&ints).unwrap_or((0, 0));
            i128::midpoint(low.into(), high.into())
        }
    };
    i64::try_from(result).map_or(Number::Double(result as f64), Number::Int)
}

fn of_doubles(mut doubles: Vec<f64>, how: Aggregation) -> f64 {
    let number = doubles.len() as f64;
    match how {
        Aggregation::Sum => doubles.iter().sum(),
        Aggregation::Mean => doubles.iter().sum::<f64>() / number,
        Aggregation::Count => number,
        // What is no number makes none.
        Aggregation::Max => doubles.into_iter().reduce(|a, b| if a.is_nan() || a > b { a } else { b }).unwrap_or(0.0),
        Aggregation::Min => doubles.into_iter().reduce(|a, b| if a.is_nan() || a < b { a } else { b }).unwrap_or(0.0),
        Aggregation::Median => {
            doubles.sort_unstable_by(f64::total_cmp);
            let (low, high) = middle(&doubles).unwrap_or((0.0, 0.0));
            f64::midpoint(low, high)
        }
    }
}

/// The two in the middle; twice the same if the number of them is odd.
fn middle<T: Copy>(sorted: &[T]) -> Option<(T, T)> {
    Some((*sorted.get(sorted.len().checked_sub(1)? / 2)?, *sorted.get(sorted.len() / 2)?))
}
