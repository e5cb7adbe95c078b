"""The `filter` processor: conditions by context, functions, emptied groups, and the older `include` and `exclude`."""

from parity_cases.data import (
    EVERY,
    Cases,
    event,
    every_metric,
    gauge,
    log,
    one,
    point,
    request,
    span,
    sum_,
    two_services,
)


def spans(service, lib):
    return [
        span(f"{service} {lib}", {"n": 1, "path": "/healthz"}, events=[event("start"), event("error", {"code": 5})], kind=2),
        span("root", {"n": 2, "path": "/cart"}, kind=1, status={"code": 2, "message": "broken"}),
        span("child", {"n": 3}, parentSpanId="00000000000000aa", kind=3, events=[event("error")], traceState="a=b"),
        span("every", EVERY, kind=0),
    ]


def logs(service, lib):
    bodies = [f"{service} {lib}", "ERROR: broken", 7, {"a": {"b": 1}}, None, ["x"]]
    found = [log(body, {"n": n, "name": f"v{n}"}, severityNumber=n * 4, severityText=("Info", "info", "Error", "", "WARN", "debug")[n]) for n, body in enumerate(bodies)]
    return [*found, log("every", EVERY, eventName="device.up", flags=1)]


def metrics(service, lib):
    return [*every_metric({"n": 1, "text": "x"}), gauge(f"{lib}.load", point(1, {"cpu": "0"}), point(2, {"cpu": "1"})), sum_("delta", point(3, {"cpu": "0"}), temporality=1, monotonic=False, metadata=[])]


DATA = {"traces": two_services("traces", spans), "logs": two_services("logs", logs), "metrics": two_services("metrics", metrics)}

