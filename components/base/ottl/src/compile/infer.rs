//! The context of statements that do not tell theirs: the innermost that a path of them names, or one within it where
//! that lacks a function or symbol.

use crate::context::Context;
use crate::problem::ParseError;
use crate::syntax::{Goal, Node, NodeKind, Root, parse};

use super::{Parser, enums};

/// What the texts are whose context is inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `editor(...) where condition`.
    Statement,
    /// Conditions.
    Condition,
    /// Value expressions.
    Value,
}

/// Which context is taken if several are named, the first first.
const PRIORITY: [Context; Context::COUNT] = [
    Context::Log,
    Context::Exemplar,
    Context::DataPoint,
    Context::Metric,
    Context::SpanEvent,
    Context::Span,
    Context::Scope,
    Context::Resource,
];

/// A name and where it stands: the text, and the place in it.
type Named<'t> = (String, &'t str, std::ops::Range<usize>);

impl Parser {
    /// The context that statements are to be run in, from the prefixes of their paths. `None` if no path names one. Where
    /// that context lacks a function or symbol, one within it is taken that has all of them and `is_open`, the innermost first:
    /// `convert_sum_to_gauge() where resource.attributes["a"] == 1` runs on metrics.
    ///
    /// # Errors
    /// [`ParseError`] of a text that is not of its kind; when no context has all functions and symbols that are used, or no
    /// path names a context but one nearly does.
    pub fn infer(
        &self,
        texts: &[(Kind, &str)],
        is_open: impl Fn(Context) -> bool,
    ) -> Result<Option<Context>, ParseError> {
        let (mut paths, mut functions, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, text) in texts {
            let goal = if *kind == Kind::Statement { Goal::Statement } else { Goal::Expression };
            let root = parse(text, goal)?;
            let mut see = |node: &Node| match &node.kind {
                NodeKind::Path(path) => {
                    paths.extend(path.fields.first().map(|(name, span)| (name.clone(), *text, span.clone())));
                }
                NodeKind::Call(call) => functions.push((call.name.clone(), *text, call.name_span.clone())),
                // A converter given by name is no symbol.
                NodeKind::Name(name) if !self.functions.contains_key(name.as_str()) => {
                    symbols.push((name.clone(), *text, node.span.clone()));
                }
                _ => {}
            };
            match &root {
                Root::Statement { editor, condition } => {
                    editor.walk(&mut see);
                    if let Some(condition) = condition {
                        condition.walk(&mut see);
                    }
                    functions.push((editor.name.clone(), *text, editor.name_span.clone()));
                }
                Root::Expression(node) => node.walk(&mut see),
            }
        }
        let named = |context: &Context| paths.iter().any(|(path, ..)| Context::from_name(path) == Some(*context));
        let Some(innermost) = PRIORITY.into_iter().find(named) else {
            let misspelt = paths.iter().find_map(|(path, text, span)| {
                let error = ParseError::at(span.clone(), format!("unknown context `{path}`"));
                let error =
                    error.nearest(path, Context::ALL.into_iter().filter(|it| is_open(*it)).map(Context::as_str));
                error.help.is_some().then(|| error.of(text))
            });
            return misspelt.map_or(Ok(None), Err);
        };
        let lacking = |context: Context| -> Option<ParseError> { self.lacking(context, &functions, &symbols) };
        let Some(error) = lacking(innermost) else { return Ok(Some(innermost)) };
        let within = |context: &Context| is_open(*context) && context.chain().skip(1).any(|around| around == innermost);
        match PRIORITY.into_iter().filter(within).find(|context| lacking(*context).is_none()) {
            Some(context) => Ok(Some(context)),
            None => Err(error),
        }
    }

    /// What a context lacks.
    fn lacking(&self, context: Context, functions: &[Named<'_>], symbols: &[Named<'_>]) -> Option<ParseError> {
        let resolver = super::resolve::Resolver::new(self, super::Mode::Prefixed(context));
        for (name, text, span) in functions {
            if let Err(error) = resolver.function(name, span) {
                return Some(error.of(text));
            }
        }
        for (name, text, span) in symbols {
            if enums::number(context, name).is_none() {
                return Some(enums::unknown(context, name, span).of(text));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_context_from_being_inferred_has_suggestions() {
        let parser = Parser::new(&[]);
        let infer = |text: &str| parser.infer(&[(Kind::Statement, text)], |_| true);
        for (text, expected) in [
            ("set(span.kind, SPAN_KIND_SERVR)", "did you mean `SPAN_KIND_SERVER`?"),
            ("set(span.kind, SEVERITY_NUMBER_INFO)", "it exists in: log"),
            ("set(spn.kind, 1)", "did you mean `span`?"),
        ] {
            assert_eq!(infer(text).unwrap_err().help.as_deref(), Some(expected), "{text}");
        }
        assert_eq!(infer("set(kind, 1)").unwrap(), None);
    }

    #[test]
    fn a_bad_pattern_is_underlined_alone() {
        let text = r#"replace_pattern(span.name, "a(", "x")"#;
        let error = Parser::new(&[]).statement(text, super::super::Mode::Prefixed(Context::Span)).unwrap_err();
        assert_eq!(text.get(error.span), Some(r#""a(""#), "{}", error.message);
    }
}
