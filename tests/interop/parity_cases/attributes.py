"""The `attributes` processor: every action on every kind of value, sources, patterns, include and exclude, signals."""

from parity_cases.data import (
    EVERY,
    Cases,
    attributes,
    event,
    every_metric,
    gauge,
    joined,
    link,
    log,
    one,
    point,
    request,
    resource,
    scope,
    span,
    two_services,
)

VALUES = {"text": "new", "empty": "", "int": 5, "negative": -5, "double": 2.5, "yes": True, "no": False, "list": ["a", 1], "map": {"a": 1}}


def actions(*some):
    return {"actions": list(some)}


def act(action, key=None, **more):
    return {"action": action, **({} if key is None else {"key": key}), **more}


def cases():
    c = Cases("attributes")
    write(c)
    remove_and_hash(c)
    extract_and_convert(c)
    context(c)
    signals(c)
    matching(c)
    refused(c)
    return c.cases


def write(c):
    for action in ("insert", "update", "upsert"):
        for kind, v in VALUES.items():
            c.add(f"{action} {kind}", "traces", actions(act(action, "absent", value=v), act(action, "int", value=v)), one("traces", EVERY))
        for source in EVERY:
            c.add(
                f"{action} from {source}",
                "logs",
                actions(act(action, "absent", from_attribute=source), act(action, "text", from_attribute=source)),
                one("logs", EVERY),
            )
        c.add(f"{action} from absent", "logs", actions(act(action, "text", from_attribute="absent")), one("logs", EVERY))
        c.add(f"{action} own", "logs", actions(act(action, "text", from_attribute="text")), one("logs", EVERY))
        c.add(f"{action} into nothing", "logs", actions(act(action, "text", value=1)), one("logs", {}))
    c.add("upper-case action", "logs", actions(act("UpSert", "text", value=1)), one("logs", EVERY))
    c.add("in order", "logs", actions(act("insert", "a", value=1), act("update", "a", value="two"), act("insert", "b", from_attribute="a")), one("logs", {}))
    c.add("rename", "logs", actions(act("insert", "new", from_attribute="map"), act("delete", "map")), one("logs", EVERY))


def remove_and_hash(c):
    for key in EVERY:
        c.add(f"hash {key}", "logs", actions(act("hash", key)), one("logs", EVERY))
        c.add(f"delete {key}", "logs", actions(act("delete", key)), one("logs", EVERY))
    for action in ("hash", "delete"):
        for pattern in ("^number", "text", "[.]text$", "^$", ".*", "^(yes|no)$", "(?i)TEXT", "\\.", "xyz", "int|double"):
            c.add(f"{action} pattern {pattern}", "logs", actions(act(action, pattern=pattern)), one("logs", EVERY))
        c.add(f"{action} absent", "logs", actions(act(action, "absent")), one("logs", EVERY))
        c.add(f"{action} key and pattern", "logs", actions(act(action, "yes", pattern="^int")), one("logs", EVERY))
    c.add("hash key and same pattern", "logs", actions(act("hash", "int", pattern="^int$")), one("logs", EVERY))
    c.add("hash twice", "logs", actions(act("hash", "text"), act("hash", "text")), one("logs", EVERY))


