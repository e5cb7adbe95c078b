//! Which contexts a signal has.

use ottl::Context;
use pdata::Signal;

/// Whether telemetry of a signal has records of a context.
#[must_use]
pub fn has(signal: Signal, context: Context) -> bool {
    match context {
        Context::Resource | Context::Scope => true,
        Context::Span | Context::SpanEvent => signal == Signal::Traces,
        Context::Metric | Context::DataPoint | Context::Exemplar => signal == Signal::Metrics,
        Context::Log => signal == Signal::Logs,
    }
}

/// The names of a signal's contexts, for messages: `` `resource`, `scope`, … ``.
#[must_use]
pub fn names(signal: Signal) -> String {
    let of_signal = Context::ALL.into_iter().filter(|context| has(signal, *context));
    of_signal.map(|context| format!("`{}`", context.as_str())).collect::<Vec<_>>().join(", ")
}

/// What a message about an unknown context ends with: the nearest that the signal has, if one is near.
#[must_use]
pub fn meant(signal: Signal, name: &str) -> String {
    config::meant(name, Context::ALL.into_iter().filter(|context| has(signal, *context)).map(Context::as_str))
}

/// The context of that name, if the signal has it.
#[must_use]
pub fn named(signal: Signal, name: &str) -> Option<Context> {
    Context::from_name(name).filter(|context| has(signal, *context))
}
