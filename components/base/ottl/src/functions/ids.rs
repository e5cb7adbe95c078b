//! Converters around identities: trace and span IDs, UUIDs, and whether a span is a root.

use pdata::edit::Scalar;
use uuid::Uuid;

use super::convert::bytes_like;
use super::make::{Apply, Outcome, TARGET, converter, function, function_in, unary_with};
use crate::context::Context;
use crate::error::RunError;
use crate::function::{Argument, Arguments, Built, Convert, Function};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("TraceID", &[TARGET], |arguments| {
        id(arguments, |(), value| Ok(Value::TraceId(parse(&bytes_like(value, "TraceID")?)?)))
    }),
    function("SpanID", &[TARGET], |arguments| {
        id(arguments, |(), value| Ok(Value::SpanId(parse(&bytes_like(value, "SpanID")?)?)))
    }),
    function("UUID", &[], |_| converter(Fresh(Uuid::new_v4))),
    function("UUIDv7", &[], |_| converter(Fresh(Uuid::now_v7))),
    function_in(&[Context::Span], "IsRootSpan", &[], |_| converter(IsRootSpan)),
];

/// A literal that is no ID is refused with its statement.
fn id(arguments: &mut Arguments, apply: Apply<()>) -> Result<Built, String> {
    let target = arguments.value("target")?;
    if let Some(literal) = target.literal() {
        apply(&(), literal.by_ref()).map_err(|error| error.to_string())?;
    }
    arguments.insert("target", Argument::Value(target));
    unary_with(arguments, "target", (), apply)
}

/// From bytes, or their hexadecimal digits.
fn parse<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RunError> {
    if let Ok(id) = bytes.try_into() {
        return Ok(id);
    }
    if bytes.len() != 2 * N {
        let found = bytes.len();
        return Err(RunError::new(format!(
            "an ID takes {N} bytes or {} hexadecimal digits, found {found} bytes",
            2 * N
        )));
    }
    let mut id = [0; N];
    for (byte, digits) in id.iter_mut().zip(bytes.chunks_exact(2)) {
        let digit = |at: usize| digits.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(RunError::new(format!("`{}` is not hexadecimal", String::from_utf8_lossy(bytes))));
        };
        *byte = (high << 4 | low) as u8;
    }
    Ok(id)
}

/// Of a span.
const PARENT_SPAN_ID: u32 = 4;

struct Fresh(fn() -> Uuid);

impl Convert for Fresh {
    fn convert<'c>(&'c self, _: &mut Subject<'_>) -> Outcome<'c> {
        Ok(Value::text((self.0)().to_string()))
    }
}

struct IsRootSpan;

impl Convert for IsRootSpan {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let span = on.item()?;
        let parent = on.editor.get(span, PARENT_SPAN_ID);
        Ok(Value::Bool(match parent {
            Some(Scalar::Bytes(id)) => id.iter().all(|byte| *byte == 0),
            _ => true,
        }))
    }
}

#[cfg(test)]
mod tests {
    use pdata::Editor;
    use pdata::build::{PayloadBuilder, SpanFields};
    use pdata::edit::Walk;

    use super::super::testing::{Call, gives, refused_or_fails};
    use super::*;

    #[test]
    fn ids_from_bytes_and_digits() {
        let trace = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        for (name, value, expected) in [
            ("TraceID", Value::Bytes(trace.to_vec().into()), Value::TraceId(trace)),
            ("TraceID", "0102030405060708090a0B0c0d0e0f10".into(), Value::TraceId(trace)),
            ("TraceID", Value::TraceId(trace), Value::TraceId(trace)),
            ("SpanID", "abcdefgh".into(), Value::SpanId(*b"abcdefgh")),
            ("SpanID", "0102030405060708".into(), Value::SpanId([1, 2, 3, 4, 5, 6, 7, 8])),
            ("SpanID", Value::Bytes(b"0102030405060708"[..].into()), Value::SpanId([1, 2, 3, 4, 5, 6, 7, 8])),
        ] {
            gives(Call::to(name).arg("target", value), expected);
        }
        for (name, value, error) in [
            ("TraceID", Value::from("xx02030405060708090a0b0c0d0e0f10"), "is not hexadecimal"),
            ("TraceID", "01".into(), "an ID takes 16 bytes or 32 hexadecimal digits, found 2 bytes"),
            ("SpanID", "abc".into(), "an ID takes 8 bytes or 16 hexadecimal digits, found 3 bytes"),
            ("SpanID", "".into(), "found 0 bytes"),
            ("SpanID", Value::Nil, "found 0 bytes"),
            ("SpanID", Value::List(Vec::new()), "SpanID takes no list"),
        ] {
            refused_or_fails(Call::to(name).arg("target", value), error);
        }
    }

    #[test]
    fn fresh_ids_differ() {
        for (name, version) in [("UUID", '4'), ("UUIDv7", '7')] {
            let call = Call::to(name);
            let text = |value: Value<'static>| value.as_str().unwrap().to_owned();
            let (first, second) = (text(call.run().unwrap()), text(call.run().unwrap()));
            assert_eq!((first.len(), first.chars().nth(14)), (36, Some(version)), "{first}");
            assert_ne!(first, second);
        }
    }

    #[test]
    fn roots_have_no_parent() {
        let mut builder = PayloadBuilder::traces();
        builder.bare(|spans| {
            for parent_span_id in [[0; 8], [1; 8]] {
                spans.span(&SpanFields { parent_span_id, ..SpanFields::default() }, |_| {});
            }
        });
        let mut editor = Editor::new(builder.finish(None)).unwrap();
        let request = pdata::Context::default();
        let mut walk = Walk::items(&editor);
        let mut roots = Vec::new();
        while let Some(place) = walk.next(&mut editor) {
            let mut on = Subject::new(&mut editor, &request);
            on.at_item(&place);
            roots.push(IsRootSpan.convert(&mut on).unwrap().to_text());
        }
        assert_eq!(roots, ["true", "false"]);
    }
}
