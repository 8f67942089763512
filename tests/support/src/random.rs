//! Random numbers that can be had again.

/// A generator of random numbers (xorshift64*): the same seed gives the same ones.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A generator with the seed of the environment's `SEED`, or without one with this.
    #[must_use]
    pub fn from_environment(default: u64) -> Self {
        let seed = std::env::var("SEED").map_or(default, |text| text.parse().unwrap());
        Self::new(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below a limit; 0 where the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_number() % limit.max(1)
    }

    /// An index below a length; 0 where the length is 0.
    pub fn index_below(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// This many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
