//! The names of paths, for each context.

use pdata::schema::{
    EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, Message, NUMBER_DATA_POINT, SUMMARY_DATA_POINT,
};

use crate::context::Context;

/// The message that a field is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Resource,
    /// What holds the resource and its scopes.
    Group,
    Scope,
    /// What holds the scope and its records.
    ScopeGroup,
    Metric,
    /// The gauge, sum, … of a metric.
    Data,
    /// Span or log record.
    Item,
    /// A data point; its fields have other numbers in each kind.
    Point,
    /// Event or exemplar.
    Child,
}

/// Kinds of data points, in the order of [`Field::numbers`].
pub(crate) static POINTS: [&Message; 4] =
    [&NUMBER_DATA_POINT, &HISTOGRAM_DATA_POINT, &EXPONENTIAL_HISTOGRAM_DATA_POINT, &SUMMARY_DATA_POINT];

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) owner: Owner,
    /// Number of the submessage that it is in; 0 if it is in the owner itself.
    pub(crate) sub: u8,
    /// Its number; for data points by kind, 0 where the kind has none.
    pub(crate) numbers: [u8; 4],
    pub(crate) form: Form,
}

/// How a field is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Attributes,
    Text,
    Int,
    Bool,
    Float,
    /// Nanoseconds since 1970, as an int.
    Nanos,
    /// The same as a time.
    Time,
    TraceId,
    TraceIdHex,
    SpanId,
    SpanIdHex,
    /// `Server`.
    KindText,
    /// `SPAN_KIND_SERVER`.
    KindName,
    TraceState,
    /// A log's body.
    Any,
    /// The same as text, whatever it is.
    AnyText,
    /// A submessage, as a map.
    Message,
    /// A list of submessages.
    Messages,
    /// A list of numbers.
    Packed,
    /// Which kind of data a metric has.
    MetricType,
}

impl Form {
    /// Whether it can be written from a record of that context. The data points of a metric can be exchanged while the metric
    /// is visited, not while they are.
    pub(crate) fn is_writable(self, owner: Owner, context: Context) -> bool {
        match (self, owner) {
            (Self::MetricType, _) => false,
            (Self::Messages, Owner::Data) => context == Context::Metric,
            _ => true,
        }
    }

    /// Whether keys may follow.
    pub(crate) fn takes_keys(self) -> bool {
        matches!(self, Self::Attributes | Self::Any | Self::TraceState | Self::Message | Self::Messages | Self::Packed)
    }
}

/// A name of a path within its context, and what it means.
pub(crate) struct Entry {
    /// With the subfield: `status.code`.
    pub(crate) name: &'static str,
    pub(crate) field: Field,
}

const fn at(owner: Owner, number: u8, form: Form) -> Field {
    Field { owner, sub: 0, numbers: [number; 4], form }
}

const fn within(owner: Owner, sub: u8, number: u8, form: Form) -> Field {
    Field { owner, sub, numbers: [number; 4], form }
}

/// A field of data points, found in each kind by its name in the schema.
const fn point(numbers: [u8; 4], form: Form) -> Field {
    Field { owner: Owner::Point, sub: 0, numbers, form }
}

/// A field of the buckets of exponential histograms.
const fn bucket(sub: u8, number: u8, form: Form) -> Field {
    Field { owner: Owner::Point, sub, numbers: [0, 0, number, 0], form }
}

macro_rules! entries {
    ($($name:literal $field:expr;)*) => { const { &[$(Entry { name: $name, field: $field }),*] } };
}

