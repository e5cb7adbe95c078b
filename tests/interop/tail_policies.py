"""Configurations of `tail_sampling` that decide the same for the same traces: each policy type with its traps, how votes
combine, and when decisions fall.

Left out is what depends on the order or the second in which traces are decided, which the Collector takes from a map:
limits that are reached by some traces and not by others (`rate_limiting`, `composite`), and what `num_traces` pushes out.
"""

import dataclasses

WAIT = "8s"
NEVER = "600s"  # decided at the shutdown, unless a root hastens it


@dataclasses.dataclass
class Case:
    """Settings of the processor. `decided`: the traces that a first round leaves decided, `all` unless said otherwise."""

    name: str
    settings: dict
    decided: str = "all"  # all, with_root, or none of them for sure
    whole: bool = True  # each kept trace arrives with all of its spans, late ones included

    @property
    def full_name(self):
        return f"tail_sampling/{self.name}".removesuffix(": ")


def policy(kind, settings=None, name="p"):
    return {"name": name, "type": kind, **({kind: settings} if settings is not None else {})}


def several(*policies):
    """Policies with names of their own, in order."""
    return [{**one, "name": f"p{place}"} for place, one in enumerate(policies)]


ALWAYS, FLAGGED = policy("always_sample"), policy("trace_flags")
ERRORS = policy("status_code", {"status_codes": ["ERROR"]})
SLOW = policy("latency", {"threshold_ms": 1500})
HALF = policy("probabilistic", {"sampling_percentage": 50})
GOLD = policy("string_attribute", {"key": "text", "values": ["gold", "silver"]})
NOT_ALPHA = policy("string_attribute", {"key": "text", "values": ["alpha"], "invert_match": True})
FEW = policy("numeric_attribute", {"key": "code", "min_value": 400, "max_value": 599, "invert_match": True})
WRONG = {"key": "clock", "values": ["wrong"]}
WRONG_CLOCK, RIGHT_CLOCK = policy("string_attribute", WRONG), policy("string_attribute", {**WRONG, "invert_match": True})
MANY_SPANS = policy("span_count", {"min_spans": 5})
CANARY = policy("boolean_attribute", {"key": "canary", "value": True})
FAILING = 'Substring(name, 7, 2) == "77"'  # an error for short names
BROKEN = policy("ottl_condition", {"error_mode": "propagate", "span": [FAILING]})


def and_(*subs):
    return policy("and", {"and_sub_policy": several(*subs)})


def drop(*subs):
    return policy("drop", {"drop_sub_policy": several(*subs)})


def not_(sub):
    return policy("not", {"not_sub_policy": {**sub, "name": "sub"}})


def composite(total, subs, rates, order=()):
    allocation = [{"policy": name, "percent": percent} for name, percent in rates.items()]
    return policy("composite", {"max_total_spans_per_second": total, "policy_order": list(order), "composite_sub_policy": several(*subs), "rate_allocation": allocation})


