//! Telemetry that statements are tried on, and ways to try them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "each test program uses a part"
)]

use std::sync::Arc;

use ottl::{Context, Mode, Parser, visit};
use pdata::build::{
    Buckets, ExemplarFields, ExponentialHistogramFields, HistogramFields, LinkFields, LogFields, MetricFields,
    NumberFields, PayloadBuilder, SpanFields, SummaryFields, Temporality,
};
use pdata::edit::Editor;
use pdata::view::Number;
use pdata::{AuthData, Metadata, Payload};

/// A span with everything, and one with nothing.
pub fn traces() -> Payload {
    let mut builder = PayloadBuilder::traces();
    builder.resource(
        "https://res.example/1",
        |attributes| {
            attributes.str("service.name", "shop").i64("pid", 42);
        },
        |scopes| {
            let attributes = |attributes: &mut pdata::build::AttributesWriter<'_>| {
                attributes.bool("beta", true);
            };
            scopes.scope("lib", "1.2", attributes, |spans| {
                let fields = SpanFields {
                    trace_id: *b"0123456789abcdef",
                    span_id: *b"01234567",
                    parent_span_id: *b"76543210",
                    trace_state: "a=1,b=2",
                    name: "GET /orders",
                    kind: 2,
                    start_time_unix_nano: 1_700_000_000_000_000_000,
                    end_time_unix_nano: 1_700_000_001_500_000_000,
                    dropped_attributes_count: 1,
                    dropped_events_count: 2,
                    dropped_links_count: 3,
                    flags: 257,
                    status_code: 2,
                    status_message: "went wrong",
                };
                spans.span(&fields, |span| {
                    span.attributes()
                        .str("text", "hello")
                        .i64("int", 7)
                        .f64("float", 2.5)
                        .bool("truth", true)
                        .bytes("bytes", &[1, 2])
                        .value("list", |value| {
                            value.array(|list| {
                                list.push(|value| value.str("x")).push(|value| value.i64(2));
                            });
                        })
                        .value("map", |value| {
                            value.kvlist(|map| {
                                map.str("k", "v").value("deep", |value| {
                                    value.kvlist(|map| {
                                        map.i64("n", 5);
                                    });
                                });
                            });
                        });
                    span.event(1_700_000_000_500_000_000, "retry", |attributes| {
                        attributes.i64("attempt", 1);
                    });
                    span.event(1_700_000_000_600_000_000, "retry", |attributes| {
                        attributes.i64("attempt", 2);
                    });
                    let link = LinkFields { span_id: [9; 8], trace_id: [8; 16], ..LinkFields::default() };
                    span.link(&link, |attributes| {
                        attributes.str("why", "batch");
                    });
                });
                spans.span(&SpanFields::default(), |_| {});
            });
        },
    );
    builder.finish(None)
}

/// A metric of each kind, each with one point.
pub fn metrics() -> Payload {
    let mut builder = PayloadBuilder::metrics();
    builder.bare(|metrics| {
        let named = |name| MetricFields { name, description: "about it", unit: "s" };
        let (start, time) = (1_000, 2_000);
        let exemplar = |point: &mut pdata::build::PointWriter<'_>| {
            point.attributes().str("host", "a");
            let fields = ExemplarFields {
                time_unix_nano: 1_500,
                value: Some(Number::Double(0.5)),
                trace_id: [1; 16],
                span_id: [2; 8],
            };
            point.exemplar(&fields, |attributes| {
                attributes.str("user", "u");
            });
        };
        metrics.gauge(&named("gauge"), |points| {
            let fields = NumberFields {
                start_time_unix_nano: start,
                time_unix_nano: time,
                value: Some(Number::Double(1.5)),
                flags: 1,
            };
            points.point(&fields, exemplar);
        });
        metrics.sum(&named("sum"), Temporality::Delta, true, |points| {
            let fields = NumberFields { value: Some(Number::Int(-3)), ..NumberFields::default() };
            points.point(&fields, |_| {});
        });
        metrics.histogram(&named("histogram"), Temporality::Cumulative, |points| {
            let fields = HistogramFields {
                count: 6,
                sum: Some(12.5),
                bucket_counts: &[1, 2, 3],
                explicit_bounds: &[0.5, 10.0],
                ..HistogramFields::default()
            };
            points.point(&fields, exemplar);
        });
        metrics.exponential_histogram(&named("exponential"), Temporality::Delta, |points| {
            let fields = ExponentialHistogramFields {
                count: 9,
                sum: Some(3.5),
                scale: -2,
                zero_count: 4,
                positive: Some(Buckets { offset: -1, bucket_counts: &[1, 300] }),
                ..ExponentialHistogramFields::default()
            };
            points.point(&fields, exemplar);
        });
        metrics.summary(&named("summary"), |points| {
            let fields = SummaryFields {
                count: 2,
                sum: 8.0,
                quantile_values: &[(0.5, 1.0), (0.9, 7.0)],
                ..SummaryFields::default()
            };
            points.point(&fields, |point| {
                point.attributes().str("host", "a");
            });
        });
    });
    builder.finish(None)
}

