//! Converters that apply a lambda to the elements of a list (index and value) or a map (key and value).

use std::borrow::Cow;

use super::make::{DEPTH_MAX, Entries, Outcome, TEXT_BYTES_MAX, converter, function, map, value};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Arguments, Built, Convert, Function, Lambda, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

const SOURCE: Param = value("source");
const PREDICATE: Param = Param::required("predicate", ParamKind::Lambda);

pub(super) const FUNCTIONS: &[Function] = &[
    function("All", &[SOURCE, PREDICATE], |arguments| each(arguments, "predicate", all)),
    function("Any", &[SOURCE, PREDICATE], |arguments| each(arguments, "predicate", any)),
    function("Filter", &[SOURCE, PREDICATE], |arguments| each(arguments, "predicate", filter)),
    function("MapEach", &[SOURCE, Param::required("mapper", ParamKind::Lambda)], |arguments| {
        each(arguments, "mapper", map_each)
    }),
    function("MapKeys", &[SOURCE, Param::required("key_mapper", ParamKind::Lambda)], |arguments| {
        each(arguments, "key_mapper", map_keys)
    }),
    function("Find", &[SOURCE, PREDICATE, Param::optional("mapper", ParamKind::Lambda)], |arguments| {
        let predicate = lambda(arguments, "predicate", 2)?;
        let mapper = arguments.lambda_opt("mapper").map(|mapper| of_params("mapper", mapper, 2)).transpose()?;
        converter(Find { source: arguments.value("source")?, predicate, mapper })
    }),
    function("Reduce", &[SOURCE, value("seed"), Param::required("accumulator", ParamKind::Lambda)], |arguments| {
        let accumulator = lambda(arguments, "accumulator", 3)?;
        converter(Reduce { source: arguments.value("source")?, seed: arguments.value("seed")?, accumulator })
    }),
    function(
        "When",
        &[Param::required("condition", ParamKind::Lambda), value("true_value"), value("false_value")],
        |arguments| {
            let condition = lambda(arguments, "condition", 0)?;
            let (if_true, if_false) = (arguments.value("true_value")?, arguments.value("false_value")?);
            converter(When { condition, if_true, if_false })
        },
    ),
];

fn of_params(name: &'static str, lambda: Lambda, params: usize) -> Result<Lambda, String> {
    let given = lambda.params;
    if given == params {
        Ok(lambda)
    } else {
        Err(format!("the lambda `{name}` takes {params} parameters, found {given}"))
    }
}

fn lambda(arguments: &mut Arguments, name: &'static str, params: usize) -> Result<Lambda, String> {
    of_params(name, arguments.lambda(name)?, params)
}

/// A list or map, and how to go through it.
enum Source {
    List(Vec<Value<'static>>),
    Map(Vec<(Cow<'static, str>, Value<'static>)>),
}

impl Source {
    fn of(expr: &Expr, on: &mut Subject<'_>) -> Result<Self, RunError> {
        match expr.eval(on)?.into_owned() {
            Value::List(values) => Ok(Self::List(values)),
            Value::Map(map) => Ok(Self::Map(map.into_iter().collect())),
            other => Err(RunError::expected("a list or map", &other)),
        }
    }

    fn into_elements(self) -> Box<dyn Iterator<Item = (Value<'static>, Value<'static>)>> {
        match self {
            Self::List(values) => Box::new((0..).map(Value::Int).zip(values)),
            Self::Map(entries) => Box::new(entries.into_iter().map(|(key, value)| (Value::Str(key), value))),
        }
    }
}

/// Applies a lambda to an element; errors tell which.
fn apply(
    lambda: &Lambda,
    on: &mut Subject<'_>,
    key: &Value<'static>,
    arguments: impl IntoIterator<Item = Value<'static>>,
) -> Result<Value<'static>, RunError> {
    lambda.apply(on, arguments).map_err(|error| RunError::new(format!("element `{}`: {error}", key.to_text())))
}

fn holds(
    lambda: &Lambda,
    on: &mut Subject<'_>,
    key: &Value<'static>,
    value: &Value<'static>,
) -> Result<bool, RunError> {
    match apply(lambda, on, key, [key.clone(), value.clone()])? {
        Value::Bool(truth) => Ok(truth),
        other => {
            let error = RunError::expected("the lambda to yield a bool", &other);
            Err(RunError::new(format!("element `{}`: {error}", key.to_text())))
        }
    }
}

