//! The parser: from text to what is run.
//!
//! A [`Parser`] knows the functions that statements may call. What it compiles for one context is a [`Statement`], a
//! [`Condition`] or a [`ValueExpr`]; they are shared between threads.

mod arguments;
mod compare;
mod condition;
mod enums;
mod infer;
mod math;
mod resolve;

use std::collections::BTreeMap;
use std::fmt;

use pdata::RequestPart;

use crate::context::Context;
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Built, Change, Function};
use crate::functions;
use crate::problem::ParseError;
use crate::subject::Subject;
use crate::syntax::{Goal, Root, parse};
use crate::value::Value;

use self::condition::Test;
use self::resolve::Resolver;

pub use self::compare::{equal, order};
pub use self::infer::Kind;
pub use self::math::{add, divide, multiply, subtract};

/// How paths name their context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each path starts with its context: `span.name`. The statement is run on records of the given context.
    Prefixed(Context),
    /// The context is told apart from the statement, so that its own paths may go without: `name` and `span.name` are
    /// the same. Those of contexts around it need their prefix.
    Plain(Context),
}

impl Mode {
    /// The records that the statement is run on.
    #[must_use]
    pub const fn context(self) -> Context {
        match self {
            Self::Prefixed(context) | Self::Plain(context) => context,
        }
    }
}

/// Compiles statements.
#[derive(Debug)]
pub struct Parser {
    functions: BTreeMap<&'static str, Vec<Function>>,
}

impl Parser {
    /// Of the standard functions and a component's own, which come first where names are equal.
    #[must_use]
    pub fn new(extra: &[Function]) -> Self {
        let mut functions: BTreeMap<_, Vec<Function>> = BTreeMap::new();
        for function in extra.iter().copied().chain(functions::standard()) {
            functions.entry(function.name).or_default().push(function);
        }
        Self { functions }
    }

    /// Compiles `editor(...) where condition`.
    ///
    /// # Errors
    /// [`ParseError`] with the place in the text.
    pub fn statement(&self, text: &str, mode: Mode) -> Result<Statement, ParseError> {
        let Root::Statement { editor, condition } = parse(text, Goal::Statement)? else {
            return Err(ParseError::at(0..text.len(), "expected a statement").of(text));
        };
        let mut resolver = Resolver::new(self, mode);
        let compiled = resolver.editor(&editor).and_then(|editor| {
            let condition = condition.as_ref().map(|node| resolver.test(node)).transpose()?;
            Ok((editor, condition))
        });
        let (editor, condition) = compiled.map_err(|error| error.of(text))?;
        let facts = resolver.facts();
        Ok(Statement { text: text.into(), context: mode.context(), editor, condition, facts })
    }

    /// Compiles a condition.
    ///
    /// # Errors
    /// [`ParseError`] with the place in the text.
    pub fn condition(&self, text: &str, mode: Mode) -> Result<Condition, ParseError> {
        let Root::Expression(node) = parse(text, Goal::Expression)? else {
            return Err(ParseError::at(0..text.len(), "expected a condition").of(text));
        };
        let mut resolver = Resolver::new(self, mode);
        let test = resolver.test(&node).map_err(|error| error.of(text))?;
        Ok(Condition { text: text.into(), context: mode.context(), test, facts: resolver.facts() })
    }

    /// Compiles a value expression.
    ///
    /// # Errors
    /// [`ParseError`] with the place in the text.
    pub fn value(&self, text: &str, mode: Mode) -> Result<ValueExpr, ParseError> {
        let Root::Expression(node) = parse(text, Goal::Expression)? else {
            return Err(ParseError::at(0..text.len(), "expected a value").of(text));
        };
        let mut resolver = Resolver::new(self, mode);
        let expr = resolver.expr(&node).map_err(|error| error.of(text))?;
        Ok(ValueExpr { text: text.into(), context: mode.context(), expr, facts: resolver.facts() })
    }

    /// The function of that name, if there is one in the context.
    fn function(&self, name: &str, context: Context) -> Option<&Function> {
        self.functions.get(name)?.iter().find(|function| exists_in(function, context))
    }

