#!/usr/bin/env python3
"""Runs the interop tests: weir against real counterparts. Last line: `N passed, N failed`.

    run.py [-k TEXT] [--list]

Programs are named by the environment: WEIR, WEIR_LOAD, WEIR_SINK, OTELCOL, TELEMETRYGEN; else the PATH is searched.
Tests are functions `test_*` in the modules `test_*.py` beside this file. A test that lacks a counterpart is skipped with
a message, or fails where CI is set. KEEP=1 keeps the directories of failed tests.
"""

import argparse
import contextlib
import importlib
import logging
import os
import re
import sys
import time
import traceback
from pathlib import Path

from processes import Lab, Missing, Tools

HERE = Path(__file__).parent


# Settings of the caller's machine that would reach into clients and servers under test.
FOREIGN = re.compile(r"OTEL_|WEIR_LOG|WEIR_CONFIG|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_|(https?|all|no)_proxy", re.IGNORECASE)


class Results:
    """Counts cases and prints a line for each."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, name, seconds, problem, notes=()):
        if problem:
            self.failed.append(name)
        else:
            self.passed += 1
        print(f"{'FAIL' if problem else 'ok  '}  {name}  ({seconds:.1f} s)", flush=True)
        for note in notes:
            print(f"      {note}", flush=True)
        if problem:
            print("      " + problem.rstrip().replace("\n", "\n      "), flush=True)


class Case:
    """What a test gets: the lab, and a way to report several cases."""

    def __init__(self, name, lab, results):
        self.name, self.lab, self.results = name, lab, results
        self.notes, self.cases = [], 0

    def say(self, text):
        """Tells what a counterpart sent or received; printed below the case."""
        self.notes.append(text)

    @contextlib.contextmanager
    def case(self, label):
        """One of several cases of a test; a failure does not end the test."""
        begun, self.cases, problem = time.monotonic(), self.cases + 1, None
        outer, self.notes = self.notes, []
        try:
            yield
        except Missing:
            raise
        except Exception as error:
            problem = explain(error)
        self.results.add(f"{self.name} [{label}]", time.monotonic() - begun, problem, self.notes)
        self.notes = outer


def explain(error):
    if isinstance(error, AssertionError) and str(error):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{error}\n({Path(place.filename).name}:{place.lineno})"
    return "".join(traceback.format_exception(error))


def run(name, function, tools, results):
    lab = Lab(tools)
    case = Case(name, lab, results)
    begun, problem, failed_before = time.monotonic(), None, len(results.failed)
    try:
        function(case)
    except Missing as missing:
        if os.environ.get("CI"):
            problem = f"{missing} is missing"
        else:
            results.skipped.append(name)
            print(f"skip  {name}: {missing} is not on this machine (set CI to make this a failure)", flush=True)
            lab.close()
            return
    except Exception as error:
        problem = explain(error)
    if problem or not case.cases:
        results.add(name, time.monotonic() - begun, problem, case.notes)
    elif case.notes:
        print("\n".join(f"      {note}" for note in case.notes), flush=True)
    lab.close(keep=bool(os.environ.get("KEEP")) and len(results.failed) > failed_before)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-k", metavar="TEXT", default="", help="only tests whose name contains TEXT")
    arguments.add_argument("--list", action="store_true", help="print the names of the tests")
    options = arguments.parse_args()
    for name in [name for name in os.environ if FOREIGN.match(name)]:
        del os.environ[name]
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what goes wrong shows in the assertions
    sys.path.insert(0, str(HERE))
    tools, results = Tools(os.environ), Results()
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            full = f"{path.stem.removeprefix('test_')}::{name.removeprefix('test_')}"
            if not name.startswith("test_") or options.k not in full:
                continue
            if options.list:
                print(full)
            else:
                run(full, function, tools, results)
    if options.list:
        return 0
    if results.failed:
        print("failed: " + ", ".join(results.failed))
    if results.skipped:
        print("skipped: " + ", ".join(results.skipped))
    print(f"{results.passed} passed, {len(results.failed)} failed", flush=True)
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
