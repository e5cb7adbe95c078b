"""The `overload` extension under real load: to `refuse` and back, as senders, probes, metrics and the destination see it."""

import json
import re
import signal
import threading
import time

import grpc
import parity
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from otlp import REQUESTS
from processes import address, http, poll

SECRET, HIDDEN = "4111111111111111", "****"
LEVEL = "weir_overload_degraded_level"
LOAD_SECONDS = 40  # at most; it is ended as soon as everything was seen


def retry_info(details):
    """The delay in seconds that a google.rpc.Status with RetryInfo asks for."""
    file = descriptor_pb2.FileDescriptorProto(name="retry.proto", package="retry", dependency=["google/protobuf/any.proto", "google/protobuf/duration.proto"])
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type="TYPE_INT32", label="LABEL_OPTIONAL")
    status.field.add(name="details", number=3, type="TYPE_MESSAGE", type_name=".google.protobuf.Any", label="LABEL_REPEATED")
    info = file.message_type.add(name="RetryInfo")
    info.field.add(name="retry_delay", number=1, type="TYPE_MESSAGE", type_name=".google.protobuf.Duration", label="LABEL_OPTIONAL")
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    kind = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    (detail,) = kind("retry.Status").FromString(details).details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo", detail
    delay = kind("retry.RetryInfo").FromString(detail.value).retry_delay
    return delay.seconds + delay.nanos / 1e9


def request(number):
    """Logs that tell a secret in body and attribute; grave ones, which are not thinned."""
    made = REQUESTS["logs"]()
    record = made.resource_logs.add().scope_logs.add().log_records.add(severity_number=17, trace_id=number.to_bytes(16, "big"))
    record.body.string_value = f"paid with {SECRET}"
    record.attributes.add(key="card").value.string_value = SECRET
    return made.SerializeToString()


class Probe(threading.Thread):
    """Sends small requests over HTTP and gRPC in turn, as long as it is let, and notes the answers."""

    def __init__(self, http_inlet, grpc_inlet, ends):
        super().__init__(daemon=True)
        self.http_inlet, self.grpc_inlet, self.ends = http_inlet, grpc_inlet, ends
        self.accepted, self.http_refusals, self.grpc_refusals, self.problem = 0, [], [], None

    def run(self):
        try:
            with grpc.insecure_channel(self.grpc_inlet) as channel:
                export = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
                number = 0
                while not self.ends.is_set():
                    number += 1
                    self.by_http(request(2 * number))
                    self.by_grpc(export, request(2 * number + 1))
                    time.sleep(0.02)
        except Exception as error:  # shown by the test
            self.problem = error

    def by_http(self, body):
        status, headers, _ = http("POST", f"http://{self.http_inlet}/v1/logs", body, {"Content-Type": "application/x-protobuf"})
        if status == 200:
            self.accepted += 1
        else:
            self.http_refusals.append((status, {name.lower(): value for name, value in headers.items()}))

    def by_grpc(self, export, body):
        try:
            export(body, timeout=30)
            self.accepted += 1
        except grpc.RpcError as error:
            self.grpc_refusals.append((error.code(), dict(error.trailing_metadata())))


def config(http_inlet, grpc_inlet, sink):
    off = {"enabled": False}
    # Four percent of the CPUs is pressure, and eight are all there can be: more than being asked for metrics costs, less than the
    # load does. Short times, so that it is over soon.
    overload = {
        "interval": "50ms",
        "monitors": {"cpu": {"low": 0.04, "high": 0.08}, "cpu_stall": off, "memory": off, "telemetry": off, "trace_buffer": off},
        "dwell": "500ms",
        "half_life": "500ms",
        "retry_after": "4s",
    }
    protocols = {"http": {"endpoint": http_inlet}, "grpc": {"endpoint": grpc_inlet}}
    hide = {"allow_all_keys": True, "blocked_values": ["4[0-9]{15}"], "surfaces": "all"}
    pipeline = lambda sampler: {"receivers": ["otlp"], "processors": ["redaction", sampler], "exporters": ["otlp_http"]}
    return {
        "extensions": {"overload": overload},
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {
            "redaction": hide,
            "probabilistic_sampler": {"mode": "equalizing", "sampling_percentage": 100},
            "probabilistic_sampler/logs": {"mode": "equalizing", "sampling_percentage": 100, "fail_closed": False},
        },
        "exporters": {"otlp_http": {"endpoint": f"http://127.0.0.1:{sink.port}/end", "compression": "none", "sending_queue": {"queue_size": 100_000}}},
        "service": {
            "extensions": ["overload"],
            "pipelines": {"traces": pipeline("probabilistic_sampler"), "logs": pipeline("probabilistic_sampler/logs")},
        },
    }


