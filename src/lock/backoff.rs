//! The delay before the next attempt.

use std::time::Duration;

/// A random number: every `u32` is equally likely.
pub type Sample = u32;

/// Exponential backoff with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Ceiling of the first delay.
    const BASE: Duration = Duration::from_millis(8);
    /// Largest ceiling after a split vote. Also the longest time until a free lock is noticed, if
    /// the instances are fast.
    pub const SPLIT: Duration = Duration::from_millis(250);
    /// Largest ceiling while fewer than a quorum vote. Also the longest time until a quorum that is
    /// back is noticed.
    pub const SILENCE: Duration = Duration::from_secs(2);
    /// Shortest delay.
    const FLOOR: Duration = Duration::from_millis(1);

    /// The delay after one more failure, by `sample`. The ceiling doubles up to `cap`, and is at
    /// least twice the `slowest` round trip, since shorter delays would make two contenders collide
    /// again. If a key expires or an instance votes again after `left`, the delay is at most `left`
    /// plus one round trip.
    #[must_use]
    pub fn next(
        &mut self,
        sample: Sample,
        cap: Duration,
        slowest: Duration,
        left: Option<Duration>,
    ) -> Duration {
        let ceiling = doubled(Self::BASE, self.failures, cap).max(slowest.saturating_mul(2));
        self.failures = self.failures.saturating_add(1);
        let delay = Self::FLOOR + part(ceiling, sample);
        match left {
            Some(left) => delay.min(left + Self::FLOOR + part(slowest, sample)),
            None => delay,
        }
    }
}

/// `shortest`, doubled `times` times, and at most `longest`.
pub(crate) fn doubled(shortest: Duration, times: u32, longest: Duration) -> Duration {
    shortest.saturating_mul(1 << times.min(16)).min(longest)
}

/// `whole` times `sample / 2^32`.
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
    fn a_slow_instance_lengthens_the_delay_and_an_expiring_key_shortens_it() {
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
