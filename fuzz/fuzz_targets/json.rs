//! OTLP/JSON against arbitrary bytes: the first byte tells the signal and whether the rest is JSON or wire bytes.
//! What is read is valid, and writing it out and reading it back settles after one turn.
#![no_main]

use otlp::json::{to_wire, write_message};
use pdata::schema;
use pdata::validate::{Utf8Policy, check, validate};
use testkit::otlp_fuzz::signal_of;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((signal, body)) = signal_of(data) else { return };
    let table = schema::request(signal);
    let wire = if data[0] < 0x80 {
        let Ok(wire) = to_wire(table, body, Utf8Policy::Repair) else { return };
        wire
    } else {
        let mut wire = body.to_vec();
        if validate(signal, &mut wire, Utf8Policy::Repair).is_err() {
            return;
        }
        wire
    };
    check(signal, &wire).expect("what is read is valid");
    let turn = |wire: &[u8]| {
        let mut text = String::new();
        write_message(table, wire, &mut text);
        let read = to_wire(table, text.as_bytes(), Utf8Policy::Refuse).expect("what is written can be read");
        assert_eq!(check(signal, &read).ok(), check(signal, wire).ok(), "items are kept");
        (text, read)
    };
    let (_, once) = turn(&wire);
    let (text, twice) = turn(&once);
    let (again, _) = turn(&twice);
    assert_eq!(text, again);
});
