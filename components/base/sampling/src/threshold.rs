//! Randomness and thresholds of 56 bits.

use std::fmt;

/// Hexadecimal digits of 56 bits.
const DIGITS: u32 = 14;
/// How many values randomness can have.
const ALL: u64 = 1 << 56;
/// The smallest probability that is not never.
pub const PROBABILITY_MIN: f64 = 1.0 / ALL as f64;

/// Randomness of an item, 0 to 2^56 - 1: the same at every stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// Reaches every threshold but [`Threshold::NEVER`].
    pub const MAX: Self = Self(ALL - 1);

    /// The low 56 bits of `bits`.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self(bits & (ALL - 1))
    }

    /// Bytes 9 to 15 of a trace ID, as W3C level 2 makes them random.
    #[must_use]
    pub fn of_trace_id(trace_id: &[u8; 16]) -> Self {
        let [.., a, b, c, d, e, f, g, h] = *trace_id;
        Self::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Reads an `rv`: 14 hexadecimal digits.
    #[must_use]
    pub fn parse(rv: &str) -> Option<Self> {
        if rv.len() != DIGITS as usize {
            return None;
        }
        hexadecimal(rv).map(Self)
    }

    /// As a number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// As an `rv`.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

/// How many of the 2^56 values of randomness are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

/// A probability that no threshold expresses: below 2^-56, above 1, or no number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a probability of {0} is not between 2^-56 and 1")]
pub struct InvalidProbability(pub f64);

impl Threshold {
    /// Rejects nothing.
    pub const ALWAYS: Self = Self(0);
    /// Rejects everything. Has no text.
    pub const NEVER: Self = Self(ALL);

    /// Rejects so many; at most all.
    #[must_use]
    pub const fn rejecting(count: u64) -> Self {
        if count > ALL { Self::NEVER } else { Self(count) }
    }

    /// For a probability, rounded to `precision` hexadecimal digits (1 to 14). Where the threshold begins with `f` or `0`,
    /// that is near the ends of the scale, as many digits more.
    ///
    /// # Errors
    /// [`InvalidProbability`].
    pub fn of_probability(probability: f64, precision: u32) -> Result<Self, InvalidProbability> {
        if !(PROBABILITY_MIN..=1.0).contains(&probability) {
            return Err(InvalidProbability(probability));
        }
        if probability >= 1.0 {
            return Ok(Self::ALWAYS);
        }
        // Digits that say nothing: one for every factor of 16 that the probability, or its complement, is below 1.
        let idle = |share: f64| (-(exponent(share) / 4)).max(0).cast_unsigned();
        let digits = (precision + idle(probability)).max(precision + idle(1.0 - probability)).min(DIGITS);
        let mut rejected = ALL - (probability * ALL as f64).round() as u64;
        let shift = 4 * (DIGITS - digits);
        if shift > 0 {
            rejected = (rejected + (1 << (shift - 1))) >> shift << shift;
        }
        Ok(Self::rejecting(rejected))
    }

    /// Reads a `th`: 1 to 14 hexadecimal digits, to be continued by zeros.
    #[must_use]
    pub fn parse(th: &str) -> Option<Self> {
        let missing = DIGITS.checked_sub(u32::try_from(th.len()).ok()?)?;
        (!th.is_empty()).then(|| hexadecimal(th)).flatten().map(|digits| Self(digits << (4 * missing)))
    }

    /// Whether an item of that randomness is kept.
    #[must_use]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// The share of items that is kept.
    #[must_use]
    pub fn probability(self) -> f64 {
        (ALL - self.0) as f64 / ALL as f64
    }

    /// How many items a kept one stands for; infinite for [`Threshold::NEVER`], which keeps none.
    #[must_use]
    pub fn adjusted_count(self) -> f64 {
        1.0 / self.probability()
    }

    /// As a number.
    #[must_use]
    pub const fn rejected(self) -> u64 {
        self.0
    }
}

/// As a `th`; empty for [`Threshold::NEVER`].
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => Ok(()),
            Self::ALWAYS => f.write_str("0"),
            Self(rejected) => {
                let zeros = rejected.trailing_zeros() / 4;
                write!(f, "{:0width$x}", rejected >> (4 * zeros), width = (DIGITS - zeros) as usize)
            }
        }
    }
}

/// The exponent of a number in (0, 1) written as 0.5…1 times a power of two.
fn exponent(share: f64) -> i32 {
    let bits = share.to_bits();
    let raw = (bits >> 52 & 0x7ff) as i32;
    if raw == 0 { -1022 } else { raw - 1022 }
}

fn hexadecimal(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probability, precision, `th`; the first four from the specification's examples, checked against its formula.
    const CASES: [(f64, u32, &str); 10] = [
        (0.5, 4, "8"),
        (1.0 / 3.0, 4, "aaab"),
        (0.1, 4, "e666"),
        (0.01, 4, "fd70a"),
        (0.001, 4, "ffbe77"),
        (1.0, 4, "0"),
        (1.0 - 1.0 / 3.0, 3, "555"),
        (0.99, 4, "028f6"),
        (PROBABILITY_MIN, 4, "ffffffffffffff"),
        (0.1, 14, "e6666666666666"),
    ];

    #[test]
    fn thresholds_of_probabilities() {
        for (probability, precision, th) in CASES {
            let threshold = Threshold::of_probability(probability, precision).unwrap();
            assert_eq!(threshold.to_string(), th, "{probability}");
            assert_eq!(Threshold::parse(th), Some(threshold));
            let error = (threshold.adjusted_count() * probability - 1.0).abs();
            assert!(error < 1e-3, "{probability} is off by {error}");
        }
        for probability in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY, PROBABILITY_MIN / 2.0] {
            assert!(Threshold::of_probability(probability, 4).is_err(), "{probability}");
        }
    }

    #[test]
    fn texts_are_read_strictly() {
        for th in ["", "g", "E6", "0123456789abcde", "-1", " 8", "é"] {
            assert_eq!(Threshold::parse(th), None, "{th}");
        }
        for rv in ["", "0123456789abc", "0123456789abcde", "0123456789ABCD", "0123456789abcg"] {
            assert_eq!(Randomness::parse(rv), None, "{rv}");
        }
        let randomness = Randomness::parse("0123456789abcd").unwrap();
        assert_eq!((randomness.bits(), randomness.to_string().as_str()), (0x0001_2345_6789_abcd, "0123456789abcd"));
        assert_eq!(Threshold::NEVER.to_string(), "");
    }

    #[test]
    fn an_item_is_kept_when_its_randomness_reaches_the_threshold() {
        let half = Threshold::parse("8").unwrap();
        assert!(half.keeps(Randomness::parse("80000000000000").unwrap()));
        assert!(!half.keeps(Randomness::parse("7fffffffffffff").unwrap()));
        assert!(Threshold::ALWAYS.keeps(Randomness::new(0)));
        assert!(!Threshold::NEVER.keeps(Randomness::MAX));
        let id = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10];
        assert_eq!(Randomness::of_trace_id(&id).to_string(), "0a0b0c0d0e0f10");
    }

    proptest::proptest! {
        #[test]
        fn text_and_number_are_one(rejected in 0..ALL) {
            let threshold = Threshold::rejecting(rejected);
            proptest::prop_assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
        }

        #[test]
        fn a_smaller_probability_has_a_larger_threshold(a in PROBABILITY_MIN..1.0, b in PROBABILITY_MIN..1.0) {
            let [a, b] = [a.min(b), a.max(b)].map(|p| Threshold::of_probability(p, 4).unwrap());
            proptest::prop_assert!(a >= b);
        }
    }
}
