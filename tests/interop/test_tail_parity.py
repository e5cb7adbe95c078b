"""`tail_sampling` keeps the traces that the real Collector's keeps, each with all of its spans; see `test_parity.py`."""

from pathlib import Path

import parity
import parity_differences
import tail_parity
import tail_policies
import tail_traces

ROOT = Path(__file__).parents[2]


def test_tail_sampling_keeps_what_the_collector_keeps(t):
    t.lab.tools["weir"], t.lab.tools["otelcol"]  # missing ones are told before any work
    cases, traffic = tail_policies.cases(), tail_traces.make()
    with parity.Sink() as sink:
        outcomes = tail_parity.run(t.lab, cases, traffic, sink)
    problems, used, differ, choosing = [], set(), 0, 0
    for case in cases:
        theirs, ours = (outcomes[side][case.name] for side in parity.SIDES)
        choosing += 0 < len(tail_parity.spans_in(ours)[0]) < len(traffic.traces)
        difference = tail_parity.compare(case, traffic, theirs, ours)
        explanations, unexplained = parity_differences.find(case.full_name, difference and [difference] or [], parity_differences.TAIL_SAMPLING)
        used |= explanations
        differ += bool(explanations)
        problems += (f"{case.full_name}: {text}" for text in unexplained)
    agree = len(cases) - len(problems) - differ
    t.say(f"parity tail_sampling: {agree} agree, {differ} differ by intent, {len(problems)} unexplained")
    t.say(f"{len(traffic.traces)} traces in each case; {choosing} cases keep some of them and not others")
    with t.case("traces"):
        assert not problems, "\n".join(problems)
    with t.case("explanations are in the README and explain something"):
        parity_differences.check(ROOT, used, parity_differences.TAIL_SAMPLING)
