//! One `include` or `exclude`, compiled: what it asks of a resource, a scope, a metric and an item.

use pdata::Editor;
use pdata::edit::{Msg, Scalar};
use pdata::schema::SPAN_KIND;
use pdata::view::ValueView;

use crate::config::{LogMatchProperties, MatchProperties, MetricMatchProperties};
use crate::expression::Expression;
use crate::rules::{AttributeRules, MatchType, Place, Texts};
use crate::{Problem, Report};

/// Numbers of fields, see [`pdata::schema`].
const RESOURCE: u32 = 1;
const SCOPE: u32 = 1;
const SCOPE_NAME: u32 = 1;
const SCOPE_VERSION: u32 = 2;
const METRIC_NAME: u32 = 1;
const SPAN_NAME: u32 = 5;
const KIND: u32 = 6;
const SEVERITY_NUMBER: u32 = 2;
const SEVERITY_TEXT: u32 = 3;
const BODY: u32 = 5;

/// What the service is called if the resource does not say.
const NO_SERVICE: &str = "<nil-service-name>";
/// Span kinds that have a name for matching, and a last place for unknown ones, whose name is empty.
const KINDS: usize = 7;

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    services: Option<Texts>,
    resources: AttributeRules,
    libraries: Vec<Library>,
    metric_names: Option<Texts>,
    expressions: Vec<Expression>,
    span_names: Option<Texts>,
    /// By number, whether the kind matches; unknown ones are the last.
    span_kinds: Option<[bool; KINDS]>,
    bodies: Option<Texts>,
    severity_texts: Option<Texts>,
    severity: Option<Severity>,
    attributes: AttributeRules,
}

#[derive(Clone, Debug)]
struct Library {
    name: Texts,
    version: Option<Texts>,
}

#[derive(Clone, Copy, Debug)]
struct Severity {
    min: i64,
    match_undefined: bool,
}

impl Properties {
    /// Those of `include` and `exclude`, whatever the signal.
    pub(crate) fn of(config: &MatchProperties, block: &str, report: &mut Report<'_>) -> Self {
        let kind = &config.match_type;
        let place = |key, words| Place { block, key, words };
        let mut texts = |list: &[String], key, words| Texts::compile(kind, list, place(key, words), &mut *report);
        let services = texts(&config.services, "services", "error creating service name filters: ");
        let span_names = texts(&config.span_names, "span_names", "error creating span name filters: ");
        let kinds = texts(&config.span_kinds, "span_kinds", "error creating span kind filters: ");
        let bodies = texts(&config.log_bodies, "log_bodies", "error creating log record body filters: ");
        let severity_words = "error creating log record severity text filters: ";
        let severity_texts = texts(&config.log_severity_texts, "log_severity_texts", severity_words);
        let metric_names = texts(&config.metric_names, "metric_names", "");
        let mut libraries = Vec::new();
        for (index, library) in config.libraries.iter().enumerate() {
            let mut one = |text: &str, key, words| {
                let key = format!("libraries::{index}::{key}");
                Texts::compile_one(kind, text, Place { block, key: &key, words }, report)
            };
            let name = one(&library.name, "name", "error creating library name filters: ");
            let version = library.version.as_deref();
            let version = version.map(|version| one(version, "version", "error creating library version filters: "));
            libraries.extend(name.map(|name| Library { name, version: version.flatten() }));
        }
        let attributes = place("attributes", "error creating attribute filters: ");
        let resources = place("resources", "error creating resource filters: ");
        Self {
            services,
            resources: AttributeRules::compile(kind, &config.resources, resources, report),
            libraries,
            metric_names,
            expressions: Vec::new(),
            span_names,
            span_kinds: kinds.map(|kinds| kinds_of(&kinds)),
            bodies,
            severity_texts,
            severity: config
                .log_severity_number
                .as_ref()
                .map(|severity| Severity { min: i64::from(severity.min), match_undefined: severity.match_undefined }),
            attributes: AttributeRules::compile(kind, &config.attributes, attributes, report),
        }
    }

    /// Those of `filter`'s `metrics`: of the resource, and of the metric. The Collector asks for them one by one: an
    /// `exclude` drops what either matches.
    pub(crate) fn of_metrics(
        config: &MetricMatchProperties,
        block: &str,
        report: &mut Report<'_>,
    ) -> [Option<Self>; 2] {
        let kind = &config.match_type;
        let place = |key, words| Place { block, key, words };
        let resources = &config.resource_attributes;
        let rules = AttributeRules::compile(kind, resources, place("resource_attributes", ""), report);
        let of_resource = (!rules.is_empty()).then(|| Self { resources: rules, ..Self::default() });
        if kind != "expr" {
            let names = Texts::compile(kind, &config.metric_names, place("metric_names", ""), report);
            if !config.expressions.is_empty() {
                let message = format!("\"expressions\" need match_type=expr, but found '{kind}'");
                report(Problem::new(format!("{block}::expressions"), message));
            }
            return [of_resource, names.map(|names| Self { metric_names: Some(names), ..Self::default() })];
        }
        if !config.metric_names.is_empty() {
            let message = "\"metric_names\" are not compared with match_type=expr; write MetricName == \"…\"";
            report(Problem::new(format!("{block}::metric_names"), message));
        }
        let mut expressions = Vec::new();
        for (index, text) in config.expressions.iter().enumerate() {
            match Expression::parse(text) {
                Ok(expression) => expressions.push(expression),
                Err(error) => report(Problem::new(format!("{block}::expressions::{index}"), error.to_string())),
            }
        }
        [of_resource, (!expressions.is_empty()).then(|| Self { expressions, ..Self::default() })]
    }

