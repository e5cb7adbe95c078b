//! For tests of functions: calls built by hand, run on nothing.

use pdata::edit::Editor;
use pdata::{Payload, Signal};

use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Argument, Arguments, Built, Convert, Function};
use crate::subject::Subject;
use crate::value::{Map, Value};

#[derive(Clone, Debug)]
enum Given {
    Value(Value<'static>),
    Text(String),
    Bool(bool),
    List(Vec<Value<'static>>),
}

/// A call of a converter.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    function: Function,
    given: Vec<(&'static str, Given)>,
}

struct Held(Value<'static>);

impl Convert for Held {
    fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        Ok(self.0.by_ref())
    }
}

/// An expression whose value is known at run time only.
pub(crate) fn computed(value: impl Into<Value<'static>>) -> Expr {
    Expr::Computed(Box::new(Held(value.into())))
}

impl Call {
    pub(crate) fn to(name: &str) -> Self {
        let function = super::standard().into_iter().find(|function| function.name == name);
        Self { function: function.unwrap_or_else(|| panic!("no function {name}")), given: Vec::new() }
    }

    fn with(mut self, name: &'static str, given: Given) -> Self {
        assert!(self.function.params.iter().any(|param| param.name == name), "no parameter {name}");
        self.given.push((name, given));
        self
    }

    pub(crate) fn arg(self, name: &'static str, value: impl Into<Value<'static>>) -> Self {
        self.with(name, Given::Value(value.into()))
    }

    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.with(name, Given::Text(text.to_owned()))
    }

    pub(crate) fn flag(self, name: &'static str, flag: bool) -> Self {
        self.with(name, Given::Bool(flag))
    }

    pub(crate) fn list(self, name: &'static str, values: Vec<Value<'static>>) -> Self {
        self.with(name, Given::List(values))
    }

    fn arguments(&self, literal: bool) -> Arguments {
        let expr = |value: &Value<'static>| {
            if literal { Expr::Literal(value.clone()) } else { computed(value.clone()) }
        };
        let mut arguments = Arguments::default();
        for (name, given) in &self.given {
            arguments.insert(
                name,
                match given {
                    Given::Value(value) => Argument::Value(expr(value)),
                    Given::Text(text) => Argument::Text(text.clone()),
                    Given::Bool(flag) => Argument::Bool(*flag),
                    Given::List(values) => Argument::List(values.iter().map(expr).collect()),
                },
            );
        }
        arguments
    }

    /// Builds it with literals.
    pub(crate) fn build(&self) -> Result<Built, String> {
        (self.function.build)(&mut self.arguments(true))
    }

    /// Runs it with arguments known at run time only.
    pub(crate) fn run(&self) -> Result<Value<'static>, RunError> {
        run(&(self.function.build)(&mut self.arguments(false)).unwrap())
    }

    /// Runs it with literals.
    pub(crate) fn run_literal(&self) -> Result<Value<'static>, RunError> {
        run(&self.build().unwrap())
    }
}

/// Runs a converter on an empty payload.
pub(crate) fn run(built: &Built) -> Result<Value<'static>, RunError> {
    let Built::Converter(convert) = built else { panic!("a converter") };
    let mut editor = Editor::new(Payload::empty(Signal::Logs)).unwrap();
    let request = pdata::Context::default();
    convert.convert(&mut Subject::new(&mut editor, &request)).map(Value::into_owned)
}

/// The value of a call, whether its arguments are literals or not.
pub(crate) fn gives(call: Call, expected: impl Into<Value<'static>>) {
    let expected = format!("{:?}", expected.into());
    for outcome in [call.run_literal(), call.run()] {
        assert_eq!(outcome.map(|value| format!("{value:?}")), Ok(expected.clone()), "{call:?}");
    }
}

/// The error of a call, whether its arguments are literals or not.
pub(crate) fn fails(call: Call, expected: &str) {
    for outcome in [call.run_literal(), call.run()] {
        let error = outcome.expect_err(&format!("{call:?}")).to_string();
        assert!(error.contains(expected), "{call:?}: {error}");
    }
}

/// As [`fails`], for an argument that is refused when it is a literal.
pub(crate) fn refused_or_fails(call: Call, expected: &str) {
    let error = call.build().unwrap_err();
    assert!(error.contains(expected), "{call:?}: {error}");
    let error = call.run().unwrap_err().to_string();
    assert!(error.contains(expected), "{call:?}: {error}");
}

/// A map of these entries.
pub(crate) fn map<const N: usize>(entries: [(&'static str, Value<'static>); N]) -> Value<'static> {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map<'_>>())
}

/// A list of these values.
pub(crate) fn list<V: Into<Value<'static>>, const N: usize>(values: [V; N]) -> Value<'static> {
    Value::List(values.into_iter().map(Into::into).collect())
}

impl From<&'static str> for Value<'static> {
    fn from(text: &'static str) -> Self {
        Value::Str(text.into())
    }
}

impl From<String> for Value<'static> {
    fn from(text: String) -> Self {
        Value::text(text)
    }
}

impl From<i64> for Value<'static> {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}

impl From<f64> for Value<'static> {
    fn from(float: f64) -> Self {
        Value::Float(float)
    }
}

impl From<bool> for Value<'static> {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}
