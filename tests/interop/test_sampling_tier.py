"""Agents that balance by trace ID in front of three samplers, both as in `config-examples`: one is taken away under load and
returns, as a process or by its name.

Every trace that arrives is whole, or explained: by what agents and samplers count as torn apart, and, after a kill, by what
the killed process had in memory. The books of everything that ended by itself balance, and agents lose nothing.
"""

import collections
import random
import signal
import threading
import time

import parity
from names import Names
from otlp import REQUESTS, post
from processes import address, free_port, poll

WAIT_SECONDS = 2
TICK_SECONDS = 0.04
QUEUED_SECONDS = 1  # spans wait in agents for others of their batch, and come late when their sampler leaves
SPANS = 6  # of each trace, a tenth of a second apart, to two agents in turn
APART_SECONDS = 0.1


def start_sampler(lab, inlet, sink, name):
    """`sampling-tier.yaml` with a short wait and half of what is fine, to a sink that cannot inflate."""
    env = {
        "TIER_LISTEN": inlet,
        "BACKEND_ENDPOINT": f"http://127.0.0.1:{sink.port}/kept",
        "DECISION_WAIT": f"{WAIT_SECONDS}s",
        "SHARE_PERCENT": "50",
    }
    changes = {"exporters": {"otlp_http": {"compression": "none"}}}
    return lab.weir(changes, [inlet], name=name, env=env, example="sampling-tier.yaml")


def start_agent(lab, inlet, samplers, resolver, reroute_after, name, within):
    """`balancing-agent.yaml` that tries again and reroutes sooner. `resolver`: in place of the list of samplers."""
    env = {"OTLP_HTTP_ENDPOINT": inlet, "OTLP_GRPC_ENDPOINT": address(), "SAMPLERS": f"[{', '.join(samplers)}]"}
    retry = {"initial_interval": "50ms", "max_interval": "100ms"}
    exporter = {"reroute_after": reroute_after, "protocol": {"otlp": {"timeout": "20s", "retry_on_failure": retry}}}
    if resolver:
        exporter["resolver"] = {"static": {"enabled": False}, **resolver}
    changes = {"exporters": {"load_balancing": exporter}}
    return lab.weir(changes, [inlet], name=name, env=env, within=within, example="balancing-agent.yaml")


class Trace:
    """One trace of the load: six spans; in every second one the root is sent first, in the others last. Some fail."""

    def __init__(self, source, number):
        self.id, self.number = source.getrandbits(128).to_bytes(16, "big"), number
        self.begun, self.begun_ns = time.monotonic(), time.time_ns()
        self.sent = []  # when each span was
        self.root = 0 if number % 2 else SPANS - 1
        self.fails = number % 4 < 2

    def add_span(self, place, spans):
        span = spans.add(trace_id=self.id, span_id=(self.number * SPANS + place + 1).to_bytes(8, "big"), name=f"{self.number}.{place}")
        span.start_time_unix_nano = self.begun_ns + (0 if place == self.root else place * 1_000_000)
        span.end_time_unix_nano = span.start_time_unix_nano + 50_000_000
        if place != self.root:
            span.parent_span_id = (self.number * SPANS + self.root + 1).to_bytes(8, "big")
        if self.fails and place == SPANS - 2:
            span.status.code = 2
        self.sent.append(time.monotonic())

    def ran_at(self, begin, end):
        """Whether it was being sent, or waited for its decision, at some time between."""
        return self.begun <= end and self.sent[-1] >= begin


