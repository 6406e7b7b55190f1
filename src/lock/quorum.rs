//! The number of instances, and the quorum.

use std::fmt;

/// The number of configured instances, reachable or not: at least three, or exactly one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClusterSize(usize);

impl ClusterSize {
    /// The size of a Redlock over `count` instances.
    ///
    /// # Errors
    /// When `count` is below three. Two instances are worse than one: each failure loses the
    /// majority.
    pub const fn redlock(count: usize) -> Result<Self, TooFew> {
        if count < 3 { Err(TooFew(count)) } else { Ok(Self(count)) }
    }

    /// The size of a lock on one instance, whose failure loses the lock.
    #[must_use]
    pub const fn single() -> Self {
        Self(1)
    }

    /// The number of instances.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0
    }

    /// The quorum: the smallest majority. Any two quorums share an instance.
    #[must_use]
    pub const fn quorum(self) -> usize {
        self.0 / 2 + 1
    }

    /// The smallest number of instances without which the others are no quorum.
    #[must_use]
    pub const fn blocking(self) -> usize {
        self.count() - self.quorum() + 1
    }

    /// Whether the number is even: one instance less would tolerate as many failures.
    #[must_use]
    pub const fn is_even(self) -> bool {
        self.0.is_multiple_of(2)
    }
}

/// Error of fewer than three instances. Holds their number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooFew(pub usize);

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected three or more instances, got {}", self.0)
    }
}

impl std::error::Error for TooFew {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fewer_than_three_instances_are_refused() {
        for count in 0..3 {
            assert_eq!(ClusterSize::redlock(count), Err(TooFew(count)));
        }
        assert_eq!(ClusterSize::single().quorum(), 1);
    }

    #[test]
    fn the_quorum_is_the_smallest_majority() {
        for (count, quorum) in [(3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (9, 5)] {
            assert_eq!(ClusterSize::redlock(count).unwrap().quorum(), quorum);
        }
    }

    #[test]
    fn an_even_number_is_recognised() {
        for (count, is_even) in [(3, false), (4, true), (5, false)] {
            assert_eq!(ClusterSize::redlock(count).unwrap().is_even(), is_even, "{count}");
        }
    }

    proptest! {
        #[test]
        fn any_two_quorums_share_an_instance(count in 3_usize..100) {
            let size = ClusterSize::redlock(count).unwrap();
            prop_assert!(2 * size.quorum() > size.count());
            prop_assert!(size.quorum() <= size.count());
        }

        #[test]
        fn a_quorum_survives_the_failure_of_a_minority(count in 3_usize..100) {
            let size = ClusterSize::redlock(count).unwrap();
            prop_assert!(size.count() - (size.count() - 1) / 2 >= size.quorum());
        }
    }
}
