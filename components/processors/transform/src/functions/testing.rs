//! For tests: metrics made of a few words, statements run on them, and what came out, as text.
//!
//! A metric is written `name[unit](description) kind temporality monotonic: point | point`, a point
//! `{attributes}@start-time`, then its values.

use std::fmt::Write;

use ottl::{Context, Mode, Parser, visit};
use pdata::build::{PayloadBuilder, SpanFields};
use pdata::edit::Editor;
use pdata::view::{AttributesView, BucketsView, DataPointView, ItemView, MetricKind, MetricView, Number, ValueView};
use pdata::wire::{Fields, put_fixed64, put_len, put_tag, put_varint, put_varint_field, zigzag};
use pdata::{Payload, Segment, Signal, Utf8Policy};

use super::metric::attributes_number;

/// A metric to be written. What is said of a point is said of the last one.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    head: Vec<u8>,
    kind: Option<MetricKind>,
    /// Of the data, beside points.
    others: Vec<u8>,
    /// Contents.
    pub(crate) points: Vec<Vec<u8>>,
}

impl Sample {
    fn new(name: &str, kind: Option<MetricKind>, temporality: u64) -> Self {
        let (mut head, mut others) = (Vec::new(), Vec::new());
        put_len(&mut head, 1, name.as_bytes());
        if temporality > 0 {
            put_varint_field(&mut others, 2, temporality);
        }
        Self { head, kind, others, points: Vec::new() }
    }

    pub(crate) fn empty(name: &str) -> Self {
        Self::new(name, None, 0)
    }

    pub(crate) fn gauge(name: &str) -> Self {
        Self::new(name, Some(MetricKind::Gauge), 0)
    }

    pub(crate) fn sum(name: &str, temporality: u64, is_monotonic: bool) -> Self {
        let mut sum = Self::new(name, Some(MetricKind::Sum), temporality);
        if is_monotonic {
            put_varint_field(&mut sum.others, 3, 1);
        }
        sum
    }

    pub(crate) fn histogram(name: &str, temporality: u64) -> Self {
        Self::new(name, Some(MetricKind::Histogram), temporality)
    }

    pub(crate) fn exponential(name: &str, temporality: u64) -> Self {
        Self::new(name, Some(MetricKind::ExponentialHistogram), temporality)
    }

    pub(crate) fn summary(name: &str) -> Self {
        Self::new(name, Some(MetricKind::Summary), 0)
    }

    pub(crate) fn description(mut self, text: &str) -> Self {
        put_len(&mut self.head, 2, text.as_bytes());
        self
    }

    pub(crate) fn unit(mut self, text: &str) -> Self {
        put_len(&mut self.head, 3, text.as_bytes());
        self
    }

    fn last(&mut self) -> &mut Vec<u8> {
        self.points.last_mut().expect("a point")
    }

    fn fixed(mut self, field: u32, bits: u64) -> Self {
        put_fixed64(self.last(), field, bits);
        self
    }

    fn point(mut self, time: u64) -> Self {
        self.points.push(Vec::new());
        self.fixed(3, time)
    }

    fn is_exponential(&self) -> bool {
        self.kind == Some(MetricKind::ExponentialHistogram)
    }

    pub(crate) fn int(self, time: u64, value: i64, attributes: &[(&str, &str)]) -> Self {
        self.point(time).fixed(6, value.cast_unsigned()).attributes(attributes)
    }

    pub(crate) fn double(self, time: u64, value: f64, attributes: &[(&str, &str)]) -> Self {
        self.point(time).fixed(4, value.to_bits()).attributes(attributes)
    }

    /// A number's point without a value.
    pub(crate) fn none(self, time: u64) -> Self {
        self.point(time).flags(1)
    }

    pub(crate) fn explicit(self, time: u64, counts: &[u64], bounds: &[f64]) -> Self {
        let mut sample = self.point(time).fixed(4, counts.iter().sum());
        let list = |bits: Vec<u64>| bits.iter().flat_map(|bits| bits.to_le_bytes()).collect::<Vec<u8>>();
        put_len(sample.last(), 6, &list(counts.to_vec()));
        put_len(sample.last(), 7, &list(bounds.iter().map(|bound| bound.to_bits()).collect()));
        sample
    }