class Load(threading.Thread):
    """Begins a few traces at every tick until it is told to end; then completes them."""

    def __init__(self, agents):
        super().__init__(daemon=True)
        self.agents, self.traces, self.spans, self.problem = agents, [], 0, None
        self.ending = threading.Event()

    def run(self):
        try:
            self.work()
        except Exception as error:  # shown by `finish`
            self.problem = error

    def work(self):
        source, running = random.Random(5), []
        while running or not self.ending.is_set():
            begun = time.monotonic()
            if not self.ending.is_set():
                fresh = [Trace(source, len(self.traces) + n) for n in range(3)]
                self.traces += fresh
                running += fresh
            requests = [REQUESTS["traces"]() for _ in self.agents]
            scopes = [request.resource_spans.add().scope_spans.add() for request in requests]
            for trace in running:
                place = len(trace.sent)
                if begun >= trace.begun + place * APART_SECONDS:
                    trace.add_span(place, scopes[(place + trace.number) % len(scopes)].spans)
                    self.spans += 1
            for where, request in zip(self.agents, requests):
                if request.resource_spans[0].scope_spans[0].spans:
                    post(where, "traces", request)
            running = [trace for trace in running if len(trace.sent) < SPANS]
            time.sleep(max(0, begun + TICK_SECONDS - time.monotonic()))

    def finish(self):
        self.ending.set()
        self.join(30)
        assert self.problem is None and not self.is_alive(), f"the load failed: {self.problem!r}"


class Tier:
    """Three samplers, two agents, one sink, and a load that runs. Without a resolver, agents have the list of samplers."""

    def __init__(self, t, sink, reroute_after, samplers=None, resolver=None, within=()):
        self.t, self.sink = t, sink
        self.inlets = samplers or [address() for _ in range(3)]
        self.lives = [[self.start_sampler(place, 0)] for place in range(3)]
        inlets = [address(), address()]
        start = lambda n, inlet: start_agent(t.lab, inlet, self.inlets, resolver, reroute_after, f"agent{n}", within)
        self.agents = [start(n, inlet) for n, inlet in enumerate(inlets)]
        self.load = Load(inlets)
        self.load.start()

    def start_sampler(self, place, life):
        return start_sampler(self.t.lab, self.inlets[place], self.sink, f"sampler{place}-{life}")

    def bring_back(self, place):
        self.lives[place].append(self.start_sampler(place, len(self.lives[place])))

    def split(self):
        return [int(agent.total("weir_loadbalancer_split_traces")) for agent in self.agents]

    def settle(self):
        """Ends the load, the agents, then the samplers, all by themselves; returns what agents delivered, and the books of
        samplers that were not killed."""
        self.load.finish()
        self.counts = self.split()
        held = lambda agent: agent.total("otelcol_exporter_queue_size")
        poll("empty queues of the agents", lambda: not any(map(held, self.agents)))
        delivered = 0
        for agent in self.agents:
            row = agent.stop_balanced()["traces"]
            assert row["delivered"] == row["received"], f"an agent lost spans: {row}"
            delivered += row["delivered"]
        assert delivered == self.load.spans, f"{self.load.spans} spans were acknowledged, {delivered} delivered by agents"
        # The last traces are decided in time, not by the shutdown.
        living = [lives[-1] for lives in self.lives]
        waiting = lambda sampler: sampler.total("otelcol_processor_tail_sampling_sampling_traces_on_memory")
        poll("the last decisions", lambda: not any(map(waiting, living)))
        self.before_start = sum(int(sampler.total("weir_tail_sampling_begun_before_start")) for sampler in living)
        books = [sampler.stop_balanced()["traces"] for sampler in living]
        self.read_sink()
        return delivered, books

    def read_sink(self):
        """Notes distinct spans that arrived, by trace, and how many arrived in all."""
        arrived, total = collections.defaultdict(set), 0
        for _, body in self.sink.take("kept"):
            for group in REQUESTS["traces"].FromString(body).resource_spans:
                for scope in group.scope_spans:
                    total += len(scope.spans)
                    for span in scope.spans:
                        arrived[span.trace_id].add(span.span_id)
        sent = {trace.id: trace for trace in self.load.traces}
        assert arrived.keys() <= sent.keys(), "spans arrived that nobody sent"
        self.arrived, self.total = arrived, total


