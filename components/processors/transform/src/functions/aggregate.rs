//! `aggregate_on_attributes` and `aggregate_on_attribute_value`: attributes are changed, then points that have become
//! equal in them are merged.
//!
//! Points are merged that are equal in attributes (in any order) and time, in start time where the temporality is delta,
//! and in what [`histogram`] and [`exponential`] ask for besides. A point that has no equal stays as it is, byte for byte.

mod exponential;
mod group;
mod histogram;
mod number;

use std::borrow::Cow;

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, Expr, RunError, Subject, Value};
use pdata::view::{KeyValueView, MetricKind, ValueView};
use pdata::wire::{Fields, LEN, put_len};

use super::fields::{content, put_message, whole};
use super::metric::{attributes_number, copy_but_points, data, points, view};

const FUNCTION: Param = Param::required("aggregation_function", ParamKind::Text);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "aggregate_on_attributes",
        params: &[FUNCTION, Param::optional("attributes", ParamKind::List)],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            let how = Aggregation::named(&arguments.text("aggregation_function")?)?;
            let keys = arguments.list_opt("attributes").map(|keys| texts("attributes", &keys)).transpose()?;
            let first = keys.map_or(First::Nothing, First::Keep);
            Ok(Built::Editor(Box::new(Aggregate { function: "aggregate_on_attributes", how, first })))
        },
    },
    Function {
        name: "aggregate_on_attribute_value",
        params: &[
            FUNCTION,
            Param::required("attribute", ParamKind::Text),
            Param::required("values", ParamKind::List),
            Param::required("new_value", ParamKind::Text),
        ],
        contexts: &[Context::Metric],
        build: |arguments: &mut Arguments| {
            let how = Aggregation::named(&arguments.text("aggregation_function")?)?;
            let first = First::Replace {
                key: arguments.text("attribute")?,
                values: texts("values", &arguments.list("values")?)?,
                new: arguments.text("new_value")?,
            };
            Ok(Built::Editor(Box::new(Aggregate { function: "aggregate_on_attribute_value", how, first })))
        },
    },
];

/// A list of literal strings.
fn texts(param: &str, list: &[Expr]) -> Result<Vec<String>, String> {
    list.iter()
        .map(|text| match text.literal() {
            Some(Value::Str(text)) => Ok(text.to_string()),
            _ => Err(format!("`{param}` must be literal strings")),
        })
        .collect()
}

/// How numbers are merged. Histograms are always added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregation {
    Sum,
    Max,
    Min,
    Mean,
    Median,
    Count,
}

impl Aggregation {
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "sum" => Self::Sum,
            "max" => Self::Max,
            "min" => Self::Min,
            "mean" => Self::Mean,
            "median" => Self::Median,
            "count" => Self::Count,
            other => {
                return Err(format!(
                    "`aggregation_function` must be `sum`, `max`, `min`, `mean`, `median` or `count`, not `{other}`"
                ));
            }
        })
    }
}

/// What is done to attributes before.
#[derive(Debug)]
enum First {
    Nothing,
    /// All others are removed.
    Keep(Vec<String>),
    /// Of one key, some values are replaced.
    Replace {
        key: String,
        values: Vec<String>,
        new: String,
    },
}

#[derive(Debug)]
struct Aggregate {
    function: &'static str,
    how: Aggregation,
    first: First,
}

impl Change for Aggregate {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let Some((kind, at)) = data(on)? else { return Ok(()) };
        if kind == MetricKind::Summary {
            return Err(RunError::new(format!("`{}` does not aggregate summaries", self.function)));
        }
        let is_delta = view(on)?.temporality() == 1;
        let merged = self.merge(kind, on.editor.bytes(at), is_delta);
        if let Some(content) = merged {
            on.editor.replace_whole(at, &content)?;
        }
        Ok(())
    }
}

impl Aggregate {
    /// The data with its points merged; `None` if nothing changes.
    fn merge(&self, kind: MetricKind, data: &[u8], is_delta: bool) -> Option<Vec<u8>> {
        let points: Vec<Cow<'_, [u8]>> = points(data).map(|point| self.first.apply(point, kind)).collect();
        let groups = group::by_key(kind, &points, is_delta);
        let counts = self.how == Aggregation::Count && matches!(kind, MetricKind::Gauge | MetricKind::Sum);
        let same = groups.len() == points.len() && points.iter().all(|point| matches!(point, Cow::Borrowed(_)));
        if same && !counts {
            return None;
        }
        let mut merged = Vec::with_capacity(data.len());
        for group in groups {
            let group: Vec<&[u8]> =
                group.into_iter().filter_map(|point| points.get(point)).map(|point| &**point).collect();
            match *group {
                [point] if !counts => put_len(&mut merged, 1, point),
                _ => put_message(&mut merged, 1, |out| match kind {
                    MetricKind::Histogram => histogram::merge(&group, out),
                    MetricKind::ExponentialHistogram => exponential::merge(&group, out),
                    _ => number::merge(&group, self.how, out),
                }),
            }
        }
        copy_but_points(data, &mut merged);
        Some(merged)
    }
}

impl First {
    /// A point with its attributes changed; borrowed if they were not.
    fn apply<'p>(&self, point: &'p [u8], kind: MetricKind) -> Cow<'p, [u8]> {
        let number = attributes_number(kind);
        let pairs = || Fields::new(point).filter(move |field| field.number == number && field.wire_type == LEN);
        let touched = pairs().any(|field| self.changes(KeyValueView::new(content(point, &field))));
        if !touched {
            return Cow::Borrowed(point);
        }
        let mut changed = Vec::with_capacity(point.len());
        for field in Fields::new(point) {
            let pair = KeyValueView::new(content(point, &field));
            if field.number != number || field.wire_type != LEN || !self.changes(pair) {
                changed.extend_from_slice(whole(point, &field));
            } else if let Self::Replace { key, new, .. } = self {
                put_message(&mut changed, number, |pair| {
                    put_len(pair, 1, key.as_bytes());
                    put_message(pair, 2, |any| put_len(any, 1, new.as_bytes()));
                });
            }
        }
        Cow::Owned(changed)
    }

    fn changes(&self, pair: KeyValueView<'_>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Keep(keys) => !keys.iter().any(|key| key.as_bytes() == pair.key_bytes()),
            Self::Replace { key, values, new } => {
                key.as_bytes() == pair.key_bytes()
                    && matches!(pair.value(), ValueView::Str(text) if text != new && values.iter().any(|value| value == text))
            }
        }
    }
}

/// The start of points that are merged; 0, which is unknown, if one of them does not tell.
fn earliest(starts: impl Iterator<Item = u64>) -> u64 {
    starts.min().unwrap_or(0)
}

#[cfg(test)]
mod tests;
