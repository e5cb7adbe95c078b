"""The `probabilistic_sampler` processor: which items are kept and what is written into them, by mode, share and seed."""

import random

from parity_cases.data import EVERY, Cases, attributes, log, one, request, resource, span

SHARES = (0, 0.01, 1, 6.25, 12.5, 25, 33.3333, 50, 66.6, 75, 99, 99.99, 100, 150)


def ids(count, seed=7):
    source = random.Random(seed)
    return [f"{source.getrandbits(128):032x}" for _ in range(count)]


def spans():
    states = ["", "ot=th:8", "ot=th:c", "ot=rv:abcdef01234567", "ot=th:8;rv:f0000000000000", "ot=th:8;rv:10000000000000", "vendor=1", "vendor=1,ot=th:4", "ot=th:0", "ot=rv:123", "ot=th:zz", "bad", "ot=th:8;x:y", "ot=th:8000", "ot=", "a=b,c=d,ot=rv:ffffffffffffff;th:fd70a4"]
    found = [span(f"plain {n}", traceId=trace) for n, trace in enumerate(ids(120))]
    found += [span(f"state {n} {state}", traceId=trace, traceState=state) for state in states for n, trace in enumerate(ids(5, seed=len(state) + 1))]
    return found


def odd_spans():
    found = [span("no trace", traceId=""), span("zero trace", traceId="0" * 32), span("lowest", traceId="f" * 18 + "0" * 14), span("highest", traceId="0" * 18 + "f" * 14)]
    return found


def priorities():
    values = [0, 1, -1, 5, 0.0, 0.5, 2.0, "0", "1", "0.5", "", "x", True, False, None, [1]]
    return [span(f"priority {n} {v!r}", {"sampling.priority": v}, traceId=trace) for v in values for n, trace in enumerate(ids(3, seed=3))]


def logs():
    found = [log(f"plain {n}", traceId=trace) for n, trace in enumerate(ids(80))]
    found += [log(f"no trace {n}", {"key": f"value {n}", "n": n, "prio": n * 5}) for n in range(40)]
    found += [log(f"own {n} {t} {r}", {"sampling.threshold": t, **({"sampling.randomness": r} if r else {})}, traceId=trace) for t, r in (("8", ""), ("c", ""), ("8", "f0000000000000"), ("8", "10000000000000"), ("zz", ""), ("0", ""), ("", "")) for n, trace in enumerate(ids(4, seed=5))]
    found += [log(f"randomness {r}", {"sampling.randomness": r}) for r in ("ffffffffffffff", "00000000000000", "abc", "")]
    found += [log(f"prio {v!r}", {"prio": v}, traceId=trace) for v in (0, 100, 50, 25.5, "75", "x", True, -5, 500, None) for trace in ids(3, seed=9)]
    found += [log(f"key {v!r}", {"key": v}) for v in ("a", "", 5, 2.5, True, b"bytes", None)]
    return found


