"""What weir tells about itself, seen by others: one trace through weir and a real Collector; health watched by a gRPC client."""

import secrets
import signal
import ssl

import grpc
from certificates import Certificates
from otlp import post, read_file
from processes import address, poll
from samples import message

# name, exporter type, scheme of its endpoint
HOPS = [("grpc", "otlp_grpc", ""), ("http", "otlp_http", "http://")]

# `HealthCheckResponse` in each status.
SERVING, NOT_SERVING, UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


def own_traces(spans_to):
    """Own traces that go to `spans_to` at once and continue those of requests."""
    exporter = {"otlp": {"protocol": "grpc", "endpoint": f"http://{spans_to}"}}
    return {"propagators": ["tracecontext"], "processors": [{"simple": {"exporter": exporter}}]}


def hop(protocol, inlet, exporters, traces):
    return {
        "receivers": {"otlp": {"protocols": {protocol: {"endpoint": inlet}}}},
        "exporters": exporters,
        "service": {
            "telemetry": {"traces": traces, "metrics": {"level": "none"}},
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": list(exporters)}},
        },
    }


def spans_in(path):
    """Spans by ID, each with the service that told of it; none before the file is there, or while a line is being written."""
    if not path.exists() or not path.read_bytes().endswith(b"\n"):
        return {}
    found = {}
    for request in read_file(path, "traces"):
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            for scope in resource.scope_spans:
                found.update({span.span_id: (service, span) for span in scope.spans})
    return found


def test_a_trace_goes_through_weir_and_a_collector(t):
    """The client's span is the parent of weir's, and weir's of the Collector's."""
    for name, kind, scheme in HOPS:
        with t.case(name):
            spans_to, first, second, out = address(), address(), address(), t.lab.path(f"{name}.json")
            pipelines = {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}
            told = {
                "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": spans_to}}}},
                "exporters": {"file": {"path": str(out), "flush_interval": "50ms"}},
                "service": {"pipelines": pipelines},
            }
            t.lab.weir(told, [spans_to], name=f"spans-{name}")
            last = hop(name, second, {"debug": {}}, own_traces(spans_to))
            last["service"]["telemetry"]["resource"] = {"service.name": "last"}
            t.lab.collector(last, [second], name=f"last-{name}")
            exporters = {kind: {"endpoint": scheme + second, "tls": {"insecure": True}}}
            weir = t.lab.weir(hop("http", first, exporters, own_traces(spans_to)), [first], name=f"weir-{name}")
            trace_id, span_id = secrets.token_bytes(16), secrets.token_bytes(8)
            parent = f"00-{trace_id.hex()}-{span_id.hex()}-01"
            post(first, "logs", message("logs"), headers={"traceparent": parent})

            def collectors():
                spans = spans_in(out)
                last = [span for service, span in spans.values() if service == "last" and span.trace_id == trace_id]
                ours = [span for service, span in spans.values() if service == "weir"]
                return (last, ours) if last and len(ours) >= 3 else None

            last, ours = poll("spans of both", collectors)
            assert all(span.trace_id == trace_id for span in ours), ours
            exporter = next(span for span in ours if span.name == f"exporter/{kind}/logs")
            receiver = next(span for span in ours if span.name == "receiver/otlp/logs")
            assert receiver.parent_span_id == span_id, receiver
            assert any(span.parent_span_id == exporter.span_id for span in last), (exporter, last)
            weir.stop_balanced()
            t.say(f"{len(ours)} spans of weir, {len(last)} of the Collector behind it, in the client's trace")


def test_health_is_watched_over_grpc(t):
    inlet, health = address(), address()
    config = {
        "extensions": {"health_check": {"use_v2": True, "grpc": {"endpoint": health}}},
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": inlet}}}},
        "exporters": {"nop": {}},
        "service": {"extensions": ["health_check"], "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["nop"]}}},
    }
    weir = t.lab.weir(config, [inlet, health])
    with grpc.insecure_channel(health) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        service, pipeline, unknown = (watch(text, timeout=60) for text in (b"", b"\n\x04logs", b"\n\x04none"))
        for stream in (service, pipeline):
            # While weir starts it is not serving, or not known.
            told = next(stream)
            while told != SERVING:
                told = next(stream)
        assert next(unknown) == UNKNOWN
        weir.signal(signal.SIGTERM)
        rest, code = [], None
        try:
            rest.extend(service)
        except grpc.RpcError as error:
            code = error.code()
        assert code == grpc.StatusCode.CANCELLED and (not rest or rest[-1] == NOT_SERVING), (rest, code)
    assert weir.wait() == 0, weir.err
    t.say(f"SERVING, then {rest} and {code} at shutdown")


def test_health_check_reads_its_certificates_again(t):
    certificates, inlet, http, health = Certificates(t.lab), address(), address(), address()
    tls = {**certificates.listen(False), "reload_interval": "50ms"}
    config = {
        "extensions": {
            "health_check": {"endpoint": http, "tls": tls},
            "health_check/v2": {"use_v2": True, "grpc": {"endpoint": health, "tls": tls}},
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": inlet}}}},
        "exporters": {"nop": {}},
        "service": {
            "extensions": ["health_check", "health_check/v2"],
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["nop"]}},
        },
    }
    weir = t.lab.weir(config, [inlet, http, health])
    shown = {where: ssl.get_server_certificate(where.split(":")) for where in (http, health)}
    with open(certificates.server) as file:
        assert {pem.strip() for pem in shown.values()} == {file.read().strip()}
    certificates.issue("server", "serverAuth")
    for where, before in shown.items():
        poll(f"another certificate on {where}", lambda: ssl.get_server_certificate(where.split(":")) != before)
    weir.stop_balanced()
    t.say("HTTP and gRPC show the new certificate without a restart")