LOTS = 10**9
TOO_LARGE = 15_000  # between the largest ordinary trace and the giants; sizes are not the same to the byte
SINGLE = {
    "always_sample": {"": None},
    "trace_flags": {"": None},
    "latency": {
        "100": {"threshold_ms": 100}, "none": {},
        "50 to 100": {"threshold_ms": 50, "upper_threshold_ms": 100}, "0 to 50": {"upper_threshold_ms": 50}, "100 to 2000": {"threshold_ms": 100, "upper_threshold_ms": 2000}, "100 to 50": {"threshold_ms": 100, "upper_threshold_ms": 50},
    },
    "numeric_attribute": {
        "at least": {"key": "code", "min_value": 400}, "at most": {"key": "code", "max_value": 299}, "between": {"key": "code", "min_value": 400, "max_value": 499},
        "at most, others count as 0": {"key": "code", "max_value": 1}, "negative": {"key": "code", "max_value": -1}, "least of all": {"key": "code", "min_value": -(2**63)}, "between, swapped": {"key": "code", "min_value": 500, "max_value": 400},
        "0 is no limit": {"key": "code", "min_value": 0, "max_value": 204}, "of resources": {"key": "tier", "min_value": 2, "max_value": 2}, "of nothing": {"key": "none", "min_value": 1},
        "inverted": {"key": "code", "min_value": 400, "max_value": 499, "invert_match": True}, "inverted, of resources": {"key": "tier", "min_value": 2, "invert_match": True}, "inverted, of nothing": {"key": "none", "min_value": 1, "invert_match": True}, "inverted, others count as 0": {"key": "code", "max_value": 1, "invert_match": True},
    },
    "probabilistic": {
        **{f"{share} %": {"sampling_percentage": share} for share in (0, 0.5, 10, 33.333, 50, 99.9, 100, 150, -5)},
        "salted": {"sampling_percentage": 33.333, "hash_salt": "another"}, "salted with a blank": {"sampling_percentage": 50, "hash_salt": " "}, "salted beyond ASCII": {"sampling_percentage": 50, "hash_salt": "Salz⚂"},
    },
    "status_code": {" ".join(codes): {"status_codes": codes} for codes in (["ERROR"], ["OK"], ["UNSET"], ["OK", "ERROR"], ["OK", "ERROR", "UNSET"])},
    "string_attribute": {
        "one": {"key": "text", "values": ["alpha"]}, "several": {"key": "text", "values": ["gold", "beta", "nothing"]}, "empty": {"key": "text", "values": [""]}, "no values": {"key": "text", "values": []}, "of resources": {"key": "region", "values": ["eu"]}, "empty, of resources": {"key": "region", "values": [""]}, "number": {"key": "text", "values": ["5", "true"]}, "long": {"key": "text", "values": ["a" * 300]},
        "regex": {"key": "text", "values": ["b+"], "enabled_regex_matching": True}, "regex, anchored": {"key": "text", "values": ["^a", "r$"], "enabled_regex_matching": True}, "regex, any case": {"key": "text", "values": ["(?i)^alpha$"], "enabled_regex_matching": True}, "regex, anything": {"key": "text", "values": [".*"], "enabled_regex_matching": True}, "regex, empty only": {"key": "region", "values": ["^$"], "enabled_regex_matching": True}, "regex, cached": {"key": "text", "values": ["a", "x$"], "enabled_regex_matching": True, "cache_max_size": 1}, "regex, a letter": {"key": "text", "values": [r"\pL{3}", r"^\w\W"], "enabled_regex_matching": True},
        "inverted": {"key": "text", "values": ["alpha", "beta"], "invert_match": True}, "inverted, of resources": {"key": "region", "values": ["us"], "invert_match": True}, "inverted regex": {"key": "text", "values": ["a"], "enabled_regex_matching": True, "invert_match": True}, "inverted, of nothing": {"key": "none", "values": ["a"], "invert_match": True}, "service": {"key": "service.name", "values": ["twice", "7"]},
    },
    "trace_state": {
        "one": {"key": "vendor", "values": ["1"]}, "several": {"key": "vendor", "values": ["2", "3", ""]}, "absent": {"key": "vendor", "values": [""]}, "with equals": {"key": "vendor", "values": ["a=b"]}, "too long": {"key": "vendor", "values": ["x" * 256]}, "long": {"key": "vendor", "values": ["y" * 249]}, "sampling": {"key": "ot", "values": ["th:8", "th:c;rv:abcdef01234567"]}, "empty key": {"key": "", "values": ["1"]}, "another case": {"key": "Vendor", "values": ["1"]}, "tenant": {"key": "t@vendor", "values": ["1"]},
    },
    "boolean_attribute": {
        "true": {"key": "flag", "value": True}, "false": {"key": "flag", "value": False}, "others count as false": {"key": "text", "value": False}, "of resources": {"key": "canary", "value": True}, "of nothing": {"key": "none"},
        "inverted": {"key": "flag", "value": True, "invert_match": True}, "inverted, false": {"key": "flag", "value": False, "invert_match": True}, "inverted, of nothing": {"key": "none", "value": True, "invert_match": True},
    },
    "ottl_condition": {
        "span": {"span": ['attributes["code"] == 404']}, "several": {"span": ['attributes["text"] == "gold"', "kind == SPAN_KIND_SERVER and status.code == STATUS_CODE_ERROR"]}, "event": {"spanevent": ['name == "exception" and attributes["exception.type"] == "IOError"']}, "both": {"span": ['resource.attributes["region"] == "us"'], "spanevent": ['name == "retry"']}, "of the whole": {"span": ['IsMatch(name, "9$") and end_time_unix_nano - start_time_unix_nano > 100000000']}, "root": {"span": ["IsRootSpan() and kind == SPAN_KIND_CLIENT"]}, "scope": {"span": ['instrumentation_scope.name == "lib.two"']},
        **{f"fails, {mode}": {"error_mode": mode, "span": [FAILING, 'attributes["code"] == 404']} for mode in ("ignore", "silent", "propagate")}, "fails, unsaid": {"span": [FAILING, 'attributes["code"] == 404']}, "fails in events": {"error_mode": "propagate", "spanevent": ['Substring(attributes["exception.type"], 0, 7) == "IOError"']},
    },
    "span_count": {"2": {"min_spans": 2}, "3 to 5": {"min_spans": 3, "max_spans": 5}, "at most 2": {"max_spans": 2}, "none": {}, "5 to 3": {"min_spans": 5, "max_spans": 3}},
    "bytes_limiting": {"lots": {"bytes_per_second": 10**12}, "a burst of lots": {"bytes_per_second": 1, "burst_capacity": 10**12}, "0": {"bytes_per_second": 0}, "less than any": {"bytes_per_second": 10}},
    "rate_limiting": {"lots": {"spans_per_second": LOTS}, "0": {"spans_per_second": 0}, "1": {"spans_per_second": 1}},
}

