"""An application instrumented with the stock Python SDK: sends traces, metrics and logs, and remembers what it sent.

What the SDK handed to its exporter is encoded a second time with the SDK's own encoder; that is what must arrive.
"""

import gzip  # noqa: F401  (the HTTP exporter's compression needs it; a missing zlib fails here, with its name)
from pathlib import Path

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.span import SpanContext, TraceFlags, TraceState

RESOURCE = Resource.create(
    {"service.name": "interop", "service.instance.id": "i-1", "ratio": 0.25, "cores": 2, "tags": ["a", "b"], "on": True},
    schema_url="https://opentelemetry.io/schemas/1.28.0",
)
SPANS = 40


def remembering(exporter, encode, into, failed):
    """Makes `exporter` keep an encoded copy of what it is given, and count what it could not deliver."""
    export = exporter.export

    def both(batch, *rest, **named):
        into.append(encode(batch))
        result = export(batch, *rest, **named)
        if result.name != "SUCCESS":
            failed.append(str(result))
        return result

    exporter.export = both
    return exporter


class Application:
    """Exports over `protocol` ("grpc" or "http") to `where`, with TLS when `certificates` are given."""

    def __init__(self, protocol, where, gzipped=False, certificates=None, mutual=False, timeout=10):
        self.sent = {"traces": [], "metrics": [], "logs": []}
        self.failed = []
        self.timeout = timeout
        self.exporters = (self.grpc if protocol == "grpc" else self.http)(where, gzipped, certificates, mutual)

    def grpc(self, where, gzipped, certificates, mutual):
        settings = {
            "endpoint": f"{'https' if certificates else 'http'}://{where}",
            "compression": grpc.Compression.Gzip if gzipped else grpc.Compression.NoCompression,
            "insecure": certificates is None,
            "timeout": self.timeout,
        }
        if certificates:
            own = (Path(certificates.client_key), Path(certificates.client)) if mutual else (None, None)
            settings["credentials"] = grpc.ssl_channel_credentials(
                Path(certificates.ca).read_bytes(), *(path and path.read_bytes() for path in own)
            )
        kinds = (grpc_traces.OTLPSpanExporter, grpc_metrics.OTLPMetricExporter, grpc_logs.OTLPLogExporter)
        return [kind(**settings) for kind in kinds]

    def http(self, where, gzipped, certificates, mutual):
        settings = {"compression": HttpCompression.Gzip if gzipped else HttpCompression.NoCompression, "timeout": self.timeout}
        if certificates:
            settings["certificate_file"] = certificates.ca
            if mutual:
                settings |= {"client_certificate_file": certificates.client, "client_key_file": certificates.client_key}
        base = f"{'https' if certificates else 'http'}://{where}/v1"
        kinds = {"traces": http_traces.OTLPSpanExporter, "metrics": http_metrics.OTLPMetricExporter, "logs": http_logs.OTLPLogExporter}
        return [kind(endpoint=f"{base}/{signal}", **settings) for signal, kind in kinds.items()]

    def run(self):
        """Does some work, flushes, and returns what was sent per signal."""
        spans, metrics, logs = self.exporters
        tracers = TracerProvider(resource=RESOURCE)
        tracers.add_span_processor(BatchSpanProcessor(remembering(spans, encode_spans, self.sent["traces"], self.failed)))
        reader = PeriodicExportingMetricReader(
            remembering(metrics, encode_metrics, self.sent["metrics"], self.failed), export_interval_millis=3_600_000
        )
        exponential = View(instrument_type=Histogram, instrument_name="sizes", aggregation=ExponentialBucketHistogramAggregation())
        meters = MeterProvider([reader], resource=RESOURCE, exemplar_filter=AlwaysOnExemplarFilter(), views=[exponential])
        loggers = LoggerProvider(resource=RESOURCE)
        loggers.add_log_record_processor(BatchLogRecordProcessor(remembering(logs, encode_logs, self.sent["logs"], self.failed)))
        work(
            tracers.get_tracer("interop.tracer", "1.2", schema_url="https://example.test/tracer", attributes={"scope": "yes"}),
            meters.get_meter("interop.meter", "3.4"),
            loggers.get_logger("interop.logger", "5.6"),
        )
        for provider in (tracers, meters, loggers):
            assert provider.force_flush(30_000) is not False, f"{provider} could not flush"
            provider.shutdown()
        assert not self.failed, f"exports failed: {self.failed}"
        return self.sent


def work(tracer, meter, logger):
    """Spans with events, links and errors; instruments of every kind, with exemplars; records with every kind of body."""
    requests = meter.create_counter("requests", "1", "requests so far")
    active = meter.create_up_down_counter("active")
    latency = meter.create_histogram("latency", "ms")
    sizes = meter.create_histogram("sizes", "By")
    meter.create_observable_gauge("temperature", [lambda _: [_observation(21.5, "inside"), _observation(-3, "outside")]])
    elsewhere = SpanContext(0xABC, 0xDEF, True, TraceFlags(1), TraceState([("vendor", "x")]))
    for n in range(SPANS):
        kind = list(SpanKind)[n % len(SpanKind)]
        links = [Link(elsewhere, {"why": "linked", "n": n})] if n % 3 == 0 else []
        with tracer.start_as_current_span(f"operation {n % 7}", kind=kind, links=links) as span:
            span.set_attributes({"n": n, "ratio": n / 3, "even": n % 2 == 0, "name": f"ñame-{n}", "list": [n, n + 1], "words": ["x", "ÿ"]})
            span.add_event("step", {"at": n}, timestamp=1_700_000_000_000_000_000 + n)
            if n % 5 == 0:
                span.record_exception(ValueError(f"no. {n}"))
                span.set_status(Status(StatusCode.ERROR, "went wrong"))
            elif n % 5 == 1:
                span.set_status(StatusCode.OK)
            requests.add(1, {"route": f"/{n % 3}"})
            active.add(1 if n % 2 else -1)
            latency.record(n * 1.5, {"route": f"/{n % 3}"})
            sizes.record(2**n)
            bodies = [f"line {n}", {"nested": {"n": n, "list": [1, "two", None]}}, b"\x00\xff", n, n / 7, n % 2 == 0, ["a", 1]]
            logger.emit(
                LogRecord(
                    timestamp=1_700_000_000_000_000_000 + n,
                    observed_timestamp=1_700_000_000_000_000_001 + n,
                    context=trace.set_span_in_context(span),
                    severity_number=SeverityNumber.WARN,
                    severity_text="WARN",
                    body=bodies[n % len(bodies)],
                    attributes={"n": n, "what": "log"},
                    event_name="happened" if n % 4 == 0 else None,
                )
            )


def _observation(value, place):
    from opentelemetry.metrics import Observation

    return Observation(value, {"place": place})