    pub(crate) fn buckets(
        self,
        time: u64,
        scale: i32,
        zeros: u64,
        positive: (i32, &[u64]),
        negative: (i32, &[u64]),
    ) -> Self {
        let count = zeros + positive.1.iter().chain(negative.1).sum::<u64>();
        let mut sample = self.point(time).fixed(4, count).fixed(7, zeros);
        put_varint_field(sample.last(), 6, zigzag(scale.into()));
        for (field, (offset, counts)) in [(8, positive), (9, negative)] {
            if counts.is_empty() {
                continue;
            }
            let (mut message, mut list) = (Vec::new(), Vec::new());
            counts.iter().for_each(|count| put_varint(&mut list, *count));
            put_varint_field(&mut message, 1, zigzag(offset.into()));
            put_len(&mut message, 2, &list);
            put_len(sample.last(), field, &message);
        }
        sample
    }

    pub(crate) fn quantiles(
        self,
        time: u64,
        count: u64,
        sum: f64,
        quantiles: &[(f64, f64)],
        attributes: &[(&str, &str)],
    ) -> Self {
        let mut sample = self.point(time).fixed(4, count).fixed(5, sum.to_bits());
        for (quantile, value) in quantiles {
            let mut pair = Vec::new();
            put_fixed64(&mut pair, 1, quantile.to_bits());
            put_fixed64(&mut pair, 2, value.to_bits());
            put_len(sample.last(), 6, &pair);
        }
        sample.attributes(attributes)
    }

    pub(crate) fn attributes(mut self, attributes: &[(&str, &str)]) -> Self {
        let number = attributes_number(self.kind.expect("data"));
        for (key, text) in attributes {
            let mut value = Vec::new();
            put_len(&mut value, 1, text.as_bytes());
            self = self.attribute(number, key, &value);
        }
        self
    }

    /// An attribute with any value.
    pub(crate) fn attribute(mut self, number: u32, key: &str, value: &[u8]) -> Self {
        let mut pair = Vec::new();
        put_len(&mut pair, 1, key.as_bytes());
        put_len(&mut pair, 2, value);
        put_len(self.last(), number, &pair);
        self
    }

    pub(crate) fn start(self, time: u64) -> Self {
        self.fixed(2, time)
    }

    /// Replaces the count.
    pub(crate) fn count(mut self, count: u64) -> Self {
        let mut point = Vec::new();
        super::fields::copy_without(self.last(), &[4], &mut point);
        *self.last() = point;
        self.fixed(4, count)
    }

    pub(crate) fn min(self, min: f64) -> Self {
        let field = if self.is_exponential() { 12 } else { 11 };
        self.fixed(field, min.to_bits())
    }

    pub(crate) fn max(self, max: f64) -> Self {
        let field = if self.is_exponential() { 13 } else { 12 };
        self.fixed(field, max.to_bits())
    }

    pub(crate) fn total(self, sum: f64) -> Self {
        self.fixed(5, sum.to_bits())
    }

    pub(crate) fn sum_min_max(self, sum: f64, min: f64, max: f64) -> Self {
        self.total(sum).min(min).max(max)
    }

    pub(crate) fn zero_threshold(self, threshold: f64) -> Self {
        self.fixed(14, threshold.to_bits())
    }

    pub(crate) fn flags(mut self, flags: u64) -> Self {
        let histogram = matches!(self.kind, Some(MetricKind::Histogram | MetricKind::ExponentialHistogram));
        put_varint_field(self.last(), if histogram { 10 } else { 8 }, flags);
        self
    }

    pub(crate) fn exemplar(mut self, value: impl Into<f64>) -> Self {
        let field = match self.kind {
            Some(MetricKind::Histogram) => 8,
            Some(MetricKind::ExponentialHistogram) => 11,
            _ => 5,
        };
        let mut exemplar = Vec::new();
        put_fixed64(&mut exemplar, 3, value.into().to_bits());
        put_len(self.last(), field, &exemplar);
        self
    }

    /// A field of a later version of OTLP.
    pub(crate) fn unknown(mut self) -> Self {
        put_tag(self.last(), 100, 0);
        put_varint(self.last(), 1);
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut metric = self.head.clone();
        if let Some(kind) = self.kind {
            let mut data = self.others.clone();
            self.points.iter().for_each(|point| put_len(&mut data, 1, point));
            put_len(&mut metric, kind.field(), &data);
        }
        metric
    }
}

fn payload(samples: &[Sample]) -> Payload {
    let (mut scope, mut group, mut body) = (Vec::new(), Vec::new(), Vec::new());
    samples.iter().for_each(|sample| put_len(&mut scope, 2, &sample.encode()));
    put_len(&mut group, 2, &scope);
    put_len(&mut body, 1, &group);
    valid(Signal::Metrics, body)
}

fn valid(signal: Signal, mut body: Vec<u8>) -> Payload {
    let validated = pdata::validate::validate(signal, &mut body, Utf8Policy::Refuse).expect("valid telemetry");
    Payload::from_segments(signal, [Segment::charged(body, validated.items, None)])
}

