//! The validating walk: one refusing test per check, for every field of the schema to which it applies.
//! `validate_model.rs` holds the walk against the reference implementation.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use pdata::schema::{self, Field, Kind, Label, Message};
use pdata::validate::{BYTES_MAX, DEPTH_MAX, Problem, check, validate};
use pdata::wire::{self, FIXED32, FIXED64, LEN, Malformed, VARINT};
use pdata::{Invalid, Signal, Utf8Policy};
use testkit::otlp_arbitrary::Request;

type FieldPath = Vec<&'static Field>;

/// Every way from a request to a field, without entering a message type twice.
fn paths(signal: Signal) -> Vec<FieldPath> {
    fn walk(table: &'static Message, path: &mut FieldPath, entered: &mut Vec<&'static str>, out: &mut Vec<FieldPath>) {
        for field in table.fields {
            path.push(field);
            out.push(path.clone());
            if let Some(inner) = field.kind.message().filter(|inner| !entered.contains(&inner.name)) {
                entered.push(inner.name);
                walk(inner, path, entered, out);
                entered.pop();
            }
            path.pop();
        }
    }
    let mut out = Vec::new();
    walk(schema::request(signal), &mut Vec::new(), &mut Vec::new(), &mut out);
    out
}

fn all_paths() -> impl Iterator<Item = (Signal, FieldPath)> {
    Signal::ALL.into_iter().flat_map(|signal| paths(signal).into_iter().map(move |path| (signal, path)))
}

fn dotted(path: &[&'static Field]) -> String {
    path.iter().map(|field| field.name).collect::<Vec<_>>().join(".")
}

/// A request that consists of `field`, the encoded last field of `path`, and where in it `field` starts.
fn wrap(path: &[&'static Field], field: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = field.to_vec();
    for parent in path[..path.len() - 1].iter().rev() {
        let mut outer = Vec::new();
        wire::put_len(&mut outer, parent.number, &bytes);
        bytes = outer;
    }
    let start = bytes.len() - field.len();
    (bytes, start)
}

fn len_field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_len(&mut out, number, content);
    out
}

fn refusal(signal: Signal, bytes: &[u8]) -> Invalid {
    let mut body = bytes.to_vec();
    let invalid = validate(signal, &mut body, Utf8Policy::Refuse).unwrap_err();
    assert_eq!(body, bytes, "a refused body is unchanged");
    assert_eq!(check(signal, bytes).unwrap_err(), invalid);
    invalid
}

/// Asserts that the request is refused at `offset` in the last field of `path`.
fn refused_at(signal: Signal, path: &[&'static Field], bytes: &[u8], offset: usize, problem: &Problem) {
    let invalid = refusal(signal, bytes);
    assert_eq!(
        (invalid.path(), invalid.offset(), invalid.problem()),
        (dotted(path), offset, problem),
        "{signal} {bytes:02x?}"
    );
    let text = format!("invalid OTLP at byte {offset} in `{}`: {problem}", dotted(path));
    assert_eq!(invalid.to_string(), text);
}

fn valid_value(kind: Kind) -> Vec<u8> {
    match kind.wire_type() {
        FIXED64 => vec![0; 8],
        FIXED32 => vec![0; 4],
        VARINT => vec![1],
        _ => vec![],
    }
}

#[test]
fn every_field_refuses_every_other_wire_type() {
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        let expected = field.kind.wire_type();
        for wire_type in 0..8_u8 {
            let mut encoded = Vec::new();
            wire::put_tag(&mut encoded, field.number, wire_type);
            match wire_type {
                VARINT => encoded.push(1),
                FIXED64 => encoded.extend([0; 8]),
                FIXED32 => encoded.extend([0; 4]),
                LEN => encoded.push(0),
                wire::GROUP_START => wire::put_tag(&mut encoded, field.number, wire::GROUP_END),
                _ => {}
            }
            let (bytes, start) = wrap(&path, &encoded);
            if wire_type == expected || (wire_type == LEN && field.label == Label::Repeated) {
                assert!(check(signal, &bytes).is_ok(), "{signal} {}", dotted(&path));
                continue;
            }
            refused_at(signal, &path, &bytes, start, &Problem::WireType { found: wire_type, expected });
        }
    }
}

#[test]
fn every_id_is_of_its_length_or_empty() {
    let mut fields = 0;
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        let expected = match field.kind {
            Kind::TraceId => 16,
            Kind::SpanId => 8,
            _ => continue,
        };
        fields += 1;
        for found in 0..40 {
            let (bytes, start) = wrap(&path, &len_field(field.number, &vec![1; found]));
            if found == 0 || found == expected {
                assert!(check(signal, &bytes).is_ok());
            } else {
                refused_at(signal, &path, &bytes, start, &Problem::IdLength { found, expected });
            }
        }
    }
    // Span 3, link 2, log record 2, exemplars of gauge, sum, histogram and exponential histogram 2 each.
    assert_eq!(fields, 3 + 2 + 2 + 4 * 2);
}

