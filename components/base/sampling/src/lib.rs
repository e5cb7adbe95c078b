//! Consistent probability sampling as OpenTelemetry specifies it: every item has 56 bits of [`Randomness`], every stage a
//! [`Threshold`] of how many of the 2^56 it rejects, and an item is kept when its randomness reaches the threshold. Both
//! travel in the W3C tracestate (`ot=th:…;rv:…`, [`TraceState`]), so that all stages decide alike and a kept item tells how
//! many it stands for.
//!
//! Sources: <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>,
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/>,
//! <https://www.w3.org/TR/trace-context-2/#tracestate-header>.
//!
//! Deliberately absent: telemetry; these are numbers and text.

mod threshold;
mod tracestate;

pub use threshold::{InvalidProbability, PROBABILITY_MIN, Randomness, Threshold};
pub use tracestate::{InvalidTraceState, TraceState};