COMBINED = {
    "and: errors and slow": [and_(RIGHT_CLOCK, ERRORS, SLOW)],
    "and: inverted": [and_(NOT_ALPHA, FEW, HALF)],
    "and: one": [and_(GOLD)],
    **{f"and: {ms} ms, known times": [and_(RIGHT_CLOCK, policy("latency", {"threshold_ms": ms}))] for ms in (-1, 20, 98, 150, 1500, 59_999)},
    "and: 1500 ms, unknown times": [and_(WRONG_CLOCK, SLOW)],
    **{f"and: limit of {size}, {mark}": [and_(policy("string_attribute", {"key": "marked", "values": [mark]}), policy("bytes_limiting", {"bytes_per_second": 1, "burst_capacity": size}))] for mark in ("small", "giant") for size in (100, TOO_LARGE, 100_000)},
    "and: fails": [and_(ERRORS, BROKEN)],
    "and: fails behind what says no": [and_(policy("probabilistic", {"sampling_percentage": 0}), BROKEN)],
    "not: errors": [not_(ERRORS)],
    "not: inverted": [not_(NOT_ALPHA)],
    "not: share": [not_(HALF)],
    "not: fails": [not_(BROKEN)],
    "not: beside others": several(not_(MANY_SPANS), ERRORS),
    "drop: before all": several(ALWAYS, drop(CANARY)),
    "drop: inverted": several(drop(NOT_ALPHA), ALWAYS),
    "drop: all of several": several(ALWAYS, drop(HALF, MANY_SPANS)),
    "drop: fails": several(ALWAYS, drop(BROKEN)),
    "drop: two": several(drop(ERRORS), HALF, drop(FLAGGED), ALWAYS),
    "drop: alone": [drop(ERRORS)],
    "precedence: inverted is no veto": several(NOT_ALPHA, ERRORS),
    "precedence: inverted behind": several(ERRORS, FEW),
    "precedence: two inverted": several(NOT_ALPHA, FEW),
    "precedence: failing beside keeping": several(BROKEN, ERRORS, GOLD),
    "precedence: ten": several(ERRORS, and_(RIGHT_CLOCK, SLOW), GOLD, CANARY, MANY_SPANS, FLAGGED, and_(HALF, FEW), not_(NOT_ALPHA), BROKEN, drop(HALF, GOLD)),
    "composite: first that keeps": [composite(LOTS, [ERRORS, GOLD, HALF], {"p0": 50, "p1": 25, "p2": 25})],
    "composite: not listed keeps nothing": [composite(LOTS, [ERRORS, GOLD, HALF], {"p0": 50, "p2": 25})],
    "composite: what is used up decides": [composite(LOTS, [HALF, ALWAYS], {"p1": 100})],
    "composite: equal shares": [composite(LOTS, [ERRORS, HALF], {"p0": 0, "p1": 0})],
    "composite: nothing allowed": [composite(0, [ALWAYS], {"p0": 100})],
    "composite: order is that of the list": [composite(LOTS, [ERRORS, ALWAYS], {"p0": 50}, ["p1", "p0"])],
    "composite: with and": [composite(LOTS, [and_(RIGHT_CLOCK, ERRORS, SLOW), NOT_ALPHA], {"p0": 50, "p1": 50})],
    "composite: fails": several(composite(LOTS, [BROKEN, ALWAYS], {"p0": 50, "p1": 50}), ERRORS),
    "composite: share beyond the whole": [composite(LOTS, [ERRORS, HALF], {"p0": 150, "p1": -1})],
}

