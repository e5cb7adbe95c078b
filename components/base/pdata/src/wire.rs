//! Protobuf's wire format: varints, tags, fields. Reading is bounds-checked and never panics; writing appends.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::ops::Range;

mod scan;

pub use scan::{Field, Scan};

/// Wire type of varints.
pub const VARINT: u8 = 0;
/// Wire type of 8-byte little-endian values.
pub const FIXED64: u8 = 1;
/// Wire type of length-delimited values.
pub const LEN: u8 = 2;
/// Wire type that opens a (deprecated) group.
pub const GROUP_START: u8 = 3;
/// Wire type that closes a group.
pub const GROUP_END: u8 = 4;
/// Wire type of 4-byte little-endian values.
pub const FIXED32: u8 = 5;

/// The most bytes a varint can take.
pub const VARINT_BYTES_MAX: usize = 10;

/// Reads a varint at `*at` and moves past it. `None` when it is cut off or longer than 64 bits.
#[inline]
#[must_use]
pub fn read_varint(buf: &[u8], at: &mut usize) -> Option<u64> {
    let first = *buf.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    read_long_varint(buf, at)
}

#[cold]
#[inline(never)]
fn read_long_varint(buf: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for (n, &byte) in buf.get(*at..)?.iter().take(VARINT_BYTES_MAX).enumerate() {
        if n == VARINT_BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            *at += n + 1;
            return Some(value);
        }
    }
    None
}

/// Bytes that `value` takes as a varint, 1 to 10.
#[inline]
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    ((70 - (value | 1).leading_zeros()) / 7) as usize
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a tag.
#[inline]
pub fn put_tag(out: &mut Vec<u8>, field: u32, wire_type: u8) {
    put_varint(out, u64::from(field) << 3 | u64::from(wire_type));
}

/// Appends a length-delimited field.
pub fn put_len(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    put_tag(out, field, LEN);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Appends a varint field.
pub fn put_varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    put_tag(out, field, VARINT);
    put_varint(out, value);
}

/// Appends a fixed64 field.
pub fn put_fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    put_tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a fixed32 field.
pub fn put_fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    put_tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// ZigZag, for `sint32` and `sint64`.
#[inline]
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// The reverse of [`zigzag`].
#[inline]
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// One field as it stands in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawField {
    /// Field number.
    pub number: u32,
    /// Wire type.
    pub wire_type: u8,
    /// Where the field starts, at its tag.
    pub start: usize,
    /// The value: content of a length-delimited field (without its length), the bytes of a varint or fixed value, the
    /// inside of a group.
    pub value: Range<usize>,
    /// Where the next field starts.
    pub end: usize,
}

/// Why bytes are not a sequence of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A tag, length or value goes beyond the end of its message.
    #[error("the field goes beyond the end of its message")]
    Truncated,
    /// A varint of more than 64 bits, or cut off.
    #[error("a varint is cut off or longer than 64 bits")]
    Varint,
    /// Field number 0 or above 2^29 - 1.
    #[error("the field number is not valid")]
    FieldNumber,
    /// Wire type 6 or 7, or a group end without start.
    #[error("the wire type is not valid")]
    WireType,
    /// Groups nested too deeply.
    #[error("groups are nested too deeply")]
    Groups,
}

/// How deep groups (which nothing in OTLP uses) may nest in unknown fields.
const GROUP_DEPTH_MAX: u32 = 16;

/// Reads the field at `at`, which must lie inside `buf`.
///
/// # Errors
/// [`Malformed`] when the bytes are no field.
#[inline]
pub fn read_field(buf: &[u8], at: usize) -> Result<RawField, Malformed> {
    // What most fields are, told from three bytes: number below 16, length-delimited, of less than 16 KiB.
    if let Some(&[tag @ 8..=0x7f, low, high]) = buf.get(at..).and_then(|rest| rest.first_chunk())
        && tag & 7 == LEN
        && (low < 0x80 || high < 0x80)
    {
        let (from, len) = match low {
            ..0x80 => (at + 2, usize::from(low)),
            _ => (at + 3, usize::from(low & 0x7f) | usize::from(high) << 7),
        };
        let end = from + len;
        if end <= buf.len() {
            return Ok(RawField { number: u32::from(tag >> 3), wire_type: LEN, start: at, value: from..end, end });
        }
    }
    read_field_nested(buf, at, GROUP_DEPTH_MAX)
}

