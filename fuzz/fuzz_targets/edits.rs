//! Edits of arbitrary valid requests: the first byte tells the signal, eight more the edits, the rest is the request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(wrong) = testkit::otlp_fuzz::edits(data) {
        panic!("{wrong}");
    }
});
