//! Converters of lists and maps.

use std::cmp::Ordering;

use super::make::{
    Entries, Outcome, TARGET, TEXT_BYTES_MAX, binary, function, list, literal_texts, map, text, unary, unary_with,
    value,
};
use crate::compile::equal;
use crate::error::RunError;
use crate::function::{Arguments, Built, Function, Param, ParamKind};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("Keys", &[TARGET], |arguments| {
        unary(arguments, "target", |value| {
            Ok(Value::List(map(value)?.into_iter().map(|(key, _)| Value::Str(key)).collect()))
        })
    }),
    function("Values", &[TARGET], |arguments| {
        unary(arguments, "target", |value| Ok(Value::List(map(value)?.into_iter().map(|(_, value)| value).collect())))
    }),
    function("ContainsValue", &[TARGET, value("item")], |arguments| {
        binary(arguments, ["target", "item"], |target, item| {
            Ok(Value::Bool(list(target)?.iter().any(|value| equal(value, &item))))
        })
    }),
    function("Index", &[TARGET, value("value")], |arguments| {
        binary(arguments, ["target", "value"], |target, value| {
            let at = match target {
                Value::Str(target) => target.find(&*text(value)?),
                other => list(other)?.iter().position(|found| equal(found, &value)),
            };
            Ok(Value::Int(at.map_or(-1, |at| at as i64)))
        })
    }),
    function("Sort", &[TARGET, Param::optional("order", ParamKind::Text)], |arguments| {
        let descending = match arguments.text_opt("order").as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(format!("`{other}` is not an order: it is asc or desc")),
        };
        unary_with(arguments, "target", descending, |descending, value| sort(list(value)?, *descending))
    }),
    function(
        "SliceToMap",
        &[TARGET, Param::optional("key_path", ParamKind::List), Param::optional("value_path", ParamKind::List)],
        |arguments| {
            let paths = (path(arguments, "key_path")?, path(arguments, "value_path")?);
            unary_with(arguments, "target", paths, |(key, value), list| {
                slice_to_map(list, key.as_deref(), value.as_deref())
            })
        },
    ),
    function(
        "ToKeyValueString",
        &[
            TARGET,
            Param::optional("delimiter", ParamKind::Text),
            Param::optional("pair_delimiter", ParamKind::Text),
            Param::optional("sort_output", ParamKind::Bool),
        ],
        to_key_value_string,
    ),
];

/// Numbers are sorted as numbers if there is nothing else; scalars otherwise as text; a list with bytes, lists or maps
/// stays as it is.
fn sort(mut values: Vec<Value<'_>>, descending: bool) -> Outcome<'_> {
    let order = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
    let number = |value: &Value<'_>| match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    };
    let is_scalar =
        |value: &Value<'_>| matches!(value, Value::Nil | Value::Bool(_) | Value::Str(_)) || number(value).is_some();
    if values.iter().all(|value| matches!(value, Value::Int(_))) {
        values.sort_by(|left, right| order(left.as_int().unwrap_or(0).cmp(&right.as_int().unwrap_or(0))));
    } else if values.iter().all(|value| number(value).is_some()) {
        let mut keyed: Vec<_> = values.into_iter().map(|value| (number(&value).unwrap_or(0.0), value)).collect();
        keyed.sort_by(|(left, _), (right, _)| order(left.total_cmp(right)));
        values = keyed.into_iter().map(|(_, value)| value).collect();
    } else if values.iter().all(is_scalar) {
        let mut keyed: Vec<_> = values.into_iter().map(|value| (value.to_text(), value)).collect();
        keyed.sort_by(|(left, _), (right, _)| order(left.cmp(right)));
        values = keyed.into_iter().map(|(_, value)| value).collect();
    }
    Ok(Value::List(values))
}

fn path(arguments: &mut Arguments, name: &'static str) -> Result<Option<Vec<String>>, String> {
    let Some(path) = arguments.list_opt(name) else { return Ok(None) };
    if path.is_empty() {
        return Err(format!("argument `{name}` is empty: give at least one key"));
    }
    literal_texts(name, path).map(Some)
}

fn slice_to_map<'v>(value: Value<'v>, key_path: Option<&[String]>, value_path: Option<&[String]>) -> Outcome<'v> {
    let mut entries = Entries::default();
    for (index, element) in list(value)?.into_iter().enumerate() {
        if (key_path.is_some() || value_path.is_some()) && !matches!(element, Value::Map(_)) {
            let found = element.type_name();
            return Err(RunError::new(format!("element {index} is no map, but {found}, which has no keys to take")));
        }
        let key = match key_path {
            None => index.to_string(),
            Some(path) => match at(&element, path, index)? {
                Value::Str(key) => key.to_string(),
                other => {
                    let found = other.type_name();
                    return Err(RunError::new(format!("the key of element {index} must be a string, found {found}")));
                }
            },
        };
        let value = match value_path {
            None => element,
            Some(path) => at(&element, path, index)?.clone(),
        };
        entries.put(key, value.into_owned());
    }
    Ok(entries.finish())
}