# Conditions in paths without prefix, by signal and context.
CONDITIONS = {
    ("traces", "span"): [
        'name == "root"', 'name != "root"', 'attributes["n"] == 2', 'attributes["n"] > 1', 'attributes["n"] == "2"', 'attributes["path"] == nil', 'attributes["path"] != nil', "IsRootSpan()", "not IsRootSpan()",
        "kind == SPAN_KIND_SERVER", "kind == SPAN_KIND_UNSPECIFIED", 'kind.string == "Client"', "status.code == STATUS_CODE_ERROR", 'status.message == "broken"', 'IsMatch(name, "^ro")', 'IsMatch(attributes["path"], "/health.*")',
        'resource.attributes["service.name"] == "cart"', 'instrumentation_scope.name == "lib.two"', 'instrumentation_scope.version == ""', 'trace_state == "a=b"', 'trace_state["a"] == "b"', "parent_span_id == SpanID(0x0000000000000000)", "end_time_unix_nano - start_time_unix_nano > 1000000000",
        'end_time - start_time > Duration("1s")', "true", "false", 'name == "root" and attributes["n"] == 2', 'name == "root" or name == "child"', 'not (name == "root" or name == "child")', 'not name == "root" and true', 'attributes["list"] == ["a", 2, false, 1.5]', 'attributes["map"]["deeper"]["n"] == 1',
        'Len(attributes) > 5', 'HasPrefix(name, "chi")', 'attributes["double"] > 2', 'attributes["double"] >= 2.5', 'attributes["bytes"] == 0x0001fe', 'attributes["nothing"] == nil', 'attributes["yes"]', 'attributes["yes"] == true', 'attributes["int"] + 1 == 43', 'Int(attributes["number.text"]) == 123', 'ParseJSON(attributes["json"])["b"] == 1', 'Len(events) == 2', 'trace_id == TraceID(0x5b8efff798038103d269b633813fc60c)', 'trace_id.string == "5b8efff798038103d269b633813fc60c"', 'attributes["n"] == 1 or 2 == 2', "1 == 1.0", '"a" < "b"',
        'instrumentation_scope.attributes["scope.kind"] == "auto"', "flags == 0", "dropped_attributes_count == 0", 'ContainsValue(["root"], name)', 'name == nil', 'attributes == {"n": 3}',
    ],
    ("traces", "spanevent"): ['name == "error"', 'attributes["code"] == 5', 'span.name == "child"', 'resource.attributes["region"] == "eu"', 'true', 'name == "error" and span.attributes["n"] == 3', "event_index == 0", "time_unix_nano > 0"],
    ("traces", "resource"): ['attributes["service.name"] == "cart"', 'attributes["host.id"] == 7', 'true', 'attributes["absent"] == nil', 'IsMatch(attributes["region"], "e")'],
    ("logs", "log_record"): [
        'body == "ERROR: broken"', 'IsMatch(body, "ERROR")', 'IsMatch(body, "[0-9]")', "body == 7", 'body["a"]["b"] == 1', "body == nil", 'body[0] == "x"', 'body.string == "7"', "severity_number < SEVERITY_NUMBER_INFO", "severity_number == SEVERITY_NUMBER_UNSPECIFIED", "severity_number >= SEVERITY_NUMBER_WARN and severity_number != 16",
        'severity_text == "Info"', 'severity_text == ""', 'attributes["n"] >= 3', 'attributes["name"] == "v2"', 'resource.attributes["region"] == "us"', 'instrumentation_scope.name == "lib.one"', 'event_name == "device.up"', "flags == 1", "trace_id == TraceID(0x00000000000000000000000000000000)", "true", "IsString(body)", "IsMap(body)", "time_unix_nano == 1700000000000000000", 'observed_time > time', 'IsBool(body)', 'IsInt(body)', 'Len(body) == 1', 'ToLowerCase(severity_text) == "info"',
    ],
    ("logs", "resource"): ['attributes["service.name"] == "cart"', "true", "false", 'schema_url == ""'],
    ("metrics", "metric"): [
        'name == "gauge.m"', "type == METRIC_DATA_TYPE_SUM", "type == METRIC_DATA_TYPE_GAUGE", "type == METRIC_DATA_TYPE_HISTOGRAM", "type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", "type == METRIC_DATA_TYPE_SUMMARY", "type == METRIC_DATA_TYPE_NONE", 'unit == "ms"', 'description == ""',
        "aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA", "aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE", "is_monotonic", "is_monotonic == false", 'HasAttrKeyOnDatapoint("n")', 'HasAttrKeyOnDatapoint("none")', 'HasAttrOnDatapoint("cpu", "1")', 'HasAttrOnDatapoint("n", "1")', 'IsMatch(name, "lib")', 'resource.attributes["region"] == "eu"', 'instrumentation_scope.name == "lib.two"', "true", 'Len(data_points) == 2',
    ],
    ("metrics", "datapoint"): [
        'attributes["cpu"] == "0"', "value_int > 1", "value_double == 2.5", "value_int == 5", "count == 6", "sum > 5", 'metric.name == "sum.m"', "metric.type == METRIC_DATA_TYPE_HISTOGRAM", "flags == FLAG_NONE", "flags == FLAG_NO_RECORDED_VALUE", "true", 'resource.attributes["region"] == "eu"', 'time_unix_nano > start_time_unix_nano', "scale == 0", "zero_count == 0", "positive.offset == 0", "Len(explicit_bounds) == 2", "bucket_counts == [1, 2, 3]", 'attributes["text"] == "x" and metric.unit == "ms"', "value_double == 0", "value_int == 0", "value_int == nil",
    ],
    ("metrics", "resource"): ['attributes["service.name"] == "checkout"', "true"],
}