#[test]
fn every_varint_field_refuses_overlong_and_cut_varints() {
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        if field.kind.wire_type() == VARINT {
            let mut value = Vec::new();
            wire::put_tag(&mut value, field.number, VARINT);
            let tag_len = value.len();
            for bad in [&[0xff; 11][..], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &[]] {
                value.truncate(tag_len);
                value.extend_from_slice(bad);
                let (bytes, start) = wrap(&path, &value);
                refused_at(signal, &path, &bytes, start, &Malformed::Varint.into());
            }
        } else if field.kind.wire_type() == LEN {
            let mut value = Vec::new();
            wire::put_tag(&mut value, field.number, LEN);
            value.extend([0xff; 11]);
            let (bytes, start) = wrap(&path, &value);
            refused_at(signal, &path, &bytes, start, &Malformed::Varint.into());
        }
    }
}

#[test]
fn every_field_refuses_to_reach_beyond_its_message() {
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        let wire_type = field.kind.wire_type();
        if wire_type == VARINT {
            continue;
        }
        let mut encoded = Vec::new();
        wire::put_tag(&mut encoded, field.number, wire_type);
        match wire_type {
            LEN => encoded.extend([3, b'a', b'b']),
            _ => encoded.extend(&valid_value(field.kind)[1..]),
        }
        let (mut bytes, start) = wrap(&path, &encoded);
        refused_at(signal, &path, &bytes, start, &Malformed::Truncated.into());
        // Bytes that follow the message do not help.
        bytes.extend([0x7a; 2]);
        if path.len() > 1 {
            refused_at(signal, &path, &bytes, start, &Malformed::Truncated.into());
        }
        if wire_type == LEN {
            let mut huge = Vec::new();
            wire::put_tag(&mut huge, field.number, LEN);
            wire::put_varint(&mut huge, u64::MAX);
            let (bytes, start) = wrap(&path, &huge);
            refused_at(signal, &path, &bytes, start, &Malformed::Truncated.into());
        }
    }
}

#[test]
fn unknown_fields_are_checked_for_form_in_every_message() {
    let cases: [(&[u8], Malformed); 8] = [
        (&[0x00, 0x01], Malformed::FieldNumber),
        (&[0x80, 0x80, 0x80, 0x80, 0x10, 0x00], Malformed::FieldNumber),
        // Field 30: wire types 6 and 7, a group's end, a group that does not end, ends otherwise, or nests without end.
        (&[0xf6, 0x01], Malformed::WireType),
        (&[0xf7, 0x01], Malformed::WireType),
        (&[0xf4, 0x01], Malformed::WireType),
        (&[0xf3, 0x01, 0x08, 0x01], Malformed::Truncated),
        (&[0xf3, 0x01, 0x1c], Malformed::WireType),
        (&[0xf2, 0x01, 0x05, 0x00], Malformed::Truncated),
    ];
    for (signal, path) in all_paths().filter(|(_, path)| path.last().unwrap().kind.message().is_some()) {
        let number = path.last().unwrap().number;
        for (unknown, problem) in &cases {
            let (bytes, start) = wrap(&path, &len_field(number, unknown));
            refused_at(signal, &path, &bytes, start + 2, &(*problem).into());
        }
        let deep = len_field(number, &[0xf3, 0x01].repeat(60));
        let (bytes, start) = wrap(&path, &deep);
        refused_at(signal, &path, &bytes, start + 2, &Malformed::Groups.into());
        let (bytes, _) = wrap(&path, &len_field(number, &[0xf3, 0x01, 0x08, 0x01, 0xf4, 0x01, 0xf0, 0x01, 0x05]));
        assert!(check(signal, &bytes).is_ok());
    }
    let at_top = refusal(Signal::Logs, &[0x00]);
    assert_eq!(
        (at_top.path(), at_top.to_string()),
        (String::new(), "invalid OTLP at byte 0: the field number is not valid".into())
    );
}

