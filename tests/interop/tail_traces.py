"""The traces that `tail_sampling` is compared by: six hundred of many shapes, some of which are traps for single policies.

What is sent in the first round comes in several requests, in which the spans of many traces are mixed; what is sent late
comes after the decision. The same seed makes the same traces.
"""

import dataclasses
import random

from parity import encode
from parity_cases.data import NANOS, event, link, request, resource, scope, span

TRACES = 600
TOGETHER = 75  # traces that share requests
ROUNDS = 3  # requests that the spans of a trace are spread over
MS = 1_000_000
GIANT_BYTES = 20_000  # of traces that are larger by far than all others
MARKED = {8: "small", 57: "giant"}  # two that policies can find

RESOURCES = [
    resource({"service.name": "checkout", "region": "eu", "tier": 1}),
    resource({"service.name": "cart", "region": "us", "tier": 2, "canary": True}),
    resource({"service.name": "billing", "region": "", "tier": "2", "canary": False, "code": 503}),
    resource({"service.name": 7, "region": ["eu"], "tier": 2.0, "canary": "true"}),
    resource({}),
    resource([("service.name", "twice"), ("region", "eu"), ("region", "us"), ("tier", 9), ("tier", 1)]),
]
SCOPES = [scope(), scope("lib.two", "", {"scope.kind": "manual"}), {}]
CODES = [200, 200, 204, 301, 399, 400, 404, 499, 500, 503, 0, -5, 2**62, -(2**63), "404", 404.0, True, [404], b"404"]
TEXTS = ["alpha", "beta", "ab", "abbb", "ALPHA", "alpha\n", "", " alpha", "ünï", "a" * 300, "gold", "silver", 5, True, 0.5, ["gold"], b"gold"]
FLAGS = [True, True, False, False, "true", 1, 0, [True], 1.0]
STATES = ["vendor=1", "vendor=2,ot=th:8", "ot=th:8,vendor=2", "vendor", "Vendor=1", "vendor=1,vendor=2", " vendor=1", "vendor=1 ", "vendor =1", "vendor=", "other=1", "=1", "vendor=1,", ",vendor=1", "vendor=1,,a=b", "vendor=1,b@d=2", "t@vendor=1", "vendor=a=b", f"vendor={'x' * 256}", f"vendor={'y' * 249}", "ot=th:c;rv:abcdef01234567"]
DURATIONS = [0, 1, 999_999, MS, 5 * MS, 49_999_999, 50 * MS, 50 * MS + 1, 51 * MS, 99 * MS, 100 * MS, 100 * MS + 999_999, 101 * MS, 500 * MS, 2000 * MS, 2001 * MS, 60_000 * MS]
UNKNOWN = -1  # of traces whose spans lack starts or ends


@dataclasses.dataclass
class Traffic:
    """Requests as bytes, in order, and what is known of the traces in them."""

    first: list
    late: list
    traces: set  # trace IDs, as bytes
    with_root: set  # those with a root in the first round


def of_a_span(source):
    """Fields that policies look at, mostly absent."""
    fields, pairs = {}, []
    if source.random() < 0.4:
        pairs.append(("code", source.choice(CODES)))
    if source.random() < 0.3:
        pairs.append(("text", source.choice(TEXTS)))
    if source.random() < 0.3:
        pairs.append(("flag", source.choice(FLAGS)))
    if source.random() < 0.1:
        pairs.append((source.choice(["region", "tier", "canary"]), source.choice(["eu", "us", 1, 2, True, False])))
    if pairs and source.random() < 0.1:
        # The same key again, with another value: the first counts.
        pairs.append((pairs[0][0], source.choice(CODES + TEXTS + FLAGS)))
    if source.random() < 0.12:
        fields["traceState"] = source.choice(STATES)
    if source.random() < 0.15:
        fields["flags"] = source.choice([1, 0x100, 0x101, 0x300, 0x301, 2, 3])
    if source.random() < 0.1:
        fields["events"] = [event(source.choice(["exception", "retry"]), {"exception.type": source.choice(["IOError", "ValueError", 5])}) for _ in range(source.randint(1, 3))]
    if source.random() < 0.05:
        fields["links"] = [link({"a": 1})]
    fields["kind"] = source.randrange(6)
    return pairs, fields


