//! What expressions say about data points, and which are refused.

use pdata::view::AttributesView;

use super::*;

/// A data point with these attributes; a number where the value is one.
fn point(attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (key, value) in attributes {
        let value = match value.parse() {
            Ok(number) => pdata::edit::Value::Int(number),
            Err(_) => pdata::edit::Value::Str(value),
        };
        let (mut pair, mut encoded) = (Vec::new(), Vec::new());
        value.encode(&mut encoded);
        pdata::wire::put_len(&mut pair, 1, key.as_bytes());
        pdata::wire::put_len(&mut pair, 2, &encoded);
        pdata::wire::put_len(&mut message, 7, &pair);
    }
    message
}

fn holds(expression: &str) -> bool {
    let message = point(&[("env", "prod"), ("n", "5"), ("empty", "")]);
    let attributes = AttributesView::new(&message, 7);
    let point = Point { name: "http.requests", kind: "Sum", attributes };
    Expression::parse(expression).unwrap_or_else(|error| panic!("{error}")).0.holds(point)
}

#[test]
fn conditions_hold_as_in_the_language() {
    for (expression, expected) in [
        ("true", true),
        ("MetricName == \"http.requests\"", true),
        ("MetricName == 'http.request'", false),
        ("\"Sum\" == MetricType", true),
        ("MetricType != `Gauge`", true),
        ("HasLabel(\"env\")", true),
        ("HasLabel('none')", false),
        ("HasLabel('empty')", true),
        ("HasLabel(Label('empty'))", false),
        ("Label(\"env\") == \"prod\"", true),
        ("Label('none') == ''", true),
        ("Label('n') == '5'", false),
        ("Label('n') == ''", true),
        ("MetricName matches '^http\\\\.'", true),
        ("MetricName matches `^http\\.`", true),
        ("MetricName matches 'request'", true),
        ("not (MetricName matches 'request')", false),
        ("MetricName not matches 'request'", false),
        ("MetricName contains 'p.r'", true),
        ("MetricName startsWith 'http'", true),
        ("MetricName endsWith 'http'", false),
        ("MetricName not endsWith 'http'", true),
        ("MetricName in ['a', 'http.requests',]", true),
        ("MetricName not in ['a', 'b']", true),
        ("MetricName in []", false),
        ("Label('env') in [Label('env')]", true),
        ("'a' < 'b' and 'b' <= 'b' and 'c' > 'b' and 'c' >= 'c'", true),
        ("'a' < 'a'", false),
        ("!HasLabel('none') && HasLabel('env')", true),
        ("not HasLabel('none') and false", false),
        ("not HasLabel('env') or true", true),
        ("true or true and false", true),
        ("(true or true) and false", false),
        ("false and false or true", true),
        ("HasLabel('env') == true", true),
        ("HasLabel('env') != (MetricType == 'Sum')", false),
        ("not not true", true),
        ("'\\u0041\\x42\\t' == 'AB\t'", true),
        ("MetricName == 'http.requests' and Label('env') in ['prod', 'stage'] and not HasLabel('debug')", true),
    ] {
        assert_eq!(holds(expression), expected, "{expression}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (expression, character, message) in [
        ("", 1, "a condition is expected"),
        ("MetricName", 1, "an expression needs a condition, not a text"),
        ("['a']", 1, "an expression needs a condition, not a list"),
        ("MetricName == metricA", 15, "unknown name `metricA`; there are MetricName and MetricType"),
        ("len(MetricName) > 3", 1, "the function `len` is not supported; there are HasLabel and Label"),
        ("HasLabel", 1, "`HasLabel` is a function: `HasLabel(\"key\")`"),
        ("HasLabel()", 10, "`)` is not expected here"),
        ("HasLabel(true)", 10, "`HasLabel` needs a text, not a condition"),
        ("MetricName + 'a' == 'b'", 12, "the operator `+` is not supported"),
        ("MetricName == 'b' ? true : false", 19, "the operator `?` is not supported"),
        ("Label('a') > 5", 14, "`5`: numbers are not supported, labels are texts"),
        ("not MetricName == 'a'", 5, "`not` binds tighter than what follows and needs a condition; use parentheses"),
        ("MetricName == true", 15, "the comparison with a text needs a text, not a condition"),
        ("true == MetricName", 9, "the comparison with a condition needs a condition, not a text"),
        ("MetricName and true", 1, "`and` needs a condition, not a text"),
        ("MetricName in 'a'", 15, "`in` needs a list: `in [\"a\", \"b\"]`"),
        ("MetricName matches Label('a')", 20, "`matches` needs a pattern in quotes"),
        ("MetricName matches '('", 20, "error parsing regexp: unclosed group: `(`"),
        ("MetricName == 'a", 15, "the text is not closed"),
        ("MetricName == 'a\\.b'", 15, "unknown escape `\\.`; write a backslash as `\\\\`"),
        ("(true", 6, "`)` is missing"),
        ("true)", 5, "`)` is not expected here"),
        ("true true", 6, "`true` is not expected here"),
        ("MetricName ==", 14, "the expression ends too early"),
        ("é == @", 6, "unexpected character `@`"),
    ] {
        let error = Expression::parse(expression).unwrap_err();
        assert_eq!((error.character, error.message.as_str()), (character, message), "{expression}");
    }
    let deep = format!("{}true{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(Expression::parse(&deep).unwrap_err().message, "expressions nest at most 64 deep");
    let text = Expression::parse("MetricName").unwrap_err().to_string();
    assert_eq!(text, "expression `MetricName`, character 1: an expression needs a condition, not a text");
}