/// Log records: a full one with a map, one with text, one with a list, one without a body.
pub fn logs() -> Payload {
    let mut builder = PayloadBuilder::logs();
    builder.bare(|records| {
        let fields = LogFields {
            time_unix_nano: 5_000,
            observed_time_unix_nano: 6_000,
            severity_number: 9,
            severity_text: "INFO",
            event_name: "start",
            dropped_attributes_count: 3,
            flags: 1,
            trace_id: [3; 16],
            span_id: [4; 8],
        };
        records.record(&fields, |record| {
            record.body(|body| {
                body.kvlist(|map| {
                    map.str("message", "hi").value("list", |value| {
                        value.array(|list| {
                            list.push(|value| value.i64(1));
                        });
                    });
                });
            });
            record.attributes().str("k", "v");
        });
        records.record(&LogFields::default(), |record| {
            record.body(|body| body.str("plain"));
        });
        records.record(&LogFields::default(), |record| {
            record.body(|body| {
                body.array(|list| {
                    list.push(|value| value.str("first")).push(|value| value.i64(2));
                });
            });
        });
        records.record(&LogFields::default(), |_| {});
    });
    builder.finish(None)
}

/// The telemetry that has records of a context.
pub fn payload(context: Context) -> Payload {
    match context {
        Context::Resource | Context::Scope | Context::Span | Context::SpanEvent => traces(),
        Context::Metric | Context::DataPoint | Context::Exemplar => metrics(),
        Context::Log => logs(),
    }
}

pub fn sender() -> pdata::Context {
    let attributes = vec![("subject".into(), vec!["me".into()]), ("groups".into(), vec!["a".into(), "b".into()])];
    pdata::Context {
        peer: Some("[::ffff:10.0.0.1]:4317".parse().unwrap()),
        metadata: Metadata::new([("X-Tenant", "t1"), ("x-tenant", "t2"), ("other", "o")]),
        auth: Some(Arc::new(AuthData { attributes })),
        ..pdata::Context::default()
    }
}

/// Runs statements on the records of that number, then tells what of `conditions` does not hold on it, and the errors.
pub fn wrong(context: Context, number: usize, statements: &[&str], conditions: &[&str]) -> Vec<String> {
    let parser = Parser::new(&[]);
    let mode = Mode::Plain(context);
    let statements: Vec<_> =
        statements.iter().map(|text| parser.statement(text, mode).unwrap_or_else(|error| panic!("{error}"))).collect();
    let conditions: Vec<_> =
        conditions.iter().map(|text| parser.condition(text, mode).unwrap_or_else(|error| panic!("{error}"))).collect();
    let mut editor = Editor::new(payload(context)).unwrap();
    let signal = editor.signal();
    let sender = sender();
    let (mut wrong, mut met) = (Vec::new(), 0);
    let visited: Result<(), ()> = visit(&mut editor, &sender, context, |on| {
        met += 1;
        if met != number + 1 {
            return Ok(());
        }
        for statement in &statements {
            if let Err(error) = statement.run(on) {
                wrong.push(format!("{}: {error}", statement.text()));
            }
        }
        for condition in &conditions {
            match condition.holds(on) {
                Ok(true) => {}
                Ok(false) => wrong.push(condition.text().to_owned()),
                Err(error) => wrong.push(format!("{}: {error}", condition.text())),
            }
        }
        Ok(())
    });
    visited.unwrap();
    assert!(met > number, "there is no record {number}");
    // Whatever was done, the result is valid telemetry.
    for segment in editor.seal().segments() {
        assert_eq!(pdata::validate::check(signal, segment.bytes()).map(|_| ()), Ok(()));
    }
    wrong
}

/// The error that running a statement gives on the record of that number.
pub fn failure(context: Context, number: usize, statement: &str) -> String {
    let mut wrong = wrong(context, number, &[statement], &[]);
    assert_eq!(wrong.len(), 1, "{statement} should fail");
    let error = wrong.remove(0);
    error.strip_prefix(statement).and_then(|error| error.strip_prefix(": ")).unwrap().to_owned()
}

/// Compiles a text in every way, and runs what compiles on every record of its context. The telemetry stays valid.
pub fn try_text(context: Context, text: &str) {
    let parser = Parser::new(&[]);
    for mode in [Mode::Plain(context), Mode::Prefixed(context)] {
        let mut editor = Editor::new(payload(context)).unwrap();
        let signal = editor.signal();
        let statement = parser.statement(text, mode);
        let (condition, value) = (parser.condition(text, mode), parser.value(text, mode));
        let visited: Result<(), ()> = visit(&mut editor, &sender(), context, |on| {
            // Errors of a record are as good as success here.
            let _ = statement.as_ref().map(|statement| statement.run(on));
            let _ = condition.as_ref().map(|condition| condition.holds(on));
            let _ = value.as_ref().map(|value| value.eval(on).map(ottl::Value::into_owned));
            Ok(())
        });
        visited.unwrap();
        for segment in editor.seal().segments() {
            assert_eq!(pdata::validate::check(signal, segment.bytes()).map(|_| ()), Ok(()), "{text}");
        }
        for error in [statement.err(), condition.err(), value.err()].into_iter().flatten() {
            assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{text}: {error}");
        }
    }
}
