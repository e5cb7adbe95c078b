//! The OpenTelemetry Transformation Language (OTTL) over telemetry on the wire: parse, resolve against a context,
//! compile once, run.
//!
//! A statement (`set(span.name, "x") where span.kind == 2`) or condition is *parsed* to a tree with positions, *resolved*
//! for one [`Context`] into [`Expr`]s and built functions, and *run* on a [`Subject`]: one record, with what is around
//! it, of a payload under edit. Nothing is decoded; paths read from and write to [`pdata::edit::Editor`].
//!
//! ```
//! use ottl::{Context, Kind, Mode, Parser, RunError, visit};
//! use pdata::build::{PayloadBuilder, SpanFields};
//!
//! let mut builder = PayloadBuilder::traces();
//! builder.resource("", |attributes| { attributes.str("service.name", "shop"); }, |scopes| {
//!     scopes.scope("", "", |_| {}, |spans| {
//!         spans.span(&SpanFields { name: "GET", kind: 2, ..SpanFields::default() }, |_| {});
//!     });
//! });
//! let mut editor = pdata::Editor::new(builder.finish(None))?;
//!
//! let parser = Parser::new(&[]);
//! let text = r#"set(span.name, "shop GET") where resource.attributes["service.name"] == "shop""#;
//! let context = parser.infer(&[(Kind::Statement, text)], |_| true)?.unwrap_or(Context::Span);
//! let statement = parser.statement(text, Mode::Prefixed(context))?;
//! let condition = parser.condition(r#"name == "shop GET" and kind == SPAN_KIND_SERVER"#, Mode::Plain(context))?;
//!
//! let mut ran = 0;
//! visit(&mut editor, &pdata::Context::default(), context, |on| {
//!     ran += u32::from(statement.run(on)?);
//!     assert!(condition.holds(on)?);
//!     Ok::<(), RunError>(())
//! })?;
//! assert_eq!(ran, 1);
//!
//! let error = parser.statement("sett(span.name, 1)", Mode::Prefixed(context)).unwrap_err();
//! assert_eq!((error.span.clone(), error.summary().as_str()), (0..4, "unknown function `sett`; did you mean `set`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Components give errors their place in the configuration with `config`'s `Validator::error_inside(field, text, span,
//! message, help)`. [`retain`] removes what a filter's conditions hold for, and settles it; [`Facts`] tell which request
//! metadata is read, so that batches which differ in it are not merged before.
//!
//! Reading order: [`value`] (what expressions yield), [`subject`] (what they are run on), [`expr`] and [`function`] (what
//! they are compiled to), [`path`], [`compile`] (the parser), [`visit()`].
//!
//! Invariants: text of any kind is compiled or refused, never panics, and nests within bounds; reading changes nothing;
//! what statements leave behind is valid OTLP.
//!
//! Deliberately absent: YAML, error modes, and which statements there are; those are the components'. Functions of a
//! single component are given to the parser beside the [standard ones](functions).

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
