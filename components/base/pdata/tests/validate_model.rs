//! The validating walk and the canonical rewriting held against the reference implementation, on random requests, on
//! other encodings of them, and on damaged ones.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use pdata::schema::{self, Label, Message};
use pdata::validate::{Problem, check, validate};
use pdata::wire::{self, Fields};
use pdata::{Signal, Utf8Policy};
use proptest::prelude::*;
use testkit::otlp_arbitrary::{Request, config, request};
use testkit::otlp_scramble::{Liberties, scramble};

/// Damage to bytes: where (modulo the length), how, and with what.
fn damage() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), 0..4_u8, any::<u8>()), 1..4)
}

fn apply(bytes: &mut Vec<u8>, damage: &[(usize, u8, u8)]) {
    for &(at, how, byte) in damage {
        if bytes.is_empty() {
            return;
        }
        let at = at % bytes.len();
        match how {
            0 => bytes[at] ^= 1 << (byte % 8),
            1 => bytes[at] = byte,
            2 => bytes.insert(at, byte),
            _ => drop(bytes.drain(at..(at + usize::from(byte % 16)).min(bytes.len()))),
        }
    }
}

/// Asserts that validation and reference implementation accept the same bytes, apart from what only validation asks for.
fn agrees(signal: Signal, bytes: &[u8]) -> Result<(), TestCaseError> {
    let reference = Request::decode(signal, bytes);
    let mut body = bytes.to_vec();
    match validate(signal, &mut body, Utf8Policy::Refuse) {
        Ok(validated) => {
            let reference = reference.map_err(|error| TestCaseError::fail(format!("accepted, but: {error}")))?;
            prop_assert_eq!(validated.repairs.utf8_strings, 0);
            prop_assert_eq!(u64::from(validated.items), reference.items());
            prop_assert!(validated.repairs.rewritten || body == bytes);
        }
        Err(invalid) => match invalid.problem() {
            Problem::IdLength { found, expected } => {
                let field = wire::read_field(bytes, invalid.offset()).unwrap();
                prop_assert_eq!(field.value.len(), *found);
                prop_assert!(found != expected && *found != 0);
                prop_assert!(invalid.path().ends_with("_id"), "{}", invalid);
            }
            _ => prop_assert!(reference.is_err(), "refused, but the reference accepts: {}", invalid),
        },
    }
    // Under repair: whatever is accepted decodes afterwards.
    let mut body = bytes.to_vec();
    if let Ok(validated) = validate(signal, &mut body, Utf8Policy::Repair) {
        let reference = Request::decode(signal, &body);
        prop_assert!(reference.is_ok(), "{:?}", reference);
        prop_assert_eq!(check(signal, &body), Ok(validated.items));
    }
    Ok(())
}

/// No singular field, and no oneof, is given twice.
fn is_canonical(table: &'static Message, message: &[u8]) -> bool {
    let mut seen = Vec::new();
    Fields::new(message).all(|raw| {
        let Some(field) = table.field(raw.number) else { return true };
        let slot = match field.label {
            Label::Repeated => None,
            Label::OneOf => Some(0),
            Label::Singular | Label::Optional => Some(field.number),
        };
        let first = slot.is_none_or(|slot| !seen.contains(&slot));
        seen.extend(slot);
        first && field.kind.message().is_none_or(|inner| is_canonical(inner, &message[raw.value]))
    })
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn requests_pass_unchanged_and_are_counted(request in request()) {
        let bytes = request.encode();
        let mut body = bytes.clone();
        let validated = validate(request.signal(), &mut body, Utf8Policy::Refuse).unwrap();
        prop_assert_eq!(u64::from(validated.items), request.items());
        prop_assert_eq!(validated.repairs, pdata::Repairs::default());
        prop_assert_eq!(&body, &bytes);
        prop_assert_eq!(check(request.signal(), &bytes), Ok(validated.items));
    }

    #[test]
    fn other_legal_encodings_pass_unchanged(request in request(), seed: u64) {
        let bytes = scramble(request.signal(), &request.encode(), Liberties::CANONICAL, seed);
        let mut body = bytes.clone();
        let validated = validate(request.signal(), &mut body, Utf8Policy::Refuse).unwrap();
        prop_assert_eq!(u64::from(validated.items), request.items());
        prop_assert!(!validated.repairs.rewritten);
        prop_assert_eq!(&body, &bytes);
    }

    #[test]
    fn ambiguous_encodings_are_rewritten_to_the_same_value(request in request(), seed: u64) {
        let signal = request.signal();
        let mut body = scramble(signal, &request.encode(), Liberties::ALL, seed);
        let ambiguous = !is_canonical(schema::request(signal), &body);
        let validated = validate(signal, &mut body, Utf8Policy::Refuse).unwrap();
        prop_assert_eq!(validated.repairs.rewritten, ambiguous);
        prop_assert_eq!(u64::from(validated.items), request.items());
        prop_assert!(is_canonical(schema::request(signal), &body));
        prop_assert_eq!(Request::decode(signal, &body).unwrap(), request);
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn damaged_requests_are_accepted_where_the_reference_accepts_them(request in request(), damage in damage()) {
        let mut bytes = request.encode();
        apply(&mut bytes, &damage);
        agrees(request.signal(), &bytes)?;
    }

    #[test]
    fn damaged_other_encodings_too(request in request(), seed: u64, damage in damage()) {
        let mut bytes = scramble(request.signal(), &request.encode(), Liberties::ALL, seed);
        apply(&mut bytes, &damage);
        agrees(request.signal(), &bytes)?;
    }

    #[test]
    fn any_bytes_are_accepted_where_the_reference_accepts_them(
        signal in prop::sample::select(Signal::ALL.to_vec()),
        bytes in prop::collection::vec(prop_oneof![0..40_u8, any::<u8>()], 0..40),
    ) {
        agrees(signal, &bytes)?;
    }
}

proptest! {
    #![proptest_config(config(30))]

    #[test]
    fn requests_cut_at_every_byte_are_refused_unless_a_field_ends_there(request in request()) {
        let bytes = request.encode();
        let ends: Vec<usize> = Fields::new(&bytes).map(|field| field.end).collect();
        for cut in 1..bytes.len() {
            let accepted = check(request.signal(), &bytes[..cut]).is_ok();
            prop_assert_eq!(accepted, ends.contains(&cut));
        }
    }
}