#[test]
fn packed_lists_are_whole_elements() {
    let mut lists = 0;
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        if field.label != Label::Repeated || field.kind.wire_type() == LEN {
            continue;
        }
        lists += 1;
        for found in 0..20 {
            let (bytes, start) = wrap(&path, &len_field(field.number, &vec![0x81; found]));
            match field.kind.wire_type() {
                FIXED64 if !found.is_multiple_of(8) => {
                    refused_at(signal, &path, &bytes, start, &Problem::Packed { found });
                }
                // The list of varints ends within one.
                VARINT if found > 0 => {
                    refused_at(signal, &path, &bytes, start + 2, &Malformed::Varint.into());
                }
                _ => assert!(check(signal, &bytes).is_ok()),
            }
        }
    }
    // Histogram counts and bounds, exponential buckets of both signs.
    assert_eq!(lists, 4);
}

#[test]
fn every_string_is_repaired_or_refused() {
    let mut strings = 0;
    for (signal, path) in all_paths() {
        let field = *path.last().unwrap();
        if !matches!(field.kind, Kind::String) {
            continue;
        }
        strings += 1;
        // Also longer than what the short cut for attributes takes.
        for len in [0, 100, 200] {
            let mut text = vec![b'x'; len];
            text.extend(b"caf\xc3\xa9 \xe2\x82");
            let (mut body, _) = wrap(&path, &len_field(field.number, &text));
            let at = body.len() - text.len();
            refused_at(signal, &path, &body, at, &Problem::Utf8);
            let before = body.len();
            let validated = validate(signal, &mut body, Utf8Policy::Repair).unwrap();
            assert_eq!((validated.repairs.utf8_strings, validated.repairs.rewritten), (1, false));
            assert_eq!(body.len(), before);
            assert!(body.ends_with("café ??".as_bytes()), "{signal} {}", dotted(&path));
            assert!(Request::decode(signal, &body).is_ok());
        }
    }
    assert!(strings > 50, "{strings}");
}

/// One attribute of a log record.
fn attribute(key: &[u8], value: &[u8]) -> Vec<u8> {
    let pair = [len_field(1, key), len_field(2, value)].concat();
    let path =
        paths(Signal::Logs).into_iter().find(|path| dotted(path) == "resource_logs.scope_logs.log_records.attributes");
    wrap(&path.unwrap(), &len_field(6, &pair)).0
}

#[test]
fn attributes_are_repaired_in_the_short_cut_and_outside_of_it() {
    let mut double = vec![0x21];
    double.extend(1.5_f64.to_le_bytes());
    let int = [0x18, 0x80, 0x80, 0x01];
    let high: [u8; 11] = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let list = len_field(5, &len_field(1, &len_field(1, b"x")));
    for value in [&len_field(1, b"ok")[..], &len_field(1, &[b'v'; 300]), &double, &int, &high, &[0x10, 1], &list, &[]] {
        let mut body = attribute(b"k\xff", value);
        let validated = validate(Signal::Logs, &mut body, Utf8Policy::Repair).unwrap();
        assert_eq!(validated.repairs.utf8_strings, 1, "{value:02x?}");
        assert_eq!(body, attribute(b"k?", value));
        assert_eq!(*refusal(Signal::Logs, &attribute(b"k\xff", value)).problem(), Problem::Utf8);
    }
    for key in [&b"key"[..], &[b'k'; 300]] {
        let mut body = attribute(key, &len_field(1, b"\x80v\xc3"));
        assert_eq!(validate(Signal::Logs, &mut body, Utf8Policy::Repair).unwrap().repairs.utf8_strings, 1);
        assert_eq!(body, attribute(key, &len_field(1, b"?v?")));
    }
    let mut both = attribute(b"\xff", &len_field(1, b"\xff\xff"));
    assert_eq!(validate(Signal::Logs, &mut both, Utf8Policy::Repair).unwrap().repairs.utf8_strings, 2);
    assert_eq!(both, attribute(b"?", &len_field(1, b"??")));
    // `bytes` may hold anything.
    assert_eq!(check(Signal::Logs, &attribute(b"k", &len_field(7, b"\xff\xff"))), Ok(1));
}

#[test]
fn values_outside_the_short_cut_are_refused_as_elsewhere() {
    for (value, problem) in [
        (
            &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..],
            Problem::Malformed(Malformed::Varint),
        ),
        (&[0x18, 0x80], Problem::Malformed(Malformed::Varint)),
        (&[0x18], Problem::Malformed(Malformed::Varint)),
        (&[0x10, 0x80], Problem::Malformed(Malformed::Varint)),
        (&[0x21, 0, 0, 0], Problem::Malformed(Malformed::Truncated)),
        (&[0x0a, 5, b'a'], Problem::Malformed(Malformed::Truncated)),
        (&[0x22, 0], Problem::WireType { found: LEN, expected: FIXED64 }),
        (&[0x00], Problem::Malformed(Malformed::FieldNumber)),
    ] {
        let invalid = refusal(Signal::Logs, &attribute(b"key", value));
        assert_eq!(*invalid.problem(), problem, "{value:02x?}");
        assert!(invalid.path().starts_with("resource_logs.scope_logs.log_records.attributes.value"), "{invalid}");
    }
}