    /// Those of `filter`'s `logs`. `None` if there are none.
    pub(crate) fn of_logs(config: &LogMatchProperties, block: &str, report: &mut Report<'_>) -> Option<Self> {
        let kind = &config.match_type;
        let place = |key, words| Place { block, key, words };
        let severity = config.severity_number.as_ref().map(|severity| {
            let number = severity_number(&severity.min);
            if number.is_none() {
                let message = format!("'{}' is not a valid severity", severity.min);
                report(Problem::new(format!("{block}::severity_number::min"), message));
            }
            Severity { min: number.unwrap_or_default(), match_undefined: severity.match_undefined }
        });
        let bodies = place("bodies", "error creating log record body filters: ");
        let texts = place("severity_texts", "error creating log record severity text filters: ");
        let attributes = place("record_attributes", "error creating attribute filters: ");
        let resources = place("resource_attributes", "error creating resource filters: ");
        let properties = Self {
            bodies: Texts::compile(kind, &config.bodies, bodies, report),
            severity_texts: Texts::compile(kind, &config.severity_texts, texts, report),
            severity,
            attributes: AttributeRules::compile(kind, &config.record_attributes, attributes, report),
            resources: AttributeRules::compile(kind, &config.resource_attributes, resources, report),
            ..Self::default()
        };
        (properties.looks_at_items() || !properties.resources.is_empty()).then_some(properties)
    }

    /// Whether it asks anything of items.
    pub(crate) fn looks_at_items(&self) -> bool {
        self.span_names.is_some()
            || self.span_kinds.is_some()
            || self.bodies.is_some()
            || self.severity_texts.is_some()
            || self.severity.is_some()
            || !self.attributes.is_empty()
    }

    pub(crate) fn match_group(&self, editor: &mut Editor, group: Msg, scratch: &mut String) -> bool {
        if self.services.is_none() && self.resources.is_empty() {
            return true;
        }
        let resource = editor.sub(group, RESOURCE);
        if let Some(services) = &self.services {
            let mut attributes = resource.map(|resource| editor.attributes(resource));
            let matches = match attributes.as_mut().and_then(|attributes| attributes.get("service.name")) {
                Some(name) => services.matches(value_text::of(ValueView::new(name.bytes()), scratch)),
                None => services.matches(NO_SERVICE),
            };
            if !matches {
                return false;
            }
        }
        self.resources.match_message(editor, resource, scratch)
    }

    pub(crate) fn match_scope(&self, editor: &mut Editor, scope_group: Msg) -> bool {
        if self.libraries.is_empty() {
            return true;
        }
        let scope = editor.sub(scope_group, SCOPE);
        let field = |number| scope.map_or("", |scope| editor.text(scope, number));
        let (name, version) = (field(SCOPE_NAME), field(SCOPE_VERSION));
        self.libraries.iter().any(|library| {
            library.name.matches(name) && library.version.as_ref().is_none_or(|wanted| wanted.matches(version))
        })
    }

    pub(crate) fn match_metric(&self, editor: &mut Editor, metric: Msg) -> bool {
        if self.metric_names.as_ref().is_some_and(|names| !names.matches(editor.text(metric, METRIC_NAME))) {
            return false;
        }
        self.expressions.is_empty() || Expression::any_matches(&self.expressions, editor, metric)
    }

    pub(crate) fn match_item(&self, editor: &mut Editor, item: Msg, scratch: &mut String) -> bool {
        if self.span_names.as_ref().is_some_and(|names| !names.matches(editor.text(item, SPAN_NAME))) {
            return false;
        }
        if let Some(kinds) = &self.span_kinds {
            let kind = usize::try_from(integer(editor, item, KIND)).unwrap_or(usize::MAX);
            if !kinds[kind.min(KINDS - 1)] {
                return false;
            }
        }
        if self.severity_texts.as_ref().is_some_and(|texts| !texts.matches(editor.text(item, SEVERITY_TEXT))) {
            return false;
        }
        if let Some(severity) = self.severity {
            let number = integer(editor, item, SEVERITY_NUMBER);
            if if number == 0 { !severity.match_undefined } else { number < severity.min } {
                return false;
            }
        }
        if let Some(bodies) = &self.bodies {
            let body = editor.first(item, BODY);
            let body = ValueView::new(body.map(|body| editor.bytes(body)).unwrap_or_default());
            if !bodies.matches(value_text::of(body, scratch)) {
                return false;
            }
        }
        self.attributes.match_message(editor, Some(item), scratch)
    }
}

