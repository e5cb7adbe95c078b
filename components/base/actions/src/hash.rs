//! Hashed values.

use pdata::EditError;
use pdata::edit::{Attribute, Value, ValueRef};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// The hash's state before the first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// The longest message, in bytes, that fits one block with its padding.
const ONE_BLOCK_MAX: usize = 55;

/// Replaces a value by the SHA-256 of its bytes in lower-case hexadecimal. Numbers are their eight bytes, little-endian,
/// flags one byte. Of values of other types nothing is left but an empty text.
pub(crate) fn hash(attribute: &mut Attribute<'_>) -> Result<(), EditError> {
    let hex = hex_of(attribute.value());
    let text = hex.as_ref().map_or("", |hex| std::str::from_utf8(hex).expect("digits are ASCII"));
    attribute.set(Value::Str(text)).map(|_| ())
}

/// The digits for a value; `None` for values that have no bytes to hash.
pub(crate) fn hex_of(value: ValueRef<'_>) -> Option<[u8; 64]> {
    let digest = match value.str_bytes() {
        Some(text) => sha256(text),
        None => match value.get() {
            Value::Bool(truth) => sha256(&[u8::from(truth)]),
            Value::Int(int) => sha256(&int.to_le_bytes()),
            Value::Double(double) => sha256(&double.to_le_bytes()),
            _ => return None,
        },
    };
    let mut hex = [0; 64];
    for (text, word) in hex.as_chunks_mut::<8>().0.iter_mut().zip(digest) {
        *text = digits(word);
    }
    Some(hex)
}

/// The eight words of a SHA-256. What is hashed is mostly short: one block, which is padded here, without a buffer.
fn sha256(message: &[u8]) -> [u32; 8] {
    if message.len() > ONE_BLOCK_MAX {
        let digest = Sha256::digest(message);
        let (words, _) = digest.as_chunks::<4>();
        return std::array::from_fn(|word| words.get(word).map_or(0, |word| u32::from_be_bytes(*word)));
    }
    // Filled where it is read: copying it would wait for these small writes.
    let mut blocks = [[0; 64]];
    let [block] = &mut blocks;
    let (content, padding) = block.split_at_mut(message.len());
    content.copy_from_slice(message);
    if let [end, ..] = padding {
        *end = 0x80;
    }
    if let Some(length) = block.last_chunk_mut() {
        *length = (message.len() as u64 * 8).to_be_bytes();
    }
    let mut words = START;
    compress256(&mut words, &blocks);
    words
}

/// Eight hexadecimal digits, all at once in a register: what reads the text would wait for small writes.
#[inline]
fn digits(word: u32) -> [u8; 8] {
    // One half-byte in each byte, the highest one last.
    let spread = u64::from(word);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // From 10 on, letters: adding 6 carries into the other half.
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_messages_hash_as_long_ones_do() {
        let message: Vec<u8> = (0..=200).collect();
        for len in 0..=message.len() {
            let mut text = String::new();
            for word in sha256(&message[..len]) {
                text.push_str(std::str::from_utf8(&digits(word)).unwrap());
            }
            let expected: String = Sha256::digest(&message[..len]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text, expected, "{len} bytes");
        }
    }
}
