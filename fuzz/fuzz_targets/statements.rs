//! Statements from arbitrary text: the first byte tells the context, the rest is compiled as statement, condition and
//! value, and run on telemetry, which stays valid.
#![no_main]

use ottl::Context;

#[path = "../../components/base/ottl/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    support::try_text(Context::ALL[usize::from(*first) % Context::COUNT], text);
});
