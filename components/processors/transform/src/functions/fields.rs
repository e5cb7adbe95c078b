//! Copying messages field by field.

use pdata::wire::{FIXED64, Fields, GROUP_START, LEN, RawField, put_len, put_tag};

/// The content of a field: without its length if it has one.
pub(super) fn content<'a>(message: &'a [u8], field: &RawField) -> &'a [u8] {
    message.get(field.value.clone()).unwrap_or_default()
}

/// Tag, length and content of a field.
pub(super) fn whole<'a>(message: &'a [u8], field: &RawField) -> &'a [u8] {
    message.get(field.start..field.end).unwrap_or_default()
}

/// Appends the fields that are not of these numbers.
pub(super) fn copy_without(message: &[u8], numbers: &[u32], out: &mut Vec<u8>) {
    for field in Fields::new(message).filter(|field| !numbers.contains(&field.number)) {
        out.extend_from_slice(whole(message, &field));
    }
}

/// Appends the fields of one number, under another one.
pub(super) fn copy_as(message: &[u8], number: u32, other: u32, out: &mut Vec<u8>) {
    for field in Fields::new(message).filter(|field| field.number == number) {
        put_field(out, other, field.wire_type, content(message, &field));
    }
}

/// Appends a field with that content, which has no length yet. Groups, which OTLP does not have, are left out.
pub(super) fn put_field(out: &mut Vec<u8>, number: u32, wire_type: u8, content: &[u8]) {
    match wire_type {
        LEN => put_len(out, number, content),
        GROUP_START => {}
        wire_type => {
            put_tag(out, number, wire_type);
            out.extend_from_slice(content);
        }
    }
}

/// Appends the data points (field 1) of a metric's data.
pub(super) fn copy_points(data: &[u8], out: &mut Vec<u8>) {
    copy_as(data, 1, 1, out);
}

/// Appends a submessage.
pub(super) fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    put_len(out, number, &content);
}

/// Appends a packed list of numbers of 64 bits; nothing if it is empty.
pub(super) fn put_fixed_list(out: &mut Vec<u8>, number: u32, values: impl IntoIterator<Item = u64>) {
    let mut content = Vec::new();
    for value in values {
        content.extend_from_slice(&value.to_le_bytes());
    }
    if !content.is_empty() {
        put_len(out, number, &content);
    }
}

/// Changes a number of 64 bits, or each number of a packed list of them, where it is.
pub(super) fn patch(message: &mut [u8], field: &RawField, change: impl Fn(u64) -> u64) {
    if matches!(field.wire_type, FIXED64 | LEN)
        && let Some(numbers) = message.get_mut(field.value.clone())
    {
        for number in numbers.chunks_exact_mut(8) {
            let mut bits = [0; 8];
            bits.copy_from_slice(number);
            number.copy_from_slice(&change(u64::from_le_bytes(bits)).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdata::wire::{put_fixed64, put_varint_field};

    #[test]
    fn fields_are_copied_whatever_they_are() {
        let mut message = Vec::new();
        put_varint_field(&mut message, 1, 300);
        put_fixed64(&mut message, 2, 7);
        put_len(&mut message, 3, b"abc");
        put_varint_field(&mut message, 1, 5);
        let mut copy = Vec::new();
        copy_without(&message, &[2], &mut copy);
        let numbers: Vec<u32> = Fields::new(&copy).map(|field| field.number).collect();
        assert_eq!(numbers, [1, 3, 1]);
        let mut other = Vec::new();
        copy_as(&message, 1, 20, &mut other);
        copy_as(&message, 3, 21, &mut other);
        copy_as(&message, 2, 22, &mut other);
        let mut expected = Vec::new();
        put_varint_field(&mut expected, 20, 300);
        put_varint_field(&mut expected, 20, 5);
        put_len(&mut expected, 21, b"abc");
        put_fixed64(&mut expected, 22, 7);
        assert_eq!(other, expected);
    }
}
