//! Cases of edits that a random sequence is unlikely to meet. The comparison with the reference implementation is in
//! `tests/edit.rs`.
use std::sync::Arc;

use super::{Attribute, EditError, Editor, Level, Msg, OpenBatch, Scalar, Value, ValueBuf, Walk};
use crate::schema::{KEY_VALUE, Label, MESSAGES};
use crate::validate::check;
use crate::wire::{put_len, put_varint_field};
use crate::{Batch, ByteAccount, Context, Ledger, Outcome, Payload, Segment, Signal};

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

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, number, content);
    out
}

fn pair(key: &str, value: Value<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    value.encode(&mut content);
    [field(1, key.as_bytes()), field(2, &content)].concat()
}

/// A request of log records with these fields, in one scope of one resource.
fn logs(records: &[Vec<u8>]) -> Editor {
    let records: Vec<u8> = records.iter().flat_map(|record| field(2, record)).collect();
    let request = field(1, &field(2, &records));
    let items = check(Signal::Logs, &request).unwrap();
    let segment = Segment::trusted(request.into(), items);
    Editor::new(Payload::from_segments(Signal::Logs, [segment])).unwrap()
}

fn sealed(editor: Editor) -> Payload {
    let payload = editor.seal();
    assert_eq!(check(Signal::Logs, &payload.to_bytes()).map(u64::from), Ok(payload.items()));
    payload
}

fn first(editor: &mut Editor) -> Msg {
    let place = Walk::items(editor).next(editor).unwrap();
    editor.open(place.at()).unwrap()
}

#[test]
fn deleting_and_hashing_reach_every_duplicate_and_reading_takes_the_first() {
    // A sender puts the same key twice; a redaction that saw one of them would let the other through.
    let twice = [field(6, &pair("user", Value::Str("ann"))), field(6, &pair("user", Value::Str("bob")))].concat();
    let mut editor = logs(&[twice.clone(), twice.clone(), twice]);
    let mut walk = Walk::items(&editor);
    let deleted = walk.next(&mut editor).unwrap();
    let deleted = editor.open(deleted.at()).unwrap();
    assert_eq!(editor.attributes(deleted).get("user").unwrap().get(), Value::Str("ann"));
    assert_eq!(editor.attributes(deleted).delete("user"), 2);
    let written = walk.next(&mut editor).unwrap();
    let written = editor.open(written.at()).unwrap();
    editor.attributes(written).update("user", Value::Str("***")).unwrap();
    let visited = walk.next(&mut editor).unwrap();
    let visited = editor.open(visited.at()).unwrap();
    let mut seen = 0;
    let hash = |attribute: &mut Attribute<'_>| {
        seen += 1;
        attribute.set(Value::Str("###")).map(|_| ())
    };
    editor.attributes(visited).for_each(hash).unwrap();
    assert_eq!(seen, 2);
    let bytes = sealed(editor).to_bytes();
    for name in ["ann", "bob"] {
        assert!(!bytes.windows(3).any(|window| window == name.as_bytes()), "{name} is still there");
    }
    assert_eq!(bytes.windows(3).filter(|window| window == b"***").count(), 1);
    assert_eq!(bytes.windows(3).filter(|window| window == b"###").count(), 2);
}

#[test]
fn writes_to_the_resource_are_seen_from_the_following_items() {
    let mut editor = logs(&[Vec::new(), Vec::new(), Vec::new()]);
    let mut walk = Walk::items(&editor);
    let mut seen = Vec::new();
    while let Some(place) = walk.next(&mut editor) {
        let resource = editor.resource(place.group().unwrap()).unwrap();
        let before = match editor.attributes(resource).get("count").map(|value| value.get()) {
            Some(Value::Int(count)) => count,
            _ => 0,
        };
        seen.push(before);
        editor.attributes(resource).upsert("count", Value::Int(before + 1)).unwrap();
    }
    assert_eq!(seen, [0, 1, 2]);
    sealed(editor);
}

#[test]
fn places_stay_valid_while_fields_are_added_before_and_after() {
    let mut editor = logs(&[field(6, &pair("k", Value::Int(0))), Vec::new()]);
    let record = first(&mut editor);
    let place = editor.attributes(record).find("k").unwrap();
    let value = editor.attributes(record).open("k").unwrap();
    for number in 0..100 {
        editor.attributes(record).insert(&format!("new{number}"), Value::Int(number)).unwrap();
    }
    editor.set_value(value, Value::Str("still")).unwrap();
    assert_eq!(editor.attribute(place).value().get(), Value::Str("still"));
    assert_eq!(editor.attributes(record).len(), 101);
    sealed(editor);
}

