"""The same traces through `tail_sampling` of the real Collector and of weir: what `test_tail_parity.py` is built from.

All cases run in two processes, a pipeline for each, with `batch` behind the sampler. The first round is sent through every
pipeline, decisions are waited for by both programs' own metrics, then late spans are sent, and both are stopped, which
decides what waits. Of each case is compared which spans arrived of which trace, with their resource and scope.
"""

import collections
import functools
import hashlib
import http.client
import socket
import threading
import time

from google.protobuf import json_format

import parity
from otlp import REQUESTS
from parity import SIDES, escaped, free_ports
from processes import Weir, own_metrics, poll

SEND_SECONDS_MAX = 7  # a case's first round has to be through before the first decision, after 8 s
ATTEMPTS = 3  # on a machine that is too busy for that
EXECUTIONS = "otelcol_processor_tail_sampling_sampling_policy_execution_count"


def level(message, field):
    """An absent submessage and an empty one mean the same. (So do, below, no parent and one of zeros.)"""
    if message.HasField(field) and not getattr(message, field).ByteSize():
        message.ClearField(field)


@functools.lru_cache(maxsize=64)
def spans_in(bodies):
    """Spans of requests by trace: a multiset of digests; and a text for each digest."""
    kept, texts = collections.defaultdict(collections.Counter), {}
    for body in bodies:
        for group in REQUESTS["traces"].FromString(body).resource_spans:
            level(group, "resource")
            around = group.resource.SerializeToString()
            for scope in group.scope_spans:
                level(scope, "scope")
                inner = hashlib.blake2b(around + b"/" + scope.scope.SerializeToString(), digest_size=16)
                for span in scope.spans:
                    level(span, "status")
                    if not any(span.parent_span_id):
                        span.parent_span_id = b""
                    hashed = inner.copy()
                    hashed.update(span.SerializeToString())
                    digest = hashed.digest()
                    kept[span.trace_id][digest] += 1
                    texts.setdefault(digest, (group.resource, scope.scope, span))
    return kept, texts


def text_of(entry):
    return " ".join(json_format.MessageToJson(part, indent=None) for part in entry)[:900]


class TooBusy(Exception):
    """Requests took so long that some traces were decided before they were complete."""


class Side:
    """One of the two programs, with a pipeline for each case."""

    def __init__(self, lab, name, sink, cases, ports, metrics_port):
        self.lab, self.name, self.sink, self.cases, self.ports, self.metrics_port = lab, name, sink, cases, ports, metrics_port

    def configuration(self):
        config = {"receivers": {}, "processors": {"batch": {"timeout": "50ms"}}, "exporters": {}, "service": {"pipelines": {}}}
        for number, case in enumerate(self.cases):
            config["receivers"][f"otlp/case{number}"] = {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.ports[number]}"}}}
            config["processors"][f"tail_sampling/case{number}"] = escaped(case.settings)
            config["exporters"][f"otlp_http/case{number}"] = {
                "endpoint": f"http://127.0.0.1:{self.sink.port}/{self.name}.{number}",
                "compression": "none",
                "sending_queue": {"enabled": False},
            }
            config["service"]["pipelines"][f"traces/case{number}"] = {
                "receivers": [f"otlp/case{number}"],
                "processors": [f"tail_sampling/case{number}", "batch"],
                "exporters": [f"otlp_http/case{number}"],
            }
        logs = {"level": "fatal" if self.name == "otelcol" else "error"}
        config["service"]["telemetry"] = {"metrics": own_metrics(f"127.0.0.1:{self.metrics_port}"), "logs": logs}
        return config

    def start(self):
        path = self.lab.write_config(self.name, self.configuration())
        self.process = Weir(self.name, [self.lab.tools[self.name], f"--config={path}"], self.lab.directory)
        self.process.metrics_address = f"127.0.0.1:{self.metrics_port}"
        self.lab.processes.append(self.process)
        self.process.listening(*(f"127.0.0.1:{port}" for port in self.ports))

    def send(self, bodies):
        """Sends these requests through every pipeline, one after another; yields the seconds that each took."""
        for port in self.ports:
            begun = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for body in bodies:
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                assert (answer.status, answer.read()) in ((200, b""), (200, b"\n\0")), f"{self.name} answers {answer.status}"
            connection.close()
            yield time.monotonic() - begun

    def decided(self):
        """Traces decided by now, by case: as often as its busiest policy was asked."""
        counts = collections.Counter()
        for name, labels, value in self.process.metrics():
            if name.removesuffix("_total") == EXECUTIONS:
                number = int(labels["policy"].split(".")[0].removeprefix("case"))
                counts[number] = max(counts[number], int(value))
        return counts

    def run(self, traffic):
        self.start()
        self.slowest = max(self.send(traffic.first))
        expected = {"all": len(traffic.traces), "with_root": len(traffic.with_root), "none": 0}
        wanted = {number: expected[case.decided] for number, case in enumerate(self.cases) if case.decided != "none"}

        def complete():
            counts = self.decided()
            return all(counts[number] >= count for number, count in wanted.items())

        poll(f"{self.name}'s decisions", complete, 40)
        # Those that are not counted for sure began before the last ones that are.
        time.sleep(1)
        collections.deque(self.send(traffic.late), maxlen=0)


