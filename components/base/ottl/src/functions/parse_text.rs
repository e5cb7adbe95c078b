//! `ParseKeyValue` and `ParseSeverity`.

use super::collections::delimiters;
use super::make::{Entries, Outcome, TARGET, check_count, digest_or_fail, function, unary_with, value};
use crate::error::RunError;
use crate::function::{Arguments, Built, Function, Param, ParamKind};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "ParseKeyValue",
        &[TARGET, Param::optional("delimiter", ParamKind::Text), Param::optional("pair_delimiter", ParamKind::Text)],
        |arguments| {
            let (delimiter, pair_delimiter) = delimiters(arguments)?;
            digest_or_fail(arguments, "target", move |text| key_values(text, &delimiter, &pair_delimiter))
        },
    ),
    function("ParseSeverity", &[TARGET, value("mapping")], severity),
];

fn key_values(text: &str, delimiter: &str, pair_delimiter: &str) -> Outcome<'static> {
    if text.is_empty() {
        return Err("there are no pairs in an empty string".into());
    }
    let mut entries = Entries::default();
    for pair in pairs(text, pair_delimiter)? {
        let (key, value) = pair
            .split_once(delimiter)
            .ok_or_else(|| RunError::new(format!("`{pair}` is no pair: it does not contain `{delimiter}`")))?;
        entries.put_text(key.trim().to_owned(), value.trim());
    }
    Ok(entries.finish())
}

/// Splits at delimiters outside of quotes, which are taken away; a backslash keeps a quote, and stays.
fn pairs(text: &str, delimiter: &str) -> Result<Vec<String>, RunError> {
    let mut pairs = Vec::new();
    let mut pair = String::new();
    let mut open_quote = None;
    let mut is_escaped = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if open_quote.is_none()
            && let Some(after) = rest.strip_prefix(delimiter)
        {
            check_count(pairs.len())?;
            if !pair.is_empty() {
                pairs.push(std::mem::take(&mut pair));
            }
            rest = after;
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        if is_escaped {
            is_escaped = false;
        } else if open_quote == Some(character) {
            open_quote = None;
            continue;
        } else if open_quote.is_none() && matches!(character, '"' | '\'') {
            open_quote = Some(character);
            continue;
        } else {
            is_escaped = character == '\\';
        }
        pair.push(character);
    }
    if let Some(quote) = open_quote {
        return Err(RunError::new(format!("a value is not closed: its {quote} is missing")));
    }
    if !pair.is_empty() {
        pairs.push(pair);
    }
    Ok(pairs)
}

/// What makes a level: one of these texts, or a number in this range.
#[derive(Debug, Default)]
struct Criterion {
    equals: Vec<String>,
    range: Option<(i64, i64)>,
}

fn severity(arguments: &mut Arguments) -> Result<Built, String> {
    let mapping = arguments.value("mapping")?;
    let Some(Value::Map(mapping)) = mapping.literal() else {
        return Err("argument `mapping` takes a literal map from levels to lists of criteria".to_owned());
    };
    let levels = mapping.iter().map(|(level, criteria)| {
        let Value::List(criteria) = criteria else {
            return Err(format!("the level `{level}` takes a list of criteria, found {}", criteria.type_name()));
        };
        let criteria: Result<Vec<_>, _> = criteria.iter().map(|criterion| parse_criterion(level, criterion)).collect();
        Ok((level.to_owned(), criteria?))
    });
    let levels: Vec<(String, Vec<Criterion>)> = levels.collect::<Result<_, String>>()?;
    unary_with(arguments, "target", levels, |levels, value| {
        let holds = |criterion: &Criterion| match &value {
            Value::Str(text) => Ok(criterion.equals.iter().any(|equal| equal == text)),
            Value::Int(int) => Ok(criterion.range.is_some_and(|(min, max)| (min..=max).contains(int))),
            other => Err(RunError::expected("a string or int", other)),
        };
        for (level, criteria) in levels {
            for criterion in criteria {
                if holds(criterion)? {
                    return Ok(Value::Str(level.as_str().into()));
                }
            }
        }
        Err(RunError::new(format!("`{}` is of no level in the mapping", value.to_text())))
    })
}

