//! A random generator whose numbers a seed decides, so that a plan can be repeated.

use rand::TryRng as _;
use rand::rngs::SysRng;
use std::time::Duration;

/// The generator `SplitMix64`: the numbers of a seed do not depend on the version of a library.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// A random seed, short enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    u64::from(SysRng.try_next_u32().expect("the system gives randomness"))
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent generator, so that one part of a test does not change the numbers of another.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// A random one of these. `None` if there are none.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let last = u64::try_from(from.len()).expect("a short list").checked_sub(1)?;
        let index = usize::try_from(self.between(0, last)).expect("a short list");
        from.get(index).copied()
    }

    /// Up to `at_most` of these, each once.
    pub(crate) fn several<T: Copy>(&mut self, mut from: Vec<T>, at_most: usize) -> Vec<T> {
        let mut chosen = Vec::new();
        while chosen.len() < at_most && !from.is_empty() {
            let last = u64::try_from(from.len() - 1).expect("a short list");
            chosen.push(
                from.swap_remove(usize::try_from(self.between(0, last)).expect("a short list")),
            );
        }
        chosen
    }
}

#[test]
fn the_same_seed_throws_the_same_numbers_within_bounds() {
    let throw = |seed| {
        let mut dice = Dice::new(seed);
        (0..1000).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
    };
    assert_eq!(throw(7), throw(7));
    assert_ne!(throw(7), throw(8));
    let throws = throw(7);
    assert!(
        (3..=9).all(|number| throws.contains(&number))
            && throws.iter().all(|number| (3..=9).contains(number))
    );
}
