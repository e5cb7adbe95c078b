//! From the configuration to what is asked of each record.

use std::sync::OnceLock;

use matching::{LogFilters, MetricFilters, Selector};
use ottl::compile::Kind;
use ottl::{Condition, Context, Mode, Parser};
use pdata::{RequestPart, Signal};
use statements::{Entry, ErrorMode, Placed, Problem, contexts};

use crate::config::{ConditionGroup, FilterConfig};
use crate::functions;

/// A condition, and what follows when it fails.
#[derive(Debug)]
pub struct Rule {
    /// Records for which it holds are dropped.
    pub condition: Placed<Condition>,
    /// What follows when it fails.
    pub error_mode: ErrorMode,
}

/// All conditions of one context.
#[derive(Debug)]
pub struct Pass {
    /// What they are about.
    pub context: Context,
    /// Any of them drops.
    pub rules: Vec<Rule>,
}

/// What is asked of the records of a signal.
#[derive(Debug, Default)]
pub struct Plan {
    /// Outermost context first: what is gone is not asked about again.
    pub passes: Vec<Pass>,
    /// Properties by which items (metrics, in that signal) are kept.
    pub selector: Option<Selector>,
}

/// The parser with this processor's functions.
fn parser() -> &'static Parser {
    static PARSER: OnceLock<Parser> = OnceLock::new();
    PARSER.get_or_init(|| Parser::new(functions::FUNCTIONS))
}

/// Compiles what is configured for a signal.
///
/// # Errors
/// Everything that is wrong.
pub fn compile(config: &FilterConfig, signal: Signal) -> Result<Plan, Vec<Problem>> {
    let (setting, entries) = config.conditions(signal);
    let (block, lists) = config.by_context(signal);
    let mut compiler =
        Compiler { signal, setting, default_mode: config.error_mode, rules: Vec::new(), problems: Vec::new() };
    let has_lists = lists.iter().any(|(_, _, texts)| !texts.is_empty());
    let has_properties = config.has_properties(signal);
    if !entries.is_empty() && (has_lists || has_properties) {
        let older = if has_lists || signal != Signal::Traces { block } else { "spans" };
        compiler.refuse(setting, format!("cannot use `{setting}` and the older `{older}` at the same time"));
    }
    if has_lists && has_properties {
        let what = if signal == Signal::Traces { "spans" } else { block };
        let message = format!("cannot use ottl conditions and include/exclude for {what} at the same time");
        compiler.refuse(block, message);
    }
    compiler.entries(entries);
    for (key, context, texts) in lists {
        let Some(context) = Context::from_name(context) else { continue };
        for (index, text) in texts.iter().enumerate() {
            compiler.rule(&format!("{block}::{key}::{index}"), text, Mode::Plain(context), config.error_mode);
        }
    }
    let selector = match selector(config, signal) {
        Ok(selector) => Some(selector).filter(|_| has_properties),
        Err((block, problem)) => {
            compiler.refuse(&format!("{block}::{}", problem.path), problem.message);
            None
        }
    };
    if !compiler.problems.is_empty() {
        return Err(compiler.problems);
    }
    let mut passes: Vec<Pass> = Vec::new();
    for context in Context::ALL {
        let rules: Vec<Rule> = compiler.rules.extract_if(.., |rule| rule.condition.context() == context).collect();
        if !rules.is_empty() {
            passes.push(Pass { context, rules });
        }
    }
    Ok(Plan { passes, selector })
}

/// What the conditions for a signal read of requests; nothing if something is wrong with them.
#[must_use]
pub fn request_reads(config: &FilterConfig, signal: Signal) -> Vec<RequestPart> {
    let passes = compile(config, signal).unwrap_or_default().passes;
    let rules = passes.iter().flat_map(|pass| &pass.rules);
    rules.flat_map(|rule| rule.condition.facts().request_reads()).collect()
}

fn selector(config: &FilterConfig, signal: Signal) -> Result<Selector, (&'static str, matching::Problem)> {
    match signal {
        Signal::Traces => Selector::new(signal, &config.spans).map_err(|problem| ("spans", problem)),
        Signal::Metrics => {
            let (include, exclude) = (config.metrics.include.clone(), config.metrics.exclude.clone());
            Selector::of_metrics(&MetricFilters { include, exclude }).map_err(|problem| ("metrics", problem))
        }
        Signal::Logs => {
            let (include, exclude) = (config.logs.include.clone(), config.logs.exclude.clone());
            Selector::of_logs(&LogFilters { include, exclude }).map_err(|problem| ("logs", problem))
        }
    }
}

struct Compiler {
    signal: Signal,
    setting: &'static str,
    default_mode: ErrorMode,
    rules: Vec<Rule>,
    problems: Vec<Problem>,
}

impl Compiler {
    fn refuse(&mut self, field: &str, message: String) {
        self.problems.push(Problem::setting(field, message));
    }

    fn entries(&mut self, entries: &[Entry<ConditionGroup>]) {
        let (setting, mode) = (self.setting, self.default_mode);
        let is_text = |entry: &Entry<ConditionGroup>| matches!(entry, Entry::Text(_));
        if let Some(index) = entries.iter().position(|entry| is_text(entry) != entries.first().is_some_and(is_text)) {
            let message = "conditions that stand alone and groups cannot be in one list; put all into groups";
            self.refuse(&format!("{setting}::{index}"), message.to_owned());
        }
        for (index, entry) in entries.iter().enumerate() {
            let field = format!("{setting}::{index}");
            match entry {
                Entry::Text(text) => self.inferred(&field, text, mode),
                Entry::Group(group) => self.group(&field, group),
            }
        }
    }

    fn group(&mut self, field: &str, group: &ConditionGroup) {
        let error_mode = group.error_mode.unwrap_or(self.default_mode);
        let context = contexts::named(self.signal, &group.context);
        if context.is_none() && !group.context.is_empty() {
            let (name, known) = (&group.context, contexts::names(self.signal));
            let meant = contexts::meant(self.signal, name);
            let message = format!("unknown context `{name}` for `{}`; there are: {known}{meant}", self.setting);
            self.refuse(&format!("{field}::context"), message);
            return;
        }
        for (index, text) in group.conditions.iter().enumerate() {
            let field = format!("{field}::conditions::{index}");
            match context {
                Some(context) => self.rule(&field, text, Mode::Plain(context), error_mode),
                None => self.inferred(&field, text, error_mode),
            }
        }
    }

    /// A condition whose context is inferred, for itself alone.
    fn inferred(&mut self, field: &str, text: &str, error_mode: ErrorMode) {
        let message = match parser().infer(&[(Kind::Condition, text)], |context| contexts::has(self.signal, context)) {
            Ok(Some(context)) if contexts::has(self.signal, context) => {
                return self.rule(field, text, Mode::Prefixed(context), error_mode);
            }
            Ok(Some(context)) => format!("`{}` is no context of `{}`", context.as_str(), self.setting),
            Ok(None) => format!(
                "the context cannot be inferred: begin paths with one of {}, or give `context` in a group",
                contexts::names(self.signal)
            ),
            Err(error) => {
                self.problems.push(Problem::statement(field, error));
                return;
            }
        };
        self.refuse(field, message);
    }

    fn rule(&mut self, field: &str, text: &str, mode: Mode, error_mode: ErrorMode) {
        match parser().condition(text, mode) {
            Ok(condition) => self.rules.push(Rule { condition: Placed::new(condition, field), error_mode }),
            Err(error) => self.problems.push(Problem::statement(field, error)),
        }
    }
}
