//! The fuzz target's check over random requests from a fixed seed, some of them damaged.

#[path = "support/any_request.rs"]
mod any_request;
#[path = "support/plant.rs"]
mod plant;

use proptest::test_runner::TestRunner;
use testkit::otlp_fuzz;
use testkit::otlp_scramble::Random;

#[test]
fn no_request_carries_a_plant_through() {
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(7);
    for round in 0..600 {
        let sample = otlp_fuzz::sample(&mut runner, &mut random);
        let Some((signal, body)) = sample.split_first() else { continue };
        let choice = [*signal, random.below(256) as u8, random.below(256) as u8];
        let data = [&choice[..], &random.bits().to_le_bytes(), body].concat();
        if let Err(wrong) = any_request::any_request(&data) {
            panic!("round {round}: {wrong}: `{}`", data.escape_ascii());
        }
    }
}
