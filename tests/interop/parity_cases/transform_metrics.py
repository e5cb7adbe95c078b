"""The functions that the transform processor has for metrics and spans."""

from parity_cases.data import (
    Cases,
    exponential,
    exponential_point,
    gauge,
    histogram,
    histogram_point,
    point,
    request,
    span,
    sum_,
    summary,
    summary_point,
)


def data():
    def points(make):
        return [make({"host": host, "cpu": cpu, "state": state}) for host in ("a", "b") for cpu in (0, 1) for state in ("user", "idle")]

    values = iter(range(1, 1000))
    doubles = iter(n * 1.25 for n in range(1, 1000))
    more = {"description": "what it is"}
    return [
        gauge("gauge.int", *points(lambda pairs: point(next(values), pairs)), **more),
        gauge("gauge.double", *points(lambda pairs: point(next(doubles), pairs)), metadata=[{"key": "m", "value": {"stringValue": "d"}}]),
        sum_("sum.int", *points(lambda pairs: point(next(values), pairs))),
        sum_("sum.delta", *points(lambda pairs: point(next(doubles), pairs)), temporality=1, monotonic=False),
        histogram("histogram", *points(lambda pairs: histogram_point([next(values), 2, 3], [1, 5], pairs, sum=float(next(values)), min=0.5, max=8)), **more),
        histogram("histogram.delta", histogram_point([1, 2, 3, 4], [1, 5, 10], {"host": "a"}, sum=30.0), temporality=1),
        histogram("histogram.bare", histogram_point([], [], {}), histogram_point([3], [], {"x": 1}, sum=5)),
        exponential("exponential", *points(lambda pairs: exponential_point([next(values), 2, 0, 4], pairs, offset=1, scale=1, zero=3, sum=50.0, min=0.1, max=20)), **more),
        exponential("exponential.negative", exponential_point([1, 2], {"host": "a"}, offset=-2, scale=0, negative=[3, 1], negative_offset=1, sum=-3.0), temporality=1),
        exponential("exponential.finer", exponential_point([5] * 12, {"host": "a"}, offset=-5, scale=3, sum=12.0)),
        summary("summary", *points(lambda pairs: summary_point([(0.5, 2.5), (0.9, 7), (1, 9.25)], pairs, count=next(values), total=float(next(values)))), **more),
        gauge("gauge.empty"),
        gauge("gauge.none", point(None, {"host": "a"}, flags=1)),
        {"name": "kindless"},
    ]


def together():
    """All metrics in one request."""
    return [request("metrics", data())]


def apart():
    """Each metric in a request of its own: what the Collector does to one does not keep it from the others."""
    return [request("metrics", [metric]) for metric in data()]


METRIC = [
    "convert_sum_to_gauge()",
    'convert_gauge_to_sum("cumulative", true)', 'convert_gauge_to_sum("delta", false)', 'convert_gauge_to_sum("other", true)',
    "extract_count_metric(true)", "extract_count_metric(false)", 'extract_count_metric(true, "_n")', 'extract_count_metric(true, suffix=".count")',
    "extract_sum_metric(true)", "extract_sum_metric(false)", 'extract_sum_metric(true, ".total")',
    # A copy that the condition still holds for would be copied for ever.
    'copy_metric(name="copied") where name != "copied"', 'copy_metric("copied", "described", "unit") where name != "copied"', 'copy_metric(desc="described") where description != "described"', 'copy_metric(unit="By") where unit != "By"',
    "scale_metric(10.0)", "scale_metric(0.5)", "scale_metric(-1.0)", 'scale_metric(1000.0, "ms")', "scale_metric(2)", "scale_metric(0.0)", "scale_metric(Double(2))",
    'convert_summary_quantile_val_to_gauge()', 'convert_summary_quantile_val_to_gauge("q")', 'convert_summary_quantile_val_to_gauge("q", ".q")', 'convert_summary_quantile_val_to_gauge(suffix=".x")',
    *(f'aggregate_on_attributes("{function}"{attributes})' for function in ("sum", "max", "min", "mean", "median", "count", "other") for attributes in ("", ', ["host"]', ', ["host", "cpu"]', ', []', ', ["none"]')),
    *(f'aggregate_on_attribute_value("{function}", "state", ["user", "idle"], "all")' for function in ("sum", "max", "min", "mean", "median", "count", "other")),
    'aggregate_on_attribute_value("sum", "state", ["user"], "used")', 'aggregate_on_attribute_value("sum", "none", ["user"], "used")', 'aggregate_on_attribute_value("sum", "cpu", ["0"], "x")', 'aggregate_on_attribute_value("sum", "state", [], "used")',
    *(f'convert_exponential_histogram_to_histogram("{how}", [{bounds}])' for how in ("upper", "midpoint", "uniform", "other") for bounds in ("1.0, 2.0, 5.0, 10.0", "0.5", "100.0", "")),
    'convert_exponential_histogram_to_histogram("upper", [5.0, 1.0])', 'convert_exponential_histogram_to_histogram("upper", [1, 2])',
    'set(metric.name, "x") where metric.type == METRIC_DATA_TYPE_SUM',
]
DATAPOINT = [
    'convert_summary_count_val_to_sum("cumulative", true)', 'convert_summary_count_val_to_sum("delta", false, ".n")', 'convert_summary_count_val_to_sum("other", true)', 'convert_summary_sum_val_to_sum("cumulative", true)', 'convert_summary_sum_val_to_sum("delta", false, suffix=".total")',
    "merge_histogram_buckets(1.0)", "merge_histogram_buckets(5.0)", "merge_histogram_buckets(10.0)", "merge_histogram_buckets(2.0)", "merge_histogram_buckets(5)",
]
SPAN = ['set_semconv_span_name("1.37.0")', 'set_semconv_span_name("1.37.0", "original")', 'set_semconv_span_name("1.38.0")', 'set_semconv_span_name("1.20.0")', 'set_semconv_span_name("")', 'set_semconv_span_name("1.37.0", "")']


