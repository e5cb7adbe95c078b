"""Clients that are wrong, slow or many do not hurt others."""

import socket
import threading
import time

from processes import address, http, stats
from test_loss import accepted_items, gateway, to_sink, totals

TINY = 100_000


def both(grpc, http_, exporter):
    config = gateway(grpc, exporter)
    config["receivers"]["otlp"]["protocols"]["http"] = {"endpoint": http_}
    return config


def split(where):
    host, port = where.rsplit(":", 1)
    return host, int(port)


def talk(where, text, seconds=5):
    """Sends raw bytes and returns what comes back until the peer closes or falls silent."""
    with socket.create_connection(split(where), timeout=seconds) as stream:
        stream.sendall(text)
        answer = b""
        try:
            while chunk := stream.recv(4096):
                answer += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def test_wrong_protocol_gets_an_answer(t):
    """gRPC's port spoken to in HTTP/1, HTTP's in HTTP/2, either in TLS or in noise: an answer or a close, no harm."""
    sink, grpc, web = t.lab.sink(), address(), address()
    weir = t.lab.weir(both(grpc, web, to_sink(sink)), [grpc, web])
    request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
    with t.case("HTTP/1 on the gRPC port"):
        answer = talk(grpc, request)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        t.say(f"answered with {answer[:200]!r}")
    with t.case("HTTP/2 on the HTTP port"):
        answer = talk(web, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), 3)
        assert answer, "neither an answer nor a greeting"
        t.say(f"answered with {answer[:80]!r}")
    for label, where in (("gRPC", grpc), ("HTTP", web)):
        with t.case(f"TLS on the plain {label} port"):
            t.say(f"answered with {talk(where, hello, 3)[:80]!r}")
        with t.case(f"noise on the {label} port"):
            t.say(f"answered with {talk(where, bytes(range(256)) * 20, 3)[:80]!r}")
    with t.case("others are not disturbed"):
        report = t.lab.load(f"--endpoint={grpc}", "--requests=20", "--items=10", "--duration=20")
        assert accepted_items(report) == 200, report
        assert set(weir.differences()) == {0}, weir.differences()
        books = weir.stop_balanced()
        assert books["traces"]["delivered"] == stats(sink)["items"] == 200, books


def test_many_tiny_requests(t):
    """100 000 requests of one span each: all arrive, the counters agree."""
    sink, inlet = t.lab.sink(), address()
    batch = {"sending_queue": {"queue_size": 200_000, "batch": {"flush_timeout": "50ms", "min_size": 4000}}}
    weir = t.lab.weir(gateway(inlet, to_sink(sink, **batch)), [inlet])
    begun = time.monotonic()
    report = t.lab.load(f"--endpoint={inlet}", f"--requests={TINY}", "--items=1", "--pool=16", "--retry", "--duration=120")
    took = time.monotonic() - begun
    assert accepted_items(report) == TINY, report
    counted = weir.total("otelcol_receiver_accepted_spans", receiver="otlp", transport="grpc")
    assert counted == TINY, f"otelcol_receiver_accepted_spans says {counted}"
    assert set(weir.differences()) == {0}, weir.differences()
    books = weir.stop_balanced()
    arrived = totals(sink)["items"]
    assert books["traces"]["delivered"] == arrived == TINY, (books, arrived)
    t.say(f"{TINY} requests of one span in {took:.1f} s; {arrived} spans arrived, the metrics say {counted:.0f}")


def test_slow_clients_do_not_hold_up_others(t):
    """300 clients that never finish their request, on both ports, while another sends as usual."""
    sink, grpc, web = t.lab.sink(), address(), address()
    weir = t.lab.weir(both(grpc, web, to_sink(sink)), [grpc, web])
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    slow = []
    try:
        for n in range(300):
            # A third stops within its headers, a third within its body, a third within HTTP/2's greeting.
            where, text = [(web, head), (web, head + b"\r\n{"), (grpc, preface[: 5 + n % 15])][n % 3]
            stream = socket.create_connection(split(where), timeout=5)
            stream.sendall(text)
            slow.append(stream)
        end = threading.Event()

        def drip():
            while not end.wait(0.2):
                for stream in slow:
                    try:
                        stream.send(b"x")
                    except OSError:
                        pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            for protocol, where in (("grpc", grpc), ("http", web)):
                report = t.lab.load(f"--endpoint={where}", f"--protocol={protocol}", "--rate=20000", "--items=50", "--duration=3", name=protocol)
                assert accepted_items(report) > 30_000 and not report["errors"], report
                t.say(f"{protocol}: {accepted_items(report)} spans beside 300 slow clients, p99 {report['acked_latency']['p99_ms']:.1f} ms")
        finally:
            end.set()
            dripping.join()
        status, _, _ = http("POST", f"http://{web}/v1/traces", b"{}", {"Content-Type": "application/json"}, timeout=5)
        assert status == 200, status
    finally:
        for stream in slow:
            stream.close()
    assert set(weir.differences()) == {0}, weir.differences()
    weir.stop_balanced()

