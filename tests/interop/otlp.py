"""OTLP as messages, as JSON lines, and as a list of items that can be compared.

Comparison is item by item: each span, data point and log record becomes one canonical text together with its resource,
scope and metric, so that grouping and order between batches do not matter, and everything else does. What means nothing is
levelled: an absent and an empty submessage `status`, `body`, `resource`, `scope`.
"""

import base64
import collections
import json
import re

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service

from processes import http

REQUESTS = {
    "traces": trace_service.ExportTraceServiceRequest,
    "metrics": metrics_service.ExportMetricsServiceRequest,
    "logs": logs_service.ExportLogsServiceRequest,
}
GROUPS = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}
POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
LEVELLED = ("status", "body")
IDS = ("traceId", "spanId", "parentSpanId")


def ids_to_base64(node):
    """OTLP/JSON writes ids as hex, protobuf's JSON as base64."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in IDS:
                assert re.fullmatch(r"([0-9a-fA-F]{2})*", value), f"{key} is no hex: {value}"
                node[key] = base64.b64encode(bytes.fromhex(value)).decode()
            else:
                ids_to_base64(value)
    elif isinstance(node, list):
        for value in node:
            ids_to_base64(value)
    return node


def ids_to_hex(node):
    if isinstance(node, dict):
        return {k: base64.b64decode(v).hex() if k in IDS else ids_to_hex(v) for k, v in node.items()}
    return [ids_to_hex(value) for value in node] if isinstance(node, list) else node


def parse_json(signal, text):
    """One OTLP/JSON document; unknown fields and wrong types are errors."""
    return json_format.ParseDict(ids_to_base64(json.loads(text)), REQUESTS[signal]())


def to_json(message):
    """OTLP/JSON of a message."""
    return json.dumps(ids_to_hex(json_format.MessageToDict(message, use_integers_for_enums=True)))


def read_file(path, signal):
    """What a `file` exporter wrote for `signal`: one document per line. Lines of other signals are left out."""
    group = GROUPS[signal][0]
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return [parse_json(signal, line) for line in lines if group in json.loads(line)]


def canonical(node):
    return json.dumps(node, sort_keys=True, ensure_ascii=False)


def items(signal, messages):
    """Every item of the messages, as a multiset of canonical texts."""
    groups, scopes, leaves = GROUPS[signal]
    found = collections.Counter()
    for message in messages:
        for group in json_format.MessageToDict(message, use_integers_for_enums=True).get(groups, []):
            resource = {"resource": group.get("resource", {}), "resourceUrl": group.get("schemaUrl", "")}
            for scope in group.get(scopes, []):
                around = {**resource, "scope": scope.get("scope", {}), "scopeUrl": scope.get("schemaUrl", "")}
                for leaf in scope.get(leaves, []):
                    for field in [field for field in LEVELLED if leaf.get(field) == {}]:
                        del leaf[field]
                    for item in points(leaf) if signal == "metrics" else [leaf]:
                        found[canonical({**around, "item": item})] += 1
    return found


def points(metric):
    """A metric as one item per data point."""
    kind = next((kind for kind in POINTS if kind in metric), None)
    if kind is None:
        return [metric]
    around = {key: value for key, value in metric[kind].items() if key != "dataPoints"}
    head = {key: value for key, value in metric.items() if key != kind}
    return [{**head, "kind": kind, **around, "point": point} for point in metric[kind].get("dataPoints", [])]


def assert_same(signal, sent, received):
    """Fails with the first differences unless both hold the same items; returns their number."""
    sent, received = items(signal, sent), items(signal, received)
    missing, surplus = sent - received, received - sent
    if missing or surplus:
        text = f"{signal}: sent {sent.total()}, received {received.total()}"
        text += f"; {missing.total()} missing, {surplus.total()} that nobody sent\n"
        for what, some in (("missing", missing), ("surplus", surplus)):
            text += "".join(f"{what}: {item[:700]}\n" for item in list(some)[:1])
        raise AssertionError(text)
    assert sent.total() > 0, f"{signal}: nothing was compared"
    return sent.total()


def post(where, signal, message, headers=None):
    """Sends a message as OTLP/HTTP protobuf; fails unless it is taken whole."""
    answer = http(
        "POST", f"http://{where}/v1/{signal}", message.SerializeToString(), {"Content-Type": "application/x-protobuf", **(headers or {})}
    )
    # The Collector writes the empty partial success out, weir leaves it away; both mean that everything was taken.
    assert answer[0] == 200 and answer[2] in (b"", b"\n\0"), answer
