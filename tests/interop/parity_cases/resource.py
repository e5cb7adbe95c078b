"""The `resource` processor: the actions of `attributes`, on resources."""

from parity_cases.attributes import VALUES, act
from parity_cases.data import EVERY, Cases, event, every_metric, joined, log, request, resource, scope, span


def cases():
    c = Cases("resource")

    def data(signal, pairs=None):
        items = {
            "traces": [span(pairs=EVERY, events=[event("e", EVERY)])],
            "logs": [log("a body", EVERY)],
            "metrics": every_metric(),
        }[signal]
        return request(signal, items, of=resource(EVERY if pairs is None else pairs, droppedAttributesCount=2), under=scope(pairs=EVERY), url="https://a.test/1")

    def settings(*actions):
        return {"attributes": list(actions)}

    for action in ("insert", "update", "upsert"):
        for kind, v in VALUES.items():
            c.add(f"{action} {kind}", "logs", settings(act(action, "absent", value=v), act(action, "int", value=v)), data("logs"))
        for source in ("text", "int", "map", "list", "bytes", "nothing", "absent"):
            c.add(f"{action} from {source}", "traces", settings(act(action, "new", from_attribute=source), act(action, "yes", from_attribute=source)), data("traces"))
        c.add(f"{action} from context", "traces", settings(act(action, "new", from_context="metadata.x-a")), data("traces"), receiver={"include_metadata": True}, headers={"X-A": "b"})
    for key in EVERY:
        c.add(f"hash {key}", "metrics", settings(act("hash", key)), data("metrics"))
        c.add(f"delete {key}", "metrics", settings(act("delete", key)), data("metrics"))
        for kind in ("int", "double", "string"):
            if (key, kind) != ("double.large", "int"):
                c.add(f"convert {key} to {kind}", "traces", settings(act("convert", key, converted_type=kind)), data("traces"))
    c.add("extract", "logs", settings(act("extract", "url", pattern="(?P<scheme>[a-z]+)://")), data("logs"))
    c.add("delete pattern", "logs", settings(act("delete", pattern="^(int|double)")), data("logs"))
    c.add("hash pattern", "logs", settings(act("hash", pattern="text")), data("logs"))
    mixed = settings(act("insert", "a", value=1), act("upsert", "text", from_attribute="int"), act("delete", "map"), act("hash", "yes"))
    for signal in ("traces", "logs", "metrics"):
        c.add(f"mixed {signal}", signal, mixed, data(signal))
        c.add(f"empty resource {signal}", signal, mixed, data(signal, {}))
        both = data(signal)
        (group,) = both
        absent = {group: [{key: part for key, part in both[group][0].items() if key != "resource"}]}
        c.add(f"absent resource {signal}", signal, mixed, absent)
        c.add(f"two resources {signal}", signal, mixed, joined(both, absent, both))
    for name, wrong in {
        "no attributes": {},
        "empty attributes": {"attributes": []},
        "actions": {"actions": [act("delete", "a")]},
        "include": {"include": {"match_type": "strict", "services": ["a"]}, "attributes": [act("delete", "a")]},
        "unknown action": settings(act("remove", "a")),
        "no source": settings(act("insert", "a")),
    }.items():
        c.add(f"config: {name}", "logs", wrong, data("logs"))
    return c.cases