fn at<'a, 'v>(element: &'a Value<'v>, path: &[String], index: usize) -> Result<&'a Value<'v>, RunError> {
    path.iter().try_fold(element, |value, key| match value {
        Value::Map(map) => map.get(key).ok_or_else(|| RunError::new(format!("element {index} has no `{key}`"))),
        _ => Err(RunError::new(format!("element {index} has no `{key}`"))),
    })
}

/// The delimiters of `ParseKeyValue` and `ToKeyValueString`.
pub(super) fn delimiters(arguments: &mut Arguments) -> Result<(String, String), String> {
    let delimiter = arguments.text_opt("delimiter").unwrap_or_else(|| "=".to_owned());
    let pair_delimiter = arguments.text_opt("pair_delimiter").unwrap_or_else(|| " ".to_owned());
    if delimiter.is_empty() || pair_delimiter.is_empty() {
        return Err("a delimiter cannot be empty".to_owned());
    }
    if delimiter == pair_delimiter {
        return Err(format!("`delimiter` and `pair_delimiter` are both `{delimiter}`"));
    }
    Ok((delimiter, pair_delimiter))
}

struct KeyValueStyle {
    delimiter: String,
    pair_delimiter: String,
    sorted: bool,
}

fn to_key_value_string(arguments: &mut Arguments) -> Result<Built, String> {
    let (delimiter, pair_delimiter) = delimiters(arguments)?;
    let style = KeyValueStyle { delimiter, pair_delimiter, sorted: arguments.bool_opt("sort_output").unwrap_or(false) };
    unary_with(arguments, "target", style, |style, value| {
        let map = map(value)?;
        let mut entries: Vec<_> = map.iter().collect();
        if style.sorted {
            entries.sort_by_key(|(key, _)| *key);
        }
        let mut out = String::new();
        for (index, (key, value)) in entries.into_iter().enumerate() {
            if index > 0 {
                out.push_str(&style.pair_delimiter);
            }
            style.push(key, &mut out);
            out.push_str(&style.delimiter);
            style.push(&value.to_text(), &mut out);
            if out.len() > TEXT_BYTES_MAX {
                return Err(RunError::new(format!("the text of the map is longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(Value::text(out))
    })
}

impl KeyValueStyle {
    /// Quotes inside are escaped; what contains a delimiter is quoted.
    fn push(&self, text: &str, out: &mut String) {
        let is_quoted = text.contains(&self.delimiter) || text.contains(&self.pair_delimiter);
        let quote = if is_quoted { "\"" } else { "" };
        out.push_str(quote);
        out.push_str(&text.replace('"', "\\\""));
        out.push_str(quote);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;

    fn abc() -> Value<'static> {
        map([("z", 1.into()), ("a", "b".into())])
    }

    #[test]
    fn keys_and_values_keep_their_order() {
        gives(Call::to("Keys").arg("target", abc()), list(["z", "a"]));
        gives(Call::to("Values").arg("target", abc()), Value::List(vec![1.into(), "b".into()]));
        gives(Call::to("Keys").arg("target", map([])), Value::List(Vec::new()));
        fails(Call::to("Keys").arg("target", "a"), "expected a map, found string");
        fails(Call::to("Values").arg("target", Value::Nil), "expected a map, found nil");
    }

    #[test]
    fn finding_values() {
        let values = || {
            Value::List(vec![1.into(), 2.0.into(), "a".into(), Value::Nil, list([1]), abc(), Value::TraceId([1; 16])])
        };
        let reordered = map([("a", "b".into()), ("z", 1.into())]);
        for (item, at) in [
            (1.into(), 0),
            (1.0.into(), 0),
            (2.into(), 1),
            ("a".into(), 2),
            (Value::Nil, 3),
            (list([1]), 4),
            (reordered, 5),
            (Value::Bytes(vec![1; 16].into()), 6),
            ("b".into(), -1),
            (true.into(), -1),
            (list([2]), -1),
        ] {
            gives(Call::to("Index").arg("target", values()).arg("value", item.clone()), at);
            gives(Call::to("ContainsValue").arg("target", values()).arg("item", item), at >= 0);
        }
        gives(Call::to("Index").arg("target", "héllo").arg("value", "l"), 3);
        gives(Call::to("Index").arg("target", "abc").arg("value", ""), 0);
        gives(Call::to("Index").arg("target", "abc").arg("value", "z"), -1);
        fails(Call::to("Index").arg("target", "abc").arg("value", 1), "expected a string, found int");
        fails(Call::to("Index").arg("target", Value::Nil).arg("value", 1), "expected a list, found nil");
        fails(Call::to("ContainsValue").arg("target", "abc").arg("item", "a"), "expected a list, found string");
    }

    #[test]
    fn sorting() {
        let of = |values: Vec<Value<'static>>| Value::List(values);
        for (values, order, expected) in [
            (list([3, 1, 2]), "asc", list([1, 2, 3])),
            (list([3, 1, 2]), "desc", list([3, 2, 1])),
            (of(vec![3.into(), 1.5.into(), 2.into()]), "asc", of(vec![1.5.into(), 2.into(), 3.into()])),
            (list([true, false, true]), "asc", list([false, true, true])),
            (
                of(vec!["b".into(), 1.into(), "a".into(), true.into(), Value::Nil]),
                "asc",
                of(vec![Value::Nil, 1.into(), "a".into(), "b".into(), true.into()]),
            ),
            (list(["a", "B", "b"]), "desc", list(["b", "a", "B"])),
            (of(vec![list([2]), 1.into()]), "asc", of(vec![list([2]), 1.into()])),
            (of(vec![]), "asc", of(vec![])),
        ] {
            gives(Call::to("Sort").arg("target", values).text("order", order), expected);
        }
        gives(Call::to("Sort").arg("target", list([2, 1])), list([1, 2]));
        fails(Call::to("Sort").arg("target", "abc"), "expected a list, found string");
        let error = Call::to("Sort").arg("target", list([1])).text("order", "up").build().unwrap_err();
        assert_eq!(error, "`up` is not an order: it is asc or desc");
    }

    #[test]
    fn lists_to_maps() {
        let things = || {
            list([
                map([("name", "foo".into()), ("value", 2.into())]),
                map([("name", "bar".into()), ("value", map([("test", "v".into())]))]),
            ])
        };
        let call = |target: Value<'static>| Call::to("SliceToMap").arg("target", target);
        let keys = |keys: &[&'static str]| keys.iter().map(|key| Value::from(*key)).collect::<Vec<_>>();
        gives(call(list(["a", "b"])), map([("0", "a".into()), ("1", "b".into())]));
        let build = |call: Call, key: &[&'static str], value: &[&'static str]| {
            let call = if key.is_empty() { call } else { call.list("key_path", keys(key)) };
            if value.is_empty() { call } else { call.list("value_path", keys(value)) }
        };
        let literal = |call: Call| call.run_literal().map(|value| format!("{value:?}"));
        assert_eq!(
            literal(build(call(things()), &["name"], &["value"])),
            Ok(format!("{:?}", map([("foo", 2.into()), ("bar", map([("test", "v".into())]))])))
        );
        assert_eq!(
            literal(build(call(list([map([("m", map([("n", "k".into())]))])])), &["m", "n"], &["m"])),
            Ok(format!("{:?}", map([("k", map([("n", "k".into())]))])))
        );
        for (target, key, value, error) in [
            (list(["x"]), &["n"][..], &[][..], "element 0 is no map, but string"),
            (things(), &["none"], &[], "element 0 has no `none`"),
            (things(), &["name", "deeper"], &[], "element 0 has no `deeper`"),
            (things(), &["value"], &[], "the key of element 0 must be a string, found int"),
            (things(), &["name"], &["value", "test"], "element 0 has no `test`"),
            ("x".into(), &[], &[], "expected a list, found string"),
        ] {
            let found = build(call(target), key, value).run_literal().unwrap_err().to_string();
            assert!(found.contains(error), "{found}");
        }
        let error = call(things()).list("key_path", vec![]).build().unwrap_err();
        assert!(error.contains("`key_path` is empty"), "{error}");
        let error = call(things()).list("key_path", vec![1.into()]).build().unwrap_err();
        assert!(error.contains("literal strings"), "{error}");
    }

    #[test]
    fn key_value_strings() {
        let target = map([
            ("b", "x y".into()),
            ("a", 1.into()),
            ("c", "q\"q".into()),
            ("d", "k=v".into()),
            ("e", Value::Nil),
            ("f", Value::List(vec![1.into(), "<".into()])),
            ("g", 1.0.into()),
        ]);
        let call = Call::to("ToKeyValueString").arg("target", target);
        gives(call.clone().flag("sort_output", true), "a=1 b=\"x y\" c=q\\\"q d=\"k=v\" e= f=[1,\\\"<\\\"] g=1");
        gives(
            call.text("delimiter", ":").text("pair_delimiter", ","),
            "b:x y,a:1,c:q\\\"q,d:k=v,e:,f:\"[1,\\\"<\\\"]\",g:1",
        );
        let call = Call::to("ToKeyValueString").arg("target", map([]));
        gives(call.clone(), "");
        for (delimiter, pair, error) in
            [("=", "=", "are both `=`"), ("", " ", "cannot be empty"), ("=", "", "cannot be empty")]
        {
            let found = call.clone().text("delimiter", delimiter).text("pair_delimiter", pair).build().unwrap_err();
            assert!(found.contains(error), "{found}");
        }
        fails(Call::to("ToKeyValueString").arg("target", 1), "expected a map, found int");
    }
}
