//! What bytes are, 64 of them at once: words, digits and signs as bits.
//!
//! Most of a text begins nothing. A mask tells where words and numbers start without a branch for each byte, and a loop
//! over its bits goes to the places that may matter.

use crate::bytes::looked_at;
use crate::pass::begins_word;
use crate::unescape::LEADS;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// A block of text; the bit of the first byte is the lowest. Bits behind the text's end are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// ASCII letters and digits.
    pub(crate) words: u64,
    /// ASCII digits.
    pub(crate) digits: u64,
    /// `@`, `:`, `=`, `+`, `%`, `\`, and the first bytes of characters that look like others.
    pub(crate) signs: u64,
    /// `-`.
    pub(crate) dashes: u64,
    /// `.`.
    pub(crate) dots: u64,
    /// ASCII letters that begin words which may matter.
    pub(crate) firsts: u64,
}

/// For each byte six bits, each the lowest of eight, in the order of [`Block`]'s fields: shifted by their places, those of
/// eight bytes fit each other.
const CLASSES: [u64; 256] = {
    const WORD: u64 = 1;
    const DIGIT: u64 = 1 << 8;
    const SIGN: u64 = 1 << 16;
    const DASH: u64 = 1 << 24;
    const DOT: u64 = 1 << 32;
    const FIRST: u64 = 1 << 40;
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => WORD,
            b'0'..=b'9' => WORD | DIGIT,
            b'@' | b':' | b'=' | b'+' | b'%' | b'\\' => SIGN,
            b'-' => DASH,
            b'.' => DOT,
            _ => 0,
        };
        if begins_word(byte as u8) {
            classes[byte] |= FIRST;
        }
        byte += 1;
    }
    let mut lead = 0;
    while lead < LEADS.len() {
        classes[LEADS[lead] as usize] = SIGN;
        lead += 1;
    }
    classes
};

impl Block {
    /// The block that begins at `start`.
    #[inline]
    pub(crate) fn read(text: &[u8], start: usize) -> Self {
        let rest = text.get(start..).unwrap_or_default();
        let rest = rest.get(..BLOCK).unwrap_or(rest);
        looked_at(rest.len());
        let mut block = Self::default();
        let (chunks, tail) = rest.as_chunks();
        let mut place = 0;
        for chunk in chunks {
            block.put(chunk, place);
            place += 8;
        }
        if !tail.is_empty() {
            block.put(&padded(rest, tail.len()).to_le_bytes(), place);
        }
        block
    }

    /// Puts eight bytes at `place`. Eight loads from a small table are quicker than what a compiler without vectors of its
    /// own makes of arithmetic on all eight.
    #[inline]
    fn put(&mut self, chunk: &[u8; 8], place: u32) {
        let classes =
            chunk.iter().enumerate().fold(0, |classes, (place, byte)| classes | CLASSES[usize::from(*byte)] << place);
        let lane = |lane: u32| (classes >> (8 * lane) & 0xff) << place;
        self.words |= lane(0);
        self.digits |= lane(1);
        self.signs |= lane(2);
        self.dashes |= lane(3);
        self.dots |= lane(4);
        self.firsts |= lane(5);
    }
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The last `count` bytes (1 to 7) of `text`, followed by zeros. Reads numbers that overlap where copying would be a call.
#[inline]
fn padded(text: &[u8], count: usize) -> u64 {
    let length = text.len();
    if length >= 8 {
        return u64_at(text, length - 8) >> (8 * (8 - count));
    }
    if length >= 4 {
        let half = |at: usize| text.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        return u64::from(half(0)) | u64::from(half(length - 4)) << (8 * (length - 4));
    }
    text.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_class_at_every_place() {
        let bits = |text: &[u8], is: &dyn Fn(u8) -> bool| {
            text.iter().enumerate().fold(0u64, |bits, (place, byte)| bits | u64::from(is(*byte)) << place)
        };
        let every: Vec<u8> = (0..=255).chain(0..=255).collect();
        for start in 0..256 {
            for length in 0..=BLOCK {
                let text = &every[start..start + length];
                let expected = Block {
                    words: bits(text, &|byte| byte.is_ascii_alphanumeric()),
                    digits: bits(text, &|byte| byte.is_ascii_digit()),
                    signs: bits(text, &|byte| b"@:=+%\\\xc2\xe2\xef".contains(&byte)),
                    dashes: bits(text, &|byte| byte == b'-'),
                    dots: bits(text, &|byte| byte == b'.'),
                    firsts: bits(text, &begins_word),
                };
                assert_eq!(Block::read(text, 0), expected, "{text:?}");
                assert_eq!(Block::read(&every[..start + length], start), expected, "{text:?} behind others");
            }
        }
    }
}