    /// Names of the functions of a context.
    fn names(&self, context: Context) -> impl Iterator<Item = &'static str> {
        let existing = move |of: &&Vec<Function>| of.iter().any(|function| exists_in(function, context));
        self.functions.iter().filter(move |(_, of)| existing(of)).map(|(name, _)| *name)
    }
}

fn exists_in(function: &Function, context: Context) -> bool {
    function.contexts.is_empty() || function.contexts.contains(&context)
}

/// What components must know about what they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Request metadata that is read, in lower case: batches that differ in it must not be merged before.
    pub metadata_keys: Vec<String>,
    /// Whether all of the request's metadata is read, or keys that are computed.
    pub reads_all_metadata: bool,
    /// Whether anything of the request but metadata is read: the peer, or what authentication found.
    pub reads_sender: bool,
    /// Whether the sender's address is read.
    pub reads_address: bool,
    /// The contexts whose paths are used, innermost first.
    pub contexts: Vec<Context>,
}

impl Facts {
    /// What is read of the request, beside authentication.
    pub fn request_reads(&self) -> impl Iterator<Item = RequestPart> {
        let named = self.metadata_keys.iter().cloned().map(RequestPart::Metadata);
        let any = self.reads_all_metadata.then_some(RequestPart::AnyMetadata);
        named.chain(any).chain(self.reads_address.then_some(RequestPart::Address))
    }
}

macro_rules! compiled {
    ($type:ident) => {
        impl $type {
            /// As written.
            #[must_use]
            pub fn text(&self) -> &str {
                &self.text
            }

            /// The records that it is run on.
            #[must_use]
            pub fn context(&self) -> Context {
                self.context
            }

            /// What it reads of the request, and of which contexts.
            #[must_use]
            pub fn facts(&self) -> &Facts {
                &self.facts
            }

            /// Request metadata that it reads, in lower case.
            #[must_use]
            pub fn metadata_keys(&self) -> &[String] {
                &self.facts.metadata_keys
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.text).finish()
            }
        }
    };
}

/// A compiled statement.
pub struct Statement {
    text: Box<str>,
    context: Context,
    editor: Box<dyn Change>,
    condition: Option<Test>,
    facts: Facts,
}

compiled!(Statement);

impl Statement {
    /// Whether it runs on every record.
    #[must_use]
    pub fn is_unconditional(&self) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.constant() == Some(true))
    }

    /// Runs it on a record if its `where` holds. Whether it did.
    ///
    /// # Errors
    /// [`RunError`] of the condition or the editor. What the editor changed before stays.
    #[inline]
    pub fn run(&self, on: &mut Subject<'_>) -> Result<bool, RunError> {
        if let Some(condition) = &self.condition
            && !condition.holds(on)?
        {
            return Ok(false);
        }
        self.editor.change(on)?;
        Ok(true)
    }
}

/// A compiled condition.
pub struct Condition {
    text: Box<str>,
    context: Context,
    test: Test,
    facts: Facts,
}

compiled!(Condition);

impl Condition {
    /// Whether it holds for a record.
    ///
    /// # Errors
    /// [`RunError`] when that cannot be told.
    #[inline]
    pub fn holds(&self, on: &mut Subject<'_>) -> Result<bool, RunError> {
        self.test.holds(on)
    }

    /// What it is if that is known before any record is.
    #[must_use]
    pub fn constant(&self) -> Option<bool> {
        self.test.constant()
    }
}

/// A compiled value expression.
pub struct ValueExpr {
    text: Box<str>,
    context: Context,
    expr: Expr,
    facts: Facts,
}

compiled!(ValueExpr);

impl ValueExpr {
    /// Its value on a record.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    pub fn eval<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        self.expr.eval(on)
    }

    /// Calls `read` with its value, which is not copied where it is a path.
    ///
    /// # Errors
    /// [`RunError`] when it has none.
    pub fn with<T>(&self, on: &mut Subject<'_>, read: impl FnOnce(&Value<'_>) -> T) -> Result<T, RunError> {
        self.expr.with(on, read)
    }
}

/// Takes the editor out of what a function built.
fn editor_of(built: Built) -> Option<Box<dyn Change>> {
    match built {
        Built::Editor(editor) => Some(editor),
        Built::Converter(_) => None,
    }
}
