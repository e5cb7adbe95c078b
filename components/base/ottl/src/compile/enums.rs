//! Enumeration symbols, for each context.

use pdata::schema::{SEVERITY, SPAN_KIND, STATUS_CODE, TEMPORALITY};

use crate::context::Context;
use crate::problem::ParseError;
use crate::syntax::Span;

/// What metrics' data are, by `metric.type`.
const METRIC_DATA_TYPE: &[(&str, i32)] = &[
    ("METRIC_DATA_TYPE_NONE", 0),
    ("METRIC_DATA_TYPE_GAUGE", 1),
    ("METRIC_DATA_TYPE_SUM", 2),
    ("METRIC_DATA_TYPE_HISTOGRAM", 3),
    ("METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_DATA_TYPE_SUMMARY", 5),
];

/// Bits of a data point's flags.
const FLAG: &[(&str, i32)] = &[("FLAG_NONE", 0), ("FLAG_NO_RECORDED_VALUE", 1)];

/// The symbols of a context.
pub(super) fn symbols(context: Context) -> impl Iterator<Item = (&'static str, i64)> {
    let of: &[&[(&'static str, i32)]] = match context {
        Context::Resource | Context::Scope => &[],
        Context::Span | Context::SpanEvent => &[SPAN_KIND, STATUS_CODE],
        Context::Metric => &[TEMPORALITY, METRIC_DATA_TYPE],
        Context::DataPoint | Context::Exemplar => &[FLAG, TEMPORALITY, METRIC_DATA_TYPE],
        Context::Log => &[SEVERITY],
    };
    of.iter().copied().flatten().map(|(name, number)| (*name, i64::from(*number)))
}

/// The number of a symbol.
pub(super) fn number(context: Context, symbol: &str) -> Option<i64> {
    symbols(context).find(|(name, _)| *name == symbol).map(|(_, number)| number)
}

/// That a context has no such symbol: the nearest that it has, or where the symbol exists.
pub(super) fn unknown(context: Context, name: &str, span: &Span) -> ParseError {
    let has = |context: &Context| number(*context, name).is_some();
    let elsewhere: Vec<_> = Context::ALL.into_iter().filter(has).map(Context::as_str).collect();
    let message = format!("unknown symbol `{name}` in the context {}", context.as_str());
    let error = ParseError::at(span.clone(), message);
    if elsewhere.is_empty() {
        error.nearest(name, symbols(context).map(|(name, _)| name))
    } else {
        error.help(format!("it exists in: {}", elsewhere.join(", ")))
    }
}
