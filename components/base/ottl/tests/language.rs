//! Comparison, arithmetic, evaluation, errors, inference, visiting.

#![allow(clippy::unwrap_used, clippy::panic, clippy::let_underscore_must_use, reason = "tests, and what they share")]

mod support;

use ottl::function::ParamKind;
use ottl::{Arguments, Built, Context, Convert, Function, Kind, Mode, Param, Parser, RunError, Subject, Value};
use pdata::edit::{Editor, OpenBatch};
use pdata::{Batch, Ledger, Outcome};

use support::wrong;

/// Yields what its argument is.
struct Same(ottl::Expr);

impl Convert for Same {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        self.0.eval(on)
    }
}

/// A time or duration from an int.
struct Timed(ottl::Expr, bool);

impl Convert for Timed {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let int = self.0.eval(on)?.as_int()?;
        Ok(if self.1 { Value::Time(ottl::Time::utc(int.into())) } else { Value::Duration(int) })
    }
}

struct Fails;

impl Convert for Fails {
    fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        Err("asked for".into())
    }
}

/// The sum of a list, by a lambda.
struct Folded(ottl::Expr, ottl::function::Lambda);

impl Convert for Folded {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
        let Value::List(list) = self.0.eval(on)?.into_owned() else { return Err("no list".into()) };
        list.into_iter().try_fold(Value::Int(0), |sum, value| self.1.apply(on, [sum, value]))
    }
}

const VALUE: Param = Param::required("value", ParamKind::Value);

fn extra() -> Vec<Function> {
    let on_value = |name, build| Function { name, params: const { &[VALUE] }, contexts: &[], build };
    vec![
        on_value("Same", |arguments: &mut Arguments| Ok(Built::Converter(Box::new(Same(arguments.value("value")?))))),
        on_value("At", |arguments| Ok(Built::Converter(Box::new(Timed(arguments.value("value")?, true))))),
        on_value("For", |arguments| Ok(Built::Converter(Box::new(Timed(arguments.value("value")?, false))))),
        Function { name: "Fails", params: &[], contexts: &[], build: |_| Ok(Built::Converter(Box::new(Fails))) },
        Function {
            name: "Fold",
            params: const { &[VALUE, Param::required("with", ParamKind::Lambda)] },
            contexts: &[],
            build: |arguments| {
                Ok(Built::Converter(Box::new(Folded(arguments.value("value")?, arguments.lambda("with")?))))
            },
        },
        Function {
            name: "OnlyMetrics",
            params: const { &[Param::optional("deep", ParamKind::Bool), Param::optional("most", ParamKind::Int)] },
            contexts: &[Context::Metric],
            build: |arguments| {
                if arguments.int_opt("most") == Some(0) {
                    return Err("`most` must not be 0".to_owned());
                }
                Ok(Built::Converter(Box::new(Fails)))
            },
        },
        Function {
            name: "Applied",
            params: const { &[VALUE, Param::required("by", ParamKind::Function)] },
            contexts: &[],
            build: |arguments| {
                struct Applied(ottl::Expr, ottl::function::ByName);
                impl Convert for Applied {
                    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Result<Value<'c>, RunError> {
                        (self.1.0)(self.0.eval(on)?.into_owned())
                    }
                }
                Ok(Built::Converter(Box::new(Applied(arguments.value("value")?, arguments.function("by")?))))
            },
        },
    ]
}

/// What of these conditions does not hold on a full span.
fn failing(conditions: &[&str]) -> Vec<String> {
    let parser = Parser::new(&extra());
    let mut editor = Editor::new(support::traces()).unwrap();
    let mut wrong = Vec::new();
    let mut is_first = true;
    let visited: Result<(), ()> = ottl::visit(&mut editor, &support::sender(), Context::Span, |on| {
        if std::mem::take(&mut is_first) {
            for text in conditions {
                let condition = parser.condition(text, Mode::Plain(Context::Span));
                match condition.unwrap_or_else(|error| panic!("{error}")).holds(on) {
                    Ok(true) => {}
                    Ok(false) => wrong.push((*text).to_owned()),
                    Err(error) => wrong.push(format!("{text}: {error}")),
                }
            }
        }
        Ok(())
    });
    visited.unwrap();
    wrong
}

