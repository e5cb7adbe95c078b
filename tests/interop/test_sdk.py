"""The stock Python SDK sends to weir over gRPC and HTTP/protobuf; what the `file` exporter writes is compared with what was sent."""

from certificates import Certificates
from otlp import REQUESTS, assert_same, read_file
from processes import address
from sdk import SPANS, Application

VARIANTS = [
    # protocol, gzip, security
    ("grpc", False, "plain"),
    ("grpc", True, "plain"),
    ("http", False, "plain"),
    ("http", True, "plain"),
    ("grpc", True, "tls"),
    ("grpc", False, "mtls"),
    ("http", False, "tls"),
    ("http", True, "mtls"),
]
METRICS = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}


def config(lab, receivers, out):
    """Every receiver into one file, for all signals."""
    return {
        "receivers": receivers,
        "exporters": {"file": {"path": str(lab.path(out))}},
        "service": {"pipelines": {signal: {"receivers": list(receivers), "exporters": ["file"]} for signal in REQUESTS}},
    }


def test_sdk_to_weir(t):
    certificates = Certificates(t.lab)
    for protocol, gzipped, security in VARIANTS:
        label = f"{protocol}{' gzip' if gzipped else ''} {security}"
        with t.case(label):
            where, name = address(), label.replace(" ", "-")
            block = {"endpoint": where}
            if security != "plain":
                block["tls"] = certificates.listen(mutual=security == "mtls")
            receivers = {"otlp": {"protocols": {protocol: block}}}
            weir = t.lab.weir(config(t.lab, receivers, f"{name}.json"), [where], name=f"weir-{name}")
            sent = Application(protocol, where, gzipped, certificates if security != "plain" else None, security == "mtls").run()
            accepted = {s: weir.total(f"otelcol_receiver_accepted_{METRICS[s]}", receiver="otlp", transport=protocol) for s in REQUESTS}
            assert set(weir.differences()) == {0}, weir.differences()
            weir.stop_balanced()
            for signal, messages in sent.items():
                count = assert_same(signal, messages, read_file(t.lab.path(f"{name}.json"), signal))
                assert accepted[signal] == count, f"{signal}: {count} sent, otelcol_receiver_accepted says {accepted[signal]}"
                assert signal == "metrics" or count == SPANS, (signal, count)
                t.say(f"the SDK sent {count} {METRICS[signal]}, weir counted and wrote {count}, all equal")


def test_sdk_without_its_certificate_is_turned_away(t):
    """mTLS: a client without a certificate gets nothing in, and one with a certificate is not disturbed."""
    certificates, where = Certificates(t.lab), address()
    block = {"endpoint": where, "tls": certificates.listen(mutual=True)}
    weir = t.lab.weir(config(t.lab, {"otlp": {"protocols": {"http": block}}}, "out.json"), [where])
    stranger = Application("http", where, certificates=certificates, timeout=1)
    try:
        stranger.run()
        raise AssertionError("a client without a certificate was let in")
    except AssertionError as error:
        assert "exports failed" in str(error) or "could not flush" in str(error), error
    Application("http", where, certificates=certificates, mutual=True).run()
    books = weir.stop_balanced()
    assert books["traces"]["received"] == SPANS, books
    t.say(f"without a certificate 0 spans got in, with one {SPANS}")
