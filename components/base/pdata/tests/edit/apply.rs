//! The operations as edits.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use pdata::edit::{At, Msg, Place as At2, Scalar, Value, ValueBuf, Walk, Write};
use pdata::schema::{self, Message};
use pdata::wire::{Fields, LEN};
use pdata::{Editor, Signal};

use crate::model::{Act, Op, Place};

pub(crate) fn value_buf(value: &AnyValue) -> ValueBuf {
    match value.value.as_ref() {
        None => Value::Empty.into(),
        Some(Any::StringValue(text)) => Value::Str(text).into(),
        Some(Any::BoolValue(truth)) => Value::Bool(*truth).into(),
        Some(Any::IntValue(int)) => Value::Int(*int).into(),
        Some(Any::DoubleValue(double)) => Value::Double(*double).into(),
        Some(Any::BytesValue(bytes)) => Value::Bytes(bytes).into(),
        Some(Any::ArrayValue(list)) => ValueBuf::list(list.values.iter().map(value_buf)).unwrap(),
        Some(Any::KvlistValue(map)) => {
            ValueBuf::map(map.values.iter().map(|pair| (&pair.key, value_buf(pair.value.as_ref().unwrap())))).unwrap()
        }
        Some(Any::StringValueStrindex(_)) => unreachable!("not generated"),
    }
}

/// The item of that number.
fn place(editor: &mut Editor, item: usize) -> Option<At2> {
    let mut walk = Walk::items(editor);
    let mut found = walk.next(editor);
    for _ in 0..item {
        found = walk.next(editor);
    }
    found
}

/// Lists of messages with attributes in items: events, links, exemplars.
fn sub(editor: &mut Editor, item: Msg, sub: usize) -> Option<At> {
    let (number, at) = match editor.table(item).name {
        "Span" if sub.is_multiple_of(2) => (11, sub / 2),
        "Span" => (13, sub / 2),
        "NumberDataPoint" => (5, sub),
        "HistogramDataPoint" => (8, sub),
        "ExponentialHistogramDataPoint" => (11, sub),
        _ => return None,
    };
    let mut found = editor.first(item, number);
    for _ in 0..at {
        found = found.and_then(|at| editor.next(at));
    }
    found
}

/// Makes the change; says whether the place it is about exists.
pub(crate) fn apply(editor: &mut Editor, op: &Op) -> bool {
    let (Op::Map { item, .. }
    | Op::Field { item, .. }
    | Op::Body { item, .. }
    | Op::Remove { item }
    | Op::RemoveSub { item, .. }
    | Op::RemoveGroup { item }) = op;
    let Some(found) = place(editor, *item) else { return false };
    match op {
        Op::Map { place, nested, act, .. } => {
            let message = match place {
                Place::Resource => Some(editor.resource(found.group().unwrap()).unwrap()),
                Place::Scope => Some(editor.scope(found.scope_group().unwrap()).unwrap()),
                Place::Metadata => found.metric(),
                Place::Item => editor.open(found.at()),
                Place::Sub(number) => {
                    let item = editor.open(found.at()).unwrap();
                    sub(editor, item, *number).and_then(|at| editor.open(at))
                }
            };
            let Some(mut message) = message else { return false };
            for key in nested {
                let value = editor.attributes(message).open_or_add(key).unwrap();
                message = editor.sub_or_add(value, 6).unwrap();
            }
            run(editor, message, act);
            true
        }
        Op::Field { which, text, number, double, .. } => {
            set_field(editor, &found, *which, text, *number, *double);
            true
        }
        Op::Body { value, .. } => {
            if editor.signal() != Signal::Logs {
                return false;
            }
            let log = editor.open(found.at()).unwrap();
            let body = editor.sub_or_add(log, 5).unwrap();
            let value = value_buf(value);
            editor.set_value(body, value.value()).unwrap();
            assert_eq!(Value::Encoded(editor.value(body)), value.value(), "what was written is read");
            true
        }
        Op::Remove { .. } => editor.remove(found.at()),
        Op::RemoveGroup { .. } => {
            let mut walk = Walk::new(editor, pdata::edit::Level::Groups);
            while let Some(group) = walk.next(editor) {
                if editor.open(group.at()) == found.group() {
                    return editor.remove(group.at());
                }
            }
            false
        }
        Op::RemoveSub { sub: number, .. } => {
            let item = editor.open(found.at()).unwrap();
            sub(editor, item, *number).is_some_and(|at| editor.remove(at))
        }
    }
}

