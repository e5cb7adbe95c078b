"""Writes names.txt, the names of months, days and halves of the day in all locales, from Unicode's CLDR.

    python3 generate.py COMMON > names.txt

COMMON is the directory `common` of a CLDR release's core.zip (the npm package `cldr` 8.0.0 carries that of release 48
as 3rdparty/cldr/common). Read are main/*.xml and the parents of locales in supplemental/supplementalData.xml.

Which names count is what the Collector's `Time` reads, and follows its library (elastic/lunes 0.2.0) in this:

- Gregorian calendar, context `format`, widths `wide` and `abbreviated`, drafts included; of alternatives the last.
- AM and PM are of width `abbreviated`, or `narrow` where that lacks them; variants only if there is nothing else; narrow
  no-break spaces are taken out.
- A locale takes what it lacks from its parent, not from the root. The parents in PARENTS are those that the
  Collector knows; CLDR has named others since.

Everything here is tested by use: the parity test compares locales with a real Collector.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = [str(number) for number in range(1, 13)]
HALVES = ["am", "pm"]
LISTS = [("day", "abbreviated", DAYS), ("day", "wide", DAYS), ("month", "abbreviated", MONTHS), ("month", "wide", MONTHS)]
PARENTS = {"en-CA": "en-001", "en-PH": "en-001"} | {
    f"en-{region}": "en" for region in "CZ EE ES FR GE GS HU ID IT LT LV MV NO PL PT RO SK UA".split()
}

HEAD = """\
# Names of days, months and halves of the day by locale, from Unicode CLDR 48; generate.py beside this file wrote it.
# Copyright 1991-2025 Unicode, Inc. Unicode License v3 (Unicode-3.0), see NOTICE at the root of the tree.
# A line: tag, parent or nothing, short days from Sunday, long days, short months, long months, AM and PM; tabs between
# them, | between names, nothing where the parent's hold, and no tabs at the end.
"""


def tag_of(name):
    """BCP 47, in the case that it is written in: `ca_ES_VALENCIA` is `ca-ES-valencia`."""
    if name == "en_US_POSIX":
        return "en-US-u-va-posix"
    language, *rest = name.split("_")
    return "-".join([language] + [part if len(part) <= 4 else part.lower() for part in rest])


def lists_of(path):
    """The five lists of a locale as dictionaries; an empty one where it has none."""
    gregorian = ET.parse(path).getroot().find("dates/calendars/calendar[@type='gregorian']")
    found = [{}, {}, {}, {}, {}]
    if gregorian is None:
        return found
    for names, (kind, width, _) in zip(found, LISTS):
        for name in gregorian.findall(f"{kind}s/{kind}Context[@type='format']/{kind}Width[@type='{width}']/{kind}"):
            names[name.get("type")] = name.text
    halves = {}
    for width in gregorian.findall("dayPeriods/dayPeriodContext[@type='format']/dayPeriodWidth"):
        if width.get("type") in ("abbreviated", "narrow") and len(halves) < 2:
            for half in width.findall("dayPeriod"):
                if half.get("type") in HALVES and not (half.get("alt") == "variant" and half.get("type") in halves):
                    halves[half.get("type")] = half.text.replace("\u202f", "")
    if len(halves) == 2:
        found[4] = halves
    return found


def main(common):
    own = {tag_of(path.stem): lists_of(path) for path in sorted((common / "main").glob("*.xml"))}
    own["und"] = own.pop("root")
    parents = {}
    for parent in ET.parse(common / "supplemental/supplementalData.xml").getroot().findall("parentLocales"):
        if parent.get("component") is None:
            for child in parent.findall("parentLocale"):
                for name in (child.get("locales") or "").split():
                    parents[tag_of(name)] = "und" if child.get("parent") == "root" else tag_of(child.get("parent"))
    parents |= PARENTS

    def parent(tag):
        found = parents.get(tag) or ("en-US" if "-u-" in tag else tag.rpartition("-")[0])
        return None if found in ("", "und") else found

    def whole(tag):
        base = whole(parent(tag)) if parent(tag) else [{}] * 5
        return [names | own[tag][number] for number, names in enumerate(base)]

    orders = [order for _, _, order in LISTS] + [HALVES]
    lines = []
    for tag in sorted(own):
        above, lists = whole(parent(tag)) if parent(tag) else [{}] * 5, whole(tag)
        if not any(lists):
            continue
        cells = [tag, parent(tag) or ""]
        for names, inherited, order in zip(lists, above, orders):
            whole_or_none = len(names) in (0, len(order))
            assert whole_or_none, f"{tag} has some of a list only: {names}"
            same = names == inherited
            cells.append("" if same else "|".join(names[name] for name in order))
        lines.append("\t".join(cells).rstrip("\t"))
    assert not any(re.search(r"\|\||↑", line) for line in lines), "empty names"
    sys.stdout.write(HEAD + "\n".join(lines) + "\n")


main(Path(sys.argv[1]))
