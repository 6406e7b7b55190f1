//! The result of a forced release, from its effect on each instance.

use crate::lock::{ClusterSize, NoVoteReason, Removal};
use std::time::Duration;

/// The effect of a forced release on the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForcedRelease {
    /// The holder has no quorum any more, and its name is free after this time at the latest.
    Revoked(Duration),
    /// The holder has no quorum any more, and its keys were deleted.
    Deleted,
    /// The holder had the lock on no instance, and so many answered that no quorum can have it.
    NotHeld,
    /// Another client holds the lock without expiry: nothing tells when its lease is over.
    WithoutExpiry,
    /// The lock was taken away on this many instances, and the holder may still have a quorum.
    TooFew(usize),
}

impl ForcedRelease {
    /// The effect of `removals`, one for each instance.
    ///
    /// A lock is extended while a quorum of instances has it. So it is lost as soon as the instances
    /// that do not have it are too many for a quorum of the others, and those need be no quorum: two
    /// of four suffice.
    #[must_use]
    pub fn of(size: ClusterSize, removals: &[Result<Removal, NoVoteReason>]) -> Self {
        let answers = || removals.iter().filter_map(|removal| removal.as_ref().ok());
        let count =
            |which: fn(&Removal) -> bool| answers().filter(|removal| which(removal)).count();
        if count(|removal| *removal == Removal::WithoutExpiry) > 0 {
            return Self::WithoutExpiry;
        }
        let absent = count(|removal| *removal == Removal::Absent);
        let taken = answers().count() - absent;
        if taken + absent < size.blocking() {
            return Self::TooFew(taken);
        }
        let left = answers().filter_map(|removal| match removal {
            Removal::Revoked(left) | Removal::AlreadyRevoked(left) => Some(*left),
            _ => None,
        });
        match left.max() {
            Some(left) => Self::Revoked(left),
            None if taken > 0 => Self::Deleted,
            None => Self::NotHeld,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_away_when_no_quorum_can_be_left() {
        let revoked = |seconds| Ok(Removal::Revoked(Duration::from_secs(seconds)));
        let before = |seconds| Ok(Removal::AlreadyRevoked(Duration::from_secs(seconds)));
        let (absent, deleted) = (|| Ok(Removal::Absent), || Ok(Removal::Deleted));
        let silent = || Err(NoVoteReason::TimedOut);
        let over = |seconds| ForcedRelease::Revoked(Duration::from_secs(seconds));
        for (label, removals, expected) in [
            ("all", vec![revoked(9), revoked(8), revoked(7)], over(9)),
            ("a minority is down", vec![revoked(9), silent(), revoked(12)], over(12)),
            ("twice", vec![before(5), before(4), revoked(6)], over(6)),
            ("one of three", vec![revoked(9), silent(), silent()], ForcedRelease::TooFew(1)),
            ("none of three", vec![silent(), silent(), silent()], ForcedRelease::TooFew(0)),
            ("free", vec![absent(), absent(), silent()], ForcedRelease::NotHeld),
            ("too few tell", vec![absent(), silent(), silent()], ForcedRelease::TooFew(0)),
            ("a remnant", vec![revoked(9), absent(), absent()], over(9)),
            ("two of four", vec![revoked(9), revoked(9), silent(), silent()], over(9)),
            (
                "one of four",
                vec![revoked(9), silent(), silent(), silent()],
                ForcedRelease::TooFew(1),
            ),
            ("at once", vec![deleted(), deleted(), silent()], ForcedRelease::Deleted),
            (
                "a foreign key that stays",
                vec![Ok(Removal::WithoutExpiry), revoked(3), silent()],
                ForcedRelease::WithoutExpiry,
            ),
        ] {
            let size = ClusterSize::redlock(removals.len()).unwrap();
            assert_eq!(ForcedRelease::of(size, &removals), expected, "{label}");
        }
        let single = ClusterSize::single();
        assert_eq!(ForcedRelease::of(single, &[revoked(4)]), over(4), "a single server");
    }
}