fn parse_criterion(level: &str, criterion: &Value<'_>) -> Result<Criterion, String> {
    let wrong = |what: &str| format!("a criterion of the level `{level}` {what}");
    let Value::Map(criterion) = criterion else {
        return Err(wrong("must be a map with `equals` or `range`"));
    };
    let mut parsed = Criterion::default();
    match criterion.get("equals") {
        None => {}
        Some(Value::List(texts)) => {
            for text in texts {
                let text = text.as_str().map_err(|_error| wrong("has an `equals` that does not hold strings"))?;
                parsed.equals.push(text.to_owned());
            }
        }
        Some(_) => return Err(wrong("has an `equals` that is no list")),
    }
    let bound = |range: &Map<'_>, name: &str| match range.get(name) {
        Some(Value::Int(bound)) => Ok(*bound),
        _ => Err(wrong(&format!("has a `range` whose `{name}` is no integer"))),
    };
    parsed.range = match criterion.get("range") {
        None => None,
        Some(Value::Map(range)) => Some((bound(range, "min")?, bound(range, "max")?)),
        Some(Value::Str(name)) => Some(match &**name {
            "2xx" => (200, 299),
            "3xx" => (300, 399),
            "4xx" => (400, 499),
            "5xx" => (500, 599),
            other => {
                return Err(wrong(&format!("has the unknown `range` `{other}`: it is a map or one of 2xx to 5xx")));
            }
        }),
        Some(_) => return Err(wrong("has a `range` that is neither a map nor one of 2xx to 5xx")),
    };
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, computed, fails, gives, list, map, run};
    use super::*;
    use crate::expr::Expr;
    use crate::function::Argument;

    #[test]
    fn key_value_pairs() {
        let call = |text: &'static str| Call::to("ParseKeyValue").arg("target", text);
        let of = |pairs: &[(&'static str, &'static str)]| {
            Value::Map(pairs.iter().map(|(key, value)| ((*key).into(), Value::from(*value))).collect())
        };
        for (text, expected) in [
            ("k1=v1 k2=v2", of(&[("k1", "v1"), ("k2", "v2")])),
            ("k1='v 1' k2=\"v=2\" k3=a=b", of(&[("k1", "v 1"), ("k2", "v=2"), ("k3", "a=b")])),
            ("  k1=v1  k2=v2 ", of(&[("k1", "v1"), ("k2", "v2")])),
            ("k=\"a\\\"b\" c='\\'x'", of(&[("k", "a\\\"b"), ("c", "\\'x")])),
            (" =v a= ", of(&[("", "v"), ("a", "")])),
            ("a=1 a=2", of(&[("a", "2")])),
            ("k\"1=x\"=v", of(&[("k1", "x=v")])),
            ("é=ü", of(&[("é", "ü")])),
            ("a=\t1\t", of(&[("a", "1")])),
        ] {
            gives(call(text), expected);
        }
        gives(call("a!1_b!2").text("delimiter", "!").text("pair_delimiter", "_"), of(&[("a", "1"), ("b", "2")]));
        gives(call("k1=v1||k2=v2").text("pair_delimiter", "||"), of(&[("k1", "v1"), ("k2", "v2")]));
        for (text, error) in [
            ("", "there are no pairs in an empty string"),
            ("k1", "`k1` is no pair: it does not contain `=`"),
            ("k1=\"v", "a value is not closed: its \" is missing"),
            ("k1='v\\'", "a value is not closed"),
        ] {
            fails(call(text), error);
        }
        fails(Call::to("ParseKeyValue").arg("target", 1), "expected a string, found int");
        let same = call("a").text("delimiter", " ").build().unwrap_err();
        assert!(same.contains("are both ` `"), "{same}");
        let empty = call("a").text("pair_delimiter", "").build().unwrap_err();
        assert!(empty.contains("cannot be empty"), "{empty}");
    }

    fn build(target: impl Into<Value<'static>>, mapping: Value<'static>) -> Result<Built, String> {
        let mut arguments = Arguments::default();
        arguments.insert("target", Argument::Value(computed(target)));
        arguments.insert("mapping", Argument::Value(Expr::Literal(mapping)));
        severity(&mut arguments)
    }

    #[test]
    fn severities() {
        let mapping = || {
            let range = map([("min", 100.into()), ("max", 150.into())]);
            map([
                ("error", list([map([("equals", list(["err", "error"]))]), map([("range", "5xx".into())])])),
                ("warn", list([map([("equals", list(["4"])), ("range", "4xx".into())])])),
                ("info", list([map([("range", range)]), map([("range", "2xx".into())])])),
            ])
        };
        for (target, expected) in [
            (Value::from("err"), "error"),
            (500.into(), "error"),
            (599.into(), "error"),
            (404.into(), "warn"),
            ("4".into(), "warn"),
            (100.into(), "info"),
            (150.into(), "info"),
            (299.into(), "info"),
        ] {
            assert_eq!(run(&build(target, mapping()).unwrap()).unwrap().to_text(), expected);
        }
        for (target, expected) in [
            (Value::from("ERR"), "`ERR` is of no level in the mapping"),
            (151.into(), "`151` is of no level in the mapping"),
            (1.5.into(), "expected a string or int, found float"),
            (Value::Nil, "expected a string or int, found nil"),
        ] {
            assert_eq!(run(&build(target, mapping()).unwrap()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn bad_mappings_are_refused() {
        let one = |criterion: Value<'static>| map([("error", list([criterion]))]);
        let range = |range: Value<'static>| one(map([("range", range)]));
        for (mapping, error) in [
            ("error".into(), "takes a literal map"),
            (map([("error", "err".into())]), "the level `error` takes a list of criteria, found string"),
            (one("err".into()), "of the level `error` must be a map"),
            (one(map([("equals", "err".into())])), "has an `equals` that is no list"),
            (one(map([("equals", list([1]))])), "has an `equals` that does not hold strings"),
            (range("6xx".into()), "has the unknown `range` `6xx`"),
            (range(1.into()), "has a `range` that is neither a map nor one of 2xx to 5xx"),
            (range(map([("min", 1.into())])), "has a `range` whose `max` is no integer"),
            (range(map([("min", 1.5.into()), ("max", 2.into())])), "has a `range` whose `min` is no integer"),
        ] {
            let found = build("x", mapping).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }
}