def cases():
    c = Cases("filter")
    for (signal, context), conditions in CONDITIONS.items():
        for condition in conditions:
            c.add(f"{signal} {context}: {condition}", signal, {"error_mode": "ignore", signal: {context: [condition]}}, DATA[signal])
    c.add("several conditions", "traces", {"error_mode": "ignore", "traces": {"span": ['name == "root"', 'attributes["n"] == 3']}}, DATA["traces"])
    c.add("several contexts of spans", "traces", {"error_mode": "ignore", "traces": {"resource": ['attributes["region"] == "us"'], "span": ['name == "root"'], "spanevent": ['name == "start"']}}, DATA["traces"])
    c.add("several contexts of metrics", "metrics", {"error_mode": "ignore", "metrics": {"resource": ['attributes["region"] == "us"'], "metric": ['name == "sum.m"'], "datapoint": ['attributes["k"] == "v"']}}, DATA["metrics"])
    c.add("several contexts of logs", "logs", {"error_mode": "ignore", "logs": {"resource": ['attributes["region"] == "us"'], "log_record": ["severity_number > 8"]}}, DATA["logs"])
    errors(c)
    emptied(c)
    properties(c)
    expressions(c)
    refused(c)
    return c.cases


def errors(c):
    failing = ['attributes["int"] / 0 == 1', 'Substring(name, 0, 999) == "x"', 'ParseJSON(name) != nil', 'attributes["n"] + "a" == 1', 'Concat([attributes["map"]], "") == "x" and attributes["n"] / 0 == 1', 'attributes["n"] + 1.5 == 2', 'attributes["text"]["x"] == 1', 'IsMatch(name, attributes["json"])', 'Split(attributes["n"], "a") == nil', 'Time(name, "%Y") > start_time']
    for mode in ("ignore", "silent", "propagate"):
        for condition in failing:
            c.add(f"fails, {mode}: {condition}", "traces", {"error_mode": mode, "traces": {"span": [condition]}}, DATA["traces"])
        c.add(f"fails, {mode}, then drops", "traces", {"error_mode": mode, "traces": {"span": ['ParseJSON(name) != nil', 'name == "root"']}}, DATA["traces"])
        c.add(f"drops, then fails, {mode}", "traces", {"error_mode": mode, "traces": {"span": ["true", 'ParseJSON(name) != nil']}}, DATA["traces"])
        c.add(f"short circuit, {mode}", "traces", {"error_mode": mode, "traces": {"span": ['false and ParseJSON(name) != nil', 'true or ParseJSON(name) != nil']}}, DATA["traces"])
        c.add(f"fails in events, {mode}", "traces", {"error_mode": mode, "traces": {"spanevent": ['ParseJSON(name) != nil']}}, DATA["traces"])
        c.add(f"fails in points, {mode}", "metrics", {"error_mode": mode, "metrics": {"datapoint": ['ParseJSON(metric.name) != nil']}}, DATA["metrics"])
        c.add(f"fails in logs, {mode}", "logs", {"error_mode": mode, "logs": {"log_record": ['ParseJSON(severity_text) != nil']}}, DATA["logs"])


def emptied(c):
    for signal, contexts in {"traces": ("resource", "span", "spanevent"), "logs": ("resource", "log_record"), "metrics": ("resource", "metric", "datapoint")}.items():
        for context in contexts:
            c.add(f"everything goes: {signal} {context}", signal, {"error_mode": "ignore", signal: {context: ["true"]}}, DATA[signal])
    one_scope = {"traces": ("span", 'instrumentation_scope.name == "lib.one"'), "logs": ("log_record", 'instrumentation_scope.name == "lib.one"'), "metrics": ("metric", 'instrumentation_scope.name == "lib.one"')}
    for signal, (context, condition) in one_scope.items():
        c.add(f"a scope is emptied: {signal}", signal, {"error_mode": "ignore", signal: {context: [condition]}}, DATA[signal])
    none = {"traces": [span()], "logs": [log()], "metrics": [gauge("empty"), {"name": "kindless"}]}
    for signal, items in none.items():
        context = {"traces": "span", "logs": "log_record", "metrics": "metric"}[signal]
        bare = request(signal, [])
        c.add(f"empty scope: {signal}", signal, {"error_mode": "ignore", signal: {context: ["false"]}}, bare)
        c.add(f"little: {signal}", signal, {"error_mode": "ignore", signal: {context: ["false"]}}, request(signal, items))
    c.add("points of empty metrics", "metrics", {"error_mode": "ignore", "metrics": {"datapoint": ["false"]}}, request("metrics", none["metrics"]))
    c.add("points of empty metrics, all", "metrics", {"error_mode": "ignore", "metrics": {"datapoint": ["true"]}}, request("metrics", none["metrics"]))
    c.add("nothing at all", "logs", {"error_mode": "ignore", "logs": {"log_record": ["true"]}}, {"resourceLogs": []})


