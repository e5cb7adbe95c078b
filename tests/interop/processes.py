"""Starts and ends the programs of a test: weir, a real Collector, load generators, sinks.

Every process belongs to one `Lab`, listens on free loopback ports, and is ended by its own pid when the lab closes.
Logs stay in the lab's directory, which is kept when a case failed and KEEP is set.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "config-examples"
START_SECONDS = 20
STOP_SECONDS = 45


class Missing(Exception):
    """A counterpart that this machine does not have."""


def free_port(hosts=("127.0.0.1",)):
    """A port that was free on these loopback addresses a moment ago."""
    while True:
        with contextlib.ExitStack() as stack:
            port = 0
            try:
                for host in hosts:
                    probe = stack.enter_context(socket.socket())
                    probe.bind((host, port))
                    port = probe.getsockname()[1]
                return port
            except OSError:
                # Free on the first of them only.
                continue


def address():
    return f"127.0.0.1:{free_port()}"


def poll(what, condition, seconds=START_SECONDS):
    """Waits until `condition` returns something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def http(method, url, body=b"", headers=None, timeout=30):
    """One HTTP request; returns status, headers and body whatever the status is."""
    request = urllib.request.Request(url, data=body if method == "POST" else None, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, dict(answer.headers), answer.read()


class Process:
    """A running program whose output goes to files."""

    def __init__(self, name, command, directory, env=None):
        self.name, self.command = name, [str(word) for word in command]
        self.out_path, self.err_path = directory / f"{name}.out", directory / f"{name}.err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory, env={**os.environ, **(env or {})}
            )

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def listening(self, *addresses):
        """Waits until all addresses take connections."""

        def connects(where):
            if self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.err[-3000:]}")
            host, port = where.rsplit(":", 1)
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return True
            except OSError:
                return False

        for where in addresses:
            poll(f"{self.name} on {where}", lambda: connects(where))
        return self

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """Waits for the end and returns the exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} still ran after {seconds} s:\n{self.err[-3000:]}") from None

    def stop(self, seconds=STOP_SECONDS):
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


class Weir(Process):
    """A running weir with its own metrics on a port of its own."""

    metrics_address = None

    def metrics(self):
        """Own metrics: a list of (name, labels, value)."""
        status, _, body = http("GET", f"http://{self.metrics_address}/metrics")
        assert status == 200, (status, body)
        series = []
        for line in body.decode().splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                series.append((match[1], labels, float(match[3])))
        return series

    def total(self, name, **labels):
        """Sum of the series called `name` (with or without `_total`) that carry these labels."""
        names = (name, f"{name}_total")
        return sum(v for n, has, v in self.metrics() if n in names and labels.items() <= has.items())

    def differences(self):
        return [value for name, _, value in self.metrics() if name == "weir_ledger_difference"]

    def ledger(self):
        """The books printed at exit: pipeline to {column: items}."""
        assert "ledger (items):" in self.err, f"{self.name} printed no ledger:\n{self.err[-3000:]}"
        header, *rows = self.err.split("ledger (items):", 1)[1].strip().splitlines()
        columns = header.split()[1:]
        books = {}
        for row in rows:
            words = row.rsplit(None, len(columns))
            if len(words) != len(columns) + 1:
                break
            books[words[0]] = dict(zip(columns, map(int, words[1:])))
        return books

    def stop_balanced(self, **settings):
        """Stops, and holds that nothing is unaccounted for; returns the books."""
        code = self.stop(**settings)
        books = self.ledger()
        assert all(row["difference"] == 0 for row in books.values()), f"the books do not balance: {books}"
        assert all(row.get("held", 0) == 0 for row in books.values()), f"something is still held: {books}"
        assert code == 0, f"{self.name} ended with {code}:\n{self.err[-3000:]}"
        return books


class Tools:
    """Where the programs are; `None` for those this machine does not have."""

    NAMES = {
        "weir": "WEIR",
        "weir-load": "WEIR_LOAD",
        "weir-sink": "WEIR_SINK",
        "otelcol": "OTELCOL",
        "telemetrygen": "TELEMETRYGEN",
        "openssl": None,
        "curl": None,
        "unshare": None,
    }

    def __init__(self, env):
        self.paths = {name: (env.get(key) if key else None) or shutil.which(name) for name, key in self.NAMES.items()}

    def __getitem__(self, name):
        path = self.paths[name]
        if not path or not os.access(path, os.X_OK):
            raise Missing(name)
        return path


class Lab:
    """One test's processes, files and ports."""

    def __init__(self, tools):
        self.tools = tools
        self.directory = Path(tempfile.mkdtemp(prefix="weir-interop-"))
        self.processes = []

    def close(self, keep=False):
        for process in reversed(self.processes):
            process.kill()
        if keep:
            print(f"      kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return self.directory / name

    def run(self, name, command, env=None):
        self.processes.append(Process(name, command, self.directory, env))
        return self.processes[-1]

    def write_config(self, name, config):
        """Writes a configuration; JSON is YAML, and what a test builds from parts reads best as data."""
        path = self.path(f"{name}.yaml")
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        return path

    def weir(self, config, listening=(), name="weir", args=(), env=None, within=(), example=None):
        """Starts weir; own metrics are added to the configuration unless it is text. `within`: a command that runs it. `example`: a
        file of `config-examples` that the configuration is laid over."""
        metrics = None
        if not isinstance(config, str):
            metrics = address()
            config.setdefault("service", {}).setdefault("telemetry", {})["metrics"] = own_metrics(metrics)
        below = [f"--config={EXAMPLES / example}"] if example else []
        command = [*within, self.tools["weir"], *below, f"--config={self.write_config(name, config)}", *args]
        process = Weir(name, command, self.directory, env)
        process.metrics_address = metrics
        self.processes.append(process)
        return process.listening(*listening, *([metrics] if metrics else []))

    def collector(self, config, listening=(), name="otelcol"):
        """Starts a real Collector, without metrics of its own."""
        config["service"].setdefault("telemetry", {"metrics": {"level": "none"}})
        command = [self.tools["otelcol"], f"--config={self.write_config(name, config)}"]
        return self.run(name, command).listening(*listening)

    def sink(self, *args, name="sink"):
        """Starts the benchmarks' counting destination; returns it with its gRPC and HTTP addresses."""
        process = self.run(name, [self.tools["weir-sink"], "--grpc=127.0.0.1:0", "--http=127.0.0.1:0", "--admin=127.0.0.1:0", *args])
        greeting = r"gRPC on (\S+), HTTP on (\S+), GET /stats on (\S+)"
        match = poll(f"{name}'s greeting", lambda: re.search(greeting, process.err))
        process.grpc, process.http, process.admin = match.groups()
        return process

    def load(self, *args, name="load"):
        """Runs the benchmarks' load generator to its end; returns its report."""
        process = self.start_load(*args, name=name)
        return self.finish_load(process)

    def start_load(self, *args, name="load"):
        return self.run(name, [self.tools["weir-load"], "--json", *args])

    @staticmethod
    def finish_load(process, seconds=180):
        code = process.wait(seconds)
        assert code == 0, f"weir-load ended with {code}: {process.err}"
        return json.loads(process.out)

    def telemetrygen(self, *args, name="telemetrygen"):
        process = self.run(name, [self.tools["telemetrygen"], *args])
        code = process.wait(120)
        assert code == 0, f"telemetrygen {args} ended with {code}: {process.err[-2000:]}"


def own_metrics(where):
    host, port = where.rsplit(":", 1)
    return {"readers": [{"pull": {"exporter": {"prometheus": {"host": host, "port": int(port)}}}}]}


def stats(sink):
    return json.loads(http("GET", f"http://{sink.admin}/stats")[2])