def cases():
    c = Cases("probabilistic_sampler")
    all_spans, all_logs = request("traces", spans()), request("logs", logs())
    for mode in ("hash_seed", "equalizing", "proportional"):
        for share in SHARES:
            settings = {"mode": mode, "sampling_percentage": share}
            c.add(f"traces {mode} {share}", "traces", settings, all_spans)
            c.add(f"traces {mode} {share} open", "traces", {**settings, "fail_closed": False}, all_spans)
            c.add(f"logs {mode} {share}", "logs", settings, all_logs)
            c.add(f"logs {mode} {share} open", "logs", {**settings, "fail_closed": False}, all_logs)
            c.add(f"logs {mode} {share} by attribute", "logs", {**settings, "attribute_source": "record", "from_attribute": "key"}, all_logs)
            c.add(f"logs {mode} {share} by priority", "logs", {**settings, "sampling_priority": "prio"}, all_logs)
        for precision in (1, 2, 3, 4, 8, 14):
            c.add(f"traces {mode} precision {precision}", "traces", {"mode": mode, "sampling_percentage": 33.3333, "sampling_precision": precision}, all_spans)
            c.add(f"logs {mode} precision {precision}", "logs", {"mode": mode, "sampling_percentage": 0.7, "sampling_precision": precision}, all_logs)
        for closed in (True, False):
            c.add(f"priorities {mode} {closed}", "traces", {"mode": mode, "sampling_percentage": 50, "fail_closed": closed}, request("traces", priorities()))
            c.add(f"odd ids {mode} {closed}", "traces", {"mode": mode, "sampling_percentage": 50, "fail_closed": closed}, request("traces", odd_spans()))
        c.add(f"attribute where there is no trace {mode}", "logs", {"mode": mode, "sampling_percentage": 50, "from_attribute": "key"}, all_logs)
        c.add(f"no trace and no attribute {mode}", "logs", {"mode": mode, "sampling_percentage": 50, "attribute_source": "record", "from_attribute": "absent"}, all_logs)
    for seed in (1, 22, 12345, 2**32 - 1):
        c.add(f"traces seed {seed}", "traces", {"hash_seed": seed, "sampling_percentage": 40}, all_spans)
        c.add(f"logs seed {seed}", "logs", {"hash_seed": seed, "sampling_percentage": 40}, all_logs)
    c.add("no mode", "traces", {"sampling_percentage": 30}, all_spans)
    c.add("empty mode", "traces", {"mode": "", "sampling_percentage": 30}, all_spans)
    c.add("nothing set", "traces", {}, all_spans)
    c.add("two stages equalizing", "traces", [{"probabilistic_sampler": {"mode": "equalizing", "sampling_percentage": share}} for share in (50, 25)], all_spans)
    c.add("two stages proportional", "traces", [{"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": share}} for share in (50, 50)], all_spans)
    c.add("two stages hash_seed", "traces", [{"probabilistic_sampler": {"hash_seed": 1, "sampling_percentage": share}} for share in (50, 50)], all_spans)
    c.add("hash_seed, then equalizing", "traces", [{"probabilistic_sampler": {"mode": mode, "sampling_percentage": 50}} for mode in ("hash_seed", "equalizing")], all_spans)
    for kind, v in EVERY.items():
        records = [log(f"{kind} {n}", attributes_of) for n, attributes_of in enumerate(({"key": v, "other": 1}, {"key": v}))]
        c.add(f"randomness of {kind}", "logs", {"sampling_percentage": 50, "attribute_source": "record", "from_attribute": "key"}, request("logs", records))
    repeated = {**span(traceId=ids(1)[0]), "attributes": attributes([("sampling.priority", 0), ("sampling.priority", 1)])}
    c.add("priority twice", "traces", {"sampling_percentage": 50}, request("traces", [repeated]))
    c.add("everything goes", "traces", {"sampling_percentage": 0}, request("traces", spans()[:3], of=resource()))
    for name, settings in {
        "negative": {"sampling_percentage": -1},
        "tiny": {"sampling_percentage": 1e-20},
        "precision 0": {"sampling_percentage": 1, "sampling_precision": 0},
        "precision 15": {"sampling_percentage": 1, "sampling_precision": 15},
        "precision negative": {"sampling_percentage": 1, "sampling_precision": -1},
        "mode": {"sampling_percentage": 1, "mode": "random"},
        "seed negative": {"sampling_percentage": 1, "hash_seed": -1},
        "seed too large": {"sampling_percentage": 1, "hash_seed": 2**32},
        "text": {"sampling_percentage": "x"},
        "unknown key": {"sampling_percentage": 1, "seed": 1},
        "source": {"sampling_percentage": 1, "attribute_source": "span"},
        "source without attribute": {"sampling_percentage": 1, "attribute_source": "record"},
        "infinite": {"sampling_percentage": ".inf"},
    }.items():
        c.add(f"config: {name}", "logs", settings, one("logs", EVERY))
    return c.cases
