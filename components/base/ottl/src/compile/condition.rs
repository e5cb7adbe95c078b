//! Conditions: what decides, with shapes of their own for the comparisons that stand in most configurations.

use crate::error::RunError;
use crate::expr::Expr;
use crate::function::Convert;
use crate::path::Path;
use crate::subject::Subject;
use crate::syntax::Compare;
use crate::value::Value;

/// A compiled condition.
pub(super) enum Test {
    Constant(bool),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
    /// `path == "text"`, `path != "text"`
    IsText {
        path: Box<Path>,
        text: Box<str>,
        expected: bool,
    },
    /// `path == 200`, `path != 200`
    IsInt {
        path: Box<Path>,
        int: i64,
        expected: bool,
    },
    /// `path >= 500` and the like
    OrderInt {
        path: Box<Path>,
        operator: Compare,
        int: i64,
    },
    /// `path == nil`, `path != nil`
    IsNil {
        path: Box<Path>,
        expected: bool,
    },
    Compare(Expr, Compare, Expr),
    /// A converter that decides.
    Call(Expr),
}

impl Test {
    /// Whether it holds for a record.
    #[inline]
    pub(super) fn holds(&self, on: &mut Subject<'_>) -> Result<bool, RunError> {
        match self {
            Self::Constant(truth) => Ok(*truth),
            Self::Not(test) => Ok(!test.holds(on)?),
            Self::All(tests) => {
                for test in tests {
                    if !test.holds(on)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(on)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::IsText { path, text, expected } => path.with(on, |raw| raw.is_str(text) == *expected),
            Self::IsInt { path, int, expected } => path.with(on, |raw| {
                let holds = match raw.as_int() {
                    Some(found) => found == *int,
                    None => Compare::Eq.holds(&raw.into_value(), &Value::Int(*int)),
                };
                holds == *expected
            }),
            Self::OrderInt { path, operator, int } => path.with(on, |raw| match raw.as_int() {
                Some(found) => operator.of(Some(found.cmp(int))),
                None => operator.holds(&raw.into_value(), &Value::Int(*int)),
            }),
            Self::IsNil { path, expected } => path.with(on, |raw| raw.is_nil() == *expected),
            Self::Compare(left, operator, right) => match (left, right) {
                (left, Expr::Literal(right)) => left.with(on, |left| operator.holds(left, right)),
                (Expr::Literal(left), right) => right.with(on, |right| operator.holds(left, right)),
                (left, right) => {
                    let left = left.eval(on)?;
                    right.with(on, |right| operator.holds(&left, right))
                }
            },
            Self::Call(call) => match call.eval(on)? {
                Value::Bool(truth) => Ok(truth),
                other => Err(RunError::expected("a bool to decide by", &other)),
            },
        }
    }

    pub(super) fn constant(&self) -> Option<bool> {
        match self {
            Self::Constant(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A comparison, in the shape that is quickest.
    pub(super) fn compare(left: Expr, operator: Compare, right: Expr) -> Self {
        let (left, operator, right) = match (left, right) {
            // The literal stands to the right.
            (left @ Expr::Literal(_), right @ Expr::Path(_)) => (right, operator.mirrored(), left),
            (left, right) => (left, operator, right),
        };
        match (left, operator, right) {
            (Expr::Literal(left), operator, Expr::Literal(right)) => Self::Constant(operator.holds(&left, &right)),
            (Expr::Path(path), Compare::Eq | Compare::Ne, Expr::Literal(Value::Str(text))) => {
                Self::IsText { path, text: text.into(), expected: operator == Compare::Eq }
            }
            (Expr::Path(path), Compare::Eq | Compare::Ne, Expr::Literal(Value::Int(int))) => {
                Self::IsInt { path, int, expected: operator == Compare::Eq }
            }
            (Expr::Path(path), Compare::Eq | Compare::Ne, Expr::Literal(Value::Nil)) => {
                Self::IsNil { path, expected: operator == Compare::Eq }
            }
            (Expr::Path(path), operator, Expr::Literal(Value::Int(int))) => Self::OrderInt { path, operator, int },
            (left, operator, right) => Self::Compare(left, operator, right),
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Constant(truth) => Self::Constant(!truth),
            test => Self::Not(Box::new(test)),
        }
    }

    /// All must hold. What stands behind one that never does is never asked.
    pub(super) fn all(tests: Vec<Self>) -> Self {
        match tests.first().and_then(Self::constant) {
            Some(false) => Self::Constant(false),
            _ => Self::All(tests),
        }
    }

    /// One must hold. What stands behind one that always does is never asked.
    pub(super) fn any(tests: Vec<Self>) -> Self {
        match tests.first().and_then(Self::constant) {
            Some(true) => Self::Constant(true),
            _ => Self::Any(tests),
        }
    }
}

impl Compare {
    /// The same with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Eq | Self::Ne => self,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Ge => Self::Le,
            Self::Gt => Self::Lt,
        }
    }
}

/// A condition where a value is wanted.
impl Convert for Test {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        self.holds(on).map(Value::Bool)
    }
}
