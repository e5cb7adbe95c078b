"""The `redaction` processor: the Collector's keys, in the extent the Collector gives them (`surfaces: collector`)."""

from parity_cases.data import EVERY, Cases, event, every_metric, link, log, one, request, resource, scope, span

PERSONAL = {
    "card": "4111111111111111",
    "cards": "4111111111111111 and 5500000000000004",
    "mail": "jane@example.com",
    "name": "placeholder",
    "id": "user-123",
    "token": "secret-abc",
    "password": "hunter2",
    "number": 4111111111111111,
    "double": 12.5,
    "yes": True,
    "bytes": b"4111111111111111",
    "list": ["4111111111111111", "x"],
    "map": {"card": "4111111111111111", "inner": {"card": "4111111111111111"}},
    "empty": "",
    "nothing": None,
}
CARD, MAIL = "4[0-9]{12}(?:[0-9]{3})?", "[a-z]+@[a-z.]+"
# weir looks into more places unless told otherwise; that is what `everywhere` shows.
WEIRS_OWN = {"redaction": {"surfaces": "collector"}}


def cases():
    c = Cases("redaction")
    everywhere(c)
    keys(c)
    values(c)
    hashes(c)
    summaries(c)
    bodies(c)
    urls(c)
    databases(c)
    refused(c)
    return c.cases


def full(signal, pairs=None):
    pairs = PERSONAL if pairs is None else pairs
    items = {
        "traces": [span("GET /shop", pairs, events=[event("e", pairs)], links=[link(pairs)], status={"message": "4111111111111111"}), span("4111111111111111", {})],
        "logs": [log("a body", pairs), log("pay 4111111111111111 now", pairs)],
        "metrics": every_metric(pairs),
    }[signal]
    return request(signal, items, of=resource(pairs), under=scope(pairs=pairs))


def add(c, name, signal, settings, *requests):
    c.add(name, signal, settings, *requests, weir_only=WEIRS_OWN)


def everywhere(c):
    for signal in ("traces", "logs", "metrics"):
        for name, settings in {
            "nothing allowed": {},
            "all allowed": {"allow_all_keys": True},
            "some allowed": {"allowed_keys": ["card", "name", "id", "list", "map", "number"]},
            "values": {"allow_all_keys": True, "blocked_values": [CARD]},
            "values of all types": {"allow_all_keys": True, "blocked_values": [CARD], "redact_all_types": True},
            "keys": {"allow_all_keys": True, "blocked_key_patterns": ["card", "^pass", "token$"]},
            "keys of all types": {"allow_all_keys": True, "blocked_key_patterns": [".*"], "redact_all_types": True},
            "ignored": {"allowed_keys": ["name"], "ignored_keys": ["card", "id"], "blocked_values": [CARD]},
            "ignored patterns": {"allowed_keys": ["name"], "ignored_key_patterns": ["^car", "^i"], "blocked_values": [CARD]},
            "allowed values": {"allow_all_keys": True, "blocked_values": [MAIL], "allowed_values": ["jane@example[.]com"]},
            "all together": {"allowed_keys": ["card", "mail", "name", "token", "map"], "ignored_keys": ["id"], "blocked_values": [CARD], "blocked_key_patterns": ["token"], "allowed_values": ["@example"], "summary": "debug", "hash_function": "md5"},
        }.items():
            add(c, f"{signal}: {name}", signal, settings, full(signal))
            c.add(f"{signal}, all surfaces: {name}", signal, settings, full(signal))


def keys(c):
    for name, settings in {
        "allowed exactly": {"allowed_keys": ["card"]},
        "allowed is no pattern": {"allowed_keys": ["car.*"]},
        "allowed case": {"allowed_keys": ["CARD"]},
        "allowed and blocked value": {"allowed_keys": ["card", "cards"], "blocked_values": [CARD]},
        "blocked key, any case": {"allow_all_keys": True, "blocked_key_patterns": ["(?i)CARD"]},
        "blocked key, whole": {"allow_all_keys": True, "blocked_key_patterns": ["^card$"]},
        "blocked key of empty value": {"allow_all_keys": True, "blocked_key_patterns": ["empty"]},
        "blocked key of number": {"allow_all_keys": True, "blocked_key_patterns": ["number"]},
        "blocked key of number, all types": {"allow_all_keys": True, "blocked_key_patterns": ["number", "double", "yes"], "redact_all_types": True},
        "ignored beats blocked key": {"allow_all_keys": True, "ignored_keys": ["card"], "blocked_key_patterns": ["card"]},
        "ignored pattern beats blocked key": {"allow_all_keys": True, "ignored_key_patterns": ["^card$"], "blocked_key_patterns": ["card"]},
        "allowed value beats blocked key": {"allow_all_keys": True, "allowed_values": ["hunter"], "blocked_key_patterns": ["password"]},
    }.items():
        add(c, f"keys: {name}", "traces", settings, one("traces", PERSONAL))


