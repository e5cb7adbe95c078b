//! The YAML reader: its limits, its refusals, and round trips through the printer.

use config::{Errors, Key, Limits, Node, Source, Value, codes, parse, print};
use proptest::{prelude::*, test_runner::RngSeed};
use std::time::{Duration, Instant};

fn read(text: &str) -> Result<Node, Errors> {
    parse(&Source::new("t.yaml", text), &Limits::default())
}

fn code_of(text: &str) -> &'static str {
    let errors = read(text).expect_err("refused");
    errors.sorted()[0].code
}

#[test]
fn reads_anchors_merge_keys_and_tags() {
    for (text, expected) in [
        ("a: &x {b: 1}\nc: *x", "{a: {b: 1}, c: {b: 1}}"),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", "{a: {b: 1, c: 2}, d: {c: 3, b: 1}}"),
        (
            "a: &x {b: 1}\ne: &y {b: 2, f: 3}\nd:\n  <<: [*x, *y]\n  g: 1",
            "{a: {b: 1}, e: {b: 2, f: 3}, d: {g: 1, b: 1, f: 3}}",
        ),
        ("'<<': 1", "{\"<<\": 1}"),
        ("a: !!str 5", "{a: \"5\"}"),
        ("a: !!int \"5\"", "{a: 5}"),
        ("a: !!float 5", "{a: 5.0}"),
        ("a: ! 5", "{a: \"5\"}"),
        ("200: a\ntrue: b\n1.50: c", "{\"200\": a, \"true\": b, \"1.50\": c}"),
        ("a:\n- 1\n-\n- x: y", "{a: [1, null, {x: y}]}"),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y", "{a: \"x\\ny\\n\", b: x y}"),
        ("# nothing", "null"),
        ("---\na: 1\n...", "{a: 1}"),
        ("{a: 1, b: [x, 'y', \"z\"]}", "{a: 1, b: [x, y, z]}"),
    ] {
        let node = read(text).map_err(|errors| errors.render_text(false)).expect(text);
        assert_eq!(print::to_flow(&node.value), expected, "{text}");
    }
}

#[test]
fn refuses_what_it_cannot_mean() {
    for (text, code) in [
        ("a: [", codes::YAML_SYNTAX),
        ("a: b: c", codes::YAML_SYNTAX),
        ("a:\n\tb: 1", codes::YAML_SYNTAX),
        ("a: *x", codes::YAML_SYNTAX),
        ("a: 1\na: 2", codes::DUPLICATE_KEY),
        ("{a: 1, 'a': 2}", codes::DUPLICATE_KEY),
        ("a: 1\n---\nb: 2", codes::YAML_UNSUPPORTED),
        ("[a]: 1", codes::YAML_UNSUPPORTED),
        ("? {a: b}\n: 1", codes::YAML_UNSUPPORTED),
        ("a: !custom 1", codes::YAML_UNSUPPORTED),
        ("a: !!int x", codes::YAML_UNSUPPORTED),
        ("a: !!binary aGk=", codes::YAML_UNSUPPORTED),
        ("a: !!set {a}", codes::YAML_UNSUPPORTED),
        ("a: {<<: 5}", codes::YAML_UNSUPPORTED),
        ("a: &x [*x]", codes::ALIAS_LIMIT),
    ] {
        assert_eq!(code_of(text), code, "{text}");
    }
}

#[test]
fn all_duplicate_keys_are_reported_with_their_first_place() {
    let errors = read("a: 1\nb: {c: 1, c: 2}\na: 2\na: 3").unwrap_err();
    let found: Vec<String> = errors.sorted().iter().map(|error| format!("{error} ({})", error.related[0].0)).collect();
    assert_eq!(
        found,
        [
            "t.yaml:2:11: duplicate key `c` (t.yaml:2:5)",
            "t.yaml:3:1: duplicate key `a` (t.yaml:1:1)",
            "t.yaml:4:1: duplicate key `a` (t.yaml:1:1)",
        ]
    );
}

#[test]
fn blocks_are_placed_at_their_key() {
    let node = read("a:\n  b:\n    c: 1\n  d:\n    - x\n  e:\n  f: {g: 1}").unwrap();
    for (path, place) in [
        ("a", "1:1"),
        ("a::b", "2:3"),
        ("a::b::c", "3:8"),
        ("a::d", "4:3"),
        ("a::d::0", "5:7"),
        ("a::e", "6:3"),
        ("a::f", "7:6"),
    ] {
        assert_eq!(node.get_path(path).unwrap().origin.to_string(), format!("t.yaml:{place}"), "{path}");
    }
}

