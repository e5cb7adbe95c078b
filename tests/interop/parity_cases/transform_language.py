"""OTTL's editors, paths, mathematics, comparisons and the transform processor's groups, contexts and error modes."""

from parity_cases.data import (
    EVERY,
    NANOS,
    Cases,
    event,
    exponential,
    exponential_point,
    gauge,
    histogram,
    histogram_point,
    link,
    log,
    point,
    request,
    resource,
    scope,
    span,
    sum_,
    summary,
    summary_point,
    two_services,
)
from parity_cases.transform_converters import TEXTS, a

KEYS = {"traces": "trace_statements", "logs": "log_statements", "metrics": "metric_statements"}
EXEMPLAR = {"timeUnixNano": str(NANOS), "asDouble": 1.5, "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}


def statements(signal, *some, mode="propagate", **more):
    return {"error_mode": mode, KEYS[signal]: list(some), **more}


def full_log():
    return request("logs", [log({"text": "x", "n": 1, "list": [1, {"a": 2}]}, TEXTS, traceId="5b8efff798038103d269b633813fc60c", spanId="eee19b7ec3c1b174", flags=1, eventName="device.up", droppedAttributesCount=2)], of=resource(EVERY, droppedAttributesCount=1), url="https://r.test", scope_url="https://s.test")


def full_span():
    events = [event("first", {"a": 1, "text": "x"}, droppedAttributesCount=1), event("second")]
    links = [link({"l": 1}, traceState="a=b", flags=256)]
    more = {"parentSpanId": "00000000000000aa", "traceState": "a=b,c=d", "flags": 257, "status": {"code": 2, "message": "broken"}, "droppedAttributesCount": 1, "droppedEventsCount": 2, "droppedLinksCount": 3}
    return request("traces", [span("GET /shop", TEXTS, events=events, links=links, **more), span("bare")], of=resource(EVERY), url="https://r.test", scope_url="https://s.test")


def full_metrics():
    pairs = {"k": "v", "n": 1}
    found = [
        gauge("gauge.m", point(5, pairs, exemplars=[EXEMPLAR]), point(2.5, {}, flags=1), description="a gauge", metadata=[{"key": "meta", "value": {"stringValue": "data"}}]),
        sum_("sum.m", point(7, pairs), point(-2.5, {"k": "w"}), temporality=1, monotonic=False),
        histogram("histogram.m", histogram_point([1, 2, 3], [1, 5], pairs, sum=12.5, min=0.5, max=9, exemplars=[EXEMPLAR]), histogram_point([], [])),
        exponential("exponential.m", exponential_point([1, 2, 0, 4], pairs, offset=-3, scale=2, zero=5, negative=[2], negative_offset=4, sum=4, zeroThreshold=0.01)),
        summary("summary.m", summary_point([(0.5, 2), (1, 7)], pairs)),
        {"name": "kindless"},
    ]
    return request("metrics", found, of=resource(EVERY), url="https://r.test", scope_url="https://s.test")


DATA = {"logs": full_log, "traces": full_span, "metrics": full_metrics}


def cases():
    c = Cases("transform")
    editors(c)
    paths(c)
    mathematics(c)
    comparisons(c)
    conditions(c)
    groups(c)
    errors(c)
    context_inference(c)
    refused(c)
    return c.cases


def editors(c):
    target = "log.attributes"
    found = []
    for key in TEXTS:
        found.append(f'delete_key({target}, "{key}")')
    found += ['delete_key(log.attributes["map"], "inner")', 'delete_key(log.attributes["nested"]["a"], "b")', 'delete_key(log.body, "n")', 'delete_key(log.attributes["text"], "x")', 'delete_key(resource.attributes, "text")', f'delete_key({target}, {a("absent")})', f'delete_key({target}, Concat(["te", "xt"], ""))']
    for pattern in ("^t", "text$", "[.]", ".*", "(?i)INT", "none"):
        found += [f'delete_matching_keys({target}, "{pattern}")', f'keep_matching_keys({target}, "{pattern}")']
    found += [f'keep_keys({target}, ["text", "int", "none"])', f"keep_keys({target}, [])", f'keep_keys({target}, [Concat(["te", "xt"], "")])', 'keep_keys(log.body, ["n"])', 'keep_keys(resource.attributes, ["text"])', 'keep_keys(log.attributes["text"], ["a"])']
    for n in (0, 1, 5, 100, -1):
        found += [f"limit({target}, {n}, [])", f'limit({target}, {n}, ["zero", "map"])']
    found += [f'limit({target}, 1, ["zero", "map", "text"])', f'limit({target}, 5, ["int", "none"])']
    for n in (0, 1, 3, 5, 100, -1):
        found.append(f"truncate_all({target}, {n})")
    found += ['truncate_all(log.attributes["map"], 1)', "truncate_all(resource.attributes, 2)", "truncate_all(log.body, 0)"]
    for mode in ("insert", "update", "upsert", "other"):
        found += [f'merge_maps({target}, {{"text": "merged", "fresh": 1, "map": {{"a": 1}}}}, "{mode}")', f'merge_maps({target}, ParseJSON({a("json")}), "{mode}")', f'merge_maps(log.body, {target}, "{mode}")', f'merge_maps({target}, {a("absent")}, "{mode}")', f'merge_maps({target}, {a("text")}, "{mode}")']
    for more in ("", ', "p"', ', "p", 1', ", depth=0", ", depth=1", ", depth=2", ", resolveConflicts=true", ", resolve_conflicts=true", ', prefix="x.", depth=3', ", depth=-1"):
        found += [f'flatten(log.attributes["nested"]{more})', f"flatten(log.body{more})"]
    found += [f"flatten({target})", 'flatten(log.attributes["text"])', f"flatten({target}, resolve_conflicts=true)"]
    for glob in ("Hello*", "*", "H?llo, W[a-z]rld", "none", "*o*", "123", "[", "{a,b}", "*,*", "a/*", "", "**"):
        found += [f'replace_match({a("text")}, "{glob}", "new")', f'replace_all_matches({target}, "{glob}", "new")']
    found += [f'replace_match({a("url")}, "*", "new")', f'replace_match({a("url")}, "https://*", "new")', f'replace_match({a("int")}, "*", "new")', f'replace_match({a("absent")}, "*", "new")', f'replace_match({a("text")}, "*", "x", SHA256)', f'replace_match({a("text")}, "Hello*", "x", SHA256, "<%s>")', f'replace_match({a("text")}, "*", "$1")', f'replace_all_matches({target}, "123", "x", SHA256)', f'replace_all_matches({target}, "*World", "x", SHA256, "h=%s")', f'replace_match({a("text")}, "*", {a("absent")})', f'replace_match({a("text")}, "*", {a("int")})']
    for pattern, replacement in (("o", "0"), ("(H)(e)", "$2$1"), ("(?P<w>W\\\\w+)", "<${w}>"), ("^", "x"), ("$", "x"), ("l+", ""), ("(l)", "$1$1"), ("(l)", "$$1"), ("(l)", "$x"), ("(l)", "${1}a"), ("(l)", "$1a"), ("none", "x"), ("", "-"), ("[a-z]*", "."), ("(?i)HELLO", "bye"), ("(", "x"), ("l", "\\\\")):
        found += [f'replace_pattern({a("text")}, "{pattern}", "{replacement}")', f'replace_all_patterns({target}, "value", "{pattern}", "{replacement}")', f'replace_all_patterns({target}, "key", "{pattern}", "{replacement}")']
    found += [f'replace_pattern({a("text")}, "World", "x", SHA256)', f'replace_pattern({a("text")}, "(W)(orld)", "$2", SHA256)', f'replace_pattern({a("text")}, "(W)(orld)", "$2", SHA256, "h(%s)")', f'replace_pattern({a("text")}, "o", "$0", ToUpperCase)', f'replace_pattern({a("int")}, "4", "x")', f'replace_pattern({a("absent")}, "4", "x")', f'replace_pattern({a("text")}, "(l)|(W)", "[$1$2]")', f'replace_all_patterns({target}, "value", "\\\\d+", "$0", SHA256)', f'replace_all_patterns({target}, "value", "(\\\\d)(\\\\d)", "$2", SHA256, "<%s>")', f'replace_all_patterns({target}, "key", "(t)ext", "$1", SHA256)', f'replace_all_patterns({target}, "values", "a", "b")', f'replace_all_patterns({a("map")}, "key", "in", "IN")', f'replace_all_patterns(log.body, "key", "t", "T")', f'replace_pattern({a("text")}, "o", {a("absent")})', f'replace_pattern({a("text")}, "(?P<w>W)", "$w")', f'replace_pattern({a("text")}, "l", "a", MD5, "%s%s")', f'replace_pattern({a("text")}, Concat(["W", "orld"], ""), "x")']
    for value in ('"x"', "5", "nil", "true", "1.5", "[1, 2]", '{"a": 1}', a("absent")):
        found += [f'append({a("list")}, {value})', f'append({a("text")}, {value})', f'append({a("fresh")}, {value})', f'append({a("list")}, values=["y", {value}])']
    found += [f'append({a("list")})', f'append({a("list")}, "x", ["y"])', f'append({a("list")}, value="a", values=["b"])', f'append({a("map")}, "x")', f'append({a("int")}, 1)', f'append({a("strings")}, values={a("list")})', 'append(resource.attributes["tags"], "prod")', f'append({a("nothing")}, "x")', f'append({a("bytes")}, "x")', f'append({a("double")}, 2)', f'append({a("yes")}, 2)']
    for rest in ("0", "1", "-1", "3", "4", "0, 2", "1, 1", "2, 1", "0, 4", "0, 9", "1, 3"):
        found.append(f'delete_index({a("list")}, {rest})')
    found += [f'delete_index({a("text")}, 0)', f'delete_index({a("absent")}, 0)', f'delete_index({a("empty.list")}, 0)', f'delete_index({a("nested")}["l"], 0)']
    for statement in dict.fromkeys(found):
        c.add(f"editors: {statement}", "logs", statements("logs", statement), full_log())
    for value in ("log.body", "log.attributes", "resource.attributes", "nil", "log.severity_number", "log.time", "log.trace_id", a("list"), a("map"), a("bytes"), "[]", "{}", "0x01", "TRUE"):
        for target in (a("new"), a("text"), a("map") + '["inner"]', "log.body", a("fresh") + '["deep"]["er"]', a("list") + "[0]"):
            c.add(f"set {target} to {value}", "logs", statements("logs", f"set({target}, {value})"), full_log())


VALUES = ['"text"', '""', "7", "-7", "0", "2.5", "true", "nil", "[1, 2]", '["a", "b"]', '{"a": 1}', "0x0102030405060708", "0x0102030405060708090a0b0c0d0e0f10", 'Time("2024-02-29", "%Y-%m-%d")', 'Duration("1s")', "SPAN_KIND_CLIENT", "STATUS_CODE_OK", "4294967296"]
COMMON = ["resource.attributes", 'resource.attributes["text"]', 'resource.attributes["map"]["inner"]', "resource.dropped_attributes_count", "resource.schema_url", "scope.name", "scope.version", "scope.attributes", 'scope.attributes["scope.kind"]', "scope.dropped_attributes_count", "scope.schema_url", "instrumentation_scope.name", 'instrumentation_scope.attributes["x"]']
PATHS = {
    ("logs", "log"): ["time", "time_unix_nano", "observed_time", "observed_time_unix_nano", "severity_number", "severity_text", "body", 'body["n"]', 'body["list"][1]["a"]', "body.string", "attributes", 'attributes["text"]', "dropped_attributes_count", "flags", "trace_id", "trace_id.string", "span_id", "span_id.string", "event_name", "cache", 'cache["a"]'],
    ("traces", "span"): ["trace_id", "trace_id.string", "span_id", "span_id.string", "parent_span_id", "parent_span_id.string", "trace_state", 'trace_state["a"]', 'trace_state["new"]', "name", "kind", "kind.string", "kind.deprecated_string", "start_time", "start_time_unix_nano", "end_time", "end_time_unix_nano", "attributes", 'attributes["text"]', "dropped_attributes_count", "events", "dropped_events_count", "links", "dropped_links_count", "status", "status.code", "status.message", "flags", "cache"],
    ("traces", "spanevent"): ["time", "time_unix_nano", "name", "attributes", 'attributes["a"]', "dropped_attributes_count", "event_index", "cache"],
    ("metrics", "metric"): ["name", "description", "unit", "type", "aggregation_temporality", "is_monotonic", "data_points", "metadata", 'metadata["meta"]', "cache"],
    ("metrics", "datapoint"): ["attributes", 'attributes["k"]', "start_time", "start_time_unix_nano", "time", "time_unix_nano", "value_double", "value_int", "exemplars", "flags", "count", "sum", "bucket_counts", "explicit_bounds", "scale", "zero_count", "positive", "positive.offset", "positive.bucket_counts", "negative", "negative.offset", "negative.bucket_counts", "quantile_values", "cache"],
}


def paths(c):
    """Each path is read into an attribute, and each kind of value is written to it."""
    for (signal, context), names in PATHS.items():
        for name in names:
            path = f"{context}.{name}"
            sink = f'{"span" if context == "spanevent" else "resource" if context == "metric" else context}.attributes["out"]'
            c.add(f"read {path}", signal, statements(signal, f"set({sink}, {path})", mode="ignore"), DATA[signal]())
            c.add(f"read strictly {path}", signal, statements(signal, f"set({sink}, {path})"), DATA[signal]())
            c.add(f"read {path} as text", signal, statements(signal, f"set({sink}, String({path}))", mode="ignore"), DATA[signal]())
            c.add(f"{path} is nil", signal, statements(signal, f'set({sink}, "nil") where {path} == nil', mode="ignore"), DATA[signal]())
            for value in [*VALUES, path]:
                c.add(f"write {path}: {value}", signal, statements(signal, f"set({path}, {value})", mode="ignore"), DATA[signal]())
    parents = {"log": [], "span": [], "spanevent": ["span.name", 'span.attributes["text"]'], "metric": [], "datapoint": ["metric.name", "metric.unit", "metric.type"]}
    for (signal, context), _ in PATHS.items():
        for path in COMMON + parents[context]:
            name = "attributes" if context != "metric" else "metadata"
            c.add(f"{context} reads {path}", signal, statements(signal, f'set({context}.{name}["out"], {path})', mode="ignore"), DATA[signal]())
            c.add(f"{context} writes {path}", signal, statements(signal, f'set({path}, "new") where {context}.cache["a"] == nil', mode="ignore"), DATA[signal]())
    for path in COMMON:
        for value in ('"text"', "7", '{"a": 1}', "nil"):
            c.add(f"resource or scope writes {path}: {value}", "logs", statements("logs", f"set({path}, {value})", mode="ignore"), full_log())


def mathematics(c):
    numbers = ["1", "2.5", "-3", "0", "0.0", "9223372036854775807", a("int"), a("double"), a("negative"), a("text"), a("absent"), a("yes"), "nil"]
    for one in numbers:
        for operator in "+-*/":
            for other in numbers[:4] + numbers[6:10]:
                c.add(f"math: {one} {operator} {other}", "logs", statements("logs", f'set(log.attributes["out"], {one} {operator} {other})'), full_log())
    for expression in ("1 + 2 * 3", "(1 + 2) * 3", "10 / 3", "-10 / 3", "10.0 / 4.0", "2 * 3 - 4 / 2", "1 - 2 - 3", "8 / 2 / 2", "-(1 + 2)", "+5", "--5", "3-5", "3 -5", "1.5 + 1.5", '"a" + "b"', f"({a('int')} + 1) * 2", f"Int({a('number.text')}) + 1", f"Len({a('text')}) * 2", "7 + 1 + 2.0", "1/0", "1.0/0.0", "0x01 + 1", "log.severity_number + 1", "log.time_unix_nano / 1000000", "1 +", "true + 1", "((((1))))", "1e3", "1.5e3", ".5", "5.", "007"):
        c.add(f"math: {expression}", "logs", statements("logs", f'set(log.attributes["out"], {expression})'), full_log())


def comparisons(c):
    values = ['"a"', '"10"', "10", "10.0", "9.5", "true", "false", "nil", "0x3130", "[10]", '["a"]', '{"a": 1}', a("text"), a("int"), a("double"), a("list"), a("map"), a("bytes"), a("absent"), a("yes"), 'Time("2024-02-29", "%Y-%m-%d")', "log.time", 'Duration("1s")', "log.trace_id", "log.body"]
    operators = ["==", "!=", "<", "<=", ">", ">="]
    for n, one in enumerate(values):
        for m, other in enumerate(values):
            # All operators in one case: each says in an attribute of its own whether it holds.
            some = [f'set(log.attributes["out{k}"], true) where {one} {operator} {other}' for k, operator in enumerate(operators)]
            c.add(f"compare: {one} and {other}", "logs", statements("logs", *some, mode="ignore"), full_log())


def conditions(c):
    for condition in (
        "true", "false", "not true", "not false", "true and false", "true or false", "not true or true", "not (true or true)", "true and not false", "false or true and false", "(false or true) and false", "true or false and false", "not not true",
        'IsMatch(log.severity_text, "I")', 'IsString(log.body)', 'not IsString(log.body)', 'log.attributes["yes"]', 'not log.attributes["no"]', 'log.attributes["text"]', 'HasPrefix("a", "a") == true', "IsMap(log.body) and Len(log.body) > 2", 'log.attributes["int"] > 41 and log.attributes["int"] < 43', '(log.attributes["int"] == 42)', 'true == true', 'true == not false', 'log.severity_number == SEVERITY_NUMBER_INFO', 'log.severity_number == 9', 'log.body["n"] == 1', '1 < 2 and 2 < 3', '1 + 1 == 2', 'log.trace_id == TraceID(0x5b8efff798038103d269b633813fc60c)', 'log.trace_id.string == "5b8efff798038103d269b633813fc60c"', 'log.span_id != SpanID(0x0000000000000000)', 'nil == nil', 'nil != nil', 'log.attributes["absent"] == nil', 'log.attributes["nothing"] == nil', 'log.flags == 1', 'log.event_name == "device.up"', 'resource.attributes["text"] == log.attributes["text"]', 'scope.name == "lib.one"',
    ):
        c.add(f"where: {condition}", "logs", statements("logs", f'set(log.attributes["out"], true) where {condition}'), full_log())


def groups(c):
    for context, signal in (("resource", "logs"), ("scope", "logs"), ("log", "logs"), ("resource", "traces"), ("scope", "traces"), ("span", "traces"), ("spanevent", "traces"), ("resource", "metrics"), ("scope", "metrics"), ("datapoint", "metrics")):
        group = {"context": context, "statements": ['set(attributes["a"], "x")', 'set(attributes["b"], attributes["a"])', 'set(cache["c"], 5)', 'set(attributes["c"], cache["c"])']}
        c.add(f"group of {context} {signal}", signal, statements(signal, group), DATA[signal]())
        c.add(f"group of {context} {signal}, prefixed", signal, statements(signal, {"context": context, "statements": [f'set({context}.attributes["a"], "x")']}), DATA[signal]())
        for condition in ('attributes["text"] != nil', "true", "false"):
            c.add(f"group of {context} {signal} if {condition}", signal, statements(signal, {**group, "conditions": [condition]}), DATA[signal]())
        c.add(f"group of {context} {signal} if any", signal, statements(signal, {**group, "conditions": ["false", 'attributes["k"] == "v" or attributes["text"] != nil']}), DATA[signal]())
    c.add("group of metric", "metrics", statements("metrics", {"context": "metric", "statements": ['set(name, Concat([name, "x"], "."))', 'set(unit, "s") where type == METRIC_DATA_TYPE_SUM']}), full_metrics())
    c.add("groups in turn", "logs", statements("logs", {"context": "resource", "statements": ['set(attributes["step"], 1)']}, {"context": "log", "statements": ['set(attributes["step"], resource.attributes["step"])', 'set(resource.attributes["step"], 2)']}, {"context": "resource", "statements": ['set(attributes["after"], attributes["step"])']}), full_log())
    c.add("group without context", "logs", statements("logs", {"statements": ['set(log.attributes["a"], 1)', 'set(resource.attributes["b"], 2)']}), full_log())
    c.add("group's own error mode", "logs", statements("logs", {"error_mode": "ignore", "statements": ['set(log.attributes["a"], 1 / 0)', 'set(log.attributes["b"], 2)']}), full_log())
    c.add("group's own error mode, propagate", "logs", statements("logs", {"error_mode": "propagate", "statements": ['set(log.attributes["a"], 1 / 0)']}, mode="ignore"), full_log())
    c.add("cache in order", "logs", statements("logs", 'set(log.cache["a"], log.body)', 'set(log.attributes["a"], log.cache["a"]["text"])', 'set(log.cache["b"]["c"], 1)', 'set(log.attributes["b"], log.cache)'), full_log())
    c.add("cache is for one record", "logs", statements("logs", 'set(log.attributes["a"], log.cache["n"])', 'set(log.cache["n"], log.attributes["n"])'), request("logs", [log(n, {"n": n}) for n in range(3)]))
    c.add("many resources", "traces", statements("traces", 'set(resource.attributes["seen"], span.name)', 'set(span.attributes["region"], resource.attributes["region"])', 'set(scope.attributes["last"], span.name)'), two_services("traces", lambda service, lib: [span(f"{service} {lib} {n}") for n in range(3)]))
    c.add("error in the middle, ignore", "logs", statements("logs", 'set(log.attributes["a"], 1)', 'set(log.attributes["b"], 1 / 0)', 'set(log.attributes["c"], 3)', mode="ignore"), full_log())
    c.add("keys twice", "logs", statements("logs", 'set(log.attributes["k"], 9)'), request("logs", [{**log(), "attributes": [{"key": "k", "value": {"intValue": "1"}}, {"key": "k", "value": {"intValue": "2"}}]}]))


def errors(c):
    failing = ['set(log.attributes["a"], log.attributes["int"] / 0)', 'set(log.attributes["a"], Substring("abc", 2, 9))', 'set(log.attributes["a"], ParseJSON("{"))', 'set(log.attributes["a"], 1) where ParseJSON("{") != nil', 'set(log.attributes["text"]["x"], 1)', 'set(log.attributes["a"], log.attributes["text"]["x"])', 'set(log.severity_number, "x")', 'set(log.time, 5)', 'set(log.trace_id, "x")', 'flatten(log.attributes["text"])', 'set(log.attributes["a"], log.attributes["int"] + 1.5)', 'set(log.attributes["a"], Concat(log.attributes["int"], ""))', 'replace_pattern(log.attributes["int"], "a", "b")', 'delete_key(log.attributes["list"], "x")', 'set(log.body["x"], nil)', 'set(log.flags, "x")', 'set(log.severity_text, 5)', 'set(log.event_name, 5)', 'set(log.body, nil)', 'set(log.attributes, "x")']
    for mode in ("ignore", "silent", "propagate"):
        for statement in failing:
            c.add(f"error, {mode}: {statement}", "logs", statements("logs", statement, 'set(log.attributes["after"], true)', mode=mode), full_log())


def context_inference(c):
    for name, signal, some in (
        ("log and resource", "logs", ['set(resource.attributes["a"], 1)', 'set(log.attributes["b"], resource.attributes["a"])']),
        ("resource alone", "logs", ['set(resource.attributes["a"], 1)']),
        ("scope and resource", "logs", ['set(scope.attributes["a"], resource.attributes["text"])']),
        ("instrumentation_scope", "traces", ['set(instrumentation_scope.name, "new")']),
        ("span and event", "traces", ['set(span.attributes["a"], 1)', 'set(spanevent.attributes["b"], span.name)']),
        ("datapoint and metric", "metrics", ['set(metric.description, "d")', 'set(datapoint.attributes["m"], metric.name)']),
        ("in a condition", "traces", ['set(resource.attributes["a"], 1) where span.name == "bare"']),
        ("function of metrics", "metrics", ["convert_sum_to_gauge() where metric.name == \"sum.m\""]),
        ("function of metrics without path", "metrics", ["convert_sum_to_gauge()"]),
        ("IsRootSpan", "traces", ['set(span.attributes["root"], IsRootSpan())']),
        ("no path at all", "logs", ['set(log.attributes["a"], Concat(["a"], ""))']),
    ):
        c.add(f"inferred: {name}", signal, statements(signal, *some), DATA[signal]())


def refused(c):
    for statement in (
        "set(log.attributes[\"a\"], 1", "set(log.attributes['a'], 1)", "set(log.attribute[\"a\"], 1)", "Set(log.attributes[\"a\"], 1)", "unknown(log.body)", "set(log.body)", "set(log.body, 1, 2)", "set(5, 1)", "set(log.body, Unknown())", "set(log.body, log.nope)", "set(body, 1)", "log.body == 1", "set(log.body, 1) where", "set(log.body, 1) where log.body", "set(log.body, 1) if true", "", " ", "set(log.body, 1); set(log.body, 2)", "set(log.body, 1) where log.body = 1", "set(log.body, 1) where log.body === 1", "set(log.body, SEVERITY_NUMBER_LOUD)", "set(log.body, 1.2.3)", "set(log.body, \"unclosed)", "set(log.body[0, 1)", "set(span.name, \"x\")", "set(log.body, span.name)", "limit(log.attributes, \"x\", [])", "keep_keys(log.attributes, \"x\")", "replace_pattern(log.body, \"(\", \"\")", "set(log.body, Substring(log.body, \"a\", 1))", "set(target=log.body, value=1)", "set(log.body, value=1)", "set(target=log.body, 1)", "set(log.body, wrong=1)", "set(log.severity_number.x, 1)", "set(log.time[\"x\"], 1)", "set(log.body, 1)) ", "set(log.body, {1: 2})", "set(log.body, [1,])", "set(log.body, {\"a\": 1,})", "set(log.body, 99999999999999999999)", "set(log.body, 0xabc)", "set(log.body, 0x)", "set(log.body, \"\\q\")", "set(log.body, \"\\u00e9\\x41\\101\")", "set(log.body, \"tab\there\")", "set(log.body, true or false)", "set(log.cache, 1)", "set(log.event_index, 1)", "set(log.body, LEN(log.body))", "delete_key(log.attributes)", "set(log.body,nil)where true", "set ( log . body , 1 )", "set(log.body, -log.severity_number)", "append(log.attributes[\"a\"])", "set(log.body, Time(\"x\", 5))",
    ):
        c.add(f"config: {statement!r}", "logs", statements("logs", statement), full_log())
    for name, settings in {
        "unknown key": {"log_statement": []},
        "context unknown": statements("logs", {"context": "record", "statements": ['set(attributes["a"], 1)']}),
        "context of others": statements("logs", {"context": "span", "statements": ['set(attributes["a"], 1)']}),
        "no statements": statements("logs", {"context": "log", "statements": []}),
        "error mode": {"error_mode": "stop", "log_statements": []},
        "group's error mode": statements("logs", {"context": "log", "error_mode": "stop", "statements": ['set(attributes["a"], 1)']}),
        "bad condition": statements("logs", {"context": "log", "conditions": ["attributes =="], "statements": ['set(attributes["a"], 1)']}),
        "mixed": statements("logs", {"context": "log", "statements": ['set(attributes["a"], 1)']}, 'set(log.attributes["b"], 1)'),
        "mixed the other way": statements("logs", 'set(log.attributes["b"], 1)', {"context": "log", "statements": ['set(attributes["a"], 1)']}),
        "nothing": {},
        "unprefixed without context": statements("logs", 'set(attributes["a"], 1)'),
        "flatten without gate": {"flatten_data": True, "log_statements": []},
        "contexts that do not meet": statements("traces", 'set(span.name, "a") where log.body == nil'),
        "number for statement": statements("logs", 5),
    }.items():
        c.add(f"config: {name}", "logs", settings, full_log())
