//! Cases of edits that a random sequence is unlikely to meet. The comparison with the reference implementation is in
//! `tests/edit.rs`.
use crate::schema::{KEY_VALUE, Label, MESSAGES};

#[test]
fn attributes_field_is_told_by_the_type_of_its_values() {
    for message in MESSAGES {
        let lists: Vec<u32> = message
            .fields
            .iter()
            .filter(|field| field.label == Label::Repeated)
            .filter(|field| field.kind.message().is_some_and(|inner| std::ptr::eq(inner, &raw const KEY_VALUE)))
            .map(|field| field.number)
            .collect();
        let expected: &[u32] = if message.attributes_number() == 0 { &[] } else { &[message.attributes_number()] };
        assert_eq!(lists, expected, "{}", message.name);
    }
}
