"""Nothing that was accepted is lost: oversized batches, a destination that refuses, a reload under load."""

import json
import re
import signal
import time

from processes import address, own_metrics, poll, stats

SPANS = 8192 * 6


def gateway(inlet, exporter, **more):
    """OTLP/gRPC in on `inlet`, `processors` in the middle, one exporter out."""
    processors = more.get("processors", {})
    return {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": inlet}}}},
        "processors": processors,
        "exporters": exporter,
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "processors": list(processors), "exporters": list(exporter)}}},
    }


def to_sink(sink, **settings):
    return {"otlp_grpc": {"endpoint": sink.grpc, "tls": {"insecure": True}, "compression": "none", **settings}}


def accepted_items(report):
    """Spans that weir-load got an acknowledgement for."""
    return report["acked_items"] - report["rejected_items"]


def totals(sink):
    """Ends a sink and returns what it counted."""
    sink.stop()
    return json.loads(sink.out)


def test_default_batches_reach_a_collector_with_the_default_limit(t):
    """8192 spans of 570 bytes, what `batch` makes by default, are 4.6 MB; a Collector takes 4 MiB and answers
    RESOURCE_EXHAUSTED. The Collector as the sender drops them; weir must not."""
    last, sink = address(), t.lab.sink()
    end = gateway(last, to_sink(sink))
    t.lab.collector(end, [last])
    inlet = address()
    exporter = {"otlp_grpc": {"endpoint": last, "tls": {"insecure": True}}}
    weir = t.lab.weir(gateway(inlet, exporter, processors={"batch": None}), [inlet])
    report = t.lab.load(f"--endpoint={inlet}", f"--requests={SPANS // 512}", "--items=512", "--retry", "--duration=60")
    sent = accepted_items(report)
    assert sent == SPANS, report
    books = weir.stop_balanced()
    arrived = poll("all spans at the sink", lambda: stats(sink)["items"] >= sent and stats(sink)["items"])
    assert books["traces"]["delivered"] == sent, books
    assert arrived == sent, f"{sent} accepted, {arrived} arrived"
    t.say(f"weir accepted {sent} spans of about 570 bytes, the Collector behind it passed on {arrived}")


def test_end_while_the_destination_refuses_a_third(t):
    """SIGTERM while the destination refuses 30 % of all requests, retryably: all that was accepted arrives."""
    sink, inlet = t.lab.sink("--fail-ratio=0.3"), address()
    retry = {"retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"}}
    weir = t.lab.weir(gateway(inlet, to_sink(sink, **retry), processors={"batch": {"send_batch_size": 1024}}), [inlet])
    load = t.lab.start_load(f"--endpoint={inlet}", "--rate=40000", "--items=128", "--duration=4")
    time.sleep(2)
    assert load.popen.poll() is None, "the load ended before weir was told to"
    books = weir.stop_balanced()
    report = t.lab.finish_load(load)
    final = totals(sink)
    row = books["traces"]
    assert final["refused_requests"] > 0, final
    assert row["delivered"] + row.get("refused", 0) == row["received"], f"accepted spans were dropped: {row}"
    # A span may arrive twice when the end cut off an answer; it may not arrive less than once.
    assert final["items"] >= row["delivered"] >= accepted_items(report) > 0, (final, row, report)
    t.say(f"the load generator counts {accepted_items(report)} accepted spans, the sink {final['items']},")
    t.say(f"which refused {final['refused_requests']} requests; the ledger at exit: {row}")


def test_reload_under_load(t):
    """SIGHUP with another processor in the middle, again and again, while spans keep coming: nothing is refused or lost,
    and the listener is the same."""
    sink, inlet = t.lab.sink(), address()
    processors = [
        {"batch": {"timeout": "20ms", "send_batch_size": 700}},
        {"batch": {"timeout": "10ms", "send_batch_size": 300, "send_batch_max_size": 400}},
        {},
        {"memory_limiter": {"check_interval": "1s", "limit_mib": 2000}, "batch/other": {"timeout": "20ms"}},
    ]
    weir = t.lab.weir(gateway(inlet, to_sink(sink), processors=processors[0]), [inlet])
    load = t.lab.start_load(f"--endpoint={inlet}", "--rate=30000", "--items=64", "--duration=8", "--retry")
    rounds = 0
    while load.popen.poll() is None and rounds < 12:
        rounds += 1
        config = gateway(inlet, to_sink(sink), processors=processors[rounds % len(processors)])
        config["service"]["telemetry"] = {"metrics": own_metrics(weir.metrics_address)}
        t.lab.write_config("weir", config)
        weir.signal(signal.SIGHUP)
        poll(f"reload no. {rounds}", lambda: weir.err.count("reloaded the configuration") == rounds)
        assert set(weir.differences()) <= {0}, weir.differences()
        time.sleep(0.3)
    report = t.lab.finish_load(load)
    books = weir.stop_balanced()
    final = totals(sink)
    sent = accepted_items(report)
    assert rounds >= 8, f"only {rounds} reloads"
    assert not report["refused_requests"] and not report["errors"], f"the listener was disturbed: {report}"
    assert books["traces"]["delivered"] == sent == final["items"], (books, sent, final)
    t.say(f"{rounds} reloads; {sent} spans were accepted, {final['items']} arrived, none was refused")


def test_wrong_configuration_at_reload_changes_nothing(t):
    sink, inlet = t.lab.sink(), address()
    weir = t.lab.weir(gateway(inlet, to_sink(sink)), [inlet])
    t.lab.write_config("weir", {"receivers": {"otlp": {"protocols": {"grcp": None}}}})
    weir.signal(signal.SIGHUP)
    poll("the refusal", lambda: "the running one goes on" in weir.err)
    assert re.search(r"weir\.yaml:\d+:\d+", weir.err), weir.err
    report = t.lab.load(f"--endpoint={inlet}", "--requests=10", "--items=10", "--duration=20")
    books = weir.stop_balanced()
    assert books["traces"]["delivered"] == accepted_items(report) == stats(sink)["items"] == 100, (books, report)
    t.say("a wrong file was refused by line and column; the running configuration took 100 spans more")
