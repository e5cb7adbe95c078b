//! Fields as readers want them: number, wire type and value, most of them passed over.

use super::{FIXED32, FIXED64, LEN, VARINT, read_field, read_varint};

/// A field: tag and value. The value of a length-delimited field is its content.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    tag: u64,
    /// The value: content of a length-delimited field, the bytes of a varint or fixed value.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Field number.
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        (self.tag >> 3) as u32
    }

    /// Wire type.
    #[inline]
    #[must_use]
    pub fn wire_type(self) -> u8 {
        (self.tag & 7) as u8
    }

    /// The bits of a scalar field, whatever its wire type.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        match self.wire_type() {
            VARINT => read_varint(self.value, &mut 0).unwrap_or_default(),
            FIXED64 => self.value.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            FIXED32 => self.value.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes))),
            _ => 0,
        }
    }
}

/// The fields of a message in order, as [`Fields`](super::Fields) but leaner. Ends early on malformed bytes; meant for
/// messages that passed [`crate::validate`].
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    /// Goes over the fields of `message`.
    #[inline]
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Whatever does not fit tags of one byte and lengths of two.
    #[inline(never)]
    fn long(&mut self) -> Option<Field<'a>> {
        let Ok(raw) = read_field(self.0, 0) else {
            self.0 = &[];
            return None;
        };
        let tag = u64::from(raw.number) << 3 | u64::from(raw.wire_type);
        let value = self.0.get(raw.value).unwrap_or_default();
        self.0 = self.0.get(raw.end..).unwrap_or_default();
        Some(Field { tag, value })
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (&tag, after) = self.0.split_first()?;
        if (0x08..0x80).contains(&tag) {
            let (len, after) = match tag & 7 {
                LEN => match after.split_first() {
                    Some((&len, after)) if len < 0x80 => (usize::from(len), after),
                    Some((&low, after)) => match after.split_first() {
                        Some((&high, after)) if high < 0x80 => {
                            (usize::from(low & 0x7f) | usize::from(high) << 7, after)
                        }
                        _ => return self.long(),
                    },
                    None => return self.long(),
                },
                FIXED64 => (8, after),
                FIXED32 => (4, after),
                VARINT if after.first().is_some_and(|byte| *byte < 0x80) => (1, after),
                _ => return self.long(),
            };
            if let Some((value, rest)) = after.split_at_checked(len) {
                self.0 = rest;
                return Some(Field { tag: tag.into(), value });
            }
        }
        self.long()
    }
}