/// The paths of a context, without its prefix. `cache` and `event_index` are known to the compiler.
pub(crate) fn entries(context: Context) -> &'static [Entry] {
    use Owner::{Child, Data, Group, Item, Metric, Resource, Scope, ScopeGroup};
    match context {
        Context::Resource => entries! {
            "attributes" at(Resource, 1, Form::Attributes);
            "dropped_attributes_count" at(Resource, 2, Form::Int);
            "schema_url" at(Group, 3, Form::Text);
        },
        Context::Scope => entries! {
            "name" at(Scope, 1, Form::Text);
            "version" at(Scope, 2, Form::Text);
            "attributes" at(Scope, 3, Form::Attributes);
            "dropped_attributes_count" at(Scope, 4, Form::Int);
            "schema_url" at(ScopeGroup, 3, Form::Text);
        },
        Context::Span => entries! {
            "trace_id" at(Item, 1, Form::TraceId);
            "trace_id.string" at(Item, 1, Form::TraceIdHex);
            "span_id" at(Item, 2, Form::SpanId);
            "span_id.string" at(Item, 2, Form::SpanIdHex);
            "trace_state" at(Item, 3, Form::TraceState);
            "parent_span_id" at(Item, 4, Form::SpanId);
            "parent_span_id.string" at(Item, 4, Form::SpanIdHex);
            "name" at(Item, 5, Form::Text);
            "kind" at(Item, 6, Form::Int);
            "kind.string" at(Item, 6, Form::KindText);
            "kind.deprecated_string" at(Item, 6, Form::KindName);
            "start_time" at(Item, 7, Form::Time);
            "start_time_unix_nano" at(Item, 7, Form::Nanos);
            "end_time" at(Item, 8, Form::Time);
            "end_time_unix_nano" at(Item, 8, Form::Nanos);
            "attributes" at(Item, 9, Form::Attributes);
            "dropped_attributes_count" at(Item, 10, Form::Int);
            "events" at(Item, 11, Form::Messages);
            "dropped_events_count" at(Item, 12, Form::Int);
            "links" at(Item, 13, Form::Messages);
            "dropped_links_count" at(Item, 14, Form::Int);
            "status" at(Item, 15, Form::Message);
            "status.message" within(Item, 15, 2, Form::Text);
            "status.code" within(Item, 15, 3, Form::Int);
            "flags" at(Item, 16, Form::Int);
        },
        Context::SpanEvent => entries! {
            "time" at(Child, 1, Form::Time);
            "time_unix_nano" at(Child, 1, Form::Nanos);
            "name" at(Child, 2, Form::Text);
            "attributes" at(Child, 3, Form::Attributes);
            "dropped_attributes_count" at(Child, 4, Form::Int);
        },
        Context::Metric => entries! {
            "name" at(Metric, 1, Form::Text);
            "description" at(Metric, 2, Form::Text);
            "unit" at(Metric, 3, Form::Text);
            "type" at(Metric, 0, Form::MetricType);
            "metadata" at(Metric, 12, Form::Attributes);
            "aggregation_temporality" at(Data, 2, Form::Int);
            "is_monotonic" at(Data, 3, Form::Bool);
            "data_points" at(Data, 1, Form::Messages);
        },
        Context::DataPoint => entries! {
            "attributes" point([7, 9, 1, 7], Form::Attributes);
            "start_time" point([2, 2, 2, 2], Form::Time);
            "start_time_unix_nano" point([2, 2, 2, 2], Form::Nanos);
            "time" point([3, 3, 3, 3], Form::Time);
            "time_unix_nano" point([3, 3, 3, 3], Form::Nanos);
            "value_double" point([4, 0, 0, 0], Form::Float);
            "value_int" point([6, 0, 0, 0], Form::Int);
            "exemplars" point([5, 8, 11, 0], Form::Messages);
            "flags" point([8, 10, 10, 8], Form::Int);
            "count" point([0, 4, 4, 4], Form::Int);
            "sum" point([0, 5, 5, 5], Form::Float);
            "bucket_counts" point([0, 6, 0, 0], Form::Packed);
            "explicit_bounds" point([0, 7, 0, 0], Form::Packed);
            "scale" point([0, 0, 6, 0], Form::Int);
            "zero_count" point([0, 0, 7, 0], Form::Int);
            "positive" point([0, 0, 8, 0], Form::Message);
            "positive.offset" bucket(8, 1, Form::Int);
            "positive.bucket_counts" bucket(8, 2, Form::Packed);
            "negative" point([0, 0, 9, 0], Form::Message);
            "negative.offset" bucket(9, 1, Form::Int);
            "negative.bucket_counts" bucket(9, 2, Form::Packed);
            "quantile_values" point([0, 0, 0, 6], Form::Messages);
        },
        Context::Exemplar => entries! {
            "time" at(Child, 2, Form::Time);
            "time_unix_nano" at(Child, 2, Form::Nanos);
            "double_value" at(Child, 3, Form::Float);
            "int_value" at(Child, 6, Form::Int);
            "span_id" at(Child, 4, Form::SpanId);
            "span_id.string" at(Child, 4, Form::SpanIdHex);
            "trace_id" at(Child, 5, Form::TraceId);
            "trace_id.string" at(Child, 5, Form::TraceIdHex);
            "filtered_attributes" at(Child, 7, Form::Attributes);
        },
        Context::Log => entries! {
            "time" at(Item, 1, Form::Time);
            "time_unix_nano" at(Item, 1, Form::Nanos);
            "observed_time" at(Item, 11, Form::Time);
            "observed_time_unix_nano" at(Item, 11, Form::Nanos);
            "severity_number" at(Item, 2, Form::Int);
            "severity_text" at(Item, 3, Form::Text);
            "body" at(Item, 5, Form::Any);
            "body.string" at(Item, 5, Form::AnyText);
            "attributes" at(Item, 6, Form::Attributes);
            "dropped_attributes_count" at(Item, 7, Form::Int);
            "flags" at(Item, 8, Form::Int);
            "trace_id" at(Item, 9, Form::TraceId);
            "trace_id.string" at(Item, 9, Form::TraceIdHex);
            "span_id" at(Item, 10, Form::SpanId);
            "span_id.string" at(Item, 10, Form::SpanIdHex);
            "event_name" at(Item, 12, Form::Text);
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdata::schema::{BUCKETS, EXEMPLAR, LOG_RECORD, METRIC, RESOURCE, RESOURCE_SPANS, SCOPE, SCOPE_SPANS, SPAN};
    use pdata::schema::{Kind, Label, SPAN_EVENT, STATUS, SUM};

    /// The schema's name for what a path calls otherwise.
    fn schema_name(context: Context, name: &str) -> String {
        let name = name.strip_suffix(".string").or(name.strip_suffix(".deprecated_string")).unwrap_or(name);
        let name = name.rsplit('.').next().unwrap_or(name);
        match name {
            "time" | "start_time" | "end_time" | "observed_time" => format!("{name}_unix_nano"),
            "value_double" | "double_value" => "as_double".to_owned(),
            "value_int" | "int_value" => "as_int".to_owned(),
            "schema_url" if context == Context::Resource => "schema_url".to_owned(),
            name => name.to_owned(),
        }
    }

    fn tables(field: Field, context: Context) -> Vec<&'static Message> {
        match (field.owner, field.sub) {
            (Owner::Point, 8 | 9) => vec![&BUCKETS; 4],
            (Owner::Point, _) => POINTS.to_vec(),
            (Owner::Item, 15) => vec![&STATUS],
            (Owner::Item, _) if context == Context::Log => vec![&LOG_RECORD],
            (Owner::Item, _) => vec![&SPAN],
            (Owner::Child, _) if context == Context::Exemplar => vec![&EXEMPLAR],
            (Owner::Child, _) => vec![&SPAN_EVENT],
            (Owner::Resource, _) => vec![&RESOURCE],
            (Owner::Group, _) => vec![&RESOURCE_SPANS],
            (Owner::Scope, _) => vec![&SCOPE],
            (Owner::ScopeGroup, _) => vec![&SCOPE_SPANS],
            (Owner::Metric, _) => vec![&METRIC],
            (Owner::Data, _) => vec![&SUM],
        }
    }

    #[test]
    fn numbers_are_those_of_the_schema() {
        for context in Context::ALL {
            for entry in entries(context) {
                let Field { form, numbers, .. } = entry.field;
                if form == Form::MetricType {
                    continue;
                }
                for (kind, table) in tables(entry.field, context).into_iter().enumerate() {
                    let wanted = schema_name(context, entry.name);
                    let field = table.fields.iter().find(|field| field.name == wanted);
                    let is_only_of_exponential = entry.field.sub > 7 && entry.field.sub < 15 && kind != 2;
                    let expected = field.filter(|_| !is_only_of_exponential).map_or(0, |field| field.number);
                    assert_eq!(
                        u32::from(numbers[kind]),
                        expected,
                        "{}.{} in {}",
                        context.as_str(),
                        entry.name,
                        table.name
                    );
                    let Some(field) = field else { continue };
                    let fits = match form {
                        Form::Attributes => table.attributes_number() == field.number,
                        Form::Text | Form::TraceState => matches!(field.kind, Kind::String),
                        Form::Bool => matches!(field.kind, Kind::Bool),
                        Form::Float => matches!(field.kind, Kind::Double),
                        Form::Nanos | Form::Time => matches!(field.kind, Kind::Fixed64),
                        Form::TraceId | Form::TraceIdHex => matches!(field.kind, Kind::TraceId),
                        Form::SpanId | Form::SpanIdHex => matches!(field.kind, Kind::SpanId),
                        Form::Messages => field.label == Label::Repeated && field.kind.message().is_some(),
                        Form::Packed => field.label == Label::Repeated && field.kind.message().is_none(),
                        Form::Message | Form::Any | Form::AnyText => field.kind.message().is_some(),
                        Form::Int | Form::KindText | Form::KindName => {
                            field.label != Label::Repeated && field.kind.message().is_none()
                        }
                        Form::MetricType => false,
                    };
                    assert!(fits, "{}.{}: {form:?}", context.as_str(), entry.name);
                }
            }
        }
    }
}
