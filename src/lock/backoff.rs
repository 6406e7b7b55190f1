//! How long to wait before the next attempt.

use std::time::Duration;

/// A number that a fair die gave: every `u32` equally likely.
pub type Sample = u32;

/// Full jitter over a ceiling that doubles with each failure
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The first ceiling.
    const BASE: Duration = Duration::from_millis(8);
    /// The last ceiling where the votes were split, while nobody is slower than it: a free lock is
    /// noticed within this.
    pub const SPLIT: Duration = Duration::from_millis(250);
    /// The last ceiling where too few vote: a quorum that is back is noticed within this, and those
    /// who can vote are spared.
    pub const SILENCE: Duration = Duration::from_secs(2);
    /// The shortest delay: nobody hammers.
    const FLOOR: Duration = Duration::from_millis(1);

    /// The delay after one more failure, from `sample`. Its ceiling grows up to `cap`, and is at
    /// least twice the `slowest` round trip, or two contenders would go on meeting; where there is
    /// only `left` until something changes, it is not longer than that and one trip.
    #[must_use]
    pub fn next(
        &mut self,
        sample: Sample,
        cap: Duration,
        slowest: Duration,
        left: Option<Duration>,
    ) -> Duration {
        let doubled = Self::BASE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let ceiling = doubled.min(cap).max(slowest.saturating_mul(2));
        let delay = Self::FLOOR + part(ceiling, sample);
        match left {
            Some(left) => delay.min(left + Self::FLOOR + part(slowest, sample)),
            None => delay,
        }
    }
}

/// `whole` times `sample` out of all samples.
pub(crate) fn part(whole: Duration, sample: Sample) -> Duration {
    let nanos = whole.as_nanos().saturating_mul(u128::from(sample)) >> Sample::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        for (cap, last) in
            [(Backoff::SPLIT, [250; 5]), (Backoff::SILENCE, [256, 512, 1024, 2000, 2000])]
        {
            let mut backoff = Backoff::default();
            let delays: Vec<u128> =
                (0..10).map(|_| backoff.next(Sample::MAX, cap, ms(0), None).as_millis()).collect();
            assert_eq!(delays, [&[8, 16, 32, 64, 128], &last[..]].concat());
        }
    }

    #[test]
    fn a_slow_instance_widens_it_and_a_dying_key_shortens_it() {
        assert_eq!(
            Backoff::default().next(Sample::MAX, Backoff::SPLIT, ms(400), None).as_millis(),
            800
        );
        assert_eq!(
            Backoff::default().next(Sample::MAX, Backoff::SPLIT, ms(400), Some(ms(20))).as_millis(),
            420
        );
        assert_eq!(
            Backoff::default().next(0, Backoff::SPLIT, ms(400), Some(ms(20))),
            Backoff::FLOOR
        );
    }

    proptest! {
        #[test]
        fn every_delay_is_positive_and_bounded(
            samples in prop::collection::vec(any::<Sample>(), 1..40),
            slowest in 0_u64..1_000,
            left in prop::option::of(0_u64..60_000),
        ) {
            let mut backoff = Backoff::default();
            for sample in samples {
                let delay = backoff.next(sample, Backoff::SPLIT, ms(slowest), left.map(ms));
                prop_assert!(delay >= Backoff::FLOOR);
                prop_assert!(delay <= Backoff::SPLIT.max(ms(2 * slowest)) + Backoff::FLOOR);
            }
        }
    }
}
