"""Telemetry in which every field of OTLP occurs: all kinds of value, metric, link, event, exemplar and body."""

from google.protobuf import json_format

from otlp import REQUESTS, ids_to_base64

NANOS = 1_700_000_000_000_000_000

TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"

VALUES = [
    {"key": "text", "value": {"stringValue": "ein Wehr ⟨weir⟩ \u0000 \"quoted\" \\ 🌊"}},
    {"key": "empty.text", "value": {"stringValue": ""}},
    {"key": "yes", "value": {"boolValue": True}},
    {"key": "no", "value": {"boolValue": False}},
    {"key": "int.max", "value": {"intValue": "9223372036854775807"}},
    {"key": "int.min", "value": {"intValue": "-9223372036854775808"}},
    {"key": "zero", "value": {"intValue": "0"}},
    {"key": "double", "value": {"doubleValue": 0.1}},
    {"key": "double.small", "value": {"doubleValue": 5e-324}},
    {"key": "bytes", "value": {"bytesValue": "AAECA/8="}},
    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}, {"boolValue": False}]}}},
    {"key": "empty.list", "value": {"arrayValue": {}}},
    {
        "key": "map",
        "value": {"kvlistValue": {"values": [{"key": "inner", "value": {"arrayValue": {"values": [{"kvlistValue": {}}]}}}]}},
    },
]

RESOURCES = [
    {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}, *VALUES], "droppedAttributesCount": 3},
    {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
]
SCOPES = [
    {"name": "lib.one", "version": "1.2.3", "attributes": VALUES[:3], "droppedAttributesCount": 1},
    {"name": "lib.two"},
]


def grouped(groups, scopes, leaves, items):
    """`items` below two resources and two scopes, half of them with a schema URL."""
    return {
        groups: [
            {
                "resource": resource,
                "schemaUrl": f"https://example.test/resource/{r}" if r else "",
                scopes: [
                    {"scope": scope, "schemaUrl": f"https://example.test/scope/{s}" if s else "", leaves: items}
                    for s, scope in enumerate(SCOPES)
                ],
            }
            for r, resource in enumerate(RESOURCES)
        ]
    }


def span(n, **fields):
    return {
        "traceId": TRACE,
        "spanId": f"{n + 1:016x}",
        "name": f"span {n}",
        "startTimeUnixNano": str(NANOS + n),
        "endTimeUnixNano": str(NANOS + n + 1_000_000),
        **fields,
    }


SPANS = [span(kind, kind=kind) for kind in range(6)] + [
    span(10, status={"code": 1}),
    span(11, status={"code": 2, "message": "it broke"}, attributes=VALUES, droppedAttributesCount=7),
    span(
        12,
        parentSpanId=PARENT,
        traceState="ot=th:8,vendor=1",
        flags=257,
        events=[
            {"name": "exception", "timeUnixNano": str(NANOS + 5), "attributes": VALUES, "droppedAttributesCount": 2},
            {"name": "bare", "timeUnixNano": "1"},
        ],
        droppedEventsCount=4,
        links=[
            {"traceId": TRACE, "spanId": SPAN, "traceState": "a=b", "attributes": VALUES, "droppedAttributesCount": 1, "flags": 256},
            {"traceId": TRACE, "spanId": PARENT},
        ],
        droppedLinksCount=5,
    ),
]

TIMES = {"startTimeUnixNano": str(NANOS), "timeUnixNano": str(NANOS + 60_000_000_000), "attributes": VALUES[:4]}
EXEMPLARS = [
    {"timeUnixNano": str(NANOS), "asDouble": 1.5, "traceId": TRACE, "spanId": SPAN, "filteredAttributes": VALUES},
    {"timeUnixNano": str(NANOS), "asInt": "-7"},
]
METRICS = [
    {"name": "gauge.int", "gauge": {"dataPoints": [{**TIMES, "asInt": "-3"}, {**TIMES, "asInt": "0", "flags": 1}]}},
    {
        "name": "gauge.double",
        "description": "a description",
        "unit": "By",
        "metadata": VALUES[:2],
        "gauge": {"dataPoints": [{**TIMES, "asDouble": value} for value in (1e300, "NaN", "Infinity", "-Infinity")]},
    },
    {
        "name": "sum.delta",
        "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{**TIMES, "asInt": "5", "exemplars": EXEMPLARS}]},
    },
    {"name": "sum.cumulative", "sum": {"aggregationTemporality": 2, "dataPoints": [{**TIMES, "asDouble": 0.0}]}},
    {
        "name": "histogram",
        "unit": "ms",
        "histogram": {
            "aggregationTemporality": 2,
            "dataPoints": [
                {
                    **TIMES,
                    "count": "6",
                    "sum": 12.5,
                    "min": 0,
                    "max": 9.5,
                    "bucketCounts": ["1", "2", "3"],
                    "explicitBounds": [1, 5],
                    "exemplars": EXEMPLARS,
                },
                {**TIMES, "count": "0"},
            ],
        },
    },
    {
        "name": "exponential",
        "exponentialHistogram": {
            "aggregationTemporality": 1,
            "dataPoints": [
                {
                    **TIMES,
                    "count": "9",
                    "sum": -4,
                    "scale": -2,
                    "zeroCount": "2",
                    "positive": {"offset": -3, "bucketCounts": ["1", "0", "4"]},
                    "negative": {"offset": 2, "bucketCounts": ["2"]},
                    "min": -8,
                    "max": 30,
                    "zeroThreshold": 0.001,
                    "exemplars": EXEMPLARS,
                }
            ],
        },
    },
    {
        "name": "summary",
        "summary": {
            "dataPoints": [{**TIMES, "count": "4", "sum": 10, "quantileValues": [{"quantile": 0.5, "value": 2}, {"quantile": 1, "value": 7}]}]
        },
    },
]

LOGS = [
    {
        "timeUnixNano": str(NANOS),
        "observedTimeUnixNano": str(NANOS + 1),
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": "disk is full"},
        "attributes": VALUES,
        "droppedAttributesCount": 2,
        "flags": 1,
        "traceId": TRACE,
        "spanId": SPAN,
        "eventName": "disk.full",
    },
    *({"observedTimeUnixNano": "1", "body": entry["value"]} for entry in VALUES),
    {"observedTimeUnixNano": "2", "severityNumber": 1},
]


def document(signal):
    """The telemetry of `signal` as an OTLP/JSON document."""
    if signal == "traces":
        return grouped("resourceSpans", "scopeSpans", "spans", SPANS)
    if signal == "metrics":
        return grouped("resourceMetrics", "scopeMetrics", "metrics", METRICS)
    return grouped("resourceLogs", "scopeLogs", "logRecords", LOGS)


def message(signal):
    """The telemetry of `signal` as a message."""
    copied = ids_to_base64(json_format.json.loads(json_format.json.dumps(document(signal))))
    return json_format.ParseDict(copied, REQUESTS[signal]())
