//! The fuzz targets on a fixed sequence of inputs: valid requests in odd encodings, damaged ones, and noise.

use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use testkit::otlp_fuzz::{edits, sample, skeleton};
use testkit::otlp_scramble::Random;

fn run(seed: u8, inputs: usize, target: fn(&[u8]) -> Result<(), String>, prefix: bool) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(testkit::otlp_arbitrary::config(1), rng);
    let mut random = Random::new(u64::from(seed));
    for number in 0..inputs {
        let mut data = sample(&mut runner, &mut random);
        if prefix {
            data.splice(1..1, random.bits().to_le_bytes());
        }
        if random.once_in(10) {
            data = (0..random.below(200)).map(|_| random.bits() as u8).collect();
        }
        assert_eq!(target(&data), Ok(()), "input {number} of seed {seed}: {data:02x?}");
    }
}

#[test]
fn skeleton_survives_damaged_requests() {
    run(1, 700, skeleton, false);
}

#[test]
fn edits_survive_anywhere_in_a_request() {
    run(2, 500, edits, true);
}