#[test]
fn reading_takes_no_lasting_memory_and_loses_no_place_around() {
    let record = field(6, &pair("k", Value::Int(0)));
    let mut editor = logs(&vec![record; 1000]);
    let before = editor.slots.len();
    let mut walk = Walk::items(&editor);
    let mut most = 0;
    while let Some(place) = walk.next(&mut editor) {
        let record = editor.open(place.at()).unwrap();
        assert!(editor.attributes(record).contains("k"));
        most = most.max(editor.slots.len());
    }
    assert!(most < before + 1010, "{most} slots for 1000 records that are fields themselves");
    assert_eq!(editor.slots.len(), before);
    assert!(!editor.is_changed());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut editor = logs(&[field(9, &[1; 16])]);
    let record = first(&mut editor);
    for (number, value, expected) in [
        (9, Scalar::Bytes(&[1; 8]), EditError::IdLength { found: 8, expected: 16 }),
        (10, Scalar::Bytes(&[1; 9]), EditError::IdLength { found: 9, expected: 8 }),
        (2, Scalar::Uint(1 << 31), EditError::Range),
        (1, Scalar::Int(-1), EditError::Range),
        (8, Scalar::Uint(1 << 32), EditError::Range),
        (3, Scalar::Int(1), EditError::Field),
        (4, Scalar::Str("no such field"), EditError::Field),
        (5, Scalar::Str("a message"), EditError::Field),
        (6, Scalar::Str("a list"), EditError::Field),
        (99, Scalar::Uint(1), EditError::Field),
    ] {
        assert_eq!(editor.set(record, number, value), Err(expected), "{number}");
    }
    assert_eq!(editor.push(record, 3, Scalar::Str("no list")), Err(EditError::Field));
    assert_eq!(editor.add(record, 3), Err(EditError::Field));
    let group = editor.first(editor.requests().next().unwrap(), 1).and_then(|at| editor.open(at)).unwrap();
    assert_eq!(editor.add(group, 2), Err(EditError::Field), "groups of items are not made by edits");
    assert_eq!(editor.set_value(record, Value::Empty), Err(EditError::Field));
    assert_eq!(editor.attributes(group).insert("k", Value::Empty), Err(EditError::Field));
    assert!(!editor.is_changed());
}

