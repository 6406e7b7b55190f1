//! How many instances there are, and how many of them decide.

use std::fmt;

/// The number of configured instances, never of the reachable ones: at least three, or exactly one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClusterSize(usize);

impl ClusterSize {
    /// A Redlock over `count` instances.
    ///
    /// # Errors
    /// When there are fewer than three: two are worse than one, since losing either loses the
    /// majority.
    pub const fn redlock(count: usize) -> Result<Self, TooFew> {
        if count < 3 { Err(TooFew(count)) } else { Ok(Self(count)) }
    }

    /// One instance alone: no majority, no protection against its failure.
    #[must_use]
    pub const fn single() -> Self {
        Self(1)
    }

    /// The number of instances.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0
    }

    /// The smallest number of instances such that any two groups of that size share one.
    #[must_use]
    pub const fn quorum(self) -> usize {
        self.0 / 2 + 1
    }

    /// Whether one instance more would cost nothing and one less would tolerate as many failures.
    #[must_use]
    pub const fn is_even(self) -> bool {
        self.0.is_multiple_of(2)
    }
}

/// Too few instances for a majority that survives a failure.
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
    fn fewer_than_three_are_no_redlock() {
        for count in 0..3 {
            assert_eq!(ClusterSize::redlock(count), Err(TooFew(count)));
        }
        assert_eq!(ClusterSize::single().quorum(), 1);
    }

    #[test]
    fn the_quorum_is_more_than_half() {
        for (count, quorum) in [(3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (9, 5)] {
            assert_eq!(ClusterSize::redlock(count).unwrap().quorum(), quorum);
        }
    }

    #[test]
    fn an_even_number_is_known_as_one() {
        for (count, is_even) in [(3, false), (4, true), (5, false)] {
            assert_eq!(ClusterSize::redlock(count).unwrap().is_even(), is_even, "{count}");
        }
    }

    proptest! {
        #[test]
        fn any_two_quorums_meet(count in 3_usize..100) {
            let size = ClusterSize::redlock(count).unwrap();
            prop_assert!(2 * size.quorum() > size.count());
            prop_assert!(size.quorum() <= size.count());
        }

        #[test]
        fn a_minority_may_fail(count in 3_usize..100) {
            let size = ClusterSize::redlock(count).unwrap();
            prop_assert!(size.count() - (size.count() - 1) / 2 >= size.quorum());
        }
    }
}