def judge(tier, windows):
    """Holds every trace against what may have happened to it: `windows` are when something did, as (begin, end).

    Returns the traces that are torn apart and the failed ones of which nothing arrived.
    """
    torn, lost = [], []
    for trace in tier.load.traces:
        spans = len(tier.arrived.get(trace.id, ()))
        if 0 < spans < SPANS:
            torn.append(trace)
        elif spans == 0 and trace.fails:
            lost.append(trace)
    for trace in torn + lost:
        assert any(trace.ran_at(*window) for window in windows), f"trace {trace.number} is not whole, and nothing happened while it ran"
    return torn, lost


def test_a_sampler_is_killed_and_returns(t):
    """SIGKILL: its keys go to the others and come back. Lost is what it had in memory, torn apart is what is counted."""
    with parity.Sink() as sink:
        tier = Tier(t, sink, "500ms")
        time.sleep(4)
        victim = tier.lives[1][0]
        had = int(victim.total("otelcol_receiver_accepted_spans"))
        victim.signal(signal.SIGKILL)
        victim.wait()
        killed = time.monotonic()
        poll("the agents to leave it out", lambda: all("an endpoint has failed for long" in agent.err for agent in tier.agents))
        left = time.monotonic()
        time.sleep(2)
        returning = time.monotonic()
        tier.bring_back(1)
        poll("the agents to take it in", lambda: all("an endpoint is back" in agent.err for agent in tier.agents))
        back = time.monotonic()
        time.sleep(3)
        delivered, books = tier.settle()
        lost_spans = delivered - sum(row["received"] for row in books)
        # The kill takes what had not been decided and sent; it had more than it was asked about before.
        torn, lost = judge(tier, [(killed - WAIT_SECONDS - 2, left), (returning - QUEUED_SECONDS, back)])
    explained = sum(tier.counts) + tier.before_start
    assert lost_spans >= had > 0, f"the killed sampler had {had} spans, {lost_spans} are missing from the others' books"
    assert len(torn) <= explained, f"{len(torn)} traces are torn apart, {tier.counts} and {tier.before_start} counted"
    assert len(torn) > 0 < min(tier.counts), f"nothing was torn apart: {len(torn)}, {tier.counts}"
    assert explained < len(tier.load.traces) / 2, f"{explained} of {len(tier.load.traces)} traces counted as torn apart"
    # A failed trace of which nothing arrived was in the killed process, or is one of those torn apart.
    in_memory = [trace for trace in lost if trace.begun <= killed]
    assert len(lost) - len(in_memory) <= explained - len(torn), f"{len(lost) - len(in_memory)} failed traces are missing"
    t.say(f"{len(tier.load.traces)} traces of {SPANS} spans; the killed sampler took {lost_spans} spans with it, {len(in_memory)} failed traces among them")
    t.say(f"{len(torn)} traces are torn apart; counted: {tier.counts} by the agents, {tier.before_start} by the sampler that returned; agents lost nothing")


def test_a_sampler_is_restarted(t):
    """SIGTERM and return before its keys go elsewhere: nothing is lost; what was decided in two parts is counted."""
    with parity.Sink() as sink:
        tier = Tier(t, sink, "1m")
        time.sleep(4)
        begun = time.monotonic()
        victim = tier.lives[1][0]
        first = victim.stop_balanced()["traces"]
        time.sleep(1)
        tier.bring_back(1)
        back = time.monotonic()
        time.sleep(3)
        delivered, books = tier.settle()
        books.append(first)
        torn, lost = judge(tier, [(begun - QUEUED_SECONDS, back + 1)])
    assert tier.counts == [0, 0], f"no keys moved: {tier.counts}"
    received = sum(row["received"] for row in books)
    assert received == delivered, f"agents delivered {delivered} spans, samplers received {received}"
    assert sum(row["delivered"] for row in books) == tier.total, (books, tier.total)
    assert not lost, f"of {len(lost)} failed traces nothing arrived"
    assert len(torn) <= tier.before_start, f"{len(torn)} traces are torn apart, {tier.before_start} counted"
    assert 0 < tier.before_start < len(tier.load.traces) / 2, tier.before_start
    t.say(f"{len(tier.load.traces)} traces of {SPANS} spans; all {delivered} were received, {tier.total} kept, which all arrived")
    t.say(f"{len(torn)} traces are torn apart, {tier.before_start} counted by the sampler that returned")