def spans():
    named = [
        ("http server", {"http.request.method": "GET", "http.route": "/a/{id}"}, 2), ("http server without route", {"http.request.method": "GET", "url.path": "/a/5"}, 2), ("http client", {"http.request.method": "POST", "url.template": "/x/{y}"}, 3), ("http client plain", {"http.request.method": "POST", "url.full": "http://h/p"}, 3), ("http other", {"http.request.method": "_OTHER"}, 2),
        ("old http", {"http.method": "GET", "http.target": "/a"}, 2), ("old http route", {"http.method": "GET", "http.route": "/a"}, 2), ("rpc", {"rpc.system": "grpc", "rpc.service": "pkg.Service", "rpc.method": "Call"}, 2), ("rpc method", {"rpc.system": "grpc", "rpc.method": "Call"}, 3), ("rpc service", {"rpc.system": "grpc", "rpc.service": "S"}, 3), ("rpc alone", {"rpc.system": "grpc"}, 3),
        ("messaging", {"messaging.system": "kafka", "messaging.operation.name": "publish", "messaging.destination.name": "orders"}, 4), ("messaging template", {"messaging.system": "kafka", "messaging.operation.type": "receive", "messaging.destination.template": "t/{x}"}, 5), ("messaging temporary", {"messaging.system": "kafka", "messaging.operation.name": "publish", "messaging.destination.name": "tmp", "messaging.destination.temporary": True}, 4), ("messaging anonymous", {"messaging.system": "m", "messaging.operation.name": "p", "messaging.destination.anonymous": True}, 4), ("messaging server", {"messaging.system": "m", "messaging.operation": "publish", "server.address": "h", "server.port": 9}, 4), ("messaging alone", {"messaging.system": "m"}, 4),
        ("db summary", {"db.system.name": "postgresql", "db.query.summary": "SELECT users"}, 3), ("db operation", {"db.system.name": "postgresql", "db.operation.name": "SELECT", "db.collection.name": "users"}, 3), ("db namespace", {"db.system.name": "redis", "db.operation.name": "GET", "db.namespace": "0"}, 3), ("db procedure", {"db.system.name": "x", "db.stored_procedure.name": "p", "db.operation.name": "EXEC"}, 3), ("db server", {"db.system.name": "x", "db.operation.name": "EXEC", "server.address": "h", "server.port": 5}, 3), ("db old", {"db.system": "mysql", "db.operation": "SELECT", "db.sql.table": "t"}, 3), ("db alone", {"db.system.name": "mysql"}, 3), ("db old alone", {"db.system": "mysql"}, 3),
        ("none", {}, 1), ("server none", {}, 2), ("internal http", {"http.request.method": "GET"}, 1), ("GET /a/{id}", {"http.request.method": "GET", "http.route": "/a/{id}"}, 2), ("method is a number", {"http.request.method": 5}, 2), ("empty method", {"http.request.method": ""}, 2),
    ]
    return request("traces", [span(name, pairs, kind=kind) for name, pairs, kind in named])


def cases():
    c = Cases("transform")
    for statement in METRIC:
        aggregates = "aggregate" in statement
        c.add(f"metrics: {statement}", "metrics", {"error_mode": "ignore", "metric_statements": [{"context": "metric", "statements": [statement]}]}, *(apart() if aggregates else together()), unordered=aggregates)
        if not aggregates and "other" not in statement:
            c.add(f"metrics, strictly: {statement}", "metrics", {"error_mode": "propagate", "metric_statements": [{"context": "metric", "statements": [statement]}]}, *together())
    for statement in DATAPOINT:
        for mode in ("ignore", "propagate"):
            c.add(f"points, {mode}: {statement}", "metrics", {"error_mode": mode, "metric_statements": [{"context": "datapoint", "statements": [statement]}]}, *together())
    for name, statements in {
        "extract, then change what was extracted": ["extract_sum_metric(true)", 'set(description, "seen") where IsMatch(name, "_sum$")'],
        "copy, then change one": ['copy_metric(name="copied") where name == "gauge.int"', 'set(unit, "x") where name == "copied"'],
        "convert, then scale": ['convert_sum_to_gauge() where name == "sum.int"', 'scale_metric(2.0) where name == "sum.int"'],
        "copy twice": ['copy_metric(name="one") where name == "gauge.int"', 'copy_metric(name="two") where name == "one"'],
        "delete points' attribute, then aggregate": ['aggregate_on_attributes("sum", ["host"]) where name == "sum.int"', 'convert_sum_to_gauge() where name == "sum.int"'],
    }.items():
        c.add(f"metrics in turn: {name}", "metrics", {"error_mode": "ignore", "metric_statements": [{"context": "metric", "statements": statements}]}, *together(), unordered="aggregate" in name)
    for statement in SPAN:
        c.add(f"spans: {statement}", "traces", {"error_mode": "propagate", "trace_statements": [{"context": "span", "statements": [statement]}]}, spans())
    return c.cases
