//! How spans and log records tell what a decision needs, read in one pass over their bytes, and how its outcome is written.

use std::io::Write as _;

use component::pressure::Class;
use pdata::edit::{EditError, Editor, Msg, Scalar, Value};
use pdata::view::{KeyValueView, ValueView};
use pdata::wire::{LEN, Scan};
use sampling::{Randomness, Threshold, TraceState};
use value_text::Text;

use crate::config::Rule;
use crate::decision::{Carried, Known, Priority};

/// Attribute of spans that asks for being kept or dropped (OpenTracing).
const SPAN_PRIORITY: &[u8] = b"sampling.priority";
/// Attributes of log records that carry what a span has in its tracestate.
const LOG_THRESHOLD: &str = "sampling.threshold";
const LOG_RANDOMNESS: &str = "sampling.randomness";

/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: i32 = 2;
/// A span that lasts this long is slow.
const SLOW_NANOS: u64 = 1_000_000_000;
/// Severity numbers from which on records are about errors, and about the normal course of things.
const SEVERITY_ERROR: i32 = 17;
const SEVERITY_INFO: i32 = 9;

/// Numbers of fields.
mod number {
    pub(super) const SPAN_TRACE_ID: u32 = 1;
    pub(super) const SPAN_TRACE_STATE: u32 = 3;
    pub(super) const SPAN_ATTRIBUTES: u32 = 9;
    pub(super) const LOG_ATTRIBUTES: u32 = 6;
    pub(super) const LOG_TRACE_ID: u32 = 9;
}

/// What is known of a span.
pub(crate) fn span(bytes: &[u8]) -> Known<'_> {
    let mut known = Known { is_readable: true, ..Known::default() };
    let (mut trace_state, mut has_priority) = (&[][..], false);
    for field in Scan::new(bytes).filter(|field| field.wire_type() == LEN) {
        let content = field.value;
        match field.number() {
            number::SPAN_TRACE_ID => known.trace_id = content.try_into().ok(),
            number::SPAN_TRACE_STATE => trace_state = content,
            number::SPAN_ATTRIBUTES if !has_priority => {
                let pair = KeyValueView::new(content);
                if pair.has_key(SPAN_PRIORITY) {
                    // Of a repeated key the first counts.
                    has_priority = true;
                    known.priority = span_priority(pair.value());
                }
            }
            _ => {}
        }
    }
    match TraceState::parse(std::str::from_utf8(trace_state).unwrap_or_default()) {
        Ok(state) => (known.randomness, known.threshold) = (state.randomness, state.threshold),
        Err(_) => known.is_readable = false,
    }
    known
}