def properties(c):
    strict, regexp = {"match_type": "strict"}, {"match_type": "regexp"}

    def both(name, signal, key, value):
        for side in ("include", "exclude"):
            c.add(f"{side} {signal} {name}", signal, {key: {side: value}}, DATA[signal])

    for how in (strict, regexp):
        kind = how["match_type"]
        both(f"services {kind}", "traces", "spans", {**how, "services": ["cart"]})
        both(f"span_names {kind}", "traces", "spans", {**how, "span_names": ["root", "chi.*"]})
        both(f"attributes {kind}", "traces", "spans", {**how, "attributes": [{"key": "path", "value": "/cart"}]})
        both(f"libraries {kind}", "traces", "spans", {**how, "libraries": [{"name": "lib.two", "version": ""}]})
        both(f"resources {kind}", "traces", "spans", {**how, "resources": [{"key": "region", "value": "eu"}]})
        both(f"span_kinds {kind}", "traces", "spans", {**how, "span_kinds": ["SPAN_KIND_SERVER"]})
        both(f"names {kind}", "metrics", "metrics", {**how, "metric_names": ["sum.m", "^lib", "delta"]})
        both(f"names and resources {kind}", "metrics", "metrics", {**how, "metric_names": ["sum.m"], "resource_attributes": [{"key": "region", "value": "eu"}]})
        both(f"resources {kind}", "metrics", "metrics", {**how, "resource_attributes": [{"key": "region", "value": "eu"}]})
        both(f"resources {kind}", "logs", "logs", {**how, "resource_attributes": [{"key": "region", "value": "eu"}]})
        both(f"attributes {kind}", "logs", "logs", {**how, "record_attributes": [{"key": "name", "value": "v2"}]})
        both(f"severity_texts {kind}", "logs", "logs", {**how, "severity_texts": ["Info", "^Err"]})
        both(f"bodies {kind}", "logs", "logs", {**how, "bodies": ["ERROR: broken", "^cart"]})
        both(f"bodies that are no text {kind}", "logs", "logs", {**how, "bodies": ["7"]})
        both(f"all {kind}", "logs", "logs", {**how, "severity_texts": ["Error"], "bodies": ["7"], "record_attributes": [{"key": "n"}]})
    for minimum in ("INFO", "WARN", "warn2", "9", "ERROR", "TRACE", "FATAL4", "0", "UNDEFINED"):
        both(f"severity_number {minimum}", "logs", "logs", {"severity_number": {"min": minimum}, **strict})
    both("severity_number or undefined", "logs", "logs", {"severity_number": {"min": "WARN", "match_undefined": True}, **strict})
    both("severity_number without match_type", "logs", "logs", {"severity_number": {"min": "WARN"}})
    c.add("include and exclude spans", "traces", {"spans": {"include": {**strict, "services": ["cart"]}, "exclude": {**strict, "span_names": ["root"]}}}, DATA["traces"])
    c.add("include and exclude metrics", "metrics", {"metrics": {"include": {**regexp, "metric_names": ["m$"]}, "exclude": {**strict, "metric_names": ["sum.m"]}}}, DATA["metrics"])
    c.add("include and exclude logs", "logs", {"logs": {"include": {**regexp, "bodies": ["."]}, "exclude": {**strict, "severity_texts": ["Info"]}}}, DATA["logs"])
    c.add("regexp cache", "metrics", {"metrics": {"include": {**regexp, "regexp": {"cacheenabled": True, "cachemaxnumentries": 3}, "metric_names": ["m$"]}}}, DATA["metrics"])