def values(c):
    for name, settings in {
        "part": {"blocked_values": ["[0-9]{4}$"]},
        "all parts": {"blocked_values": ["[0-9]{4}"]},
        "anchored": {"blocked_values": ["^4111"]},
        "groups": {"blocked_values": ["(4111)(1111)"]},
        "whole": {"blocked_values": [".*"]},
        "any letter": {"blocked_values": ["[a-z]"]},
        "empty match": {"blocked_values": ["x*"]},
        "two that do not meet": {"blocked_values": [CARD, MAIL]},
        "allowed": {"blocked_values": [CARD], "allowed_values": ["^5500"]},
        "allowed part": {"blocked_values": [CARD], "allowed_values": ["and"]},
        "all types": {"blocked_values": ["12[.]5", "true", CARD], "redact_all_types": True},
        "numbers untouched": {"blocked_values": ["12[.]5", "true", CARD]},
    }.items():
        add(c, f"values: {name}", "traces", {"allow_all_keys": True, **settings}, one("traces", PERSONAL))
        add(c, f"values of every kind: {name}", "logs", {"allow_all_keys": True, **settings}, one("logs", EVERY))


def hashes(c):
    for function in ("", "md5", "sha1", "sha3"):
        for name, settings in {"values": {"blocked_values": [CARD]}, "keys": {"blocked_key_patterns": ["card", "password", "empty"]}, "all types": {"blocked_values": [CARD], "blocked_key_patterns": ["double", "yes"], "redact_all_types": True}}.items():
            add(c, f"hash {function or 'none'}: {name}", "traces", {"allow_all_keys": True, "hash_function": function, **settings}, one("traces", PERSONAL))
            add(c, f"hash {function or 'none'} in body: {name}", "logs", {"allow_all_keys": True, "hash_function": function, **settings}, request("logs", [log("pay 4111111111111111", PERSONAL)]))


def summaries(c):
    for summary in ("silent", "info", "debug"):
        for signal in ("traces", "logs", "metrics"):
            for name, settings in {
                "redacted": {"allowed_keys": ["name"]},
                "masked": {"allow_all_keys": True, "blocked_values": [CARD]},
                "masked keys": {"allow_all_keys": True, "blocked_key_patterns": ["card"]},
                "allowed values": {"allow_all_keys": True, "blocked_values": [CARD], "allowed_values": ["4111"]},
                "ignored": {"allowed_keys": ["name"], "ignored_keys": ["id", "card"]},
                "nothing to do": {"allow_all_keys": True, "blocked_values": ["zzz"]},
            }.items():
                add(c, f"summary {summary} {signal}: {name}", signal, {**settings, "summary": summary}, full(signal))
        earlier = {"redaction.masked.keys": "earlier", "redaction.masked.count": 2, "redaction.redacted.keys": "old", "redaction.redacted.count": 1, "card": "4111111111111111", "other": 1}
        add(c, f"summary {summary} merged", "traces", {"allowed_keys": ["card"], "blocked_values": [CARD], "summary": summary}, one("traces", earlier))
    twice = [{"redaction": {"allowed_keys": ["card", "mail"], "blocked_values": [CARD], "summary": "debug"}}, {"redaction": {"allowed_keys": ["card", "mail"], "blocked_values": [MAIL], "summary": "debug"}}]
    c.add("summary of two stages", "traces", twice, one("traces", PERSONAL))


def bodies(c):
    found = ["plain", "pay 4111111111111111", 4111111111111111, 12.5, True, b"4111111111111111", None, ["4111111111111111", {"card": "4111111111111111"}], {"card": "4111111111111111", "name": "x", "map": {"card": "4111111111111111", "list": ["4111111111111111"]}, "number": 4111111111111111}, "", {}, []]
    for name, settings in {
        "nothing allowed": {},
        "values": {"allow_all_keys": True, "blocked_values": [CARD]},
        "values of all types": {"allow_all_keys": True, "blocked_values": [CARD], "redact_all_types": True},
        "keys": {"allow_all_keys": True, "blocked_key_patterns": ["card"]},
        "allowed": {"allowed_keys": ["card", "map", "name"]},
        "ignored": {"allow_all_keys": True, "ignored_keys": ["card"], "blocked_values": [CARD]},
        "summary": {"allowed_keys": ["card", "map"], "blocked_values": [CARD], "summary": "debug"},
    }.items():
        for body in found:
            add(c, f"body {body!r:.40}: {name}", "logs", settings, request("logs", [log(body, {"name": "x"})]))


