//! The grammar: what parses to what, what does not, and that no text does harm.

use proptest::prelude::*;

use super::{DEPTH_MAX, Goal, TEXT_BYTES_MAX, parse};

/// Prints with every level of precedence in parentheses.
fn shape(node: &super::Node) -> String {
    use super::NodeKind as Kind;
    match &node.kind {
        Kind::Not(inner) => format!("(not {})", shape(inner)),
        Kind::Negative(inner) => format!("(-{})", shape(inner)),
        Kind::And(nodes) => format!("({})", nodes.iter().map(shape).collect::<Vec<_>>().join(" and ")),
        Kind::Or(nodes) => format!("({})", nodes.iter().map(shape).collect::<Vec<_>>().join(" or ")),
        Kind::Compare(left, operator, right) => format!("({} {} {})", shape(left), operator.as_str(), shape(right)),
        Kind::Math(first, rest) => {
            let rest = rest.iter().map(|(operator, node)| format!(" {} {}", operator.as_str(), shape(node)));
            format!("({}{})", shape(first), rest.collect::<String>())
        }
        _ => node.to_string(),
    }
}

#[test]
fn precedence_and_associativity() {
    for (text, expected) in [
        ("a == 1 or b == 2 and not c == 3", "((a == 1) or ((b == 2) and (not (c == 3))))"),
        ("(a == 1 or b == 2) and c == 3", "(((a == 1) or (b == 2)) and (c == 3))"),
        ("not not true", "(not (not true))"),
        ("not (a == 1 and b == 2)", "(not ((a == 1) and (b == 2)))"),
        ("1 + 2 * 3 - 4 / 5", "(1 + (2 * 3) - (4 / 5))"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("3-5", "(3 - 5)"),
        ("3 - -5", "(3 - -5)"),
        ("-(1 + 2)", "(-(1 + 2))"),
        ("+x.y", "x.y"),
        ("-x.y * 2", "((-x.y) * 2)"),
        ("a + 1 >= b - 1", "((a + 1) >= (b - 1))"),
        ("(a + 1) * 2 == 4", "(((a + 1) * 2) == 4)"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        let root = parse(text, Goal::Expression).unwrap_or_else(|error| panic!("{error}"));
        let super::Root::Expression(node) = root else { panic!("{text}") };
        assert_eq!(shape(&node), expected, "{text}");
    }
}

#[test]
fn what_the_grammar_knows() {
    for text in [
        "nil",
        "true",
        "0x0aff",
        "1.",
        ".5",
        "1.5e-3",
        "1.5E3",
        r#""a\"b\\c\n\t\x41\u00e9\101""#,
        "[]",
        "[1, [nil], {}]",
        r#"{"a": 1, "b": {"c": [true]}}"#,
        r#"{"a": 1 "b": 2,}"#,
        "SPAN_KIND_SERVER",
        r#"a.b["c"][0][d["e"]][f + 1]"#,
        r#"Split(a, ",")[0]["x"]"#,
        "Now()",
        "Concat([a, b], delimiter=\"-\")",
        "Any(a, (x) => x == 1)",
        "Reduce(a, (x, y) => x + y, 0)",
        "When(() => true, a)",
        "a . b",
        "IsMatch(a, \"b\") and not IsMatch(c, \"d\")",
    ] {
        let root = parse(text, Goal::Expression).unwrap_or_else(|error| panic!("{error}"));
        let printed = root.to_string();
        let again = parse(&printed, Goal::Expression).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(again.to_string(), printed, "{text}");
    }
    for text in ["set(a, 1)", "set(a, 1)where b == 2", "keep_keys(a, [\"b\"]) where true", "f(a=1, b=SHA256)", "x()"] {
        let root = parse(text, Goal::Statement).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parse(&root.to_string(), Goal::Statement).unwrap().to_string(), root.to_string());
    }
}

#[test]
fn strings_have_gos_escapes() {
    for (text, expected) in [
        (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
        (r#""\u00e9\U0001F600\x41\101""#, "é😀AA"),
        ("\"zwei\nZeilen\"", "zwei\nZeilen"),
        (r#""\xc3\xa9""#, "é"),
    ] {
        let super::Root::Expression(node) = parse(text, Goal::Expression).unwrap() else { panic!("{text}") };
        assert_eq!(node.kind, super::NodeKind::Str(expected.to_owned()));
    }
}

#[test]
fn errors_point_and_help() {
    for (goal, text, expected) in [
        (Goal::Statement, "set(a, 1", "expected `,` or `)`, found the end\n  set(a, 1\n          ^"),
        (
            Goal::Statement,
            "Set(a, 1)",
            "a statement must start with an editor, but `Set` is a converter\n  Set(a, 1)\n  ^^^\nhelp: editors start in lower case: `set(target, value)`",
        ),
        (
            Goal::Statement,
            "set a",
            "expected `(` after the name of an editor, found `a`\n  set a\n      ^\nhelp: a statement is `editor(arguments) where condition`",
        ),
        (
            Goal::Statement,
            "set(a)[0]",
            "only paths and converters can be indexed, not editors\n  set(a)[0]\n         ^",
        ),
        (Goal::Statement, "set(a) if b", "expected `where` or the end, found `if`\n  set(a) if b\n         ^^"),
        (Goal::Statement, "", "expected an editor, like `set(...)`, found the end"),
        (
            Goal::Expression,
            "a = 1",
            "expected an operator or the end, found `=`\n  a = 1\n    ^\nhelp: write `==` to compare",
        ),
        (Goal::Expression, "a == 'x'", "unexpected `'`\n  a == 'x'\n       ^\nhelp: strings stand in double quotes"),
        (Goal::Expression, "a && b", "unexpected `&`\n  a && b\n    ^\nhelp: write `and`"),
        (Goal::Expression, "!a", "unexpected `!`\n  !a\n  ^\nhelp: write `not`, or `!=`"),
        (
            Goal::Expression,
            "a == 1 == 2",
            "expected no second comparison, found `==`\n  a == 1 == 2\n         ^^\nhelp: join comparisons with `and`",
        ),
        (Goal::Expression, "a == \"x", "a string is not closed\n  a == \"x\n       ^^\nhelp: add a `\"`"),
        (
            Goal::Expression,
            r#"a == "\d""#,
            "`\\d` is no escape sequence\n  a == \"\\d\"\n        ^^\nhelp: for a backslash write two: `\\\\d`",
        ),
        (Goal::Expression, "0x123", "bytes need an even number of hex digits, found 3\n  0x123\n  ^^^^^"),
        (
            Goal::Expression,
            "9223372036854775808",
            "`9223372036854775808` is too large for an int\n  9223372036854775808\n  ^^^^^^^^^^^^^^^^^^^",
        ),
        (
            Goal::Expression,
            "set(a, 1)",
            "`set` is an editor, which yields no value\n  set(a, 1)\n  ^^^\nhelp: converters start with a capital, like `IsMatch(...)`",
        ),
        (Goal::Expression, "a. == 1", "expected the name of a field after `.`, found `==`\n  a. == 1\n     ^^"),
        (Goal::Expression, "a.", "expected the name of a field after `.`, found the end\n  a.\n    ^"),
        (
            Goal::Expression,
            "span.Name",
            "`Name` in a path must be in lower case\n  span.Name\n       ^^^^\nhelp: quote what is text",
        ),
        (Goal::Expression, "{a: 1}", "expected a string as the key of a map, or `}`, found `a`\n  {a: 1}\n   ^"),
        (Goal::Expression, "[1 2]", "expected `,` or `]`, found `2`\n  [1 2]\n     ^"),
        (
            Goal::Expression,
            "a where b",
            "expected no `where`, found `where`\n  a where b\n    ^^^^^\nhelp: a condition stands alone, without `where`",
        ),
        (Goal::Expression, "F(x, (a, a) => a)", "two parameters are named `a`\n  F(x, (a, a) => a)\n           ^"),
        (
            Goal::Expression,
            "\"\\xff\"",
            "a string whose `\\x` escapes are no UTF-8\n  \"\\xff\"\n  ^^^^^^\nhelp: write bytes as `0x…`, or characters as `\\u…`",
        ),
    ] {
        let error = parse(text, goal).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    for (open, close) in [("(", ")"), ("[", "]"), ("{\"a\":", "}"), ("F(", ")"), ("not ", ""), ("a[", "]"), ("-(", ")")]
    {
        let shallow = deep(open, close, DEPTH_MAX / 2 - 2);
        assert!(parse(&shallow, Goal::Expression).is_ok(), "{shallow}");
        let error = parse(&deep(open, close, 9000), Goal::Expression).unwrap_err();
        assert_eq!(error.message, format!("nested more than {DEPTH_MAX} deep"), "{open}");
    }
    let wide = format!("1{}", " + 1 * 2 or 3 and 4".repeat(3000));
    assert_eq!(parse(&wide, Goal::Expression).unwrap().to_string().len(), wide.len());
    let long = "1".repeat(TEXT_BYTES_MAX + 1);
    assert!(parse(&long, Goal::Expression).unwrap_err().message.contains("are more than the 65536"));
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("nil".to_owned()),
        any::<i64>().prop_map(|int| int.to_string()),
        (-1e9..1e9).prop_map(|float| format!("{float:.3}")),
        any::<bool>().prop_map(|truth| truth.to_string()),
        "[a-z]{1,3}(\\.[a-z]{1,3})?(\\[\"k\"\\]|\\[0\\])?".prop_filter("keywords", |path| {
            !path.split(['.', '[']).any(|word| matches!(word, "nil" | "not" | "or" | "and" | "where"))
        }),
        "[A-Z]{1,3}",
        ".{0,5}".prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        "0x([0-9a-f]{2}){1,3}",
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "and", "or", "==", "!=", "<", ">="]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} + {b} * {c}")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("Fn({})[0]", list.join(", "))),
            inner.clone().prop_map(|a| format!("{{\"k\": {a}}}")),
            inner.prop_map(|a| format!("Fn(x, f=(p, q) => {a})")),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_printed_parses_to_the_same(text in expression()) {
        if let Ok(root) = parse(&text, Goal::Expression) {
            let printed = root.to_string();
            let again = parse(&printed, Goal::Expression).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
            prop_assert_eq!(again.to_string(), printed, "{}", text);
        }
    }

    #[test]
    fn any_text_parses_or_not(text in ".{0,60}") {
        for goal in [Goal::Statement, Goal::Expression] {
            if let Err(error) = parse(&text, goal) {
                prop_assert!(error.to_string().len() >= error.message.len());
            }
        }
    }

    #[test]
    fn any_tokens_parse_or_not(tokens in prop::collection::vec(prop::sample::select(vec![
        "set", "(", ")", "[", "]", "{", "}", ",", ".", ":", "=", "==", "=>", "+", "-", "*", "nil", "not", "and", "or",
        "where", "true", "\"s\"", "1", "1.5", "0x01", "Fn", "E", "a", " ",
    ]), 0..24)) {
        let text = tokens.concat();
        for goal in [Goal::Statement, Goal::Expression] {
            if let Ok(root) = parse(&text, goal) {
                let printed = root.to_string();
                let again = parse(&printed, goal).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
                prop_assert_eq!(again.to_string(), printed, "{}", text);
            }
        }
    }
}
