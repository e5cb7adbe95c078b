//! Other legal encodings of the same request: what protobuf allows and few senders do.
//!
//! [`scramble`] keeps the value that a conforming reader sees and changes the bytes: fields in another order, values that
//! a later one supersedes, submessages in pieces, oneof members that another one replaces, unpacked lists, explicit
//! zeros, varints longer than needed, unknown fields.

use pdata::Signal;
use pdata::schema::{self, Field, Kind, Label, Message};
use pdata::wire::{self, FIXED32, FIXED64, Fields, GROUP_END, GROUP_START, LEN, RawField, VARINT};

/// Which liberties [`scramble`] takes.
#[derive(Clone, Copy, Debug)]
pub struct Liberties {
    /// Fields in another order (occurrences of the same field keep theirs).
    pub order: bool,
    /// Superseded values, replaced oneof members, submessages in pieces: what a canonical rewriting removes.
    pub duplicates: bool,
    /// Packed lists written element by element, and the reverse order of packing.
    pub unpacked: bool,
    /// Varints (tags, lengths, values) with more bytes than needed.
    pub long_varints: bool,
    /// Fields that no schema knows, groups included.
    pub unknown: bool,
}

impl Liberties {
    /// All of them.
    pub const ALL: Self = Self { order: true, duplicates: true, unpacked: true, long_varints: true, unknown: true };
    /// All but those that make the validation rewrite the request.
    pub const CANONICAL: Self = Self { duplicates: false, ..Self::ALL };
}

/// A small deterministic generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            _ => (self.bits() % bound as u64) as usize,
        }
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Re-encodes a valid request of `signal` without changing its value.
#[must_use]
pub fn scramble(signal: Signal, request: &[u8], liberties: Liberties, seed: u64) -> Vec<u8> {
    Scrambler { liberties, random: Random::new(seed) }.message(schema::request(signal), request)
}

/// An encoded field and its lane: fields of one lane keep their order.
type Piece = (u32, Vec<u8>);

const ONEOF_LANE: u32 = u32::MAX;

struct Scrambler {
    liberties: Liberties,
    random: Random,
}

impl Scrambler {
    fn message(&mut self, table: &'static Message, message: &[u8]) -> Vec<u8> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut present = 0_u32;
        for raw in Fields::new(message) {
            match table.field(raw.number) {
                Some(field) => {
                    present |= 1 << field.number;
                    self.field(table, field, &raw, message, &mut pieces);
                }
                None => pieces.push((raw.number, message[raw.start..raw.end].to_vec())),
            }
        }
        for field in table.fields {
            let absent = present & (1 << field.number) == 0;
            if absent && field.label == Label::Singular && field.kind.message().is_none() && self.random.once_in(16) {
                pieces.push((field.number, self.zero(field)));
            }
        }
        if self.liberties.unknown && self.random.once_in(4) {
            let number = [17, 99, 2000, (1 << 29) - 1][self.random.below(4)];
            let field = self.unknown_field(number, 3);
            pieces.push((number, field));
        }
        if self.liberties.order {
            pieces = self.reorder(pieces);
        }
        pieces.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }

    fn field(
        &mut self,
        table: &'static Message,
        field: &'static Field,
        raw: &RawField,
        message: &[u8],
        out: &mut Vec<Piece>,
    ) {
        let lane = if field.label == Label::OneOf { ONEOF_LANE } else { field.number };
        let value = &message[raw.value.clone()];
        let duplicates = self.liberties.duplicates && field.label != Label::Repeated;
        if duplicates && self.random.once_in(5) {
            self.superseded(table, field, lane, out);
        }
        if let Some(inner) = field.kind.message() {
            let scrambled = self.message(inner, value);
            let ends: Vec<usize> = Fields::new(&scrambled).map(|raw| raw.end).collect();
            if duplicates && !ends.is_empty() && self.random.once_in(4) {
                let cut = ends[self.random.below(ends.len())];
                out.push((lane, self.len_field(field.number, &scrambled[..cut])));
                out.push((lane, self.len_field(field.number, &scrambled[cut..])));
            } else {
                out.push((lane, self.len_field(field.number, &scrambled)));
            }
        } else if field.label == Label::Repeated && raw.wire_type == LEN && field.kind.wire_type() != LEN {
            self.packed(field, value, lane, out);
        } else {
            out.push((lane, self.scalar(field.number, raw.wire_type, value)));
        }
    }

    /// Something that the field which follows makes void.
    fn superseded(&mut self, table: &'static Message, field: &'static Field, lane: u32, out: &mut Vec<Piece>) {
        if field.label == Label::OneOf {
            let others: Vec<&'static Field> =
                table.fields.iter().filter(|f| f.label == Label::OneOf && f.number != field.number).collect();
            let other = others[self.random.below(others.len())];
            out.push((lane, self.zero(other)));
        } else if field.kind.message().is_none() {
            let content = match field.kind {
                Kind::TraceId => vec![7; 16],
                Kind::SpanId => vec![7; 8],
                Kind::String => b"superseded".to_vec(),
                kind if kind.wire_type() == FIXED64 => vec![1; 8],
                kind if kind.wire_type() == FIXED32 => vec![1; 4],
                _ => vec![1],
            };
            out.push((lane, self.scalar(field.number, field.kind.wire_type(), &content)));
        }
    }

