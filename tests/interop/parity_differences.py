"""The differences from the Collector that weir means: which cases they concern, and where users are told.

Each entry: patterns of case names, and the page with a part of what it says (blanks do not count), which the test looks up.
Where the patterns take in many cases, `what` says as a regular expression how they may differ; a case that differs in another
way as well is not explained by it.
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
    what: str = ""
    newer: str = ""

    def explains(self, name, difference):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.cases) and re.search(self.what, difference, re.DOTALL)


def differs(folder, says, *cases, **more):
    return Difference(cases, f"{folder}/README.md", says, **more)


def functions(says, *cases, **more):
    return Difference(cases, f"{PROCESSORS}/transform/FUNCTIONS.md", says, **more)


def ottl(says, *cases, **more):
    return Difference(cases, f"{BASE}/ottl/README.md", says, **more)


DIFFERENCES = [
    # attributes and resource
    differs(f"{PROCESSORS}/attributes", "Of several `libraries`, one must match", "attributes/* libraries * two *"),
    differs(f"{PROCESSORS}/attributes", "For metrics, `resources` counts", "attributes/metrics by *"),
    differs(f"{PROCESSORS}/attributes", "`from_context` and `default_value` in actions that cannot use them are refused", "attributes/config: from_context in delete"),
    differs(f"{PROCESSORS}/attributes", "Of keys that occur twice, every one is deleted, hashed and converted, and writing leaves one", "attributes/key twice, *"),
    differs(f"{PROCESSORS}/attributes", "`convert` to `int` keeps doubles beyond 64 bits in range", "attributes/convert double beyond to int"),
    differs(f"{PROCESSORS}/attributes", "hexadecimal floating point is no number", "attributes/convert '0x1p4' to double"),
    # filter
    differs(f"{PROCESSORS}/filter", "`HasAttrOnDatapoint` looks at every data point", "filter/metrics metric: HasAttrOnDatapoint(*"),
    differs(f"{PROCESSORS}/filter", "A severity that does not exist is refused, as are `expressions` without `match_type: expr` and expressions that are no conditions", "filter/* logs severity_number 0", "filter/* logs severity_number UNDEFINED", "filter/config: severity", "filter/config: expr*"),
    differs(f"{PROCESSORS}/filter", "exist since 0.146", "filter/config: newer conditions", newer="0.146"),
    # probabilistic_sampler
    differs(f"{PROCESSORS}/probabilistic_sampler", "`sampling_percentage: 0` drops items with an unreadable tracestate too", "probabilistic_sampler/* 0 open"),
    differs(f"{PROCESSORS}/probabilistic_sampler", "Kept spans without a trace ID (`fail_closed: false`) are not given an invented `rv`", "probabilistic_sampler/odd ids * False"),
    differs(f"{PROCESSORS}/probabilistic_sampler", "`sampling_precision` may not be negative, and `hash_seed` has to fit 32 bits", "probabilistic_sampler/config: precision negative", "probabilistic_sampler/config: seed too large"),
    # redaction
    differs(f"{PROCESSORS}/redaction", "`blocked_values` and the key rules hold everywhere", "redaction/*, all surfaces: *"),
    differs(f"{PROCESSORS}/redaction", "`blocked_values` look at the parts of lists and maps (with `surfaces: all` or `redact_all_types`), never at the whole as JSON", "redaction/*: values of all types", "redaction/*: all types"),
    differs(f"{PROCESSORS}/redaction", "Patterns that match the empty text (`.*`) leave values alone that are no texts", "redaction/values*: whole", "redaction/values*: empty match"),
    differs(f"{PROCESSORS}/redaction", "Words nobody can pronounce are told by their vowels and capitals instead of a trained model", "redaction/url attributes*"),
    differs(f"{PROCESSORS}/redaction", "`db_sanitizer`: `attributes` of `opensearch` and `es` count, too", "redaction/db opensearch *", "redaction/db es *"),
    differs(f"{PROCESSORS}/redaction", "A `summary` that does not exist is refused", "redaction/config: summary"),
    # transform: the processor
    differs(f"{PROCESSORS}/transform", "Attribute keys that occur twice on the wire: the first is read, writing leaves one", "transform/keys twice"),
    differs(f"{PROCESSORS}/transform", "`flatten_data` needs no feature gate", "transform/config: flatten without gate"),
    # transform: its functions
    functions("makes as many buckets as bounds", "transform/metrics*: convert_exponential_histogram_to_histogram(*"),
    functions("the metric's `metadata` is lost", "transform/metrics: aggregate_on_*", what="metadata"),
    functions("points with more buckets than the first crash it", "transform/metrics: aggregate_on_attributes(*", what="the Collector answers 0 "),
    functions("a point that is alone keeps its value", 'transform/metrics: aggregate_on_attributes("count")', what="dataPoints"),
    functions("all their points are dropped", "transform/metrics: aggregate_on_attribute_value(*", what="summary.dataPoints: the Collector has nothing"),
    functions("in the context of data points only, and adds the whole sum again for every point", "transform/points, *: convert_summary_*"),
    functions("a factor of 0 or less is an error for histograms", "transform/metrics*: scale_metric(0.0)"),
    functions("as the semantic conventions (1.37.0 to 1.40.0) say", 'transform/spans: set_semconv_span_name("1.38.0")', newer="0.146"),
    # OTTL
    ottl("the XML functions, `UserAgent`, `CommunityID`", "transform/xml: *", "transform/parsing: UserAgent(*", "transform/network: CommunityID(*", what=r'^only weir refuses .* is a function of the Collector that is left out'),
    ottl("As text, times are RFC 3339 and durations `1h30m0s`, IDs hexadecimal", "transform/read * as text", "transform/times: String(*", "transform/times: Concat(*", "transform/ids: String(*", what=r'stringValue: '),
    ottl("`Hex` takes IDs", "transform/ids: Hex(SpanID*"),
    ottl("`Format` writes lists and maps as Go writes its own", 'transform/texts: Format("%v", [[]log.attributes[[]"list*', 'transform/texts: Format("%v", [[]log.attributes[[]"map*'),
    ottl(
        "A value of a type that a path cannot hold is an error everywhere",
        "transform/set * to log.time", "transform/set * to log.trace_id", "transform/ids: *", "transform/times: log.*", "transform/times: Time(*", "transform/times: Duration(*", "transform/times: [[]Time(*",
        "transform/read*.*time", "transform/read*_id", "transform/read*.links", "transform/write *attributes*: Time(*", "transform/write *attributes*: Duration(*", "transform/write metric.metadata*: Time(*", "transform/write metric.metadata*: Duration(*", "transform/error, propagate: set(log.attributes, *", "transform/config: 'set(log.cache, 1)'", "transform/editors: append(log.attributes[[]\"bytes\"*",
    ),
    ottl("`metric.type` cannot be set", "transform/write metric.type*", "transform/datapoint writes metric.type", what=r'^only weir refuses .* cannot be set'),
    ottl("Numbers out of a field's range are errors", "transform/write *: -7", "transform/write *: 4294967296"),
    ottl("Conditions may stand where values are wanted", "transform/times: Now() > *", "transform/times: Year(Now()) >= *", "transform/config: 'set(log.body, true or false)'"),
    ottl("ints where floats are wanted and signs before literal arguments", "transform/metrics*: scale_metric(-1.0)", "transform/metrics*: scale_metric(2)", "transform/points, *: merge_histogram_buckets(5)", "transform/times: UnixNano(Unix(1.5))"),
    ottl("maps inside lists", "transform/collections: SliceToMap([[]*", "transform/editors: append(*{*"),
    ottl("Hexadecimal floats are no numbers", 'transform/conversions: Double("0x1p-2")'),
    ottl("`not not`, `nil` and texts in arithmetic and literal texts that are no numbers (errors when run)", "transform/where: not not true", "transform/math: nil *", "filter/fails, *: *+ \"a\"*", "transform/config: 'set(log.body, Substring*", "transform/conversions: Double(\"*", "transform/conversions: Bool(\"*", 'transform/conversions: Log("x")', what=r'^only the Collector refuses'),
    ottl("functions as arguments under an inferred context", "transform/editors: *, SHA256*", "transform/editors: *, MD5*", "transform/editors: *, ToUpperCase*", what=r'^only the Collector refuses'),
    ottl("`instrumentation_scope` as the only context", "transform/resource or scope writes instrumentation_scope*", "transform/inferred: instrumentation_scope", what=r'^only the Collector refuses'),
    ottl("IDs are set from bytes of their length", "transform/write *_id: 0x*"),
    ottl("lists of ints set lists of floats and counts", "transform/write datapoint.*: [[]1, 2]"),
    ottl("`bucket_counts`, `event_index` and fields that are messages can be read", "transform/read strictly *", "transform/read spanevent.event_index as text", "transform/read datapoint.*", *(f"transform/read {path}" for path in ("span.events", "span.status", "spanevent.event_index", "metric.data_points")), "filter/*: event_index*", "filter/*: bucket_counts*"),
    ottl("What has to fail is refused at start where it can be told", "transform/math: */*0*", "transform/group's own error mode*", "transform/error in the middle, ignore", "transform/patterns: ExtractPatterns(*", "transform/parsing: ParseSeverity(*", "transform/encodings: Decode(*none*", "transform/write spanevent.event_index: *", what=r'^only weir refuses'),
    ottl("what is cut inside a character, or decoded to other bytes, is repaired", "transform/texts: Substring(*unicode*", "transform/editors: truncate_all(*", "transform/encodings: Decode(*", what=r'a message that cannot be read'),
    ottl("`flatten` puts a dot between the indexes of lists in lists", "transform/editors: flatten(*", what=r'l\.1'),
    ottl("A map that is set into itself holds what it held before", "transform/set * to log.attributes*", "transform/read* *.attributes", "transform/write span.events: span.events", "transform/write span.links: span.links"),
    ottl("IDs are compared with `<`, `<=`, `>`, `>=`, too", "transform/compare: *", what=r'\[out\d\]: the Collector has nothing, weir has \{"boolValue": true\}'),
    ottl("`Time`: one digit is enough", *(f'transform/times: UnixNano(Time("{text}*' for text in ("2024-02-29T13:04:05+02:00", "02/29/24", "2024-2-9", "1709211845"))),
    ottl("What a language has no names for is read as CLDR's root says", "transform/locales: *", what="is not support by the language|has no names of"),
    ottl("(The Collector counts bytes of the format", "transform/locales: *年*", what="^the Collector answers 503"),
    ottl("A few more locales have their names", *(f'transform/locales: *"{locale}"*' for locale in ("nb", "nn", "ms-ID"))),
    ottl("`%o` pads with blanks", 'transform/times: FormatTime(*"%o")'),
    ottl("`%L`, `%f` and `%s` stand behind `.` or `,`", *(f'transform/times: FormatTime(*"{directive}")' for directive in ("%L", "%f", "%s"))),
]


# tail_sampling, whose cases are whole populations of traces (`tail_policies.py`).
TAIL_SAMPLING = [
    differs(f"{PROCESSORS}/tail_sampling", "`latency` without upper threshold is `>`", "tail_sampling/latency: 100", "tail_sampling/latency: none", newer="0.157"),
    differs(f"{PROCESSORS}/tail_sampling", "`latency` with an upper threshold looks at the whole trace", "tail_sampling/latency: * to *"),
    differs(f"{PROCESSORS}/tail_sampling", "a start or an end of 0 is unknown", "tail_sampling/and: * unknown times"),
    differs(f"{PROCESSORS}/tail_sampling", "`rate_limiting` is a bucket of tokens", "tail_sampling/rate_limiting: 1", newer="0.157"),
    differs(f"{PROCESSORS}/tail_sampling", "Beyond `num_traces` the Collector forgets the oldest trace unseen", "tail_sampling/too many: *"),
]


def find(name, differences, entries=DIFFERENCES):
    """Which entries explain the differences in this case, and what none of them explains."""
    used, unexplained = set(), []
    for difference in differences:
        entry = next((entry for entry in entries if entry.explains(name, difference)), None)
        if entry:
            used.add(entry)
        else:
            unexplained.append(difference)
    return used, unexplained


def check(root, used, entries=DIFFERENCES):
    """Fails on an entry that its README does not have, and on one that no case of the run needed (`used`, unless `None`)."""
    missing = []
    for entry in entries:
        text = re.sub(r"\s+", " ", (root / entry.readme).read_text())
        if re.sub(r"\s+", " ", entry.says) not in text:
            missing.append(f"{entry.readme} does not say: {entry.says}")
        if used is not None and entry not in used:
            missing.append(f"no case differs any more as {entry.cases} would explain: {entry.says}")
    assert not missing, "\n".join(missing)
