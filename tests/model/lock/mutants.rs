//! Broken forms of the rules of the lock. The search has to find the fault of each.

/// A rule of the lock.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Rule {
    /// The rules of redlock.
    Own,
    /// The rules of redlock, in a world in which more members forget than the promise allows.
    TooManyForget,
    /// A lease counts from the receipt of the reply.
    LeaseFromReceipt,
    /// A key that an extension has set again counts at once.
    LoneKeyCounts,
    /// A vote that comes after the acquisition counts at once.
    LateVoteCounts,
    /// A key that was set again counts by confirmations of earlier requests.
    EarlierConfirmations,
    /// A failed attempt is not released on instances that have not answered.
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
    /// The lock lasts as long as the longest lease of a member.
    LargestLease,
    /// N/2 votes suffice, and N/2 leases.
    HalfQuorum,
    /// The command is started without a comparison with the deadline.
    BlindStart,
    /// At the deadline, the command goes on until redlock wakes.
    NoGuardian,
}
