//! OTLP's messages as tables: number, names, kind of every field. The validator, the JSON translation and the edits
//! are driven by them; a test holds them against `proto/`.
//!
//! Source: `proto/` at the workspace root (opentelemetry-proto; its README names the version).

use crate::signal::Signal;

/// A message type.
#[derive(Debug)]
pub struct Message {
    /// Name in the `.proto` file.
    pub name: &'static str,
    /// Fields in ascending order of their numbers.
    pub fields: &'static [Field],
    /// `fields` by number, for numbers up to [`NUMBER_MAX`]: index plus 1, 0 for none.
    by_number: [u8; NUMBER_MAX as usize + 1],
    attributes: u8,
    /// Bits of the numbers in `fields`.
    numbers: u32,
    /// What a field is checked for, by its tag, for tags of one byte.
    forms: [Form; 0x80],
}

/// What the value of a field that may occur once has to be, where that is told without recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Anything else: messages, lists, members of a oneof, unknown fields, tags that do not fit the field.
    Other,
    /// A varint.
    Varint,
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// Text.
    Text,
    /// 16 bytes, or none.
    TraceId,
    /// 8 bytes, or none.
    SpanId,
}

impl Form {
    const fn of(field: &Field) -> Self {
        match (field.label, field.kind) {
            (Label::Repeated | Label::OneOf, _) => Self::Other,
            (_, String) => Self::Text,
            (_, TraceId) => Self::TraceId,
            (_, SpanId) => Self::SpanId,
            (_, Bytes | Msg(_) | Item(_)) => Self::Other,
            (_, kind) => match kind.wire_type() {
                crate::wire::FIXED32 => Self::Fixed32,
                crate::wire::FIXED64 => Self::Fixed64,
                _ => Self::Varint,
            },
        }
    }
}

/// The highest field number in OTLP's messages.
pub const NUMBER_MAX: u32 = 16;

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Number on the wire, 1 to [`NUMBER_MAX`].
    pub number: u32,
    /// `snake_case` name in the `.proto` file.
    pub name: &'static str,
    /// `lowerCamelCase` name in OTLP/JSON.
    pub json: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// How often it may occur.
    pub label: Label,
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// At most once; absent means the type's zero.
    Singular,
    /// At most once; absence is distinct from zero (`optional`).
    Optional,
    /// Any number of times.
    Repeated,
    /// At most one field of the message's only `oneof`.
    OneOf,
}

/// Type of a field's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `bool`.
    Bool,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `sint32`.
    Sint32,
    /// An enumeration and its values.
    Enum(&'static [(&'static str, i32)]),
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `sfixed64`.
    Sfixed64,
    /// `double`.
    Double,
    /// `string`, UTF-8.
    String,
    /// `bytes` of any length.
    Bytes,
    /// `bytes` that are an ID of 16 bytes, or empty.
    TraceId,
    /// `bytes` that are an ID of 8 bytes, or empty.
    SpanId,
    /// A message.
    Message(&'static Message),
    /// A message that is an item of its signal (span, data point, log record).
    Item(&'static Message),
}

impl Kind {
    /// The wire type of a single (not packed) value.
    #[must_use]
    pub const fn wire_type(self) -> u8 {
        match self {
            Self::Bool | Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 | Self::Enum(_) => {
                crate::wire::VARINT
            }
            Self::Fixed32 => crate::wire::FIXED32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => crate::wire::FIXED64,
            Self::String | Self::Bytes | Self::TraceId | Self::SpanId | Self::Message(_) | Self::Item(_) => {
                crate::wire::LEN
            }
        }
    }

    /// The message type of message fields.
    #[must_use]
    pub const fn message(self) -> Option<&'static Message> {
        match self {
            Self::Message(message) | Self::Item(message) => Some(message),
            _ => None,
        }
    }
}

