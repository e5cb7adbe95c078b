//! Looking into a message without opening it: cheaper than opening for one or two reads, dearer for more.

use crate::schema::Message;
use crate::wire::{FIXED32, FIXED64, LEN, VARINT, read_field};

use super::Editor;
use super::attributes::plain_parts;
use super::fields::{Scalar, scalar_of};
use super::tree::{At, CHILD, KEY_TAG, REMOVED, content_of, pair_key};
use super::value::ValueRef;

/// A message that nobody has opened.
#[derive(Clone, Copy, Debug)]
pub struct Peek<'e> {
    table: &'static Message,
    message: &'e [u8],
}

impl Editor {
    /// The message in a field, if it has not been opened. `None` if it has been, so that what was written to it is not
    /// overlooked; if the field is no message; if it was removed.
    #[inline]
    #[must_use]
    pub fn peek(&self, at: At) -> Option<Peek<'_>> {
        let slot = self.slot(at);
        if slot.state & (CHILD | REMOVED) != 0 {
            return None;
        }
        let table = self.node(at.node).table.field(u32::from(slot.number))?.kind.message()?;
        Some(Peek { table, message: self.content(at.node, slot) })
    }
}

impl<'e> Peek<'e> {
    /// The type of the message.
    #[must_use]
    pub fn table(self) -> &'static Message {
        self.table
    }

    /// The value of the first attribute of that key.
    #[must_use]
    pub fn attribute(self, key: &str) -> Option<ValueRef<'e>> {
        let number = self.table.attributes_number();
        if number == 0 {
            return None;
        }
        let (key, mut from) = (key.as_bytes(), 0);
        while let Some((content, next)) = self.find(number, LEN, from) {
            from = next;
            // Other keys mostly differ in their length.
            if let [KEY_TAG, len @ 0..=0x7f, ..] = content
                && usize::from(*len) != key.len()
            {
                continue;
            }
            if pair_key(content) == key {
                let value = match plain_parts(content) {
                    Some((_, value)) => value,
                    None => content_of(content, 2),
                };
                return Some(ValueRef(value.unwrap_or_default()));
            }
        }
        None
    }

    /// An `AnyValue`: a log's body. `None` when it is absent, or the field is of another type.
    #[must_use]
    pub fn value(self, number: u32) -> Option<ValueRef<'e>> {
        let inner = self.table.field(number)?.kind.message()?;
        let (content, _) = self.find(number, LEN, 0)?;
        std::ptr::eq(inner, &raw const crate::schema::ANY_VALUE).then_some(ValueRef(content))
    }

    /// A field that is no message and no list. `None` when it is absent.
    #[must_use]
    pub fn get(self, number: u32) -> Option<Scalar<'e>> {
        let kind = self.table.field(number)?.kind;
        let (content, _) = self.find(number, kind.wire_type(), 0)?;
        scalar_of(kind, content)
    }

    /// The content of the first field of that number and wire type from an offset on, and where the next one starts.
    #[inline]
    fn find(self, number: u32, wire_type: u8, from: usize) -> Option<(&'e [u8], usize)> {
        let message = self.message;
        let wanted = (number << 3) as u8 | wire_type;
        let mut at = from;
        while let Some(&tag) = message.get(at) {
            // What most of a message is, as in `index`.
            let (start, end) = if tag & 0x87 == LEN
                && let Some(&len @ 0..=0x7f) = message.get(at + 1)
            {
                (at + 2, at + 2 + usize::from(len))
            } else if tag & 0x87 == FIXED64 {
                (at + 1, at + 9)
            } else if tag & 0x87 == FIXED32 {
                (at + 1, at + 5)
            } else if tag & 0x87 == VARINT && matches!(message.get(at + 1), Some(0..=0x7f)) {
                (at + 1, at + 2)
            } else {
                let field = read_field(message, at).ok()?;
                if field.number == number && field.wire_type == wire_type {
                    return Some((message.get(field.value)?, field.end));
                }
                at = field.end;
                continue;
            };
            if tag == wanted {
                return Some((message.get(start..end)?, end));
            }
            at = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signal;
    use crate::build::{HistogramFields, MetricFields, PayloadBuilder, SpanFields, Temporality};
    use crate::edit::{EditError, Value, Walk};
    use crate::validate::check;

    #[test]
    fn a_peek_sees_what_is_there_and_nothing_that_was_opened() {
        let mut builder = PayloadBuilder::traces();
        let long = "k".repeat(200);
        builder.bare(|spans| {
            let fields = SpanFields { name: "n", kind: 3, flags: 257, end_time_unix_nano: 9, ..SpanFields::default() };
            spans.span(&fields, |span| {
                span.attributes().str("a", "1").str(&long, "2").i64("b", 3).str("a", "4");
            });
        });
        let mut editor = Editor::new(builder.finish(None)).unwrap();
        let at = Walk::items(&editor).next(&mut editor).unwrap().at();
        let peek = editor.peek(at).unwrap();
        assert_eq!(peek.table().name, "Span");
        for (key, expected) in [
            ("a", Some(Value::Str("1"))),
            (long.as_str(), Some(Value::Str("2"))),
            ("b", Some(Value::Int(3))),
            ("none", None),
        ] {
            assert_eq!(peek.attribute(key).map(ValueRef::get), expected, "{key}");
        }
        for (number, expected) in [
            (5, Some(Scalar::Str("n"))),
            (6, Some(Scalar::Int(3))),
            (8, Some(Scalar::Uint(9))),
            (16, Some(Scalar::Uint(257))),
            (7, None),
            (9, None),
            (99, None),
        ] {
            assert_eq!(peek.get(number), expected, "{number}");
        }
        editor.open(at).unwrap();
        assert!(editor.peek(at).is_none());
        assert!(editor.remove(at));
        assert!(editor.peek(at).is_none());
    }

    #[test]
    fn lists_of_numbers_are_replaced() {
        let mut builder = PayloadBuilder::metrics();
        builder.bare(|metrics| {
            metrics.histogram(&MetricFields::default(), Temporality::Delta, |points| {
                let fields =
                    HistogramFields { bucket_counts: &[1, 2], explicit_bounds: &[0.5], ..HistogramFields::default() };
                points.point(&fields, |_| {});
            });
        });
        let mut editor = Editor::new(builder.finish(None)).unwrap();
        let at = Walk::items(&editor).next(&mut editor).unwrap().at();
        let point = editor.open(at).unwrap();
        editor.set_packed(point, 6, [Scalar::Uint(300), Scalar::Uint(0)]).unwrap();
        assert_eq!(editor.set_packed(point, 6, [Scalar::Uint(7), Scalar::Int(-1)]), Err(EditError::Range));
        assert_eq!(editor.set_packed(point, 7, [Scalar::Str("x")]), Err(EditError::Field));
        assert_eq!(editor.set_packed(point, 4, [Scalar::Uint(1)]), Err(EditError::Field), "no list");
        assert_eq!(editor.set_packed(point, 9, []), Err(EditError::Field), "a list of messages");
        editor.set_packed(point, 7, []).unwrap();
        let sealed = editor.seal();
        assert_eq!(check(Signal::Metrics, &sealed.to_bytes()), Ok(1));
        sealed.for_each_item(|item| {
            let crate::view::ItemView::DataPoint(_, crate::view::DataPointView::Histogram(point)) = item.view else {
                panic!("it is a histogram's point")
            };
            assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [300, 0]);
            assert_eq!(point.explicit_bounds().count(), 0);
        });
    }
}
