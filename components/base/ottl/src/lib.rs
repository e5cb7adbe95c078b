//! The OpenTelemetry Transformation Language (OTTL) over telemetry on the wire: parse, resolve against a context,
//! compile once, run.
//!
//! A statement (`set(span.name, "x") where span.kind == 2`) or condition is *parsed* to a tree with positions, *resolved*
//! for one [`Context`] into [`Expr`]s and built functions, and *run* on a [`Subject`]: one record, with what is around
//! it, of a payload under edit. Nothing is decoded; paths read from and write to [`pdata::edit::Editor`].
//!
//! Reading order: [`value`] (what expressions yield), [`subject`] (what they are run on), [`expr`] and [`function`] (what
//! they are compiled to).
//!
//! Deliberately absent: YAML, error modes, and which records to visit; those are the components'. Functions of a single
//! component are given to the parser beside the [standard ones](functions).

pub mod compile;
pub mod context;
pub mod error;
pub mod expr;
pub mod function;
pub mod functions;
pub mod path;
pub mod pattern;
pub mod problem;
pub mod subject;
mod syntax;
pub mod text;
pub mod value;
pub mod visit;

pub use compile::{Condition, Facts, Kind, Mode, Parser, Statement, ValueExpr};
pub use context::Context;
pub use error::RunError;
pub use expr::{Expr, Target};
pub use function::{Arguments, Built, Change, Convert, Function, Param};
pub use path::Path;
pub use pattern::Pattern;
pub use problem::ParseError;
pub use subject::Subject;
pub use value::{Map, Time, Value};
pub use visit::{retain, visit};
