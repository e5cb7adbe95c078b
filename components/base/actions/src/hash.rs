//! Hashed values.

use pdata::EditError;
use pdata::edit::{Attribute, Value};
use sha2::{Digest, Sha256};

/// Replaces a value by the SHA-256 of its bytes in lower-case hexadecimal. Numbers are their eight bytes, little-endian,
/// flags one byte. Of an empty text, and of values of other types, nothing is left but an empty text.
pub(crate) fn hash(attribute: &mut Attribute<'_>) -> Result<(), EditError> {
    let value = attribute.value();
    let digest = match value.str_bytes() {
        Some([]) => None,
        Some(text) => Some(Sha256::digest(text)),
        None => match value.get() {
            Value::Bool(truth) => Some(Sha256::digest([u8::from(truth)])),
            Value::Int(int) => Some(Sha256::digest(int.to_le_bytes())),
            Value::Double(double) => Some(Sha256::digest(double.to_le_bytes())),
            _ => None,
        },
    };
    let Some(digest) = digest else { return attribute.set(Value::Str("")).map(|_| ()) };
    let mut hex = [0; 64];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    let hex = std::str::from_utf8(&hex).expect("digits are ASCII");
    attribute.set(Value::Str(hex)).map(|_| ())
}

#[inline]
fn digit(half: u8) -> u8 {
    // '0' to '9', then 'a' to 'f', without a branch.
    half + b'0' + u8::from(half > 9) * (b'a' - b'9' - 1)
}
