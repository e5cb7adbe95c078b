//! Rewriting of requests that use legal but ambiguous encodings into the form every reader agrees on.
//!
//! Protobuf's rules (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>): of a singular field the last
//! value counts, submessages given in pieces are merged, of a oneof the last member counts (merged with its own earlier
//! pieces). Repeated and unknown fields keep their order. Rare, so written for clarity: O(bytes × nesting).

use std::borrow::Cow;

use crate::schema::{Field, Label, Message};
use crate::wire::{Fields, LEN, RawField, put_len};

/// Rewrites a message that passed the validating walk.
#[must_use]
pub fn rewrite(table: &'static Message, message: &[u8]) -> Vec<u8> {
    let fields: Vec<RawField> = Fields::new(message).collect();
    let mut out = Vec::with_capacity(message.len());
    for (index, raw) in fields.iter().enumerate() {
        let Some(field) = table.field(raw.number) else {
            out.extend_from_slice(message.get(raw.start..raw.end).unwrap_or_default());
            continue;
        };
        let later = fields.get(index + 1..).unwrap_or_default();
        if field.label != Label::Repeated && is_superseded(table, field, later) {
            continue;
        }
        let Some(inner) = field.kind.message().filter(|_| raw.wire_type == LEN) else {
            out.extend_from_slice(message.get(raw.start..raw.end).unwrap_or_default());
            continue;
        };
        let content = if field.label == Label::Repeated {
            Cow::Borrowed(message.get(raw.value.clone()).unwrap_or_default())
        } else {
            merged_pieces(table, field, fields.get(..=index).unwrap_or_default(), message)
        };
        put_len(&mut out, field.number, &rewrite(inner, &content));
    }
    out
}

fn is_member(table: &Message, raw: &RawField) -> bool {
    table.field(raw.number).is_some_and(|field| field.label == Label::OneOf)
}

/// Whether a later field decides instead of this occurrence of `field`.
fn is_superseded(table: &Message, field: &Field, later: &[RawField]) -> bool {
    later.iter().any(|raw| raw.number == field.number || (field.label == Label::OneOf && is_member(table, raw)))
}

/// The contents of a submessage's pieces up to its last occurrence, in order. For a oneof: since another member was set.
fn merged_pieces<'a>(table: &Message, field: &Field, up_to: &[RawField], message: &'a [u8]) -> Cow<'a, [u8]> {
    let mut pieces: Vec<&[u8]> = Vec::new();
    for raw in up_to {
        if raw.number == field.number {
            pieces.push(message.get(raw.value.clone()).unwrap_or_default());
        } else if field.label == Label::OneOf && is_member(table, raw) {
            pieces.clear();
        }
    }
    match pieces.as_slice() {
        [only] => Cow::Borrowed(only),
        _ => Cow::Owned(pieces.concat()),
    }
}
