//! Editors, each on attributes (changed on the wire) and on `cache` (read, changed, set).

#![allow(clippy::unwrap_used, clippy::panic, clippy::let_underscore_must_use, reason = "tests, and what they share")]

mod support;

use ottl::{Context, Mode, Parser, visit};
use pdata::Payload;
use pdata::build::{LogFields, PayloadBuilder};
use pdata::edit::Editor;

fn record() -> Payload {
    let mut builder = PayloadBuilder::logs();
    builder.bare(|items| {
        items.record(&LogFields::default(), |_| {});
    });
    builder.finish(None)
}

/// What a map is, as JSON with sorted keys, after statements ran on it; the error of the last one otherwise.
fn after(map: &str, given: &str, statement: &str) -> Result<String, String> {
    let parser = Parser::new(&[]);
    let mode = Mode::Prefixed(Context::Log);
    let compile = |text: &str| parser.statement(&text.replace("MAP", map), mode).map_err(|error| error.message);
    let (given, statement) = (compile(&format!("set(MAP, {given})")).unwrap(), compile(statement)?);
    let read = parser.value(map, mode).unwrap();
    let mut editor = Editor::new(record()).unwrap();
    let mut outcome = Ok(String::new());
    visit(&mut editor, &pdata::Context::default(), Context::Log, |on| {
        given.run(on).unwrap();
        let ran = statement.run(on).map_err(|error| error.to_string());
        outcome = ran.map(|_| read.eval(on).unwrap().to_text());
        Ok::<_, ()>(())
    })
    .unwrap();
    outcome
}

fn check(given: &str, statement: &str, expected: &str) {
    for map in ["log.attributes", "log.cache"] {
        assert_eq!(after(map, given, statement).as_deref(), Ok(expected), "{statement} on {map} = {given}");
    }
}

fn refused(given: &str, statement: &str, expected: &str) {
    for map in ["log.attributes", "log.cache"] {
        let error = after(map, given, statement).expect_err(statement);
        assert!(error.contains(expected), "{statement} on {map}: {error}");
    }
}