/// 0 asks for being dropped, more for being kept.
fn span_priority(value: ValueView<'_>) -> Priority {
    let number = match value {
        // Only the sign is of interest.
        ValueView::I64(int) => int as f64,
        ValueView::F64(float) => float,
        ValueView::Str(text) => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    if number > 0.0 {
        Priority::Threshold(Threshold::ALWAYS)
    } else if number < 0.0 || number.is_nan() {
        Priority::None
    } else {
        Priority::Threshold(Threshold::NEVER)
    }
}

/// Which attributes of log records matter.
#[derive(Debug)]
pub(crate) struct LogKeys {
    pub(crate) from_attribute: String,
    pub(crate) sampling_priority: String,
    pub(crate) precision: u32,
}

/// What is known of a log record. `hashed` is where bytes are put that are hashed but not in the record as such.
pub(crate) fn log<'a>(bytes: &'a [u8], keys: &LogKeys, hashed: &'a mut Vec<u8>) -> Known<'a> {
    let mut known = Known { is_readable: true, ..Known::default() };
    let (mut threshold, mut randomness, mut priority, mut attribute) = (None, None, None, None);
    for field in Scan::new(bytes).filter(|field| field.wire_type() == LEN) {
        let content = field.value;
        match field.number() {
            number::LOG_TRACE_ID => known.trace_id = content.try_into().ok(),
            number::LOG_ATTRIBUTES => {
                let pair = KeyValueView::new(content);
                let is = |wanted: &str| !wanted.is_empty() && pair.has_key(wanted.as_bytes());
                if is(LOG_THRESHOLD) {
                    threshold.get_or_insert(pair.value());
                } else if is(LOG_RANDOMNESS) {
                    randomness.get_or_insert(pair.value());
                }
                if is(&keys.from_attribute) {
                    attribute.get_or_insert(pair.value());
                }
                if is(&keys.sampling_priority) {
                    priority.get_or_insert(pair.value());
                }
            }
            _ => {}
        }
    }
    // Only text that is there counts; text that cannot be read makes the whole unreadable.
    if let Some(ValueView::Str(text)) = threshold
        && !text.is_empty()
    {
        known.threshold = Threshold::parse(text);
        known.is_readable &= known.threshold.is_some();
    }
    if let Some(ValueView::Str(text)) = randomness
        && !text.is_empty()
    {
        known.randomness = Randomness::parse(text);
        known.is_readable &= known.randomness.is_some();
    }
    let share = match priority {
        Some(ValueView::I64(int)) => int as f64 / 100.0,
        Some(ValueView::F64(float)) => float / 100.0,
        _ => 0.0,
    };
    if share != 0.0
        && let Ok(asked) = Threshold::of_probability(share, keys.precision)
    {
        known.priority = Priority::Threshold(asked);
    }
    if let Some(value) = attribute {
        as_bytes(value, hashed);
        known.attribute = Some(hashed);
    }
    known
}

/// Bytes of a value as they are hashed: its own, or those of its text as the Collector writes it.
fn as_bytes(value: ValueView<'_>, out: &mut Vec<u8>) {
    out.clear();
    match value {
        ValueView::Bytes(bytes) => out.extend_from_slice(bytes),
        ValueView::Str(text) => out.extend_from_slice(text.as_bytes()),
        // Writing to a vector cannot fail.
        other => write!(out, "{}", Text(other)).unwrap_or_default(),
    }
}

/// Whether a rule describes a log record.
pub(crate) fn fits(rule: &Rule, record: pdata::view::LogRecordView<'_>) -> bool {
    let severity = i64::from(record.severity_number());
    if (rule.severity_min != 0 && severity < rule.severity_min)
        || (rule.severity_max != 0 && severity > rule.severity_max)
    {
        return false;
    }
    if !rule.event_name.is_empty() && record.event_name() != rule.event_name {
        return false;
    }
    if rule.attribute.is_empty() {
        return true;
    }
    let Some(value) = record.attributes().get(&rule.attribute) else { return false };
    if rule.values.is_empty() {
        return true;
    }
    let mut text = Vec::new();
    as_bytes(value, &mut text);
    rule.values.iter().any(|value| value.as_bytes() == text)
}

/// How much a span would be missed. `known` is what is known of it.
pub(crate) fn span_class(span: pdata::view::SpanView<'_>, known: &Known<'_>) -> Class {
    let nanos = span.end_time_unix_nano().saturating_sub(span.start_time_unix_nano());
    if known.priority != Priority::None || span.status().code() == STATUS_ERROR || nanos >= SLOW_NANOS {
        Class::Critical
    } else {
        Class::Normal
    }
}

/// How much a log record would be missed. `known` is what is known of it.
pub(crate) fn log_class(record: pdata::view::LogRecordView<'_>, known: &Known<'_>) -> Class {
    match record.severity_number() {
        _ if known.priority != Priority::None => Class::Critical,
        SEVERITY_ERROR.. => Class::Critical,
        1..SEVERITY_INFO => Class::Debug,
        _ => Class::Normal,
    }
}

/// Writes to a kept span what it carries from now on.
pub(crate) fn write_span(
    editor: &mut Editor,
    span: Msg,
    carried: &Carried,
    text: &mut String,
) -> Result<(), EditError> {
    text.clear();
    {
        let Ok(mut state) = TraceState::parse(editor.text(span, number::SPAN_TRACE_STATE)) else { return Ok(()) };
        (state.randomness, state.threshold) = (carried.randomness, Some(carried.threshold));
        state.write(text);
    }
    editor.set(span, number::SPAN_TRACE_STATE, Scalar::Str(text))
}

/// Writes to a kept log record what it carries from now on.
pub(crate) fn write_log(editor: &mut Editor, record: Msg, carried: &Carried) -> Result<(), EditError> {
    let mut attributes = editor.attributes(record);
    if let Some(randomness) = carried.randomness {
        attributes.upsert(LOG_RANDOMNESS, Value::Str(&randomness.to_string()))?;
    }
    if carried.threshold == Threshold::NEVER {
        attributes.delete(LOG_THRESHOLD);
    } else {
        attributes.upsert(LOG_THRESHOLD, Value::Str(&carried.threshold.to_string()))?;
    }
    Ok(())
}
