//! Of all functions together: names, declarations, and that none panics whatever it is given.

use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::{computed, run};
use super::{refused, standard};
use crate::expr::Expr;
use crate::function::{Argument, Arguments, Built, Function, ParamKind};
use crate::value::{Time, Value};

#[test]
fn names_are_unique_and_tell_editors_from_converters() {
    let functions = standard();
    assert!(functions.windows(2).all(|pair| pair[0].name < pair[1].name));
    for function in &functions {
        assert!(refused(function.name).is_none(), "{}", function.name);
        let mut is_optional = false;
        for (at, param) in function.params.iter().enumerate() {
            assert!(
                !is_optional || param.is_optional,
                "{}: `{}` stands behind optional ones",
                function.name,
                param.name
            );
            is_optional = param.is_optional;
            assert!(function.params[..at].iter().all(|other| other.name != param.name), "{}", function.name);
        }
    }
    assert!(refused("GetXML").is_some());
}

/// Those of the reference, without editors.
#[test]
fn every_converter_is_there() {
    let functions = standard();
    let converters: Vec<&str> =
        functions.iter().map(|function| function.name).filter(|name| name.starts_with(char::is_uppercase)).collect();
    let mut expected: Vec<&str> = "All Any Base64Decode Base64Encode Bool Coalesce Concat ContainsValue ConvertCase Day \
        Decode Double Duration ExtractGrokPatterns ExtractPatterns FNV Filter Find Format FormatTime HasPrefix HasSuffix \
        Hex Hour Hours Index Int IsBool IsDouble IsEmpty IsInCIDR IsInt IsList IsMap IsMatch IsRootSpan IsString \
        IsValidLuhn Keys Len Log MD5 MapEach MapKeys Microseconds Milliseconds Minute Minutes Month Murmur3Hash \
        Murmur3Hash128 Nanosecond Nanoseconds Now ParseCEF ParseCLF ParseCSV ParseELF ParseInt ParseJSON ParseKeyValue \
        ParseLEEF ParseSeverity Reduce SHA1 SHA256 SHA512 Second Seconds SliceToMap Sort SpanID Split String Substring \
        Time ToCamelCase ToKeyValueString ToLowerCase ToSnakeCase ToUpperCase TraceID Trim TrimPrefix TrimSuffix \
        TruncateTime URL UUID UUIDv7 Unix UnixMicro UnixMilli UnixNano UnixSeconds Values Weekday When XXH128 XXH3 Year"
        .split_whitespace()
        .collect();
    expected.sort_unstable();
    assert_eq!(converters, expected);
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        // What some function reads.
        "[-+]?[0-9.]{1,20}(ns|us|ms|s|m|h|e9)?",
        "(CEF:|LEEF:2.0|#Fields:|\\?|http://)?[a-z0-9=|\\\\\"'%:,;@/ \\[\\]{}é\n\t#^.-]{0,40}",
        "[%a-zA-Z{}:()\\[\\]*+?|\\\\]{0,20}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.]{0,12}[A-Z+0-9:]{0,6}",
        Just("{\"a\":[1,{\"b\":null}]}".to_owned()),
    ]
}

fn values() -> impl Strategy<Value = Value<'static>> {
    let scalar = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![any::<i64>(), -3i64..70].prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        texts().prop_map(Value::text),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<i128>().prop_map(|nanos| Value::Time(Time::utc(nanos))),
        any::<i64>().prop_map(|nanos| Value::Time(Time::utc(nanos.into()))),
        any::<i64>().prop_map(Value::Duration),
        any::<[u8; 16]>().prop_map(Value::TraceId),
        any::<[u8; 8]>().prop_map(Value::SpanId),
    ];
    scalar.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec((texts(), inner), 0..5)
                .prop_map(|entries| Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())),
        ]
    })
}

/// A call with these arguments; `None` where it takes a target, function or lambda.
fn call(function: &Function, values: &[Value<'static>], literal: bool) -> Option<Result<Built, String>> {
    let expr = |value: &Value<'static>| if literal { Expr::Literal(value.clone()) } else { computed(value.clone()) };
    let mut arguments = Arguments::default();
    for (param, value) in function.params.iter().zip(values.iter().cycle()) {
        let argument = match param.kind {
            ParamKind::Value => Argument::Value(expr(value)),
            ParamKind::Text => Argument::Text(value.to_text()),
            ParamKind::Int => Argument::Int(value.as_int().unwrap_or(3)),
            ParamKind::Float => Argument::Float(1.5),
            ParamKind::Bool => Argument::Bool(literal),
            ParamKind::List => Argument::List(values.iter().map(expr).collect()),
            ParamKind::Target | ParamKind::Function | ParamKind::Lambda => return None,
        };
        if !(param.is_optional && matches!(value, Value::Nil)) {
            arguments.insert(param.name, argument);
        }
    }
    Some((function.build)(&mut arguments))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(values in vec(values(), 1..5)) {
        for function in standard().iter().filter(|function| function.name.starts_with(char::is_uppercase)) {
            for literal in [true, false] {
                if let Some(Ok(built)) = call(function, &values, literal) {
                    drop(run(&built));
                }
            }
        }
    }
}

/// `replace_pattern(target: path, regex_pattern, replacement, [function: converter], [replacement_format])`
fn signature(function: &Function) -> String {
    let params = function.params.iter().map(|param| {
        let kind = match param.kind {
            ParamKind::Value => "",
            ParamKind::Target => ": path",
            ParamKind::Text => ": text",
            ParamKind::Int => ": int",
            ParamKind::Float => ": float",
            ParamKind::Bool => ": bool",
            ParamKind::List => ": list",
            ParamKind::Function => ": converter",
            ParamKind::Lambda => ": lambda",
        };
        match param.is_optional {
            true => format!("[{}{kind}]", param.name),
            false => format!("{}{kind}", param.name),
        }
    });
    format!("{}({})", function.name, params.collect::<Vec<_>>().join(", "))
}

#[test]
fn the_list_of_functions_is_current() {
    let rows = include_str!("../../FUNCTIONS.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<&str> = Vec::new();
    for row in rows {
        let (signature, what) = row.split_once("` | ").unwrap_or_else(|| panic!("no row of the table: {row}"));
        assert!(what.trim_end_matches([' ', '|']).len() > 8, "`{signature}` is not described");
        documented.push(signature);
    }
    let mut functions = standard();
    functions.sort_by_key(|function| (function.name.starts_with(char::is_uppercase), function.name));
    let declared: Vec<String> = functions.iter().map(signature).collect();
    assert_eq!(documented, declared, "FUNCTIONS.md has other rows, or in another order, than there are functions");
    for function in functions.iter().filter(|function| !function.contexts.is_empty()) {
        for context in function.contexts {
            let row = include_str!("../../FUNCTIONS.md").lines().find(|line| line.contains(&signature(function)));
            assert!(row.is_some_and(|row| row.contains(context.as_str())), "{}: {}", function.name, context.as_str());
        }
    }
}
