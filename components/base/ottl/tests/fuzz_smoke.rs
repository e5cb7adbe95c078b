//! What the fuzz target does, on statements that were damaged with a fixed seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::let_underscore_must_use, reason = "tests, and what they share")]

mod support;

use ottl::Context;

/// What is damaged: something of everything.
const SEEDS: &[&str] = &[
    r#"set(attributes["a"]["b"][0], [1, {"k": name}, nil, 0x01ff]) where not (kind == SPAN_KIND_SERVER or 1 + 2 * -3 < 4.5)"#,
    r#"set(span.name, attributes["map"]["deep"]["n"]) where span.attributes["list"][1] != nil and trace_state["a"] == "1""#,
    r#"delete_key(attributes, "text") where end_time - start_time != nil"#,
    r#"keep_keys(attributes["map"], ["k"])"#,
    r#"replace_pattern(attributes["text"], "(h)(e)", "$$2$1")"#,
    r#"set(events, [{"name": "n", "attributes": {"a": [1, 2]}}])"#,
    r#"set(body["list"][0], body.string) where severity_number >= SEVERITY_NUMBER_INFO"#,
    r#"set(bucket_counts, [1, 2, 3]) where metric.type == METRIC_DATA_TYPE_HISTOGRAM and positive.offset == nil"#,
    r#"merge_maps(resource.attributes, {"x": otelcol.client.metadata["x-tenant"][0]}, "upsert")"#,
    r#"append(attributes["list"], value="more") where resource.cache["a"] == nil"#,
    r#"truncate_all(attributes, 3)"#,
    r#"set(trace_id.string, "000102030405060708090a0b0c0d0e0f")"#,
    r#"set(span.events, [{"name": "n", "attributes": {"a": 1}}, {}]) where spanevent.event_index == 0"#,
    r#"set(metric.data_points, [{"as_int": 1, "exemplars": [{}]}, metric.data_points[0]])"#,
    r#"set(cache["t"], Time("5. März 2024", "%e. %B %Y", "UTC", "de"))"#,
    r#"set(cache["l"], Reduce(Filter(attributes, (k, v) => IsString(v)), "", (sum, k, v) => Concat([sum, v], "")))"#,
];

/// xorshift
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

#[test]
fn damaged_statements_do_no_harm() {
    let mut random = Random(0x5eed);
    for round in 0..3000 {
        let mut text: Vec<char> = SEEDS[round % SEEDS.len()].chars().collect();
        for _ in 0..random.below(4) {
            let at = random.below(text.len());
            let other: Vec<char> = SEEDS[random.below(SEEDS.len())].chars().collect();
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(12)).min(other.len())];
            match random.below(4) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, piece.iter().copied())),
                2 => drop(text.splice(at..(at + piece.len()).min(text.len()), piece.iter().copied())),
                _ => drop(text.splice(at..(at + 3).min(text.len()), [])),
            }
        }
        let text: String = text.into_iter().collect();
        support::try_text(Context::ALL[random.below(Context::COUNT)], &text);
    }
}

#[test]
fn whole_statements_run_everywhere() {
    for text in SEEDS {
        for context in Context::ALL {
            support::try_text(context, text);
        }
    }
}
