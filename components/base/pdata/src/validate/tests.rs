//! What only the inside can test; the rest is in `tests/validate.rs` and `tests/validate_model.rs`.
use super::*;

#[test]
fn ascii_check_agrees_with_std() {
    for len in 0..40 {
        for bad in 0..=len {
            let mut text = vec![b'a'; len];
            if let Some(byte) = text.get_mut(bad) {
                *byte = 0x80;
            }
            assert_eq!(is_ascii(&text), text.is_ascii(), "{len} {bad}");
        }
    }
}

#[test]
fn repair_replaces_each_bad_byte_and_keeps_the_length() {
    for (text, repaired) in [
        (&b"ok"[..], &b"ok"[..]),
        (b"cut \xe2\x82", b"cut ??"),
        (b"\xff\xfe\xc3\xa4!", b"??\xc3\xa4!"),
        (b"\xf0\x9f\x98x", b"???x"),
    ] {
        let mut text = text.to_vec();
        repair_utf8(&mut text);
        assert_eq!(text, repaired);
    }
}

/// A span with these attributes: texts have three bytes, of which the one at a place in the row of all texts is none of UTF-8.
fn span_with(kinds: &[char], bad: usize) -> Vec<u8> {
    use crate::wire::{put_fixed64, put_len, put_varint_field};

    let (mut text_number, mut span) = (0, Vec::new());
    let mut text = || {
        text_number += 1;
        if text_number == bad + 1 { *b"a\xffb" } else { *b"abc" }
    };
    for kind in kinds {
        let (mut pair, mut value) = (Vec::new(), Vec::new());
        put_len(&mut pair, 1, &text());
        match kind {
            't' => put_len(&mut value, 1, &text()),
            'i' => put_varint_field(&mut value, 3, u64::MAX),
            'd' => put_fixed64(&mut value, 4, u64::MAX),
            _ => put_varint_field(&mut value, 2, 1),
        }
        put_len(&mut pair, 2, &value);
        put_len(&mut span, 9, &pair);
    }
    let mut request = span;
    for number in [2, 2, 1] {
        let inner = std::mem::take(&mut request);
        put_len(&mut request, number, &inner);
    }
    request
}

#[test]
fn no_text_of_attributes_is_overlooked() {
    for kinds in ["t", "i", "d", "b", "tt", "ti", "it", "id", "titdtb", "ttt", "iiit", "bttdi"] {
        let kinds: Vec<char> = kinds.chars().collect();
        let texts = kinds.len() + kinds.iter().filter(|kind| **kind == 't').count();
        for bad in 0..=texts {
            let mut body = span_with(&kinds, bad);
            let found = validate(Signal::Traces, &mut body, Utf8Policy::Repair).unwrap();
            assert_eq!(found.repairs.utf8_strings, u64::from(bad < texts), "{kinds:?} {bad}");
            let expected: Vec<u8> = span_with(&kinds, bad);
            let at = expected.windows(3).position(|three| three == b"a\xffb").map(|at| at + 1);
            let differs: Vec<usize> = (0..body.len()).filter(|at| body[*at] != expected[*at]).collect();
            assert_eq!(differs, at.into_iter().collect::<Vec<_>>(), "{kinds:?} {bad}");
        }
    }
}

#[test]
fn short_cuts_change_nothing_about_fields_given_twice() {
    use crate::wire::{put_fixed64, put_len};

    for (number, fixed) in [(1, false), (2, false), (3, false), (5, false), (7, true)] {
        let mut request = Vec::new();
        for byte in [b'a', b'b'] {
            let len = match number {
                1 => 16,
                2 => 8,
                _ => 3,
            };
            if fixed {
                put_fixed64(&mut request, number, u64::from(byte));
            } else {
                put_len(&mut request, number, &vec![byte; len]);
            }
        }
        for number in [2, 2, 1] {
            let inner = std::mem::take(&mut request);
            put_len(&mut request, number, &inner);
        }
        let found = validate(Signal::Traces, &mut request, Utf8Policy::Repair).unwrap();
        assert!(found.repairs.rewritten, "{number}");
        assert!(!request.contains(&b'a') && request.contains(&b'b'), "{number}: the last one counts");
    }
}
