//! The routes, compiled.

use std::sync::OnceLock;

use ottl::compile::Kind;
use ottl::{Arguments, Built, Change, Condition, Context, Function, Mode, Parser, RunError, Statement, Subject};
use pdata::RequestPart;
use statements::{Placed, Problem};

use crate::config::{Action, RouteConfig, RoutingConfig};

/// The most routes of a table (what an item goes to is a bit set).
pub const ROUTES_MAX: usize = 63;

/// Functions of statements beside converters.
const EDITORS: [&str; 3] = ["route", "delete_key", "delete_matching_keys"];

/// What decides whether a route takes something.
#[derive(Debug)]
pub enum Test {
    /// A request's metadata: whether a value of that name is, or is not, that text.
    Request {
        /// Name, in any case.
        name: String,
        /// Compared with.
        value: String,
        /// Whether equal values match, or others.
        is_equal: bool,
    },
    /// A condition on records.
    Condition(Condition),
    /// A statement on records; it matches where its condition holds.
    Statement(Statement),
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// What decides.
    pub test: Placed<Test>,
    /// Whether later routes see what matched.
    pub copies: bool,
}

impl Test {
    /// The records that it is about; requests as a whole count as resources.
    #[must_use]
    pub fn context(&self) -> Context {
        match self {
            Self::Request { .. } => Context::Resource,
            Self::Condition(condition) => condition.context(),
            Self::Statement(statement) => statement.context(),
        }
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Request { name, .. } => name,
            Self::Condition(condition) => condition.text(),
            Self::Statement(statement) => statement.text(),
        }
    }

    /// Whether it matches.
    ///
    /// # Errors
    /// [`RunError`] when that cannot be told.
    pub fn matches(&self, on: &mut Subject<'_>) -> Result<bool, RunError> {
        match self {
            Self::Request { name, value, is_equal } => {
                Ok(on.request.metadata.values(name).any(|found| (found == value) == *is_equal))
            }
            Self::Condition(condition) => condition.holds(on),
            Self::Statement(statement) => statement.run(on),
        }
    }
}

/// Every route with its number in the configuration, those with an earlier route's condition left out.
///
/// # Errors
/// The first thing that cannot be used; validation has told about all of them.
pub fn compile(config: &RoutingConfig) -> Result<Vec<(usize, Route)>, Problem> {
    let mut seen = Vec::new();
    let mut routes = Vec::new();
    for (index, route) in config.table.iter().enumerate() {
        let key = (&route.context, &route.condition, &route.statement);
        if !seen.contains(&key) {
            let test = Placed::new(test(route)?, &format!("table::{index}"));
            routes.push((index, Route { test, copies: route.action == Action::Copy }));
            seen.push(key);
        }
    }
    Ok(routes)
}

/// What the routes read of requests; nothing of those that are wrong.
#[must_use]
pub fn request_reads(config: &RoutingConfig) -> Vec<RequestPart> {
    let mut reads = Vec::new();
    for test in config.table.iter().filter_map(|route| test(route).ok()) {
        match test {
            Test::Request { name, .. } => reads.push(RequestPart::Metadata(name)),
            Test::Condition(condition) => reads.extend(condition.facts().request_reads()),
            Test::Statement(statement) => reads.extend(statement.facts().request_reads()),
        }
    }
    reads
}

/// Whether records of a context can be taken out of a batch.
fn is_routed(context: Context) -> bool {
    matches!(context, Context::Resource | Context::Span | Context::Metric | Context::DataPoint | Context::Log)
}

/// Compiles what decides.
///
/// # Errors
/// What is wrong with it, at a setting of the route.
pub fn test(route: &RouteConfig) -> Result<Test, Problem> {
    if route.context == "request" {
        if !route.statement.is_empty() || route.condition.is_empty() {
            return Err(Problem::setting("context", "the context `request` needs a `condition`"));
        }
        return request(&route.condition).ok_or_else(|| {
            let message = "a condition on requests reads `request[\"name\"] == \"value\"`, or with `!=`";
            Problem::setting("condition", message)
        });
    }
    let written = if route.statement.is_empty() { "condition" } else { "statement" };
    let wrong = |error| Problem::statement(written, error);
    let mode = match route.context.as_str() {
        "" => {
            let (text, kind) = match route.statement.is_empty() {
                true => (&route.condition, Kind::Condition),
                false => (&route.statement, Kind::Statement),
            };
            match parser().infer(&[(kind, text)], is_routed).map_err(wrong)? {
                // The prefix may be left out where it would be `resource`.
                None | Some(Context::Resource) => Mode::Plain(Context::Resource),
                Some(context) => Mode::Prefixed(context),
            }
        }
        "resource" => Mode::Plain(Context::Resource),
        "span" => Mode::Plain(Context::Span),
        "metric" => Mode::Plain(Context::Metric),
        "datapoint" => Mode::Plain(Context::DataPoint),
        "log" => Mode::Plain(Context::Log),
        other => {
            let known = "`resource`, `span`, `metric`, `datapoint`, `log`, `request`";
            let meant = config::meant(other, ["resource", "span", "metric", "datapoint", "log", "request"]);
            return Err(Problem::setting("context", format!("invalid context: {other}; there are: {known}{meant}")));
        }
    };
    if !is_routed(mode.context()) {
        let message = format!("records of the context `{}` cannot be routed", mode.context().as_str());
        return Err(Problem::setting("condition", message));
    }
    if route.statement.is_empty() {
        return parser().condition(&route.condition, mode).map(Test::Condition).map_err(wrong);
    }
    let statement = parser().statement(&route.statement, mode).map_err(wrong)?;
    let editor = route.statement.split('(').next().unwrap_or_default().trim();
    if !EDITORS.contains(&editor) {
        let message =
            format!("`{editor}` cannot be used to route; there are: `route`, `delete_key`, `delete_matching_keys`");
        return Err(Problem::setting("statement", message));
    }
    Ok(Test::Statement(statement))
}

/// Reads `request["name"] == "value"`.
fn request(condition: &str) -> Option<Test> {
    let rest = condition.trim().strip_prefix("request[\"")?;
    let (name, rest) = rest.split_once("\"]")?;
    let rest = rest.trim_start();
    let (is_equal, rest) = match rest.strip_prefix("==") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix("!=")?),
    };
    let value = rest.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = |text: &str| !text.contains('"');
    (is_plain(name) && is_plain(value) && !name.is_empty()).then(|| Test::Request {
        name: name.to_owned(),
        value: value.to_owned(),
        is_equal,
    })
}

/// `route()`: changes nothing.
struct Stay;

impl Change for Stay {
    fn change(&self, _: &mut Subject<'_>) -> Result<(), RunError> {
        Ok(())
    }
}

fn parser() -> &'static Parser {
    static PARSER: OnceLock<Parser> = OnceLock::new();
    PARSER.get_or_init(|| {
        let build = |_: &mut Arguments| Ok(Built::Editor(Box::new(Stay)));
        Parser::new(&[Function { name: "route", params: &[], contexts: &[], build }])
    })
}