def expressions(c):
    for expression in (
        'MetricName == "sum.m"', 'MetricName matches "^lib"', 'Label("cpu") == "1"', 'HasLabel("cpu")', 'MetricName == "delta" && HasLabel("cpu")', 'MetricName == "delta" || Label("text") == "x"', '!HasLabel("n")', 'not HasLabel("n")', 'MetricType == "Sum"', 'MetricType == "ExponentialHistogram"',
        'MetricName in ["sum.m", "delta"]', 'MetricName startsWith "lib"', 'MetricName endsWith ".m"', 'MetricName contains "load"', 'Label("none") == ""', '(HasLabel("cpu") or HasLabel("n")) and MetricName != "delta"', "true", 'MetricName == \'sum.m\'',
    ):
        for side in ("include", "exclude"):
            c.add(f"{side} expr: {expression}", "metrics", {"metrics": {side: {"match_type": "expr", "expressions": [expression]}}}, DATA["metrics"])


def refused(c):
    item = one("traces", EVERY)
    for name, settings in {
        "bad condition": {"traces": {"span": ["name =="]}},
        "unknown path": {"traces": {"span": ['nme == "a"']}},
        "unknown function": {"traces": {"span": ["Foo(name)"]}},
        "statement": {"traces": {"span": ['set(name, "a")']}},
        "value alone": {"traces": {"span": ["name"]}},
        "wrong context": {"traces": {"resource": ['name == "a"']}},
        "unknown key": {"traces": {"spans": ["true"]}},
        "unknown mode": {"error_mode": "stop", "traces": {"span": ["true"]}},
        "spans and traces": {"spans": {"include": {"match_type": "strict", "services": ["a"]}}, "traces": {"span": ["true"]}},
        "span properties empty": {"spans": {"include": {"match_type": "strict"}}},
        "span match_type": {"spans": {"include": {"match_type": "expr", "services": ["a"]}}},
        "nothing": {},
        "function of metrics": {"traces": {"span": ['HasAttrKeyOnDatapoint("a")']}},
        "bad pattern": {"traces": {"span": ['IsMatch(name, "(")']}},
        "number of arguments": {"traces": {"span": ["IsMatch(name)"]}},
        "named enum of others": {"traces": {"span": ["kind == SEVERITY_NUMBER_INFO"]}},
        "lower-case enum": {"traces": {"span": ["kind == span_kind_server"]}},
        "single quotes": {"traces": {"span": ["name == 'a'"]}},
    }.items():
        c.add(f"config: {name}", "traces", settings, item)
    for name, settings in {
        "metrics mixed": {"metrics": {"include": {"match_type": "strict", "metric_names": ["a"]}, "metric": ["true"]}},
        "expr bad": {"metrics": {"include": {"match_type": "expr", "expressions": ["MetricName =="]}}},
        "expr of text": {"metrics": {"include": {"match_type": "expr", "expressions": ["MetricName"]}}},
        "expressions with strict": {"metrics": {"include": {"match_type": "strict", "expressions": ["true"]}}},
        "metrics match_type": {"metrics": {"include": {"match_type": "glob", "metric_names": ["a"]}}},
        "metrics bad pattern": {"metrics": {"include": {"match_type": "regexp", "metric_names": ["("]}}},
        "metrics empty": {"metrics": {"include": {"match_type": "strict"}}},
    }.items():
        c.add(f"config: {name}", "metrics", settings, one("metrics", EVERY))
    for name, settings in {
        "logs mixed": {"logs": {"include": {"match_type": "strict", "bodies": ["a"]}, "log_record": ["true"]}},
        "severity": {"logs": {"include": {"match_type": "strict", "severity_number": {"min": "LOUD"}}}},
        "logs empty": {"logs": {"include": {"match_type": "strict"}}},
        "logs match_type": {"logs": {"include": {"match_type": "expr", "bodies": ["a"]}}},
        "logs no match_type": {"logs": {"include": {"bodies": ["a"]}}},
        "newer conditions": {"log_conditions": ['log.body == "a"']},
    }.items():
        c.add(f"config: {name}", "logs", settings, one("logs", EVERY))