#[test]
fn a_pattern_that_looks_at_too_much_fails_and_leaves_the_text() {
    let text = "A".repeat(50_000);
    let given = format!(r#"{{"a": "{text}"}}"#);
    for statement in [
        r#"replace_pattern(MAP["a"], ".*[^A]X|A", "b")"#,
        r#"replace_pattern(MAP["a"], ".*[^A]X|(A)", "<$1>")"#,
        r#"replace_pattern(MAP["a"], Concat([".*[^A]X", "A"], "|"), "b")"#,
        r#"replace_all_patterns(MAP, "value", ".*[^A]X|A", "b")"#,
    ] {
        refused(&given, statement, "the pattern looked at more than 3265536 bytes of a text of 50000 bytes");
    }
    let parser = Parser::new(&[]);
    let mode = Mode::Prefixed(Context::Log);
    let compile = |text: &str| parser.statement(text, mode).unwrap();
    let set = compile(&format!(r#"set(log.body, "{text}")"#));
    let replace = compile(r#"replace_pattern(log.body, ".*[^A]X|A", "b")"#);
    let read = parser.value("log.body", mode).unwrap();
    let mut editor = Editor::new(record()).unwrap();
    visit(&mut editor, &pdata::Context::default(), Context::Log, |on| {
        set.run(on).unwrap();
        replace.run(on).unwrap_err();
        assert!(read.eval(on).unwrap().to_text() == text, "the text was changed");
        Ok::<_, ()>(())
    })
    .unwrap();
}

#[test]
fn keys() {
    let given = r#"{"a": 1, "b": "x", "ab": true}"#;
    for (statement, expected) in [
        (r#"delete_key(MAP, "a")"#, r#"{"ab":true,"b":"x"}"#),
        (r#"delete_key(MAP, "none")"#, r#"{"a":1,"ab":true,"b":"x"}"#),
        (r#"delete_key(MAP, Concat(["a", "b"], ""))"#, r#"{"a":1,"b":"x"}"#),
        (r#"delete_matching_keys(MAP, "^a")"#, r#"{"b":"x"}"#),
        (r#"delete_matching_keys(MAP, "b$")"#, r#"{"a":1}"#),
        (r#"keep_matching_keys(MAP, "^a")"#, r#"{"a":1,"ab":true}"#),
        (r#"keep_keys(MAP, ["b", "none"])"#, r#"{"b":"x"}"#),
        (r#"keep_keys(MAP, [])"#, "{}"),
        (r#"limit(MAP, 3, [])"#, r#"{"a":1,"ab":true,"b":"x"}"#),
        (r#"limit(MAP, 2, [])"#, r#"{"a":1,"b":"x"}"#),
        (r#"limit(MAP, 2, ["ab"])"#, r#"{"a":1,"ab":true}"#),
        (r#"limit(MAP, 1, ["ab"])"#, r#"{"ab":true}"#),
        (r#"limit(MAP, 0, [])"#, "{}"),
    ] {
        check(given, statement, expected);
    }
    refused(given, r#"limit(MAP, 1, ["a", "b"])"#, "below the number of priority keys");
    refused(given, "limit(MAP, -1, [])", "cannot be negative");
    refused(given, r#"delete_key(MAP, 1)"#, "expected a string");
    refused(given, r#"delete_matching_keys(MAP, "(")"#, "unclosed group");
    refused(given, r#"delete_key(MAP["b"], "x")"#, "expected a map");
}

#[test]
fn setting() {
    let given = r#"{"a": {"b": [1, 2]}}"#;
    for (statement, expected) in [
        (r#"set(MAP["x"], "y")"#, r#"{"a":{"b":[1,2]},"x":"y"}"#),
        (r#"set(MAP["a"], MAP["a"]["b"])"#, r#"{"a":[1,2]}"#),
        (r#"set(MAP["a"], nil)"#, r#"{"a":{"b":[1,2]}}"#),
        (r#"set(MAP["a"], MAP["none"])"#, r#"{"a":{"b":[1,2]}}"#),
        (r#"set(MAP["a"]["c"]["d"], 1.5)"#, r#"{"a":{"b":[1,2],"c":{"d":1.5}}}"#),
        (r#"set(MAP["a"]["b"][1], "two")"#, r#"{"a":{"b":[1,"two"]}}"#),
        (r#"set(MAP, {})"#, "{}"),
    ] {
        check(given, statement, expected);
    }
}

#[test]
fn lists() {
    let given = r#"{"l": [1, 2, 3], "s": "x"}"#;
    for (statement, expected) in [
        (r#"append(MAP["l"], 4)"#, r#"{"l":[1,2,3,4],"s":"x"}"#),
        (r#"append(MAP["l"], values = ["a", true])"#, r#"{"l":[1,2,3,"a",true],"s":"x"}"#),
        (r#"append(MAP["s"], "y")"#, r#"{"l":[1,2,3],"s":["x","y"]}"#),
        (r#"append(MAP["new"], "y")"#, r#"{"l":[1,2,3],"new":["y"],"s":"x"}"#),
        (r#"delete_index(MAP["l"], 0)"#, r#"{"l":[2,3],"s":"x"}"#),
        (r#"delete_index(MAP["l"], 1, 3)"#, r#"{"l":[1],"s":"x"}"#),
        (r#"delete_index(MAP["l"], 0, 3)"#, r#"{"l":[],"s":"x"}"#),
        (r#"delete_index(MAP["l"], 1, 1)"#, r#"{"l":[1,2,3],"s":"x"}"#),
    ] {
        check(given, statement, expected);
    }
    for bounds in ["3", "-1", "1, 4", "2, 1"] {
        refused(given, &format!(r#"delete_index(MAP["l"], {bounds})"#), "out of the bounds of a list of 3 values");
    }
    refused(given, r#"append(MAP["l"])"#, "needs `value` or `values`");
    refused(given, r#"delete_index(MAP["s"], 0)"#, "expected a list");
}

#[test]
fn merging() {
    let given = r#"{"a": 1, "b": 2}"#;
    for (statement, expected) in [
        (r#"merge_maps(MAP, {"b": 3, "c": 4}, "insert")"#, r#"{"a":1,"b":2,"c":4}"#),
        (r#"merge_maps(MAP, {"b": 3, "c": 4}, "update")"#, r#"{"a":1,"b":3}"#),
        (r#"merge_maps(MAP, {"b": 3, "c": 4}, "upsert")"#, r#"{"a":1,"b":3,"c":4}"#),
        (r#"merge_maps(MAP, ParseJSON("{\"n\": {\"m\": 1}}"), "upsert")"#, r#"{"a":1,"b":2,"n":{"m":1}}"#),
    ] {
        check(given, statement, expected);
    }
    refused(given, r#"merge_maps(MAP, {}, "replace")"#, "`insert`, `update` or `upsert`");
    refused(given, r#"merge_maps(MAP, 1, "insert")"#, "expected a map");
}

#[test]
fn flattening() {
    let given = r#"{"a": {"b": {"c": 1}, "l": [1, {"d": 2}]}, "e": "f"}"#;
    for (statement, expected) in [
        ("flatten(MAP)", r#"{"a.b.c":1,"a.l.0":1,"a.l.1.d":2,"e":"f"}"#),
        (r#"flatten(MAP, "p")"#, r#"{"p.a.b.c":1,"p.a.l.0":1,"p.a.l.1.d":2,"p.e":"f"}"#),
        ("flatten(MAP, depth = 1)", r#"{"a.b":{"c":1},"a.l":[1,{"d":2}],"e":"f"}"#),
    ] {
        check(given, statement, expected);
    }
    check(r#"{"a.b": 1, "a": {"b": 2}}"#, "flatten(MAP, resolve_conflicts = true)", r#"{"a.b":1,"a.b.0":2}"#);
    check(r#"{"a.b": 1, "a": {"b": 2}}"#, "flatten(MAP)", r#"{"a.b":2}"#);
    check(r#"{"a": [1, 2]}"#, "flatten(MAP, resolve_conflicts = true)", r#"{"a":1,"a.0":2}"#);
    refused(given, "flatten(MAP, depth = 0)", "the depth must be 1 or more");
}

#[test]
fn texts() {
    let given = r#"{"t": "grüße", "n": 12, "f": 1.5, "b": true, "l": [1]}"#;
    for (statement, expected) in [
        ("truncate_all(MAP, 3)", r#"{"b":true,"f":1.5,"l":[1],"n":12,"t":"gr"}"#),
        ("truncate_all(MAP, 3, false)", r#"{"b":true,"f":1.5,"l":[1],"n":12,"t":"gr?"}"#),
        ("truncate_all(MAP, 4)", r#"{"b":true,"f":1.5,"l":[1],"n":12,"t":"grü"}"#),
        ("truncate_all(MAP, 99)", r#"{"b":true,"f":1.5,"l":[1],"n":12,"t":"grüße"}"#),
        (r#"truncate_all(MAP, 4, true, "..")"#, r#"{"b":true,"f":1.5,"l":[1],"n":12,"t":"gr.."}"#),
        ("stringify_all(MAP)", r#"{"b":"true","f":"1.5","l":"[1]","n":"12","t":"grüße"}"#),
    ] {
        check(given, statement, expected);
    }
    refused(given, "truncate_all(MAP, -1)", "cannot be negative");
    refused(given, r#"truncate_all(MAP, 1, true, "..")"#, "more than the limit");
}

#[test]
fn replacing() {
    let given = r#"{"a": "x=1&y=22", "b": "/user/7/list", "n": 5}"#;
    for (statement, expected) in [
        (r#"replace_pattern(MAP["a"], "[0-9]+", "*")"#, r#"{"a":"x=*&y=*","b":"/user/7/list","n":5}"#),
        (r#"replace_pattern(MAP["a"], "([xy])=([0-9]+)", "$2:$1")"#, r#"{"a":"1:x&22:y","b":"/user/7/list","n":5}"#),
        (r#"replace_pattern(MAP["a"], "none", "*")"#, r#"{"a":"x=1&y=22","b":"/user/7/list","n":5}"#),
        (r#"replace_pattern(MAP["a"], "$", "!")"#, r#"{"a":"x=1&y=22!","b":"/user/7/list","n":5}"#),
        (r#"replace_pattern(MAP["n"], "5", "6")"#, r#"{"a":"x=1&y=22","b":"/user/7/list","n":5}"#),
        (
            r#"replace_pattern(target=MAP["n"], regex_pattern="5", replacement="6")"#,
            r#"{"a":"x=1&y=22","b":"/user/7/list","n":5}"#,
        ),
        (r#"replace_pattern(MAP["none"], "5", "6")"#, r#"{"a":"x=1&y=22","b":"/user/7/list","n":5}"#),
        (
            r#"replace_pattern(MAP["a"], "=([0-9]+)", "$1", ToUpperCase, "<%s>")"#,
            r#"{"a":"x<1>&y<22>","b":"/user/7/list","n":5}"#,
        ),
        (r#"replace_all_patterns(MAP, "value", "[0-9]", "_")"#, r#"{"a":"x=_&y=__","b":"/user/_/list","n":5}"#),
        (r#"replace_all_patterns(MAP, "key", "^(.)$", "k.$1")"#, r#"{"k.a":"x=1&y=22","k.b":"/user/7/list","k.n":5}"#),
        (r#"replace_all_patterns(MAP, "key", "^[ab]$", "c")"#, r#"{"c":"/user/7/list","n":5}"#),
        (
            r#"replace_match(MAP["b"], "/user/*/list", "/user/{id}/list")"#,
            r#"{"a":"x=1&y=22","b":"/user/{id}/list","n":5}"#,
        ),
        (r#"replace_match(MAP["b"], "/user/*", "x")"#, r#"{"a":"x=1&y=22","b":"x","n":5}"#),
        (r#"replace_all_matches(MAP, "/user/*/*", "u")"#, r#"{"a":"x=1&y=22","b":"u","n":5}"#),
        (r#"replace_all_matches(MAP, "x*", "u", ToUpperCase)"#, r#"{"a":"U","b":"/user/7/list","n":5}"#),
    ] {
        check(given, statement, expected);
    }
    refused(given, r#"replace_pattern(MAP["a"], "(", "x")"#, "unclosed group");
    refused(given, r#"replace_all_patterns(MAP, "both", "a", "b")"#, "`key` or `value`");
    refused(given, r#"replace_match(MAP["a"], "[", "x")"#, "does not close a `[`");
    refused(given, r#"replace_pattern(MAP["a"], "1", "$0", ToUpperCase, "%d")"#, "one `%s`");
}

#[test]
fn replacements_are_bounded() {
    let long = "a".repeat(30_000);
    let given = format!(r#"{{"t": "{long}"}}"#);
    let statement = format!(r#"replace_pattern(MAP["t"], "a", "{}")"#, "b".repeat(200));
    refused(&given, &statement, "would make a text of more than");
}