#[test]
fn nesting_stops_where_validation_does() {
    let mut editor = logs(&[Vec::new()]);
    let record = first(&mut editor);
    let mut value = editor.sub_or_add(record, 5).unwrap();
    let refused = loop {
        let inner = editor.sub_or_add(value, 5).and_then(|list| editor.add(list, 1));
        match inner {
            Ok(inner) => value = inner,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, EditError::Depth);
    editor.set_value(value, Value::Int(1)).unwrap();
    let list = ValueBuf::list([Value::Int(1).into()]).unwrap();
    assert_eq!(editor.set_value(value, list.value()), Err(EditError::Depth));
    let mut deep = ValueBuf::default();
    let too_deep = loop {
        match ValueBuf::list([deep]) {
            Ok(list) => deep = list,
            Err(error) => break error,
        }
    };
    assert_eq!(too_deep, EditError::Depth);
    sealed(editor);
}

#[test]
fn segments_that_lose_all_their_items_are_dropped() {
    let mut editor = logs(&[Vec::new(), Vec::new()]);
    let mut walk = Walk::items(&editor);
    while let Some(place) = walk.next(&mut editor) {
        assert!(editor.remove(place.at()));
        assert!(!editor.remove(place.at()), "an item is removed once");
    }
    assert_eq!(editor.items(), 0);
    assert!(sealed(editor).segments().is_empty());
}

#[test]
fn a_value_replaced_keeps_unknown_fields_of_its_attribute() {
    let mut attribute = pair("k", Value::Int(1));
    put_varint_field(&mut attribute, 99, 7);
    let mut editor = logs(&[field(6, &attribute)]);
    let record = first(&mut editor);
    assert!(editor.attributes(record).upsert("k", Value::Str("new")).unwrap());
    assert!(editor.attributes(record).rename("k", "l").unwrap() == 1);
    let bytes = sealed(editor).to_bytes();
    let mut unknown = Vec::new();
    put_varint_field(&mut unknown, 99, 7);
    assert!(bytes.windows(unknown.len()).any(|window| window == unknown));
    assert!(bytes.windows(3).any(|window| window == b"new"));
}

#[test]
fn a_batch_goes_through_the_row_with_its_context_and_its_books() {
    let ledger = Ledger::new();
    let account = ledger.account(&"logs".into(), Signal::Logs, "");
    let bytes = ByteAccount::unlimited();
    let request = sealed(logs(&[Vec::new(), Vec::new(), Vec::new()])).to_bytes().to_vec();
    let payload = Payload::from_segments(Signal::Logs, [Segment::charged(request, 3, Some(&bytes))]);
    let batch = Batch::from_parts(payload, Arc::new(Context::default()), account.receive(3));
    let context = Arc::clone(batch.context());
    let mut open = OpenBatch::new(batch).unwrap();
    let mut walk = Walk::items(open.editor());
    walk.next(open.editor_mut()).unwrap();
    let second = walk.next(open.editor_mut()).unwrap();
    open.editor_mut().remove(second.at());
    open.stake_mut().settle_range(1, 1, Outcome::Dropped("test"));
    let batch = open.seal();
    assert_eq!((batch.items(), batch.stake().items()), (2, 2));
    assert!(Arc::ptr_eq(batch.context(), &context));
    assert_eq!(bytes.held(), batch.encoded_len());
    batch.settle(Outcome::Delivered);
    let totals = account.read();
    assert_eq!((totals.delivered, totals.difference()), (2, 0));
}

#[test]
fn a_walk_says_what_it_entered_for_each_place() {
    // Two requests. The first: a group of two scopes (two records, one record), an empty group, a group of one record.
    let record = || field(2, &field(6, &pair("k", Value::Int(1))));
    let scope = |records: usize| field(2, &record().repeat(records));
    let groups = [[scope(2), scope(1)].concat(), Vec::new(), scope(1)];
    let request: Vec<u8> = groups.iter().flat_map(|group| field(1, group)).collect();
    let segment = |items| Segment::trusted(request.clone().into(), items);
    let mut editor = Editor::new(Payload::from_segments(Signal::Logs, [segment(4), segment(4)])).unwrap();
    let mut entered = |level| {
        let mut walk = Walk::new(&editor, level);
        let mut entered = Vec::new();
        while let Some(place) = walk.next(&mut editor) {
            entered.push(place.entered());
        }
        entered
    };
    let group = Some(Level::Groups);
    assert_eq!(entered(Level::Items), [group, None, Some(Level::Scopes), group].repeat(2));
    assert_eq!(entered(Level::Scopes), [group, None, group].repeat(2));

    let point = field(1, &field(7, &pair("k", Value::Int(1))));
    let metric = |points: usize| field(2, &field(5, &point.repeat(points)));
    let request = field(1, &field(2, &[metric(2), metric(0), metric(1)].concat()));
    let segment = Segment::trusted(request.into(), 3);
    let mut editor = Editor::new(Payload::from_segments(Signal::Metrics, [segment])).unwrap();
    let mut walk = Walk::items(&editor);
    let mut entered = Vec::new();
    while let Some(place) = walk.next(&mut editor) {
        entered.push(place.entered());
    }
    assert_eq!(entered, [group, None, Some(Level::Metrics)]);
}

#[test]
fn every_attribute_of_a_key_is_found_in_turn() {
    let keys = ["a", "b", "a", "ab", "a"];
    let record: Vec<u8> =
        keys.iter().enumerate().flat_map(|(n, key)| field(6, &pair(key, Value::Int(n as i64)))).collect();
    let mut editor = logs(&[record]);
    let record = first(&mut editor);
    let mut found = Vec::new();
    let mut next = editor.attributes(record).find("a");
    while let Some(at) = next {
        if let Value::Int(number) = editor.attribute(at).value().get() {
            found.push(number);
        }
        next = editor.attributes(record).find_next("a", at);
    }
    assert_eq!(found, [0, 2, 4]);
    let second = editor.attributes(record).find("b").unwrap();
    assert_eq!(editor.attributes(record).find_next("c", second), None);
}

#[test]
fn attributes_are_found_whatever_form_they_have() {
    // A long key, a key behind its value, an empty key, and one that has been opened.
    let long = "k".repeat(200);
    let mut value = Vec::new();
    Value::Int(7).encode(&mut value);
    let behind = [field(2, &value), field(1, b"behind")].concat();
    let pairs = [pair(&long, Value::Int(1)), behind, pair("", Value::Int(3)), pair("opened", Value::Int(4))];
    let record: Vec<u8> = pairs.iter().flat_map(|pair| field(6, pair)).collect();
    let mut editor = logs(&[record]);
    let record = first(&mut editor);
    let opened = editor.attributes(record).open("opened").unwrap();
    editor.set(opened, 3, Scalar::Int(5)).unwrap();
    for (key, expected) in [(long.as_str(), 1), ("behind", 7), ("", 3), ("opened", 5)] {
        assert_eq!(editor.attributes(record).get(key).unwrap().get(), Value::Int(expected), "{key}");
        assert_eq!(editor.attributes(record).delete(key), 1, "{key}");
        assert!(!editor.attributes(record).contains(key));
    }
}
