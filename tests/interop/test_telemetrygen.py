"""telemetrygen sends to weir over gRPC and HTTP; what weir accepted and wrote has the size of what was generated."""

from otlp import items, read_file
from processes import address

# signal, flags, items that these flags make: each trace has a root and three children
LOADS = [
    ("traces", ["--traces=50", "--child-spans=3", "--span-links=2", "--status-code=Error"], 2 * 50 * 4),
    ("metrics", ["--metrics=150", "--metric-type=Histogram"], 2 * 150),
    ("metrics", ["--metrics=150", "--metric-type=Sum"], 2 * 150),
    ("logs", ["--logs=200", "--body=line of text"], 2 * 200),
]
NAMES = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}


def test_telemetrygen_to_weir(t):
    grpc, http = address(), address()
    protocols = {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}
    config = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {f"file/{signal}": {"path": str(t.lab.path(f"{signal}.json"))} for signal in NAMES},
        "service": {"pipelines": {s: {"receivers": ["otlp"], "exporters": [f"file/{s}"]} for s in NAMES}},
    }
    weir = t.lab.weir(config, [grpc, http])
    expected = dict.fromkeys(NAMES, 0)
    for signal, flags, count in LOADS:
        for protocol, where in (("grpc", grpc), ("http", http)):
            with t.case(f"{signal} {flags[1]} {protocol}"):
                before = weir.total(f"otelcol_receiver_accepted_{NAMES[signal]}", transport=protocol)
                over = [f"--otlp-http-url-path=/v1/{signal}", "--otlp-http"] if protocol == "http" else []
                t.lab.telemetrygen(signal, f"--otlp-endpoint={where}", "--otlp-insecure", "--workers=2", "--rate=0", *flags, *over)
                expected[signal] += count
                accepted = weir.total(f"otelcol_receiver_accepted_{NAMES[signal]}", transport=protocol) - before
                assert accepted == count, f"{count} generated, {accepted} accepted"
                t.say(f"telemetrygen sent {count} {NAMES[signal]}, weir accepted {accepted:.0f}")
    with t.case("all of it is in the files"):
        assert set(weir.differences()) == {0}, weir.differences()
        weir.stop_balanced()
        written = {signal: items(signal, read_file(t.lab.path(f"{signal}.json"), signal)).total() for signal in NAMES}
        assert written == expected, (written, expected)
        t.say(f"weir wrote {written}")