type Run = fn(&Lambda, &mut Subject<'_>, Source) -> Outcome<'static>;

struct Each {
    source: Expr,
    lambda: Lambda,
    run: Run,
}

impl Convert for Each {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let source = Source::of(&self.source, on)?;
        (self.run)(&self.lambda, on, source)
    }
}

fn each(arguments: &mut Arguments, name: &'static str, run: Run) -> Result<Built, String> {
    let lambda = lambda(arguments, name, 2)?;
    converter(Each { source: arguments.value("source")?, lambda, run })
}

fn all(predicate: &Lambda, on: &mut Subject<'_>, source: Source) -> Outcome<'static> {
    for (key, value) in source.into_elements() {
        if !holds(predicate, on, &key, &value)? {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn any(predicate: &Lambda, on: &mut Subject<'_>, source: Source) -> Outcome<'static> {
    for (key, value) in source.into_elements() {
        if holds(predicate, on, &key, &value)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn filter(predicate: &Lambda, on: &mut Subject<'_>, source: Source) -> Outcome<'static> {
    rebuilt(source, |key, value| Ok(holds(predicate, on, key, &value)?.then_some(value)))
}

fn map_each(mapper: &Lambda, on: &mut Subject<'_>, source: Source) -> Outcome<'static> {
    let mut room = Room::default();
    rebuilt(source, |key, value| {
        let mapped = apply(mapper, on, key, [key.clone(), value])?;
        room.take(&mapped)?;
        Ok(Some(mapped))
    })
}

/// The same list or map with other values, or fewer.
fn rebuilt(
    source: Source,
    mut map: impl FnMut(&Value<'static>, Value<'static>) -> Result<Option<Value<'static>>, RunError>,
) -> Outcome<'static> {
    match source {
        Source::List(values) => {
            let mut kept = Vec::new();
            for (index, value) in (0..).zip(values) {
                kept.extend(map(&Value::Int(index), value)?);
            }
            Ok(Value::List(kept))
        }
        Source::Map(entries) => {
            let mut kept = crate::value::Map::new();
            for (key, value) in entries {
                if let Some(value) = map(&Value::Str(key.clone()), value)? {
                    kept.entries_mut().push((key, value));
                }
            }
            Ok(Value::Map(kept))
        }
    }
}

/// Of keys that become equal, the last value wins.
fn map_keys(mapper: &Lambda, on: &mut Subject<'_>, source: Source) -> Outcome<'static> {
    let mut entries = Entries::default();
    let mut room = Room::default();
    let source = match source {
        Source::Map(_) => source.into_elements(),
        Source::List(values) => return map(Value::List(values)).map(Value::Map),
    };
    for (key, value) in source {
        match apply(mapper, on, &key, [key.clone(), value.clone()])? {
            Value::Str(mapped) => {
                room.take(&Value::Str(Cow::Borrowed(&*mapped)))?;
                entries.put(mapped, value);
            }
            other => {
                let error = RunError::expected("the lambda to yield a string", &other);
                return Err(RunError::new(format!("element `{}`: {error}", key.to_text())));
            }
        }
    }
    Ok(entries.finish())
}

struct Find {
    source: Expr,
    predicate: Lambda,
    mapper: Option<Lambda>,
}

impl Convert for Find {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        for (key, value) in Source::of(&self.source, on)?.into_elements() {
            if holds(&self.predicate, on, &key, &value)? {
                return match &self.mapper {
                    None => Ok(value),
                    Some(mapper) => apply(mapper, on, &key, [key.clone(), value]),
                };
            }
        }
        Ok(Value::Nil)
    }
}

struct Reduce {
    source: Expr,
    seed: Expr,
    accumulator: Lambda,
}

impl Convert for Reduce {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let source = Source::of(&self.source, on)?;
        let mut sum = self.seed.eval(on)?.into_owned();
        for (key, value) in source.into_elements() {
            sum = apply(&self.accumulator, on, &key, [sum, key.clone(), value])?;
            Room::default().take(&sum)?;
        }
        Ok(sum)
    }
}

struct When {
    condition: Lambda,
    if_true: Expr,
    if_false: Expr,
}

impl Convert for When {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        match self.condition.apply(on, [])? {
            Value::Bool(true) => self.if_true.eval(on),
            Value::Bool(false) => self.if_false.eval(on),
            other => Err(RunError::expected("the condition to yield a bool", &other)),
        }
    }
}

/// What lambdas may still make: a value that is put together anew for each element could double each time.
struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(TEXT_BYTES_MAX)
    }
}

impl Room {
    fn take(&mut self, value: &Value<'_>) -> Result<(), RunError> {
        self.take_at(value, 0)
    }

    fn take_at(&mut self, value: &Value<'_>, depth: usize) -> Result<(), RunError> {
        if depth > DEPTH_MAX {
            return Err(RunError::new(format!("the lambda's value nests deeper than {DEPTH_MAX} lists and maps")));
        }
        let bytes = size_of::<Value<'_>>()
            + match value {
                Value::Str(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 0,
            };
        self.0 = self
            .0
            .checked_sub(bytes)
            .ok_or_else(|| RunError::new(format!("the lambda's values take more than {TEXT_BYTES_MAX} bytes")))?;
        match value {
            Value::List(values) => values.iter().try_for_each(|value| self.take_at(value, depth + 1)),
            Value::Map(map) => map.iter().try_for_each(|(_, value)| self.take_at(value, depth + 1)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{computed, list, map, run};
    use super::*;
    use crate::function::Argument;

    type Body = fn(&[Value<'static>]) -> Result<Value<'static>, RunError>;

    struct Locals(Body);

    impl Convert for Locals {
        fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
            (self.0)(&on.locals)
        }
    }

    fn lambda(params: usize, body: Body) -> Argument {
        Argument::Lambda(Lambda { params, body: Expr::Computed(Box::new(Locals(body))), base: 0 })
    }

    fn build(name: &str, given: Vec<(&'static str, Argument)>) -> Result<Built, String> {
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        let mut arguments = Arguments::default();
        for (name, argument) in given {
            assert!(function.params.iter().any(|param| param.name == name), "{name}");
            arguments.insert(name, argument);
        }
        (function.build)(&mut arguments)
    }

    fn call(name: &str, given: Vec<(&'static str, Argument)>) -> String {
        match run(&build(name, given).unwrap()) {
            Ok(value) => value.to_text(),
            Err(error) => format!("error: {error}"),
        }
    }

    fn value(value: impl Into<Value<'static>>) -> Argument {
        Argument::Value(computed(value))
    }

    fn is_big(locals: &[Value<'static>]) -> Result<Value<'static>, RunError> {
        Ok((locals[1].as_int()? > 1).into())
    }

    #[test]
    fn predicates() {
        let small = || list([0, 1]);
        let mixed = || map([("a", 1.into()), ("b", 2.into()), ("c", 3.into())]);
        for (name, source, expected) in [
            ("All", small(), "false"),
            ("All", list([2, 3]), "true"),
            ("All", Value::List(vec![]), "true"),
            ("All", mixed(), "false"),
            ("Any", small(), "false"),
            ("Any", mixed(), "true"),
            ("Any", map([]), "false"),
            ("Filter", list([1, 2, 3]), "[2,3]"),
            ("Filter", mixed(), "{\"b\":2,\"c\":3}"),
            ("Find", mixed(), "2"),
            ("Find", small(), ""),
            ("Filter", "text".into(), "error: expected a list or map, found string"),
            ("Any", Value::Nil, "error: expected a list or map, found nil"),
            ("All", list(["x"]), "error: element `0`: expected an int, found string"),
        ] {
            assert_eq!(
                call(name, vec![("source", value(source)), ("predicate", lambda(2, is_big))]),
                expected,
                "{name}"
            );
        }
        let not_bool = || lambda(2, |locals| Ok(locals[1].clone()));
        assert_eq!(
            call("Any", vec![("source", value(list([1]))), ("predicate", not_bool())]),
            "error: element `0`: expected the lambda to yield a bool, found int"
        );
        let mapper = lambda(2, |locals| Ok(locals[0].clone()));
        assert_eq!(
            call("Find", vec![("source", value(mixed())), ("predicate", lambda(2, is_big)), ("mapper", mapper)]),
            "b"
        );
    }

    #[test]
    fn mapping() {
        let doubled = || lambda(2, |locals| Ok((locals[1].as_int()? * 2).into()));
        assert_eq!(call("MapEach", vec![("source", value(list([1, 2]))), ("mapper", doubled())]), "[2,4]");
        assert_eq!(
            call("MapEach", vec![("source", value(map([("a", 1.into())]))), ("mapper", doubled())]),
            "{\"a\":2}"
        );
        let first = || lambda(2, |locals| Ok(Value::text(locals[0].as_str()?.chars().take(1).collect::<String>())));
        let source = map([("ab", 1.into()), ("b", 2.into()), ("ac", 3.into())]);
        assert_eq!(call("MapKeys", vec![("source", value(source)), ("key_mapper", first())]), "{\"a\":3,\"b\":2}");
        assert_eq!(
            call("MapKeys", vec![("source", value(list([1]))), ("key_mapper", first())]),
            "error: expected a map, found list"
        );
        let number = lambda(2, |_| Ok(1.into()));
        assert_eq!(
            call("MapKeys", vec![("source", value(map([("a", 1.into())]))), ("key_mapper", number)]),
            "error: element `a`: expected the lambda to yield a string, found int"
        );
    }

    #[test]
    fn reducing() {
        let sum = || lambda(3, |locals| Ok((locals[0].as_int()? + locals[2].as_int()?).into()));
        let reduce = |source, seed, accumulator| {
            call("Reduce", vec![("source", value(source)), ("seed", value(seed)), ("accumulator", accumulator)])
        };
        assert_eq!(reduce(list([1, 2, 3]), Value::Int(10), sum()), "16");
        assert_eq!(reduce(map([("a", 1.into()), ("b", 2.into())]), 0.into(), sum()), "3");
        assert_eq!(reduce(Value::List(vec![]), "seed".into(), sum()), "seed");
        assert_eq!(reduce(list(["x"]), 0.into(), sum()), "error: element `0`: expected an int, found string");
    }

    #[test]
    fn what_grows_with_each_element_is_bounded() {
        let reduce = |accumulator| {
            let source = value(Value::List(vec![Value::Nil; 1000]));
            call("Reduce", vec![("source", source), ("seed", value("seed")), ("accumulator", accumulator)])
        };
        let doubled = lambda(3, |locals| Ok(Value::List(vec![locals[0].clone(), locals[0].clone()])));
        assert!(reduce(doubled).contains("take more than 4194304 bytes"));
        let nested = lambda(3, |locals| Ok(Value::List(vec![locals[0].clone()])));
        assert!(reduce(nested).contains("nests deeper than 64 lists and maps"));
    }

    #[test]
    fn conditions() {
        let when = |condition| {
            let arguments =
                vec![("condition", lambda(0, condition)), ("true_value", value("yes")), ("false_value", value("no"))];
            call("When", arguments)
        };
        assert_eq!(when(|_| Ok(true.into())), "yes");
        assert_eq!(when(|_| Ok(false.into())), "no");
        assert_eq!(when(|_| Ok(Value::Nil)), "error: expected the condition to yield a bool, found nil");
    }

    #[test]
    fn numbers_of_parameters_are_checked() {
        let error = |name, given| build(name, given).unwrap_err();
        assert_eq!(
            error("All", vec![("source", value(1)), ("predicate", lambda(1, is_big))]),
            "the lambda `predicate` takes 2 parameters, found 1"
        );
        assert_eq!(
            error("Reduce", vec![("source", value(1)), ("seed", value(1)), ("accumulator", lambda(2, is_big))]),
            "the lambda `accumulator` takes 3 parameters, found 2"
        );
        assert_eq!(
            error("When", vec![("condition", lambda(2, is_big)), ("true_value", value(1)), ("false_value", value(1))]),
            "the lambda `condition` takes 0 parameters, found 2"
        );
        let given = vec![("source", value(1)), ("predicate", lambda(2, is_big)), ("mapper", lambda(3, is_big))];
        assert_eq!(error("Find", given), "the lambda `mapper` takes 2 parameters, found 3");
    }
}
