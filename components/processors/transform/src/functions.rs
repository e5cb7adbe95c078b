//! Functions that only this processor has: those that make a metric of another kind, make metrics from a metric, merge
//! data points or buckets, and name spans by their attributes.
//!
//! What the Collector's functions do is kept, but for what is listed in `FUNCTIONS.md` beside the sources: where they
//! make telemetry that is not valid, or lose some. Where a function fails, nothing was changed.
//!
//! All of them work on the wire: points are rewritten field by field ([`fields`]), so that fields of later versions of
//! OTLP stay in a point that stays.

mod aggregate;
mod convert;
mod copy;
mod explicit;
mod exponential;
mod extract;
mod fields;
mod merge_buckets;
mod metric;
mod percentile;
mod scale;
mod span_name;
#[cfg(test)]
mod testing;

use ottl::Function;

/// All of them.
#[must_use]
pub fn all() -> Vec<Function> {
    [
        aggregate::FUNCTIONS,
        convert::FUNCTIONS,
        copy::FUNCTIONS,
        explicit::FUNCTIONS,
        extract::FUNCTIONS,
        merge_buckets::FUNCTIONS,
        percentile::FUNCTIONS,
        scale::FUNCTIONS,
        span_name::FUNCTIONS,
    ]
    .concat()
}