/// Values of every type, in an order in which none equals another.
const TYPES: &[&str] = &["nil", "true", "1", "2.5", r#""text""#, "0x0102", "[1]", r#"{"a": 1}"#, "At(1)", "For(1)"];

#[test]
fn of_different_types_only_unequal_is_true() {
    let mut conditions = Vec::new();
    for (i, left) in TYPES.iter().enumerate() {
        for (j, right) in TYPES.iter().enumerate() {
            // Literals are folded; what a converter yields is compared when it is run; paths have ways of their own.
            for left in [(*left).to_owned(), format!("Same({left})")] {
                if i == j {
                    conditions.push(format!("{left} == {right} and not ({left} != {right})"));
                    let is_ordered = !(right.starts_with('[') || right.starts_with('{'));
                    let not = if is_ordered { "" } else { "not " };
                    conditions.push(format!("{not}{left} <= {right} and {not}{left} >= {right}"));
                    conditions.push(format!("not {left} < {right} and not {left} > {right}"));
                    continue;
                }
                conditions.push(format!("{left} != {right} and not {left} == {right}"));
                let is_number = |text: &str| text.starts_with(['1', '2']) && !text.starts_with("[");
                let both = is_number(TYPES[i]) && is_number(right);
                if !both {
                    conditions.push(format!("not {left} < {right} and not {left} > {right}"));
                    conditions.push(format!("not {left} <= {right} and not {left} >= {right}"));
                }
            }
        }
    }
    let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
    assert_eq!(failing(&conditions), [""; 0]);
}

#[test]
fn of_the_same_type_values_have_an_order() {
    let conditions: Vec<String> = [
        ("false", "true"),
        ("-1", "0"),
        ("1", "1.5"),
        ("1.5", "2"),
        (r#""a""#, r#""b""#),
        (r#""Z""#, r#""a""#),
        ("0x01", "0x0100"),
        ("At(1)", "At(2)"),
        ("For(-1)", "For(2)"),
    ]
    .iter()
    .flat_map(|(less, more)| {
        [
            format!("{less} < {more} and {less} <= {more} and {less} != {more}"),
            format!("{more} > {less} and {more} >= {less}"),
            format!("not {less} > {more} and not {less} >= {more} and not {less} == {more}"),
            format!("Same({less}) < {more} and {less} < Same({more}) and Same({less}) < Same({more})"),
        ]
    })
    .collect();
    let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
    assert_eq!(failing(&conditions), [""; 0]);
}

#[test]
fn comparisons_a_port_gets_wrong() {
    assert_eq!(
        failing(&[
            "1 == 1.0 and 1.0 == 1",
            r#""1" != 1"#,
            "nil == nil and nil <= nil and nil >= nil and not nil < nil",
            "[1, 2] == [1, 2] and [1] != [1.0] and [1] != [2]",
            r#"{"a": 1, "b": 2} == {"b": 2, "a": 1} and {"a": 1} != {"a": 1, "b": nil}"#,
            "trace_id == 0x30313233343536373839616263646566",
            r#"trace_id != "30313233343536373839616263646566" and trace_id != nil"#,
            r#"attributes["int"] > 6.5 and 6.5 < attributes["int"]"#,
            r#""hello" == attributes["text"] and nil != attributes["text"] and nil == attributes["none"]"#,
            r#"attributes["text"] != nil and not attributes["text"] == nil and attributes["none"] != "x""#,
            r#"attributes["none"] == nil and not attributes["none"] != nil and not attributes["none"] == "x""#,
            r#"attributes["none"] != 1 and not attributes["none"] < 1"#,
            r#"attributes["truth"] == true and attributes["truth"] > false"#,
            "attributes != nil",
        ]),
        [""; 0]
    );
}

#[test]
fn arithmetic() {
    assert_eq!(
        failing(&[
            "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 / 2 == 3 and -7 / 2 == -3",
            "7.0 / 2 == 3.5 and 1 + 0.5 == 1.5 and 0.5 * 4 == 2",
            "10 - 3 - 2 == 5 and 100 / 10 / 5 == 2",
            r#"attributes["int"] * 2 == 14 and -attributes["int"] == -7 and attributes["int"] + 0.5 == 7.5"#,
            r#"-(attributes["int"] + 1) == -8 and +attributes["int"] == 7"#,
            "end_time - start_time == For(1500000000)",
            "start_time + For(1500000000) == end_time and For(1500000000) + start_time == end_time",
            "end_time - For(1500000000) == start_time",
            "For(1) + For(2) == For(3) and For(1) - For(2) == For(-1)",
            "9223372036854775807 + 1 == -9223372036854775808",
            "-9223372036854775808 / -1 == -9223372036854775808",
        ]),
        [""; 0]
    );
    for (condition, expected) in [
        (r#"attributes["int"] / 0 == 1"#, "division by 0"),
        (r#"attributes["float"] / 0.0 == 1"#, "division by 0"),
        (r#"attributes["text"] + 1 == 1"#, "cannot compute string + int"),
        (r#"1 - attributes["none"] == 1"#, "cannot compute int - nil"),
        ("start_time + end_time == 1", "cannot compute time + time"),
        ("For(1) - start_time == 1", "cannot compute duration - time"),
        ("For(1) * 2 == 1", "cannot compute duration * int"),
        ("For(4) / For(2) == 1", "durations can only be added and subtracted"),
        (r#"-attributes["text"] == 1"#, "expected an int or a float after `-`, found string"),
    ] {
        assert_eq!(failing(&[condition]), [format!("{condition}: {expected}")]);
    }
}

#[test]
fn evaluation() {
    assert_eq!(
        failing(&[
            // What is not asked does not fail.
            "true or Fails()",
            "not (false and Fails())",
            r#"name == "x" or kind == 2 or Fails()"#,
            "Same(true) and not Same(false)",
            "Same([1, 2])[1] == 2 and Same({\"a\": [3]})[\"a\"][0] == 3 and Same({\"a\": 1})[\"b\"] == nil",
            r#"Same(attributes)["map"]["deep"]["n"] == 5 and Same(attributes["list"])[kind - 1] == 2"#,
            r#"[attributes["int"], {"k": name}] == [7, {"k": "GET /orders"}]"#,
            "Same(value=7) == 7",
            "Fold([1, 2, 3], (sum, x) => sum + x) == 6",
            "Fold([1, 2], with=(sum, x) => sum + Fold([x, x], (sum, y) => sum + y * x)) == 10",
            r#"Fold([[1], [2]], (sum, x) => sum + x[0] * attributes["int"]) == 21"#,
            "Same((1 == 1 or Fails())) == true",
            "Applied(3, Same) == 3",
            r#"Applied(attributes["int"], At) == At(7)"#,
        ]),
        [""; 0]
    );
    for (condition, expected) in [
        ("Fails()", "asked for"),
        ("false or Fails()", "asked for"),
        ("Same(1)", "expected a bool to decide by, found int"),
        (r#"Same(attributes["none"])"#, "expected a bool to decide by, found nil"),
        ("Same(1)[0] == 1", "a int cannot be indexed"),
    ] {
        assert_eq!(failing(&[condition]), [format!("{condition}: {expected}")]);
    }
}

#[test]
fn where_decides_and_its_errors_are_errors() {
    assert_eq!(wrong(Context::Span, 0, &[r#"set(name, "x") where kind == 3"#], &[r#"name == "GET /orders""#]), [""; 0]);
    assert_eq!(wrong(Context::Span, 0, &[r#"set(name, "x") where kind == 2"#], &[r#"name == "x""#]), [""; 0]);
    let statement = r#"set(name, "x") where kind / 0 == 1"#;
    assert_eq!(wrong(Context::Span, 0, &[statement], &[]), [format!("{statement}: division by 0")]);
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let parser = Parser::new(&extra());
    let (span, plain) = (Mode::Prefixed(Context::Span), Mode::Plain(Context::Span));
    for (mode, text, expected) in [
        (
            span,
            r#"sett(span.name, "x")"#,
            "unknown function `sett`\n  sett(span.name, \"x\")\n  ^^^^\nhelp: did you mean `set`?",
        ),
        (
            span,
            r#"set(span.name, "x") were true"#,
            "expected `where` or the end, found `were`\n  set(span.name, \"x\") were true\n                      ^^^^\n\
             help: did you mean `where`?",
        ),
        (
            span,
            r#"set(span.nam, "x")"#,
            "`span` has no path `nam`\n  set(span.nam, \"x\")\n           ^^^\nhelp: did you mean `name`?",
        ),
        (
            span,
            r#"set(spam.name, "x")"#,
            "unknown context `spam`\n  set(spam.name, \"x\")\n      ^^^^\nhelp: did you mean `span`?",
        ),
        (
            span,
            r#"set(name, "x")"#,
            "the path `name` needs its context\n  set(name, \"x\")\n      ^^^^\nhelp: write `span.name`",
        ),
        (
            span,
            r#"set(log.body, "x")"#,
            "`log` cannot be reached from the context span\n  set(log.body, \"x\")\n      ^^^\nhelp: reachable are: span, scope, resource",
        ),
        (
            span,
            "set(span, 1)",
            "`span` is a context, not a path\n  set(span, 1)\n      ^^^^\nhelp: name a field of it, like `span.trace_id`",
        ),
        (
            span,
            r#"set(span.attributes.foo, "x")"#,
            "`span` has no path `attributes.foo`\n  set(span.attributes.foo, \"x\")\n           ^^^^^^^^^^^^^^\nhelp: write `attributes[\"foo\"]`",
        ),
        (
            span,
            r#"set(span.status.text, "x")"#,
            "`span` has no path `status.text`\n  set(span.status.text, \"x\")\n           ^^^^^^^^^^^\nhelp: there are: status, status.message, status.code",
        ),
        (
            plain,
            "set(kind, SPAN_KIND_SERVR)",
            "unknown symbol `SPAN_KIND_SERVR` in the context span\n  set(kind, SPAN_KIND_SERVR)\n            ^^^^^^^^^^^^^^^\nhelp: did you mean `SPAN_KIND_SERVER`?",
        ),
        (
            plain,
            "set(kind, FLAG_NONE)",
            "unknown symbol `FLAG_NONE` in the context span\n  set(kind, FLAG_NONE)\n            ^^^^^^^^^\nhelp: it exists in: datapoint, exemplar",
        ),
        (
            plain,
            "set(kind, Same)",
            "`Same` is a function\n  set(kind, Same)\n            ^^^^\nhelp: call it: `Same(...)`",
        ),
        (
            plain,
            "set(kind)",
            "`set` is missing the argument `value`\n  set(kind)\n  ^^^^^^^^^\nhelp: it is `set(target, value)`",
        ),
        (
            plain,
            "set(kind, 1, 2)",
            "`set` takes at most 2 arguments, found 3\n  set(kind, 1, 2)\n               ^\nhelp: it is `set(target, value)`",
        ),
        (
            plain,
            "set(kind, valu=1)",
            "`set` has no argument `valu`\n  set(kind, valu=1)\n            ^^^^\nhelp: did you mean `value`?",
        ),
        (
            plain,
            "set(kind, target=1)",
            "the argument `target` is given twice\n  set(kind, target=1)\n            ^^^^^^",
        ),
        (
            plain,
            "set(target=kind, 1)",
            "an argument without a name after one with a name\n  set(target=kind, 1)\n                   ^\nhelp: arguments by position come first",
        ),
        (
            plain,
            "set(kind, OnlyMetrics())",
            "`OnlyMetrics` does not exist in the context span\n  set(kind, OnlyMetrics())\n            ^^^^^^^^^^^\nhelp: it exists in: metric",
        ),
        (
            plain,
            "set(kind, UserAgent(name))",
            "`UserAgent` is a function of the Collector that is left out: user agents are not parsed: it would take a database of them\n  set(kind, UserAgent(name))\n            ^^^^^^^^^",
        ),
        (
            plain,
            "set(kind, 1) where name",
            "a path alone decides nothing\n  set(kind, 1) where name\n                     ^^^^\nhelp: compare it: `name != nil`, `name == true`",
        ),
        (
            plain,
            "set(kind, 1) where 1",
            "a condition must be true or false\n  set(kind, 1) where 1\n                     ^\nhelp: compare two values, or call a converter that decides, like `IsMatch(...)`",
        ),
        (plain, "set(kind, 1 / 0)", "division by 0\n  set(kind, 1 / 0)\n                ^"),
        (
            plain,
            "set(kind, (x) => x)",
            "a lambda can only be the argument of a function\n  set(kind, (x) => x)\n            ^^^^^^^^\nhelp: for example `Filter(list, (x) => x != nil)`",
        ),
        (
            plain,
            "set(kind, Fold([1], 2))",
            "the argument `with` must be a lambda, like `(x) => x`, found `2`\n  set(kind, Fold([1], 2))\n                      ^",
        ),
        (
            plain,
            "set(kind, Fold([1], (x) => x.y))",
            "parameters of lambdas have no fields\n  set(kind, Fold([1], (x) => x.y))\n                               ^\nhelp: index them: `x[\"key\"]`",
        ),
        (
            plain,
            "set(kind, otelcol.client.port)",
            "unknown path `otelcol.client.port`\n  set(kind, otelcol.client.port)\n            ^^^^^^^^^^^^^^^^^^^\nhelp: there are: otelcol.client.addr, otelcol.client.metadata, otelcol.client.auth.attributes, otelcol.grpc.metadata",
        ),
        (
            Mode::Plain(Context::Metric),
            "set(name, OnlyMetrics(most=0))",
            "`OnlyMetrics`: `most` must not be 0\n  set(name, OnlyMetrics(most=0))\n                             ^",
        ),
        (
            Mode::Plain(Context::Metric),
            "set(name, OnlyMetrics(1))",
            "the argument `deep` must be `true` or `false`, found `1`\n  set(name, OnlyMetrics(1))\n                        ^",
        ),
    ] {
        let error = parser.statement(text, mode).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn contexts_are_inferred() {
    use Context::{DataPoint, Log, Metric, Resource, Scope, Span, SpanEvent};
    let parser = Parser::new(&extra());
    for (kind, texts, expected) in [
        (Kind::Condition, vec![r#"resource.attributes["a"] == "b""#], Some(Resource)),
        (Kind::Condition, vec![r#"instrumentation_scope.name == "b""#], Some(Scope)),
        (Kind::Condition, vec!["resource.attributes[span.name] == 1"], Some(Span)),
        (Kind::Condition, vec!["span.kind == SPAN_KIND_SERVER and spanevent.name == span.name"], Some(SpanEvent)),
        (Kind::Condition, vec!["metric.name == \"a\"", "datapoint.count == 1"], Some(DataPoint)),
        // Functions and symbols that only a context within has.
        (Kind::Condition, vec!["OnlyMetrics() and resource.attributes[\"a\"] == 1"], Some(Metric)),
        (Kind::Condition, vec!["OnlyMetrics()", "scope.name == \"x\""], Some(Metric)),
        (Kind::Condition, vec!["resource.attributes[\"a\"] == SPAN_KIND_SERVER"], Some(SpanEvent)),
        (Kind::Condition, vec!["OnlyMetrics() and metric.name == \"x\""], Some(Metric)),
        (Kind::Condition, vec!["true"], None),
        (Kind::Statement, vec!["set(resource.attributes[\"a\"], 1) where log.severity_number > 8"], Some(Log)),
        (Kind::Statement, vec!["set(span.name, \"a\")", "set(resource.attributes[\"a\"], 1)"], Some(Span)),
        (Kind::Value, vec!["[datapoint.sum, Applied(1, Same)]"], Some(DataPoint)),
    ] {
        let written: Vec<(Kind, &str)> = texts.iter().map(|text| (kind, *text)).collect();
        assert_eq!(parser.infer(&written, |_| true).unwrap(), expected, "{texts:?}");
    }
    for (text, expected) in [
        ("OnlyMetrics() and span.name == \"x\"", "`OnlyMetrics` does not exist in the context span"),
        ("OnlyMetrics() and datapoint.count == 1", "`OnlyMetrics` does not exist in the context datapoint"),
        ("span.kind == FLAG_NONE", "unknown symbol `FLAG_NONE` in the context span"),
        ("Sme(span.kind) == 1", "unknown function `Sme`"),
        ("span.kind ==", "expected a value, found the end"),
    ] {
        let written = [(Kind::Condition, text)];
        assert_eq!(parser.infer(&written, |_| true).unwrap_err().message, expected, "{text}");
    }
    // Only contexts that the signal has.
    let open = |context| context != SpanEvent;
    let both = [
        (Kind::Statement, "set(resource.attributes[\"a\"], 1)"),
        (Kind::Condition, "resource.attributes[\"a\"] == SPAN_KIND_SERVER"),
    ];
    assert_eq!(parser.infer(&both, open).unwrap(), Some(Span));
}

#[test]
fn facts_tell_what_is_read_of_the_request() {
    let parser = Parser::new(&[]);
    let mode = Mode::Prefixed(Context::Span);
    let text = r#"set(span.name, otelcol.client.metadata["X-B"][0]) where otelcol.grpc.metadata["a"] != nil"#;
    let statement = parser.statement(text, mode).unwrap();
    assert_eq!(statement.metadata_keys(), ["a", "x-b"]);
    assert_eq!(statement.facts().contexts, [Context::Span]);
    assert!(!statement.facts().reads_sender && !statement.facts().reads_all_metadata);
    let all = parser.condition("otelcol.client.metadata != nil", mode).unwrap();
    assert!(all.facts().reads_all_metadata);
    let computed = parser.condition("otelcol.client.metadata[span.name] != nil", mode).unwrap();
    assert!(computed.facts().reads_all_metadata);
    let sender = parser.condition(r#"otelcol.client.addr == "a" and resource.schema_url == scope.name"#, mode).unwrap();
    assert!(sender.facts().reads_sender);
    assert_eq!(sender.facts().contexts, [Context::Scope, Context::Resource]);
}

#[test]
fn caches_live_as_long_as_their_record() {
    let parser = Parser::new(&[]);
    let mode = Mode::Prefixed(Context::Span);
    let own = parser.statement(r#"set(span.cache["a"], 1)"#, mode).unwrap();
    let around = parser.statement(r#"set(resource.cache["a"], 1)"#, mode).unwrap();
    let has_own = parser.condition(r#"span.cache["a"] != nil"#, mode).unwrap();
    let has_around = parser.condition(r#"resource.cache["a"] != nil"#, mode).unwrap();
    let mut editor = Editor::new(support::traces()).unwrap();
    let mut seen = Vec::new();
    let visited: Result<(), RunError> = ottl::visit(&mut editor, &support::sender(), Context::Span, |on| {
        seen.push((has_own.holds(on)?, has_around.holds(on)?));
        own.run(on)?;
        around.run(on)?;
        Ok(())
    });
    visited.unwrap();
    assert_eq!(seen, [(false, false), (false, true)]);
}

#[test]
fn a_cache_belongs_to_one_record() {
    let parser = Parser::new(&[]);
    for (context, telemetry, groups) in [
        (Context::Resource, support::traces(), 2),
        (Context::Scope, support::logs(), 2),
        (Context::Metric, support::metrics(), 1),
        (Context::Span, support::traces(), 1),
        (Context::DataPoint, support::metrics(), 1),
        (Context::Log, support::logs(), 1),
    ] {
        let set = parser.statement(r#"set(cache["a"], 1)"#, Mode::Plain(context)).unwrap();
        let is_set = parser.condition(r#"cache["a"] != nil"#, Mode::Plain(context)).unwrap();
        let mut payload = telemetry.clone();
        (1..groups).for_each(|_| payload.append(telemetry.clone()));
        let mut editor = Editor::new(payload).unwrap();
        let mut met = 0;
        let visited: Result<(), RunError> = ottl::visit(&mut editor, &support::sender(), context, |on| {
            met += 1;
            assert!(!is_set.holds(on)?, "{} {met}", context.as_str());
            set.run(on).map(drop)
        });
        visited.unwrap();
        assert!(met > 1, "{}", context.as_str());
    }
}

#[test]
fn every_record_of_a_context_is_visited() {
    for (context, expected) in [
        (Context::Resource, 1),
        (Context::Scope, 1),
        (Context::Span, 2),
        (Context::SpanEvent, 2),
        (Context::Metric, 5),
        (Context::DataPoint, 5),
        (Context::Exemplar, 3),
        (Context::Log, 4),
    ] {
        for telemetry in [support::traces(), support::metrics(), support::logs()] {
            let has_it = telemetry.signal() == support::payload(context).signal()
                || matches!(context, Context::Resource | Context::Scope);
            let mut editor = Editor::new(telemetry).unwrap();
            let mut met = 0;
            let visited: Result<(), ()> = ottl::visit(&mut editor, &support::sender(), context, |_| {
                met += 1;
                Ok(())
            });
            visited.unwrap();
            assert_eq!(met, if has_it { expected } else { 0 }, "{}", context.as_str());
            assert!(!editor.is_changed(), "visiting changes nothing");
        }
    }
}

/// Removes what a condition holds for; says how many records that were, items left, items dropped in the books.
fn dropped(context: Context, condition: &str) -> (u64, u64, u64) {
    let ledger = Ledger::new();
    let payload = support::payload(context);
    let items = payload.items();
    let account = ledger.account(&"pipeline".into(), payload.signal(), "");
    let mut batch = Batch::new(payload, std::sync::Arc::default());
    batch.replace_stake(account.receive(items)).settle(Outcome::Delivered);
    let mut open = OpenBatch::new(batch).unwrap();
    let condition = Parser::new(&extra()).condition(condition, Mode::Plain(context)).unwrap();
    let keep = |on: &mut Subject<'_>| condition.holds(on).map(|holds| !holds);
    let removed = ottl::retain(&mut open, context, Outcome::Dropped("filtered"), keep).unwrap();
    let batch = open.seal();
    let left = batch.items();
    let in_books: u64 = items - batch.stake().items();
    batch.settle(Outcome::Delivered);
    (removed, left, in_books)
}

#[test]
fn what_is_removed_is_settled() {
    for (context, condition, expected) in [
        (Context::Span, "kind == 2", (1, 1, 1)),
        (Context::Span, "true", (2, 0, 2)),
        (Context::Resource, r#"attributes["pid"] == 42"#, (1, 0, 2)),
        (Context::Scope, r#"name == "other""#, (0, 2, 0)),
        (Context::SpanEvent, r#"attributes["attempt"] == 2"#, (1, 2, 0)),
        (Context::SpanEvent, "true", (2, 2, 0)),
        (Context::Metric, r#"name == "sum" or name == "gauge""#, (2, 3, 2)),
        (Context::DataPoint, "count != nil", (3, 2, 3)),
        (Context::Exemplar, "datapoint.count == 6", (1, 5, 0)),
        (Context::Log, "body == nil", (1, 3, 1)),
    ] {
        assert_eq!(dropped(context, condition), expected, "{} {condition}", context.as_str());
    }
}