/// Runs groups of statements on a payload one after another, within a group the next record after all statements; gives
/// it back with the errors met, and whether anything was changed.
fn run_on(groups: &[(Context, &[&str])], payload: Payload) -> (Payload, Vec<String>, bool) {
    let parser = Parser::new(&super::all());
    let mut editor = Editor::new(payload).unwrap();
    let mut errors = Vec::new();
    for (context, statements) in groups {
        let compile = |text: &&str| match parser.statement(text, Mode::Plain(*context)) {
            Ok(statement) => statement,
            Err(error) => panic!("{error}"),
        };
        let statements: Vec<_> = statements.iter().map(compile).collect();
        let visited = visit(&mut editor, &pdata::Context::default(), *context, |on| {
            for statement in &statements {
                errors.extend(statement.run(on).err().map(|error| error.to_string()));
            }
            Ok::<(), String>(())
        });
        assert_eq!(visited, Ok(()));
    }
    let (items, is_changed) = (editor.items(), editor.is_changed());
    let sealed = editor.seal();
    assert_eq!(sealed.items(), items);
    let again = valid(sealed.signal(), sealed.to_bytes().to_vec());
    assert_eq!(again.items(), items, "as many items as were counted");
    (again, errors, is_changed)
}

/// Runs statements on metrics: those there are then, and the errors met.
pub(crate) fn run(context: Context, statements: &[&str], samples: &[Sample]) -> (Vec<String>, Vec<String>) {
    let (payload, errors, _) = run_on(&[(context, statements)], payload(samples));
    (dump(&payload), errors)
}

/// Statements make these metrics of those, without an error.
pub(crate) fn check(context: Context, statements: &[&str], samples: &[Sample], expected: &[&str]) {
    check_groups(&[(context, statements)], samples, expected);
}

/// The same, of several groups.
pub(crate) fn check_groups(groups: &[(Context, &[&str])], samples: &[Sample], expected: &[&str]) {
    let (payload, errors, _) = run_on(groups, payload(samples));
    let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!((dump(&payload), errors), (expected, vec![]), "{groups:?}");
}

/// A statement fails with that error, and nothing is changed.
pub(crate) fn fails(context: Context, statement: &str, samples: &[Sample], error: &str) {
    let (_, errors, is_changed) = run_on(&[(context, &[statement])], payload(samples));
    assert!(!errors.is_empty() && errors.iter().all(|found| found.contains(error)), "{statement}: {errors:?}");
    assert!(!is_changed, "{statement}");
}

/// A statement is not compiled.
pub(crate) fn refused(context: Context, statement: &str, error: &str) {
    let found =
        Parser::new(&super::all()).statement(statement, Mode::Plain(context)).map(drop).unwrap_err().to_string();
    assert!(found.contains(error), "{statement}: {found}");
}

/// Runs a statement on a span with attributes like `key=value`; its name then, with the attribute `was` behind it, and
/// how many attributes it has.
pub(crate) fn rename_span(statement: &str, name: &str, kind: i32, attributes: &str) -> (String, usize) {
    let mut builder = PayloadBuilder::traces();
    builder.bare(|spans| {
        spans.span(&SpanFields { name, kind, ..SpanFields::default() }, |span| {
            for pair in attributes.split_whitespace() {
                let (key, text) = pair.split_once('=').unwrap();
                let mut attributes = span.attributes();
                match (text.parse(), text.parse()) {
                    (Ok(truth), _) => attributes.bool(key, truth),
                    (_, Ok(int)) => attributes.i64(key, int),
                    _ => attributes.str(key, text),
                };
            }
        });
    });
    let (payload, errors, _) = run_on(&[(Context::Span, &[statement])], builder.finish(None));
    assert_eq!(errors, [""; 0]);
    let mut renamed = None;
    payload.for_each_item(|item| {
        if let ItemView::Span(span) = item.view {
            let was = span
                .attributes()
                .get("was")
                .and_then(ValueView::as_str)
                .map_or(String::new(), |was| format!(" was={was}"));
            renamed = Some((format!("{}{was}", span.name()), span.attributes().len()));
        }
    });
    renamed.expect("a span")
}

fn dump(payload: &Payload) -> Vec<String> {
    let mut lines = Vec::new();
    for scope in payload.resources().flat_map(|group| group.scopes()) {
        lines.extend(scope.metrics().map(line));
    }
    lines
}