fn integer(editor: &Editor, message: Msg, number: u32) -> i64 {
    match editor.get(message, number) {
        Some(Scalar::Int(number)) => number,
        _ => 0,
    }
}

/// The names of span kinds that are compared with.
fn kind_name(number: usize) -> &'static str {
    SPAN_KIND.iter().find(|(_, kind)| usize::try_from(*kind) == Ok(number)).map_or("", |(name, _)| name)
}

fn kinds_of(texts: &Texts) -> [bool; KINDS] {
    std::array::from_fn(|number| texts.matches(kind_name(number)))
}

/// The number of a severity's name (any case), or of a number from 1 to 24. Nothing is 0.
fn severity_number(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.to_uppercase();
    let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    (1..=24).zip(names.iter().flat_map(|name| (1..=4).map(move |step| (name, step)))).find_map(
        |(number, (name, step))| {
            let named = text.strip_prefix(name).is_some_and(|rest| match step {
                1 => rest.is_empty(),
                step => rest == step.to_string(),
            });
            (named || text == number.to_string()).then_some(number)
        },
    )
}

/// Why properties do not suit spans.
pub(crate) fn refuse_for_spans(config: &MatchProperties, block: &str) -> Option<Problem> {
    let wrong = [
        ("log_bodies", !config.log_bodies.is_empty()),
        ("log_severity_texts", !config.log_severity_texts.is_empty()),
        ("log_severity_number", config.log_severity_number.is_some()),
        ("metric_names", !config.metric_names.is_empty()),
    ];
    if let Some(problem) = first_of(&wrong, block, "trace spans") {
        return Some(problem);
    }
    if config.services.is_empty()
        && config.span_names.is_empty()
        && config.attributes.is_empty()
        && config.libraries.is_empty()
        && config.resources.is_empty()
        && config.span_kinds.is_empty()
    {
        let message = "at least one of \"attributes\", \"libraries\",  or \"resources\" field must be specified";
        return Some(Problem::new(block, message));
    }
    // A strict comparison with unspecified kinds is refused, as in the Collector.
    let mut names: Vec<&str> = (1..KINDS).map(kind_name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let unknown = config.span_kinds.iter().any(|kind| !names.contains(&kind.as_str()));
    if unknown && MatchType::parse(&config.match_type) == Ok(MatchType::Strict) {
        let names = names.join(" ");
        let message =
            format!("span_kinds string must match one of the standard span kinds when match_type=strict: [{names}]");
        return Some(Problem::new(format!("{block}::span_kinds"), message));
    }
    None
}

/// Why properties do not suit log records.
pub(crate) fn refuse_for_logs(config: &MatchProperties, block: &str) -> Option<Problem> {
    let wrong = [
        ("services", !config.services.is_empty()),
        ("span_names", !config.span_names.is_empty()),
        ("span_kinds", !config.span_kinds.is_empty()),
    ];
    if let Some((key, _)) = wrong.iter().find(|(_, wrong)| *wrong) {
        let message = "services, span_names, and span_kinds are not valid for log records";
        return Some(Problem::new(format!("{block}::{key}"), message));
    }
    if let Some(problem) = first_of(&[("metric_names", !config.metric_names.is_empty())], block, "log records") {
        return Some(problem);
    }
    let nothing = config.attributes.is_empty()
        && config.libraries.is_empty()
        && config.resources.is_empty()
        && config.log_bodies.is_empty()
        && config.log_severity_texts.is_empty()
        && config.log_severity_number.is_none();
    nothing.then(|| {
        let message = "at least one of \"attributes\", \"libraries\", \"span_kinds\", \"resources\", \"log_bodies\", \
                       \"log_severity_texts\" or \"log_severity_number\" field must be specified";
        Problem::new(block, message)
    })
}

/// Why properties do not suit data points.
pub(crate) fn refuse_for_metrics(config: &MatchProperties, block: &str) -> Option<Problem> {
    let wrong = [
        ("services", !config.services.is_empty()),
        ("span_names", !config.span_names.is_empty()),
        ("span_kinds", !config.span_kinds.is_empty()),
        ("log_bodies", !config.log_bodies.is_empty()),
        ("log_severity_texts", !config.log_severity_texts.is_empty()),
        ("log_severity_number", config.log_severity_number.is_some()),
        ("attributes", !config.attributes.is_empty()),
        ("libraries", !config.libraries.is_empty()),
    ];
    first_of(&wrong, block, "metrics").or_else(|| {
        (config.metric_names.is_empty() && config.resources.is_empty())
            .then(|| Problem::new(block, "at least one of \"metric_names\" or \"resources\" field must be specified"))
    })
}

fn first_of(wrong: &[(&str, bool)], block: &str, items: &str) -> Option<Problem> {
    let (key, _) = wrong.iter().find(|(_, wrong)| *wrong)?;
    Some(Problem::new(format!("{block}::{key}"), format!("{key} should not be specified for {items}")))
}