def status(source, fails):
    if fails:
        return {"status": {"code": 2, "message": "it broke"}}
    drawn = source.random()
    return {"status": {"code": 1}} if drawn < 0.15 else {"status": {}} if drawn < 0.2 else {"status": {"code": 3}} if drawn < 0.21 else {}


def times(source, begin, duration, place, count):
    """Start and end of a span in a trace of this duration: the first span spans all, or the last ones make it long."""
    if duration == UNKNOWN:
        # What clocks do: no start, no end, an end before the start.
        duration = 60_000 * MS
        return source.choice([(begin, begin + duration), (0, begin + duration), (begin, 0), (0, 0), (begin + duration, begin)])
    if source.random() < 0.5 or count == 1:
        return (begin, begin + duration) if place == 0 else (begin + duration // 3, begin + duration // 2)
    slice_ = duration // count
    return begin + place * slice_, begin + duration if place == count - 1 else begin + (place + 1) * slice_


def spans_of(source, number, trace_id):
    """The spans of one trace: (round, resource, scope, span), late ones with round `ROUNDS`."""
    count = source.choice([1, 1, 2, 2, 3, 4, 5, 6, 9, 14])
    fails = source.randrange(count) if source.random() < 0.15 else -1
    root = source.randrange(count) if source.random() < 0.85 else -1
    duration, begin = UNKNOWN if number % 40 == 3 else source.choice(DURATIONS), NANOS + number * 10 * MS
    where = [source.choice(RESOURCES) for _ in range(source.choice([1, 1, 2]))]
    found = []
    for place in range(count + source.choice([0, 0, 0, 1, 2])):
        pairs, fields = of_a_span(source)
        if place == 0 and number % 50 == 7:
            pairs.append(("padding", "x" * GIANT_BYTES))
        if place == 0 and duration == UNKNOWN:
            pairs.append(("clock", "wrong"))
        if place == 0 and number in MARKED:
            pairs.append(("marked", MARKED[number]))
        is_late = place >= count
        fields |= status(source, place == fails or is_late and source.random() < 0.5)
        if place != root:
            fields["parentSpanId"] = f"{number + 1:08x}{root + 1:08x}"
        elif source.random() < 0.2:
            fields["parentSpanId"] = "0" * 16
        start, end = times(source, begin, duration, min(place, count - 1), count)
        made = span(f"span {number}.{place}", pairs, traceId=trace_id, spanId=f"{number + 1:08x}{place + 1:08x}", startTimeUnixNano=str(start), endTimeUnixNano=str(end), **fields)
        entry = (ROUNDS if is_late else source.randrange(ROUNDS), source.choice(where), source.choice(SCOPES), made)
        # Some are sent twice, as after an answer that got lost.
        found += [entry] * (2 if source.random() < 0.03 else 1)
    return found


def make(seed=20261121):
    source = random.Random(seed)
    rounds, traces, with_root = [[] for _ in range(ROUNDS + 1)], set(), set()
    for begin in range(0, TRACES, TOGETHER):
        mixed = [[] for _ in range(ROUNDS + 1)]
        for number in range(begin, begin + TOGETHER):
            trace_id = "0" * 30 + "01" if number == 0 else f"{source.getrandbits(128):032x}"
            traces.add(bytes.fromhex(trace_id))
            for turn, *around in spans_of(source, number, trace_id):
                mixed[turn].append(around)
                if turn < ROUNDS and not around[2].get("parentSpanId", "").strip("0"):
                    with_root.add(bytes.fromhex(trace_id))
        for turn, entries in enumerate(mixed):
            source.shuffle(entries)
            rounds[turn].append(encode("traces", grouped(entries)))
    # Whole groups after each other, so that the parts of a trace are not far apart in time.
    first = [body for bodies in zip(*rounds[:ROUNDS]) for body in bodies]
    return Traffic(first, rounds[ROUNDS], traces, with_root)


def grouped(entries):
    """A request in which each pair of resource and scope stands once, with all its spans."""
    groups = {}
    for of, under, made in entries:
        groups.setdefault(id(of), (of, {}))[1].setdefault(id(under), (under, []))[1].append(made)
    found = []
    for number, (of, scopes) in enumerate(groups.values()):
        whole = request("traces", [], of)["resourceSpans"][0]
        whole["schemaUrl"] = f"https://example.test/{number}"
        whole["scopeSpans"] = [{"scope": under, "spans": spans} for under, spans in scopes.values()]
        found.append(whole)
    return {"resourceSpans": found}