impl Message {
    const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        let mut by_number = [0; NUMBER_MAX as usize + 1];
        let mut forms = [Form::Other; 0x80];
        let (mut n, mut attributes, mut numbers) = (0, 0, 0);
        while n < fields.len() {
            by_number[fields[n].number as usize] = n as u8 + 1;
            let tag = fields[n].number << 3 | fields[n].kind.wire_type() as u32;
            if tag < 0x80 {
                forms[tag as usize] = Form::of(&fields[n]);
            }
            numbers |= 1 << fields[n].number;
            // Told by name, since a constant must not look into the message that it may be part of; a test compares.
            if matches!(fields[n].name.as_bytes(), b"attributes" | b"filtered_attributes" | b"metadata")
                || (matches!(name.as_bytes(), b"KeyValueList") && fields[n].number == 1)
            {
                attributes = fields[n].number as u8;
            }
            n += 1;
        }
        Self { name, fields, by_number, attributes, numbers, forms }
    }

    /// Whether there is a field of that number.
    #[inline]
    #[must_use]
    pub const fn knows(&self, number: u32) -> bool {
        number <= NUMBER_MAX && self.numbers >> number & 1 == 1
    }

    /// What a field of that tag is checked for.
    #[inline]
    pub(crate) const fn form(&self, tag: u8) -> Form {
        if tag < 0x80 { self.forms[tag as usize] } else { Form::Other }
    }

    /// Number of the field that is a list of `KeyValue`; 0 if the message has none. None has two.
    #[inline]
    #[must_use]
    pub const fn attributes_number(&self) -> u32 {
        self.attributes as u32
    }

    /// The field of that number; `None` if the message has no such field.
    #[inline]
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let index = *self.by_number.get(number as usize)?;
        self.fields.get(usize::from(index).checked_sub(1)?)
    }

    /// The field of that JSON name.
    #[must_use]
    pub fn json_field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == name)
    }
}

/// The export request of `signal`, which is what a batch consists of.
#[must_use]
pub const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Logs => &LOGS_REQUEST,
    }
}

