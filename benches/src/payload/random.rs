//! A small seeded generator (xorshift64*): the load must be the same in every run, and nothing here needs to be unpredictable.

/// The generator's state; never 0.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0; slightly uneven, which does not matter here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// `length` random bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 56) as u8).collect()
    }

    /// `length` (at most 16) hexadecimal digits.
    pub(super) fn hex(&mut self, length: usize) -> String {
        let mut digits = format!("{:016x}", self.next());
        digits.truncate(length);
        digits
    }

    pub(super) fn ipv4(&mut self) -> String {
        format!("{}.{}.{}.{}", 11 + self.below(180), self.below(256), self.below(256), 1 + self.below(254))
    }
}
