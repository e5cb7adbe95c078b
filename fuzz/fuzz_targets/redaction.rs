//! Requests from arbitrary bytes, planted with personal data, through the redaction processor: nothing of what was planted
//! comes out, as it is or encoded, and what comes out is valid.
#![no_main]

#[path = "../../components/processors/redaction/tests/support/any_request.rs"]
mod any_request;
#[path = "../../components/processors/redaction/tests/support/plant.rs"]
mod plant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(wrong) = any_request::any_request(data) {
        panic!("{wrong}");
    }
});
