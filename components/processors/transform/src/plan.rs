//! From the configuration to compiled groups of statements.

use std::sync::OnceLock;

use ottl::compile::Kind;
use ottl::{Condition, Context, Mode, ParseError, Parser, Statement};
use pdata::{RequestPart, Signal};
use statements::{Entry, ErrorMode, Placed, Problem, contexts};

use crate::config::{StatementGroup, TransformConfig};
use crate::functions;

/// Statements that run together on the records of one context.
#[derive(Debug)]
pub struct Group {
    /// What they run on.
    pub context: Context,
    /// One of them has to hold; none for always.
    pub conditions: Vec<Placed<Condition>>,
    /// In order.
    pub statements: Vec<Placed<Statement>>,
    /// Whether a statement reaches into every record, which is opened then.
    pub opens_record: bool,
    /// What follows when one fails.
    pub error_mode: ErrorMode,
}

impl Group {
    fn new(
        context: Context,
        conditions: Vec<Placed<Condition>>,
        statements: Vec<Placed<Statement>>,
        error_mode: ErrorMode,
    ) -> Self {
        let opens_record = statements
            .iter()
            .any(|statement| statement.is_unconditional() && statement.facts().contexts.first() == Some(&context));
        Self { context, conditions, statements, opens_record, error_mode }
    }
}

/// The parser with this processor's functions.
pub fn parser() -> &'static Parser {
    static PARSER: OnceLock<Parser> = OnceLock::new();
    PARSER.get_or_init(|| Parser::new(&functions::all()))
}

/// Compiles what is configured for a signal.
///
/// # Errors
/// Everything that is wrong.
pub fn compile(config: &TransformConfig, signal: Signal) -> Result<Vec<Group>, Vec<Problem>> {
    let (setting, entries) = config.statements(signal);
    let mut compiler =
        Compiler { signal, setting, default_mode: config.error_mode, groups: Vec::new(), problems: Vec::new() };
    // Statements that stand alone are one group, in the place of the first; behind groups, in the last place.
    let texts: Vec<(String, &str)> = entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| match entry {
            Entry::Text(text) => Some((format!("{setting}::{index}"), text.as_str())),
            Entry::Group(_) => None,
        })
        .collect();
    let starts_alone = matches!(entries.first(), Some(Entry::Text(_)));
    if starts_alone {
        compiler.alone(&texts);
    }
    let mut seen_group = false;
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Group(_) if starts_alone => {
                let message = "a group cannot follow statements that stand alone; put those into a group, too";
                compiler.refuse(format!("{setting}::{index}"), "", message);
            }
            Entry::Group(group) => {
                seen_group = true;
                compiler.group(&format!("{setting}::{index}"), group);
            }
            Entry::Text(_) => {}
        }
    }
    if !starts_alone && seen_group && !texts.is_empty() {
        compiler.alone(&texts);
    }
    if compiler.problems.is_empty() { Ok(compiler.groups) } else { Err(compiler.problems) }
}

/// What the statements for a signal read of requests; nothing if something is wrong with them.
#[must_use]
pub fn request_reads(config: &TransformConfig, signal: Signal) -> Vec<RequestPart> {
    let groups = compile(config, signal).unwrap_or_default();
    let facts = groups.iter().flat_map(|group| {
        let conditions = group.conditions.iter().map(|condition| condition.facts());
        conditions.chain(group.statements.iter().map(|statement| statement.facts()))
    });
    facts.flat_map(ottl::Facts::request_reads).collect()
}

struct Compiler {
    signal: Signal,
    setting: &'static str,
    default_mode: ErrorMode,
    groups: Vec<Group>,
    problems: Vec<Problem>,
}

impl Compiler {
    fn refuse(&mut self, field: String, text: &str, message: impl Into<String>) {
        let error = ParseError { text: text.to_owned(), span: 0..text.len(), message: message.into(), help: None };
        self.problems.push(Problem::statement(field, error));
    }

    /// Statements that stand alone: one context for all of them, every path with its prefix.
    fn alone(&mut self, texts: &[(String, &str)]) {
        let Some(context) = self.infer(texts, &[]) else { return };
        let statements = self.statements(texts, Mode::Prefixed(context));
        self.groups.push(Group::new(context, Vec::new(), statements, self.default_mode));
    }

    fn group(&mut self, field: &str, group: &StatementGroup) {
        fn texts<'t>(field: &str, key: &str, texts: &'t [String]) -> Vec<(String, &'t str)> {
            texts.iter().enumerate().map(|(index, text)| (format!("{field}::{key}::{index}"), text.as_str())).collect()
        }
        let statements = texts(field, "statements", &group.statements);
        let conditions = texts(field, "conditions", &group.conditions);
        let mode = if group.context.is_empty() {
            let Some(context) = self.infer(&statements, &conditions) else { return };
            Mode::Prefixed(context)
        } else {
            match contexts::named(self.signal, &group.context) {
                Some(context) => Mode::Plain(context),
                None => {
                    let message = format!(
                        "unknown context `{}` for `{}`; there are: {}{}",
                        group.context,
                        self.setting,
                        contexts::names(self.signal),
                        contexts::meant(self.signal, &group.context)
                    );
                    self.refuse(format!("{field}::context"), &group.context, message);
                    return;
                }
            }
        };
        let (conditions, statements) = (self.conditions(&conditions, mode), self.statements(&statements, mode));
        let error_mode = group.error_mode.unwrap_or(self.default_mode);
        let compiled = Group::new(mode.context(), conditions, statements, error_mode);
        self.groups.push(compiled);
    }

    /// The context of statements that do not tell theirs: the innermost of what they and their conditions name.
    fn infer(&mut self, statements: &[(String, &str)], conditions: &[(String, &str)]) -> Option<Context> {
        let (field, text) = statements.first().or(conditions.first()).cloned().unwrap_or((self.setting.to_owned(), ""));
        let kinds = [(statements, Kind::Statement), (conditions, Kind::Condition)];
        let written: Vec<(Kind, &str)> =
            kinds.iter().flat_map(|(texts, kind)| texts.iter().map(|(_, text)| (*kind, *text))).collect();
        let inferred = match parser().infer(&written, |context| contexts::has(self.signal, context)) {
            Ok(inferred) => inferred,
            Err(error) => {
                // Where the culprit stands is told by its text.
                let culprit = statements.iter().chain(conditions).find(|(_, text)| *text == error.text);
                let field = culprit.map_or(field, |(field, _)| field.clone());
                self.problems.push(Problem::statement(field, error));
                return None;
            }
        };
        let message = match inferred {
            Some(context) if contexts::has(self.signal, context) => return Some(context),
            Some(context) => format!("`{}` is no context of `{}`", context.as_str(), self.setting),
            None => format!(
                "the context cannot be inferred: begin paths with one of {}, or give `context`",
                contexts::names(self.signal)
            ),
        };
        self.refuse(field, text, message);
        None
    }

    fn statements(&mut self, texts: &[(String, &str)], mode: Mode) -> Vec<Placed<Statement>> {
        texts.iter().filter_map(|(field, text)| self.note(field, parser().statement(text, mode))).collect()
    }

    fn conditions(&mut self, texts: &[(String, &str)], mode: Mode) -> Vec<Placed<Condition>> {
        texts.iter().filter_map(|(field, text)| self.note(field, parser().condition(text, mode))).collect()
    }

    fn note<T>(&mut self, field: &str, compiled: Result<T, ParseError>) -> Option<Placed<T>> {
        let placed = compiled.map(|compiled| Placed::new(compiled, field));
        placed.map_err(|error| self.problems.push(Problem::statement(field, error))).ok()
    }
}