macro_rules! messages {
    ($( $(#[$doc:meta])* $ident:ident = $name:literal { $( $number:literal $field:literal $json:literal $label:ident $kind:expr ;)* } )*) => {
        $( $(#[$doc])* pub static $ident: Message = Message::new($name, &[
            $( Field { number: $number, name: $field, json: $json, kind: $kind, label: Label::$label } ),*
        ]); )*
        /// Every message type above.
        pub static MESSAGES: &[&Message] = &[ $( &$ident ),* ];
    };
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Int32, Int64, Item, Message as Msg, Sfixed64, Sint32, SpanId, String,
    TraceId, Uint32, Uint64,
};

messages! {
    /// `ExportTraceServiceRequest`, same bytes as `TracesData`.
    TRACES_REQUEST = "ExportTraceServiceRequest" {
        1 "resource_spans" "resourceSpans" Repeated Msg(&RESOURCE_SPANS);
    }
    /// `ResourceSpans`.
    RESOURCE_SPANS = "ResourceSpans" {
        1 "resource" "resource" Singular Msg(&RESOURCE);
        2 "scope_spans" "scopeSpans" Repeated Msg(&SCOPE_SPANS);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `ScopeSpans`.
    SCOPE_SPANS = "ScopeSpans" {
        1 "scope" "scope" Singular Msg(&SCOPE);
        2 "spans" "spans" Repeated Item(&SPAN);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `Span`.
    SPAN = "Span" {
        1 "trace_id" "traceId" Singular TraceId;
        2 "span_id" "spanId" Singular SpanId;
        3 "trace_state" "traceState" Singular String;
        4 "parent_span_id" "parentSpanId" Singular SpanId;
        5 "name" "name" Singular String;
        6 "kind" "kind" Singular Enum(SPAN_KIND);
        7 "start_time_unix_nano" "startTimeUnixNano" Singular Fixed64;
        8 "end_time_unix_nano" "endTimeUnixNano" Singular Fixed64;
        9 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        10 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
        11 "events" "events" Repeated Msg(&SPAN_EVENT);
        12 "dropped_events_count" "droppedEventsCount" Singular Uint32;
        13 "links" "links" Repeated Msg(&SPAN_LINK);
        14 "dropped_links_count" "droppedLinksCount" Singular Uint32;
        15 "status" "status" Singular Msg(&STATUS);
        16 "flags" "flags" Singular Fixed32;
    }
    /// `Span.Event`.
    SPAN_EVENT = "Event" {
        1 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        2 "name" "name" Singular String;
        3 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        4 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
    }
    /// `Span.Link`.
    SPAN_LINK = "Link" {
        1 "trace_id" "traceId" Singular TraceId;
        2 "span_id" "spanId" Singular SpanId;
        3 "trace_state" "traceState" Singular String;
        4 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        5 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
        6 "flags" "flags" Singular Fixed32;
    }
    /// `Status` of a span.
    STATUS = "Status" {
        2 "message" "message" Singular String;
        3 "code" "code" Singular Enum(STATUS_CODE);
    }
    /// `ExportMetricsServiceRequest`, same bytes as `MetricsData`.
    METRICS_REQUEST = "ExportMetricsServiceRequest" {
        1 "resource_metrics" "resourceMetrics" Repeated Msg(&RESOURCE_METRICS);
    }
    /// `ResourceMetrics`.
    RESOURCE_METRICS = "ResourceMetrics" {
        1 "resource" "resource" Singular Msg(&RESOURCE);
        2 "scope_metrics" "scopeMetrics" Repeated Msg(&SCOPE_METRICS);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `ScopeMetrics`.
    SCOPE_METRICS = "ScopeMetrics" {
        1 "scope" "scope" Singular Msg(&SCOPE);
        2 "metrics" "metrics" Repeated Msg(&METRIC);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `Metric`.
    METRIC = "Metric" {
        1 "name" "name" Singular String;
        2 "description" "description" Singular String;
        3 "unit" "unit" Singular String;
        5 "gauge" "gauge" OneOf Msg(&GAUGE);
        7 "sum" "sum" OneOf Msg(&SUM);
        9 "histogram" "histogram" OneOf Msg(&HISTOGRAM);
        10 "exponential_histogram" "exponentialHistogram" OneOf Msg(&EXPONENTIAL_HISTOGRAM);
        11 "summary" "summary" OneOf Msg(&SUMMARY);
        12 "metadata" "metadata" Repeated Msg(&KEY_VALUE);
    }
    /// `Gauge`.
    GAUGE = "Gauge" {
        1 "data_points" "dataPoints" Repeated Item(&NUMBER_DATA_POINT);
    }
    /// `Sum`.
    SUM = "Sum" {
        1 "data_points" "dataPoints" Repeated Item(&NUMBER_DATA_POINT);
        2 "aggregation_temporality" "aggregationTemporality" Singular Enum(TEMPORALITY);
        3 "is_monotonic" "isMonotonic" Singular Bool;
    }
    /// `Histogram`.
    HISTOGRAM = "Histogram" {
        1 "data_points" "dataPoints" Repeated Item(&HISTOGRAM_DATA_POINT);
        2 "aggregation_temporality" "aggregationTemporality" Singular Enum(TEMPORALITY);
    }
    /// `ExponentialHistogram`.
    EXPONENTIAL_HISTOGRAM = "ExponentialHistogram" {
        1 "data_points" "dataPoints" Repeated Item(&EXPONENTIAL_HISTOGRAM_DATA_POINT);
        2 "aggregation_temporality" "aggregationTemporality" Singular Enum(TEMPORALITY);
    }
    /// `Summary`.
    SUMMARY = "Summary" {
        1 "data_points" "dataPoints" Repeated Item(&SUMMARY_DATA_POINT);
    }
    /// `NumberDataPoint`.
    NUMBER_DATA_POINT = "NumberDataPoint" {
        2 "start_time_unix_nano" "startTimeUnixNano" Singular Fixed64;
        3 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        4 "as_double" "asDouble" OneOf Double;
        5 "exemplars" "exemplars" Repeated Msg(&EXEMPLAR);
        6 "as_int" "asInt" OneOf Sfixed64;
        7 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        8 "flags" "flags" Singular Uint32;
    }
    /// `HistogramDataPoint`.
    HISTOGRAM_DATA_POINT = "HistogramDataPoint" {
        2 "start_time_unix_nano" "startTimeUnixNano" Singular Fixed64;
        3 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        4 "count" "count" Singular Fixed64;
        5 "sum" "sum" Optional Double;
        6 "bucket_counts" "bucketCounts" Repeated Fixed64;
        7 "explicit_bounds" "explicitBounds" Repeated Double;
        8 "exemplars" "exemplars" Repeated Msg(&EXEMPLAR);
        9 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        10 "flags" "flags" Singular Uint32;
        11 "min" "min" Optional Double;
        12 "max" "max" Optional Double;
    }
    /// `ExponentialHistogramDataPoint`.
    EXPONENTIAL_HISTOGRAM_DATA_POINT = "ExponentialHistogramDataPoint" {
        1 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        2 "start_time_unix_nano" "startTimeUnixNano" Singular Fixed64;
        3 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        4 "count" "count" Singular Fixed64;
        5 "sum" "sum" Optional Double;
        6 "scale" "scale" Singular Sint32;
        7 "zero_count" "zeroCount" Singular Fixed64;
        8 "positive" "positive" Singular Msg(&BUCKETS);
        9 "negative" "negative" Singular Msg(&BUCKETS);
        10 "flags" "flags" Singular Uint32;
        11 "exemplars" "exemplars" Repeated Msg(&EXEMPLAR);
        12 "min" "min" Optional Double;
        13 "max" "max" Optional Double;
        14 "zero_threshold" "zeroThreshold" Singular Double;
    }
    /// `ExponentialHistogramDataPoint.Buckets`.
    BUCKETS = "Buckets" {
        1 "offset" "offset" Singular Sint32;
        2 "bucket_counts" "bucketCounts" Repeated Uint64;
    }
    /// `SummaryDataPoint`.
    SUMMARY_DATA_POINT = "SummaryDataPoint" {
        2 "start_time_unix_nano" "startTimeUnixNano" Singular Fixed64;
        3 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        4 "count" "count" Singular Fixed64;
        5 "sum" "sum" Singular Double;
        6 "quantile_values" "quantileValues" Repeated Msg(&VALUE_AT_QUANTILE);
        7 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        8 "flags" "flags" Singular Uint32;
    }
    /// `SummaryDataPoint.ValueAtQuantile`.
    VALUE_AT_QUANTILE = "ValueAtQuantile" {
        1 "quantile" "quantile" Singular Double;
        2 "value" "value" Singular Double;
    }
    /// `Exemplar`.
    EXEMPLAR = "Exemplar" {
        2 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        3 "as_double" "asDouble" OneOf Double;
        4 "span_id" "spanId" Singular SpanId;
        5 "trace_id" "traceId" Singular TraceId;
        6 "as_int" "asInt" OneOf Sfixed64;
        7 "filtered_attributes" "filteredAttributes" Repeated Msg(&KEY_VALUE);
    }
    /// `ExportLogsServiceRequest`, same bytes as `LogsData`.
    LOGS_REQUEST = "ExportLogsServiceRequest" {
        1 "resource_logs" "resourceLogs" Repeated Msg(&RESOURCE_LOGS);
    }
    /// `ResourceLogs`.
    RESOURCE_LOGS = "ResourceLogs" {
        1 "resource" "resource" Singular Msg(&RESOURCE);
        2 "scope_logs" "scopeLogs" Repeated Msg(&SCOPE_LOGS);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `ScopeLogs`.
    SCOPE_LOGS = "ScopeLogs" {
        1 "scope" "scope" Singular Msg(&SCOPE);
        2 "log_records" "logRecords" Repeated Item(&LOG_RECORD);
        3 "schema_url" "schemaUrl" Singular String;
    }
    /// `LogRecord`.
    LOG_RECORD = "LogRecord" {
        1 "time_unix_nano" "timeUnixNano" Singular Fixed64;
        2 "severity_number" "severityNumber" Singular Enum(SEVERITY);
        3 "severity_text" "severityText" Singular String;
        5 "body" "body" Singular Msg(&ANY_VALUE);
        6 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        7 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
        8 "flags" "flags" Singular Fixed32;
        9 "trace_id" "traceId" Singular TraceId;
        10 "span_id" "spanId" Singular SpanId;
        11 "observed_time_unix_nano" "observedTimeUnixNano" Singular Fixed64;
        12 "event_name" "eventName" Singular String;
    }
    /// `Resource`.
    RESOURCE = "Resource" {
        1 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        2 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
        3 "entity_refs" "entityRefs" Repeated Msg(&ENTITY_REF);
    }
    /// `EntityRef`.
    ENTITY_REF = "EntityRef" {
        1 "schema_url" "schemaUrl" Singular String;
        2 "type" "type" Singular String;
        3 "id_keys" "idKeys" Repeated String;
        4 "description_keys" "descriptionKeys" Repeated String;
    }
    /// `InstrumentationScope`.
    SCOPE = "InstrumentationScope" {
        1 "name" "name" Singular String;
        2 "version" "version" Singular String;
        3 "attributes" "attributes" Repeated Msg(&KEY_VALUE);
        4 "dropped_attributes_count" "droppedAttributesCount" Singular Uint32;
    }
    /// `KeyValue`.
    KEY_VALUE = "KeyValue" {
        1 "key" "key" Singular String;
        2 "value" "value" Singular Msg(&ANY_VALUE);
        3 "key_strindex" "keyStrindex" Singular Int32;
    }
    /// `AnyValue`.
    ANY_VALUE = "AnyValue" {
        1 "string_value" "stringValue" OneOf String;
        2 "bool_value" "boolValue" OneOf Bool;
        3 "int_value" "intValue" OneOf Int64;
        4 "double_value" "doubleValue" OneOf Double;
        5 "array_value" "arrayValue" OneOf Msg(&ARRAY_VALUE);
        6 "kvlist_value" "kvlistValue" OneOf Msg(&KEY_VALUE_LIST);
        7 "bytes_value" "bytesValue" OneOf Bytes;
        8 "string_value_strindex" "stringValueStrindex" OneOf Int32;
    }
    /// `ArrayValue`.
    ARRAY_VALUE = "ArrayValue" {
        1 "values" "values" Repeated Msg(&ANY_VALUE);
    }
    /// `KeyValueList`.
    KEY_VALUE_LIST = "KeyValueList" {
        1 "values" "values" Repeated Msg(&KEY_VALUE);
    }
}

/// `Span.SpanKind`.
pub const SPAN_KIND: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

/// `Status.StatusCode`.
pub const STATUS_CODE: &[(&str, i32)] = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

/// `AggregationTemporality`.
pub const TEMPORALITY: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

/// `SeverityNumber`.
pub const SEVERITY: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