ROOT_FIRST = {"decision_wait": NEVER, "decision_wait_after_root_received": "2s"}
CACHES = {"decision_cache": {"sampled_cache_size": 10_000, "non_sampled_cache_size": 10_000}}


def cases():
    found = []
    for kind, variants in SINGLE.items():
        found += [Case(f"{kind}: {name}", {"policies": [policy(kind, settings)]}) for name, settings in variants.items()]
    found += [Case(name, {"policies": policies}) for name, policies in COMBINED.items()]
    # Late spans without and with caches; dropping ones are remembered, too.
    some = several(drop(FLAGGED), ERRORS, HALF)
    found += [
        Case("late: decision cache", {"policies": some, **CACHES}),
        Case("late: cache of kept ones", {"policies": some, "decision_cache": {"sampled_cache_size": 10_000}}),
        Case("late: cache of dropped ones", {"policies": some, "decision_cache": {"non_sampled_cache_size": 10_000}}),
        Case("first match: keeps", {"policies": several(GOLD, BROKEN, HALF), "sample_on_first_match": True}),
        Case("first match: drops first", {"policies": several(ALWAYS, drop(CANARY)), "sample_on_first_match": True}),
        Case("expected traces", {"policies": several(HALF), "expected_new_traces_per_sec": 1000}),
        Case("root: hastens", {"policies": several(HALF, ERRORS), **ROOT_FIRST, "drop_pending_traces_on_shutdown": True}, "with_root"),
        Case("root: others at shutdown", {"policies": several(HALF, ERRORS), **ROOT_FIRST, **CACHES}, "with_root"),
        Case("root: later than the wait", {"policies": several(HALF, ERRORS), "decision_wait_after_root_received": NEVER}),
        Case("shutdown: decides", {"policies": several(ERRORS, MANY_SPANS), "decision_wait": NEVER}, "none"),
        Case("shutdown: drops", {"policies": several(ALWAYS), "decision_wait": NEVER, "drop_pending_traces_on_shutdown": True}, "none"),
        Case("too large", {"policies": several(ALWAYS), "maximum_trace_size_bytes": TOO_LARGE}, "none"),
        Case("too large, decision cache", {"policies": several(ALWAYS), "maximum_trace_size_bytes": TOO_LARGE, **CACHES}, "none"),
        Case("too many: 100", {"policies": several(ALWAYS), "num_traces": 100}, "none", whole=False),
    ]
    for case in found:
        case.settings = {"decision_wait": WAIT, **case.settings}
    return found
