"""Short ways to write telemetry and cases."""

import base64
import math

from parity import Case

NANOS = 1_700_000_000_000_000_000
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"

# One attribute of every kind, and the edges of some.
EVERY = {
    "text": "Hello, World",
    "empty": "",
    "number.text": "123",
    "float.text": "4.75",
    "bool.text": "true",
    "yes": True,
    "no": False,
    "int": 42,
    "negative": -7,
    "zero": 0,
    "int.max": 2**63 - 1,
    "double": 2.5,
    "double.large": 1e21,
    "double.small": 1e-7,
    "double.whole": 3.0,
    "bytes": b"\x00\x01\xfe",
    "bytes.text": b"abc",
    "list": ["a", 2, False, 1.5],
    "empty.list": [],
    "map": {"inner": "x", "deeper": {"n": 1, "list": [1, 2]}},
    "empty.map": {},
    "nothing": None,
    "json": '{"b":1,"a":[true,null,"x"],"c":{"d":1.5}}',
    "url": "https://user:pw@example.com:8443/a/b.html?q=1&r=a%20b#frag",
}


def value(v):
    """A Python value as an OTLP/JSON value."""
    if v is None:
        return {}
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        special = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(v, "NaN" if v != v else v)
        return {"doubleValue": special}
    if isinstance(v, bytes):
        return {"bytesValue": base64.b64encode(v).decode()}
    if isinstance(v, str):
        return {"stringValue": v}
    if isinstance(v, (list, tuple)):
        return {"arrayValue": {"values": [value(part) for part in v]}}
    return {"kvlistValue": {"values": attributes(v)}}


def attributes(pairs):
    """A dictionary, or a list of pairs where a key occurs twice, as OTLP/JSON attributes."""
    return [{"key": k, "value": value(v)} for k, v in (pairs.items() if isinstance(pairs, dict) else pairs)]


def resource(pairs=None, **more):
    return {"attributes": attributes({"service.name": "checkout", "host.id": 7} if pairs is None else pairs), **more}


def scope(name="lib.one", version="1.2.3", pairs=None, **more):
    return {"name": name, "version": version, "attributes": attributes(pairs or {"scope.kind": "auto"}), **more}


def log(body="a message", pairs=None, **more):
    return {
        "timeUnixNano": str(NANOS),
        "observedTimeUnixNano": str(NANOS + 1000),
        "severityNumber": 9,
        "severityText": "Info",
        "body": value(body),
        "attributes": attributes({} if pairs is None else pairs),
        **more,
    }


def span(name="GET /shop", pairs=None, **more):
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(NANOS),
        "endTimeUnixNano": str(NANOS + 1_500_000_000),
        "attributes": attributes({} if pairs is None else pairs),
        **more,
    }


def event(name, pairs=None, **more):
    return {"name": name, "timeUnixNano": str(NANOS + 10), "attributes": attributes(pairs or {}), **more}


def link(pairs=None, **more):
    return {"traceId": TRACE, "spanId": "00000000000000aa", "attributes": attributes(pairs or {}), **more}


def point(number=None, pairs=None, **more):
    own = {} if number is None else {"asInt": str(number)} if isinstance(number, int) else {"asDouble": value(number)["doubleValue"]}
    times = {"startTimeUnixNano": str(NANOS), "timeUnixNano": str(NANOS + 60_000_000_000)}
    return {**times, **own, "attributes": attributes({} if pairs is None else pairs), **more}


def histogram_point(counts, bounds, pairs=None, **more):
    return point(None, pairs, count=str(sum(counts)), bucketCounts=[str(n) for n in counts], explicitBounds=bounds, **more)


def exponential_point(positive, pairs=None, offset=0, scale=0, zero=0, negative=(), negative_offset=0, **more):
    return point(
        None,
        pairs,
        count=str(sum(positive) + sum(negative) + zero),
        scale=scale,
        zeroCount=str(zero),
        positive={"offset": offset, "bucketCounts": [str(n) for n in positive]},
        negative={"offset": negative_offset, "bucketCounts": [str(n) for n in negative]},
        **more,
    )


