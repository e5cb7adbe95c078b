//! From trees to what is run: names are looked up, literals folded, arguments given to functions.

use std::borrow::Cow;

use crate::context::Context;
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Built, Change, Convert, Function, ParamKind};
use crate::functions::refused;
use crate::path::{self, Form, Key, Path, Request, Root};
use crate::problem::ParseError;
use crate::subject::Subject;
use crate::syntax::{self, Call, Node, NodeKind, Span};
use crate::value::{Map, Value};

use super::condition::Test;
use super::{Facts, Mode, Parser, editor_of, enums, math};

/// Compiles one statement.
pub(super) struct Resolver<'p> {
    pub(super) parser: &'p Parser,
    mode: Mode,
    /// Parameters of the lambdas around, outermost first.
    locals: Vec<String>,
    facts: Facts,
}

impl<'p> Resolver<'p> {
    pub(super) fn new(parser: &'p Parser, mode: Mode) -> Self {
        Self { parser, mode, locals: Vec::new(), facts: Facts::default() }
    }

    pub(super) fn facts(mut self) -> Facts {
        let Facts { contexts, metadata_keys, .. } = &mut self.facts;
        contexts.sort_by_key(|context| std::cmp::Reverse(context.chain().count()));
        contexts.dedup();
        metadata_keys.sort();
        metadata_keys.dedup();
        self.facts
    }

    pub(super) fn context(&self) -> Context {
        self.mode.context()
    }

    pub(super) fn editor(&mut self, call: &Call) -> Result<Box<dyn Change>, ParseError> {
        let (_, built) = self.build(call)?;
        editor_of(built).ok_or_else(|| {
            ParseError::at(call.name_span.clone(), format!("`{}` yields a value and changes nothing", call.name))
        })
    }

    /// The function that is called, built.
    fn build(&mut self, call: &Call) -> Result<(&'p Function, Built), ParseError> {
        let function = self.function(&call.name, &call.name_span)?;
        let mut arguments = self.arguments(function, call)?;
        let built = (function.build)(&mut arguments).map_err(|problem| {
            // The text names the argument in backticks where one is at fault.
            let at = super::arguments::span_of(function, call, &problem).unwrap_or(call.span.clone());
            ParseError::at(at, format!("`{}`: {problem}", function.name))
        })?;
        Ok((function, built))
    }

