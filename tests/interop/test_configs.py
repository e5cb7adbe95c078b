"""Ordinary configurations, right and wrong: `weir validate` and the real Collector's accept and refuse the same ones.

`configs/right` is accepted by both, `configs/wrong` refused by both, and weir points at file, line and column. What only
later releases than the Collector at hand accept stands in `configs/newer`, what weir does not do and says so in
`configs/unsupported`, each with a comment.
"""

import os
import re
import subprocess
from pathlib import Path

from certificates import Certificates

CONFIGS = Path(__file__).parent / "configs"
# What the configurations refer to. NOT_SET_ANYWHERE is not set.
ENVIRONMENT = {
    "HOST": "localhost",
    "PORT": "4317",
    "NUMBER": "8",
    "LIST": "[a, b]",
    "MAP": "{queue_size: 7}",
    "RECEIVERS": "nop: {}",
    "WORD": "word",
    "LEADING_ZERO": "0123",
    "API_KEY": "secret",
    "MY_POD_IP": "127.0.0.1",
}


def validate(t, tool, path, env):
    done = subprocess.run([t.lab.tools[tool], "validate", f"--config={path}"], capture_output=True, text=True, env=env, timeout=60)
    return done.returncode, done.stdout + done.stderr


def expect(t, directory, weir_accepts, collector_accepts):
    certificates = Certificates(t.lab)
    env = {**os.environ, **ENVIRONMENT, "CERTIFICATES": str(certificates.directory), "OUT": str(t.lab.directory)}
    paths = sorted((CONFIGS / directory).glob("*.yaml"))
    assert paths, f"no configurations in {directory}"
    for path in paths:
        with t.case(path.stem):
            code, said = validate(t, "weir", path, env)
            their_code, they_said = validate(t, "otelcol", path, env)
            assert (their_code == 0) == collector_accepts, f"the Collector ended with {their_code}: {they_said}"
            assert code == (0 if weir_accepts else 78), f"weir ended with {code}: {said}"
            if not weir_accepts:
                assert "error[E" in said, f"no code: {said}"
                # Of an empty file there is nothing to point at.
                assert path.stem == "empty" or re.search(rf"{re.escape(path.name)}:\d+:\d+", said), f"no place: {said}"


def test_right_ones_are_accepted_by_both(t):
    expect(t, "right", weir_accepts=True, collector_accepts=True)


def test_wrong_ones_are_refused_by_both(t):
    expect(t, "wrong", weir_accepts=False, collector_accepts=False)


def test_newer_ones_are_accepted(t):
    expect(t, "newer", weir_accepts=True, collector_accepts=False)


def test_unsupported_ones_are_refused_by_name(t):
    expect(t, "unsupported", weir_accepts=False, collector_accepts=True)
