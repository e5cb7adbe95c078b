"""OTLP/HTTP answers: the same requests go to weir and to a real Collector with curl; both must answer alike.

Compared are status, content type, and the body by its meaning: the code of a google.rpc.Status (its words are free), an
empty partial success and an absent one. Where weir differs on purpose, the row says why, and what it answers.
"""

import gzip
import json
import re
import subprocess
import zlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from otlp import REQUESTS, to_json
from processes import address
from samples import message

JSON, PROTO = "application/json", "application/x-protobuf"
TRACES = message("traces")
TEXT = to_json(TRACES).encode()
LIMIT = 1 << 20


def span(**fields):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", **fields}]}]}]}).encode()


# label, method, path, content type, body, further curl arguments, (why weir differs, its status)
ROWS = [
    ("traces as JSON", "POST", "/v1/traces", JSON, TEXT, [], None),
    ("metrics as JSON", "POST", "/v1/metrics", JSON, to_json(message("metrics")).encode(), [], None),
    ("logs as JSON", "POST", "/v1/logs", JSON, to_json(message("logs")).encode(), [], None),
    ("JSON with a charset", "POST", "/v1/traces", JSON + "; charset=utf-8", TEXT, [], None),
    ("protobuf", "POST", "/v1/traces", PROTO, TRACES.SerializeToString(), [], None),
    ("empty document", "POST", "/v1/traces", JSON, b"{}", [], None),
    ("empty protobuf", "POST", "/v1/traces", PROTO, b"", [], None),
    ("gzip", "POST", "/v1/traces", JSON, gzip.compress(TEXT), ["-H", "Content-Encoding: gzip"], None),
    ("zlib", "POST", "/v1/traces", JSON, zlib.compress(TEXT), ["-H", "Content-Encoding: zlib"], None),
    ("deflate is zlib", "POST", "/v1/traces", JSON, zlib.compress(TEXT), ["-H", "Content-Encoding: deflate"], None),
    ("unknown fields", "POST", "/v1/traces", JSON, b'{"resourceSpans": [], "newField": {"a": [1]}}', [], None),
    ("snake_case keys are unknown", "POST", "/v1/traces", JSON, b'{"resource_spans": 7}', [], ("ignores them, as OTLP asks", 200)),
    ("upper-case ids", "POST", "/v1/traces", JSON, span(traceId="ABCDEF00" * 4), [], None),
    ("numbers as numbers", "POST", "/v1/traces", JSON, span(startTimeUnixNano=1700000000000000000), [], None),
    ("enum by name", "POST", "/v1/traces", JSON, span(kind="SPAN_KIND_SERVER"), [], None),
    ("null message", "POST", "/v1/traces", JSON, span(status=None), [], None),
    ("empty trace id", "POST", "/v1/traces", JSON, span(traceId="", parentSpanId=""), [], None),
    ("no JSON at all", "POST", "/v1/traces", JSON, b"not json", [], None),
    ("JSON cut short", "POST", "/v1/traces", JSON, TEXT[:-20], [], None),
    ("protobuf cut short", "POST", "/v1/traces", PROTO, TRACES.SerializeToString()[:-3], [], None),
    ("protobuf that is text", "POST", "/v1/traces", PROTO, b"not protobuf", [], None),
    ("trace id too short", "POST", "/v1/traces", JSON, span(traceId="abcd"), [], None),
    ("trace id no hex", "POST", "/v1/traces", JSON, span(traceId="zz" * 16), [], None),
    ("span id too long", "POST", "/v1/traces", JSON, span(spanId="ab" * 9), [], None),
    ("gzip that is none", "POST", "/v1/traces", JSON, TEXT, ["-H", "Content-Encoding: gzip"], None),
    ("unsupported encoding", "POST", "/v1/traces", JSON, TEXT, ["-H", "Content-Encoding: br"], None),
    ("GET", "GET", "/v1/traces", JSON, None, [], None),
    ("PUT", "PUT", "/v1/traces", JSON, TEXT, [], None),
    ("no content type", "POST", "/v1/traces", "", TEXT, [], None),
    ("text", "POST", "/v1/traces", "text/plain", TEXT, [], None),
    ("form", "POST", "/v1/traces", "application/x-www-form-urlencoded", b"a=b", [], None),
    ("protobuf by its other name", "POST", "/v1/traces", "application/protobuf", TRACES.SerializeToString(), [], None),
    ("unknown path", "POST", "/v1/spans", JSON, TEXT, [], None),
    ("root", "GET", "/", JSON, None, [], None),
    ("trailing slash", "POST", "/v1/traces/", JSON, TEXT, [], None),
    ("too large", "POST", "/v1/traces", JSON, b" " * (LIMIT + 1) + b"{}", [], ("says what it is", 413)),
    ("too large in chunks", "POST", "/v1/traces", JSON, b" " * (LIMIT + 1) + b"{}", ["-H", "Transfer-Encoding: chunked"], ("says what it is", 413)),
    ("bomb", "POST", "/v1/traces", JSON, gzip.compress(b" " * (64 * LIMIT)), ["-H", "Content-Encoding: gzip"], ("says what it is", 413)),
    ("CORS is off", "OPTIONS", "/v1/traces", JSON, None, ["-H", "Origin: http://a.test", "-H", "Access-Control-Request-Method: POST"], None),
]