def extract_and_convert(c):
    url = {"url": "http://shop.test/cart/17?x=1", "n": 17, "list": ["http://a/b"], "user": "old"}
    for name, key, pattern in (
        ("url", "url", r"^(?P<proto>https?)://(?P<host>[^/]+)/(?P<path>[^?]*)"),
        ("overwrites", "url", r"(?P<user>[a-z]+)\.test"),
        ("no match", "url", r"^ftp://(?P<host>.*)$"),
        ("number", "n", r"(?P<digits>\d+)"),
        ("list", "list", r"(?P<all>.*)"),
        ("absent", "absent", r"(?P<all>.*)"),
        ("unanchored", "url", r"(?P<id>\d+)"),
        ("part absent", "url", r"(?P<a>zzz)?(?P<b>shop)"),
        ("own key", "url", r"(?P<url>shop)"),
        ("repeated group", "url", r"(?:(?P<letter>[a-z])/?)+"),
        ("non-greedy", "url", r"/(?P<x>.+?)/"),
        ("dotted name", "url", r"(?P<host_name>[a-z]+\.test)"),
    ):
        c.add(f"extract {name}", "traces", actions(act("extract", key, pattern=pattern)), one("traces", url))
    texts = ["1", "-1", "+5", " 1", "1 ", "1.5", "1e3", "0x1f", "0b11", "0o7", "017", "1_000", "", "abc", "true", "false", "TRUE", "T", "inf", "-Inf", "NaN",
             "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e400", "1e-400", ".5", "5.", "0x1p4", "infinity", "１"]
    pairs = {f"t{n}": text for n, text in enumerate(texts)}
    numbers = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 0.0, -0.0, 0.5, -0.5, 1.9, -1.9, 1e15, 1e20, 1e21, 123456789.125, 1e-6, 1e-7, 5e-324, 1e6, 100000.0]
    pairs |= {f"n{n}": number for n, number in enumerate(numbers)}
    for kind in ("int", "double", "string"):
        for key in EVERY:
            if key not in ("double.large",) or kind != "int":
                c.add(f"convert {key} to {kind}", "logs", actions(act("convert", key, converted_type=kind)), one("logs", EVERY))
        for key, v in pairs.items():
            if kind == "int" and isinstance(v, float) and abs(v) > 1e18:
                continue
            c.add(f"convert {v!r} to {kind}", "logs", actions(act("convert", key, converted_type=kind)), one("logs", {key: v}))
    c.add("convert double beyond to int", "logs", actions(act("convert", "double.large", converted_type="int")), one("logs", EVERY))
    c.add("convert absent", "logs", actions(act("convert", "absent", converted_type="int")), one("logs", EVERY))
    c.add("convert there and back", "logs", actions(act("convert", "int", converted_type="string"), act("convert", "int", converted_type="double")), one("logs", EVERY))


def context(c):
    taking = {"receiver": {"include_metadata": True}, "headers": {"X-Tenant": "acme", "X-Empty": "", "User-Agent": "parity"}}
    for name, source in (
        ("header", "metadata.x-tenant"),
        ("header's case", "metadata.X-Tenant"),
        ("bare header", "x-tenant"),
        ("bare header's case", "X-TENANT"),
        ("absent header", "metadata.x-other"),
        ("empty header", "metadata.x-empty"),
        ("client address", "client.address"),
        ("user agent", "metadata.user-agent"),
        ("auth without authenticator", "auth.subject"),
    ):
        for action in ("insert", "update", "upsert"):
            c.add(
                f"{action} from context, {name}",
                "traces",
                actions(act(action, "absent", from_context=source), act(action, "text", from_context=source)),
                one("traces", EVERY),
                **taking,
            )
    c.add("from context without include_metadata", "traces", actions(act("upsert", "a", from_context="metadata.x-tenant")), one("traces", EVERY), headers={"X-Tenant": "acme"})


def signals(c):
    mixed = [act("insert", "added", value="x"), act("delete", "text"), act("hash", "int"), act("upsert", "yes", value="no"), act("convert", "number.text", converted_type="int")]
    c.add("data points of every kind", "metrics", actions(*mixed), request("metrics", every_metric()))
    full = span(pairs=EVERY, events=[event("e", EVERY)], links=[link(EVERY)])
    c.add("spans alone", "traces", actions(*mixed), request("traces", [full], of=resource(EVERY), under=scope(pairs=EVERY)))
    c.add("log records alone", "logs", actions(*mixed), request("logs", [log(EVERY, EVERY)], of=resource(EVERY), under=scope(pairs=EVERY)))
    c.add("many items", "traces", actions(*mixed), two_services("traces", lambda service, lib: [span(f"{service} {n}", EVERY if n % 2 else {}) for n in range(6)]))
    doubled = log(attributes={}) if False else {**log(), "attributes": attributes([("k", 1), ("k", 2), ("other", "x"), ("k", 1)])}
    for name, action in (
        ("insert", act("insert", "k", value=9)),
        ("upsert", act("upsert", "k", value=9)),
        ("update", act("update", "k", value=9)),
        ("delete", act("delete", "k")),
        ("delete by pattern", act("delete", pattern="^k$")),
        ("hash", act("hash", "k")),
        ("hash by pattern", act("hash", pattern="^k$")),
        ("convert", act("convert", "k", converted_type="string")),
        ("read", act("insert", "copy", from_attribute="k")),
    ):
        c.add(f"key twice, {name}", "logs", actions(action), request("logs", [doubled]))


