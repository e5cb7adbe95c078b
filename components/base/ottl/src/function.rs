//! Functions: how they are declared, given their arguments, and run.

use std::collections::BTreeMap;
use std::fmt;

use crate::context::Context;
use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::subject::Subject;
use crate::value::Value;

/// Computes a value on a record: converters, paths, arithmetic.
pub trait Convert: Send + Sync {
    /// Its value.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError>;
}

/// Changes a record: editors.
pub trait Change: Send + Sync {
    /// Makes the change.
    ///
    /// # Errors
    /// [`RunError`] when it was not made, or not wholly.
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError>;
}

/// A built function.
pub enum Built {
    /// Yields a value; named with a capital.
    Converter(Box<dyn Convert>),
    /// Changes a record; named in lower case.
    Editor(Box<dyn Change>),
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Converter(_) => "Converter",
            Self::Editor(_) => "Editor",
        })
    }
}

/// A function that statements can call.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// As written in statements.
    pub name: &'static str,
    /// In the order of positional arguments, required ones first.
    pub params: &'static [Param],
    /// Contexts in which it exists; empty for all.
    pub contexts: &'static [Context],
    /// Builds it once per call in a statement. The text of an error says what is wrong with which argument.
    pub build: fn(&mut Arguments) -> Result<Built, String>,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// As written in named arguments.
    pub name: &'static str,
    /// What is taken.
    pub kind: ParamKind,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// What a parameter takes; checked when a statement is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Any value expression.
    Value,
    /// A path that can be written.
    Target,
    /// A literal string.
    Text,
    /// A literal integer.
    Int,
    /// A literal number.
    Float,
    /// A literal truth.
    Bool,
    /// A list literal of value expressions.
    List,
    /// The bare name of a converter with one parameter.
    Function,
    /// A lambda expression.
    Lambda,
}

impl Param {
    /// One that must be given.
    #[must_use]
    pub const fn required(name: &'static str, kind: ParamKind) -> Self {
        Self { name, kind, is_optional: false }
    }

    /// One that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, kind: ParamKind) -> Self {
        Self { name, kind, is_optional: true }
    }
}

/// A compiled argument, of the kind that the parameter asks for.
#[derive(Debug)]
pub enum Argument {
    /// For [`ParamKind::Value`].
    Value(Expr),
    /// For [`ParamKind::Target`].
    Target(Target),
    /// For [`ParamKind::Text`].
    Text(String),
    /// For [`ParamKind::Int`].
    Int(i64),
    /// For [`ParamKind::Float`].
    Float(f64),
    /// For [`ParamKind::Bool`].
    Bool(bool),
    /// For [`ParamKind::List`].
    List(Vec<Expr>),
    /// For [`ParamKind::Function`].
    Function(ByName),
    /// For [`ParamKind::Lambda`].
    Lambda(Lambda),
}

/// A converter given by its bare name, to be applied to values at run time.
pub struct ByName(pub Box<dyn Fn(Value<'static>) -> Result<Value<'static>, RunError> + Send + Sync>);

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByName")
    }
}

/// `(x, y) => expression`.
#[derive(Debug)]
pub struct Lambda {
    /// How many parameters it has.
    pub params: usize,
    /// Finds its parameters in [`Subject::locals`], from `base` on.
    pub body: Expr,
    /// How many locals stand below its own: those of the lambdas around it.
    pub base: usize,
}

impl Lambda {
    /// Applies it.
    ///
    /// # Errors
    /// [`RunError`] of its body.
    pub fn apply(
        &self,
        on: &mut Subject<'_>,
        arguments: impl IntoIterator<Item = Value<'static>>,
    ) -> Result<Value<'static>, RunError> {
        on.locals.truncate(self.base);
        on.locals.extend(arguments.into_iter().take(self.params));
        let value = self.body.eval(on).map(Value::into_owned);
        on.locals.truncate(self.base);
        value
    }
}

/// The compiled arguments of one call, by parameter.
#[derive(Debug, Default)]
pub struct Arguments(BTreeMap<&'static str, Argument>);

/// Makes the method that takes an argument of one kind.
macro_rules! take {
    ($(#[$doc:meta])* $required:ident, $optional:ident, $kind:ident, $type:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When it was not given. The resolver has checked required parameters and kinds, so this is a fault of the
        /// function's declaration.
        pub fn $required(&mut self, name: &'static str) -> Result<$type, String> {
            self.$optional(name).ok_or_else(|| format!("argument `{name}` is missing"))
        }

        /// The same, for a parameter that may be left out.
        pub fn $optional(&mut self, name: &'static str) -> Option<$type> {
            match self.0.remove(name) {
                Some(Argument::$kind(argument)) => Some(argument),
                _ => None,
            }
        }
    };
}

impl Arguments {
    /// Adds one.
    pub fn insert(&mut self, name: &'static str, argument: Argument) {
        self.0.insert(name, argument);
    }

    take! {
        /// Takes a value expression.
        value, value_opt, Value, Expr
    }
    take! {
        /// Takes a path.
        target, target_opt, Target, Target
    }
    take! {
        /// Takes a literal string.
        text, text_opt, Text, String
    }
    take! {
        /// Takes a literal integer.
        int, int_opt, Int, i64
    }
    take! {
        /// Takes a literal number.
        float, float_opt, Float, f64
    }
    take! {
        /// Takes a literal truth.
        bool, bool_opt, Bool, bool
    }
    take! {
        /// Takes a list of value expressions.
        list, list_opt, List, Vec<Expr>
    }
    take! {
        /// Takes a converter given by name.
        function, function_opt, Function, ByName
    }
    take! {
        /// Takes a lambda.
        lambda, lambda_opt, Lambda, Lambda
    }
}
