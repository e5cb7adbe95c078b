"""The same requests through the real Collector and weir, compared one by one: what `test_parity.py` is built from.

A *case* is a configuration of processors and requests. All cases of one run share two processes: each case has a pipeline
and a receiver of its own, and both programs export to a sink in this process, one request at a time, so that what arrives
between a request and its answer belongs to its case. Requests are sent as the same bytes to both.

Of each case is compared: whether the configuration is accepted; of each request whether it is taken (200) or refused;
what arrived at the sink. Messages are compared whole; what means nothing is levelled: the order of attributes, resources and scopes,
and an absent and an empty `status`, `body`, `resource`, `scope`, value and half of an exponential histogram. The order of items is not levelled.
"""

import collections
import dataclasses
import functools
import http.client
import http.server
import json
import os
import random
import re
import socket
import subprocess
import threading

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from otlp import GROUPS, REQUESTS, ids_to_base64
from processes import Weir, own_metrics

SIDES = ("otelcol", "weir")
LEVELLED = ("status", "body", "resource", "scope", "value", "positive", "negative")
ATTRIBUTES = ("attributes", "values", "metadata", "filteredAttributes")
EPHEMERAL_PORTS = 32768  # where the system chooses; ports of a run are below, so that no other test is in the way
VALIDATE_ROUNDS = 200
CASES_AT_ONCE = 1000  # one process with all pipelines would take longer to start than several after each other
DOUBTFUL = "config: "  # how names of cases begin that are about accepting a configuration


@dataclasses.dataclass
class Case:
    """One configuration and what is sent through it.

    `processors` is one `{type: settings}` for each, in order; `requests` are messages (dictionaries of OTLP/JSON) of `signal`.
    """

    component: str
    name: str
    signal: str
    processors: list
    requests: list
    headers: dict = dataclasses.field(default_factory=dict)
    receiver: dict = dataclasses.field(default_factory=dict)
    weir_only: dict = dataclasses.field(default_factory=dict)  # settings that weir has beyond the Collector's, by type
    unordered: bool = False  # the Collector's order of items is random

    @property
    def full_name(self):
        return f"{self.component}/{self.name}"


@dataclasses.dataclass
class Outcome:
    """What one side made of a case: why its configuration was refused, or (status, message) of each request."""

    refused: str = ""
    answers: list = dataclasses.field(default_factory=list)


def encode(signal, document):
    """A dictionary of OTLP/JSON as protobuf. Parsed strictly, so that a slip in a case is an error and not a pass."""
    return encode_text(signal, json.dumps(document))


@functools.lru_cache(maxsize=64)
def encode_text(signal, text):
    return json_format.ParseDict(ids_to_base64(json.loads(text)), REQUESTS[signal]()).SerializeToString()