fn run(editor: &mut Editor, message: Msg, act: &Act) {
    let mut attributes = editor.attributes(message);
    match act {
        Act::Write(key, value, how) => {
            let value = value_buf(value);
            let writes = match how {
                Write::Insert => !attributes.contains(key),
                Write::Update => attributes.contains(key),
                Write::Upsert => true,
            };
            attributes.write(key, value.value(), *how).unwrap();
            if writes {
                assert_eq!(attributes.get(key).map(Value::Encoded), Some(value.value()), "what was written is read");
            }
        }
        Act::Copy(to, from) => {
            if let Some(from) = attributes.find(from) {
                attributes.copy(to, from, Write::Upsert).unwrap();
            }
        }
        Act::Delete(key) => {
            attributes.delete(key);
            assert!(!attributes.contains(key));
        }
        Act::Rename(from, to) => drop(attributes.rename(from, to).unwrap()),
        Act::Retain => drop(attributes.retain(|key, _| key.len() % 2 == 0)),
        Act::Visit => attributes
            .for_each(|attribute| {
                let text = match attribute.value().get() {
                    Value::Int(_) => {
                        attribute.remove();
                        return Ok(());
                    }
                    Value::Str(text) => Some(format!("<{text}>")),
                    _ => None,
                };
                if let Some(text) = text {
                    attribute.set(Value::Str(&text))?;
                }
                let key = String::from_utf8(attribute.key().to_vec()).unwrap() + "+";
                attribute.rename(&key).map(drop)
            })
            .unwrap(),
        Act::Clear => {
            attributes.clear();
            assert!(attributes.is_empty());
        }
    }
}

fn set_field(editor: &mut Editor, found: &At2, which: usize, text: &str, number: u32, double: f64) {
    let (group, scope_group) = (found.group().unwrap(), found.scope_group().unwrap());
    let (text, uint) = (Scalar::Str(text), Scalar::Uint(u64::from(number)));
    let id = [number as u8; 16];
    let id = Scalar::Bytes(if number == 0 { &[] } else { &id });
    let item = |editor: &mut Editor| editor.open(found.at()).unwrap();
    match (which, editor.signal()) {
        (0, _) => {
            let resource = editor.resource(group).unwrap();
            editor.set(resource, 2, uint).unwrap();
        }
        (1, _) => {
            let scope = editor.scope(scope_group).unwrap();
            editor.set(scope, 2, text).unwrap();
        }
        (2, _) => editor.set(scope_group, 3, text).unwrap(),
        (6 | 7, Signal::Traces) => {
            let span = item(editor);
            let status = editor.sub_or_add(span, 15).unwrap();
            let (field, value) = if which == 6 { (3, uint) } else { (2, text) };
            editor.set(status, field, value).unwrap();
        }
        (10, Signal::Traces) => {
            let span = item(editor);
            editor.clear(span, 15);
        }
        (9, Signal::Logs) => {
            let log = item(editor);
            editor.clear(log, 5);
        }
        (3, Signal::Metrics) => editor.set(found.metric().unwrap(), 1, text).unwrap(),
        (4, Signal::Metrics) => editor.set(found.metric().unwrap(), 3, text).unwrap(),
        (_, Signal::Traces) => {
            let span = item(editor);
            let (field, value) = match which {
                3 => (5, text),
                4 => (6, uint),
                5 => (8, uint),
                8 => (16, uint),
                9 => (1, id),
                _ => (14, uint),
            };
            editor.set(span, field, value).unwrap();
        }
        (_, Signal::Logs) => {
            let log = item(editor);
            let (field, value) = match which {
                3 => (3, text),
                4 => (2, uint),
                5 => (1, uint),
                6 => (12, text),
                7 => (8, uint),
                8 => (9, id),
                _ => (7, uint),
            };
            editor.set(log, field, value).unwrap();
        }
        (_, Signal::Metrics) => set_point(editor, found, which, number, double),
    }
}