    /// The field with the zero of its type.
    fn zero(&mut self, field: &Field) -> Vec<u8> {
        let content: &[u8] = match field.kind.wire_type() {
            FIXED64 => &[0; 8],
            FIXED32 => &[0; 4],
            VARINT => &[0],
            _ => &[],
        };
        self.scalar(field.number, field.kind.wire_type(), content)
    }

    fn scalar(&mut self, number: u32, wire_type: u8, value: &[u8]) -> Vec<u8> {
        if wire_type == LEN {
            return self.len_field(number, value);
        }
        let mut out = self.varint(u64::from(number) << 3 | u64::from(wire_type));
        match wire_type {
            VARINT => {
                let value = wire::read_varint(value, &mut 0).unwrap_or_default();
                out.extend(self.varint(value));
            }
            _ => out.extend_from_slice(value),
        }
        out
    }

    fn len_field(&mut self, number: u32, content: &[u8]) -> Vec<u8> {
        let mut out = self.varint(u64::from(number) << 3 | u64::from(LEN));
        out.extend(self.varint(content.len() as u64));
        out.extend_from_slice(content);
        out
    }

    fn varint(&mut self, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_varint(&mut out, value);
        if self.liberties.long_varints && out.len() < 8 && self.random.once_in(12) {
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.extend_from_slice(&[0x80, 0]);
        }
        out
    }

    fn packed(&mut self, field: &'static Field, value: &[u8], lane: u32, out: &mut Vec<Piece>) {
        let wire_type = field.kind.wire_type();
        let mut elements: Vec<&[u8]> = Vec::new();
        let mut at = 0;
        while at < value.len() {
            let from = at;
            match wire_type {
                FIXED64 => at += 8,
                FIXED32 => at += 4,
                _ => at = wire::read_varint(value, &mut at).map_or(value.len(), |_| at),
            }
            elements.push(&value[from..at]);
        }
        if !self.liberties.unpacked || self.random.once_in(2) {
            // Whole, or as two packed lists.
            let cut = if self.liberties.unpacked { self.random.below(elements.len() + 1) } else { elements.len() };
            for half in [&elements[..cut], &elements[cut..]] {
                if !half.is_empty() {
                    out.push((lane, self.len_field(field.number, &half.concat())));
                }
            }
            return;
        }
        for element in elements {
            out.push((lane, self.scalar(field.number, wire_type, element)));
        }
    }

    fn unknown_field(&mut self, number: u32, depth: u32) -> Vec<u8> {
        let wire_type = [VARINT, FIXED64, LEN, FIXED32, GROUP_START][self.random.below(if depth > 0 { 5 } else { 4 })];
        let bits = self.random.bits();
        match wire_type {
            VARINT => {
                let mut out = Vec::new();
                wire::put_varint_field(&mut out, number, bits);
                out
            }
            FIXED64 => self.scalar(number, FIXED64, &bits.to_le_bytes()),
            FIXED32 => self.scalar(number, FIXED32, &bits.to_le_bytes()[..4]),
            LEN => self.len_field(number, &bits.to_le_bytes()[..self.random.clone().below(9)]),
            _ => {
                let mut out = self.varint(u64::from(number) << 3 | u64::from(GROUP_START));
                let inner = self.unknown_field(3, depth - 1);
                out.extend(inner);
                out.extend(self.varint(u64::from(number) << 3 | u64::from(GROUP_END)));
                out
            }
        }
    }

    /// A random interleaving of the lanes.
    fn reorder(&mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut lanes: Vec<(u32, std::collections::VecDeque<Piece>)> = Vec::new();
        for piece in pieces {
            match lanes.iter_mut().find(|(lane, _)| *lane == piece.0) {
                Some((_, queue)) => queue.push_back(piece),
                None => lanes.push((piece.0, [piece].into())),
            }
        }
        let mut out = Vec::new();
        while !lanes.is_empty() {
            let index = self.random.below(lanes.len());
            // Runs of one lane, as senders write them, or fields taken one by one.
            let run = if self.random.once_in(2) { usize::MAX } else { 1 };
            let queue = &mut lanes[index].1;
            let taken = run.min(queue.len());
            out.extend(queue.drain(..taken));
            if queue.is_empty() {
                lanes.swap_remove(index);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::otlp_arbitrary::{Request, config, request};

    proptest! {
        #![proptest_config(config(256))]
        #[test]
        fn scrambling_keeps_the_value_and_changes_the_bytes(request in request(), seed: u64) {
            let bytes = request.encode();
            let scrambled = scramble(request.signal(), &bytes, Liberties::ALL, seed);
            prop_assert_eq!(Request::decode(request.signal(), &scrambled).unwrap(), request);
            if bytes.len() > 500 {
                prop_assert_ne!(scrambled, bytes);
            }
        }
    }
}