def urls(c):
    addresses = ["/users/123/orders/456", "https://example.com/users/123?x=1", "/api/v1/users/8a7b-11/profile", "/static/app.js", "/", "", "not a url", "/users/john/cart", "GET /users/123", "/a/b/c/12345678-1234-1234-1234-123456789012", "http://example.com", "/orders/0001#frag", "/Users/ABC123"]
    pairs = {f"url{n}": address for n, address in enumerate(addresses)} | {"http.url": "/users/123", "number": 5}
    listed = [f"url{n}" for n in range(len(addresses))]
    settings = {"allow_all_keys": True, "url_sanitizer": {"enabled": True, "attributes": [*listed, "number"]}}
    add(c, "url attributes", "traces", settings, one("traces", pairs))
    add(c, "url attributes, not enabled", "traces", {"allow_all_keys": True, "url_sanitizer": {"enabled": False, "attributes": listed}}, one("traces", pairs))
    add(c, "url attributes of logs", "logs", settings, one("logs", pairs))
    add(c, "url attributes of metrics", "metrics", settings, one("metrics", pairs))
    for name in ("/users/123", "GET /users/123", "GET", "users", "GET /users/{id}"):
        for kind in range(6):
            add(c, f"url span name {name} {kind}", "traces", {"allow_all_keys": True, "url_sanitizer": {"enabled": True, "attributes": ["x"]}}, request("traces", [span(name, kind=kind)]))
    add(c, "url span name not treated", "traces", {"allow_all_keys": True, "url_sanitizer": {"enabled": True, "attributes": ["x"], "sanitize_span_name": False}}, request("traces", [span("/users/123")]))


def databases(c):
    queries = {
        "sql": ["SELECT * FROM users WHERE id = 5 AND name = 'jane'", "INSERT INTO t VALUES (1, 'x', 2.5)", "select 1", "UPDATE t SET a='b' WHERE c IN (1,2,3)", "no query", ""],
        "redis": ["SET user:1 secret", "GET user:1", "HSET h f v", "AUTH password", ""],
        "valkey": ["SET user:1 secret", "GET user:1"],
        "memcached": ["set key 0 60 5", "get key"],
        "mongo": ['{"find":"users","filter":{"name":"jane"}}', "not json"],
        "opensearch": ['{"query":{"match":{"title":"secret"}}}'],
        "es": ['{"query":{"match":{"title":"secret"}}}'],
    }
    systems = {"sql": ("mysql", "postgresql"), "redis": ("redis",), "valkey": ("valkey",), "memcached": ("memcached",), "mongo": ("mongodb",), "opensearch": ("opensearch",), "es": ("elasticsearch",)}
    for kind, texts in queries.items():
        for n, text in enumerate(texts):
            for system in (*systems[kind], None):
                pairs = {"db.statement": text, "db.query.text": text, **({"db.system": system} if system else {})}
                settings = {"allow_all_keys": True, "db_sanitizer": {kind: {"enabled": True, "attributes": ["db.statement"]}}}
                add(c, f"db {kind} {n} {system}", "traces", settings, request("traces", [span("q", pairs, kind=3)]))
                if system:
                    add(c, f"db {kind} {n} {system} span name", "traces", settings, request("traces", [span(text, pairs, kind=kind_of) for kind_of in range(6)]))
        add(c, f"db {kind} logs", "logs", {"allow_all_keys": True, "db_sanitizer": {kind: {"enabled": True, "attributes": ["db.statement"]}}}, one("logs", {"db.statement": texts[0]}))


def refused(c):
    item = one("traces", PERSONAL)
    for name, settings in {
        "bad blocked value": {"blocked_values": ["("]},
        "bad allowed value": {"allowed_values": ["("]},
        "bad key pattern": {"blocked_key_patterns": ["["]},
        "bad ignored pattern": {"ignored_key_patterns": ["["]},
        "hash": {"hash_function": "crc32"},
        "summary": {"summary": "loud"},
        "unknown key": {"blocked_keys": ["a"]},
        "look-ahead": {"blocked_values": ["a(?=b)"]},
        "hash in capitals": {"hash_function": "MD5"},
        "url attributes": {"url_sanitizer": {"enabled": True}},
        "db unknown": {"db_sanitizer": {"oracle": {"enabled": True}}},
        "number for list": {"allowed_keys": 5},
        "text for list": {"allowed_keys": "card"},
    }.items():
        c.add(f"config: {name}", "traces", settings, item)
