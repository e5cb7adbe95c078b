//! Arithmetic: of ints and floats, which give floats where they meet, and of times and durations.

use crate::error::RunError;
use crate::expr::Expr;
use crate::function::Convert;
use crate::subject::Subject;
use crate::syntax::Math;
use crate::value::{Time, Value};

/// What is first, then what is done with it.
pub(super) struct Chain {
    pub(super) first: Expr,
    pub(super) rest: Vec<(Math, Expr)>,
}

/// `-x`
pub(super) struct Negative(pub(super) Expr);

impl Convert for Chain {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let mut value = self.first.eval(on)?;
        for (operator, right) in &self.rest {
            let right = right.eval(on)?;
            value = calculate(*operator, &value, &right)?;
        }
        Ok(value)
    }
}

impl Convert for Negative {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        negate(&self.0.eval(on)?)
    }
}

pub(super) fn negate(value: &Value<'_>) -> Result<Value<'static>, RunError> {
    match value {
        Value::Int(int) => Ok(Value::Int(int.wrapping_neg())),
        Value::Float(float) => Ok(Value::Float(-float)),
        other => Err(RunError::expected("an int or a float after `-`", other)),
    }
}

/// The sum: of numbers, of durations, or of a time and a duration. Ints wrap around as Go's do.
///
/// # Errors
/// [`RunError`] for other types.
pub fn add(left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, RunError> {
    calculate(Math::Add, left, right)
}

/// The difference: of numbers, durations, times (which is a duration), or a time and a duration.
///
/// # Errors
/// [`RunError`] for other types.
pub fn subtract(left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, RunError> {
    calculate(Math::Sub, left, right)
}

/// The product of numbers.
///
/// # Errors
/// [`RunError`] for other types.
pub fn multiply(left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, RunError> {
    calculate(Math::Mul, left, right)
}

/// The quotient of numbers; of ints it is cut off.
///
/// # Errors
/// [`RunError`] for other types, and for a divisor of 0.
pub fn divide(left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, RunError> {
    calculate(Math::Div, left, right)
}

#[expect(clippy::cast_precision_loss, reason = "where an int meets a float, it becomes one")]
pub(super) fn calculate(operator: Math, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, RunError> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => ints(operator, *left, *right).map(Value::Int),
        (Value::Float(left), Value::Float(right)) => floats(operator, *left, *right).map(Value::Float),
        (Value::Int(left), Value::Float(right)) => floats(operator, *left as f64, *right).map(Value::Float),
        (Value::Float(left), Value::Int(right)) => floats(operator, *left, *right as f64).map(Value::Float),
        (Value::Time(time), Value::Duration(duration)) if operator == Math::Add => {
            Ok(moved(time, i128::from(*duration)))
        }
        (Value::Time(time), Value::Duration(duration)) if operator == Math::Sub => {
            Ok(moved(time, -i128::from(*duration)))
        }
        (Value::Duration(duration), Value::Time(time)) if operator == Math::Add => {
            Ok(moved(time, i128::from(*duration)))
        }
        (Value::Time(left), Value::Time(right)) if operator == Math::Sub => {
            let nanos = left.unix_nanos.saturating_sub(right.unix_nanos);
            // Go's differences stop at the ends of what a duration can be.
            let nanos = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Ok(Value::Duration(i64::try_from(nanos).unwrap_or_default()))
        }
        (Value::Duration(left), Value::Duration(right)) => match operator {
            Math::Add => Ok(Value::Duration(left.wrapping_add(*right))),
            Math::Sub => Ok(Value::Duration(left.wrapping_sub(*right))),
            Math::Mul | Math::Div => Err("durations can only be added and subtracted".into()),
        },
        (left, right) => Err(RunError::new(format!(
            "cannot compute {} {} {}",
            left.type_name(),
            operator.as_str(),
            right.type_name()
        ))),
    }
}

fn moved(time: &Time, nanos: i128) -> Value<'static> {
    Value::Time(Time { unix_nanos: time.unix_nanos.saturating_add(nanos), zone: time.zone.clone() })
}

fn ints(operator: Math, left: i64, right: i64) -> Result<i64, RunError> {
    Ok(match operator {
        Math::Add => left.wrapping_add(right),
        Math::Sub => left.wrapping_sub(right),
        Math::Mul => left.wrapping_mul(right),
        Math::Div if right == 0 => return Err("division by 0".into()),
        Math::Div => left.wrapping_div(right),
    })
}

fn floats(operator: Math, left: f64, right: f64) -> Result<f64, RunError> {
    Ok(match operator {
        Math::Add => left + right,
        Math::Sub => left - right,
        Math::Mul => left * right,
        Math::Div if right == 0.0 => return Err("division by 0".into()),
        Math::Div => left / right,
    })
}