def run(lab, cases, traffic, sink):
    """Runs all cases on both sides at once; returns by side and name of a case the requests that arrived."""
    for attempt in range(ATTEMPTS):
        try:
            return run_once(lab, cases, traffic, sink)
        except TooBusy as busy:
            problem = busy
    raise AssertionError(f"{problem}, {ATTEMPTS} times")


def run_once(lab, cases, traffic, sink):
    ports = free_ports(2 * len(cases) + 2)
    # Traces of cases that are not waited for are decided while the others are.
    order = sorted(cases, key=lambda case: case.decided != "none")
    sides = [Side(lab, name, sink, order, ports[2 + place :: 2], ports[place]) for place, name in enumerate(SIDES)]
    failures = []

    def work(side):
        try:
            side.run(traffic)
        except Exception as error:  # handed to the caller below
            failures.append(error)

    threads = [threading.Thread(target=work, args=[side]) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    for side in sides:
        if side.name == "weir":
            side.process.stop_balanced()
        else:
            side.process.stop()
    slowest = max(sides, key=lambda side: side.slowest)
    if slowest.slowest > SEND_SECONDS_MAX:
        for side in sides:
            for number in range(len(order)):
                sink.take(f"{side.name}.{number}")
        raise TooBusy(f"{slowest.name} took {slowest.slowest:.1f} s for the requests of one case")
    outcomes = {}
    for side in sides:
        taken = [tuple(body for _, body in sink.take(f"{side.name}.{number}")) for number in range(len(order))]
        outcomes[side.name] = {case.name: taken[number] for number, case in enumerate(order)}
    return outcomes


def compare(case, traffic, theirs, ours):
    """The first difference between what the two sides kept as text, or nothing."""
    (expected, expected_texts), (found, texts) = spans_in(theirs), spans_in(ours)
    missing, surplus = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or surplus:
        examples = ", ".join(trace.hex() for trace in (missing or surplus)[:3])
        return f"of {len(expected)} traces that the Collector keeps, weir lacks {len(missing)} and keeps {len(surplus)} more: {examples}"
    sent, sent_texts = spans_in(tuple(traffic.first + traffic.late))
    for trace, spans in expected.items():
        if case.whole and spans != sent[trace]:
            lacks = [text_of(sent_texts[digest]) for digest in list(sent[trace] - spans)[:1]]
            more = [text_of(expected_texts[digest]) for digest in list(spans - sent[trace])[:1]]
            return f"the Collector keeps {spans.total()} of {sent[trace].total()} spans of {trace.hex()}: lacks {lacks}, has {more}"
        if spans != found[trace]:
            lacks, more = spans - found[trace], found[trace] - spans
            examples = [f"lacks {text_of(sent_texts[digest])}" for digest in list(lacks)[:1] if digest in sent_texts]
            examples += [f"has {text_of(texts[digest])}" for digest in list(more)[:1]]
            return f"of {trace.hex()} weir lacks {lacks.total()} spans and has {more.total()} others: {'; '.join(examples)}"
    return ""