def matching(c):
    mark = [act("upsert", "marked", value=True)]
    kinds = range(6)

    def spans(service, lib):
        found = [span(f"op.{kind}", {"kind.n": kind, "name": f"v{kind}", "flag": kind % 2 == 0, "ratio": kind / 2}, kind=kind) for kind in kinds]
        return [*found, span("GET /a", {"list": [1], "map": {"a": 1}, "bytes": b"v1", "nil": None}), span("", {})]

    def logs(service, lib):
        texts = ["Info", "info", "ERROR", "", "Warn"]
        found = [log(f"body {n}", {"n": n, "name": f"v{n}"}, severityNumber=n * 5, severityText=texts[n]) for n in range(5)]
        bodies = [7, 2.5, True, ["a"], {"a": 1}, b"body", None]
        return found + [log(body, {"kind": "other"}) for body in bodies]

    def metrics(service, lib):
        return [gauge("cpu.time", point(1, {"n": 1})), gauge("cpu.load", point(2, {"n": 2})), gauge("mem", point(3))]

    data = {"traces": two_services("traces", spans), "logs": two_services("logs", logs), "metrics": two_services("metrics", metrics)}

    def both(name, signal, properties):
        for side in ("include", "exclude"):
            c.add(f"{side} {name}", signal, {side: properties, "actions": mark}, data[signal])

    strict, regexp = {"match_type": "strict"}, {"match_type": "regexp"}
    for how, label in ((strict, "strict"), (regexp, "regexp")):
        is_regexp = label == "regexp"
        both(f"services {label}", "traces", {**how, "services": ["c.*t$" if is_regexp else "cart"]})
        both(f"services {label} two", "traces", {**how, "services": ["x", "check" if is_regexp else "checkout"]})
        both(f"span_names {label}", "traces", {**how, "span_names": ["op\\.[12]|GET" if is_regexp else "op.3", "nothing"]})
        both(f"span_kinds {label}", "traces", {**how, "span_kinds": ["SERVER|CLIENT" if is_regexp else "SPAN_KIND_SERVER"]})
        if is_regexp:
            both(f"span_kinds {label} unspecified", "traces", {**how, "span_kinds": ["UNSPECIFIED"]})
        both(f"log_bodies {label}", "logs", {**how, "log_bodies": ["^body [01]$" if is_regexp else "body 3"]})
        both(f"log_severity_texts {label}", "logs", {**how, "log_severity_texts": ["^(?i)info$" if is_regexp else "Info"]})
        both(f"metric_names {label}", "metrics", {**how, "metric_names": ["^cpu" if is_regexp else "cpu.load"]})
        for signal in ("traces", "logs"):
            both(f"libraries {label} name {signal}", signal, {**how, "libraries": [{"name": "one$" if is_regexp else "lib.one"}]})
            both(f"libraries {label} version {signal}", signal, {**how, "libraries": [{"name": "lib" if is_regexp else "lib.one", "version": "^1" if is_regexp else "1.2.3"}]})
            both(f"libraries {label} empty version {signal}", signal, {**how, "libraries": [{"name": "lib" if is_regexp else "lib.two", "version": ""}]})
            both(f"libraries {label} two {signal}", signal, {**how, "libraries": [{"name": "lib.one"}, {"name": "lib.two"}]})
            both(f"resources {label} {signal}", signal, {**how, "resources": [{"key": "region", "value": "^e" if is_regexp else "eu"}]})
            both(f"resources {label} all {signal}", signal, {**how, "resources": [{"key": "region", "value": "us"}, {"key": "host.id", "value": "7" if is_regexp else 7}]})
            both(f"resources {label} presence {signal}", signal, {**how, "resources": [{"key": "region"}]})
        both(f"attributes {label} text", "traces", {**how, "attributes": [{"key": "name", "value": "v[12]" if is_regexp else "v1"}]})
        both(f"attributes {label} presence", "traces", {**how, "attributes": [{"key": "list"}]})
        both(f"attributes {label} all", "traces", {**how, "attributes": [{"key": "name", "value": "v2"}, {"key": "flag"}]})
        both(f"several {label}", "traces", {**how, "services": ["cart"], "span_names": ["op.1", "op.2"], "attributes": [{"key": "name"}]})
    for name, key, v in (("int", "kind.n", 3), ("int as text", "kind.n", "3"), ("bool", "flag", True), ("double", "ratio", 1.5), ("whole double", "ratio", 1), ("bool as text", "flag", "true")):
        both(f"attributes strict {name}", "traces", {**strict, "attributes": [{"key": key, "value": v}]})
    for name, key, v in (("int", "kind.n", "^[34]$"), ("bool", "flag", "^true$"), ("double", "ratio", "^1[.]5$"), ("list", "list", ".*"), ("map", "map", ".*"), ("bytes", "bytes", ".*"), ("nothing", "nil", ".*")):
        both(f"attributes regexp {name}", "traces", {**regexp, "attributes": [{"key": key, "value": v}]})
    both("attributes of logs", "logs", {**strict, "attributes": [{"key": "n", "value": 3}]})
    for minimum in (0, 1, 5, 6, 10, 24):
        both(f"log_severity_number {minimum}", "logs", {**strict, "log_severity_number": {"min": minimum}})
        both(f"log_severity_number {minimum} or undefined", "logs", {**strict, "log_severity_number": {"min": minimum, "match_undefined": True}})
    for n, pattern in enumerate(("^7$", "2.5", "true", r'\["a"\]', '"a":1', "Ym9keQ==", "^$")):
        both(f"log_bodies that are no text {n}", "logs", {**regexp, "log_bodies": [pattern]})
    for minimum in ("include first",):
        c.add(minimum, "traces", {"include": {**strict, "services": ["cart"]}, "exclude": {**regexp, "span_names": ["op"]}, "actions": mark}, data["traces"])
    nameless = joined(*(request("traces", [span()], of=resource(pairs)) for pairs in ({}, {"service.name": ""}, {"service.name": 5})))
    for label, how, service in (("strict", strict, "<nil-service-name>"), ("strict empty", strict, ""), ("regexp", regexp, "^<nil"), ("regexp number", regexp, "5"), ("strict number", strict, "5")):
        c.add(f"without service.name {label}", "traces", {"include": {**how, "services": [service]}, "actions": mark}, nameless)
    c.add("metrics by resources", "metrics", {"include": {**strict, "resources": [{"key": "region", "value": "eu"}]}, "actions": mark}, data["metrics"])
    c.add("metrics by names and resources", "metrics", {"include": {**strict, "metric_names": ["mem"], "resources": [{"key": "region", "value": "eu"}]}, "actions": mark}, data["metrics"])
    c.add("regexp cache", "traces", {"include": {**regexp, "regexp": {"cacheenabled": True, "cachemaxnumentries": 5}, "span_names": ["op"]}, "actions": mark}, data["traces"])


