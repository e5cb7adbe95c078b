"""The differences from the Collector that weir means: which cases they concern, and where users are told.

Each entry: patterns of case names, the README, and a part of what it says (blanks do not count), which the test looks up.
`newer` names the release of the Collector whose behaviour weir has, where the one at hand (0.145) is older.
"""

import dataclasses
import fnmatch
import re

PROCESSORS = "components/processors"
BASE = "components/base"


@dataclasses.dataclass(frozen=True)
class Difference:
    cases: tuple
    readme: str
    says: str
    newer: str = ""


DIFFERENCES = [
]


def find(name):
    """The entry that explains a difference in this case."""
    return next((entry for entry in DIFFERENCES if any(fnmatch.fnmatchcase(name, pattern) for pattern in entry.cases)), None)


def check(root, used):
    """Fails on an entry that its README does not have, and on one that no case of the run needed (`used`, unless `None`)."""
    missing = []
    for entry in DIFFERENCES:
        text = re.sub(r"\s+", " ", (root / entry.readme).read_text())
        if re.sub(r"\s+", " ", entry.says) not in text:
            missing.append(f"{entry.readme} does not say: {entry.says}")
        if used is not None and entry not in used:
            missing.append(f"no case differs any more as {entry.cases} would explain: {entry.says}")
    assert not missing, "\n".join(missing)
