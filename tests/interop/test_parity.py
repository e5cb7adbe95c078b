"""Processors agree with the real Collector's, item by item; where they mean to differ, their READMEs say so.

Each case ends in one of three ways: both sides agree; they differ and `parity_differences.py` says why, quoting the
component's README; or they differ unexplained, which fails. An explanation that explains nothing any more fails, too.
"""

import collections
import importlib
import os
from pathlib import Path

import parity
import parity_differences

HERE = Path(__file__).parent
# For work on single cases: only cases whose name contains this.
ONLY = "PARITY_ONLY"


def all_cases():
    found = []
    for path in sorted((HERE / "parity_cases").glob("*.py")):
        module = importlib.import_module(f"parity_cases.{path.stem}")
        if hasattr(module, "cases"):
            found += module.cases()
    only = os.environ.get(ONLY, "")
    return [case for case in found if only in case.full_name]


def test_processors_do_what_the_collector_does(t):
    t.lab.tools["weir"], t.lab.tools["otelcol"]  # missing ones are told before any work
    cases = all_cases()
    with parity.Sink() as sink:
        outcomes = parity.run(t.lab, cases, sink)
    counts, used = collections.defaultdict(collections.Counter), set()
    problems = collections.defaultdict(list)
    for number, case in enumerate(cases):
        found = parity.compare(case, outcomes["otelcol"][number], outcomes["weir"][number])
        explanations, unexplained = parity_differences.find(case.full_name, found)
        used |= explanations
        if unexplained:
            problems[case.component].append(f"{case.full_name}: " + "\n    ".join(unexplained[:5]))
        counts[case.component]["unexplained" if unexplained else "differ" if found else "agree"] += 1
    for component, count in counts.items():
        with t.case(component):
            t.say(
                f"parity {component}: {count['agree']} agree, {count['differ']} differ by intent, {count['unexplained']} unexplained"
            )
            assert not problems[component], "\n".join(problems[component])
    with t.case("explanations are in the READMEs and explain something"):
        parity_differences.check(HERE.parents[1], used if not os.environ.get(ONLY) else None)
