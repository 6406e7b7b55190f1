//! Broken forms of the rules of the lock. The search has to find the fault of each.

/// A rule of the lock.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Rule {
    /// That of redlock.
    Own,
    /// That of redlock, where more members may forget than the promise allows.
    TooManyForget,
    /// A lease counts from the receipt of the reply.
    LeaseFromReceipt,
    /// A key that an extension has set again counts at once.
    LoneKeyCounts,
    /// A vote that comes after the acquisition counts at once.
    LateVoteCounts,
    /// A key that was set again counts by confirmations of requests that were sent before.
    EarlierConfirmations,
    /// A failed attempt is not given back to instances that have not answered.
    SilentKeepsKey,
    /// The second attempt has the nonce of the first.
    SameNonce,
    /// A release overtakes the acquisition on its connection.
    ReleaseOvertakes,
    /// A release deletes whatever key is there.
    ReleaseWithoutCompare,
    /// The value is not released on a new connection.
    BreakForgetsValue,
    /// An attempt waits for every vote.
    NoTimeLimit,
    /// Every instance has a vote.
    NoGuard,
    /// The guard is half the TTL.
    ShortGuard,
    /// The lock lasts as long as the lease of the last member.
    LargestLease,
    /// N/2 votes suffice, and as many leases.
    HalfQuorum,
    /// The command is started without a look at the deadline.
    BlindStart,
    /// The command is not ended at the deadline before redlock wakes.
    NoGuardian,
}