    pub(super) fn function(&self, name: &str, span: &Span) -> Result<&'p Function, ParseError> {
        let parser = self.parser;
        if let Some(function) = parser.function(name, self.context()) {
            return Ok(function);
        }
        let context = self.context().as_str();
        if let Some(function) = parser.functions.get(name).and_then(|of| of.first()) {
            let contexts: Vec<_> = function.contexts.iter().map(|context| context.as_str()).collect();
            let message = format!("`{name}` does not exist in the context {context}");
            return Err(ParseError::at(span.clone(), message).help(format!("it exists in: {}", contexts.join(", "))));
        }
        if let Some(why) = refused(name) {
            let message = format!("`{name}` is a function of the Collector that is left out: {why}");
            return Err(ParseError::at(span.clone(), message));
        }
        Err(ParseError::at(span.clone(), format!("unknown function `{name}`"))
            .nearest(name, parser.names(self.context())))
    }

    /// A value expression.
    pub(super) fn expr(&mut self, node: &Node) -> Result<Expr, ParseError> {
        Ok(match &node.kind {
            NodeKind::Nil => Expr::Literal(Value::Nil),
            NodeKind::Bool(truth) => Expr::Literal(Value::Bool(*truth)),
            NodeKind::Int(int) => Expr::Literal(Value::Int(*int)),
            NodeKind::Float(float) => Expr::Literal(Value::Float(*float)),
            NodeKind::Str(text) => Expr::Literal(Value::text(text.as_str())),
            NodeKind::Bytes(bytes) => Expr::Literal(Value::Bytes(Cow::Owned(bytes.clone()))),
            NodeKind::Name(name) => self.symbol(name, &node.span)?,
            NodeKind::Path(path) => Expr::Path(Box::new(self.path(path, &node.span)?)),
            NodeKind::Call(call) => self.call(call)?,
            NodeKind::List(nodes) => {
                let items = nodes.iter().map(|node| self.expr(node)).collect::<Result<Vec<_>, _>>()?;
                if items.iter().all(|item| item.literal().is_some()) {
                    let literals = items.iter().filter_map(|item| item.literal().cloned());
                    return Ok(Expr::Literal(Value::List(literals.collect())));
                }
                Expr::Computed(Box::new(ListOf(items)))
            }
            NodeKind::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| Ok((key.clone(), self.expr(node)?))).collect::<Result<
                    Vec<_>,
                    ParseError,
                >>(
                )?;
                if entries.iter().all(|(_, item)| item.literal().is_some()) {
                    let literals = entries
                        .iter()
                        .filter_map(|(key, item)| Some((Cow::Owned(key.clone()), item.literal()?.clone())));
                    return Ok(Expr::Literal(Value::Map(literals.collect())));
                }
                Expr::Computed(Box::new(MapOf(entries)))
            }
            NodeKind::Math(first, rest) => {
                let mut first = self.expr(first)?;
                let mut later: Vec<(syntax::Math, Expr)> = Vec::new();
                for (operator, node) in rest {
                    let right = self.expr(node)?;
                    match (&first, &right) {
                        (Expr::Literal(a), Expr::Literal(b)) if later.is_empty() => {
                            let value = math::calculate(*operator, a, b);
                            first = Expr::Literal(
                                value.map_err(|error| ParseError::at(node.span.clone(), error.to_string()))?,
                            );
                        }
                        _ => later.push((*operator, right)),
                    }
                }
                if later.is_empty() {
                    return Ok(first);
                }
                Expr::Computed(Box::new(math::Chain { first, rest: later }))
            }
            NodeKind::Negative(inner) => match self.expr(inner)? {
                Expr::Literal(value) => Expr::Literal(
                    math::negate(&value).map_err(|error| ParseError::at(node.span.clone(), error.to_string()))?,
                ),
                computed => Expr::Computed(Box::new(math::Negative(computed))),
            },
            NodeKind::Not(_) | NodeKind::And(_) | NodeKind::Or(_) | NodeKind::Compare(..) => match self.test(node)? {
                Test::Constant(truth) => Expr::Literal(Value::Bool(truth)),
                test => Expr::Computed(Box::new(test)),
            },
            NodeKind::Lambda(..) => {
                let error = ParseError::at(node.span.clone(), "a lambda can only be the argument of a function");
                return Err(error.help("for example `Filter(list, (x) => x != nil)`"));
            }
        })
    }

    /// A condition.
    pub(super) fn test(&mut self, node: &Node) -> Result<Test, ParseError> {
        Ok(match &node.kind {
            NodeKind::Bool(truth) => Test::Constant(*truth),
            NodeKind::Not(inner) => self.test(inner)?.not(),
            NodeKind::And(nodes) => Test::all(nodes.iter().map(|node| self.test(node)).collect::<Result<_, _>>()?),
            NodeKind::Or(nodes) => Test::any(nodes.iter().map(|node| self.test(node)).collect::<Result<_, _>>()?),
            NodeKind::Compare(left, operator, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                Test::compare(left, *operator, right)
            }
            NodeKind::Call(call) => Test::Call(self.call(call)?),
            NodeKind::Path(path) if self.local(path).is_some() => Test::Call(self.expr(node)?),
            NodeKind::Path(_) => {
                let error = ParseError::at(node.span.clone(), "a path alone decides nothing");
                return Err(error.help(format!("compare it: `{node} != nil`, `{node} == true`")));
            }
            _ => {
                let error = ParseError::at(node.span.clone(), "a condition must be true or false");
                return Err(error.help("compare two values, or call a converter that decides, like `IsMatch(...)`"));
            }
        })
    }

    fn symbol(&self, name: &str, span: &Span) -> Result<Expr, ParseError> {
        if let Some(number) = enums::number(self.context(), name) {
            return Ok(Expr::Literal(Value::Int(number)));
        }
        if self.parser.function(name, self.context()).is_some() {
            let error = ParseError::at(span.clone(), format!("`{name}` is a function"));
            return Err(error.help(format!("call it: `{name}(...)`")));
        }
        Err(enums::unknown(self.context(), name, span))
    }

    fn call(&mut self, call: &Call) -> Result<Expr, ParseError> {
        let (function, built) = self.build(call)?;
        let Built::Converter(converter) = built else {
            return Err(ParseError::at(call.name_span.clone(), format!("`{}` yields no value", function.name)));
        };
        if call.keys.is_empty() {
            return Ok(Expr::Computed(converter));
        }
        let keys = call.keys.iter().map(|key| self.key(&key.index)).collect::<Result<Vec<_>, _>>()?;
        Ok(Expr::Computed(Box::new(Indexed { value: Expr::Computed(converter), keys })))
    }

    fn key(&mut self, node: &Node) -> Result<Key, ParseError> {
        match self.expr(node)? {
            Expr::Literal(Value::Str(text)) => Ok(Key::Str(text.into())),
            Expr::Literal(Value::Int(int)) => Ok(Key::Int(int)),
            Expr::Literal(other) => {
                let message = format!("a key must be a string or an int, found {}", other.type_name());
                Err(ParseError::at(node.span.clone(), message))
            }
            computed => Ok(Key::Computed(computed)),
        }
    }

    /// The lambda's parameter that a path starts with.
    fn local(&self, path: &syntax::Path) -> Option<usize> {
        let (first, _) = path.fields.first()?;
        self.locals.iter().rposition(|local| local == first)
    }

    /// Compiles a lambda with the given parameters. Returns how many locals stand below, and the body.
    pub(super) fn lambda(&mut self, params: &[(String, Span)], body: &Node) -> Result<(usize, Expr), ParseError> {
        let base = self.locals.len();
        self.locals.extend(params.iter().map(|(name, _)| name.clone()));
        let body = self.expr(body);
        self.locals.truncate(base);
        body.map(|body| (base, body))
    }

    /// A path.
    pub(super) fn path(&mut self, path: &syntax::Path, span: &Span) -> Result<Path, ParseError> {
        let name = path.to_string();
        if let Some(local) = self.local(path) {
            if let Some((_, span)) = path.fields.get(1) {
                let error = ParseError::at(span.clone(), "parameters of lambdas have no fields");
                return Err(error.help("index them: `x[\"key\"]`"));
            }
            let keys = self.path_keys(path, 0)?;
            return Ok(Path::new(name, Root::Local(local), keys));
        }
        let (first, first_span) = path.fields.first().cloned().unwrap_or_default();
        if first == "otelcol" {
            return self.request_path(path, name, span);
        }
        let (context, skip) = self.context_of(path, &first, &first_span)?;
        let fields = path.fields.get(skip..).unwrap_or_default();
        let Some((_, field_span)) = fields.first() else {
            let error = ParseError::at(span.clone(), format!("`{first}` is a context, not a path"));
            return Err(
                error.help(format!("name a field of it, like `{first}.{}`", path::table::entries(context)[0].name))
            );
        };
        let written: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let written = written.join(".");
        let end = fields.last().map_or(span.end, |(_, span)| span.end);
        let fields_span = field_span.start..end;
        self.facts.contexts.push(context);
        let root = match written.as_str() {
            "cache" => Root::Cache(context),
            "event_index" if context == Context::SpanEvent => Root::EventIndex,
            _ => match path::table::entries(context).iter().find(|entry| entry.name == written) {
                Some(entry) => Root::Field(entry.field),
                None => return Err(unknown_path(context, &written, fields_span)),
            },
        };
        // Keys stand behind the last field.
        let last = path.fields.len() - 1;
        let keys = self.path_keys(path, last)?;
        let takes_keys = match root {
            Root::Field(field) => field.form.takes_keys(),
            Root::EventIndex => false,
            _ => true,
        };
        if let (false, Some((_, key))) = (takes_keys, path.keys.first()) {
            let message = format!("`{}.{written}` cannot be indexed", context.as_str());
            return Err(ParseError::at(key.index.span.clone(), message));
        }
        if let (Root::Field(field), Some((_, key))) = (root, path.keys.get(1))
            && field.form == Form::TraceState
        {
            return Err(ParseError::at(key.index.span.clone(), "a trace state takes one key"));
        }
        if let (Root::Field(field), Some((_, key)), Some(first)) = (root, path.keys.first(), keys.first())
            && matches!(field.form, Form::Attributes | Form::TraceState)
            && matches!(first, Key::Int(_))
        {
            return Err(ParseError::at(key.index.span.clone(), "a map is indexed with a string, not with an int"));
        }
        Ok(Path::new(name, root, keys))
    }

    fn path_keys(&mut self, path: &syntax::Path, last: usize) -> Result<Vec<Key>, ParseError> {
        if let Some((_, key)) = path.keys.iter().find(|(of, _)| *of != last) {
            let error = ParseError::at(key.index.span.clone(), "only the last field of a path can be indexed");
            return Err(error.help("go on with keys: `attributes[\"a\"][\"b\"]`"));
        }
        path.keys.iter().map(|(_, key)| self.key(&key.index)).collect()
    }

    /// The context of a path, and how many of its fields name it.
    fn context_of(&self, path: &syntax::Path, first: &str, span: &Span) -> Result<(Context, usize), ParseError> {
        let own = self.context();
        let named = Context::from_name(first).filter(|_| path.keys.iter().all(|(of, _)| *of != 0));
        if let Some(named) = named {
            if own.chain().any(|context| context == named) {
                return Ok((named, 1));
            }
            let around: Vec<_> = own.chain().map(Context::as_str).collect();
            let message = format!("`{first}` cannot be reached from the context {}", own.as_str());
            return Err(ParseError::at(span.clone(), message).help(format!("reachable are: {}", around.join(", "))));
        }
        if let Mode::Plain(context) = self.mode {
            return Ok((context, 0));
        }
        let is_path = |context: &Context| {
            first == "cache"
                || path::table::entries(*context).iter().any(|entry| entry.name.split('.').next() == Some(first))
        };
        if let Some(context) = own.chain().find(is_path) {
            let error = ParseError::at(span.clone(), format!("the path `{first}` needs its context"));
            return Err(error.help(format!("write `{}.{path}`", context.as_str())));
        }
        let contexts = own.chain().map(Context::as_str);
        Err(ParseError::at(span.clone(), format!("unknown context `{first}`")).nearest(first, contexts))
    }

    fn request_path(&mut self, path: &syntax::Path, name: String, span: &Span) -> Result<Path, ParseError> {
        let written: Vec<&str> = path.fields.iter().skip(1).map(|(name, _)| name.as_str()).collect();
        let written = written.join(".");
        let Some((_, request)) = Request::NAMES.iter().find(|(name, _)| *name == written) else {
            let error = ParseError::at(span.clone(), format!("unknown path `otelcol.{written}`"));
            let names: Vec<_> = Request::NAMES.iter().map(|(name, _)| format!("otelcol.{name}")).collect();
            return Err(error.help(format!("there are: {}", names.join(", "))));
        };
        let keys = self.path_keys(path, path.fields.len() - 1)?;
        match (request, keys.first()) {
            (Request::Address, Some(_)) => {
                return Err(ParseError::at(span.clone(), "`otelcol.client.addr` cannot be indexed"));
            }
            (Request::Metadata, Some(Key::Str(key))) => self.facts.metadata_keys.push(key.to_ascii_lowercase()),
            (Request::Metadata, _) => self.facts.reads_all_metadata = true,
            (Request::Address, _) => (self.facts.reads_sender, self.facts.reads_address) = (true, true),
            (Request::Auth, _) => self.facts.reads_sender = true,
        }
        Ok(Path::new(name, Root::Request(*request), keys))
    }

    /// A path that can be written.
    pub(super) fn target(&mut self, node: &Node) -> Result<Path, ParseError> {
        let NodeKind::Path(path) = &node.kind else {
            let message = format!("expected a path that can be set, found `{node}`");
            return Err(ParseError::at(node.span.clone(), message));
        };
        let compiled = self.path(path, &node.span)?;
        let is_writable = match compiled.root {
            Root::Cache(_) => true,
            Root::Field(field) => field.form.is_writable(field.owner, self.context()),
            Root::Local(_) | Root::Request(_) | Root::EventIndex => false,
        };
        if !is_writable {
            return Err(ParseError::at(node.span.clone(), format!("`{}` cannot be set", compiled.name)));
        }
        Ok(compiled)
    }

    /// A converter given by its name, and the kind of its only required parameter.
    pub(super) fn by_name(&self, name: &str, span: &Span) -> Result<&'p Function, ParseError> {
        let function = self.function(name, span)?;
        let required = function.params.iter().filter(|param| !param.is_optional).count();
        let first_is_value = function.params.first().is_some_and(|param| param.kind == ParamKind::Value);
        if required > 1 || !first_is_value {
            let message = format!("`{name}` cannot be given by name, because it takes more than one value");
            return Err(ParseError::at(span.clone(), message));
        }
        Ok(function)
    }
}

