//! Every path: read, set, nil, and refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::let_underscore_must_use, reason = "tests, and what they share")]

mod support;

use ottl::Context::{DataPoint, Exemplar, Log, Metric, Resource, Scope, Span, SpanEvent};
use ottl::{Context, Mode, Parser, visit};
use pdata::edit::Editor;

use support::{failure, wrong};

/// Records, by context and number, and what holds for them.
const READS: &[(Context, usize, &[&str])] = &[
    (
        Resource,
        0,
        &[
            r#"attributes["service.name"] == "shop""#,
            r#"resource.attributes["pid"] == 42"#,
            r#"attributes == {"service.name": "shop", "pid": 42}"#,
            r#"attributes["none"] == nil"#,
            "dropped_attributes_count == 0",
            r#"schema_url == "https://res.example/1""#,
            r#"cache == {}"#,
            r#"cache["x"] == nil"#,
        ],
    ),
    (
        Scope,
        0,
        &[
            r#"name == "lib" and version == "1.2""#,
            r#"scope.name == "lib" and instrumentation_scope.name == "lib""#,
            r#"attributes["beta"] == true"#,
            "dropped_attributes_count == 0",
            r#"schema_url == """#,
            r#"resource.attributes["pid"] == 42"#,
        ],
    ),
    (
        Span,
        0,
        &[
            "trace_id == 0x30313233343536373839616263646566",
            r#"trace_id != "30313233343536373839616263646566""#,
            r#"trace_id.string == "30313233343536373839616263646566""#,
            r#"span_id == 0x3031323334353637 and span_id.string == "3031323334353637""#,
            r#"parent_span_id == 0x3736353433323130 and parent_span_id.string == "3736353433323130""#,
            r#"trace_state == "a=1,b=2" and trace_state["b"] == "2""#,
            r#"name == "GET /orders" and span.name == "GET /orders""#,
            r#"kind == 2 and kind == SPAN_KIND_SERVER"#,
            r#"kind.string == "Server" and kind.deprecated_string == "SPAN_KIND_SERVER""#,
            "start_time_unix_nano == 1700000000000000000 and end_time_unix_nano == 1700000001500000000",
            "end_time > start_time",
            r#"attributes["text"] == "hello" and attributes["int"] == 7 and attributes["int"] == 7.0"#,
            r#"attributes["float"] == 2.5 and attributes["truth"] == true and attributes["bytes"] == 0x0102"#,
            r#"attributes["list"][0] == "x" and attributes["list"][1] == 2"#,
            r#"attributes["list"] == ["x", 2]"#,
            r#"attributes["map"]["k"] == "v" and attributes["map"]["deep"]["n"] == 5"#,
            r#"attributes["map"]["none"] == nil and attributes["map"]["none"]["deeper"] == nil"#,
            r#"attributes["none"]["deeper"][3] == nil"#,
            r#"attributes["map"] == {"k": "v", "deep": {"n": 5}}"#,
            "dropped_attributes_count == 1 and dropped_events_count == 2 and dropped_links_count == 3",
            r#"events[0]["name"] == "retry" and events[1]["attributes"]["attempt"] == 2"#,
            "links[0][\"span_id\"] == 0x0909090909090909",
            r#"status.code == STATUS_CODE_ERROR and status.message == "went wrong""#,
            r#"status == {"message": "went wrong", "code": 2}"#,
            "flags == 257",
            r#"instrumentation_scope.name == "lib" and resource.attributes["service.name"] == "shop""#,
            r#"otelcol.client.addr == "10.0.0.1""#,
            r#"otelcol.client.metadata["X-TENANT"][1] == "t2" and otelcol.grpc.metadata["other"][0] == "o""#,
            r#"otelcol.client.metadata["none"] == nil"#,
            r#"otelcol.client.metadata["none"][0] == nil"#,
            r#"otelcol.client.metadata == {"x-tenant": ["t1", "t2"], "other": ["o"]}"#,
            r#"otelcol.client.auth.attributes["subject"] == "me""#,
            r#"otelcol.client.auth.attributes["groups"] == ["a", "b"]"#,
            r#"otelcol.client.auth.attributes["none"] == nil"#,
        ],
    ),
    (
        Span,
        1,
        &[
            r#"trace_id.string == "00000000000000000000000000000000""#,
            "trace_id == 0x00000000000000000000000000000000",
            r#"name == "" and kind == 0 and kind.string == "Unspecified""#,
            r#"trace_state == "" and trace_state["a"] == """#,
            r#"status.code == 0 and status.message == "" and status == {}"#,
            "attributes == {} and events == [] and start_time_unix_nano == 0",
        ],
    ),
    (
        SpanEvent,
        1,
        &[
            r#"name == "retry" and attributes["attempt"] == 2 and event_index == 1"#,
            "time_unix_nano == 1700000000600000000 and time > span.start_time",
            "dropped_attributes_count == 0",
            r#"span.name == "GET /orders" and spanevent.name == "retry""#,
        ],
    ),
    (
        Metric,
        0,
        &[
            r#"name == "gauge" and description == "about it" and unit == "s""#,
            "type == METRIC_DATA_TYPE_GAUGE and aggregation_temporality == nil and is_monotonic == nil",
            r#"metadata == {} and metadata["x"] == nil"#,
            r#"data_points[0]["as_double"] == 1.5"#,
        ],
    ),
    (Metric, 1, &["type == METRIC_DATA_TYPE_SUM and aggregation_temporality == 1 and is_monotonic == true"]),
    (
        Metric,
        2,
        &["type == METRIC_DATA_TYPE_HISTOGRAM and aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE"],
    ),
    (Metric, 3, &["type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM and is_monotonic == nil"]),
    (Metric, 4, &["type == METRIC_DATA_TYPE_SUMMARY and aggregation_temporality == nil"]),
    (
        DataPoint,
        0,
        &[
            r#"attributes["host"] == "a" and value_double == 1.5 and value_int == 0"#,
            "start_time_unix_nano == 1000 and time_unix_nano == 2000 and time > start_time",
            "flags == FLAG_NO_RECORDED_VALUE",
            r#"exemplars[0]["filtered_attributes"]["user"] == "u""#,
            "count == nil and sum == nil and bucket_counts == nil and scale == nil and quantile_values == nil",
            "positive == nil and positive.offset == nil and positive.bucket_counts == nil",
            r#"metric.name == "gauge" and metric.type == METRIC_DATA_TYPE_GAUGE"#,
        ],
    ),
    (DataPoint, 1, &["value_int == -3 and value_double == 0.0 and metric.is_monotonic == true and flags == FLAG_NONE"]),
    (
        DataPoint,
        2,
        &[
            "count == 6 and sum == 12.5 and bucket_counts == [1, 2, 3] and explicit_bounds == [0.5, 10.0]",
            "bucket_counts[2] == 3 and value_double == nil and zero_count == nil",
        ],
    ),
    (
        DataPoint,
        3,
        &[
            "count == 9 and sum == 3.5 and scale == -2 and zero_count == 4",
            "positive.offset == -1 and positive.bucket_counts == [1, 300]",
            r#"positive == {"offset": -1, "bucket_counts": [1, 300]}"#,
            "negative == {} and negative.offset == 0 and negative.bucket_counts == []",
            r#"attributes["host"] == "a""#,
        ],
    ),
    (
        DataPoint,
        4,
        &[
            "count == 2 and sum == 8.0 and exemplars == nil",
            r#"quantile_values[1]["value"] == 7.0 and attributes["host"] == "a""#,
        ],
    ),
    (
        Exemplar,
        1,
        &[
            "time_unix_nano == 1500 and double_value == 0.5 and int_value == 0",
            r#"trace_id.string == "01010101010101010101010101010101" and span_id == 0x0202020202020202"#,
            r#"filtered_attributes["user"] == "u" and datapoint.count == 6 and metric.name == "histogram""#,
        ],
    ),
    (
        Log,
        0,
        &[
            "time_unix_nano == 5000 and observed_time_unix_nano == 6000 and observed_time > time",
            r#"severity_number == SEVERITY_NUMBER_INFO and severity_text == "INFO""#,
            r#"body["message"] == "hi" and body["list"][0] == 1 and body["none"] == nil"#,
            r#"body == {"message": "hi", "list": [1]}"#,
            r#"body.string == "{\"list\":[1],\"message\":\"hi\"}""#,
            r#"attributes["k"] == "v" and dropped_attributes_count == 3 and flags == 1 and event_name == "start""#,
            r#"trace_id.string == "03030303030303030303030303030303" and span_id.string == "0404040404040404""#,
            r#"log.body["message"] == "hi""#,
        ],
    ),
    (Log, 1, &[r#"body == "plain" and body.string == "plain" and attributes == {}"#]),
    (Log, 2, &[r#"body[0] == "first" and body[1] == 2 and body.string == "[\"first\",2]""#]),
    (Log, 3, &[r#"body == nil and body.string == """#]),
];

#[test]
fn paths_read_what_is_there() {
    for (context, number, conditions) in READS {
        assert_eq!(wrong(*context, *number, &[], conditions), [""; 0], "{} {number}", context.as_str());
    }
}

/// Statements, and what holds after them.
const WRITES: &[(Context, usize, &str, &str)] = &[
    (Resource, 0, r#"set(attributes["new"], 1)"#, r#"attributes["new"] == 1 and attributes["pid"] == 42"#),
    (Resource, 0, r#"set(attributes, {"a": [1, {"b": 2}]})"#, r#"attributes == {"a": [1, {"b": 2}]}"#),
    (Resource, 0, "set(dropped_attributes_count, 5)", "dropped_attributes_count == 5"),
    (Resource, 0, r#"set(schema_url, "s")"#, r#"schema_url == "s""#),
    (Resource, 0, r#"set(cache["a"]["b"], [1])"#, r#"cache == {"a": {"b": [1]}}"#),
    (Resource, 0, r#"set(cache, {"a": 1})"#, r#"cache["a"] == 1"#),
    (Scope, 0, r#"set(name, "n")"#, r#"name == "n" and version == "1.2""#),
    (Scope, 0, r#"set(version, "")"#, r#"version == """#),
    (Scope, 0, r#"set(schema_url, "s")"#, r#"schema_url == "s" and resource.schema_url != "s""#),
    (Scope, 0, r#"set(resource.attributes["pid"], "x")"#, r#"resource.attributes["pid"] == "x""#),
    (
        Span,
        0,
        "set(trace_id, 0x000102030405060708090a0b0c0d0e0f)",
        r#"trace_id.string == "000102030405060708090a0b0c0d0e0f""#,
    ),
    (
        Span,
        0,
        r#"set(trace_id.string, "FF0102030405060708090a0b0c0d0e0f")"#,
        "trace_id == 0xff0102030405060708090a0b0c0d0e0f",
    ),
    (Span, 0, r#"set(span_id.string, "0001020304050607")"#, "span_id == 0x0001020304050607"),
    (Span, 0, "set(span_id, parent_span_id)", "span_id == parent_span_id"),
    (Span, 0, "set(parent_span_id, 0x0000000000000000)", "parent_span_id == 0x0000000000000000"),
    (Span, 0, r#"set(trace_state, "c=3")"#, r#"trace_state["c"] == "3""#),
    (Span, 0, r#"set(trace_state["b"], "9")"#, r#"trace_state == "b=9,a=1""#),
    (Span, 0, r#"set(name, attributes["text"])"#, r#"name == "hello""#),
    (Span, 0, "set(kind, SPAN_KIND_CLIENT)", r#"kind.string == "Client""#),
    (Span, 0, r#"set(kind.string, "Producer")"#, "kind == 4"),
    (Span, 0, r#"set(kind.deprecated_string, "SPAN_KIND_CONSUMER")"#, "kind == 5"),
    (Span, 0, "set(start_time_unix_nano, 12)", "start_time_unix_nano == 12"),
    (Span, 0, "set(end_time, start_time)", "end_time_unix_nano == 1700000000000000000"),
    (Span, 0, r#"set(attributes["text"], nil)"#, r#"attributes["text"] == "hello""#),
    (Span, 0, r#"set(attributes["text"], attributes["none"])"#, r#"attributes["text"] == "hello""#),
    (Span, 0, r#"set(attributes["x"]["y"]["z"], true)"#, r#"attributes["x"] == {"y": {"z": true}}"#),
    (Span, 0, r#"set(attributes["x"][2], "c")"#, r#"attributes["x"] == [nil, nil, "c"]"#),
    (Span, 0, r#"set(attributes["list"][0], {"k": 0x01})"#, r#"attributes["list"] == [{"k": 0x01}, 2]"#),
    (
        Span,
        0,
        r#"set(attributes["map"]["deep"]["n"], 6)"#,
        r#"attributes["map"]["deep"]["n"] == 6 and attributes["map"]["k"] == "v""#,
    ),
    (Span, 0, r#"set(attributes[name], 1)"#, r#"attributes["GET /orders"] == 1"#),
    (Span, 0, r#"set(attributes["list"][attributes["int"] - 6], 1)"#, r#"attributes["list"] == ["x", 1]"#),
    (Span, 0, r#"set(attributes["copy"], attributes["map"])"#, r#"attributes["copy"]["deep"]["n"] == 5"#),
    (Span, 0, r#"set(attributes["copy"], attributes)"#, r#"attributes["copy"]["text"] == "hello""#),
    (Span, 0, "set(events, [])", "events == [] and dropped_events_count == 2"),
    (
        Span,
        0,
        r#"set(events, [{"name": "n", "time_unix_nano": 3, "attributes": {"a": 1}}])"#,
        r#"events == [{"time_unix_nano": 3, "name": "n", "attributes": {"a": 1}}]"#,
    ),
    (
        Metric,
        0,
        r#"set(data_points, [{"as_int": 1, "attributes": {"a": "b"}}, {"as_double": 2.5, "exemplars": [{"as_int": 3}]}])"#,
        r#"Len(data_points) == 2 and data_points[0]["as_int"] == 1 and data_points[1]["exemplars"][0]["as_int"] == 3"#,
    ),
    (Metric, 0, r#"set(data_points[0]["as_double"], 4.5)"#, r#"data_points[0]["attributes"]["host"] == "a""#),
    (Metric, 1, "set(data_points, data_points)", r#"data_points == [{"as_int": -3}]"#),
    (
        Metric,
        2,
        r#"set(data_points, [{"count": 3, "bucket_counts": [1, 2], "explicit_bounds": [0.5]}])"#,
        r#"data_points[0]["bucket_counts"] == [1, 2] and type == METRIC_DATA_TYPE_HISTOGRAM"#,
    ),
    (
        Metric,
        3,
        r#"set(data_points, [{"scale": 1, "positive": {"offset": 2, "bucket_counts": [1]}}])"#,
        r#"data_points == [{"scale": 1, "positive": {"offset": 2, "bucket_counts": [1]}}]"#,
    ),
    (
        Metric,
        4,
        r#"set(data_points, [{"count": 1, "quantile_values": [{"quantile": 0.5, "value": 2.0}]}])"#,
        r#"data_points[0]["quantile_values"] == [{"quantile": 0.5, "value": 2.0}]"#,
    ),
    (Span, 0, "set(events[0], events[1])", r#"events[0]["attributes"]["attempt"] == 2"#),
    (Span, 0, "set(links, [])", "links == []"),
    (Span, 0, "set(status.code, STATUS_CODE_OK)", r#"status.code == 1 and status.message == "went wrong""#),
    (Span, 1, r#"set(status.message, "m")"#, r#"status == {"message": "m"}"#),
    (Span, 0, r#"set(status, {"code": 1})"#, r#"status.code == 1 and status.message == """#),
    (Span, 0, "set(flags, 4294967295)", "flags == 4294967295"),
    (Span, 0, "set(dropped_attributes_count, 0)", "dropped_attributes_count == 0"),
    (Span, 0, r#"set(scope.name, "s")"#, r#"scope.name == "s""#),
    (Span, 0, r#"set(cache["a"], attributes["map"])"#, r#"cache["a"]["k"] == "v" and span.cache["a"] != nil"#),
    (Span, 0, r#"set(resource.cache["a"], 1)"#, r#"resource.cache["a"] == 1 and cache["a"] == nil"#),
    (SpanEvent, 0, r#"set(name, "again")"#, r#"name == "again""#),
    (SpanEvent, 0, "set(time, span.end_time)", "time_unix_nano == span.end_time_unix_nano"),
    (SpanEvent, 0, r#"set(attributes["n"], event_index)"#, r#"attributes["n"] == 0"#),
    (SpanEvent, 0, r#"set(span.attributes["last"], name)"#, r#"span.attributes["last"] == "retry""#),
    (Metric, 0, r#"set(name, "n")"#, r#"name == "n""#),
    (Metric, 0, r#"set(metadata["m"], 1)"#, r#"metadata == {"m": 1}"#),
    (Metric, 1, "set(aggregation_temporality, AGGREGATION_TEMPORALITY_CUMULATIVE)", "aggregation_temporality == 2"),
    (Metric, 1, "set(is_monotonic, false)", "is_monotonic == false"),
    (DataPoint, 0, "set(value_int, 3)", "value_int == 3 and value_double == 0.0"),
    (DataPoint, 0, "set(value_double, -0.5)", "value_double == -0.5"),
    (DataPoint, 0, r#"set(attributes["host"], "b")"#, r#"attributes["host"] == "b""#),
    (DataPoint, 0, r#"set(metric.unit, "ms")"#, r#"metric.unit == "ms""#),
    (DataPoint, 0, "set(exemplars, [])", "exemplars == []"),
    (DataPoint, 2, "set(bucket_counts, [4, 5])", "bucket_counts == [4, 5]"),
    (DataPoint, 2, "set(bucket_counts[0], 300)", "bucket_counts == [300, 2, 3]"),
    (DataPoint, 2, "set(explicit_bounds, [1.5])", "explicit_bounds == [1.5]"),
    (DataPoint, 2, "set(explicit_bounds, [])", "explicit_bounds == []"),
    (DataPoint, 2, "set(sum, 1.0)", "sum == 1.0"),
    (
        DataPoint,
        3,
        "set(positive.bucket_counts, [1000, 0])",
        "positive.bucket_counts == [1000, 0] and positive.offset == -1",
    ),
    (DataPoint, 3, "set(negative.offset, -7)", "negative.offset == -7"),
    (DataPoint, 3, "set(negative, positive)", "negative.bucket_counts == [1, 300]"),
    (DataPoint, 3, "set(scale, 3)", "scale == 3"),
    (DataPoint, 4, r#"set(quantile_values, [{"quantile": 0.1, "value": 2}])"#, r#"quantile_values[0]["value"] == 2.0"#),
    (Exemplar, 0, "set(int_value, 4)", "int_value == 4 and double_value == 0.0"),
    (Exemplar, 0, r#"set(filtered_attributes["user"], "w")"#, r#"filtered_attributes["user"] == "w""#),
    (
        Exemplar,
        0,
        r#"set(trace_id.string, "000102030405060708090a0b0c0d0e0f")"#,
        "trace_id == 0x000102030405060708090a0b0c0d0e0f",
    ),
    (Log, 0, r#"set(body, "text")"#, r#"body == "text""#),
    (Log, 3, r#"set(body, {"k": [1]})"#, r#"body["k"][0] == 1"#),
    (Log, 0, r#"set(body["message"], 1)"#, r#"body["message"] == 1 and body["list"] == [1]"#),
    (Log, 0, r#"set(body["new"]["x"], 1)"#, r#"body["new"] == {"x": 1}"#),
    (Log, 2, r#"set(body[1], "second")"#, r#"body == ["first", "second"]"#),
    (Log, 0, r#"set(body.string, "t")"#, r#"body == "t""#),
    (Log, 0, "set(severity_number, SEVERITY_NUMBER_ERROR2)", "severity_number == 18"),
    (Log, 0, r#"set(severity_text, "x")"#, r#"severity_text == "x""#),
    (Log, 0, "set(observed_time, time)", "observed_time_unix_nano == 5000"),
    (Log, 0, r#"set(event_name, "e")"#, r#"event_name == "e""#),
];

#[test]
fn paths_are_set() {
    for (context, number, statement, condition) in WRITES {
        assert_eq!(wrong(*context, *number, &[statement], &[condition]), [""; 0], "{statement}");
    }
}

#[test]
fn what_a_path_cannot_hold_is_an_error_and_changes_nothing() {
    for (context, number, statement, expected, unchanged) in [
        (Span, 0, "set(name, 1)", "expected a string, found int", r#"name == "GET /orders""#),
        (Span, 0, r#"set(kind, "x")"#, "expected an int, found string", "kind == 2"),
        (Span, 0, r#"set(kind.string, "x")"#, "unknown span kind `x`", "kind == 2"),
        (Span, 0, "set(flags, -1)", "the number is out of the field's range", "flags == 257"),
        (Span, 0, "set(start_time, 1)", "expected a time, found int", "start_time_unix_nano != 1"),
        (Span, 0, "set(trace_id, 0x01)", "expected a trace ID, found bytes", "trace_id != 0x01"),
        (Span, 0, r#"set(trace_id.string, "01")"#, "a trace ID is written in 32 hex digits", "trace_id != 0x01"),
        (Span, 0, r#"set(trace_state["B"], "1")"#, "a key of a trace state has", r#"trace_state == "a=1,b=2""#),
        (Span, 0, "set(attributes, 1)", "expected a map, found int", r#"attributes["int"] == 7"#),
        (
            Span,
            0,
            r#"set(attributes["x"], start_time)"#,
            "an attribute cannot hold a time",
            r#"attributes["x"] == nil"#,
        ),
        (
            Span,
            0,
            r#"set(attributes["x"]["y"], start_time)"#,
            "an attribute cannot hold a time",
            r#"attributes["x"] == nil"#,
        ),
        (
            Span,
            0,
            r#"set(attributes["text"]["y"], 1)"#,
            "a string cannot be indexed",
            r#"attributes["text"] == "hello""#,
        ),
        (
            Span,
            0,
            r#"set(attributes["list"]["y"], 1)"#,
            "a list is indexed with an int, not with `y`",
            r#"attributes["list"][0] == "x""#,
        ),
        (
            Span,
            0,
            r#"set(attributes["list"][2], 1)"#,
            "index 2 is out of a list of 2",
            r#"attributes["list"][0] == "x""#,
        ),
        (
            Span,
            0,
            r#"set(attributes["map"][0], 1)"#,
            "a map is indexed with a string, not with 0",
            r#"attributes["map"]["k"] == "v""#,
        ),
        (
            Span,
            0,
            r#"set(attributes["x"][5000000], 1)"#,
            "index 5000000 of a list that does not exist yet",
            r#"attributes["x"] == nil or attributes["x"] != [1]"#,
        ),
        (
            Metric,
            0,
            r#"set(data_points, [{"count": 1}])"#,
            "`NumberDataPoint` has no field `count`",
            "Len(data_points) == 1",
        ),
        (Metric, 4, "set(data_points, 1)", "expected a list of maps, found int", "Len(data_points) == 1"),
        (Span, 0, "set(events, 1)", "expected a list of maps, found int", r#"events[0]["name"] == "retry""#),
        (Span, 0, r#"set(events, [{"nam": 1}])"#, "`Event` has no field `nam`", r#"events[0]["name"] == "retry""#),
        (Span, 0, r#"set(events, [{"name": 1}])"#, "found int", r#"events[0]["name"] == "retry""#),
        (Span, 0, r#"set(cache, 1)"#, "expected a map, found int", "cache == {}"),
        (DataPoint, 0, "set(count, 1)", "a NumberDataPoint has no such field", "value_double == 1.5"),
        (DataPoint, 2, "set(count, -1)", "the number is out of the field's range", "count == 6"),
        (
            DataPoint,
            2,
            "set(bucket_counts, [1, -1])",
            "-1 is out of the range of its field",
            "bucket_counts == [1, 2, 3]",
        ),
        (DataPoint, 2, r#"set(bucket_counts, ["x"])"#, "expected an int, found string", "bucket_counts == [1, 2, 3]"),
        (DataPoint, 2, "set(value_int, 1)", "a HistogramDataPoint has no such field", "count == 6"),
        (Metric, 0, "set(is_monotonic, true)", "a Gauge has no such field", "is_monotonic == nil"),
        (Log, 1, r#"set(body["k"], 1)"#, "a string cannot be indexed", r#"body == "plain""#),
        (Log, 3, r#"set(body["k"], 1)"#, "a log without a body cannot be indexed", "body == nil"),
        (Log, 0, "set(body.string, 1)", "expected a string, found int", r#"body["message"] == "hi""#),
    ] {
        let error = failure(context, number, statement);
        assert!(error.contains(expected), "{statement}: {error}");
        let wrong = wrong(context, number, &[statement], &[unchanged]);
        assert_eq!(wrong.len(), 1, "{statement} changed something: {wrong:?}");
    }
}

#[test]
fn reading_with_a_wrong_index_is_an_error() {
    for (context, number, condition, expected) in [
        (Span, 0, r#"attributes["text"]["x"] == nil"#, "a string cannot be indexed"),
        (Span, 0, r#"attributes["list"][9] == nil"#, "index 9 is out of a list of 2"),
        (Span, 0, r#"attributes["list"][-1] == nil"#, "index -1 is out of a list of 2"),
        (Span, 0, r#"attributes["list"]["x"] == nil"#, "a list is indexed with an int, not with `x`"),
        (Span, 0, r#"attributes["map"][0] == nil"#, "a map is indexed with a string, not with 0"),
        (Span, 0, r#"attributes[kind] == nil"#, "a map is indexed with a string, not with 2"),
        (Span, 0, r#"attributes[attributes["none"]] == nil"#, "expected a string or an int as the key, found nil"),
        (Log, 1, r#"body["x"] == nil"#, "a string cannot be indexed"),
    ] {
        let wrong = wrong(context, number, &[], &[condition]);
        assert_eq!(wrong, [format!("{condition}: {expected}")]);
    }
}

#[test]
fn a_value_has_a_limit() {
    let long = "x".repeat(60 << 10);
    let doubled = r#"set(attributes["t"], [attributes["t"], attributes["t"]])"#;
    let mut statements = vec![format!(r#"set(attributes["t"], "{long}")"#)];
    statements.extend(std::iter::repeat_n(doubled.to_owned(), 12));
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let wrong = wrong(Span, 0, &statements, &[]);
    assert!(wrong.iter().all(|error| error.contains("larger than the 16777216 allowed")), "{wrong:?}");
    assert_eq!(wrong.len(), 4, "{wrong:?}");
}

#[test]
fn what_cannot_be_set_or_indexed_is_refused_at_start() {
    let parser = Parser::new(&[]);
    for (context, statement, expected) in [
        (Metric, "set(type, 1)", "`type` cannot be set"),
        (DataPoint, "set(metric.data_points, [])", "`metric.data_points` cannot be set"),
        (Exemplar, "set(metric.data_points, [])", "`metric.data_points` cannot be set"),
        (SpanEvent, "set(event_index, 1)", "`event_index` cannot be set"),
        (Span, r#"set(otelcol.client.addr, "x")"#, "`otelcol.client.addr` cannot be set"),
        (Span, r#"set("x", 1)"#, "expected a path that can be set, found `\"x\"`"),
        (Span, r#"set(name["x"], 1)"#, "`span.name` cannot be indexed"),
        (Span, "set(attributes[0], 1)", "a map is indexed with a string, not with an int"),
        (Span, r#"set(trace_state["a"]["b"], "1")"#, "a trace state takes one key"),
        (Span, r#"set(attributes["a"].b, "1")"#, "`span` has no path `attributes.b`"),
        (Span, r#"set(attributes[1.5], "1")"#, "a key must be a string or an int, found float"),
    ] {
        let error = parser.statement(statement, Mode::Plain(context)).unwrap_err();
        assert_eq!(error.message, expected, "{statement}");
    }
}

/// A statement on the children of a record may set the list that they are in. New ones were visited, too, and were replaced
/// in turn, without an end.
#[test]
fn children_that_statements_put_there_are_not_visited() {
    for (context, statement, expected) in [
        (SpanEvent, r#"set(span.events, [{"name": "n"}, {"name": "n"}])"#, 1),
        (Exemplar, r#"set(datapoint.exemplars, [{"as_int": 1}, {"as_int": 2}])"#, 3),
    ] {
        let statement = Parser::new(&[]).statement(statement, Mode::Plain(context)).unwrap();
        let mut editor = Editor::new(support::payload(context)).unwrap();
        let mut met = 0;
        let visited: Result<(), ()> = visit(&mut editor, &support::sender(), context, |on| {
            assert_eq!(statement.run(on), Ok(true));
            met += 1;
            assert!(met < 100, "{context:?}");
            Ok(())
        });
        visited.unwrap();
        assert_eq!(met, expected, "{context:?}");
    }
}

/// Data points that are set are items, and those that they replace are none any more.
#[test]
fn data_points_that_are_set_are_counted() {
    let parser = Parser::new(&[]);
    for (list, more) in [("[]", -1), ("[{}]", 0), ("[{}, {}, {}]", 2)] {
        let statement = parser.statement(&format!("set(data_points, {list})"), Mode::Plain(Metric)).unwrap();
        let mut editor = Editor::new(support::metrics()).unwrap();
        let before = i64::try_from(editor.items()).unwrap();
        let mut metrics = 0;
        let visited: Result<(), ()> = visit(&mut editor, &support::sender(), Metric, |on| {
            statement.run(on).unwrap();
            metrics += 1;
            Ok(())
        });
        visited.unwrap();
        let after = u64::try_from(before + metrics * more).unwrap();
        assert_eq!(editor.items(), after, "{list}");
        let sealed = editor.seal();
        assert_eq!(sealed.items(), after, "{list}");
        let counted: u64 = sealed
            .segments()
            .iter()
            .map(|segment| u64::from(pdata::validate::check(pdata::Signal::Metrics, segment.bytes()).unwrap()))
            .sum();
        assert_eq!(counted, after, "{list}");
    }
}

/// IDs of zeros were written as eight and sixteen zeros; OTLP has nothing there, and the Collector writes that.
#[test]
fn ids_of_zeros_are_no_ids() {
    let before = support::traces().to_bytes();
    for statement in [
        "set(parent_span_id, parent_span_id)",
        "set(parent_span_id, 0x0000000000000000)",
        r#"set(parent_span_id.string, "0000000000000000")"#,
        "set(trace_id, trace_id)",
    ] {
        let statement = format!(r#"{statement} where name == """#);
        let statement = Parser::new(&[]).statement(&statement, Mode::Plain(Span)).unwrap();
        let mut editor = Editor::new(support::traces()).unwrap();
        let visited: Result<(), ()> = visit(&mut editor, &support::sender(), Span, |on| {
            statement.run(on).unwrap();
            Ok(())
        });
        visited.unwrap();
        assert_eq!(editor.seal().to_bytes(), before, "{}", statement.text());
    }
}
