//! The one source of chance in a world.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// A random generator with the same numbers for the same seed.
pub(crate) struct Dice(SmallRng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }

    /// An index below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.between(0, count as u64 - 1)).unwrap()
    }

    /// True in `in_a_thousand` of a thousand cases.
    pub(crate) fn chance(&mut self, in_a_thousand: u64) -> bool {
        self.between(1, 1_000) <= in_a_thousand
    }

    pub(crate) fn sample(&mut self) -> u32 {
        self.0.next_u32()
    }
}
