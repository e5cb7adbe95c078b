//! Arguments of calls: placed by position and name, and compiled to what their parameters take.

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Argument, Arguments, Built, ByName, Function, Lambda, Param, ParamKind};
use crate::path::{Path, Root};
use crate::problem::ParseError;
use crate::subject::Subject;
use crate::syntax::{Call, Node, NodeKind, Span};
use crate::value::Value;

use super::resolve::Resolver;

/// Whether a parameter goes by this name. The Collector takes names with capitals in place of underscores, too.
fn is_name_of(param: &Param, name: &str) -> bool {
    let has_capitals = name.contains(|c: char| c.is_ascii_uppercase());
    param.name == name || has_capitals && param.name.replace('_', "") == name.to_ascii_lowercase()
}

/// The parameters that the arguments of a call stand for, in the order of the call.
fn places<'c>(function: &Function, call: &'c Call) -> Result<Vec<(&'static Param, &'c Node)>, ParseError> {
    let mut places: Vec<(&'static Param, &Node)> = Vec::new();
    let mut is_named = false;
    for (position, (name, node)) in call.arguments.iter().enumerate() {
        let param = match name {
            Some((name, span)) => {
                is_named = true;
                function.params.iter().find(|param| is_name_of(param, name)).ok_or_else(|| {
                    ParseError::at(span.clone(), format!("`{}` has no argument `{name}`", function.name))
                        .nearest(name, function.params.iter().map(|param| param.name))
                })?
            }
            None if is_named => {
                let error = ParseError::at(node.span.clone(), "an argument without a name after one with a name");
                return Err(error.help("arguments by position come first"));
            }
            None => function.params.get(position).ok_or_else(|| {
                let most = function.params.len();
                let message =
                    format!("`{}` takes at most {most} arguments, found {}", function.name, call.arguments.len());
                ParseError::at(node.span.clone(), message).help(signature(function))
            })?,
        };
        if places.iter().any(|(other, _)| other.name == param.name) {
            let span = name.as_ref().map_or(node.span.clone(), |(_, span)| span.clone());
            return Err(ParseError::at(span, format!("the argument `{}` is given twice", param.name)));
        }
        places.push((param, node));
    }
    for param in function.params.iter().filter(|param| !param.is_optional) {
        if !places.iter().any(|(given, _)| given.name == param.name) {
            let message = format!("`{}` is missing the argument `{}`", function.name, param.name);
            return Err(ParseError::at(call.span.clone(), message).help(signature(function)));
        }
    }
    Ok(places)
}

/// `replace_match(target, pattern, replacement, [function])`
fn signature(function: &Function) -> String {
    let params: Vec<_> = function
        .params
        .iter()
        .map(|param| if param.is_optional { format!("[{}]", param.name) } else { param.name.to_owned() })
        .collect();
    format!("it is `{}({})`", function.name, params.join(", "))
}

/// The place of the argument that an error's text names in backticks, or that is the text it quotes.
pub(super) fn span_of(function: &Function, call: &Call, problem: &str) -> Option<Span> {
    let places = places(function, call).ok()?;
    let named = places.iter().find(|(param, _)| problem.contains(&format!("`{}`", param.name)));
    let quoted = || {
        places.iter().find(|(_, node)| match &node.kind {
            NodeKind::Str(text) => problem.contains(&format!("`{text}`")),
            _ => false,
        })
    };
    named.or_else(quoted).map(|(_, node)| node.span.clone())
}

impl Resolver<'_> {
    pub(super) fn arguments(&mut self, function: &Function, call: &Call) -> Result<Arguments, ParseError> {
        let mut arguments = Arguments::default();
        for (param, node) in places(function, call)? {
            arguments.insert(param.name, self.argument(param, node)?);
        }
        Ok(arguments)
    }

    fn argument(&mut self, param: &Param, node: &Node) -> Result<Argument, ParseError> {
        let expected = |what: &str| {
            Err(ParseError::at(
                node.span.clone(),
                format!("the argument `{}` must be {what}, found `{node}`", param.name),
            ))
        };
        Ok(match param.kind {
            ParamKind::Value => Argument::Value(self.expr(node)?),
            ParamKind::Target => Argument::Target(Target(Box::new(self.target(node)?))),
            ParamKind::Text => match &node.kind {
                NodeKind::Str(text) => Argument::Text(text.clone()),
                _ => return expected("a string literal"),
            },
            ParamKind::Int => match self.literal(node)? {
                Some(Value::Int(int)) => Argument::Int(int),
                _ => return expected("an int literal"),
            },
            #[expect(clippy::cast_precision_loss, reason = "an int is given where a float is wanted")]
            ParamKind::Float => match self.literal(node)? {
                Some(Value::Float(float)) => Argument::Float(float),
                Some(Value::Int(int)) => Argument::Float(int as f64),
                _ => return expected("a literal number"),
            },
            ParamKind::Bool => match self.literal(node)? {
                Some(Value::Bool(truth)) => Argument::Bool(truth),
                _ => return expected("`true` or `false`"),
            },
            ParamKind::List => match &node.kind {
                NodeKind::List(nodes) => {
                    Argument::List(nodes.iter().map(|node| self.expr(node)).collect::<Result<_, _>>()?)
                }
                _ => return expected("a list in brackets"),
            },
            ParamKind::Function => match &node.kind {
                NodeKind::Name(name) => Argument::Function(self.applied(name, &node.span)?),
                _ => return expected("the name of a converter, like `SHA256`"),
            },
            ParamKind::Lambda => match &node.kind {
                NodeKind::Lambda(params, body) => {
                    let (base, body) = self.lambda(params, body)?;
                    Argument::Lambda(Lambda { params: params.len(), body, base })
                }
                _ => return expected("a lambda, like `(x) => x`"),
            },
        })
    }

    fn literal(&mut self, node: &Node) -> Result<Option<Value<'static>>, ParseError> {
        Ok(self.expr(node)?.literal().cloned())
    }

    /// A converter whose argument is the first local.
    fn applied(&self, name: &str, span: &Span) -> Result<ByName, ParseError> {
        let function = self.by_name(name, span)?;
        let mut arguments = Arguments::default();
        if let Some(param) = function.params.first() {
            let local = Path::new(param.name, Root::Local(0), Vec::new());
            arguments.insert(param.name, Argument::Value(Expr::Path(Box::new(local))));
        }
        let built = (function.build)(&mut arguments)
            .map_err(|problem| ParseError::at(span.clone(), format!("`{name}`: {problem}")))?;
        let Built::Converter(converter) = built else {
            return Err(ParseError::at(span.clone(), format!("`{name}` yields no value")));
        };
        Ok(ByName(Box::new(move |value| apart(value, |on| converter.convert(on).map(Value::into_owned)))))
    }
}

/// Runs something on a value alone, which is its first local, away from any record.
fn apart<T>(value: Value<'static>, run: impl FnOnce(&mut Subject<'_>) -> Result<T, RunError>) -> Result<T, RunError> {
    let mut editor = pdata::edit::Editor::new(pdata::Payload::empty(pdata::Signal::Logs))?;
    let request = pdata::Context::default();
    let mut on = Subject::new(&mut editor, &request);
    on.locals.push(value);
    run(&mut on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_capitals_in_place_of_underscores() {
        let param = Param::required("resolve_conflicts", ParamKind::Value);
        for (name, expected) in [
            ("resolve_conflicts", true),
            ("resolveConflicts", true),
            ("ResolveConflicts", true),
            ("resolveconflicts", false),
            ("resolveConflict", false),
        ] {
            assert_eq!(is_name_of(&param, name), expected, "{name}");
        }
    }
}