fn set_point(editor: &mut Editor, found: &At2, which: usize, number: u32, double: f64) {
    let (point, uint) = (editor.open(found.at()).unwrap(), Scalar::Uint(u64::from(number)));
    let negative = Scalar::Int(-i64::from(number));
    let data = found.data().unwrap();
    match (which, editor.table(data).name) {
        (5 | 6, "ExponentialHistogram") => editor.set(point, 10, uint).unwrap(),
        (5 | 6, "Histogram") => editor.set(point, 10, uint).unwrap(),
        (5 | 6, _) => editor.set(point, 8, uint).unwrap(),
        (7, "Sum") => editor.set(data, 3, Scalar::Bool(number > 0)).unwrap(),
        (7, "ExponentialHistogram") => editor.set(point, 6, negative).unwrap(),
        (7, _) => {}
        (_, "Gauge") => editor.set(point, 6, negative).unwrap(),
        (_, "Sum") => editor.set(point, 4, Scalar::Double(double)).unwrap(),
        (_, "Histogram") => {
            editor.set(point, 5, Scalar::Double(double)).unwrap();
            editor.push(point, 6, uint).unwrap();
        }
        (_, "ExponentialHistogram") => {
            let positive = editor.sub_or_add(point, 8).unwrap();
            editor.push(positive, 2, uint).unwrap();
        }
        (_, _) => editor.set(point, 5, Scalar::Double(double)).unwrap(),
    }
}

/// Opens every message, reads every field and writes every value anew.
pub(crate) fn touch_everything(editor: &mut Editor) {
    let mut walk = Walk::items(editor);
    while let Some(place) = walk.next(editor) {
        for message in [place.group(), place.scope_group(), place.metric(), place.data()].into_iter().flatten() {
            rewrite(editor, message, false);
        }
        let item = editor.open(place.at()).unwrap();
        rewrite(editor, item, true);
    }
}

fn rewrite(editor: &mut Editor, message: Msg, deep: bool) {
    for field in editor.table(message).fields {
        for at in editor.occurrences(message, field.number).collect::<Vec<_>>() {
            if field.kind.message().is_some() {
                if deep || field.number == 1 && editor.table(message).name.starts_with("Resource") {
                    let inner = editor.open(at).unwrap();
                    rewrite(editor, inner, true);
                }
            } else if field.label != schema::Label::Repeated {
                let copy = Kept::of(editor.scalar(at).unwrap());
                if !copy.is_zero() {
                    editor.set(message, field.number, copy.scalar()).unwrap();
                }
            }
        }
    }
    if deep {
        editor.attributes(message).retain(|_, _| true);
        editor
            .attributes(message)
            .for_each(|attribute| {
                let bytes = attribute.value().bytes().to_vec();
                let there = attribute.value().bytes();
                assert_eq!(bytes, there);
                Ok::<(), pdata::EditError>(())
            })
            .unwrap();
    }
}

/// A scalar without a borrow.
enum Kept {
    Plain(Scalar<'static>),
    Str(String),
    Bytes(Vec<u8>),
}

impl Kept {
    fn of(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Str(text) => Self::Str(text.to_owned()),
            Scalar::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Scalar::Bool(truth) => Self::Plain(Scalar::Bool(truth)),
            Scalar::Int(int) => Self::Plain(Scalar::Int(int)),
            Scalar::Uint(uint) => Self::Plain(Scalar::Uint(uint)),
            Scalar::Double(double) => Self::Plain(Scalar::Double(double)),
        }
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Plain(scalar) => *scalar,
            Self::Str(text) => Scalar::Str(text),
            Self::Bytes(bytes) => Scalar::Bytes(bytes),
        }
    }

    fn is_zero(&self) -> bool {
        matches!(
            self.scalar(),
            Scalar::Bool(false) | Scalar::Int(0) | Scalar::Uint(0) | Scalar::Str("") | Scalar::Bytes([])
        ) || matches!(self.scalar(), Scalar::Double(double) if double.to_bits() == 0)
    }
}

/// Changes something in every item without changing what it says, so that all of it is encoded anew.
pub(crate) fn open_everything(editor: &mut Editor) {
    let mut walk = Walk::items(editor);
    while let Some(place) = walk.next(editor) {
        let item = editor.open(place.at()).unwrap();
        editor.attributes(item).upsert("\u{1}new", Value::Int(1)).unwrap();
        let resource = editor.sub(place.group().unwrap(), 1);
        for message in [Some(item), resource].into_iter().flatten() {
            editor.attributes(message).upsert("\u{1}new", Value::Str("x")).unwrap();
            editor.attributes(message).delete("\u{1}new");
        }
    }
}

/// How many fields no schema knows, at all levels.
pub(crate) fn unknown_fields(signal: Signal, request: &[u8]) -> u64 {
    count(schema::request(signal), request)
}

fn count(table: &'static Message, message: &[u8]) -> u64 {
    Fields::new(message)
        .map(|raw| match table.field(raw.number) {
            None => 1,
            Some(field) => match field.kind.message() {
                Some(inner) if raw.wire_type == LEN => count(inner, &message[raw.value]),
                _ => 0,
            },
        })
        .sum()
}