fn unknown_path(context: Context, written: &str, span: Span) -> ParseError {
    let error = ParseError::at(span, format!("`{}` has no path `{written}`", context.as_str()));
    let entries = path::table::entries(context);
    let shares_first = |name: &&str| name.split('.').next() == written.split('.').next();
    let names = || entries.iter().map(|entry| entry.name).chain(["cache"]);
    let similar: Vec<_> = names().filter(shares_first).collect();
    if similar.is_empty() || !written.contains('.') {
        return error.nearest(written, names());
    }
    if let [only] = similar.as_slice()
        && let Some(entry) = entries.iter().find(|entry| entry.name == *only)
        && entry.field.form == Form::Attributes
    {
        let key = written.split_once('.').map_or("", |(_, key)| key);
        return error.help(format!("write `{only}[\"{key}\"]`"));
    }
    error.help(format!("there are: {}", similar.join(", ")))
}

/// `[a, b]`
struct ListOf(Vec<Expr>);

impl Convert for ListOf {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        self.0.iter().map(|item| item.eval(on)).collect::<Result<_, _>>().map(Value::List)
    }
}

/// `{"k": v}`
struct MapOf(Vec<(String, Expr)>);

impl Convert for MapOf {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let mut map = Map::new();
        for (key, item) in &self.0 {
            map.insert(key.as_str(), item.eval(on)?);
        }
        Ok(Value::Map(map))
    }
}

/// `Split(x, ",")[0]`
struct Indexed {
    value: Expr,
    keys: Vec<Key>,
}

impl Convert for Indexed {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let value = self.value.eval(on)?;
        let keys = path::computed_keys(&self.keys, on)?;
        path::index_value(value, &keys)
    }
}
