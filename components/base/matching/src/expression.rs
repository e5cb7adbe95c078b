//! Conditions on metrics in the language `expr`, as far as filters of metrics use it.
//!
//! | | |
//! |---|---|
//! | texts | `MetricName`, `MetricType` (`Gauge`, `Sum`, `Histogram`, `ExponentialHistogram`, `Summary`), `Label("key")`, `"…"`, `'…'` |
//! | conditions | `HasLabel("key")`, `true`, `false` |
//! | of two texts | `==` `!=` `<` `<=` `>` `>=` `contains` `startsWith` `endsWith` `matches "pattern"` |
//! | of a text and a list | `in ["a", "b"]` |
//! | of conditions | `and` `&&` `or` `\|\|` `not` `!` `==` `!=`, parentheses; `not in`, `not matches`, … |
//!
//! A condition is asked for every data point of a metric; the metric matches if one of them does. `Label` is the text of
//! the point's attribute, empty when it is absent or no text. `not` binds tighter than comparisons, `and` tighter than `or`.
//!
//! Everything is checked when the configuration is read: what is not in this table is refused by name, so that nothing
//! can fail for a data point. Source: <https://expr-lang.org/docs/language-definition>.

mod lexer;
mod parser;

use pdata::Editor;
use pdata::edit::Msg;
use pdata::view::AttributesView;

use crate::Pattern;

/// The data of a metric: number of the field, and what `MetricType` says.
const DATA: [(u32, &str); 5] =
    [(5, "Gauge"), (7, "Sum"), (9, "Histogram"), (10, "ExponentialHistogram"), (11, "Summary")];
/// Number of the data points in any of them.
const POINTS: u32 = 1;
/// Number of a metric's name.
const NAME: u32 = 1;

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Expression(Condition);

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expression `{expression}`, character {character}: {message}")]
pub struct ExpressionError {
    /// As written.
    pub expression: String,
    /// Where, from 1.
    pub character: usize,
    /// What is wrong.
    pub message: String,
}

#[derive(Clone, Debug)]
enum Condition {
    Always(bool),
    HasLabel(Text),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Same(Box<Self>, Box<Self>),
    Compare(Text, Comparison, Text),
    In(Text, Vec<Text>),
    Matches(Text, Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug)]
enum Text {
    Name,
    Type,
    Literal(Box<str>),
    Label(Box<Self>),
}

/// What a condition is asked about.
#[derive(Clone, Copy)]
struct Point<'p> {
    name: &'p str,
    kind: &'p str,
    attributes: AttributesView<'p>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is malformed, uses something that is not supported, or is no condition.
    pub fn parse(expression: &str) -> Result<Self, ExpressionError> {
        parser::parse(expression).map(Self).map_err(|(character, message)| ExpressionError {
            expression: expression.to_owned(),
            character,
            message,
        })
    }

    /// Whether one of the expressions holds for one of the metric's data points.
    pub(crate) fn any_matches(expressions: &[Self], editor: &mut Editor, metric: Msg) -> bool {
        let name = editor.text(metric, NAME).to_owned();
        for (number, kind) in DATA {
            let Some(data) = editor.sub(metric, number) else { continue };
            let mut next = editor.first(data, POINTS);
            while let Some(at) = next {
                let attributes = editor
                    .table(data)
                    .field(POINTS)
                    .and_then(|points| points.kind.message())
                    .map(|p| p.attributes_number());
                let attributes = AttributesView::new(editor.bytes(at), attributes.unwrap_or_default());
                let point = Point { name: &name, kind, attributes };
                if expressions.iter().any(|expression| expression.0.holds(point)) {
                    return true;
                }
                next = editor.next(at);
            }
        }
        false
    }
}

impl Condition {
    fn holds(&self, point: Point<'_>) -> bool {
        match self {
            Self::Always(truth) => *truth,
            Self::HasLabel(key) => point.attributes.get(key.read(point)).is_some(),
            Self::Not(inner) => !inner.holds(point),
            Self::And(a, b) => a.holds(point) && b.holds(point),
            Self::Or(a, b) => a.holds(point) || b.holds(point),
            Self::Same(a, b) => a.holds(point) == b.holds(point),
            Self::Compare(a, how, b) => how.holds(a.read(point), b.read(point)),
            Self::In(text, list) => {
                let text = text.read(point);
                list.iter().any(|wanted| wanted.read(point) == text)
            }
            Self::Matches(text, pattern) => pattern.is_match(text.read(point).as_bytes()),
        }
    }
}

impl Comparison {
    fn holds(self, a: &str, b: &str) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Contains => a.contains(b),
            Self::StartsWith => a.starts_with(b),
            Self::EndsWith => a.ends_with(b),
        }
    }
}

impl Text {
    fn read<'p>(&'p self, point: Point<'p>) -> &'p str {
        match self {
            Self::Name => point.name,
            Self::Type => point.kind,
            Self::Literal(text) => text,
            Self::Label(key) => {
                point.attributes.get(key.read(point)).and_then(|value| value.as_str()).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests;