def health(weir):
    """The step that `/health` tells, and what it says of the extension."""
    status, _, body = http("GET", f"http://{weir.metrics_address}/health")
    told = json.loads(body)
    (own,) = [part for part in told["components"] if part["component"] == "extension `overload`"] or [{"status": "ok"}]
    return status, told["overload"]["step"], own["status"]


def steps_in_log(weir, sentence):
    return [match[1] for line in weir.err.splitlines() if sentence in line and (match := re.search(r"\bstep=\"?(\w+)", line))]


def test_overload_refuses_and_recovers(t):
    http_inlet, grpc_inlet = address(), address()
    ends, levels = threading.Event(), set()
    with parity.Sink() as sink:
        weir = t.lab.weir(config(http_inlet, grpc_inlet, sink), [http_inlet, grpc_inlet])
        calm = health(weir)
        load = t.lab.start_load(f"--endpoint={grpc_inlet}", "--rate=300000", "--items=256", f"--duration={LOAD_SECONDS}")
        probe = Probe(http_inlet, grpc_inlet, ends)
        probe.start()

        def is_at(level):
            levels.add(int(weir.total(LEVEL)))
            return level in levels

        poll("the step `refuse`", lambda: is_at(4), LOAD_SECONDS - 10)
        refusing = poll("`refuse` in /health", lambda: [told for told in [health(weir)] if told[1] == "refuse"], LOAD_SECONDS - 10)[0]
        poll("refusals", lambda: is_at(4) and probe.http_refusals and probe.grpc_refusals, LOAD_SECONDS - 10)
        ends.set()
        load.signal(signal.SIGINT)
        probe.join(30)
        load.wait()
        levels.clear()
        poll("calm", lambda: is_at(0), 40)
        poll("everybody to be let in", lambda: weir.total("weir_overload_admitted_share") == 1, 60)
        again = health(weir)
        after = http("POST", f"http://{http_inlet}/v1/logs", request(1), {"Content-Type": "application/x-protobuf"})
        refused, shed = weir.total("weir_overload_refused_requests"), weir.total("weir_overload_shed_items")
        books = weir.stop_balanced()
        bodies = sink.take("end")
    assert probe.problem is None, probe.problem
    with t.case("health, metrics and log show the step"):
        assert calm == again == (200, "calm", "ok"), (calm, again)
        assert refusing == (200, "refuse", "recoverable_error"), refusing
        assert refused >= len(probe.http_refusals) + len(probe.grpc_refusals) > 0, refused
        taken, left = steps_in_log(weir, "another step is taken"), steps_in_log(weir, "a step is left")
        # On the way back a lower step may be taken again.
        assert "refuse" in taken and left[-1] == "calm", weir.err[-3000:]
        t.say(f"steps {taken}, then {left}; {refused:.0f} requests refused, {shed:.0f} items shed")
    with t.case("refusals can be retried, after a delay"):
        for status, headers in probe.http_refusals:
            assert status == 503 and 2 <= int(headers["retry-after"]) <= 6, (status, headers)
        delays = []
        for code, trailers in probe.grpc_refusals:
            assert code == grpc.StatusCode.UNAVAILABLE, code
            delays.append(retry_info(trailers["grpc-status-details-bin"]))
        assert all(2 <= delay <= 6 for delay in delays), delays
        assert after[0] == 200, after
        t.say(f"{len(probe.http_refusals)} answers 503, {len(delays)} UNAVAILABLE, delays from {min(delays):.1f} to {max(delays):.1f} s")
    with t.case("redaction is never shed"):
        logs = b"".join(body for kind, body in bodies if kind == "logs")
        assert SECRET.encode() not in logs, "a secret got through"
        assert logs.count(HIDDEN.encode()) == 2 * books["logs"]["delivered"] > 0, f"{books['logs']['delivered']} records were delivered"
    with t.case("books"):
        dropped = {kind: sum(count for column, count in row.items() if column.startswith("dropped")) for kind, row in books.items()}
        for kind, row in books.items():
            assert row["received"] == row["delivered"] + dropped[kind], books
        assert books["logs"]["received"] == probe.accepted + 1, books
        assert dropped["traces"] + dropped["logs"] == shed > 0, (books, shed)
        t.say(f"{probe.accepted + 1} records of the probe and {books['traces']['received']} spans were received, {dropped['traces']:.0f} spans shed, the rest delivered")