fn line(metric: MetricView<'_>) -> String {
    let mut line = metric.name().to_owned();
    for (text, before, after) in [(metric.unit(), '[', ']'), (metric.description(), '(', ')')] {
        if !text.is_empty() {
            write!(line, "{before}{text}{after}").unwrap();
        }
    }
    line += match metric.kind() {
        None => return line + " empty",
        Some(MetricKind::Gauge) => " gauge",
        Some(MetricKind::Sum) => " sum",
        Some(MetricKind::Histogram) => " histogram",
        Some(MetricKind::ExponentialHistogram) => " exponential",
        Some(MetricKind::Summary) => " summary",
    };
    if metric.temporality() != 0 {
        write!(line, " {}", metric.temporality()).unwrap();
    }
    line += if metric.is_monotonic() { " monotonic:" } else { ":" };
    for (number, point) in metric.data_points().enumerate() {
        line += if number == 0 { " " } else { " | " };
        line += &point_text(point);
    }
    line
}

/// Up to six digits behind the point.
fn float(float: f64) -> String {
    format!("{}", (float * 1e6).round() / 1e6 + 0.0)
}

fn number(number: Number) -> String {
    match number {
        Number::Int(int) => int.to_string(),
        Number::Double(double) => float(double),
    }
}

fn attributes(attributes: AttributesView<'_>) -> String {
    let pairs = attributes.iter().map(|pair| match pair.value() {
        ValueView::Str(text) => format!("{}={text}", pair.key()),
        ValueView::F64(value) => format!("{}={value}", pair.key()),
        ValueView::I64(value) => format!("{}={value}", pair.key()),
        other => format!("{}={other:?}", pair.key()),
    });
    pairs.collect::<Vec<_>>().join(",")
}

fn point_text(point: DataPointView<'_>) -> String {
    let mut text = format!("{{{}}}@", attributes(point.attributes()));
    if point.start_time_unix_nano() != 0 {
        write!(text, "{}-", point.start_time_unix_nano()).unwrap();
    }
    write!(text, "{}", point.time_unix_nano()).unwrap();
    let moments = |text: &mut String, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>| {
        write!(text, " n{count}").unwrap();
        for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
            if let Some(value) = value {
                write!(text, " {name}{}", float(value)).unwrap();
            }
        }
    };
    match point {
        DataPointView::Number(point) => match point.value() {
            Some(value) => write!(text, " {}", number(value)).unwrap(),
            None => text += " none",
        },
        DataPointView::Histogram(point) => {
            moments(&mut text, point.count(), point.sum(), point.min(), point.max());
            let counts: Vec<String> = point.bucket_counts().map(|count| count.to_string()).collect();
            let bounds: Vec<String> = point.explicit_bounds().map(float).collect();
            if counts.len() == bounds.len() + 1 {
                let parts = counts.iter().enumerate().map(|(index, count)| match bounds.get(index) {
                    Some(bound) => format!("{count} ({bound})"),
                    None => count.clone(),
                });
                write!(text, " [{}]", parts.collect::<Vec<_>>().join(" ")).unwrap();
            } else {
                write!(text, " [{};{}]", counts.join(","), bounds.join(",")).unwrap();
            }
        }
        DataPointView::ExponentialHistogram(point) => {
            moments(&mut text, point.count(), point.sum(), point.min(), point.max());
            write!(text, " s{}", point.scale()).unwrap();
            if point.zero_count() > 0 || point.zero_threshold() > 0.0 {
                write!(text, " z{}", point.zero_count()).unwrap();
            }
            if point.zero_threshold() > 0.0 {
                write!(text, "~{}", float(point.zero_threshold())).unwrap();
            }
            let side = |text: &mut String, sign: char, buckets: Option<BucketsView<'_>>| {
                if let Some(buckets) = buckets {
                    let counts: Vec<String> = buckets.bucket_counts().map(|count| count.to_string()).collect();
                    write!(text, " {sign}{}[{}]", buckets.offset(), counts.join(" ")).unwrap();
                }
            };
            side(&mut text, '+', point.positive());
            side(&mut text, '-', point.negative());
        }
        DataPointView::Summary(point) => {
            moments(&mut text, point.count(), Some(point.sum()), None, None);
            for pair in point.quantile_values() {
                write!(text, " {}:{}", float(pair.quantile()), float(pair.value())).unwrap();
            }
        }
    }
    if point.flags() != 0 {
        write!(text, " flags{}", point.flags()).unwrap();
    }
    for exemplar in point.exemplars() {
        write!(text, " ex{}", exemplar.value().map_or(String::new(), number)).unwrap();
    }
    if Fields::new(point.as_bytes()).any(|field| field.number == 100) {
        text += " unknown";
    }
    text
}
