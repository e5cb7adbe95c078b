//! Edits held against the same changes made to the reference implementation's structs: sequences of them on random
//! requests, in several walks, through resources, scopes, metrics, events and nested values.

#![expect(clippy::unwrap_used, reason = "test")]

mod apply;
mod model;

use bytes::Bytes;
use pdata::edit::{Level, Walk};
use pdata::validate::{Utf8Policy, check};
use pdata::{ByteAccount, Editor, Payload, Segment, Signal};
use proptest::prelude::*;
use testkit::otlp_arbitrary::{Request, config, request};
use testkit::otlp_scramble::{Liberties, scramble};

use self::model::{Op, op};

fn sealed(editor: Editor) -> Payload {
    editor.seal()
}

/// Payload and reference of a request, encoded with liberties; in two segments to see that both are edited.
fn input(request: &Request, liberties: Liberties, seed: u64) -> (Payload, Request) {
    let signal = request.signal();
    let body = scramble(signal, &request.encode(), liberties, seed);
    let account = ByteAccount::unlimited();
    let charge = account.charge(body.len());
    let (mut payload, _) = Payload::from_body(signal, body, charge, Utf8Policy::Repair).unwrap();
    payload.append(payload.clone());
    let reference = Request::decode(signal, &payload.to_bytes()).unwrap();
    (payload, reference)
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn edits_do_what_the_same_changes_do_to_structs(
        request in request(), seed: u64, ops in prop::collection::vec(op(), 0..12), sealings in 0..3_usize,
    ) {
        let (payload, mut reference) = input(&request, Liberties::ALL, seed);
        let signal = payload.signal();
        let account = ByteAccount::unlimited();
        let mut editor = Editor::new(payload).unwrap();
        for (number, op) in ops.iter().enumerate() {
            let expected = model::apply(&mut reference, op);
            let found = apply::apply(&mut editor, op);
            prop_assert_eq!(found, expected, "{:?}", op);
            if number < sealings {
                editor = Editor::new(editor.seal()).unwrap();
            }
        }
        prop_assert_eq!(editor.items(), reference.items());
        let payload = editor.seal();
        let bytes = payload.to_bytes();
        prop_assert_eq!(Request::decode(signal, &bytes).unwrap(), reference);
        prop_assert_eq!(check(signal, &bytes).map(u64::from), Ok(payload.items()));
        for segment in payload.segments() {
            prop_assert_eq!(check(signal, segment.bytes()), Ok(segment.items()));
        }
        drop((payload, bytes));
        prop_assert_eq!(account.held(), 0);
    }

    #[test]
    fn reading_and_writing_what_is_there_already_changes_no_byte(request in request(), seed: u64) {
        let liberties = Liberties { long_varints: false, ..Liberties::CANONICAL };
        let (payload, _) = input(&request, liberties, seed);
        let mut editor = Editor::new(payload.clone()).unwrap();
        apply::touch_everything(&mut editor);
        prop_assert!(!editor.is_changed());
        let sealed = sealed(editor);
        prop_assert_eq!(sealed.segments().len(), payload.segments().len());
        for (before, after) in payload.segments().iter().zip(sealed.segments()) {
            prop_assert_eq!(before.bytes().as_ptr(), after.bytes().as_ptr());
            prop_assert_eq!(before.items(), after.items());
        }
    }

    #[test]
    fn unknown_fields_stay_unless_removed(request in request(), seed: u64) {
        let signal = request.signal();
        let liberties = Liberties { duplicates: false, ..Liberties::ALL };
        let (payload, reference) = input(&request, liberties, seed);
        let before = apply::unknown_fields(signal, &payload.to_bytes());
        let mut editor = Editor::new(payload).unwrap();
        apply::open_everything(&mut editor);
        let mut sealed_once = sealed(editor);
        prop_assert_eq!(apply::unknown_fields(signal, &sealed_once.to_bytes()), before);
        let mut editor = Editor::new(std::mem::replace(&mut sealed_once, Payload::empty(signal))).unwrap();
        let mut removed = 0;
        let requests: Vec<_> = editor.requests().collect();
        for request in requests {
            removed += editor.remove_unknown(request);
        }
        let mut walk = Walk::new(&editor, Level::Groups);
        while let Some(place) = walk.next(&mut editor) {
            removed += editor.remove_unknown_below(place.at());
        }
        prop_assert_eq!(u64::from(removed) > 0, before > 0);
        let bytes = sealed(editor).to_bytes();
        prop_assert_eq!(apply::unknown_fields(signal, &bytes), 0);
        prop_assert_eq!(Request::decode(signal, &bytes).unwrap(), reference);
    }
}

#[test]
fn segments_without_a_change_leave_as_they_came() {
    let request = |name: &str| {
        let span = opentelemetry_proto::tonic::trace::v1::Span { name: name.to_owned(), ..Default::default() };
        Bytes::from(model::traces(vec![span]).encode())
    };
    let (first, second) = (request("first"), request("second"));
    let account = ByteAccount::unlimited();
    let segments = [Segment::charged(first.to_vec(), 1, Some(&account)), Segment::trusted(second.clone(), 1)];
    let payload = Payload::from_segments(Signal::Traces, segments);
    let mut editor = Editor::new(payload).unwrap();
    let mut walk = Walk::items(&editor);
    let place = walk.next(&mut editor).unwrap();
    let span = editor.open(place.at()).unwrap();
    editor.attributes(span).upsert("k", pdata::edit::Value::Int(1)).unwrap();
    let sealed = editor.seal();
    let [edited, untouched] = sealed.segments() else { panic!("two segments") };
    assert_eq!(untouched.bytes().as_ptr(), second.as_ptr());
    assert_ne!(edited.bytes(), &first);
    assert_eq!(account.held(), edited.bytes().len(), "new bytes are charged, right-sized");
}

#[test]
fn op_type_is_covered() {
    // Every kind of operation must find something to do in the generated requests, or the comparison above is empty.
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
    let mut runner =
        TestRunner::new_with_rng(ProptestConfig::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut effective = std::collections::BTreeMap::new();
    for _ in 0..2000 {
        let request = request().new_tree(&mut runner).unwrap().current();
        let op: Op = op().new_tree(&mut runner).unwrap().current();
        let mut changed = request.clone();
        model::apply(&mut changed, &op);
        *effective.entry(op.name()).or_insert(0) += u32::from(changed != request);
    }
    assert!(effective.len() == Op::NAMES.len() && effective.values().all(|count| *count > 0), "{effective:?}");
}
