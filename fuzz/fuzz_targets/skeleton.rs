//! The validating walk against arbitrary bytes: the first byte tells the signal, the rest is the request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(wrong) = testkit::otlp_fuzz::skeleton(data) {
        panic!("{wrong}");
    }
});
