//! Everything: every field of every resource, scope, span and log record. Metrics are in the file beside.

use pdata::view::{AttributesView, LogRecordView, ResourceView, ScopeGroup, SpanView};
use pdata::{Payload, Signal, schema};

use super::detailed_metrics::metric;
use super::scalar::{Hex, Time, Typed, word};
use super::{Text, line};

/// The payload at detailed verbosity.
#[must_use]
pub fn detailed(payload: &Payload) -> String {
    let mut text = Text::default();
    let (resource_name, scope_name) = match payload.signal() {
        Signal::Traces => ("ResourceSpans", "ScopeSpans"),
        Signal::Metrics => ("ResourceMetrics", "ScopeMetrics"),
        Signal::Logs => ("ResourceLog", "ScopeLogs"),
    };
    for (n, resource) in payload.resources().enumerate() {
        line!(text, "{resource_name} #{n}");
        line!(text, "Resource SchemaURL: {}", resource.schema_url());
        attributes(&mut text, "", "Resource attributes:", resource.resource().attributes());
        entity_refs(&mut text, resource.resource());
        for (n, scope) in resource.scopes().enumerate() {
            line!(text, "{scope_name} #{n}");
            line!(text, "{scope_name} SchemaURL: {}", scope.schema_url());
            line!(text, "InstrumentationScope {} {}", scope.scope().name(), scope.scope().version());
            attributes(&mut text, "", "InstrumentationScope attributes:", scope.scope().attributes());
            items(&mut text, scope);
        }
    }
    text.into_string()
}

fn items(text: &mut Text, scope: ScopeGroup<'_>) {
    for (n, item) in scope.spans().enumerate() {
        line!(text, "Span #{n}");
        span(text, item);
    }
    for (n, item) in scope.log_records().enumerate() {
        line!(text, "LogRecord #{n}");
        log_record(text, item);
    }
    for (n, item) in scope.metrics().enumerate() {
        line!(text, "Metric #{n}");
        metric(text, item);
    }
}

/// A heading and a line per attribute; nothing when there are none.
pub(super) fn attributes(text: &mut Text, indent: &str, heading: &str, attributes: AttributesView<'_>) {
    for (n, pair) in attributes.iter().enumerate() {
        if n == 0 {
            line!(text, "{indent}{heading}");
        }
        // Under a heading that is a bullet itself, bullets go one level deeper.
        let deeper = if heading.starts_with("->") { indent } else { "" };
        line!(text, "{deeper}     -> {}: {}", pair.key(), Typed(pair.value()));
    }
}

fn entity_refs(text: &mut Text, resource: ResourceView<'_>) {
    for (n, entity) in resource.entity_refs().enumerate() {
        if n == 0 {
            line!(text, "Resource entity refs:");
        }
        line!(text, "     -> Entity ref #{n}:");
        line!(text, "          -> Type: {}", entity.r#type());
        if !entity.schema_url().is_empty() {
            line!(text, "          -> Schema URL: {}", entity.schema_url());
        }
        for (heading, keys) in [("ID keys", entity.id_keys()), ("Description keys", entity.description_keys())] {
            for (n, key) in keys.enumerate() {
                if n == 0 {
                    line!(text, "          -> {heading}:");
                }
                line!(text, "               -> {key}");
            }
        }
    }
}

fn span(text: &mut Text, span: SpanView<'_>) {
    let mut field = |name: &str, value: std::fmt::Arguments<'_>| line!(text, "    {name:<15}: {value}");
    field("Trace ID", format_args!("{}", Hex(span.trace_id())));
    field("Parent ID", format_args!("{}", Hex(span.parent_span_id())));
    field("ID", format_args!("{}", Hex(span.span_id())));
    field("Name", format_args!("{}", span.name()));
    field("Kind", format_args!("{}", word(schema::SPAN_KIND, "SPAN_KIND_", span.kind())));
    if !span.trace_state().is_empty() {
        field("TraceState", format_args!("{}", span.trace_state()));
    }
    field("Start time", format_args!("{}", Time(span.start_time_unix_nano())));
    field("End time", format_args!("{}", Time(span.end_time_unix_nano())));
    field("Status code", format_args!("{}", word(schema::STATUS_CODE, "STATUS_CODE_", span.status().code())));
    field("Status message", format_args!("{}", span.status().message()));
    field("DroppedAttributesCount", format_args!("{}", span.dropped_attributes_count()));
    field("DroppedEventsCount", format_args!("{}", span.dropped_events_count()));
    field("DroppedLinksCount", format_args!("{}", span.dropped_links_count()));
    attributes(text, "", "Attributes:", span.attributes());
    for (n, event) in span.events().enumerate() {
        if n == 0 {
            line!(text, "Events:");
        }
        line!(text, "SpanEvent #{n}");
        line!(text, "     -> Name: {}", event.name());
        line!(text, "     -> Timestamp: {}", Time(event.time_unix_nano()));
        line!(text, "     -> DroppedAttributesCount: {}", event.dropped_attributes_count());
        attributes(text, "     ", "-> Attributes::", event.attributes());
    }
    for (n, link) in span.links().enumerate() {
        if n == 0 {
            line!(text, "Links:");
        }
        line!(text, "SpanLink #{n}");
        line!(text, "     -> Trace ID: {}", Hex(link.trace_id()));
        line!(text, "     -> ID: {}", Hex(link.span_id()));
        line!(text, "     -> TraceState: {}", link.trace_state());
        line!(text, "     -> DroppedAttributesCount: {}", link.dropped_attributes_count());
        attributes(text, "     ", "-> Attributes::", link.attributes());
    }
}

fn log_record(text: &mut Text, record: LogRecordView<'_>) {
    let severity = record.severity_number();
    line!(text, "ObservedTimestamp: {}", Time(record.observed_time_unix_nano()));
    line!(text, "Timestamp: {}", Time(record.time_unix_nano()));
    line!(text, "SeverityText: {}", record.severity_text());
    line!(text, "SeverityNumber: {}({severity})", word(schema::SEVERITY, "SEVERITY_NUMBER_", severity));
    if !record.event_name().is_empty() {
        line!(text, "EventName: {}", record.event_name());
    }
    line!(text, "Body: {}", Typed(record.body()));
    attributes(text, "", "Attributes:", record.attributes());
    line!(text, "Trace ID: {}", Hex(record.trace_id()));
    line!(text, "Span ID: {}", Hex(record.span_id()));
    line!(text, "Flags: {}", record.flags());
}