def test_a_sampler_leaves_and_returns_by_its_name(t):
    """What a name resolves to changes, with the system's resolver: an endpoint that is gone from it gets nothing new and is ended, one
    that is back gets its keys again; a resolver that fails changes nothing. Nothing is lost, torn apart is what is counted."""
    hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    port = free_port(hosts)
    names = Names(t.lab)
    names.set({"samplers.test": hosts})
    resolver = {"dns": {"hostname": "samplers.test", "port": str(port), "interval": "100ms"}}

    with parity.Sink() as sink:
        # Health moves no keys, so what one agent learns later than the other is at most an interval old.
        tier = Tier(t, sink, "0s", [f"{host}:{port}" for host in hosts], resolver, names.within)
        resolved = lambda agent, success: agent.total("otelcol_loadbalancer_num_resolutions", resolver="dns", success=success)
        endpoints = lambda: [agent.total("otelcol_loadbalancer_num_backends", resolver="dns") for agent in tier.agents]
        assert endpoints() == [3, 3], endpoints()
        time.sleep(2)

        names.set({})
        poll("failing resolutions", lambda: all(resolved(agent, "false") > 2 for agent in tier.agents))
        assert endpoints() == [3, 3], f"a resolver that fails leaves the endpoints as they are: {endpoints()}"
        names.set({"samplers.test": hosts})
        before = [resolved(agent, "true") for agent in tier.agents]
        poll("good resolutions", lambda: all(resolved(agent, "true") > was for agent, was in zip(tier.agents, before)))
        assert tier.split() == [0, 0], f"nothing has changed: {tier.split()}"

        leaving = time.monotonic()
        names.set({"samplers.test": [hosts[0], hosts[2]]})
        poll("the agents to leave it out", lambda: endpoints() == [2, 2])
        left = time.monotonic()
        # Requests that are on their way come to their end; then it has nothing more to get.
        victim = tier.lives[1][0]
        time.sleep(1)
        had = victim.total("otelcol_receiver_accepted_spans")
        time.sleep(1)
        assert victim.total("otelcol_receiver_accepted_spans") == had > 0, "it still gets spans"
        first = victim.stop_balanced()["traces"]

        tier.bring_back(1)
        returning = time.monotonic()
        names.set({"samplers.test": hosts})
        poll("the agents to take it in", lambda: endpoints() == [3, 3])
        back = time.monotonic()
        time.sleep(3)
        delivered, books = tier.settle()
        second = books[1]["received"]
        books.append(first)
        torn, lost = judge(tier, [(leaving - QUEUED_SECONDS, left + 1), (returning - QUEUED_SECONDS, back + 1)])
    explained = sum(tier.counts) + tier.before_start
    received = sum(row["received"] for row in books)
    assert received == delivered, f"agents delivered {delivered} spans, samplers received {received}"
    assert sum(row["delivered"] for row in books) == tier.total, (books, tier.total)
    assert not lost, f"of {len(lost)} failed traces nothing arrived"
    assert second > 0, "the sampler that returned got nothing"
    assert len(torn) <= explained, f"{len(torn)} traces are torn apart, {tier.counts} and {tier.before_start} counted"
    assert min(tier.counts) > 0 and explained < len(tier.load.traces) / 2, (tier.counts, tier.before_start)
    t.say(f"{len(tier.load.traces)} traces of {SPANS} spans; all {delivered} were received, {first['received']} and {second} by the sampler that left and returned")
    t.say(f"{len(torn)} traces are torn apart; counted: {tier.counts} by the agents, {tier.before_start} by the sampler that returned")
