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