fn read_field_nested(buf: &[u8], start: usize, groups_left: u32) -> Result<RawField, Malformed> {
    let mut at = start;
    let tag = read_varint(buf, &mut at).ok_or(Malformed::Varint)?;
    let wire_type = (tag & 7) as u8;
    let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n)).ok_or(Malformed::FieldNumber)?;
    let value = match wire_type {
        VARINT => {
            let from = at;
            read_varint(buf, &mut at).ok_or(Malformed::Varint)?;
            from..at
        }
        FIXED64 => at..at + 8,
        FIXED32 => at..at + 4,
        LEN => {
            let len = read_varint(buf, &mut at).ok_or(Malformed::Varint)?;
            let len = usize::try_from(len).map_err(|_too_large| Malformed::Truncated)?;
            at..at.checked_add(len).ok_or(Malformed::Truncated)?
        }
        GROUP_START => return read_group(buf, start, at, number, groups_left),
        _ => return Err(Malformed::WireType),
    };
    if value.end > buf.len() {
        return Err(Malformed::Truncated);
    }
    let end = value.end;
    Ok(RawField { number, wire_type, start, value, end })
}

#[cold]
fn read_group(buf: &[u8], start: usize, from: usize, number: u32, groups_left: u32) -> Result<RawField, Malformed> {
    let groups_left = groups_left.checked_sub(1).ok_or(Malformed::Groups)?;
    let mut at = from;
    loop {
        let mut after_tag = at;
        let tag = read_varint(buf, &mut after_tag).ok_or(Malformed::Truncated)?;
        if (tag & 7) as u8 == GROUP_END {
            return if tag >> 3 == u64::from(number) {
                Ok(RawField { number, wire_type: GROUP_START, start, value: from..at, end: after_tag })
            } else {
                Err(Malformed::WireType)
            };
        }
        at = read_field_nested(buf, at, groups_left)?.end;
    }
}

/// The fields of a message, in order. Ends early on malformed bytes; meant for messages that passed
/// [`crate::validate`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Iterates over the fields of `message`.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { buf: message, at: 0 }
    }
}

impl Iterator for Fields<'_> {
    type Item = RawField;

    #[inline]
    fn next(&mut self) -> Option<RawField> {
        if self.at >= self.buf.len() {
            return None;
        }
        match read_field(self.buf, self.at) {
            Ok(field) => {
                self.at = field.end;
                Some(field)
            }
            Err(_) => {
                self.at = self.buf.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut at = 0;
            prop_assert_eq!(read_varint(&out, &mut at), Some(value));
            prop_assert_eq!(at, out.len());
            prop_assert_eq!(read_varint(&out[..out.len() - 1], &mut 0), None);
            prop_assert_eq!(unzigzag(zigzag(value.cast_signed())), value.cast_signed());
        }

        #[test]
        fn any_bytes_iterate_without_panic(bytes: Vec<u8>) {
            let end = Fields::new(&bytes).last().map_or(0, |field| field.end);
            prop_assert!(end <= bytes.len());
        }
    }

    #[test]
    fn eleven_byte_and_65_bit_varints_are_refused() {
        assert_eq!(read_varint(&[0xff; 11], &mut 0), None);
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &mut 0), None);
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], &mut 0), Some(u64::MAX));
    }

    #[test]
    fn groups_are_read_whole_and_nesting_is_bounded() {
        // field 3 group { field 1 varint 5 }
        let group = [0x1b, 0x08, 0x05, 0x1c];
        assert_eq!(read_field(&group, 0).unwrap().value, 1..3);
        assert_eq!(read_field(&group[..3], 0), Err(Malformed::Truncated));
        assert_eq!(read_field(&[0x1b; 1000], 0), Err(Malformed::Groups));
        assert_eq!(read_field(&[0x1c], 0), Err(Malformed::WireType));
    }
}
