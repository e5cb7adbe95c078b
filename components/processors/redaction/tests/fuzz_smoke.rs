//! The fuzz target's check over random requests from a fixed seed, some of them damaged.

#[path = "support/any_request.rs"]
mod any_request;
#[path = "support/plant.rs"]
mod plant;

use proptest::test_runner::TestRunner;
use testkit::otlp_fuzz;
use testkit::otlp_scramble::Random;

#[expect(clippy::unwrap_used, reason = "test helper")]
fn samples(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(seed);
    std::iter::repeat_with(move || {
        let sample = otlp_fuzz::sample(&mut runner, &mut random);
        let (signal, body) = sample.split_first().unwrap();
        let choice = [*signal, random.below(256) as u8, random.below(256) as u8];
        [&choice[..], &random.bits().to_le_bytes(), body].concat()
    })
}

#[test]
fn no_request_carries_a_plant_through() {
    for (round, data) in samples(7).take(600).enumerate() {
        if let Err(wrong) = any_request::any_request(&data) {
            panic!("round {round}: {wrong}: `{}`", data.escape_ascii());
        }
    }
}

/// A processor that looks at nothing must not pass.
#[test]
fn the_check_sees_what_comes_through() {
    let leaks = samples(8).take(100).filter(|data| any_request::planted("{allow_all_keys: true}", data).is_err());
    assert!(leaks.count() > 10);
}