def refused(c):
    item = one("traces", EVERY)
    for name, settings in {
        "no actions": {},
        "empty actions": {"actions": []},
        "no key": actions(act("insert", value=1)),
        "unknown action": actions(act("replace", "a", value=1)),
        "no source": actions(act("insert", "a")),
        "two sources": actions(act("insert", "a", value=1, from_attribute="b")),
        "three sources": actions(act("insert", "a", value=1, from_attribute="b", from_context="c")),
        "insert with pattern": actions(act("insert", "a", value=1, pattern="x")),
        "insert with converted_type": actions(act("insert", "a", value=1, converted_type="int")),
        "delete with value": actions(act("delete", "a", value=1)),
        "delete without anything": actions(act("delete")),
        "hash without anything": actions(act("hash")),
        "hash with value": actions(act("hash", "a", value=1)),
        "delete with bad pattern": actions(act("delete", pattern="(")),
        "hash with bad pattern": actions(act("hash", pattern="[")),
        "extract without pattern": actions(act("extract", "a")),
        "extract without key": actions(act("extract", pattern="(?P<a>.)")),
        "extract with bad pattern": actions(act("extract", "a", pattern="(?P<a>")),
        "extract without groups": actions(act("extract", "a", pattern=".*")),
        "extract with unnamed group": actions(act("extract", "a", pattern="(?P<a>.)(.)")),
        "extract with value": actions(act("extract", "a", pattern="(?P<a>.)", value=1)),
        "convert without type": actions(act("convert", "a")),
        "convert to unknown": actions(act("convert", "a", converted_type="float")),
        "convert with value": actions(act("convert", "a", converted_type="int", value=1)),
        "convert without key": actions(act("convert", converted_type="int")),
        "unknown key of action": actions({**act("delete", "a"), "keys": "b"}),
        "unknown key": {**actions(act("delete", "a")), "attributes": []},
        "include without match_type": {"include": {"services": ["a"]}, **actions(act("delete", "a"))},
        "include of unknown match_type": {"include": {"match_type": "glob", "services": ["a"]}, **actions(act("delete", "a"))},
        "include of unspecified kinds": {"include": {"match_type": "strict", "span_kinds": ["SPAN_KIND_UNSPECIFIED"]}, **actions(act("delete", "a"))},
        "include without properties": {"include": {"match_type": "strict"}, **actions(act("delete", "a"))},
        "include with bad pattern": {"include": {"match_type": "regexp", "services": ["("]}, **actions(act("delete", "a"))},
        "include of logs' properties": {"include": {"match_type": "strict", "log_bodies": ["a"]}, **actions(act("delete", "a"))},
        "include of severity": {"include": {"match_type": "strict", "log_severity_number": {"min": 1}}, **actions(act("delete", "a"))},
        "regexp attributes of number": {"include": {"match_type": "regexp", "attributes": [{"key": "a", "value": 1}]}, **actions(act("delete", "a"))},
        "strict attributes of list": {"include": {"match_type": "strict", "attributes": [{"key": "a", "value": [1]}]}, **actions(act("delete", "a"))},
        "attributes without key": {"include": {"match_type": "strict", "attributes": [{"value": 1}]}, **actions(act("delete", "a"))},
        "from_context in delete": actions(act("delete", "a", from_context="metadata.a")),
        "look-ahead": actions(act("delete", pattern="a(?=b)")),
        "back-reference": actions(act("delete", pattern=r"(a)\1")),
    }.items():
        c.add(f"config: {name}", "traces", settings, item)
    logs = one("logs", EVERY)
    for name, properties in {"services": {"services": ["a"]}, "span_names": {"span_names": ["a"]}, "span_kinds": {"span_kinds": ["a"]}, "metric_names": {"metric_names": ["a"]}}.items():
        c.add(f"config: logs by {name}", "logs", {"include": {"match_type": "strict", **properties}, **actions(act("delete", "text"))}, logs)
    points = one("metrics", EVERY)
    for name, properties in {"services": {"services": ["a"]}, "attributes": {"attributes": [{"key": "a"}]}, "libraries": {"libraries": [{"name": "a"}]}}.items():
        c.add(f"config: metrics by {name}", "metrics", {"include": {"match_type": "strict", **properties}, **actions(act("delete", "text"))}, points)
