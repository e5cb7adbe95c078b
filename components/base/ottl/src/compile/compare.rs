//! Comparing values: of different types nothing is an error, and only `!=` is true.

use std::cmp::Ordering;

use crate::syntax::Compare;
use crate::value::{Map, Value};

impl Compare {
    /// Whether it holds for values that stand so to each other; `None` for those that have no order.
    pub(super) fn of(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Lt => order == Some(Ordering::Less),
            Self::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Gt => order == Some(Ordering::Greater),
        }
    }

    /// Whether it holds for two values.
    pub(super) fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        match (left, right) {
            // These are equal or not, and have no order.
            (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => match self {
                Self::Eq => equal(left, right),
                Self::Ne => !equal(left, right),
                _ => false,
            },
            _ => self.of(order(left, right)),
        }
    }
}

/// How two values are ordered, by the rules of comparisons. `None` for those of different types (but int and float),
/// for lists and maps, and for what is not a number.
#[must_use]
pub fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Nil, Value::Nil) => Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right)) | (Value::Duration(left), Value::Duration(right)) => {
            Some(left.cmp(right))
        }
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        #[expect(clippy::cast_precision_loss, reason = "an int is compared with a float as a float")]
        (Value::Int(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
        #[expect(clippy::cast_precision_loss, reason = "an int is compared with a float as a float")]
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Str(left), Value::Str(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Time(left), Value::Time(right)) => Some(left.unix_nanos.cmp(&right.unix_nanos)),
        (left, right) => match (bytes_of(left), bytes_of(right)) {
            (Some(left), Some(right)) => Some(left.cmp(right)),
            _ => None,
        },
    }
}

/// IDs compare with bytes as well as with each other.
fn bytes_of<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::TraceId(id) => Some(id),
        Value::SpanId(id) => Some(id),
        _ => None,
    }
}

/// Whether two values are equal, by the rules of comparisons. In lists and maps an int and a float never are.
#[must_use]
pub fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => maps_equal(left, right),
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

fn maps_equal(left: &Map<'_>, right: &Map<'_>) -> bool {
    left.len() == right.len() && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
}

fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && equal(left, right)
}