/// A log request with messages nested to exactly `levels` below the request; the innermost is an attribute as SDKs
/// write it (which takes two levels) or an empty value.
fn nested(levels: u32, attribute_inside: bool) -> Vec<u8> {
    let plain = [len_field(1, b"k"), len_field(2, &len_field(1, b"v"))].concat();
    // Levels of the innermost message and what is in it.
    let (mut bytes, mut level) = if attribute_inside {
        // KeyValue and AnyValue in a KeyValueList at `levels - 2`.
        (len_field(1, &plain), levels - 2)
    } else {
        (Vec::new(), levels)
    };
    // AnyValue at even levels from 4 on (the body), lists at odd ones.
    let mut innermost_list = attribute_inside;
    while level > 4 {
        bytes = if level % 2 == 1 {
            let number = if std::mem::take(&mut innermost_list) { 6 } else { 5 };
            len_field(number, &bytes)
        } else {
            len_field(1, &bytes)
        };
        level -= 1;
    }
    for number in [5, 2, 2, 1] {
        bytes = len_field(number, &bytes);
    }
    bytes
}

#[test]
fn nesting_is_bounded_where_the_reference_implementation_bounds_it() {
    assert_eq!(DEPTH_MAX, 100);
    for (levels, accepted) in [(99, true), (100, true), (101, false), (102, false), (5000, false)] {
        // Attributes end at odd levels here, so only there.
        for attribute_inside in [false, true] {
            if attribute_inside && levels % 2 == 0 {
                continue;
            }
            let bytes = nested(levels, attribute_inside);
            assert_eq!(Request::decode(Signal::Logs, &bytes).is_ok(), accepted, "{levels}");
            match check(Signal::Logs, &bytes) {
                Ok(items) => assert!(accepted && items == 1, "{levels} {attribute_inside}"),
                Err(invalid) => {
                    assert!(!accepted, "{levels} {attribute_inside}");
                    assert_eq!(*invalid.problem(), Problem::Depth);
                    assert!(invalid.path().starts_with("resource_logs.scope_logs.log_records.body.array_value"));
                }
            }
        }
    }
}

#[test]
fn items_of_every_kind_are_counted() {
    let mut kinds = Vec::new();
    for (signal, path) in all_paths() {
        let Kind::Item(message) = path.last().unwrap().kind else { continue };
        kinds.push(message.name);
        let number = path.last().unwrap().number;
        let (bytes, _) = wrap(&path, &len_field(number, &[]).repeat(3));
        assert_eq!(check(signal, &bytes), Ok(3), "{}", dotted(&path));
        assert_eq!(check(signal, &bytes.repeat(2)), Ok(6));
    }
    let points = [
        "NumberDataPoint",
        "NumberDataPoint",
        "HistogramDataPoint",
        "ExponentialHistogramDataPoint",
        "SummaryDataPoint",
    ];
    assert_eq!(kinds, [&["Span"], &points[..], &["LogRecord"]].concat());
    assert_eq!(check(Signal::Traces, &[]), Ok(0));
}

#[test]
fn a_replaced_oneof_member_counts_no_items() {
    // A metric with a gauge of two points, then a sum of one: the sum counts.
    let metric = [len_field(5, &len_field(1, &[]).repeat(2)), len_field(7, &len_field(1, &[]))].concat();
    let mut body = len_field(1, &len_field(2, &len_field(2, &metric)));
    let validated = validate(Signal::Metrics, &mut body, Utf8Policy::Repair).unwrap();
    assert_eq!((validated.items, validated.repairs.rewritten), (1, true));
    assert_eq!(body, len_field(1, &len_field(2, &len_field(2, &len_field(7, &len_field(1, &[]))))));
}

#[test]
fn requests_beyond_32_bit_offsets_are_refused() {
    // Zeroed memory that is never touched: the size is looked at first.
    let body = vec![0_u8; BYTES_MAX + 1];
    let invalid = check(Signal::Logs, &body).unwrap_err();
    assert_eq!(*invalid.problem(), Problem::Size { found: BYTES_MAX + 1 });
}