class Sink:
    """An OTLP/HTTP destination that keeps bodies, by sender (the first part of the path)."""

    def __init__(self):
        received, lock = collections.defaultdict(list), threading.Lock()
        self.received, self.lock = received, lock

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                _, sender, _, signal = self.path.split("/")
                with lock:
                    received[sender].append((signal, body))
                # Head and body in one write: two would wait for each other (Nagle, delayed acknowledgement).
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, sender):
        with self.lock:
            return self.received.pop(sender, [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def free_ports(count):
    """Distinct loopback ports that were free a moment ago, outside the range the system gives to others."""
    ports, candidates = [], iter(random.SystemRandom().sample(range(12000, EPHEMERAL_PORTS), 20000))
    while len(ports) < count:
        port = next(candidates)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                continue
    return ports


def configuration(side, cases, ports, sink_port):
    """One configuration for all cases; processors carry the number of their case, by which refusals are told."""
    config = {
        "receivers": {},
        "processors": {},
        "exporters": {
            "otlp_http": {
                **{f"{signal}_endpoint": f"http://127.0.0.1:{sink_port}/{side}/v1/{signal}" for signal in REQUESTS},
                "compression": "none",
                "sending_queue": {"enabled": False},
                "retry_on_failure": {"enabled": False},
            }
        },
        "service": {"pipelines": {}},
    }
    for number, case in cases.items():
        config["receivers"][f"otlp/case{number}"] = {
            "protocols": {"http": {"endpoint": f"127.0.0.1:{ports[number]}", **case.receiver}}
        }
        names = []
        for place, processor in enumerate(case.processors):
            ((kind, settings),) = processor.items()
            names.append(f"{kind}/case{number}_{place}")
            more = case.weir_only.get(kind, {}) if side == "weir" else {}
            config["processors"][names[-1]] = escaped({**settings, **more})
        config["service"]["pipelines"][f"{case.signal}/case{number}"] = {
            "receivers": [f"otlp/case{number}"],
            "processors": names,
            "exporters": ["otlp_http"],
        }
    return config


def escaped(node):
    """Settings as they are written in YAML, where `$` is doubled."""
    if isinstance(node, dict):
        return {key: escaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [escaped(value) for value in node]
    return node.replace("$", "$$") if isinstance(node, str) else node


class Side:
    """One of the two programs."""

    def __init__(self, lab, name, sink):
        self.lab, self.name, self.sink, self.process = lab, name, sink, None

    def validate(self, cases, ports):
        """Leaves out what is refused until the rest is accepted; returns the rest and the reasons by case.

        The Collector tells some errors one at a time. So cases that are about configurations come first, by themselves,
        which keeps the many rounds small.
        """
        doubtful = {number: case for number, case in cases.items() if case.name.startswith(DOUBTFUL)}
        sound = {number: case for number, case in cases.items() if number not in doubtful}
        accepted, refused = self.rounds(doubtful, ports) if doubtful else ({}, {})
        others, more = self.rounds(sound | accepted, ports)
        return others, refused | more

    def rounds(self, cases, ports):
        cases, refused = dict(cases), {}
        for round in range(VALIDATE_ROUNDS):
            path = self.lab.write_config(f"{self.name}{round}", self.complete(configuration(self.name, cases, ports, self.sink.port), 1))
            done = subprocess.run(
                [self.lab.tools[self.name], "validate", f"--config={path}"], capture_output=True, text=True, env=os.environ, timeout=120
            )
            if done.returncode == 0:
                return cases, refused
            said = done.stdout + done.stderr
            assert "unknown type" not in said, f"{self.name} lacks a component that the cases need: {said[:500]}"
            # weir's warnings name components, too.
            error = r"error\[E\d+\].*" if self.name == "weir" else ""
            found = [(int(match[1]), match.start(1)) for match in re.finditer(rf"{error}\bcase(\d+)_\d+", said)]
            found = [(number, at) for number, at in found if number in cases]
            assert found, f"{self.name} refuses a configuration without saying which case is wrong: {said[-3000:]}"
            for number, at in found:
                if cases.pop(number, None):
                    refused[number] = said[at : at + 500].split("\n")[0]
            if not cases:
                return cases, refused
        raise AssertionError(f"{self.name} still refuses the configuration after {VALIDATE_ROUNDS} rounds")

    def complete(self, config, metrics_port):
        if self.name == "weir":
            telemetry = {"metrics": own_metrics(f"127.0.0.1:{metrics_port}")}
        else:
            telemetry = {"metrics": {"level": "none"}}
        # What cases provoke is logged by both for each record; it would only cost time.
        config["service"]["telemetry"] = {**telemetry, "logs": {"level": "fatal" if self.name == "otelcol" else "error"}}
        return config

    def start(self, cases, ports, metrics_port):
        config = self.complete(configuration(self.name, cases, ports, self.sink.port), metrics_port)
        command = [self.lab.tools[self.name], f"--config={self.lab.write_config(self.name, config)}"]
        if self.name == "weir":
            self.process = Weir(self.name, command, self.lab.directory)
            self.process.metrics_address = f"127.0.0.1:{metrics_port}"
            self.lab.processes.append(self.process)
        else:
            self.process = self.lab.run(self.name, command)
        self.process.listening(*(f"127.0.0.1:{ports[number]}" for number in cases))

    def send(self, case, port, bodies):
        """Sends a case's requests, one after another; returns status and what arrived for each."""
        answers = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            connection.request(
                "POST", f"/v1/{case.signal}", body, {"Content-Type": "application/x-protobuf", "Connection": "keep-alive", **case.headers}
            )
            try:
                answer = connection.getresponse()
                status, said = answer.status, answer.read()
            except http.client.RemoteDisconnected:
                # What a panic in the Collector looks like; the next request connects again.
                status, said = 0, b"nothing and closes the connection"
                assert self.process.popen.poll() is None, f"{self.name} ended: {self.process.err[-3000:]}"
            answers.append((status, said, self.sink.take(self.name)))
        connection.close()
        return answers

    def run(self, cases, ports, metrics_port, bodies, outcomes):
        cases, refused = self.validate(cases, ports)
        for number, reason in refused.items():
            outcomes[number] = Outcome(refused=reason)
        if not cases:
            return
        self.start(cases, ports, metrics_port)
        for number, case in cases.items():
            try:
                outcomes[number] = Outcome(answers=self.send(case, ports[number], bodies[number]))
            except (OSError, http.client.HTTPException) as error:
                raise AssertionError(f"{self.name} does not answer {case.full_name}: {error!r}\n{self.process.err[-2000:]}") from error


def run(lab, cases, sink):
    """Runs all cases on both sides at once, some at a time; returns the outcomes by side and case."""
    outcomes = {side: {} for side in SIDES}
    for begin in range(0, len(cases), CASES_AT_ONCE):
        run_some(lab, dict(enumerate(cases[begin : begin + CASES_AT_ONCE], begin)), sink, outcomes)
    return outcomes


def run_some(lab, numbered, sink, outcomes):
    bodies = {number: [encode(case.signal, request) for request in case.requests] for number, case in numbered.items()}
    free = free_ports(2 * len(numbered) + 1)
    metrics_port, failures, sides = free.pop(), [], [Side(lab, name, sink) for name in SIDES]

    def work(side, ports):
        try:
            side.run(numbered, ports, metrics_port, bodies, outcomes[side.name])
        except Exception as error:  # handed to the caller below
            failures.append(error)

    shares = (dict(zip(numbered, free[place :: len(SIDES)])) for place in range(len(SIDES)))
    threads = [threading.Thread(target=work, args=arguments) for arguments in zip(sides, shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    collector, weir = (side.process for side in sides)
    if collector:
        collector.kill()
    if weir:
        weir.stop_balanced()


def level(node, key=""):
    """A message as a dictionary whose parts compare equal when they mean the same."""
    if isinstance(node, dict):
        levelled = {name: level(value, name) for name, value in node.items()}
        return {name: value for name, value in levelled.items() if not (name in LEVELLED and value == {})}
    if isinstance(node, list):
        parts = [level(part) for part in node]
        keyed = key in ATTRIBUTES and all(isinstance(part, dict) and "key" in part for part in node)
        return sorted(parts, key=canonical) if keyed else parts
    return node


def canonical(node):
    return json.dumps(node, sort_keys=True, ensure_ascii=False)


def arrived(case, bodies):
    """What arrived for a request, as a list of levelled resources in an order of their own."""
    group, scopes, leaves = GROUPS[case.signal]
    resources = []
    for signal, body in bodies:
        assert signal == case.signal, f"{signal} arrived for {case.signal}"
        try:
            message = json_format.MessageToDict(REQUESTS[signal].FromString(body), use_integers_for_enums=True)
        except DecodeError as error:  # the Collector sends texts that are cut in the middle of a character
            return [f"a message that cannot be read: {error}"]
        for resource in level(message).get(group, []):
            for scope in resource.get(scopes, []):
                if case.unordered:
                    scope[leaves] = sorted((unordered(leaf) for leaf in scope.get(leaves, [])), key=canonical)
            resource[scopes] = sorted(resource.get(scopes, []), key=canonical)
            resources.append(resource)
    return sorted(resources, key=canonical)


def unordered(leaf):
    """A metric with its points in an order of their own."""
    for kind in leaf.values():
        if isinstance(kind, dict) and "dataPoints" in kind:
            kind["dataPoints"] = sorted(kind["dataPoints"], key=canonical)
    return leaf


def compare(case, theirs, ours):
    """Every difference between the two outcomes, each as a text."""
    if theirs.refused or ours.refused:
        if theirs.refused and ours.refused:
            return []
        who, said = ("the Collector", theirs.refused) if theirs.refused else ("weir", ours.refused)
        return [f"only {who} refuses the configuration: {said}"]
    found = []
    for number, (their, our) in enumerate(zip(theirs.answers, ours.answers, strict=True)):
        where = f"request {number + 1}: " if len(case.requests) > 1 else ""
        if (their[0] == 200) != (our[0] == 200):
            found.append(f"{where}the Collector answers {their[0]} {their[1]!r}, weir {our[0]} {our[1]!r}")
        elif their[2] != our[2]:
            found += (f"{where}{text}" for text in differences(arrived(case, their[2]), arrived(case, our[2])))
    return found


def differences(expected, found, path=""):
    """Where two levelled messages differ: at each leaf, and where lists have other lengths."""
    if expected == found:
        return
    if isinstance(expected, list) and isinstance(found, list):
        keyed = by_key(expected), by_key(found)
        if None not in keyed and keyed[0] != keyed[1]:
            yield from differences(*keyed, path)
            return
        if len(expected) == len(found):
            for place, (one, other) in enumerate(zip(expected, found)):
                yield from differences(one, other, f"{path}[{place}]")
            return
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from differences(expected.get(key), found.get(key), f"{path}.{key}")
        return
    yield f"{path or 'the whole'}: the Collector has {shown(expected)}, weir has {shown(found)}"


def by_key(pairs):
    """Attributes as a dictionary, unless they are none or a key occurs twice."""
    found = {f"[{pair['key']}]": pair.get("value", {}) for pair in pairs if isinstance(pair, dict) and "key" in pair}
    return found if pairs and len(found) == len(pairs) else None


def shown(node):
    text = "nothing" if node is None else canonical(node)
    return text if len(text) <= 700 else f"{text[:700]}…"
