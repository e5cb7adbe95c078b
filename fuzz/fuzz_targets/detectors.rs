//! Detectors over arbitrary bytes: the first byte tells the hint and the key, the rest is the text. Findings are in order
//! and whole, each kind alone finds nothing that all together leave, and what is found has a canonical form.
#![no_main]

#[path = "../../components/base/detectors/corpus/any_bytes.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(wrong) = any_bytes::any_bytes(data) {
        panic!("{wrong}");
    }
});