def status_message():
    """google.rpc.Status without its details, which is all that is compared."""
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="interop", syntax="proto3")
    kind = file.message_type.add(name="Status")
    kind.field.add(name="code", number=1, type="TYPE_INT32", label="LABEL_OPTIONAL")
    kind.field.add(name="message", number=2, type="TYPE_STRING", label="LABEL_OPTIONAL")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("interop.Status"))


Status = status_message()


def curl(t, n, where, row):
    _, method, path, content_type, body, more, _ = row
    body_path, head_path = t.lab.path(f"{n}.body"), t.lab.path(f"{n}.head")
    command = [t.lab.tools["curl"], "-sS", "--max-time", "20", "-X", method, "-D", head_path, "-H", f"Content-Type: {content_type}", "-H", "Expect:"]
    if body is not None:
        body_path.write_bytes(body)
        command += ["--data-binary", f"@{body_path}"]
    done = subprocess.run([*map(str, command), *more, f"http://{where}{path}"], capture_output=True)
    # A server that answers before it has read a body that is too large may close while curl still writes.
    assert done.returncode in (0, 55, 56), done.stderr.decode()
    # Interim answers (100 Continue) stand before the last one.
    head = re.split(r"\r?\n\r?\n", head_path.read_text().strip())[-1]
    status = int(head.split()[1])
    kind = re.search(r"^content-type: *([^;\r\n]*)", head, re.IGNORECASE | re.MULTILINE)
    return status, kind[1] if kind else "", meaning(status, kind[1] if kind else "", done.stdout)


def meaning(status, content_type, body):
    if content_type == JSON:
        parsed = json.loads(body)
        if status == 200:
            return {key: value for key, value in parsed.items() if value != {}}
        return {"code": parsed.get("code"), "message": bool(parsed.get("message"))}
    if content_type == PROTO:
        if status == 200:
            return {} if body in (b"", b"\n\0") else body
        parsed = Status.FromString(body)
        return {"code": parsed.code, "message": bool(parsed.message)}
    return body.decode().strip()


def config(where):
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": where, "max_request_body_size": LIMIT}}}},
        "exporters": {"nop": None},
        "service": {"pipelines": {signal: {"receivers": ["otlp"], "exporters": ["nop"]} for signal in REQUESTS}},
    }


def test_answers_equal_the_collectors(t):
    ours, theirs = address(), address()
    weir = t.lab.weir(config(ours), [ours])
    t.lab.collector(config(theirs), [theirs])
    for n, row in enumerate(ROWS):
        label, *_, exception = row
        with t.case(label):
            expected, got = curl(t, n, theirs, row), curl(t, n, ours, row)
            if exception:
                why, status = exception
                assert got[0] == status, f"weir {got}, expected status {status}; the Collector {expected}"
                t.say(f"the Collector answers {expected[0]}, weir {got[0]}: it {why}")
            else:
                assert got == expected, f"weir {got}, the Collector {expected}"
                t.say(f"both answer {got[0]} {got[1]} {got[2] or ''}".rstrip())
    with t.case("books"):
        books = weir.stop_balanced()
        t.say(f"weir says {books}")


def test_unused_signals_are_unknown_paths(t):
    ours, theirs = address(), address()

    def only_logs(where):
        whole = config(where)
        whole["service"]["pipelines"] = {"logs": whole["service"]["pipelines"]["logs"]}
        return whole

    t.lab.weir(only_logs(ours), [ours])
    t.lab.collector(only_logs(theirs), [theirs])
    for n, row in enumerate([ROWS[0], ROWS[2]]):
        with t.case(row[0]):
            expected, got = curl(t, n, theirs, row), curl(t, n, ours, row)
            assert got[:2] == expected[:2], f"weir {got}, the Collector {expected}"
            t.say(f"both answer {got[0]}; weir says {got[2]}, the Collector {expected[2]}")