def gauge(name, *points, **more):
    return {"name": name, "unit": "1", "gauge": {"dataPoints": list(points)}, **more}


def sum_(name, *points, temporality=2, monotonic=True, **more):
    inner = {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": list(points)}
    return {"name": name, "unit": "1", "sum": inner, **more}


def histogram(name, *points, temporality=2, **more):
    return {"name": name, "unit": "ms", "histogram": {"aggregationTemporality": temporality, "dataPoints": list(points)}, **more}


def exponential(name, *points, temporality=2, **more):
    inner = {"aggregationTemporality": temporality, "dataPoints": list(points)}
    return {"name": name, "unit": "ms", "exponentialHistogram": inner, **more}


def summary(name, *points, **more):
    return {"name": name, "unit": "ms", "summary": {"dataPoints": list(points)}, **more}


def summary_point(quantiles, pairs=None, count=4, total=10.0, **more):
    pairs_of = [{"quantile": q, "value": v} for q, v in quantiles]
    return point(None, pairs, count=str(count), sum=total, quantileValues=pairs_of, **more)


NAMES = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


def request(signal, items, of=None, under=None, url="", scope_url=""):
    """One resource and one scope around `items`."""
    groups, scopes, leaves = NAMES[signal]
    inner = {"scope": scope() if under is None else under, "schemaUrl": scope_url, leaves: list(items)}
    return {groups: [{"resource": resource() if of is None else of, "schemaUrl": url, scopes: [inner]}]}


def joined(*requests):
    """Several requests as one."""
    (group,) = {key for one in requests for key in one}
    return {group: [part for one in requests for part in one[group]]}


def one(signal, pairs, **more):
    """A single item with these attributes."""
    make = {"logs": lambda: log(pairs=pairs, **more), "traces": lambda: span(pairs=pairs, **more)}
    if signal == "metrics":
        return request(signal, [gauge("g", point(1, pairs, **more))])
    return request(signal, [make[signal]()])


def every_metric(pairs=None):
    """A metric of each of the five kinds, each with two points."""
    pairs = EVERY if pairs is None else pairs
    return [
        gauge("gauge.m", point(5, pairs), point(2.5, {"k": "v"})),
        sum_("sum.m", point(7, pairs), point(9, {"k": "v"})),
        histogram("histogram.m", histogram_point([1, 2, 3], [1, 5], pairs, sum=12.5), histogram_point([1], [], {"k": "v"})),
        exponential("exponential.m", exponential_point([1, 2], pairs, sum=4), exponential_point([1], {"k": "v"}, negative=[2])),
        summary("summary.m", summary_point([(0.5, 2), (1, 7)], pairs), summary_point([], {"k": "v"})),
    ]


def two_services(signal, make):
    """Two resources, each with two scopes, each with the items that `make(service, scope)` returns."""
    groups, scopes, leaves = NAMES[signal]
    found = []
    for service, region in (("checkout", "eu"), ("cart", "us")):
        inner = [
            {"scope": scope(name, version, {"scope.kind": kind}), leaves: make(service, name)}
            for name, version, kind in (("lib.one", "1.2.3", "auto"), ("lib.two", "", "manual"))
        ]
        found.append({"resource": resource({"service.name": service, "region": region, "host.id": 7}), scopes: inner})
    return {groups: found}


class Cases:
    """A list of cases of one component that checks that names are used once."""

    def __init__(self, component):
        self.component, self.cases, self.names = component, [], set()

    def add(self, name, signal, processors, *requests, **more):
        assert name not in self.names, f"{self.component}/{name} twice"
        self.names.add(name)
        processors = processors if isinstance(processors, list) else [{self.component: processors}]
        self.cases.append(Case(self.component, name, signal, processors, list(requests), **more))