/// Every bomb is refused with its own code, quickly, and before memory is spent on it.
#[test]
fn bombs_are_refused_fast() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    let mut merges = String::from("a0: &a0 {k: v}\n");
    for level in 1..200 {
        merges.push_str(&format!("a{level}: &a{level} {{x: *a{0}, y: *a{0}}}\n", level - 1));
    }
    let anchors: String =
        (0..90).map(|n| format!("&b{n} [")).collect::<String>() + &"x, ".repeat(100_000) + &"]".repeat(90);
    let long_line = format!("a: {}", "x".repeat(9 << 20));
    let many = "- a\n".repeat(400_000);
    let many_keys: String = (0..240_000).map(|n| format!("k{n}: 1\n")).collect();
    for (name, text, code) in [
        ("laughs", laughs, codes::ALIAS_LIMIT),
        ("merges", merges, codes::ALIAS_LIMIT),
        ("anchors", anchors, codes::ALIAS_LIMIT),
        ("flow depth", "[".repeat(100_000), codes::TOO_DEEP),
        ("flow map depth", "{a: ".repeat(100_000), codes::TOO_DEEP),
        ("block depth", "- ".repeat(100_000), codes::TOO_DEEP),
        (
            "alias depth",
            format!("a: &a {}1{}\nb: {}*a{}", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60)),
            codes::TOO_DEEP,
        ),
        ("long document", long_line, codes::TOO_LARGE),
        ("many values", many, codes::TOO_LARGE),
        ("many keys", many_keys, codes::TOO_LARGE),
    ] {
        let start = Instant::now();
        assert_eq!(code_of(&text), code, "{name}");
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(10), "{name} took {taken:?}");
    }
}

#[test]
fn limits_are_met_exactly() {
    let limits = Limits { document_bytes_max: 10, nodes_max: 4, depth_max: 2 };
    let check =
        |text: &str| parse(&Source::new("t", text), &limits).map(|_| ()).map_err(|errors| errors.sorted()[0].code);
    assert_eq!(check("[a, [b]]"), Ok(()));
    assert_eq!(check("[[[a]]]"), Err(codes::TOO_DEEP));
    assert_eq!(check("[a,b,c]"), Ok(()));
    assert_eq!(check("[a,b,c,d]"), Err(codes::TOO_LARGE));
    assert_eq!(check("abcdefghij"), Ok(()));
    assert_eq!(check("abcdefghijk"), Err(codes::TOO_LARGE));
}

#[test]
fn prints_json_and_origins() {
    let node = read("a: {b: [1, x], c: {}}\nd: .inf\ne: \"q\\\"\\n\"").unwrap();
    assert_eq!(
        print::to_json(&node),
        "{\n  \"a\": {\n    \"b\": [\n      1,\n      \"x\"\n    ],\n    \"c\": {}\n  },\n  \"d\": null,\n  \"e\": \"q\\\"\\n\"\n}\n"
    );
    assert_eq!(
        print::to_yaml_with_origins(&node),
        "a:\n  b:\n    - 1 # t.yaml:1:9\n    - x # t.yaml:1:12\n  c: {} # t.yaml:1:19\nd: .inf # t.yaml:2:4\ne: \"q\\\"\\n\" # t.yaml:3:4\n"
    );
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z0-9_./:$ -]{0,12}",
        "\\PC{0,12}",
        any::<String>(),
        prop::sample::select(vec![
            "null", "~", "true", "0x1F", "1e3", "- a", "a: b", "a #b", "'", "\"", "%a", "@", "...", "---", "<<", "=",
            ".inf", "?", "!", "&a", "*a"
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (9_223_372_036_854_775_808u64..).prop_map(Value::UInt),
        any::<f64>().prop_map(Value::Float),
        text.clone().prop_map(Value::string),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone().prop_map(Node::from), 0..6).prop_map(Value::List),
            prop::collection::btree_map(text.clone(), inner, 0..6).prop_map(Value::map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(0x7765_6972), ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(value in value()) {
        let node = Node::from(value);
        let block = print::to_yaml(&node);
        prop_assert_eq!(&read(&block).map_err(|errors| errors.render_text(false)), &Ok(node.clone()), "{}", block);
        let flow = print::to_flow(&node.value);
        prop_assert_eq!(&read(&flow).map_err(|errors| errors.render_text(false)), &Ok(node.clone()), "{}", flow);
        let placed = print::to_yaml_with_origins(&read(&block).unwrap());
        prop_assert_eq!(&read(&placed).map_err(|errors| errors.render_text(false)), &Ok(node.clone()), "{}", placed);
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(errors) = read(&text) {
            errors.render_text(true);
            errors.render_json();
            errors.render_github();
        }
    }

    #[test]
    fn no_yaml_like_text_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "a", ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "!", "!!str ", "|", ">", "'", "\"", "#", "?", "\t", "%", "---\n", "...\n", "<<", "\u{feff}", "\u{e9}", "\r", "\\", "  ", "${", "$$", "env:A",
    ]), 0..60)) {
        let text = parts.concat();
        if let Err(errors) = read(&text) {
            errors.render_text(false);
        }
        let uri = [format!("yaml:{text}")];
        let sets = [text];
        drop(config::load(&uri, &[], &|_: &str| None, &config::LoadOptions::default()));
        drop(config::load(&[], &sets, &|_: &str| None, &config::LoadOptions::default()));
    }
}

#[test]
fn keys_compare_by_text() {
    assert_eq!(Key::new("a"), Key::new("a"));
    assert_ne!(Key::new("a"), Key::new("b"));
}
