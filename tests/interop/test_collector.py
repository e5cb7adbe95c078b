"""A real Collector on either side of weir, over every transport: what comes out is compared item by item with what went in.

One Collector and one weir carry all variants at once: for each there is an exporter here, a receiver there, and a file.
"""

from certificates import Certificates
from otlp import REQUESTS, assert_same, items, post, read_file
from processes import address
from samples import message

# name, exporter type, its settings, security
VARIANTS = [
    ("grpc_gzip", "otlp_grpc", {}, "plain"),
    ("grpc_none", "otlp_grpc", {"compression": "none"}, "plain"),
    ("grpc_snappy", "otlp_grpc", {"compression": "snappy"}, "plain"),
    ("grpc_zstd", "otlp_grpc", {"compression": "zstd"}, "plain"),
    ("grpc_old_name", "otlp", {}, "plain"),
    ("grpc_tls", "otlp_grpc", {}, "tls"),
    ("grpc_mtls", "otlp_grpc", {"compression": "none"}, "mtls"),
    ("http_gzip", "otlp_http", {}, "plain"),
    ("http_none", "otlp_http", {"compression": "none"}, "plain"),
    ("http_zstd", "otlp_http", {"compression": "zstd"}, "plain"),
    ("http_json_gzip", "otlp_http", {"encoding": "json"}, "plain"),
    ("http_json_none", "otlp_http", {"encoding": "json", "compression": "none"}, "plain"),
    ("http_old_name", "otlphttp", {}, "plain"),
    ("http_tls", "otlp_http", {"compression": "none"}, "tls"),
    ("http_mtls", "otlp_http", {}, "mtls"),
    ("http_json_mtls", "otlp_http", {"encoding": "json"}, "mtls"),
    ("grpc_batched", "otlp_grpc", {"sending_queue": {"batch": {"flush_timeout": "100ms", "min_size": 20, "max_size": 25}}}, "plain"),
    ("http_batched", "otlp_http", {"sending_queue": {"batch": {"flush_timeout": "100ms", "min_size": 20, "max_size": 25}}}, "plain"),
]
ROUNDS = 3


def sending_side(where, certificates, inlet):
    """A configuration that takes OTLP/HTTP on `inlet` and sends it to every variant's address."""
    exporters = {}
    for name, kind, settings, security in VARIANTS:
        tls = {"insecure": True} if security == "plain" else certificates.connect(security == "mtls")
        scheme = "" if kind.startswith("otlp_grpc") or kind == "otlp" else "http://" if security == "plain" else "https://"
        exporters[f"{kind}/{name}"] = {"endpoint": scheme + where[name], "tls": tls, **settings}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": inlet}}}},
        "exporters": exporters,
        "service": {"pipelines": {signal: {"receivers": ["otlp"], "exporters": list(exporters)} for signal in REQUESTS}},
    }


def receiving_side(where, certificates, directory):
    """A configuration that takes every variant on its address and writes it to a file of its own."""
    receivers, exporters, pipelines = {}, {}, {}
    for name, kind, _, security in VARIANTS:
        protocol = "http" if "http" in kind else "grpc"
        block = {"endpoint": where[name]}
        if security != "plain":
            block["tls"] = certificates.listen(security == "mtls")
        receivers[f"otlp/{name}"] = {"protocols": {protocol: block}}
        exporters[f"file/{name}"] = {"path": str(directory / f"{name}.json")}
        for signal in REQUESTS:
            pipelines[f"{signal}/{name}"] = {"receivers": [f"otlp/{name}"], "exporters": [f"file/{name}"]}
    return {"receivers": receivers, "exporters": exporters, "service": {"pipelines": pipelines}}


def send(t, inlet):
    sent = {signal: [message(signal)] * ROUNDS for signal in REQUESTS}
    for signal, messages in sent.items():
        for one in messages:
            post(inlet, signal, one)
    return sent


def compare(t, sent, sender, receiver):
    for name, kind, settings, security in VARIANTS:
        with t.case(f"{name}: {kind} {security}"):
            counts = [assert_same(signal, sent[signal], read_file(t.lab.path(f"{name}.json"), signal)) for signal in REQUESTS]
            t.say("{} sent {} spans, {} data points, {} log records; {} wrote the same".format(sender, *counts, receiver))


def test_collector_to_weir(t):
    certificates, inlet = Certificates(t.lab), address()
    where = {name: address() for name, *_ in VARIANTS}
    weir = t.lab.weir(receiving_side(where, certificates, t.lab.directory), where.values())
    collector = t.lab.collector(sending_side(where, certificates, inlet), [inlet])
    sent = send(t, inlet)
    collector.stop()  # drains its queues
    with t.case("books"):
        assert set(weir.differences()) == {0}, weir.differences()
        books = weir.stop_balanced()
        t.say(f"weir received {sum(row['received'] for row in books.values())} items in {len(books)} pipelines")
    compare(t, sent, "the Collector", "weir")


def test_weir_to_collector(t):
    certificates, inlet = Certificates(t.lab), address()
    where = {name: address() for name, *_ in VARIANTS}
    collector = t.lab.collector(receiving_side(where, certificates, t.lab.directory), where.values())
    weir = t.lab.weir(sending_side(where, certificates, inlet), [inlet])
    sent = send(t, inlet)
    with t.case("books"):
        books = weir.stop_balanced()
        for signal, row in books.items():
            assert row["delivered"] == row["received"] + row.get("copies", 0), f"{signal}: {row}"
        t.say(f"weir says {books}")
    collector.stop()  # flushes its files
    compare(t, sent, "weir", "the Collector")


def test_chain_of_weir_and_collector(t):
    """Collector → weir with a `batch` processor that merges and splits → Collector.

    The Collectors have none: theirs (0.145) loses the resource's schema URL when it splits, weir's must not.
    """
    first, middle, last = address(), address(), address()
    out = t.lab.path("out.json")

    def hop(inlet, exporters, **processors):
        pipeline = {"receivers": ["otlp"], "processors": list(processors), "exporters": list(exporters)}
        receivers = {"otlp": {"protocols": {"http": {"endpoint": inlet}}}}
        pipelines = {signal: dict(pipeline) for signal in REQUESTS}
        return {"receivers": receivers, "processors": processors, "exporters": exporters, "service": {"pipelines": pipelines}}

    def onward(to):
        return {"otlp_http": {"endpoint": f"http://{to}"}}

    end = t.lab.collector(hop(last, {"file": {"path": str(out)}}), [last], name="otelcol-last")
    batch = {"timeout": "100ms", "send_batch_size": 20, "send_batch_max_size": 25}
    weir = t.lab.weir(hop(middle, onward(last), batch=batch), [middle])
    start = t.lab.collector(hop(first, onward(middle)), [first], name="otelcol-first")
    sent = send(t, first)
    start.stop()
    books = weir.stop_balanced()
    end.stop()
    received = {signal: read_file(out, signal) for signal in REQUESTS}
    counts = [assert_same(signal, sent[signal], received[signal]) for signal in REQUESTS]
    largest = max(items(signal, [one]).total() for signal in REQUESTS for one in received[signal])
    assert largest <= 25, f"a batch of {largest} items left, 25 are allowed"
    t.say("the first Collector sent {} spans, {} data points, {} log records, the last wrote the same;".format(*counts))
    t.say(f"weir between them says {books}")
